"""The synthetic AMIGOS: files as the real ones are, flashes and jumps that meet, and an effect in face and signals."""

import json

import numpy as np
import pytest
import scipy.io

from gbvnet.config import from_dict
from gbvnet.datasets import open_corpus, synthetic_settings, write_synthetic
from gbvnet.datasets.amigos_file import FILMS
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.synthetic.amigos import Settings
from gbvnet.datasets.synthetic.amigos_long import Settings as LongSettings
from gbvnet.errors import BadConfig
from gbvnet.io.video import probe, read_frames

SMALL = {"subjects": 3, "trials": 3, "seconds": 21, "videos": 0}


def all_recordings(name, root):
    return {r.name: r for unit in check_corpus(open_corpus(name, root)) for r in unit.recordings}


def contents(root):
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


@pytest.mark.journey
@pytest.mark.parametrize(("name", "settings"), [("amigos", Settings), ("amigos-long", LongSettings)])
def test_files_are_as_the_real_ones_and_the_recordings_are_the_truth(tmp_path, name, settings):
    write_synthetic(name, tmp_path, settings(**SMALL))
    mats = [scipy.io.loadmat(f, simplify_cells=True) for f in sorted(tmp_path.rglob("Data_Preprocessed_P*.mat"))]
    for mat in mats:
        assert sorted(mat["VideoIDs"]) == sorted(FILMS)
        data = [x for x in mat["joined_data"] if x.size]
        assert len(data) == 4 and all(x.shape[1] == 17 for x in data)  # one of them a film of the other kind
        assert {len(x) / 128 - 5 for x in data} <= {21, 22, 23}
        assert [x.size for x in mat["labels_selfassessment"] if x.size] == [12] * 4
        assert all(len(x) == 3 for x in mat["labels_ext_annotation"] if x.size)
        assert min(np.median(x[:, -1]) for x in data) > 1e4  # a resistance
    assert len({tuple(mat["VideoIDs"]) for mat in mats}) == 3  # in an order of its own for each participant
    truth = {t["recording"]: t for t in json.loads((tmp_path / "SYNTHETIC.json").read_text())["truth"]}
    recordings = all_recordings(name, tmp_path)
    assert set(recordings) == set(truth) and len(truth) == 9
    for key, t in truth.items():
        r = recordings[key]
        assert (
            r.error is None and r.seconds == t["seconds"] and set(r.traces) == {"external_valence", "external_arousal"}
        )
        assert {n: x for n, x in r.ratings.items() if n in t["ratings"]} == t["ratings"]
        assert t["ratings"]["arousal"] != t["ratings"]["valence"]
        assert r.traces["external_valence"].values[0] == t["external"][1][1]
        assert [x for n, x in r.ratings.items() if n not in t["ratings"]] == [
            "no" if x == 0 else "yes" for x in t["emotions"]
        ]
    notes = open_corpus(name, tmp_path).notes()
    assert any("go down in 9 of 9 films, a resistance's" in note for note in notes)


@pytest.mark.journey
def test_arousal_comes_first_in_the_file_and_the_probe_of_columns_says_so(tmp_path):
    write_synthetic("amigos", tmp_path, Settings(subjects=2, trials=8, seconds=4, videos=0))
    truth = {t["recording"]: t for t in json.loads((tmp_path / "SYNTHETIC.json").read_text())["truth"]}
    mat = scipy.io.loadmat(tmp_path / "data_preprocessed/Data_Preprocessed_P01.mat", simplify_cells=True)
    k = list(mat["VideoIDs"]).index("9")
    ratings = truth["P01_9"]["ratings"]
    assert mat["labels_selfassessment"][k][:2].tolist() == [ratings["arousal"], ratings["valence"]]
    note = open_corpus("amigos", tmp_path).notes()[0]
    assert "as their columns are read" in note and "ARE" not in note


@pytest.mark.journey
def test_flaws_are_those_of_the_real_files(tmp_path):
    write_synthetic("amigos", tmp_path, Settings(**SMALL, flaws=True))
    corpus = open_corpus("amigos", tmp_path)
    units = {u.name: u for u in check_corpus(corpus)}
    assert units["P01"].warnings == ("no self-assessment of film 4",)
    assert units["P02"].warnings == ("no signals of film 4",)
    errors = {r.name: r.error for u in units.values() for r in u.recordings if r.error}
    assert list(errors) == ["P01_5"] and "NaN or infinite in channel T7" in errors["P01_5"]
    assert [u.good for _, u in sorted(units.items())] == [2, 2, 3]
    assert "P02_N1" not in all_recordings("amigos-long", tmp_path) and open_corpus("amigos-long", tmp_path).units


@pytest.mark.journey
def test_a_flash_and_a_jump_meet_within_one_video_frame(tmp_path):
    """A film with a mark at 0.5 s: the video begins 5 s before it, and the signals too."""
    write_synthetic("amigos", tmp_path, Settings(subjects=1, trials=1, seconds=2, mark_s=0.5))
    corpus = open_corpus("amigos", tmp_path)
    (recording,) = [corpus.inspect(r) for r in corpus.recordings("P01")]
    info = probe(recording.video)
    assert (info.fps, info.n_frames, recording.warnings) == (25, 175, ()) and recording.video.suffix == ".mov"
    brightness = [frame.mean() for _, frame in read_frames(recording.video, np.arange(info.n_frames))]
    flash_s = (np.argmax(np.diff(brightness)) + 1) / 25 - recording.video_start_s
    signals = corpus.signals(recording)
    jump_s = (np.argmax(np.abs(signals.samples[0]) > 500) - signals.onset) / signals.rate_hz
    assert abs(flash_s - 0.5) <= 1 / 25 and abs(jump_s - 0.5) <= 2 / 128 and abs(flash_s - jump_s) <= 1 / 25


@pytest.mark.journey
def test_the_same_settings_write_the_same_bytes_and_version_7_3_holds_the_same(tmp_path):
    small = {"subjects": 1, "trials": 1, "seconds": 1}
    for name in ("a", "b"):
        write_synthetic("amigos", tmp_path / name, Settings(**small))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    pytest.importorskip("h5py")
    write_synthetic("amigos", tmp_path / "c", Settings(**small, videos=0, mat73=True))
    one, other = (all_recordings("amigos", tmp_path / name)["P01_4"] for name in ("a", "c"))
    assert (one.ratings, one.traces, one.scales) == (other.ratings, other.traces, other.scales)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("amigos", {"evidence": ("Cz",)}, "evidence: no EEG channel Cz"),
        ("amigos", {"trials": 17}, "trials must be 1 to 16 here, not 17"),
        ("amigos-long", {"trials": 5}, "trials must be 1 to 4 here, not 5"),
    ],
)
def test_settings_that_this_format_has_not_are_refused(tmp_path, name, settings, message):
    with pytest.raises(BadConfig, match=message):
        write_synthetic(name, tmp_path, from_dict(synthetic_settings(name), settings))

"""The DEAP reader joins by the ratings table, trusts nothing, and says what is wrong with what."""

import os
import pickle

import numpy as np
import pandas as pd
import pytest

from gbvnet.datasets import open_corpus
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.deap import CHANNELS, EEG, RATINGS_FILE, read_dat, read_ratings
from gbvnet.errors import BadConfig, BadRecording

from .. import fakes


def dat(root, name="s01"):
    return root / f"data_preprocessed_python/{name}.dat"


def test_the_channels_are_the_release_order():
    assert len(CHANNELS) == 40
    assert (EEG[0], EEG[15], EEG[16], EEG[31]) == ("Fp1", "Pz", "Fp2", "O2")
    # FIELD: plethysmograph is column 38 and temperature 39, which public code has confused
    assert [(CHANNELS[i].name, CHANNELS[i].kind) for i in (36, 38, 39)] == [
        ("GSR", "gsr"),
        ("Plethysmograph", "ppg"),
        ("Temperature", "temp"),
    ]


@pytest.mark.journey
def test_rows_are_joined_to_trials_through_the_ratings_table_and_not_by_number(deap):
    corpus = open_corpus("deap", deap)
    recordings = {r.name: r for unit in corpus.units for r in corpus.recordings(unit)}
    assert len(recordings) == 6
    # Subject 1 saw experiment 3 first, then 1, then 2 (fakes.PRESENTED)
    first = recordings["s01_trial01"]
    assert (first.stimulus, first.row, first.trial, first.subject) == ("03", 2, "01", "s01")
    assert first.ratings == {"valence": 3.25, "arousal": 6.5, "dominance": 6.0, "liking": 5.0, "familiarity": 3.0}
    signals = corpus.signals(first)
    assert signals.onset == 3 * 128
    assert signals.samples[7, 0] == 1000 + 200 + 7  # subject 1, row 2, channel 7
    assert recordings["s02_trial01"].row == 1  # another order for subject 2


@pytest.mark.journey
def test_labels_that_are_not_the_ratings_refuse_the_subject_with_the_first_mismatch(deap):
    table = pd.read_csv(deap / RATINGS_FILE)
    table.loc[(table.Participant_id == 1) & (table.Experiment_id == 2), "Arousal"] = 2.0
    table.to_csv(deap / RATINGS_FILE, index=False)
    corpus = open_corpus("deap", deap)
    with pytest.raises(BadRecording, match=r"s01\.dat: .*arousal 2\.00 for Experiment_id 2.*found 7\.50 in row 1"):
        corpus.recordings("s01")
    assert len(corpus.recordings("s02")) == 3


def test_a_ratings_table_in_presentation_order_is_caught(deap):
    """The classic mistake: Trial taken for Experiment_id."""
    table = pd.read_csv(deap / RATINGS_FILE)
    table["Experiment_id"] = table["Trial"]
    table.to_csv(deap / RATINGS_FILE, index=False)
    with pytest.raises(BadRecording, match="labels equal to"):
        open_corpus("deap", deap).recordings("s01")


def test_a_missing_row_of_the_ratings_is_named(deap):
    table = pd.read_csv(deap / RATINGS_FILE)
    table[~((table.Participant_id == 1) & (table.Experiment_id == 2))].to_csv(deap / RATINGS_FILE, index=False)
    with pytest.raises(BadRecording, match="Experiment_id 2 for this participant"):
        open_corpus("deap", deap).recordings("s01")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("Valence", "much", "a rating from 1 to 9 in Valence, found 'much' in line 2"),
        ("Arousal", 12, r"a rating from 1 to 9 in Arousal, found '12.*' in line 2"),
        ("Trial", 1.5, r"a whole number from 1 to 10000 in Trial, found '1\.5' in line 2"),
        ("Participant_id", "9" * 400, "a whole number from 1 to 10000 in Participant_id, found '9{40}' in line 2"),
        ("Experiment_id", 10**15, "a whole number from 1 to 10000 in Experiment_id"),
        ("Liking", "9" * 400, "a rating from 1 to 9 in Liking, found '9{40}' in line 2"),
        ("Familiarity", "often", "a rating from 1 to 5, or nothing, in Familiarity, found 'often' in line 2"),
        ("Trial", 2, "each trial once, found Trial 2 of participant 1 twice"),
    ],
)
def test_a_number_that_cannot_be_is_named_with_its_line(deap, column, value, message):
    table = pd.read_csv(deap / RATINGS_FILE).astype({column: object})
    table.loc[0, column] = value
    table.to_csv(deap / RATINGS_FILE, index=False)
    with pytest.raises(BadRecording, match=message):
        read_ratings(deap / RATINGS_FILE)


def test_familiarity_has_a_scale_of_its_own_and_may_be_missing(deap):
    table = pd.read_csv(deap / RATINGS_FILE).sort_values(["Participant_id", "Trial"])
    table["Familiarity"] = [5, 6, None, *table["Familiarity"].iloc[3:]]
    table.to_csv(deap / RATINGS_FILE, index=False)
    corpus = open_corpus("deap", deap)
    assert {c.name: c.scale for c in corpus.labels} == {
        **dict.fromkeys(("valence", "arousal", "dominance", "liking"), (1, 9)), "familiarity": (1, 5)
    }  # fmt: skip
    first, second, third = next(u for u in check_corpus(corpus) if u.name == "s01").recordings
    assert (first.ratings["familiarity"], first.error) == (5, None)
    assert "s01_trial02: expected familiarity from 1 to 5, found 6" in second.error
    assert "familiarity" not in third.ratings and third.error is None


def test_missing_columns_and_files_of_the_ratings_are_named(deap):
    pd.read_csv(deap / RATINGS_FILE).drop(columns=["Trial", "Liking"]).to_csv(deap / RATINGS_FILE, index=False)
    with pytest.raises(BadRecording, match="found none named Trial, Liking"):
        open_corpus("deap", deap)
    (deap / RATINGS_FILE).unlink()
    with pytest.raises(BadRecording, match="no such file"):
        open_corpus("deap", deap)
    (deap / "metadata_xls").mkdir()
    (deap / "metadata_xls/participant_ratings.xls").write_bytes(b"x")
    with pytest.raises(BadRecording, match=r"only metadata_xls/participant_ratings\.xls.*save it as CSV"):
        open_corpus("deap", deap)


class Evil:
    def __reduce__(self):
        return os.system, ("touch ran",)


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(deap, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    dat(deap).write_bytes(pickle.dumps({"data": Evil(), "labels": Evil()}, protocol=2))
    with pytest.raises(BadRecording, match=r"it asks for (posix|nt)\.system"):
        read_dat(dat(deap), 3, 4)
    assert not (tmp_path / "ran").exists()


def test_a_pickle_cannot_reach_code_through_encode(deap):
    dat(deap).write_bytes(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.")
    with pytest.raises(BadRecording, match="asks to encode as 'hex'"):
        read_dat(dat(deap), 3, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes that do not unpickle"),
        (b"hello", "5 bytes that"),
        (pickle.dumps([1, 2]), "expected a dict with an array 'data', found list"),
        (pickle.dumps({"data": 1}), "found 'data'"),
        (pickle.dumps({"data": np.zeros((3, 32, 896)), "labels": np.zeros((3, 4))}, 2), r"found \(3, 32, 896\)"),
        (pickle.dumps({"data": np.zeros((3, 40, 896), int), "labels": np.zeros((3, 4))}, 2), "found dtype int64"),
    ],
)
def test_what_is_no_subject_is_refused_with_what_it_is(deap, content, message):
    dat(deap).write_bytes(content)
    with pytest.raises(BadRecording, match=message):
        read_dat(dat(deap), 3, 4)


def test_a_truncated_subject_says_that_the_download_may_be_cut_short(deap):
    dat(deap).write_bytes(dat(deap).read_bytes()[:100_000])
    with pytest.raises(BadRecording, match=r"s01\.dat.*100,000 bytes.*fetch it again"):
        read_dat(dat(deap), 3, 4)


def test_without_the_stamp_the_real_shape_is_insisted_on(tmp_path):
    corpus = open_corpus("deap", fakes.write_deap(tmp_path / "deap", stamped=False))
    assert not corpus.synthetic
    with pytest.raises(BadRecording, match=r"data of shape \(40, 40, 8064\), found \(3, 40, 896\)"):
        corpus.recordings("s01")


def test_a_damaged_stamp_is_not_taken_for_a_real_corpus(deap):
    (deap / "SYNTHETIC.json").write_text("{}")
    with pytest.raises(BadRecording, match=r"SYNTHETIC\.json: expected the stamp"):
        open_corpus("deap", deap)


def test_a_nan_refuses_its_trial_and_no_other(deap):
    samples = fakes.deap_samples(1)
    samples[1, 36, 500] = np.nan  # Experiment_id 2 is Trial 3
    labels = pickle.loads(dat(deap).read_bytes())["labels"]
    dat(deap).write_bytes(pickle.dumps({"data": samples, "labels": labels}, protocol=2))
    errors = {r.name: r.error for r in open_corpus("deap", deap).recordings("s01")}
    assert errors["s01_trial01"] is None and errors["s01_trial02"] is None
    assert "first in channel GSR at sample 500" in errors["s01_trial03"]


def test_a_flat_channel_is_a_warning(deap):
    samples = fakes.deap_samples(1)
    samples[0, 39] = 36.6
    labels = pickle.loads(dat(deap).read_bytes())["labels"]
    dat(deap).write_bytes(pickle.dumps({"data": samples, "labels": labels}, protocol=2))
    warnings = {r.name: r.warnings for r in open_corpus("deap", deap).recordings("s01")}
    assert warnings["s01_trial02"] == ("flat channels: Temperature",)


def test_a_video_for_a_trial_that_does_not_exist_is_an_error_of_its_own(deap):
    folder = deap / "face_video/s01"
    folder.mkdir(parents=True)
    (folder / "s01_trial02.avi").touch()
    (folder / "s01_trial41.avi").touch()
    recordings = {r.name: r for r in open_corpus("deap", deap).recordings("s01")}
    assert recordings["s01_trial02"].video == folder / "s01_trial02.avi"
    assert recordings["s01_trial01"].video is None
    assert "a name that belongs to none" in recordings["s01_trial41"].error


def test_files_that_macos_puts_beside_videos_are_not_taken(deap):
    folder = deap / "face_video/s01"
    folder.mkdir(parents=True)
    (folder / "s01_trial02.avi").touch()
    for path in (
        folder / "._s01_trial02.avi",
        folder / "._s01_trial41.avi",
        deap / "data_preprocessed_python/._s01.dat",
    ):
        path.write_bytes(b"\0\5\x16\7")
    corpus = open_corpus("deap", deap)
    recordings = corpus.recordings("s01")
    assert not any(unit.startswith(".") for unit in corpus.units)
    assert [r.video for r in recordings if r.video] == [folder / "s01_trial02.avi"]
    assert not any(r.error for r in recordings)


def test_no_corpus_says_what_is_missing(tmp_path):
    with pytest.raises(BadRecording, match="no such folder"):
        open_corpus("deap", tmp_path / "absent")
    with pytest.raises(BadRecording, match=r"data_preprocessed_python: expected subjects s01\.dat"):
        open_corpus("deap", tmp_path)
    with pytest.raises(BadConfig, match="there are affec, amigos, amigos-long, bids, case, deap"):
        open_corpus("seed", tmp_path)

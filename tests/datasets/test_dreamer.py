"""The DREAMER reader against a script of scipy alone, with signals that tell their own time, and what it refuses."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig
from gbvnet.datasets import open_corpus
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.dreamer import CHANNELS, EEG, FILE
from gbvnet.datasets.synthetic.matlab_file import cells, mat_bytes
from gbvnet.errors import BadRecording
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SECONDS = (5.0, 7.0)  # of the films
SCORES = {"ScoreValence": [[1, 4], [2, 5]], "ScoreArousal": [[5, 2], [3, 1]], "ScoreDominance": [[2, 2], [4, 3]]}


def during(rate_hz: int, channels: int, subject: int, film: int, baseline: bool) -> np.ndarray:
    """Each value is its own time: seconds, its subject in hundreds, its film in tens of thousands, its channel as a
    fraction; of the baseline negative, with 0 at its end."""
    n = round((61 if baseline else SECONDS[film]) * rate_hz)
    time_s = np.arange(n) / rate_hz - (61 if baseline else 0)
    return time_s[:, None] + 100 * subject + 10_000 * film + np.arange(channels) / 1000


def content() -> dict:
    subjects = []
    for subject in range(2):
        signals = {
            name: {part: cells((during(hz, n, subject, film, part == "baseline") for film in range(2)), (2, 1))
                   for part in ("baseline", "stimuli")}
            for name, hz, n in (("EEG", 128, 14), ("ECG", 256, 2))
        }  # fmt: skip
        scores = {name: np.array(values[subject], float).reshape(2, 1) for name, values in SCORES.items()}
        subjects.append({"Age": "24" if subject else 22.0, "Gender": "male", **signals, **scores})
    return {
        "Data": cells(subjects), "EEG_SamplingRate": 128.0, "ECG_SamplingRate": 256.0, "EEG_Electrodes": cells(EEG),
        "noOfSubjects": 2.0, "noOfVideoSequences": 2.0, "Version": "1.0.2",
    }  # fmt: skip


def write(root: Path, top: dict, mat73: bool = False) -> Path:
    root.mkdir(exist_ok=True)
    (root / FILE).write_bytes(mat_bytes({"DREAMER": top}, mat73))
    (root / "SYNTHETIC.json").write_text('{"stamp": "synthetic data", "trials": 2, "seconds": 5}')
    return root


@pytest.fixture
def top():
    return content()


@pytest.fixture
def root(tmp_path, top):
    return write(tmp_path / "dreamer", top)


def errors(root):
    units = list(check_corpus(open_corpus("dreamer", root)))
    return {u.name: u.error for u in units if u.error} | {r.name: r.error for u in units for r in u.recordings}


def by_scipy(root, subject, film):
    """A trial's signals, baselines and ratings as a user of scipy reads them."""
    one = scipy.io.loadmat(root / FILE, simplify_cells=True)["DREAMER"]["Data"][subject]
    ratings = [float(one[name][film]) for name in ("ScoreValence", "ScoreArousal", "ScoreDominance")]
    arrays = [one[signals][part][film] for part in ("stimuli", "baseline") for signals in ("EEG", "ECG")]
    return ratings, *arrays


@pytest.mark.journey
def test_signals_ratings_and_stimulus_are_those_of_a_script_with_scipy_alone(root):
    corpus = open_corpus("dreamer", root)
    assert corpus.units == ("s01", "s02") and corpus.channels == CHANNELS and corpus.synthetic
    for s, unit in enumerate(corpus.units):
        recordings = corpus.recordings(unit)
        assert [(r.name, r.trial, r.stimulus) for r in recordings] == [
            (f"{unit}_f01", "01", "01"), (f"{unit}_f02", "02", "02")
        ]  # fmt: skip
        for film, recording in enumerate(recordings):
            assert recording.error is None and recording.seconds == SECONDS[film]
            ratings, eeg, ecg, eeg_before, ecg_before = by_scipy(root, s, film)
            assert [recording.ratings[name] for name in ("valence", "arousal", "dominance")] == ratings
            got = corpus.signals(recording)
            assert (got.onset, got.rate_hz, got.rates_hz) == (0, 256, (128,) * 14 + (256,) * 2)
            assert np.array_equal(np.stack(got.samples[:14]), eeg.T) and np.array_equal(got.samples[14:], ecg.T)
            before = got.baseline_signals
            assert np.array_equal(np.stack(before.samples[:14]), eeg_before.T)
            assert np.array_equal(before.samples[14:], ecg_before.T)
            assert before.baseline == (256, 61 * 256)  # the last 60 of 61 s


@pytest.mark.journey
def test_the_store_has_each_window_at_its_own_time(root, tmp_path):
    prepare_store(open_corpus("dreamer", root), tmp_path / "store", PrepareConfig(filter=False, baseline="none"))
    store = open_store(tmp_path / "store")
    x = store.read(np.arange(len(store)), faces=False)[2]
    assert len(store) == 2 * (5 + 7)
    for k, row in store.windows.iterrows():
        subject, film = int(row["subject"][1:]) - 1, int(row["stimulus"]) - 1
        wanted = row["start_s"] + np.arange(128) / 128 + 100 * subject + 10_000 * film
        assert np.abs(x[k, :14] - np.arange(14)[:, None] / 1000 - wanted).max() < 1 / 256  # half a sample of EEG
        middle = slice(16, -16)  # the filter of 256 to 128 Hz repeats the first and last sample outside
        assert np.abs(x[k, 14:, middle] - np.arange(2)[:, None] / 1000 - wanted[middle]).max() < 1 / 256
    baseline = store.baseline("s02_f01")
    assert baseline.shape == (16, 60 * 128)
    assert np.abs(baseline[0] - (np.arange(-60 * 128, 0) / 128 + 100)).max() < 1 / 256
    assert store.windows.iloc[0][["valence", "arousal", "dominance"]].tolist() == [1, 5, 2]


@pytest.mark.journey
def test_the_two_versions_of_matlab_files_give_the_same_store(top, root, tmp_path):
    pytest.importorskip("h5py")
    other = write(tmp_path / "hdf5", top, mat73=True)
    one, same = open_corpus("dreamer", root), open_corpus("dreamer", other)
    for unit in one.units:
        for a, b in zip(one.recordings(unit), same.recordings(unit), strict=True):
            assert (a.ratings, a.seconds, a.error, a.scales) == (b.ratings, b.seconds, b.error, b.scales)
            for x, y in zip(one.signals(a).samples, same.signals(b).samples, strict=True):
                assert np.array_equal(x, y)


def test_a_corpus_that_is_none_says_what_is_missing(tmp_path):
    with pytest.raises(
        BadRecording, match=r"DREAMER\.mat: expected the file of the corpus, found an empty folder\. Ask"
    ):
        open_corpus("dreamer", tmp_path)
    (tmp_path / FILE).write_bytes(b"PK\3\4 a zip archive")
    with pytest.raises(BadRecording, match=r"a MATLAB file of version 5 to 7\.3, found 18 bytes that begin with b'PK"):
        open_corpus("dreamer", tmp_path)
    (tmp_path / FILE).write_bytes(mat_bytes({"EEG": 1.0}))
    with pytest.raises(BadRecording, match=r"expected a struct DREAMER, found EEG\. Is it the file of the corpus"):
        open_corpus("dreamer", tmp_path)
    (tmp_path / FILE).write_bytes(mat_bytes({"DREAMER": {"Data": 1.0}}))
    with pytest.raises(BadRecording, match=r"cells, one for each subject, in DREAMER\.Data, found double of 1 x 1"):
        open_corpus("dreamer", tmp_path)


@pytest.mark.journey
def test_without_the_stamp_the_real_numbers_are_insisted_on(root):
    (root / "SYNTHETIC.json").unlink()
    with pytest.raises(BadRecording, match=r"expected 23 subjects in DREAMER\.Data, found 2"):
        open_corpus("dreamer", root)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("EEG_SamplingRate", 256.0, r"expected 128 in DREAMER\.EEG_SamplingRate, found 256\.0"),
        ("ECG_SamplingRate", 128.0, r"expected 256 in DREAMER\.ECG_SamplingRate"),
        ("EEG_Electrodes", cells([*EEG[1:], EEG[0]]), r"expected AF3, F7.* in DREAMER\.EEG_Electrodes, found F7"),
        ("noOfVideoSequences", 18.0, r"expected 2 in DREAMER\.noOfVideoSequences, found 18"),
    ],
)
def test_properties_that_the_file_states_otherwise_are_refused(top, tmp_path, name, value, message):
    top[name] = value
    root = write(tmp_path / "other", top)
    with pytest.raises(BadRecording, match=message):
        open_corpus("dreamer", root).recordings("s01")


def change(subject, path, value):
    """Set a part of a subject: "EEG.stimuli" of its second film, or a field."""
    *parts, last = path.split(".")
    for part in parts:
        subject = subject[part]
    if isinstance(subject.get(last), np.ndarray) and subject[last].dtype == object:
        subject[last][1, 0] = value
    else:
        subject[last] = value


@pytest.mark.journey
@pytest.mark.parametrize(
    ("path", "value", "which", "message"),
    [
        ("ScoreValence", np.array([[1.0], [3.5]]), "s01_f02", r"from 1 to 5 for s01_f02 in ScoreValence, .*3\.5"),
        ("ScoreArousal", np.array([[1.0], [6.0]]), "s01_f02", "ScoreArousal, found 6"),
        ("ScoreDominance", np.array([[1.0], [np.nan]]), "s01_f02", "ScoreDominance, found nan"),
        ("ScoreValence", np.ones((3, 1)), "s01", r"expected 2 ratings in .*\{1\}\.ScoreValence, found double of 3"),
        ("ScoreValence", "much", "s01", r"expected numbers in DREAMER\.Data\{1\}\.ScoreValence, found char"),
        ("EEG.stimuli", np.ones((640, 13)), "s01_f02", r"14 channels in .*EEG\.stimuli\{2\}, found double of 640 x 13"),
        ("EEG.stimuli", np.ones((0, 14)), "s01_f02", "found double of 0 x 14"),
        ("EEG.stimuli", "x", "s01_f02", "found char of 1 x 1"),
        ("ECG.stimuli", np.ones((900, 2)), "s01_f02", r"twice as many samples of ECG.*found 900 of ECG and 896 of EEG"),
        ("ECG.stimuli", np.full((1792, 2), np.nan), "s01_f02", "1,792 of 1,792 NaN or infinite in channel ECG1"),
        ("EEG.baseline", np.ones((640, 14)), "s01_f02", "samples of ECG"),
        ("EEG.baseline", np.full((61 * 128, 14), np.inf), "s01_f02", "finite samples in the baseline of s01_f02"),
        ("EEG", {"stimuli": 1.0, "baseline": 1.0}, "s01", r"expected 2 cells in DREAMER\.Data\{1\}\.EEG\.stimuli"),
        ("ECG", {"stimuli": 1.0}, "s01", r"expected 2 cells in .*ECG\.stimuli, found double"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_one_costs_no_other(top, tmp_path, capsys, path, value, which, message):
    change(top["Data"][0, 0], path, value)
    root = write(tmp_path / "bad", top)
    bad = {name: error for name, error in errors(root).items() if error}
    assert list(bad) == [which] and re.search(message, bad[which]), bad
    assert str(root / FILE) in bad[which]
    assert main(["check", "dreamer", str(root), "--jobs", "1"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    summary = prepare_store(open_corpus("dreamer", root), tmp_path / "store", PrepareConfig(faces=False))
    assert len(summary.bad) == 1 and summary.n_prepared == (3 if "_" in which else 2)


@pytest.mark.journey
def test_baselines_of_other_lengths_are_reported_and_short_ones_refused(top, tmp_path):
    for name, hz, n in (("EEG", 128, 14), ("ECG", 256, 2)):
        top["Data"][0, 0][name]["baseline"][0, 0] = np.random.default_rng(0).normal(size=(round(60.5 * hz), n))
        top["Data"][0, 1][name]["baseline"][0, 0] = np.random.default_rng(0).normal(size=(50 * hz, n))
    corpus = open_corpus("dreamer", write(tmp_path / "short", top))
    one = corpus.recordings("s01")[0]
    assert one.error is None and "60.50 s of baseline, not 61; the last 60 are used" in one.warnings
    assert corpus.signals(one).baseline_signals.baseline == (128, 60.5 * 256)
    assert "expected 61 s of baseline for s02_f01, found 50.00 s" in corpus.recordings("s02")[0].error


@pytest.mark.journey
def test_of_a_truncated_file_the_first_subjects_are_used_and_it_is_reported(root):
    whole = (root / FILE).read_bytes()
    (root / FILE).write_bytes(whole[: len(whole) * 6 // 10])
    got = errors(root)
    assert got["s01_f01"] is None and got["s01_f02"] is None
    assert "it is truncated. The download may be cut short or changed; fetch it again." in got["s02"]
    corpus = open_corpus("dreamer", root)
    (warning,) = corpus.recordings("s01")[0].warnings
    assert re.match("the rates and electrodes that the file states were not compared: .*it is truncated", warning)
    assert any("truncated" in note for note in corpus.notes())


@pytest.mark.journey
def test_notes_name_ratings_in_the_middle_and_films_that_differ(top, root, tmp_path):
    assert open_corpus("dreamer", root).notes() == (
        "ratings in the middle of the scale, 3: 0 of valence, 1 of arousal, 1 of dominance, of 4 each; "
        "the default rule >=3 counts them as high, --rule '>3' as low",
    )
    for name, hz, n in (("EEG", 128, 14), ("ECG", 256, 2)):
        top["Data"][0, 1][name]["stimuli"][1, 0] = during(hz, n, 0, 1, False)[: 4 * hz]
    notes = open_corpus("dreamer", write(tmp_path / "differ", top)).notes()
    assert notes[1] == "film 02 lasts 4.0 to 7.0 s by subject"

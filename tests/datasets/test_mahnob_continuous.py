"""MAHNOB-HCI's continuous valence: as scipy reads it, in the store at the planted lag, or refused."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from gbvnet.config import PrepareConfig
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.mahnob_continuous import FILE, ContinuousValence
from gbvnet.datasets.mahnob_session import LABELS
from gbvnet.datasets.synthetic.affect_curve import curve_at
from gbvnet.datasets.synthetic.mahnob import Settings
from gbvnet.datasets.synthetic.matlab_file import cells, mat_bytes
from gbvnet.errors import BadConfig, BadRecording
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SETTINGS = Settings(subjects=2, trials=2, seconds=6, videos=0, seed=3, continuous=True)
SIGNALS_ONLY = PrepareConfig(faces=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """2 subjects, 2 films of 6 and 7 s each, with the file; the annotators did not move in the last film of each."""
    root = tmp_path_factory.mktemp("whole") / "mahnob"
    write_synthetic("mahnob", root, SETTINGS)
    return root


@pytest.fixture
def mine(whole, tmp_path):
    """A copy to change."""
    return shutil.copytree(whole, tmp_path / "mahnob")


def recordings(root):
    return {r.name: r for unit in check_corpus(open_corpus("mahnob", root)) for r in unit.recordings}


def put(root, labels, rows, folder="."):
    """Write a file of continuous labels."""
    file = root / folder / FILE
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_bytes(mat_bytes({"labels": cells(labels), "trials_included": np.array(rows, float)}))
    return file


def contents(folder: Path):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*"))
            if f.is_file() and "locks" not in f.parts}  # fmt: skip


@pytest.mark.journey
def test_each_trace_is_what_a_script_of_scipy_reads(whole):
    mat = scipy.io.loadmat(whole / FILE)
    wanted = {}
    for (subject, trial), values in zip(mat["trials_included"].astype(int), mat["labels"].ravel(), strict=True):
        wanted[f"p{subject:02d}_s{(subject - 1) * 130 + trial}"] = values.ravel()
    made = recordings(whole)
    assert len(made) == 4 and set(made) < set(wanted)  # one trial is not in the corpus
    for name, recording in made.items():
        trace = recording.traces["annotated_valence"]
        assert np.array_equal(trace.values, wanted[name]), name
        assert np.array_equal(trace.times_s, np.arange(len(wanted[name])) / 4)
        assert abs(len(trace.values) / 4 - recording.seconds) < 0.25


@pytest.mark.journey
def test_the_label_has_a_set_of_its_own_and_absent_trials_are_counted(whole):
    corpus = open_corpus("mahnob", whole)
    assert corpus.labels[:-1] == LABELS
    column = corpus.labels[-1]
    assert (column.name, column.label_set, column.of, column.trace) == ("annotated_valence", "annotated", "", True)
    [note] = [note for note in corpus.notes() if "annotat" in note]
    assert note.endswith(f"4 of 5 trials of {FILE} are here; sessions that are not: {29 * 130 + 40}")
    assert not any("annotat" in note for note in corpus.notes("p01"))


@pytest.mark.journey
def test_without_the_file_labels_and_the_store_are_those_of_before_to_the_byte(whole, mine, tmp_path):
    (mine / FILE).unlink()
    corpus = open_corpus("mahnob", mine)
    assert corpus.labels == LABELS and corpus.source == ""
    assert not any(r.traces for r in recordings(mine).values())
    prepare_store(corpus, tmp_path / "without", SIGNALS_ONLY)
    prepare_store(open_corpus("mahnob", whole), tmp_path / "with", SIGNALS_ONLY)
    without, there = ({**json.loads((tmp_path / name / "store.json").read_text())} for name in ("without", "with"))
    assert list(without["labels"]) == [column.name for column in LABELS]
    assert there["labels"].pop("annotated_valence") == {"scale": [-1, 1], "set": "annotated", "trace": True}
    assert there == without
    (mine / FILE).write_bytes((whole / FILE).read_bytes())
    (mine / FILE).rename(mine / "another name.mat")
    prepare_store(open_corpus("mahnob", mine), tmp_path / "again", SIGNALS_ONLY)
    assert contents(tmp_path / "again") == contents(tmp_path / "without")
    assert open_store(tmp_path / "again").digest != open_store(tmp_path / "with").digest


@pytest.mark.journey
def test_the_writer_without_the_option_writes_the_sessions_of_before(whole, tmp_path):
    write_synthetic("mahnob", tmp_path, Settings(subjects=2, trials=2, seconds=6, videos=0, seed=3))
    stamp = json.loads((tmp_path / "SYNTHETIC.json").read_text())
    assert "continuous" not in stamp["config"] and "lag_s" not in stamp and not (tmp_path / FILE).exists()
    assert not any(key in trial for trial in stamp["truth"] for key in ("curve", "moved"))
    with pytest.raises(BadConfig, match=r"lag_s is 1\.0 and needs continuous"):
        Settings(lag_s=1.0)


@pytest.mark.journey
def test_in_the_store_the_ratings_follow_the_planted_curve_at_the_lag_to_a_step(whole, tmp_path):
    prepare_store(open_corpus("mahnob", whole), tmp_path, SIGNALS_ONLY)
    store, truth = open_store(tmp_path), json.loads((whole / "SYNTHETIC.json").read_text())
    for trial in truth["truth"]:
        times_s, values = store.trace(trial["recording"], "annotated_valence")
        if not trial["moved"]:
            assert (values == 0).all()
            continue
        lags = np.arange(0, 5, 0.05)
        errors = [np.abs(values - 0.8 * curve_at(trial["curve"], times_s - lag)).max() for lag in lags]
        assert abs(lags[np.argmin(errors)] - truth["lag_s"]) < 0.25  # a step
        assert min(errors) < 1e-3


@pytest.mark.journey
def test_signals_and_face_follow_the_curve_at_once(tmp_path):
    config = Settings(subjects=1, trials=1, seconds=60, videos=0, seed=1, continuous=True, fingerprint=0.0, effect=1.0)
    write_synthetic("mahnob", tmp_path, config)
    corpus = open_corpus("mahnob", tmp_path)
    [recording] = corpus.recordings("p01")
    signals = corpus.signals(recording)
    names = [c.name for c in signals.channels]
    rate, onset = round(signals.rate_hz), round(signals.onset)
    left, right = (signals.samples[[names.index(n) for n in group]] for group in (("F3", "F7"), ("F4", "F8")))

    def log_alpha(x):
        pieces = x[:, onset : onset + 60 * rate].reshape(len(x), 60, rate)
        power = np.abs(np.fft.rfft(pieces - pieces.mean(axis=2, keepdims=True))) ** 2
        return np.log(power[..., 9:12].sum(axis=2)).mean(axis=0)

    asymmetry = log_alpha(right) - log_alpha(left)
    trace = recording.traces["annotated_valence"]

    def agreement(lag_s):
        at = np.arange(52) + 0.5
        return np.corrcoef(asymmetry[:52], np.interp(at + lag_s, trace.times_s, trace.values))[0, 1]

    agreements = {lag_s: agreement(lag_s) for lag_s in (0.0, 1.2, 2.4, 3.6, 4.8)}
    assert max(agreements, key=agreements.get) == 2.4
    assert agreements[2.4] > agreements[0.0] + 0.1 and agreements[2.4] > 0.6


@pytest.mark.journey
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((1, 27)), "annotated_valence is 0 all the time"),
        (np.zeros((1, 12)), r"expected \d\.\d s of labels for session 2, as long as its film, to 2 s, found 3 s"),
        (np.zeros((1, 40)), r"found 10 s \(40 values, 4 a second\): annotated_valence is not used"),
        (np.full((1, 24), 1.5), r"values from -1 to 1 in labels\{1\}, found 1\.5 \(24 of 24 values\)"),
        (np.full((1, 24), np.nan), r"values from -1 to 1 in labels\{1\}, found nan"),
        (np.zeros((2, 12)), r"one row or one column of numbers in labels\{1\}, found double of 2 x 12"),
        (np.zeros((0, 0)), r"one row or one column of numbers in labels\{1\}, found double of 0 x 0"),
        ("text", r"expected numbers in labels\{1\}, found char of 1 x 4"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_leave_the_recording_without_a_trace_and_a_warning(mine, values, message):
    put(mine, [values, np.linspace(-1, 1, 24)[:, None]], [(1, 2), (1, 4)])
    one, other = (recordings(mine)[name] for name in ("p01_s2", "p01_s4"))
    assert one.error is None and one.ratings and other.error is None
    assert any(re.search(message, warning) and FILE in warning for warning in one.warnings), one.warnings
    assert bool(one.traces) == ("all the time" in message)
    assert other.traces["annotated_valence"].values[0] == -1  # a column is as good as a row
    assert not recordings(mine)["p02_s132"].traces


@pytest.mark.journey
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a file of MATLAB", r"a MATLAB file of version 5 to 7\.3, found 20 bytes"),
        (mat_bytes({"labels": cells([np.zeros(3)])}), "expected variables labels and trials_included, found labels"),
        (mat_bytes({"labels": 1.0, "trials_included": 1.0}), "a cell for each trial in labels, found double of 1 x 1"),
        (
            mat_bytes({"labels": cells([np.zeros(3)]), "trials_included": np.array([[1, 2], [1, 4]])}),
            "expected 2 cells in labels, as many as rows in trials_included, found 1",
        ),
        (
            mat_bytes({"labels": cells([np.zeros(3)]), "trials_included": np.array([[1, 2, 3]])}),
            "rows of a subject and a trial in trials_included, found .* of 1 x 3",
        ),
        (
            mat_bytes({"labels": cells([np.zeros(3)]), "trials_included": np.array([[1.0, 130.0]])}),
            "a trial from 1 to 129 in each row of trials_included, found 1 and 130 in row 1",
        ),
        (
            mat_bytes({"labels": cells([np.zeros(3)] * 2), "trials_included": np.array([[1, 2], [1, 2]])}),
            "each trial once in trials_included, found subject 1, trial 2 in rows 1 and 2",
        ),
    ],
)
def test_a_damaged_file_is_one_refusal_with_what_to_do(mine, content, message):
    (mine / FILE).write_bytes(content)
    with pytest.raises(BadRecording, match=message) as refused:
        open_corpus("mahnob", mine)
    assert FILE in str(refused.value)
    assert str(refused.value).endswith("Without this file the recordings are read as before.")


def test_the_file_is_looked_for_two_folders_deep_and_two_of_them_are_refused(mine):
    content = (mine / FILE).read_bytes()
    (mine / FILE).unlink()
    for folder, known in (("continuous", True), ("a/b", True), ("a/b/c", False)):
        (mine / folder).mkdir(parents=True, exist_ok=True)
        (mine / folder / FILE).write_bytes(content)
        assert (ContinuousValence.below(mine) is not None) == known
        (mine / folder / FILE).unlink()
    for folder in ("continuous", "."):
        (mine / folder / FILE).write_bytes(content)
    with pytest.raises(BadRecording, match=rf"expected one file {FILE}, found continuous/{FILE}, {FILE}\. Take all"):
        open_corpus("mahnob", mine)

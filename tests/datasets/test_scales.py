"""Recordings, and models, whose signals are of unlike size: by another unit, which nothing else tells."""

import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig
from gbvnet.datasets import open_corpus
from gbvnet.datasets.check import check_corpus, group_notes, scale_notes
from gbvnet.datasets.units import impossible, scale_of, unit_disagreements, unlike_training
from gbvnet.store.prepare import prepare_store

RATE_HZ, SECONDS = 64, 30
TIME = np.arange(RATE_HZ * SECONDS) / RATE_HZ


def write_table(folder, factors, channel="EDA"):
    """One recording for each subject, of one channel that is multiplied by a factor."""
    rng = np.random.default_rng(0)
    rows = ["subject,trial,signals,start_s,stop_s,valence"]
    for subject, factor in factors.items():
        level = rng.uniform(2, 10) if channel == "EDA" else 0
        x = level + rng.standard_normal(len(TIME)) * (0.05 if channel == "EDA" else 20)
        pd.DataFrame({"time": TIME, channel: x * factor}).to_csv(folder / f"{subject}.csv", index=False)
        rows.append(f"{subject},1,{subject}.csv,10,20,{'7' if subject < 'c' else '2'}")
    (folder / "recordings.csv").write_text("\n".join(rows) + "\n")
    return open_corpus("table", folder)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("channel", "factors"),
    [("EDA", {"a": 1, "b": 1, "c": 1e-3, "d": 1}), ("EDA", {"a": 1, "b": 1, "c": 1e-6, "d": 1}),
     ("Fp1", {"a": 1, "b": 1, "c": 1e3, "d": 1}), ("ECG", {"a": 1, "b": 1, "c": 1e-3, "d": 1})],
)  # fmt: skip
def test_one_recording_in_another_unit_is_reported_by_check_and_by_prepare(channel, factors, tmp_path):
    corpus = write_table(tmp_path, factors, channel)
    [message] = scale_notes(list(check_corpus(corpus)))
    assert message.startswith(f"{channel}: about ")
    assert "in a_1, b_1, d_1; about" in message and " in c_1: are all" in message
    [of_store] = prepare_store(corpus, tmp_path / "store", PrepareConfig(faces=False)).scale_warnings
    assert "in a_1, b_1, d_1; about" in of_store and " in c_1: are all recordings in one unit?" in of_store
    again = prepare_store(corpus, tmp_path / "store", PrepareConfig(faces=False))  # nothing is made anew
    assert (again.n_reused, again.scale_warnings) == (4, [of_store])


@pytest.mark.journey
@pytest.mark.parametrize("channel", ["EDA", "Fp1"])
def test_subjects_differ_and_that_is_no_unit(channel, tmp_path):
    corpus = write_table(tmp_path, {"a": 1, "b": 0.2, "c": 3, "d": 0.05}, channel)
    assert scale_notes(list(check_corpus(corpus))) == []
    assert prepare_store(corpus, tmp_path / "store", PrepareConfig(faces=False)).scale_warnings == []


def test_a_resistance_beside_conductances_is_reported():
    messages = unit_disagreements({"a": {"GSR": 5.0}, "b": {"GSR": 2e5}, "c": {"GSR": 3.0}, "flat": {"GSR": 0.0}})
    assert messages == ["GSR: about 4 in a, c; about 2e+05 in b: are all recordings in one unit?"]
    many = {name: {f"ch{k}": size for k in range(32)} for name, size in (("a", 10.0), ("b", 1e-5))}
    [message] = unit_disagreements(many)
    assert message.startswith("ch0: about 1e-05 in b; about 10 in a (and so 31 more channels)")


def test_values_that_no_body_has():
    rows = [np.full(9, x) for x in (1e6, 5.0, 300.0, 33.0, 1.0, 91.0, 5e4)]
    kinds = ["gsr", "gsr", "temp", "temp", "gsr", "temp", "gsr"]
    units = ["uS", "uS", "C", "C", "ohm", "", ""]
    messages = impossible(kinds, list("abcdefg"), rows, units)
    assert [line[0] for line in messages] == ["a", "c", "e", "f"]
    assert messages[0] == "a: a skin conductance of 1e+06 uS is not possible: is its unit another?"


def test_how_large_a_signal_is_does_not_depend_on_drift_or_artefacts():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(10_000) * 20
    drifting = x + np.linspace(0, 4_000, len(x)) + 1e6 * (np.arange(len(x)) % 5000 == 0)
    assert scale_of("eeg", drifting, 256) == pytest.approx(scale_of("eeg", x, 256), rel=0.6)
    assert scale_of("eeg", np.zeros(100), 256) == 0 and scale_of("gsr", np.full(9, -5.0), 4) == 5


def test_a_recording_unlike_the_training_is_reported():
    x = np.random.default_rng(2).standard_normal((6, 3, 128)) * np.array([20, 0.1, 2e-5])[:, None]
    assert unlike_training(["Fp1", "EDA", "O1"], x, np.array([20, 0.1, 20])) == [
        "signals vary far more or less than in training: O1 (1e+06 times less): is their unit that of the training?"
    ]
    assert unlike_training(["Fp1", "EDA", "O1"], x, np.array([60, 0.5, 1e-5])) == []


def test_equal_notes_are_given_once():
    flat = [(f"s{k:02d}", "flat channels: Fp1") for k in range(40)]
    assert group_notes(flat, 40) == ["all 40 recordings  flat channels: Fp1"]
    assert group_notes(flat[:5], 40) == ["5 recordings (s00, s01, s02 and 2 more)  flat channels: Fp1"]
    late = [("a", "the video ends 1.5 s early"), ("b", "the video ends 2 s early"), ("c", "flat channels: Fp2")]
    assert group_notes([*late, ("d", "flat channels: Fp1")], 9) == [
        "2 recordings (a, b)  the video ends 1.5 s early (numbers of a; those of the others differ)",
        "c  flat channels: Fp2", "d  flat channels: Fp1",
    ]  # fmt: skip


@pytest.mark.journey
def test_the_commands_say_so(tmp_path, capsys):
    write_table(tmp_path, {"a": 1, "b": 1, "c": 1e-3, "d": 1})
    for command in (["check", "table", str(tmp_path)], ["prepare", "table", str(tmp_path), str(tmp_path / "st")]):
        assert main([*command, "--jobs", "1"]) == 0
        shown = capsys.readouterr().out
        assert "note EDA: about" in shown and " in c_1: are all recordings in one unit?" in shown

"""The synthetic CASE: files as the real ones are, the same each time, and a joystick that follows the signals later."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig, from_dict
from gbvnet.datasets import open_corpus, synthetic_settings, write_synthetic
from gbvnet.datasets.label_traces import window_labels
from gbvnet.datasets.synthetic.affect_curve import curve_at
from gbvnet.datasets.synthetic.case import Settings
from gbvnet.errors import BadConfig
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SMALL = {"subjects": 2, "trials": 3, "seconds": 3}


def content(root):
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("synth") / "case"
    write_synthetic("case", root, Settings(**SMALL))
    return root


@pytest.mark.journey
def test_the_columns_rates_and_ids_are_the_real_ones(corpus):
    for subject in (1, 2):
        signals = pd.read_csv(corpus / f"data/interpolated/physiological/sub_{subject}.csv")
        joystick = pd.read_csv(corpus / f"data/interpolated/annotations/sub_{subject}.csv")
        assert list(signals) == "daqtime ecg bvp gsr rsp skt emg_zygo emg_coru emg_trap video".split()
        assert list(joystick) == "jstime valence arousal video".split()
        assert (np.diff(signals.daqtime) == 1).all() and (np.diff(joystick.jstime) == 50).all()
        assert signals.video.iloc[0] == 10 and signals.video.iloc[-1] == 12
        shown = [v for v, before in zip(signals.video, signals.video.shift(), strict=True) if v != before]
        assert shown[1:-1:2] == [11, 11, 11] and sorted(shown[2:-1:2]) == [1, 2, 3]
        assert joystick[["valence", "arousal"]].to_numpy().min() >= 0.5
        assert joystick[["valence", "arousal"]].to_numpy().max() <= 9.5
        assert 30 < signals.skt.mean() < 36 and 0.5 < signals.gsr.mean() < 20 and signals.emg_zygo.min() > 0
        assert 0.1 < signals.ecg.std() < 1 and 20 < signals.bvp.mean() < 80  # mV and %


@pytest.mark.journey
def test_raw_files_have_volts_seconds_an_uneven_joystick_and_no_names(tmp_path):
    write_synthetic("case", tmp_path, Settings(**SMALL, layout="raw"))
    signals = pd.read_csv(tmp_path / "data/raw/physiological/sub1_DAQ.txt", sep="\t", header=None)
    joystick = pd.read_csv(tmp_path / "data/raw/annotations/sub1_joystick.txt", sep="\t", header=None)
    assert signals.shape[1] == 9 and joystick.shape[1] == 3
    assert signals.iloc[:, 1:].to_numpy().min() >= 0 and signals.iloc[:, 1:].to_numpy().max() < 5
    assert joystick[[1, 2]].abs().to_numpy().max() <= 26225 and set(joystick.dtypes[1:].astype(str)) == {"int64"}
    steps = np.diff(joystick[0])
    assert steps.min() > 0.03 and steps.max() < 0.07 and steps.std() > 0.003
    assert "\t\n" in (tmp_path / "metadata/videos_duration.txt").read_text()
    order = pd.read_csv(tmp_path / "metadata/seqs_order.txt", sep="\t")
    assert list(order) == ["sub1", "sub2"] and order["sub1"].tolist() != order["sub2"].tolist()


@pytest.mark.journey
def test_the_same_settings_write_the_same_bytes_with_any_number_of_processes(corpus, tmp_path):
    write_synthetic("case", tmp_path, Settings(**SMALL), jobs=2)
    assert content(tmp_path) == content(corpus)


@pytest.mark.journey
def test_the_ratings_are_the_planted_curves_late_and_one_trial_never_moves(corpus):
    truth = json.loads((corpus / "SYNTHETIC.json").read_text())
    opened = open_corpus("case", corpus)
    recordings = {r.name: r for unit in opened.units for r in opened.recordings(unit)}
    assert sorted(recordings) == sorted(t["recording"] for t in truth["truth"])
    assert [sum(not t["moved"] for t in truth["truth"] if t["subject"] == s) for s in ("s01", "s02")] == [1, 1]
    for trial in truth["truth"]:
        recording = recordings[trial["recording"]]
        assert recording.seconds == trial["seconds"]
        for name in ("valence", "arousal"):
            trace = recording.traces[name]
            wanted = 5 + 4.5 * 0.9 * curve_at(trial["curves"][name], trace.times_s - truth["lag_s"]) * trial["moved"]
            inside = trace.times_s > 0.1  # where it is between two screens, it is interpolated from the middle
            assert np.abs(trace.values - wanted)[inside].max() < 0.08, trial["recording"]


@pytest.mark.journey
def test_a_model_at_the_lag_of_the_joystick_beats_one_without(tmp_path):
    write_synthetic("case", tmp_path / "corpus", Settings(subjects=4, trials=2, seconds=40, seed=1))
    prepare_store(open_corpus("case", tmp_path / "corpus"), tmp_path / "store", PrepareConfig())
    store = open_store(tmp_path / "store")
    x = store.read(np.arange(len(store)), faces=False)[2]
    features = np.concatenate([x.mean(axis=2), np.log(x.std(axis=2) + 1e-9)], axis=1)
    windows = store.windows

    def correlation(lag_s):
        y = np.full(len(windows), np.nan)
        for name, rows in windows.groupby("recording").groups.items():
            y[rows] = window_labels(*store.trace(name, "valence"), windows.loc[rows, "start_s"], 1.0, lag_s)
        moves = windows["recording"].map(lambda n: np.ptp(store.trace(n, "valence")[1]) > 0).to_numpy()
        used = ~np.isnan(y) & moves & (windows["start_s"] < 36).to_numpy()
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 4, 9)))
        groups = windows["subject"].to_numpy()[used]
        predicted = cross_val_predict(model, features[used], y[used], cv=GroupKFold(4), groups=groups)
        return np.corrcoef(predicted, y[used])[0, 1]

    scores = {lag_s: correlation(lag_s) for lag_s in (0.0, 1.2, 2.4, 3.6)}
    assert max(scores, key=scores.get) == 2.4
    assert scores[2.4] > 0.5 and scores[2.4] > scores[0.0] + 0.1, scores


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"videos": 2}, "videos must be left out or 0, not 2: CASE has none"),
        ({"face": 0.5}, r"face must be left out, and is 0\.5"),
        ({"evidence": ("Cz",)}, "evidence must be left out"),
        ({"subjects": 31}, "subjects must be 1 to 30 here, not 31"),
        ({"trials": 9}, "trials must be 1 to 8 here, not 9"),
        ({"lag_s": -1.0}, r"lag_s must be 0 to 20, not -1\.0"),
        ({"layout": "initial"}, "layout must be interpolated, non-interpolated, raw, not initial"),
    ],
)
def test_settings_that_this_format_has_not_are_refused(settings, message):
    with pytest.raises(BadConfig, match=message):
        from_dict(synthetic_settings("case"), settings)


@pytest.mark.journey
def test_from_the_command_line_to_a_report(tmp_path, capsys):
    root, store, run, report = (str(tmp_path / name) for name in ("case", "store", "run", "report"))
    size = ("--subjects", "3", "--trials", "3", "--seconds", "8")
    assert main(["synth", "case", root, *size]) == 0
    assert main(["check", "case", root, "--jobs", "1"]) == 0
    assert "9 good recordings of 3 subjects, 0 with a video; 0 bad" in capsys.readouterr().out
    assert main(["prepare", "case", root, store, "--jobs", "1"]) == 0
    words = ("--protocol", "subject", "--folds", "3", "--target", "valence", "--task", "regression")
    ridge = ("--modality", "bio", "--system", "ridge", "--lag_s", "2.4")
    assert main(["crossval", store, run, *words, *ridge]) == 0
    assert "valence, 0.5" in " ".join(capsys.readouterr().out.split())
    assert main(["report", run, report]) == 0
    text = (tmp_path / "report/report.md").read_text()
    assert "Valence as a number from 0.5 to 9.5, case (synthetic data)" in text
    assert "valence for less than 80% of the window, at lag 2.4 s" in text

"""A synthetic table has every kind of label, and signals that show each of them as strongly as asked; the joystick's
ratings come late."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbvnet.config import PrepareConfig, from_dict
from gbvnet.datasets import open_corpus, synthetic_settings, write_synthetic
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.label_traces import window_labels
from gbvnet.datasets.synthetic.table import CLASSES, EMOTIONS, LABELS, Settings, plan
from gbvnet.errors import BadConfig
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SIZE = {"subjects": 5, "trials": 12, "seconds": 12}


def prepared(folder, **settings):
    write_synthetic("table", folder / "corpus", Settings(**SIZE | settings))
    corpus = open_corpus("table", folder / "corpus")
    assert prepare_store(corpus, folder / "store", PrepareConfig(faces=False)).bad == []
    return corpus, open_store(folder / "store")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def null(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("null"), effect=0.0)


def features(store):
    """Log power of alpha and fast activity of each EEG channel, and the slope of skin conductance, (n, 17)."""
    x = store.read(np.arange(len(store)), faces=False)[2].astype(float)
    power = np.abs(np.fft.rfft(x[:, :8])) ** 2
    bands = [np.log(power[..., low:high].sum(axis=2)) for low, high in ((8, 13), (18, 36))]
    return np.concatenate([*bands, x[:, 8, -32:].mean(axis=1)[:, None] - x[:, 8, :32].mean(axis=1)[:, None]], axis=1)


def scaled(model):
    return make_pipeline(StandardScaler(), model)


def accuracy(store, y, folds, model=None):
    """Of windows, by folds that keep subjects apart or not."""
    model = model or scaled(LogisticRegression(max_iter=1000))
    groups = store.windows["subject"] if isinstance(folds, GroupKFold) else None
    p = cross_val_predict(model, features(store), y, cv=folds, groups=groups)
    return float((p == y).mean())


def correlation(store, y, keep=slice(None)):
    model, groups = scaled(RidgeCV()), store.windows["subject"][keep]
    p = cross_val_predict(model, features(store)[keep], y[keep], cv=GroupKFold(5), groups=groups)
    return float(np.corrcoef(p, y[keep])[0, 1])


@pytest.mark.journey
def test_the_recordings_have_every_label_and_those_are_the_truth(made):
    corpus, store = made
    assert corpus.labels == LABELS and corpus.synthetic and store.synthetic
    truth = {t["recording"]: t for t in json.loads((corpus.file.parent / "SYNTHETIC.json").read_text())["truth"]}
    recordings = {r.name: r for unit in check_corpus(corpus) for r in unit.recordings}
    assert set(recordings) == set(truth) and len(truth) == 60
    for name, recording in recordings.items():
        assert recording.error is None and recording.ratings == truth[name]["ratings"]
        still = (f"{name}.csv: joystick is 0 all the time: was the joystick moved?",)
        assert recording.warnings == (() if truth[name]["moved"] else still)
        assert len(recording.traces["joystick"].times_s) == 12 * 20
        assert np.diff(recording.traces["joystick"].times_s).std() > 0.005  # jitter
    assert sum(not t["moved"] for t in truth.values()) == 5


def test_labels_are_balanced_and_never_undecided():
    trials = plan(Settings(subjects=4, trials=12))
    assert {t.ratings["stress"] for t in trials} == set(CLASSES)
    assert {t.ratings["emotion"] for t in trials} == set(EMOTIONS.values())
    for target in ("valence", "arousal"):
        assert np.mean([t.ratings[target] > 5 for t in trials]) == 0.5
        assert min(abs(t.ratings[target] - 5) for t in trials) > 1
    assert {round(t.ratings["engagement"]) for t in trials} >= {0, 100}


@pytest.mark.journey
def test_what_is_planted_is_in_the_signals_of_other_subjects_too(made):
    store, subjects = made[1], GroupKFold(5)
    for target, chance in (("valence", 0.5), ("arousal", 0.5)):
        assert accuracy(store, (store.windows[target] > 5).to_numpy(), subjects) > chance + 0.2, target
    assert accuracy(store, store.windows["stress"].to_numpy(), subjects) > 1 / 3 + 0.15
    assert accuracy(store, store.windows["emotion"].to_numpy(), subjects) > 1 / 4 + 0.2
    for target in ("engagement", "perceived_valence"):
        assert correlation(store, store.windows[target].to_numpy()) > 0.4, target


@pytest.mark.journey
def test_without_an_effect_only_leakage_scores(null):
    store = null[1]
    for target in ("stress", "emotion"):
        y = store.windows[target].to_numpy()
        chance = 1 / len(set(y))
        assert abs(accuracy(store, y, GroupKFold(5)) - chance) < 0.1, target
        leaky = accuracy(store, y, KFold(5, shuffle=True, random_state=0), scaled(KNeighborsClassifier(3)))
        assert leaky > chance + 0.25, target
    assert abs(correlation(store, store.windows["engagement"].to_numpy())) < 0.15


def at_lag(store, lag_s):
    """The label of each window at a lag, and which have one."""
    y = np.full(len(store), np.nan)
    for name, rows in store.windows.groupby("recording"):
        y[rows.index] = window_labels(*store.trace(name, "joystick"), rows["start_s"], 1.0, lag_s)
    return y


@pytest.mark.journey
def test_the_signals_show_the_joystick_two_seconds_and_a_half_earlier(made, null):
    store = made[1]
    assert np.array_equal(at_lag(store, 0.0), store.windows["joystick"], equal_nan=True)
    by_lag = {round(lag, 1): at_lag(store, lag) for lag in np.arange(0, 5, 0.4)}
    keep = np.isfinite(by_lag[4.8])  # the same windows at each lag
    scores = {lag: correlation(store, y, keep) for lag, y in by_lag.items()}
    best = max(scores, key=scores.get)
    assert abs(best - 2.4) <= 0.4 and scores[best] > scores[0.0] + 0.2 and scores[best] > 0.4, scores
    late = at_lag(null[1], 2.4)
    assert abs(correlation(null[1], late, np.isfinite(late))) < 0.15


@pytest.mark.journey
def test_the_lag_and_the_seed_change_the_files_and_the_same_settings_do_not(tmp_path):
    small = {"subjects": 1, "trials": 2, "seconds": 4}
    for name, settings in {"a": {}, "b": {}, "late": {"lag_s": 0.0}, "other": {"seed": 1}}.items():
        write_synthetic("table", tmp_path / name, Settings(**small | settings))
    files = {f.relative_to(tmp_path / "a") for f in (tmp_path / "a").rglob("*.csv")}
    assert len(files) == 5
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
        is_same = (tmp_path / "a" / file).read_bytes() == (tmp_path / "late" / file).read_bytes()
        assert is_same == ("ratings" not in file.parts or "02" in file.name), file  # the second was not moved
        assert (tmp_path / "a" / file).read_bytes() != (tmp_path / "other" / file).read_bytes() or "02" in file.name
    assert (tmp_path / "a/recordings.csv").read_text().startswith("# synthetic data")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"videos": 2}, "videos must be left out or 0, not 2: a synthetic table has none"),
        ({"face": 0.0}, "face must be left out, and is 0"),
        ({"evidence": ("F3",)}, "evidence must be left out"),
        ({"face_evidence": "mouth"}, "face_evidence must be left out"),
        ({"lag_s": -1.0}, "lag_s must be 0 to 20, not -1"),
        ({"trials": 61}, "trials must be 1 to 60 here, not 61"),
    ],
)
def test_settings_that_this_format_has_not_are_refused(settings, message):
    with pytest.raises(BadConfig, match=message):
        from_dict(synthetic_settings("table"), settings)

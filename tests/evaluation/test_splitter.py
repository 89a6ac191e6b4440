"""Our folds in scikit-learn's hands: the very folds of a run, and nothing that leaks."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, check_cv, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gbvnet
from gbvnet.config import CrossvalConfig
from gbvnet.errors import BadConfig
from gbvnet.evaluation import predictions
from gbvnet.evaluation.splitter import ProtocolSplit
from gbvnet.experiments.crossval import cross_validate

from ..synthetic_store import write_store

CONFIG = CrossvalConfig(system="majority", target="valence", modality="bio", folds=3)
PROTOCOLS = ("window", "trial", "stimulus", "subject", "subject+stimulus")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("split") / "s", trials=6, missing={(2, 3): "signals"}.items())


def features(store, splitter):
    return np.log(store.read(splitter.rows, faces=False)[2].std(axis=2))


@pytest.mark.journey
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_its_folds_are_those_of_a_run(store, tmp_path, protocol):
    config = replace(CONFIG, protocol=protocol)
    splitter = ProtocolSplit(store, config)
    cross_validate(store, tmp_path / "run", config)
    table = predictions.read_run(tmp_path / "run")
    windows = store.windows.loc[splitter.rows].reset_index(drop=True)
    folds = list(splitter.split(features(store, splitter), splitter.y))
    assert len(folds) == splitter.get_n_splits() == table["fold"].nunique()
    for number, (train, test) in enumerate(folds, 1):
        of_run = table[table["fold"] == number]
        tested = set(zip(of_run["recording"], of_run["window"], strict=True))
        assert set(windows.loc[test, ["recording", "window"]].itertuples(index=False, name=None)) == tested
        assert not set(train) & set(test)
    written = json.loads((tmp_path / "run" / "splits.json").read_text())["folds"]
    units = {"trial": "recording", "stimulus": "stimulus", "subject": "subject"}
    if protocol in units:
        for (train, _), fold in zip(folds, written, strict=True):
            names = set(windows.loc[train, units[protocol]])
            assert len(names) == sum(len(of) for side, of in fold.items() if isinstance(of, list) and side != "test")


@pytest.mark.journey
@pytest.mark.parametrize("protocol", ["trial", "stimulus", "subject"])
def test_it_does_what_a_group_splitter_must(store, protocol):
    """No group on both sides, every window tested once, the same folds each time."""
    splitter = ProtocolSplit(store, replace(CONFIG, protocol=protocol))
    x, groups = features(store, splitter), splitter.groups
    tested = np.zeros(len(x), int)
    first, again = (list(splitter.split(x)) for _ in range(2))
    for (train, test), (train_again, test_again) in zip(first, again, strict=True):
        assert not set(groups[train]) & set(groups[test])
        assert np.array_equal(train, train_again) and np.array_equal(test, test_again)
        tested[test] += 1
    assert (tested == 1).all()


# BLAS can raise the flag of products that are finite (numpy issue 24067): it did once in three runs of all tests.
@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul:RuntimeWarning:sklearn")
@pytest.mark.journey
def test_scikit_learn_takes_it_everywhere(store):
    splitter = ProtocolSplit(store, CONFIG)
    x, y = features(store, splitter), splitter.y
    assert np.isfinite(x).all()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    assert check_cv(splitter) is splitter
    assert cross_val_score(model, x, y, cv=splitter).mean() > 0.8
    assert len(cross_val_predict(DummyClassifier(), x, y, cv=splitter)) == len(y)
    search = GridSearchCV(model, {"logisticregression__C": [0.1, 1]}, cv=GroupKFold(2))
    for train, test in splitter.split(x, y):
        fitted = search.fit(x[train], y[train], groups=splitter.groups[train])
        assert fitted.score(x[test], y[test]) > 0.5
    assert GridSearchCV(model, {"logisticregression__C": [0.1, 1]}, cv=splitter).fit(x, y).best_score_ > 0.8


@pytest.mark.journey
def test_other_rows_and_more_than_one_target_are_refused(store):
    splitter = gbvnet.ProtocolSplit(store, CONFIG)
    with pytest.raises(BadConfig, match=r"X has 3 rows, and the splitter 115 windows: take the rows of splitter\.rows"):
        next(splitter.split(np.zeros((3, 2))))
    with pytest.raises(BadConfig, match="a splitter has one target: give target valence or arousal"):
        ProtocolSplit(store, replace(CONFIG, target="both"))
    with pytest.raises(BadConfig, match="protocol window keeps no windows together"):
        _ = ProtocolSplit(store, replace(CONFIG, protocol="window")).groups


def test_the_labels_are_those_of_the_task(store):
    assert set(ProtocolSplit(store, CONFIG).y) == {0, 1}
    assert set(ProtocolSplit(store, replace(CONFIG, task="regression")).y) == {3.0, 7.0}

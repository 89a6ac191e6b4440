"""Every task from a folder of files to scores: planted effects are above chance, others are not, and the leak shows.

The synthetic table has labels of every kind with a known answer (datasets/synthetic/table.py).
"""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from gbvnet.config import CrossvalConfig, PrepareConfig
from gbvnet.datasets import open_corpus
from gbvnet.datasets.synthetic.table import Settings, write
from gbvnet.evaluation import predictions
from gbvnet.evaluation.metrics import split_results
from gbvnet.evaluation.plan import make_plan
from gbvnet.evaluation.scores import evaluate
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.lag_search import find_lags, lag_scores
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

BASE = CrossvalConfig(system="logreg", modality="bio", folds=3, target="stress")
TASKS = {
    "three classes": dict(target="stress"),
    "quadrants": dict(target="both", rule="quadrant"),
    "a category": dict(target="emotion"),
    "a number": dict(target="engagement", task="regression"),
    "a number that changes in time": dict(target="joystick", lag_s=2.4),
}


def prepared(folder, **settings):
    write(folder / "raw", Settings(subjects=5, trials=12, seconds=30, **settings), jobs=2)
    prepare_store(open_corpus("table", folder / "raw"), folder / "s", PrepareConfig(faces=False), jobs=2)
    return open_store(folder / "s")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def nothing(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("nothing"), effect=0.0)


def scores(store, run, config, n=2000):
    (result,) = split_results(predictions.read(cross_validate(store, run, config)))
    return evaluate(result, n)


@pytest.mark.journey
@pytest.mark.parametrize("task", TASKS)
def test_what_is_planted_is_above_chance_and_shuffled_labels_are_not(task, planted, tmp_path):
    config = replace(BASE, **TASKS[task])
    measured = scores(planted, tmp_path / "run", config)
    assert measured.chance["window"].p < 0.01 and measured.chance["window"].above
    shuffled = scores(planted, tmp_path / "shuffled", replace(config, shuffle_labels=1))
    assert shuffled.chance["window"].p > 0.01


@pytest.mark.journey
@pytest.mark.parametrize("task", TASKS)
def test_where_nothing_is_planted_only_the_leak_scores(task, nothing, tmp_path):
    config = replace(BASE, **TASKS[task])
    honest = scores(nothing, tmp_path / "run", config)
    assert honest.chance["window"].p > 0.01
    if TASKS[task]["target"] == "joystick":  # a trial's fingerprint says nothing of how its label changes
        return
    machine = dict(system="yuvaraj-like", modality="eeg", options=dict(feature_set="statistical", classifier="svm"))
    leaky = scores(nothing, tmp_path / "leaky", replace(config, protocol="window", **machine))
    assert leaky.window[leaky.main] > honest.window[honest.main] + 0.3


@pytest.mark.journey
def test_the_lag_is_searched_by_each_training_side_and_serves_the_test_side(planted, tmp_path, monkeypatch):
    config = replace(BASE, target="joystick")
    at_zero, at_planted, searched = (
        scores(planted, tmp_path / f"{lag}", replace(config, lag_s=lag), 200) for lag in (0.0, 2.4, "search")
    )
    assert at_planted.window["ccc"] > at_zero.window["ccc"] + 0.2
    assert searched.window["ccc"] > at_zero.window["ccc"] + 0.2
    about = json.loads((tmp_path / "search" / "environment.json").read_text())["data"]
    assert all(abs(lag - 2.4) <= 0.4 for lag in about["lags_s"].values()) and len(about["lags_s"]) == 3
    monkeypatch.setattr("gbvnet.experiments.lag_search.find_lags", None)  # a finished run searches for nothing
    assert cross_validate(planted, tmp_path / "search", replace(config, lag_s="search")).exists()


@pytest.mark.journey
def test_the_search_sees_no_label_of_the_test_side(planted):
    config = replace(BASE, target="joystick", task="regression", lag_s="search")
    plan = make_plan(planted, config)
    measured = find_lags(planted, plan, config)
    fold = plan.folds[0]
    for held in plan.by_lag.values():
        held.labels["joystick"].loc[fold.test] = np.random.default_rng(0).normal(size=len(fold.test)) * 1e6
    assert find_lags(planted, plan, config)[fold.number] == measured[fold.number]


def test_the_score_of_a_lag_is_of_what_follows_within_recordings():
    rng = np.random.default_rng(0)
    recordings = np.repeat([f"r{k}" for k in range(12)], 30)
    x = rng.normal(size=(360, 4))
    of_recording = 5 * np.repeat(rng.normal(size=12), 30)  # a level of each recording is no lag
    labels = np.stack([x[:, 0] + of_recording, rng.normal(size=360) + of_recording, np.zeros(360)], axis=1)
    followed, noise, constant = lag_scores(x, labels, recordings)
    assert followed > 0.9 and abs(noise) < 0.3 and constant == 0


@pytest.mark.journey
def test_binary_runs_say_what_high_is_on_the_scale_of_the_rating(planted, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    cross_validate(planted, tmp_path / "run", replace(BASE, target="engagement", system="majority"))
    about = json.loads((tmp_path / "run" / "environment.json").read_text())["data"]
    assert about["labels"] == "high: rating >= 50 (scale 0 to 100)"
    assert about["scales"] == {"engagement": [0.0, 100.0]}
    assert "rule: '>=50'" in (tmp_path / "run" / "config.yaml").read_text()

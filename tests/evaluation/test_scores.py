"""What holds of every task: numbers of two classes as ever, intervals within bounds, and properties of all scores."""

import numpy as np
import pandas as pd
import pytest

from gbvnet.errors import BadRun
from gbvnet.evaluation import metrics, statistics
from gbvnet.evaluation.chance import chances_of_scores
from gbvnet.evaluation.score_properties import SCORE_PROPERTIES, properties_of
from gbvnet.evaluation.scores import evaluate

from . import task_tables
from .test_metrics import made

# evaluate(made(), 500, seed=1) at the time when there was no other task.
BINARY = {
    "window": {
        "accuracy": 0.8047619047619048, "balanced_accuracy": 0.8023212969786293, "macro_f1": 0.8019551466359978,
        "auc": 0.9115696389093589, "mcc": 0.6039475862630684,
    },
    "trial": {
        "accuracy": 0.9333333333333333, "balanced_accuracy": 0.9321266968325792, "macro_f1": 0.9321266968325792,
        "auc": 0.9852941176470589, "mcc": 0.8642533936651584,
    },
    "chance": {
        "window": (0.8047619047619048, 0.5241619047619047, 0.6190476190476191, 0.001996007984031936),
        "fold": (0.8047619047619048, 0.5241619047619047, 0.6190476190476191, 0.001996007984031936),
        "trial": (0.9333333333333333, 0.5335333333333333, 0.6666666666666666, 0.001996007984031936),
    },
    "window_interval": {
        "accuracy": (0.7380952380952381, 0.8714285714285714),
        "balanced_accuracy": (0.7397959183673469, 0.8755626406601651),
        "macro_f1": (0.7380892990770765, 0.8695802185163888), "mcc": (0.47922101950026125, 0.7423074889580903),
    },
    "trial_interval": {
        "accuracy": (0.9, 0.9666666666666667), "balanced_accuracy": (0.8985779860477814, 0.9736842105263157),
        "macro_f1": (0.8971428571428571, 0.9665206504250755), "mcc": (0.79639080275258, 0.9348615090348308),
    },
    "majority": {"window": 0.5619047619047619, "fold": 0.5619047619047619, "trial": 0.5666666666666667},
    "folds_interval": (0.685771400253428, 0.9237524092703816),
    "first_subject": (0.5067428571428572, 0.8),
}  # fmt: skip


@pytest.mark.journey
def test_the_numbers_of_two_classes_are_those_of_before():
    scores = evaluate(made(), 500, seed=1)
    close = {"rel": 1e-12, "abs": 1e-12}
    for name in ("window", "trial", "majority"):
        assert getattr(scores, name) == pytest.approx(BINARY[name], **close)
    for level, values in BINARY["chance"].items():
        assert scores.chance[level][:4] == pytest.approx(values, **close)
    for name in ("window_interval", "trial_interval"):
        assert set(getattr(scores, name)) == set(BINARY[name])
        for score, limits in BINARY[name].items():
            assert getattr(scores, name)[score] == pytest.approx(limits, **close)
    assert scores.folds_interval() == pytest.approx(BINARY["folds_interval"], **close)
    first = scores.subjects[["chance_mean", "chance_upper"]].iloc[0]
    assert tuple(first) == pytest.approx(BINARY["first_subject"], **close)
    assert list(scores.folds) == [
        "fold", "windows", "high_windows", "trials", "high_trials", "accuracy", "balanced_accuracy", "macro_f1",
        "trial_accuracy", "majority",
    ]  # fmt: skip
    assert list(scores.counts) == ["folds", "subjects", "trials", "windows", "high_trials", "high_windows"]


@pytest.mark.journey
def test_two_classes_have_chance_and_baseline_for_every_score():
    scores = evaluate(made(), 500, seed=1)
    assert (scores.task, scores.main) == ("binary", "accuracy")
    names = {"accuracy", "balanced_accuracy", "macro_f1", "auc", "mcc"}
    assert set(scores.chances["window"]) == set(scores.chances["trial"]) == names
    assert set(scores.chances["fold"]) == {"accuracy", "balanced_accuracy", "macro_f1"}
    assert {level: of["accuracy"] for level, of in scores.chances.items()} == scores.chance
    for level in ("window", "trial"):
        for name in names:
            assert scores.chances[level][name].score == pytest.approx(getattr(scores, level)[name])
    assert scores.chances["window"]["mcc"].mean == pytest.approx(0, abs=0.1)
    assert scores.baseline["window"]["auc"] == 0.5
    assert scores.baseline["trial"]["balanced_accuracy"] == 0.5
    assert scores.confusion["window"].sum() == scores.counts["windows"]
    assert scores.confusion["window"][1].sum() == scores.counts["high_windows"]


@pytest.mark.journey
def test_the_sums_of_all_scores_and_those_of_accuracy_alone_agree():
    for table in (made(4, 8, 2, seed=3), made(folds=3).assign(fold=lambda t: 1 + t.index % 3, protocol="window")):
        alone, _ = statistics.permutation_chance(table, 200, seed=7)
        together = evaluate_chances(table)
        for level, chance in alone.items():
            assert together[level]["accuracy"] == pytest.approx(chance, abs=1e-12)


def evaluate_chances(table):
    return chances_of_scores(table, 200, seed=7).levels


def extreme(kind, rng):
    """A small table of any task: random, perfect, or wrong wherever it can be."""
    shape = {"n_subjects": int(rng.integers(1, 7)), "n_trials": int(rng.integers(2, 6)), "n_windows": 2,
             "folds": int(rng.integers(2, 4))}  # fmt: skip
    seed, skill = int(rng.integers(1 << 30)), float(rng.choice([-300, -1, 0, 1, 300]))
    if kind == "binary":
        return made(seed=seed, skill=min(skill, 30) if skill > 0 else max(skill, -30), **shape)
    if kind == "multiclass":
        return task_tables.multiclass(int(rng.integers(2, 6)), seed=seed, skill=skill, **shape)
    table = task_tables.regression(seed=seed, skill=skill, varying=bool(rng.integers(2)), **shape)
    if abs(skill) == 300:  # exactly right, or exactly reversed
        sign = np.sign(skill)
        return table.assign(y_hat=sign * (table["y"] - table["y"].mean()) + table["y"].mean())
    return table


@pytest.mark.journey
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_no_score_and_no_interval_leaves_the_bounds_of_its_score(kind):
    """70 tables a task; also scores so unequal over folds that the plain t interval leaves the bounds."""
    rng, passed = np.random.default_rng(0), 0
    for _ in range(70):
        table = extreme(kind, rng)
        task = metrics.metrics_of(table)
        bootstrap = statistics.bootstrap_intervals(table, n=100, seed=1)
        folds, subjects = metrics.scores_by_fold(table), metrics.scores_by_subject(table)
        intervals = [(n, i) for level in (bootstrap.window, bootstrap.trial) for n, i in level.items()]
        intervals += [(n, statistics.t_interval_over_folds(folds[n], properties_of(n))) for n in task.fold_scores]
        intervals += [
            (n, statistics.t_interval_over_subjects(subjects[n], subjects["subject"], properties_of(n)))
            for n in task.window_scores
        ]
        for name, (low, high) in intervals:
            of = SCORE_PROPERTIES[name]
            assert np.isnan(low) == np.isnan(high)
            assert np.isnan(low) or of.low <= low <= high <= of.high
            passed += low == of.low or high == of.high
        for scores in (task.compute(table, task.window_scores), *subjects[list(task.window_scores)].to_dict("records")):
            for name, value in scores.items():
                assert np.isnan(value) or SCORE_PROPERTIES[name].low <= value <= SCORE_PROPERTIES[name].high
    assert passed > 50  # the bounds are reached


def test_the_interval_of_a_score_over_folds_has_the_bounds_of_that_score():
    values = pd.Series([0.1, -0.9, 0.8])
    low, high = statistics.t_interval_over_folds(values, SCORE_PROPERTIES["ccc"])
    assert (low, high) == (-1, 1)
    low, high = statistics.t_interval_over_folds(values + 2, SCORE_PROPERTIES["rmse"])
    assert low == 0 and high > 3
    assert statistics.t_interval_over_folds(values.abs())[1] == 1  # a share by default


@pytest.mark.journey
def test_the_bootstrap_of_every_task_is_that_of_rows_put_together():
    """Draw subjects with the same random numbers, put their rows together, and score them anew."""
    for table in (task_tables.multiclass(3, n_subjects=6), task_tables.regression(varying=True, n_subjects=6)):
        task, n = metrics.metrics_of(table), 60
        draws = np.random.default_rng(3).multinomial(6, np.full(6, 1 / 6), size=n)
        subjects = [rows for _, rows in table.groupby("subject")]
        samples = []
        for draw in draws:
            copies = [rows.assign(recording=rows["recording"] + f"_{c}") for rows, k in zip(subjects, draw, strict=True)
                      for c in range(k)]  # fmt: skip
            samples.append(task.compute(pd.concat(copies), task.resampled_scores))
        expected = pd.DataFrame(samples).quantile([0.025, 0.975])
        intervals = statistics.bootstrap_intervals(table, n=n, seed=3).window
        assert set(intervals) == set(expected)
        for name, interval in intervals.items():
            assert interval == pytest.approx(tuple(expected[name])), name


def test_every_score_of_every_task_is_in_the_table_of_properties():
    names = set()
    for table in (made(), task_tables.multiclass(), task_tables.regression()):
        task = metrics.metrics_of(table)
        names |= {*task.window_scores}
        assert {*task.trial_scores, *task.fold_scores, *task.resampled_scores} <= {*task.window_scores}
        assert task.main in task.fold_scores
    assert names == set(SCORE_PROPERTIES)
    assert properties_of("trial_ccc") is SCORE_PROPERTIES["ccc"]
    assert properties_of("constant_rmse") is SCORE_PROPERTIES["rmse"]
    assert properties_of("majority") is properties_of("trial_accuracy") is SCORE_PROPERTIES["accuracy"]
    with pytest.raises(KeyError):
        properties_of("trial_nothing")


def test_scores_that_need_several_labels_are_undefined_without():
    for table in (made(), task_tables.multiclass(), task_tables.regression()):
        task = metrics.metrics_of(table)
        one = table.assign(y=1, rating=1.0)
        values = task.compute(one, task.window_scores)
        assert {n for n, v in values.items() if np.isnan(v)} == {
            n for n in task.window_scores if SCORE_PROPERTIES[n].needs_several_labels
        }


@pytest.mark.journey
@pytest.mark.parametrize("make", [task_tables.multiclass, task_tables.regression])
def test_the_same_table_of_any_task_gives_the_same_numbers_whatever_its_order(make):
    table = make()
    first, second = evaluate(table, 200), evaluate(table.sample(frac=1, random_state=1), 200)
    for level, chances in first.chances.items():
        for name, chance in chances.items():
            assert second.chances[level][name] == pytest.approx(chance, nan_ok=True)
    assert first.window == pytest.approx(second.window, nan_ok=True)


@pytest.mark.journey
@pytest.mark.parametrize("make", [task_tables.multiclass, task_tables.regression])
def test_folds_within_each_subject_have_their_interval_over_subjects(make):
    scores = evaluate(make(folds=2).assign(scope="per-subject"), n_permutations=50)
    assert scores.counts["folds"] == 12 and list(scores.folds)[:2] == ["fold", "subject"]
    assert scores.folds_interval_kind == "t over subjects"
    low, high = scores.folds_interval()
    assert low < scores.over_folds().mean < high
    assert scores.chance["fold"].score == pytest.approx(scores.over_folds().mean)
    few = evaluate(make(n_subjects=2), n_permutations=20)
    assert few.unit == "trials" and few.warnings[-1].startswith("With 2 subjects the intervals resample trials")


def test_a_table_of_no_task_is_refused():
    with pytest.raises(BadRun, match="without any of p"):
        evaluate(made().drop(columns="p"))

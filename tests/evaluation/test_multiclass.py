"""Scores of K classes: equal to scikit-learn's, undefined where they are, and worked by hand for trials."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from gbvnet.evaluation import metrics
from gbvnet.evaluation.multiclass import MulticlassMetrics
from gbvnet.evaluation.scores import evaluate

from . import task_tables

NAMES = MulticlassMetrics.window_scores


def sklearn_scores(y, p):
    """The same scores by scikit-learn; macro averages over classes that occur."""
    y, predicted = np.asarray(y, int), p.argmax(axis=1)
    present = np.unique(y)
    return {
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.recall_score(y, predicted, labels=present, average="macro", zero_division=0),
        "macro_f1": sk.f1_score(y, predicted, average="macro", zero_division=0),
        "kappa": sk.cohen_kappa_score(y, predicted),
        "auc": np.mean([sk.roc_auc_score(y == k, p[:, k]) for k in present]),
    }


def random_predictions(rng, n, k, ties):
    p = rng.dirichlet(np.full(k, 0.7), n)
    if ties:
        p = np.maximum(np.round(p, 1), 0.05)  # equal probabilities of two classes, and of many rows
        p = p / p.sum(axis=1, keepdims=True)
    return p


@pytest.mark.journey
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("k", [2, 3, 7])
def test_scores_are_scikit_learns_also_with_absent_classes(k, ties):
    rng = np.random.default_rng(10 * k + ties)
    for _ in range(40):
        present = rng.choice(k, size=rng.integers(2, k + 1), replace=False)
        y = np.concatenate([present, rng.choice(present, rng.integers(1, 30))])
        p = random_predictions(rng, len(y), k, ties)
        rows = task_tables.with_classes(pd.DataFrame(index=range(len(y))), y, p)
        assert MulticlassMetrics(k).compute(rows, NAMES) == pytest.approx(sklearn_scores(y, p), abs=1e-12)


def test_with_all_classes_present_they_are_scikit_learns_own_macro_averages():
    table = task_tables.multiclass(4, seed=3)
    p = table[["p_0", "p_1", "p_2", "p_3"]].to_numpy()
    scores = MulticlassMetrics(4).compute(table, NAMES)
    assert scores["auc"] == pytest.approx(sk.roc_auc_score(table["y"], p, multi_class="ovr", average="macro"))
    assert scores["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(table["y"], p.argmax(axis=1)))


def test_scores_of_sums_of_many_units_are_those_of_their_rows():
    table = task_tables.multiclass(3, seed=1)
    task = MulticlassMetrics(3)
    units = np.random.default_rng(0).integers(0, 7, len(table))
    scores = task.scores_of_sums(task.sums(table, units), task.resampled_scores)
    for unit in range(7):
        expected = task.compute(table[units == unit], task.resampled_scores)
        assert {name: values[unit] for name, values in scores.items()} == pytest.approx(expected)


def test_with_one_class_only_accuracy_is_defined():
    scores = MulticlassMetrics(3).compute(task_tables.multiclass(3, classes=[1]), NAMES)
    assert 0 < scores.pop("accuracy") < 1
    assert np.isnan(list(scores.values())).all()


def test_a_constant_prediction_has_no_skill():
    table = task_tables.multiclass(3)
    constant = task_tables.with_classes(table, table["y"], np.tile([0.2, 0.5, 0.3], (len(table), 1)))
    scores = MulticlassMetrics(3).compute(constant, NAMES)
    assert scores["accuracy"] == pytest.approx((table["y"] == 1).mean())
    assert (scores["balanced_accuracy"], scores["kappa"], scores["auc"]) == pytest.approx((1 / 3, 0, 0.5))


def test_of_equal_probabilities_the_first_class_is_predicted():
    rows = task_tables.with_classes(pd.DataFrame(index=range(2)), [0, 1], np.array([[0.4, 0.4, 0.2]] * 2))
    assert MulticlassMetrics(3).compute(rows, ("accuracy",)) == {"accuracy": 0.5}


def test_a_trial_is_its_mean_log_probability_and_one_certain_window_does_not_decide():
    table = task_tables.frame(1, 1, 2, folds=1)
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    trials = metrics.aggregate_trials(task_tables.with_classes(table, [2, 2], p))
    odds = np.sqrt([0.07, 0.04, 0.07])  # geometric means
    assert trials[["p_0", "p_1", "p_2"]].to_numpy()[0] == pytest.approx(odds / odds.sum())
    assert trials["p_0"].iloc[0] == trials["p_2"].iloc[0]  # an exact tie
    assert trials[["y", "windows"]].to_numpy().tolist() == [[2, 2]]
    certain = np.array([[1.0, 0.0, 0.0]] + [[0.02, 0.49, 0.49]] * 9)
    rows = task_tables.with_classes(task_tables.frame(1, 1, 10, folds=1), [1] * 10, certain)
    trial = metrics.aggregate_trials(rows)
    assert trial["p_0"].iloc[0] < trial["p_1"].iloc[0]
    assert trial[["p_0", "p_1", "p_2"]].sum(axis=1).iloc[0] == pytest.approx(1)


@pytest.mark.journey
def test_two_classes_score_as_the_binary_task_does():
    """K = 2 through the other formulas: no p is a tie, where the two tasks decide differently."""
    table = task_tables.multiclass(2, seed=5, skill=0.7)
    binary = table.assign(p=table["p_1"], prior=table["prior_1"], rating=1.0)[
        [c for c in table if c not in ("p_0", "p_1", "prior_0", "prior_1")] + ["p", "prior"]
    ]
    a, b = evaluate(table, 200, seed=2), evaluate(binary, 200, seed=2)
    assert (a.task, b.task) == ("multiclass", "binary")
    for level in ("window", "trial"):
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "auc"):
            assert getattr(a, level)[name] == pytest.approx(getattr(b, level)[name])
            assert a.chances[level][name] == pytest.approx(b.chances[level][name])
    assert a.chance["fold"] == pytest.approx(b.chance["fold"])
    assert (a.confusion["trial"] == b.confusion["trial"]).all()


@pytest.mark.journey
def test_all_fields_of_a_result_of_three_classes():
    table = task_tables.multiclass(3, skill=1.5)
    scores = evaluate(table, n_permutations=200)
    assert (scores.task, scores.main) == ("multiclass", "accuracy")
    assert set(scores.window) == set(scores.trial) == set(NAMES)
    assert set(scores.window_interval) == set(NAMES) - {"auc"}
    assert set(scores.chances) == {"window", "fold", "trial"}
    assert set(scores.chances["window"]) == set(NAMES)
    assert scores.chance["window"] == scores.chances["window"]["accuracy"]
    assert scores.assessment == "above chance"
    assert list(scores.folds) == [
        "fold", "windows", "trials", "class_0", "class_1", "class_2", "accuracy", "balanced_accuracy", "macro_f1",
        "kappa", "trial_accuracy", "majority",
    ]  # fmt: skip
    assert list(scores.subjects)[-3:] == ["majority", "chance_mean", "chance_upper"]
    assert "auc" in scores.subjects
    predicted = table[["p_0", "p_1", "p_2"]].to_numpy().argmax(axis=1)
    assert (scores.confusion["window"] == sk.confusion_matrix(table["y"], predicted)).all()
    assert scores.confusion["trial"].sum() == scores.counts["trials"] == 60
    assert sum(scores.counts[f"class_{k}"] for k in range(3)) == scores.counts["windows"]
    assert sum(scores.counts[f"trials_class_{k}"] for k in range(3)) == 60
    fold = table[table["fold"] == 2]
    row = scores.folds.set_index("fold").loc[2]
    p = fold[["p_0", "p_1", "p_2"]].to_numpy()
    assert row["kappa"] == pytest.approx(sk.cohen_kappa_score(fold["y"], p.argmax(axis=1)))
    assert row["class_1"] == (fold["y"] == 1).sum()


@pytest.mark.journey
def test_the_majority_class_follows_from_the_priors_alone():
    table = task_tables.frame(2, 2, 1, folds=2)  # trial 00 has 1 window and is fold 1; trial 01 has 2 and is fold 2
    y = [0, 1, 1, 2, 1, 0]
    table = task_tables.with_classes(table, y, np.full((6, 3), 1 / 3))
    table = table.assign(prior_0=np.where(table["fold"] == 1, 0.5, 0.2), prior_1=np.where(table["fold"] == 1, 0.3, 0.6),
                         prior_2=0.2)  # fmt: skip
    baseline = metrics.baseline_scores(table)
    assert baseline["window"]["accuracy"] == pytest.approx(
        (1 + 3) / 6
    )  # fold 1: 0 of labels 0, 2; fold 2: 1 of 1 1 1 0
    assert baseline["fold"]["accuracy"] == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert baseline["window"]["auc"] == 0.5
    assert metrics.majority_accuracy(table)["trial"] == baseline["trial"]["accuracy"]


@pytest.mark.journey
def test_folds_that_lack_a_class_are_named_and_left_out_of_means():
    table = task_tables.multiclass(3, seed=2)
    table.loc[table["fold"] == 2, "y"] = 1
    table.loc[(table["fold"] == 4) & (table["y"] == 2), "y"] = 0
    table.loc[table["fold"] == 3, ["prior_0", "prior_1", "prior_2"]] = [0.0, 0.5, 0.5]
    scores = evaluate(table, n_permutations=50)
    assert scores.folds.set_index("fold").loc[2, ["balanced_accuracy", "macro_f1", "kappa"]].isna().all()
    assert scores.over_folds("kappa").undefined == 1
    assert scores.warnings[0].startswith("1 of 5 test folds have one class only")
    assert any(w.startswith("2 of 5 test folds lack a class (classes 0 and 2)") for w in scores.warnings)
    assert "1 of 5 folds were trained without a class (class 0) and cannot learn to predict it." in scores.warnings


@pytest.mark.journey
def test_classes_that_are_never_predicted_are_named():
    table = task_tables.multiclass(3)
    constant = np.tile([0.2, 0.5, 0.3], (len(table), 1))
    scores = evaluate(task_tables.with_classes(table, table["y"], constant), n_permutations=50)
    assert "Every window is predicted class 1." in scores.warnings
    assert scores.assessment == "within chance"
    constant[::2] = [0.5, 0.2, 0.3]
    scores = evaluate(task_tables.with_classes(table, table["y"], constant), n_permutations=50)
    assert "No window is predicted class 2." in scores.warnings


@pytest.mark.journey
def test_subjects_of_one_class_cannot_be_permuted():
    table = task_tables.multiclass(3)
    table["y"] = (table["subject"].str[1:].astype(int) % 3).astype("int16")
    scores = evaluate(table, n_permutations=50)
    assert scores.chance["window"].p == 1
    assert any("No subject has several classes" in w for w in scores.warnings)

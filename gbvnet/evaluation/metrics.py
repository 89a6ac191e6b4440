"""Scores of a result, whatever its task: of its trials, folds, subjects, and of the baseline.

A *result* is the part of a predictions table that shares `predictions.KEYS`: one system, on one target, under one
protocol. Functions of a result take it as a DataFrame, as predictions.read gives it. What is averaged over what is
written here; the scores themselves are in binary.py, multiclass.py and regression.py. A score that is not defined is
NaN, and is counted wherever a mean leaves it out.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from .binary import (
    FOLD_SCORES,
    P_EDGE,
    SCORES,
    BinaryMetrics,
    accuracy,
    auc,
    balanced_accuracy,
    compute_scores,
    macro_f1,
    mcc,
)
from .multiclass import MulticlassMetrics
from .predictions import KEYS, n_classes, task_of
from .regression import RegressionMetrics
from .task_metrics import TaskMetrics

# The scores of two classes are used outside of tables too, by probes and tests of systems.
__all__ = [
    "FOLD_SCORES", "P_EDGE", "SCORES", "accuracy", "aggregate_trials", "auc", "balanced_accuracy", "baseline_scores",
    "compute_scores", "describe_row_difference", "is_within_subjects", "macro_f1", "majority_accuracy", "mcc",
    "metrics_of", "number_folds_once", "scores_by_fold", "scores_by_subject", "split_results",
]  # fmt: skip


def metrics_of(table: pd.DataFrame, classes: Sequence[str] = ()) -> TaskMetrics:
    """Return the metrics of a predictions table's task. Raises BadRun if its columns fit no task.

    classes : names of several classes in the order of their numbers, for warnings
    """
    task = task_of(table)
    if task == "multiclass":
        return MulticlassMetrics(n_classes(table), classes)
    return BinaryMetrics() if task == "binary" else RegressionMetrics()


def split_results(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the results of a predictions table, in the order in which they first appear."""
    for _, result in table.groupby(KEYS, sort=False):
        yield result


def aggregate_trials(result: pd.DataFrame) -> pd.DataFrame:
    """Return one row a trial and fold: its prediction, y, prior, and number of windows, from its windows in that fold.

    The prediction is the mean logit of two classes, the mean log-probability of more, the mean of numbers. Under
    protocol `window` a trial's windows are in several folds, and it has a row in each.
    """
    return metrics_of(result).aggregate_trials(result)


def scores_by_fold(result: pd.DataFrame) -> pd.DataFrame:
    """Return one row a fold: numbers of windows and trials, scores by window, of trials and of the baseline.

    For two classes: windows, high_windows, trials, high_trials, FOLD_SCORES, trial_accuracy, majority. For more:
    windows, trials, windows of each class (class_0 ...), scores, trial_accuracy, majority. For numbers: windows,
    trials, mean_y, scores, trial_ccc, constant_rmse, constant_mae. Under scope per-subject also the subject.
    """
    folds = _score_groups(result, "fold", metrics_of(result).fold_scores)
    if not is_within_subjects(result):
        return folds
    of_fold = result.groupby("fold")["subject"].first()
    folds.insert(1, "subject", folds["fold"].map(of_fold))
    return folds


def scores_by_subject(result: pd.DataFrame) -> pd.DataFrame:
    """Return one row a subject, with the columns of scores_by_fold and all scores by window."""
    return _score_groups(result, "subject", metrics_of(result).window_scores)


def _score_groups(result: pd.DataFrame, by: str, names: tuple[str, ...]) -> pd.DataFrame:
    task = metrics_of(result)
    trials = task.aggregate_trials(result).groupby(by)
    rows = [task.describe_group(group, trials.get_group(key), names) for key, group in result.groupby(by)]
    table = pd.DataFrame(rows)
    table.insert(0, by, [key for key, _ in result.groupby(by)])
    return table


def baseline_scores(result: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return the scores of always predicting the majority class, or the mean, of the fold's training windows.

    By `window` (pooled), by `fold` (mean over folds where defined) and by `trial` (pooled): score by name. They follow
    from `prior` alone.
    """
    task = metrics_of(result)
    folds = pd.DataFrame([task.baseline(rows, task.fold_scores) for _, rows in result.groupby("fold")])
    return {
        "window": task.baseline(result, task.window_scores),
        "fold": {name: float(folds[name].mean()) for name in task.fold_scores},
        "trial": task.baseline(task.aggregate_trials(result), task.trial_scores),
    }


def majority_accuracy(result: pd.DataFrame) -> dict[str, float]:
    """Return the accuracy of always predicting the majority class of the fold's training windows.

    By `window` (pooled), by `fold` (mean over folds) and by `trial` (pooled). Of classes only.
    """
    return {level: scores["accuracy"] for level, scores in baseline_scores(result).items()}


def is_within_subjects(result: pd.DataFrame) -> bool:
    """Return whether each subject has a cross-validation of their own (scope per-subject)."""
    return str(result["scope"].iloc[0]) == "per-subject"


def number_folds_once(result: pd.DataFrame) -> pd.DataFrame:
    """Return a result in which no two subjects share a fold number, under scope per-subject.

    Predictions of other software may count the folds of each subject from 1.
    """
    if not is_within_subjects(result) or (result.groupby("fold")["subject"].nunique() == 1).all():
        return result
    return result.assign(fold=result.groupby(["subject", "fold"]).ngroup() + 1)


def describe_row_difference(a: pd.DataFrame, b: pd.DataFrame) -> str:
    """Return in what two results differ in their task, tested windows or labels; "" if they are the same.

    Labels that are numbers may differ by rounding: by 1e-9 of their size.
    """
    tasks = [task_of(table) for table in (a, b)]
    if tasks[0] != tasks[1]:
        return f"one is {tasks[0]}, the other {tasks[1]}"
    left, right = (t[["recording", "window", "y"]].drop_duplicates() for t in (a, b))
    both = pd.merge(left, right, on=["recording", "window"], how="outer", suffixes=("_a", "_b"))
    in_one = int(both[["y_a", "y_b"]].isna().any(axis=1).sum())
    if in_one:
        return f"{in_one} windows are in one of them only"
    if tasks[0] == "regression":
        same = np.isclose(both["y_a"], both["y_b"], rtol=1e-9, atol=1e-9)
    else:
        same = (both["y_a"] == both["y_b"]).to_numpy()
    other = int((~same).sum())
    return f"{other} windows have another label" if other else ""

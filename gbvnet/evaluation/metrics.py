"""Scores of labels and predicted probabilities; and the same by trial, by fold and by subject.

A *result* is the part of a predictions table that shares `predictions.KEYS`: one system, on one target, under one
protocol. Functions of a result take it as a DataFrame, as predictions.read gives it.

scikit-learn does the arithmetic; what is written here is what is averaged over what. A score that is not defined is
NaN, and is counted wherever a mean leaves it out.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special
from sklearn import metrics as sk

from .labels import has_one_class, predicted_high
from .predictions import KEYS, TRIAL

P_EDGE = 1e-6  # p is kept this far from 0 and 1 before its logit is taken: one certain window must not decide a trial


# --- scores of labels y (n,) in {0, 1} and probabilities of the positive class p (n,) in [0, 1] ---


def accuracy(y: ArrayLike, p: ArrayLike) -> float:
    """Return the share of correct predictions, 0 to 1: the paper's score."""
    return float(np.mean((np.asarray(y) == 1) == predicted_high(p)))


def balanced_accuracy(y: ArrayLike, p: ArrayLike) -> float:
    """Return the mean of the recalls of the two classes, 0 to 1; NaN if y has one class."""
    return np.nan if has_one_class(y) else float(sk.balanced_accuracy_score(y, predicted_high(p)))


def macro_f1(y: ArrayLike, p: ArrayLike) -> float:
    """Return the mean of the F1 of both classes; a class never predicted counts 0. NaN if y has one class."""
    return np.nan if has_one_class(y) else float(sk.f1_score(y, predicted_high(p), average="macro", zero_division=0))


def auc(y: ArrayLike, p: ArrayLike) -> float:
    """Return the area under the ROC curve: how often a high window gets a larger p than a low one. NaN if one class."""
    return np.nan if has_one_class(y) else float(sk.roc_auc_score(y, p))


def mcc(y: ArrayLike, p: ArrayLike) -> float:
    """Return Matthews' correlation of label and prediction, -1 to 1; 0 if all predictions are equal.

    NaN if y has one class.
    """
    return np.nan if has_one_class(y) else float(sk.matthews_corrcoef(y, predicted_high(p)))


SCORES: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "auc": auc,
    "mcc": mcc,
}
# AUC and MCC of small or one-sided folds are noise or undefined, so they are given pooled and by subject only.
FOLD_SCORES = ("accuracy", "balanced_accuracy", "macro_f1")


def compute_scores(y: ArrayLike, p: ArrayLike) -> dict[str, float]:
    """Return all SCORES by name."""
    return {name: score(np.asarray(y), np.asarray(p)) for name, score in SCORES.items()}


# --- a result: its trials, folds and subjects ---


def split_results(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the results of a predictions table, in the order in which they first appear."""
    for _, result in table.groupby(KEYS, sort=False):
        yield result


def aggregate_trials(result: pd.DataFrame) -> pd.DataFrame:
    """Return one row a trial and fold: p from the mean logit of the trial's windows in that fold, y, prior, n windows.

    Under protocol `window` a trial's windows are in several folds, and it has a row in each.
    """
    logit = special.logit(result["p"].clip(P_EDGE, 1 - P_EDGE))
    trials = result.assign(logit=logit).groupby(["fold", *TRIAL], as_index=False)
    rows = trials.agg(
        stimulus=("stimulus", "first"),
        y=("y", "first"),
        prior=("prior", "mean"),
        windows=("y", "size"),
        logit=("logit", "mean"),
    )
    # Without rounding, windows of p = 0.3 and 0.7 would fall on the low side of an exact tie.
    return rows.assign(p=special.expit(rows["logit"].round(12)))


def scores_by_fold(result: pd.DataFrame) -> pd.DataFrame:
    """Return one row a fold: windows, how many are high, FOLD_SCORES by window, accuracy by trial and of the majority.

    Under scope per-subject also the subject whose fold it is.
    """
    folds = _score_groups(result, "fold", FOLD_SCORES)
    if not is_within_subjects(result):
        return folds
    of_fold = result.groupby("fold")["subject"].first()
    folds.insert(1, "subject", folds["fold"].map(of_fold))
    return folds


def scores_by_subject(result: pd.DataFrame) -> pd.DataFrame:
    """Return one row a subject: windows, how many are high, all SCORES by window, accuracy by trial and of majority."""
    return _score_groups(result, "subject", tuple(SCORES))


def _score_groups(result: pd.DataFrame, by: str, names: tuple[str, ...]) -> pd.DataFrame:
    trials = aggregate_trials(result).groupby(by)
    rows = []
    for key, group in result.groupby(by):
        y, p = group["y"].to_numpy(), group["p"].to_numpy()
        of_trials = trials.get_group(key)
        rows.append(
            {by: key, "windows": len(group), "high_windows": int(y.sum())}
            | {"trials": len(of_trials), "high_trials": int(of_trials["y"].sum())}
            | {name: SCORES[name](y, p) for name in names}
            | {"trial_accuracy": accuracy(of_trials["y"], of_trials["p"]), "majority": accuracy(y, group["prior"])}
        )
    return pd.DataFrame(rows)


def majority_accuracy(result: pd.DataFrame) -> dict[str, float]:
    """Return the accuracy of always predicting the majority class of the fold's training windows.

    By `window` (pooled), by `fold` (mean over folds) and by `trial` (pooled). It follows from `prior`, the share of
    high among the training windows, read as a prediction.
    """
    trials = aggregate_trials(result)
    correct = predicted_high(result["prior"]) == (result["y"] == 1)
    return {
        "window": float(correct.mean()),
        "fold": float(correct.groupby(result["fold"]).mean().mean()),
        "trial": accuracy(trials["y"], trials["prior"]),
    }


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
    """Return in what two results differ in their tested windows or labels; "" if they are the same."""
    left, right = (t[["recording", "window", "y"]].drop_duplicates() for t in (a, b))
    both = pd.merge(left, right, on=["recording", "window"], how="outer", suffixes=("_a", "_b"))
    in_one = int(both[["y_a", "y_b"]].isna().any(axis=1).sum())
    if in_one:
        return f"{in_one} windows are in one of them only"
    other = int((both["y_a"] != both["y_b"]).sum())
    return f"{other} windows have another label" if other else ""

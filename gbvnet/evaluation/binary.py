"""The metrics of two classes, high (1) and low (0), from the probability of high.

Scores of labels and probabilities are scikit-learn's, which is imported when one is computed; those of tables follow
from their sums. A score that is not defined is NaN.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special
from typing_extensions import override

from .class_metrics import ClassMetrics, one_class_warnings
from .class_sums import ClassRows, auc_of_ranks, count_confusions, rank_classes, split_class_sums
from .labels import has_one_class, predicted_high
from .predictions import TRIAL
from .targets import LOW_HIGH

P_EDGE = 1e-6  # p is kept this far from 0 and 1 before its logit is taken: one certain window must not decide a trial


# --- scores of labels y (n,) in {0, 1} and probabilities of the positive class p (n,) in [0, 1] ---


def accuracy(y: ArrayLike, p: ArrayLike) -> float:
    """Return the share of correct predictions, 0 to 1: the paper's score.

    >>> accuracy([0, 1, 1, 1], [0.2, 0.9, 0.6, 0.4])
    0.75
    """
    return float(np.mean((np.asarray(y) == 1) == predicted_high(p)))


def balanced_accuracy(y: ArrayLike, p: ArrayLike) -> float:
    """Return the mean of the recalls of the two classes, 0 to 1; NaN if y has one class.

    >>> round(balanced_accuracy([0, 1, 1, 1], [0.2, 0.9, 0.6, 0.4]), 3)
    0.833
    """
    from sklearn.metrics import balanced_accuracy_score

    return np.nan if has_one_class(y) else float(balanced_accuracy_score(y, predicted_high(p)))


def macro_f1(y: ArrayLike, p: ArrayLike) -> float:
    """Return the mean of the F1 of both classes; a class never predicted counts 0. NaN if y has one class."""
    from sklearn.metrics import f1_score

    return np.nan if has_one_class(y) else float(f1_score(y, predicted_high(p), average="macro", zero_division=0))


def auc(y: ArrayLike, p: ArrayLike) -> float:
    """Return the area under the ROC curve: how often a high window gets a larger p than a low one. NaN if one class."""
    from sklearn.metrics import roc_auc_score

    return np.nan if has_one_class(y) else float(roc_auc_score(y, p))


def mcc(y: ArrayLike, p: ArrayLike) -> float:
    """Return Matthews' correlation of label and prediction, -1 to 1; 0 if all predictions are equal.

    NaN if y has one class.
    """
    from sklearn.metrics import matthews_corrcoef

    return np.nan if has_one_class(y) else float(matthews_corrcoef(y, predicted_high(p)))


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


class BinaryMetrics(ClassMetrics):
    """Two classes. Rows have y (0, 1), p and prior, the probability and the training share of high."""

    task = "binary"
    window_scores = tuple(SCORES)
    trial_scores = tuple(SCORES)
    fold_scores = FOLD_SCORES
    resampled_scores = ("accuracy", "balanced_accuracy", "macro_f1", "mcc")
    classes = LOW_HIGH

    @override
    def aggregate_trials(self, result: pd.DataFrame) -> pd.DataFrame:
        """Return one row a trial and fold, with p from the mean logit of the trial's windows in that fold."""
        logit = special.logit(result["p"].clip(P_EDGE, 1 - P_EDGE))
        trials = result.assign(logit=logit).groupby(["fold", *TRIAL])
        rows = trials[["stimulus", "y"]].first().assign(windows=trials.size())
        rows = rows.join(trials[["prior", "logit"]].mean()).reset_index()
        # Without rounding, windows of p = 0.3 and 0.7 would fall on the low side of an exact tie.
        return rows.assign(p=special.expit(rows["logit"].round(12)))

    @override
    def baseline(self, rows: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
        scores = self.compute(rows.assign(p=rows["prior"]), tuple(n for n in names if n != "auc"))
        return {n: scores[n] if n in scores else np.nan if has_one_class(rows["y"]) else 0.5 for n in names}

    @override
    def class_rows(self, rows: pd.DataFrame) -> ClassRows:
        p = rows["p"].to_numpy()
        return rank_classes(rows["y"].to_numpy(), predicted_high(p), np.column_stack([-p, p]))

    @override
    def scores_of_sums(self, sums: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        counts = split_class_sums(sums)
        tn, tp = counts.correct[..., 0], counts.correct[..., 1]
        fp, fn = counts.labels[..., 0] - tn, counts.labels[..., 1] - tp
        with np.errstate(divide="ignore", invalid="ignore"):
            one_class = (tn + fp == 0) | (fn + tp == 0)
            f1_high = np.nan_to_num(2 * tp / (2 * tp + fp + fn))
            f1_low = np.nan_to_num(2 * tn / (2 * tn + fp + fn))
            scale = np.sqrt((tn + fp) * (fn + tp) * (tn + fn) * (fp + tp))
            values = {
                "balanced_accuracy": (tn / (tn + fp) + tp / (fn + tp)) / 2,
                "macro_f1": (f1_high + f1_low) / 2,
                "mcc": np.nan_to_num((tn * tp - fp * fn) / scale),
                "auc": auc_of_ranks(counts)[..., 1],
            }
            defined = {name: np.where(one_class, np.nan, value) for name, value in values.items()}
            defined["accuracy"] = (tn + tp) / counts.labels.sum(axis=-1)
        return {name: defined[name] for name in names}

    @override
    def describe_group(self, rows: pd.DataFrame, trials: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
        y = rows["y"].to_numpy()
        return (
            {"windows": len(rows), "high_windows": int(y.sum())}
            | {"trials": len(trials), "high_trials": int(trials["y"].sum())}
            | self.compute(rows, names)
            | {"trial_accuracy": accuracy(trials["y"], trials["p"]), "majority": accuracy(y, rows["prior"])}
        )

    @override
    def counts(self, result: pd.DataFrame) -> dict[str, int]:
        labels = result.drop_duplicates(TRIAL)["y"]
        return {"high_trials": int(labels.sum()), "high_windows": int(result["y"].sum())}

    @override
    def confusion(self, rows: pd.DataFrame) -> np.ndarray:
        return count_confusions(rows["y"], predicted_high(rows["p"]), 2)

    @override
    def warnings(self, result: pd.DataFrame, folds: pd.DataFrame, subjects: pd.DataFrame) -> Iterator[str]:
        yield from one_class_warnings(folds, subjects, "both classes")
        trained_on_one = result.loc[result["prior"].isin((0.0, 1.0)), "fold"].nunique()
        if trained_on_one:
            yield f"{trained_on_one} of {len(folds)} folds were trained on one class only and can predict nothing else."
        high = predicted_high(result["p"])
        if has_one_class(high):
            yield f"Every window is predicted {'high' if high[0] else 'low'}."

"""The metrics of K classes, from the probability of each.

Macro averages are over the classes that occur, as scikit-learn takes them: among the labels, or for F1 among labels or
predictions. With labels of a single class only accuracy is defined.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special
from typing_extensions import override

from ..text import listed, shortened
from .class_metrics import ClassMetrics, one_class_warnings
from .class_sums import ClassRows, auc_of_ranks, count_confusions, rank_classes, split_class_sums, sum_classes
from .labels import has_one_class
from .prediction_schema import class_columns
from .predictions import TRIAL
from .score_properties import SCORE_PROPERTIES

P_EDGE = 1e-6  # as for two classes: probabilities are kept this far from 0 and 1 before their logarithm is taken


class MulticlassMetrics(ClassMetrics):
    """K classes. Rows have y (0 to K - 1), p_0 ... p_{K-1} and the training shares prior_0 ... prior_{K-1}."""

    task = "multiclass"
    window_scores = ("accuracy", "balanced_accuracy", "macro_f1", "kappa", "auc")
    trial_scores = window_scores
    fold_scores = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")  # AUC of small folds is mostly noise
    resampled_scores = fold_scores

    def __init__(self, n_classes: int, names: Sequence[str] = ()):
        """Take the number of classes, and their names for warnings; without K names, classes are called by number."""
        self.n_classes = n_classes
        self._named = len(names) == n_classes
        self.classes = tuple(names) if self._named else tuple(map(str, range(n_classes)))
        self.p, self.prior = class_columns(n_classes)

    @override
    def class_rows(self, rows: pd.DataFrame) -> ClassRows:
        p = rows[self.p].to_numpy(float)
        return rank_classes(rows["y"].to_numpy(), predicted_class(p), p)

    @override
    def aggregate_trials(self, result: pd.DataFrame) -> pd.DataFrame:
        """Return one row a trial and fold, with p from the mean log-probability of its windows, scaled to sum to 1."""
        logs = np.log(result[self.p].clip(P_EDGE, 1 - P_EDGE))
        trials = result.assign(**{name: logs[name] for name in self.p}).groupby(["fold", *TRIAL])
        rows = trials.agg(stimulus=("stimulus", "first"), y=("y", "first"), windows=("y", "size"))
        means = trials[[*self.p, *self.prior]].mean()
        means[self.p] = special.softmax(means[self.p].to_numpy().round(12), axis=1)  # rounded, so that a tie is exact
        return rows.join(means).reset_index()

    @override
    def baseline(self, rows: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
        prior = rows[self.prior].to_numpy(float)
        constant = rank_classes(rows["y"].to_numpy(), predicted_class(prior), prior)
        scores = self._scores(sum_classes(constant, np.zeros(len(rows), int))[0], names)
        no_order = np.nan if has_one_class(rows["y"]) else 0.5
        return scores | ({"auc": no_order} if "auc" in scores else {})

    @override
    def scores_of_sums(self, sums: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        counts = split_class_sums(sums)
        total = counts.labels.sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            accuracy = counts.correct.sum(axis=-1) / total
            expected = (counts.labels * counts.predicted).sum(axis=-1) / total**2  # agreement by the margins alone
            values = {
                "accuracy": accuracy,
                "balanced_accuracy": _mean_over_classes(counts.correct / counts.labels),
                "macro_f1": _mean_over_classes(2 * counts.correct / (counts.labels + counts.predicted)),
                "kappa": (accuracy - expected) / (1 - expected),
                "auc": _mean_over_classes(auc_of_ranks(counts)),
            }
        one_class = (counts.labels > 0).sum(axis=-1) < 2
        for name in names:
            if SCORE_PROPERTIES[name].needs_several_labels:
                values[name] = np.where(one_class, np.nan, values[name])
        return {name: values[name] for name in names}

    @override
    def describe_group(self, rows: pd.DataFrame, trials: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
        return (
            {"windows": len(rows), "trials": len(trials)}
            | {f"class_{k}": int(n) for k, n in enumerate(self._count(rows["y"]))}
            | self.compute(rows, names)
            | {"trial_accuracy": self.compute(trials, ("accuracy",))["accuracy"]}
            | {"majority": self.baseline(rows, ("accuracy",))["accuracy"]}
        )

    @override
    def counts(self, result: pd.DataFrame) -> dict[str, int]:
        """Return the numbers of windows and of trials of each class: class_0 ..., trials_class_0 ... ."""
        trials = self._count(result.drop_duplicates(TRIAL)["y"])
        windows = self._count(result["y"])
        return {f"class_{k}": int(n) for k, n in enumerate(windows)} | {
            f"trials_class_{k}": int(n) for k, n in enumerate(trials)
        }

    @override
    def confusion(self, rows: pd.DataFrame) -> np.ndarray:
        predicted = predicted_class(rows[self.p].to_numpy(float))
        return count_confusions(rows["y"], predicted, self.n_classes)

    @override
    def warnings(self, result: pd.DataFrame, folds: pd.DataFrame, subjects: pd.DataFrame) -> Iterator[str]:
        yield from one_class_warnings(folds, subjects, "several classes")
        absent = folds[[f"class_{k}" for k in range(self.n_classes)]].to_numpy() == 0  # (folds, K)
        if absent.any():
            yield (
                f"{absent.any(axis=1).sum()} of {len(folds)} test folds lack a class ({self._any(absent)}): their "
                "balanced accuracy and macro-F1 are means over the classes that occur."
            )
        untrained = result.groupby("fold")[self.prior].max().to_numpy() == 0
        if untrained.any():
            yield (
                f"{untrained.any(axis=1).sum()} of {len(untrained)} folds were trained without a class "
                f"({self._any(untrained)}) and cannot learn to predict it."
            )
        predicted = np.bincount(predicted_class(result[self.p].to_numpy(float)), minlength=self.n_classes)
        never = np.flatnonzero(predicted == 0)
        if len(never) == self.n_classes - 1:
            yield f"Every window is predicted {self._in_words([predicted.argmax()])}."
        elif len(never):
            yield f"No window is predicted {self._in_words(never)}."

    def _count(self, y: pd.Series) -> np.ndarray:
        return np.bincount(y.to_numpy(int), minlength=self.n_classes)

    def _any(self, absent: np.ndarray) -> str:
        """The classes that any fold lacks, in words. absent : bool (folds, K)."""
        return self._in_words(np.flatnonzero(absent.any(axis=0)))

    def _in_words(self, classes: ArrayLike) -> str:
        """Numbers of classes as "class 0", or "class “low”" where names are known."""
        words = [f"“{self.classes[k]}”" if self._named else self.classes[k] for k in np.asarray(classes)]
        if len(words) == 1:
            return f"class {words[0]}"
        return "classes " + (listed(words) if len(words) <= 4 else shortened(words))


def predicted_class(p: np.ndarray) -> np.ndarray:
    """Return the class of the largest probability, int (n,), of p (n, K); of equal ones the first."""
    return p.argmax(axis=1)


def _mean_over_classes(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis without NaN: classes that do not occur. NaN where none does."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0).sum(axis=-1) / defined.sum(axis=-1)

"""Sums of class labels and predictions, from which accuracy, macro-F1, kappa and AUC follow, observed or permuted.

Of K classes there are 4 K sums: for each class how many rows of it are predicted correctly, have it as their label, and
have it as their prediction; and the sum of the ranks of its probability over the rows that have it as their label. The
last gives the AUC (Mann & Whitney 1947); it is of use only for all rows that were ranked together.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from typing_extensions import override

from .predictions import TRIAL
from .task_metrics import LabelPermutations, PermutedSums, permuted_orders


class ClassRows(NamedTuple):
    """Labels and predictions of n rows, windows or trials."""

    y: np.ndarray  # int (n,), 0 to K - 1
    predicted: np.ndarray  # int (n,), 0 to K - 1
    ranks: np.ndarray  # float (n, K): ranks of the rows by the probability of each class, ties averaged


class ClassCounts(NamedTuple):
    """The sums by name, each (..., K)."""

    correct: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    ranks: np.ndarray


def rank_classes(y: np.ndarray, predicted: np.ndarray, p: np.ndarray) -> ClassRows:
    """Return labels, predictions, and the ranks of probabilities p (n, K). Raises ValueError for a p that is NaN."""
    from scipy.stats import rankdata

    if np.isnan(p).any():
        raise ValueError("a probability is NaN")
    return ClassRows(np.asarray(y, int), np.asarray(predicted, int), rankdata(p, axis=0))


def count_confusions(y: ArrayLike, predicted: ArrayLike, n_classes: int) -> np.ndarray:
    """Return the confusion matrix of labels and predicted classes, (n,) each, int (K, K): label by prediction."""
    cells = np.asarray(y, int) * n_classes + np.asarray(predicted, int)
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def sum_classes(rows: ClassRows, units: np.ndarray) -> np.ndarray:
    """Return the sums of rows by unit, float (units, 4 K). units : int (n,), the unit of each row."""
    n_units, n_classes = int(units.max()) + 1, rows.ranks.shape[1]
    correct, size = rows.y == rows.predicted, (n_units, n_classes)
    of_label = rows.ranks[np.arange(len(rows.y)), rows.y]
    sums = [
        _sum_cells(units[correct], rows.y[correct], size),
        _sum_cells(units, rows.y, size),
        _sum_cells(units, rows.predicted, size),
        _sum_cells(units, rows.y, size, of_label),
    ]
    return np.concatenate(sums, axis=1)


def _sum_cells(
    units: np.ndarray, classes: np.ndarray, size: tuple[int, int], values: np.ndarray | None = None
) -> np.ndarray:
    """How many rows there are of each unit and class, or the sums of their values: float (units, K)."""
    cells = np.bincount(units * size[1] + classes, values, minlength=size[0] * size[1])
    return cells.reshape(size).astype(float)


def split_class_sums(sums: np.ndarray) -> ClassCounts:
    """Return sums (..., 4 K) by name."""
    return ClassCounts(*np.moveaxis(sums.reshape(*sums.shape[:-1], 4, -1), -2, 0))


def auc_of_ranks(counts: ClassCounts) -> np.ndarray:
    """Return the AUC of each class against all others, (..., K); NaN where it or all others have no row."""
    of_class = counts.labels
    others = of_class.sum(axis=-1, keepdims=True) - of_class
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(
            (of_class > 0) & (others > 0),
            (counts.ranks - of_class * (of_class + 1) / 2) / (of_class * others),
            np.nan,
        )


class ClassPermutations(LabelPermutations):
    """The labels of trials permuted within each subject: a trial keeps its windows together, a subject their labels.

    All sums but those of predictions are linear in the labels' indicators: a draw is one matrix product a class.
    """

    what = "trial labels within each subject"

    def __init__(
        self,
        result: pd.DataFrame,
        trials: pd.DataFrame,
        windows_of: ClassRows,
        trials_of: ClassRows,
        labelled: pd.DataFrame | None = None,
    ):
        """Take windows and trials of one result, and their labels and predictions in the same order.

        labelled : rows of all trials that exchange labels, as of TaskMetrics.permutations
        """
        labelled = result if labelled is None else labelled
        self.subjects = sorted(labelled["subject"].unique())
        labels = labelled.groupby(TRIAL)["y"].first()
        self._y = {s: labels.xs(s, level="subject").to_numpy(int) for s in self.subjects}
        self._n_classes = windows_of.ranks.shape[1]
        number = labels.groupby("subject").cumcount()  # of a trial within its subject, in the order of `labels`
        self._levels = [
            _Level(rows["subject"], number.reindex(pd.MultiIndex.from_frame(rows[TRIAL])).to_numpy(), rows["fold"], of)
            for rows, of in ((result, windows_of), (trials, trials_of))
        ]

    @override
    def draw(self, subject: str, n: int, rng: np.random.Generator) -> np.ndarray:
        return permuted_orders(len(self._y[subject]), n, rng)

    @override
    def sums(self, subject: str, draws: np.ndarray) -> PermutedSums:
        y = self._y[subject]
        windows, trials = (level.sums_by_trial(subject, len(y)) for level in self._levels)
        folds = {f: self._levels[0].sums_by_trial(subject, len(y), f) for f in self._levels[0].folds(subject)}
        terms = np.stack([windows, trials, *folds.values()])  # (G, trials, 4, K)
        labels, n_classes = y[draws], self._n_classes
        sums = np.empty((len(terms), len(draws), 4, n_classes))
        for k in range(n_classes):
            columns = terms[:, :, [0, 1, 3], k].transpose(1, 0, 2).reshape(len(y), -1)  # (trials, G * 3)
            product = (labels == k).astype(float) @ columns
            sums[:, :, [0, 1, 3], k] = product.reshape(len(draws), len(terms), 3).transpose(1, 0, 2)
        sums[:, :, 2] = terms[:, :, 2].sum(axis=1)[:, None]  # predictions stay
        by_group = sums.reshape(len(terms), len(draws), -1)
        return PermutedSums(by_group[0], by_group[1], dict(zip(folds, by_group[2:], strict=True)))


class _Level:
    """Windows or trials, by subject, as terms of sums that are linear in the labels of trials."""

    def __init__(self, subjects: pd.Series, trial: np.ndarray, folds: pd.Series, rows: ClassRows):
        self._of_subject = pd.Series(np.arange(len(trial))).groupby(subjects.to_numpy()).indices
        self._trial, self._fold, self._rows = trial, folds.to_numpy(), rows

    def folds(self, subject: str) -> list:
        return sorted(set(self._fold[self._of_subject[subject]].tolist()))

    def sums_by_trial(self, subject: str, n_trials: int, fold: object = None) -> np.ndarray:
        """What each trial's rows (of one fold) add to the sums of class k if k is their label, (trials, 4, K)."""
        at = self._of_subject[subject]
        at = at if fold is None else at[self._fold[at] == fold]
        trial, predicted = self._trial[at], self._rows.predicted[at]
        terms = np.zeros((n_trials, 4, self._rows.ranks.shape[1]))
        terms[:, [0, 2]] = _sum_cells(trial, predicted, (n_trials, terms.shape[2]))[:, None]
        terms[:, 1] = np.bincount(trial, minlength=n_trials)[:, None]
        np.add.at(terms[:, 3], trial, self._rows.ranks[at])
        return terms

"""Sums of numbers and their predictions, from which CCC, Pearson r, RMSE and MAE follow, observed or permuted.

The sums are of rows (n), y_hat, y_hat^2, y, y^2, y y_hat, (y - y_hat)^2 and |y - y_hat|; and over recordings the sum of
their CCCs and the number of those that are defined. The first three do not depend on labels. Numbers are centred on the
mean of y first, which changes no score and keeps rounding small.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from typing_extensions import override

from .predictions import TRIAL
from .task_metrics import LabelPermutations, PermutedSums, permuted_orders

N_SUMS = 10
_OF_PREDICTIONS, _OF_LABELS, _OF_ROWS, _OF_RECORDINGS = slice(0, 3), slice(3, 10), slice(0, 8), slice(8, 10)
CONSTANT = 1e-12  # a variance below this share of the mean square is rounding


class NumberStatistics(NamedTuple):
    """What scores are made from, each (...); variances and covariance of the population."""

    variance_y: np.ndarray
    variance_y_hat: np.ndarray
    covariance: np.ndarray
    constant_y: np.ndarray  # bool
    constant_y_hat: np.ndarray  # bool
    ccc: np.ndarray  # NaN where y is constant
    squared_error: np.ndarray  # mean
    absolute_error: np.ndarray  # mean
    ccc_of_recordings: np.ndarray  # sum over recordings where it is defined
    recordings: np.ndarray  # number of these


def is_constant(values: np.ndarray) -> bool:
    """Return whether all values are equal."""
    return bool(np.ptp(values) == 0)


def concordance(y: np.ndarray, y_hat: np.ndarray) -> float:
    """Return the CCC of numbers and their predictions, (n,) each; NaN where y is constant."""
    return float(split_sums(sum_numbers(y, y_hat, np.zeros(len(y), int), None)).ccc[0])


def has_constant_trials(result: pd.DataFrame) -> bool:
    """Return whether each trial of a result has one label for all its windows."""
    return bool((result.groupby(TRIAL)["y"].nunique() == 1).all())


def sum_numbers(y: np.ndarray, y_hat: np.ndarray, units: np.ndarray, recordings: np.ndarray | None) -> np.ndarray:
    """Return the sums of rows by unit, float (units, N_SUMS).

    y, y_hat : (n,). units : int (n,), the unit of each row
    recordings : (n,) names, for the CCC within each; None if the rows are whole trials
    """
    middle = y.mean()
    n_units = int(units.max()) + 1
    sums = np.zeros((n_units, N_SUMS))
    np.add.at(sums[:, _OF_ROWS], units, _terms(y - middle, y_hat - middle))
    if recordings is not None:
        both = pd.DataFrame({"unit": units, "recording": recordings})
        cell = both.groupby(["unit", "recording"], sort=False).ngroup().to_numpy()
        parts = np.zeros((int(cell.max()) + 1, N_SUMS))
        np.add.at(parts[:, _OF_ROWS], cell, _terms(y - middle, y_hat - middle))
        first = both.groupby(cell)["unit"].first().to_numpy()
        np.add.at(sums[:, _OF_RECORDINGS], first, _of_recordings(split_sums(parts)))
    return sums


def split_sums(sums: np.ndarray) -> NumberStatistics:
    """Return what follows from sums (..., N_SUMS), each (...); NaN where there is no row."""
    n, h, hh, y, yy, yh, squared, absolute, of_recordings, recordings = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance_y = np.maximum(yy / n - (y / n) ** 2, 0)
        variance_h = np.maximum(hh / n - (h / n) ** 2, 0)
        constant_y, constant_h = variance_y <= CONSTANT * yy / n, variance_h <= CONSTANT * hh / n
        covariance = np.where(constant_h, 0, yh / n - y * h / n**2)
        ccc = 2 * covariance / (variance_y + variance_h + ((y - h) / n) ** 2)
        return NumberStatistics(
            variance_y, variance_h, covariance, constant_y, constant_h,
            np.where(constant_y, np.nan, np.clip(ccc, -1, 1)), squared / n, absolute / n, of_recordings, recordings,
        )  # fmt: skip


def _terms(y: np.ndarray, h: np.ndarray) -> np.ndarray:
    """What each row adds to the first eight sums: (n,) and (n,) to (n, 8)."""
    return np.stack([np.ones_like(y), h, h * h, y, y * y, y * h, (y - h) ** 2, np.abs(y - h)], axis=-1)


def _sums_of_courses(y: np.ndarray, h: np.ndarray) -> np.ndarray:
    """The first eight sums of labels (V, n) with predictions (n,), without a table of all terms: (8, V)."""
    error = y - h
    sums = np.empty((8, len(y)))
    sums[_OF_PREDICTIONS] = np.array([len(h), h.sum(), h @ h])[:, None]
    sums[3], sums[4], sums[5] = y.sum(axis=1), np.einsum("vn,vn->v", y, y), y @ h
    sums[6], sums[7] = np.einsum("vn,vn->v", error, error), np.abs(error).sum(axis=1)
    return sums


def _of_recordings(each: NumberStatistics) -> np.ndarray:
    """The last two sums of single recordings, (..., 2)."""
    return np.stack([np.nan_to_num(each.ccc), (~np.isnan(each.ccc)).astype(float)], axis=-1)


class NumberPermutations(LabelPermutations):
    """The labels of trials permuted within each subject, for numbers.

    If each trial has one label, the trials of a subject are permuted. If labels change within trials, neighbouring
    windows share them, so the course of labels stays whole: it is exchanged with that of another trial of the subject
    with as many windows, and shifted in time by a random number of windows, its end then standing at the start. Windows
    count in the order of their number; those that were not tested leave no gap.

    What a trial adds to the sums is tabulated for each label or course that it may get (its *variants*): (variants,
    sums), for windows, for trials, and for each fold in which it has windows. A draw is a variant for each trial.
    """

    def __init__(self, result: pd.DataFrame, exchange: bool = True, labelled: pd.DataFrame | None = None):
        """Take a result.

        exchange : whether trials exchange labels; else courses are only shifted within trials
        labelled : rows of all trials that exchange labels, as of TaskMetrics.permutations
        """
        labelled = result if labelled is None else labelled
        self._constant, self._exchange = has_constant_trials(labelled), exchange
        self._trials: dict[str, list[_Trial]] = {}
        self._tested: dict[str, list[bool]] = {}  # whether the result tests a trial, or only exchanges labels with it
        tested = set(result[TRIAL].drop_duplicates().itertuples(index=False, name=None))
        for name, trial in _trials_of(labelled, self._constant):
            self._trials.setdefault(str(name[0]), []).append(trial)
            self._tested.setdefault(str(name[0]), []).append(name in tested)
        self.subjects = sorted(self._trials)
        if self._constant:
            self.what = "trial labels within each subject"
        else:
            courses = "courses of labels exchanged among a subject's trials of equally many windows, and "
            self.what = (courses if exchange else "courses of labels ") + "shifted in time within each trial"

    @override
    def draw(self, subject: str, n: int, rng: np.random.Generator) -> np.ndarray:
        trials = self._trials[subject]
        if self._constant and self._exchange:
            return permuted_orders(len(trials), n, rng)
        draws = np.zeros((n + 1, len(trials)), int)
        for length, alike in self._alike(subject).items():
            m = len(alike)
            orders = permuted_orders(m, n, rng) if self._exchange else np.tile(np.arange(m), (n + 1, 1))
            shifts = rng.integers(0, length, (n + 1, m))
            shifts[0] = 0
            draws[:, alike] = orders * length + shifts
        return draws

    @override
    def sums(self, subject: str, draws: np.ndarray) -> PermutedSums:
        trials = [(k, t) for k, t in enumerate(self._trials[subject]) if self._tested[subject][k]]
        groups = {name: g for g, name in enumerate(["window", "trial", *{f: 0 for _, t in trials for f in t.folds}])}
        sums = np.zeros((len(groups), N_SUMS, len(draws)))
        for k, trial in trials:
            table = trial.table(self._variants(subject, k))  # (2 + folds, N_SUMS, variants)
            of_labels = table[:, _OF_LABELS].take(draws[:, k], axis=2)  # (2 + folds, sums, m)
            for of_group, group in zip(of_labels, ("window", "trial", *trial.folds), strict=True):
                sums[groups[group], _OF_LABELS] += of_group
            in_groups = [groups[name] for name in ("window", "trial", *trial.folds)]
            sums[in_groups, _OF_PREDICTIONS] += table[:, _OF_PREDICTIONS, :1]
        by_group = dict(zip(groups, sums.transpose(0, 2, 1), strict=True))
        return PermutedSums(by_group.pop("window"), by_group.pop("trial"), by_group)

    def _alike(self, subject: str) -> dict[int, np.ndarray]:
        """The numbers of a subject's trials by how many labels they have."""
        lengths = np.array([len(trial.course) for trial in self._trials[subject]])
        return {int(length): np.flatnonzero(lengths == length) for length in np.unique(lengths)}

    def _variants(self, subject: str, k: int) -> np.ndarray:
        """The courses of labels that trial k may get, (variants, labels): each of its kind, at each shift."""
        trials = self._trials[subject]
        alike = range(len(trials)) if self._constant else self._alike(subject)[len(trials[k].course)]
        courses = np.stack([trials[j].course for j in alike])  # (m, L)
        length = courses.shape[1]
        shifted = (np.arange(length) + np.arange(length)[:, None]) % length  # (shifts, L)
        return courses[:, shifted].reshape(-1, length)


def _trials_of(result: pd.DataFrame, constant: bool) -> Iterator[tuple[tuple, "_Trial"]]:
    """Yield each trial with its name (subject, trial), sorted by it; numbers are centred.

    constant : a trial has one label
    """
    rows = result[[*TRIAL, "recording", "window", "fold", "y", "y_hat"]].sort_values([*TRIAL, "recording", "window"])
    trial = rows.groupby(TRIAL).ngroup().to_numpy()
    place = rows.groupby([*TRIAL, "recording", "window"]).ngroup().to_numpy()
    recording = rows.groupby([*TRIAL, "recording"]).ngroup().to_numpy()
    names, folds = rows[TRIAL].to_numpy(), rows["fold"].to_numpy()
    y, y_hat = (rows[name].to_numpy(float) - rows["y"].mean() for name in ("y", "y_hat"))
    starts = np.flatnonzero(np.diff(trial, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(trial)], strict=True):
        at = slice(start, stop)
        yield tuple(names[start]), _Trial((y[at], y_hat[at]), place[at], recording[at], folds[at], constant)


class _Trial:
    """The windows of one trial, in the order of their number: their place in the course of labels, and predictions."""

    def __init__(
        self,
        numbers: tuple[np.ndarray, np.ndarray],
        place: np.ndarray,
        recording: np.ndarray,
        fold: np.ndarray,
        constant: bool,
    ):
        """Take y and y_hat, and the place, recording and fold of each window; constant : all have one label."""
        y, y_hat = numbers
        _, first, number = np.unique(place, return_index=True, return_inverse=True)
        self.course = y[first[:1]] if constant else y[first]  # (L,)
        self._place = np.zeros_like(number) if constant else number
        self._y_hat = y_hat
        names = np.unique(fold)
        self.folds = names.tolist()
        self._folds = [fold == name for name in names]
        self._recordings = [] if constant else [recording == name for name in np.unique(recording)]

    def table(self, courses: np.ndarray) -> np.ndarray:
        """What this trial adds to the sums if it has one of the courses (V, L): by windows, by trials, and by fold.

        Float (2 + folds, N_SUMS, V).
        """
        y = courses[:, self._place]  # (V, windows)
        table = np.zeros((2 + len(self.folds), N_SUMS, len(y)))
        for f, at in enumerate(self._folds, 2):
            table[f, _OF_ROWS] = _sums_of_courses(y[:, at], self._y_hat[at])
            table[1, _OF_ROWS] += _sums_of_courses(y[:, at].mean(axis=1)[:, None], self._y_hat[at].mean(keepdims=True))
        table[0, _OF_ROWS] = table[2:, _OF_ROWS].sum(axis=0)
        for at in self._recordings:
            parts = np.zeros((len(y), N_SUMS))
            parts[:, _OF_ROWS] = _sums_of_courses(y[:, at], self._y_hat[at]).T
            table[0, _OF_RECORDINGS] += _of_recordings(split_sums(parts)).T
        return table

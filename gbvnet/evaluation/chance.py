"""Chance for every score of every task: trial labels permuted within each subject against fixed predictions.

Nothing is refitted. A trial keeps its windows together, so that 60 windows of one trial do not count as 60
observations; a subject keeps their labels, so that recognising the subject gains nothing.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .metrics import metrics_of
from .predictions import TRIAL
from .regression_sums import NumberPermutations
from .score_properties import SCORE_PROPERTIES
from .statistics import N_PERMUTATIONS, Chance, compare_with_permuted
from .task_metrics import LabelPermutations, TaskMetrics


class ScoreChances(NamedTuple):
    """Every score against chance."""

    levels: dict[str, dict[str, Chance]]  # window (pooled), fold (mean over folds where defined), trial (pooled)
    subjects: dict[str, Chance]  # subject -> the task's main score by window
    what: str  # what was permuted, in words


def chances_of_scores(result: pd.DataFrame, n: int = N_PERMUTATIONS, seed: int = 0) -> ScoreChances:
    """Permute the labels of trials within each subject n times, and return every score of the result beside it.

    result : rows of a predictions table that share `predictions.KEYS`, no two subjects with one fold number under
        scope per-subject (`metrics.number_folds_once`)

    For numbers whose labels change within trials see `regression_sums.NumberPermutations`.
    """
    return chances_over_seeds([result], n, seed)


def chances_over_seeds(results: Sequence[pd.DataFrame], n: int = N_PERMUTATIONS, seed: int = 0) -> ScoreChances:
    """As chances_of_scores, of the mean over results that differ by their seed alone.

    A permutation is of all trials that are tested at any seed, and is shared by all seeds: the mean over seeds is
    compared with means over seeds under one and the same exchange of labels. Permuting each seed apart would take
    trials that several seeds test for different ones, and chance would come out too narrow.
    """
    task = metrics_of(results[0])
    labels = [task.permutations(result, _with_other_trials(result, results)) for result in results]
    return _chances(results, task, labels, n, seed)


def _with_other_trials(result: pd.DataFrame, results: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of a result, and below them those of trials that only others of the results test."""
    rows = result
    for other in (each for each in results if each is not result):
        known = pd.MultiIndex.from_frame(rows[TRIAL].drop_duplicates())
        unknown = ~pd.MultiIndex.from_frame(other[TRIAL]).isin(known)
        rows = pd.concat([rows, other[unknown]], ignore_index=True) if unknown.any() else rows
    return rows


def chances_by_shift(result: pd.DataFrame, n: int = N_PERMUTATIONS, seed: int = 0) -> ScoreChances:
    """As chances_of_scores, with labels only shifted in time within each trial: does a prediction follow the course?

    For a table of numbers. Knowing a trial's mean, or its subject's, gains nothing; scores by trial do not change. A
    course is shifted in a circle, so its end meets its start: for a course with a strong trend chance is approximate.
    Where all labels of a trial are equal no shift changes anything, and p is 1.
    """
    return _chances([result], metrics_of(result), [NumberPermutations(result, exchange=False)], n, seed)


def _chances(
    results: Sequence[pd.DataFrame], task: TaskMetrics, labels: Sequence[LabelPermutations], n: int, seed: int
) -> ScoreChances:
    """Chance of the mean over results, each with its `labels`; a draw is the same for all."""
    rng = np.random.default_rng(seed)
    permuted = [_PermutedScores(result, task, of) for result, of in zip(results, labels, strict=True)]
    subjects = {}
    for subject in labels[0].subjects:
        draws = labels[0].draw(subject, n, rng)
        of_seeds = [each.add(subject, draws) for each in permuted if subject in each.subjects]
        subjects[subject] = _compare(task.main, np.mean(of_seeds, axis=0))
    values = [each.values() for each in permuted]
    levels = {
        level: {name: _compare(name, np.mean([of[level][name] for of in values], axis=0)) for name in scores}
        for level, scores in values[0].items()
    }
    return ScoreChances(levels, subjects, labels[0].what)


def _compare(name: str, values: np.ndarray) -> Chance:
    """The observed score, values[0], against the permuted ones."""
    return compare_with_permuted(values[0], values[1:], SCORE_PROPERTIES[name].higher_is_better)


class _PermutedScores:
    """The scores of one result under each draw; its subjects are added one after the other."""

    def __init__(self, result: pd.DataFrame, task: TaskMetrics, labels: LabelPermutations):
        self._task, self._labels, self._folds = task, labels, _FoldMeans(result, task)
        self.subjects = set(result["subject"])  # those tested; `labels` may have others, whom other seeds test
        self._window = self._trial = np.zeros(1)

    def add(self, subject: str, draws: np.ndarray) -> np.ndarray:
        """Add a subject under draws, int (1 + n, trials); returns its headline score by window, (1 + n,)."""
        sums = self._labels.sums(subject, draws)  # (1 + n, S) each, the observed labels first
        self._window, self._trial = self._window + sums.window, self._trial + sums.trial
        self._folds.add(sums.folds)
        return self._task.scores_of_sums(sums.window, (self._task.main,))[self._task.main]

    def values(self) -> dict[str, dict[str, np.ndarray]]:
        """Return each score by level (window, fold, trial) and name, (1 + n,)."""
        return {
            "window": self._task.scores_of_sums(self._window, self._task.window_scores),
            "fold": self._folds.means(),
            "trial": self._task.scores_of_sums(self._trial, self._task.trial_scores),
        }


class _FoldMeans:
    """Means over folds of scores under each draw. A fold's sums are kept only until its last subject has come."""

    def __init__(self, result: pd.DataFrame, task: TaskMetrics):
        self._task = task
        self._remaining = Counter(result.drop_duplicates(["fold", "subject"])["fold"].tolist())
        self._open: dict[Any, np.ndarray] = {}
        self._total: dict[str, np.ndarray | int] = dict.fromkeys(task.fold_scores, 0)
        self._defined: dict[str, np.ndarray | int] = dict.fromkeys(task.fold_scores, 0)

    def add(self, sums: dict[Any, np.ndarray]) -> None:
        """Add a subject's sums (m, S) of each fold."""
        for fold, more in sums.items():
            self._open[fold] = self._open.get(fold, 0) + more
            self._remaining[fold] -= 1
            if not self._remaining[fold]:
                for name, values in self._task.scores_of_sums(self._open.pop(fold), self._task.fold_scores).items():
                    self._total[name] = self._total[name] + np.nan_to_num(values)
                    self._defined[name] = self._defined[name] + ~np.isnan(values)

    def means(self) -> dict[str, np.ndarray]:
        """Return the mean of each score over the folds in which it is defined, (m,); NaN where in none."""
        with np.errstate(invalid="ignore"):
            return {name: np.asarray(total / self._defined[name]) for name, total in self._total.items()}

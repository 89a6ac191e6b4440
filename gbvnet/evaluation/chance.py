"""Chance for every score of every task: trial labels permuted within each subject against fixed predictions.

Nothing is refitted. A trial keeps its windows together, so that 60 windows of one trial do not count as 60
observations; a subject keeps their labels, so that recognising the subject gains nothing.
"""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .metrics import metrics_of
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
    task = metrics_of(result)
    return _chances(result, task, task.permutations(result), n, seed)


def chances_by_shift(result: pd.DataFrame, n: int = N_PERMUTATIONS, seed: int = 0) -> ScoreChances:
    """As chances_of_scores, with labels only shifted in time within each trial: does a prediction follow the course?

    For a table of numbers. Knowing a trial's mean, or its subject's, gains nothing; scores by trial do not change. A
    course is shifted in a circle, so its end meets its start: for a course with a strong trend chance is approximate.
    Where all labels of a trial are equal no shift changes anything, and p is 1.
    """
    return _chances(result, metrics_of(result), NumberPermutations(result, exchange=False), n, seed)


def _chances(result: pd.DataFrame, task: TaskMetrics, labels: LabelPermutations, n: int, seed: int) -> ScoreChances:
    rng = np.random.default_rng(seed)
    folds = _FoldMeans(result, task)
    window = trial = np.zeros(1)
    subjects = {}
    for subject in labels.subjects:
        sums = labels.sums(subject, labels.draw(subject, n, rng))  # (1 + n, S) each, the observed labels first
        window, trial = window + sums.window, trial + sums.trial
        folds.add(sums.folds)
        subjects[subject] = _compare(task.main, task.scores_of_sums(sums.window, (task.main,))[task.main])
    values = {
        "window": task.scores_of_sums(window, task.window_scores),
        "fold": folds.means(),
        "trial": task.scores_of_sums(trial, task.trial_scores),
    }
    levels = {level: {name: _compare(name, v) for name, v in scores.items()} for level, scores in values.items()}
    return ScoreChances(levels, subjects, labels.what)


def _compare(name: str, values: np.ndarray) -> Chance:
    """The observed score, values[0], against the permuted ones."""
    return compare_with_permuted(values[0], values[1:], SCORE_PROPERTIES[name].higher_is_better)


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

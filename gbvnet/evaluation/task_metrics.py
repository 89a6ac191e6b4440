"""The interface of a task's metrics: all that scores, intervals and chance need to know of it.

A *row* is a tested window of a predictions table, or a trial as `aggregate_trials` gives it: both have the columns of
labels and predictions. Most scores follow from *sums*: numbers that are added over rows (counts of a confusion matrix,
moments of y and y_hat). Sums of folds, of resampled subjects and of permuted trials are added instead of scored anew,
so that 10,000 permutations of 52,000 windows take a second or two.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from .prediction_schema import Task


class PermutedSums(NamedTuple):
    """Sums of one subject's rows under m draws of labels, each (m, S) as `TaskMetrics.sums` orders them."""

    window: np.ndarray  # over all windows
    trial: np.ndarray  # over rows of aggregate_trials
    folds: dict[Any, np.ndarray]  # over the windows of each fold


class LabelPermutations(ABC):
    """The trials of each subject, and the sums of their rows under permuted labels and fixed predictions."""

    subjects: list[str]  # sorted
    what: str  # what is permuted, in words

    @abstractmethod
    def draw(self, subject: str, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return n random draws, int (n + 1, trials of the subject); the first row leaves all labels where they are."""

    @abstractmethod
    def sums(self, subject: str, draws: np.ndarray) -> PermutedSums:
        """Return the subject's sums under draws, int (m, trials of the subject)."""


def permuted_orders(n_trials: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n random orders of the numbers 0 to n_trials - 1 below the sorted one, int (n + 1, n_trials)."""
    as_is = np.arange(n_trials)
    return np.vstack([as_is, rng.permuted(np.tile(as_is, (n, 1)), axis=1)])


class TaskMetrics(ABC):
    """The scores of one task, of rows of a predictions table."""

    task: ClassVar[Task]
    main: ClassVar[str]  # name of the headline score
    window_scores: ClassVar[tuple[str, ...]]  # all scores of windows
    trial_scores: ClassVar[tuple[str, ...]]
    fold_scores: ClassVar[tuple[str, ...]]  # those that are given by fold
    resampled_scores: ClassVar[tuple[str, ...]]  # those that follow from sums of resampled units
    classes: tuple[str, ...] = ()  # their names in the order of their numbers; none of numbers

    @abstractmethod
    def compute(self, rows: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
        """Return scores of rows by name; NaN where one is not defined."""

    @abstractmethod
    def aggregate_trials(self, result: pd.DataFrame) -> pd.DataFrame:
        """Return one row a trial and fold: fold, subject, trial, stimulus, windows, label, prediction and prior."""

    @abstractmethod
    def baseline(self, rows: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
        """Return scores of always predicting what the fold's training windows suggest: majority class, constant mean.

        What orders or correlates is given as if the prediction were one constant (AUC 0.5, CCC 0): the differences
        between the priors of folds are no skill.
        """

    @abstractmethod
    def sums(self, rows: pd.DataFrame, units: np.ndarray) -> np.ndarray:
        """Return the sums of rows by unit, float (units, S). units : int (rows,), the unit of each row, 0 to n - 1."""

    @abstractmethod
    def scores_of_sums(self, sums: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return scores of many sums at once, (..., S) to (...); NaN where one is not defined."""

    @abstractmethod
    def permutations(self, result: pd.DataFrame, labelled: pd.DataFrame | None = None) -> LabelPermutations:
        """Return what permutes the labels of a result.

        labelled : rows of all trials that exchange labels, those of the result and others; default: the result's
        """

    @abstractmethod
    def describe_group(self, rows: pd.DataFrame, trials: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
        """Return the row of a fold or subject in a table: counts, scores by window, of trials and of the baseline."""

    @abstractmethod
    def counts(self, result: pd.DataFrame) -> dict[str, int]:
        """Return how many trials and windows there are of each kind, beside those of all tasks."""

    @abstractmethod
    def warnings(self, result: pd.DataFrame, folds: pd.DataFrame, subjects: pd.DataFrame) -> Iterator[str]:
        """Yield what a reader should know of a result that no score shows. folds, subjects : tables of metrics.py."""

    @abstractmethod
    def without_skill(self, window: dict[str, float], baseline: dict[str, float]) -> str:
        """Return the words for scores by window that are no better than the baseline's; "" if they are."""

    def confusion(self, rows: pd.DataFrame) -> np.ndarray | None:
        """Return the confusion matrix, int (K, K), label by prediction; None for numbers."""
        return None

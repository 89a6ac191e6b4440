"""What the metrics of two and of more classes share: their sums, permutations, and words on labels of one class."""

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
import pandas as pd
from typing_extensions import override

from .class_sums import ClassPermutations, ClassRows, sum_classes
from .score_properties import TOLERANCE
from .task_metrics import LabelPermutations, TaskMetrics


class ClassMetrics(TaskMetrics):
    """The metrics of rows whose label is a class."""

    main = "accuracy"

    @abstractmethod
    def class_rows(self, rows: pd.DataFrame) -> ClassRows:
        """Return labels, predicted classes and ranks of probabilities of windows or trials."""

    @override
    def compute(self, rows: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
        """Return scores of rows from their sums; NaN of no rows. Raises ValueError for a probability that is NaN."""
        if not len(rows):
            return dict.fromkeys(names, np.nan)
        return self._scores(self.sums(rows, np.zeros(len(rows), int))[0], names)

    def _scores(self, sums: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
        return {name: float(value) for name, value in self.scores_of_sums(sums, names).items()}

    @override
    def sums(self, rows: pd.DataFrame, units: np.ndarray) -> np.ndarray:
        return sum_classes(self.class_rows(rows), units)

    @override
    def permutations(self, result: pd.DataFrame, labelled: pd.DataFrame | None = None) -> LabelPermutations:
        trials = self.aggregate_trials(result)
        return ClassPermutations(result, trials, self.class_rows(result), self.class_rows(trials), labelled)

    @override
    def without_skill(self, window: dict[str, float], baseline: dict[str, float]) -> str:
        return "not above the majority" if window["accuracy"] <= baseline["accuracy"] + TOLERANCE else ""


def one_class_warnings(folds: pd.DataFrame, subjects: pd.DataFrame, several: str) -> Iterator[str]:
    """Yield how many folds and subjects have one class only. several : words for what they lack ("both classes")."""
    for rows, what in ((folds, "test folds"), (subjects, "subjects")):
        one_class = int(rows["balanced_accuracy"].isna().sum())
        if one_class:
            yield (
                f"{one_class} of {len(rows)} {what} have one class only: all scores but accuracy are undefined there, "
                "and left out of means."
            )
        if what == "subjects" and one_class == len(rows):
            yield f"No subject has {several}, so permuting labels changes nothing: no score can be above chance."

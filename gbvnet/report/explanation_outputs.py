"""What explanations depend on the task for: what a model's output is, how far it moves, its scores, and their words.

| task | output | columns of scores | change of the output |
|---|---|---|---|
| binary | logit of high | auc, accuracy | `logit_change` |
| multiclass | log-probability of each class | auc (mean over classes), accuracy | `log_probability_change` |
| regression | rating, in its own units | ccc, mae | `rating_change` |

Shapes: n windows, K targets, D numbers that one target's output has (the classes of task multiclass, else 1).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logit
from typing_extensions import override

from ..evaluation.binary import BinaryMetrics
from ..evaluation.labels import has_one_class
from ..evaluation.multiclass import MulticlassMetrics
from ..evaluation.prediction_schema import Task, class_columns
from ..evaluation.regression import RegressionMetrics
from ..evaluation.score_properties import SCORE_PROPERTIES
from ..evaluation.targets import QUADRANT_LETTERS, QUADRANTS, Target, scale_in_words
from ..text import listed, shortened

CERTAIN = 1e-12  # probabilities are clipped to this distance from 0 and 1: logits and log-probabilities of at most 28
TURNED_WRONG = "turned_wrong"  # column of patches, where there are classes
ALL = "all"  # the group of all windows, in tables of the face
LONGEST_NAME = 16  # letters of a class' name that fit above a panel
_RED_BLUE = "(red: the channel helps; blue: the model does better without it, as happens by chance)"
_ALL_BUT_LAST = "Colours have one scale in all panels but the last."
_QUADRANT_NAMES = f" {QUADRANT_LETTERS}."
_NOISE_OF_ACCURACY = (
    "the dotted line is the accuracy with that modality removed, that is of the other one alone. A fusion that works "
    "falls to about that line and no further"
)


class ScoreCurve(NamedTuple):
    """A score against noise: its column, its name in the legend and on the axis, and the factor of its values."""

    column: str
    label: str
    axis: str
    unit: float = 1


ACCURACY = ScoreCurve("accuracy", "accuracy", "accuracy, % of windows", 100)


class OutputWords(NamedTuple):
    """What figures and captions say of an output."""

    loss: str  # titles of the two panels of channels
    change: str
    patch_loss: str  # labels of the two colour bars of patches
    patch_change: str
    curves: tuple[ScoreCurve, ...]
    channels: str  # "Left, ...; right, ...": parts of captions in explanation_figures.py
    patches: str  # what red and blue patches are
    scales: str  # which panels of patches have one scale
    noise: str  # what the dotted line is, and what a fusion that works does


class ExplainedOutput(ABC):
    """The output of the models of one target. Names of columns are those of the tables in RUN/explain."""

    task: ClassVar[Task]
    scores: ClassVar[tuple[str, ...]]  # of windows; a channel's importance is drawn by the first
    change: ClassVar[str]  # column of channels: mean size of the output's change
    patch_loss: ClassVar[str]  # column of patches: how far the output moves away from the true label
    patch_change: ClassVar[str]  # column of patches: mean size of the output's change
    group: ClassVar[str] = "rated"  # column of patches: which windows
    without_model: ClassVar[str] = "there was one class only"  # why a training left none

    @property
    @abstractmethod
    def words(self) -> OutputWords:
        """What figures and captions say of it."""

    @abstractmethod
    def outputs(self, predicted: np.ndarray, n: int) -> np.ndarray:
        """Return the outputs (K, n, D) for a system's predictions of n windows (`SystemOutput.predicted`)."""

    @abstractmethod
    def compute_scores(self, y: np.ndarray, output: np.ndarray) -> dict[str, float]:
        """Return `scores` of labels (n,) and outputs (n, D) by name; NaN where one is not defined."""

    @abstractmethod
    def gained(self, y: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return how far outputs (n, D) have come closer to the true labels, (n,); below 0 where they moved away."""

    def correct(self, y: np.ndarray, output: np.ndarray) -> np.ndarray | None:
        """Return which windows are predicted correctly, (n,) bool; None where there are no classes."""
        return None

    @abstractmethod
    def groups(self, y: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the groups of windows that patches are given for: their name in the table, and who is in them, (n,)."""

    @abstractmethod
    def group_titles(self) -> dict[str, str]:
        """Return the titles of the groups by their name, without that of all windows."""

    def changed(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return how far outputs (n, D) have moved, in either direction, on average over D: (n,)."""
        return np.abs(after - before).mean(axis=-1)

    @staticmethod
    def loss_of(score: str) -> str:
        """Return the column of how much worse a score becomes: auc_drop; of an error mae_rise."""
        return f"{score}_drop" if SCORE_PROPERTIES[score].higher_is_better else f"{score}_rise"

    def losses(self, before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
        """Return how much worse each score became, by column; above 0 is worse."""
        higher = {name: SCORE_PROPERTIES[name].higher_is_better for name in before}
        return {
            self.loss_of(name): before[name] - after[name] if higher[name] else after[name] - before[name]
            for name in before
        }

    def notes(self, y: np.ndarray, y_train: np.ndarray) -> Iterator[str]:
        """Yield what is undefined with the labels of the used windows, (n,), and of those trained on, (n_train,)."""
        yield from ()

    @property
    def about(self) -> dict[str, Any]:
        """What explain.json says of the output."""
        return {}


class BinaryOutput(ExplainedOutput):
    """Two classes: the logit of the higher one."""

    task = "binary"
    scores = ("auc", "accuracy")
    change, patch_loss, patch_change = "logit_change", "drop", "change"

    @property
    @override
    def words(self) -> OutputWords:
        return OutputWords(
            loss="AUC lost without it",
            change="mean change of the logit",
            patch_loss="logit of the true class lost",
            patch_change="change of the logit",
            curves=(ACCURACY,),
            channels=(f"Left, the AUC lost {_RED_BLUE}; right, how far the logit moves in either direction."),
            patches="Red patches support the true class, blue ones the other",
            scales="Colours have one scale in the first three panels.",
            noise=_NOISE_OF_ACCURACY,
        )

    @override
    def outputs(self, predicted: np.ndarray, n: int) -> np.ndarray:
        return logit(np.clip(predicted.reshape(n, -1), CERTAIN, 1 - CERTAIN)).T[..., None]

    @override
    def compute_scores(self, y: np.ndarray, output: np.ndarray) -> dict[str, float]:
        p = 1 / (1 + np.exp(-output[:, 0]))
        return BinaryMetrics().compute(pd.DataFrame({"y": y, "p": p}), self.scores)

    @override
    def gained(self, y: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        return (2.0 * y - 1) * (after - before)[:, 0]

    @override
    def correct(self, y: np.ndarray, output: np.ndarray) -> np.ndarray:
        return (output[:, 0] >= 0) == (y == 1)

    @override
    def groups(self, y: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        yield "high", y == 1
        yield "low", y == 0

    @override
    def group_titles(self) -> dict[str, str]:
        return {"high": "rated high", "low": "rated low"}


BINARY = BinaryOutput()


@dataclass(frozen=True)
class MulticlassOutput(ExplainedOutput):
    """Several classes: the log-probability of each.

    classes : their names, in the order of their numbers
    """

    classes: tuple[str, ...]

    task = "multiclass"
    scores = ("auc", "accuracy")
    change, patch_loss, patch_change = "log_probability_change", "log_probability_drop", "log_probability_change"
    group = "class"  # by number: a class may be called "all"

    @property
    @override
    def words(self) -> OutputWords:
        return OutputWords(
            loss="AUC lost, mean of classes",
            change="mean change of log-probabilities",
            patch_loss="log-probability of the true class lost",
            patch_change="change of log-probabilities",
            curves=(ACCURACY,),
            channels=(
                f"Left, the AUC lost, a mean over the classes, each against all others {_RED_BLUE}; right, how far "
                "the log-probabilities of the classes move in either direction, a mean over the classes."
            ),
            patches="Red patches support the true class, blue ones the others",
            scales=_ALL_BUT_LAST + (_QUADRANT_NAMES if self.classes == QUADRANTS else ""),
            noise=_NOISE_OF_ACCURACY,
        )

    @override
    def outputs(self, predicted: np.ndarray, n: int) -> np.ndarray:
        return np.log(np.clip(predicted.reshape(n, len(self.classes)), CERTAIN, 1))[None]

    @override
    def compute_scores(self, y: np.ndarray, output: np.ndarray) -> dict[str, float]:
        columns, _ = class_columns(len(self.classes))
        rows = pd.DataFrame(np.exp(output), columns=columns).assign(y=y)
        return MulticlassMetrics(len(self.classes)).compute(rows, self.scores)

    @override
    def gained(self, y: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        return (after - before)[np.arange(len(y)), y.astype(int)]

    @override
    def correct(self, y: np.ndarray, output: np.ndarray) -> np.ndarray:
        return output.argmax(axis=1) == y

    @override
    def groups(self, y: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        yield from ((f"{k}", y == k) for k in range(len(self.classes)))

    @override
    def group_titles(self) -> dict[str, str]:
        short = (name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in self.classes)
        return {f"{k}": name for k, name in enumerate(short)}

    @override
    def notes(self, y: np.ndarray, y_train: np.ndarray) -> Iterator[str]:
        used, trained = set(y.astype(int).tolist()), set(y_train.astype(int).tolist())
        absent, unknown = ([k for k in range(len(self.classes)) if k not in those] for those in (used, trained))
        if len(used) == 1:
            yield f"all windows used are of class {self.classes[used.pop()]}: AUC is undefined"
        elif absent:
            yield f"no windows of {self._named(absent)} are used: AUC is the mean over the others"
        if unknown:
            those = "it" if len(unknown) == 1 else "them"
            yield f"no training windows are of {self._named(unknown)}, so the model cannot predict {those}"

    def _named(self, numbers: list[int]) -> str:
        names = [self.classes[k] for k in numbers]
        return f"class{'es' * (len(names) > 1)} {listed(names) if len(names) <= 4 else shortened(names)}"

    @property
    @override
    def about(self) -> dict[str, Any]:
        return {"classes": list(self.classes)}


@dataclass(frozen=True)
class RegressionOutput(ExplainedOutput):
    """A rating in its own units.

    scale : its lowest and highest value
    """

    scale: tuple[float, float]

    task = "regression"
    scores = ("ccc", "mae")
    change, patch_loss, patch_change = "rating_change", "absolute_error_rise", "rating_change"
    without_model = "all training labels were equal"

    @property
    @override
    def words(self) -> OutputWords:
        scale = scale_in_words(self.scale)
        return OutputWords(
            loss="CCC lost without it",
            change=f"change of the rating, scale {scale}",
            patch_loss="absolute error added",
            patch_change=f"change of the rating, scale {scale}",
            curves=(
                ScoreCurve("ccc", "CCC", "CCC"),
                ScoreCurve("mae", "mean absolute error", f"mean absolute error, scale {scale}"),
            ),
            channels=(
                f"Left, the CCC lost {_RED_BLUE}; right, how far the predicted rating moves in either direction, in "
                f"points of its scale from {scale}."
            ),
            patches="Red patches bring the predicted rating closer to the true one, blue ones take it away from it",
            scales=_ALL_BUT_LAST,
            noise=(
                "the dotted line is the score with that modality removed, that is of the other one alone; a CCC is "
                "better the higher, an error the lower. A fusion that works gets about as bad as that line and no worse"
            ),
        )

    @property
    def middle(self) -> float:
        """The middle of the scale, at which windows are grouped."""
        return sum(self.scale) / 2

    @override
    def outputs(self, predicted: np.ndarray, n: int) -> np.ndarray:
        return predicted.reshape(1, n, 1)

    @override
    def compute_scores(self, y: np.ndarray, output: np.ndarray) -> dict[str, float]:
        return RegressionMetrics().compute(pd.DataFrame({"y": y, "y_hat": output[:, 0]}), self.scores)

    @override
    def gained(self, y: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        return np.abs(before[:, 0] - y) - np.abs(after[:, 0] - y)

    @override
    def groups(self, y: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        yield "high", y >= self.middle
        yield "low", y < self.middle

    @override
    def group_titles(self) -> dict[str, str]:
        return {"high": f"rated {self.middle:g} or more", "low": f"rated below {self.middle:g}"}

    @override
    def notes(self, y: np.ndarray, y_train: np.ndarray) -> Iterator[str]:
        if has_one_class(y):
            yield f"all windows used are rated {y[0]:g}: CCC is undefined"

    @property
    @override
    def about(self) -> dict[str, Any]:
        return {"scale": list(self.scale)}


def recorded_output(task: object, about: Mapping[str, Any]) -> ExplainedOutput:
    """Return the output, of several classes or a rating, that `about` (see `ExplainedOutput.about`) was written for.

    Raises ValueError, KeyError or TypeError if it does not describe one.
    """
    if task == "multiclass":
        classes = about["classes"]
        if not (isinstance(classes, list) and len(classes) >= 2):
            raise ValueError(f"classes: expected at least two names, found {classes!r:.60}")
        return MulticlassOutput(tuple(map(str, classes)))
    if task == "regression":
        low, high = map(float, about["scale"])
        return RegressionOutput((low, high))
    raise ValueError(f"task: expected multiclass or regression, found {task!r:.60}")


def output_of_target(target: Target) -> ExplainedOutput:
    """Return what is explained of a target."""
    if target.task == "multiclass":
        return MulticlassOutput(target.classes)
    return BINARY if target.task == "binary" else RegressionOutput(target.scale)

"""What a model's numbers are: probabilities of high, of each class, or a rating; and how they are shown.

Everything that shows a prediction (tables, curves, pages, the terminal) asks here for names, limits and words.

Shapes: n windows, K columns of a prediction.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pandas as pd
from scipy.special import expit, logit, softmax

from ..datasets.label_columns import NAME
from ..evaluation.labels import predicted_high
from ..evaluation.targets import QUADRANT_LETTERS, QUADRANTS, scale_in_words
from ..io.records import convert
from ..network.checkpoint.tested_accuracy import positive_class
from ..network.objectives import predictions_of
from ..text import listed

MIN_PROBABILITY = 1e-6  # probabilities are clipped to this distance from 0 and 1 before the logit
_QUADRANT_WORDS = f"{QUADRANT_LETTERS}: HVLA is high valence and low arousal."

_PROBABILITY = "probability that "

TargetName = Annotated[str, msgspec.Meta(pattern=rf"^{NAME.pattern}\Z")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class _Metadata(msgspec.Struct):
    """The keys of a model's metadata that say what it predicts; models of earlier versions have the targets alone."""

    targets: Annotated[list[TargetName], msgspec.Meta(min_length=1, max_length=20)]
    task: Literal["binary", "multiclass", "regression"] = "binary"
    classes: Annotated[list[Text], msgspec.Meta(max_length=200)] = []
    scales: list[tuple[float, float]] = []


@dataclass(frozen=True)
class ModelOutputs:
    """The columns of a prediction and what they mean.

    names : of the columns, in tables; labels : the same for readers, in curves and sentences
    limits : lowest and highest value of a column
    quantity : what a value is, as "probability that the rating is 5 or more of 9"
    """

    task: str
    target: str  # names of the targets, joined by "and"
    names: tuple[str, ...]
    labels: tuple[str, ...]
    limits: tuple[float, float]
    quantity: str

    @property
    def is_probability(self) -> bool:
        """Whether the columns are probabilities."""
        return self.task != "regression"

    @property
    def middle(self) -> float | None:
        """The value where a curve is drawn a line: where two classes are equally likely, or the middle of the scale."""
        return None if self.task == "multiclass" else sum(self.limits) / 2

    @property
    def ticks(self) -> tuple[float, float, float]:
        """The ends and the middle of the limits."""
        low, high = self.limits
        return low, (low + high) / 2, high

    @property
    def axis_label(self) -> str:
        """The name of the axis of values."""
        return "probability" if self.is_probability else self.target

    @property
    def explanation(self) -> str:
        """What the values say, in a sentence for readers."""
        if self.task == "binary":
            return "At 0.5 both classes, high and low, are equally likely."
        if self.task == "regression":
            return "The dotted line is the middle of the scale."
        words = f" {_QUADRANT_WORDS}" if self.labels == QUADRANTS else ""
        return f"The probabilities of the {len(self.names)} classes of a window add up to 1.{words}"

    @property
    def details(self) -> dict[str, Any]:
        """What recording.json says of the columns."""
        if self.task == "binary":
            return {"high": self.quantity.removeprefix(_PROBABILITY)}
        return {"task": self.task, "predicted": self.quantity} | (
            {"classes": dict(zip(self.names, self.labels, strict=True))} if self.task == "multiclass" else {}
        )

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Return the columns (n, K) of a prediction from the outputs (n, K) of the network."""
        return predictions_of(outputs, self.task, self.limits)

    def averaged(self, values: np.ndarray, mean: "Mean") -> np.ndarray:
        """Return the mean of columns (n, K) over the windows that `mean` takes together: of log odds for two classes,
        of log probabilities for several, of the ratings themselves."""
        if self.task == "regression":
            return np.stack([mean(column) for column in values.T], axis=1)
        p = np.clip(values, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        if self.task == "binary":
            return expit(np.stack([mean(column) for column in logit(p).T], axis=1))
        return softmax(np.stack([mean(column) for column in np.log(p).T], axis=1), axis=1)

    def summary(self, table: pd.DataFrame) -> str:
        """Return what a recording's windows show, as "valence high in 40% of them"; for the end of a sentence."""
        known = table[[*self.names]].dropna()
        if known.empty:
            return f"{self.target} in none of them"
        if self.task == "binary":
            shares = {name: predicted_high(known[name]).mean() for name in self.names}
            return ", ".join(f"{name} high in {share:.0%}" for name, share in shares.items()) + " of them"
        if self.task == "regression":
            rating = known[self.names[0]]
            return f"{self.target} {rating.mean():.1f} on average, from {rating.min():.1f} to {rating.max():.1f}"
        winners = known.to_numpy().argmax(axis=1)
        of_each = [f"{label} in {(winners == k).mean():.0%}" for k, label in enumerate(self.labels)]
        return f"{self.target} most likely {listed(of_each)} of them"


class Mean:
    """Takes the mean of a column (n,) over windows from `first` up to `past`, (n,) int each; NaN are left out."""

    def __init__(self, first: np.ndarray, past: np.ndarray):
        self.first, self.past = first, past

    def __call__(self, column: np.ndarray) -> np.ndarray:
        finite = np.isfinite(column)
        total, count = (np.append(0, np.cumsum(x)) for x in (np.where(finite, column, 0), finite))
        with np.errstate(invalid="ignore"):
            mean = (total[self.past] - total[self.first]) / (count[self.past] - count[self.first])
        return np.where(finite, mean, np.nan)


def model_outputs(about: Mapping[str, Any], n_outputs: int) -> ModelOutputs:
    """Return what a model predicts, from its metadata. Raises ValueError for metadata that do not fit its outputs."""
    made: _Metadata = convert(dict(about), _Metadata)
    targets = made.targets
    if len({*targets}) < len(targets):
        raise ValueError(f"targets: one is there twice among {', '.join(targets)}")
    if made.task == "binary":
        _require_outputs(len(targets), n_outputs, f"{', '.join(targets)} for {n_outputs} outputs")
        quantity = _PROBABILITY + positive_class(dict(about))
        return ModelOutputs("binary", " and ".join(targets), tuple(targets), tuple(targets), (0, 1), quantity)
    target = targets[0]
    if made.task == "multiclass":
        _require_outputs(len(made.classes), n_outputs, f"{len(made.classes)} classes for {n_outputs} outputs")
        names = tuple(column_name(target, label) for label in made.classes)
        if len({*names}) < len(names):
            raise ValueError(f"classes: {', '.join(made.classes)} give the same names of columns")
        quantity = f"probability of each class of {target}"
        return ModelOutputs("multiclass", target, names, tuple(made.classes), (0, 1), quantity)
    _require_outputs(1, n_outputs, f"a rating for {n_outputs} outputs")
    if len(made.scales) != 1 or not made.scales[0][0] < made.scales[0][1]:
        raise ValueError(f"scales: expected the lowest and the highest rating, found {made.scales}")
    scale = made.scales[0]
    quantity = f"predicted {target} (scale {scale_in_words(scale)})"
    return ModelOutputs("regression", target, (target,), (target,), scale, quantity)


def column_name(target: str, label: str) -> str:
    """Return the name of the column with the probability of a class: stress_some, valence_3_to_below_7."""
    return f"{target}_{re.sub(r'[^0-9A-Za-z]+', '_', label).strip('_') or 'class'}"


def _require_outputs(wanted: int, n_outputs: int, message: str) -> None:
    if wanted != n_outputs:
        raise ValueError(message)

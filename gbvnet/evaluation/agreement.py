"""How far two labels of one thing agree: felt and perceived, self and annotator. A ceiling to measure a model against.

One label is the target; the other is of another set and names it in `of` (datasets/label_columns.py). They are never
mixed: a model learns and is scored on the target alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..datasets.label_columns import LabelColumn
from ..store.window_source import WindowSource
from .labels import has_one_class
from .regression_sums import concordance
from .targets import Target


@dataclass(frozen=True)
class Agreement:
    """How far a target agrees with another label of the same thing.

    score : "CCC" of ratings, "Cohen's kappa" of classes, made by the same rule
    value : NaN where one of them has one class only, or does not vary
    n : trials with both, or windows of labels that change in time
    """

    target: str
    other: str
    label_sets: tuple[str, str]
    score: str
    value: float
    n: int
    unit: str  # "trials" or "windows"
    rule: str  # which makes classes of both ratings; "" for regression


def agreements(store: WindowSource, windows: pd.DataFrame, targets: Sequence[Target]) -> Iterator[Agreement]:
    """Yield the agreement of each target with every other label of the same thing, over the windows that are scored.

    windows : rows of the store's own, whose labels are at no lag: with one label shifted in time against the other,
        the lag would count as disagreement
    """
    for target in targets:
        if len(target.columns) > 1:
            continue
        own = store.labels[target.columns[0]]
        for other in _same_thing(own, store.labels.values()):
            yield _agreement(target, own, other, windows)


def _same_thing(own: LabelColumn, columns: Iterable[LabelColumn]) -> Iterator[LabelColumn]:
    thing = own.of or own.name
    for column in columns:
        if column.name != own.name and (column.of or column.name) == thing:
            yield column


def _agreement(target: Target, own: LabelColumn, other: LabelColumn, windows: pd.DataFrame) -> Agreement:
    in_time = own.trace or other.trace
    rows = windows if in_time else windows.drop_duplicates("recording")
    second = replace(target, name=other.name, columns=(other.name,))
    both = pd.DataFrame({"own": target.values(rows), "other": second.values(rows)}).dropna()
    a, b = both["own"].to_numpy(), both["other"].to_numpy()
    if target.task == "regression":
        score, value = "CCC", _concordance(a, b)
    else:
        from sklearn.metrics import cohen_kappa_score

        defined = len(both) > 1 and not (has_one_class(a) or has_one_class(b))
        score, value = "Cohen's kappa", float(cohen_kappa_score(a, b)) if defined else np.nan
    sets = (own.label_set or "default", other.label_set or "default")
    unit = "windows" if in_time else "trials"
    return Agreement(target.name, other.name, sets, score, float(value), len(both), unit, target.rule)


def _concordance(a: np.ndarray, b: np.ndarray) -> float:
    """The CCC of two ratings (n,); NaN for less than two, or where one does not vary."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return concordance(a, b)

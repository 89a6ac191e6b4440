"""What is predicted of a window: a label column of the store, a task, and the rule that makes classes of a rating.

binary      `>=5` or `>5`: the rating is at least, or above, a number; `median`: above the subject's own median;
            `outside 4-6`: below 4 is low, above 6 is high, and what lies between is left out
multiclass  `3,7`: the edges of the classes; `terciles`: thirds of the subject's own trials; `quadrant`: valence and
            arousal, high or low each; `classes`: the classes of a column of categories
regression  no rule: the rating itself

Rules that look at other ratings look at those of the same subject, once a trial. They are part of the definition of the
target, and every text about the target says so.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..config import CrossvalConfig, Task
from ..errors import BadConfig
from ..text import listed, shortened

if TYPE_CHECKING:  # a model is described without pandas
    import pandas as pd

    from ..store.window_source import WindowSource

BOTH = ("valence", "arousal")  # what the setting `target: both` stands for
QUADRANT = "quadrant"  # the rule, and the name of its target
LOW_HIGH = ("low", "high")
QUADRANT_LETTERS = "L and H are low and high, V and A valence and arousal"
QUADRANTS = ("LVLA", "HVLA", "LVHA", "HVHA")  # low or high valence, low or high arousal: as the field writes them
_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_LIMIT = re.compile(rf"(>=|>)\s*({_NUMBER})")
_OUTSIDE = re.compile(rf"outside\s+({_NUMBER})\s*(?:-|to)\s*({_NUMBER})")
_EDGES = re.compile(rf"{_NUMBER}(?:\s*,\s*{_NUMBER})*")
RULE_FORMS = ">=NUMBER, >NUMBER, median, 'outside A-B', terciles, edges as 3,7, quadrant, classes"
AnyConfig = TypeVar("AnyConfig", bound=CrossvalConfig)


@dataclass(frozen=True)
class Target:
    """One target of a run.

    name : of the target; of the label column, or "quadrant"
    rule : which makes classes of the rating; "" for regression
    columns : the label columns that it is made from
    scales : (low, high) of each column; None for categories
    classes : names of the classes in the order of their numbers; () for regression
    """

    name: str
    task: Task
    rule: str
    columns: tuple[str, ...]
    scales: tuple[tuple[float, float] | None, ...]
    classes: tuple[str, ...]

    @property
    def scale(self) -> tuple[float, float]:
        """The scale of the rating. Raises BadConfig for categories."""
        if len(self.scales) == 1 and self.scales[0] is not None:
            return self.scales[0]
        raise BadConfig(f"{self.name} is not one rating with a scale")

    def values(self, windows: "pd.DataFrame") -> "pd.Series":
        """Return the label of each window, float64: the number of its class, or the rating; NaN if it has none.

        windows : a store's windows, with subject, recording and the columns of the target
        """
        if _is_quadrant(self.rule):
            valence, arousal = (
                _number_of_class(windows, column, _part_rule(self.rule, scale), LOW_HIGH)
                for column, scale in zip(self.columns, self.scales, strict=True)
            )
            return valence + 2 * arousal
        if self.task == "regression":
            return windows[self.columns[0]].astype("float64")
        return _number_of_class(windows, self.columns[0], self.rule, self.classes)

    @property
    def definition(self) -> str:
        """What the classes are, or the range of the rating, in words."""
        if self.task == "regression":
            return f"{self.name} from {scale_in_words(self.scale)}"
        if _is_quadrant(self.rule):
            parts = [
                f"{column} high: {rule_in_words(_part_rule(self.rule, scale))}{_of_scale(scale)}"
                for column, scale in zip(self.columns, self.scales, strict=True)
            ]
            return "HVLA is high valence and low arousal, and so on; " + ", ".join(parts)
        if self.task == "binary":
            return "high: " + rule_in_words(self.rule) + _of_scale(self.scales[0])
        if self.rule == "classes":
            return "classes: " + ", ".join(self.classes)
        how = f", {rule_in_words(self.rule)}" if self.rule == "terciles" else ""
        return f"classes: {', '.join(self.classes)}{how}{_of_scale(self.scales[0])}"


def _of_scale(scale: tuple[float, float] | None) -> str:
    """The scale behind a rule, where it is not the field's usual one."""
    return "" if scale in (None, (1, 9)) else f" (scale {scale_in_words(scale)})"


def scale_in_words(scale: tuple[float, float]) -> str:
    """Return a scale as "1 to 9"."""
    return f"{scale[0]:g} to {scale[1]:g}"


# ---------------------------------------------------------------- from the settings


def target_names(target: str, rule: str | None = None) -> tuple[str, ...]:
    """Return the names of the targets that a setting `target` stands for: "both" is valence and arousal, or, by the
    rule `quadrant`, their one combination."""
    return (QUADRANT,) if _is_quadrant(rule or "") else target_columns(target)


def target_columns(target: str) -> tuple[str, ...]:
    """Return the label columns that a setting `target` is made from: "both" is valence and arousal."""
    return BOTH if target == "both" else (target,)


def _is_quadrant(rule: str) -> bool:
    return rule.split(" ")[0] == QUADRANT


def resolve(config: AnyConfig, store: "WindowSource") -> AnyConfig:
    """Return the settings with task and rule as they follow from the store's labels, where they were left out.

    Raises BadConfig for a target that the store does not have, and for a rule or a task that does not suit it.
    """
    columns = target_columns(config.target)
    _require_columns(store, columns)
    labels = store.labels
    categories = [name for name in columns if labels[name].classes]
    traces = [name for name in columns if labels[name].trace]
    rule = config.rule.strip() if config.rule else None
    task = config.task or ("regression" if traces and rule is None else _task_of(rule, bool(categories)))
    if traces and task != "regression":
        raise BadConfig(
            f"{listed(traces)} changes in time, so that a trial has no class: give --task regression, and no --rule"
        )
    if config.lag_s != 0 and not traces:
        raise BadConfig(f"lag_s is for labels that change in time, and {listed(columns)} does not: leave it out")
    if rule is None and task != "regression":
        rule = _default_rule(task, columns, store)
    config = replace(config, task=task, rule=rule)
    targets_of(config, store)  # raises BadConfig for what does not suit
    return config


def targets_of(config: CrossvalConfig, store: "WindowSource") -> tuple[Target, ...]:
    """Return the targets of a run on a store. Raises BadConfig as `resolve` does."""
    if config.task is None or (config.rule is None and config.task != "regression"):
        config = resolve(config, store)
    columns = target_columns(config.target)
    _require_columns(store, columns)
    scales = {name: store.labels[name].scale for name in columns}
    classes = {name: store.labels[name].classes for name in columns}
    task, rule = config.task or "binary", config.rule or ""
    if task == "regression":
        return tuple(_regression(name, scales[name], rule) for name in columns)
    if _is_quadrant(rule):
        return (_quadrant(task, rule, columns, scales),)
    return tuple(_classes(name, task, rule, scales[name], classes[name]) for name in columns)


def _require_columns(store: "WindowSource", columns: Sequence[str]) -> None:
    labels = store.labels
    for name in columns:
        if name not in labels and columns == BOTH:
            others = f"give --target {shortened(list(labels), 20)}" if labels else "the store has no labels"
            raise BadConfig(f"target both: {store.path} has no label {name}; {others}")
        if name not in labels:
            near = get_close_matches(name, labels, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            known = shortened(list(labels), 20) if labels else "no labels"
            raise BadConfig(f"target {name}: {store.path} has no label {name}{hint} It has {known}")


def _task_of(rule: str | None, is_category: bool) -> Task:
    """The task that follows from a rule, or from the kind of label where there is none."""
    if rule is None:
        return "multiclass" if is_category else "binary"
    binary = _LIMIT.fullmatch(rule) or _OUTSIDE.fullmatch(rule) or rule == "median"
    return "binary" if binary else "multiclass"


def _default_rule(task: Task, columns: Sequence[str], store: "WindowSource") -> str | None:
    """The rule where none is given; None where two targets of a run have scales of their own."""
    labels = store.labels
    if task == "multiclass":
        if all(labels[name].classes for name in columns):
            return "classes"
        raise BadConfig(
            f"task multiclass of {listed(columns)} needs a rule: edges (--rule 3,7), --rule terciles or, with "
            "--target both, --rule quadrant"
        )
    if any(labels[name].classes for name in columns):
        raise BadConfig(f"{listed(columns)}: categories have no low and high; leave --task and --rule out")
    scales = {name: labels[name].scale or (1, 9) for name in columns}
    rules = {midpoint_rule(scale) for scale in scales.values()}
    if len(rules) > 1:
        differing = listed([f"{name} {scale_in_words(scale)}" for name, scale in scales.items()])
        raise BadConfig(f"the scales differ ({differing}): give each target in a run of its own, or --rule median")
    return rules.pop()


def midpoint_rule(scale: tuple[float, float]) -> str:
    """Return the rule `>=` the middle of a scale: >=5 on 1 to 9."""
    return f">={(scale[0] + scale[1]) / 2:g}"


def _part_rule(rule: str, scale: tuple[float, float] | None) -> str:
    """The rule of each of the two ratings of a quadrant: what stands behind the word, or the middle of the scale."""
    return rule.removeprefix(QUADRANT).strip() or midpoint_rule(scale or (1, 9))


def _regression(name: str, scale: tuple[float, float] | None, rule: str) -> Target:
    if scale is None:
        raise BadConfig(f"target {name}: categories cannot be predicted as a number; leave --task regression out")
    if rule:
        raise BadConfig(f"task regression predicts the rating itself and has no rule: leave --rule {rule} out")
    return Target(name, "regression", "", (name,), (scale,), ())


def _quadrant(task: Task, rule: str, columns: tuple[str, ...], scales: Mapping[str, tuple | None]) -> Target:
    if columns != BOTH or None in scales.values():
        raise BadConfig(f"rule {rule} is of valence and arousal together: give --target both, not {listed(columns)}")
    if task != "multiclass":
        raise BadConfig(f"rule {rule} makes four classes: give --task multiclass, or leave --task out")
    for name in columns:
        _check_binary_rule(name, _part_rule(rule, scales[name]), scales[name])
    return Target(QUADRANT, "multiclass", rule, columns, tuple(scales[name] for name in columns), QUADRANTS)


def _classes(
    name: str, task: Task, rule: str, scale: tuple[float, float] | None, categories: tuple[str, ...]
) -> Target:
    """The target of one column. Raises BadConfig for a rule that does not suit the column or the task."""
    if categories:
        if task == "binary" or rule != "classes":
            raise BadConfig(
                f"target {name} has the classes {listed(categories)}: leave --task and --rule out, found --rule {rule}"
            )
        return Target(name, "multiclass", rule, (name,), (None,), categories)
    if rule == "classes":
        raise BadConfig(
            f"target {name} is a rating from {scale_in_words(scale or (1, 9))}, and no column of categories"
        )
    if task == "binary":
        _check_binary_rule(name, rule, scale)
        return Target(name, "binary", rule, (name,), (scale,), LOW_HIGH)
    names = _names_of_classes(name, rule, scale or (1, 9))
    return Target(name, "multiclass", rule, (name,), (scale,), names)


def _check_binary_rule(name: str, rule: str, scale: tuple[float, float] | None) -> None:
    """Raise BadConfig unless a rule makes two classes of a rating on this scale."""
    low, high = scale or (1, 9)
    if rule == "median":
        return
    if match := _LIMIT.fullmatch(rule):
        limit, at_least = float(match[2]), match[1] == ">="
        if not (low < limit <= high if at_least else low <= limit < high):
            raise BadConfig(f"rule {rule} leaves one class: the scale of {name} is {scale_in_words((low, high))}")
        return
    if match := _OUTSIDE.fullmatch(rule):
        first, last = float(match[1]), float(match[2])
        if not low < first <= last < high:
            raise BadConfig(
                f"rule {rule}: expected two numbers in rising order within the scale of {name}, "
                f"{scale_in_words((low, high))}, so that ratings are left on both sides"
            )
        return
    several = rule == "terciles" or _EDGES.fullmatch(rule)
    hint = "it makes several classes: give --task multiclass, or leave --task out" if several else f"use {RULE_FORMS}"
    raise BadConfig(f"rule {rule!r} is none of task binary; {hint}")


def _names_of_classes(name: str, rule: str, scale: tuple[float, float]) -> tuple[str, ...]:
    """Names of the classes of a rule with several, lowest first. Raises BadConfig for another rule."""
    if rule == "terciles":
        return ("low", "middle", "high")
    if not _EDGES.fullmatch(rule):
        two = _LIMIT.fullmatch(rule) or _OUTSIDE.fullmatch(rule) or rule == "median"
        hint = "it makes two classes: give --task binary, or leave --task out" if two else f"use {RULE_FORMS}"
        raise BadConfig(f"rule {rule!r} is none of task multiclass; {hint}")
    edges = _edges(rule)
    if any(a >= b for a, b in pairwise(edges)) or not scale[0] < edges[0] <= edges[-1] <= scale[1]:
        raise BadConfig(
            f"rule {rule}: expected edges in rising order above {scale[0]:g}, up to {scale[1]:g}, the scale of {name}"
        )
    middle = [f"{a:g} to below {b:g}" for a, b in pairwise(edges)]
    return (f"below {edges[0]:g}", *middle, f"{edges[-1]:g} or more")


def _edges(rule: str) -> list[float]:
    return [float(edge) for edge in rule.split(",")]


# ---------------------------------------------------------------- classes of ratings


def rule_in_words(rule: str) -> str:
    """Return what a rating must be for the class high, as "rating >= 5"."""
    if rule == "median":
        return "rating above the subject's own median"
    if rule == "terciles":
        return "thirds of the subject's own ratings"
    if match := _LIMIT.fullmatch(rule):
        return f"rating {match[1]} {float(match[2]):g}"
    if match := _OUTSIDE.fullmatch(rule):
        low, high = float(match[1]), float(match[2])
        return f"rating > {high:g}; low: rating < {low:g}; ratings from {low:g} to {high:g} are left out"
    return rule


def _number_of_class(windows: "pd.DataFrame", column: str, rule: str, classes: Sequence[str]) -> "pd.Series":
    """The number of each window's class, float64; NaN where it has none."""
    if rule == "classes":
        numbers = {name: float(k) for k, name in enumerate(classes)}
        return windows[column].map(numbers).astype("float64")
    rating = windows[column].astype("float64")
    if rule == "median":
        number = (rating > _of_subjects_trials(windows, column, 0.5)).astype("float64")
    elif rule == "terciles":
        limits = [_of_subjects_trials(windows, column, q) for q in (1 / 3, 2 / 3)]
        number = (rating > limits[0]).astype("float64") + (rating > limits[1]).astype("float64")
    elif match := _LIMIT.fullmatch(rule):
        limit = float(match[2])
        number = (rating >= limit if match[1] == ">=" else rating > limit).astype("float64")
    elif match := _OUTSIDE.fullmatch(rule):
        number = (
            (rating > float(match[2]))
            .astype("float64")
            .where((rating < float(match[1])) | (rating > float(match[2])), np.nan)
        )
    else:
        number = 0.0 * rating + np.searchsorted(_edges(rule), rating.to_numpy(), side="right")
    return number.where(rating.notna(), np.nan)


def _of_subjects_trials(windows: "pd.DataFrame", column: str, quantile: float) -> "pd.Series":
    """A quantile of the ratings of each window's subject, over trials: a trial counts once however long it is."""
    trials = windows.drop_duplicates(["recording", column])  # of labels that change in time, each value of a trial
    of_subject = trials.groupby("subject")[column]
    return windows["subject"].map(of_subject.median() if quantile == 0.5 else of_subject.quantile(quantile))

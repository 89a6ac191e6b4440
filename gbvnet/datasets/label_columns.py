"""Label columns: what a corpus declares of every label that its recordings can have, and a store of those it holds.

A label is a number on a declared scale, or a category with declared classes; nothing assumes 1 to 9. As settings, in
store.json and table.yaml (`labels`):

    valence: {scale: [1, 9]}                                    a number
    stress: {classes: [none, some, much]}                       a category
    perceived_valence: {scale: [1, 9], set: perceived, of: valence}    another label of the same thing
    joystick: {scale: [-1, 1], trace: true}                     a number that changes in time
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec

from ..config import RATINGS
from ..io.records import convert

Label: TypeAlias = float | str  # a number, or the name of a class
NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
LONGEST_CLASS, MOST_CLASSES = 60, 100
# Names of other columns in the tables of a corpus, a store and predictions, and the target that stands for two.
RESERVED = frozenset(
    "recording subject trial stimulus video signals ratings_file start_s stop_s baseline_start_s video_offset_s window "
    "video_times recording_start_utc has_face has_signals both".split()
)


@dataclass(frozen=True)
class LabelColumn:
    """A label that recordings can have: a number with a scale, or a category with classes; one of the two.

    scale : the ends of the scale, (low, high)
    classes : the names of the classes, in the order of their numbers
    label_set : whose label it is ("felt", "perceived", "self", "annotator"). The columns of a corpus' default set have
        plain names; those of another set are named SET_NAME
    of : the column of the default set that labels the same thing, of which agreement can be measured
    trace : it changes in time; a window has the mean over it
    """

    name: str
    scale: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    label_set: str = ""
    of: str = ""
    trace: bool = False

    @property
    def is_category(self) -> bool:
        """Whether its values are names of classes instead of numbers."""
        return self.scale is None

    @property
    def allowed(self) -> str:
        """What its values can be, for messages: "from 1 to 9", or "none, some, much"."""
        if self.scale is None:
            return ", ".join(self.classes)
        return f"from {self.scale[0]:g} to {self.scale[1]:g}"

    def allows(self, value: Label) -> bool:
        """Return whether a value lies on the scale, or is one of the classes. A missing label is no value."""
        if self.scale is None:
            return value in self.classes
        return not isinstance(value, str) and self.scale[0] <= value <= self.scale[1]


class _Declared(msgspec.Struct, forbid_unknown_fields=True):
    """The settings of one column."""

    scale: tuple[float, float] | None = None
    classes: list[str | int] = []
    set: str = ""
    of: str = ""
    trace: bool = False


RATING_COLUMNS = tuple(LabelColumn(name, (1.0, 9.0)) for name in RATINGS)  # what is assumed of nobody but format 2


def label_columns(declared: Any) -> tuple[LabelColumn, ...]:
    """Return the columns that settings declare: plain data, name -> what is declared, as in the head of this file.

    Raises ValueError with the place, what was expected and what was found.
    """
    columns = []
    for name, settings in convert(declared, dict[str, Any]).items():
        try:
            one = convert(settings, _Declared)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        classes = tuple(str(each) for each in one.classes)
        columns.append(LabelColumn(name, one.scale, classes, one.set, one.of, one.trace))
        _check(columns[-1])
    _check_sets(columns)
    return tuple(columns)


def label_settings(columns: Iterable[LabelColumn]) -> dict[str, dict[str, Any]]:
    """Return label columns as the settings from which `label_columns` makes them."""
    settings: dict[str, dict[str, Any]] = {}
    for column in columns:
        held: dict[str, Any]
        held = {"classes": [*column.classes]} if column.scale is None else {"scale": [*map(_plain, column.scale)]}
        more = {"set": column.label_set, "of": column.of, "trace": column.trace}
        settings[column.name] = held | {name: value for name, value in more.items() if value}
    return settings


def shared_labels(
    first: Iterable[LabelColumn], second: Iterable[LabelColumn]
) -> tuple[list[LabelColumn], list[str], list[str]]:
    """Return the columns that two corpora both have with equal declarations, in the first one's order, and the names
    of those that only the first and only the second has, or that differ.

    A label set without a name is equal to any.
    """
    first, second = list(first), list(second)
    others = {column.name: column for column in second}
    pairs = [(a, others[a.name]) for a in first if a.name in others]
    shared = [replace(a, label_set=a.label_set or b.label_set) for a, b in pairs if _equal(a, b)]
    names = {column.name for column in shared}
    shared = [column for column in shared if not column.of or column.of in names]
    names = {column.name for column in shared}
    return shared, [c.name for c in first if c.name not in names], [c.name for c in second if c.name not in names]


def _equal(a: LabelColumn, b: LabelColumn) -> bool:
    same = (a.scale, a.classes, a.of, a.trace) == (b.scale, b.classes, b.of, b.trace)
    return same and (a.label_set == b.label_set or not a.label_set or not b.label_set)


def _plain(x: float) -> float | int:
    """Return 1 for 1.0, as a user writes it."""
    return int(x) if x == int(x) else x


def _check(column: LabelColumn) -> None:
    """Raise ValueError if what is declared of a column makes no sense."""
    name, scale, classes = column.name, column.scale, column.classes
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r:.80}: expected a name of small letters, digits and underscores, a letter first")
    if name in RESERVED:
        raise ValueError(f"{name}: expected another name, it has a meaning of its own")
    if (scale is None) == (not classes):
        raise ValueError(f"{name}: expected a scale or classes, found {'both' if classes else 'neither'}")
    if scale is not None and not (math.isfinite(scale[0]) and math.isfinite(scale[1]) and scale[0] < scale[1]):
        raise ValueError(f"{name}.scale: expected its lowest and its highest value, found {list(scale)}")
    if column.trace and scale is None:
        raise ValueError(f"{name}.trace: expected a scale, because a window has the mean over it, found classes")
    if classes and not 2 <= len(classes) <= MOST_CLASSES:
        raise ValueError(f"{name}.classes: expected 2 to {MOST_CLASSES} classes, found {len(classes)}")
    for each in classes:
        if not each.isprintable() or each != each.strip() or not 1 <= len(each) <= LONGEST_CLASS:
            raise ValueError(f"{name}.classes: expected names of 1 to {LONGEST_CLASS} characters, found {each!r:.100}")
        if classes.count(each) > 1:
            raise ValueError(f"{name}.classes: expected each class once, found {each!r} twice")


def _check_sets(columns: list[LabelColumn]) -> None:
    """Raise ValueError unless columns of the default set have plain names and all others that of their set."""
    known = {column.name: column for column in columns}
    for column in columns:
        name, other = column.name, column.label_set
        if not column.of:
            continue
        if not other or name != f"{other}_{column.of}":
            wanted = f"{other or 'SET'}_{column.of}"
            raise ValueError(f"{name}.of: expected the column to be called {wanted} and to have that `set`")
        base = known.get(column.of)
        if base is None or base.of:
            plain = ", ".join(c.name for c in columns if not c.of)
            raise ValueError(f"{name}.of: expected a column of the default set ({plain}), found {column.of!r:.80}")
        if (base.scale, base.classes) != (column.scale, column.classes):
            wanted = f"{column.of}'s ({base.allowed})"
            raise ValueError(f"{name}: expected the scale or classes to be {wanted}, found {column.allowed}")
    sets = sorted({c.label_set for c in columns if c.label_set and not c.name.startswith(f"{c.label_set}_")})
    if len(sets) > 1:
        raise ValueError(f"expected one default set, whose columns have plain names, found {' and '.join(sets)}")

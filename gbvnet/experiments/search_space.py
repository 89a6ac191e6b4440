"""The space of a search for settings: which settings are searched, and which values they may have.

A YAML file gives each setting by its dotted name a list of values, or a range:

    train.learning_rate: {low: 1e-4, high: 1e-2, log: true}
    train.batch_size: {low: 16, high: 128, step: 16}
    model.variant: [micro, small]
    options.classifier: [cart, svm]                     # an option of the system
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..config import CrossvalConfig, ModelConfig, TrainConfig
from ..errors import BadConfig, BadInput
from ..io.records import convert
from ..io.safe_load import from_yaml
from ..systems import SYSTEMS, option_names, plain_options, require_options, system, validate_config
from ..systems.learners.classical import ClassicalSystem
from ..text import did_you_mean, shortened

GROUPS: dict[str, Any] = {"train": TrainConfig, "model": ModelConfig}
OPTIONS = "options"
_SPLITS = "it decides the splits, and candidates must be compared on the same ones"
_SCORED = "it decides what is predicted or which windows are scored: each candidate would answer another question"
_NAMED = "a run is of one; search in a run of each, and compare the reports"
_COMPUTED = "it is about how a training is computed, and no part of the method"
_SEARCH = "it is a setting of the search itself"
REFUSED: dict[str, str] = (
    dict.fromkeys(("protocol", "scope", "folds", "stratify", "fixed", "validation", "seed"), _SPLITS)
    | dict.fromkeys(("target", "task", "rule", "joint", "lag_s", "subjects", "shuffle_labels", "rows"), _SCORED)
    | dict.fromkeys(("system", "modality", "recipe"), _NAMED)
    | dict.fromkeys(("trials", "tuning_folds"), _SEARCH)
    | {f"train.{n}": _COMPUTED for n in ("device", "devices", "memory_gib", "precision", "compile", "logger")}
)


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included.

    step : the distance between neighbours from `low` on; None for all numbers (of `whole` ones, 1)
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    @property
    def values(self) -> tuple[float, ...] | None:
        """All numbers of the range; None if there are too many to count."""
        step = self.step or (1 if self.whole else None)
        if self.low == self.high:
            return (self.low,)
        if step is None:
            return None
        numbers = (self.low + k * step for k in range(steps(self.low, self.high, step) + 1))
        return tuple(numbers) if self.whole else tuple(float(f"{number:.12g}") for number in numbers)

    @property
    def ends(self) -> tuple[float, ...]:
        """The lowest and the highest number, between which every setting that is valid at both is valid."""
        return (self.low, self.high)

    @property
    def plain(self) -> dict[str, Any]:
        """The range as the file gives it."""
        more = {"log": True} if self.log else {} if self.step is None else {"step": self.step}
        return {"low": self.low, "high": self.high, **more}


@dataclass(frozen=True)
class Choices:
    """A list of values."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values."""
        return self.values

    @property
    def plain(self) -> list[Any]:
        """The list as the file gives it."""
        return list(self.values)


Dimension = Range | Choices


@dataclass(frozen=True)
class SearchSpace:
    """The values that each setting may have, by its dotted name, in the order of the names."""

    dimensions: dict[str, Dimension]

    @property
    def plain(self) -> dict[str, Any]:
        """The space as a file gives it, for config.yaml and the digest."""
        return {name: dimension.plain for name, dimension in self.dimensions.items()}

    @property
    def size(self) -> float:
        """The number of candidates; infinite where a range is of all numbers."""
        counts = [d.values for d in self.dimensions.values()]
        return math.prod(math.inf if values is None else len(values) for values in counts)

    def candidates(self) -> Iterator[dict[str, Any]]:
        """Yield all candidates of a space with a finite number of them, values by name."""
        for values in product(*(d.values or () for d in self.dimensions.values())):
            yield dict(zip(self.dimensions, values, strict=True))


def read_space(file: Path, config: CrossvalConfig) -> SearchSpace:
    """Return the space in a YAML file. Raises BadInput, or BadConfig with the file's name.

    config : the other settings, with which each value must be valid
    """
    try:
        given = from_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(file, "a YAML file with a search space", error.strerror or error) from None
    except ValueError as error:
        raise BadInput(file, "a YAML file with a search space", f"one that cannot be read ({error})") from None
    if not isinstance(given, dict) or not given:
        what = "an empty file" if not given else repr(given)[:60]
        remedy = "Give at least one, as `train.learning_rate: {low: 1e-4, high: 1e-2, log: true}`."
        raise BadInput(file, "settings by name, each with a list or a range", what, remedy)
    return make_space(given, config, str(file))


def make_space(given: Mapping[str, Any], config: CrossvalConfig, source: str = "space") -> SearchSpace:
    """Return the space of settings by dotted name, or by group and name, each with a list or a range.

    config : the other settings. source : what messages begin with
    Raises BadConfig for a setting that does not exist or is not searched, and for values that it cannot have.
    """
    try:
        flat = dict(_flat(given))
        if not flat:
            raise BadConfig("no setting; give at least one, with a list or a range")
        kinds = {name: _kind_of(name, config) for name in flat}
        space = SearchSpace({name: _dimension(name, flat[name], kinds[name]) for name in sorted(flat)})
    except BadConfig as error:
        raise BadConfig(f"{source}: {error}") from None
    for name, dimension in space.dimensions.items():
        for value in dimension.ends:
            try:
                with_values(config, {name: value})
            except BadConfig as error:
                raise BadConfig(f"{source}: {name} {value}: {error}") from None
    return space


def with_values(config: CrossvalConfig, values: Mapping[str, Any]) -> CrossvalConfig:
    """Return the settings with some values by dotted name, complete and validated. Raises BadConfig."""
    changes: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        group, _, field = name.partition(".")
        changes.setdefault(group, {})[field] = value
    options = plain_options(config.options) | changes.pop(OPTIONS, {})
    groups = {group: replace(getattr(config, group), **of_group) for group, of_group in changes.items()}
    changed = validate_config(replace(config, **groups, options=options))
    return replace(changed, options=plain_options(changed.options))


def steps(low: float, high: float, step: float) -> int:
    """Return how many steps lead from low to high; -1 if none lands there."""
    count = round((high - low) / step)
    return count if math.isclose(low + count * step, high, rel_tol=1e-9, abs_tol=1e-12) else -1


# --- names ---


def _flat(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield settings by dotted name; a file may also have them by group."""
    for name, value in given.items():
        if name in (*GROUPS, OPTIONS) and isinstance(value, dict):
            yield from ((f"{name}.{field}", of_field) for field, of_field in value.items())
        else:
            yield str(name), value


def _kind_of(name: str, config: CrossvalConfig) -> Any:
    """The type of a setting that can be searched. Raises BadConfig for any other name."""
    if name in REFUSED:
        raise BadConfig(f"{name} cannot be searched: {REFUSED[name]}")
    group, _, field = name.partition(".")
    chosen = system(config.system)
    if group == OPTIONS and field:
        require_options(chosen, {field: None}, config.system)
        return get_type_hints(chosen.Options)[field]
    if group not in GROUPS or field not in {f.name for f in fields(GROUPS[group])}:
        raise BadConfig(f"no setting {name} to search; {_near(name, config)}")
    own = config.system in SYSTEMS
    if own and (config.system != "gbvnet" if group == "model" else issubclass(chosen, ClassicalSystem)):
        has = ", ".join(f"{OPTIONS}.{option}" for option in option_names(chosen)) or "none"
        raise BadConfig(f"{name} is not a setting of {config.system}, and changes nothing; its options are: {has}")
    return get_type_hints(GROUPS[group])[field]


def _near(name: str, config: CrossvalConfig) -> str:
    """The setting that was most likely meant, with its group where that was left out."""
    known = [f"{group}.{f.name}" for group, kind in GROUPS.items() for f in fields(kind)]
    known += [f"{OPTIONS}.{option}" for option in option_names(system(config.system))]
    searched = {each.rpartition(".")[2]: each for each in known if each not in REFUSED}
    near = get_close_matches(name, searched.values(), n=1) or get_close_matches(name, searched, n=1)
    return f"did you mean {searched.get(near[0], near[0])}?" if near else f"there are {', '.join(searched.values())}"


# --- values ---


def _dimension(name: str, given: Any, kind: Any) -> Dimension:
    if isinstance(given, dict):
        return _range(name, given, _number_kind(name, kind))
    if not isinstance(given, list):
        raise BadConfig(f"{name}: expected a list of values or a range {{low: , high: }}, found {given!r:.60}")
    if not given:
        raise BadConfig(f"{name}: the list is empty; give the values to try")
    values = [_value(name, value, kind) for value in given]
    twice = [value for k, value in enumerate(values) if value in values[:k]]
    if twice:
        raise BadConfig(f"{name}: {twice[0]!r} is in the list twice")
    return Choices(tuple(values))


def _value(name: str, given: Any, kind: Any) -> Any:
    """A value as its setting's type has it. YAML takes 1e-4 for text, and 1.0e-4 for a number."""
    kinds = _parts(kind)
    if isinstance(given, str) and str not in kinds and {int, float} & set(kinds):
        given = _number(given)
    try:
        value = convert(given, kind)
    except ValueError as error:
        choices = _choices(kind)
        raise BadConfig(f"{name}: {error}" + (f": {shortened(choices, 8)}" if choices else "")) from None
    if not isinstance(value, bool | int | float | str | None):
        raise BadConfig(f"{name}: expected numbers, texts, true, false or null, found {given!r:.60}")
    return value


def _range(name: str, given: dict[str, Any], whole: bool) -> Range:
    known = ("low", "high", "log", "step")
    for key in given:
        if key not in known:
            raise BadConfig(f"{name}: no {key} of a range; {did_you_mean(str(key), known)}")
    for key in ("low", "high"):
        if key not in given:
            raise BadConfig(f"{name}: expected a range with low and high, found none of {key}")
    kind = int if whole else float
    low, high = (_value(f"{name}.{key}", given[key], kind) for key in ("low", "high"))
    step = None if given.get("step") is None else _value(f"{name}.step", given["step"], kind)
    log = _value(f"{name}.log", given.get("log", False), bool)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise BadConfig(f"{name}: low and high must be finite numbers, not {low} and {high}")
    if low > high:
        raise BadConfig(f"{name}: low {low} is above high {high}")
    if log and (low <= 0 or step is not None):
        why = f"low must be above 0, not {low}" if low <= 0 else "it has no step: leave one of them out"
        raise BadConfig(f"{name}: of a range with log, {why}")
    if step is not None and step <= 0:
        raise BadConfig(f"{name}: step must be above 0, not {step}")
    if step is not None and steps(low, high, step) < 0:
        last = low + step * math.floor((high - low) / step)
        raise BadConfig(
            f"{name}: steps of {step} from {low} do not reach {high}; give high {last:g} or {last + step:g}"
        )
    return Range(low, high, log, step, whole)


def _number_kind(name: str, kind: Any) -> bool:
    """Whether the numbers of a setting are whole. Raises BadConfig for one that is no number."""
    kinds = _parts(kind)
    if int not in kinds and float not in kinds:
        values = ["true", "false"] if bool in kinds else _choices(kind)
        hint = f": [{shortened(values, 8)}]" if values else ""
        raise BadConfig(f"{name} is no number and has no range; give a list of values{hint}")
    return float not in kinds


def _parts(kind: Any) -> tuple[Any, ...]:
    """The types of a union; of another type itself."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _choices(kind: Any) -> list[str]:
    """The values of a setting that has a fixed number of them; none of others."""
    return [str(value) for each in _parts(kind) if get_origin(each) is Literal for value in get_args(each)]


def _number(text: str) -> Any:
    """The number that a text is, whole if it is written so; another text as it is."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

"""Systems, each of which predicts a target of windows: GBV-Net and the comparison methods.

A file in this folder is a system of the same name (with - for _). Its class `System` is a `BaseSystem`, its options are
the dataclass `System.Options`. New files are found automatically; none is imported before it is used. A system from
outside the package is named by its file or module and class, `forest.py:Forest`, or by the name that an installed
package gives it (entry points `gbvnet.systems`); see plugins.py. docs/plugins.md says how to write one.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from typing_extensions import override

from .. import plugins
from ..config import MODALITIES, CrossvalConfig, uses_signals
from ..errors import BadConfig
from ..evaluation.targets import Target, resolve
from ..io.records import convert
from ..store.channels import require_face_input
from ..store.window_source import WindowSource
from ..text import did_you_mean

SHUFFLED_SUFFIX = "shuffled"  # behind the name of a system in a comparison: trained on permuted labels
ALL_TASKS = ("binary", "multiclass", "regression")
SYSTEMS: tuple[str, ...] = tuple(
    sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if not m.ispkg)
)


class SystemOutput(NamedTuple):
    """A system's output for n windows, float64.

    predicted : by task. binary: the probability of the positive class, (n,), or (n, K) if K targets were trained
        jointly; multiclass: the probabilities of K classes, (n, K); regression: the rating in its own units, (n,)
    """

    predicted: np.ndarray
    gate_face: np.ndarray | None = None  # (n,) mean gate of a modality in 0..1; None where the system has no gate
    gate_bio: np.ndarray | None = None


class BaseSystem(ABC):
    """The interface of every system, in the manner of scikit-learn. All fitting is on the rows given to `fit` alone.

    config : the run's settings, of which a system uses those that concern it (modality, model, train, ...); their
        `options` become `self.options`
    work : a folder where `fit` may keep what it needs to continue after it was stopped
    label : the beginning of its log lines

    A subclass may add private methods only: a public name that no base class has is a TypeError, since it is most often
    a misspelt hook. A class that declares hooks for its own subclasses says so: `class X(BaseSystem, new_hooks=True)`.
    """

    modalities: ClassVar[tuple[str, ...]] = MODALITIES  # what it can see; the first is the one that it was made for
    refused: ClassVar[dict[str, str]] = {}  # protocol: why it would be no fair test of this system
    tasks: ClassVar[tuple[str, ...]] = ("binary",)  # that it can learn
    refused_tasks: ClassVar[str] = "its source classifies low and high only"  # why it cannot learn the others
    has_model: ClassVar[bool] = True  # False: nothing is left of a training but its predictions, and `load` refuses
    # Whether it scales signals as train.normalise subject says, or reads none; else that setting is refused.
    normalises_by_subject: ClassVar[bool] = False
    # What it reads of a face: pixels (pictures), features (declared by the store), or either.
    face_input: ClassVar[Literal["pixels", "features", "either"]] = "pixels"
    # Of the store, besides face and signals (docs/modalities.md): those that it reads, and does not do without.
    further_modalities: ClassVar[tuple[str, ...]] = ()
    target: Target | None = None  # what is predicted; whoever makes a system sets it. None: two classes

    @dataclass(frozen=True)
    class Options:
        """The system's own options: fields with defaults and docstrings, none unless a subclass has some."""

    options: Any  # of type Options

    @override
    def __init_subclass__(cls, new_hooks: bool = False, **others: Any) -> None:
        super().__init_subclass__(**others)
        names = (name for base in cls.__mro__[1:] for name in (*vars(base), *vars(base).get("__annotations__", ())))
        known = {name for name in names if not name.startswith("_")}
        for name in vars(cls):
            if not (name.startswith("_") or new_hooks or name in known):
                hint = did_you_mean(name, sorted(known))
                raise TypeError(
                    f"{cls.__module__}.{cls.__qualname__}: a system has no {name}; {hint} Other names begin with _"
                )

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        self.config, self.work, self.label = config, work, label
        self.options = read_options(type(self), config.options, self.name)

    @property
    def name(self) -> str:
        """What messages and tables call it."""
        return plugins.label(self.config.system)

    @property
    def task(self) -> str:
        """The task of its target: binary, multiclass or regression."""
        return "binary" if self.target is None else self.target.task

    @abstractmethod
    def fit(
        self,
        store: WindowSource,
        rows: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
    ) -> Self:
        """Learn from rows of a store and their labels.

        y : by task. binary: (n,) of 0 and 1, or (n, K) for K targets at once; multiclass: (n,) numbers of the classes
            of `target`, of which some may be absent; regression: (n,) ratings in their own units

        validation : rows and labels of the fold's validation groups; a system without early stopping trains on both
        """

    @abstractmethod
    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        """Return what `SystemOutput.predicted` describes: probabilities, or, of task regression, ratings."""

    def predict(self, store: WindowSource, rows: np.ndarray) -> SystemOutput:
        """Return the same, with gates where the system has them."""
        return SystemOutput(self.predict_proba(store, rows))

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what was learnt as a model folder, from which `load` makes a system with the same predictions."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        """Return a trained system read from a model folder. Raises BadModel."""

    @property
    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What a run records of a training: n_parameters, chosen_epoch, device; {} is allowed."""

    @classmethod
    def face_input_of(cls, config: CrossvalConfig) -> str:
        """Return what it reads of a face with these settings: pixels, features or either."""
        return cls.face_input

    @classmethod
    def does_without_a_modality(cls, config: CrossvalConfig) -> bool:
        """Return whether, of face and signals, one is enough to predict a window with these settings."""
        return False

    @classmethod  # noqa: B027  a hook that most systems do not need
    def import_for_training(cls) -> None:
        """Import what only `fit` needs. Called before a training is measured, whose time and memory it is not."""

    @classmethod  # noqa: B027  a hook that most systems do not need
    def require_store(cls, store: WindowSource) -> None:
        """Raise BadConfig if the system cannot learn from this store, whatever the settings."""


# --- the registry ---


def system_names() -> tuple[str, ...]:
    """Return the names of all installed systems: those of this package, then those that other packages offer."""
    return (*SYSTEMS, *(name for name in plugins.entry_points(plugins.SYSTEM_GROUP) if name not in SYSTEMS))


def require_system(name: str) -> None:
    """Raise BadConfig for an unknown name, with the nearest known one. Imports nothing: a reference such as
    file.py:Class is a name."""
    if not plugins.is_reference(name) and name not in system_names():
        if name.endswith(".py"):
            raise BadConfig(f"{name}: expected a file and the class in it, as {name}:MySystem")
        raise BadConfig(f"no system {name}; {did_you_mean(name, system_names())}")


def split_suffix(chosen: str) -> tuple[str, str]:
    """Return the name of a system and its suffix, a modality or `shuffled`: "gbvnet:face", "mine.py:Forest:bio", or "".

    Raises BadConfig for a suffix that a system of this package cannot have.
    """
    name, _, suffix = chosen.rpartition(":")
    suffixes = (*MODALITIES, SHUFFLED_SUFFIX)
    if suffix in suffixes and name:
        return name, suffix
    if name in system_names():
        raise BadConfig(f"systems: {chosen} should say one of {', '.join(suffixes)} after the colon")
    return chosen, ""


def is_plugin(name: str) -> bool:
    """Return whether a system is from outside this package."""
    return plugins.is_reference(name) or (name not in SYSTEMS and name in system_names())


def system(name: str) -> type[BaseSystem]:
    """Return the class of a system. Raises BadConfig for an unknown name, and for a plug-in that cannot be loaded or is
    nothing that a system can be made of."""
    require_system(name)
    if name in SYSTEMS:
        return importlib.import_module(f".{name.replace('-', '_')}", __name__).System
    from .adapters import as_system  # its libraries are for plug-ins alone

    return as_system(plugins.load(name, plugins.SYSTEM_GROUP), plugins.label(name))


def code_of_system(name: str) -> plugins.Code | None:
    """Return what identifies the code of a plug-in; None for a system of this package."""
    return plugins.code_of(name, plugins.SYSTEM_GROUP) if is_plugin(name) else None


def load_system(folder: Path, config: CrossvalConfig, target: Target) -> BaseSystem:
    """Return the trained system in a model folder. Raises BadModel."""
    loaded = system(config.system).load(folder, config)
    loaded.target = target
    return loaded


def validate_config(config: CrossvalConfig, store: WindowSource | None = None) -> CrossvalConfig:
    """Return the settings with the system's options complete, and task and rule as they follow from the store's labels.

    Raises BadConfig if there is no such system, or if it cannot see this modality, be tested by this protocol, scale
    signals in this way, learn this task, have these options or learn from this store; and if store, target, task and
    rule do not suit each other.
    """
    chosen, name = system(config.system), plugins.label(config.system)
    if config.modality not in chosen.modalities:
        others = "" if len(chosen.modalities) == 1 else f"one of {', '.join(chosen.modalities)}: "
        raise BadConfig(f"{name} cannot see modality {config.modality}; give {others}--modality {chosen.modalities[0]}")
    if config.protocol in chosen.refused:
        reason = chosen.refused[config.protocol]
        raise BadConfig(f"{name} is not tested by protocol {config.protocol}: {reason}")
    if config.train.normalise == "subject" and uses_signals(config.modality) and not chosen.normalises_by_subject:
        raise BadConfig(
            f"{name} does not scale signals by subject, it reads them as the store has them: "
            "leave train.normalise at train, or choose another system"
        )
    if store is not None:
        config = resolve(config, store)
        require_face_input(store, config.modality, chosen.face_input_of(config), name)
        for further in chosen.further_modalities:
            store.modality(further, [])  # raises if the store does not have it
        chosen.require_store(store)
    if config.task is not None and config.task not in chosen.tasks:
        raise BadConfig(f"{name} does not learn task {config.task}: {chosen.refused_tasks}")
    return replace(config, options=read_options(chosen, config.options, name))


# --- options ---


def option_names(chosen: type[BaseSystem]) -> tuple[str, ...]:
    """Return the names of a system's options."""
    return tuple(field.name for field in fields(chosen.Options))


def plain_options(options: Any) -> dict[str, Any]:
    """Return the options of a system by name, as any process can read them."""
    return asdict(options) if is_dataclass(options) and not isinstance(options, type) else dict(options or {})


def read_options(chosen: type[BaseSystem], given: Any, name: str) -> Any:
    """Return the `Options` of a system, complete, from some of them by name, or from such an object.

    name : what messages call the system
    Raises BadConfig for an option that the system does not have, and for a value of another type.
    """
    if type(given) is chosen.Options:
        return given
    if is_dataclass(given) and not isinstance(given, type):
        given = plain_options(given)
    if not isinstance(given or {}, Mapping):
        raise BadConfig(f"options: expected options of {name} by name, found {given!r:.60}")
    require_options(chosen, given or {}, name)
    try:
        return convert(dict(given or {}), chosen.Options)
    except ValueError as error:
        raise BadConfig(f"{name}: options.{error}") from None


def require_options(chosen: type[BaseSystem], given: Mapping[str, Any], name: str) -> None:
    """Raise BadConfig for an option that a system does not have, with the nearest that it has or whose it is."""
    known = option_names(chosen)
    for option in given:
        if option in known:
            continue
        if near := get_close_matches(str(option), known, n=1):
            raise BadConfig(f"no option {option} of {name}; did you mean {near[0]}?")
        there = f"which has {', '.join(known)}" if known else "which has none"
        raise BadConfig(f"no option {option} of {name}, {there}{_other_system_with(str(option))}")


def _other_system_with(option: str) -> str:
    """Say which systems have an option, or one of a similar name."""
    owners: dict[str, list[str]] = {}
    for name in SYSTEMS:  # plug-ins are not loaded for a message
        for known in option_names(system(name)):
            owners.setdefault(known, []).append(name)
    near = get_close_matches(option, owners, n=1)
    return f"; {near[0]} is an option of {' and '.join(owners[near[0]])}" if near else ""

"""The contract of systems as a function that a user's test calls, after scikit-learn's check_estimator.

Shapes: n windows, K classes or targets.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any

from ..config import MODALITIES, PROTOCOLS, CrossvalConfig, ModelConfig, TrainConfig
from ..systems import ALL_TASKS, BaseSystem, system
from . import system_files, system_training
from .results import CheckResult, Checks, Outcome
from .synthetic_store import SyntheticWindows
from .system_case import SystemCase
from .system_promises import PROMISES

# Small enough for seconds on one core; with it a small network learns the effect of the synthetic windows.
CONFIG = CrossvalConfig(
    target="valence",
    folds=3,
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=30, patience=30, batch_size=16, learning_rate=3e-3, augment=False, device="cpu"),
)
RULES = {"binary": None, "multiclass": "4,6", "regression": None}
OF_EVERY_CASE = (
    system_training.check_other_windows,
    system_training.check_repetition,
    system_training.check_missing_modalities,
    system_training.check_absent_modalities,
    system_files.check_saving,
)
OF_EVERY_TASK = (
    system_training.check_labels,
    system_training.check_absent_class,
    system_training.check_learning,
)
OF_THE_SYSTEM = (
    system_training.check_refit,
    system_training.check_without_validation,
    system_training.check_several_targets,
    system_training.check_untrained,
    system_files.check_damage,
    system_files.check_about,
    system_files.check_unknown_option,
)


def check_system(
    system_class: type[BaseSystem] | str,
    *,
    config: CrossvalConfig | None = None,
    modalities: Sequence[str] | None = None,
    windows: SyntheticWindows | None = None,
    learns: bool = True,
    raise_on_error: bool = True,
) -> list[CheckResult]:
    """Check every promise of the contract of systems on small synthetic windows, for all declared tasks and modalities.

    system_class : a class derived from gbvnet.systems.BaseSystem, or the name of a system
    config : settings for the trainings: train, model and options are used. The default suits small networks; most
        checks train for two epochs at most
    modalities : which of the declared modalities are checked; default: all. The first one is checked in every way
    windows : what the windows are like, for a system that needs certain channels, a longer window or a higher rate
    learns : also check that it learns an easy effect, better than chance

    Returns the result of each check. Raises ContractBroken, which lists every broken promise with what happened and how
    to keep it, unless `raise_on_error` is False; BadConfig for the name of no system.
    """
    name = system_class if isinstance(system_class, str) else _name(system_class)
    chosen: Any = system(system_class) if isinstance(system_class, str) else system_class
    checks = Checks(PROMISES)
    if checks.run("class", _check_interface(chosen)):
        given = config or CONFIG
        train = replace(given.train, logger=None)  # logs go into a folder, and most of these trainings have none
        base = replace(given, system=name, target="valence", protocol="trial", scope="pooled", folds=3, train=train)
        for case in _cases(chosen, base, modalities, windows or SyntheticWindows()):
            _check_case(checks, case, learns)
    return checks.finish(f"{name} breaks the contract of systems", raise_on_error)


def _name(system_class: Any) -> str:
    """The name of a class in messages, as a plug-in is given: module:Class."""
    return f"{getattr(system_class, '__module__', '?')}:{getattr(system_class, '__qualname__', system_class)}"


def _cases(
    system_class: type[BaseSystem], base: CrossvalConfig, modalities: Sequence[str] | None, windows: SyntheticWindows
) -> Iterator[SystemCase]:
    """Every task with the first modality, then the first task with each of the others."""
    chosen = tuple(modalities or system_class.modalities)
    tasks = [task for task in ALL_TASKS if task in system_class.tasks]
    pairs = [(task, chosen[0]) for task in tasks] + [(tasks[0], modality) for modality in chosen[1:]]
    for number, (task, modality) in enumerate(pairs):
        settings: Any = {"task": task, "rule": RULES[task], "modality": modality}
        config = replace(base, **settings)
        content = windows if task == "binary" else replace(windows, levels=3, effect=1.6 * windows.effect)
        yield SystemCase(system_class, config, content, is_first=number == 0, is_first_modality=modality == chosen[0])


def _check_case(checks: Checks, case: SystemCase, learns: bool) -> None:
    """Run the checks of one case. Without a training, or predictions of the right shape, the others would mislead."""
    text = case.text
    if not checks.run(text, system_training.check_fit(case)) and case.fitted is None:
        return
    if not checks.run(text, system_training.check_predictions(case)) and not case.has_predictions:
        return
    chosen: list[Callable[[SystemCase], Iterator[Outcome]]] = [*OF_EVERY_CASE]
    chosen += OF_EVERY_TASK * case.is_first_modality + OF_THE_SYSTEM * case.is_first
    for check in chosen:
        of_files = check in (system_files.check_saving, system_files.check_damage)
        if (learns or check is not system_training.check_learning) and (case.system_class.has_model or not of_files):
            checks.run(text, check(case))


def _check_interface(system_class: Any) -> Iterator[Outcome]:
    """Yield whether a class is one of the interface and declares what gbvnet knows."""
    promise = "interface"
    if not inspect.isclass(system_class) or not issubclass(system_class, BaseSystem):
        yield promise, f"{system_class!r:.200} is not a class derived from gbvnet.systems.BaseSystem"
        return
    if abstract := sorted(system_class.__abstractmethods__):
        yield promise, f"{', '.join(abstract)} {'is' if len(abstract) == 1 else 'are'} not implemented"
        return
    declared = (
        ("modalities", system_class.modalities, MODALITIES),
        ("tasks", system_class.tasks, ALL_TASKS),
        ("refused", tuple(system_class.refused), PROTOCOLS),
    )
    for name, values, known in declared:
        unknown = [value for value in values if value not in known]
        error = f"{name} has {', '.join(map(str, unknown))}; there are {', '.join(known)}" if unknown else None
        empty = not values and name != "refused"
        text = isinstance(values, str)
        yield promise, f"{name} is {values!r}, expected a tuple of names" if empty or text else error
    yield promise, _options_error(system_class.Options)


def _options_error(options: Any) -> str | None:
    """Return why a class is none of options, or None."""
    if not (inspect.isclass(options) and is_dataclass(options)):
        return f"Options is {options!r:.100}, expected a dataclass"
    without = [f.name for f in fields(options) if f.default is MISSING and f.default_factory is MISSING]
    return f"options without a default: {', '.join(without)}" if without else None

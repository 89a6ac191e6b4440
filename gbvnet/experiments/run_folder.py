"""The run folder: what is written before and after the trainings, and the checks that keep two runs apart.

config.yaml         every setting
environment.json    software, machine, store, what was scored and what was left out, warnings
splits.json         the names on the training, validation and test side of each fold
run.lock            locked by the process that writes the run
"""

import hashlib
import importlib.metadata
import json
import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml
from filelock import FileLock, Timeout

from .. import __version__
from ..config import CrossvalConfig, SplitConfig, flatten, to_dict
from ..errors import BadConfig, BadRun
from ..evaluation import splits
from ..evaluation.agreement import agreements
from ..evaluation.chosen_settings import FOLDER
from ..evaluation.labels import has_one_class
from ..evaluation.plan import OTHERS, Plan
from ..evaluation.predictions import FILE as PREDICTIONS
from ..evaluation.predictions import RUN_FORMAT, check_run_format
from ..former_settings import former_names, former_option_group, present_names
from ..io.atomic import atomic_write, remove_stale_temp_files
from ..io.records import convert, yaml_record
from ..io.remote import require_path
from ..io.safe_load import from_json
from ..network.pretrained import digest_of
from ..plugins import label
from ..provenance import is_leaky
from ..store.window_source import WindowSource
from ..systems import code_of_system, is_plugin, plain_options, read_options, system
from ..text import listed

log = logging.getLogger(__name__)

PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "torch", "lightning", "safetensors")
# Settings that change no result, and may change from one call to the next; runs of before may lack them.
RESOURCES = ("train.memory_gib", "train.logger")


class _Environment(msgspec.Struct):
    """What is read of environment.json."""

    store: dict[str, Any]
    data: dict[str, Any]
    warnings: list[str] = msgspec.field(name="findings")
    packages: dict[str, Any] = {}


@contextmanager
def lock_run(run_dir: Path) -> Iterator[None]:
    """Lock a run folder, made if it is not there, while the block runs: two commands must not write one run.

    The lock is the operating system's, and ends with its process. Raises BadRun if another process has it, or if the
    folder holds other things or cannot be written.
    """
    require_path(run_dir)
    if run_dir.is_file():
        raise BadRun(run_dir, "a folder for the run", "a file", "Give another path.")
    of_a_run = {"config.yaml", "run.lock"}
    if run_dir.is_dir() and any(run_dir.iterdir()) and not of_a_run & {f.name for f in run_dir.iterdir()}:
        raise BadRun(run_dir, "an empty folder or a run", "a folder with other things in it", "Give another folder.")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(run_dir / "run.lock", timeout=0):
            remove_stale_temp_files(run_dir)
            yield
    except Timeout:
        raise BadRun(
            run_dir, "a run that no other process writes", "one locked by another process", "Wait for it, or stop it."
        ) from None
    except OSError as error:
        raise BadRun(
            run_dir, "a folder that can be written", error.strerror or error, "Give another folder."
        ) from error


def begin_run(
    run_dir: Path,
    store: WindowSource,
    config: CrossvalConfig,
    plan: Plan,
    threads: int,
    tuning: dict[str, Any] | None = None,
) -> None:
    """Write settings, environment and splits; in a folder with a run, check first that it is the same one.

    threads : of each training
    tuning : settings of a search for settings, which config.yaml has too
    Raises BadRun for a run of other settings, another store or other face weights.
    """
    old = read_environment(run_dir)
    settings = _settings(config, plan) | ({} if tuning is None else {FOLDER: tuning})
    if (run_dir / "config.yaml").exists():
        refuse_other_code(run_dir, config, old)
        _refuse_other_run(run_dir, settings, store, old)
        _refuse_other_weights(run_dir, config, old)
        _refuse_other_modalities(run_dir, store, config, old)
    if old and old.get("threads") != threads:
        log.warning(
            "%s was begun with %s threads a training and continues with %d: the last digits may differ",
            run_dir,
            old.get("threads"),
            threads,
        )
    environment = {**(old or _environment(store, config, plan)), "threads": threads}
    if tuning is not None:
        environment["packages"] = _with_optuna(run_dir, environment["packages"])
    if old and not (run_dir / PREDICTIONS).exists():  # of a finished run nothing is trained any more
        environment["findings"] = list(dict.fromkeys([*environment["findings"], *_other_software(environment)]))
    write_json(run_dir / "environment.json", environment)
    write_json(run_dir / "splits.json", _splits(plan, config), indent=None)
    atomic_write(run_dir / "config.yaml", yaml.safe_dump(settings, sort_keys=False).encode())
    for warning in [*environment["findings"], *_unscored_windows(plan, config, len(store.windows))]:
        log.warning("%s%s", log_prefix(config), warning)


def _with_optuna(run_dir: Path, packages: dict[str, str]) -> dict[str, str]:
    """The packages of a run with the version of Optuna that began its search; another one may propose other values."""
    now = importlib.metadata.version("optuna")
    then = packages.get("optuna", now)
    if then != now:
        log.warning("%s was begun with optuna %s and continues with %s: it may try other values", run_dir, then, now)
    return packages | {"optuna": then}


def _software() -> dict[str, Any]:
    """The versions of what computes a run."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"gbvnet": __version__, "python": platform.python_version(), "packages": packages}


def _other_software(environment: dict[str, Any]) -> Iterator[str]:
    """A warning if a run is continued with other software than it was begun with, as environment.json has it."""
    then, now = ({**each, **each.get("packages", {})} for each in (environment, _software()))
    changed = [name for name in ("gbvnet", "python", *PACKAGES) if then.get(name, now[name]) != now[name]]
    if changed:
        before, after = (", ".join(f"{name} {of[name]}" for name in changed) for of in (then, now))
        yield f"begun with {before}, continued with {after}: the folds are not all of one software"


def _unscored_windows(plan: Plan, config: CrossvalConfig, windows: int) -> Iterator[str]:
    """How many windows a run does not score, and why; without those of subjects that the settings leave out."""
    reasons = {reason: n for reason, n in plan.excluded.items() if reason != OTHERS}
    if not reasons:
        return
    counts = ", ".join(f"{n:,} have {reason}" for reason, n in reasons.items())
    hint = config.rows == "complete" and "no face" in reasons
    remedy = "; --rows any takes windows that have any part of the modality" if hint else ""
    yield f"{len(plan.windows):,} of {windows:,} windows are scored: {counts}{remedy}"


def _settings(config: CrossvalConfig, plan: Plan) -> dict[str, Any]:
    return {name: value for name, value in to_dict(config).items() if name not in plan.unused}


def _refuse_other_run(run_dir: Path, settings: dict[str, Any], store: WindowSource, environment: dict) -> None:
    try:
        settings_then = present_names(yaml_record((run_dir / "config.yaml").read_text(), dict[str, Any]))
        flat_then = flatten(with_all_options(settings_then, settings["system"]))
    except (OSError, ValueError, BadConfig) as error:
        damage, remedy = f"a file that cannot be read ({error})", "Use another folder, or delete this one."
        raise BadRun(run_dir / "config.yaml", "the settings of a run", damage, remedy) from None
    flat_now = flatten(with_all_options(settings, settings["system"]))
    for name in [*flat_now, *flat_then]:
        if name not in RESOURCES and flat_then.get(name) != flat_now.get(name):
            raise BadRun(
                run_dir,
                f"a run with {name} = {flat_now.get(name)}",
                f"one with {flat_then.get(name)}",
                "Use another folder, or delete this one.",
            )
    digest = environment.get("store", {}).get("digest", store.digest)
    if digest != store.digest:
        remedy = "Use another folder, or delete this one."
        raise BadRun(
            run_dir, f"a run on the store {store.path} ({store.digest})", f"one on another store ({digest})", remedy
        )


def without_resources(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings without those that change no result."""
    return {
        name: without_resources(value, f"{prefix}{name}.") if isinstance(value, dict) else value
        for name, value in settings.items()
        if f"{prefix}{name}" not in RESOURCES
    }


def with_all_options(settings: dict, current: str) -> dict:
    """Complete the options of a run's system, which may have had fewer when the run was started.

    current : the system that the user has named. A plug-in of another name is not loaded: a file must not decide which
        code is run. One of this name may have been in another folder when the run was started
    """
    name = str(settings.get("system", CrossvalConfig.system))
    if label(name) == label(current):
        settings = settings | {"system": current}
        name = current
    elif is_plugin(name):
        return settings
    return settings | {"options": asdict(read_options(system(name), settings.get("options"), name))}


def _refuse_other_weights(run_dir: Path, config: CrossvalConfig, environment: dict) -> None:
    """The file of pretrained face weights may have changed under its name."""
    now, then = _face_weights(config), environment.get("face_weights")
    if now and then and now != then:
        remedy = "Bring that file back, or use another folder."
        raise BadRun(run_dir, f"a run begun with face weights of sha256 {now}", f"one begun with {then}", remedy)


def refuse_other_code(run_dir: Path, config: CrossvalConfig, environment: dict) -> None:
    """Raise BadRun if the code of a plug-in has changed under its name since a run was begun."""
    then, now = environment.get("plugin"), _plugin(config)
    if then and now and then != now:
        this, other = (
            f"{code['name']} ({code['origin']} {code['version']}, sha256 {code['sha256'][:12]})".replace(" ,", ",")
            for code in (now, then)
        )
        remedy = "Bring that code back, or use another folder."
        raise BadRun(run_dir, f"a run begun with the code of {this}", f"one begun with {other}", remedy)


def _plugin(config: CrossvalConfig) -> dict[str, str] | None:
    """What identifies the code of a system from outside the package; None for another."""
    code = code_of_system(config.system)
    return None if code is None else code._asdict()


def _modalities(store: WindowSource, config: CrossvalConfig) -> dict[str, str]:
    """The digest of each further modality that the system reads."""
    names = system(config.system).further_modalities
    there = store.modalities if names else {}
    return {name: there[name].digest for name in names}


def _refuse_other_modalities(run_dir: Path, store: WindowSource, config: CrossvalConfig, environment: dict) -> None:
    """A further modality may have been read again, by other code, since a run was begun."""
    then = environment.get("modalities", {})
    for name, digest in _modalities(store, config).items():
        if then.get(name, digest) != digest:
            actual, remedy = f"one on other contents of it ({then[name]})", "Use another folder, or delete this one."
            raise BadRun(run_dir, f"a run on the modality {name} of {store.path} ({digest})", actual, remedy)


def _face_weights(config: CrossvalConfig) -> str | None:
    """The sha256 of the file of pretrained face weights: GBV-Net's, or that of a system with an option of this name."""
    file = config.train.face_weights or plain_options(config.options).get("face_weights")
    return digest_of(file, "face weights") if file else None


def config_digest(config: CrossvalConfig) -> str:
    """Return twelve characters that identify the settings which decide the predictions, the same in every version."""
    named = replace(config, system=label(config.system))  # wherever its file lies
    flat = flatten(former_option_group(to_dict(named)))
    flat = former_names({name: value for name, value in flat.items() if name not in RESOURCES})
    return hashlib.sha256(json.dumps(flat, sort_keys=True).encode()).hexdigest()[:12]


def log_prefix(config: CrossvalConfig) -> str:
    """Return the warning that begins every log line of a run whose protocol leaks; empty for the others."""
    return "LEAKY (protocol window): " if is_leaky(config.protocol) else ""


def _environment(store: WindowSource, config: CrossvalConfig, plan: Plan) -> dict[str, Any]:
    from_store = ("dataset", "source", "synthetic", "prepare", "stores")
    n = len(plan.windows)
    return {
        "format": RUN_FORMAT,
        **_software(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "device": None,  # known when something was trained
        "store": {
            "path": store.path.name,
            "digest": store.digest,
            **{name: store.settings[name] for name in from_store if name in store.settings},
        },
        **({"face_weights": weights} if (weights := _face_weights(config)) else {}),  # sha256 of the file
        **({"plugin": plugin} if (plugin := _plugin(config)) else {}),
        **({"modalities": read} if (read := _modalities(store, config)) else {}),
        "data": {
            "subjects": int(plan.windows["subject"].nunique()),
            "recordings": int(plan.windows["recording"].nunique()),
            "windows": len(store.windows),
            "windows_scored": n,
            "excluded": plan.excluded,
            **_labels(plan),
            **_agreements(store, plan),
        },
        "findings": list(_warnings(plan)),
        "n_parameters": None,
        "seconds": None,
    }


def _labels(plan: Plan) -> dict[str, Any]:
    """What environment.json says of the labels: their definition, and how many windows each class has."""
    n, targets = len(plan.windows), plan.targets
    about: dict[str, Any] = {"labels": "; ".join(dict.fromkeys(target.definition for target in targets.values()))}
    if plan.lags:
        about["lags_s"] = {str(fold): lag_s for fold, lag_s in plan.lags.items()}
    if any(target.task != "binary" for target in targets.values()):
        about["task"] = next(iter(targets.values())).task
    rated = {name: target for name, target in targets.items() if len(target.scales) == 1 and target.scales[0]}
    scales = {name: list(target.scale) for name, target in rated.items()}
    about |= {"scales": scales} if scales else {}
    counts = {
        name: {each: int((plan.labels[name] == k).sum()) for k, each in enumerate(target.classes)}
        for name, target in targets.items()
        if target.classes
    }
    binary = [name for name, target in targets.items() if target.task == "binary"]
    if binary:
        about["high"] = {name: float(plan.labels[name].mean()) for name in binary}
    about["classes"] = {
        name: {"high": count["high"], "low": n - count["high"]} if name in binary else count
        for name, count in counts.items()
    }
    return about


def _agreements(store: WindowSource, plan: Plan) -> dict[str, Any]:
    windows = store.windows.loc[plan.windows.index]  # the plan's own are at its lag
    values = [asdict(each) for each in agreements(store, windows, list(plan.targets.values()))]
    return (
        {"agreement": [each | {"value": None if np.isnan(each["value"]) else each["value"]} for each in values]}
        if values
        else {}
    )


def _warnings(plan: Plan) -> Iterator[str]:
    yield from plan.warnings
    for fold in plan.folds:
        for name, y in plan.labels.items():
            target, train = plan.targets[name], y.loc[fold.train]
            if has_one_class(train):
                first = train.iloc[0]
                which = f"the {target.classes[first]} {name} class" if target.classes else f"{name} {first:g}"
                share = "the share of the high class" if target.task == "binary" else "the same"
                yield (
                    f"fold {fold.number}: all {len(train)} training windows are of {which}; a "
                    f"model cannot learn from them, and {share} is predicted"
                )
            elif target.task == "multiclass" and (absent := set(range(len(target.classes))) - set(train)):
                names = listed([target.classes[k] for k in sorted(absent)])
                which, they = ("class", "it is") if len(absent) == 1 else ("the classes", "they are")
                first = f"fold {fold.number}: no training window of {name} is of {which} {names}"
                yield f"{first}, so {they} never predicted"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _splits(plan: Plan, config: SplitConfig) -> dict[str, Any]:
    return {
        "protocol": config.protocol,
        "scope": config.scope,
        "seed": config.seed,
        "unit": "+".join(splits.UNITS[config.protocol]),
        "stratified": config.stratify,
        "fixed": config.fixed,
        "folds": [
            {"fold": fold.number, "name": fold.name, **splits.names(plan.windows, fold, config.protocol)}
            for fold in plan.folds
        ],
    }


def write_json(path: Path, record: dict, indent: int | None = 2) -> None:
    """Write a record as JSON, atomically."""
    atomic_write(path, (json.dumps(record, indent=indent) + "\n").encode())


def read_environment(run_dir: Path) -> dict[str, Any]:
    """Return environment.json as `begin_run` wrote it; empty if it is not there.

    Raises BadRun if it cannot be read, or is of a newer format.
    """
    try:
        record = from_json((run_dir / "environment.json").read_text())
        convert(record, _Environment)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        damage = f"a file that cannot be read ({error})"
        raise BadRun(run_dir / "environment.json", "what a run was made with", damage, "Delete the run.") from None
    check_run_format(run_dir / "environment.json", record)
    return record

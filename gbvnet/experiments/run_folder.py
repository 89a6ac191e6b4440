"""The run folder: what is written before and after the trainings, and how two runs are kept apart.

config.yaml         every setting
environment.json    software, machine, store, what was scored and what was left out, findings
splits.json         the names on the training, validation and test side of each fold
run.lock            held by the process that writes the run
"""

import hashlib
import importlib.metadata
import json
import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from .. import __version__
from ..config import CrossvalConfig, SplitConfig, former_names, present_names, to_dict
from ..errors import BadRun
from ..evaluation import splits
from ..evaluation.plan import OTHERS, RULES, Plan
from ..io.atomic import atomic_write, remove_stale_temp_files
from ..io.remote import require_path
from ..io.safe_load import from_json, from_yaml
from ..network.pretrained import digest_of
from ..provenance import is_leaky
from ..store.reader import Store

log = logging.getLogger(__name__)

PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "torch", "lightning", "safetensors")
FREE = ("memory_gib",)  # of the training settings: what changes no result, and may change from one call to the next


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Two commands must not write one run. The lock is the system's, and ends with the process that holds it."""
    require_path(run_dir)
    if run_dir.is_file():
        raise BadRun(run_dir, "a folder for the run", "a file", "Give another path.")
    known = {"config.yaml", "run.lock"}
    if run_dir.is_dir() and any(run_dir.iterdir()) and not known & {f.name for f in run_dir.iterdir()}:
        raise BadRun(run_dir, "an empty folder or a run", "a folder with other things in it", "Give another folder.")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(run_dir / "run.lock", timeout=0):
            remove_stale_temp_files(run_dir)
            yield
    except Timeout:
        raise BadRun(
            run_dir, "a run nobody else writes", "one locked by another process", "Wait for it, or stop it."
        ) from None
    except OSError as error:
        raise BadRun(
            run_dir, "a folder that can be written", error.strerror or error, "Give another folder."
        ) from error


def begin(run_dir: Path, store: Store, config: CrossvalConfig, plan: Plan, threads: int) -> None:
    """Write what is known before training; or, in a folder with a run, check that it is this one."""
    old = read_environment(run_dir)
    if (run_dir / "config.yaml").exists():
        _refuse_other_run(run_dir, _settings(config, plan), store, old)
        _refuse_other_weights(run_dir, config, old)
    if old and old.get("threads") != threads:
        log.warning(
            "%s was begun with %s threads a training and goes on with %d: the last digits may differ",
            run_dir,
            old.get("threads"),
            threads,
        )
    environment = {**(old or _environment(store, config, plan)), "threads": threads}
    write_json(run_dir / "environment.json", environment)
    write_json(run_dir / "splits.json", _splits(plan, config), indent=None)
    atomic_write(run_dir / "config.yaml", yaml.safe_dump(_settings(config, plan), sort_keys=False).encode())
    for finding in [*environment["findings"], *_left_out(plan, config, len(store.windows))]:
        log.warning("%s%s", stamp(config), finding)


def _left_out(plan: Plan, config: CrossvalConfig, windows: int) -> Iterator[str]:
    """How many windows a run does not score, and why; those of other subjects than were asked for go without saying."""
    why = {reason: n for reason, n in plan.excluded.items() if reason != OTHERS}
    if not why:
        return
    said = ", ".join(f"{n:,} have {reason}" for reason, n in why.items())
    more = "; --rows any takes what has any of the modality" if config.rows == "complete" and "no face" in why else ""
    yield f"{len(plan.windows):,} of {windows:,} windows are scored: {said}{more}"


def _settings(config: CrossvalConfig, plan: Plan) -> dict[str, Any]:
    return {name: value for name, value in to_dict(config).items() if name not in plan.unused}


def _refuse_other_run(run_dir: Path, settings: dict[str, Any], store: Store, environment: dict) -> None:
    try:
        flat_then = _flat(present_names(from_yaml((run_dir / "config.yaml").read_text())))
    except (OSError, ValueError, AttributeError) as error:
        raise BadRun(
            run_dir / "config.yaml", "the settings of a run", f"a file that cannot be read ({error})"
        ) from None
    flat_now = _flat(settings)
    for name in [*flat_now, *flat_then]:
        if name.split(".")[-1] not in FREE and flat_then.get(name) != flat_now.get(name):
            raise BadRun(
                run_dir,
                f"a run with {name} = {flat_now.get(name)}",
                f"one with {flat_then.get(name)}",
                "Use another folder, or delete this one.",
            )
    was = environment.get("store", {}).get("digest", store.digest)
    if was != store.digest:
        remedy = "Use another folder, or delete this one."
        raise BadRun(
            run_dir, f"a run on the store {store.path} ({store.digest})", f"one on another store ({was})", remedy
        )


def _refuse_other_weights(run_dir: Path, config: CrossvalConfig, environment: dict) -> None:
    """The file that a run's face encoders began as may have changed under its name."""
    now, then = _face_weights(config), environment.get("face_weights")
    if now and then and now != then:
        remedy = "Bring that file back, or use another folder."
        raise BadRun(run_dir, f"a run begun with face weights of sha256 {now}", f"one begun with {then}", remedy)


def _face_weights(config: CrossvalConfig) -> str | None:
    return digest_of(config.train.face_weights) if config.train.face_weights else None


def _flat(settings: dict, before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return flat


def config_digest(config: CrossvalConfig) -> str:
    """Twelve characters that stand for the settings which decide the predictions, the same in every version."""
    flat = {name: value for name, value in _flat(to_dict(config)).items() if name.split(".")[-1] not in FREE}
    flat = former_names(flat)
    return hashlib.sha256(json.dumps(flat, sort_keys=True).encode()).hexdigest()[:12]


def stamp(config: CrossvalConfig) -> str:
    """What every log line of a run begins with, if its scores must not be taken at face value."""
    return "LEAKY (protocol window): " if is_leaky(config.protocol) else ""


def _environment(store: Store, config: CrossvalConfig, plan: Plan) -> dict[str, Any]:
    made = {
        k: store.settings[k] for k in ("dataset", "source", "synthetic", "prepare", "stores") if k in store.settings
    }
    n = len(plan.windows)
    return {
        "gbvnet": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "device": None,  # known when something was trained
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "store": {"path": store.path.name, "digest": store.digest, **made},
        **({"face_weights": _face_weights(config)} if config.train.face_weights else {}),  # sha256 of the file
        "data": {
            "subjects": int(plan.windows["subject"].nunique()),
            "recordings": int(plan.windows["recording"].nunique()),
            "windows": len(store.windows),
            "windows_scored": n,
            "excluded": plan.excluded,
            "high": {target: float(y.mean()) for target, y in plan.high.items()},
            "classes": {target: {"high": int(y.sum()), "low": int(n - y.sum())} for target, y in plan.high.items()},
            "labels": "high: " + RULES[config.threshold],
        },
        "findings": list(_findings(plan)),
        "n_parameters": None,
        "seconds": None,
    }


def _findings(plan: Plan) -> Iterator[str]:
    yield from plan.findings
    for fold in plan.folds:
        for target, y in plan.high.items():
            if y.loc[fold.train].nunique() == 1:
                which = "high" if y.loc[fold.train].iloc[0] else "low"
                yield (
                    f"fold {fold.number}: all {len(fold.train)} training windows are {which} in {target}; nothing can "
                    "be learnt from that, and their share of high is predicted"
                )


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


def write_json(path: Path, held: dict, indent: int | None = 2) -> None:
    atomic_write(path, (json.dumps(held, indent=indent) + "\n").encode())


def read_environment(run_dir: Path) -> dict[str, Any]:
    """What `begin` wrote, nothing if it did not. Raises BadRun."""
    try:
        held = from_json((run_dir / "environment.json").read_text())
        for name, kind in {"store": dict, "data": dict, "findings": list}.items():
            if not isinstance(held, dict) or not isinstance(held.get(name), kind):
                raise ValueError(f"it has no {kind.__name__} {name!r}")
        return held
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        found = f"a file that cannot be read ({error})"
        raise BadRun(run_dir / "environment.json", "what a run was made with", found, "Delete the run.") from None

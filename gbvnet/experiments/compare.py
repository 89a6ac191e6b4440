"""Comparison of systems on the same windows, folds, labels and scores, which published numbers do not allow.

COMPARISON/compare.json              what is compared, what was left out and why, and what each system costs
COMPARISON/runs/<system>-<modality>  an ordinary run folder each: a comparison resumes as a cross-validation does
COMPARISON/report/                   report.html, with tables/ranking-<target>.csv and tables/costs.csv

Features that depend on one window alone are computed once for all systems and folds (store/feature_cache.py).
"""

import json
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..config import MODALITIES, CompareConfig, CrossvalConfig, to_dict
from ..errors import BadConfig, BadModel, BadRun, GbvnetError, LeakySplit
from ..evaluation.plan import make_plan, require_parts
from ..evaluation.predictions import FILE as PREDICTIONS
from ..evaluation.targets import resolve, targets_of
from ..io.atomic import remove_stale_temp_files
from ..network.training_log import require_logger
from ..parallel.tasks import Jobs
from ..progress import ProgressCallback
from ..report.comparison_section import ComparisonSection, Cost
from ..report.report import Report, write_report
from ..store.channels import channels_of
from ..store.reader import Store
from ..store.window_source import WindowSource
from ..systems import SYSTEMS, load_system, read_options, require_system, system, validate_config
from .crossval import cross_validate
from .run_folder import write_json
from .run_group import begin_run_group, numbered_progress

log = logging.getLogger(__name__)

FILE, FORMAT = "compare.json", 1
SHUFFLED_SUFFIX = "shuffled"
EVERYTHING = (*SYSTEMS, f"gbvnet:{SHUFFLED_SUFFIX}")  # the last one is a check: shuffled labels must score at chance
TIMED_WINDOWS = 512  # at most, to measure how many windows a second a system predicts


@dataclass(frozen=True)
class Entry:
    """One system in a comparison, with its modality."""

    name: str  # folder under runs/
    config: CrossvalConfig


def compare(
    store: WindowSource,
    folder: str | Path,
    config: CompareConfig,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
) -> Report:
    """Cross-validate every system that is not finished, measure what each costs, and write the report.

    A system that cannot run on this store or by this protocol is left out, with the reason. One that fails does not
    stop the others; its error is among the report's `errors`. Raises BadRun if the folder cannot be used, and BadConfig
    if no system is left.
    """
    require_logger(config.train)
    folder, config = Path(folder), resolve(config, store)
    entries, left_out = plan_comparison(store, config)
    # More systems may join a comparison later; each run keeps the options of its system.
    free = ("systems", "system", "options", "modality", "shuffle_labels")
    settings = {name: value for name, value in to_dict(config).items() if name not in free}
    record = begin_run_group(folder / FILE, "a comparison", store, settings, FORMAT)
    failed: dict[str, GbvnetError] = {}
    for number, entry in enumerate(entries, 1):
        run = folder / "runs" / entry.name
        if not (run / PREDICTIONS).exists():
            log.info("compare, %d of %d: %s", number, len(entries), entry.name)
        try:
            cross_validate(store, run, entry.config, jobs, numbered_progress(progress, number, len(entries)))
        except BadRun:  # of the folder, not of the system
            raise
        except GbvnetError as error:
            log.error("%s: %s", entry.name, error)
            failed[entry.name] = error
    done = [entry for entry in entries if entry.name not in failed]
    if not done:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise BadConfig(f"no system could be compared: {reasons}")
    costs = record.get("costs", {})
    for entry in done:
        if entry.name not in costs:
            log.info("measuring the cost of %s", entry.name)
            costs[entry.name] = cost_of(store, folder / "runs" / entry.name, entry.config)._asdict()
            write_json(folder / FILE, record | {"costs": costs})
    left_out |= {name: str(error) for name, error in failed.items()}
    remove_stale_temp_files(folder)
    write_json(folder / FILE, record | {"costs": costs, "left_out": left_out, "runs": [e.name for e in done]})
    section = ComparisonSection({e.name: Cost(**costs[e.name]) for e in done}, left_out)
    runs = [folder / "runs" / entry.name for entry in done]
    report = write_report(
        runs,
        folder / "report",
        extra_sections=section.blocks,
        summary_only=True,
        highlight_systems=[e.config.system for e in done],
    )
    return replace(report, errors=[*report.errors, *failed.values()])


# --- what is compared ---


def plan_comparison(store: WindowSource, config: CompareConfig) -> tuple[list[Entry], dict[str, str]]:
    """Return an entry for each chosen system that can run here, and the others with the reason.

    A system that cannot run here is an error if it was chosen by name, and left out if it was chosen by `all`. Raises
    BadConfig then, for an unknown name, and if no system is left.
    """
    entries, left_out = [], {}
    by_name = [name for name in config.systems if name != "all"]
    for name, options in (config.options or {}).items():
        read_options(system(name), options, name)
        if "all" not in config.systems and name not in {chosen.partition(":")[0] for chosen in by_name}:
            raise BadConfig(f"options of {name}, which is not compared: systems are {', '.join(by_name)}")
    others = [name for name in EVERYTHING if name not in by_name] if "all" in config.systems else []
    for name in [*by_name, *others]:
        try:
            entries.append(_entry(store, config, name))
        except (BadConfig, LeakySplit) as error:
            if name in by_name:
                raise
            left_out[name] = str(error)
    if not entries:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise BadConfig(f"no system can be compared: {reasons}")
    return list({entry.name: entry for entry in entries}.values()), left_out


def _entry(store: WindowSource, config: CompareConfig, chosen: str) -> Entry:
    """The entry of a name such as "gbvnet", "gbvnet:face" or "gbvnet:shuffled". Raises BadConfig or LeakySplit."""
    name, _, suffix = chosen.partition(":")
    require_system(name)
    if suffix and suffix not in (*MODALITIES, SHUFFLED_SUFFIX):
        raise BadConfig(
            f"systems: {chosen} should say one of {', '.join((*MODALITIES, SHUFFLED_SUFFIX))} after the colon"
        )
    if suffix in MODALITIES:
        modality = suffix
        # A comparison has no --modality: it is part of the name.
        require_parts(store, modality, f". Named {name}, without a colon, it uses what the store has")
    else:
        modality = available_modality(store, name)
    shuffled = suffix == SHUFFLED_SUFFIX
    options = (config.options or {}).get(name)
    one = config.crossval(system=name, options=options, modality=modality, shuffle_labels=1 if shuffled else None)
    one = validate_config(one, store)
    channels_of(store, modality)
    make_plan(store, one)
    return Entry(f"{name}-{modality}" + (f"-{SHUFFLED_SUFFIX}" if shuffled else ""), one)


def available_modality(store: WindowSource, name: str) -> str:
    """Return the first of a system's modalities that a store has. Raises BadConfig if it has none of them."""
    first_error = None
    for modality in system(name).modalities:
        try:
            channels_of(store, modality)
            require_parts(store, modality)
        except BadConfig as error:
            first_error = first_error or error
        else:
            return modality
    raise BadConfig(f"{name} has no input here: {first_error}")


# --- what the systems cost ---


def cost_of(store: WindowSource, run: Path, config: CrossvalConfig) -> Cost:
    """Return time and memory of a system's trainings, and how fast its first model predicts without cached features.

    run : the run folder of `config` on `store`
    """
    fits = [json.loads(file.read_text()) for file in sorted(run.glob("fold*/*/fit.json"))]
    measured = {name: [f[name] for f in fits if f.get(name) is not None] for name in ("seconds", "memory_mb")}
    parameters = [f["n_parameters"] for f in fits if f.get("n_parameters") is not None]
    return Cost(
        fit_s=float(np.mean(measured["seconds"])) if measured["seconds"] else np.nan,
        memory_mb=float(max(measured["memory_mb"], default=np.nan)),
        parameters=int(max(parameters, default=0)),
        windows_per_s=_windows_per_s(store, run, config),
    )


def _windows_per_s(store: WindowSource, run: Path, config: CrossvalConfig) -> float:
    folder = next((f for f in sorted(run.glob("fold*/*/model"))), None)
    if folder is None:  # every fold had one class
        return float("nan")
    target = next(t for t in targets_of(config, store) if t.name == folder.parent.name)
    try:
        fitted = load_system(folder, config if len(target.columns) > 1 else replace(config, target=target.name), target)
    except BadModel as error:
        log.warning("%s: %s", run.name, error)
        return float("nan")
    rows = pd.read_parquet(folder.parent / PREDICTIONS, columns=["recording", "window"])
    places = store.windows.reset_index().set_index(["recording", "window"])["index"]
    tested = places.loc[list(rows.itertuples(index=False, name=None))].to_numpy()[:TIMED_WINDOWS]
    uncached = Store(store.path)
    fitted.predict_proba(uncached, tested[: min(16, len(tested))])  # the first call imports and allocates
    began = time.perf_counter()
    fitted.predict_proba(uncached, tested)
    return len(tested) / (time.perf_counter() - began)

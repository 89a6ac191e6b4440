"""Comparison of systems on the same windows, folds, labels and scores, which published numbers do not allow.

COMPARISON/compare.json              what is compared, what was left out and why, and what each system costs
COMPARISON/runs/<system>-<modality>  an ordinary run folder each: a comparison resumes as a cross-validation does
COMPARISON/seed-<k>/<system>-<modality>  the same at a further seed, if there are several; runs/ has the first
COMPARISON/report/                   report.html, with tables/ranking-<target>.csv and tables/costs.csv

Features that depend on one window alone are computed once for all systems and folds (store/feature_cache.py).
"""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from .. import plugins
from ..config import MODALITIES, CompareConfig, CrossvalConfig, to_dict
from ..errors import BadConfig, BadModel, BadRun, GbvnetError, LeakySplit
from ..evaluation.plan import make_plan, require_parts
from ..evaluation.predictions import FILE as PREDICTIONS
from ..evaluation.targets import resolve, targets_of
from ..io.atomic import remove_stale_temp_files
from ..network.training_log import require_logger
from ..parallel.tasks import Jobs
from ..parallel.worker_pool import kept_workers
from ..progress import ProgressCallback
from ..report.comparison_section import ComparisonSection, Cost
from ..report.report import Report, write_report
from ..store.channels import channels_of
from ..store.feature_cache import FeatureCache
from ..store.window_source import WindowSource
from ..systems import (
    SHUFFLED_SUFFIX,
    load_system,
    read_options,
    require_system,
    split_suffix,
    system,
    system_names,
    validate_config,
)
from .crossval import cross_validate
from .run_folder import write_json
from .run_group import begin_run_group, numbered_progress
from .seed_group import record_seeds, seeds_from

log = logging.getLogger(__name__)

FILE, FORMAT = "compare.json", 1
TIMED_WINDOWS = 512  # at most, to measure how many windows a second a system predicts


@dataclass(frozen=True)
class Entry:
    """One system in a comparison, with its modality."""

    name: str  # folder under runs/
    config: CrossvalConfig
    further_seed: bool = False  # whether another seed comes first, whose runs are in runs/

    @property
    def folder(self) -> str:
        """Its run folder inside the comparison's."""
        return f"{f'seed-{self.config.seed}' if self.further_seed else 'runs'}/{self.name}"

    @property
    def title(self) -> str:
        """Its name in messages: of a further seed with the seed."""
        return f"{self.name}, seed {self.config.seed}" if self.further_seed else self.name


def compare(
    store: WindowSource,
    folder: str | Path,
    config: CompareConfig,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
    seeds: int = 1,
) -> Report:
    """Cross-validate every system that is not finished, measure what each costs, and write the report.

    seeds : how many, from `config.seed` on; may be more than at an earlier call

    A system that cannot run on this store or by this protocol is left out, with the reason. One that fails (at one
    seed) does not stop the others; its error is among the report's `errors`. Raises BadRun if the folder cannot be
    used, and BadConfig if no system is left.
    """
    require_logger(config.train)
    folder, config = Path(folder), resolve(config, store)
    chosen = seeds_from(config.seed, seeds)
    entries, left_out = plan_comparison(store, config)
    # More systems may join a comparison later; each run keeps the options of its system.
    free = ("systems", "system", "options", "modality", "shuffle_labels")
    settings = {name: value for name, value in to_dict(config).items() if name not in free}
    record = begin_run_group(folder / FILE, "a comparison", store, settings, FORMAT)
    record = record_seeds(folder / FILE, record, seeds, "a comparison")
    planned = [entry if seed == config.seed else _at_seed(entry, seed) for seed in chosen for entry in entries]
    failed = _run(store, folder, planned, jobs, progress)
    done = [entry for entry in planned if entry.title not in failed]
    if not done:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise BadConfig(f"no system could be compared: {reasons}")
    costs = _costs(store, folder, record, done)
    left_out |= {name: str(error) for name, error in failed.items()}
    names = list(dict.fromkeys(e.name for e in done))
    remove_stale_temp_files(folder)
    write_json(folder / FILE, record | {"costs": costs, "left_out": left_out, "runs": names})
    section = ComparisonSection({name: Cost(**costs[name]) for name in names}, left_out)
    report = write_report(
        [folder / entry.folder for entry in done],
        folder / "report",
        extra_sections=section.blocks,
        summary_only=True,
        highlight_systems=[plugins.label(e.config.system) for e in done],
    )
    return replace(report, errors=[*report.errors, *failed.values()])


@kept_workers()
def _run(
    store: WindowSource, folder: Path, entries: Sequence[Entry], jobs: Jobs, progress: ProgressCallback | None
) -> dict[str, GbvnetError]:
    """Cross-validate entries. Returns the errors of those that failed, by their titles."""
    failed: dict[str, GbvnetError] = {}
    one_seed = not any(entry.further_seed for entry in entries)
    for number, entry in enumerate(entries, 1):
        run = folder / entry.folder
        if not (run / PREDICTIONS).exists():
            log.info("compare, %d of %d: %s", number, len(entries), entry.title)
        try:
            cross_validate(store, run, entry.config, jobs, numbered_progress(progress, number, len(entries)))
        except GbvnetError as error:
            if isinstance(error, BadRun) and one_seed:  # of the folder, not of the system
                raise
            log.error("%s: %s", entry.title, error)
            failed[entry.title] = error
    return failed


def _at_seed(entry: Entry, seed: int) -> Entry:
    """An entry at a further seed."""
    return replace(entry, config=replace(entry.config, seed=seed), further_seed=True)


def _costs(store: WindowSource, folder: Path, record: dict, done: Sequence[Entry]) -> dict[str, dict]:
    """The costs of each system by its name, measured once, at the first seed that is finished."""
    costs = record.get("costs", {})
    for entry in done:
        if entry.name not in costs:
            log.info("measuring the cost of %s", entry.name)
            costs[entry.name] = cost_of(store, folder / entry.folder, entry.config)._asdict()
            write_json(folder / FILE, record | {"costs": costs})
    return costs


# --- what is compared ---


def everything() -> tuple[str, ...]:
    """Return what `all` stands for; the last one is a check: shuffled labels must score at chance."""
    return (*system_names(), f"gbvnet:{SHUFFLED_SUFFIX}")


def plan_comparison(store: WindowSource, config: CompareConfig) -> tuple[list[Entry], dict[str, str]]:
    """Return an entry for each chosen system that can run here, and the others with the reason.

    A system that cannot run here is an error if it was chosen by name, and left out if it was chosen by `all`. Raises
    BadConfig then, for an unknown name, if no system is left, and for systems that would test other windows.
    """
    entries, left_out = [], {}
    windows: dict[str, pd.Index] = {}  # the scored windows of each entry
    by_name = [name for name in config.systems if name != "all"]
    _check_options(config, by_name)
    others = [name for name in everything() if name not in by_name] if "all" in config.systems else []
    for name in [*by_name, *others]:
        try:
            entry, scored = _entry(store, config, name)
        except (BadConfig, LeakySplit) as error:
            if name in by_name:
                raise
            left_out[name] = str(error)
        else:
            entries.append(entry)
            windows[entry.name] = scored
    if not entries:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise BadConfig(f"no system can be compared: {reasons}")
    _require_same_windows(windows)
    return _one_each(entries), left_out


def _require_same_windows(windows: dict[str, pd.Index]) -> None:
    """Raise BadConfig if two entries would test other windows, as modalities do under `rows any`."""
    (first, of_first), *others = windows.items()
    for other, of_other in others:
        in_one = len(of_first.symmetric_difference(of_other))
        if in_one:
            raise BadConfig(
                f"{first} and {other} cannot be compared: they would be tested on {len(of_first):,} and "
                f"{len(of_other):,} windows, {in_one:,} of which only one of them has. Leave out --rows any, or name "
                "systems that see the same modality (--systems gbvnet:face,expression)"
            )


def _one_each(entries: Sequence[Entry]) -> list[Entry]:
    """The entries without those that were named twice. Raises BadConfig for two plug-ins with classes of one name."""
    by_class: dict[str, str] = {}
    for entry in entries:
        system = entry.config.system
        same = by_class.setdefault(plugins.short_name(system), system)
        if plugins.absolute(same) != plugins.absolute(system):
            both = f"{same} and {system}"
            raise BadConfig(f"systems: {both} would have the same name: rename a class")
    return list({entry.name: entry for entry in entries}.values())


def _check_options(config: CompareConfig, by_name: Sequence[str]) -> None:
    """Raise BadConfig for options of a system that is not compared, and for options that a system does not have."""
    names = [split_suffix(name)[0] for name in by_name]
    compared = {plugins.short_name(name): name for name in [*(everything() if "all" in config.systems else ()), *names]}
    for key, options in (config.options or {}).items():
        name = compared.get(key, key)
        read_options(system(name), options, key)
        if key not in compared:
            raise BadConfig(f"options of {key}, which is not compared: systems are {', '.join(by_name)}")


def _entry(store: WindowSource, config: CompareConfig, chosen: str) -> tuple[Entry, pd.Index]:
    """The entry of a name such as "gbvnet", "gbvnet:face" or "gbvnet:shuffled", and the windows that it scores.

    Raises BadConfig or LeakySplit.
    """
    name, suffix = split_suffix(chosen)
    require_system(name)
    if suffix in MODALITIES:
        modality = suffix
        # A comparison has no --modality: it is part of the name.
        require_parts(store, modality, f". Named {plugins.label(name)}, without a colon, it uses what the store has")
    else:
        modality = available_modality(store, name)
    shuffled = suffix == SHUFFLED_SUFFIX
    options = (config.options or {}).get(plugins.short_name(name))
    one = config.crossval(system=name, options=options, modality=modality, shuffle_labels=1 if shuffled else None)
    one = validate_config(one, store)
    channels_of(store, modality)
    plan = make_plan(store, one)
    entry = Entry(f"{_folder_name(name)}-{modality}" + (f"-{SHUFFLED_SUFFIX}" if shuffled else ""), one)
    return entry, plan.windows.index


def _folder_name(name: str) -> str:
    """The name of a system as a part of a folder's name: forest-Forest for forest.py:Forest."""
    return plugins.label(name).replace(".py:", "-").replace(":", "-")


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
    raise BadConfig(f"{plugins.label(name)} has no input here: {first_error}")


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
    uncached = store.source if isinstance(store, FeatureCache) else store
    fitted.predict_proba(uncached, tested[: min(16, len(tested))])  # the first call imports and allocates
    began = time.perf_counter()
    fitted.predict_proba(uncached, tested)
    return len(tested) / (time.perf_counter() - began)

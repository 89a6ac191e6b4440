"""Every system on the same windows, folds, labels and scores: the comparison that tables of other papers' figures are
not.

COMPARISON/compare.json          what is compared, what was left out and why, and what a window costs each system
COMPARISON/runs/<system>-<sees>  an ordinary run folder each, so that a comparison resumes as a cross-validation does
COMPARISON/report/               report.html, with tables/ranking-<target>.csv and tables/costs.csv

Features that follow from a window alone are computed once for all systems and folds (remembering.py).
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
from ..io.atomic import remove_stale_temp_files
from ..parallel.tasks import Jobs
from ..progress import ProgressCallback
from ..report.comparison_section import Cost, Rivals
from ..report.report import Report, write_report
from ..store.channels import channels_of
from ..store.reader import Store
from ..systems import SYSTEMS, require_sense, require_system, system
from .crossval import cross_validate
from .run_folder import write_json
from .run_group import begin_series, numbered

log = logging.getLogger(__name__)

FILE, FORMAT = "compare.json", 1
SHUFFLED = "shuffled"
EVERYTHING = (*SYSTEMS, f"gbvnet:{SHUFFLED}")  # the last one is a probe: labels that mean nothing must score nothing
TIMED_WINDOWS = 512  # what a window costs is measured on so many at most


@dataclass(frozen=True)
class Entry:
    """One system in a comparison, and what it sees."""

    name: str  # folder under runs/
    config: CrossvalConfig


def compare(
    store: Store, folder: str | Path, config: CompareConfig, jobs: Jobs = 1, progress: ProgressCallback | None = None
) -> Report:
    """Cross-validate every system that is not done yet, measure what each costs, and write the report.

    A system that cannot be had on this store or by this protocol is left out, and it is said why. One that fails does
    not stop the others; its error is among the report's problems. Raises BadRun if the folder cannot be used, and
    BadConfig if no system is left.
    """
    folder = Path(folder)
    entries, left_out = plan_comparison(store, config)
    free = ("systems", "system", "modality", "shuffle_labels")  # more systems may join a comparison later
    settings = {name: value for name, value in to_dict(config).items() if name not in free}
    held = begin_series(folder / FILE, "a comparison", store, settings, FORMAT)
    failed: dict[str, GbvnetError] = {}
    for number, entry in enumerate(entries, 1):
        run = folder / "runs" / entry.name
        if not (run / PREDICTIONS).exists():
            log.info("compare, %d of %d: %s", number, len(entries), entry.name)
        try:
            cross_validate(store, run, entry.config, jobs, numbered(progress, number, len(entries)))
        except BadRun:  # of the folder, not of the system
            raise
        except GbvnetError as error:
            log.error("%s: %s", entry.name, error)
            failed[entry.name] = error
    done = [entry for entry in entries if entry.name not in failed]
    if not done:
        raise BadConfig("nothing of this could be compared: " + "; ".join(f"{n}: {why}" for n, why in failed.items()))
    costs = held.get("costs", {})
    for entry in done:
        if entry.name not in costs:
            log.info("measuring what %s costs", entry.name)
            costs[entry.name] = cost_of(store, folder / "runs" / entry.name, entry.config)._asdict()
            write_json(folder / FILE, held | {"costs": costs})
    left_out |= {name: str(error) for name, error in failed.items()}
    remove_stale_temp_files(folder)
    write_json(folder / FILE, held | {"costs": costs, "left_out": left_out, "runs": [e.name for e in done]})
    rivals = Rivals({e.name: Cost(**costs[e.name]) for e in done}, left_out)
    runs = [folder / "runs" / entry.name for entry in done]
    report = write_report(
        runs, folder / "report", more=rivals.blocks, brief=True, told_of=[e.config.system for e in done]
    )
    return replace(report, problems=[*report.problems, *failed.values()])


# --- what is compared ---


def plan_comparison(store: Store, config: CompareConfig) -> tuple[list[Entry], dict[str, str]]:
    """The systems asked for, and those left out with why. Raises BadConfig for a name that is none, or if none is left.

    Asked for by name, a system that cannot be had is an error; among `all`, it is left out.
    """
    entries, left_out = [], {}
    everything = "all" in config.systems
    asked = [name for name in config.systems if name != "all"]
    for name in [*asked, *(n for n in EVERYTHING if everything and n not in asked)]:
        try:
            entries.append(_entry(store, config, name))
        except (BadConfig, LeakySplit) as error:
            if name in asked:
                raise
            left_out[name] = str(error)
    if not entries:
        raise BadConfig("no system can be compared: " + "; ".join(f"{n}: {why}" for n, why in left_out.items()))
    return list({entry.name: entry for entry in entries}.values()), left_out


def _entry(store: Store, config: CompareConfig, asked: str) -> Entry:
    name, _, sees = asked.partition(":")
    require_system(name)
    shuffled = 1 if sees == SHUFFLED else None
    if sees and shuffled is None and sees not in MODALITIES:
        raise BadConfig(f"systems: {asked} should say one of {', '.join((*MODALITIES, SHUFFLED))} after the colon")
    modality = sees if sees and shuffled is None else sees_here(store, name)
    if sees and shuffled is None:  # a comparison has no --modality: it is part of the name
        require_parts(store, modality, f". Named {name}, without a colon, it sees what the store has")
    one = config.crossval(system=name, modality=modality, shuffle_labels=shuffled)
    require_sense(one, store)
    channels_of(store, modality)
    make_plan(store, one)
    return Entry(f"{name}-{modality}" + (f"-{SHUFFLED}" if shuffled else ""), one)


def sees_here(store: Store, name: str) -> str:
    """What a system sees of a store: the first of its modalities that the store has. Raises BadConfig."""
    why = None
    for modality in system(name).modalities:
        try:
            channels_of(store, modality)
            require_parts(store, modality)
        except BadConfig as error:
            why = why or error
        else:
            return modality
    raise BadConfig(f"{name} sees nothing here: {why}")


# --- what it costs ---


def cost_of(store: Store, run: Path, config: CrossvalConfig) -> Cost:
    """What a system's trainings took, and how fast its first model is on windows that nothing is remembered of."""
    fits = [json.loads(file.read_text()) for file in sorted(run.glob("fold*/*/fit.json"))]
    known = {name: [f[name] for f in fits if f.get(name) is not None] for name in ("seconds", "memory_mb")}
    parameters = [f["n_parameters"] for f in fits if f.get("n_parameters") is not None]
    return Cost(
        fit_s=float(np.mean(known["seconds"])) if known["seconds"] else np.nan,
        memory_mb=float(max(known["memory_mb"], default=np.nan)),
        parameters=int(max(parameters, default=0)),
        windows_per_s=_pace(store, run, config),
    )


def _pace(store: Store, run: Path, config: CrossvalConfig) -> float:
    folder = next((f for f in sorted(run.glob("fold*/*/model"))), None)
    if folder is None:  # every fold had one class
        return float("nan")
    target = folder.parent.name
    try:
        fitted = system(config.system).load(folder, replace(config, target=target))  # type: ignore[arg-type]
    except BadModel as error:
        log.warning("%s: %s", run.name, error)
        return float("nan")
    rows = pd.read_parquet(folder.parent / PREDICTIONS, columns=["recording", "window"])
    places = store.windows.reset_index().set_index(["recording", "window"])["index"]
    tested = places.loc[list(rows.itertuples(index=False, name=None))].to_numpy()[:TIMED_WINDOWS]
    plain = Store(store.path)
    fitted.predict_proba(plain, tested[: min(16, len(tested))])  # the first call imports and allocates
    began = time.perf_counter()
    fitted.predict_proba(plain, tested)
    return len(tested) / (time.perf_counter() - began)

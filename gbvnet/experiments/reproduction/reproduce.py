"""The paper's tables and figures, each beside the protocols without leakage: planned runs, executed and reported.

DIR/runs/<recipe>/<name>/    a run folder each, resumable
DIR/seed-<k>/<recipe>/<name>/    the same at a further seed
DIR/costs.csv                what the networks cost, measured once
DIR/report/                  report.html with the paper's tables and figures, report.md, tables, figures
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from ...config import ExplainConfig, GBVNetConfig, PrepareConfig, to_dict
from ...errors import BadConfig, BadRun, GbvnetError
from ...io.atomic import atomic_write, remove_stale_temp_files
from ...parallel.tasks import Jobs
from ...parallel.worker_pool import kept_workers
from ...progress import ProgressCallback
from ...report.report import Report, write_report
from ...report.results import Result, read_results
from ...report.seed_groups import average_seeds
from ...store.window_source import WindowSource
from ..crossval import cross_validate
from ..explain import explain_run
from ..run_group import numbered_progress
from .paper_section import Paper
from .paper_tables import network_name
from .plan import Study, device, is_done, run_folder, run_name
from .recipe import PlannedRun

log = logging.getLogger(__name__)


def reproduce(
    studies: Sequence[Study], folder: Path, jobs: Jobs = 1, progress: ProgressCallback | None = None
) -> Report:
    """Cross-validate all planned runs that are not finished, and write the report.

    A run that fails does not stop the others; its error is among the report's errors.
    progress : called with epochs done and epochs in all of the current run, and what is being done
    """
    runs = [run for study in studies for run in study.runs]
    failed = run_all(runs, folder, jobs, progress)
    report = write_paper_report(studies, folder)
    return replace(report, errors=[*failed, *report.errors])


def select_runs(studies: Sequence[Study], names: Sequence[str]) -> list[PlannedRun]:
    """Return the planned runs of these names, see `run_name`. Raises BadConfig, with near names, for an unknown one."""
    known = {run_name(run): run for study in studies for run in study.runs}
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=3) or list(known)[:3]
            raise BadConfig(f"--only {name}: there is no such run; there are {len(known)}, as {', '.join(near)}")
    return [known[name] for name in names]


def run_all(
    runs: Sequence[PlannedRun], folder: Path, jobs: Jobs = 1, progress: ProgressCallback | None = None
) -> list[GbvnetError]:
    """Cross-validate the runs that are not finished. Returns the errors of those that failed; the others go on."""
    todo = [run for run in runs if not is_done(folder, run)]
    failed = _cross_validate_all(todo, folder, jobs, progress)
    return failed + measure_all([run for run in runs if is_done(folder, run)], folder, progress)


@kept_workers()
def _cross_validate_all(
    todo: Sequence[PlannedRun], folder: Path, jobs: Jobs, progress: ProgressCallback | None
) -> list[GbvnetError]:
    """Cross-validate runs. Returns the errors of those that failed."""
    errors = []
    for number, run in enumerate(todo, 1):
        path = run_folder(folder, run)
        log.info("reproduce, %d of %d: %s", number, len(todo), path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            cross_validate(run.store, path, run.config, jobs, numbered_progress(progress, number, len(todo)))
        except GbvnetError as error:
            log.error("%s", error)
            errors.append(error)
    return errors


def measure_all(
    runs: Sequence[PlannedRun], folder: Path, progress: ProgressCallback | None = None
) -> list[GbvnetError]:
    """Explain finished runs as their recipe says, those that are not explained yet. Returns the errors."""
    todo = [run for run in runs if run.measures]
    errors = []
    for number, run in enumerate(todo, 1):
        config = ExplainConfig(seed=run.config.seed, measures=run.measures)
        try:
            explain_run(run.store, run_folder(folder, run), config, numbered_progress(progress, number, len(todo)))
        except GbvnetError as error:
            log.error("%s", error)
            errors.append(error)
    return errors


# ---------------------------------------------------------------- the report


def write_paper_report(studies: Sequence[Study], folder: Path) -> Report:
    """Write the report of the runs that are finished, with the paper's tables and figures. Raises BadRun if none is."""
    remove_stale_temp_files(folder)
    runs = {run_folder(folder, run).resolve(): run for study in studies for run in study.runs}
    diagrams: dict[str, Figure] = {}
    for study in studies:
        whole = next((run for run in study.runs if run.role == "whole"), None)
        if whole is not None and study.store.title not in diagrams:
            diagrams[study.store.title] = _diagram(whole)
    ablations, fusions = (_results_of(runs, role) for role in ("ablation", "fusion"))
    paper = Paper(
        recipes=[study.recipe for study in studies],
        runs=runs,
        stores=[study.store for study in studies],
        ablations=ablations.results,
        fusions=fusions.results,
        costs=_costs(studies, folder),
        diagrams=diagrams,
        left_out=[
            *(reason for study in studies for reason in study.left_out),
            *(reason for part in (ablations, fusions) for reason in (*map(str, part.errors), *part.notes)),
        ],
    )
    shown = [path for path, run in runs.items() if run.role not in ("ablation", "fusion")]
    report = write_report(shown, folder / "report", paper.blocks, summary_only=True)
    return replace(report, errors=[*report.errors, *ablations.errors, *fusions.errors])


class _Part(NamedTuple):
    """The results of the runs of one role, the errors of those that cannot be used, and what was not averaged."""

    results: list[Result]
    errors: list[GbvnetError]
    notes: list[str]


def _results_of(runs: dict[Path, PlannedRun], role: str) -> _Part:
    paths = [path for path, run in runs.items() if run.role == role]
    if not paths:
        return _Part([], [], [])
    try:
        singles, errors = read_results(paths)
    except BadRun as error:  # not one of them can be used
        return _Part([], [error], [])
    results, notes = average_seeds(singles)
    return _Part(results, errors, notes)


def network_of(run: PlannedRun) -> GBVNetConfig:
    """Return the settings of the network that a run of GBV-Net trains."""
    from ...systems.learners.neural import input_shape, network_config

    n_outputs = 2 if run.config.joint else 1
    shape = input_shape(run.store, run.config.modality, n_outputs, run.config.model.face_input)
    return network_config(run.config, shape)


def face_side(store: WindowSource) -> int:
    """Return the side of a store's face crops in pixels; of a store without faces, the one that they would have."""
    return store.settings["face_side"] or PrepareConfig.face_side


def _diagram(run: PlannedRun) -> Figure:
    from .network_diagram import diagram

    return diagram(network_of(run), face_side(run.store))


def _costs(studies: Sequence[Study], folder: Path) -> pd.DataFrame | None:
    """A row a network with what it costs on this device; measured once and kept in costs.csv. None without networks."""
    from ...network.complexity import cost_table

    wanted: dict[str, tuple[GBVNetConfig, int]] = {}
    for run in _network_runs(studies):
        wanted.setdefault(network_name(run), (network_of(run), face_side(run.store)))
    if not wanted:
        return None
    file = folder / "costs.csv"
    table = pd.read_csv(file, index_col=0) if file.exists() else pd.DataFrame({"made_for": []})
    missing = {name: it for name, it in wanted.items() if _cost_key(*it) not in set(table["made_for"])}
    for name, (config, side) in missing.items():
        log.info("measuring the cost of %s", name)
        row = cost_table({name: config}, side).assign(made_for=_cost_key(config, side))
        table = pd.concat([table, row]) if len(table) else row
        atomic_write(file, table.to_csv().encode())
    rows = {name: table[table["made_for"] == _cost_key(*it)].iloc[-1] for name, it in wanted.items()}
    return pd.DataFrame(rows).T.drop(columns="made_for").infer_objects()


def _network_runs(studies: Sequence[Study]) -> Iterator[PlannedRun]:
    for study in studies:
        yield from (run for run in study.runs if run.config.system == "gbvnet")


def _cost_key(config: GBVNetConfig, side: int) -> str:
    """What decides the cost of a network."""
    shape = {k: value for k, value in to_dict(config).items() if "dropout" not in k and k != "widths"}
    return f"{device()}; {side} px; " + ", ".join(f"{name} {value}" for name, value in shape.items())

"""Which recipe runs on which store, what that takes, and the plan as text.

DIR/runs/<recipe>/<name>/             a run folder each
DIR/seed-<k>/<recipe>/<name>/         the same at a further seed, if there are several; runs/ has the first
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...config import PrepareConfig
from ...errors import BadConfig, BadRun, BadStore, LeakySplit
from ...evaluation.predictions import FILE as PREDICTIONS
from ...parallel.tasks import Jobs
from ...progress import ProgressCallback
from ...report.seed_folders import is_seed_folder
from ...store.dry_run import DryRunStore
from ...store.window_source import WindowSource
from ...systems import validate_config
from .recipe import (
    PlannedRun,
    Recipe,
    check_store,
    differs_in_windows_only,
    load_recipe,
    prepare_command,
    runs_of,
    shipped,
    unfit,
)
from .runtime_estimate import Calibration, Estimate, Workload, estimate_run, total_estimate, workload_of

DAY_S = 86_400
KINDS = {"whole": "GBV-Net, by modality", "modality": "GBV-Net, by modality", "system": "other systems"} | {
    "ablation": "ablations",
    "fusion": "fusions",
}


@dataclass(frozen=True)
class Study:
    """A recipe on its store: the runs that it plans, with the work of each.

    left_out : what of the recipe cannot be run, and why
    """

    recipe: Recipe
    store: WindowSource
    runs: list[PlannedRun]
    workloads: list[Workload]
    left_out: list[str] = field(default_factory=list)


def run_name(run: PlannedRun) -> str:
    """Return the name by which `--only` selects a run: its folder under DIR/runs, or of a further seed under DIR."""
    name = f"{run.config.recipe}/{run.name}"
    return f"seed-{run.config.seed}/{name}" if run.further_seed else name


def run_folder(folder: Path, run: PlannedRun) -> Path:
    """Return the folder of a run inside the folder of a reproduction."""
    return folder / run_name(run) if run.further_seed else folder / "runs" / run_name(run)


def is_done(folder: Path | None, run: PlannedRun) -> bool:
    """Return whether a run is finished; without a folder none is."""
    return folder is not None and (run_folder(folder, run) / PREDICTIONS).exists()


# ---------------------------------------------------------------- which recipe, on which store


def recipes_for(names: Sequence[str], datasets: Sequence[str], subjects: str | None = None) -> list[Recipe]:
    """Return the recipes of these names (comma lists allowed); without names, `paper` and `honest` of each corpus.

    subjects : "store" or "paper", to override the recipes' own setting
    Raises BadConfig for a name that is unknown, or a corpus without recipes.
    """
    given = [name for text in names for name in text.split(",") if name]
    unique = list(dict.fromkeys(datasets))
    unknown = [dataset for dataset in unique if f"{dataset}-paper" not in shipped()]
    if unknown and not given:
        available = ", ".join(shipped())
        raise BadConfig(
            f"there is no recipe for {', '.join(unknown)}: give --recipe tiny, or one of {available}, or a file"
        )
    default = [f"{dataset}-{kind}" for dataset in unique for kind in ("paper", "honest")]
    recipes = [load_recipe(name) for name in dict.fromkeys(given or default)]
    return [replace(recipe, subjects_from=subjects) for recipe in recipes] if subjects else recipes  # type: ignore[arg-type]


def described_stores(sizes: Sequence[str], recipes: Sequence[Recipe]) -> list[DryRunStore]:
    """Return stores that are known by size alone ("deap:22x40x60"), as each recipe would prepare them.

    Raises BadConfig if no recipe is for any of these corpora, or for a size of another form.
    """
    stores = [
        DryRunStore(size, PrepareConfig(**recipe.prepare))
        for size in sizes for recipe in recipes
        if recipe.dataset in ("any", size.split(":")[0])
    ]  # fmt: skip
    if not stores:
        raise BadConfig(f"no recipe of {', '.join(r.name for r in recipes)} is for {', '.join(sizes)}")
    return list({(store.text, store.prepare): store for store in stores}.values())


def assign(
    recipes: Sequence[Recipe], stores: Sequence[WindowSource]
) -> list[tuple[Recipe, WindowSource, list[WindowSource]]]:
    """Return each recipe with the store it runs on and the stores of its ablations of windows and frames.

    Raises BadStore if no store suits a recipe (with the command that prepares one) or no recipe uses a store, and
    BadConfig if a recipe is for another corpus than the stores are.
    """
    assigned = []
    for recipe in _for_each_corpus(recipes, stores):
        candidates = [s for s in stores if recipe.dataset in ("any", s.settings["dataset"])]
        if not candidates:
            given = ", ".join(sorted({s.settings["dataset"] for s in stores}))
            raise BadConfig(
                f"recipe {recipe.name} is for {recipe.dataset}, and the stores given are of {given}; make one with: "
                f"{prepare_command(recipe, recipe.dataset)}"
            )
        if len({s.title for s in candidates}) > 1:
            raise BadConfig(f"recipe {recipe.name}: give stores of one corpus at a time, not of {len(candidates)}")
        suitable = [s for s in candidates if not list(unfit(recipe, s))]
        if not suitable:
            check_store(recipe, candidates[0])
        others = [s for s in candidates if recipe.ablations and differs_in_windows_only(suitable[0], s)]
        assigned.append((recipe, suitable[0], others))
    used = [s.path for _, store, others in assigned for s in (store, *others)]
    for store in stores:
        if store.path not in used:
            _refuse_unused(store, recipes)
    return assigned


def _for_each_corpus(recipes: Sequence[Recipe], stores: Sequence[WindowSource]) -> Iterator[Recipe]:
    """A recipe for any corpus, given stores of several, becomes one for each, with runs of its own."""
    datasets = list(dict.fromkeys(store.settings["dataset"] for store in stores))
    for recipe in recipes:
        if recipe.dataset != "any" or len(datasets) == 1:
            yield recipe
            continue
        for dataset in datasets:
            yield replace(recipe, name=f"{recipe.name}-{dataset}", dataset=dataset)


def _refuse_unused(store: WindowSource, recipes: Sequence[Recipe]) -> None:
    for recipe in recipes:
        if recipe.dataset in ("any", store.settings["dataset"]):
            check_store(recipe, store)
    raise BadStore(
        store.path, "a store that one of the recipes uses",
        "one with the same settings as another that was given, and no ablation of windows or frames", "Leave it out.",
    )  # fmt: skip


def plan_studies(recipes: Sequence[Recipe], stores: Sequence[WindowSource], seeds: int = 1) -> list[Study]:
    """Return the runs of all recipes on their stores. A run that its store does not allow is left out, with the reason.

    seeds : how many, from each recipe's own on; every run is repeated at each of them

    Raises BadStore or BadConfig as `assign` does, and BadConfig if no run is left.
    """
    studies: list[Study] = []
    known: dict[Any, Workload] = {}
    for given, store, others in assign(recipes, stores):
        recipe = given.among(store)
        runs, workloads = [], []
        impossible: dict[str, list[PlannedRun]] = {}
        for run in runs_of(recipe, store, others):
            try:
                validate_config(run.config, run.store)
                workloads.append(workload_of(run, known))
            except (BadConfig, LeakySplit) as error:
                reason = f"{recipe.name}, protocol {run.config.protocol}: {error}"
                impossible.setdefault(reason, []).append(run)
            else:
                runs.append(run)
        repeated = [_at_seed(run, k) for k in range(1, seeds) for run in runs]
        runs, workloads = runs + repeated, workloads * seeds
        left_out = [*_absent(recipe, store), *(f"{reason} ({len(those)} runs)" for reason, those in impossible.items())]
        studies.append(Study(recipe, store, runs, workloads, left_out))
    if not any(study.runs for study in studies):
        raise BadConfig("nothing of this can be run: " + "; ".join(w for study in studies for w in study.left_out))
    return studies


def _at_seed(run: PlannedRun, k: int) -> PlannedRun:
    """A run at its k-th further seed."""
    return replace(run, config=replace(run.config, seed=run.config.seed + k), further_seed=True)


def require_all_seeds(folder: Path, studies: Sequence[Study]) -> None:
    """Raise BadRun if a reproduction has runs of further seeds than those of the plan: its report would omit them."""
    planned = {run_folder(folder, run).parents[1] for study in studies for run in study.runs}
    further = sorted((f for f in folder.glob("seed-*") if is_seed_folder(f)), key=lambda f: (len(f.name), f.name))
    unplanned = [f for f in further if f not in planned]
    if unplanned:
        remedy = f"Give --seeds {len(further) + 1}, or another folder."
        raise BadRun(folder, "runs of the seeds of this plan alone", f"also {unplanned[0].name}", remedy)


def _absent(recipe: Recipe, store: WindowSource) -> Iterator[str]:
    """What a recipe names and is not here: systems that are not installed, subjects that the store lacks."""
    yield from (f"{recipe.name}: no system {name} is installed" for name in recipe.absent)
    absent = sorted({*recipe.paper_subjects} - {*(recipe.crossval.subjects or ())})
    if recipe.subjects_from == "paper" and absent:
        yield f"{recipe.name}: of the paper's subjects {', '.join(absent)} are not in {store.path}"


# ---------------------------------------------------------------- the plan


def estimate_studies(
    studies: Sequence[Study], folder: Path | None, jobs: Jobs = 1, progress: ProgressCallback | None = None
) -> dict[tuple[str, str, str], Estimate]:
    """Return what is left to do, by recipe, protocol and kind of run, from a few real training steps on this device.

    progress : called with kinds of runs measured, kinds in all, and what is being measured
    """
    planned = [pair for study in studies for pair in zip(study.runs, study.workloads, strict=True)]
    left = [(run, workload) for run, workload in planned if not is_done(folder, run)]
    measured = Calibration(jobs).throughputs_of(left, progress)
    throughputs = dict(zip([id(run) for run, _ in left], measured, strict=True))
    estimates: dict[tuple[str, str, str], list[Estimate]] = {}
    for study in studies:
        for run, workload in zip(study.runs, study.workloads, strict=True):
            key = (study.recipe.name, run.config.protocol, KINDS[run.role])
            one = estimate_run(run.config, workload, throughputs.get(id(run)), jobs)
            estimates.setdefault(key, []).append(one)
    return {key: total_estimate(each) for key, each in estimates.items()}


def plan_text(
    studies: Sequence[Study],
    estimates: dict[tuple[str, str, str], Estimate],
    stores: Sequence[WindowSource],
    folder: Path | None,
) -> str:
    """Return the plan as it is printed: a table, time and disk space, and what is left out."""
    total = total_estimate(list(estimates.values()))
    lines = [_plan_table(estimates, total), ""]
    lines += [f"store {s.path}: {_size(store_bytes(s))}, {len(s):,} windows, {s.title}" for s in stores]
    if total.done:
        lines.append(f"{total.done} of {total.runs} runs are done already; what follows is for the others")
    lines += [
        f"runs: {_size(total.nbytes)} at most" + (f" in {folder}" if folder else ""),
        f"time: {duration(total.seconds)} at most on this device ({device()}): a few training steps of each kind were "
        "measured, and all epochs are counted, though training stops early where the validation loss no longer falls",
    ]
    if device() == "cpu" and total.seconds > 2 * DAY_S:
        lines.append(
            "On a CPU the full tables take weeks to years: run them on a machine with a GPU, or try --recipe tiny."
        )
    if folder:
        free = shutil.disk_usage(_existing(folder)).free
        if free < total.nbytes:
            lines.append(f"BAD  {folder}: {_size(free)} are free")
    lines += [f"left out: {why}" for study in studies for why in study.left_out]
    return "\n".join(lines)


def _plan_table(estimates: dict[tuple[str, str, str], Estimate], total: Estimate) -> str:
    rows = [("recipe", "protocol", "what", "runs", "trainings", "time at most")]
    for (recipe, protocol, what), e in estimates.items():
        rows.append((recipe, protocol, what, str(e.runs), f"{e.trainings:,}", duration(e.seconds)))
    rows.append(("in all", "", "", str(total.runs), f"{total.trainings:,}", duration(total.seconds)))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join(
        "  ".join(c.ljust(w) if k < 3 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )


def device() -> str:
    """Return the name of the GPU, or "cpu" where there is none."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def duration(total_s: float) -> str:
    """Return a time in seconds as text in the largest unit of which there are at least two: "2.0 h"."""
    for unit_s, name in ((DAY_S, "days"), (3600, "h"), (60, "min")):
        if total_s >= 2 * unit_s:
            return f"{total_s / unit_s:,.0f} {name}" if total_s >= 10 * unit_s else f"{total_s / unit_s:.1f} {name}"
    return f"{total_s:.0f} s"


def _size(nbytes: float) -> str:
    return f"{nbytes / 1e9:,.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:,.1f} MB"


def store_bytes(store: WindowSource) -> int:
    """Return the size of a store's data, in bytes; of a store known by size alone, what it would have."""
    if isinstance(store, DryRunStore):
        return store.nbytes
    return sum(file.stat().st_size for file in (store.path / "data").iterdir())


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())

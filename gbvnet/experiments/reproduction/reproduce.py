"""The paper's tables and figures, each beside the honest protocols: recipes times stores, run and reported.

DIR/runs/<recipe>/<name>/    a run folder each, resumable
DIR/costs.csv                what the networks cost, measured once
DIR/report/                  report.html with the paper's tables and figures, report.md, tables, figures
"""

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ...config import GBVNetConfig, PrepareConfig, to_dict
from ...errors import BadConfig, BadStore, GbvnetError, LeakySplit
from ...evaluation.predictions import FILE as PREDICTIONS
from ...io.atomic import atomic_write, remove_stale_temp_files
from ...parallel.tasks import Jobs
from ...report.report import Report, write_report
from ...report.results import Result, read_results
from ...store.dry_run import Described
from ...store.reader import Store
from ...systems import require_sense
from ..crossval import cross_validate
from .paper import Paper, network_name
from .recipe import (
    Extent,
    PlannedRun,
    Recipe,
    check_store,
    differs_in_windows_only,
    extent,
    load_recipe,
    prepare_command,
    runs_of,
    shipped,
    unfit,
)
from .runtime_estimate import Calibration, run_bytes, seconds

log = logging.getLogger(__name__)

Say = Callable[[str], None]
Bar = Callable[..., AbstractContextManager]
DAY_S = 86_400


@dataclass(frozen=True)
class Study:
    """A recipe on its store. left_out: what of it cannot be run, and why."""

    recipe: Recipe
    store: Store
    runs: list[PlannedRun]
    extents: list[Extent]
    left_out: list[str] = field(default_factory=list)


class Expected(NamedTuple):
    """What is left to do of some runs, at most."""

    runs: int
    trainings: int
    done: int  # runs that are finished already
    seconds: float
    nbytes: int


def reproduce(
    stores: Sequence[Store],
    folder: Path,
    recipes: Sequence[Recipe],
    say: Say,
    bar: Bar,
    jobs: Jobs = 1,
    plan: bool = False,
) -> int:
    """Plan, run what is not done, and report. Returns the exit code: 1 if some trainings failed.

    plan : stop after the plan. Raises BadStore or BadConfig if stores and recipes do not fit each other.
    """
    studies = plan_studies(recipes, stores)
    say(plan_text(studies, expect(studies, folder, bar, jobs), stores, folder))
    if plan:
        return 0
    return report(studies, folder, say, run_all(studies, folder, say, bar, jobs))


def report(studies: Sequence[Study], folder: Path, say: Say, problems: Sequence[str] = ()) -> int:
    """Write the report of what is finished, and say what is wrong with it. Returns the exit code."""
    made = write(studies, folder)
    wrong = list(dict.fromkeys([*problems, *map(str, made.problems)]))
    for problem in wrong:
        say(f"BAD  {problem}")
    say(made.found)
    say("")
    say(str(made.path))
    return 1 if wrong else 0


def run_some(studies: Sequence[Study], folder: Path, names: Sequence[str], say: Say, bar: Bar, jobs: Jobs = 1) -> int:
    """Only these runs, by `name_of`, and no report: a job of a queue. Returns the exit code. Raises BadConfig."""
    known = {name_of(run): run for study in studies for run in study.runs}
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=3) or list(known)[:3]
            raise BadConfig(f"--only {name}: there is no such run; there are {len(known)}, as {', '.join(near)}")
    chosen = [known[name] for name in names]
    problems = run_all([Study(s.recipe, s.store, [r for r in s.runs if r in chosen], []) for s in studies],
                       folder, say, bar, jobs)  # fmt: skip
    for problem in problems:
        say(f"BAD  {problem}")
    return 1 if problems else 0


def name_of(run: PlannedRun) -> str:
    """What `--only` calls a run: its folder under DIR/runs."""
    return f"{run.config.recipe}/{run.name}"


def describe(texts: Sequence[str], recipes: Sequence[Recipe], say: Say, bar: Bar, jobs: Jobs = 1) -> int:
    """The same plan for corpora that are known by size alone, such as deap:22x40x60."""
    stores = [
        Described(text, PrepareConfig(**recipe.prepare))
        for text in texts for recipe in recipes
        if recipe.dataset in ("any", text.split(":")[0])
    ]  # fmt: skip
    unique = {(store.text, store.asked): store for store in stores}
    if not unique:
        raise BadConfig(f"no recipe of {', '.join(r.name for r in recipes)} is for {', '.join(texts)}")
    studies = plan_studies(recipes, list(unique.values()))
    say(plan_text(studies, expect(studies, None, bar, jobs), list(unique.values()), None))
    return 0


# ---------------------------------------------------------------- which recipe, on which store


def recipes_for(names: Sequence[str], datasets: Sequence[str], people: str | None = None) -> list[Recipe]:
    """The recipes asked for, comma lists allowed; else the paper's and the honest one of each corpus.

    people : found or paper, in the place of what they say themselves
    """
    asked = [name for text in names for name in text.split(",") if name]
    unique = list(dict.fromkeys(datasets))
    unknown = [dataset for dataset in unique if f"{dataset}-paper" not in shipped()]
    if unknown and not asked:
        there = ", ".join(shipped())
        raise BadConfig(
            f"there is no recipe for {', '.join(unknown)}: give --recipe tiny, or one of {there}, or a file"
        )
    default = [f"{dataset}-{kind}" for dataset in unique for kind in ("paper", "honest")]
    recipes = [load_recipe(name) for name in dict.fromkeys(asked or default)]
    return [replace(recipe, people=people) for recipe in recipes] if people else recipes  # type: ignore[arg-type]


def assign(recipes: Sequence[Recipe], stores: Sequence[Store]) -> list[tuple[Recipe, Store, list[Store]]]:
    """Each recipe with the store it runs on and those that it takes for ablations of windows and frames.

    Raises BadStore, with the command that makes another, if a recipe has no store that suits it or a store no use.
    """
    found = []
    for recipe in _for_each_corpus(recipes, stores):
        mine = [s for s in stores if recipe.dataset in ("any", s.settings["dataset"])]
        if not mine:
            given = ", ".join(sorted({s.settings["dataset"] for s in stores}))
            raise BadConfig(
                f"recipe {recipe.name} is for {recipe.dataset}, and the stores given are of {given}; make one with: "
                f"{prepare_command(recipe, recipe.dataset)}"
            )
        if len({s.title for s in mine}) > 1:
            raise BadConfig(f"recipe {recipe.name}: give stores of one corpus at a time, not of {len(mine)}")
        fit = [s for s in mine if not list(unfit(recipe, s))]
        if not fit:
            check_store(recipe, mine[0])
        others = [s for s in mine if recipe.ablations and differs_in_windows_only(fit[0], s)]
        found.append((recipe, fit[0], others))
    used = [s.path for _, store, others in found for s in (store, *others)]
    for store in stores:
        if store.path not in used:
            _refuse_useless(store, recipes)
    return found


def _for_each_corpus(recipes: Sequence[Recipe], stores: Sequence[Store]) -> Iterator[Recipe]:
    """A recipe for any corpus, given stores of several, becomes one for each, with runs of its own."""
    datasets = list(dict.fromkeys(store.settings["dataset"] for store in stores))
    for recipe in recipes:
        if recipe.dataset != "any" or len(datasets) == 1:
            yield recipe
            continue
        for dataset in datasets:
            yield replace(recipe, name=f"{recipe.name}-{dataset}", dataset=dataset)


def _refuse_useless(store: Store, recipes: Sequence[Recipe]) -> None:
    for recipe in recipes:
        if recipe.dataset in ("any", store.settings["dataset"]):
            check_store(recipe, store)
    raise BadStore(
        store.path, "a store that one of the recipes has a use for",
        "one that is as another that was given, and no ablation of windows or frames", "Leave it out.",
    )  # fmt: skip


def plan_studies(recipes: Sequence[Recipe], stores: Sequence[Store]) -> list[Study]:
    """Multiply out all recipes. A run that its store cannot have (too few people, say) is left out, and said."""
    studies: list[Study] = []
    known: dict[Any, Extent] = {}
    for given, store, others in assign(recipes, stores):
        recipe = given.among(store)
        runs, extents = [], []
        cannot: dict[str, list[PlannedRun]] = {}
        for run in runs_of(recipe, store, others):
            try:
                require_sense(run.config, run.store)
                extents.append(extent(run, known))
            except (BadConfig, LeakySplit) as why:
                cannot.setdefault(f"{recipe.name}, protocol {run.config.protocol}: {why}", []).append(run)
            else:
                runs.append(run)
        left_out = [f"{recipe.name}: no system {name} is installed" for name in recipe.absent]
        if recipe.people == "paper" and len(recipe.crossval.subjects or ()) < len(recipe.paper_people):
            gone = sorted({*recipe.paper_people} - {*(recipe.crossval.subjects or ())})
            left_out.append(f"{recipe.name}: of the paper's people {', '.join(gone)} are not in {store.path}")
        left_out += [f"{why} ({len(of_why)} runs)" for why, of_why in cannot.items()]
        studies.append(Study(recipe, store, runs, extents, left_out))
    if not any(study.runs for study in studies):
        raise BadConfig("nothing of this can be run: " + "; ".join(w for study in studies for w in study.left_out))
    return studies


# ---------------------------------------------------------------- the plan


def expect(studies: Sequence[Study], folder: Path | None, bar: Bar, jobs: Jobs) -> dict[tuple[str, str, str], Expected]:
    """What is left to do, by recipe, protocol and kind of run, from a few real training steps on this device."""
    calibration = Calibration(jobs)
    found: dict[tuple[str, str, str], list[Expected]] = {}
    left = [p for study in studies for p in zip(study.runs, study.extents, strict=True) if not _is_done(folder, p[0])]
    with bar("measuring", unit="kinds") as progress:
        paces = dict(zip([id(run) for run, _ in left], calibration.paces_of(left, progress), strict=True))
    for study in studies:
        for run, work in zip(study.runs, study.extents, strict=True):
            key = (study.recipe.name, run.config.protocol, KINDS[run.role])
            pace = paces.get(id(run))
            one = Expected(
                1, work.trainings, int(pace is None),
                seconds(run.config, work, pace, jobs) if pace else 0.0, run_bytes(work, pace) if pace else 0,
            )  # fmt: skip
            found.setdefault(key, []).append(one)
    return {key: _sum(each) for key, each in found.items()}


def _sum(each: Sequence[Expected]) -> Expected:
    return Expected(
        runs=sum(e.runs for e in each),
        trainings=sum(e.trainings for e in each),
        done=sum(e.done for e in each),
        seconds=sum(e.seconds for e in each),
        nbytes=sum(e.nbytes for e in each),
    )


KINDS = {"whole": "GBV-Net, by modality", "modality": "GBV-Net, by modality", "system": "other systems"} | {
    "ablation": "ablations"
}


def _is_done(folder: Path | None, run: PlannedRun) -> bool:
    return folder is not None and (run_folder(folder, run) / PREDICTIONS).exists()


def run_folder(folder: Path, run: PlannedRun) -> Path:
    return folder / "runs" / name_of(run)


def plan_text(
    studies: Sequence[Study],
    expected: dict[tuple[str, str, str], Expected],
    stores: Sequence[Store],
    folder: Path | None,
) -> str:
    """The plan as it is printed: a table, what it takes, and what is left out."""
    total = _sum(list(expected.values()))
    lines = [_plan_table(expected, total), ""]
    lines += [f"store {s.path}: {_size(store_bytes(s))}, {len(s):,} windows, {s.title}" for s in stores]
    if total.done:
        lines.append(f"{total.done} of {total.runs} runs are done already; what follows is for the others")
    lines += [
        f"runs: {_size(total.nbytes)} at most" + (f" in {folder}" if folder else ""),
        f"time: {duration(total.seconds)} at most on this device ({device()}): a few training steps of each kind were "
        "measured, and all epochs are counted, though training stops early where validation no longer gains",
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


def _plan_table(expected: dict[tuple[str, str, str], Expected], total: Expected) -> str:
    rows = [("recipe", "protocol", "what", "runs", "trainings", "time at most")]
    for (recipe, protocol, what), e in expected.items():
        rows.append((recipe, protocol, what, str(e.runs), f"{e.trainings:,}", duration(e.seconds)))
    rows.append(("in all", "", "", str(total.runs), f"{total.trainings:,}", duration(total.seconds)))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join(
        "  ".join(c.ljust(w) if k < 3 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )


def device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def duration(total_s: float) -> str:
    """Seconds in the unit that a person would use."""
    for unit_s, name in ((DAY_S, "days"), (3600, "h"), (60, "min")):
        if total_s >= 2 * unit_s:
            return f"{total_s / unit_s:,.0f} {name}" if total_s >= 10 * unit_s else f"{total_s / unit_s:.1f} {name}"
    return f"{total_s:.0f} s"


def _size(nbytes: float) -> str:
    return f"{nbytes / 1e9:,.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:,.1f} MB"


def store_bytes(store: Store) -> int:
    if isinstance(store, Described):
        return store.nbytes
    return sum(file.stat().st_size for file in (store.path / "data").iterdir())


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())


# ---------------------------------------------------------------- running


def run_all(studies: Sequence[Study], folder: Path, say: Say, bar: Bar, jobs: Jobs) -> list[str]:
    """Cross-validate whatever is not done. One that fails does not stop the others; what failed is returned."""
    todo = [run for study in studies for run in study.runs if not _is_done(folder, run)]
    problems = []
    for number, run in enumerate(todo, 1):
        path = run_folder(folder, run)
        say(f"[{number} of {len(todo)}]  {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with bar("trainings", unit="epochs") as progress:
                cross_validate(run.store, path, run.config, jobs, progress)
        except GbvnetError as problem:
            log.error("%s", problem)
            problems.append(str(problem))
    return problems


# ---------------------------------------------------------------- reporting


def write(studies: Sequence[Study], folder: Path) -> Report:
    """The report of what is finished. Raises BadRun if nothing is."""
    remove_stale_temp_files(folder)
    planned = [run for study in studies for run in study.runs]
    runs = {run_folder(folder, run).resolve(): run for run in planned}
    paper = Paper(
        recipes=[study.recipe for study in studies],
        runs=runs,
        stores=[study.store for study in studies],
        ablations=_ablations(runs),
        costs=_costs(studies, folder),
        diagrams={study.store.title: _diagram(study) for study in reversed(studies) if _whole(study)},  # the first's
        left_out=[why for study in studies for why in study.left_out],
    )
    shown = [path for path, run in runs.items() if run.role != "ablation"]
    return write_report(shown, folder / "report", lambda results, part: paper.blocks(results, part), brief=True)


def _ablations(runs: dict[Path, PlannedRun]) -> list[Result]:
    paths = [path for path, run in runs.items() if run.role == "ablation" and (path / PREDICTIONS).exists()]
    return read_results(paths)[0] if paths else []


def _whole(study: Study) -> PlannedRun | None:
    return next((run for run in study.runs if run.role == "whole"), None)


def network_config(run: PlannedRun) -> GBVNetConfig:
    """The network that a run of GBV-Net trains."""
    from ...store.channels import channels_of

    s = run.store.settings
    return GBVNetConfig(
        **to_dict(run.config.model),
        modality=run.config.modality,
        n_channels=max(1, len(channels_of(run.store, run.config.modality))),
        n_samples=s["samples_per_window"],
        n_frames=max(1, s["frames_per_window"]),
        n_outputs=2 if run.config.joint else 1,
    )


def _diagram(study: Study) -> Any:
    from .network_diagram import diagram

    run = _whole(study)
    assert run is not None
    return diagram(network_config(run), run.store.settings["face_side"] or 64)


def _costs(studies: Sequence[Study], folder: Path) -> pd.DataFrame | None:
    """What each network costs on this device, measured once and kept in costs.csv."""
    from ...network.complexity import cost_table

    wanted: dict[str, tuple[GBVNetConfig, int]] = {}
    for run in _one_of_each(studies):
        wanted.setdefault(network_name(run), (network_config(run), run.store.settings["face_side"] or 64))
    if not wanted:
        return None
    kept, file = None, folder / "costs.csv"
    if file.exists():
        kept = pd.read_csv(file, index_col=0)
    missing = {name: it for name, it in wanted.items() if kept is None or _key(*it) not in set(kept["made_for"])}
    for name, (config, side) in missing.items():
        log.info("measuring what %s costs", name)
        row = cost_table({name: config}, side).assign(made_for=_key(config, side))
        kept = row if kept is None else pd.concat([kept, row])
        atomic_write(file, kept.to_csv().encode())
    assert kept is not None
    rows = {name: kept[kept["made_for"] == _key(*it)].iloc[-1] for name, it in wanted.items()}
    return pd.DataFrame(rows).T.drop(columns="made_for").infer_objects()


def _one_of_each(studies: Sequence[Study]) -> Iterator[PlannedRun]:
    for study in studies:
        yield from (run for run in study.runs if run.config.system == "gbvnet")


def _key(config: GBVNetConfig, side: int) -> str:
    """What decides the cost of a network."""
    shape = {name: value for name, value in to_dict(config).items() if "dropout" not in name}
    return f"{device()}; {side} px; " + ", ".join(f"{name} {value}" for name, value in shape.items())

"""The command reproduce, and its jobs for a SLURM queue."""

from pathlib import Path

from ..errors import BadConfig
from .command import Run, command
from .options import add_jobs, add_seeds, names_in_text
from .progress import bar, say


@command(
    "reproduce",
    "the paper's tables and figures, each beside the honest protocols",
    """
    gbvnet reproduce deap.store repro --plan                    # trainings, hours and bytes on this device
    gbvnet reproduce deap.store repro --recipe tiny             # a small version of everything
    gbvnet reproduce deap.store mahnob.store repro              # NAME-paper and NAME-honest of each corpus
    gbvnet reproduce --plan --describe deap:22x40x60            # without a store: subjects x trials x seconds
    gbvnet reproduce deap.store repro --slurm jobs              # scripts for a SLURM queue; then: bash jobs/submit.sh
    """,
)
def _reproduce(parser) -> Run:
    parser.add_argument(
        "paths", type=Path, nargs="*", metavar="STORE ... DIR", help="stores, then the folder for runs and report"
    )
    parser.add_argument(
        "--recipe",
        action="append",
        default=[],
        metavar="NAME",
        help="a recipe or a YAML file; or several: a,b",
    )
    parser.add_argument(
        "--subjects_from", choices=["store", "paper"], help="all subjects of the store, or only those of the paper"
    )
    parser.add_argument("--plan", action="store_true", help="stop after the plan")
    parser.add_argument(
        "--describe",
        action="append",
        default=[],
        metavar="SIZE",
        help="plan for a corpus of this size, as deap:22x40x60",
    )
    parser.add_argument("--only", default="", metavar="RUN", help="only these runs, as RECIPE/NAME, without a report")
    parser.add_argument("--report", action="store_true", help="write only the report, from the finished runs")
    parser.add_argument(
        "--slurm",
        type=Path,
        default=None,
        metavar="FOLDER",
        help="write scripts that do all of this as jobs of a SLURM queue",
    )
    add_seeds(parser)
    add_jobs(parser, default=1, cluster=True)
    return _run


def _run(args) -> int:
    from ..experiments.reproduction.plan import described_stores, plan_studies, recipes_for, require_all_seeds
    from ..experiments.reproduction.reproduce import reproduce, run_all, select_runs, write_paper_report
    from ..experiments.seed_group import seeds_from
    from ..store.reader import open_store

    seeds_from(0, args.seeds)  # or a BadConfig
    if args.describe:
        if args.paths or not args.plan:
            raise BadConfig("reproduce: --describe goes with --plan, and without stores")
        recipes = recipes_for(args.recipe, [text.split(":")[0] for text in args.describe], args.subjects_from)
        described = described_stores(args.describe, recipes)
        _say_plan(plan_studies(recipes, described, args.seeds), described, None, args.jobs)
        return 0
    if len(args.paths) < 2:
        raise BadConfig("reproduce: give at least one store, and then the folder for runs and report")
    *paths, folder = args.paths
    if (folder / "store.json").exists():
        raise BadConfig(f"reproduce: {folder} is a store; give the folder for runs and report after it")
    stores = [open_store(path) for path in paths]
    recipes = recipes_for(args.recipe, [store.settings["dataset"] for store in stores], args.subjects_from)
    studies = plan_studies(recipes, stores, args.seeds)
    require_all_seeds(folder, studies)
    if args.plan or not (args.only or args.report or args.slurm):
        _say_plan(studies, stores, folder, args.jobs)
        if args.plan:
            return 0
        with bar("trainings", unit="epochs") as progress:
            return _say_report(reproduce(studies, folder, args.jobs, progress))
    if args.only:
        runs = select_runs(studies, names_in_text(args.only))
        with bar("trainings", unit="epochs") as progress:
            return _say_errors(run_all(runs, folder, args.jobs, progress))
    return _say_report(write_paper_report(studies, folder)) if args.report else _write_slurm(args, studies)


def _say_plan(studies, stores, folder: Path | None, jobs) -> None:
    from ..experiments.reproduction.plan import estimate_studies, plan_text

    with bar("measuring", unit="kinds") as progress:
        estimates = estimate_studies(studies, folder, jobs, progress)
    say(plan_text(studies, estimates, stores, folder))


def _say_report(report) -> int:
    code = _say_errors(report.errors)
    say(report.summary)
    say("")
    say(str(report.path))
    return code


def _say_errors(errors) -> int:
    """Print each once; returns the exit code."""
    for error in dict.fromkeys(map(str, errors)):
        say(f"BAD  {error}")
    return 1 if errors else 0


def _write_slurm(args, studies) -> int:
    from ..experiments.reproduction.plan import run_name
    from ..experiments.reproduction.slurm import write_scripts

    if args.ray:
        raise BadConfig("reproduce: either --slurm, where each run is a job of its own, or --ray")
    runs = [run_name(run) for study in studies for run in study.runs]
    arguments = [str(path.resolve()) for path in args.paths]
    recipes = [name for text in args.recipe for name in text.split(",") if name]
    arguments += [word for name in recipes for word in ("--recipe", _recipe_for_others(name))]
    arguments += ["--subjects_from", args.subjects_from] if args.subjects_from else []
    arguments += ["--seeds", str(args.seeds)] if args.seeds > 1 else []
    first = write_scripts(args.slurm, runs, arguments, args.jobs)
    say(f"{len(runs)} runs as jobs of an array; check {first.parent / 'array.sh'}, then run: bash {first}")
    return 0


def _recipe_for_others(name: str) -> str:
    """Return the absolute path of a user's recipe file, and a recipe's name as it is."""
    return str(Path(name).resolve()) if name.endswith((".yaml", ".yml")) else name

"""Several seeds of one experiment: seed, seed + 1, ... Each is an ordinary run, resumable, in a folder of its own.

A seed sets the splits, the initial weights, the order of windows and the augmentation; with fixed folds the splits
stay. Where the runs are is written in report/seed_folders.py, how they are averaged in evaluation/seed_means.py. The
number of seeds is no setting of a run, and may grow from one call to the next: finished seeds stay as they are.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config import CrossvalConfig, require, to_dict
from ..errors import BadRun, GbvnetError
from ..parallel.tasks import Jobs
from ..parallel.worker_pool import kept_workers
from ..progress import ProgressCallback
from ..report.seed_folders import FILE, FORMAT, folder_of_seed, is_seed_folder, is_seed_group, runs_of_seeds
from ..store.window_source import WindowSource
from ..systems import validate_config
from .crossval import cross_validate
from .run_folder import RESOURCES, write_json
from .run_group import begin_run_group, numbered_progress

log = logging.getLogger(__name__)

KIND = "a group of seeds"  # what messages call it


@dataclass(frozen=True)
class SeedRuns:
    """The run folders of the seeds that are finished, and the errors of those that failed, by seed."""

    runs: dict[int, Path]
    errors: dict[int, GbvnetError]


@kept_workers()
def cross_validate_seeds(
    store: WindowSource,
    folder: str | Path,
    config: CrossvalConfig,
    seeds: int = 1,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
) -> SeedRuns:
    """Cross-validate at several seeds, from `config.seed` on; with one seed `folder` is an ordinary run folder.

    With more, `folder` holds a run folder seed-<k> for each. One seed that fails does not stop the others. See
    `cross_validate` for jobs and progress.

    Raises BadConfig if settings and store do not fit, BadRun if the folder holds a run of one seed, more seeds than
    these, or runs of other settings, and the first seed's error if every seed failed.
    """
    folder = Path(folder)
    chosen = seeds_from(config.seed, seeds)
    config = validate_config(config, store)
    if seeds == 1 and not is_seed_group(folder):
        cross_validate(store, folder, config, jobs, progress)
        return SeedRuns({config.seed: folder}, {})
    _begin_group(folder, store, config, seeds)
    runs, errors = {}, {}
    for number, seed in enumerate(chosen, 1):
        run = folder_of_seed(folder, seed)
        log.info("seed %d, %d of %d: %s", seed, number, seeds, run)
        try:
            cross_validate(store, run, replace(config, seed=seed), jobs, numbered_progress(progress, number, seeds))
            runs[seed] = run
        except GbvnetError as error:
            log.error("seed %d: %s", seed, error)
            errors[seed] = error
    if not runs:
        raise next(iter(errors.values()))
    return SeedRuns(runs, errors)


def seeds_from(first: int, n: int) -> range:
    """Return n seeds from the first on. Raises BadConfig for less than one."""
    require(n >= 1, f"seeds must be at least 1, not {n}")
    return range(first, first + n)


def _begin_group(folder: Path, store: WindowSource, config: CrossvalConfig, seeds: int) -> None:
    """Write seeds.json, or check that it is of the same settings and of no more seeds. Raises BadRun."""
    if (folder / "config.yaml").exists():
        remedy = "Give another folder; or make one, move this run into it as seed-<its seed>, and give that."
        raise BadRun(folder, f"an empty folder or {KIND}", "a run of one seed", remedy)
    if is_seed_group(folder):
        runs_of_seeds(folder)  # or a BadRun that says what to do
    settings = to_dict(config)
    settings["train"] = {name: value for name, value in settings["train"].items() if name not in RESOURCES}
    record = begin_run_group(folder / FILE, KIND, store, settings, FORMAT, is_seed_folder)
    record_seeds(folder / FILE, record, seeds, KIND)


def record_seeds(file: Path, record: dict[str, Any], seeds: int, kind: str) -> dict[str, Any]:
    """Return the record of a group of runs with its number of seeds, which is written to `file` if it has grown.

    record : as `begin_run_group` returns it; one without a number is of one seed
    kind : what messages call the group ("an audit")

    Raises BadRun if it has more seeds: a report of less would leave results out without a word.
    """
    earlier = record.get("seeds", 1)
    if not isinstance(earlier, int) or isinstance(earlier, bool) or earlier < 1:
        raise BadRun(file, "a number of seeds", repr(earlier)[:60], "Delete the folder.")
    if earlier > seeds:
        remedy = f"Give --seeds {earlier} or more, or another folder."
        raise BadRun(file.parent, f"{kind} with at most {seeds} seed{'s' * (seeds > 1)}", f"one with {earlier}", remedy)
    if earlier < seeds:
        record = record | {"seeds": seeds}
        write_json(file, record)
    return record

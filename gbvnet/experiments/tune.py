"""A cross-validation whose settings are searched for in each fold, by the fold's training side alone.

Each training of the run has a search of its own (fold_search.py). First all searches are done, then each fold is
trained with the settings chosen for it, as in any cross-validation: before that no test side is read.

RUN/tuning/foldNN/<target>/    candidates.jsonl, chosen.json
and all that a cross-validation writes (crossval.py); config.yaml has the search under `tuning`
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import CrossvalConfig, TuneConfig, is_transductive, require
from ..errors import GbvnetError, failed_parts
from ..evaluation import predictions
from ..evaluation.chosen_settings import FILE, FOLDER, ChosenSettings, read_chosen
from ..evaluation.plan import make_plan
from ..parallel.tasks import Jobs, run, threads_per_task, threads_restored
from ..parallel.worker_pool import kept_workers
from ..progress import ProgressCallback
from ..provenance import TRANSDUCTIVE
from ..store.window_source import WindowSource
from ..systems import validate_config
from .candidates import count_candidates, require_optuna
from .crossval import LOCK, TaskSettings, finish, sendable, tasks_of, train_all
from .fold_search import FoldSearch, SearchFold, make_search
from .run_folder import begin_run, config_digest, lock_run, log_prefix
from .run_group import call_periodically
from .search_space import make_space, read_space, with_values

log = logging.getLogger(__name__)


@kept_workers()
def tune(
    store: WindowSource,
    run_dir: str | Path,
    config: TuneConfig,
    space: Mapping[str, Any] | Path,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
) -> Path:
    """Search for settings in each fold, train and test each fold with those chosen, and write a run folder.

    An interrupted run continues at the candidate that it had reached, and ends as if it had not been interrupted.

    space : the values of each setting, as search_space.py describes them, or a YAML file with them
    jobs : searches, and then trainings, at once; what is chosen does not depend on it
    progress : called with trainings done, trainings in all, and what is being done

    Returns the path of predictions.parquet. Raises BadConfig, BadInput or LeakySplit if settings, space and store do
    not fit, BadRun if the folder holds another run, and PartFailed, after all others, if all candidates of a search or
    the training of a fold failed, GbvnetError if none succeeded.
    """
    require_optuna()
    base = validate_config(config.crossval(), store)
    require(base.train.devices == 1, "train.devices is for `gbvnet train`; here --jobs trains several folds at once")
    made = read_space(space, base) if isinstance(space, Path) else make_space(space, base)
    base = sendable(base)
    plan, run_dir, threads = make_plan(store, base), Path(run_dir), threads_per_task(jobs)
    settings = {"space": made.plain, "trials": config.trials, "tuning_folds": config.tuning_folds}
    if TRANSDUCTIVE not in plan.warnings and is_transductive(base.modality, {FOLDER: settings}):
        plan = replace(plan, warnings=(*plan.warnings, f"in folds that choose train.normalise subject {TRANSDUCTIVE}"))
    searches = [make_search(plan, task, config) for task in tasks_of(plan, base)]
    with lock_run(run_dir):
        begin_run(run_dir, store, base, plan, threads, settings)
        if not (run_dir / predictions.FILE).exists():
            search_fold = SearchFold(store, base, made, config.trials, run_dir, jobs, threads)
            last = len(searches)  # trainings after the searches
            total = last * (1 + search_fold.total * config.tuning_folds)
            chosen = _search_all(search_fold, searches, jobs, _part_of(progress, 0, total - last, total))
            own = TaskSettings(chosen, tuned_digest(base, settings))
            train_all(run_dir, store, base, plan, jobs, _part_of(progress, total - last, total, total), own)
            finish(run_dir)
    return run_dir / predictions.FILE


def tuned_digest(config: CrossvalConfig, settings: Mapping[str, Any]) -> str:
    """Return twelve characters that identify the settings of a run and those of its search."""
    text = json.dumps([config_digest(config), settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _search_all(
    search_fold: SearchFold, searches: list[FoldSearch], jobs: Jobs, progress: ProgressCallback | None
) -> dict[str, CrossvalConfig]:
    """Run the searches that are not finished. Returns the settings of each training, by its folder."""
    run_dir, prefix = search_fold.run_dir, log_prefix(search_fold.config)
    chosen = {each.folder: c for each in searches if (c := read_chosen(run_dir / each.folder)) is not None}
    if chosen:
        log.info("%s%d of %d searches were finished already", prefix, len(chosen), len(searches))
    left, failed = [each for each in searches if each.folder not in chosen], {}
    # A search in this process takes only its share of the threads.
    with threads_restored(), _progress_reported(search_fold, searches, progress):
        for each, outcome in run(search_fold, left, jobs, uses_gpu=True):
            if isinstance(outcome, GbvnetError):
                failed[str(each)] = outcome
                log.error("%s%s: %s", prefix, each, outcome)
            else:
                chosen[each.folder] = outcome
                level = logging.WARNING if outcome.note else logging.INFO
                log.log(level, "%s%s: %s", prefix, each, _in_words(outcome))
    if failed:
        raise failed_parts(run_dir, "searches", failed, len(searches))
    for folder in chosen:
        (run_dir / folder / LOCK).unlink(missing_ok=True)
    return {
        folder.removeprefix(f"{FOLDER}/"): with_values(search_fold.config, one.values) for folder, one in chosen.items()
    }


def _in_words(chosen: ChosenSettings) -> str:
    if chosen.score is None:
        return f"{chosen.note}; no setting is changed"
    values = ", ".join(f"{name} {value}" for name, value in chosen.values.items())
    score = f"{chosen.score_name.replace('_', ' ')} {chosen.score:.3f}"
    return f"candidate {chosen.number} of {chosen.candidates}, {score} over the tuning folds: {values}"


def _progress_reported(search_fold: SearchFold, searches: list[FoldSearch], progress: ProgressCallback | None) -> Any:
    """Return a context that reports progress while searches run, here or in other processes: each writes a line a
    candidate into its folder."""
    if progress is None:
        return nullcontext()

    def report() -> None:
        done, doing = 0, ""
        for each in searches:
            folder = search_fold.run_dir / each.folder
            tried = search_fold.total if (folder / FILE).exists() else count_candidates(folder)
            doing = f"search for {each}" if 0 < tried < search_fold.total else doing
            done += tried
        progress(done, len(searches) * search_fold.total, log_prefix(search_fold.config) + doing)

    return call_periodically(report)


def _part_of(progress: ProgressCallback | None, begin: int, end: int, total: int) -> ProgressCallback | None:
    """Return a callback for the part of the work from `begin` to `end` of `total`, in whatever unit it counts."""
    if progress is None:
        return None

    def progress_of_part(done: int, of: int, doing: str = "") -> None:
        progress(begin + (end - begin) * done // max(1, of), total, doing)

    return progress_of_part

"""The search for settings within the training side of one fold.

The training and validation rows of a fold are split once more, into tuning folds, by the same protocol. A candidate
is trained in each of them as in a cross-validation, and its score is the mean over the tuning folds.

RUN/tuning/foldNN/<target>/    candidates.jsonl; chosen.json, written last
"""

import logging
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from filelock import FileLock
from typing_extensions import override

from ..config import CrossvalConfig, SplitConfig, TuneConfig
from ..errors import BadConfig, BadRun, BadStore, GbvnetError, LeakySplit, os_error_message
from ..evaluation import splits
from ..evaluation.chosen_settings import FOLDER, ChosenSettings, write_chosen
from ..evaluation.plan import Plan
from ..evaluation.splits import Fold
from ..evaluation.tuning_score import TUNING_SCORE, has_score, tuning_score
from ..parallel.tasks import Jobs, limit_threads
from ..store.row_view import RowView
from ..store.window_source import WindowSource
from .candidates import Candidate, Proposals, choose, read_candidates, repeat_of, write_candidates
from .crossval import LOCK, Task, TrainAndTest
from .run_folder import log_prefix
from .search_space import SearchSpace, with_values
from .training_seed import training_seed

log = logging.getLogger(__name__)

WORK = "work"  # of the training in progress; removed after each
NOT_COMPARABLE = "the labels of the training side are too few, or all alike, to compare candidates"


@dataclass(frozen=True)
class FoldSearch:
    """The search for one training of the run.

    fold, name, targets, folder : number of the fold; name, targets and folder of the training
    plan : windows and labels of the training side alone, and the tuning folds: nothing of the test side is in it
    """

    fold: int
    name: str
    targets: tuple[str, ...]
    folder: str
    plan: Plan

    @property
    def rows(self) -> np.ndarray:
        """The rows that it may read, sorted."""
        return self.plan.windows.index.to_numpy()

    def is_comparable(self, fold: Fold) -> bool:
        """Return whether candidates have a score in a tuning fold, and not all the same one."""
        return any(has_score(y.loc[fold.train], y.loc[fold.test]) for y in self.plan.labels.values())

    @override
    def __str__(self) -> str:
        return self.name


def make_search(plan: Plan, task: Task, config: TuneConfig) -> FoldSearch:
    """Return the search for a training, with its tuning folds.

    Raises LeakySplit or BadConfig if the training side has too few groups for them.
    """
    windows = plan.windows.loc[training_side(plan, task.fold, config.protocol)]
    held, number = plan.labels_of(task.fold), task.fold.number
    labels = {name: held.labels[name].loc[windows.index] for name in task.targets}
    split = SplitConfig(
        protocol=config.protocol, folds=config.tuning_folds, stratify=config.stratify, validation=config.validation,
        seed=training_seed(config.seed, f"tuning folds of fold {number}"),
    )  # fmt: skip
    classes = np.zeros(len(windows), int)  # of all targets together
    for name in task.targets if config.stratify else ():
        classes = classes * len(plan.targets[name].classes) + labels[name].to_numpy(int)
    try:
        folds = splits.make_folds(windows, split, classes)
    except (LeakySplit, BadConfig) as error:
        raise type(error)(f"the tuning folds within the training side of fold {number}: {error}") from None
    folds = [replace(fold, name=f"tuning for fold {number}") for fold in folds]
    for fold in folds:
        splits.check_fold(windows, fold, config.protocol)
    rating = {name: held.rating[name].loc[windows.index] for name in task.targets}
    targets = {name: plan.targets[name] for name in task.targets}
    own = replace(plan, windows=windows, targets=targets, rating=rating, labels=labels, folds=folds, by_lag={}, lags={})
    return FoldSearch(number, str(task), task.targets, f"{FOLDER}/{task.folder}", own)


def training_side(plan: Plan, fold: Fold, protocol: str) -> np.ndarray:
    """Return the rows of a plan that a search for the settings of a fold may use, sorted: its training and validation
    rows.

    Under subject+stimulus also those that a fold leaves out since their subject is on one of these two sides and their
    stimulus on the other: they share neither with the test side.
    """
    rows, units = np.concatenate([fold.train, fold.validation]), splits.UNITS[protocol]
    if len(units) == 1:
        return np.sort(rows)
    names = [splits.group_names(plan.windows, unit) for unit in units]
    inside = np.logical_and.reduce([of_unit.isin(of_unit.loc[rows]) for of_unit in names])
    return np.sort(plan.windows.index.to_numpy()[inside])


@dataclass(frozen=True)
class SearchFold:
    """Run the search for one training. Sent to other processes, where the store is opened again.

    n : the number of candidates to try, at most
    """

    store: WindowSource
    config: CrossvalConfig
    space: SearchSpace
    n: int
    run_dir: Path
    jobs: Jobs
    threads: int

    @property
    def total(self) -> int:
        """How many candidates there are to try: all of a space that has no more than `n`."""
        return int(min(self.n, self.space.size))

    def __call__(self, search: FoldSearch) -> ChosenSettings:
        """Return what was chosen. Writes chosen.json last: a search that has it is finished."""
        limit_threads(self.threads)
        folder = self.run_dir / search.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / LOCK):  # a task whose node was given up may still run for a while
                chosen = self._search(search, folder)
                write_chosen(folder, chosen)
        except OSError as error:
            remedy = "Finished work is kept; run again."
            raise BadRun(
                error.filename or folder, "a file that can be written", error.strerror or error, remedy
            ) from error
        return chosen

    def _search(self, search: FoldSearch, folder: Path) -> ChosenSettings:
        score_name = TUNING_SCORE[search.plan.targets[search.targets[0]].task]
        if not any(map(search.is_comparable, search.plan.folds)):
            return ChosenSettings(
                search.fold, list(search.targets), {}, score_name, None, [], None, 0, 0, 0, NOT_COMPARABLE
            )
        proposals = Proposals(self.space, self.config.seed, f"search for {search}")
        # The one place where a search gets a store: no row of the test side can be read from it.
        store = RowView(self.store, search.rows)
        tried = read_candidates(folder)
        while len(tried) < self.total:
            values = proposals.next(tried, exhaustive=self.space.size <= self.n)
            candidate = repeat_of(values, tried)
            tried.append(candidate or self._try(store, search, folder / WORK, Candidate(len(tried) + 1, values)))
            write_candidates(folder, tried)
        return _chosen(search, folder, tried, score_name)

    def _try(self, store: WindowSource, search: FoldSearch, work: Path, candidate: Candidate) -> Candidate:
        """Return the candidate with its scores, or with the reason why its training failed."""
        began, error = time.perf_counter(), ""
        scores: list[float | None] = []
        try:
            config = with_values(self.config, candidate.values)
            training = TrainAndTest(store, config, replace(search.plan, folds=[]), work, self.jobs, self.threads)
            scores = [_score(training, search, fold) for fold in search.plan.folds]
        except (BadStore, BadRun):  # a file is damaged, which is not due to the settings
            raise
        except GbvnetError as failure:
            error = str(failure)
        except (MemoryError, RuntimeError) as failure:
            error = os_error_message(failure) or ""
            if not error:
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
        if error:
            log.warning("%s%s, candidate %d: %s", log_prefix(self.config), search, candidate.number, error)
        defined = [score for score in scores if score is not None]
        return msgspec.structs.replace(
            candidate,
            score=None if error else float(np.mean(defined)),
            fold_scores=[] if error else scores,
            error=error,
            seconds=round(time.perf_counter() - began, 3),
        )


def _score(training: TrainAndTest, search: FoldSearch, fold: Fold) -> float | None:
    """The score of a candidate in one tuning fold, the mean over its targets; None where it is not defined."""
    if not search.is_comparable(fold):
        return None
    work = training.run_dir
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    y = pd.DataFrame(search.plan.labels)
    output, _ = training.fit_and_predict(Task(fold, search.targets), y, work)
    predicted = np.asarray(output.predicted, np.float64).reshape(len(fold.test), -1)  # (n, K)
    if not np.isfinite(predicted).all():
        raise GbvnetError("its predictions are not all finite numbers")
    scores = []
    for k, (name, target) in enumerate(search.plan.targets.items()):
        of_target = predicted if target.task == "multiclass" else predicted[:, k]
        scores.append(tuning_score(target, y.loc[fold.test, name].to_numpy(), of_target))
    return float(np.nanmean(scores))


def _chosen(search: FoldSearch, folder: Path, tried: list[Candidate], score_name: str) -> ChosenSettings:
    best = choose(tried)
    if best is None:
        raise GbvnetError(
            f"all {len(tried)} candidates failed, the first one: {tried[0].error} (correct this, or change the space; "
            f"delete {folder} to search again)"
        )
    failed, repeated = sum(one.score is None for one in tried), sum(one.same_as is not None for one in tried)
    return ChosenSettings(
        search.fold, list(search.targets), best.values, score_name, best.score, best.fold_scores, best.number,
        len(tried), failed, repeated,
    )  # fmt: skip

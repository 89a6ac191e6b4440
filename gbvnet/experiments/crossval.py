"""Cross-validation of one system: every window of a store is predicted by a model that was not trained on its group.

RUN/config.yaml, environment.json, splits.json     the settings; software, store and class counts; names by side
RUN/foldNN/<target>/                               history.csv, model/, fit.json, predictions.parquet
RUN/predictions.parquet                            all folds; written last: a run is complete if it is there
"""

import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from typing_extensions import override

from ..config import CrossvalConfig, PruneConfig, require
from ..errors import BadRun, GbvnetError, failed_parts
from ..evaluation import predictions, splits
from ..evaluation.labels import has_one_class, predicted_high
from ..evaluation.plan import Plan, make_plan
from ..evaluation.splits import Fold
from ..evaluation.targets import Target
from ..io.atomic import remove_stale_temp_files
from ..network.training_data import CHECKPOINT
from ..network.training_log import require_logger
from ..parallel.peak_memory import PeakMemory
from ..parallel.tasks import Jobs, limit_threads, run, tasks_per_machine, threads_per_task, threads_restored
from ..plugins import absolute, errors_named, label
from ..progress import ProgressCallback
from ..provenance import PRUNED_SYSTEM, SHUFFLED_SYSTEM
from ..store.joined import training_store
from ..store.row_view import RowView
from ..store.window_source import WindowSource
from ..systems import SystemOutput, is_plugin, plain_options, system, validate_config
from ..systems.gbvnet import PRUNED
from .lag_search import with_lags
from .run_folder import begin_run, config_digest, lock_run, log_prefix, read_environment, write_json
from .run_group import call_periodically
from .training_seed import training_seed

log = logging.getLogger(__name__)

LOCK = "training.lock"  # locked by the process that writes a training's folder


@dataclass(frozen=True)
class Task:
    """One training: a fold, and one target or both at once."""

    fold: Fold
    targets: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Its folder inside the run's."""
        return f"fold{self.fold.number:02d}/{'both' if len(self.targets) > 1 else self.targets[0]}"

    @override
    def __str__(self) -> str:
        name = f" ({self.fold.name})" if self.fold.name else ""
        return f"fold {self.fold.number}{name}, {' and '.join(self.targets)}"


def cross_validate(
    store: WindowSource,
    run_dir: str | Path,
    config: CrossvalConfig,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
) -> Path:
    """Train and test the system on every fold, and write a run folder.

    An interrupted run continues at the fold and the epoch it had reached; a finished one is left as it is.

    jobs : trainings at once, each with its share of the cores; or a Cluster. With the same number of threads for each,
        the predictions do not depend on it.
    progress : called with epochs done, epochs in all (early stopping makes it fewer), and what is being done

    Returns the path of predictions.parquet. Raises BadConfig or LeakySplit if settings and store do not fit, BadRun if
    the folder holds another run or is being written by another process, and, after all other trainings, PartFailed if
    some failed, GbvnetError if all did.
    """
    config = validate_config(config, store)
    return run_plan(store, run_dir, config, make_plan(store, config), jobs, progress)


def run_plan(
    store: WindowSource,
    run_dir: str | Path,
    config: CrossvalConfig,
    plan: Plan,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
) -> Path:
    """Train and test on every fold of a given plan; everything else is as in `cross_validate`."""
    run_dir = Path(run_dir)
    require_logger(config.train)
    require(config.train.devices == 1, "train.devices is for `gbvnet train`; here --jobs trains several folds at once")
    with lock_run(run_dir):
        finished = (run_dir / predictions.FILE).exists()
        plan = plan if finished else with_lags(store, plan, config)
        begin_run(run_dir, store, config, plan, threads_per_task(jobs))
        if not finished:
            train_all(run_dir, store, config, plan, jobs, progress)
            finish(run_dir)
    return run_dir / predictions.FILE


@dataclass(frozen=True)
class TaskSettings:
    """Settings that a search has chosen for each training.

    of_folder : settings by `Task.folder`. digest : of the run with its search, for the predictions table
    """

    of_folder: Mapping[str, CrossvalConfig]
    digest: str


def tasks_of(plan: Plan, config: CrossvalConfig) -> list[Task]:
    """Return the trainings of a plan."""
    targets = tuple(plan.targets)
    return [Task(fold, t) for fold in plan.folds for t in ([targets] if config.joint else [(t,) for t in targets])]


def train_all(
    run_dir: Path,
    store: WindowSource,
    config: CrossvalConfig,
    plan: Plan,
    jobs: Jobs,
    progress: ProgressCallback | None,
    own: TaskSettings | None = None,
) -> None:
    """Run the trainings that are not finished. One that fails does not stop the others.

    own : the settings of each training, where they are not the run's
    Raises PartFailed at the end, naming those that failed, GbvnetError if all did.
    """
    tasks = tasks_of(plan, config)
    left = [task for task in tasks if not (run_dir / task.folder / predictions.FILE).exists()]
    if len(left) < len(tasks):
        log.info("%s%d of %d trainings were finished already", log_prefix(config), len(tasks) - len(left), len(tasks))
    # Each task brings its own fold.
    train_and_test = TrainAndTest(
        store, sendable(config), replace(plan, folds=[]), run_dir, jobs, threads_per_task(jobs)
    )
    of_task = train_and_test if own is None else _TrainWithOwnSettings(train_and_test, own)
    failed = {}
    # A training in this process takes only its share of the threads.
    with threads_restored(), _progress_reported(run_dir, tasks, config, progress):
        for task, outcome in run(of_task, left, jobs, uses_gpu=True):
            if isinstance(outcome, GbvnetError):
                failed[str(task)] = outcome
                log.error("%s%s: %s", log_prefix(config), task, outcome)
            else:
                log.info("%s%s: %s", log_prefix(config), task, outcome)
    if failed:
        raise failed_parts(run_dir, "trainings", failed, len(tasks))


def sendable(config: CrossvalConfig) -> CrossvalConfig:
    """Return the settings as another process can read them: it does not have the class of a plug-in's options yet."""
    return replace(config, system=absolute(config.system), options=plain_options(config.options))


@contextmanager
def _progress_reported(
    run_dir: Path, tasks: list[Task], config: CrossvalConfig, progress: ProgressCallback | None
) -> Iterator[None]:
    """Report progress while trainings run, here or in other processes: each writes a line an epoch into its folder."""
    if progress is None:
        yield
        return

    def report() -> None:
        done, doing = 0, ""
        for task in tasks:
            epochs = (
                config.train.epochs
                if (run_dir / task.folder / predictions.FILE).exists()
                else _epochs(run_dir / task.folder)
            )
            doing = str(task) if 0 < epochs < config.train.epochs else doing
            done += min(epochs, config.train.epochs)  # a search may have chosen more
        progress(done, len(tasks) * config.train.epochs, log_prefix(config) + doing)

    with call_periodically(report):
        yield


def _epochs(folder: Path) -> int:
    try:
        return max(0, (folder / "history.csv").read_text().count("\n") - 1)
    except OSError:
        return 0


@dataclass(frozen=True)
class TrainAndTest:
    """Train and test one task. Sent to other processes, where the store is opened again.

    digest : of the settings, for the predictions table; "" for that of `config`
    """

    store: WindowSource
    config: CrossvalConfig
    plan: Plan
    run_dir: Path
    jobs: Jobs
    threads: int
    digest: str = ""

    def __call__(self, task: Task) -> str:
        """Return a summary for the log. Writes predictions.parquet last: a folder that has it is finished."""
        limit_threads(self.threads)
        splits.check_fold(self.store.windows, task.fold, self.config.protocol)
        folder = self.run_dir / task.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / LOCK):  # a task whose node was given up may still run for a while
                return self._train(task, folder)
        except OSError as error:
            remedy = "Finished work is kept; run again."
            raise BadRun(
                error.filename or folder, "a file that can be written", error.strerror or error, remedy
            ) from error

    def _train(self, task: Task, folder: Path) -> str:
        remove_stale_temp_files(folder)
        y = pd.DataFrame({target: self.plan.labels_of(task.fold).labels[target] for target in task.targets})
        system(self.config.system).import_for_training()
        named = errors_named(self.config.system) if is_plugin(self.config.system) else nullcontext()
        with PeakMemory() as peak, named:
            began = time.perf_counter()
            predicted, about = self.fit_and_predict(task, y, folder)
        about |= {"seconds": _seconds(folder, time.perf_counter() - began), "memory_mb": peak.mb}
        write_json(folder / "fit.json", about)
        table = self._table(task, y, predicted)
        predictions.write(table, folder / predictions.FILE)
        (folder / PRUNED / CHECKPOINT).unlink(missing_ok=True)
        (folder / CHECKPOINT).unlink(missing_ok=True)  # as large as four models, and not needed any more
        return f"{_score(table)} on {len(task.fold.test)} test windows, {about['seconds']:.0f} s"

    def fit_and_predict(self, task: Task, y: pd.DataFrame, folder: Path) -> tuple[SystemOutput, dict[str, Any]]:
        """Train on a fold, and predict its test windows. Returns what is predicted, and what is reported of the
        training.

        y : labels under their row numbers, a column a target. folder : for the model and all that the training keeps
        """
        fold, test = task.fold, task.fold.test
        if all(map(has_one_class, y.loc[fold.train].to_numpy().T)):
            shutil.rmtree(folder / "model", ignore_errors=True)
            priors = [_prior(y[name], fold, self.plan.targets[name]) for name in task.targets]
            return SystemOutput(np.tile(np.concatenate(priors), (len(test), 1))), {"constant": True}
        labels = {side: y.loc[rows].to_numpy() for side, rows in fold.sides.items()}  # (n, K)
        if len(task.targets) == 1:
            labels = {side: each[:, 0] for side, each in labels.items()}
        target = self.plan.targets[task.targets[0]]
        config = replace(
            self.config,
            target=target.name if len(task.targets) == 1 and len(target.columns) == 1 else "both",
            train=replace(self.config.train, memory_gib=self.config.train.memory_gib / tasks_per_machine(self.jobs)),
        )
        rows, y_train, validation = fold.train, labels["train"], (fold.validation, labels["validation"])
        if (
            config.train.select == "test"
        ):  # as older code does: no validation groups, the epoch is chosen on the test windows
            rows, y_train = np.concatenate([rows, fold.validation]), np.concatenate([y_train, labels["validation"]])
            validation = (test, labels["test"])
        made = system(config.system)(config, work=folder, label=f"{log_prefix(config)}{task}: ")
        made.target = target
        given = RowView(
            training_store(self.store),
            np.concatenate([rows, validation[0]]),
            all_signals=config.train.normalise == "subject",
        )
        fitted = made.fit(given, rows, y_train, validation=validation, seed=training_seed(config.seed, str(task)))
        predicted = fitted.predict(self._test_view(test), test)
        fitted.save(folder / "model")
        return predicted, dict(fitted.about)

    def _test_view(self, test: np.ndarray) -> RowView:
        return RowView(self.store, test, labelled=False, all_signals=self.config.train.normalise == "subject")

    def _rating(self, fold: Fold, target: str) -> pd.Series:
        """The rating beside a label; of regression it is the label itself, also where labels are shuffled."""
        held = self.plan.labels_of(fold)
        return (held.labels if self.plan.targets[target].task == "regression" else held.rating)[target]

    def _table(self, task: Task, y: pd.DataFrame, predicted: SystemOutput) -> pd.DataFrame:
        """Return the rows of the predictions table, one target after the other."""
        c, test = self.config, task.fold.test
        names = ["recording", "subject", "trial", "stimulus", "window", "start_s"]
        output = np.asarray(predicted.predicted, np.float64).reshape(len(test), -1)  # (n, K)
        tables = []
        for k, target in enumerate(task.targets):
            table = self.plan.windows.loc[test, names].assign(
                dataset=self.store.title,
                system=system_title(c) + (SHUFFLED_SYSTEM if c.shuffle_labels is not None else ""),
                modality=c.modality,
                target=target,
                protocol=c.protocol,
                scope=c.scope,
                seed=c.seed,
                fold=task.fold.number,
                rating=self._rating(task.fold, target).loc[test],
                y=y.loc[test, target],
                **_predicted_columns(
                    output if len(task.targets) == 1 else output[:, k : k + 1],
                    _prior(y[target], task.fold, self.plan.targets[target]),
                    self.plan.targets[target],
                ),
                gate_face=np.nan if predicted.gate_face is None else predicted.gate_face,
                gate_bio=np.nan if predicted.gate_bio is None else predicted.gate_bio,
                config=self.digest or config_digest(c),
            )
            tables.append(table)
        return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True)
class _TrainWithOwnSettings:
    """Train and test one task with the settings that were chosen for it."""

    train_and_test: TrainAndTest
    own: TaskSettings

    def __call__(self, task: Task) -> str:
        config = self.own.of_folder[task.folder]
        return replace(self.train_and_test, config=config, digest=self.own.digest)(task)


def system_title(config: CrossvalConfig) -> str:
    """Return what tables call the system of a run: its name, and how far its networks were pruned."""
    how, name = config.pruning, label(config.system)
    if how.keep == 1:
        return name
    return (
        f"{name}{PRUNED_SYSTEM}{how.keep:g}"
        + f" by {how.by}" * (how.by != PruneConfig.by)
        + " with stages" * how.stages
    )


def _score(table: pd.DataFrame) -> str:
    """The score of a training for the log, from its rows of the predictions table."""
    if "y_hat" in table:
        return f"mean absolute error {(table['y_hat'] - table['y']).abs().mean():.2f}"
    if "p" in table:
        return f"accuracy {(predicted_high(table['p']) == table['y']).mean():.1%}"
    p = table.filter(regex=r"^p_\d+$").to_numpy()
    return f"accuracy {(p.argmax(axis=1) == table['y']).mean():.1%}"


def _predicted_columns(output: np.ndarray, prior: np.ndarray, target: Target) -> dict[str, Any]:
    """The columns of the predictions table that depend on the task, from outputs (n, 1) or (n, K) and `_prior`."""
    if target.task == "multiclass":
        return {f"{name}_{k}": column for name, columns in (("p", output.T), ("prior", prior))
                for k, column in enumerate(columns)}  # fmt: skip
    return {"y_hat" if target.task == "regression" else "p": output[:, 0], "prior": prior[0]}


def _prior(y: pd.Series, fold: Fold, target: Target) -> np.ndarray:
    """Of the training and validation rows of a fold: the share of high, or the mean rating, (1,); the share of each
    class, (K,)."""
    training = y.loc[np.concatenate([fold.train, fold.validation])]
    if target.task == "multiclass":
        return np.bincount(training, minlength=len(target.classes)) / len(training)
    return np.array([training.mean()], np.float64)


def _seconds(folder: Path, elapsed_s: float) -> float:
    """Return how long a training took, with the epochs before it was interrupted."""
    history = folder / "history.csv"
    return max(elapsed_s, float(pd.read_csv(history)["seconds"].sum()) if history.exists() else 0.0)


def finish(run_dir: Path) -> None:
    """Concatenate the folds' predictions, and complete environment.json with what the trainings report."""
    files = sorted(run_dir.glob(f"fold*/*/{predictions.FILE}"))
    abouts = [json.loads((file.parent / "fit.json").read_text()) for file in files]
    environment = read_environment(run_dir)
    for name in ("n_parameters", "device"):
        environment[name] = next((a[name] for a in abouts if a.get(name) is not None), None)
    environment["seconds"] = sum(a["seconds"] for a in abouts)
    write_json(run_dir / "environment.json", environment)
    for file in files:
        for name in (
            CHECKPOINT,
            f"{PRUNED}/{CHECKPOINT}",
            LOCK,
        ):  # a process that was killed at its very end leaves a last.ckpt
            (file.parent / name).unlink(missing_ok=True)
    remove_stale_temp_files(run_dir)
    predictions.write(predictions.concatenate([predictions.read(file) for file in files]), run_dir / predictions.FILE)

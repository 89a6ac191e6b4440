"""How long cross-validations will take on this machine: a few real training steps of each, times the workload.

A calibration trains the same system on the same store. Early stopping is ignored: an estimate is for all epochs, and
so an upper limit.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...config import CrossvalConfig, ModelConfig, TrainConfig, uses_face, uses_signals
from ...errors import GbvnetError
from ...evaluation.plan import choose_windows, make_plan
from ...evaluation.targets import target_names
from ...network.training_data import HISTORY, batch_size
from ...parallel.ray_cluster import Cluster
from ...parallel.tasks import (
    Jobs,
    limit_threads,
    parallel_trainings,
    tasks_per_machine,
    threads_per_task,
    threads_restored,
)
from ...parallel.tasks import (
    run as run_tasks,
)
from ...progress import ProgressCallback
from ...store.window_source import WindowSource
from ...systems import system
from ...systems.gbvnet import PRUNED
from ..crossval import sendable
from .recipe import PlannedRun

ENOUGH_S = 0.7  # an epoch of a calibration that takes so long is measured well enough
FEWEST = 32  # windows that a calibration begins with; four times as many each time it was too short
EPOCHS = 3  # of a calibration, of which the first is not counted
READ = 512  # windows
GIB = 2**30
MEETING_S = 120  # after so long a measurement begins, whether the others are ready or not
WINDOW_BYTES = 60  # of a tested window in predictions.parquet, which is written by fold and once more
TRAINING_BYTES = 30_000  # of a training's small files


@dataclass(frozen=True)
class Workload:
    """How much work a run is, summed over its trainings; early stopping may make it less."""

    trainings: int
    train: int  # windows trained on, once each epoch
    validation: int  # windows, once each epoch
    test: int  # windows, once

    @property
    def train_each(self) -> int:
        """Windows that one training is trained on."""
        return max(1, self.train // max(1, self.trainings))


@dataclass(frozen=True)
class Throughput:
    """The time and memory that one system needs, for one shape of input and one device."""

    window_s: float  # a training window in an epoch, with its share of validation windows
    training_s: float  # a training without its epochs
    test_s: float  # a tested window
    read_s: float  # a window read from the store
    window_bytes: int  # a window in memory
    n_parameters: int
    epochs: bool  # whether it trains in epochs
    device: str
    together: int = 1
    """how many trainings shared a GPU while these times were taken"""
    pruned_window_s: float = 0.0
    """as `window_s`, in the training after pruning; 0 where there is none"""


def measure(run: PlannedRun, workload: Workload, jobs: Jobs = 1) -> Throughput:
    """Return the throughput of a run, from a short training on its own store; takes some seconds.

    Where several trainings will share a GPU, as many are measured at once: what that is worth depends on their size.
    """
    if isinstance(jobs, int) and jobs > 1 and _uses_gpu(run.config):
        return _measure_together(run, workload, jobs)
    return _measure_alone(run, workload, jobs)


def _uses_gpu(config: CrossvalConfig) -> bool:
    import torch

    return torch.cuda.is_available() and config.train.device != "cpu"


def _measure_together(run: PlannedRun, workload: Workload, jobs: int) -> Throughput:
    """The slowest of so many trainings that run at once, each in a process of its own, as `--jobs` runs them."""
    sent = replace(run, config=sendable(run.config))
    with tempfile.TemporaryDirectory() as folder:
        task = _MeasureTogether(sent, workload, jobs, Path(folder))
        measured: list[Throughput] = []
        for _, outcome in run_tasks(task, range(jobs), jobs, isolate=True, uses_gpu=True):
            if isinstance(outcome, GbvnetError):
                raise outcome
            measured.append(outcome)
    return replace(max(measured, key=lambda each: each.window_s), together=jobs)


@dataclass(frozen=True)
class _MeasureTogether:
    """One of several measurements at once: it begins when all are ready."""

    run: PlannedRun
    workload: Workload
    jobs: int
    meeting: Path

    def __call__(self, number: int) -> Throughput:
        _try(self.run, self.workload, min(self.workload.train_each, FEWEST))  # loads libraries
        (self.meeting / str(number)).touch()
        until = time.monotonic() + MEETING_S
        while len(list(self.meeting.iterdir())) < self.jobs and time.monotonic() < until:
            time.sleep(0.01)
        return _measure_alone(self.run, self.workload, self.jobs)


def _measure_alone(run: PlannedRun, workload: Workload, jobs: Jobs) -> Throughput:
    with threads_restored():
        limit_threads(threads_per_task(jobs))
        n, before = min(workload.train_each, FEWEST), None
        while True:
            throughput, measured_s = _try(run, workload, n)
            if measured_s >= ENOUGH_S or n >= workload.train_each:
                return throughput if throughput.epochs else _extrapolated(throughput, workload, n, before)
            n, before = min(workload.train_each, 4 * n), (n, throughput)


def _extrapolated(
    throughput: Throughput, workload: Workload, n: int, before: tuple[int, Throughput] | None
) -> Throughput:
    """Extrapolate to all windows: a system without epochs may take more than twice as long for twice the windows."""
    if before is None or n >= workload.train_each:
        return throughput
    growth = np.log(throughput.window_s * n / (before[1].window_s * before[0])) / np.log(n / before[0])
    return replace(
        throughput, window_s=throughput.window_s * (workload.train_each / n) ** float(np.clip(growth - 1, 0, 2))
    )


class Estimate(NamedTuple):
    """What is left to do of some runs, at most."""

    runs: int
    trainings: int
    done: int  # runs that are finished already
    seconds: float
    nbytes: int


def total_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """Return the sum of estimates."""
    return Estimate(
        runs=sum(e.runs for e in estimates),
        trainings=sum(e.trainings for e in estimates),
        done=sum(e.done for e in estimates),
        seconds=sum(e.seconds for e in estimates),
        nbytes=sum(e.nbytes for e in estimates),
    )


def estimate_run(config: CrossvalConfig, workload: Workload, throughput: Throughput | None, jobs: Jobs = 1) -> Estimate:
    """Return what is left of one run; without a throughput it is finished."""
    if throughput is None:
        return Estimate(1, workload.trainings, 1, 0.0, 0)
    time_s, nbytes = seconds(config, workload, throughput, jobs), run_bytes(workload, throughput)
    return Estimate(1, workload.trainings, 0, time_s, nbytes)


def workload_of(run: PlannedRun, known: dict[Any, Workload] | None = None) -> Workload:
    """Return the work of a run, from the folds that it will have. Raises BadConfig or LeakySplit if it cannot be split.

    known : a cache, filled here, for many runs of one store
    """
    known = {} if known is None else known
    c = run.config
    modality = c.modality if c.rows == "any" else "facebio"
    same_folds = replace(
        c, system="", modality=modality, model=ModelConfig(), train=TrainConfig(), options=None, recipe=None, prune=1.0
    )
    key = (run.store.path, same_folds)
    if key not in known:
        trainings = 1 if c.joint else len(target_names(c.target, c.rule))
        folds = make_plan(run.store, c).folds  # of `c` itself: a store without faces has no plan for facebio
        sides = [trainings * sum(len(fold.sides[side]) for fold in folds) for side in ("train", "validation", "test")]
        known[key] = Workload(trainings * len(folds), *sides)
    return known[key]


def seconds(config: CrossvalConfig, workload: Workload, throughput: Throughput, jobs: Jobs = 1) -> float:
    """Return how long a run takes at most, in seconds, given its throughput with so many jobs at once."""
    in_memory = (
        workload.train_each * 1.25 * throughput.window_bytes <= config.train.memory_gib / tasks_per_machine(jobs) * GIB
    )
    step, pruned_step = (
        window_s if in_memory else max(window_s, throughput.read_s)
        for window_s in (throughput.window_s, throughput.pruned_window_s)
    )
    epochs = config.train.epochs if throughput.epochs else 1
    pruned_epochs = config.pruning.epochs if config.pruning.keep < 1 else 0
    # The signals' mean and SD are a pass of their own. Systems without epochs read within what was measured.
    read = (2 * workload.train + workload.validation) * throughput.read_s if throughput.epochs else 0.0
    total = (
        epochs * workload.train * step
        + pruned_epochs * workload.train * pruned_step
        + workload.trainings * throughput.training_s
        + workload.test * throughput.test_s
        + read
    )
    separate = throughput.device == "cpu" or isinstance(jobs, Cluster)
    return total / (parallel_trainings(jobs) if separate else throughput.together)


def run_bytes(workload: Workload, throughput: Throughput) -> int:
    """Return the size of a run's folder in bytes: a model of each training, and the predictions twice."""
    return workload.trainings * (4 * throughput.n_parameters + TRAINING_BYTES) + 2 * WINDOW_BYTES * workload.test


class Calibration:
    """Measures each kind of run once, and uses the result for all runs of that kind."""

    def __init__(self, jobs: Jobs = 1):
        self.jobs = jobs
        self.throughputs: dict[Any, Throughput] = {}

    def throughputs_of(
        self, runs: list[tuple[PlannedRun, Workload]], progress: ProgressCallback | None = None
    ) -> list[Throughput]:
        """Return the throughput of each run.

        progress : called with kinds measured, kinds in all, and what is being measured
        """
        kinds: dict[Any, tuple[PlannedRun, Workload]] = {}
        for run, workload in runs:
            kinds.setdefault(_kind(run, workload), (run, workload))
        new = {kind: it for kind, it in kinds.items() if kind not in self.throughputs}
        if new and not self.throughputs:  # the first to run loads libraries, which no later training does
            run, workload = next(iter(new.values()))
            _try(run, workload, min(workload.train_each, FEWEST))
        for done, (kind, (run, workload)) in enumerate(new.items()):
            if progress:
                progress(done, len(new), f"{run.label} {run.config.modality}")
            self.throughputs[kind] = measure(run, workload, self.jobs)
        if progress and new:
            progress(len(new), len(new), "")
        return [self.throughputs[_kind(run, workload)] for run, workload in runs]


def _kind(run: PlannedRun, workload: Workload) -> tuple:
    """Runs of the same kind take the same time a window."""
    c, s = run.config, run.store.settings
    shape = (s["frames_per_window"], s["face_side"], s["samples_per_window"], len(s["channels"]))
    train = replace(c.train, epochs=1, patience=1, select="validation")
    # The throughput of small trainings depends on their size: to the next power of two.
    small = workload.train_each.bit_length() if workload.train_each < 10_000 else None
    pruning = c.pruning if c.pruning.keep < 1 else None
    return c.system, c.modality, c.joint, c.model, train, shape, small, pruning


def _try(run: PlannedRun, workload: Workload, n: int) -> tuple[Throughput, float]:
    """Train on n windows with their share of validation windows. Returns also how long the measured part took."""
    store, config = run.store, _short(run.config, workload, n)
    rng = np.random.default_rng(0)
    scored = choose_windows(store, config)[0].index.to_numpy()
    n_validation = max(2, round(n * workload.validation / max(1, workload.train)))
    rows, validation, test = (np.sort(rng.choice(scored, size)) for size in (n, n_validation, min(256, n)))
    read_s = _clock(lambda: store.read(rng.choice(scored, READ), *_parts(config))) / READ
    with tempfile.TemporaryDirectory() as folder:
        chosen = system(config.system)
        chosen.import_for_training()
        made = chosen(config, work=Path(folder), label="measuring: ")
        y = (_labels(n, config), _labels(n_validation, config))
        fit_s = _clock(lambda: made.fit(store, rows, y[0], validation=(validation, y[1]), seed=0))
        fit_s += _clock(lambda: made.save(Path(folder) / "model"))
        epochs, pruned_epochs = (_epochs_s(Path(folder, *parts, HISTORY)) for parts in ((), (PRUNED,)))
    test_s = _clock(lambda: made.predict(store, test)) / len(test)
    about = made.about
    window_s, training_s = fit_s / n, 0.0
    if epochs is not None:
        window_s, training_s = epochs[1:].mean() / n, fit_s - epochs.sum()
    pruned_window_s = 0.0
    if pruned_epochs is not None:
        pruned_window_s, training_s = pruned_epochs[-2:].mean() / n, training_s - pruned_epochs.sum()
    throughput = Throughput(
        window_s=float(window_s),
        training_s=float(training_s),
        test_s=test_s,
        read_s=read_s,
        window_bytes=_window_bytes(store, config),
        n_parameters=about.get("n_parameters") or 0,
        epochs=epochs is not None,
        device=about.get("device") or "cpu",
        pruned_window_s=float(pruned_window_s),
    )
    return throughput, fit_s if epochs is None else float(epochs[1:].mean())


def _short(config: CrossvalConfig, workload: Workload, n: int) -> CrossvalConfig:
    """The run's settings with few epochs, and steps of at most half of n windows."""
    size = max(2, min(batch_size(workload.train_each, config.train), max(16, n // 2)))
    train = replace(config.train, epochs=EPOCHS, patience=EPOCHS, batch_size=size)
    epochs = min(EPOCHS, config.prune_epochs)
    return replace(config, train=train, target="both" if config.joint else "valence", prune_epochs=epochs)


def _epochs_s(history: Path) -> np.ndarray | None:
    """Return the seconds of each epoch of a training, (epochs,); None if there was none."""
    return pd.read_csv(history)["seconds"].to_numpy() if history.exists() else None


def _labels(n: int, config: CrossvalConfig) -> np.ndarray:
    high = (np.arange(n) % 2).astype(np.int8)
    return np.stack([high, high], axis=1) if config.joint else high


def _parts(config: CrossvalConfig) -> tuple[bool, bool]:
    return uses_face(config.modality), uses_signals(config.modality)


def _window_bytes(store: WindowSource, config: CrossvalConfig) -> int:
    s = store.settings
    face, signals = _parts(config)
    pixels, samples = 3 * s["frames_per_window"] * s["face_side"] ** 2, len(s["channels"]) * s["samples_per_window"]
    return pixels * face + 4 * samples * signals


def _clock(do: Callable[[], Any]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began

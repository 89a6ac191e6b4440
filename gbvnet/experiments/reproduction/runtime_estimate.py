"""How long cross-validations will take on this machine: a few real training steps of each, times what there is to do.

A calibration trains the very system on the very store's shapes. Early stopping is not foreseen: an estimate is for all
epochs, and so rather too long than too short.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config import CrossvalConfig, uses_face, uses_signals
from ...evaluation.plan import choose_windows
from ...parallel.ray_cluster import Cluster
from ...parallel.tasks import Jobs, at_once, cores, limit_threads, neighbours, threads_each
from ...progress import ProgressCallback
from ...store.reader import Store
from ...systems import system
from .recipe import Extent, PlannedRun

ENOUGH_S = 0.7  # an epoch of a calibration that takes as long is measured well enough
FEWEST = 32  # windows that a calibration begins with; four times as many each time it was too short
EPOCHS = 3  # of a calibration, of which the first is not counted
READ = 512  # windows
GIB = 2**30
WINDOW_BYTES = 60  # of a tested window in predictions.parquet, which is written by fold and once more
TRAINING_BYTES = 30_000  # of a training's small files


@dataclass(frozen=True)
class Pace:
    """What one system, shape and device take."""

    window_s: float  # a training window in an epoch, with its share of validation windows
    training_s: float  # what a training takes beside its epochs
    test_s: float  # a tested window
    read_s: float  # a window read from the store
    window_bytes: int  # a window in memory
    n_parameters: int
    epochs: bool  # whether it trains in epochs
    device: str


def measure(run: PlannedRun, extent: Extent, jobs: Jobs = 1) -> Pace:
    """Train a little on the run's own store; some seconds."""
    limit_threads(threads_each(jobs))
    try:
        n, before = min(extent.train_each, FEWEST), None
        while True:
            pace, measured_s = _try(run, extent, n)
            if measured_s >= ENOUGH_S or n >= extent.train_each:
                return pace if pace.epochs else _extrapolated(pace, extent, n, before)
            n, before = min(extent.train_each, 4 * n), (n, pace)
    finally:
        limit_threads(cores())


def _extrapolated(pace: Pace, extent: Extent, n: int, before: tuple[int, Pace] | None) -> Pace:
    """A system without epochs may take more than twice as long for twice the windows: its growth goes on as it was."""
    if before is None or n >= extent.train_each:
        return pace
    growth = np.log(pace.window_s * n / (before[1].window_s * before[0])) / np.log(n / before[0])
    return replace(pace, window_s=pace.window_s * (extent.train_each / n) ** float(np.clip(growth - 1, 0, 2)))


def seconds(config: CrossvalConfig, extent: Extent, pace: Pace, jobs: Jobs = 1) -> float:
    """How long a run will take at most, given its pace with so many jobs at once."""
    in_memory = extent.train_each * 1.25 * pace.window_bytes <= config.train.memory_gib / neighbours(jobs) * GIB
    step = pace.window_s if in_memory else max(pace.window_s, pace.read_s)
    epochs = config.train.epochs if pace.epochs else 1
    # The signals' mean and SD are a pass of their own. Systems without epochs read within what was measured.
    read = (2 * extent.train + extent.validation) * pace.read_s if pace.epochs else 0.0
    total = epochs * extent.train * step + extent.trainings * pace.training_s + extent.test * pace.test_s + read
    return total / (at_once(jobs) if pace.device == "cpu" or isinstance(jobs, Cluster) else 1)


def run_bytes(extent: Extent, pace: Pace) -> int:
    """What a run's folder will hold: a model of each training, and the predictions twice."""
    return extent.trainings * (4 * pace.n_parameters + TRAINING_BYTES) + 2 * WINDOW_BYTES * extent.test


class Calibration:
    """Measures each kind of run once, and remembers it for the others of its kind."""

    def __init__(self, jobs: Jobs = 1):
        self.jobs = jobs
        self.paces: dict[Any, Pace] = {}

    def paces_of(self, runs: list[tuple[PlannedRun, Extent]], progress: ProgressCallback | None = None) -> list[Pace]:
        """The pace of each run. progress is called with kinds done, kinds in all, and what is being measured."""
        kinds: dict[Any, tuple[PlannedRun, Extent]] = {}
        for run, extent in runs:
            kinds.setdefault(_kind(run, extent), (run, extent))
        new = {kind: it for kind, it in kinds.items() if kind not in self.paces}
        if new and not self.paces:  # the first to run loads libraries, which no later training does
            run, extent = next(iter(new.values()))
            _try(run, extent, min(extent.train_each, FEWEST))
        for done, (kind, (run, extent)) in enumerate(new.items()):
            if progress:
                progress(done, len(new), f"{run.label} {run.config.modality}")
            self.paces[kind] = measure(run, extent, self.jobs)
        if progress and new:
            progress(len(new), len(new), "")
        return [self.paces[_kind(run, extent)] for run, extent in runs]


def _kind(run: PlannedRun, extent: Extent) -> tuple:
    """Runs alike in this take the same time a window."""
    c, s = run.config, run.store.settings
    shape = (s["frames_per_window"], s["face_side"], s["samples_per_window"], len(s["channels"]))
    train = replace(c.train, epochs=1, patience=1, select="validation")
    # A training of few windows has a pace of its own: to the next power of two.
    small = extent.train_each.bit_length() if extent.train_each < 10_000 else None
    return c.system, c.modality, c.joint, c.model, train, shape, small


def _try(run: PlannedRun, extent: Extent, n: int) -> tuple[Pace, float]:
    """Train on n windows with their share of validation windows; also how long what was measured took."""
    store, config = run.store, _short(run.config, extent, n)
    rng = np.random.default_rng(0)
    scored = choose_windows(store, config)[0].index.to_numpy()
    n_validation = max(2, round(n * extent.validation / max(1, extent.train)))
    rows, validation, test = (np.sort(rng.choice(scored, size)) for size in (n, n_validation, min(256, n)))
    read_s = _clock(lambda: store.read(rng.choice(scored, READ), *_parts(config))) / READ
    with tempfile.TemporaryDirectory() as folder:
        made = system(config.system)(config, work=Path(folder), label="measuring: ")
        y = (_labels(n, config), _labels(n_validation, config))
        fit_s = _clock(lambda: made.fit(store, rows, y[0], validation=(validation, y[1]), seed=0))
        fit_s += _clock(lambda: made.save(Path(folder) / "model"))
        history = Path(folder) / "history.csv"
        epochs = pd.read_csv(history)["seconds"].to_numpy() if history.exists() else None
    test_s = _clock(lambda: made.predict(store, test)) / len(test)
    about = made.about
    window_s, training_s = (fit_s / n, 0.0) if epochs is None else (epochs[1:].mean() / n, fit_s - epochs.sum())
    pace = Pace(
        window_s=float(window_s),
        training_s=float(training_s),
        test_s=test_s,
        read_s=read_s,
        window_bytes=_window_bytes(store, config),
        n_parameters=about.get("n_parameters") or 0,
        epochs=epochs is not None,
        device=about.get("device") or "cpu",
    )
    return pace, fit_s if epochs is None else float(epochs[1:].mean())


def _short(config: CrossvalConfig, extent: Extent, n: int) -> CrossvalConfig:
    """The run's own settings, with few epochs, and steps of at most half of n windows."""
    from ...network.training import batch_size

    size = max(2, min(batch_size(extent.train_each, config.train), max(16, n // 2)))
    train = replace(config.train, epochs=EPOCHS, patience=EPOCHS, batch_size=size)
    return replace(config, train=train, target="both" if config.joint else "valence")


def _labels(n: int, config: CrossvalConfig) -> np.ndarray:
    high = (np.arange(n) % 2).astype(np.int8)
    return np.stack([high, high], axis=1) if config.joint else high


def _parts(config: CrossvalConfig) -> tuple[bool, bool]:
    return uses_face(config.modality), uses_signals(config.modality)


def _window_bytes(store: Store, config: CrossvalConfig) -> int:
    s = store.settings
    face, signals = _parts(config)
    pixels, samples = 3 * s["frames_per_window"] * s["face_side"] ** 2, len(s["channels"]) * s["samples_per_window"]
    return pixels * face + 4 * samples * signals


def _clock(do: Callable[[], Any]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began

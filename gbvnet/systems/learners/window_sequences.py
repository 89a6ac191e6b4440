"""Sequences of neighbouring windows of one trial as batches, for networks that look at more than a second.

No sequence reaches beyond its trial. A trial of fewer windows than a sequence needs is one whose last window is
repeated. Windows follow one another as the store has them, those without signals being passed over.
Shapes: n rows, m sequences, T windows in a sequence, D features of a window, K targets.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from ...network.batches import Batch, BatchSource
from ...store.window_source import WindowSource


class Cut(NamedTuple):
    """How sequences are made. stride : in training, windows from the start of one to the next, of the same trial"""

    features: Callable[[WindowSource, np.ndarray], np.ndarray]  # of rows (n,): (n, D)
    length: int  # T
    stride: int


class Sequences(BatchSource):
    """Sequences of windows as batches. A batch's signals are (B, D, T), as if features were channels and windows were
    samples.

    y : (n, K) labels of the rows, for training: sequences of the given rows alone, each with the label of its trial.
        None for prediction: a sequence for each row, in their order, out of all its trial's windows in the store. It
        ends with the row, or later where the trial has too few windows before it.
    """

    def __init__(
        self,
        store: WindowSource,
        rows: np.ndarray,
        cut: Cut,
        y: np.ndarray | None = None,
        device: torch.device | str = "cpu",
    ):
        self.device = torch.device(device)
        rows = np.asarray(rows, np.int64)
        used, at = _around(store, rows, cut.length) if y is None else (rows, _strided(store, rows, cut))
        self.rows, self.channels = used[at[:, 0]], [0]
        self.x = torch.from_numpy(np.asarray(cut.features(store, used), np.float32)).to(self.device)  # (n, D)
        self.y = None if y is None else torch.from_numpy(np.asarray(y, np.float32)[at[:, 0]]).to(self.device)
        self.at = torch.from_numpy(at).to(self.device)  # (m, T) places in x

    @override
    def batches(self, orders: Iterable[np.ndarray]) -> Iterator[Batch]:
        for order in orders:
            chosen = torch.from_numpy(order).to(self.device)
            y = None if self.y is None else self.y[chosen]
            yield Batch(None, None, self.x[self.at[chosen]].transpose(1, 2), None, None, y)

    @override
    def signal_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and SD of each feature over the rows, (D,) and (D,)."""
        x = self.x.double()
        return x.mean(dim=0).float(), x.std(dim=0, correction=0).float()


def _trials(store: WindowSource, rows: np.ndarray) -> list[np.ndarray]:
    """Places in `rows` of each trial's windows, in their order in time."""
    recording, window = (store.windows[name].to_numpy()[rows] for name in ("recording", "window"))
    order = np.lexsort([window, recording.astype(str)])
    breaks = np.flatnonzero(recording[order][1:] != recording[order][:-1]) + 1
    return np.split(order, breaks) if len(order) else []


def _strided(store: WindowSource, rows: np.ndarray, cut: Cut) -> np.ndarray:
    """(m, T) places in `rows`: of each trial the sequences that begin at every `stride`-th window."""
    sequences = []
    for trial in _trials(store, rows):
        starts = np.arange(0, max(1, len(trial) - cut.length + 1), cut.stride)
        sequences.append(trial[np.minimum(starts[:, None] + np.arange(cut.length), len(trial) - 1)])
    return np.concatenate(sequences) if sequences else np.empty((0, cut.length), np.int64)


def _around(store: WindowSource, rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are needed, those of the trials of `rows` that have signals, and for each of `rows` the (T,) places of
    its sequence among them."""
    recording = store.windows["recording"].to_numpy(str)
    used = np.flatnonzero(np.isin(recording, recording[rows]) & store.windows["has_signals"].to_numpy(bool))
    sequence = np.empty((len(store), length), np.int64)
    for trial in _trials(store, used):
        starts = np.clip(np.arange(len(trial)) - length + 1, 0, max(0, len(trial) - length))
        sequence[used[trial]] = trial[np.minimum(starts[:, None] + np.arange(length), len(trial) - 1)]
    return used, sequence[rows]

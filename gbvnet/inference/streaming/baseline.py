"""The baseline that is subtracted from the windows of a stream, collected while samples arrive.

As in preprocessing, a baseline is the mean of a period (`mean`) or a waveform of one second (`template`). A stream can
also subtract the mean of the seconds before each window.

Shapes: C channels, n samples, L samples a window.
"""

import sys
from typing import Protocol

import numpy as np
from typing_extensions import override

from ...preprocessing.signals import baseline_correction
from ..predictor import ModelInput
from .sample_ring import SampleRing


class StreamBaseline(Protocol):
    """What is subtracted from each window.

    wait_s : seconds before the first window that it needs
    keep_s : seconds before each window that the ring must still hold
    """

    wait_s: float
    keep_s: float

    def restart(self, number: int) -> None:
        """Start again at a sample number: the samples before it end in a gap."""

    def collect(self, y: np.ndarray, first: int) -> None:
        """Take new samples (C, n), the first of which has number `first`."""

    def values(self, ring: SampleRing, first: int, length: int, onset: int) -> np.ndarray | None:
        """Return the baseline of the window at sample `first`, (C, 1) or (C, L); None if it is not complete.

        onset : sample number at which a template starts to repeat
        """


class NoBaseline(StreamBaseline):
    """Subtract nothing."""

    wait_s = keep_s = 0.0

    @override
    def restart(self, number: int) -> None: ...

    @override
    def collect(self, y: np.ndarray, first: int) -> None: ...

    @override
    def values(self, ring: SampleRing, first: int, length: int, onset: int) -> np.ndarray:
        return np.zeros((ring.n_channels, 1))


class RunningBaseline(StreamBaseline):
    """Subtract the mean of the `seconds` before each window."""

    def __init__(self, seconds: float, rate_hz: float):
        self.wait_s = self.keep_s = seconds
        self._length = round(seconds * rate_hz)

    @override
    def restart(self, number: int) -> None: ...

    @override
    def collect(self, y: np.ndarray, first: int) -> None: ...

    @override
    def values(self, ring: SampleRing, first: int, length: int, onset: int) -> np.ndarray | None:
        mean = ring.read(first - self._length, self._length).mean(axis=1, keepdims=True)
        return mean if np.isfinite(mean).all() else None


class InitialBaseline(StreamBaseline):
    """Subtract the baseline of one period, by default the first seconds of the stream.

    kind : mean or template
    start_s : start of the period on the stream's clock; the first sample if None

    A gap within the period starts it again after the gap.
    """

    keep_s = 0.0

    def __init__(self, n_channels: int, kind: str, seconds: float, rate_hz: float, start_s: float | None):
        self.wait_s, self._kind, self._rate_hz = seconds, kind, rate_hz
        self._samples = np.empty((n_channels, round(seconds * rate_hz)))
        self._first = -sys.maxsize if start_s is None else round(start_s * rate_hz)  # sample number
        self._baseline_collected = 0  # samples
        self._baseline: np.ndarray | None = None  # (C, 1) or (C, one second), once it is complete

    @override
    def restart(self, number: int) -> None:
        if self._baseline is None:
            self._baseline_collected = 0
            self._first = max(self._first, number)

    @override
    def collect(self, y: np.ndarray, first: int) -> None:
        if self._baseline is not None:
            return
        collected, length = self._baseline_collected, self._samples.shape[1]
        new = y[:, max(0, self._first + collected - first) :][:, : length - collected]
        self._samples[:, collected : collected + new.shape[1]] = new
        self._baseline_collected += new.shape[1]
        if self._baseline_collected == length:
            self._baseline = baseline_correction(self._samples, self._rate_hz, self._kind)

    @override
    def values(self, ring: SampleRing, first: int, length: int, onset: int) -> np.ndarray | None:
        baseline = self._baseline
        if baseline is None or not np.isfinite(baseline).all():
            return None
        if baseline.shape[1] > 1:
            return baseline[:, np.arange(first - onset, first - onset + length) % baseline.shape[1]]
        return baseline


def stream_baseline(model: ModelInput, start_s: float | None = None, running_s: float | None = None) -> StreamBaseline:
    """Return the baseline of a model's settings. start_s, running_s : as in `StreamSettings`."""
    kind = model.prepare.baseline
    if kind == "none" or (running_s is None and not round(model.baseline_s * model.rate_hz)):
        return NoBaseline()
    if running_s is not None:
        return RunningBaseline(running_s, model.rate_hz)
    return InitialBaseline(len(model.channels), kind, model.baseline_s, model.rate_hz, start_s)

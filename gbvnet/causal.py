"""Signals made ready as they come: the filters of `signals`, run forwards once, with what they remember.

A recording is filtered forwards and backwards, which needs its end. A stream has none, so here each filter runs
forwards only: the same Butterworth design, its gain once instead of squared, and a delay that differs with frequency
(`delay_s`; docs/streaming.md has figures). The anti-alias filter is symmetric in both: it waits for ten samples of the
lower rate, and then delays nothing.

Shapes: C channels; n samples that came, m that are ready.
"""

import math
from typing import Any

import numpy as np
from scipy.signal import firwin, sosfilt, sosfilt_zi, sosfreqz

from .recording import Channel
from .signals import BANDS, HALF, KAISER, band_sections, ratio

LONG_S = 4 * 3600  # of a stream without gaps; so long its times are right to `signals.DRIFT` samples
PHASES = 1024  # places between two samples, where the ratio of rates is not plain


class CausalFilter:
    """Filters a stream by the kinds of its channels. Each filter begins as if the first sample had been there for ever,
    so that an amplifier's offset makes no step."""

    def __init__(self, channels: tuple[Channel, ...], rate_hz: float):
        self._groups: list[tuple[list[int], np.ndarray]] = []
        for band in sorted(set(BANDS.values()), key=str):
            rows = [i for i, c in enumerate(channels) if BANDS[c.kind] == band and not c.filtered]
            sections = band_sections(*band, rate_hz) if rows else None
            if sections is not None:
                self._groups.append((rows, sections))
        self._state: list[np.ndarray] | None = None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(C, n) float64, n at least 1 -> (C, n), the same whatever pieces a stream comes in."""
        x = np.array(x, np.float64)
        if self._state is None:
            self._state = [sosfilt_zi(s)[:, None] * x[rows, 0][None, :, None] for rows, s in self._groups]
        for k, (rows, sections) in enumerate(self._groups):
            x[rows], self._state[k] = sosfilt(sections, x[rows], axis=-1, zi=self._state[k])
        return x


class CausalResampler:
    """Brings a stream to another rate: sample for sample what scipy's `resample_poly` makes of the whole, its first and
    last sample repeated outside. A sample is ready once HALF samples of the lower rate after it are there."""

    def __init__(self, n_channels: int, rate_hz: float, to_hz: float):
        # Where no plain ratio will do, each sample is taken at the nearest of PHASES places between two others.
        self.up: int
        self.down: int | float
        self.up, self.down = ratio(rate_hz, to_hz, LONG_S * rate_hz) or (PHASES, PHASES * rate_hz / to_hz)
        most = round(max(self.up, self.down))
        self.half = HALF * most if most > 1 else 0
        taps = np.ones(1)
        if most > 1:
            taps = firwin(2 * self.half + 1, 1 / most, window=("kaiser", KAISER)) * self.up
        self.n_taps = -(-len(taps) // self.up)  # of one phase
        padded = np.zeros(self.n_taps * self.up)
        padded[: len(taps)] = taps
        self._phases = np.ascontiguousarray(padded.reshape(self.n_taps, self.up).T[:, ::-1])  # (up, taps), newest last
        self._tail: np.ndarray | None = None  # samples from number `_first` on
        self._first = -(self.n_taps - 1)
        self._made = 0
        self._channels = n_channels

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(C, n) -> (C, m), m from 0 on."""
        if self._tail is None:
            if not x.shape[1]:
                return np.empty((self._channels, 0))
            self._tail = np.repeat(x[:, :1], self.n_taps - 1, axis=1)
        x = np.concatenate([self._tail, x], axis=1)
        past = self._first + x.shape[1]  # number of the first sample that is not there
        # Sample m is a sum over samples up to _place(m) // up, which must be below `past`.
        stop = max(self._made, math.ceil((past * self.up - self.half) / self.down))
        while stop > self._made and self._place(stop - 1) // self.up >= past:  # by rounding
            stop -= 1
        place = self._place(np.arange(self._made, stop, dtype=np.int64))
        last = place // self.up - self._first - (self.n_taps - 1)  # where the taps of each begin in x
        y = np.empty((len(x), len(place)))
        if len(place):
            windows = np.lib.stride_tricks.sliding_window_view(x, self.n_taps, axis=1)  # (C, n, taps)
            np.einsum("cmt,mt->cm", windows[:, last], self._phases[place % self.up], out=y)
        self._made = stop
        next_first = int(self._place(stop)) // self.up - (self.n_taps - 1)
        self._tail, self._first = x[:, next_first - self._first :].copy(), next_first
        return y

    def rest(self, n: int) -> np.ndarray:
        """What is left of a stream of n samples that has ended, its last sample standing in for what would follow."""
        if self._tail is None or not n:
            return np.empty((self._channels, 0))
        left = math.ceil(n * self.up / self.down) - self._made  # as many as resample_poly makes
        if left <= 0 or not self._tail.shape[1]:
            return np.empty((self._channels, 0))
        return self(np.repeat(self._tail[:, -1:], -(-self.half // self.up) + math.ceil(self.down), axis=1))[:, :left]

    def _place(self, m: Any) -> Any:
        """Of sample number m, in steps of 1 / up of a sample that came, behind the filter's half."""
        return (m * self.down if isinstance(self.down, int) else np.rint(m * self.down).astype(np.int64)) + self.half


def delay_s(kind: str, rate_hz: float, at_hz: float) -> float:
    """How long the forward filter of a kind of signal holds back what it passes at a frequency: its group delay, by the
    phase's slope there; 0 where the rate alone limits the band."""
    sections = band_sections(*BANDS[kind], rate_hz)
    if sections is None:
        return 0.0
    step = 1e-3
    _, h = sosfreqz(sections, np.array([at_hz - step, at_hz + step]), fs=rate_hz)
    return float(-np.angle(h[1] / h[0]) / (2 * np.pi * 2 * step))

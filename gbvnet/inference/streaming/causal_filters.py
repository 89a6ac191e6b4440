"""Signals made ready as they come: the filters of `signals`, run forwards once, with what they remember.

A recording is filtered forwards and backwards, which needs its end. A stream has none, so here each filter runs
forwards only: the same Butterworth design, its gain once instead of squared, and a delay that differs with frequency
(`delay_s`; docs/streaming.md has figures). The anti-alias filter is symmetric in both: it waits for ten samples of the
lower rate, and then delays nothing.

Shapes: C channels; n samples that came, m that are ready.
"""

from collections.abc import Callable

import numpy as np
from scipy.signal import sosfilt, sosfilt_zi, sosfreqz
from scipy.special import i0

from ...datasets.recording import Channel
from ...preprocessing.signals import BANDS, HALF_LENGTH, KAISER_BETA, band_sections, ratio

LONG_S = 4 * 3600  # of a stream without gaps; so long its times are right to `signals.MAX_DRIFT` samples
SPARE = 4  # samples kept beyond those needed, as places may be corrected by a little
Places = Callable[[np.ndarray], np.ndarray]


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
    """Brings a stream to another rate: sample for sample what `signals.resample` makes of the whole, its first and last
    sample repeated outside. A sample is ready once HALF_LENGTH samples of the lower rate after it are there.

    The filter is evaluated where it is needed instead of kept in a table: a rate such as 255.999 Hz costs no more than
    a round one, and samples may be asked for anywhere between those that came (`places`).
    """

    def __init__(self, n_channels: int, rate_hz: float, to_hz: float):
        plain = ratio(rate_hz, to_hz, LONG_S * rate_hz)
        self.ratio = plain[1] / plain[0] if plain else rate_hz / to_hz
        self._wide = max(1.0, self.ratio)  # a sample of the lower rate, in samples that come
        self.half = HALF_LENGTH * self._wide
        self.n_taps = int(2 * self.half) + 1
        self._tail: np.ndarray | None = None  # samples from number `_first` on
        self._first = -(self.n_taps - 1)
        self._made = 0
        self._channels = n_channels

    def __call__(self, x: np.ndarray, places: Places | None = None) -> np.ndarray:
        """(C, n) -> (C, m), m from 0 on.

        places : numbers of made samples (m,) -> where they lie among those that came (m,), increasing; a regular grid
            that begins with the first sample if not given
        """
        if self._tail is None:
            if not x.shape[1]:
                return np.empty((self._channels, 0))
            self._tail = np.repeat(x[:, :1], self.n_taps - 1, axis=1)
        x = np.concatenate([self._tail, x], axis=1)
        past = self._first + x.shape[1]  # number of the first sample that is not there
        same = places is None and self.ratio == 1
        at = self._places(x.shape[1], places)
        last = np.floor(at + (0 if same else self.half) + 1e-9).astype(np.int64)  # what each is a sum up to
        ready = int(np.searchsorted(last, past))
        at, last = at[:ready], last[:ready]
        y = x[:, last - self._first] if same else self._sums(x, at, last)
        self._made += ready
        keep = min(x.shape[1], self.n_taps + SPARE)
        self._tail, self._first = x[:, x.shape[1] - keep :].copy(), past - keep
        return y

    def _places(self, n: int, places: Places | None) -> np.ndarray:
        """Of the next samples to make, as many as n samples that came can give."""
        numbers = np.arange(self._made, self._made + 2 + int(1.1 * n / self.ratio))
        return numbers * self.ratio if places is None else places(numbers)

    def _sums(self, x: np.ndarray, at: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Samples at places, each a weighted sum up to its last, of x (C, n) that begins with `_first` -> (C, m)."""
        begin = np.maximum(last - (self.n_taps - 1), self._first)
        distance = at[:, None] - begin[:, None] - np.arange(self.n_taps)  # (m, taps)
        inside = np.clip(1 - (distance / self.half) ** 2, 0, None)
        weights = np.sinc(distance / self._wide) * i0(KAISER_BETA * np.sqrt(inside)) * (inside > 0)
        weights /= weights.sum(axis=1, keepdims=True)  # they differ by some 1e-4, and a large offset would waver
        windows = np.lib.stride_tricks.sliding_window_view(x, self.n_taps, axis=1)  # (C, n, taps)
        return np.einsum("cmt,mt->cm", windows[:, begin - self._first], weights)

    def rest(self, n: int, places: Places | None = None) -> np.ndarray:
        """What is left of a stream of n samples that has ended, its last sample standing in for what would follow."""
        if self._tail is None or not n:
            return np.empty((self._channels, 0))
        more = int(self.half + self.ratio) + SPARE
        left = int((self._places(self.n_taps + more, places) < n - 1e-9).sum())  # as many as resample_poly makes
        if not left:
            return np.empty((self._channels, 0))
        return self(np.repeat(self._tail[:, -1:], more, axis=1), places)[:, :left]


def delay_s(kind: str, rate_hz: float, at_hz: float) -> float:
    """How long the forward filter of a kind of signal holds back what it passes at a frequency: its group delay, by the
    phase's slope there; 0 where the rate alone limits the band."""
    sections = band_sections(*BANDS[kind], rate_hz)
    if sections is None:
        return 0.0
    step = 1e-3
    _, h = sosfreqz(sections, np.array([at_hz - step, at_hz + step]), fs=rate_hz)
    return float(-np.angle(h[1] / h[0]) / (2 * np.pi * 2 * step))

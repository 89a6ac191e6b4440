"""Filters and resampling of a stream: those of `preprocessing.signals`, run forwards once, with their state kept.

A recording is filtered forwards and backwards, which needs its end. A stream has none, so each filter runs forwards
only: the same Butterworth design, its gain once instead of squared, and a delay that depends on the frequency
(`delay_s`; docs/streaming.md has figures). The anti-alias filter is symmetric in both: it waits for ten samples of the
lower rate, and then adds no delay.

Shapes: C channels; n samples received, m samples returned.
"""

from collections.abc import Callable

import numpy as np
from scipy.signal import sosfilt, sosfilt_zi, sosfreqz
from scipy.special import i0

from ...datasets.recording import Channel
from ...preprocessing.signals import BANDS, HALF_LENGTH, KAISER_BETA, band_sections, ratio

MAX_SEGMENT_S = 4 * 3600  # without a gap; up to here its times are correct to `signals.MAX_DRIFT` samples
SPARE = 4  # samples kept beyond those needed, as positions may be corrected slightly
Positions = Callable[[np.ndarray], np.ndarray]


class CausalFilter:
    """Filters a stream by the kinds of its channels. Each filter starts in the steady state of the first sample, so
    that an amplifier's offset makes no step."""

    def __init__(self, channels: tuple[Channel, ...], rate_hz: float):
        self._groups: list[tuple[list[int], np.ndarray]] = []
        for band in sorted(set(BANDS.values()), key=str):
            rows = [i for i, c in enumerate(channels) if BANDS[c.kind] == band and not c.filtered]
            sections = band_sections(*band, rate_hz) if rows else None
            if sections is not None:
                self._groups.append((rows, sections))
        self._state: list[np.ndarray] | None = None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Filter samples (C, n) float64, n at least 1 -> (C, n). The result does not depend on how a stream is cut into
        chunks."""
        x = np.array(x, np.float64)
        if self._state is None:
            self._state = [sosfilt_zi(s)[:, None] * x[rows, 0][None, :, None] for rows, s in self._groups]
        for k, (rows, sections) in enumerate(self._groups):
            x[rows], self._state[k] = sosfilt(sections, x[rows], axis=-1, zi=self._state[k])
        return x


class CausalResampler:
    """Resamples a stream: sample for sample the result of `signals.resample` of the whole, whose first and last sample
    are repeated outside. A sample is returned once HALF_LENGTH samples of the lower rate after it were received.

    The filter is evaluated at each position instead of tabulated: a rate such as 255.999 Hz costs no more than a round
    one, and samples can be computed anywhere between those received (`positions`).
    """

    def __init__(self, n_channels: int, rate_hz: float, to_hz: float):
        exact = ratio(rate_hz, to_hz, MAX_SEGMENT_S * rate_hz)
        self.ratio = exact[1] / exact[0] if exact else rate_hz / to_hz
        self._width = max(1.0, self.ratio)  # a sample of the lower rate, in received samples
        self.half = HALF_LENGTH * self._width
        self.n_taps = int(2 * self.half) + 1
        self._tail: np.ndarray | None = None  # samples from number `_first` on
        self._first = -(self.n_taps - 1)
        self._n_returned = 0
        self._channels = n_channels

    def __call__(self, x: np.ndarray, positions: Positions | None = None) -> np.ndarray:
        """Resample (C, n) -> (C, m); m may be 0.

        positions : numbers of returned samples (m,) -> where they lie among the received ones (m,), increasing; a
            regular grid that starts with the first sample if not given
        """
        if self._tail is None:
            if not x.shape[1]:
                return np.empty((self._channels, 0))
            self._tail = np.repeat(x[:, :1], self.n_taps - 1, axis=1)
        x = np.concatenate([self._tail, x], axis=1)
        past = self._first + x.shape[1]  # number of the first sample that is not there
        same = positions is None and self.ratio == 1
        at = self._positions(x.shape[1], positions)
        last = np.floor(at + (0 if same else self.half) + 1e-9).astype(np.int64)  # the last sample that each depends on
        ready = int(np.searchsorted(last, past))
        at, last = at[:ready], last[:ready]
        y = x[:, last - self._first] if same else self._sums(x, at, last)
        self._n_returned += ready
        keep = min(x.shape[1], self.n_taps + SPARE)
        self._tail, self._first = x[:, x.shape[1] - keep :].copy(), past - keep
        return y

    def _positions(self, n: int, positions: Positions | None) -> np.ndarray:
        """Return the positions of the next samples, as many as n received samples can give."""
        numbers = np.arange(self._n_returned, self._n_returned + 2 + int(1.1 * n / self.ratio))
        return numbers * self.ratio if positions is None else positions(numbers)

    def _sums(self, x: np.ndarray, at: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Return samples at positions (C, m), each a weighted sum of x (C, n), which starts with `_first`, up to its
        last."""
        begin = np.maximum(last - (self.n_taps - 1), self._first)
        distance = at[:, None] - begin[:, None] - np.arange(self.n_taps)  # (m, taps)
        inside = np.clip(1 - (distance / self.half) ** 2, 0, None)
        weights = np.sinc(distance / self._width) * i0(KAISER_BETA * np.sqrt(inside)) * (inside > 0)
        weights /= weights.sum(axis=1, keepdims=True)  # sums differ by 1e-4: noise under a large offset
        windows = np.lib.stride_tricks.sliding_window_view(x, self.n_taps, axis=1)  # (C, n, taps)
        return np.einsum("cmt,mt->cm", windows[:, begin - self._first], weights)

    def flush(self, n: int, positions: Positions | None = None) -> np.ndarray:
        """Return the remaining samples of a stream that ends after n samples; its last sample is repeated."""
        if self._tail is None or not n:
            return np.empty((self._channels, 0))
        more = int(self.half + self.ratio) + SPARE
        left = int((self._positions(self.n_taps + more, positions) < n - 1e-9).sum())  # as many as resample_poly makes
        if not left:
            return np.empty((self._channels, 0))
        return self(np.repeat(self._tail[:, -1:], more, axis=1), positions)[:, :left]


def delay_s(kind: str, rate_hz: float, at_hz: float) -> float:
    """Return the group delay of the forward filter of a kind of signal at a frequency, in seconds, from the slope of
    its phase; 0 if the band is limited by the rate alone."""
    sections = band_sections(*BANDS[kind], rate_hz)
    if sections is None:
        return 0.0
    step = 1e-3
    _, h = sosfreqz(sections, np.array([at_hz - step, at_hz + step]), fs=rate_hz)
    return float(-np.angle(h[1] / h[0]) / (2 * np.pi * 2 * step))

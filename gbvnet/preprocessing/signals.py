"""Preprocessing of signals: filtered by kind, resampled to the store's rate, baseline-corrected.

Shapes: C channels, N samples of a whole recording, L samples a window.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..config import PrepareConfig
from ..datasets.recording import Channel, Signals
from ..errors import BadConfig

# Pass bands in Hz (low, high); None is open. EEG as DEAP was released; ECG and EMG keep their slow part; slow signals
# are only low-pass filtered, above the fastest change they can have. Sources and reasons: docs/method.md.
BANDS: dict[str, tuple[float | None, float]] = {
    "eeg": (4.0, 45.0),
    "ecg": (0.5, 45.0),
    "eog": (0.5, 45.0),
    "emg": (0.5, 45.0),
    "gsr": (None, 5.0),
    "resp": (None, 5.0),
    "temp": (None, 5.0),
    "ppg": (None, 20.0),
}
CHUNK = 2**20  # samples filtered at once: copies of a long recording would take more memory than the recording
MAX_DRIFT = 0.01  # error in time of the last sample after resampling, in samples of the new rate
MAX_FACTOR = 20_000  # the largest factor, up or down, for which the polyphase filter is used
HALF_LENGTH, KAISER_BETA = 10, 5.0  # of the anti-alias filter, as scipy's; the length in samples of the lower rate
PHASES = 512  # positions between two samples at which it is tabulated
ORDER = 4  # of the Butterworth filter, applied forwards and backwards: zero phase, squared gain


def select_channels(channels: tuple[Channel, ...], names: tuple[str, ...] | None) -> list[int]:
    """Return the numbers of the channels with these names, or of all. Raises BadConfig that lists the channels."""
    if names is None:
        return list(range(len(channels)))
    have = [c.name for c in channels]
    absent = [n for n in names if n not in have]
    if absent:
        raise BadConfig(f"channels: the corpus has no {', '.join(absent)}; it has {', '.join(have)}")
    return [have.index(n) for n in names]


class Preprocessed(NamedTuple):
    """A whole recording after preprocessing."""

    x: np.ndarray  # (C, N) float64, baseline-corrected from the stimulus on
    onset: int  # the sample at which the stimulus starts
    baseline: np.ndarray  # (C, B) float32, filtered, nothing subtracted


class Workspace:
    """Memory that is used again for the next recording of the same shape. The system takes longer to give new memory
    for a trial of DEAP than NumPy to copy it. Of more than CHUNK samples none is kept: a long recording's copy would
    stay while its film is prepared."""

    def __init__(self) -> None:
        self._array = np.empty(0)

    def copy(self, samples: np.ndarray) -> np.ndarray:
        """Return a float64 copy of samples (C, N), valid until the next is made."""
        if samples.size > CHUNK:
            return np.array(samples, dtype=np.float64)
        if self._array.shape != samples.shape:
            self._array = np.empty(samples.shape)
        self._array[...] = samples
        return self._array


def preprocess(
    signals: Signals, config: PrepareConfig, rate_hz: float, baseline_s: float, workspace: Workspace | None = None
) -> Preprocessed:
    """Return a whole recording, filtered, at `rate_hz`, corrected by its baseline: `baseline_s` seconds before the
    stimulus. Raises BadConfig for a stimulus or a baseline outside the signals, or a rate that is too low.

    All of it is filtered and resampled before it is cut into windows, so that no window has a filter's edge effects.
    The x that is returned may lie in `workspace`, and is then valid until the next call with it.
    """
    x = _resampled(signals, config.filter, rate_hz, workspace)
    onset = round(signals.onset * rate_hz / signals.rate_hz)
    if onset < 0:
        raise BadConfig(f"a stimulus that starts {-onset / rate_hz:.2f} s before its signals")
    if signals.baseline_signals is None:
        baseline = _baseline(signals, x, onset, rate_hz, baseline_s)
    else:
        before = signals.baseline_signals
        baseline = _baseline(before, _resampled(before, config.filter, rate_hz), 0, rate_hz, baseline_s)
    kept = baseline.astype(np.float32)
    correction = baseline_correction(baseline, rate_hz, config.baseline)  # before rounding: 33 degrees are steady
    stimulus = x[:, onset:]
    if correction.shape[1] == 1:
        stimulus -= correction
    else:
        stimulus -= np.tile(correction, -(-stimulus.shape[1] // correction.shape[1]))[:, : stimulus.shape[1]]
    return Preprocessed(x, onset, kept)


def _resampled(signals: Signals, filtered: bool, rate_hz: float, workspace: Workspace | None = None) -> np.ndarray:
    """Return a copy of all channels at one rate, (C, N), each filtered at its own rate if `filtered`."""
    if signals.rates_hz is None:
        x = (workspace or Workspace()).copy(np.asarray(signals.samples))
        if filtered:
            x = band_limit(x, signals.rate_hz, signals.channels)
        return x if rate_hz == signals.rate_hz else resample(x, signals.rate_hz, rate_hz)
    rows_of: dict[int, np.ndarray] = {}
    for own_hz in sorted(set(signals.rates_hz)):
        rows = [k for k, hz in enumerate(signals.rates_hz) if hz == own_hz]
        x = np.array([signals.samples[k] for k in rows], dtype=np.float64)
        if filtered:
            x = band_limit(x, own_hz, tuple(signals.channels[k] for k in rows))
        if own_hz != rate_hz:
            x = resample(x, own_hz, rate_hz)
        rows_of |= dict(zip(rows, x, strict=True))
    n = min(len(row) for row in rows_of.values())
    return np.stack([rows_of[k][:n] for k in range(len(rows_of))])


def at_one_rate(signals: Signals) -> np.ndarray:
    """Return the samples of channels with several rates at the highest of them, (C, N), not filtered."""
    return _resampled(signals, False, signals.rate_hz)


def _baseline(signals: Signals, x: np.ndarray, onset: int, rate_hz: float, baseline_s: float) -> np.ndarray:
    """Return the baseline of x, (C, N) -> (C, B). Raises BadConfig if it lies outside."""
    length = round(baseline_s * rate_hz)
    if signals.baseline is None:
        return x[:, max(0, onset - length) : onset]
    begin, end = (sample * rate_hz / signals.rate_hz for sample in signals.baseline)
    first = round(begin)
    available = round(end - begin)
    last = first + (length if available >= length - 1 else available)  # the full length, up to rounding, or less
    if not (0 <= first <= last <= x.shape[1] + 1):
        raise BadConfig(
            f"a baseline from {begin / rate_hz:.2f} to {end / rate_hz:.2f} s of signals of {x.shape[1] / rate_hz:.2f} s"
        )
    return x[:, first:last]


def band_limit(x: np.ndarray, rate_hz: float, channels: tuple[Channel, ...]) -> np.ndarray:
    """Filter each channel by its kind, zero-phase, in place, (C, N), and return x. Channels released filtered are
    skipped.

    Raises BadConfig for a recording or a rate that is too short or too low to be filtered.
    """
    from scipy.signal import sosfiltfilt

    for band in sorted(set(BANDS.values()), key=str):
        rows = [i for i, c in enumerate(channels) if BANDS[c.kind] == band and not c.filtered]
        sections = band_sections(*band, rate_hz) if rows else None
        if sections is not None:
            if x.shape[1] <= 3 * (2 * len(sections) + 1):  # the filter mirrors so many at each end
                raise BadConfig(f"{x.shape[1]} samples at {rate_hz:g} Hz are too few to be filtered")
            at_once = max(1, CHUNK // x.shape[1])
            for i in range(0, len(rows), at_once):
                some = rows[i : i + at_once]
                x[some] = sosfiltfilt(sections, x[some], axis=-1)
    return x


@lru_cache  # designing a filter takes longer than running it over a trial
def band_sections(low: float | None, high: float, rate_hz: float) -> np.ndarray | None:
    """Return the second-order sections (k, 6) of a band's filter, or None if the rate itself limits the band.

    Raises BadConfig for a rate at which nothing of the band remains.
    """
    from scipy.signal import butter

    open_above = high >= rate_hz / 2
    if low is not None and low >= rate_hz / 2:
        raise BadConfig(
            f"signals at {rate_hz:g} Hz hold nothing of {low:g} to {high:g} Hz, all that is used: is this their rate?"
        )
    if low is None:
        return None if open_above else butter(ORDER, high, "lowpass", fs=rate_hz, output="sos")
    if open_above:
        return butter(ORDER, low, "highpass", fs=rate_hz, output="sos")
    return butter(ORDER, [low, high], "bandpass", fs=rate_hz, output="sos")


def missing_bandwidth(channels: tuple[Channel, ...], rate_hz: float | Sequence[float], to_hz: float) -> str:
    """Return a warning on what signals at `rate_hz` (of all channels, or of each) lack of the bands that are used at
    `to_hz`; empty for nothing."""
    rates = [rate_hz] * len(channels) if isinstance(rate_hz, int | float) else rate_hz
    slow = [(c.kind, hz) for c, hz in zip(channels, rates, strict=True) if min(BANDS[c.kind][1], to_hz / 2) > hz / 2]
    lacking = sorted({kind for kind, _ in slow})
    if not lacking:
        return ""
    slowest = min(hz for _, hz in slow)
    half = slowest / 2
    return (
        f"signals at {slowest:g} Hz hold nothing above {half:g} Hz, and the model saw more of {', '.join(lacking)} "
        f"in training: expect less of it"
    )


def resample(x: np.ndarray, rate_hz: float, to_hz: float) -> np.ndarray:
    """Return signals at another rate, with an anti-alias filter, (C, N) -> (C, N * to_hz / rate_hz).

    Polyphase for simple ratios of rates, otherwise interpolated at the exact times. The time of each sample is right to
    MAX_DRIFT samples of the new rate.

    Outside, the first and the last sample are repeated: beside zeros, a channel at 33 degrees would begin at 16.
    """
    from scipy.signal import resample_poly

    factors = ratio(rate_hz, to_hz, x.shape[1])
    if factors is None:
        return interpolate(x, rate_hz, to_hz)
    window = ("kaiser", KAISER_BETA) if factors[0] == 1 else _polyphase(*factors)
    return resample_poly(x, *factors, axis=-1, window=window, padtype="edge")


@lru_cache  # at 127.98 Hz it has 128,001 taps
def _polyphase(up: int, down: int) -> np.ndarray:
    """Return scipy's filter, with the taps of each output sample scaled to the same sum: otherwise a level of 33
    degrees varies by 0.02 from one sample to the next."""
    from scipy.signal import firwin

    half = HALF_LENGTH * max(up, down)
    taps = firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", KAISER_BETA))
    for phase in range(up):  # not in one expression: their numbers of taps differ
        taps[phase::up] /= up * taps[phase::up].sum()
    return taps


def ratio(rate_hz: float, to_hz: float, n_samples: float) -> tuple[int, int] | None:
    """Return integer factors (up, down), at most MAX_FACTOR, that resample `n_samples` with the last one right to
    MAX_DRIFT; None if there are none, as for many measured rates (255.999 Hz): the filter's length grows with them."""
    wanted = Fraction(to_hz) / Fraction(rate_hz)
    allowed = MAX_DRIFT / max(1.0, n_samples * float(wanted))
    rounded = Fraction(round(to_hz * 1000), max(1, round(rate_hz * 1000)))
    limits = [2**k for k in range(15)]
    for near in (rounded, *(wanted.limit_denominator(limit) for limit in limits)):
        if near > 0 and max(near.numerator, near.denominator) <= MAX_FACTOR and abs(near / wanted - 1) <= allowed:
            return near.numerator, near.denominator
    return None


def interpolate(x: np.ndarray, rate_hz: float, to_hz: float) -> np.ndarray:
    """Return signals at another rate, by a windowed sinc around each exact time, (C, N) -> (C, N * to_hz / rate_hz).

    The filter is tabulated at PHASES positions between two samples and interpolated linearly between them; its taps sum
    to 1 at each of them, so that a constant level is preserved.
    """
    step = rate_hz / to_hz  # from one new sample to the next, in old ones
    half = int(np.ceil(HALF_LENGTH * max(1.0, step)))
    place = np.arange(-half + 1, half + 1) - np.arange(PHASES + 1)[:, None] / PHASES  # (P + 1, T), from the new sample
    place /= max(1.0, step)
    taps = np.sinc(place) * np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (place / HALF_LENGTH) ** 2, 0, None)))
    taps *= abs(place) <= HALF_LENGTH
    taps /= taps.sum(axis=1, keepdims=True)
    padded = np.concatenate([np.repeat(x[:, :1], half, 1), x, np.repeat(x[:, -1:], half + 1, 1)], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half, axis=1)  # (C, N + 2, T)
    out = np.empty((len(x), int(np.ceil(x.shape[1] / step - 1e-9))))
    at_once = max(1, CHUNK // (2 * half * max(1, len(x))))
    for first in range(0, out.shape[1], at_once):
        at = np.arange(first, min(first + at_once, out.shape[1])) * step
        sample = at.astype(np.int64)
        phase, between = np.divmod((at - sample) * PHASES, 1)
        low = phase.astype(np.int64)
        here = taps[low] * (1 - between[:, None]) + taps[low + 1] * between[:, None]
        out[:, first : first + len(at)] = np.einsum("cnt,nt->cn", windows[:, sample + 1], here)
    return out


def baseline_correction(before: np.ndarray, rate_hz: float, how: str) -> np.ndarray:
    """Return what is subtracted from the stimulus, from the signals before it, (C, B) -> (C, 1) or (C, one second).

    mean      the mean over the whole baseline: one number a channel and trial
    template  the mean of the baseline's 1-s pieces, repeated through the trial: one waveform a channel and trial, as
              in older code; it adds the same waveform to every window of a trial (docs/method.md, the box)
    none      0
    """
    second = round(rate_hz)
    if how == "none" or not before.shape[1] or (how == "template" and before.shape[1] < second):
        return np.zeros((len(before), 1))
    if how == "mean":
        return before.mean(axis=1, keepdims=True, dtype=np.float64)
    pieces = before[:, before.shape[1] % second :].reshape(len(before), -1, second)  # (C, seconds, 1 s)
    return pieces.mean(axis=1, dtype=np.float64)

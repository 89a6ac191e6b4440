"""Signals made ready to be cut: filtered by kind, brought to the store's rate, freed of their baseline.

Shapes: C channels, N samples of a whole recording, L samples a window.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.signal import butter, firwin, resample_poly, sosfiltfilt

from ..config import PrepareConfig
from ..datasets.recording import Channel, Signals
from ..errors import BadConfig

# Pass bands in Hz (low, high); None is open. EEG as DEAP was released; the heart and the muscles keep their slow
# part; what is slow by nature is only freed of what is faster than it can be. Sources and reasons: docs/method.md.
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
CHUNK = 2**20  # samples that are filtered at once: a long recording's copies would take more memory than itself
DRIFT = 0.01  # samples of the new rate by which the last one may be off after resampling
PLAIN = 20_000  # the largest whole number in a ratio of rates that is resampled by a polyphase filter
HALF, KAISER = 10, 5.0  # of the anti-alias filter: samples of the lower rate on either side, as scipy's; and its window
PHASES = 512  # places between two samples at which it is tabulated
ORDER = 4  # of the Butterworth filter; run forwards and backwards, so its phase is zero and its gain is squared


def choose(channels: tuple[Channel, ...], names: tuple[str, ...] | None) -> list[int]:
    """Which channels to keep, by name. Raises BadConfig that lists what there is."""
    if names is None:
        return list(range(len(channels)))
    have = [c.name for c in channels]
    absent = [n for n in names if n not in have]
    if absent:
        raise BadConfig(f"channels: the corpus has no {', '.join(absent)}; it has {', '.join(have)}")
    return [have.index(n) for n in names]


class Cleaned(NamedTuple):
    x: np.ndarray  # (C, N) float64, the whole recording; its baseline is taken off from the stimulus on
    onset: int  # the sample at which the stimulus starts
    before: np.ndarray  # (C, B) float32, the baseline itself, filtered


def clean(signals: Signals, config: PrepareConfig, rate_hz: float, baseline_s: float) -> Cleaned:
    """A whole recording, filtered, at `rate_hz`, without its baseline: the `baseline_s` seconds before the stimulus.

    The whole of it is filtered and resampled before anything is cut, so that no window has a filter's edges.
    """
    x = _brought(signals, config.filter, rate_hz)
    onset = round(signals.onset * rate_hz / signals.rate_hz)
    if onset < 0:
        raise BadConfig(f"a stimulus that starts {-onset / rate_hz:.2f} s before its signals")
    if signals.baseline_signals is None:
        rest = _baseline(signals, x, onset, rate_hz, baseline_s)
    else:
        around = signals.baseline_signals
        rest = _baseline(around, _brought(around, config.filter, rate_hz), 0, rate_hz, baseline_s)
    before = rest.astype(np.float32)
    marked = baseline_mark(rest, rate_hz, config.baseline)  # not of the rounded: 33 degrees are steady
    stimulus = x[:, onset:]
    if marked.shape[1] == 1:
        stimulus -= marked
    else:
        stimulus -= np.tile(marked, -(-stimulus.shape[1] // marked.shape[1]))[:, : stimulus.shape[1]]
    return Cleaned(x, onset, before)


def _brought(signals: Signals, filtered: bool, rate_hz: float) -> np.ndarray:
    """All channels at one rate, filtered at their own if asked for, (C, N); a copy: the corpus keeps its own."""
    if signals.rates_hz is None:
        x = np.array(signals.samples, dtype=np.float64)
        if filtered:
            x = band_limit(x, signals.rate_hz, signals.channels)
        return x if rate_hz == signals.rate_hz else resample(x, signals.rate_hz, rate_hz)
    made: dict[int, np.ndarray] = {}
    for own_hz in sorted(set(signals.rates_hz)):
        rows = [k for k, hz in enumerate(signals.rates_hz) if hz == own_hz]
        x = np.array([signals.samples[k] for k in rows], dtype=np.float64)
        if filtered:
            x = band_limit(x, own_hz, tuple(signals.channels[k] for k in rows))
        if own_hz != rate_hz:
            x = resample(x, own_hz, rate_hz)
        made |= dict(zip(rows, x, strict=True))
    n = min(len(row) for row in made.values())
    return np.stack([made[k][:n] for k in range(len(made))])


def at_one_rate(signals: Signals) -> np.ndarray:
    """The samples of channels of several rates at that of the fastest, (C, N), not filtered."""
    return _brought(signals, False, signals.rate_hz)


def _baseline(signals: Signals, x: np.ndarray, onset: int, rate_hz: float, baseline_s: float) -> np.ndarray:
    """What the baseline is of x, (C, N) -> (C, B). Raises BadConfig if it lies outside."""
    length = round(baseline_s * rate_hz)
    if signals.baseline is None:
        return x[:, max(0, onset - length) : onset]
    begin, end = (place * rate_hz / signals.rate_hz for place in signals.baseline)
    first = round(begin)
    have = round(end - begin)
    last = first + (length if have >= length - 1 else have)  # all of it, but for rounding; or what there is of it
    if not (0 <= first <= last <= x.shape[1] + 1):
        raise BadConfig(
            f"a baseline from {begin / rate_hz:.2f} to {end / rate_hz:.2f} s of signals of {x.shape[1] / rate_hz:.2f} s"
        )
    return x[:, first:last]


def band_limit(x: np.ndarray, rate_hz: float, channels: tuple[Channel, ...]) -> np.ndarray:
    """Filter each channel by its kind, zero-phase, in place, (C, N). What was released filtered is left alone."""
    for band in sorted(set(BANDS.values()), key=str):
        rows = [i for i, c in enumerate(channels) if BANDS[c.kind] == band and not c.filtered]
        sections = band_sections(*band, rate_hz) if rows else None
        if sections is not None:
            if x.shape[1] <= 3 * (2 * len(sections) + 1):  # what the filter mirrors at each end
                raise BadConfig(f"{x.shape[1]} samples at {rate_hz:g} Hz are too few to be filtered")
            at_once = max(1, CHUNK // x.shape[1])
            for i in range(0, len(rows), at_once):
                some = rows[i : i + at_once]
                x[some] = sosfiltfilt(sections, x[some], axis=-1)
    return x


@lru_cache  # designing a filter takes longer than running it over a trial
def band_sections(low: float | None, high: float, rate_hz: float) -> np.ndarray | None:
    """Second-order sections of a band's filter, or None where the rate itself limits the band enough.

    Raises BadConfig for a rate at which nothing of the band is left.
    """
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


def beyond(channels: tuple[Channel, ...], rate_hz: float | Sequence[float], to_hz: float) -> str:
    """What signals at `rate_hz` (of all channels, or of each) lack of the bands that are used at `to_hz`, as a finding;
    empty for nothing."""
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
    """Resampling with its own anti-alias filter, (C, N) -> (C, N * to_hz / rate_hz).

    Polyphase at plain ratios of rates, else interpolated at the exact times. The time of each sample is right to DRIFT
    samples of the new rate.

    Outside, the first and the last sample go on: beside zeros, the first of a channel at 33 degrees would be at 16.
    """
    plain = ratio(rate_hz, to_hz, x.shape[1])
    if plain is None:
        return interpolate(x, rate_hz, to_hz)
    window = ("kaiser", KAISER) if plain[0] == 1 else _polyphase(*plain)
    return resample_poly(x, *plain, axis=-1, window=window, padtype="edge")


@lru_cache  # at 127.98 Hz it has 128,001 taps
def _polyphase(up: int, down: int) -> np.ndarray:
    """scipy's filter, of which the taps that make one sample add up to the same for every sample: without that a level
    of 33 degrees wavers by 0.02 from one sample to the next."""
    half = HALF * max(up, down)
    taps = firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", KAISER))
    for phase in range(up):  # not in one expression: their numbers of taps differ
        taps[phase::up] /= up * taps[phase::up].sum()
    return taps


def ratio(rate_hz: float, to_hz: float, n_samples: float) -> tuple[int, int] | None:
    """Whole numbers (up, down) up to PLAIN that bring `n_samples` to another rate, the last one right to DRIFT; None if
    there are none, as for many measured rates (255.999 Hz): the polyphase filter would be as long as they are large."""
    wanted = Fraction(to_hz) / Fraction(rate_hz)
    allowed = DRIFT / max(1.0, n_samples * float(wanted))
    rounded = Fraction(round(to_hz * 1000), max(1, round(rate_hz * 1000)))
    limits = [2**k for k in range(15)]
    for found in (rounded, *(wanted.limit_denominator(limit) for limit in limits)):
        if found > 0 and max(found.numerator, found.denominator) <= PLAIN and abs(found / wanted - 1) <= allowed:
            return found.numerator, found.denominator
    return None


def interpolate(x: np.ndarray, rate_hz: float, to_hz: float) -> np.ndarray:
    """The same filter as a windowed sinc around each exact time, (C, N) -> (C, N * to_hz / rate_hz), for any rates.

    The filter is tabulated at PHASES places between two samples, and taken linearly between those; its taps add up to 1
    at each of them, so that a level stays what it is.
    """
    step = rate_hz / to_hz  # from one new sample to the next, in old ones
    half = int(np.ceil(HALF * max(1.0, step)))
    place = np.arange(-half + 1, half + 1) - np.arange(PHASES + 1)[:, None] / PHASES  # (P + 1, T), from the new sample
    place /= max(1.0, step)
    taps = np.sinc(place) * np.i0(KAISER * np.sqrt(np.clip(1 - (place / HALF) ** 2, 0, None))) * (abs(place) <= HALF)
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


def baseline_mark(before: np.ndarray, rate_hz: float, how: str) -> np.ndarray:
    """What the stimulus is freed of, made from the signals before it, (C, B) -> (C, 1) or (C, one second).

    mean      the mean over the whole baseline: one number a channel and trial
    template  the mean of the baseline's 1-s pieces, repeated through the trial: one waveform a channel and trial. Older
              code does so; it marks every window of a trial with the same waveform (docs/method.md, the box)
    none      0
    """
    second = round(rate_hz)
    if how == "none" or not before.shape[1] or (how == "template" and before.shape[1] < second):
        return np.zeros((len(before), 1))
    if how == "mean":
        return before.mean(axis=1, keepdims=True, dtype=np.float64)
    pieces = before[:, before.shape[1] % second :].reshape(len(before), -1, second)  # (C, seconds, 1 s)
    return pieces.mean(axis=1, dtype=np.float64)

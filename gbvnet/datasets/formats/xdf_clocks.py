"""The times of an XDF file's samples: one clock for all computers, and for each stream where its samples were taken.

LabRecorder measures every few seconds how far the clock of each sending computer is from its own. A line through
these offsets brings all stamps to the recorder's clock. A device's own constant delay (`offset_mean`) is subtracted, as
the documentation of LSL asks.

Then each stream by its own rule, instead of one for all. pyxdf's default fits one line through all samples that are
less than 1 s or less than 500 samples apart: through a camera's lost second, which moves its frames by up to 0.5 s.

    a stated rate   lines between gaps (clock_fit.py), as an amplifier samples evenly whatever its stamps do, if the
                    stamps scatter by less than a sample around them, or come in bursts
    else            its stamps: events, frames, devices that sample when they like

Shapes: N samples, M measurements of an offset.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import BadRecording
from .clock_fit import MIN_ROWS, ClockFit, fit_clock
from .xdf_chunks import XdfStream

BREAK_STEPS = 3.0  # of the stated rate: a longer time between two samples is a break, a shorter one is bridged
RESET_S = 1.0  # a larger step between two measured offsets is another clock: the computer was started again
EPOCH_S = 1e9  # later stamps are seconds since 1970; a computer's own clock counts from when it was started
HUBER, ROUNDS = 1.5, 30  # of the line through the offsets: in scatters, and how often it is fitted
BURST_STEP, BURSTS = 0.1, 0.2  # this share of steps, shorter than this part of a sample, are bursts
MAX_RATE_ERROR = 0.1  # between the stated and the measured rate


class ClockLine(NamedTuple):
    """How a sender's clock lies on the recorder's: what is added to a stamp t is offset_s + drift * (t - at_s).

    refusal : why stamps cannot be placed; empty if they can
    """

    at_s: float = 0.0
    offset_s: float = 0.0
    drift: float = 0.0
    refusal: str = ""

    def added(self, stamps: np.ndarray) -> np.ndarray:
        """Return stamps (N,) on the recorder's clock."""
        return stamps + (self.offset_s + self.drift * (stamps - self.at_s))


def clock_line(offsets: np.ndarray) -> ClockLine:
    """Return the line through measured offsets (M, 2), of which single ones may be far off: the network was busy."""
    if not len(offsets):
        return ClockLine()
    t, offset = offsets.T
    resets = np.flatnonzero((np.diff(t) < 0) | (np.abs(np.diff(offset)) > RESET_S))
    if len(resets):
        k = int(resets[0])
        step = f"from {offset[k]:.3f} to {offset[k + 1]:.3f} s"
        return ClockLine(refusal=f"its computer's clock was set anew: its offset goes {step}")
    at = float(t.mean())
    if np.ptp(t) == 0:
        return ClockLine(at, float(np.median(offset)))
    x, weights = t - at, np.ones(len(t))
    for _ in range(ROUNDS):
        total = weights.sum()
        x_mean, y_mean = weights @ x / total, weights @ offset / total
        square = weights @ (x - x_mean) ** 2
        drift = float(weights @ ((x - x_mean) * (offset - y_mean)) / square) if square > 0 else 0.0
        level = float(y_mean - drift * x_mean)
        distance = np.abs(offset - level - drift * x)
        limit = HUBER * 1.4826 * float(np.median(distance)) + 1e-9
        weights = np.minimum(1.0, limit / np.maximum(distance, limit))
    return ClockLine(at, level, drift)


@dataclass(frozen=True, eq=False)
class TimedPiece:
    """Samples of a stream without a break between them.

    first, last : its first sample and the one after its last
    times_s : (last - first,) of its samples, not decreasing
    even : whether the device sampled evenly, so that values between samples are those of a band-limited signal
    """

    first: int
    last: int
    times_s: np.ndarray
    even: bool


@dataclass(frozen=True, eq=False)
class TimedStream:
    """A stream with the times of its samples.

    times_s : (N,) on the recorder's clock, as stamped
    pieces : its parts between breaks; none of texts, of too few samples and where it is refused
    rate_hz : at which it is read; the stated rate if the measured one is near it
    measured_hz : samples a second, breaks aside; 0 if unknown
    refusal : why it cannot be used beside others; empty if it can
    note : what a user should know of its clock
    """

    stream: XdfStream
    times_s: np.ndarray
    pieces: tuple[TimedPiece, ...] = ()
    rate_hz: float = 0.0
    measured_hz: float = 0.0
    refusal: str = ""
    note: str = ""

    @property
    def breaks(self) -> list[tuple[float, float]]:
        """When each break begins and ends, on the recorder's clock."""
        return [(float(a.times_s[-1]), float(b.times_s[0])) for a, b in pairwise(self.pieces)]


def timed_streams(path: Path, streams: tuple[XdfStream, ...]) -> tuple[TimedStream, ...]:
    """Return the streams of a file with their times. Why one cannot be used is its `refusal`; no other suffers."""
    placed = [_placed(stream) for stream in streams]
    epochs = [bool(len(t)) and float(np.median(t)) > EPOCH_S for t, _ in placed]
    mixed = any(epochs) and not all(epoch or not len(t) for epoch, (t, _) in zip(epochs, placed, strict=True))
    any_offsets = any(len(stream.offsets) for stream in streams)
    timed = []
    for stream, (times, line), epoch in zip(streams, placed, epochs, strict=True):
        if not len(times):
            timed.append(TimedStream(stream, times, refusal="it has no samples"))
        elif line.refusal or not np.isfinite(times).all():
            timed.append(TimedStream(stream, times, refusal=line.refusal or "its times are no numbers"))
        elif epoch and mixed:
            timed.append(TimedStream(stream, times, refusal=_EPOCH))
        else:
            alone = any_offsets and not len(stream.offsets)
            timed.append(_timed(path, stream, times, line, alone))
    return tuple(timed)


_EPOCH = (
    "its times are seconds since 1970, and those of other streams are not, so that nothing ties them: let the program "
    "that sends it stamp with LSL's clock (in BlueMuse: Settings, timestamp format LSL)"
)


def _placed(stream: XdfStream) -> tuple[np.ndarray, ClockLine]:
    line = clock_line(stream.offsets)
    return line.added(stream.stamps) - stream.offset_mean_s, line


def _timed(path: Path, stream: XdfStream, times: np.ndarray, line: ClockLine, alone: bool) -> TimedStream:
    clock = []
    if abs(line.drift) > 0:
        off = f"{-line.offset_s:+.3f} s and {-1e6 * line.drift:+.3g} ppm"
        clock.append(f"the clock of {stream.host or 'its computer'} is {off} off, which is undone")
    if alone:
        clock.append("no clock offsets: its clock is taken for the recorder's")
    if stream.offset_mean_s:
        clock.append(f"its stated delay of {1e3 * stream.offset_mean_s:g} ms is subtracted")
    if stream.is_text or stream.is_pictures or len(times) < 2:
        refusal = "" if stream.is_text else "it has one sample"
        return TimedStream(stream, times, refusal="it holds pictures" if stream.is_pictures else refusal,
                           note=", ".join(clock))  # fmt: skip
    fit = _fit(path, stream, times)
    if fit is not None:
        at = np.concatenate([s.start_s + np.arange(s.n) / s.rate_hz for s in fit.segments])
        measured_hz, even = fit.rate_hz, True
        clock.insert(0, f"95 % of its times are within {1e3 * fit.residual_95_s:.2g} ms of even steps")
    else:
        back = float(np.diff(times).min())
        usual = float(np.median(np.diff(times)))
        if back < -max(0.2, 10 * usual):
            k = int(np.argmin(np.diff(times)))
            return TimedStream(stream, times, refusal=f"its times go back by {-back:.3f} s after sample {k + 1:,}")
        at, even = np.maximum.accumulate(times), False
        usual = float(np.median(np.diff(at)[np.diff(at) > 0])) if np.ptp(at) else 0.0
        measured_hz = 1 / usual if usual else 0.0
        if stream.nominal_hz:
            clock.insert(0, "its times are not those of even steps, and are kept as stamped")
    if not measured_hz:
        return TimedStream(stream, times, refusal="all its samples have one time")
    return _with_pieces(stream, times, at, even, measured_hz, clock)


def _fit(path: Path, stream: XdfStream, times: np.ndarray) -> ClockFit | None:
    """Return the lines through the stamps of a device that samples evenly; None if they are not those of one."""
    if not stream.nominal_hz or len(times) < MIN_ROWS or np.ptp(times) == 0:
        return None
    try:
        fit = fit_clock(path, stream.name, times)
    except BadRecording:
        return None
    if abs(fit.rate_hz / stream.nominal_hz - 1) > MAX_RATE_ERROR:
        return None
    lines = np.concatenate([s.start_s + np.arange(s.n) / s.rate_hz for s in fit.segments])
    scatter = float(np.std(times - lines))
    bursts = float((np.diff(times) < BURST_STEP / stream.nominal_hz).mean())
    return fit if scatter < 1 / stream.nominal_hz or bursts > BURSTS else None


def _with_pieces(
    stream: XdfStream, times: np.ndarray, at: np.ndarray, even: bool, measured_hz: float, clock: list[str]
) -> TimedStream:
    """Return a stream in parts between breaks. at : (N,) the times of its samples"""
    near = stream.nominal_hz and abs(measured_hz / stream.nominal_hz - 1) <= MAX_RATE_ERROR
    rate_hz = stream.nominal_hz if near else float(f"{measured_hz:.3g}")
    longest_s = (BREAK_STEPS + 1e-6) / (stream.nominal_hz if even else min(rate_hz, measured_hz))
    edges = [0, *(np.flatnonzero(np.diff(at) > longest_s) + 1).tolist(), len(at)]
    pieces = tuple(TimedPiece(a, b, at[a:b], even) for a, b in pairwise(edges))
    breaks = [(float(at[k - 1]), float(at[k])) for k in edges[1:-1]]
    stated = f" (stated: {stream.nominal_hz:g})" if stream.nominal_hz else " (none stated)"
    gaps = f"{len(breaks)} break{'s' * (len(breaks) != 1)}"
    gaps += f", the longest of {max(b - a for a, b in breaks):.2f} s" if breaks else ""
    parts = [f"{measured_hz:.6g} samples a second{stated}", *clock, gaps]
    note = f"stream {stream.label}: {', '.join(parts)}"
    return TimedStream(stream, times, pieces, rate_hz, measured_hz, "", note)

"""The times of samples whose clock is uneven: a line (row -> time) fitted between gaps.

Wearables stamp a sample when it arrives: late by a varying delay, several at once, and with samples lost on the way.
The device itself samples at a constant rate, so a line through the stamps is closer to the truth than each of them.

Shapes: T rows of a file.
"""

from bisect import bisect_right, insort
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import BadRecording
from ...text import shortened

MIN_ROWS = 16  # fewer rows are too few for a line
# A gap is a step longer than GAP_STEPS periods and the jitter of 95 % of the steps, after which the stamps stay late by
# more than half of it; after a sample that was only delivered late they do not.
GAP_STEPS = 1.5
STAYS = 0.5
AROUND, AROUND_S = (25, 500), 10.0  # rows before and after a step that are compared for this, and their seconds
# The error of a fitted time is what the stamps deviate from the line for long, as where samples are lost one by one or
# the rate changes: the median of BLOCK_S. It may be 20 ms, as of even clocks, which is half a face frame at 25 Hz, or
# half a period of a slow signal, as a sample stands for the time around it.
MAX_DEVIATION_S = 0.02
BLOCK_S, BLOCK_ROWS = 5.0, 16
# Single stamps may scatter more, as a line averages them: of a minute in packets of 0.1 s the line is right to 10 ms.
# Beyond that the times are more likely those of events.
MAX_JITTER_S = 0.1  # of 95 % of the stamps, or half a period
# A step back may be half a period, 20 ms, or BACK_JITTER times the jitter of 95 % of the steps, to 0.2 s at the most; a
# larger one is another recording, or rows in the wrong order.
BACK_S, BACK_JITTER, MAX_BACK_S = 0.02, 3.0, 0.2
MAX_RATE_ERROR = 0.1  # between the fitted rate and the one that is stated
OWN_RATE_S = 30.0  # segments from this length on have a rate of their own; shorter ones the file's
LAG_S, LAG = 2.0, (8, 256)  # seconds, and rows, over which the period is first estimated: they hold several packets


class ClockSegment(NamedTuple):
    """Rows of a file without a gap: row `first` + k was sampled at start_s + k / rate_hz."""

    first: int
    n: int
    start_s: float
    rate_hz: float


class ClockFit(NamedTuple):
    """The lines through the stamps of an uneven clock.

    name : of its column
    rate_hz : of the whole file, gaps aside
    segments : between gaps, in order
    residual_95_s, residual_max_s : how far 95 % of the stamps, and all of them, are from the lines
    """

    name: str
    rate_hz: float
    segments: tuple[ClockSegment, ...]
    residual_95_s: float
    residual_max_s: float

    def note(self, path: Path, nominal_hz: float | None) -> str:
        """Return a message on the fit, with the gaps. nominal_hz : the rate that the file or the user states"""
        stated = ""
        if nominal_hz:
            percent = 100 * (self.rate_hz / nominal_hz - 1)
            stated = f" ({abs(percent):.2g} % {'more' if percent > 0 else 'less'} than the stated {nominal_hz:g})"
        gaps = [
            f"{one.start_s + one.n / one.rate_hz:.2f} to {other.start_s:.2f} s"
            for one, other in pairwise(self.segments)
        ]
        missing = f"; {len(gaps)} gap{'s' * (len(gaps) > 1)}: {shortened(gaps)}" if gaps else ""
        return (
            f"{path.name}: the times of {self.name} are uneven, and a line is fitted to them: {self.rate_hz:.6g} "
            f"samples a second{stated}; 95 % of the times are within {1e3 * self.residual_95_s:.3g} ms of it, all "
            f"within {1e3 * self.residual_max_s:.3g} ms{missing}"
        )

    def require_nominal(self, path: Path, nominal_hz: float | None) -> None:
        """Raise BadRecording if the rate is not near the one that is stated."""
        if nominal_hz and abs(self.rate_hz / nominal_hz - 1) > MAX_RATE_ERROR:
            expected = f"about the stated {nominal_hz:g} samples a second in column {self.name}"
            remedy = f"They may differ by {MAX_RATE_ERROR:.0%}. Is the unit of the column right? Are rows missing?"
            raise BadRecording(path, expected, f"{self.rate_hz:.6g}", remedy)


def fit_clock(path: Path, name: str, t: np.ndarray) -> ClockFit:
    """Return the lines through the times t (T,) of a column, at least MIN_ROWS.

    Raises BadRecording, with the place, for times that go back, or that are not those of a constant rate.
    """
    period = _period(t)
    jitter = float(np.percentile(np.abs(np.diff(t) - period), 95))
    _require_forward(path, name, t, period, jitter)
    for _ in range(2):  # again with the period between the gaps, not across them
        cuts = _gaps(t, period, jitter)
        period = _common_period(t, cuts) or period
    segments = _lines(t, cuts, period)
    while (merged := _without_false_gaps(segments, period)) != cuts:
        cuts = merged
        segments = _lines(t, cuts, period)
    residuals = np.concatenate([_residuals(t, segment) for segment in segments])
    _require_constant_rate(path, name, t, segments, residuals)
    rows = sum(segment.n - 1 for segment in segments)
    seconds = sum((segment.n - 1) / segment.rate_hz for segment in segments)
    size = np.abs(residuals)
    return ClockFit(
        name, rows / seconds, tuple(segments), float(np.percentile(size, 95)), float(size.max()),
    )  # fmt: skip


def _period(t: np.ndarray) -> float:
    """Return a first estimate of the step between two samples of times (T,): the median over several packets."""
    mean = float(t[-1] - t[0]) / (len(t) - 1)
    lag = min(int(np.clip(LAG_S / mean, *LAG)), len(t) // 2) if mean > 0 else 1
    period = float(np.median(t[lag:] - t[:-lag])) / lag
    return period if period > 0 else mean


def _common_period(t: np.ndarray, cuts: list[int]) -> float:
    """Return the step between two samples by the lines of all segments together; 0 if they have one row each."""
    moments = [_moments(t[a:b]) for a, b in pairwise([0, *cuts, len(t)])]
    square = sum(one[1] for one in moments)
    return max(0.0, sum(one[2] for one in moments) / square) if square else 0.0


def _require_forward(path: Path, name: str, t: np.ndarray, period: float, jitter: float) -> None:
    limit = max(BACK_S, period / 2, min(BACK_JITTER * jitter, MAX_BACK_S))
    steps = np.diff(t)
    k = int(np.argmin(steps))
    if steps[k] < -limit or period <= 0:
        back = f"at {t[k]:.3f} s it goes back by {-steps[k]:.6g} s, between data rows {k + 1} and {k + 2}"
        remedy = f"At most {limit:.3g} s are taken for jitter. Are two recordings in one file, or rows out of order?"
        raise BadRecording(path, f"times that increase in column {name}", back, remedy)


def _gaps(t: np.ndarray, period: float, jitter: float) -> list[int]:
    """Return the first row after each gap, in order. jitter : of 95 % of the steps, in seconds"""
    steps = np.diff(t)
    long = np.flatnonzero(steps > GAP_STEPS * period + jitter)
    most = max(AROUND[0], min(AROUND[1], AROUND_S / period))
    around = int(np.clip(4 * len(t) // (len(long) + 1), AROUND[0], most))  # several packets
    late = t - t[0] - period * np.arange(len(t))  # (T,) of each stamp, from a line through the first
    total = np.concatenate([[0.0], np.cumsum(late)])
    scatter = _scatter(late, total, around)
    cuts = [0, len(t)]
    for row in (long[np.argsort(-steps[long], kind="stable")] + 1).tolist():  # the longest first
        place = bisect_right(cuts, row)
        low, high = max(cuts[place - 1], row - around), min(cuts[place], row + around)
        before, after = (total[row] - total[low]) / (row - low), (total[high] - total[row]) / (high - row)
        unsure = scatter if min(row - low, high - row) < AROUND[0] else 0.0  # a part of a packet has another mean
        if after - before > STAYS * (steps[row - 1] - period) + unsure:
            insort(cuts, row)
    return cuts[1:-1]


def _scatter(late: np.ndarray, total: np.ndarray, around: int) -> float:
    """Return how far 95 % of the stamps are from the mean of those around them. total : (T + 1,) sums of `late`"""
    rows = np.arange(len(late))
    low, high = np.maximum(rows - around, 0), np.minimum(rows + around, len(late))
    return float(np.percentile(np.abs(late - (total[high] - total[low]) / (high - low)), 95))


def _lines(t: np.ndarray, cuts: list[int], period: float) -> list[ClockSegment]:
    """Return the least-squares line of each segment; `cuts` : the first row after each gap."""
    common = _common_period(t, cuts) or period
    segments = []
    for a, b in pairwise([0, *cuts, len(t)]):
        mean, rows_square, product = _moments(t[a:b])
        own = (b - a) * period >= OWN_RATE_S and rows_square > 0
        slope = product / rows_square if own else common
        slope = float(slope) if slope > 0 else period
        start_s = round(mean - slope * (b - a - 1) / 2, 9) + 0.0  # no -0.0
        segments.append(ClockSegment(a, b - a, start_s, 1 / slope))
    return segments


def _moments(t: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of times (T,), the sum of squares of their rows about the mean, and of rows times times."""
    rows = np.arange(len(t)) - (len(t) - 1) / 2
    mean = float(t[0] + (t - t[0]).mean())
    return mean, float(rows @ rows), float(rows @ (t - mean))


def _without_false_gaps(segments: list[ClockSegment], period: float) -> list[int]:
    """Return the first row after each gap that the lines before and after it confirm."""
    return [
        other.first
        for one, other in pairwise(segments)
        if other.start_s - (one.start_s + one.n / one.rate_hz) > STAYS * period
    ]


def _residuals(t: np.ndarray, segment: ClockSegment) -> np.ndarray:
    own = t[segment.first : segment.first + segment.n]
    return own - segment.start_s - np.arange(segment.n) / segment.rate_hz


def _require_constant_rate(
    path: Path, name: str, t: np.ndarray, segments: list[ClockSegment], residuals: np.ndarray
) -> None:
    """Raise BadRecording if the stamps scatter too much about the lines, or stay beside them for long."""
    expected = f"column {name} with the times of a constant rate between gaps"
    remedy = "If the samples are regular nevertheless, delete the column and give their rate; else resample them."
    jitter = float(np.percentile(np.abs(residuals), 95))
    period = max(1 / segment.rate_hz for segment in segments)
    limit = max(MAX_JITTER_S, period / 2)
    if jitter > limit:
        k = int(np.argmax(np.abs(residuals)))
        scatter = f"times of which 5 % are {jitter:.3g} s or more beside a line, {abs(residuals[k]):.3g} s in data row "
        raise BadRecording(path, expected, f"{scatter}{k + 1}", f"At most {limit:.3g} s are allowed. {remedy}")
    for segment in segments:
        size = max(BLOCK_ROWS, round(BLOCK_S * segment.rate_hz))
        own = residuals[segment.first : segment.first + segment.n]
        blocks = np.array_split(own, max(1, segment.n // size))
        middle = [float(np.median(block)) for block in blocks]
        k = int(np.argmax(np.abs(middle)))
        limit = max(MAX_DEVIATION_S, 0.5 / segment.rate_hz)
        if abs(middle[k]) > limit:
            row = segment.first + sum(len(block) for block in blocks[:k])
            beside = f"{abs(middle[k]):.3g} s {'later' if middle[k] > 0 else 'earlier'} than at {segment.rate_hz:.6g}"
            where = f"from data row {row + 1} on, at {t[row]:.3f} s"
            deviation = f"a rate that changes: {where}, times are {beside} samples a second"
            raise BadRecording(path, expected, deviation, f"At most {limit:.3g} s are allowed. {remedy}")

"""The rows of a device's table on a regular grid: lost samples by the device's counter, the clock by its time stamps.

A wearable samples at a constant rate. Its file has a row for each sample that arrived, stamped when it arrived, and
often a counter. The counter tells how many samples are lost; a line through the stamps tells when each was taken.

Shapes: T rows of a file, C channels, N samples on the grid.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import BadRecording
from .clock_fit import MIN_ROWS, OWN_RATE_S, ClockFit, ClockSegment, fit_clock
from .pauses import MIN_PAUSE_S
from .segments import Segment

MIN_REGULAR = 0.5  # share of the counter's steps that must be the usual one
MAX_LOST = 0.9  # share of lost samples with which a counter is still believed
QUIET_S = 1e-3  # a clock with less jitter than this needs no note


class RowTimes(NamedTuple):
    """What a file tells of the times of its rows.

    nominal_hz : the rate that the file states, or that the device has; None if neither is known
    stamps : (T,) seconds; None if there are none. name : of their column
    counter : (T,) numbers of samples that begin anew at some value; None if there is none
    counter_name : of its column
    """

    nominal_hz: float | None
    stamps: np.ndarray | None = None
    name: str = ""
    counter: np.ndarray | None = None
    counter_name: str = ""


class GridRows(NamedTuple):
    """Samples at constant rates between pauses.

    samples : (N, C) float64
    segments : parts between pauses; second 0 is the first sample
    rates_hz : of each segment
    rate_hz : of the whole file
    start_s : of the first sample, on the clock of the stamps; 0 without stamps
    notes : on lost samples and on the clock
    """

    samples: np.ndarray
    segments: tuple[Segment, ...]
    rates_hz: tuple[float, ...]
    rate_hz: float
    start_s: float
    notes: tuple[str, ...]


def grid_rows(path: Path, values: np.ndarray, times: RowTimes) -> GridRows:
    """Return the samples of a device at constant rates, from rows (T, C) and their times.

    One to a few lost samples (up to 0.02 s) are bridged by a straight line, and counted in a note; longer losses are
    pauses. Raises BadRecording if there are too few rows, or if times and rate do not fit together.
    """
    if len(values) < MIN_ROWS:
        raise BadRecording(path, f"at least {MIN_ROWS} rows of samples", f"{len(values)}")
    places = _places(times)
    if places is not None:
        try:
            return _placed(path, values, times, places)
        except BadRecording:
            if places.lost == 0 or times.stamps is None:
                raise
    placed = _placed(path, values, times, None)
    unused = f"{times.counter_name} does not count the samples of a constant rate: lost samples are known by time alone"
    return placed._replace(notes=(unused, *placed.notes)) if times.counter is not None else placed


def _placed(path: Path, values: np.ndarray, times: RowTimes, places: "CounterPlaces | None") -> GridRows:
    notes = []
    stamps = times.stamps
    missing = np.zeros(len(values), bool)
    if places is not None:
        keep, at = places.rows, places.places
        values, missing = _on_grid(values[keep], at), np.ones(at[-1] + 1, bool)
        missing[at] = False
        stamps = None if stamps is None else np.interp(np.arange(at[-1] + 1), at, stamps[keep])
        notes += places.notes(times.counter_name)
    if stamps is None or np.ptp(stamps) == 0:
        lines, start_s, clock_notes = _by_rate(path, len(values), times, stamps)
    else:
        lines, start_s, clock_notes = _by_stamps(path, stamps, times)
    segments, rates = _segments(lines, missing)
    rows = sum(line.n - 1 for line in lines)
    seconds = sum((line.n - 1) / line.rate_hz for line in lines)
    rate_hz = rows / seconds if seconds else lines[0].rate_hz
    return GridRows(values, segments, rates, rate_hz, start_s, (*notes, *clock_notes))


def _on_grid(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return rows (T, C) at their places on a grid (N, C), with a straight line over those that are missing."""
    grid = np.arange(at[-1] + 1)
    if len(grid) == len(at):
        return values
    return np.stack([np.interp(grid, at, column) for column in values.T], axis=1)


def _by_rate(
    path: Path, n: int, times: RowTimes, stamps: np.ndarray | None
) -> tuple[list[ClockSegment], float, list[str]]:
    """Return one line of the nominal rate for all rows, where no stamps tell more."""
    if times.nominal_hz is None:
        raise BadRecording(path, "times of the samples or their rate", "neither")
    start_s = 0.0 if stamps is None else float(stamps[0])
    notes = [] if stamps is None else [f"{times.name} is the same in all rows: samples are placed by the stated rate"]
    return [ClockSegment(0, n, start_s, times.nominal_hz)], start_s, notes


def _by_stamps(path: Path, stamps: np.ndarray, times: RowTimes) -> tuple[list[ClockSegment], float, list[str]]:
    """Return lines through the stamps: of the stated rate, if jitter alone may explain that the stamps' differs."""
    fit = fit_clock(path, times.name, stamps)
    fit.require_nominal(path, times.nominal_hz)
    lines = list(fit.segments)
    if times.nominal_hz and _is_nominal(fit, len(stamps), times.nominal_hz):
        lines = [_at_rate(line, stamps, times.nominal_hz) for line in lines]
    start_s = lines[0].start_s
    uneven = fit.residual_max_s > QUIET_S or len(fit.segments) > 1
    return lines, start_s, [_clock_note(path, fit, start_s, times.nominal_hz)] if uneven else []


def _is_nominal(fit: ClockFit, n: int, nominal_hz: float) -> bool:
    """Return whether the stated rate is better than the fitted one: in a short file, or where they hardly differ."""
    drift_s = n * abs(1 / fit.rate_hz - 1 / nominal_hz)
    return n / nominal_hz < OWN_RATE_S or drift_s < QUIET_S


def _at_rate(line: ClockSegment, stamps: np.ndarray, rate_hz: float) -> ClockSegment:
    own = stamps[line.first : line.first + line.n]
    start_s = float(own[0] + (own - own[0]).mean() - (line.n - 1) / 2 / rate_hz)
    return ClockSegment(line.first, line.n, start_s, rate_hz)


def _clock_note(path: Path, fit: ClockFit, start_s: float, nominal_hz: float | None) -> str:
    """Return the note on a fit, with its gaps in seconds from the first sample on."""
    from_zero = tuple(one._replace(start_s=one.start_s - start_s) for one in fit.segments)
    return fit._replace(segments=from_zero).note(path, nominal_hz).removeprefix(f"{path.name}: ")


def _segments(lines: list[ClockSegment], missing: np.ndarray) -> tuple[tuple[Segment, ...], tuple[float, ...]]:
    """Return the segments of lines, parted where samples are missing for long (`missing`, (N,) bool)."""
    segments, rates = [], []
    for line in lines:
        for first, last in _parts(missing[line.first : line.first + line.n], round(MIN_PAUSE_S * line.rate_hz)):
            start_s = line.start_s - lines[0].start_s + first / line.rate_hz
            at_s = (line.first + first) / line.rate_hz
            segments.append(Segment(start_s, (last - first) / line.rate_hz, at_s))
            rates.append(line.rate_hz)
    return tuple(segments), tuple(rates)


def _parts(missing: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Return the first and the last but one row of the parts between more than `most` missing rows."""
    edges = np.flatnonzero(np.diff(np.r_[0, missing.astype(np.int8), 0]))
    long = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > most]
    starts, stops = [0, *(b for _, b in long)], [*(a for a, _ in long), len(missing)]
    return [(a, b) for a, b in zip(starts, stops, strict=True) if b > a]


# ---------------------------------------------------------------- counters


class CounterPlaces(NamedTuple):
    """The places of rows on the grid of all samples, by the device's counter.

    rows : (T,) bool, of those that are no repetition. places : (T',) int64, increasing, the first is 0
    lost : how many samples are lost; gaps : in how many places. repeated : rows that repeat a sample
    """

    rows: np.ndarray
    places: np.ndarray
    lost: int
    gaps: int
    repeated: int

    def notes(self, name: str) -> list[str]:
        """Return notes on lost and repeated samples. name : of the counter's column"""
        notes = []
        if self.lost:
            percent = 100 * self.lost / (self.places[-1] + 1)
            one = f"{self.lost} of {self.places[-1] + 1} samples are lost ({percent:.2g} %), in {self.gaps} places"
            notes.append(f"{one}, by {name}; up to {MIN_PAUSE_S:g} s are bridged by a straight line, more is a pause")
        if self.repeated:
            notes.append(f"{self.repeated} rows repeat a sample by {name}, and are left out")
        return notes


def _places(times: RowTimes) -> CounterPlaces | None:
    places = None if times.counter is None else counter_places(times.counter)
    return None if places is None or places.lost > MAX_LOST * (places.places[-1] + 1) else places


def counter_places(counter: np.ndarray) -> CounterPlaces | None:
    """Return the places of rows by their counter (T,); None if it does not count regularly.

    Which step it has, how many rows share a value, and at which value it begins anew, are taken from the counter
    itself: a Cyton counts 0 to 255, with a Daisy in steps of 2, a Ganglion has two rows of each value.
    """
    if len(counter) < 3 or not np.isfinite(counter).all() or (np.abs(counter) > 2**53).any():
        return None
    values = np.rint(counter).astype(np.int64)
    starts = np.r_[0, np.flatnonzero(np.diff(values)) + 1]
    lengths = np.diff(np.r_[starts, len(values)])
    per_value = _commonest(lengths)
    steps = np.diff(values[starts])
    if not (steps > 0).any():
        return None
    step = _commonest(steps[steps > 0])
    if (steps < 0).any():
        size = step - int(-_commonest(-steps[steps < 0]))
        if size <= int(np.ptp(values)):
            return None
        steps = np.where(steps < 0, steps + size, steps)
    if (steps <= 0).any() or (steps == step).mean() < MIN_REGULAR:
        return None
    runs = np.repeat(np.arange(len(starts)), lengths)
    within = np.arange(len(values)) - starts[runs]
    within[: lengths[0]] += max(0, per_value - int(lengths[0]))  # the file may begin within a value
    at = per_value * np.r_[0, np.cumsum(np.rint(steps / step).astype(np.int64))][runs] + within
    rows = within < per_value
    places = at[rows] - at[rows][0]
    gaps = np.diff(places) - 1
    if (gaps < 0).any():
        return None
    return CounterPlaces(rows, places, int(gaps.sum()), int((gaps > 0).sum()), int((~rows).sum()))


def _commonest(values: np.ndarray) -> int:
    distinct, counts = np.unique(values, return_counts=True)
    return int(distinct[np.argmax(counts)])

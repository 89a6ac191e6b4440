"""Signals as they come: cleaned causally, and kept only as long as a window may still ask for them.

Shapes: C channels; n samples that came; L samples a window.
"""

from collections import deque
from zlib import crc32

import numpy as np

from ...datasets.recording import Channel
from ...preprocessing.signals import baseline_correction
from .causal_filters import CausalFilter, CausalResampler, Places
from .device_clock import STEP_S, DeviceClock

GAP_S = 0.25  # time stamps waver by milliseconds; a jump of more than this is a gap
AROUND_S = 0.1  # that the anti-alias filter spreads a sample at most, near enough
LATE, ENDED, GAP, NO_BASELINE = "signals late", "signals ended", "gap in the signals", "no baseline yet"


class SignalStream:
    """Channels of one device on the clock of a stream.

    rate_hz, to_hz : of what comes, and of the windows
    keep_s : how far back a window may ask
    filter, baseline : as in prepare
    baseline_s : length of the rest; baseline_start_s : its start on the stream's clock, the first sample if None
    running_s : take the mean of the seconds right before each window instead; None for no such thing

    A gap (times that jump, samples that are no numbers) starts the filters anew; windows that touch it have no signals.
    Samples lie where the time stamps of their chunks say, though the device's rate is not quite the stated one
    (`deviceclock`); `message` says so.
    """

    def __init__(
        self,
        channels: tuple[Channel, ...],
        rate_hz: float,
        to_hz: float,
        *,
        keep_s: float,
        filter: bool = True,
        baseline: str = "mean",
        baseline_s: float = 0.0,
        baseline_start_s: float | None = None,
        running_s: float | None = None,
    ):
        self.channels, self.rate_hz, self.to_hz = channels, rate_hz, to_hz
        self.filter, self.how = filter, baseline
        self.running = None if running_s is None else round(running_s * to_hz)
        self.ended = False
        self.dropped = 0  # samples that came twice, or too late
        self._ring = np.full((len(channels), round((keep_s + (running_s or 0)) * to_hz)), np.nan)
        self._end: int | None = None  # number of the next sample at to_hz; number 0 is at second 0
        self._catching_up = False  # what comes now came before
        self._clock = DeviceClock(rate_hz)  # of the piece without gaps
        self._piece_from = 0  # number of the piece's first sample at to_hz
        self._on_grid = True  # samples at to_hz are those of a regular grid from the piece's first one on
        self._stamped: deque[tuple[float, int]] = deque(maxlen=64)  # the last time stamps, and sums of their samples
        self._bad: deque[tuple[int, int]] = deque(maxlen=64)  # numbers from, to: samples of uncertain time
        rest = 0 if baseline == "none" or running_s is not None else round(baseline_s * to_hz)
        self._before = np.empty((len(channels), rest))
        self._rested = 0  # samples of it that are there
        self._rest_from = None if baseline_start_s is None else round(baseline_start_s * to_hz)
        self._mark = np.zeros((len(channels), 1)) if not rest else None

    @property
    def reached_s(self) -> float:
        """The time up to which samples came; minus infinity before the first."""
        return -np.inf if self._end is None else self._clock.reached_s

    @property
    def true_rate_hz(self) -> float:
        """By the time stamps so far."""
        return self._clock.true_rate_hz

    @property
    def message(self) -> str:
        """A sentence if the device's rate is not the stated one, else nothing."""
        return self._clock.message

    def push(self, x: np.ndarray, time_s: float | None = None) -> None:
        """x (C, n), the time of its first sample; None: right after the last, the first of all at 0."""
        if time_s is None or not self.repeats(x, time_s):
            self.take(x, time_s, stamped=time_s is not None)

    def repeats(self, x: np.ndarray, time_s: float) -> bool:
        """Whether this very chunk came shortly before, and must not be taken again. Notes its time stamp."""
        this = time_s, crc32(np.ascontiguousarray(x).tobytes())
        if this in self._stamped:
            self.dropped += x.shape[1]
            return True
        self._clock.see(x.shape[1], time_s)
        self._stamped.append(this)
        return False

    def take(self, x: np.ndarray, time_s: float | None, stamped: bool) -> None:
        """As `push`, of a chunk that is no repetition, or of a piece of one.

        stamped : the time is the device's own, and not counted from an earlier one
        """
        self.ended = False
        if time_s is None:
            time_s = 0.0 if self._end is None else self.reached_s
        finite = np.isfinite(x).all(axis=0)
        if finite.all():
            self._push(x, time_s, stamped=stamped)
            return
        edges = np.flatnonzero(np.diff(finite)) + 1
        for first, last in zip([0, *edges], [*edges, x.shape[1]], strict=True):
            if finite[first]:
                self._push(x[:, first:last], time_s + first / self.true_rate_hz, anew=first > 0)
            elif last == x.shape[1]:  # so that the next chunk is no continuation
                self._gap_to(time_s + last / self.true_rate_hz)

    def _push(self, x: np.ndarray, time_s: float, anew: bool = False, stamped: bool = False) -> None:
        jump = time_s - (-np.inf if self._end is None else self._clock.next_s)
        if jump > GAP_S or anew:
            self._gap_to(time_s)
        elif jump < -GAP_S or self._catching_up:
            twice = max(0, min(round(-jump * self.rate_hz), x.shape[1]))
            self.dropped += twice
            x, stamped = x[:, twice:], stamped and not twice
            self._catching_up = not x.shape[1]
        elif stamped and -jump > max(STEP_S, 10 * self._clock.jitter_s) and self._goes_back(time_s):
            self._doubt(time_s, self._clock.next_s + x.shape[1] / self.rate_hz)  # chunks in the wrong order
        if x.shape[1]:
            lost_from = self._clock.push(x.shape[1], time_s if stamped else None)
            if lost_from is not None:
                self._doubt(lost_from, self._clock.reached_s)
                self._gap_to(time_s)
                self._clock.push(x.shape[1], time_s)
            self._append(self._resampled(self._filtered(x) if self.filter else x, self._places()))

    def _goes_back(self, time_s: float) -> bool:
        """Whether a time is before that of the chunk that came right before."""
        return len(self._stamped) > 1 and time_s < self._stamped[-2][0]

    def _doubt(self, from_s: float, to_s: float) -> None:
        """Windows that touch these seconds have no signals."""
        self._bad.append(
            (int(np.floor((from_s - AROUND_S) * self.to_hz)), int(np.ceil((to_s + AROUND_S) * self.to_hz)))
        )

    def _places(self) -> Places | None:
        """Where samples at to_hz lie among those of the piece; None: on the regular grid."""
        self._on_grid = self._on_grid and not self._clock.corrected
        if self._on_grid:
            return None
        return lambda numbers: self._clock.places((self._piece_from + numbers) / self.to_hz)

    def _gap_to(self, time_s: float) -> None:
        """Begin anew at a time."""
        number = int(np.ceil(time_s * self.to_hz - 1e-6))
        self.finish()
        self._catching_up = False
        if self._end is not None:
            number = max(number, self._end)
            self._write(np.full((len(self.channels), 1), np.nan), self._end)  # however short, a gap is in some window
            self._write(np.full((len(self.channels), min(number - self._end, self._ring.shape[1])), np.nan), number)
        self._end = self._piece_from = number
        self._clock.restart(time_s)
        self._on_grid = abs(number / self.to_hz - time_s) < 1e-6
        self._filtered = CausalFilter(self.channels, self.rate_hz)
        self._resampled = CausalResampler(len(self.channels), self.rate_hz, self.to_hz)
        if self._mark is None:
            self._rested = 0
            self._rest_from = number if self._rest_from is None else max(self._rest_from, number)

    def _append(self, y: np.ndarray) -> None:
        assert self._end is not None
        if self._mark is None and self._rest_from is not None:
            wanted = self._before.shape[1]
            new = y[:, max(0, self._rest_from + self._rested - self._end) :][:, : wanted - self._rested]
            self._before[:, self._rested : self._rested + new.shape[1]] = new
            self._rested += new.shape[1]
            if self._rested == wanted:
                self._mark = baseline_correction(self._before, self.to_hz, self.how)
        self._write(y, self._end + y.shape[1])

    def _write(self, y: np.ndarray, end: int) -> None:
        """Put samples in that end before number `end`."""
        size = self._ring.shape[1]
        y = y[:, -size:] if y.shape[1] > size else y
        self._ring[:, np.arange(end - y.shape[1], end) % size] = y
        self._end = end

    def finish(self) -> None:
        """No more will come before a gap or the end: what waited for the next samples is made without them."""
        if self._end is not None and self._clock.n:
            self._append(self._resampled.rest(self._clock.n, self._places()))

    def end(self) -> None:
        """No more will come."""
        self.finish()
        self.ended = True

    def has(self, past: int) -> bool:
        """Whether all samples before number `past` are there, or will never be."""
        return self.ended or (self._end is not None and self._end >= past)

    def window(self, first: int, length: int, onset: int) -> tuple[np.ndarray | None, str]:
        """Samples `first` to first + length, (C, L) float32, without their baseline; or None, and why.

        onset : where a baseline of 1-s pieces begins to repeat
        """
        if self._end is None or self._end < first + length:
            return None, ENDED if self.ended else LATE
        x = self._read(first, length)
        if not np.isfinite(x).all() or any(a < first + length and b > first for a, b in self._bad):
            return None, GAP
        mark = self._mark
        if self.running is not None:
            mark = self._read(first - self.running, self.running).mean(axis=1, keepdims=True)
        if mark is None or not np.isfinite(mark).all():
            return None, NO_BASELINE
        if mark.shape[1] > 1:
            mark = mark[:, np.arange(first - onset, first - onset + length) % mark.shape[1]]
        return (x - mark).astype(np.float32), ""

    def _read(self, first: int, length: int) -> np.ndarray:
        """(C, length), NaN where nothing came or it is forgotten."""
        assert self._end is not None
        size = self._ring.shape[1]
        at = np.arange(first, first + length)
        x = self._ring[:, at % size]
        x[:, (at < self._end - size) | (at >= self._end)] = np.nan
        return x

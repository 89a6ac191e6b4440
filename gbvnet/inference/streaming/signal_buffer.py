"""The signals of a stream: filtered and resampled causally, and kept for the windows that are still to come.

Shapes: C channels; n samples received; L samples a window.
"""

from collections import deque
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from ...datasets.recording import Channel
from .baseline import StreamBaseline
from .causal_filters import CausalFilter, CausalResampler, Positions
from .device_clock import STEP_S, DeviceClock
from .sample_ring import SampleRing

GAP_S = 0.25  # time stamps vary by milliseconds; a jump of more than this is a gap
AROUND_S = 0.1  # how far the anti-alias filter spreads a sample, nearly
LATE, ENDED, GAP, NO_BASELINE = "signals late", "signals ended", "gap in the signals", "no baseline yet"


@dataclass
class _Segment:
    """A stretch of samples without a gap, and the filters that started with it."""

    first: int  # number of its first sample at to_hz
    on_grid: bool  # its samples at to_hz lie on a regular grid that starts with the first
    filter: CausalFilter
    resampler: CausalResampler


class SignalBuffer:
    """The channels of one device on the clock of a stream.

    rate_hz, to_hz : of the received samples, and of the windows
    keep_s : how long samples are kept for windows
    filter : as in prepare

    A gap (time stamps that jump, samples that are not finite) restarts the filters; windows that overlap it have no
    signals. Samples are placed by the time stamps of their chunks, also if the device's rate differs from the stated
    one (`device_clock`); `message` reports that.
    """

    def __init__(
        self,
        channels: tuple[Channel, ...],
        rate_hz: float,
        to_hz: float,
        baseline: StreamBaseline,
        *,
        keep_s: float,
        filter: bool = True,
    ):
        self.channels, self.rate_hz, self.to_hz = channels, rate_hz, to_hz
        self.filter, self.baseline = filter, baseline
        self.ended = False
        self.dropped = 0  # samples that were received twice, or too late
        self._ring = SampleRing(len(channels), round((keep_s + baseline.keep_s) * to_hz))
        self._segment: _Segment | None = None  # None before the first sample
        self._clock = DeviceClock(rate_hz)  # of the segment
        self._catching_up = False  # the samples received now were received before
        self._recent_chunks: deque[tuple[float, int]] = deque(maxlen=64)  # time stamps, and checksums of the samples
        self._uncertain: deque[tuple[int, int]] = deque(maxlen=64)  # sample numbers from, to: of uncertain time

    @property
    def reached_s(self) -> float:
        """The time up to which samples were received; minus infinity before the first."""
        return -np.inf if self._segment is None else self._clock.reached_s

    @property
    def true_rate_hz(self) -> float:
        """The device's rate estimated from the time stamps."""
        return self._clock.true_rate_hz

    @property
    def message(self) -> str:
        """A sentence if the device's rate differs from the stated one, else ""."""
        return self._clock.message

    def push(self, x: np.ndarray, time_s: float | None = None) -> None:
        """Take a chunk x (C, n) and the time of its first sample; None: right after the last one, the first at 0."""
        if time_s is None or not self.is_repeated(x, time_s):
            self.take(x, time_s, stamped=time_s is not None)

    def is_repeated(self, x: np.ndarray, time_s: float) -> bool:
        """Return whether this very chunk was received shortly before, and must not be taken again. Notes its time
        stamp."""
        chunk = time_s, crc32(np.ascontiguousarray(x).tobytes())
        if chunk in self._recent_chunks:
            self.dropped += x.shape[1]
            return True
        self._clock.note_chunk(x.shape[1], time_s)
        self._recent_chunks.append(chunk)
        return False

    def take(self, x: np.ndarray, time_s: float | None, stamped: bool) -> None:
        """Take a chunk that is not repeated, or a piece of one, as `push` does.

        stamped : the time is the device's own, not counted from an earlier one
        """
        self.ended = False
        if time_s is None:
            time_s = 0.0 if self._segment is None else self.reached_s
        finite = np.isfinite(x).all(axis=0)
        if finite.all():
            self._push_finite(x, time_s, stamped=stamped)
            return
        edges = np.flatnonzero(np.diff(finite)) + 1
        for first, last in zip([0, *edges], [*edges, x.shape[1]], strict=True):
            if finite[first]:
                self._push_finite(x[:, first:last], time_s + first / self.true_rate_hz, after_gap=first > 0)
            elif last == x.shape[1]:  # the next chunk does not continue this one
                self._start_segment(time_s + last / self.true_rate_hz)

    def _push_finite(self, x: np.ndarray, time_s: float, after_gap: bool = False, stamped: bool = False) -> None:
        jump = np.inf if self._segment is None else time_s - self._clock.next_s
        if jump > GAP_S or after_gap:
            self._start_segment(time_s)
        elif jump < -GAP_S or self._catching_up:
            repeated = max(0, min(round(-jump * self.rate_hz), x.shape[1]))
            self.dropped += repeated
            x, stamped = x[:, repeated:], stamped and not repeated
            self._catching_up = not x.shape[1]
        elif stamped and -jump > max(STEP_S, 10 * self._clock.jitter_s) and self._goes_back(time_s):
            # chunks in the wrong order
            self._mark_uncertain(time_s, self._clock.next_s + x.shape[1] / self.rate_hz)
        if x.shape[1]:
            lost_from = self._clock.push(x.shape[1], time_s if stamped else None)
            if lost_from is not None:
                self._mark_uncertain(lost_from, self._clock.reached_s)
                self._start_segment(time_s)
                self._clock.push(x.shape[1], time_s)
            if (segment := self._segment) is not None:
                filtered = segment.filter(x) if self.filter else x
                self._append(segment.resampler(filtered, self._positions(segment)))

    def _goes_back(self, time_s: float) -> bool:
        """Return whether a time is before that of the previous chunk."""
        return len(self._recent_chunks) > 1 and time_s < self._recent_chunks[-2][0]

    def _mark_uncertain(self, from_s: float, to_s: float) -> None:
        """Let windows that overlap these seconds have no signals."""
        self._uncertain.append(
            (int(np.floor((from_s - AROUND_S) * self.to_hz)), int(np.ceil((to_s + AROUND_S) * self.to_hz)))
        )

    def _positions(self, segment: _Segment) -> Positions | None:
        """Return where samples at to_hz lie among the received ones of a segment; None: on the regular grid."""
        segment.on_grid = segment.on_grid and not self._clock.corrected
        if segment.on_grid:
            return None
        return lambda numbers: self._clock.positions((segment.first + numbers) / self.to_hz)

    def _start_segment(self, time_s: float) -> None:
        """Start a segment at a time, after a gap."""
        number = int(np.ceil(time_s * self.to_hz - 1e-6))
        self.finish()
        self._catching_up = False
        if self._segment is None:
            self._ring.start(number)
        else:
            number = max(number, self._ring.end)
            self._ring.skip_to(number)
        self._clock.restart(time_s)
        self._segment = _Segment(
            number,
            abs(number / self.to_hz - time_s) < 1e-6,
            CausalFilter(self.channels, self.rate_hz),
            CausalResampler(len(self.channels), self.rate_hz, self.to_hz),
        )
        self.baseline.restart(number)

    def _append(self, y: np.ndarray) -> None:
        self.baseline.collect(y, self._ring.end)
        self._ring.append(y)

    def finish(self) -> None:
        """Make the samples that wait for later ones, as none will come before a gap or the end."""
        if self._segment is not None and self._clock.n:
            self._append(self._segment.resampler.flush(self._clock.n, self._positions(self._segment)))

    def end(self) -> None:
        """Note that no more samples will come."""
        self.finish()
        self.ended = True

    def has(self, past: int) -> bool:
        """Return whether all samples before number `past` are there, or will never be."""
        return self.ended or (self._segment is not None and self._ring.end >= past)

    def window(self, first: int, length: int, onset: int) -> tuple[np.ndarray | None, str]:
        """Return samples `first` to first + length, baseline-corrected, (C, L) float32, and ""; or None and a flag that
        says why there are none.

        onset : sample number at which a baseline template starts to repeat
        """
        if self._segment is None or self._ring.end < first + length:
            return None, ENDED if self.ended else LATE
        x = self._ring.read(first, length)
        if not np.isfinite(x).all() or any(a < first + length and b > first for a, b in self._uncertain):
            return None, GAP
        baseline = self.baseline.values(self._ring, first, length, onset)
        if baseline is None:
            return None, NO_BASELINE
        return (x - baseline).astype(np.float32), ""

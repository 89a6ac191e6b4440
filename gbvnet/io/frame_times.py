"""When the frames of a video are shown: by time stamps, or by counting frames where the stamps are unusable.

Seconds are those of the video's clock. Its second 0 is where players begin to count:

    AVI             the first frame's slot; frame n is shown from n / rate on, and dropped frames keep their slots
    MPEG-TS, -PS    the earliest time stamp of any sound or picture: their stamps begin at an arbitrary value
    all others      the container's own second 0, after its edit list and without the delay that B-frames need; if
                    nothing begins in its first minute, as in a part of a live stream, the earliest time stamp

Impossible stamps (absent, decreasing, mostly equal, more than an hour between two) are not used: the frames are
counted instead, and a note says so. Times from a file beside the video replace all of these (`info_with_times`): the
video's clock is then the one that they are on. Shapes: n frames of a video.
"""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

MAX_HOLD_S = 1.0  # longest time that a frame is shown if no other follows
MAX_INTERVAL_S = 3600.0  # between two frames; more is no gap, but another clock
MAX_START_S = 60.0  # a later first stamp means a part of a longer stream
MAX_ROUNDING_S = Fraction(
    2, 1000
)  # stamps in steps up to this are rounded times of frames; in longer steps they are exact
REGULAR = 0.9  # minimum share of equal intervals; the others are then gaps, not a varying rate
GAP = 1.5  # a longer interval, in usual intervals, is a gap
LISTED = 3  # number of gaps that a note lists
TIMES_ROUNDING_S = 0.0005  # of given times: they are written in milliseconds
_LASTING_NOTES = "the file has", "pixels of"  # how notes begin that are not about times


@dataclass(frozen=True)
class VideoInfo:
    """The properties of a video file, read without decoding it.

    width, height : as stored, in pixels, before rotation and before pixels are made square
    fps : frames a second: exact, or of uneven videos the usual or the mean rate
    n_frames : number of frames in the file
    uneven_s : largest distance between the frames' times and an even rate, in seconds
    start : when the first frame is shown, seconds on the video's clock
    stamps : (n,) int64, increasing, time stamps of the frames in display order, minus `origin`; None if counted
    origin : the container's time stamp of second 0
    tick : seconds that stamps count in; None: 1 / fps
    even : frames are shown at start + number / fps seconds; else at stamps * tick
    pixel_aspect : width of a pixel by its height
    notes : messages for the user about the video's times and tracks
    times_s : (n,) seconds, not decreasing, when each frame is shown, where a file beside the video says it; stamps then
        only identify the frames
    """

    width: int
    height: int
    fps: Fraction
    n_frames: int
    uneven_s: float = 0.0
    start: Fraction = Fraction(0)
    stamps: np.ndarray | None = field(default=None, compare=False, repr=False)
    origin: int = 0
    tick: Fraction | None = None
    even: bool = True
    pixel_aspect: Fraction = Fraction(1)
    notes: tuple[str, ...] = ()
    times_s: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def seconds(self) -> float:
        """The end of the last frame, in seconds on the video's clock: it is shown as long as the frame before it."""
        if self.times_s is not None:
            return float(self.times_s[-1]) + min(float(1 / self.fps), MAX_HOLD_S)
        lasts = 1 / self.fps
        if not self.even and self.stamps is not None and self.tick is not None and self.n_frames > 1:
            lasts = min(int(self.stamps[-1] - self.stamps[-2]) * self.tick, Fraction(MAX_HOLD_S))
        return float(self._exact(self.n_frames - 1) + lasts)

    def time_s(self, number: int) -> float:
        """Return when a frame is first shown, in seconds on the video's clock; outside the video by its rate."""
        if self.times_s is not None and 0 <= number < self.n_frames:
            return float(self.times_s[number])
        return float(self._exact(number))

    def frames_at(self, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the frames that are shown at times (m,), in seconds on the video's clock.

        Returns frame numbers (m,) int64: below 0 where there is none (before the first, or in a gap), `n_frames` or
        more after the end; and when each was first shown (m,), or the time itself where there is none.
        """
        times_s = np.asarray(times_s, np.float64).reshape(-1)
        if self.times_s is not None:
            numbers = np.searchsorted(self.times_s, times_s + TIMES_ROUNDING_S, side="right").astype(np.int64) - 1
            return self._without_gaps(times_s, numbers, self.times_s[np.maximum(numbers, 0)])
        if self.even or self.stamps is None:
            numbers = np.array([_frame_after(t, self.fps, self.start) for t in times_s.tolist()], np.int64)
            return numbers, numbers / float(self.fps) + float(self.start)
        tick = self._tick
        slack = Fraction(1, 2) if tick <= MAX_ROUNDING_S else Fraction(0)
        ticks = np.array([((_as_fraction(t) / tick) + slack).__floor__() for t in times_s.tolist()], np.int64)
        numbers = np.searchsorted(self.stamps, ticks, side="right").astype(np.int64) - 1
        return self._without_gaps(times_s, numbers, self.stamps[np.maximum(numbers, 0)] * float(tick))

    def _without_gaps(
        self, times_s: np.ndarray, numbers: np.ndarray, shown: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what `frames_at` does, from the last frame before each time and when that was shown."""
        none = (numbers < 0) | (times_s - shown > MAX_HOLD_S + 1e-6)
        over = times_s >= self.seconds - 1e-9
        return np.where(over, self.n_frames, np.where(none, -1, numbers)), np.where(over | none, times_s, shown)

    def with_note(self, note: str) -> "VideoInfo":
        """Return a copy with one more note, unless that is empty."""
        return replace(self, notes=(*self.notes, note)) if note else self

    @property
    def _tick(self) -> Fraction:
        return self.tick or 1 / self.fps

    def _exact(self, number: int) -> Fraction:
        if self.even or self.stamps is None or not 0 <= number < self.n_frames:
            return self.start + number / self.fps
        return int(self.stamps[number]) * self._tick


def frame_at(t_s: float | Fraction, fps: Fraction | int) -> int:
    """Return the number of the frame that is shown at a time (s): frame n is shown from n / fps to (n + 1) / fps.

    Exact: a float is converted to the simplest fraction near it. Thus 0.3 s at 50 fps is frame 15, not 14, which the
    binary value of 0.3 would give.
    """
    return (_as_fraction(t_s) * fps).__floor__()


def _as_fraction(t_s: float | Fraction) -> Fraction:
    return t_s if isinstance(t_s, Fraction) else Fraction(t_s).limit_denominator(1_000_000)


def _frame_after(t_s: float, fps: Fraction, start: Fraction) -> int:
    return frame_at(_as_fraction(t_s) - start, fps) if start else frame_at(t_s, fps)


# ---------------------------------------------------------------- from the data of a container


@dataclass
class PacketTimes:
    """Time stamps of each packet of a video in the order of the file.

    pts, dts : presentation and decoding time stamp; None if absent
    shown : false for packets that an edit list removes
    """

    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)

    @property
    def delay(self) -> int:
        """The time stamps between decoding and showing the first frame, if decoding begins at 0 or later; else 0."""
        if not self.pts or self.pts[0] is None or self.dts[0] is None or self.dts[0] < 0:
            return 0
        return max(0, self.pts[0] - self.dts[0])

    def add(self, pts: int | None, dts: int | None, shown: bool) -> None:
        """Append a packet."""
        self.pts.append(pts)
        self.dts.append(dts)
        self.shown.append(shown)


def info_by_counting(size: tuple[int, int], stamps: PacketTimes, declared: Fraction) -> VideoInfo:
    """Return the properties of an AVI by its slots for frames, the decoding stamps; some slots may be empty."""
    places = [d for d, shown in zip(stamps.dts, stamps.shown, strict=True) if shown and d is not None]
    n = sum(stamps.shown)
    slots = np.array(places, np.int64)
    if len(slots) < n or n < 1 or slots[0] < 0 or (np.diff(slots) <= 0).any():
        return VideoInfo(*size, declared, n)
    if declared >= 1 and slots[-1] == n - 1:
        return VideoInfo(*size, declared, n)
    uneven_s = float((slots - slots[0] - np.arange(n)).max() / declared)
    start = int(slots[0]) / declared
    info = VideoInfo(*size, declared, n, uneven_s, start, slots, even=False)
    return _with_timing_notes(info, np.ones(len(slots) - 1, bool), 1.0)


def info_by_time_stamps(
    size: tuple[int, int], stamps: PacketTimes, tick: Fraction, declared: Fraction | None, origin: int
) -> VideoInfo:
    """Return the properties of a container with time stamps in steps of `tick` s; `origin` is the stamp of second 0.

    declared : the rate in the header, if any
    """
    wrong = _why_unusable(stamps, tick)
    if wrong:
        rate = declared or Fraction(25)
        note = f"{wrong}: its frames are counted, at {float(rate):.5g} frames per second, and times may be off"
        return VideoInfo(*size, rate, sum(stamps.shown), notes=(note,))
    times = np.array([p for p, s in zip(stamps.pts, stamps.shown, strict=True) if s and p is not None], np.int64)
    shown = np.unique(times) - origin  # packets come in decoding order
    fps, like, usual = _rate(np.diff(shown), tick, declared)
    even_ticks = np.arange(len(shown)) / float(fps * tick) + shown[0]
    off = float(np.abs(shown - even_ticks).max())
    start = int(shown[0]) * tick
    even = off <= min(1.0, 0.25 / float(fps * tick)) and fps >= 1
    uneven_s = off * float(tick)
    info = VideoInfo(*size, fps, len(shown), uneven_s, start, shown, origin, tick, even)
    return _with_timing_notes(info, like, usual)


def info_with_times(info: VideoInfo, times_s: np.ndarray) -> VideoInfo:
    """Return a video's properties with the times of its frames, (n,) seconds, not decreasing, on any clock.

    Raises ValueError if they are not as many as its frames.
    """
    if len(times_s) != info.n_frames:
        raise ValueError(f"{len(times_s)} times for {info.n_frames} frames")
    micro = Fraction(1, 1_000_000)
    steps = np.maximum(np.diff(np.round((times_s - times_s[0]) * 1e6).astype(np.int64)), 1)
    ticks = np.concatenate([[0], np.cumsum(steps)])
    fps, like, usual = _rate(steps, micro, info.fps)
    off = float(np.abs(ticks - np.arange(len(ticks)) / float(fps * micro)).max()) * float(micro)
    size = info.width, info.height
    lasting = tuple(note for note in info.notes if note.startswith(_LASTING_NOTES))
    # `start` 0: on the clock of signals a film begins anywhere
    by_ticks = VideoInfo(
        *size, fps, info.n_frames, off, stamps=ticks, tick=micro, even=False, notes=lasting, times_s=times_s
    )
    notes = _with_timing_notes(by_ticks, like, usual).notes
    start = _as_fraction(float(times_s[0]))
    return replace(info, fps=fps, uneven_s=off, start=start, even=False, notes=notes, times_s=times_s)


def _why_unusable(stamps: PacketTimes, tick: Fraction) -> str:
    """Return why a container's time stamps cannot be the times of its frames; empty if they can."""
    times = [p for p, shown in zip(stamps.pts, stamps.shown, strict=True) if shown and p is not None]
    n = sum(stamps.shown)
    if len(times) * 2 < n or not times:
        return f"{n - len(times):,} of {n:,} frames have no time stamp"
    distinct = np.unique(np.array(times, np.int64))
    if len(distinct) < REGULAR * len(times):
        return f"{len(times) - len(distinct):,} of {n:,} frames have the time stamp of another"
    order = np.array([d for d in stamps.dts if d is not None], np.int64)
    back = np.flatnonzero(np.diff(order) < 0)
    if len(back):
        by = float((order[back[0]] - order[back[0] + 1]) * tick)
        return f"the time stamps go back by {by:.2f} s after {back[0] + 1:,} frames"
    longest = float(np.diff(distinct).max() * tick) if len(distinct) > 1 else 0.0
    return f"the time stamps of two frames are {longest:,.0f} s apart" if longest > MAX_INTERVAL_S else ""


def _rate(steps: np.ndarray, tick: Fraction, declared: Fraction | None) -> tuple[Fraction, np.ndarray, float]:
    """Return the frame rate; which intervals (n - 1,) equal the usual one; and the usual interval, in ticks.

    The declared rate is used unless the stamps drift half a frame from it (mobile phones: 30 fps that are 29.7).
    """
    if not len(steps):
        return declared or Fraction(25), np.ones(0, bool), 1.0
    median = float(np.median(steps))
    like = np.abs(steps - median) <= max(1.0, 0.25 * median)
    counts = like if like.mean() >= REGULAR else np.ones(len(steps), bool)
    span = int(steps[counts].sum()) * tick
    measured = int(counts.sum()) / span
    keep = declared is not None and abs(measured - declared) * span < Fraction(1, 2)
    return (declared if declared and keep else measured), like, float(steps[counts].mean())


# ---------------------------------------------------------------- notes


def _with_timing_notes(info: VideoInfo, like: np.ndarray, usual: float) -> VideoInfo:
    """Return a copy with notes on deviations of more than a frame: a late start, gaps, a varying rate."""
    if info.stamps is None:
        return info
    notes = list(info.notes)
    if info.start > 1 / info.fps:
        notes.append(f"the picture begins at {float(info.start):.2f} s of the video's clock")
    if info.fps < 1:
        notes.append(f"{float(info.fps):.3g} frames per second: each is used for at most {MAX_HOLD_S:g} s")
    if info.uneven_s > 1.01 / float(info.fps):
        steps = np.diff(info.stamps)
        at = np.flatnonzero(steps > GAP * usual)
        gaps = len(at) > 0 and like.mean() >= REGULAR
        if gaps:
            notes.append(_gap_note(info, at, steps, usual))
        if not gaps or _is_uneven(np.delete(steps, at)):  # from 30 to 24 a second, say, with or without gaps
            notes.append(_varying_rate_note(info, steps))
    return replace(info, notes=tuple(notes))


def _gap_note(info: VideoInfo, at: np.ndarray, steps: np.ndarray, usual: float) -> str:
    lost = int(np.round(steps[at] / usual - 1).sum())
    where = _longest_spans(info, at, steps)
    return (
        f"{lost:,} of {lost + info.n_frames:,} frames are missing in {len(at)} gap{'s' * (len(at) != 1)} ({where}): "
        f"the frame before is used for them, for at most {MAX_HOLD_S:g} s"
    )


def _is_uneven(steps: np.ndarray) -> bool:
    """Return whether frames at these intervals deviate by more than one from an even rate."""
    even = steps.mean() * np.arange(1, len(steps) + 1)
    return float(np.abs(np.cumsum(steps) - even).max()) > 1.01 * steps.mean()


def _varying_rate_note(info: VideoInfo, steps: np.ndarray) -> str:
    slow, fast = (1 / (q * float(info._tick)) for q in np.percentile(steps, (98, 2)))
    at = np.flatnonzero(steps * float(info._tick) > MAX_HOLD_S)
    gaps = f"; no frame for more than {MAX_HOLD_S:g} s at {_longest_spans(info, at, steps)}" if len(at) else ""
    return (
        f"the frame rate varies from {slow:.3g} to {fast:.3g} frames per second, up to {info.uneven_s:.2f} s off an "
        f"even one: frames are taken by their time stamps{gaps}"
    )


def _longest_spans(info: VideoInfo, at: np.ndarray, steps: np.ndarray) -> str:
    """Return the longest of the intervals after the frames `at`, in order of time: "15.00 to 20.03 s"."""
    longest = sorted(at[np.argsort(-steps[at], kind="stable")][:LISTED].tolist())
    spans = ", ".join(f"{info.time_s(k):.2f} to {info.time_s(k + 1):.2f} s" for k in longest)
    return spans + (f" and {len(at) - LISTED} more" if len(at) > LISTED else "")

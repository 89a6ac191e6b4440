"""When the frames of a video are shown: by their time stamps, or by counting where a container has none to be trusted.

Seconds are those of the video's clock. Its second 0 is where players begin to count:

    AVI             the first place for a frame; frame n is shown from n / rate on, and dropped frames keep their places
    MPEG-TS, -PS    the earliest time stamp of any sound or picture in the file, as their stamps begin anywhere
    all others      the container's own second 0, after its edit list and without the delay that B-frames need; if
                    nothing begins in its first minute, as in a piece of a live stream, the earliest time stamp

Stamps that cannot be right (absent, going back, mostly equal, an hour apart) are not used: the frames are counted
instead, and a note says so. Shapes: n frames of a video.
"""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

MAX_HOLD_S = 1.0  # how long at most a frame stands for what is shown when no other follows
MAX_INTERVAL_S = 3600.0  # between two frames: no gap, but stamps of another clock
MAX_START_S = 60.0  # a first stamp beyond it is no late start, but a piece of a longer stream
MAX_ROUNDING_S = Fraction(
    2, 1000
)  # stamps in steps up to this are rounded times of frames; in longer steps they are exact
REGULAR = 0.9  # share of like intervals from which on the others are gaps, and not a rate that varies
GAP = 1.5  # usual intervals from which on one is a gap
LISTED = 3  # gaps that a note lists


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds, without decoding it.

    width, height : as stored, in pixels, before rotation and before pixels are made square
    fps : frames a second: exact, or of uneven videos the usual or the mean rate
    n_frames : how many frames are really there
    uneven_s : largest distance between the frames' times and an even rate, in seconds
    start : when the first frame is shown, seconds on the video's clock
    stamps : (n,) int64, increasing, time stamps of the frames as they are shown, less `origin`; None if counted
    origin : the container's time stamp of second 0
    tick : seconds that stamps count in; None: 1 / fps
    even : frames are shown at start + number / fps; else at stamps * tick
    pixel_aspect : width of a pixel by its height
    notes : what a user should know of the video's times and tracks
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

    @property
    def seconds(self) -> float:
        """When the last frame's time is over, on the video's clock: it is shown for as long as the one before it."""
        lasts = 1 / self.fps
        if not self.even and self.stamps is not None and self.tick is not None and self.n_frames > 1:
            lasts = min(int(self.stamps[-1] - self.stamps[-2]) * self.tick, Fraction(MAX_HOLD_S))
        return float(self._exact(self.n_frames - 1) + lasts)

    def time_s(self, number: int) -> float:
        """When a frame is shown first, in seconds on the video's clock; numbers outside the video at its rate."""
        return float(self._exact(number))

    def look(self, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The frames that are on show at times (m,), seconds on the video's clock.

        Returns numbers (m,) int64: below 0 where no frame is (before the first, or in a gap), `n_frames` and more
        after the end; and when each was shown first (m,), or the time itself where there is none.
        """
        times_s = np.asarray(times_s, np.float64).reshape(-1)
        if self.even or self.stamps is None:
            numbers = np.array([_frame_after(t, self.fps, self.start) for t in times_s.tolist()], np.int64)
            return numbers, numbers / float(self.fps) + float(self.start)
        tick = self._tick
        slack = Fraction(1, 2) if tick <= MAX_ROUNDING_S else Fraction(0)
        ticks = np.array([((_as_fraction(t) / tick) + slack).__floor__() for t in times_s.tolist()], np.int64)
        numbers = np.searchsorted(self.stamps, ticks, side="right").astype(np.int64) - 1
        shown = self.stamps[np.maximum(numbers, 0)] * float(tick)
        none = (numbers < 0) | (times_s - shown > MAX_HOLD_S + 1e-6)
        over = times_s >= self.seconds - 1e-9
        return np.where(over, self.n_frames, np.where(none, -1, numbers)), np.where(over | none, times_s, shown)

    def noting(self, note: str) -> "VideoInfo":
        """With a note more, unless it is empty."""
        return replace(self, notes=(*self.notes, note)) if note else self

    @property
    def _tick(self) -> Fraction:
        return self.tick or 1 / self.fps

    def _exact(self, number: int) -> Fraction:
        if self.even or self.stamps is None or not 0 <= number < self.n_frames:
            return self.start + number / self.fps
        return int(self.stamps[number]) * self._tick


def frame_at(t_s: float | Fraction, fps: Fraction | int) -> int:
    """The number of the frame that is on show at a time (s): frame n is on show from n / fps until (n + 1) / fps.

    Exact: a float is read as the simplest fraction that it can mean, so that 0.3 s at 50 fps is frame 15, and not 14
    as 0.3's nearest binary number would have it.
    """
    return (_as_fraction(t_s) * fps).__floor__()


def _as_fraction(t_s: float | Fraction) -> Fraction:
    return t_s if isinstance(t_s, Fraction) else Fraction(t_s).limit_denominator(1_000_000)


def _frame_after(t_s: float, fps: Fraction, start: Fraction) -> int:
    return frame_at(_as_fraction(t_s) - start, fps) if start else frame_at(t_s, fps)


# ---------------------------------------------------------------- from what a container says


@dataclass
class PacketTimes:
    """Of each packet of a video in the order of the file; `shown` is false for those that an edit list cuts away."""

    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)

    @property
    def delay(self) -> int:
        """How long after its decoding the first frame is shown, if decoding begins at 0 or later; else 0."""
        if not self.pts or self.pts[0] is None or self.dts[0] is None or self.dts[0] < 0:
            return 0
        return max(0, self.pts[0] - self.dts[0])

    def add(self, pts: int | None, dts: int | None, shown: bool) -> None:
        self.pts.append(pts)
        self.dts.append(dts)
        self.shown.append(shown)


def info_by_counting(size: tuple[int, int], stamps: PacketTimes, declared: Fraction) -> VideoInfo:
    """The frames of an AVI: by their places in it, of which some may be empty. They are the decoding stamps."""
    places = [d for d, shown in zip(stamps.dts, stamps.shown, strict=True) if shown and d is not None]
    n = sum(stamps.shown)
    slots = np.array(places, np.int64)
    if len(slots) < n or n < 1 or slots[0] < 0 or (np.diff(slots) <= 0).any():
        return VideoInfo(*size, declared, n)
    if declared >= 1 and slots[-1] == n - 1:
        return VideoInfo(*size, declared, n)
    uneven_s = float((slots - slots[0] - np.arange(n)).max() / declared)
    start = int(slots[0]) / declared
    found = VideoInfo(*size, declared, n, uneven_s, start, slots, even=False)
    return _with_timing_notes(found, np.ones(len(slots) - 1, bool), 1.0)


def info_by_time_stamps(
    size: tuple[int, int], stamps: PacketTimes, tick: Fraction, declared: Fraction | None, origin: int
) -> VideoInfo:
    """The frames of a container with time stamps, in steps of `tick` s, of which `origin` is second 0.

    declared : the rate that the file says it has, if it does
    """
    wrong = _why_unusable(stamps, tick)
    if wrong:
        rate = declared or Fraction(25)
        note = f"{wrong}: its frames are counted, at {float(rate):.5g} frames per second, and times may be off"
        return VideoInfo(*size, rate, sum(stamps.shown), notes=(note,))
    told = np.array([p for p, s in zip(stamps.pts, stamps.shown, strict=True) if s and p is not None], np.int64)
    shown = np.unique(told) - origin  # packets come in decoding order
    fps, like, usual = _rate(np.diff(shown), tick, declared)
    even_ticks = np.arange(len(shown)) / float(fps * tick) + shown[0]
    off = float(np.abs(shown - even_ticks).max())
    start = int(shown[0]) * tick
    even = off <= min(1.0, 0.25 / float(fps * tick)) and fps >= 1
    uneven_s = off * float(tick)
    found = VideoInfo(*size, fps, len(shown), uneven_s, start, shown, origin, tick, even)
    return _with_timing_notes(found, like, usual)


def _why_unusable(stamps: PacketTimes, tick: Fraction) -> str:
    """Why a container's time stamps cannot be the times of its frames; empty if they can."""
    told = [p for p, shown in zip(stamps.pts, stamps.shown, strict=True) if shown and p is not None]
    n = sum(stamps.shown)
    if len(told) * 2 < n or not told:
        return f"{n - len(told):,} of {n:,} frames have no time stamp"
    apart = np.unique(np.array(told, np.int64))
    if len(apart) < REGULAR * len(told):
        return f"{len(told) - len(apart):,} of {n:,} frames have the time stamp of another"
    order = np.array([d for d in stamps.dts if d is not None], np.int64)
    back = np.flatnonzero(np.diff(order) < 0)
    if len(back):
        by = float((order[back[0]] - order[back[0] + 1]) * tick)
        return f"the time stamps go back by {by:.2f} s after {back[0] + 1:,} frames"
    longest = float(np.diff(apart).max() * tick) if len(apart) > 1 else 0.0
    return f"the time stamps of two frames are {longest:,.0f} s apart" if longest > MAX_INTERVAL_S else ""


def _rate(steps: np.ndarray, tick: Fraction, declared: Fraction | None) -> tuple[Fraction, np.ndarray, float]:
    """The frame rate; which intervals between frames (n - 1,) are like the usual one; and that one, in ticks.

    The declared rate stays, unless the stamps drift half a frame from it (telephones: 30 fps that are 29.7).
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


# ---------------------------------------------------------------- what to tell of it


def _with_timing_notes(info: VideoInfo, like: np.ndarray, usual: float) -> VideoInfo:
    """With notes on what is more than a frame off: a late start, gaps, a rate that varies."""
    assert info.stamps is not None
    notes = list(info.notes)
    if info.start > 1 / info.fps:
        notes.append(f"the picture begins at {float(info.start):.2f} s of the video's clock")
    if info.fps < 1:
        notes.append(f"{float(info.fps):.3g} frames per second: each is shown for at most {MAX_HOLD_S:g} s")
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
        f"the frame before stands for them, for at most {MAX_HOLD_S:g} s"
    )


def _is_uneven(steps: np.ndarray) -> bool:
    """Whether frames at these intervals are more than one from where an even rate has them."""
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
    """The longest of the intervals that begin with frames `at`, in their order: "15.00 to 20.03 s"."""
    longest = sorted(at[np.argsort(-steps[at], kind="stable")][:LISTED].tolist())
    told = ", ".join(f"{info.time_s(k):.2f} to {info.time_s(k + 1):.2f} s" for k in longest)
    return told + (f" and {len(at) - LISTED} more" if len(at) > LISTED else "")

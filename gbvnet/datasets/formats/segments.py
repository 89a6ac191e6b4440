"""Which seconds a signal file has: one segment, or several with pauses between them.

Every reader looks up its seconds here, so that what lies outside of a file or across a pause is refused in one way.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ...errors import BadRecording
from ...text import shortened

TOLERANCE_S = 1e-6  # by which seconds that were computed may be off
MAX_LATE_S = 0.005  # by which a file may begin too late: less than windows are told apart by


class Segment(NamedTuple):
    """Samples without a pause between them."""

    start_s: float  # of its first sample, on the file's clock
    seconds: float
    at_s: float  # how many seconds of samples the file holds before it; less than start_s if pauses take no place in it
    told: bool = True  # whether the file tells how long the pause before it was

    @property
    def stop_s(self) -> float:
        return self.start_s + self.seconds


def find_segment(
    path: Path, segments: Sequence[Segment], begin: float, end: float, rate_hz: float, hint: str = ""
) -> Segment:
    """The segment that holds all of the seconds `begin` to `end`, or all but a sample of them.

    Raises BadRecording that tells which seconds the file has.
    """
    before, after = min(0.5 / rate_hz, MAX_LATE_S) + TOLERANCE_S, 1 / rate_hz + TOLERANCE_S
    for segment in segments:
        if segment.seconds > 0 and segment.start_s - before <= begin and end <= segment.stop_s + after:
            return segment
    raise BadRecording(
        path, f"signals from {begin:.2f} to {end:.2f} s", _describe_available(segments, begin, end), hint
    )


def overlap(segments: Sequence[Segment], begin: float, end: float) -> tuple[float, float] | None:
    """The longest part of the seconds `begin` to `end` that lies in one segment; None if no part of them does."""
    parts = [(max(begin, s.start_s), min(end, s.stop_s)) for s in segments]
    first, last = max(parts, key=lambda part: part[1] - part[0], default=(0.0, 0.0))
    return (first, last) if last > first + TOLERANCE_S else None


def describe_pauses(segments: Sequence[Segment]) -> list[str]:
    """When a file was paused, in words; empty if it was not."""
    return [
        f"a pause from {one.stop_s:.2f} to {next_.start_s:.2f} s"
        if next_.told
        else f"a break at {one.stop_s:.2f} s, of a length that the file does not tell"
        for one, next_ in pairwise(segments)
    ]


def pause_note(path: Path, segments: Sequence[Segment], segment: Segment) -> str:
    """What to know of seconds that lie behind a pause; empty if they do not."""
    before = segments[: [*segments].index(segment) + 1]
    if len(before) < 2:
        return ""
    counted = "; the seconds of a pause are counted"
    if not all(s.told for s in before):
        counted = "; seconds behind a break are counted as if nothing were missing there"
    return f"{path.name} has {shortened(describe_pauses(before))} before these seconds{counted}"


def _describe_available(segments: Sequence[Segment], begin: float, end: float) -> str:
    segments = [s for s in segments if s.seconds > 0]
    if not segments:
        return "a file without samples"
    first, last = segments[0].start_s, segments[-1].stop_s
    found = []
    if begin < first - TOLERANCE_S or end > last + TOLERANCE_S:
        found.append(f"a file that begins at {first:.2f} s and ends at {last:.2f} s")
    pairs = zip(describe_pauses(segments), segments, segments[1:], strict=False)
    found += [said for said, one, next_ in pairs if begin < next_.start_s and end > one.stop_s]
    return shortened(found)

"""The seconds that a signal file has: one segment, or several with pauses between them.

All readers look up seconds here: spans outside of the file or across a pause are refused in the same way.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ...errors import BadRecording
from ...text import shortened

TOLERANCE_S = 1e-6  # rounding error of computed seconds
MAX_LATE_S = 0.005  # allowed delay of a file's first sample: less than the resolution of window positions


class Segment(NamedTuple):
    """A part of a file without a pause."""

    start_s: float  # of its first sample, on the file's clock
    seconds: float
    at_s: float  # seconds of samples in the file before it; less than start_s if pauses hold no samples
    length_known: bool = True  # whether the file tells the length of the pause before it

    @property
    def stop_s(self) -> float:
        """End of the last sample, in seconds on the file's clock."""
        return self.start_s + self.seconds


def find_segment(
    path: Path, segments: Sequence[Segment], begin: float, end: float, rate_hz: float, hint: str = ""
) -> Segment:
    """Return the segment that holds the seconds `begin` to `end`, or all but one sample of them.

    Raises BadRecording with the seconds that the file has.
    """
    before, after = min(0.5 / rate_hz, MAX_LATE_S) + TOLERANCE_S, 1 / rate_hz + TOLERANCE_S
    for segment in segments:
        if segment.seconds > 0 and segment.start_s - before <= begin and end <= segment.stop_s + after:
            return segment
    raise BadRecording(
        path, f"signals from {begin:.2f} to {end:.2f} s", _describe_available(segments, begin, end), hint
    )


def overlap(segments: Sequence[Segment], begin: float, end: float) -> tuple[float, float] | None:
    """Return the longest part of the seconds `begin` to `end` that lies in one segment; None if there is none."""
    parts = [(max(begin, s.start_s), min(end, s.stop_s)) for s in segments]
    first, last = max(parts, key=lambda part: part[1] - part[0], default=(0.0, 0.0))
    return (first, last) if last > first + TOLERANCE_S else None


def describe_pauses(segments: Sequence[Segment]) -> list[str]:
    """Return a description of each pause of a file."""
    return [
        f"a pause from {one.stop_s:.2f} to {next_.start_s:.2f} s"
        if next_.length_known
        else f"a break at {one.stop_s:.2f} s, of unknown length"
        for one, next_ in pairwise(segments)
    ]


def pause_note(path: Path, segments: Sequence[Segment], segment: Segment) -> str:
    """Return a note if a segment lies behind a pause; else an empty text."""
    before = segments[: [*segments].index(segment) + 1]
    if len(before) < 2:
        return ""
    counted = "; times include the pause"
    if not all(s.length_known for s in before):
        counted = "; times after a break are counted as if nothing were missing"
    return f"{path.name} has {shortened(describe_pauses(before))} before these seconds{counted}"


def _describe_available(segments: Sequence[Segment], begin: float, end: float) -> str:
    segments = [s for s in segments if s.seconds > 0]
    if not segments:
        return "a file without samples"
    first, last = segments[0].start_s, segments[-1].stop_s
    parts = []
    if begin < first - TOLERANCE_S or end > last + TOLERANCE_S:
        parts.append(f"a file that begins at {first:.2f} s and ends at {last:.2f} s")
    pairs = zip(describe_pauses(segments), segments, segments[1:], strict=False)
    parts += [pause for pause, one, next_ in pairs if begin < next_.start_s and end > one.stop_s]
    return shortened(parts)

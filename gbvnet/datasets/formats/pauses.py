"""The pauses of a recording, as each format marks them, for files that MNE reads.

EDF+, BDF+      each data record carries its time
BrainVision     markers `New Segment`, most with the time of day
EEGLAB          events `boundary`, some with how much was cut out
FIF and others  annotations BAD_ACQ_SKIP (zeros replace the missing samples) and `BAD boundary` (concatenated files)
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import BadRecording
from .segments import Segment

MIN_PAUSE_S = 0.02  # a shorter pause is treated as rounding
MAX_DRIFT_S = 0.05  # total drift of the records' times from which on it is a pause
_SKIPS = ("bad_acq_skip", "bad_disconnection")  # prefixes of MNE's annotations of parts without samples
_BOUNDARIES = ("boundary", "bad boundary", "edge boundary")
_NEW_SEGMENT = re.compile(r"^Mk\d+=New Segment,[^,]*,(\d+),[^,]*,[^,\r\n]*(?:,(\d{20}))?", re.MULTILINE)
_MARKER_FILE = re.compile(r"^MarkerFile=(.+?)\s*$", re.MULTILINE)
_TIME = re.compile(rb"\+?(-?\d+(?:\.\d*)?)[\x14\x15]")


class _Break(NamedTuple):
    at: int  # first sample after the pause
    lost_s: float | None  # length of the pause; None if unknown
    filled: bool = False  # whether the missing samples are filled in: those before `at`


def find_segments(path: Path, raw: Any) -> tuple[Segment, ...]:
    """Return the segments of an opened `mne.io.Raw`. Raises BadRecording for invalid record times."""
    rate_hz = float(raw.info["sfreq"])
    seconds = float(raw.n_times / rate_hz)
    records = record_times(path) if path.suffix.lower() in (".edf", ".bdf") else None
    if records is not None:
        segments = _segments_of_records(path, *records, seconds)
        if len(segments) > 1 or segments[0].start_s:
            return segments
    breaks = {one.at: one for one in _breaks_of_annotations(path, raw)}
    if path.suffix.lower() in (".vhdr", ".ahdr"):
        breaks |= {one.at: one for one in _breaks_of_brainvision(path, rate_hz)}
    return _segments_between(sorted(breaks.values(), key=lambda one: one.at), seconds, rate_hz)


def _segments_between(breaks: list[_Break], seconds: float, rate_hz: float) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    at_s, shift_s, length_known = 0.0, 0.0, True
    for at, lost_s, filled in breaks:
        stop_s = at / rate_hz - (lost_s or 0.0) * filled
        if stop_s > at_s:
            segments.append(Segment(at_s + shift_s, stop_s - at_s, at_s, length_known))
            length_known = True
        if not filled:
            shift_s += lost_s or 0.0
        at_s, length_known = max(at_s, at / rate_hz), length_known and lost_s is not None
    if seconds > at_s or not segments:
        segments.append(Segment(at_s + shift_s, max(0.0, seconds - at_s), at_s, length_known))
    return tuple(segments)


# ---------------------------------------------------------------- EDF+ and BDF+


def record_times(path: Path) -> tuple[float, np.ndarray] | None:
    """Return the length of a data record and the time of each, in seconds; None if the records have no times.

    Raises BadRecording for a discontinuous file without times.
    """
    try:
        head = _RecordLayout.read(path)
        if head is None:
            return None
        times = head.times()
    except (OSError, ValueError):
        return None  # MNE reports the fault
    if times is None:
        if not head.discontinuous:
            return None
        raise BadRecording(path, "the time of each data record, as it is an EDF+D or BDF+D file", "records without one")
    return head.record_s, times


class _RecordLayout(NamedTuple):
    """The position of the annotations in the data records of an EDF+ file, from its header."""

    path: Path
    discontinuous: bool
    size: int  # of the header
    record_s: float
    record_size: int
    first: int  # byte of a record at which the annotations begin
    last: int

    @classmethod
    def read(cls, path: Path) -> "_RecordLayout | None":
        """Return None if a file is no EDF+ or has no annotations. Raises OSError or ValueError if it is damaged."""
        with path.open("rb") as file:
            head = file.read(256)
            if head[192:196] not in (b"EDF+", b"BDF+"):
                return None
            n = int(head[252:256])
            labels, samples = file.read(256 * n)[: 16 * n], b""
            file.seek(256 + 216 * n)
            samples = file.read(8 * n)
        width = 3 if head[192:193] == b"B" else 2
        names = [labels[16 * k : 16 * k + 16].strip() for k in range(n)]
        sizes = [width * int(samples[8 * k : 8 * k + 8]) for k in range(n)]
        at = next((k for k, name in enumerate(names) if name in (b"EDF Annotations", b"BDF Annotations")), None)
        if at is None:
            return None
        first = sum(sizes[:at])
        return cls(
            path, head[196:197] == b"D", int(head[184:192]), float(head[244:252]), sum(sizes), first, first + sizes[at]
        )

    def times(self) -> np.ndarray | None:
        """Return the time of each complete record, in seconds; None if one of them has none."""
        n = (self.path.stat().st_size - self.size) // self.record_size
        if n < 1:
            return None
        data = np.memmap(self.path, np.uint8, "r", self.size, (n, self.record_size))
        matches = [_TIME.match(record.tobytes()) for record in data[:, self.first : self.last]]
        return np.array([float(one[1]) for one in matches if one]) if all(matches) else None


def _segments_of_records(path: Path, record_s: float, times: np.ndarray, seconds: float) -> tuple[Segment, ...]:
    """Return the segments; second 0 is the header's time plus the fraction of a second in the first record's time."""
    times = times[: max(1, round(seconds / record_s))] if record_s > 0 else times[:1]
    times = times - (times[0] if times[0] < 1 else 0.0)
    late = np.diff(times) - record_s
    if (late < -MIN_PAUSE_S).any():
        k = int(np.argmax(late < -MIN_PAUSE_S)) + 1
        place = f"record {k + 1} at {times[k]:.2f} s, after one of {record_s:g} s at {times[k - 1]:.2f} s"
        raise BadRecording(path, "data records one after the other in time", place)
    edges = [0]
    for k in range(1, len(times)):
        moved = times[k] - times[edges[-1]] - (k - edges[-1]) * record_s
        if late[k - 1] > MIN_PAUSE_S or abs(moved) > MAX_DRIFT_S:
            edges.append(k)
    edges.append(len(times))
    stops = [edge * record_s for edge in edges[1:-1]] + [seconds]
    return tuple(
        Segment(float(times[first]), stop - first * record_s, first * record_s)
        for first, stop in zip(edges[:-1], stops, strict=True)
    )


# ---------------------------------------------------------------- BrainVision


def _breaks_of_brainvision(path: Path, rate_hz: float) -> Iterator[_Break]:
    """Yield the pauses in the marker file, with their length where both ends have a time of day."""
    try:
        named = _MARKER_FILE.search(path.read_text(encoding="latin-1"))
        if named is None:
            return
        file = path.parent / named[1].replace("$b", path.stem)
        markers = _NEW_SEGMENT.findall(file.read_text(encoding="latin-1"))
    except OSError:
        return  # MNE reports the fault
    positions = sorted((int(at) - 1, _time_of_day(day)) for at, day in dict.fromkeys(markers))
    if not positions or positions[0][0] > 0:
        positions = [(0, None), *positions]
    for (first, began), (at, begins) in pairwise(positions):
        lost_s = None
        if began is not None and begins is not None:
            lost_s = begins - began - (at - first) / rate_hz
        if lost_s is None or lost_s < -MIN_PAUSE_S:
            yield _Break(at, None)
        elif lost_s > MIN_PAUSE_S:
            yield _Break(at, lost_s)


def _time_of_day(text: str) -> float | None:
    """Return a time such as 20240101100140000000 (microseconds last) in seconds; None if it is not a time."""
    try:
        # As if it were UTC: in the time zone of this machine, a change to summer time would be a pause of an hour.
        return datetime.strptime(text, "%Y%m%d%H%M%S%f").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


# ---------------------------------------------------------------- annotations


def _breaks_of_annotations(path: Path, raw: Any) -> Iterator[_Break]:
    rate_hz, annotations = float(raw.info["sfreq"]), raw.annotations
    boundaries: dict[int, float | None] = {}
    for onset, length_s, text in zip(
        annotations.onset - raw.first_time, annotations.duration, annotations.description, strict=True
    ):
        if str(text).lower().startswith(_SKIPS):
            first, last = (round(float(edge) * rate_hz) for edge in (onset, onset + length_s))
            if not _holds_samples(raw, first, last):
                yield _Break(last, (last - first) / rate_hz, filled=True)
        elif _is_boundary(path, str(text)):
            boundaries[_first_sample_after(float(onset) * rate_hz)] = None
    if boundaries and path.suffix.lower() == ".set":
        boundaries |= _cut_lengths(path, rate_hz)
    yield from (_Break(at, lost_s) for at, lost_s in boundaries.items() if 0 < at < raw.n_times)


def _holds_samples(raw: Any, first: int, last: int) -> bool:
    """Return whether a FIF has samples in an annotated skip: MNE (1.13) saves some at a wrong position."""
    some = {max(0, first), (first + last) // 2, min(last, raw.n_times) - 1}
    if not str(raw.filenames[0]).endswith((".fif", ".fif.gz")) or not all(0 <= at < raw.n_times for at in some):
        return False
    return any(raw.get_data(start=at, stop=at + 1, verbose="error").any() for at in some)


def _is_boundary(path: Path, text: str) -> bool:
    return text.lower().split("/")[-1] in _BOUNDARIES or (path.suffix.lower() == ".set" and text in ("-99", "-99.0"))


def _first_sample_after(place: float) -> int:
    """Return the first sample after a position: EEGLAB's boundaries lie half way between two samples."""
    return int(np.ceil(place - 0.01))


def _cut_lengths(path: Path, rate_hz: float) -> dict[int, float | None]:
    """Return sample -> seconds cut out at EEGLAB's boundaries. MNE's Raw truncates those longer than the recording."""
    import mne

    annotations = mne.read_annotations(path)
    return {
        _first_sample_after(float(onset) * rate_hz): float(length_s) if length_s > 0 else None
        for onset, length_s, text in zip(annotations.onset, annotations.duration, annotations.description, strict=True)
        if _is_boundary(path, str(text))
    }

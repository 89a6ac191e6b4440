"""Streams of AFFEC: tables in gzip without a line of names, whose names stand in a JSON file beside them.

Files differ from what they should be: some have a stray line of names or text, some JSON files lack most of the names,
and some may have been exchanged. So the number of fields of the lines decides, and not the JSON file.

Shapes: T lines of a stream, D of its columns.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import BadRecording
from ..text import shortened
from .formats.physio_table import cell_number, read_json, read_lines, require_columns, table_width

STEPS_BACK = 3  # lines this many steps late are put into their order; a larger step back is another recording
FETCH = "The download may be cut short; fetch the archive again and unpack it."
CONDUCTANCE = "GSR_Conductance_cal"  # microsiemens, by Shimmer's own export
_UNITS = "1 2 4 5 6 7 9 10 12 14 15 17 20 23 25 26 45".split()
ACTION_UNITS = (
    *(f"AU{int(number):02d}_r" for number in _UNITS),  # intensity, 0 to 5
    *(f"AU{int(number):02d}_c" for number in sorted([*_UNITS, "28"], key=int)),  # presence, 0 or 1
)
GAZE = (*(f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"), "gaze_angle_x", "gaze_angle_y")
POSE = (*(f"pose_T{axis}" for axis in "xyz"), *(f"pose_R{axis}" for axis in "xyz"))
FACE_FEATURES = (*ACTION_UNITS, *GAZE, *POSE)  # of OpenFace 2, without landmarks
# The columns that are read, by kind of stream.
WANTED = {"gsr": (CONDUCTANCE,), "cursor": ("CX", "CY"), "videostream": ("success", *FACE_FEATURES)}


class Stream(NamedTuple):
    """Some columns of a stream.

    times_s : (T,) its column onset, increasing. values : (T, D), NaN where a cell is no number
    start_s, rate_hz : StartTime and SamplingFrequency of the JSON file, or None
    notes : what was unusual in the files
    """

    times_s: np.ndarray
    values: np.ndarray
    start_s: float | None
    rate_hz: float | None
    notes: tuple[str, ...]


def read_stream(path: Path, wanted: Sequence[str], sidecars: Sequence[Path]) -> Stream:
    """Return columns of a stream by name; the last few streams are cached.

    sidecars : its own JSON file, and others of the same kind of stream; the first of them with as many names as the
        lines have fields is used where its own has another number
    Raises BadRecording for a file that cannot be read, lacks a column, or whose times go back.
    """
    return _cached(path, tuple(wanted), tuple(sidecars), _version(path), _version(sidecars[0]))


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise BadRecording(path, "a stream of the run", error.strerror or str(error), FETCH) from None
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=12)  # the streams of a subject's runs: their trials are read in sequence
def _cached(path: Path, wanted: tuple[str, ...], sidecars: tuple[Path, ...], *versions: tuple[int, int]) -> Stream:
    own, *others = sidecars
    about, width = read_sidecar(own), stream_width(path)
    names, notes = _names(path, own, about["Columns"], width, others)
    rows, n_dropped = parse_lines(path, width, _places(own, names, wanted))
    if len(rows) < 2:
        remedy = "Fetch the archive again; until then, move the file away to go on without this stream."
        raise BadRecording(path, f"lines of {width} fields, a number first", f"{len(rows)}", remedy)
    notes += [f"{_lines_of(n_dropped, path)}, not {width} fields with a number first: left out"] if n_dropped else []
    ordered, more = _in_order(path, rows)
    stated_hz = _number(about, "SamplingFrequency")
    notes += [*more, *_rate_note(path, ordered[:, 0], stated_hz)]
    return Stream(ordered[:, 0], ordered[:, 1:], _number(about, "StartTime"), stated_hz, tuple(notes))


def read_sidecar(path: Path) -> dict[str, Any]:
    """Return what a JSON file says of its stream: `Columns`, a list of names, and more. Raises BadRecording."""
    about = read_json(path, "a JSON file with the stream's Columns", FETCH)
    return {**about, "Columns": require_columns(path, about, FETCH)}


def stream_width(path: Path) -> int:
    """Return the number of fields of a stream's lines: the commonest of the first ones. Raises BadRecording."""
    return table_width(path, FETCH)


def parse_lines(path: Path, width: int, places: Sequence[int]) -> tuple[np.ndarray, int]:
    """Return some fields of all lines with `width` fields and a number first, (T, 1 + D), and how many lines have not.

    places : of the D fields; the first field comes before them
    Raises BadRecording.
    """
    cells: list[list[float]] = []
    n_dropped = 0
    for line in read_lines(path, FETCH):
        fields = line.split(b"\t")
        onset = cell_number(fields[0]) if len(fields) == width else np.nan
        if not np.isfinite(onset):
            n_dropped += bool(line.strip())
            continue
        cells.append([onset, *(cell_number(fields[k]) for k in places)])
    return np.array(cells, np.float64).reshape(len(cells), 1 + len(places)), n_dropped


def _names(path: Path, own: Path, named: list[str], width: int, others: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Return the names of a stream's columns, and notes. Raises BadRecording if no JSON file has them."""
    if len(named) == width:
        return named, []
    for other in others:
        try:
            names = read_sidecar(other)["Columns"]
        except BadRecording:
            continue
        if len(names) == width:
            return names, [f"{own.name} names {len(named)} of {width} columns: names taken from {other.name}"]
    wanted = f"as many fields as names in {own.name} ({len(named)}), or another JSON file with as many names as fields"
    raise BadRecording(path, wanted, f"{width} fields and no such file", FETCH)


def _places(sidecar: Path, names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    if names[0] != "onset":
        raise BadRecording(sidecar, "onset as the first of Columns", repr(names[0]), FETCH)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise BadRecording(
            sidecar, f"columns {shortened(list(wanted), 4)}", f"none named {shortened(missing, 4)} among {len(names)}",
            "Was it exchanged with that of another stream?",
        )  # fmt: skip
    return [names.index(name) for name in wanted]


def _in_order(path: Path, rows: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the lines in the order of their times, each time once, and notes. Raises BadRecording for a step back."""
    steps = np.diff(rows[:, 0])
    forward = steps[steps > 0]
    period = float(np.median(forward)) if len(forward) else 0.0
    if not period or steps.min() < -STEPS_BACK * period:
        at = int(np.argmin(steps))
        actual = f"{rows[at + 1, 0]:g} s after {rows[at, 0]:g} s in line {at + 2}"
        raise BadRecording(path, "onsets that increase", actual, "Are there two recordings in one file?")
    ordered = rows[np.argsort(rows[:, 0], kind="stable")]
    once = ordered[np.concatenate([[True], np.diff(ordered[:, 0]) > 0])]
    n_moved, n_twice = int((steps < 0).sum()), len(rows) - len(once)
    notes = [f"{_lines_of(n_moved, path)} earlier than the one before: put into order"] if n_moved else []
    return once, notes + ([f"{_lines_of(n_twice, path)} at the time of another: left out"] if n_twice else [])


def _lines_of(n: int, path: Path) -> str:
    return f"{n} line{'s' * (n != 1)} of {path.name}"


def _rate_note(path: Path, times_s: np.ndarray, stated_hz: float | None) -> list[str]:
    """Return a note on a rate that is not the stated one. Raises BadRecording if it cannot be seconds."""
    measured = (len(times_s) - 1) / float(times_s[-1] - times_s[0])
    if not stated_hz or abs(measured / stated_hz - 1) <= 0.1:
        return []
    text = f"{measured:.4g} lines a second in {path.name}, where SamplingFrequency is {stated_hz:g}"
    if not 0.1 < measured / stated_hz < 10:
        wanted = f"about {stated_hz:g} lines a second (SamplingFrequency)"
        raise BadRecording(path, wanted, f"{measured:.4g}", "Are its onsets in seconds?")
    return [text]


def _number(about: dict[str, Any], name: str) -> float | None:
    value = about.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not np.isfinite(value):
        return None
    return float(value)


def longest_gap(times_s: np.ndarray, begin: float, end: float) -> float:
    """Return the longest step between two times (T,) within the seconds from `begin` to `end`, or to their ends."""
    inside = times_s[(times_s > begin) & (times_s < end)]
    return float(np.diff([*chain([begin], inside, [end])]).max())

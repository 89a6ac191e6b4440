"""Frame times from a file beside a film, `film.times.csv` beside film.mp4: a line a frame, in the order of the film.

A film's own clock is often not real time: a camera that loses frames is written at an even rate all the same. Programs
that stamp frames keep the times in a file, on the clock of the signals. Its lines are

    12.033          the time of a frame in seconds; a first line may name the column (`time`, `time_ms`)
    0,12.033        or with the frame's number, from any number on (columns `frame`, `time`). If lines are missing whose
                    frames the film has, these are placed between the frames before and after them.

Shapes: R lines, n frames of a film.
"""

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import BadRecording
from ..io.frame_times import VideoInfo, info_with_times
from ..io.video import count_frames
from .formats.signal_text import find_clocks, unit_by_size
from .formats.text_file import COMMENTS, read_text

SUFFIX = ".times.csv"
MAX_STEP_S = 2.0  # median time from frame to frame; a longer one is in another unit
_FRAME = re.compile(r"frames?|frame[ _]?(?:num|number|no|index|id)|n|index", re.IGNORECASE)
_WHAT = "the times of a film's frames, one a line"


class FilmTimes(NamedTuple):
    """The lines of a file. frames : (R,) int64 numbers of frames, None if the file has none; times_s : (R,) seconds"""

    times_s: np.ndarray
    frames: np.ndarray | None = None


def times_file_of(video: Path) -> Path | None:
    """Return the file of frame times beside a film, if there is one."""
    file = video.with_suffix(SUFFIX)
    return file if file.is_file() else None


def read_film_times(file: Path) -> FilmTimes:
    """Return the lines of a file of frame times. Raises BadRecording with the faulty line."""
    lines = _cells(file)
    if not lines:
        raise BadRecording(file, _WHAT, "no line")
    head = [cell.lower() for cell in lines[0][1]]
    named = not all(_is_number(cell) for cell in head)
    frame_at, time_at, unit_s = _columns(file, head, named)
    lines = lines[named:]
    if not lines:
        raise BadRecording(file, _WHAT, "no line below the names of the columns")
    times = np.array([_number(file, line, cells, time_at) for line, cells in lines])
    times = times * (unit_s or unit_by_size(times))
    steps = np.diff(times)
    if len(steps) and steps.min() < 0:
        k = int(np.argmin(steps))
        back = f"{times[k + 1]:g} s in line {lines[k + 1][0]} after {times[k]:g} s"
        raise BadRecording(file, "times that do not decrease", back)
    if len(steps) and np.median(steps) > MAX_STEP_S:
        remedy = "Are they milliseconds? Then name the column time_ms in the first line."
        raise BadRecording(file, "seconds", f"{np.median(steps):g} s from frame to frame", remedy)
    if frame_at is None:
        return FilmTimes(times)
    frames = np.array([_number(file, line, cells, frame_at) for line, cells in lines])
    wrong = np.flatnonzero((frames != np.round(frames)) | (np.diff(frames, prepend=-np.inf) <= 0))
    if len(wrong):
        line, cells = lines[int(wrong[0])]
        raise BadRecording(file, "frame numbers that increase", f"{cells[frame_at]} in line {line}")
    return FilmTimes(times, frames.astype(np.int64))


def with_film_times(video: Path, info: VideoInfo, file: Path) -> VideoInfo:
    """Return a film's properties with the frame times of a file, and notes on them.

    Lines and frames must match: a line for each frame; or, where the lines have frame numbers, a number for each frame.
    Raises BadRecording otherwise, with the numbers of lines, of frames by the header and of decoded frames.
    """
    given = read_film_times(file)
    times = _times_of_frames(given, np.arange(info.n_frames), info.n_frames)
    if times is None:
        header, decoded = count_frames(video, info)
        times = _times_of_frames(given, np.array(decoded, np.int64), info.n_frames)
        if times is None:
            raise _mismatch(video, file, given, header, len(decoded))
    between = info.n_frames - len(given.times_s)
    placed = f", {between} of them placed between those of its lines" if between > 0 else ""
    timed = info_with_times(info, times)
    note = f"the {info.n_frames:,} frames of {video.name} have the times of {file.name}{placed}"
    return replace(timed, notes=(note, *timed.notes))


def _times_of_frames(given: FilmTimes, decoded: np.ndarray, n_frames: int) -> np.ndarray | None:
    """Return the time of each frame, (n_frames,); None if lines and decoded frames do not match.

    decoded : numbers of the frames that are decoded; the others lie between or after them, and are never shown
    """
    if len(given.times_s) == len(decoded):
        times = given.times_s
    elif given.frames is not None and given.frames[-1] - given.frames[0] + 1 == len(decoded):
        times = np.interp(given.frames[0] + np.arange(len(decoded)), given.frames, given.times_s)
    else:
        return None
    if len(decoded) == n_frames:
        return times
    after = np.maximum(np.arange(n_frames) - decoded[-1], 0)
    step_s = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return np.interp(np.arange(n_frames), decoded, times) + after * step_s


def _mismatch(video: Path, file: Path, given: FilmTimes, header: int, decoded: int) -> BadRecording:
    numbers = ""
    if given.frames is not None:
        numbers = f" (frames {given.frames[0]} to {given.frames[-1]})"
    by_header = f"{header:,} frames by its header" if header else "no number of frames in its header"
    return BadRecording(
        file, f"a line for each frame of {video.name}",
        f"{len(given.times_s):,} lines{numbers}, {by_header}, {decoded:,} frames decoded",
        "Which frame has which time is not known. If lines are missing, write the frames' numbers in a column `frame`; "
        "or take the file away and set video_offset_s.",
    )  # fmt: skip


# ---------------------------------------------------------------- the file


def _cells(file: Path) -> list[tuple[int, list[str]]]:
    """Return the cells of each line with its number, without empty lines and comments. Raises BadRecording."""
    try:
        text = read_text(file, _WHAT)
    except OSError as error:
        raise BadRecording(file, _WHAT, error.strerror or str(error)) from None
    lines = [(n, line) for n, line in enumerate(text.lstrip("\ufeff").splitlines(), 1)
             if line.strip() and not line.lstrip().startswith(COMMENTS)]  # fmt: skip
    delimiter = next((mark for mark in ";\t" if lines and mark in lines[0][1]), ",")
    try:
        rows = csv.reader([line for _, line in lines], delimiter=delimiter, skipinitialspace=True)
        cells = [[cell.strip() for cell in row] for row in rows]
    except csv.Error as error:
        raise BadRecording(file, _WHAT, f"a file that is no CSV ({error})") from None
    decimal = {",": "."} if delimiter != "," else {}
    table = str.maketrans(decimal)
    return [(n, [cell.translate(table) for cell in row]) for (n, _), row in zip(lines, cells, strict=False)]


def _columns(file: Path, head: list[str], named: bool) -> tuple[int | None, int, float | None]:
    """Return the columns of frame number and time, and the unit of time in seconds if its name says it."""
    if not named:
        if len(head) > 2:
            raise BadRecording(file, "a first line that names the columns", f"{len(head)} numbers in it")
        return (0, 1, None) if len(head) == 2 else (None, 0, None)
    clocks = find_clocks(head)
    if not clocks:
        raise BadRecording(file, "a column time, in seconds", f"none among {', '.join(head)}")
    frames = [k for k, name in enumerate(head) if _FRAME.fullmatch(name)]
    return (frames[0] if frames else None), head.index(clocks[0].name), clocks[0].unit_s


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(file: Path, line: int, cells: list[str], at: int) -> float:
    cell = cells[at] if at < len(cells) else ""
    if not _is_number(cell) or not abs(float(cell)) < np.inf:
        raise BadRecording(file, "a number in each line", f"{cell!r} in line {line}")
    return float(cell)

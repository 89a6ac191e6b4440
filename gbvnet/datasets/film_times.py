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
from functools import lru_cache
from math import isnan
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import BadRecording
from ..io.frame_times import VideoInfo, info_with_times
from ..io.video import count_frames
from .formats.signal_text import find_clocks, unit_by_size
from .formats.text_file import COMMENTS, number_of, read_text

SUFFIX = ".times.csv"
MAX_STEP_S = 2.0  # median time from frame to frame; a longer one is in another unit
_FRAME = re.compile(r"frames?|frame[ _]?(?:num|number|no|index|id)|n|index", re.IGNORECASE)
_WHAT = "the times of a film's frames, one a line"


class FilmTimes(NamedTuple):
    """The lines of a file, or the samples of a stream, about the frames of a film.

    times_s : (R,) seconds
    frames : (R,) int64 numbers of frames, which increase; None if there are none
    """

    times_s: np.ndarray
    frames: np.ndarray | None = None

    @property
    def span(self) -> int:
        """How many numbers there are from the first to the last."""
        return 0 if self.frames is None else int(self.frames[-1] - self.frames[0]) + 1


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
    joined, header, decoded = match_film(video, info, given)
    if joined is None:
        raise _mismatch(video, file, given, header, decoded)
    return with_frame_times(info, joined, video.name, file.name, len(given.times_s))


def match_film(
    video: Path, info: VideoInfo, given: FilmTimes, slack: int = 0
) -> tuple["JoinedFrames | None", int, int]:
    """Return the times of a film's frames, None if they do not match (`join_frames`); and the numbers of frames by its
    header and of decoded frames.

    The film is decoded only if its packets do not match. Raises BadRecording if it cannot be opened.
    """
    joined = join_frames(given, np.arange(info.n_frames))
    if joined is not None:
        return joined, info.n_frames, info.n_frames
    stat = video.stat()
    header, decoded = _counted(video, info, stat.st_size, stat.st_mtime_ns)
    return join_frames(given, np.array(decoded, np.int64), slack), header, len(decoded)


@lru_cache(maxsize=2)  # the trials of one film are inspected in sequence
def _counted(video: Path, info: VideoInfo, size: int, changed_ns: int) -> tuple[int, list[int]]:
    return count_frames(video, info)


class JoinedFrames(NamedTuple):
    """The times of a film's frames.

    decoded : (F,) numbers of the frames that are decoded; others lie between or after them, and are never shown
    times_s : (F,) when each was taken, seconds
    by_number : whether frames were joined to rows by number, so that rows are missing; else in their order
    """

    decoded: np.ndarray
    times_s: np.ndarray
    by_number: bool


def join_frames(given: FilmTimes, decoded: np.ndarray, slack: int = 0) -> JoinedFrames | None:
    """Return the time of each decoded frame; None if rows and frames do not match.

    With F frames, R rows and S numbers from the first row's to the last one's:

        F = R           a row a frame, in this order; if S is larger, the camera lost frames before both were written
        F = S           the film has every number, and rows are missing: these frames lie between those of the rows
        else            which frame has which time is not known

    slack : by how many frames F and S may differ: a program stops its film and its stream one after the other
    """
    n, times = len(decoded), given.times_s
    if len(times) == n:
        return JoinedFrames(decoded, times, False)
    if given.frames is None or n < 1 or abs(given.span - n) > slack or len(times) > n + slack:
        return None
    after = np.maximum(given.frames[0] + np.arange(n) - given.frames[-1], 0)
    step_s = float(np.median(np.diff(times) / np.diff(given.frames))) if len(times) > 1 else 0.0
    between = np.interp(given.frames[0] + np.arange(n), given.frames, times)
    return JoinedFrames(decoded, between + after * step_s, True)


def with_frame_times(info: VideoInfo, joined: JoinedFrames, film: str, source: str, rows: int) -> VideoInfo:
    """Return a film's properties with the times of its decoded frames, and a note on them.

    film, source : what has the frames and what gives the times, for the note. rows : how many times it gives
    """
    times, decoded = joined.times_s, joined.decoded
    if len(decoded) != info.n_frames:
        after = np.maximum(np.arange(info.n_frames) - decoded[-1], 0)
        step_s = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        times = np.interp(np.arange(info.n_frames), decoded, times) + after * step_s
    between = info.n_frames - rows
    placed = f", {between} of them placed between those of its lines" if between > 0 else ""
    timed = info_with_times(info, times)
    note = f"the {info.n_frames:,} frames of {film} have the times of {source}{placed}"
    return replace(timed, notes=(note, *timed.notes))


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
    return cell.strip().lower() == "nan" or not isnan(number_of(cell))


def _number(file: Path, line: int, cells: list[str], at: int) -> float:
    cell = cells[at] if at < len(cells) else ""
    number = number_of(cell)
    if not abs(number) < np.inf:
        raise BadRecording(file, "a number in each line", f"{cell!r} in line {line}")
    return number

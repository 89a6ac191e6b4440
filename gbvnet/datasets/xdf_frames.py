"""The frames of a film whose numbers and times are a stream of an XDF file.

The camera program writes a film, which loses time where frames are lost, and streams a row for each frame that it
takes: its number, stamped. Row and frame are joined as film_times.join_frames says, or not at all.
"""

from pathlib import Path

import numpy as np

from ..errors import BadRecording
from ..io.frame_times import VideoInfo
from ..text import did_you_mean, sentence, shortened
from .film_times import FilmTimes, match_film, with_film_times, with_frame_times
from .formats.device_signatures import XDF, device_name
from .formats.xdf import XdfFileStreams, find_stream, is_frames, offsets_note, read_xdf, stream_labels, xdf_streams
from .formats.xdf_clocks import TimedStream

SLACK = 1  # frames by which film and numbers may differ: the program stops one after the other


def frame_stream(held: XdfFileStreams) -> TimedStream | None:
    """Return the only stream with numbers of frames; None if there is none, or if there are several."""
    streams = [t for t in held.streams if is_frames(t.stream) and not t.stream.is_text and not t.stream.is_pictures]
    streams = [t for t in streams if len(t.times_s)]
    return streams[0] if len(streams) == 1 else None


def number_column(timed: TimedStream) -> str:
    """Return the name of the column with the numbers of frames: the one called so, else the first."""
    labels = stream_labels(timed.stream)
    named = [name for name in labels if "frame" in name.lower() and "time" not in name.lower()]
    return (named or list(labels))[0]


def frame_rows(held: XdfFileStreams, name: str, column: str, zero_s: float, latency_s: float = 0.0) -> FilmTimes:
    """Return number and time of each frame of a stream, in seconds from `zero_s` on.

    column : with the numbers, by label or as 1, 2, ...; empty: the one named so, else the first
    latency_s : from light to stamp, which is subtracted

    Raises BadRecording for a stream that holds pictures or texts, and for numbers or times that do not increase.
    """
    timed = find_stream(held, name)
    stream, path = timed.stream, held.path
    if stream.is_pictures or stream.is_text:
        what = "the pictures themselves" if stream.is_pictures else "texts"
        remedy = "gbvnet reads films. Record a film, and stream the number of each frame (docs/corpora/xdf.md)."
        raise BadRecording(path, f"numbers of frames in stream {stream.label}", what, remedy)
    if timed.refusal or len(timed.times_s) < 2:
        raise BadRecording(path, f"frames in stream {stream.label}", timed.refusal or f"{len(timed.times_s)}")
    column, labels = column or number_column(timed), stream_labels(stream)
    if column not in labels:
        hint = sentence(did_you_mean(column, labels))
        raise BadRecording(path, f"column {column} in stream {stream.label}", shortened(list(labels)), hint)
    numbers = np.asarray(stream.values[:, labels.index(column)], np.float64)
    times = timed.times_s - zero_s - latency_s
    steps = np.diff(numbers)
    wrong = np.flatnonzero(~(np.isfinite(numbers) & (numbers == np.round(numbers)) & (np.abs(numbers) < 2**53)))
    if len(wrong) or not (steps > 0).all():
        k = int(wrong[0]) if len(wrong) else int(np.flatnonzero(steps <= 0)[0]) + 1
        before = f" after {numbers[k - 1]:.12g}" if k else ""
        actual = f"{numbers[k]:.12g}{before} in row {k + 1}, at {times[k]:.3f} s"
        remedy = "Was the camera started anew within the recording? Then only one part has the film's frames."
        raise BadRecording(path, f"whole numbers that increase in {column} of stream {stream.label}", actual, remedy)
    if np.diff(times).min() < 0:
        k = int(np.argmin(np.diff(times)))
        actual = f"{times[k + 1]:.3f} s after {times[k]:.3f} s in row {k + 2}"
        raise BadRecording(path, f"times that do not decrease in stream {stream.label}", actual)
    return FilmTimes(times, numbers.astype(np.int64))


def with_stream_times(video: Path, info: VideoInfo, path: Path, stream: str, rows: FilmTimes) -> VideoInfo:
    """Return a film's properties with the times of a stream, and notes on the join.

    Raises BadRecording, with how many frames, rows and numbers there are, if which row is which frame is not known.
    """
    joined, header, n = match_film(video, info, rows, SLACK)
    r, span = len(rows.times_s), rows.span
    if joined is None or rows.frames is None:
        numbers = (
            f"{span:,} numbers ({rows.frames[0]} to {rows.frames[-1]})" if rows.frames is not None else "no numbers"
        )
        by_header = f" ({header:,} by its header)" if header else ""
        raise BadRecording(
            path, f"as many frames in {video.name} as rows or as numbers in stream {stream}",
            f"F = {n:,} frames decoded{by_header}, R = {r:,} rows, S = {numbers}",
            "Which frame has which time is not known: is it the film of this file, and whole? Without `frames` in "
            "xdf.yaml the signals alone are used.",
        )  # fmt: skip
    source = f"stream {stream}"
    if not joined.by_number and span > n:
        source += f" row by row; {span - n} numbers are in neither, frames that the camera lost"
    elif joined.by_number:
        source += f" by number; {n - r} of its rows are missing"
        source += f"; the film has {n - span:+d} frame" if n != span else ""
    held = xdf_streams(path)
    note = offsets_note(held, find_stream(held, stream))
    return with_frame_times(info, joined, "its film", source, n).with_note(note)


def frames_in(path: Path) -> str | None:
    """Return the name of the only stream of frames of an XDF file; None if there is none, or if it is another file.

    Raises BadRecording.
    """
    if device_name(path) != XDF:
        return None
    timed = frame_stream(xdf_streams(path))
    return None if timed is None else timed.stream.name


def with_times_of(video: Path, info: VideoInfo, file: Path) -> VideoInfo:
    """Return a film's properties with the times of its frames: those of a text file, or of the only stream of frames in
    an XDF file, whose clock then is that of all its signals.

    Raises BadRecording if there is no such stream, or if frames and times do not match.
    """
    if device_name(file) != XDF:
        return with_film_times(video, info, file)
    name = frames_in(file)
    if name is None:
        there = shortened([one.stream.label for one in xdf_streams(file).streams], 12)
        raise BadRecording(file, f"one stream with the numbers of the frames of {video.name}", f"none in {there}")
    rows = frame_rows(xdf_streams(file), name, "", read_xdf(file).zero_s)
    return with_stream_times(video, info, file, name, rows)

"""The files of a subject of CASE: eight signals, valence and arousal by joystick, and which video was shown when.

Three forms of the same session, as the authors' scripts make them one from the other:

    interpolated        CSV with column names; signals every 1 ms, joystick every 50 ms, by linear interpolation
    non-interpolated    the same columns at the times at which they were logged
    raw                 tabs, no column names, no videos: seconds, volts and the joystick's own numbers

Raw volts become units by the sensors' formulas, as in the authors' s03_v2_interTransformData.m. Which video was shown
in raw files follows from metadata/seqs_order.txt and metadata/videos_duration.txt: one after the other from time 0 on.
Shapes: N samples of the signals, T rows of the joystick, 8 channels.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..errors import BadRecording
from ..text import shortened
from .recording import Channel
from .units import Conversion, convert

RATE_HZ, JOYSTICK_HZ = 1000, 20
SCALE, JOYSTICK = (0.5, 9.5), 26225  # of the ratings; the joystick's own numbers are from -26225 to 26225
# The sensors' EMG is an amplitude (RMS) already, whose level tells: it is not filtered again.
CHANNELS = (
    Channel("ecg", "ecg"),
    Channel("bvp", "ppg"),
    Channel("gsr", "gsr"),
    Channel("rsp", "resp"),
    Channel("skt", "temp"),
    *(Channel(name, "emg", filtered=True) for name in ("emg_zygo", "emg_coru", "emg_trap")),
)
UNITS = {
    "ecg": "mV", "bvp": "%", "gsr": "uS", "rsp": "%", "skt": "C",
    "emg_zygo": "uV", "emg_coru": "uV", "emg_trap": "uV",
}  # fmt: skip
VOLTS = {  # the value in the unit above = volts * factor + offset
    "ecg": (1000 / 50, -2.8 * 1000 / 50), "bvp": (58.962, -115.09), "gsr": (24.0, -49.2), "rsp": (58.923, -115.01),
    "skt": (21.341, -32.085), **dict.fromkeys(("emg_zygo", "emg_coru", "emg_trap"), (250.0, -500.0)),
}  # fmt: skip
RATED = ("valence", "arousal")
VIDEOS = {  # s01_extractVidData.m
    "amusing-1": 1, "amusing-2": 2, "boring-1": 3, "boring-2": 4, "relaxed-1": 5, "relaxed-2": 6, "scary-1": 7,
    "scary-2": 8, "startVid": 10, "bluVid": 11, "endVid": 12,
}  # fmt: skip
START, BLUE, END = 10, 11, 12  # videos that are no films
FILMS = range(1, 9)
FORMS = ("interpolated", "non-interpolated", "raw")  # the first one that is there is read
INTERPOLATED, RAW = FORMS[0], FORMS[2]
LARGEST, LARGEST_TEXT = 1 << 30, 1 << 20  # bytes of a file of numbers (about 150 MB is usual), and of one of text
SIGNAL_COLUMNS = ("daqtime", *UNITS)
JOYSTICK_COLUMNS = ("jstime", *RATED)
_REFETCH = "The download may be cut short or changed; fetch it again."
_MAX_RATE_ERROR = 0.05


class Files(NamedTuple):
    """The files of a subject; order and lengths of the videos, of raw files alone."""

    signals: Path
    joystick: Path
    form: str  # "interpolated", "non-interpolated" or "raw"
    sequence: "tuple[tuple[int, float], ...]" = ()  # video and its length in ms, in the order in which they were shown


class Span(NamedTuple):
    """When a video was shown, by one of the two files; seconds."""

    start_s: float
    stop_s: float


@dataclass(frozen=True, eq=False)
class Session:
    """A subject's whole session.

    times_s : (N,) increasing; samples : (8, N) in the units that are stored; videos : (N,) shown, 0 for none
    rated_s : (T,) increasing; ratings : (2, T), valence and arousal; rated_videos : (T,)
    """

    times_s: np.ndarray
    samples: np.ndarray
    videos: np.ndarray
    rated_s: np.ndarray
    ratings: np.ndarray
    rated_videos: np.ndarray

    def spans(self, video: int, rated: bool = False) -> list[Span]:
        """Return when a video was shown, by the signals' file or by that of the joystick (`rated`)."""
        times, videos, step = (
            (self.rated_s, self.rated_videos, 1 / JOYSTICK_HZ) if rated else (self.times_s, self.videos, 1 / RATE_HZ)
        )
        edges = np.flatnonzero(np.diff(np.concatenate([[False], videos == video, [False]]).astype(np.int8)))
        return [Span(float(times[a]), float(times[b - 1]) + step) for a, b in edges.reshape(-1, 2).tolist()]

    def samples_at(self, first_s: float, n: int) -> np.ndarray:
        """Return n samples of each channel at 1 kHz from `first_s` on, (8, n): as they are, or interpolated."""
        at = int(np.searchsorted(self.times_s, first_s - 0.5 / RATE_HZ))
        grid = first_s + np.arange(n) / RATE_HZ
        own = self.times_s[at : at + n]
        if len(own) == n and np.abs(own - grid).max() < 1e-6:
            return self.samples[:, at : at + n].copy()
        return np.stack([np.interp(grid, self.times_s, x) for x in self.samples])


def read_session(files: Files) -> Session:
    """Return a subject's session. Raises BadRecording, with the row, if one of its files cannot be used.

    A last line that is not whole is left out.
    """
    try:
        stats = [path.stat() for path in (files.signals, files.joystick)]
    except OSError as error:
        raise BadRecording(error.filename, "a file of numbers", error.strerror) from None
    return _read(files, *((stat.st_size, stat.st_mtime_ns) for stat in stats))


@lru_cache(maxsize=1)
def _read(files: Files, *_stats: tuple[int, int]) -> Session:
    raw = files.form == RAW
    more = () if raw else ("video",)
    signals = _read_columns(files.signals, (*SIGNAL_COLUMNS, *more), raw)
    joystick = _read_columns(files.joystick, (*JOYSTICK_COLUMNS, *more), raw)
    second = 1.0 if raw else 1000.0  # of the clocks
    times_s = _times(files.signals, "daqtime", signals["daqtime"] / second, RATE_HZ, raw)
    rated_s = _times(files.joystick, "jstime", joystick["jstime"] / second, JOYSTICK_HZ, raw)
    if raw:
        videos, rated_videos = (_shown(t, files.sequence) for t in (times_s, rated_s))
    else:
        videos, rated_videos = (
            _whole(path, table["video"]) for path, table in ((files.signals, signals), (files.joystick, joystick))
        )
    ratings = np.stack([joystick[name] for name in RATED])
    if raw:
        ratings = SCALE[0] + (SCALE[1] - SCALE[0]) * (ratings + JOYSTICK) / (2 * JOYSTICK)
    samples = np.stack([_stored(channel, signals[channel.name], raw) for channel in CHANNELS])
    return Session(times_s, samples, videos, rated_s, ratings, rated_videos)


def unit_of(channel: Channel) -> Conversion:
    """Return how a channel becomes what is stored, from the unit in which the CSV files have it."""
    return convert(channel.kind, UNITS[channel.name])


def _stored(channel: Channel, x: np.ndarray, raw: bool) -> np.ndarray:
    """Return a channel in the unit that is stored, (N,)."""
    if raw:
        factor, offset = VOLTS[channel.name]
        x = x * factor + offset
    unit = unit_of(channel)
    return x * unit.scale + unit.offset


def _read_columns(path: Path, columns: tuple[str, ...], raw: bool) -> dict[str, np.ndarray]:
    """Return columns of a file of numbers by name, (N,) float64 each. Raises BadRecording."""
    wanted = f"{len(columns)} columns of numbers: {', '.join(columns)}"
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise BadRecording(path, f"at most {LARGEST >> 20:,} MiB", f"{size >> 20:,} MiB", "Is it this corpus?")
        with path.open("rb") as file:
            first = file.readline(LARGEST_TEXT).decode("utf-8-sig", "replace")
            file.seek(max(0, size - 1))
            whole = file.read(1) == b"\n"
        separator = "\t" if raw else ","
        names = [cell.strip().strip('"').lower() for cell in first.rstrip("\r\n").rstrip(separator).split(separator)]
        if raw and len(names) != len(columns):
            raise BadRecording(path, wanted, f"{len(names)} in the first line", _REFETCH)
        absent = [] if raw else [name for name in columns if names.count(name) != 1]
        if absent:
            actual = f"no {absent[0]} among {shortened(names, 12)}" if absent[0] not in names else f"{absent[0]} twice"
            raise BadRecording(path, wanted, f"{actual:.200}", _REFETCH)
        table = pd.read_csv(
            path, sep=separator, header=None, skiprows=0 if raw else 1, names=[*columns] if raw else names,
            usecols=[*columns], index_col=False, dtype=np.float64, encoding="utf-8", encoding_errors="strict",
        )  # fmt: skip
    except OSError as error:
        raise BadRecording(path, wanted, error.strerror or type(error).__name__) from None
    except (ValueError, OverflowError) as error:  # of pandas: its own errors are ValueErrors
        actual = " ".join(str(error).split()) or type(error).__name__
        raise BadRecording(path, wanted, f"a file that does not read ({actual:.200})", _REFETCH) from None
    values = {name: table[name].to_numpy() for name in columns}
    if len(table) and (not whole or any(np.isnan(x[-1]) for x in values.values())):
        values = {name: x[:-1] for name, x in values.items()}
    if not len(values[columns[0]]):
        raise BadRecording(path, wanted, "no whole row", _REFETCH)
    return values


def _times(path: Path, name: str, times_s: np.ndarray, rate_hz: int, raw: bool) -> np.ndarray:
    """Return times if they increase at about a rate. Raises BadRecording with the row."""
    bad = np.flatnonzero(~np.isfinite(times_s))
    if len(bad):
        raise BadRecording(path, f"a time in each row of column {name}", f"none in data row {bad[0] + 1}", _REFETCH)
    steps = np.diff(times_s)
    back = np.flatnonzero(steps <= 0)
    if len(back):
        k = int(back[0])
        actual = f"{times_s[k + 1]:.6g} s after {times_s[k]:.6g} s in data row {k + 2}"
        raise BadRecording(path, f"times that increase in column {name}", actual, _REFETCH)
    own_hz = 1 / float(np.median(steps)) if len(steps) else rate_hz
    if abs(own_hz / rate_hz - 1) > _MAX_RATE_ERROR:
        unit = "seconds" if raw else "milliseconds"
        actual = f"{own_hz:.6g} rows a second, if {name} is in {unit}"
        raise BadRecording(path, f"about {rate_hz} rows a second", actual, "Raw files have seconds, all others ms.")
    return times_s


def _whole(path: Path, videos: np.ndarray) -> np.ndarray:
    """Return the videos' numbers as whole numbers. Raises BadRecording with the row."""
    bad = np.flatnonzero(~(np.abs(videos) < 1e6) | (np.nan_to_num(videos, posinf=0, neginf=0) % 1 != 0))
    if len(bad):
        actual = f"{videos[bad[0]]:g} in data row {bad[0] + 1}"
        raise BadRecording(path, "a whole number in each row of column video", actual, _REFETCH)
    return videos.astype(np.int64)


def _shown(times_s: np.ndarray, sequence: tuple[tuple[int, float], ...]) -> np.ndarray:
    """Return which video was shown at each time, (N,), 0 before the first and after the last."""
    ends = np.cumsum([ms for _, ms in sequence]) / 1000
    numbers = np.array([*(video for video, _ in sequence), 0])
    return np.where(times_s < 0, 0, numbers[np.searchsorted(ends, times_s, side="right")])


# ---------------------------------------------------------------- metadata of raw files

ORDER, LENGTHS = "seqs_order.txt", "videos_duration.txt"


def read_sequences(folder: Path) -> list[tuple[tuple[int, float], ...]]:
    """Return video and length in ms, in the order in which they were shown to each subject. Raises BadRecording."""
    lengths: dict[str, float] = {}
    path = folder / LENGTHS
    for number, (name, *cells) in enumerate(_rows(path)[1:], start=2):
        try:
            ms = float(cells[0])
        except (IndexError, ValueError):
            ms = 0.0
        if name not in VIDEOS or not 0 < ms < 1e8:
            wanted = f"a video ({', '.join(VIDEOS)}) and its length in ms"
            raise BadRecording(path, wanted, f"{' '.join([name, *cells])!r:.80} in line {number}", _REFETCH)
        lengths[name] = ms
    path = folder / ORDER
    rows = _rows(path)
    n_subjects = len(rows[0])
    for number, row in enumerate(rows[1:], start=2):
        strange = [name for name in row if name not in lengths]
        if len(row) != n_subjects or strange:
            actual = f"{strange[0]!r:.40}" if strange else f"{len(row)} cells"
            wanted = f"{n_subjects} videos, each with its length in {LENGTHS}, in line {number}"
            raise BadRecording(path, wanted, actual, _REFETCH)
    return [tuple((VIDEOS[row[k]], lengths[row[k]]) for row in rows[1:]) for k in range(n_subjects)]


def _rows(path: Path) -> list[list[str]]:
    """Return the cells of a small table with tabs, without empty lines and trailing tabs. Raises BadRecording."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_TEXT).decode("utf-8-sig", "replace")
    except OSError as error:
        remedy = "Raw files do not say which video was shown: give the folder that has metadata/ in it, too."
        raise BadRecording(path, "a table with tabs", error.strerror or type(error).__name__, remedy) from None
    lines = [line.rstrip() for line in text.splitlines()]
    rows = [[cell.strip().strip('"') for cell in line.split("\t")] for line in lines if line]
    if len(rows) < 2:
        raise BadRecording(path, "a line of names and lines of values", f"{len(rows)} lines", _REFETCH)
    return rows

"""Empatica E4: the folder of a session, or its zip archive as it is downloaded.

    EDA.csv, TEMP.csv   4 Hz, uS and degrees Celsius     BVP.csv   64 Hz     ACC.csv   32 Hz, three axes in 1/64 g
    HR.csv, IBI.csv     derived by Empatica from BVP; HR.csv starts 10 s later than the others
    tags.csv            seconds since 1970 of each press of the button, without a header; may be empty

Line 1 of a signal is its start in seconds since 1970 (UTC), line 2 its rate. There is no clock besides: sample k was
taken k / rate seconds after the start.
"""

import io
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...errors import BadRecording
from .device_file import DeviceChannel, DeviceFile
from .device_signatures import EMPATICA, empatica_entries
from .segments import Segment
from .signal_text import MAX_UNIX_TIME_S, MIN_UNIX_TIME_S, to_numbers

MAX_FILE_BYTES = 128 << 20  # of one file: two days of BVP have 80 MB
MAX_RATE_HZ = 1000.0
MAX_LENGTH_DIFFERENCE_S = 2.0  # between the signals of one session
MAX_START_DIFFERENCE_S = 1e-3
HR_LATE_S, HR_TOLERANCE_S = 10.0, 1.0
_KINDS = {"EDA": ("gsr", "uS"), "TEMP": ("temp", "C"), "BVP": ("ppg", ""), "ACC": (None, "")}
_AXES = ("x", "y", "z")
_ALONE = "Or give single files, each with its own start, as in `EDA.csv + BVP.csv@0`."


class _Signal(NamedTuple):
    start_s: float
    rate_hz: float
    samples: np.ndarray  # (N, axes)

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz


def read_empatica(path: Path) -> DeviceFile:
    """Return the signals of a session. Raises BadRecording, with the file in it that is wrong."""
    files = _files(path)
    signals = {stem: _read_signal(path, f"{stem}.csv", files[f"{stem.lower()}.csv"])
               for stem in _KINDS if f"{stem.lower()}.csv" in files}  # fmt: skip
    empty = [stem for stem, signal in signals.items() if not len(signal.samples)]
    signals = {stem: signal for stem, signal in signals.items() if stem not in empty}
    if not signals:
        raise BadRecording(path, "samples of an Empatica E4", "none in any of its files")
    _require_together(path, signals)
    start_s, seconds = next(iter(signals.values())).start_s, min(s.seconds for s in signals.values())
    notes = [f"{stem}.csv has no sample" for stem in empty]
    notes += [*_eda_notes(signals), *_derived_notes(files, start_s, seconds)]
    channels = tuple(channel for stem, signal in signals.items() for channel in _channels(stem, signal))
    return DeviceFile(path, EMPATICA, channels, (Segment(0.0, seconds, 0.0),), start_unix_s=start_s, notes=tuple(notes))


def _channels(stem: str, signal: _Signal) -> list[DeviceChannel]:
    kind, unit = _KINDS[stem]
    names = [stem] if signal.samples.shape[1] == 1 else [f"{stem}_{axis}" for axis in _AXES]
    return [DeviceChannel(name, kind, unit, signal.rate_hz, column)
            for name, column in zip(names, signal.samples.T, strict=True)]  # fmt: skip


# ---------------------------------------------------------------- files


def _files(path: Path) -> dict[str, Callable[[], bytes]]:
    """Return the files of a session by name in small letters, each as a function that reads it."""
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.suffix.lower() == ".csv" and file.is_file()]
        return {file.name.lower(): partial(_of_folder, file) for file in files}
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise BadRecording(path, "a zip archive of an Empatica E4", f"one that does not open ({error})") from None
    entries = empatica_entries(names)
    folder = next(iter(entries.values())).rpartition("/")[0] if entries else ""
    beside = {name.rpartition("/")[2].lower(): name for name in names if name.rpartition("/")[0] == folder}
    return {name: partial(_of_zip, path, entry) for name, entry in beside.items() if name.endswith(".csv")}


def _of_folder(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadRecording(file, "a file of an Empatica E4", error.strerror or str(error)) from None
    return _bounded(file, content)


def _of_zip(path: Path, entry: str) -> bytes:
    """Return the content of an entry, which is read in memory and never written; its stated size is not trusted."""
    failures = (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
    try:
        with zipfile.ZipFile(path) as archive, archive.open(entry) as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except failures as error:  # RuntimeError: it is encrypted
        raise BadRecording(f"{path}, {entry}", "a file that can be unpacked", f"one that cannot ({error})") from None
    return _bounded(f"{path}, {entry}", content)


def _bounded(name: Path | str, content: bytes) -> bytes:
    if len(content) > MAX_FILE_BYTES:
        limit = f"at most {MAX_FILE_BYTES >> 20} MiB, which are more than two days"
        raise BadRecording(name, f"a file of an Empatica E4, {limit}", "more")
    return content


# ---------------------------------------------------------------- signals


def _read_signal(path: Path, name: str, read: Callable[[], bytes]) -> _Signal:
    """Return a signal; `name` of its file, for errors. Raises BadRecording, with the line."""
    where, content = f"{path}, {name}", read()
    axes = 3 if name == "ACC.csv" else 1
    try:
        # An empty line within is a lost sample, behind which all others would be too early.
        table = pd.read_csv(io.BytesIO(content.rstrip()), header=None, encoding_errors="replace", skipinitialspace=True,
                            skip_blank_lines=False)  # fmt: skip
        values = table.apply(to_numbers).to_numpy(np.float64)
    except ValueError as error:
        raise BadRecording(where, "numbers", f"a file that does not read ({' '.join(str(error).split())})") from None
    if len(values) < 2 or values.shape[1] != axes:
        actual = f"{len(values)} lines of {values.shape[1]}"
        raise BadRecording(where, f"a line of the start, one of the rate, then lines of {axes} numbers", actual)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise BadRecording(where, "a number in each line", f"none in line {bad[0] + 1}", "Is the file whole?")
    start_s, rate_hz = float(values[0, 0]), float(values[1, 0])
    if not MIN_UNIX_TIME_S < start_s < MAX_UNIX_TIME_S or not 0 < rate_hz <= MAX_RATE_HZ:
        actual = f"{start_s:g} and {rate_hz:g}"
        raise BadRecording(where, "seconds since 1970 in line 1 and the rate in line 2", actual)
    return _Signal(start_s, rate_hz, values[2:])


def _require_together(path: Path, signals: dict[str, _Signal]) -> None:
    """Raise BadRecording if signals start at different times, or last for different times."""
    starts = {stem: signal.start_s for stem, signal in signals.items()}
    if max(starts.values()) - min(starts.values()) > MAX_START_DIFFERENCE_S:
        actual = ", ".join(f"{stem} at {start:.3f}" for stem, start in starts.items())
        raise BadRecording(path, "signals that start at one time", actual, _ALONE)
    lengths = {stem: signal.seconds for stem, signal in signals.items()}
    if max(lengths.values()) - min(lengths.values()) > MAX_LENGTH_DIFFERENCE_S:
        actual = ", ".join(f"{stem} {seconds:.2f} s" for stem, seconds in lengths.items())
        remedy = f"Samples are lost, or files were cut: take it from Empatica's site again. {_ALONE}"
        raise BadRecording(path, f"signals of one length to {MAX_LENGTH_DIFFERENCE_S:g} s", actual, remedy)


def _eda_notes(signals: dict[str, _Signal]) -> list[str]:
    if "EDA" not in signals:
        return []
    values = signals["EDA"].samples
    if not values.any():
        return ["EDA is 0 throughout: were the electrodes worn?"]
    negative = int((values < 0).sum())
    return [f"EDA is below 0 uS in {negative} of {len(values)} samples"] if negative else []


def _derived_notes(files: dict[str, Callable[[], bytes]], start_s: float, seconds: float) -> list[str]:
    """Return notes on HR.csv and tags.csv, which must fit the session; they are not used otherwise."""
    notes = []
    hr = _first_numbers(files, "hr.csv", 1)
    if len(hr) and abs(hr[0] - start_s - HR_LATE_S) > HR_TOLERANCE_S:
        notes.append(f"HR.csv starts {hr[0] - start_s:+.1f} s after EDA.csv, where +10 s are usual: of one session?")
    tags = _first_numbers(files, "tags.csv", None)
    outside = int(((tags < start_s) | (tags > start_s + seconds)).sum())
    if outside:
        notes.append(f"{outside} of {len(tags)} times in tags.csv are outside of the session")
    return notes


def _first_numbers(files: dict[str, Callable[[], bytes]], name: str, most: int | None) -> np.ndarray:
    """Return the numbers that begin the first lines of a file; none if it is absent or cannot be read."""
    try:
        content = files[name]() if name in files else b""
    except BadRecording:
        return np.empty(0)
    lines = content.decode("utf-8", "replace").split("\n")[:most]
    cells = pd.to_numeric(pd.Series([line.split(",")[0].strip() for line in lines]), errors="coerce")
    values = cells.to_numpy(np.float64)
    return values[np.isfinite(values)]

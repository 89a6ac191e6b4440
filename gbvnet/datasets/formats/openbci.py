"""OpenBCI boards: the text files of the OpenBCI GUI (OpenBCI-RAW-....txt, also as .csv).

    %OpenBCI Raw EXG Data
    %Number of channels = 8
    %Sample Rate = 250 Hz
    %Board = OpenBCI_GUI$BoardCytonSerial
    Sample Index, EXG Channel 0, ..., Accel Channel 0, ..., Other, ..., Timestamp, Other, Timestamp (Formatted)

Files of the GUI before version 5 name no columns: `%First Column = SampleIndex`, then the channels in microvolts.
What an EXG channel measures (EEG, ECG, EMG) is known to the user alone.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import BadRecording
from .device_file import DeviceChannel, DeviceFile
from .device_rows import RowTimes, grid_rows
from .device_signatures import OPENBCI
from .device_text import header_lines, numbers, read_rows, require_numbers, unix_seconds
from .text_file import stated_rate_hz

INDEX, STAMP = "Sample Index", "Timestamp"
_SIGNALS = re.compile(r"(EXG|Accel|Analog) Channel \d+")
_MAX_CHANNELS = 64


def read_openbci(path: Path) -> DeviceFile:
    """Return the signals of a recording. Raises BadRecording."""
    lines = header_lines(path, OPENBCI)
    comments = [line.strip('",; ') for line in lines if line.lstrip('"').startswith("%")]
    skip = next((k for k, line in enumerate(lines) if line.strip() and not line.lstrip('"').startswith("%")), None)
    if skip is None:
        raise BadRecording(path, "rows of samples below the lines that begin with %", "none")
    delimiter = "\t" if lines[skip].count("\t") > lines[skip].count(",") else ","
    names = [cell.strip().strip('"') for cell in lines[skip].split(delimiter)]
    named = any(_SIGNALS.fullmatch(name) for name in names)
    if not named:
        names = _older_names(path, comments, len(names))
    table = read_rows(path, OPENBCI, names, skip + named, delimiter)
    signals = [name for name in names if _SIGNALS.fullmatch(name)]
    values, line = numbers(table, signals), skip + named + 1
    if len(values) and not np.isfinite(values[-1]).all():  # a line that was cut while it was written
        table, values = table.iloc[:-1], values[:-1]
    times = RowTimes(
        stated_rate_hz(tuple(comments)), *_stamps(path, table, named, line), _counter(table, path, line), INDEX
    )
    grid = grid_rows(path, values, times)
    since_1970 = times.stamps is not None and unix_seconds(times.stamps)[1]
    channels = tuple(
        DeviceChannel(name, None, "uV" if name.startswith("EXG") else "", grid.rate_hz, samples)
        for name, samples in zip(signals, grid.samples.T, strict=True)
    )
    return DeviceFile(
        path, OPENBCI, channels, grid.segments, grid.rates_hz, grid.start_s if since_1970 else None, "", grid.notes
    )


def _older_names(path: Path, comments: list[str], n: int) -> list[str]:
    """Return names for the columns of a file that has none, by its header: index, channels, then others."""
    stated = next((m for c in comments if (m := re.search(r"number of channels\s*=\s*(\d+)", c, re.I))), None)
    if stated is None or not 0 < int(stated[1]) <= _MAX_CHANNELS:
        remedy = "Add a line such as `%Number of channels = 8`, or names of the columns below the lines with %."
        raise BadRecording(path, "names of the columns, or the number of channels", "neither", remedy)
    time_first = any(re.match(r"%first column\s*=\s*time", c, re.I) for c in comments)
    names = [*(["Seconds"] if time_first else []), INDEX, *(f"EXG Channel {k}" for k in range(int(stated[1])))]
    if n < len(names):
        raise BadRecording(path, f"{len(names)} cells in a line, by the lines that begin with %", f"{n}")
    return [*names, *(f"Other {k}" for k in range(n - len(names)))]


def _stamps(path: Path, table: pd.DataFrame, named: bool, line: int) -> tuple[np.ndarray | None, str]:
    """Return the time of each row in seconds, and the name of its column; None if the file has none."""
    if not named:
        return _older_stamps(table)
    if STAMP not in table:
        return None, ""
    stamps = numbers(table, [STAMP])[:, 0]
    require_numbers(path, STAMP, stamps, line)
    return unix_seconds(stamps)[0], STAMP


def _older_stamps(table: pd.DataFrame) -> tuple[np.ndarray | None, str]:
    """Return the times of a file without names: milliseconds since 1970 in one of the last columns, or seconds."""
    for name in [*(n for n in table.columns[::-1] if n.startswith("Other ")), "Seconds"]:
        if name not in table:
            continue
        stamps = numbers(table, [name])[:, 0]
        if np.isfinite(stamps).all() and len(stamps) > 1 and (name == "Seconds" or unix_seconds(stamps)[1]):
            return unix_seconds(stamps)[0], "the time" if name == "Seconds" else "the milliseconds since 1970"
    return None, ""


def _counter(table: pd.DataFrame, path: Path, line: int) -> np.ndarray | None:
    if INDEX not in table:
        return None
    counter = numbers(table, [INDEX])[:, 0]
    require_numbers(path, INDEX, counter, line)
    return counter

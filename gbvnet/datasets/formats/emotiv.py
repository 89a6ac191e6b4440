"""Emotiv headsets: the CSV files of EmotivPRO, and those of its predecessors Xavier and TestBench.

    title:NAME,start timestamp:1623658701.49,...,sampling rate:128,samples:2855,...      EmotivPRO
    Timestamp,EEG.Counter,EEG.Interpolated,EEG.AF3,...,CQ.AF3,...

    title:NAME, recorded:16.09.11 10.40.19, sampling:128, subject:, labels:COUNTER INTERPOLATED AF3 ..., units:emotiv

Electrodes are in microvolts, with a level of about 4200 uV. The counter begins anew at every second: it tells which
samples are lost. A sample that the headset lost and interpolated itself is marked, and counted in a note.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import BadRecording
from ..channel_names import ELECTRODES, canonical_name
from .device_file import DeviceChannel, DeviceFile
from .device_rows import RowTimes, grid_rows
from .device_signatures import EMOTIV
from .device_text import header_lines, numbers, read_rows, require_columns, require_numbers, unix_seconds
from .signal_text import to_numbers

MAX_START_DIFFERENCE_S = 1.0  # between the first row and the start in the title line


def read_emotiv(path: Path) -> DeviceFile:
    """Return the signals of a recording. Raises BadRecording."""
    lines = header_lines(path, EMOTIV)
    title = lines[0]
    labels = re.search(r"labels:([^,]*)", title, re.I)
    if labels is None and len(lines) < 2:
        raise BadRecording(path, "a line of names below the title line", "none")
    names = labels[1].split() if labels else [cell.strip().strip('"') for cell in lines[1].split(",")]
    names = [name.removeprefix("EEG.") for name in names]
    electrodes = [name for name in names if canonical_name(name).upper() in ELECTRODES and names.count(name) == 1]
    if not electrodes:
        raise BadRecording(path, "columns of electrodes", f"none among {', '.join(names[:8])}")
    first = 1 if labels else 2
    table = read_rows(path, EMOTIV, names, first)
    is_sample = np.isfinite(numbers(table, electrodes)).all(axis=1)
    _require_count(path, title, int(is_sample.sum()))
    notes = [f"{int((~is_sample).sum())} rows have no samples of electrodes, and are left out"] * (not is_sample.all())
    table = table[is_sample]
    notes += _interpolated_notes(table)
    stamps, name, start_unix_s = _stamps(path, title, table, first + 1)
    counter = next((one for one in ("Counter", "COUNTER") if one in table), None)
    counts = None if counter is None else to_numbers(table[counter]).to_numpy(np.float64)
    times = RowTimes(_rate_hz(path, title), stamps, name, counts, counter or "")
    grid = grid_rows(path, numbers(table, electrodes), times)
    channels = tuple(
        DeviceChannel(name, "eeg", "uV", grid.rate_hz, samples)
        for name, samples in zip(electrodes, grid.samples.T, strict=True)
    )
    start = grid.start_s if start_unix_s is None and stamps is not None and unix_seconds(stamps)[1] else start_unix_s
    recorded = re.search(r"recorded:\s*([^,]*)", title, re.I)
    local = recorded[1].strip() if recorded and start is None else ""
    return DeviceFile(
        path, EMOTIV, channels, grid.segments, grid.rates_hz, start, local, (*notes, *grid.notes),
    )  # fmt: skip


def _rate_hz(path: Path, title: str) -> float:
    """Return the rate of the electrodes in the title line: `sampling rate:128`, `sampling:eeg_128;mot_64`."""
    stated = re.search(r"sampling(?: rate)?:[^,]*?eeg_(\d+(?:\.\d+)?)", title, re.I)
    stated = stated or re.search(r"sampling(?: rate)?:\s*(\d+(?:\.\d+)?)", title, re.I)
    if stated is None or not 0 < float(stated[1]) <= 10_000:
        raise BadRecording(path, "`sampling rate:` with a number in the title line", f"{title[:120]!r}")
    return float(stated[1])


def _require_count(path: Path, title: str, n: int) -> None:
    """Raise BadRecording if the title line states another number of samples than there are."""
    stated = re.search(r"(?<!\w)samples:\s*(\d{1,15})", title, re.I)
    if stated is not None and int(stated[1]) != n:
        remedy = "Is the file cut? Export it again; or delete `samples:...` from its first line to read what is there."
        raise BadRecording(path, f"{int(stated[1])} samples, as its first line states", f"{n}", remedy)


def _interpolated_notes(table: pd.DataFrame) -> list[str]:
    name = next((one for one in ("Interpolated", "INTERPOLATED") if one in table), None)
    n = 0 if name is None else int((to_numbers(table[name]) > 0).sum())
    return [f"{n} of {len(table)} samples were lost and interpolated by the headset ({name})"] if n else []


def _stamps(path: Path, title: str, table: pd.DataFrame, line: int) -> tuple[np.ndarray | None, str, float | None]:
    """Return the time of each row in seconds, the name of its column, and the start since 1970 if only the title tells.

    line : of the first row
    """
    if "Timestamp" in table:
        stamps = to_numbers(table["Timestamp"]).to_numpy(np.float64)
        require_numbers(path, "Timestamp", stamps, line)
        seconds, since_1970 = unix_seconds(stamps)
        start = re.search(r"start timestamp:\s*(\d{9,10}(?:\.\d+)?)", title, re.I)
        if since_1970 and start and abs(float(start[1]) - seconds[0]) > MAX_START_DIFFERENCE_S:
            states = f"{float(start[1]):.3f} in the first line and {seconds[0]:.3f} in the first row"
            raise BadRecording(path, f"one start to {MAX_START_DIFFERENCE_S:g} s", states)
        return seconds, "Timestamp", None
    started = re.search(r"timestamp started:\s*(\S+)", title, re.I)
    start_unix_s = _unix_of_date(started[1].strip(",")) if started else None
    if {"TIME_STAMP_s", "TIME_STAMP_ms"} <= set(table.columns):
        require_columns(path, EMOTIV, list(table.columns), ["TIME_STAMP_s", "TIME_STAMP_ms"])
        seconds, ms = numbers(table, ["TIME_STAMP_s", "TIME_STAMP_ms"]).T
        stamps = seconds + ms / 1000
        if len(stamps) and np.isfinite(stamps).all() and np.ptp(stamps) > 0:
            return stamps, "TIME_STAMP_s", start_unix_s
    return None, "", start_unix_s


def _unix_of_date(text: str) -> float | None:
    """Return a date with a time zone as seconds since 1970; None for any other text: a zone is not guessed."""
    date = pd.to_datetime(text, format="ISO8601", errors="coerce")
    return None if pd.isna(date) or date.tzinfo is None else float(date.timestamp())

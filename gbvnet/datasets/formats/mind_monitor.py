"""Muse headbands: the CSV files of the app Mind Monitor.

    TimeStamp,Delta_TP9,...,RAW_TP9,RAW_AF7,RAW_AF8,RAW_TP10,AUX_RIGHT,...,HeadBandOn,HSI_TP9,...,Battery,Elements

Rows come in bursts, of a rate of 256 (a Muse of 2014: 220) samples a second; TimeStamp is local time without a zone.
Rows of events, such as `/muse/elements/blink` in the column Elements, have empty cells otherwise and are no samples.
"""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import BadRecording
from ..channel_names import canonical_name, channel_kind
from .device_file import DeviceChannel, DeviceFile
from .device_rows import RowTimes, grid_rows
from .device_signatures import MIND_MONITOR
from .device_text import date_seconds, header_lines, numbers, read_rows, require_columns, unix_seconds
from .signal_text import to_numbers

STAMP, EVENTS, HEADBAND = "TimeStamp", "Elements", "HeadBandOn"
RATES_HZ = (256.0, 220.0)  # of Muse headbands from 2016 on, and of that of 2014
MAX_RATE_RATIO = 1.5  # between the rows' rate in a short file and that of the headband


def read_mind_monitor(path: Path) -> DeviceFile:
    """Return the signals of a recording. Raises BadRecording."""
    lines = header_lines(path, MIND_MONITOR)
    skip = next(k for k, line in enumerate(lines) if line.strip())
    names = [cell.strip().strip('"') for cell in lines[skip].split(",")]
    require_columns(path, MIND_MONITOR, names, [STAMP])
    table = read_rows(path, MIND_MONITOR, names, skip + 1)
    raw = [name for name in names if re.fullmatch(r"RAW_\w+", name)]
    others = [name for name in names if name.startswith("PPG_") or re.fullmatch(r"AUX_\w+", name)]
    is_sample = np.isfinite(numbers(table, raw)).all(axis=1)
    notes = _event_notes(table, is_sample)
    table = table[is_sample]
    others = [name for name in others if to_numbers(table[name]).notna().any()]
    stamps, since_1970 = _stamps(path, table, int(skip) + 2)
    grid = grid_rows(path, numbers(table, [*raw, *others]), RowTimes(_rate_hz(path, stamps), stamps, STAMP))
    channels = tuple(
        DeviceChannel(_name(name), _kind(name), "uV" if name.startswith("RAW_") else "", grid.rate_hz, samples)
        for name, samples in zip([*raw, *others], grid.samples.T, strict=True)
    )
    local = "" if since_1970 else str(table[STAMP].iloc[0])
    notes += _headband_notes(table)
    return DeviceFile(
        path, MIND_MONITOR, channels, grid.segments, grid.rates_hz, grid.start_s if since_1970 else None, local,
        (*notes, *grid.notes),
    )  # fmt: skip


def _name(name: str) -> str:
    return name.removeprefix("RAW_")


def _kind(name: str) -> str | None:
    if name.startswith("RAW_"):
        return "eeg" if channel_kind(canonical_name(_name(name))) == "eeg" else None
    return channel_kind(name)


def _event_notes(table: pd.DataFrame, is_sample: np.ndarray) -> list[str]:
    """Return a note on rows that are no samples, with the events in them."""
    n = int((~is_sample).sum())
    if not n:
        return []
    events = table.loc[~is_sample, EVENTS] if EVENTS in table else pd.Series(dtype=object)
    counts = Counter(str(event).split(" ")[0] for event in events.dropna() if str(event).strip())
    listed = ", ".join(f"{event} {count}" for event, count in counts.most_common(4))
    return [f"{n} of {len(table)} rows are no samples{f' ({listed})' if listed else ''}, and are left out"]


def _headband_notes(table: pd.DataFrame) -> list[str]:
    if HEADBAND not in table:
        return []
    off = float((to_numbers(table[HEADBAND]) == 0).mean())
    return [f"the headband was off in {100 * off:.2g} % of the rows ({HEADBAND} is 0)"] if off else []


def _stamps(path: Path, table: pd.DataFrame, line: int) -> tuple[np.ndarray, bool]:
    """Return the time of each row in seconds, and whether they are since 1970 in UTC.

    line : of the first row, where no row is left out. Raises BadRecording.
    """
    as_numbers = to_numbers(table[STAMP]).to_numpy(np.float64)
    if len(as_numbers) and np.isfinite(as_numbers).all():
        return unix_seconds(as_numbers)
    stamps = date_seconds(table[STAMP])
    bad = np.flatnonzero(~np.isfinite(stamps))
    if len(bad):
        k = int(bad[0])
        actual = f"{str(table[STAMP].iloc[k])[:40]!r} in line {line + int(table.index[k])}"
        raise BadRecording(path, f"a date such as 2024-03-05 10:11:12.345 in column {STAMP}", actual)
    return stamps, False


def _rate_hz(path: Path, stamps: np.ndarray) -> float:
    """Return the headband's rate, of the two that there are the one nearer to the rows' rate."""
    span_s = float(stamps[-1] - stamps[0]) if len(stamps) else 0.0
    rows_hz = (len(stamps) - 1) / span_s if span_s > 0 else RATES_HZ[0]
    steps = np.diff(stamps)
    pauses = steps[steps > max(1.0, 20 * float(np.mean(steps)))] if span_s > 0 else steps[:0]
    if len(pauses):  # they are no part of the rate
        rows_hz = (len(stamps) - 1) / max(span_s - float(pauses.sum()), 1e-3)
    nearest = min(RATES_HZ, key=lambda rate_hz: abs(np.log(rate_hz / rows_hz)))
    if not 1 / MAX_RATE_RATIO < rows_hz / nearest < MAX_RATE_RATIO:
        remedy = "In Mind Monitor's settings choose the recording interval `constant`, which keeps all samples."
        raise BadRecording(path, "about 256 rows a second", f"{rows_hz:.3g}", remedy)
    return nearest

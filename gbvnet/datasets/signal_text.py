"""Signals in text files, CSV and TSV: the table, its clock and its numbers."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import BadRecording

UNITS = {"uV": 1.0, "mV": 1e3, "V": 1e6}  # of electrical channels in text files -> microvolts
CLOCKS = ("time", "time_s", "t")  # how a text file's column of seconds may be called
LATEST_S, MOST_RATE_HZ = 1e10, 1e6  # seconds since 1970 are below the first
LEAST_RATE_HZ = 1.0  # nothing that tells of windows of a second is slower; a column of milliseconds looks so


def is_text(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv")


def text_clock(
    path: Path, table: pd.DataFrame, rate_hz: float | None, hint: str
) -> tuple[pd.DataFrame, float, float, int]:
    """The table with tidy names, its rate, the time of its first row, and how many rows it has."""
    table.columns = [str(c).strip() for c in table.columns]
    start = 0.0
    times = next((c for c in table.columns if c.lower() in CLOCKS), None)
    if times is not None:
        t = numbers(table[times]).to_numpy()
        steps = np.diff(t) if (np.abs(t) < LATEST_S).all() else np.zeros(1)
        if len(t) < 2 or steps.min() <= 0 or np.ptp(steps) > 0.5 * np.median(steps):
            raise BadRecording(path, f"column {times} with even steps of seconds", "gaps, jumps or no numbers")
        rate_hz, start = (len(t) - 1) / (t[-1] - t[0]), float(t[0])
        if rate_hz < LEAST_RATE_HZ:
            found = f"{rate_hz:.3g} lines a second"
            raise BadRecording(path, f"seconds in column {times}", found, "Are they milliseconds?")
    if rate_hz is None:
        raise BadRecording(path, "a column time", "none", hint)
    if not 0 < rate_hz <= MOST_RATE_HZ:
        raise BadRecording(path, f"a rate above 0, at most {MOST_RATE_HZ:g}", f"{rate_hz:g} samples a second", hint)
    return table, float(rate_hz), start, len(table)


def numbers(column: pd.Series) -> pd.Series:
    """NaN for what is none. A whole number of 400 digits is one only as text: as such it is infinite."""
    return pd.to_numeric(column.astype(str) if column.dtype == object else column, errors="coerce")


def text_table(path: Path, nrows: int | None = None) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = next((line for line in file if line.strip() and not line.startswith("#")), "")
        # Spreadsheets write semicolons where a comma is the decimal point.
        mark = max("\t,;" if path.suffix.lower() == ".tsv" else ",;\t", key=head.count)
        decimal = "," if mark == ";" else "."
        return pd.read_csv(path, sep=mark, decimal=decimal, comment="#", nrows=nrows, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise BadRecording(path, "a table of signals", f"a file that does not read ({error})") from None

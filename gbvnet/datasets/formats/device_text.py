"""Text files of devices: their header lines, their rows as numbers, and dates and seconds since 1970 as times."""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import BadRecording
from .signal_text import MAX_UNIX_TIME_S, MIN_UNIX_TIME_S, to_numbers
from .text_file import detect_encoding

MAX_HEADER_LINES = 200
_BEYOND = "\0"  # name of the column of cells beyond the last name


def header_lines(path: Path, device: str) -> list[str]:
    """Return the first lines of a text file, without line ends. Raises BadRecording if it cannot be read."""
    try:
        with path.open(encoding=detect_encoding(path, f"a file of {device}"), errors="replace") as file:
            return [line.strip("\r\n\ufeff") for line, _ in zip(file, range(MAX_HEADER_LINES), strict=False)]
    except OSError as error:
        raise BadRecording(path, f"a file of {device}", error.strerror or str(error)) from None


def read_rows(path: Path, device: str, names: list[str], skip: int, delimiter: str = ",") -> pd.DataFrame:
    """Return the rows below `skip` lines, with a column for each of `names`; cells that are absent are NaN.

    Raises BadRecording for a row with more cells than names, with its line.
    """
    unique = [f"{n}.{names[:k].count(n)}" if n in names[:k] else n for k, n in enumerate(names)]
    expected = f"{len(unique)} cells in a line, as many as names"
    try:  # with one column more, for delimiters at the ends of lines
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # that cells of the first row are lost
            table = pd.read_csv(
                path, sep=delimiter, header=None, names=[*unique, _BEYOND], skiprows=skip, index_col=False,
                skipinitialspace=True, encoding=detect_encoding(path, f"a file of {device}"),
                encoding_errors="replace", low_memory=False,
            )  # fmt: skip
    except pd.errors.ParserWarning:
        raise BadRecording(path, expected, "more in data row 1", "Are two lines joined?") from None
    except (OSError, ValueError) as error:
        message = " ".join(str(error).split())
        cells = re.search(r"in line (\d+), saw (\d+)", message)
        if cells:
            raise BadRecording(path, expected, f"{cells[2]} in line {cells[1]}", "Are two lines joined?") from None
        raise BadRecording(path, f"a file of {device}", f"one that does not read ({message})") from None
    beyond = np.flatnonzero(table.pop(_BEYOND).notna())
    if len(beyond):
        raise BadRecording(path, expected, f"more in data row {int(beyond[0]) + 1}", "Are two lines joined?")
    return table


def numbers(table: pd.DataFrame, names: list[str]) -> np.ndarray:
    """Return columns as (T, C) float64; NaN for cells that hold no number."""
    columns = [to_numbers(table[name]).to_numpy(np.float64) for name in names]
    return np.stack(columns, axis=1) if columns else np.empty((len(table), 0))


def require_columns(path: Path, device: str, names: list[str], wanted: list[str]) -> None:
    """Raise BadRecording if columns are absent."""
    absent = [name for name in wanted if name not in names]
    if absent:
        raise BadRecording(path, f"columns {', '.join(wanted)} of {device}", f"none named {', '.join(absent)}")


def require_numbers(path: Path, name: str, column: np.ndarray, first_line: int) -> None:
    """Raise BadRecording for a cell that is no number, with its line. first_line : of the first row"""
    bad = np.flatnonzero(~np.isfinite(column))
    if len(bad):
        actual = f"none in line {first_line + int(bad[0])} ({len(bad)} of {len(column)} rows)"
        raise BadRecording(path, f"a number in each row of column {name}", actual)


def unix_seconds(stamps: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return times (T,) in seconds, and whether they are seconds since 1970; milliseconds are known by their size."""
    for unit_s in (1.0, 1e-3, 1e-6):
        if len(stamps) and MIN_UNIX_TIME_S < stamps[0] * unit_s < MAX_UNIX_TIME_S:
            return stamps * unit_s, True
    return stamps, False


def date_seconds(column: pd.Series) -> np.ndarray:
    """Return dates such as `2024-03-05 10:11:12.345` as seconds (T,) float64 of an arbitrary zone; NaN for others."""
    try:
        dates = pd.to_datetime(column.astype(str), format="ISO8601", errors="coerce")
    except ValueError:  # a year that no date can have
        return np.full(len(column), np.nan)
    if getattr(dates.dt, "tz", None) is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    since = dates.to_numpy("datetime64[us]") - np.datetime64(0, "us")
    seconds: np.ndarray = since / np.timedelta64(1, "s")
    return seconds

"""Ratings that change in time in a text file (CSV, TSV, TXT): a column of times and one for each label.

The times are seconds on the clock of the recording's start_s; each value holds until the next time.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import BadRecording
from ..text import shortened
from .formats.signal_text import clock_seconds, read_text_table, to_numbers
from .label_columns import LabelColumn
from .label_traces import Trace, window_means
from .table_schema import SETTINGS, label_line

WHAT = "a table of ratings"


def read_traces(
    path: Path, labels: Sequence[LabelColumn], start_s: float, stop_s: float
) -> tuple[dict[str, Trace], list[str]]:
    """Return the part of each trace that lies within a stimulus, by label column, and warnings.

    labels : those of the corpus; the columns of the file that are declared as traces are read
    start_s, stop_s : the stimulus, on the clock of the file

    Raises BadRecording if the file cannot be read, has no clock or no such column, or if a trace has no value within
    the stimulus or one outside of its scale.
    """
    table = read_text_table(path, what=WHAT)
    times = clock_seconds(path, table)
    back = np.flatnonzero(np.diff(times) <= 0)
    if len(back):
        k = int(back[0])
        actual = f"{times[k + 1]:g} after {times[k]:g} in data row {k + 2}"
        raise BadRecording(path, "times that increase from row to row", actual)
    table.columns = [str(name).strip().lower() for name in table.columns]
    columns = _columns(path, list(table.columns), labels)
    traces, warnings = {}, []
    for column in columns:
        values = _values(path, column, table[column.name])
        traces[column.name] = trace_during(path, column, Trace(times - start_s, values), stop_s - start_s)
        warnings += trace_warnings(path, column, traces[column.name], stop_s - start_s)
    return traces, warnings


def _columns(path: Path, names: list[str], labels: Sequence[LabelColumn]) -> list[LabelColumn]:
    """Return the label columns that a file holds. Raises BadRecording unless they are declared as traces."""
    there = [column for column in labels if column.name in names]
    twice = [column.name for column in there if names.count(column.name) > 1]
    if twice:
        raise BadRecording(path, "each column once", f"{twice[0]} twice")
    still = [column for column in there if not column.trace]
    if still:
        column = still[0]
        remedy = "Labels that change in time are numbers: a window has the mean over them."
        if not column.is_category:
            remedy = f"Write into {SETTINGS}, under labels, {label_line(replace(column, trace=True))}."
        wanted = "labels that are declared as changing in time"
        raise BadRecording(path, wanted, f"{column.name}, which is not", remedy)
    if not there:
        traced = [column.name for column in labels if column.trace]
        wanted = f"a column {' or '.join(traced)}" if traced else "a label that is declared as changing in time"
        remedy = f"Write into {SETTINGS}, under labels, NAME: {{scale: [LOW, HIGH], trace: true}}."
        raise BadRecording(path, wanted, shortened(names, 8), "" if traced else remedy)
    return there


def _values(path: Path, column: LabelColumn, cells: pd.Series) -> np.ndarray:
    """Return the numbers of a column, (T,) float64; NaN for empty cells. Raises BadRecording."""
    values = to_numbers(cells).to_numpy(np.float64)
    text = np.flatnonzero(np.isnan(values) & cells.notna().to_numpy())
    if len(text):
        actual = f"{str(cells.iloc[text[0]])[:40]!r} in data row {text[0] + 1}"
        raise BadRecording(path, f"a number, or nothing, in each row of column {column.name}", actual)
    off = np.flatnonzero(~np.isnan(values) & ~np.array([column.allows(float(x)) for x in values]))
    if len(off):
        actual = f"{values[off[0]]:g} in data row {off[0] + 1} ({len(off)} of {len(values)} rows)"
        hint = f"Its scale is declared in {SETTINGS}, under labels."
        raise BadRecording(path, f"{column.name} {column.allowed}", actual, hint)
    return values


def trace_during(path: Path, column: LabelColumn, trace: Trace, seconds: float) -> Trace:
    """Return the part of a trace from 0 to `seconds`. Raises BadRecording if it has no value there.

    The value that holds when the stimulus starts is the first one, at 0. Where the last one holds for much longer than
    a step, a NaN says until when.
    """
    t, v = trace.times_s, trace.values
    ends = np.append(t[1:], t[-1] + _step(t))
    inside = (ends > 0) & (t < seconds)
    part = Trace(np.maximum(t[inside], 0.0), v[inside])
    end = min(float(ends[inside].max(initial=0.0)), seconds)
    if len(part.values) and end - part.times_s[-1] > 2 * _step(part.times_s):
        part = Trace(np.append(part.times_s, end), np.append(part.values, np.nan))
    if not _coverage(part, seconds):
        actual = f"none; its rows are from {t[0]:.1f} to {t[-1]:.1f} s of it"
        hint = "Times are seconds on the clock of start_s."
        raise BadRecording(path, f"values of {column.name} within the {seconds:g} s of the stimulus", actual, hint)
    return part


def _step(times: np.ndarray) -> float:
    """Return the median step of a trace, for which its last value holds."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def _coverage(trace: Trace, seconds: float) -> float:
    """Return the share of a stimulus for which there is a label."""
    return float(window_means(trace.times_s, trace.values, [0.0], seconds)[1][0])


def trace_warnings(path: Path, column: LabelColumn, trace: Trace, seconds: float) -> list[str]:
    """Return warnings on a trace that is not there all the time, or does not change."""
    name, warnings = f"{path.name}: {column.name}", []
    lacking = seconds * (1 - _coverage(trace, seconds))
    known = trace.values[np.isfinite(trace.values)]
    if lacking > 1.5 * _step(trace.times_s):
        at = trace.times_s[np.isfinite(trace.values)]
        has = f"it has values from {at[0]:.1f} to {at[-1]:.1f} s"
        warnings.append(f"{name} lacks a label for {lacking:.1f} of the {seconds:g} s of the stimulus ({has})")
    if np.ptp(known) == 0:
        warnings.append(f"{name} is {known[0]:g} all the time: was the joystick moved?")
    return warnings

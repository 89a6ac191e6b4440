"""Signals in text files, CSV, TSV and TXT: the table, its clock and its numbers."""

import io
import mmap
import re
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...errors import BadRecording
from ...text import shortened
from ..units import parse_unit
from .clock_fit import MAX_DEVIATION_S, MIN_ROWS, ClockFit, fit_clock
from .device_signatures import device_name
from .signal_formats import misnamed
from .text_file import Layout, detect_layout, stated_rate, stated_rate_hz

# What spreadsheets write for a value that there is not. It is a cell, and begins as a comment does.
ERRORS = ("#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "#NULL!")
UNITS = {"uV": 1.0, "mV": 1e3, "V": 1e6}  # of electrical channels in text files -> microvolts
CLOCKS = ("time", "time_s", "t")  # preferred names of a text file's column of seconds
NO_COLUMN = "\0"  # begins names of columns that are none: row names, and what trailing delimiters delimit
MAX_TIME_S, MAX_RATE_HZ = 1e10, 1e6  # seconds since 1970 are below the first
MIN_RATE_HZ = 1.0  # slower means that the column is in milliseconds
MIN_UNIX_TIME_S, MAX_UNIX_TIME_S = 6e8, 5e9  # 1989 to 2128, in seconds since 1970
# Words in the names of time columns: at least one of _CLOCK, all others from _WITH_CLOCK or _SECONDS_PER.
_CLOCK = set("time times timestamp timestamps t sec secs second seconds ms msec msecs milliseconds millis unix".split())
_CLOCK |= set("unixtime unixtimestamp microseconds usec elapsedtime".split())
_WITH_CLOCK = set(
    "stamp stamps unix elapsed lsl local utc since start epoch relative abs absolute cal shimmer s rel".split()
)
_SECONDS_PER = {
    **dict.fromkeys("s sec secs second seconds".split(), 1.0),
    **dict.fromkeys("ms msec msecs millisecond milliseconds millis milli".split(), 1e-3),
    **dict.fromkeys("us usec usecs µs μs microsecond microseconds micro".split(), 1e-6),
    **dict.fromkeys("ns nsec nanosecond nanoseconds".split(), 1e-9),
}
_NO_CLOCK = "if the samples are regular nevertheless, delete the column and give their rate."
MAX_STEP_DIFFERENCE = 0.5  # between the steps of a regular clock, in steps
MAX_ROUNDING = 1.1  # total deviation of a rounded regular clock, in units of its last decimal
MIN_OTHER_STEPS = 2  # number of unusual steps that mean rounding; a single one is a lost sample
MAX_ROUNDING_S = 0.02  # a clock rounded to more than this, and to more than a step, is too coarse


def is_text(path: Path) -> bool:
    """Return whether a file is a text table, by its suffix, and not the recording of a device."""
    return path.suffix.lower() in (".csv", ".tsv", ".txt") and device_name(path) is None


# ---------------------------------------------------------------- the table


def read_text_table(path: Path, nrows: int | None = None, what: str = "a table of signals") -> pd.DataFrame:
    """Return a table with one column per channel, named as in the file; units of a second header line are appended.

    nrows : number of rows to read; all by default
    what : what it should hold, for errors

    `attrs` holds the rate_hz and start_s that the file states, and as ambiguous_rate one that can be read in two ways.
    Raises BadRecording.
    """
    first, more = ("\t,;", ",;\t") if path.suffix.lower() == ".tsv" else (",;\t", ",;\t")
    try:
        form = detect_layout(path, first or more, what)
    except BadRecording:
        if wrong := misnamed(path):
            raise BadRecording(path, what, *wrong) from None
        raise
    e4 = _empatica(path, form)
    names, skip = list(form.names), form.skip + 1
    attributes: dict[str, float | str | None] = {"rate_hz": stated_rate_hz(form.comments)}
    if attributes["rate_hz"] is None and (written := stated_rate(form.comments)[0]):
        attributes["ambiguous_rate"] = written
    if e4 is not None:
        names, skip, attributes = e4
    elif all(_is_number(cell) for cell in names if cell):
        expected = f"{what}, a line that names its columns first"
        raise BadRecording(path, expected, f"numbers in the first line ({', '.join(names[:4])})")
    elif form.rows and _is_units(form.rows[0]):
        units = [cell.strip("[]() ") for cell in (*form.rows[0], *names)][: len(names)]
        is_one = [bool(parse_unit(unit)) or unit.lower() in _SECONDS_PER for unit in units]
        names = [f"{n} [{u}]" if is_ else n for n, u, is_ in zip(names, units, is_one, strict=True)]
        skip += 1
    width = max((len(row) for row in form.rows), default=len(names))
    lead, names = _fit_names(path, names, width, form)
    columns = [*lead, *_unique_names(names)]
    options: dict = {
        "sep": form.delimiter, "decimal": form.decimal, "thousands": form.thousands, "header": None, "names": columns,
        "index_col": False, "skipinitialspace": True,
    }  # fmt: skip
    source: Path | io.StringIO = path
    if len(columns) == 1:
        source = io.StringIO("\n".join(islice(_lines_of_one_column(path, form, skip), nrows)))
        options |= {"skip_blank_lines": False}
    elif form.comment == "#" and _has_error_cells(path, form.encoding):
        source = io.StringIO("\n".join(_lines(path, form, skip)))
    else:
        options |= {"comment": form.comment, "encoding": form.encoding, "encoding_errors": "replace", "skiprows": skip}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # that cells of a line are lost
            table = pd.read_csv(source, nrows=nrows, **options)
    except pd.errors.ParserWarning:
        raise BadRecording(path, f"{len(names)} cells in a line, as many as columns", "more") from None
    except (OSError, ValueError) as error:
        raise _read_error(path, what, str(error)) from None
    table = table.drop(columns=[n for n in table.columns if not n or n.startswith(NO_COLUMN)])
    table.attrs = {name: value for name, value in attributes.items() if value is not None}
    return table


def _lines(path: Path, form: Layout, skip: int) -> Iterator[str]:
    """Yield the lines behind the first `skip` ones, without remarks, of which a spreadsheet's errors are none."""
    errors = "|".join(re.escape(error[1:]) for error in ERRORS)
    remark = re.compile(f"{form.comment}(?!{errors}).*" if form.comment == "#" else f"{form.comment}.*")
    step = 1 + _has_double_returns(path, form)
    with path.open(encoding=form.encoding, errors="replace") as file:
        for line in islice(file, skip + step - 1, None, step):
            whole = line.rstrip("\n")
            kept = remark.sub("", whole)
            if kept.strip() or not whole.strip():  # not a line that is a remark
                yield kept


def _lines_of_one_column(path: Path, form: Layout, skip: int) -> Iterator[str]:
    """Yield the same lines, without empty ones at the begin and the end.

    An empty line is an empty cell where there is one column. Left out, as pandas does, it would move all cells behind
    it to an earlier time.
    """
    empty, begun = 0, False
    for line in _lines(path, form, skip):
        if not line.strip():
            empty += begun
            continue
        yield from [""] * empty
        empty, begun = 0, True
        yield line


def _has_double_returns(path: Path, form: Layout) -> bool:
    """Return whether lines end with CR CR LF, as those of a file that was translated twice: each counts as two."""
    with path.open(encoding=form.encoding, errors="replace", newline="") as file:
        return "\r\r\n" in file.read(1 << 16)


def _has_error_cells(path: Path, encoding: str) -> bool:
    """Return whether a spreadsheet's error, such as `#N/A`, is in a file; it begins as a remark does."""
    if path.stat().st_size == 0:
        return False
    wide = [f"utf-16-{order}" for order in ("le", "be")] if encoding.lower().startswith("utf-16") else ["ascii"]
    needles = [error.encode(each) for error in ERRORS for each in wide]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(needle) >= 0 for needle in needles)


def _read_error(path: Path, what: str, message: str) -> BadRecording:
    """Return the error for a table that pandas cannot read, with the line that has too many cells if there is one."""
    cells = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if not cells:
        return BadRecording(path, what, f"a file that does not read ({' '.join(message.split())})")
    wanted, line, n_cells = cells.groups()
    remedy = "Are two lines joined, or does a cell with a delimiter in it need quotes?"
    return BadRecording(path, f"{wanted} cells in a line, as many as columns", f"{n_cells} in line {line}", remedy)


def column_names(path: Path) -> list[str]:
    """Return the column names of a text file, duplicates included. Raises BadRecording."""
    return list(detect_layout(path).names)


def _unique_names(names: list[str]) -> list[str]:
    """Return unique names: the second GSR becomes GSR.1."""
    return [f"{n}.{names[:k].count(n)}" if n in names[:k] else n for k, n in enumerate(names)]


def _fit_names(path: Path, names: list[str], width: int, form: Layout) -> tuple[list[str], list[str]]:
    """Return the names of unnamed leading columns (row names) and of the other columns, one for each cell of a line.

    Lines may end with delimiters.
    """
    while len(names) > 1 and not names[-1]:
        names = names[:-1]
    names = [name or f"Unnamed: {k}" for k, name in enumerate(names)]
    extra = width - len(names)
    if extra <= 0 or not any(any(row[len(names) :]) for row in form.rows):
        return [], names + [f"{NO_COLUMN}{k}" for k in range(extra)]
    if extra == 1:
        return [NO_COLUMN], names
    remedy = "Numbers with a decimal comma need semicolons or tabs between them."
    if len(names) == 1:  # a title line
        remedy = f"Line {form.skip + 1} is read as the column names: delete it, or begin it with #."
    many = f"{len(names)} cell{'s' * (len(names) > 1)} in a line, as many as columns"
    raise BadRecording(path, many, f"{width}", remedy)


def _is_units(row: tuple[str, ...]) -> bool:
    """Return whether a line holds the units of columns: at least one unit, and no number."""
    named = [cell.strip("[]() ") for cell in row if cell]
    return any(parse_unit(c) or c.lower() in _SECONDS_PER for c in named) and not any(map(_is_number, named))


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?", cell))


def _empatica(path: Path, form: Layout) -> tuple[list[str], int, dict] | None:
    """Return column names, number of header lines and attributes of an Empatica E4 file; None for any other file.

    Such a file has the start (seconds since 1970) in the first line, the rate in the second, then values.
    """
    if not form.rows or not all(map(_is_number, (*form.names, *form.rows[0]))):
        return None
    start, rate_hz = (float(cell.replace(",", ".")) for cell in (form.names[0], form.rows[0][0]))
    alike = len(set(form.names)) == 1 and len(set(form.rows[0])) == 1 and len(form.names) == len(form.rows[0])
    if not (alike and MIN_UNIX_TIME_S < start < MAX_UNIX_TIME_S and 0 < rate_hz <= 1000):
        return None
    stem = path.stem
    names = [stem] if len(form.names) == 1 else [f"{stem}_{k}" for k in range(len(form.names))]
    return names, form.skip + 2, {"rate_hz": rate_hz, "start_s": start}


def empatica_rate_hz(path: Path) -> float | None:
    """Return the rate of an Empatica E4 file with one channel; None for any other file."""
    try:
        header = _empatica(path, detect_layout(path))
    except BadRecording:
        return None
    return header[2]["rate_hz"] if header and len(header[0]) == 1 else None


def to_numbers(column: pd.Series) -> pd.Series:
    """Return the numbers of a column, NaN for other text; a whole number of 400 digits becomes infinite."""
    return pd.to_numeric(column.astype(str) if column.dtype == object else column, errors="coerce")


# ---------------------------------------------------------------- the clock


class Clock(NamedTuple):
    """A column of times."""

    name: str
    unit_s: float | None  # seconds in one of its units, where its name says so


def time_columns(names: list[str]) -> list[str]:
    """Return the columns that hold the time, by their names; the likelier ones first."""
    return [clock.name for clock in find_clocks(names)]


def find_clocks(names: list[str]) -> list[Clock]:
    """Return the columns that hold the time, by their names; the likelier ones first."""
    matching = []
    for name in names:
        split_name = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name[:100]).lower()
        words = [w for w in re.findall(r"[a-z0-9µμ]+", split_name) if not re.fullmatch(r"1970|\d[0-9a-f]{3}|\d+hz", w)]
        units = [_SECONDS_PER[word] for word in words if word in _SECONDS_PER]
        if _CLOCK & set(words) and all(w in _CLOCK or w in _WITH_CLOCK or w in _SECONDS_PER for w in words):
            matching.append(Clock(name, units[-1] if units else None))
    order = {name: k for k, name in enumerate(CLOCKS)}
    return sorted(matching, key=lambda clock: order.get(clock.name.strip().lower(), len(order)))


class TimedTable(NamedTuple):
    """A table with stripped names, and what its clock says.

    rate_hz : None without a clock
    start_s : of the first row, in seconds
    fit : the lines fitted to a clock that is uneven; None of an even one
    """

    table: pd.DataFrame
    rate_hz: float | None
    start_s: float
    fit: ClockFit | None = None


def read_clock(path: Path, table: pd.DataFrame) -> TimedTable:
    """Return the table with its clock. Raises BadRecording for one that does not give the time of each row."""
    table.columns = [str(c).strip() for c in table.columns]
    matching = find_clocks(list(table.columns))
    if not matching:
        return TimedTable(table, None, float(table.attrs.get("start_s", 0.0)))
    return TimedTable(table, *_read_agreeing_clocks(path, table, matching))


def text_rate_hz(path: Path, table: pd.DataFrame, clock_hz: float | None, given_hz: float | None, hint: str) -> float:
    """Return the rate by the table's clock, else `given_hz`, else that in the file's comments. Raises BadRecording."""
    rate_hz = clock_hz if clock_hz is not None else given_hz if given_hz is not None else table.attrs.get("rate_hz")
    if rate_hz is None:
        have = ", ".join(map(str, table.columns[:8])) + (" ..." if len(table.columns) > 8 else "")
        written = table.attrs.get("ambiguous_rate")
        stated = f", and a rate that can be read in two ways ({written})" if written else ""
        raise BadRecording(path, "a column time", f"none among {have}{stated}", hint)
    if not 0 < rate_hz <= MAX_RATE_HZ:
        raise BadRecording(path, f"a rate above 0, at most {MAX_RATE_HZ:g}", f"{rate_hz:g} samples a second", hint)
    return float(rate_hz)


def _read_agreeing_clocks(
    path: Path, table: pd.DataFrame, matching: list[Clock]
) -> tuple[float, float, ClockFit | None]:
    """Return rate, start and fit by the first clock; other regular clocks must agree. Raises BadRecording."""
    rate_hz, start, fit = _read_clock(path, table, matching[0])
    for other in matching[1:]:
        try:
            its, _, _ = _read_clock(path, table, other)
        except BadRecording:
            continue  # a second clock may be text or coarse; the first one is used
        if abs(its / rate_hz - 1) > 0.01:
            rates = f"{rate_hz:g} samples a second by {matching[0].name} and {its:g} by {other.name}"
            raise BadRecording(path, "clocks that agree", rates, "Delete the column that is wrong, or rename it.")
    return rate_hz, start, fit


def clock_seconds(path: Path, table: pd.DataFrame) -> np.ndarray:
    """Return the times of a table that need not be even, (T,) float64 seconds, by the likeliest of its clocks.

    Raises BadRecording if it has no clock, or with the faulty row.
    """
    table.columns = [str(c).strip() for c in table.columns]
    matching = find_clocks(list(table.columns))
    if not matching:
        raise BadRecording(path, "a column time, in seconds", f"none among {shortened(list(table.columns), 8)}")
    if not len(table):
        raise BadRecording(path, f"times in column {matching[0].name}", "no row")
    return _clock_times(path, table, matching[0])[0]


def _read_clock(path: Path, table: pd.DataFrame, clock: Clock) -> tuple[float, float, ClockFit | None]:
    """Return the rate, the first time in seconds, and the fit of one column, None if it is even.

    Raises BadRecording with the faulty row.
    """
    t, unit_s = _clock_times(path, table, clock)
    if len(t) < 2:
        raise BadRecording(path, f"column {clock.name} with even steps of seconds", f"{len(t)} rows")
    try:
        rate_hz, start_s, fit = *_read_even_clock(path, clock, t, unit_s), None
    except _UnevenClock as uneven:
        fit = _fit(path, clock.name, t, uneven)
        rate_hz, start_s = fit.rate_hz, fit.segments[0].start_s
    if rate_hz < MIN_RATE_HZ:
        rate = f"{rate_hz:.3g} lines a second"
        remedy = "Are they milliseconds? Then name the column time_ms." if unit_s == 1 else "Is this its unit?"
        raise BadRecording(path, f"seconds in column {clock.name}", rate, remedy)
    return rate_hz, start_s, fit


class _UnevenClock(Exception):
    """A clock whose steps or whose rate is not even.

    error : says where, for a file in which no line can be fitted
    in_steps : whether its steps differ, and not only its rate
    """

    def __init__(self, error: BadRecording, in_steps: bool):
        super().__init__(str(error))
        self.error, self.in_steps = error, in_steps


def _fit(path: Path, name: str, t: np.ndarray, uneven: _UnevenClock) -> ClockFit:
    """Return the lines fitted to the times of an uneven clock (T,). Raises BadRecording."""
    if len(t) < MIN_ROWS or t[-1] <= t[0]:
        raise uneven.error from None
    try:
        return fit_clock(path, name, t)
    except BadRecording as error:
        raise (error if uneven.in_steps else uneven.error) from None


def _read_even_clock(path: Path, clock: Clock, t: np.ndarray, unit_s: float) -> tuple[float, float]:
    """Return the rate and the first time of times (T,). Raises _UnevenClock; BadRecording if they are too coarse."""
    decimal = _decimal_of(t / unit_s) * unit_s
    try:
        _require_even(path, clock.name, t, decimal)
    except BadRecording as error:
        raise _UnevenClock(error, in_steps=True) from None
    rate_hz = (len(t) - 1) / (t[-1] - t[0])
    if decimal and np.ptp(np.diff(t)) > decimal / 2:  # rounded: a line fitted to all times is more exact
        rate_hz = 1 / float(np.polyfit(np.arange(len(t)), t - t[0], 1)[0])
    if decimal < t[-1] - t[0]:  # else all times are almost equal
        _require_fine(path, clock.name, decimal, 1 / rate_hz)
    try:
        _require_steady(path, clock.name, t, decimal)
    except BadRecording as error:
        raise _UnevenClock(error, in_steps=False) from None
    return rate_hz, float(t[0])


def _clock_times(path: Path, table: pd.DataFrame, clock: Clock) -> tuple[np.ndarray, float]:
    """Return the times of a column, (T,) float64 seconds, and its unit in seconds. Raises BadRecording with the row."""
    column = table[clock.name]
    t = to_numbers(column).to_numpy(np.float64)
    bad = np.flatnonzero(~np.isfinite(t))
    expected = f"a number in each row of column {clock.name}"
    if len(bad):
        cell = column.iloc[int(bad[0])]
        date = isinstance(cell, str) and re.match(r"\s*\d{1,4}[-/.]\d\d?[-/.]\d{1,4}|\s*\d\d?:\d\d", cell)
        remedy = "Write the time as seconds, for example since the first row." if date else ""
        cell = repr(cell) if isinstance(cell, str) else str(cell)
        raise BadRecording(path, expected, f"{cell} in data row {bad[0] + 1} ({len(bad)} of {len(t)} rows)", remedy)
    unit_s = clock.unit_s or (unit_by_size(t) if len(t) else 1.0)
    if not (np.abs(t * unit_s) < MAX_TIME_S).all():
        raise BadRecording(path, f"seconds in column {clock.name}", f"{t[0] * unit_s:g}", "Name its unit, as time_ms.")
    return t * unit_s, unit_s


def unit_by_size(t: np.ndarray) -> float:
    """Return the unit, in seconds, of a clock whose name has none: 1, unless the times can only be a finer unit since
    1970."""
    if np.abs(t).max() < MAX_TIME_S:
        return 1.0
    fits = [unit for unit in (1e-3, 1e-6, 1e-9) if MIN_UNIX_TIME_S < t[0] * unit < MAX_UNIX_TIME_S]
    return fits[0] if fits else 1.0


def _decimal_of(t: np.ndarray) -> float:
    """Return to what a clock was rounded: the largest power of ten that divides all times; 0 if float precision cannot
    tell."""
    largest = float(np.abs(t).max())
    for k in range(7):
        scaled = t * 10.0**k
        if largest * 10.0**k * 2.0**-51 > 0.01:
            break
        if np.abs(scaled - np.rint(scaled)).max() < 0.02:
            return 10.0**-k
    return 0.0


def _require_even(path: Path, name: str, t: np.ndarray, decimal: float) -> None:
    """Raise BadRecording, with place and size, unless a clock is regular, or regular and rounded."""
    steps = np.diff(t)
    usual = float(np.median(steps))
    if steps.min() > 0 and np.ptp(steps) <= MAX_STEP_DIFFERENCE * usual:
        return
    if steps.min() >= 0 and t[-1] > t[0] and decimal and _is_rounded(t, steps, decimal):
        return
    off = np.abs(steps - usual)
    late = steps.min() >= 0 and steps.max() - usual > 0.9 * (usual - steps.min())
    k = int(np.argmax(steps) if late else np.argmin(steps))
    what = "goes back by" if steps[k] < 0 else "stands still" if steps[k] == 0 else "jumps by"
    many = int((off > MAX_STEP_DIFFERENCE * usual).sum())
    size = f" {abs(steps[k]):.6g} s" if steps[k] else ""
    fault = (
        f"gaps or jumps: between data rows {k + 1} and {k + 2}, at {t[k]:.3f} s, it {what}{size}, "
        f"where steps are {usual:.6g} s ({many} of {len(steps)} steps differ)"
    )
    if t[-1] == t[0]:
        fault = f"the same time, {t[0]:.6g} s, in its first and its last row"
    remedy = f"Fill the gap or cut the file there; {_NO_CLOCK}"
    raise BadRecording(path, f"column {name} with even steps of seconds", fault, remedy)


def _require_fine(path: Path, name: str, decimal: float, step_s: float) -> None:
    """Raise BadRecording if a clock is rounded too much to give the time of each sample."""
    if decimal > 1.5 * max(MAX_ROUNDING_S, step_s):
        rounding = f"times rounded to {decimal:g} s, of about {1 / step_s:.4g} samples a second"
        raise BadRecording(
            path, f"column {name} with the time of each sample", rounding, f"Write more digits; {_NO_CLOCK}"
        )


def _require_steady(path: Path, name: str, t: np.ndarray, decimal: float) -> None:
    """Raise BadRecording, with place and size, if a clock deviates from the straight line through its ends: the rate
    must be constant."""
    step_s = (t[-1] - t[0]) / (len(t) - 1)
    off = t - t[0] - step_s * np.arange(len(t))
    k = int(np.argmax(np.abs(off)))
    if abs(off[k]) <= max(MAX_DEVIATION_S, step_s / 2, MAX_ROUNDING * decimal):
        return
    deviation = f"a rate that changes: data row {k + 1}, at {t[k]:.3f} s, is {abs(off[k]):.3g} s "
    deviation += f"{'later' if off[k] > 0 else 'earlier'} than at {1 / step_s:.6g} samples a second throughout"
    remedy = f"Resample it to one rate; {_NO_CLOCK}"
    raise BadRecording(path, f"column {name} with even steps of seconds", deviation, remedy)


def _is_rounded(t: np.ndarray, steps: np.ndarray, decimal: float) -> bool:
    """Return whether times are those of a constant rate, rounded to a decimal.

    Their steps then have two neighbouring sizes, or three if truncated, and all times lie within the decimal of a
    straight line. A single unusual step is a lost sample.
    """
    sizes = np.rint(steps / decimal).astype(np.int64)
    low, high = int(sizes.min()), int(sizes.max())
    if high - low > 2 or min((sizes == low).sum(), (sizes == high).sum()) < MIN_OTHER_STEPS:
        return False
    return _off_line(t - t[0], decimal) <= MAX_ROUNDING * decimal


def _off_line(t: np.ndarray, decimal: float) -> float:
    """Return the height of the narrowest strip between two parallel lines that contains all times t (n,).

    A least-squares line would be tilted by the few long steps of a clock whose step is nearly its last decimal.
    """
    from scipy.optimize import minimize_scalar

    at = np.arange(len(t))
    slope, turn = t[-1] / at[-1], 2 * decimal / at[-1]  # the height is convex in the slope
    best = minimize_scalar(
        lambda by: float(np.ptp(t - by * at)), bounds=(slope - turn, slope + turn), method="bounded",
        options={"xatol": turn / 1000},
    )  # fmt: skip
    return float(best.fun)

"""Signals in text files, CSV, TSV and TXT: the table, its clock and its numbers."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...errors import BadRecording
from ..units import parse_unit
from .text_file import Layout, detect_layout, stated_rate_hz

UNITS = {"uV": 1.0, "mV": 1e3, "V": 1e6}  # of electrical channels in text files -> microvolts
CLOCKS = ("time", "time_s", "t")  # how a text file's column of seconds is called first of all
MAX_TIME_S, MAX_RATE_HZ = 1e10, 1e6  # seconds since 1970 are below the first
MIN_RATE_HZ = 1.0  # nothing that tells of windows of a second is slower; a column of milliseconds looks so
MIN_UNIX_TIME_S, MAX_UNIX_TIME_S = 6e8, 5e9  # 1989 to 2128: what seconds since 1970 of a recording can be
# Words in the names of clocks; one of the first is needed, and all others must be of the rest.
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
_NO_CLOCK = "if samples are even all the same, delete the column and give their rate."
MAX_STEP_DIFFERENCE = 0.5  # of a step, by which the steps of a regular clock may differ
MAX_ROUNDING = 1.1  # of the last decimal, by which a rounded regular clock may be off in all
MIN_OTHER_STEPS = 2  # other steps than the usual one that make a rate; a single one is a lost sample
MAX_ROUNDING_S = (
    0.02  # a clock rounded to more than this, and to more than a step, does not tell when a sample was taken
)
MAX_DEVIATION_S = (
    0.02  # by which a clock may be off the straight line through its ends: 50 ppm of drift over 15 minutes
)


def is_text(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv", ".txt")


# ---------------------------------------------------------------- the table


def read_text_table(path: Path, nrows: int | None = None) -> pd.DataFrame:
    """A column a channel, named as the file names them; a unit in a line of its own stands behind its name.

    What the file says besides is in `attrs`: rate_hz, start_s. Raises BadRecording.
    """
    first, more = ("\t,;", ",;\t") if path.suffix.lower() == ".tsv" else (",;\t", ",;\t")
    form = detect_layout(path, first or more)
    e4 = _empatica(path, form)
    names, skip, said = list(form.names), form.skip + 1, {"rate_hz": stated_rate_hz(form.comments)}
    if e4 is not None:
        names, skip, said = e4
    elif all(_is_number(cell) for cell in names if cell):
        expected = "a table of signals, a line that names its columns first"
        raise BadRecording(path, expected, f"numbers in the first line ({', '.join(names[:4])})")
    elif form.rows and _is_units(form.rows[0]):
        units = [cell.strip("[]() ") for cell in (*form.rows[0], *names)][: len(names)]
        is_one = [bool(parse_unit(unit)) or unit.lower() in _SECONDS_PER for unit in units]
        names = [f"{n} [{u}]" if is_ else n for n, u, is_ in zip(names, units, is_one, strict=True)]
        skip += 1
    width = max((len(row) for row in form.rows), default=len(names))
    lead, names = _fit_names(path, names, width, form)
    try:
        table = pd.read_csv(
            path, sep=form.mark, decimal=form.decimal, thousands=form.thousands, comment=form.comment, nrows=nrows,
            encoding=form.encoding, encoding_errors="replace", header=None, names=[*lead, *_unique_names(names)],
            skiprows=skip, index_col=False, skipinitialspace=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise _read_error(path, str(error)) from None
    table = table.drop(columns=[*lead, *(n for n in table.columns if not n)])
    table.attrs = {name: value for name, value in said.items() if value is not None}
    return table


def _read_error(path: Path, said: str) -> BadRecording:
    """That pandas does not read a table: in its own words, or with the line that has too many cells."""
    cells = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", said)
    if not cells:
        return BadRecording(path, "a table of signals", f"a file that does not read ({' '.join(said.split())})")
    wanted, line, found = cells.groups()
    remedy = "Is the line two lines that were joined, or a cell with a mark in it that needs quotes?"
    return BadRecording(path, f"{wanted} cells in a line, as many as columns", f"{found} in line {line}", remedy)


def column_names(path: Path) -> list[str]:
    """The names of the columns as they are written, doubles too. Raises BadRecording."""
    return list(detect_layout(path).names)


def _unique_names(names: list[str]) -> list[str]:
    """Each name once: the second GSR is called GSR.1."""
    return [f"{n}.{names[:k].count(n)}" if n in names[:k] else n for k, n in enumerate(names)]


def _fit_names(path: Path, names: list[str], width: int, form: Layout) -> tuple[list[str], list[str]]:
    """A name for each cell of a line: of row names that the first line does not name, and of the columns. Lines may end
    in a mark."""
    while len(names) > 1 and not names[-1]:
        names = names[:-1]
    names = [name or f"Unnamed: {k}" for k, name in enumerate(names)]
    extra = width - len(names)
    if extra <= 0 or all(not row[len(names)] for row in form.rows if len(row) > len(names)):
        return [], names + [""] * max(0, min(extra, 1))
    if extra == 1:
        return ["\0"], names
    remedy = "Numbers with a decimal comma need semicolons or tabs between them."
    if len(names) == 1:  # a title
        remedy = f"Line {form.skip + 1} is taken for the names of columns: delete it, or begin it with #."
    many = f"{len(names)} cell{'s' * (len(names) > 1)} in a line, as many as columns"
    raise BadRecording(path, many, f"{width}", remedy)


def _is_units(row: tuple[str, ...]) -> bool:
    """Whether a line holds the units of columns: no number, and a unit at least."""
    named = [cell.strip("[]() ") for cell in row if cell]
    return any(parse_unit(c) or c.lower() in _SECONDS_PER for c in named) and not any(map(_is_number, named))


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?", cell))


def _empatica(path: Path, form: Layout) -> tuple[list[str], int, dict] | None:
    """Names, lines before the numbers, and what is told, of one of an Empatica E4's files: a time since 1970 in the
    first line, a rate in the second, then values; None of any other."""
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
    """The rate of an Empatica E4's file of one channel; None of any other file."""
    try:
        found = _empatica(path, detect_layout(path))
    except BadRecording:
        return None
    return found[2]["rate_hz"] if found and len(found[0]) == 1 else None


def to_numbers(column: pd.Series) -> pd.Series:
    """NaN for what is none. A whole number of 400 digits is one only as text: as such it is infinite."""
    return pd.to_numeric(column.astype(str) if column.dtype == object else column, errors="coerce")


# ---------------------------------------------------------------- the clock


class _Clock(NamedTuple):
    name: str
    unit_s: float | None  # seconds in one of its units, where its name says so


def time_columns(names: list[str]) -> list[str]:
    """Those columns that hold the time, by their names; the likelier ones first."""
    return [clock.name for clock in _find_clocks(names)]


def _find_clocks(names: list[str]) -> list[_Clock]:
    found = []
    for name in names:
        apart = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name[:100]).lower()
        words = [w for w in re.findall(r"[a-z0-9µμ]+", apart) if not re.fullmatch(r"1970|\d[0-9a-f]{3}|\d+hz", w)]
        units = [_SECONDS_PER[word] for word in words if word in _SECONDS_PER]
        if _CLOCK & set(words) and all(w in _CLOCK or w in _WITH_CLOCK or w in _SECONDS_PER for w in words):
            found.append(_Clock(name, units[-1] if units else None))
    order = {name: k for k, name in enumerate(CLOCKS)}
    return sorted(found, key=lambda clock: order.get(clock.name.strip().lower(), len(order)))


def read_clock(path: Path, table: pd.DataFrame) -> tuple[pd.DataFrame, float | None, float]:
    """The table with tidy names, its rate by its clock (None if it has none), and the time of its first row."""
    table.columns = [str(c).strip() for c in table.columns]
    found = _find_clocks(list(table.columns))
    return (
        (table, *_read_agreeing_clocks(path, table, found))
        if found
        else (table, None, float(table.attrs.get("start_s", 0.0)))
    )


def text_rate_hz(path: Path, table: pd.DataFrame, clock_hz: float | None, given_hz: float | None, hint: str) -> float:
    """By the table's clock, else as it is given, else as the file's comments say. Raises BadRecording."""
    rate_hz = clock_hz if clock_hz is not None else given_hz if given_hz is not None else table.attrs.get("rate_hz")
    if rate_hz is None:
        have = ", ".join(map(str, table.columns[:8])) + (" ..." if len(table.columns) > 8 else "")
        raise BadRecording(path, "a column time", f"none among {have}", hint)
    if not 0 < rate_hz <= MAX_RATE_HZ:
        raise BadRecording(path, f"a rate above 0, at most {MAX_RATE_HZ:g}", f"{rate_hz:g} samples a second", hint)
    return float(rate_hz)


def _read_agreeing_clocks(path: Path, table: pd.DataFrame, found: list[_Clock]) -> tuple[float, float]:
    """Rate and start by the first clock; others of a steady rate must tell the same. Raises BadRecording."""
    rate_hz, start = _read_clock(path, table, found[0])
    for other in found[1:]:
        try:
            its, _ = _read_clock(path, table, other)
        except BadRecording:
            continue  # a second clock may be a text or coarse; the first one is what is used
        if abs(its / rate_hz - 1) > 0.01:
            said = f"{rate_hz:g} samples a second by {found[0].name} and {its:g} by {other.name}"
            raise BadRecording(path, "clocks that agree", said, "Delete the column that is wrong, or rename it.")
    return rate_hz, start


def _read_clock(path: Path, table: pd.DataFrame, clock: _Clock) -> tuple[float, float]:
    """The rate and the first second by one column. Raises BadRecording that tells the line of what is wrong."""
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
    if len(t) < 2:
        raise BadRecording(path, f"column {clock.name} with even steps of seconds", f"{len(t)} rows")
    unit_s = clock.unit_s or _unit_of(t)
    t = t * unit_s
    if not (np.abs(t) < MAX_TIME_S).all():
        raise BadRecording(path, f"seconds in column {clock.name}", f"{t[0]:g}", "Name its unit, as time_ms.")
    decimal = _decimal_of(t / unit_s) * unit_s
    _require_even(path, clock.name, t, decimal)
    rate_hz = (len(t) - 1) / (t[-1] - t[0])
    if decimal and np.ptp(np.diff(t)) > decimal / 2:  # rounded: the line through all of them is the closer one
        rate_hz = 1 / float(np.polyfit(np.arange(len(t)), t - t[0], 1)[0])
    if decimal < t[-1] - t[0]:  # else all of them are next to 0
        _require_fine(path, clock.name, decimal, 1 / rate_hz)
    _require_steady(path, clock.name, t, decimal)
    if rate_hz < MIN_RATE_HZ:
        found = f"{rate_hz:.3g} lines a second"
        remedy = "Are they milliseconds? Then name the column time_ms." if unit_s == 1 else "Is this its unit?"
        raise BadRecording(path, f"seconds in column {clock.name}", found, remedy)
    return rate_hz, float(t[0])


def _unit_of(t: np.ndarray) -> float:
    """Seconds in one of a clock's units, where its name does not say so: seconds, but for what can only be a finer
    unit since 1970."""
    if np.abs(t).max() < MAX_TIME_S:
        return 1.0
    fits = [unit for unit in (1e-3, 1e-6, 1e-9) if MIN_UNIX_TIME_S < t[0] * unit < MAX_UNIX_TIME_S]
    return fits[0] if fits else 1.0


def _decimal_of(t: np.ndarray) -> float:
    """What a clock was rounded to: the largest power of ten of which all its times are multiples; 0 if there is none
    that its numbers can tell."""
    largest = float(np.abs(t).max())
    for k in range(7):
        scaled = t * 10.0**k
        if largest * 10.0**k * 2.0**-51 > 0.01:
            break
        if np.abs(scaled - np.rint(scaled)).max() < 0.02:
            return 10.0**-k
    return 0.0


def _require_even(path: Path, name: str, t: np.ndarray, decimal: float) -> None:
    """Raise BadRecording that tells where and by how much, unless a clock is regular, or a regular one rounded."""
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
    found = (
        f"gaps or jumps: between data rows {k + 1} and {k + 2}, at {t[k]:.3f} s, it {what}{size}, "
        f"where steps are {usual:.6g} s ({many} of {len(steps)} steps differ)"
    )
    if t[-1] == t[0]:
        found = f"the same time, {t[0]:.6g} s, in its first and its last row"
    remedy = f"Fill the gap or cut the file there; {_NO_CLOCK}"
    raise BadRecording(path, f"column {name} with even steps of seconds", found, remedy)


def _require_fine(path: Path, name: str, decimal: float, step_s: float) -> None:
    """Raise BadRecording if a clock is rounded so much that it does not tell when a sample was taken."""
    if decimal > 1.5 * max(MAX_ROUNDING_S, step_s):
        found = f"times rounded to {decimal:g} s, of about {1 / step_s:.4g} samples a second"
        raise BadRecording(
            path, f"column {name} with the time of each sample", found, f"Write more digits; {_NO_CLOCK}"
        )


def _require_steady(path: Path, name: str, t: np.ndarray, decimal: float) -> None:
    """Raise BadRecording that tells where and by how much a clock leaves the straight line through its ends: samples
    are taken at one rate from the first to the last."""
    step_s = (t[-1] - t[0]) / (len(t) - 1)
    off = t - t[0] - step_s * np.arange(len(t))
    k = int(np.argmax(np.abs(off)))
    if abs(off[k]) <= max(MAX_DEVIATION_S, step_s / 2, MAX_ROUNDING * decimal):
        return
    found = f"a rate that changes: data row {k + 1}, at {t[k]:.3f} s, is {abs(off[k]):.3g} s "
    found += f"{'later' if off[k] > 0 else 'earlier'} than at {1 / step_s:.6g} samples a second throughout"
    remedy = f"Resample it to one rate; {_NO_CLOCK}"
    raise BadRecording(path, f"column {name} with even steps of seconds", found, remedy)


def _is_rounded(t: np.ndarray, steps: np.ndarray, decimal: float) -> bool:
    """Whether times are those of a steady rate, rounded to a decimal.

    Their steps are then of two neighbouring sizes, or of three if they were cut off rather than rounded, and all lie
    within the decimal about a straight line. A single other step is a lost sample.
    """
    sizes = np.rint(steps / decimal).astype(np.int64)
    low, high = int(sizes.min()), int(sizes.max())
    if high - low > 2 or min((sizes == low).sum(), (sizes == high).sum()) < MIN_OTHER_STEPS:
        return False
    return _off_line(t - t[0], decimal) <= MAX_ROUNDING * decimal


def _off_line(t: np.ndarray, decimal: float) -> float:
    """The height of the narrowest strip between two parallel lines that holds all times t (n,): a straight line of
    least squares would be turned by the few long steps of a clock whose step is nearly its last decimal."""
    from scipy.optimize import minimize_scalar

    at = np.arange(len(t))
    slope, turn = t[-1] / at[-1], 2 * decimal / at[-1]  # the height is convex in the slope
    best = minimize_scalar(
        lambda by: float(np.ptp(t - by * at)), bounds=(slope - turn, slope + turn), method="bounded",
        options={"xatol": turn / 1000},
    )  # fmt: skip
    return float(best.fun)

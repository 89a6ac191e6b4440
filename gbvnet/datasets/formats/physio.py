"""Physio files of BIDS: `*_physio.tsv.gz`, a gzip table without a line of names, with inherited JSON files.

JSON must give SamplingFrequency, StartTime and Columns. StartTime is when the first line was, in seconds from the first
sample of the recording that the file belongs to; it may be negative. So second 0 of the file is that recording's. A
StartTime that can only be Unix time says nothing of that recording: second 0 is then the first line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from typing_extensions import override

from ...errors import BadRecording
from ..channel_names import channel_kind
from ..units import Conversion, convert
from .bids_names import inherited, require_fetched, sidecars
from .device_file import DeviceChannel, DeviceFile
from .device_signatures import PHYSIO
from .physio_table import cell_number, read_lines, require_columns
from .segments import Segment
from .signal_text import MAX_RATE_HZ

UNIX_FROM = 1e6  # a StartTime of 11 days is seconds since 1970
# Names that BIDS recommends for columns, which are words for kinds of signals.
_KINDS = {"cardiac": "ppg", "respiratory": "resp"}
_CLOCKS = ("onset", "time", "timestamp")  # how the name of a column of times begins or ends
LARGEST_DRIFT = 0.1  # by which the rate of a column of times may differ from SamplingFrequency
BOM = b"\xef\xbb\xbf"  # before a first line, by some programs of Windows
BLOCK = 100_000  # lines that are read together
MAX_BLOCK_BYTES = 64 << 20
NOTED_S = 0.1  # the difference from which on that is noted, over the whole file
_JSON = "SamplingFrequency, StartTime and Columns must stand in a JSON file beside it, or above it."


class _HasKind(Protocol):
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True, eq=False)
class PhysioFile(DeviceFile):
    """A physio file. Its clock is that of the recording it belongs to, unless start_unix_s is given."""

    @override
    def units(self, at: list[int], channels: Sequence[_HasKind], unit: str) -> tuple[list[Conversion], None]:
        """Return the conversions of the channels `at`; `unit` is that of columns whose JSON names none."""
        return [convert(c.kind, self.channels[k].unit, unit) for c, k in zip(channels, at, strict=True)], None


def read_physio(path: Path) -> PhysioFile:
    """Return the columns of a physio file. Raises BadRecording for lines or JSON files that are not as they must be."""
    require_fetched(path)
    about = inherited(path)
    place = next(iter(reversed(sidecars(path))), path)
    names = require_columns(place, about, _JSON)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadRecording(place, "each column once", f"{twice} twice")
    rate_hz, start_s = _number(place, about, "SamplingFrequency"), _number(place, about, "StartTime")
    if not 0 < rate_hz <= MAX_RATE_HZ:
        raise BadRecording(place, f"a SamplingFrequency above 0, at most {MAX_RATE_HZ:g}", f"{rate_hz:g}")
    values, notes = _values(path, names)
    notes += _clock_notes(path, names, values, rate_hz)
    channels = [
        DeviceChannel(name, kind_of(name), _unit(about, name), rate_hz, values[:, k]) for k, name in enumerate(names)
    ]
    unix = abs(start_s) >= UNIX_FROM
    segment = Segment(0.0 if unix else start_s, len(values) / rate_hz, 0.0)
    return PhysioFile(
        path, PHYSIO, tuple(channels), (segment,), start_unix_s=start_s if unix else None, notes=tuple(notes)
    )


def kind_of(column: str) -> str | None:
    """Return the kind of a column by its name, None if that tells none."""
    return _KINDS.get(column.lower()) or channel_kind(column)


def _number(place: Path, about: dict[str, Any], name: str) -> float:
    value = about.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e15:
        raise BadRecording(place, f"{name}, a number", "none" if value is None else f"{value!r:.60}", _JSON)
    return float(value)


def _unit(about: dict[str, Any], name: str) -> str:
    column = about.get(name)
    unit = column.get("Units", "") if isinstance(column, dict) else ""
    return unit if isinstance(unit, str) else ""


def _block(lines: Iterator[bytes]) -> list[bytes]:
    """Return the next lines, at most BLOCK of them and no more than MAX_BLOCK_BYTES: lines of a damaged file can be
    of any length."""
    block, size = [], 0
    for line in islice(lines, BLOCK):
        block.append(line)
        size += len(line)
        if size > MAX_BLOCK_BYTES:
            break
    return block


def _values(path: Path, names: list[str]) -> tuple[np.ndarray, list[str]]:
    """Return all lines (N, columns), NaN for n/a, and notes. Raises BadRecording for a line of another width.

    A line cannot be left out, as its number is its time: only one of names at the beginning, which BIDS forbids, and a
    last one that is cut.
    """
    blocks: list[np.ndarray] = []
    notes: list[str] = []
    lines, number, short = read_lines(path), 1, 0
    odd: dict[str, str] = {}
    while block := _block(lines):
        if short:
            raise _other_width(path, names, short)
        if number == 1:
            block[0] = block[0].removeprefix(BOM)
        if number == 1 and _is_head(path, block[0], names):
            notes.append("a line of names at its beginning, which BIDS forbids: left out")
            number, block = 2, block[1:]
        widths = [line.count(b"\t") + 1 for line in block]
        wrong = next((k for k, width in enumerate(widths) if width != len(names)), None)
        if wrong is not None:
            short = number + wrong
            if wrong < len(block) - 1:
                raise _other_width(path, names, short)
            block = block[:-1]
        blocks.append(_numbers(block, names, odd))
        number += len(widths)
    if short:
        notes.append(f"its last line, {short}, is cut: left out")
    values = np.concatenate([np.empty((0, len(names))), *blocks])
    if len(values) < 2:
        raise BadRecording(path, "at least two lines of numbers", f"{len(values)}")
    for name, text in odd.items():
        if kind_of(name) and not np.isfinite(values[:, names.index(name)]).any():
            raise BadRecording(path, f"numbers in column {name}", text, "Decimals have a point, and n/a is no number.")
    return values, notes


def _other_width(path: Path, names: list[str], number: int) -> BadRecording:
    wanted = f"{len(names)} fields, as Columns names, in each line"
    return BadRecording(path, wanted, f"another number in line {number}")


def _is_head(path: Path, line: bytes, names: list[str]) -> bool:
    """Return whether a first line holds no number at all. Raises BadRecording if it is of another width."""
    cells = line.rstrip(b"\r\n").split(b"\t")
    if len(cells) != len(names):
        raise BadRecording(path, f"{len(names)} fields in each line, as Columns names", f"{len(cells)}", _JSON)
    known = np.isfinite([cell_number(cell) for cell in cells]).any()
    return not known and not all(cell.strip() in (b"n/a", b"") for cell in cells)


def _numbers(lines: list[bytes], names: list[str], odd: dict[str, str]) -> np.ndarray:
    """Return the numbers (N, columns) of lines of that many cells, NaN for cells that hold none; and put the first text
    of a column that is neither a number nor n/a into `odd`.

    pandas reads blocks of plain numbers ten times as fast as Python; what it does not take is read cell by cell.
    """
    try:
        table = pd.read_csv(
            BytesIO(b"".join(lines)), sep="\t", header=None, dtype=np.float64, na_values=["n/a"], quoting=3,
            skip_blank_lines=False, index_col=False,
        )  # fmt: skip
        if table.shape == (len(lines), len(names)):
            return table.to_numpy()
    except (ValueError, OverflowError):  # of pandas: its own errors are ValueErrors
        pass
    rows = [line.rstrip(b"\r\n").split(b"\t") for line in lines]
    values = np.array([[cell_number(cell) for cell in row] for row in rows], np.float64).reshape(-1, len(names))
    for n, k in np.argwhere(np.isnan(values)).tolist():
        if rows[n][k].strip() not in (b"n/a", b""):
            odd.setdefault(names[k], f"{rows[n][k].decode('utf-8', 'replace')!r:.60}")
    return values


def _clock_notes(path: Path, names: list[str], values: np.ndarray, rate_hz: float) -> list[str]:
    """Return notes on columns of times whose rate is not SamplingFrequency. Raises BadRecording if far from it."""
    notes = []
    for k, name in enumerate(names):
        words = name.lower().replace("-", "_").split("_")
        times = values[:, k]
        if (
            not set(_CLOCKS) & {words[0], words[-1], *words}
            or not np.isfinite(times).all()
            or (np.diff(times) <= 0).any()
        ):
            continue
        seconds = (len(times) - 1) / rate_hz
        unit = min((1.0, 1e-3, 1e-6), key=lambda scale: abs(np.log((times[-1] - times[0]) * scale / seconds)))
        lasted = float(times[-1] - times[0]) * unit
        if abs(lasted / seconds - 1) > LARGEST_DRIFT:
            wanted = f"{rate_hz:g} lines a second (SamplingFrequency)"
            raise BadRecording(path, wanted, f"{(len(times) - 1) / lasted:.4g} by its column {name}", "Which is right?")
        if abs(lasted - seconds) > NOTED_S:
            notes.append(
                f"its column {name} lasts {lasted:.2f} s, its lines {seconds:.2f} s at {rate_hz:g} Hz: are any lost?"
            )
    return notes

"""Tables of BIDS: tab-separated text with a line of names, in which only `n/a` is a missing value."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from ..errors import BadRecording
from ..text import did_you_mean, sentence
from .formats.bids_names import require_fetched
from .formats.text_file import read_text

MISSING = "n/a"
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,20}\.?[0-9]{0,8}|\.[0-9]{1,8})")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
MAX_ROWS, MAX_COLUMNS = 1_000_000, 10_000
Row = dict[str, str]  # cells by column; one that is n/a is absent


@dataclass(frozen=True)
class BidsTable:
    """A table. rows : cells by column, without those that are n/a; lines : their numbers in the file, from 1 on"""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    lines: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def require(self, names: Iterable[str], where: str) -> None:
        """Raise BadRecording for a column that the table does not have. where : what names it, for the remedy"""
        for name in names:
            if name not in self.columns:
                hint = f"{sentence(did_you_mean(name, [c for c in self.columns if c]))} It is named in {where}."
                raise BadRecording(self.path, f"a column {name}", f"none among {', '.join(self.columns)}", hint)

    def place(self, k: int) -> str:
        """Return what names row k, for errors."""
        return f"{self.path}, line {self.lines[k]}"


def read_tsv(path: Path, what: str) -> BidsTable:
    """Return a table. what : it holds, for errors

    Raises BadRecording for a file that cannot be read, and for a line of another width than the line of names.
    """
    require_fetched(path)
    try:
        text = read_text(path, what)
    except OSError as error:
        raise BadRecording(path, what, error.strerror or str(error)) from None
    numbered = [
        (n, line) for n, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1) if line.strip("\r\n\ufeff ")
    ]
    notes = (f"{path.name} begins with a byte order mark, which BIDS does not provide for",) if _has_bom(path) else ()
    if not numbered or len(numbered) > MAX_ROWS:
        raise BadRecording(path, f"{what}, with a line of names", f"{len(numbered):,} lines")
    columns = tuple(_cells(numbered[0][1]))
    if len(columns) > MAX_COLUMNS:
        raise BadRecording(path, f"at most {MAX_COLUMNS:,} columns", f"{len(columns):,}")
    for name in columns:
        if name and columns.count(name) > 1:
            raise BadRecording(path, "each column once", f"{name} twice")
    rows = []
    for number, line in numbered[1:]:
        cells = _cells(line)
        if len(cells) != len(columns):
            wanted = f"{len(columns)} cells in each line, with tabs between"
            raise BadRecording(path, wanted, f"{len(cells)} in line {number}", "A missing value is written n/a.")
        rows.append({name: cell for name, cell in zip(columns, cells, strict=True) if cell != MISSING})
    return BidsTable(path, columns, tuple(rows), tuple(n for n, _ in numbered[1:]), notes)


def _cells(line: str) -> list[str]:
    return [_plain(cell.strip()) for cell in line.rstrip("\r\n").split("\t")]


def _plain(cell: str) -> str:
    """Return a cell without quotes around it."""
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _has_bom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(3) == b"\xef\xbb\xbf"


def number_in(cell: str | None) -> float | None:
    """Return the number in a cell; None for a missing cell and for a text.

    A text is also what only Python takes for a number: 1_2, the name of a stimulus as often as not, is not 12.
    """
    if cell is None or not _NUMBER.fullmatch(cell):
        return None
    value = float(cell)
    return value if abs(value) < float("inf") else None


def cell_key(cell: str) -> str:
    """Return one text for all spellings of a number without an exponent (3, 3.0, 03); any other text as it is."""
    return f"{Decimal(cell).normalize():f}" if _DECIMAL.fullmatch(cell) else cell

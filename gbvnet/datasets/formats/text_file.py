"""Text files as programs and spreadsheets write them: their encoding, the lines before their table, what parts cells.

Read are UTF-8 and UTF-16 with or without a byte order mark, and Windows-1252 (Latin-1); Excel's first line `sep=;`;
comment lines that begin with # or %.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...errors import BadRecording

COMMENTS = ("#", "%")
MAX_SAMPLED_LINES = 200  # that are looked at before a table is read
_SEP = re.compile(r'^"?sep=(.)"?[;,\t ]*$', re.IGNORECASE)
_NUMBER = r"[+-]?\d*[.,]?\d+(?:[eE][+-]?\d+)?"


class Layout(NamedTuple):
    """How a table is written.

    encoding : of the file
    mark : between cells
    skip : lines before the one that names the columns
    comments : the lines among them that begin with # or %
    names : of the columns, as they are written
    decimal, thousands : the marks in numbers; thousands None for none
    comment : how comment lines between rows begin
    rows : the first lines of the table, as cells
    """

    encoding: str
    mark: str
    skip: int
    comments: tuple[str, ...]
    names: tuple[str, ...]
    decimal: str
    thousands: str | None
    comment: str
    rows: tuple[tuple[str, ...], ...]


def detect_encoding(path: Path, what: str = "a table of signals") -> str:
    """In which encoding a text file is; `what` it should hold, for errors.

    Raises BadRecording if it is no text, OSError if it cannot be read.
    """
    stat = path.stat()
    found = _detect_encoding(path, stat.st_size, stat.st_mtime_ns)
    if found is None:
        raise BadRecording(path, what, "bytes that are no text", "Save it as CSV in UTF-8.")
    return found


@lru_cache(maxsize=16)  # all of a file is looked at, and a table of trials names one many times
def _detect_encoding(path: Path, size: int, changed_ns: int) -> str | None:
    """None if it is no text."""
    with path.open("rb") as file:
        begin = file.read(4096)
        for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
            if begin.startswith(mark):
                return None if name == "utf-16" and size % 2 else name
        if b"\0" in begin:
            for name, low in (("utf-16-le", begin[1::2]), ("utf-16-be", begin[0::2])):
                if low.count(0) > 0.9 * len(low) and len(begin) >= 8 and b"\n\0" in begin + b"\0":
                    return name
            return None
        file.seek(0)
        return "utf-8" if _is_utf8(file) else "cp1252"


def _is_utf8(file: BinaryIO) -> bool:
    """Block by block, as a file may be large."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := file.read(1 << 20):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def read_text(path: Path, what: str) -> str:
    """The whole of a text file; `what` it should hold, for errors.

    Raises BadRecording if it is no text, OSError if it cannot be read.
    """
    return path.read_text(encoding=detect_encoding(path, what), errors="replace")


def stated_delimiter(line: str) -> str | None:
    """What parts cells, as Excel's first line `sep=;` says it; None for any other line."""
    found = _SEP.match(line.strip("\ufeff\r\n"))
    return found[1] if found else None


def detect_layout(path: Path, marks: str = ",;\t") -> Layout:
    """How a table is written, by its first lines. Raises BadRecording if it cannot be read or has no line.

    marks : what may part cells, the likelier ones first
    """
    try:
        encoding = detect_encoding(path)
        with path.open(encoding=encoding, errors="replace", newline=None) as file:
            lines = [line for line, _ in zip(file, range(MAX_SAMPLED_LINES), strict=False)]
    except OSError as error:
        raise BadRecording(
            path, "a table of signals", f"a file that does not read ({error.strerror or error})"
        ) from None
    skip, comments, said = 0, [], None
    for line in lines:
        told = stated_delimiter(line)
        if told:
            said = told
        elif line.lstrip().startswith(COMMENTS):
            comments.append(line.strip())
        elif line.strip():
            break
        skip += 1
    if skip == len(lines):
        raise BadRecording(path, "a table of signals, a line that names its columns first", "none")
    comment = "%" if any(line.startswith("%") for line in comments) else "#"
    body = [line for line in lines[skip:] if line.strip() and not line.lstrip().startswith(COMMENTS)]
    mark = said or _detect_delimiter(body, marks)
    rows = tuple(tuple(cell.strip() for cell in cells) for cells in _cells(body, mark))
    if not rows:
        raise BadRecording(path, "a table of signals, a line that names its columns first", "one that is no CSV")
    decimal, thousands = _detect_decimal(rows[1:], mark)
    return Layout(encoding, mark, skip, tuple(comments), rows[0], decimal, thousands, comment, rows[1:])


def _cells(lines: list[str], mark: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=mark, skipinitialspace=True)
    except csv.Error:  # what comes before it is enough to know the layout
        return


def _detect_delimiter(body: list[str], marks: str) -> str:
    """The mark that parts the first two lines into as many cells; else the commonest in the first."""
    counts = {}
    for mark in marks:
        first, *more = [len(cells) for cells in _cells(body[:2], mark)] or [0]
        if first > 1 and (not more or more[0] in (first, first + 1)):
            counts[mark] = first
    return max(counts, key=lambda m: counts[m]) if counts else max(marks, key=body[0].count)


def _detect_decimal(rows: tuple[tuple[str, ...], ...], mark: str) -> tuple[str, str | None]:
    """The decimal mark and the thousands' mark of the numbers in some rows."""
    cells = [cell for row in rows for cell in row]
    if mark != "," and not any("," in cell for cell in cells):
        return ".", None
    commas = [cell for cell in cells if re.fullmatch(_NUMBER, cell) and "," in cell]
    grouped = [cell for cell in cells if re.fullmatch(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+", cell)]
    english = [cell for cell in cells if re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3})+\.\d+", cell)]
    if grouped:
        return ",", "."
    if english:
        return ".", ","
    points = any(re.fullmatch(r"[+-]?\d*\.\d+", cell) for cell in cells)
    # spreadsheets write semicolons where a comma is the decimal mark, even if the first lines hold whole numbers only
    return ("," if commas or (mark == ";" and not points) else "."), None


def stated_rate_hz(comments: tuple[str, ...]) -> float | None:
    """The rate that a file's comment lines tell, as OpenBCI's `%Sample Rate = 250 Hz`; None if they tell none."""
    for line in comments:
        found = re.search(
            r"sampl\w*[ _-]*(?:rate|freq\w*)[^\d\n]{0,12}(\d+(?:[.,]\d+)?)\s*(k?)hz?", line, re.IGNORECASE
        )
        found = found or re.search(r"sampl\w*[ _-]*(?:rate|freq\w*)\W{1,4}(\d+(?:[.,]\d+)?)()\s*$", line, re.IGNORECASE)
        if found:
            return float(found[1].replace(",", ".")) * (1e3 if found[2].lower() == "k" else 1.0)
    return None

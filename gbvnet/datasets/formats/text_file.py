"""Text files of programs and spreadsheets: their encoding, the lines before the table, the delimiter of cells.

Supported: UTF-8 and UTF-16 with or without a byte order mark, Windows-1252 (Latin-1), Excel's first line `sep=;`, and
comment lines that begin with # or %.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from math import nan
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...errors import BadRecording

COMMENTS = ("#", "%")
MAX_SAMPLED_LINES = 200  # lines from which the layout is detected
_SEP = re.compile(r'^"?sep=(.)"?[;,\t ]*$', re.IGNORECASE)
_NUMBER = r"[+-]?(?:\d*[.,])?\d+(?:[eE][+-]?\d+)?"


def number_of(text: str) -> float:
    """Return the number that a text is; NaN for any other text, and for what Python alone takes for a number: 1_2 is
    not 12."""
    try:
        return float(text) if "_" not in text else nan
    except ValueError:
        return nan


class Layout(NamedTuple):
    """The layout of a text table.

    encoding : of the file
    delimiter : between cells
    skip : number of lines before the one with the column names
    comments : the lines among them that begin with # or %
    names : of the columns, unchanged
    decimal, thousands : separators in numbers; thousands may be None
    comment : first character of comment lines between rows
    rows : the first lines of the table, as cells
    """

    encoding: str
    delimiter: str
    skip: int
    comments: tuple[str, ...]
    names: tuple[str, ...]
    decimal: str
    thousands: str | None
    comment: str
    rows: tuple[tuple[str, ...], ...]


def detect_encoding(path: Path, what: str = "a table of signals") -> str:
    """Return the encoding of a text file; `what` it should hold, for errors.

    Raises BadRecording if it is no text, OSError if it cannot be read.
    """
    stat = path.stat()
    encoding = _detect_encoding(path, stat.st_size, stat.st_mtime_ns)
    if encoding is None:
        raise BadRecording(path, what, "bytes that are no text", "Save it as CSV in UTF-8.")
    return encoding


@lru_cache(maxsize=16)  # the whole file is read, and a table of trials names it many times
def _detect_encoding(path: Path, size: int, changed_ns: int) -> str | None:
    """Return the encoding, or None if the file is no text."""
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
    """Return whether a file is valid UTF-8, reading it in blocks: it may be large."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := file.read(1 << 20):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def read_text(path: Path, what: str) -> str:
    """Return the content of a text file; `what` it should hold, for errors.

    Raises BadRecording if it is no text, OSError if it cannot be read.
    """
    return path.read_text(encoding=detect_encoding(path, what), errors="replace")


def stated_delimiter(line: str) -> str | None:
    """Return the delimiter of Excel's first line `sep=;`; None for any other line."""
    match = _SEP.match(line.strip("\ufeff\r\n"))
    return match[1] if match else None


def detect_layout(path: Path, delimiters: str = ",;\t", what: str = "a table of signals") -> Layout:
    """Return the layout of a table, from its first lines. Raises BadRecording if it cannot be read or has no line.

    delimiters : possible delimiters, the likelier ones first
    what : what it should hold, for errors
    """
    try:
        encoding = detect_encoding(path, what)
        with path.open(encoding=encoding, errors="replace", newline=None) as file:
            lines = [line for line, _ in zip(file, range(MAX_SAMPLED_LINES), strict=False)]
    except OSError as error:
        raise BadRecording(path, what, f"a file that does not read ({error.strerror or error})") from None
    skip, comments, stated = 0, [], None
    for line in lines:
        stated_here = stated_delimiter(line)
        if stated_here:
            stated = stated_here
        elif line.lstrip().startswith(COMMENTS):
            comments.append(line.strip())
        elif line.strip():
            break
        skip += 1
    if skip == len(lines):
        raise BadRecording(path, f"{what}, a line that names its columns first", "none")
    comment = "%" if any(line.startswith("%") for line in comments) else "#"
    body = [line for line in lines[skip:] if line.strip() and not line.lstrip().startswith(COMMENTS)]
    delimiter = stated or _detect_delimiter(body, delimiters)
    rows = tuple(tuple(cell.strip() for cell in cells) for cells in _cells(body, delimiter))
    if not rows:
        raise BadRecording(path, f"{what}, a line that names its columns first", "one that is no CSV")
    decimal, thousands = _detect_decimal(rows[1:], delimiter)
    return Layout(encoding, delimiter, skip, tuple(comments), rows[0], decimal, thousands, comment, rows[1:])


def _cells(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    except csv.Error:  # the rows before it suffice
        return


def _detect_delimiter(body: list[str], delimiters: str) -> str:
    """Return the delimiter that gives both first lines the same number of cells; else the commonest in the first."""
    counts = {}
    for delimiter in delimiters:
        first, *more = [len(cells) for cells in _cells(body[:2], delimiter)] or [0]
        if first > 1 and (not more or more[0] in (first, first + 1)):
            counts[delimiter] = first
    return max(counts, key=lambda m: counts[m]) if counts else max(delimiters, key=body[0].count)


def _detect_decimal(rows: tuple[tuple[str, ...], ...], delimiter: str) -> tuple[str, str | None]:
    """Return the decimal and the thousands separator of the numbers in some rows."""
    cells = [cell for row in rows for cell in row]
    if delimiter != "," and not any("," in cell for cell in cells):
        return ".", None
    commas = [cell for cell in cells if re.fullmatch(_NUMBER, cell) and "," in cell]
    grouped = [cell for cell in cells if re.fullmatch(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+", cell)]
    english = [cell for cell in cells if re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3})+\.\d+", cell)]
    if grouped:
        return ",", "."
    if english:
        return ".", ","
    points = any(re.fullmatch(r"[+-]?\d*\.\d+", cell) for cell in cells)
    # spreadsheets delimit by semicolons where the decimal separator is a comma; the first rows may hold whole numbers
    return ("," if commas or (delimiter == ";" and not points) else "."), None


def stated_rate_hz(comments: tuple[str, ...]) -> float | None:
    """Return the rate in a file's comment lines, such as OpenBCI's `%Sample Rate = 250 Hz`; None if there is none, or
    one that can be read in two ways."""
    text, factor = stated_rate(comments)
    rate_hz = _written_rate(text)
    return None if rate_hz is None else rate_hz * factor


def stated_rate(comments: tuple[str, ...]) -> tuple[str, float]:
    """Return a rate as it is written in comment lines, "" if there is none, and what to multiply it by for Hz."""
    for line in comments:
        match = re.search(
            r"sampl\w*[ _-]*(?:rate|freq\w*)[^\d\n]{0,12}(\d+(?:[.,]\d+)*)\s*(k?)hz?", line, re.IGNORECASE
        )
        match = match or re.search(r"sampl\w*[ _-]*(?:rate|freq\w*)\W{1,4}(\d+(?:[.,]\d+)*)()\s*$", line, re.IGNORECASE)
        if match:
            return match[1], 1e3 if match[2].lower() == "k" else 1.0
    return "", 1.0


def _written_rate(text: str) -> float | None:
    """Return a rate as it is written, with a point or comma as its decimal or thousands separator; None if it may be
    either: `1,000` and `1.000` are 1 or 1000. `250,000` is 250, as no signal has 250,000 samples a second, and
    `15.625` is 15.625: thousands in two digits are hardly written with a point.

    >>> [_written_rate(text) for text in ("250", "62,5", "1,024.5", "256.000", "15.625", "1,000", "1.2.3")]
    [250.0, 62.5, 1024.5, 256.0, 15.625, None, None]
    """
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:,\d{3}){2,}", text):
        return float(text.replace(",", ""))
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}", text):
        return float(text.replace(".", "").replace(",", "."))
    if not re.fullmatch(r"\d+(?:[.,]\d+)?", text):
        return None
    if re.fullmatch(r"\d{1,2},\d{3}|\d\.\d{3}", text):
        return None
    return float(text.replace(",", "."))

"""Tables of numbers in gzip without a line of names, `*_physio.tsv.gz`, and the JSON files that name their columns.

What BIDS calls a physio file. Which lines are used is decided by those who read them.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ...errors import BadRecording
from ...io.safe_load import from_json

COUNTED = 200  # lines at the beginning whose fields are counted
MAX_LINE, MAX_LINES = 100_000, 5_000_000  # bytes of a line; lines of a file: 5 hours at 256 Hz
REMEDY = "The download may be cut short: fetch the file again."


def read_lines(path: Path, remedy: str = REMEDY) -> Iterator[bytes]:
    """Yield the lines of a gzip file. Raises BadRecording for one that is damaged, or has too many lines."""
    try:
        with gzip.open(path) as file:
            for _ in range(MAX_LINES):
                line = _line(path, file, remedy)
                if not line:
                    return
                yield line
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BadRecording(path, "a table in gzip", f"a file that cannot be read ({reason})", remedy) from None
    raise BadRecording(path, f"at most {MAX_LINES:,} lines, those of one run", "more")


def _line(path: Path, file: gzip.GzipFile, remedy: str) -> bytes:
    line = file.readline(MAX_LINE)
    if len(line) == MAX_LINE:
        raise BadRecording(path, "lines of a table", f"one of more than {MAX_LINE:,} bytes", remedy)
    return line


def table_width(path: Path, remedy: str = REMEDY) -> int:
    """Return the commonest number of fields of the first lines, of equally common ones the largest.

    Raises BadRecording.
    """
    counts = Counter(line.count(b"\t") + 1 for line in islice(read_lines(path, remedy), COUNTED))
    if not counts:
        raise BadRecording(path, "lines of numbers", "an empty file", remedy)
    return max(counts, key=lambda width: (counts[width], width))


def cell_number(cell: bytes) -> float:
    """Return the number in a cell; NaN where it holds none (n/a)."""
    try:
        return float(cell) if b"_" not in cell else float("nan")  # Python alone takes 1_2 for 12
    except ValueError:
        return float("nan")


def read_json(path: Path, wanted: str, remedy: str = REMEDY) -> dict[str, Any]:
    """Return what a JSON file holds, names and values. wanted : what it should be, for errors. Raises BadRecording."""
    try:
        about = from_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadRecording(path, wanted, error.strerror or str(error), remedy) from None
    except ValueError as error:
        raise BadRecording(path, wanted, f"a file that is none ({error})", remedy) from None
    if not isinstance(about, dict):
        raise BadRecording(path, wanted, "no names and values", remedy)
    return about


def require_columns(path: Path, about: dict[str, Any], remedy: str = REMEDY) -> list[str]:
    """Return the names of a table's columns by its JSON file. Raises BadRecording if it does not name them."""
    columns = about.get("Columns")
    if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
        actual = "no list of names" if columns is not None else "none"
        raise BadRecording(path, "Columns, a list of names", actual, remedy)
    return [name.strip() for name in columns]

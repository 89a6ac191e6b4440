"""Columns of a BIDS dataset's tables that may be ratings, by their names and numbers; for messages and drafts."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..config import RATINGS
from ..errors import BadRecording
from .bids_files import FORMATS, BidsFiles
from .bids_table import BidsTable, number_in, read_tsv
from .formats.bids_names import inherited

MOST_TABLES = 60  # that are looked through
_WORDS = (*RATINGS, "pleasantness", "pleasant", "sam", "score", "rating", "ratings", "relevance", "energetic", "affect")
# Names that end in a letter or two, as in `f_emotion_v`.
_SHORT = re.compile(r"(?:.*[_-])?(?:sam|emotion|emo|rating|felt)[_-]?(v|val|a|aro|ar|d|dom)\Z", re.IGNORECASE)
_TIMES = re.compile(r"(?:^|[_-])(?:rt|time|onset|duration|latency)(?:$|[_-])", re.IGNORECASE)


@dataclass
class RatingColumn:
    """A column that may hold ratings.

    table : beh or events; low, high, whole : of its numbers; n : how many; scale : by a JSON file, or None
    """

    table: str
    name: str
    low: float
    high: float
    n: int
    whole: bool = True
    scale: tuple[float, float] | None = None
    tables: int = 0


@dataclass
class Tables:
    """The tables of one suffix: those that are read, and what JSON files say of their columns."""

    suffix: str
    tables: list[BidsTable] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)


def tables_of(files: BidsFiles, suffix: str) -> Tables:
    """Return the first tables of a suffix in a dataset; one that cannot be read is left out."""
    tables = Tables(suffix)
    for path in _paths(files, suffix):
        try:
            tables.tables.append(read_tsv(path, f"a table of {suffix}"))
            tables.about = tables.about or inherited(path)
        except BadRecording:
            continue
        if len(tables.tables) == MOST_TABLES:
            break
    return tables


def _paths(files: BidsFiles, suffix: str) -> Iterator[Any]:
    for subject in files.subjects:
        every = (file for kind in FORMATS for run in BidsFiles(files.root, kind).runs(subject) for file in run.files)
        yield from sorted(
            {f.path for f in every if (f.name.suffix, f.name.extension) == (suffix, ".tsv") and f.name["sub"]}
        )


def rating_columns(files: BidsFiles) -> list[RatingColumn]:
    """Return the columns of beh and events that are named like ratings and hold numbers."""
    return [column for suffix in ("beh", "events") for column in columns_in(tables_of(files, suffix))]


def columns_in(tables: Tables) -> list[RatingColumn]:
    """Return those columns of some tables that are named like ratings and hold numbers."""
    counts = Counter(name for table in tables.tables for name in table.columns if named_like_rating(name))
    columns = []
    for name in counts:
        cells = [row[name] for table in tables.tables for row in table.rows if name in row]
        numbers = [x for cell in cells if (x := number_in(cell)) is not None]
        if numbers and len(numbers) >= 0.8 * len(cells):
            whole = all(x == round(x) for x in numbers)
            scale = stated_scale(tables.about.get(name))
            columns.append(
                RatingColumn(tables.suffix, name, min(numbers), max(numbers), len(numbers), whole, scale, counts[name])
            )
    return columns


def named_like_rating(name: str) -> bool:
    """Return whether a column may hold ratings, by its name."""
    return label_of(name) is not None or (
        bool(set(re.findall(r"[a-z]+", name.lower())) & set(_WORDS)) and not _TIMES.search(name)
    )


def label_of(name: str) -> str | None:
    """Return the usual rating that a column is called after: valence, arousal, dominance, ...; None if it is none."""
    if _TIMES.search(name):
        return None
    words = re.findall(r"[a-z]+", name.lower())
    label = next((one for one in RATINGS if one in words), None)
    match = _SHORT.fullmatch(name)
    of = {"v": "valence", "a": "arousal", "d": "dominance"}
    return label or (of[match[1][0].lower()] if match else None)


def stated_scale(about: Any) -> tuple[float, float] | None:
    """Return the scale that a JSON file states of a column, by Minimum and Maximum or the numbers among its Levels."""
    if not isinstance(about, dict):
        return None
    ends = [about.get("Minimum"), about.get("Maximum")]
    if not all(isinstance(end, int | float) for end in ends):
        levels = about.get("Levels")
        numbers = (
            [x for level in levels if (x := number_in(str(level))) is not None] if isinstance(levels, dict) else []
        )
        ends = [min(numbers), max(numbers)] if len(numbers) > 1 else [None, None]
    low, high = ends
    return (float(low), float(high)) if low is not None and high is not None and low < high else None

"""The signal files of one recording: which they are, and how the clock of each lies on that of the first.

In a table, in `gbvnet predict` and in `gbvnet live` they are written in one way: `eeg.edf + wrist.csv@-3.2`. What
stands behind the @ is offset_s: time on the first file's clock = time in this file + offset_s.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadRecording
from ..text import did_you_mean, sentence
from .formats.signal_text import MAX_RATE_HZ, MAX_UNIX_TIME_S, MIN_UNIX_TIME_S, is_text
from .formats.text_file import number_of
from .units import parse_unit

MAX_OFFSET_S = 1e10  # of a clock; seconds since 1970 are below it, milliseconds are not
KEYS = ("file", "offset_s", "rate_hz", "unit", "prefix", "rename")
_PLUS = re.compile(r"\s\+\s")
_AT = re.compile(r"(?P<file>.+?)\s*@\s*(?P<offset>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*s?")
_EXAMPLE = "As in `eeg.edf + wrist.csv@-3.2`, or in YAML [{file: eeg.edf}, {file: wrist.csv, offset_s: -3.2}]."


@dataclass(frozen=True)
class SignalSource:
    """One of the signal files of a recording.

    offset_s : time on the first file's clock = time in this file + offset_s; 0 of the first file itself
    rate_hz, unit : of a text file that states none; None: as for all text files of the corpus
    prefix : what is put before the names of its channels
    rename : pairs of a channel's name in the file and its name in the recording; such a name gets no prefix
    recording_start_unix_s : seconds since 1970 (UTC) of second 0 of the recording, where the table tells it: a device
        that knows its own start is placed by it, unless offset_s is given
    is_placed : whether offset_s was given, 0 as well
    """

    file: Path
    offset_s: float = 0.0
    rate_hz: float | None = None
    unit: str | None = None
    prefix: str = ""
    rename: tuple[tuple[str, str], ...] = ()
    recording_start_unix_s: float | None = None
    is_placed: bool = field(default=False, compare=False)

    @property
    def is_plain(self) -> bool:
        """Whether nothing but its path is given."""
        return self == SignalSource(self.file)

    def channel_name(self, name: str) -> str:
        """Return the name in the recording of a channel that the file calls `name`."""
        return dict(self.rename).get(name, f"{self.prefix}{name}")

    def label(self, path: str) -> str:
        """Return how a table names it, with its path as given: `wrist.csv@-3.2`."""
        return f"{path}@{self.offset_s:.10g}" if self.offset_s else path

    def as_list(self) -> list[Any]:
        """Return all but its path as a list that JSON can hold."""
        pairs = [list(pair) for pair in self.rename]
        start = [] if self.recording_start_unix_s is None else [self.recording_start_unix_s]
        return [self.offset_s, self.rate_hz, self.unit, self.prefix, pairs, *start]


def unix_seconds_of(text: str) -> float | None:
    """Return seconds since 1970 of a date with a time zone (2024-03-05T10:11:12Z), or of such seconds themselves.

    None for any other text: a date without a zone is no time.
    """
    value = number_of(text)
    if isnan(value):
        try:
            date = datetime.fromisoformat(text.strip())
        except ValueError:
            return None
        return date.timestamp() if date.tzinfo is not None else None
    return value if MIN_UNIX_TIME_S < value < MAX_UNIX_TIME_S else None


def sources_label(sources: Sequence[SignalSource]) -> str:
    """Return the names of several files in one text, as a table has them: `eeg.edf + wrist.csv@-3.2`."""
    return " + ".join(source.label(source.file.name) for source in sources)


def parse_sources(given: Any, exists: Callable[[str], bool], path: str | Path) -> tuple[SignalSource, ...]:
    """Return the signal files that a cell of a table, or a value of a YAML file, names; none of an empty one.

    given : text, `eeg.edf + wrist.csv@-3.2`; or a list whose entries are such texts or mappings with the keys KEYS
    exists : whether a text is the path of a file, which may have a + or an @ in its name
    path : of what names them, for errors

    Raises BadRecording.

    >>> [(str(s.file), s.offset_s) for s in parse_sources("eeg.edf + wrist.csv@-3.2", lambda text: False, "table.csv")]
    [('eeg.edf', 0.0), ('wrist.csv', -3.2)]
    """
    entries = given if isinstance(given, list) else [given]
    sources: list[SignalSource] = []
    for entry in entries:
        if isinstance(entry, Mapping):
            sources.append(_source_of_mapping(entry, path))
        elif isinstance(entry, str):
            parts = [entry] if exists(entry) else _PLUS.split(entry)
            sources += [parse_source(part.strip(), exists, path) for part in parts if entry.strip()]
        else:
            raise BadRecording(path, "signal files", repr(entry), _EXAMPLE)
    require_sources(sources, path)
    return tuple(sources)


def sources_of_path(given: Path) -> tuple[SignalSource, ...]:
    """Return the signal files that one argument of a command names. Raises BadRecording."""
    return parse_sources(str(given), lambda text: bool(text) and Path(text).exists(), given)


def parse_source(text: str, exists: Callable[[str], bool], path: str | Path) -> SignalSource:
    """Return the file that a text names: `wrist.csv`, `wrist.csv@-3.2`; the other arguments as of `parse_sources`.

    Raises BadRecording for an empty name, and for something else than seconds behind the @.
    """
    if not text:
        raise BadRecording(path, "the name of a signal file on both sides of a +", "nothing", _EXAMPLE)
    match = None if exists(text) else _AT.fullmatch(text)
    if match:
        return SignalSource(Path(match["file"]), _number(path, "offset_s", match["offset"]), is_placed=True)
    name, at, behind = text.rpartition("@")
    if at and not exists(text) and exists(name.strip()):
        raise BadRecording(path, f"a number of seconds behind the @ of {name.strip()}", repr(behind), _EXAMPLE)
    return SignalSource(Path(text))


def _source_of_mapping(entry: Mapping[str, Any], path: str | Path) -> SignalSource:
    for key in entry:
        if key not in KEYS:
            raise BadRecording(path, "known keys of a signal file", repr(key), sentence(did_you_mean(str(key), KEYS)))
    file = entry.get("file")
    if not isinstance(file, str) or not file:
        raise BadRecording(path, "`file` in each entry of signals", repr(file or dict(entry)), _EXAMPLE)
    given = {key: value for key, value in entry.items() if value not in ("", None)}
    unit, prefix, rename = given.get("unit"), given.get("prefix", ""), given.get("rename", {})
    if unit is not None and (not isinstance(unit, str) or parse_unit(unit) is None):
        known = "a unit of voltage, conductance, resistance or temperature (uV, uS, kOhm, C)"
        raise BadRecording(path, f"{known} for {file}", repr(unit))
    if not isinstance(rename, Mapping) or not all(isinstance(name, str) and name for name in rename.values()):
        raise BadRecording(path, f"`rename` of {file} as {{NAME IN THE FILE: NAME}}", repr(rename))
    return SignalSource(
        Path(file), _number(path, "offset_s", given.get("offset_s", 0.0)),
        _number(path, "rate_hz", given["rate_hz"]) if "rate_hz" in given else None,
        unit, str(prefix), tuple((str(name), new) for name, new in rename.items()), is_placed="offset_s" in given,
    )  # fmt: skip


def _number(path: str | Path, key: str, given: Any) -> float:
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = np.nan
    if key == "rate_hz" and not 0 < value <= MAX_RATE_HZ:
        raise BadRecording(path, f"rate_hz above 0, at most {MAX_RATE_HZ:g}", repr(given))
    if not abs(value) < MAX_OFFSET_S:
        raise BadRecording(path, f"a number of seconds for {key}", repr(given), "Is it in milliseconds?")
    return value


def require_sources(sources: Sequence[SignalSource], path: str | Path) -> None:
    """Raise BadRecording for an offset of the first file, for one file twice, and for properties of text files that
    are given of another."""
    if sources and sources[0].offset_s:
        label = sources[0].label(sources[0].file.name)
        raise BadRecording(
            path, "no offset of the first signal file: the others are placed on its clock", label,
            f"Write {sources[0].file.name} without it, and add {-sources[0].offset_s:g} s to the other offsets.",
        )  # fmt: skip
    files = [source.file for source in sources]
    for source in sources:
        if files.count(source.file) > 1:
            raise BadRecording(path, "each signal file of a recording once", f"{source.file} twice")
        if (source.rate_hz is not None or source.unit is not None) and not is_text(source.file):
            which = "rate_hz" if source.rate_hz is not None else "unit"
            raise BadRecording(path, f"{which} of text files only", f"it for {source.file.name}", "Its header says it.")

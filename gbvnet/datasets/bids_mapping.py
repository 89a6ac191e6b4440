"""The mapping of a BIDS dataset: what BIDS does not say, in a YAML file. docs/corpora/bids.md describes each key.

    dataset: film-study
    ratings: {from: beh, key: stim_file, labels: {valence: {column: sam_v, scale: [1, 9]}}}
    trial: {rows: {trial_type: film}, duration: 60, stimulus: stim_file}
    physio: {gsr: {channels: {GSR: gsr}, unit: uS}}

It is looked for in this order: `--mapping FILE` or `--mapping NAME` (one that is shipped), ROOT/gbvnet-mapping.yaml,
and a shipped one whose `matches` name the dataset.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ..errors import BadConfig, BadRecording
from ..io.records import convert
from ..io.safe_load import from_yaml
from ..text import did_you_mean, sentence
from .bids_files import FORMATS
from .bids_table import Row, cell_key
from .label_columns import LabelColumn, label_columns
from .recording import Kind
from .table_schema import NAME

FILE = "gbvnet-mapping.yaml"
FILL_IN = "FILL_IN"  # in drafts, where somebody must decide
ANY = "any"  # of rows: any value, but not n/a
_REGEX = re.compile(r"/(.+)/")
Seconds = Annotated[float, Meta(ge=0, le=3600)]
Cells = str | int | float | list[str | int | float]


class LabelMap(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A label: where its values are, and what they can be, as in table.yaml."""

    column: str = ""
    """of the table that holds the ratings"""
    channel: str = ""
    """of the signal file, where ratings are channels"""
    question: str | int = ""
    """the code that asks for it, where ratings are codes"""
    scale: tuple[float, float] | None = None
    classes: list[str | int] = []
    set: str = ""
    of: str = ""


class RatingsMap(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"source": "from"}):
    """Where ratings are."""

    source: Literal["beh", "events", "channels", "codes"]
    labels: dict[str, LabelMap]
    key: str | dict[str, str] = ""
    """the column that joins rows of beh to rows of events: one name, or {events: A, beh: B}; absent: by their order"""
    column: str = "trial_type"
    """of the codes"""
    answers: dict[str, float] = {}
    """code -> rating"""


class TrialMap(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which rows of events are trials, and when these are."""

    rows: dict[str, Cells] = {}
    """column -> a value, a list of values, /REGEX/, or any; a row must match all columns"""
    annotation: str | dict[str, str] = ""
    """REGEX of annotations in the signal file, which are the events where there is no events.tsv; or one for each
    subject, and `default`"""
    onset_unit: Literal["s", "samples"] = "s"
    duration: float | str | dict[str, Cells] = "duration"
    """a column, a number of seconds, `next` (until the next event), or rows as above (until the next of them)"""
    duration_unit: Literal["s", "samples"] = "s"
    delay_s: float = 0.0
    """from the event to the start of the stimulus"""
    stimulus: str = ""
    """the column that names the stimulus; absent: the key, else trial_type"""


class PhysioMap(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A physio file that belongs to each run."""

    channels: dict[str, Kind]
    unit: Annotated[str, Meta(max_length=20)] = ""
    prefix: str = ""
    anchor: Literal["", "header", "scans"] = ""
    """of a StartTime that is Unix time: when the signal file began, by its header or by acq_time in scans.tsv"""
    utc_offset_h: Annotated[float, Meta(ge=-14, le=14)] | None = None
    """of the anchor's local time"""


class VideoMap(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where videos are."""

    files: str
    """a pattern below the root, with {sub}, {ses}, {task}, {run}, {trial} and {stimulus}"""
    begins: Literal["run", "trial"] = "run"
    """a video's second 0 is that of the signals, or the start of its trial"""
    offset_s: float | None = None
    """time on the video's clock minus that; absent: by acq_time in scans.tsv, if it begins with the run"""


class DatasetMap(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """All of a mapping."""

    dataset: Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
    ratings: RatingsMap
    trial: TrialMap = TrialMap()
    matches: list[str] = []
    kind: Literal["eeg", "ieeg", "meg", "emg", "beh"] = "eeg"
    tasks: list[str | int] = []
    rate_hz: Annotated[float, Meta(ge=1, le=10_000)] = 128.0
    baseline_s: Seconds = 3.0
    frames_per_s: Annotated[int, Meta(ge=1, le=1000)] = 10
    filtered: bool = False
    channels: dict[str, Kind] = {}
    physio: dict[str, PhysioMap] = {}
    video: VideoMap | None = None


@dataclass(frozen=True)
class BidsMapping:
    """A mapping, and where it is from.

    path : its file; how : why it is used, for a note, or ""
    """

    path: Path
    content: DatasetMap
    how: str = ""

    @cached_property
    def labels(self) -> tuple[LabelColumn, ...]:
        """The label columns that it declares; those in channels change in time."""
        return _label_columns(self.content)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that are read; empty: all."""
        return tuple(map(str, self.content.tasks))

    @property
    def keys(self) -> tuple[str, str]:
        """The columns of events and beh that join their rows; ("", "") where their order does."""
        key = self.content.ratings.key
        return (key, key) if isinstance(key, str) else (key.get("events", ""), key.get("beh", ""))

    def annotation(self, subject: str) -> str:
        """Return the pattern of a subject's annotations; "" if they are no events."""
        given = self.content.trial.annotation
        return given if isinstance(given, str) else given.get(subject, given.get("default", ""))


# ---------------------------------------------------------------- rows


def matches(row: Row, rows: Mapping[str, Cells]) -> bool:
    """Return whether a row of events has the values that `rows` asks for."""
    return all(column in row and _has(row[column], wanted) for column, wanted in rows.items())


def _has(cell: str, wanted: Cells) -> bool:
    if isinstance(wanted, list):
        return any(_has(cell, one) for one in wanted)
    if wanted == ANY:
        return True
    pattern = _REGEX.fullmatch(wanted) if isinstance(wanted, str) else None
    return bool(re.fullmatch(pattern[1], cell)) if pattern else same_cell(cell, wanted)


def same_cell(cell: str, value: str | int | float) -> bool:
    """Return whether a cell holds a value: the same text, or the same number."""
    return cell_key(cell) == cell_key(str(value))


# ---------------------------------------------------------------- which mapping, and reading it


def find_mapping(root: Path, given: str | None, description: Mapping[str, Any]) -> BidsMapping | None:
    """Return the mapping of a dataset, None if there is none. given : --mapping, a file or the name of a shipped one

    Raises BadConfig for a name that is none, BadRecording for a mapping that cannot be used.
    """
    shipped = shipped_mappings()
    if given is not None:
        file = Path(given)
        if given in shipped:
            return read_mapping(shipped[given], f"the mapping {given}, which is part of gbvnet")
        if file.suffix.lower() not in (".yaml", ".yml") and not file.exists():
            raise BadConfig(f"mapping: expected a YAML file or one of {', '.join(shipped)}, found {given}")
        return read_mapping(file.absolute())
    if (root / FILE).exists():
        return read_mapping(root / FILE)
    for name, path in shipped.items():
        names = from_yaml(path.read_text(encoding="utf-8"))["matches"]
        if by := _matched(names, root, description):
            return read_mapping(path, f"the mapping {name}, which is part of gbvnet, by {by}")
    return None


def _matched(names: Iterable[str], root: Path, description: Mapping[str, Any]) -> str:
    """Return by what a dataset is one of these names: its DOI, its name, or its folder's; "" if by nothing."""
    doi, title = (str(description.get(key) or "").lower() for key in ("DatasetDOI", "Name"))
    for name in map(str.lower, names):
        if re.search(rf"(?:^|[./]){re.escape(name)}(?:[./]|$)", doi):
            return f"its DatasetDOI {doi}"
        if title == name:
            return f"its Name {description['Name']!r}"
        if root.name.lower() == name:
            return f"the name of its folder, {root.name}"
    return ""


@lru_cache(maxsize=1)
def shipped_mappings() -> dict[str, Path]:
    """Return the mappings that are part of gbvnet, by name."""
    folder = Path(str(files("gbvnet.datasets") / "mappings"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_mapping(path: Path, how: str = "") -> BidsMapping:
    """Return the mapping in a file. Raises BadRecording with the key that is wrong."""
    wanted = "a mapping as YAML (docs/corpora/bids.md)"
    try:
        held = from_yaml(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise BadRecording(path, wanted, "no such file", "`gbvnet table init --bids ROOT` writes a draft.") from None
    except (OSError, ValueError) as error:
        raise BadRecording(path, wanted, f"a file that does not read ({error})") from None
    if not isinstance(held, dict):
        raise BadRecording(path, wanted, "no names and values")
    _require_filled(path, held, "")
    try:
        mapping = convert(_with_text_keys(held), DatasetMap)
    except ValueError as error:
        raise BadRecording(path, wanted, str(error), _hint(str(error))) from None
    try:
        _label_columns(mapping)
        _check(mapping)
    except ValueError as error:
        raise BadRecording(path, wanted, str(error)) from None
    return BidsMapping(path, mapping, how)


def _require_filled(path: Path, held: Any, place: str) -> None:
    """Raise BadRecording for a value of a draft that nobody has filled in."""
    parts = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ()
    for name, value in parts:
        _require_filled(path, value, f"{place}.{name}" if place else f"{name}")
    if (isinstance(held, str) and FILL_IN in held) or FILL_IN in [str(name) for name, _ in parts]:
        raise BadRecording(
            path, f"a value for {place or 'each key'}", FILL_IN, "The comments beside it say what is known."
        )


def _with_text_keys(value: Any) -> Any:
    """Return YAML's data with text for keys: 301 is a code, not a number. `no` and `yes` are names as well."""
    if isinstance(value, dict):
        return {str(name): _with_text_keys(each) for name, each in value.items()}
    return [_with_text_keys(each) for each in value] if isinstance(value, list) else value


_KINDS_OF_KEYS = (DatasetMap, RatingsMap, TrialMap, LabelMap, PhysioMap, VideoMap)


def _hint(error: str) -> str:
    """Return the nearest known key for one that is not known."""
    match = re.search(r"unknown name `(.*?)`", error)
    known = dict.fromkeys(name for kind in _KINDS_OF_KEYS for name in kind.__struct_encode_fields__)
    return sentence(did_you_mean(match[1], known)) if match else ""


def _label_columns(mapping: DatasetMap) -> tuple[LabelColumn, ...]:
    declared: dict[str, dict[str, Any]] = {}
    for name, one in mapping.ratings.labels.items():
        held = {"scale": one.scale, "classes": one.classes, "set": one.set, "of": one.of}
        declared[name] = {key: value for key, value in held.items() if value}
        declared[name] |= {"trace": True} if mapping.ratings.source == "channels" else {}
    return label_columns(declared)


def _check(mapping: DatasetMap) -> None:
    """Raise ValueError for a mapping whose keys contradict each other."""
    ratings, trial = mapping.ratings, mapping.trial
    if not ratings.labels:
        raise ValueError("ratings.labels: expected at least one label")
    needed = {"beh": "column", "events": "column", "channels": "channel", "codes": "question"}[ratings.source]
    for name, one in ratings.labels.items():
        if getattr(one, needed) in ("", None):
            raise ValueError(f"ratings.labels.{name}: no `{needed}`, which ratings from {ratings.source} need")
        if ratings.source == "codes" and one.scale is None:
            raise ValueError(f"ratings.labels.{name}: no `scale`; the answers of codes are numbers")
    if ratings.source == "codes" and not ratings.answers:
        raise ValueError("ratings.answers: expected codes and the ratings that they stand for, found none")
    if isinstance(ratings.key, dict) and set(ratings.key) != {"events", "beh"}:
        raise ValueError(f"ratings.key: expected a column of events and one of beh, found {', '.join(ratings.key)}")
    if isinstance(trial.duration, float | int) and not 0 < trial.duration <= 86_400:
        raise ValueError(f"trial.duration: expected seconds above 0, found {trial.duration:g}")
    if mapping.kind not in FORMATS:
        raise ValueError(f"kind: expected {', '.join(FORMATS)}, found {mapping.kind}")
    if mapping.kind == "beh" and (not mapping.physio or ratings.source == "channels" or trial.annotation):
        raise ValueError("kind: beh has no signal file: expected physio, and ratings and events in tables")
    duration = trial.duration if isinstance(trial.duration, dict) else {}
    for place, rows in (("trial.rows", trial.rows), ("trial.duration", duration)):
        for column, cells in rows.items():
            for cell in cells if isinstance(cells, list) else [cells]:
                _check_pattern(f"{place}.{column}", cell)
    patterns = [trial.annotation] if isinstance(trial.annotation, str) else trial.annotation.values()
    for pattern in patterns:
        _check_pattern("trial.annotation", f"/{pattern}/")


def _check_pattern(place: str, cell: Any) -> None:
    pattern = _REGEX.fullmatch(cell) if isinstance(cell, str) else None
    try:
        re.compile(pattern[1] if pattern else "")
    except re.error as error:
        raise ValueError(f"{place}: expected a regular expression, found {cell!r:.60} ({error})") from None

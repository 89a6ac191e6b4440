"""xdf.yaml: which streams, markers and films of LabRecorder's files are the trials of a corpus (xdf.py).

Patterns are regular expressions of Python that fit a whole marker; `(?P<stimulus>...)` takes a part of it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct

from ..errors import BadRecording
from ..io.records import convert
from ..io.safe_load import from_yaml
from ..text import did_you_mean, sentence
from .channel_names import canonical_name
from .formats.xdf import StreamChoice
from .label_columns import RATING_COLUMNS, LabelColumn, label_columns
from .recording import Channel, Kind
from .units import parse_unit

SETTINGS = "xdf.yaml"
SUBJECT = r"sub-(?P<subject>[^_/]+)"  # as LabRecorder names files by default
START_GROUPS, STOP_GROUPS = ("stimulus", "trial"), ("stimulus", "trial")
_KINDS: tuple[str, ...] = get_args(Kind)
_PLACES = re.compile(r"\{([^{}]*)\}")
_DRAFT = "`gbvnet table init FOLDER` drafts it."


class _Stream(Struct, forbid_unknown_fields=True):
    channels: dict[Any, Any]
    labels: list[str | int] = []
    unit: str = ""


class _Rating(Struct, forbid_unknown_fields=True):
    json: list[str] | dict[str, str] = []
    pattern: str = ""


class _Markers(Struct, forbid_unknown_fields=True):
    stream: str
    start: str | int
    stop: str | int
    rating: _Rating | None = None


class _Frames(Struct, forbid_unknown_fields=True):
    stream: str
    film: str
    number: str | int = ""


class _File(Struct, forbid_unknown_fields=True):
    streams: dict[Any, Any]
    markers: Any
    dataset: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")] = "xdf"
    subject: str = SUBJECT
    frames: Any = None
    labels: Any = None
    video_latency_ms: Annotated[float, Meta(ge=-5000, le=5000)] = 0.0
    baseline_s: Annotated[float, Meta(ge=0, le=3600)] = 3.0
    rate_hz: Annotated[float, Meta(ge=1, le=10_000)] = 128.0
    frames_per_s: Annotated[int, Meta(ge=1, le=1000)] = 10
    filtered: bool = False


@dataclass(frozen=True)
class StreamSettings:
    """A stream that is used, by its name, source_id or type: kinds of its channels by name.

    labels : names of all its channels in order, where the file names none
    unit : of its channels, where the file states none or a wrong one
    """

    name: str
    channels: tuple[tuple[str, str], ...]
    labels: tuple[str, ...] = ()
    unit: str = ""

    @property
    def choice(self) -> StreamChoice:
        """What is read of the file."""
        return StreamChoice(self.name, tuple(name for name, _ in self.channels), self.labels, self.unit)


@dataclass(frozen=True)
class RatingSettings:
    """How a marker holds ratings: `keys` of a JSON object by label, or a pattern with a group for each label."""

    keys: tuple[tuple[str, str], ...] = ()
    pattern: re.Pattern | None = None


@dataclass(frozen=True)
class MarkerSettings:
    """Which markers start and stop a trial, and which hold its ratings."""

    stream: str
    start: re.Pattern
    stop: re.Pattern
    rating: RatingSettings | None = None


@dataclass(frozen=True)
class FrameSettings:
    """The stream of the frames of a film, its column with their numbers, and the film: {stem}_webcam.avi."""

    stream: str
    number: str
    film: str

    def path(self, file: Path) -> Path:
        """Return the film of an XDF file: {stem} is its name without suffix, {base} also without _eeg or the like."""
        base = re.sub(r"_(?:eeg|physio|beh|multimodal|raw)$", "", file.stem)
        return file.parent / self.film.replace("{stem}", file.stem).replace("{base}", base)


@dataclass(frozen=True)
class Settings:
    """The settings of a corpus. video_latency_ms : from light to the stamp of a frame, which is subtracted"""

    streams: tuple[StreamSettings, ...]
    markers: MarkerSettings
    dataset: str = "xdf"
    subject: re.Pattern = re.compile(SUBJECT)
    frames: FrameSettings | None = None
    labels: tuple[LabelColumn, ...] = RATING_COLUMNS
    video_latency_ms: float = 0.0
    baseline_s: float = 3.0
    rate_hz: float = 128.0
    frames_per_s: int = 10
    filtered: bool = False

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels, as an opened file names them: STREAM:CHANNEL where two streams have one of that name."""
        named = [(stream.name, name, kind) for stream in self.streams for name, kind in stream.channels]
        same = Counter(canonical_name(name).upper() for _, name, _ in named)
        channels = []
        for stream, name, kind in named:
            full = name if same[canonical_name(name).upper()] == 1 else f"{stream}:{name}"
            channels.append(Channel(full, kind, self.filtered))  # type: ignore[arg-type]
        return tuple(channels)


def read_settings(file: Path) -> Settings:
    """Return what xdf.yaml sets. Raises BadRecording naming what is wrong in it."""
    try:
        held = from_yaml(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise BadRecording(file, "settings of a corpus of XDF files", "no such file", _DRAFT) from None
    except (OSError, ValueError) as error:
        raise BadRecording(file, "settings as YAML", f"a file that does not read ({error})") from None
    top = _part(file, "", held, _File)
    streams = tuple(_stream(file, str(name), of) for name, of in top.streams.items())
    if not streams:
        raise BadRecording(file, "at least one stream under `streams`", "none")
    labels = RATING_COLUMNS if top.labels is None else _labels(file, top.labels)
    settings = Settings(
        streams, _markers(file, top.markers, labels), top.dataset, _pattern(file, "subject", top.subject, ("subject",)),
        None if top.frames is None else _frames(file, top.frames), labels, top.video_latency_ms, top.baseline_s,
        top.rate_hz, top.frames_per_s, top.filtered,
    )  # fmt: skip
    if "subject" not in settings.subject.groupindex:
        raise BadRecording(file, "a group (?P<subject>...) in `subject`", repr(top.subject))
    return settings


def _part(file: Path, place: str, held: Any, kind: type) -> Any:
    """Return a part of the settings. Raises BadRecording for what is absent, unknown or of another type."""
    of = f" of {place}" if place else ""
    known = [field.name for field in msgspec.structs.fields(kind)]
    if not isinstance(held, dict):
        wanted = f"a name and a value in each line{f' under {place}' if place else ''} ({', '.join(known)})"
        raise BadRecording(file, wanted, "nothing" if held is None else repr(held)[:80], _DRAFT if not place else "")
    for name in held:
        if name not in known:
            raise BadRecording(file, f"settings{of} that exist", repr(name), sentence(did_you_mean(str(name), known)))
    for field in msgspec.structs.fields(kind):
        if field.required and held.get(field.name) is None:
            raise BadRecording(file, f"`{field.name}`{of}", "none", _DRAFT)
    try:
        return convert({name: value for name, value in held.items() if value is not None}, kind)
    except ValueError as error:
        quotes = "Put quotes around on, off, yes and no: without them they are no text." if "True" in str(error) or (
            "False" in str(error)) else ""  # fmt: skip
        raise BadRecording(file, f"values{of} of the right kind and size", str(error), quotes) from None


def _stream(file: Path, name: str, held: Any) -> StreamSettings:
    of = _part(file, f"streams.{name}", held, _Stream)
    channels = tuple((str(channel), kind) for channel, kind in of.channels.items())
    for channel, kind in channels:
        if kind not in _KINDS:
            raise BadRecording(
                file, f"a kind of {', '.join(_KINDS)} for channel {channel} of stream {name}", repr(kind)
            )
    if not channels:
        raise BadRecording(file, f"channels of stream {name}, each with its kind", "none")
    if of.unit and parse_unit(of.unit) is None:
        raise BadRecording(file, f"a unit of stream {name} (uV, uS, kOhm, C)", repr(of.unit))
    return StreamSettings(name, channels, tuple(map(str, of.labels)), of.unit)


def _markers(file: Path, held: Any, labels: Sequence[LabelColumn]) -> MarkerSettings:
    of = _part(file, "markers", held, _Markers)
    start = _pattern(file, "markers.start", of.start, START_GROUPS)
    stop = _pattern(file, "markers.stop", of.stop, STOP_GROUPS)
    return MarkerSettings(of.stream, start, stop, of.rating and _rating(file, of.rating, labels))


def _rating(file: Path, held: _Rating, labels: Sequence[LabelColumn]) -> RatingSettings:
    names = [column.name for column in labels]
    if bool(held.json) == bool(held.pattern):
        both = "both" if held.json else "neither"
        raise BadRecording(file, "`json` or `pattern` of markers.rating", both, "As in rating: {json: [valence]}.")
    pattern = _pattern(file, "markers.rating.pattern", held.pattern, names) if held.pattern else None
    keys = held.json if isinstance(held.json, dict) else {name: name for name in held.json}
    given = [*keys, *(pattern.groupindex if pattern else ())]
    for name in given:
        if name not in names:
            hint = f"{sentence(did_you_mean(name, names))} Others are declared under labels."
            raise BadRecording(file, "labels in markers.rating that are declared", repr(name), hint)
    if not given:
        raise BadRecording(file, "a group for each label in markers.rating.pattern", "none", "As (?P<valence>\\d).")
    return RatingSettings(tuple(keys.items()), pattern)


def _pattern(file: Path, place: str, text: str | int, groups: Sequence[str]) -> re.Pattern:
    try:
        pattern = re.compile(str(text))
    except (re.error, OverflowError, RecursionError) as error:
        raise BadRecording(file, f"a regular expression for {place}", f"{text!r} ({error})") from None
    for name in pattern.groupindex:
        if name not in groups:
            wanted = f"groups {', '.join(groups)} in {place}"
            raise BadRecording(file, wanted, repr(name), sentence(did_you_mean(name, groups)))
    return pattern


def _frames(file: Path, held: Any) -> FrameSettings:
    of = _part(file, "frames", held, _Frames)
    for name in _PLACES.findall(of.film):
        if name not in ("stem", "base"):
            raise BadRecording(file, "{stem} or {base} in frames.film", f"{{{name}}}", "As in {stem}_webcam.avi.")
    return FrameSettings(of.stream, str(of.number), of.film)


def _labels(file: Path, declared: Any) -> tuple[LabelColumn, ...]:
    try:
        columns = label_columns(declared)
    except ValueError as error:
        remedy = "As in `labels: {valence: {scale: [1, 9]}}`."
        raise BadRecording(file, "label columns under `labels`", f"other contents ({error})", remedy) from None
    if not columns or any(column.trace for column in columns):
        raise BadRecording(file, "label columns that are one value a trial", "others" if columns else "none")
    return columns

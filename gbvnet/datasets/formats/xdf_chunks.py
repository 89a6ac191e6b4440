"""The container of an .xdf file (LabRecorder, Lab Streaming Layer): its chunks, streams and clock offsets, as written.

`XDF:`, then chunks: the length of the length (1, 4 or 8), the length, a tag (uint16) and the content. Everything is
little-endian. What the samples mean is the task of xdf_clocks.py and xdf.py.

pyxdf, the library for this format, believes the lengths in a file: damaged ones let it ask for any amount of memory.
Here each length is checked against the bytes that there are before anything is allocated, and samples of one chunk are
decoded together instead of one by one. The tests compare both on the same files.

Shapes: N samples, C channels, M measurements of a clock's offset.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ...errors import BadRecording
from .text_file import number_of

MAGIC = b"XDF:"
HEADER, SAMPLES, OFFSET, BOUNDARY, FOOTER = 2, 3, 4, 5, 6  # tags; 1 is the file's header
_BOUNDARY_MARK = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
_TYPES = {
    "float32": "<f4", "double64": "<f8", "int8": "i1", "int16": "<i2", "int32": "<i4", "int64": "<i8", "string": "",
}  # fmt: skip
MAX_CHANNELS = 4096  # a stream with more holds pictures
MAX_STREAMS = 1000
MAX_HEADER_BYTES = 10_000_000  # of a stream's description
_REMEDY = "Is it whole? LabRecorder writes to the end only if it is stopped before the computer is."


class ChannelText(NamedTuple):
    """What a stream's description says of a channel; empty where it says nothing."""

    label: str
    unit: str
    type: str


@dataclass
class XdfStream:
    """A stream of a file, on the clock of the computer that sent it.

    number : its id in the file
    name, type, source_id, host : as the sender named it
    nominal_hz : its stated rate; 0 for events
    n_channels, form : channels, and type of their values: float32, double64, int8 to int64, string
    channels : what the description says of each channel; as many as channels, or none
    offset_mean_s : a constant delay of the device that the description states
    stamps : (N,) seconds
    values : (N, C) numbers; a list of N lists of texts in streams of texts; None if they are pictures
    offsets : (M, 2) time of measurement on the sender's clock, and what is to be added to get the recorder's
    stated_count : number of samples by its footer; None without a footer
    """

    number: int
    name: str
    type: str
    source_id: str
    host: str
    nominal_hz: float
    n_channels: int
    form: str
    channels: tuple[ChannelText, ...] = ()
    offset_mean_s: float = 0.0
    stamps: np.ndarray = field(default_factory=lambda: np.empty(0))
    values: Any = None
    offsets: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    stated_count: int | None = None

    @property
    def is_text(self) -> bool:
        """Whether its samples are texts: markers."""
        return self.form == "string"

    @property
    def is_pictures(self) -> bool:
        """Whether its samples are pictures: frames of a camera in the file itself."""
        return self.n_channels > MAX_CHANNELS

    @property
    def label(self) -> str:
        """How messages call it: its name, and its type where that says more."""
        return f"{self.name} ({self.type})" if self.type and self.type != self.name else self.name


class XdfContent(NamedTuple):
    """The streams of a file in the order of their ids; and notes: where it is cut or damaged, counts that differ."""

    streams: tuple[XdfStream, ...]
    notes: tuple[str, ...]


def read_chunks(path: Path) -> XdfContent:
    """Return the streams of a file, as far as it goes. Raises BadRecording if it has none."""
    notes: list[str] = []
    streams: dict[int, XdfStream] = {}
    parts: dict[int, list[_Part]] = {}
    offsets: dict[int, list[tuple[float, float]]] = {}
    try:
        with path.open("rb") as file:
            for tag, content in _chunks(file, path.stat().st_size, notes):
                _take(tag, content, streams, parts, offsets, notes)
    except OSError as error:
        raise BadRecording(path, "an XDF file", error.strerror or str(error)) from None
    if not streams:
        cut = f"; {notes[0]}" if notes else ""
        raise BadRecording(path, "an XDF file with streams", f"none{cut}", _REMEDY)
    for number, stream in streams.items():
        _join(stream, parts.get(number, []))
        stream.offsets = np.array(offsets.get(number, []), np.float64).reshape(-1, 2)
        counted = len(stream.stamps)
        if stream.stated_count is not None and stream.stated_count != counted:
            notes.append(f"stream {stream.label} has {counted:,} samples, and its footer says {stream.stated_count:,}")
    if not any(len(stream.stamps) for stream in streams.values()):
        raise BadRecording(path, "an XDF file with samples", "; ".join(["none", *notes]), _REMEDY)
    return XdfContent(tuple(streams[number] for number in sorted(streams)), tuple(dict.fromkeys(notes)))


# ---------------------------------------------------------------- chunks


def _chunks(file: BinaryIO, size: int, notes: list[str]) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each chunk up to where the file is cut; damage is skipped up to the next boundary."""
    if file.read(4) != MAGIC:
        notes.append("its first bytes are not XDF:")
        return
    at = 4
    while at < size:
        length, start = _length(file, at)
        if length < 2 or start + length > size:
            beyond = _next_boundary(file, at, size)
            if beyond is None:
                if length >= 2 or size - at < 9:
                    notes.append(f"the file is cut: it ends within a chunk, at byte {size:,}")
                else:
                    notes.append(f"the file is damaged from byte {at:,} on, of {size:,}")
                return
            notes.append(f"the file is damaged: bytes {at:,} to {beyond:,} are left out")
            at = beyond
            continue
        tag = int.from_bytes(file.read(2), "little")
        if HEADER <= tag <= FOOTER and tag != BOUNDARY:
            yield tag, file.read(length - 2)
        if not 1 <= tag <= FOOTER:
            beyond = _next_boundary(file, at, size)
            where = "its end" if beyond is None else f"{beyond:,}"
            notes.append(f"the file is damaged: bytes {at:,} to {where} are left out")
            if beyond is None:
                return
            at = beyond
            continue
        at = start + length


def _length(file: BinaryIO, at: int) -> tuple[int, int]:
    """Return the length of a chunk's tag and content, -1 if it is none, and where they begin; reads up to there."""
    file.seek(at)
    head = file.read(1)
    n = head[0] if head else 0
    if n not in (1, 4, 8):
        return -1, at + 1
    digits = file.read(n)
    return (int.from_bytes(digits, "little") if len(digits) == n else -1), at + 1 + n


def _next_boundary(file: BinaryIO, at: int, size: int) -> int | None:
    """Return where the chunk after the next boundary chunk begins; None if there is no further one."""
    block, kept = 1 << 20, len(_BOUNDARY_MARK) - 1
    file.seek(at + 1)
    place, before = at + 1, b""
    while place < size:
        read = file.read(block)
        if not read:
            return None
        at_mark = (before + read).find(_BOUNDARY_MARK)
        if at_mark >= 0:
            end = place - len(before) + at_mark + len(_BOUNDARY_MARK)
            return end if end < size else None
        place += len(read)
        before = (before + read)[-kept:]
    return None


def _take(
    tag: int,
    content: bytes,
    streams: dict[int, XdfStream],
    parts: dict[int, list["_Part"]],
    offsets: dict[int, list[tuple[float, float]]],
    notes: list[str],
) -> None:
    """Put the content of a chunk to its stream; one that cannot be read is left out, with a note."""
    if len(content) < 4:
        return
    number = int.from_bytes(content[:4], "little")
    if tag == HEADER:
        if number not in streams and len(streams) < MAX_STREAMS:
            made = _stream(number, content[4:])
            if isinstance(made, str):
                notes.append(f"a stream is left out: {made}")
            else:
                streams[number] = made
        return
    stream = streams.get(number)
    if stream is None:
        return
    if tag == SAMPLES:
        part = _text_part(stream, content) if stream.is_text else _number_part(stream, content)
        if part is None:
            notes.append(f"a chunk of stream {stream.label} is damaged and left out")
        else:
            parts.setdefault(number, []).append(part)
    elif tag == OFFSET and len(content) >= 20:
        measured = struct.unpack_from("<dd", content, 4)
        if all(abs(x) < 1e12 for x in measured):
            offsets.setdefault(number, []).append(measured)
    elif tag == FOOTER:
        stream.stated_count = _count(content[4:])


# ---------------------------------------------------------------- descriptions


def _xml(content: bytes) -> Any:
    """Return the root of a description; None if it is no XML."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    if len(content) > MAX_HEADER_BYTES:
        return None
    try:
        return fromstring(content.decode("utf-8", "replace").strip("\0 \r\n\t"))
    except (ParseError, DefusedXmlException, ValueError, RecursionError):
        return None


def _text(element: Any, path: str) -> str:
    return " ".join((element.findtext(path) or "").split())


def _number(text: str) -> float:
    value = number_of(text)
    return value if np.isfinite(value) else np.nan


def _stream(number: int, content: bytes) -> XdfStream | str:
    """Return a stream by its description; or why it cannot be used."""
    root = _xml(content)
    if root is None:
        return f"the description of stream {number} is no XML"
    name, form = _text(root, "name") or f"stream {number}", _text(root, "channel_format")
    count, rate_hz = _number(_text(root, "channel_count")), _number(_text(root, "nominal_srate") or "0")
    if form not in _TYPES:
        return f"{name} has values of the type {form or 'none'}"
    if not 1 <= count <= 1e9 or count != int(count) or not 0 <= rate_hz <= 1e7:
        return f"{name} has {count:g} channels and {rate_hz:g} samples a second, by its description"
    described = [
        ChannelText(*(_text(one, key) for key in ("label", "unit", "type"))) for one in root.iterfind(".//channel")
    ]
    delay_s = _number(_text(root, "desc/synchronization/offset_mean") or "0")
    return XdfStream(
        number, name, _text(root, "type"), _text(root, "source_id"), _text(root, "hostname"), rate_hz, int(count), form,
        tuple(described) if len(described) == count and any(one.label for one in described) else (),
        delay_s if abs(delay_s) < 1e6 else 0.0,
    )  # fmt: skip


def _count(content: bytes) -> int | None:
    root = _xml(content)
    count = np.nan if root is None else _number(_text(root, "sample_count"))
    return int(count) if 0 <= count < 2**53 else None


# ---------------------------------------------------------------- samples


class _Part(NamedTuple):
    """Samples of one chunk. stamps : NaN where the sample before, and the rate, tell its time"""

    stamps: np.ndarray
    values: Any


def _n_samples(content: bytes) -> tuple[int, int]:
    """Return the number of samples in a chunk, -1 if it is damaged, and where they begin."""
    n = content[4] if len(content) > 4 else 0
    if n not in (1, 4, 8) or len(content) < 5 + n:
        return -1, 5
    return int.from_bytes(content[5 : 5 + n], "little"), 5 + n


def _number_part(stream: XdfStream, content: bytes) -> _Part | None:
    """Return the numbers of a chunk; None if its counts do not fit its bytes, or a sample begins with neither 0 nor 8.

    A sample is 0 or 8, with 8 its time (8 bytes), and its values.
    """
    n, at = _n_samples(content)
    kind = np.dtype(_TYPES[stream.form])
    size = kind.itemsize * stream.n_channels
    if not 0 <= n * (1 + size) <= len(content) - at:
        return None
    if n and n * (9 + size) == len(content) - at < 1 << 31:  # as if each sample had its time: read at once
        sample = np.dtype([("width", "u1"), ("stamp", "<f8"), ("values", kind, (stream.n_channels,))])
        table = np.frombuffer(content, sample, n, at)
        if (table["width"] == 8).all():
            return _Part(table["stamp"].copy(), None if stream.is_pictures else table["values"])
    raw = np.frombuffer(content, np.uint8)
    starts = _starts(content, at, n, size)
    if starts is None or (n and starts[-1] + 1 + size + content[starts[-1]] != len(content)):
        return None
    has_stamp = raw[starts] == 8
    stamps = np.full(n, np.nan)
    places = starts[has_stamp][:, None] + 1 + np.arange(8)
    stamps[has_stamp] = raw[places].view("<f8")[:, 0] if has_stamp.any() else []
    if stream.is_pictures:
        return _Part(stamps, None)
    values = raw[(starts + 1 + 8 * has_stamp)[:, None] + np.arange(size)] if n else np.empty((0, size), np.uint8)
    return _Part(stamps, np.ascontiguousarray(values).view(kind))


def _starts(content: bytes, at: int, n: int, size: int) -> np.ndarray | None:
    """Return where each sample begins, (n,); None if one begins with neither 0 nor 8, or beyond the end."""
    starts = np.empty(n, np.int64)
    end = len(content)
    for k in range(n):
        starts[k] = at
        if at >= end or content[at] not in (0, 8):
            return None
        at += 1 + content[at] + size
    return starts if at <= end else None


def _text_part(stream: XdfStream, content: bytes) -> _Part | None:
    """Return the texts of a chunk; None if it is damaged. A text is the length of its length, the length, UTF-8."""
    n, at = _n_samples(content)
    if not 0 <= n * (1 + 2 * stream.n_channels) <= len(content) - at:
        return None
    stamps, rows, end = np.full(n, np.nan), [], len(content)
    for k in range(n):
        if at >= end or content[at] not in (0, 8) or at + 1 + content[at] > end:
            return None
        if content[at] == 8:
            (stamps[k],) = struct.unpack_from("<d", content, at + 1)
        at += 1 + content[at]
        row = []
        for _ in range(stream.n_channels):
            width = content[at] if at < end else 0
            length = int.from_bytes(content[at + 1 : at + 1 + width], "little")
            if width not in (1, 4, 8) or at + 1 + width + length > end:
                return None
            at += 1 + width
            row.append(content[at : at + length].decode("utf-8", "replace"))
            at += length
        rows.append(row)
    return _Part(stamps, rows) if at == end else None


def _join(stream: XdfStream, parts: list[_Part]) -> None:
    """Put the samples of all chunks into the stream, each with its time."""
    stamps = np.concatenate([np.empty(0), *(part.stamps for part in parts)])
    step_s = 1 / stream.nominal_hz if stream.nominal_hz else 0.0
    lacks = np.isnan(stamps)
    if lacks.any():  # a sample without a time of its own is one step after the one before
        rows = np.arange(len(stamps))
        last = np.maximum.accumulate(np.where(lacks, -1, rows))
        known = np.where(last >= 0, stamps[np.maximum(last, 0)], 0.0)
        stamps = known + (rows - last) * step_s
    stream.stamps = stamps
    if stream.is_text:
        stream.values = [row for part in parts for row in part.values]
    elif not stream.is_pictures:
        empty = np.empty((0, stream.n_channels), _TYPES[stream.form])
        stream.values = np.concatenate([empty, *(part.values for part in parts)])

"""Bytes of an .xdf file, as LabRecorder writes them: chunks of about a second, clock offsets, footers."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

import numpy as np

BOUNDARY = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
_TYPES = {"float32": "<f4", "double64": "<f8", "int16": "<i2", "int32": "<i4", "int64": "<i8", "int8": "i1"}
OFFSET_EVERY_S = 5.0


@dataclass(frozen=True)
class WrittenStream:
    """A stream to write.

    stamps : (N,) on its host's clock. values : (N, C) numbers, or N texts
    channels : label, unit and type of each channel; none where the description says nothing
    offset_s, drift : of its host's clock: what is added to a stamp t is offset_s + drift * t
    """

    name: str
    type: str
    host: str
    nominal_hz: float
    form: str
    stamps: np.ndarray
    values: np.ndarray | Sequence[str]
    channels: tuple[tuple[str, str, str], ...] = ()
    offset_s: float | None = 0.0
    drift: float = 0.0
    delay_s: float = 0.0

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return 1 if self.form == "string" else int(np.shape(self.values)[1])


def xdf_bytes(streams: Sequence[WrittenStream], footers: bool = True, chunk_s: float = 1.0) -> bytes:
    """Return the bytes of a file with these streams, numbered from 1; without footers as after a crash."""
    parts = [b"XDF:", _chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")]
    parts += [_chunk(2, struct.pack("<I", k) + _header(one)) for k, one in enumerate(streams, 1)]
    timed = [piece for k, one in enumerate(streams, 1) for piece in _pieces(k, one, chunk_s)]
    parts += [data for _, data in sorted(timed, key=lambda piece: piece[0])]
    parts += [_chunk(6, struct.pack("<I", k) + _footer(one)) for k, one in enumerate(streams, 1) if footers]
    return b"".join(parts)


def _chunk(tag: int, content: bytes) -> bytes:
    return _length(len(content) + 2) + struct.pack("<H", tag) + content


def _length(n: int) -> bytes:
    return struct.pack("<BB", 1, n) if n < 256 else struct.pack("<BI", 4, n)


def _header(one: WrittenStream) -> bytes:
    cells = "".join(
        f"<channel><label>{escape(label)}</label><unit>{escape(unit)}</unit><type>{escape(type_)}</type></channel>"
        for label, unit, type_ in one.channels
    )
    described = f"<channels>{cells}</channels>" if cells else ""
    delay = f"<synchronization><offset_mean>{one.delay_s}</offset_mean></synchronization>" if one.delay_s else ""
    return (
        f"<?xml version='1.0'?><info><name>{escape(one.name)}</name><type>{escape(one.type)}</type>"
        f"<channel_count>{one.n_channels}</channel_count><nominal_srate>{one.nominal_hz:g}</nominal_srate>"
        f"<channel_format>{one.form}</channel_format><source_id>{escape(one.name)}-1</source_id>"
        f"<hostname>{escape(one.host)}</hostname><desc>{described}{delay}</desc></info>"
    ).encode()


def _footer(one: WrittenStream) -> bytes:
    first, last = (one.stamps[0], one.stamps[-1]) if len(one.stamps) else (0.0, 0.0)
    count = f"<sample_count>{len(one.stamps)}</sample_count>"
    times = f"<first_timestamp>{first}</first_timestamp><last_timestamp>{last}</last_timestamp>"
    return f"<?xml version='1.0'?><info>{times}{count}</info>".encode()


def _pieces(number: int, one: WrittenStream, chunk_s: float) -> Iterator[tuple[float, bytes]]:
    """Yield chunks of a stream with the second of the recorder's clock at which they are written."""
    offset_s = one.offset_s or 0.0
    written = np.maximum.accumulate(one.stamps + offset_s + one.drift * one.stamps)  # stamps may jitter back
    group = np.floor(written / chunk_s)
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(written)]
    for a, b in pairwise(edges):
        if b > a:
            samples = b"".join(_sample(one, k) for k in range(a, b))
            yield float(written[b - 1]), _chunk(3, struct.pack("<IBI", number, 4, b - a) + samples)
    if not len(written):
        return
    for at in np.arange(written[0], written[-1] + OFFSET_EVERY_S, OFFSET_EVERY_S).tolist():
        own = (at - offset_s) / (1 + one.drift)
        if one.offset_s is not None:
            yield at, _chunk(4, struct.pack("<Idd", number, own, at - own))
        if number == 1:
            yield at + 1e-6, _chunk(5, BOUNDARY)


def _sample(one: WrittenStream, k: int) -> bytes:
    stamp = struct.pack("<Bd", 8, one.stamps[k])
    if one.form == "string":
        text = str(one.values[k]).encode()
        return stamp + _length(len(text)) + text
    return stamp + np.asarray(one.values[k]).astype(_TYPES[one.form]).tobytes()


def texts(pairs: Iterable[tuple[float, str]]) -> tuple[np.ndarray, list[str]]:
    """Return times (N,) and texts of markers, in the order of time."""
    ordered = sorted(pairs, key=lambda pair: pair[0])
    return np.array([at for at, _ in ordered]), [text for _, text in ordered]

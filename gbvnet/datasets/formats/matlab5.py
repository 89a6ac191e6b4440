"""MATLAB files of version 5 (MATLAB 5 to 7.2, `-v6` and `-v7`), a part at a time.

scipy.io.loadmat builds a whole variable at once: of DREAMER.mat, one variable of 2 GB of numbers, in each process. Here
elements are passed over by their sizes, and only those that are asked for become arrays. Compressed variables are
inflated piece by piece; copies of the decompressor at distances lead back to any place. Layout: "MAT-File Format"
(The MathWorks). Nothing in a file is executed, and nothing is allocated before its size was compared with the file's.
"""

import struct
import zlib
from bisect import bisect_right
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np
from typing_extensions import override

from ...errors import BadRecording
from .matlab_value import LARGEST, MOST_CELLS, REFETCH, MatValue

HEADER = 128  # bytes before the first variable
MATRIX, COMPRESSED = 14, 15  # types of elements
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single", 8: "int8", 9: "uint8",
    10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64", 16: "function",
    17: "opaque object",
}  # fmt: skip
DTYPES = {"double": "f8", "single": "f4", "logical": "?"}  # of others the class is the name of the dtype
ENCODINGS = {1: "latin-1", 2: "latin-1", 16: "utf-8"}
MOST_DIMENSIONS = 16
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_PIECE, _TAKEN = 1 << 18, 1 << 16  # bytes inflated and read at once
_SPACING = 1 << 22  # bytes between two copies of a decompressor


class Damaged(ValueError):
    """The bytes are not those of a MATLAB file of version 5."""


class Source(Protocol):
    """Bytes of a variable."""

    size: int

    def read(self, at: int, n: int) -> bytes:
        """Return n bytes from a position on. Raises Damaged, OSError."""
        ...


class FilePart:
    """Part of a file."""

    def __init__(self, path: Path, start: int, size: int):
        self.path, self.start, self.size = path, start, size

    def read(self, at: int, n: int) -> bytes:
        """As `Source.read`."""
        with self.path.open("rb") as file:
            file.seek(self.start + at)
            content = file.read(n)
        if len(content) < n:
            raise Damaged("it is truncated")
        return content


class _Place(NamedTuple):
    """How far a decompressor has come."""

    inflated: int  # bytes
    taken: int  # bytes of the file
    waiting: bytes  # taken, but not inflated yet
    state: "zlib._Decompress"


class InflatedPart:
    """A compressed part of a file: forwards it is inflated once, and back to the nearest copy of the decompressor."""

    def __init__(self, path: Path, start: int, size: int):
        self.path, self.start, self.compressed = path, start, size
        self.size = 1 << 32  # no element is larger; its end is not known before it is reached
        self.end: int | None = None  # of the element in it, once its head was read
        self._places = [_Place(0, 0, b"", zlib.decompressobj())]
        self._here, self._piece = self._places[0]._replace(state=zlib.decompressobj()), b""  # the piece ends here

    def read(self, at: int, n: int) -> bytes:
        """As `Source.read`."""
        nearest = self._nearest_place(at)
        if at < self._here.inflated - len(self._piece) or nearest.inflated > self._here.inflated:
            self._here, self._piece = nearest._replace(state=nearest.state.copy()), b""
        parts, left = [], n
        with self.path.open("rb") as file:
            while left:
                begin = self._here.inflated - len(self._piece)
                part = self._piece[at - begin : at - begin + left] if at >= begin else b""
                parts.append(part)
                at, left = at + len(part), left - len(part)
                if left:
                    self._advance(file)
            if at == self.end:
                self._verify(file, at + _PIECE)
        return b"".join(parts)

    def _verify(self, file: BinaryIO, most: int) -> None:
        """Go on to the checksum behind the last byte, which is compared. Some files hold more than they say."""
        while not self._here.state.eof and self._here.inflated < most:
            if not self._here.waiting and self._here.taken >= self.compressed:
                return
            self._advance(file)

    def _nearest_place(self, at: int) -> _Place:
        """Return the last place that is kept at or before a position."""
        return self._places[bisect_right(self._places, at, key=lambda place: place.inflated) - 1]

    def _advance(self, file: BinaryIO) -> None:
        """Inflate the next piece."""
        inflated, taken, waiting, state = self._here
        if not waiting:
            file.seek(self.start + taken)
            waiting = file.read(min(_TAKEN, self.compressed - taken))
            taken += len(waiting)
        if not waiting or state.eof:
            raise Damaged("it is truncated")
        try:
            self._piece = state.decompress(waiting, _PIECE)
        except zlib.error as error:
            raise Damaged(f"its compressed bytes are damaged: {error}") from None
        self._here = _Place(inflated + len(self._piece), taken, state.unconsumed_tail, state)
        if self._here.inflated - self._places[-1].inflated >= _SPACING:
            self._places.append(self._here._replace(state=state.copy()))


class _Tag(NamedTuple):
    """The head of an element."""

    type: int
    size: int  # bytes of its content
    at: int  # where the content begins
    end: int  # where the next element begins


class _Content:
    """The bytes of a variable, element by element."""

    def __init__(self, source: Source, order: str):
        self.source, self.order = source, order

    def tag(self, at: int, end: int) -> _Tag:
        """Return the element at a position, which may not go beyond `end`. Raises Damaged."""
        if at + 8 > end:
            raise Damaged("an element is outside of what it is part of")
        first, size = struct.unpack(self.order + "II", self.source.read(at, 8))
        if first >> 16:  # a small one, inside its own tag
            if first >> 16 > 4:
                raise Damaged(f"a small element of {first >> 16} bytes")
            return _Tag(first & 0xFFFF, first >> 16, at + 4, at + 8)
        if at + 8 + size > end:
            raise Damaged("an element is larger than what it is part of")
        return _Tag(first, size, at + 8, min(end, at + 8 + size + -size % 8))

    def read(self, tag: _Tag, largest: int) -> bytes:
        """Return the content of an element. Raises Damaged."""
        if tag.size > largest:
            raise Damaged(f"{tag.size:,} bytes in one element, where {largest:,} are the most")
        return self.source.read(tag.at, tag.size)

    def whole_numbers(self, tag: _Tag, stored: tuple[int, ...], most: int) -> list[int]:
        """Return the whole numbers in an element of one of these types. Raises Damaged."""
        if tag.type not in stored:
            raise Damaged(f"an element of type {tag.type} where one of type {stored[0]} belongs")
        dtype = np.dtype(self.order + STORED[tag.type])
        content = self.read(tag, most * 8)
        if len(content) % dtype.itemsize:
            raise Damaged("a number that is not whole")
        return np.frombuffer(content, dtype).tolist()


class MatValue5(MatValue):
    """A value of such a file."""

    def __init__(self, path: Path, content: _Content, at: int, end: int, name: str = ""):
        """at, end : the element in the content; name : instead of the one that it holds"""
        self.path, self.name, self._content = path, name, content
        try:
            self._read_head(at, end)
        except Damaged as error:
            raise self.damaged(error) from None
        except OSError as error:
            raise BadRecording(path, "a MATLAB file", error.strerror or error) from None

    def _read_head(self, at: int, end: int) -> None:
        tag = self._content.tag(at, end)
        if tag.type != MATRIX:
            raise Damaged(f"an element of type {tag.type} where an array belongs")
        self.end = tag.at + tag.size
        self._complex, self._starts = False, [0]
        self._parts: dict[int, MatValue5] = {}  # cells and fields that were asked for
        self._names: list[str] | None = None
        if not tag.size:  # how an empty array stands in a cell
            self.kind, self.shape = "double", (0, 0)
            return
        flags_tag = self._content.tag(tag.at, self.end)
        flags = self._content.whole_numbers(flags_tag, (6,), 2)
        if not flags:
            raise Damaged("an array without flags")
        self._complex = bool(flags[0] & _COMPLEX)
        self.kind = "logical" if flags[0] & _LOGICAL else CLASSES.get(flags[0] & 0xFF, f"class {flags[0] & 0xFF}")
        if self.kind in ("opaque object", "object", "function"):
            self.shape = ()
            return
        shape_tag = self._content.tag(flags_tag.end, self.end)
        self.shape = tuple(self._content.whole_numbers(shape_tag, (5, 6), MOST_DIMENSIONS))
        if len(self.shape) > MOST_DIMENSIONS or min(self.shape, default=-1) < 0:
            raise Damaged(f"an array of shape {self.shape[:MOST_DIMENSIONS]}")
        name_tag = self._content.tag(shape_tag.end, self.end)
        self.name = self.name or self._content.read(name_tag, 1000).decode("latin-1")
        self._starts = [name_tag.end]  # of what it holds: of cells and fields, as far as they are known

    @override
    def _numbers(self) -> np.ndarray:
        try:
            tag = self._content.tag(self._starts[0], self.end) if self.size else None
            if self._complex or (tag is not None and tag.type not in STORED):
                self._refuse("real numbers")
            kind = DTYPES.get(self.kind, self.kind)
            if tag is None:
                return np.zeros(self.shape, kind)
            stored = np.dtype(self._content.order + STORED[tag.type])
            if tag.size != self.size * stored.itemsize:
                raise Damaged(f"{tag.size:,} bytes for {self.description}")
            values = np.frombuffer(self._content.read(tag, LARGEST), stored)
            with np.errstate(invalid="ignore"):  # a damaged file may hold 1e300 for a small whole number
                return values.astype(kind).reshape(self.shape, order="F")
        except Damaged as error:
            raise self.damaged(error) from None

    @override
    def _text(self) -> str:
        try:
            tag = self._content.tag(self._starts[0], self.end)
            wide = {4: "utf-16", 17: "utf-16", 18: "utf-32"}.get(tag.type)
            ending = "-le" if self._content.order == "<" else "-be"
            encoding = f"{wide}{ending}" if wide else ENCODINGS.get(tag.type, "")
            if not encoding:
                raise Damaged(f"text as an element of type {tag.type}")
            return self._content.read(tag, LARGEST).decode(encoding)
        except (Damaged, UnicodeDecodeError) as error:
            raise self.damaged(error) from None

    @override
    def _cell(self, number: int) -> "MatValue5":
        return self._part(number, f"{self.name}{{{number + 1}}}")

    def _part(self, number: int, name: str) -> "MatValue5":
        """Return a cell or the value of a field; those before it are passed over by their sizes, once."""
        try:
            if self.size > MOST_CELLS or 8 * self.size > self.end - self._starts[0]:
                raise Damaged(f"{self.description} in {self.end - self._starts[0]:,} bytes")
            while len(self._starts) <= number:
                self._starts.append(self._content.tag(self._starts[-1], self.end).end)
        except Damaged as error:
            raise BadRecording(self.path, f"a whole MATLAB file with {name}", error, REFETCH) from None
        if number not in self._parts:
            self._parts[number] = MatValue5(self.path, self._content, self._starts[number], self.end, name)
        return self._parts[number]

    @override
    def _field(self, name: str) -> "MatValue5":
        return self._part(1 + self._fields().index(name), f"{self.name}.{name}")

    @override
    def _fields(self) -> list[str]:
        if self._names is None:  # kept: reading them again would inflate a compressed file from there on again
            self._names = self._read_names()
        return self._names

    def _read_names(self) -> list[str]:
        try:
            length_tag = self._content.tag(self._starts[0], self.end)
            length = self._content.whole_numbers(length_tag, (5,), 1)
            names_tag = self._content.tag(length_tag.end, self.end)
            text = self._content.read(names_tag, MOST_CELLS)
        except Damaged as error:
            raise self.damaged(error) from None
        if not length or not 1 <= length[0] <= 1000 or len(text) % length[0]:
            raise self.damaged("names of fields without an end")
        self._starts.append(names_tag.end)  # the names come first: field k is part k + 1
        parts = [text[at : at + length[0]] for at in range(0, len(text), length[0])]
        return [part.split(b"\0")[0].decode("latin-1") for part in parts]


def read_mat5(path: Path) -> dict[str, MatValue]:
    """Return the variables of a MATLAB file of version 5 by name; their values are read when they are asked for.

    Of a truncated file, those that begin before its end are there. Raises BadRecording, OSError.
    """
    total = path.stat().st_size
    with path.open("rb") as file:
        order = {b"IM": "<", b"MI": ">"}.get(file.read(HEADER)[126:])
    if order is None:
        raise BadRecording(path, "a MATLAB file of version 5", "one whose order of bytes is not known", REFETCH)
    headers, at = FilePart(path, 0, total), HEADER
    variables: dict[str, MatValue] = {}
    while at + 8 <= total:
        kind, size = struct.unpack(order + "II", headers.read(at, 8))
        if kind not in (COMPRESSED, MATRIX):
            raise BadRecording(path, "a whole MATLAB file", f"an element of type {kind} at byte {at:,}", REFETCH)
        try:
            value = _variable(path, order, at, size, kind == COMPRESSED)
        except BadRecording:
            if at + 8 + size <= total or not variables:
                raise
            break  # the truncated last one
        if value.name:  # MATLAB's own last one, of what objects need, has none
            variables[value.name] = value
        at += 8 + size
    return variables


def _variable(path: Path, order: str, at: int, size: int, compressed: bool) -> MatValue5:
    """Return the variable whose element begins at a byte of the file, with `size` bytes behind its tag."""
    if not compressed:
        return MatValue5(path, _Content(FilePart(path, at, 8 + size), order), 0, 8 + size)
    inflated = InflatedPart(path, at + 8, size)
    value = MatValue5(path, _Content(inflated, order), 0, inflated.size)
    inflated.end = value.end
    return value

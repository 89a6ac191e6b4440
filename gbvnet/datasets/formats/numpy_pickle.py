"""Read arrays from a pickle without unpickling it.

A pickle is a small program, and unpickling runs it. Python's own advice, to allow only the names that are needed, is
not enough for arrays: NumPy trusts the types in a pickle, and a forged type makes it treat bytes as addresses. So the
few instructions that arrays of numbers need are read here as data, and any other is refused. No name is imported; only
dicts, lists, tuples, text, numbers and arrays are built.

Instructions and arguments as in Python's pickletools; pickles of Python 2 and 3, protocols 0 to 4.
"""

import re
from codecs import escape_decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np


class UnsafePickle(ValueError):
    """The pickle holds an instruction or a name that arrays of numbers do not need."""


def read_pickle(path: Path) -> object:
    """Return the content of a pickle of arrays of numbers in dicts, lists and tuples.

    The arrays are read-only. Raises Refused, OSError, or for a damaged file any other exception.
    """
    return _Reader(path.read_bytes()).load()


@dataclass(frozen=True)
class _GlobalName:
    """A name that the pickle would import; here it is only compared."""

    full: str


@dataclass
class _Dtype:
    """A dtype under construction: its code without byte order (f8), and the byte order."""

    code: str
    order: str = "="


@dataclass
class _Array:
    """An array under construction."""

    values: np.ndarray | None = None


_MAKE_ARRAY = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_NO_BYTES = ("__builtin__.bytes", "builtins.bytes")  # called with nothing, for an empty array in old pickles
_ALLOWED_NAMES = (*_MAKE_ARRAY, *_NO_BYTES, "numpy.ndarray", "numpy.dtype", "_codecs.encode")
_CODES = re.compile(r"[<>|=]?([fiu][1248]|b1)")
_LARGE = 2**16  # bytes
_MARK = object()
# Instruction -> number of bytes of its length field (texts, bytes) or of its value (whole numbers, memo positions).
_BYTES = {b"T": 4, b"U": 1, b"B": 4, b"C": 1, b"\x8e": 8}
_TEXTS = {b"X": 4, b"\x8c": 1, b"\x8d": 8}
_NUMBERS = {b"K": 1, b"M": 2, b"J": 4}
_PUTS = {b"q": 1, b"r": 4}
_GETS = {b"h": 1, b"j": 4}
_TUPLES = {b")": 0, b"\x85": 1, b"\x86": 2, b"\x87": 3}


class _Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def load(self) -> object:
        while (code := self._take(1)) != b".":
            self._do(code)
        return _final_values(self.stack.pop())

    def _take(self, n: int) -> bytes:
        taken = self.data[self.at : self.at + n]
        if len(taken) < n:
            raise EOFError("it is truncated")
        self.at += n
        return taken

    def _bytes(self, n: int) -> bytes | memoryview:
        """Return the next n bytes; many, which only an array can be, without copying them."""
        if n < _LARGE or n > len(self.data) - self.at:
            return self._take(n)
        self.at += n
        return memoryview(self.data)[self.at - n : self.at]

    def _line(self) -> bytes:
        end = self.data.index(b"\n", self.at)
        line, self.at = self.data[self.at : end], end + 1
        return line

    def _size(self, n: int) -> int:
        return int.from_bytes(self._take(n), "little")

    def _do(self, code: bytes) -> None:
        """Execute one instruction."""
        stack = self.stack
        if code in _BYTES:
            stack.append(self._bytes(self._size(_BYTES[code])))
        elif code in _TEXTS:
            stack.append(self._take(self._size(_TEXTS[code])).decode("utf-8", "surrogatepass"))
        elif code in _NUMBERS:
            stack.append(int.from_bytes(self._take(_NUMBERS[code]), "little", signed=code == b"J"))
        elif code in _PUTS:
            self.memo[self._size(_PUTS[code])] = stack[-1]
        elif code in _GETS:
            stack.append(self.memo[self._size(_GETS[code])])
        elif code in _TUPLES:
            n = _TUPLES[code]
            self._replace(n, tuple(stack[len(stack) - n :]))
        elif code in _PLAIN:
            _PLAIN[code](self)
        else:
            raise UnsafePickle(f"it has the instruction {code!r}, which no array needs")

    def _replace(self, n: int, by: Any) -> None:
        if n > len(self.stack):
            raise IndexError("it takes more values than the stack has")
        del self.stack[len(self.stack) - n :]
        self.stack.append(by)

    def _since_mark(self) -> list[Any]:
        at = next(k for k in range(len(self.stack) - 1, -1, -1) if self.stack[k] is _MARK)
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    # Each of the other instructions, by its name in pickletools.

    def _skip(self, n: int) -> None:  # PROTO, FRAME
        self._take(n)

    def _string(self) -> None:  # STRING: between quotes, escaped
        self.stack.append(escape_decode(self._line()[1:-1])[0])

    def _int(self) -> None:  # INT, LONG; 00 and 01 are False and True
        line = self._line().removesuffix(b"L")
        self.stack.append(line == b"01" if line in (b"00", b"01") else int(line))

    def _long(self) -> None:  # LONG1
        self.stack.append(int.from_bytes(self._take(self._size(1)), "little", signed=True))

    def _put(self) -> None:
        self.memo[int(self._line())] = self.stack[-1]

    def _get(self) -> None:
        self.stack.append(self.memo[int(self._line())])

    def _memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _dict(self) -> None:
        items = self._since_mark()
        self.stack.append({})
        self._fill(items)

    def _fill(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict):
            self._refuse("puts items into a value that is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.stack[-1][_text(key)] = value

    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._fill([key, value])

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            self._refuse("appends to a value that is no list")
        self.stack[-1].extend(items)

    def _global(self) -> None:
        module, name = self._line(), self._line()
        self._name(module.decode("latin1"), name.decode("latin1"))

    def _stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._name(_text(module), _text(name))

    def _name(self, module: str, name: str) -> None:
        if f"{module}.{name}" not in _ALLOWED_NAMES:
            raise UnsafePickle(f"it asks for {module}.{name}, which no array needs")
        self.stack.append(_GlobalName(f"{module}.{name}"))

    def _reduce(self) -> None:
        """Replace the call of a name by its result. Nothing is called."""
        args, name = self.stack.pop(), self.stack.pop()
        full = name.full if isinstance(name, _GlobalName) else ""
        if full in _NO_BYTES and args == ():
            self.stack.append(b"")
            return
        if not isinstance(args, tuple) or not args:
            self._refuse("calls a function without arguments")
        if full == "_codecs.encode":  # through which Python 3 writes bytes into old pickles
            self.stack.append(_encode_latin1(*args))
        elif full == "numpy.dtype":
            code = _CODES.fullmatch(_text(args[0]))
            if not code:
                raise UnsafePickle(f"it has an array of {_text(args[0])[:40]!r}, and not of numbers")
            self.stack.append(_Dtype(code[1]))
        elif full in _MAKE_ARRAY and args[0] == _GlobalName("numpy.ndarray"):
            self.stack.append(_Array())
        else:
            self._refuse("calls a function that makes no array")

    def _build(self) -> None:
        """Set the state of an array or a dtype."""
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, _Dtype):
            made.order = _text(state[1])
        elif isinstance(made, _Array):
            _, shape, kind, fortran, raw = state
            raw = raw.encode("latin1") if isinstance(raw, str) else raw
            if not isinstance(kind, _Dtype) or kind.order not in "<>|=" or not isinstance(raw, bytes | memoryview):
                self._refuse("has an array of other things than numbers")
            values = np.frombuffer(raw, np.dtype(kind.order + kind.code))
            values = values.astype(kind.code, copy=False)  # in this machine's order of bytes
            made.values = values.reshape(shape, order="F" if fortran else "C")
        else:
            self._refuse("sets the state of a value that has none")

    def _refuse(self, what: str) -> NoReturn:
        raise UnsafePickle(f"it {what}")


_PLAIN = {
    b"\x80": lambda r: r._skip(1), b"\x95": lambda r: r._skip(8),
    b"(": lambda r: r.stack.append(_MARK), b"N": lambda r: r.stack.append(None),
    b"\x88": lambda r: r.stack.append(True), b"\x89": lambda r: r.stack.append(False),
    b"}": lambda r: r.stack.append({}), b"]": lambda r: r.stack.append([]),
    b"d": _Reader._dict, b"u": lambda r: r._fill(r._since_mark()), b"s": _Reader._set_item,
    b"l": lambda r: r.stack.append(r._since_mark()), b"e": lambda r: r._extend(r._since_mark()),
    b"a": lambda r: r._extend([r.stack.pop()]), b"t": lambda r: r.stack.append(tuple(r._since_mark())),
    b"S": _Reader._string, b"V": lambda r: r.stack.append(r._line().decode("raw-unicode-escape")),
    b"I": _Reader._int, b"L": _Reader._int, b"\x8a": _Reader._long,
    b"p": _Reader._put, b"g": _Reader._get, b"\x94": _Reader._memoize,
    b"c": _Reader._global, b"\x93": _Reader._stack_global, b"R": _Reader._reduce, b"b": _Reader._build,
}  # fmt: skip


def _text(value: Any) -> str:
    """Return text; Python 2 pickled it as bytes."""
    if isinstance(value, bytes):
        return value.decode("latin1")
    if not isinstance(value, str):
        raise UnsafePickle(f"it has a {type(value).__name__} where only text makes sense")
    return value


def _encode_latin1(text: Any, encoding: Any = "") -> bytes:
    if _text(encoding) != "latin1" or not isinstance(text, str):
        raise UnsafePickle(f"it asks to encode as {_text(encoding)[:40]!r}")
    return text.encode("latin1")


def _final_values(made: Any) -> Any:
    """Return the value with its finished arrays, also at the first level of a dict; deeper levels are not needed."""
    if isinstance(made, dict):
        return {key: value.values if isinstance(value, _Array) else value for key, value in made.items()}
    return made.values if isinstance(made, _Array) else made

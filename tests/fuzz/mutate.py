"""Corrupted files: bytes changed at random, and changes that keep a file's structure so that a parser gets further.

The same random.Random gives the same file.
"""

import json
from random import Random
from typing import Any

LONGEST = 64 * 1024  # bytes of a corrupted file
WORDS = (
    "", " ", "0", "-1", "1", "9", "10", "1e999", "-1e999", "nan", "inf", "1e-320", "99999999999999999999", "0x10",
    "1_0", "null", "true", "no", "~", "[]", "{}", "[[", "{", "\"", "'", "\"\"", ",", ",,", ";", "\t", "\n", "\r",
    "\r\n", "\0", "é", "٣", "²", "\u2028", "\x85", "\x1f", "\ufeff", "#", ": ", "- ", "? ", "!!bool x", "!!int ''",
    "!!timestamp x", "!!python/object:os.system", "!!binary x", "!!set {a}", "!!omap [a]", "!!float ''", "!!null x",
    "&a [*a]", "*a", "<<: 1", "<<: {}", "2020-13-45", "2020-01-01", "1:30", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "&b;",
    "<a/>", "</", "<?xml?>", "subject", "trial", "recording", "window", "stimulus", "fold", "side", "train", "test",
    "low", "eeg", "time", "s01/01/1", "valence", "start_s", "name", "folds", "runs", "format", "../..", "/dev/null",
    "a" * 300, "9" * 5000,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "a", "1", "s01/01/1",
    [], {}, [[]], [{}], [None], [1, "a"], {"": None}, {"a": 1}, {"folds": []}, ["a"] * 50, "F32", "\0", "é", "\ud800",
)  # fmt: skip


def corrupt(rng: Random, seeds: tuple[bytes, ...], kind: str) -> bytes:
    """One of the seeds after one to six changes; `kind` is bytes, text, json or tensors (a safetensors file)."""
    data = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 6))):
        data = change(rng, data, seeds, kind)
    return data


def change(rng: Random, data: bytes, seeds: tuple[bytes, ...], kind: str) -> bytes:
    """The same with one change more."""
    return rng.choice(_CHANGES[kind])(rng, data, seeds)[:LONGEST]


def _bits(rng: Random, data: bytes, seeds: tuple[bytes, ...]) -> bytes:
    held = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8))):
        held[rng.randrange(len(held))] = rng.choice((rng.randrange(256), 0, 1, 0x7F, 0x80, 0xFF, 10, 34, 44))
    return bytes(held)


def _slices(rng: Random, data: bytes, seeds: tuple[bytes, ...]) -> bytes:
    at, to = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
    other = rng.choice(seeds)
    a, b = sorted((rng.randint(0, len(other)), rng.randint(0, len(other))))
    return rng.choice((
        data[:at], data[at:], data[:at] + data[to:], data[:to] + data[at:], data[:at] + other[a:b] + data[to:],
        data[:at] + rng.randbytes(rng.randint(1, 8)) + data[at:],
        data[:at] + data[at:to] * rng.randint(2, 20) + data[to:],
    ))  # fmt: skip


def _words(rng: Random, data: bytes, seeds: tuple[bytes, ...]) -> bytes:
    """A cell, a value or a mark becomes another."""
    text = data.decode("utf-8", "surrogateescape")
    for _ in range(rng.choice((1, 1, 2))):
        mark = rng.choice(",\t\n:\" '[]{}<>=/")
        parts = text.split(mark)
        at = rng.randrange(len(parts))
        parts[at] = rng.choice((rng.choice(WORDS), parts[at] + rng.choice(WORDS), rng.choice(WORDS) + parts[at]))
        text = mark.join(parts)
    return text.encode("utf-8", "surrogateescape")


def _lines(rng: Random, data: bytes, seeds: tuple[bytes, ...]) -> bytes:
    lines = data.split(b"\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    what = rng.randrange(4)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(to, lines[at])
    elif what == 2:
        lines[at], lines[to] = lines[to], lines[at]
    else:
        lines.insert(at, rng.choice(rng.choice(seeds).split(b"\n")))
    return b"\n".join(lines)


def _json(rng: Random, data: bytes, seeds: tuple[bytes, ...]) -> bytes:
    """One value of a JSON text is exchanged, renamed, lost, or put deep inside others."""
    try:
        held = json.loads(data)
    except (ValueError, RecursionError):
        return _words(rng, data, seeds)
    places: list[tuple[Any, Any]] = []
    left: list[Any] = [held]
    while left:
        node = left.pop()
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            left.append(node[key])
    if not places:
        return json.dumps(rng.choice(VALUES)).encode()
    node, key = rng.choice(places)
    what = rng.randrange(5)
    if what == 0:
        del node[key]
    elif what == 1 and isinstance(node, dict):
        node[rng.choice(WORDS)] = node.pop(key)
    elif what == 2:
        node[key] = [node[key]] if rng.random() < 0.5 else {"a": node[key]}
    elif what == 3 and isinstance(node[key], str) and node[key][:1] in "{[":  # JSON inside JSON
        node[key] = _json(rng, node[key].encode(), seeds).decode("utf-8", "replace")
    else:
        node[key] = rng.choice(VALUES)
    text = json.dumps(held)
    if rng.random() < 0.01:
        text = text.replace("1", "[" * 5000, 1)
    return text.encode("utf-8", "replace")


def _header(rng: Random, data: bytes, seeds: tuple[bytes, ...]) -> bytes:
    """The JSON at the head of a safetensors file is changed, and its length stated correctly."""
    length = int.from_bytes(data[:8], "little")
    head = _json(rng, data[8 : 8 + length], seeds) if 0 < length < len(data) else b"{}"
    return len(head).to_bytes(8, "little") + head + data[8 + length : 8 + length + LONGEST]


_CHANGES = {
    "bytes": (_bits, _slices),
    "text": (_bits, _slices, _words, _words, _words, _lines),
    "json": (_bits, _slices, _words, _json, _json, _json),
    "tensors": (_bits, _slices, _header, _header),
}

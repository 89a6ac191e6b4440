"""JSON and YAML with a known shape: a text becomes an instance of a type, or a ValueError says where it is not one.

The shape is a msgspec.Struct, a dataclass or any type that msgspec knows; ranges and patterns are its `Meta`. Names
that a type does not declare are ignored, so that a file of a newer version can be read, unless the type forbids them.
"""

import re
from typing import Any, TypeVar

import msgspec

from .safe_load import from_json, from_yaml

T = TypeVar("T")

_PLAIN = {
    "object": "a mapping of names to values", "array": "a list", "str": "text", "int": "a whole number",
    "float": "a number", "bool": "true or false", "null": "nothing",
}  # fmt: skip


def json_record(text: str | bytes, kind: type[T]) -> T:
    """Return what a JSON text holds, as an instance of `kind`. Raises ValueError."""
    return convert(from_json(text), kind)


def yaml_record(text: str, kind: type[T]) -> T:
    """Return what a YAML text holds, as an instance of `kind`. Raises ValueError."""
    return convert(from_yaml(text), kind)


def convert(data: Any, kind: Any) -> Any:
    """Return plain data (dicts, lists, text, numbers) as an instance of `kind`.

    Raises ValueError with the place, what was expected there and what was found: "channels[2]: expected a list, found
    7".
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_plain(str(error), data)) from None


def _plain(message: str, data: Any) -> str:
    """Return msgspec's message ("Expected `int`, got `str` - at `$.a[0].b`") in the words of our errors, with the value
    in place of its type where the place is known."""
    what, _, path = message.partition(" - at `")
    path = path.rstrip("`").removeprefix("$").removeprefix(".")
    if match := re.fullmatch(r"Expected (.*?)(, got .*)?", what):
        actual = _shown(data, path) or _in_words((match[2] or "").removeprefix(", got "))
        what = f"expected {_in_words(match[1])}" + (f", found {actual}" if actual else "")
    elif match := re.fullmatch(r"Object missing required field `(.*)`", what):
        what = f"no `{match[1]}`"
    elif match := re.fullmatch(r"Object contains unknown field `(.*)`", what):
        what = f"an unknown name `{match[1]}`"
    elif match := re.fullmatch(r"Invalid enum value (.*)", what):
        what = f"{match[1]} is none of the choices"
    place = path.replace("[...]", "")
    return f"{place}: {what}" if place else what


def _in_words(kinds: str) -> str:
    """Return the names of JSON's types as a reader calls them: "`int | null`" is "a whole number or nothing"."""

    def named(quoted: re.Match) -> str:
        return " or ".join(_PLAIN.get(name.strip(), name.strip()) for name in quoted[1].split("|"))

    return re.sub(r"`([^`]*)`", named, kinds)


def _shown(data: Any, path: str) -> str:
    """Return the value at a path such as `a[0].b`, shortened; "" for a mapping, a long list or an unknown place."""
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]", path):
        try:
            data = data[name] if name else data[int(index)]
        except (LookupError, TypeError, ValueError):
            return ""
    text = repr(data)
    return "" if isinstance(data, dict) or len(text) > 80 else text

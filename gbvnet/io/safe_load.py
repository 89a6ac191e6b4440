"""JSON and YAML from untrusted sources: any fault of a text is a ValueError, and the result holds only dicts, lists,
text, numbers, dates and None.

For some texts both libraries raise other errors: a RecursionError for brackets nested too deep, and for PyYAML's tags
whatever their conversion raises (`!!int ''`: an IndexError).
"""

import json
import re
from collections.abc import Collection
from typing import Any

import yaml
from typing_extensions import override


class _NoAliasLoader(yaml.SafeLoader):
    """YAML without aliases: a few lines, each with ten aliases of the line before, would expand to gigabytes."""

    @override
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, f"found the alias *{event.anchor}", event.start_mark)
        return super().compose_node(parent, index)

    @override
    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        """Refuse a key that is given twice: of the two, one would be lost without a word."""
        keys = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in keys:
                    text = f"the key {key.value!r} is given twice"
                    raise yaml.constructor.ConstructorError(None, None, text, key.start_mark)
                keys.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def from_json(text: str | bytes) -> Any:
    """Return the data of a JSON text. Raises ValueError, also for a key that is given twice."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        return _require_encodable(json.loads(text, object_pairs_hook=_refuse_duplicate_keys), text)
    except RecursionError:
        raise ValueError("brackets are nested too deep") from None


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return data


def from_yaml(text: str, names: Collection[str] = ()) -> Any:
    """Return the data of a YAML text. Raises ValueError, in one line with the place; also for an alias (*name).

    names : keys whose values are lists of names, see `with_literal_names`
    """
    try:
        data = yaml.load(text, Loader=_NoAliasLoader)
        return _require_encodable(with_literal_names(data, text, names) if names else data, text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("brackets or lists are nested too deep") from None
    except (LookupError, AttributeError, TypeError) as error:
        raise ValueError(f"a tag whose value has another type ({error})") from None


def with_literal_names(data: Any, text: str, keys: Collection[str]) -> Any:
    """Return the data of a YAML text with each list of names, under one of these keys, as literally written.

    The list [01, no, 1e3] holds three names, not the number 1, False and 1000. A single value is a list of names
    separated by commas; null stays None. The data are changed in place. Raises yaml.YAMLError.
    """
    _set_literal_names(data, yaml.compose(text, Loader=yaml.SafeLoader), keys, set())
    return data


def _set_literal_names(data: Any, node: Any, keys: Collection[str], visited: set[int]) -> None:
    if not isinstance(node, yaml.MappingNode) or not isinstance(data, dict) or id(node) in visited:
        return
    visited.add(id(node))  # an alias may lead back here
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value not in data:
            continue
        if key.value not in keys:
            _set_literal_names(data[key.value], value, keys, visited)
        elif isinstance(value, yaml.SequenceNode) and all(isinstance(n, yaml.ScalarNode) for n in value.value):
            data[key.value] = [n.value for n in value.value]
        elif isinstance(value, yaml.ScalarNode) and not value.tag.endswith(":null"):
            data[key.value] = parse_names(value.value)


def parse_names(text: str) -> list[str]:
    """Return the names of a comma-separated list without outer spaces and quotes: "01, no" or "[01, no]"."""
    text = text.strip()
    text = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [re.sub(r"""^(["'])(.*)\1$""", r"\2", name) for name in names]


def _require_encodable(data: Any, text: str) -> Any:
    r"""Return the data, unless an escape is half a character (\ud800), which cannot be encoded. Raises ValueError."""
    if "\\u" in text.lower():
        json.dumps(data, ensure_ascii=False, default=str, skipkeys=True).encode()  # raises a ValueError
    return data

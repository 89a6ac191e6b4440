"""JSON and YAML that anybody may have written: whatever is wrong with a text is a ValueError, and nothing is made of it
but dicts, lists, text, numbers, dates and None.

Both libraries leave their own errors for some texts: brackets nested too deep end in a RecursionError, and PyYAML's
tags fail as their Python does (`!!int ''` is an IndexError).
"""

import json
import re
from collections.abc import Collection
from typing import Any

import yaml


class _NoAliasLoader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them, each naming the one before ten times, stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, f"found the alias *{event.anchor}", event.start_mark)
        return super().compose_node(parent, index)


def from_json(text: str | bytes) -> Any:
    """What a JSON text holds. Raises ValueError."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        return _require_encodable(json.loads(text, object_pairs_hook=_refuse_duplicate_keys), text)
    except RecursionError:
        raise ValueError("brackets are nested too deep") from None


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice")
    return held


def from_yaml(text: str, names: Collection[str] = ()) -> Any:
    """What a YAML text holds. Raises ValueError with the place in one line; for an alias (*name), too.

    names : keys whose values are lists of names, see `keep_names`
    """
    try:
        held = yaml.load(text, Loader=_NoAliasLoader)
        return _require_encodable(with_literal_names(held, text, names) if names else held, text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("brackets or lists are nested too deep") from None
    except (LookupError, AttributeError, TypeError) as error:
        raise ValueError(f"a tag with a value that is none of its kind ({error})") from None


def with_literal_names(held: Any, text: str, keys: Collection[str]) -> Any:
    """The same data, with each list of names under one of these keys as it is written in the YAML text.

    A list [01, no, 1e3] holds three names, and not the number 1, False and 1000. A single value is a list of one, or
    of several with commas between; null stays None. Raises yaml.YAMLError.
    """
    _set_literal_names(held, yaml.compose(text, Loader=yaml.SafeLoader), keys, set())
    return held


def _set_literal_names(held: Any, node: Any, keys: Collection[str], seen: set[int]) -> None:
    if not isinstance(node, yaml.MappingNode) or not isinstance(held, dict) or id(node) in seen:
        return
    seen.add(id(node))  # an alias may lead back here
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value not in held:
            continue
        if key.value not in keys:
            _set_literal_names(held[key.value], value, keys, seen)
        elif isinstance(value, yaml.SequenceNode) and all(isinstance(n, yaml.ScalarNode) for n in value.value):
            held[key.value] = [n.value for n in value.value]
        elif isinstance(value, yaml.ScalarNode) and not value.tag.endswith(":null"):
            held[key.value] = parse_names(value.value)


def parse_names(text: str) -> list[str]:
    """Names with commas between, each without outer spaces and quotes: "01, no" is two names; so is "[01, no]"."""
    text = text.strip()
    text = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [re.sub(r"""^(["'])(.*)\1$""", r"\2", name) for name in names]


def _require_encodable(held: Any, text: str) -> Any:
    r"""The same, unless an escape in it is half a character (\ud800), which no file and no terminal takes."""
    if "\\u" in text.lower():
        json.dumps(held, ensure_ascii=False, default=str, skipkeys=True).encode()  # raises a ValueError
    return held

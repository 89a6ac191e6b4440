"""JSON and YAML that anybody may have written: whatever is wrong with a text is a ValueError, and nothing is made of it
but dicts, lists, text, numbers, dates and None.

Both libraries leave their own errors for some texts: brackets nested too deep end in a RecursionError, and PyYAML's
tags fail as their Python does (`!!int ''` is an IndexError).
"""

import json
from typing import Any

import yaml


class _Plain(yaml.SafeLoader):
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
        return _writable(json.loads(text), text)
    except RecursionError:
        raise ValueError("brackets are nested too deep") from None


def from_yaml(text: str) -> Any:
    """What a YAML text holds. Raises ValueError with the place in one line; for an alias (*name), too."""
    try:
        return _writable(yaml.load(text, Loader=_Plain), text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("brackets or lists are nested too deep") from None
    except (LookupError, AttributeError, TypeError) as error:
        raise ValueError(f"a tag with a value that is none of its kind ({error})") from None


def _writable(held: Any, text: str) -> Any:
    r"""The same, unless an escape in it is half a character (\ud800), which no file and no terminal takes."""
    if "\\u" in text.lower():
        json.dumps(held, ensure_ascii=False, default=str, skipkeys=True).encode()  # raises a ValueError
    return held

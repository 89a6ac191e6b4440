"""Words for messages and reports: lists as a sentence has them."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def listed(items: Sequence[str] | set[str]) -> str:
    """`a, b and c`; a set in the order of its names. Raises IndexError for none."""
    items = sorted(items) if isinstance(items, set) else list(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def shortened(items: Sequence[str], most: int = 4, separator: str = ", ") -> str:
    """`a, b, c`, of more than `most` items the first ones: `a, b and 3 more`."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return separator.join(items[:most]) + more


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return `did you mean X?` with the nearest known name, or `there are a, b, c` where none is near.

    prefix : what stands before each name in the message ("train.")
    """
    known = list(known)
    near = get_close_matches(name, known, n=1)
    return f"did you mean {prefix}{near[0]}?" if near else f"there are {', '.join(known)}"


def sentence(text: str) -> str:
    """Return the text with a capital first letter and a point at its end, unless it ends with a question mark."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(("?", ".")) else ".")

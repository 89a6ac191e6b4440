"""Words for messages and reports: lists as a sentence has them."""

from collections.abc import Sequence


def listed(items: Sequence[str] | set[str]) -> str:
    """`a, b and c`; a set in the order of its names. Raises IndexError for none."""
    items = sorted(items) if isinstance(items, set) else list(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def shortened(items: Sequence[str], most: int = 4) -> str:
    """`a, b, c`, of more than `most` items the first ones: `a, b and 3 more`."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more

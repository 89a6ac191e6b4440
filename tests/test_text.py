"""Lists in sentences: no name is lost, and what is left out is counted."""

import pytest

from gbvnet.text import listed, shortened


@pytest.mark.parametrize(
    ("items", "said"), [(["a"], "a"), (["a", "b"], "a and b"), (["b", "a", "c"], "b, a and c"), ({"b", "a"}, "a and b")]
)
def test_the_last_item_follows_an_and(items, said):
    assert listed(items) == said


@pytest.mark.parametrize(
    ("items", "most", "said"),
    [([], 2, ""), (["a"], 2, "a"), (["a", "b"], 2, "a, b"), (["a", "b", "c"], 2, "a, b and 1 more")],
)
def test_items_beyond_the_first_are_counted(items, most, said):
    assert shortened(items, most) == said

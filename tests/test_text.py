"""Lists in sentences: no name is lost, and what is left out is counted."""

import pytest

from gbvnet.text import did_you_mean, listed, sentence, shortened


@pytest.mark.parametrize(
    ("items", "expected"),
    [(["a"], "a"), (["a", "b"], "a and b"), (["b", "a", "c"], "b, a and c"), ({"b", "a"}, "a and b")],
)
def test_the_last_item_follows_an_and(items, expected):
    assert listed(items) == expected


@pytest.mark.parametrize(
    ("items", "most", "expected"),
    [([], 2, ""), (["a"], 2, "a"), (["a", "b"], 2, "a, b"), (["a", "b", "c"], 2, "a, b and 1 more")],
)
def test_items_beyond_the_first_are_counted(items, most, expected):
    assert shortened(items, most) == expected


def test_a_misspelt_name_gets_the_nearest_known_one():
    assert did_you_mean("mahnop", ["deap", "mahnob"]) == "did you mean mahnob?"
    assert did_you_mean("x", {"deap": 1, "mahnob": 2}) == "there are deap, mahnob"
    assert (
        sentence(did_you_mean("x", ["deap"])) == "There are deap." and sentence("did you mean x?") == "Did you mean x?"
    )

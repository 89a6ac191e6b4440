"""Texts of others become plain values, or a ValueError; never another exception, never gigabytes."""

import json
from datetime import date

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gbvnet.io.safe_load import from_json, from_yaml

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


@pytest.mark.journey
@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_what_the_libraries_write_comes_back(value):
    assert from_json(json.dumps(value)) == from_json(json.dumps(value).encode()) == value
    assert from_yaml(yaml.safe_dump(value)) == yaml.safe_load(yaml.safe_dump(value))


def test_yaml_of_a_users_hand_is_read():
    text = "name: mine # a comment\nprepare: {window_s: 2.0}\ntargets: [valence]\nmade: 2020-01-01\nbatch: null\n"
    assert from_yaml(text) == {
        "name": "mine", "prepare": {"window_s": 2.0}, "targets": ["valence"], "made": date(2020, 1, 1), "batch": None,
    }  # fmt: skip


@pytest.mark.journey
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "expected ',' or ']'.*line 1"),
        ("[" * 5000, "nested too deep"),
        ("!!int ''", "a tag whose value has another type"),  # an IndexError in PyYAML
        ("!!bool x", "a tag whose value has another type"),  # a KeyError
        ("!!timestamp x", "a tag whose value has another type"),  # an AttributeError
        ("!!python/object/apply:os.getpid []", "could not determine a constructor"),
        ("2020-13-45", "month must be in 1..12"),
        ("9" * 5000, "limit"),
        ('"\\ud800"', "surrogates not allowed"),
        ("{[a]: 1}", "unhashable key"),
        ("a: 1\nb: 2\na: 3", "the key 'a' is given twice.* line 3"),
        ("x:\n  - {a: 1, a: 1}", "the key 'a' is given twice.* line 2"),
    ],
)
def test_yaml_that_is_damaged_or_odd_is_a_value_error(text, message):
    with pytest.raises(ValueError, match=message):
        from_yaml(text)


def test_aliases_that_stand_for_gigabytes_are_refused():
    lines = ["a0: &a0 [lol, lol]"] + [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 12)]
    with pytest.raises(ValueError, match=r"found the alias \*a0 .*line 2"):
        from_yaml("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "nested too deep"),
        ("9" * 5000, "limit"),
        ('"\\ud800"', "surrogates not allowed"),
        (b"\xff", "invalid start byte"),
    ],
)
def test_json_that_is_damaged_or_odd_is_a_value_error(text, message):
    with pytest.raises(ValueError, match=message):
        from_json(text)


def test_a_character_of_two_halves_is_one():
    assert from_json('"\\ud83d\\ude00"') == "\N{GRINNING FACE}"

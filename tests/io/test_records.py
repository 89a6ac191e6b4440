"""Texts with a known shape: the instance, or the place and what is wrong there."""

import re
from typing import Annotated, Literal

import msgspec
import pytest

from gbvnet.io.records import convert, json_record, yaml_record


class Header(msgspec.Struct):
    frames: Annotated[int, msgspec.Meta(ge=0, le=256)]
    title: str | None
    channels: list[tuple[str, str]]
    ratings: dict[str, float]
    protocol: Literal["trial", "subject"] = "trial"


GOOD = {"frames": 10, "title": None, "channels": [["Fp1", "eeg"]], "ratings": {"valence": 5.0}}


def test_a_text_becomes_an_instance_and_names_that_are_not_known_are_let_through():
    header = json_record('{"frames": 1, "title": "x", "channels": [], "ratings": {}, "later": 1}', Header)
    assert header == Header(1, "x", [], {})
    assert yaml_record("frames: 1\ntitle:\nchannels: [[a, eeg]]\nratings: {}", Header).channels == [("a", "eeg")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": "x"}, "frames: expected a whole number, found 'x'"),
        ({"frames": True}, "frames: expected a whole number, found True"),
        ({"frames": 300}, "frames: expected a whole number <= 256, found 300"),
        ({"title": 3}, "title: expected text or nothing, found 3"),
        ({"channels": 3}, "channels: expected a list, found 3"),
        ({"channels": [["a", 1]]}, "channels[0][1]: expected text, found 1"),
        ({"channels": [["a"]]}, "channels[0]: expected a list of length 2, found ['a']"),
        ({"ratings": {"valence": "high"}}, "ratings: expected a number, found text"),
        ({"ratings": [1]}, "ratings: expected a mapping of names to values, found [1]"),
        ({"protocol": "window"}, "protocol: 'window' is none of the choices"),
    ],
)
def test_what_is_wrong_is_reported_with_its_place_and_value(change, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        convert(GOOD | change, Header)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected a mapping of names to values, found [1]"),
        ("{}", "no `frames`"),
        ("{", "Expecting property name"),
        ('{"frames": 1, "frames": 2}', "'frames' is given twice"),
    ],
)
def test_a_text_of_another_shape_is_a_value_error(text, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        json_record(text, Header)

"""Labels are what a corpus declares: numbers on a scale, or classes; nothing else, and never 1 to 9 unasked."""

import json
import pickle

import pytest
import yaml

from gbvnet.config import RATINGS
from gbvnet.datasets.label_columns import (
    RATING_COLUMNS,
    LabelColumn,
    label_columns,
    label_settings,
    shared_labels,
)

DECLARED = {
    "valence": {"scale": [1, 9], "set": "felt"},
    "stress": {"classes": ["none", "some", "much"]},
    "engagement": {"scale": [0, 100]},
    "joystick": {"scale": [-1, 0.5], "trace": True},
    "perceived_valence": {"scale": [1, 9], "set": "perceived", "of": "valence"},
    "annotator_boredom": {"scale": [0, 1], "set": "annotator"},
}


def test_settings_become_columns_and_columns_the_same_settings():
    columns = label_columns(DECLARED)
    assert [column.name for column in columns] == list(DECLARED)
    assert columns[0] == LabelColumn("valence", (1.0, 9.0), label_set="felt")
    assert columns[1] == LabelColumn("stress", classes=("none", "some", "much"))
    assert columns[3].trace and not columns[0].trace
    assert label_settings(columns) == DECLARED
    assert label_columns(json.loads(json.dumps(label_settings(columns)))) == columns
    assert label_columns(yaml.safe_load(yaml.safe_dump(DECLARED, sort_keys=False))) == columns
    assert pickle.loads(pickle.dumps(columns)) == columns
    assert json.dumps(label_settings(columns[:1])) == '{"valence": {"scale": [1, 9], "set": "felt"}}'  # no 1.0


def test_the_usual_ratings_are_those_of_the_settings():
    assert tuple(column.name for column in RATING_COLUMNS) == RATINGS
    assert all(column.scale == (1, 9) and not column.is_category for column in RATING_COLUMNS)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("valence", (1, 9, 4.5, 1.0), (0.99, 9.01, -1, float("nan"), float("inf"), "5")),
        ("joystick", (-1, 0, 0.5), (-1.01, 0.51)),
        ("stress", ("none", "some", "much"), ("None", "some ", "", 1, 0.0)),
    ],
)
def test_a_value_is_on_the_scale_or_one_of_the_classes(name, good, bad):
    column = next(column for column in label_columns(DECLARED) if column.name == name)
    assert all(column.allows(value) for value in good)
    assert not any(column.allows(value) for value in bad)


def test_what_is_allowed_is_written_in_words():
    valence, stress, *_ = label_columns(DECLARED)
    assert (valence.allowed, stress.allowed) == ("from 1 to 9", "none, some, much")


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (7, "expected a mapping of names to values"),
        ({"a": [1, 9]}, "a: expected a mapping of names to values"),
        ({"a": {}}, "a: expected a scale or classes, found neither"),
        ({"a": {"scale": [1, 9], "classes": ["x", "y"]}}, "a: expected a scale or classes, found both"),
        ({"a": {"scale": [9, 1]}}, r"a.scale: expected its lowest and its highest value, found \[9.0, 1.0\]"),
        ({"a": {"scale": [1, 1]}}, "lowest and its highest"),
        ({"a": {"scale": [1, float("nan")]}}, "lowest and its highest"),
        ({"a": {"scale": [1, float("inf")]}}, "lowest and its highest"),
        ({"a": {"scale": [1]}}, "a: scale: expected .* length 2"),
        ({"a": {"scale": 9}}, "a: scale: expected a list or nothing, found 9"),
        ({"a": {"scale": ["1", "9"]}}, "expected a number"),
        ({"a": {"classes": ["x"]}}, "a.classes: expected 2 to 100 classes, found 1"),
        ({"a": {"classes": [f"c{k}" for k in range(101)]}}, "expected 2 to 100 classes, found 101"),
        ({"a": {"classes": ["x", "x"]}}, "expected each class once, found 'x' twice"),
        ({"a": {"classes": [1, "1"]}}, "expected each class once, found '1' twice"),
        ({"a": {"classes": ["x", ""]}}, "expected names of 1 to 60 characters, found ''"),
        ({"a": {"classes": ["x", " y"]}}, "expected names of 1 to 60 characters, found ' y'"),
        ({"a": {"classes": ["x", "y\nz"]}}, r"found 'y\\nz'"),
        ({"a": {"classes": [True, False]}}, r"a: classes\[0\]: expected a whole number or text, found True"),
        ({"a": {"classes": "xy"}}, "classes: expected a list, found 'xy'"),
        ({"a": {"scale": [1, 9], "lag": 2}}, "an unknown name `lag`"),
        ({"a": {"scale": [1, 9], "trace": 1}}, "trace: expected true or false, found 1"),
        ({"a": {"classes": ["x", "y"], "trace": True}}, "a.trace: expected a scale"),
        ({"Valence": {"scale": [1, 9]}}, "'Valence': expected a name of small letters"),
        ({"a b": {"scale": [1, 9]}}, "'a b': expected a name"),
        ({"": {"scale": [1, 9]}}, "'': expected a name"),
        ({"a" * 61: {"scale": [1, 9]}}, "expected a name"),
        ({"subject": {"scale": [1, 9]}}, "subject: expected another name"),
        ({"both": {"scale": [1, 9]}}, "both: expected another name"),
        ({"a": {"scale": [1, 9], "of": "b"}}, "a.of: expected the column to be called SET_b"),
        (
            {"valence": {"scale": [1, 9]}, "shown": {"scale": [1, 9], "of": "valence", "set": "shown"}},
            "shown.of: expected the column to be called shown_valence",
        ),
        ({"x_a": {"scale": [1, 9], "of": "a", "set": "x"}}, "x_a.of: expected a column of the default set .*found 'a'"),
        (
            {"a": {"scale": [1, 9]}, "x_a": {"scale": [1, 5], "of": "a", "set": "x"}},
            r"x_a: expected the scale or classes to be a's \(from 1 to 9\), found from 1 to 5",
        ),
        (
            {"a": {"scale": [1, 9], "set": "felt"}, "b": {"scale": [1, 9], "set": "perceived"}},
            "expected one default set, whose columns have plain names, found felt and perceived",
        ),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_with_its_place(declared, message):
    with pytest.raises(ValueError, match=message):
        label_columns(declared)


def test_whole_numbers_are_names_of_classes():
    assert label_columns({"a": {"classes": [0, 1]}})[0].classes == ("0", "1")


def test_two_corpora_share_labels_with_equal_declarations():
    first = label_columns(DECLARED)
    others = DECLARED | {
        "valence": {"scale": [1, 9]},  # whose it is is not declared: that is no contradiction
        "stress": {"classes": ["none", "much", "some"]},
        "engagement": {"scale": [0, 10]},
        "own": {"scale": [0, 10]},
    }
    shared, without, other = shared_labels(first, label_columns(others))
    assert [column.name for column in shared] == ["valence", "joystick", "perceived_valence", "annotator_boredom"]
    assert without == ["stress", "engagement"] and other == ["stress", "engagement", "own"]
    assert shared[0].label_set == "felt"
    assert shared_labels(label_columns(others), first)[0][0].label_set == "felt"


def test_a_label_of_another_set_is_not_shared():
    felt, perceived = ({"valence": {"scale": [1, 9], "set": name}} for name in ("felt", "perceived"))
    assert shared_labels(label_columns(felt), label_columns(perceived)) == ([], ["valence"], ["valence"])


def test_a_second_label_is_not_shared_without_the_first():
    pair = {"a": {"scale": [1, 9]}, "x_a": {"scale": [1, 9], "of": "a", "set": "x"}}
    other = {"a": {"scale": [1, 5]}, "x_a": {"scale": [1, 5], "of": "a", "set": "x"}}
    assert shared_labels(label_columns(pair), label_columns(other))[0] == []

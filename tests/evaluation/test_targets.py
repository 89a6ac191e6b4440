"""What is predicted: rules against hand-worked labels, what follows from the settings, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from gbvnet.config import AuditConfig, CompareConfig, CrossvalConfig, FinalConfig
from gbvnet.datasets.label_columns import LabelColumn
from gbvnet.errors import BadConfig
from gbvnet.evaluation.targets import resolve, target_names, targets_of

LABELS = {
    "valence": LabelColumn("valence", (1, 9)),
    "arousal": LabelColumn("arousal", (1, 9)),
    "pleasure": LabelColumn("pleasure", (0, 100)),
    "joystick": LabelColumn("joystick", (-1, 1)),
    "stress": LabelColumn("stress", classes=("none", "some", "much")),
}
STORE = SimpleNamespace(labels=LABELS, path="s.store")


def windows(**columns):
    n = len(next(iter(columns.values())))
    named = {"recording": [f"r{k}" for k in range(n)], "subject": ["a"] * n}
    return pd.DataFrame(named | {name: list(values) for name, values in columns.items()})


def one(target="valence", **settings):
    (made,) = targets_of(resolve(CrossvalConfig(target=target, **settings), STORE), STORE)
    return made


def labels(made, **columns):
    return [None if np.isnan(y) else y for y in made.values(windows(**columns))]


@pytest.mark.parametrize(
    ("settings", "ratings", "expected"),
    [
        ({}, (4.99, 5, 9, np.nan), [0, 1, 1, None]),
        ({"rule": ">5"}, (5, 5.01), [0, 1]),
        ({"rule": ">=6.5"}, (6.49, 6.5), [0, 1]),
        ({"rule": "outside 4-6"}, (3.9, 4, 5, 6, 6.1), [0, None, None, None, 1]),
        ({"rule": "3,7"}, (1, 2.99, 3, 6.99, 7, 9, np.nan), [0, 0, 1, 1, 2, 2, None]),
        ({"rule": "terciles"}, (1, 2, 3, 4, 5, 6), [0, 0, 1, 1, 2, 2]),
        ({"rule": "median"}, (1, 2, 2, 3), [0, 0, 0, 1]),
        ({"task": "regression"}, (1.5, 9), [1.5, 9]),
        ({"target": "pleasure"}, (49, 50), [0, 1]),
        ({"target": "joystick"}, (-0.1, 0), [0, 1]),
        ({"target": "joystick", "rule": "outside -0.5-0.5"}, (-0.6, 0, 0.6), [0, None, 1]),
        ({"target": "stress"}, ("none", "much", "some", ""), [0, 2, 1, None]),
    ],
)
def test_rules_give_the_labels_that_were_worked_out_by_hand(settings, ratings, expected):
    made = one(**settings)
    assert labels(made, **{made.columns[0]: ratings}) == expected


def test_medians_and_terciles_are_of_each_subjects_own_trials():
    """Subject b has one long trial, which counts once: its median is 6, and would be 8 by windows."""
    table = pd.DataFrame({
        "recording": ["a1", "a2", "b1", "b2", "b3", "b3", "b3"], "subject": list("aabbbbb"),
        "valence": [1, 2, 4, 6, 8, 8, 8],
    })  # fmt: skip
    assert one(rule="median").values(table).tolist() == [0, 1, 0, 0, 1, 1, 1]
    assert one(rule="terciles").values(table).tolist() == [0, 2, 0, 1, 2, 2, 2]


def test_a_quadrant_is_of_both_ratings_each_by_its_own_rule():
    made = one("both", rule="quadrant")
    assert made.classes == ("LVLA", "HVLA", "LVHA", "HVHA") and made.name == "quadrant"
    assert labels(made, valence=(4, 6, 4, 6, 6), arousal=(4, 4, 6, 6, np.nan)) == [0, 1, 2, 3, None]
    assert labels(one("both", rule="quadrant >6"), valence=(6, 7), arousal=(7, 6)) == [2, 1]
    assert target_names("both", "quadrant") == ("quadrant",) and target_names("both") == ("valence", "arousal")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"target": "both"}, ("binary", ">=5")),
        ({"target": "pleasure"}, ("binary", ">=50")),
        ({"target": "joystick"}, ("binary", ">=0")),
        ({"target": "stress"}, ("multiclass", "classes")),
        ({"target": "valence", "rule": "terciles"}, ("multiclass", "terciles")),
        ({"target": "valence", "rule": "outside 4 to 6"}, ("binary", "outside 4 to 6")),
        ({"target": "pleasure", "task": "regression"}, ("regression", None)),
    ],
)
def test_task_and_rule_follow_from_the_label_where_they_are_left_out(settings, expected):
    config = resolve(CrossvalConfig(**settings), STORE)
    assert (config.task, config.rule) == expected
    assert resolve(config, STORE) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "valense"}, r"s.store has no label valense; did you mean valence\? It has valence, arousal"),
        ({"target": "stress", "task": "regression"}, "stress: categories cannot be predicted as a number"),
        (
            {"target": "stress", "rule": ">=5"},
            "stress has the classes none, some and much: leave --task and --rule out",
        ),
        ({"target": "stress", "task": "binary"}, "stress: categories have no low and high"),
        ({"target": "valence", "task": "regression", "rule": ">=5"}, "has no rule: leave --rule >=5 out"),
        ({"target": "valence", "task": "multiclass"}, "task multiclass of valence needs a rule"),
        ({"target": "valence", "task": "binary", "rule": "3,7"}, "makes several classes: give --task multiclass"),
        ({"target": "valence", "task": "multiclass", "rule": ">5"}, "makes two classes: give --task binary"),
        ({"target": "valence", "rule": "classes"}, "valence is a rating from 1 to 9, and no column of categories"),
        ({"target": "valence", "rule": ">=50"}, "rule >=50 leaves one class: the scale of valence is 1 to 9"),
        ({"target": "valence", "rule": ">=1"}, "leaves one class"),
        ({"target": "valence", "rule": ">9"}, "leaves one class"),
        ({"target": "valence", "rule": "outside 6-4"}, "expected two numbers in rising order within the scale"),
        ({"target": "valence", "rule": "7,3"}, "expected edges in rising order above 1, up to 9, the scale of valence"),
        ({"target": "valence", "rule": "0,7"}, "expected edges in rising order above 1"),
        ({"target": "valence", "rule": "highest"}, "rule 'highest' is none of task multiclass; use >=NUMBER"),
        ({"target": "valence", "rule": "quadrant"}, "of valence and arousal together: give --target both"),
        ({"target": "both", "task": "binary", "rule": "quadrant"}, "makes four classes"),
    ],
)
def test_what_does_not_suit_is_refused_in_one_line(settings, message):
    with pytest.raises(BadConfig, match=message):
        resolve(CrossvalConfig(**settings), STORE)


def test_a_store_without_one_of_both_says_which_labels_it_has():
    store = SimpleNamespace(labels={"valence": LABELS["valence"], "stress": LABELS["stress"]}, path="s.store")
    with pytest.raises(BadConfig, match=r"target both: s\.store has no label arousal; give --target valence, stress"):
        resolve(CrossvalConfig(target="both"), store)


@pytest.mark.parametrize("kind", [CompareConfig, AuditConfig, FinalConfig])
def test_what_needs_one_lag_refuses_a_search_for_it(kind):
    with pytest.raises(BadConfig, match="give lag_s in seconds; crossval with --lag_s search says which lags fit"):
        kind(target="joystick", lag_s="search")


def test_two_ratings_on_different_scales_have_no_common_middle():
    store = SimpleNamespace(labels=LABELS | {"arousal": LabelColumn("arousal", (0, 100))}, path="s.store")
    with pytest.raises(BadConfig, match=r"the scales differ \(valence 1 to 9 and arousal 0 to 100\)"):
        resolve(CrossvalConfig(target="both"), store)
    assert resolve(CrossvalConfig(target="both", rule="median"), store).rule == "median"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "high: rating >= 5"),
        ({"target": "pleasure"}, "high: rating >= 50 (scale 0 to 100)"),
        ({"rule": "outside 4-6"}, "high: rating > 6; low: rating < 4; ratings from 4 to 6 are left out"),
        ({"rule": "3,7"}, "classes: below 3, 3 to below 7, 7 or more"),
        ({"rule": "terciles"}, "classes: low, middle, high, thirds of the subject's own ratings"),
        ({"target": "stress"}, "classes: none, some, much"),
        ({"target": "pleasure", "task": "regression"}, "pleasure from 0 to 100"),
        (
            {"target": "both", "rule": "quadrant"},
            "HVLA is high valence and low arousal, and so on; valence high: rating >= 5, arousal high: rating >= 5",
        ),
    ],
)
def test_a_target_says_what_its_classes_are(settings, words):
    assert one(**settings).definition == words

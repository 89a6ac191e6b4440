"""The record of a group of runs: written once, and compared when the group is continued."""

import json
from types import SimpleNamespace

import pytest

from gbvnet.errors import BadRun
from gbvnet.experiments.run_group import begin_run_group, numbered_progress

STORE = SimpleNamespace(digest="0123456789abcdef", title="deap (synthetic data)", synthetic=True)
SETTINGS = {"folds": 3, "subjects": ["s01"]}


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "group" / "compare.json"
    begin_run_group(file, "a comparison", STORE, SETTINGS, 1)
    return file


def test_a_group_of_an_earlier_version_of_the_same_store_is_continued(file):
    record = json.loads(file.read_text())
    former = {"digest": STORE.digest, "title": "deap (made-up data)", "made_up": True}
    file.write_text(json.dumps(record | {"store": former, "costs": {"x": 1}}))
    assert begin_run_group(file, "a comparison", STORE, SETTINGS, 1)["costs"] == {"x": 1}


def test_options_at_their_defaults_are_those_left_out_also_under_their_former_name(file):
    record = json.loads(file.read_text())
    rival = {"feature_set": "fractal", "classifier": "cart", "svm_windows": 10_000, "head": "elm", "fusion": None}
    now = SETTINGS | {"system": "yuvaraj-like"}
    file.write_text(json.dumps(record | {"config": now | {"rival": rival}}))
    assert begin_run_group(file, "an audit", STORE, now | {"options": None}, 1)["config"]["rival"] == rival
    with pytest.raises(BadRun, match=r"with options.classifier = svm, found one with cart"):
        begin_run_group(file, "an audit", STORE, now | {"options": {"classifier": "svm"}}, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"store": {"digest": "fedcba9876543210", "title": "other"}}, "store, of other, digest fedcba987654"),
        ({"config": {"folds": 4}}, "expected a comparison with folds = 3, found one with 4"),
        ({"config": 7}, "config: expected a mapping of names to values, found 7"),
        ({"store": None}, "store: expected a mapping of names to values, found None"),
        ({"format": 2, "config": {"no": "such"}}, r"expected a comparison of format 1, found one of format 2.*newer"),
    ],
)
def test_another_group_or_a_damaged_record_is_refused(file, change, message):
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(BadRun, match=message):
        begin_run_group(file, "a comparison", STORE, SETTINGS, 1)


def test_progress_says_which_run_of_how_many_it_is():
    calls = []
    progress = numbered_progress(lambda *call: calls.append(call), 2, 5)
    progress(3, 10, "fold 1")
    assert calls == [(3, 10, "(2 of 5) fold 1")]
    assert numbered_progress(None, 2, 5) is None

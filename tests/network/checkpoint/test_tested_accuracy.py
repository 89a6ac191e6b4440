"""What a model is worth, in a sentence: scores of cross-validations with their protocol, or that none is known."""

import json
from dataclasses import replace

import pytest
from msgspec import structs

from gbvnet.config import FinalConfig, GBVNetConfig, ModelConfig, TrainConfig, to_dict
from gbvnet.errors import BadRun
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.train import honest_scores
from gbvnet.inference.predictor import Predictor
from gbvnet.network.checkpoint.checkpoint import save_model
from gbvnet.network.checkpoint.describe import describe_model
from gbvnet.network.checkpoint.tested_accuracy import CrossvalScore, accuracy_statement, as_notes
from gbvnet.network.model import GBVNet
from gbvnet.report.results import read_results

from ...app_fixtures import write_model
from ...synthetic_store import write_store

SCORE = CrossvalScore("valence", "subject", 0.583, 0.51, 0.652, "subjects", 0.541, 0.55, 0.6, "above chance")


def test_accuracy_interval_chance_and_protocol_are_all_in_the_sentence():
    text = accuracy_statement({"dataset": "deap", "scores": {}, "tests": as_notes([SCORE])})
    assert text == (
        "In cross-validations with its settings on deap: valence right in 58.3% of windows [51.0% to "
        "65.2%, 95 % bootstrap over subjects] on subjects not seen in training (protocol subject; chance up to 54.1%, "
        "majority class 55.0%: above chance)."
    )


def test_scores_in_new_trials_of_known_subjects_are_no_scores_on_unseen_ones():
    known = structs.replace(SCORE, protocol="trial", low=None, high=None)
    text = accuracy_statement({"dataset": "deap", "tests": as_notes([known])})
    assert text.startswith("This model was never tested on unseen subjects. In cross-validations")
    assert "58.3% of windows on new trials of subjects seen in training (protocol trial" in text and "[" not in text
    both = accuracy_statement({"tests": as_notes([known, SCORE])})
    assert "never tested" not in both and both.index("protocol subject") < both.index("protocol trial")


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"scores": {}, "tests": [], "protocol": "trial"}, ["never tested on unseen subjects", "no cross-validation"]),
        ({}, ["never tested on unseen subjects", "no cross-validation"]),
        ({"protocol": "trial"}, ["one fold", "protocol trial", "never tested on unseen subjects", "report of"]),
        ({"protocol": "window"}, ["one fold", "protocol window", "never tested on unseen subjects"]),
        ({"protocol": "subject"}, ["one fold", "protocol subject", "report of that run"]),
        ({"scores": {"valence, protocol trial": "61% of windows"}}, ["never tested on unseen", "61% of windows"]),
        ({"scores": {"valence, protocol subject": "61% of windows"}}, ["In cross-validations", "61% of windows"]),
    ],
)
def test_what_is_not_known_is_stated(about, words):
    assert all(word in accuracy_statement(about) for word in words)


@pytest.mark.parametrize(
    "change",
    [{"accuracy": "99"}, {"accuracy": 7.0}, {"protocol": "oracle"}, {"target": "the truth"}, {"low": "a"}, {"more": 1}],
)
def test_what_somebody_else_wrote_into_a_config_is_no_score(change):
    noted = as_notes([SCORE])[0] | change
    assert "never tested on unseen subjects" in accuracy_statement({"tests": [noted, "x", None]})
    assert "never tested on unseen subjects" in accuracy_statement({"tests": noted, "scores": ["x"]})


def test_control_characters_of_a_config_do_not_reach_a_terminal():
    assert "\x1b" not in accuracy_statement(
        {"dataset": "\x1b[31m", "tests": as_notes([structs.replace(SCORE, status="\x1b[2J")])}
    )
    assert "\x1b" not in accuracy_statement({"scores": {"a\x1b": "b\x1b"}})


@pytest.mark.journey
def test_it_is_read_back_from_a_model_folder_and_shown(tmp_path):
    folder = write_model(tmp_path / "model", tests=as_notes([SCORE]))
    assert json.loads((folder / "config.json").read_text())["about"]["tests"][0]["low"] == 0.51
    assert "58.3% of windows" in Predictor(folder, "cpu").accuracy_note
    assert Predictor(folder, "cpu").accuracy_note in describe_model(folder)
    save_model(tmp_path / "bare", GBVNet(GBVNetConfig(variant="micro", n_channels=3)), {})
    assert "never tested on unseen subjects" in describe_model(tmp_path / "bare")


# What `train --runs` takes for a score of the model


QUICK = FinalConfig(
    modality="bio", target="valence", folds=2, model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=1, batch_size=16, device="cpu"),
)  # fmt: skip


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    root = tmp_path_factory.mktemp("worth")
    store = write_store(root / "store")
    cross_validate(store, root / "run", QUICK.crossval())
    return store, root


@pytest.mark.journey
def test_a_run_of_the_same_settings_is_a_score(planted):
    store, root = planted
    (score,) = honest_scores(store, QUICK, [root / "run"])
    (result,), _ = read_results([root / "run"])
    y, p = result.table["y"], result.table["p"]
    assert score.accuracy == pytest.approx(((p >= 0.5) == (y == 1)).mean())
    assert (score.target, score.protocol) == ("valence", "trial") and not score.unseen_subjects
    assert honest_scores(store, QUICK, []) == []


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "arousal"}, "a cross-validation of what the model predicts (arousal), found one of valence"),
        ({"modality": "face"}, "the model's modality, found bio in the run, face for the model"),
        ({"rule": "median"}, "the model's rule, found >=5 in the run, median for the model"),
        ({"subjects": ("s01", "s02")}, "the model's subjects, found not given in the run, s01,s02 for the model"),
        ({"model": replace(QUICK.model, dropout=0.25)}, "the model's model.dropout, found 0.5 in the run, 0.25 for"),
        ({"train": replace(QUICK.train, learning_rate=0.01)}, "train.learning_rate, found 0.001 in the run, 0.01 for"),
    ],
)
def test_a_run_of_other_settings_is_refused_with_both_values(planted, change, message):
    store, root = planted
    with pytest.raises(BadRun) as refused:
        honest_scores(store, replace(QUICK, **change), [root / "run"])
    assert message in str(refused.value)
    assert str(root / "run") in str(refused.value)


@pytest.mark.journey
def test_a_run_on_shuffled_labels_is_no_score(planted, tmp_path):
    store, _ = planted
    cross_validate(store, tmp_path / "run", replace(QUICK.crossval(), shuffle_labels=1))
    with pytest.raises(BadRun, match="the model's shuffle_labels, found 1 in the run, not given for the model"):
        honest_scores(store, QUICK, [tmp_path / "run"])


@pytest.mark.journey
def test_where_a_training_ran_makes_no_other_setting(planted):
    store, root = planted
    assert to_dict(QUICK.train)["memory_gib"] != 1
    assert honest_scores(store, replace(QUICK, train=replace(QUICK.train, memory_gib=1.0)), [root / "run"])

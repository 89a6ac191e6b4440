"""A search space is read strictly: what cannot be searched, or not with these values, is refused in one line."""

import math
import re

import pytest

from gbvnet.config import CrossvalConfig
from gbvnet.errors import BadConfig, BadInput
from gbvnet.experiments.search_space import Choices, Range, make_space, read_space, with_values
from gbvnet.systems import validate_config

NETWORK = validate_config(CrossvalConfig(target="valence"))
TREES = validate_config(CrossvalConfig(system="yuvaraj-like", modality="eeg", target="valence"))


def read(tmp_path, text, config=NETWORK):
    (tmp_path / "space.yaml").write_text(text)
    return read_space(tmp_path / "space.yaml", config)


def test_a_file_has_ranges_and_lists_by_dotted_name_or_by_group(tmp_path):
    space = read(
        tmp_path,
        """
        train.learning_rate: {low: 1e-4, high: 1e-2, log: true}      # text to YAML, a number here
        train: {batch_size: {low: 16, high: 128, step: 16}}
        model.variant: [micro, small]
        model.dropout: [0, 0.5]
        train.augment: [true, false]
        """,
    )
    assert space.dimensions == {
        "model.dropout": Choices((0.0, 0.5)), "model.variant": Choices(("micro", "small")),
        "train.augment": Choices((True, False)), "train.batch_size": Range(16, 128, step=16, whole=True),
        "train.learning_rate": Range(1e-4, 1e-2, log=True),
    }  # fmt: skip
    assert space.size == math.inf
    assert make_space(space.plain, NETWORK) == space


def test_a_finite_space_has_all_its_candidates(tmp_path):
    space = read(
        tmp_path, "options.classifier: [cart, svm]\noptions.svm_windows: {low: 100, high: 300, step: 100}", TREES
    )
    assert space.size == 6 == len(list(space.candidates()))
    assert next(space.candidates()) == {"options.classifier": "cart", "options.svm_windows": 100}
    space = read(tmp_path, "model.dropout: {low: 0.1, high: 0.5, step: 0.1}\ntrain.patience: {low: 3, high: 3}")
    assert [each["model.dropout"] for each in space.candidates()] == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_values_become_settings():
    config = with_values(NETWORK, {"train.learning_rate": 0.5, "model.variant": "micro", "train.batch_size": None})
    assert (config.train.learning_rate, config.model.variant, config.train.batch_size) == (0.5, "micro", None)
    assert config.train.epochs == NETWORK.train.epochs and with_values(NETWORK, {}).train == NETWORK.train
    assert with_values(TREES, {"options.classifier": "svm"}).options == {
        "classifier": "svm", "feature_set": "fractal", "svm_windows": 10000,
    }  # fmt: skip


WRONG = {
    "": "settings by name, each with a list or a range, found an empty file",
    "- a": r"found \['a'\]",
    "[a": "a YAML file with a search space, found one that cannot be read",
    "train.learning_rat: [1]": "no setting train.learning_rat to search; did you mean train.learning_rate?",
    "learning_rate: [1]": "did you mean train.learning_rate?",
    "zzzz: [1]": "there are train.epochs, .*model.variant",
    "train: {}": "no setting; give at least one",
    "protocol: [trial]": "protocol cannot be searched: it decides the splits",
    "seed: [1, 2]": "seed cannot be searched: it decides the splits",
    "target: [valence]": "each candidate would answer another question",
    "rows: [any]": "each candidate would answer another question",
    "system: [huang]": "system cannot be searched: a run is of one",
    "train.device: [cpu]": "no part of the method",
    "trials: [3]": "a setting of the search itself",
    "train.learning_rate: 3": "expected a list of values or a range {low: , high: }, found 3",
    "train.learning_rate: []": "the list is empty",
    "train.learning_rate: [a]": "expected a number, found 'a'",
    "train.epochs: [true]": "expected a whole number, found True",
    "train.epochs: [3.5]": "expected a whole number",
    "train.augment: [1]": "expected true or false, found 1",
    "train.epochs: [3, 3]": "3 is in the list twice",
    "train.epochs: [0]": "train.epochs 0: train.epochs must be at least 1",
    "train.select: [test]": "only recipes stamped leaky may",
    "model.variant: [mini]": "'mini' is none of the choices: micro, small, atto",
    "model.variant: {low: 1, high: 2}": r"is no number and has no range; give a list of values: \[micro, small",
    "train.augment: {low: 0, high: 1}": r"\[true, false\]",
    "train.epochs: {low: 3}": "expected a range with low and high, found none of high",
    "train.epochs: {low: 3, high: 5, stp: 1}": "no stp of a range; did you mean step?",
    "train.epochs: {low: 5, high: 3}": "low 5 is above high 3",
    "train.batch_size: {low: 16.5, high: 20}": "train.batch_size.low: expected a whole number, found 16.5",
    "train.batch_size: {low: 16, high: 120, step: 16}": "do not reach 120; give high 112 or 128",
    "train.batch_size: {low: 16, high: 120, step: 0}": "step must be above 0",
    "train.learning_rate: {low: 0, high: 1, log: true}": "low must be above 0",
    "train.learning_rate: {low: 1, high: 2, log: true, step: 0.1}": "it has no step",
    "train.learning_rate: {low: 1, high: .inf}": "must be finite numbers",
    "train.learning_rate: {low: 1, high: .nan}": "must be finite numbers",
    "model.dropout: {low: 0, high: 1.5}": r"model.dropout 1.5: model.dropout must be in \[0, 1\)",
    "options.x: [1]": "no option x of gbvnet",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_cannot_be_searched_is_refused_in_one_line_with_the_file(tmp_path, text):
    with pytest.raises((BadConfig, BadInput), match=WRONG[text]) as raised:
        read(tmp_path, text)
    assert str(tmp_path / "space.yaml") in str(raised.value) and "\n" not in str(raised.value)


def test_settings_that_a_system_does_not_use_are_refused(tmp_path):
    with pytest.raises(BadConfig, match=r"train.epochs is not a setting of yuvaraj-like, .*options.classifier"):
        read(tmp_path, "train.epochs: [3]", TREES)
    eegnet = validate_config(CrossvalConfig(system="eegnet", modality="eeg", target="valence"))
    with pytest.raises(BadConfig, match=re.escape("model.variant is not a setting of eegnet")):
        read(tmp_path, "model.variant: [micro]", eegnet)
    assert read(tmp_path, "train.epochs: [3]", eegnet).size == 1
    with pytest.raises(BadConfig, match=r"did you mean classifier\?"):
        read(tmp_path, "options.clasifier: [cart]", TREES)
    with pytest.raises(BadConfig, match="'cat' is none of the choices: cart, svm"):
        read(tmp_path, "options.classifier: [cat]", TREES)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"nothing.yaml: expected a YAML file with a search space, found No such file"):
        read_space(tmp_path / "nothing.yaml", NETWORK)

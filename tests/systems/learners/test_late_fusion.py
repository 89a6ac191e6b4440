"""Two systems fused: the rules against numbers worked by hand, and on which windows the weights are fitted."""

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from gbvnet.config import CrossvalConfig, TrainConfig
from gbvnet.errors import BadConfig, BadModel
from gbvnet.evaluation import predictions
from gbvnet.evaluation.metrics import auc
from gbvnet.experiments.crossval import cross_validate
from gbvnet.provenance import SHUFFLED_SYSTEM
from gbvnet.store.reader import open_store
from gbvnet.systems import validate_config
from gbvnet.systems.features.electrode_pairs import pair_features
from gbvnet.systems.huang import EEGSystem
from gbvnet.systems.learners.classical import ClassicalSystem
from gbvnet.systems.learners.face_cnn import FaceCNN, grey
from gbvnet.systems.learners.late_fusion import (
    FILE,
    WeightedFusion,
    adaboost_weights,
    enumerated_weights,
    weighted_mean,
    weighted_vote,
)
from gbvnet.systems.learners.rbf_svm import decision, subsample_per_trial

from ...synthetic_store import write_store

HIGH, LOW = 0.9, 0.1


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("planted") / "store")


def scores(y, wrong):
    """Scores that are right but for the trials `wrong`."""
    right = np.where(np.asarray(y) > 0, HIGH, LOW)
    right[wrong] = 1 - right[wrong]
    return right


# rules


def test_of_equally_good_weights_the_largest_is_taken():
    y = np.array([1, 0])
    assert enumerated_weights(scores(y, []), scores(y, []), y).tolist() == [1, 0]
    # 0.4 w + 1 (1 - w) >= 0.5 up to w = 0.83; the second trial is right for every w
    assert enumerated_weights(np.array([0.4, 0.1]), np.array([1.0, 0.4]), y) == pytest.approx([0.83, 0.17])
    # the first trial needs w <= 0.83 as before, the second w > 0.6: 0.25 w + 0.875 (1 - w) < 0.5; and 0.83 it is again
    assert enumerated_weights(np.array([0.4, 0.25]), np.array([1.0, 0.875]), y) == pytest.approx([0.83, 0.17])
    # a face that is always wrong has no say, and the EEG is barely right: 0.1 w + 0.56 (1 - w) >= 0.5 up to w = 0.13
    assert enumerated_weights(np.array([0.1, 0.9]), np.array([0.56, 0.1]), y) == pytest.approx([0.13, 0.87])


def test_adaboosts_weights_by_hand():
    y = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    face, eeg = scores(y, [0]), scores(y, [3, 6])
    # the face errs on 1 of 8; then that trial counts 1/2 and each other 1/14, of which the EEG gets two wrong
    assert adaboost_weights(face, eeg, y) == pytest.approx([log(7) / 2, log(6) / 2])
    # without the logarithm 7/2; then each trial that was right counts e^-3.5 / 8
    error = 2 * exp(-3.5) / 8
    assert adaboost_weights(face, eeg, y, log=False) == pytest.approx([3.5, (1 - error) / error / 2], rel=1e-6)


def test_adaboost_counts_no_error_as_half_a_trial_and_inverts_a_part_that_is_mostly_wrong():
    y = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    assert adaboost_weights(scores(y, []), scores(y, np.arange(8)), y) == pytest.approx([log(15) / 2, -log(15) / 2])
    literal = adaboost_weights(scores(y, []), scores(y, [2]), y, log=False)
    assert literal == pytest.approx([0.5e11, 0.5e11], rel=1e-3)  # what the published code gives
    assert np.isfinite(adaboost_weights(scores(y, [1]), scores(y, [1]), y, log=False)).all()


def test_votes_are_probabilities():
    weights = np.array([log(7) / 2, log(6) / 2])
    face, eeg = np.array([0.9, 0.6, 0.1, 0.2]), np.array([0.8, 0.2, 0.7, 0.4])
    # odds of 7 x 6, 7 / 6, 6 / 7 and 1 / 42
    assert weighted_vote(weights, face, eeg) == pytest.approx([42 / 43, 7 / 13, 6 / 13, 1 / 43])
    assert weighted_mean(np.array([0.25, 0.75]), face, eeg) == pytest.approx([0.825, 0.3, 0.55, 0.35])


# who is weighed on what


class Memoriser(ClassicalSystem):
    """Knows every window that it learnt from, and is wrong of any other."""

    modalities = ("face",)

    def vectors(self, store, rows):
        return np.asarray(rows, float)[:, None]

    def learn(self, x, y, seed):
        return {"rows": x[:, 0], "y": y.astype(float)}

    def output(self, parameters, x):
        known = dict(zip(parameters["rows"], parameters["y"], strict=True))
        return np.array([HIGH if known.get(row, row % 10 < 5) else LOW for row in x[:, 0]])


class Honest(Memoriser):
    """Is right of every window, seen or not."""

    modalities = ("eeg",)

    def output(self, parameters, x):
        return np.where(x[:, 0] % 10 < 5, LOW, HIGH)


class Two(WeightedFusion):
    part_classes = {"face": Memoriser, "eeg": Honest}  # noqa: RUF012


CONFIG = CrossvalConfig(system="huang", modality="faceeeg", target="valence")
ROWS = np.arange(120)  # of trials of 5 windows, every second of which is high
TRUTH = (ROWS % 10 >= 5).astype(int)


@pytest.mark.journey
def test_weights_are_fitted_on_windows_that_neither_was_trained_on(planted):
    training = {"rows": ROWS[:80], "y": TRUTH[:80]}
    fused = Two(CONFIG).fit(planted, *training.values(), validation=(ROWS[80:], TRUTH[80:]))
    # the memoriser is wrong of all of them: 0.1 w + 0.9 (1 - w) >= 0.5 for the high ones needs w <= 0.5
    assert fused.weights == pytest.approx(np.array([[0.5, 0.5]]), abs=0.011)
    assert sorted(fused.parts["face"].parameters[0]["rows"]) == ROWS.tolist()  # and then it learns from all
    # without validation rows it is as in the source: all weights are equally good, and it takes the face
    assert Two(CONFIG).fit(planted, *training.values()).weights.tolist() == [[1, 0]]


def test_trials_are_weighed_and_not_windows(planted):
    class Unsure(Honest):
        modalities = ("face",)

        def output(self, parameters, x):
            p = super().output(parameters, x)
            return np.where(x[:, 0] % 5 < 2, 1 - p, p)  # two of a trial's five windows are wrong, the trial is not

    class Both(Two):
        part_classes = {"face": Unsure, "eeg": Honest}  # noqa: RUF012

    assert Both(CONFIG).fit(planted, ROWS, TRUTH).weights.tolist() == [[1, 0]]


def test_each_target_has_its_weight_and_the_rule_is_kept_with_the_model(planted, tmp_path):
    both = np.stack([TRUTH, 1 - TRUTH], axis=1)  # the honest one is always wrong of the second
    fused = Two(replace(CONFIG, options=dict(fusion="adaboost"))).fit(planted, ROWS, both)
    assert fused.weights[:, 1] == pytest.approx([log(47) / 2, -log(47) / 2])  # 24 trials
    p = fused.predict_proba(planted, ROWS)
    assert p.shape == (120, 2)
    fused.save(tmp_path)
    assert np.array_equal(Two.load(tmp_path, CONFIG).predict_proba(planted, ROWS), p)
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(BadModel, match="expected the weights of a trained huang"):
        Two.load(tmp_path, CONFIG)


def test_the_logarithm_can_be_left_out(planted):
    config = replace(CONFIG, options=dict(fusion="adaboost", adaboost_log=False))
    fused = Two(config).fit(planted, ROWS[:80], TRUTH[:80], validation=(ROWS[80:], TRUTH[80:]))
    assert fused.weights[0] == pytest.approx([0, 0.5e11], abs=1e-9, rel=1e-6)  # always wrong, never wrong
    assert np.array_equal(fused.predict_proba(planted, ROWS) > 0.5, TRUTH == 1)
    assert fused.about["fusion"] == "adaboost"


def test_one_modality_alone_is_not_fused(planted):
    alone = Two(replace(CONFIG, modality="eeg")).fit(planted, ROWS[:80], TRUTH[:80])
    assert list(alone.parts) == ["eeg"]
    assert np.array_equal(alone.predict_proba(planted, ROWS), np.where(TRUTH, HIGH, LOW))
    assert "fusion" not in alone.about


# the support vector machine


def test_the_machine_from_its_arrays_is_scikit_learns(planted):
    config = replace(CONFIG, modality="eeg")
    y = (planted.windows["valence"].to_numpy() > 5).astype(int)
    fitted = EEGSystem(config).fit(planted, ROWS[:80], y[:80])
    x = pair_features(planted, ROWS).astype(np.float64)
    x = (x - x[:80].mean(axis=0)) / x[:80].std(axis=0)
    wanted = SVC(gamma="auto").fit(x[:80], y[:80]).decision_function(x)
    assert decision(fitted.parameters[0], x) == pytest.approx(wanted, abs=1e-6)
    assert fitted.predict_proba(planted, ROWS) == pytest.approx(1 / (1 + np.exp(-wanted)), abs=1e-6)


def test_too_many_windows_are_subsampled_equally_per_trial():
    trials = np.array(["b"] * 10 + ["a"] * 4 + ["c"] * 1)
    kept = subsample_per_trial(trials, 9, seed=3)
    assert len(set(kept)) == 9
    assert dict(zip(*np.unique(trials[kept], return_counts=True), strict=True)) == {"a": 4, "b": 4, "c": 1}
    assert np.array_equal(subsample_per_trial(trials, 9, seed=3), kept)
    assert not np.array_equal(subsample_per_trial(trials, 9, seed=4), kept)
    assert np.array_equal(subsample_per_trial(trials, 15, seed=3), np.arange(15))


def test_the_machine_learns_from_no_more_windows_than_it_may(planted):
    few = replace(CONFIG, modality="eeg", options=dict(svm_windows=24))
    y = (planted.windows["valence"].to_numpy() > 5).astype(int)
    fitted = EEGSystem(few).fit(planted, ROWS[:60], y[:60], validation=(ROWS[60:], y[60:]))
    assert 0 < len(fitted.parameters[0]["vectors"]) <= 24


# the face network


def test_the_face_network_has_the_sources_sizes():
    convolutions = (9 * 1 + 1) * 32 + (9 * 32 + 1) * 32 + (9 * 32 + 1) * 64
    dense = (64 * 14 * 14 + 1) * 64 + (64 + 1) * 1  # 48 -> 48 -> 46 -> 44, pooled by 3
    assert sum(p.numel() for p in FaceCNN(1).parameters()) == convolutions + dense == 831_009


def test_grey_is_luma_of_48_pixels():
    pictures = torch.zeros(2, 3, 64, 64)
    pictures[0, 1] = 1  # green
    got = grey(pictures)
    assert got.shape == (2, 1, 48, 48)
    assert got[0].mean().item() == pytest.approx((0.587 - 0.45) / 0.225, rel=1e-4)
    assert got[1].mean().item() == pytest.approx(-2, rel=1e-4)


@pytest.mark.journey
def test_bad_frames_of_a_face_are_never_used():
    torch.manual_seed(0)
    network, faces = FaceCNN(1), torch.rand(6, 3, 3, 32, 32)
    ok = torch.tensor([[True, False, True]] * 6)
    corrupted = torch.where(ok[..., None, None, None], faces, torch.full_like(faces, 9.0))
    network.layers[6].p = 0.0  # no dropout: what remains random is the frame that is drawn
    answers = []
    for training in (False, True):
        for pixels in (faces, corrupted):
            torch.manual_seed(1)
            answers.append(network.train(training)(pixels, ok).logits)
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[2], answers[3])
    each = torch.stack([network.eval()(faces[:, [f]]).logits for f in (0, 2)])
    assert torch.allclose(answers[0], each.mean(dim=0), atol=1e-5)  # tested: the mean of all that are good
    assert torch.isclose(answers[2], each, atol=1e-5).any(dim=0).all()  # learnt from: one of them


# as systems


def test_signals_beside_eeg_are_not_for_them():
    with pytest.raises(BadConfig, match="huang cannot see modality facebio; give one of faceeeg, face, eeg"):
        validate_config(replace(CONFIG, modality="facebio"))


@pytest.mark.journey
@pytest.mark.parametrize(("name", "modality"), [("huang", "eeg"), ("expression", "face")])
def test_on_shuffled_labels_nothing_is_left_to_learn_and_the_name_says_so(name, modality, planted, tmp_path):
    scores = {}
    for shuffle in (None, 3):
        config = CrossvalConfig(
            system=name, modality=modality, target="valence", folds=4, shuffle_labels=shuffle, train=TrainConfig()
        )
        table = predictions.read(cross_validate(open_store(planted.path), tmp_path / str(shuffle), config))
        assert set(table["system"]) == {name + (SHUFFLED_SYSTEM if shuffle else "")}
        scores[shuffle] = auc(table["y"].to_numpy(), table["p"].to_numpy())
    assert scores[None] > 0.95
    assert 0.1 < scores[3] < 0.8

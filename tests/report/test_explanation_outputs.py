"""What a model's output is for each task, how far it moves and in which direction, worked by hand."""

import numpy as np
import pytest

from gbvnet.evaluation.targets import Target
from gbvnet.report.explanation_outputs import (
    BINARY,
    CERTAIN,
    MulticlassOutput,
    RegressionOutput,
    output_of_target,
    recorded_output,
)

THREE = MulticlassOutput(("low", "middle", "high"))
RATING = RegressionOutput((1, 9))


def test_two_classes_move_by_their_logit_and_towards_their_label():
    before, after = (BINARY.outputs(np.array(p), 2)[0] for p in ([0.5, 0.5], [0.75, 0.75]))
    y, log3 = np.array([1, 0], np.int8), np.log(3)
    assert BINARY.changed(before, after) == pytest.approx([log3, log3])
    assert BINARY.gained(y, before, after) == pytest.approx([log3, -log3])
    assert [(name, list(those)) for name, those in BINARY.groups(y)] == [
        *(("high", [True, False]), ("low", [False, True])),
    ]


def test_two_targets_of_one_model_have_an_output_each():
    p = np.array([[0.5, 0.75], [0.5, 0.25], [1.0, 0.0]])
    outputs = BINARY.outputs(p, 3)
    assert outputs.shape == (2, 3, 1)
    assert outputs[1, :2, 0] == pytest.approx([np.log(3), -np.log(3)])
    assert outputs[0, 2, 0] == pytest.approx(-np.log(CERTAIN), rel=1e-4)  # certain, and still finite


def test_several_classes_move_by_the_mean_over_classes_and_towards_the_true_one():
    before, after = (THREE.outputs(np.array(p), 2)[0] for p in ([[0.5, 0.25, 0.25]] * 2, [[0.25, 0.25, 0.5]] * 2))
    log2 = np.log(2)
    assert THREE.changed(before, after) == pytest.approx([2 / 3 * log2] * 2)
    assert THREE.gained(np.array([0, 2]), before, after) == pytest.approx([-log2, log2])
    assert THREE.gained(np.array([1, 1]), before, after) == pytest.approx([0, 0])


def test_a_class_of_no_probability_has_a_finite_output():
    output = THREE.outputs(np.array([[1.0, 0.0, 0.0]]), 1)
    assert output.shape == (1, 1, 3)
    assert output[0, 0] == pytest.approx([0, np.log(CERTAIN), np.log(CERTAIN)])


def test_a_rating_moves_in_its_own_units_and_gains_what_its_error_loses():
    before, after = (RATING.outputs(np.array(y_hat), 3)[0] for y_hat in ([4.0, 4.0, 4.0], [6.0, 6.0, 2.0]))
    assert RATING.changed(before, after) == pytest.approx([2, 2, 2])
    assert RATING.gained(np.array([6.0, 5.0, 3.0]), before, after) == pytest.approx([2, 0, 0])
    assert RATING.gained(np.array([8.0, 3.0, 2.0]), before, after) == pytest.approx([2, -2, 2])
    assert [list(those) for _, those in RATING.groups(np.array([5.0, 4.9]))] == [[True, False], [False, True]]


def test_a_greater_error_is_a_loss_and_so_is_a_smaller_score():
    before, after = {"ccc": 0.75, "mae": 1.0}, {"ccc": 0.5, "mae": 1.5}
    assert RATING.losses(before, after) == {"ccc_drop": 0.25, "mae_rise": 0.5}
    assert RATING.losses(after, before) == {"ccc_drop": -0.25, "mae_rise": -0.5}


def test_scores_are_those_of_the_tasks():
    y = np.array([3.0, 5.0, 7.0])
    assert RATING.compute_scores(y, y[:, None]) == pytest.approx({"ccc": 1, "mae": 0})
    assert RATING.compute_scores(y, y[::-1, None] + 1)["mae"] == pytest.approx((5 + 1 + 3) / 3)
    p = np.array([[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.5, 0.1, 0.4]])
    assert THREE.compute_scores(np.arange(3), np.log(p)) == pytest.approx({"auc": 1, "accuracy": 2 / 3})
    assert np.isnan(RATING.compute_scores(np.full(3, 5.0), y[:, None])["ccc"])
    assert np.isnan(THREE.compute_scores(np.zeros(3, int), np.log(p))["auc"])


def test_what_is_undefined_for_want_of_labels_is_in_words():
    y, all_three = np.array([0, 2]), np.array([0, 1, 2])
    assert list(THREE.notes(all_three, all_three)) == []
    assert list(THREE.notes(y, all_three)) == ["no windows of class middle are used: AUC is the mean over the others"]
    assert list(THREE.notes(np.array([2, 2]), y)) == [
        "all windows used are of class high: AUC is undefined",
        "no training windows are of class middle, so the model cannot predict it",
    ]
    assert list(RATING.notes(np.array([5.5, 5.5]), y)) == ["all windows used are rated 5.5: CCC is undefined"]
    assert list(RATING.notes(np.array([5.5, 5.0]), y)) == []
    assert list(BINARY.notes(np.array([1, 1]), y)) == []


def test_what_explain_json_says_gives_the_output_back():
    targets = [
        (Target("valence", "multiclass", "4,6", ("valence",), ((1, 9),), THREE.classes), THREE),
        (Target("stress", "regression", "", ("stress",), ((0, 100),), ()), RegressionOutput((0, 100))),
    ]
    for target, output in targets:
        assert output_of_target(target) == output
        assert recorded_output(target.task, output.about) == output
    assert output_of_target(Target("valence", "binary", ">=5", ("valence",), ((1, 9),), ("low", "high"))) is BINARY
    with pytest.raises(ValueError, match="task: expected multiclass or regression, found 'ranking'"):
        recorded_output("ranking", {})
    with pytest.raises(ValueError, match="classes: expected at least two names, found 'low'"):
        recorded_output("multiclass", {"classes": "low"})


def test_quadrants_are_spelt_out():
    quadrants = MulticlassOutput(("LVLA", "HVLA", "LVHA", "HVHA"))
    assert "V and A valence and arousal" in quadrants.words.scales
    assert "valence" not in THREE.words.scales

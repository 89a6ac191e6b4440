"""The score that settings are chosen by is the report's, and is undefined where nothing can be compared."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from gbvnet.evaluation.targets import Target
from gbvnet.evaluation.tuning_score import has_score, tuning_score

BINARY = Target("valence", "binary", ">=5", ("valence",), ((1, 9),), ("low", "high"))
CLASSES = Target("valence", "multiclass", "3,7", ("valence",), ((1, 9),), ("low", "middle", "high"))
NUMBER = Target("valence", "regression", "", ("valence",), ((1, 9),), ())


def test_classes_have_balanced_accuracy():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 40), rng.random(40)
    assert tuning_score(BINARY, y, p) == pytest.approx(balanced_accuracy_score(y, p >= 0.5))
    y, p = rng.integers(0, 3, 40), rng.dirichlet(np.ones(3), 40)
    assert tuning_score(CLASSES, y, p) == pytest.approx(balanced_accuracy_score(y, p.argmax(axis=1)))


def test_always_the_majority_class_scores_one_half_of_two():
    assert tuning_score(BINARY, np.r_[np.zeros(9), 1].astype(int), np.zeros(10)) == 0.5


def test_numbers_have_ccc():
    y = np.array([1.0, 3.0, 5.0, 9.0])
    assert tuning_score(NUMBER, y, y) == pytest.approx(1)
    assert tuning_score(NUMBER, y, y + 2) < 0.9
    assert tuning_score(NUMBER, y, np.full(4, 5.0)) == 0


def test_a_side_whose_labels_are_all_alike_has_no_score():
    assert np.isnan(tuning_score(BINARY, np.ones(4, int), np.ones(4)))
    assert has_score([0, 1], [0, 1]) and not has_score([0, 0], [0, 1]) and not has_score([0, 1], [1, 1])

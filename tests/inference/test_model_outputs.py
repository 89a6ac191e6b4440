"""What a model's numbers mean: values from outputs of the network, names, words, and metadata that are refused."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

from gbvnet.inference.model_outputs import column_name, model_outputs
from gbvnet.inference.prediction import with_smooth

STRESS = {"targets": ["stress"], "task": "multiclass", "rule": "classes", "classes": ["none", "some", "very much"]}
PLEASURE = {"targets": ["pleasure"], "task": "regression", "scales": [[0, 100]]}
BOTH = {"targets": ["valence", "arousal"], "task": "binary", "rule": ">=5", "scales": [[1, 9], [1, 9]]}


def table(outputs, values):
    n = len(values)
    return pd.DataFrame(
        {"start_s": np.arange(n, dtype=float), "stop_s": np.arange(n) + 1.0}
        | dict(zip(outputs.names, values.T, strict=True))
    )


def test_of_two_classes_the_probability_of_high_is_given():
    outputs = model_outputs(BOTH, 2)
    x = np.array([[0.0, 2.0], [-1.0, 1.0]])
    assert outputs.values(x) == pytest.approx(expit(x))
    assert (outputs.names, outputs.limits, outputs.middle) == (("valence", "arousal"), (0, 1), 0.5)
    assert outputs.quantity == "probability that the rating is 5 or more of 9"
    assert outputs.summary(table(outputs, expit(x))) == "valence high in 50%, arousal high in 100% of them"


def test_of_several_classes_each_has_a_column():
    outputs = model_outputs(STRESS, 3)
    x = np.array([[0.0, 2.0, 1.0], [3.0, 1.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.0, 9.0]])
    assert outputs.values(x) == pytest.approx(softmax(x, axis=1))
    assert outputs.names == ("stress_none", "stress_some", "stress_very_much")
    assert outputs.labels == ("none", "some", "very much") and outputs.middle is None
    assert outputs.explanation == "The probabilities of the 3 classes of a window add up to 1."
    words = "stress most likely none in 50%, some in 25% and very much in 25% of them"
    assert outputs.summary(table(outputs, softmax(x, axis=1))) == words


def test_a_rating_is_in_its_own_units_and_within_its_scale():
    outputs = model_outputs(PLEASURE, 1)
    assert outputs.values(np.array([[-1.0], [0.0], [0.5], [3.0]]))[:, 0].tolist() == [0, 50, 75, 100]
    assert (
        outputs.quantity == "predicted pleasure (scale 0 to 100)"
        and outputs.middle == 50
        and outputs.ticks == (0, 50, 100)
    )
    assert outputs.summary(table(outputs, np.array([[20.0], [60.0]]))) == "pleasure 40.0 on average, from 20.0 to 60.0"
    assert outputs.summary(table(outputs, np.array([[np.nan]]))) == "pleasure in none of them"


def test_smoothed_classes_add_up_to_one_and_smoothed_ratings_are_plain_means():
    outputs = model_outputs(STRESS, 3)
    values = softmax(np.random.default_rng(0).normal(size=(6, 3)), axis=1)
    values[2] = np.nan
    smooth = with_smooth(table(outputs, values), outputs, 3.0)[[f"{name}_smooth" for name in outputs.names]].to_numpy()
    assert smooth[[0, 1, 3, 4, 5]].sum(axis=1) == pytest.approx(1) and np.isnan(smooth[2]).all()
    assert smooth[4] == pytest.approx(softmax(np.log(values[3:6]).mean(axis=0)))
    outputs = model_outputs(PLEASURE, 1)
    smooth = with_smooth(table(outputs, np.array([[10.0], [20.0], [60.0]])), outputs, 3.0)["pleasure_smooth"]
    assert smooth.tolist() == pytest.approx([15, 30, 40])


def test_a_model_of_an_earlier_version_has_two_classes():
    outputs = model_outputs({"targets": ["valence"], "threshold": ">5"}, 1)
    assert outputs.task == "binary" and outputs.quantity == "probability that the rating is above 5 of 9"
    other = model_outputs({"targets": ["pleasure"], "task": "binary", "rule": ">=50", "scales": [[0, 100]]}, 1)
    assert other.quantity == "probability that the rating is high (rating >= 50, on a scale from 0 to 100)"


@pytest.mark.parametrize(
    ("about", "n", "message"),
    [
        (STRESS, 4, "3 classes for 4 outputs"),
        (BOTH, 1, "valence, arousal for 1 outputs"),
        (PLEASURE, 2, "a rating for 2 outputs"),
        (PLEASURE | {"scales": []}, 1, "scales: expected the lowest and the highest rating"),
        (PLEASURE | {"scales": [[9, 1]]}, 1, "scales: expected the lowest and the highest rating"),
        (STRESS | {"classes": ["a b", "a-b", "c"]}, 3, "give the same names of columns"),
        (STRESS | {"task": "ranking"}, 3, "task"),
        (STRESS | {"targets": ["<b>"]}, 3, r"targets\[0\]"),
    ],
)
def test_metadata_that_do_not_fit_the_network_are_refused(about, n, message):
    with pytest.raises(ValueError, match=message):
        model_outputs(about, n)


@pytest.mark.parametrize(
    ("label", "name"), [("3 to below 7", "valence_3_to_below_7"), ("HVLA", "valence_HVLA"), ("!", "valence_class")]
)
def test_names_of_columns_need_no_quotes(label, name):
    assert column_name("valence", label) == name

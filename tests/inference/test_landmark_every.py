"""How often a prediction detects landmarks: as the model's store was prepared, or as it is wanted."""

import pytest

from gbvnet.config import PrepareConfig
from gbvnet.errors import BadConfig
from gbvnet.inference.predictor import ModelInput, Predictor
from gbvnet.preprocessing.face_features import EXPRESSIONS


def predictor(features=(), **prepare):
    made = object.__new__(Predictor)  # its network is not needed
    made.input = ModelInput(PrepareConfig(**prepare), (), 128.0, 128, 10, 64, 3.0, features)
    return made


def test_a_model_remembers_how_its_store_was_prepared():
    trained = predictor(landmark_every=3)
    assert trained.with_landmark_every(None).input.face_settings.landmark_every == 3
    assert predictor().input.face_settings.landmark_every == 1


def test_another_number_is_that_of_the_copy_alone():
    trained = predictor(landmark_every=3)
    assert trained.with_landmark_every(2).input.face_settings.landmark_every == 2
    assert trained.input.face_settings.landmark_every == 3


def test_numbers_that_cannot_be_are_refused():
    with pytest.raises(BadConfig, match="landmark_every must be 1 to 10, not 0"):
        predictor().with_landmark_every(0)
    with pytest.raises(BadConfig, match="reads features of the face in every frame"):
        predictor(EXPRESSIONS).with_landmark_every(2)
    assert predictor(EXPRESSIONS).with_landmark_every(1).input.face_settings.landmark_every == 1

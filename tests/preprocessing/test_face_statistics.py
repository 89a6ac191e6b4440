"""Faces that are unlike those of a training: darker, flatter or more blurred; and models that do not know theirs."""

import cv2
import numpy as np
import pytest

from gbvnet.config import CrossvalConfig
from gbvnet.inference.prediction import far_from_training_warning
from gbvnet.preprocessing.face_statistics import KEY, MAX_WINDOWS, MEASURES, far, measure, summarise
from gbvnet.systems.gbvnet import model_metadata

from ..synthetic_store import write_store


def faces(n=40, seed=0, gain=1.0, blur=0):
    """(n, 3, 32, 32, 3) smooth textures about a middle grey, each in a slightly other light."""
    rng = np.random.default_rng(seed)
    made = np.empty((n, 3, 32, 32, 3), np.uint8)
    for k in range(n):
        texture = cv2.GaussianBlur(rng.normal(0, 60, (32, 32, 3)), (0, 0), 1.0)
        lit = gain * (110 + rng.normal(0, 8) + texture)
        made[k] = np.clip(cv2.GaussianBlur(lit, (0, 0), blur) if blur else lit, 0, 255)
    return made, np.ones((n, 3), bool)


@pytest.fixture(scope="module")
def about():
    return {KEY: summarise(measure(*faces()))}


def test_measures_of_a_known_face():
    plain = np.full((1, 2, 8, 8, 3), 100, np.uint8)
    assert measure(plain, np.ones((1, 2), bool))[0] == pytest.approx([100, 0, 0], abs=1e-3)
    board = np.indices((8, 8)).sum(axis=0) % 2 * 200
    chequered = np.repeat(board[None, None, :, :, None], 3, axis=4).astype(np.uint8)
    # half of the pixels 0 and half 200: SD 100; each differs from its four neighbours by 200
    assert measure(chequered, np.ones((1, 1), bool))[0] == pytest.approx([100, np.log(101), np.log(801)], abs=1e-3)


def test_frames_without_a_face_count_for_nothing():
    pictures, ok = faces(2)
    whole = measure(pictures[:, :1], ok[:, :1])
    pictures[0, 1:], ok[0, 1:] = 0, False
    ok[1] = False
    measured = measure(pictures, ok)
    assert measured[0] == pytest.approx(whole[0]) and np.isnan(measured[1]).all()


def test_like_faces_are_not_far_and_others_are_by_name(about):
    assert set(far(measure(*faces(seed=1)), about)) == {""}
    assert all("face brightness" in words for words in far(measure(*faces(seed=1, gain=0.05)), about))
    assert all("face sharpness" in words for words in far(measure(*faces(seed=1, blur=6)), about))
    grey = np.full((2, 3, 32, 32, 3), 110, np.uint8), np.ones((2, 3), bool)
    assert far(measure(*grey), about) == ["face contrast face sharpness"] * 2
    assert far(np.full((1, 3), np.nan), about) == [""]


@pytest.mark.parametrize("kept", [None, [], {}, {m: 1 for m in MEASURES}, {m: [0, "x"] for m in MEASURES},
                                  {m: [0, float("nan")] for m in MEASURES}])  # fmt: skip
def test_a_model_that_does_not_know_its_faces_flags_none(kept):
    assert far(measure(*faces(2, gain=0.05)), {} if kept is None else {KEY: kept}) == ["", ""]


def test_a_training_in_one_light_does_not_flag_each_other_light():
    one = np.repeat(faces(1)[0], 10, axis=0), np.ones((10, 3), bool)
    kept = {KEY: summarise(measure(*one))}
    lighter = np.clip(one[0].astype(int) + 15, 0, 255).astype(np.uint8)
    assert set(far(measure(lighter, one[1]), kept)) == {""}


def test_the_count_of_far_windows_is_a_warning():
    assert far_from_training_warning(["", "no face", "flat: Cz"]) == ""
    assert far_from_training_warning(["far from training: GSR1", "no face", ""]).startswith(
        "1 of 3 windows are far from the training"
    )


@pytest.mark.journey
def test_a_model_keeps_the_statistics_of_its_training_rows_alone(tmp_path, monkeypatch):
    store = write_store(tmp_path / "store")
    rows = np.arange(0, len(store), 3)
    pictures, ok, _ = store.read(rows, signals=False)
    made = model_metadata(store, CrossvalConfig(target="valence"), rows)[KEY]
    assert made == summarise(measure(pictures, ok))
    assert KEY not in model_metadata(store, CrossvalConfig(target="valence", modality="bio"), rows)
    assert MAX_WINDOWS >= 64
    monkeypatch.setattr("gbvnet.preprocessing.face_statistics.MAX_WINDOWS", 2)
    few = model_metadata(store, CrossvalConfig(target="valence"), rows)[KEY]
    assert few == summarise(measure(pictures[[0, -1]], ok[[0, -1]]))

"""Features of a face: the head pose of a matrix, and which frame of a corpus' features is whose."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gbvnet.datasets.recording import FaceFeatures
from gbvnet.errors import BadConfig, BadRecording
from gbvnet.io.video import probe, read_frames
from gbvnet.preprocessing.face_features import (
    EXPRESSIONS,
    HEAD_POSE,
    MEDIAPIPE_FEATURES,
    feature_groups,
    features_of_windows,
    head_pose,
)
from gbvnet.preprocessing.face_windows import FaceSettings, FaceWindows
from gbvnet.preprocessing.landmarks import open_landmarker
from gbvnet.preprocessing.windowing import frame_times

from .face_fixtures import sample


@pytest.mark.parametrize("angles", [(0.1, -0.2, 0.3), (-1.2, 1.4, 2.8), (0, 0, 0), (0.5, -1.5, -3)])
def test_the_head_pose_is_that_of_scipy(angles):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix()  # about fixed axes: first x, last z
    matrix[:3, 3] = 1.5, -2, -40
    pose = head_pose(matrix)
    assert pose.dtype == np.float32 and pose == pytest.approx([*angles, 1.5, -2, -40], abs=1e-5)


def test_each_frame_is_the_nearest_one_within_half_a_period():
    times = np.array([0.0, 0.12, 0.21, 0.5, 0.61, 0.7, 0.8, 0.9, 1.04, 1.1])
    values = np.stack([np.arange(10.0), 10 * np.arange(10.0)], axis=1)
    features, ok = features_of_windows(FaceFeatures(times, values), np.array([0.0, 0.5]), 0.5, 5, "a")
    assert features.shape == (2, 5, 2) and features.dtype == np.float32
    assert ok.tolist() == [[True, True, True, False, False], [True] * 5]  # at 0.3 and 0.4 the nearest are 90 ms away
    assert features[0, :3, 0].tolist() == [0, 1, 2] and features[1, :, 1].tolist() == [30, 40, 50, 60, 70]
    assert np.isnan(features[~ok]).all()


@pytest.mark.parametrize("rate_hz", [5.0, 38.0, 200.0])
def test_frames_at_uneven_times_agree_with_a_search_by_brute_force(rate_hz):
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(0.8, 1.2, 400) / rate_hz)
    values = rng.normal(size=(400, 3))
    values[rng.random(400) < 0.1, 1] = np.nan  # a value that is missing
    starts = np.arange(4.0)
    features, ok = features_of_windows(FaceFeatures(times, values), starts, 1.0, 10, "a")
    limit = max(0.1, np.median(np.diff(times))) / 2
    for w, f in np.ndindex(4, 10):
        wanted = frame_times(starts, 1.0, 10)[w, f]
        nearest = np.abs(times - wanted).argmin()
        expected = np.abs(times[nearest] - wanted) <= limit and np.isfinite(values[nearest]).all()
        assert ok[w, f] == expected
        assert not expected or np.array_equal(features[w, f], values[nearest].astype(np.float32))


def test_no_frame_at_all_is_no_face():
    features, ok = features_of_windows(FaceFeatures(np.empty(0), np.empty((0, 4))), np.arange(2.0), 1.0, 3, "a")
    assert features.shape == (2, 3, 4) and not ok.any()


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        ([0, 0.1, 0.1], np.zeros((3, 2)), "at times that increase"),
        ([0, np.nan, 0.1], np.zeros((3, 2)), "at times that increase"),
        ([0, 0.1], np.zeros((3, 2)), r"shapes \(2,\) and \(3, 2\)"),
    ],
)
def test_features_that_are_none_are_refused(times, values, message):
    with pytest.raises(BadRecording, match=message):
        features_of_windows(FaceFeatures(np.array(times), values), np.arange(2.0), 1.0, 3, "a")


def test_features_that_belong_together_have_one_group():
    groups = feature_groups(MEDIAPIPE_FEATURES)
    assert {*groups} == {"neutral", "brow", "cheek", "eye", "gaze", "jaw", "mouth", "nose", "head"}
    assert [MEDIAPIPE_FEATURES[k] for k in groups["jaw"]] == ["jawForward", "jawLeft", "jawOpen", "jawRight"]
    assert sorted(k for places in groups.values() for k in places) == [*range(58)]
    others = ("gaze_0_x", "gaze_0_y", "pose_Rx", "AU01_r", "AU01_c", "AU12_r")
    assert feature_groups(others) == {"gaze": [0, 1], "pose": [2], "AU01": [3, 4], "AU12": [5]}


def test_another_back_end_gives_no_head_pose():
    with pytest.raises(BadConfig, match="dlib gives no head pose"):
        open_landmarker("dlib", pose=True)


@pytest.mark.journey
@pytest.mark.parametrize("name", ["face_expressions.mp4", "head_turning.mp4"])
def test_features_of_a_film_are_mediapipe_s_own(name):
    """The oracle is MediaPipe called here by hand, and SciPy for the angles."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    from gbvnet.io.landmark_model import landmark_model_path

    video = sample(name)
    info = probe(video)
    windows = FaceWindows(video, np.arange(2.0), FaceSettings(1.0, 5, 32, kept="features"), info=info)
    parts = list(windows)
    features = np.concatenate([p.features for p in parts]).reshape(10, len(MEDIAPIPE_FEATURES))
    assert all(p.faces is None and p.expression is None for p in parts) and windows.n_missing == 0
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(landmark_model_path())),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    numbers, _ = info.frames_at(frame_times(np.arange(2.0), 1.0, 5).ravel())
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for k, (index, rgb) in enumerate(read_frames(video, numbers, info=info)):
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)
            result = landmarker.detect_for_video(image, round(info.time_s(index) * 1000))
            expression = [c.score for c in result.face_blendshapes[0]]
            matrix = result.facial_transformation_matrixes[0]
            angles = Rotation.from_matrix(matrix[:3, :3]).as_euler("xyz")
            assert features[k, : len(EXPRESSIONS)] == pytest.approx(expression, abs=1e-6)
            assert features[k, -len(HEAD_POSE) :] == pytest.approx([*angles, *matrix[:3, 3]], abs=1e-3)

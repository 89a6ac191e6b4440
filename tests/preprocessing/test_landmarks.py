"""Landmarks lie where iBUG has them, whatever the back-end, and real faces are detected."""

import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from gbvnet.errors import BadConfig, BadModel, GbvnetError
from gbvnet.preprocessing import landmarks
from gbvnet.preprocessing.face_features import EXPRESSIONS

from .face_fixtures import find_once, need_model, portrait, sample, track_faces


def test_an_unknown_back_end_is_refused():
    with pytest.raises(BadConfig, match="no landmark back-end 'dilb'; there are mediapipe, dlib, fan"):
        landmarks.open_landmarker("dilb")


@pytest.mark.parametrize(("extra", "package"), [("dlib", "dlib"), ("fan", "face_alignment")])
def test_an_absent_package_names_the_extra(extra, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"landmarks from {extra} need the package {package}: pip install 'gbvnet\[{extra}\]'"
    with pytest.raises(GbvnetError, match=message), landmarks.open_landmarker(extra):
        pass


def test_an_absent_landmark_model_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setenv("GBVNET_CACHE", str(tmp_path))
    with pytest.raises(BadModel, match="Run `gbvnet weights`"), landmarks.open_landmarker("mediapipe"):
        pass


@pytest.mark.journey
def test_landmarks_lie_where_ibug_has_them():
    need_model()
    x, y = find_once(portrait()).landmarks.T
    assert (np.diff(x[:17]) > 0).all()  # the jaw from the subject's right to left
    assert y[8] == y[:17].max()  # its middle is the chin
    assert (np.diff(x[17:27]) > 0).all()  # eyebrows
    assert (np.diff(y[27:31]) > 0).all()  # down the nose
    assert (np.diff(x[31:36]) > 0).all()
    for eye, brow in ((slice(36, 42), slice(17, 22)), (slice(42, 48), slice(22, 27))):
        assert x[eye][0] == x[eye].min()
        assert x[eye][3] == x[eye].max()
        assert y[eye][1:3].max() < y[eye][4:6].min()  # upper lid above lower lid
        assert y[brow].max() < y[eye].min()
    assert y[33] < y[51] < y[62] <= y[66] < y[57] < y[8]  # nose, lips from outside in and out again, chin
    assert x[48] == x[48:].min()
    assert x[54] == x[48:].max()


@pytest.mark.journey
def test_a_mirrored_face_gives_mirrored_landmarks():
    need_model()
    rgb = portrait()
    plain = find_once(rgb).landmarks
    mirrored = find_once(np.ascontiguousarray(rgb[:, ::-1])).landmarks
    order = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1)]
    order += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    order += [*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
    back = mirrored[order] * [-1, 1] + [rgb.shape[1], 0]
    eyes = np.linalg.norm(plain[36:42].mean(0) - plain[42:48].mean(0))
    assert np.abs(back - plain)[17:].max() < 0.08 * eyes


@pytest.mark.journey
def test_mediapipes_expressions_are_in_the_order_of_our_names():
    need_model()
    with landmarks.open_landmarker("mediapipe") as landmarker:
        landmarker.find(portrait(), 0.0)
        image = landmarker.mediapipe.Image(image_format=landmarker.mediapipe.ImageFormat.SRGB, data=portrait())
        result = landmarker.landmarker.detect_for_video(image, 100)
    assert tuple(c.category_name for c in result.face_blendshapes[0]) == EXPRESSIONS
    assert [c.index for c in result.face_blendshapes[0]] == list(range(52))


@pytest.mark.journey
def test_a_face_that_jumps_is_detected_again_at_once():
    need_model()
    small = cv2.resize(portrait(), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    left, right = np.zeros((2, 360, 800, 3), np.uint8)
    left[:, :300] = small[:360, :300]
    right[:, 500:] = small[:360, :300]
    with landmarks.open_landmarker("mediapipe") as landmarker:
        faces = [landmarker.find(frame, i / 5) for i, frame in enumerate((left, left, right, left))]
    middles = [face.landmarks[17:, 0].mean() for face in faces]
    np.testing.assert_allclose(np.diff(middles), [0, 500, -500], atol=15)


@pytest.mark.journey
def test_mediapipe_says_nothing_on_the_terminal(capfd):
    need_model()
    find_once(portrait())
    assert capfd.readouterr() == ("", "")


@pytest.mark.journey
def test_mediapipe_says_nothing_in_a_process_that_is_new():
    """It writes some lines once a process."""
    need_model()
    code = (
        "from gbvnet.preprocessing.landmarks import open_landmarker\n"
        "from tests.preprocessing.face_fixtures import portrait\n"
        "picture = portrait()\n"
        "with open_landmarker('mediapipe') as opened:\n"
        "    opened.find(picture, 0.0)\n"
        "    for k in range(20): opened.all_faces(picture[: -1 - k].copy())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")


def test_dlib_sees_the_same_face_as_mediapipe():
    """Two detectors that have nothing in common; only where dlib's extra is installed."""
    pytest.importorskip("dlib")
    video = sample("face_expressions.mp4")
    by_mediapipe, by_dlib = (track_faces(video, range(0, 100, 20), 112, backend) for backend in ("mediapipe", "dlib"))
    assert by_dlib.ok.all()
    assert by_dlib.expression is None
    assert np.abs(by_mediapipe.crops.astype(float) - by_dlib.crops).mean() < 20
    for one, other in zip(by_mediapipe.crops, by_dlib.crops, strict=True):
        (dx, dy), response = cv2.phaseCorrelate(*(c.mean(2).astype(np.float32) for c in (one, other)))
        assert response > 0.3
        assert abs(dx) < 4
        assert abs(dy) < 4


def test_of_several_faces_fan_gives_the_largest(monkeypatch):
    class FaceAlignment:
        def __init__(self, kind, device):
            assert (kind, device) == ("2D", "cpu")

        def get_landmarks_from_image(self, rgb):
            if rgb.any():
                return [mean * 30, mean * 90, mean * 60]
            warnings.warn("No faces were detected.", stacklevel=1)  # as the real one does, for each frame
            return None

    mean = np.random.default_rng(0).random((68, 2)).astype(np.float32)
    module = SimpleNamespace(FaceAlignment=FaceAlignment, LandmarksType=SimpleNamespace(TWO_D="2D"))
    monkeypatch.setitem(sys.modules, "face_alignment", module)
    no_gpu = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "torch", no_gpu)  # the real one takes seconds to import
    with landmarks.open_landmarker("fan") as landmarker:
        face = landmarker.find(np.ones((99, 99, 3), np.uint8), 0.0)
        assert landmarker.find(np.zeros((99, 99, 3), np.uint8), 0.1) is None
    np.testing.assert_allclose(face.landmarks, mean * 90 + 0.5, rtol=1e-6)
    assert face.expression is None


@pytest.mark.journey
def test_no_face_is_detected_where_there_is_none():
    video = sample("no_face.mp4")
    track = track_faces(video, range(0, 95, 4), 64)
    assert not track.ok.any()
    assert not track.crops.any()
    assert not track.expression.any()


@pytest.mark.journey
def test_a_face_is_detected_through_expressions_and_they_are_measured():
    video = sample("face_expressions.mp4")
    track = track_faces(video, range(0, 472, 12), 64)  # 0.5 s apart
    assert track.ok[:8].all()  # before the hand comes up
    assert track.ok[18:].all()  # after it is gone
    blink, teeth = (track.expression[:, EXPRESSIONS.index(n)] for n in ("eyeBlinkLeft", "mouthUpperUpLeft"))
    assert blink[:8].min() > 0.5 > 0.4 > blink[13:19].max()  # eyes closed in grief, then open
    assert teeth[:8].max() < 0.2 < 0.6 < teeth[25:].min()  # lips closed, then laughing
    assert track.expression.min() >= 0
    assert track.expression.max() <= 1


@pytest.mark.journey
def test_a_turning_head_is_followed_and_faces_the_way_it_does_in_the_video():
    video = sample("head_turning.mp4")
    track = track_faces(video, range(23), 112)
    assert track.ok.all()
    # At first it looks to the left of the picture, where the wall is bright; the hair at the right is dark.
    assert track.crops[0, 30:90, :15].mean() > track.crops[0, 30:90, -15:].mean() + 30


@pytest.mark.journey
def test_the_same_video_gives_the_same_bytes_twice_and_with_more_decoder_threads():
    video = sample("deap_like_720x576_50fps.avi")
    once, again, threads = (track_faces(video, range(0, 150, 5), 64, threads=t) for t in (1, 1, 2))
    for other in (again, threads):
        assert once.crops.tobytes() == other.crops.tobytes()
        assert once.expression.tobytes() == other.expression.tobytes()


@pytest.mark.journey
def test_eyes_stay_in_place_through_a_video():
    """Landmarks are looked for again in the aligned pictures: wherever the head went, eyes are where they belong."""
    track = track_faces(sample("face_expressions.mp4"), range(0, 472, 24), 256)
    again = [find_once(crop) for crop in track.crops[track.ok]]
    eyes = np.array([[f.landmarks[36:42].mean(0), f.landmarks[42:48].mean(0)] for f in again if f]) / 256  # (n, 2, 2)
    assert len(eyes) > 15
    error = np.abs(eyes - [[0.5 - 22 / 112, 0.36], [0.5 + 22 / 112, 0.36]])
    assert np.median(error) < 0.02
    assert np.quantile(error, 0.9) < 0.06

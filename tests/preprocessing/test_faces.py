"""Faces are aligned by a transform that can be checked by hand, gaps are filled by the rule, real faces are found."""

import os
import subprocess
import sys
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import av
import cv2
import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from gbvnet.errors import BadConfig, BadModel, BadRecording, GbvnetError
from gbvnet.io.landmark_model import landmark_model
from gbvnet.preprocessing import faces
from gbvnet.preprocessing.faces import Face, align, nearest_good, similarity, track_faces

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
S = 112


def sample(name):
    """A real video, where the landmark model to look at it is there too."""
    if not (SAMPLES / name).exists():
        pytest.skip(f"{SAMPLES / name} is not here")
    need_model()
    return SAMPLES / name


def need_model():
    try:
        landmark_model()
    except BadModel as e:
        if "No such file" not in e.found:
            raise
        pytest.skip(str(e))


def rotation(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


def mean_landmarks(side=S):
    """(68, 2): where the mean face's landmarks lie in a picture of that side; the jaw is nowhere."""
    inner = faces.MEAN_SHAPE / 1000 * faces.EYE_DISTANCE + [0.5, faces.EYE_HEIGHT]
    return np.concatenate([np.full((17, 2), np.nan), inner * side])


# ---------------------------------------------------------------- the transform


def test_the_transform_of_a_turned_enlarged_shifted_square_is_found():
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    # A quarter turn takes (x, y) to (-y, x); then twice as large; then 3 to the right and 1 down.
    moved = np.array([[3.0, 1], [3, 3], [1, 3], [1, 1]])
    np.testing.assert_allclose(similarity(square, moved), [[0, -2, 3], [2, 0, 1]], atol=1e-12)


def test_the_transform_equals_opencvs_on_exact_points():
    points = np.random.default_rng(0).normal(size=(51, 2)) * 50 + 200
    target = points @ (0.3 * rotation(17)).T + [5, -8]
    expected, _ = cv2.estimateAffinePartial2D(points, target)
    np.testing.assert_allclose(similarity(points, target), expected, atol=1e-5)


def test_the_transform_is_the_least_squares_one_where_points_do_not_fit():
    rng = np.random.default_rng(1)
    points, target = rng.normal(size=(51, 2)), rng.normal(size=(51, 2))
    target += 3 * points @ rotation(40).T  # not exactly
    a, b = points - points.mean(0), target - target.mean(0)
    turn, scale = orthogonal_procrustes(a, b)  # SciPy's, by singular values
    expected = turn.T * scale / (a**2).sum()
    np.testing.assert_allclose(similarity(points, target)[:, :2], expected, atol=1e-12)


def test_a_mirror_image_is_never_fitted_by_mirroring():
    points = np.random.default_rng(2).normal(size=(51, 2))
    transform = similarity(points, points * [-1, 1])
    assert np.linalg.det(transform[:, :2]) > 0
    columns = transform[:, :2].T
    assert columns[0] @ columns[1] == pytest.approx(0)  # no shear
    assert np.linalg.norm(columns[0]) == pytest.approx(np.linalg.norm(columns[1]))


# ---------------------------------------------------------------- the picture


def test_eyes_are_44_pixels_apart_on_112_and_level():
    landmarks = mean_landmarks(112)
    right, left = landmarks[36:42].mean(0), landmarks[42:48].mean(0)
    np.testing.assert_allclose(left - right, [44, 0], atol=0.05)
    np.testing.assert_allclose((left + right) / 2, [56, 0.36 * 112], atol=0.05)


def test_the_mean_face_is_symmetric():
    mirror = [*range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1)]
    mirror += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    mirror += [*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
    shape = faces.MEAN_SHAPE
    np.testing.assert_allclose(shape[np.array(mirror) - 17], shape * [-1, 1], atol=1)


def test_a_face_that_lies_right_is_cut_out_pixel_for_pixel():
    frame = np.random.default_rng(0).integers(0, 256, (200, 220, 3), np.uint8)
    crop = align(frame, mean_landmarks() + np.array([30, 12]), S)
    np.testing.assert_array_equal(crop, frame[12 : 12 + S, 30 : 30 + S])


def test_a_face_twice_as_large_is_averaged_over_two_by_two_pixels():
    frame = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    crop = align(frame, 2 * mean_landmarks() + np.array([30, 12]), S)
    cut = frame[12 : 12 + 2 * S, 30 : 30 + 2 * S].astype(float)
    expected = cut.reshape(S, 2, S, 2, 3).mean((1, 3))
    assert np.abs(crop - expected).max() <= 1


def test_a_fine_pattern_does_not_alias():
    frame = np.zeros((600, 600, 3), np.uint8)
    frame[:, ::2] = 200  # lines of one pixel: at a quarter of the size nothing but their mean is left
    crop = align(frame, 4.4 * mean_landmarks(64) @ rotation(5).T + [150, 100], 64)
    assert np.abs(crop[8:-8, 8:-8].astype(float) - 100).max() < 12


@pytest.mark.parametrize("degrees", [0, 25, -40, 180])
@pytest.mark.parametrize("scale", [0.6, 1.0, 3.3])
def test_a_turned_and_scaled_face_comes_out_upright_and_not_mirrored(degrees, scale):
    landmarks = scale * mean_landmarks() @ rotation(degrees).T
    landmarks -= np.nanmin(landmarks, axis=0) - 60 * scale
    frame = np.zeros((500, 500, 3), np.uint8)
    for at, colour in ((36, (255, 0, 0)), (45, (0, 255, 0)), (57, (0, 0, 255))):  # right eye, left eye, lower lip
        cv2.circle(frame, np.round(landmarks[at] - 0.5).astype(int).tolist(), round(4 * scale), colour, -1)
    crop = align(frame, landmarks, S)
    for channel, at in ((0, 36), (1, 45), (2, 57)):
        y, x = np.nonzero(crop[..., channel] > 127)
        np.testing.assert_allclose([x.mean() + 0.5, y.mean() + 0.5], mean_landmarks()[at], atol=1.0)
    assert mean_landmarks()[36, 0] < 56 < mean_landmarks()[45, 0]  # the person's right eye is to the left


def test_what_lies_outside_the_frame_is_black():
    frame = np.full((100, 100, 3), 200, np.uint8)
    crop = align(frame, mean_landmarks() + np.array([50, 0]), S)
    assert (crop[:, :50] > 0)[:99].all()
    assert not crop[:, 51:].any()


# ---------------------------------------------------------------- missing faces


def test_a_gap_takes_the_nearest_good_frame_within_a_second():
    ok = np.array([0, 0, 1, 0, 0, 0, 0, 1, 0, 0], bool)
    times = np.array([0.0, 0.5, 1.0, 1.4, 1.8, 2.1, 2.6, 3.0, 4.0, 4.1])
    # 0.0 is 1.0 s before frame 2, just near enough; 1.8 is nearer to frame 2, 2.1 to frame 7; 4.1 is too far away.
    assert nearest_good(ok, times).tolist() == [2, 2, 2, 2, 2, 7, 7, 7, 7, -1]


def test_of_two_good_frames_at_the_same_distance_the_earlier_is_taken():
    assert nearest_good(np.array([1, 0, 0, 0, 1], bool), np.array([0.1, 0.2, 0.3, 0.4, 0.5])).tolist() == [
        0,
        0,
        0,
        4,
        4,
    ]


def test_exactly_a_second_is_within_a_second_whatever_the_rounding():
    for k in range(200):
        times = np.array([k / 10, k / 10 + 1.0, (k + 20) / 10 + 0.1])
        assert nearest_good(np.array([1, 0, 0], bool), times).tolist() == [0, 0, -1]


def test_nothing_is_borrowed_where_no_face_was_found_or_there_is_no_frame():
    assert nearest_good(np.zeros(3, bool), np.arange(3.0)).tolist() == [-1, -1, -1]
    assert nearest_good(np.zeros(0, bool), np.zeros(0)).tolist() == []


# ---------------------------------------------------------------- through a video


@pytest.fixture
def grey_video(tmp_path):
    """20 frames at 10 fps, 128 x 128, frame i of the grey 10 * i."""
    path = tmp_path / "grey.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt = 128, 128, "yuv420p"
        for i in range(20):
            frame = np.full((128, 128, 3), 10 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def finder(monkeypatch):
    """A landmarker that finds the mean face in frames from the fifth on, and keeps the times it was asked for."""

    class Finder:
        times: ClassVar[list] = []

        def find(self, rgb, time_s):
            self.times.append(time_s)
            if rgb.mean() < 45:
                return None
            return Face(mean_landmarks(64), np.full(52, rgb.mean() / 255, np.float32))

    @contextmanager
    def opened(backend):
        yield Finder()

    Finder.times.clear()
    monkeypatch.setattr(faces, "open_landmarker", opened)
    return Finder


def test_each_frame_asked_for_is_looked_at_once_at_the_time_of_its_number(grey_video, finder):
    track = track_faces(grey_video, [3, 5, 5, 5, 8], 32)
    assert finder.times == [0.3, 0.5, 0.8]
    assert track.ok.tolist() == [False, True, True, True, True]
    np.testing.assert_allclose(track.crops[:, 16, 16, 0], [0, 50, 50, 50, 80], atol=4)
    np.testing.assert_allclose(track.expression[:, 0], np.array([0, 50, 50, 50, 80]) / 255, atol=0.02)
    assert track.crops.shape == (5, 32, 32, 3)
    assert track.finding is None


def test_frames_beyond_the_end_have_no_face_and_a_finding(grey_video, finder):
    track = track_faces(grey_video, [18, 19, 20, 25], 32)
    assert track.ok.tolist() == [True, True, False, False]
    assert track.n_decoded == 20
    assert "the video ends at 2.00 s" in track.finding


def test_no_frames_asked_for_give_an_empty_track(grey_video, finder):
    track = track_faces(grey_video, [], 32)
    assert track.crops.shape == (0, 32, 32, 3)


def test_indices_out_of_order_are_refused(grey_video, finder):
    with pytest.raises(ValueError, match="must be in order"):
        track_faces(grey_video, [3, 2], 32)


def test_a_file_that_is_no_video_is_refused(tmp_path, finder):
    (tmp_path / "a.avi").write_bytes(b"RIFF")
    with pytest.raises(BadRecording, match="expected a video"):
        track_faces(tmp_path / "a.avi", [0], 32)


# ---------------------------------------------------------------- back-ends


def test_an_unknown_back_end_is_refused():
    with pytest.raises(BadConfig, match="no landmark back-end 'dilb'; there are mediapipe, dlib, fan"):
        faces.open_landmarker("dilb")


@pytest.mark.parametrize(("extra", "package"), [("dlib", "dlib"), ("fan", "face_alignment")])
def test_an_absent_package_names_the_extra(extra, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"landmarks from {extra} need the package {package}: pip install 'gbvnet\[{extra}\]'"
    with pytest.raises(GbvnetError, match=message), faces.open_landmarker(extra):
        pass


def test_an_absent_landmark_model_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setenv("GBVNET_CACHE", str(tmp_path))
    with pytest.raises(BadModel, match="Run `gbvnet weights`"), faces.open_landmarker("mediapipe"):
        pass


def portrait():
    import matplotlib.cbook

    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        data = np.frombuffer(file.read(), np.uint8)
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def find_once(rgb):
    with faces.open_landmarker("mediapipe") as landmarker:
        return landmarker.find(rgb, 0.0)


def test_landmarks_lie_where_ibug_has_them():
    need_model()
    x, y = find_once(portrait()).landmarks.T
    assert (np.diff(x[:17]) > 0).all()  # the jaw from the person's right to left
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


def test_the_mean_face_fits_a_real_one():
    need_model()
    landmarks = find_once(portrait()).landmarks[17:]
    target = mean_landmarks()[17:]
    transform = similarity(landmarks, target)
    fitted = landmarks @ transform[:, :2].T + transform[:, 2]
    assert np.sqrt(((fitted - target) ** 2).sum(1).mean()) < 0.05 * S


def test_mediapipes_expressions_are_in_the_order_of_our_names():
    need_model()
    with faces.open_landmarker("mediapipe") as landmarker:
        landmarker.find(portrait(), 0.0)
        image = landmarker.mediapipe.Image(image_format=landmarker.mediapipe.ImageFormat.SRGB, data=portrait())
        result = landmarker.landmarker.detect_for_video(image, 100)
    assert tuple(c.category_name for c in result.face_blendshapes[0]) == faces.EXPRESSIONS
    assert [c.index for c in result.face_blendshapes[0]] == list(range(52))


def test_a_face_that_jumps_is_found_again_at_once():
    need_model()
    small = cv2.resize(portrait(), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    left, right = np.zeros((2, 360, 800, 3), np.uint8)
    left[:, :300] = small[:360, :300]
    right[:, 500:] = small[:360, :300]
    with faces.open_landmarker("mediapipe") as landmarker:
        found = [landmarker.find(frame, i / 5) for i, frame in enumerate((left, left, right, left))]
    middles = [face.landmarks[17:, 0].mean() for face in found]
    np.testing.assert_allclose(np.diff(middles), [0, 500, -500], atol=15)


def test_mediapipe_says_nothing_on_the_terminal(capfd):
    need_model()
    find_once(portrait())
    assert capfd.readouterr() == ("", "")


def test_stderr_is_put_back_though_two_threads_hush_it(capfd):
    first_began, second_began, first_ended = (threading.Event() for _ in range(3))

    def first():
        with faces.hushed_stderr("first"):
            first_began.set()
            second_began.wait(0.2)
        first_ended.set()

    def second():
        first_began.wait(5)
        with faces.hushed_stderr("second"):
            second_began.set()
            first_ended.wait(5)  # so that it ends last, with what it took for stderr

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    os.write(2, b"seen")
    assert capfd.readouterr().err == "seen"


def test_mediapipe_says_nothing_in_a_process_that_is_new():
    """It writes some lines once a process."""
    need_model()
    code = (
        "from gbvnet.preprocessing.faces import open_landmarker\n"
        "from tests.preprocessing.test_faces import portrait\n"
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
    ours, theirs = (track_faces(video, range(0, 100, 20), 112, backend) for backend in ("mediapipe", "dlib"))
    assert theirs.ok.all()
    assert theirs.expression is None
    assert np.abs(ours.crops.astype(float) - theirs.crops).mean() < 20
    for mine, other in zip(ours.crops, theirs.crops, strict=True):
        (dx, dy), response = cv2.phaseCorrelate(*(c.mean(2).astype(np.float32) for c in (mine, other)))
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
    with faces.open_landmarker("fan") as landmarker:
        face = landmarker.find(np.ones((99, 99, 3), np.uint8), 0.0)
        assert landmarker.find(np.zeros((99, 99, 3), np.uint8), 0.1) is None
    np.testing.assert_allclose(face.landmarks, mean * 90 + 0.5, rtol=1e-6)
    assert face.expression is None


# ---------------------------------------------------------------- real videos


def test_no_face_is_found_where_there_is_none():
    video = sample("no_face.mp4")
    track = track_faces(video, range(0, 95, 4), 64)
    assert not track.ok.any()
    assert not track.crops.any()
    assert not track.expression.any()


@pytest.mark.journey
def test_a_face_is_found_through_expressions_and_they_are_measured():
    video = sample("face_expressions.mp4")
    track = track_faces(video, range(0, 472, 12), 64)  # 0.5 s apart
    assert track.ok[:8].all()  # before the hand comes up
    assert track.ok[18:].all()  # after it is gone
    blink, teeth = (track.expression[:, faces.EXPRESSIONS.index(n)] for n in ("eyeBlinkLeft", "mouthUpperUpLeft"))
    assert blink[:8].min() > 0.5 > 0.4 > blink[13:19].max()  # eyes closed in grief, then open
    assert teeth[:8].max() < 0.2 < 0.6 < teeth[25:].min()  # lips closed, then laughing
    assert track.expression.min() >= 0
    assert track.expression.max() <= 1


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

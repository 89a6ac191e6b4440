"""Landmarks followed between the frames of the network: right by known motion, and refused where they cannot be."""

from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from gbvnet.config import PrepareConfig, stored_settings
from gbvnet.errors import BadConfig
from gbvnet.io.video import probe, read_frames
from gbvnet.preprocessing import face_windows
from gbvnet.preprocessing.alignment import JAW, similarity
from gbvnet.preprocessing.face_windows import FaceSettings, follow_face
from gbvnet.preprocessing.followed_landmarks import FACE, faces_of, follow
from gbvnet.preprocessing.landmarks import Face, open_landmarker
from gbvnet.preprocessing.participant import Participant

from .face_fixtures import find_once, mean_landmarks, need_model, portrait, sample

SIDE = 160


def texture(seed=0):
    """A picture (160, 160, 3) of smooth noise, which has corners everywhere."""
    noise = np.random.default_rng(seed).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def motion(shift=(0.0, 0.0), degrees=0.0, scale=1.0):
    """(2, 3): a similarity about the middle of the picture; the centre of the first pixel is at (0.5, 0.5)."""
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), degrees, scale)
    matrix[:, 2] += shift
    return matrix


def moved(rgb, matrix):
    pixels = matrix.copy()  # OpenCV counts from the centre of the first pixel
    pixels[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return cv2.warpAffine(rgb, pixels, rgb.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def applied(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def error(landmarks, right):
    """Mean distance of the 51 points in pixels of a 64-pixel face."""
    unit = np.hypot(*similarity(right[JAW:], FACE)[:, 0])
    return unit * np.linalg.norm((landmarks - right)[JAW:], axis=1).mean()


@pytest.fixture
def points():
    landmarks = mean_landmarks(112) + 24
    landmarks[:JAW] = landmarks[JAW : 2 * JAW] + 1  # somewhere: the jaw moves with them
    return landmarks


@pytest.mark.parametrize(
    ("shift", "degrees", "scale"), [((1.3, -0.7), 0, 1), ((0, 0), 2, 1), ((0.5, 0), -1, 1.02), ((-2, 1), 0, 0.99)]
)
def test_points_are_followed_through_a_known_motion(points, shift, degrees, scale):
    matrix = motion(shift, degrees, scale)
    after = follow(texture(), moved(texture(), matrix), points)
    assert error(after, applied(matrix, points)) < 0.06
    np.testing.assert_allclose(after[:JAW], applied(matrix, points)[:JAW], atol=0.2)


def test_covered_points_keep_their_place_in_the_face(points):
    matrix = motion((1.5, 0.5))
    after = moved(texture(), matrix)
    x, y = points[JAW:].min(axis=0).astype(int)
    after[y - 2 : y + 12, x - 2 : x + 22] = 128  # over the outer end of an eyebrow
    followed = follow(texture(), after, points)
    assert np.linalg.norm(followed - applied(matrix, points), axis=1).max() < 0.6


@pytest.mark.parametrize("what", ["cut", "far", "gone", "size", "tiny"])
def test_what_cannot_be_followed_is_refused(points, what):
    before = texture()
    after = {
        "cut": texture(1),
        "far": moved(before, motion((9, 0))),
        "gone": np.full_like(before, 90),
        "size": before[:-2],
        "tiny": before,
    }[what]
    if what == "tiny":
        points = (points - SIDE / 2) / 20 + SIDE / 2
    assert follow(before, after, points) is None


@pytest.mark.journey
def test_a_face_that_leaves_the_frame_is_no_longer_followed(points):
    frames = [moved(texture(), motion((4.0 * k, 0))) for k in range(30)]
    steps, at = 0, points
    while at is not None and steps + 1 < len(frames):
        at = follow(np.ascontiguousarray(frames[steps]), frames[steps + 1], at)
        steps += at is not None
    assert at is None
    assert points[JAW:, 0].max() + 4.0 * steps < SIDE + 8


class KnownFace:
    """A back-end that is right about a texture that moves by 1 pixel a frame, and keeps the times of its runs."""

    def __init__(self, points, drift=0.0):
        self.points, self.drift, self.times = points, drift, []

    def at(self, time_s):
        return self.points + np.array([10 * time_s, 0])

    def find(self, rgb, time_s):
        self.times.append(round(time_s, 6))
        if rgb.max() == rgb.min():
            return None
        wrong = self.drift * time_s
        return Face(self.at(time_s) + np.array([0, wrong]), np.full(52, time_s, np.float32))


def film(n, cut=None):
    """n frames of a texture that moves; from `cut` on it is another one."""
    return [(k, moved(texture(cut is not None and k >= cut), motion((k, 0)))) for k in range(n)]


def run(backend, frames, every):
    return list(faces_of(frames, lambda k: k / 10, Participant(backend), every))


def test_the_network_runs_on_every_third_frame_and_all_frames_are_right(points):
    backend = KnownFace(points)
    faces = run(backend, film(8), 3)
    assert backend.times == [0.0, 0.3, 0.6]
    assert [f.number for f in faces] == list(range(8))
    assert max(error(f.face.landmarks, backend.at(f.time_s)) for f in faces) < 0.1


def test_with_one_it_runs_on_each_frame_and_nothing_is_followed(points):
    backend = KnownFace(points, drift=50)
    faces = run(backend, film(4, cut=2), 1)
    assert backend.times == [0.0, 0.1, 0.2, 0.3]
    for f in faces:
        np.testing.assert_array_equal(f.face.landmarks, backend.at(f.time_s) + np.array([0, 50 * f.time_s]))


def test_the_distance_of_the_next_run_is_spread_over_the_frames_between(points):
    backend = KnownFace(points, drift=5.0)  # half a pixel a frame, which no picture shows
    for f in run(backend, film(7), 3):
        np.testing.assert_allclose(
            f.face.landmarks[JAW:], backend.at(f.time_s)[JAW:] + np.array([0, 5 * f.time_s]), atol=0.3
        )


def test_the_expression_between_is_interpolated_and_held_after_the_last_run(points):
    faces = run(KnownFace(points), film(5), 3)
    np.testing.assert_allclose([f.face.expression[0] for f in faces], [0, 0.1, 0.2, 0.3, 0.3], atol=1e-6)
    assert all(f.face.expression.dtype == np.float32 for f in faces)


def test_a_cut_goes_to_the_network_and_nothing_is_interpolated_over_it(points):
    backend = KnownFace(points)
    faces = run(backend, film(6, cut=2), 4)
    assert backend.times == [0.0, 0.2]
    np.testing.assert_allclose([f.face.expression[0] for f in faces], [0, 0, 0.2, 0.2, 0.2, 0.2], atol=1e-6)


def test_frames_without_a_face_are_left_out_and_each_is_given_to_the_network(points):
    backend = KnownFace(points)
    frames = film(7)
    for k in (2, 3, 4):
        frames[k] = k, np.full((SIDE, SIDE, 3), 50, np.uint8)
    assert [f.number for f in run(backend, frames, 3)] == [0, 1, 5, 6]
    assert backend.times == [0.0, 0.2, 0.3, 0.4, 0.5]


@pytest.mark.journey
def test_once_a_second_the_network_runs_so_that_other_faces_are_noticed(points):
    backend = KnownFace(points)
    list(faces_of([(k, texture()) for k in range(25)], lambda k: k / 10, Participant(backend), 100))
    assert backend.times == [0.0, 1.0, 2.0]


@pytest.mark.journey
def test_faces_of_a_film_are_cut_out_at_the_followed_points(monkeypatch, points):
    @contextmanager
    def opened(backend):
        yield KnownFace(points)

    monkeypatch.setattr(face_windows, "open_landmarker", opened)

    def pictures(every):
        settings = FaceSettings(1.0, 10, 64, landmark_every=every)
        return np.stack([f.picture for f in follow_face(film(6), lambda k: k / 10, settings)]).astype(int)

    assert abs(pictures(3) - pictures(1)).mean() < 1.0
    assert abs(pictures(1)[1:] - pictures(1)[:-1]).mean() < 3  # the film moves and the faces do not


@pytest.mark.journey
def test_a_moving_portrait_is_followed_as_well_as_the_network_detects_it():
    need_model()
    picture = portrait()
    small = np.ascontiguousarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    first = find_once(small).landmarks
    middle = first[JAW:].mean(axis=0)

    def matrix(k):
        turned = cv2.getRotationMatrix2D(tuple(map(float, middle)), 4 * np.sin(k / 4), 1 + 0.04 * np.sin(k / 3))
        turned[:, 2] += 5 * np.sin(k / 5), 3 * np.cos(k / 6) - 3
        return turned

    frames = [(k, moved(small, matrix(k))) for k in range(20)]
    errors, runs = {}, {}
    for every in (1, 2):
        with open_landmarker("mediapipe") as landmarker:
            counted = Counted(landmarker)
            faces = run(counted, frames, every)
        errors[every] = [error(f.face.landmarks, applied(matrix(f.number), first)) for f in faces]
        runs[every] = counted.n
    assert runs[1] == 20
    assert runs[2] <= 12
    assert len(errors[2]) == 20
    assert np.mean(errors[2]) < 0.5
    assert np.mean(errors[2]) < np.mean(errors[1]) + 0.15
    assert max(errors[2]) < 1.0


class Counted:
    def __init__(self, backend):
        self.backend, self.n, self.all_faces = backend, 0, backend.all_faces

    def find(self, rgb, time_s):
        self.n += 1
        return self.backend.find(rgb, time_s)


@pytest.mark.journey
def test_in_a_real_film_the_points_are_within_half_a_pixel_of_the_full_run():
    film_path = sample("face_expressions.mp4")
    info = probe(film_path)
    frames = list(read_frames(film_path, np.arange(0, 120, 2), info=info))
    faces_at, runs = {}, {}
    for every in (1, 2):
        with open_landmarker("mediapipe") as landmarker:
            counted = Counted(landmarker)
            made = faces_of(frames, info.time_s, Participant(counted), every)
            faces_at[every] = {f.number: f.face for f in made}
        runs[every] = counted.n
    assert faces_at[1].keys() == faces_at[2].keys()
    errors = [error(faces_at[2][k].landmarks, face.landmarks) for k, face in faces_at[1].items()]
    assert runs[2] < 0.75 * runs[1]
    assert np.mean(errors) < 0.3
    assert np.percentile(errors, 95) < 1.0
    expression = [abs(faces_at[2][k].expression - face.expression).mean() for k, face in faces_at[1].items()]
    assert np.mean(expression) < 0.03


def test_the_setting_is_stored_only_where_it_is_not_one_and_features_need_each_frame():
    assert "landmark_every" not in stored_settings(PrepareConfig())
    assert stored_settings(PrepareConfig())["step_s"] is None
    assert stored_settings(PrepareConfig(landmark_every=2))["landmark_every"] == 2
    for refused in ({"landmark_every": 0}, {"landmark_every": 11}, {"landmark_every": 2, "store_faces": "both"}):
        with pytest.raises(BadConfig, match="landmark_every must be 1"):
            PrepareConfig(**refused)

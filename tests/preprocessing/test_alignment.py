"""Faces are aligned by a transform that can be checked by hand."""

import cv2
import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from gbvnet.preprocessing.alignment import MEAN_SHAPE, align, similarity

from .face_fixtures import S, find_once, mean_landmarks, need_model, portrait


def rotation(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


def test_the_transform_of_a_turned_enlarged_shifted_square_is_estimated():
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


def test_eyes_have_a_distance_of_44_pixels_on_112_and_are_level():
    landmarks = mean_landmarks(112)
    right, left = landmarks[36:42].mean(0), landmarks[42:48].mean(0)
    np.testing.assert_allclose(left - right, [44, 0], atol=0.05)
    np.testing.assert_allclose((left + right) / 2, [56, 0.36 * 112], atol=0.05)


def test_the_mean_face_is_symmetric():
    mirror = [*range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1)]
    mirror += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    mirror += [*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
    shape = MEAN_SHAPE
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
    assert mean_landmarks()[36, 0] < 56 < mean_landmarks()[45, 0]  # the subject's right eye is to the left


def test_what_lies_outside_the_frame_is_black():
    frame = np.full((100, 100, 3), 200, np.uint8)
    crop = align(frame, mean_landmarks() + np.array([50, 0]), S)
    assert (crop[:, :50] > 0)[:99].all()
    assert not crop[:, 51:].any()


@pytest.mark.journey
def test_the_mean_face_fits_a_real_one():
    need_model()
    landmarks = find_once(portrait()).landmarks[17:]
    target = mean_landmarks()[17:]
    transform = similarity(landmarks, target)
    fitted = landmarks @ transform[:, :2].T + transform[:, 2]
    assert np.sqrt(((fitted - target) ** 2).sum(1).mean()) < 0.05 * S

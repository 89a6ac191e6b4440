"""Alignment: cut a face out of a frame, upright and always of the same size.

Shapes: S side of a face picture in pixels; H, W of a frame. Landmarks are the 68 of iBUG 300-W in its order, as (x, y)
in pixels from the upper left corner of the picture, so the centre of the first pixel is at (0.5, 0.5).
"""

import numpy as np

JAW = 17  # the first 17 landmarks follow the jaw; they jump on a turned head, so the other 51 align the face

# fmt: off
# The face that all are aligned to: x to the right and y down from the middle between the eyes, in thousandths of the
# distance between them. Implementation choice: the mean, after Procrustes alignment, of MediaPipe's 51 points within
# the face and their mirror images, with one weight each for two public-domain portraits (Grace Hopper, US Navy; Eileen
# Collins, NASA) and for the nearly frontal frames (tip of the nose within 8 % of the middle between the outer eye
# corners) of two freely licensed clips of two other subjects.
MEAN_SHAPE = np.array([
    [-886, -235], [-801, -324], [-661, -373], [-470, -367], [-241, -334],  # right eyebrow, outer end first
    [241, -334], [470, -367], [661, -373], [801, -324], [886, -235],  # left eyebrow, from the nose out
    [0, -51], [0, 176], [0, 375], [0, 500],  # bridge of the nose
    [-278, 656], [-132, 687], [0, 697], [132, 687], [278, 656],  # nostrils
    [-700, 0], [-599, -58], [-439, -65], [-274, 26], [-416, 47], [-572, 50],  # right eye
    [274, 26], [439, -65], [599, -58], [700, 0], [572, 50], [416, 47],  # left eye
    [-437, 994], [-337, 939], [-131, 888], [0, 908],  # upper lip, outer line
    [131, 888], [337, 939], [437, 994],
    [333, 1105], [131, 1195], [0, 1207], [-131, 1195], [-333, 1105],  # lower lip, outer line
    [-400, 995], [-205, 987], [0, 998], [205, 987], [400, 995],  # upper lip, lower edge
    [202, 1053], [0, 1072], [-202, 1053],  # lower lip, upper edge
])  # (51, 2)
# fmt: on
EYE_DISTANCE = 44 / 112  # as a share of the picture's side
EYE_HEIGHT = 0.36  # as a share of the picture's side, from the top: forehead down to chin
MAX_SHRINK = 16  # more than a face that fills a 4K frame needs for 64 pixels


def similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the scale, rotation and shift, (2, 3), that bring points (n, 2) nearest to target (n, 2) in least squares.

    Umeyama (1991) in two dimensions. With points as complex numbers z and w about their means, a = sum(conj(z) w) /
    sum(|z|^2) holds scale and angle at once, and can hold neither shear nor reflection.
    """
    z, w = (points - points.mean(0)) @ [1, 1j], (target - target.mean(0)) @ [1, 1j]  # (n,) each
    a = np.vdot(z, w) / np.vdot(z, z).real
    linear = np.array([[a.real, -a.imag], [a.imag, a.real]])
    return np.column_stack([linear, target.mean(0) - linear @ points.mean(0)])


def align(rgb: np.ndarray, landmarks: np.ndarray, side: int) -> np.ndarray:
    """Cut a face out of a frame, upright and always of the same size: eyes 0.39 of the side apart, 0.36 from the top.

    rgb : (H, W, 3) uint8        landmarks : (68, 2) pixels        Returns (S, S, 3) uint8, black outside the frame.
    """
    import cv2

    target = (MEAN_SHAPE / 1000 * EYE_DISTANCE + [0.5, EYE_HEIGHT]) * side  # (51, 2)
    to_face = similarity(landmarks[JAW:], target)  # (2, 3)
    # A warp reads four pixels of the frame for each pixel of the picture. Where the face shrinks, it would skip pixels
    # and alias: so the face is warped to about its own size in the frame, and the result is averaged down.
    shrink = int(np.clip(round(1 / np.hypot(*to_face[:, 0])), 1, MAX_SHRINK))
    to_face = to_face * shrink
    # OpenCV counts from the centre of the first pixel, landmarks from its corner.
    to_face[:, 2] += to_face[:, :2] @ [0.5, 0.5] - 0.5
    large = cv2.warpAffine(rgb, to_face, (side * shrink, side * shrink), flags=cv2.INTER_LINEAR)
    return large if shrink == 1 else cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)

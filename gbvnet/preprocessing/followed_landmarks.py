"""Landmarks on some frames of a video, and points followed from frame to frame in between: two to three times fewer
runs of the landmark network, which takes most of the time of a face video.

The 51 points inside the face are followed by pyramidal Lucas-Kanade (Lucas and Kanade 1981; Bouguet 2001) in a small
grey picture of the face, forwards and back again (Kalal et al. 2010): points that do not return keep their place in the
face. Where too few return or the face moves far, as at a cut, behind a hand or at the edge of the frame, the landmark
network runs instead. Where it runs again, the distance between its points and the followed ones is spread over the
frames since it ran last, and the expression is interpolated in time.

Distances are in face pixels: the face is as large as in a picture of 64 pixels (eyes 25 pixels apart). H, W of a frame.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .alignment import EYE_DISTANCE, JAW, MEAN_SHAPE, similarity
from .landmarks import Face
from .participant import Participant

FACE = MEAN_SHAPE / 1000 * EYE_DISTANCE * 64  # (51, 2) face pixels, in which distances are measured
MAX_RETURN = 0.5  # face pixels from where a point started to where it returns
MIN_RETURNING = 0.9  # share of the points
MAX_MOVE = 2.0  # face pixels from one frame to the next, mean of the points
WIDTH = 64  # of the points in the picture in which they are followed, pixels; never larger than in the frame
MARGIN = 0.4  # around the points, in their widths
WINDOW, LEVELS = 21, 2  # of Lucas-Kanade: pixels, halvings of the picture
STEPS, PRECISION = 10, 0.03  # it stops after so many steps, or at a step below so many pixels
MIN_SIDE = 16  # pixels of the picture; below, nothing is followed


class FrameFace(NamedTuple):
    """A frame and the participant's face in it."""

    number: int
    time_s: float
    rgb: np.ndarray  # (H, W, 3) uint8
    face: Face


def faces_of(
    frames: Iterable[tuple[int, np.ndarray]],
    time_s: Callable[[int], float],
    participant: Participant,
    every: int,
) -> Iterator[FrameFace]:
    """Yield the frames that show the participant's face, with its landmarks, in their order.

    frames : (number, picture (H, W, 3) uint8)        time_s : returns when a frame is shown, by its number
    every : the landmark network runs on every so many-th frame at least; 1: on each, and nothing is followed
    """
    last: FrameFace | None = None  # the frame before, if it shows the face
    between: list[FrameFace] = []  # followed since the network ran on `measured`
    measured: FrameFace | None = None
    for number, rgb in frames:
        at = time_s(number)
        points = None if last is None or every == 1 else follow(last.rgb, rgb, last.face.landmarks)
        if points is not None and len(between) + 1 < every and not participant.is_check_due(at):
            last = FrameFace(number, at, rgb, Face(points))
            participant.follow(last.face, rgb, at)
            between.append(last)
            continue
        face = participant.find(rgb, at)
        now = None if face is None else FrameFace(number, at, rgb, face)
        if measured is not None:
            yield from _closed(measured, between, now, points)
        if now is not None:
            yield now
        last, measured, between = now, now, []
    if measured is not None:
        yield from _closed(measured, between, None, None)


def _closed(
    measured: FrameFace, between: list[FrameFace], after: FrameFace | None, followed: np.ndarray | None
) -> Iterator[FrameFace]:
    """Yield followed frames with the landmarks and expression that follow from the measured ones on both sides.

    followed : where the points would be in the frame after, (68, 2); None if they were not followed so far. The frames
        then keep the expression that was measured last.
    """
    expression = measured.face.expression
    for frame in between:
        if after is None or followed is None:
            yield frame._replace(face=Face(frame.face.landmarks, expression))
            continue
        share = (frame.time_s - measured.time_s) / (after.time_s - measured.time_s)
        landmarks = frame.face.landmarks + share * (after.face.landmarks - followed)
        later = after.face.expression
        if expression is None or later is None:
            yield frame._replace(face=Face(landmarks, expression))
        else:
            blend = ((1 - share) * expression + share * later).astype(np.float32)
            yield frame._replace(face=Face(landmarks, blend))


def follow(before: np.ndarray, after: np.ndarray, landmarks: np.ndarray) -> np.ndarray | None:
    """Return where the landmarks (68, 2) of a frame are in the next one; None if they cannot be followed.

    before, after : (H, W, 3) uint8. The jaw, which is not followed, moves with the other points.
    """
    points = landmarks[JAW:]  # (51, 2)
    pictures = _pictures(before, after, points)
    if pictures is None:
        return None
    old, new, begin, scale = pictures
    start = ((points - begin) * scale - 0.5).astype(np.float32)
    end, returned = _there_and_back(old, new, start)
    unit = float(np.hypot(*similarity(points, FACE)[:, 0]))  # face pixels a pixel of the frame
    good = (returned / scale.mean()) * unit <= MAX_RETURN  # NaN is not
    if good.mean() < MIN_RETURNING:
        return None
    moved = (end + 0.5) / scale + begin
    with_face = similarity(points[good], moved[good])  # (2, 3)
    out = landmarks @ with_face[:, :2].T + with_face[:, 2]
    out[JAW:][good] = moved[good]
    move = np.linalg.norm(out[JAW:] - points, axis=1).mean() * unit
    return out if move <= MAX_MOVE else None


def _pictures(
    before: np.ndarray, after: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the face's part of both frames in grey, where it begins in the frame (2,), and its scale (2,), both
    (x, y); None if it is too small, as outside the frame, or the frames differ in size."""
    import cv2

    if before.shape != after.shape:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    width = float((high - low).max())
    begin = np.maximum(low - MARGIN * width, 0).astype(int)
    end = np.minimum(high + MARGIN * width, [before.shape[1], before.shape[0]]).astype(int)
    size = np.round((end - begin) * min(1.0, WIDTH / max(width, 1.0))).astype(int)
    if size.min() < MIN_SIDE:
        return None
    grey = []
    for rgb in (before, after):
        part = cv2.cvtColor(rgb[begin[1] : end[1], begin[0] : end[0]], cv2.COLOR_RGB2GRAY)
        grey.append(cv2.resize(part, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA))
    return grey[0], grey[1], begin, size / (end - begin)


def _there_and_back(old: np.ndarray, new: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where points (n, 2) of one picture are in the next, and how far from their start they return, (n,) pixels;
    infinitely far if they are lost."""
    import cv2

    settings: Any = {
        "winSize": (WINDOW, WINDOW),
        "maxLevel": LEVELS,
        "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, PRECISION),
    }
    end, there, _ = cv2.calcOpticalFlowPyrLK(old, new, start, None, **settings)
    back, again, _ = cv2.calcOpticalFlowPyrLK(new, old, end, None, **settings)
    distance = np.linalg.norm(back - start, axis=1)
    lost = (there[:, 0] == 0) | (again[:, 0] == 0)
    return end.astype(np.float64), np.where(lost, np.inf, distance)

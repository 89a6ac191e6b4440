"""Features of a face, frame by frame: MediaPipe's expression coefficients and head pose, or those of other software.

No picture of a face is needed to learn from them. Names are declared by the store that holds them.

Shapes: T frames of a recording, W windows, F frames a window, D features.
"""

import re

import numpy as np

from ..datasets.recording import FaceFeatures
from ..errors import BadRecording
from .windowing import frame_times

# MediaPipe's blendshape coefficients, each 0 to 1, in its own order; left and right are the subject's own.
EXPRESSIONS = tuple(
    """
    _neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
    cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
    eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight
    jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight
    mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
    mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight mouthStretchLeft
    mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight
    """.split()
)
# The head in the camera's space, from MediaPipe's facial transformation matrix. Angles in radians about the axes that
# point to the right of the picture, up, and towards the camera; position in centimetres of a face of standard size.
HEAD_POSE = ("head_pitch", "head_yaw", "head_roll", "head_x", "head_y", "head_z")
MEDIAPIPE_FEATURES = (*EXPRESSIONS, *HEAD_POSE)


def head_pose(matrix: np.ndarray) -> np.ndarray:
    """Return the features HEAD_POSE, (6,) float32, of a transformation matrix (4, 4) from face to camera space.

    The rotation is roll after yaw after pitch: R = Rz(roll) Ry(yaw) Rx(pitch).
    """
    r = np.asarray(matrix, np.float64)
    pitch = np.arctan2(r[2, 1], r[2, 2])
    yaw = np.arctan2(-r[2, 0], np.hypot(r[0, 0], r[1, 0]))
    roll = np.arctan2(r[1, 0], r[0, 0])
    return np.array([pitch, yaw, roll, *r[:3, 3]], np.float32)


def features_of_windows(
    given: FaceFeatures, starts: np.ndarray, window_s: float, n_frames: int, what: object
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of windows, (W, F, D) float32, NaN where there is no face, and which frames show one, (W, F)
    bool.

    Each of a window's evenly spaced frames is the given one nearest in time, within half a period: that of the window's
    frames, or of the given ones where these are further apart. A frame that has any value that is not finite shows
    no face.

    starts : (W,) seconds from the start of the stimulus        what : names the source in errors
    Raises BadRecording for times that do not increase.
    """
    times, values = np.asarray(given.times_s, np.float64), np.asarray(given.values, np.float32)
    if times.shape != values.shape[:1] or values.ndim != 2:
        shapes = f"{times.shape} and {values.shape}"
        raise BadRecording(what, "times (T,) and face features (T, D)", f"arrays of shapes {shapes}")
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise BadRecording(what, "face features at times that increase", "times that do not")
    wanted = frame_times(starts, window_s, n_frames)  # (W, F)
    features = np.full((*wanted.shape, values.shape[1]), np.nan, np.float32)
    if not len(times):
        return features, np.zeros(wanted.shape, np.bool_)
    after = np.searchsorted(times, wanted).clip(0, len(times) - 1)
    before = (after - 1).clip(0)
    nearest = np.where(wanted - times[before] <= times[after] - wanted, before, after)
    period = max(window_s / n_frames, float(np.median(np.diff(times))) if len(times) > 1 else 0.0)
    whole = np.isfinite(values[nearest]).all(axis=2)
    ok = np.asarray(whole & (np.abs(times[nearest] - wanted) <= period / 2 + 1e-6))  # times are rounded
    features[ok] = values[nearest[ok]]
    return features, ok


def feature_groups(names: tuple[str, ...]) -> dict[str, list[int]]:
    """Return the places of features that belong together, by the group's name: the first word of their names (brow,
    mouth, head, AU12, pose), except that the coefficients of looking are `gaze`."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        first = name.strip("_").split("_")[0] or name
        camel = re.match(r"[a-z]+(?=[A-Z])", first)
        group = "gaze" if first.startswith("eyeLook") else camel[0] if camel else first
        groups.setdefault(group, []).append(place)
    return groups

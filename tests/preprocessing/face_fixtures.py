"""Faces for tests: sample videos, a portrait, the mean face's landmarks, and a video's faces frame by frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from gbvnet.errors import BadModel
from gbvnet.io.frame_times import VideoInfo
from gbvnet.io.landmark_model import landmark_model_path
from gbvnet.io.video import FrameReader, probe, read_frames
from gbvnet.preprocessing.alignment import EYE_DISTANCE, EYE_HEIGHT, MEAN_SHAPE
from gbvnet.preprocessing.face_features import EXPRESSIONS
from gbvnet.preprocessing.face_windows import FaceSettings, follow_face
from gbvnet.preprocessing.landmarks import open_landmarker

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
S = 112


def sample(name):
    """A real video, if the landmark model for it is there too."""
    if not (SAMPLES / name).exists():
        pytest.skip(f"{SAMPLES / name} is not here")
    need_model()
    return SAMPLES / name


def need_model():
    try:
        landmark_model_path()
    except BadModel as e:
        if "No such file" not in str(e):
            raise
        pytest.skip(str(e))


def write_grey_video(path, n, side, step):
    """Write n frames at 10 fps, side x side pixels, frame i of the grey step * i. Returns the path."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        for i in range(n):
            frame = np.full((side, side, 3), step * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def mean_landmarks(side=S):
    """(68, 2): where the mean face's landmarks lie in a picture of that side; the jaw is nowhere."""
    landmarks = MEAN_SHAPE / 1000 * EYE_DISTANCE + [0.5, EYE_HEIGHT]
    return np.concatenate([np.full((17, 2), np.nan), landmarks * side])


def portrait():
    import matplotlib.cbook

    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        data = np.frombuffer(file.read(), np.uint8)
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def find_once(rgb):
    with open_landmarker("mediapipe") as landmarker:
        return landmarker.find(rgb, 0.0)


@dataclass(frozen=True)
class FaceTrack:
    """The faces of some frames.

    crops : (n, S, S, 3) uint8, RGB, aligned; zeros where there is no face
    ok : (n,) bool, a face was detected
    expression : (n, 52) float32, zeros where there is no face; None if the back-end has no expressions
    n_decoded : frames decoded until the last of them, or until the video broke
    warning : what a user should know about the video, if anything
    """

    crops: np.ndarray
    ok: np.ndarray
    expression: np.ndarray | None
    n_decoded: int
    warning: str | None = None


def track_faces(
    video: str | Path,
    indices: Sequence[int] | np.ndarray,
    side: int,
    backend: str = "mediapipe",
    *,
    info: VideoInfo | None = None,
    threads: int = 1,
) -> FaceTrack:
    """Find and align the face in frames of a video. Memory does not grow with the video, only with what is kept.

    indices : (n,) frame numbers in order; a number may repeat, where a video is slower than what is asked of it
    side : S, pixels
    backend : mediapipe, dlib or fan
    info : result of `probe` for the video, if it is known already
    threads : of the video decoder; MediaPipe uses one

    Frames that the video does not have, or that cannot be decoded, have no face, and `warning` says so.
    Raises BadRecording (the file is no video), BadModel (no landmark model), GbvnetError (a package is absent).
    """
    indices = np.asarray(indices, dtype=np.int64).reshape(-1)
    if (np.diff(indices) < 0).any():
        raise ValueError(f"indices must be in order, not {indices[:8].tolist()}...")
    crops = np.zeros((len(indices), side, side, 3), np.uint8)
    ok = np.zeros(len(indices), bool)
    expression = np.zeros((len(indices), len(EXPRESSIONS)), np.float32)
    info = info or probe(video)
    frames: FrameReader = read_frames(video, np.unique(indices), threads, info)
    messages: list[str] = []
    settings = FaceSettings(1.0, 1, side, backend)
    for index, crop, coefficients in follow_face(frames, info.time_s, settings, messages):
        rows = slice(*np.searchsorted(indices, (index, index + 1)))  # all that ask for this frame
        ok[rows] = True
        crops[rows] = crop
        if coefficients is not None:
            expression[rows] = coefficients
    has_expression = backend == "mediapipe"
    messages += [frames.warning] if frames.warning else []
    return FaceTrack(crops, ok, expression if has_expression else None, frames.n_decoded, "; ".join(messages) or None)

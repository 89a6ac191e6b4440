"""Facial landmarks: three back-ends that detect them, MediaPipe, dlib and FAN, behind one interface.

Landmarks are the 68 of iBUG 300-W in its order, as (x, y) in pixels from the upper left corner of the frame (H, W, 3),
so the centre of the first pixel is at (0.5, 0.5). "Right" and "left" are the subject's own.
"""

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..errors import BadConfig, GbvnetError
from ..io.landmark_model import landmark_model_path
from .face_features import head_pose
from .native_library import ignore_profiling_signals, silenced_stderr
from .participant import Place, place_of

DETECTOR = "face_detector.tflite"  # within the landmark model's file

# fmt: off
# Which of MediaPipe's 478 points stands for each of iBUG's 68; checked by eye on frontal and on turned heads.
IBUG_68 = np.array([
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # right, left eyebrow
    168, 197, 5, 4, 98, 97, 2, 326, 327,  # nose: bridge, nostrils
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # right, left eye
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91,  # outer line of the lips
    78, 81, 13, 311, 308, 402, 14, 178,  # edges of the mouth
])
# fmt: on


class Face(NamedTuple):
    """One face in one frame: landmarks (68, 2) in pixels, and, if the back-end gives them, its expression (52,), with
    the head pose (6,) behind it if that was wanted."""

    landmarks: np.ndarray
    expression: np.ndarray | None = None


class Landmarker(Protocol):
    """A back-end that detects the landmarks of the most prominent face, frame after frame of one video.

    It may also have a method `all_faces`, which returns the Places of all faces of a frame (H, W, 3) with scores from 0
    to 1.
    """

    def find(self, rgb: np.ndarray, time_s: float) -> Face | None:
        """Return the face in a frame (H, W, 3) uint8, contiguous, or None. Times of a video's frames must increase."""
        ...


def open_landmarker(backend: str, pose: bool = False) -> AbstractContextManager[Landmarker]:
    """Return a landmark back-end for one video, as a context manager.

    pose : add the head pose to the expression of each face, which only MediaPipe can
    Raises BadConfig for an unknown name, BadModel without the landmark model, GbvnetError if a package is missing.
    """
    backends = {"mediapipe": _mediapipe, "dlib": _dlib, "fan": _fan}
    if backend not in backends:
        raise BadConfig(f"no landmark back-end {backend!r}; there are {', '.join(backends)}")
    if pose and backend != "mediapipe":
        raise BadConfig(f"landmark back-end {backend} gives no head pose; mediapipe does")
    return _mediapipe(pose) if pose else backends[backend]()


class _MediaPipe:
    def __init__(self, landmarker: Any, detector: Any, mediapipe: Any):
        self.landmarker, self.detector, self.mediapipe = landmarker, detector, mediapipe
        self.following = False  # it searches only near the last face
        self.last_ms = -1

    def all_faces(self, rgb: np.ndarray) -> list[tuple[Place, float]]:
        image = self.mediapipe.Image(image_format=self.mediapipe.ImageFormat.SRGB, data=rgb)
        with silenced_stderr("MediaPipe"):  # some frame of each process makes it write a line about its memory
            detections = self.detector.detect(image).detections
        boxes = [(d.bounding_box, d.categories[0].score) for d in detections]
        return [(Place(b.origin_x + b.width / 2, b.origin_y + b.height / 2, b.width), score) for b, score in boxes]

    def find(self, rgb: np.ndarray, time_s: float) -> Face | None:
        image = self.mediapipe.Image(image_format=self.mediapipe.ImageFormat.SRGB, data=rgb)
        self.last_ms = max(round(time_s * 1000), self.last_ms + 1)  # it refuses two frames of one millisecond
        result = self.landmarker.detect_for_video(image, self.last_ms)
        if (
            self.following and not result.face_landmarks
        ):  # lost: now it searches the whole frame, and finds a face that jumped
            self.last_ms += 1
            result = self.landmarker.detect_for_video(image, self.last_ms)
        self.following = bool(result.face_landmarks)
        if not self.following:
            return None
        points = result.face_landmarks[0]
        height, width = rgb.shape[:2]
        landmarks = np.array([(points[i].x * width, points[i].y * height) for i in IBUG_68])
        features = np.array([c.score for c in result.face_blendshapes[0]], np.float32)
        if result.facial_transformation_matrixes:
            features = np.concatenate([features, head_pose(result.facial_transformation_matrixes[0])])
        return Face(landmarks, features)


@contextmanager
def _mediapipe(pose: bool = False) -> Iterator[Landmarker]:
    """Google's FaceLandmarker, which tracks a face from frame to frame and so is steadier than one frame at a time.

    Each video gets a new one: its state must not reach the next video, or results would depend on the order of videos.
    """
    model = landmark_model_path()
    ignore_profiling_signals()
    try:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=vision.RunningMode.VIDEO,
            num_faces=1,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=pose,
        )
        with zipfile.ZipFile(model) as parts:  # the detector inside detects all faces of a frame in a tenth of the time
            all_faces = vision.FaceDetectorOptions(
                base_options=BaseOptions(model_asset_buffer=parts.read(DETECTOR)),
                running_mode=vision.RunningMode.IMAGE,
            )
        with silenced_stderr("MediaPipe"):
            landmarker = vision.FaceLandmarker.create_from_options(options)
            detector = vision.FaceDetector.create_from_options(all_faces)
    except OSError as e:  # its shared library needs others
        raise GbvnetError(
            f"MediaPipe cannot be loaded ({e}). It needs the system libraries libGL, libEGL and libGLES; "
            "on Debian and Ubuntu: sudo apt-get install libgl1 libegl1 libgles2"
        ) from None
    with landmarker:  # if it is not closed, it raises when Python exits
        try:
            yield _MediaPipe(landmarker, detector, mediapipe)
        finally:
            with silenced_stderr("MediaPipe"):  # it writes two lines when it is closed
                detector.close()


class _Dlib:
    def __init__(self, detector: Any, predictor: Any, rectangle: Any):
        self.detector, self.predictor, self.rectangle = detector, predictor, rectangle

    def all_faces(self, rgb: np.ndarray) -> list[tuple[Place, float]]:
        _, boxes, scale = self._boxes(rgb)
        middles = [(scale * (b.left() + b.right()) / 2, scale * (b.top() + b.bottom()) / 2) for b in boxes]
        return [(Place(x, y, scale * b.width()), 1.0) for (x, y), b in zip(middles, boxes, strict=True)]

    def _boxes(self, rgb: np.ndarray) -> tuple[np.ndarray, Any, int]:
        """Return the frame as dlib needs it, the boxes of its faces, and the factor to multiply their edges by."""
        import cv2

        height, width = rgb.shape[:2]
        rgb = np.ascontiguousarray(rgb)  # in another array dlib silently detects nothing
        half = cv2.resize(rgb, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        scale, boxes = 2, self.detector(half)  # four times as fast; small faces are detected at full size only
        if not boxes:
            scale, boxes = 1, self.detector(rgb)
        return rgb, boxes, scale

    def find(self, rgb: np.ndarray, time_s: float) -> Face | None:
        rgb, boxes, scale = self._boxes(rgb)
        if not boxes:
            return None
        box = max(boxes, key=lambda b: (b.area(), -b.left(), -b.top()))
        edges = (box.left(), box.top(), box.right(), box.bottom())
        shape = self.predictor(rgb, self.rectangle(*(scale * edge for edge in edges)))
        return Face(np.array([(p.x + 0.5, p.y + 0.5) for p in shape.parts()]))


@contextmanager
def _dlib() -> Iterator[Landmarker]:
    """dlib's HOG detector and 68-point predictor. Its weights exclude commercial use, as their training data do."""
    try:
        import dlib
    except ImportError:
        raise _missing_package("dlib", "dlib") from None
    spec = find_spec("face_recognition_models")  # located, not imported: importing it fails on newer Pythons
    if spec is None or not spec.submodule_search_locations:
        raise _missing_package("face_recognition_models", "dlib")
    weights = Path(spec.submodule_search_locations[0]) / "models" / "shape_predictor_68_face_landmarks.dat"
    yield _Dlib(dlib.get_frontal_face_detector(), dlib.shape_predictor(str(weights)), dlib.rectangle)


class _Fan:
    def __init__(self, aligner: Any):
        self.aligner = aligner
        self.last: tuple[np.ndarray, list[np.ndarray]] | None = None  # a frame, and the landmarks of all faces in it

    def all_faces(self, rgb: np.ndarray) -> list[tuple[Place, float]]:
        return [(place_of(points), 1.0) for points in self._all(rgb)]

    def _all(self, rgb: np.ndarray) -> list[np.ndarray]:
        if self.last is not None and self.last[0] is rgb:
            return self.last[1]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No faces were detected")
            faces = self.aligner.get_landmarks_from_image(rgb)  # a list of (68, 2), or None
        self.last = rgb, [np.asarray(points)[:, :2] + 0.5 for points in faces or ()]
        return self.last[1]

    def find(self, rgb: np.ndarray, time_s: float) -> Face | None:
        faces = self._all(rgb)
        return Face(max(faces, key=lambda points: np.ptp(points, axis=0).prod())) if faces else None


@contextmanager
def _fan() -> Iterator[Landmarker]:
    """FAN (Bulat and Tzimiropoulos 2017), the paper's reference 27. Needs a GPU: without one, 0.2 s or more a frame."""
    try:
        import face_alignment
    except ImportError:
        raise _missing_package("face_alignment", "fan") from None
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        aligner = face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D, device=device)
    except OSError as e:  # it downloads them the first time
        message = f"FAN's weights are not on this machine and cannot be downloaded ({e}); connect to the internet once"
        raise GbvnetError(message) from None
    yield _Fan(aligner)


def _missing_package(package: str, extra: str) -> GbvnetError:
    return GbvnetError(f"landmarks from {extra} need the package {package}: pip install 'gbvnet[{extra}]'")

"""Faces: from the frames of a video to small aligned pictures of one face, and what is put where none was found.

Shapes, here and in every comment below:
    n  frames asked for        S  side of a face picture, pixels        H, W  of a frame
Landmarks are the 68 of iBUG 300-W in its order, as (x, y) in pixels from the upper left corner of the picture, so that
the middle of the first pixel is at (0.5, 0.5). "Right" and "left" are the person's own.
"""

import logging
import os
import signal
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..errors import BadConfig, GbvnetError
from ..io.frame_times import VideoInfo
from ..io.landmark_model import landmark_model
from ..io.video import FrameReader, probe, read_frames
from .participant import Participant, Place, place_of

log = logging.getLogger(__name__)

DETECTOR = "face_detector.tflite"  # within the landmark model's file
JAW = 17  # the first 17 landmarks follow the jaw; on a turned head they jump, and so the other 51 align the face

# MediaPipe's blendshape coefficients, each 0 to 1, in its own order; left and right are the person's own.
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

# fmt: off
# Which of MediaPipe's 478 points stands for each of iBUG's 68; checked by eye on frontal and on turned heads.
IBUG_68 = np.array([
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # right, left eyebrow
    168, 197, 5, 4, 98, 97, 2, 326, 327,  # nose: bridge, nostrils
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # right, left eye
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91,  # outer line of the lips
    78, 81, 13, 311, 308, 402, 14, 178,  # inner line of the lips
])

# The face that all are aligned to: x to the right and y down from the middle between the eyes, in thousandths of the
# distance between them. Ours: the mean, after Procrustes alignment, of MediaPipe's 51 inner points and their mirror
# images, with one weight each for two public-domain portraits (Grace Hopper, US Navy; Eileen Collins, NASA) and for the
# nearly frontal frames (tip of the nose within 8 % of the middle between the outer eye corners) of two freely licensed
# clips of two other people.
MEAN_SHAPE = np.array([
    [-886, -235], [-801, -324], [-661, -373], [-470, -367], [-241, -334],  # right eyebrow, outer end first
    [241, -334], [470, -367], [661, -373], [801, -324], [886, -235],  # left eyebrow, inner end first
    [0, -51], [0, 176], [0, 375], [0, 500],  # bridge of the nose
    [-278, 656], [-132, 687], [0, 697], [132, 687], [278, 656],  # nostrils
    [-700, 0], [-599, -58], [-439, -65], [-274, 26], [-416, 47], [-572, 50],  # right eye
    [274, 26], [439, -65], [599, -58], [700, 0], [572, 50], [416, 47],  # left eye
    [-437, 994], [-337, 939], [-131, 888], [0, 908],  # upper lip, outer line
    [131, 888], [337, 939], [437, 994],
    [333, 1105], [131, 1195], [0, 1207], [-131, 1195], [-333, 1105],  # lower lip, outer line
    [-400, 995], [-205, 987], [0, 998], [205, 987], [400, 995],  # upper lip, inner line
    [202, 1053], [0, 1072], [-202, 1053],  # lower lip, inner line
])  # (51, 2)
# fmt: on
EYE_DISTANCE = 44 / 112  # of the picture's side
EYE_HEIGHT = 0.36  # of the picture's side, from the top: forehead down to chin
MAX_SHRINK = 16  # more than a face that fills a 4K frame needs for 64 pixels


class Face(NamedTuple):
    """One face in one frame: landmarks (68, 2) in pixels, and its expression (52,) where the back-end has one."""

    landmarks: np.ndarray
    expression: np.ndarray | None = None


class Landmarker(Protocol):
    """Finds the landmarks of the most prominent face, frame after frame of one video. It may have a method `all_faces`
    besides: of a frame (H, W, 3) the Places of all faces in it, with scores from 0 to 1."""

    def find(self, rgb: np.ndarray, time_s: float) -> Face | None:
        """The face in a frame (H, W, 3) uint8, contiguous, or None. Times of a video's frames must increase."""
        ...


@dataclass(frozen=True)
class FaceTrack:
    """The faces of the frames asked for.

    crops : (n, S, S, 3) uint8, RGB, aligned; zeros where there is no face
    ok : (n,) bool, a face was found
    expression : (n, 52) float32, zeros where there is no face; None if the back-end has no expressions
    n_decoded : frames decoded until the last one asked for, or until the video broke
    finding : what a user should know about the video, if anything
    """

    crops: np.ndarray
    ok: np.ndarray
    expression: np.ndarray | None
    n_decoded: int
    finding: str | None = None


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
    info : what `probe` said of the video, if that is known already
    threads : of the video decoder; MediaPipe uses one

    Frames that the video does not have, or that cannot be decoded, have no face, and `finding` says so.
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
    for index, crop, found in follow_face(frames, info.time_s, side, backend, messages):
        rows = slice(*np.searchsorted(indices, (index, index + 1)))  # all that ask for this frame
        ok[rows] = True
        crops[rows] = crop
        if found is not None:
            expression[rows] = found
    has_expression = backend == "mediapipe"
    messages += [frames.finding] if frames.finding else []
    return FaceTrack(crops, ok, expression if has_expression else None, frames.n_decoded, "; ".join(messages) or None)


def follow_face(
    frames: Iterable[tuple[int, np.ndarray]],
    time_s: Callable[[int], float],
    side: int,
    backend: str = "mediapipe",
    messages: list[str] | None = None,
) -> Generator[tuple[int, np.ndarray, np.ndarray | None]]:
    """The frames of a video in which there is the participant's face: number, face (S, S, 3) uint8 and, where the
    back-end has one, expression (52,) float32; one after the other, in the order of `frames`. Raises as `track_faces`.

    time_s : when a frame is shown, in seconds, by its number
    messages : when all has been followed, what a user should know of the face is added to it
    """
    with open_landmarker(backend) as landmarker:
        participant = Participant(landmarker)
        try:
            for index, rgb in frames:
                face = participant.find(rgb, time_s(index))
                if face is not None:
                    yield index, align(rgb, face.landmarks, side), face.expression
        finally:
            if messages is not None:
                messages += participant.events.messages()


def nearest_good(ok: np.ndarray, times_s: np.ndarray, within_s: float = 1.0) -> np.ndarray:
    """For each frame the number of the good frame nearest in time: itself if it is good, the earlier of two at the same
    distance, -1 if there is none within `within_s` (inclusive).

    ok : (n,) bool        times_s : (n,) seconds, in order        Returns (n,) int64.
    """
    good = np.flatnonzero(ok)
    if not len(good):
        return np.full(len(ok), -1, np.int64)
    times_s = np.asarray(times_s, np.float64)
    at = np.searchsorted(good, np.arange(len(ok)))  # the first good frame that is not before this one
    before, after = good[np.maximum(at - 1, 0)], good[np.minimum(at, len(good) - 1)]
    distances = np.abs(times_s[np.stack([before, after])] - times_s)  # (2, n)
    # Times are multiples of a frame's length, and no two differ by a microsecond unless by rounding.
    nearest = np.where(distances[0] <= distances[1] + 1e-6, before, after)
    nearest = np.where(ok, np.arange(len(ok)), nearest)
    return np.where(np.abs(times_s[nearest] - times_s) <= within_s + 1e-6, nearest, -1)


def similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The scale, rotation and shift (2, 3) that bring points (n, 2) nearest to target (n, 2) in least squares.

    Umeyama (1991) for the plane. With points as complex numbers z and w about their means, a = sum(conj(z) w) /
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
    # A warp looks at four pixels of the frame for each of the picture. Where the face shrinks it would skip those
    # between and alias: so it is warped to about its own size in the frame, and that is averaged down.
    shrink = int(np.clip(round(1 / np.hypot(*to_face[:, 0])), 1, MAX_SHRINK))
    to_face = to_face * shrink
    # OpenCV counts from the middle of the first pixel, landmarks from its corner.
    to_face[:, 2] += to_face[:, :2] @ [0.5, 0.5] - 0.5
    large = cv2.warpAffine(rgb, to_face, (side * shrink, side * shrink), flags=cv2.INTER_LINEAR)
    return large if shrink == 1 else cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)


def open_landmarker(backend: str) -> AbstractContextManager[Landmarker]:
    """A landmark back-end for one video; use it in a `with`.

    Raises BadConfig for an unknown name, BadModel without the landmark model, GbvnetError if a package is absent.
    """
    makers = {"mediapipe": _mediapipe, "dlib": _dlib, "fan": _fan}
    if backend not in makers:
        raise BadConfig(f"no landmark back-end {backend!r}; there are {', '.join(makers)}")
    return makers[backend]()


class _MediaPipe:
    def __init__(self, landmarker: Any, detector: Any, mediapipe: Any):
        self.landmarker, self.detector, self.mediapipe = landmarker, detector, mediapipe
        self.following = False  # it looks for a face only near the last one
        self.last_ms = -1

    def all_faces(self, rgb: np.ndarray) -> list[tuple[Place, float]]:
        image = self.mediapipe.Image(image_format=self.mediapipe.ImageFormat.SRGB, data=rgb)
        with hushed_stderr("MediaPipe"):  # some picture of a process makes it write a line about its own memory
            found = self.detector.detect(image).detections
        boxes = [(d.bounding_box, d.categories[0].score) for d in found]
        return [(Place(b.origin_x + b.width / 2, b.origin_y + b.height / 2, b.width), score) for b, score in boxes]

    def find(self, rgb: np.ndarray, time_s: float) -> Face | None:
        image = self.mediapipe.Image(image_format=self.mediapipe.ImageFormat.SRGB, data=rgb)
        self.last_ms = max(round(time_s * 1000), self.last_ms + 1)  # it refuses two frames of one millisecond
        result = self.landmarker.detect_for_video(image, self.last_ms)
        if self.following and not result.face_landmarks:  # lost: now it looks everywhere, and finds one that jumped
            self.last_ms += 1
            result = self.landmarker.detect_for_video(image, self.last_ms)
        self.following = bool(result.face_landmarks)
        if not self.following:
            return None
        points = result.face_landmarks[0]
        height, width = rgb.shape[:2]
        landmarks = np.array([(points[i].x * width, points[i].y * height) for i in IBUG_68])
        return Face(landmarks, np.array([c.score for c in result.face_blendshapes[0]], np.float32))


@contextmanager
def _mediapipe() -> Iterator[Landmarker]:
    """Google's FaceLandmarker, which follows a face from frame to frame and so is steadier than one picture at a time.

    A new one for each video: what it remembers of one must not reach the next, or faces would depend on their order.
    """
    model = landmark_model()
    ignore_its_timers()
    try:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=vision.RunningMode.VIDEO,
            num_faces=1,
            output_face_blendshapes=True,
        )
        with zipfile.ZipFile(model) as parts:  # the detector inside finds all faces of a frame, in a tenth of the time
            all_faces = vision.FaceDetectorOptions(
                base_options=BaseOptions(model_asset_buffer=parts.read(DETECTOR)),
                running_mode=vision.RunningMode.IMAGE,
            )
        with hushed_stderr("MediaPipe"):
            landmarker = vision.FaceLandmarker.create_from_options(options)
            detector = vision.FaceDetector.create_from_options(all_faces)
    except OSError as e:  # its shared library asks for others
        raise GbvnetError(
            f"MediaPipe cannot be loaded ({e}). It needs the system libraries libGL, libEGL and libGLES; "
            "on Debian and Ubuntu: sudo apt-get install libgl1 libegl1 libgles2"
        ) from None
    with landmarker:  # not closed, it raises when Python exits
        try:
            yield _MediaPipe(landmarker, detector, mediapipe)
        finally:
            with hushed_stderr("MediaPipe"):  # it says good-bye with two lines
                detector.close()


def ignore_its_timers() -> None:
    """MediaPipe's library has timers that send SIGPROF as long as the process lives, and ignores them behind Python's
    back. Lightning, after a training, puts each handler back as Python knew it, and then SIGPROF ends the process.

    Only the main thread can set handlers, so a training asks for it as well: faces may have been found in another."""
    may = hasattr(signal, "SIGPROF") and threading.current_thread() is threading.main_thread()
    if may and signal.getsignal(signal.SIGPROF) is signal.SIG_DFL:
        signal.signal(signal.SIGPROF, signal.SIG_IGN)


_ONE_AT_A_TIME = threading.RLock()  # of two threads that put stderr back, the later one would put back the other's file


@contextmanager
def hushed_stderr(who: str) -> Iterator[None]:
    """Send what C++ code writes to stderr to the debug log: MediaPipe greets with five lines that no setting stops."""
    with _ONE_AT_A_TIME:
        try:
            kept = os.dup(2)
        except OSError:  # a program without a terminal has no stderr
            yield
            return
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                os.close(kept)
                file.seek(0)
                for line in file.read().decode(errors="replace").splitlines():
                    log.debug("%s: %s", who, line)


class _Dlib:
    def __init__(self, detector: Any, predictor: Any, rectangle: Any):
        self.detector, self.predictor, self.rectangle = detector, predictor, rectangle

    def all_faces(self, rgb: np.ndarray) -> list[tuple[Place, float]]:
        _, boxes, scale = self._boxes(rgb)
        middles = [(scale * (b.left() + b.right()) / 2, scale * (b.top() + b.bottom()) / 2) for b in boxes]
        return [(Place(x, y, scale * b.width()), 1.0) for (x, y), b in zip(middles, boxes, strict=True)]

    def _boxes(self, rgb: np.ndarray) -> tuple[np.ndarray, Any, int]:
        """The frame as dlib wants it, faces in it, and what their edges are to be multiplied by."""
        import cv2

        height, width = rgb.shape[:2]
        rgb = np.ascontiguousarray(rgb)  # dlib sees nothing, and says nothing, in an array that is not
        half = cv2.resize(rgb, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        scale, boxes = 2, self.detector(half)  # four times as fast; small faces only show at full size
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
        raise _absent("dlib", "dlib") from None
    spec = find_spec("face_recognition_models")  # found, not imported: importing it fails on newer Pythons
    if spec is None or not spec.submodule_search_locations:
        raise _absent("face_recognition_models", "dlib")
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
    """FAN (Bulat and Tzimiropoulos 2017), the paper's reference 27. Wants a GPU: 0.2 s and more a frame without."""
    try:
        import face_alignment
    except ImportError:
        raise _absent("face_alignment", "fan") from None
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        aligner = face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D, device=device)
    except OSError as e:  # it fetches them the first time
        raise GbvnetError(f"FAN's weights are neither here nor to be had ({e}); connect to the internet once") from None
    yield _Fan(aligner)


def _absent(package: str, extra: str) -> GbvnetError:
    return GbvnetError(f"landmarks from {extra} need the package {package}: pip install 'gbvnet[{extra}]'")

"""The faces of a recording's windows, a few windows at a time, so that memory does not grow with the video.

Shapes: W windows, F frames a window, S face side, D face features; n frames that any window uses.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..io.frame_times import VideoInfo
from ..io.video import probe, read_frames
from ..parallel.prefetch import prefetch
from .alignment import align
from .face_features import EXPRESSIONS, MEDIAPIPE_FEATURES
from .followed_landmarks import faces_of
from .landmarks import Landmarker, open_landmarker
from .participant import Participant
from .windowing import frame_times

PREFETCH_FRAMES = 6
BORROW_S = 1.0  # largest distance in time to a good frame that replaces one without a face


@dataclass(frozen=True)
class FaceSettings:
    """How the faces of a window are sampled and cut out."""

    window_s: float
    n_frames: int
    """face frames a window, F, evenly spaced"""
    side: int
    """of a face picture, S, pixels"""
    backend: str = "mediapipe"
    """of the landmarks: mediapipe, dlib or fan"""
    kept: str = "pixels"
    """what is kept of a face: pixels (a picture, with the expression if there is one), features or both"""
    pose: bool = True
    """whether the features are the expression and the head pose, or the expression alone"""
    landmark_every: int = 1
    """sampled frames from one run of the landmark network to the next; in between the points are followed"""

    @property
    def pictures(self) -> bool:
        """Whether pictures of the faces are cut out."""
        return self.kept != "features"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features that are kept; none where pictures alone are."""
        return () if self.kept == "pixels" else MEDIAPIPE_FEATURES if self.pose else EXPRESSIONS


class FacePart(NamedTuple):
    """The faces of windows `first` to `first` + w."""

    first: int
    faces: np.ndarray | None  # (w, F, S, S, 3) uint8, black where there is no face; None if no pictures are kept
    ok: np.ndarray  # (w, F) bool, a face was detected or borrowed
    expression: np.ndarray | None  # (w, F, 52) float32, zeros where there is no face; None without MediaPipe
    features: np.ndarray | None = None  # (w, F, D) float32, NaN where there is no face; None unless they are kept

    @property
    def values(self) -> np.ndarray:
        """What a network reads: the features (w, F, D) if they are kept, else the pictures (w, F, S, S, 3)."""
        return np.asarray(self.faces if self.features is None else self.features)


class FaceWindows:
    """An iterator over FaceParts. Where no face was detected, the nearest good frame of those that any window uses,
    within a second, is borrowed and counts as good.

    starts : (W,) seconds from the start of the stimulus
    video_start_s : that start on the video's own clock
    part : windows at a time
    prefetch : decode in another thread while landmarks are detected

    After the iteration, `n_detected`, `n_borrowed` and `n_missing` count frames, and `warning` says what a user should
    know about the video. Raises, during the iteration, BadRecording (the file is no video), BadModel (no landmark
    model), GbvnetError (a package is missing).
    """

    def __init__(
        self,
        video: Path,
        starts: np.ndarray,
        settings: FaceSettings,
        *,
        video_start_s: float = 0.0,
        info: VideoInfo | None = None,
        part: int = 32,
        prefetch: bool = False,
    ):
        self.video, self.settings, self.part, self.prefetch = video, settings, part, prefetch
        self.info = info or probe(video)
        times = video_start_s + frame_times(starts, settings.window_s, settings.n_frames)  # (W, F)
        numbers, shown_s = self.info.frames_at(times.ravel())
        # Windows may overlap and share frames. A time at which the video shows no frame keeps a place without a face.
        self.times, first, place = np.unique(shown_s, return_index=True, return_inverse=True)
        self.frames = numbers[first]
        self.place = place.reshape(times.shape)
        self.n_detected = self.n_borrowed = self.n_missing = 0
        self.warning: str | None = None

    def __iter__(self) -> Iterator[FacePart]:
        self.n_detected = self.n_borrowed = self.n_missing = 0
        self.warning = None
        settings = self.settings
        # The video may begin after the stimulus and end before it.
        reader = read_frames(self.video, np.unique(self.frames[self.frames >= 0]), info=self.info)
        with ExitStack() as resources:
            frames = resources.enter_context(closing(prefetch(reader, PREFETCH_FRAMES))) if self.prefetch else reader
            messages: list[str] = []
            tracked = resources.enter_context(closing(follow_face(frames, self.info.time_s, settings, messages)))
            yield from self._parts(tracked)
            for _ in tracked:  # to its end, where the reader reports what was wrong
                pass
            self.warning = "; ".join([*messages, *filter(None, [reader.warning])]) or None

    def _parts(self, tracked: Iterator["TrackedFace"]) -> Iterator[FacePart]:
        times = self.times
        existing = np.flatnonzero((self.frames >= 0) & (self.frames < self.info.n_frames))  # places with a frame
        buffer: dict[int, TrackedFace] = {}  # faces by their place in `frames`
        decoded = counted = 0  # places before these are decoded, or counted
        for first in range(0, len(self.place), self.part):
            place = self.place[first : first + self.part]
            low, high = int(place.min()), int(place.max())
            begin, end = np.searchsorted(times, (times[low] - BORROW_S - 1e-6, times[high] + BORROW_S + 1e-6)).tolist()
            while decoded < end:
                face = next(tracked, None)
                if face is None:
                    decoded = len(times)
                else:
                    decoded = int(existing[np.searchsorted(self.frames[existing], face.number)]) + 1
                    buffer[decoded - 1] = face
            buffer = {k: v for k, v in buffer.items() if k >= begin}
            ok = np.array([k in buffer for k in range(begin, end)])
            source = nearest_good(ok, times[begin:end], BORROW_S)  # (end - begin,), -1 for none
            self._count(ok, source, np.arange(counted, high + 1) - begin)
            counted = high + 1
            yield self._part(first, place, source, begin, buffer)

    def _count(self, ok: np.ndarray, source: np.ndarray, new: np.ndarray) -> None:
        """Add the frames at the places `new`, which no earlier part had."""
        detected, good = int(ok[new].sum()), int((source[new] >= 0).sum())
        self.n_detected += detected
        self.n_borrowed += good - detected
        self.n_missing += len(new) - good

    def _part(
        self, first: int, place: np.ndarray, source: np.ndarray, begin: int, buffer: dict[int, "TrackedFace"]
    ) -> FacePart:
        """Return the faces of windows by `place` (w, F), each taken from where `source` says."""
        settings, names = self.settings, self.settings.feature_names
        frame = source[place - begin]  # (w, F)
        ok = frame >= 0
        side = settings.side
        faces = np.zeros((*place.shape, side, side, 3), np.uint8) if settings.pictures else None
        with_expression = settings.backend == "mediapipe" and not names
        expression = np.zeros((*place.shape, len(EXPRESSIONS)), np.float32) if with_expression else None
        features = np.full((*place.shape, len(names)), np.nan, np.float32) if names else None
        for at in zip(*np.nonzero(ok), strict=True):
            face = buffer[int(frame[at]) + begin]
            for kept, value in ((faces, face.picture), (expression, face.features), (features, face.features)):
                if kept is not None:
                    kept[at] = value
        return FacePart(first, faces, ok, expression, features)


class FeatureWindows:
    """The same of features that a corpus brings, of which all windows are there already.

    features, ok : (W, F, D) float32 and (W, F) bool, as `features_of_windows` gives them
    """

    warning: str | None = None

    def __init__(self, features: np.ndarray, ok: np.ndarray, part: int = 32):
        self.features, self.ok, self.part = features, ok, part
        self.frames = np.arange(ok.size)
        self.n_detected = int(ok.sum())

    def __iter__(self) -> Iterator[FacePart]:
        for first in range(0, len(self.ok), self.part):
            those = slice(first, first + self.part)
            yield FacePart(first, None, self.ok[those], None, self.features[those])


class TrackedFace(NamedTuple):
    """A frame that shows the participant's face: its number, the picture (S, S, 3) uint8, None if none is kept, and
    what the back-end gives of its expression, (52,) or with the head pose (58,) float32, or None."""

    number: int
    picture: np.ndarray | None
    features: np.ndarray | None


def follow_face(
    frames: Iterable[tuple[int, np.ndarray]],
    time_s: Callable[[int], float],
    settings: FaceSettings,
    messages: list[str] | None = None,
) -> Generator[TrackedFace]:
    """Yield each frame of a video that shows the participant's face, in the order of `frames`. Raises as FaceWindows.

    frames : (number, picture (H, W, 3) uint8)
    time_s : returns when a frame is shown, in seconds, by its number
    messages : at the end, what a user should know about the face is added to it
    """
    with landmarker_of(settings) as landmarker:
        participant = Participant(landmarker)
        try:
            for frame in faces_of(frames, time_s, participant, settings.landmark_every):
                landmarks, expression = frame.face
                picture = align(frame.rgb, landmarks, settings.side) if settings.pictures else None
                yield TrackedFace(frame.number, picture, expression)
        finally:
            if messages is not None:
                messages += participant.events.messages()


def landmarker_of(settings: FaceSettings) -> AbstractContextManager[Landmarker]:
    """Return the landmark back-end that gives what the settings keep. Raises as `open_landmarker`."""
    with_pose = bool(settings.feature_names) and settings.pose
    return open_landmarker(settings.backend, pose=True) if with_pose else open_landmarker(settings.backend)


def nearest_good(ok: np.ndarray, times_s: np.ndarray, within_s: float = BORROW_S) -> np.ndarray:
    """Return for each frame the number of the good frame nearest in time: itself if it is good, the earlier of two at
    the same distance, -1 if there is none within `within_s` (inclusive).

    ok : (n,) bool        times_s : (n,) seconds, in order        Returns (n,) int64.
    """
    good = np.flatnonzero(ok)
    if not len(good):
        return np.full(len(ok), -1, np.int64)
    times_s = np.asarray(times_s, np.float64)
    at = np.searchsorted(good, np.arange(len(ok)))  # the first good frame that is not before this one
    before, after = good[np.maximum(at - 1, 0)], good[np.minimum(at, len(good) - 1)]
    distances = np.abs(times_s[np.stack([before, after])] - times_s)  # (2, n)
    # Times are multiples of a frame's duration, and no two differ by a microsecond unless by rounding.
    nearest = np.where(distances[0] <= distances[1] + 1e-6, before, after)
    nearest = np.where(ok, np.arange(len(ok)), nearest)
    return np.where(np.abs(times_s[nearest] - times_s) <= within_s + 1e-6, nearest, -1)

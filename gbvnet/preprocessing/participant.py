"""Which of several faces is the participant's, decided by position, size and time; faces are not identified.

A landmark back-end follows one face and stays with it: if a hand covers the participant, it moves to somebody behind.
So all faces of a frame are detected once a second, and whenever the followed face is lost or jumps. A face seen beside
the participant's is someone else's, and is hidden from the back-end until the participant's is back. What cannot be
decided is reported in messages.

Places are in pixels, times in seconds on the video's clock. H, W of a frame.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from .face_events import FaceEvents

CHECK_S = 1.0  # from one detection of all faces to the next
NEAR = 1.0  # widths that a face may move from one frame to the next
SAME = 0.8  # widths between two estimates of one face's position
MAX_SIZE_RATIO = 1.6  # of widths up to which a face may be the same
SIMILAR_SIZE = 0.6  # width of another face, as a share of the participant's, above which it is reported
FORGET_S = 10.0  # after which a face that was not seen again is no longer taken for someone else's
GIVE_UP_S = 30.0  # without the participant's face, after which another face is followed
RETURN_S = 60.0  # after a jump, during which a face at the former position is the participant's again
MIN_SCORE = 0.6  # of a detection that is a face
MAX_ROTATION_TESTS, MAX_ROTATION_FRAMES = 6, 60  # frames with a face, and frames in all, tested for rotation
UPRIGHT = 0.85  # score from which a face is upright, and no rotated frame is tried
ROTATED, MARGIN = 0.75, 0.05  # score that a rotated frame must reach, and its margin above the upright one
COVER = 1.6  # scale of a hidden face's box, so that hair and chin are hidden too


class Place(NamedTuple):
    """The centre of a face, and its width, in pixels."""

    x: float
    y: float
    width: float

    def distance(self, other: "Place") -> float:
        """Return the distance of another face in widths of this one."""
        return float(np.hypot(self.x - other.x, self.y - other.y)) / self.width

    def similar_size(self, other: "Place") -> bool:
        """Return whether another face may be the same by its size."""
        return 1 / MAX_SIZE_RATIO < other.width / self.width < MAX_SIZE_RATIO

    def continues(self, other: "Place") -> bool:
        """Return whether the face may have moved to that place since the last frame."""
        return self.distance(other) < NEAR and self.similar_size(other)

    def overlaps(self, other: "Place") -> bool:
        """Return whether the boxes of two faces overlap."""
        return max(abs(self.x - other.x), abs(self.y - other.y)) < (self.width + other.width) / 2

    def cost(self, other: "Place") -> float:
        """Return how different two places are: the distance in widths, plus twice the doublings of size."""
        return self.distance(other) + 2 * abs(float(np.log2(other.width / self.width)))


def place_of(landmarks: np.ndarray) -> Place:
    """Return the place of landmarks (68, 2), as wide as a detector's box of the same face."""
    features = landmarks[17:]  # without the jaw
    low, high = features.min(axis=0), features.max(axis=0)
    x, y = (low + high) / 2
    return Place(float(x), float(y), 1.29 * float((high - low).max()))


class OtherFaces:
    """Faces that were seen beside the participant's."""

    def __init__(self) -> None:
        self.places: list[tuple[Place, float]] = []  # and when each was seen last

    def add(self, places: Iterable[Place], time_s: float) -> None:
        """Add or update faces that are not the participant's."""
        for place in places:
            self.places = [(p, t) for p, t in self.places if not place.continues(p)]
            self.places.append((place, time_s))
        self.places = [(p, t) for p, t in self.places if time_s - t <= FORGET_S]

    def has(self, place: Place) -> bool:
        """Return whether a face is one of them."""
        return any(place.continues(p) for p, _ in self.places)


def cover_faces(rgb: np.ndarray, hidden: Sequence[Place], kept: Place | None) -> np.ndarray:
    """Return a frame (H, W, 3) with faces painted over; the face at `kept` stays, unless one of them overlaps it."""
    out = rgb.copy()
    colour = rgb[::8, ::8].mean(axis=(0, 1)).astype(np.uint8)
    for place in hidden:
        out[_box(place, COVER, rgb.shape)] = colour
    if kept is not None and not any(kept.overlaps(place) for place in hidden):
        inside = _box(kept, 1.0, rgb.shape)
        out[inside] = rgb[inside]
    return out


def _box(place: Place, scale: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    half = scale * place.width / 2
    low = np.maximum(np.array([place.y, place.x]) - half, 0).astype(int)
    high = np.minimum(np.array([place.y, place.x]) + half, shape[:2]).astype(int)
    return slice(low[0], max(low[0], high[0])), slice(low[1], max(low[1], high[1]))


class Backend(Protocol):
    """A landmark back-end, see landmarks.Landmarker, which may also have its `all_faces`."""

    def find(self, rgb: np.ndarray, time_s: float) -> Any:
        """Return the face in a frame (H, W, 3) uint8, contiguous, or None."""
        ...


class Participant:
    """A landmark back-end that follows the face of the participant only; `find` as a back-end's.

    The participant's face is the largest of the first frame that shows a face. A face may move by its own width from
    one frame to the next. After a larger jump, the face nearest in position and size to the participant's is chosen
    from all faces of the frame, those of others excluded. `events` keeps what a user should know.
    """

    def __init__(self, backend: Backend):
        self.backend = backend
        self.events = FaceEvents()
        self._others = OtherFaces()
        self._at: Place | None = None  # where the participant was seen last, and when
        self._at_s = 0.0
        self._lost = False
        self._before_jump: tuple[Place, float] | None = None  # where the participant was before a jump, and when
        self._checked_s = -np.inf
        self._n_tested = self._n_tried = 0  # frames tested for rotation: with a face, and all
        self._last: tuple[np.ndarray, list[tuple[Place, float]]] | None = None  # a frame, and all faces in it

    def find(self, rgb: np.ndarray, time_s: float) -> Any:
        """Return the participant's face in a frame (H, W, 3) uint8, contiguous, or None. Times must increase."""
        self._last = None  # a camera may have written another picture to the same memory
        check = self.is_check_due(time_s)
        if check:
            self._checked_s = time_s
            self._test_rotation(rgb)
        face = self._find_hiding_others(rgb, time_s) if self._hides_others(time_s) else self.backend.find(rgb, time_s)
        if face is not None:
            face = self._choose(face, rgb, time_s, check)
        self._update(face, rgb, time_s)
        return face

    def is_check_due(self, time_s: float) -> bool:
        """Return whether all faces are detected if `find` is called at this time."""
        return time_s - self._checked_s >= CHECK_S - 1e-6

    def follow(self, face: Any, rgb: np.ndarray, time_s: float) -> None:
        """Take the face of a frame (H, W, 3) for the participant's, as it was followed there from the last frame."""
        self._update(face, rgb, time_s)

    def _hides_others(self, time_s: float) -> bool:
        return self._lost and bool(self._others.places) and time_s - self._at_s <= GIVE_UP_S

    def _find_hiding_others(self, rgb: np.ndarray, time_s: float) -> Any:
        """Find the participant's face, while it is lost, with the faces of others painted over."""
        hidden = [place for place in self._detect_all(rgb) if self._others.has(place)]
        self._others.add(hidden, time_s)
        face = self._find_without(rgb, time_s, hidden, self._at)
        if face is None and hidden:
            self.events.extend(self.events.only_others, time_s, 2 * CHECK_S)
        return face

    def _choose(self, face: Any, rgb: np.ndarray, time_s: float, check: bool) -> Any:
        """Return the participant's face in a frame in which the back-end found `face`; or None."""
        place = place_of(face.landmarks)
        moved = self._at is None or not self._at.continues(place)
        if not moved and not check:
            return face
        beside = [p for p in self._detect_all(rgb) if p.distance(place) > SAME]
        best = self._nearest(place, beside, time_s) if moved else self._returned(place, beside, time_s)
        if best is None:
            self._others.add([place, *beside], time_s)
            self.events.extend(self.events.only_others, time_s, 2 * CHECK_S)
            return None
        if best is not place:
            face = self._find_without(rgb, time_s, [p for p in (place, *beside) if p is not best], best)
            if face is None or not best.continues(place_of(face.landmarks)):
                return None
        others = [p for p in (place, *beside) if p is not best]
        self._others.add(others, time_s)
        if any(p.width > SIMILAR_SIZE * best.width for p in others):
            self.events.extend(self.events.similar, time_s, 2 * CHECK_S)
        return face

    def _nearest(self, place: Place, beside: list[Place], time_s: float) -> Place | None:
        """Return the participant's face after a jump, a loss, or at the start, if it is among these."""
        if self._at is None:
            largest = max(beside, key=lambda p: p.width, default=place)
            return largest if largest.width > 1.1 * place.width else place
        free = [p for p in (place, *beside) if not self._others.has(p)]
        if not free and time_s - self._at_s > GIVE_UP_S:
            self._others.places.clear()
            free = [place, *beside]
        return min(free, key=self._at.cost, default=None)

    def _returned(self, place: Place, beside: list[Place], time_s: float) -> Place:
        """Return the followed face; but if another is now where the participant was before a jump, that one."""
        if self._before_jump is None:
            return place
        former, since_s = self._before_jump
        if time_s - since_s > RETURN_S or former.continues(place):
            self._before_jump = None
            return place
        candidates = [p for p in beside if former.continues(p)]
        return min(candidates, key=former.cost, default=place)

    def _update(self, face: Any, rgb: np.ndarray, time_s: float) -> None:
        """Store where the participant is, and what is to be reported."""
        self._lost = face is None
        if face is None:
            return
        place = place_of(face.landmarks)
        if self._at is not None and not self._at.continues(place):
            self._before_jump = self._before_jump or (self._at, self._at_s)
            self.events.add_jump(time_s, self._at.distance(place), place.width / self._at.width)
        self.events.add_face(self._at_s if self._at is not None else time_s, time_s, face.landmarks, rgb)
        self._at, self._at_s = place, time_s

    def _find_without(self, rgb: np.ndarray, time_s: float, hidden: list[Place], kept: Place | None) -> Any:
        return self.backend.find(cover_faces(rgb, hidden, kept) if hidden else rgb, time_s)

    def _detect_all(self, rgb: np.ndarray) -> list[Place]:
        return [place for place, score in self._detections(rgb) if score >= MIN_SCORE]

    def _detections(self, rgb: np.ndarray) -> list[tuple[Place, float]]:
        """Return all faces of a frame with their scores; one frame is searched once."""
        if self._last is None or self._last[0] is not rgb:
            all_faces = getattr(self.backend, "all_faces", None)
            self._last = rgb, all_faces(rgb) if all_faces is not None else []
        return self._last[1]

    def _best_score(self, rgb: np.ndarray) -> float:
        return max((score for _, score in self._detections(rgb)), default=0.0)

    def _test_rotation(self, rgb: np.ndarray) -> None:
        """Test, in some frames, whether a face scores higher when they are rotated by 90, 180 or 270 degrees."""
        if self._n_tested == MAX_ROTATION_TESTS or self._n_tried == MAX_ROTATION_FRAMES:
            return
        self._n_tried += 1
        upright, last, quarters = self._best_score(rgb), self._last, 0
        if upright < UPRIGHT:
            rotated = [self._best_score(np.ascontiguousarray(np.rot90(rgb, k))) for k in (1, 2, 3)]
            self._last = last
            if max(rotated) >= max(ROTATED, upright + MARGIN):
                quarters = 1 + int(np.argmax(rotated))
        if quarters or upright >= MIN_SCORE:
            self._n_tested += 1
            self.events.best_rotation[quarters] += 1

"""Which of several faces is the participant's: place, size and time tell it, as nothing is known of who anybody is.

A landmark back-end follows one face, and stays with whatever it has found: when a hand covers the participant, with
somebody who sits behind. So all faces of a frame are looked for once a second, and whenever the followed face is lost
or jumps. A face that was seen beside the participant's is another person's, and is hidden from the back-end until the
participant's is back. What cannot be decided is kept for messages.

Places are in pixels, times in seconds on the video's clock. H, W of a frame.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from .face_events import Events

CHECK_S = 1.0  # from one look for all faces to the next
NEAR = 1.0  # widths that a face may move from one look to the next
SAME = 0.8  # widths between two estimates of one face's place
ALIKE = 1.6  # ratio of widths up to which a face may be the same
LIKE_SIZE = 0.6  # width of another face, as a share of the participant's, from which on it is reported
FORGOTTEN_S = 10.0  # after which a face that was not seen again is no longer another person's
GIVEN_UP_S = 30.0  # without the participant's face, after which another person's is taken
HOME_S = 60.0  # after a jump, in which a face at the former place is the participant's again
CLEAR = 0.6  # score from which on a detector's find is a face
TRIES, LOOKS = 6, 60  # frames with a face, and at most in all, of which is asked how they are turned
UPRIGHT = 0.85  # score from which on a face is upright, and no turned picture is tried
TURNED, BETTER = 0.75, 0.05  # score that a turned picture must reach, and by how much it must be above the upright one
COVER = 1.6  # of a hidden face's box, so that hair and chin are hidden with it


class Place(NamedTuple):
    """The middle of a face, and its width, in pixels."""

    x: float
    y: float
    width: float

    def apart(self, other: "Place") -> float:
        """The distance of another face in widths of this one."""
        return float(np.hypot(self.x - other.x, self.y - other.y)) / self.width

    def alike(self, other: "Place") -> bool:
        return 1 / ALIKE < other.width / self.width < ALIKE

    def continues(self, other: "Place") -> bool:
        """Whether the face may have come from that place since the last look."""
        return self.apart(other) < NEAR and self.alike(other)

    def overlaps(self, other: "Place") -> bool:
        return max(abs(self.x - other.x), abs(self.y - other.y)) < (self.width + other.width) / 2

    def cost(self, other: "Place") -> float:
        """How unlike two places are: widths apart, and doublings of size twice."""
        return self.apart(other) + 2 * abs(float(np.log2(other.width / self.width)))


def place_of(landmarks: np.ndarray) -> Place:
    """Of landmarks (68, 2): as wide as a detector's box of the same face."""
    inner = landmarks[17:]
    low, high = inner.min(axis=0), inner.max(axis=0)
    x, y = (low + high) / 2
    return Place(float(x), float(y), 1.29 * float((high - low).max()))


class Others:
    """Faces that were seen beside the participant's."""

    def __init__(self) -> None:
        self.known: list[tuple[Place, float]] = []  # and when it was seen last

    def see(self, places: Iterable[Place], time_s: float) -> None:
        """Faces that are not the participant's."""
        for place in places:
            self.known = [(p, t) for p, t in self.known if not place.continues(p)]
            self.known.append((place, time_s))
        self.known = [(p, t) for p, t in self.known if time_s - t <= FORGOTTEN_S]

    def has(self, place: Place) -> bool:
        return any(place.continues(p) for p, _ in self.known)

    def forget(self, place: Place) -> None:
        self.known = [(p, t) for p, t in self.known if not place.continues(p)]


def covered(rgb: np.ndarray, hidden: Sequence[Place], kept: Place | None) -> np.ndarray:
    """A frame (H, W, 3) with faces painted over; what is at `kept` stays, unless one of them is there."""
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
    """A landmark back-end: `find` as in faces.Landmarker; `all_faces`, where it is there, as many as a frame shows."""

    def find(self, rgb: np.ndarray, time_s: float) -> Any: ...


class Participant:
    """A landmark back-end that follows the participant's face and no other one's; `find` as a back-end's.

    The participant is whose face is the largest of the first frame that shows any. A face may move by its own width
    from one look to the next. If it does not, of all faces in the picture the one is taken that is nearest in place and
    size to the participant's, those of others apart. `events` keeps what a user should know.
    """

    def __init__(self, backend: Backend):
        self.backend = backend
        self.events = Events()
        self._others = Others()
        self._at: Place | None = None  # where the participant was seen last, and when
        self._at_s = 0.0
        self._lost = False
        self._home: tuple[Place, float] | None = None  # where the participant was before a jump, and when
        self._checked_s = -np.inf
        self._tried = self._looks = 0  # frames of which was asked how they are turned: with a face, and all
        self._last: tuple[np.ndarray, list[tuple[Place, float]]] | None = None  # a frame, and all faces in it

    def find(self, rgb: np.ndarray, time_s: float) -> Any:
        """The participant's face in a frame (H, W, 3) uint8, contiguous, or None. Times must increase."""
        self._last = None  # a camera may have written another picture to the same memory
        check = time_s - self._checked_s >= CHECK_S - 1e-6
        if check:
            self._checked_s = time_s
            self._try_turned(rgb)
        face = self._look_past_others(rgb, time_s) if self._hides(time_s) else self.backend.find(rgb, time_s)
        if face is not None:
            face = self._chosen(face, rgb, time_s, check)
        self._take(face, rgb, time_s)
        return face

    def _hides(self, time_s: float) -> bool:
        return self._lost and bool(self._others.known) and time_s - self._at_s <= GIVEN_UP_S

    def _look_past_others(self, rgb: np.ndarray, time_s: float) -> Any:
        """While the participant is lost: with the faces of others painted over."""
        hidden = [place for place in self._all(rgb) if self._others.has(place)]
        self._others.see(hidden, time_s)
        face = self._find_but(rgb, time_s, hidden, self._at)
        if face is None and hidden:
            self.events.extend(self.events.strangers, time_s, 2 * CHECK_S)
        return face

    def _chosen(self, face: Any, rgb: np.ndarray, time_s: float, check: bool) -> Any:
        """The participant's face, where the back-end found a face; or None."""
        place = place_of(face.landmarks)
        moved = self._at is None or not self._at.continues(place)
        if not moved and not check:
            return face
        beside = [p for p in self._all(rgb) if p.apart(place) > SAME]
        best = self._best(place, beside, time_s) if moved else self._came_home(place, beside, time_s)
        if best is None:
            self._others.see([place, *beside], time_s)
            self.events.extend(self.events.strangers, time_s, 2 * CHECK_S)
            return None
        if best is not place:
            face = self._find_but(rgb, time_s, [p for p in (place, *beside) if p is not best], best)
            if face is None or not best.continues(place_of(face.landmarks)):
                return None
        others = [p for p in (place, *beside) if p is not best]
        self._others.see(others, time_s)
        if any(p.width > LIKE_SIZE * best.width for p in others):
            self.events.extend(self.events.beside, time_s, 2 * CHECK_S)
        return face

    def _best(self, place: Place, beside: list[Place], time_s: float) -> Place | None:
        """Of faces after a jump, a loss, or at first: the participant's, if it is among them."""
        if self._at is None:
            largest = max(beside, key=lambda p: p.width, default=place)
            return largest if largest.width > 1.1 * place.width else place
        free = [p for p in (place, *beside) if not self._others.has(p)]
        if not free and time_s - self._at_s > GIVEN_UP_S:
            self._others.known.clear()
            free = [place, *beside]
        return min(free, key=self._at.cost, default=None)

    def _came_home(self, place: Place, beside: list[Place], time_s: float) -> Place:
        """The face that is followed; but if another is now where the participant was before a jump, that one."""
        if self._home is None:
            return place
        home, since_s = self._home
        if time_s - since_s > HOME_S or home.continues(place):
            self._home = None
            return place
        there = [p for p in beside if home.continues(p)]
        return min(there, key=home.cost, default=place)

    def _take(self, face: Any, rgb: np.ndarray, time_s: float) -> None:
        """Remember where the participant is, and what is to be reported."""
        self._lost = face is None
        if face is None:
            return
        place = place_of(face.landmarks)
        if self._at is not None and not self._at.continues(place):
            self._home = self._home or (self._at, self._at_s)
            self.events.moved(time_s, self._at.apart(place), place.width / self._at.width)
        self.events.face(self._at_s if self._at is not None else time_s, time_s, face.landmarks, rgb)
        self._at, self._at_s = place, time_s

    def _find_but(self, rgb: np.ndarray, time_s: float, hidden: list[Place], kept: Place | None) -> Any:
        return self.backend.find(covered(rgb, hidden, kept) if hidden else rgb, time_s)

    def _all(self, rgb: np.ndarray) -> list[Place]:
        return [place for place, score in self._scored(rgb) if score >= CLEAR]

    def _scored(self, rgb: np.ndarray) -> list[tuple[Place, float]]:
        """All faces of a frame with their scores; of the same frame only once."""
        if self._last is None or self._last[0] is not rgb:
            all_faces = getattr(self.backend, "all_faces", None)
            self._last = rgb, all_faces(rgb) if all_faces is not None else []
        return self._last[1]

    def _best_score(self, rgb: np.ndarray) -> float:
        return max((score for _, score in self._scored(rgb)), default=0.0)

    def _try_turned(self, rgb: np.ndarray) -> None:
        """Of some frames: whether a face is better seen when they are turned by 90, 180 or 270 degrees."""
        if self._tried == TRIES or self._looks == LOOKS:
            return
        self._looks += 1
        upright, seen, quarters = self._best_score(rgb), self._last, 0
        if upright < UPRIGHT:
            turned = [self._best_score(np.ascontiguousarray(np.rot90(rgb, k))) for k in (1, 2, 3)]
            self._last = seen
            if max(turned) >= max(TURNED, upright + BETTER):
                quarters = 1 + int(np.argmax(turned))
        if quarters or upright >= CLEAR:
            self._tried += 1
            self.events.clearest[quarters] += 1

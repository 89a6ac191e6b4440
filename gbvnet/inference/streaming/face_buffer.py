"""Faces as they come: found in those frames that windows look at, and kept as long as a window may still ask.

Shapes: F frames a window, S face side, H, W of a frame.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...preprocessing.alignment import align
from ...preprocessing.face_windows import BORROW_S
from ...preprocessing.landmarks import Landmarker
from ...preprocessing.participant import Participant

SLACK = 1e-6  # seconds; times are multiples of a frame's length, rounded


class _Look(NamedTuple):
    time_s: float
    face: np.ndarray | None  # (S, S, 3) uint8


class FaceStream:
    """Frames of one camera on the clock of a stream. A frame is on show until the next one comes, for a second at most.

    looked_at : whether any window looks at a time from `a` on and before `b`

    Where no face was found, the nearest good frame of the second before is borrowed: what comes later is not known.
    """

    def __init__(self, landmarker: Landmarker, side: int, looked_at: Callable[[float, float], bool]):
        self.side, self.looked_at = side, looked_at
        self.participant = Participant(landmarker)
        self.found = self.frames = 0  # frames that were looked at, and with a face
        self._looks: deque[_Look] = deque()
        self._shown: tuple[float, np.ndarray] | None = None  # the newest frame, while nobody has looked at it
        self._first_s: float | None = None
        self._gap_s = 0.0  # between the newest two
        self.reached_s = -np.inf
        self.ended = self._finished = False

    def push(self, rgb: np.ndarray, time_s: float) -> None:
        """rgb (H, W, 3) uint8. Raises ValueError for anything else, and for times that do not increase."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"a frame must be (H, W, 3) uint8, not {rgb.shape} {rgb.dtype}")
        if not time_s > self.reached_s:
            raise ValueError(f"times of frames must increase: {time_s} after {self.reached_s}")
        self.ended = self._finished = False
        self._end_of_show(time_s)
        if self._first_s is None:
            self._first_s = self.participant.events.zero_s = time_s
        else:
            self._gap_s = time_s - self.reached_s
        self.reached_s = time_s
        if self.looked_at(time_s - SLACK, time_s + SLACK):
            self._look(rgb, time_s)
        else:
            self._shown = time_s, rgb.copy()  # a camera may write the next one over it

    def _end_of_show(self, time_s: float) -> None:
        if self._shown is not None and self.looked_at(
            self._shown[0] - SLACK, min(time_s, self._shown[0] + BORROW_S) - SLACK
        ):
            self._look(self._shown[1], self._shown[0])
        self._shown = None

    def _look(self, rgb: np.ndarray, time_s: float) -> None:
        assert self._first_s is not None
        found = self.participant.find(np.ascontiguousarray(rgb), time_s - self._first_s)
        self.frames += 1
        self.found += found is not None
        self._looks.append(_Look(time_s, None if found is None else align(rgb, found.landmarks, self.side)))

    def end(self) -> None:
        """No more will come, and windows may say so."""
        self.finish()
        self.ended = True

    def finish(self) -> None:
        """No more will come: the last frame is on show as long as the one before it was."""
        if self._finished:
            return
        self._finished = True
        self._end_of_show(self.reached_s + self._gap_s)
        self.reached_s += self._gap_s

    def window(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
        """Faces (F, S, S, 3) uint8, black where there is none, at times (F,); ok (F,) bool; and whether there were any
        frames at all."""
        faces = np.zeros((len(times), self.side, self.side, 3), np.uint8)
        ok = np.zeros(len(times), bool)
        looks = list(self._looks)
        at = np.searchsorted([look.time_s for look in looks], times + SLACK, side="right") - 1  # on show, or -1
        any_frame = False
        for k, shown in enumerate(at.tolist()):
            if shown < 0 or looks[shown].time_s < times[k] - BORROW_S - SLACK:
                continue
            any_frame = True
            while shown >= 0 and looks[shown].time_s >= looks[at[k]].time_s - BORROW_S - SLACK:
                face = looks[shown].face
                if face is not None:
                    faces[k], ok[k] = face, True
                    break
                shown -= 1
        return faces, ok, any_frame

    def forget(self, before_s: float) -> None:
        """No window will look at times before this one."""
        while self._looks and self._looks[0].time_s < before_s - 2 * BORROW_S - SLACK:
            self._looks.popleft()

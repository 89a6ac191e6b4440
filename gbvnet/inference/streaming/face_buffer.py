"""The faces of a stream: found in the frames that windows sample, and kept for the windows that are still to come.

Shapes: F frames a window, S face side, D face features, H, W of a frame.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...preprocessing.alignment import align
from ...preprocessing.face_windows import BORROW_S, FaceSettings
from ...preprocessing.landmarks import Landmarker
from ...preprocessing.participant import Participant

SLACK = 1e-6  # seconds; times are multiples of a frame's length, rounded


class _SearchedFrame(NamedTuple):
    time_s: float
    face: np.ndarray | None  # (S, S, 3) uint8 or features (D,) float32, None if no face was detected


class FaceBuffer:
    """The faces of one camera on the clock of a stream. A frame is valid until the next one, for a second at most.

    settings : what is kept of a face, its picture or its features
    is_sampled : returns whether a window samples the video at or after one time and before another

    Where no face was found, the face of the nearest earlier frame is borrowed, at most a second old.
    """

    def __init__(self, landmarker: Landmarker, settings: FaceSettings, is_sampled: Callable[[float, float], bool]):
        self.settings, self.is_sampled = settings, is_sampled
        self.participant = Participant(landmarker)
        self.n_searched = 0  # frames in which a face was searched for
        self.reached_s = -np.inf  # time of the newest frame
        self.ended = self._finished = False
        self._searched: deque[_SearchedFrame] = deque()
        self._pending: tuple[float, np.ndarray] | None = None  # the newest frame, as long as no window sampled it
        self._gap_s = 0.0  # between the newest two

    def push(self, rgb: np.ndarray, time_s: float) -> None:
        """Take a frame rgb (H, W, 3) uint8. Raises ValueError for another shape or dtype, and for a time that is not
        later than the last one."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"a frame must be (H, W, 3) uint8, not {rgb.shape} {rgb.dtype}")
        if not time_s > self.reached_s:
            raise ValueError(f"times of frames must increase: {time_s} after {self.reached_s}")
        self.ended = self._finished = False
        self._process_pending_frame(time_s)
        if self.reached_s == -np.inf:
            self.participant.events.zero_s = time_s
        else:
            self._gap_s = time_s - self.reached_s
        self.reached_s = time_s
        if self.is_sampled(time_s - SLACK, time_s + SLACK):
            self._search(rgb, time_s)
        else:
            self._pending = time_s, rgb.copy()  # a camera may overwrite it

    def _process_pending_frame(self, next_s: float) -> None:
        """Search the pending frame for a face if a window samples it before the next frame."""
        if self._pending is not None:
            time_s, rgb = self._pending
            if self.is_sampled(time_s - SLACK, min(next_s, time_s + BORROW_S) - SLACK):
                self._search(rgb, time_s)
        self._pending = None

    def _search(self, rgb: np.ndarray, time_s: float) -> None:
        face = self.participant.find(np.ascontiguousarray(rgb), time_s - self.participant.events.zero_s)
        self.n_searched += 1
        kept = None
        if face is not None:
            pictures = self.settings.pictures
            kept = align(rgb, face.landmarks, self.settings.side) if pictures else face.expression
        self._searched.append(_SearchedFrame(time_s, kept))

    def end(self) -> None:
        """Note that no more frames will come, and let windows say so."""
        self.finish()
        self.ended = True

    def finish(self) -> None:
        """Note that no more frames will come: the last one is valid as long as the one before it was."""
        if self._finished:
            return
        self._finished = True
        self._process_pending_frame(self.reached_s + self._gap_s)
        self.reached_s += self._gap_s

    def window(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return the faces at times (F,): faces (F, S, S, 3) uint8, black where there is none, or features (F, D)
        float32, NaN where there is none; ok (F,) bool; and whether there were any frames at all."""
        faces = self._empty(len(times))
        ok = np.zeros(len(times), bool)
        frames = list(self._searched)
        newest = np.searchsorted([frame.time_s for frame in frames], times + SLACK, side="right") - 1  # -1 for none
        any_frame = False
        for k, index in enumerate(newest.tolist()):
            if index < 0 or frames[index].time_s < times[k] - BORROW_S - SLACK:
                continue
            any_frame = True
            earliest_s = frames[index].time_s - BORROW_S - SLACK
            while index >= 0 and frames[index].time_s >= earliest_s:
                face = frames[index].face
                if face is not None:
                    faces[k], ok[k] = face, True
                    break
                index -= 1
        return faces, ok, any_frame

    def _empty(self, n: int) -> np.ndarray:
        names, side = self.settings.feature_names, self.settings.side
        return np.full((n, len(names)), np.nan, np.float32) if names else np.zeros((n, side, side, 3), np.uint8)

    def forget(self, before_s: float) -> None:
        """Drop faces that no window samples, as all later ones start at this time or after it."""
        while self._searched and self._searched[0].time_s < before_s - 2 * BORROW_S - SLACK:
            self._searched.popleft()

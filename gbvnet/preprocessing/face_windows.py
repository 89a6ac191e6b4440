"""The faces of a recording's windows, some windows at a time: memory does not grow with the video.

Shapes: W windows, F frames a window, S face side; n frames that any window looks at.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..io.frame_times import VideoInfo
from ..io.video import probe, read_frames
from ..parallel.prefetch import ahead
from .faces import EXPRESSIONS, follow_face, nearest_good
from .windowing import frame_times

AHEAD = 6  # frames
BORROW_S = 1.0  # how far away a good frame may be that stands in for one without a face


class FacePart(NamedTuple):
    """The faces of windows `first` to `first` + w."""

    first: int
    faces: np.ndarray  # (w, F, S, S, 3) uint8, black where there is no face
    ok: np.ndarray  # (w, F) bool, a face was found or borrowed
    expression: np.ndarray | None  # (w, F, 52) float32, zeros where there is no face; None without MediaPipe


class FaceWindows:
    """An iterator over FaceParts. Where no face was found, the nearest good frame of those that any window looks at,
    within a second, is borrowed and counts as good.

    starts : (W,) seconds from the stimulus' start        video_start_s : that start on the video's own clock
    part : how many windows at a time
    ahead : decode in a thread of its own, while landmarks are looked for

    Once it ends: `found`, `borrowed` and `missing` count frames, and `finding` says what to know of the video.
    Raises, while it runs, BadRecording (the file is no video), BadModel (no landmark model), GbvnetError (a package is
    absent).
    """

    def __init__(
        self,
        video: Path,
        starts: np.ndarray,
        *,
        window_s: float,
        n_frames: int,
        side: int,
        backend: str = "mediapipe",
        video_start_s: float = 0.0,
        info: VideoInfo | None = None,
        part: int = 32,
        ahead: bool = False,
    ):
        self.video, self.side, self.backend, self.part = video, side, backend, part
        self.ahead = ahead
        self.info = info or probe(video)
        times = video_start_s + frame_times(starts, window_s, n_frames)  # (W, F)
        numbers, shown_s = self.info.look(times.ravel())
        # Windows may overlap, and share frames. Where no frame is on show, the time itself is looked at, in vain.
        self.times, first, place = np.unique(shown_s, return_index=True, return_inverse=True)
        self.frames = numbers[first]
        self.place = place.reshape(times.shape)
        self.found = self.borrowed = self.missing = 0
        self.finding: str | None = None

    def __iter__(self) -> Iterator[FacePart]:
        self.found = self.borrowed = self.missing = 0
        self.finding = None
        # It may begin after the stimulus does, and end before it.
        reader = read_frames(self.video, np.unique(self.frames[self.frames >= 0]), info=self.info)
        with ExitStack() as opened:
            frames = opened.enter_context(closing(ahead(reader, AHEAD))) if self.ahead else reader
            messages: list[str] = []
            seen = opened.enter_context(
                closing(follow_face(frames, self.info.time_s, self.side, self.backend, messages))
            )
            yield from self._parts(seen)
            for _ in seen:  # to its end, where the reader says what was wrong
                pass
            self.finding = "; ".join([*messages, *filter(None, [reader.finding])]) or None

    def _parts(self, seen: Iterator[tuple[int, np.ndarray, np.ndarray | None]]) -> Iterator[FacePart]:
        times = self.times
        there = np.flatnonzero((self.frames >= 0) & (self.frames < self.info.n_frames))  # places with a frame
        kept: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}  # faces by their place in `frames`
        reached = counted = 0  # places before these are decoded, or counted
        for first in range(0, len(self.place), self.part):
            place = self.place[first : first + self.part]
            low, high = int(place.min()), int(place.max())
            begin, end = np.searchsorted(times, (times[low] - BORROW_S - 1e-6, times[high] + BORROW_S + 1e-6)).tolist()
            while reached < end:
                face = next(seen, None)
                if face is None:
                    reached = len(times)
                else:
                    reached = int(there[np.searchsorted(self.frames[there], face[0])]) + 1
                    kept[reached - 1] = face[1:]
            kept = {k: v for k, v in kept.items() if k >= begin}
            ok = np.array([k in kept for k in range(begin, end)])
            source = nearest_good(ok, times[begin:end], BORROW_S)  # (end - begin,), -1 for none
            new = np.arange(counted, high + 1) - begin
            found, good = int(ok[new].sum()), int((source[new] >= 0).sum())
            self.found, self.borrowed, self.missing = (
                self.found + found, self.borrowed + good - found, self.missing + len(new) - good
            )  # fmt: skip
            counted = high + 1
            yield self._part(first, place, source, begin, kept)

    def _part(self, first: int, place: np.ndarray, source: np.ndarray, begin: int, kept: dict[int, tuple]) -> FacePart:
        """Faces of windows by `place` (w, F), each taken from where `source` says."""
        of = source[place - begin]  # (w, F)
        ok = of >= 0
        faces = np.zeros((*place.shape, self.side, self.side, 3), np.uint8)
        expression = np.zeros((*place.shape, len(EXPRESSIONS)), np.float32) if self.backend == "mediapipe" else None
        for at in zip(*np.nonzero(ok), strict=True):
            face, found = kept[int(of[at]) + begin]
            faces[at] = face
            if expression is not None:
                expression[at] = found
        return FacePart(first, faces, ok, expression)

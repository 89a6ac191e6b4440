"""A part of a source: some of its channels, some of each window's face frames, and of faces features alone.

Shapes: n rows, F face frames a window, C channels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from typing_extensions import override

from .window_source import Arrays, DerivedSource, WindowSource


class StoreSubset(DerivedSource):
    """A source of which only some channels and some of each window's frames are read, with pictures or without.

    channels : numbers of its channels, in the order wanted
    n_frames : face frames a window, evenly spaced; 0 for no faces
    pixels : whether pictures are read; False: of its faces the features alone
    """

    def __init__(self, source: WindowSource, channels: Sequence[int], n_frames: int, pixels: bool = True):
        super().__init__(source)
        s = source.settings
        self._arguments, self._pixels = (list(channels), n_frames, pixels), pixels
        every_channel = list(channels) == list(range(len(s["channels"])))
        self._channels = None if every_channel else np.asarray(channels, np.int64)
        self._frames = None if n_frames == s["frames_per_window"] else nearest_frames(s["frames_per_window"], n_frames)
        chosen = [s["channels"][i] for i in channels]
        prepare: dict[str, Any] = {"faces": n_frames > 0, "signals": len(chosen) > 0}
        if self._channels is not None:
            prepare["channels"] = [name for name, _ in chosen]
        if self._frames is not None:
            prepare["frames_per_window"] = n_frames or None
        self.settings = {
            **s,
            "prepare": s["prepare"] | prepare,
            "channels": chosen,
            "frames_per_window": n_frames,
            "face_side": s["face_side"] if n_frames and pixels else 0,
        }
        if not n_frames:
            self.settings.pop("face_features", None)
        self.windows = source.windows.assign(
            has_face=source.windows["has_face"] & self._any_good_frame(),
            has_signals=source.windows["has_signals"] & (len(chosen) > 0),
        )

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, *self._arguments)

    @property
    @override
    def digest(self) -> str:
        """That of the whole source."""
        return self.source.digest

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        pictures, ok, x = self.source.read(rows, faces and self._pixels, signals)
        if faces and not self._pixels:
            ok = self.source.face_ok(rows)
        if self._frames is not None and faces:
            pictures, ok = None if pictures is None else pictures[:, self._frames], ok[:, self._frames]
        return pictures, ok, x if self._channels is None or x is None else x[:, self._channels]

    @override
    def face_ok(self, rows: ArrayLike) -> np.ndarray:
        ok = self.source.face_ok(rows)
        return ok if self._frames is None else ok[:, self._frames]

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        coefficients = self.source.expression(rows)
        return coefficients if self._frames is None else coefficients[:, self._frames]

    @override
    def face_features(self, rows: ArrayLike) -> np.ndarray:
        features = self.source.face_features(rows)
        return features if self._frames is None else features[:, self._frames]

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        signals = self.source.baseline(recording)
        return signals if self._channels is None or signals is None else signals[self._channels]

    def _any_good_frame(self) -> np.ndarray:
        """Return whether each window still shows a face, (n,) bool."""
        if self._frames is None or not len(self._frames):
            return np.full(len(self), self._frames is None, dtype=np.bool_)
        return np.asarray(self.face_ok(np.arange(len(self))).any(axis=1))


def nearest_frames(have: int, wanted: int) -> np.ndarray:
    """Return which of `have` evenly spaced frames of a window are nearest to `wanted` evenly spaced ones, (wanted,)
    int64; halves are rounded up."""
    return np.floor(np.arange(wanted) * have / wanted + 0.5).astype(np.int64) if wanted else np.zeros(0, np.int64)

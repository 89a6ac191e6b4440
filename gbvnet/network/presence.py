"""Which modalities the windows of a batch have, as the host knows it.

A network that asks a mask on a GPU (`mask.any()`) waits until the GPU has done all work before it, and cannot be
recorded as a CUDA graph. What a batch has is known when it is put together.
"""

from typing import NamedTuple

import numpy as np


class Presence(NamedTuple):
    """What the windows of a batch have. A window has a face if one of its frames shows a face."""

    any_face: bool
    all_faces: bool
    any_signals: bool
    all_signals: bool
    all_either: bool
    """every window has a face or signals"""

    @classmethod
    def of(cls, has_face: np.ndarray, has_signals: np.ndarray) -> "Presence":
        """Return the presence of windows, (B,) bool each."""
        return cls(
            bool(has_face.any()),
            bool(has_face.all()),
            bool(has_signals.any()),
            bool(has_signals.all()),
            bool((has_face | has_signals).all()),
        )

    @property
    def all_both(self) -> bool:
        """Whether every window has a face and signals."""
        return self.all_faces and self.all_signals

"""Where windows lie: the same seconds of the face video and of the signals.

Shapes: W windows, F face frames a window, C channels, L samples a window, N samples of a recording.
"""

import numpy as np

_SLACK = 1e-6  # of a window; seconds are floats, and 60 windows must fit into 60 s


def window_starts(seconds: float, window_s: float, step_s: float) -> np.ndarray:
    """Start of each whole window within a stimulus, in seconds from its start, (W,) float64."""
    if seconds < window_s * (1 - _SLACK):
        return np.zeros(0)
    return np.arange(int((seconds - window_s) / step_s + _SLACK) + 1) * step_s


def frame_times(starts: np.ndarray, window_s: float, n_frames: int) -> np.ndarray:
    """When to look at the face: `n_frames` evenly spaced times from the start of each window, (W, F) seconds."""
    return starts[:, None] + np.arange(n_frames) * (window_s / n_frames)


def cut(x: np.ndarray, onset: int, rate_hz: float, starts: np.ndarray, length: int) -> np.ndarray:
    """Cut windows out of a recording: (C, N) -> (W, C, L) float32.

    onset : the sample at which the stimulus, and so second 0, starts
    Windows that reach past the end of the signals are left off at the end, so W may be smaller than len(starts).
    """
    first = onset + np.round(starts * rate_hz).astype(np.int64)  # (W,)
    first = first[first + length <= x.shape[1]]
    out = np.empty((len(first), len(x), length), np.float32)
    for window, begin in zip(out, first.tolist(), strict=True):
        window[:] = x[:, begin : begin + length]
    return out

"""The times of windows: the same seconds of the face video and of the signals.

Shapes: W windows, F face frames a window, C channels, L samples a window, N samples of a recording.
"""

from pathlib import Path

import numpy as np

from ..errors import BadConfig, BadRecording

MAX_WINDOWS = 10_000_000  # of one recording: eleven days at ten a second
_TOLERANCE = 1e-6  # of a window; seconds are floats, and 60 windows must fit into 60 s


def window_starts(seconds: float, window_s: float, step_s: float) -> np.ndarray:
    """Return the start of each whole window of a stimulus, in seconds from its start, (W,) float64.

    Raises BadConfig if there are more than MAX_WINDOWS, because then the times must be wrong.

    >>> window_starts(3.5, window_s=1.0, step_s=0.5).tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    """
    if seconds < window_s * (1 - _TOLERANCE):
        return np.zeros(0)
    steps = (seconds - window_s) / step_s
    if not steps < MAX_WINDOWS:
        raise BadConfig(
            f"{seconds:g} s make more than {MAX_WINDOWS:,} windows {step_s:g} s apart: are the times in seconds?"
        )
    return np.arange(int(steps + _TOLERANCE) + 1) * step_s


def frame_times(starts: np.ndarray, window_s: float, n_frames: int) -> np.ndarray:
    """Return the times of face frames: `n_frames` evenly spaced from the start of each window, (W, F) seconds."""
    return starts[:, None] + np.arange(n_frames) * (window_s / n_frames)


def cut(x: np.ndarray, onset: int, rate_hz: float, starts: np.ndarray, length: int) -> np.ndarray:
    """Return the windows of a recording: (C, N) -> (W, C, L) float32.

    onset : the sample at which the stimulus, and so second 0, starts
    Windows that reach past the end of the signals are omitted, so W may be smaller than len(starts). Raises BadConfig
    if the first begins before the signals do.
    """
    first = onset + np.round(starts * rate_hz).astype(np.int64)  # (W,)
    if len(first) and first.min() < 0:
        raise BadConfig(f"a window that starts {-first.min() / rate_hz:.2f} s before its signals")
    first = first[first + length <= x.shape[1]]
    out = np.empty((len(first), len(x), length), np.float32)
    for window, begin in zip(out, first.tolist(), strict=True):
        window[:] = x[:, begin : begin + length]
    return out


def missing_windows(n: int, starts: np.ndarray, file: Path | None) -> list[str]:
    """Return a warning if the signals of a file fill only the first n of the windows that begin at starts (W,).

    Raises BadRecording if they fill none.
    """
    if not n:
        expected, remedy = "signals for at least one window", "Are the times of the recording right?"
        raise BadRecording(file, expected, "signals that end before the end of the first one", remedy)
    if n == len(starts):
        return []
    return [f"the signals end before the last {len(starts) - n} of {len(starts)} windows, which are left out"]

"""The windows of a stream: when they start, and when they sample the video.

Shapes: W windows, F frames a window.
"""

from dataclasses import dataclass

import numpy as np

from ...preprocessing.windowing import frame_times


@dataclass
class WindowSchedule:
    """Windows at regular steps, once the start of the first is known. Times are on the stream's clock."""

    start_s: float  # of the first window
    step_s: float
    window_s: float
    n_frames: int  # that a window samples
    next: int = 0  # number of the next window
    skipped: int = 0  # windows that were left out

    @property
    def next_start_s(self) -> float:
        """Start of the next window."""
        return self.start_s + self.next * self.step_s

    def frame_times(self, windows: np.ndarray) -> np.ndarray:
        """Return the times at which windows sample the video, (W, F) seconds."""
        return self.start_s + frame_times(windows * self.step_s, self.window_s, self.n_frames)

    def is_sampled(self, from_s: float, to_s: float) -> bool:
        """Return whether a window to come samples the video at or after `from_s` and before `to_s`."""
        low = max(self.next, int((from_s - self.start_s - self.window_s) // self.step_s))
        high = int((to_s - self.start_s) // self.step_s)
        times = self.frame_times(np.arange(low, high + 1))
        return bool(((times >= from_s) & (times < to_s)).any())

    def skip_to(self, time_s: float) -> None:
        """Leave out the windows that end before a time."""
        next_window = max(self.next, int((time_s - self.window_s - self.start_s) // self.step_s) + 1)
        self.skipped += next_window - self.next
        self.next = next_window

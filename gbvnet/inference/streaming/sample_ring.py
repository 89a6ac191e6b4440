"""The newest samples of a stream.

Shapes: C channels, n samples.
"""

import numpy as np


class SampleRing:
    """A ring buffer of samples at a fixed rate. Sample number 0 is at second 0 of the stream.

    end : number of the next sample
    """

    def __init__(self, n_channels: int, size: int):
        self._values = np.full((n_channels, size), np.nan)
        self.end = 0

    @property
    def n_channels(self) -> int:
        """Number of channels, C."""
        return len(self._values)

    def append(self, y: np.ndarray) -> None:
        """Append samples (C, n)."""
        self._write(y, self.end + y.shape[1])

    def start(self, number: int) -> None:
        """Let the first sample have this number."""
        self.end = number

    def skip_to(self, number: int) -> None:
        """Leave a gap before a sample number that is not before `end`. The last sample before it is lost as well, so
        that a gap shorter than a sample is in some window too."""
        size = self._values.shape[1]
        self._write(np.full((self.n_channels, 1), np.nan), self.end)
        self._write(np.full((self.n_channels, min(number - self.end, size)), np.nan), number)

    def read(self, first: int, length: int) -> np.ndarray:
        """Return samples `first` to first + length, (C, length); NaN in gaps, and where they are not there (any
        more)."""
        size = self._values.shape[1]
        numbers = np.arange(first, first + length)
        x = self._values[:, numbers % size]
        x[:, (numbers < self.end - size) | (numbers >= self.end)] = np.nan
        return x

    def _write(self, y: np.ndarray, end: int) -> None:
        size = self._values.shape[1]
        y = y[:, -size:] if y.shape[1] > size else y
        self._values[:, np.arange(end - y.shape[1], end) % size] = y
        self.end = end

"""A recording of a device, read from its file, folder or archive: channels of known kinds and units, at their rates.

Shapes: C channels, N samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil, floor, gcd, lcm
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ..units import Conversion, convert
from .segments import Segment

ON_GRID = 1e-6  # of a step: rounding error of computed seconds


class DeviceChannel(NamedTuple):
    """A channel of a device.

    name : as users call it, without what differs between two devices of one type
    kind : eeg, ecg, gsr, ...; None where the file does not tell it
    unit : of the samples, as the file or the device's format states it; empty where neither does
    rate_hz : of its samples
    samples : (N,) float64, of all segments one after the other; NaN where the file has none
    """

    name: str
    kind: str | None
    unit: str
    rate_hz: float
    samples: np.ndarray


class _HasKind(Protocol):
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True, eq=False)
class DeviceFile:
    """A recording of a device. Its second 0 is its first sample.

    device : the name of the device, or of the program that wrote the file
    segments : parts between pauses
    segment_rates_hz : rate of all channels in each segment, where a line was fitted to the times in each
    start_unix_s : seconds since 1970 (UTC) of second 0; None where the file does not tell it
    start_local : second 0 as local time, where the file tells no time zone; it is not guessed
    notes : what a user should know: lost samples, how uneven the times of samples are, rows that are no samples
    """

    path: Path
    device: str
    channels: tuple[DeviceChannel, ...]
    segments: tuple[Segment, ...]
    segment_rates_hz: tuple[float, ...] = ()
    start_unix_s: float | None = None
    start_local: str = ""
    notes: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Unique names of the channels: the second GSR is GSR.1."""
        labels = self.labels
        return tuple(f"{n}.{labels[:k].count(n)}" if n in labels[:k] else n for k, n in enumerate(labels))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the channels, of which several may be the same."""
        return tuple(channel.name for channel in self.channels)

    @property
    def kinds(self) -> tuple[str | None, ...]:
        """Kind of each channel; None where the file does not tell it."""
        return tuple(channel.kind for channel in self.channels)

    @property
    def rates_hz(self) -> tuple[float, ...]:
        """Sampling rate of each channel, in Hz."""
        return tuple(channel.rate_hz for channel in self.channels)

    @property
    def note(self) -> str:
        """All notes in one text, for every span that is read."""
        return "; ".join(f"{self.path.name}: {note}" for note in self.notes)

    def segments_of(self, at: Sequence[int]) -> tuple[Segment, ...]:
        """Return the parts between pauses of the channels at these positions: those of all, unless they differ."""
        return self.segments

    def rates_in(self, segment: Segment) -> tuple[float, ...]:
        """Return the sampling rate of each channel within a segment, in Hz."""
        if not self.segment_rates_hz:
            return self.rates_hz
        return (self.segment_rates_hz[self.segments.index(segment)],) * len(self.channels)

    def read(
        self, at: list[int], first_s: float, last_s: float, segment: Segment
    ) -> tuple[np.ndarray | list[np.ndarray], float]:
        """Return samples from second `first_s` to `last_s` of samples in the file, and the second of the first sample.

        Samples are (C, N), or one (N,) per channel if rates differ. Then the first sample is one that all channels
        have at the same time.
        """
        rates = [self.rates_in(segment)[k] for k in at]
        every_s = 1 / rates[0] if len(set(rates)) == 1 else common_step_s(rates)
        whole = (round, round) if len(set(rates)) == 1 else (_floor, _ceil)
        low, high = segment.at_s / every_s, (segment.at_s + segment.seconds) / every_s
        first = min(max(whole[0](first_s / every_s), round(low)), round(high))
        last = min(max(whole[1](last_s / every_s), first), round(high))
        rows = []
        for k, rate_hz in zip(at, rates, strict=True):
            n = round(rate_hz * every_s)
            rows.append(self.channels[k].samples[first * n : last * n].astype(np.float64))
        if len(set(rates)) > 1:
            return rows, first * every_s
        return np.array(rows, np.float64).reshape(len(at), -1), first * every_s

    def units(self, at: list[int], channels: Sequence[_HasKind], unit: str) -> tuple[list[Conversion], None]:
        """Return the conversions of the channels `at` to gbvnet's units, for `units.apply`."""
        return [convert(c.kind, self.channels[k].unit) for c, k in zip(channels, at, strict=True)], None


def _floor(x: float) -> int:
    return floor(x + ON_GRID)


def _ceil(x: float) -> int:
    return ceil(x - ON_GRID)


def common_step_s(rates_hz: Sequence[float]) -> float:
    """Return the shortest time that is a whole number of samples of each rate, in seconds."""
    steps = [1 / Fraction(rate_hz).limit_denominator(1_000_000) for rate_hz in rates_hz]
    return lcm(*(step.numerator for step in steps)) / gcd(*(step.denominator for step in steps))

"""What a recording's samples tell of themselves: values that are no numbers, flat and clipped channels, their scale."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import BadRecording
from .formats.bdf import flat_and_clipped_channels
from .recording import Channel, Recording
from .units import scale_of


def with_sample_checks(
    recording: Recording, channels: Sequence[Channel], samples: Sequence[np.ndarray], rates_hz: Sequence[float]
) -> Recording:
    """Return a recording with an error if a sample is no number, else with warnings and the scales of its channels.

    samples : (N,) of each channel; rates_hz : of each channel
    """
    for channel, x in zip(channels, samples, strict=True):
        bad = np.flatnonzero(~np.isfinite(x))
        if len(bad):
            actual = f"{len(bad):,} of {len(x):,} NaN or infinite in channel {channel.name}, the first at {bad[0]:,}"
            error = BadRecording(recording.signals, f"finite samples in {recording.name}", actual)
            return replace(recording, error=str(error))
    warnings = flat_and_clipped_channels(channels, samples)  # type: ignore[arg-type]
    scales = [(c.name, scale_of(c.kind, x, hz)) for c, x, hz in zip(channels, samples, rates_hz, strict=True)]
    return replace(recording, warnings=(*recording.warnings, *warnings), scales=tuple(scales))

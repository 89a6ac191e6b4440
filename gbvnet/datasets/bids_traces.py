"""Ratings that change in time and are channels of a BIDS signal file, as a joystick's.

Formats and MNE take all channels for voltages: a rating of 7 that a header states in microvolts is 7e-6 in MNE. Values
here are those that the file itself holds, whatever the unit in its header.

Shapes: N samples, T values of a trace.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import BadRecording
from .channel_names import find_channel
from .formats.mne_units import mne_units
from .formats.segments import find_segment
from .formats.signal_file import MneFile, open_signals
from .label_columns import LabelColumn
from .label_traces import Trace

TRACE_HZ = 10.0  # of a trace: the mean over each tenth of a second
TOLERANCE = 0.005  # of a scale: by which a value may lie outside of it, for 16 bits over a wide range


def channel_traces(
    path: Path, channels: Mapping[str, str], labels: Mapping[str, LabelColumn], start_s: float, stop_s: float
) -> dict[str, Trace]:
    """Return the trace of each label during a stimulus, from seconds `start_s` to `stop_s` of the file.

    channels : label -> the name of its channel. Raises BadRecording for a channel that the file does not have, seconds
    that it does not have, and values outside of the label's scale.
    """
    file = open_signals(path)
    traces = {}
    for name, channel in channels.items():
        at = find_channel(channel, file.names)
        if at is None:
            raise BadRecording(path, f"channel {channel}, the ratings of {name}", ", ".join(file.names))
        segment = find_segment(path, file.segments, start_s, stop_s, file.rates_hz[at])
        late = segment.start_s - segment.at_s
        rows, first = file.read([at], start_s - late, stop_s - late, segment)
        values = np.asarray(rows[0], np.float64)
        if isinstance(file, MneFile):
            values = values / mne_units(file.raw)[at].applied
        traces[name] = _trace(path, channel, values, file.rates_hz[at], first + late - start_s, labels[name])
    return traces


def _trace(path: Path, channel: str, x: np.ndarray, rate_hz: float, first_s: float, column: LabelColumn) -> Trace:
    """Return the means (T,) of samples (N,) over tenths of a second. first_s : of the first sample, from the start"""
    low, high = column.scale or (-np.inf, np.inf)
    slack = TOLERANCE * (high - low)
    off = np.flatnonzero(~((x >= low - slack) & (x <= high + slack)))
    if len(off):
        actual = (
            f"{x[off[0]]:g} at {first_s + off[0] / rate_hz:.2f} s of the stimulus ({len(off):,} of {len(x):,} samples)"
        )
        remedy = "Is it the right scale in the mapping? Units in the header of ratings are ignored."
        raise BadRecording(path, f"{column.name} {column.allowed} in channel {channel}", actual, remedy)
    place = np.floor((np.arange(len(x)) / rate_hz + first_s) * TRACE_HZ + 1e-6).astype(np.int64)
    steps, starts = np.unique(place, return_index=True)
    means = np.add.reduceat(x, starts) / np.diff(np.append(starts, len(x)))
    keep = steps >= 0
    return Trace(steps[keep] / TRACE_HZ, np.clip(means[keep], low, high))

"""A short synthetic recording as the two files that a user would have: a face video and a table of signals."""

from pathlib import Path

import numpy as np

from ...config import SynthConfig
from ...io.atomic import atomic_write
from ...provenance import SYNTHETIC
from ..channel_names import find_channel
from ..deap import BASELINE_S, CHANNELS, RATE_HZ
from ..recording import Channel
from .deap import plan, signals_of_subject, video_bytes

VIDEO, SIGNALS = "synthetic-face.avi", "synthetic-signals.csv"
CONFIG = SynthConfig(subjects=1, trials=2, seconds=12, effect=2.0)


def write_single_recording(folder: Path, channels: tuple[Channel, ...]) -> tuple[Path, Path]:
    """Write the first trial of a synthetic subject; both files begin with its stimulus. Return their paths.

    channels : the columns of signals, named as a model knows them. One that the synthetic body has not is played by
        another of its kind, or by the pulse: it is synthetic either way.
    """
    trial = plan(CONFIG)[0]
    samples = signals_of_subject(CONFIG, [trial])[0][0, :, BASELINE_S * RATE_HZ :]  # (40, N)
    played = samples[[_substitute_channel(c) for c in channels]]
    time_s = np.arange(samples.shape[1]) / RATE_HZ
    lines = [f"# {SYNTHETIC}: nobody's face, nobody's brain", ",".join(["time", *(c.name for c in channels)])]
    lines += [",".join(f"{x:.8g}" for x in row) for row in np.column_stack([time_s, played.T]).tolist()]
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / SIGNALS, ("\n".join(lines) + "\n").encode())
    atomic_write(folder / VIDEO, video_bytes(CONFIG, trial))
    return folder / VIDEO, folder / SIGNALS


def _substitute_channel(channel: Channel) -> int:
    same = find_channel(channel.name, [c.name for c in CHANNELS])
    kinds = [c.kind for c in CHANNELS]
    return same if same is not None else kinds.index(channel.kind if channel.kind in kinds else "ppg")

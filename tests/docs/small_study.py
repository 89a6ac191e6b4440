"""A folder as a user of the pages has it: a store of DEAP's shape, a model, a recording. What Python blocks run in."""

from pathlib import Path

import torch

from gbvnet.config import GBVNetConfig, PrepareConfig, SynthConfig, to_dict
from gbvnet.datasets.deap import CHANNELS
from gbvnet.datasets.synthetic.deap import plan, signals_of_subject, video_bytes
from gbvnet.datasets.synthetic.writer import BdfChannel, bdf_bytes
from gbvnet.network.checkpoint.checkpoint import save_model
from gbvnet.network.model import GBVNet
from gbvnet.store.writer import create_store, finish_store, write_recording
from gbvnet.testing.synthetic_store import SyntheticWindows, store_settings, synthetic_recordings

FRAMES, SIDE, RATE_HZ = 10, 64, 128


def write_study(folder: Path) -> None:
    """Write deap.store, model, video.mp4 and eeg.bdf: shapes and names as of DEAP, synthetic contents."""
    channels = tuple((channel.name, channel.kind) for channel in CHANNELS)
    write_store(folder / "deap.store", channels)
    write_model(folder / "model", channels)
    config = SynthConfig(subjects=1, trials=2, seconds=2)
    trial = plan(config)[0]
    (folder / "video.mp4").write_bytes(video_bytes(config, trial))  # known by its content: it is an AVI
    samples = signals_of_subject(config, [trial])[0][0]  # (40, N)
    traces = [BdfChannel(name, "uV", (-1e5, 1e5), x) for (name, _), x in zip(channels, samples, strict=True)]
    (folder / "eeg.bdf").write_bytes(bdf_bytes(traces, RATE_HZ))


def write_store(folder: Path, channels: tuple[tuple[str, str], ...]) -> None:
    """Write a finished store of synthetic windows."""
    content = SyntheticWindows(
        subjects=10, trials=2, windows=2, channels=channels, samples=RATE_HZ, frames=FRAMES, side=SIDE
    )
    create_store(folder, store_settings(content))
    recordings = [write_recording(folder, a["recording"], arrays, a) for a, arrays in synthetic_recordings(content)]
    finish_store(folder, recordings)


def write_model(folder: Path, channels: tuple[tuple[str, str], ...]) -> None:
    """Write an untrained model for such windows, which predicts valence and arousal."""
    torch.manual_seed(0)
    network = GBVNet(GBVNetConfig(variant="micro", n_channels=len(channels), n_outputs=2))
    network.fit_normaliser(torch.zeros(len(channels)), torch.ones(len(channels)))
    about = {
        "prepare": to_dict(PrepareConfig()), "channels": channels, "rate_hz": float(RATE_HZ),
        "samples_per_window": RATE_HZ, "frames_per_window": FRAMES, "face_side": SIDE, "baseline_s": 3.0,
        "targets": ["valence", "arousal"], "dataset": "deap", "synthetic": True, "protocol": "trial",
    }  # fmt: skip
    save_model(folder, network, about)

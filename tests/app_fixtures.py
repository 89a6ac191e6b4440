"""A small untrained model and recordings for it, for tests of the web page."""

import numpy as np
import torch

from gbvnet.config import GBVNetConfig, PrepareConfig, to_dict
from gbvnet.network.checkpoint.checkpoint import save_model
from gbvnet.network.model import GBVNet

CHANNELS = (("Fp1", "eeg"), ("O1", "eeg"), ("GSR", "gsr"))


def write_model(folder, modality="facebio", **about):
    """Face and three signals in windows of 1 s; either can be missing."""
    torch.manual_seed(0)
    network = GBVNet(
        GBVNetConfig(variant="micro", modality=modality, modality_dropout=0.1, n_channels=3, n_samples=128, n_frames=3)
    )
    with torch.no_grad():
        network.head[-1].weight *= 30  # so that it says something of what it sees
    network.fit_normaliser(torch.zeros(3), torch.full((3,), 20.0))
    known = {
        "prepare": to_dict(PrepareConfig(face_side=32, frames_per_window=3)), "channels": CHANNELS, "rate_hz": 128.0,
        "samples_per_window": 128, "frames_per_window": 3, "face_side": 32, "baseline_s": 3.0, "targets": ["valence"],
        "dataset": "deap", "synthetic": True, "protocol": "trial",
    }  # fmt: skip
    save_model(folder, network, known | about)
    return folder


def write_csv(path, seconds=6, names=("Fp1", "O1", "GSR"), seed=0):
    rng = np.random.default_rng(seed)
    n = seconds * 128
    columns = [np.arange(n) / 128, *(20 * rng.standard_normal((len(names), n)))]
    rows = [",".join(f"{x:.6g}" for x in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([",".join(["time", *names]), *rows]) + "\n")
    return path

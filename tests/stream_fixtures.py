"""What streams are tested with: a small untrained model, frames whose face a fake landmarker finds, signals."""

from contextlib import contextmanager

import numpy as np
import torch

from gbvnet.config import GBVNetConfig, PrepareConfig, to_dict
from gbvnet.network.checkpoint.checkpoint import save_model
from gbvnet.network.model import GBVNet
from gbvnet.preprocessing.landmarks import Face

from .preprocessing.face_fixtures import mean_landmarks

SIDE, F, TO_HZ, RATE = 32, 5, 64.0, 200
CHANNELS = (("Fp1", "eeg"), ("O1", "eeg"), ("GSR1", "gsr"), ("ECG", "ecg"))
DEVICE = ("trigger", "GSR1", "EEG FP1-REF", "EKG", "O1")  # another order, other names, one more
RENAME = {"ECG": "EKG"}
GAIN = np.array([0.5, 10, 10, 10])


def write_model(folder, modality="facebio", dropout=0.1, baseline="mean", **about):
    torch.manual_seed(1)
    network = GBVNet(
        GBVNetConfig(variant="micro", modality=modality, modality_dropout=dropout, n_channels=len(CHANNELS),
                     n_samples=int(TO_HZ), n_frames=F)
    )  # fmt: skip
    with torch.no_grad():
        network.head[-1].weight *= 30  # so that it says something of what it sees
    if network.sees_signals:
        network.fit_normaliser(torch.zeros(4), torch.tensor([8.0, 8.0, 2.0, 8.0]))
    given = {
        "prepare": to_dict(PrepareConfig(face_side=SIDE, frames_per_window=F, baseline=baseline)),
        "channels": [list(c) for c in CHANNELS], "rate_hz": TO_HZ, "samples_per_window": int(TO_HZ),
        "frames_per_window": F, "face_side": SIDE, "baseline_s": 3.0, "targets": ["valence"], "normalise": "train",
        "synthetic": True,
    }  # fmt: skip
    save_model(folder, network, given | about)
    return folder


def signals(seconds, seed=0, rate=RATE):
    """(5, N) as the device gives them: offsets, drift, noise."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    x = 10 * rng.normal(size=(5, n)) + 300 * rng.normal(size=(5, 1))
    x[1] = 20 + np.cumsum(rng.normal(size=n)) / 20
    return x


def picture(k):
    """Frame k, (48, 64, 3): another one each time, and never black."""
    return np.random.default_rng(k).integers(1, 255, (48, 64, 3)).astype(np.uint8)


BLANK = np.zeros((48, 64, 3), np.uint8)


class Finder:
    """Finds the mean face in every frame but blank ones."""

    def find(self, rgb, time_s):
        return Face(mean_landmarks(48)) if rgb.any() else None


@contextmanager
def fake_landmarker(backend):
    yield Finder()

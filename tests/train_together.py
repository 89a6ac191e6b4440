"""Run by test_train.py in a process of its own: train a GBV-Net with so many processes, and write its history.

python tests/train_together.py STORE N OUT.json; Lightning starts the other processes with the same words.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn

from gbvnet.config import GBVNetConfig, TrainConfig
from gbvnet.network.batches import Windows
from gbvnet.network.devices import is_first
from gbvnet.network.model import GBVNet, SelfAttention
from gbvnet.network.training import fit_network
from gbvnet.network.training_data import TrainingData
from gbvnet.store.reader import open_store


class Frozen(GBVNet):
    """Without what makes a batch's windows depend on each other, or on chance: batch norms and dropout.

    In float64, as Adam makes a full step of any gradient: where a gradient should be zero it would step along the
    rounding errors of float32, which depend on how a batch is shared out.
    """

    def forward(self, faces, face_ok, signals, has_face=None, has_signals=None):
        return super().forward(faces.double(), face_ok, signals.double(), has_face, has_signals)

    def train(self, mode: bool = True):
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm1d | nn.Dropout | SelfAttention):
                part.eval()
        return self


def main(store_path: str, n: int, out: str) -> None:
    torch.set_num_threads(1)
    store = open_store(store_path)
    torch.manual_seed(0)
    s = store.settings
    network = Frozen(
        GBVNetConfig(variant="micro", modality="facebio", n_channels=len(s["channels"]), dropout=0, modality_dropout=0,
                     n_samples=s["samples_per_window"], n_frames=s["frames_per_window"])
    ).double()  # fmt: skip
    network.train()
    rows = list(range(len(store)))
    y = (store.windows["valence"].to_numpy() >= 5).astype("float32")[:, None]
    # Batches of 15 are no multiple of 2, and the last batch of the validation windows is a single one.
    windows, validation = (Windows(store, part, "facebio", y[part], memory_gib=1) for part in (rows[:-31], rows[-31:]))
    config = TrainConfig(epochs=3, batch_size=15, device="cpu", augment=False, devices=n)
    fitted = fit_network(
        network, TrainingData(windows, validation), config, seed=3, work=Path(out).with_suffix(".work")
    )
    if is_first():
        Path(out).write_text(json.dumps({"history": fitted.history, "chosen": fitted.chosen_epoch}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])

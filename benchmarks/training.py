"""The training loop against the bare network on tensors already in memory, and what a window costs."""

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from gbvnet.config import GBVNetConfig, TrainConfig
from gbvnet.network.batches import Windows
from gbvnet.network.model import GBVNet, pixels
from gbvnet.network.training import fit_network
from gbvnet.network.training_data import TrainingData
from gbvnet.store.reader import open_store
from gbvnet.systems.deepvanet import DeepVANet
from gbvnet.systems.learners.neural import Shape

from .clock import in_turn
from .reads import C, F, L, S, build

BATCH, STEPS, ROUNDS = 32, 8, 3
VARIANTS = ("micro", "small", "atto")


def measure():
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder) / "store", recordings=10)
        store = open_store(Path(folder) / "store")
        rows = np.arange(BATCH * STEPS)
        y = (np.random.default_rng(0).random((len(rows), 1)) > 0.5).astype(np.float32)
        for variant in VARIANTS:
            bare, loop, other = [], [], []
            for _ in range(ROUNDS):
                other.append(bare_epoch(deepvanet(), store, rows, y) / STEPS)
                bare.append(bare_epoch(network(variant), store, rows, y) / STEPS)
                loop.append(loop_epoch(network(variant), store, rows, y, memory_gib=8) / STEPS)
            yield {
                "what": f"{variant}: training, 10 frames of 64 px",
                "value": BATCH / median(loop),
                "unit": "windows/s",
            }
            ratio = median(a / b for a, b in zip(loop, bare, strict=True))
            yield {
                "what": f"{variant}: step / step of the bare network",
                "value": ratio,
                "unit": "x",
                "aim": "below 1.1",
            }
            yield {
                "what": f"{variant}: bare step of DeepVANet's network / step",
                "value": median(a / b for a, b in zip(other, loop, strict=True)),
                "unit": "x",
            }
        windows = Windows(store, rows, "facebio", y, memory_gib=0)
        wait = in_turn(5, wait=lambda: list(windows.in_order(BATCH)))["wait"] / STEPS
        share = 100 * wait / median(loop)
        yield {"what": "reading a batch from the store, of an atto step", "value": share, "unit": "%", "aim": "below 5"}
        yield from one_window(store)


def network(variant: str) -> GBVNet:
    torch.manual_seed(0)
    return GBVNet(GBVNetConfig(variant=variant, modality_dropout=0.0, n_channels=C, n_samples=L, n_frames=F))


def deepvanet() -> DeepVANet:
    torch.manual_seed(0)
    return DeepVANet(Shape(tuple((f"E{k}", "eeg") for k in range(C)), 128.0, L, F, S, 1))


def bare_epoch(net: GBVNet | DeepVANet, store, rows, y) -> float:
    """Seconds of forward, backward and Adam over all batches, after one step that is not counted."""
    faces, ok, signals = (torch.from_numpy(a) for a in store.read(rows))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    target = torch.from_numpy(y)
    net.train()
    for step in range(-1, STEPS):
        if step == 0:
            begin = time.perf_counter()
        at = slice(max(step, 0) * BATCH, (max(step, 0) + 1) * BATCH)
        optimiser.zero_grad()
        logits = net(pixels(faces[at]), ok[at], signals[at]).logits
        torch.nn.functional.binary_cross_entropy_with_logits(logits, target[at]).backward()
        optimiser.step()
    return time.perf_counter() - begin


def loop_epoch(net: GBVNet, store, rows, y, memory_gib: float) -> float:
    """Seconds of the second epoch of the package's own loop."""
    config = TrainConfig(epochs=2, batch_size=BATCH, device="cpu")
    windows = Windows(store, rows, "facebio", y, memory_gib=memory_gib)
    return fit_network(net, TrainingData(windows), config, seed=0).history[1]["seconds"]


def one_window(store):
    faces, ok, signals = (torch.from_numpy(a) for a in store.read([0]))
    for variant in ("micro", "atto"):
        net = network(variant).eval()
        with torch.inference_mode():
            seconds = in_turn(20, one=lambda net=net: net(pixels(faces), ok, signals))["one"]
        yield {"what": f"{variant}: one window through the network", "value": 1000 * seconds, "unit": "ms"}

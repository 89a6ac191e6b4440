"""What a network costs: parameters, operations, time and memory, measured and not quoted.

Shapes are model.py's: B windows in a batch, F face frames a window, S face side, C channels, L samples a window.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.flop_counter import FlopCounterMode

from ..config import GBVNetConfig, uses_face, uses_signals
from .model import GBVNet

BATCH = 64  # windows, for throughput and for the training step
RUNS, FEWEST, ENOUGH_S = 50, 5, 2.0  # a median over so many runs, or over fewer that took this long together
MB = 1e6  # bytes

Inputs = tuple[Tensor | None, None, Tensor | None]

# What is left out, by the name it has in a table. Settings that a modality does not use change nothing there.
REMOVED: dict[str, dict] = {
    "without the Transformer": {"face_time": "none"},
    "without the local CNN": {"local_cnn": False},
    "without the TCN": {"tcn": "none"},
    "without self-attention": {"self_attention": False},
    "without the residual": {"residual": False},
    "without adaptive pooling": {"pooling": "mean"},
    "without the gate": {"fusion": "concat"},
}


@dataclass(frozen=True)
class Cost:
    """What one network costs on one device, in float32."""

    parameters: int
    flops: int
    """of one window forwards: matrix products and convolutions, attention's included, a multiplication and its
    addition counted as two; norms, activations and sums are left out"""
    latency_ms: float
    """of one window forwards, median"""
    windows_per_s: float
    """forwards, in batches of 64"""
    memory_mb: float
    """of one training step of 64 windows with Adam, 10^6 bytes. On a GPU the highest that was allocated; on a CPU the
    sum of input, weights, gradients, Adam's two moments and all that is kept for the way back, and so a little less
    than the highest: what operations need for a moment is not in it"""
    device: str
    threads: int
    """of the CPU, whichever the device"""


def measure(config: GBVNetConfig, face_side: int, device: torch.device | str | None = None) -> Cost:
    """Build an untrained network and measure it on windows of noise that lack nothing.

    face_side : S, pixels. device : a GPU if there is one, else the CPU, if not given.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = GBVNet(
            replace(config, modality_dropout=0)
        )  # which would hide some faces, and on a CPU save their cost
        flops = count_flops(network, noise(config, face_side, 1))
        memory = _step_on_gpu if where.type == "cuda" else _step_on_cpu
        memory_mb = memory(network.to(where).train(), noise(config, face_side, BATCH, where)) / MB
        network.eval()
        one = _seconds(network, noise(config, face_side, 1, where))
        many = _seconds(network, noise(config, face_side, BATCH, where))
    return Cost(
        parameters=sum(p.numel() for p in network.parameters()),
        flops=flops,
        latency_ms=1000 * one,
        windows_per_s=BATCH / many,
        memory_mb=memory_mb,
        device=torch.cuda.get_device_name(where) if where.type == "cuda" else where.type,
        threads=torch.get_num_threads(),
    )


def cost_table(
    configs: dict[str, GBVNetConfig], face_side: int, device: torch.device | str | None = None
) -> pd.DataFrame:
    """The cost of each network, one row each under its name, in the columns of `Cost`."""
    costs = {name: asdict(measure(config, face_side, device)) for name, config in configs.items()}
    return pd.DataFrame.from_dict(costs, orient="index").rename_axis("network")


def parts_and_ablations(config: GBVNetConfig, n_eeg: int) -> dict[str, GBVNetConfig]:
    """The network whole, each branch alone, and the network without each of its blocks, for `cost_table`.

    n_eeg : how many of config.n_channels are EEG; the others are peripheral. A branch without channels is left out.
    """
    channels = {"face": config.n_channels, "bio": config.n_channels, "eeg": n_eeg, "peri": config.n_channels - n_eeg}
    found = {"GBV-Net": replace(config, modality="facebio")}
    for modality, n in channels.items():
        if n > 0:
            found[f"{modality} alone"] = replace(config, modality=modality, n_channels=n)  # type: ignore[arg-type]
    for name, setting in REMOVED.items():
        ablated = replace(found["GBV-Net"], **setting)
        if ablated != found["GBV-Net"]:  # else it is without it already
            found[name] = ablated
    return found


def noise(config: GBVNetConfig, face_side: int, n: int, device: torch.device | str = "cpu") -> Inputs:
    """n synthetic windows as `GBVNet.forward` takes them: faces (n, F, 3, S, S), no mask, signals (n, C, L)."""
    faces = signals = None
    if uses_face(config.modality):
        faces = torch.rand(n, config.n_frames, 3, face_side, face_side, device=device)
    if uses_signals(config.modality):
        signals = torch.randn(n, config.n_channels, config.n_samples, device=device)
    return faces, None, signals


def count_flops(network: nn.Module, inputs: tuple) -> int:
    """Operations of one forward pass in evaluation mode, by torch's own counter.

    Attention is made to run as plain matrix products while it counts: the counter does not see the CPU's fused kernel.
    """
    was_training = network.training
    network.eval()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(*inputs)
    network.train(was_training)
    return counter.get_total_flops()


def kept_for_backward(forward: Callable[[], Tensor], known: set[int]) -> int:
    """Bytes that a forward pass keeps for the way back, each memory once; `known` are addresses that do not count."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in known:
            kept[memory.data_ptr()] = memory.nbytes()
        return tensor.detach()  # shares the memory, and so keeps it; the tensor itself would hold on to its own history

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = forward()
    total = sum(kept.values())
    del result  # until here all was kept, and no address was used twice
    return total


def _loss(network: nn.Module, inputs: Inputs) -> Tensor:
    logits = network(*inputs).logits
    return binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


def _step_on_cpu(network: nn.Module, inputs: Inputs) -> int:
    weights = [*network.parameters(), *network.buffers()]
    held = [*weights, *(x for x in inputs if x is not None)]
    kept = kept_for_backward(lambda: _loss(network, inputs), {x.untyped_storage().data_ptr() for x in held})
    trained = sum(p.nbytes for p in network.parameters())
    return sum(x.nbytes for x in held) + 3 * trained + kept  # 3: the gradient and Adam's two moments


def _step_on_gpu(network: nn.Module, inputs: Inputs) -> int:
    device = next(network.parameters()).device
    optimiser = torch.optim.Adam(network.parameters())
    for _ in range(2):  # the first step makes Adam's moments, and libraries take their workspace
        torch.cuda.reset_peak_memory_stats(device)
        optimiser.zero_grad()
        _loss(network, inputs).backward()
        optimiser.step()
    return torch.cuda.max_memory_allocated(device)


@torch.inference_mode()
def _seconds(network: nn.Module, inputs: Inputs) -> float:
    """Of one forward pass, the median of several after two that do not count."""
    device, taken = next(network.parameters()).device, []
    for run in range(-2, RUNS):
        _wait_for(device)
        began = time.perf_counter()
        network(*inputs)
        _wait_for(device)
        if run >= 0:
            taken.append(time.perf_counter() - began)
        if run >= FEWEST and sum(taken) > ENOUGH_S:
            break
    return statistics.median(taken)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":  # which computes while Python goes on
        torch.cuda.synchronize(device)

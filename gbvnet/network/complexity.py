"""The computational cost of a network, measured: parameters, operations, time and memory.

Shapes as in model.py: B windows in a batch, F face frames per window, S face side, C channels, L samples per window.
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
RUNS, MIN_RUNS, MAX_S = 50, 5, 2.0  # runs of a median; fewer if they took this long together
MB = 1e6  # bytes

Inputs = tuple[Tensor | None, None, Tensor | None]


@dataclass(frozen=True)
class Cost:
    """The cost of one network on one device, in float32."""

    parameters: int
    flops: int
    """of the forward pass of one window: matrix products and convolutions, including attention; a multiplication and
    its addition count as two; norms, activations and sums are not counted"""
    latency_ms: float
    """of the forward pass of one window, median"""
    windows_per_s: float
    """of the forward pass, in batches of 64"""
    memory_mb: float
    """of one training step of 64 windows with Adam, 10^6 bytes. On a GPU the peak allocation; on a CPU the sum of
    input, weights, gradients, Adam's two moments and all tensors that are kept for the backward pass, which is a little
    less than the peak: temporary tensors of operations are not included"""
    device: str
    threads: int
    """of the CPU, also if the device is a GPU"""


def measure(config: GBVNetConfig, face_side: int, device: torch.device | str | None = None) -> Cost:
    """Build an untrained network and measure it on windows of noise with all modalities.

    face_side : S, pixels. device : default: a GPU if there is one, else the CPU
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        # Modality dropout would hide some faces, and on a CPU save their cost.
        network = GBVNet(replace(config, modality_dropout=0))
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
    """Return the cost of each network, one row each under its name, in the columns of `Cost`."""
    costs = {name: asdict(measure(config, face_side, device)) for name, config in configs.items()}
    return pd.DataFrame.from_dict(costs, orient="index").rename_axis("network")


def noise(config: GBVNetConfig, face_side: int, n: int, device: torch.device | str = "cpu") -> Inputs:
    """Return n windows of noise as inputs of `GBVNet.forward`: faces (n, F, 3, S, S), or features (n, F, D), no mask,
    signals (n, C, L)."""
    faces = signals = None
    if uses_face(config.modality) and config.face_input == "features":
        faces = torch.randn(n, config.n_frames, config.n_face_features, device=device)
    elif uses_face(config.modality):
        faces = torch.rand(n, config.n_frames, 3, face_side, face_side, device=device)
    if uses_signals(config.modality):
        signals = torch.randn(n, config.n_channels, config.n_samples, device=device)
    return faces, None, signals


def count_flops(network: nn.Module, inputs: tuple) -> int:
    """Return the operations of one forward pass in evaluation mode, by torch's own counter.

    Attention runs as matrix products while counting: the counter does not see the CPU's fused kernel.
    """
    was_training = network.training
    network.eval()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(*inputs)
    network.train(was_training)
    return counter.get_total_flops()


def kept_for_backward(forward: Callable[[], Tensor], known: set[int]) -> int:
    """Return the bytes that a forward pass keeps for the backward pass, without memory at addresses in `known`.

    forward : returns a tensor of any shape
    """
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in known:
            kept[memory.data_ptr()] = memory.nbytes()
        return tensor.detach()  # shares and so keeps the memory; the tensor itself would keep its history

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = forward()
    total = sum(kept.values())
    del result  # until here all tensors were kept, so that no address was used twice
    return total


def _loss(network: nn.Module, inputs: Inputs) -> Tensor:
    logits = network(*inputs).logits
    return binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


def _step_on_cpu(network: nn.Module, inputs: Inputs) -> int:
    weights = [*network.parameters(), *network.buffers()]
    tensors = [*weights, *(x for x in inputs if x is not None)]
    kept = kept_for_backward(lambda: _loss(network, inputs), {x.untyped_storage().data_ptr() for x in tensors})
    trained = sum(p.nbytes for p in network.parameters())
    return sum(x.nbytes for x in tensors) + 3 * trained + kept  # 3: the gradient and Adam's two moments


def _step_on_gpu(network: nn.Module, inputs: Inputs) -> int:
    device = next(network.parameters()).device
    optimiser = torch.optim.Adam(network.parameters())
    for _ in range(2):  # the first step allocates Adam's moments and the workspace of libraries
        torch.cuda.reset_peak_memory_stats(device)
        optimiser.zero_grad()
        _loss(network, inputs).backward()
        optimiser.step()
    return torch.cuda.max_memory_allocated(device)


@torch.inference_mode()
def _seconds(network: nn.Module, inputs: Inputs) -> float:
    """Median seconds of one forward pass, after two that are not counted."""
    device, seconds = next(network.parameters()).device, []
    for run in range(-2, RUNS):
        _wait_for(device)
        began = time.perf_counter()
        network(*inputs)
        _wait_for(device)
        if run >= 0:
            seconds.append(time.perf_counter() - began)
        if run >= MIN_RUNS and sum(seconds) > MAX_S:
            break
    return statistics.median(seconds)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":  # which computes asynchronously
        torch.cuda.synchronize(device)

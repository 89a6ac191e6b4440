"""The device of a network, its precision, and what is computed otherwise there. Imports neither Lightning nor the
training, which takes seconds."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..config import TrainConfig
from ..errors import GbvnetError

_own_kernels = False  # whether GPUs use the package's own kernels; a constant while torch.compile traces


def device_of(config: TrainConfig) -> torch.device:
    """Return the device to train on. Raises GbvnetError if a GPU is requested and there is none."""
    if config.device == "gpu" and not torch.cuda.is_available():
        raise GbvnetError("train.device is gpu, and torch finds none here; use --train.device cpu")
    use = torch.cuda.is_available() and config.device != "cpu"
    if use and config.devices > 1:  # each of the processes that train together has its own
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cuda", torch.cuda.current_device()) if use else torch.device("cpu")


def is_first() -> bool:
    """Return whether this process is the one that writes, of those that train one model together."""
    names = ("RANK", "SLURM_PROCID", "LOCAL_RANK")  # set by torchrun, SLURM and Lightning's own launcher
    return int(next((os.environ[name] for name in names if name in os.environ), "0")) == 0


def precision_of(config: TrainConfig, device: torch.device) -> str:
    """Return Lightning's name of the precision: bf16 if requested, or if automatic on a GPU that supports it."""
    auto = config.precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if auto or config.precision == "bf16" else "32-true"


def has_bf16(device: torch.device) -> bool:
    """Return whether a device computes bf16 itself, as torch says: a GPU's cores, or AMX or AVX512-BF16 of a CPU."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # no public way in torch 2
    return device.type == "cpu" and any(getattr(torch.cpu, name, bool)() for name in names)


def is_asynchronous(device: torch.device) -> bool:
    """Return whether a device computes while the host goes on: asking it for a value makes the host wait.

    Where it does, operations have another form that asks nothing. The one place of that decision.
    """
    return device.type != "cpu"


def has_kernels(device: torch.device) -> bool:
    """Return whether a device computes by the package's own kernels now: elsewhere by torch's operations."""
    return _own_kernels and device.type == "cuda"


@contextmanager
def own_kernels(use: bool) -> Iterator[None]:
    """A block in which NVIDIA GPUs use the package's own kernels, or do not."""
    global _own_kernels
    before, _own_kernels = _own_kernels, use
    try:
        yield
    finally:
        _own_kernels = before


def adam(parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.Adam:
    """Return Adam: on a GPU one kernel for all parameters, torch's plain loop on a CPU."""
    given = list(parameters)
    fused = True if any(p.device.type == "cuda" for p in given) else None
    return torch.optim.Adam(given, lr=learning_rate, fused=fused)


def channels_last(network: nn.Module) -> None:
    """Store the weights of 2-D convolutions with channels last, which is faster on a GPU.

    `Module.to` fails if the network has 3-D convolutions.
    """
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)

"""The device of a network, its precision, and what is computed otherwise there. Imports neither Lightning nor the
training, which takes seconds."""

import logging
import os
from collections.abc import Iterable
from importlib.util import find_spec

import torch
from torch import nn

from ..config import TrainConfig
from ..errors import GbvnetError

log = logging.getLogger(__name__)

# A constant, which torch.compile need not trace. Triton has had the tuples that the kernels use since torch 2.7's.
_RUN: dict[int, bool] = {}  # whether the kernels run, by the number of the GPU
HAS_TRITON = torch.version.cuda is not None and torch.__version__ >= "2.7" and find_spec("triton") is not None


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
    """Return whether a device runs the package's own kernels: an NVIDIA GPU with bf16, and Triton, which torch for
    such GPUs brings and which needs a C compiler. Elsewhere torch's operations compute the same. It is tried once."""
    if device.type != "cuda":
        return False
    index = device.index or 0
    if index not in _RUN and not torch.compiler.is_compiling():
        _RUN[index] = _run_kernels(device)
    return _RUN.get(index, False)


def _run_kernels(device: torch.device) -> bool:
    """Whether the kernels run on a GPU: by running one on a map of one pixel."""
    if not HAS_TRITON or torch.cuda.get_device_capability(device) < (8, 0):
        return False
    try:
        from .depthwise import depthwise

        depthwise(torch.ones(1, 1, 1, 1, device=device), torch.ones(1, 1, 7, 7, device=device), None)
        torch.cuda.synchronize(device)
    except Exception as error:  # whatever is missing on this machine, torch's own convolution works
        log.warning("GBV-Net's kernels do not run here (%s): torch's convolutions are used", str(error)[:200])
        return False
    return True


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

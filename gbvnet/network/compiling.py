"""torch.compile in a training: when it is used, for which batches, and what happens where it does not work."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any, ParamSpec

import numpy as np
import torch
from torch import Tensor, nn

from ..config import TrainConfig
from .devices import own_kernels
from .model import Block, GBVNet

log = logging.getLogger(__name__)

P = ParamSpec("P")
# Windows passed in a training. On an H200 compiling the plain network took some 45 s, once each, and saved 49
# microseconds a window (micro) or 66 (atto; docs/scaling.md has the rates): on fewer windows it saves nothing.
WORTH = 1_000_000
AGREEMENT = 0.05  # of the norm of a result or a gradient in bf16

_used: ContextVar[bool] = ContextVar("compiled", default=False)  # whether the training that runs is compiled


def is_compiled(network: nn.Module, config: TrainConfig, device: torch.device, windows: int) -> bool:
    """Return whether a training of a network over so many windows is compiled.

    Automatically it is where it is known to work and to pay: GBV-Net with pictures on a GPU, and many windows times
    epochs. It follows from the settings and the data alone, so that a training that was killed goes on as it began.
    """
    if config.compile != "auto":
        return config.compile
    pictures = isinstance(network, GBVNet) and network.sees_face and not network.reads_features
    return pictures and device.type == "cuda" and windows * config.epochs >= WORTH


def is_compilers(error: BaseException) -> bool:
    """Return whether an error comes from torch's compiler; its errors have no public class."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "torch._functorch"))


class CompiledNetwork:
    """A network compiled for batches of one size; others, as the last one of a validation, are computed as they are.

    On a GPU a pass is recorded as a CUDA graph: the host then starts one graph, and not hundreds of kernels.

    size : windows in such a batch
    label : prefix of the log line
    required : whether an error of the compiler is raised; otherwise it is logged, and the network not compiled
    """

    def __init__(self, network: nn.Module, size: int, device: torch.device, label: str, required: bool):
        self.network, self.size, self.label, self.required = network, size, label, required
        self.graphs = device.type == "cuda"
        # A graph of a size that changes, as behind a mask, would be recorded anew for each size.
        options: dict[str, Any] = {"triton.cudagraphs": True, "triton.cudagraph_skip_dynamic_graphs": True}
        self.form: Callable[..., Any] | None = torch.compile(
            network, dynamic=False, options=options if self.graphs else None
        )

    def __call__(self, *inputs: Any) -> Any:
        """Return what the network returns."""
        size = next(len(t) for t in inputs if isinstance(t, Tensor))
        if self.form is None or size != self.size:
            return self.network(*inputs)
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()  # what earlier passes returned is no longer used
        try:
            return self.form(*inputs)
        except RuntimeError as error:
            if self.required or not is_compilers(error):
                raise
            log.warning("%storch.compile does not work here (%s): going on without it", self.label, summary(error))
            self.form = None
        return self.network(*inputs)


def summary(error: BaseException) -> str:
    """Return what an error of the compiler says in its first two lines: what failed, and why."""
    return " ".join(str(error).strip().splitlines()[:2]) or type(error).__name__


@contextmanager
def compiled_training(use: bool, device: torch.device) -> Iterator[None]:
    """A block in which functions that are `compiled_in_training` are compiled, if `use`, and in which a GPU uses the
    package's own kernels, if they agree with torch."""
    token = _used.set(use)
    try:
        with own_kernels(use and device.type == "cuda" and kernels_agree(device)):
            yield
    finally:
        _used.reset(token)


@cache
def kernels_agree(device: torch.device) -> bool:
    """Return whether the kernels run on a GPU and compute what torch computes there, a block and its gradients; if not,
    one log line says so. It is tried once in a process, and takes some seconds where they are compiled."""
    try:
        off = _disagreement(device)
    except Exception as error:  # whatever is missing on this machine: torch's own operations work
        log.warning("GBV-Net's kernels do not run here (%s): going on without them", summary(error))
        return False
    if not off < AGREEMENT:
        log.warning("GBV-Net's kernels differ from torch by %.2g of the values here: going on without them", off)
    return off < AGREEMENT


def _disagreement(device: torch.device) -> float:
    """The largest difference of a block's result, or of a gradient, as a share of its norm: in bf16, with rounding. NaN
    if one of them is NaN."""
    off = []
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        for side, width in ((16, 24), (4, 40), (2, 128)):
            block, size = Block(width).to(device), (130, side, side, width)
            nn.init.normal_(block.grn.gamma)
            x, weights = torch.randn(size, device=device), torch.randn(size, device=device)
            both = []
            for own in (False, True):
                given = x.clone().requires_grad_()
                with own_kernels(own), torch.autocast(device.type, torch.bfloat16):
                    out = block(given)
                both.append([out, *torch.autograd.grad((out * weights).sum(), [given, *block.parameters()])])
            for plain, made in ((a.detach().float(), b.detach().float()) for a, b in zip(*both, strict=True)):
                off.append(float((made - plain).norm() / plain.norm()))
    return float(np.max(off))  # NaN if one is


def compiled_in_training(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Make of a function of tensors one that is compiled within `compiled_training`, and plain elsewhere and where the
    compiler does not work."""
    forms: list[Callable[P, Tensor] | None] = []

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        if not _used.get():
            return function(*args, **kwargs)
        if not forms:
            forms.append(torch.compile(function, dynamic=False))
        if (form := forms[0]) is not None:
            try:
                return form(*args, **kwargs)
            except RuntimeError as error:
                if not is_compilers(error):
                    raise
                log.warning("torch.compile does not work here (%s): going on without it", summary(error))
                forms[0] = None
        return function(*args, **kwargs)

    return call

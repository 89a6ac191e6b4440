"""torch.compile in a training: when it is used, for which batches, and what happens where it does not work."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec

import torch
from torch import Tensor, nn

from ..config import TrainConfig
from .model import GBVNet

log = logging.getLogger(__name__)

P = ParamSpec("P")
WORTH = 300_000  # windows passed in a training: compiling takes about a minute, as much as it saves on fewer

_used: ContextVar[bool] = ContextVar("compiled", default=False)  # whether the training that runs is compiled


def is_compiled(network: nn.Module, config: TrainConfig, device: torch.device, windows: int) -> bool:
    """Return whether a training of a network over so many windows is compiled.

    Automatically it is where it is known to work and to pay: GBV-Net with pictures on a GPU, and many windows times
    epochs. It follows from the settings and the data alone, so that a training that was killed goes on as it began.
    """
    if config.compile == "never" or config.compile is True:
        return config.compile is True
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
def compiled_training(use: bool) -> Iterator[None]:
    """A block in which functions that are `compiled_in_training` are compiled, if `use`."""
    token = _used.set(use)
    try:
        yield
    finally:
        _used.reset(token)


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

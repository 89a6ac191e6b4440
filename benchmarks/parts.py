"""The parts of GBV-Net, and what each costs: bytes and FLOPs, counted by operation, and seconds.

A part is entered and left by hooks of its module; torch's profiler takes the time. An operation belongs to the part
entered last, a backward operation to the part whose forward operation made its node, by torch's sequence number.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod

import torch
from torch import Tensor, nn
from torch.autograd import _get_sequence_nr
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gbvnet.network.devices import has_kernels
from gbvnet.network.model import GBVNet

OTHER, PREFIX = "other", "part/"
Cells = dict[tuple[str, str], dict[str, float]]  # part and direction: what it costs
UNTOUCHED = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach", "_unsafe_view")


def modules_of(net: GBVNet) -> Iterator[tuple[nn.Module, str]]:
    """Each module that begins a part, with the part's name."""
    if net.sees_face:
        space = net.face.space
        yield net.face, "stem"
        yield from ((down, "downsampling") for down in space.downs)
        for k, stage in enumerate(space.stages, 1):
            for block in stage:
                yield block, f"stage {k} pointwise"  # norm, both products, GELU, residual
                yield block.depthwise, f"stage {k} depthwise"
                if not has_kernels(block.norm.weight.device):  # a hook forbids the kernels
                    yield block.grn, f"stage {k} GRN"
        yield from ((module, "face output") for module in (space.norm, net.face.out))
        if net.time is not None:
            yield net.time, "Transformer"
    if net.sees_signals:
        yield net.signals, "signal encoder"
    if net.sees_both:
        yield net.fusion, "fusion and head"
    yield net.head, "fusion and head"


class Parts:
    """Which part the host is in. `entered` also opens a range of the profiler."""

    def __init__(self) -> None:
        self.stack: list[tuple[str, record_function]] = []

    @property
    def now(self) -> str:
        return self.stack[-1][0] if self.stack else OTHER

    def enter(self, name: str) -> None:
        given = record_function(PREFIX + name)
        given.__enter__()
        self.stack.append((name, given))

    def leave(self) -> None:
        self.stack.pop()[1].__exit__(None, None, None)

    @contextmanager
    def entered(self, name: str) -> Iterator[None]:
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    @contextmanager
    def of(self, net: GBVNet) -> Iterator[None]:
        """Follow the modules of a network while the block runs."""
        hooks = []
        for module, name in modules_of(net):
            hooks.append(module.register_forward_pre_hook(lambda *_, name=name: self.enter(name)))
            hooks.append(module.register_forward_hook(lambda *_: self.leave()))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


class Counting(TorchDispatchMode):
    """Counts what every operation reads and writes, each input and output once, and its multiplications and additions.

    FLOPs are of convolutions, matrix products and attention; the others are bound by memory, not by arithmetic.
    """

    def __init__(self, parts: Parts):
        super().__init__()
        self.parts = parts
        self.made_in: dict[int, str] = {}
        self.cells: Cells = defaultdict(lambda: {"bytes": 0, "flops": 0})

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        node = torch._C._current_autograd_node()
        if node is None:
            self.made_in.setdefault(_get_sequence_nr() - 1, self.parts.now)  # that of the node just made
            key = self.parts.now, "forward"
        else:
            key = self.made_in.get(node._sequence_nr(), OTHER), "backward"
        name = func._schema.name.partition("::")[2]
        if not func.is_view and name not in UNTOUCHED:
            self.cells[key]["bytes"] += sum(map(nbytes, distinct([args, kwargs, out])))
            self.cells[key]["flops"] += flops(name, args, out)
        return out


def distinct(tree: object) -> list[Tensor]:
    """The tensors of a tree, each once."""
    return list({id(t): t for t in tree_leaves(tree) if isinstance(t, Tensor)}.values())


def nbytes(tensor: Tensor) -> int:
    """Bytes that are there: an expanded tensor is read as often as it is stored."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def flops(name: str, args: tuple, out: object) -> int:
    """A multiplication and its addition count as two."""
    if name == "convolution":
        return 2 * out.numel() * prod(args[1].shape[1:])  # type: ignore[attr-defined]
    if name in ("depthwise", "depthwise_weight_gradient"):  # gbvnet's kernels
        return 2 * args[0].numel() * 49
    if name == "convolution_backward":  # the input's gradient and the weights', each as much as the way forwards
        return 2 * args[0].numel() * prod(args[2].shape[1:]) * sum(args[10][:2])
    if name in ("mm", "bmm"):
        return 2 * args[0].numel() * args[1].shape[-1]
    if name in ("addmm", "baddbmm"):
        return 2 * args[1].numel() * args[2].shape[-1]
    if name.startswith("_scaled_dot_product"):
        back = name.endswith("backward")  # two products forwards; five backwards, as one is computed again
        q, k = args[1:3] if back else args[:2]
        return (10 if back else 4) * q.numel() * k.shape[-2]
    return 0


def counted(parts: Parts, net: GBVNet, step: Callable[[], object]) -> Cells:
    """What one step costs in bytes and FLOPs."""
    with parts.of(net), Counting(parts) as counting:
        step()
    return counting.cells


def timed(parts: Parts, net: GBVNet, step: Callable[[], object], steps: int, device: torch.device) -> Cells:
    """Seconds of one step by part, of the device: the mean of some steps, after one that is not counted."""
    gpu = device.type == "cuda"
    with parts.of(net):
        step()
        with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]) as profiled:
            for _ in range(steps):
                step()
            if gpu:
                torch.cuda.synchronize(device)
    events = [e for e in profiled.events() if e.device_type == torch.autograd.DeviceType.CPU]
    made_in: dict[int, str] = {}
    for event in sorted(events, key=lambda e: e.time_range.start):
        part, node = place_of(event)
        if node is None and event.sequence_nr >= 0:
            made_in[event.sequence_nr] = part
    cells: Cells = defaultdict(lambda: {"seconds": 0.0, "kernels": 0.0})
    for event in events:
        part, node = place_of(event)
        key = (part, "forward") if node is None else (made_in.get(node, OTHER), "backward")
        own_us = event.self_device_time_total if gpu else event.self_cpu_time_total
        cells[key]["seconds"] += own_us / 1e6 / steps
        cells[key]["kernels"] += len(event.kernels) / steps
    return cells


def place_of(event) -> tuple[str, int | None]:
    """The part that an event is in, and, on the way back, the sequence number of its node."""
    while event is not None:
        if event.name.startswith(PREFIX):
            return event.name.removeprefix(PREFIX), None
        if event.name.startswith("autograd::engine::evaluate_function"):
            return OTHER, event.sequence_nr
        event = event.cpu_parent
    return OTHER, None

"""The depthwise 7x7 convolution by itself: forwards, the gradient of the input, that of the weights, in three forms.

python -m benchmarks.depthwise [--device auto] [--frames 2560] [--quick] [--jobs 8]

library: torch's convolution. kernel: gbvnet's own (on a GPU). product: a matrix product per channel with the banded
(HW, HW) matrix of its filter. The share is that of the rate of a large copy, measured in the same run, at which every
map would be read and written once. The error is that against float64 on a few frames, as a share of the result's norm.
"""

import argparse
import json
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from gbvnet import __version__
from gbvnet.config import TrainConfig
from gbvnet.network.devices import device_of
from gbvnet.network.model import SIZES

from .__main__ import RESULTS, machine
from .profile import hold, median_seconds

WAYS = ("forward", "input", "weight")
FEW = 16  # frames for the error
BEYOND = 2**28  # bytes of maps that the timed calls go through in turn, so that none waits in a cache
VARIED = {  # constants of gbvnet's kernels that are tried on the first map
    "16 a thread": {"PER_THREAD": 16},
    "8 warps": {"WARPS": 8},
    "16 summed": {"PER_THREAD_SUMMED": 16},
    "4 summed": {"PER_THREAD_SUMMED": 4},
    "half the programs": {"PROGRAMS": 132 * 8},
    "twice the programs": {"PROGRAMS": 132 * 32},
}
Form = Callable[[str, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, ...]]


def shapes(quick: bool) -> list[tuple[int, int, int]]:
    """Height, width and channels of maps, the most important first."""
    if quick:
        return [(4, 4, 6), (2, 2, 8)]
    maps = [(16 >> k, 16 >> k, width) for k, width in enumerate(SIZES["atto"][1])]
    maps += [(side, side, width) for side, width in zip((28, 14, 7, 4), SIZES["atto"][1], strict=True)]
    return [*maps, (16, 16, SIZES["micro"][1][0]), (16, 16, SIZES["tiny"][1][0]), (8, 8, SIZES["tiny"][1][1])]


def library(way: str, maps: Tensor, weight: Tensor, bias: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    x, g, channels = maps.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2), maps.shape[3]
    if way == "forward":
        return (F.conv2d(x, weight, bias, padding=3, groups=channels).permute(0, 2, 3, 1),)
    geometry = ([channels], [1, 1], [3, 3], [1, 1], False, [0, 0], channels)
    wanted = [way == "input", way == "weight", way == "weight"]
    of_maps, of_weight, of_bias = torch.ops.aten.convolution_backward(g, x, weight, *geometry, wanted)
    return (of_maps.permute(0, 2, 3, 1),) if way == "input" else (of_weight, of_bias)


def kernel(way: str, maps: Tensor, weight: Tensor, bias: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    from gbvnet.network.depthwise import TAPS, _op, _weight_op

    taps = weight.flatten(1).t().float().contiguous()
    if way == "forward":
        return (_op(maps, taps, bias.float(), False, maps.dtype),)
    if way == "input":
        return (_op(gradient, taps, None, True, maps.dtype),)
    sums = _weight_op(maps, gradient)
    return sums[:TAPS].t().reshape(weight.shape), sums[TAPS]


def bands(height: int, width: int, device: torch.device) -> Tensor:
    """(HW, HW, 49): 1 where an input pixel reaches an output pixel by a tap."""
    at = torch.arange(height * width, device=device)
    dy = at[:, None] // width - at[None] // width + 3  # input - output
    dx = at[:, None] % width - at[None] % width + 3
    inside = (dy >= 0) & (dy < 7) & (dx >= 0) & (dx < 7)
    return F.one_hot(torch.where(inside, 7 * dy + dx, 49), 50)[..., :49]


def product(way: str, maps: Tensor, weight: Tensor, bias: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    n, height, width, channels = maps.shape
    band = bands(height, width, maps.device).to(maps.dtype)
    x, g = (t.view(n, height * width, channels).permute(2, 0, 1) for t in (maps, gradient))  # (E, N, HW)
    if way == "weight":
        pairs = torch.bmm(x.transpose(1, 2), g)  # (E, HW, HW)
        return torch.einsum("eio,iot->et", pairs, band).view(weight.shape), g.sum((1, 2))
    matrix = torch.einsum("et,iot->eio", weight.flatten(1), band)
    out = torch.bmm(x, matrix) + bias[:, None, None] if way == "forward" else torch.bmm(g, matrix.transpose(1, 2))
    return (out.permute(1, 2, 0).reshape(maps.shape),)


def inputs(frames: int, size: tuple[int, int, int], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, ...]:
    generator = torch.Generator(device).manual_seed(0)
    of_weight = (size[2], 1, 7, 7), (size[2],)
    all_shapes = ((frames, *size), *of_weight, (frames, *size))
    return tuple(torch.randn(s, generator=generator, device=device, dtype=dtype) for s in all_shapes)


def error(form: Form, way: str, size: tuple[int, int, int], device: torch.device, dtype: torch.dtype) -> float:
    given = inputs(FEW, size, device, dtype)
    exact = library(way, *(t.cpu().double() for t in given))[0]
    made = form(way, *given)[0].cpu().double()
    return float((made - exact).norm() / exact.norm())


def forms(device: torch.device) -> dict[str, tuple[Form, dict[str, int]]]:
    """Each form with the constants that are changed for it."""
    made: dict[str, tuple[Form, dict[str, int]]] = {"library": (library, {})}
    if device.type == "cuda":
        made["kernel"] = (kernel, {})
    made["product"] = (product, {})
    return made


def changed(constants: dict[str, int]) -> ExitStack:
    stack = ExitStack()
    if constants:
        from gbvnet.network import depthwise

        for name, value in constants.items():
            stack.enter_context(patch.object(depthwise, name, value))
    return stack


def tasks(options: argparse.Namespace, device: torch.device) -> Iterator[tuple]:
    """Each size, form, its name and constants that are measured."""
    for at, size in enumerate(shapes(options.quick)):
        for name, (form, constants) in forms(device).items():
            if form is not product or size[0] * size[1] <= 256:
                yield size, name, form, constants
        if at == 0 and device.type == "cuda":
            for name, constants in VARIED.items():
                yield size, f"kernel, {name}", kernel, constants


def compiled(options: argparse.Namespace, size: tuple[int, int, int], constants: dict[str, int]) -> str | None:
    """Compile the kernels of a size into Triton's cache, in a process of its own; the error, if there is one."""
    device = device_of(TrainConfig(device=options.device))
    try:
        with changed(constants):
            given = inputs(options.frames, size, device, torch.bfloat16)
            for way in WAYS:
                kernel(way, *given)
            torch.cuda.synchronize()
    except Exception as failed:
        return f"{type(failed).__name__}: {failed}"
    return None


def compile_all(options: argparse.Namespace, device: torch.device) -> None:
    """Compile what is measured, several kernels at once: one after the other takes minutes."""
    given = [(options, size, constants) for size, _, form, constants in tasks(options, device) if form is kernel]
    if given and options.jobs > 1:
        with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
            pool.starmap(compiled, given, chunksize=1)


def seconds_each(calls: list[Callable[[], object]], device: torch.device, repeats: int) -> float:
    """Median seconds of a call; on a GPU recorded as a graph, so that the host's work for it does not count."""
    if device.type != "cuda":
        return median_seconds(lambda: [call() for call in calls], lambda: None, repeats) / len(calls)
    calls[0]()
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize(device)
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    taken = median_seconds(graph.replay, partial(torch.cuda.synchronize, device), repeats)
    return taken / len(calls)


def measured(options: argparse.Namespace, device: torch.device) -> Iterator[dict]:
    gpu = device.type == "cuda"
    dtype = torch.bfloat16 if gpu else torch.float32
    wait = partial(torch.cuda.synchronize, device) if gpu else lambda: None
    length = 2**29 if gpu else 2**26
    a = torch.zeros(length, dtype=torch.uint8, device=device)
    b = torch.empty_like(a)
    copy = 2 * length / median_seconds(lambda: b.copy_(a), wait, 10)
    for size, name, form, constants in tasks(options, device):
        given = inputs(options.frames, size, device, dtype)
        moved = 2 * given[0].numel() * given[0].element_size()
        sets = [given, *(tuple(t.clone() for t in given) for _ in range(BEYOND // moved if gpu else 0))]
        row = {"map": size, "form": name, "frames": options.frames, "bytes": moved, "copy_bytes_per_s": copy}
        for way in WAYS:
            try:
                with changed(constants):
                    seconds = seconds_each([partial(form, way, *each) for each in sets], device, options.steps)
                    off = error(form, way, size, device, dtype)
                row[way] = {"seconds": seconds, "share_of_copy": moved / copy / seconds, "error": off}
            except Exception as failed:  # one form that fails must not cost the others
                row[way] = {"failed": f"{type(failed).__name__}: {failed}"}
        yield row


def line(row: dict) -> str:
    cells = []
    for way in WAYS:
        cell = row[way]
        if "failed" in cell:
            cells.append(f"failed: {cell['failed'].splitlines()[0][:40]}")
        else:
            cells.append(f"{1e3 * cell['seconds']:8.3f} {cell['share_of_copy']:5.0%} {cell['error']:8.1e}")
    height, width, channels = row["map"]
    return f"{f'{height}x{width}x{channels}':<11} {row['form']:<28} " + " | ".join(cells)


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.depthwise", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto")
    parser.add_argument("--frames", type=int, default=2560)
    parser.add_argument("--steps", type=int, default=10, help="calls that are timed")
    parser.add_argument("--jobs", type=int, default=8, help="processes that compile kernels")
    parser.add_argument("--quick", action="store_true", help="small maps")
    parser.add_argument("--held", type=Path, help="make this file when all is compiled, and wait until it is deleted")
    parser.add_argument("--out", type=Path, default=RESULTS / "depthwise.json", help="the file that is written")
    options = parser.parse_args(given)
    if options.quick:
        options.frames = min(options.frames, 8)
    device = device_of(TrainConfig(device=options.device))
    compile_all(options, device)
    hold(options.held)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else machine()
    print(f"gbvnet {__version__} on {name}, {options.frames} frames; ms, share of a copy's rate, error of each way")
    print(f"{'map':<11} {'form':<28} " + " | ".join(f"{way:<23}" for way in WAYS))
    rows = []
    for row in measured(options, device):
        rows.append(row)
        print(line(row), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"gbvnet": __version__, "device": name, "rows": rows}, indent=2) + "\n")
    return any("failed" in row[way] for row in rows for way in WAYS if row["form"] in ("library", "kernel"))


if __name__ == "__main__":
    raise SystemExit(main())

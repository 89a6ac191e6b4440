"""The block's kernels against its plain form, on a GPU: time, bytes moved, and the error of both.

python -m benchmarks.fused_block [--variant micro atto] [--tiles] [--quick]

For each stage: the plain form under bf16 autocast and the kernels, forwards and with the way back; of each kernel the
bytes that it must move over its time, as a share of a copy's rate; and the largest error against the plain form in
float64, as a share of the largest value. Times are of recorded CUDA graphs, so that the host does not count.
--tiles: time also other tiles than those of `fused_block.tile_of`. --quick: on a CPU, small, by Triton's interpreter.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from gbvnet.network import fused_block, model
from gbvnet.network.fused_block import KERNELS, Shape, Tile, programs, run, spans, tile_of
from gbvnet.network.model import SIZES, Block

from .__main__ import RESULTS, machine

FRAMES, SIDE = 2560, 64  # a batch of 256 windows of 10 frames; a face's side, pixels
CHECKED = 64  # frames, for errors
Form = Callable[[Block, Tensor, Tensor], Tensor]


class Case:
    """One stage of a variant: a block with random weights, and its maps."""

    def __init__(self, variant: str, stage: int, frames: int, device: torch.device, dtype: torch.dtype):
        self.depth, self.width = SIZES[variant][0][stage], SIZES[variant][1][stage]
        self.side, self.frames, self.dtype = SIDE // 4 >> stage, frames, dtype
        self.name = f"{variant} stage {stage + 1}: {self.depth} x {self.side}x{self.side}x{self.width}"
        torch.manual_seed(0)
        self.block = Block(self.width)
        for name, parameter in self.block.named_parameters():
            if "grn" in name or "bias" in name or "norm" in name:
                torch.nn.init.normal_(parameter, 1.0 if name == "norm.weight" else 0.0, 0.3)
            elif "weight" in name:
                torch.nn.init.normal_(parameter, 0.0, parameter[0].numel() ** -0.5)
        self.block.to(device)
        shape = frames, self.side, self.side, self.width
        self.x, self.y, self.dout = (torch.randn(shape, device=device).to(dtype) for _ in range(3))
        self.shape = Shape.of(self.y, 4 * self.width)

    def plain(self, block: Block, x: Tensor, y: Tensor) -> Tensor:
        return x + block.narrow(block.grn(F.gelu(block.widen(block.norm(y)))))

    def low_plain(self, block: Block, x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            return self.plain(block, x, y)

    def errors(self, n: int) -> dict[str, float | str]:
        """The largest error of each value of the plain form and of the kernels, as a share of the largest value."""
        with patch.object(model, "is_asynchronous", lambda device: False):  # float64 on a CPU
            exact = copy.deepcopy(self.block).cpu().double()
            expected = gradients(self.plain, exact, *(t[:n].cpu().double() for t in (self.x, self.y, self.dout)))
        names = ["out", "x", "y", *(name for name, _ in self.block.named_parameters() if "depthwise" not in name)]
        errors: dict[str, float | str] = {}
        for label, form in {"plain": self.low_plain, "fused": fused_block.fused}.items():
            made = gradients(form, self.block, *(t[:n] for t in (self.x, self.y, self.dout)))
            of_value = [
                ((a.cpu().double() - b).abs().max() / b.abs().max()).item() for a, b in zip(made, expected, strict=True)
            ]
            errors[f"error, {label}, output"] = of_value[0]
            errors[f"error, {label}, worst gradient"] = max(of_value)
            errors[f"error, {label}, in"] = names[of_value.index(max(of_value))]
        return errors

    def steps(self, compiles: bool) -> dict[str, Callable[[], object]]:
        """What is timed, by name."""
        tensors, fused = (self.x, self.y, self.dout), fused_block.fused
        forms: dict[str, Form] = {"plain": self.low_plain}
        if compiles:
            forms["compiled"] = torch.compile(self.low_plain, dynamic=False)
        steps: dict[str, Callable[[], object]] = {}
        for name, form in forms.items():
            steps[f"{name} forward"] = partial(forwards, form, self.block, *tensors[:2])
            steps[f"{name} both"] = partial(gradients, form, self.block, *tensors)
        for name, wide in (("fused", False), ("fused, wide", True)):
            if wide or self.width <= max(fused_block.TILES):
                steps[f"{name} forward"] = partial(as_wide, wide, forwards, fused, self.block, *tensors[:2])
                steps[f"{name} both"] = partial(as_wide, wide, gradients, fused, self.block, *tensors)
        if self.width <= max(fused_block.TILES):
            for kernel in KERNELS:
                steps[kernel] = partial(self.run, kernel, tile_of(kernel, self.width))
        return steps

    def run(self, kernel: str, tile: Tile) -> None:
        """Run one kernel alone, with values that do not matter."""
        like, shape, of_block = self.y.new_empty, self.shape, self.block
        _, parts = spans(shape, tile)
        n, wide, low = (
            like(self.frames, self.side**2, shape.padded),
            like(shape.hidden, shape.padded),
            like(self.width, shape.hidden),
        )
        scale = like(self.frames, shape.hidden, dtype=torch.float32)
        sums = like(self.frames, parts, shape.hidden, dtype=torch.float32)
        x, y, dout, beta, out = self.x, self.y, self.dout, of_block.grn.beta, torch.empty_like(self.y)
        if kernel == "energies":
            run(kernel, shape, (n, wide, sums), tile)
        elif kernel == "outputs":
            run(kernel, shape, (n, x, wide, beta, low, of_block.narrow.bias, scale, out), tile)
        elif kernel == "scale_gradients":
            run(kernel, shape, (n, dout, wide, low, sums), tile)
        else:
            maps = like(2, self.frames * self.side**2, shape.hidden)
            vectors = like(programs(shape, tile), 3, self.width, dtype=torch.float32)
            others = wide, beta, low, scale, scale, out, *maps, vectors
            run(kernel, shape, (n, y, dout, of_block.norm.weight, *others), tile)

    def bytes(self, kernel: str) -> int:
        """What a kernel must move: maps of the width, and the last also two hidden ones."""
        maps = {"energies": 1, "outputs": 3, "scale_gradients": 2, "input_gradients": 4 + 2 * 4}
        return maps[kernel] * self.y.numel() * self.y.element_size()


def as_wide(wide: bool, do: Callable[..., object], *given: object) -> object:
    """Do something as if the maps were wide, or not."""
    with patch.object(fused_block, "WIDE", 1 if wide else 1 << 20):
        return do(*given)


def forwards(form: Form, block: Block, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return form(block, x, y)


def gradients(form: Form, block: Block, x: Tensor, y: Tensor, dout: Tensor) -> list[Tensor]:
    """The output and all gradients."""
    x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
    weights = [p for name, p in block.named_parameters() if "depthwise" not in name]
    out = form(block, x, y)
    return [out, *torch.autograd.grad(out, [x, y, *weights], dout.to(out.dtype))]


def milliseconds(do: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The mean of some runs; on a GPU of a recorded graph."""
    if device.type != "cuda":
        began = time.perf_counter()
        do()
        return 1000 * (time.perf_counter() - began)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            do()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        do()
    graph.replay()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        graph.replay()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / repeats


def copy_rate(device: torch.device) -> float:
    """Bytes per second of a large copy."""
    x = torch.zeros(2**29 if device.type == "cuda" else 2**22, dtype=torch.uint8, device=device)
    y = torch.empty_like(x)
    return 2 * len(x) / milliseconds(lambda: y.copy_(x), device, 5) * 1000


def attempt(do: Callable[[], object]) -> tuple[object, str]:
    """What was returned, or the error in one line: one shape that fails must not stop the others."""
    try:
        return do(), ""
    except Exception as error:
        return None, f"{type(error).__name__}: {error}".replace("\n", " ")[:300]


def compiled(tried: list[tuple[Case, str, Tile]]) -> None:
    """Compile kernels all at the same time, by running each once."""
    began = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda t: attempt(lambda: t[0].run(t[1], t[2])), tried))
    torch.cuda.synchronize()
    print(f"{len(tried)} kernels compiled in {time.perf_counter() - began:.0f} s", flush=True)


def measure(options: argparse.Namespace) -> dict:
    gpu = torch.cuda.is_available() and not options.quick
    device = torch.device("cuda" if gpu else "cpu")
    dtype = torch.bfloat16 if gpu else torch.float32  # the interpreter computes no products of bf16
    frames = FRAMES if gpu else 2
    cases = [Case(v, stage, frames, device, dtype) for v in options.variant for stage in range(4)]
    rate = copy_rate(device)
    print(f"copy {rate / 1e12:.2f} TB/s", flush=True)
    if gpu:
        chosen = [(case, kernel) for case in cases if case.width <= max(fused_block.TILES) for kernel in KERNELS]
        compiled([(case, kernel, tile_of(kernel, case.width)) for case, kernel in chosen])
    rows = [measure_case(case, rate, options.repeats, options.compiled) for case in cases]
    of_tiles = measure_tiles(cases, options.repeats) if options.tiles and gpu else []
    device_name = torch.cuda.get_device_name() if gpu else machine()
    return {"device": device_name, "bytes_per_s": rate, "rows": rows, "tiles": of_tiles}


def measure_case(case: Case, rate: float, repeats: int, compiles: bool) -> dict:
    """Time and errors of one stage, printed and returned."""
    row: dict = {}
    for name, step in case.steps(compiles).items():
        ms, failed = attempt(partial(milliseconds, step, case.x.device, repeats))
        row[f"{name}, ms"] = failed or ms
        if name in KERNELS and isinstance(ms, float):
            row[f"{name}, of copy rate"] = case.bytes(name) / (ms / 1000) / rate
    errors, failed = attempt(lambda: case.errors(min(case.frames, CHECKED)))
    row.update({"errors": failed} if failed else errors)  # type: ignore[call-overload]
    print(f"\n{case.name}", flush=True)
    for name, value in row.items():
        print(f"    {name:<32} {value if isinstance(value, str) else f'{value:.4g}'}", flush=True)
    return {"what": case.name, **row}


def tiles(kernel: str) -> list[Tile]:
    """Tiles to try."""
    made = [Tile(64, 16, 4), Tile(64, 32, 4), Tile(64, 64, 4), Tile(128, 32, 4), Tile(128, 32, 8), Tile(128, 64, 8)]
    return [*made, Tile(64, 32, 4, 128), Tile(64, 32, 4, 168)] if kernel == "input_gradients" else made


def measure_tiles(cases: list[Case], repeats: int) -> list[dict]:
    """The kernels' times with other tiles; the best are printed."""
    cases = [case for case in cases if case.width <= max(fused_block.TILES)]
    tried = [(case, kernel, tile) for case in cases for kernel in KERNELS for tile in tiles(kernel)]
    compiled(tried)
    rows: list[dict] = []
    for case, kernel, tile in tried:
        ms, failed = attempt(partial(milliseconds, partial(case.run, kernel, tile), case.x.device, repeats))
        rows.append({"what": case.name, "kernel": kernel, "tile": tile._asdict(), "ms": ms, "failed": failed})
    for case in cases:
        for kernel in KERNELS:
            of_case = [r for r in rows if r["what"] == case.name and r["kernel"] == kernel]
            of_case.sort(key=lambda r: r["ms"] or 1e9)
            print(f"{case.name} {kernel}:", "; ".join(line(r) for r in of_case), flush=True)
    return rows


def line(row: dict) -> str:
    tile = Tile(**row["tile"])
    return f"{tile.rows}x{tile.hidden} {tile.warps}w {tile.registers or ''} " + (row["failed"] or f"{row['ms']:.3f} ms")


def main(given: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fused_block", description=__doc__.splitlines()[0])
    parser.add_argument("--variant", nargs="+", choices=list(SIZES), default=["micro", "atto"])
    parser.add_argument("--tiles", action="store_true", help="time other tiles too")
    parser.add_argument("--compiled", action="store_true", help="also the plain form by torch.compile")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="on a CPU, under Triton's interpreter, with small maps")
    parser.add_argument("--out", type=Path, default=RESULTS / "fused_block.json", help="the file that is written")
    options = parser.parse_args(given)
    if options.quick and "TRITON_INTERPRET" not in os.environ:  # it counts from the import of triton on
        again = [sys.executable, "-m", "benchmarks.fused_block", *(sys.argv[1:] if given is None else given)]
        subprocess.run(again, env=os.environ | {"TRITON_INTERPRET": "1"}, check=True)
        return json.loads(options.out.read_text())
    result = measure(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    return result


if __name__ == "__main__":
    main()

"""The block's kernels against its plain form, on a GPU: time, bytes moved, and the error of both.

python -m benchmarks.fused_block [--variant micro atto] [--tiles] [--quick]

For each stage: the plain form under bf16 autocast and the kernels, forwards and with the way back; bytes over time as a
share of the rate of a copy; and the largest error against the plain form in float64, as a share of the largest value.
--tiles: time also other tiles than those of `fused_block.tile_of`. --quick: on a CPU, small, by Triton's interpreter.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from gbvnet.network import fused_block
from gbvnet.network.fused_block import Tile, Weights, make_tile, tile_of
from gbvnet.network.model import SIZES, Block

from .__main__ import RESULTS, machine

FRAMES, SIDE = 2560, 64  # a batch of 256 windows of 10 frames; a face's side, pixels
WAYS = ("forward", "backward")
ROWS, HIDDEN, WARPS = (64, 128), (16, 32, 64), (4, 8, 16)  # of tiles that are tried


class Case:
    """One stage of a variant: a block with random weights, and its maps."""

    def __init__(self, variant: str, stage: int, frames: int, device: torch.device, dtype: torch.dtype):
        self.variant, self.stage, self.dtype = variant, stage, dtype
        self.depth, self.width = SIZES[variant][0][stage], SIZES[variant][1][stage]
        self.side, self.frames = SIDE // 4 >> stage, frames
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
        self.weights = Weights.of(self.block)

    @property
    def name(self) -> str:
        return f"{self.variant} stage {self.stage + 1}: {self.depth} x {self.side}x{self.side}x{self.width}"

    def plain(self, block: Block, x: Tensor, y: Tensor) -> Tensor:
        return x + block.narrow(block.grn(F.gelu(block.widen(block.norm(y)))))

    def low_plain(self, block: Block, x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            return self.plain(block, x, y)

    def all_gradients(self, form: Callable[[Block, Tensor, Tensor], Tensor], block: Block, n: int) -> list[Tensor]:
        """The output and all gradients on the first n frames, in the block's precision."""
        double = next(block.parameters()).dtype == torch.float64
        x, y, dout = (t[:n].double() if double else t[:n] for t in (self.x, self.y, self.dout))
        x, y = x.requires_grad_(), y.requires_grad_()
        weights = [p for name, p in block.named_parameters() if "depthwise" not in name]
        out = form(block, x, y)
        return [out, *torch.autograd.grad(out, [x, y, *weights], dout.to(out.dtype))]

    def errors(self, n: int) -> dict[str, float | str]:
        """The largest error of each value of the plain form and of the kernels, as a share of the largest value."""
        exact = Block(self.width).to(self.x.device, torch.float64)
        exact.load_state_dict(self.block.state_dict())
        expected = self.all_gradients(self.plain, exact, n)
        names = ["out", "x", "y", *(name for name, _ in self.block.named_parameters() if "depthwise" not in name)]
        errors: dict[str, float | str] = {}
        for label, form in {"plain": self.low_plain, "fused": fused_block.fused}.items():
            made = self.all_gradients(form, self.block, n)
            of_value = [
                ((a.double() - b).abs().max() / b.abs().max()).item() for a, b in zip(made, expected, strict=True)
            ]
            errors[f"error, {label}, output"] = of_value[0]
            errors[f"error, {label}, worst gradient"] = max(of_value)
            errors[f"error, {label}, in"] = names[of_value.index(max(of_value))]
        return errors

    def steps(self) -> dict[str, Callable[[], object]]:
        """What is timed, by name."""
        x, y = self.x.clone().requires_grad_(), self.y.clone().requires_grad_()
        weights = [p for name, p in self.block.named_parameters() if "depthwise" not in name]

        def both(form: Callable[[Block, Tensor, Tensor], Tensor]) -> object:
            out = form(self.block, x, y)
            return torch.autograd.grad(out, [x, y, *weights], self.dout.to(out.dtype))

        def forwards(form: Callable[[Block, Tensor, Tensor], Tensor]) -> object:
            with torch.no_grad():
                return form(self.block, self.x, self.y)

        _, norm, mean = fused_block.run_forward(self.x, self.y, self.weights)
        return {
            "plain forward": lambda: forwards(self.low_plain),
            "plain both": lambda: both(self.low_plain),
            "fused forward": lambda: forwards(fused_block.fused),
            "fused both": lambda: both(fused_block.fused),
            "kernel forward": lambda: self.run("forward", tile_of(self.width, self.side**2, "forward")),
            "kernel backward": lambda: self.run("backward", tile_of(self.width, self.side**2, "backward"), norm, mean),
        }

    def run(self, way: str, tile: Tile, norm: Tensor | None = None, mean: Tensor | None = None) -> object:
        """Run one kernel alone."""
        if way == "forward":
            return fused_block.run_forward(self.x, self.y, self.weights, tile)
        if norm is None:
            norm = torch.ones(self.frames, 4 * self.width, device=self.x.device)
        mean = norm[:, 0] if mean is None else mean
        return fused_block.run_backward(self.dout, self.y, self.weights, norm, mean, tile)

    def bytes(self) -> dict[str, int]:
        """What each kernel must move: maps of the width, and on the way back two hidden ones."""
        one = self.y.numel() * self.y.element_size()
        return {"kernel forward": 3 * one, "kernel backward": (4 + 2 * 4) * one}


def milliseconds(do: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median of some runs, after two that are not counted."""
    taken = []
    for _ in range(repeats + 2):
        if device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            do()
            end.record()
            end.synchronize()
            taken.append(begin.elapsed_time(end))
        else:
            began = time.perf_counter()
            do()
            taken.append(1000 * (time.perf_counter() - began))
    return median(taken[2:])


def copy_rate(device: torch.device) -> float:
    """Bytes per second of a large copy."""
    x = torch.zeros(2**29 if device.type == "cuda" else 2**22, dtype=torch.uint8, device=device)
    y = torch.empty_like(x)
    return 2 * len(x) / milliseconds(lambda: y.copy_(x), device, 5) * 1000


def tiles(case: Case) -> list[tuple[str, Tile]]:
    """Other tiles for a stage, those that may fit into the registers."""
    made = dict.fromkeys(
        make_tile(case.width, case.side**2, rows, hidden, warps)
        for rows in ROWS
        for hidden in HIDDEN
        for warps in WARPS
        if max(rows, case.side**2) // 64 <= warps <= max(rows, case.side**2) // 16
        and max(rows, case.side**2) * (case.width + 3 * hidden) / (32 * warps) <= 240
    )
    return [(way, tile) for way in WAYS for tile in made]


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
    frames, repeats = (FRAMES, options.repeats) if gpu else (2, 1)
    dtype = torch.bfloat16 if gpu else torch.float32  # the interpreter computes no products of bf16
    cases = [Case(v, stage, frames, device, dtype) for v in options.variant for stage in range(4)]
    rate = copy_rate(device)
    print(f"copy {rate / 1e12:.2f} TB/s", flush=True)
    if gpu:
        compiled([(case, way, tile_of(case.width, case.side**2, way)) for case in cases for way in WAYS])
    rows = [measure_case(case, rate, repeats) for case in cases]
    of_tiles = measure_tiles(cases, repeats) if options.tiles and gpu else []
    device_name = torch.cuda.get_device_name() if gpu else machine()
    return {"device": device_name, "bytes_per_s": rate, "rows": rows, "tiles": of_tiles}


def measure_case(case: Case, rate: float, repeats: int) -> dict:
    """Time and errors of one stage, printed and returned."""
    row: dict = {}
    steps, failed = attempt(case.steps)
    if failed:
        row["failed"] = failed
    else:
        for name, step in steps.items():
            ms, failed = attempt(lambda step=step: milliseconds(step, case.x.device, repeats))
            row[f"{name}, ms"] = failed or ms
        for name, moved in case.bytes().items():
            if isinstance(ms := row[f"{name}, ms"], float):
                row[f"{name}, MB"] = moved / 1e6
                row[f"{name}, of copy rate"] = moved / (ms / 1000) / rate
        errors, failed = attempt(lambda: case.errors(min(case.frames, 64)))
        row.update({"errors": failed} if failed else errors)
    print(f"\n{case.name}", flush=True)
    for name, value in row.items():
        print(f"    {name:<32} {value if isinstance(value, str) else f'{value:.4g}'}", flush=True)
    return {"what": case.name, **row}


def measure_tiles(cases: list[Case], repeats: int) -> list[dict]:
    """The kernels' times with other tiles; the five best are printed."""
    tried = [(case, way, tile) for case in cases for way, tile in tiles(case)]
    compiled(tried)
    rows: list[dict] = []
    for case, way, tile in tried:
        do = partial(milliseconds, partial(case.run, way, tile), case.x.device, min(repeats, 5))
        ms, failed = attempt(do)
        rows.append({"what": case.name, "way": way, "tile": tile._asdict(), "ms": ms, "failed": failed})
    for case in cases:
        for way in WAYS:
            of_case = [r for r in rows if r["what"] == case.name and r["way"] == way]
            print(f"{case.name} {way}; failed: {sum(bool(r['failed']) for r in of_case)}")
            for r in sorted((r for r in of_case if not r["failed"]), key=lambda r: r["ms"])[:5]:
                t = r["tile"]
                print(
                    f"    {r['ms']:.3f} ms: {t['frames'] * t['padded']} rows, {t['hidden']} hidden, {t['warps']} warps"
                )
            for message in {r["failed"] for r in of_case if r["failed"]}:
                print(f"    {message}")
    return rows


def main(given: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fused_block", description=__doc__.splitlines()[0])
    parser.add_argument("--variant", nargs="+", choices=list(SIZES), default=["micro", "atto"])
    parser.add_argument("--tiles", action="store_true", help="time other tiles too")
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

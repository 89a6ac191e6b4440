"""Where the time of a training step goes, by part of the network, beside the floor.

python -m benchmarks.profile --variant atto --side 64 --batch 32 --device auto [--precision bf16] [--plain]

The floor of a part is the larger of two times: its FLOPs at the rate of a large matrix product, and its bytes, each
operation's inputs and outputs once, at the rate of a large copy, both measured on this device in this run. Maps that
stay in a processor's cache, or operations that a compiler makes one of, can be below it.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gbvnet import __version__
from gbvnet.config import GBVNetConfig, TrainConfig
from gbvnet.network import augment, model
from gbvnet.network.augment import augment_faces, augment_signals
from gbvnet.network.batches import Batch, with_network_faces
from gbvnet.network.compiling import CompiledNetwork, compiled_training
from gbvnet.network.devices import adam, channels_last, device_of, own_kernels, precision_of
from gbvnet.network.model import SIZES, GBVNet
from gbvnet.network.presence import Presence

from .__main__ import RESULTS, machine
from .parts import OTHER, Cells, Parts, counted, timed

F, C, L = 10, 40, 128  # frames, channels, samples of a window
ALL = Presence(True, True, True, True, True)


class Training:
    """GBV-Net and batches of noise on a device: a step as the package's own training takes it.

    plain : the form that a CPU has also on a GPU, and Adam unfused: what was before, to compare with
    library : torch's depthwise convolution, also where gbvnet has kernels of its own
    """

    def __init__(self, options: argparse.Namespace):
        self.config = TrainConfig(device=options.device, precision=options.precision)
        self.device = device_of(self.config)
        self.bf16 = precision_of(self.config, self.device) == "bf16-mixed"
        self.options, self.parts = options, Parts()
        torch.manual_seed(0)
        sizes = {"n_channels": C, "n_samples": L, "n_frames": F}
        self.net = GBVNet(GBVNetConfig(variant=options.variant, **sizes)).to(self.device).train()
        if self.device.type == "cuda":
            channels_last(self.net)
        self.call: Callable[..., Any] = self.net
        if options.compile == "training":  # as gbvnet compiles a training
            self.call = CompiledNetwork(self.net, options.batch, self.device, "", True)
        elif options.compile:
            self.call = torch.compile(self.net, mode=options.compile, dynamic=False)
        weights = self.net.parameters()
        self.optimiser = torch.optim.Adam(weights, lr=1e-3) if options.plain else adam(weights, 1e-3)
        n, s = 2 * options.batch, options.side
        self.faces = torch.randint(0, 256, (n, F, s, s, 3), dtype=torch.uint8).to(self.device)
        self.signals = torch.randn(n, C, L).to(self.device)
        self.y = (torch.arange(n)[:, None] % 2).float().to(self.device)
        self.generator = torch.Generator(self.device)
        self.sd, self.steps = torch.ones(C, device=self.device), 0

    def batch(self, at: Tensor | None = None) -> Batch:
        """Windows drawn by chance, or those given."""
        at = (torch.randperm(len(self.y))[: self.options.batch] if at is None else at).to(self.device)
        presence = None if self.options.plain else ALL
        return Batch(self.faces[at], None, self.signals[at], None, None, self.y[at], presence)

    def step(self) -> Tensor:
        entered = self.parts.entered
        self.steps += 1
        with entered("data"):
            batch = with_network_faces(self.batch())
        with entered("augmentation"):
            generator = self.generator.manual_seed(self.steps)
            with compiled_training(bool(self.options.compile), torch.device("cpu")):
                faces = augment_faces(batch.faces, generator)
            signals = augment_signals(batch.signals, self.sd, generator)
        with entered("optimiser"):
            self.optimiser.zero_grad()
        with self.autocast():
            logits = self.call(*batch._replace(faces=faces, signals=signals).inputs_of(self.net)).logits
        with entered("loss"):
            loss = binary_cross_entropy_with_logits(logits.float(), batch.y)
        loss.backward()
        with entered("optimiser"):
            self.optimiser.step()
        return loss

    def autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def form(self) -> ExitStack:
        """A block in which a GPU computes in the form of a CPU, if that is what is measured."""
        stack = ExitStack()
        for module in (model, augment) if self.options.plain else ():
            stack.enter_context(patch.object(module, "is_asynchronous", lambda device: False))
        stack.enter_context(own_kernels(not (self.options.plain or self.options.library)))
        return stack

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def median_seconds(do: Callable[[], object], wait: Callable[[], None], repeats: int) -> float:
    """Median seconds, after two calls that are not counted."""
    taken = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        do()
        wait()
        taken.append(time.perf_counter() - began)
    return median(taken[2:])


def hold(file: Path | None) -> None:
    """Make a file, to say that all is compiled, and wait until it is deleted: then this process may be timed."""
    if file is not None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # others need it meanwhile
        file.touch()
        while file.exists():
            time.sleep(0.02)


def rates(training: Training) -> tuple[float, float]:
    """FLOP/s of a matrix product and bytes/s of a copy, the best of several, on this device."""
    gpu = training.device.type == "cuda"
    side, length = (8192, 2**29) if gpu else (1024, 2**26)
    of = {"device": training.device, "dtype": torch.bfloat16 if training.bf16 else torch.float32}
    a, x = torch.randn(side, side, **of), torch.zeros(length, dtype=torch.uint8, device=training.device)
    y = torch.empty_like(x)
    product = median_seconds(lambda: torch.mm(a, a), training.wait, 5)
    copy = median_seconds(lambda: y.copy_(x), training.wait, 5)
    return 2 * side**3 / product, 2 * length / copy


def profiled(options: argparse.Namespace) -> dict:
    """Everything that is printed and written, of one training."""
    training = Training(options)
    with training.form():
        if options.held:
            median_seconds(training.step, training.wait, 1)  # compiles
            hold(options.held)
        seconds = median_seconds(training.step, training.wait, options.steps)
        gpu = training.device.type == "cuda"
        memory_mb = torch.cuda.max_memory_allocated(training.device) / 1e6 if gpu else None
    about = {
        "variant": options.variant,
        "side": options.side,
        "batch": options.batch,
        "precision": "bf16" if training.bf16 else "32",
        "plain": options.plain,
        "library": options.library,
        "compile": options.compile,
        "device": torch.cuda.get_device_name(training.device) if gpu else machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "step_s": seconds,
        "windows_per_s": options.batch / seconds,
        "memory_mb": memory_mb,
    }
    if options.speed:
        return about
    with training.form():
        costs = counted(training.parts, training.net, training.step)
        times = timed(training.parts, training.net, training.step, options.steps, training.device)
    flop_rate, byte_rate = rates(training)
    parts = list(rows(costs, times, flop_rate, byte_rate))
    return {**about, "flop_per_s": flop_rate, "bytes_per_s": byte_rate, "parts": parts}


def rows(costs: Cells, times: Cells, flop_rate: float, byte_rate: float) -> Iterator[dict]:
    """A row for each part and direction, in the order in which a step comes to them."""
    keys = list(dict.fromkeys([*costs, *times]))
    order = {part: i for i, part in enumerate(dict.fromkeys(part for part, _ in keys if part != OTHER))}
    for part, way in sorted(keys, key=lambda key: (order.get(key[0], len(order)), key[1] == "backward")):
        cost = costs.get((part, way), {"bytes": 0, "flops": 0})
        taken = times.get((part, way), {"seconds": 0.0, "kernels": 0.0})
        floor = max(cost["flops"] / flop_rate, cost["bytes"] / byte_rate)
        yield {"part": part, "way": way, **taken, **cost, "floor_s": floor}


def print_table(result: dict) -> None:
    step = f"one step {1000 * result['step_s']:.1f} ms ({result['windows_per_s']:.4g} windows/s)"
    names = ("variant", "side", "batch", "precision", "threads", "torch")
    print(f"gbvnet {__version__} on {result['device']}: " + ", ".join(f"{name} {result[name]}" for name in names))
    if "parts" not in result:
        print(step)
        return
    print(f"{'part':<20} {'way':<9} {'ms':>9} {'share':>6} {'GFLOP':>8} {'MB':>9} {'floor, ms':>10} {'/ floor':>8}")
    total = sum(row["seconds"] for row in result["parts"])
    for row in result["parts"]:
        over = f"{row['seconds'] / row['floor_s']:8.1f}" if row["floor_s"] else ""
        print(
            f"{row['part']:<20} {row['way']:<9} {1000 * row['seconds']:9.2f} {row['seconds'] / total:6.1%} "
            f"{row['flops'] / 1e9:8.2f} {row['bytes'] / 1e6:9.1f} {1000 * row['floor_s']:10.3f} {over}"
        )
    floor = sum(row["floor_s"] for row in result["parts"])
    print(
        f"sum of parts {1000 * total:.1f} ms, floor {1000 * floor:.1f} ms; {step}; "
        f"a product runs at {result['flop_per_s'] / 1e12:.3g} TFLOP/s, "
        f"a copy at {result['bytes_per_s'] / 1e9:.3g} GB/s"
    )


def main(given: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__.splitlines()[0])
    parser.add_argument("--variant", choices=list(SIZES), default="atto")
    parser.add_argument("--side", type=int, default=64, help="of a face, pixels")
    parser.add_argument("--batch", type=int, default=32, help="windows in a step")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto")
    parser.add_argument("--precision", choices=["auto", "32", "bf16"], default="auto")
    parser.add_argument("--steps", type=int, default=3, help="steps that are timed")
    parser.add_argument("--plain", action="store_true", help="compute on a GPU as on a CPU, to compare with")
    parser.add_argument("--library", action="store_true", help="torch's depthwise convolution, to compare with")
    parser.add_argument("--held", type=Path, help="make this file after two steps, and wait until it is deleted")
    parser.add_argument("--speed", action="store_true", help="the step alone, not its parts")
    parser.add_argument("--compile", choices=["training", "default", "max-autotune-no-cudagraphs"], help="with --speed")
    parser.add_argument("--out", type=Path, default=RESULTS / "profile.json", help="the file that is written")
    options = parser.parse_args(given)
    if options.compile and not options.speed:
        parser.error("--compile is measured with --speed: a compiled network has no parts")
    result = profiled(options)
    print_table(result)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"gbvnet": __version__, **result}, indent=2) + "\n")
    print(options.out)
    return result


if __name__ == "__main__":
    main()

"""Everything that is measured on a GPU, in one run of three minutes: benchmarks/gpu.sh speed.

python -m benchmarks.gpu [--quick] [--minutes 2.8] [--out FILE]

Compiling takes most of the time, and is not what is measured. So each network is a process of its own (`profile
--held`): all compile at once, and then each is timed alone, when it is its turn. The file is written after every
measurement, so that what was measured remains if the time ends. --quick: small networks and few steps, to see on a CPU
that all of it runs to the end.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from gbvnet import __version__
from gbvnet.network.batches import with_network_faces

from . import profile
from .__main__ import RESULTS, machine
from .depthwise import line
from .profile import Training

COMPILING = 0.68  # of the time, at most; what has not compiled by then is given up
Step = Callable[[], Any]


class Held:
    """Commands of benchmarks, each in a process that prepares itself, waits, and is measured when it is released."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.running: dict[str, subprocess.Popen] = {}

    def start(self, name: str, module: str, *options: str) -> None:
        at = self._files(name)
        command = [sys.executable, "-m", f"benchmarks.{module}", *options, "--held", at["held"], "--out", at["out"]]
        with at["log"].open("w") as log:
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def wait(self, names: list[str], until: float) -> list[str]:
        """Those that are ready, in their order, at this time of the monotonic clock at the latest."""
        while any(not self._files(n)["held"].exists() and self.running[n].poll() is None for n in names):
            if time.monotonic() > until:
                break
            time.sleep(0.1)
        return [n for n in names if self._files(n)["held"].exists()]

    def release(self, names: list[str]) -> list[dict]:
        """What these write, measured at the same time."""
        for name in names:
            self._files(name)["held"].unlink()
        results = []
        for name in names:
            self.running[name].wait()
            if not self._files(name)["out"].exists():  # one of several forms may have failed, and the others not
                raise RuntimeError(self.end_of(name))
            results.append(json.loads(self._files(name)["out"].read_text()))
        return results

    def end_of(self, name: str) -> str:
        """The last lines that a process wrote."""
        return f"{name}: {' | '.join(self._files(name)['log'].read_text().strip().splitlines()[-4:])}"

    def stop(self, names: Iterable[str]) -> None:
        for name in names:
            self.running[name].kill()

    def _files(self, name: str) -> dict[str, Path]:
        plain = "".join(c if c.isalnum() else "-" for c in name)
        return {kind: self.folder / f"{plain}.{kind}" for kind in ("held", "out", "log")}


def options(**changed: Any) -> argparse.Namespace:
    default = {
        "variant": "atto", "side": 64, "batch": 256, "device": "auto", "precision": "bf16", "steps": 10,
        "plain": False, "library": False, "speed": True, "compile": None, "held": None,
    }  # fmt: skip
    return argparse.Namespace(**default | changed)


def networks(quick: bool) -> Iterator[tuple[str, list[str]]]:
    """The name of each training whose speed is measured, with its options, the most important first."""
    small = ["--batch", "4", "--steps", "1"] if quick else ["--steps", "10"]
    graphs = ["--compile", "training"]  # as gbvnet compiles a training: with CUDA graphs on a GPU
    for side in ("32",) if quick else ("64", "112"):
        for variant in (
            ("micro",) if quick else ("atto", "micro", "small", "tiny") if side == "64" else ("atto", "micro")
        ):
            batch = 256 // (2 if side == "112" else 1) // (2 if variant == "tiny" else 1)  # what a GPU holds of all
            given = ["--variant", variant, "--batch", str(batch), *small, "--side", side, "--precision", "bf16"]
            yield f"{variant}, {side} px, compiled", [*given, *graphs]
            yield f"{variant}, {side} px", given
            if variant in ("atto", "micro") and side != "112":
                yield f"{variant}, {side} px, as before", [*given, "--plain"]


def steps_of(quick: bool, held: Held, ends: float) -> Iterator[tuple[str, Step]]:
    """The name of each measurement and how it is made. `ends`: when the time is over, on the monotonic clock."""
    small = {"batch": 4, "steps": 1, "side": 32} if quick else {}
    held.start("depthwise", "depthwise", "--jobs", "1" if quick else "4", *["--quick"] * quick)
    trainings = dict(networks(quick))
    for name, given in trainings.items():
        held.start(name, "profile", "--speed", *given)
    yield "equality with the CPU", lambda: equality(quick)
    yield "repeatability", lambda: repeatable(options(**small | {"variant": "micro"}))
    began = time.monotonic()
    ready = held.wait(["depthwise", *trainings], ends - (1 - COMPILING) * (ends - began))
    held.stop({"depthwise", *trainings} - set(ready))  # they would take time from those that are measured
    yield "compiling", lambda: {"seconds": time.monotonic() - began, "ready": len(ready), "of": 1 + len(trainings)}
    for name in [*trainings, "depthwise"]:
        yield name, lambda name=name: alone(held, name, ready)
    for label, form in (("after", {}), ("before", {"plain": True})):
        given = options(**small | {"variant": "micro" if quick else "atto", "speed": False} | form)
        yield f"profile {label}", lambda given=given: profile.profiled(given)
    yield from several(quick, held, ends)


def alone(held: Held, name: str, ready: list[str]) -> dict:
    if name not in ready:
        raise RuntimeError(f"it was not ready in time; {held.end_of(name)}")
    return held.release([name])[0]


def several(quick: bool, held: Held, ends: float) -> Iterator[tuple[str, Step]]:
    """Windows/s of several trainings in processes of their own on one device, all of them added."""
    sizes = ["--batch", "4", "--side", "32", "--steps", "2"] if quick else ["--batch", "256", "--steps", "200"]
    forms = [(2, [])] if quick else [(4, ["--compile", "training"]), (4, [])]
    groups = {f"micro, {n} at once{', compiled' if form else ''}": (n, form) for n, form in forms}
    for label, (n, form) in groups.items():
        for i in range(n):
            given = ["--speed", "--variant", "micro", "--precision", "bf16", *sizes, *form]
            held.start(f"{label}, {i}", "profile", *given)
    for label, (n, _) in groups.items():
        names = [f"{label}, {i}" for i in range(n)]
        yield label, lambda names=names: together(held, names, ends)


def together(held: Held, names: list[str], ends: float) -> dict:
    ready = held.wait(names, ends)
    if len(ready) < len(names):
        raise RuntimeError(f"{len(ready)} of {len(names)} were ready; {held.end_of(names[-1])}")
    speeds = [result["windows_per_s"] for result in held.release(names)]
    return {"processes": len(names), "windows_per_s": sum(speeds), "slowest": min(speeds)}


def equality(quick: bool) -> dict[str, float]:
    """Differences from a CPU in 32 bit: the largest of a logit, and the norm of all gradients' as a share of theirs."""
    result, runs = {}, {}
    for name, device, precision in (("cpu", "cpu", "32"), ("32", "auto", "32"), ("bf16", "auto", "bf16")):
        given = options(variant="micro" if quick else "atto", batch=8, side=64, device=device, precision=precision)
        training = Training(given)
        training.net.eval()  # no dropout, and batch norm as in prediction
        batch = with_network_faces(training.batch(torch.arange(given.batch)))
        torch.backends.cudnn.allow_tf32 = False
        with training.form(), training.autocast():
            logits = training.net(*batch.inputs_of(training.net)).logits
        logits.float().square().sum().backward()
        gradients = [p.grad.cpu() for p in training.net.parameters() if p.grad is not None]
        runs[name] = logits.detach().float().cpu(), gradients
    logits, gradients = runs["cpu"]
    for name in ("32", "bf16"):
        pairs = list(zip(gradients, runs[name][1], strict=True))
        result[f"logits, {name}"] = (logits - runs[name][0]).abs().max().item()
        difference = sum((a - b).square().sum() for a, b in pairs) ** 0.5
        result[f"gradients, {name}"] = float(difference / sum(a.square().sum() for a, _ in pairs) ** 0.5)
    return result


def repeatable(given: argparse.Namespace) -> dict[str, bool]:
    """Whether two trainings of one seed end with the same weights, bit by bit."""
    ends = []
    for _ in range(2):
        training = Training(given)
        with training.form():
            for _ in range(max(5, given.steps)):
                training.step()
        ends.append([p.detach().cpu() for p in training.net.parameters()])
    return {"same weights": all(torch.equal(a, b) for a, b in zip(*ends, strict=True))}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--minutes", type=float, default=2.8, help="nothing is begun after so long")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.json")
    given, began = parser.parse_args(), time.monotonic()
    ends = began + 60 * given.minutes
    gpu = torch.cuda.is_available()
    results: dict[str, Any] = {
        "gbvnet": __version__,
        "device": torch.cuda.get_device_name() if gpu else machine(),
        "torch": torch.__version__,
        "quick": given.quick,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        held = Held(Path(folder))
        try:
            for name, measure in steps_of(given.quick, held, ends):
                if time.monotonic() > ends:
                    results[name] = "not begun: the time had ended"
                    continue
                try:
                    results[name] = measure()
                except Exception as error:  # one measurement that fails must not cost the others
                    failed += 1
                    results[name] = f"failed: {type(error).__name__}: {error}"
                print(f"{time.monotonic() - began:6.0f} s  {shown(name, results[name])}", flush=True)
                given.out.write_text(json.dumps(results, indent=2) + "\n")
        finally:
            held.stop(held.running)
    print(f"{given.out}; {failed} failed")
    return 1 if failed else 0


def shown(name: str, result: Any) -> str:
    """A measurement as it is printed."""
    if not isinstance(result, dict):
        return f"{name}: {result}"
    if "rows" in result:
        return "\n".join(
            [f"{name}: ms, share of a copy's rate, error: forward | input | weight", *map(line, result["rows"])]
        )
    if "parts" in result:
        profile.print_table(result)
    if "windows_per_s" in result and "step_s" in result:
        memory = f", {result['memory_mb'] / 1e3:.1f} GB" if result["memory_mb"] else ""
        return f"{name}: {result['windows_per_s']:.0f} windows/s, batch {result['batch']}{memory}"
    return f"{name}: {result}"


if __name__ == "__main__":
    sys.exit(main())

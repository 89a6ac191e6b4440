"""Everything that is measured on a GPU, in one run: benchmarks/gpu.sh runs it after the tests.

python -m benchmarks.gpu [--quick] [--minutes 9] [--out FILE]

The file is written after every step, so that what was measured remains if the time ends. --quick: small networks and
few steps, to see on a CPU that all of it runs to the end.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from gbvnet import __version__
from gbvnet.network.lightning_module import with_network_faces

from . import profile
from .__main__ import RESULTS, machine
from .profile import Training

BEFORE = {"plain": True}
Step = Callable[[], Any]


def options(**changed: Any) -> argparse.Namespace:
    default = {
        "variant": "atto", "side": 64, "batch": 256, "device": "auto", "precision": "bf16", "steps": 10,
        "plain": False, "speed": True, "compile": None,
    }  # fmt: skip
    return argparse.Namespace(**default | changed)


def steps_of(quick: bool) -> Iterator[tuple[str, Step]]:
    """The name of each measurement and how it is made, the most important first."""
    small = {"batch": 4, "steps": 1, "side": 32} if quick else {}
    first = "micro" if quick else "atto"
    for name, form in (("before", BEFORE), ("after", {})):
        given = options(**small | {"variant": first, "speed": False} | form)
        yield f"profile {name}", lambda given=given: profile.profiled(given)
    yield "equality with the CPU", lambda: equality(quick)
    yield "repeatability", lambda: repeatable(options(**small | {"variant": "micro"}))
    for side in (32,) if quick else (64, 112):
        for variant in ("micro",) if quick else ("micro", "small", "atto", "tiny"):
            given = {**small, "variant": variant, "side": side}
            for name, form in (("before", BEFORE), ("after", {})):
                label = f"{variant}, {side} px, {name}"
                yield label, lambda given=given, form=form: profile.profiled(options(**given | form))
    for together in (2,) if quick else (1, 2, 4, 8):
        yield f"micro, {together} at once", lambda together=together: at_once(together, quick)
    for mode in () if quick else ("default", "reduce-overhead"):
        for variant in ("atto", "micro"):
            given = options(variant=variant, compile=mode)
            yield f"{variant}, compiled, {mode}", lambda given=given: profile.profiled(given)
    if not quick:
        yield "atto, 32 bit", lambda: profile.profiled(options(precision="32"))


def equality(quick: bool) -> dict[str, float]:
    """Differences from a CPU in 32 bit: the largest of a logit, and the norm of all gradients' as a share of theirs."""
    result, runs = {}, {}
    for name, device, precision in (("cpu", "cpu", "32"), ("32", "auto", "32"), ("bf16", "auto", "bf16")):
        given = options(variant="micro" if quick else "atto", batch=8, side=64, device=device, precision=precision)
        training = Training(given)
        training.net.eval()  # no dropout, and batch norm as in prediction
        batch = with_network_faces(training.batch(torch.arange(given.batch)))
        torch.backends.cudnn.allow_tf32 = False
        with training.autocast():
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
        for _ in range(max(5, given.steps)):
            training.step()
        ends.append([p.detach().cpu() for p in training.net.parameters()])
    return {"same weights": all(torch.equal(a, b) for a, b in zip(*ends, strict=True))}


def at_once(together: int, quick: bool) -> dict[str, float]:
    """Windows/s of several trainings in processes of their own on one device, all of them added."""
    sizes = ["--batch", "4", "--side", "32", "--steps", "2"] if quick else ["--batch", "256", "--steps", "300"]
    command = [
        sys.executable,
        "-m",
        "benchmarks.profile",
        "--variant",
        "micro",
        "--speed",
        "--precision",
        "bf16",
        *sizes,
    ]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.json" for i in range(together)]
        running = [subprocess.Popen([*command, "--out", str(f)], stdout=subprocess.DEVNULL) for f in files]
        codes = [each.wait() for each in running]
        if any(codes):
            raise RuntimeError(f"of {together} processes at once {sum(map(bool, codes))} failed")
        speeds = [json.loads(file.read_text())["windows_per_s"] for file in files]
    return {"processes": together, "windows_per_s": sum(speeds), "slowest": min(speeds)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--minutes", type=float, default=9.0, help="nothing is begun after so long")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.json")
    given, began = parser.parse_args(), time.monotonic()
    gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if gpu else machine()
    results: dict[str, Any] = {
        "gbvnet": __version__,
        "device": device,
        "torch": torch.__version__,
        "quick": given.quick,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name, measure in steps_of(given.quick):
        if time.monotonic() - began > 60 * given.minutes:
            results[name] = "not begun: the time had ended"
            continue
        if gpu:
            torch.cuda.reset_peak_memory_stats()
        try:
            results[name] = measure()
        except Exception as error:  # one measurement that fails must not cost the others
            failed += 1
            results[name] = f"failed: {type(error).__name__}: {error}"
        shown = (
            {k: v for k, v in results[name].items() if k != "parts"}
            if isinstance(results[name], dict)
            else results[name]
        )
        print(f"{time.monotonic() - began:6.0f} s  {name}: {shown}", flush=True)
        if isinstance(results[name], dict) and "parts" in results[name]:
            profile.print_table(results[name])
        given.out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"{given.out}; {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

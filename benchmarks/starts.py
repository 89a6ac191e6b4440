"""How long `gbvnet --help` and the help of each command take, as multiples of a start of Python that does nothing; and
how long it takes to import what cross-validates, as a multiple of importing torch alone."""

import os
import subprocess
import sys
from functools import partial

from gbvnet.cli.command import COMMANDS
from gbvnet.cli.main import main  # noqa: F401  importing it makes the commands known

from .clock import in_turn

REPEATS = 5
CROSSVAL = "import gbvnet.experiments.crossval"  # and each worker process


def measure() -> list[dict]:
    """Rows of `gbvnet --help` and of the slowest help of a command, each beside a bare start of the same Python, and of
    what cross-validates beside torch."""
    calls = {"bare": partial(_run, "-c", "pass"), "gbvnet": partial(_run, "-m", "gbvnet", "--help")}
    calls |= {name: partial(_run, "-m", "gbvnet", name, "--help") for name in COMMANDS}
    calls |= {"torch": partial(_run, "-c", "import torch"), "imports": partial(_run, "-c", CROSSVAL)}
    seconds = in_turn(REPEATS, **calls)
    bare, torch, crossval = (seconds.pop(name) for name in ("bare", "torch", "imports"))
    slowest = max(COMMANDS, key=seconds.__getitem__)
    return [
        {
            "what": f"{what} / a bare start of Python",
            "value": seconds[name] / bare,
            "unit": f"x ({name}: {1e3 * seconds[name]:.0f} / {1e3 * bare:.0f} ms)",
            "aim": "below 8",
        }
        for what, name in (("gbvnet --help", "gbvnet"), ("the slowest --help of a command", slowest))
    ] + [
        {
            "what": "importing what cross-validates / importing torch",
            "value": crossval / torch,
            "unit": f"x ({crossval:.2f} / {torch:.2f} s)",
            "aim": "",
        }
    ]


def _run(*arguments: str) -> None:
    # An installed package is compiled; one in a working tree is after its first start, unless this variable is set.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)

"""How long `gbvnet --help` and the help of each command take, as multiples of a start of Python that does nothing."""

import subprocess
import sys
from functools import partial

from gbvnet.cli.command import COMMANDS
from gbvnet.cli.main import main  # noqa: F401  importing it makes the commands known

from .clock import in_turn

REPEATS = 5


def measure() -> list[dict]:
    """Rows of `gbvnet --help` and of the slowest help of a command, each beside a bare start of the same Python."""
    calls = {"bare": partial(_run, "-c", "pass"), "gbvnet": partial(_run, "-m", "gbvnet", "--help")}
    calls |= {name: partial(_run, "-m", "gbvnet", name, "--help") for name in COMMANDS}
    seconds = in_turn(REPEATS, **calls)
    bare = seconds.pop("bare")
    slowest = max(COMMANDS, key=seconds.__getitem__)
    return [
        {
            "what": f"{what} / a bare start of Python",
            "value": seconds[name] / bare,
            "unit": f"x ({1e3 * seconds[name]:.0f} / {1e3 * bare:.0f} ms)",
            "aim": "below 8",
        }
        for what, name in (("gbvnet --help", "gbvnet"), (f"gbvnet {slowest} --help, the slowest", slowest))
    ]


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

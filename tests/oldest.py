"""The lower bounds of all dependencies as constraints for pip, from pyproject.toml.

python -m tests.oldest          writes constraints-oldest.txt, which `make oldest` installs with
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "constraints-oldest.txt"
# Extras that need newer versions of other dependencies than the package itself; pip finds these. `make oldest` leaves
# them out. dev and fuzz are tools for work on the package.
NEWER = {
    "app": "gradio 6.31 needs huggingface-hub 1.16",
    "onnx": "what exports and runs GBV-Net was tested with torch 2.13",
    "acq": "bioread 2025.5.2 needs numpy 2.2.3",
}
TOOLS = ("dev", "docs", "fuzz")
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,]+\])?(?P<rule>[^;#]*)")
BOUND = re.compile(r"(?:>=|==)\s*(?P<version>[\w.]+)")

HEAD = """\
# Lower bounds of the dependencies in pyproject.toml, written by `python -m tests.oldest`; `make oldest` runs tests with
# these. What is not listed is as new as it installs. Extras that need newer versions of other dependencies, left out:
"""


def bounds(requirements: list[str]) -> dict[str, str]:
    """Return the lower bound of each requirement by name. Raises ValueError for one without."""
    lowest = {}
    for line in requirements:
        match = REQUIREMENT.fullmatch(line.strip())
        bound = BOUND.search(match["rule"]) if match else None
        if bound is None:
            raise ValueError(f"pyproject.toml: expected a lower bound, found {line!r}")
        lowest[match["name"]] = bound["version"]
    return lowest


def oldest(project: dict) -> str:
    """Return the text of constraints-oldest.txt for the table `project` of a pyproject.toml."""
    lowest = bounds(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        if extra not in NEWER and extra not in TOOLS:
            lowest |= bounds(requirements)
    lines = [f"# {extra}: {reason}.\n" for extra, reason in NEWER.items()]
    return HEAD + "".join(lines) + "".join(f"{name}=={lowest[name]}\n" for name in sorted(lowest, key=str.lower))


def read_project() -> dict:
    """Return the table `project` of this repository's pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


if __name__ == "__main__":
    FILE.write_text(oldest(read_project()))

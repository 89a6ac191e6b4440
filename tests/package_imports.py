"""The package's modules, what they import from each other, and the order of the packages.

test_order.py keeps the order; docs/architecture.py draws it.
"""

import ast
from functools import cache
from pathlib import Path

import gbvnet

PACKAGE = Path(gbvnet.__file__).parent
# Each package from lines above its own only. Where one has parts, they stand in their order behind it.
ORDER = """
errors text provenance progress
plugins
former_settings
config
io
parallel
datasets: formats, readers, synthetic
preprocessing
store
evaluation
network: network, checkpoint
systems: features, learners, systems
report
experiments: experiments, reproduction
inference: inference, streaming, app
testing
cli
"""
LINES = [line.partition(":")[0].split() for line in ORDER.strip().splitlines()]
LINE = {name: number for number, names in enumerate(LINES) for name in names}
NAMED = {"__main__"}  # the entry point may import all


def modules():
    """Each module of the package by its name, `datasets.formats.bdf`, with its file; packages by their own names."""
    for file in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        if name != "__init__":
            yield name, file


FILES = dict(modules())


def imported(name: str, file: Path):
    """The package's own modules that a file imports, anywhere in it."""
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) + 1 - node.level] + (node.module.split(".") if node.module else [])
        if ".".join(base) in FILES:
            yield ".".join(base)
        yield from (m for a in node.names if (m := ".".join([*base, a.name])) in FILES)


@cache
def module_imports() -> dict[str, list[str]]:
    """Return the modules of the package that each of them imports, by their names."""
    return {name: sorted(set(imported(name, file)) - {name}) for name, file in FILES.items()}


def part(name: str, package: str) -> bool:
    """Whether a module is in a package."""
    return name.startswith(package + ".")

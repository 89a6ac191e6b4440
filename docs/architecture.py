"""Draws architecture.png: the packages of gbvnet in their order, and which of them import which.

    python -m docs.architecture

It is made from the sources, as tests/test_order.py reads them. The data go into architecture.json; the picture holds
their digest, so that a test can tell whether both are those of the present sources.
"""

import ast
import hashlib
import json
import textwrap
from pathlib import Path
from typing import Any

from tests.package_imports import LINE, ORDER, PACKAGE, module_imports

FOLDER = Path(__file__).parent
PICTURE, DATA = FOLDER / "architecture.png", FOLDER / "architecture.json"
INK, SOFT, BAND, DOT, SELF = "#1a1a1a", "#666666", "#f3f5f7", "#1f5f8b", "#c9d3da"
WIDTH, ROW, HEAD = 13.0, 0.44, 1.45  # inches: of the picture, of a row, of the names above the matrix
NAMES, ABOUT, MATRIX = 0.15, 3.05, 8.55  # inches from the left
WRAP = 72  # characters of a description
LEGEND = (
    "A dot: the row imports from the column. All dots are left of the grey squares:\n"
    "imports go one way, from each package to those above it."
)


def architecture() -> list[dict[str, Any]]:
    """Return a row a line of the order: its modules or package, parts, purpose, and the lines it imports."""
    rows: list[dict[str, Any]] = []
    for line in ORDER.strip().splitlines():
        own = line.partition(":")[0].split()
        imports = {
            LINE[other.split(".")[0]]
            for module, others in module_imports().items()
            if module.split(".")[0] in own
            for other in others
        }
        rows.append({
            "names": own,
            "parts": sorted(file.parent.name for file in (PACKAGE / own[0]).glob("*/__init__.py")),
            "about": _about(own),
            "imports": sorted(imports - {len(rows)}),
        })  # fmt: skip
    return rows


def _about(names: list[str]) -> str:
    """The first sentence of a package or module; of several modules in one line, that they need nothing else."""
    if len(names) > 1:
        return "Errors, lists in words, what stands beside every number, how work reports its progress."
    file = PACKAGE / names[0]
    source = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    text = " ".join((ast.get_docstring(ast.parse(source.read_text())) or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".").replace("`", "") + "."


def as_json(rows: list[dict[str, Any]]) -> str:
    """Return the data as the text of architecture.json, a row a line."""
    return "[\n" + ",\n".join(f" {json.dumps(row)}" for row in rows) + "\n]\n"


def digest(text: str) -> str:
    """Return what the picture of these data holds as its description."""
    return "sha256 of architecture.json: " + hashlib.sha256(text.encode()).hexdigest()


def draw(rows: list[dict[str, Any]], path: Path, description: str) -> None:
    """Draw the rows as a table, with a matrix at its right: a dot where the row imports the column."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Rectangle

    height = HEAD + ROW * len(rows) + 0.15
    figure = plt.figure(figsize=(WIDTH, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
    axes.axis("off")
    cell = (WIDTH - 0.2 - MATRIX) / len(rows)
    axes.text(NAMES, 0.4, "The packages of gbvnet, in order", color=INK, fontsize=12, weight="bold")
    axes.text(NAMES, 0.72, LEGEND, color=SOFT, fontsize=8.5, va="top", linespacing=1.3)
    for number, row in enumerate(rows):
        top, middle = HEAD + ROW * number, HEAD + ROW * (number + 0.5)
        if number % 2 == 0:
            axes.add_patch(Rectangle((0, top), WIDTH, ROW, color=BAND, linewidth=0))
        name = textwrap.fill(", ".join(row["names"]), 24)
        if not row["parts"]:
            axes.text(NAMES, middle, name, color=INK, fontsize=9.5, weight="bold", va="center")
        else:
            axes.text(NAMES, middle - 0.09, name, color=INK, fontsize=9.5, weight="bold", va="center")
            axes.text(NAMES, middle + 0.1, ", ".join(row["parts"]), color=SOFT, fontsize=8, va="center")
        axes.text(
            ABOUT, middle, textwrap.fill(row["about"], WRAP), color=INK, fontsize=8, va="center", linespacing=1.15
        )
        left = MATRIX + cell * (number + 0.5)
        axes.text(left, HEAD - 0.1, _short(row["names"]), color=INK, fontsize=8, rotation=60, va="bottom", ha="left")
        axes.add_patch(Rectangle((left - cell / 2, top), cell, ROW, color=SELF, linewidth=0))
        for other in row["imports"]:
            axes.plot(MATRIX + cell * (other + 0.5), middle, "o", color=DOT, markersize=6.5, markeredgewidth=0)
    figure.savefig(path, dpi=110, metadata={"Software": None, "Description": description})
    plt.close(figure)


def _short(names: list[str]) -> str:
    return names[0] + (", …" if len(names) > 1 else "")


if __name__ == "__main__":
    content = as_json(architecture())
    DATA.write_text(content)
    draw(architecture(), PICTURE, digest(content))

"""Versions are the same wherever they stand, and the page of formats has the numbers of the code."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import gbvnet
from gbvnet.store.format import FORMAT, FORMER

ROOT = Path(gbvnet.__file__).parents[1]
PAGE = ROOT / "docs" / "versions.md"
NUMBER = re.compile(r"(\w+_)?(FORMAT|VERSION)")

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the installed package has no documents beside it")


def table() -> dict[str, tuple[str, str]]:
    """What the page says is written and read, by the constant that holds the number."""
    rows = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row] for row in rows]
    return {row[-1].strip("`"): (row[-3], row[-2]) for row in cells[1:]}


def constants() -> set[str]:
    """Every whole number of the package that is called a format or a version, by module and name."""
    held = set()
    for file in (ROOT / "gbvnet").rglob("*.py"):
        module = ".".join(file.relative_to(ROOT / "gbvnet").with_suffix("").parts)
        for node in ast.parse(file.read_text()).body:
            names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
            named = (
                [name for name in names if NUMBER.fullmatch(name)]
                if isinstance(node, ast.Assign | ast.AnnAssign)
                else []
            )
            held |= {f"{module}.{n}" for n in named if isinstance(getattr(import_module(f"gbvnet.{module}"), n), int)}
    return held


@pytest.mark.journey
def test_the_page_lists_every_format_with_its_number():
    listed = table()
    assert set(listed) == constants()
    for name, (written, read) in listed.items():
        module, _, constant = name.rpartition(".")
        assert int(written) == getattr(import_module(f"gbvnet.{module}"), constant), name
        assert written in read.split(", ")


def test_a_store_of_the_former_format_is_read():
    assert table()["store.format.FORMAT"] == (str(FORMAT), f"{FORMER}, {FORMAT}")


def test_every_number_but_that_of_a_store_is_the_only_one_that_is_read():
    assert [name for name, (written, read) in table().items() if written != read] == ["store.format.FORMAT"]


def test_the_version_is_that_of_the_citation_and_of_the_newest_section_of_the_changelog():
    citation = (ROOT / "CITATION.cff").read_text()
    released = re.findall(r"^## (\d+\.\d+\.\d+) — (\d{4}-\d{2}-\d{2})$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert re.search(r"^version: (.+)$", citation, re.M)[1] == gbvnet.__version__ == released[0][0]
    assert re.search(r"^date-released: (.+)$", citation, re.M)[1] == released[0][1]
    assert released == sorted(released, key=lambda one: [int(n) for n in one[0].split(".")], reverse=True)


def test_the_changelog_begins_with_what_is_not_released_yet():
    sections = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert sections[0] == "Unreleased"
    kinds = set(re.findall(r"^### (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}

"""The package's sources: no piece of a text stands on a line of its own, where it is no part of any expression."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gbvnet

SOURCES = sorted(Path(gbvnet.__file__).parent.rglob("*.py"))


def is_text(node: ast.AST) -> bool:
    """A string, an f-string, or strings that are added, formatted or put into a tuple."""
    if isinstance(node, ast.BinOp):
        return is_text(node.left) or is_text(node.right)
    if isinstance(node, ast.Tuple):
        return any(map(is_text, node.elts))
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def lost_texts(source: str) -> Iterator[int]:
    """Lines of texts that are computed and thrown away. Texts after a definition are docstrings, of attributes too."""
    for node in ast.walk(ast.parse(source)):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            for before, statement in zip([None, *block], block, strict=False) if isinstance(block, list) else ():
                if not isinstance(statement, ast.Expr) or not is_text(statement.value):
                    continue
                documents = ast.Constant if isinstance(statement.value, ast.Constant) else ()
                of_block = before is None and isinstance(
                    node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
                )
                of_field = isinstance(before, ast.AnnAssign) and isinstance(node, ast.ClassDef)
                if not (isinstance(statement.value, documents) and (of_block or of_field)):
                    yield statement.lineno


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('def f(x):\n    if x:\n        a = f"{x} after "\n        "Holm"\n    return a', [4]),
        ('def f(x):\n    a = "one " + x\n    f"{x} two"\n', [3]),
        ('def f(x):\n    """Says."""\n    a = "one"\n    " two" + x\n', [4]),
        ('class A:\n    """Says."""\n    b: int = 1\n    """what b is"""\n    c = 2\n    "lost"\n', [6]),
        ('"""A module."""\nX = 1\n', []),
        ('for x in y:\n    pass\nelse:\n    "lost"', [4]),
    ],
)
def test_a_lost_text_is_detected_and_a_docstring_is_none(source, lines):
    assert list(lost_texts(source)) == lines


@pytest.mark.journey
def test_no_text_of_the_package_is_lost():
    lost = [f"{file.name}:{line}" for file in SOURCES for line in lost_texts(file.read_text())]
    assert len(SOURCES) > 100 and not lost

"""The examples in docstrings (>>>) give what they show. Only modules that have some are imported."""

import doctest
import importlib
from pathlib import Path

import pytest

import gbvnet

PACKAGE = Path(gbvnet.__file__).parent
FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if ">>> " in file.read_text(encoding="utf-8")]
MODULES = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in FILES]


@pytest.mark.journey
@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
    assert tried > 0
    assert failed == 0  # the difference is in the captured output


def test_there_are_examples():
    assert len(MODULES) >= 6

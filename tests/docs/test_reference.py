"""The reference of the public names is complete: each has a docstring with the shapes of its arrays and its errors."""

import ast
import importlib
import inspect
import re
import sys
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

import pytest

import gbvnet
from gbvnet import errors, testing

from .code_blocks import ROOT

sys.path.append(str(ROOT / "docs" / "extensions"))
import api_pages

ARRAYS = re.compile(r"\b(?:ndarray|ArrayLike|Tensor|Samples)\b")
SHAPE = re.compile(r"\((?:[\w\s*+/']+,[^()]*|\w+ ?, ?)\)|\bany shape\b")
LEGEND = re.compile(r"^Shapes?\b.*:", re.MULTILINE)
ERRORS = {name for name, value in vars(errors).items() if inspect.isclass(value)} | {"ContractBroken"}


def members():
    """Each public function, class, method and property, with its name and the docstrings of what it is in."""
    for module in map(importlib.import_module, [*api_pages.modules(), "gbvnet.config"]):
        around = inspect.getdoc(module) or ""
        for name in api_pages.public_names(module):
            obj = getattr(module, name)
            if obj.__module__ != module.__name__:
                continue
            yield f"{module.__name__}.{name}", obj, around
            for method, of_class in own_methods(obj):
                yield f"{module.__name__}.{name}.{method}", of_class, f"{around}\n{inspect.getdoc(obj)}"


def own_methods(cls):
    """The public methods and properties that a class defines, but for those that keep the contract of a base class."""
    if not inspect.isclass(cls):
        return
    for name, value in vars(cls).items():
        function = getattr(value, "__func__", value)
        if name.startswith("_") or not (inspect.isfunction(function) or isinstance(value, property)):
            continue
        if any(name in vars(base) for base in cls.__mro__[1:-1]) and not function.__doc__:
            continue  # its text is the base class's
        yield name, value.fget if isinstance(value, property) else function


MEMBERS = list(members())


def function_of(obj):
    return obj.__init__ if inspect.isclass(obj) else obj


def text_of(obj, around=""):
    return f"{inspect.getdoc(obj) or ''}\n{around}"


@cache
def syntax_tree(file):
    return ast.parse(Path(file).read_text())


def raised(function):
    """Names of the package's errors that the body of a function raises itself."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or not str(code.co_filename).endswith(".py"):
        return set()
    for node in ast.walk(syntax_tree(code.co_filename)):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name and _begins(node, code.co_firstlineno):
            raises = [n.exc for n in ast.walk(node) if isinstance(n, ast.Raise) and isinstance(n.exc, ast.Call)]
            return {call.func.id for call in raises if isinstance(call.func, ast.Name)} & ERRORS
    return set()


def _begins(node, line):
    return line in {node.lineno, *(decorator.lineno for decorator in node.decorator_list)}


def test_every_name_of_the_package_is_in_the_reference():
    listed = [name for names in api_pages.TOP_LEVEL.values() for name in names]
    assert sorted(listed) == sorted(set(gbvnet.__all__) - {"__version__"})
    places = set(api_pages.documented().values())
    assert {f"gbvnet.testing.{name}" for name in testing.__all__} <= {
        *(f"gbvnet.testing.{p.rpartition('.')[2]}" for p in places)
    }


@pytest.mark.parametrize("page", ["plugins", "contracts", "modalities", "comparison_methods", "faces"])
def test_what_the_pages_on_plug_ins_name_is_in_the_reference(page):
    text = (ROOT / "docs" / f"{page}.md").read_text()
    named = {m for m in re.findall(r"`(gbvnet(?:\.\w+)+)`", text) if m not in ("gbvnet.systems", "gbvnet.corpora")}
    named -= {m for m in named if m == "gbvnet.modalities"}  # entry points
    places = set(api_pages.documented().values()) | set(api_pages.modules())
    missing = {name for name in named if name not in places and name.rpartition(".")[0] not in places}
    assert missing == set()


def test_every_public_name_has_a_docstring_of_its_own():
    assert [name for name, obj, _ in MEMBERS if not (obj.__doc__ or "").strip() or is_generated(obj)] == []
    assert len(MEMBERS) > 400


def is_generated(obj):
    return inspect.isclass(obj) and (obj.__doc__ or "").startswith(f"{obj.__name__}(")


def test_what_takes_or_returns_arrays_says_their_shapes():
    missing = [
        name
        for name, obj, around in MEMBERS
        if ARRAYS.search(str(inspect.signature(obj)) if inspect.isroutine(obj) else "")
        and not SHAPE.search(text_of(obj, around))
    ]
    assert missing == []


@pytest.mark.journey
def test_what_raises_an_error_of_the_package_names_it():
    missing = {
        name: sorted(unnamed)
        for name, obj, around in MEMBERS
        if (unnamed := {e for e in raised(function_of(obj)) if not is_named(e, text_of(obj, around))})
    }
    assert missing == {}


def is_named(error, text):
    """Whether a text names an error, or a class of errors that it is one of."""
    bases = getattr(errors, error).__mro__ if hasattr(errors, error) else ()
    return any(name in text for name in (error, *(base.__name__ for base in bases if base.__name__ in ERRORS)))


def test_every_setting_has_a_text():
    from gbvnet.cli.fields import texts_below_fields

    texts = texts_below_fields("gbvnet.config")
    for name, cls in inspect.getmembers(gbvnet.config, inspect.isclass):
        if is_dataclass(cls) and cls.__module__ == "gbvnet.config":
            named = {f.name for base in cls.__mro__ if is_dataclass(base) for f in fields(base)}
            held = {field for base in cls.__mro__ for field in texts.get(base.__qualname__, {})}
            assert named - held <= {"model", "train"}, name  # groups, whose fields have texts

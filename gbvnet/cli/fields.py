"""The fields of a settings dataclass as options of the command line, with the text below each field as its help."""

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from itertools import zip_longest
from typing import get_type_hints


def add_fields(parser, settings: type, nested: str | None = None, as_group: bool = False, skip: set[str] | None = None):
    """Add an option for each field of a dataclass, with the text below the field as its help.

    nested : what stands before the names of the fields, as in --times.start_s
    as_group : show them under a heading of their own
    skip : names of fields that are no options
    """
    parser.add_class_arguments(settings, nested, as_group=as_group, skip=skip or set())
    prefix = f"{nested}.".replace("-", "_") if nested else ""
    texts = dict(_field_texts(settings, prefix))
    for action in parser._actions:
        if action.dest in texts and not action.help:
            action.help = texts[action.dest]


def _field_texts(settings: type, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the dotted name and the text of each field, those of the base classes first."""
    for base in reversed(settings.__mro__[:-1]):
        for name, text in texts_below_fields(base.__module__).get(base.__qualname__, {}).items():
            yield f"{prefix}{name}", text
    for name, kind in get_type_hints(settings).items():
        if is_dataclass(kind) and isinstance(kind, type):
            yield from _field_texts(kind, f"{prefix}{name}.")


@cache
def texts_below_fields(module: str) -> dict[str, dict[str, str]]:
    """Return the text below each field of the classes of a module, by the class' qualified name.

    The module's source is parsed once. jsonargparse could read these texts too, and parses it once a class.
    """
    texts: dict[str, dict[str, str]] = {}

    def visit(node: ast.Module | ast.ClassDef, qualified: str) -> None:
        for child, following in zip_longest(node.body, node.body[1:]):
            if isinstance(child, ast.ClassDef):
                visit(child, f"{qualified}{child.name}.")
            elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
                text = following.value if isinstance(following, ast.Expr) else None
                if isinstance(text, ast.Constant):
                    of_class = texts.setdefault(qualified.rstrip("."), {})
                    of_class[child.target.id] = inspect.cleandoc(str(text.value))

    visit(ast.parse(inspect.getsource(sys.modules[module])), "")
    return texts

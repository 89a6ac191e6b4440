"""Docstrings of gbvnet as reStructuredText. They are written to be read in the source:

    Return the windows of some rows.

    rows : (n,) row numbers
    y, groups : labels (n,), and the group of each
        a line that goes on is indented
    Raises BadConfig for rows that do not exist.

A line `name : text` becomes an entry of a list of parameters; `text` in backticks is code, and a link where it is a
public name; an indented block is code; a sentence that begins with Raises is a paragraph of its own, with links to the
errors. Fields of classes, with the comments beside them, become such a list, too.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

_NAMES = r"\*{0,2}[A-Za-z_]\w*(?:, \*{0,2}[A-Za-z_]\w*)*"
_ENTRY = re.compile(rf"({_NAMES}) : (.+)")
_NEXT_ENTRY = re.compile(rf"(?<=[.;]) ({_NAMES}) : ")
_RAISES = re.compile(r"(?<=[.)]) (?=Raises [A-Z])")
_CODE = re.compile(r"``.+?``|`[^`\n]+(?:\n[^`\n]+)?`", re.DOTALL)
_EMPHASIS = re.compile(r"(?<![\w*])\*(?! )([^*`\n]+?)(?<! )\*(?![\w*])")
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")


class Field(NamedTuple):
    """A field of a class: its name, its type and default as they are written, and the comment beside it."""

    name: str
    type: str
    default: str
    text: str


def to_rst(lines: Sequence[str], parameters: Sequence[str] = (), links: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines of a docstring as reStructuredText.

    parameters : the names of the function's parameters, by which a second entry in one line is recognised
    links : public names, as they are written in texts, and what each leads to ("py:obj" targets)
    """
    known, links = set(parameters), links or {}
    out: list[str] = []
    entries: list[tuple[str, list[str]]] = []
    paragraph: list[str] = []

    def flush() -> None:
        if paragraph:
            text = "\n".join(paragraph)
            for part in _RAISES.split(text.replace("\nRaises ", " Raises ")) if "Raises" in text else [text]:
                out.extend(["", *_inline(part, links).splitlines()])
            paragraph.clear()
        if entries:
            out.extend(["", ".. rst-class:: parameters", ""])
            for names, text in entries:
                out.append(", ".join(f"``{name.strip()}``" for name in names.split(",")))
                out.extend(textwrap.indent(_inline("\n".join(text), links), "    ").splitlines())
            entries.clear()

    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            if not (entries and _next_is_entry(lines, at)):
                flush()
            at += 1
        elif line.startswith(">>>") or _ITEM.match(line):
            flush()
            end = _end_of_block(lines, at)
            block = lines[at:end]
            out.extend(["", *(block if line.startswith(">>>") else [_inline(each, links) for each in block])])
            at = end
        elif line.startswith(" ") and not entries:
            flush()
            end = _end_of_indented(lines, at)
            out.extend(
                ["", f".. code-block:: {_language(lines[at:end])}", "", *(f"    {each}" for each in lines[at:end])]
            )
            at = end
        elif line.startswith(" "):
            entries[-1][1].append(line.strip())
            at += 1
        elif (match := _ENTRY.fullmatch(line)) is not None:
            if paragraph:
                flush()
            for names, text in _split_entries(*match.groups(), known):
                entries.append((names, [text]))
            at += 1
        else:
            if entries:
                flush()
            paragraph.append(line)
            at += 1
    flush()
    return [*out[out[:1] == [""] :], ""]


def _next_is_entry(lines: Sequence[str], at: int) -> bool:
    """Whether the lines after an empty one go on with entries."""
    following = next((line for line in lines[at:] if line.strip()), "")
    return _ENTRY.fullmatch(following) is not None


def _split_entries(names: str, text: str, known: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the entries of one line: `x : (n,) of a. y : (n,) of b` has two, if y is a parameter."""
    start = 0
    for match in _NEXT_ENTRY.finditer(text):
        if {name.strip("* ") for name in match[1].split(",")} <= known:
            yield names, text[start : match.start()].rstrip(";")
            names, start = match[1], match.end()
    yield names, text[start:]


def _end_of_block(lines: Sequence[str], at: int) -> int:
    return next((n for n in range(at, len(lines)) if not lines[n].strip()), len(lines))


def _end_of_indented(lines: Sequence[str], at: int) -> int:
    end = next((n for n in range(at, len(lines)) if lines[n].strip() and not lines[n].startswith(" ")), len(lines))
    while not lines[end - 1].strip():
        end -= 1
    return end


def _language(lines: Sequence[str]) -> str:
    """Return "python" for a block that parses as such and is more than words, else "text"."""
    source = textwrap.dedent("\n".join(lines))
    try:
        ast.parse(source)
    except SyntaxError:
        return "text"
    return "python" if re.search(r"[=(]", source) else "text"


def entry_names(lines: Sequence[str], parameters: Sequence[str]) -> set[str]:
    """Return the names that the entries `name : text` of a docstring explain."""
    matches = filter(None, map(_ENTRY.fullmatch, lines))
    entries = (entry for match in matches for entry in _split_entries(*match.groups(), set(parameters)))
    return {name.strip("* ") for names, _ in entries for name in names.split(",")}


def first_sentence(docstring: str, links: Mapping[str, str]) -> str:
    """Return the first sentence of a docstring, in one line of reStructuredText."""
    paragraph = " ".join(inspect.cleandoc(docstring).partition("\n\n")[0].split())
    return _inline(re.split(r"(?<!\bEq\.)(?<!\bal\.)(?<=[.?]) (?=[A-Z(`])", paragraph)[0], links)


def heading(text: str, line: str) -> str:
    """Return a heading in reStructuredText: a text with a line below it."""
    return f"{text}\n{line * len(text)}\n"


def inline_rst(text: str) -> str:
    """Return a text of the command line as reStructuredText: code, links to pages of docs/, the others escaped."""
    return _inline(text, {})


def _inline(text: str, links: Mapping[str, str]) -> str:
    """Return a text with its code, its links and its emphasis, and with everything else escaped."""
    parts, start = [], 0
    for match in _CODE.finditer(text):
        parts += [_plain(text[start : match.start()], links), _code(match[0].strip("`"), links)]
        start = match.end()
        if text[start : start + 1].isalnum():
            parts.append("\\ ")
    parts.append(_plain(text[start:], links))
    return "".join(parts)


def _code(text: str, links: Mapping[str, str]) -> str:
    text = " ".join(text.split())
    if (name := text.removesuffix("()")) in links:
        return f":py:obj:`{text} <{links[name]}>`"
    return f"``{text}``"


def _plain(text: str, links: Mapping[str, str]) -> str:
    parts, start = [], 0
    for match in _EMPHASIS.finditer(text):
        parts += [_escape(text[start : match.start()], links), f"*{_escape(match[1], {})}*"]
        start = match.end()
    return "".join([*parts, _escape(text[start:], links)])


def _escape(text: str, links: Mapping[str, str]) -> str:
    text = re.sub(r"([\\*|`])", r"\\\1", text)
    text = re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)
    text = re.sub(r"\bdocs/([\w/]+)\.md\b", r":doc:`docs/\1.md </\1>`", text)

    def error(match: re.Match[str]) -> str:
        name = match[0]
        return f":py:exc:`{name} <{links[name]}>`" if name in links else name

    return re.sub(r"\b(?:Bad|Leaky|Task|Gbvnet|Contract)[A-Z]\w+\b", error, text)


# --- fields of classes ---


@cache
def _class_sources(module: str) -> dict[str, tuple[ast.ClassDef, list[str]]]:
    """Return the classes of a module with their syntax trees, and the lines of the module."""
    import importlib

    source = inspect.getsource(importlib.import_module(module))
    classes: dict[str, tuple[ast.ClassDef, list[str]]] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                classes[prefix + child.name] = child, source.splitlines()
                visit(child, f"{prefix}{child.name}.")

    visit(ast.parse(source), "")
    return classes


def fields_of(cls: type) -> list[Field]:
    """Return the public fields that a class declares itself and that have no text below them, in their order."""
    node, lines = _class_sources(cls.__module__).get(cls.__qualname__, (None, []))
    if node is None:
        return []
    fields: list[Field] = []
    for at, child in enumerate(node.body):
        if not (isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name)):
            continue
        following = node.body[at + 1] if at + 1 < len(node.body) else None
        has_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if child.target.id.startswith("_") or has_text:
            continue
        default = ast.unparse(child.value) if child.value is not None else ""
        fields.append(Field(child.target.id, ast.unparse(child.annotation), default, _comment(child, lines)))
    return fields


def _comment(node: ast.AnnAssign, lines: Sequence[str]) -> str:
    """Return the comment behind a field, or the lines of comment above it."""
    behind = lines[node.end_lineno - 1][node.end_col_offset :].strip() if node.end_lineno else ""
    if behind.startswith("#"):
        return behind.lstrip("# ")
    above: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.strip().startswith("#"):
            break
        above.insert(0, line.strip().lstrip("# "))
    return " ".join(above)


def fields_rst(fields: Sequence[Field], links: Mapping[str, str]) -> list[str]:
    """Return a list of fields as reStructuredText: each with its type, its default and its comment."""
    out = [".. rst-class:: parameters", ""]
    for field in fields:
        default = f", default ``{field.default}``" if field.default else ""
        out.append(f"``{field.name}`` : {_code(field.type, links)}{default}")
        text = _inline(field.text, links) if field.text else "\\ "
        out.append(f"    {text}")
    return [*out, ""]


# --- Sphinx ---


def _parameters(obj: Any) -> list[str]:
    try:
        return list(inspect.signature(obj).parameters)
    except (TypeError, ValueError):
        return []


def _is_text_of_others(obj: Any) -> bool:
    """Whether a method has no docstring but that of a base class of another package, as `forward` of torch's Module."""
    names = getattr(obj, "__qualname__", "").split(".")
    if obj.__doc__ or len(names) != 2 or not inspect.isroutine(obj):
        return False
    cls = getattr(inspect.getmodule(obj), names[0], None)
    bases = [base for base in getattr(cls, "__mro__", ())[1:] if getattr(vars(base).get(names[1]), "__doc__", None)]
    return bool(bases) and not bases[0].__module__.startswith("gbvnet")


def setup(app):
    """Register the docstrings' form with autodoc."""
    from api_pages import link_targets

    def process(app, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        if not name.startswith("gbvnet"):
            return
        links, names = link_targets(), _parameters(obj)
        fields = fields_of(obj) if inspect.isclass(obj) else []
        explained = entry_names(lines, [*names, *(f.name for f in fields)])
        others = [field for field in fields if field.name not in explained]
        if names == [f.name for f in fields] and lines and lines[0].startswith(f"{getattr(obj, '__name__', '')}("):
            lines.clear()  # what dataclass and NamedTuple write where there is no docstring
        lines[:] = to_rst(lines, [*names, *(f.name for f in fields)], links)
        if others:
            lines += ["", *fields_rst(others, links)]

    def skip(app, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
        is_field = type(obj).__name__ == "_tuplegetter"  # of a NamedTuple: in the list above
        return True if is_field or (what == "class" and _is_text_of_others(obj)) else None

    def hide_arguments(app, what: str, name: str, obj: Any, options: Any, *signature: str) -> tuple[str, None] | None:
        if what != "class":
            return None
        of_settings = obj.__module__ == "gbvnet.config"  # its fields, which follow one by one
        is_unknown = str(signature[0]).startswith(("(*args, **", "(*args: Any, **"))  # of a Protocol, of torch's Module
        return ("", None) if of_settings or is_unknown else None

    app.connect("autodoc-process-signature", hide_arguments)
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True}

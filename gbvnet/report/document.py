"""A page as a list of blocks, written as one self-contained HTML file and as Markdown.

The HTML comes from templates/document.html; Markdown has no template, as white space is part of its syntax.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Literal

from markupsafe import Markup, escape

from ..io.templates import render
from ..provenance import SYNTHETIC


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the page's title, level 2 is listed in the table of contents."""

    text: str
    level: int = 2

    @property
    def anchor(self) -> str:
        """The id of the heading in HTML, which the table of contents links to."""
        return re.sub(r"[^a-z0-9]+", "-", self.text.lower()).strip("-")


@dataclass(frozen=True)
class Text:
    """A paragraph. `code` is in backticks; LEAKY and synthetic data are set apart wherever they stand."""

    text: str
    kind: Literal["plain", "lead", "note", "warning"] = "plain"


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Terms:
    """Terms and their definitions."""

    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table of texts; a cell of the first `text_columns` is aligned left, all others are numbers, aligned right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    text_columns: int = 1
    leaky_rows: frozenset[int] = field(default=frozenset())


@dataclass(frozen=True)
class Picture:
    """A picture in a file."""

    path: str  # relative to the page's folder
    alt: str
    caption: str
    width: int  # in CSS pixels


Block = Heading | Text | Items | Terms | Table | Picture


# --- HTML ---


def render_html(blocks: Sequence[Block], folder: Path) -> str:
    """Return the page as one HTML file that needs no other: pictures and style are inside, and there are no scripts.

    folder : where the pictures' paths start from
    """
    headings = [block for block in blocks if isinstance(block, Heading)]
    style = resources.files("gbvnet.report").joinpath("report.css").read_text(encoding="utf-8")
    return render(
        "gbvnet.report",
        "document.html",
        title=headings[0].text,
        sections=[heading for heading in headings if heading.level == 2],
        blocks=blocks,
        style=Markup(style),
        marked=mark_inline,
        kind=lambda block: type(block).__name__,
        image_data=lambda path: base64.b64encode((folder / path).read_bytes()).decode(),
    )


def mark_inline(text: str) -> Markup:
    """Return a text as HTML: escaped, code in backticks as code, LEAKY and synthetic data set apart."""
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    html = re.sub(r"\b(LEAKY)\b", r'<strong class="leaky">\1</strong>', html)
    return Markup(re.sub(rf"\b({SYNTHETIC})\b", r'<strong class="synthetic">\1</strong>', html))


# --- Markdown ---


def render_markdown(blocks: Sequence[Block]) -> str:
    """Return the same page as Markdown, with pictures as links."""
    return "\n\n".join(_markdown_block(block) for block in blocks) + "\n"


def _markdown_block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Text(text, "warning"):
            return f"> **{text}**"
        case Text(text, "note"):
            return f"*{text}*"
        case Text(text):
            return text
        case Items(items):
            return "\n".join(f"- {item}" for item in items)
        case Terms(terms):
            return "\n".join(f"- **{term}**: {meaning}" for term, meaning in terms)
        case Table():
            return _markdown_table(block)
        case Picture(path, alt, caption):
            return f"![{alt}]({path})\n\n*{caption}*"


def _markdown_table(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    marks = ["---" if k < table.text_columns else "---:" for k in range(len(table.columns))]
    caption = f"*{table.caption}*\n\n" if table.caption else ""
    return caption + "\n".join([line(table.columns), line(marks), *(line(row) for row in table.rows)])

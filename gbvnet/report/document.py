"""A page made of blocks, written as one self-contained HTML file and as Markdown: said once, shown twice."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2  # 1 is the page's title; 2 is listed in the table of contents


@dataclass(frozen=True)
class Text:
    text: str  # `code` in backticks; the words LEAKY and synthetic data are set apart by themselves
    kind: Literal["plain", "lead", "note", "warning"] = "plain"


@dataclass(frozen=True)
class Items:
    items: Sequence[str]


@dataclass(frozen=True)
class Terms:
    """Words and what they mean."""

    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    text_columns: int = 1  # the first so many are text, set left; the others are numbers, set right
    leaky_rows: frozenset[int] = field(default=frozenset())


@dataclass(frozen=True)
class Picture:
    path: str  # relative to the page's folder
    alt: str
    caption: str
    width: int  # in CSS pixels


Block = Heading | Text | Items | Terms | Table | Picture


def html(blocks: Sequence[Block], folder: Path) -> str:
    """The page as one HTML file that needs no other: pictures and style are inside, and there are no scripts.

    folder : where the pictures' paths start from.
    """
    title = next(block.text for block in blocks if isinstance(block, Heading))
    contents = [b.text for b in blocks if isinstance(b, Heading) and b.level == 2]
    links = "".join(f'<li><a href="#{_anchor(text)}">{escape(text)}</a></li>' for text in contents)
    navigation = f'<nav aria-label="Contents"><ul>{links}</ul></nav>'
    body = []
    for block in blocks:
        body.append(_html_block(block, folder))
        if isinstance(block, Heading) and block.level == 1:
            body.append(navigation)
    style = resources.files("gbvnet.report").joinpath("report.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def markdown(blocks: Sequence[Block]) -> str:
    """The same page as Markdown, with pictures as links."""
    return "\n\n".join(_markdown_block(block) for block in blocks) + "\n"


def _anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _inline(text: str) -> str:
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    text = re.sub(r"\b(LEAKY)\b", r'<strong class="leaky">\1</strong>', text)
    return re.sub(r"\b(synthetic data)\b", r'<strong class="synthetic">\1</strong>', text)


def _html_block(block: Block, folder: Path) -> str:
    match block:
        case Heading(text, level):
            return f'<h{level} id="{_anchor(text)}">{_inline(text)}</h{level}>'
        case Text(text, kind):
            return f'<p class="{kind}">{_inline(text)}</p>'
        case Items(items):
            return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ul>"
        case Terms(terms):
            return "<dl>" + "".join(f"<dt>{_inline(t)}</dt><dd>{_inline(d)}</dd>" for t, d in terms) + "</dl>"
        case Table():
            return _html_table(block)
        case Picture(path, alt, caption, width):
            data = base64.b64encode((folder / path).read_bytes()).decode()
            return (
                f'<figure style="--width: {width}px"><div class="wide"><img alt="{escape(alt)}" '
                f'src="data:image/png;base64,{data}"></div><figcaption>{_inline(caption)}</figcaption></figure>'
            )


def _html_table(table: Table) -> str:
    def cell(column: int, text: str, tag: str) -> str:
        kind = "" if column < table.text_columns else ' class="number"'
        scope = ' scope="row"' if tag == "th" else ""
        return f"<{tag}{scope}{kind}>{_inline(text)}</{tag}>"

    head = "".join(
        f'<th scope="col"{"" if k < table.text_columns else " class=number"}>{_inline(name)}</th>'
        for k, name in enumerate(table.columns)
    )
    body = ""
    for number, row in enumerate(table.rows):
        cells = "".join(cell(k, text, "td" if k else "th") for k, text in enumerate(row))
        body += f"<tr{' class=leaky-row' if number in table.leaky_rows else ''}>{cells}</tr>\n"
    caption = f"<caption>{_inline(table.caption)}</caption>" if table.caption else ""
    return (
        f'<div class="wide" tabindex="0"><table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>'
        "</table></div>"
    )


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

"""The fenced blocks of code in README.md and docs/, each with its language and what a comment above it says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
BUILT = ("reference", "gallery")  # written by `make docs`
_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|:{3,})(?P<language>[^`\n]*)$")
_COMMENT = re.compile(r"<!-- (?P<kind>not run|setup):\s*(?P<text>(?:(?!-->).)*?)\s*-->\s*\Z", re.DOTALL)


class Block(NamedTuple):
    """A block of code.

    line : its number in the page, that of the fence
    reason : why it is not run, from a comment `<!-- not run: ... -->` above it
    setup : Python that is run before it, from a comment `<!-- setup: ... -->`
    """

    page: str
    line: int
    language: str
    text: str
    reason: str = ""
    setup: str = ""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return every Markdown page that somebody reads: of the top of the repository, and of docs/."""
    docs = [path for path in (ROOT / "docs").rglob("*.md") if path.relative_to(ROOT / "docs").parts[0] not in BUILT]
    return [path for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(docs)) if path.exists()]


def blocks_of(text: str, page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page; those of directives (```{toctree}) have their braces in the language."""
    lines, at = text.splitlines(), 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        if opening is None or opening["fence"].startswith(":"):
            at += 1
            continue
        end = next(n for n in range(at + 1, len(lines) + 1) if n == len(lines) or _closes(lines[n], opening["fence"]))
        content = "\n".join(line.removeprefix(opening["indent"]) for line in lines[at + 1 : end])
        comment = _COMMENT.search("\n".join(lines[:at]).rstrip()) or {"kind": "", "text": ""}
        yield Block(
            page,
            at + 1,
            opening["language"].strip(),
            content + "\n",
            comment["text"] if comment["kind"] == "not run" else "",
            comment["text"] if comment["kind"] == "setup" else "",
        )
        at = end + 1


def _closes(line: str, fence: str) -> bool:
    return line.strip().startswith(fence) and set(line.strip()) == {fence[0]}


def all_blocks() -> list[Block]:
    """Return the blocks of all pages, without directives."""
    blocks = [b for path in pages() for b in blocks_of(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())]
    return [block for block in blocks if not block.language.startswith("{")]

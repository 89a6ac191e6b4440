"""Markdown files at the top of the repository as pages of the site: README.md is docs/reference/readme.md, and so on.

They are written before a build with their links changed: on GitHub the links lead to files, on the site to pages. Links
of other pages to these files are changed when the pages are read.
"""

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).parents[1]
TOP = DOCS.parent
FOLDER = "reference"  # below docs/, where git ignores the pages
NAMES = ("README", "CHANGELOG", "CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY")
PAGES = {f"{name}.md": f"{name.lower()}.md" for name in NAMES}
_LINK = re.compile(r"(?<=\]\()([^)#\s]+)(#[^)\s]*)?(?=\))")


def changed_links(text: str, change: Callable[[str], str]) -> str:
    """Return a Markdown text with each relative link replaced by what `change` returns for its path."""

    def replace(match: re.Match[str]) -> str:
        path, anchor = match.groups()
        return match[0] if re.match(r"[a-z]+:", path) else change(path) + (anchor or "")

    return _LINK.sub(replace, text)


def page_of_file(text: str) -> str:
    """Return the text of a file at the top of the repository as that of a page in docs/reference."""

    def change(path: str) -> str:
        if path in PAGES:
            return PAGES[path]
        return posixpath.relpath(path, f"docs/{FOLDER}")

    return changed_links(text, change)


def with_links_to_pages(text: str, docname: str) -> str:
    """Return the text of a page with its links to files at the top of the repository replaced by links to pages."""
    here = posixpath.join("docs", posixpath.dirname(docname))

    def change(path: str) -> str:
        page = PAGES.get(posixpath.normpath(posixpath.join(here, path)))
        return posixpath.relpath(f"docs/{FOLDER}/{page}", here) if page else path

    return changed_links(text, change)


def write_copies() -> None:
    """Write the pages of the files that there are."""
    for name, page in PAGES.items():
        source, copy = TOP / name, DOCS / FOLDER / page
        if not source.exists():
            copy.unlink(missing_ok=True)
            continue
        text = page_of_file(source.read_text(encoding="utf-8"))
        copy.parent.mkdir(exist_ok=True)
        if not copy.exists() or copy.read_text(encoding="utf-8") != text:
            copy.write_text(text, encoding="utf-8")


def setup(app):
    """Write the copies before Sphinx looks for its sources, and change the links of pages as they are read."""

    def read(app, docname: str, content: list[str]) -> None:
        if app.env.doc2path(docname).suffix == ".md":
            content[0] = with_links_to_pages(content[0], docname)

    app.connect("builder-inited", lambda app: write_copies())
    app.connect("source-read", read)
    return {"parallel_read_safe": True}

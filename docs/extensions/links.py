"""Check the links of a built site: each that leads within the site has a page, and its anchor is there.

    python docs/extensions/links.py build/docs/html

Links to other sites are not checked: a build needs no network.
"""

import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse


class _Page(HTMLParser):
    """The anchors of a page, and the links and files that it needs."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := values.get(name))}
        address = values.get("href") if tag in ("a", "link") else values.get("src")
        if address:
            self.links.append(address)


@cache
def _page(path: Path) -> _Page:
    return _Page(path.read_text(encoding="utf-8"))


def broken_links(root: Path) -> Iterator[str]:
    """Yield a line for each link of a page below `root` that leads to no file of the site, or to an absent anchor."""
    for path in sorted(root.rglob("*.html")):
        if "_static" in path.relative_to(root).parts:
            continue
        for link in dict.fromkeys(_page(path).links):
            if urlparse(link).scheme or link.startswith("//"):
                continue
            address, anchor = urldefrag(link)
            target = path.parent / unquote(address.partition("?")[0]) if address else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                yield f"{path.relative_to(root)}: {link} leads to no file"
            elif anchor and target.suffix == ".html" and unquote(anchor) not in _page(target.resolve()).anchors:
                yield f"{path.relative_to(root)}: {link} leads to no anchor of that page"


def main(root: str) -> int:
    """Print broken links; returns 1 if there are any."""
    broken = list(broken_links(Path(root)))
    for line in broken:
        print(line)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""Names as users write them: which may be one name in two spellings, and which can be the name of a file."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

LONGEST = 200  # bytes of a recording's name: file systems take 255, and endings and temporary files need some of them
# What Windows takes for a device, whatever comes after the first point.
_DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
_NO_FILE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # no file system of Windows takes these; the two slashes none


def normal(name: str) -> str:
    """Return the name in Unicode's composed form (NFC): names that differ only there are one name."""
    return unicodedata.normalize("NFC", name)


def key(name: str) -> str:
    """Return a key that all spellings of one name share: 01 and 1, s01 and S-01, Anna and anna, a.1 and a_1.

    Letter case, zeros before a number, blanks, points, dashes and underscores, and the forms of one Unicode character
    make no difference; a separator between two numbers does.
    """
    text = re.sub(r"[\s._-]+", "-", unicodedata.normalize("NFKC", name).casefold().strip())
    text = re.sub(r"(?<!\d)-|-(?!\d)", "", text)
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of different names that may be one name in several spellings, sorted."""
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups[key(name)].add(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def alike_in_words(unit: str, groups: Sequence[tuple[str, ...]], most: int = 5) -> str:
    """ "01 and 1, Anna and anna: each may be one subject in several spellings"; names are escaped where they look the
    same."""
    shown = [" and ".join(map(visible, group)) for group in groups[:most]]
    more = f" and {len(groups) - most} more" if len(groups) > most else ""
    each = "these" if len(groups) == 1 else "each of these"
    return f"{', '.join(shown)}{more}: {each} may be one {unit} in several spellings"


def visible(name: str) -> str:
    """Return the name, with escapes for characters that look like others (combining marks)."""
    return name if normal(name) == name else ascii(name)[1:-1]


def file_name_error(name: str) -> str | None:
    """Return why a name cannot be a file name on every usual system (Linux, macOS, Windows), or None if it can."""
    size = len(name.encode(errors="surrogatepass"))
    if size > LONGEST:
        return f"{size} bytes, where {LONGEST} are the most"
    if not name or name.strip(" .") != name.rstrip() or name != name.strip():
        return "blanks or points at its ends" if name else "nothing"
    if name.split(".")[0].strip().casefold() in _DEVICES:
        return "a name that Windows keeps for a device"
    odd = _NO_FILE.search(name)
    return f"{odd[0]!r}, which no file's name can have on every system" if odd else None

"""Which device or program wrote a file, by its content: the first bytes, or the files of a folder or a zip archive.

Names and suffixes do not count: an OpenBCI recording is one whether it is called .txt, .csv or .dat. A physio file of
BIDS is known by its name and as gzip, of which nothing else is one.
"""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

EMPATICA, SHIMMER, OPENBCI = "Empatica E4", "Shimmer", "OpenBCI"
MIND_MONITOR, EMOTIV, BIOPAC = "Mind Monitor (Muse)", "Emotiv", "BIOPAC's AcqKnowledge"
PHYSIO = "a BIDS physio file"
PHYSIO_ENDING = "_physio.tsv.gz"
XDF = "LabRecorder (XDF)"
N_BYTES = 8192  # from which a file is recognised: the header of an Emotiv recording alone has 2 kB
MAX_ZIP_ENTRIES = 10_000
_ZIP, _GZIP = b"PK\3\4", b"\x1f\x8b"
_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"\xef\xbb\xbf": "utf-8"}
# An Empatica E4 file: seconds since 1970, then the rate, each repeated for the three axes of ACC.csv.
_EMPATICA_HEAD = re.compile(rb"\s*\d{9,10}(?:\.\d+)?(?:\s*,\s*\d{9,10}(?:\.\d+)?)*\s*\r?\n\s*\d+(?:\.\d+)?(?:[\s,]|\Z)")
EMPATICA_SIGNALS = ("eda.csv", "bvp.csv", "temp.csv", "acc.csv")
# Revisions of AcqKnowledge files that are known (30 of version 2 to 132 of version 5), with room for newer ones.
_ACQ_REVISIONS, _ACQ_CHANNELS = range(30, 400), range(1, 513)


def device_name(path: Path) -> str | None:
    """Return the device or program whose file, folder or zip archive this is: one of the names above, or None.

    Never raises: a path that cannot be read is no device's.
    """
    try:
        if path.is_dir():
            return EMPATICA if _is_empatica_folder(path) else None
        with path.open("rb") as file:
            begin = file.read(N_BYTES)
    except OSError:
        return None
    if begin.startswith(_GZIP):
        return PHYSIO if path.name.endswith(PHYSIO_ENDING) else None
    if begin.startswith(_ZIP):
        return EMPATICA if _is_empatica_zip(path) else None
    if begin.startswith(b"XDF:"):
        return XDF
    if is_acq(begin):
        return BIOPAC
    lines = _first_lines(begin)
    return next((name for name, matches in _TEXT.items() if lines and matches(lines)), None)


def _first_lines(begin: bytes) -> list[str]:
    """Return the non-empty lines of a text file's first bytes; none of a binary file. The last may be cut."""
    encoding = next((name for mark, name in _MARKS.items() if begin.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in begin:
        return []
    text = begin.decode(encoding, errors="replace").lstrip("\ufeff")
    return [line.strip() for line in text.splitlines() if line.strip()]


# ---------------------------------------------------------------- folders and archives


def _is_empatica_folder(folder: Path) -> bool:
    files = {file.name.lower(): file for file in folder.iterdir() if file.name.lower() in EMPATICA_SIGNALS}
    return sum(bool(_EMPATICA_HEAD.match(_first_bytes(file))) for file in files.values() if file.is_file()) >= 2


def _first_bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(256)


def _is_empatica_zip(path: Path) -> bool:
    """Return whether an archive has two signals of an E4 in one folder; its reader checks what they hold."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False
    return len(names) <= MAX_ZIP_ENTRIES and len(empatica_entries(names)) >= 2


def empatica_entries(names: list[str]) -> dict[str, str]:
    """Return the entries of an archive that are an E4's signals, by name in small letters; of the uppermost folder.

    Resource files that macOS puts into archives are left out.
    """
    entries: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (name.count("/"), name)):
        *folders, last = name.split("/")
        if last.lower() in EMPATICA_SIGNALS and "__MACOSX" not in folders:
            entries.setdefault(last.lower(), name)
    return entries


# ---------------------------------------------------------------- binary files


def is_acq(begin: bytes) -> bool:
    """Return whether bytes begin a file of BIOPAC's AcqKnowledge, in either byte order.

    Such a file has no mark of its own: its revision, the length of its header, the number of channels and the time
    between samples must be possible.
    """
    if len(begin) < 24:
        return False
    return any(_is_acq(begin, order) for order in ("little", "big"))


def _is_acq(begin: bytes, order: str) -> bool:
    from struct import unpack_from

    sign = "<" if order == "little" else ">"
    _, revision, header_length, n_channels = unpack_from(f"{sign}hiih", begin)
    (sample_ms,) = unpack_from(f"{sign}d", begin, 16)
    return (
        revision in _ACQ_REVISIONS
        and 100 < header_length < 1 << 20
        and n_channels in _ACQ_CHANNELS
        and 1e-3 < sample_ms < 1e7
    )


# ---------------------------------------------------------------- text files


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in re.split(r"[;,\t]", line)]


def _is_openbci(lines: list[str]) -> bool:
    head = [line.lstrip('"') for line in lines]
    if not head[0].lower().startswith("%openbci"):
        return False
    names = next((line for line in head if not line.startswith("%")), "")
    return "exg channel" in names.lower() or any(line.lower().startswith("%first column") for line in head)


def _is_mind_monitor(lines: list[str]) -> bool:
    names = _cells(lines[0])
    others = ("HSI_", "Elements", "Delta_", "HeadBandOn", "Battery", "Accelerometer_")
    return (
        names[0] == "TimeStamp"
        and any(name.startswith("RAW_") for name in names)
        and any(name.startswith(others) for name in names)
    )


def _is_emotiv(lines: list[str]) -> bool:
    first = lines[0].lstrip('"').lower()
    return first.startswith("title:") and "sampling" in first


def _is_shimmer(lines: list[str]) -> bool:
    """Names that end in _CAL or _RAW, one of them a time stamp, with a line of units below them."""
    if re.match(r'"?sep=', lines[0], re.IGNORECASE):
        lines = lines[1:]
    if len(lines) < 2:
        return False
    names = [name for name in _cells(lines[0]) if re.search(r"_(?:CAL|RAW)$", name)]
    times = [name for name in names if "timestamp" in name.lower()]
    return bool(times) and len(names) > len(times) and "ms" in [unit.lower() for unit in _cells(lines[1])]


_TEXT: dict[str, Callable[[list[str]], bool]] = {
    OPENBCI: _is_openbci,
    MIND_MONITOR: _is_mind_monitor,
    EMOTIV: _is_emotiv,
    SHIMMER: _is_shimmer,
}

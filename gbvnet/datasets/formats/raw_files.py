"""What of raw files is compared before earlier work on them is continued: their sizes, and samples of their bytes.

Times of files are not compared: they differ between a disk and its copy. A correction of a header, as of a unit or a
rate, rarely changes the size, and nearly always the first bytes.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .bids_names import sidecars
from .device_signatures import PHYSIO_ENDING, device_name

_NAMED = re.compile(rb"^(?:DataFile|MarkerFile)=([^\r\n]+)", re.MULTILINE)
SAMPLE = 1 << 16  # bytes at each of three places of a file: begin, middle, end
DATA = (".eeg", ".dat", ".fdt")  # of headers (.vhdr, .set), which name their file and so differ in every copy
SAMPLES = "file_samples"  # the key of what 0.2.0 did not keep


def companions(path: Path) -> list[Path]:
    """Return the files that a header needs, whether they are there or not: the .fdt of a .set, if it has one, and data
    and markers that a .vhdr names."""
    suffix = path.suffix.lower()
    if suffix == ".set":
        data = path.with_suffix(".fdt")
        return [data] if data.exists() or data.is_symlink() else []
    if suffix != ".vhdr" or not path.is_file():
        return []
    try:
        with path.open("rb") as file:
            names = _NAMED.findall(file.read(SAMPLE))
    except OSError:  # which its reader reports
        return []
    written = (name.decode("utf-8", errors="replace").strip().replace("$b", path.stem) for name in names)
    bare = (Path(name).name for name in written)
    return [path.with_name(name) for name in bare if name not in ("", "..") and "\0" not in name]


def data_file_of(path: Path) -> Path:
    """Return the file that holds the samples of a header; of any other file itself."""
    if path.suffix.lower() not in (".vhdr", ".set"):
        return path
    named = (*companions(path), *(path.with_suffix(ending) for ending in DATA))
    return next((file for file in named if file.suffix.lower() in DATA and file.is_file()), path)


def parts(path: Path) -> list[Path]:
    """Return the files that a recording is read from: all in a folder; else the file, those that it needs, and those
    that describe it (JSON beside BIDS physio files)."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    about = sidecars(path) if path.name.endswith(PHYSIO_ENDING) else []
    return [path, *companions(path), *about]


def recording_bytes(path: Path) -> int:
    """Return the size of a file, or of the files in a folder that is a recording. Raises OSError.

    That of a folder itself depends on the disk.
    """
    if path.is_dir() and device_name(path) is not None:  # as 0.2.0 counted them: without folders in it
        return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return sum(file.stat().st_size for file in parts(path)) if path.is_dir() else path.stat().st_size


def sample(file: Path) -> bytes:
    """Return a digest of a file's bytes at three places; nothing if it cannot be read, which its reader reports."""
    taken = hashlib.sha256()
    try:
        size = file.stat().st_size
        with file.open("rb") as f:
            for start in (0, max(0, size // 2 - SAMPLE // 2), max(0, size - SAMPLE)):
                f.seek(start)
                taken.update(f.read(SAMPLE))
    except (OSError, ValueError):
        return b""
    return taken.digest()


def samples(path: Path) -> str:
    """Return a digest of the samples of all files of a recording."""
    return hashlib.sha256(b"".join(sample(file) for file in parts(path))).hexdigest()


def states(given: Mapping[str, Path | None], further: Iterable[Path] = ()) -> dict[str, Any]:
    """Return the sizes of files by their names, and samples of them and of a recording's further signal files.

    Files that are None or not there are left out. Raises OSError.
    """
    files = {name: file for name, file in given.items() if file is not None and file.exists()}
    held: dict[str, Any] = {name: samples(file) for name, file in files.items()}
    held["signal_files"] = [samples(file) for file in further]
    return {name: recording_bytes(file) for name, file in files.items()} | {SAMPLES: held}


def is_unchanged(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether what was kept of raw files is as it is now. Samples count if they were kept, which 0.2.0
    did not do."""
    return earlier == (now if SAMPLES in earlier else {key: value for key, value in now.items() if key != SAMPLES})

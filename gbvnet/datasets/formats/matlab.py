"""MATLAB files (.mat) of versions 5 to 7.3: which one it is, by its first bytes, and its variables.

A file is opened once per process; its values are read when they are asked for.
"""

from functools import lru_cache
from pathlib import Path

from ...errors import BadRecording
from .matlab5 import HEADER, Damaged, read_mat5
from .matlab73 import read_mat73
from .matlab_value import REFETCH, MatValue

_MARKS = {b"MATLAB 5.0": read_mat5, b"MATLAB 7.3": read_mat73}


def read_mat(path: Path) -> dict[str, MatValue]:
    """Return the variables of a MATLAB file by name.

    Raises BadRecording if the file cannot be read, is none, or is of version 7.3 and h5py is not installed.
    """
    try:
        stat = path.stat()
        return dict(_read(path, stat.st_size, stat.st_mtime_ns))
    except OSError as error:
        raise BadRecording(path, "a MATLAB file", error.strerror or type(error).__name__) from None


@lru_cache(maxsize=2)
def _read(path: Path, size: int, changed_ns: int) -> dict[str, MatValue]:
    with path.open("rb") as file:
        head = file.read(HEADER)
    mark = head[:10]
    if mark not in _MARKS or len(head) < HEADER:
        actual = f"{size:,} bytes" + (f" that begin with {head[:16]!r}" if head else "")
        raise BadRecording(path, "a MATLAB file of version 5 to 7.3", actual, REFETCH)
    try:
        return _MARKS[mark](path)
    except Damaged as error:
        raise BadRecording(path, "a whole MATLAB file", f"one of {size:,} bytes: {error}", REFETCH) from None

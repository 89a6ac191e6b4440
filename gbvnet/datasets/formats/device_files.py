"""Recordings of devices, known by their content: Empatica, Shimmer, OpenBCI, Muse, Emotiv, BIOPAC; LabRecorder, BIDS.

A device is one file here that reads it, its mark in device_signatures.py, and a line in _READERS.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ...errors import BadRecording
from .biopac import read_biopac
from .device_file import DeviceFile
from .device_signatures import (
    BIOPAC,
    EMOTIV,
    EMPATICA,
    MIND_MONITOR,
    OPENBCI,
    PHYSIO,
    SHIMMER,
    XDF,
    device_name,
)
from .emotiv import read_emotiv
from .empatica import read_empatica
from .mind_monitor import read_mind_monitor
from .openbci import read_openbci
from .physio import read_physio
from .raw_files import parts
from .shimmer import read_shimmer
from .xdf import read_xdf

_READERS: dict[str, Callable[[Path], DeviceFile]] = {
    EMPATICA: read_empatica,
    SHIMMER: read_shimmer,
    OPENBCI: read_openbci,
    MIND_MONITOR: read_mind_monitor,
    EMOTIV: read_emotiv,
    BIOPAC: read_biopac,
    PHYSIO: read_physio,
    XDF: read_xdf,
}


def open_device(path: Path) -> DeviceFile | None:
    """Return the recording of a device; None if a file or folder is no device's. Raises BadRecording if it is damaged.

    It is kept until it changes: the trials of one recording are read in sequence.
    """
    name = device_name(path)
    if name is None:
        return None
    try:
        return _opened(path, name, _version(path))
    except OSError as error:
        raise BadRecording(path, f"a recording of {name}", error.strerror or str(error)) from None


def _version(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Return names, sizes and times of change of a file and those that describe it, or of the files in a folder.

    Raises OSError.
    """
    stats = [(file.name, os.stat(file)) for file in parts(path)]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


@lru_cache(maxsize=4)  # the files of one recording
def _opened(path: Path, name: str, version: tuple[tuple[str, int, int], ...]) -> DeviceFile:
    return _READERS[name](path)

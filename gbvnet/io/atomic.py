"""Files that are whole or absent, whatever happens while they are written."""

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write aside, sync, rename: a reader or a later run never sees half a file, not even after a power cut.

    An OSError that does not say which file could not be written, as that of a full disk, has `path` added.
    """
    aside = path.parent / f".{path.name}.{secrets.token_hex(6)}.part"
    try:
        # Opened like any other file, with the permissions that the user's umask leaves. A private file of `tempfile`
        # would need them set afterwards, and the umask cannot be read without setting it for all threads.
        with aside.open("xb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        os.replace(aside, path)
    except BaseException as error:
        with suppress(OSError):
            aside.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(aside)):
            error.filename = str(path)
        raise


def visible(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder by their names, but those that begin with a point: macOS writes a `._x` beside each x on
    disks of other systems. Raises OSError."""
    return sorted(file for file in folder.glob(pattern) if not file.name.startswith("."))


def is_vacant(folder: Path) -> bool:
    """Whether a folder holds nothing, or nothing but what a killed process was writing when it died."""
    return all(name.startswith(".") and name.endswith(".part") for name in os.listdir(folder))


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what killed processes were writing when they died: files, and half-written folders.

    name : only what was to have this name

    Only call when nobody else writes there.
    """
    for aside in folder.glob(f".{name}.part"):
        with suppress(FileNotFoundError):
            shutil.rmtree(aside) if aside.is_dir() else aside.unlink()

"""Files that are whole or absent, whatever happens while they are written."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write aside, sync, rename: a reader or a later run never sees half a file, not even after a power cut.

    An OSError that does not say which file could not be written, as that of a full disk, has `path` added.
    """
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(aside, 0o666 & ~_umask())  # mkstemp makes private files; a store is shared like any other file
        os.replace(aside, path)
    except BaseException as error:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


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

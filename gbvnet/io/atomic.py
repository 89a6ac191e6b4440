"""Files and folders that are complete or absent, whatever happens while they are written.

Each is written under a temporary name beside its own, `.NAME.TOKEN.part`, and renamed when it is complete.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file so that no reader ever sees half of it, not even after a power cut; an older file is replaced.

    An OSError that does not say which file could not be written, as that of a full disk, has `path` added.
    """
    temporary = temporary_path(path)
    try:
        # Opened like any other file, with the permissions that the user's umask leaves. A private file of `tempfile`
        # would need them set afterwards, and the umask cannot be read without setting it for all threads.
        with temporary.open("xb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to write into, which replaces `folder` when the block ends without an error.

    After an error the temporary folder is removed, and an older `folder` is as it was.
    """
    temporary = temporary_path(folder)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        _replace_folder(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_folder(temporary: Path, folder: Path) -> None:
    """Rename; an older folder is kept under a temporary name until the new one is in its place."""
    if not folder.exists():
        os.rename(temporary, folder)
        return
    old = temporary_path(folder)
    os.rename(folder, old)
    try:
        os.rename(temporary, folder)
    except OSError:
        os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def temporary_path(path: Path) -> Path:
    """Return a hidden name beside `path` that nobody else uses, on the same file system: a rename is one step."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder that match a pattern, sorted, without those whose names begin with a point.

    macOS writes such a file, `._x`, beside each x on disks of other systems. Raises OSError.
    """
    return sorted(file for file in folder.glob(pattern) if not file.name.startswith("."))


def is_empty(folder: Path) -> bool:
    """Return whether a folder holds nothing, or only temporary files of processes that were killed."""
    return all(name.startswith(".") and name.endswith(".part") for name in os.listdir(folder))


def remove_stale_temp_files(folder: Path, name: str = "") -> None:
    """Remove the temporary files and folders that killed processes left in a folder.

    name : only those of this file or folder; all by default

    Call it only while no other process writes there.
    """
    of_name = re.compile(rf"\.{re.escape(name) if name else '.*'}(\.[^.]+)?\.part", re.DOTALL)
    for temporary in folder.glob(".*.part"):
        if of_name.fullmatch(temporary.name):
            with suppress(FileNotFoundError):
                shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink()

"""Finished stores at an address (s3://, gs://, https://, any that fsspec knows), downloaded once into the cache.

CACHE/stores/<name>-<digest>/    the copy; a store that changes at its address has another digest: a new copy is made

Stores are read through memory maps, and stores and runs are written with locks and renames, which need a local or
shared file system. So a remote store is copied before it is read, and nothing is written to an address.
"""

import hashlib
import logging
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from ..errors import BadConfig, BadStore
from .atomic import atomic_write, remove_stale_temp_files
from .landmark_model import cache_folder

log = logging.getLogger(__name__)

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+")  # two letters and more: C:/ is a drive. Path() takes one / of // away
_TABLES = (
    "store.json",
    "recordings.parquet",
    "windows.parquet",
)  # the last one marks a complete store: copied last


def is_address(path: str | Path) -> bool:
    """Return whether this is an address such as s3://bucket/store rather than a path."""
    return bool(_ADDRESS.match(str(path)))


def require_path(path: str | Path) -> None:
    """Raise BadConfig if the place to write to is an address."""
    if is_address(path):
        raise BadConfig(
            f"{path}: expected a folder of a file system, local or shared, found an address. It has no locks and "
            "renames, which keep results safe when a command is killed; write to a disk and copy it later."
        )


def fetch_store(address: str | Path) -> Path:
    """Return the folder of the local copy; files that an earlier call has copied are not copied again.

    Raises BadStore if no finished store is there or it cannot be reached, BadConfig if fsspec lacks a library for it.
    """
    address = _ADDRESS.sub(r"\1://", str(address), count=1).rstrip("/")
    files, root = _open_filesystem(address)
    try:
        head = {name: files.cat_file(f"{root}/{name}") for name in _TABLES}
        there = {PurePosixPath(f["name"]).name: f["size"] for f in files.ls(f"{root}/data", detail=True)}
    except FileNotFoundError as error:
        raise BadStore(address, "a finished store", f"no {error.args[-1] if error.args else 'such file'}") from None
    except Exception as error:  # each kind of storage has errors of its own
        raise BadStore(address, "a store that can be reached", f"{type(error).__name__}: {error}") from None
    name = re.sub(r"[^\w.-]", "_", address.rsplit("/", 1)[-1])
    folder = cache_folder() / "stores" / f"{name}-{hashlib.sha256(b''.join(head.values())).hexdigest()[:16]}"
    try:
        (folder / "data").mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "fetching.lock"):
            if not (folder / _TABLES[-1]).exists():
                remove_stale_temp_files(folder / "data")
                wanted = {n: size for n, size in there.items() if n.endswith(".safetensors")}
                _copy_missing(files, f"{root}/data", folder / "data", wanted, address)
                for file, content in head.items():
                    atomic_write(folder / file, content)
    except OSError as error:
        remedy = "The files copied so far are kept; run the same command again."
        raise BadStore(address, f"a copy in {folder}", str(error.strerror or error), remedy) from None
    return folder


def _open_filesystem(address: str) -> tuple[Any, str]:
    import fsspec

    try:
        return fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise BadConfig(f"{address}: {error}") from None


def _copy_missing(files: Any, root: str, folder: Path, wanted: dict[str, int], address: str) -> None:
    """Copy the files that are missing or incomplete, each completely or not at all."""
    left = {n: size for n, size in wanted.items() if not _is_complete(folder / n, size)}
    log.info("%s: %d files, %.1f MB, to copy to %s", address, len(left), sum(left.values()) / 1e6, folder)
    for number, (name, size) in enumerate(sorted(left.items()), 1):
        temporary = folder / f".{name}.part"
        try:
            files.get_file(f"{root}/{name}", str(temporary))
        except OSError:
            raise
        except Exception as error:  # each kind of storage has errors of its own
            raise OSError(f"{name}: {type(error).__name__}: {error}") from None
        if not _is_complete(temporary, size):
            raise OSError(f"{name} was not copied completely")
        os.replace(temporary, folder / name)
        if number * 10 // len(left) > (number - 1) * 10 // len(left):
            log.info("%s: %d of %d files", address, number, len(left))


def _is_complete(file: Path, size: int) -> bool:
    return file.exists() and file.stat().st_size == size

"""A store that remembers what was computed of its windows, so that systems and folds share it.

It lies beside the store, as the store itself is never changed, and may be deleted at any time:

    STORE.features/<name>-<digest of the store>/000000.npy ...     float32, the store's rows in slices of 2048

What is remembered must follow from each window alone, and from no label: then it does not matter who asks first.
"""

import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock

from ..errors import BadStore
from ..io.atomic import atomic_write, remove_stale_temp_files
from .reader import Store

log = logging.getLogger(__name__)

SLICE = 2048  # rows a file: a computation that is cut off has lost at most one


class Remembering(Store):
    """A store with a memory. Read it like any other."""

    @property
    def memory(self) -> Path:
        return self.path.with_name(self.path.name + ".features")

    def remembered(self, name: str, compute: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
        """`compute(rows)`, (n, ...) float32, taken from memory; what is not there yet is computed for all rows.

        name : says what it is, with all settings; the store's digest is added
        Raises BadStore if the memory cannot be written or was damaged.
        """
        folder = self.memory / f"{name}-{self.digest}"
        starts = range(0, len(self), SLICE)
        try:
            if not all(_file(folder, start).exists() for start in starts):
                folder.mkdir(parents=True, exist_ok=True)
                with FileLock(folder / "lock"):  # another process may want the same, and then waits for it
                    remove_stale_temp_files(folder)
                    for start in starts:
                        if not _file(folder, start).exists():
                            self._compute(folder, start, compute)
        except OSError as e:
            remedy = "Free space or allow writing there; finished work is kept."
            raise BadStore(e.filename or folder, "a folder for features", e.strerror or type(e).__name__, remedy) from e
        return self._gather(folder, np.asarray(rows, np.int64))

    def _compute(self, folder: Path, start: int, compute: Callable[[np.ndarray], np.ndarray]) -> None:
        log.debug("features %s: windows %d of %d", folder.name, start, len(self))
        content = io.BytesIO()
        np.save(content, compute(np.arange(start, min(start + SLICE, len(self)))).astype(np.float32, copy=False))
        atomic_write(_file(folder, start), content.getvalue())

    def _gather(self, folder: Path, rows: np.ndarray) -> np.ndarray:
        of = rows // SLICE
        out = None
        for which in np.unique(of).tolist():
            file, at = _file(folder, which * SLICE), np.flatnonzero(of == which)
            try:
                part = np.load(file, mmap_mode="r", allow_pickle=False)
                found = part[rows[at] - which * SLICE]
            except (ValueError, OSError, EOFError, IndexError) as e:
                found_there = f"a file that does not read ({e})"
                raise BadStore(file, "features of this store", found_there, "Delete it; it is made again.") from None
            out = np.empty((len(rows), *found.shape[1:]), np.float32) if out is None else out
            out[at] = found
        return np.empty((0,), np.float32) if out is None else out


def _file(folder: Path, start: int) -> Path:
    return folder / f"{start:06d}.npy"

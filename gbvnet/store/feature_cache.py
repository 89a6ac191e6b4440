"""A source that keeps the features computed from its windows, so that systems and folds share them.

They are kept beside the store, which is never changed, and may be deleted at any time:

    STORE.features/<name>-<digest of the store>/000000.npy ...     float32, the store's rows in slices of 2048

A feature may depend on its own window only, and on no label: then it does not matter which fold computes it first.
"""

import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock
from typing_extensions import override

from ..errors import BadStore
from ..io.atomic import atomic_write, remove_stale_temp_files
from .window_source import DerivedSource

log = logging.getLogger(__name__)

SLICE = 2048  # rows a file: an interrupted computation loses at most one


class FeatureCache(DerivedSource):
    """Another source, with a cache of features beside its folder."""

    @property
    @override
    def digest(self) -> str:
        return self.source.digest

    @property
    def folder(self) -> Path:
        """The folder that holds the features."""
        return self.path.with_name(self.path.name + ".features")

    def features(self, name: str, compute: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
        """Return `compute(rows)`, (n, ...) float32, from the cache; slices that are not in it are computed first.

        name : identifies the features, with all their settings; the store's digest is added
        Raises BadStore if the cache cannot be written or was damaged.
        """
        folder = self.folder / f"{name}-{self.digest}"
        starts = range(0, len(self), SLICE)
        try:
            if not all(_file(folder, start).exists() for start in starts):
                folder.mkdir(parents=True, exist_ok=True)
                with FileLock(folder / "lock"):  # another process that needs the same features waits for them
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
        slices = rows // SLICE
        out = None
        for number in np.unique(slices).tolist():
            file, at = _file(folder, number * SLICE), np.flatnonzero(slices == number)
            try:
                content = np.load(file, mmap_mode="r", allow_pickle=False)
                part = content[rows[at] - number * SLICE]
            except (ValueError, OSError, EOFError, IndexError) as e:
                actual = f"a file that cannot be read ({e})"
                raise BadStore(file, "features of this store", actual, "Delete it; it is made again.") from None
            out = np.empty((len(rows), *part.shape[1:]), np.float32) if out is None else out
            out[at] = part
        return np.empty((0,), np.float32) if out is None else out


def _file(folder: Path, start: int) -> Path:
    return folder / f"{start:06d}.npy"

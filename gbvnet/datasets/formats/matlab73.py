"""MATLAB files of version 7.3, which are HDF5: read by h5py, an optional package. Links to other files are refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from ...errors import BadRecording
from .matlab_value import LARGEST, MOST_CELLS, REFETCH, MatValue

REMEDY = "Install it with `pip install 'gbvnet[mat73]'`, or save the file from MATLAB with -v7."
_FAILS = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError)  # of h5py, for any damage


class MatValue73(MatValue):
    """A value of such a file: a group or a data set of it."""

    def __init__(self, path: Path, place: str, name: str):
        """place : name of the group or the data set in the file"""
        self.path, self.name, self._place = path, name, place
        with self._opened() as item:
            self.kind, self.shape = _kind(item), _shape(item)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """Give the group or data set. Raises BadRecording for whatever h5py raises."""
        with open_hdf5(self.path) as file:
            try:
                yield _member(file, self._place)
            except BadRecording:
                raise
            except _FAILS as error:
                raise self.damaged(f"one that h5py cannot read ({error})") from None

    @override
    def _numbers(self) -> np.ndarray:
        with self._opened() as item:
            if not self.size:
                return np.zeros(self.shape)
            values = _values(item)
            if values.dtype.kind not in "fiub":
                self._refuse("real numbers")
            return (values.astype(bool) if self.kind == "logical" else values).T

    @override
    def _text(self) -> str:
        with self._opened() as item:
            return "".join(map(chr, _values(item).ravel().tolist()))

    @override
    def _cell(self, number: int) -> "MatValue73":
        with self._opened() as item:
            if self.size > MOST_CELLS:
                raise ValueError(self.description)
            place = item.file[item[()].ravel()[number]].name
        if not place:
            raise self.damaged(f"cell {number + 1} without a name")
        return MatValue73(self.path, place, f"{self.name}{{{number + 1}}}")

    @override
    def _field(self, name: str) -> "MatValue73":
        return MatValue73(self.path, f"{self._place}/{name}", f"{self.name}.{name}")

    @override
    def _fields(self) -> list[str]:
        with self._opened() as item:
            return list(item)


def open_hdf5(path: Path) -> Any:
    """Open an HDF5 file with h5py. Raises BadRecording if it is none or h5py is not installed."""
    try:
        import h5py
    except ModuleNotFoundError:
        raise BadRecording(path, "the package h5py for a MATLAB file of version 7.3", "none", REMEDY) from None
    try:
        return h5py.File(path, "r")
    except _FAILS as error:
        raise BadRecording(
            path, "a MATLAB file of version 7.3", f"one that h5py cannot open ({error})", REFETCH
        ) from None


def _member(file: Any, place: str) -> Any:
    """Return a group or a data set. Raises ValueError if a link on the way leads elsewhere."""
    import h5py

    item = file
    for part in place.strip("/").split("/"):
        link = item.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{part}: a link to elsewhere")
        item = item[part]
    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
        raise ValueError(f"{place}: its values are in another file")
    return item


def _kind(item: Any) -> str:
    import h5py

    stated = item.attrs.get("MATLAB_class", b"struct" if isinstance(item, h5py.Group) else b"")
    kind = stated.decode("latin-1") if isinstance(stated, bytes) else str(stated)
    if "MATLAB_object_decode" in item.attrs:
        return f"object of class {kind}"
    if kind == "struct" and not isinstance(item, h5py.Group):
        return "struct array"
    return kind or f"HDF5 {item.dtype}"


def _shape(item: Any) -> tuple[int, ...]:
    import h5py

    if isinstance(item, h5py.Group):
        return (1, 1)
    if item.attrs.get("MATLAB_empty"):
        return tuple(int(n) for n in item[:16].ravel())
    return tuple(int(n) for n in item.shape[::-1])


def _values(item: Any) -> np.ndarray:
    if item.size * item.dtype.itemsize > LARGEST:
        raise ValueError(f"{item.size * item.dtype.itemsize:,} bytes in one array, where {LARGEST:,} are the most")
    return np.asarray(item[()])


def read_mat73(path: Path) -> dict[str, MatValue]:
    """Return the variables of a MATLAB file of version 7.3 by name; their values are read when they are asked for.

    Raises BadRecording.
    """
    with open_hdf5(path) as file:
        try:
            names = [name for name in file if not name.startswith("#")]
        except _FAILS as error:
            raise BadRecording(path, "a whole MATLAB file", f"one that h5py cannot read ({error})", REFETCH) from None
    return {name: MatValue73(path, name, name) for name in names}

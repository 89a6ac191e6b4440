"""MATLAB files of synthetic corpora: version 5 by scipy, 7.3 by h5py, with the same bytes each time."""

import io
from typing import Any

import numpy as np

from ...errors import BadConfig
from ...provenance import SYNTHETIC

_HEADER, _USER_BLOCK = 116, 512  # bytes for a description in version 5; bytes before HDF5 in version 7.3


def cells(values: Any, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Return a cell array of values, in one row if no shape is given."""
    values = list(values)
    array = np.empty(len(values), object)
    for at, value in enumerate(values):
        array[at] = value
    return array.reshape(shape or (1, len(values)), order="F")


def mat_bytes(variables: dict[str, Any], mat73: bool = False) -> bytes:
    """Return a MATLAB file with variables: arrays of numbers, texts, `cells` and dicts, which become structs.

    mat73 : version 7.3, else 5. Raises BadConfig if h5py is not installed, which that needs
    """
    if mat73:
        return _version_73(variables)
    from scipy.io import savemat

    file = io.BytesIO()
    savemat(file, variables, do_compression=True)
    text = f"MATLAB 5.0 MAT-file, {SYNTHETIC}".encode().ljust(_HEADER)  # instead of scipy's, which has the time
    return text + file.getvalue()[_HEADER:]


def _version_73(variables: dict[str, Any]) -> bytes:
    try:
        import h5py
    except ModuleNotFoundError:
        raise BadConfig("mat73: it needs the package h5py: pip install 'gbvnet[mat73]'") from None
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=_USER_BLOCK) as file:
        references = file.create_group("#refs#")
        for name, value in variables.items():
            _write(file, name, value, references)
    text = f"MATLAB 7.3 MAT-file, {SYNTHETIC}".encode().ljust(124) + b"\x00\x02IM"
    return text.ljust(_USER_BLOCK, b"\0") + buffer.getvalue()[_USER_BLOCK:]


def _write(group: Any, name: str, value: Any, references: Any) -> None:
    """Write a value as MATLAB does: arrays with their dimensions reversed, cells as references to #refs#."""
    import h5py

    if isinstance(value, dict):
        made = group.create_group(name)
        for key, part in value.items():
            _write(made, key, part, references)
        made.attrs["MATLAB_class"] = np.bytes_("struct")
        return
    array, kind = _as_array(value)
    if kind == "cell":
        names = []
        for part in array.ravel(order="F"):
            names.append(f"r{len(references)}")
            _write(references, names[-1], part, references)
        held = np.array([references[n].ref for n in names], h5py.ref_dtype).reshape(array.shape, order="F").T
        made = group.create_dataset(name, data=held, dtype=h5py.ref_dtype)
    elif not array.size:
        made = group.create_dataset(name, data=np.array(array.shape, np.uint64))
        made.attrs["MATLAB_empty"] = np.uint8(1)
    else:
        packed = {"compression": "gzip", "shuffle": True} if array.size > 1000 else {}
        made = group.create_dataset(name, data=array.T, **packed)
    made.attrs["MATLAB_class"] = np.bytes_(kind)


def _as_array(value: Any) -> tuple[np.ndarray, str]:
    """Return a value as a two-dimensional array, and MATLAB's class of it."""
    if isinstance(value, str):
        return np.array([[*map(ord, value)]], np.uint16), "char"
    array = np.atleast_2d(value)
    kinds = {"O": "cell", "b": "logical", "f": "single" if array.dtype == np.float32 else "double"}
    return array.astype(np.uint8) if array.dtype.kind == "b" else array, kinds.get(array.dtype.kind, array.dtype.name)

"""Read a finished store: its windows by row number, its tables and its settings."""

from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import ArrayLike
from typing_extensions import override

from ..config import PrepareConfig, stored_settings
from ..datasets.label_columns import LabelColumn
from ..errors import BadStore
from ..io.remote import fetch_store, is_address
from ..preprocessing.face_features import EXPRESSIONS
from .format import (
    FILE_NAME,
    FORMER,
    PREPARE_AGAIN,
    RECORDING_COLUMNS,
    TRACE,
    WINDOW_COLUMNS,
    data_file,
    read_manifest,
)
from .memory_maps import MemoryMaps
from .modalities import StoredModality, modality_names, open_modality
from .window_source import N_EXPRESSION, Arrays, ModalityArrays, ModalityInfo, WindowSource, check_rows


@dataclass(frozen=True)
class _WindowShape:
    frames: int
    side: int
    channels: int
    samples: int


class Store(WindowSource):
    """A finished store, for reading.

    settings : how it was made, as in store.json
    windows : one row a window; the row's number is what `read` takes
    recordings : one row a recording with its status
    """

    def __init__(self, path: str | Path):
        self._address = path
        self.path = fetch_store(path) if is_address(path) else Path(path)
        self.settings = read_manifest(self.path)
        defaults = stored_settings(PrepareConfig())  # of settings that are absent
        self.settings["prepare"] = defaults | self.settings["prepare"]
        self._refuse_if_nothing_is_good()
        self.windows = self._table("windows.parquet", WINDOW_COLUMNS)
        self._check_labels()
        self.recordings = self._table("recordings.parquet", RECORDING_COLUMNS)
        of_row, came = pd.factorize(self.windows["recording"])  # names are sorted, and not once a window
        names, place = np.unique(came.to_numpy(dtype=object), return_inverse=True)
        self._recording_of_row = place[of_row]
        self._names = [str(n) for n in names]
        self._window = self.windows["window"].to_numpy()
        self._check_windows()
        self._maps = MemoryMaps(self.path)
        self._opened_modalities: dict[str, StoredModality] = {}
        s = self.settings
        self._shape = _WindowShape(s["frames_per_window"], s["face_side"], len(s["channels"]), s["samples_per_window"])

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """A store crosses to another process as its path; its maps and tables are opened there."""
        return type(self), (self._address,)

    @override
    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}: {len(self)} windows of {len(self._names)} recordings, {self.title})"

    def _check_windows(self) -> None:
        """Raise BadStore if the table of windows names recordings that are not there, or names no windows."""
        table = self.path / "windows.parquet"
        invalid = [n for n in self._names if not FILE_NAME.fullmatch(n)]
        if invalid:
            raise BadStore(table, "names of recordings that are names of files", repr(invalid[0]))
        missing = [n for n in self._names if not data_file(self.path, n).exists()]
        if missing:
            file = data_file(self.path, missing[0])
            actual = f"no such file, as for {len(missing)} of {len(self._names)} recordings"
            raise BadStore(file, "a recording's windows", actual, "Run `gbvnet prepare` again.")
        if not len(self.windows):  # an older gbvnet finished a store in which nothing was good
            remedy = "Run `gbvnet prepare` again, and see what is bad."
            raise BadStore(self.path, "a store with windows", "none", remedy)
        if self._window.min() < 0:
            raise BadStore(table, "numbers of windows from 0", f"{self._window.min()}")

    def _check_labels(self) -> None:
        """Raise BadStore if the table of windows lacks a label column or has a value that is not declared.

        Format 2 has no declarations: there a column may be absent, and is added without a value.
        """
        table, former = self.path / "windows.parquet", self.settings["format"] == FORMER
        for name, column in self.labels.items():
            if name not in self.windows:
                if not former:
                    raise BadStore(table, f"a column {name}, as store.json declares", "none", "Prepare it again.")
                self.windows[name] = np.nan
            wanted, actual = _label_error(column, self.windows[name], check_range=not former)
            if wanted:
                raise BadStore(table, f"{wanted} in column {name}", actual, "Run `gbvnet prepare` again.")

    def _refuse_if_nothing_is_good(self) -> None:
        """Raise BadStore for a store of which every recording was refused: it has the table of recordings alone."""
        if (self.path / "windows.parquet").exists() or not (self.path / "recordings.parquet").exists():
            return
        refused = self._table("recordings.parquet", RECORDING_COLUMNS)
        if not (refused["verdict"] == "ok").any():
            first = f", the first for this reason: {refused['reason'].iloc[0]}" if len(refused) else ""
            actual = f"that all {len(refused)} of its recordings were refused{first.rstrip('.')}"
            raise BadStore(self.path, "a store with windows", actual, "Correct that, and run `gbvnet prepare` again.")

    def _table(self, name: str, columns: dict[str, tuple[str, ...]]) -> pd.DataFrame:
        """Return a table after checking its columns. Raises BadStore."""
        file = self.path / name
        if not file.exists():
            raise BadStore(self.path, "a finished store", f"no {name}", "Run `gbvnet prepare` again: it goes on.")
        again = "Run `gbvnet prepare` again."
        try:
            arrow = pq.read_table(file, partitioning=None)
            arrow.validate(full=True)  # pandas notices text that is not UTF-8 only when it is used
            table = arrow.to_pandas()
        except Exception as e:  # a damaged table can raise anything
            actual = f"a file that cannot be read ({type(e).__name__}: {e})"
            raise BadStore(file, "a table", actual, again) from None
        absent = [name for name in columns if name not in table]
        if absent:
            raise BadStore(file, f"columns {', '.join(columns)}", f"none named {', '.join(absent)}", again)
        for name, kinds in columns.items():
            kind = pd.api.types.infer_dtype(table[name], skipna=False)
            if kind not in kinds and len(table):
                raise BadStore(file, f"{' or '.join(kinds)} in column {name}", kind, again)
        return table

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        rows = check_rows(self, rows)
        n, s = len(rows), self._shape
        # np.empty, and only the gaps are zeroed: a batch of faces is tens of megabytes
        out = {}
        if faces:
            if self.has_pixels or not s.frames:
                out["faces"] = np.empty((n, s.frames, s.side, s.side, 3), np.uint8)
            out["face_ok"] = np.empty((n, s.frames), np.bool_)
        if signals:
            out["signals"] = np.empty((n, s.channels, s.samples), np.float32)
        for name, target in out.items():
            self._fill(name, target, rows)
        return out.get("faces"), out.get("face_ok"), out.get("signals")

    @override
    def face_ok(self, rows: ArrayLike) -> np.ndarray:
        rows = check_rows(self, rows)
        ok = np.empty((len(rows), self._shape.frames), np.bool_)
        self._fill("face_ok", ok, rows)
        return ok

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        if names := self.settings.get("face_features"):
            places = [names.index(name) for name in EXPRESSIONS if name in names]
            if len(places) == len(EXPRESSIONS):
                return np.take(self.face_features(rows), places, axis=2)
        rows = check_rows(self, rows)
        out = np.empty((len(rows), self._shape.frames, N_EXPRESSION), np.float32)
        self._fill("expression", out, rows, absent=np.nan)
        out[~self.face_ok(rows)] = np.nan  # there the file has zeros
        return out

    @override
    def face_features(self, rows: ArrayLike) -> np.ndarray:
        names = self.settings.get("face_features")
        if not names:
            return super().face_features(rows)
        rows = check_rows(self, rows)
        out = np.empty((len(rows), self._shape.frames, len(names)), np.float32)
        self._fill("face_features", out, rows, absent=np.nan)
        out[~self.face_ok(rows)] = np.nan
        return out

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        return self._maps[recording].get("baseline")

    @override
    def trace(self, recording: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        held = self._maps[recording].get(TRACE + name)
        if held is None:
            return None
        file, wanted = data_file(self.path, recording), f"{TRACE}{name} (2, T) float64, times that increase and values"
        if held.ndim != 2 or held.shape[0] != 2 or held.dtype != np.float64:
            raise BadStore(file, wanted, f"{held.dtype} {held.shape}", PREPARE_AGAIN)
        times, values = np.array(held)
        if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise BadStore(file, wanted, "times that do not", PREPARE_AGAIN)
        return times, values

    @property
    @override
    def modalities(self) -> dict[str, ModalityInfo]:
        """Those that are whole; `modality` says what is wrong with another one."""
        infos = {}
        for name in modality_names(self.path):
            with suppress(BadStore):
                infos[name] = self._modality(name).info
        return infos

    @override
    def modality(self, name: str, rows: ArrayLike) -> ModalityArrays:
        if name not in modality_names(self.path):
            return super().modality(name, rows)
        rows = check_rows(self, rows)
        files = [self._names[i] for i in self._recording_of_row[rows].tolist()]
        return self._modality(name).read(files, self._window[rows])

    def _modality(self, name: str) -> StoredModality:
        """A further modality beside this store, opened on first use. Raises BadStore."""
        if name not in self._opened_modalities:
            self._opened_modalities[name] = open_modality(self.path, name, self.digest)
        return self._opened_modalities[name]

    def _fill(self, name: str, out: np.ndarray, rows: np.ndarray, absent: float = 0) -> None:
        """Copy a tensor of some windows to `out`, (n, ...); `absent` where a recording does not have it."""
        files, windows = self._recording_of_row[rows], self._window[rows]
        # Neighbouring rows of one recording are copied as one slice: whole-store reads are then plain copies.
        breaks = np.flatnonzero((np.diff(files) != 0) | (np.diff(windows) != 1)) + 1
        edges = [0, *breaks.tolist(), len(rows)] if len(rows) else []
        first_file, first_window = files.tolist(), windows.tolist()
        for begin, end in pairwise(edges):
            view = self._maps[self._names[first_file[begin]]].get(name)
            if view is None:
                out[begin:end] = absent
            else:
                w = first_window[begin]
                part = view[w : w + end - begin]
                if part.shape != out[begin:end].shape or part.dtype != out.dtype:
                    raise self._wrong_shape(name, self._names[first_file[begin]], view)
                out[begin:end] = part

    def _wrong_shape(self, name: str, recording: str, tensor: np.ndarray) -> BadStore:
        """Return the error for a tensor that does not fit the settings; NumPy would silently broadcast some of them."""
        windows = int((self.windows["recording"] == recording).sum())
        expected = f"{name} of {windows} windows with the store's settings"
        return BadStore(data_file(self.path, recording), expected, f"{tensor.dtype} {tensor.shape}", PREPARE_AGAIN)


def _label_error(column: LabelColumn, values: pd.Series, check_range: bool) -> tuple[str, str]:
    """Return what was expected of the values of a label column and what they are; two empty texts if they are so."""
    if not len(values):
        return "", ""
    kinds = ("string", "empty") if column.is_category else ("floating",)
    kind = pd.api.types.infer_dtype(values, skipna=False)
    if kind not in kinds:
        return " or ".join(kinds), kind
    if column.scale is None:
        allowed = values.isin([*column.classes, ""])
    else:
        allowed = values.isna() | (values.between(*column.scale) if check_range else True)
    if allowed.all():
        return "", ""
    first = int(np.flatnonzero(~allowed)[0])
    return f"values {column.allowed}", f"{values.iloc[first]!r} in row {first}"


def open_store(path: str | Path) -> Store:
    """Return a finished store: a folder, or an address that fsspec knows (s3://...), from which it is copied once.

    Raises BadStore with the reason and the remedy.
    """
    return Store(path)

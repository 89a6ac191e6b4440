"""Read a finished store: its windows by row number, its tables and its settings."""

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from ..config import RATINGS, PrepareConfig, to_dict
from ..errors import BadStore, GbvnetError
from ..io.remote import fetched, is_address
from ..provenance import SYNTHETIC
from .format import (
    DTYPES,
    FILE_NAME,
    FORMER_SYNTHETIC_KEY,
    PREPARE_AGAIN,
    RECORDING_COLUMNS,
    WINDOW_COLUMNS,
    data_file,
    read_header,
    read_manifest,
)


def _file_handles(wanted: int = 4096) -> int:
    """How many files may be open at once, raised if the system lets us: DEAP alone has 1280 recordings."""
    try:
        import resource
    except ImportError:  # Windows, whose limit is not a process's to set
        return 512 + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(soft, most)


class _Maps:
    """Memory maps of recordings, opened on first use. A map holds a file handle, so only so many are kept."""

    def __init__(self, path: Path):
        self.path = path
        self.open: OrderedDict[str, dict[str, np.ndarray]] = OrderedDict()
        self.most = max(16, _file_handles() - 512)

    def __getitem__(self, recording: str) -> dict[str, np.ndarray]:
        if recording in self.open:
            self.open.move_to_end(recording)
            return self.open[recording]
        while len(self.open) >= self.most:
            self.open.popitem(last=False)
        file = data_file(self.path, recording)
        tensors, _, begin = read_header(file)
        whole = np.memmap(file, dtype=np.uint8, mode="r")
        views = {}
        for name, t in tensors.items():
            first, last = (begin + o for o in t["data_offsets"])
            views[name] = np.asarray(whole[first:last]).view(DTYPES[t["dtype"]]).reshape(t["shape"])
        self.open[recording] = views
        return views


@dataclass(frozen=True)
class _Shape:
    frames: int
    side: int
    channels: int
    samples: int


class Store:
    """A finished store, for reading.

    settings : dict, everything that made it
    windows : DataFrame, one row a window; the row's number is what `read` takes
    recordings : DataFrame, one row a recording with its verdict
    """

    def __init__(self, path: str | Path):
        self._asked = path
        self.path = fetched(path) if is_address(path) else Path(path)
        self.settings = read_manifest(self.path)
        self.settings["prepare"] = to_dict(PrepareConfig()) | self.settings["prepare"]  # defaults of what is not told
        self._refuse_if_nothing_is_good()
        self.windows = self._table("windows.parquet", WINDOW_COLUMNS)
        self.recordings = self._table("recordings.parquet", RECORDING_COLUMNS)
        names, self._of_row = np.unique(self.windows["recording"].to_numpy(dtype=object), return_inverse=True)
        self._names = [str(n) for n in names]
        odd = [n for n in self._names if not FILE_NAME.fullmatch(n)]
        if odd:
            raise BadStore(self.path / "windows.parquet", "names of recordings that are names of files", repr(odd[0]))
        missing = [n for n in self._names if not data_file(self.path, n).exists()]
        if missing:
            file = data_file(self.path, missing[0])
            found = f"no such file, as for {len(missing)} of {len(self._names)} recordings"
            raise BadStore(file, "a recording's windows", found, "Run `gbvnet prepare` again.")
        if not len(self.windows):  # an older gbvnet finished a store in which nothing was good
            raise BadStore(
                self.path, "a store with windows", "none", "Run `gbvnet prepare` again, and see what is bad."
            )
        self._window = self.windows["window"].to_numpy()
        if len(self) and self._window.min() < 0:
            raise BadStore(self.path / "windows.parquet", "numbers of windows from 0", f"{self._window.min()}")
        self._maps = _Maps(self.path)
        s = self.settings
        self._shape = _Shape(s["frames_per_window"], s["face_side"], len(s["channels"]), s["samples_per_window"])

    def __getstate__(self):  # a store crosses to another process as its path; nothing mapped goes along
        return self._asked

    def __setstate__(self, path):
        self.__init__(path)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self.windows)

    def has(self, modality: str) -> bool:
        """Whether any window has a "face", or "signals": a store can be prepared for faces of which there are none."""
        return bool(self.windows[f"has_{modality}"].any())

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}: {len(self)} windows of {len(self._names)} recordings, {self.title})"

    @property
    def synthetic(self) -> bool:
        return bool(self.settings["synthetic"])

    @property
    def title(self) -> str:
        """The corpus' name, with its stamp if it is synthetic."""
        return self.settings["dataset"] + (f" ({SYNTHETIC})" if self.synthetic else "")

    @property
    def digest(self) -> str:
        """Identity of the contents: of every array, and of the settings that made them."""
        settings = {k: v for k, v in self.settings.items() if k != "versions"}
        settings[FORMER_SYNTHETIC_KEY] = settings.pop(
            "synthetic"
        )  # so that a store of before has the digest that it had
        parts = [json.dumps(settings, sort_keys=True)]
        parts += (self.recordings["recording"] + self.recordings["sha256"]).tolist()
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _refuse_if_nothing_is_good(self) -> None:
        """A store of which every recording was refused has a table of verdicts, and no windows."""
        if (self.path / "windows.parquet").exists() or not (self.path / "recordings.parquet").exists():
            return
        told = self._table("recordings.parquet", RECORDING_COLUMNS)
        if not (told["verdict"] == "ok").any():
            first = f", the first for this reason: {told['reason'].iloc[0]}" if len(told) else ""
            found = f"that all {len(told)} of its recordings were refused{first.rstrip('.')}"
            raise BadStore(self.path, "a store with windows", found, "Correct that, and run `gbvnet prepare` again.")

    def _table(self, name: str, columns: dict[str, tuple[str, ...]]) -> pd.DataFrame:
        file = self.path / name
        if not file.exists():
            raise BadStore(self.path, "a finished store", f"no {name}", "Run `gbvnet prepare` again: it goes on.")
        again = "Run `gbvnet prepare` again."
        try:
            arrow = pq.read_table(file, partitioning=None)
            arrow.validate(full=True)  # pandas finds out that text is no UTF-8 only when it is looked at
            table = arrow.to_pandas()
        except Exception as e:  # a damaged table can raise anything
            found = f"a file that cannot be read ({type(e).__name__}: {e})"
            raise BadStore(file, "a table", found, again) from None
        absent = [name for name in columns if name not in table and name not in RATINGS]
        if absent:
            raise BadStore(file, f"columns {', '.join(columns)}", f"none named {', '.join(absent)}", again)
        for name, kinds in columns.items():
            kind = pd.api.types.infer_dtype(table[name], skipna=False) if name in table else "none"
            if kind not in kinds and kind != "none" and len(table):
                raise BadStore(file, f"{' or '.join(kinds)} in column {name}", kind, again)
        return table

    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> tuple[Any, Any, Any]:
        """Windows by row number, in the order asked for.

        Returns faces (n, F, S, S, 3) uint8, face_ok (n, F) bool, signals (n, C, L) float32; None for what was not
        asked for. A window that lacks a modality has zeros there, and False in face_ok.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise GbvnetError(f"{self.path}: rows 0 to {len(self) - 1} exist, not {rows.min()} to {rows.max()}")
        n, s = len(rows), self._shape
        # np.empty and only the gaps zeroed: a batch of faces is tens of megabytes
        out = {}
        if faces:
            out["faces"] = np.empty((n, s.frames, s.side, s.side, 3), np.uint8)
            out["face_ok"] = np.empty((n, s.frames), np.bool_)
        if signals:
            out["signals"] = np.empty((n, s.channels, s.samples), np.float32)
        for name, target in out.items():
            self._fill(name, target, rows)
        return out.get("faces"), out.get("face_ok"), out.get("signals")

    def expression(self, rows: ArrayLike) -> np.ndarray:
        """MediaPipe's 52 expression coefficients, (n, F, 52) float32; NaN where no face, or another tracker, was."""
        rows = np.asarray(rows, dtype=np.int64)
        out = np.empty((len(rows), self._shape.frames, 52), np.float32)
        ok = np.empty(out.shape[:2], np.bool_)
        self._fill("expression", out, rows, absent=np.nan)
        self._fill("face_ok", ok, rows)
        out[~ok] = np.nan  # there the file has zeros
        return out

    def baseline(self, recording: str) -> np.ndarray | None:
        """The signals before the stimulus, (C, B) float32, from which nothing is subtracted; None if there are none."""
        return self._maps[recording].get("baseline")

    def _fill(self, name: str, out: np.ndarray, rows: np.ndarray, absent: float = 0) -> None:
        files, windows = self._of_row[rows], self._window[rows]
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
                    raise self._unlike_the_store(name, self._names[first_file[begin]], view)
                out[begin:end] = part

    def _unlike_the_store(self, name: str, recording: str, found: np.ndarray) -> BadStore:
        """NumPy would stretch some of them over their place without a word."""
        windows = int((self.windows["recording"] == recording).sum())
        expected = f"{name} of {windows} windows with the store's settings"
        return BadStore(data_file(self.path, recording), expected, f"{found.dtype} {found.shape}", PREPARE_AGAIN)


def open_store(path: str | Path) -> Store:
    """Open a finished store: a folder, or an address that fsspec knows (s3://...), from which it is copied once.

    Raises BadStore with the reason and the remedy.
    """
    return Store(path)

"""The store: every window of a corpus, cut with the same settings, and how it was made. Written and read here only.

store.json                      what made it; other settings are refused, never mixed in
recordings.parquet              a row a recording: verdict, reason, counts
windows.parquet                 a row a window: names, times, ratings
data/<recording>.safetensors    faces (W, F, S, S, 3) uint8, face_ok (W, F) bool, expression (W, F, 52) float32,
                                signals (W, C, L) float32, and baseline (C, B) float32, the seconds before the
                                stimulus as they were; a modality that a recording lacks is absent
"""

import hashlib
import json
import logging
import math
import os
import re
import shutil
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import ArrayLike
from safetensors.numpy import save as to_safetensors

from ..config import RATINGS, PrepareConfig, from_dict, to_dict
from ..errors import BadConfig, BadStore, GbvnetError
from ..io.atomic import atomic_write, is_empty
from ..io.remote import fetched, is_address, require_path
from ..io.safe_load import from_json
from ..provenance import SYNTHETIC

log = logging.getLogger(__name__)

FORMAT = 2
NAMES = ["recording", "subject", "trial", "stimulus"]
FILES = ("signals", "video")  # of a recording, where the corpus says what they are relative to; else no columns
COUNTS = ["n_windows", "n_with_face", "n_with_signals", "frames_found", "frames_borrowed", "frames_missing"]
# What `finish` writes, as pandas calls it; ratings that a corpus has not are missing.
_WINDOWS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(NAMES, ("string", "empty")), "window": ("integer",), "start_s": ("floating",),
    "has_face": ("boolean",), "has_signals": ("boolean",), **dict.fromkeys(RATINGS, ("floating",)),
}  # fmt: skip
_RECORDINGS: dict[str, tuple[str, ...]] = dict.fromkeys(
    (*NAMES, "verdict", "reason", "findings", "sha256"), ("string", "empty")
)
_FILE = re.compile(r"[^/\\\0]{1,200}")  # in data/, and nowhere else
_DTYPES = {"U8": np.uint8, "BOOL": np.bool_, "F32": np.float32}
_NUMBER = (int, float)
_FORMER_KEY = "made_up"  # of `synthetic`, in stores that gbvnet 0.1 wrote
# What a reader relies on in store.json, and what `finish` relies on in the header of a recording.
_SETTINGS: dict[str, Any] = {
    "dataset": str, "synthetic": bool, "prepare": dict, "channels": list, "rate_hz": _NUMBER, "baseline_s": _NUMBER,
    "samples_per_window": int, "frames_per_window": int, "face_side": int,
}  # fmt: skip
_ABOUT: dict[str, Any] = {
    **dict.fromkeys((*NAMES, "verdict", "reason", "sha256"), str), "start_s": list, "has_face": list,
    "has_signals": bool, "ratings": dict, "findings": list,
}  # fmt: skip
_HEADER_LIMIT = 100_000_000  # bytes; safetensors' own limit


# ---------------------------------------------------------------- writing


def create(path: Path, settings: dict) -> None:
    """Begin a store, or go on with one that was made with the very same settings. One that an earlier run ended
    without a single recording is begun anew, with whatever settings.

    Raises BadStore naming the first setting that differs, or if the folder cannot be written or holds something else.
    """
    require_path(path)
    manifest = path / "store.json"
    settings = {"format": FORMAT, **settings}
    anew = manifest.exists() and _ended_empty(path)
    if anew:
        log.info("%s: no recording was good before; it is begun anew", path)
    elif manifest.exists():
        _refuse_other_settings(path, _read_manifest(path), settings)
    elif path.is_dir() and not is_empty(path):
        raise BadStore(path, "an empty folder or a store", "a folder with other things in it", "Give another folder.")
    try:
        path.mkdir(parents=True, exist_ok=True)
        if anew or not manifest.exists():  # before all else: a folder that has it is a store, whenever this ends
            atomic_write(manifest, (json.dumps(settings, indent=2) + "\n").encode())
        elif not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
        (path / "data").mkdir(exist_ok=True)
        (path / "locks").mkdir(exist_ok=True)
    except OSError as e:
        raise BadStore(path, "a folder that can be written", e.strerror, "Give another folder.") from None


def _ended_empty(path: Path) -> bool:
    """Whether a run refused every recording: it wrote its verdicts, and nothing else."""
    ended = (path / "recordings.parquet").exists() and not (path / "windows.parquet").exists()
    return ended and next((path / "data").glob("*.safetensors"), None) is None


def _refuse_other_settings(path: Path, made_with: dict, asked: dict) -> None:
    made_with, asked = dict(made_with), dict(asked)
    then, now = made_with.pop("versions", {}), asked.pop("versions", {})
    if "source" in asked:
        made_with.setdefault("source", "preprocessed")  # a store of DEAP from before there was another source
    for name in [*asked, *made_with]:
        was, wanted = made_with.get(name), asked.get(name)
        if isinstance(was, dict) and isinstance(wanted, dict):
            name, was, wanted = _first_difference(name, was, wanted)
        if was != wanted:
            raise BadStore(
                path,
                f"a store made with {name} = {json.dumps(wanted)}",
                f"one made with {json.dumps(was)}",
                "Use another folder, or delete this one to make it anew.",
            )
    changed = sorted(k for k in now if then.get(k) != now[k])
    if changed:
        log.warning(
            "%s: begun with %s, going on with %s",
            path,
            ", ".join(f"{k} {then.get(k)}" for k in changed),
            ", ".join(f"{k} {now[k]}" for k in changed),
        )


def _first_difference(name: str, was: dict, wanted: dict) -> tuple[str, Any, Any]:
    for key in [*wanted, *was]:
        if was.get(key) != wanted.get(key):
            return f"{name}.{key}", was.get(key), wanted.get(key)
    return name, was, wanted


def data_file(path: Path, recording: str) -> Path:
    return path / "data" / f"{recording}.safetensors"


def write_recording(path: Path, recording: str, arrays: dict[str, np.ndarray], about: dict) -> dict:
    """Write one recording's windows, whole or not at all. Returns `about` with the digest of the arrays added.

    The bytes depend on the arrays and `about` alone: no dates, one metadata key (several would be in random order).
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + str(arrays[name].shape).encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    about = {**about, "sha256": digest.hexdigest()}
    target = data_file(path, recording)
    need = sum(a.nbytes for a in arrays.values())
    free = shutil.disk_usage(target.parent).free
    if free < need + 1_000_000:
        raise BadStore(target, f"room for {need / 1e6:.1f} MB", f"{free / 1e6:.1f} MB free", "Free some and run again.")
    contiguous = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    try:
        atomic_write(target, to_safetensors(contiguous, metadata={"gbvnet": json.dumps(about, sort_keys=True)}))
    except OSError as e:
        raise BadStore(target, "a file that can be written", e.strerror, "Finished work is kept; run again.") from None
    return about


def done(path: Path, recording: str) -> dict | None:
    """What is known of a recording that was prepared already, or None. Raises BadStore."""
    file = data_file(path, recording)
    if not file.exists():
        return None
    about = read_header(file)[1]
    wrong = _first_of_another_kind(about, _ABOUT | {name: int for name in COUNTS if name in about})
    if wrong is None:
        windows = len(about["start_s"])
        numbers = [*about["start_s"], *about["ratings"].values(), *(about.get(name, 0) for name in COUNTS)]
        fits = {
            "recording": about["recording"] == recording,
            "start_s, ratings or counts": all(isinstance(n, _NUMBER) and abs(n) < 1e15 for n in numbers),
            "has_face": len(about["has_face"]) == windows and all(type(has) is bool for has in about["has_face"]),
            "findings": all(isinstance(finding, str) for finding in about["findings"]),
        }
        wrong = next((name for name, good in fits.items() if not good), None)
    if wrong:
        raise BadStore(file, f"{wrong} of recording {recording} in its header", "another or none", _AGAIN)
    return about


def _first_of_another_kind(held: dict, kinds: dict[str, Any]) -> str | None:
    """The name of a value that is absent or no such thing; True and False are no numbers."""
    for name, kind in kinds.items():
        value = held.get(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            return name
    return None


def reopen(path: Path) -> None:
    """Before anything is added: the tables would no longer tell the whole, so the store counts as unfinished."""
    for table in ("windows.parquet", "recordings.parquet"):
        (path / table).unlink(missing_ok=True)


def finish(path: Path, verdicts: list[dict]) -> None:
    """Write both tables. verdicts: one dict a recording, the good ones as `write_recording` returned them.

    Where none is good there are no windows, and the store stays unfinished: only the table of verdicts is written.
    """
    verdicts = sorted(verdicts, key=lambda v: v["recording"])
    columns = [*NAMES, "verdict", "reason", "findings", *COUNTS, "sha256"]
    columns += [name for name in FILES if any(name in verdict for verdict in verdicts)]
    recordings = pd.DataFrame(verdicts).reindex(columns=columns)
    recordings["findings"] = ["; ".join(v.get("findings", ())) for v in verdicts]
    recordings[COUNTS] = recordings[COUNTS].fillna(0).astype("int64")
    for text in columns:
        if text in COUNTS:
            continue
        recordings[text] = recordings[text].astype(object).fillna("").astype(str)  # a column nobody fills is no text
    good = [_window_rows(v) for v in verdicts if v["verdict"] == "ok"]
    if not good:
        reopen(path)
    atomic_write(path / "recordings.parquet", recordings.to_parquet(index=False))
    if not good:
        return
    windows = pd.concat(good)
    # Last: a store with this table is whole.
    atomic_write(path / "windows.parquet", windows.reset_index(drop=True).to_parquet(index=False))


def _window_rows(about: dict) -> pd.DataFrame:
    n = len(about["start_s"])
    rows: dict = {name: np.full(n, about[name], dtype=object) for name in NAMES}
    rows |= {"window": np.arange(n, dtype=np.int64), "start_s": np.asarray(about["start_s"], dtype=np.float64)}
    rows["has_face"] = np.asarray(about["has_face"], dtype=bool)
    rows["has_signals"] = np.full(n, bool(about["has_signals"]))
    rows |= {r: np.full(n, about["ratings"].get(r, np.nan), dtype=np.float64) for r in RATINGS}
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- reading


def _read_manifest(path: Path) -> dict:
    manifest = path / "store.json"
    try:
        settings = from_json(manifest.read_text())
    except FileNotFoundError:
        raise BadStore(path, "a store", "no store.json in it", "Make one with `gbvnet prepare`.") from None
    except (OSError, ValueError) as e:
        raise BadStore(manifest, "the settings of a store", f"a file that cannot be read ({e})") from None
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        found = settings.get("format") if isinstance(settings, dict) else type(settings).__name__
        raise BadStore(manifest, f"store format {FORMAT}", f"format {found}", "It was made by another gbvnet version.")
    if _FORMER_KEY in settings:
        settings["synthetic"] = settings.pop(_FORMER_KEY)
    flaw = _flaw_of(settings)
    if flaw:
        raise BadStore(manifest, *flaw, "Restore the file, or run `gbvnet prepare` into another folder.")
    return settings


def _flaw_of(settings: dict) -> tuple[str, str] | None:
    """What was expected and what was found, where a setting makes no sense."""
    wrong = _first_of_another_kind(settings, _SETTINGS)
    if wrong is None:
        sizes = {"frames_per_window": 256, "face_side": 512, "samples_per_window": 10**6, "rate_hz": 10**6}
        wrong = next((name for name, most in sizes.items() if not 0 <= settings[name] <= most), None)
    if wrong:
        return f"{wrong} that makes sense", repr(settings.get(wrong, "none"))
    pairs = [p for p in settings["channels"] if isinstance(p, list) and len(p) == 2 and all(type(x) is str for x in p)]
    if len(pairs) != len(settings["channels"]):
        return "channels as pairs of name and kind", repr(settings["channels"])[:200]
    try:
        from_dict(PrepareConfig, settings["prepare"], "prepare.")
    except (BadConfig, TypeError) as error:
        return "settings of `gbvnet prepare`", str(error)
    return None


_AGAIN = "Delete the file and run `gbvnet prepare` again."


def read_header(file: Path) -> tuple[dict, dict, int]:
    """The tensors' places, what is known of the recording, and where the data begin. Raises BadStore."""
    try:
        size = file.stat().st_size
        with file.open("rb") as f:
            length = int.from_bytes(f.read(8), "little")
            if not 2 <= length <= min(_HEADER_LIMIT, size - 8):
                raise BadStore(file, "a safetensors file", f"{size} bytes that are none", _AGAIN)
            header = from_json(f.read(length))
        about = from_json(header.pop("__metadata__")["gbvnet"])
        if not isinstance(about, dict):
            raise ValueError(f"it is told by a {type(about).__name__}")
        end = max((_end_of(name, tensor) for name, tensor in header.items()), default=0)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as e:
        found = f"a file that cannot be read ({type(e).__name__}: {e})"
        raise BadStore(file, "a recording of this store", found, _AGAIN) from None
    if size != 8 + length + end:
        raise BadStore(file, f"{8 + length + end} bytes", f"{size}", _AGAIN)
    return header, about, 8 + length


def _end_of(name: str, tensor: dict) -> int:
    """Where a tensor ends; ValueError or TypeError if its kind, its shape and its place do not agree."""
    first, last = tensor["data_offsets"]
    shape = tensor["shape"]
    whole = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in (first, *shape))
    if not whole or last - first != math.prod(shape) * np.dtype(_DTYPES[tensor["dtype"]]).itemsize:
        raise ValueError(f"{name} of {tensor['dtype']} {shape} from byte {first} to {last}")
    return last


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
            views[name] = np.asarray(whole[first:last]).view(_DTYPES[t["dtype"]]).reshape(t["shape"])
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
        self.settings = _read_manifest(self.path)
        self.settings["prepare"] = to_dict(PrepareConfig()) | self.settings["prepare"]  # defaults of what is not told
        self._refuse_if_nothing_is_good()
        self.windows = self._table("windows.parquet", _WINDOWS)
        self.recordings = self._table("recordings.parquet", _RECORDINGS)
        names, self._of_row = np.unique(self.windows["recording"].to_numpy(dtype=object), return_inverse=True)
        self._names = [str(n) for n in names]
        odd = [n for n in self._names if not _FILE.fullmatch(n)]
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
        settings[_FORMER_KEY] = settings.pop("synthetic")  # so that a store of before has the digest that it had
        parts = [json.dumps(settings, sort_keys=True)]
        parts += (self.recordings["recording"] + self.recordings["sha256"]).tolist()
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _refuse_if_nothing_is_good(self) -> None:
        """A store of which every recording was refused has a table of verdicts, and no windows."""
        if (self.path / "windows.parquet").exists() or not (self.path / "recordings.parquet").exists():
            return
        told = self._table("recordings.parquet", _RECORDINGS)
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
        return BadStore(data_file(self.path, recording), expected, f"{found.dtype} {found.shape}", _AGAIN)


def open_store(path: str | Path) -> Store:
    """Open a finished store: a folder, or an address that fsspec knows (s3://...), from which it is copied once.

    Raises BadStore with the reason and the remedy.
    """
    return Store(path)

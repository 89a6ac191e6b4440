"""The format of a store: its files, what their settings and headers hold, and how both are read and checked.

store.json                      what made it; other settings are refused, never mixed in
recordings.parquet              a row a recording: verdict, reason, counts
windows.parquet                 a row a window: names, times, ratings
data/<recording>.safetensors    faces (W, F, S, S, 3) uint8, face_ok (W, F) bool, expression (W, F, 52) float32,
                                signals (W, C, L) float32, and baseline (C, B) float32, the seconds before the
                                stimulus as they were; a modality that a recording lacks is absent
"""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..config import RATINGS, PrepareConfig, from_dict
from ..errors import BadConfig, BadStore
from ..io.safe_load import from_json

FORMAT = 2
NAMES = ["recording", "subject", "trial", "stimulus"]
FILES = ("signals", "video")  # of a recording, where the corpus says what they are relative to; else no columns
COUNTS = ["n_windows", "n_with_face", "n_with_signals", "frames_found", "frames_borrowed", "frames_missing"]
# What `finish` writes, as pandas calls it; ratings that a corpus has not are missing.
WINDOW_COLUMNS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(NAMES, ("string", "empty")), "window": ("integer",), "start_s": ("floating",),
    "has_face": ("boolean",), "has_signals": ("boolean",), **dict.fromkeys(RATINGS, ("floating",)),
}  # fmt: skip
RECORDING_COLUMNS: dict[str, tuple[str, ...]] = dict.fromkeys(
    (*NAMES, "verdict", "reason", "findings", "sha256"), ("string", "empty")
)
FILE_NAME = re.compile(r"[^/\\\0]{1,200}")  # in data/, and nowhere else
DTYPES = {"U8": np.uint8, "BOOL": np.bool_, "F32": np.float32}
NUMBER = (int, float)
FORMER_SYNTHETIC_KEY = "made_up"  # of `synthetic`, in stores that gbvnet 0.1 wrote
# What a reader relies on in store.json, and what `finish` relies on in the header of a recording.
SETTINGS_FIELDS: dict[str, Any] = {
    "dataset": str, "synthetic": bool, "prepare": dict, "channels": list, "rate_hz": NUMBER, "baseline_s": NUMBER,
    "samples_per_window": int, "frames_per_window": int, "face_side": int,
}  # fmt: skip
HEADER_FIELDS: dict[str, Any] = {
    **dict.fromkeys((*NAMES, "verdict", "reason", "sha256"), str), "start_s": list, "has_face": list,
    "has_signals": bool, "ratings": dict, "findings": list,
}  # fmt: skip
_HEADER_LIMIT = 100_000_000  # bytes; safetensors' own limit
PREPARE_AGAIN = "Delete the file and run `gbvnet prepare` again."


def data_file(path: Path, recording: str) -> Path:
    return path / "data" / f"{recording}.safetensors"


def first_wrong_field(held: dict, kinds: dict[str, Any]) -> str | None:
    """The name of a value that is absent or no such thing; True and False are no numbers."""
    for name, kind in kinds.items():
        value = held.get(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            return name
    return None


def read_manifest(path: Path) -> dict:
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
    if FORMER_SYNTHETIC_KEY in settings:
        settings["synthetic"] = settings.pop(FORMER_SYNTHETIC_KEY)
    flaw = _flaw_of(settings)
    if flaw:
        raise BadStore(manifest, *flaw, "Restore the file, or run `gbvnet prepare` into another folder.")
    return settings


def _flaw_of(settings: dict) -> tuple[str, str] | None:
    """What was expected and what was found, where a setting makes no sense."""
    wrong = first_wrong_field(settings, SETTINGS_FIELDS)
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


def read_header(file: Path) -> tuple[dict, dict, int]:
    """The tensors' places, what is known of the recording, and where the data begin. Raises BadStore."""
    try:
        size = file.stat().st_size
        with file.open("rb") as f:
            length = int.from_bytes(f.read(8), "little")
            if not 2 <= length <= min(_HEADER_LIMIT, size - 8):
                raise BadStore(file, "a safetensors file", f"{size} bytes that are none", PREPARE_AGAIN)
            header = from_json(f.read(length))
        about = from_json(header.pop("__metadata__")["gbvnet"])
        if not isinstance(about, dict):
            raise ValueError(f"it is told by a {type(about).__name__}")
        end = max((_end_of(name, tensor) for name, tensor in header.items()), default=0)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as e:
        found = f"a file that cannot be read ({type(e).__name__}: {e})"
        raise BadStore(file, "a recording of this store", found, PREPARE_AGAIN) from None
    if size != 8 + length + end:
        raise BadStore(file, f"{8 + length + end} bytes", f"{size}", PREPARE_AGAIN)
    return header, about, 8 + length


def _end_of(name: str, tensor: dict) -> int:
    """Where a tensor ends; ValueError or TypeError if its kind, its shape and its place do not agree."""
    first, last = tensor["data_offsets"]
    shape = tensor["shape"]
    whole = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in (first, *shape))
    if not whole or last - first != math.prod(shape) * np.dtype(DTYPES[tensor["dtype"]]).itemsize:
        raise ValueError(f"{name} of {tensor['dtype']} {shape} from byte {first} to {last}")
    return last

"""The format of a store: its files, what their settings and headers hold, and how both are read and checked.

store.json                      its settings; a preparation with other settings is refused, never mixed in
recordings.parquet              a row a recording: status, reason, counts
windows.parquet                 a row a window: names, times, and the labels that store.json declares, float64 for
                                numbers (NaN where missing), text for categories ("" where missing)
data/<recording>.safetensors    faces (W, F, S, S, 3) uint8, face_ok (W, F) bool, expression (W, F, 52) float32,
                                signals (W, C, L) float32, and baseline (C, B) float32, the seconds before the
                                stimulus as they were; a modality that a recording lacks is absent; trace.NAME (2, T)
                                float64, times and values of label NAME, if it changes in time

A store whose store.json names `face_features` has them as face_features (W, F, D) float32, NaN where there is no face,
instead of `expression`. If its `face_side` is 0 it has no `faces`: no picture of a face is in any of its files.

Format 2, which is read and continued, has no declared labels: they are the seven usual ratings, from 1 to 9.
"""

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from ..config import PrepareConfig, from_dict
from ..datasets.label_columns import RATING_COLUMNS, Label, LabelColumn, label_columns, label_settings
from ..errors import BadConfig, BadStore
from ..io.records import convert
from ..io.safe_load import from_json
from ..provenance import with_current_key

FORMAT, FORMER = 3, 2  # the one that is written, and the one before
FORMER_LABELS = label_settings(RATING_COLUMNS)
NAMES = ["recording", "subject", "trial", "stimulus"]
FILES = ("signals", "video")  # columns of a recording whose corpus says what its files are relative to
COUNTS = ["n_windows", "n_with_face", "n_with_signals", "frames_found", "frames_borrowed", "frames_missing"]
# Columns as `finish_store` writes them, with their kinds in pandas' terms; after those of windows come the labels.
WINDOW_COLUMNS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(NAMES, ("string", "empty")), "window": ("integer",), "start_s": ("floating",),
    "has_face": ("boolean",), "has_signals": ("boolean",),
}  # fmt: skip
RECORDING_COLUMNS: dict[str, tuple[str, ...]] = dict.fromkeys(
    (*NAMES, "verdict", "reason", "findings", "sha256"), ("string", "empty")
)
FILE_NAME = re.compile(r"[^/\\\0]{1,200}")  # of a recording: a file in data/, and nowhere else
DTYPES = {"U8": np.uint8, "BOOL": np.bool_, "F32": np.float32, "F64": np.float64}
TRACE = "trace."  # what names of tensors with traces begin with
_HEADER_LIMIT = 100_000_000  # bytes; safetensors' own limit
PREPARE_AGAIN = "Delete the file and run `gbvnet prepare` again."

Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
Count = Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]
Place = Annotated[int, msgspec.Meta(ge=0)]
FeatureName = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class StoreSettings(msgspec.Struct):
    """What store.json holds, with the limits of what a reader can use. Further names are kept as they are."""

    dataset: str
    synthetic: bool
    prepare: dict[str, Any]
    channels: list[tuple[str, str]]
    rate_hz: Annotated[float, msgspec.Meta(ge=0, le=10**6)]
    baseline_s: float
    samples_per_window: Annotated[int, msgspec.Meta(ge=0, le=10**6)]
    frames_per_window: Annotated[int, msgspec.Meta(ge=0, le=256)]
    face_side: Annotated[int, msgspec.Meta(ge=0, le=512)]
    labels: dict[str, Any]
    face_features: Annotated[list[FeatureName], msgspec.Meta(max_length=2000)] = []


class RecordingHeader(msgspec.Struct, kw_only=True):
    """The metadata of a recording, in its file's header: what `finish_store` writes into the tables."""

    recording: str
    subject: str
    trial: str
    stimulus: str
    status: str = msgspec.field(name="verdict")
    reason: str
    sha256: str
    start_s: list[Number]
    has_face: list[bool]
    has_signals: bool
    ratings: dict[str, Number | str]
    window_ratings: dict[str, list[Number | None]] = {}  # of labels that change in time, a value a window
    warnings: list[str] = msgspec.field(name="findings")
    n_windows: Count = 0
    n_with_face: Count = 0
    n_with_signals: Count = 0
    frames_detected: Count = msgspec.field(name="frames_found", default=0)
    frames_borrowed: Count = 0
    frames_missing: Count = 0


class Tensor(msgspec.Struct):
    """A tensor of a safetensors file: its type, shape and bytes."""

    dtype: Literal["U8", "BOOL", "F32", "F64"]
    shape: list[Place]
    data_offsets: tuple[Place, Place]

    @property
    def is_consistent(self) -> bool:
        """Whether type, shape and number of bytes agree."""
        first, last = self.data_offsets
        return last - first == math.prod(self.shape) * np.dtype(DTYPES[self.dtype]).itemsize


def data_file(path: Path, recording: str) -> Path:
    """Return the file of a recording's windows in the store at `path`."""
    return path / "data" / f"{recording}.safetensors"


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the settings of the store at `path`, from store.json. Raises BadStore.

    A store of format 2 gets the `labels` that its format always has.
    """
    manifest = path / "store.json"
    try:
        settings = from_json(manifest.read_text())
    except FileNotFoundError:
        raise BadStore(path, "a store", "no store.json in it", "Make one with `gbvnet prepare`.") from None
    except (OSError, ValueError) as e:
        raise BadStore(manifest, "the settings of a store", f"a file that cannot be read ({e})") from None
    if not isinstance(settings, dict) or settings.get("format") not in (FORMAT, FORMER):
        actual = settings.get("format") if isinstance(settings, dict) else type(settings).__name__
        remedy = "It was made by another gbvnet version."
        raise BadStore(manifest, f"store format {FORMAT} or {FORMER}", f"format {actual}", remedy)
    settings = with_current_key(settings)
    if settings["format"] == FORMER:
        settings["labels"] = FORMER_LABELS
    remedy = "Restore the file, or run `gbvnet prepare` into another folder."
    try:
        convert(settings, StoreSettings)
        labels_of(settings)
    except ValueError as e:
        raise BadStore(manifest, "the settings of a store", f"other contents ({e})", remedy) from None
    try:
        from_dict(PrepareConfig, settings["prepare"], "prepare.")
    except (BadConfig, TypeError) as e:
        raise BadStore(manifest, "settings of `gbvnet prepare`", str(e), remedy) from None
    return settings


def labels_of(settings: dict[str, Any]) -> dict[str, LabelColumn]:
    """Return the label columns that the settings of windows declare, by name. Raises ValueError."""
    return {column.name: column for column in label_columns(settings["labels"])}


def check_ratings(file: Path, header: RecordingHeader, labels: dict[str, LabelColumn]) -> None:
    """Raise BadStore if a recording's labels are not what its store declares."""
    ratings: list[tuple[str, Label]] = list(header.ratings.items())
    ratings += [(name, x) for name, values in header.window_ratings.items() for x in values if x is not None]
    for name, value in ratings:
        if name not in labels:
            raise BadStore(file, f"labels of {', '.join(labels)}", name, PREPARE_AGAIN)
        if not labels[name].allows(value):
            raise BadStore(file, f"{name} {labels[name].allowed}", repr(value), PREPARE_AGAIN)
    for name, values in header.window_ratings.items():
        if len(values) != len(header.start_s):
            raise BadStore(file, f"{name} of {len(header.start_s)} windows", f"{len(values)}", PREPARE_AGAIN)


def read_header(file: Path) -> tuple[dict[str, Tensor], dict[str, Any], int]:
    """Return the tensors of a recording's file, the recording's metadata, and the byte at which the data begin.

    Raises BadStore.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as f:
            length = int.from_bytes(f.read(8), "little")
            if not 2 <= length <= min(_HEADER_LIMIT, size - 8):
                raise BadStore(file, "a safetensors file", f"{size} bytes that are none", PREPARE_AGAIN)
            header = from_json(f.read(length))
        metadata = convert(from_json(header.pop("__metadata__")["gbvnet"]), dict[str, Any])
        tensors = convert(header, dict[str, Tensor])
        wrong = next((name for name, tensor in tensors.items() if not tensor.is_consistent), None)
        if wrong is not None:
            raise ValueError(f"{wrong}: {tensors[wrong]}")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as e:
        actual = f"a file that cannot be read ({type(e).__name__}: {e})"
        raise BadStore(file, "a recording of this store", actual, PREPARE_AGAIN) from None
    end = max((tensor.data_offsets[1] for tensor in tensors.values()), default=0)
    if size != 8 + length + end:
        raise BadStore(file, f"{8 + length + end} bytes", f"{size}", PREPARE_AGAIN)
    return tensors, metadata, 8 + length

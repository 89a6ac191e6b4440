"""The interface of whatever windows are read from: a store, two stores joined, a part of one, an altered one.

Shapes: n rows, F face frames a window, S face side, D face features a frame, C channels, L samples a window, B samples
of a baseline.
"""

import hashlib
import json
from abc import abstractmethod
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from typing_extensions import override

from ..config import without_added
from ..datasets.label_columns import LabelColumn, label_columns
from ..errors import BadConfig, GbvnetError
from ..preprocessing.face_features import EXPRESSIONS
from ..provenance import FORMER_KEY, stamped_title
from .format import FORMER

if TYPE_CHECKING:  # help of commands reads the options of systems, and systems name this interface: no pandas for that
    import pandas as pd

# faces (n, F, S, S, 3) uint8, face_ok (n, F) bool, signals (n, C, L) float32, as `read` returns them
Arrays: TypeAlias = tuple[Any, Any, Any]
N_EXPRESSION = len(EXPRESSIONS)  # 52, MediaPipe's coefficients of each frame


class WindowArrays(NamedTuple):
    """Some windows as NumPy arrays, with their rows of the table; all in the order of the rows that were given."""

    faces: np.ndarray  # (n, F, S, S, 3) uint8, RGB; zeros for a window without a face; F = 0 in a store without faces
    face_ok: np.ndarray  # (n, F) bool, which frames show a face
    signals: np.ndarray  # (n, C, L) float32, microvolts, microsiemens, degrees Celsius; zeros for a window without
    windows: "pd.DataFrame"  # (n, ...) subject, trial, stimulus, start_s in seconds, labels, ...; its index is the rows


class ModalityArrays(NamedTuple):
    """Windows of a further modality, in the order of the rows that were given."""

    values: np.ndarray  # (n, *shape) float32; NaN for a window that lacks the modality
    has: np.ndarray  # (n,) bool, which windows have it

    @classmethod
    def of(cls, values: np.ndarray) -> "ModalityArrays":
        """Return values (n, *shape) with which of them have the modality: those that are finite."""
        return cls(values, np.isfinite(values).all(axis=tuple(range(1, values.ndim))))


class ModalityInfo(NamedTuple):
    """A further modality of a source: what a window has of it, and what identifies its contents."""

    shape: tuple[int, ...]  # of a window's array
    digest: str  # 16 hexadecimal digits, of all its arrays and of the code that made them


class WindowSource(Protocol):
    """Windows with their tables and settings: the type of whatever a function reads windows from.

    path : the folder, or a name in messages for a source that is no folder
    settings : how the windows were made, as store.json holds it
    windows : one row a window; the row's number is what `read` takes
    recordings : one row a recording with its status
    """

    path: Path
    settings: dict[str, Any]
    windows: "pd.DataFrame"
    recordings: "pd.DataFrame"

    @abstractmethod
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        """Return windows by row number, in the order of `rows`.

        Returns faces (n, F, S, S, 3) uint8, face_ok (n, F) bool, signals (n, C, L) float32; None for those that are not
        wanted. A source that has face features and no pictures (`has_pixels`) gives None for faces, and face_ok. A
        window that lacks a modality has zeros there, and False in face_ok. Raises GbvnetError for rows that do not
        exist.
        """

    @abstractmethod
    def expression(self, rows: ArrayLike) -> np.ndarray:
        """Return MediaPipe's 52 expression coefficients, (n, F, 52) float32; NaN for frames without a face and for
        other landmark back-ends."""

    def face_features(self, rows: ArrayLike) -> np.ndarray:
        """Return the features named by `face_feature_names`, (n, F, D) float32; NaN for frames without a face.

        Raises BadConfig if the source has none.
        """
        if not self.face_feature_names:
            raise BadConfig(f"{self.path} has no face features: prepare it with --store_faces features, or both")
        return self.expression(rows)

    @abstractmethod
    def baseline(self, recording: str) -> np.ndarray | None:
        """Return the signals before the stimulus, (C, B) float32, nothing subtracted; None if there are none."""

    @abstractmethod
    def trace(self, recording: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Return a label that changes in time: its times (T,), seconds since the start of the stimulus, and its values
        (T,), NaN where there is none, float64 both; each holds until the next time. None if the recording has none.

        Raises KeyError for a recording that does not exist.
        """

    @property
    def modalities(self) -> dict[str, ModalityInfo]:
        """The further modalities of its windows, besides face and signals, by name. Raises BadStore for damaged ones.

        A view or a part of a source has the same ones. docs/modalities.md says how one is added to a store.
        """
        return {}

    def modality(self, name: str, rows: ArrayLike) -> ModalityArrays:
        """Return windows of a further modality by row number, in the order of `rows`.

        Raises BadConfig if the source does not have it, GbvnetError for rows that do not exist.
        """
        there = ", ".join(self.modalities) or "none"
        raise BadConfig(
            f"{self.path}: expected a further modality {name}, found {there}; `gbvnet modality add` adds one to a store"
        )

    @property
    def labels(self) -> dict[str, LabelColumn]:
        """The label columns of `windows`, by name, with their scales or classes."""
        return {column.name: column for column in label_columns(self.settings["labels"])}

    def face_ok(self, rows: ArrayLike) -> np.ndarray:
        """Return which frames show a face, (n, F) bool."""
        return np.asarray(self.read(rows, signals=False)[1])

    def to_numpy(self, rows: ArrayLike) -> WindowArrays:
        """Return windows by row number as arrays, with their rows of the table, in the order of `rows`.

        Raises GbvnetError for rows that do not exist.
        """
        rows = check_rows(self, rows)
        return WindowArrays(*self.read(rows), self.windows.iloc[rows])

    def torch_dataset(self, rows: ArrayLike, y: ArrayLike | None = None, modality: str = "facebio") -> Any:
        """Return windows as a dataset for torch.utils.data.DataLoader, an `interop.WindowDataset`.

        y : labels (n, ...) of the rows. modality : what an item has: faces, or signals of these channels, or both
        Raises GbvnetError for rows that do not exist, and BadConfig for another number of labels or for a modality that
        the source does not have.
        """
        return _interop().WindowDataset(self, rows, y, modality)

    def to_mne_epochs(self, recording: str) -> Any:
        """Return the windows of a recording as mne.EpochsArray (volts, siemens, degrees Celsius), an epoch a window.

        Raises BadConfig for a recording that the source does not have, or that has no signals.
        """
        return _interop().to_mne_epochs(self, recording)

    def __len__(self) -> int:
        return len(self.windows)

    def has(self, modality: str) -> bool:
        """Return whether any window has a "face", or "signals"; a store may be prepared for faces that no video has."""
        return bool(self.windows[f"has_{modality}"].any())

    @property
    def has_pixels(self) -> bool:
        """Whether it has pictures of faces; a source may have face features alone, or no faces at all."""
        return bool(self.settings["frames_per_window"] and self.settings["face_side"])

    @property
    def face_feature_names(self) -> tuple[str, ...]:
        """The names of the features of a face frame: those that its settings declare, else MediaPipe's expression
        coefficients, if its faces were tracked by MediaPipe; empty if it has none."""
        declared = tuple(self.settings.get("face_features", ()))
        tracker = self.settings["prepare"].get("landmarks", "mediapipe")
        return declared or (EXPRESSIONS if self.has_pixels and tracker == "mediapipe" else ())

    @property
    def synthetic(self) -> bool:
        """Whether any of the data is synthetic."""
        return bool(self.settings["synthetic"])

    @property
    def title(self) -> str:
        """The corpus' name, with its stamp if it is synthetic."""
        return stamped_title(str(self.settings["dataset"]), self.synthetic)

    @property
    def digest(self) -> str:
        """Identity of the contents: of every array, and of the settings that made them."""
        return contents_digest(self.settings, self.recordings)


class DerivedSource(WindowSource):
    """Another source read in another way. Whatever a subclass does not override is the other source's."""

    def __init__(self, source: WindowSource):
        self.source = source
        self.path, self.settings = source.path, source.settings
        self.windows, self.recordings = source.windows, source.recordings

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """A source crosses to another process as what it was made of; tables are opened there."""
        return type(self), (self.source,)

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        return self.source.read(rows, faces, signals)

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        return self.source.expression(rows)

    @override
    def face_features(self, rows: ArrayLike) -> np.ndarray:
        return self.source.face_features(rows)

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        return self.source.baseline(recording)

    @override
    def trace(self, recording: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        return self.source.trace(recording, name)

    @property
    @override
    def modalities(self) -> dict[str, ModalityInfo]:
        return self.source.modalities

    @override
    def modality(self, name: str, rows: ArrayLike) -> ModalityArrays:
        return self.source.modality(name, rows)

    @override
    def face_ok(self, rows: ArrayLike) -> np.ndarray:
        return self.source.face_ok(rows)


def _interop() -> ModuleType:
    """Return the conversions for other libraries. They import names of this file, so it imports them when used."""
    return import_module(".interop", __package__)


def check_rows(source: WindowSource, rows: ArrayLike) -> np.ndarray:
    """Return row numbers as (n,) int64. Raises GbvnetError for rows that do not exist, and for a mask."""
    rows = np.asarray(rows)
    if rows.dtype == np.bool_:  # would be read as rows 0 and 1
        raise GbvnetError(f"{source.path}: expected row numbers, found a mask; give np.flatnonzero(mask)")
    rows = rows.astype(np.int64, copy=False)
    if rows.size and (rows.min() < 0 or rows.max() >= len(source)):
        raise GbvnetError(f"{source.path}: rows 0 to {len(source) - 1} exist, not {rows.min()} to {rows.max()}")
    return rows


def contents_digest(settings: dict[str, Any], recordings: "pd.DataFrame") -> str:
    """Return the identity of windows, 16 hexadecimal digits, from their settings and the recordings' sha256."""
    # Format 2 has no declared labels; `read_manifest` adds them. What a reader of a user's own read is in the arrays.
    left_out = ("versions", "reader", *(("labels",) if settings.get("format") == FORMER else ()))
    identity = {k: v for k, v in settings.items() if k not in left_out}
    identity["prepare"] = without_added(identity["prepare"])
    identity[FORMER_KEY] = identity.pop("synthetic")  # so that stores of 0.1 keep their digest
    parts = [json.dumps(identity, sort_keys=True)]
    parts += (recordings["recording"] + recordings["sha256"]).tolist()
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

"""Further modalities of a store's windows, besides face and signals: what a plug-in reads of each recording.

They are kept beside the store, which is never changed, as the features of `feature_cache` are:

    STORE.modalities/NAME/modality.json                its name, the shape of a window, the store's digest, the code
    STORE.modalities/NAME/recordings.json              a line a recording: status, reason, counts; written last
    STORE.modalities/NAME/data/RECORDING.safetensors   values (W, *shape) float32, NaN in windows that lack the
                                                       modality; absent where the whole recording lacks it

`add_modality` writes them. docs/modalities.md says how a plug-in is written.

Shapes: W windows of a recording, n rows.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import msgspec
import numpy as np

from ..datasets.recording import Recording
from ..errors import BadStore
from ..io.records import json_record
from .format import data_file
from .memory_maps import MemoryMaps
from .window_source import ModalityArrays, ModalityInfo

FORMAT: Literal[1] = 1
SETTINGS, STATUSES, VALUES = "modality.json", "recordings.json", "values"
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")  # of a modality: a folder, and a word in messages
AGAIN = "Run `gbvnet modality add` again: it goes on."
_ANEW = "Delete the folder and run `gbvnet modality add` again."


class Modality(Protocol):
    """The contract of a plug-in that reads a further modality: a class without arguments, or an object of it.

    It must be picklable, as other processes read with it. What it returns of a window may depend on this recording
    alone, and not on which other windows are read with it.
    """

    name: str  # letters, digits and underscores, small: a folder beside the store, and what systems ask for

    def shape(self, window_s: float) -> tuple[int, ...]:
        """Return the shape of the array of a window of so many seconds."""
        ...

    def read(self, recording: Recording, starts_s: np.ndarray, window_s: float) -> np.ndarray | None:
        """Return the arrays of windows, (W, *shape) floating point; None if the recording has no such modality.

        recording : as its corpus inspected it: the paths of its files, the length of the stimulus in seconds, and
            `video_start_s`, the start of the stimulus on the video's own clock
        starts_s : (W,) start of each window, seconds from the start of the stimulus
        A window is finite, or NaN throughout if it lacks the modality. Raises BadRecording for a damaged file, which
        costs this recording alone.
        """
        ...


class ModalitySettings(msgspec.Struct):
    """What modality.json holds: how the modality was read."""

    format: Literal[1]
    name: str
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=10**9)]], msgspec.Meta(min_length=1, max_length=8)]
    window_s: float
    store: str  # digest
    code: dict[str, str]  # of the plug-in, as plugins.Code


class ModalityStatus(msgspec.Struct):
    """A line of recordings.json."""

    recording: str
    status: Literal["ok", "none", "bad"]  # none: the recording has no such modality
    reason: str = ""  # why it is bad
    n_windows: int = 0
    n_with: int = 0  # of them have the modality
    sha256: str = ""  # of its arrays


def modalities_folder(store: Path) -> Path:
    """Return the folder that holds the further modalities of the store at a path."""
    return store.with_name(store.name + ".modalities")


def modality_names(store: Path) -> list[str]:
    """Return the names of the further modalities that were begun for the store at a path, sorted."""
    return sorted(file.parent.name for file in modalities_folder(store).glob(f"*/{SETTINGS}"))


def read_modality_settings(folder: Path) -> ModalitySettings:
    """Return the settings of a further modality. Raises BadStore."""
    return _read(folder / SETTINGS, ModalitySettings, "the settings of a further modality")


def read_statuses(folder: Path) -> list[ModalityStatus]:
    """Return the status of each recording of a finished modality. Raises BadStore."""
    return _read(folder / STATUSES, list[ModalityStatus], "the recordings of a further modality")


def _read(file: Path, kind: Any, expected: str) -> Any:
    try:
        return json_record(file.read_bytes(), kind)
    except FileNotFoundError:
        raise BadStore(file.parent, "a finished modality", f"no {file.name}", AGAIN) from None
    except (OSError, ValueError) as error:
        raise BadStore(file, expected, f"a file that cannot be read ({error})", _ANEW) from None


def open_modality(store: Path, name: str, digest: str) -> "StoredModality":
    """Return a further modality of the store at a path, for reading.

    digest : of the store
    Raises BadStore if it is unfinished or damaged, or was read for other windows.
    """
    folder = modalities_folder(store) / name
    settings = read_modality_settings(folder)
    if settings.store != digest:
        actual = f"one of windows {settings.store}: the store was changed since"
        raise BadStore(folder, f"a modality of the windows {digest}", actual, _ANEW)
    return StoredModality(folder, settings, read_statuses(folder))


class StoredModality:
    """A finished modality of a store.

    info : the shape of a window, and the digest of settings and arrays
    """

    def __init__(self, folder: Path, settings: ModalitySettings, statuses: list[ModalityStatus]):
        self.folder, self.settings = folder, settings
        self.statuses = {each.recording: each for each in statuses}
        self._maps = MemoryMaps(folder)
        parts = [json.dumps(msgspec.to_builtins(settings), sort_keys=True)]
        parts += sorted(each.recording + each.sha256 for each in statuses)
        self.info = ModalityInfo(tuple(settings.shape), hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16])

    def read(self, recordings: Sequence[str], windows: np.ndarray) -> ModalityArrays:
        """Return windows by their recordings (n names) and numbers there (n,). Raises BadStore for damaged files."""
        values = np.full((len(recordings), *self.info.shape), np.nan, np.float32)
        by_recording: dict[str, list[int]] = {}
        for at, recording in enumerate(recordings):
            by_recording.setdefault(recording, []).append(at)
        for recording, places in by_recording.items():
            status = self.statuses.get(recording)
            if status is not None and status.status == "ok":
                values[places] = self._values(status)[windows[places]]
        return ModalityArrays.of(values)

    def _values(self, status: ModalityStatus) -> np.ndarray:
        held = self._maps[status.recording].get(VALUES)
        shape = (status.n_windows, *self.info.shape)
        if held is None or held.shape != shape or held.dtype != np.float32:
            actual = "none" if held is None else f"{held.dtype} {held.shape}"
            file = data_file(self.folder, status.recording)
            raise BadStore(file, f"{VALUES} {shape} float32", actual, f"Delete the file. {AGAIN}")
        return held

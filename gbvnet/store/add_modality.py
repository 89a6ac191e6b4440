"""Add a further modality to a store: a plug-in reads each recording; resumable, and a bad recording costs only itself.

Shapes: W windows of a recording.
"""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from filelock import FileLock, Timeout

from ..datasets.check import check_corpus
from ..datasets.formats import raw_files
from ..datasets.recording import Corpus, Recording
from ..errors import BadConfig, BadRecording, BadStore, GbvnetError, TaskDied
from ..io.atomic import atomic_write, remove_stale_temp_files
from ..io.records import convert
from ..parallel.tasks import MAX_ATTEMPTS, Jobs, run
from ..plugins import code_of_class, errors_named, label
from ..progress import ProgressCallback
from ..text import shortened
from .format import data_file, read_header
from .memory_maps import MemoryMaps
from .modalities import (
    FORMAT,
    NAME,
    SETTINGS,
    STATUSES,
    VALUES,
    Modality,
    ModalitySettings,
    ModalityStatus,
    modalities_folder,
    read_modality_settings,
)
from .reader import Store
from .window_source import ModalityArrays
from .writer import write_recording

log = logging.getLogger(__name__)
RESERVED = ("face", "signals", "bio", "eeg", "peri")  # what a store has by itself
_SLACK_S = 1e-6  # times are floats
_ELSEWHERE = "Bring that back, or delete the folder to read everything again."


@dataclass
class ModalitySummary:
    """The result of adding a modality. `bad` holds a line for each recording that could not be read."""

    folder: Path
    shape: tuple[int, ...]
    statuses: list[ModalityStatus] = field(default_factory=list)
    n_reused: int = 0  # recordings that an earlier run has read

    @property
    def bad(self) -> list[str]:
        """Why recordings are bad, a line each."""
        return [each.reason for each in self.statuses if each.status == "bad"]

    def count(self, status: str) -> int:
        """How many recordings have this status: ok, none or bad."""
        return sum(each.status == status for each in self.statuses)


def modality_object(plugin: Any, name: str) -> Modality:
    """Return what a user has named as an object of the contract `Modality`; a class is called without arguments.

    name : what messages call it. Raises BadConfig if it is something else.
    """
    called = label(name)
    with errors_named(name):
        made = plugin() if isinstance(plugin, type) else plugin
    missing = [each for each in ("name", "shape", "read") if not hasattr(made, each)]
    if missing:
        raise BadConfig(f"{called}: a modality needs {', '.join(missing)}, which this one does not have")
    if not isinstance(made.name, str) or not NAME.fullmatch(made.name) or made.name in RESERVED:
        wanted = f"small letters, digits and underscores, and none of {', '.join(RESERVED)}"
        raise BadConfig(f"{called}: expected a name of {wanted}; found {made.name!r}")
    return made


def add_modality(
    store: Store,
    modality: Modality,
    corpus: Corpus,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
    isolate: bool = True,
) -> ModalitySummary:
    """Read a further modality of every recording of a store, and keep it beside the store.

    corpus : the one that the store was prepared from; recordings are matched by name
    isolate : read in another process even with one job, as a damaged file may crash the library that decodes it

    What an earlier run has read is kept. Raises BadConfig for another corpus or something else than a modality,
    BadStore if the folder has a modality of other settings or code, is in use by another process, or cannot be written.
    """
    modality = modality_object(modality, type(modality).__qualname__)
    settings = _settings(store, modality)
    folder = modalities_folder(store.path) / modality.name
    if corpus.dataset != store.settings["dataset"]:
        raise BadConfig(f"{store.path}: expected the corpus {store.settings['dataset']}, found {corpus.dataset}")
    try:
        (folder / "data").mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock", timeout=0):
            _begin(folder, settings)
            summary = ModalitySummary(folder, tuple(settings.shape))
            work = _Task(folder, modality, corpus, settings)
            _read_all(work, _items(store, corpus, jobs), summary, progress, (jobs, isolate))
            _finish(folder, summary)
    except Timeout:
        raise BadStore(
            folder, "a modality that no other process writes", "one that is locked", "Wait for it."
        ) from None
    except OSError as error:
        raise BadStore(
            folder, "a folder that can be written", error.strerror or error, "Finished work is kept."
        ) from None
    return summary


def _settings(store: Store, modality: Modality) -> ModalitySettings:
    window_s = float(store.settings["prepare"]["window_s"])
    code, called = code_of_class(type(modality)), type(modality).__qualname__
    with errors_named(called):
        shape = list(modality.shape(window_s))
    if not shape or not all(isinstance(n, int | np.integer) and n >= 1 for n in shape):
        raise BadConfig(f"{called}: expected shape({window_s:g}) of whole numbers from 1 on, found {shape}")
    identity = {} if code is None else code._asdict()
    return ModalitySettings(FORMAT, modality.name, [int(n) for n in shape], window_s, store.digest, identity)


def _begin(folder: Path, settings: ModalitySettings) -> None:
    """Write the settings, or compare them with those of an earlier run. Raises BadStore if they differ."""
    remove_stale_temp_files(folder)
    remove_stale_temp_files(folder / "data")
    file, wanted = folder / SETTINGS, msgspec.to_builtins(settings)
    if file.exists():
        existing = msgspec.to_builtins(read_modality_settings(folder))
        for name in ("store", "shape", "window_s"):
            if existing[name] != wanted[name]:
                raise BadStore(folder, f"{name} {wanted[name]}", f"one read with {existing[name]}", _ELSEWHERE)
        if existing["code"] != wanted["code"]:
            raise BadStore(folder, _named(wanted["code"]), f"one read by {_named(existing['code'])}", _ELSEWHERE)
    else:
        atomic_write(file, (json.dumps(wanted, indent=2) + "\n").encode())
    (folder / STATUSES).unlink(missing_ok=True)  # unfinished from here on


def _named(code: dict[str, str]) -> str:
    return f"the code of {code.get('name', 'gbvnet')} (sha256 {code.get('sha256', '')[:12]})"


def _finish(folder: Path, summary: ModalitySummary) -> None:
    summary.statuses.sort(key=lambda status: status.recording)
    content = json.dumps(msgspec.to_builtins(summary.statuses), indent=1)
    atomic_write(folder / STATUSES, (content + "\n").encode())


# --- which recordings there are ---


@dataclass(frozen=True)
class _Item:
    """A recording of the store, with its windows, and as the corpus has it."""

    name: str
    starts_s: np.ndarray  # (W,)
    recording: Recording | None
    error: str | None = None


def _items(store: Store, corpus: Corpus, jobs: Jobs) -> list[_Item]:
    """Return every recording of the store with windows. Raises BadConfig if the corpus has none of them."""
    listed: dict[str, Recording] = {}
    errors: list[str] = []
    for unit in check_corpus(corpus, jobs, videos=False):
        listed |= {recording.name: recording for recording in unit.recordings}
        errors += [unit.error] if unit.error else []
    groups = store.windows.groupby("recording", sort=True)
    names = [str(name) for name in groups.groups]
    if not set(names) & set(listed):
        there = shortened(sorted(listed)) if listed else shortened(errors, 1) or "none"
        raise BadConfig(f"{store.path}: expected recordings {shortened(names)} in the corpus, found {there}")
    rows = {str(name): part.sort_values("window") for name, part in groups}
    return [_item(store, name, rows[name], listed.get(name)) for name in names]


def _item(store: Store, name: str, rows: Any, recording: Recording | None) -> _Item:
    starts = rows["start_s"].to_numpy(np.float64)
    if recording is None:
        missing = BadRecording(name, f"a recording of this name, as {store.path} has it", "none in the corpus")
        return _Item(name, starts, None, str(missing))
    if recording.error:
        return _Item(name, starts, None, recording.error)
    for part in ("subject", "trial", "stimulus"):
        then, now = str(rows[part].iloc[0]), getattr(recording, part)
        if then != now:
            other = BadRecording(name, f"{part} {then}, as {store.path} has it", now, "Is it the same corpus?")
            return _Item(name, starts, None, str(other))
    return _Item(name, starts, recording)


# --- reading them ---


def _read_all(
    work: "_Task", items: list[_Item], summary: ModalitySummary, progress: ProgressCallback | None,
    how: tuple[Jobs, bool],
) -> None:  # fmt: skip
    left = []
    for item in items:
        if item.error is not None:
            _add(summary, ModalityStatus(item.name, "bad", item.error))
        elif (status := work.reusable(item)) is not None:
            summary.n_reused += 1
            summary.statuses.append(status)
        else:
            left.append(item)
    if summary.n_reused:
        log.info("%d of %d recordings were read already", summary.n_reused, len(items))
    for done, (item, outcome) in enumerate(run(work, left, how[0], isolate=how[1]), 1):
        if progress:
            progress(done, len(left), item.name)
        if isinstance(outcome, TaskDied):
            remedy = "Is there enough memory? Is the file sound?"
            actual = f"one whose process was killed {MAX_ATTEMPTS} times"
            outcome = BadRecording(item.name, "a recording that can be read", actual, remedy)
        _add(
            summary, outcome if isinstance(outcome, ModalityStatus) else ModalityStatus(item.name, "bad", str(outcome))
        )


def _add(summary: ModalitySummary, status: ModalityStatus) -> None:
    if status.status == "bad":
        log.warning("BAD  %s", status.reason)
    summary.statuses.append(status)


@dataclass(frozen=True)
class _Task:
    """Reads a recording, in another process: it can be pickled."""

    folder: Path
    modality: Modality
    corpus: Corpus
    settings: ModalitySettings

    def __call__(self, item: _Item) -> ModalityStatus | GbvnetError:
        if item.recording is None:
            return BadRecording(item.name, "a recording", "none")
        sources = _sources(item.recording)  # before it is inspected, as `reusable` compares them
        recording = self._inspected(item.recording)
        end = float(item.starts_s.max()) + self.settings.window_s
        if end > recording.seconds + _SLACK_S * self.settings.window_s:
            expected = f"a stimulus of {end:g} s, as long as its windows in the store"
            return BadRecording(item.name, expected, f"{recording.seconds:g} s", "Is it the same corpus?")
        with errors_named(self.settings.code.get("name", self.settings.name)):
            read = self.modality.read(recording, item.starts_s.copy(), self.settings.window_s)
        arrays = {} if read is None else {VALUES: self._checked(read, item)}
        metadata = write_recording(self.folder, item.name, arrays, {"recording": item.name, "sources": sources})
        return _status(item.name, arrays.get(VALUES), metadata["sha256"])

    def _inspected(self, recording: Recording) -> Recording:
        try:
            return self.corpus.inspect(recording)
        except ValueError as error:  # of a library, for an unexpected file: the other recordings must not be lost
            file = recording.signals or recording.video or recording.name
            raise BadRecording(file, "a recording that can be read", f"one that fails ({error})") from error

    def _checked(self, read: Any, item: _Item) -> np.ndarray:
        """Return arrays as (W, *shape) float32. Raises BadRecording if they are not what the modality declares."""
        shape = (len(item.starts_s), *self.settings.shape)
        called = f"{item.name}: {self.settings.name}"
        if not isinstance(read, np.ndarray) or read.shape != shape or read.dtype.kind != "f":
            actual = f"{read.dtype} {read.shape}" if isinstance(read, np.ndarray) else f"{read!r:.80}"
            raise BadRecording(called, f"an array {shape} of floating point", actual, "Correct the plug-in.")
        with np.errstate(over="ignore"):
            values = read.astype(np.float32)
        flat = values.reshape(len(values), -1)
        wrong = np.flatnonzero(~np.isfinite(flat).all(axis=1) & ~np.isnan(flat).all(axis=1))
        if len(wrong):
            start, some = item.starts_s[wrong[0]], flat[wrong[0]]
            odd = f"{(~np.isfinite(some)).sum()} of {some.size} values NaN or infinite in the window at {start:g} s"
            raise BadRecording(called, "windows that are finite, or NaN throughout", odd, "Correct the plug-in.")
        return values

    def reusable(self, item: _Item) -> ModalityStatus | None:
        """Return the status from an earlier run; None if the raw files changed since, or the file is damaged."""
        file = data_file(self.folder, item.name)
        if not file.exists() or item.recording is None:
            return None
        try:
            tensors, metadata, _ = read_header(file)
            header = convert(metadata, _Header)
            values = tensors.get(VALUES)
            if values is not None and values.shape != [len(item.starts_s), *self.settings.shape]:
                raise ValueError(f"values {values.shape}")
        except (BadStore, ValueError) as error:
            log.warning("%s: a damaged file (%s); it is read again", file, error)
            return None
        if not raw_files.is_unchanged(header.sources, _sources(item.recording)):
            log.warning("%s: its raw files, or its entry in the corpus, changed since it was read; it is read again",
                        item.name)  # fmt: skip
            return None
        held = None if values is None else MemoryMaps(self.folder)[item.name][VALUES]
        return _status(item.name, held, header.sha256)


class _Header(msgspec.Struct):
    """The metadata of a recording's file."""

    recording: str
    sources: dict[str, Any]
    sha256: str


def _status(name: str, values: np.ndarray | None, sha256: str) -> ModalityStatus:
    if values is None:
        return ModalityStatus(name, "none", sha256=sha256)
    n_with = int(ModalityArrays.of(values).has.sum())
    return ModalityStatus(name, "ok", n_windows=len(values), n_with=n_with, sha256=sha256)


def _sources(recording: Recording) -> dict[str, Any]:
    """Return sizes and samples of the raw files, and the times: enough to notice that one was replaced or its header
    corrected."""
    given = {"video": recording.video, "signals": recording.signals, "video_times": recording.video_times}
    files = raw_files.states(given, [source.file for source in recording.signal_files])
    return files | {"seconds": recording.seconds, "video_start_s": recording.video_start_s}

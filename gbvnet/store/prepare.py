"""Prepare a store from raw recordings: resumable, several recordings at once; a bad recording does not stop others.

Shapes: W windows, C signal channels, L samples a window.
"""

import hashlib
import importlib.metadata
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from .. import __version__
from ..config import PrepareConfig, stored_settings
from ..datasets.check import check_corpus
from ..datasets.duplicates import notes, second_of_one_file
from ..datasets.formats import raw_files
from ..datasets.label_columns import Label, label_settings
from ..datasets.label_traces import window_labels
from ..datasets.recording import Corpus, Recording
from ..datasets.units import LEVELS, scales_of, unit_disagreements
from ..errors import BadRecording, BadStore, GbvnetError, TaskDied
from ..io.atomic import remove_stale_temp_files
from ..parallel.tasks import MAX_ATTEMPTS, Jobs, run
from ..plugins import code_of_class
from ..preprocessing.signals import Workspace, preprocess, select_channels
from ..preprocessing.windowing import cut, missing_windows, window_starts
from ..progress import ProgressCallback
from ..text import shortened
from .format import TRACE, data_file
from .prepared_faces import face_settings, face_source, prepare_faces
from .reader import open_store
from .window_source import WindowSource
from .writer import create_store, finish_store, mark_unfinished, prepared_recording, write_recording

log = logging.getLogger(__name__)
SCALE_WINDOWS = 5  # of each recording, from which the scales of channels are compared
REPORT = "Please report it with the file's format and rate."


@dataclass
class PrepareSummary:
    """The result of a preparation. `bad` holds a line for each recording that could not be used."""

    n_prepared: int = 0
    n_reused: int = 0  # prepared by an earlier run
    bad: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    recording_warnings: list[tuple[str, str]] = field(default_factory=list)  # (recording, warning)
    name_warnings: list[str] = field(default_factory=list)  # names in two spellings, files with the same bytes
    scale_warnings: list[str] = field(default_factory=list)  # channels a hundred times larger in some recordings
    unused_files: list[str] = field(default_factory=list)  # of recordings that an earlier run prepared

    @property
    def n_good(self) -> int:
        """How many recordings are in the store."""
        return self.n_prepared + self.n_reused

    def refuse(self, reason: str) -> None:
        """Record a recording that could not be used."""
        log.warning("BAD  %s", reason)
        self.bad.append(reason)


def prepare_store(
    corpus: Corpus,
    path: str | Path,
    config: PrepareConfig | None = None,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
) -> PrepareSummary:
    """Write all windows of a corpus to a store at `path`.

    What an earlier run with the same settings finished is kept and not prepared again. Raises BadStore if the store was
    made with other settings or cannot be written, BadModel if faces are wanted and the landmark model is missing.
    """
    config, path = config or PrepareConfig(), Path(path)
    settings = create_store(path, store_settings(corpus, config))
    summary, results, todo = PrepareSummary(), [], []
    for unit in check_corpus(corpus, jobs, videos=False, progress=progress):
        todo += [recording for recording in unit.recordings if not recording.error]
        refused: list[tuple[Recording | str, str | None]]
        refused = [(unit.name, unit.error), *((recording, recording.error) for recording in unit.recordings)]
        for what, reason in refused:
            if reason:
                summary.refuse(reason)
                results.append(_refused(what, reason))
    summary.name_warnings += notes(todo)
    summary.warnings += summary.name_warnings
    for name, first in second_of_one_file(todo, path).items():
        same = f"that name and {first}, which are one file on this disk"
        reason = str(BadRecording(path, f"a file of its own for recording {name}", same, "Rename one of them."))
        summary.refuse(reason)
        results.append(_refused(next(r for r in todo if r.name == name), reason))
        todo = [r for r in todo if r.name != name]
    if any(r.video and face_source(r, corpus, config) == r.video for r in todo):
        _require_landmarks(config.landmarks)
    work, by_name = _Task(corpus, path, config, settings), {r.name: r for r in todo}
    results += _prepare_all(work, todo, jobs, summary, progress)
    results = [metadata | _files(corpus, by_name.get(metadata["recording"])) for metadata in results]
    try:
        with FileLock(path / "locks" / "tables"):  # another process may finish the same store at the same time
            remove_stale_temp_files(path / "data")
            remove_stale_temp_files(path)
            finish_store(path, results)
            summary.unused_files = unused_files(path, results)
    except OSError as e:
        raise BadStore(path, "tables that can be written", e.strerror, "Finished work is kept; run again.") from None
    summary.warnings += summary.unused_files
    if config.signals and summary.n_good > 1:
        summary.scale_warnings = scale_warnings(open_store(path))
    return summary


def unused_files(path: Path, recordings: list[dict]) -> list[str]:
    """Return a warning if a store holds data of recordings that are not among the good ones of `recordings` (the
    metadata of each): a subject who was taken out of the corpus, or a file that can no longer be read."""
    used = {data_file(path, metadata["recording"]) for metadata in recordings if metadata["verdict"] == "ok"}
    unused = sorted(file.name for file in set((path / "data").glob("*.safetensors")) - used)
    if not unused:
        return []
    files = f"{len(unused)} file{'s' * (len(unused) > 1)} ({shortened(unused)})"
    of = "recordings that the corpus no longer has or that are bad now"
    return [f"{path / 'data'}: {files} of {of}, prepared by an earlier run: not used; delete what may not be kept"]


def scale_warnings(store: WindowSource) -> list[str]:
    """Return warnings on channels that some recordings of a store have in another unit than others, by their scale in a
    few windows; for slow channels by the baseline, before it is subtracted."""
    kinds = [(name, kind) for name, kind in store.settings["channels"]]
    rows = store.windows[store.windows["has_signals"]]
    scales: dict[str, dict[str, float]] = {}
    for recording, mine in rows.groupby("recording"):
        some = mine.index.to_numpy()[np.unique(np.linspace(0, len(mine) - 1, SCALE_WINDOWS).round().astype(int))]
        x, rate_hz = store.read(some, faces=False)[2], store.settings["rate_hz"]  # (n, C, L)
        before = store.baseline(str(recording))
        mine_by_name: dict[str, float] = {}
        for kind in {kind for _, kind in kinds}:
            at = [c for c, (_, one) in enumerate(kinds) if one == kind]
            if kind in LEVELS and before is not None and before.shape[1]:
                of_kind = scales_of(kind, before[at], rate_hz)
            else:
                of_windows = scales_of(kind, x[:, at].reshape(-1, x.shape[2]), rate_hz).astype(np.float64)
                of_kind = np.median(of_windows.reshape(len(x), len(at)), axis=0)
            mine_by_name |= {kinds[c][0]: float(scale) for c, scale in zip(at, of_kind, strict=True)}
        scales[str(recording)] = {name: mine_by_name[name] for name, _ in kinds}
    return unit_disagreements(scales)


def store_settings(corpus: Corpus, config: PrepareConfig) -> dict:
    """Return all settings of the store of a corpus, as store.json holds them. Raises BadConfig for unknown channels."""
    keep = select_channels(corpus.channels, config.channels) if config.signals else []
    frames = config.frames_per_window or round(corpus.frames_per_s * config.window_s)
    return {
        "dataset": corpus.dataset,
        "synthetic": corpus.synthetic,
        **({"source": corpus.source} if corpus.source else {}),
        **({"reader": code._asdict()} if (code := code_of_class(type(corpus))) else {}),  # of a plug-in
        "prepare": stored_settings(config),
        "channels": [[corpus.channels[i].name, corpus.channels[i].kind] for i in keep],
        "rate_hz": corpus.rate_hz,
        "samples_per_window": round(config.window_s * corpus.rate_hz),
        "frames_per_window": max(1, frames) if config.faces else 0,
        **face_settings(config, corpus),
        "baseline_s": corpus.baseline_s,
        "labels": label_settings(corpus.labels),
        "versions": {"gbvnet": __version__}
        | {p: importlib.metadata.version(p) for p in ("numpy", "scipy", "av", "mediapipe")},
    }


def _require_landmarks(backend: str) -> None:
    """Raise BadModel or GbvnetError once, not for each recording, if the landmark back-end is missing."""
    from ..io.landmark_model import landmark_model_path
    from ..preprocessing.landmarks import open_landmarker

    if backend == "mediapipe":
        landmark_model_path()
    else:
        with open_landmarker(backend):
            pass


def _size(file: Path) -> int | None:
    return raw_files.recording_bytes(file) if file.exists() else None


def _refused(what: Recording | str, reason: str) -> dict:
    names = {"recording": what, "subject": what} if isinstance(what, str) else _names(what)
    return {**names, "verdict": "bad", "reason": reason}


def _files(corpus: Corpus, recording: Recording | None) -> dict[str, str]:
    """Return the files of a recording, if its corpus says what they are relative to; otherwise nothing."""
    folder = getattr(corpus, "source_folder", None)
    if folder is None or recording is None:
        return {}

    def relative(file: Path) -> str:
        return Path(os.path.relpath(file, folder)).as_posix()

    signals = " + ".join(source.label(relative(source.file)) for source in recording.sources)
    return {"signals": signals, "video": relative(recording.video) if recording.video else ""}


def _names(recording: Recording) -> dict:
    return {
        "recording": recording.name,
        "subject": recording.subject,
        "trial": recording.trial,
        "stimulus": recording.stimulus,
    }


def _prepare_all(
    work: "_Task", todo: list[Recording], jobs: Jobs, summary: PrepareSummary, progress: ProgressCallback | None
) -> Iterator[dict]:
    """Yield the metadata of each recording, prepared now or by an earlier run."""
    left = []
    for recording in todo:
        metadata = work.reusable(recording)
        if metadata:
            summary.n_reused += 1
            yield metadata
        else:
            left.append(recording)
    if left:
        mark_unfinished(work.path)
    if summary.n_reused:
        log.info("%d of %d recordings were prepared already", summary.n_reused, len(todo))
    done, seconds = 0.0, sum(r.seconds for r in left)
    with_video = work.config.faces and any(r.video for r in left)
    for batch, outcome in run(work, _batches(left, work.config.faces), jobs, isolate=with_video):
        done += sum(r.seconds for r in batch)
        if progress:
            progress(round(done), round(seconds), batch[-1].name)
        outcomes = outcome if isinstance(outcome, list) else [outcome] * len(batch)
        for recording, result in zip(batch, outcomes, strict=True):
            if isinstance(result, TaskDied):
                file, remedy = recording.video or recording.signals, "Is there enough memory? Is the file sound?"
                error = BadRecording(file, "a recording", f"one whose process was killed {MAX_ATTEMPTS} times", remedy)
                metadata = _refused(recording, str(error))
            elif isinstance(result, GbvnetError):
                metadata = _refused(recording, str(result))
            else:
                metadata = result
            yield metadata
            if metadata["verdict"] == "bad":
                summary.refuse(metadata["reason"])
            else:
                summary.n_prepared += 1
                summary.warnings += [f"{recording.name}: {warning}" for warning in metadata["findings"]]
                summary.recording_warnings += [(recording.name, warning) for warning in metadata["findings"]]


def _batches(recordings: list[Recording], faces: bool) -> list[list[Recording]]:
    """Return the recordings of each task: one with a video is a task of its own, because it takes seconds; those
    without share a task if they are of one subject and their signals share a file, so that it is read once."""
    batches: list[list[Recording]] = []
    for recording in recordings:
        joins = batches and not (faces and (recording.video or batches[-1][0].video))
        if joins and (batches[-1][0].signals, batches[-1][0].subject) == (recording.signals, recording.subject):
            batches[-1].append(recording)
        else:
            batches.append([recording])
    return batches


@dataclass(frozen=True)
class _Task:
    """Prepares recordings, in another process: it can be pickled."""

    corpus: Corpus
    path: Path
    config: PrepareConfig
    settings: dict

    def __call__(self, batch: list[Recording]) -> list[dict | GbvnetError]:
        workspace = Workspace()
        return [self._prepare_locked(recording, workspace) for recording in batch]

    def reusable(self, recording: Recording) -> dict | None:
        """Return the metadata from an earlier run; None if the raw files changed since, or the file is damaged."""
        try:
            metadata = prepared_recording(self.path, recording.name)
        except BadStore as e:
            log.warning("%s It is prepared again.", e)
            return None
        if metadata and not raw_files.is_unchanged(metadata["sources"], self._sources(recording)):
            log.warning(
                "%s: its raw files, or its entry in the corpus, changed since it was prepared; it is prepared again",
                recording.name,
            )
            return None
        return metadata

    def _prepare_locked(self, recording: Recording, workspace: Workspace) -> dict | GbvnetError:
        # The system releases the lock of a process that dies, so a lock file left behind does no harm.
        lock = FileLock(self.path / "locks" / f"{recording.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("%s: another process is preparing it; waiting", recording.name)
            lock.acquire()
        except OSError as e:
            return BadStore(lock.lock_file, "a file that can be written", e.strerror, "Finished work is kept.")
        try:
            return self.reusable(recording) or self._prepare(recording, workspace)
        except GbvnetError as e:
            return e
        except ValueError as e:  # of a library, for an unexpected file: the other recordings must not be lost
            file = recording.signals or recording.video or recording.name
            return BadRecording(file, "a recording that can be prepared", f"one that fails ({e})", REPORT)
        finally:
            lock.release()

    def _prepare(self, recording: Recording, workspace: Workspace) -> dict:
        """Write a recording's windows and return its metadata. Raises BadRecording, BadStore and others."""
        sources = self._sources(recording)  # before its video is inspected, as `reusable` compares them
        recording = self.corpus.inspect(recording)
        config = self.config
        starts = window_starts(recording.seconds, config.window_s, config.step_s or config.window_s)
        if not len(starts):
            actual = f"a stimulus of {recording.seconds:g} s"
            raise BadRecording(recording.name, f"at least one window of {config.window_s:g} s", actual)
        arrays: dict[str, np.ndarray] = {}
        warnings = list(recording.warnings)
        if config.signals and recording.signals is not None:
            arrays["signals"], arrays["baseline"] = self._signals(recording, starts, workspace)
            warnings += missing_windows(len(arrays["signals"]), starts, recording.signals)
            starts = starts[: len(arrays["signals"])]
        metadata = {
            **_names(recording),
            "verdict": "ok",
            "reason": "",
            "ratings": self._ratings(recording),
            "sources": sources,
            "start_s": starts.tolist(),
            "has_face": [False] * len(starts),
            "has_signals": "signals" in arrays,
        }
        traces, window_ratings = self._traces(recording, starts)
        metadata |= {"window_ratings": window_ratings} if window_ratings else {}
        if face_source(recording, self.corpus, config):
            n_frames = self.settings["frames_per_window"]
            faces, counts, warning = prepare_faces(recording, self.corpus, config, n_frames, starts)
            arrays |= faces
            has_face = arrays["face_ok"].any(axis=1)
            warnings += [warning] if warning else []
            metadata |= {"has_face": has_face.tolist(), **counts}
            if not has_face.all():
                when = _spans(starts[~has_face], config.window_s)
                warnings.append(f"no face in {int((~has_face).sum())} of {len(starts)} windows: {when}")
        if not arrays:
            raise BadRecording(recording.name, "a face video, face features or signals", "none of them")
        metadata |= {
            "findings": warnings,
            "n_windows": len(starts),
            "n_with_face": int(np.sum(metadata["has_face"])),
            "n_with_signals": len(starts) if "signals" in arrays else 0,
        }
        return write_recording(self.path, recording.name, arrays | traces, metadata)

    def _ratings(self, recording: Recording) -> dict[str, Label]:
        """Return the labels that the store has a column for; one of format 2 may lack some."""
        return {name: value for name, value in recording.ratings.items() if name in self.settings["labels"]}

    def _traces(
        self, recording: Recording, starts: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, list[float | None]]]:
        """Return the traces, (2, T) float64 by tensor, and by label column the mean of each window, if it has one."""
        means = {
            name: window_labels(trace.times_s, trace.values, starts, self.config.window_s)
            for name, trace in recording.traces.items()
        }
        tensors = {TRACE + name: trace.as_array() for name, trace in recording.traces.items()}
        return tensors, {name: [None if np.isnan(x) else x for x in of.tolist()] for name, of in means.items()}

    def _sources(self, recording: Recording) -> dict[str, Any]:
        """Return the sizes of the raw files, samples of them, and the corpus' entry of the recording: enough to notice
        that one of them was replaced or its header corrected, and the same on another disk."""
        given = {"video": recording.video, "signals": recording.signals, "face_features": recording.face_features}
        files = raw_files.states(given, [source.file for source in recording.signal_files])
        times: dict[str, Any] = {"signal_times": list(recording.signal_times)} if recording.signal_times else {}
        placed = [[*source.as_list(), _size(source.file)] for source in recording.signal_files]
        times |= {"signal_files": placed} if placed else {}
        if recording.video_times is not None and recording.video_times.exists():
            times["video_times"] = hashlib.sha256(recording.video_times.read_bytes()).hexdigest()
        digests = {name: hashlib.sha256(t.as_array().tobytes()).hexdigest() for name, t in recording.traces.items()}
        return files | times | ({"traces": digests} if digests else {}) | {
            "seconds": recording.seconds, "video_start_s": recording.video_start_s, "told": self._ratings(recording)
        }  # fmt: skip

    def _signals(self, recording: Recording, starts: np.ndarray, workspace: Workspace) -> tuple[np.ndarray, np.ndarray]:
        """Return the windows (W, C, L) and the baseline (C, B), float32."""
        raw = self.corpus.signals(recording)
        raw = raw.select(select_channels(raw.channels, self.config.channels))
        rate_hz = self.corpus.rate_hz
        signals = preprocess(raw, self.config, rate_hz, self.corpus.baseline_s, workspace)
        length = self.settings["samples_per_window"]
        return cut(signals.x, signals.onset, rate_hz, starts, length), signals.baseline


def _spans(starts: np.ndarray, window_s: float, most: int = 5) -> str:
    """Return the times of windows as text, "3 to 5 s, 11 to 12 s", from the start of the stimulus."""
    edges = np.flatnonzero(np.diff(starts) > window_s + 1e-9) + 1
    spans = [f"{part[0]:g} to {part[-1] + window_s:g} s" for part in np.split(starts, edges)]
    return ", ".join(spans[:most]) + (f" and {len(spans) - most} times more" if len(spans) > most else "")

"""From raw recordings to a store of windows: resumable, several recordings at once, one bad one stopping none.

Shapes: W windows, F face frames a window, S face side, C signal channels, L samples a window.
"""

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
from ..config import PrepareConfig, to_dict
from ..datasets.check import check_corpus
from ..datasets.duplicates import notes, second_of_one_file
from ..datasets.recording import Corpus, Recording
from ..datasets.units import LEVELS, scale_of, unit_disagreements
from ..errors import BadRecording, BadStore, GbvnetError, TaskDied
from ..io.atomic import remove_stale_temp_files
from ..parallel.tasks import TRIES, Jobs, run
from ..preprocessing.signals import choose, clean
from ..preprocessing.windowing import cut, lost, window_starts
from ..progress import ProgressCallback
from .reader import Store, open_store
from .writer import create_store, finish_store, mark_unfinished, prepared_recording, write_recording

log = logging.getLogger(__name__)
SOME_WINDOWS = 5  # of each recording that are looked at to compare the sizes of channels
REPORT = "Please report it with the file's format and rate."


@dataclass
class Summary:
    """What became of a corpus' recordings. `bad` holds a line for each that could not be used."""

    made: int = 0
    found: int = 0  # done by an earlier run
    bad: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)  # the same, as (recording, note)
    names: list[str] = field(default_factory=list)  # names in two spellings, files with the same bytes
    scales: list[str] = field(default_factory=list)  # channels that are a hundredfold larger in some recordings


def prepare_store(
    corpus: Corpus,
    path: str | Path,
    config: PrepareConfig | None = None,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Cut all windows of a corpus into a store at `path`.

    What an earlier run with the same settings finished is kept and not done again. Raises BadStore if the store was
    made with other settings or cannot be written, BadModel if faces are wanted and the landmark model is absent.
    """
    config, path = config or PrepareConfig(), Path(path)
    settings = store_settings(corpus, config)
    create_store(path, settings)
    summary, verdicts, todo = Summary(), [], []
    for unit in check_corpus(corpus, jobs, videos=False, progress=progress):
        todo += [recording for recording in unit.recordings if not recording.error]
        refused: list[tuple[Recording | str, str | None]]
        refused = [(unit.name, unit.error), *((recording, recording.error) for recording in unit.recordings)]
        for what, problem in refused:
            if problem:
                log.warning("BAD  %s", problem)
                summary.bad.append(problem)
                verdicts.append(_refused(what, problem))
    summary.names += notes(todo)
    summary.findings += summary.names
    for name, first in second_of_one_file(todo, path).items():
        found = f"that name and {first}, which are one file on this disk"
        told = str(BadRecording(path, f"a file of its own for recording {name}", found, "Rename one of them."))
        log.warning("BAD  %s", told)
        summary.bad.append(told)
        verdicts.append(_refused(next(r for r in todo if r.name == name), told))
        todo = [r for r in todo if r.name != name]
    if config.faces and any(r.video for r in todo):
        _require_landmarks(config.landmarks)
    work, by_name = _Work(corpus, path, config, settings), {r.name: r for r in todo}
    verdicts += _prepare_all(work, todo, jobs, summary, progress)
    verdicts = [verdict | _files(corpus, by_name.get(verdict["recording"])) for verdict in verdicts]
    try:
        with FileLock(path / "locks" / "tables"):  # another process may be at the same store, and end at the same time
            remove_stale_temp_files(path / "data")
            remove_stale_temp_files(path)
            finish_store(path, verdicts)
    except OSError as e:
        raise BadStore(path, "tables that can be written", e.strerror, "Finished work is kept; run again.") from None
    if config.signals and summary.made + summary.found > 1:
        summary.scales = scale_notes(open_store(path))
    return summary


def scale_notes(made: Store) -> list[str]:
    """Channels that some recordings of a store have in another unit than others, by their size in a few windows; of
    slow channels by the baseline before it is subtracted."""
    kinds = [(name, kind) for name, kind in made.settings["channels"]]
    rows = made.windows[made.windows["has_signals"]]
    scales: dict[str, dict[str, float]] = {}
    for recording, mine in rows.groupby("recording"):
        some = mine.index.to_numpy()[np.unique(np.linspace(0, len(mine) - 1, SOME_WINDOWS).round().astype(int))]
        x = made.read(some, faces=False)[2]  # (n, C, L)
        before = made.baseline(str(recording))
        scales[str(recording)] = {
            name: scale_of(kind, before[c], made.settings["rate_hz"])
            if kind in LEVELS and before is not None and before.shape[1]
            else float(np.median([scale_of(kind, one[c], made.settings["rate_hz"]) for one in x]))
            for c, (name, kind) in enumerate(kinds)
        }
    return unit_disagreements(scales)


def store_settings(corpus: Corpus, config: PrepareConfig) -> dict:
    """Everything that makes a store what it is, as store.json holds it."""
    keep = choose(corpus.channels, config.channels) if config.signals else []
    frames = config.frames_per_window or round(corpus.frames_per_s * config.window_s)
    return {
        "dataset": corpus.dataset,
        "synthetic": corpus.synthetic,
        **({"source": corpus.source} if corpus.source else {}),
        "prepare": to_dict(config),
        "channels": [[corpus.channels[i].name, corpus.channels[i].kind] for i in keep],
        "rate_hz": corpus.rate_hz,
        "samples_per_window": round(config.window_s * corpus.rate_hz),
        "frames_per_window": max(1, frames) if config.faces else 0,
        "face_side": config.face_side if config.faces else 0,
        "baseline_s": corpus.baseline_s,
        "versions": {"gbvnet": __version__}
        | {p: importlib.metadata.version(p) for p in ("numpy", "scipy", "av", "mediapipe")},
    }


def _require_landmarks(backend: str) -> None:
    """Now, rather than once for each recording."""
    from ..io.landmark_model import landmark_model
    from ..preprocessing.faces import open_landmarker

    if backend == "mediapipe":
        landmark_model()
    else:
        with open_landmarker(backend):
            pass


def _refused(what: Recording | str, reason: str) -> dict:
    names = {"recording": what, "subject": what} if isinstance(what, str) else _names(what)
    return {**names, "verdict": "bad", "reason": reason}


def _files(corpus: Corpus, recording: Recording | None) -> dict[str, str]:
    """Where a recording comes from, for a corpus that says what its files are relative to; nothing for others."""
    folder = getattr(corpus, "source_folder", None)
    if folder is None or recording is None:
        return {}
    files = {"signals": recording.signals, "video": recording.video}
    return {name: Path(os.path.relpath(file, folder)).as_posix() if file else "" for name, file in files.items()}


def _names(recording: Recording) -> dict:
    return {
        "recording": recording.name,
        "subject": recording.subject,
        "trial": recording.trial,
        "stimulus": recording.stimulus,
    }


def _prepare_all(
    work: "_Work", todo: list[Recording], jobs: Jobs, summary: Summary, progress: ProgressCallback | None
) -> Iterator[dict]:
    """Yield what is known of each recording, made now or found done."""
    left = []
    for recording in todo:
        about = work.known(recording)
        if about:
            summary.found += 1
            yield about
        else:
            left.append(recording)
    if left:
        mark_unfinished(work.path)
    if summary.found:
        log.info("%d of %d recordings were done already", summary.found, len(todo))
    done, seconds = 0.0, sum(r.seconds for r in left)
    filmed = work.config.faces and any(r.video for r in left)
    for batch, outcome in run(work, _batches(left, work.config.faces), jobs, apart=filmed):
        done += sum(r.seconds for r in batch)
        if progress:
            progress(round(done), round(seconds), batch[-1].name)
        for recording, about in zip(
            batch, outcome if isinstance(outcome, list) else [outcome] * len(batch), strict=True
        ):
            if isinstance(about, TaskDied):
                file, remedy = recording.video or recording.signals, "Is there enough memory? Is the file sound?"
                told = BadRecording(file, "a recording", f"one whose process was killed {TRIES} times", remedy)
                about = _refused(recording, str(told))
            elif isinstance(about, GbvnetError):
                about = _refused(recording, str(about))
            yield about
            if about["verdict"] == "bad":
                summary.bad.append(about["reason"])
                log.warning("BAD  %s", about["reason"])
            else:
                summary.made += 1
                summary.findings += [f"{recording.name}: {f}" for f in about["findings"]]
                summary.notes += [(recording.name, f) for f in about["findings"]]


def _batches(recordings: list[Recording], faces: bool) -> list[list[Recording]]:
    """What one task takes on: a recording with a video alone, since it takes seconds; those without one by the file
    their signals share, so that it is read once."""
    batches: list[list[Recording]] = []
    for recording in recordings:
        joins = batches and not (faces and (recording.video or batches[-1][0].video))
        if joins and batches[-1][0].signals == recording.signals:
            batches[-1].append(recording)
        else:
            batches.append([recording])
    return batches


@dataclass(frozen=True)
class _Work:
    """Picklable: prepares recordings in another process."""

    corpus: Corpus
    path: Path
    config: PrepareConfig
    settings: dict

    def __call__(self, batch: list[Recording]) -> list[dict | GbvnetError]:
        return [self._one(recording) for recording in batch]

    def known(self, recording: Recording) -> dict | None:
        """What an earlier run found, unless the raw files changed since, or the file is damaged."""
        try:
            about = prepared_recording(self.path, recording.name)
        except BadStore as e:
            log.warning("%s It is made again.", e)
            return None
        if about and about["sources"] != _sources(recording):
            log.warning(
                "%s: its raw files, or what is told of it, changed since it was prepared; it is made again",
                recording.name,
            )
            return None
        return about

    def _one(self, recording: Recording) -> dict | GbvnetError:
        # The system frees the lock of a process that dies, so a lock file left behind stops nobody.
        lock = FileLock(self.path / "locks" / f"{recording.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("%s: another process is at it; waiting", recording.name)
            lock.acquire()
        except OSError as e:
            return BadStore(lock.lock_file, "a file that can be written", e.strerror, "Finished work is kept.")
        try:
            return self.known(recording) or self._make(recording)
        except GbvnetError as e:
            return e
        except ValueError as e:  # of a library that met what it does not expect: no other recording is lost with it
            file = recording.signals or recording.video or recording.name
            return BadRecording(file, "a recording that can be prepared", f"one that fails ({e})", REPORT)
        finally:
            lock.release()

    def _make(self, recording: Recording) -> dict:
        sources = _sources(recording)  # before its video was looked at, as `known` will see it
        recording = self.corpus.inspect(recording)
        config = self.config
        starts = window_starts(recording.seconds, config.window_s, config.step_s or config.window_s)
        if not len(starts):
            found = f"a stimulus of {recording.seconds:g} s"
            raise BadRecording(recording.name, f"at least one window of {config.window_s:g} s", found)
        arrays: dict[str, np.ndarray] = {}
        findings = list(recording.warnings)
        if config.signals and recording.signals is not None:
            arrays["signals"], arrays["baseline"] = self._signals(recording, starts)
            findings += lost(len(arrays["signals"]), starts)
            starts = starts[: len(arrays["signals"])]
        about = {
            **_names(recording),
            "verdict": "ok",
            "reason": "",
            "ratings": recording.ratings,
            "sources": sources,
            "start_s": starts.tolist(),
            "has_face": [False] * len(starts),
            "has_signals": "signals" in arrays,
        }
        if config.faces and recording.video is not None:
            faces, told = self._faces(recording, starts)
            arrays |= faces
            has_face = arrays["face_ok"].any(axis=1)
            finding = told.pop("finding")
            findings += [finding] if finding else []
            about |= {"has_face": has_face.tolist(), **told}
            if not has_face.all():
                when = _spans(starts[~has_face], config.window_s)
                findings.append(f"no face in {int((~has_face).sum())} of {len(starts)} windows: {when}")
        if not arrays:
            raise BadRecording(recording.name, "a face video or signals", "neither")
        about |= {
            "findings": findings,
            "n_windows": len(starts),
            "n_with_face": int(np.sum(about["has_face"])),
            "n_with_signals": len(starts) if "signals" in arrays else 0,
        }
        return write_recording(self.path, recording.name, arrays, about)

    def _signals(self, recording: Recording, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The windows (W, C, L), and the baseline (C, B) that was before them, float32."""
        raw = self.corpus.signals(recording)
        raw = raw.select(choose(raw.channels, self.config.channels))
        rate_hz = self.corpus.rate_hz
        x, onset, before = clean(raw, self.config, rate_hz, self.corpus.baseline_s)
        return cut(x, onset, rate_hz, starts, self.settings["samples_per_window"]), before

    def _faces(self, recording: Recording, starts: np.ndarray) -> tuple[dict[str, np.ndarray], dict]:
        """faces (W, F, S, S, 3), face_ok (W, F), expression (W, F, 52), and what to know of them."""
        from ..preprocessing.face_windows import FaceWindows

        assert recording.video is not None
        windows = FaceWindows(
            recording.video,
            starts,
            window_s=self.config.window_s,
            n_frames=self.settings["frames_per_window"],
            side=self.config.face_side,
            backend=self.config.landmarks,
            video_start_s=recording.video_start_s,
            info=recording.video_info,
        )
        parts = list(windows)
        if not windows.found:
            raise BadRecording(
                recording.video,
                f"a face in at least one of {len(windows.frames)} frames",
                "none",
                "Look at the video; take it away to use the signals alone.",
            )
        arrays = {
            "faces": np.concatenate([p.faces for p in parts]),
            "face_ok": np.concatenate([p.ok for p in parts]),
        }
        expressions = [p.expression for p in parts if p.expression is not None]
        if expressions:
            arrays["expression"] = np.concatenate(expressions)
        counts = {"found": windows.found, "borrowed": windows.borrowed, "missing": windows.missing}
        return arrays, {**{f"frames_{k}": n for k, n in counts.items()}, "finding": windows.finding}


def _spans(starts: np.ndarray, window_s: float, most: int = 5) -> str:
    """When windows are, in few words: "3 to 5 s, 11 to 12 s" after the stimulus' start."""
    edges = np.flatnonzero(np.diff(starts) > window_s + 1e-9) + 1
    spans = [f"{part[0]:g} to {part[-1] + window_s:g} s" for part in np.split(starts, edges)]
    return ", ".join(spans[:most]) + (f" and {len(spans) - most} times more" if len(spans) > most else "")


def _sources(recording: Recording) -> dict[str, Any]:
    """Sizes of the raw files, and what the corpus says of the recording: enough to notice that one of them was replaced
    or corrected, and the same on another disk."""
    files = {"video": recording.video, "signals": recording.signals}
    sizes = {name: file.stat().st_size for name, file in files.items() if file is not None and file.exists()}
    times = {"signal_times": list(recording.signal_times)} if recording.signal_times else {}
    return sizes | times | {
        "seconds": recording.seconds, "video_start_s": recording.video_start_s, "told": recording.ratings
    }  # fmt: skip

"""Predict many recordings and write the results: those of a corpus, or one recording given as files."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..config import Times
from ..datasets import open_corpus
from ..datasets.formats import raw_files
from ..datasets.formats.device_signatures import device_name
from ..datasets.recording import Corpus, Recording
from ..errors import BadConfig, BadModel, BadRecording, GbvnetError
from ..io.path_kinds import require_folder_to_write
from ..network.checkpoint.folder import fingerprint
from ..network.checkpoint.hub import find_model
from ..parallel.tasks import run
from ..plugins import code_of_class
from ..progress import ProgressCallback
from ..text import listed, shortened
from .predict import cached_predictor, predict_recording, recording_of_files, require_smooth
from .prediction import RecordingPrediction, read_details
from .predictor import Predictor
from .timeline import HTML, write_timeline

# What decides on a prediction, too, and what 0.2.0 did not keep: it is compared where it was kept.
_ADDED = (raw_files.SAMPLES, "seconds", "signal_times", "face_features", "corpus")


@dataclass(frozen=True)
class PredictionSettings:
    """Settings that apply to every recording.

    step_s : from one window to the next; the window length if None
    smooth_s : also average the curves over so many seconds around each window
    rename : the model's name of a channel -> the file's
    device : auto, cpu or gpu
    precision : 32, bf16, or auto: bf16 where the device computes it itself
    landmark_every : face frames from one detection of landmarks to the next (PrepareConfig); the model's if None
    """

    step_s: float | None = None
    smooth_s: float | None = None
    rename: dict[str, str] = field(default_factory=dict)
    device: str = "auto"
    precision: str = "32"
    landmark_every: int | None = None


@dataclass(frozen=True)
class FileSource:
    """One recording: a video, signal files, or both (`open_recording`); `times` chooses a part of it."""

    files: Sequence[Path]
    times: Times | None = None


@dataclass(frozen=True)
class CorpusSource:
    """Recordings of a corpus (deap, mahnob, table) in a folder: all, or those with the given names and subjects.

    options : further arguments of the corpus' reader, as `clock` of affec
    """

    corpus: str
    folder: Path
    recordings: Sequence[str] = ()
    subjects: Sequence[str] = ()
    options: dict[str, Any] = field(default_factory=dict)


class BatchPrediction(NamedTuple):
    """The result of several recordings: report lines, and the number of recordings that failed."""

    lines: list[str]
    bad: int


def predict_many(
    model: Path,
    source: FileSource | CorpusSource,
    out: Path,
    settings: PredictionSettings | None = None,
    *,
    overwrite: bool = False,
    jobs: int = 1,
    progress: ProgressCallback | None = None,
) -> BatchPrediction:
    """Predict recordings and write emotions.csv, recording.json and the timelines of each.

    model : its folder, or user/name on the Hugging Face hub
    out : folder of the files; for a corpus, with a folder per recording
    overwrite : replace existing predictions. Without it, a recording of files is refused if it has one; of a corpus, a
        recording that this model predicted with the same settings is skipped, so that an interrupted batch can
        continue, and any other is an error.
    jobs : processes

    An error in one recording does not stop the others. Raises BadModel, BadConfig or BadRecording if the batch cannot
    start.
    """
    name, settings = Path(model).name, settings or PredictionSettings()
    model = find_model(model)  # of the hub: one copy for the whole batch, which has a fingerprint
    predictor = cached_predictor(model, settings.device, settings.precision)
    predictor = predictor.with_landmark_every(settings.landmark_every)
    require_folder_to_write(out)
    if out.is_file():
        raise BadConfig(f"{out} is a file: give a folder to write into")
    predictor.require_step(settings.step_s)
    require_smooth(settings.smooth_s)
    corpus, recordings = _open_source(source, predictor, settings)
    single = isinstance(source, FileSource)
    if single:
        settings = replace(settings, rename={})  # the channels of the recording are renamed already
    task = PredictionTask(model, corpus, Path(out), settings, single, fingerprint(model), name)
    lines, bad, todo = _skip_existing(task, recordings, overwrite)
    for done, (recording, result) in enumerate(_results(task, todo, jobs, progress), 1):
        if progress is not None and len(todo) > 1:
            progress(done, len(todo), recording.name)
        if isinstance(result, GbvnetError):
            bad += 1
            lines.append(f"BAD  {recording.name}: {result}")
            continue
        lines.append(report_line(result))
        lines += [f"note {recording.name}: {warning}" for warning in result.warnings]
    lines.append(f"note {predictor.accuracy_note}")
    lines.append(f"{len(recordings) - bad} recordings predicted, {bad} bad; in {out}")
    return BatchPrediction(lines, bad)


def report_line(prediction: RecordingPrediction) -> str:
    """Return a summary of one recording's prediction in one line."""
    stamp = f" [{'; '.join(prediction.stamps)}]" if prediction.stamps else ""
    return (
        f"ok   {prediction.name}: {len(prediction.table)} windows, {prediction.outputs.summary(prediction.table)}; "
        f"{prediction.details['times_real_time']:g} x real time{stamp}"
    )


@dataclass(frozen=True)
class PredictionTask:
    """Predicts recordings of a corpus and writes the results, in this process or another (it can be pickled)."""

    model: Path
    corpus: Corpus
    out: Path
    settings: PredictionSettings
    single: bool  # the files are written into `out` itself, not into a folder of the recording's name
    model_fingerprint: tuple = ()  # of the model that the batch began with; empty: any model
    model_name: str = ""  # as in recording.json; the name of the model's folder if empty

    def __call__(self, recording: Recording) -> RecordingPrediction:
        """Predict one recording. Raises GbvnetError."""
        return self.predict(recording, None)

    def predict(self, recording: Recording, progress: ProgressCallback | None) -> RecordingPrediction:
        """Predict one recording and report windows. Raises GbvnetError."""
        if recording.error:
            raise GbvnetError(recording.error)
        if self.model_fingerprint not in ((), fingerprint(self.model)):
            replaced = "another: it was replaced meanwhile"
            raise BadModel(
                self.model, "the model that the prediction began with", replaced, "Predict these recordings again."
            )
        predictor = cached_predictor(self.model, self.settings.device, self.settings.precision)
        predictor = predictor.with_landmark_every(self.settings.landmark_every)
        prediction = predict_recording(
            predictor, self.corpus, recording, step_s=self.settings.step_s, smooth_s=self.settings.smooth_s,
            rename=self.settings.rename, progress=progress,
        )  # fmt: skip
        named = {"model": self.model_name} if self.model_name else {}
        details = prediction.details | named | {"asked": self.inputs(recording)}
        prediction = replace(prediction, details=details)
        folder = self.folder(recording)
        prediction.write(folder)
        write_timeline(prediction, folder)
        return replace(prediction, faces=())

    def folder(self, recording: Recording) -> Path:
        """Return the folder of a recording's files."""
        return self.out if self.single else self.out / recording.name

    def inputs(self, recording: Recording) -> dict[str, Any]:
        """Return all that determines a prediction, as in recording.json: model, files by name and size, settings."""
        files = [
            f
            for f in (recording.video, recording.video_times, *(one.file for one in recording.sources))
            if f is not None
        ]
        placed: dict[str, Any]
        placed = {"signal_files": [one.as_list() for one in recording.signal_files]} if recording.signal_files else {}
        if self.settings.precision != "32":
            placed["precision"] = self.settings.precision
        if self.settings.landmark_every is not None:
            placed["landmark_every"] = self.settings.landmark_every
        times = getattr(self.corpus, "times", None)  # of files
        return {
            "model_sha256": self.model_fingerprint[0] if self.model_fingerprint else None,
            "files": [[f.name, _size(f)] for f in files],
            raw_files.SAMPLES: [raw_files.samples(f) for f in files if f.exists()],
            "video_start_s": recording.video_start_s,
            "seconds": recording.seconds,
            "signal_times": list(recording.signal_times),
            "face_features": _identity(recording.face_features),
            "corpus": self._corpus_settings(),
            "times": None if times is None else {f.name: getattr(times, f.name) for f in fields(Times)},
            "rename": self.settings.rename or dict(getattr(self.corpus, "renamed", {})),
            "step_s": self.settings.step_s,
            "smooth_s": self.settings.smooth_s,
        } | placed

    def _corpus_settings(self) -> dict[str, Any]:
        """Return what the corpus decides for all its recordings, as the settings of its text files in `source`."""
        code = code_of_class(type(self.corpus))  # of a plug-in
        return {
            "source": self.corpus.source,
            "baseline_s": self.corpus.baseline_s,
            "channels": [[c.name, c.kind, c.filtered] for c in self.corpus.channels],
            "reader": None if code is None else code._asdict(),
        }

    def unknown(self, recording: Recording) -> str:
        """Return which inputs of an existing prediction are not known, as the end of a sentence; "" if all are."""
        existing = read_details(self.folder(recording)) or {}
        earlier = existing.get("asked") or {}
        unknown = [name for name in _ADDED if name not in earlier]
        if self.model_fingerprint and earlier.get("model_sha256", "") is None:
            unknown.append("model_sha256")
        if not unknown:
            return ""
        return f"; its version did not keep {listed(unknown)}, which are not compared: --overwrite predicts it again"

    def is_done(self, recording: Recording, overwrite: bool) -> bool:
        """Return whether a recording of a corpus has a complete prediction of these very inputs. Raises BadRecording
        if its folder has another prediction, which would be lost."""
        folder = self.folder(recording)
        existing = None if overwrite else read_details(folder)
        if existing is None:
            return False
        same = _is_unchanged(existing.get("asked") or {}, json.loads(json.dumps(self.inputs(recording))))
        if same and not (folder / HTML).exists():  # interrupted before its last file
            return False
        if same and not self.single:
            return True
        existing_one = f"one of {existing.get('recording', 'a recording')} by model {existing.get('model', '?')}"
        raise BadRecording(
            folder, "no prediction yet", existing_one, "Give another folder; or --overwrite, and it is replaced."
        )


def _is_unchanged(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether the inputs of a prediction are as they are now, as far as the version that made it kept them."""
    known = {name: value for name, value in now.items() if name in earlier or name not in _ADDED}
    if earlier.get("model_sha256", "") is None:  # 0.2.0 knew no digest of a model of the hub
        known |= {"model_sha256": None}
    return earlier == known


def _identity(file: Path | None) -> list[Any] | None:
    """Return name, size and a digest of samples of a file; None without one."""
    return None if file is None else [file.name, _size(file), raw_files.samples(file)]


def _size(file: Path) -> int | None:
    """Return the size of a file, or of the files in the folder of a device; None for other folders."""
    return raw_files.recording_bytes(file) if file.is_file() or device_name(file) is not None else None


def _open_source(
    source: FileSource | CorpusSource, predictor: Predictor, settings: PredictionSettings
) -> tuple[Corpus, list[Recording]]:
    if isinstance(source, FileSource):
        corpus: Any = recording_of_files(predictor, source.files, source.times, settings.rename)
        if settings.rename and corpus.recording.signals is None:
            pair = "=".join(next(iter(settings.rename.items())))
            raise BadConfig(f"--rename {pair}: no file of signals is given, whose channel it could be")
        return corpus, corpus.recordings(corpus.units[0])
    corpus = open_corpus(source.corpus, source.folder, **source.options)
    return corpus, list(_selected(corpus, source.recordings, source.subjects))


def _selected(corpus: Corpus, recordings: Sequence[str], subjects: Sequence[str]) -> Iterator[Recording]:
    """Yield the recordings of the given names and subjects. Raises BadConfig for a name that the corpus lacks."""
    available = [r for unit in corpus.units for r in corpus.recordings(unit)]
    for names, existing, kind in (
        (recordings, {r.name for r in available}, "recording"),
        (subjects, {r.subject for r in available}, "subject"),
    ):
        unknown = [name for name in names if name not in existing]
        if unknown:
            raise BadConfig(f"the corpus has no {kind} {unknown[0]}; it has {shortened(sorted(existing), 8)}")
    for recording in available:
        if (not recordings or recording.name in recordings) and (not subjects or recording.subject in subjects):
            yield recording


def _skip_existing(
    task: PredictionTask, recordings: Sequence[Recording], overwrite: bool
) -> tuple[list[str], int, list[Recording]]:
    """Return report lines, the number of errors, and the recordings that remain to be predicted."""
    lines, bad, todo = [], 0, []
    for recording in recordings:
        try:
            done = task.is_done(recording, overwrite)
        except BadRecording as error:
            if task.single:
                raise
            bad += 1
            lines.append(f"BAD  {recording.name}: {error}")
            continue
        if done:
            unknown = task.unknown(recording)
            lines.append(f"kept {recording.name}: predicted before, by this model with these settings{unknown}")
        else:
            todo.append(recording)
    return lines, bad, todo


def _results(
    task: PredictionTask, todo: Sequence[Recording], jobs: int, progress: ProgressCallback | None
) -> Iterable[tuple[Recording, RecordingPrediction | GbvnetError]]:
    if len(todo) != 1:
        return run(task, todo, jobs)
    try:  # in this process, so that its windows can be counted
        return [(todo[0], task.predict(todo[0], progress))]
    except GbvnetError as error:
        return [(todo[0], error)]

"""A model and a recording -> emotions second by second, through the very windows, filters and faces of its training.

Signals of a recording are read and filtered whole, as in training; its faces pass by a few windows at a time, so that
memory does not grow with a video.
"""

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import __version__
from ..config import Times
from ..datasets import open_corpus
from ..datasets.channel_names import match_channels
from ..datasets.recording import Corpus, Recording
from ..datasets.single_recording import SingleRecording, open_recording
from ..datasets.units import unlike_training
from ..errors import BadConfig, BadModel, BadRecording, GbvnetError
from ..io.path_kinds import require_folder_to_write, similar
from ..network.checkpoint.folder import fingerprint
from ..parallel.prefetch import ahead
from ..parallel.tasks import run
from ..preprocessing.face_windows import FacePart, FaceSettings, FaceWindows
from ..preprocessing.signals import missing_bandwidth, preprocess
from ..preprocessing.windowing import cut, missing_windows, window_starts
from ..progress import ProgressCallback
from .prediction import Emotions, far_finding, flags, held_prediction, with_smooth
from .predictor import Answers, Predictor
from .timeline import HTML, write_timeline

PART = 16  # windows of faces at a time
PICTURES = 12  # faces kept for the timeline


def predict_recording(
    predictor: Predictor,
    corpus: Corpus,
    recording: Recording,
    *,
    step_s: float | None = None,
    smooth_s: float | None = None,
    rename: dict[str, str] | None = None,
    progress: ProgressCallback | None = None,
) -> Emotions:
    """Ask a model about every window of a recording.

    step_s : from one window to the next; the windows' own length if not given
    smooth_s : also give means of the curves over so many seconds around each window (`emotions.with_smooth`)
    rename : the model's name of a channel -> the corpus'

    A modality that the recording lacks is done without, if the model learnt to, and that is a finding. Raises
    BadRecording if a file is broken, too short, without a face or without channels that are needed; BadConfig if the
    model cannot do without what is missing.
    """
    began = time.perf_counter()
    predictor.require_step(step_s)
    _require_smooth(smooth_s)
    recording = corpus.inspect(recording)
    window_s = predictor.prepare.window_s
    starts = window_starts(recording.seconds, window_s, step_s or window_s)
    if not len(starts):
        raise BadRecording(
            recording.signals or recording.video or recording.name, f"at least one window of {window_s:g} s",
            f"{recording.seconds:g} s", "It is too short for this model.",
        )  # fmt: skip
    findings = list(recording.warnings)
    use_face = predictor.sees_face and recording.video is not None
    use_signals = predictor.sees_signals and recording.signals is not None
    _require_enough(predictor, recording, use_face, use_signals)
    findings += _missing(predictor, use_face, use_signals)
    signals = None
    if use_signals:
        signals, slow = _signals(predictor, corpus, recording, starts, rename or {})
        findings += [slow] if slow else []
    if signals is not None:
        findings += missing_windows(len(signals), starts)
        if not predictor.per_recording:
            sd = np.asarray(predictor.network.signal_sd.cpu())
            findings += unlike_training([c.name for c in predictor.channels], signals, sd)
        starts = starts[: len(signals)]
    asked = _Asked(predictor, starts, signals, progress)
    faces = _faces(predictor, recording, starts) if use_face else None
    answers, ok, pictures = asked.all_of(faces)
    if faces is not None:
        if not faces.n_detected:
            if not use_signals or not predictor.can_do_without:
                raise BadRecording(
                    recording.video, f"a face in at least one of {len(faces.frames)} frames", "none",
                    "Look at the video; or leave it out, if the model can do without faces.",
                )  # fmt: skip
            findings.append("no face in the whole video: the signals alone")
        findings += [faces.warning] if faces.warning else []
    table = _table(asked, answers, ok)
    findings += [far] if (far := far_finding(table["flags"].tolist())) else []
    if smooth_s is not None:
        table = with_smooth(table, predictor.targets, smooth_s)
    return Emotions(
        recording.name,
        table,
        predictor.targets,
        use_face,
        use_signals,
        stamps(predictor),
        tuple(findings),
        _about(predictor, recording, time.perf_counter() - began),
        pictures,
        predictor.worth,
        smooth_s,
        predictor.high,
    )


def _about(predictor: Predictor, recording: Recording, seconds: float) -> dict[str, Any]:
    """Which model and which files, and how long it took."""
    return {
        "model": predictor.folder.name,
        "trained_on": predictor.about.get("dataset"),
        "gbvnet": __version__,
        "video": recording.video and recording.video.name,
        "signals": recording.signals and recording.signals.name,
        "seconds": recording.seconds,
        "took_s": round(seconds, 3),
        "times_real_time": round(recording.seconds / seconds, 2),
    }


def _require_smooth(smooth_s: float | None) -> None:
    if smooth_s is not None and not 0 < smooth_s < math.inf:
        raise BadConfig(f"smooth_s, over which curves are smoothed, must be above 0 seconds, not {smooth_s:g}")


def stamps(predictor: Predictor) -> tuple[str, ...]:
    """What must be read before any number of a model."""
    return predictor.stamps


def _require_enough(predictor: Predictor, recording: Recording, use_face: bool, use_signals: bool) -> None:
    if not use_face and not use_signals:
        wanted = "a face video" if not predictor.sees_signals else "signals" if not predictor.sees_face else "either"
        raise BadConfig(f"{recording.name}: the model sees {predictor.network.config.modality}: give it {wanted}")
    lacking = (predictor.sees_face and not use_face) or (predictor.sees_signals and not use_signals)
    if lacking and not predictor.can_do_without:
        what = "signals" if use_face else "a face video"
        raise BadConfig(
            f"{recording.name} has no {what}, and this model learnt nothing to put in their place "
            "(model.modality_dropout 0): give both, or another model"
        )


def _missing(predictor: Predictor, use_face: bool, use_signals: bool) -> Iterator[str]:
    if predictor.sees_face and not use_face:
        yield "no face video: the signals alone, and what was learnt to stand in for a face"
    if predictor.sees_signals and not use_signals:
        yield "no signals: the face alone, and what was learnt to stand in for signals"


def _signals(
    predictor: Predictor, corpus: Corpus, recording: Recording, starts: np.ndarray, rename: dict[str, str]
) -> tuple[np.ndarray, str]:
    """(W, C, L) float32, the channels in the model's order; and what their rate lacks, or nothing."""
    raw = corpus.signals(recording)
    names = [c.name for c in raw.channels]
    wanted = [c.name for c in predictor.channels]
    match = match_channels(wanted, names, rename)
    if match.missing:
        raise BadRecording(
            recording.signals, f"the {len(wanted)} channels that the model was trained on",
            f"none for {match.hint} among {', '.join(names)}",
            f"If one has another name there: --rename {match.missing[0]}=NAME.",
        )  # fmt: skip
    raw = raw.select(match.positions)
    about = predictor.about
    cleaned = preprocess(raw, predictor.prepare, about["rate_hz"], about["baseline_s"])
    made = cut(cleaned.x, cleaned.onset, about["rate_hz"], starts, about["samples_per_window"])
    if not np.isfinite(made).all():
        bad = [name for name, x in zip(wanted, made.transpose(1, 0, 2), strict=True) if not np.isfinite(x).all()]
        raise BadRecording(recording.signals, "finite samples", f"NaN or infinite ones in {', '.join(bad[:8])}")
    return made, missing_bandwidth(raw.channels, raw.rates_hz or raw.rate_hz, about["rate_hz"])


def _faces(predictor: Predictor, recording: Recording, starts: np.ndarray) -> FaceWindows:
    assert recording.video is not None
    settings = FaceSettings(
        predictor.prepare.window_s,
        predictor.about["frames_per_window"],
        predictor.about["face_side"],
        predictor.prepare.landmarks,
    )
    return FaceWindows(
        recording.video,
        starts,
        settings,
        video_start_s=recording.video_start_s,
        info=recording.video_info,
        part=PART,
        prefetch=True,
    )


@dataclass
class _Asked:
    """The windows of a recording, put to a model while the next faces are looked for."""

    predictor: Predictor
    starts: np.ndarray
    signals: np.ndarray | None
    progress: ProgressCallback | None
    far_faces: list[str] = field(default_factory=list)  # of each window, once `all_of` has seen its face

    def all_of(
        self, faces: FaceWindows | None
    ) -> tuple[Answers, np.ndarray | None, tuple[tuple[float, np.ndarray], ...]]:
        """Answers to all windows, which frames show a face (W, F), and a few pictures."""
        scaled = self._scaled()
        if faces is None:
            answers = self.predictor.ask(None, None, scaled)
            self._tell(len(self.starts))
            return answers, None, ()
        found: list[Answers] = []
        ok: list[np.ndarray] = []
        pictures: list[tuple[float, np.ndarray]] = []
        every = max(1, -(-len(self.starts) // PICTURES))
        waiting: Future | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="ask") as asker, closing(ahead(faces, 2)) as parts:
            for part in parts:
                if waiting is not None:
                    found.append(waiting.result())
                    self._tell(sum(len(a.p) for a in found))
                waiting = asker.submit(self._ask, part, scaled)
                ok.append(part.ok)
                self.far_faces += self.predictor.far_faces(part.faces, part.ok)
                pictures += self._pictures(part, every)
            if waiting is not None:
                found.append(waiting.result())
        self._tell(len(self.starts))
        return Answers(*(np.concatenate(c) for c in zip(*found, strict=True))), np.concatenate(ok), tuple(pictures)

    def _pictures(self, part: FacePart, every: int) -> Iterator[tuple[float, np.ndarray]]:
        for k in range(-part.first % every, len(part.ok), every):
            if part.ok[k].any():
                yield float(self.starts[part.first + k]), part.faces[k, int(part.ok[k].argmax())]

    def _ask(self, part: FacePart, scaled: np.ndarray | None) -> Answers:
        mine = None if scaled is None else scaled[part.first : part.first + len(part.ok)]
        if part.ok.any(axis=1).all() or (mine is not None and self.predictor.can_do_without):
            return self.predictor.ask(part.faces, part.ok, mine)
        has: np.ndarray = np.asarray(
            part.ok.any(axis=1)
        )  # windows without a face, and nothing to put in its place: no answer
        some = self.predictor.ask(part.faces[has], part.ok[has], None if mine is None else mine[has])
        return Answers(*(_spread(values, has) for values in some))

    def _scaled(self) -> np.ndarray | None:
        """Signals as the network wants them: as they are, or, if it was trained so, z-scored by the recording."""
        if self.signals is None or not self.predictor.per_recording:
            return self.signals
        mean = self.signals.mean(axis=(0, 2), dtype=np.float64)[:, None]
        sd = self.signals.std(axis=(0, 2), dtype=np.float64)[:, None]
        return ((self.signals - mean) / np.where(sd > 0, sd, 1)).astype(np.float32)

    def _tell(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, len(self.starts), "windows")


def _spread(values: np.ndarray, has: np.ndarray) -> np.ndarray:
    out = np.full((len(has), *values.shape[1:]), np.nan)
    out[has] = values
    return out


def _table(asked: _Asked, answers: Answers, ok: np.ndarray | None) -> pd.DataFrame:
    predictor, starts, signals, n = asked.predictor, asked.starts, asked.signals, len(asked.starts)
    columns = {"start_s": starts, "stop_s": starts + predictor.prepare.window_s}
    columns |= {target: answers.p[:, k] for k, target in enumerate(predictor.targets)}
    columns |= {"gate_face": answers.gate_face, "gate_bio": answers.gate_bio}
    columns["face_ok"] = ok.mean(axis=1) if ok is not None else np.zeros(n)
    columns["has_signals"] = np.full(n, signals is not None)
    net = predictor.network
    mean, sd = (net.signal_mean, net.signal_sd) if net.sees_signals else (np.zeros(0), np.ones(0))
    has_face = None if ok is None else np.asarray(ok.any(axis=1))
    seen = None if predictor.per_recording else signals  # else the training's scale says nothing of this one
    odd = flags(has_face, ok, seen, predictor.channels, np.asarray(mean), np.asarray(sd), asked.far_faces) if (
        has_face is not None or seen is not None) else [""] * n  # fmt: skip
    stamped, worth = predictor.notes
    return pd.DataFrame(columns).round({"start_s": 6, "stop_s": 6}).assign(flags=odd, stamps=stamped, worth=worth)


# --- several recordings ---


@dataclass(frozen=True)
class PredictWork:
    """Picklable: one recording, asked about and written, here or in another process."""

    model: Path
    corpus: Corpus
    out: Path
    step_s: float | None
    rename: tuple[tuple[str, str], ...]
    device: str
    alone: bool  # its files go straight into `out`, not into a folder of its name
    made_by: tuple = ()  # the fingerprint of the model that all recordings are put to; empty for any
    smooth_s: float | None = None

    def __call__(self, recording: Recording) -> Emotions:
        return self.told(recording, None)

    def told(self, recording: Recording, progress: ProgressCallback | None) -> Emotions:
        if recording.error:
            raise GbvnetError(recording.error)
        if self.made_by not in ((), fingerprint(self.model)):
            expected, found = "the model that the prediction began with", "another: it was replaced meanwhile"
            raise BadModel(self.model, expected, found, "Predict these recordings again.")
        predictor = _cached(self.model, self.device)
        emotions = predict_recording(
            predictor, self.corpus, recording, step_s=self.step_s, smooth_s=self.smooth_s, rename=dict(self.rename),
            progress=progress,
        )  # fmt: skip
        emotions = replace(emotions, about=emotions.about | {"asked": self.asked(recording)})
        folder = self.folder(recording)
        emotions.write(folder)
        write_timeline(emotions, folder)
        return replace(emotions, faces=())

    def folder(self, recording: Recording) -> Path:
        """Where its files go."""
        return self.out if self.alone else self.out / recording.name

    def asked(self, recording: Recording) -> dict[str, Any]:
        """What an answer follows from, as recording.json keeps it: model, files by name and size, and settings."""
        files = [f for f in (recording.video, recording.signals) if f is not None]
        times = getattr(self.corpus, "times", None)  # of files
        return {
            "model_sha256": self.made_by[0] if self.made_by else None,
            "files": [[f.name, f.stat().st_size if f.is_file() else None] for f in files],
            "video_start_s": recording.video_start_s,
            "times": None if times is None else {f.name: getattr(times, f.name) for f in fields(Times)},
            "rename": dict(self.rename) or dict(getattr(self.corpus, "renamed", {})),
            "step_s": self.step_s,
            "smooth_s": self.smooth_s,
        }

    def kept(self, recording: Recording, overwrite: bool) -> bool:
        """Whether its answer is there already and whole, of a corpus. Raises BadRecording for a prediction that would
        be lost."""
        folder = self.folder(recording)
        held = None if overwrite else held_prediction(folder)
        if held is None:
            return False
        same = held.get("asked") == json.loads(json.dumps(self.asked(recording)))
        if same and not (folder / HTML).exists():  # cut off before its last file
            return False
        if same and not self.alone:
            return True
        found = f"one of {held.get('recording', 'a recording')} by model {held.get('model', '?')}"
        raise BadRecording(
            folder, "no prediction yet", found, "Give another folder; or --overwrite, and it is replaced."
        )


_LOADED: dict[tuple[Path, str, tuple], Predictor] = {}


def _cached(model: Path, device: str) -> Predictor:
    """One model a process, however many recordings it is asked about; another one as soon as another is in its folder.

    A model of the hub is loaded once a process.
    """
    key = model, device, fingerprint(model)
    if key not in _LOADED:
        _LOADED.clear()
        _LOADED[key] = Predictor(model, device)
    return _LOADED[key]


def predict_files(
    model: str | Path,
    files: Sequence[str | Path],
    *,
    times: Times | None = None,
    rename: dict[str, str] | None = None,
    step_s: float | None = None,
    smooth_s: float | None = None,
    device: str = "auto",
) -> Emotions:
    """Ask a model about one recording: a video, a signal file, or both. `.table` is what emotions.csv would hold.

    times : where the part that is asked about lies; all of it if not given
    rename : the model's name of a channel -> the file's
    step_s, smooth_s : as in `predict_recording`
    Raises as `predict_recording`, and BadModel.
    """
    predictor = _cached(Path(model), device)
    made: Any = _open_recording(predictor, [Path(file) for file in files], times, rename)
    return predict_recording(predictor, made, made.recording, step_s=step_s, smooth_s=smooth_s)


def _open_recording(
    predictor: Predictor, files: list[Path], times: Times | None, rename: dict[str, str] | None
) -> SingleRecording:
    for file in files:
        if not file.exists():
            raise BadRecording(file, "a video or a file of signals", f"no such file{similar(file)}")
    wanted, about = predictor.channels if predictor.sees_signals else (), predictor.about
    return open_recording(files, wanted, about["rate_hz"], about["baseline_s"], times, rename, about)


class Done(NamedTuple):
    """What came of several recordings: a line each, and how many could not be used."""

    lines: list[str]
    bad: int


def predict_many(
    model: Path,
    files: Sequence[Path],
    out: Path,
    *,
    corpus: str | None = None,
    recordings: Sequence[str] = (),
    subjects: Sequence[str] = (),
    times: Times | None = None,
    rename: dict[str, str] | None = None,
    step_s: float | None = None,
    smooth_s: float | None = None,
    overwrite: bool = False,
    device: str = "auto",
    jobs: int = 1,
    progress: ProgressCallback | None = None,
) -> Done:
    """Ask a model about one recording of files, or about recordings of a corpus, and write what it says.

    files : a video, a signal file or both; with `corpus` (deap, mahnob, table) the corpus' folder
    recordings, subjects : which of a corpus, by name; all if neither is given

    overwrite : replace predictions that are there. Without it one of files is refused; of a corpus, a recording that
        was asked about by this very model with these settings is kept, so that a batch that was cut off goes on, and
        any other is bad.

    One recording that cannot be used stops no other. Raises BadModel, BadConfig or BadRecording if nothing can begin.
    """
    predictor = _cached(Path(model), device)
    require_folder_to_write(out)
    if out.is_file():
        raise BadConfig(f"{out} is a file: give a folder to write into")
    predictor.require_step(step_s)
    _require_smooth(smooth_s)
    if corpus is None:
        made: Any = _open_recording(predictor, list(files), times, rename)
        chosen = made.recordings(made.units[0])
        rename = None  # it is done
    else:
        if len(files) != 1:
            raise BadConfig(f"predict --corpus {corpus}: give its folder, and then the folder to write")
        made = open_corpus(corpus, files[0])
        chosen = list(_chosen(made, recordings, subjects))
    work = PredictWork(
        Path(model), made, Path(out), step_s, tuple((rename or {}).items()), device, alone=corpus is None,
        made_by=fingerprint(Path(model)), smooth_s=smooth_s,
    )  # fmt: skip
    lines, bad, todo = [], 0, []
    for recording in chosen:
        try:
            kept = work.kept(recording, overwrite)
        except BadRecording as error:
            if corpus is None:
                raise
            bad += 1
            lines.append(f"BAD  {recording.name}: {error}")
            continue
        if kept:
            lines.append(f"kept {recording.name}: asked about before, by this model with these settings")
        else:
            todo.append(recording)
    for done, (recording, outcome) in enumerate(_outcomes(work, todo, jobs, progress), 1):
        if progress is not None and len(todo) > 1:
            progress(done, len(todo), recording.name)
        if isinstance(outcome, GbvnetError):
            bad += 1
            lines.append(f"BAD  {recording.name}: {outcome}")
            continue
        lines.append(said(outcome))
        lines += [f"note {recording.name}: {finding}" for finding in outcome.findings]
    lines.append(f"note {predictor.worth}")
    lines.append(f"{len(chosen) - bad} recordings asked about, {bad} bad; in {out}")
    return Done(lines, bad)


def _outcomes(
    work: PredictWork, todo: Sequence[Recording], jobs: int, progress: ProgressCallback | None
) -> Iterable[tuple[Recording, Emotions | GbvnetError]]:
    if len(todo) == 1:  # its windows can be counted
        return [(todo[0], _told(work, todo[0], progress))]
    return run(work, todo, jobs)


def _told(work: PredictWork, recording: Recording, progress: ProgressCallback | None) -> Emotions | GbvnetError:
    try:
        return work.told(recording, progress)
    except GbvnetError as error:
        return error


def _chosen(corpus: Corpus, recordings: Sequence[str], subjects: Sequence[str]) -> Iterator[Recording]:
    """Raises BadConfig for a name that the corpus has not."""
    found = [r for unit in corpus.units for r in corpus.recordings(unit)]
    for asked, of, what in (
        (recordings, {r.name for r in found}, "recording"),
        (subjects, {r.subject for r in found}, "person"),
    ):
        unknown = [name for name in asked if name not in of]
        if unknown:
            few = ", ".join(sorted(of)[:8])
            raise BadConfig(f"the corpus has no {what} {unknown[0]}; it has {few}{' ...' if len(of) > 8 else ''}")
    for recording in found:
        if (not recordings or recording.name in recordings) and (not subjects or recording.subject in subjects):
            yield recording


def said(emotions: Emotions) -> str:
    """One line on a recording."""
    shares = ", ".join(f"{t} high in {(emotions.table[t] >= 0.5).mean():.0%}" for t in emotions.targets)
    stamp = f" [{'; '.join(emotions.stamps)}]" if emotions.stamps else ""
    return (
        f"ok   {emotions.name}: {len(emotions.table)} windows, {shares} of them; "
        f"{emotions.about['times_real_time']:g} x real time{stamp}"
    )

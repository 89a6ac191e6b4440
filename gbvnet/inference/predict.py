"""Predict one recording, window by window, with the windows, filters and faces of the model's training.

The signals of a recording are read and filtered as a whole, as in training; its faces are read a few windows at a time,
so that memory does not grow with the video.

Shapes: W windows, F frames, S face side, C channels, L samples, K targets.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import __version__
from ..config import Times
from ..datasets.channel_names import match_channels
from ..datasets.recording import Corpus, FaceFeatureCorpus, Recording
from ..datasets.signal_sources import sources_label
from ..datasets.single_recording import SingleRecording, file_source, open_recording
from ..datasets.units import unlike_training
from ..errors import BadConfig, BadRecording
from ..io.path_kinds import near_name_hint
from ..network.checkpoint.folder import fingerprint
from ..parallel.prefetch import prefetch
from ..preprocessing.face_features import features_of_windows
from ..preprocessing.face_windows import FacePart, FaceWindows, FeatureWindows
from ..preprocessing.signals import missing_bandwidth, preprocess
from ..preprocessing.windowing import cut, missing_windows, window_starts
from ..progress import ProgressCallback
from ..store.prepared_faces import own_features
from .prediction import (
    RecordingPrediction,
    face_flags,
    far_from_training_warning,
    joined_flags,
    signal_flags,
    unusual_face_flag,
    with_smooth,
)
from .predictor import Predictor, WindowPredictions

WINDOWS_AT_ONCE = 16  # whose faces are in memory
MAX_PICTURES = 12  # faces kept for the timeline


def predict_recording(
    predictor: Predictor,
    corpus: Corpus,
    recording: Recording,
    *,
    step_s: float | None = None,
    smooth_s: float | None = None,
    rename: Mapping[str, str] | None = None,
    progress: ProgressCallback | None = None,
) -> RecordingPrediction:
    """Return the prediction of every window of a recording.

    step_s : from one window to the next; the window length if not given
    smooth_s : also average the curves over so many seconds around each window (`prediction.with_smooth`)
    rename : the model's name of a channel -> the corpus'

    If the recording lacks a modality, the model's missing-modality embedding takes its place, and a warning says so.
    Raises BadRecording if a file is broken, too short, without a face or without needed channels; BadConfig if the
    model needs a modality that is missing.
    """
    began = time.perf_counter()
    predictor.compare_anew()
    predictor.require_step(step_s)
    require_smooth(smooth_s)
    recording = corpus.inspect(recording)
    starts = _window_starts(predictor, recording, step_s)
    inputs, warnings = _read_inputs(predictor, corpus, recording, starts, rename or {})
    output, face_ok, unusual, pictures = _WindowPrediction(predictor, inputs, progress).run()
    if inputs.faces is not None:
        if not inputs.faces.n_detected:
            if inputs.signals is None or not predictor.accepts_missing_modality:
                raise BadRecording(
                    recording.video, f"a face in at least one of {len(inputs.faces.frames)} frames", "none",
                    "Check the video; or leave it out, if the model accepts a missing modality.",
                )  # fmt: skip
            warnings.append("no face in the whole video: predicted from the signals alone")
        warnings += [inputs.faces.warning] if inputs.faces.warning else []
    table = _table(predictor, inputs, output, face_ok, unusual)
    warnings += [note] if (note := predictor.precision_note) else []
    warnings += [far] if (far := far_from_training_warning(table["flags"].tolist())) else []
    if smooth_s is not None:
        table = with_smooth(table, predictor.outputs, smooth_s)
    return RecordingPrediction(
        recording.name,
        table,
        predictor.outputs,
        inputs.faces is not None,
        inputs.signals is not None,
        predictor.stamps,
        tuple(warnings),
        _details(predictor, recording, time.perf_counter() - began),
        pictures,
        predictor.accuracy_note,
        smooth_s,
    )


def predict_files(
    model: str | Path,
    files: Sequence[str | Path],
    *,
    times: Times | None = None,
    rename: Mapping[str, str] | None = None,
    step_s: float | None = None,
    smooth_s: float | None = None,
    device: str = "auto",
    precision: str = "32",
) -> RecordingPrediction:
    """Return the prediction of one recording: a video, signal files, or both. `.table` is the table of emotions.csv.

    files : the first signal file has the recording's clock; the others may have an offset: "wrist.csv@-3.2"
    times : the part to predict; the whole recording if not given
    rename : the model's name of a channel -> the file's
    step_s, smooth_s : as in `predict_recording`
    device, precision : as of a `Predictor`

    Raises the errors of `predict_recording`, and BadModel.
    """
    predictor = cached_predictor(Path(model), device, precision)
    corpus: Any = recording_of_files(predictor, [Path(file) for file in files], times, rename)
    return predict_recording(predictor, corpus, corpus.recording, step_s=step_s, smooth_s=smooth_s)


def recording_of_files(
    predictor: Predictor, files: Sequence[Path], times: Times | None, rename: Mapping[str, str] | None
) -> SingleRecording:
    """Return a corpus of one recording, with the channels that the model needs. Raises BadRecording, BadConfig."""
    for file in (file_source(given).file for given in files):
        if not file.exists():
            raise BadRecording(file, "a video or a file of signals", f"no such file{near_name_hint(file)}")
    wanted, model = predictor.channels if predictor.uses_signals else (), predictor.input
    return open_recording(
        list(files), wanted, model.rate_hz, model.baseline_s, times, dict(rename or {}), predictor.metadata
    )


_LOADED: dict[tuple[Path, str, str, tuple], Predictor] = {}


def cached_predictor(model: Path, device: str, precision: str = "32") -> Predictor:
    """Return the predictor of a model folder, loaded once per process, and again if the folder's files change.

    A model from the hub is loaded once per process. Raises BadModel.
    """
    key = model, device, precision, fingerprint(model)
    if key not in _LOADED:
        _LOADED.clear()
        _LOADED[key] = Predictor(model, device, precision)
    return _LOADED[key]


def require_smooth(smooth_s: float | None) -> None:
    """Raise BadConfig for an averaging length that is not above 0 seconds."""
    if smooth_s is not None and not 0 < smooth_s < math.inf:
        raise BadConfig(f"smooth_s, the averaging length of curves, must be above 0 seconds, not {smooth_s:g}")


def _window_starts(predictor: Predictor, recording: Recording, step_s: float | None) -> np.ndarray:
    """Return the start of each window, (W,) seconds. Raises BadRecording if there is none."""
    window_s = predictor.prepare.window_s
    starts = window_starts(recording.seconds, window_s, step_s or window_s)
    if not len(starts):
        raise BadRecording(
            recording.signals or recording.video or recording.name, f"at least one window of {window_s:g} s",
            f"{recording.seconds:g} s", "It is too short for this model.",
        )  # fmt: skip
    return starts


def _details(predictor: Predictor, recording: Recording, seconds: float) -> dict[str, Any]:
    """Return model, files and computing time, for recording.json."""
    return {
        "model": predictor.folder.name,
        "trained_on": predictor.metadata.get("dataset"),
        "gbvnet": __version__,
        "video": recording.video and recording.video.name,
        "signals": sources_label(recording.sources) or None,
        "seconds": recording.seconds,
        "took_s": round(seconds, 3),
        "times_real_time": round(recording.seconds / seconds, 2),
    } | predictor.precision_details


# --- input of the model ---


@dataclass(frozen=True)
class _Inputs:
    """The windows of a recording as the model takes them."""

    starts: np.ndarray  # (W,) seconds
    signals: np.ndarray | None  # (W, C, L) float32, not yet normalised
    faces: FaceWindows | FeatureWindows | None


def _read_inputs(
    predictor: Predictor, corpus: Corpus, recording: Recording, starts: np.ndarray, rename: Mapping[str, str]
) -> tuple[_Inputs, list[str]]:
    """Read the signals, prepare to read the faces, and collect warnings."""
    face_file = _face_file(predictor, corpus, recording)
    use_signals = predictor.uses_signals and recording.signals is not None
    predictor.require_modalities(recording.name, face_file is not None, use_signals)
    warnings = list(recording.warnings)
    if predictor.uses_face and face_file is None:
        warnings.append("no face video: predicted from the signals and the embedding for a missing face")
    if predictor.uses_signals and not use_signals:
        warnings.append("no signals: predicted from the face and the embedding for missing signals")
    signals = None
    if use_signals:
        signals, low_rate = read_signal_windows(predictor, corpus, recording, starts, rename)
        warnings += [low_rate] if low_rate else []
        warnings += missing_windows(len(signals), starts, recording.signals)
        if not predictor.normalises_per_recording:
            warnings += unlike_training([c.name for c in predictor.channels], signals, predictor.signal_scale[1])
        starts = starts[: len(signals)]
    faces = None if face_file is None else _face_windows(predictor, corpus, recording, starts)
    return _Inputs(starts, signals, faces), warnings


def _brings_features(predictor: Predictor, corpus: Corpus) -> FaceFeatureCorpus | None:
    """Return the corpus if it brings the very features of faces that the model reads, else None."""
    own, names = own_features(corpus), predictor.input.face_features
    return own if own is not None and names and tuple(own.face_feature_names) == names else None


def _face_file(predictor: Predictor, corpus: Corpus, recording: Recording) -> Path | None:
    """Return the file that the model's faces are read from; None without one. Raises BadConfig if they cannot be."""
    if not predictor.uses_face:
        return None
    if _brings_features(predictor, corpus):
        return recording.face_features
    if recording.video is not None:
        predictor.require_video_features(recording.name)
    return recording.video


def read_signal_windows(
    predictor: Predictor, corpus: Corpus, recording: Recording, starts: np.ndarray, rename: Mapping[str, str]
) -> tuple[np.ndarray, str]:
    """Return cleaned windows (W, C, L) float32, channels in the model's order; and a warning if the sampling rate is
    too low for the model's bands, else "". Raises BadRecording."""
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
    model = predictor.input
    cleaned = preprocess(raw, predictor.prepare, model.rate_hz, model.baseline_s)
    windows = cut(cleaned.x, cleaned.onset, model.rate_hz, starts, model.samples_per_window)
    if not np.isfinite(windows).all():
        bad = [name for name, x in zip(wanted, windows.transpose(1, 0, 2), strict=True) if not np.isfinite(x).all()]
        raise BadRecording(recording.signals, "finite samples", f"NaN or infinite ones in {', '.join(bad[:8])}")
    return windows, missing_bandwidth(raw.channels, raw.rates_hz or raw.rate_hz, model.rate_hz)


def _face_windows(
    predictor: Predictor, corpus: Corpus, recording: Recording, starts: np.ndarray
) -> FaceWindows | FeatureWindows:
    """Return the faces of a recording that has some: those in its video, or the features that the corpus brings."""
    settings, own = predictor.input.face_settings, _brings_features(predictor, corpus)
    if own is not None:
        given, file = own.face_features(recording), recording.face_features or recording.name
        features, ok = features_of_windows(given, starts, settings.window_s, settings.n_frames, file)
        return FeatureWindows(features, ok, part=WINDOWS_AT_ONCE)
    return FaceWindows(
        recording.video or Path(recording.name),
        starts,
        settings,
        video_start_s=recording.video_start_s,
        info=recording.video_info,
        part=WINDOWS_AT_ONCE,
        prefetch=True,
    )


# --- windows to predictions ---

_Pictures = tuple[tuple[float, np.ndarray], ...]  # start_s, face (S, S, 3) uint8


@dataclass
class _WindowPrediction:
    """Predicts the windows of a recording in one thread while the next faces are found in another."""

    predictor: Predictor
    inputs: _Inputs
    progress: ProgressCallback | None

    def run(self) -> tuple[WindowPredictions, np.ndarray | None, list[str], _Pictures]:
        """Return the predictions of all windows; which frames show a face (W, F), None without a video; which
        properties of each window's face are far from training; and a few pictures."""
        signals, faces, n = self._normalised_signals(), self.inputs.faces, len(self.inputs.starts)
        if faces is None:
            output = self.predictor.predict_windows(None, None, signals)
            self._report(n)
            return output, None, [], ()
        outputs: list[WindowPredictions] = []
        ok: list[np.ndarray] = []
        unusual: list[str] = []
        pictures: list[tuple[float, np.ndarray]] = []
        every = max(1, -(-n // MAX_PICTURES))
        pending: Future | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="predict") as executor, closing(prefetch(faces, 2)) as parts:
            for part in parts:
                if pending is not None:
                    outputs.append(pending.result())
                    self._report(sum(len(output.values) for output in outputs))
                pending = executor.submit(self._predict_part, part, signals)
                ok.append(part.ok)
                unusual += self.predictor.unusual_faces(part.faces, part.ok)
                pictures += self._pictures(part, every)
            if pending is not None:
                outputs.append(pending.result())
        self._report(n)
        output = WindowPredictions(*(np.concatenate(values) for values in zip(*outputs, strict=True)))
        return output, np.concatenate(ok), unusual, tuple(pictures)

    def _pictures(self, part: FacePart, every: int) -> Iterator[tuple[float, np.ndarray]]:
        if part.faces is None:  # of a model that reads features
            return
        for k in range(-part.first % every, len(part.ok), every):
            if part.ok[k].any():
                yield float(self.inputs.starts[part.first + k]), part.faces[k, int(part.ok[k].argmax())]

    def _predict_part(self, part: FacePart, signals: np.ndarray | None) -> WindowPredictions:
        x = None if signals is None else signals[part.first : part.first + len(part.ok)]
        has_face: np.ndarray = np.asarray(part.ok.any(axis=1))
        if has_face.all() or (x is not None and self.predictor.accepts_missing_modality):
            return self.predictor.predict_windows(part.values, part.ok, x)
        # Windows without a face get no prediction: the model has no embedding for it, or there are no signals.
        some = self.predictor.predict_windows(
            part.values[has_face], part.ok[has_face], None if x is None else x[has_face]
        )
        return WindowPredictions(*(_with_nan_rows(values, has_face) for values in some))

    def _normalised_signals(self) -> np.ndarray | None:
        """Return signals as the network takes them: unchanged, or z-scored by the recording if it was trained so."""
        x = self.inputs.signals
        if x is None or not self.predictor.normalises_per_recording:
            return x
        mean = x.mean(axis=(0, 2), dtype=np.float64)[:, None]
        sd = x.std(axis=(0, 2), dtype=np.float64)[:, None]
        return ((x - mean) / np.where(sd > 0, sd, 1)).astype(np.float32)

    def _report(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, len(self.inputs.starts), "windows")


def _with_nan_rows(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Spread rows to where the mask is True; NaN elsewhere."""
    out = np.full((len(mask), *values.shape[1:]), np.nan)
    out[mask] = values
    return out


def _table(
    predictor: Predictor, inputs: _Inputs, output: WindowPredictions, ok: np.ndarray | None, unusual: Sequence[str]
) -> pd.DataFrame:
    starts, n = inputs.starts, len(inputs.starts)
    columns = {"start_s": starts, "stop_s": starts + predictor.prepare.window_s}
    columns |= {target: output.values[:, k] for k, target in enumerate(predictor.targets)}
    columns |= {"gate_face": output.gate_face, "gate_bio": output.gate_bio}
    columns["face_ok"] = ok.mean(axis=1) if ok is not None else np.zeros(n)
    columns["has_signals"] = np.full(n, inputs.signals is not None)
    flags = _flags(predictor, inputs, ok, unusual)
    stamps, worth = predictor.row_notes
    return pd.DataFrame(columns).round({"start_s": 6, "stop_s": 6}).assign(flags=flags, stamps=stamps, worth=worth)


def _flags(predictor: Predictor, inputs: _Inputs, ok: np.ndarray | None, unusual: Sequence[str]) -> list[str]:
    """Return for each window, in words, what is missing, flat or far from the training data."""
    flags: list[list[str]] = [[] for _ in inputs.starts]
    if ok is not None:
        for window, face, properties in zip(flags, face_flags(ok), unusual, strict=True):
            window += [face, unusual_face_flag(properties)]
    if inputs.signals is not None and not predictor.normalises_per_recording:  # else training scales do not apply
        of_windows = signal_flags(inputs.signals, predictor.channels, *predictor.signal_scale)
        for window, of_signals in zip(flags, of_windows, strict=True):
            window += of_signals
    return [joined_flags(*window) for window in flags]

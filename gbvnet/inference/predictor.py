"""A trained model that predicts windows: the network together with the description of its input.

Shapes: n windows, F frames, S face side, C channels, L samples, K outputs.
"""

import copy
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import torch

from ..config import GBVNetConfig, PrepareConfig, TrainConfig, from_dict, uses_face, uses_signals
from ..datasets.recording import Channel, Kind
from ..errors import BadConfig, BadModel, GbvnetError
from ..io.records import convert
from ..network.checkpoint.checkpoint import load_model
from ..network.checkpoint.folder import CONFIG
from ..network.checkpoint.tested_accuracy import accuracy_statement, accuracy_summary
from ..network.devices import device_of, has_bf16
from ..network.model import network_faces
from ..preprocessing.face_features import EXPRESSIONS, MEDIAPIPE_FEATURES
from ..preprocessing.face_statistics import far, measure
from ..preprocessing.face_windows import FaceSettings
from ..provenance import model_stamps
from .model_outputs import ModelOutputs, model_outputs

BATCH_SIZE = 64  # windows
COMPARED = 64  # windows that are computed in both precisions
PRECISIONS = ("32", "bf16", "auto")


class WindowPredictions(NamedTuple):
    """Predictions of n windows. Gates are NaN if the network has none, or if a window lacks a modality."""

    values: np.ndarray  # (n, K) the columns of `ModelOutputs`
    gate_face: np.ndarray  # (n,) mean gate, 0 closed to 1 open
    gate_bio: np.ndarray


@dataclass(frozen=True)
class ModelInput:
    """How the input of a model is made from a recording."""

    prepare: PrepareConfig
    channels: tuple[Channel, ...]  # in the order of the network's input
    rate_hz: float
    samples_per_window: int
    frames_per_window: int
    face_side: int  # pixels
    baseline_s: float
    face_features: tuple[str, ...] = ()  # that are read of a face in the place of pictures

    @property
    def measured_in_videos(self) -> bool:
        """Whether what it reads of a face can be taken from a video here: pictures, or MediaPipe's features."""
        return self.face_features in ((), EXPRESSIONS, MEDIAPIPE_FEATURES)

    @property
    def face_settings(self) -> FaceSettings:
        """How faces are taken from a video."""
        kept = "features" if self.face_features else "pixels"
        pose = self.face_features != EXPRESSIONS
        prepare = self.prepare
        every = prepare.landmark_every
        return FaceSettings(
            prepare.window_s, self.frames_per_window, self.face_side, prepare.landmarks, kept, pose, every
        )


class Predictor:
    """A GBV-Net loaded from a model folder.

    device : auto, cpu or gpu
    precision : "32"; "bf16", which changes predictions in their third digit; "auto": bf16 where the device computes it
        itself (`has_bf16`). The first windows are then computed in both (`precision_note`).

    Raises BadModel if the folder holds no model, or the model does not say how its input is made; BadConfig for another
    precision.
    """

    def __init__(self, folder: str | Path, device: str = "auto", precision: str = "32"):
        self.folder = Path(folder)
        self.network, self.metadata = load_model(folder)
        self.input = _model_input(self.folder / CONFIG, self.network.config, self.metadata)
        self.outputs = _model_outputs(self.folder / CONFIG, self.network.config, self.metadata)
        self.device = device_of(TrainConfig(device=device))  # type: ignore[arg-type]
        if precision not in PRECISIONS:
            raise BadConfig(f"precision must be one of {', '.join(PRECISIONS)}, not {precision}")
        self.bf16 = precision == "bf16" or (precision == "auto" and has_bf16(self.device))
        self.compare_anew()
        self.network.to(self.device).eval()

    def compare_anew(self) -> None:
        """Forget what bf16 changed in earlier windows: the next ones are of another recording."""
        self.n_compared, self.largest_change = 0, 0.0

    @property
    def precision_details(self) -> dict[str, Any]:
        """The precision and what it changed, for JSON; empty in 32 bit."""
        compared = {"windows_compared_with_32_bit": self.n_compared, "largest_change": self.largest_change}
        return {"precision": "bf16", **compared} if self.bf16 else {}

    @property
    def precision_note(self) -> str | None:
        """What bf16 changed, in one sentence; None in 32 bit."""
        if not self.bf16:
            return None
        of = "of its first window" if self.n_compared == 1 else f"of its first {self.n_compared} windows"
        return (
            f"computed in bf16: the predictions {of} differ from those in 32 bit by {self.largest_change:.2g} at most"
        )

    @property
    def prepare(self) -> PrepareConfig:
        """Preprocessing settings of the training store, with the model's channels."""
        return self.input.prepare

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Signal channels in the order of the network's input."""
        return self.input.channels

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the columns of a prediction, one per output."""
        return self.outputs.names

    @property
    def uses_face(self) -> bool:
        """Whether the network has a face encoder."""
        return self.network.sees_face

    @property
    def uses_signals(self) -> bool:
        """Whether the network has a signal encoder."""
        return self.network.sees_signals

    @property
    def accepts_missing_modality(self) -> bool:
        """Whether the network was trained with modality dropout and so has missing-modality embeddings."""
        return self.network.sees_both and self.network.config.modality_dropout > 0

    @property
    def normalises_per_recording(self) -> bool:
        """Whether signals are z-scored by the recording itself (train.normalise subject), which needs all of it."""
        return self.metadata.get("normalise") == "subject"

    @cached_property
    def signal_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and SD of each channel in training, (C,) each, by which the network z-scores signals."""
        mean, sd = (np.asarray(x.cpu()) for x in (self.network.signal_mean, self.network.signal_sd))
        return mean, sd

    @property
    def accuracy_note(self) -> str:
        """What is known of the model's accuracy, in one or two sentences for readers of a prediction."""
        return accuracy_statement(self.metadata)

    @property
    def stamps(self) -> tuple[str, ...]:
        """Warnings that belong to every number of the model: synthetic training data, or a protocol with leakage."""
        return tuple(model_stamps(self.metadata))

    @cached_property
    def row_notes(self) -> tuple[str, str]:
        """The columns `stamps` and `worth`, the same in every row of a prediction."""
        return "; ".join(self.stamps), accuracy_summary(self.metadata)

    def unusual_faces(self, faces: np.ndarray | None, face_ok: np.ndarray) -> list[str]:
        """Return for each of n windows which properties of its faces are far from the training data; "" for none.

        faces : (n, F, S, S, 3) uint8, or None for a model that reads features        face_ok : (n, F) bool
        """
        return [""] * len(face_ok) if faces is None else far(measure(faces, face_ok), self.metadata)

    def with_landmark_every(self, every: int | None) -> "Predictor":
        """Return a predictor of the same network that detects landmarks in every so many-th face frame at least and
        follows them in between; None: as the model was trained.

        Raises BadConfig for a number that `PrepareConfig` refuses, or above 1 for a model that reads features of faces.
        """
        if every is None:
            return self
        if every != 1 and self.input.face_features:
            raise BadConfig("landmark_every must be 1: this model reads features of the face in every frame")
        other = copy.copy(self)
        other.input = replace(self.input, prepare=replace(self.prepare, landmark_every=every))
        return other

    def require_video_features(self, source: str) -> None:
        """Raise BadConfig if the model reads features of faces that cannot be measured in a video here.

        source : the recording or stream, as named in the message
        """
        names = self.input.face_features
        if not self.input.measured_in_videos:
            raise BadConfig(
                f"{source}: this model reads {len(names)} features of a face that other software measured "
                f"({', '.join(names[:4])}, ...), and they cannot be measured in a video here: predict a corpus that "
                "brings them, or train a model on pictures, or on features that `gbvnet prepare` measured in videos"
            )

    def require_step(self, step_s: float | None) -> None:
        """Raise BadConfig for a step between windows that is shorter than a sample, or not finite."""
        sample_s = 1 / self.input.rate_hz
        if step_s is not None and not sample_s <= step_s < math.inf:
            raise BadConfig(f"the step between windows must be at least a sample ({sample_s:g} s), not {step_s:g}")

    def require_modalities(self, source: str, face: bool, signals: bool) -> None:
        """Raise BadConfig if the model cannot predict from the modalities that a source has.

        source : the recording or stream, as named in the message
        """
        if not face and not signals:
            face_source = "face video" if self.input.measured_in_videos else "face features"
            wanted = [face_source] * self.uses_face + ["signals"] * self.uses_signals
            raise BadConfig(f"{source}: the model uses {self.network.config.modality}: give it {' or '.join(wanted)}")
        lacking = (self.uses_face and not face) or (self.uses_signals and not signals)
        if lacking and not self.accepts_missing_modality:
            raise BadConfig(
                f"{source} has no {'signals' if face else 'face video'}, and this model was trained without modality "
                "dropout (model.modality_dropout 0), so it needs both: give both, or use another model"
            )

    @torch.inference_mode()
    def predict_windows(
        self,
        faces: np.ndarray | None,
        face_ok: np.ndarray | None,
        signals: np.ndarray | None,
    ) -> WindowPredictions:
        """Return the predictions of n windows.

        faces : (n, F, S, S, 3) uint8 with face_ok (n, F) bool, or None without faces; for a model that reads features
            of faces (n, F, D) float32
        signals : (n, C, L) float32 as in a store, or None without signals

        Raises GbvnetError for other shapes, or if the model needs a modality that is None.
        """
        n = len(faces if faces is not None else signals)  # type: ignore[arg-type]
        batches = [
            self._predict_batch(*(None if x is None else x[i : i + BATCH_SIZE] for x in (faces, face_ok, signals)))
            for i in range(0, n, BATCH_SIZE)
        ]
        if not batches:
            return WindowPredictions(np.empty((0, len(self.targets))), np.empty(0), np.empty(0))
        return WindowPredictions(*(np.concatenate(column) for column in zip(*batches, strict=True)))

    def _predict_batch(
        self, faces: np.ndarray | None, ok: np.ndarray | None, signals: np.ndarray | None
    ) -> WindowPredictions:
        tensors = [None if x is None else torch.from_numpy(np.ascontiguousarray(x)).to(self.device)
                   for x in (faces, ok, signals)]  # fmt: skip
        given = [None if tensors[0] is None else network_faces(tensors[0]), *tensors[1:]]
        predicted = self._computed(given, self.bf16)
        if self.bf16 and self.n_compared < COMPARED:
            some = COMPARED - self.n_compared
            exact = self._computed([None if x is None else x[:some] for x in given], False).values
            self.n_compared += len(exact)
            changed = np.abs(predicted.values[:some] - exact)
            self.largest_change = max(self.largest_change, float(changed.max(initial=0)))
        return predicted

    def _computed(self, given: list[torch.Tensor | None], bf16: bool) -> WindowPredictions:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            out = self.network(*given)
        gates = (np.asarray(g.double().cpu()) for g in (out.gate_face, out.gate_bio))
        return WindowPredictions(self.outputs.values(np.asarray(out.logits.double().cpu())), *gates)


class _InputMetadata(msgspec.Struct):
    """The keys of a model's metadata that describe its input."""

    prepare: dict[str, Any]
    channels: list[tuple[str, Kind]]
    rate_hz: Annotated[float, msgspec.Meta(gt=0, le=1e6)]
    samples_per_window: Annotated[int, msgspec.Meta(ge=0)]
    frames_per_window: Annotated[int, msgspec.Meta(ge=0)]
    face_side: Annotated[int, msgspec.Meta(ge=0, le=512)]
    baseline_s: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    face_features: Annotated[list[str], msgspec.Meta(max_length=2000)] = []


def _model_outputs(path: Path, config: GBVNetConfig, metadata: dict) -> ModelOutputs:
    """Read what a model predicts. Raises BadModel if that is missing or malformed, or the network is not built so."""
    if "targets" not in metadata:
        remedy = "Make the model with `gbvnet train` or `gbvnet crossval`, which note what it predicts."
        raise BadModel(path, "a description of the model's outputs", "no targets", remedy)
    try:
        return model_outputs(metadata, config.n_outputs)
    except ValueError as error:
        raise BadModel(path, "a description of the model's outputs", str(error), "Restore the file.") from None


def _model_input(path: Path, config: GBVNetConfig, metadata: dict) -> ModelInput:
    """Read how a model's input is made from its metadata. `path` of config.json is for messages.

    Raises BadModel if something is missing, malformed or not what the network was built for.
    """
    for name in _InputMetadata.__struct_fields__:
        if name not in (*metadata, "face_features"):
            remedy = "Make the model with `gbvnet train` or `gbvnet crossval`, which note how its input is made."
            raise BadModel(path, "a description of the model's input", f"no {name}", remedy)
    try:
        model: _InputMetadata = convert(metadata, _InputMetadata)
    except ValueError as error:
        raise BadModel(path, "a description of the model's input", str(error), "Restore the file.") from None
    sizes: dict[str, tuple[int, int]] = {}
    if uses_signals(config.modality):
        sizes |= {"channels": (len(model.channels), config.n_channels)}
        sizes |= {"samples_per_window": (model.samples_per_window, config.n_samples)}
    if uses_face(config.modality):
        sizes |= {"frames_per_window": (model.frames_per_window, config.n_frames)}
        sizes |= {"face_features": (len(model.face_features), config.n_face_features)}
    for name, (stated, wanted) in sizes.items():
        if stated != wanted:
            raise BadModel(path, f"{wanted} {name}, as the network has", str(stated), "Restore the file.")
    try:
        prepare = from_dict(PrepareConfig, model.prepare)
    except (GbvnetError, TypeError, AttributeError) as error:
        raise BadModel(path, "settings of prepare", str(error), "Restore the file.") from None
    channels = tuple(Channel(name, kind) for name, kind in model.channels)
    return ModelInput(
        replace(prepare, channels=tuple(c.name for c in channels) or None),
        channels,
        model.rate_hz,
        model.samples_per_window,
        model.frames_per_window,
        model.face_side,
        model.baseline_s,
        tuple(model.face_features),
    )

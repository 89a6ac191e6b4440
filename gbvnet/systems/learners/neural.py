"""The base of systems that are neural networks: windows in, the training loop of network/training.py, tensors out.

A subclass builds its network (`build`). The network is called as `fit_network` describes, with faces (B, F, 3, S, S) in
[0, 1] or None, face_ok (B, F) or None, signals (B, C, L) or None, has_face and has_signals (B,) or None, and returns
logits (B, K) in an `UngatedOutput`. For each of the system's `further_modalities` two more inputs follow: its values
(B, *shape) float32, 0 where missing, and which windows have it, (B,) bool. Signals are as in the store; a
`NormalisingNetwork` z-scores them by its buffers `signal_mean` and `signal_sd` (C,), which `fit` computes on the
training rows alone.
"""

import json
from abc import abstractmethod
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from typing_extensions import override

from ...config import CrossvalConfig, GBVNetConfig, require, uses_face, uses_signals
from ...errors import BadConfig, BadModel, BadStore
from ...io.atomic import atomic_write
from ...network.augment import augment_faces, augment_signals, corrupt
from ...network.batches import Batch, BatchSource, FaceFeatureWindows, FurtherWindows, Windows
from ...network.devices import device_of
from ...network.model import GBVNet, set_normaliser
from ...network.objectives import objective_of, predictions_of, scaled_ratings
from ...network.prediction import predict_network
from ...network.training_data import TrainingData, TrainingResult
from ...network.training_log import training_log
from ...store.channels import channels_of, face_feature_statistics, require_face_input
from ...store.window_source import WindowSource
from .. import ALL_TASKS, BaseSystem, SystemOutput
from .classical import require_modalities

FILE, SHAPE = "model.safetensors", "shape.json"
KERAS_EPSILON, TORCH_EPSILON = 1e-3, 1e-5  # of batch norms


class UngatedOutput(NamedTuple):
    """The output of a network without gates for B windows."""

    logits: Tensor  # (B, K), above 0 for the positive class
    gate_face: Tensor  # (B,) NaN
    gate_bio: Tensor  # (B,) NaN

    @classmethod
    def of(cls, logits: Tensor) -> "UngatedOutput":
        """Return the output with these logits (B, K)."""
        none = torch.full((len(logits),), torch.nan, device=logits.device)
        return cls(logits, none, none)


@dataclass(frozen=True)
class Shape:
    """The shape of the windows that a network reads, and the number of its outputs."""

    channels: tuple[tuple[str, str], ...]  # (name, kind) of each signal channel that it reads; none without signals
    rate_hz: float
    n_samples: int  # L, of a window
    n_frames: int  # F, 0 without faces
    side: int  # S, pixels
    n_outputs: int  # K
    n_face_features: int = 0  # D, of a frame; 0 where pictures are read
    further: dict[str, tuple[int, ...]] = field(default_factory=dict)  # shape of a window of each further modality

    @property
    def n_channels(self) -> int:
        """C."""
        return len(self.channels)

    def places(self, *kinds: str) -> list[int]:
        """Return the positions of the channels of these kinds."""
        return [i for i, (_, kind) in enumerate(self.channels) if kind in kinds]


def network_config(config: CrossvalConfig, shape: Shape) -> GBVNetConfig:
    """Return the settings of the network that is trained with these settings on windows of this shape."""
    return GBVNetConfig(
        **asdict(config.model),
        modality=config.modality,
        n_channels=max(1, shape.n_channels),
        n_samples=shape.n_samples,
        n_frames=max(1, shape.n_frames),
        n_outputs=shape.n_outputs,
        n_face_features=shape.n_face_features,
    )


class NormalisingNetwork(nn.Module):
    """A network that z-scores its signals by the mean and SD of each channel, which `NeuralSystem.fit` computes.

    Without signals (`n_channels` 0) it has nothing to normalise.
    """

    signal_mean: Tensor
    signal_sd: Tensor

    def __init__(self, n_channels: int):
        super().__init__()
        if n_channels:
            self.register_buffer("signal_mean", torch.zeros(n_channels))
            self.register_buffer("signal_sd", torch.ones(n_channels))

    def fit_normaliser(self, mean: Tensor, sd: Tensor) -> None:
        """Set the channels' mean and SD, (C,) each. Raises GbvnetError as `set_normaliser` does."""
        set_normaliser(self.signal_mean, self.signal_sd, mean, sd)

    def z_scored(self, signals: Tensor) -> Tensor:
        """Return signals (B, C, L) with each channel z-scored."""
        return (signals - self.signal_mean[:, None]) / self.signal_sd[:, None]


class _KerasEpsilon(nn.modules.batchnorm._BatchNorm):
    """A batch norm with the epsilon of Keras, for networks whose source is written in it.

    The epsilon is saved with the weights: a network saved without it was trained with PyTorch's, which then stays.
    """

    epsilon: Tensor

    def __init__(self, n_features: int):
        super().__init__(n_features, eps=KERAS_EPSILON)
        self.register_buffer("epsilon", torch.tensor(KERAS_EPSILON))

    @override
    def _load_from_state_dict(self, state_dict: Any, prefix: str, *others: Any) -> None:
        state_dict.setdefault(prefix + "epsilon", torch.tensor(TORCH_EPSILON))
        super()._load_from_state_dict(state_dict, prefix, *others)
        self.eps = round(float(self.epsilon), 9)


class KerasBatchNorm1d(_KerasEpsilon, nn.BatchNorm1d):
    """`nn.BatchNorm1d` with the epsilon of Keras, 1e-3."""


class KerasBatchNorm2d(_KerasEpsilon, nn.BatchNorm2d):
    """`nn.BatchNorm2d` with the epsilon of Keras, 1e-3."""


class NeuralSystem(BaseSystem, new_hooks=True):
    """A system that trains a network."""

    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS  # a network has an output a class, or one for the rating
    normalises_by_subject: ClassVar[bool] = True  # by `_windows`; a subclass that makes other batches says False
    waveforms: ClassVar[bool] = True  # whether a batch's signals are samples in time; False for features of windows

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        super().__init__(config, work, label)
        self.shape: Shape | None = None
        self.network: nn.Module | None = None
        self.fitted: TrainingResult | None = None

    @classmethod
    @override
    def import_for_training(cls) -> None:
        from ...network import training  # noqa: F401  with Lightning, which prediction does without

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """Return the untrained network; its initial weights may depend on PyTorch's random state only."""

    @override
    def fit(
        self,
        store: WindowSource,
        rows: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
    ) -> Self:
        from ...network.training import fit_network

        y = self._scaled(y, len(rows))  # (n, K)
        train = self._windows(store, rows, y)
        validation_windows = None
        if validation is not None:
            validation_windows = self._windows(store, validation[0], self._scaled(validation[1], len(validation[0])))
        n_outputs = len(self.target.classes) if self.target and self.task == "multiclass" else y.shape[1]
        self.network = self.untrained(store, n_outputs, seed)
        self._fit_normaliser(store, train)
        self.fitted = fit_network(
            self.network,
            TrainingData(
                train,
                validation_windows,
                objective_of(self.task, self.config.train.loss),
                training_log(self.config, self.work),
            ),
            self.config.train,
            seed,
            augment=self.augment if self.config.train.augment or self.config.train.corrupt else None,
            work=self.work,
            label=self.label,
        )
        return self

    def _scaled(self, y: np.ndarray, n: int) -> np.ndarray:
        """The labels of n windows as the training takes them, (n, K) float32: ratings are scaled to -1..1."""
        y = np.asarray(y, np.float64).reshape(n, -1)
        if self.target is not None and self.task == "regression":
            y = scaled_ratings(y, self.target.scale)
        return y.astype(np.float32)

    def predictions_of(self, logits: np.ndarray) -> np.ndarray:
        """Return what `SystemOutput.predicted` describes from a network's outputs (n, K) float64."""
        scale = self.target.scale if self.target is not None and self.task == "regression" else (0.0, 1.0)
        return predictions_of(logits[:, 0] if logits.shape[1] == 1 else logits, self.task, scale)

    def _fit_normaliser(self, store: WindowSource, train: BatchSource) -> None:
        """Set the mean and SD by which the network z-scores its signals, if it does, from the training windows."""
        network = self._network()
        if isinstance(network, GBVNet) and network.reads_features:
            mean_sd = face_feature_statistics(store, train.rows)
            network.fit_face_normaliser(*(torch.from_numpy(x).float() for x in mean_sd))
        if not train.channels:
            return
        if not isinstance(network, GBVNet | NormalisingNetwork):
            name = self.name
            require(
                not self.config.train.corrupt,
                f"{name} learns from features of windows, which train.corrupt cannot change: set train.corrupt to 0",
            )
            return
        mean, sd = train.signal_statistics()
        odd = (~torch.isfinite(mean + sd)).nonzero()[:, 0].tolist()
        if odd and self.shape is not None and len(self.shape.channels) == len(mean):
            names = ", ".join(self.shape.channels[i][0] for i in odd)
            expected, values = "finite signals in every training window", f"NaN or infinite values in {names}"
            raise BadStore(store.path, expected, values, "Prepare the store again, or leave these channels out.")
        network.fit_normaliser(mean, sd)

    def untrained(self, store: WindowSource, n_outputs: int, seed: int) -> nn.Module:
        """Return the untrained network for windows of this store; its initial weights depend on the seed alone."""
        self.shape = self._shape(store, n_outputs)
        with torch.random.fork_rng():  # the global random state stays as it is
            torch.manual_seed(seed)
            return self.build(self.shape)

    @override
    def predict(self, store: WindowSource, rows: np.ndarray) -> SystemOutput:
        network = self._network()
        self._require_same_shape(store)
        logits, _, _ = predict_network(network, self._windows(store, np.asarray(rows)), self.config.train)
        return SystemOutput(self.predictions_of(logits))

    @override
    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return self.predict(store, rows).predicted

    @override
    def save(self, folder: Path) -> None:
        state = {name: t.detach().cpu().contiguous() for name, t in self._network().state_dict().items()}
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / FILE, save(state))
        shape = asdict(self._trained_shape())
        if not self.further_modalities:  # then the file is as it was before there were any
            del shape["further"]
        atomic_write(folder / SHAPE, json.dumps(shape, indent=2).encode())

    @classmethod
    @override
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        system, file = cls(config), folder / FILE
        try:
            shape: dict[str, Any] = json.loads((folder / SHAPE).read_text())
            shape["channels"] = tuple((str(name), str(kind)) for name, kind in shape["channels"])
            shape["further"] = {name: tuple(of) for name, of in shape.get("further", {}).items()}
            system.shape = Shape(**shape)
            system.network = system.build(system.shape)
            system.network.load_state_dict(load_file(file))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise BadModel(file, f"a trained {config.system}", f"a file that does not read ({error})") from None
        system.network.eval()
        return system

    @property
    @override
    def about(self) -> dict[str, Any]:
        return {
            "n_parameters": sum(p.numel() for p in self._network().parameters()),
            "chosen_epoch": self.fitted.chosen_epoch if self.fitted else None,
            "device": device_name(self.config),
        }

    def _network(self) -> nn.Module:
        if self.network is None:
            raise BadConfig(f"this {self.name} is not trained yet: call fit or load first")
        return self.network

    def _trained_shape(self) -> Shape:
        if self.shape is None:
            raise BadConfig(f"this {self.name} is not trained yet: call fit or load first")
        return self.shape

    def _require_same_shape(self, store: WindowSource) -> None:
        """Raise BadConfig if the windows of a store have another shape than those that it was trained on."""
        trained = self._trained_shape()
        here = self._shape(store, trained.n_outputs)
        for name in ("n_channels", "rate_hz", "n_samples", "n_frames", "side", "further"):
            was, now = getattr(trained, name), getattr(here, name)
            if was != now:
                raise BadConfig(
                    f"this {self.name} was trained on windows with {name} {was}, and those of {store.path} "
                    f"have {now}: prepare both in the same way"
                )

    def _shape(self, store: WindowSource, n_outputs: int) -> Shape:
        shape = input_shape(store, self.config.modality, n_outputs, self.face_input_of(self.config))
        further = {name: store.modality(name, []).values.shape[1:] for name in self.further_modalities}
        return replace(shape, further=further)

    def _windows(self, store: WindowSource, rows: np.ndarray, y: np.ndarray | None = None) -> BatchSource:
        self.refuse_missing(store, rows)
        train = self.config.train
        windows = FaceFeatureWindows if self.face_input_of(self.config) == "features" else Windows
        batches = windows(
            store,
            rows,
            self.config.modality,
            y,
            device=device_of(train),
            memory_gib=train.memory_gib,
            per_subject=train.normalise == "subject",
        )
        if not self.further_modalities:
            return batches
        return FurtherWindows(batches, store, self.further_modalities, train.memory_gib)

    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        """Raise BadConfig if a row lacks a modality that this network needs."""
        require_modalities(store, rows, self.config)

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return a training batch augmented and corrupted as the settings say; faces are (B, F, 3, S, S) in [0, 1], or
        features (B, F, D), which are not augmented."""
        faces, signals, train = batch.faces, batch.signals, self.config.train
        mean, sd = _scale(self._network()) or (torch.zeros(0), torch.ones(0))
        if train.augment and faces is not None and faces.ndim == 5:
            faces = augment_faces(faces, generator)
        if train.augment and signals is not None and self.waveforms and len(mean):  # features cannot be shifted in time
            signals = augment_signals(signals, sd, generator, mean)
        if train.corrupt:  # last, so that no blur undoes it
            network = self._network()
            scale = (
                (network.face.mean, network.face.sd) if isinstance(network, GBVNet) and network.reads_features else None
            )
            faces, signals = corrupt(faces, signals, train.corrupt, mean, sd, generator, scale)
        return batch._replace(faces=faces, signals=signals)


def input_shape(store: WindowSource, modality: str, n_outputs: int, face_input: str = "pixels") -> Shape:
    """Return the shape of a store's windows as a network of this modality reads them.

    face_input : what it reads of a face, pixels or features
    Raises BadConfig if the store does not have what the modality needs.
    """
    require_face_input(store, modality, face_input)
    features = uses_face(modality) and face_input == "features"
    s = store.settings
    channels = channels_of(store, modality) if uses_signals(modality) else []
    return Shape(
        channels=tuple((s["channels"][i][0], s["channels"][i][1]) for i in channels),
        rate_hz=float(s["rate_hz"]),
        n_samples=s["samples_per_window"],
        n_frames=s["frames_per_window"] if uses_face(modality) else 0,
        side=s["face_side"] if uses_face(modality) and not features else 0,
        n_outputs=n_outputs,
        n_face_features=len(store.face_feature_names) if features else 0,
    )


def _scale(network: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Return the buffers by which a network z-scores its signals, None if it has none."""
    buffers = dict(network.named_buffers())
    return (buffers["signal_mean"], buffers["signal_sd"]) if "signal_mean" in buffers else None


def device_name(config: CrossvalConfig) -> str:
    """Return the name of the device where a network is trained, for reports."""
    device = device_of(config.train)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"

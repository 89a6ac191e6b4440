"""What systems that are neural networks share: windows in, the training loop of fitting.py, a folder of tensors out.

A subclass builds its network (`build`); the network is called as `fit_network` says, with faces (B, F, 3, S, S) in
[0, 1] or None, face_ok (B, F) or None, signals (B, C, L) or None, has_face and has_signals (B,) or None, and gives
logits (B, K) as an `Answer`. Signals come as the store has them; a network that is `Normalising` z-scores them by its
buffers `signal_mean` and `signal_sd` (C,), which `fit` fills from the training rows alone.
"""

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from scipy.special import expit
from torch import Tensor, nn
from typing_extensions import override

from ...config import MODALITIES, CrossvalConfig, require, uses_face, uses_signals
from ...errors import BadConfig, BadModel, BadStore
from ...io.atomic import atomic_write
from ...network.augment import augment_faces, augment_signals, corrupt
from ...network.batches import Batch, Windows
from ...network.devices import device_of
from ...network.model import keep_scale
from ...network.training import Fitted, fit_network, predict_network
from ...store.channels import channels_of
from ...store.window_source import WindowSource
from .. import Predicted
from .classical import require_whole

FILE, SHAPE = "model.safetensors", "shape.json"
KERAS_EPSILON, TORCH_EPSILON = 1e-3, 1e-5  # of batch norms


class Answer(NamedTuple):
    """What a network says of B windows; it has no gates."""

    logits: Tensor  # (B, K), above 0 means high
    gate_face: Tensor  # (B,) NaN
    gate_bio: Tensor  # (B,) NaN

    @classmethod
    def of(cls, logits: Tensor) -> "Answer":
        none = torch.full((len(logits),), torch.nan, device=logits.device)
        return cls(logits, none, none)


@dataclass(frozen=True)
class Shape:
    """What a network must know of the windows it will be given."""

    channels: tuple[tuple[str, str], ...]  # (name, kind) of each signal channel that it sees; none without signals
    rate_hz: float
    n_samples: int  # L, of a window
    n_frames: int  # F, 0 without faces
    side: int  # S, pixels
    n_outputs: int  # K

    @property
    def n_channels(self) -> int:
        return len(self.channels)

    def places(self, *kinds: str) -> list[int]:
        """Where the channels of these kinds are."""
        return [i for i, (_, kind) in enumerate(self.channels) if kind in kinds]


def input_shape(store: WindowSource, modality: str, n_outputs: int) -> Shape:
    """Return the shape of a store's windows as a network of this modality reads them. Raises BadConfig if the store
    does not have what the modality needs."""
    s = store.settings
    channels = channels_of(store, modality) if uses_signals(modality) else []
    return Shape(
        channels=tuple((s["channels"][i][0], s["channels"][i][1]) for i in channels),
        rate_hz=float(s["rate_hz"]),
        n_samples=s["samples_per_window"],
        n_frames=s["frames_per_window"] if uses_face(modality) else 0,
        side=s["face_side"] if uses_face(modality) else 0,
        n_outputs=n_outputs,
    )


class Normalising(nn.Module):
    """A network that z-scores its signals by the mean and SD of each channel, which `Network.fit` fills in.

    Without signals (`n_channels` 0) it has nothing to normalise.
    """

    signal_mean: Tensor
    signal_sd: Tensor

    def __init__(self, n_channels: int):
        super().__init__()
        if n_channels:
            self.register_buffer("signal_mean", torch.zeros(n_channels))
            self.register_buffer("signal_sd", torch.ones(n_channels))

    def z_scored(self, signals: Tensor) -> Tensor:
        """(B, C, L), in and out."""
        return (signals - self.signal_mean[:, None]) / self.signal_sd[:, None]


class _KerasEpsilon(nn.modules.batchnorm._BatchNorm):
    """A batch norm with the epsilon of Keras, for networks whose source is written in it.

    The epsilon is kept with the weights: a network that was saved without it was trained with torch's, and keeps that.
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


class Network(ABC):
    """See `gbvnet.systems.Contract`."""

    modalities: ClassVar[tuple[str, ...]] = MODALITIES
    refused: ClassVar[dict[str, str]] = {}
    waveforms: ClassVar[bool] = True  # whether a batch's signals are samples in time, and no features of windows

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        self.config, self.work, self.label = config, work, label
        self.shape: Shape | None = None
        self.network: nn.Module | None = None
        self.fitted: Fitted | None = None

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """The network, untrained; its weights' start may follow from torch's random state alone."""

    def fit(
        self,
        store: WindowSource,
        rows: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
    ) -> Self:
        y = np.asarray(y, np.float32).reshape(len(rows), -1)  # (n, K)
        train = self._windows(store, rows, y)
        validation_windows = None
        if validation is not None:
            y_validation = np.asarray(validation[1], np.float32).reshape(-1, y.shape[1])
            validation_windows = self._windows(store, validation[0], y_validation)
        self.network = self.untrained(store, y.shape[1], seed)
        self._fit_normaliser(store, train)
        self.fitted = fit_network(
            self.network,
            train,
            validation_windows,
            self.config.train,
            seed,
            augment=self.augment if self.config.train.augment or self.config.train.corrupt else None,
            work=self.work,
            label=self.label,
        )
        return self

    def _fit_normaliser(self, store: WindowSource, train: Windows) -> None:
        """Fill the buffers by which the network z-scores its signals, where it has them, from the training windows."""
        assert self.network is not None
        scale = _scale(self.network)
        if not train.channels:
            return
        if scale is None:
            name = self.config.system
            require(
                not self.config.train.corrupt,
                f"{name} learns from features of windows, which train.corrupt cannot change: set train.corrupt to 0",
            )
            return
        mean, sd = train.signal_statistics()
        odd = (~torch.isfinite(mean + sd)).nonzero()[:, 0].tolist()
        if odd and self.shape is not None and len(self.shape.channels) == len(mean):
            names = ", ".join(self.shape.channels[i][0] for i in odd)
            expected, found = "finite signals in every training window", f"NaN or infinite values in {names}"
            raise BadStore(store.path, expected, found, "Prepare the store again, or leave these channels out.")
        keep_scale(*scale, mean, sd)

    def untrained(self, store: WindowSource, n_outputs: int, seed: int) -> nn.Module:
        """The network for windows of this store, as it starts: its weights follow from the seed alone."""
        self.shape = self._shape(store, n_outputs)
        with torch.random.fork_rng():  # nobody else's random state moves
            torch.manual_seed(seed)
            return self.build(self.shape)

    def predict(self, store: WindowSource, rows: np.ndarray) -> Predicted:
        network = self._network()
        self._require_fit(store)
        logits, _, _ = predict_network(network, self._windows(store, np.asarray(rows)), self.config.train)
        return Predicted(expit(logits[:, 0] if logits.shape[1] == 1 else logits))

    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return self.predict(store, rows).p

    def save(self, folder: Path) -> None:
        assert self.shape is not None
        state = {name: t.detach().cpu().contiguous() for name, t in self._network().state_dict().items()}
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / FILE, save(state))
        atomic_write(folder / SHAPE, json.dumps(asdict(self.shape), indent=2).encode())

    @classmethod
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        made, file = cls(config), folder / FILE
        try:
            told: dict[str, Any] = json.loads((folder / SHAPE).read_text())
            told["channels"] = tuple((str(name), str(kind)) for name, kind in told["channels"])
            made.shape = Shape(**told)
            made.network = made.build(made.shape)
            made.network.load_state_dict(load_file(file))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise BadModel(file, f"a trained {config.system}", f"a file that does not read ({error})") from None
        made.network.eval()
        return made

    @property
    def about(self) -> dict:
        return {
            "n_parameters": sum(p.numel() for p in self._network().parameters()),
            "chosen_epoch": self.fitted.chosen_epoch if self.fitted else None,
            "device": device_name(self.config),
        }

    def _network(self) -> nn.Module:
        if self.network is None:
            raise BadConfig(f"this {self.config.system} is not trained yet: call fit or load first")
        return self.network

    def _require_fit(self, store: WindowSource) -> None:
        """Raise BadConfig if the windows of a store are not of the shape that was learnt from."""
        assert self.shape is not None
        here = self._shape(store, self.shape.n_outputs)
        for name in ("n_channels", "rate_hz", "n_samples", "n_frames", "side"):
            was, now = getattr(self.shape, name), getattr(here, name)
            if was != now:
                raise BadConfig(
                    f"this {self.config.system} was trained on windows with {name} {was}, and those of {store.path} "
                    f"have {now}: prepare both in the same way"
                )

    def _shape(self, store: WindowSource, n_outputs: int) -> Shape:
        return input_shape(store, self.config.modality, n_outputs)

    def _windows(self, store: WindowSource, rows: np.ndarray, y: np.ndarray | None = None) -> Windows:
        self.refuse_missing(store, rows)
        train = self.config.train
        return Windows(
            store,
            rows,
            self.config.modality,
            y,
            device=device_of(train),
            memory_gib=train.memory_gib,
            per_subject=train.normalise == "subject",
        )

    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        """Raise BadConfig if a row lacks what this network cannot do without."""
        require_whole(store, rows, self.config)

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """A training batch, changed as the settings say; faces are (B, F, 3, S, S) in [0, 1]."""
        faces, signals, train = batch.faces, batch.signals, self.config.train
        mean, sd = _scale(self._network()) or (torch.zeros(0), torch.ones(0))
        if train.augment and faces is not None:
            faces = augment_faces(faces, generator)
        if train.augment and signals is not None and self.waveforms and len(mean):  # features cannot be shifted
            signals = augment_signals(signals, sd, generator, mean)
        if train.corrupt:  # last: what is spoilt is not made tidy again by a blur
            faces, signals = corrupt(faces, signals, train.corrupt, mean, sd, generator)
        return batch._replace(faces=faces, signals=signals)


def _scale(network: nn.Module) -> tuple[Tensor, Tensor] | None:
    """The buffers by which a network z-scores its signals, None if it has none."""
    found = dict(network.named_buffers())
    return (found["signal_mean"], found["signal_sd"]) if "signal_mean" in found else None


def device_name(config: CrossvalConfig) -> str:
    """Where a network is trained, for people."""
    device = device_of(config.train)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"

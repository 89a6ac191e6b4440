"""algarni-like: features of each channel, chosen by grey wolf optimisation, and a stacked Bi-LSTM over the channels.

After what is known here of Algarni et al. 2022 (Sensors 22:2976), the abstract: statistical and wavelet features and
the Hurst exponent of EEG, chosen by a binary grey wolf optimiser, classified by a stacked bidirectional LSTM. Which
statistics, which sequence, sizes and protocol are not known here, so this is no measure of their result.

Chosen here: the features of time_domain.py (statistical, wavelet, hurst), z-scored over training rows. The optimiser
(grey_wolf.py) uses training rows only, evaluated on trials held out from these, not the validation rows. The
sequence is of the channels in their order, each with its features; those not chosen are 0. Two layers of 64 cells
either way, dropout 0.5, then the last states into one linear layer. Nothing is augmented. EEG first, or other signals.
"""

from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from ..network.batches import Windows
from ..network.devices import device_of
from ..store.window_source import WindowSource
from .features.extract import extract_features
from .features.time_domain import FEATURE_SETS
from .learners.classical import require_modalities
from .learners.grey_wolf import ridge_cost, select_features
from .learners.neural import NeuralSystem, Shape, UngatedOutput

FEATURES = tuple(FEATURE_SETS[name] for name in ("statistical", "wavelet", "hurst"))
CELLS, LAYERS, DROPOUT = 64, 2, 0.5


class FeatureWindows(Windows):
    """Rows of a store as the features of their channels: batches whose `signals` are (B, C, Q)."""

    def __init__(
        self, store: WindowSource, rows: np.ndarray, modality: str, y: np.ndarray | None, device: torch.device
    ):
        super().__init__(store, rows, modality, y, device)  # memory_gib 0: the base class keeps nothing
        x = np.concatenate([extract_features(store, self.rows, self.channels, each) for each in FEATURES], axis=2)
        self.x = torch.from_numpy(x).to(self.device)  # (n, C, Q)
        self.kept = (None, None, self.x)


class StackedLSTM(nn.Module):
    """Features of channels (B, C, Q) -> logits; those that are not `chosen` (C, Q) are set to 0."""

    mean: Tensor
    sd: Tensor
    chosen: Tensor

    def __init__(self, shape: Shape):
        super().__init__()
        silence = np.zeros((1, 1, shape.n_samples))
        n_features = sum(each.of(silence, shape.rate_hz).shape[2] for each in FEATURES)
        for name in ("mean", "sd", "chosen"):
            self.register_buffer(name, torch.ones(shape.n_channels, n_features))
        self.lstm = nn.LSTM(n_features, CELLS, LAYERS, batch_first=True, bidirectional=True, dropout=DROPOUT)
        self.head = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(2 * CELLS, shape.n_outputs))

    @override
    def forward(
        self,
        faces: Tensor | None,
        face_ok: Tensor | None,
        signals: Tensor,
        has_face: Tensor | None = None,
        has_signals: Tensor | None = None,
    ) -> UngatedOutput:
        """Return logits (B, K) of features `signals` (B, C, Q); the other arguments are not used."""
        x = torch.where(self.chosen > 0, (signals - self.mean) / self.sd, 0)
        _, (last, _) = self.lstm(x)  # (2 * layers, B, 64): of each layer forwards, then backwards
        return UngatedOutput.of(self.head(torch.cat([last[-2], last[-1]], dim=1)))


class System(NeuralSystem):
    """Chosen features of each channel, and a stacked Bi-LSTM over the channels."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg", "bio", "peri")
    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass")
    refused_tasks: ClassVar[str] = "it chooses its features by the errors of a classifier"
    waveforms: ClassVar[bool] = False
    normalises_by_subject: ClassVar[bool] = False  # features of stored signals, z-scored by their own statistics
    _selection: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None  # mean, SD and chosen features, (C, Q) each

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
        rows = np.asarray(rows)
        described = self._windows(store, rows).x.cpu().numpy()
        x = described.reshape(len(rows), -1)  # (n, C * Q)
        groups, rng = store.windows["recording"].to_numpy(str)[rows], np.random.default_rng(seed)
        labels = np.asarray(y).reshape(len(rows), -1)
        if self.task == "multiclass":
            labels = labels == np.unique(labels)  # (n, k), each class against the others
        cost = ridge_cost(x, labels, groups, rng)
        chosen = np.ones(x.shape[1], bool) if cost is None else select_features(cost, x.shape[1], rng)
        mean, sd = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        sd = np.where(sd > 1e-6 * np.abs(mean), sd, 1)  # a constant feature has no scale
        self._selection = tuple(each.reshape(described.shape[1:]) for each in (mean, sd, chosen))  # type: ignore[assignment]
        return super().fit(store, rows, y, validation=validation, seed=seed)

    @override
    def build(self, shape: Shape) -> nn.Module:
        network = StackedLSTM(shape)
        for buffer, value in zip((network.mean, network.sd, network.chosen), self._selection or (), strict=False):
            buffer.copy_(torch.from_numpy(np.asarray(value)))
        return network

    @property
    @override
    def about(self) -> dict:
        chosen = self._network().get_buffer("chosen")
        return {**super().about, "n_features": chosen.numel(), "n_features_chosen": int(chosen.sum())}

    @override
    def _windows(self, store: WindowSource, rows: np.ndarray, y: np.ndarray | None = None) -> FeatureWindows:
        require_modalities(store, rows, self.config)
        return FeatureWindows(store, rows, self.config.modality, y, device_of(self.config.train))

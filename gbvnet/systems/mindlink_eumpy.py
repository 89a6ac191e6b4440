"""Li et al. 2021 (MindLink-Eumpy, Front. Hum. Neurosci. 15:621493): an LSTM on the EEG, a face network, AdaBoost.

From the abstract and the public code (MindLink-Explorer, Eumpy): the 85 band powers of electrode_pairs.py; for subjects
not seen in training an LSTM of 128 and one of 64, ReLU, dropout 0.5 and batch norm after each, a layer of 64 with
dropout, on sequences of 10 feature vectors, the next sequence 5 later; the network of face_cnn.py; AdaBoost over the
two (late_fusion.py; its weights have the logarithm that the code lacks, unless the option adaboost_log is off). Within
a subject the source uses the support vector machine of `huang`, and the enumerated weight as an alternative.

Differences from the source: the label is learnt by cross-entropy with Adam and early stopping, as by every network here
(there the rating itself, squared error, Adadelta, 64 epochs); no dropout between time steps and no L2 of 1 on the last
layer, with which it hardly learns; batch norms (epsilon 1e-3, as in Keras) with a momentum of 0.1 (there 0.01), and
PyTorch's initial weights; features are a whole window apart (there half a second), and each is z-scored over all steps
of a sequence. A window's prediction is that of the sequence of 10 which ends with it, or in a trial's first 9 windows
of the first sequence. A sequence lies within one trial, so under protocol `window` it would contain, beside each window
tested, neighbours of the same trial that were trained on: that protocol is refused.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor, nn
from typing_extensions import override

from ..network.batches import BatchSource
from ..network.devices import device_of
from ..store.window_source import WindowSource
from . import BaseSystem
from .features.electrode_pairs import derivations_of, pair_features, require_bands
from .learners.classical import require_modalities
from .learners.face_cnn import FaceSystem
from .learners.late_fusion import WeightedFusion
from .learners.neural import KerasBatchNorm1d, NeuralSystem, NormalisingNetwork, Shape, UngatedOutput
from .learners.window_sequences import Cut, Sequences

CUT = Cut(pair_features, length=10, stride=5)


class LSTM(NormalisingNetwork):
    """Band powers (B, D, T) of T windows -> K logits."""

    def __init__(self, n_features: int, n_outputs: int):
        super().__init__(n_features)
        self.first = nn.LSTM(n_features, 128, batch_first=True)
        self.second = nn.LSTM(128, 64, batch_first=True)
        self.norms = nn.ModuleList([KerasBatchNorm1d(128), KerasBatchNorm1d(64)])
        self.dropout = nn.Dropout(0.5)
        self.dense, self.head = nn.Linear(64, 64), nn.Linear(64, n_outputs)

    @override
    def forward(self, faces: None, face_ok: None, signals: Tensor, *others: Tensor | None) -> UngatedOutput:
        x, _ = self.first(self.z_scored(signals).transpose(1, 2))  # (B, T, 128)
        x = self.norms[0](self.dropout(x.relu()).transpose(1, 2)).transpose(1, 2)
        _, (last, _) = self.second(x)  # (1, B, 64)
        x = self.norms[1](self.dropout(last[0].relu()))
        return UngatedOutput.of(self.head(self.dropout(self.dense(x).relu())))


class EEGSystem(NeuralSystem):
    """The LSTM on sequences of band powers."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg",)
    waveforms: ClassVar[bool] = False  # a sequence of band powers cannot be shifted or scaled as a signal can
    normalises_by_subject: ClassVar[bool] = False  # features of stored signals

    @override
    def build(self, shape: Shape) -> nn.Module:
        return LSTM(shape.n_channels, shape.n_outputs)

    @override
    def _shape(self, store: WindowSource, n_outputs: int) -> Shape:
        """Features in the place of channels, windows in that of samples."""
        n_features = len(derivations_of(store)) * require_bands(store)
        names = tuple((str(i), "feature") for i in range(n_features))
        return Shape(names, 1 / float(store.settings["prepare"]["window_s"]), CUT.length, 0, 0, n_outputs)

    @override
    def _windows(self, store: WindowSource, rows: np.ndarray, y: np.ndarray | None = None) -> BatchSource:
        require_modalities(store, rows, self.config)
        return Sequences(store, rows, CUT, y, device_of(self.config.train))


class System(WeightedFusion):
    """Late fusion of both; of one modality, its part alone."""

    part_classes: ClassVar[dict[str, type[BaseSystem]]] = {"face": FaceSystem, "eeg": EEGSystem}
    refused: ClassVar[dict[str, str]] = {
        "window": "its sequences of 10 windows would contain, beside each window tested, windows of the same trial "
        "that it was trained on; give trial, stimulus, subject or subject+stimulus"
    }

    @dataclass(frozen=True)
    class Options(WeightedFusion.Options):
        """The options of mindlink-eumpy."""

        fusion: Literal["enumerate", "adaboost"] = "adaboost"
        """how the weights of face and EEG are fitted"""

    options: Options

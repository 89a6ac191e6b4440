"""Li et al. 2021 (MindLink-Eumpy, Front. Hum. Neurosci. 15:621493): an LSTM on the EEG, a face network, AdaBoost.

From the abstract and the public code (MindLink-Explorer, Eumpy): the 85 band powers of derivations.py, for people not
seen before an LSTM of 128 and one of 64, ReLU, dropout 0.5 and batch norm after each, a layer of 64 with dropout, on
sequences of 10 feature vectors, the next sequence 5 later; the network of face_cnn.py; AdaBoost over the two
(fusion.py; its weights have the logarithm that the code lacks, unless rival.adaboost_log is off). Within a person the
source has the machine of `huang`, and the enumerated weight as another choice.

Otherwise than there: the label is learnt by cross-entropy with Adam and early stopping, as by every network here (the
source: the rating itself, squared error, Adadelta, 64 epochs); no dropout between time steps and no L2 of 1 on the last
layer, with which it hardly learns; batch norms (epsilon 1e-3, as in Keras) that follow their batches faster (0.1 a
step, not 0.01), and weights that start as torch's; features are a whole window apart (there half a second), and
z-scored each over all places of a sequence. A window's prediction is that of the sequence of 10 which ends with it, or
in a trial's first 9 windows of the first sequence; a sequence lies within one trial, and so under protocol `window` a
model would see, for each window tested, neighbours of the same trial that it was trained on: that is refused.
"""

from typing import ClassVar

import numpy as np
from torch import Tensor, nn
from typing_extensions import override

from ..network.batches import Windows
from ..network.devices import device_of
from ..store.window_source import WindowSource
from . import Contract
from .features.electrode_pairs import decibels, derivations_of, require_bands
from .learners.classical import require_whole
from .learners.face_cnn import Face
from .learners.late_fusion import Fused
from .learners.neural import Answer, KerasBatchNorm1d, Network, Normalising, Shape
from .learners.window_sequences import Cut, Sequences

CUT = Cut(decibels, length=10, stride=5)


class LSTM(Normalising):
    """Band powers (B, D, T) of T windows -> K logits."""

    def __init__(self, n_features: int, n_outputs: int):
        super().__init__(n_features)
        self.first = nn.LSTM(n_features, 128, batch_first=True)
        self.second = nn.LSTM(128, 64, batch_first=True)
        self.norms = nn.ModuleList([KerasBatchNorm1d(128), KerasBatchNorm1d(64)])
        self.dropout = nn.Dropout(0.5)
        self.dense, self.head = nn.Linear(64, 64), nn.Linear(64, n_outputs)

    @override
    def forward(self, faces: None, face_ok: None, signals: Tensor, *others: Tensor | None) -> Answer:
        x, _ = self.first(self.z_scored(signals).transpose(1, 2))  # (B, T, 128)
        x = self.norms[0](self.dropout(x.relu()).transpose(1, 2)).transpose(1, 2)
        _, (last, _) = self.second(x)  # (1, B, 64)
        x = self.norms[1](self.dropout(last[0].relu()))
        return Answer.of(self.head(self.dropout(self.dense(x).relu())))


class EEG(Network):
    """What the EEG alone tells. See `gbvnet.systems.Contract`."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg",)
    waveforms: ClassVar[bool] = False  # a sequence of band powers cannot be shifted or scaled as a signal can

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
    def _windows(self, store: WindowSource, rows: np.ndarray, y: np.ndarray | None = None) -> Windows:
        require_whole(store, rows, self.config)
        return Sequences(store, rows, CUT, y, device_of(self.config.train))


class System(Fused):
    made_of: ClassVar[dict[str, type[Contract]]] = {"face": Face, "eeg": EEG}
    refused: ClassVar[dict[str, str]] = {
        "window": "its sequences of 10 windows would hold, beside each window tested, windows of the same trial that "
        "it was trained on; give trial, stimulus, subject or subject+stimulus"
    }
    rule: ClassVar[str] = "adaboost"

"""bddae: a bimodal deep autoencoder on the features of GBV-Net's two encoders, and a linear SVM on its code.

After Ngiam et al. 2011 ("Multimodal Deep Learning", ICML) and Liu, Zheng, Lu 2016 ("Emotion recognition using
multimodal deep learning", ICONIP), who bring it to EEG and eye movements: each modality has a layer of its own, both
meet in a shared code, from which both are reconstructed; the code goes to a linear SVM. Ngiam et al. show a third of
the windows with both modalities, a third with either alone (the other is zero), and always ask for both.

Chosen here: 64 units for each modality, a code of 32, ReLU but for the code, which is linear; mean squared error on
z-scored features, Adam, at most 100 epochs, the best on validation windows. Layers start at random; the restricted
Boltzmann machines by which the sources start them are left out. The autoencoder reads the features of the two encoders,
each trained before on the labels (branches.py). A modality that a window lacks is zero, as in training.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from ..network.model import FACE_WIDTH, SIGNAL_WIDTH
from ..network.objectives import Objective, SquaredError
from .learners.branches import FeatureFusion, FusedBranches

HIDDEN, CODE, EPOCHS = 64, 32, 100


class Autoencoder(FeatureFusion):
    """From both features to a code and back."""

    def __init__(self) -> None:
        super().__init__()
        self.face, self.signals = nn.Linear(FACE_WIDTH, HIDDEN), nn.Linear(SIGNAL_WIDTH, HIDDEN)
        self.code = nn.Linear(2 * HIDDEN, CODE)
        self.decode = nn.Linear(CODE, 2 * HIDDEN)
        self.face_again, self.signals_again = nn.Linear(HIDDEN, FACE_WIDTH), nn.Linear(HIDDEN, SIGNAL_WIDTH)

    @override
    def trained(self, f: Tensor, b: Tensor) -> Tensor:
        """Both features reconstructed (B, 192); in training from one of them in two thirds of the windows."""
        if self.training:
            which = torch.randint(3, (len(f), 1), device=f.device)
            f, b = f * (which != 1), b * (which != 2)
        face, signals = F.relu(self.decode(self._code(f, b))).chunk(2, dim=1)
        return torch.cat([self.face_again(face), self.signals_again(signals)], dim=1)

    @override
    def fused(self, f: Tensor, b: Tensor, has: Tensor) -> Tensor:
        return self._code(f, b)

    def _code(self, f: Tensor, b: Tensor) -> Tensor:
        return self.code(torch.cat([F.relu(self.face(f)), F.relu(self.signals(b))], dim=1))


class System(FusedBranches):
    """A bimodal autoencoder, and a linear SVM on its code."""

    @override
    def untrained_fusion(self) -> FeatureFusion:
        return Autoencoder()

    @override
    def objective(self) -> Objective:
        return SquaredError()

    @override
    def epochs(self) -> int:
        return EPOCHS

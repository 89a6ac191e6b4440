"""deep-cca: deep canonical correlation analysis of the features of GBV-Net's two encoders, and their weighted sum.

After Liu, Qiu, Zheng, Lu 2021 (doi:10.1109/TCDS.2021.3071170), which brings deep CCA (Andrew et al. 2013) to EEG and
eye movements: a small network for each modality, trained so that the outputs of both are as correlated as they can be;
their weighted sum goes to a classifier. Only its abstract is used here. There the networks read features such as
differential entropy; here they read those of the two encoders, each trained before on the labels (branches.py).

Chosen here: one hidden layer of 64 tanh units, 8 outputs, r = 1e-3, Adam, all training windows in a step (at most
1024), the epoch of the largest correlation on validation windows. The objective does not change when outputs are mixed
linearly, so a sum of raw outputs would add what does not belong together: both are first mapped to their canonical
variates on training windows. Weights of 1/2. Of a window that lacks a modality the other's variates alone are used.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from ..config import require
from ..network.canonical_correlation import CanonicalCorrelation, canonical_maps
from ..network.model import FACE_WIDTH, SIGNAL_WIDTH
from ..network.objectives import Objective
from .learners.branches import FeatureFusion, FusedBranches

HIDDEN, EPOCHS = 64, 100


class DeepCCA(FeatureFusion):
    """Two networks whose outputs are correlated, and the weighted sum of their canonical variates.

    components : outputs of either, k. weight : of the face in the sum, 0 to 1
    """

    def __init__(self, components: int, weight: float):
        super().__init__()
        self.weight = weight
        self.face, self.signals = (
            nn.Sequential(nn.Linear(n, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, components))
            for n in (FACE_WIDTH, SIGNAL_WIDTH)
        )
        for name in ("face", "signals"):
            self.register_buffer(f"centre_{name}", torch.zeros(components))
            self.register_buffer(f"map_{name}", torch.eye(components))

    @override
    def trained(self, f: Tensor, b: Tensor) -> Tensor:
        return torch.cat([self.face(f), self.signals(b)], dim=1)

    @override
    def finish(self, f: Tensor, b: Tensor) -> None:
        maps = canonical_maps(self.face(f).double(), self.signals(b).double())
        for name, centre, matrix in (("face", maps.centre1, maps.map1), ("signals", maps.centre2, maps.map2)):
            self.get_buffer(f"centre_{name}").copy_(centre)
            self.get_buffer(f"map_{name}").copy_(matrix)

    @override
    def fused(self, f: Tensor, b: Tensor, has: Tensor) -> Tensor:
        weights = has * torch.tensor([self.weight, 1 - self.weight])  # (n, 2)
        alone = has.sum(1, keepdim=True) == 1
        weights = torch.where(alone, has.float(), weights)
        return weights[:, :1] * self._variates("face", f) + weights[:, 1:] * self._variates("signals", b)

    def _variates(self, name: str, x: Tensor) -> Tensor:
        """The canonical variates (n, k) of z-scored features."""
        return (self.get_submodule(name)(x) - self.get_buffer(f"centre_{name}")) @ self.get_buffer(f"map_{name}")


class System(FusedBranches):
    """Deep canonical correlation analysis, the weighted sum of both modalities, and a linear SVM."""

    @dataclass(frozen=True)
    class Options(FusedBranches.Options):
        """The options of deep-cca."""

        components: int = 8
        """number of canonical variates, 1 to 64"""
        weight: float = 0.5
        """weight of the face in the sum, 0 to 1; that of the signals is 1 minus it"""

        def __post_init__(self) -> None:
            require(1 <= self.components <= SIGNAL_WIDTH, f"options.components must be 1 to 64, not {self.components}")
            require(0 <= self.weight <= 1, f"options.weight must be 0 to 1, not {self.weight}")

    options: Options

    @override
    def untrained_fusion(self) -> FeatureFusion:
        return DeepCCA(self.options.components, self.options.weight)

    @override
    def objective(self) -> Objective:
        return CanonicalCorrelation()

    @override
    def epochs(self) -> int:
        return EPOCHS

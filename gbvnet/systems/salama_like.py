"""salama-like: a 3-D CNN on blocks of EEG and another on the frames of the face, stacked.

After what is known of Salama et al. 2021 (Egypt. Inform. J. 22:167): 3-D convolutions over EEG in blocks and over
faces cut out of the video, and ensembles of both (bagging and stacking, support vector machines as heads). Sizes and
protocol are not known, so this is no measure of their result. They cut faces by Mask-RCNN; here they are the store's.

Chosen here: a block is the window's samples by a 9 x 9 map of the scalp, each electrode at the place that its 10-10
name gives it, zero where there is none. Three convolutions of 3 x 3 x 3 (8, 16 and 32 channels) with batch norm, ReLU
and max pooling, then 64 features, for either modality; a frame without a face is as the nearest good one of its
window. Each network is trained separately; their logits are stacked by a logistic regression fitted on the validation
rows (training rows that neither has learnt from; without these, on all training rows).
"""

import logging
from typing import ClassVar

import numpy as np
import torch
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from typing_extensions import override

from ..datasets.channel_names import canonical_name
from ..errors import BadConfig
from . import BaseSystem
from .learners.good_frames import nearest_good
from .learners.late_fusion import LateFusion
from .learners.neural import NeuralSystem, NormalisingNetwork, Shape, UngatedOutput

log = logging.getLogger(__name__)

# Rows of the 10-10 system from front to back, and its columns from left to right. FT and TP are the outer ends of the
# rows FC and CP, T of C. Electrodes on the neck, the ears and the lowest ring (F9, T10, I1, M1, ...) have no place.
ROWS = {"FP": 0, "AF": 1, "F": 2, "FC": 3, "FT": 3, "C": 4, "T": 4, "CP": 5, "TP": 5, "P": 6, "PO": 7, "O": 8}
COLUMNS = {"7": 0, "5": 1, "3": 2, "1": 3, "Z": 4, "2": 5, "4": 6, "6": 7, "8": 8}
GRID = 9
WIDTHS = (8, 16, 32)
WIDTH = 64
MOST = 1 - 1e-6  # of a probability, where it is made a logit again


def place(name: str) -> tuple[int, int] | None:
    """Return row and column of an electrode in the map, None if it has no place there."""
    electrode = canonical_name(name).upper()
    row, column = ROWS.get(electrode[:-1]), COLUMNS.get(electrode[-1:])
    return None if row is None or column is None else (row, column)


class Scalp(nn.Module):
    """(B, C, L) -> (B, 1, L, 9, 9): electrodes at their places."""

    at: Tensor
    placed: Tensor

    def __init__(self, names: list[str]):
        super().__init__()
        places = {i: position for i, name in enumerate(names) if (position := place(name)) is not None}
        lost = [name for i, name in enumerate(names) if i not in places]
        if not places:
            raise BadConfig(
                f"salama-like lays electrodes of the 10-10 system (Fp1, Cz, ...) on a map of the scalp, and of "
                f"{', '.join(names)} none is one; name the channels so, or use another system"
            )
        if lost:
            log.info("salama-like leaves out %s: no place for them on a map of 9 x 9 electrodes", ", ".join(lost))
        self.register_buffer("placed", torch.tensor(list(places)), persistent=False)
        self.register_buffer("at", torch.tensor([GRID * r + c for r, c in places.values()]), persistent=False)

    @override
    def forward(self, x: Tensor) -> Tensor:
        maps = x.new_zeros(len(x), x.shape[2], GRID * GRID)
        maps[:, :, self.at] = x[:, self.placed].transpose(1, 2)
        return maps.view(len(x), 1, -1, GRID, GRID)


def convolutions(n_in: int, strides: tuple[int, int, int], pools: list[tuple[int, int, int]]) -> nn.Sequential:
    """Return three 3-D convolutions, (B, n_in, T, H, W) -> (B, 32, T', H', W'), the first with strides."""
    layers: list[nn.Module] = []
    for i, (width, pool) in enumerate(zip(WIDTHS, pools, strict=True)):
        convolution = nn.Conv3d(n_in if i == 0 else WIDTHS[i - 1], width, 3, strides if i == 0 else 1, padding=1)
        # ceil_mode: a short window or a single frame is not pooled away
        layers += [convolution, nn.BatchNorm3d(width), nn.ReLU(), nn.MaxPool3d(pool, ceil_mode=True)]
    return nn.Sequential(*layers)


def head(n_in: int, n_outputs: int) -> nn.Sequential:
    """Return two linear layers on flattened maps, (B, n_in) -> (B, K)."""
    return nn.Sequential(nn.Flatten(), nn.Linear(n_in, WIDTH), nn.ReLU(), nn.Dropout(0.5), nn.Linear(WIDTH, n_outputs))


class EEGBlocks(NormalisingNetwork):
    """3-D convolutions over EEG on a map of the scalp -> K logits."""

    def __init__(self, shape: Shape):
        super().__init__(shape.n_channels)
        self.scalp = Scalp([name for name, _ in shape.channels])
        self.space = convolutions(1, (2, 1, 1), [(2, 1, 1), (2, 2, 2), (2, 2, 2)])
        length = -(-shape.n_samples // 16)  # L halved four times; 9 x 9 becomes 5 x 5 and then 3 x 3
        self.head = head(WIDTHS[-1] * length * 3 * 3, shape.n_outputs)

    @override
    def forward(
        self,
        faces: Tensor | None,
        face_ok: Tensor | None,
        signals: Tensor,
        has_face: Tensor | None = None,
        has_signals: Tensor | None = None,
    ) -> UngatedOutput:
        """Return logits (B, K) of signals (B, C, L); the other arguments are not used."""
        return UngatedOutput.of(self.head(self.space(self.scalp(self.z_scored(signals)))))


class FaceBlocks(nn.Module):
    """3-D convolutions over face frames -> K logits."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.space = convolutions(3, (1, 2, 2), [(1, 2, 2), (2, 2, 2), (2, 2, 2)])
        frames, side = -(-shape.n_frames // 4), -(-shape.side // 16)
        self.head = head(WIDTHS[-1] * frames * side * side, shape.n_outputs)

    @override
    def forward(
        self,
        faces: Tensor,
        face_ok: Tensor | None,
        signals: Tensor | None = None,
        has_face: Tensor | None = None,
        has_signals: Tensor | None = None,
    ) -> UngatedOutput:
        """Return logits (B, K) of faces (B, F, 3, S, S) with face_ok (B, F); the other arguments are not used."""
        if face_ok is not None:
            faces = nearest_good(faces, face_ok)
        return UngatedOutput.of(self.head(self.space(faces.transpose(1, 2) - 0.5)))  # (B, 3, F, S, S) inward


class EEGSystem(NeuralSystem):
    """The network on EEG blocks."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg",)

    @override
    def build(self, shape: Shape) -> nn.Module:
        return EEGBlocks(shape)


class FaceSystem(NeuralSystem):
    """The network on face blocks."""

    modalities: ClassVar[tuple[str, ...]] = ("face",)

    @override
    def build(self, shape: Shape) -> nn.Module:
        return FaceBlocks(shape)


class System(LateFusion):
    """Both networks and a logistic regression on their logits; of one modality, its network alone."""

    part_classes: ClassVar[dict[str, type[BaseSystem]]] = {"face": FaceSystem, "eeg": EEGSystem}
    rule: ClassVar[str] = "stack"
    normalises_by_subject: ClassVar[bool] = True  # as its part of the EEG

    @override
    def fit_weights(self, scores: dict[str, np.ndarray], y: np.ndarray, trials: np.ndarray) -> np.ndarray:
        """Return weights (K, 3) of the face's logit, the EEG's, and the constant; 1/2, 1/2, 0 with a single class."""
        weights = []
        for target, x in zip(y.T, _logits(scores["face"], scores["eeg"]), strict=True):
            if len(np.unique(target)) == 1:
                weights.append(np.array([0.5, 0.5, 0.0]))
            else:
                fitted = LogisticRegression().fit(x, target)
                weights.append(np.append(fitted.coef_[0], fitted.intercept_))
        return np.stack(weights)

    @override
    def fuse(self, face: np.ndarray, eeg: np.ndarray) -> np.ndarray:
        weighted = np.einsum("knm,km->nk", _logits(face, eeg), self.weights[:, :2])
        return expit(weighted + self.weights[:, 2]).T


def _logits(face: np.ndarray, eeg: np.ndarray) -> np.ndarray:
    """Return the logits (K, n, 2) of two probabilities (K, n)."""
    return logit(np.stack([face, eeg], axis=2).clip(1 - MOST, MOST))

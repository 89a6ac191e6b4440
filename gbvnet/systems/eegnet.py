"""EEGNet-8,2 (Lawhern et al. 2018, J. Neural Eng. 15:056013): the small network that EEG papers compare with.

From the paper: 8 temporal filters of half the sampling rate, 2 spatial filters for each of them (norm at most 1), ELU,
mean pool of 4, dropout; a separable convolution to 16 maps over half a second of what is left, ELU, mean pool of 8,
dropout; a linear layer (norm at most 0.25). Batch norms after each convolution, which so need no bias. Dropout is 0.5,
the paper's for training within a subject (0.25 is theirs across subjects). As in the authors' code (arl-eegmodels,
Keras): the epsilon of batch norms is 1e-3, and convolutions in time are padded with zeros to the length they had, of an
even filter with one zero more at the end. Differences from the source: one logit a target in place of a softmax; a
momentum of batch norms of 0.1 (there 0.01), as small data have few batches; PyTorch's initial weights, not Glorot's.
Networks saved by earlier versions, whose epsilon was 1e-5, keep it.

Filter lengths, given for 128 Hz in the paper, follow the rate here. Windows shorter than 32 samples, or than a filter,
make filters and pools shorter; the log says so. Made for EEG, and takes other signals as further channels.
"""

import logging
from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from .learners.neural import KerasBatchNorm2d, NeuralSystem, NormalisingNetwork, Shape, UngatedOutput

log = logging.getLogger(__name__)

FILTERS, DEPTH = 8, 2  # F1 and D of the paper; F2 is their product
MAPS = FILTERS * DEPTH
POOLS = (4, 8)
SPATIAL_NORM, HEAD_NORM = 1.0, 0.25
DROPOUT = 0.5


class Sizes:
    """Lengths of the filters and pools for a window, in samples of what they are applied to."""

    def __init__(self, n_samples: int, rate_hz: float):
        self.pools = (min(POOLS[0], n_samples), max(1, min(POOLS[1], n_samples // POOLS[0])))
        between = n_samples // self.pools[0]  # samples after the first pool
        wanted = (max(1, round(rate_hz / 2)), max(1, round(rate_hz / 2 / POOLS[0])))
        self.temporal, self.separable = min(wanted[0], n_samples), min(wanted[1], between)
        self.places = between // self.pools[1]  # in time, at the end
        self.shrunk = self.pools != POOLS or (self.temporal, self.separable) != wanted


class EEGNet(NormalisingNetwork):
    """(B, C, L) -> K logits."""

    def __init__(self, shape: Shape):
        super().__init__(shape.n_channels)
        sizes = Sizes(shape.n_samples, shape.rate_hz)
        self.temporal = nn.Sequential(
            _same(sizes.temporal), nn.Conv2d(1, FILTERS, (1, sizes.temporal), bias=False), KerasBatchNorm2d(FILTERS)
        )
        self.spatial = nn.Conv2d(FILTERS, MAPS, (shape.n_channels, 1), groups=FILTERS, bias=False)
        self.after_spatial = nn.Sequential(
            KerasBatchNorm2d(MAPS), nn.ELU(), nn.AvgPool2d((1, sizes.pools[0])), nn.Dropout(DROPOUT)
        )
        self.separable = nn.Sequential(
            _same(sizes.separable),
            nn.Conv2d(MAPS, MAPS, (1, sizes.separable), groups=MAPS, bias=False),
            nn.Conv2d(MAPS, MAPS, 1, bias=False),
            *(KerasBatchNorm2d(MAPS), nn.ELU(), nn.AvgPool2d((1, sizes.pools[1])), nn.Dropout(DROPOUT), nn.Flatten()),
        )
        self.head = nn.Linear(MAPS * sizes.places, shape.n_outputs)
        self.register_state_dict_pre_hook(lambda network, *_: network.bound())  # saved weights obey the bounds, too

    @torch.no_grad()
    def bound(self) -> None:
        """Scale each filter whose norm exceeds its bound back to the bound; called before each step and each save."""
        _bound(self.spatial.weight, SPATIAL_NORM)
        _bound(self.head.weight, HEAD_NORM)

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
        self.bound()
        x = self.temporal(self.z_scored(signals)[:, None])  # (B, 8, C, L)
        x = self.after_spatial(self.spatial(x))  # (B, 16, 1, L/4)
        return UngatedOutput.of(self.head(self.separable(x)))  # (B, 16 * L/32) -> (B, K)


def _bound(weight: Tensor, norm: float) -> None:
    size = weight.flatten(1).norm(dim=1).clamp(min=1e-12)  # one a filter
    weight.mul_((norm / size).clamp(max=1).view(-1, *[1] * (weight.ndim - 1)))


def _same(kernel: int) -> nn.ZeroPad2d:
    """Return the padding that keeps the length; of an even kernel the extra zero comes last, as in TensorFlow's
    `same`."""
    return nn.ZeroPad2d(((kernel - 1) // 2, kernel // 2, 0, 0))


class System(NeuralSystem):
    """EEGNet-8,2 on signals."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg", "bio", "peri")

    @override
    def build(self, shape: Shape) -> nn.Module:
        sizes = Sizes(shape.n_samples, shape.rate_hz)
        if sizes.shrunk:
            log.info(
                "eegnet: windows of %d samples at %g Hz are too short for its sizes; filters are %d and %d samples "
                "here, pools %d and %d",
                *(shape.n_samples, shape.rate_hz, sizes.temporal, sizes.separable, *sizes.pools),
            )
        return EEGNet(shape)

"""hsa-like: channel weights, then local and global self-attention over a sequence of differential entropies.

After what is known of Zhang et al. 2023 (IEEE Trans. Affect. Comput. 14:2458): the abstract, which names short-term
continuity (local attention), long-term similarity (global attention) and a squeeze-and-excitation module over the
channels. Protocol, sizes, the length of the sequence and of its pieces, and a further loss that locates emotion are
not known; that loss is left out. So this is no measure of their result.

Chosen here: the sequence lies within one window, so that no protocol leaks: segments of 1/8 s, the differential
entropy of each channel in theta, alpha, beta and gamma (0.5 ln(2 pi e variance), as of a normal signal), the window
split into bands by its Fourier transform. Excitation is of the whole window; local attention is within blocks of 4
segments; one Transformer layer each, width 64. EEG only.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from ..errors import BadConfig
from ..network.model import TransformerLayer
from .learners.neural import NeuralSystem, NormalisingNetwork, Shape, UngatedOutput

BANDS_HZ = ((4, 8), (8, 13), (13, 30), (30, 45))
SEGMENT_S = 0.125
BLOCK = 4  # segments that attend to one another at first
WIDTH = 64
SQUEEZE = 4  # channels are squeezed to a quarter
FLOOR = 1e-4  # of a variance, where the channel's own is 1: a flat channel has a finite entropy


class BandEntropy(nn.Module):
    """(B, C, L) -> (B, T, C, Q): the differential entropy of T segments of each channel in Q bands, nats.

    Bands that reach above half the sampling rate are left out, and those so narrow that no frequency of the window is
    in them. Samples that do not fill a last segment are left out after the transform.
    """

    masks: Tensor

    def __init__(self, n_samples: int, rate_hz: float):
        super().__init__()
        hz = torch.fft.rfftfreq(n_samples, 1 / rate_hz)
        masks = [(low <= hz) & (hz < high) for low, high in BANDS_HZ if high <= rate_hz / 2]
        masks = [mask for mask in masks if mask.any()]
        if not masks:
            raise BadConfig(
                f"hsa-like needs a band of {BANDS_HZ} Hz, and {n_samples} samples at {rate_hz:g} Hz hold none: prepare "
                "the corpus with a larger window_s, or use another system"
            )
        self.register_buffer("masks", torch.stack(masks).float(), persistent=False)  # (Q, L/2 + 1)
        self.samples = min(n_samples, max(2, round(SEGMENT_S * rate_hz)))  # of a segment
        self.segments, self.n_samples = n_samples // self.samples, n_samples

    @torch.no_grad()
    @override
    def forward(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(x.float())[:, :, None] * self.masks  # (B, C, Q, L/2 + 1)
        bands = torch.fft.irfft(spectrum, n=self.n_samples)[..., : self.segments * self.samples]  # (B, C, Q, L)
        variance = bands.unflatten(3, (self.segments, self.samples)).square().mean(4)  # (B, C, Q, T); bands have mean 0
        return 0.5 * (2 * math.pi * math.e * (variance + FLOOR)).log().permute(0, 3, 1, 2)


class Excitation(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018) over channels: each is weighted by 0 to 1, computed from all of their
    means."""

    def __init__(self, n_channels: int):
        super().__init__()
        squeezed = max(1, n_channels // SQUEEZE)
        self.squeeze, self.excite = nn.Linear(n_channels, squeezed), nn.Linear(squeezed, n_channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """x, result: (B, T, C, Q)."""
        weights = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((1, 3))))))  # (B, C)
        return x * weights[:, None, :, None]


class LocalAttention(nn.Module):
    """A Transformer layer in which a segment attends to its own block only: (B, T, D), in and out."""

    def __init__(self, width: int, block: int = BLOCK):
        super().__init__()
        self.block, self.layer = block, TransformerLayer(width)

    @override
    def forward(self, x: Tensor) -> Tensor:
        batch, places, width = x.shape
        lacking = -places % self.block  # in the last block
        there = torch.ones(places, dtype=torch.bool, device=x.device)
        there = F.pad(there, (0, lacking)).view(-1, self.block).repeat(batch, 1)  # (B * blocks, 4)
        blocks = F.pad(x, (0, 0, 0, lacking)).view(-1, self.block, width)  # (B * blocks, 4, D)
        return self.layer(blocks, there).view(batch, -1, width)[:, :places]


class HSALike(NormalisingNetwork):
    """Band entropies (B, T, C, Q), excitation, local and global attention -> K logits."""

    def __init__(self, shape: Shape):
        super().__init__(shape.n_channels)
        self.entropy = BandEntropy(shape.n_samples, shape.rate_hz)
        width = shape.n_channels * len(self.entropy.masks)  # C * Q
        self.norm = nn.BatchNorm1d(width)  # of entropies, which differ by band
        self.excitation = Excitation(shape.n_channels)
        self.inward = nn.Linear(width, WIDTH)
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(self.entropy.segments, WIDTH), std=0.02))
        self.local, self.everywhere = LocalAttention(WIDTH), TransformerLayer(WIDTH)
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Dropout(0.5), nn.Linear(WIDTH, shape.n_outputs))

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
        x = self.entropy(self.z_scored(signals))  # (B, T, C, Q)
        x = self.norm(x.flatten(2).transpose(1, 2)).transpose(1, 2).view(x.shape)
        x = self.inward(self.excitation(x).flatten(2)) + self.positions  # (B, T, D)
        x = self.local(x)
        x = self.everywhere(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device))
        return UngatedOutput.of(self.head(x.mean(1)))


class System(NeuralSystem):
    """Local and global attention over band-wise entropies of EEG."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg",)

    @override
    def build(self, shape: Shape) -> nn.Module:
        return HSALike(shape)

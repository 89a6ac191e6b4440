"""cui-like: cross-attention between tokens of the EEG and tokens of the face.

After the title of Cui, Chen & Li 2024 (Knowl.-Based Syst. 304:112587), "Emotion Recognition Using Cross-Modal
Attention from EEG and Facial Expression". Nothing else of it is known here, so this is no measure of their result.

Chosen here: a token of 64 features for each frame (four convolutions of stride 2) and for each 1/8 s of signals (one
convolution in time, one that cuts), with learned positions; one layer of cross-attention in either direction (4 heads)
with a feed-forward layer, normalised before each; the means of both sides' tokens into one linear layer. A frame
without a face is masked in the attention and left out of the mean. One modality alone is refused.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from ..network.model import HEADS, mean_of_valid
from .learners.neural import NeuralSystem, NormalisingNetwork, Shape, UngatedOutput

WIDTH = 64  # of a token
TOKEN_S = 0.125  # of signals
FACE_WIDTHS = (16, 32, 48, WIDTH)
LOCAL_WIDTH = 32
DROPOUT = 0.1


class FaceTokens(nn.Module):
    """(B, F, 3, S, S) in [0, 1] -> (B, F, 64), each frame alone."""

    def __init__(self, n_frames: int):
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip((3, *FACE_WIDTHS), FACE_WIDTHS, strict=False):
            # Group norm, not batch norm: no frame may influence another's token.
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1), nn.GroupNorm(4, n_out), nn.GELU()]
        self.space = nn.Sequential(*layers)
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(n_frames, WIDTH), std=0.02))

    @override
    def forward(self, faces: Tensor) -> Tensor:
        maps = self.space(
            faces.flatten(0, 1).contiguous(memory_format=torch.channels_last) - 0.5
        )  # (N, 64, S/16, S/16)
        return maps.mean((2, 3)).unflatten(0, faces.shape[:2]) + self.positions


class SignalTokens(nn.Module):
    """(B, C, L), z-scored -> (B, T, 64); samples that do not fill a last token are left out."""

    def __init__(self, n_channels: int, n_samples: int, rate_hz: float):
        super().__init__()
        length = min(n_samples, max(1, round(TOKEN_S * rate_hz)))
        self.local = nn.Sequential(
            nn.Conv1d(n_channels, LOCAL_WIDTH, 7, padding=3), nn.BatchNorm1d(LOCAL_WIDTH), nn.GELU()
        )
        self.cut = nn.Conv1d(LOCAL_WIDTH, WIDTH, length, stride=length)
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(n_samples // length, WIDTH), std=0.02))

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.cut(self.local(x)).transpose(1, 2) + self.positions


class CrossAttention(nn.Module):
    """Tokens `x` (B, T, D) attend to `others` (B, T', D), of which those with `ok` (B, T') False are masked."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_x, self.norm_others, self.norm_after = (nn.LayerNorm(WIDTH) for _ in range(3))
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, dropout=DROPOUT, batch_first=True)
        self.widen, self.narrow = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.dropout = nn.Dropout(DROPOUT)

    @override
    def forward(self, x: Tensor, others: Tensor, ok: Tensor | None = None) -> Tensor:
        """Return the tokens (B, T, D)."""
        keys = self.norm_others(others)
        hidden = None if ok is None else ~ok
        attended, _ = self.attention(self.norm_x(x), keys, keys, key_padding_mask=hidden, need_weights=False)
        x = x + self.dropout(attended)
        return x + self.dropout(self.narrow(self.dropout(F.gelu(self.widen(self.norm_after(x))))))


class CuiLike(NormalisingNetwork):
    """Tokens of both modalities, cross-attention in both directions -> K logits."""

    def __init__(self, shape: Shape):
        super().__init__(shape.n_channels)
        self.face = FaceTokens(shape.n_frames)
        self.signals = SignalTokens(shape.n_channels, shape.n_samples, shape.rate_hz)
        self.to_face, self.to_signals = CrossAttention(), CrossAttention()  # named by the side that is attended to
        self.head = nn.Sequential(nn.LayerNorm(2 * WIDTH), nn.Dropout(0.5), nn.Linear(2 * WIDTH, shape.n_outputs))

    @override
    def forward(
        self,
        faces: Tensor,
        face_ok: Tensor | None,
        signals: Tensor,
        has_face: Tensor | None = None,
        has_signals: Tensor | None = None,
    ) -> UngatedOutput:
        """Return logits (B, K) of faces (B, F, 3, S, S) with face_ok (B, F), and signals (B, C, L).

        Every window has both, so has_face and has_signals are not used.
        """
        ok = torch.ones(faces.shape[:2], dtype=torch.bool, device=faces.device) if face_ok is None else face_ok
        face, bio = self.face(faces), self.signals(self.z_scored(signals))  # (B, F, 64), (B, T, 64)
        face_after, bio_after = self.to_signals(face, bio), self.to_face(bio, face, ok)
        return UngatedOutput.of(self.head(torch.cat([mean_of_valid(face_after, ok), bio_after.mean(1)], dim=1)))


class System(NeuralSystem):
    """Cross-modal attention between the face and the EEG, or other signals."""

    modalities: ClassVar[tuple[str, ...]] = ("faceeeg", "facebio", "faceperi")

    @override
    def build(self, shape: Shape) -> nn.Module:
        return CuiLike(shape)

"""Fusions of other papers in the place of GBV-Net's gate, to compare networks that differ in nothing else.

Each takes the face's feature f (B, 128) and the signals' b (B, 64), and returns D = 192 fused features, as the gate
does (`model.make_fusion`). The encoders, the missing-modality embeddings and the classifier stay as they are. Both
features are one vector a window, so that attention is over groups of features, not over time.

Shapes: B windows in a batch, D fused features, R rank, T tokens.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

RANK = 4  # of each fused feature's matrix of weights
TOKEN = 16  # features in a token: 8 tokens of the face, 4 of the signals


class LowRankFusion(nn.Module):
    """Low-rank multimodal fusion (Liu et al. 2018, doi:10.18653/v1/P18-1209): a bilinear map of [f, 1] and [b, 1].

    Fused feature d is [f, 1] W_d [b, 1]^T with W_d = sum over r of u_dr v_dr^T, so that the outer product of both is
    never made: sum over r of (u_dr . [f, 1]) (v_dr . [b, 1]). The bias of a linear layer is the weight of the 1. The
    weights of the ranks in the authors' code are left out: they scale what the factors scale already.
    """

    def __init__(self, face_width: int, signal_width: int, width: int):
        super().__init__()
        self.face, self.bio = (nn.Linear(n, RANK * width) for n in (face_width, signal_width))
        # A layer's usual biases are near 0, and small features would be multiplied by nothing else at first.
        for layer in (self.face, self.bio):
            nn.init.uniform_(layer.bias, -1, 1)

    @override
    def forward(self, f: Tensor, b: Tensor) -> tuple[Tensor, Tensor | None]:
        """f: (B, 128), b: (B, 64). Result: (B, 192), no gates."""
        product = self.face(f) * self.bio(b)  # (B, R D)
        return product.unflatten(1, (RANK, -1)).sum(1), None


class Attention(nn.Module):
    """Attention of one modality's tokens to those of the other: softmax(Q K^T / sqrt(16)) V, one head, and W^O."""

    def __init__(self, width: int, other_width: int):
        super().__init__()
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key, self.value = nn.Linear(other_width, other_width), nn.Linear(other_width, other_width)

    @override
    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """x: (B, 16 T), the one that asks; other: (B, 16 T'). Result: (B, 16 T)."""
        q, k, v = (t.unflatten(1, (-1, TOKEN)) for t in (self.query(x), self.key(other), self.value(other)))
        shares = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(TOKEN), dim=-1)  # (B, T, T')
        return self.out((shares @ v).flatten(1))


class CrossAttentionFusion(nn.Module):
    """Cross-attention both ways: the face's tokens attend to those of the signals, and these to those of the face.

    Fused is [f + A(f, b), b + A(b, f)], with a layer norm before either attention, as in the encoder's Transformer.
    """

    def __init__(self, face_width: int, signal_width: int, width: int):
        super().__init__()
        self.norm_face, self.norm_bio = nn.LayerNorm(face_width), nn.LayerNorm(signal_width)
        self.face, self.bio = Attention(face_width, signal_width), Attention(signal_width, face_width)

    @override
    def forward(self, f: Tensor, b: Tensor) -> tuple[Tensor, Tensor | None]:
        """f: (B, 128), b: (B, 64). Result: (B, 192), no gates."""
        face, bio = self.norm_face(f), self.norm_bio(b)
        return torch.cat([f + self.face(face, bio), b + self.bio(bio, face)], dim=-1), None


class ExpertsFusion(nn.Module):
    """A mixture of experts by modality (Jacobs et al. 1991, doi:10.1162/neco.1991.3.1.79): w_f E_f(f) + w_b E_b(b).

    An expert is one layer with ReLU on its own modality; (w_f, w_b) is a softmax over one layer that sees both, so that
    the weights have sum 1. They are the gates of this fusion: those of all features of a modality are equal.
    """

    def __init__(self, face_width: int, signal_width: int, width: int):
        super().__init__()
        self.face, self.bio = nn.Linear(face_width, width), nn.Linear(signal_width, width)
        self.weights = nn.Linear(face_width + signal_width, 2)
        self.widths = face_width, signal_width

    @override
    def forward(self, f: Tensor, b: Tensor) -> tuple[Tensor, Tensor | None]:
        """f: (B, 128), b: (B, 64). Result: fused and gates, each (B, 192)."""
        gates = self.gates(f, b)
        return self.weigh(f, b, gates), gates

    def gates(self, f: Tensor, b: Tensor) -> Tensor:
        """Return w_f in the places of the face's 128 features and w_b in those of the signals' 64: (B, 192)."""
        w = torch.softmax(self.weights(torch.cat([f, b], dim=-1)), dim=-1)  # (B, 2)
        return torch.cat([w[:, i : i + 1].expand(-1, n) for i, n in enumerate(self.widths)], dim=-1)

    def weigh(self, f: Tensor, b: Tensor, gates: Tensor) -> Tensor:
        """Return the fused features (B, 192) that these gates give."""
        w_f, w_b = gates[:, :1], gates[:, self.widths[0] : self.widths[0] + 1]
        return w_f * F.relu(self.face(f)) + w_b * F.relu(self.bio(b))


# By the name in config.fusion; made of the widths of the face's and the signals' features, and of the fused ones.
FUSIONS: dict[str, type[LowRankFusion] | type[CrossAttentionFusion] | type[ExpertsFusion]] = {
    "low_rank": LowRankFusion,
    "cross_attention": CrossAttentionFusion,
    "experts": ExpertsFusion,
}

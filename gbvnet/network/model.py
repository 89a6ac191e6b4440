"""The complete GBV-Net: a face encoder, a signal encoder, and the gate that weighs their features.

Yu, Ru, Lei, Chen (2025), "GBV-Net: Hierarchical Fusion of Facial Expressions and Physiological Signals for
Multimodal Emotion Recognition". Eq. and section numbers are the paper's; docs/method.md says what the
paper specifies, what it does not, and the reason for each choice.

Shapes, here and in every comment below:
    B  windows in the batch      C  signal channels            D  features
    F  face frames per window    L  signal samples per window  K  logits (config.n_outputs)
    S  side of a face, pixels    N  frames in a batch, N = B F  H, W, E  height, width, channels of a feature map
"""

from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from ..config import GATED_FUSIONS, GBVNetConfig, Widths, require, uses_face, uses_signals
from ..errors import GbvnetError
from .devices import has_kernels, is_asynchronous
from .fused_block import fused, fuses, has_hooks
from .fused_norm import fused_norm, fuses_norm
from .fusions import FUSIONS
from .presence import Presence

FACE_WIDTH, SIGNAL_WIDTH = 128, 64  # f in R^128, b in R^64; implementation choices, as all widths but the 8
HEADS = 4
IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]

# variant: blocks in each of the four stages, channels in each. atto to tiny are the published ConvNeXt V2 sizes.
SIZES = {
    "micro": ((1, 1, 1, 1), (16, 32, 64, 128)),
    "small": ((2, 2, 2, 2), (24, 48, 96, 192)),
    "atto": ((2, 2, 6, 2), (40, 80, 160, 320)),
    "femto": ((2, 2, 6, 2), (48, 96, 192, 384)),
    "pico": ((2, 2, 6, 2), (64, 128, 256, 512)),
    "nano": ((2, 2, 8, 2), (80, 160, 320, 640)),
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
}


class NetworkOutput(NamedTuple):
    """The output of the network for each window.

    logits (B, K): above 0: the positive (high) class. gate_face, gate_bio (B,): the mean gate over the features of one
    modality, from 0 (blocked) to 1 (passed); NaN if the network has no gate or the window has one modality only.
    fused (B, D): the input of the classifier.
    gates (B, D): all gates, those of the face first; None if the network has none.
    """

    logits: Tensor
    gate_face: Tensor
    gate_bio: Tensor
    fused: Tensor
    gates: Tensor | None


def pixels(faces: Tensor) -> Tensor:
    """Return stored faces (B, F, S, S, 3) uint8 as network faces (B, F, 3, S, S) float32 in [0, 1].

    Only the order of the dimensions changes, not that of the memory: each frame is in torch's channels_last format.
    Raises GbvnetError for another shape or type.
    """
    if faces.dtype != torch.uint8 or faces.ndim != 5 or faces.shape[-1] != 3:
        raise GbvnetError(f"stored faces are (B, F, S, S, 3) uint8, not {tuple(faces.shape)} {faces.dtype}")
    return faces.permute(0, 1, 4, 2, 3).to(torch.float32).div_(255)


def network_faces(faces: Tensor) -> Tensor:
    """Return stored faces as a network reads them: pictures (B, F, S, S, 3) uint8 as `pixels` does, face features
    (B, F, D) float32 as they are. Raises GbvnetError for another shape or type."""
    return faces if faces.ndim == 3 and faces.is_floating_point() else pixels(faces)


# ---------------------------------------------------------------------------------------------- the face, in space


def patches(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a k x k convolution of stride k (Eq. 1): x (N, H, W, E) -> (N, H/k, W/k, E').

    If k does not divide the side, zeros complete the last row and column, so that no part of a face is lost (112 px
    are 28, 14, 7 and then 4 patches, not 3).
    """
    k, (height, width) = conv.stride[0], x.shape[1:3]
    if height % k or width % k:
        x = F.pad(x, (0, 0, 0, -width % k, 0, -height % k))
    if is_asynchronous(x.device) and not has_hooks(conv):
        return product(conv, in_patches(x, k))
    return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # no copies: the memory stays (N, H, W, E)


def in_patches(x: Tensor, k: int) -> Tensor:
    """Return the k x k patches of maps, each as one vector, row by row: (N, H, W, E) -> (N, H/k, W/k, k k E).

    In the type of the product that follows, so that there is one copy only.
    """
    n, height, width, channels = x.shape
    kind = x.device.type
    casts = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    dtype = torch.get_autocast_dtype(kind) if casts else x.dtype
    windows = x.reshape(n, height // k, k, width // k, k, channels).transpose(2, 3)
    return windows.to(dtype, memory_format=torch.contiguous_format).reshape(n, height // k, width // k, -1)


def product(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a k x k convolution of stride k to patches (N, H, W, k k E), as a matrix product: (N, H, W, E')."""
    return F.linear(x, conv.weight.permute(0, 2, 3, 1).flatten(1), conv.bias)


class AccumulatedEnergy(torch.autograd.Function):
    """`energy` with its float32 in the accumulator alone: no map of float32 or of squares is written, either way."""

    @staticmethod
    @override
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """x: (N, H, W, E). Result: (N, E) float32."""
        ctx.save_for_backward(x)
        return torch.linalg.vector_norm(x.flatten(1, 2), dim=1, dtype=torch.float32).square()

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """gradients: that of the energy, (N, E). Result: that of x."""
        (x,) = ctx.saved_tensors
        return x * (2 * gradients[0])[:, None, None].to(x.dtype)


def energy(x: Tensor) -> Tensor:
    """Return the sum of squares of each channel of each frame, in float32, as bf16 is too coarse for it: (N, H, W, E)
    -> (N, E)."""
    # A CPU's vector_norm takes up to 60 times as long over the middle dimensions of a map. torch.compile makes one
    # kernel of the plain form by itself.
    if is_asynchronous(x.device) and not torch.compiler.is_compiling():
        return AccumulatedEnergy.apply(x)
    return x.flatten(1, 2).float().square().sum(1)


class GlobalResponseNorm(nn.Module):
    """GRN of ConvNeXt V2 (Woo et al. 2023, section 3): channels of a frame compete by their energy.

    G_e = ||X_e||_2 over the frame, N_e = G_e / mean_e G_e, Y = gamma X N + beta + X. Both parameters are
    initialised with zero, so that Y = X at first.
    """

    def __init__(self, width: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(width))
        self.beta = nn.Parameter(torch.zeros(width))

    @override
    def forward(self, x: Tensor) -> Tensor:
        """x, result: (N, H, W, E)."""
        norm = (energy(x) + 1e-12).sqrt()  # (N, E); 1e-12 keeps the gradient of the root finite on a map of zeros
        scale = 1 + self.gamma * norm / (norm.mean(-1, keepdim=True) + 1e-6)  # (N, E)
        return torch.addcmul(self.beta.to(x.dtype), x, scale[:, None, None].to(x.dtype))  # X (1 + gamma N) + beta


class Depthwise(nn.Conv2d):
    """The depthwise 7x7 convolution of maps with the channels last: kernels of its own on a GPU, else torch's."""

    def __init__(self, width: int):
        super().__init__(width, width, 7, padding=3, groups=width)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """x, result: (N, H, W, E)."""
        if has_kernels(x.device):
            from .depthwise import depthwise

            return depthwise(x, self.weight, self.bias)
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # no copies: the memory stays (N, H, W, E)


class Block(nn.Module):
    """The ConvNeXt V2 block: depthwise 7x7, LN, 1x1 to four times the width, GELU, GRN, 1x1 back, residual.

    hidden : the width between both 1x1 convolutions, if it is not four times the other
    """

    def __init__(self, width: int, hidden: int | None = None):
        super().__init__()
        hidden = hidden or 4 * width
        self.depthwise = Depthwise(width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.widen = nn.Linear(width, hidden)  # a 1x1 convolution of maps with the channels last
        self.grn = GlobalResponseNorm(hidden)
        self.narrow = nn.Linear(hidden, width)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """x, result: (N, H, W, E)."""
        y = self.depthwise(x)
        if fuses(self, y):
            return fused(self, x, y)
        y = self.norm(y)
        y = self.grn(F.gelu(self.widen(y)))  # (N, H, W, 4E), or fewer channels in a pruned network
        return x + self.narrow(y)


class Downsample(nn.Module):
    """Between two stages: LN, then a 2x2 convolution of stride 2."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.norm = nn.LayerNorm(n_in, eps=1e-6)
        self.conv = nn.Conv2d(n_in, n_out, 2, stride=2)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """x: (N, H, W, E). Result: (N, H/2, W/2, E')."""
        if fuses_norm(self.norm, x, 2) and not has_hooks(self.conv):
            return product(self.conv, fused_norm(self.norm, x, 2))
        return patches(self.conv, self.norm(x))


class ConvNeXtV2(nn.Module):
    """Section 3.2.1, spatial part: four levels of downsampling, from a frame to one vector."""

    def __init__(self, depths: tuple[int, ...], widths: tuple[int, ...], hidden: tuple[int, ...] = ()):
        super().__init__()
        of_block = iter(
            hidden or [4 * width for depth, width in zip(depths, widths, strict=True) for _ in range(depth)]
        )
        self.stem = nn.Conv2d(3, widths[0], 4, stride=4)  # Eq. 1 with the text's stride
        self.stem_norm = nn.LayerNorm(widths[0], eps=1e-6)
        self.downs = nn.ModuleList(Downsample(a, b) for a, b in pairwise(widths))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, next(of_block)) for _ in range(depth)))
            for depth, width in zip(depths, widths, strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)

    @override
    def forward(self, frames: Tensor) -> Tensor:
        """frames: (N, 3, S, S), normalised. Result: (N, E), E the last width."""
        x = frames.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)  # (N, S, S, 3)
        x = patches(self.stem, x)  # (N, S/4, S/4, E)
        x = fused_norm(self.stem_norm, x) if fuses_norm(self.stem_norm, x) else self.stem_norm(x)
        for i, stage in enumerate(self.stages):
            x = stage(x if i == 0 else self.downs[i - 1](x))  # half the side, twice the channels
        return self.norm(x.mean((1, 2)))  # (N, S/32, S/32, E) -> (N, E)


class FaceEncoder(nn.Module):
    """From a frame of a face to its features. Pixels are normalised here, so that no caller can forget it."""

    mean: Tensor
    sd: Tensor

    def __init__(self, variant: str, stages: tuple[int, ...] = (), blocks: tuple[int, ...] = ()):
        super().__init__()
        depths, whole = SIZES[variant]
        widths = stages or whole
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("sd", torch.tensor(IMAGENET_SD).view(3, 1, 1), persistent=False)
        self.space = ConvNeXtV2(depths, widths, blocks)
        self.out = nn.Linear(widths[-1], FACE_WIDTH)
        self.apply(_truncated_normal)

    @override
    def forward(self, frames: Tensor) -> Tensor:
        """frames: (N, 3, S, S) in [0, 1]. Result: (N, 128)."""
        return self.out(self.space((frames - self.mean) / self.sd))


class FaceFeatureEncoder(nn.Module):
    """From the face features of a frame, measured by other software, to features as wide as the FaceEncoder's: a
    z-score by the training frames and one linear layer. Not in the paper, which has pictures.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, n_features: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("sd", torch.ones(n_features))
        self.out = nn.Linear(n_features, FACE_WIDTH)

    @override
    def forward(self, frames: Tensor) -> Tensor:
        """frames: (N, D); a value that is not finite counts as the mean. Result: (N, 128)."""
        # A masked frame is NaN; multiplied by a gradient of zero it would still make the layer's weights NaN.
        return self.out(((frames - self.mean) / self.sd).nan_to_num(0, 0, 0))


def _truncated_normal(module: nn.Module) -> None:
    """The initialisation of ConvNeXt: weights from a truncated normal distribution of SD 0.02, biases zero."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


# ----------------------------------------------------------------------------------------------- the face, in time


class SelfAttention(nn.Module):
    """Eq. 2: MultiHead(Q, K, V) = Concat(head_1 .. head_h) W^O, head_i = Attention(X W_i^Q, X W_i^K, X W_i^V)."""

    def __init__(self, width: int, dropout: float = 0.0):
        super().__init__()
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width)  # W^Q, W^K, W^V of all heads side by side
        self.out = nn.Linear(width, width)  # W^O

    @override
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x, result: (B, T, D) for T positions in time. mask (B, T) bool: positions that may be attended to."""
        batch, positions, width = x.shape
        qkv = self.qkv(x).view(batch, positions, 3, HEADS, width // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, T, D / heads)
        dropout = self.dropout if self.training else 0.0
        visible = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, T): the same for every head and query
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=visible, dropout_p=dropout)
        return self.out(y.transpose(1, 2).reshape(batch, positions, width))


class TransformerLayer(nn.Module):
    """One pre-norm encoder layer: attention, then feed-forward 128 -> 256 -> 128 with GELU."""

    def __init__(self, width: int, dropout: float = 0.1, hidden: int | None = None):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, dropout)
        hidden = hidden or 2 * width
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    @override
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x, result: (B, F, D); mask: (B, F) bool."""
        x = x + self.dropout(self.attention(self.norm1(x), mask))
        y = self.dropout(F.gelu(self.widen(self.norm2(x))))  # (B, F, 2D)
        return x + self.dropout(self.narrow(y))


class FrameTransformer(nn.Module):
    """Section 3.2.1, temporal part: learned positions and a 2-layer Transformer over the frames of a window."""

    def __init__(self, n_frames: int, hidden: tuple[int, ...] = (256, 256)):
        super().__init__()
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(n_frames, FACE_WIDTH), std=0.02))
        self.layers = nn.ModuleList(TransformerLayer(FACE_WIDTH, hidden=width) for width in hidden)

    @override
    def forward(self, x: Tensor, ok: Tensor) -> Tensor:
        """x, result: (B, F, 128). ok (B, F) bool: frames that show a face; only these are attended to."""
        # A window without a valid frame attends to all frames: a softmax over none is NaN on some devices. Its result
        # is not used.
        mask = ok | ~ok.any(1, keepdim=True)
        x = x + self.positions
        for layer in self.layers:
            x = layer(x, mask)
        return x


def mean_of_valid(x: Tensor, ok: Tensor) -> Tensor:
    """Return the mean over the valid frames: x (B, F, D), ok (B, F) bool -> (B, D); zero if no frame is valid."""
    return torch.where(ok[..., None], x, 0).sum(1) / ok.sum(1, keepdim=True).clamp(min=1)


# ------------------------------------------------------------------------------------------------------ the signals


def conv_bn_relu(n_in: int, n_out: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """Return Eq. 3, ReLU(BN(W * X + b)), (B, n_in, L) -> (B, n_out, L), padded so that the length is kept."""
    pad = dilation * (kernel - 1) // 2
    conv = nn.Conv1d(n_in, n_out, kernel, padding=pad, dilation=dilation)
    return nn.Sequential(conv, nn.BatchNorm1d(n_out), nn.ReLU())


class ParallelTCN(nn.Module):
    """Eq. 4 literally: ReLU(BN(sum over d in {1, 2, 4} of W_d *_d X + b_d)), all dilations in one layer."""

    def __init__(self, n_in: int = 24) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv1d(n_in, 8, 3, padding=d, dilation=d) for d in (1, 2, 4))
        self.norm = nn.BatchNorm1d(8)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """x: (B, 24, L). Result: (B, 8, L)."""
        return F.relu(self.norm(torch.stack([branch(x) for branch in self.branches]).sum(0)))


def make_tcn(name: str, n_in: int = 24, between: tuple[int, ...] = (16, 16)) -> nn.Module:
    """Return the TCN that config.tcn names: (B, 24, L) -> (B, 8, L). between: the widths of the first two in series."""
    parallel = ParallelTCN(n_in)  # always built first: later layers would get other weights from the same seed
    if name == "sequential":  # Eq. 4 as in the text: three layers in series, the last with 8 channels
        widths = zip((n_in, *between), (*between, 8), (1, 2, 4), strict=True)
        return nn.Sequential(*(conv_bn_relu(a, b, 3, dilation) for a, b, dilation in widths))
    return parallel if name == "parallel" else nn.Conv1d(n_in, 8, 1)


class ConvAttention(nn.Module):
    """Eq. 5: Residual(FFN(Attention(Conv_point(Conv_depth(X)))), X). Every position attends to the whole window.

    For ablations: without `attention` that sublayer and the norm before it are left out (two norms in series are
    redundant), and each position depends on its neighbours only; without `residual` X is not added.
    """

    def __init__(self, attention: bool = True, residual: bool = True, ffn: int = 64):
        super().__init__()
        width, hidden = 8, 32
        self.residual = residual
        self.depth = nn.Conv1d(width, width, 3, padding=1, groups=width)
        self.point = nn.Conv1d(width, hidden, 1)
        self.norm1 = nn.LayerNorm(hidden) if attention else None
        self.norm2 = nn.LayerNorm(hidden)
        self.attention = SelfAttention(hidden) if attention else None
        self.widen, self.narrow = nn.Linear(hidden, ffn), nn.Linear(ffn, width)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """x, result: (B, 8, L)."""
        y = self.point(self.depth(x)).transpose(1, 2)  # (B, L, 32)
        if self.attention is not None and self.norm1 is not None:
            y = self.attention(self.norm1(y))  # (B, L, 32)
        y = self.narrow(F.gelu(self.widen(self.norm2(y)))).transpose(1, 2)  # (B, 8, L)
        return x + y if self.residual else y


def mean_pool(x: Tensor, positions: int) -> Tensor:
    """Return the adaptive mean pooling: (B, 8, L) -> (B, 8, positions)."""
    # If `positions` divides L, a mean is the same, and its gradient on a GPU is deterministic.
    if x.shape[2] % positions == 0:
        return x.unflatten(2, (positions, -1)).mean(3)
    return F.adaptive_avg_pool1d(x, positions)


class SignalEncoder(nn.Module):
    """Section 3.2.2: local, medium and global patterns of the signals of a window.

    local_cnn, tcn, self_attention, residual, pooling : which of its parts are used; see ModelConfig
    widths : of the layers of a pruned network
    """

    def __init__(
        self,
        n_channels: int,
        tcn: str = "sequential",
        *,
        local_cnn: bool = True,
        self_attention: bool = True,
        residual: bool = True,
        pooling: str = "adaptive",
        widths: Widths | None = None,
    ):
        super().__init__()
        widths = widths or Widths(local=(32, 24) if local_cnn else (24,), medium=(16, 16), wide=(64,))
        *between, last = widths.local  # [32], 24
        self.local = (
            nn.Sequential(conv_bn_relu(n_channels, between[0], 7), conv_bn_relu(between[0], last, 5))  # Eq. 3, twice
            if local_cnn
            else nn.Conv1d(n_channels, last, 1)
        )
        self.medium = make_tcn(tcn, last, widths.medium)
        self.wide = ConvAttention(self_attention, residual, *widths.wide)
        self.positions = 16 if pooling == "adaptive" else 1  # in time, after the pooling
        self.out = nn.Linear(8 * self.positions, SIGNAL_WIDTH)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, L), z-scored. Result: (B, 64)."""
        x = self.wide(self.medium(self.local(x)))  # (B, 8, L)
        return self.out(mean_pool(x, self.positions).flatten(1))  # (B, 8, 16) -> (B, 128) -> (B, 64)


# ----------------------------------------------------------------------------------------------------------- fusion


class GatedFusion(nn.Module):
    """Eq. 6 with the text's "stack of fully connected layers": [f, b] * g, g = sigmoid(FC(ReLU(FC([f, b])))).

    Each gate sees both modalities. A gate of 1 passes its feature, 0 blocks it. The paper has f and b; features of
    further modalities may follow them, if `width` is that of all together.
    """

    def __init__(self, width: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, width // 2), nn.Linear(width // 2, width)

    @override
    def forward(self, *features: Tensor) -> tuple[Tensor, Tensor | None]:
        """f: (B, 128), b: (B, 64), any others. Result: fused and gates, each (B, 192), or wider by the others."""
        gates = self.gates(*features)
        return torch.cat(features, dim=-1) * gates, gates

    def gates(self, *features: Tensor) -> Tensor:
        """Return the gates (B, 192) of all features, those of the face first."""
        return torch.sigmoid(self.fc2(F.relu(self.fc1(torch.cat(features, dim=-1)))))

    def weigh(self, f: Tensor, b: Tensor, gates: Tensor) -> Tensor:
        """Return the fused features (B, 192) that these gates give."""
        return torch.cat([f, b], dim=-1) * gates


class LiteralFusion(nn.Module):
    """Eq. 6 literally: x * sigmoid(x) of the concatenation; no weights, and each gate depends on its feature only."""

    @override
    def forward(self, f: Tensor, b: Tensor) -> tuple[Tensor, Tensor | None]:
        """f: (B, 128), b: (B, 64). Result: fused and gates, each (B, 192)."""
        gates = self.gates(f, b)
        return self.weigh(f, b, gates), gates

    def gates(self, f: Tensor, b: Tensor) -> Tensor:
        """Return the gates (B, 192) of all features, those of the face first."""
        return torch.sigmoid(torch.cat([f, b], dim=-1))

    def weigh(self, f: Tensor, b: Tensor, gates: Tensor) -> Tensor:
        """Return the fused features (B, 192) that these gates give."""
        return torch.cat([f, b], dim=-1) * gates


class ConcatFusion(nn.Module):
    """The concatenation alone, for comparison."""

    @override
    def forward(self, f: Tensor, b: Tensor) -> tuple[Tensor, Tensor | None]:
        """f: (B, 128), b: (B, 64). Result: (B, 192), no gates."""
        return torch.cat([f, b], dim=-1), None


class SumFusion(nn.Module):
    """The sum of both modalities, projected to one width, for comparison; about as many parameters as the gate."""

    def __init__(self, width: int):
        super().__init__()
        self.face, self.bio = nn.Linear(FACE_WIDTH, width), nn.Linear(SIGNAL_WIDTH, width)

    @override
    def forward(self, f: Tensor, b: Tensor) -> tuple[Tensor, Tensor | None]:
        """f: (B, 128), b: (B, 64). Result: (B, 192), no gates."""
        return self.face(f) + self.bio(b), None


def make_fusion(name: str, width: int) -> nn.Module:
    """Return the fusion that config.fusion names; all have the same input and output shapes. Those of other papers are
    in fusions.py."""
    if name in FUSIONS:
        return FUSIONS[name](FACE_WIDTH, SIGNAL_WIDTH, width)
    if name in ("gate", "sum"):
        return GatedFusion(width) if name == "gate" else SumFusion(width)
    return LiteralFusion() if name == "literal" else ConcatFusion()


# ------------------------------------------------------------------------------------------------------ the network


@torch.no_grad()
def set_normaliser(mean_buffer: Tensor, sd_buffer: Tensor, mean: Tensor, sd: Tensor) -> None:
    """Write the mean and SD of each channel, (C,) each, into the buffers by which a network z-scores its signals.

    The SD of a constant channel is set to 1, so that its z-score is zero. Raises GbvnetError if there are not C values,
    or one is not finite.
    """
    for name, values in (("mean", mean), ("sd", sd)):
        if values.shape != mean_buffer.shape or not torch.isfinite(values).all():
            raise GbvnetError(
                f"the {name} of {len(mean_buffer)} channels must be that many finite numbers, "
                f"not {tuple(values.shape)}: {values.tolist()}"
            )
    constant = sd <= 1e-6 * mean.abs()
    mean_buffer.copy_(mean)
    sd_buffer.copy_(torch.where(constant, torch.ones_like(sd), sd))


def whole_widths(config: GBVNetConfig) -> Widths:
    """Return the widths of the layers that pruning can make narrower, as they are before it; none of absent parts."""
    face, signals = uses_face(config.modality), uses_signals(config.modality)
    depths, stages = SIZES[config.variant] if face and config.face_input == "pixels" else ((), ())
    return Widths(
        stages=stages,
        blocks=tuple(4 * width for depth, width in zip(depths, stages, strict=True) for _ in range(depth)),
        frames=(256, 256) if face and config.face_time == "transformer" else (),
        local=() if not signals else (32, 24) if config.local_cnn else (24,),
        medium=(16, 16) if signals and config.tcn == "sequential" else (),
        wide=(64,) if signals else (),
    )


def layer_widths(config: GBVNetConfig) -> Widths:
    """Return the widths of these layers: the whole ones, or those of a pruned network.

    Raises BadConfig if config.widths has another number of them, or larger ones.
    """
    whole = whole_widths(config)
    for name, of_whole in vars(whole).items():
        given = getattr(config.widths, name)
        fits = len(given) == len(of_whole) and all(a <= b for a, b in zip(given, of_whole, strict=True))
        require(not given or fits, f"widths.{name} of this network are at most {of_whole or 'none'}, not {given}")
    return Widths(**{name: getattr(config.widths, name) or width for name, width in vars(whole).items()})


class GBVNet(nn.Module):
    """The network of Figure 1, or one branch of it with the classifier (`modality` face, or any without the face).

    A modality of a window may be missing. With both branches and `modality_dropout` above 0, a learned embedding
    replaces the missing features: in training each modality is hidden with that probability, never both, so that the
    embeddings are learnt. Otherwise a window with a missing modality is refused.
    """

    signal_mean: Tensor
    signal_sd: Tensor

    def __init__(self, config: GBVNetConfig):
        super().__init__()
        self.config = config
        self.sees_face, self.sees_signals = uses_face(config.modality), uses_signals(config.modality)
        widths = layer_widths(config)
        width = FACE_WIDTH * self.sees_face + SIGNAL_WIDTH * self.sees_signals  # D: 192, 128 or 64
        if self.sees_face:
            self.face = (
                FaceFeatureEncoder(config.n_face_features)
                if self.reads_features
                else FaceEncoder(config.variant, widths.stages, widths.blocks)
            )
            self.time = FrameTransformer(config.n_frames, widths.frames) if config.face_time == "transformer" else None
        if self.sees_signals:
            self.signals = SignalEncoder(
                config.n_channels,
                config.tcn,
                local_cnn=config.local_cnn,
                self_attention=config.self_attention,
                residual=config.residual,
                pooling=config.pooling,
                widths=widths,
            )
            self.register_buffer("signal_mean", torch.zeros(config.n_channels))
            self.register_buffer("signal_sd", torch.ones(config.n_channels))
        self.sees_both = self.sees_face and self.sees_signals
        if self.sees_both:
            self.missing_face = nn.Parameter(nn.init.trunc_normal_(torch.empty(FACE_WIDTH), std=0.02))
            self.missing_bio = nn.Parameter(nn.init.trunc_normal_(torch.empty(SIGNAL_WIDTH), std=0.02))
            self.fusion = make_fusion(config.fusion, width)
        self.head = nn.Sequential(
            nn.Linear(width, 64), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(64, config.n_outputs)
        )

    @property
    def has_gates(self) -> bool:
        """Whether its fusion weighs both modalities by gates; such a fusion has `gates` and `weigh`."""
        return self.sees_both and self.config.fusion in GATED_FUSIONS

    @property
    def reads_features(self) -> bool:
        """Whether it reads features of faces in the place of pictures."""
        return self.sees_face and self.config.face_input == "features"

    def fit_face_normaliser(self, mean: Tensor, sd: Tensor) -> None:
        """Set the face features' mean and SD of the training frames, (D,) each. Raises GbvnetError as `set_normaliser`
        does, and for a network that reads no features."""
        if not isinstance(self.face, FaceFeatureEncoder):
            raise GbvnetError("a network that reads pictures has no face features to normalise")
        set_normaliser(self.face.mean, self.face.sd, mean, sd)

    def fit_normaliser(self, mean: Tensor, sd: Tensor) -> None:
        """Set the channels' mean and SD of the training windows, (C,) each, by which `forward` z-scores.

        Raises GbvnetError as `set_normaliser` does, and for a network without signals.
        """
        if not self.sees_signals:
            raise GbvnetError(f"a network of modality {self.config.modality} reads no signals to normalise")
        set_normaliser(self.signal_mean, self.signal_sd, mean, sd)

    @override
    def forward(
        self,
        faces: Tensor | None,
        face_ok: Tensor | None,
        signals: Tensor | None,
        has_face: Tensor | None = None,
        has_signals: Tensor | None = None,
        presence: Presence | None = None,
    ) -> NetworkOutput:
        """Return logits, gates and fused features of each window.

        faces: (B, F, 3, S, S) float in [0, 1], S at least 32, as `pixels` returns them; of a network with face_input
        features (B, F, D) float. face_ok: (B, F) bool, frames that show a face, all if None. signals: (B, C, L) float
        as stored. has_face, has_signals: (B,) bool, windows that have the modality; all if None. A window without a
        valid frame has no face. presence: what these masks say, if the host knows it: then a GPU is not asked, unless
        some windows alone have no signals.
        faces or signals may be None if the network does not use them, or if they are missing in every window.
        Raises GbvnetError for other shapes, and if a modality that this network needs is missing.
        """
        features, has_face, has_signals = self._encode((faces, face_ok, signals, has_face, has_signals), presence)
        fused, gates = self.fusion(*features) if self.sees_both else (features[0], None)  # (B, D) each, or no gates
        gates = None if gates is None else gates.float()
        gate_face = gate_bio = torch.full(fused.shape[:1], torch.nan, device=fused.device)  # (B,)
        if gates is not None:
            shares = gates[:, :FACE_WIDTH].mean(1), gates[:, FACE_WIDTH:].mean(1)
            gate_face, gate_bio = (torch.where(has_face & has_signals, share, torch.nan) for share in shares)
        return NetworkOutput(self.head(fused), gate_face, gate_bio, fused, gates)

    def features(
        self,
        faces: Tensor | None,
        face_ok: Tensor | None,
        signals: Tensor | None,
        has_face: Tensor | None = None,
        has_signals: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Return what `forward` fuses, from the same inputs: f (B, 128) and b (B, 64), or that of its one modality.

        A network of more modalities fuses these with its further ones (docs/modalities.md).
        """
        return self._encode((faces, face_ok, signals, has_face, has_signals), None)[0]

    def _encode(
        self, inputs: tuple[Tensor | None, ...], presence: Presence | None
    ) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """The features of each branch, an embedding in place of a missing or hidden modality, and which are there.

        inputs: faces, face_ok, signals, has_face and has_signals, as of `forward`
        """
        faces, face_ok, signals, has_face, has_signals = inputs
        faces, signals = (faces if self.sees_face else None), (signals if self.sees_signals else None)
        self._check_shapes(faces, face_ok, signals, has_face, has_signals)
        has_face, has_signals, face_ok = _availability(faces, face_ok, signals, has_face, has_signals)
        # A CPU is asked at no cost; and there a batch whose faces modality dropout has all hidden is not encoded.
        presence = presence if is_asynchronous(has_face.device) else None
        self._refuse_missing(has_face, has_signals, presence)
        if not self.sees_both:
            one = (
                self._face_features(faces, face_ok, presence)
                if self.sees_face
                else self._signal_features(signals, has_signals, presence)
            )
            return (one,), has_face, has_signals
        use_face, use_signals = (
            self._hide_modalities(has_face, has_signals) if self.training else (has_face, has_signals)
        )
        f = self._face_features(faces, face_ok & use_face[:, None], presence)  # (B, 128)
        b = self._signal_features(signals, has_signals, presence)  # (B, 64); hidden ones too, for the batch norm
        f = torch.where(use_face[:, None], f, self.missing_face)
        b = torch.where(use_signals[:, None], b, self.missing_bio)
        return (f, b), has_face, has_signals

    def _face_features(self, faces: Tensor | None, ok: Tensor, presence: Presence | None = None) -> Tensor:
        """faces (B, F, 3, S, S) or (B, F, D), ok (B, F) bool -> f (B, 128), zero for a window without a valid frame."""
        if faces is None or not (ok.any() if presence is None else presence.any_face):
            return torch.zeros(len(ok), FACE_WIDTH, device=ok.device)
        frames, valid = faces.flatten(0, 1), ok.flatten()  # (N, 3, S, S) or (N, D), (N,)
        if not is_asynchronous(frames.device):
            # Masked frames are not encoded. On a GPU they are: there a batch of another size in each step costs more
            # than it saves.
            encoded = self.face(frames[valid])
            x = encoded.new_zeros(len(frames), FACE_WIDTH).masked_scatter(valid[:, None], encoded)
        else:
            x = torch.where(valid[:, None], self.face(frames), 0)
        x = x.view(*ok.shape, FACE_WIDTH)  # (B, F, 128)
        return mean_of_valid(x if self.time is None else self.time(x, ok), ok)  # (B, 128)

    def _signal_features(self, signals: Tensor | None, has: Tensor, presence: Presence | None = None) -> Tensor:
        """signals (B, C, L), has (B,) bool -> b (B, 64), zero for a window without signals."""
        if signals is None or not (has.any() if presence is None else presence.any_signals):
            return torch.zeros(len(has), SIGNAL_WIDTH, device=has.device)
        x = (signals - self.signal_mean[:, None]) / self.signal_sd[:, None]  # (B, C, L), z-scored by channel
        if has.all() if presence is None else presence.all_signals:
            return self.signals(x)
        encoded = self.signals(x[has])  # windows without signals are left out: they would change the batch norm
        return encoded.new_zeros(len(has), SIGNAL_WIDTH).masked_scatter(has[:, None], encoded)

    def _hide_modalities(self, has_face: Tensor, has_signals: Tensor) -> tuple[Tensor, Tensor]:
        """Modality dropout: a random number per window hides its face, its signals or neither. (B,) bool, in and out.

        A window that has only one modality keeps it.
        """
        chance, draw = self.config.modality_dropout, torch.rand(has_face.shape, device=has_face.device)
        both = has_face & has_signals
        hide_face, hide_signals = draw < chance, (draw >= chance) & (draw < 2 * chance)
        return has_face & ~(both & hide_face), has_signals & ~(both & hide_signals)

    def _all_usable(self, presence: Presence) -> bool:
        """Whether every window has what this network needs."""
        if not self.sees_both:
            return presence.all_faces if self.sees_face else presence.all_signals
        return presence.all_both if self.config.modality_dropout == 0 else presence.all_either

    def _refuse_missing(self, has_face: Tensor, has_signals: Tensor, presence: Presence | None) -> None:
        """Raise GbvnetError if a modality that this network needs is missing in a window. Both masks (B,) bool."""
        single, needs_both = not self.sees_both, self.config.modality_dropout == 0
        if presence is not None and self._all_usable(presence):
            return
        usable = has_face & has_signals if needs_both and not single else has_face | has_signals
        if usable.all():
            return
        count = f"{int((~usable).sum())} of {len(usable)} windows"
        if single:
            only = "face" if self.sees_face else "signals"
            raise GbvnetError(f"{count} have no {only}, and this network ({self.config.modality}) reads nothing else")
        if needs_both:
            raise GbvnetError(
                f"{count} lack their face or their signals, and this network was trained with modality_dropout 0, so "
                "that it needs both: leave these windows out, or train with modality_dropout above 0"
            )
        raise GbvnetError(f"{count} have neither a face nor signals: leave them out")

    def _check_shapes(
        self,
        faces: Tensor | None,
        face_ok: Tensor | None,
        signals: Tensor | None,
        has_face: Tensor | None,
        has_signals: Tensor | None,
    ) -> None:
        """Raise GbvnetError unless the inputs have the shapes that `forward` names."""
        config = self.config
        if faces is None and signals is None:
            raise GbvnetError(f"a network of modality {config.modality} got none of the inputs that it reads")
        if faces is not None and not faces.is_floating_point():
            wanted = "floats" if self.reads_features else "floats in [0, 1]: see model.pixels"
            raise GbvnetError(f"faces are {faces.dtype}, and this network reads {wanted}")
        windows = len(faces if faces is not None else signals)  # type: ignore[arg-type]
        side = max(32, faces.shape[-1]) if faces is not None else 32
        of_frame = (config.n_face_features,) if self.reads_features else (3, side, side)
        expected = {
            "faces": (faces, (windows, config.n_frames, *of_frame)),
            "face_ok": (face_ok, (windows, config.n_frames)),
            "signals": (signals, (windows, config.n_channels, config.n_samples)),
            "has_face": (has_face, (windows,)),
            "has_signals": (has_signals, (windows,)),
        }
        for name, (tensor, shape) in expected.items():
            if tensor is not None and tensor.shape != shape:
                raise GbvnetError(f"{name} is {tuple(tensor.shape)}, and this network reads {shape} here")


def _availability(
    faces: Tensor | None,
    face_ok: Tensor | None,
    signals: Tensor | None,
    has_face: Tensor | None,
    has_signals: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return has_face (B,), has_signals (B,) and face_ok (B, F), all bool, none of them None, and consistent."""
    first = faces if faces is not None else signals
    everywhere = torch.ones(len(first), dtype=torch.bool, device=first.device)  # type: ignore[arg-type, union-attr]
    has_signals = ~everywhere if signals is None else everywhere if has_signals is None else has_signals
    if faces is None:
        return ~everywhere, has_signals, ~everywhere[:, None]
    face_ok = everywhere[:, None].expand(-1, faces.shape[1]) if face_ok is None else face_ok
    has_face = face_ok.any(1) if has_face is None else has_face & face_ok.any(1)
    return has_face, has_signals, face_ok & has_face[:, None]

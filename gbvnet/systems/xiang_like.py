"""xiang-like: a spatio-temporal CNN of two streams, on the frames of the face and on the signals.

After Xiang et al. 2024 (Eng. Appl. Artif. Intell. 130:107772, doi:10.1016/j.engappai.2023.107772), "A multi-modal
driver emotion dataset and study: Including facial expressions and synchronized physiological signals". Only the title
and one sentence of others on it are known here: emotions were elicited, face videos and physiological signals recorded
together, and a spatio-temporal CNN showed what each modality gives. Layers, sizes, fusion and protocol are not known,
so this is no measure of their result. Their corpus is of drivers and is not read here.

Chosen here: convolutions over space and over time by turns, in both streams. Face: three blocks, each a convolution of
3 x 3 pixels with stride 2 and one of 3 frames (16, 32 and 64 channels, batch norm and ReLU after each), the mean over
frames and pixels. A frame without a face is as the nearest good one of its window. Signals: the same 16 filters of 1/8
s on each channel, a convolution over all channels (32, batch norm, ReLU), a mean over 1/16 s, a second convolution in
time (64, batch norm, ReLU), the mean over time. The 64 features of either stream side by side, dropout 0.5 and one
linear layer, trained together. Of one modality, its stream alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from .learners.good_frames import nearest_good
from .learners.neural import NeuralSystem, NormalisingNetwork, Shape, UngatedOutput

FACE_WIDTHS = (16, 32, 64)
FILTERS, SIGNAL_WIDTH, WIDTH = 16, 32, 64
FILTER_S, POOL_S = 1 / 8, 1 / 16
LATER_KERNEL = 5  # of the second convolution in time, in pooled samples
DROPOUT = 0.5


class FaceStream(nn.Sequential):
    """(B, 3, F, S, S), about 0 -> (B, 64, F, S/8, S/8)."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for n_in, n_out in zip((3, *FACE_WIDTHS), FACE_WIDTHS, strict=False):
            space = nn.Conv3d(n_in, n_out, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1), bias=False)
            time = nn.Conv3d(n_out, n_out, (3, 1, 1), padding=(1, 0, 0), bias=False)
            layers += [space, nn.BatchNorm3d(n_out), nn.ReLU(), time, nn.BatchNorm3d(n_out), nn.ReLU()]
        super().__init__(*layers)


class SignalStream(nn.Module):
    """(B, C, L), z-scored -> (B, 64)."""

    def __init__(self, n_channels: int, rate_hz: float):
        super().__init__()
        kernel = 2 * round(FILTER_S * rate_hz / 2) + 1  # odd, so that the padding is the same on both sides
        self.pool = max(1, round(POOL_S * rate_hz))
        self.time = nn.Conv2d(1, FILTERS, (1, kernel), padding=(0, kernel // 2), bias=False)
        self.space = nn.Sequential(
            nn.Conv2d(FILTERS, SIGNAL_WIDTH, (n_channels, 1), bias=False), nn.BatchNorm2d(SIGNAL_WIDTH), nn.ReLU()
        )
        self.later = nn.Sequential(
            nn.Conv1d(SIGNAL_WIDTH, WIDTH, LATER_KERNEL, padding=LATER_KERNEL // 2, bias=False),
            *(nn.BatchNorm1d(WIDTH), nn.ReLU()),
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        x = self.space(self.time(x[:, None]))[:, :, 0]  # (B, 32, L)
        x = F.avg_pool1d(x, min(self.pool, x.shape[2]), ceil_mode=True)
        return self.later(x).mean(dim=2)


class XiangLike(NormalisingNetwork):
    """The streams of the face and of the signals side by side -> K logits."""

    def __init__(self, shape: Shape):
        super().__init__(shape.n_channels)
        self.face = FaceStream() if shape.n_frames else None
        self.signals = SignalStream(shape.n_channels, shape.rate_hz) if shape.n_channels else None
        width = FACE_WIDTHS[-1] * (self.face is not None) + WIDTH * (self.signals is not None)
        self.head = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(width, shape.n_outputs))

    @override
    def forward(
        self,
        faces: Tensor | None,
        face_ok: Tensor | None,
        signals: Tensor | None,
        has_face: Tensor | None = None,
        has_signals: Tensor | None = None,
    ) -> UngatedOutput:
        """Return logits (B, K) of faces (B, F, 3, S, S) with face_ok (B, F), and signals (B, C, L).

        Every window has both, so has_face and has_signals are not used.
        """
        features = []
        if self.face is not None and faces is not None:
            faces = faces if face_ok is None else nearest_good(faces, face_ok)
            features.append(self.face(faces.transpose(1, 2) - 0.5).mean(dim=(2, 3, 4)))
        if self.signals is not None and signals is not None:
            features.append(self.signals(self.z_scored(signals)))
        return UngatedOutput.of(self.head(torch.cat(features, dim=1)))


class System(NeuralSystem):
    """Both streams, or that of the modality."""

    @override
    def build(self, shape: Shape) -> nn.Module:
        return XiangLike(shape)

"""DeepVANet (Zhang, Hossain & Rahman, INTERACT 2021): ConvLSTM on face frames, 1-D CNN on signals, then side by side.

GBV-Net's closest relative: the same corpora, modalities and windows. Own code from the sizes that the authors' public
repository (geekdanielz/DeepVANet) shows: each frame through convolutions of 32, 64 and 128 channels with max pooling,
a ConvLSTM of 128 channels over the frames, a linear layer to 16 features; signals through unpadded convolutions to 24
(kernel 5), 16 (3) and 8 (3) channels, a linear layer to 64; then 80 -> 20 -> 1 with dropout 0.5. One modality alone
has the same branch and its own head. For 64-pixel faces and 128 samples the shapes are theirs.

Differences from the source: the convolutions start at random (there they were trained on another corpus of faces, which
cannot be shipped), frames without a face are skipped, signals are z-scored, the test side never chooses the epoch.
"""

import torch
from torch import Tensor, nn
from typing_extensions import override

from ..errors import BadConfig
from .learners.neural import NeuralSystem, NormalisingNetwork, Shape, UngatedOutput

FACE_WIDTH, SIGNAL_WIDTH, HIDDEN = 16, 64, 20
CELLS = 128  # channels of the ConvLSTM, and of what it reads
KERNELS = (5, 3, 3)
LOST = sum(k - 1 for k in KERNELS)  # samples that unpadded convolutions take from a window


class ConvLSTM(nn.Module):
    """An LSTM whose gates are 3x3 convolutions (Shi et al. 2015, without peepholes); its last state is the result."""

    def __init__(self, n_in: int, n_cells: int):
        super().__init__()
        self.n_cells = n_cells
        self.of_input = nn.Conv2d(n_in, 4 * n_cells, 3, padding=1)
        self.of_state = nn.Conv2d(n_cells, 4 * n_cells, 3, padding=1, bias=False)

    @override
    def forward(self, x: Tensor, ok: Tensor | None) -> Tensor:
        """x: (B, F, E, H, W). ok: (B, F) bool; a frame that is not good leaves the state as it was.

        Result: (B, E', H, W).
        """
        driven = self.of_input(x.flatten(0, 1)).unflatten(0, x.shape[:2])  # (B, F, 4E', H, W), all frames at once
        state = memory = x.new_zeros(len(x), self.n_cells, *x.shape[3:])
        for t in range(x.shape[1]):
            gates = driven[:, t] if t == 0 else driven[:, t] + self.of_state(state)
            write, keep, show, new = gates.chunk(4, dim=1)
            cell = keep.sigmoid() * memory + write.sigmoid() * new.tanh()
            output = show.sigmoid() * cell.tanh()
            if ok is not None:
                good = ok[:, t, None, None, None]
                cell, output = torch.where(good, cell, memory), torch.where(good, output, state)
            memory, state = cell, output
        return state


class FaceBranch(nn.Module):
    """Frames -> 16 features."""

    def __init__(self, side: int):
        super().__init__()
        self.space = nn.Sequential(
            *(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(64, CELLS, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        )
        self.time = ConvLSTM(CELLS, CELLS)
        places = side
        for lost in (2, 2, 0):  # by the convolution; then the pool
            places = (places - lost - 3) // 2 + 1
        self.out = nn.Linear(CELLS * places**2, FACE_WIDTH)

    @override
    def forward(self, faces: Tensor, ok: Tensor | None) -> Tensor:
        """faces (B, F, 3, S, S) in [0, 1], ok (B, F) bool or None -> (B, 16)."""
        frames = faces.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = self.space(frames).unflatten(0, faces.shape[:2])  # (B, F, 128, S/10, S/10)
        return self.out(self.time(x, ok).flatten(1))


class SignalBranch(nn.Sequential):
    """(B, C, L), z-scored -> (B, 64)."""

    def __init__(self, n_channels: int, n_samples: int):
        layers: list[nn.Module] = []
        for n_in, n_out, kernel in zip((n_channels, 24, 16), (24, 16, 8), KERNELS, strict=True):
            layers += [nn.Conv1d(n_in, n_out, kernel), nn.BatchNorm1d(n_out), nn.ReLU()]
        super().__init__(*layers, nn.Flatten(), nn.Linear(8 * (n_samples - LOST), SIGNAL_WIDTH))


class DeepVANet(NormalisingNetwork):
    """The branches of the face and the signals side by side -> K logits."""

    def __init__(self, shape: Shape):
        super().__init__(shape.n_channels)
        width = 0
        self.face: FaceBranch | None = None
        self.signals: SignalBranch | None = None
        if shape.n_frames:
            self.face, width = FaceBranch(shape.side), width + FACE_WIDTH
        if shape.n_channels:
            self.signals, width = SignalBranch(shape.n_channels, shape.n_samples), width + SIGNAL_WIDTH
        self.head = nn.Sequential(
            nn.Linear(width, HIDDEN), nn.ReLU(), nn.Dropout(0.5), nn.Linear(HIDDEN, shape.n_outputs)
        )

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
            features.append(self.face(faces, face_ok))  # (B, 16)
        if self.signals is not None and signals is not None:
            features.append(self.signals(self.z_scored(signals)))  # (B, 64)
        return UngatedOutput.of(self.head(torch.cat(features, dim=1)))


class System(NeuralSystem):
    """DeepVANet, all signals and the face or either of them."""

    @override
    def build(self, shape: Shape) -> nn.Module:
        if shape.n_channels and shape.n_samples <= LOST:
            raise BadConfig(
                f"deepvanet needs windows of more than {LOST} samples (its convolutions are unpadded), "
                f"and these have {shape.n_samples}: prepare the corpus with a larger window_s"
            )
        return DeepVANet(shape)

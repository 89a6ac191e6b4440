"""The face network of Huang et al. 2019: one grey picture of 48 x 48 pixels through three convolutions.

Sizes from the authors' public code (Eumpy): convolutions of 3 x 3 to 32 (padded), 32 and 64 channels with ReLU,
dropout 0.5, max pool of 3, a layer of 64, one sigmoid a target. There the convolutions learn the seven expressions of
FER2013 first, then mostly stay unchanged. Those weights and pictures may not be distributed: here all layers are learnt
from the corpus' own faces, with the training loop of all networks here (there SGD, 1e-4, momentum 0.9, 12 epochs of 50
random pictures a trial). In training one good frame of each window is sampled in each epoch; in tests a window's logit
is the mean over all its good frames. Shapes: B windows, F frames, S face side, K targets.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from ...network.augment import GRAY
from .neural import NeuralSystem, Shape, UngatedOutput

SIDE = 48  # pixels
MEAN, SD = 0.45, 0.225  # of grey, about those of any photograph; the source subtracts FER2013's mean picture


class FaceCNN(nn.Module):
    """Grey faces -> K logits."""

    def __init__(self, n_outputs: int):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 32, 3), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3), nn.ReLU()),
            *(nn.Dropout(0.5), nn.MaxPool2d(3), nn.Flatten()),
            *(nn.Linear(64 * 14 * 14, 64), nn.ReLU()),
            nn.Linear(64, n_outputs),
        )

    @override
    def forward(self, faces: Tensor, face_ok: Tensor | None = None, *others: Tensor | None) -> UngatedOutput:
        """Return logits (B, K) of faces (B, F, 3, S, S) in [0, 1]; face_ok (B, F) bool, None if all are good."""
        ok = faces.new_ones(faces.shape[:2]) if face_ok is None else face_ok.to(faces.dtype)  # (B, F)
        if self.training:
            sampled = torch.multinomial(ok + 1e-9, 1)[:, 0]  # (B,)
            return UngatedOutput.of(self.layers(grey(faces[torch.arange(len(faces), device=faces.device), sampled])))
        # A frame at a time: the maps of all frames of a batch would take gigabytes.
        logits = torch.stack([self.layers(grey(frame)) for frame in faces.unbind(1)], dim=1)  # (B, F, K)
        weight = ok / ok.sum(dim=1, keepdim=True).clamp(min=1)
        return UngatedOutput.of((logits * weight[..., None]).sum(dim=1))


def grey(pictures: Tensor) -> Tensor:
    """Return RGB pictures (B, 3, S, S) in [0, 1] as grey ones (B, 1, 48, 48), with a mean of about 0 and an SD of 1."""
    luma = (pictures * pictures.new_tensor(GRAY)[:, None, None]).sum(dim=1, keepdim=True)
    if luma.shape[-1] != SIDE:
        luma = F.interpolate(luma, (SIDE, SIDE), mode="bilinear", antialias=luma.shape[-1] > SIDE)
    return (luma - MEAN) / SD


class FaceSystem(NeuralSystem):
    """The face network as a system of its own, a part of a late fusion."""

    modalities: ClassVar[tuple[str, ...]] = ("face",)

    @override
    def build(self, shape: Shape) -> nn.Module:
        return FaceCNN(shape.n_outputs)

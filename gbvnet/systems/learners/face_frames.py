"""Networks on single pictures of a face, for windows of several frames.

In training one good frame of each window is sampled in each epoch; in tests a window's logit is the mean over all its
good frames. Shapes: B windows, F frames, S face side, K logits.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from ...network.augment import GRAY
from .neural import NeuralSystem, UngatedOutput

SIDE = 48  # pixels, of FER2013's pictures
MEAN, SD = 0.45, 0.225  # of grey, about those of any photograph


class FrameNetwork(nn.Module, ABC):
    """A network on single pictures, applied to windows."""

    @abstractmethod
    def picture_logits(self, pictures: Tensor) -> Tensor:
        """Return logits (B, K) of pictures (B, 3, S, S) in [0, 1], one of each window."""

    @override
    def forward(self, faces: Tensor, face_ok: Tensor | None = None, *others: Tensor | None) -> UngatedOutput:
        """Return logits (B, K) of faces (B, F, 3, S, S) in [0, 1]; face_ok (B, F) bool, None if all are good."""
        ok = faces.new_ones(faces.shape[:2]) if face_ok is None else face_ok.to(faces.dtype)  # (B, F)
        if self.training:
            sampled = torch.multinomial(ok + 1e-9, 1)[:, 0]  # (B,)
            pictures = faces[torch.arange(len(faces), device=faces.device), sampled]
            return UngatedOutput.of(self.picture_logits(pictures))
        # A frame at a time: the maps of all frames of a batch would take gigabytes.
        logits = torch.stack([self.picture_logits(frame) for frame in faces.unbind(1)], dim=1)  # (B, F, K)
        weight = ok / ok.sum(dim=1, keepdim=True).clamp(min=1)
        return UngatedOutput.of((logits * weight[..., None]).sum(dim=1))


def grey(pictures: Tensor) -> Tensor:
    """Return RGB pictures (B, 3, S, S) in [0, 1] as grey ones (B, 1, 48, 48), with a mean of about 0 and an SD of 1."""
    luma = (pictures * pictures.new_tensor(GRAY)[:, None, None]).sum(dim=1, keepdim=True)
    if luma.shape[-1] != SIDE:
        luma = F.interpolate(luma, (SIDE, SIDE), mode="bilinear", antialias=luma.shape[-1] > SIDE)
    return (luma - MEAN) / SD


class FrameSystem(NeuralSystem, new_hooks=True):
    """A system whose network is a `FrameNetwork`."""

    modalities: ClassVar[tuple[str, ...]] = ("face",)

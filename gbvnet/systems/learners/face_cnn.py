"""The face network of Huang et al. 2019: one grey picture of 48 x 48 pixels through three convolutions.

Sizes from the authors' public code (Eumpy): convolutions of 3 x 3 to 32 (padded), 32 and 64 channels with ReLU,
dropout 0.5, max pool of 3, a layer of 64, one sigmoid a target. There the convolutions learn the seven expressions of
FER2013 first, then mostly stay unchanged; FER2013's mean picture is subtracted. Those weights and pictures may not be
distributed: here all layers are learnt from the corpus' own faces, with the training loop of all networks here (there
SGD, 1e-4, momentum 0.9, 12 epochs of 50 random pictures a trial). A window has several frames: see face_frames.py.
Shapes: B windows, S face side, K targets.
"""

from torch import Tensor, nn
from typing_extensions import override

from .face_frames import FrameNetwork, FrameSystem, grey
from .neural import Shape


class FaceCNN(FrameNetwork):
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
    def picture_logits(self, pictures: Tensor) -> Tensor:
        return self.layers(grey(pictures))


class FaceSystem(FrameSystem):
    """The face network as a system of its own, a part of a late fusion."""

    @override
    def build(self, shape: Shape) -> nn.Module:
        return FaceCNN(shape.n_outputs)

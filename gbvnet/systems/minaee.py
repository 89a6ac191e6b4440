"""Deep-Emotion: a small convolutional network of the face that looks through a spatial transformer.

Minaee, Minaei and Abdolrashidi 2021, Sensors 21:3046, doi:10.3390/s21093046; at first arXiv 1902.01019, 2019.

From the article, whose sizes its public re-implementations also have (omarsayed7/Deep-Emotion): grey pictures of 48 x
48; a localisation network of two convolutions (8 of 7 x 7, 10 of 5 x 5), each with max pooling of 2 and ReLU, then 32
units and the six numbers of an affine map, which starts as the identity; the picture sampled by that map; four
unpadded convolutions of 10 kernels of 3 x 3 with ReLU, max pooling of 2 after each second one, dropout, 50 units and
the output. 66,857 parameters for seven classes.

Left open: the rate of the dropout (0.5 here) and the weight of the penalty on the norm of the last two layers, which
the article tunes (none here; the epoch is chosen on validation rows). Not as there: it learns the seven expressions of
FER2013, CK+, JAFFE or FERG with Adam at 0.005, up to 500 epochs; here the labels of the corpus, with the training
loop of all networks here and its learning rate. The batch norm that some re-implementations add is not in the
article. A window has several frames: see learners/face_frames.py.

The article's maps of important regions cover a square with zeros, one place after the other, and ask where the
prediction becomes wrong: `gbvnet explain --cover black`, column `turned_wrong` of saliency.csv. Shapes: B pictures,
S face side, K logits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from .learners.face_frames import FrameNetwork, FrameSystem, grey
from .learners.neural import Shape

KERNELS = 10
DROPOUT = 0.5
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # of the affine map: its 2 x 3 matrix


class SpatialTransformer(nn.Module):
    """Jaderberg et al. 2015: a picture, sampled where its own localisation network says."""

    def __init__(self) -> None:
        super().__init__()
        last = nn.Linear(32, len(IDENTITY))
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor(IDENTITY))
        self.localisation = nn.Sequential(
            *(nn.Conv2d(1, 8, 7), nn.MaxPool2d(2), nn.ReLU()),  # 48 -> 42 -> 21
            *(nn.Conv2d(8, 10, 5), nn.MaxPool2d(2), nn.ReLU()),  # 17 -> 8
            *(nn.Flatten(), nn.Linear(10 * 8 * 8, 32), nn.ReLU(), last),
        )

    def affine(self, pictures: Tensor) -> Tensor:
        """Return the maps (B, 2, 3) of pictures (B, 1, 48, 48), from places in the result to places in the picture;
        both have coordinates from -1 to 1."""
        return self.localisation(pictures).unflatten(1, (2, 3))

    @override
    def forward(self, pictures: Tensor) -> Tensor:
        """pictures, result: (B, 1, 48, 48), of mean 0; places outside of the picture are 0, a mean grey."""
        grid = F.affine_grid(self.affine(pictures), list(pictures.shape), align_corners=False)
        return F.grid_sample(pictures, grid, align_corners=False)


class DeepEmotion(FrameNetwork):
    """Grey faces -> K logits."""

    def __init__(self, n_outputs: int):
        super().__init__()
        self.transformer = SpatialTransformer()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, KERNELS, 3), nn.ReLU()),  # 48 -> 46
            *(nn.Conv2d(KERNELS, KERNELS, 3), nn.MaxPool2d(2), nn.ReLU()),  # 44 -> 22
            *(nn.Conv2d(KERNELS, KERNELS, 3), nn.ReLU()),  # 20
            *(nn.Conv2d(KERNELS, KERNELS, 3), nn.MaxPool2d(2), nn.ReLU()),  # 18 -> 9
            *(nn.Dropout(DROPOUT), nn.Flatten()),
        )
        self.head = nn.Sequential(nn.Linear(KERNELS * 9 * 9, 50), nn.ReLU(), nn.Linear(50, n_outputs))

    @override
    def picture_logits(self, pictures: Tensor) -> Tensor:
        return self.head(self.features(self.transformer(grey(pictures))))


class System(FrameSystem):
    """Deep-Emotion on the face."""

    @override
    def build(self, shape: Shape) -> nn.Module:
        return DeepEmotion(shape.n_outputs)

"""Public networks of photographs without their classifiers: a picture in, one vector of features out.

Own code of ResNet-50 (He et al. 2016, in the variant that is published for PyTorch: the 3 x 3 convolution of a block
has its stride), VGG-19 (Simonyan and Zisserman 2015) and MobileNet V1 (Howard et al. 2017), with the names of tensors
that torchvision gives the first two and transformers the third, so that public weights fit. ConvNeXt V2 is in model.py.
Weights are read by backbone_weights.py. Shapes: N pictures, S their side in pixels, E features.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from .model import IMAGENET_MEAN, IMAGENET_SD, SIZES, ConvNeXtV2

HALF = (0.5, 0.5, 0.5)  # mean and SD of pixels in [0, 1] as -1..1


class Bottleneck(nn.Module):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1 with batch norms, added to the input: (N, E, H, W) -> (N, E', H', W')."""

    def __init__(self, n_in: int, width: int, stride: int):
        super().__init__()
        n_out = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(n_in, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, n_out, 1, bias=False), nn.BatchNorm2d(n_out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
            if n_in != n_out or stride > 1
            else None
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """(N, 3, S, S), normalised -> (N, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        n_in = 64
        for i, (depth, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True)):
            blocks = []
            for j in range(depth):
                blocks.append(Bottleneck(n_in, width, 2 if i and not j else 1))
                n_in = 4 * width
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))

    @override
    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for i in range(4):
            x = self.get_submodule(f"layer{i + 1}")(x)
        return x.mean((2, 3))


class VGG19(nn.Module):
    """Sixteen convolutions in five groups, each group followed by max pooling; the mean over places of the last maps:
    (N, 3, S, S), normalised -> (N, 512)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 3
        for depth, width in zip((2, 2, 4, 4, 4), (64, 128, 256, 512, 512), strict=True):
            for _ in range(depth):
                layers += [nn.Conv2d(n_in, width, 3, padding=1), nn.ReLU()]
                n_in = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.features(x).mean((2, 3))


class PaddedConvolution(nn.Module):
    """A convolution with TensorFlow's padding `same`, batch norm (epsilon 1e-3) and ReLU6."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.convolution = nn.Conv2d(n_in, n_out, kernel, stride, groups=groups, bias=False)
        self.normalization = nn.BatchNorm2d(n_out, eps=1e-3)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """x: (N, E, H, W) -> (N, E', H / stride, W / stride), rounded up; of an odd padding, more below and right."""
        (kernel, _), (stride, _) = self.convolution.kernel_size, self.convolution.stride
        down, across = (max(kernel - (side % stride or stride), 0) for side in x.shape[2:])
        x = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        return F.relu6(self.normalization(self.convolution(x)))


class MobileNetV1(nn.Module):
    """Thirteen pairs of a depthwise and a pointwise convolution: (N, 3, S, S), normalised -> (N, 1024)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = PaddedConvolution(3, 32, 3, 2)
        layers, n_in = [], 32
        for n_out, stride in (
            *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
            *(((512, 1),) * 5),
            *((1024, 2), (1024, 1)),
        ):
            layers += [PaddedConvolution(n_in, n_in, 3, stride, groups=n_in), PaddedConvolution(n_in, n_out, 1)]
            n_in = n_out
        self.layer = nn.ModuleList(layers)

    @override
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_stem(x)
        for layer in self.layer:
            x = layer(x)
        return x.mean((2, 3))


class Kind(NamedTuple):
    """A public network: how many features it gives, and what it was trained on."""

    network: type[nn.Module] | None  # None: ConvNeXt V2, whose size is that of the run's variant
    width: int  # E; 0: the last width of the variant
    mean: tuple[float, float, float]  # of RGB in [0, 1], by which pictures are normalised
    sd: tuple[float, float, float]


KINDS = {
    "convnextv2": Kind(None, 0, IMAGENET_MEAN, IMAGENET_SD),
    "resnet50": Kind(ResNet50, 2048, IMAGENET_MEAN, IMAGENET_SD),
    "vgg19": Kind(VGG19, 512, IMAGENET_MEAN, IMAGENET_SD),
    "mobilenet": Kind(MobileNetV1, 1024, HALF, HALF),
}
PUBLISHED_SIDE = 224  # pixels of the pictures that all of them were trained on


def width_of(kind: str, variant: str) -> int:
    """Return E, the number of features of a network. variant : of ConvNeXt V2"""
    return KINDS[kind].width or SIZES[variant][1][-1]


class Backbone(nn.Module):
    """A network that is not trained. Pixels are resized and normalised here, so that no caller can forget it.

    kind : of KINDS
    variant : the size of ConvNeXt V2
    side : pixels that pictures are resized to; None: they stay as they are
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, kind: str, variant: str, side: int | None):
        super().__init__()
        about = KINDS[kind]
        self.kind, self.variant, self.side = kind, variant, side
        self.space = ConvNeXtV2(*SIZES[variant]) if about.network is None else about.network()
        self.register_buffer("mean", torch.tensor(about.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("sd", torch.tensor(about.sd).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    @override
    def train(self, mode: bool = True) -> "Backbone":
        """Stay in evaluation mode: statistics of batch norms are part of the published weights."""
        return super().train(False)

    @override
    def forward(self, pictures: Tensor) -> Tensor:
        """Return features (N, E) of pictures (N, 3, S, S) in [0, 1]."""
        if self.side is not None and pictures.shape[-1] != self.side:
            smaller = self.side < pictures.shape[-1]
            pictures = F.interpolate(pictures, (self.side, self.side), mode="bilinear", antialias=smaller)
        return self.space((pictures - self.mean) / self.sd)

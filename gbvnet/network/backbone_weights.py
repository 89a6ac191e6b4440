"""Public weights of the networks in backbones.py, from a local file of safetensors (or of tensors only, .pt and .pth).

| network | layouts | for example |
|---|---|---|
| ResNet-50 | torchvision, which timm has too; transformers | timm/resnet50.tv_in1k, microsoft/resnet-50 |
| VGG-19, without batch norms | torchvision; timm, whose convolutions have the same names | timm/vgg19.tv_in1k |
| MobileNet V1, width 1.0 | transformers | google/mobilenet_v1_1.0_224 |
| ConvNeXt V2 | those of pretrained.py | timm/convnextv2_atto.fcmae_ft_in1k |

Classifiers are left out. Everything else must be there, of the right shape and finite, and nothing may be over.
"""

import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import BadModel
from .backbones import Backbone
from .model import ConvNeXtV2
from .pretrained import LAYOUTS as CONVNEXT_LAYOUTS
from .pretrained import FaceWeights, digest_of, load_encoder_weights, read_tensors

COUNTER = "num_batches_tracked"  # of batch norms; not used here, and absent from old files
PREFIXES = ("module.", "resnet.", "mobilenet_v1.", "convnextv2.")
HEADS = ("fc.", "classifier.", "head.", "pre_logits.")
AGAIN = "Fetch the file again."

# Names in this package, as torchvision's, and in a file of transformers.
_RESNET_OF_TRANSFORMERS = (
    (r"^conv1\.", "embedder.embedder.convolution."),
    (r"^bn1\.", "embedder.embedder.normalization."),
    (r"\.downsample\.0\.", ".shortcut.convolution."),
    (r"\.downsample\.1\.", ".shortcut.normalization."),
)


def _resnet_of_transformers(name: str) -> str:
    for pattern, by in _RESNET_OF_TRANSFORMERS:
        name = re.sub(pattern, by, name)
    if match := re.match(r"layer(\d)\.(\d)\.(.*)", name):
        i, j, inside = int(match[1]) - 1, match[2], match[3]
        inside = re.sub(r"^conv(\d)", lambda m: f"layer.{int(m[1]) - 1}.convolution", inside)
        inside = re.sub(r"^bn(\d)", lambda m: f"layer.{int(m[1]) - 1}.normalization", inside)
        return f"encoder.stages.{i}.layers.{j}.{inside}"
    return name


def _same(name: str) -> str:
    return name


# network: its layouts, each with a tensor by which a file is recognised, and its names of the tensors of this package.
LAYOUTS = {
    "resnet50": {
        "torchvision": ("layer1.0.conv1.weight", _same),
        "transformers": ("embedder.embedder.convolution.weight", _resnet_of_transformers),
    },
    "vgg19": {"torchvision": ("features.0.weight", _same)},
    "mobilenet": {"transformers": ("conv_stem.convolution.weight", _same)},
}
NAMES = {"resnet50": "ResNet-50", "vgg19": "VGG-19", "mobilenet": "MobileNet V1", "convnextv2": "ConvNeXt V2"}


def load_backbone_weights(backbone: Backbone, path: str | Path, option: str) -> FaceWeights:
    """Load the public weights of a local file, without its classifier, into a backbone.

    option : that chooses the network, for remedies: "--options.backbone"
    Raises BadModel for a file that cannot be read, that is of another network or layout (with the one that it is of),
    with tensors that are missing, unknown or of another shape, or with numbers that are not finite.
    """
    path, kind = Path(path), backbone.kind
    tensors = read_tensors(path, f"{NAMES[kind]} weights", PREFIXES)
    _refuse_other_network(path, kind, tensors, option)
    if isinstance(backbone.space, ConvNeXtV2):
        return load_encoder_weights(backbone.space, backbone.variant, path)
    own = backbone.space.state_dict()
    layout, rename = _layout(path, kind, tensors)
    names = {name: rename(name) for name in own}
    faults = _faults(tensors, {names[name]: tensor for name, tensor in own.items()})
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        expected = f"weights of {NAMES[kind]} in the layout of {layout}"
        raise BadModel(path, expected, "; ".join(faults[:3]) + more)
    for name, there in names.items():
        if there in tensors and not torch.isfinite(tensors[there]).all():
            raise BadModel(path, "finite weights", f"NaN or infinity in {names[name]}", AGAIN)
    loaded = {name: tensors[there].to(own[name].dtype) for name, there in names.items() if there in tensors}
    backbone.space.load_state_dict(own | loaded)
    return FaceWeights(path.name, layout, digest_of(path))


def _refuse_other_network(path: Path, kind: str, tensors: dict[str, Tensor], option: str) -> None:
    """Raise BadModel if a file is of another network that is known here."""
    marks = {name: [mark for mark, _ in layouts.values()] for name, layouts in LAYOUTS.items()}
    marks["convnextv2"] = [f"{parts['stem_norm']}.weight" for parts in CONVNEXT_LAYOUTS.values()]
    for other, those in marks.items():
        if other != kind and any(mark in tensors for mark in those):
            raise BadModel(path, f"weights of {NAMES[kind]}", f"those of {NAMES[other]}", f"Give {option} {other}.")


def _layout(path: Path, kind: str, tensors: dict[str, Tensor]) -> tuple[str, Callable[[str], str]]:
    """The name of the layout of a file, and what it calls the tensors of this package."""
    for layout, (mark, rename) in LAYOUTS[kind].items():
        if mark in tensors:
            return layout, rename
    known, first = " or ".join(LAYOUTS[kind]), ", ".join(sorted(tensors)[:3])
    raise BadModel(path, f"weights of {NAMES[kind]} in the layout of {known}", f"tensors such as {first}")


def _faults(tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    """Differences between a file and a network; none if it fits. expected : tensors by the names in the file"""
    faults = [f"no {name}" for name in expected if name not in tensors and not name.endswith(COUNTER)]
    faults += [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    return faults + [f"an unknown {name}" for name in tensors if name not in expected and not name.startswith(HEADS)]

"""Public ConvNeXt V2 weights to initialise the face encoder (Woo et al. 2023: FCMAE, or fine-tuned on ImageNet).

The encoder is that network, so that its published weights fit; only names differ. Three layouts are known: those of the
authors (facebookresearch/ConvNeXt-V2), of timm, and of transformers. The classifier of ImageNet's classes is left out.
Files of FCMAE alone have no last norm; it is then initialised as without a file.
"""

import hashlib
import logging
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from typing_extensions import override

from ..errors import BadModel
from .model import SIZES, ConvNeXtV2, FaceEncoder, GBVNet

log = logging.getLogger(__name__)

PICKLED = (".pt", ".pth", ".bin")  # read by torch's unpickler of tensors only
WRAPPERS = ("model", "state_dict")  # entries of training files that hold the tensors
PREFIXES = ("module.", "convnextv2.")
HEADS = ("head.", "classifier.", "decoder.", "proj.", "pred.", "mask_token")  # of ImageNet's classes, and FCMAE's
LAST_NORM = ("norm.weight", "norm.bias")

# Names of the parts of model.ConvNeXtV2; i is the stage, j the block, both from 0.
LAYOUTS: dict[str, dict[str, str]] = {
    "its authors": {
        "stem": "downsample_layers.0.0",
        "stem_norm": "downsample_layers.0.1",
        "downs.norm": "downsample_layers.{i}.0",
        "downs.conv": "downsample_layers.{i}.1",
        "block": "stages.{i}.{j}",
        "depthwise": "dwconv",
        "norm in a block": "norm",
        "widen": "pwconv1",
        "grn": "grn",
        "gamma": "gamma",
        "beta": "beta",
        "narrow": "pwconv2",
        "norm": "norm",
    },
    "timm": {
        "stem": "stem.0",
        "stem_norm": "stem.1",
        "downs.norm": "stages.{i}.downsample.0",
        "downs.conv": "stages.{i}.downsample.1",
        "block": "stages.{i}.blocks.{j}",
        "depthwise": "conv_dw",
        "norm in a block": "norm",
        "widen": "mlp.fc1",
        "grn": "mlp.grn",
        "gamma": "weight",
        "beta": "bias",
        "narrow": "mlp.fc2",
        "norm": "head.norm",
    },
    "transformers": {
        "stem": "embeddings.patch_embeddings",
        "stem_norm": "embeddings.layernorm",
        "downs.norm": "encoder.stages.{i}.downsampling_layer.0",
        "downs.conv": "encoder.stages.{i}.downsampling_layer.1",
        "block": "encoder.stages.{i}.layers.{j}",
        "depthwise": "dwconv",
        "norm in a block": "layernorm",
        "widen": "pwconv1",
        "grn": "grn",
        "gamma": "weight",
        "beta": "bias",
        "narrow": "pwconv2",
        "norm": "layernorm",
    },
}


class FaceWeights(NamedTuple):
    """The file with which a face encoder was initialised."""

    file: str
    layout: str
    sha256: str

    @override
    def __str__(self) -> str:
        return f"{self.file} (layout of {self.layout}, sha256 {self.sha256})"


def load_face_weights(network: GBVNet, path: str | Path) -> FaceWeights:
    """Load the public weights of a local file, without its classifier, into the network's face encoder.

    Raises BadModel for a network that reads no pictures, and for a file that cannot be read, of an unknown layout, of
    another size (with the variant that would fit), with tensors that are missing or unknown, or with numbers that are
    not finite.
    """
    if not isinstance(network.face, FaceEncoder):
        raise BadModel(path, "a network that reads pictures of faces", "one that reads features of them")
    return load_encoder_weights(network.face.space, network.config.variant, path)


def load_encoder_weights(encoder: ConvNeXtV2, variant: str, path: str | Path) -> FaceWeights:
    """Load the public weights of a local file, without its classifier, into a ConvNeXt V2 of this variant.

    Raises BadModel as `load_face_weights` does.
    """
    path = Path(path)
    tensors = read_tensors(path, "ConvNeXt V2 weights", PREFIXES)
    layout = _layout(path, tensors)
    own = encoder.state_dict()
    names = {name: _public(name, LAYOUTS[layout]) for name in own}  # name in this package -> name in the file
    faults = _faults(tensors, {names[name]: tensor for name, tensor in own.items()}, _optional(layout))
    if faults:
        _refuse(path, tensors, layout, variant, faults)
    loaded = {name: tensors[there] for name, there in names.items() if there in tensors}
    for name, tensor in loaded.items():
        if not torch.isfinite(tensor).all():
            raise BadModel(path, "finite weights", f"NaN or infinity in {names[name]}", "Fetch the file again.")
    if missing := sorted(set(own) - set(loaded)):
        log.info("%s has no %s: initialised as without a file", path.name, " and ".join(names[n] for n in missing))
    initial = {
        name: loaded[name].reshape(tensor.shape).float() if name in loaded else tensor for name, tensor in own.items()
    }
    encoder.load_state_dict(initial)
    return FaceWeights(path.name, layout, digest_of(path))


def digest_of(path: str | Path, what: str = "ConvNeXt V2 weights") -> str:
    """Return the sha256 of a weights file. Raises BadModel if it cannot be read.

    what : the file should hold, for messages
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        actual = error.strerror or type(error).__name__
        raise BadModel(path, f"a file of {what}", actual, "See docs/sharing.md for where to get one.") from None


def read_tensors(path: Path, what: str, prefixes: Iterable[str] = ()) -> dict[str, Tensor]:
    """Return all tensors of a file by their names, of any shape, without prefixes that wrappers have added. No code
    from the file is run.

    what : the file holds, for messages: "ConvNeXt V2 weights"
    Raises BadModel for a file that cannot be read, and for one with other content than tensors.
    """
    if path.suffix not in (".safetensors", *PICKLED):
        kinds = ", ".join((".safetensors", *PICKLED))
        raise BadModel(path, f"a file of {what}, {kinds}", path.suffix or "no suffix")
    digest_of(path, what)
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise BadModel(path, "a safetensors file", str(error), "Fetch the file again.") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else repr(error)
        actual = f"a file that torch's reader of tensors refuses ({reason})"
        remedy = "gbvnet opens no other pickles: take the .safetensors file of the same weights."
        raise BadModel(path, "a file of tensors only", actual, remedy) from None
    for wrapper in WRAPPERS:
        if isinstance(tensors, dict) and isinstance(tensors.get(wrapper), dict):
            tensors = tensors[wrapper]
    if not isinstance(tensors, dict) or not all(
        isinstance(value, Tensor) and isinstance(name, str) for name, value in tensors.items()
    ):
        raise BadModel(path, "tensors by name", f"a {type(tensors).__name__} with other content")
    for prefix in prefixes:
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _layout(path: Path, tensors: dict[str, Tensor]) -> str:
    for layout, parts in LAYOUTS.items():
        if f"{parts['stem']}.weight" in tensors and f"{parts['stem_norm']}.weight" in tensors:
            return layout
    if any(name.endswith(".kernel") for name in tensors):
        actual = "the sparse network of FCMAE's own training (names that end in .kernel)"
        raise BadModel(path, "ConvNeXt V2 weights", actual, "Take the dense file of the same weights, such as timm's.")
    known, first = ", ".join(LAYOUTS), ", ".join(sorted(tensors)[:3])
    raise BadModel(path, f"ConvNeXt V2 weights in the layout of one of {known}", f"tensors such as {first}")


def _public(name: str, layout: dict[str, str]) -> str:
    """The name in a layout of a tensor of model.ConvNeXtV2."""
    *place, leaf = name.split(".")
    match place:
        case ["downs", k, part]:  # here they are before stages 1, 2 and 3
            module = layout[f"downs.{part}"].format(i=int(k) + 1)
        case ["stages", i, j, part]:
            inside = layout["norm in a block" if part == "norm" else part]
            module = f"{layout['block'].format(i=i, j=j)}.{inside}"
        case _:
            module = layout[place[0]]
    return f"{module}.{layout.get(leaf, leaf)}"


def _optional(layout: str) -> set[str]:
    return {_public(name, LAYOUTS[layout]) for name in LAST_NORM}


def _faults(tensors: dict[str, Tensor], expected: dict[str, Tensor], optional: Iterable[str]) -> list[str]:
    """Differences between the file and a network; none if it fits. expected: tensors by the names in the file."""
    faults = [f"no {name}" for name in expected if name not in tensors and name not in optional]
    faults += [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in tensors and _squeezed(tensors[name]) != _squeezed(tensor)
    ]
    return faults + [f"an unknown {name}" for name in tensors if name not in expected and not name.startswith(HEADS)]


def _squeezed(tensor: Tensor) -> tuple[int, ...]:
    """The shape without dimensions of size 1: GRN is (1, 1, 1, E) in some files, a 1x1 convolution (E', E, 1, 1)."""
    return tuple(side for side in tensor.shape if side != 1)


def _refuse(path: Path, tensors: dict[str, Tensor], layout: str, variant: str, faults: list[str]) -> None:
    """Raise BadModel with the variant that the file fits, or else with the differences."""
    for other, (depths, widths) in SIZES.items():
        with torch.device("meta"):
            expected = {_public(n, LAYOUTS[layout]): t for n, t in ConvNeXtV2(depths, widths).state_dict().items()}
        if not _faults(tensors, expected, _optional(layout)):
            raise BadModel(path, f"weights of variant {variant}", f"those of {other}", f"Give --model.variant {other}.")
    more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    raise BadModel(path, f"weights of ConvNeXt V2 {variant}", "; ".join(faults[:3]) + more)

"""chowdary-like: transfer learning. A public network of photographs, which is not trained, and new dense layers.

After Chowdary, Nguyen and Hemanth 2021 (Neural Comput. Appl. 35:23311-23328, doi:10.1007/s00521-021-06012-8), of which
only the abstract is known, and what Yu et al. 2025 say of it: the fully connected layers of ResNet-50, VGG-19,
Inception V3 and MobileNet are removed, and new ones learn the seven expressions of 918 pictures of CK+. Their sizes,
the size of the pictures and the training are not known here, so this is no measure of its result.

No weights are shipped or downloaded. A user brings a file (network/backbone_weights.py says of which networks and
layouts): `--options.backbone resnet50 --options.face_weights resnet50.safetensors`. Inception V3 is left out. Without a
file the network is GBV-Net's own ConvNeXt V2 of `model.variant` with random weights: then nothing is transferred, and
the log says so.

Chosen here: means over places of the last maps; a window's features are the mean over its good frames; each is
z-scored over training rows; then one dense layer with ReLU, dropout 0.5 and the output. Pictures are resized to 224
pixels for public weights, which learnt from these, and keep their size without. Features are computed once a window,
so faces are not augmented. A model folder holds all weights, so that it is read without the file.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from typing_extensions import override

from ..config import CrossvalConfig, require
from ..errors import BadConfig, BadModel
from ..io.atomic import atomic_write
from ..network.backbone_weights import load_backbone_weights
from ..network.backbones import PUBLISHED_SIDE, Backbone, width_of
from ..network.batches import BatchSource
from ..network.devices import device_of
from ..network.model import set_normaliser
from ..network.pretrained import FaceWeights
from ..store.window_source import WindowSource
from .learners.frozen_features import FrozenFeatureWindows, FrozenNetwork
from .learners.neural import NeuralSystem, Shape, UngatedOutput

log = logging.getLogger(__name__)

FILE = "backbone.safetensors"
CACHE_VERSION = 1  # to be increased whenever the features of the same weights change
DROPOUT = 0.5
MIN_SIDE = 32  # pixels: less leaves nothing after five halvings


class DenseHead(nn.Module):
    """Features of a window (B, E) -> K logits."""

    mean: Tensor
    sd: Tensor

    def __init__(self, n_features: int, units: int, n_outputs: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("sd", torch.ones(n_features))
        self.layers = nn.Sequential(
            nn.Linear(n_features, units), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(units, n_outputs)
        )

    @override
    def forward(
        self,
        faces: Tensor | None,
        face_ok: Tensor | None,
        signals: Tensor,
        has_face: Tensor | None = None,
        has_signals: Tensor | None = None,
    ) -> UngatedOutput:
        """Return logits (B, K) of features `signals` (B, E); the other arguments are not used."""
        return UngatedOutput.of(self.layers((signals - self.mean) / self.sd))


class System(NeuralSystem):
    """New dense layers on a network that is not trained."""

    modalities: ClassVar[tuple[str, ...]] = ("face",)
    waveforms: ClassVar[bool] = False

    @dataclass(frozen=True)
    class Options(NeuralSystem.Options):
        """The options of chowdary-like."""

        backbone: Literal["convnextv2", "resnet50", "vgg19", "mobilenet"] = "convnextv2"
        """the network that is not trained; of convnextv2 the size is model.variant"""
        face_weights: str | None = None
        """a local file of its public weights (.safetensors, or .pt and .pth with tensors only); only convnextv2 can do
        without, and then has random weights from the seed"""
        side: int | None = None
        """pixels that faces are resized to; default: 224 for public weights, else the size that they have"""
        units: int = 256
        """units of the new dense layer"""

        def __post_init__(self) -> None:
            require(
                self.face_weights is not None or self.backbone == "convnextv2",
                f"options.backbone {self.backbone} needs options.face_weights, a local file of its public weights: "
                "with random ones nothing is transferred (docs/sharing.md says where to get one)",
            )
            require(
                self.side is None or self.side >= MIN_SIDE,
                f"options.side must be at least {MIN_SIDE}, not {self.side}",
            )
            require(self.units >= 1, f"options.units must be at least 1, not {self.units}")

    options: Options

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        super().__init__(config, work, label)
        self._frozen: FrozenNetwork | None = None
        self._source: FaceWeights | None = None

    @override
    def fit(
        self,
        store: WindowSource,
        rows: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
    ) -> Self:
        options = self.options
        with torch.random.fork_rng():  # the global random state stays as it is
            torch.manual_seed(seed)
            backbone = self._untrained_backbone()
        name = ""
        if options.face_weights is None:
            log.warning(
                "chowdary-like: no options.face_weights, so its %s has random weights: nothing is transferred",
                options.backbone,
            )
        else:
            self._source = load_backbone_weights(backbone, options.face_weights, "--options.backbone")
            size = f"{backbone.side}px"
            name = f"backbone-{options.backbone}-{self._source.sha256[:16]}-{size}-v{CACHE_VERSION}"
        self._frozen = FrozenNetwork(backbone, device_of(self.config.train), name)
        return super().fit(store, rows, y, validation=validation, seed=seed)

    def _untrained_backbone(self) -> Backbone:
        options = self.options
        side = options.side or (PUBLISHED_SIDE if options.face_weights else None)
        return Backbone(options.backbone, self.config.model.variant, side)

    @override
    def build(self, shape: Shape) -> nn.Module:
        width = width_of(self.options.backbone, self.config.model.variant)
        return DenseHead(width, self.options.units, shape.n_outputs)

    @override
    def _windows(self, store: WindowSource, rows: np.ndarray, y: np.ndarray | None = None) -> BatchSource:
        self.refuse_missing(store, rows)
        if self._frozen is None:
            raise BadConfig(f"this {self.name} is not trained yet: call fit or load first")
        return FrozenFeatureWindows(store, rows, self._frozen, y)

    @override
    def _fit_normaliser(self, store: WindowSource, train: BatchSource) -> None:
        super()._fit_normaliser(store, train)  # refuses train.corrupt
        network = self._network()
        set_normaliser(network.get_buffer("mean"), network.get_buffer("sd"), *train.signal_statistics())

    @override
    def save(self, folder: Path) -> None:
        super().save(folder)
        if self._frozen is not None:
            state = self._frozen.backbone.space.state_dict()
            atomic_write(folder / FILE, save({name: t.detach().cpu().contiguous() for name, t in state.items()}))

    @classmethod
    @override
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        system, file = super().load(folder, config), folder / FILE
        backbone = system._untrained_backbone()
        try:
            backbone.space.load_state_dict(load_file(file))
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            expected = f"the {system.options.backbone} of a trained {config.system}"
            raise BadModel(file, expected, f"a file that does not read ({error})") from None
        system._frozen = FrozenNetwork(backbone, device_of(config.train))
        return system

    @property
    @override
    def about(self) -> dict[str, Any]:
        trained = super().about
        frozen = sum(p.numel() for p in self._frozen.backbone.parameters()) if self._frozen else 0
        of_file = {"face_weights": str(self._source)} if self._source else {}
        return {
            **trained,
            "n_parameters": trained["n_parameters"] + frozen,
            "n_parameters_trained": trained["n_parameters"],
            **of_file,
        }

"""meena-like: a deep convolutional network of the face, trained with larger batches and for longer.

After Meena, Mohbey, Indian, Khan and Kumar 2023 (Multimed. Tools Appl. 83:15711-15732,
doi:10.1007/s11042-023-16174-3), of which only the abstract is known, and what Yu et al. 2025 say of it: convolutional
networks for positive, negative and neutral expressions on CK+ and FER-2013, the best of which is called CNN3; larger
batches, more convolutional layers and more training epochs than before made it better. Sizes, optimiser and by how
much are not known here, so this is no measure of its result.

Chosen here: grey pictures of 48 x 48 (those of FER-2013); blocks of two padded convolutions of 3 x 3 with batch norm
and ReLU, max pooling of 2 and dropout 0.25, of 16, 32, 64 and 128 channels (the option `blocks`: fewer are less
deep); 256 units with batch norm, ReLU and dropout 0.5; 0.59 M parameters for one logit. Larger batches and longer
training are relative to the run's, which all networks share: the option `larger_batch` multiplies its batch,
`longer` its epochs and its patience. A window has several frames: see learners/face_frames.py.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from torch import Tensor, nn
from typing_extensions import override

from ..config import require
from ..network.training_data import batch_size
from ..store.window_source import WindowSource
from .learners.face_frames import SIDE, FrameNetwork, FrameSystem, grey
from .learners.neural import Shape

WIDTHS = (16, 32, 64, 128)  # channels of the blocks
UNITS = 256
DROPOUT, HEAD_DROPOUT = 0.25, 0.5


class DeepCNN(FrameNetwork):
    """Grey faces -> K logits."""

    def __init__(self, n_outputs: int, blocks: int):
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 1
        for width in WIDTHS[:blocks]:
            layers += [*_convolution(n_in, width), *_convolution(width, width), nn.MaxPool2d(2), nn.Dropout(DROPOUT)]
            n_in = width
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(
            nn.Linear(n_in * (SIDE // 2**blocks) ** 2, UNITS, bias=False),
            *(nn.BatchNorm1d(UNITS), nn.ReLU(), nn.Dropout(HEAD_DROPOUT)),
            nn.Linear(UNITS, n_outputs),
        )

    @override
    def picture_logits(self, pictures: Tensor) -> Tensor:
        return self.head(self.features(grey(pictures)))


def _convolution(n_in: int, n_out: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()


class System(FrameSystem):
    """A deep network of single pictures."""

    @dataclass(frozen=True)
    class Options(FrameSystem.Options):
        """The options of meena-like."""

        blocks: int = 4
        """blocks of two convolutions, 1 to 4"""
        larger_batch: int = 2
        """the batch is so many times the run's, as the source says that larger ones are better"""
        longer: int = 2
        """epochs and patience are so many times the run's, as the source says that longer training is better"""

        def __post_init__(self) -> None:
            most = len(WIDTHS)
            require(1 <= self.blocks <= most, f"options.blocks must be 1 to {most}, not {self.blocks}")
            for name in ("larger_batch", "longer"):
                value = getattr(self, name)
                require(value >= 1, f"options.{name} must be at least 1, not {value}")

    options: Options

    @override
    def build(self, shape: Shape) -> nn.Module:
        return DeepCNN(shape.n_outputs, self.options.blocks)

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
        run = self.config
        longer, larger = self.options.longer, self.options.larger_batch
        train = replace(
            run.train,
            batch_size=larger * batch_size(len(rows), run.train),
            epochs=longer * run.train.epochs,
            patience=longer * run.train.patience,
        )
        self.config = replace(run, train=train)
        try:
            return super().fit(store, rows, y, validation=validation, seed=seed)
        finally:
            self.config = run

"""Features of faces by a network that is not trained (network/backbones.py), as batches for a network that is.

A window's features are the mean over its good frames. They depend on the window alone, and are computed once: no epoch
computes them again, so faces are not augmented. Those of public weights are cached beside the store for other folds and
targets. Shapes: n rows, B windows in a batch, F frames, S face side, E features, K targets.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from ...network.backbones import Backbone
from ...network.batches import Batch, BatchSource
from ...network.model import pixels
from ...store.channels import CHUNK_ROWS
from ...store.row_view import feature_cache_of, readable_rows
from ...store.window_source import WindowSource

PICTURES = 64  # at once


class FrozenNetwork(NamedTuple):
    """A backbone and where it computes.

    cache_name : identifies its weights and the size of its pictures; empty if they are of this training alone
    """

    backbone: Backbone
    device: torch.device
    cache_name: str = ""

    def features(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        """Return the features of faces, (n, E) float32; 0 for a window without a good frame."""
        cache = feature_cache_of(store) if self.cache_name else None
        if cache is None:
            return self._computed(store, rows)
        return cache.features(self.cache_name, lambda at: self._computed(cache, at), readable_rows(store, rows))

    @torch.inference_mode()
    def _computed(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        self.backbone.to(self.device)
        parts = []
        for begin in range(0, max(1, len(rows)), CHUNK_ROWS):
            faces, ok, _ = store.read(rows[begin : begin + CHUNK_ROWS], signals=False)
            of_frames = self._of_pictures(np.asarray(faces)[ok])  # good frames alone
            window = np.repeat(np.arange(len(ok)), ok.sum(axis=1))
            sums = np.zeros((len(ok), of_frames.shape[1]))
            np.add.at(sums, window, of_frames)
            parts.append(sums / np.maximum(ok.sum(axis=1, keepdims=True), 1))
        self.backbone.to("cpu")
        return np.concatenate(parts).astype(np.float32)

    def _of_pictures(self, pictures: np.ndarray) -> np.ndarray:
        """The features (m, E) of pictures (m, S, S, 3) uint8."""
        parts = []
        for begin in range(0, max(1, len(pictures)), PICTURES):
            some = torch.from_numpy(np.ascontiguousarray(pictures[begin : begin + PICTURES])).to(self.device)
            parts.append(self.backbone(pixels(some[:, None])[:, 0]).cpu().numpy())
        return np.concatenate(parts)


class FrozenFeatureWindows(BatchSource):
    """Rows of a store as the features of their faces: batches whose `signals` are (B, E)."""

    def __init__(self, store: WindowSource, rows: np.ndarray, frozen: FrozenNetwork, y: np.ndarray | None = None):
        self.rows, self.channels, self.device = np.asarray(rows, np.int64), [0], frozen.device
        self.x = torch.from_numpy(frozen.features(store, self.rows)).to(self.device)  # (n, E)
        self.y = None if y is None else torch.from_numpy(np.asarray(y, np.float32)).to(self.device)

    @override
    def batches(self, orders: Iterable[np.ndarray]) -> Iterator[Batch]:
        for order in orders:
            at = torch.from_numpy(order).to(self.device)
            yield Batch(None, None, self.x[at], None, None, None if self.y is None else self.y[at])

    @override
    def signal_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and SD of each feature over the rows, (E,) and (E,)."""
        x = self.x.double()
        return x.mean(dim=0).float(), x.std(dim=0, correction=0).float()

"""decision-fusion: GBV-Net's face network and its signal network, each trained alone, and their scores fused.

The classical rules of Huang et al. 2019 and its public code (late_fusion.py), with GBV-Net's own encoders in the place
of theirs, so that what differs from GBV-Net is the fusion. `weight`: w x face + (1 - w) x signals, with the w of 0,
0.01, ... 1 that misclassifies the fewest validation trials; of equally good ones the largest. `adaboost`: both vote,
each with AdaBoost's weight by its error on validation trials, the face first.

The weights are fitted on validation rows alone, from which no network has learnt but in the choice of its epoch;
without any that have both modalities, both weights are 1/2. Of a window that lacks a modality the other one decides.
Shapes: n windows, K targets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from ..errors import BadConfig
from ..store.window_source import WindowSource
from .learners.branches import TwoBranches
from .learners.late_fusion import adaboost_weights, enumerated_weights, weighted_mean, weighted_vote

Fuse = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class System(TwoBranches):
    """Two networks, and weights of their decisions."""

    refused_tasks: ClassVar[str] = "its weights are fitted on errors of low and high"
    _weights: np.ndarray | None = None  # (K, 2) of face and signals

    @dataclass(frozen=True)
    class Options(TwoBranches.Options):
        """The options of decision-fusion."""

        rule: Literal["weight", "adaboost"] = "weight"
        """the weighted mean of both probabilities, or AdaBoost's weighted vote"""

    options: Options

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
        rows, y = np.asarray(rows), np.asarray(y)
        self.fit_branches(store, rows, y, validation, seed)
        self._weights = np.full((y.reshape(len(rows), -1).shape[1], 2), 0.5)
        if validation is not None:
            has = store.windows[["has_face", "has_signals"]].to_numpy(bool)[validation[0]].all(axis=1)
            if has.any():
                self._fit_weights(store, validation[0][has], np.asarray(validation[1])[has])
        return self

    def _fit_weights(self, store: WindowSource, rows: np.ndarray, y: np.ndarray) -> None:
        """Fit the weights of each target on trials, by the mean scores of their windows."""
        trials = store.windows["recording"].to_numpy(str)[rows]
        _, first, of_row = np.unique(trials, return_index=True, return_inverse=True)
        face, signals = self.scores(store, rows).values()
        rule = enumerated_weights if self.options.rule == "weight" else adaboost_weights
        weights = []
        for k, label in enumerate(y.reshape(len(rows), -1).T):
            means = [np.bincount(of_row, score[:, k]) / np.bincount(of_row) for score in (face, signals)]
            weights.append(rule(means[0], means[1], label[first]))
        self._weights = np.stack(weights)

    @override
    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        if self._weights is None:
            raise BadConfig(f"this {self.name} is not trained yet: call fit or load first")
        rows = np.asarray(rows)
        self.refuse_missing(store, rows)
        scores = list(self.scores(store, rows).values())
        fuse = weighted_mean if self.options.rule == "weight" else weighted_vote
        p = np.stack([self._fused(w, fuse, *(s[:, k] for s in scores)) for k, w in enumerate(self._weights)], axis=1)
        return p[:, 0] if p.shape[1] == 1 else p

    def _fused(self, weights: np.ndarray, fuse: Fuse, face: np.ndarray, signals: np.ndarray) -> np.ndarray:
        """The probability (n,) of one target."""
        alone = np.where(np.isnan(face), signals, face)
        both = np.isfinite(face) & np.isfinite(signals)
        return np.where(both, fuse(weights, np.where(both, face, 0.5), np.where(both, signals, 0.5)), alone)

    @override
    def tensors(self) -> dict[str, Tensor]:
        weights = np.empty((0, 2)) if self._weights is None else self._weights
        return {self.options.rule: torch.from_numpy(weights)}

    @override
    def read_tensors(self, tensors: dict[str, Tensor]) -> None:
        self._weights = tensors[self.options.rule].numpy()

    @property
    @override
    def about(self) -> dict:
        weights = [] if self._weights is None else self._weights.tolist()
        return {**super().about, "fusion": self.options.rule, "weights_face_signals": weights}

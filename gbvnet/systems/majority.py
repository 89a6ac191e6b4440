"""Always the commoner class of the training rows: what a score must beat to mean anything."""

import numpy as np
from typing_extensions import override

from ..store.window_source import WindowSource
from .learners.classical import Classical, Learnt


class System(Classical):
    """The share of high among all training rows is predicted for every window."""

    @override
    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        pass  # it looks at nothing that a window could lack

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return np.empty((len(rows), 0))

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Learnt:
        return {"prior": y.mean(keepdims=True)}

    @override
    def probability(self, learnt: Learnt, x: np.ndarray) -> np.ndarray:
        return np.full(len(x), learnt["prior"][0])

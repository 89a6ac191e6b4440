"""The majority class of the training rows for every window: the score that any system must exceed."""

import numpy as np
from typing_extensions import override

from ..store.window_source import WindowSource
from .learners.classical import ClassicalSystem, Parameters


class System(ClassicalSystem):
    """Predicts the share of positive training rows for every window."""

    @override
    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        pass  # it uses neither faces nor signals

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return np.empty((len(rows), 0))

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        return {"prior": y.mean(keepdims=True)}

    @override
    def probability(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        return np.full(len(x), parameters["prior"][0])

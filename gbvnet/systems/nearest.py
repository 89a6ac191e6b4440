"""The label of the training window with the most similar waveforms: it learns nothing, and so reveals leaks.

A control, not a comparison method: where windows of one trial are on both sides of a split, what they share (a
baseline's waveform, a face's look) makes the nearest window one of the same trial, with the same label.
"""

from typing import ClassVar, Literal

import numpy as np
from sklearn.neighbors import NearestNeighbors
from typing_extensions import override

from ..store.window_source import WindowSource
from . import ALL_TASKS
from .features.extract import waveform_features
from .learners.classical import ClassicalSystem, Parameters


class System(ClassicalSystem):
    """One nearest neighbour in Euclidean distance on `features.plain`, each value z-scored over training rows."""

    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS
    face_input: ClassVar[Literal["pixels", "features", "either"]] = "either"

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return waveform_features(store, rows, self.config.modality)

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        mean, sd = x.mean(axis=0), x.std(axis=0) + np.float32(1e-12)
        kind = np.float64 if self.task == "regression" else np.int8
        return {"x": (x - mean) / sd, "y": np.asarray(y, kind), "mean": mean, "sd": sd}

    @override
    def output(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(parameters["x"])
        neighbour = nearest.kneighbors((x - parameters["mean"]) / parameters["sd"], return_distance=False)[:, 0]
        y = parameters["y"][neighbour]
        return np.eye(parameters["y"].max() + 1)[y] if self.task == "multiclass" else y.astype(np.float64)

"""A linear classifier on waveforms and face thumbnails: the simplest system that can learn a leak.

A control, not a comparison method.
"""

import numpy as np
from scipy.special import expit
from sklearn.linear_model import RidgeClassifier
from typing_extensions import override

from ..evaluation.labels import has_one_class
from ..store.window_source import WindowSource
from .features.extract import waveform_features
from .learners.classical import ClassicalSystem, Parameters


class System(ClassicalSystem):
    """RidgeClassifier on `features.plain`, z-scored over training rows; p is the expit of its decision."""

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return waveform_features(store, rows, self.config.modality)

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        mean, sd = x.mean(axis=0), x.std(axis=0) + np.float32(1e-12)
        if has_one_class(y):  # of several targets, one may have a single class
            return {"weights": np.zeros(x.shape[1]), "bias": np.array([4.0 if y[0] else -4.0]), "mean": mean, "sd": sd}
        ridge = RidgeClassifier().fit((x - mean) / sd, y)
        return {"weights": ridge.coef_.ravel(), "bias": np.atleast_1d(ridge.intercept_), "mean": mean, "sd": sd}

    @override
    def probability(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        return expit((x - parameters["mean"]) / parameters["sd"] @ parameters["weights"] + parameters["bias"][0])

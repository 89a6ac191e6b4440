"""Linear classifiers on z-scored features: one weight a feature, which can be interpreted."""

from abc import abstractmethod
from typing import Any

import numpy as np
from scipy.special import expit
from typing_extensions import override

from ...evaluation.labels import has_one_class
from .classical import ClassicalSystem, Parameters

STILL = 1e-9  # an SD below which a feature counts as constant


class LinearSystem(ClassicalSystem, new_hooks=True):
    """One of scikit-learn's linear classifiers, which a subclass chooses; p is the logistic of its decision value."""

    @abstractmethod
    def classifier(self) -> Any:
        """Return the classifier, untrained."""

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        mean, sd = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        sd = np.where(sd > STILL, sd, 1.0)
        if has_one_class(y):  # of several targets, one may have a single class
            return {"weights": np.zeros(x.shape[1]), "bias": np.array([4.0 if y[0] else -4.0]), "mean": mean, "sd": sd}
        fitted = self.classifier().fit((x - mean) / sd, y)
        return {"weights": fitted.coef_.ravel(), "bias": np.atleast_1d(fitted.intercept_), "mean": mean, "sd": sd}

    @override
    def probability(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        return expit((x - parameters["mean"]) / parameters["sd"] @ parameters["weights"] + parameters["bias"][0])

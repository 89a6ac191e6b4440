"""Linear models on z-scored features: one weight a feature (and class), which can be interpreted.

Shapes: n windows, D features, k classes that occur in training.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, softmax
from sklearn.linear_model import Ridge
from typing_extensions import override

from ...evaluation.labels import has_one_class
from .. import ALL_TASKS
from .classical import ClassicalSystem, Parameters

STILL = 1e-9  # an SD below which a feature counts as constant


class LinearSystem(ClassicalSystem, new_hooks=True):
    """One of scikit-learn's linear models, which a subclass chooses; p is the logistic of its decision value, or, of
    several classes, the softmax of their decision values."""

    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS

    @abstractmethod
    def classifier(self) -> Any:
        """Return the classifier, untrained."""

    def regressor(self) -> Any:
        """Return the model of a rating, untrained: ridge regression."""
        return Ridge(alpha=1.0)

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        mean, sd = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        sd = np.where(sd > STILL, sd, 1.0)
        if self.task == "binary" and has_one_class(y):  # of several targets, one may have a single class
            return constant(x.shape[1], y[0]) | {"mean": mean, "sd": sd}
        model = self.regressor() if self.task == "regression" else self.classifier()
        return weights_of(model.fit((x - mean) / sd, y)) | {"mean": mean, "sd": sd}

    @override
    def output(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        return linear_output((x - parameters["mean"]) / parameters["sd"], parameters, self.task)


def constant(n_features: int, y: float) -> Parameters:
    """Return the parameters of a linear model that predicts the only class that there was, 0 or 1: (D,) and (1,)."""
    return {"weights": np.zeros(n_features), "bias": np.array([4.0 if y else -4.0])}


def weights_of(model: Any) -> Parameters:
    """Return the weights and biases of a fitted model of scikit-learn: (D,) and (1,), or, of more than two classes,
    (D, k) and (k,)."""
    weights = np.atleast_2d(model.coef_)
    return {
        "weights": weights.ravel() if len(weights) == 1 else np.ascontiguousarray(weights.T),
        "bias": np.atleast_1d(model.intercept_),
    }


def linear_output(x: np.ndarray, parameters: Parameters, task: str) -> np.ndarray:
    """Return what `ClassicalSystem.output` describes, of z-scored features (n, D)."""
    weights, bias = parameters["weights"], parameters["bias"]
    value = x @ weights + (bias if weights.ndim == 2 else bias[0])
    return output_of_decision(value, task)


def output_of_decision(value: np.ndarray, task: str) -> np.ndarray:
    """Return the prediction of a model from its decision values: (n,), or (n, k) of k classes, of which two have one
    value, (n,), above 0 for the second."""
    if task == "regression":
        return value
    if value.ndim == 2:
        return softmax(value, axis=1)
    p = expit(value)
    return np.stack([1 - p, p], axis=1) if task == "multiclass" else p

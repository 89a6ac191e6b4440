"""A perceptron with one hidden layer of tanh units, trained by scikit-learn, saved as its weights.

The layer's size and training are the same for every system that has one. Shapes: n windows, D features, U units, k
classes that occur in training.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from .classical import Parameters
from .linear import output_of_decision

UNITS, EPOCHS, RATE, DECAY = 64, 50, 3e-3, 1.0


def train_hidden_layer(x: np.ndarray, y: np.ndarray, seed: int, task: str) -> Parameters:
    """Return the weights learnt from z-scored features (n, D) and labels (n,), as `ClassicalSystem.learn` has them:
    inward (D, U), offset (U,), outward (U,) and bias (1,), or, of more than two classes, (U, k) and (k,)."""
    network = (MLPRegressor if task == "regression" else MLPClassifier)(
        hidden_layer_sizes=UNITS,  # by name: the first parameter of the regressor is another
        activation="tanh",
        alpha=DECAY,
        batch_size=min(256, max(16, len(x) // 16), len(x)),
        learning_rate_init=RATE,
        max_iter=EPOCHS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is chosen, not a failure
        network.fit(x, y)
    (inward, outward), (offset, bias) = network.coefs_, network.intercepts_
    outward = outward if outward.shape[1] > 1 else outward.ravel()
    return {"inward": inward, "offset": offset, "outward": outward, "bias": bias}


def constant_layer(n_features: int, y: float) -> Parameters:
    """Return the weights of a layer that predicts the only class that there was, 0 or 1."""
    nothing = {"inward": np.zeros((n_features, 1)), "offset": np.zeros(1), "outward": np.zeros(1)}
    return nothing | {"bias": np.array([4.0 if y else -4.0])}


def hidden_layer_output(parameters: Parameters, x: np.ndarray, task: str) -> np.ndarray:
    """Return what `ClassicalSystem.output` describes, of z-scored features (n, D)."""
    hidden = np.tanh(x @ parameters["inward"] + parameters["offset"])
    outward, bias = parameters["outward"], parameters["bias"]
    return output_of_decision(hidden @ outward + (bias if outward.ndim == 2 else bias[0]), task)

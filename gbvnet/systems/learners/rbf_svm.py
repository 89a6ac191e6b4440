"""A support vector machine with a Gaussian (RBF) kernel, saved as its support vectors.

Its training time grows with the square of the windows that it learns from: at most the option svm_windows of them,
sampled by the seed with equal numbers a trial. Shapes: n windows, D features, V support vectors.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from sklearn.svm import SVC, SVR
from typing_extensions import override

from ...config import require
from ...evaluation.labels import has_one_class
from ...store.window_source import WindowSource
from .. import ALL_TASKS
from .classical import ClassicalSystem, Parameters
from .linear import STILL, output_of_decision

BATCH = 2048  # windows whose kernel values are in memory together
CACHE_MB = 1000


class RbfSvm(ClassicalSystem):
    """SVC(C=1, gamma=1 / D) on z-scored features; p is the logistic of its decision value, or, of several classes, the
    softmax of those of one machine a class. Of ratings an SVR with the same kernel, on the scaled rating."""

    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS

    @dataclass(frozen=True)
    class Options(ClassicalSystem.Options):
        """The options of a support vector machine."""

        svm_windows: int = 10_000
        """training windows of the support vector machine at most, sampled by the seed with equal numbers a trial
        (implementation choice): its training time grows with their square"""

        def __post_init__(self) -> None:
            require(self.svm_windows >= 10, f"options.svm_windows must be at least 10, not {self.svm_windows}")

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
        if validation is not None:
            rows, y = np.concatenate([rows, validation[0]]), np.concatenate([y, validation[1]])
        at = subsample_per_trial(store.windows["recording"].to_numpy(str)[rows], self.options.svm_windows, seed)
        return super().fit(store, np.asarray(rows)[at], np.asarray(y)[at], seed=seed)

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        mean, sd = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        sd = np.where(sd > 1e-9, sd, 1.0)  # a dead channel
        scale = {"mean": mean, "sd": sd}
        if self.task == "binary" and has_one_class(y):  # of several targets, one may have a single class
            bias = np.array([4.0 if y[0] else -4.0])
            return {"vectors": np.zeros((0, x.shape[1])), "weights": np.zeros(0), "bias": bias} | scale
        x = (x - mean) / sd
        if self.task == "multiclass" and y.max() > 1:
            return _one_machine_a_class(x, y) | scale
        if self.task == "regression":
            middle, spread = y.mean(), max(float(y.std()), STILL)
            machine = SVR(C=1.0, kernel="rbf", gamma="auto", cache_size=CACHE_MB).fit(x, (y - middle) / spread)
            weights, bias = spread * machine.dual_coef_.ravel(), spread * machine.intercept_ + middle
            return {"vectors": machine.support_vectors_, "weights": weights, "bias": bias} | scale
        svc = _machine(x, y)
        return {"vectors": svc.support_vectors_, "weights": svc.dual_coef_.ravel(), "bias": svc.intercept_} | scale

    @override
    def output(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        x = (x - parameters["mean"]) / parameters["sd"]
        values = [decision(parameters, x[i : i + BATCH]) for i in range(0, max(1, len(x)), BATCH)]
        return output_of_decision(np.concatenate(values), self.task)


def _machine(x: np.ndarray, y: np.ndarray) -> SVC:
    return SVC(C=1.0, kernel="rbf", gamma="auto", cache_size=CACHE_MB).fit(x, y)


def _one_machine_a_class(x: np.ndarray, y: np.ndarray) -> Parameters:
    """A machine for each of k classes against the others, on one list of the support vectors of all."""
    machines = [_machine(x, y == k) for k in range(int(y.max()) + 1)]
    used = np.unique(np.concatenate([machine.support_ for machine in machines]))
    weights = np.zeros((len(used), len(machines)))
    for k, machine in enumerate(machines):
        weights[np.searchsorted(used, machine.support_), k] = machine.dual_coef_.ravel()
    return {"vectors": x[used], "weights": weights, "bias": np.concatenate([m.intercept_ for m in machines])}


def decision(parameters: Parameters, x: np.ndarray) -> np.ndarray:
    """Return the decision values of z-scored features (n, D): (n,), above 0 for the positive class, or (n, k)."""
    v, weights, bias = parameters["vectors"], parameters["weights"], parameters["bias"]
    squared = (x**2).sum(axis=1)[:, None] + (v**2).sum(axis=1) - 2 * x @ v.T  # (n, V) of distances
    return np.exp(-np.maximum(squared, 0) / x.shape[1]) @ weights + (bias if weights.ndim == 2 else bias[0])


def subsample_per_trial(trials: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return the sorted places of at most `most` rows, as equal numbers of each trial as possible.

    trials : (n,) the trial of each row
    """
    if len(trials) <= most:
        return np.arange(len(trials))
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(trials))
    order = shuffled[np.argsort(trials[shuffled], kind="stable")]  # by trial, at random within it
    of_trial = np.unique(trials[order], return_index=True, return_counts=True)
    turn = np.arange(len(trials)) - np.repeat(of_trial[1], of_trial[2])  # 0 for the first of each trial, and so on
    return np.sort(order[np.lexsort([rng.random(len(turn)), turn])[:most]])

"""A support vector machine with a Gaussian kernel, kept as its support vectors.

Its time grows with the square of the windows that it learns from: rival.svm_windows of them at most, drawn by the seed
and evenly over trials. Shapes: n windows, D features, V support vectors.
"""

from typing import Self

import numpy as np
from scipy.special import expit
from sklearn.svm import SVC
from typing_extensions import override

from ...evaluation.labels import has_one_class
from ...store.window_source import WindowSource
from .classical import Classical, Learnt

AT_ONCE = 2048  # windows whose kernels are in memory together
CACHE_MB = 1000


class Machine(Classical):
    """SVC(C=1, gamma=1 / D) on z-scored vectors; p is the logistic of its decision value."""

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
        kept = evenly(store.windows["recording"].to_numpy(str)[rows], self.config.rival.svm_windows, seed)
        return super().fit(store, np.asarray(rows)[kept], np.asarray(y)[kept], seed=seed)

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Learnt:
        mean, sd = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        sd = np.where(sd > 1e-9, sd, 1.0)  # a dead channel
        if has_one_class(y):  # of several targets, one may have a single class
            bias = np.array([4.0 if y[0] else -4.0])
            return {"vectors": np.zeros((0, x.shape[1])), "weights": np.zeros(0), "bias": bias, "mean": mean, "sd": sd}
        svc = SVC(C=1.0, kernel="rbf", gamma="auto", cache_size=CACHE_MB).fit((x - mean) / sd, y)
        weights = svc.dual_coef_.ravel()
        return {"vectors": svc.support_vectors_, "weights": weights, "bias": svc.intercept_, "mean": mean, "sd": sd}

    @override
    def probability(self, learnt: Learnt, x: np.ndarray) -> np.ndarray:
        x = (x - learnt["mean"]) / learnt["sd"]
        return expit(np.concatenate([decision(learnt, x[i : i + AT_ONCE]) for i in range(0, max(1, len(x)), AT_ONCE)]))


def decision(learnt: Learnt, x: np.ndarray) -> np.ndarray:
    """(n, D) z-scored -> (n,): above 0 is high."""
    v = learnt["vectors"]
    squared = (x**2).sum(axis=1)[:, None] + (v**2).sum(axis=1) - 2 * x @ v.T  # (n, V) of distances
    return np.exp(-np.maximum(squared, 0) / x.shape[1]) @ learnt["weights"] + learnt["bias"][0]


def evenly(trials: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Places, in order, of at most so many of the rows, whose trials are (n,): as many of each trial as can be."""
    if len(trials) <= most:
        return np.arange(len(trials))
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(trials))
    order = shuffled[np.argsort(trials[shuffled], kind="stable")]  # by trial, at random within it
    of_trial = np.unique(trials[order], return_index=True, return_counts=True)
    turn = np.arange(len(trials)) - np.repeat(of_trial[1], of_trial[2])  # 0 for the first of each trial, and so on
    return np.sort(order[np.lexsort([rng.random(len(turn)), turn])[:most]])

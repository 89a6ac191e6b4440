"""Huang et al. 2019 (Future Internet 11:105): a support vector machine on the EEG, a small network on the face, fused.

From the paper and its public code (Eumpy): 85 band powers a second (derivations.py), z-scored over training rows,
SVC(C=1) with a Gaussian kernel; the network of face_cnn.py; the enumerated weight of fusion.py by default. There the
machine gives yes or no for each second, a trial's score is the share of yes, the network's is its mean over frames,
and a trial is high above 0.5. Here a window has a probability, the logistic of the machine's decision value, and a
trial the mean logit of its windows, as with every system. The source tests within each person, 20 trials against 20.

The machine's time grows with the square of the windows. It was made for one person's 2,400; of more than
rival.svm_windows it learns from so many, drawn by the seed and evenly over trials (ours).
"""

from typing import ClassVar, Self

import numpy as np
from scipy.special import expit
from sklearn.svm import SVC

from ..classical import Classical, Learnt
from ..derivations import decibels
from ..face_cnn import Face
from ..fusion import Fused
from ..store import Store
from . import Contract

AT_ONCE = 2048  # windows whose kernels are in memory together
CACHE_MB = 1000


class EEG(Classical):
    """SVC(C=1, gamma=1 / D) on z-scored band powers, kept as its support vectors."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg",)

    def vectors(self, store: Store, rows: np.ndarray) -> np.ndarray:
        return decibels(store, rows)

    def fit(
        self,
        store: Store,
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

    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Learnt:
        mean, sd = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        sd = np.where(sd > 1e-9, sd, 1.0)  # a dead channel
        if len(np.unique(y)) == 1:  # of several targets, one may have a single class
            bias = np.array([4.0 if y[0] else -4.0])
            return {"vectors": np.zeros((0, x.shape[1])), "weights": np.zeros(0), "bias": bias, "mean": mean, "sd": sd}
        svc = SVC(C=1.0, kernel="rbf", gamma="auto", cache_size=CACHE_MB).fit((x - mean) / sd, y)
        weights = svc.dual_coef_.ravel()
        return {"vectors": svc.support_vectors_, "weights": weights, "bias": svc.intercept_, "mean": mean, "sd": sd}

    def probability(self, learnt: Learnt, x: np.ndarray) -> np.ndarray:
        x = (x - learnt["mean"]) / learnt["sd"]
        return expit(np.concatenate([decision(learnt, x[i : i + AT_ONCE]) for i in range(0, len(x), AT_ONCE)]))


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


def decision(learnt: Learnt, x: np.ndarray) -> np.ndarray:
    """(n, D) z-scored -> (n,): above 0 is high."""
    v = learnt["vectors"]
    squared = (x**2).sum(axis=1)[:, None] + (v**2).sum(axis=1) - 2 * x @ v.T  # (n, V) of distances
    return np.exp(-np.maximum(squared, 0) / x.shape[1]) @ learnt["weights"] + learnt["bias"][0]


class System(Fused):
    made_of: ClassVar[dict[str, type[Contract]]] = {"face": Face, "eeg": EEG}
    rule: ClassVar[str] = "enumerate"

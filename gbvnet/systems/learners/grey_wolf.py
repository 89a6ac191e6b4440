"""Feature selection by binary grey wolf optimisation (Emary, Zawbaa & Hassanien 2016, the second of their two methods).

A wolf is a choice of features. The three best so far lead; in each round every wolf moves towards the mean of the
positions that the three suggest, with decreasing noise, and each feature is then kept with a probability that rises
steeply with its position. The cost of a choice is the error of a ridge classifier, cross-validated over groups of rows.
Shapes: n rows, D features, K targets.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve
from scipy.special import expit

WOLVES, ROUNDS = 8, 10
LEADERS = 3
STEEPNESS = 10  # of the probability to keep a feature, around 1/2
COST_OF_ALL = 0.01  # weight of the share of features in the cost (as there: 0.99 error + 0.01 share)
FOLDS = 4  # of the groups
RIDGE = 0.01  # in rows of unit variance


def select_features(
    cost: Callable[[np.ndarray], float],
    n_features: int,
    rng: np.random.Generator,
    wolves: int = WOLVES,
    rounds: int = ROUNDS,
) -> np.ndarray:
    """Return the choice (D,) bool with the lowest cost. It is never empty."""
    pack = _not_empty(rng.random((wolves, n_features)) < 0.5, rng)
    leaders: list[tuple[float, np.ndarray]] = []  # cost and choice, the best first
    for done in range(rounds + 1):
        costs = [(cost(wolf), wolf) for wolf in pack]
        leaders = sorted([*leaders, *costs], key=lambda each: each[0])[:LEADERS]  # stable: of equal costs the older
        if done == rounds:
            break
        fading = 2 * (1 - done / rounds)
        towards = np.zeros(pack.shape)
        for _, leader in leaders:
            a = fading * (2 * rng.random(pack.shape) - 1)
            distance = np.abs(2 * rng.random(pack.shape) * leader - pack)
            towards += (leader - a * distance) / len(leaders)
        pack = _not_empty(expit(STEEPNESS * (towards - 0.5)) >= rng.random(pack.shape), rng)
    return leaders[0][1]


def _not_empty(pack: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    empty = np.flatnonzero(~pack.any(axis=1))
    pack[empty, rng.integers(pack.shape[1], size=len(empty))] = True
    return pack


class _Fold(NamedTuple):
    """The part of a fold that does not depend on the choice."""

    gram: np.ndarray  # (D, D) of the rows to learn from, with the ridge
    pull: np.ndarray  # (D, K) of these towards their classes
    middle: np.ndarray  # (D, K) half way between the classes' means: where the decision is 0, whatever their sizes
    test_rows: np.ndarray  # (n_test, D) z-scored like them


def ridge_cost(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, rng: np.random.Generator
) -> Callable[[np.ndarray], float] | None:
    """Return the function that gives the cost of a choice of features, by a ridge classifier on rows x (n, D) and
    labels y (n, K) of 0 and 1.

    Four folds; no group is on both sides of one. The error is that of each class, averaged, so that no class counts for
    more. Targets with one class are left out, and folds with one class on their training side. None if no fold is left.
    """
    high = y[:, [len(np.unique(target)) == 2 for target in y.T]] > 0.5  # (n, K)
    names = rng.permutation(np.unique(groups))  # sorted before, so that the order of the rows does not matter
    folds, truth = [], []
    for held in np.array_split(names, min(FOLDS, len(names))):
        test = np.isin(groups, held)
        if high[~test].any(axis=0).all() and (~high[~test]).any(axis=0).all() and not test.all():
            folds.append(_fold(x[~test], high[~test], x[test]))
            truth.append(high[test])
    labels = np.concatenate(truth) if truth else high[:0]  # (n_test, K)
    if not labels.size or not labels.any(axis=0).all() or labels.all(axis=0).any():
        return None

    def cost(choice: np.ndarray) -> float:
        wrong = np.concatenate([_decision(fold, choice) > 0 for fold in folds]) != labels
        errors = [wrong[labels[:, k] == side, k].mean() for k in range(labels.shape[1]) for side in (False, True)]
        return (1 - COST_OF_ALL) * float(np.mean(errors)) + COST_OF_ALL * float(choice.mean())

    return cost


def _fold(x: np.ndarray, high: np.ndarray, other: np.ndarray) -> _Fold:
    mean, sd = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    sd = np.where(sd > 1e-9, sd, 1)
    z, test_rows = ((each - mean) / sd for each in (x, other))
    gram = z.T @ z + RIDGE * len(z) * np.eye(z.shape[1])
    means = [z.T @ side / side.sum(axis=0) for side in (high, ~high)]  # (D, K) each
    return _Fold(gram, z.T @ (2.0 * high - 1), (means[0] + means[1]) / 2, test_rows.astype(np.float32))


def _decision(fold: _Fold, choice: np.ndarray) -> np.ndarray:
    """Return the decision values (n_test, K), above 0 for the positive class."""
    weights = solve(fold.gram[np.ix_(choice, choice)], fold.pull[choice], assume_a="pos")
    even = (fold.middle[choice] * weights).sum(axis=0)  # (K,)
    return fold.test_rows[:, choice] @ weights.astype(np.float32) - even

"""Predictions tables of K classes and of numbers, drawn from a known skill instead of a system."""

import numpy as np
import pandas as pd


def frame(n_subjects=6, n_trials=10, n_windows=3, folds=5, **columns):
    """The columns that all tasks share: trials of n_windows or one more windows each, whole trials in a fold."""
    windows = [n_windows + t % 2 for t in range(n_trials)]
    rows = pd.DataFrame(
        [(s, t, w) for s in range(n_subjects) for t in range(n_trials) for w in range(windows[t])],
        columns=["s", "t", "window"],
    )
    subject, trial = (rows[c].map("{:02d}".format) for c in ("s", "t"))
    return pd.DataFrame(
        {
            "dataset": "deap", "system": "gbvnet", "modality": "facebio", "target": "emotion", "protocol": "trial",
            "scope": "pooled", "seed": 0, "fold": 1 + rows["t"] % folds, "recording": "s" + subject + "_" + trial,
            "subject": "s" + subject, "trial": trial, "stimulus": trial, "window": rows["window"],
            "start_s": rows["window"].astype(float), "gate_face": np.nan, "gate_bio": 0.25, "config": "abc",
        }
        | columns
    )  # fmt: skip


def trial_number(table):
    return table.groupby(["subject", "trial"]).ngroup().to_numpy()


def multiclass(k=3, *, skill=1.0, seed=0, classes=None, **shape):
    """K classes; predictions know `skill` of the label. classes : those that occur among the labels."""
    rng = np.random.default_rng(seed)
    table = frame(**shape)
    number = trial_number(table)
    y = rng.choice(np.arange(k) if classes is None else classes, number.max() + 1)[number]
    logits = skill * (y[:, None] == np.arange(k)) + rng.normal(size=(len(table), k))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return with_classes(table.assign(rating=np.nan), y, p)


def with_classes(table, y, p, prior=None):
    """A table with labels y, probabilities p (n, K) and priors (K,)."""
    k = p.shape[1]
    prior = np.full(k, 1 / k) if prior is None else prior
    return table.assign(
        y=np.asarray(y, "int16"),
        **{f"p_{i}": p[:, i] for i in range(k)},
        **{f"prior_{i}": float(prior[i]) for i in range(k)},
    )


def regression(*, skill=1.0, seed=0, varying=False, **shape):
    """Ratings of 1 to 9, one a trial or, `varying`, a smooth course within each; predictions know `skill` of them."""
    rng = np.random.default_rng(seed)
    table = frame(**shape)
    number = trial_number(table)
    y = rng.uniform(1, 9, number.max() + 1)[number]
    if varying:
        y = y + smooth(rng, number)
    noise = smooth(rng, number) if varying else rng.normal(size=len(table))
    return with_numbers(table, y, 5 + skill * (y - 5) + noise)


def smooth(rng, number, keep=0.8):
    """Noise in which neighbouring windows of a trial are alike."""
    values = np.zeros(len(number))
    for trial in range(number.max() + 1):
        at = np.flatnonzero(number == trial)
        value = rng.normal()
        for k in at:
            value = keep * value + np.sqrt(1 - keep**2) * rng.normal()
            values[k] = value
    return values


def with_numbers(table, y, y_hat, prior=5.0):
    y = np.asarray(y, float)
    return table.assign(rating=y, y=y, y_hat=np.asarray(y_hat, float), prior=prior)

"""How labels and predictions are read: where a prediction turns positive, when labels have one class only, and labels
permuted as a control. targets.py says which labels there are."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def shuffle_within_subjects(windows: pd.DataFrame, labels: dict[str, pd.Series], seed: int) -> dict[str, pd.Series]:
    """Return the labels with the trials of each subject permuted: what a system then scores is not emotion.

    A subject keeps the number of trials of each class, and all targets are permuted in the same way. A trial's windows
    get the labels of the other trial's windows in their order, the last one again where that trial is shorter.
    """
    trials = windows.drop_duplicates("recording").sort_values(["subject", "recording"])
    rng = np.random.default_rng(seed)
    source: dict[str, str] = {}  # recording -> the recording that its label is taken from
    for _, of_subject in trials.groupby("subject"):
        names = of_subject["recording"].to_numpy(str)
        source |= dict(zip(names, rng.permutation(names), strict=True))
    places = {name: rows.to_numpy() for name, rows in windows.groupby("recording").groups.items()}
    taken = pd.Series(0, windows.index)  # the row that each row's label is taken from
    for name, rows in places.items():
        of_source = places[source[str(name)]]
        taken.loc[rows] = of_source[np.minimum(np.arange(len(rows)), len(of_source) - 1)]
    return {target: pd.Series(y.loc[taken].to_numpy(), windows.index) for target, y in labels.items()}


def predicted_high(p: ArrayLike) -> np.ndarray:
    """Return whether the positive class is predicted, bool: where its probability p is at least one half."""
    return np.asarray(p) >= 0.5


def has_one_class(y: ArrayLike) -> bool:
    """Return whether labels hold a single class: nothing can be learnt from them, and only accuracy is defined."""
    return len(np.unique(np.asarray(y))) < 2

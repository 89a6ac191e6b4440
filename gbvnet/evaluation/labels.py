"""The two classes of a target: which ratings are high (positive), and how labels and predictions are read.

The only place that says what is high, where a prediction turns positive, and when labels have one class only.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

# What each setting `threshold` means, in words.
RULES = {">=5": "rating >= 5", ">5": "rating > 5", "median": "rating above the subject's own median"}
CLASSES = {1: "high", 0: "low"}


def targets_of(target: str) -> tuple[str, ...]:
    """Return the targets that a setting `target` stands for: "both" is valence and arousal."""
    return ("valence", "arousal") if target == "both" else (target,)


def is_high(windows: pd.DataFrame, target: str, threshold: str) -> pd.Series:
    """Return whether each window's rating is high, int8: at least 5, above 5, or above the subject's own median.

    windows : a store's windows, with recording, subject, and the ratings of the target (1 to 9)
    threshold : a key of RULES. The median is over trials, so that a trial counts once however long it is.
    """
    rating = windows[target]
    if threshold == "median":
        trials = windows.drop_duplicates("recording")
        limit = windows["subject"].map(trials.groupby("subject")[target].median())
        return (rating > limit).astype("int8")
    return (rating > 5 if threshold == ">5" else rating >= 5).astype("int8")


def shuffle_within_subjects(windows: pd.DataFrame, high: dict[str, pd.Series], seed: int) -> dict[str, pd.Series]:
    """Return the labels with the trials of each subject permuted: what a system then scores is not emotion.

    A subject keeps the number of high trials, a trial has one label for all its windows, and all targets are permuted
    in the same way.
    """
    trials = windows.drop_duplicates("recording").sort_values(["subject", "recording"])
    rng = np.random.default_rng(seed)
    source: dict[str, str] = {}  # recording -> the recording that its label is taken from
    for _, of_subject in trials.groupby("subject"):
        names = of_subject["recording"].to_numpy(str)
        source |= dict(zip(names, rng.permutation(names), strict=True))
    first = {target: y.groupby(windows["recording"]).first() for target, y in high.items()}
    return {target: windows["recording"].map(source).map(y).astype("int8") for target, y in first.items()}


def predicted_high(p: ArrayLike) -> np.ndarray:
    """Return whether the positive class is predicted, bool: where its probability p is at least one half."""
    return np.asarray(p) >= 0.5


def has_one_class(y: ArrayLike) -> bool:
    """Return whether labels hold a single class: nothing can be learnt from them, and only accuracy is defined."""
    return len(np.unique(np.asarray(y))) < 2

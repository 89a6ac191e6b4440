"""What follows from a store and the settings before anything is trained: which windows, which labels, which folds."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from . import splits
from .config import CrossvalConfig, uses_face, uses_signals
from .errors import BadConfig
from .splits import Fold
from .store import Store

RULES = {">=5": "rating >= 5", ">5": "rating > 5", "median": "rating above the person's own median"}


@dataclass(frozen=True)
class Plan:
    """What follows from store and settings, before anything is trained.

    windows : the store's windows that are scored, under their row numbers
    rating, high : target -> Series over these rows: as the person gave it; 0 or 1
    """

    windows: pd.DataFrame
    rating: dict[str, pd.Series]
    high: dict[str, pd.Series]
    excluded: dict[str, int]  # reason -> windows
    folds: list[Fold]
    findings: tuple[str, ...] = ()  # what a reader of the results must know
    unused: tuple[str, ...] = ()  # settings that had no say in this plan


def make_plan(store: Store, config: CrossvalConfig) -> Plan:
    """Choose the windows to score, label them, and split them. Raises BadConfig or LeakySplit."""
    plan = make_unsplit(store, config)
    classes = sum(2**i * y.to_numpy(int) for i, y in enumerate(plan.high.values()))
    folds = splits.make_folds(plan.windows, config, np.asarray(classes) if config.stratify else None)
    return replace(plan, folds=folds)


def make_unsplit(store: Store, config: CrossvalConfig) -> Plan:
    """The plan without its folds: which windows, and their labels. Raises BadConfig."""
    _require_modality(store, config)
    windows, excluded = choose_windows(store, config)
    rating = {target: windows[target] for target in targets_of(config)}
    high = {target: is_high(windows, target, config.threshold) for target in rating}
    if config.shuffle_labels is not None:
        high = shuffled(windows, high, config.shuffle_labels)
    return Plan(windows, rating, high, excluded, [])


def targets_of(config: CrossvalConfig) -> tuple[str, ...]:
    return ("valence", "arousal") if config.target == "both" else (config.target,)


def is_high(windows: pd.DataFrame, target: str, threshold: str) -> pd.Series:
    """Whether each window's rating is high, int8: at least 5, above 5, or above the person's own median over trials."""
    rating = windows[target]
    if threshold == "median":
        trials = windows.drop_duplicates("recording")
        limit = windows["subject"].map(trials.groupby("subject")[target].median())
        return (rating > limit).astype("int8")
    return (rating > 5 if threshold == ">5" else rating >= 5).astype("int8")


def shuffled(windows: pd.DataFrame, high: dict[str, pd.Series], seed: int) -> dict[str, pd.Series]:
    """The labels dealt anew among each person's trials: a person keeps how many are high, a trial one label for all its
    windows, and all targets move together. What a system then scores is not emotion."""
    trials = windows.drop_duplicates("recording").sort_values(["subject", "recording"])
    rng = np.random.default_rng(seed)
    donor: dict[str, str] = {}
    for _, of_person in trials.groupby("subject"):
        names = of_person["recording"].to_numpy(str)
        donor |= dict(zip(names, rng.permutation(names), strict=True))
    first = {target: y.groupby(windows["recording"]).first() for target, y in high.items()}
    return {target: windows["recording"].map(donor).map(y).astype("int8") for target, y in first.items()}


def _require_modality(store: Store, config: CrossvalConfig) -> None:
    made = store.settings["prepare"]
    for used, name in ((uses_face(config.modality), "faces"), (uses_signals(config.modality), "signals")):
        if used and not made[name]:
            raise BadConfig(
                f"modality {config.modality} needs {name}, and {store.path} was prepared without; "
                "choose another modality or prepare another store"
            )


def choose_windows(store: Store, config: CrossvalConfig) -> tuple[pd.DataFrame, dict[str, int]]:
    """The windows to score, and how many were left out for which reason.

    complete : those with every modality that the store was made for, whatever this system uses, so that all systems
        are scored on the same ones. any : those with at least one of the modalities that it uses.
    """
    windows, made = store.windows, store.settings["prepare"]
    reasons: dict[str, pd.Series] = {}
    if config.subjects is not None:
        unknown = sorted(set(config.subjects) - set(windows["subject"]))
        if unknown:
            have = ", ".join(sorted(set(windows["subject"])))
            raise BadConfig(f"subjects: {store.path} has no {', '.join(unknown)}; it has {have}")
        reasons["another person than those chosen"] = ~windows["subject"].isin(config.subjects)
    if config.rows == "complete":
        reasons |= {
            f"no {name}": ~windows[f"has_{name}"]
            for name, key in (("face", "faces"), ("signals", "signals"))
            if made[key]
        }
    else:
        used = [
            c
            for c, on in (("has_face", uses_face(config.modality)), ("has_signals", uses_signals(config.modality)))
            if on
        ]
        reasons[f"nothing of modality {config.modality}"] = ~windows[used].any(axis=1)
    reasons |= {f"no rating of {target}": windows[target].isna() for target in targets_of(config)}
    left, excluded = pd.Series(True, windows.index), {}
    for reason, out in reasons.items():
        count = int((left & out).sum())
        if count:
            excluded[reason] = count
        left &= ~out
    if not left.any():
        why = "; ".join(f"{n} have {reason}" for reason, n in excluded.items())
        raise BadConfig(f"{store.path}: none of its {len(windows)} windows can be scored: {why}")
    return windows[left], excluded

"""The plan of a cross-validation: which windows, which labels, which folds. Nothing is trained for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..config import CrossvalConfig, is_transductive, to_dict, uses_face, uses_signals
from ..datasets.duplicates import same_windows
from ..datasets.names import alike, alike_in_words, key, visible
from ..errors import BadConfig
from ..provenance import TRANSDUCTIVE
from ..store.window_source import WindowSource
from . import splits
from .confounds import confounds
from .labels import shuffle_within_subjects
from .lags import lagged_windows
from .splits import PLURAL, Fold
from .targets import BOTH, Target, resolve, target_columns, targets_of

PARTS = ("face", "signals")
OTHERS = "another subject than those chosen"  # a reason to leave windows out
LISTED = 40  # names of a store that a message lists at most


@dataclass(frozen=True)
class Plan:
    """The windows, labels and folds that follow from store and settings, before anything is trained.

    windows : the store's windows that are scored, under their row numbers
    targets : what is predicted, by name
    rating, labels : target -> Series over these rows: the rating (NaN where there is none, as of categories); the
        number of the class (int8), or the rating itself
    """

    windows: pd.DataFrame
    targets: dict[str, Target]
    rating: dict[str, pd.Series]
    labels: dict[str, pd.Series]
    excluded: dict[str, int]  # reason -> windows
    folds: list[Fold]
    warnings: tuple[str, ...] = ()  # what a reader of the results must know
    unused: tuple[str, ...] = ()  # settings that have no effect on this plan
    by_lag: dict[float, "Labels"] = field(default_factory=dict)  # of labels that change in time, by their lag
    lags: dict[int, float] = field(default_factory=dict)  # number of a fold -> the lag that its training side gave

    def labels_of(self, fold: Fold) -> "Labels":
        """Return ratings and labels as a fold has them: at the lag that its training side gave, if it gave one."""
        lag = self.lags.get(fold.number)
        return Labels(self.rating, self.labels) if lag is None else self.by_lag[lag]


class Labels(NamedTuple):
    """Ratings and labels of all targets, as in a `Plan`."""

    rating: dict[str, pd.Series]
    labels: dict[str, pd.Series]


def make_plan(store: WindowSource, config: CrossvalConfig) -> Plan:
    """Choose the windows to score, label them, and split them. Raises BadConfig or LeakySplit."""
    plan = make_plan_without_folds(store, config)
    if config.stratify and any(target.task == "regression" for target in plan.targets.values()):
        raise BadConfig("stratify balances classes, and task regression has none: leave stratify out")
    classes = np.zeros(len(plan.windows), int)  # of all targets together
    for name, target in reversed(plan.targets.items()):
        classes = classes * len(target.classes) + plan.labels[name].to_numpy(int)
    folds = splits.make_folds(plan.windows, config, classes if config.stratify else None)
    return replace(plan, folds=folds)


def make_plan_without_folds(store: WindowSource, config: CrossvalConfig) -> Plan:
    """Return the plan without its folds: which windows, and their labels. Raises BadConfig."""
    _require_modality(store, config)
    config = resolve(config, store)
    targets = targets_of(config, store)
    windows, excluded = choose_windows(store, config)
    at_lags = lagged_windows(store, windows, config, excluded)
    by_lag = {}
    for lag_s, table in at_lags.items():  # their windows are the same
        windows, labels = _labelled(table, targets, excluded, store)
        if config.shuffle_labels is not None:
            labels = shuffle_within_subjects(windows, labels, config.shuffle_labels)
        by_lag[lag_s] = Labels({target.name: _rating(windows, target) for target in targets}, labels)
    first = next(iter(by_lag.values()))
    scaling = (TRANSDUCTIVE,) if is_transductive(config.modality, to_dict(config)) else ()
    warnings = (*data_warnings(store, windows, first.labels, config), *scaling)
    names = {target.name: target for target in targets}
    return Plan(windows, names, *first, excluded, [], warnings, by_lag=by_lag if config.lag_s == "search" else {})


def _labelled(
    windows: pd.DataFrame, targets: Sequence[Target], excluded: dict[str, int], store: WindowSource
) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """Return the windows to which all rules give a label, and their labels; the others are added to `excluded`.

    Raises BadConfig if none is left.
    """
    values = {target.name: target.values(windows) for target in targets}
    for target in targets:
        out = values[target.name].isna()
        if out.any():
            reason = f"a rating of {target.name} between the classes of rule {target.rule}"
            excluded[reason] = int(out.sum())
            windows = windows[~out]
            values = {name: y[~out] for name, y in values.items()}
        if windows.empty:
            raise BadConfig(f"{store.path}: rule {target.rule} leaves no window of {target.name} with a class")
    is_class = {target.name: target.task != "regression" for target in targets}
    return windows, {name: y.astype("int8") if is_class[name] else y for name, y in values.items()}


def _rating(windows: pd.DataFrame, target: Target) -> pd.Series:
    """The rating that a target is made from, float64; NaN where it is made from two, or from categories."""
    if len(target.columns) > 1 or target.rule == "classes":
        return pd.Series(np.nan, windows.index)
    return windows[target.columns[0]]


def data_warnings(
    store: WindowSource, windows: pd.DataFrame, labels: dict[str, pd.Series], config: CrossvalConfig
) -> Iterator[str]:
    """Yield warnings about names that may be one, windows that are in the store twice, and confounded classes."""
    used = store.recordings[store.recordings["recording"].isin(windows["recording"].unique())]
    for unit in ("subject", "stimulus") if "stimulus" in config.protocol else ("subject",):
        groups = alike(map(str, windows[unit].unique()))
        if groups:
            consequence = "may be on both sides" if unit in config.protocol else "count as several"
            yield f"{PLURAL[unit]} {alike_in_words(unit, groups)}, and {consequence}"
    yield from same_windows(used)
    if config.shuffle_labels is None:
        classes = {target.name: target.classes for target in targets_of(config, store)}
        for target, y in labels.items():
            if classes[target]:
                yield from confounds(used, y.groupby(windows["recording"]).first(), target, classes[target])


def _require_modality(store: WindowSource, config: CrossvalConfig) -> None:
    """Raise BadConfig for a modality that the store lacks; under `rows any`, only if it was prepared without."""
    made = store.settings["prepare"]
    if config.rows == "complete" or not (made["faces"] and made["signals"]):
        require_parts(store, config.modality, _advice(store, config))


def require_parts(store: WindowSource, modality: str, advice: str = "") -> None:
    """Raise BadConfig if no window of the store has a face, or signals, where the modality has them."""
    for part in PARTS:
        lacks = _lacks(store, part) if _uses(modality, part) else None
        if lacks:
            what = "faces" if part == "face" else part
            raise BadConfig(f"modality {modality} needs {what}, and {lacks}{advice}")


def _lacks(store: WindowSource, part: str) -> str | None:
    """Why a store has nothing of "face" or "signals" at all, or None if it has."""
    if not store.settings["prepare"][{"face": "faces"}.get(part, part)]:
        return f"{store.path} was prepared without"
    return None if store.has(part) else f"no window of {store.path} has {'one' if part == 'face' else 'any'}"


def choose_windows(store: WindowSource, config: CrossvalConfig) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the windows to score, and how many were left out for which reason.

    complete : those with every modality that the store has, whatever this system uses, so that all systems and
        modalities are scored on the same ones. A modality that no window has is none of the store's.
    any : those with at least one of the modalities that it uses.

    Raises BadConfig, with the options that would leave some, if none is left.
    """
    windows = store.windows
    if config.subjects is not None:
        require_known(store, "subject", config.subjects, "subjects")
    left, excluded = pd.Series(True, windows.index), {}
    for reason, out in _reasons(store, config.subjects, config.target, config.modality, config.rows).items():
        count = int((left & out).sum())
        if count:
            excluded[reason] = count
        left &= ~out
    if not left.any():
        why = "; ".join(f"{n} have {reason}" for reason, n in excluded.items())
        raise BadConfig(
            f"{store.path}: none of its {len(windows)} windows can be scored: {why}{_advice(store, config)}"
        )
    return windows[left], excluded


def _reasons(
    store: WindowSource, subjects: tuple[str, ...] | None, target: str, modality: str, rows: str
) -> dict[str, pd.Series]:
    """Reason -> (n,) bool, which windows it leaves out under these settings."""
    windows = store.windows
    reasons: dict[str, pd.Series] = {}
    if subjects is not None:
        reasons[OTHERS] = ~windows["subject"].isin(subjects)
    if rows == "complete":
        reasons |= {f"no {part}": ~windows[f"has_{part}"] for part in PARTS if not _lacks(store, part)}
    else:
        used = [f"has_{part}" for part in PARTS if _uses(modality, part)]
        reasons[f"nothing of modality {modality}"] = ~windows[used].any(axis=1)
    columns = [name for name in target_columns(target) if not store.labels[name].trace]
    return reasons | {f"no rating of {name}": windows[name].isna() | (windows[name] == "") for name in columns}


def require_known(store: WindowSource, unit: str, names: Sequence[str], setting: str) -> None:
    """Raise BadConfig for names of subjects or recordings that the store does not have, with those it has.

    unit : "subject" or "recording". setting : the option that the names were given by
    """
    have = sorted(set(store.windows[unit]))
    unknown = sorted(set(names) - set(have))
    if not unknown:
        return
    near = [one for name in unknown for one in have if key(one) == key(name)]
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    more = f" and {len(have) - LISTED} more" if len(have) > LISTED else ""
    names_it_has = f"{', '.join(map(visible, have[:LISTED]))}{more}{hint}"
    raise BadConfig(f"{setting}: {store.path} has no {unit} {', '.join(map(visible, unknown))}; it has {names_it_has}")


def _advice(store: WindowSource, config: CrossvalConfig) -> str:
    """The fewest options that would leave windows to score, as ". Add --modality eeg --target valence"; or nothing."""
    kinds = {kind for _, kind in store.settings["channels"]}
    signals = "eeg" if kinds == {"eeg"} else "bio"
    current = (config.target, config.modality, config.rows)
    targets = tuple(dict.fromkeys((config.target, *(name for name in BOTH if name in store.labels))))
    tried = list(product(targets, (config.modality, signals, "face"), (config.rows, "any")))

    def changes(one: tuple[str, ...]) -> list[tuple[str, str]]:
        named = zip(("target", "modality", "rows"), one, current, strict=True)
        return [(name, value) for name, value, was in named if value != was]

    for one in sorted(tried, key=lambda one: len(changes(one))):
        target, modality, rows = one
        if any(_uses(modality, part) and _lacks(store, part) for part in PARTS):
            continue
        out = _reasons(store, config.subjects, target, modality, rows).values()
        if not np.logical_or.reduce([np.asarray(each, bool) for each in out]).all():
            return ". Add " + " ".join(f"--{name} {value}" for name, value in changes(one)) if changes(one) else ""
    return ""


def _uses(modality: str, part: str) -> bool:
    return uses_face(modality) if part == "face" else uses_signals(modality)

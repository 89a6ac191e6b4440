"""Which windows are trained on, validated on and tested on.

Sees only columns of names (and labels, if asked to balance them), never a signal or a face. A split is made of groups:
trials, stimuli or subjects. Windows of one trial look alike and share its label, so a split between them tests on what
was trained on; protocol `window`, which does so, is there because papers report it, and is labelled leaky everywhere.

Group names, as they stand in splits.json and in the fixed folds:
    window  s01/05/12   subject/trial/window        stimulus  07
    trial   s01/05      subject/trial               subject   s01
"""

import hashlib
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from ..config import SplitConfig
from ..errors import BadConfig, BadInput, LeakySplit
from ..io.safe_load import from_json

log = logging.getLogger(__name__)

# What may not be on two sides, by protocol.
UNITS: dict[str, tuple[str, ...]] = {
    "window": ("window",),
    "trial": ("trial",),
    "stimulus": ("stimulus",),
    "subject": ("subject",),
    "subject+stimulus": ("subject", "stimulus"),
}
_COLUMNS = {  # that a group's name is made of
    "window": ("subject", "trial", "window"),
    "trial": ("subject", "trial"),
    "stimulus": ("stimulus",),
    "subject": ("subject",),
}
PLURAL = {"window": "windows", "trial": "trials", "stimulus": "stimuli", "subject": "subjects"}


@dataclass(frozen=True, eq=False)
class Fold:
    """One split of the windows. The three sides are sorted int64 row numbers (the index of the windows table).

    A row may be on no side: another subject's under scope per-subject, or, under subject+stimulus, one whose subject
    is on one side and whose stimulus is on another.
    """

    number: int  # from 1; unique in a run
    name: str  # the subject, under scope per-subject; else ""
    train: np.ndarray
    validation: np.ndarray  # kept back from the training groups, to choose the epoch
    test: np.ndarray
    validation_protocol: str | None = None
    """what the validation side may not share with the training side, where that is less than for the test side"""

    @property
    def sides(self) -> dict[str, np.ndarray]:
        """The rows by the name of their side."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class _Groups:
    """One unit's groups among n rows: which group each row belongs to, and which fold tests each group."""

    unit: str
    names: list[str]  # sorted
    strata: list[str]  # over which folds are spread evenly: each trial's subject, for other units all the same
    of_row: np.ndarray  # (n,) int, into names


def make_folds(windows: pd.DataFrame, split: SplitConfig, labels: np.ndarray | None = None) -> list[Fold]:
    """Split windows into folds; each group is tested once.

    windows : one row a window, with columns subject, trial, stimulus (str) and window (int); its index are the row
        numbers that the folds speak of. May be a selection of a store's rows, in any order.
    split : protocol, scope, number of folds, seed. Only these and the group names decide, not the order of files,
        of rows, or of Python's hashes.
    labels : (n,) the class of each row of `windows`: needed, and used, only if `split.stratify`.

    Folds have equally many groups (to 1), under protocol trial also of each subject. Under subject+stimulus, fold i
    tests its subjects' trials with its stimuli and trains on rows of neither: k folds test each subject and each
    stimulus once, but only 1 / k of the rows.

    The validation side is a share `split.validation` of the training groups, at least one, and obeys the same protocol.
    Under subject+stimulus it is that share of the training subjects with that share of the training stimuli; rows of a
    validation subject with a training stimulus, or the other way round, are dropped. It is drawn without labels.

    Raises LeakySplit if there are too few groups, BadConfig if settings and table do not fit each other.
    """
    if not len(windows):
        raise BadConfig("no windows to split: no row of the store is left")
    if split.stratify and labels is None:
        raise BadConfig("stratify balances labels over the folds, and no labels were given")
    labels = None if labels is None else np.asarray(labels)
    folds: list[Fold] = []
    if split.scope == "per-subject":
        subjects = _group(windows, "subject")
        of_subject = np.split(np.argsort(subjects.of_row, kind="stable"), np.bincount(subjects.of_row).cumsum()[:-1])
        for name, at in zip(subjects.names, of_subject, strict=True):
            folds += _folds_of(windows.iloc[at], split, None if labels is None else labels[at], name, len(folds))
    else:
        folds = _folds_of(windows, split, labels, "", 0)
    groups = [_group(windows, unit) for unit in UNITS[split.protocol]]
    for fold in folds:
        _refuse_shared(groups, windows.index, fold.sides, fold.number, split.protocol)
    return folds


def hold_out(windows: pd.DataFrame, test: np.ndarray, split: SplitConfig) -> Fold:
    """Return the one fold that tests given rows and trains on all others, as on one corpus for another.

    windows : as in `make_folds`
    test : (n,) bool, which of them are tested
    split : protocol, which the given rows may not break; validation, seed

    The validation side is a share `split.validation` of the training *trials*, whatever the protocol: what is
    tested is given, and all subjects and stimuli of the other corpus may be trained on.

    Raises LeakySplit if the rows given break the protocol.
    """
    groups, rows = _group(windows, "trial"), windows.index.to_numpy(np.int64)
    validation = _validation_rows(groups, ~test, split, "hold out", 1)
    train, kept, tested = (np.sort(rows[at]) for at in (~test & ~validation, validation & ~test, test))
    fold = Fold(1, "", train, kept, tested, validation_protocol="trial")
    check_fold(windows, fold, split.protocol)
    return fold


def train_validation_split(windows: pd.DataFrame, split: SplitConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return row numbers to train on, and row numbers to choose the epoch by, for a model that is not tested here.

    The second are a share `split.validation` of the protocol's groups. Raises LeakySplit if there are too few groups.
    """
    rows = windows.index.to_numpy(np.int64)
    groups = [_group(windows, unit) for unit in UNITS[split.protocol]]
    validation = [_validation_rows(g, np.ones(len(rows), bool), split, "all", 1) for g in groups]
    kept, others = np.logical_and.reduce(validation), ~np.logical_or.reduce(validation)
    for what, at in {"train on": others, "choose the epoch by": kept}.items():
        if not at.any():
            raise LeakySplit(
                f"no window is left to {what} under protocol {split.protocol} with a share of {split.validation:g} of "
                f"{_counts(groups)} kept back; keep back less or use another protocol"
            )
    return np.sort(rows[others]), np.sort(rows[kept])


def check_fold(windows: pd.DataFrame, fold: Fold, protocol: str) -> None:
    """Raise LeakySplit if any group of the protocol is on two sides of the fold, and name it.

    Called by training itself, on the rows that it is about to use, whatever made the fold.
    """
    checks = {protocol: fold.sides}
    if fold.validation_protocol is not None:
        checks = {
            protocol: {"training": np.concatenate([fold.train, fold.validation]), "test": fold.test},
            fold.validation_protocol: {"training": fold.train, "validation": fold.validation},
        }
    for name, sides in checks.items():
        groups = [_group(windows, unit) for unit in UNITS[name]]
        _refuse_shared(groups, windows.index, sides, fold.number, name)


def _refuse_shared(
    groups: list[_Groups], index: pd.Index, sides: dict[str, np.ndarray], number: int, protocol: str
) -> None:
    for units in groups:
        of_row, on = pd.Series(units.of_row, index), {}
        for side, rows in sides.items():
            on[side] = np.zeros(len(units.names), bool)
            on[side][of_row.loc[rows].to_numpy()] = True
        for one, other in combinations(on, 2):
            shared = [units.names[k] for k in np.flatnonzero(on[one] & on[other]).tolist()]
            if shared:
                what = units.unit if len(shared) == 1 else PLURAL[units.unit]
                more = f" and {len(shared) - 5} more" if len(shared) > 5 else ""
                raise LeakySplit(
                    f"fold {number} breaks protocol {protocol}: {what} {', '.join(shared[:5])}{more} "
                    f"on both the {one} and the {other} side"
                )


def names(windows: pd.DataFrame, fold: Fold, protocol: str) -> dict[str, list[str]]:
    """Return the group names on each side of a fold, sorted, for splits.json: no name may be on two sides.

    Where a protocol has two units, each name says which: "subject s01", "stimulus 07".
    """
    of_side = dict.fromkeys(fold.sides, protocol) | {"validation": fold.validation_protocol or protocol}
    in_file = {side: side for side in fold.sides} | {"validation": "inner"}  # splits.json keeps its first key
    return {in_file[side]: _names_of(windows.loc[rows], of_side[side]) for side, rows in fold.sides.items()}


def _names_of(windows: pd.DataFrame, protocol: str) -> list[str]:
    units = UNITS[protocol]
    tables = {f"{unit} " if len(units) > 1 else "": group_names(windows, unit) for unit in units}
    return [prefix + name for prefix, table in tables.items() for name in sorted(set(table))]


def group_names(windows: pd.DataFrame, unit: str) -> pd.Series:
    """Return the name of each row's group, as listed at the top of this file, under the table's own index."""
    if unit in ("subject", "stimulus"):
        return windows[unit].astype(str)
    trial = windows["subject"].astype(str) + "/" + windows["trial"].astype(str)
    return trial if unit == "trial" else trial + "/" + windows["window"].astype(str)


def _folds_of(
    windows: pd.DataFrame, split: SplitConfig, labels: np.ndarray | None, name: str, before: int
) -> list[Fold]:
    """The folds of all subjects together, or of the one called `name`, numbered from `before` + 1."""
    rows = windows.index.to_numpy(np.int64)
    groups = [_group(windows, unit) for unit in UNITS[split.protocol]]
    if split.fixed:
        fixed = fixed_folds(split.fixed)
        tested = [_fixed_parts(windows, unit, fixed, split) for unit in UNITS[split.protocol]]  # (n,) tests each row
    else:
        for g in groups:
            _require_enough(g, split, name)
        tested = [_parts(g, split, labels, name) for g in groups]
    folds = []
    for part in range(split.folds):
        test = np.logical_and.reduce([t == part for t in tested])
        others = np.logical_and.reduce([t != part for t in tested])
        if split.fixed and not test.any():
            log.info("fold %d of %s tests nobody in this store", part + 1, split.fixed)
            continue
        number = before + part + 1
        salt = f"{name}/{part}"
        validation = [_validation_rows(g, others, split, salt, number) for g in groups]  # by unit: (n,) bool
        sides = {
            "train": others & ~np.logical_or.reduce(validation),
            "validation": others & np.logical_and.reduce(validation),
            "test": test,
        }
        for side, at in sides.items():
            if not at.any():
                raise LeakySplit(
                    f"fold {number} has no windows on its {side} side under protocol {split.protocol} with "
                    f"{split.folds} folds over {_counts(groups)}; use fewer folds or another protocol"
                )
        train_rows, validation_rows, test_rows = (np.sort(rows[at]) for at in sides.values())
        folds.append(Fold(number, name, train_rows, validation_rows, test_rows))
    return folds


def _group(windows: pd.DataFrame, unit: str) -> _Groups:
    """The groups of a unit. Texts are made and sorted once a group, not once a row: there may be ten million rows."""
    code, first = _distinct(windows, _COLUMNS[unit])
    names, earliest, of_code = np.unique(
        group_names(windows.iloc[first], unit).to_numpy(str), return_index=True, return_inverse=True
    )
    subjects = windows["subject"].iloc[first[earliest]].astype(str).tolist() if unit == "trial" else [""] * len(names)
    return _Groups(unit, names.tolist(), subjects, of_code[code])


def _distinct(windows: pd.DataFrame, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Number the distinct combinations of some columns in the order in which they come.

    Returns the number of each row's, (n,), and the first row of each, (k,).
    """
    code: np.ndarray = np.zeros(len(windows), np.int64)
    for column in columns:
        of_column, values = pd.factorize(windows[column], use_na_sentinel=False)
        code, _ = pd.factorize(code * len(values) + of_column)
    first = np.empty(code.max(initial=-1) + 1, np.int64)
    first[code[::-1]] = np.arange(len(code))[::-1]
    return code, first


def _parts(groups: _Groups, split: SplitConfig, labels: np.ndarray | None, name: str) -> np.ndarray:
    """(n,) which fold tests each row, 0 to k - 1: the shuffled groups are assigned in turn."""
    if split.stratify and labels is not None:
        return _stratified_parts(groups, split, labels, name)
    shuffled = _shuffled(groups, range(len(groups.names)), f"{split.seed}/folds/{name}")
    part = np.empty(len(groups.names), int)
    part[shuffled] = np.arange(len(shuffled)) % split.folds
    return part[groups.of_row]


def _stratified_parts(groups: _Groups, split: SplitConfig, labels: np.ndarray, name: str) -> np.ndarray:
    """As `_parts`, balancing the classes of `labels` over the folds (scikit-learn's way)."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    order = np.argsort(groups.of_row, kind="stable")  # by name: the order of the table must not matter
    of_row, labels = groups.of_row[order], labels[order]
    count = Counter(labels.tolist())
    if max(count.values()) < split.folds:
        raise BadConfig(
            f"stratify needs {split.folds} windows of one class for {split.folds} folds; found {dict(count)}"
        )
    kind = StratifiedKFold if groups.unit == "window" else StratifiedGroupKFold
    seed = _number(f"{split.seed}/stratify/{groups.unit}/{name}") % 2**32
    splits = kind(split.folds, shuffle=True, random_state=seed)
    part = np.empty(len(of_row), int)
    with warnings.catch_warnings():  # a rare class cannot be in every fold; the run's class counts show it
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        of_group = None if groups.unit == "window" else of_row
        for number, (_, test) in enumerate(splits.split(of_row, labels, of_group)):
            part[order[test]] = number
    return part


def _validation_rows(groups: _Groups, others: np.ndarray, split: SplitConfig, salt: str, number: int) -> np.ndarray:
    """(n,) bool, rows of the validation groups: every so many of the shuffled groups that the rows `others` have."""
    left = _shuffled(groups, np.flatnonzero(np.bincount(groups.of_row[others])), f"{split.seed}/inner/{salt}")
    if len(left) < 2:
        raise LeakySplit(
            f"fold {number} has {_count(len(left), groups.unit)} left to train on, and 2 are needed, since one is kept "
            f"back for the choice of the epoch; the {split.folds} folds are made of {_counts([groups])}"
        )
    kept = min(max(1, round(split.validation * len(left))), len(left) - 1)
    at = (np.arange(kept) + 0.5) * len(left) / kept  # evenly spaced, and so spread over the subjects
    chosen = np.zeros(len(groups.names), bool)
    chosen[left[at.astype(int)]] = True
    return chosen[groups.of_row]


def _require_enough(groups: _Groups, split: SplitConfig, name: str) -> None:
    if len(groups.names) < split.folds:
        of_subject = f"of subject {name} " if name else ""
        raise LeakySplit(
            f"{split.folds} folds need at least {split.folds} {PLURAL[groups.unit]}; the windows {of_subject}to score "
            f"have {_counts([groups])}. Use fewer folds or more data"
        )


def _counts(groups: Iterable[_Groups]) -> str:
    return " and ".join(_count(len(g.names), g.unit) for g in groups)


def _count(n: int, unit: str) -> str:
    return f"{n} {unit if n == 1 else PLURAL[unit]}"


def _shuffled(groups: _Groups, which: Iterable[int], salt: str) -> np.ndarray:
    """The groups in random order, but one stratum after the other.

    Sorting by a hash of salt and name shuffles, and does not depend on the order given, on Python's or NumPy's
    version, or on which other groups there are.
    """
    at = np.fromiter(which, np.int64)
    of_stratum = {s: _number(f"{salt}/{groups.unit}/stratum {s}") for s in set(groups.strata)}
    prefix, names, strata = f"{salt}/{groups.unit}/", groups.names, groups.strata
    # The `_number` of each, for millions of windows as one array.
    numbers = np.frombuffer(b"".join([_digest(prefix + names[g]) for g in at.tolist()]), ">u8")
    stratum = np.array([of_stratum[strata[g]] for g in at.tolist()], np.uint64)
    return at[np.lexsort((at, numbers, stratum))]  # names are sorted, so their places are in their order


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]


def _number(text: str) -> int:
    return int.from_bytes(_digest(text), "big")


# Fixed folds: the same for everybody, so that results in different papers can be compared.


@dataclass(frozen=True)
class FixedFolds:
    """Folds by name: unit -> fold -> names.

    trial_by : the column that, after the subject's name, names a trial: `trial`, or `stimulus` for a corpus in which
        nobody sees a stimulus twice and trials have no number of their own
    """

    parts: dict[str, list[list[str]]]
    trial_by: str = "trial"


def fixed_folds(name: str) -> FixedFolds:
    """Load fixed folds: those shipped as `name`, or a JSON file of the same layout. Raises BadInput."""
    shipped = resources.files("gbvnet.recipes.folds")
    known = sorted(f.name.removesuffix(".json") for f in shipped.iterdir() if f.name.endswith(".json"))
    file = shipped / f"{name}.json" if name in known else Path(name)
    try:
        held = from_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            name,
            "the name of fixed folds or a JSON file",
            f"neither ({error.strerror})",
            f"Shipped: {', '.join(known)}.",
        ) from None
    except ValueError as error:
        raise BadInput(name, "fixed folds as JSON", f"text that is not JSON ({error})") from None
    if not isinstance(held, dict):
        raise BadInput(name, "folds under trial, stimulus and subject", type(held).__name__)
    folds: dict[str, list[list[str]]] = {}
    if held.get("trial_by", "trial") not in ("trial", "stimulus"):
        raise BadInput(name, "trial_by to be trial or stimulus", repr(held["trial_by"]))
    for unit in ("trial", "stimulus", "subject"):
        parts = held.get(unit)
        if not (isinstance(parts, list) and all(isinstance(p, list) for p in parts)):
            raise BadInput(name, f"a list of folds under {unit!r}, each a list of names", type(parts).__name__)
        odd = [n for part in parts for n in part if isinstance(n, bool) or not isinstance(n, str | int)]
        if odd:
            raise BadInput(name, f"names under {unit!r} that are text or whole numbers", f"{odd[0]!r:.100}")
        texts = [[str(n) for n in part] for part in parts]
        plain = Counter(_plain(n) for part in texts for n in part)  # 01 and 1 are one name, as where they are looked up
        twice = [n for part in texts for n in part if plain[_plain(n)] > 1]
        if twice:
            alike = " and ".join(dict.fromkeys(n for n in twice if _plain(n) == _plain(twice[0])))
            raise BadInput(name, f"each {unit} in one fold", f"{alike} in several")
        folds[unit] = texts
    return FixedFolds(folds, held.get("trial_by", "trial"))


def _fixed_parts(windows: pd.DataFrame, unit: str, fixed: FixedFolds, split: SplitConfig) -> np.ndarray:
    """(n,) which fold tests each row, as a fixed file says. Names may differ in leading zeros."""
    named = windows.assign(trial=windows[fixed.trial_by]) if unit == "trial" else windows
    groups, parts = _group(named, unit), fixed.parts[unit]
    if len(parts) != split.folds:
        raise BadConfig(f"fixed folds {split.fixed} are {len(parts)} and the setting folds is {split.folds}: set it so")
    part_of = {_plain(name): number for number, part in enumerate(parts) for name in part}
    unknown = [name for name in groups.names if _plain(name) not in part_of]
    if unknown:
        raise BadConfig(
            f"fixed folds {split.fixed} do not name {groups.unit} {unknown[0]} ({len(unknown)} of {_counts([groups])} "
            "of this store); they are made for another corpus"
        )
    return np.array([part_of[_plain(name)] for name in groups.names])[groups.of_row]


def _plain(name: str) -> str:
    return re.sub(r"0*(\d+)", r"\1", name)


def assign_round_robin(
    names: Sequence[str], strata: Sequence[str], unit: str, salt: str, folds: int = 10
) -> list[list[str]]:
    """Return names by fold, each stratum spread evenly, from names and salt alone: how the shipped folds were made."""
    groups = _Groups(unit, list(names), list(strata), np.arange(len(names)))
    part = _parts(groups, SplitConfig(folds=folds, seed=0), None, salt)
    return [[n for n, p in zip(names, part, strict=True) if p == fold] for fold in range(folds)]

"""Anybody's split, checked for leaks: who is on both sides, from names alone.

Read are: gbvnet's splits.json and predictions tables; a JSON file of folds with a list of names a side; a table (CSV,
TSV, Parquet) with a row a window and columns subject, trial (or recording), fold, and, unless each row is listed in
the fold that tests it and all others train, the side that it is on.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from .errors import BadInput
from .notation import from_json
from .predictions import KEYS
from .splits import PLURAL
from .summary import listed

UNITS = ("window", "trial", "stimulus", "subject")
# What others call a column, and a side.
COLUMNS = {
    "subject": ("subject", "subject_id", "participant", "participant_id", "person"),
    "trial": ("trial", "trial_id", "recording", "session", "clip_id"),
    "stimulus": ("stimulus", "stimulus_id", "experiment_id", "video", "video_id", "clip"),
    "window": ("window", "window_id", "segment", "segment_id", "sample"),
    "fold": ("fold", "fold_id", "split_id"),
    "side": ("side", "split", "set", "subset", "phase"),
}
SIDES = {
    "train": ("train", "training"),
    "inner": ("inner", "val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval"),
}
_FORMS = (
    'Give splits.json, a predictions table, JSON like {"folds": [{"train": ["s01/05/12", ...], "test": [...]}]} '
    "with names subject/trial/window or subject/trial, or a table with columns subject, trial, fold and side."
)  # fmt: skip


@dataclass(frozen=True)
class Shared:
    """How many groups of a unit are on the test side and on another side of one and the same fold."""

    unit: str
    groups: int  # tested at all
    train: int  # of them, also trained on
    inner: int  # of them, also on the validation side
    folds: int  # folds with any of them on both training and test side


@dataclass(frozen=True)
class Checked:
    """What a split does. `leaks`: trials, or windows themselves, are trained and tested on; or chosen by the test."""

    title: str
    folds: int
    shared: tuple[Shared, ...]
    validates_on_test: bool

    @property
    def leaks(self) -> bool:
        return self.validates_on_test or any(s.train for s in self.shared if s.unit in ("window", "trial"))

    def __str__(self) -> str:
        return "\n".join([self.title, *(f"  {line}" for line in self._lines()), self.verdict])

    def _lines(self) -> Iterator[str]:
        for s in self.shared:
            on_both = f"{s.train:,} of {s.groups:,} tested {PLURAL[s.unit]} are also trained on"
            where = f", in {s.folds} of {self.folds} folds" if s.train else ""
            inner = f"; {s.inner:,} are also on the validation side" if s.inner else ""
            yield f"{s.unit:<9} {on_both}{where}{inner}"

    @property
    def verdict(self) -> str:
        by_unit = {s.unit: s for s in self.shared}
        if self.leaks:
            worst = next((s.unit for s in self.shared if s.train and s.unit in ("window", "trial")), None)
            if worst == "window":
                said = "the very same windows are trained and tested on"
            elif worst == "trial":
                said = "windows of one trial are trained and tested on, so a score shows that trials are recognised"
            else:
                said = "the validation side is the test side, so the test chose its own model"
            return f"LEAK: {said}."
        kept = [u for u in ("trial", "stimulus", "subject") if u in by_unit and not by_unit[u].train]
        shared = [PLURAL[u] for u in ("stimulus", "subject") if u in by_unit and by_unit[u].train]
        unknown = [PLURAL[u] for u in ("trial", "stimulus", "subject") if u not in by_unit]
        if not kept:
            return (
                f"No leak is known: {listed(shared)} are on both sides, and of {listed(unknown)} the file says nothing."
            )
        words = f"No leak: no {listed(kept).replace(' and ', ' and no ')} is on both sides"
        if shared:
            words += f"; {listed(shared)} are, so it says nothing about new ones"
        return words + (f". Not known from this file: {listed(unknown)}." if unknown else ".")


def check_splits(file: str | Path) -> Checked:
    """Check a split file or a table of predictions. Raises BadInput if it cannot be understood.

    A predictions table with several results is checked for each, and the worst of them is returned.
    """
    file = Path(file)
    if not file.is_file():
        raise BadInput(file, "a split file or a predictions table", "no such file", _FORMS)
    suffix = file.suffix.lower()
    if suffix == ".json":
        rows = [_of_json(file)]
    elif suffix in (".parquet", ".csv", ".tsv"):
        rows = list(_of_table(file))
    else:
        raise BadInput(
            file, "a file that ends in .json, .parquet, .csv or .tsv", f"one in {suffix or 'nothing'}", _FORMS
        )
    checked = [_check(file, one) for one in rows]
    return max(checked, key=lambda c: (c.leaks, sum(s.train for s in c.shared)))


# --- reading: everything becomes rows of fold, side, and the names known: window, trial, stimulus, subject ---


def _of_json(file: Path) -> pd.DataFrame:
    try:
        held = from_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(file, "a split as JSON", f"a file that does not read ({error})", _FORMS) from None
    unit = str(held.get("unit", "")) if isinstance(held, dict) else ""
    folds = held.get("folds", [held]) if isinstance(held, dict) else held
    rows: list[dict[str, Any]] = []
    if not isinstance(folds, list) or not folds:
        raise BadInput(file, "a list of folds", type(folds).__name__, _FORMS)
    for number, fold in enumerate(folds, 1):
        sides = {side: fold[word] for side, words in SIDES.items() for word in words if word in fold} if (
            isinstance(fold, dict)
        ) else {}  # fmt: skip
        if not {"train", "test"} <= set(sides):
            raise BadInput(file, f"a train and a test side in fold {number}", "none", _FORMS)
        for side, names in sides.items():
            if not isinstance(names, list):
                raise BadInput(file, f"a list of names on the {side} side of fold {number}", f"{names!r:.100}", _FORMS)
            rows += [{"fold": number, "side": side, **_named(file, name, unit)} for name in names]
    return pd.DataFrame(rows)


def _named(file: Path, name: Any, unit: str) -> dict[str, str]:
    """What one entry of a side tells: subject, trial, window, as far as it goes."""
    if isinstance(name, dict):
        known = {u: _plain(name[word]) for u in UNITS for word in COLUMNS[u] if word in name}
        if known:
            return _full(known)
    if isinstance(name, str):
        said, _, rest = name.partition(" ")
        if said in ("subject", "stimulus") and rest:  # gbvnet's own, where a protocol has two units
            return {said: _plain(rest)}
        parts = [_plain(part) for part in re.split(r"[/_\-:, ]+", name.strip()) if part]
        if len(parts) == 3:
            return _full(dict(zip(("subject", "trial", "window"), parts, strict=True)))
        if len(parts) == 2:
            return _full(dict(zip(("subject", "trial"), parts, strict=True)))
        if len(parts) == 1 and unit in ("subject", "stimulus"):
            return {unit: parts[0]}
    raise BadInput(file, "names subject/trial/window or subject/trial", f"{name!r}, which tells no trial", _FORMS)


def _of_table(file: Path) -> Iterator[pd.DataFrame]:
    try:
        if file.suffix.lower() == ".parquet":
            arrow = pq.read_table(file, partitioning=None)
            arrow.validate(full=True)
            table = arrow.to_pandas()
        else:
            table = pd.read_csv(file, sep="\t" if file.suffix.lower() == ".tsv" else ",", dtype=str)
    except Exception as error:  # a damaged Parquet file can raise anything
        found = f"a file that does not open ({type(error).__name__}: {error})"
        raise BadInput(file, "a table", found, _FORMS) from None
    if set(KEYS) <= set(table.columns):  # predictions: recording is there too, but trial is the name that counts
        for _, one in table.groupby(KEYS, sort=False):
            yield _columns(file, one)
    else:
        yield _columns(file, table)


def _columns(file: Path, table: pd.DataFrame) -> pd.DataFrame:
    have = {str(c).lower(): c for c in table.columns}
    found = {name: have[word] for name, words in COLUMNS.items() for word in reversed(words) if word in have}
    absent = [name for name in ("trial", "fold") if name not in found]
    if absent:
        raise BadInput(file, f"a column {' and one '.join(absent)}", f"columns {', '.join(map(str, have))}", _FORMS)
    names = pd.DataFrame({name: table[column].map(_plain) for name, column in found.items() if name in UNITS})
    rows = pd.DataFrame([_full(row) for row in names.to_dict("records")]).assign(fold=table["fold" if "fold" in table
                        else found["fold"]].to_numpy())  # fmt: skip
    if "side" not in found:
        return rows.assign(side="test")
    of = {word: side for side, words in SIDES.items() for word in words}
    side = table[found["side"]].astype(str).str.lower().map(of)
    if side.isna().any():
        odd = table[found["side"]][side.isna().to_numpy()].iloc[0]
        raise BadInput(file, f"sides {', '.join(of)}", f"{odd!r}", _FORMS)
    return rows.assign(side=side.to_numpy())


def _full(known: Mapping[Any, str]) -> dict[str, str]:
    """Trials and windows by their whole name: trial 05 of one person is another than trial 05 of the next."""
    names: dict[str, str] = {u: known[u] for u in ("stimulus", "subject") if u in known}
    if "trial" in known:
        names["trial"] = f"{known.get('subject', '')}/{known['trial']}"
        if "window" in known:
            names["window"] = f"{names['trial']}/{known['window']}"
    return names


def _plain(name: Any) -> str:
    """05, 5 and 5.0 are one name."""
    return re.sub(r"0*(\d+)(\.0+)?$", r"\1", str(name).strip())


# --- checking ---


def _check(file: Path, rows: pd.DataFrame) -> Checked:
    units = [u for u in UNITS if u in rows and rows[u].notna().any()]
    if not units:
        raise BadInput(file, "names of windows, trials, stimuli or subjects", "none", _FORMS)
    listed_once = not (rows["side"] != "test").any()  # each row is in the fold that tests it, and trains in the others
    shared, folds = [], rows["fold"].nunique()
    for unit in units:
        known = rows[rows[unit].notna()]
        tested = known[known["side"] == "test"]
        if listed_once:
            of_group = known.groupby(unit)["fold"].nunique()
            both = of_group.index[of_group > 1]
            in_folds = known[known[unit].isin(both)]["fold"].nunique()
            shared.append(Shared(unit, len(of_group), len(both), 0, in_folds))
            continue
        pairs = {
            side: tested[["fold", unit]].drop_duplicates().merge(
                known.loc[known["side"] == side, ["fold", unit]].drop_duplicates()
            )
            for side in ("train", "inner")
        }  # fmt: skip
        train, inner = (int(pairs[side][unit].nunique()) for side in ("train", "inner"))
        shared.append(Shared(unit, tested[unit].nunique(), train, inner, pairs["train"]["fold"].nunique()))
    counted = ", ".join(f"{s.groups:,} {PLURAL[s.unit]}" for s in shared)
    return Checked(
        f"{file}: {folds} fold{'s' * (folds > 1)}; tested are {counted}", folds, tuple(shared), _same(rows, units[0])
    )


def _same(rows: pd.DataFrame, finest: str) -> bool:
    """Whether the validation side of any fold is its test side, by the finest names there are."""
    for _, fold in rows.groupby("fold"):
        inner, test = (set(fold.loc[fold["side"] == side, finest]) for side in ("inner", "test"))
        if inner and inner == test:
            return True
    return False

"""A check of any split for leaks: what is on both sides, from names alone.

Read are: gbvnet's splits.json and predictions tables; a JSON file of folds with a list of names a side; a table (CSV,
TSV, Parquet) with a row a window and columns subject, trial (or recording), fold, and, unless each row is listed in
the fold that tests it and all others train, the side that it is on.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from typing_extensions import override

from ..datasets.names import alike, alike_in_words
from ..errors import BadInput
from ..io.safe_load import from_json
from ..text import listed
from .predictions import KEYS
from .splits import PLURAL

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
    "validation": ("inner", "val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval"),
}
_FORMS = (
    'Give splits.json, a predictions table, JSON like {"folds": [{"train": ["s01/05/12", ...], "test": [...]}]} '
    "with names subject/trial/window or subject/trial, or a table with columns subject, trial, fold and side."
)  # fmt: skip


@dataclass(frozen=True)
class SharedGroups:
    """How many groups of a unit are on the test side and on another side of one and the same fold."""

    unit: str
    groups: int  # tested at all
    train: int  # of them, also trained on
    validation: int  # of them, also on the validation side
    folds: int  # folds with any of them on both training and test side


@dataclass(frozen=True)
class SplitCheck:
    """The result of checking a split; `notes` say how names were read."""

    title: str
    folds: int
    shared: tuple[SharedGroups, ...]
    validates_on_test: bool
    notes: tuple[str, ...] = ()  # how names were read, and what may be one name in two spellings

    @property
    def leaks(self) -> bool:
        """Whether trials or windows are trained and tested on, or the test side chooses the model."""
        return self.validates_on_test or any(s.train for s in self.shared if s.unit in ("window", "trial"))

    @override
    def __str__(self) -> str:
        return "\n".join([self.title, *(f"  {line}" for line in (*self._lines(), *self.notes)), self.assessment])

    def _lines(self) -> Iterator[str]:
        for s in self.shared:
            on_both = f"{s.train:,} of {s.groups:,} tested {PLURAL[s.unit]} are also trained on"
            where = f", in {s.folds} of {self.folds} folds" if s.train else ""
            validation = f"; {s.validation:,} are also on the validation side" if s.validation else ""
            yield f"{s.unit:<9} {on_both}{where}{validation}"

    @property
    def assessment(self) -> str:
        """What the split shares, in one sentence."""
        by_unit = {s.unit: s for s in self.shared}
        if self.leaks:
            worst = next((s.unit for s in self.shared if s.train and s.unit in ("window", "trial")), None)
            if worst == "window":
                text = "the very same windows are trained and tested on"
            elif worst == "trial":
                text = "windows of one trial are trained and tested on, so a score shows that trials are recognised"
            else:
                text = "the validation side is the test side, so the test chose its own model"
            return f"LEAK: {text}."
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
        words += f". Not known from this file: {listed(unknown)}." if unknown else "."
        if "trial" in by_unit and by_unit["trial"].validation:
            words += " Windows of tested trials are on the validation side: what is chosen by it has seen these trials."
        return words


def check_splits(file: str | Path) -> SplitCheck:
    """Check a split file or a table of predictions. Raises BadInput if it cannot be understood.

    A predictions table with several results is checked for each, and the worst of them is returned.
    """
    file = Path(file)
    if not file.is_file():
        raise BadInput(file, "a split file or a predictions table", "no such file", _FORMS)
    suffix = file.suffix.lower()
    if suffix == ".json":
        read = [_of_json(file)]
    elif suffix in (".parquet", ".csv", ".tsv"):
        read = list(_of_table(file))
    else:
        raise BadInput(
            file, "a file that ends in .json, .parquet, .csv or .tsv", f"one in {suffix or 'nothing'}", _FORMS
        )
    checked = [_check(file, rows, [*notes, *_spellings(rows)]) for rows, notes in read]
    return max(checked, key=lambda c: (c.leaks, sum(s.train for s in c.shared)))


def check_windows(file: str | Path, windows: pd.DataFrame) -> SplitCheck:
    """Check windows that are read already. Raises BadInput if a fold has no test side.

    file : for messages
    windows : one row a window and side, with columns fold, side ("train", "validation", "test") and, as far as they
        are known, window, trial, stimulus, subject, each by its whole name: two trials have two names. If all rows are
        on the test side, all other folds are taken as the training side of each.
    """
    return _check(Path(file), windows, [])


def kept_protocols(check: SplitCheck) -> tuple[str, ...]:
    """Return gbvnet's protocols that a checked split keeps, the hardest first: ("window",) if it shares trials."""
    known = {s.unit for s in check.shared}
    separate = known - {s.unit for s in check.shared if s.train}
    if {"trial", "window"} & (known - separate):
        return ("window",)
    kept = [name for name in ("subject", "stimulus") if name in separate]
    return (*(["subject+stimulus"] if len(kept) == 2 else []), *kept, "trial")


# --- reading: everything becomes rows of fold, side, and the names known: window, trial, stimulus, subject ---

Entry = tuple[int, str, Any]  # fold, side, name
# Between the names of subject, trial and window: any visible character may be part of a name. Not NUL, at which pandas
# 2 ends a text when it looks for equal ones: all trials of a subject would be one.
NAME_SEPARATOR = "\x1f"


def _of_json(file: Path) -> tuple[pd.DataFrame, list[str]]:
    """Rows, and how names were read."""
    try:
        held = from_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(file, "a split as JSON", f"a file that does not read ({error})", _FORMS) from None
    entries = list(_entries(file, held))
    unit = str(held.get("unit", "")) if isinstance(held, dict) else ""
    if isinstance(held, dict) and {"protocol", "scope", "unit"} <= set(held):  # what gbvnet writes
        own = pd.DataFrame([{"fold": k, "side": side, **_own(file, name, unit)} for k, side, name in entries])
        return _with_training(file, own), [f"gbvnet's own split file; the names are of unit {unit}"]
    read = _reading(file, [name for _, _, name in entries if isinstance(name, str)], unit)
    rows = [{"fold": fold, "side": side, **_named(file, name, read)} for fold, side, name in entries]
    return _with_training(file, pd.DataFrame(rows)), list(_describe_reading(entries, read))


def _entries(file: Path, held: Any) -> Iterator[Entry]:
    folds = held.get("folds", [held]) if isinstance(held, dict) else held
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
            yield from ((number, side, name) for name in names)
        if len(folds) > 1 and not any(sides.values()):
            raise BadInput(file, f"names on both sides of fold {number}", "none", "Fill the fold in, or delete it.")


def _with_training(file: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a file that names sides. Raises BadInput if a fold trains on nothing: it could not leak."""
    sides = rows if len(rows) else pd.DataFrame({"fold": [], "side": []})
    untrained = sorted(set(sides["fold"]) - set(sides.loc[sides["side"] == "train", "fold"]), key=str)
    if untrained:
        remedy = "List what each fold trains on; or give a table without sides, in which each row is in its test fold."
        raise BadInput(file, "names on the train side of each fold", f"none in fold {untrained[0]}", remedy)
    return rows


def _own(file: Path, name: Any, unit: str) -> dict[str, str]:
    """What a name in gbvnet's own file holds (`splits.group_names` made it). It is taken letter by letter."""
    if not isinstance(name, str):
        raise BadInput(file, "names that are text", f"{name!r:.100}", "Restore the file.")
    of, _, group = name.partition(" ")
    if "+" in unit and of in unit.split("+"):
        return {of: group}
    if unit in ("trial", "window"):
        units = ("subject", "trial", "window")[: 2 if unit == "trial" else 3]
        parts = name.rsplit("/", len(units) - 1)  # a subject's name may have slashes of its own
        return _full(dict(zip(units, parts, strict=False)), exact=True)
    return {unit: name}


# --- names of others, by their separators ---

# In this order: where there are slashes, they are what separates; dashes are in names more often than between them.
_SEPARATORS = ("/", "|", ":", ",", ";", " ", "_", "-")
_SUBJECT_WORDS = {"s", "sub", "subj", "subject", "p", "participant", "person", "vp", "id"}
_WINDOW = re.compile(r"(?:(.+)[_\-:, ])?((?:w|win|window|seg|segment|epoch|chunk)[_-]?\d+)", re.IGNORECASE)
_NUMBERED = re.compile(r"(.+)[_\-:, ]\d+")
# What stands before a trial's number: film-3 is one name.
_TRIAL_WORDS = {"t", "trial", "film", "movie", "video", "clip", "stim", "stimulus", "run", "rec", "recording", "task"}
Reading = Callable[[str], dict[str, str]]  # a name -> its units


def _reading(file: Path, names: Sequence[str], unit: str) -> Reading:
    """How to take the names of a file apart: all in the same way. Raises BadInput if no way fits them all."""
    if unit in ("subject", "stimulus"):
        return lambda name: {unit: name}
    if all(re.fullmatch(r"sub-[^_-]+(_[^_-]+-[^_-]+)+", name) for name in names):
        return _entities
    fits = []
    for separator in _SEPARATORS:
        parts = [_split(name, separator) for name in names]
        words = {p[0].casefold() for p in parts if p} <= _SUBJECT_WORDS  # "s_01-5" is no trial 01-5 of a subject s
        if {len(p) for p in parts} in ({2}, {3}) and not words:
            fits.append((separator, all(len(p) == 2 and _WINDOW.fullmatch(p[1]) for p in parts)))
        if separator == "/" and any(separator in name for name in names):
            break
    if not fits:
        by = "/" if any("/" in name for name in names) else ""
        odd = max(names, key=lambda name: len(_split(name, by or "-")))
        raise BadInput(file, "names subject/trial/window or subject/trial", f"{odd!r}, which tells no trial", _FORMS)
    separator, windowed = fits[0]
    names_split = [_split(name, separator) for name in names]
    three = all(len(p) == 3 for p in names_split)
    if three and {p[1].casefold() for p in names_split} <= _TRIAL_WORDS:
        return partial(_worded, separator=separator)
    swapped = three and all(_WINDOW.fullmatch(p[1]) and not _WINDOW.fullmatch(p[2]) for p in names_split)
    return partial(_positional, separator=separator, windowed=windowed, swapped=swapped)


def _split(name: str, separator: str) -> list[str]:
    return [part.strip() for part in name.split(separator) if part.strip()]


def _worded(name: str, separator: str) -> dict[str, str]:
    """P1-film-3 is film 3 of P1, and no window 3 of a trial `film`."""
    subject, *trial = _split(name, separator)
    return {"subject": subject, "trial": separator.join(trial)}


def _positional(name: str, separator: str, windowed: bool, swapped: bool) -> dict[str, str]:
    """windowed : the second of two parts ends with what only a window is called, as w12 in s01/t05_w12.
    swapped : the second of three parts is what only a window is called, as in s01/w12/t05."""
    parts = _split(name, separator)
    if swapped:
        parts = [parts[0], parts[2], parts[1]]
    if windowed:
        trial, window = _WINDOW.fullmatch(parts[1]).groups()  # type: ignore[union-attr]
        known = {"subject": parts[0], "trial": trial} if trial else {"trial": parts[0]}
        return {**known, "window": window}
    return dict(zip(("subject", "trial", "window"), parts, strict=False))


def _entities(name: str) -> dict[str, str]:
    """A name of key-value pairs, as BIDS writes them: sub-01_ses-2_run-3."""
    subject, *others = name.split("_")
    windows = [pair for pair in others if _WINDOW.fullmatch(pair)]
    trial = "_".join(pair for pair in others if pair not in windows)
    return {"subject": subject.removeprefix("sub-"), "trial": trial} | ({"window": windows[0]} if windows else {})


def _named(file: Path, name: Any, read: Reading) -> dict[str, str]:
    """What one entry of a side tells: subject, trial, window, as far as it goes."""
    if isinstance(name, dict):
        known = {unit: _value(name, keys) for unit, keys in _keys(name).items() if unit in UNITS}
        if known and all(value is not None and str(value).strip() for value in known.values()):
            return _full(known)
    if isinstance(name, str):
        return _full(read(name))
    raise BadInput(file, "names subject/trial/window or subject/trial", f"{name!r}, which tells no trial", _FORMS)


def _describe_reading(entries: Sequence[Entry], read: Reading) -> Iterator[str]:
    """How names were read, and what follows if a number at a trial's end is one of its windows."""
    names = [(fold, side, name) for fold, side, name in entries if isinstance(name, str)]
    if not names:
        return
    first = read(names[0][2])
    yield f"{names[0][2]!r} is read as " + ", ".join(f"{unit} {part}" for unit, part in first.items())
    sides: dict[str, set] = {"train": set(), "test": set()}
    for fold, side, name in names:
        known = read(name)
        shorter = _NUMBERED.fullmatch(known.get("trial", ""))
        if side in sides and shorter and "window" not in known:
            sides[side].add((fold, known.get("subject"), shorter[1]))
    both = sides["train"] & sides["test"]
    if both:
        subject, trial = next(iter(sorted(both, key=str)))[1:]
        yield (
            f"if the number at the end counts windows of a trial ({trial} of subject {subject}), {len(both)} of "
            f"{len(sides['test'])} tested trials are also trained on: then write subject/trial/window"
        )


def _of_table(file: Path) -> Iterator[tuple[pd.DataFrame, list[str]]]:
    try:
        if file.suffix.lower() == ".parquet":
            arrow = pq.read_table(file, partitioning=None)
            arrow.validate(full=True)
            table = arrow.to_pandas()
        else:
            table = pd.read_csv(
                file, sep="\t" if file.suffix.lower() == ".tsv" else ",", dtype=str, keep_default_na=False
            )
    except Exception as error:  # a damaged Parquet file can raise anything
        content = f"a file that does not open ({type(error).__name__}: {error})"
        raise BadInput(file, "a table", content, _FORMS) from None
    if set(KEYS) <= set(table.columns):  # predictions: recording is there too, but trial is the name that counts
        for _, one in table.groupby(KEYS, sort=False):
            yield _columns(file, one, exact=True), []
    elif result := _result_columns(table):  # each system and target may have folds of its own
        for _, one in table.groupby(result, sort=False, dropna=False):
            yield _columns(file, one), []
    else:
        yield _columns(file, table), []


def _result_columns(table: pd.DataFrame) -> list[str]:
    """The columns that tell results apart in predictions of other programs; none in a table without predictions."""
    predicts = any(str(name) in ("p", "p_0", "y_hat") for name in table.columns)
    return [name for name in KEYS if name in table.columns] if predicts else []


def _columns(file: Path, table: pd.DataFrame, exact: bool = False) -> pd.DataFrame:
    columns_of = _keys(table.columns)
    absent = [name for name in ("trial", "fold") if name not in columns_of]
    if absent:
        columns = ", ".join(str(c).lower() for c in table.columns)
        raise BadInput(file, f"a column {' and one '.join(absent)}", f"columns {columns}", _FORMS)
    _refuse_blank(file, table[[key for keys in columns_of.values() for key in keys]])
    units = {unit: keys for unit, keys in columns_of.items() if unit in UNITS}
    fold = table["fold" if "fold" in table else columns_of["fold"][0]].map(_plain).to_numpy()
    rows = _full_names({unit: _spelt(table[list(keys)], exact) for unit, keys in units.items()}).assign(fold=fold)
    if "side" not in columns_of:
        if len(rows) and rows["fold"].nunique() < 2:
            content = f"one fold and no column {' or '.join(COLUMNS['side'])}: nothing is trained on"
            raise BadInput(file, "at least two folds, or a column that names the sides", content, _FORMS)
        return rows.assign(side="test")
    of = {word: side for side, words in SIDES.items() for word in words}
    side = table[columns_of["side"][0]].astype(str).str.strip().str.lower().map(of)
    if side.isna().any():
        odd = table[columns_of["side"][0]][side.isna().to_numpy()].iloc[0]
        raise BadInput(file, f"sides {', '.join(of)}", f"{odd!r}", _FORMS)
    return _with_training(file, rows.assign(side=side.to_numpy()))


def _keys(names: Iterable[Any]) -> dict[str, tuple[Any, ...]]:
    """Unit, fold or side -> the columns that tell it: one, but for trials that are numbered within sessions."""
    have = {str(name).strip().lower(): name for name in names}
    columns_of = {unit: tuple(have[word] for word in words if word in have)[:1] for unit, words in COLUMNS.items()}
    if "session" in have and columns_of["trial"] != (have["session"],):
        # trial 1 of session 2 is not trial 1 of session 1
        columns_of["trial"] = (have["session"], *columns_of["trial"])
    return {unit: keys for unit, keys in columns_of.items() if keys}


def _value(row: Mapping[Any, Any], keys: Sequence[Any]) -> Any:
    values = [row[key] for key in keys]
    blank = any(value is None or not str(value).strip() for value in values)
    return values[0] if len(values) == 1 else None if blank else _joined(*map(_plain, values))


def _spelt(cells: pd.DataFrame, exact: bool) -> list[str]:
    """The name in each row, of one column or joined from several; a text that comes again is kept once."""
    known: dict[tuple[type, Any], str] = {}

    def spell(value: Any) -> str:
        at = type(value), value
        if at not in known:
            known[at] = str(value) if exact else _plain(value)
        return known[at]

    columns = [[spell(value) for value in cells[name].tolist()] for name in cells]
    return columns[0] if len(columns) == 1 else [_joined(*map(_plain, row)) for row in zip(*columns, strict=True)]


def _full_names(spelt: Mapping[str, list[str]]) -> pd.DataFrame:
    """As `_full`, of a whole table, a column at a time: there may be ten million rows."""
    names = {unit: spelt[unit] for unit in ("stimulus", "subject") if unit in spelt}
    if "trial" in spelt:
        subjects = spelt.get("subject", [""] * len(spelt["trial"]))
        pairs = list(zip(subjects, spelt["trial"], strict=True))
        joined = {pair: _joined(*pair) for pair in set(pairs)}
        names["trial"] = [joined[pair] for pair in pairs]
        if "window" in spelt:
            names["window"] = [_joined(t, w) for t, w in zip(names["trial"], spelt["window"], strict=True)]
    return pd.DataFrame(names)


def _refuse_blank(file: Path, used: pd.DataFrame) -> None:
    """A cell without a name would be one group with all other such cells, or be left out."""
    for column, cells in used.items():
        blank = cells.isna() | (cells.astype(str).str.strip() == "")
        if blank.any():
            blanks = f"none in row {int(blank.to_numpy().argmax()) + 1} below the head, of {int(blank.sum())} such rows"
            raise BadInput(file, f"a {str(column).strip()} in each row", blanks, "Fill it in, or delete the row.")


def _full(known: Mapping[Any, Any], exact: bool = False) -> dict[str, str]:
    """Trials and windows by their whole name: trial 05 of one subject is not trial 05 of another.

    exact : take names letter by letter, as gbvnet writes them; else 05, 5 and 5.0 are one
    """
    spelt = {unit: str(name) if exact else _plain(name) for unit, name in known.items()}
    names = {u: spelt[u] for u in ("stimulus", "subject") if u in spelt}
    if "trial" in spelt:
        names["trial"] = _joined(spelt.get("subject", ""), spelt["trial"])
        if "window" in spelt:
            names["window"] = _joined(names["trial"], spelt["window"])
    return names


def _joined(*names: str) -> str:
    return NAME_SEPARATOR.join(names)


def _plain(name: Any) -> str:
    """05, 5 and 5.0 are one name."""
    return re.sub(r"0*(\d+)(\.0+)?$", r"\1", str(name).strip())


# --- checking ---


def _spellings(rows: pd.DataFrame) -> Iterator[str]:
    """Subjects and stimuli that may be one under two names, and so on both sides without a name that says so."""
    for unit in ("subject", "stimulus"):
        groups = alike(rows[unit].dropna().unique()) if unit in rows else []
        if groups:
            yield f"{PLURAL[unit]} {alike_in_words(unit, groups)}, and are counted as several"


def _check(file: Path, rows: pd.DataFrame, notes: list[str]) -> SplitCheck:
    units = [u for u in UNITS if u in rows and rows[u].notna().any()]
    if not units:
        raise BadInput(file, "names of windows, trials, stimuli or subjects", "none", _FORMS)
    untested = sorted(set(rows["fold"]) - set(rows.loc[rows["side"] == "test", "fold"]), key=str)
    if untested:
        missing = f"none in fold {untested[0]}"
        raise BadInput(file, "names on the test side of each fold", missing, "Without them there is nothing to check.")
    listed_once = not (rows["side"] != "test").any()  # each row is in the fold that tests it, and trains in the others
    shared, folds = [], rows["fold"].nunique()
    for unit in units:
        known = rows[rows[unit].notna()]
        tested = known[known["side"] == "test"]
        if listed_once:
            of_group = known.groupby(unit)["fold"].nunique()
            both = of_group.index[of_group > 1]
            in_folds = known[known[unit].isin(both)]["fold"].nunique()
            shared.append(SharedGroups(unit, len(of_group), len(both), 0, in_folds))
            continue
        pairs = {
            side: tested[["fold", unit]].drop_duplicates().merge(
                known.loc[known["side"] == side, ["fold", unit]].drop_duplicates()
            )
            for side in ("train", "validation")
        }  # fmt: skip
        train, validation = (int(pairs[side][unit].nunique()) for side in ("train", "validation"))
        shared.append(SharedGroups(unit, tested[unit].nunique(), train, validation, pairs["train"]["fold"].nunique()))
    counted = ", ".join(f"{s.groups:,} {PLURAL[s.unit]}" for s in shared)
    return SplitCheck(
        f"{file}: {folds} fold{'s' * (folds > 1)}; tested are {counted}", folds, tuple(shared),
        _same(rows, units[0]), tuple(notes),
    )  # fmt: skip


def _same(rows: pd.DataFrame, finest: str) -> bool:
    """Whether the validation side of any fold is its test side, by the finest names there are."""
    for _, fold in rows.groupby("fold"):
        validation, test = (set(fold.loc[fold["side"] == side, finest]) for side in ("validation", "test"))
        if validation and validation == test:
            return True
    return False

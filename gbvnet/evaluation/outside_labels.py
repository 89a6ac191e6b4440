"""Labels, protocol and prior for the predictions of other programs, which then have the columns of gbvnet's own.

The labels are those of a run on the same windows, or columns of the file. The protocol is what the folds really
separate, whatever the file says of it. The prior is computed from the windows of the other folds, unless the file has
it. Origin keeps what was taken from where, for the report.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from ..config import PROTOCOLS
from ..provenance import SHUFFLED_SYSTEM, is_leaky, outside_name, with_current_stamp, without_stamp
from ..text import listed, shortened
from .metrics import number_folds_once
from .outside_predictions import OutsideFile
from .prediction_schema import BINARY_SCHEMA, REGRESSION_SCHEMA, multiclass_schema
from .predictions import check_values, n_classes, task_of
from .split_check import NAME_SEPARATOR, check_windows, kept_protocols

NOT_GIVEN = "not given"
SCOPES = ("pooled", "per-subject")
_LABELS = ["recording", "subject", "trial", "stimulus", "start_s", "rating", "y"]  # what a run knows of a window
_REQUIRED = ("dataset", "target", "subject", "y")  # of a file without a run beside it, with trial or recording
_KEYS = ["recording", "window"]


@dataclass(frozen=True)
class Reference:
    """One result of a run, whose windows and labels a file of predictions may share.

    table : as predictions.read gives it, with one value in each of predictions.KEYS
    """

    name: str
    table: pd.DataFrame

    @cached_property
    def windows(self) -> pd.DataFrame:
        """The tested windows, each once."""
        return self.table.drop_duplicates(_KEYS)

    @cached_property
    def places(self) -> pd.MultiIndex:
        """Recording and window of each row of `windows`."""
        return pd.MultiIndex.from_frame(self.windows[_KEYS])

    def key(self, name: str) -> str:
        """Return the value of one of predictions.KEYS."""
        return str(self.table[name].iloc[0])


@dataclass(frozen=True)
class Origin:
    """Where an outside result comes from, and what gbvnet added to it, in words."""

    file: str
    sha256: str
    labels: str
    folds: str
    protocol: str
    prior: str
    warnings: tuple[str, ...] = ()


class OutsideResult(NamedTuple):
    """A result of another program with the columns of a predictions table."""

    table: pd.DataFrame
    origin: Origin
    reference: int | None  # the place of the run that the labels are from; None if they are the file's own


def complete(file: OutsideFile, references: Sequence[Reference]) -> list[OutsideResult]:
    """Return the results of a file, each with everything that scores and reports need.

    references : results of the runs beside the file, which may supply labels

    Raises BadInput (BadRun for labels that differ within a trial) if something is missing, or does not fit the run.
    """
    file = _two_classes(file, references)
    return [_complete(file, rows, references) for rows in file.results()]


def _complete(file: OutsideFile, rows: pd.DataFrame, references: Sequence[Reference]) -> OutsideResult:
    number, labelled = _with_labels(file, rows, references)
    reference = None if number is None else references[number]
    labelled["scope"] = _scope(file, labelled, reference)
    labelled["group"] = _fold_groups(labelled)
    same_folds = [r for r in _same_windows(labelled, reference, references) if _has_folds(labelled, r)]
    protocol, how, warnings = _protocol(file, labelled, same_folds)
    prior = [name for name in file.prior if name in rows]
    if not prior:
        labelled = _with_prior(file, labelled)
    tested = labelled[labelled["side"] == "test"]
    origin = Origin(
        file.path.name,
        file.sha256,
        "the file's own columns" if reference is None else f"run `{reference.name}`",
        _folds_in_words(file, tested, same_folds),
        how,
        "as the file gives it" if prior else _prior_in_words(file, labelled),
        warnings,
    )
    return OutsideResult(_predictions_table(file, tested.assign(protocol=protocol)), origin, number)


# --- labels ---


def _two_classes(file: OutsideFile, references: Sequence[Reference]) -> OutsideFile:
    """A file with p_0 and p_1 as one with p, unless a run beside it has several classes that are two."""
    if file.n_classes != 2 or any(n_classes(r.table) == 2 for r in references):
        return file
    rows = file.rows.rename(columns={"p_1": "p", "prior_1": "prior"}).drop(columns=["p_0", "prior_0"], errors="ignore")
    return replace(file, rows=rows, task="binary", n_classes=0)


def _with_labels(
    file: OutsideFile, rows: pd.DataFrame, references: Sequence[Reference]
) -> tuple[int | None, pd.DataFrame]:
    """The place of the run whose labels are taken, and the rows with dataset, target and `_LABELS`."""
    candidates = _candidates(file, rows, references)
    if not candidates:
        return None, _own_labels(file, rows, references)
    matches = {number: _match(rows, references[number]) for number in candidates}
    number = min(matches, key=lambda k: (matches[k].n_other_rows, int(matches[k].other_label.sum())))
    reference, match = references[number], matches[number]
    _refuse_other_rows(file, rows, reference, match)
    if "y" not in rows:
        _refuse_two_labels(file, references, matches, number)
    labels = reference.windows.iloc[match.place].set_axis(rows.index)
    taken = {name: labels[name] for name in (*_LABELS, "dataset", "target")}
    taken |= {} if "seed" in rows else {"seed": labels["seed"]}
    return number, rows.assign(**taken)


def _candidates(file: OutsideFile, rows: pd.DataFrame, references: Sequence[Reference]) -> list[int]:
    """The runs of the file's task, dataset and target. Raises BadInput if the file's target could be several."""
    fitting = []
    for number, reference in enumerate(references):
        same_task = task_of(reference.table) == file.task and n_classes(reference.table) == file.n_classes
        permuted = reference.key("system").endswith(SHUFFLED_SYSTEM)
        others = [
            name
            for name in ("dataset", "target")
            if name in rows and _unstamped(rows[name].iloc[0]) != _unstamped(reference.key(name))
        ]
        if same_task and not permuted and not others:
            fitting.append(number)
    for name in ("dataset", "target"):
        several = sorted({references[number].key(name) for number in fitting})
        if len(several) > 1:
            what = f"none, and runs of {listed(several)} beside it"
            raise file.error(f"a column {name}", what, f"Add a column {name}, with one of these in each row.")
    return fitting


def _unstamped(title: str) -> str:
    return without_stamp(with_current_stamp(title))


class _Match(NamedTuple):
    """How the rows of a file and the windows of a run fit."""

    place: np.ndarray  # (n,) of each row's window among those of the run; -1 if it is not there
    absent: np.ndarray  # places of the run's windows that are not tested
    other_label: pd.Series  # (n,) bool, whether y or rating is given and is not the run's
    column: str  # of the label that differs, y or rating

    @property
    def n_other_rows(self) -> int:
        """How many rows only one of the two has."""
        return int((self.place < 0).sum()) + len(self.absent)


def _match(rows: pd.DataFrame, reference: Reference) -> _Match:
    names = _recording_names(rows, reference.windows)
    place = reference.places.get_indexer(pd.MultiIndex.from_arrays([names, rows["window"]], names=_KEYS))
    tested = place[(rows["side"] == "test").to_numpy()]
    absent = np.setdiff1d(np.arange(len(reference.windows)), tested)
    other, column = pd.Series(False, rows.index), "y"
    for name in (name for name in ("rating", "y") if name in rows):
        of_run = reference.windows[name].to_numpy(float)[place]
        given = rows[name].to_numpy(float)
        differs = (place >= 0) & ~np.isnan(given) & ~np.isclose(given, of_run, rtol=1e-6, atol=1e-9, equal_nan=True)
        if differs.any():
            other, column = pd.Series(differs, rows.index), name
    return _Match(place, absent, other, column)


def _recording_names(rows: pd.DataFrame, windows: pd.DataFrame) -> pd.Series:
    """(n,) the run's name of each row's recording, "" where it has none; 05, 5 and 5.0 are one if that is unique."""
    of_run = windows.drop_duplicates("recording")
    best = pd.Series("", rows.index)
    for columns in (["recording"], ["subject", "trial"]):
        if not set(columns) <= set(rows):
            continue
        given, known = _joined(rows, columns), _joined(of_run, columns)
        lookup = dict(zip(known, of_run["recording"], strict=True))
        names = given.map(lookup).fillna("")
        if (names == "").any():
            names = _by_plain_names(given, lookup).where(names == "", names)
        if (names != "").sum() > (best != "").sum():
            best = names
    return best


def _joined(rows: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    first, *others = (rows[name].astype(str) for name in columns)
    for other in others:
        first = first + NAME_SEPARATOR + other
    return first


def _by_plain_names(given: pd.Series, lookup: dict[str, str]) -> pd.Series:
    """As a lookup, but without leading zeros; "" for all if two names would then be one."""
    plain = {_plain(name): recording for name, recording in lookup.items()}
    distinct = {name: _plain(name) for name in given.unique()}
    if len(plain) < len(lookup) or len(set(distinct.values())) < len(distinct):
        return pd.Series("", given.index)
    return given.map({name: plain.get(short, "") for name, short in distinct.items()})


def _plain(name: str) -> str:
    return re.sub(r"0*(\d+)", r"\1", re.sub(rf"\.0+(?={NAME_SEPARATOR}|$)", "", name))


def _refuse_other_rows(file: OutsideFile, rows: pd.DataFrame, reference: Reference, match: _Match) -> None:
    """Raise BadInput unless the file tests the run's windows, all of them and no others, with its labels."""
    run = f"run `{reference.name}`"
    foreign = pd.Series(match.place < 0, rows.index)
    if foreign.any():
        remedy = "Give a run of the same store beside it, and name recordings and windows as the run does."
        raise file.at_fault(f"recordings and windows of {run}", foreign, remedy)
    if len(match.absent):
        first = reference.windows.iloc[match.absent[0]]
        what = (
            f"no prediction of recording {first['recording']}, window {first['window']}, and {len(match.absent):,} of "
            f"{len(reference.windows):,} missing in all"
        )
        remedy = "Predict each of them, or report the file without a run, with its own labels."
        raise file.error(f"all windows that {run} tests", what, remedy)
    if match.other_label.any():
        row = int(match.other_label.to_numpy().argmax())
        of_run = reference.windows[match.column].iloc[match.place[row]]
        given = rows[match.column].iloc[row]
        remedy = f"Use the rule and the store of the run, or leave out the column {match.column}."
        expected = f"{match.column} as in {run} ({of_run:g}, not {given:g})"
        raise file.at_fault(expected, match.other_label, remedy)


def _refuse_two_labels(
    file: OutsideFile, references: Sequence[Reference], matches: dict[int, _Match], chosen: int
) -> None:
    """Raise BadInput if runs beside the file have the same windows and different labels, and the file has none."""
    y = references[chosen].windows["y"].to_numpy(float)[matches[chosen].place]
    for number, match in matches.items():
        if match.n_other_rows:
            continue
        other = references[number].windows["y"].to_numpy(float)[match.place]
        if not np.allclose(other, y, rtol=1e-9, atol=1e-9):
            both = f"runs `{references[chosen].name}` and `{references[number].name}`, whose labels differ"
            raise file.error("runs with one set of labels beside it", both, "Add a column y, or give one of them.")


def _own_labels(file: OutsideFile, rows: pd.DataFrame, references: Sequence[Reference]) -> pd.DataFrame:
    """The rows with the labels that the file has. Raises BadInput with all columns that are missing."""
    missing = [name for name in _REQUIRED if name not in rows]
    missing += ["trial or recording"] if not {"trial", "recording"} & set(rows) else []
    if missing:
        raise file.error(
            f"the columns {shortened(missing, 12)} as well, {_why_none_fits(file, rows, references)}",
            f"the columns {shortened([str(name) for name in rows if name != 'side'], 20)}",
            "Give the folder of a run on the same windows beside it, which supplies them, or add the columns.",
        )
    _check_labels(file, rows)
    trial = rows["trial"] if "trial" in rows else rows["recording"]
    return rows.assign(
        recording=rows["recording"] if "recording" in rows else rows["subject"] + "_" + rows["trial"],
        trial=trial,
        stimulus=rows.get("stimulus", NOT_GIVEN),
        start_s=rows["start_s"] if "start_s" in rows else rows["window"].astype(float),
        rating=rows["rating"].fillna(rows["y"]) if "rating" in rows else rows["y"],
        dataset=rows["dataset"].map(with_current_stamp),
    )


def _why_none_fits(file: OutsideFile, rows: pd.DataFrame, references: Sequence[Reference]) -> str:
    if not references:
        return "as no run is beside it"
    kind = f"{file.n_classes} classes" if file.n_classes else f"{file.task} predictions"
    of_file = " of ".join([kind, *(str(rows[name].iloc[0]) for name in ("target", "dataset") if name in rows)])
    runs = {f"{task_of(r.table)} predictions of {r.key('target')} of {r.key('dataset')}" for r in references}
    return f"as no run beside it has {of_file} (runs have {listed(runs)})"


def _check_labels(file: OutsideFile, rows: pd.DataFrame) -> None:
    y = rows["y"]
    if file.task == "regression":
        expected, fault = "a number as y", ~np.isfinite(y)
    else:
        most = 1 if file.task == "binary" else file.n_classes - 1
        expected, fault = f"a y of {'0 or' if most == 1 else '0 to'} {most}", ~y.isin(range(most + 1))
    if fault.any():
        raise file.at_fault(expected, fault)


# --- folds: scope and protocol ---


def _scope(file: OutsideFile, rows: pd.DataFrame, reference: Reference | None) -> str:
    """What the file says; else per-subject only if the run's is, and the folds can be."""
    if "scope" in rows:
        scope = str(rows["scope"].iloc[0])
        if scope not in SCOPES:
            raise file.error(f"a scope of {listed(SCOPES)}", f"{scope!r}")
        return scope
    if reference is None or reference.key("scope") == "pooled":
        return "pooled"
    within = rows.assign(scope="per-subject")
    one_subject = (rows.groupby("fold")["subject"].nunique() == 1).all()
    several_folds = (rows.groupby("subject")["fold"].nunique() > 1).all()
    own = one_subject and several_folds
    return "per-subject" if own or _has_folds(within.assign(group=_fold_groups(within)), reference) else "pooled"


def _fold_groups(rows: pd.DataFrame) -> pd.Series:
    """(n,) the name of each row's fold; of other subjects it is another under scope per-subject."""
    within = rows["scope"].iloc[0] == "per-subject"
    return rows["subject"] + NAME_SEPARATOR + rows["fold"] if within else rows["fold"]


def _same_windows(rows: pd.DataFrame, reference: Reference | None, references: Sequence[Reference]) -> list[Reference]:
    """The runs that test the windows of these rows, that of the labels first; none for labels of the file's own."""
    if reference is None:
        return []
    tested = pd.MultiIndex.from_frame(rows.loc[rows["side"] == "test", _KEYS])
    same = [r for r in references if len(r.places) == len(tested) and (r.places.get_indexer(tested) >= 0).all()]
    return sorted(same, key=lambda r: r is not reference)


def _has_folds(rows: pd.DataFrame, reference: Reference) -> bool:
    """Whether the windows are parted into folds as in a run that tests the same windows in the same scope."""
    if rows["scope"].iloc[0] != reference.key("scope"):
        return False
    tested = rows[rows["side"] == "test"]
    place = reference.places.get_indexer(pd.MultiIndex.from_frame(tested[_KEYS]))
    windows = number_folds_once(reference.windows)
    both = pd.DataFrame({"file": tested["group"].to_numpy(), "run": windows["fold"].to_numpy()[place]})
    return bool((place >= 0).all()) and len(both.drop_duplicates()) == both["file"].nunique() == both["run"].nunique()


def _protocol(
    file: OutsideFile, rows: pd.DataFrame, same_folds: Sequence[Reference]
) -> tuple[str, str, tuple[str, ...]]:
    """The protocol that the folds keep, how it was chosen, and warnings about what the file says of it.

    The file's own word counts if it is kept, as a weaker one is true as well. Folds that are a run's have its protocol.
    """
    kept = _kept(file, rows)
    claim = str(rows["protocol"].iloc[0]) if "protocol" in rows else None
    if claim == "window" or claim in kept:
        return str(claim), "as the file says, and as its folds were checked to be", ()
    of_runs = [r for r in same_folds if r.key("protocol") in kept]
    if of_runs:
        protocol, how = of_runs[0].key("protocol"), f"its folds are those of run `{of_runs[0].name}`"
    else:
        protocol, how = kept[0], "derived from what its folds separate"
    if claim is None:
        return protocol, how, ()
    if claim in PROTOCOLS:
        warning = f"{file.path.name} says protocol {claim}, and its folds do not keep it: {_shared(claim, kept)}. "
    else:
        warning = f"{file.path.name} says protocol {claim!r}, which gbvnet does not know. "
    leaky = ", which is LEAKY" if is_leaky(protocol) else ""
    return protocol, how, (f"{warning}It is reported under protocol {protocol}{leaky}.",)


def _shared(claim: str, kept: tuple[str, ...]) -> str:
    """What is on both sides although a protocol separates it."""
    if kept == ("window",):
        return "windows of one trial are trained and tested on"
    what = {"subject": "subjects", "stimulus": "stimuli"}.get(claim, "subjects or stimuli")
    return f"{what} are on both sides, or the file does not name them"


def _kept(file: OutsideFile, rows: pd.DataFrame) -> tuple[str, ...]:
    """The protocols that the folds keep, the hardest first. Raises BadInput if nothing is trained on."""
    within = rows["scope"].iloc[0] == "per-subject"
    if not file.sides:
        folds = rows.groupby("subject")["fold"].nunique() if within else pd.Series([rows["fold"].nunique()])
        if (folds < 2).any():
            of = f" of subject {folds.index[folds < 2][0]}" if within else ""
            remedy = "Give all folds, or the rows that each fold trains on, with a column side (train, test)."
            raise file.error(f"at least two folds{of}", "one, so that nothing is trained on", remedy)
    trained = set(rows.loc[rows["side"] == "train", "group"])
    untrained = (rows["side"] == "test") & ~rows["group"].isin(trained)
    if file.sides and untrained.any():  # also of a file with a prior of its own: nothing could leak
        raise file.at_fault("rows on the train side of each fold", untrained)
    trial = rows["subject"] + NAME_SEPARATOR + rows["trial"]
    names = {"fold": rows["group"], "side": rows["side"], "trial": trial}
    names["window"] = rows["recording"] + NAME_SEPARATOR + rows["window"].astype(str)
    known_stimuli = (rows["stimulus"] != NOT_GIVEN).all()
    one_to_one = not rows.groupby(["subject", "stimulus"])["trial"].nunique().gt(1).any()
    if known_stimuli and not within:
        names |= {"stimulus": rows["stimulus"], "subject": rows["subject"]}
    elif known_stimuli and not one_to_one:  # else the stimuli of one subject are its trials
        names["stimulus"] = rows["subject"] + NAME_SEPARATOR + rows["stimulus"]
    elif not within:
        names["subject"] = rows["subject"]
    kept = kept_protocols(check_windows(file.path, pd.DataFrame(names)))
    return (*kept, "stimulus") if within and one_to_one and kept == ("trial",) else kept


def _folds_in_words(file: OutsideFile, tested: pd.DataFrame, same_folds: Sequence[Reference]) -> str:
    n = tested["group"].nunique()
    own = f"those of run `{same_folds[0].name}`" if same_folds else "its own"
    sides = "training rows as the file lists them" if file.sides else "all other folds taken as training"
    return f"{n}, {own}; {sides}"


# --- the prior, and the table ---


def _prior_in_words(file: OutsideFile, rows: pd.DataFrame) -> str:
    within = " of the same subject" if rows["scope"].iloc[0] == "per-subject" else ""
    return f"from the {'training rows' if file.sides else 'windows of the other folds'}{within}"


def _with_prior(file: OutsideFile, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the share of each class, or the mean of y, in the rows that their fold is trained on."""
    y = rows["y"].to_numpy(float)
    values = np.stack([y == k for k in range(file.n_classes)], 1).astype(float) if file.n_classes else y[:, None]
    sums = pd.DataFrame(values, rows.index, file.prior).assign(n=1.0)
    if file.sides:
        training = sums[rows["side"] == "train"].groupby(rows["group"]).sum()
        of_row = training.reindex(rows["group"]).fillna(0.0)
    else:
        whole = rows["subject"] if rows["scope"].iloc[0] == "per-subject" else pd.Series("", rows.index)
        of_row = sums.groupby(whole).transform("sum") - sums.groupby(rows["group"]).transform("sum")
    of_row = of_row.set_axis(rows.index)
    shares = of_row[file.prior].div(of_row["n"].clip(lower=1), axis=0)
    shares = shares if file.task == "regression" else shares.clip(0, 1)  # rounding
    return rows.assign(**{name: shares[name] for name in file.prior})


def _predictions_table(file: OutsideFile, tested: pd.DataFrame) -> pd.DataFrame:
    """The tested rows with the columns of gbvnet's own predictions. Raises BadRun if they break a rule of these."""
    own = {"binary": BINARY_SCHEMA, "regression": REGRESSION_SCHEMA}
    schema = own[file.task] if file.task in own else multiclass_schema(file.n_classes)
    system = str(tested["system"].iloc[0]) if "system" in tested else file.system
    table = tested.assign(
        fold=_fold_numbers(tested["fold"]),
        system=outside_name(system),
        modality=tested.get("modality", f"modality {NOT_GIVEN}"),
        seed=tested.get("seed", 0),
        gate_face=np.nan,
        gate_bio=np.nan,
        config=file.sha256[:8],
    )
    kinds = {field.name: field.type.to_pandas_dtype() for field in schema if not pa.types.is_string(field.type)}
    table = table[schema.names].reset_index(drop=True).astype(kinds)
    check_values(table, file.path, "docs/outside.md says what a file of predictions must hold.")
    return table


def _fold_numbers(folds: pd.Series) -> pd.Series:
    """(n,) int: the names of folds where they are numbers, else their places in order."""
    if folds.str.fullmatch(r"[0-9]{1,9}").all():
        return folds.astype("int64")
    return folds.map({name: k for k, name in enumerate(sorted(folds.unique()), 1)})

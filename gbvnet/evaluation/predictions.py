"""The predictions table: one row a tested window, and all that scores and reports are made from.

Nothing here or in metrics.py knows which system made a table, or has the store at hand: the label, the rating and the
training share of high (`prior`) travel in each row, so that every number of a report follows from this file alone.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .. import provenance
from ..config import PROTOCOLS
from ..errors import BadRun
from ..io.atomic import atomic_write
from ..io.safe_load import from_json

FILE = "predictions.parquet"
KEYS = ["dataset", "system", "modality", "target", "protocol", "scope", "seed", "config"]  # one result
WINDOW = ["fold", "recording", "window"]  # one tested window within a result
TRIAL = ["subject", "trial"]

SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),  # "deap", or "deap (synthetic data)"
        ("system", pa.string()),
        ("modality", pa.string()),
        ("target", pa.string()),
        ("protocol", pa.string()),
        ("scope", pa.string()),
        ("seed", pa.int64()),
        ("fold", pa.int64()),
        ("recording", pa.string()),
        ("subject", pa.string()),
        ("trial", pa.string()),
        ("stimulus", pa.string()),
        ("window", pa.int64()),
        ("start_s", pa.float64()),  # from the start of the stimulus, seconds
        ("rating", pa.float64()),  # as the subject gave it, 1 to 9
        ("y", pa.int8()),  # 1 high, 0 low
        ("p", pa.float64()),  # predicted probability of high
        ("prior", pa.float64()),  # share of high among the windows this fold was trained on
        ("gate_face", pa.float64()),  # mean gate of a modality; missing where the system has no gate
        ("gate_bio", pa.float64()),
        ("config", pa.string()),  # digest of the run's settings
    ],
    metadata={"gbvnet": "predictions 1"},  # instead of pandas' own, which would tie the bytes to a version of pandas
)
COLUMNS = SCHEMA.names
MAY_BE_MISSING = {"gate_face", "gate_bio"}


def stamps(table: pd.DataFrame) -> list[str]:
    """Return what must be read beside any number of this table: that it leaks, that its data are synthetic."""
    synthetic = any(map(provenance.is_synthetic, table["dataset"].unique()))
    return provenance.stamps(table["protocol"].unique(), table["system"].unique(), synthetic)


def write(table: pd.DataFrame, path: Path) -> None:
    """Check a table and write it whole or not at all. The same rows, in any order, give the same bytes."""
    path = Path(path)
    _check_columns(list(table.columns), path)
    try:
        arrow = pa.Table.from_pandas(table[COLUMNS], schema=SCHEMA, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise BadRun(path, "columns of the types in gbvnet.evaluation.predictions.SCHEMA", error) from None
    arrow = arrow.sort_by([(name, "ascending") for name in [*KEYS, *WINDOW]])
    _check_values(arrow.to_pandas(), path)
    content = io.BytesIO()
    pq.write_table(arrow.replace_schema_metadata(SCHEMA.metadata), content)
    atomic_write(path, content.getvalue())


def read(path: Path) -> pd.DataFrame:
    """Read a predictions table and check everything that the scores depend on. Raises BadRun."""
    path = Path(path)
    if not path.is_file():
        raise BadRun(path, "a predictions table", "no such file", "Give the file that `gbvnet crossval` wrote.")
    try:
        arrow = pq.read_table(path, partitioning=None)
        names = arrow.column_names
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: names of columns that are no UTF-8
        raise BadRun(path, "a Parquet file", f"one that does not open ({error})", _AGAIN) from None
    _check_columns(names, path)
    for field in SCHEMA:
        kind = arrow.schema.field(field.name).type
        if _kind(kind) != _kind(field.type):
            raise BadRun(path, f"column {field.name} to hold {_kind(field.type)}", f"{kind}", _AGAIN)
    try:
        arrow = arrow.select(COLUMNS).cast(SCHEMA.remove_metadata())
        arrow.validate(full=True)
    except (pa.ArrowException, ValueError) as error:  # a number too large for its column, text that is no UTF-8
        raise BadRun(path, "values that fit their columns", f"others ({error})", _AGAIN) from None
    table = arrow.to_pandas()
    table["dataset"] = table["dataset"].map(provenance.with_current_stamp)
    _check_values(table, path)
    return table


def read_run(folder: Path) -> pd.DataFrame:
    """Read the predictions of a run folder. Raises BadRun, with how far an unfinished run has come."""
    folder = Path(folder)
    if not folder.is_dir():
        what = "a file" if folder.exists() else "no such folder"
        raise BadRun(folder, "the run folder that `gbvnet crossval` wrote", what, "Check the path.")
    if not (folder / FILE).exists() and list(folder.glob("fold*")):
        done = len({file.parents[1] for file in folder.glob(f"fold*/*/{FILE}")})
        raise BadRun(
            folder,
            "a finished run",
            f"one with predictions of {done} of {_folds_planned(folder)} folds, and no {FILE} of its own",
            "Give the same `gbvnet crossval` command again: it goes on where it stopped.",
        )
    return read(folder / FILE)


def concatenate(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return several tables as one, rows renumbered. Raises BadRun if a window of one result comes in twice."""
    table = pd.concat(tables, ignore_index=True)
    _check_values(table, Path(FILE))
    return table


_AGAIN = "The file may be damaged or from other software; run `gbvnet crossval` again."


def _folds_planned(folder: Path) -> int | str:
    try:
        return len(from_json((folder / "splits.json").read_text())["folds"])
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown number of"


def _kind(arrow_type: pa.DataType) -> str:
    """What a column holds, in words; a width or a dictionary encoding makes no difference."""
    if pa.types.is_dictionary(arrow_type):
        return _kind(arrow_type.value_type)
    kinds = {
        "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        "whole numbers": (pa.types.is_integer,),
        "real numbers": (pa.types.is_floating,),
    }
    return next((name for name, tests in kinds.items() if any(is_it(arrow_type) for is_it in tests)), str(arrow_type))


def _check_columns(names: list[str], path: Path) -> None:
    absent = [name for name in COLUMNS if name not in names]
    if absent:
        raise BadRun(path, f"the columns {', '.join(COLUMNS)}", f"a table without {', '.join(absent)}", _AGAIN)


def _check_values(table: pd.DataFrame, path: Path) -> None:
    """Refuse, naming the first offending row, what would give a wrong score or lose the word leaky."""
    if table.empty:
        raise BadRun(path, "at least one tested window", "an empty table", _AGAIN)
    needed = table[[name for name in COLUMNS if name not in MAY_BE_MISSING]]
    rules = {
        "a value in every column but the gates": needed.notna().all(axis=1),
        "p between 0 and 1": table["p"].between(0, 1),
        "prior between 0 and 1": table["prior"].between(0, 1),
        "y of 0 or 1": table["y"].isin((0, 1)),
        f"a protocol of {', '.join(PROTOCOLS)}": table["protocol"].isin(PROTOCOLS),
        "a scope of pooled or per-subject": table["scope"].isin(("pooled", "per-subject")),
        "each window tested once in a fold": ~table.duplicated(KEYS + WINDOW),
        "one y for all windows of a trial": table.groupby(KEYS + TRIAL, dropna=False)["y"].transform("nunique") == 1,
    }
    for rule, kept in rules.items():
        if not kept.all():
            row = table.index[~kept][0]
            raise BadRun(path, rule, f"{(~kept).sum()} rows against it, the first {_describe(table.loc[row])}", _AGAIN)


def _describe(row: pd.Series) -> str:
    names = ("target", "fold", "recording", "subject", "trial", "window", "y", "p", "prior", "protocol", "scope")
    return f"row {row.name} (" + ", ".join(f"{name} {row[name]}" for name in names) + ")"

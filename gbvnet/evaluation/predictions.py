"""The predictions table: one row a tested window, and all that scores and reports are made from.

Nothing here or in metrics.py knows which system made a table, or has the store at hand: the label, the rating and what
the training windows were like (`prior`) travel in each row, so that every number of a report follows from this file
alone. The columns of each task are in prediction_schema.py.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .. import provenance
from ..config import PROTOCOLS
from ..errors import BadRun
from ..io.atomic import atomic_write
from ..io.safe_load import from_json
from ..text import listed
from .prediction_schema import (
    BINARY_SCHEMA,
    GATES,
    ColumnsFitNoTask,
    Task,
    class_columns,
    n_classes_of,
    schema_of,
    task_of_schema,
)

FILE = "predictions.parquet"
KEYS = ["dataset", "system", "modality", "target", "protocol", "scope", "seed", "config"]  # one result
WINDOW = ["fold", "recording", "window"]  # one tested window within a result
TRIAL = ["subject", "trial"]

SCHEMA, COLUMNS = BINARY_SCHEMA, BINARY_SCHEMA.names  # of a binary table
RUN_FORMAT = 1  # of a run folder, in its environment.json; a run of gbvnet 0.1 has no number there and is of format 1
SUM_TOLERANCE = 1e-6  # by how much probabilities of all classes may miss a sum of 1


def task_of(table: pd.DataFrame) -> Task:
    """Return the task of a predictions table, from its columns. Raises BadRun if they fit none, or several."""
    return task_of_schema(_schema(list(table.columns), Path(FILE), whole=False))


def n_classes(table: pd.DataFrame) -> int:
    """Return how many classes a multiclass table has, from its columns; 0 for other tasks. Raises BadRun as task_of."""
    return n_classes_of(_schema(list(table.columns), Path(FILE), whole=False))


def stamps(table: pd.DataFrame) -> list[str]:
    """Return what must be read beside any number of this table: that it leaks, that its data are synthetic."""
    synthetic = any(map(provenance.is_synthetic, table["dataset"].unique()))
    return provenance.stamps(table["protocol"].unique(), table["system"].unique(), synthetic)


def write(table: pd.DataFrame, path: Path) -> None:
    """Check a table and write it whole or not at all. The same rows, in any order, give the same bytes.

    Raises BadRun for columns of other types, and for values that a predictions table cannot have.
    """
    path = Path(path)
    schema = _schema(list(table.columns), path)
    try:
        arrow = pa.Table.from_pandas(table[schema.names], schema=schema, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise BadRun(path, "columns of the types in gbvnet.evaluation.prediction_schema", error) from None
    arrow = arrow.sort_by([(name, "ascending") for name in [*KEYS, *WINDOW]])
    check_values(arrow.to_pandas(), path)
    content = io.BytesIO()
    pq.write_table(arrow.replace_schema_metadata(schema.metadata), content)
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
    schema = _schema(names, path)
    for field in schema:
        kind = arrow.schema.field(field.name).type
        if _kind(kind) != _kind(field.type):
            raise BadRun(path, f"column {field.name} to hold {_kind(field.type)}", f"{kind}", _AGAIN)
    try:
        arrow = arrow.select(schema.names).cast(schema.remove_metadata())
        arrow.validate(full=True)
    except (pa.ArrowException, ValueError) as error:  # a number too large for its column, text that is no UTF-8
        raise BadRun(path, "values that fit their columns", f"others ({error})", _AGAIN) from None
    table = arrow.to_pandas()
    table["dataset"] = table["dataset"].map(provenance.with_current_stamp)
    check_values(table, path)
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


def check_run_format(file: Path, environment: Mapping[str, Any]) -> None:
    """Raise BadRun if a run folder is of a format that this version does not know.

    environment : the contents of its environment.json, which is `file`
    """
    number = environment.get("format", RUN_FORMAT)
    if not isinstance(number, int) or number > RUN_FORMAT:
        remedy = "The run was made by a newer gbvnet: update this one."
        raise BadRun(file, f"run format {RUN_FORMAT}", f"format {number!r:.40}", remedy)


def concatenate(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return several tables as one, rows renumbered.

    Raises BadRun if a window of one result comes in twice, or the tables are of several tasks or numbers of classes.
    """
    kinds = list(dict.fromkeys(_kind_of_table(table) for table in tables))
    if len(kinds) > 1:
        raise BadRun(Path(FILE), "tables of one task, with the same classes", f"tables of {listed(kinds)}")
    table = pd.concat(tables, ignore_index=True)
    check_values(table, Path(FILE))
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


def _kind_of_table(table: pd.DataFrame) -> str:
    k = n_classes(table)
    return f"{k} classes" if k else f"{task_of(table)} predictions"


def _schema(names: list[str], path: Path, whole: bool = True) -> pa.Schema:
    try:
        return schema_of(names, whole)
    except ColumnsFitNoTask as error:
        raise BadRun(path, error.expected, error.present, _AGAIN) from None


def check_values(table: pd.DataFrame, path: Path, remedy: str = _AGAIN) -> None:
    """Refuse, naming the first offending row, what would give a wrong score or lose the word leaky. Raises BadRun."""
    schema = _schema(list(table.columns), path)
    if table.empty:
        raise BadRun(path, "at least one tested window", "an empty table", remedy)
    rules = {
        "binary": _binary_rules,
        "multiclass": _multiclass_rules,
        "regression": _regression_rules,
    }[task_of_schema(schema)](table, schema)
    rules |= {
        f"a protocol of {', '.join(PROTOCOLS)}": table["protocol"].isin(PROTOCOLS),
        "a scope of pooled or per-subject": table["scope"].isin(("pooled", "per-subject")),
        "each window tested once in a fold": ~table.duplicated(KEYS + WINDOW),
    }
    if task_of_schema(schema) != "regression":  # a number may change within a trial
        one = table.groupby(KEYS + TRIAL, dropna=False)["y"].transform("nunique") == 1
        rules["one y for all windows of a trial"] = one
    for rule, kept in rules.items():
        if not kept.all():
            row = table.index[~kept][0]
            what = f"{(~kept).sum()} rows against it, the first {_describe(table.loc[row], schema)}"
            raise BadRun(path, rule, what, remedy)


def _present(table: pd.DataFrame, schema: pa.Schema, may_be_missing: set[str]) -> pd.Series:
    """Whether all columns but some have a value, for each row."""
    return table[[name for name in schema.names if name not in may_be_missing]].notna().all(axis=1)


def _binary_rules(table: pd.DataFrame, schema: pa.Schema) -> dict[str, pd.Series]:
    return {
        "a value in every column but the gates": _present(table, schema, GATES),
        "p between 0 and 1": table["p"].between(0, 1),
        "prior between 0 and 1": table["prior"].between(0, 1),
        "y of 0 or 1": table["y"].isin((0, 1)),
    }


def _multiclass_rules(table: pd.DataFrame, schema: pa.Schema) -> dict[str, pd.Series]:
    k = n_classes_of(schema)
    rules = {"a value in every column but rating and the gates": _present(table, schema, GATES | {"rating"})}
    for names in class_columns(k):
        values, span = table[names], f"{names[0]} … {names[-1]}"
        rules[f"{span} between 0 and 1"] = ((values >= 0) & (values <= 1)).all(axis=1)
        rules[f"{span} with a sum of 1"] = (values.sum(axis=1) - 1).abs() <= SUM_TOLERANCE
    return rules | {f"y of 0 to {k - 1}": table["y"].isin(range(k))}


def _regression_rules(table: pd.DataFrame, schema: pa.Schema) -> dict[str, pd.Series]:
    finite = {
        f"{name} of a finite number": pd.Series(np.isfinite(table[name].to_numpy(float)), table.index)
        for name in ("y", "y_hat", "prior")
    }
    return (
        {"a value in every column but the gates": _present(table, schema, GATES)}
        | finite
        | {"y equal to rating": (table["y"] == table["rating"]) | _on_shuffled_labels(table)}
    )


def _on_shuffled_labels(table: pd.DataFrame) -> pd.Series:
    """Whether each row is of a probe, whose labels are those of other trials."""
    return table["system"].str.endswith(provenance.SHUFFLED_SYSTEM)


def _describe(row: pd.Series, schema: pa.Schema) -> str:
    predicted = {
        "binary": ["p", "prior"],
        "multiclass": [name for names in class_columns(n_classes_of(schema)) for name in names],
        "regression": ["rating", "y_hat", "prior"],
    }[task_of_schema(schema)]
    names = ("target", "fold", "recording", "subject", "trial", "window", "y", *predicted, "protocol", "scope")
    return f"row {row.name} (" + ", ".join(f"{name} {row[name]}" for name in names) + ")"

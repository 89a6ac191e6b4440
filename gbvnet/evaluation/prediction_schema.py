"""The columns of a predictions table for each task; which columns stand in a table says which task it is of.

| task | label `y` | prediction | in the windows that the fold was trained on |
|---|---|---|---|
| binary | 1 high, 0 low | `p`: probability of high | `prior`: share of high |
| multiclass | 0 to K-1 | `p_0 … p_{K-1}`: probability of each class | `prior_0 … prior_{K-1}`: share of each class |
| regression | the rating, in its own units | `y_hat`, in the same units | `prior`: mean of y |
"""

import re
from collections.abc import Collection, Sequence
from typing import Literal

import pyarrow as pa

from ..text import shortened

Task = Literal["binary", "multiclass", "regression"]
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")

_BEFORE = [
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
    ("rating", pa.float64()),  # as the subject gave it, on the scale of the corpus; may be missing for a class
]
_AFTER = [
    ("gate_face", pa.float64()),  # mean gate of a modality; missing where the system has no gate
    ("gate_bio", pa.float64()),
    ("config", pa.string()),  # digest of the run's settings
]
# The metadata stand instead of pandas' own, which would tie the bytes to a version of pandas.
BINARY_SCHEMA = pa.schema(
    [*_BEFORE, ("y", pa.int8()), ("p", pa.float64()), ("prior", pa.float64()), *_AFTER],
    metadata={"gbvnet": "predictions 1"},
)
REGRESSION_SCHEMA = pa.schema(
    [*_BEFORE, ("y", pa.float64()), ("y_hat", pa.float64()), ("prior", pa.float64()), *_AFTER],
    metadata={"gbvnet": "predictions 1 regression"},
)
GATES = {"gate_face", "gate_bio"}  # the columns that may be missing in every task
_OF_CLASS = re.compile(r"(?:p|prior)_(0|[1-9][0-9]{0,2})")
_PREDICTIONS = {"binary": "p", "multiclass": "p_0 … p_{K-1}", "regression": "y_hat"}


def multiclass_schema(n_classes: int) -> pa.Schema:
    """Return the schema of a table of K classes, K >= 2."""
    p, prior = class_columns(n_classes)
    fields = [(name, pa.float64()) for name in (*p, *prior)]
    return pa.schema([*_BEFORE, ("y", pa.int16()), *fields, *_AFTER], metadata={"gbvnet": "predictions 1 multiclass"})


def class_columns(n_classes: int) -> tuple[list[str], list[str]]:
    """Return the names of the probabilities and of the priors of K classes: p_0 ... p_{K-1}, prior_0 ... ."""
    return [f"p_{k}" for k in range(n_classes)], [f"prior_{k}" for k in range(n_classes)]


def n_classes_of(schema: pa.Schema) -> int:
    """Return K of a multiclass schema; 0 for any other."""
    return sum(name.startswith("p_") for name in schema.names)


def task_of_schema(schema: pa.Schema) -> Task:
    """Return the task that a schema of this file is for."""
    return next((task for task in TASKS[1:] if task in schema.metadata[b"gbvnet"].decode()), "binary")


def schema_of(names: Collection[str], whole: bool = True) -> pa.Schema:
    """Return the schema that a table with columns of these names has. Columns of no schema make no difference.

    whole : whether all columns of the schema must be there, or only label, prediction and prior, which tell the task

    Raises ColumnsFitNoTask if they are not, or if predictions of several tasks are there.
    """
    numbers = [int(match[1]) for name in names if (match := _OF_CLASS.fullmatch(str(name)))]
    candidates: dict[Task, pa.Schema] = {"binary": BINARY_SCHEMA, "regression": REGRESSION_SCHEMA}
    if numbers:
        candidates["multiclass"] = multiclass_schema(max(2, 1 + max(numbers)))
    fitting = [task for task in TASKS if task in candidates and _own_columns(candidates[task]) <= set(names)]
    if len(fitting) > 1:
        several = " and ".join(f"{_PREDICTIONS[task]} ({task})" for task in fitting)
        raise ColumnsFitNoTask("predictions of one task", f"a table with {several}")
    begun = {"binary": "p" in names, "multiclass": bool(numbers), "regression": "y_hat" in names}
    task = next(iter([*fitting, *(task for task in TASKS if begun[task])]), None)
    if task is None:
        each = ", ".join(f"{name} ({task})" for task, name in _PREDICTIONS.items())
        raise ColumnsFitNoTask("the predictions of one task", f"a table without any of {each}")
    schema = candidates[task]
    missing = [name for name in schema.names if name not in names]
    if missing and (whole or not fitting):
        columns = ", ".join(_for_reading(schema.names))
        raise ColumnsFitNoTask(f"the columns {columns}", f"a table without {shortened(missing, 12)}")
    return schema


def _own_columns(schema: pa.Schema) -> set[str]:
    """The columns by which a task differs from the others: label, predictions, priors."""
    common = {name for name, _ in (*_BEFORE, *_AFTER)}
    return {name for name in schema.names if name not in common}


class ColumnsFitNoTask(Exception):
    """Columns that are of no task, or of several: what was expected, and what is there."""

    def __init__(self, expected: str, present: str):
        super().__init__(expected, present)
        self.expected, self.present = expected, present


def _for_reading(names: Sequence[str]) -> list[str]:
    """Names with those of the classes in short: p_0 … p_2."""
    last = max((int(match[1]) for name in names if (match := _OF_CLASS.fullmatch(name))), default=0)
    shown = [name for name in names if not _OF_CLASS.fullmatch(name) or name in ("p_0", "prior_0")]
    return [f"{name} … {name[:-1]}{last}" if name in ("p_0", "prior_0") else name for name in shown]

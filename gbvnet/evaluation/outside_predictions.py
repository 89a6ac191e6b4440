"""Predictions of other programs: a CSV, TSV or Parquet file with one row a window, read with bounds and checked.

Read here are the columns that identify a window, its fold and its prediction, and what else the file may have of a
predictions table. outside_labels.py adds the labels, the protocol and the prior. Nothing in such a file is trusted: its
size, text, names and numbers are checked first, and each refusal names the file and the first row at fault.
"""

import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from ..errors import BadInput
from ..text import listed, shortened
from .prediction_schema import Task, class_columns
from .split_check import COLUMNS, SIDES

SUFFIXES = (".csv", ".tsv", ".parquet")
MAX_BYTES, MAX_ROWS, MAX_COLUMNS = 2**29, 5_000_000, 2000
MAX_RESULTS = 100  # systems, targets and so on in one file: each gets a section of the report
MAX_NAME, MAX_RESULT_NAME = 200, 60  # characters of a name; of one that tables and figures show
MAX_SUM_ERROR = 1e-3  # by which probabilities of all classes may miss a sum of 1, as rounded ones do

RESULT = ("dataset", "system", "modality", "target", "protocol", "scope", "seed")  # the same in all rows of a result
# What other programs call a column; the first name counts where several are there. A recording is no trial here.
NAMES: dict[str, tuple[str, ...]] = {
    "recording": ("recording", "recording_id"),
    **{unit: tuple(name for name in names if name != "recording") for unit, names in COLUMNS.items()},
    **{name: (name,) for name in RESULT if name != "seed"},
}
NUMBERS = ("start_s", "rating", "y", "prior", "seed")
REMEDY = "docs/outside.md has the columns and an example."
_OF_CLASS = re.compile(r"(?:p|prior)_(0|[1-9][0-9]{0,2})")


@dataclass(frozen=True)
class OutsideFile:
    """A file of predictions, read.

    rows : one row a window, under its number in the file from 1; columns fold and side (str), window (int), recording
        or subject and trial (str), and what else the file has: stimulus, RESULT (str, seed int), start_s, rating, y,
        p | p_0 ... | y_hat, prior | prior_0 ... (float). Rows that are not on the test side may lack predictions.
    sides : whether the file says which rows are trained on; if not, all rows are tested
    """

    path: Path
    sha256: str
    rows: pd.DataFrame
    task: Task
    n_classes: int  # 0 unless the task is multiclass
    sides: bool

    @property
    def system(self) -> str:
        """The name of the system in a file that does not say it: the file's own, without its ending."""
        return self.path.stem

    @property
    def predicted(self) -> list[str]:
        """The names of the columns with predictions."""
        return _prediction_columns(self.task, self.n_classes)[0]

    @property
    def prior(self) -> list[str]:
        """The names of the columns with priors, whether or not the file has them."""
        return _prediction_columns(self.task, self.n_classes)[1]

    def results(self) -> Iterator[pd.DataFrame]:
        """Yield the rows of each system, target, seed and so on, in the order in which they first appear."""
        names = [name for name in RESULT if name in self.rows]
        if not names:
            yield self.rows
            return
        yield from (rows for _, rows in self.rows.groupby(names, sort=False))

    def error(self, expected: str, what: str, remedy: str = REMEDY) -> BadInput:
        """Return an error of this file: what was expected, what is there, what to do."""
        return BadInput(self.path, expected, what, remedy)

    def at_fault(self, expected: str, fault: pd.Series, remedy: str = REMEDY) -> BadInput:
        """Return an error that names the first row at fault.

        fault : bool, under the numbers of rows; at least one is true
        """
        return self.error(expected, _describe_fault(self.rows, fault), remedy)


def is_table(path: Path) -> bool:
    """Return whether a path is to be read as a file of predictions: any file, or a name that ends as one does."""
    return path.is_file() or (path.suffix.lower() in SUFFIXES and not path.is_dir())


def read_outside(path: str | Path) -> OutsideFile:
    """Read a file of predictions of another program. Raises BadInput with the first thing that is wrong."""
    path = Path(path)
    content = _content(path)
    arrow = (_of_parquet if path.suffix.lower() == ".parquet" else _of_text)(path, content)
    task, n_classes = _task(path, arrow.column_names, arrow.column_names)
    rows = _typed(path, arrow, _prediction_columns(task, n_classes))
    file = OutsideFile(path, hashlib.sha256(content).hexdigest(), rows, task, n_classes, "side" in rows)
    _require_columns(file)
    if not file.sides:
        rows["side"] = "test"
    else:
        _read_sides(file)
    _check_numbers(file)
    _check_results(file)
    if "system" not in rows and not (_is_plain(file.system) and len(file.system) <= MAX_RESULT_NAME):
        raise file.error("a column system, or a plain name of the file", f"a file named {path.name!r:.80}")
    return file


# --- from bytes to columns ---


def _content(path: Path) -> bytes:
    kinds = "predictions in a file that ends in .csv, .tsv or .parquet"
    if not path.is_file():
        raise BadInput(path, kinds, "no such file", "Check the path.")
    if path.suffix.lower() not in SUFFIXES:
        what = f"a file that ends in {path.suffix}" if path.suffix else "a file without an ending"
        raise BadInput(path, f"a run folder, or {kinds}", what, "Save the table as CSV.")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BadInput(path, f"at most {MAX_BYTES / 2**20:.0f} MiB", f"{size / 2**20:,.0f} MiB", "Split the file.")
    if not size:
        raise BadInput(path, "a table of predictions", "an empty file", REMEDY)
    return path.read_bytes()


def _of_text(path: Path, content: bytes) -> pa.Table:
    """The columns that are known, each as text, under the names of `_known`."""
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    head = content[: 2**20].split(b"\n", 1)[0]
    try:
        names = next(csv.reader([head.decode("utf-8-sig").rstrip("\r")], delimiter=separator), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(path, "text in UTF-8", f"a head that does not read ({error})", "Save it as UTF-8.") from None
    if len(names) == 1 and any(other in names[0] for other in ";\t,"):
        what, remedy = f"one column named {names[0]!r:.80}", "Use commas in .csv, tabs in .tsv, and points in numbers."
        raise BadInput(path, f"columns separated by {'tabs' if separator != ',' else 'commas'}", what, remedy)
    known = _known(path, names)
    places = [f"c{k}" for k in range(len(names))]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(content),
            arrow_csv.ReadOptions(column_names=places, skip_rows=1, use_threads=False),
            arrow_csv.ParseOptions(delimiter=separator),
            arrow_csv.ConvertOptions(
                include_columns=[places[k] for k in known.values()],
                column_types=dict.fromkeys(places, pa.string()),
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, ValueError) as error:  # lines of another length, text that is no UTF-8
        expected = "text in UTF-8" if "UTF8" in str(error) else "as many cells in each row as in the head"
        raise BadInput(path, expected, _one_line(error), "Write it again as CSV in UTF-8.") from None
    _require_size(path, table.num_rows, len(names))
    return table.rename_columns(list(known))


def _of_parquet(path: Path, content: bytes) -> pa.Table:
    """The columns that are known, under the names of `_known`.

    Text stays encoded, as a long one may be repeated often in a small file.
    """
    try:
        opened = pq.ParquetFile(pa.BufferReader(content))
        names = opened.schema_arrow.names
        _require_size(path, opened.metadata.num_rows, len(names))
        known = _known(path, names)
        chosen = [names[k] for k in known.values()]
        size = sum(opened.metadata.row_group(k).total_byte_size for k in range(opened.num_row_groups))
        if size > 4 * MAX_BYTES:
            raise BadInput(path, f"at most {4 * MAX_BYTES / 2**20:.0f} MiB of columns", f"{size / 2**20:,.0f} MiB")
        text = [name for name in chosen if _is_text(opened.schema_arrow.field(name).type)]
        table = pq.read_table(pa.BufferReader(content), columns=chosen, read_dictionary=text, partitioning=None)
        table = table.select(chosen)
        table.validate(full=True)
    except BadInput:
        raise
    except Exception as error:  # a damaged Parquet file can raise anything
        raise BadInput(path, "a Parquet file", f"one that does not open ({_one_line(error)})", REMEDY) from None
    return table.rename_columns(list(known))


def _one_line(error: Exception) -> str:
    return f"{' '.join(str(error).split())!s:.200}"


def _require_size(path: Path, rows: int, columns: int) -> None:
    if not rows:
        raise BadInput(path, "at least one row", "a head without rows", REMEDY)
    for what, count, most in (("rows", rows, MAX_ROWS), ("columns", columns, MAX_COLUMNS)):
        if count > most:
            raise BadInput(path, f"at most {most:,} {what}", f"{count:,}", "Give the tested windows of one study.")


def _known(path: Path, names: Sequence[str]) -> dict[str, int]:
    """The columns that are read: gbvnet's name of each -> its place in the file.

    Raises BadInput for a name twice, and if the columns are of no task.
    """
    plain = [name.strip().lower() for name in names]
    known: dict[str, int] = {}
    for column, others in NAMES.items():
        have = [name for name in others if name in plain]
        if len(have) > 1 and have[0] != column:
            what = f"{listed(have)}: which of them is it?"
            raise BadInput(path, f"one column {column}", what, f"Name one of them {column}.")
        if have:
            known[column] = plain.index(have[0])
    wanted = {*NUMBERS, "p", "y_hat"}
    known |= {name: k for k, name in enumerate(plain) if name in wanted or _OF_CLASS.fullmatch(name)}
    twice = [plain[k] for k in known.values() if plain.count(plain[k]) > 1]
    if twice:
        raise BadInput(path, "each column once", f"two columns {twice[0]}", "Delete or rename one of them.")
    _task(path, list(known), names)
    return known


def _task(path: Path, names: Sequence[str], all_names: Sequence[str]) -> tuple[Task, int]:
    """The task that the names of known columns tell, and the number of classes of several."""
    numbers = sorted(int(name[2:]) for name in names if _OF_CLASS.fullmatch(name) and name.startswith("p_"))
    kinds: dict[str, Task] = {"p": "binary", "y_hat": "regression"}
    have = [*(name for name in kinds if name in names), *(["p_0 …"] if numbers else [])]
    expected = "one kind of prediction: p, or p_0 … p_{K-1}, or y_hat"
    if len(have) != 1:
        what = listed(have) if have else f"none among the columns {shortened(list(all_names), 12)}"
        raise BadInput(path, expected, what, REMEDY)
    if not numbers:
        return kinds[have[0]], 0
    if numbers != list(range(len(numbers))) or len(numbers) < 2:
        what = f"columns {shortened([f'p_{k}' for k in numbers], 12)}"
        raise BadInput(path, "p_0, p_1 and so on, one for each class, without a gap", what, REMEDY)
    return "multiclass", len(numbers)


def _prediction_columns(task: Task, n_classes: int) -> tuple[list[str], list[str]]:
    """The names of predictions and priors."""
    if task == "multiclass":
        return class_columns(n_classes)
    return (["p"] if task == "binary" else ["y_hat"]), ["prior"]


# --- from columns to values ---


def _typed(path: Path, arrow: pa.Table, predicted: tuple[list[str], list[str]]) -> pd.DataFrame:
    """Names as text without spaces around, numbers as float64, window and seed as int64."""
    prior = [name for name in predicted[1] if name in arrow.column_names]
    if prior and len(prior) < len(predicted[1]):
        raise BadInput(path, f"all of {shortened(predicted[1], 12)}, or none", f"only {shortened(prior, 12)}", REMEDY)
    numbers = [name for name in (*predicted[0], *prior, *NUMBERS) if name in arrow.column_names]
    columns: dict[str, np.ndarray] = {}
    for name in (name for name in NAMES if name in arrow.column_names):
        columns[name] = _text(path, name, arrow[name])
    for name in dict.fromkeys(numbers):
        columns[name] = _numbers(path, name, arrow[name])
    rows = pd.DataFrame(columns, index=pd.RangeIndex(1, arrow.num_rows + 1))
    for name in ("window", "seed"):
        if name in rows:
            rows[name] = _whole(path, name, rows)
    return rows


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(is_it(kind) for is_it in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _encoded(path: Path, name: str, column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Text as (values without spaces around, object; the place of each row's value among them, -1 for none)."""
    whole = column.combine_chunks()
    whole = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    values = [str(value or "").strip() for value in whole.dictionary.to_pylist()]
    most = MAX_RESULT_NAME if name in RESULT else MAX_NAME
    long = next((value for value in values if len(value) > most), None)
    if long is not None:
        raise BadInput(path, f"at most {most} characters in column {name}", f"{long!r:.40}…", "Use shorter names.")
    return np.array([*values, ""], object), whole.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)


def _text(path: Path, name: str, column: pa.ChunkedArray) -> np.ndarray:
    """(n,) str; refuses cells without a name, and what no name has."""
    kind = column.type
    if pa.types.is_floating(kind):  # what pandas makes of whole numbers beside an empty cell
        values = column.to_numpy()
        texts = np.array(["" if np.isnan(value) else f"{value:.15g}" for value in values], object)
    elif pa.types.is_integer(kind):
        texts = np.array(["" if value is None else str(value) for value in column.to_pylist()], object)
    elif _is_text(kind):
        distinct, places = _encoded(path, name, column)
        texts = distinct[places]
    else:
        raise BadInput(path, f"text in column {name}", f"{kind}", REMEDY)
    cells = pd.Series(texts, pd.RangeIndex(1, len(texts) + 1))
    odd = cells.map({text: not _is_plain(text) for text in set(texts)}).astype(bool)
    for expected, fault in ((f"a {name} in each row", cells == ""), (f"a plain name as {name}", odd)):
        if fault.any():
            raise BadInput(path, expected, _describe_fault(cells.to_frame(name), fault), "Correct or delete the row.")
    return texts


def _is_plain(name: str) -> bool:
    """Whether a name can stand in a table and in a figure, in which dollars would begin a formula."""
    return name.isprintable() and "$" not in name


def _numbers(path: Path, name: str, column: pa.ChunkedArray) -> np.ndarray:
    """(n,) float64, NaN where a cell is empty; refuses text."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return column.cast(pa.float64(), safe=False).to_numpy().astype("float64")
    if not _is_text(kind):
        raise BadInput(path, f"numbers in column {name}", f"{kind}", REMEDY)
    distinct, places = _encoded(path, name, column)
    values = pd.to_numeric(pd.Series(distinct, dtype=object), errors="coerce").astype("float64").to_numpy()
    blank = np.isin(distinct, ["", "NA", "NaN", "nan", "null"])
    wrong = np.isnan(values) & ~blank
    fault = wrong[places]
    if fault.any():
        cells = pd.DataFrame({name: distinct[places]}, index=pd.RangeIndex(1, len(places) + 1))
        what = _describe_fault(cells, pd.Series(fault, cells.index))
        raise BadInput(path, f"numbers in column {name}", what, "Write numbers with a point, without units.")
    return values[places]


def _whole(path: Path, name: str, rows: pd.DataFrame) -> np.ndarray:
    """(n,) int64; refuses what is no whole number."""
    values = pd.to_numeric(rows[name], errors="coerce").to_numpy("float64")
    fault = ~(np.isfinite(values) & (np.abs(values) < 2**53))
    fault |= np.where(fault, 0, values) % 1 != 0
    if fault.any():
        what = _describe_fault(rows, pd.Series(fault, rows.index), name)
        remedy = "Windows are numbered from 0 within each recording." if name == "window" else REMEDY
        raise BadInput(path, f"a whole number as {name}", what, remedy)
    return values.astype("int64")


def _describe_fault(rows: pd.DataFrame, fault: pd.Series, also: str = "") -> str:
    """The first row at fault, by its number and what identifies it, and how many there are."""
    number = fault.index[int(fault.to_numpy().argmax())]
    names = ("target", "system", "recording", "subject", "trial", "window", "fold")
    shown = [name for name in dict.fromkeys((also, *names)) if name in rows]
    shown = shown or list(rows.columns[:1])
    cells = ", ".join(f"{name} {str(rows.at[number, name])!r:.60}" for name in shown)
    return f"row {number} below the head ({cells}), of {int(fault.sum()):,} such rows"


# --- what a file must have ---


def _require_columns(file: OutsideFile) -> None:
    have = set(file.rows)
    missing = [name for name in ("window", "fold") if name not in have]
    if "recording" not in have and not {"subject", "trial"} <= have:
        missing.insert(0, "recording (or subject and trial)")
    if missing:
        columns = shortened([str(name) for name in file.rows if name != "side"], 12)
        raise file.error(f"a column {' and a column '.join(missing)}", f"the columns {columns}")


def _read_sides(file: OutsideFile) -> None:
    """Write sides in gbvnet's words. What chooses a model was used to train it: validation counts as training."""
    words = {word: side for side, words in SIDES.items() for word in words}
    side = file.rows["side"].str.lower().map(words)
    if side.isna().any():
        raise file.at_fault(f"a side of {listed(list(words))}", side.isna())
    file.rows["side"] = side.replace("validation", "train")
    if not (side == "test").any():
        raise file.error("rows on the test side", "none")


def _check_numbers(file: OutsideFile) -> None:
    """Refuse predictions and priors that are no numbers in their range. Classes' probabilities get a sum of 1."""
    rows, tested = file.rows, file.rows["side"] == "test"
    columns = [*file.predicted, *(name for name in file.prior if name in rows)]
    for name in columns:
        values = rows[name]
        inside = np.isfinite(values) if file.task == "regression" else values.between(0, 1)
        fault = tested & ~inside
        if fault.any():
            expected = f"a {name} that is {'a number' if file.task == 'regression' else 'between 0 and 1'}"
            raise BadInput(file.path, expected, _describe_fault(rows, fault, name), _RANGES[file.task])
    if file.task != "multiclass":
        return
    for names in (file.predicted, [name for name in file.prior if name in rows]):
        sums = rows[names].sum(axis=1)
        fault = tested & ((sums - 1).abs() > MAX_SUM_ERROR) if names else pd.Series(False, rows.index)
        if fault.any():
            raise file.at_fault(f"{names[0]} … {names[-1]} with a sum of 1", fault)
        rows.loc[tested, names] = rows.loc[tested, names].div(sums[tested], axis=0)


_RANGES = {
    "binary": "p is the probability of the positive (high) class; give one for each tested window.",
    "multiclass": "p_0, p_1 … are the probabilities of the classes; give them for each tested window.",
    "regression": "y_hat is the predicted rating; give one for each tested window.",
}


def _check_results(file: OutsideFile) -> None:
    """Refuse more results than a report can show, and windows that are tested twice in one of them."""
    names = [name for name in RESULT if name in file.rows]
    if names and len(file.rows[names].drop_duplicates()) > MAX_RESULTS:
        what = f"{len(file.rows[names].drop_duplicates()):,} by the columns {listed(names)}"
        raise file.error(f"at most {MAX_RESULTS} results", what)
    window = ["recording"] if "recording" in file.rows else ["subject", "trial"]
    tested = file.rows[file.rows["side"] == "test"]
    twice = tested.duplicated([*names, *window, "window"])
    if twice.any():
        fault = pd.Series(False, file.rows.index)
        fault[twice.index[twice]] = True
        remedy = "Repeated cross-validations are several results: give each a number in a column seed."
        raise file.at_fault("each window tested once by a system", fault, remedy)

"""The files that describe a user's recordings: recordings.csv and table.yaml, or one YAML file for both.

datasets/table.py says what the columns mean.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import pandas as pd
import yaml
from msgspec import Meta

from ..config import RATINGS
from ..errors import BadRecording
from ..io.records import convert
from ..io.safe_load import from_yaml
from ..text import did_you_mean, sentence, shortened
from .channel_names import same_channels
from .formats.text_file import COMMENTS, number_of, read_text, stated_delimiter
from .label_columns import RATING_COLUMNS, LabelColumn, label_columns, label_settings
from .names import file_name_error, normal
from .recording import Kind
from .signal_sources import SignalSource, parse_sources, unix_seconds_of

TABLE, SETTINGS, ROWS = "recordings.csv", "table.yaml", "recordings"
COLUMNS = (
    "recording", "subject", "trial", "stimulus", "video", "signals", "start_s", "stop_s", "baseline_start_s",
    "video_offset_s", "video_times", "ratings_file", "recording_start_utc",
)  # fmt: skip
FILES = ("video", "signals", "video_times", "ratings_file")  # columns that name a file
NEEDED = ("subject", "trial", "start_s", "stop_s")
LATEST_S = 1e10  # on any clock; seconds since 1970 are below it, milliseconds are not
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
WORDS = ("low", "high")  # instead of a number: the ends of its scale
# How names of labels begin or end, besides those of the usual ratings.
_LABELS = ("label", "class", "emotion", "target", "category", "affect", "mood", "stress", "rating", *RATINGS)
_EXAMPLE = "labels: {valence: {scale: [1, 9]}, stress: {classes: [none, some, much]}}"
_MOST_SHOWN = 12  # classes in a line that is suggested
_KINDS: tuple[str, ...] = get_args(Kind)

# ---------------------------------------------------------------- settings


@dataclass(frozen=True)
class Settings:
    """table.yaml: the settings of all recordings of a table. The `description` of a type is its name in messages."""

    dataset: Annotated[str, Meta(pattern=rf"^{NAME}\Z", description="a name of letters, digits, points and dashes")] = (
        "table"
    )
    """name of the corpus in stores and reports"""
    rate_hz: Annotated[float, Meta(ge=1, le=10_000, description="a number from 1 to 10000")] = 128.0
    """sampling rate of the store; signals are resampled to it"""
    baseline_s: Annotated[float, Meta(ge=0, le=3600, description="a number of seconds from 0 to 3600")] = 3.0
    """seconds of baseline before each stimulus; 0 for none"""
    frames_per_s: Annotated[int, Meta(ge=1, le=1000, description="a whole number from 1 to 1000")] = 10
    """face frames per second in the store"""
    channels: Annotated[dict[Any, Any], Meta(description="a kind for each name (Fp1: eeg)")] = field(
        default_factory=dict
    )
    """name -> kind (eeg, ecg, gsr, resp, ppg, temp, emg, eog); all files must have them. Default: the channels of the
    first file whose names have a known kind"""
    filtered: Annotated[bool, Meta(description="true or false")] = False
    """true if the signals are filtered already and must not be filtered again"""
    signals_rate_hz: Annotated[
        Annotated[float, Meta(ge=1, le=1e6)] | None, Meta(description="a number from 1 to 1000000")
    ] = None
    """sampling rate of CSV and TSV files without a column `time`"""
    signals_unit: Annotated[Literal["uV", "mV", "V"], Meta(description="uV, mV, V")] = "uV"
    """unit of electrical channels in CSV and TSV files; other formats state theirs"""
    labels: tuple[LabelColumn, ...] = RATING_COLUMNS
    """the columns of the table that are labels, with their scale or classes (label_columns.py). Default: the usual
    ratings, from 1 to 9"""


def read_settings(file: Path) -> Settings:
    """What table.yaml sets, or the defaults where there is none. Raises BadRecording naming what is wrong in it."""
    held = {name: value for name, value in _read_yaml(file).items() if name != ROWS}
    known = [f.name for f in fields(Settings)]
    for name in held:
        if name not in known:
            hint = sentence(did_you_mean(str(name), known))
            raise BadRecording(file, "settings that exist", f"{name!r}", hint)
    for name in ("channels", "labels"):
        if held.get(name, ()) is None:  # `channels:` with all of its lines commented out
            del held[name]
    labels = {"labels": _read_labels(file, held.pop("labels"))} if "labels" in held else {}
    kinds = get_type_hints(Settings, include_extras=True)
    for name, value in held.items():
        try:
            held[name] = convert(value, kinds[name])
        except ValueError:
            raise BadRecording(file, f"{_description(kinds[name])} for {name}", repr(value)) from None
    channels = {str(name): kind for name, kind in held.get("channels", {}).items()}
    for name, kind in channels.items():
        if kind not in _KINDS:
            raise BadRecording(file, f"a kind of {', '.join(_KINDS)} for channel {name}", repr(kind))
    for spellings in same_channels(list(channels)):
        raise BadRecording(file, "each channel once", f"{' and '.join(spellings)}, which are one electrode")
    return Settings(**(held | labels | ({"channels": channels} if channels else {})))


def _read_labels(file: Path, declared: Any) -> tuple[LabelColumn, ...]:
    """Return the label columns that table.yaml declares; names in capital letters are those of the table in small ones.

    Raises BadRecording.
    """
    small = {str(k).lower(): v for k, v in declared.items()} if isinstance(declared, dict) else declared
    try:
        columns = label_columns(small)
    except ValueError as error:
        remedy = f"As in `{_EXAMPLE}`; put quotes around classes such as yes, no and 1.5."
        raise BadRecording(file, "label columns under `labels`", f"other contents ({error})", remedy) from None
    if not columns:
        raise BadRecording(file, "at least one label column under `labels`", "none", f"As in `{_EXAMPLE}`.")
    return columns


def _description(kind: Any) -> str:
    """Return the name of an annotated type in messages."""
    return next(str(meta.description) for meta in get_args(kind) if isinstance(meta, Meta))


def _read_yaml(file: Path) -> dict:
    """The top of a YAML file; empty where there is no file."""
    if not file.exists():
        return {}
    try:
        held = from_yaml(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise BadRecording(file, "settings as YAML", f"a file that does not read ({error})") from None
    if held is not None and not isinstance(held, dict):
        raise BadRecording(file, "settings as YAML, a name and a value in each line", f"a {type(held).__name__}")
    return held or {}


# ---------------------------------------------------------------- the table


def find_table(root: Path) -> tuple[Path, Path]:
    """The files that hold the rows and the settings: given as a file, or as the folder of both.

    Raises BadRecording if there is no table, or two.
    """
    if root.is_file():
        return root, root if root.suffix.lower() in (".yaml", ".yml") else root.parent / SETTINGS
    table, settings = root / TABLE, root / SETTINGS
    in_yaml = ROWS in _read_yaml(settings)
    if in_yaml and table.exists():
        raise BadRecording(settings, f"recordings in one file, here or in {TABLE}", "them in both")
    return (settings if in_yaml else table), settings


def read_table(file: Path, labels: Sequence[LabelColumn]) -> pd.DataFrame:
    """The table as text, one row a trial, with the columns `labels`.

    Three columns are added: `line`, its line in the file; `signal_files`, a tuple of SignalSource, of which `signals`
    is the first path; and `refused`, None or what was expected, what was found and what to do, where its names or its
    signal files cannot be used or another row has its names too. Raises BadRecording for what makes the whole table
    unusable.
    """
    lines, cells = zip(
        *(_yaml_rows(file) if file.suffix.lower() in (".yaml", ".yml") else _csv_rows(file)), strict=True
    )
    rows = pd.DataFrame(list(cells), dtype=object).fillna("").assign(line=list(lines))
    named = list(dict.fromkeys(name for row in cells for name in row))
    absent = [name for name in NEEDED if name not in named]
    if absent or not {"video", "signals"} & set(named):
        wanted = ", ".join(absent or ["video or signals"])
        actual = f"none named {wanted}, but {', '.join(named)}"
        raise BadRecording(file, f"columns {', '.join(NEEDED)}, and video or signals", actual)
    _refuse_unknown(file, rows[named], labels)
    rows = rows.assign(**{name: "" for name in (*COLUMNS, *(c.name for c in labels)) if name not in rows})
    for name in ("subject", "trial", "recording", "stimulus"):
        rows[name] = rows[name].map(normal)  # the same letters in another form of Unicode are the same name
    rows["recording"] = rows["recording"].where(rows["recording"] != "", rows["subject"] + "_" + rows["trial"])
    cells_of = zip(rows["signals"], rows["recording_start_utc"], strict=True)
    sources, wrong = zip(*(_signal_files(file.parent, *of_row) for of_row in cells_of), strict=True)
    rows = rows.assign(signals=[str(of[0].file) if of else "" for of in sources])
    for name in FILES:
        rows[name] = [existing_path(file.parent, cell) for cell in rows[name]]
    rows = rows.assign(signal_files=pd.Series(sources, index=rows.index, dtype=object))
    refused = [by_name or of_files for by_name, of_files in zip(_refused(rows), wrong, strict=True)]
    rows = rows.assign(refused=pd.Series(refused, index=rows.index, dtype=object))
    nameless = "line " + rows["line"].astype(str)  # what a row without a subject is listed under
    return rows.assign(subject=rows["subject"].where(rows["subject"] != "", nameless))


def _signal_files(folder: Path, cell: Any, start: str) -> tuple[tuple[SignalSource, ...], tuple[str, str, str] | None]:
    """Return the signal files of a cell, as they are called on this disk; and, where it cannot be read, none and what
    was expected, what was found and what to do.

    start : the cell recording_start_utc
    """

    def exists(text: str) -> bool:
        return bool(text) and (folder / existing_path(folder, text)).exists()

    try:
        sources = parse_sources(cell, exists, folder)
    except BadRecording as error:
        return (), (str(error.expected), str(error.found), str(error.remedy))
    start_s = unix_seconds_of(start) if start else None
    if start and start_s is None:
        expected = "a date with a time zone in recording_start_utc, as 2024-03-05T10:11:12Z, or seconds since 1970"
        return (), (expected, repr(start), "It is when second 0 of this row was.")
    return tuple(
        replace(one, file=Path(existing_path(folder, str(one.file))), recording_start_unix_s=start_s) for one in sources
    ), None


def _refused(rows: pd.DataFrame) -> list[tuple[str, str, str] | None]:
    """Return what was expected and found in each row that is a duplicate or has names that cannot be used."""
    content = [name for name in rows if name != "line"]
    lines: dict[tuple[str, ...], list[int]] = {}
    for by in (("recording",), ("subject", "trial")):
        for line, *names in rows[["line", *by]].itertuples(index=False):
            lines.setdefault((*by, *names), []).append(line)
    copy = dict(zip(rows["line"], rows.duplicated(content), strict=True))
    refused = []
    for row in rows.to_dict("records"):
        same = sorted({*lines["recording", row["recording"]], *lines["subject", "trial", row["subject"], row["trial"]]})
        refused.append(_name_refused(row) or _row_refused(row, [line for line in same if line != row["line"]], copy))
    return refused


def _name_refused(row: dict) -> tuple[str, str, str] | None:
    for name in ("subject", "trial", "recording"):
        if not is_name(row[name]):
            actual = repr(row[name]) if row[name] else "nothing"
            return (
                f"a {name} of letters, digits, points, dashes and underscores",
                actual,
                "It begins with a letter or digit.",
            )
    reason = file_name_error(row["recording"])
    remedy = "Give the recording a name of its own in the column `recording`."
    return ("a recording whose name can be a file's", reason, remedy) if reason else None


def _row_refused(row: dict, same: list[int], copy: dict[int, bool]) -> tuple[str, str, str] | None:
    """same : lines with the same recording, or the same trial of a subject. Of equal rows the first counts."""
    others = [line for line in same if not copy[line]] if not copy[row["line"]] else same
    if not others:
        return None
    actual = f"{row['recording']} again in line{'s' * (len(others) > 1)} {', '.join(map(str, others))}"
    remedy = "Delete all but one." if copy[row["line"]] else "Which of them is meant? Correct or delete the others."
    return "each recording, and each trial of a subject, once", actual, remedy


def is_name(text: str) -> bool:
    """Whether a subject, trial or recording may be called so: letters and digits of any script, points, dashes and
    underscores; the first a letter or digit."""
    return text[:1].isalnum() and all(c.isalnum() or c in "._-" or unicodedata.category(c)[0] == "M" for c in text)


def existing_path(folder: Path, cell: str) -> str:
    """A file's path as it is on this disk: a table from Windows has backslashes, and a letter with an accent may have
    one form of Unicode in the table and another in the file's name. What is found in no way stays as it is."""
    if (cell.isascii() and "\\" not in cell) or (folder / cell).exists():
        return cell
    for path in (cell, cell.replace("\\", "/")):
        at: Path | None = folder
        for part in Path(path).parts:
            at = at and _entry(at, part)
        if at is not None:
            return at.relative_to(folder).as_posix() if at.is_relative_to(folder) else str(at)
    return cell


def _entry(folder: Path, name: str) -> Path | None:
    """The file or folder of this name in a folder, whatever form of Unicode its letters have."""
    if (folder / name).exists():
        return folder / name
    try:
        return next((entry for entry in folder.iterdir() if normal(entry.name) == normal(name)), None)
    except OSError:
        return None


def _refuse_unknown(file: Path, rows: pd.DataFrame, labels: Sequence[LabelColumn]) -> None:
    """Raise BadRecording for a column that is neither a setting of a row nor a declared label, with what to do."""
    known = [*COLUMNS, *(column.name for column in labels)]
    for name in map(str, rows):
        if name in known:
            continue
        is_label = name.startswith(_LABELS) or name.endswith(_LABELS)
        near = did_you_mean(name, known)
        declare = f"If it is a label, {_declare(rows, name, labels)}"
        hint = declare if is_label else f"{sentence(near)} {declare}"
        raise BadRecording(file, "columns that exist", repr(name), hint)


def _declare(rows: pd.DataFrame, name: str, labels: Sequence[LabelColumn]) -> str:
    """Return what to write into table.yaml so that column `name` is a label, beside those that are there."""
    cells = [cell for cell in dict.fromkeys(rows[name]) if cell]
    held, note = [label_line(column) for column in labels if column.name in rows], ""
    if not cells or any(_is_number(cell) for cell in cells):
        held.append(f"{name}: {{scale: [LOW, HIGH]}}")
        note = ", LOW and HIGH being the ends of its scale"
    elif 1 < len(cells) <= _MOST_SHOWN:
        held.append(f"{name}: {_flow({'classes': sorted(cells)})}")
    else:
        held.append(f"{name}: {{classes: [A, B]}}")
        note = f", A and B being its classes ({shortened(sorted(cells))} here)"
    return f"write into {SETTINGS}: labels: {{{', '.join(held)}}}{note}."


def label_line(column: LabelColumn) -> str:
    """Return the line of table.yaml, under `labels`, that declares a label column: `valence: {scale: [1, 9]}`."""
    return f"{column.name}: {_flow(label_settings([column])[column.name])}"


def _flow(value: dict[str, Any]) -> str:
    """Return YAML in one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False).strip()


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(?:\d+\.?\d*|\.\d+)", cell)) or cell.lower() in WORDS


def _csv_rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line and cells by column, without outer spaces. Lines that are empty or begin with # are none."""
    try:
        text = read_text(file, "a table of recordings")
    except FileNotFoundError:
        raise BadRecording(file, "a table of recordings", "no such file", "`gbvnet table init` makes one.") from None
    except OSError as error:
        raise BadRecording(file, "a table of recordings", f"a file that does not read ({error.strerror})") from None
    lines = ["" if line.lstrip().startswith(COMMENTS) else line for line in text.splitlines(keepends=True)]
    separator = next((mark for line in lines[:1] if (mark := stated_delimiter(line))), None)  # Excel's `sep=;`
    if separator:
        lines[0] = ""
    head = next((line for line in lines if line.strip()), "")
    # Spreadsheets write semicolons where a comma is the decimal point.
    reader = csv.reader(lines, delimiter=separator or max(",;\t", key=head.count), skipinitialspace=True)
    columns: list[str] = []
    n = 0
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not columns:
                columns = [cell.lower() for cell in cells]
                _refuse_twice(file, [name for name in columns if name])
                continue
            last = max(k for k, cell in enumerate(cells) if cell)
            if last >= len(columns) or not columns[last]:
                actual = f"{last + 1} in line {reader.line_num}"
                hint = "A cell with a comma in it needs quotes around it."
                raise BadRecording(
                    file, f"{len([c for c in columns if c])} cells in a line, as many as columns", actual, hint
                )
            n += 1
            yield reader.line_num, {name: cell for name, cell in zip(columns, cells, strict=False) if name}
    except csv.Error as error:
        raise BadRecording(file, "a table of recordings", f"line {reader.line_num} that is no CSV ({error})") from None
    if not n:
        raise BadRecording(file, "a line for each recording", "none", "`gbvnet table init` makes an example.")


def _refuse_twice(file: Path, names: list[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BadRecording(file, "each column once", f"{twice[0]} twice")


def _yaml_rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The same of a list `recordings` in a YAML file, a mapping a trial. Values are taken as they are written, so that
    a subject called no, or 01, stays what it is."""
    _read_yaml(file)  # raises BadRecording for what cannot be read
    root = yaml.compose(file.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    nodes = [value for name, value in root.value if name.value == ROWS] if isinstance(root, yaml.MappingNode) else []
    if not nodes or not isinstance(nodes[0], yaml.SequenceNode) or not nodes[0].value:
        raise BadRecording(file, f"a list `{ROWS}`, an entry a trial", "none")
    for node in nodes[0].value:
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            raise BadRecording(file, f"names and values in each entry of {ROWS}", f"something else in line {line}")
        cells = {}
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value.strip().lower() == "signals":
                cells["signals"] = _plain(value)
                continue
            if not isinstance(name, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
                at = value.start_mark.line + 1
                remedy = "Ratings that change in time are in a file of their own, named in ratings_file."
                raise BadRecording(file, "one value for each name", f"several in line {at}", remedy)
            cells[name.value.strip().lower()] = "" if value.tag.endswith(":null") else value.value.strip()
        _refuse_twice(file, [name.value.strip().lower() for name, _ in node.value])
        yield line, cells


def _plain(node: yaml.Node) -> Any:
    """Return lists, mappings and texts of YAML; each value as it is written, an empty text for null."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value) for value in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(name.value).strip(): _plain(value) for name, value in node.value}
    return "" if node.tag.endswith(":null") else str(node.value).strip()


def seconds_in(line: str, row: dict, name: str) -> float | None:
    """A cell as a number of seconds, None if it is empty. Raises BadRecording."""
    if row[name] == "":
        return None
    value = number_of(row[name])
    if not abs(value) < LATEST_S:
        hint = "A decimal point is a point here." if re.fullmatch(r"-?\d+,\d+", row[name]) else ""
        raise BadRecording(line, f"a number of seconds in {name}", repr(row[name]), hint)
    return value

"""Trials of a run of a BIDS dataset: rows of its events that the mapping chooses, joined to ratings.

Ratings are columns of a table of behaviour (beh) or of the events themselves, answers to questions among the events
(codes), or channels of the signal file that change in time (bids_traces.py).
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from ..errors import BadRecording
from ..text import shortened
from .bids_files import BidsRun
from .bids_mapping import ANY, BidsMapping, matches, same_cell
from .bids_table import BidsTable, Row, cell_key, number_in, read_tsv
from .formats.signal_file import MneFile, open_signals
from .label_columns import Label, LabelColumn

LEAST_SHARE = 0.02  # of a recording: trials that all lie in less of it, at its rate, were not counted in samples
MOST_SHOWN = 6  # values of a column in a message


class Span(NamedTuple):
    """The seconds and the rate of a run's signals."""

    start_s: float
    stop_s: float
    rate_hz: float


@dataclass(frozen=True)
class BidsTrial:
    """A trial of a run.

    number : its place among the run's trials, from 1 on; place : its file and line
    start_s, stop_s : of the stimulus, on the clock of the signals; NaN where the events do not say
    error : why it cannot be used: what was expected, what was found, what to do
    """

    number: int
    place: str
    stimulus: str
    start_s: float
    stop_s: float
    event: Row
    ratings: dict[str, Label] = field(default_factory=dict)
    error: tuple[str, str, str] | None = None


class RunTrials(NamedTuple):
    """The trials of a run that have ratings, and notes."""

    trials: tuple[BidsTrial, ...]
    notes: tuple[str, ...]


def run_trials(run: BidsRun, mapping: BidsMapping, span: Span | None) -> RunTrials:
    """Return the trials of a run. span : of its signals, None where they cannot be opened

    Raises BadRecording for tables that cannot be read, and where rows and ratings do not belong together.
    """
    ratings = mapping.content.ratings
    events = read_events(run, mapping)
    chosen = _chosen(events, mapping)
    _require_unit(events, chosen, mapping, span)
    ends = _ends(events, mapping)
    trials = [_trial(number, events, k, mapping, span, ends) for number, k in enumerate(chosen, 1)]
    if ratings.source == "channels":
        return RunTrials(tuple(trials), events.notes)
    if ratings.source == "beh":
        beh = _read_beh(run, mapping)
        if not mapping.keys[0]:
            _require_file_order(events, chosen, beh, mapping)
        rated = _joined(trials, beh, mapping)
        notes = (*events.notes, *beh.notes)
    elif ratings.source == "codes":
        rated, notes = _answered(trials, events, chosen, mapping)
        notes = (*events.notes, *notes)
    else:
        events.require([one.column for one in ratings.labels.values()], mapping.path.name)
        rated, notes = [_rated(trial, trial.event, mapping) for trial in trials], events.notes
    unrated = [str(trial.number) for trial in rated if not trial.ratings and not trial.error]
    if unrated:
        notes = (*notes, f"{len(unrated)} trials without ratings are left out: {shortened(unrated, 5)}")
    absent = [name for name in ratings.labels if not any(name in trial.ratings for trial in rated)]
    if absent and len(unrated) < len(rated):
        notes = (*notes, f"no trial has a rating of {', '.join(absent)}")
    return RunTrials(tuple(trial for trial in rated if trial.ratings or trial.error), notes)


# ---------------------------------------------------------------- events


def read_events(run: BidsRun, mapping: BidsMapping) -> BidsTable:
    """Return the events of a run: those of its table, else the annotations that the mapping names.

    Raises BadRecording.
    """
    path = run.table("events")
    if path is not None:
        table = read_tsv(path, "the events of a run")
        table.require(["onset"], "the BIDS standard")
        return _in_order(table)
    pattern = mapping.annotation(run.signals.name["sub"])
    if not pattern:
        wanted = "a table of events (*_events.tsv), or `annotation` under trial in the mapping"
        raise BadRecording(run.signals.path, wanted, "neither", f"Write `annotation: REGEX` into {mapping.path.name}.")
    return _annotations(run, pattern)


def _in_order(events: BidsTable) -> BidsTable:
    """Return events in the order of time, with a note if they were not; those without an onset stay behind the row
    before them, as ratings may be joined by order."""
    at, last = [], float("-inf")
    for row in events.rows:
        onset = number_in(row.get("onset"))
        last = last if onset is None else onset
        at.append(last)
    order = sorted(range(len(at)), key=at.__getitem__)
    if order == [*range(len(order))]:
        return events
    rows, lines = tuple(events.rows[k] for k in order), tuple(events.lines[k] for k in order)
    return replace(events, rows=rows, lines=lines, notes=(*events.notes, "events are not in the order of time: sorted"))


def _annotations(run: BidsRun, pattern: str) -> BidsTable:
    """Return the annotations of a signal file that match as events: trial_type, and value where REGEX has a group."""
    path = run.signals.path
    file = open_signals(path)
    if not isinstance(file, MneFile):
        raise BadRecording(path, "a signal file with annotations", "one of another kind")
    rows = []
    marks = file.raw.annotations
    before = float(file.raw.first_time)  # FIF counts from before its first sample, and MNE's onsets do, too
    for onset, duration, text in zip(marks.onset, marks.duration, map(str, marks.description), strict=True):
        match = re.fullmatch(pattern, text.strip())
        if match:
            times = {"onset": f"{float(onset) - before:.6f}", "duration": f"{float(duration):.6f}"}
            row = times | {"trial_type": text.strip()}
            rows.append(row | ({"value": match[1]} if match.re.groups and match[1] is not None else {}))
    if not rows:
        texts = Counter(map(str, marks.description))
        actual = _counts(texts) or "no annotation"
        raise BadRecording(path, f"annotations that match {pattern!r}", actual, "See `annotation` in the mapping.")
    columns = ("onset", "duration", "trial_type", "value")
    return BidsTable(path, columns, tuple(rows), tuple(range(1, len(rows) + 1)))


def _counts(values: Counter[str]) -> str:
    return shortened([f"{value} ({n})" for value, n in values.most_common()], MOST_SHOWN)


def _chosen(events: BidsTable, mapping: BidsMapping) -> list[int]:
    """Return the numbers of the rows that are trials. Raises BadRecording if none is."""
    rows = mapping.content.trial.rows
    events.require(rows, f"`rows` of {mapping.path.name}")
    chosen = [k for k, row in enumerate(events.rows) if matches(row, rows)]
    if not chosen:
        held = []
        for column in rows:
            values = Counter(row.get(column, "n/a") for row in events.rows)
            held.append(f"{column}: {_counts(values)}")
        wanted = f"events that are trials by `rows` of {mapping.path.name}"
        n_a = [column for column in rows if not any(column in row for row in events.rows)]
        other = f"Column {n_a[0]} has no value at all: choose rows by another, as {{COLUMN: {ANY}}}." if n_a else ""
        raise BadRecording(events.path, wanted, "; ".join(held) or "no row", other)
    return chosen


def _require_unit(events: BidsTable, chosen: Sequence[int], mapping: BidsMapping, span: Span | None) -> None:
    """Raise BadRecording if onsets can only be samples where seconds are expected, or the reverse."""
    onsets = [x for k in chosen if (x := number_in(events.rows[k].get("onset"))) is not None]
    if span is None or not onsets:
        return
    last, length, name = max(onsets), span.stop_s - span.start_s, mapping.path.name
    if mapping.content.trial.onset_unit == "s":
        if last > span.stop_s + 1 and LEAST_SHARE * length <= last / span.rate_hz <= span.stop_s + 1:
            raise BadRecording(
                events.path, f"onsets in seconds of signals that last {span.stop_s:.1f} s", f"up to {last:g}",
                f"At {span.rate_hz:g} samples a second that is {last / span.rate_hz:.1f} s: samples were meant. Write "
                f"`onset_unit: samples` under trial in {name}.",
            )  # fmt: skip
    elif last <= span.stop_s + 1 and last / span.rate_hz < LEAST_SHARE * length:
        raise BadRecording(
            events.path, f"onsets in samples (`onset_unit` of {name})", f"none above {last:g}",
            f"They all lie in the first {last / span.rate_hz:.2g} of {length:.0f} s: were seconds meant? Then write "
            "`onset_unit: s`.",
        )  # fmt: skip


def _trial(
    number: int, events: BidsTable, k: int, mapping: BidsMapping, span: Span | None, ends: Sequence[float]
) -> BidsTrial:
    """Return the trial of row k, without ratings. ends : of `_ends`"""
    row, trial, name = events.rows[k], mapping.content.trial, mapping.path.name
    place, nan = events.place(k), float("nan")
    key = mapping.keys[0]
    stimulus = row.get(trial.stimulus or key or "trial_type", "") if trial.stimulus in ("", *events.columns) else ""
    result = BidsTrial(number, place, stimulus, nan, nan, row)
    onset = number_in(row.get("onset"))
    if onset is None:
        return replace(result, error=("an onset", row.get("onset", "n/a"), "The trial cannot be placed."))
    if "samples" in (trial.onset_unit, trial.duration_unit) and span is None:
        return replace(result, error=("signals whose rate tells the seconds of samples", "none that can be opened", ""))
    start = onset / (span.rate_hz if span and trial.onset_unit == "samples" else 1.0) + trial.delay_s
    stop = _stop(events, k, start, mapping, span, ends)
    if isinstance(stop, str):
        remedy = f"Write `duration:` under trial in {name}: a column, seconds, next, or rows {{COLUMN: VALUE}}."
        return replace(result, start_s=start, error=("the end of a trial", stop, remedy))
    return replace(result, start_s=round(start, 6), stop_s=round(stop, 6))


def _ends(events: BidsTable, mapping: BidsMapping) -> list[float]:
    """Return the onsets of events that end trials, sorted, in the unit of the table; none where durations do."""
    given = mapping.content.trial.duration
    if not isinstance(given, dict) and given != "next":
        return []
    rows = given if isinstance(given, dict) else {}
    return sorted(x for row in events.rows if matches(row, rows) and (x := number_in(row.get("onset"))) is not None)


def _stop(
    events: BidsTable, k: int, start: float, mapping: BidsMapping, span: Span | None, ends: Sequence[float]
) -> float | str:
    """Return when the trial of row k ends; or what is there instead, for an error."""
    trial = mapping.content.trial
    given = trial.duration
    if isinstance(given, int | float):
        return start + float(given)
    if isinstance(given, dict) or given == "next":
        factor = span.rate_hz if span and trial.onset_unit == "samples" else 1.0
        at = bisect_right(ends, number_in(events.rows[k].get("onset")) or 0.0)
        return ends[at] / factor if at < len(ends) else "no event after it that ends it"
    if given not in events.columns:
        return f"no column {given} among {', '.join(events.columns)}"
    length = number_in(events.rows[k].get(given))
    if length is None or length <= 0:
        return f"a {given} of {events.rows[k].get(given, 'n/a')}"
    return start + length / (span.rate_hz if span and trial.duration_unit == "samples" else 1.0)


# ---------------------------------------------------------------- ratings in tables


def _read_beh(run: BidsRun, mapping: BidsMapping) -> BidsTable:
    path = run.table("beh")
    if path is None:
        wanted = f"a table of ratings (*_beh.tsv) with the entities of {run.signals.path.name}"
        raise BadRecording(run.signals.path, wanted, "none", f"{mapping.path.name} says `from: beh`.")
    table = read_tsv(path, "the ratings of a run")
    table.require([one.column for one in mapping.content.ratings.labels.values()], mapping.path.name)
    return table


def _require_file_order(events: BidsTable, chosen: Sequence[int], beh: BidsTable, mapping: BidsMapping) -> None:
    """Raise BadRecording for trials that are listed in another order than they were shown: ratings may be in either."""
    lines = [events.lines[k] for k in chosen]
    for before, line in pairwise(lines):
        if line < before:
            raise BadRecording(
                events.path, "trials in the order of time, as ratings are joined to them by their order",
                f"the one of line {before} before that of line {line}",
                f"Rows of {beh.path.name} may be in either order: write `key:` into {mapping.path.name}.",
            )  # fmt: skip


def _joined(trials: Sequence[BidsTrial], beh: BidsTable, mapping: BidsMapping) -> list[BidsTrial]:
    """Return the trials with the ratings of beh, by the key or by their order.

    Raises BadRecording where the numbers of rows differ, or no key is in both tables.
    """
    name, (in_events, in_beh) = mapping.path.name, mapping.keys
    if not in_events:
        if len(beh.rows) != len(trials):
            remedy = f"Rows are joined by their order: choose the right `rows`, or write `key:` into {name}."
            raise BadRecording(
                beh.path, f"a row of ratings for each of {len(trials)} trials", f"{len(beh.rows)}", remedy
            )
        return [_rated(trial, row, mapping) for trial, row in zip(trials, beh.rows, strict=True)]
    beh.require([in_beh], f"`key` of {name}")
    wanted, given = ([row.get(column, "") for row in rows] for column, rows in (
        (in_events, [trial.event for trial in trials]), (in_beh, beh.rows)))  # fmt: skip
    as_numbers = not any(len({*map(cell_key, cells)}) < len({*cells}) for cells in (wanted, given))
    key = cell_key if as_numbers else str  # 1 and 01 in one table are two stimuli
    counts = Counter(map(key, wanted))
    by_key: dict[str, list[Row]] = {key(value): [] for value in wanted if value}
    for value, row in zip(given, beh.rows, strict=True):
        by_key.get(key(value), []).append(row)
    if not any(by_key.values()):
        held = ", ".join(list(dict.fromkeys(row.get(in_beh, "n/a") for row in beh.rows))[:3])
        expected = f"values of {in_beh} as in column {in_events} of the events: {', '.join(list(by_key)[:3]) or 'n/a'}"
        raise BadRecording(beh.path, expected, held or "no row", f"See `key` in {name}.")
    joined = []
    for trial, value in zip(trials, wanted, strict=True):
        rows, n = by_key.get(key(value), []), counts[key(value)]
        if len(rows) > 1 or (rows and n > 1):
            actual = f"{len(rows)} rows and {n} trials"
            error = (
                f"one row of ratings for {in_events} {value}, and one trial",
                actual,
                "Which row is whose is not known.",
            )
            joined.append(replace(trial, error=trial.error or error))
        else:
            joined.append(_rated(trial, rows[0], mapping) if rows else trial)
    return joined


def _rated(trial: BidsTrial, row: Row, mapping: BidsMapping) -> BidsTrial:
    """Return a trial with the ratings of a row; with an error if one is not as it is declared."""
    ratings: dict[str, Label] = {}
    columns = {column.name: column for column in mapping.labels}
    stimulus = trial.stimulus or row.get(mapping.content.trial.stimulus, "")
    for name, one in mapping.content.ratings.labels.items():
        cell = row.get(one.column)
        if cell is None:
            continue
        value = _label(columns[name], cell)
        if value is None:
            error = (
                f"{name} {columns[name].allowed}",
                f"{cell!r:.60} in column {one.column}",
                "The trial is not used.",
            )
            return replace(trial, stimulus=stimulus, error=trial.error or error)
        ratings[name] = value
    return replace(trial, ratings=ratings, stimulus=stimulus)


def _label(column: LabelColumn, cell: str) -> Label | None:
    """Return the label in a cell, None if the column does not allow it."""
    if column.is_category:
        return next((name for name in column.classes if same_cell(cell, name)), None)
    value = number_in(cell)
    return value if value is not None and column.allows(value) else None


# ---------------------------------------------------------------- ratings in codes


def _answered(
    trials: Sequence[BidsTrial], events: BidsTable, chosen: Sequence[int], mapping: BidsMapping
) -> tuple[list[BidsTrial], tuple[str, ...]]:
    """Return the trials with the answers to the questions after them. An answer is the row after its question.

    Raises BadRecording for a column of codes that is not there.
    """
    ratings = mapping.content.ratings
    events.require([ratings.column], f"`column` of {mapping.path.name}")
    columns = {column.name: column for column in mapping.labels}
    given: dict[int, dict[str, Label]] = {}
    errors: dict[int, tuple[str, str, str]] = {}
    at, question, n_open = -1, "", 0
    numbers = {k: number for number, k in enumerate(chosen)}
    for k, row in enumerate(events.rows):
        code = row.get(ratings.column, "")
        if k in numbers:
            at, question, n_open = numbers[k], "", n_open + bool(question)
            continue
        new = next((n for n, one in ratings.labels.items() if same_cell(code, one.question)), "")
        answer = next((value for text, value in ratings.answers.items() if same_cell(code, text)), None)
        if answer is not None and question and at >= 0:
            if question in given.setdefault(at, {}):
                errors[at] = (f"one answer for {question}", f"another in line {events.lines[k]}", "Which is right?")
            elif not columns[question].allows(answer):
                errors[at] = (
                    f"{question} {columns[question].allowed}",
                    f"{answer:g}",
                    f"See `answers` in {mapping.path.name}.",
                )
            given[at][question] = answer
            question = ""
            continue
        n_open += bool(question)
        question = new
    n_open += bool(question)
    notes = (f"{n_open} questions without an answer",) if n_open else ()
    return [
        replace(trial, ratings=given.get(k, {}), error=trial.error or errors.get(k)) for k, trial in enumerate(trials)
    ], notes


# ---------------------------------------------------------------- all ratings


def rating_cells(runs: Iterable[BidsRun], mapping: BidsMapping) -> dict[str, list[float]]:
    """Return all numbers of each label's column in the tables of runs, whatever row they are in."""
    values: dict[str, list[float]] = {name: [] for name in mapping.content.ratings.labels}
    for table in _rating_tables(runs, mapping):
        for name, one in mapping.content.ratings.labels.items():
            values[name] += [x for row in table.rows if (x := number_in(row.get(one.column))) is not None]
    return values


def _rating_tables(runs: Iterable[BidsRun], mapping: BidsMapping) -> Iterator[BidsTable]:
    source = mapping.content.ratings.source
    for run in runs if source in ("beh", "events") else ():
        try:
            path = run.table(source)
            if path is not None:
                yield read_tsv(path, "ratings")
        except BadRecording:
            continue  # an error of the run


def unreached_thirds(values: Mapping[str, Sequence[float]], labels: Iterable[LabelColumn]) -> list[str]:
    """Return a note for each label of which no value lies in the lowest or the highest third of its scale."""
    notes = []
    for column in labels:
        numbers = values.get(column.name, ())
        if column.scale is None or not numbers:
            continue
        low, high = column.scale
        third = (high - low) / 3
        if min(numbers) > low + third or max(numbers) < high - third:
            span = f"from {min(numbers):g} to {max(numbers):g}"
            notes.append(f"all values of {column.name} are {span}, on a scale {column.allowed}: is it the right scale?")
    return notes

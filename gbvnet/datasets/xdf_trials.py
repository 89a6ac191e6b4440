"""Trials from the markers of an XDF file: a start, a stop, and the next rating after it.

Nothing is guessed. A start without a stop is a bad trial; a rating that may belong to two trials, or to none, makes the
file as a whole unusable, with the counts and the time of the first marker that does not fit.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import BadRecording
from ..io.safe_load import from_json
from .formats.text_file import number_of
from .formats.xdf import XdfFileStreams, find_stream, offsets_note
from .label_columns import Label, LabelColumn
from .xdf_settings import SETTINGS, MarkerSettings, RatingSettings

DUPLICATE_S = 0.1  # the same marker again within this time is one that was sent twice


@dataclass
class TrialSpan:
    """A trial on the clock of the markers. error : why it cannot be used; empty if it can"""

    start_s: float
    stimulus: str = ""
    trial: str = ""
    stop_s: float | None = None
    ratings: dict[str, Any] = field(default_factory=dict)
    rated_s: float | None = None
    error: tuple[str, str] | None = None  # what was expected, and what was found


class Marker(NamedTuple):
    """A marker: seconds from second 0, and its text."""

    at_s: float
    text: str


class Trials(NamedTuple):
    """The trials of a file, and notes on its markers."""

    spans: tuple[TrialSpan, ...]
    notes: tuple[str, ...]


def read_markers(held: XdfFileStreams, name: str, zero_s: float) -> tuple[list[Marker], list[str]]:
    """Return the markers of a stream in the order of time, without those sent twice, and notes. Raises BadRecording."""
    timed = find_stream(held, name)
    stream = timed.stream
    if timed.refusal or (not stream.is_text and stream.n_channels > 1):
        why = timed.refusal or f"{stream.n_channels} columns of numbers"
        raise BadRecording(held.path, f"markers in stream {stream.label}", why)
    texts = [" ".join(filter(None, row)) for row in stream.values] if stream.is_text else _codes(stream.values[:, 0])
    order = np.argsort(timed.times_s, kind="stable")
    last: dict[str, float] = {}
    markers, twice = [], 0
    for k in order.tolist():
        at_s = float(timed.times_s[k]) - zero_s
        if at_s - last.get(texts[k], -np.inf) <= DUPLICATE_S:
            twice += 1
            continue
        last[texts[k]] = at_s
        markers.append(Marker(at_s, texts[k]))
    repeat = f"{twice} of {len(texts)} markers repeat another within {DUPLICATE_S:g} s, and are left out"
    notes = [offsets_note(held, timed), repeat if twice else ""]
    return markers, [f"{held.path.name}: {note}" for note in notes if note]


def _codes(values: np.ndarray) -> list[str]:
    """Return numbers as texts: whole ones without a point, whatever their type in the file."""
    return [str(int(x)) if np.isfinite(x) and x == np.rint(x) else f"{x:.7g}" for x in values.tolist()]


def trials_of(path: Path, markers: Sequence[Marker], settings: MarkerSettings) -> Trials:
    """Return the trials that markers tell of.

    Raises BadRecording, with the counts of starts, stops and ratings and the first that does not fit, if there is no
    start, a stop without a start, or a rating that belongs to no trial.
    """
    spans: list[TrialSpan] = []
    counts = dict.fromkeys(("starts", "stops", "ratings"), 0)
    wrong = ""
    for marker in markers:
        started, stopped = settings.start.fullmatch(marker.text), settings.stop.fullmatch(marker.text)
        rated = settings.rating and rating_in(marker.text, settings.rating)
        if started:
            counts["starts"] += 1
            named = started.groupdict()
            spans.append(TrialSpan(marker.at_s, named.get("stimulus") or "", named.get("trial") or ""))
        elif stopped:
            counts["stops"] += 1
            wrong = wrong or _stop(spans, marker, stopped.groupdict())
        elif rated is not None and rated:
            counts["ratings"] += 1
            wrong = wrong or _rate(spans, marker, rated)
    counted = ", ".join(
        f"{n} {name[: -1 if n == 1 else None]}" for name, n in counts.items() if name != "ratings" or settings.rating
    )
    if wrong or not spans:
        texts = ", ".join(repr(text)[:60] for text in list(dict.fromkeys(m.text for m in markers))[:4]) or "none"
        actual = f"{counted}: {wrong}" if wrong else f"{counted} among {len(markers)} markers ({texts}, ...)"
        expected = "a start, a stop" + (" and a rating" if settings.rating else "") + " for each trial, in this order"
        raise BadRecording(path, expected, actual, f"See markers in {SETTINGS}: a pattern fits a whole marker.")
    for one, following in zip(spans, [*spans[1:], None], strict=True):
        _finish(one, following, settings.rating is not None, counted)
    unpaired = sum(span.error is not None for span in spans)
    note = f"{path.name} has {counted}: {unpaired} of {len(spans)} trials cannot be used"
    return Trials(tuple(spans), (note,) if unpaired else ())


def _stop(spans: list[TrialSpan], marker: Marker, groups: dict[str, str | None]) -> str:
    """Put a stop to its trial; return what is wrong with it."""
    if not spans or spans[-1].stop_s is not None:
        return f"the stop at {marker.at_s:.3f} s follows no start"
    span = spans[-1]
    span.stop_s = marker.at_s
    for name, value in groups.items():
        own = getattr(span, name)
        if value and own and value != own:
            span.error = (f"the stop of {name} {own}, started at {span.start_s:.3f} s", f"that of {value}")
    return ""


def _rate(spans: list[TrialSpan], marker: Marker, rated: dict[str, Any]) -> str:
    """Put ratings to the trial that stopped last; return what is wrong with them."""
    if not spans:
        return f"the rating at {marker.at_s:.3f} s comes before all trials"
    span = spans[-1]
    if span.stop_s is None:
        return f"the rating at {marker.at_s:.3f} s comes after a start, at {span.start_s:.3f} s, and before its stop"
    again = [name for name in rated if name in span.ratings]
    if again:
        second = f"is a second one of {', '.join(again)} after the stop at {span.stop_s:.3f} s"
        return f"the rating at {marker.at_s:.3f} s {second}"
    span.ratings |= rated
    span.rated_s = marker.at_s
    return ""


def _finish(span: TrialSpan, following: TrialSpan | None, is_rated: bool, counted: str) -> None:
    """Give a trial an error if its stop or its rating is missing."""
    if span.error is not None:
        return
    before = f"the next start at {following.start_s:.3f} s" if following else "the end of the markers"
    if span.stop_s is None:
        span.error = (f"a stop after the start at {span.start_s:.3f} s", f"none before {before} ({counted})")
    elif span.stop_s <= span.start_s:
        span.error = (f"a stop after the start at {span.start_s:.3f} s", f"one at {span.stop_s:.3f} s")
    elif is_rated and not span.ratings:
        span.error = (f"a rating after the stop at {span.stop_s:.3f} s", f"none before {before} ({counted})")


# ---------------------------------------------------------------- ratings


def rating_in(text: str, settings: RatingSettings) -> dict[str, Any]:
    """Return the values that a marker gives labels; none if it is no rating."""
    if settings.pattern is not None:
        match = settings.pattern.fullmatch(text)
        return {name: value for name, value in match.groupdict().items() if value is not None} if match else {}
    if not text.lstrip().startswith("{"):
        return {}
    try:
        held = from_json(text)
    except ValueError:
        return {}
    if not isinstance(held, dict):
        return {}
    return {name: held[key] for name, key in settings.keys if held.get(key) is not None}


def checked_ratings(
    given: dict[str, Any], labels: Iterable[LabelColumn]
) -> tuple[dict[str, Label], tuple[str, str] | None]:
    """Return ratings as labels; and what is expected and found of the first that its column does not allow, or None."""
    ratings: dict[str, Label] = {}
    for column in labels:
        if column.name not in given:
            continue
        value = given[column.name]
        label = str(value) if column.is_category else _number(value)
        if not column.allows(label):
            return {}, (f"{column.name} {column.allowed}", json.dumps(value))
        ratings[column.name] = label
    return ratings, None


def _number(value: Any) -> float:
    return np.nan if isinstance(value, bool | list | dict) or value is None else number_of(str(value))

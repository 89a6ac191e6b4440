"""On which clock the streams of AFFEC are: that of the run, or one of their own that starts with the stream.

The authors' two readers disagree: one takes onsets of streams as seconds of the run, as those of the events are
(`as_told`), the other subtracts a stream's first onset (`zeroed`). Three probes decide for each stream of each run, and
where they cannot, or contradict each other, the user must.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from .affec_streams import Stream

Clock = Literal["as_told", "zeroed"]
CLOCKS: tuple[Clock, ...] = ("as_told", "zeroed")
SAME_S = 0.03  # a first onset within a face frame of 0 is the same on both clocks
CLEAR = 0.25  # an end decides if it is nearer than this part of the first onset by one clock, and not by the other
MOVED = 0.6  # share of the cursor's moves while a rating is given, from which on they tell
MORE_MOVED = 0.1  # by which the share must differ between the two clocks


class Decision(NamedTuple):
    """The clock of one stream in one run.

    clock : None if it could not be decided
    offset_s : time of the run = the stream's onset + offset_s
    why : the numbers
    """

    clock: Clock | None
    offset_s: float
    why: str


class Run(NamedTuple):
    """What is known of a run besides its streams.

    end_s : of the EEG, or of the last event where there is none
    rated : (R, 2) start and stop of each time in which a rating is given
    """

    end_s: float
    rated: np.ndarray


def decide(stream: Stream, run: Run, cursor: Stream | None, given: Clock | None = None) -> Decision:
    """Return the clock of a stream. given : the user's choice, which is then taken

    cursor : the stream of the cursor, which moves while ratings are given
    """
    first, last = float(stream.times_s[0]), float(stream.times_s[-1])
    text = f"first onset {first:.2f} s"
    if given is not None:
        return Decision(given, -first if given == "zeroed" else 0.0, f"{text}; --clock")
    if abs(first) <= SAME_S:
        return Decision("as_told", 0.0, f"{text}: the same on both clocks")
    votes = [
        _by_start(first, stream.start_s),
        _by_end(first, last, run.end_s),
        _by_cursor(cursor, run.rated) if cursor is not None else (None, "no cursor"),
    ]
    choices = {vote for vote, _ in votes if vote}
    why = "; ".join([text, *(reason for _, reason in votes)])
    if len(choices) != 1:
        return Decision(None, 0.0, why + ("; these disagree" if choices else ""))
    clock = choices.pop()
    return Decision(clock, -first if clock == "zeroed" else 0.0, why)


def _by_start(first: float, start_s: float | None) -> tuple[Clock | None, str]:
    """Decide by StartTime, the first sample's time on the clock of the run by the BIDS standard."""
    if start_s is None:
        return None, "no StartTime"
    text = f"StartTime {start_s:.2f} s"
    if abs(start_s - first) <= SAME_S:
        return "as_told", text
    return ("zeroed" if abs(start_s) <= SAME_S else None), text


def _by_end(first: float, last: float, end_s: float) -> tuple[Clock | None, str]:
    """Decide by the end, as all recordings of a run are stopped together."""
    off = {"as_told": abs(last - end_s), "zeroed": abs(last - first - end_s)}
    text = f"last onset {off['as_told']:.2f} s from the run's end, zeroed {off['zeroed']:.2f} s"
    near, far = CLEAR * abs(first), (1 - CLEAR) * abs(first)
    for one, other in (CLOCKS, CLOCKS[::-1]):
        if off[one] < near and off[other] > far:
            return one, text
    return None, text


def _by_cursor(cursor: Stream, rated: np.ndarray) -> tuple[Clock | None, str]:
    """Decide by the cursor, which moves most while ratings are given."""
    first = float(cursor.times_s[0])
    shares = {"as_told": _moved_share(cursor, rated, 0.0), "zeroed": _moved_share(cursor, rated, -first)}
    text = f"{shares['as_told']:.0%} of the cursor's moves while ratings are given, zeroed {shares['zeroed']:.0%}"
    best = max(CLOCKS, key=lambda clock: shares[clock])
    clear = abs(shares["as_told"] - shares["zeroed"]) >= MORE_MOVED and shares[best] >= MOVED
    return (best if clear and abs(first) > SAME_S else None), text


def _moved_share(cursor: Stream, rated: np.ndarray, offset_s: float) -> float:
    """Return the share of the cursor's moves within these times: of lines, not of its way, which one jump can rule."""
    moved = np.abs(np.nan_to_num(np.diff(cursor.values[:, :2], axis=0))).sum(axis=1) > 0
    times = cursor.times_s[1:][moved] + offset_s
    return float(_within(times, rated).mean()) if len(times) else 0.0


def _within(times: np.ndarray, spans: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    inside = np.zeros(len(times), np.bool_)
    for begin, end in spans:
        inside |= (times >= begin) & (times < end)
    return inside

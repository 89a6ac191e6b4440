"""Trials of AFFEC: events and ratings of a run, joined by the stimulus' file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from ..errors import BadRecording

EVENTS = ("onset", "flag", "trial", "trial_type", "stim_file")
# Columns of ratings: f is what a participant felt, p what was perceived in the face that was shown.
RATINGS = {
    "valence": "f_emotion_v", "arousal": "f_emotion_a",
    "perceived_valence": "p_emotion_v", "perceived_arousal": "p_emotion_a",
}  # fmt: skip
FIRST_FIX, VIDEO = "first_fix", "video"
LABELLING = ("f_emotion_labelling", "p_emotion_labelling")
MOST_S = 60.0  # of a video, which is about 3 s: a longer one has lost its next flag
FETCH = "Fetch AFFEC's core archive again and unpack it."


@dataclass(frozen=True)
class Trial:
    """One trial of a run. Times are on the run's clock, in seconds.

    start_s, stop_s : of the video; NaN where the events do not say
    fixation : start and stop of the first fixation cross, the baseline period, or None
    ratings : by label; empty for a trial without ratings
    error : why it cannot be used: what was expected, what was found, what to do
    """

    number: int
    emotion: str
    stimulus_file: str
    start_s: float
    stop_s: float
    fixation: tuple[float, float] | None
    ratings: Mapping[str, float]
    error: tuple[str, str, str] | None = None

    @property
    def stimulus(self) -> str:
        """Name of the film: actor, sentence, emotion and level, 1074_ieo_hap_hi."""
        return PurePosixPath(self.stimulus_file.replace("\\", "/")).stem

    @property
    def warnings(self) -> tuple[str, ...]:
        """What does not agree within the trial."""
        parts = self.stimulus.split("_")
        if len(parts) == 4 and self.emotion[:3].lower() != parts[2].lower():
            return (f"trial_type {self.emotion!r} of film {self.stimulus}, whose name says {parts[2]!r}",)
        return ()


def read_events(path: Path) -> pd.DataFrame:
    """Return the events of a run with a known onset, in the order of time. Raises BadRecording."""
    table = _table(path, EVENTS, "the events of a run")
    for name in ("onset", "trial"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    table = table[np.isfinite(table["onset"]) & np.isfinite(table["trial"])]
    if table.empty:
        raise BadRecording(path, "events with an onset", "none", FETCH)
    return table.sort_values("onset", kind="stable").reset_index(drop=True)


def read_ratings(path: Path) -> pd.DataFrame:
    """Return the ratings of a run, NaN where there is none. Raises BadRecording."""
    table = _table(path, ("stim_file", "trial", *RATINGS.values()), "the ratings of a run")
    for name in ("trial", *RATINGS.values()):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table


def _table(path: Path, needed: tuple[str, ...], what: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, encoding="utf-8-sig", keep_default_na=False)
    except FileNotFoundError:
        raise BadRecording(path, what, "no such file", FETCH) from None
    except (OSError, ValueError) as error:
        raise BadRecording(path, what, f"a file that cannot be read ({error})", FETCH) from None
    table.columns = table.columns.str.strip().str.strip('"').str.strip()
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise BadRecording(path, f"columns {', '.join(needed)}", f"no {', '.join(missing)}", FETCH)
    return table


def trials_of(events: pd.DataFrame, ratings: pd.DataFrame) -> list[Trial]:
    """Return the trials of a run in their order."""
    by_film = {str(film): rows for film, rows in ratings.groupby("stim_file")}
    films = events.groupby("stim_file")["trial"].nunique()
    twice = {str(film) for film, n in films.items() if n > 1}
    return [_trial(int(own["trial"].iloc[0]), own, by_film, twice) for _, own in events.groupby("trial", sort=True)]


def _trial(number: int, own: pd.DataFrame, by_film: Mapping[str, pd.DataFrame], twice: set[str]) -> Trial:
    film = str(own["stim_file"].mode().iloc[0])
    rated = by_film.get(film)
    start, stop = span_of(own, VIDEO)
    fixation = span_of(own, FIRST_FIX)
    ratings = {}
    if rated is not None:
        row = rated.iloc[0]
        ratings = {label: float(row[name]) for label, name in RATINGS.items() if np.isfinite(row[name])}
    return Trial(
        number, str(own["trial_type"].iloc[0]), film, start, stop,
        fixation if np.isfinite(fixation).all() else None, ratings,
        _error(number, film, (start, stop), rated, film in twice),
    )  # fmt: skip


def _error(
    number: int, film: str, video: tuple[float, float], rated: pd.DataFrame | None, twice: bool
) -> tuple[str, str, str] | None:
    if twice:
        return f"film {film} in one trial", "several trials with it", FETCH
    if rated is not None and len(rated) > 1:
        return f"one line of ratings for {film}", f"{len(rated)}", "Find out which is right, and remove the others."
    if rated is not None and rated["trial"].iloc[0] == rated["trial"].iloc[0] != number:
        return f"the ratings of {film} to be of trial {number}", f"trial {rated['trial'].iloc[0]:g}", FETCH
    if not np.isfinite(video[0]):
        return "an event with the flag video and an onset", "none", "The trial cannot be placed; it is not used."
    if not np.isfinite(video[1]) or video[1] - video[0] > MOST_S:
        return "an event after the video, where it ends", "none", "The run was cut short; the trial is not used."
    return None


def span_of(own: pd.DataFrame, flag: str) -> tuple[float, float]:
    """Return the onset of a trial's first event with this flag, and that of the next event of the trial; or NaN."""
    starts = own.loc[own["flag"] == flag, "onset"]
    if starts.empty:
        return np.nan, np.nan
    start = float(starts.iloc[0])
    after = own.loc[own["onset"] > start, "onset"]
    return start, float(after.iloc[0]) if len(after) else np.nan


def rated_spans(events: pd.DataFrame) -> np.ndarray:
    """Return the start and stop of each time in which a rating is given, (R, 2) seconds."""
    onsets = events["onset"].to_numpy(float)
    starts = onsets[events["flag"].isin(LABELLING).to_numpy()]
    nexts = [onsets[onsets > start] for start in starts]
    return np.array([(s, after[0]) for s, after in zip(starts, nexts, strict=True) if len(after)]).reshape(-1, 2)

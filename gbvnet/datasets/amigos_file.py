"""A participant's MATLAB file of AMIGOS: signals, self-assessment and external annotation of each film.

Cell k of joined_data, labels_selfassessment and labels_ext_annotation belongs to the film that cell k of VideoIDs
names; nothing is joined by position. The self-assessment begins with AROUSAL, then valence; the external annotation
with valence, then arousal.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadRecording
from .dreamer import EEG  # an Emotiv EPOC, too, with its channels in the same order
from .formats.matlab import read_mat
from .formats.matlab_value import MatValue
from .label_columns import Label, LabelColumn
from .label_traces import Trace
from .recording import Channel

RATE_HZ, BASELINE_S = 128, 5  # each film's signals start with those of the 5 s before it
CHANNELS = (
    *(Channel(name, "eeg", filtered=True) for name in EEG),  # released at 4-45 Hz
    Channel("ECG_Right", "ecg"),
    Channel("ECG_Left", "ecg"),
    Channel("GSR", "gsr"),
)
# Films and the number of segments that annotators rated in each.
SHORT = {
    "4": 6, "5": 7, "9": 5, "10": 6, "13": 4, "18": 5, "19": 8, "20": 5, "23": 7, "30": 5, "31": 9, "34": 5, "36": 5,
    "58": 4, "80": 6, "138": 7,
}  # fmt: skip
LONG = {"N1": 72, "P1": 58, "B1": 72, "U1": 44}
FILMS = SHORT | LONG
RATED = ("arousal", "valence", "dominance", "liking", "familiarity")  # columns of the self-assessment, 1 to 9 ...
EMOTIONS = ("neutral", "disgust", "happiness", "surprise", "anger", "fear", "sadness")  # ... and 0 or 1
YES_NO = ("no", "yes")
ANNOTATED = ("external_valence", "external_arousal")  # columns of the annotation behind the segment's number, -1 to 1
LABELS = (
    *(LabelColumn(name, (1.0, 9.0), label_set="felt") for name in ("valence", "arousal", *RATED[2:])),
    *(LabelColumn(name, classes=YES_NO, label_set="felt") for name in EMOTIONS),
    *(LabelColumn(name, (-1.0, 1.0), label_set="external", trace=True) for name in ANNOTATED),
)
SEGMENT_S = 20
IDS, SIGNALS, FELT, EXTERNAL = "VideoIDs", "joined_data", "labels_selfassessment", "labels_ext_annotation"
_FETCH = "It may be another file, or cut short: fetch it again from the corpus' preprocessed MATLAB data."


@dataclass(frozen=True)
class ParticipantFile:
    """A file that was opened; values are read when they are asked for.

    cells : film -> number of its cell, from 0
    """

    path: Path
    cells: dict[str, int]
    variables: dict[str, MatValue]

    @classmethod
    def open(cls, path: Path) -> "ParticipantFile":
        """Open a file. Raises BadRecording if a variable is missing, or its films are not named once each."""
        variables = read_mat(path)
        for name in (IDS, SIGNALS, FELT):
            if name not in variables:
                remedy = f"Nothing else says which cell is of which film. {_FETCH}" if name == IDS else _FETCH
                raise BadRecording(path, f"a variable {name}", ", ".join(variables) or "none", remedy)
        names = variables[IDS]
        for name in (IDS, SIGNALS, FELT, EXTERNAL):
            value = variables.get(name, names)
            if value.kind != "cell" or value.size != names.size:
                wanted = f"{names.size} cells in {name}, one for each film" if name != IDS else f"cells in {IDS}"
                raise BadRecording(path, wanted, value.description, _FETCH)
        return cls(path, _numbers_of_films(path, names), variables)

    def has(self, variable: str, film: str) -> bool:
        """Return whether a film has a cell in a variable that is not empty. Raises BadRecording."""
        return variable in self.variables and film in self.cells and self._cell(variable, film).size > 0

    def samples(self, film: str) -> np.ndarray:
        """Return the signals of a film and the 5 s before it, (17, N) float64. Raises BadRecording."""
        value = self._cell(SIGNALS, film)
        if len(value.shape) != 2 or value.shape[1] != len(CHANNELS):
            wanted = f"samples x {len(CHANNELS)} channels in {value.name} (film {film})"
            raise BadRecording(self.path, wanted, value.description, _FETCH)
        if value.shape[0] <= BASELINE_S * RATE_HZ:
            wanted = f"more than the {BASELINE_S} s before film {film} in {value.name}"
            raise BadRecording(self.path, wanted, f"{value.shape[0]} samples")
        return value.numbers().astype(np.float64).T

    def ratings(self, film: str) -> dict[str, Label]:
        """Return the felt ratings of a film, none where the cell is empty. Raises BadRecording for other values.

        That five ratings from 1 to 9 and seven numbers 0 or 1 stand in their places shows that no column is missing.
        """
        value = self._cell(FELT, film)
        if not value.size:
            return {}
        numbers = value.numbers().ravel()
        names = (*RATED, *EMOTIONS)
        if len(numbers) != len(names):
            raise BadRecording(self.path, f"{len(names)} ratings in {value.name} (film {film})", value.description)
        for name, number in zip(names, numbers.tolist(), strict=True):
            rated = name in RATED
            if not (1 <= number <= 9 if rated else number in (0, 1)):
                wanted = f"{name} {'from 1 to 9' if rated else '0 or 1'} in {value.name} (film {film})"
                remedy = "Its columns may not be those of the release, which begin with arousal."
                raise BadRecording(self.path, wanted, f"{number:g}", remedy)
        ratings: dict[str, Label] = {name: float(x) for name, x in zip(RATED, numbers, strict=False)}
        return ratings | {name: YES_NO[int(x)] for name, x in zip(EMOTIONS, numbers[len(RATED) :], strict=True)}

    def annotation(self, film: str) -> np.ndarray:
        """Return number, valence and arousal of each segment of a film, (M, 3) float64. Raises BadRecording."""
        value = self._cell(EXTERNAL, film)
        rows = value.numbers().astype(np.float64)
        if rows.ndim != 2 or rows.shape[1] != 1 + len(ANNOTATED):
            wanted = f"segments x {1 + len(ANNOTATED)} in {value.name} (film {film})"
            raise BadRecording(self.path, wanted, value.description)
        off = ~(np.abs(rows[:, 1:]) <= 1)  # NaN is off too
        if off.any():
            wanted = f"ratings from -1 to 1 in {value.name} (film {film})"
            raise BadRecording(self.path, wanted, f"{rows[:, 1:][off][0]:g}")
        return rows

    def _cell(self, variable: str, film: str) -> MatValue:
        return self.variables[variable].cell(self.cells[film])


def _numbers_of_films(path: Path, names: MatValue) -> dict[str, int]:
    """Return film -> number of its cell. Raises BadRecording for a film that is unknown or named twice."""
    cells: dict[str, int] = {}
    for number in range(names.size):
        value = names.cell(number)
        numeric = value.kind not in ("char", "cell") and value.size == 1
        film = f"{value.numbers().item():g}" if numeric else value.text().strip()
        if film not in FILMS:
            raise BadRecording(path, f"a film of {', '.join(FILMS)} in {value.name}", repr(film)[:60], _FETCH)
        if film in cells:
            actual = f"{film} in cells {cells[film] + 1} and {number + 1}"
            raise BadRecording(path, f"each film once in {IDS}", actual, _FETCH)
        cells[film] = number
    return cells


def segment_traces(rows: np.ndarray, seconds: float) -> dict[str, Trace] | None:
    """Return the annotators' ratings during a film, or None where the segments do not fit its length.

    rows : (M, 3) number of the segment, valence, arousal; seconds : length of the film

    The first segment are the first 20 s of the video, which begins 5 s before the film; it is not used. Those behind
    it are 20 s each, from the film's start on. The last one are the film's last 20 s: of it, what follows the others.
    """
    whole = int(seconds // SEGMENT_S)
    if len(rows) != whole + 2 or (np.diff(rows[:, 0]) != 1).any():
        return None
    times, used = [float(SEGMENT_S * k) for k in range(whole)], [*range(1, whole + 1)]
    if seconds > whole * SEGMENT_S:
        times, used = [*times, float(SEGMENT_S * whole)], [*used, whole + 1]
    ends = np.array([*times, seconds])
    return {
        name: Trace(ends, np.append(rows[used, 1 + column], np.nan)) for column, name in enumerate(ANNOTATED)
    }  # fmt: skip

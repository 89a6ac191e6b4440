"""MAHNOB-HCI's continuous valence: what annotators saw in the faces of 239 trials, four times a second.

The file is published with https://github.com/soheilrayatdoost/ContinuousEmotionDetection (Soleymani et al. 2016,
"Analysis of EEG Signals and Facial Expressions for Continuous Emotion Detection") and is no part of the corpus:

    lable_continous_Mahnob.mat      labels: a cell for each trial; trials_included: its subject and trial, a row each

A trial's number is that of its session within those of the subject, 130 to each: session (subject - 1) * 130 + trial.
The first value is taken to be at the start of the film, as public readers take it. The file states no scale: -1 to 1 is
assumed, and a trial with another value is left without a trace.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadRecording
from .formats.matlab import read_mat
from .formats.matlab_value import REFETCH
from .label_columns import LabelColumn
from .label_traces import Trace
from .trace_file import trace_during, trace_warnings

FILE = "lable_continous_Mahnob.mat"  # spelled so
LABELS, TRIALS = "labels", "trials_included"  # its variables
RATE_HZ = 4
SLACK_S = 2.0  # by which the labels may be longer or shorter than the film
SESSIONS_PER_SUBJECT = 130
LABEL = LabelColumn("annotated_valence", (-1.0, 1.0), label_set="annotated", trace=True)
_DEEPEST = 2  # folders below the corpus' own in which the file is looked for
_WITHOUT = f"{REFETCH} Without this file the recordings are read as before."


@dataclass(frozen=True)
class ContinuousValence:
    """The annotators' valence of trials: the file, and the number of the cell of each session."""

    path: Path
    cells: dict[int, int]

    @classmethod
    def below(cls, root: Path) -> "ContinuousValence | None":
        """Return the labels in the file in a corpus' folder or up to two below it, or None if there is none.

        Raises BadRecording if there are several, or the file cannot be used.
        """
        files = sorted(file for depth in range(_DEEPEST + 1) for file in root.glob("/".join(["*"] * depth + [FILE])))
        if len(files) > 1:
            actual = ", ".join(str(file.relative_to(root)) for file in files)
            raise BadRecording(root, f"one file {FILE}", actual, "Take all but one away.")
        return cls.open(files[0]) if files else None

    @classmethod
    def open(cls, path: Path) -> "ContinuousValence":
        """Return the labels in a file. Raises BadRecording, also where labels and trials differ in number."""
        try:
            return cls(path, _cells(path))
        except BadRecording as error:
            raise BadRecording(error.path, error.expected, error.found, _WITHOUT) from None

    def trace(self, session: int, seconds: float) -> tuple[Trace | None, list[str]]:
        """Return the trace of a session whose film lasts `seconds`, and warnings.

        It is None for a session without labels, and for one whose labels do not fit: a warning says why.
        """
        if session not in self.cells:
            return None, []
        try:
            values = self._values(self.cells[session])
            self._require_length(session, len(values), seconds)
            times_s = np.arange(len(values)) / RATE_HZ
            trace = trace_during(self.path, LABEL, Trace(times_s, values), seconds)
        except BadRecording as error:
            expected, actual = error.expected, error.found
            return None, [f"{FILE}: expected {expected}, found {actual}: {LABEL.name} is not used"]
        return trace, trace_warnings(self.path, LABEL, trace, seconds)

    def _values(self, cell: int) -> np.ndarray:
        """Return the labels of a trial, (T,) float64. Raises BadRecording."""
        value = read_mat(self.path)[LABELS].cell(cell)
        numbers = value.numbers().astype(np.float64)
        if not numbers.size or numbers.size != max(numbers.shape):
            raise BadRecording(self.path, f"one row or one column of numbers in {value.name}", value.description)
        values = numbers.ravel()
        off = values[~np.array([LABEL.allows(float(x)) for x in values])]  # NaN is off too
        if len(off):
            actual = f"{off[0]:g} ({len(off)} of {len(values)} values)"
            raise BadRecording(self.path, f"values {LABEL.allowed} in {value.name}", actual)
        return values

    def _require_length(self, session: int, n: int, seconds: float) -> None:
        """Raise BadRecording if the labels of a session are not as long as its film."""
        if abs(n / RATE_HZ - seconds) > SLACK_S:
            wanted = f"{seconds:.1f} s of labels for session {session}, as long as its film, to {SLACK_S:g} s"
            actual = f"{n / RATE_HZ:g} s ({n} values, {RATE_HZ} a second)"
            raise BadRecording(self.path, wanted, actual)


def _cells(path: Path) -> dict[int, int]:
    """Return session -> number of its cell. Raises BadRecording."""
    variables = read_mat(path)
    absent = [name for name in (LABELS, TRIALS) if name not in variables]
    if absent:
        actual = ", ".join(variables) or "no variable"
        raise BadRecording(path, f"variables {LABELS} and {TRIALS}", actual)
    labels, trials = variables[LABELS], variables[TRIALS]
    if labels.kind != "cell":
        raise BadRecording(path, f"a cell for each trial in {LABELS}", labels.description)
    rows = trials.numbers().astype(np.float64)
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise BadRecording(path, f"rows of a subject and a trial in {TRIALS}", trials.description)
    if labels.size != len(rows):
        raise BadRecording(path, f"{len(rows)} cells in {LABELS}, as many as rows in {TRIALS}", f"{labels.size}")
    cells: dict[int, int] = {}
    for cell, (subject, trial) in enumerate(rows.tolist()):
        whole = subject in range(1, 1000) and trial in range(1, SESSIONS_PER_SUBJECT)
        if not whole:
            wanted = f"a subject from 1 on and a trial from 1 to {SESSIONS_PER_SUBJECT - 1} in each row of {TRIALS}"
            raise BadRecording(path, wanted, f"{subject:g} and {trial:g} in row {cell + 1}")
        session = (int(subject) - 1) * SESSIONS_PER_SUBJECT + int(trial)
        if session in cells:
            actual = f"subject {subject:g}, trial {trial:g} in rows {cells[session] + 1} and {cell + 1}"
            raise BadRecording(path, f"each trial once in {TRIALS}", actual)
        cells[session] = cell
    return cells

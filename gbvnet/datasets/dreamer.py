"""DREAMER, EEG and ECG without video (Katsigiannis & Ramzan 2018).

"DREAMER: A Database for Emotion Recognition Through EEG and ECG Signals From Wireless Low-cost Off-the-Shelf Devices",
on request from https://zenodo.org/records/546113. One file is read:

    ROOT/DREAMER.mat      a struct DREAMER, whose Data holds a struct for each of 23 subjects

Each subject watched 18 films. EEG.stimuli{film} and ECG.stimuli{film} hold the signals during it, at 128 and 256 Hz;
EEG.baseline{film} and ECG.baseline{film} those of 61 s before it, of which the last 60 are the baseline here.
ScoreValence, ScoreArousal and ScoreDominance are whole numbers from 1 to 5.

The file is one variable of about 2 GB of numbers: subjects are read one at a time. What is known of it is second-hand
(public readers); every shape, rate and name is compared, and a difference is refused.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import BadRecording
from .formats.matlab import read_mat
from .formats.matlab_value import MatValue
from .label_columns import LabelColumn
from .recording import Channel, Recording, Signals, read_stamp, require_folder
from .sample_checks import with_sample_checks

FILE = "DREAMER.mat"
N_SUBJECTS, N_FILMS = 23, 18
EEG_HZ, ECG_HZ = 128, 256
BASELINE_S, RECORDED_BASELINE_S = 60, 61
EEG = "AF3 F7 F3 FC5 T7 P7 O1 O2 P8 T8 FC6 F4 F8 AF4".split()  # Emotiv EPOC, in its order
ECG = ("ECG1", "ECG2")  # the file does not name them, nor their unit
CHANNELS = (*(Channel(name, "eeg") for name in EEG), *(Channel(name, "ecg") for name in ECG))
RATES_HZ = (*(float(EEG_HZ) for _ in EEG), *(float(ECG_HZ) for _ in ECG))
SCORES = {"valence": "ScoreValence", "arousal": "ScoreArousal", "dominance": "ScoreDominance"}
LABELS = tuple(LabelColumn(name, (1.0, 5.0), label_set="felt") for name in SCORES)
MIDDLE = 3  # of the scale: a common answer
FILM_SLACK_S = 1.0  # by which a film may differ in length between subjects
_FETCH = "Ask for the file at https://zenodo.org/records/546113 and put it there under this name."


@dataclass(frozen=True)
class Reader:
    """A folder with DREAMER. Opened by `open_corpus("dreamer", root)`."""

    root: Path
    synthetic: bool
    n_subjects: int
    n_films: int
    dataset = "dreamer"
    source = ""
    rate_hz = float(EEG_HZ)
    baseline_s = float(BASELINE_S)
    frames_per_s = 10  # there is no video
    channels = CHANNELS
    labels = LABELS

    @classmethod
    def open(cls, root: Path) -> "Reader":
        """Return the corpus in a folder. Raises BadRecording if there is none, or its file is another."""
        require_folder(root)
        truth = read_stamp(root)  # None unless `gbvnet synth` wrote it; only then are there fewer subjects and films
        path = root / FILE
        if not path.is_file():
            files = ", ".join(sorted(f.name for f in root.iterdir())[:8]) or "an empty folder"
            raise BadRecording(path, "the file of the corpus", files, _FETCH)
        n_subjects = _data(path).size
        if truth is None and n_subjects != N_SUBJECTS:
            raise BadRecording(path, f"{N_SUBJECTS} subjects in DREAMER.Data", n_subjects, "Is it the whole corpus?")
        return cls(root, truth is not None, n_subjects, truth["trials"] if truth else N_FILMS)

    @property
    def file(self) -> Path:
        """The file with all signals and ratings."""
        return self.root / FILE

    @property
    def units(self) -> tuple[str, ...]:
        """The subjects: s01, s02, ..., in the order of the file, which does not name them."""
        return tuple(f"s{number:02d}" for number in range(1, self.n_subjects + 1))

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return what is to be known of the whole corpus: films whose lengths differ, ratings in the middle."""
        if unit is not None:
            return ()
        try:
            return tuple(self._of_all_subjects())
        except BadRecording as error:
            return (f"the lengths of films were not compared: {error}",)

    def _of_all_subjects(self) -> Iterator[str]:
        """Yield a note on the ratings in the middle, and one on films whose lengths differ. Raises BadRecording."""
        lengths: dict[int, list[int]] = {}
        middle: Counter[str] = Counter()
        for number in range(self.n_subjects):
            subject = _data(self.file).cell(number)
            stimuli = subject.field("EEG").field("stimuli")
            for film in range(min(stimuli.size, self.n_films)):
                shape = stimuli.cell(film).shape
                if len(shape) == 2:  # else the recording itself is refused
                    lengths.setdefault(film, []).append(shape[0])
            for name, field in SCORES.items():
                middle[name] += int((subject.field(field).numbers() == MIDDLE).sum())
        if middle.total():
            counts = ", ".join(f"{n} of {name}" for name, n in middle.items())
            yield (
                f"ratings in the middle of the scale, {MIDDLE}: {counts}, of {self.n_subjects * self.n_films} each; "
                f"the default rule >={MIDDLE} counts them as high, --rule '>{MIDDLE}' as low"
            )
        for film, rows in lengths.items():
            if max(rows) - min(rows) > FILM_SLACK_S * EEG_HZ:
                yield f"film {film + 1:02d} lasts {min(rows) / EEG_HZ:.1f} to {max(rows) / EEG_HZ:.1f} s by subject"

    def recordings(self, unit: str) -> list[Recording]:
        """Return a subject's films in the order of the file, with errors and warnings. Raises BadRecording."""
        warnings = self._compare_properties()
        subject = self._subject(unit)
        scores = {name: self._scores(subject.field(field)) for name, field in SCORES.items()}
        for signals in ("EEG", "ECG"):
            for part in ("stimuli", "baseline"):
                self._require_films(subject.field(signals).field(part))
        recordings = [self._recording(unit, f, {n: x[f] for n, x in scores.items()}) for f in range(self.n_films)]
        return [replace(r, warnings=(*warnings, *r.warnings)) for r in recordings] if warnings else recordings

    def inspect(self, recording: Recording) -> Recording:
        """Return the recording as it is: there is no video."""
        return recording

    def signals(self, recording: Recording) -> Signals:
        """Return the signals during a film, EEG at 128 and ECG at 256 Hz, with those of the baseline before it."""
        subject = self._subject(recording.subject)
        before = _rows(subject, "baseline", recording.row)
        n = min(len(before[0]) * ECG_HZ // EEG_HZ, len(before[-1]))  # at the rate of the fastest, ECG
        around = Signals(
            before, float(ECG_HZ), float(n), CHANNELS, (n - self.baseline_s * ECG_HZ, float(n)), rates_hz=RATES_HZ
        )
        during = _rows(subject, "stimuli", recording.row)
        return Signals(during, float(ECG_HZ), 0.0, CHANNELS, rates_hz=RATES_HZ, baseline_signals=around)

    def _compare_properties(self) -> list[str]:
        """Raise BadRecording if the file states other rates, electrodes or numbers than are assumed here.

        They stand behind all signals: of a truncated file they are not there. Its whole subjects are used, with the
        warning that is returned.
        """
        try:
            stated = _stated(read_mat(self.file)["DREAMER"])
        except BadRecording as error:
            return [f"the rates and electrodes that the file states were not compared: {error}"]
        assumed: dict[str, list] = {
            "EEG_SamplingRate": [EEG_HZ], "ECG_SamplingRate": [ECG_HZ], "EEG_Electrodes": EEG,
            "noOfSubjects": [self.n_subjects], "noOfVideoSequences": [self.n_films],
        }  # fmt: skip
        for name, value in assumed.items():
            if stated[name] != value:
                expected, actual = (", ".join(f"{x}" for x in each) for each in (value, stated[name]))
                raise BadRecording(self.file, f"{expected} in DREAMER.{name}", actual, "Is it the released file?")
        return []

    def _subject(self, unit: str) -> MatValue:
        return _data(self.file).cell(int(unit[1:]) - 1)

    def _scores(self, value: MatValue) -> list[float]:
        """Return the ratings of all films. Raises BadRecording if there are other numbers of them."""
        scores = value.numbers().ravel().tolist()
        if len(scores) != self.n_films:
            raise BadRecording(self.file, f"{self.n_films} ratings in {value.name}", value.description)
        return scores

    def _require_films(self, value: MatValue) -> None:
        if value.kind != "cell" or value.size != self.n_films:
            raise BadRecording(self.file, f"{self.n_films} cells in {value.name}", value.description)

    def _recording(self, unit: str, film: int, scores: dict[str, float]) -> Recording:
        number = f"{film + 1:02d}"
        recording = Recording(f"{unit}_f{number}", self.dataset, unit, number, number, 0.0, signals=self.file, row=film)
        try:
            for name, score in scores.items():
                if score not in (1, 2, 3, 4, 5):
                    wanted = f"a whole number from 1 to 5 for {recording.name} in {SCORES[name]}"
                    raise BadRecording(self.file, wanted, f"{score:g}")
            recording = replace(recording, ratings={name: float(score) for name, score in scores.items()})
            return self._with_signals(recording)
        except BadRecording as error:
            return replace(recording, error=str(error))

    def _with_signals(self, recording: Recording) -> Recording:
        """Return a recording with its length, and what its samples tell. Raises BadRecording."""
        subject = self._subject(recording.subject)
        before = _rows(subject, "baseline", recording.row)
        seconds = _seconds(self.file, f"the baseline of {recording.name}", before)
        if seconds < BASELINE_S:
            actual = f"{seconds:.2f} s"
            raise BadRecording(self.file, f"{RECORDED_BASELINE_S} s of baseline for {recording.name}", actual)
        warnings = []
        if seconds != RECORDED_BASELINE_S:
            warnings.append(f"{seconds:.2f} s of baseline, not {RECORDED_BASELINE_S}; the last {BASELINE_S} are used")
        if not all(np.isfinite(x).all() for x in before):
            raise BadRecording(self.file, f"finite samples in the baseline of {recording.name}", "NaN or infinite ones")
        during = _rows(subject, "stimuli", recording.row)
        seconds = _seconds(self.file, recording.name, during)
        recording = replace(recording, seconds=seconds, warnings=tuple(warnings))
        return with_sample_checks(recording, CHANNELS, during, RATES_HZ)


def _data(path: Path) -> MatValue:
    """Return the cell array with a struct for each subject. Raises BadRecording."""
    variables = read_mat(path)
    if "DREAMER" not in variables:
        actual = ", ".join(variables) or "no variable"
        raise BadRecording(path, "a struct DREAMER", actual, "Is it the file of the corpus?")
    data = variables["DREAMER"].field("Data")
    if data.kind != "cell" or not data.size:
        raise BadRecording(path, "cells, one for each subject, in DREAMER.Data", data.description)
    return data


def _stated(top: MatValue) -> dict[str, list]:
    """Return the properties that the file states of itself. Raises BadRecording."""
    numbers = ("EEG_SamplingRate", "ECG_SamplingRate", "noOfSubjects", "noOfVideoSequences")
    stated: dict[str, list] = {name: top.field(name).numbers().ravel().tolist() for name in numbers}
    names = top.field("EEG_Electrodes")
    return stated | {"EEG_Electrodes": [names.cell(number).text().strip() for number in range(names.size)]}


def _rows(subject: MatValue, part: str, film: int) -> tuple[np.ndarray, ...]:
    """Return the signals of each channel in one film or the baseline before it, (N,) float64. Raises BadRecording."""
    rows: list[np.ndarray] = []
    for signals, names in (("EEG", EEG), ("ECG", ECG)):
        value = subject.field(signals).field(part).cell(film)
        if len(value.shape) != 2 or value.shape[1] != len(names) or not value.shape[0]:
            raise BadRecording(value.path, f"samples x {len(names)} channels in {value.name}", value.description)
        numbers = _arrays(subject)[signals, part, film]
        if isinstance(numbers, BadRecording):
            raise numbers
        rows += list(numbers.astype(np.float64).T)
    return tuple(rows)


@lru_cache(maxsize=1)
def _arrays(subject: MatValue) -> dict[tuple[str, str, int], np.ndarray | BadRecording]:
    """Return all signals of a subject in the order of the file, or for each array the error of reading it.

    In any other order, a compressed file is inflated again and again.
    """
    arrays: dict[tuple[str, str, int], np.ndarray | BadRecording] = {}
    for signals in (name for name in subject.fields() if name in ("EEG", "ECG")):
        for part in (name for name in subject.field(signals).fields() if name in ("stimuli", "baseline")):
            cells = subject.field(signals).field(part)
            for film in range(cells.size):
                try:
                    arrays[signals, part, film] = cells.cell(film).numbers()
                except BadRecording as error:
                    arrays[signals, part, film] = error
    return arrays


def _seconds(path: Path, what: str, rows: tuple[np.ndarray, ...]) -> float:
    """Return how long both signals are. Raises BadRecording if they differ by more than a sample of EEG."""
    eeg, ecg = len(rows[0]), len(rows[-1])
    if abs(ecg - eeg * ECG_HZ / EEG_HZ) > ECG_HZ / EEG_HZ:
        wanted = f"twice as many samples of ECG ({ECG_HZ} Hz) as of EEG ({EEG_HZ} Hz) in {what}"
        raise BadRecording(path, wanted, f"{ecg:,} of ECG and {eeg:,} of EEG")
    return min(eeg / EEG_HZ, ecg / ECG_HZ)

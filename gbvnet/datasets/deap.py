"""DEAP, the preprocessed release (Koelstra et al. 2012).

"DEAP: A Database for Emotion Analysis using Physiological Signals", available under its licence from
https://www.eecs.qmul.ac.uk/mmv/datasets/deap/. The reader expects its archives unpacked side by side:

    ROOT/data_preprocessed_python/s01.dat ... s32.dat        signals of 40 trials each, 128 Hz, and their ratings
    ROOT/metadata_csv/participant_ratings.csv                the ratings again, and the order of presentation
    ROOT/face_video/s01/s01_trial01.avi ...                  participants 1 to 22, some trials missing

The original recordings, from which the first of these was made, are read by deap_raw.py.

Two orders meet here. Row i of a .dat is `Experiment_id` i + 1, the number of the stimulus; the number in a video's name
is `Trial`, the order of presentation, different for each participant. They are joined through the ratings table
and never by number, and the join is checked: the .dat carries the ratings too, and they must be equal.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import BadRecording
from ..io.atomic import visible_files
from ..io.video import probe
from .formats.numpy_pickle import UnsafePickle, read_pickle
from .label_columns import LabelColumn
from .recording import Channel, Recording, Signals, read_stamp, require_folder

RATE_HZ = 128
BASELINE_S, TRIAL_S = 3, 60  # each row starts with a baseline of 3 s
N_TRIALS = 40
EEG = (
    "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 CP6 CP2 P4 P8 PO4 O2"
).split()
PERIPHERAL = {
    "hEOG": "eog",
    "vEOG": "eog",
    "zEMG": "emg",  # zygomaticus: smiling
    "tEMG": "emg",  # trapezius: shrugging
    "GSR": "gsr",
    "Respiration": "resp",
    "Plethysmograph": "ppg",
    "Temperature": "temp",
}
CHANNELS = (
    *(Channel(name, "eeg", filtered=True) for name in EEG),  # released at 4-45 Hz
    *(Channel(name, kind) for name, kind in PERIPHERAL.items()),  # type: ignore[arg-type]
)
RATINGS = ("Valence", "Arousal", "Dominance", "Liking")  # columns of `labels`, each 1 to 9
FAMILIARITY = "Familiarity"  # only in the ratings table, 1 to 5, and empty for some participants (DEAP's readme)
LABELS = (
    *(LabelColumn(name.lower(), (1.0, 9.0), label_set="felt") for name in RATINGS),
    LabelColumn(FAMILIARITY.lower(), (1.0, 5.0)),
)
RATINGS_FILE = "metadata_csv/participant_ratings.csv"
_COLUMNS = ("Participant_id", "Trial", "Experiment_id", *RATINGS)
MOST = 10_000  # no number of a participant or a trial is larger
_TOLERANCE = 0.005  # ratings have two decimals
_LENGTH_SLACK_S = 1.0  # a video this much longer or shorter than its trial is reported


# ---------------------------------------------------------------- the .dat file


def read_dat(path: Path, n_trials: int = N_TRIALS, seconds: int = TRIAL_S) -> tuple[np.ndarray, np.ndarray]:
    """Read a preprocessed participant without executing any code in the pickle.

    Returns data (n_trials, 40, (3 + seconds) * 128) float and labels (n_trials, 4) float, which cannot be written to.
    Raises BadRecording if the file cannot be read, is no such pickle, or holds arrays of another shape or type.
    """
    raw = _unpickle(path)
    shapes = {
        "data": (n_trials, len(CHANNELS), (BASELINE_S + seconds) * RATE_HZ),
        "labels": (n_trials, len(RATINGS)),
    }
    arrays = []
    for key, shape in shapes.items():
        if not isinstance(raw, dict) or not isinstance(raw.get(key), np.ndarray):
            actual = ", ".join(map(repr, raw)) if isinstance(raw, dict) else type(raw).__name__
            raise BadRecording(path, f"a dict with an array {key!r}", actual or "an empty dict")
        array = raw[key]
        if array.shape != shape:
            raise BadRecording(path, f"{key} of shape {shape}", array.shape, "Is it DEAP's preprocessed release?")
        if array.dtype.kind != "f":
            raise BadRecording(path, f"{key} of floats", f"dtype {array.dtype}")
        arrays.append(array)
    return arrays[0], arrays[1]


def _unpickle(path: Path) -> object:
    expected = "a pickled DEAP subject"
    try:
        return read_pickle(path)
    except FileNotFoundError:
        raise BadRecording(path, expected, "no such file") from None
    except OSError as e:
        raise BadRecording(path, expected, f"a file that cannot be read ({e.strerror})") from None
    except UnsafePickle as e:
        size = path.stat().st_size
        raise BadRecording(path, expected, f"{size:,} bytes that are refused: {e}", _FETCH) from None
    except Exception as e:  # a damaged pickle can raise anything at all, and is then simply a damaged pickle
        actual = f"{path.stat().st_size:,} bytes that do not unpickle ({type(e).__name__}: {e})"
        raise BadRecording(path, expected, actual, _FETCH) from None


_FETCH = "The download may be cut short or changed; fetch it again."


@lru_cache(maxsize=1)
def _cached_dat(path: Path, n_trials: int, seconds: int, size: int, changed_ns: int) -> tuple[np.ndarray, np.ndarray]:
    return read_dat(path, n_trials, seconds)


# ---------------------------------------------------------------- the ratings table


def read_ratings(path: Path) -> pd.DataFrame:
    """Return the ratings of 1 to 9 with Participant_id, Trial and Experiment_id, a row per participant and trial.

    Raises BadRecording if the table is absent, lacks a column, or holds a number that cannot be.
    """
    expected = "DEAP's ratings table"
    if not path.exists():
        sheets = sorted(path.parent.parent.glob("metadata_*/participant_ratings.*"))
        if sheets:
            remedy = f"Open it in a spreadsheet program and save it as CSV at {path}, one header line, commas between."
            raise BadRecording(path, expected, f"only {sheets[0].parent.name}/{sheets[0].name}", remedy)
        raise BadRecording(path, expected, "no such file", "It is in DEAP's metadata_csv.zip; unpack it there.")
    try:
        table = pd.read_csv(path, encoding="utf-8-sig")
    except (OSError, ValueError) as e:
        raise BadRecording(path, expected, f"a file that cannot be read ({e})") from None
    table.columns = table.columns.str.strip()
    missing = [c for c in _COLUMNS if c not in table.columns]
    if missing:
        raise BadRecording(path, f"columns {', '.join(_COLUMNS)}", f"none named {', '.join(missing)}")
    _check_numbers(path, table)
    return table.astype({c: "int64" for c in ("Participant_id", "Trial", "Experiment_id")})


def _check_numbers(path: Path, table: pd.DataFrame) -> None:
    for column in _COLUMNS:
        numbers = pd.to_numeric(table[column].astype(str), errors="coerce")  # of text a number of 400 digits is inf
        whole = column not in RATINGS
        bad = ~numbers.between(1, MOST if whole else 9) | (whole & (numbers % 1 != 0))  # NaN is between none
        if bad.any():
            line = int(np.flatnonzero(bad)[0])
            wanted = f"a whole number from 1 to {MOST}" if whole else "a rating from 1 to 9"
            actual = f"{str(table[column].iloc[line])[:40]!r} in line {line + 2}"
            raise BadRecording(path, f"{wanted} in {column}", actual)
        table[column] = numbers
    if FAMILIARITY in table:
        numbers = pd.to_numeric(table[FAMILIARITY].astype(str), errors="coerce")
        text = np.flatnonzero(numbers.isna() & table[FAMILIARITY].notna())
        if len(text):
            actual = f"{str(table[FAMILIARITY].iloc[text[0]])[:40]!r} in line {text[0] + 2}"
            raise BadRecording(path, f"a rating from 1 to 5, or nothing, in {FAMILIARITY}", actual)
        table[FAMILIARITY] = numbers
    for key in ("Trial", "Experiment_id"):
        twice = table.duplicated(["Participant_id", key])
        if twice.any():
            row = table[twice].iloc[0]
            actual = f"{key} {int(row[key])} of participant {int(row['Participant_id'])} twice"
            raise BadRecording(path, "each trial once", actual)


def _refuse_other_labels(dat: Path, labels: np.ndarray, rated: pd.DataFrame) -> None:
    """labels[i] must be the ratings of Experiment_id i + 1; `rated` is indexed by Experiment_id."""
    wanted_rows = rated.reindex(range(1, len(labels) + 1))[list(RATINGS)].to_numpy(dtype=float)  # NaN if absent
    for i, (rating_row, wanted) in enumerate(zip(labels, wanted_rows, strict=True)):
        if i + 1 not in rated.index:
            raise BadRecording(
                dat,
                f"a row with Experiment_id {i + 1} for this participant in {RATINGS_FILE}",
                f"{len(rated)} rows without it",
                "Get the ratings table again.",
            )
        off = ~(np.abs(rating_row - wanted) <= _TOLERANCE)  # NaN is off too
        if off.any():
            k = int(np.flatnonzero(off)[0])
            raise BadRecording(
                dat,
                f"labels equal to {RATINGS_FILE} ({RATINGS[k].lower()} {wanted[k]:.2f} for Experiment_id {i + 1})",
                f"{rating_row[k]:.2f} in row {i}",
                "The two files are not of one release, or the rows are in another order; get both again.",
            )


# ---------------------------------------------------------------- the corpus


@dataclass(frozen=True)
class Reader:
    """A folder with DEAP. Opened by `open_corpus("deap", root)`."""

    root: Path
    synthetic: bool
    n_trials: int
    seconds: int
    dataset = "deap"
    source = "preprocessed"
    folder, suffix = "data_preprocessed_python", ".dat"  # of the files with signals
    rate_hz = float(RATE_HZ)
    baseline_s = float(BASELINE_S)
    frames_per_s = 10  # paper, section 4.1
    channels = CHANNELS
    labels = LABELS

    @classmethod
    def open(cls, root: Path) -> "Reader":
        """Return the corpus in `root`. Raises BadRecording if there is none."""
        require_folder(root)
        truth = read_stamp(root)  # None unless `gbvnet synth` wrote it; only then may a trial be short
        corpus = cls(
            root,
            synthetic=truth is not None,
            n_trials=truth["trials"] if truth else N_TRIALS,
            seconds=truth["seconds"] if truth else TRIAL_S,
        )
        if not corpus.units:
            folder = root / cls.folder
            actual = "no such folder" if not folder.is_dir() else "none"
            wanted, remedy = f"subjects s01{cls.suffix} to s32{cls.suffix}", f"Unpack {cls.folder}.zip into the corpus."
            raise BadRecording(folder, wanted, actual, remedy)
        read_ratings(root / RATINGS_FILE)
        return corpus

    @property
    def units(self) -> tuple[str, ...]:
        """The participants that have a signal file: s01, s02, ..."""
        try:
            files = visible_files(self.root / self.folder, f"s*{self.suffix}")
        except OSError as e:
            raise BadRecording(self.root, "a folder that can be read", e.strerror) from None
        return tuple(f.stem for f in files if re.fullmatch(r"s\d\d", f.stem))

    def recordings(self, unit: str) -> list[Recording]:
        """Return a participant's trials in the order of presentation, and an error for each video of no trial."""
        rated = read_ratings(self.root / RATINGS_FILE)
        rated = rated[rated["Participant_id"] == int(unit[1:])].set_index("Experiment_id")
        if rated.empty:
            raise BadRecording(self.signal_file(unit), f"participant {int(unit[1:])} in {RATINGS_FILE}", "no row")
        checked = self._trial_check(unit, rated)
        folder = self.root / "face_video" / unit
        try:
            videos = {f.stem: f for f in visible_files(folder, "*.avi")} if folder.is_dir() else {}
        except OSError as e:
            raise BadRecording(folder, "a folder that can be read", e.strerror) from None
        recordings = []
        for experiment, row in rated[rated.index <= self.n_trials].sort_values("Trial").iterrows():
            name = f"{unit}_trial{row['Trial']:02.0f}"
            recordings.append(checked(self._recording(name, int(experiment), row, videos.pop(name, None))))  # type: ignore[call-overload]
        return recordings + [self._stray(unit, video) for video in videos.values()]

    def _recording(self, name: str, experiment: int, row: pd.Series, video: Path | None) -> Recording:
        return Recording(
            name=name,
            dataset=self.dataset,
            subject=name[:3],
            trial=name[-2:],
            stimulus=f"{experiment:02d}",
            seconds=float(self.seconds),
            ratings={
                r.lower(): float(row[r]) for r in (*RATINGS, FAMILIARITY) if r in row.index and np.isfinite(row[r])
            },
            video=video,
            signals=self.signal_file(name[:3]),
            row=experiment - 1,
        )

    def _trial_check(self, unit: str, rated: pd.DataFrame) -> Callable[[Recording], Recording]:
        """Return a function that checks the signals of one trial; `rated` is indexed by Experiment_id.

        Raises BadRecording if no trial of the participant can be used.
        """
        data, labels = self.release(unit)
        _refuse_other_labels(self.signal_file(unit), labels, rated)
        return lambda recording: _check_signals(recording, data[recording.row])

    def _stray(self, unit: str, video: Path) -> Recording:
        error = BadRecording(
            video,
            f"a video named {unit}_trialMM.avi for a trial in {RATINGS_FILE}",
            "a name that belongs to none",
            "Rename it or take it away.",
        )
        return Recording(video.stem, self.dataset, unit, "", "", float(self.seconds), video=video, error=str(error))

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return no note: nothing is known of a participant that belongs to no recording."""
        return ()

    def inspect(self, recording: Recording) -> Recording:
        """Return the recording with the properties of its video. Raises BadRecording if the video is broken."""
        if recording.video is None:
            return recording
        info = probe(recording.video)
        info = replace(info, pixel_aspect=Fraction(1))  # as released: stores stay what they were
        recording = replace(recording, video_info=info, warnings=(*recording.warnings, *info.notes))
        off = info.seconds - recording.seconds
        if abs(off) <= _LENGTH_SLACK_S:
            return recording
        than = f"{abs(off):.1f} s {'longer' if off > 0 else 'shorter'} than its trial"
        return replace(recording, warnings=(*recording.warnings, f"video is {info.seconds:.1f} s, {than}"))

    def signals(self, recording: Recording) -> Signals:
        """Return signals (40, (3 + seconds) * 128), of which the first 3 s are before the stimulus."""
        data, _ = self.release(recording.subject)
        return Signals(data[recording.row], RATE_HZ, BASELINE_S * RATE_HZ, CHANNELS)

    def signal_file(self, unit: str) -> Path:
        """Return the path of a participant's signals."""
        return self.root / self.folder / f"{unit}{self.suffix}"

    def release(self, unit: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a participant's data and labels in the preprocessed release as `read_dat` does; the last is cached."""
        path = self.root / Reader.folder / f"{unit}{Reader.suffix}"
        try:
            stat = path.stat()
        except OSError as e:
            raise BadRecording(path, "a pickled DEAP subject", e.strerror) from None
        return _cached_dat(path, self.n_trials, self.seconds, stat.st_size, stat.st_mtime_ns)


def _check_signals(recording: Recording, samples: np.ndarray) -> Recording:
    """Return the recording with an error or warnings on its signals, (40, N) of the release."""
    # One cheap pass first: a sum over what is not finite is not finite either.
    bad = np.argwhere(~np.isfinite(samples)) if not np.isfinite(samples.sum()) else np.zeros((0, 2), int)
    if len(bad):
        channel, sample = bad[0]
        actual = f"{len(bad):,} NaN or infinite, the first in channel {CHANNELS[channel].name} at sample {sample}"
        error = BadRecording(recording.signals, f"finite samples in row {recording.row}", actual)
        return replace(recording, error=str(error))
    still = np.flatnonzero(np.ptp(samples[:, ::RATE_HZ], axis=1) == 0)  # once a second, then all of it
    flat = [CHANNELS[c].name for c in still if np.ptp(samples[c]) == 0]
    return replace(recording, warnings=(f"flat channels: {', '.join(flat)}",) if flat else ())

"""One recording: the face video and the signals of a subject during a stimulus. What every reader returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np

from ..errors import BadRecording
from ..io.frame_times import VideoInfo
from ..io.safe_load import from_json
from ..provenance import is_synthetic
from .label_columns import Label, LabelColumn
from .label_traces import Trace
from .signal_sources import SignalSource

Samples = np.ndarray | tuple[np.ndarray, ...]  # (C, N), or (N,) of each channel where they differ in rate
Kind = Literal["eeg", "eog", "emg", "ecg", "gsr", "resp", "ppg", "temp"]
STAMP_FILE = "SYNTHETIC.json"  # at the root of such a corpus: what was planted, and the stamp
UNFINISHED_FILE = "SYNTHETIC.unfinished.json"  # instead of it while the corpus is being written


@dataclass(frozen=True)
class Channel:
    """One signal channel. `kind` decides its filter, and whether it counts as EEG or peripheral."""

    name: str
    kind: Kind
    filtered: bool = False  # true where the corpus was released already filtered, and must not be filtered again


@dataclass(frozen=True)
class Recording:
    """One trial of one subject; its files are not read yet.

    `error` says why it cannot be used; `warnings` do not prevent its use.
    """

    name: str  # unique in the corpus, and a file name in the store
    dataset: str
    subject: str
    trial: str
    stimulus: str
    seconds: float  # length of the stimulus
    ratings: dict[str, Label] = field(default_factory=dict)  # by label column; one that is missing is absent
    video: Path | None = None
    video_start_s: float = 0.0  # the stimulus' start on the video's own clock
    video_info: VideoInfo | None = None  # known once the video was inspected
    signals: Path | None = None
    row: int = 0  # where in the signal file, if it holds several trials
    signal_times: tuple[
        float | None, ...
    ] = ()  # start of stimulus and baseline on the signals' clock, if they are given
    error: str | None = None
    warnings: tuple[str, ...] = ()
    scales: tuple[tuple[str, float], ...] = ()  # how large its channels are, once they were inspected (units.py)
    traces: dict[str, Trace] = field(default_factory=dict)  # labels that change in time, by label column
    # All signal files, where they are several or more than the path is given; the first is `signals`.
    signal_files: tuple[SignalSource, ...] = ()
    video_times: Path | None = None  # the file of its frames' times, which are then on the signals' clock (film_times)
    face_features: Path | None = None  # the file of its face features, where a corpus brings some

    @property
    def sources(self) -> tuple[SignalSource, ...]:
        """Its signal files; signal_times are on the clock of the first."""
        return self.signal_files or ((SignalSource(self.signals),) if self.signals is not None else ())


@dataclass(frozen=True)
class Signals:
    """The signals of one recording, with what precedes the stimulus.

    samples : (C, N) float array, microvolts for electrical channels, else the corpus' own units; where channels differ
        in rate, an (N,) for each of them, all from the same second on
    rate_hz : of the samples; of the fastest channel, where they differ
    onset : at which sample the stimulus starts; it may start between two
    baseline : first sample of the baseline period and the one after its last; the seconds before the onset if not given
    rates_hz : of each channel, where they differ
    baseline_signals : signals that contain the baseline, where it is outside of `samples`
    """

    samples: Samples
    rate_hz: float
    onset: float
    channels: tuple[Channel, ...]
    baseline: tuple[float, float] | None = None
    rates_hz: tuple[float, ...] | None = None
    baseline_signals: "Signals | None" = None

    def select(self, keep: Sequence[int]) -> "Signals":
        """Return the signals of the channels at these positions, in their order; itself if that changes nothing."""
        if [*keep] == [*range(len(self.channels))]:
            return self
        x = self.samples
        return replace(
            self,
            samples=x[[*keep]] if isinstance(x, np.ndarray) else tuple(x[k] for k in keep),
            channels=tuple(self.channels[k] for k in keep),
            rates_hz=self.rates_hz and tuple(self.rates_hz[k] for k in keep),
            baseline_signals=self.baseline_signals and self.baseline_signals.select(keep),
        )  # fmt: skip


class Corpus(Protocol):
    """The contract of all corpora. A corpus must be picklable: other processes read from it."""

    dataset: str  # "deap"
    source: str  # of the signals, where a corpus has several: "preprocessed", "raw"; else ""
    synthetic: bool  # written by `gbvnet synth`; everything made from it is marked so
    rate_hz: float  # of the signals in the store
    baseline_s: float  # seconds before the stimulus that belong to each recording
    frames_per_s: int  # face frames a second that the paper keeps
    channels: tuple[Channel, ...]
    labels: tuple[LabelColumn, ...]  # every label that its recordings can have

    @property
    def units(self) -> tuple[str, ...]:
        """Names of the parts that can be inspected in parallel (DEAP: a participant, whose 40 trials share a file)."""
        ...

    def recordings(self, unit: str) -> list[Recording]:
        """Return all recordings of a unit. Raises BadRecording if the unit as a whole cannot be used."""
        ...

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return notes on a unit, or on the corpus as a whole, that belong to no recording."""
        ...

    def inspect(self, recording: Recording) -> Recording:
        """Return the recording with the properties of its files. Raises BadRecording if one of them is damaged."""
        ...

    def signals(self, recording: Recording) -> Signals:
        """Read a recording's signals. Raises BadRecording."""
        ...


class FaceFeatures(NamedTuple):
    """The face features of a recording, as a corpus brings them."""

    times_s: np.ndarray  # (T,) seconds from the start of the stimulus, increasing; uneven steps and gaps are allowed
    values: np.ndarray  # (T, D), NaN in frames without a face


class FaceFeatureCorpus(Corpus, Protocol):
    """The contract of a corpus that brings features of faces, measured by other software, frame by frame.

    Its recordings that have some name their file as `Recording.face_features`.
    """

    face_feature_names: tuple[str, ...]  # of all its recordings, in this order
    has_videos: bool  # whether its recordings may have a video, too

    def face_features(self, recording: Recording) -> FaceFeatures:
        """Return the features of a recording: times (T,) in seconds from the start of the stimulus, values (T, D).

        A frame without a face has NaN, or is left out. How frames are chosen for a window is not the reader's task: it
        is done by preprocessing.face_features. Raises BadRecording.
        """
        ...


class CorpusReader(Corpus, Protocol):
    """The contract of a class `Reader` in gbvnet/datasets."""

    @classmethod
    def open(cls, root: Path) -> "CorpusReader":
        """Return the corpus in a folder, whose recordings are not inspected yet. Raises BadRecording if it is none."""
        ...


def missing_members(corpus: object) -> list[str]:
    """Return the names of the contract's attributes and methods that an object does not have."""
    names = [*Corpus.__annotations__, *(name for name in vars(Corpus) if not name.startswith("_"))]
    return [name for name in dict.fromkeys(names) if not hasattr(corpus, name)]


def require_folder(root: Path) -> None:
    """Raise BadRecording if `root` is not a folder."""
    if not root.is_dir():
        raise BadRecording(root, "the folder of a corpus", "a file" if root.exists() else "no such folder")


def read_stamp(root: Path) -> dict | None:
    """What `gbvnet synth` says of a corpus it wrote (trials, seconds, the planted truth), or None for a real one.

    Raises BadRecording if the stamp is there and cannot be read: such a corpus is neither real nor whole.
    """
    path = root / STAMP_FILE
    if not path.exists():
        if (root / UNFINISHED_FILE).exists():
            raise BadRecording(root, "a whole synthetic corpus", "one that is not finished", _SYNTH_GOES_ON)
        return None
    try:
        truth = from_json(path.read_text())
        if not isinstance(truth["stamp"], str) or not is_synthetic(truth["stamp"]):
            raise ValueError(f"stamp {truth['stamp']!r}")
        for key in ("trials", "seconds"):
            if not isinstance(truth[key], int) or truth[key] < 1:
                raise ValueError(f"{key} {truth[key]!r}")
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise BadRecording(
            path, "the stamp of a synthetic corpus", f"a file that is none ({e})", _SYNTH_AGAIN
        ) from None
    return truth


_SYNTH_GOES_ON = "Run the same `gbvnet synth` again: it goes on."
_SYNTH_AGAIN = "Delete the folder and run `gbvnet synth` again."

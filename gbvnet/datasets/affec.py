"""AFFEC, face features, EEG and skin conductance while faces are watched (2025).

"Advancing Face-to-Face Emotion Communication: A Multimodal Dataset (AFFEC)", CC0, https://zenodo.org/records/14794876.
The reader expects its archives unpacked into one folder, flat or each below a folder of its own:

    ROOT/participants.tsv
    ROOT/sub-X/sub-X_task-fer_run-R_events.tsv                                  run 0 is practice, 1 to 3 are read
    ROOT/sub-X/beh/sub-X_task-fer_run-R_beh.tsv                                 ratings, felt and perceived
    ROOT/sub-X/beh/sub-X_task-fer_run-R_recording-gsr_physio.tsv.gz, .json      also videostream, cursor
    ROOT/sub-X/eeg/sub-X_task-fer_run-R_eeg.edf

There is no video: videostream holds what OpenFace 2 measured in each frame. Events are on the clock of the EEG. On
which clock the streams are is decided for each by affec_clock.py; where it cannot be, `--clock` decides.
"""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import BadConfig, BadRecording
from ..text import shortened
from .affec_clock import CLOCKS, Clock, Decision, Run, decide
from .affec_files import PRACTICE, AffecFiles, stream_kind
from .affec_streams import CONDUCTANCE, FACE_FEATURES, WANTED, Stream, longest_gap, read_stream
from .affec_trials import Trial, rated_spans, read_events, read_ratings, trials_of
from .channel_names import canonical_name, channel_kind
from .formats.signal_file import channel_names_in, read_signals, require_finite, segments_in
from .label_columns import LabelColumn
from .recording import Channel, FaceFeatures, Recording, Signals, read_stamp
from .signal_sources import SignalSource
from .units import POSSIBLE

EEG_HZ, STORED_HZ, N_EEG = 256.0, 128, 63
BASELINE_S = 2.0  # the end of the first fixation cross, before the scenario is read
N_PARTICIPANTS = 72
TRIALS = 28  # of each run
LABELS = (
    LabelColumn("valence", (1.0, 9.0), label_set="felt"),
    LabelColumn("arousal", (1.0, 9.0), label_set="felt"),
    LabelColumn("perceived_valence", (1.0, 9.0), label_set="perceived", of="valence"),
    LabelColumn("perceived_arousal", (1.0, 9.0), label_set="perceived", of="arousal"),
)
GSR = "GSR"
MARGIN_S = 5.0  # of signals on both sides, for the filters
MAX_GAP_S = 1.0  # of conductance that is interpolated: its responses take longer
_COMPARED = 5  # EEG files that are compared for the names of channels
_CLOCK_REMEDY = (
    "Give --clock as_told for onsets in seconds of the run, or --clock zeroed for streams whose first line is at its "
    "start (docs/corpora/affec.md), and report which with the results."
)


class _Streams(NamedTuple):
    """The streams of a run that are there, and their clocks, by the kind of stream; or why one cannot be used."""

    clocks: dict[str, Decision]
    errors: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Reader:
    """AFFEC. A unit is a participant; a recording is the film of a trial."""

    files: AffecFiles
    channels: tuple[Channel, ...]
    synthetic: bool
    clock: Clock | None = None  # the user's choice
    dataset = "affec"
    rate_hz = float(STORED_HZ)
    baseline_s = BASELINE_S
    frames_per_s = 10
    labels = LABELS
    face_feature_names = FACE_FEATURES
    has_videos = False

    @property
    def source(self) -> str:
        """What decided on the clocks of the streams; stores made by different decisions are different stores."""
        return f"clock {self.clock}" if self.clock else "clock by probes"

    @property
    def source_folder(self) -> Path:
        """What the files of recordings are relative to in a store, which keeps the offset of each stream."""
        return self.files.root

    @classmethod
    def open(cls, root: Path, clock: str | None = None) -> "Reader":
        """Return the corpus in a folder. clock : of the streams, as_told or zeroed; None: what probes decide

        Raises BadRecording if there is none, BadConfig for another clock.
        """
        if clock not in (None, *CLOCKS):
            raise BadConfig(f"clock: expected {' or '.join(CLOCKS)}, found {clock}")
        corpus = cls(AffecFiles.open(root), (), read_stamp(root) is not None, clock)
        return replace(corpus, channels=corpus._common_channels())

    def _common_channels(self) -> tuple[Channel, ...]:
        """Return the EEG channels that most of the first files have, and skin conductance."""
        layouts: Counter[tuple[str, ...]] = Counter()
        for file in self.files.eeg_files():
            try:
                names = channel_names_in(file)
            except BadRecording:
                continue
            layouts[tuple(canonical_name(name) for name in names if channel_kind(name) == "eeg")] += 1
            if layouts.total() == _COMPARED:
                break
        common = layouts.most_common(1)
        if not common or not common[0][0]:
            wanted = "an EEG file (sub-X/eeg/*_eeg.edf) with electrodes of the 10-20 system"
            raise BadRecording(self.files.root, wanted, "none", "Unpack AFFEC's eeg archive beside the core archive.")
        return (*(Channel(name, "eeg") for name in common[0][0]), Channel(GSR, "gsr"))

    @property
    def units(self) -> tuple[str, ...]:
        """The participants with events: aerj, ..."""
        return self.files.units

    # ------------------------------------------------------------ recordings

    def recordings(self, unit: str) -> list[Recording]:
        """Return the rated trials of a participant's runs 1 to 3, each with its errors and warnings."""
        recordings: list[Recording] = []
        for run in self.files.runs(unit):
            if run != PRACTICE:
                recordings += self._run_recordings(unit, run)
        return recordings

    def _run_recordings(self, unit: str, run: int) -> list[Recording]:
        blank = Recording(f"{unit}_run{run}", self.dataset, unit, f"{run}", "", 0.0)
        try:
            trials = self._trials(unit, run)
            eeg = self.files.eeg(unit, run)
            streams = self._probed(unit, run)
        except BadRecording as error:
            return [replace(blank, error=str(error))]
        return [self._recording(unit, run, trial, eeg, streams) for trial in trials if trial.ratings or trial.error]

    def _trials(self, unit: str, run: int) -> list[Trial]:
        return trials_of(read_events(self.files.events(unit, run)), read_ratings(self.files.ratings(unit, run)))

    def _recording(self, unit: str, run: int, trial: Trial, eeg: Path | None, streams: _Streams) -> Recording:
        events = self.files.events(unit, run)
        name = f"{unit}_run{run}_trial{trial.number:02d}"
        recording = Recording(name, self.dataset, unit, f"{run}-{trial.number:02d}", trial.stimulus, 0.0)
        errors = [str(BadRecording(f"{events} ({name})", *trial.error))] if trial.error else []
        for label, value in trial.ratings.items():
            if not 1 <= value <= 9:
                place = f"{self.files.ratings(unit, run)} ({name})"
                errors.append(str(BadRecording(place, f"{label} from 1 to 9", f"{value:g}", "The trial is not used.")))
        errors += streams.errors.values()
        gsr, face = self.files.stream(unit, run, "gsr"), self.files.stream(unit, run, "videostream")
        lacking = [what for what, file in (("EEG", eeg), ("skin conductance", gsr)) if file is None]
        if not errors and lacking and face is None:
            actual = f"no {' and no '.join(lacking)}, and no videostream"
            errors.append(str(BadRecording(f"{events} ({name})", "signals or face features of the run", actual)))
        if errors:
            return replace(recording, error=errors[0])
        warnings = [*trial.warnings]
        warnings += [f"without signals, as its run has no {' and no '.join(lacking)}"] if lacking else []
        if trial.fixation is None:
            warnings.append(f"no first fixation cross: the {BASELINE_S:g} s before the film are the baseline")
        recording = replace(
            recording, ratings=dict(trial.ratings), warnings=tuple(warnings), face_features=face,
            seconds=round(trial.stop_s - trial.start_s, 6),
        )  # fmt: skip
        if face is not None:
            start = round(trial.start_s - streams.clocks["videostream"].offset_s, 6)
            recording = replace(recording, video_start_s=start)
        if eeg is None or gsr is None:
            return recording
        conductance = SignalSource(
            gsr, round(streams.clocks["gsr"].offset_s, 6), unit="uS", rename=((CONDUCTANCE, GSR),)
        )
        times = (trial.start_s, *_baseline(trial))
        return replace(recording, signals=eeg, signal_times=times, signal_files=(SignalSource(eeg), conductance))

    # ------------------------------------------------------------ streams and their clocks

    def _read(self, path: Path) -> Stream:
        return read_stream(path, WANTED[stream_kind(path)], self.files.sidecars(path))

    def _probed(self, unit: str, run: int) -> _Streams:
        """Return the clocks of a run's streams. Raises BadRecording for events or an EEG that cannot be read."""
        events = read_events(self.files.events(unit, run))
        eeg = self.files.eeg(unit, run)
        end = segments_in(eeg)[-1].stop_s if eeg is not None else float(events["onset"].iloc[-1])
        about = Run(end, rated_spans(events))
        clocks: dict[str, Decision] = {}
        errors: dict[str, str] = {}
        notes: list[str] = []
        cursor_file = self.files.stream(unit, run, "cursor")
        try:
            cursor = self._read(cursor_file) if cursor_file is not None else None
        except BadRecording as error:
            cursor, notes = None, [str(error)]
        for kind in ("gsr", "videostream"):
            path = self.files.stream(unit, run, kind)
            if path is None:
                continue
            try:
                stream = self._read(path)
                clocks[kind] = decide(stream, about, cursor, self.clock)
                notes += stream.notes
            except BadRecording as error:
                errors[kind] = str(error)
                continue
            if clocks[kind].clock is None:
                wanted = "a stream whose clock can be decided"
                errors[kind] = str(BadRecording(path, wanted, clocks[kind].why, _CLOCK_REMEDY))
        return _Streams(clocks, errors, tuple(notes))

    # ------------------------------------------------------------ notes

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return notes on a participant's runs: clocks of streams, trials that are left out, what is missing."""
        if unit is None:
            return self._participant_notes()
        notes: list[str] = []
        for run in self.files.runs(unit):
            try:
                notes += self._run_notes(unit, run)
            except BadRecording as error:
                notes += [] if run != PRACTICE else [f"practice run: {error}"]  # of others it is an error of the run
        absent = [str(run) for run in (1, 2, 3) if run not in self.files.runs(unit)]
        return (*notes, *([f"no events of run {', '.join(absent)}"] if absent and not self.synthetic else []))

    def _run_notes(self, unit: str, run: int) -> list[str]:
        if run == PRACTICE:
            events = read_events(self.files.events(unit, run))
            return [f"run {run} is practice: its {events['trial'].nunique()} trials are left out"]
        streams, trials = self._probed(unit, run), self._trials(unit, run)
        unrated = [f"{trial.number}" for trial in trials if not trial.ratings and not trial.error]
        notes = [f"run {run}: {note}" for note in streams.notes]
        if unrated:
            notes.append(f"run {run}: {len(unrated)} trials without ratings are left out: {shortened(unrated, 5)}")
        for kind, decision in streams.clocks.items():
            if decision.clock:
                notes.append(f"run {run}: {kind} on clock {decision.clock} ({decision.why})")
        if len(trials) != TRIALS and not self.synthetic:
            notes.append(f"run {run}: {len(trials)} trials, where {TRIALS} are usual")
        absent = [kind for kind in ("gsr", "videostream") if self.files.stream(unit, run, kind) is None]
        absent += ["eeg"] if self.files.eeg(unit, run) is None else []
        return [*notes, *(f"no {kind} of run {run}" for kind in absent)]

    def _participant_notes(self) -> tuple[str, ...]:
        listed = self.files.participants
        if listed is None:
            return ("no participants.tsv: the core archive is not unpacked here",)
        try:
            names = [line.split("\t")[0].strip('"') for line in listed.read_text(encoding="utf-8-sig").splitlines()[1:]]
        except (OSError, ValueError) as error:
            return (f"{listed.name} cannot be read ({error})",)
        names = [name.removeprefix("sub-") for name in names if name.strip()]
        absent = sorted(set(names) - set(self.units))
        notes = [f"participants.tsv names {len(names)} participants, {len(absent)} of them without events here"
                 f"{': ' + shortened(absent, 5) if absent else ''}"]  # fmt: skip
        if not self.synthetic and len(names) != N_PARTICIPANTS:
            notes.append(f"participants.tsv names {len(names)} participants, where {N_PARTICIPANTS} are known")
        n_eeg = len(self.channels) - 1
        return (*notes, *([f"EEG of {n_eeg} electrodes, where {N_EEG} are known"] if n_eeg != N_EEG else []))

    # ------------------------------------------------------------ files

    def inspect(self, recording: Recording) -> Recording:
        """Return the recording with warnings on its signals. Raises BadRecording for damaged or too short files."""
        warnings = [*recording.warnings]
        if recording.signals is not None:
            gsr = self.signals(recording).samples[-1]
            level, (low, high) = float(np.median(gsr)), POSSIBLE[("gsr", "uS")]
            if not low <= level <= high:
                warnings.append(f"a skin conductance of {level:.3g} uS is not possible: is its unit another?")
        if recording.face_features is not None:
            features = self.face_features(recording)
            inside = (features.times_s >= 0) & (features.times_s < recording.seconds)
            n_faces = int(np.isfinite(features.values[inside]).all(axis=1).sum())
            if not n_faces:
                warnings.append(f"no frame with success 1 among {int(inside.sum())} of the film")
                if recording.signals is None:
                    raise BadRecording(recording.face_features, "frames with a face during the film", warnings[-1])
        return replace(recording, warnings=tuple(warnings))

    def signals(self, recording: Recording) -> Signals:
        """Return EEG and skin conductance (64, N) at the EEG's rate, from 5 s before the film to 5 s after it.

        The conductance is interpolated linearly between its lines, which have uneven steps, at the times of the EEG.
        """
        start, first, last = (time or 0.0 for time in recording.signal_times)
        around, begin_s, rate_hz = self._span(recording, start, start + recording.seconds)
        before, before_s, _ = self._span(recording, first, last)
        baseline = ((first - before_s) * rate_hz, (last - before_s) * rate_hz)
        return Signals(
            around, rate_hz, (start - begin_s) * rate_hz, self.channels,
            baseline_signals=Signals(before, rate_hz, baseline[0], self.channels, baseline),
        )  # fmt: skip

    def _span(self, recording: Recording, begin: float, end: float) -> tuple[np.ndarray, float, float]:
        """Return all channels (64, N) from `begin` to `end` and 5 s around, the first sample's second, and the rate."""
        eeg, gsr = recording.sources
        wanted = self.channels[:-1]
        read = read_signals(eeg.file, begin, end, wanted, margin_s=MARGIN_S)
        require_finite(eeg.file, wanted, read)
        if not isinstance(read.samples, np.ndarray) or abs(read.rate_hz - EEG_HZ) > 0.01:
            raise BadRecording(eeg.file, f"EEG at {EEG_HZ:g} Hz", f"{read.rate_hz:g} Hz", "Is it AFFEC's file?")
        times = read.start_s + np.arange(read.samples.shape[1]) / read.rate_hz
        return np.vstack([read.samples, _conductance(self._read(gsr.file), gsr, times, (begin, end))]), read.start_s, \
            read.rate_hz  # fmt: skip

    def face_features(self, recording: Recording) -> FaceFeatures:
        """Return OpenFace's features at the times of their frames, NaN in frames whose `success` is 0."""
        if recording.face_features is None:
            raise BadRecording(recording.name, "face features", "none")
        stream = self._read(recording.face_features)
        times = stream.times_s - recording.video_start_s
        inside = (times >= -MARGIN_S) & (times <= recording.seconds + MARGIN_S)
        values = stream.values[inside]
        values[values[:, 0] != 1, 1:] = np.nan  # a copy of the cached ones
        return FaceFeatures(times[inside], values[:, 1:])


def _baseline(trial: Trial) -> tuple[float, float]:
    """The end of the first fixation cross, or what is right before the film; start and stop on the run's clock."""
    if trial.fixation is None:
        return trial.start_s - BASELINE_S, trial.start_s
    begin, end = trial.fixation
    return max(begin, end - BASELINE_S), end


def _conductance(stream: Stream, source: SignalSource, times: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    """Return the conductance (N,) at times of the run. Raises BadRecording if the span has a gap of more than 1 s.

    Outside of the stream its first and last value are repeated: these are margins.
    """
    there = np.isfinite(stream.values[:, 0])
    own = stream.times_s[there] + source.offset_s
    gap = longest_gap(own, *span)
    if gap > MAX_GAP_S or not len(own):
        remedy = "The trial is not used; check the clock of the stream."
        wanted = f"conductance from {span[0]:.2f} to {span[1]:.2f} s of the run"
        raise BadRecording(source.file, wanted, f"{gap:.2f} s of them without a line", remedy)
    return np.interp(times, own, stream.values[there, 0])

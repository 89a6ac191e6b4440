"""Recordings of LabRecorder (.xdf): streams of Lab Streaming Layer, trials from markers, films by their frame streams.

    ROOT/xdf.yaml           which streams, markers and films are used (`gbvnet table init ROOT` drafts it):
        streams             by name, source_id or type: kinds of channels, and labels and unit where the file has none
        markers             the stream, patterns of start and stop, how ratings are written
        subject             a pattern over a file's path, with a group `subject`; default sub-(?P<subject>[^_/]+)
        frames              the stream of frame numbers, its column, and the film beside the file
        labels              the labels and their scales; default: the usual ratings from 1 to 9
        video_latency_ms    from light to the stamp of a frame, subtracted; 0 if absent
        baseline_s, rate_hz, frames_per_s, filtered, dataset    as in table.yaml
    ROOT/**/*.xdf           as LabRecorder names them, sub-P001/ses-S001/eeg/sub-P001_ses-S001_task-Default_eeg.xdf

Seconds are those from the first sample of the file's earliest stream of signals on. A trial is from a start to the next
stop; the next rating after the stop is its. Trials are counted within a subject unless the start has a group `trial`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from typing_extensions import override

from ..errors import BadRecording
from ..io.atomic import visible_files
from ..io.frame_times import VideoInfo
from .film_times import times_file_of
from .formats.signal_file import SignalFile, TextProperties
from .formats.xdf import XdfFile, xdf_signals, xdf_streams
from .label_columns import LabelColumn
from .names import file_name_error, normal
from .recording import Channel, Recording, Signals, read_stamp, require_folder
from .recording_files import RecordingFiles
from .signal_sources import SignalSource
from .table_schema import is_name
from .trial_files import TrialFiles
from .units import MARK
from .xdf_frames import frame_rows, with_stream_times
from .xdf_settings import SETTINGS, Settings, read_settings
from .xdf_trials import TrialSpan, checked_ratings, read_markers, trials_of


@dataclass(frozen=True)
class _OpenedFile(RecordingFiles):
    """The signals of one XDF file, of which only some streams are used."""

    signals: XdfFile | None = None

    @cached_property
    @override
    def files(self) -> tuple[SignalFile, ...]:
        """The opened file."""
        return (self.signals,) if self.signals is not None else ()


@dataclass(frozen=True)
class Reader:
    """Recordings of LabRecorder. Opened by `open_corpus("xdf", root)`."""

    root: Path
    settings: Settings
    files: tuple[Path, ...]
    synthetic: bool = False

    @property
    def source(self) -> str:
        """The settings that change samples and frames: a store made with others is refused."""
        settings = self.settings
        streams = ", ".join(f"{s.name}{f' in {s.unit}' if s.unit else ''}" for s in settings.streams)
        late = f", frames {settings.video_latency_ms:g} ms late" if settings.video_latency_ms else ""
        return f"{'filtered' if settings.filtered else 'not filtered'}, streams {streams}{late}, {MARK}"

    @property
    def dataset(self) -> str:
        """Name of the corpus in stores and reports."""
        return self.settings.dataset

    @property
    def source_folder(self) -> Path:
        """What the files are relative to; a store then keeps which file each recording comes from."""
        return self.root

    @property
    def rate_hz(self) -> float:
        """Sampling rate of the store."""
        return float(self.settings.rate_hz)

    @property
    def baseline_s(self) -> float:
        """Length of the baseline period before each stimulus."""
        return float(self.settings.baseline_s)

    @property
    def frames_per_s(self) -> int:
        """Face frames per second in the store."""
        return self.settings.frames_per_s

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels that xdf.yaml names."""
        return self.settings.channels

    @property
    def labels(self) -> tuple[LabelColumn, ...]:
        """The label columns that xdf.yaml declares."""
        return self.settings.labels

    @classmethod
    def open(cls, root: Path) -> "Reader":
        """Return the corpus of a folder. Raises BadRecording if it has no xdf.yaml, or no .xdf."""
        require_folder(root)
        files = tuple(f for f in visible_files(root, "**/*") if f.suffix.lower() == ".xdf" and f.is_file())
        if not files:
            raise BadRecording(root, "a folder with .xdf files", "none")
        return cls(root, read_settings(root / SETTINGS), tuple(sorted(files)), read_stamp(root) is not None)

    def _subject(self, file: Path) -> str | None:
        match = self.settings.subject.search(file.relative_to(self.root).as_posix())
        return normal(match["subject"] or "") or None if match else None

    @cached_property
    def _by_subject(self) -> dict[str, tuple[Path, ...]]:
        """Files by subject; one whose path names none is under its own name."""
        files: dict[str, list[Path]] = {}
        for file in self.files:
            files.setdefault(self._subject(file) or file.stem, []).append(file)
        return {name: tuple(own) for name, own in sorted(files.items())}

    @property
    def units(self) -> tuple[str, ...]:
        """The subjects, sorted by name."""
        return tuple(self._by_subject)

    def recordings(self, unit: str) -> list[Recording]:
        """Return a subject's trials in the order of its files, each with its errors and warnings.

        Raises BadRecording if its only file cannot be used.
        """
        files, made = self._by_subject[unit], list[Recording]()
        for file in files:
            try:
                made += self._of_file(unit, file, len(made))
            except BadRecording as error:
                if len(files) == 1:
                    raise
                made.append(Recording(file.stem, self.dataset, unit, file.stem, file.stem, 0.0, error=str(error)))
        counts = Counter(recording.name for recording in made)
        return [one if counts[one.name] == 1 or one.error else self._again(one) for one in made]

    def _again(self, recording: Recording) -> Recording:
        file = recording.signals or self.root
        remedy = "Leave the group `trial` out of markers.start: trials are then counted."
        error = BadRecording(file, "each trial of a subject once", f"{recording.name} more than once", remedy)
        return replace(recording, error=str(error))

    def _of_file(self, subject: str, file: Path, before: int) -> list[Recording]:
        """Return the trials of a file. before : how many trials the subject has in other files"""
        if self._subject(file) is None or not is_name(subject):
            expected = f"a path in which {self.settings.subject.pattern} is a subject of letters, digits and points"
            actual = file.relative_to(self.root).as_posix()
            raise BadRecording(file, expected, actual, f"Set `subject` in {SETTINGS}.")
        opened = self._signals_of(file)
        markers, _ = read_markers(xdf_streams(file), self.settings.markers.stream, opened.zero_s)
        spans = trials_of(file, markers, self.settings.markers).spans
        film, warnings = self._film(file)
        return [self._recording(subject, file, span, before + k, film, warnings) for k, span in enumerate(spans, 1)]

    def _recording(
        self, subject: str, file: Path, span: TrialSpan, number: int, film: Path | None, warnings: tuple[str, ...]
    ) -> Recording:
        trial = span.trial or f"{number:02d}"
        name = f"{subject}_{trial}"
        recording = Recording(
            name, self.dataset, subject, trial, span.stimulus or name, 0.0, signals=file, row=number, warnings=warnings,
            signal_times=(span.start_s, None),
        )  # fmt: skip
        place = f"{file} ({name})"
        try:
            if not is_name(trial) or file_name_error(name):
                raise BadRecording(place, "a trial of letters, digits, points, dashes and underscores", repr(trial))
            if span.error is not None or span.stop_s is None:
                raise BadRecording(place, *(span.error or ("a stop", "none")))
            ratings, wrong = checked_ratings(span.ratings, self.labels)
            if wrong is not None:
                raise BadRecording(place, *wrong, f"Another scale is declared under labels in {SETTINGS}.")
        except BadRecording as error:
            return replace(recording, error=str(error))
        return replace(
            recording, seconds=round(span.stop_s - span.start_s, 6), ratings=ratings, video=film,
            video_start_s=span.start_s,
        )  # fmt: skip

    def _film(self, file: Path) -> tuple[Path | None, tuple[str, ...]]:
        """Return the film of a file, and a warning if it should have one and has none."""
        if self.settings.frames is None:
            return None, ()
        film = self.settings.frames.path(file)
        if film.is_file():
            return film, ()
        return None, (f"{file.name} has no film {film.name} beside it: its signals alone are used",)

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return what the markers of a subject's files need to be known for: some sent twice, trials without an end."""
        notes: list[str] = []
        for file in self._by_subject.get(unit or "", ()):
            try:
                markers, twice = read_markers(
                    xdf_streams(file), self.settings.markers.stream, self._signals_of(file).zero_s
                )
                notes += [*twice, *trials_of(file, markers, self.settings.markers).notes]
            except BadRecording:  # its recordings say so
                continue
        return tuple(notes)

    # ------------------------------------------------------------ files

    def _signals_of(self, file: Path) -> XdfFile:
        return xdf_signals(file, tuple(stream.choice for stream in self.settings.streams))

    def _open(self, sources: Sequence[SignalSource], text: TextProperties, hint: str) -> RecordingFiles:
        return _OpenedFile(tuple(sources), text, hint, self._signals_of(sources[0].file))

    def _timed(self, recording: Recording, info: VideoInfo) -> VideoInfo:
        """Return a film's properties with the times of its frames. Raises BadRecording if it is not known which."""
        frames, file, video = self.settings.frames, recording.signals, recording.video
        if frames is None or file is None or video is None:
            return info
        if (beside := times_file_of(video)) is not None:
            actual, remedy = f"{beside.name} too", "Take one of them away."
            raise BadRecording(video, "frame times in one place, the stream of frames", actual, remedy)
        late_s = self.settings.video_latency_ms / 1000
        rows = frame_rows(xdf_streams(file), frames.stream, frames.number, self._signals_of(file).zero_s, late_s)
        return with_stream_times(video, info, file, frames.stream, rows)

    @property
    def _files(self) -> TrialFiles:
        text = TextProperties()
        return TrialFiles(self.channels, self.baseline_s, text, SETTINGS, self._open, self._timed)

    def inspect(self, recording: Recording) -> Recording:
        """Return the recording with its files' properties. Raises BadRecording if one is damaged or too short."""
        return self._files.inspect(recording, f"{recording.signals} ({recording.name})")

    def signals(self, recording: Recording) -> Signals:
        """Return signals of stimulus and baseline, with a margin for filters; microvolts for electrical channels."""
        return self._files.signals(recording, f"{recording.signals} ({recording.name})")

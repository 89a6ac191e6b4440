"""One recording that belongs to no corpus: a video, signal files, or both, for a model to predict.

Its channels are those that the model was trained on, matched by name in any spelling.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from ..config import Times
from ..errors import BadConfig, BadRecording
from ..io.frame_times import VideoInfo
from ..io.video import probe
from .channel_names import match_channels, require_renamed
from .film_times import SUFFIX, times_file_of
from .formats.segments import MAX_LATE_S, TOLERANCE_S, overlap
from .formats.signal_file import TextProperties, channel_names_in, channel_units_in
from .formats.signal_formats import file_kind, is_recording, supported_files
from .recording import Channel, Recording, Signals
from .recording_files import RecordingFiles, open_files
from .signal_sources import SignalSource, parse_source, require_sources
from .trial_files import MARGIN_S, signal_warnings, unit_warnings
from .units import ELECTRICAL, MARK
from .xdf_frames import frames_in, with_times_of

# Of files that may be uploaded: each tells by its name that it holds signals.
SIGNAL_SUFFIXES = (".bdf", ".edf", ".fif", ".gz", ".vhdr", ".ahdr", ".set", ".gdf", ".cnt", ".nedf", ".csv", ".tsv")
HINT = "Give --rename MODELNAME=FILENAME, or --times.signals_rate_hz."
_RENAME_HINT = "If one has another name there: --rename MODELNAME=NAME. Or leave the files out, if the model allows it."
PART_HINT = "--times.start_s and --times.stop_s choose a part."


@dataclass(frozen=True)
class SingleRecording:
    """A corpus of one recording. Opened by `open_recording`."""

    recording: Recording
    channels: tuple[Channel, ...]
    rate_hz: float
    baseline_s: float
    times: Times
    renamed: dict[str, str] = field(default_factory=dict)  # the model's name -> the file's
    dataset = "single"
    synthetic = False
    source = ""
    frames_per_s = 10
    labels = ()

    @property
    def units(self) -> tuple[str, ...]:
        """The name of the recording's subject."""
        return (self.recording.subject,)

    def recordings(self, unit: str) -> list[Recording]:
        """Return the recording."""
        return [self.recording]

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return no note: all that is known of it belongs to the recording."""
        return ()

    def inspect(self, recording: Recording) -> Recording:
        """Return the recording with its length and warnings.

        Raises BadRecording if a file is damaged or too short, or has a pause within the requested part, and BadConfig
        if that part ends before it begins.
        """
        info = self._probed(recording)
        start, stop, warnings = self.times.start_s, self.times.stop_s, list(recording.warnings)
        if stop is not None and stop <= start:
            raise BadConfig(f"--times.stop_s {stop:g} is not after --times.start_s {start:g}")
        ends = {}
        if recording.signals is not None:
            files = self._open(recording)
            begin, ends = files.segments[0].start_s, {file: end for file, (_, end) in files.spans.items()}
            if begin > start + 0.05:
                warnings.append(f"{files.begins_at(begin)}: that is second 0 here")
            start = max(start, begin)
        if recording.video is not None and info is not None:
            if recording.signals is None and recording.video_times is not None:
                start = max(start, info.time_s(0))  # on a clock that begins anywhere
            warnings += info.notes
            ends[recording.video] = info.seconds - self.times.video_offset_s
        last = min(ends.values()) if stop is None else stop
        if last <= start or max(ends.values()) <= start:
            raise _nothing(ends, start, last)
        if stop is not None:
            warnings += [
                f"{of.name} ends {stop - end:.2f} s before stop_s" for of, end in ends.items() if end < stop - 0.05
            ]
        seconds = round(min(last, max(ends.values())) - start, 6)
        video_start = start + self.times.video_offset_s
        recording = replace(recording, seconds=seconds, video_info=info, video_start_s=video_start)
        if recording.signals is not None:
            signals, notes = self._signals(recording)
            warnings += [*notes, *signal_warnings(signals, recording.signals)]
            warnings += unit_warnings(self._open(recording), self._wanted, signals.samples)
        return replace(recording, warnings=tuple(warnings))

    def _probed(self, recording: Recording) -> VideoInfo | None:
        """Return the properties of the video, with the times of its frames if a file gives them."""
        if recording.video is None:
            return None
        info = probe(recording.video)
        if recording.video_times is None:
            return info
        if self.times.video_offset_s and recording.video_times in [one.file for one in recording.sources]:
            stream = frames_in(recording.video_times)
            return info.with_note(f"--times.video_offset_s is given: the frames' times in stream {stream} are not used")
        if self.times.video_offset_s:
            raise BadConfig(
                f"--times.video_offset_s {self.times.video_offset_s:g}: the frames of {recording.video.name} have the "
                f"times of {recording.video_times.name}, which are on the signals' clock: give no offset, or take that "
                "file away"
            )
        return with_times_of(recording.video, info, recording.video_times)

    @property
    def _wanted(self) -> tuple[Channel, ...]:
        """The model's channels with the names that they have in the file."""
        return tuple(replace(c, name=self.renamed.get(c.name, c.name)) for c in self.channels)

    def signals(self, recording: Recording) -> Signals:
        """Return signals of the whole files or between two pauses, (C, N), microvolts for electrical channels."""
        return self._signals(recording)[0]

    def _signals(self, recording: Recording) -> tuple[Signals, list[str]]:
        """Return the signals, and notes on their position and that of their baseline."""
        wanted, files = self._wanted, self._open(recording)
        start, end = max(self.times.start_s, files.segments[0].start_s), files.segments[-1].stop_s
        stop = min(start + recording.seconds, end) if recording.seconds else end
        read = files.read(start, stop, wanted, PART_HINT, inf)
        notes = [*read.notes]
        onset = max(0.0, (start - read.start_s) * read.rate_hz)
        signals = Signals(read.samples, read.rate_hz, onset, self.channels, rates_hz=read.rates_hz)
        (first, last), baseline_notes = self._baseline(files, start, read.start_s)
        notes += baseline_notes
        if first >= read.start_s - TOLERANCE_S and last <= read.start_s + read.seconds + TOLERANCE_S:
            baseline = ((first - read.start_s) * read.rate_hz, (last - read.start_s) * read.rate_hz)
            return replace(signals, baseline=baseline), notes
        before = files.read(first, last, wanted, PART_HINT, MARGIN_S)
        baseline = ((first - before.start_s) * before.rate_hz, (last - before.start_s) * before.rate_hz)
        around = Signals(before.samples, before.rate_hz, baseline[0], self.channels, baseline, before.rates_hz)
        return replace(signals, baseline_signals=around), notes

    def _open(self, recording: Recording) -> RecordingFiles:
        if recording.signals is None:
            raise BadRecording(recording.name, "a recording with signals", "none")
        text = TextProperties(self.times.signals_rate_hz, self.times.signals_unit)
        return open_files(recording.sources, text, HINT)

    def _baseline(self, files: RecordingFiles, start: float, earliest: float) -> tuple[tuple[float, float], list[str]]:
        """Return the start and stop of the baseline, and notes: the requested seconds as far as the file has them, else
        those before the start, else the first after it.

        earliest : first second before the start from which there is no pause
        """
        length, begin = self.baseline_s, self.times.baseline_start_s
        if not length:
            return (start, start), []
        own = overlap(files.segments, start, start + length) or (start, start)
        notes = []
        instead = f"the first {own[1] - own[0]:.2f} s of the requested part are used instead"
        if begin is not None:
            there = overlap(files.segments, begin, begin + length)
            prefix = f"baseline: {files.name} has"
            if there is not None:
                have = there[1] - there[0]
                short = f"{prefix} {have:.2f} of the {length:g} s from {begin:g} s on, which are used"
                return there, [short] if have < length - MAX_LATE_S else []
            notes = [f"{prefix} nothing of the {length:g} s from {begin:g} s on; {instead}"]
        elif start - length >= earliest - MAX_LATE_S:
            return (max(earliest, start - length), start), []
        elif start > files.segments[0].start_s + MAX_LATE_S:
            notes = [f"baseline: {files.name} has no {length:g} s right before {start:g} s; {instead}"]
        return own, notes


def _nothing(ends: dict[Path, float], start: float, stop: float) -> BadRecording:
    """Return the error that the requested part begins after a file has ended, or ends before it begins."""
    file = min(ends, key=lambda name: ends[name])
    if ends[file] > start:
        return BadRecording(next(iter(ends)), f"signals before {stop:g} s", f"a file that begins at {start:.2f} s")
    actual = f"one that ends at {ends[file]:.2f} s" + (f", requested from {start:g} s on" if start else "")
    remedy = "Is --times.video_offset_s right?" if len(ends) > 1 else ""
    return BadRecording(file, "a recording that is not over", actual, remedy)


def open_recording(
    files: list[Path],
    channels: tuple[Channel, ...],
    rate_hz: float,
    baseline_s: float,
    times: Times | None = None,
    rename: dict[str, str] | None = None,
    made_with: Mapping[str, Any] | None = None,
) -> SingleRecording:
    """Open a recording of a video, of signal files, or of both.

    files : at most one is a video; film.times.csv, given or beside film.mp4, holds the times of its frames. The first
        signal file has the clock of the recording; the others are placed on it, `wrist.csv@-3.2` by an offset: time on
        the first file's clock = time in this file - 3.2 s
    channels : those that the model sees; () if it sees no signals
    rename : the model's name of a channel -> the file's, or `wrist.csv:EDA` of one of several files
    made_with : the model's metadata; a model from before units were unified refuses signals in other units

    Raises BadRecording if a file is absent, or a channel is not in it (with near names) or in two of them; BadConfig
    for more than one video, or a rename of a channel that the model does not have.
    """
    given, times, renamed = _given_files(files), times or Times(), dict(rename or {})
    require_renamed(renamed, [c.name for c in channels])
    video, sources = given.video, given.sources
    signals = sources[0].file if sources and channels else None
    name = (sources[0].file if sources else video or Path("recording")).stem
    of_several = sources if signals is not None and len(sources) > 1 else ()
    recording = Recording(name, "single", name, "1", name, 0.0, video=video, video_times=given.video_times,
                          signals=signals, signal_files=of_several)  # fmt: skip
    if signals is not None:
        named = tuple(replace(c, name=renamed.get(c.name, c.name)) for c in channels)
        parts = [(signals, named)]
        if of_several:
            opened = open_files(of_several, TextProperties(times.signals_rate_hz, times.signals_unit), HINT)
            parts = [(part.source.file, part.channels) for part in opened.by_file(named, _RENAME_HINT)]
        else:
            _require_channels(signals, channels, renamed)
        for file, of_file in parts:
            require_same_units(file, of_file, made_with)
    return SingleRecording(recording, channels, rate_hz, baseline_s, times, renamed)


class _GivenFiles(NamedTuple):
    """What the files of a recording are."""

    video: Path | None
    video_times: Path | None
    sources: tuple[SignalSource, ...]


def _given_files(files: list[Path]) -> _GivenFiles:
    """Return which files are the video, the times of its frames, and signals. Raises BadRecording or BadConfig."""
    video, video_times, sources = None, None, list[SignalSource]()
    for given in files:
        source = file_source(given)
        if source.file.name.lower().endswith(SUFFIX) and source.file.is_file():
            video_times = source.file
        elif _is_signals(source.file):
            sources.append(source)
        elif source.offset_s:
            raise BadConfig(f"{given}: a video has no offset behind an @; --times.video_offset_s places it")
        elif video is not None:
            raise BadConfig(f"{video} and {source.file} are both videos: give one recording at a time")
        else:
            video = source.file
    require_sources(sources, sources[0].file if sources else "")
    if video is None and video_times is not None:
        raise BadConfig(f"{video_times}: these are the times of a film's frames, and no film is given")
    if video is not None and video_times is None:
        in_xdf = (one.file for one in sources[:1] if frames_in(one.file) is not None)
        video_times = times_file_of(video) or next(in_xdf, None)
    return _GivenFiles(video, video_times, tuple(sources))


def file_source(given: Path) -> SignalSource:
    """Return a file as it is given to `gbvnet predict`, `wrist.csv@-3.2`, with its offset. Raises BadRecording."""
    return parse_source(str(given), lambda text: Path(text).exists(), given)


def require_same_units(file: Path, channels: tuple[Channel, ...], made_with: Mapping[str, Any] | None) -> None:
    """Refuse a file of which a channel would be in another unit than in the training of a model from before all readers
    brought units together: then those that are not electrical stayed as MNE gave them. Raises BadRecording.

    channels : named as in the file
    """
    if made_with is None or str(made_with.get("dataset")).split(" ")[0] in ("deap", "mahnob"):
        return  # their readers gave these units from the first
    others = tuple(c for c in channels if c.kind not in ELECTRICAL)
    if not others or MARK in str(made_with.get("source", "")):
        return
    there, made, applied = channel_units_in(file, others)
    changed = [
        f"{c.name} in {one.unit}"
        for c, one, factor in zip(there, made, applied, strict=True)
        if one.scale != factor or one.offset
    ]
    if changed:
        raise BadRecording(
            file, "channels in the units of the model's training, which were those that MNE gives", ", ".join(changed),
            "The model is from before units were brought together: prepare its store again, and train it on that.",
        )  # fmt: skip


def _is_signals(file: Path) -> bool:
    """Return whether a file, or folder of a recording, holds signals rather than a video. Raises BadRecording."""
    if not is_recording(file):
        actual = "a folder" if file.is_dir() else "no such file"
        raise BadRecording(file, "a recording", actual, supported_files() if file.is_dir() else "")
    kind = file_kind(file)
    if kind is None:
        try:
            probe(file)
        except BadRecording:
            raise BadRecording(file, "a video or a signal file", "neither", supported_files()) from None
    return kind == "signals"


def _require_channels(file: Path, channels: tuple[Channel, ...], renamed: dict[str, str]) -> None:
    have = channel_names_in(file)
    match = match_channels([c.name for c in channels], have, renamed)
    if match.missing:
        raise BadRecording(
            file, f"the {len(channels)} channels that the model was trained on",
            f"none for {match.hint}, among {', '.join(have)}",
            f"If one has another name there: --rename {match.missing[0]}=NAME. Or leave the file out, if the model can "
            "do without signals.",
        )  # fmt: skip

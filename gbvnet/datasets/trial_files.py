"""The signals and the video of trials that are spans of seconds in files, whatever lists the trials.

A table, a BIDS dataset and recordings of LabRecorder have trials of this kind: `Recording.signal_times` says when the
stimulus and its baseline start on the clock of the first signal file, `Recording.sources` which files there are.

Shapes: C channels, N samples.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..errors import BadRecording
from ..io.frame_times import VideoInfo
from ..io.video import probe
from .formats.device_signatures import device_name
from .formats.signal_file import SignalSpan, TextProperties
from .formats.signal_text import is_text
from .known_channels import Known, known_channels
from .recording import Channel, Recording, Samples, Signals
from .recording_files import RecordingFiles, open_files
from .signal_sources import SignalSource
from .units import ELECTRICAL, impossible, messages, scale_of
from .xdf_frames import with_times_of

MARGIN_S = 10.0  # of signals around what is used, so that no filter's edge reaches into it
# EEG with an SD outside of these is not in microvolts: the smallest that any electrode gives, and a tenth of a volt,
# which no amplifier of EEG can have.
QUIETEST_UV, LOUDEST_UV = 0.01, 1e5
FEWEST = 10  # different values of a signal


class Keys(NamedTuple):
    """What a user corrects, as the settings of a corpus call it: where signals, baselines and videos are."""

    signals: str = "channels"
    baseline: str = "baseline_s"
    video: str = "offset_s of `video`"


PLAIN_KEYS = Keys()
TABLE_KEYS = Keys("signals_rate_hz and channels", "baseline_start_s, or baseline_s", "video_offset_s")


@dataclass(frozen=True)
class TrialFiles:
    """How a corpus reads the files of its trials.

    channels : those of the corpus; every trial with signals has them
    baseline_s : seconds of baseline before each stimulus
    text : what text files do not say
    settings : the name of the file that a user corrects, for remedies
    opened : opens the signal files of a trial, where they are not simply files: with what text files do not say, and a
        hint for errors
    keys : what is set in `settings`, for remedies
    timed : a film's properties with the times of its frames, where these are in no file of their own
    """

    channels: tuple[Channel, ...]
    baseline_s: float
    text: TextProperties
    settings: str
    opened: Callable[[Sequence[SignalSource], TextProperties, str], RecordingFiles] = open_files
    timed: Callable[[Recording, VideoInfo], VideoInfo] | None = None
    keys: Keys = PLAIN_KEYS

    def inspect(self, recording: Recording, place: str) -> Recording:
        """Return the recording with its files' properties and warnings.

        place : what names the trial, for errors: its file and line

        Raises BadRecording if a file is damaged or too short.
        """
        warnings = list(recording.warnings)
        if recording.signals is not None:
            signals, notes = self._signals(recording, place)
            warnings += [*notes, *signal_warnings(signals, recording.signals)]
            warnings += unit_warnings(self._open(recording, ""), self.channels, signals.samples)
            recording = replace(recording, scales=scales_of(signals))
        info = None
        if recording.video is not None:
            info = probe(recording.video)
            if self.timed is not None:
                info = self.timed(recording, info)
            if recording.video_times is not None:
                info = with_times_of(recording.video, info, recording.video_times)
            warnings += [*info.notes, *covered(recording, info, self.keys.video)]
        return replace(recording, video_info=info, warnings=tuple(warnings))

    def signals(self, recording: Recording, place: str) -> Signals:
        """Return signals of stimulus and baseline, with a margin for filters; microvolts for electrical channels.

        Raises BadRecording if a part of the stimulus or its baseline is missing, or has a pause.
        """
        return self._signals(recording, place)[0]

    def _signals(self, recording: Recording, place: str) -> tuple[Signals, list[str]]:
        """Return the signals, and notes on their position."""
        start, given = (*recording.signal_times, None)[:2]
        start = start or 0.0
        stop = start + recording.seconds
        first = start - self.baseline_s if given is None else given
        if not first <= start - self.baseline_s + 1e-9:
            raise BadRecording(
                place, f"{self.baseline_s:g} s of baseline before the stimulus at {start:g} s",
                f"them from {first:g} s on",
                f"Set {self._of_baseline}.",
            )  # fmt: skip
        see = f"See {self.keys.signals} in {self.settings}, and {place}."
        try:
            read = around = self._read(recording, first, stop, see)
        except BadRecording:
            read = self._read(recording, start, stop, see)
            see = f"This is the baseline: set {self._of_baseline}."
            see = f"{see} See {place}."
            around = self._read(recording, first, first + self.baseline_s, see)
        onset, baseline_start = (
            max(0.0, (start - read.start_s) * read.rate_hz),
            max(0.0, (first - around.start_s) * around.rate_hz),
        )
        signals = Signals(read.samples, read.rate_hz, onset, self.channels, rates_hz=read.rates_hz)
        baseline = (baseline_start, baseline_start + self.baseline_s * around.rate_hz)
        if around is read:
            signals = replace(signals, baseline=baseline)
        else:
            before = Signals(around.samples, around.rate_hz, baseline_start, self.channels, baseline, around.rates_hz)
            signals = replace(signals, baseline_signals=before)
        return signals, [*dict.fromkeys((*around.notes, *read.notes))]

    @property
    def _of_baseline(self) -> str:
        """What sets the baseline."""
        return f"{self.keys.baseline} in {self.settings} (0 for none)"

    def _read(self, recording: Recording, begin: float, end: float, hint: str) -> SignalSpan:
        return self._open(recording, hint).read(begin, end, self.channels, hint, MARGIN_S)

    def _open(self, recording: Recording, hint: str) -> RecordingFiles:
        if recording.signals is None:
            raise BadRecording(recording.name, "a recording with signals", "none")
        return self.opened(recording.sources, self.text, hint)


def covered(recording: Recording, info: VideoInfo, key: str = TABLE_KEYS.video) -> Iterator[str]:
    """Yield warnings on parts of the stimulus that the video lacks. Raises BadRecording if it lacks the start.

    key : what places the video, for the remedy
    """
    start, stop = recording.video_start_s, recording.video_start_s + recording.seconds
    begin, end, frame_s = info.time_s(0), info.seconds, 1 / float(info.fps)
    if start < 0 or start >= end or stop <= begin:
        wanted = f"a video that runs at {start:g} s, where the stimulus starts"
        actual = f"one from {begin:.1f} to {end:.1f} s" if begin > frame_s else f"one of {end:.1f} s"
        by = recording.video_times.name if recording.video_times is not None else "the stream of its frames"
        remedy = f"Is {key} right?" if info.times_s is None else f"By {by}."
        raise BadRecording(recording.video, wanted, actual, remedy)
    if begin - start > frame_s:
        yield f"the video begins {begin - start:.1f} s after the stimulus"
    if stop - end > frame_s:
        yield f"the video ends {stop - end:.1f} s before the stimulus"


def shared_seconds(times: pd.DataFrame, slack_s: float = 0.0) -> dict[str, str]:
    """Return a message for each trial that shares seconds of a file with another, by name.

    times : a row a trial and file, with the columns name, file, start, stop
    slack_s : by which two trials may overlap
    """
    overlaps: dict[str, str] = {}
    for _, group in times.dropna().sort_values("start").groupby("file"):
        last: dict = {}  # of those before, the one that goes on for longest
        for one in group.to_dict("records"):
            if last and one["start"] < last["stop"] - slack_s:
                for a, b in ((one, last), (last, one)):
                    overlaps.setdefault(a["name"], f"seconds of {one['file']} that {b['name']} has too")
            last = one if not last or one["stop"] > last["stop"] else last
    return overlaps


def first_known(trials: Iterable[tuple[SignalSource, ...]], settings: str) -> Known | BadRecording | None:
    """Return the channels of the first trial whose signal files are readable; the error, if there is none.

    settings : the name of the file in which a user can name channels, for remedies
    """
    unread = None
    for sources in dict.fromkeys(sources for sources in trials if sources):
        try:
            known = _known_together(sources)
        except BadRecording as error:  # its own error reports it; another file may be readable
            unread = unread or error
            continue
        if known and known.kinds:
            return known
        if known and known.unknown:
            actual = f"only {', '.join(known.unknown)}"
            return BadRecording(
                sources[0].file, "channels whose names tell their kind", actual, f"Name them in {settings}."
            )
    return unread


def _known_together(sources: tuple[SignalSource, ...]) -> Known | None:
    """Return the channels of the signal files of one recording, by their names in it; None if a file is absent."""
    if not all(_is_read(source.file) for source in sources):
        return None
    each = [known_channels(source.file) for source in sources]
    kinds = {s.channel_name(name): kind for s, known in zip(sources, each, strict=True)
             for name, kind in known.kinds.items()}  # fmt: skip
    unknown = tuple(name for known in each for name in known.unknown)
    return Known(kinds, unknown, tuple(note for known in each for note in known.notes))


def _is_read(file: Path) -> bool:
    """Return whether a path is a file, or the folder of a device."""
    return file.is_file() or device_name(file) is not None


def unit_warnings(files: RecordingFiles, channels: Sequence[Channel], samples: Samples) -> list[str]:
    """Return warnings on the units of a recording's channels, by the headers of its files and by their values.

    channels : as they are called in the recording; samples : (N,) of each of them
    """
    warnings = []
    for part, made in files.units(channels):
        warnings += messages({c.name: one for c, one in zip(part.channels, made, strict=True)})
        rows = [(c, samples[k], one.unit) for c, k, one in zip(part.channels, part.positions, made, strict=True)
                if not c.filtered]  # fmt: skip
        warnings += impossible([c.kind for c, *_ in rows], [c.name for c, *_ in rows], [x for _, x, _ in rows],
                             [kept for *_, kept in rows])  # fmt: skip
    return warnings


def scales_of(signals: Signals) -> tuple[tuple[str, float], ...]:
    """Return the amplitude of each channel, for comparison with other recordings."""
    rates = signals.rates_hz or [signals.rate_hz] * len(signals.channels)
    rows = zip(signals.channels, signals.samples, rates, strict=True)
    return tuple((c.name, scale_of(c.kind, x, rate_hz)) for c, x, rate_hz in rows)


def signal_warnings(signals: Signals, path: Path) -> Iterator[str]:
    """Yield warnings on signals that can be used."""
    rows = zip(signals.channels, signals.samples, strict=True)
    finite = [(c, row) for c, row in rows if np.isfinite(row).all() and len(row)]  # others are refused elsewhere
    flat = [c.name for c, row in finite if np.ptp(row) == 0]
    if flat:
        yield f"flat channels: {', '.join(flat)}"
    clipped = []
    for channel, row in finite:
        limits = [row == row.max(), row == row.min()]
        stuck = sum(
            float((at[1:] & at[:-1]).mean()) for at in limits
        )  # a wave's own peaks are there for one sample only
        if channel.name not in flat and stuck > 0.01:
            clipped.append(channel.name)
    if clipped:
        yield f"clipped channels (more than 1 % of samples at their limits): {', '.join(clipped)}"
    few = [c.name for c, row in finite if c.name not in flat and len(row) > 500 and len(np.unique(row[:5000])) < FEWEST]
    if few:
        yield f"fewer than {FEWEST} different values: {', '.join(few)}: are they signals, not answers or marks?"
    for kind in ELECTRICAL:
        sd = [row.std() for c, row in finite if c.kind == kind and c.name not in flat]
        if sd and not QUIETEST_UV <= np.median(sd) <= LOUDEST_UV:
            volts = np.median(sd) < QUIETEST_UV
            like = "volts" if volts else "microvolts that were taken for volts, or no voltage at all"
            where = "signals_unit" if is_text(path) else "the unit in the file's header"
            yield f"{kind.upper()} of {np.median(sd):.2g} uV SD looks like {like}: is {where} right?"

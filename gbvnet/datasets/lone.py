"""One recording that belongs to no corpus: a video, a signal file, or both, for a model to be asked about.

The channels are those that the model was trained on, found by name however the file spells them.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from ..channels import find, near
from ..config import Times
from ..errors import BadConfig, BadRecording
from ..recording import Channel, Recording, Signals
from ..video import probe
from .signal_file import names_in, read_signals, span_s
from .table import odd, unit_findings

SIGNAL_SUFFIXES = (".bdf", ".edf", ".fif", ".gz", ".vhdr", ".set", ".gdf", ".cnt", ".csv", ".tsv")
HINT = "Give --rename MODELNAME=FILENAME, or --times.signals_rate_hz."


@dataclass(frozen=True)
class Lone:
    """A corpus of one recording. Made by `lone`."""

    recording: Recording
    channels: tuple[Channel, ...]
    rate_hz: float
    baseline_s: float
    times: Times
    renamed: dict[str, str] = field(default_factory=dict)  # the model's name -> the file's
    dataset = "lone"
    made_up = False
    source = ""
    frames_per_s = 10

    @property
    def units(self) -> tuple[str, ...]:
        return (self.recording.subject,)

    def recordings(self, unit: str) -> list[Recording]:
        return [self.recording]

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        return ()

    def inspect(self, recording: Recording) -> Recording:
        """The same with its length and what is odd about it. Raises BadRecording if a file is broken or too short."""
        info = probe(recording.video) if recording.video is not None else None
        start, ends, findings = self.times.start_s, [], list(recording.findings)
        if recording.signals is not None:
            begin, end = span_s(recording.signals, self.times.signals_rate_hz, HINT)
            ends.append(end)
            if begin > start + 0.05:
                findings.append(f"{recording.signals.name} begins at {begin:.2f} s of its clock: that is second 0 here")
            start = max(start, begin)
        if info is not None:
            findings += info.notes
            ends.append(info.seconds - self.times.video_offset_s)
        stop = min(ends) if self.times.stop_s is None else self.times.stop_s
        if stop <= start:
            found = f"one that ends at {stop:.2f} s" + (f", asked about from {start:g} s on" if start else "")
            raise BadRecording(recording.signals or recording.video, "a recording that is not over", found)
        for end, of in zip(ends, [f for f in (recording.signals, recording.video) if f is not None], strict=True):
            if self.times.stop_s is not None and end < stop - 0.05:
                findings.append(f"{of.name} ends {stop - end:.2f} s before stop_s")
        seconds = round(min(stop, max(ends)) - start, 6)
        video_start = start + self.times.video_offset_s
        recording = replace(
            recording, seconds=seconds, video_info=info, video_start_s=video_start, findings=tuple(findings)
        )
        if recording.signals is not None:
            signals = self.signals(recording)
            told = [*odd(signals, recording.signals)]
            told += unit_findings(recording.signals, self._wanted, signals.samples, self.times.signals_unit)
            recording = replace(recording, findings=(*recording.findings, *told))
        return recording

    @property
    def _wanted(self) -> tuple[Channel, ...]:
        """The model's channels with the names that they have in the file."""
        return tuple(replace(c, name=self.renamed.get(c.name, c.name)) for c in self.channels)

    def signals(self, recording: Recording) -> Signals:
        """From the file's begin to its end, (C, N), microvolts for electrical channels."""
        assert recording.signals is not None
        samples, rate_hz, begin = read_signals(
            recording.signals, 0.0, float("inf"), self._wanted, self.times.signals_rate_hz, self.times.signals_unit,
            HINT,
        )  # fmt: skip
        onset = round((max(self.times.start_s, begin) - begin) * rate_hz)
        told = self.times.baseline_start_s
        first = onset - round(self.baseline_s * rate_hz) if told is None else round((told - begin) * rate_hz)
        if told is None and first < 0:
            first = onset  # nothing is known of a rest: its own first seconds stand in
        return Signals(samples, rate_hz, onset, self.channels, (first, first + round(self.baseline_s * rate_hz)))


def lone(
    files: list[Path],
    channels: tuple[Channel, ...],
    rate_hz: float,
    baseline_s: float,
    times: Times | None = None,
    rename: dict[str, str] | None = None,
) -> Lone:
    """One recording of one or two files, of which at most one is a video.

    channels : those that the model sees; () if it sees no signals
    rename : the model's name of a channel -> the file's

    Raises BadRecording if a file is absent, or a channel is not in it (with near names); BadConfig for more files of a
    kind than one, or a rename of what the model has not.
    """
    video, signals = None, None
    for file in files:
        if not file.is_file():
            raise BadRecording(file, "a recording", "a folder" if file.is_dir() else "no such file")
        if file.suffix.lower() in SIGNAL_SUFFIXES:
            if signals is not None:
                raise BadConfig(f"{signals} and {file} are both signals: give one recording at a time")
            signals = file
        else:
            if video is not None:
                raise BadConfig(f"{video} and {file} are both videos: give one recording at a time")
            video = file
    renamed = dict(rename or {})
    unknown = [name for name in renamed if name not in {c.name for c in channels}]
    if unknown:
        have = [c.name for c in channels]
        raise BadConfig(f"--rename {unknown[0]}: the model has no such channel{near(unknown[0], have)}")
    if signals is not None and channels:
        _require_channels(signals, channels, renamed)
    times = times or Times()
    name = (signals or video or Path("recording")).stem
    recording = Recording(name, "lone", name, "1", name, 0.0, video=video, signals=signals if channels else None)
    return Lone(recording, channels, rate_hz, baseline_s, times, renamed)


def _require_channels(file: Path, channels: tuple[Channel, ...], renamed: dict[str, str]) -> None:
    have = names_in(file)
    absent = [c.name for c in channels if find(renamed.get(c.name, c.name), have) is None]
    if absent:
        told = "; ".join(f"{name}{near(name, have)}" for name in absent[:8])
        more = f" and {len(absent) - 8} more" if len(absent) > 8 else ""
        raise BadRecording(
            file, f"the {len(channels)} channels that the model was trained on",
            f"none for {told}{more}, among {', '.join(have)}",
            f"If one has another name there: --rename {absent[0]}=NAME. Or leave the file out, if the model can do "
            "without signals.",
        )  # fmt: skip

"""The signal files of one recording, opened together and read as if they were one file on the first one's clock.

Of a single file nothing is changed. Of several, the channels of the first stay as they are; those of the others are
moved by a part of a sample, so that the first samples of all channels lie at one time. Each keeps its own rate.

Shapes: C channels, N samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import BadRecording
from .channel_names import find_channel, match_channels
from .formats.device_file import DeviceFile
from .formats.device_files import open_device
from .formats.segments import Segment
from .formats.signal_file import (
    SignalFile,
    SignalSpan,
    TextProperties,
    channel_units_in,
    open_signals,
    read_span,
    require_finite,
)
from .recording import Channel
from .signal_sources import SignalSource, sources_label
from .units import Conversion

HALF_LENGTH, KAISER_BETA = 10, 5.0  # of the filter that moves a channel, in its own samples; as of resampling
ON_GRID = 1e-3  # of a sample: a smaller move is none


class FileChannels(NamedTuple):
    """The requested channels that one file has."""

    source: SignalSource
    positions: list[int]  # among the requested ones
    channels: tuple[Channel, ...]  # with their names in the file


@dataclass(frozen=True)
class RecordingFiles:
    """The signal files of a recording, of `open_files`. Seconds are those of the first file's clock.

    hint : for errors: how to give a rate
    """

    sources: tuple[SignalSource, ...]
    text: TextProperties
    hint: str = ""

    @cached_property
    def files(self) -> tuple[SignalFile, ...]:
        """The opened files. Raises BadRecording for the first that is none."""
        together = tuple(source.file for source in self.sources)
        return tuple(open_signals(s.file, s.rate_hz or self.text.rate_hz, self.hint, together) for s in self.sources)

    @property
    def path(self) -> Path:
        """The first file, for messages."""
        return self.sources[0].file

    @property
    def name(self) -> str:
        """The names of all files."""
        return sources_label(self.sources) if len(self.sources) > 1 else self.path.name

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The seconds in which all files have samples without a pause. Raises BadRecording if they share none."""
        if len(self.files) == 1 and not self.sources[0].offset_s:
            return self.files[0].segments
        shared = [(-np.inf, np.inf)]
        for source, file in zip(self.sources, self.files, strict=True):
            own = [(s.start_s + source.offset_s, s.stop_s + source.offset_s) for s in file.segments]
            parts = [(max(a, c), min(b, d)) for a, b in shared for c, d in own]
            shared = [part for part in parts if part[1] > part[0]]
        if not shared:
            spans = [f"{file.name} from {a:.2f} to {b:.2f} s" for file, (a, b) in self.spans.items()]
            remedy = "Is the offset of each right? Time on the first file's clock = time in a file + its offset."
            raise BadRecording(self._paths, "signal files that share seconds", ", ".join(spans), remedy)
        return tuple(Segment(a, b - a, a) for a, b in sorted(shared))

    @property
    def spans(self) -> dict[Path, tuple[float, float]]:
        """First and last second of each file."""
        return {
            source.file: (file.segments[0].start_s + source.offset_s, file.segments[-1].stop_s + source.offset_s)
            for source, file in zip(self.sources, self.files, strict=True)
        }

    def begins_at(self, begin_s: float) -> str:
        """Return a text on the file that begins last, at `begin_s`."""
        last = max(self.spans, key=lambda file: self.spans[file][0])
        clock = "its clock" if last == self.path else f"the clock of {self.path.name}"
        return f"{last.name} begins at {begin_s:.2f} s of {clock}"

    def by_file(self, channels: Sequence[Channel], hint: str = "") -> list[FileChannels]:
        """Return for each file with requested channels which they are. A name `wrist.csv:EDA` is that file's channel.

        Raises BadRecording for a channel that no file has, and for one that several have.
        """
        if len(self.sources) == 1 and self.sources[0].is_plain:
            return [FileChannels(self.sources[0], [*range(len(channels))], tuple(channels))]
        names = [[source.channel_name(name) for name in file.names] for source, file in self._opened]
        homes: dict[str, tuple[int, str]] = {}
        for channel in channels:
            place = self._place(channel.name, names)
            if place is not None:
                homes[channel.name] = place
        missing = [c.name for c in channels if c.name not in homes]
        if missing:
            every = [name for of in names for name in of]
            match = match_channels(missing, every)
            raise BadRecording(self._paths, f"channel {match.hint or missing[0]}", ", ".join(every), hint)
        parts = []
        for k, source in enumerate(self.sources):
            at = [n for n, c in enumerate(channels) if homes[c.name][0] == k]
            named = tuple(replace(channels[n], name=homes[channels[n].name][1]) for n in at)
            parts.append(FileChannels(source, at, named))
        return [part for part in parts if part.positions]

    @property
    def _opened(self) -> list[tuple[SignalSource, SignalFile]]:
        return list(zip(self.sources, self.files, strict=True))

    @property
    def _paths(self) -> str:
        return " + ".join(str(source.file) for source in self.sources)

    def _place(self, wanted: str, names: list[list[str]]) -> tuple[int, str] | None:
        """Return the number of the file that has a channel, and its name there; None if no file has it."""
        of_file, colon, within = wanted.rpartition(":")
        for k, source in enumerate(self.sources):
            if colon and source.file.name == of_file and (at := find_channel(within, names[k])) is not None:
                return k, self.files[k].names[at]
        places = [(k, self.files[k].names[at]) for k in range(len(names))
                  if (at := find_channel(wanted, names[k])) is not None]  # fmt: skip
        if len(places) > 1:
            (k, one), (n, other) = places[:2]
            a, b = self.sources[k].file, self.sources[n].file
            raise BadRecording(
                self._paths, f"channel {wanted} in one of the files", f"{one} in {a} and {other} in {b}",
                f"In YAML give one of them another name: {{file: {b.name}, rename: {{{other}: NAME}}}}, or a prefix; "
                f"of `gbvnet predict`: --rename {wanted}={b.name}:{other}.",
            )  # fmt: skip
        return places[0] if places else None

    def read(
        self,
        begin: float,
        end: float,
        channels: tuple[Channel, ...],
        hint: str = "",
        margin_s: float = 0.0,
        finite: bool = True,
    ) -> SignalSpan:
        """Return the seconds `begin` to `end` of some channels, each at its own rate, all from one time on.

        The other arguments are those of `formats.signal_file.read_signals`. finite : refuse other samples. Raises
        BadRecording.
        """
        parts = self.by_file(channels, hint)
        spans = [self._read_file(part, begin, end, hint, margin_s) for part in parts]
        for part, span in zip(parts, spans, strict=True) if finite else ():
            require_finite(part.source.file, part.channels, span._replace(start_s=span.start_s - part.source.offset_s))
        if len(self.sources) == 1:
            return spans[0]
        return _joined([part.positions for part in parts], spans)

    def _read_file(self, part: FileChannels, begin: float, end: float, hint: str, margin_s: float) -> SignalSpan:
        source, file = part.source, self.files[self.sources.index(part.source)]
        if source.offset_s:
            hint += (
                f" These are seconds of {source.file.name}'s own clock: {source.offset_s:+g} s gives the first file's."
            )
        if source is not self.sources[0]:  # to be moved by up to a sample
            margin_s += (HALF_LENGTH + 2) / min(file.rates_hz, default=1.0)
        unit, shift = source.unit or self.text.unit, source.offset_s
        read = read_span(file, begin - shift, end - shift, part.channels, unit, hint.strip(), margin_s)
        return read._replace(start_s=read.start_s + shift)

    def units(self, channels: Sequence[Channel]) -> list[tuple[FileChannels, list[Conversion]]]:
        """Return of each file its requested channels, and the conversion of each to gbvnet's unit.

        Raises BadRecording.
        """
        return [(part, self._units(part)) for part in self.by_file(channels)]

    def _units(self, part: FileChannels) -> list[Conversion]:
        file = self.files[self.sources.index(part.source)]
        if isinstance(file, DeviceFile):  # which is not opened again: its units may have been given
            at = [k for c in part.channels if (k := find_channel(c.name, file.names)) is not None]
            there = [c for c in part.channels if find_channel(c.name, file.names) is not None]
            return file.units(at, there, part.source.unit or self.text.unit)[0]
        return channel_units_in(part.source.file, part.channels, part.source.unit or self.text.unit)[1]


def open_files(sources: Sequence[SignalSource], text: TextProperties, hint: str = "") -> RecordingFiles:
    """Return the signal files of a recording, which are opened when they are needed.

    Only devices that are placed by when the recording began are opened before. Raises BadRecording for those.
    """
    return RecordingFiles(tuple(map(_placed, sources)), text, hint)


def _placed(source: SignalSource) -> SignalSource:
    """Return a source with its offset by when device and recording began, where both are known and none is given.

    Raises BadRecording for a device whose start has no time zone.
    """
    start_s = source.recording_start_unix_s
    device = None if start_s is None or source.is_placed else open_device(source.file)
    if start_s is None or device is None:
        return source
    if device.start_unix_s is not None:
        return replace(source, offset_s=round(device.start_unix_s - start_s, 6), recording_start_unix_s=None)
    local = f"the local time {device.start_local} without a zone" if device.start_local else "none"
    raise BadRecording(
        source.file, "when the device began, in UTC, to place it by recording_start_utc", local,
        f"Leave recording_start_utc empty; or give the offset, as `{source.file.name}@-3.2` behind another file.",
    )  # fmt: skip


def _joined(positions: list[list[int]], spans: list[SignalSpan]) -> SignalSpan:
    """Return spans of several files as one, with the channels in their requested order.

    positions : of the channels of each span among all. All channels begin at the first span's first sample, or, if
    another begins later, at its first sample after that.
    """
    first = spans[0]
    late = max(0.0, max(span.start_s for span in spans) - first.start_s)
    start_s = first.start_s + ceil(late * first.rate_hz - ON_GRID) / first.rate_hz
    rows: dict[int, tuple[np.ndarray, float]] = {}
    for at, span in zip(positions, spans, strict=True):
        rates = span.rates_hz or (span.rate_hz,) * len(at)
        for k, x, rate_hz in zip(at, span.samples, rates, strict=True):
            rows[k] = moved(x, (start_s - span.start_s) * rate_hz), rate_hz
    ordered = [rows[k] for k in sorted(rows)]
    seconds = min(len(x) / rate_hz for x, rate_hz in ordered)
    samples = tuple(x[: ceil(seconds * rate_hz - ON_GRID)] for x, rate_hz in ordered)
    notes = tuple(dict.fromkeys(note for span in spans for note in span.notes))
    rates_hz = tuple(rate_hz for _, rate_hz in ordered)
    if len(set(rates_hz)) == 1:
        n = min(map(len, samples))
        return SignalSpan(np.stack([x[:n] for x in samples]), rates_hz[0], start_s, None, notes)
    return SignalSpan(samples, max(rates_hz), start_s, rates_hz, notes)


def moved(x: np.ndarray, by: float) -> np.ndarray:
    """Return a channel (N,) from sample `by` on, between two samples by a windowed sinc, (N - by,).

    Outside, the first and the last sample are repeated.
    """
    from scipy.ndimage import correlate1d

    whole = int(np.floor(by + ON_GRID))
    fraction = by - whole
    if fraction < ON_GRID:
        return x[max(0, whole) :]
    place = np.arange(-HALF_LENGTH + 1, HALF_LENGTH + 1) - fraction
    taps = np.sinc(place) * np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (place / HALF_LENGTH) ** 2, 0, None)))
    between = correlate1d(x, taps / taps.sum(), mode="nearest", origin=-1)
    return between[max(0, whole) :]

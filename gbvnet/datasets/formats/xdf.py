"""Recordings of LabRecorder (.xdf): all streams of Lab Streaming Layer in one file, from one or more computers.

Second 0 is the first sample of the earliest stream of signals, whichever streams are used, so that a second is the same
in every corpus and in predictions. Each stream keeps its own rate; whichever seconds are
read, all channels begin at the same time, between two samples if need be. A channel is called as its stream calls it;
as STREAM:CHANNEL where several streams have one of that name, or STREAM:1, STREAM:2 where the file names none.

Shapes: N samples of a stream, C channels, n samples that are read.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from typing_extensions import override

from ...errors import BadRecording
from ...text import did_you_mean, sentence, shortened
from ..channel_names import canonical_name, channel_kind
from .device_file import DeviceChannel, DeviceFile
from .device_signatures import XDF
from .segments import TOLERANCE_S, Segment
from .xdf_chunks import XdfStream, read_chunks
from .xdf_clocks import TimedPiece, TimedStream, timed_streams

HALF_LENGTH, KAISER_BETA = 10, 5.0  # of the filter that gives values between samples, in samples; as of resampling
BLOCK = 8192  # samples that are computed together
ON_GRID = 1e-4  # of a sample: a value this near a sample is that sample
MIN_COVER = 0.9  # share of the recording's seconds that each stream should have
MIN_SAMPLES = 16  # of a stream of signals
# Names of streams and types that are no signals: frames of cameras, and what programs report on themselves.
_FRAMES = ("videostream", "framemarker", "frame_index", "frameindex", "camera", "webcam", "video")


class XdfFileStreams(NamedTuple):
    """All streams of a file with their times, and notes on the file."""

    path: Path
    streams: tuple[TimedStream, ...]
    notes: tuple[str, ...]


class StreamChoice(NamedTuple):
    """A stream that is used, and of it which channels.

    name : its name, type or source_id
    channels : names of channels; all if empty
    labels : names of all its channels in order, where the file names none
    unit : of its channels, where the file states none or a wrong one
    """

    name: str
    channels: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    unit: str = ""


class _Column(NamedTuple):
    """A channel's place: its stream, by position among those that are used, and its column there."""

    stream: int
    column: int


@dataclass(frozen=True, eq=False)
class XdfFile(DeviceFile):
    """The signals of a file.

    used : the streams that they are from
    zero_s : second 0, on the recorder's clock
    columns : of each channel
    is_all : whether all streams of signals are used, and none was chosen
    """

    used: tuple[TimedStream, ...] = ()
    zero_s: float = 0.0
    columns: tuple[_Column, ...] = ()
    is_all: bool = True

    @property
    @override
    def note(self) -> str:
        """All notes in one text; without the file's name where its streams were chosen: then it is the only one."""
        return (f"{self.path.name}: " if self.is_all else "") + "; ".join(self.notes)

    @override
    def segments_of(self, at: Sequence[int]) -> tuple[Segment, ...]:
        streams = [self.used[k] for k in dict.fromkeys(self.columns[c].stream for c in at)]
        if not (shared := _shared(streams, self.zero_s)):
            spans = [f"{t.stream.label} from {t.times_s[0] - self.zero_s:.2f} to {t.times_s[-1] - self.zero_s:.2f} s"
                     for t in streams]  # fmt: skip
            raise BadRecording(self.path, "streams that share seconds", ", ".join(spans))
        return shared

    @override
    def read(
        self, at: list[int], first_s: float, last_s: float, segment: Segment
    ) -> tuple[np.ndarray | list[np.ndarray], float]:
        """Return samples from second `first_s` to `last_s`, and the second of the first sample.

        Samples are (C, n), or one (n,) per channel if rates differ; all begin at the same time.
        """
        rates = [self.channels[k].rate_hz for k in at]
        fastest = max(rates, default=1.0)
        start_s = round(first_s * fastest) / fastest
        if start_s < segment.start_s - TOLERANCE_S:
            start_s = segment.start_s
        rows: dict[int, np.ndarray] = {}
        for number in dict.fromkeys(self.columns[k].stream for k in at):
            mine = [k for k, c in enumerate(at) if self.columns[c].stream == number]
            values = self._of_stream(number, [self.columns[at[k]].column for k in mine], start_s, last_s, segment)
            rows |= dict(zip(mine, values, strict=True))
        ordered = [rows[k] for k in range(len(at))]
        if len(set(rates)) > 1:
            return ordered, start_s
        n = min(map(len, ordered), default=0)
        return np.array([row[:n] for row in ordered], np.float64).reshape(len(at), -1), start_s

    def _of_stream(
        self, number: int, columns: list[int], start_s: float, last_s: float, segment: Segment
    ) -> np.ndarray:
        """Return channels of a stream (C, n) at its rate, from second `start_s` on."""
        timed = self.used[number]
        n = max(0, int(np.ceil((min(last_s, segment.stop_s) - start_s) * timed.rate_hz - 1e-6)))
        at_s = self.zero_s + start_s + np.arange(n) / timed.rate_hz
        middle = self.zero_s + segment.start_s + segment.seconds / 2
        piece = min(timed.pieces, key=lambda p: max(p.times_s[0] - middle, middle - p.times_s[-1]))
        return values_at(timed.stream.values[piece.first : piece.last], columns, piece, at_s)


def read_xdf(path: Path) -> XdfFile:
    """Return all signals of a file. Raises BadRecording."""
    return xdf_signals(path, ())


def xdf_streams(path: Path) -> XdfFileStreams:
    """Return all streams of a file; it is kept until it changes. Raises BadRecording."""
    return _streams(path, *_version(path))


def xdf_signals(path: Path, choices: tuple[StreamChoice, ...]) -> XdfFile:
    """Return the signals of chosen streams, or of all; kept until the file changes.

    Raises BadRecording if a stream is not there, several are meant, or one cannot be placed beside the others.
    """
    return _signals(path, choices, *_version(path))


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = os.stat(path)
    except OSError as error:
        raise BadRecording(path, "an XDF file", error.strerror or str(error)) from None
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=2)  # the trials of a file are read in sequence
def _streams(path: Path, size: int, changed_ns: int) -> XdfFileStreams:
    content = read_chunks(path)
    return XdfFileStreams(path, timed_streams(path, content.streams), content.notes)


@lru_cache(maxsize=4)
def _signals(path: Path, choices: tuple[StreamChoice, ...], size: int, changed_ns: int) -> XdfFile:
    held = _streams(path, size, changed_ns)
    notes = list(held.notes)
    if choices:
        chosen = [(_usable(path, find_stream(held, choice.name)), choice) for choice in choices]
    else:
        chosen, left = _all_signals(held)
        notes += left
    columns = _columns(path, chosen)
    used = tuple(timed for timed, _ in chosen)
    zero_s = min(float(timed.pieces[0].times_s[0]) for timed in [t for t in held.streams if _is_signals(t)] or used)
    channels = tuple(
        DeviceChannel(name, kind, unit, used[at.stream].rate_hz, used[at.stream].stream.values[:, at.column])
        for name, kind, unit, at in columns
    )
    segments = _shared(_known(used, columns) or used, zero_s) or _shared(used[:1], zero_s)
    notes += [*_short_notes(used), *(timed.note for timed in used)]
    return XdfFile(
        path, XDF, channels, segments, notes=tuple(notes), used=used, zero_s=zero_s,
        columns=tuple(at for *_, at in columns), is_all=not choices,
    )  # fmt: skip


# ---------------------------------------------------------------- which streams


def find_stream(held: XdfFileStreams, name: str) -> TimedStream:
    """Return the stream of a name, source_id or type. Raises BadRecording if there is none, or if there are several."""
    streams = held.streams
    for key in ("name", "source_id", "type"):
        same = [timed for timed in streams if getattr(timed.stream, key) == name]
        filled = [timed for timed in same if len(timed.times_s)] or same
        if len(filled) > 1:
            actual = ", ".join(f"{t.stream.label} of {t.stream.host or 'an unnamed host'}, source_id "
                               f"{t.stream.source_id or 'empty'}" for t in filled)  # fmt: skip
            remedy = "Name it by what only this one has: its name, its source_id or its type."
            raise BadRecording(held.path, f"one stream whose {key} is {name}", f"{len(filled)}: {actual}", remedy)
        if filled:
            return filled[0]
    known = [timed.stream.name for timed in streams]
    raise BadRecording(
        held.path, f"a stream named {name}, or of that type",
        f"only {shortened([timed.stream.label for timed in streams], 12)}", sentence(did_you_mean(name, known)),
    )  # fmt: skip


def offsets_note(held: XdfFileStreams, timed: TimedStream) -> str:
    """Return a note on a stream whose clock was not measured, though others' were; empty if there is none.

    Signals have it among their notes. Markers and frames need it as well: all trials or pictures may be displaced.
    """
    if len(timed.stream.offsets) or not any(len(other.stream.offsets) for other in held.streams):
        return ""
    host = timed.stream.host or "an unnamed computer"
    return f"stream {timed.stream.label} of {host} has no clock offsets: its clock is taken for the recorder's"


def _usable(path: Path, timed: TimedStream) -> TimedStream:
    """Return the stream, or raise BadRecording if its samples are no signals with times."""
    if timed.stream.is_text or timed.refusal or not timed.pieces or len(timed.times_s) < MIN_SAMPLES:
        why = "texts" if timed.stream.is_text else timed.refusal or f"{len(timed.times_s)} samples"
        raise BadRecording(path, f"signals in stream {timed.stream.label}", why)
    return timed


def is_frames(stream: XdfStream) -> bool:
    """Return whether a stream is of a camera, by its type and name: numbers of frames, or frames."""
    words = [word.lower().replace(" ", "") for word in (stream.type, stream.name)]
    names = [one.label.lower().replace("_", "") for one in stream.channels]
    return any(word.startswith(_FRAMES) for word in words) or any("framenum" in name for name in names)


def _is_signals(timed: TimedStream) -> bool:
    """Return whether a stream is of signals that can be used."""
    stream = timed.stream
    is_other = stream.is_text or stream.is_pictures or is_frames(stream)
    return not is_other and not timed.refusal and len(timed.times_s) >= MIN_SAMPLES


def _all_signals(held: XdfFileStreams) -> tuple[list[tuple[TimedStream, StreamChoice]], list[str]]:
    """Return the streams that are signals, and notes on those that could not be used. Raises BadRecording for none."""
    chosen, notes = [], []
    for timed in held.streams:
        stream = timed.stream
        if stream.is_text or is_frames(stream) or stream.is_pictures:
            continue
        if not _is_signals(timed):
            notes.append(f"stream {stream.label} is not used: {timed.refusal or f'{len(timed.times_s)} samples'}")
        else:
            chosen.append((timed, StreamChoice(stream.name)))
    if not chosen:
        there = shortened([timed.stream.label for timed in held.streams], 12)
        raise BadRecording(held.path, "streams of signals", "; ".join([f"none among {there}", *notes, *held.notes]))
    return chosen, notes


# ---------------------------------------------------------------- which channels


def stream_labels(stream: XdfStream, labels: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of a stream's channels: `labels` where given, else the file's; 1, 2, ... where it has none."""
    own = tuple(one.label for one in stream.channels)
    return tuple(labels) or tuple(name or str(k + 1) for k, name in enumerate(own or ("",) * stream.n_channels))


def _columns(
    path: Path, chosen: Sequence[tuple[TimedStream, StreamChoice]]
) -> list[tuple[str, str | None, str, _Column]]:
    """Return name, kind, unit and place of each channel. Raises BadRecording for one that its stream does not have."""
    held = []
    for number, (timed, choice) in enumerate(chosen):
        stream = timed.stream
        labels = stream_labels(stream, choice.labels)
        if len(labels) != stream.n_channels:
            wanted = f"{stream.n_channels} labels for the channels of stream {stream.label}"
            raise BadRecording(path, wanted, f"{len(labels)}")
        for name in choice.channels:
            if labels.count(name) != 1:
                hint = sentence(did_you_mean(name, labels)) if name not in labels else "Name all channels under labels."
                wanted = f"{'one ' * (name in labels)}channel {name} in stream {stream.label}"
                raise BadRecording(path, wanted, shortened(list(labels), 40), hint)
        at = [labels.index(name) for name in choice.channels] if choice.channels else range(len(labels))
        held += [(number, stream, choice, k, labels[k]) for k in at]
    counts = Counter(canonical_name(name).upper() for *_, name in held)
    columns = []
    for number, stream, choice, k, name in held:
        named = bool(choice.labels or (stream.channels and stream.channels[k].label))
        alone = named and counts[canonical_name(name).upper()] == 1
        full = name if alone else stream.name if not named and stream.n_channels == 1 else f"{stream.name}:{name}"
        about = stream.channels[k] if stream.channels else None
        kind = channel_kind(name) or (channel_kind(about.type) if about and about.type.upper() != "EEG" else None)
        if stream.n_channels == 1 and not named:
            kind = channel_kind(stream.name) or (channel_kind(stream.type) if stream.type.upper() != "EEG" else None)
        columns.append((full, kind, choice.unit or (about.unit if about else ""), _Column(number, k)))
    return columns


def _short_notes(used: Sequence[TimedStream]) -> list[str]:
    """Return a note for each stream that covers less than MIN_COVER of the seconds that any of them has."""
    first, last = min(t.times_s.min() for t in used), max(t.times_s.max() for t in used)
    notes = []
    for timed in used:
        share = float(np.ptp(timed.times_s) / (last - first)) if last > first else 1.0
        if share < MIN_COVER:
            notes.append(
                f"stream {timed.stream.label} covers {share:.0%} of the seconds from the first to the last sample"
            )
    return notes


def _known(used: tuple[TimedStream, ...], columns: Sequence[tuple[str, str | None, str, _Column]]) -> list[TimedStream]:
    """Return the streams that have a channel of known kind."""
    return [timed for k, timed in enumerate(used) if any(kind and at.stream == k for _, kind, _, at in columns)]


# ---------------------------------------------------------------- seconds and values


def _shared(streams: Sequence[TimedStream], zero_s: float) -> tuple[Segment, ...]:
    """Return the seconds in which all of some streams have samples without a break."""
    parts = [(-np.inf, np.inf)]
    for timed in streams:
        own = [(float(p.times_s[0]) - zero_s, float(p.times_s[-1]) - zero_s + 1 / timed.rate_hz) for p in timed.pieces]
        both = [(max(a, c), min(b, d)) for a, b in parts for c, d in own]
        parts = sorted((a, b) for a, b in both if b > a)
    return tuple(Segment(a, b - a, a) for a, b in parts if np.isfinite(b - a))


def values_at(values: np.ndarray, columns: list[int], piece: TimedPiece, at_s: np.ndarray) -> np.ndarray:
    """Return C columns of the values of a piece at times (n,), as (C, n): between even samples by a windowed sinc,
    between others by a straight line. Before the first and after the last sample they are those samples.

    Only the samples around these times are converted and looked at, as a file may have millions.
    """
    rows = np.arange(len(piece.times_s), dtype=np.float64)
    times = piece.times_s
    if len(times) > 1 and not (np.diff(times) > 0).all():  # of several samples at one time the last counts
        keep = np.r_[np.diff(times) > 0, True]
        times, rows = times[keep], rows[keep]
    place = np.interp(at_s, times, rows)
    low = max(0, int(place.min(initial=len(rows))) - HALF_LENGTH)
    high = int(place.max(initial=0.0)) + HALF_LENGTH + 2
    place = place - low
    with np.errstate(invalid="ignore"):  # a NaN in single precision may be a signal of another kind
        x = values[low:high][:, columns].astype(np.float64)
    whole = np.rint(place)
    if np.abs(place - whole).max(initial=0.0) < ON_GRID:
        return x[whole.astype(np.int64)].T.copy()
    finite = np.isfinite(x).all(axis=0)
    out = np.empty((x.shape[1], len(at_s)))
    for k in np.flatnonzero(~finite) if piece.even else range(x.shape[1]):
        out[k] = np.interp(place, np.arange(len(x)), x[:, k])
    if piece.even and finite.any():
        for begin in range(0, len(place), BLOCK):
            out[finite, begin : begin + BLOCK] = _between(x[:, finite], place[begin : begin + BLOCK])
    return out


def _between(x: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return samples (N, C) at places (n,), as (C, n), by a windowed sinc; outside they are the first and the last."""
    whole = np.floor(place)
    taps = np.arange(-HALF_LENGTH + 1, HALF_LENGTH + 1)
    away = taps - (place - whole)[:, None]
    weights = np.sinc(away) * np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (away / HALF_LENGTH) ** 2, 0, None)))
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.clip(whole.astype(np.int64)[:, None] + taps, 0, len(x) - 1)
    return np.einsum("nk,nkc->cn", weights, x[rows])

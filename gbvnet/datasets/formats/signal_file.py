"""Signal files of any format: EDF, BDF, FIF, BrainVision, EEGLAB and what else MNE reads, or CSV and TSV.

Shapes: C channels, N samples.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil, floor, gcd, inf, isclose
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...errors import BadRecording
from ...text import shortened
from ..channel_names import find_channel, match_channels
from ..recording import Channel
from ..units import Conversion, apply, convert, split_name
from .mne_units import conversions
from .pauses import find_segments
from .segments import Segment, find_segment, pause_note
from .signal_formats import open_failure, unsupported_format
from .signal_text import is_text, read_clock, read_text_table, text_rate_hz, to_numbers

_EDF_LIKE = (".edf", ".bdf", ".gdf")  # formats in which each channel may have a rate of its own


class SignalSpan(NamedTuple):
    """Some seconds of some channels."""

    samples: np.ndarray | tuple[np.ndarray, ...]  # (C, N) float64; one (N,) a channel where their rates differ
    rate_hz: float  # of the fastest
    start_s: float  # of the first sample of each of them, on the file's clock
    rates_hz: tuple[float, ...] | None = None  # of each channel, where they differ
    note: str = ""  # what to know of these seconds

    @property
    def seconds(self) -> float:
        """For how long there are samples of all of them."""
        rates = self.rates_hz or [self.rate_hz] * len(self.samples)
        return min((len(row) / hz for row, hz in zip(self.samples, rates, strict=True)), default=0.0)


def read_signals(
    path: Path,
    begin: float,
    end: float,
    channels: tuple[Channel, ...],
    rate_hz: float | None = None,
    unit: str = "uV",
    hint: str = "",
    margin_s: float = 0.0,
) -> SignalSpan:
    """The seconds from `begin` to `end` of some channels, by name, however a file spells it.

    begin, end : seconds on the file's clock; all of them must be there, without a pause; an end of inf is the file's
    margin_s : as much again on either side, or what there is of it up to a pause or the file's end
    rate_hz, unit : of text files, which do not say it: their rate where they have no column `time`, and the unit of
        electrical channels
    hint : where the seconds are given, and how to tell a rate or a channel's name; for errors

    Samples are in the units that are kept (gbvnet/datasets/units.py), each channel at its own rate. Raises
    BadRecording, which tells the seconds that are there if those asked for are not.
    """
    return read_span(open_signals(path, rate_hz, hint), begin, end, channels, unit, hint, margin_s)


def read_span(
    file: "SignalFile",
    begin: float,
    end: float,
    channels: tuple[Channel, ...],
    unit: str = "uV",
    hint: str = "",
    margin_s: float = 0.0,
) -> SignalSpan:
    """The same of a file that is open."""
    at = _channel_positions(file.path, file.names, channels, hint)
    fastest = max((file.rates_hz[k] for k in at), default=1.0)
    end = file.segments[-1].stop_s if end == inf else end
    segment = find_segment(file.path, file.segments, begin, end, fastest, hint)
    late_s = segment.start_s - segment.at_s
    first = max(segment.start_s, begin - margin_s) - late_s
    last = min(segment.stop_s, end + margin_s) - late_s
    rows, first = file.read(at, first, last, segment)
    apply(rows, *file.units(at, channels, unit))
    rates = tuple(file.rates_hz[k] for k in at)
    said = pause_note(file.path, file.segments, segment)
    if isinstance(rows, np.ndarray):
        rows, first = _finite_margins(rows, first, fastest, begin - late_s, end - late_s)
        return SignalSpan(rows, fastest, late_s + first, None, said)
    return SignalSpan(tuple(rows), fastest, late_s + first, rates, said)


def _finite_margins(
    rows: np.ndarray, first: float, rate_hz: float, begin: float, end: float
) -> tuple[np.ndarray, float]:
    """Samples (C, N) and the second of the first, without what is beyond a gap (NaN) before `begin` or after `end`."""
    gaps = np.flatnonzero(~np.isfinite(rows).all(axis=0))
    start, stop = round((begin - first) * rate_hz), round((end - first) * rate_hz)
    before, after = gaps[gaps < start], gaps[gaps >= stop]
    low, high = (int(before[-1]) + 1 if len(before) else 0), (int(after[0]) if len(after) else rows.shape[1])
    return rows[:, low:high], first + low / rate_hz


def require_finite(path: Path, channels: tuple[Channel, ...], read: SignalSpan) -> None:
    """Raise BadRecording that tells which channels have samples that are no numbers, and from which second on."""
    rates = read.rates_hz or (read.rate_hz,) * len(channels)
    bad = {
        c.name: float(np.argmin(np.isfinite(row))) / hz
        for c, row, hz in zip(channels, read.samples, rates, strict=True)
        if not np.isfinite(row).all()
    }
    if bad:
        named = shortened(list(bad), 8)
        found = f"NaN or infinite ones in {named}, the first at {read.start_s + min(bad.values()):.3f} s"
        raise BadRecording(path, "finite samples", found)


def channel_names_in(path: Path) -> list[str]:
    """The names of a file's channels, as it spells them. Raises BadRecording."""
    if is_text(path):
        return [str(c).strip() for c in read_text_table(path, nrows=1).columns]
    return list(_mne_file(path).names)


def channel_types_in(path: Path) -> list[str]:
    """MNE's type of each channel, eeg where it knows none; not of text files. Raises BadRecording."""
    return list(_mne_file(path).raw.get_channel_types())


def channel_units_in(
    path: Path, channels: tuple[Channel, ...], unit: str = "uV"
) -> tuple[tuple[Channel, ...], list[Conversion], list[float]]:
    """Those of the channels that a file has, how each is brought to the unit that is kept, and what MNE did to it.

    unit : of electrical channels in text files. Raises BadRecording.
    """
    if is_text(path):
        names = channel_names_in(path)
        there = [(c, k) for c in channels if (k := find_channel(c.name, names)) is not None]
        made = [convert(c.kind, split_name(names[k])[1], unit) for c, k in there]
        return tuple(c for c, _ in there), made, [1.0] * len(there)
    raw = _mne_file(path).raw
    there = [(c, k) for c in channels if (k := find_channel(c.name, raw.ch_names)) is not None]
    made, applied = conversions(raw, [k for _, k in there], [c.kind for c, _ in there])
    return tuple(c for c, _ in there), made, applied


def span_s(path: Path, rate_hz: float | None = None, hint: str = "") -> tuple[float, float]:
    """When a file begins and ends, seconds on its own clock; `rate_hz` and `hint` as above. Raises BadRecording."""
    segments = segments_in(path, rate_hz, hint)
    return segments[0].start_s, segments[-1].stop_s


def segments_in(path: Path, rate_hz: float | None = None, hint: str = "") -> tuple[Segment, ...]:
    """A file's seconds between its pauses, at least one; `rate_hz` and `hint` as above. Raises BadRecording."""
    return open_signals(path, rate_hz, hint).segments


def open_signals(path: Path, rate_hz: float | None = None, hint: str = "") -> "SignalFile":
    """A file whose samples are not read yet, or whose table is kept until another is opened. Raises BadRecording."""
    if not is_text(path):
        return _mne_file(path)
    try:
        stat = path.stat()
    except OSError as error:
        raise BadRecording(path, "a table of signals", error.strerror or str(error)) from None
    table, clock_hz, start_s = _timed_table(path, stat.st_size, stat.st_mtime_ns)
    rate_hz = text_rate_hz(path, table, clock_hz, rate_hz, hint)
    return TextFile(path, table, rate_hz, (Segment(start_s, len(table) / rate_hz, 0.0),))


def _channel_positions(path: Path, names: tuple[str, ...], channels: tuple[Channel, ...], hint: str) -> list[int]:
    """Where each channel is in a file. Raises BadRecording that lists near names."""
    match = match_channels([c.name for c in channels], names)
    if match.missing:
        raise BadRecording(path, f"channel {match.hint}", ", ".join(names), hint)
    return match.positions


# ---------------------------------------------------------------- text


@dataclass(frozen=True)
class TextFile:
    """A table of signals, with its clock."""

    path: Path
    table: pd.DataFrame
    rate_hz: float
    segments: tuple[Segment, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.table.columns)

    @property
    def rates_hz(self) -> tuple[float, ...]:
        return (self.rate_hz,) * len(self.names)

    def read(self, at: list[int], first_s: float, last_s: float, segment: Segment) -> tuple[np.ndarray, float]:
        """(C, N) from one second of samples to another, and the second of the first one."""
        first, last = (min(max(0, round(s * self.rate_hz)), len(self.table)) for s in (first_s, last_s))
        samples = self.table.iloc[first:last, at].apply(to_numbers).to_numpy(np.float64).T.copy()
        return samples.reshape(len(at), last - first), first / self.rate_hz

    def units(self, at: list[int], channels: tuple[Channel, ...], unit: str) -> tuple[list[Conversion], None]:
        """How to bring some channels to the units that are kept, for `units.apply`."""
        return [convert(c.kind, split_name(self.names[k])[1], unit) for c, k in zip(channels, at, strict=True)], None


@lru_cache(maxsize=1)  # trials of one table come one after the other
def _timed_table(path: Path, size: int, changed_ns: int) -> tuple[pd.DataFrame, float | None, float]:
    return read_clock(path, read_text_table(path))


# ---------------------------------------------------------------- what MNE reads


def _mne_file(path: Path) -> "MneFile":
    """Raises BadRecording."""
    if path.suffix.lower() not in _EDF_LIKE or not path.is_file():
        return MneFile(path, _open_mne(path))
    stat = path.stat()
    return _edf_file(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1)  # trials of one file come one after the other; of an EDF+, each opening reads all its annotations
def _edf_file(path: Path, size: int, changed_ns: int) -> "MneFile":
    return MneFile(path, _open_mne(path))


def _open_mne(path: Path, only: list[str] | None = None) -> Any:
    """only : the channels to open, in formats where rates may differ: MNE brings those it opens to the fastest rate."""
    import mne

    if unread := unsupported_format(path):
        raise BadRecording(path, "a signal file that mne reads", *unread)
    options: dict[str, Any] = {}
    if path.suffix.lower() in (".edf", ".bdf"):  # names as they are with all channels open; any text in annotations
        options = {"exclude_after_unique": True, "encoding": "latin1"}
    if only is not None:
        options["include"] = only
    try:
        return mne.io.read_raw(path, preload=False, verbose="error", **options)
    except Exception as error:  # each of mne's readers fails in its own way
        raise BadRecording(path, "a signal file that mne reads", *open_failure(path, error)) from None


@dataclass(frozen=True)
class MneFile:
    """A file that MNE has opened."""

    path: Path
    raw: Any

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.raw.ch_names)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        return find_segments(self.path, self.raw)

    @cached_property
    def _opened(self) -> dict[tuple[str, ...], Any]:
        """What was opened of some channels alone, by their names."""
        return {}

    @cached_property
    def _per_record(self) -> tuple[list[int], float] | None:
        """Samples of each channel in a data record, and its seconds; None for formats of one rate."""
        extras = self.raw._raw_extras[0] if self.path.suffix.lower() in _EDF_LIKE else None
        if not extras or "n_samps" not in extras:
            return None
        seconds, parts = extras["record_length"]
        return [int(n) for n in extras["n_samps"][extras["sel"]]], float(seconds) / float(parts)

    @cached_property
    def rates_hz(self) -> tuple[float, ...]:
        """Of each channel."""
        if self._per_record is None:
            return (float(self.raw.info["sfreq"]),) * len(self.names)
        counts, record_s = self._per_record
        return tuple(float(n / record_s) for n in counts)

    def read(
        self, at: list[int], first_s: float, last_s: float, segment: Segment
    ) -> tuple[np.ndarray | list[np.ndarray], float]:
        """(C, N) from one second of samples to another, or (N,) of each channel if rates differ, in MNE's units; and
        the second of the first sample. Where rates differ, it begins at a place where all have one."""
        rates = sorted({self.rates_hz[k] for k in at})
        if len(rates) == 1:
            return self._of_one_rate(at, rates[0], first_s, last_s)
        assert self._per_record is not None
        counts, record_s = self._per_record
        every_s = record_s / gcd(*(counts[k] for k in at))
        first_s = max(segment.at_s, floor(first_s / every_s + 1e-6) * every_s)
        last_s = min(segment.at_s + segment.seconds, ceil(last_s / every_s - 1e-6) * every_s)
        rows: dict[int, np.ndarray] = {}
        for rate_hz in rates:
            mine = [k for k in at if self.rates_hz[k] == rate_hz]
            rows |= dict(zip(mine, self._of_one_rate(mine, rate_hz, first_s, last_s)[0], strict=True))
        return [rows[k].copy() for k in at], first_s

    def _of_one_rate(self, at: list[int], rate_hz: float, first_s: float, last_s: float) -> tuple[np.ndarray, float]:
        raw, names = self.raw, [self.names[k] for k in at]
        if not isclose(rate_hz, raw.info["sfreq"]):
            if self.path.suffix.lower() == ".gdf":
                return self._of_gdf(at, rate_hz, first_s, last_s)
            if tuple(names) not in self._opened:
                self._opened[tuple(names)] = _open_mne(self.path, only=names)
            raw = self._opened[tuple(names)]
            if not isclose(rate_hz, raw.info["sfreq"]) or any(name not in raw.ch_names for name in names):
                found = f"channels that cannot be read at their own rate of {rate_hz:g} Hz"
                raise BadRecording(self.path, "channels of one rate", found, "Save it at one rate.")
        first, last = (min(max(0, round(s * rate_hz)), raw.n_times) for s in (first_s, last_s))
        picks = np.array([raw.ch_names.index(name) for name in names])
        try:
            return raw.get_data(picks=picks, start=first, stop=max(first, last)), first / rate_hz
        except Exception as error:
            found = f"none that can be read ({type(error).__name__}: {error})"
            raise BadRecording(self.path, "samples", found) from None

    def _of_gdf(self, at: list[int], rate_hz: float, first_s: float, last_s: float) -> tuple[np.ndarray, float]:
        """Straight from the data records: of a GDF, MNE opens some channels with the scales of others (1.13)."""
        assert self._per_record is not None
        about, counts = self.raw._raw_extras[0], self._per_record[0]
        shape = (int(about["n_records"]), sum(counts))
        held = np.memmap(self.path, about["dtype_np"], "r", int(about["data_offset"]), shape)
        first, last = round(first_s * rate_hz), min(round(last_s * rate_hz), shape[0] * counts[at[0]])
        n = counts[at[0]]
        records = slice(first // n, -(-last // n))
        rows = [
            held[records, sum(counts[:k]) : sum(counts[: k + 1])].ravel()[first % n :][: max(0, last - first)]
            for k in at
        ]
        scale, offset, factor = (np.asarray(about[name])[at, None] for name in ("cal", "offsets", "units"))
        return (np.array(rows, np.float64) * scale + offset) * factor, first / rate_hz

    def units(self, at: list[int], channels: tuple[Channel, ...], unit: str) -> tuple[list[Conversion], list[float]]:
        """How to bring some channels to the units that are kept, and what MNE did to them, for `units.apply`."""
        return conversions(self.raw, at, [c.kind for c in channels])


SignalFile = TextFile | MneFile

"""Signal files of any format: EDF, BDF, FIF, BrainVision, EEGLAB and others that MNE reads, CSV and TSV, and the files
of devices (device_files.py).

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
from .clock_fit import ClockFit
from .device_file import DeviceFile
from .device_files import open_device
from .mne_units import conversions
from .pauses import find_segments
from .segments import Segment, find_segment, pause_note
from .signal_formats import open_failure, unsupported_format
from .signal_text import MIN_UNIX_TIME_S, TimedTable, is_text, read_clock, read_text_table, text_rate_hz, to_numbers

_EDF_LIKE = (".edf", ".bdf", ".gdf")  # formats in which each channel may have a rate of its own


class TextProperties(NamedTuple):
    """Properties that text files do not contain.

    rate_hz : the sampling rate of a file without a column `time`
    unit : of electrical channels whose column names none
    """

    rate_hz: float | None = None
    unit: str = "uV"


class SignalSpan(NamedTuple):
    """Samples of some channels in a span of seconds."""

    samples: np.ndarray | tuple[np.ndarray, ...]  # (C, N) float64; one (N,) per channel if their rates differ
    rate_hz: float  # of the fastest channel
    start_s: float  # of the first sample of each channel, on the file's clock
    rates_hz: tuple[float, ...] | None = None  # of each channel, if they differ
    notes: tuple[str, ...] = ()  # about these seconds: a pause before them, an uneven clock

    @property
    def seconds(self) -> float:
        """Seconds in which all channels have samples."""
        rates = self.rates_hz or [self.rate_hz] * len(self.samples)
        return min((len(row) / hz for row, hz in zip(self.samples, rates, strict=True)), default=0.0)


def read_signals(
    path: Path,
    begin: float,
    end: float,
    channels: tuple[Channel, ...],
    text: TextProperties = TextProperties(),  # noqa: B008 - immutable
    hint: str = "",
    margin_s: float = 0.0,
) -> SignalSpan:
    """Return the seconds from `begin` to `end` of some channels of a file, found by name in any known spelling.

    begin, end : seconds on the file's clock, without a pause between them; an end of inf is that of the file; of a
        device's recording, whose clock begins at 0, they may be seconds since 1970
    text : what a text file does not say
    hint : for errors: where the seconds are set, and how to give a rate or a channel's name
    margin_s : seconds to read in addition on both sides, as far as they exist before a pause or the file's end

    Samples are in gbvnet's units (gbvnet/datasets/units.py), each channel at its own rate. Raises BadRecording; if the
    seconds are not there, with those that are.
    """
    return read_span(open_signals(path, text.rate_hz, hint), begin, end, channels, text.unit, hint, margin_s)


def read_span(
    file: "SignalFile",
    begin: float,
    end: float,
    channels: tuple[Channel, ...],
    unit: str = "uV",
    hint: str = "",
    margin_s: float = 0.0,
) -> SignalSpan:
    """Return a span of an opened file; arguments and errors as of `read_signals`."""
    zero_s = 0.0
    if isinstance(file, DeviceFile) and file.start_unix_s is not None and begin > MIN_UNIX_TIME_S:
        zero_s = file.start_unix_s  # seconds since 1970, as text files with such a clock are read
    span = _read_span(file, begin - zero_s, end - zero_s, channels, unit, hint, margin_s)
    return span._replace(start_s=span.start_s + zero_s) if zero_s else span


def _read_span(
    file: "SignalFile",
    begin: float,
    end: float,
    channels: tuple[Channel, ...],
    unit: str,
    hint: str,
    margin_s: float,
) -> SignalSpan:
    at = _channel_positions(file.path, file.names, channels, hint)
    fastest = max((file.rates_hz[k] for k in at), default=1.0)
    segments = file.segments_of(at) if isinstance(file, DeviceFile) else file.segments
    end = segments[-1].stop_s if end == inf else end
    segment = find_segment(file.path, segments, begin, end, fastest, hint)
    late_s = segment.start_s - segment.at_s
    first = max(segment.start_s, begin - margin_s) - late_s
    last = min(segment.stop_s, end + margin_s) - late_s
    rows, first = file.read(at, first, last, segment)
    apply(rows, *file.units(at, channels, unit))
    in_segment = file.rates_in(segment)
    rates = tuple(in_segment[k] for k in at)
    fastest = max(rates, default=1.0)
    notes = tuple(filter(None, (pause_note(file.path, segments, segment), file.note)))
    if isinstance(rows, np.ndarray):
        rows, first = _finite_margins(rows, first, fastest, begin - late_s, end - late_s)
        return SignalSpan(rows, fastest, late_s + first, None, notes)
    return SignalSpan(tuple(rows), fastest, late_s + first, rates, notes)


def _finite_margins(
    rows: np.ndarray, first: float, rate_hz: float, begin: float, end: float
) -> tuple[np.ndarray, float]:
    """Return samples (C, N), cut at the gaps (NaN) nearest to `begin` and `end`, and the second of the first sample."""
    gaps = np.flatnonzero(~np.isfinite(rows).all(axis=0))
    start, stop = round((begin - first) * rate_hz), round((end - first) * rate_hz)
    before, after = gaps[gaps < start], gaps[gaps >= stop]
    low, high = (int(before[-1]) + 1 if len(before) else 0), (int(after[0]) if len(after) else rows.shape[1])
    return rows[:, low:high], first + low / rate_hz


def require_finite(path: Path, channels: tuple[Channel, ...], read: SignalSpan) -> None:
    """Raise BadRecording if channels have NaN or infinite samples, with their names and the first such second."""
    rates = read.rates_hz or (read.rate_hz,) * len(channels)
    bad = {
        c.name: float(np.argmin(np.isfinite(row))) / hz
        for c, row, hz in zip(channels, read.samples, rates, strict=True)
        if not np.isfinite(row).all()
    }
    if bad:
        named = shortened(list(bad), 8)
        bad_samples = f"NaN or infinite ones in {named}, the first at {read.start_s + min(bad.values()):.3f} s"
        raise BadRecording(path, "finite samples", bad_samples)


def channel_names_in(path: Path) -> list[str]:
    """Return the names of a file's channels in its own spelling. Raises BadRecording."""
    if (device := open_device(path)) is not None:
        return list(device.names)
    if is_text(path):
        return [str(c).strip() for c in read_text_table(path, nrows=1).columns]
    return list(_mne_file(path).names)


def channel_types_in(path: Path) -> list[str]:
    """Return MNE's type of each channel, eeg if it knows none; not for text files. Raises BadRecording."""
    return list(_mne_file(path).raw.get_channel_types())


def channel_units_in(
    path: Path, channels: tuple[Channel, ...], unit: str = "uV"
) -> tuple[tuple[Channel, ...], list[Conversion], list[float]]:
    """Return the channels that a file has, the conversion of each to gbvnet's unit, and the factor that MNE applied.

    unit : of electrical channels in text files. Raises BadRecording.
    """
    if (device := open_device(path)) is not None:
        there = [(c, k) for c in channels if (k := find_channel(c.name, device.names)) is not None]
        made, _ = device.units([k for _, k in there], [c for c, _ in there], unit)
        return tuple(c for c, _ in there), made, [1.0] * len(there)
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
    """Return begin and end of a file in seconds on its clock; `rate_hz`, `hint` as above. Raises BadRecording."""
    segments = segments_in(path, rate_hz, hint)
    return segments[0].start_s, segments[-1].stop_s


def segments_in(path: Path, rate_hz: float | None = None, hint: str = "") -> tuple[Segment, ...]:
    """Return a file's segments between pauses, at least one; `rate_hz`, `hint` as above. Raises BadRecording."""
    return open_signals(path, rate_hz, hint).segments


def open_signals(
    path: Path, rate_hz: float | None = None, hint: str = "", together: tuple[Path, ...] = ()
) -> "SignalFile":
    """Return an opened file; samples are read later, a text file's table is cached. Raises BadRecording.

    together : all files of its recording, of which the text files are cached at the same time
    """
    if (device := open_device(path)) is not None:
        return device
    if not is_text(path):
        return _mne_file(path)
    texts = tuple(file for file in together or (path,) if is_text(file))
    timed = _timed_tables(tuple(map(_version, texts)))[path]
    if timed.fit is not None:
        text_rate_hz(path, timed.table, timed.rate_hz, rate_hz, hint)
        return _text_file_of_fit(path, timed.table, timed.fit, rate_hz)
    table, rate_hz = timed.table, text_rate_hz(path, timed.table, timed.rate_hz, rate_hz, hint)
    return TextFile(path, table, rate_hz, (Segment(timed.start_s, len(table) / rate_hz, 0.0),))


def _text_file_of_fit(path: Path, table: pd.DataFrame, fit: ClockFit, given_hz: float | None) -> "TextFile":
    """Return a text file whose times are those of the lines fitted to its clock. Raises BadRecording."""
    nominal_hz = given_hz if given_hz is not None else table.attrs.get("rate_hz")
    fit.require_nominal(path, nominal_hz)
    segments = tuple(Segment(s.start_s, s.n / s.rate_hz, s.first / s.rate_hz) for s in fit.segments)
    rates = tuple(s.rate_hz for s in fit.segments)
    return TextFile(path, table, fit.rate_hz, segments, rates, fit.note(path, nominal_hz))


def _channel_positions(path: Path, names: tuple[str, ...], channels: tuple[Channel, ...], hint: str) -> list[int]:
    """Return the position of each channel in a file. Raises BadRecording that lists similar names."""
    match = match_channels([c.name for c in channels], names)
    if match.missing:
        raise BadRecording(path, f"channel {match.hint}", ", ".join(names), hint)
    return match.positions


# ---------------------------------------------------------------- text


@dataclass(frozen=True)
class TextFile:
    """A text file: a table of signals, with its clock.

    segment_rates_hz : of each segment, where a line was fitted to each; else rate_hz is that of all
    note : a message on the clock, for every span
    """

    path: Path
    table: pd.DataFrame
    rate_hz: float
    segments: tuple[Segment, ...]
    segment_rates_hz: tuple[float, ...] = ()
    note: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels as the file spells them."""
        return tuple(self.table.columns)

    @property
    def rates_hz(self) -> tuple[float, ...]:
        """Sampling rate of each channel, in Hz."""
        return (self.rate_hz,) * len(self.names)

    def rates_in(self, segment: Segment) -> tuple[float, ...]:
        """Return the sampling rate of each channel within a segment, in Hz."""
        if not self.segment_rates_hz:
            return self.rates_hz
        return (self.segment_rates_hz[self.segments.index(segment)],) * len(self.names)

    def read(self, at: list[int], first_s: float, last_s: float, segment: Segment) -> tuple[np.ndarray, float]:
        """Return samples (C, N) from second `first_s` to `last_s`, and the second of the first sample."""
        rate_hz = self.rates_in(segment)[0]
        low = round(segment.at_s * rate_hz)
        high = low + round(segment.seconds * rate_hz)
        first, last = (min(max(low, round(s * rate_hz)), high) for s in (first_s, last_s))
        samples = self.table.iloc[first:last, at].apply(to_numbers).to_numpy(np.float64).T.copy()
        return samples.reshape(len(at), last - first), first / rate_hz

    def units(self, at: list[int], channels: tuple[Channel, ...], unit: str) -> tuple[list[Conversion], None]:
        """Return the conversions of the channels `at` to gbvnet's units, for `units.apply`."""
        return [convert(c.kind, split_name(self.names[k])[1], unit) for c, k in zip(channels, at, strict=True)], None


def _version(path: Path) -> tuple[Path, int, int]:
    """Return a path with the size and the time of change of its file. Raises BadRecording."""
    try:
        stat = path.stat()
    except OSError as error:
        raise BadRecording(path, "a table of signals", error.strerror or str(error)) from None
    return path, stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=1)  # the trials of one recording are read in sequence
def _timed_tables(files: tuple[tuple[Path, int, int], ...]) -> dict[Path, TimedTable]:
    return {path: read_clock(path, read_text_table(path)) for path, _, _ in files}


# ---------------------------------------------------------------- what MNE reads


def _mne_file(path: Path) -> "MneFile":
    """Return the opened file, cached for EDF, BDF and GDF. Raises BadRecording."""
    if path.suffix.lower() not in _EDF_LIKE or not path.is_file():
        return MneFile(path, _open_mne(path))
    stat = path.stat()
    return _edf_file(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4)  # the trials of a recording's files are read in sequence; opening an EDF+ reads all annotations
def _edf_file(path: Path, size: int, changed_ns: int) -> "MneFile":
    return MneFile(path, _open_mne(path))


def _open_mne(path: Path, only: list[str] | None = None) -> Any:
    """Return an `mne.io.Raw`. `only` : channels to open; MNE resamples all opened ones to the fastest rate."""
    import mne

    if unread := unsupported_format(path):
        raise BadRecording(path, "a signal file that mne reads", *unread)
    options: dict[str, Any] = {}
    if path.suffix.lower() in (".edf", ".bdf"):  # the same names as with all channels opened; any text in annotations
        options = {"exclude_after_unique": True, "encoding": "latin1"}
    if only is not None:
        options["include"] = only
    try:
        return mne.io.read_raw(path, preload=False, verbose="error", **options)
    except Exception as error:  # the readers of mne raise many kinds of exceptions
        raise BadRecording(path, "a signal file that mne reads", *open_failure(path, error)) from None


@dataclass(frozen=True)
class MneFile:
    """A file opened by MNE."""

    path: Path
    raw: Any
    note = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels as the file spells them."""
        return tuple(self.raw.ch_names)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The file's segments between pauses."""
        return find_segments(self.path, self.raw)

    @cached_property
    def _opened(self) -> dict[tuple[str, ...], Any]:
        """Raws with only some of the channels, by their names."""
        return {}

    @cached_property
    def _per_record(self) -> tuple[list[int], float] | None:
        """Samples of each channel in a data record, and the record's seconds; None for formats of one rate."""
        extras = self.raw._raw_extras[0] if self.path.suffix.lower() in _EDF_LIKE else None
        if not extras or "n_samps" not in extras:
            return None
        seconds, parts = extras["record_length"]
        return [int(n) for n in extras["n_samps"][extras["sel"]]], float(seconds) / float(parts)

    @cached_property
    def rates_hz(self) -> tuple[float, ...]:
        """Sampling rate of each channel, in Hz."""
        if self._per_record is None:
            return (float(self.raw.info["sfreq"]),) * len(self.names)
        counts, record_s = self._per_record
        return tuple(float(n / record_s) for n in counts)

    def rates_in(self, segment: Segment) -> tuple[float, ...]:
        """Return the sampling rate of each channel within a segment, in Hz: that of the file."""
        return self.rates_hz

    def read(
        self, at: list[int], first_s: float, last_s: float, segment: Segment
    ) -> tuple[np.ndarray | list[np.ndarray], float]:
        """Return samples from second `first_s` to `last_s`, and the second of the first sample; in MNE's units.

        Samples are (C, N), or one (N,) per channel if rates differ. Then the first sample is one that all channels
        have at the same time.
        """
        rates = sorted({self.rates_hz[k] for k in at})
        if len(rates) == 1 or self._per_record is None:
            return self._of_one_rate(at, rates[0], first_s, last_s)
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
                rates = f"channels that cannot be read at their own rate of {rate_hz:g} Hz"
                raise BadRecording(self.path, "channels of one rate", rates, "Save it at one rate.")
        first, last = (min(max(0, round(s * rate_hz)), raw.n_times) for s in (first_s, last_s))
        picks = np.array([raw.ch_names.index(name) for name in names])
        try:
            return raw.get_data(picks=picks, start=first, stop=max(first, last)), first / rate_hz
        except Exception as error:
            failure = f"none that can be read ({type(error).__name__}: {error})"
            raise BadRecording(self.path, "samples", failure) from None

    def _of_gdf(self, at: list[int], rate_hz: float, first_s: float, last_s: float) -> tuple[np.ndarray, float]:
        """Read a GDF's data records directly: MNE (1.13) opens some channels with the scales of others."""
        about = self.raw._raw_extras[0]
        counts = [int(n) for n in about["n_samps"][about["sel"]]]
        shape = (int(about["n_records"]), sum(counts))
        try:
            held = np.memmap(self.path, about["dtype_np"], "r", int(about["data_offset"]), shape)
        except (OSError, ValueError) as error:
            wanted = f"{shape[0]} data records of {shape[1]} samples, as its header says"
            raise BadRecording(self.path, wanted, f"a shorter file ({error})", "Is it whole?") from None
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
        """Return the conversions of the channels `at` to gbvnet's units and MNE's factors (`units.apply`)."""
        return conversions(self.raw, at, [c.kind for c in channels])


SignalFile = TextFile | MneFile | DeviceFile

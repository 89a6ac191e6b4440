"""BIOPAC's AcqKnowledge files (.acq), by bioread (`pip install "gbvnet[acq]"`).

Channels have rates of their own: the file's rate divided by a whole number. bioread's `time_index` ends one step too
late, and its `named_channels` loses channels of the same name: neither is used. Sizes in the headers are checked
against the file before anything is allocated.

A file that was recorded in several parts (append mode) has a marker at the start of each, and does not tell how long
the breaks are.
"""

import io
import logging
import zlib
from contextlib import suppress
from itertools import pairwise
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from ...errors import BadRecording
from ..channel_names import channel_kind
from .device_file import DeviceChannel, DeviceFile
from .device_signatures import BIOPAC, N_BYTES, is_acq
from .segments import Segment

INSTALL = 'It needs one package more: pip install "gbvnet[acq]" (bioread). Or export it as EDF or CSV in AcqKnowledge.'
_EXPECTED = f"a file of {BIOPAC}"
MAX_READS = 200_000  # of headers and samples: damaged lengths could make bioread read headers for ever
MAX_PATTERN = 5_000_000  # of samples in the pattern in which channels are interleaved: it grows with odd dividers
_APPEND = "apnd"  # type of the marker at the start of each part


def read_biopac(path: Path) -> DeviceFile:
    """Return the channels of a file. Raises BadRecording."""
    reader = _read(path)
    datafile = reader.datafile
    rate_hz = float(datafile.samples_per_second)
    lengths = [len(channel.raw_data) * channel.frequency_divider for channel in datafile.channels]
    seconds = min(
        len(c.raw_data) * c.frequency_divider / rate_hz for c in datafile.channels
    )  # each channel's own last sample lasts for `frequency_divider` steps
    if max(lengths) - min(lengths) > max(channel.frequency_divider for channel in datafile.channels):
        actual = ", ".join(f"{c.name} {n / rate_hz:.3f} s" for c, n in zip(datafile.channels, lengths, strict=True))
        raise BadRecording(path, "channels of one length", actual, "Export it as EDF or CSV in AcqKnowledge.")
    markers = list(datafile.event_markers or ())
    channels = tuple(_channel(channel, rate_hz) for channel in datafile.channels)
    notes = [] if datafile.event_markers is not None else ["its markers cannot be read"]
    return DeviceFile(
        path, BIOPAC, channels, _segments(markers, seconds, rate_hz), start_unix_s=_start_unix_s(markers),
        notes=tuple(notes),
    )  # fmt: skip


def _channel(channel: Any, rate_hz: float) -> DeviceChannel:
    name = " ".join(str(channel.name).split()) or "unnamed"
    unit = str(channel.units).strip()
    samples = np.asarray(channel.data, np.float64)
    return DeviceChannel(name, channel_kind(name), unit, rate_hz / channel.frequency_divider, samples)


def _segments(markers: list[Any], seconds: float, rate_hz: float) -> tuple[Segment, ...]:
    """Return the parts of a file, with breaks of unknown length between them."""
    starts = {m.sample_index / rate_hz for m in markers if m.type_code == _APPEND}
    edges = [0.0, *sorted(start for start in starts if 0 < start < seconds), seconds]
    return tuple(Segment(a, b - a, a, k == 0) for k, (a, b) in enumerate(pairwise(edges)))


def _start_unix_s(markers: list[Any]) -> float | None:
    """Return when the first part began: when the marker at its start was made; None where there is none with a date."""
    dates = [m.date_created_utc for m in markers if m.type_code == _APPEND and m.sample_index == 0]
    return float(dates[0].timestamp()) if dates and dates[0] is not None else None


# ---------------------------------------------------------------- bioread


class _LimitedReads(io.FileIO):
    """A file that can be read a limited number of times."""

    reads = 0

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        """Return bytes. Raises OSError from the MAX_READS-th call on."""
        self.reads += 1
        if self.reads > MAX_READS:
            raise OSError("too many headers")
        return super().read(-1 if size is None else size) or b""


def _read(path: Path) -> Any:
    """Return bioread's reader with the samples of all channels. Raises BadRecording."""
    try:
        from bioread.data_reader import DataReader
        from bioread.reader import Reader
    except ImportError:
        raise BadRecording(path, "bioread, which reads it", "no such package", INSTALL) from None
    log = logging.getLogger("bioread")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it writes to the terminal what is an error here
    try:
        with _LimitedReads(path) as file:
            begin = file.read(N_BYTES)
            if not is_acq(begin):
                raise BadRecording(path, _EXPECTED, "one whose first bytes are those of no known version")
            reader = Reader(file)
            # The public `read_headers` lets some errors through, and `stream` fills the memory where rates cannot be.
            read_headers = reader._read_headers
            with suppress(Exception):  # of many kinds: samples are known before markers and journal are read
                read_headers()
            _require_whole(path, reader)
            file.reads = 0
            if reader.is_compressed:
                _unpack(path, file, reader.datafile)
            else:
                DataReader(file, reader.datafile, reader.data_start_offset).read_data()
    except BadRecording:
        raise
    except Exception as error:  # bioread raises many kinds of exceptions for damaged files
        message = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BadRecording(path, _EXPECTED, f"one that does not read ({message})", "Is it whole?") from None
    finally:
        log.setLevel(level)
    return reader


def _require_whole(path: Path, reader: Any) -> None:
    """Raise BadRecording if headers are missing, or state sizes that cannot be."""
    datafile = reader.datafile
    if datafile is None or not datafile.channels:
        raise BadRecording(path, _EXPECTED, "one whose headers cannot be read", "Is it whole?")
    if not np.isfinite(datafile.samples_per_second) or not 0 < datafile.samples_per_second <= 1e6:
        raise BadRecording(path, "a rate above 0, at most 1e6", f"{datafile.samples_per_second:g}")
    dividers = [int(channel.frequency_divider) for channel in datafile.channels]
    counts = [int(channel.point_count) for channel in datafile.channels]
    if min(dividers) < 1 or lcm(*dividers) * len(dividers) > MAX_PATTERN:
        raise BadRecording(path, "rates that are whole parts of the file's", f"parts of {dividers}")
    if min(counts) < 1:
        raise BadRecording(path, "samples in each channel", f"{counts} samples")
    if reader.is_compressed:
        if len(datafile.channel_compression_headers or ()) != len(counts):
            raise BadRecording(path, "a header of each compressed channel", "fewer", "Is it whole?")
        return
    needed, there = reader.data_start_offset + reader.data_length, path.stat().st_size
    if needed > there:
        raise BadRecording(path, f"{needed} bytes, as its headers state", f"{there}", "Is it whole?")


def _unpack(path: Path, file: io.FileIO, datafile: Any) -> None:
    """Read compressed channels, of each no more than its header states. Raises BadRecording."""
    for channel, header in zip(datafile.channels, datafile.channel_compression_headers, strict=True):
        file.seek(header.compressed_data_offset)
        packed = file.read(max(0, int(header.compressed_data_len)))
        content = zlib.decompressobj().decompress(packed, channel.data_length + 1)
        if len(content) != channel.data_length:
            size = f"{channel.data_length} bytes of channel {channel.name}"
            more = "more" if len(content) > channel.data_length else f"{len(content)}"
            raise BadRecording(path, size, more, "Is it whole?")
        channel.raw_data = np.frombuffer(content, dtype=channel.dtype)

"""Signals from a Lab Streaming Layer stream, by mne-lsl (the extra `live`)."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ...datasets.channel_names import channel_kind
from ...datasets.units import ELECTRICAL, Conversion, apply, convert
from ...errors import GbvnetError
from ...preprocessing.native_library import silenced_stderr
from .sources import Event

PULL_S = 0.05
# Units as MNE writes them: powers of ten of a volt.
_POWERS = {"-9": "nV", "-6": "uV", "-3": "mV", "0": "V"}


class LslStream(NamedTuple):
    """An open LSL stream."""

    names: tuple[str, ...]
    rate_hz: float
    units: tuple[Conversion, ...]  # conversion of each channel to the unit of the corpus
    unknown_units: tuple[str, ...]  # electrical channels whose unit the device does not state: taken as microvolts
    inlet: Any


@contextmanager
def open_lsl(name: str, wait_s: float = 5.0) -> Generator[LslStream]:
    """Open the stream of that name. Raises GbvnetError if mne-lsl is not installed, or if there is no such stream, or
    if it has no regular rate or no channel names."""
    try:
        from mne_lsl.lsl import StreamInlet, resolve_streams
    except ImportError as error:
        raise GbvnetError(f"signals from LSL need mne-lsl ({error}): pip install 'gbvnet[live]'") from None
    with silenced_stderr("liblsl"):  # it prints two lines
        streams = resolve_streams(timeout=wait_s, name=name)
    if not streams:
        others = ", ".join(sorted(s.name for s in resolve_streams(timeout=1.0))) or "none"
        raise GbvnetError(
            f"no LSL stream named {name} within {wait_s:g} s; there is {others}. Start the device's program, in the "
            "same network, and let it stream"
        )
    if len(streams) > 1:
        hosts = ", ".join(f"{s.source_id or 'no id'} on {s.hostname}" for s in streams)
        raise GbvnetError(
            f"{len(streams)} LSL streams are named {name} ({hosts}): stop all but one, or give them different names"
        )
    inlet = StreamInlet(streams[0], processing_flags=["clocksync", "dejitter"])
    inlet.open_stream(timeout=wait_s)
    try:
        info = inlet.get_sinfo(timeout=wait_s)
        if not info.sfreq > 0:
            raise GbvnetError(
                f"LSL stream {name}: expected samples at a regular rate, found markers or an irregular rate"
            )
        names = info.get_channel_names()
        if not names or None in names:
            raise GbvnetError(
                f"LSL stream {name}: expected names of its {info.n_channels} channels, found none. Have the device's "
                "program send channel labels"
            )
        unit_texts = [
            _POWERS.get(str(unit), str(unit or "")) for unit in info.get_channel_units() or [None] * len(names)
        ]
        units = tuple(convert(channel_kind(n), text) for n, text in zip(names, unit_texts, strict=True))
        unknown = tuple(
            n for n, unit in zip(names, units, strict=True) if channel_kind(n) in ELECTRICAL and unit.message
        )
        yield LslStream(tuple(names), float(info.sfreq), units, unknown, inlet)
    finally:
        inlet.close_stream()


def lsl_chunks(stream: LslStream, clock: Callable[[], float]) -> Generator[Event]:
    """Yield the chunks that are received from now on, without end. Times are those at which the samples were taken, as
    estimated by LSL."""
    from mne_lsl.lsl import local_clock

    zero = local_clock() - clock()
    stream.inlet.flush()
    while True:
        x, times = stream.inlet.pull_chunk(timeout=PULL_S)
        if len(times):
            first = max(0.0, float(times[0]) - zero)
            yield Event(first, 0.0, chunk=apply(np.array(x, np.float64).T, stream.units))

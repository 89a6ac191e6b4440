"""Signal files of any format: EDF, BDF, FIF, BrainVision, EEGLAB and what else MNE reads, or CSV and TSV.

Shapes: C channels, N samples.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..channels import find, near
from ..errors import BadRecording
from ..recording import Channel
from ..units import Conversion, apply, convert, split_name
from .mne_units import conversions
from .signal_text import is_text, numbers, text_clock, text_table


def read_signals(
    path: Path,
    begin: float,
    end: float,
    channels: tuple[Channel, ...],
    rate_hz: float | None = None,
    unit: str = "uV",
    hint: str = "",
) -> tuple[np.ndarray, float, float]:
    """Some seconds of some channels, by name, however a file spells it.

    begin, end : seconds from the file's start; what is outside the file is left out
    rate_hz, unit : of text files, which do not say it: their rate where they have no column `time`, and the unit of
        electrical channels
    hint : how to tell a rate or a channel's name, for errors

    Returns samples (C, N) float64 in the units that are kept (gbvnet/units.py); their rate; and the time of the first
    one. Raises BadRecording.
    """
    if is_text(path):
        return _read_text(path, begin, end, channels, rate_hz, unit, hint)
    return _read_mne(path, begin, end, channels, hint)


def names_in(path: Path) -> list[str]:
    """The names of a file's channels, as it spells them. Raises BadRecording."""
    if is_text(path):
        return [str(c).strip() for c in text_table(path, nrows=1).columns]
    return list(_open_mne(path).ch_names)


def types_in(path: Path) -> list[str]:
    """MNE's type of each channel, eeg where it knows none; not of text files. Raises BadRecording."""
    return list(_open_mne(path).get_channel_types())


def units_in(
    path: Path, channels: tuple[Channel, ...], unit: str = "uV"
) -> tuple[tuple[Channel, ...], list[Conversion], list[float]]:
    """Those of the channels that a file has, how each is brought to the unit that is kept, and what MNE did to it.

    unit : of electrical channels in text files. Raises BadRecording.
    """
    if is_text(path):
        names = names_in(path)
        there = [(c, k) for c in channels if (k := find(c.name, names)) is not None]
        made = [convert(c.kind, split_name(names[k])[1], unit) for c, k in there]
        return tuple(c for c, _ in there), made, [1.0] * len(there)
    raw = _open_mne(path)
    there = [(c, k) for c in channels if (k := find(c.name, raw.ch_names)) is not None]
    made, applied = conversions(raw, [k for _, k in there], [c.kind for c, _ in there])
    return tuple(c for c, _ in there), made, applied


def span_s(path: Path, rate_hz: float | None = None, hint: str = "") -> tuple[float, float]:
    """When a file begins and ends, seconds on its own clock; `rate_hz` and `hint` as above. Raises BadRecording."""
    if is_text(path):
        _, rate_hz, start, n = text_clock(path, text_table(path), rate_hz, hint)
        return start, start + n / rate_hz
    raw = _open_mne(path)
    return 0.0, float(raw.n_times / raw.info["sfreq"])


def _open_mne(path: Path) -> Any:
    import mne

    try:
        return mne.io.read_raw(path, preload=False, verbose="error")
    except Exception as error:  # each of mne's readers fails in its own way
        found = f"one that does not open ({type(error).__name__}: {error})"
        raise BadRecording(
            path, "a signal file that mne reads", found, "Is it whole, with the files beside it?"
        ) from None


def _pick(path: Path, names: list[str], channels: tuple[Channel, ...], hint: str) -> list[int]:
    """Where each channel is in a file. Raises BadRecording that lists near names."""
    at = [find(c.name, names) for c in channels]
    absent = [c.name for c, k in zip(channels, at, strict=True) if k is None]
    if absent:
        told = ", ".join(f"{name}{near(name, names)}" for name in absent[:5])
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise BadRecording(path, f"channel {told}{more}", f"{', '.join(names)}", hint)
    return [k for k in at if k is not None]


def _read_mne(
    path: Path, begin: float, end: float, channels: tuple[Channel, ...], hint: str
) -> tuple[np.ndarray, float, float]:
    raw = _open_mne(path)
    at, rate_hz = _pick(path, raw.ch_names, channels, hint), float(raw.info["sfreq"])
    first, last = round(begin * rate_hz), round(min(raw.n_times, end * rate_hz))
    try:
        samples = raw.get_data(picks=np.array(at), start=first, stop=max(first, last))
    except Exception as error:
        raise BadRecording(path, "samples", f"none that can be read ({type(error).__name__}: {error})") from None
    return apply(samples, *conversions(raw, at, [c.kind for c in channels])), rate_hz, first / rate_hz


def _read_text(
    path: Path,
    begin: float,
    end: float,
    channels: tuple[Channel, ...],
    rate_hz: float | None,
    unit: str,
    hint: str,
) -> tuple[np.ndarray, float, float]:
    table = text_table(path)
    table, rate_hz, start, _ = text_clock(path, table, rate_hz, hint)
    at = _pick(path, list(table.columns), channels, hint)
    first = max(0, round((begin - start) * rate_hz))
    last = max(first, round(min(len(table), (end - start) * rate_hz)))
    samples = table.iloc[first:last, at].apply(numbers).to_numpy(np.float64).T.copy()
    made = [convert(c.kind, split_name(table.columns[k])[1], unit) for c, k in zip(channels, at, strict=True)]
    return apply(samples, made), rate_hz, start + first / rate_hz

"""Signal files of any format: EDF, BDF, FIF, BrainVision, EEGLAB and what else MNE reads, or CSV and TSV.

Shapes: C channels, N samples.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..channels import find, near
from ..errors import BadRecording
from ..recording import Channel

ELECTRICAL = ("eeg", "eog", "ecg", "emg")
UNITS = {"uV": 1.0, "mV": 1e3, "V": 1e6}  # of electrical channels in text files -> microvolts
CLOCKS = ("time", "time_s", "t")  # how a text file's column of seconds may be called
LATEST_S, MOST_RATE_HZ = 1e10, 1e6  # seconds since 1970 are below the first
LEAST_RATE_HZ = 1.0  # nothing that tells of windows of a second is slower; a column of milliseconds looks so


def is_text(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv")


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

    Returns samples (C, N) float64, microvolts for electrical channels, else in the file's own units; their rate; and
    the time of the first one. Raises BadRecording.
    """
    if is_text(path):
        return _read_text(path, begin, end, channels, rate_hz, unit, hint)
    return _read_mne(path, begin, end, channels, hint)


def names_in(path: Path) -> list[str]:
    """The names of a file's channels, as it spells them. Raises BadRecording."""
    if is_text(path):
        return [str(c).strip() for c in _text(path, nrows=1).columns]
    return list(_open_mne(path).ch_names)


def span_s(path: Path, rate_hz: float | None = None, hint: str = "") -> tuple[float, float]:
    """When a file begins and ends, seconds on its own clock; `rate_hz` and `hint` as above. Raises BadRecording."""
    if is_text(path):
        _, rate_hz, start, n = _text_clock(path, _text(path), rate_hz, hint)
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
    samples[[c.kind in ELECTRICAL for c in channels]] *= 1e6  # mne gives volts; other kinds stay as mne gives them
    return samples, rate_hz, first / rate_hz


def _read_text(
    path: Path,
    begin: float,
    end: float,
    channels: tuple[Channel, ...],
    rate_hz: float | None,
    unit: str,
    hint: str,
) -> tuple[np.ndarray, float, float]:
    table = _text(path)
    table, rate_hz, start, _ = _text_clock(path, table, rate_hz, hint)
    at = _pick(path, list(table.columns), channels, hint)
    first = max(0, round((begin - start) * rate_hz))
    last = max(first, round(min(len(table), (end - start) * rate_hz)))
    samples = table.iloc[first:last, at].apply(_numbers).to_numpy(np.float64).T.copy()
    samples[[c.kind in ELECTRICAL for c in channels]] *= UNITS[unit]
    return samples, rate_hz, start + first / rate_hz


def _text_clock(
    path: Path, table: pd.DataFrame, rate_hz: float | None, hint: str
) -> tuple[pd.DataFrame, float, float, int]:
    """The table with tidy names, its rate, the time of its first row, and how many rows it has."""
    table.columns = [str(c).strip() for c in table.columns]
    start = 0.0
    times = next((c for c in table.columns if c.lower() in CLOCKS), None)
    if times is not None:
        t = _numbers(table[times]).to_numpy()
        steps = np.diff(t) if (np.abs(t) < LATEST_S).all() else np.zeros(1)
        if len(t) < 2 or steps.min() <= 0 or np.ptp(steps) > 0.5 * np.median(steps):
            raise BadRecording(path, f"column {times} with even steps of seconds", "gaps, jumps or no numbers")
        rate_hz, start = (len(t) - 1) / (t[-1] - t[0]), float(t[0])
        if rate_hz < LEAST_RATE_HZ:
            found = f"{rate_hz:.3g} lines a second"
            raise BadRecording(path, f"seconds in column {times}", found, "Are they milliseconds?")
    if rate_hz is None:
        raise BadRecording(path, "a column time", "none", hint)
    if not 0 < rate_hz <= MOST_RATE_HZ:
        raise BadRecording(path, f"a rate above 0, at most {MOST_RATE_HZ:g}", f"{rate_hz:g} samples a second", hint)
    return table, float(rate_hz), start, len(table)


def _numbers(column: pd.Series) -> pd.Series:
    """NaN for what is none. A whole number of 400 digits is one only as text: as such it is infinite."""
    return pd.to_numeric(column.astype(str) if column.dtype == object else column, errors="coerce")


def _text(path: Path, nrows: int | None = None) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = next((line for line in file if line.strip() and not line.startswith("#")), "")
        # Spreadsheets write semicolons where a comma is the decimal point.
        mark = max("\t,;" if path.suffix.lower() == ".tsv" else ",;\t", key=head.count)
        decimal = "," if mark == ";" else "."
        return pd.read_csv(path, sep=mark, decimal=decimal, comment="#", nrows=nrows, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise BadRecording(path, "a table of signals", f"a file that does not read ({error})") from None

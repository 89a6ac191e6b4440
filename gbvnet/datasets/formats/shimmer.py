"""Shimmer sensors: the text files that Consensys exports.

    "sep=;"                                        tabs or commas are possible too
    Shimmer_40AC_Timestamp_Unix_CAL;Shimmer_40AC_GSR_Skin_Conductance_CAL;...;
    ms;uS;...;

Each name begins with the device's or the user's own name, which differs between recordings and is left out here.
Samples are stamped as they arrive: the times scatter by tens of milliseconds, and a line is fitted to them.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import BadRecording
from ..channel_names import channel_kind
from ..units import parse_unit
from .device_file import DeviceChannel, DeviceFile
from .device_rows import RowTimes, grid_rows
from .device_signatures import SHIMMER
from .device_text import numbers, require_numbers, unix_seconds
from .signal_text import read_text_table

_SECONDS_PER = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
MAX_RECIPROCAL_ERROR = 1e-3  # of conductance times resistance


class _Column(NamedTuple):
    column: str  # in the table
    name: str  # without the device's name and the ending _CAL
    unit: str


def read_shimmer(path: Path) -> DeviceFile:
    """Return the signals of an export. Raises BadRecording."""
    table = read_text_table(path)
    columns = _columns(list(map(str, table.columns)))
    clock = _clock(path, columns)
    signals = [one for one in columns if "timestamp" not in one.name.lower()]
    values = numbers(table, [one.column for one in signals])
    stamps = numbers(table, [clock.column])[:, 0]
    if len(stamps) and not np.isfinite(stamps[-1]):  # a line that was cut while it was written
        stamps, values = stamps[:-1], values[:-1]
    require_numbers(path, clock.column, stamps, 4)
    _require_reciprocal(path, signals, values)
    seconds, since_1970 = unix_seconds(stamps * _SECONDS_PER[clock.unit.lower()])
    grid = grid_rows(path, values, RowTimes(None, seconds, clock.name))
    kinds = _kinds(signals)
    channels = tuple(
        DeviceChannel(one.name, kind, one.unit if parse_unit(one.unit) else "", grid.rate_hz, samples)
        for one, kind, samples in zip(signals, kinds, grid.samples.T, strict=True)
    )
    return DeviceFile(
        path, SHIMMER, channels, grid.segments, grid.rates_hz, grid.start_s if since_1970 else None, "", grid.notes
    )


def _columns(names: list[str]) -> list[_Column]:
    """Return the columns of a device, by their names and units (`NAME_CAL [uS]`)."""
    split = [re.fullmatch(r"(.*?)(?: \[(.*)\])?", name) for name in names]
    plain = [(match[1], match[2] or "") if match else (name, "") for name, match in zip(names, split, strict=True)]
    prefix = _common_begin([name for name, _ in plain if re.search(r"_(?:CAL|RAW)$", name)])
    return [
        _Column(column, name.removeprefix(prefix).removesuffix("_CAL"), unit)
        for column, (name, unit) in zip(names, plain, strict=True)
    ]


def _common_begin(names: list[str]) -> str:
    """Return the words, each with its `_`, with which all names begin."""
    words = [re.findall(r"[^_]*_", name) for name in names] or [[]]
    same = 0
    while all(len(of) > same and of[same] == words[0][same] for of in words):
        same += 1
    return "".join(words[0][:same])


def _clock(path: Path, columns: list[_Column]) -> _Column:
    """Return the column of times: seconds since 1970 before those since the start of the device."""
    clocks = [one for one in columns if re.search(r"timestamp", one.name, re.I) and one.unit.lower() in _SECONDS_PER]
    clocks.sort(key=lambda one: (one.name.endswith("_RAW"), "unix" not in one.name.lower()))
    if not clocks:
        listed = ", ".join(one.name for one in columns[:8])
        remedy = "Export it from Consensys with the time as Unix milliseconds."
        raise BadRecording(path, "a column Timestamp with the unit ms", f"none among {listed}", remedy)
    return clocks[0]


def _kinds(signals: list[_Column]) -> list[str | None]:
    """Return the kinds of channels. Resistance beside conductance is the same measurement, and has none."""
    kinds = [
        None if one.name.endswith("_RAW") else channel_kind(re.sub(r"_(?:16|24)BIT$", "", one.name)) for one in signals
    ]
    conductance = any(
        kind == "gsr" and _quantity(one) == "conductance" for one, kind in zip(signals, kinds, strict=True)
    )
    return [
        None if conductance and kind == "gsr" and _quantity(one) != "conductance" else kind
        for one, kind in zip(signals, kinds, strict=True)
    ]


def _quantity(one: _Column) -> str:
    unit = parse_unit(one.unit)
    return unit.quantity if unit else ""


def _require_reciprocal(path: Path, signals: list[_Column], values: np.ndarray) -> None:
    """Raise BadRecording if skin conductance and skin resistance are not reciprocal: a unit in line 3 is wrong."""
    at = {}
    for k, one in enumerate(signals):
        unit = parse_unit(one.unit)
        if unit and "skin" in one.name.lower() and unit.quantity in ("conductance", "resistance"):
            at[unit.quantity] = values[:, k] * unit.scale
    if len(at) < 2:
        return
    product = at["conductance"] * at["resistance"] * 1e-6
    used = np.isfinite(product) & (at["conductance"] > 0) & (at["resistance"] > 0)
    wrong = np.flatnonzero(used & (np.abs(product - 1) > MAX_RECIPROCAL_ERROR))
    if len(wrong):
        k = int(wrong[0])
        pair = f"{at['conductance'][k]:g} uS and {at['resistance'][k] / 1e3:g} kOhm in data row {k + 1}"
        raise BadRecording(path, "a skin conductance of 1000 / kOhm uS", pair, "Are the units in line 3 right?")

"""Units of signals: one decision for every reader, and for predict, live and the app.

Whatever a file or a device writes (`µV`, `uv`, `microvolts`, `kOhm`, `µS`, `deg C`), samples are kept in one unit for
each quantity:

    voltage      uV, of any kind of channel
    conductance  uS
    resistance   ohm; it stays a resistance
    temperature  C, degrees Celsius

What is no such quantity (%, a.u., beats per minute) is kept as the file has it. Shapes: C channels, N samples.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from ..text import shortened

_Rows = TypeVar("_Rows", np.ndarray, list[np.ndarray], np.ndarray | list[np.ndarray])

ELECTRICAL = ("eeg", "eog", "ecg", "emg")
MARK = "units uV, uS, ohm, C"  # in what a store says of its signals: they were brought to these
STORED = {"voltage": "uV", "conductance": "uS", "resistance": "ohm", "temperature": "C"}
# What a channel of a kind can be; of other kinds anything can be.
EXPECTED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(ELECTRICAL, ("voltage",)),
    "gsr": ("conductance", "resistance"),
    "temp": ("temperature",),
}
_WORDS = {
    "voltage": "a voltage",
    "conductance": "a conductance",
    "resistance": "a resistance",
    "temperature": "a temperature",
}
# Signs that were written in one encoding and read in another, and signs that look alike.
_SIGNS = {
    "Â": "", "\x83Ê": "u", "\x83ê": "u", "Î¼": "u", "¬µ": "u", "µ": "u", "μ": "u", "â„¦": "ohm", "Î©": "ohm",
    "Ω": "ohm", "\u2126": "ohm", "\u2127": "mho", "º": "°", "˚": "°",
}  # fmt: skip
_PREFIXES = {
    "": 1.0, "p": 1e-12, "pico": 1e-12, "n": 1e-9, "nano": 1e-9, "u": 1e-6, "micro": 1e-6, "m": 1e-3, "milli": 1e-3,
    "k": 1e3, "kilo": 1e3, "mega": 1e6,
}  # fmt: skip
_BASES = {"voltage": r"v(?:olts?)?", "conductance": r"s(?:iemens)?|mhos?", "resistance": r"ohms?"}
_ELECTRIC = {
    quantity: re.compile(rf"({'|'.join(sorted(_PREFIXES, key=len, reverse=True))})[ -]?(?:{base})")
    for quantity, base in _BASES.items()
}
_DEGREES = r"(?:°|o|deg\.?|degrees?)?[ -]?"
_TEMPERATURES = {  # stored = value * scale + offset
    "C": (re.compile(rf"{_DEGREES}c(?:elsius)?|c ?°"), 1.0, 0.0),
    "K": (re.compile(rf"{_DEGREES}k(?:elvins?)?"), 1.0, -273.15),
    "F": (re.compile(rf"{_DEGREES}f(?:ahrenheit)?|f ?°"), 5 / 9, -160 / 9),
}
# What stands in brackets behind a name and is a unit, but of none of these quantities.
_OTHER = ("%", "a.u.", "au", "arb", "arb.", "arb. unit", "arb. units", "lsb", "adc", "deg", "degrees")
_NOT_STATED = ("", "n/a", "na", "none", "nan", "unknown", "-", "?")


class Unit(NamedTuple):
    """The conversion of values in a unit: stored = value * scale + offset, in the quantity's unit of STORED."""

    quantity: str
    scale: float
    offset: float = 0.0


class Conversion(NamedTuple):
    """How a channel's values become the values that are kept: value * scale + offset.

    unit : of the values kept; empty where it is not known
    message : a warning for the user; empty where there is none
    """

    unit: str
    scale: float = 1.0
    offset: float = 0.0
    message: str = ""


def parse_unit(text: str) -> Unit | None:
    """Return the unit that a text names, however it is spelled; None for no text and for any other unit."""
    plain = _plain(text)
    lower = plain.lower()
    for quantity, pattern in _ELECTRIC.items():
        match = pattern.fullmatch(lower)
        if match and quantity == "resistance" and match[1] == "m":  # only here both exist: 1 MOhm is dry skin
            return Unit(quantity, 1e6) if plain[0] == "M" else None
        if match:
            return Unit(quantity, _PREFIXES[match[1]] * (1.0 if quantity == "resistance" else 1e6))
    for pattern, scale, offset in _TEMPERATURES.values():
        if pattern.fullmatch(lower):
            return Unit("temperature", scale, offset)
    return None


def _plain(text: str) -> str:
    """A unit's text in ASCII, as far as it can be."""
    plain = str(text).strip().strip("[]()").strip().rstrip("\0").strip()
    for sign, meant in _SIGNS.items():
        plain = plain.replace(sign, meant)
    return plain


def is_stated(text: str) -> bool:
    """Return whether a file names a unit at all, known or not."""
    return _plain(text).lower() not in _NOT_STATED


def split_name(name: str) -> tuple[str, str]:
    """A channel's name and the unit that is written behind it: `EDA [µS]`, `ECG (mV)`, `EDA_uS`; else no unit."""
    plain = name.strip()
    opens = plain.rfind({"]": "[", ")": "("}.get(plain[-1:], "\0"))
    stem, unit = plain[: max(0, opens)].rstrip(), plain[opens + 1 : -1].strip()
    if stem and (parse_unit(unit) or not is_stated(unit) or unit.lower() in _OTHER):
        return stem, unit
    stem, _, end = plain.rpartition("_")
    # one letter is as often a number or a name (ECG_V, Temp_C of channels A, B, C)
    return (stem, end) if stem and len(_plain(end)) > 1 and parse_unit(end) else (plain, "")


def convert(kind: str | None, text: str, default: str = "") -> Conversion:
    """Return the conversion of a channel of a kind from the unit `text` of a file to the unit that is stored.

    default : where the file names no unit, the unit of electrical channels as a format or a user states it; or one of
        another quantity, for the channels that can be in it (uS: skin conductance)
    """
    stated_unit = parse_unit(default)
    if stated_unit and stated_unit.quantity != "voltage":
        if not is_stated(text) and stated_unit.quantity in EXPECTED.get(kind or "", ()):
            text = default
        default = ""
    unit = parse_unit(text)
    if unit is None and kind in ELECTRICAL:
        stated = f"the unit {text.strip()!r}, which is no voltage" if is_stated(text) else "no unit"
        sure = bool(default) and not is_stated(text)
        assumed = parse_unit(default) or Unit("voltage", 1.0)
        return Conversion("uV", assumed.scale, 0.0, "" if sure else f"{stated}: taken as {default or 'uV'}")
    if unit is None:
        wanted = EXPECTED.get(kind or "")
        if not wanted or (default and not is_stated(text)):
            return Conversion("", message="")
        stated = f"the unit {text.strip()!r}, which is not known" if is_stated(text) else "no unit"
        return Conversion("", message=f"{stated}: kept as the file has it")
    message = ""
    if unit.quantity not in EXPECTED.get(kind or "", (unit.quantity,)):
        of = " or ".join(_WORDS[quantity] for quantity in EXPECTED[kind or ""])
        message = f"the unit {text.strip()!r}, {_WORDS[unit.quantity]} where {of} is expected"
    return Conversion(STORED[unit.quantity], unit.scale, unit.offset, message)


def apply(samples: _Rows, conversions: Sequence[Conversion], applied: Sequence[float] | None = None) -> _Rows:
    """Convert samples, (C, N) or (N,) of each channel, to the units that are stored, in place.

    applied : factors that a reader has multiplied each channel with already (MNE: 1e-6 for microvolts); 1 if not given
    """
    for row, one, factor in zip(samples, conversions, applied or [1.0] * len(samples), strict=True):
        scale = one.scale / factor
        if scale != 1.0:
            row *= scale
        if one.offset:
            row += one.offset
    return samples


def messages(conversions: Mapping[str, Conversion]) -> list[str]:
    """Return warnings on the units of channels by name, channels with the same message together."""
    by_message: dict[str, list[str]] = {}
    for name, one in conversions.items():
        if one.message:
            by_message.setdefault(one.message, []).append(name)
    return [
        f"{shortened(names)} {'have' if len(names) > 1 else 'has'} {message}" for message, names in by_message.items()
    ]


# ---------------------------------------------------------------- values that tell of another unit

# Levels that a body can have, by the unit that is kept.
POSSIBLE = {("gsr", "uS"): (0.005, 300.0), ("gsr", "ohm"): (2e3, 1e9), ("temp", "C"): (5.0, 50.0)}
_OF = {"gsr": {"uS": "a skin conductance", "ohm": "a skin resistance"}, "temp": {"C": "a temperature"}}
LARGEST_RATIO = 100.0  # of one channel in two recordings with the same unit
LEVELS = ("gsr", "temp")  # kinds whose level tells; of others it is how far they swing
SWING_S = 0.1


def impossible(
    kinds: Sequence[str], names: Sequence[str], samples: Iterable[np.ndarray], units: Sequence[str]
) -> list[str]:
    """What to know of channels whose values no body has in their unit: 1e6 uS, 300 degrees Celsius.

    samples : (N,) of each channel
    units : of the values, as of `Conversion`; a temperature without one is held to be in degrees Celsius
    """
    lines = []
    for kind, name, row, unit in zip(kinds, names, samples, units, strict=True):
        unit = unit or ("C" if kind == "temp" else "")
        low, high = POSSIBLE.get((kind, unit), (-np.inf, np.inf))
        level = float(np.median(row)) if len(row) else np.nan
        if not low <= level <= high and np.isfinite(level):
            lines.append(f"{name}: {_OF[kind][unit]} of {level:.3g} {unit} is not possible: is its unit another?")
    return lines


def scale_of(kind: str, x: np.ndarray, rate_hz: float) -> float:
    """How large a channel (N,) is, whatever drifts and rare artefacts it has: its level, or how far it swings within a
    tenth of a second. 0 for a flat channel."""
    return float(scales_of(kind, x[None], rate_hz)[0])


def scales_of(kind: str, x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the `scale_of` of each of n channels or pieces of one kind, (n, N) -> (n,)."""
    lag = 0 if kind in LEVELS else max(1, round(SWING_S * rate_hz))
    if x.shape[1] <= lag:
        return np.zeros(len(x))
    return np.asarray(np.median(np.abs(x[:, lag:] - x[:, :-lag] if lag else x), axis=1))


def unit_disagreements(scales: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a line for each channel whose scales form groups that differ by a factor of more than 100, as those of one
    channel in two units do, with the recordings of each group.

    scales : recording -> channel -> `scale_of`
    """
    by_channel: dict[str, list[tuple[float, str]]] = {}
    for recording, mine in scales.items():
        for channel, value in mine.items():
            if value > 0 and np.isfinite(value):
                by_channel.setdefault(channel, []).append((value, recording))
    by_groups: dict[str, list[str]] = {}
    for channel, values in by_channel.items():
        values.sort()
        groups: list[list[tuple[float, str]]] = [values[:1]]
        for before, one in pairwise(values):
            if one[0] > LARGEST_RATIO * before[0]:
                groups.append([])
            groups[-1].append(one)
        if len(groups) > 1:
            description = "; ".join(
                f"about {np.median([value for value, _ in group]):.2g} in "
                f"{shortened(sorted(name for _, name in group))}"
                for group in sorted(groups, key=len, reverse=True)
            )
            by_groups.setdefault(description if len(by_channel) < 3 else _shape(groups), []).append(
                f"{channel}: {description}"
            )
    more = [f" (and so {len(same) - 1} more channels)" if len(same) > 1 else "" for same in by_groups.values()]
    ask = ": are all recordings in one unit?"
    return [f"{same[0]}{others}{ask}" for same, others in zip(by_groups.values(), more, strict=True)]


def _shape(groups: list[list[tuple[float, str]]]) -> str:
    return repr([sorted(name for _, name in group) for group in groups])


def unlike_training(names: Sequence[str], windows: np.ndarray, sd: np.ndarray) -> list[str]:
    """Return a warning on channels whose SD differs by a factor of more than 100 from a model's training.

    windows : (W, C, L). sd : (C,) of each channel in training
    """
    if not windows.size:
        return []
    mine = windows.std(axis=(0, 2))
    unlike = []
    for name, own, trained in zip(names, mine, sd, strict=True):
        if own > 0 and trained > 0 and not 1 / LARGEST_RATIO < own / trained < LARGEST_RATIO:
            times = own / trained if own > trained else trained / own
            unlike.append(f"{name} ({times:.2g} times {'more' if own > trained else 'less'})")
    message = (
        f"signals vary far more or less than in training: {shortened(unlike)}: is their unit that of the training?"
    )
    return [message] if unlike else []

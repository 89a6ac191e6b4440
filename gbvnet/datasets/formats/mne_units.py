"""The units of a file's channels, and the factors that MNE has applied to them.

MNE converts the spellings of voltage that it knows to volts and leaves all else unchanged, without a message: `mV`
becomes volts, `uv` or `kOhm` does not. The factors differ between formats and are read here from the file itself.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..units import ELECTRICAL, Conversion, convert

CODES = {107: "V", 109: "ohm", 110: "S", 114: "C", 5: "K"}  # unit codes of FIF and MNE -> name of the unit
# The factors of MNE's BrainVision reader; it leaves other units unchanged.
BRAINVISION = {"V": 1.0, "mV": 1e-3, "µV": 1e-6, "uV": 1e-6, "nV": 1e-9, "µS": 1e-6, "uS": 1e-6}
_GDF_BASES = {4256: "V", 4288: "Ohm", 6048: "C"}  # codes of GDF 2; the last five bits are the prefix
_GDF_PREFIXES = {0: "", 3: "k", 4: "M", 18: "m", 19: "u", 20: "n", 21: "p"}


class MneUnit(NamedTuple):
    """The unit of a channel in the file and in MNE.

    text : the unit in the file; empty if it names none
    applied : the factor that MNE has applied to the file's values
    default : the format's unit of electrical channels, used if the file names none
    """

    text: str
    applied: float = 1.0
    default: str = ""


def mne_units(raw: Any) -> list[MneUnit]:
    """Return the unit of each channel of an `mne.io.Raw`, in its order."""
    extras = raw._raw_extras[0] if raw._raw_extras else {}
    extras = extras if isinstance(extras, dict) else {}
    files = [Path(f) for f in raw.filenames if f]
    suffix = files[0].suffix.lower() if files else ""
    if "sel" in extras and "units" in extras and len(extras["units"]) == len(raw.ch_names):
        texts = _gdf_texts(files[0]) if suffix == ".gdf" else _edf_texts(files[0])
        texts = [texts[k] if k < len(texts) else "" for k in map(int, extras["sel"])]
        return [MneUnit(text, float(factor)) for text, factor in zip(texts, extras["units"], strict=True)]
    kind = type(raw).__name__
    if kind.startswith("RawBrainVision"):
        header = _vhdr_texts(Path(raw._init_kwargs.get("vhdr_fname", "")))
        return [
            _unit_of_brainvision(header.get(name, raw._orig_units.get(name, "")), name in header)
            for name in raw.ch_names
        ]
    if kind == "RawEEGLAB":  # the format names no unit; by convention electrodes are in microvolts
        return [MneUnit("", 1e-6, "uV") for _ in raw.ch_names]
    return [_unit_of_mne(ch, raw._orig_units.get(ch["ch_name"], "")) for ch in raw.info["chs"]]


def conversions(raw: Any, at: Sequence[int], kinds: Sequence[str | None]) -> tuple[list[Conversion], list[float]]:
    """Return the conversions of the channels `at` to gbvnet's units and MNE's factors (`units.apply`)."""
    of_all = mne_units(raw)
    selected = [of_all[place] for place in at]
    voltages_only = type(raw).__name__.startswith("RawBrainVision")  # the format's default unit is a voltage
    converted = [
        convert(kind, one.text, one.default if kind in ELECTRICAL or not voltages_only else "")
        for kind, one in zip(kinds, selected, strict=True)
    ]
    return converted, [one.applied for one in selected]


def _edf_texts(path: Path) -> list[str]:
    """Return the physical dimensions of all signals in the header of an EDF or BDF."""
    with path.open("rb") as file:
        head = file.read(256)
        n = int(head[252:256])
        file.seek(256 + n * (16 + 80))
        return [_decode_cell(file.read(8)) for _ in range(n)]


def _gdf_texts(path: Path) -> list[str]:
    """Return the units of all signals in a GDF: text in version 1, codes in version 2."""
    with path.open("rb") as file:
        head = file.read(256)
        version = float(head[4:8])
        n = int.from_bytes(head[252:256], "little")
        if version < 1.9:
            file.seek(256 + n * (16 + 80))
            return [_decode_cell(file.read(8)) for _ in range(n)]
        n = int.from_bytes(head[252:254], "little")
        file.seek(256 + n * (16 + 80 + 6))
        codes = [int.from_bytes(file.read(2), "little") for _ in range(n)]
    return [_GDF_PREFIXES.get(code & 31, "?") + base if (base := _GDF_BASES.get(code & ~31)) else "" for code in codes]


def _vhdr_texts(path: Path) -> dict[str, str]:
    """Return channel name -> unit as spelled in a BrainVision header; empty for channels without one."""
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    text = data.decode("utf-8") if b"UTF-8" in data.upper() and _is_utf8(data) else data.decode("latin-1")
    lines = re.findall(r"^Ch\d+=([^\r\n]*)", text.partition("[Channel Infos]")[2].partition("\n[")[0], re.MULTILINE)
    cells = [line.split(",") for line in lines]
    return {c[0].replace(r"\1", ","): c[3].strip() if len(c) > 3 else "" for c in cells}


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unit_of_brainvision(text: str, in_header: bool) -> MneUnit:
    """Return the unit of a channel; without one the format means microvolts, as MNE assumes."""
    if not text and in_header:
        return MneUnit("", 1e-6, "uV")
    return MneUnit(text, BRAINVISION.get(text.replace("Â", ""), 1.0))


def _unit_of_mne(channel: dict, text: str) -> MneUnit:
    """Return the unit of a channel in other formats: voltages are in volts, other units are known by MNE's code."""
    code = CODES.get(int(channel["unit"]), "")
    known = convert(None, text).unit
    factor = 10.0 ** -int(channel.get("unit_mul", 0))
    if known and known != "uV":
        return MneUnit(text, factor)
    return MneUnit(code, factor, "" if code else "V")  # without a unit, MNE assumes volts


def _decode_cell(cell: bytes) -> str:
    """Decode as UTF-8 or, where that fails, as Latin-1, which often encodes the `µ` of an EDF."""
    try:
        return cell.decode("utf-8").strip("\0 ")
    except UnicodeDecodeError:
        return cell.decode("latin-1").strip("\0 ")


def header_labels(path: Path) -> list[str]:
    """Return the labels in the header of an EDF or BDF, duplicates included; none of other files."""
    if path.suffix.lower() not in (".edf", ".bdf"):
        return []
    with path.open("rb") as file:
        n = int(file.read(256)[252:256])
        return [_decode_cell(file.read(16)) for _ in range(n)]

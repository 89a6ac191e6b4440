"""Which channels of a signal file are used where nobody names them: those whose kind the file tells, and no other.

A name tells (`Fp1`, `EDA`, `ECG_II`), or MNE's type of a channel, or that it is one of a cap's numbered electrodes (A1
to A32 of a BioSemi). A column of answers, labels or times is never one.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ..text import shortened
from .channel_names import canonical_name, channel_kind, numbered_electrodes, same_channels
from .formats.device_files import open_device
from .formats.mne_units import header_labels
from .formats.signal_file import channel_names_in, channel_types_in
from .formats.signal_text import column_names, is_text, time_columns

# MNE's types that somebody must have set; `eeg` is its default for all that it does not know.
_TYPES = {"eog": "eog", "ecg": "ecg", "emg": "emg", "gsr": "gsr", "resp": "resp", "temperature": "temp"}
_NEVER = ("stim", "ref_meg", "exci", "ias", "syst", "dipole", "gof", "chpi")


class Known(NamedTuple):
    """A file's channels: the kind of those that are used, by name; those that are not; and why."""

    kinds: dict[str, str]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]


def known_channels(path: Path) -> Known:
    """What a file tells of its channels. Raises BadRecording if it cannot be opened."""
    names = channel_names_in(path)
    twice = _twice(path, names)
    cap: list[str] = []
    if (device := open_device(path)) is not None:
        kinds = dict(zip(names, device.kinds, strict=True))
    elif is_text(path):
        names = [name for name in names if name not in time_columns(names)]
        cap = numbered_electrodes(names)  # columns A1 to A32 may be answers as well: somebody must name them
        kinds = {name: None if name in cap else channel_kind(name) for name in names}
    else:
        types = dict(zip(names, channel_types_in(path), strict=True))
        cap = [name for name in numbered_electrodes(names) if types[name] in ("eeg", "misc")]
        kinds = {name: "eeg" if name in cap else _kind(name, types[name]) for name in names}
    known = {name: kind for name, kind in kinds.items() if kind and name not in twice}
    spellings = same_channels(list(known))
    unsure = {name for same in spellings for name in same}
    used = {name: kind for name, kind in known.items() if name not in unsure}
    unknown = tuple(name for name in names if name not in used)
    notes = [f"{path.name} has {' and '.join(same)}, which are one channel: none of them is used" for same in spellings]
    others = [name for name in unknown if name not in known]
    return Known(used, unknown, (*notes, *_notes(path, used, others, twice, cap if is_text(path) else [])))


def _kind(name: str, type_: str) -> str | None:
    return None if type_ in _NEVER else _TYPES.get(type_) or channel_kind(name)


def _twice(path: Path, names: list[str]) -> dict[str, str]:
    """Channels that share their name with another one: how they are called apart here -> the name."""
    device = open_device(path)
    labels = device.labels if device else column_names(path) if is_text(path) else header_labels(path)
    counts = Counter(labels)
    ending = "." if device or is_text(path) else "-"
    return {
        name: before
        for name in names
        for before in [name.rpartition(ending)[0] if counts.get(name, 0) < 2 else name]
        if counts.get(before, 0) > 1 and (name == before or name.rpartition(ending)[2].isdigit())
    }


def _notes(path: Path, used: dict[str, str], unknown: list[str], twice: dict[str, str], cap: list[str]) -> list[str]:
    notes = []
    for name in dict.fromkeys(twice.values()):
        if channel_kind(name):
            same = [spelt for spelt, of in twice.items() if of == name]
            notes.append(f"{path.name} has {len(same)} channels called {name}: none of them is used")
    others = [name for name in unknown if name not in twice and canonical_name(name)]
    if others:
        what = f"{len(used)} of {len(used) + len(others)} channels are known by name"
        listed = shortened(others, 6)
        numbers = " (columns A1, A2, ... may be answers as well as electrodes)" if cap else ""
        notes.append(
            f"{what} in {path.name} and used; not used: {listed}{numbers}. Name them under `channels` in table.yaml"
        )
    return notes

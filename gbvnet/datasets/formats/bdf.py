"""BDF, the 24-bit format of BioSemi's amplifiers: opened without a warning or a guess, its channels found by name.

Read through MNE. What goes wrong is a BadRecording with the file's name, whatever MNE raised.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BadRecording
from ..channel_names import match_channels
from ..recording import Channel
from ..units import Conversion, apply, impossible, messages
from .mne_units import conversions

REFETCH = "Fetch it again."
STATUS = "Status"  # the channel of triggers, in its low byte
STUCK_SAMPLES = 8  # samples in which an electrode stays at its extreme value: 24 bits never do so by chance


def open_bdf(path: Path) -> Any:
    """An `mne.io.Raw` whose samples are not read yet. Raises BadRecording."""
    import mne

    if not path.is_file() or path.stat().st_size < 256:
        found = f"{path.stat().st_size} bytes" if path.is_file() else "no such file"
        raise BadRecording(path, "a BDF", found, REFETCH)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of dates before 1985 and filters that its header does not name
            raw = mne.io.read_raw_bdf(path, preload=False, verbose="ERROR")
    except Exception as e:  # a damaged header can raise anything at all, and is then simply a damaged header
        raise BadRecording(path, "a BDF", f"a file that cannot be read ({type(e).__name__}: {e})", REFETCH) from None
    counts = set(map(int, raw._raw_extras[0]["n_samps"][raw._raw_extras[0]["sel"]]))
    if len(counts) > 1:  # MNE would bring the slower ones to the fastest rate, from wherever a slice begins
        found = f"{', '.join(map(str, sorted(counts)))} samples of them in a data record"
        raise BadRecording(path, "channels of one rate, as the corpus has them", found, REFETCH)
    return raw


def truncation_message(path: Path, raw: Any) -> str:
    """By how much a file ends before its header says, as of one that was not fetched whole; empty if it does not."""
    with path.open("rb") as file:
        head = file.read(256)
    try:
        promised_s = int(head[236:244]) * float(head[244:252])  # records, and how long each is
    except ValueError:
        return ""  # nothing is promised
    have_s = raw.n_times / raw.info["sfreq"]
    if have_s >= promised_s - 0.5:
        return ""
    return f"the file ends at {have_s:.0f} s, where its header promises {promised_s:.0f} s"


def channel_positions(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where channels are in a file, by name. Raises BadRecording that names those it lacks."""
    match = match_channels(wanted, names)
    if match.missing:
        found = f"none for {match.hint} among {', '.join(names)}"
        expected = f"{len(wanted)} channels by name" if len(wanted) > 1 else f"a channel {wanted[0]}"
        raise BadRecording(path, expected, found, "Channels are known by name alone.")
    return match.positions


def read_mne_samples(path: Path, raw: Any, at: list[int], first: int = 0, last: int | None = None) -> np.ndarray:
    """Samples `first` to `last` (all, if not given) of the channels at these places, as MNE gives them, (C, N)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return raw.get_data(picks=at, start=first, stop=last, verbose="ERROR")
    except Exception as e:  # as for the header
        raise BadRecording(path, "a BDF", f"samples that cannot be read ({type(e).__name__}: {e})", REFETCH) from None


def read_microvolts(
    path: Path,
    raw: Any,
    at: list[int],
    first: int = 0,
    last: int | None = None,
    kinds: Sequence[str] | None = None,
) -> np.ndarray:
    """The same in the units that are kept (gbvnet/datasets/units.py), (C, N).

    kinds : of the channels; without them voltages alone are brought to microvolts, and all else is as the file has it
    """
    samples = read_mne_samples(path, raw, at, first, last)
    made, applied = conversions(raw, at, kinds or [None] * len(at))
    if kinds is None:
        made = [one if one.unit == "uV" else Conversion("") for one in made]
    return apply(samples, made, applied)


def unit_notes(path: Path, channels: Sequence[Channel], samples: np.ndarray) -> list[str]:
    """What to know of the units of (C, N), by the file's header and by their values."""
    raw = open_bdf(path)
    names, kinds = [c.name for c in channels], [c.kind for c in channels]
    made, _ = conversions(raw, channel_positions(path, raw.ch_names, names), kinds)
    units = [one.unit for one in made]
    return messages(dict(zip(names, made, strict=True))) + impossible(kinds, names, samples, units)


def flat_and_clipped_channels(channels: Sequence[Channel], samples: np.ndarray) -> list[str]:
    """Findings on flat and clipped channels of (C, N)."""
    flat = [c.name for c, x in zip(channels, samples, strict=True) if np.ptp(x) == 0]
    clipped = []
    for channel, x in zip(channels, samples, strict=True):
        if channel.kind not in ("eeg", "ecg", "eog", "emg") or channel.name in flat:
            continue  # what changes slowly may stay at its extreme for a while
        stays = (x[1:] == x[:-1]) & ((x[1:] == x.max()) | (x[1:] == x.min()))
        if stays.sum() >= STUCK_SAMPLES:
            clipped.append(f"{channel.name} ({stays.mean():.1%})")
    findings = [f"flat channels: {', '.join(flat)}"] if flat else []
    return findings + ([f"clipped channels: {', '.join(clipped)}"] if clipped else [])

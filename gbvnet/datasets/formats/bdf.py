"""BDF, the 24-bit format of BioSemi's amplifiers; channels are found by name.

Read through MNE; any exception that MNE raises becomes a BadRecording with the file's name.
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
STUCK_SAMPLES = 8  # samples at an electrode's extreme value that mean clipping: 24 bits do not repeat by chance


def open_bdf(path: Path) -> Any:
    """Return an `mne.io.Raw` of the file, its samples not read yet. Raises BadRecording."""
    import mne

    if not path.is_file() or path.stat().st_size < 256:
        size = f"{path.stat().st_size} bytes" if path.is_file() else "no such file"
        raise BadRecording(path, "a BDF", size, REFETCH)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about dates before 1985 and filters without a name
            raw = mne.io.read_raw_bdf(path, preload=False, verbose="ERROR")
    except Exception as e:  # a damaged header can cause any exception
        raise BadRecording(path, "a BDF", f"a file that cannot be read ({type(e).__name__}: {e})", REFETCH) from None
    counts = set(map(int, raw._raw_extras[0]["n_samps"][raw._raw_extras[0]["sel"]]))
    if len(counts) > 1:  # MNE would resample the slower ones, with errors at the edges of each slice
        rates = f"{', '.join(map(str, sorted(counts)))} samples of them in a data record"
        raise BadRecording(path, "channels of one rate, as the corpus has them", rates, REFETCH)
    return raw


def truncation_message(path: Path, raw: Any) -> str:
    """Return a message if a file is shorter than its header says, as after a partial download; else an empty text."""
    with path.open("rb") as file:
        head = file.read(256)
    try:
        header_s = int(head[236:244]) * float(head[244:252])  # records, and how long each is
    except ValueError:
        return ""  # the header does not say
    actual_s = raw.n_times / raw.info["sfreq"]
    if actual_s >= header_s - 0.5:
        return ""
    return f"the file ends at {actual_s:.0f} s, its header says {header_s:.0f} s"


def channel_positions(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Return the positions of channels in a file, by name. Raises BadRecording with the missing names."""
    match = match_channels(wanted, names)
    if match.missing:
        missing = f"none for {match.hint} among {', '.join(names)}"
        expected = f"{len(wanted)} channels by name" if len(wanted) > 1 else f"a channel {wanted[0]}"
        raise BadRecording(path, expected, missing, "Channels are identified by name only.")
    return match.positions


def read_mne_samples(path: Path, raw: Any, at: list[int], first: int = 0, last: int | None = None) -> np.ndarray:
    """Return samples `first` to `last` (default: all) of the channels `at`, in MNE's units, (C, N)."""
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
    """Return samples `first` to `last` of the channels `at` in gbvnet's units (gbvnet/datasets/units.py), (C, N).

    kinds : of the channels; without them only voltages are converted, to microvolts
    """
    samples = read_mne_samples(path, raw, at, first, last)
    made, applied = conversions(raw, at, kinds or [None] * len(at))
    if kinds is None:
        made = [one if one.unit == "uV" else Conversion("") for one in made]
    return apply(samples, made, applied)


def unit_notes(path: Path, channels: Sequence[Channel], samples: np.ndarray) -> list[str]:
    """Return messages about the units of samples (C, N), from the file's header and from their values."""
    raw = open_bdf(path)
    names, kinds = [c.name for c in channels], [c.kind for c in channels]
    made, _ = conversions(raw, channel_positions(path, raw.ch_names, names), kinds)
    units = [one.unit for one in made]
    return messages(dict(zip(names, made, strict=True))) + impossible(kinds, names, samples, units)


def flat_and_clipped_channels(channels: Sequence[Channel], samples: np.ndarray) -> list[str]:
    """Return messages about flat and clipped channels of samples (C, N)."""
    flat = [c.name for c, x in zip(channels, samples, strict=True) if np.ptp(x) == 0]
    clipped = []
    for channel, x in zip(channels, samples, strict=True):
        if channel.kind not in ("eeg", "ecg", "eog", "emg") or channel.name in flat:
            continue  # slow signals may stay at their extreme for a while
        stays = (x[1:] == x[:-1]) & ((x[1:] == x.max()) | (x[1:] == x.min()))
        if stays.sum() >= STUCK_SAMPLES:
            clipped.append(f"{channel.name} ({stays.mean():.1%})")
    messages_ = [f"flat channels: {', '.join(flat)}"] if flat else []
    return messages_ + ([f"clipped channels: {', '.join(clipped)}"] if clipped else [])

"""DEAP, its original recordings (data_original).

Another source of signals for the same trials: ROOT/data_original/s01.bdf ... s32.bdf. Each BDF holds one participant's
40 trials at 512 Hz, in the order of presentation, with baseline and rating periods between them. The 40 channels of the
preprocessed release are computed from it, with the same names in the same order, so that two stores can be compared:

    EEG              by name (Twente, participants 1 to 22, recorded another order than Geneva, 23 to 32), re-referenced
                     to the mean of the 32; it is not filtered yet, so `prepare` filters it as it does any raw EEG
    hEOG ... tEMG    EXG1 - EXG2, EXG3 - EXG4, EXG5 - EXG6, EXG7 - EXG8
    GSR              ohm for everybody, as in the release; Twente recorded nanosiemens
    the others       Resp, Plet and Temp as they are stored

What differs from the release: no EOG was removed from the EEG, all else was filtered here and not there, and a trial is
cut at its trigger. Status codes, bipolar channels and units are those of DEAP's description
(https://www.eecs.qmul.ac.uk/mmv/datasets/deap/readme.html), the oddities of the Status channel those that
github.com/gzoumpourlis/DEAP_MNE_preprocessing met.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from typing_extensions import override

from ..errors import BadRecording
from . import deap
from .channel_names import find_channel, similar_names_hint
from .deap import BASELINE_S, EEG, RATINGS_FILE
from .formats.bdf import (
    STATUS,
    channel_positions,
    flat_and_clipped_channels,
    open_bdf,
    read_microvolts,
    truncation_message,
)
from .recording import Channel, Recording, Signals

RATE_HZ = 512
START, END = 4, 5  # in Status' low byte: a music video starts; the fixation cross after it
FIRST_OF_GENEVA = 23
BIPOLAR = {"hEOG": ("EXG1", "EXG2"), "vEOG": ("EXG3", "EXG4"), "zEMG": ("EXG5", "EXG6"), "tEMG": ("EXG7", "EXG8")}
SENSORS = {"GSR": "GSR1", "Respiration": "Resp", "Plethysmograph": "Plet", "Temperature": "Temp"}
CHANNELS = tuple(replace(channel, filtered=False) for channel in deap.CHANNELS)
_KIND = {channel.name: channel.kind for channel in CHANNELS}
RECORDED = (  # the channels of a BDF that are used
    *CHANNELS[: len(EEG)],
    *(Channel(lead, _KIND[name]) for name, leads in BIPOLAR.items() for lead in leads),
    *(Channel(sensor, _KIND[name]) for name, sensor in SENSORS.items()),
)
# What is read and filtered on either side of a trial: filtering the whole hour gives the same to 1e-9 of a standard
# deviation, and needs a gigabyte for each process.
MARGIN_S = 30
LENGTH_SLACK_S = 1.0
REPEAT_S = 1.0  # the same code again sooner than this is the same trigger, written twice
GAP_SLACK_S = 1.0
# The skin's conductance is some microsiemens. Below the first number (100 megohm) no electrode touches it.
LEAST_NANOSIEMENS, PLAUSIBLE_OHM = 10, (1e4, 2e7)
# Of these the release holds what was recorded, only slower; the EEG it has cleaned, and GSR and the others hardly move.
COMPARED = ("hEOG", "vEOG", "zEMG", "tEMG", "Plethysmograph")
LEAST_LIKENESS = 0.5


# ---------------------------------------------------------------- where the trials lie


@dataclass(frozen=True)
class Presented:
    """One trial of a recording: the sample at which its video starts, its error and its warnings."""

    start: int
    error: str | None = None
    warnings: tuple[str, ...] = ()


def read_trials(path: Path, n_trials: int = deap.N_TRIALS, seconds: int = deap.TRIAL_S) -> list[Presented]:
    """Find the trials of a BDF by its triggers, in the order of presentation.

    Starts alone count the trials; ends check them. Raises BadRecording if the file cannot be read, has another rate or
    no Status channel, or has more or fewer starts than trials, since the trials cannot be identified then.
    """
    raw = open_bdf(path)
    rate_hz = float(raw.info["sfreq"])
    if rate_hz != RATE_HZ:
        remedy = "Is it DEAP's original recording? Resampled files have triggers that are no longer exact."
        raise BadRecording(path, f"{RATE_HZ} samples a second", f"{rate_hz:g}", remedy)
    low = _triggers(path, raw)
    codes, twice = _codes(low)
    starts = [sample for sample, code in codes if code == START]
    nexts = [*starts[1:], len(low)][: len(starts)]
    ends = [[e for e, code in codes if code == END and s < e < n] for s, n in zip(starts, nexts, strict=True)]
    if len(starts) != n_trials:
        pairs = zip(starts, ends, strict=True)
        odd = [s for s, e in pairs if not e or abs(_seconds_between(s, e[0]) - seconds) > LENGTH_SLACK_S]
        at = ", ".join(f"{s / RATE_HZ:.1f} s" for s in odd[:8])
        actual = f"{len(starts)}" + (
            f", of which those at {at} are not followed by an end after {seconds} s" * bool(odd)
        )
        short = truncation_message(path, raw)
        actual += f"; {short}" * bool(short)
        remedy = "The trials cannot be identified; the preprocessed release may have this participant."
        raise BadRecording(path, f"{n_trials} starts of a video (code {START} on Status)", actual, remedy)
    early = sum(code == END and sample < starts[0] for sample, code in codes)
    trials = []
    for k, (start, mine) in enumerate(zip(starts, ends, strict=True)):
        warnings = [f"code {code} twice within {REPEAT_S:g} s: the first is taken" for s, code in twice if s == start]
        warnings += [f"{early} ends before its start"] if early and k == 0 else []
        if mine:
            warnings += [f"code {END} twice within {REPEAT_S:g} s" for s, _ in twice if s in mine]
            warnings += [f"{len(mine)} ends after its start; the first is taken"] if len(mine) > 1 else []
        else:
            warnings.append(f"no end (code {END}) after its start; its length is not checked")
        since = _seconds_between(ends[k - 1][0] if ends[k - 1] else starts[k - 1], start) if k else start / RATE_HZ
        if k and since < BASELINE_S:
            warnings.append(f"the video before it ends {since:.1f} s before its start, within the baseline")
        trials.append(_check_trial(path, start, mine[0] if mine else None, len(low), seconds, tuple(warnings)))
    return trials


def _check_trial(path: Path, start: int, end: int | None, n: int, seconds: int, warnings: tuple[str, ...]) -> Presented:
    """Return a trial with the errors and warnings on its length and on the signals before it."""
    at = f"the video that starts at {start / RATE_HZ:.1f} s"
    wrong = None
    if start < BASELINE_S * RATE_HZ:
        actual = f"{start / RATE_HZ:.1f} s"
        wrong = BadRecording(path, f"{BASELINE_S} s of signals before {at}", actual)
    elif _seconds_between(start, n) < seconds - LENGTH_SLACK_S:
        actual = f"{_seconds_between(start, n):.1f} s until the file ends"
        wrong = BadRecording(path, f"{seconds} s of {at}", actual, "Fetch it again.")
    elif end is not None and _seconds_between(start, end) < seconds - LENGTH_SLACK_S:
        wrong = BadRecording(
            path, f"{seconds} s of {at}", f"an end (code {END}) after {_seconds_between(start, end):.1f} s"
        )
    elif end is not None and _seconds_between(start, end) > seconds + LENGTH_SLACK_S:
        warnings = (
            *warnings,
            f"its end comes after {_seconds_between(start, end):.1f} s; the first {seconds} s are taken",
        )
    return Presented(start, str(wrong) if wrong else None, warnings)


def _seconds_between(first: int, last: int) -> float:
    """Seconds between two samples."""
    return (last - first) / RATE_HZ


def _triggers(path: Path, raw: Any) -> np.ndarray:
    """The low byte of the Status channel, (N,): triggers, whatever the amplifier puts into the bits above.

    Participants 24 to 32 have it without a name, and 29 to 32 have two such channels, with the codes on the first; MNE
    calls these -0 and -1.
    """
    names = raw.ch_names
    named = find_channel(STATUS, names)
    candidates = [i for i, name in enumerate(names) if not name.strip("-0123456789 ")] if named is None else [named]
    if not candidates:
        actual = f"none among {', '.join(names)}{similar_names_hint(STATUS, names)}"
        raise BadRecording(path, "a channel Status, or the unnamed one that some participants have instead", actual)
    low = np.rint(read_microvolts(path, raw, candidates)).astype(np.int64) & 0xFF
    starting = [x for x in low if (x == START).any()]
    return (starting or list(low))[0]


def _codes(low: np.ndarray) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(sample, code) of all starts and ends, and those among them that were written twice.

    A code counts where it begins, whether it then lasts for a moment or until the next one.
    """
    begins = np.flatnonzero(low[1:] != low[:-1]) + 1
    codes: list[tuple[int, int]] = []
    twice = []
    for sample in begins[np.isin(low[begins], (START, END))].tolist():
        code = int(low[sample])
        if codes and codes[-1][1] == code and _seconds_between(codes[-1][0], sample) < REPEAT_S:
            twice.append(codes[-1])
        else:
            codes.append((sample, code))
    return codes, twice


def compare_trial_times(path: Path, starts: list[int], start_times: np.ndarray) -> dict[int, str]:
    """Compare the times between starts with those in the ratings table.

    starts : samples, in the order of presentation
    start_times : Start_time of the same trials; its unit does not matter
    Returns a warning for each trial (counted from 0) whose time after the trial before differs from the table, as after
    a break in the recording. Raises BadRecording if more than a quarter differ: these are other trials.
    """
    gaps, wanted = np.diff(starts) / RATE_HZ, np.diff(start_times)
    if len(gaps) < 2 or not np.isfinite(wanted).all() or np.median(wanted) <= 0:
        return {}  # nothing to compare with
    wanted = wanted / np.median(wanted / gaps)
    off = np.flatnonzero(np.abs(gaps - wanted) > GAP_SLACK_S)
    warnings = {
        int(k) + 1: f"{gaps[k]:.1f} s after the trial before; by Start_time it is {wanted[k]:.1f} s" for k in off
    }
    if len(off) > len(gaps) / 4:
        k, first = next(iter(warnings.items()))
        raise BadRecording(
            path,
            f"starts at the times of Start_time in {RATINGS_FILE}",
            f"{len(off)} of {len(gaps)} distances that differ, first of trial {k + 1}: {first}",
            "Is it another participant's recording? Only this uses Start_time: delete the column if it is wrong.",
        )
    return {k: f"starts {text}" for k, text in warnings.items()}


# ---------------------------------------------------------------- the samples


def read_recorded(path: Path, first: int = 0, last: int | None = None) -> np.ndarray:
    """Samples of a BDF as they were recorded, (44, N) in the order of RECORDED; electrodes in microvolts."""
    raw = open_bdf(path)
    return read_microvolts(
        path, raw, channel_positions(path, raw.ch_names, [channel.name for channel in RECORDED]), first, last
    )


@lru_cache(maxsize=1)
def _cached(path: Path, first: int, last: int, size: int, changed_ns: int) -> np.ndarray:
    return read_recorded(path, first, last)


def as_released(recorded: np.ndarray, geneva: bool) -> np.ndarray:
    """The 40 channels of the release out of the 44 that are recorded, (44, N) -> (40, N); not filtered."""
    row = {channel.name: x for channel, x in zip(RECORDED, recorded, strict=True)}
    eeg = recorded[: len(EEG)]
    gsr = row["GSR1"] if geneva else ohm(row["GSR1"])
    bipolar = [row[plus] - row[minus] for plus, minus in BIPOLAR.values()]
    return np.stack([*(eeg - eeg.mean(axis=0)), *bipolar, gsr, row["Resp"], row["Plet"], row["Temp"]])


def ohm(nanosiemens: np.ndarray) -> np.ndarray:
    """Resistance of the skin from its conductance, bridged where no electrode touches it; 0 if none ever does."""
    touches = nanosiemens >= LEAST_NANOSIEMENS
    if not touches.any():
        return np.zeros_like(nanosiemens)
    at = np.arange(len(nanosiemens))
    return np.interp(at, at[touches], 1e9 / nanosiemens[touches])


def _skin(recorded: np.ndarray, released: np.ndarray, geneva: bool) -> list[str]:
    """Return warnings on skin resistance."""
    conductance = recorded[[channel.name for channel in RECORDED].index("GSR1")]
    resistance = np.median(released[[channel.name for channel in CHANNELS].index("GSR")])
    loose = 0.0 if geneva else float(np.mean(conductance < LEAST_NANOSIEMENS))
    warnings = [f"GSR: no contact in {loose:.1%} of the samples; bridged"] if loose else []
    if not PLAUSIBLE_OHM[0] <= resistance <= PLAUSIBLE_OHM[1] and loose < 1:
        warnings.append(f"GSR: the skin's resistance is {resistance:.3g} ohm, which is not plausible: another unit?")
    return warnings


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """How alike the swings of two sets of channels at 128 Hz are, (K, N) each: the median of their correlations without
    sign, at the best shift of up to 4 samples. 1 for one trial read twice; hardly above 0 for two trials."""
    n = min(one.shape[1], other.shape[1])
    swings = [x[:, 16:n] - x[:, : n - 16] for x in (one, other)]  # over an eighth of a second: no drift counts
    best = 0.0
    for shift in range(-4, 5):
        a, b = (x[:, max(0, s) : x.shape[1] + min(0, s)] for x, s in zip(swings, (shift, -shift), strict=True))
        a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
        scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
        r = np.abs((a * b).sum(axis=1)) / np.where(scale > 0, scale, np.inf)
        best = max(best, float(np.median(r)))
    return best


# ---------------------------------------------------------------- the corpus


@dataclass(frozen=True)
class Reader(deap.Reader):
    """DEAP with its signals from the original recordings. Opened by `open_corpus("deap", root, raw=True)`."""

    source = "raw"
    folder, suffix = "data_original", ".bdf"
    channels = CHANNELS

    @override
    def _trial_check(self, unit: str, rated: pd.DataFrame) -> Callable[[Recording], Recording]:
        path = self.signal_file(unit)
        rated = rated.sort_values("Trial")
        unmatched = sorted(set(range(1, self.n_trials + 1)).symmetric_difference(rated["Trial"]))
        if unmatched:
            actual = f"{len(rated)} rows; not in both are {', '.join(map(str, unmatched))}"
            raise BadRecording(path, f"trials 1 to {self.n_trials} of this participant in {RATINGS_FILE}", actual)
        trials = read_trials(path, self.n_trials, self.seconds)
        read_recorded(path, 0, 1)  # now, rather than for each trial, what channels are missing
        start_times = np.zeros(len(rated))
        if "Start_time" in rated:
            start_times = pd.to_numeric(rated["Start_time"].astype(str), errors="coerce").to_numpy(float)
        off = compare_trial_times(path, [trial.start for trial in trials], start_times)

        def checked(recording: Recording) -> Recording:
            k = int(recording.trial) - 1
            warnings = trials[k].warnings + ((off[k],) if k in off else ())
            return replace(recording, row=trials[k].start, error=trials[k].error, warnings=warnings)

        return checked

    @override
    def inspect(self, recording: Recording) -> Recording:
        """Return the recording with its video's properties and warnings on its samples. Raises BadRecording."""
        recording = super().inspect(recording)
        recorded, onset = self._around(recording)
        released = as_released(recorded, _in_geneva(recording))
        warnings = [
            *recording.warnings,
            *flat_and_clipped_channels(RECORDED, recorded),
            *_skin(recorded, released, _in_geneva(recording)),
        ]
        return replace(recording, warnings=(*warnings, *self._unlike_the_release(recording, released, onset)))

    @override
    def signals(self, recording: Recording) -> Signals:
        """(40, N) at 512 Hz: the trial, and up to 33 s before and 30 s after it."""
        recorded, onset = self._around(recording)
        return Signals(as_released(recorded, _in_geneva(recording)), RATE_HZ, onset, CHANNELS)

    def _around(self, recording: Recording) -> tuple[np.ndarray, int]:
        """What was recorded around a trial, (44, N), and the sample of it at which the video starts."""
        path, start = self.signal_file(recording.subject), recording.row
        # A multiple of what is left out in resampling, so that the start falls on a sample of the store.
        every = RATE_HZ // deap.RATE_HZ
        onset = min(start // every, (BASELINE_S + MARGIN_S) * deap.RATE_HZ) * every
        try:
            stat = path.stat()
        except OSError as e:
            raise BadRecording(path, "a BDF", e.strerror) from None
        last = start + (self.seconds + MARGIN_S) * RATE_HZ
        return _cached(path, start - onset, last, stat.st_size, stat.st_mtime_ns), onset

    def _unlike_the_release(self, recording: Recording, released: np.ndarray, onset: int) -> list[str]:
        """Return a warning if the preprocessed release is there too and has other signals in this trial."""
        if not (self.root / deap.Reader.folder / f"{recording.subject}{deap.Reader.suffix}").is_file():
            return []
        try:
            theirs = self.release(recording.subject)[0][int(recording.stimulus) - 1]
        except BadRecording:
            return []  # `gbvnet check deap` without --raw reports it
        rows = [[channel.name for channel in CHANNELS].index(name) for name in COMPARED]
        every = RATE_HZ // deap.RATE_HZ
        own = released[rows, onset - BASELINE_S * RATE_HZ :]
        own = own[:, : own.shape[1] // every * every].reshape(len(rows), -1, every).mean(axis=2)
        like = likeness(own, theirs[rows])
        if like >= LEAST_LIKENESS:
            return []
        return [
            f"the preprocessed release has other signals for this trial (likeness {like:.2f}): is the order another?"
        ]


def _in_geneva(recording: Recording) -> bool:
    return int(recording.subject[1:]) >= FIRST_OF_GENEVA

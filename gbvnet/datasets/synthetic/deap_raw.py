"""A synthetic DEAP's original recordings: what its .dat files hold, as the amplifier would have recorded it.

One BDF per participant at 512 Hz: trials in the order of presentation with noise between them, electrodes with drifting
offsets, mains hum and a varying reference, the leads of EOG and EMG as separate channels, and triggers. Differences
between DEAP's two recording sites, and between participants, are as in the real files (see datasets/deap_raw.py).
"""

from collections.abc import Sequence

import numpy as np
from scipy.signal import resample_poly

from .. import deap
from ..deap import BASELINE_S, EEG
from ..deap_raw import BIPOLAR, END, FIRST_OF_GENEVA, RATE_HZ, SENSORS, START
from ..formats.bdf import STATUS
from .writer import BdfChannel, bdf_bytes

# The order of the amplifier's electrodes A1 to A32, in which Twente recorded.
TWENTE = (
    "Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 F4 F8 AF4 Fp2 Fz Cz"
).split()
UNNAMED_FROM, DOUBLE_STATUS_FROM = 24, 29  # first participants without a name of Status, and with a second such channel
# The amplifier's upper bits of Status: with a name; without one in the first moment (a bit marks an epoch's start),
# after it, and in some recordings from a later time on (a bit marks a low battery).
IDLE, FIRST_UNNAMED, IDLE_UNNAMED, IDLE_LOW = 1 << 20, 0x19FF00, 0x18FF00, 0x58FF00
BEFORE_S, AFTER_S = 5, 4  # recorded before the first trial's baseline and after the last video
PULSE_S = 0.1
RATING, FIXATION = 1, 3  # other codes: a rating screen, and the fixation cross before a video
MIN_MICROSIEMENS = 0.125  # 8 megohm, near what 24 bits of whole ohms can hold


def video_starts(start_times: Sequence[int]) -> np.ndarray:
    """Return the sample at which each video starts, from the ratings table's start times (0.1 ms) in their order."""
    seconds = BEFORE_S + BASELINE_S + (np.asarray(start_times) - start_times[0]) / 10_000
    return np.round(seconds * RATE_HZ).astype(int)


def bdf_recording(
    subject: int, start_times: Sequence[int], trials: Sequence[np.ndarray], rng: np.random.Generator
) -> bytes:
    """Return the BDF file of a participant.

    trials : (40, (3 + seconds) * 128) of the .dat each, in the order of presentation
    start_times : of the same trials, as in the ratings table
    """
    starts = video_starts(start_times)
    length = (trials[0].shape[1] // deap.RATE_HZ - BASELINE_S) * RATE_HZ
    n = -(-(starts[-1] + length + AFTER_S * RATE_HZ) // RATE_HZ) * RATE_HZ  # whole seconds
    x = _join_trials(trials, starts - BASELINE_S * RATE_HZ, n, rng)
    row = {channel.name: samples for channel, samples in zip(deap.CHANNELS, x, strict=True)}
    time_s = np.arange(n) / RATE_HZ
    reference = 20 * np.sin(2 * np.pi * 50 * time_s) + 15 * np.sin(2 * np.pi * 7.3 * time_s + rng.uniform(0, 6))

    def electrode(label: str, samples: np.ndarray) -> BdfChannel:
        offset, drift = rng.normal(0, [5000, 5])
        return BdfChannel(label, "uV", (-(2.0**18), 2.0**18), samples + reference + offset + drift * time_s)

    geneva = subject >= FIRST_OF_GENEVA
    traces = [electrode(name, row[name]) for name in (EEG if geneva else TWENTE)]
    for name, leads in BIPOLAR.items():
        traces += [electrode(lead, half * row[name]) for lead, half in zip(leads, (0.5, -0.5), strict=True)]
    siemens = np.maximum(row["GSR"], MIN_MICROSIEMENS)
    traces.append(
        BdfChannel(
            SENSORS["GSR"], "Ohm" if geneva else "nS", _INTEGER_LIMITS, 1e6 / siemens if geneva else 1e3 * siemens
        )
    )
    traces += [BdfChannel(unused, "uV", (-(2.0**18), 2.0**18), np.zeros(n)) for unused in ("GSR2", "Erg1", "Erg2")]
    traces += [
        BdfChannel(SENSORS[name], "uV", (-(2.0**14), 2.0**14), row[name]) for name in ("Respiration", "Plethysmograph")
    ]
    traces.append(BdfChannel(SENSORS["Temperature"], "Degree C", (-2048.0, 2048.0), row["Temperature"]))
    label = STATUS if subject < UNNAMED_FROM else ""
    status = _upper_bits(subject, n) + _trigger_codes(starts, length, n)
    traces.append(BdfChannel(label, "Boolean", _INTEGER_LIMITS, status.astype(float)))
    if subject >= DOUBLE_STATUS_FROM:  # the codes are on the first of the two
        traces.append(BdfChannel(label, "Boolean", _INTEGER_LIMITS, np.zeros(n)))
    return bdf_bytes(traces, RATE_HZ)


def _upper_bits(subject: int, n: int) -> np.ndarray:
    """Return the bits of Status above its low byte, (n,)."""
    if subject < UNNAMED_FROM:
        return np.full(n, IDLE)
    upper = np.full(n, IDLE_UNNAMED)
    upper[: round(PULSE_S * RATE_HZ)] = FIRST_UNNAMED
    if subject % 2:
        upper[n // 2 :] = IDLE_LOW
    return upper


_INTEGER_LIMITS = (-(2.0**23), 2.0**23 - 1)  # of a channel that holds whole numbers


def _join_trials(trials: Sequence[np.ndarray], begins: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return (40, n) at 512 Hz: the trials, straight lines between them, and noise on electrodes."""
    faster = [resample_poly(trial, RATE_HZ // deap.RATE_HZ, 1, axis=1, padtype="line") for trial in trials]
    ends = begins + faster[0].shape[1]
    knots = np.stack([begins, ends - 1], axis=1).ravel()
    levels = np.stack([x[:, [0, -1]] for x in faster], axis=1).reshape(len(deap.CHANNELS), -1)
    x = np.stack([np.interp(np.arange(n), knots, level) for level in levels])
    electric = len(EEG) + len(BIPOLAR)
    x[:electric] = 5 * rng.standard_normal((electric, n))
    for begin, end, trial in zip(begins, ends, faster, strict=True):
        x[:, begin:end] = trial
    return x


def _trigger_codes(starts: np.ndarray, length: int, n: int) -> np.ndarray:
    """Return the low byte of Status, (n,): pulses at fixation cross, start and end of the video, and rating screen."""
    low = np.zeros(n, int)
    for start in starts:
        for code, at in ((FIXATION, start - BASELINE_S * RATE_HZ), (START, start), (END, start + length)):
            low[at : at + round(PULSE_S * RATE_HZ)] = code
        low[start + length + RATE_HZ : start + length + RATE_HZ + 1] = RATING
    return low

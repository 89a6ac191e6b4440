"""Synthetic physiology: EEG and the peripheral channels of DEAP, with planted evidence and planted fingerprints.

Everything that a leaky protocol could recognise a trial by is spectral, a gain or a drift: a plain offset would vanish
with the baseline.

Shapes, here and in every comment below:
    C  EEG channels        N  samples        Q  frequencies of their spectrum
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..deap import BASELINE_S, CHANNELS, EEG, RATE_HZ

# Evidence, in log amplitude at a latent of 1 and effect 1. Tried so that a small network finds it with 96 trials.
ALPHA_ASYMMETRY = 1.4  # valence: alpha down on the left of the forehead, up on the right
ZYGOMATICUS = 0.9  # valence: the smiling muscle
FAST_EEG = 1.2  # arousal: beta and gamma
TRAPEZIUS = 0.9  # arousal: the shoulder
SKIN_PER_S = 0.6  # arousal: slope of skin conductance, microsiemens a second
BEATS_PER_MIN = 4.0  # arousal: heart rate

# Fingerprints at strength 1, log amplitude: those of a subject, and added ones of a trial.
SUBJECT_GAIN, TRIAL_GAIN = 0.3, 1.6
EVIDENCE_GAIN_SHARE = 0.3  # share of that gain in channels with evidence, so that fingerprints do not hide it
SUBJECT_ALPHA, TRIAL_ALPHA = 0.4, 0.5

_LEFT = ("Fp1", "AF3", "F3", "F7", "FC5", "FC1")
_RIGHT = ("Fp2", "AF4", "F4", "F8", "FC6", "FC2")


_EVIDENCE_CHANNELS = (*_LEFT, *_RIGHT, "zEMG", "tEMG", "GSR")


def _gain_shares(evident: Sequence[str]) -> np.ndarray:
    """Return the share of a fingerprint's gain in each channel, (40,)."""
    return np.where(np.isin([c.name for c in CHANNELS], evident), EVIDENCE_GAIN_SHARE, 1.0)


@dataclass(frozen=True)
class Physiology:
    """The physiology of a subject, or what a trial adds to it; all fields are deviations from the average."""

    gain: np.ndarray  # (40,), log amplitude of each channel
    alpha: np.ndarray  # (C,), log amplitude of the alpha rhythm
    alpha_hz: float
    slope: float  # exponent of the 1/f background
    heart_per_min: float
    breaths_per_min: float
    drift: np.ndarray  # (3,), a second: skin conductance, temperature, breathing depth

    @classmethod
    def of_subject(
        cls, strength: float, rng: np.random.Generator, evidence: Sequence[str] | None = None
    ) -> "Physiology":
        """Return the physiology of a random subject.

        strength : of all fingerprints; 0 makes all subjects equal
        evidence : as in `signals_of_trial`
        """
        return cls._draw(strength * SUBJECT_GAIN, strength * SUBJECT_ALPHA, strength, evidence, rng)

    @classmethod
    def of_trial(cls, strength: float, rng: np.random.Generator, evidence: Sequence[str] | None = None) -> "Physiology":
        """Return what a random trial adds to a subject; arguments as of `of_subject`."""
        return cls._draw(strength * TRIAL_GAIN, strength * TRIAL_ALPHA, strength, evidence, rng)

    @classmethod
    def _draw(
        cls, gain: float, alpha: float, strength: float, evidence: Sequence[str] | None, rng: np.random.Generator
    ) -> "Physiology":
        return cls(
            gain=gain * _gain_shares(evidence or _EVIDENCE_CHANNELS) * rng.standard_normal(len(CHANNELS)),
            alpha=alpha * rng.standard_normal(len(EEG)),
            alpha_hz=strength * rng.normal(0, 0.5),
            slope=strength * rng.normal(0, 0.2),
            heart_per_min=strength * rng.normal(0, 5),
            breaths_per_min=strength * rng.normal(0, 1.5),
            drift=strength * rng.normal(0, [0.15, 0.02, 0.02]),
        )

    def __add__(self, other: "Physiology") -> "Physiology":
        return Physiology(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def signals_of_trial(
    body: Physiology,
    valence: float,
    arousal: float,
    seconds: int,
    blinks_s: np.ndarray,
    rng: np.random.Generator,
    evidence: Sequence[str] | None = None,
) -> np.ndarray:
    """Return signals (40, (3 + seconds) * 128) in DEAP's order; the evidence starts with the stimulus, after 3 s.

    valence, arousal : evidence, -1 to 1 at effect 1; 0 for none
    blinks_s : times of the blinks after the onset of the stimulus, seconds
    evidence : names of the EEG channels that alone carry it; None for all that can
    """
    n = (BASELINE_S + seconds) * RATE_HZ
    time_s = np.arange(n) / RATE_HZ - BASELINE_S
    onset = np.clip(time_s / 0.5, 0, 1)  # full after half a second
    in_eeg = eeg(body, valence * onset, arousal * onset, rng, evidence)
    if evidence is not None:
        valence = arousal = 0.0  # no other channel carries evidence
    samples = np.concatenate(
        [
            in_eeg,
            eog(time_s, blinks_s, rng),
            muscle(ZYGOMATICUS * valence * onset, rng)[None],
            muscle(TRAPEZIUS * arousal * onset, rng)[None],
            skin_conductance(time_s, body.drift[0] + SKIN_PER_S * arousal * (time_s > 0), rng)[None],
            breathing(time_s, 15 + body.breaths_per_min, body.drift[2], rng)[None],
            pulse(time_s, 70 + body.heart_per_min + BEATS_PER_MIN * arousal * onset, rng)[None],
            temperature(time_s, body.drift[1], rng)[None],
        ]
    )
    return samples * np.exp(body.gain)[:, None]


def eeg(
    body: Physiology,
    valence: np.ndarray,
    arousal: np.ndarray,
    rng: np.random.Generator,
    evidence: Sequence[str] | None = None,
) -> np.ndarray:
    """Return EEG (C, N) in microvolts, 4 to 45 Hz as in the release: a 1/f background, alpha, beta and gamma.

    valence, arousal : (N,), evidence over time
    evidence : names of the channels that alone carry it, all by more alpha and more fast activity
    """
    n = len(valence)
    hz = np.fft.rfftfreq(n, 1 / RATE_HZ)
    background = np.zeros_like(hz)
    background[1:] = hz[1:] ** -(0.5 + body.slope)
    alpha = np.exp(-0.5 * ((hz - 10 - body.alpha_hz) / 1.0) ** 2)
    fast = _band(hz, 16, 40)
    place = positions()
    # Alpha is strongest at the back of the head, but the forehead has some, and that is where valence shows.
    alpha_uv = 3.5 + 3.0 / (1 + np.exp(place[:, 1] + 2))
    side = np.isin(EEG, _RIGHT).astype(float) - np.isin(EEG, _LEFT)
    quicker = np.ones(len(EEG))
    if evidence is not None:
        side = quicker = np.isin(EEG, evidence).astype(float)
    return (
        7 * coloured(background * _band(hz, 4, 45), n, rng)
        + (alpha_uv * np.exp(body.alpha))[:, None]
        * np.exp(ALPHA_ASYMMETRY * side[:, None] * valence)
        * coloured(alpha, n, rng)
        + 2.5 * np.exp(FAST_EEG * quicker[:, None] * arousal) * coloured(fast, n, rng)
    )


def coloured(amplitude: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(C, N) noise of SD about 1 with the spectrum `amplitude` (Q,), alike in neighbouring electrodes."""
    spectrum = np.fft.rfft(rng.standard_normal((len(EEG), n))) * amplitude  # (C, Q)
    noise = np.fft.irfft(spectrum, n)
    return _mixing() @ noise / np.sqrt(np.mean(amplitude**2))


def positions() -> np.ndarray:
    """(C, 2) right and forward of each electrode in steps of the 10-20 system, read off its name."""
    rows = {"Fp": 4, "AF": 3, "F": 2, "FC": 1, "C": 0, "T": 0, "CP": -1, "P": -2, "PO": -3, "O": -4}
    places = []
    for name in EEG:
        letters, number = name.rstrip("z0123456789"), name.lstrip("FpACTPO")
        across = 0 if number == "z" else (int(number) + 1) // 2
        places.append((-across if number != "z" and int(number) % 2 else across, rows[letters]))
    return np.array(places, float)


def _mixing() -> np.ndarray:
    """Return the (C, C) factor that correlates neighbouring channels (0.5 at about one step); variances stay 1."""
    place = positions()
    distance = np.linalg.norm(place[:, None] - place[None], axis=-1)
    return np.linalg.cholesky(np.exp(-distance / 1.5))


def eog(time_s: np.ndarray, blinks_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return horizontal and vertical EOG (2, N) in microvolts: gaze and saccades, and blinks in the vertical one."""
    jumps = rng.standard_normal((2, len(time_s))) * (rng.random((2, len(time_s))) < 1.0 / RATE_HZ) * 30
    gaze = np.zeros((2, len(time_s)))
    for i in range(1, len(time_s)):  # the amplifier's high-pass: a constant gaze decays
        gaze[:, i] = 0.985 * gaze[:, i - 1] + jumps[:, i]
    blinks = 120 * np.exp(-(((time_s[:, None] - blinks_s) / 0.07) ** 2)).sum(axis=1)
    return gaze + np.stack([0 * blinks, blinks]) + 4 * rng.standard_normal((2, len(time_s)))


def muscle(log_gain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return EMG (N,) in microvolts, 15 to 60 Hz (the rate is 128 Hz), multiplied by exp(log_gain)."""
    hz = np.fft.rfftfreq(len(log_gain), 1 / RATE_HZ)
    band = _band(hz, 15, 60)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(len(log_gain))) * band, len(log_gain))
    return 6 * np.exp(log_gain) * noise / np.sqrt(np.mean(band**2))


def skin_conductance(time_s: np.ndarray, slope_per_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return skin conductance (N,) in microsiemens: a level, a slope, and random responses."""
    level = 4 + np.cumsum(slope_per_s * np.ones_like(time_s)) / RATE_HZ
    at = time_s[0] + np.cumsum(rng.exponential(5, 20))
    since = np.clip(time_s[:, None] - at, 0, None)
    responses = 0.4 * rng.uniform(0.3, 1, 20) * (since / 0.8) * np.exp(1 - since / 0.8)
    return level + responses.sum(axis=1) + 0.005 * rng.standard_normal(len(time_s))


def breathing(time_s: np.ndarray, per_min: float, deeper: float, rng: np.random.Generator) -> np.ndarray:
    """Return respiration (N,) in the belt's units: breaths at a rate, with drifting depth."""
    phase = 2 * np.pi * (per_min / 60 * time_s + rng.random())
    depth = np.exp(deeper * time_s)
    return 20 * depth * (np.sin(phase) + 0.25 * np.sin(2 * phase + 0.5)) + 0.5 * rng.standard_normal(len(time_s))


def pulse(time_s: np.ndarray, per_min: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the pulse (N,) in the plethysmograph's units: a steep systolic and a smaller second wave in each beat."""
    wobble = 2 * np.sin(2 * np.pi * (0.1 * time_s + rng.random())) + 3 * np.sin(2 * np.pi * (0.25 * time_s))
    beat = np.mod(np.cumsum((per_min + wobble) / 60) / RATE_HZ + rng.random(), 1)
    wave = np.exp(-0.5 * ((beat - 0.25) / 0.09) ** 2) + 0.4 * np.exp(-0.5 * ((beat - 0.58) / 0.1) ** 2)
    return 30 * wave + 0.6 * rng.standard_normal(len(time_s))


def temperature(time_s: np.ndarray, per_s: float, rng: np.random.Generator) -> np.ndarray:
    """Return the skin's temperature (N,) in degrees Celsius, almost constant."""
    return 33 + per_s * time_s + 0.003 * rng.standard_normal(len(time_s))


def _band(hz: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return (Q,) 1 between two frequencies, with soft edges of 1 Hz."""
    return 1 / (1 + np.exp(-(hz - low) / 0.25)) / (1 + np.exp((hz - high) / 0.25))

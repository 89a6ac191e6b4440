"""A synthetic table of recordings, with labels of every kind and a known answer planted for each of them.

Signals alone: eight EEG channels and skin conductance, a CSV file a trial. Each label shows in channels of its own, as
the amplitude of a rhythm:

    valence, arousal         1 to 9: alpha of F3 and F4 in opposite directions; fast activity of C3, slope of EDA
    perceived_valence        valence as somebody else sees it: valence and noise
    emotion                  joy, calm, fear or sadness: high or low valence and arousal
    stress                   none, some or much: fast activity of C4
    engagement               0 to 100: alpha of Pz
    joystick                 -1 to 1, changes in time: alpha of Oz follows a curve, and the ratings do so `lag_s` later,
                             about 20 times a second with jitter, each holding until the next; in one trial of each
                             subject it was never moved

Each subject and trial also has gains of its own, most of all in T7 and T8, by which leaky protocols score.
"""

import csv
import io
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from ...config import SynthConfig, require
from ...progress import ProgressCallback
from ...provenance import SYNTHETIC
from ..label_columns import Label, LabelColumn
from ..table_schema import SETTINGS, TABLE, label_line
from .affect_curve import Curve, curve_at, draw_curve
from .writer import SyntheticCorpus, generator, make_stamp, shuffled_order, write_corpus

FORMAT = 1  # of what is planted
RATE_HZ, BASELINE_S, AFTER_S = 128, 3, 1  # of the signals; seconds of them before and after each stimulus
EEG = ("F3", "F4", "C3", "C4", "T7", "T8", "Pz", "Oz")
CLASSES = ("none", "some", "much")
EMOTIONS = {(True, True): "joy", (True, False): "calm", (False, True): "fear", (False, False): "sadness"}
LABELS = (
    LabelColumn("valence", (1.0, 9.0), label_set="self"),
    LabelColumn("arousal", (1.0, 9.0), label_set="self"),
    LabelColumn("emotion", classes=tuple(EMOTIONS.values())),
    LabelColumn("stress", classes=CLASSES),
    LabelColumn("engagement", (0.0, 100.0)),
    LabelColumn("joystick", (-1.0, 1.0), trace=True),
    LabelColumn("perceived_valence", (1.0, 9.0), label_set="perceived", of="valence"),
)
# Log amplitude at an evidence of 1 and effect 1, and slope of the skin conductance in microsiemens a second.
ALPHA, FAST, STRESS, SKIN_PER_S = 0.5, 0.35, 0.5, 0.03
# Fingerprints at strength 1: log gain of each channel, of a subject and of a trial, and the share of it in channels
# with evidence, so that it does not hide that.
SUBJECT_GAIN, TRIAL_GAIN, EVIDENCE_SHARE = 0.3, 1.2, 0.2
TRACE_HZ, JITTER = 20, 0.3  # of the ratings that change in time; jitter in steps
NOISE = 1.0  # of perceived_valence, points

# What a random number is for.
_PLAN, _BODY, _CURVE, _SIGNALS, _JOYSTICK = range(1, 6)


@dataclass(frozen=True)
class Settings(SynthConfig):
    """A synthetic table of recordings, without videos."""

    limits: ClassVar = {"subjects": 99, "trials": 60, "seconds": 300}

    lag_s: float = 2.4
    """seconds by which the ratings that change in time come later than what the signals show"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.lag_s <= 20, f"lag_s must be 0 to 20, not {self.lag_s}")
        require(
            self.videos in (None, 0), f"videos must be left out or 0, not {self.videos}: a synthetic table has none"
        )
        for name in ("face", "signals", "evidence", "face_evidence"):
            default = SynthConfig.__dataclass_fields__[name].default
            value = getattr(self, name)
            require(value == default, f"{name} must be left out, and is {value}: what a synthetic table shows is fixed")


@dataclass(frozen=True)
class Trial:
    """One subject watching one stimulus: its labels, and what is planted for each of them, -1 to 1."""

    subject: int  # 1, 2, ...
    trial: int  # order of presentation, 1, 2, ...
    stimulus: int
    ratings: dict[str, Label]
    evidence: dict[str, float]  # of valence, arousal, stress and engagement
    moved: bool  # the joystick
    curve: Curve = field(default=())

    @property
    def name(self) -> str:
        """Name of the recording."""
        return f"s{self.subject:02d}_{self.trial:02d}"

    def curve_at(self, time_s: np.ndarray) -> np.ndarray:
        """Return what the signals show of the joystick's label at seconds of the stimulus, -1 to 1."""
        return curve_at(self.curve, time_s)


def write(root: Path, config: Settings, jobs: int = 1, progress: ProgressCallback | None = None) -> None:
    """Write a synthetic table of recordings, as `write_synthetic` says."""
    stamp = make_stamp(FORMAT, config, corpus="table")
    names = [t.name for t in plan(config)]
    paths = (SETTINGS, TABLE, *(f"{folder}/{name}.csv" for name in names for folder in ("signals", "ratings")))
    write_corpus(Path(root), SyntheticCorpus(stamp, truth(config), paths, partial(_content, config)), jobs, progress)


def truth(config: Settings) -> dict[str, Any]:
    """Return the content of SYNTHETIC.json besides its stamp: the trials' length, and what is planted in each."""
    trials = [vars(t) | {"subject": f"s{t.subject:02d}", "recording": t.name} for t in plan(config)]
    return {"trials": config.trials, "seconds": config.seconds, "lag_s": config.lag_s, "truth": trials}


def _content(config: Settings, path: str) -> bytes:
    if path == SETTINGS:
        lines = [f"# {SYNTHETIC}", f"rate_hz: {RATE_HZ}", f"baseline_s: {BASELINE_S}", "channels:"]
        lines += [*(f"  {name}: eeg" for name in EEG), "  EDA: gsr", "labels:"]
        return "\n".join([*lines, *(f"  {label_line(column)}" for column in LABELS), ""]).encode()
    if path == TABLE:
        return _table(config)
    trial = next(t for t in plan(config) if t.name == Path(path).stem)
    columns = _joystick(config, trial) if path.startswith("ratings/") else _signals(config, trial)
    return _csv([[*columns], *([f"{x:.6g}" for x in row] for row in np.column_stack([*columns.values()]).tolist())])


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    text.write(f"# {SYNTHETIC}\n")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _table(config: Settings) -> bytes:
    names = [column.name for column in LABELS if not column.trace]
    rows = [["subject", "trial", "stimulus", "signals", "start_s", "stop_s", "ratings_file", *names]]
    for t in plan(config):
        labels = [str(t.ratings[name]) for name in names]
        times = [str(BASELINE_S), str(BASELINE_S + config.seconds)]
        files = [f"{folder}/{t.name}.csv" for folder in ("signals", "ratings")]
        rows.append([f"s{t.subject:02d}", f"{t.trial:02d}", f"f{t.stimulus:02d}", files[0], *times, files[1], *labels])
    return _csv(rows)


# ---------------------------------------------------------------- labels and their reasons


@lru_cache(maxsize=4)
def plan(config: Settings) -> tuple[Trial, ...]:
    """Return all trials of the corpus, by subject, in the order of presentation."""
    return tuple(t for subject in range(1, config.subjects + 1) for t in _plan_subject(config, subject))


def _plan_subject(config: Settings, subject: int) -> list[Trial]:
    """Return a subject's trials: each label balanced over them and independent of the others."""
    rng, n = generator(config, subject, 0, _PLAN), config.trials
    signs = [rng.permutation(np.where(np.arange(n) % 2, 1.0, -1.0)) for _ in range(2)]
    valence, arousal = (sign * rng.uniform(0.4, 1.0, n) for sign in signs)
    stress, engagement = rng.permutation(np.arange(n) % 3), rng.permutation(np.linspace(-1, 1, n))
    perceived = np.clip(5 + 4 * valence + NOISE * rng.standard_normal(n), 1, 9)
    trials = []
    for i, stimulus in enumerate(shuffled_order(n, rng)):
        ratings: dict[str, Label] = {
            "valence": round(5 + 4 * float(valence[i]), 2),
            "arousal": round(5 + 4 * float(arousal[i]), 2),
            "emotion": EMOTIONS[bool(valence[i] > 0), bool(arousal[i] > 0)],
            "stress": CLASSES[stress[i]],
            "engagement": round(50 + 50 * float(engagement[i]), 1),
            "perceived_valence": round(float(perceived[i]), 2),
        }
        planted = {"valence": valence[i], "arousal": arousal[i], "stress": stress[i] - 1, "engagement": engagement[i]}
        evidence = {name: round(float(value), 4) for name, value in planted.items()}
        moved = i != n - 1 or n == 1
        curve = draw_curve(generator(config, subject, i + 1, _CURVE))
        trials.append(Trial(subject, i + 1, stimulus, ratings, evidence, moved, curve))
    return trials


def _joystick(config: Settings, trial: Trial) -> dict[str, np.ndarray]:
    """Return times on the signals' clock and the ratings, (T,) each, from the stimulus' start to its stop."""
    rng = generator(config, trial.subject, trial.trial, _JOYSTICK)
    steps = np.arange(config.seconds * TRACE_HZ)
    time_s = (steps + JITTER * rng.uniform(0, 1, len(steps))) / TRACE_HZ
    values = trial.curve_at(time_s - config.lag_s) if trial.moved else np.zeros(len(steps))
    return {"time": (BASELINE_S + time_s).round(4), "joystick": values.round(3)}


# ---------------------------------------------------------------- signals


def _signals(config: Settings, trial: Trial) -> dict[str, np.ndarray]:
    """Return the time and all channels of a trial's file, (N,) each: the baseline, the stimulus and a second more."""
    rng = generator(config, trial.subject, trial.trial, _SIGNALS)
    n = (BASELINE_S + config.seconds + AFTER_S) * RATE_HZ
    time_s = np.arange(n) / RATE_HZ
    onset = np.clip((time_s - BASELINE_S) / 0.25, 0, 1)  # no evidence in the baseline
    planted = {name: config.effect * value * onset for name, value in trial.evidence.items()}
    curve = config.effect * trial.curve_at(time_s - BASELINE_S) * onset
    alpha = {"F3": -planted["valence"], "F4": planted["valence"], "Pz": planted["engagement"], "Oz": curve}
    fast = {"C3": FAST * planted["arousal"], "C4": STRESS * planted["stress"]}
    gains = _gains(config, trial)
    channels = {"time": time_s}
    for name, gain in zip(EEG, gains, strict=True):
        x = 6 * _noise(n, (2, 40), rng, tilt=1.0)
        x += 8 * np.exp(ALPHA * alpha.get(name, 0)) * _noise(n, (8, 12), rng)
        x += 5 * np.exp(fast.get(name, 0)) * _noise(n, (18, 35), rng)
        channels[name] = np.exp(gain) * x
    slope = SKIN_PER_S * planted["arousal"] + 0.02 * config.fingerprint * rng.standard_normal()
    level = 4 + 0.5 * config.fingerprint * rng.standard_normal()
    channels["EDA"] = np.maximum(level + np.cumsum(slope) / RATE_HZ + 0.01 * rng.standard_normal(n), 0.1)
    return channels


def _gains(config: Settings, trial: Trial) -> np.ndarray:
    """Return the log gain of each EEG channel: the subject's and the trial's fingerprint."""
    share = np.where(np.isin(EEG, ("T7", "T8")), 1.0, EVIDENCE_SHARE)
    own = SUBJECT_GAIN * generator(config, trial.subject, 0, _BODY).standard_normal(len(EEG))
    own += TRIAL_GAIN * generator(config, trial.subject, trial.trial, _BODY).standard_normal(len(EEG))
    return np.asarray(config.fingerprint * share * own)


def _noise(n: int, band_hz: tuple[float, float], rng: np.random.Generator, tilt: float = 0.0) -> np.ndarray:
    """Return noise (N,) of SD 1 in a band, whose amplitude falls with the frequency to the power `tilt`."""
    hz = np.fft.rfftfreq(n, 1 / RATE_HZ)
    amplitude = np.where((hz >= band_hz[0]) & (hz <= band_hz[1]), np.maximum(hz, band_hz[0]) ** -tilt, 0.0)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * amplitude, n)
    return np.asarray(noise / noise.std())

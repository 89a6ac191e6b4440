"""A synthetic DREAMER: one MATLAB file with the fields of the real one, and a known answer planted in its signals.

EEG and ECG as in the synthetic DEAP and MAHNOB-HCI, in the channels that this corpus has, EEG with an EPOC's offset of
about 4,000 microvolts. There is no video: signals alone show the ratings.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.signal import resample_poly
from typing_extensions import override

from ...config import SynthConfig, require
from ...progress import ProgressCallback
from ...provenance import SYNTHETIC
from ..deap import EEG as SIMULATED
from ..dreamer import ECG_HZ, EEG, EEG_HZ, FILE, N_FILMS, N_SUBJECTS, RECORDED_BASELINE_S, SCORES
from . import signals as physiology
from .mahnob import heartbeats
from .matlab_file import cells, mat_bytes
from .signals import Physiology
from .writer import SyntheticCorpus, generator, make_stamp, require_eeg_channels, write_corpus

FORMAT = 1  # of what is planted
OFFSET_UV = 4000.0  # of an EPOC's EEG
DECIMALS = 2  # of all samples

# What a random number is for.
_PLAN, _BODY, _SIGNALS, _BASELINE = range(1, 5)


@dataclass(frozen=True)
class Settings(SynthConfig):
    """A synthetic DREAMER, without videos.

    `trials` are films; `seconds` is the length of the shortest, others are up to 2 s longer.
    """

    limits: ClassVar = {"subjects": N_SUBJECTS, "trials": N_FILMS, "seconds": 400}

    mat73: bool = False
    """write MATLAB's version 7.3, which is HDF5, instead of version 5; needs the extra mat73"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        require_eeg_channels(self.evidence or (), EEG)
        require(self.videos in (None, 0), f"videos must be left out or 0, not {self.videos}: DREAMER has none")
        for name in ("face", "signals", "face_evidence"):
            default = SynthConfig.__dataclass_fields__[name].default
            value = getattr(self, name)
            require(value == default, f"{name} must be left out, and is {value}: in DREAMER only signals show anything")


@dataclass(frozen=True)
class Trial:
    """One subject watching one film: ratings in whole numbers, and planted evidence, -1 to 1."""

    subject: int  # 1, 2, ...
    film: int  # 1, 2, ...
    ratings: dict[str, int]
    signals: dict[str, float]

    @property
    def name(self) -> str:
        """Name of the recording."""
        return f"s{self.subject:02d}_f{self.film:02d}"


def write(root: Path, config: Settings, jobs: int = 1, progress: ProgressCallback | None = None) -> None:
    """Write a synthetic DREAMER, as `write_synthetic` says."""
    stamp = make_stamp(FORMAT, config, corpus="dreamer")
    corpus = SyntheticCorpus(stamp, truth(config), (FILE,), partial(_content, config))
    write_corpus(Path(root), corpus, jobs, progress)


def truth(config: Settings) -> dict[str, Any]:
    """Return the content of SYNTHETIC.json besides its stamp: the films' lengths, and what is planted in each trial."""
    trials = [vars(t) | {"subject": f"s{t.subject:02d}", "recording": t.name} for t in plan(config)]
    lengths = {f"{film:02d}": film_seconds(config, film) for film in range(1, config.trials + 1)}
    return {"trials": config.trials, "seconds": config.seconds, "films": lengths, "truth": trials}


def film_seconds(config: Settings, film: int) -> int:
    """Return the length of a film; lengths differ, as in the real corpus."""
    return config.seconds + film % 3


# ---------------------------------------------------------------- ratings and their reasons


@lru_cache(maxsize=4)
def plan(config: Settings) -> tuple[Trial, ...]:
    """Return all trials of the corpus, by subject and film."""
    return tuple(t for subject in range(1, config.subjects + 1) for t in _plan_subject(config, subject))


def _plan_subject(config: Settings, subject: int) -> list[Trial]:
    """Return a subject's trials: valence and arousal each balanced over them, dominance without a reason."""
    rng, n = generator(config, subject, 0, _PLAN), config.trials
    signs = {target: rng.permutation(np.where(np.arange(n) % 2, 1.0, -1.0)) for target in ("valence", "arousal")}
    evidence = {target: sign * rng.uniform(0.5, 1.0, n) for target, sign in signs.items()}
    trials = []
    for film in range(n):
        planted = {target: round(float(values[film]), 4) for target, values in evidence.items()}
        ratings = {target: _rating(value) for target, value in planted.items()}
        trials.append(Trial(subject, film + 1, ratings | {"dominance": int(rng.integers(1, 6))}, planted))
    return trials


def _rating(evidence: float) -> int:
    """Return a whole number from 1 to 5, never 3, which has no class."""
    return (4 if evidence > 0 else 2) + (abs(evidence) > 0.75) * (1 if evidence > 0 else -1)


# ---------------------------------------------------------------- the file


def _content(config: Settings, path: str) -> bytes:
    subjects = [_subject(config, number) for number in range(1, config.subjects + 1)]
    text = f"{SYNTHETIC}, written by gbvnet"
    top = {
        "Data": cells(subjects), "EEG_SamplingRate": float(EEG_HZ), "ECG_SamplingRate": float(ECG_HZ),
        "EEG_Electrodes": cells(EEG), "noOfSubjects": float(config.subjects),
        "noOfVideoSequences": float(config.trials), "Disclaimer": text, "Provider": text, "Version": "1.0.2",
        "Acknowledgement": text,
    }  # fmt: skip
    return mat_bytes({"DREAMER": top}, config.mat73)


def _subject(config: Settings, subject: int) -> dict[str, Any]:
    trials = [t for t in plan(config) if t.subject == subject]
    made = {t.film: {"stimuli": _signals(config, t, True), "baseline": _signals(config, t, False)} for t in trials}
    films = (len(trials), 1)
    parts = {
        name: {part: cells((made[t.film][part][k] for t in trials), films) for part in ("baseline", "stimuli")}
        for k, name in enumerate(("EEG", "ECG"))
    }
    age = 20 + subject
    scores = {field: np.array([[float(t.ratings[name])] for t in trials]) for name, field in SCORES.items()}
    about = {"Age": str(age) if subject == 1 else float(age), "Gender": "female" if subject % 2 else "male"}
    return {**about, **parts, **scores}


def _signals(config: Settings, trial: Trial, film: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return EEG (N, 14) at 128 Hz and ECG (2 N, 2) at 256 Hz of a film, or of the baseline before it."""
    subject = Physiology.of_subject(config.fingerprint, generator(config, trial.subject, 0, _BODY), config.evidence)
    drawn = generator(config, trial.subject, trial.film, _BODY)
    body = subject + Physiology.of_trial(config.fingerprint, drawn, config.evidence)
    rng = generator(config, trial.subject, trial.film, _SIGNALS if film else _BASELINE)
    n = (film_seconds(config, trial.film) if film else RECORDED_BASELINE_S) * EEG_HZ
    time_s = np.arange(n) / EEG_HZ
    strength = config.effect * np.clip(time_s / 0.5, 0, 1) * film  # full after half a second
    valence, arousal = (trial.signals[target] * strength for target in ("valence", "arousal"))
    at = [SIMULATED.index(name) for name in EEG]
    brain = physiology.eeg(body, valence, arousal, rng, config.evidence)[at] * np.exp(body.gain[at])[:, None]
    brain += OFFSET_UV + rng.normal(0, 100, (len(EEG), 1)) + rng.normal(0, 0.2, (len(EEG), 1)) * time_s
    beats = 70 + body.heart_per_min + physiology.BEATS_PER_MIN * (0 if config.evidence else arousal)
    heart = resample_poly(heartbeats(time_s, beats, rng), ECG_HZ // EEG_HZ, 1)
    leads = 2000 + np.outer([1.0, 0.6], heart) + rng.standard_normal((2, len(heart)))
    return brain.T.round(DECIMALS), leads.T.round(DECIMALS)

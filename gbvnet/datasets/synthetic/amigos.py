"""A synthetic AMIGOS, the short films, in the layout and the formats of the real one, with a known answer planted.

What is planted is as in the synthetic DEAP, in the channels that this corpus has; the skin channel is a resistance. As
in the real files, cells are in an order of their own for each participant, the self-assessment begins with arousal, and
signals and face videos begin 5 s before a film. Each file also has a film of the other kind (long or short), which a
reader has to leave alone, and empty cells for all films that are not made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from ...config import SynthConfig
from ...progress import ProgressCallback
from ..amigos_file import ANNOTATED, BASELINE_S, CHANNELS, EMOTIONS, FILMS, LONG, RATE_HZ, RATED, SEGMENT_S, SHORT
from ..deap import EEG as SIMULATED
from ..dreamer import EEG
from . import signals as physiology
from .face import HEIGHT, WIDTH, Face, act_trial, trial_light
from .mahnob import FLASH_S, heartbeats, resample_acting
from .matlab_file import cells, mat_bytes
from .signals import Physiology
from .writer import (
    SyntheticCorpus,
    avi_bytes,
    generator,
    latent_pairs,
    make_stamp,
    n_with_video,
    rating_of,
    require_eeg_channels,
    shuffled_order,
    write_corpus,
)

FORMAT = 1  # of what is planted
VIDEO_FPS = 25
MATLAB, FACES = "data_preprocessed", "face_videos"  # folders; the reader takes any
DECIMALS = 3  # of signals

# What a random number is for.
_PLAN, _LOOK, _BODY, _ACTING, _LIGHT, _SIGNALS, _ORDER = range(1, 8)


@dataclass(frozen=True)
class Settings(SynthConfig):
    """A synthetic AMIGOS, the short films.

    `trials` are films; `seconds` is the length of the shortest, others are up to 2 s longer.
    """

    limits: ClassVar = {"subjects": 40, "trials": len(SHORT), "seconds": 160}
    corpus: ClassVar[str] = "amigos"

    mark_s: float | None = None
    """second of each film at which the video flashes and all electrodes jump, to measure their synchrony"""
    flaws: bool = False
    """also what the real files lack: of the first participant a self-assessment and a channel (NaN), of the second the
    signals of a film"""
    mat73: bool = False
    """write MATLAB's version 7.3, which is HDF5, instead of version 5; needs the extra mat73"""


@dataclass(frozen=True)
class Trial:
    """One participant watching one film: ratings, and planted evidence for valence and arousal, -1 to 1."""

    subject: int  # 1, 2, ...
    film: str
    seconds: int
    ratings: dict[str, float]  # of RATED
    emotions: list[int]  # 0 or 1, of EMOTIONS
    external: list[list[float]]  # number, valence and arousal of each annotated segment
    face: dict[str, float]
    signals: dict[str, float]
    blinks_s: list[float]  # after the film's start

    @property
    def number(self) -> int:
        """Number of the film among all, for random numbers."""
        return [*FILMS].index(self.film) + 1

    @property
    def name(self) -> str:
        """Name of the recording."""
        return f"P{self.subject:02d}_{self.film}"

    @property
    def video(self) -> str:
        """Path of its face video."""
        experiment = "Exp2" if self.film in LONG else "Exp1"
        return f"{FACES}/{experiment}_P{self.subject:02d}_face/{self.name}_face.mov"


def write(root: Path, config: Settings, jobs: int = 1, progress: ProgressCallback | None = None) -> None:
    """Write a synthetic AMIGOS, as `write_synthetic` says. Raises BadConfig for an unknown EEG channel."""
    require_eeg_channels(config.evidence or (), EEG)
    filmed = [t for t in plan(config) if t.subject <= n_with_video(config) and t.film in _films(config)]
    files = [f"{MATLAB}/Data_Preprocessed_P{subject:02d}.mat" for subject in range(1, config.subjects + 1)]
    paths = (*files, *(t.video for t in filmed))
    stamp = make_stamp(FORMAT, config, corpus=config.corpus)
    write_corpus(Path(root), SyntheticCorpus(stamp, truth(config), paths, partial(_content, config)), jobs, progress)


def truth(config: Settings) -> dict[str, Any]:
    """Return the content of SYNTHETIC.json besides its stamp: the films' lengths, and what is planted in each trial."""
    trials = [t for t in plan(config) if t.film in _films(config)]
    return {
        "trials": config.trials,
        "seconds": config.seconds,
        "films": {film: _seconds(config, film) for film in _films(config)},
        "truth": [vars(t) | {"subject": f"P{t.subject:02d}", "recording": t.name} for t in trials],
    }


def _films(config: Settings) -> list[str]:
    """Return the films that are recordings of the corpus."""
    return [*(LONG if config.corpus == "amigos-long" else SHORT)][: config.trials]


def _others(config: Settings) -> list[str]:
    """Return a film of the other kind, which is in the files too."""
    return [next(iter(SHORT if config.corpus == "amigos-long" else LONG))]


def _seconds(config: Settings, film: str) -> int:
    return config.seconds + [*FILMS].index(film) % 3


def _content(config: Settings, path: str) -> bytes:
    if path.startswith(f"{FACES}/"):
        return _video(config, next(t for t in plan(config) if t.video == path))
    subject = int(Path(path).stem[-2:])
    return mat_bytes(_variables(config, subject), config.mat73)


# ---------------------------------------------------------------- ratings and their reasons


@lru_cache(maxsize=4)
def plan(config: Settings) -> tuple[Trial, ...]:
    """Return all trials, by participant, also that of the film of the other kind."""
    return tuple(t for subject in range(1, config.subjects + 1) for t in _plan_subject(config, subject))


def _plan_subject(config: Settings, subject: int) -> list[Trial]:
    rng, films = generator(config, subject, 0, _PLAN), [*_films(config), *_others(config)]
    latents = {target: latent_pairs(config.trials, rng) for target in ("valence", "arousal")}
    trials = []
    for i, film in enumerate(films):
        planted = {target: pairs[i % config.trials] for target, pairs in latents.items()}
        ratings = {target: rating_of(*pair, config) for target, pair in planted.items()}
        if ratings["valence"] == ratings["arousal"]:  # so that an exchange of the columns is always noticed
            ratings["arousal"] = round(ratings["arousal"] + (0.01 if ratings["arousal"] < 9 else -0.01), 2)
        ratings |= {name: round(float(rng.uniform(1, 9)), 2) for name in RATED[2:]}  # tell nothing
        blinks_s = np.cumsum(rng.uniform(1.5, 6, 100))
        trials.append(
            Trial(
                subject=subject,
                film=film,
                seconds=_seconds(config, film),
                ratings={name: ratings[name] for name in RATED},
                emotions=_emotions(ratings),
                external=_annotation(ratings, _seconds(config, film), rng),
                face={target: round(pair[0], 4) for target, pair in planted.items()},
                signals={target: round(pair[1], 4) for target, pair in planted.items()},
                blinks_s=[round(float(b), 3) for b in blinks_s if b < _seconds(config, film)],
            )
        )
    return trials


def _emotions(ratings: dict[str, float]) -> list[int]:
    """Return which emotions were felt: one that fits valence and arousal, each either high or low."""
    fits = {(True, True): "surprise", (True, False): "happiness", (False, True): "fear", (False, False): "sadness"}
    felt = fits[ratings["valence"] > 5, ratings["arousal"] > 5]
    return [int(name == felt) for name in EMOTIONS]


def _annotation(ratings: dict[str, float], seconds: int, rng: np.random.Generator) -> list[list[float]]:
    """Return what annotators saw in each segment of 20 s: the ratings, on their own scale, and noise."""
    rows = []
    for segment in range(seconds // SEGMENT_S + 2):
        rated = [(ratings[name.removeprefix("external_")] - 5) / 5 + 0.1 * rng.standard_normal() for name in ANNOTATED]
        rows.append([float(segment + 1), *(round(float(np.clip(x, -1, 1)), 4) for x in rated)])
    return rows


# ---------------------------------------------------------------- a participant's file


def _variables(config: Settings, subject: int) -> dict[str, Any]:
    """Return the variables of a participant's file: 20 cells each, in the participant's own order of films."""
    trials = {t.film: t for t in plan(config) if t.subject == subject}
    order = [[*FILMS][k - 1] for k in shuffled_order(len(FILMS), generator(config, subject, 0, _ORDER))]
    empty = np.zeros((0, 0))
    made: dict[str, list[Any]] = {"joined_data": [], "labels_selfassessment": [], "labels_ext_annotation": []}
    for film in order:
        t = trials.get(film)
        values: list[Any] = [empty, empty, empty]
        if t is not None:
            felt = np.array([[t.ratings[name] for name in RATED] + t.emotions], float)
            values = _with_flaws(config, t, [signals(config, t).T, felt, np.array(t.external)])
        for held, value in zip(made.values(), values, strict=True):
            held.append(value)
    return {name: cells(values) for name, values in made.items()} | {"VideoIDs": cells(order)}


def _with_flaws(config: Settings, trial: Trial, values: list[Any]) -> list[Any]:
    """Return a film's signals, ratings and annotation with what the real files lack, if that is asked for."""
    empty, film = np.zeros((0, 0)), [*_films(config), *_others(config)].index(trial.film)
    if not config.flaws:
        return values
    if trial.subject == 1 and film == 0:
        values[1] = empty
    if trial.subject == 1 and film == 1:
        values[0][:, EEG.index("T7")] = np.nan
    if trial.subject == 2 and film in (0, config.trials):  # of the other kind, too
        values = [empty, empty, empty]
    return values


def signals(config: Settings, trial: Trial) -> np.ndarray:
    """Return the 17 channels of a film and the 5 s before it, (17, N) at 128 Hz."""
    subject = Physiology.of_subject(config.fingerprint, generator(config, trial.subject, 0, _BODY), config.evidence)
    drawn = generator(config, trial.subject, trial.number, _BODY)
    body = subject + Physiology.of_trial(config.fingerprint, drawn, config.evidence)
    rng = generator(config, trial.subject, trial.number, _SIGNALS)
    time_s = np.arange((BASELINE_S + trial.seconds) * RATE_HZ) / RATE_HZ - BASELINE_S
    onset = np.clip(time_s / 0.5, 0, 1)  # full after half a second
    valence, arousal = (config.effect * trial.signals[target] * onset for target in ("valence", "arousal"))
    at = [SIMULATED.index(name) for name in EEG]
    brain = physiology.eeg(body, valence, arousal, rng, config.evidence)[at] * np.exp(body.gain[at])[:, None]
    if config.evidence:
        arousal = np.zeros_like(arousal)  # no other channel carries evidence
    heart = heartbeats(time_s, 70 + body.heart_per_min + physiology.BEATS_PER_MIN * arousal, rng)
    slope = (body.drift[0] + physiology.SKIN_PER_S * arousal) * np.exp(-np.maximum(time_s, 0) / 10)  # it levels off
    microsiemens = 4 * np.exp((physiology.skin_conductance(time_s, slope, rng) - 4) / 6)  # above 0
    samples = np.concatenate([brain, np.outer([1.0, 0.7], heart) + rng.standard_normal((2, len(heart)))])
    if config.mark_s is not None:
        # One swing up and one down: it passes the EEG's filter
        since = time_s - config.mark_s
        samples += 2000 * np.sin(2 * np.pi * since / 0.06) * ((since >= 0) & (since < 0.06))
    x = np.concatenate([samples, 1e6 / microsiemens[None]])
    return x.reshape(len(CHANNELS), -1).round(DECIMALS)


# ---------------------------------------------------------------- video


@lru_cache(maxsize=1)
def _face(config: Settings, subject: int) -> Face:
    return Face(generator(config, subject, 0, _LOOK))


def _video(config: Settings, trial: Trial) -> bytes:
    return avi_bytes(_frames(config, trial), VIDEO_FPS, WIDTH, HEIGHT, "mov")


def _frames(config: Settings, trial: Trial) -> Iterator[np.ndarray]:
    """Yield each frame of a face video, (576, 720, 3) uint8 RGB: from 5 s before the film to its end."""
    rng = partial(generator, config, trial.subject, trial.number)
    valence, arousal = (config.effect * trial.face[target] for target in ("valence", "arousal"))
    mouth_only = config.face_evidence == "mouth"
    acting = act_trial(valence, arousal, trial.seconds, np.array(trial.blinks_s), rng(_ACTING), mouth_only)
    film_s = np.arange((BASELINE_S + trial.seconds) * VIDEO_FPS) / VIDEO_FPS - BASELINE_S
    light = trial_light(config.fingerprint, rng(_LIGHT))
    faces = _face(config, trial.subject).frames(resample_acting(acting, film_s), light)
    for at, frame in zip(film_s, faces, strict=True):
        if config.mark_s is not None and config.mark_s <= at < config.mark_s + FLASH_S:
            frame = cv2.add(frame, np.full_like(frame, 80))
        yield frame

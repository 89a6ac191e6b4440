"""A synthetic corpus of LabRecorder's .xdf files, with films, and with a known answer planted.

A file a subject, of two computers. One sends EEG at 256 Hz with jittered stamps, on a clock that is 500 s and 20 ppm
off; the other skin resistance (51.2 Hz, kOhms), the numbers of a webcam's frames and markers in JSON, one of them
twice. The camera loses 30 frames, half of them in a row between two trials: its film has them and its stream lacks
their rows, or both lack them (`lost`). The film has a constant rate either way, so that its own time is wrong.

What is planted in each trial is as in the synthetic DEAP, in the channels that there are.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from typing_extensions import override

from ...config import SynthConfig, require
from ...progress import ProgressCallback
from ...provenance import SYNTHETIC
from ..deap import EEG as SIMULATED
from ..xdf_settings import SETTINGS
from . import signals as physiology
from .face import HEIGHT, WIDTH, Face, act_trial, trial_light
from .mahnob import FLASH_S, resample_acting
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
from .xdf_file import WrittenStream, texts, xdf_bytes

FORMAT = 1  # of what is planted
EEG = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "O1", "O2")
EEG_HZ, SKIN_HZ, FPS = 256, 51.2, 15
BEFORE_S, AFTER_S, RATED_S = 4, 3, 1.5  # around each stimulus, and from its stop to the rating
BASELINE_S = 3
ZERO_S = 2000.0  # of the recorder's clock, where the EEG begins
SKIN_LATE_S, CAMERA_LATE_S = 0.37, 0.21  # by which other streams begin later
OFFSET_S, DRIFT = 500.0, 20e-6  # of the clock of the EEG's computer
JITTER_S, CAMERA_JITTER_S, TWICE_S = 1.5e-3, 1e-3, 3e-3
LOST = 30
EPOCH_S = 1.7e9  # of a program that stamps with seconds since 1970
MARK_SPARED_S = 0.5  # around a mark no frame is lost

# What a random number is for.
_PLAN, _LOOK, _BODY, _ACTING, _LIGHT, _SIGNALS, _CLOCKS, _CAMERA = range(1, 9)


@dataclass(frozen=True)
class Settings(SynthConfig):
    """A synthetic corpus of .xdf files."""

    limits: ClassVar = {"subjects": 99, "trials": 40, "seconds": 120}

    mark_s: float | None = None
    """second of each stimulus at which the film flashes, all electrodes jump and the skin responds, to measure their
    synchrony"""
    lost: Literal["stream", "film"] = "stream"
    """where frames are lost: stream (the film has them), or film (neither has them)"""
    odd: bool = False
    """EEG from a stream without names of channels, as OpenBCI's, and one more stream that stamps with seconds since
    1970"""
    cut: bool = False
    """the last subject's file ends within a chunk, without footers"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        mark = self.mark_s
        require(mark is None or 0 <= mark <= self.seconds, f"mark_s must be 0 to {self.seconds}, not {mark}")


@dataclass(frozen=True)
class Trial:
    """One subject and one stimulus: ratings, and planted evidence for valence and arousal, -1 to 1."""

    subject: int  # 1, 2, ...
    trial: int  # order of presentation, 1, 2, ...
    stimulus: int
    ratings: dict[str, float]
    face: dict[str, float]
    signals: dict[str, float]
    blinks_s: list[float]

    @property
    def name(self) -> str:
        """Name of the recording."""
        return f"P{self.subject:03d}_{self.trial:02d}"


def write(root: Path, config: Settings, jobs: int = 1, progress: ProgressCallback | None = None) -> None:
    """Write a synthetic corpus, as `write_synthetic` says. Raises BadConfig for an unknown EEG channel."""
    require_eeg_channels(config.evidence or (), EEG)
    files = [_file(subject) for subject in range(1, config.subjects + 1)]
    films = [_film(file) for file in files[: n_with_video(config)]]
    stamp = make_stamp(FORMAT, config, corpus="xdf")
    corpus = SyntheticCorpus(stamp, truth(config), (SETTINGS, *files, *films), partial(_content, config))
    write_corpus(Path(root), corpus, jobs, progress)


def truth(config: Settings) -> dict[str, Any]:
    """Return the content of SYNTHETIC.json besides its stamp: the trials' length, and what is planted in each."""
    trials = [vars(t) | {"subject": f"P{t.subject:03d}", "recording": t.name} for t in plan(config)]
    return {"trials": config.trials, "seconds": config.seconds, "truth": trials}


def _file(subject: int) -> str:
    return f"sub-P{subject:03d}/ses-S001/eeg/sub-P{subject:03d}_ses-S001_task-Default_run-001_eeg.xdf"


def _film(file: str) -> str:
    return f"{file.removesuffix('_eeg.xdf')}_webcam.avi"


def _content(config: Settings, path: str) -> bytes:
    if path == SETTINGS:
        return _settings(config).encode()
    subject = int(Path(path).name[5:8])
    if path.endswith(".avi"):
        return avi_bytes(_frames(config, subject), FPS, WIDTH // 2, HEIGHT // 2)
    data = xdf_bytes(_streams(config, subject), footers=not (config.cut and subject == config.subjects))
    return data[: len(data) * 3 // 4] if config.cut and subject == config.subjects else data


def _settings(config: Settings) -> str:
    lines = [f"# {SYNTHETIC}", "streams:", f"  {_eeg_name(config)}:"]
    lines += [f"    labels: [{', '.join(EEG)}]", "    unit: uV"] if config.odd else []
    lines += ["    channels:", *(f"      {name}: eeg" for name in EEG)]
    lines += ["  ShimmerGSR:", "    channels:", "      GSR: gsr", "markers:", "  stream: Experiment"]
    lines += [
        """  start: '.*"event": "start", "stimulus": "(?P<stimulus>[^"]+)".*'""",
        """  stop: '.*"event": "stop".*'""",
    ]
    lines += ["  rating: {json: [valence, arousal]}", "labels:"]
    lines += [f"  {name}: {{scale: [1, 9]}}" for name in ("valence", "arousal")]
    if n_with_video(config):
        lines += ["frames:", "  stream: Webcam", "  number: FrameNum", '  film: "{base}_webcam.avi"']
    return "\n".join([*lines, f"baseline_s: {BASELINE_S}", "rate_hz: 128", ""])


def _eeg_name(config: Settings) -> str:
    return "obci_eeg1" if config.odd else "Amplifier"


# ---------------------------------------------------------------- ratings and their reasons


@lru_cache(maxsize=4)
def plan(config: Settings) -> tuple[Trial, ...]:
    """Return all trials of the corpus, by subject, in the order of presentation."""
    return tuple(t for subject in range(1, config.subjects + 1) for t in _plan_subject(config, subject))


def _plan_subject(config: Settings, subject: int) -> list[Trial]:
    rng = generator(config, subject, 0, _PLAN)
    latents = {target: latent_pairs(config.trials, rng) for target in ("valence", "arousal")}
    trials = []
    for i, stimulus in enumerate(shuffled_order(config.trials, rng)):
        planted = {target: pairs[i] for target, pairs in latents.items()}
        blinks_s = np.cumsum(rng.uniform(1.5, 6, 100))
        trials.append(
            Trial(
                subject=subject,
                trial=i + 1,
                stimulus=stimulus,
                ratings={target: rating_of(*pair, config) for target, pair in planted.items()},
                face={target: round(pair[0], 4) for target, pair in planted.items()},
                signals={target: round(pair[1], 4) for target, pair in planted.items()},
                blinks_s=[round(float(b), 3) for b in blinks_s if b < config.seconds],
            )
        )
    return trials


def start_s(config: Settings, trial: int) -> float:
    """Return when a trial's stimulus starts, in seconds from the first sample of the EEG."""
    return BEFORE_S + (trial - 1) * _block_s(config)


def _block_s(config: Settings) -> int:
    return BEFORE_S + config.seconds + AFTER_S


def _of_subject(config: Settings, subject: int) -> list[Trial]:
    return [t for t in plan(config) if t.subject == subject]


# ---------------------------------------------------------------- streams


def _streams(config: Settings, subject: int) -> list[WrittenStream]:
    """Return the streams of a file, each with stamps on the clock of its computer."""
    eeg_uv, skin_us = _signals(config, subject)
    rng = generator(config, subject, 0, _CLOCKS)
    eeg_s = ZERO_S + np.arange(eeg_uv.shape[1]) / EEG_HZ
    own_s = (eeg_s - OFFSET_S) / (1 + DRIFT) + JITTER_S * rng.standard_normal(len(eeg_s))
    labels = () if config.odd else tuple((name, "microvolts", "EEG") for name in EEG)
    skin_s = ZERO_S + SKIN_LATE_S + np.arange(len(skin_us)) / SKIN_HZ
    streams = [
        WrittenStream("Experiment", "Markers", "stimulus-pc", 0, "string", *_markers(config, subject)),
        WrittenStream(
            _eeg_name(config), "EEG", "eeg-pc", EEG_HZ, "float32", own_s, eeg_uv.T, labels, OFFSET_S, DRIFT
        ),
        WrittenStream(
            "ShimmerGSR", "GSR", "stimulus-pc", SKIN_HZ, "double64", skin_s, 1e3 / skin_us[:, None],
            (("GSR", "kOhms", "GSR"),),
        ),
    ]  # fmt: skip
    if subject <= n_with_video(config):
        number, at_s, kept = camera(config, subject)
        rows = np.stack([number, at_s - ZERO_S], axis=1)[kept]
        streams.append(
            WrittenStream(
                "Webcam", "videostream", "stimulus-pc", 0, "double64", at_s[kept], rows,
                (("FrameNum", "", ""), ("Time_ACQ", "", "")),
            )
        )  # fmt: skip
    if config.odd:
        times = EPOCH_S + np.arange(64 * 10) / 64
        pulse = rng.standard_normal((len(times), 1))
        streams.append(
            WrittenStream("Muse-1A2B PPG", "PPG", "tablet", 64, "float32", times, pulse, (("PPG", "", "PPG"),))
        )
    return streams


def _markers(config: Settings, subject: int) -> tuple[np.ndarray, list[str]]:
    """Return times (N,) and texts of a file's markers; the start of one trial is sent twice."""
    sent = []
    for t in _of_subject(config, subject):
        at_s = ZERO_S + start_s(config, t.trial)
        start = json.dumps({"event": "start", "stimulus": f"f{t.stimulus:02d}", "trial": t.trial})
        stop = json.dumps({"event": "stop", "trial": t.trial})
        sent += [(at_s, start), (at_s + config.seconds, stop)]
        sent += [(at_s + config.seconds + RATED_S, json.dumps({"event": "rating", **t.ratings}))]
        if t.trial == min(2, config.trials):
            sent.append((at_s + TWICE_S, start))
    return texts(sent)


def _signals(config: Settings, subject: int) -> tuple[np.ndarray, np.ndarray]:
    """Return EEG (C, N) in microvolts and skin conductance (n,) in microsiemens, each at its rate."""
    from scipy.signal import resample_poly

    body = Physiology.of_subject(config.fingerprint, generator(config, subject, 0, _BODY), config.evidence)
    blocks = [_block(config, t, body) for t in _of_subject(config, subject)]
    slow_s = np.arange(sum(len(skin) for _, skin in blocks)) / physiology.RATE_HZ
    eeg_uv = resample_poly(np.concatenate([eeg for eeg, _ in blocks], axis=1), EEG_HZ // physiology.RATE_HZ, 1, axis=1)
    skin_s = np.arange(int((slow_s[-1] - SKIN_LATE_S) * SKIN_HZ)) / SKIN_HZ + SKIN_LATE_S
    skin_us = np.interp(skin_s, slow_s, np.concatenate([skin for _, skin in blocks]))
    for t in _of_subject(config, subject) if config.mark_s is not None else ():
        at_s = start_s(config, t.trial) + (config.mark_s or 0.0)
        since = np.arange(eeg_uv.shape[1]) / EEG_HZ - at_s
        eeg_uv += 2000 * np.sin(2 * np.pi * since / 0.06) * ((since >= 0) & (since < 0.06))
        skin_us *= 1 + np.where(skin_s >= at_s, np.exp(-np.maximum(skin_s - at_s, 0) / 0.5), 0)
    return eeg_uv, skin_us


def _block(config: Settings, trial: Trial, subject: Physiology) -> tuple[np.ndarray, np.ndarray]:
    """Return EEG (C, N) and skin conductance (N,) from before a stimulus to the next one's block, at 128 Hz."""
    drawn = generator(config, trial.subject, trial.trial, _BODY)
    body = subject + Physiology.of_trial(config.fingerprint, drawn, config.evidence)
    rng = generator(config, trial.subject, trial.trial, _SIGNALS)
    time_s = np.arange(_block_s(config) * physiology.RATE_HZ) / physiology.RATE_HZ - BEFORE_S
    onset = np.clip(time_s / 0.5, 0, 1) * (time_s < config.seconds)
    valence, arousal = (config.effect * trial.signals[target] * onset for target in ("valence", "arousal"))
    at = [SIMULATED.index(name) for name in EEG]
    eeg = physiology.eeg(body, valence, arousal, rng, config.evidence)[at] * np.exp(body.gain[at])[:, None]
    if config.evidence:
        arousal = np.zeros_like(arousal)  # no other channel carries evidence
    slope = (body.drift[0] + physiology.SKIN_PER_S * arousal) * np.exp(-np.maximum(time_s, 0) / 10)
    return eeg, 4 * np.exp((physiology.skin_conductance(time_s, slope, rng) - 4) / 6)  # above 0


# ---------------------------------------------------------------- the camera


def camera(config: Settings, subject: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of all frames that a camera should take: numbers from 1 on, times on the recorder's clock, and which are
    not lost; (n,) each."""
    rng = generator(config, subject, 0, _CAMERA)
    n = int((config.trials * _block_s(config) - CAMERA_LATE_S) * FPS)
    at_s = ZERO_S + CAMERA_LATE_S + np.arange(n) / FPS + CAMERA_JITTER_S * rng.standard_normal(n)
    kept = np.ones(n, bool)
    burst = int((start_s(config, 1) + config.seconds + 0.5) * FPS)
    kept[burst : burst + LOST // 2] = False
    spared = np.zeros(n, bool)
    for t in _of_subject(config, subject) if config.mark_s is not None else ():
        spared |= np.abs(at_s - ZERO_S - start_s(config, t.trial) - (config.mark_s or 0.0)) < MARK_SPARED_S
    single = np.flatnonzero(kept & ~spared)[1:-1]
    kept[rng.choice(single, min(LOST - LOST // 2, len(single) // 2), replace=False)] = False
    return np.arange(1, n + 1), np.maximum.accumulate(at_s), kept


def _frames(config: Settings, subject: int) -> Iterator[np.ndarray]:
    """Yield each frame of a film, (288, 360, 3) uint8 RGB; frames that are lost in the film are left out."""
    face = Face(generator(config, subject, 0, _LOOK))
    _, at_s, kept = camera(config, subject)
    session_s = at_s - ZERO_S
    for t in _of_subject(config, subject):
        since_s = session_s - start_s(config, t.trial)
        first, last = -BEFORE_S if t.trial > 1 else -np.inf, config.seconds + AFTER_S
        mine = (since_s >= first) & (since_s < (last if t.trial < config.trials else np.inf))
        yield from _of_trial(config, t, face, since_s[mine], kept[mine] | (config.lost == "stream"))


def _of_trial(
    config: Settings, trial: Trial, face: Face, since_s: np.ndarray, kept: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield the frames at seconds from a stimulus' start on, those that are kept."""
    rng = partial(generator, config, trial.subject, trial.trial)
    valence, arousal = (config.effect * trial.face[target] for target in ("valence", "arousal"))
    mouth_only = config.face_evidence == "mouth"
    acting = act_trial(valence, arousal, config.seconds, np.array(trial.blinks_s), rng(_ACTING), mouth_only)
    faces = face.frames(resample_acting(acting, since_s[kept]), trial_light(config.fingerprint, rng(_LIGHT)))
    for at, frame in zip(since_s[kept], faces, strict=True):
        small = cv2.resize(frame, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
        if config.mark_s is not None and config.mark_s <= at < config.mark_s + FLASH_S:
            small = cv2.add(small, np.full_like(small, 80))
        yield small

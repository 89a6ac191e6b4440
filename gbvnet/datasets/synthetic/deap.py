"""A synthetic DEAP, in the exact layout and encodings of the real one, with a known answer planted in it.

For each trial and each of valence and arousal two numbers are drawn: what the face shows, and what the signals show.
The rating is made of both, so that either modality alone can know it in no more than three trials of four, and both
together can. The truth is kept in SYNTHETIC.json, whose presence also lets the reader accept fewer and shorter trials.
"""

import csv
import io
import struct
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...config import SynthConfig
from ...progress import ProgressCallback
from ..deap import RATINGS, RATINGS_FILE
from .deap_raw import bdf_recording
from .face import FPS, HEIGHT, WIDTH, Face, act_trial, trial_light
from .signals import Physiology, signals_of_trial
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

# Of what is planted, without and with the original recordings; a corpus of another format is another corpus, even with
# the same settings.
FORMAT, RAW_FORMAT = 1, 2
WITHOUT_FAMILIARITY = (2, 15, 23)  # participants whose column is empty in the real table

# What a random number is for.
_PLAN, _LOOK, _BODY, _ACTING, _LIGHT, _SIGNALS, _NOISE = range(1, 8)


@dataclass(frozen=True)
class Settings(SynthConfig):
    """A synthetic DEAP."""

    limits: ClassVar = {"subjects": 32, "trials": 40, "seconds": 60}

    raw: bool = False
    """also write the original recordings of the same trials, data_original"""


@dataclass(frozen=True)
class Trial:
    """One participant watching one stimulus: ratings, and planted evidence for valence and arousal, -1 to 1."""

    subject: int  # 1, 2, ...
    trial: int  # order of presentation, 1, 2, ...: the video's number
    experiment: int  # number of the stimulus, 1, 2, ...: the row of the .dat, which is counted from 0, plus 1
    start_time: int
    ratings: dict[str, float]
    face: dict[str, float]
    signals: dict[str, float]
    blinks_s: list[float]  # after the stimulus' onset; the same in the video and in vEOG


@dataclass(frozen=True)
class CorpusFile:
    """A file of the corpus: the signals of a participant, or the video of one trial."""

    subject: int
    trial: int | None = None  # None: the signals
    raw: bool = False  # of the signals: the original recording

    @property
    def path(self) -> str:
        """Relative to the folder of the corpus."""
        unit = f"s{self.subject:02d}"
        if self.raw:
            return f"data_original/{unit}.bdf"
        if self.trial is None:
            return f"data_preprocessed_python/{unit}.dat"
        return f"face_video/{unit}/{unit}_trial{self.trial:02d}.avi"


def write(root: Path, config: Settings, jobs: int = 1, progress: ProgressCallback | None = None) -> None:
    """Write a synthetic DEAP, as `write_synthetic` says. Raises BadConfig for an unknown EEG channel."""
    require_eeg_channels(config.evidence or ())
    pieces = {p.path: p for p in _corpus_files(config)}
    content = partial(_content, config, pieces)
    write_corpus(
        Path(root),
        SyntheticCorpus(
            make_stamp(RAW_FORMAT if config.raw else FORMAT, config), truth(config), (RATINGS_FILE, *pieces), content
        ),
        jobs,
        progress,
    )


def _content(config: Settings, pieces: dict[str, CorpusFile], path: str) -> bytes:
    if path == RATINGS_FILE:
        return _ratings_bytes(config)
    piece = pieces[path]
    trials = [t for t in plan(config) if t.subject == piece.subject]
    if piece.raw:
        data, _ = signals_of_subject(config, trials)
        noise = generator(config, piece.subject, 0, _NOISE)
        return bdf_recording(
            piece.subject, [t.start_time for t in trials], [data[t.experiment - 1] for t in trials], noise
        )
    if piece.trial is None:
        return dat_bytes(*signals_of_subject(config, trials))
    return video_bytes(config, next(t for t in trials if t.trial == piece.trial))


def truth(config: SynthConfig) -> dict:
    """Return the content of SYNTHETIC.json besides its stamp: the trials' length, and what is planted in each."""
    return {
        "trials": config.trials,
        "seconds": config.seconds,
        "truth": [vars(t) | {"subject": f"s{t.subject:02d}"} for t in plan(config)],
    }


def _corpus_files(config: Settings) -> list[CorpusFile]:
    pieces = []
    for subject in range(1, config.subjects + 1):
        trials = range(1, config.trials + 1) if subject <= n_with_video(config) else ()
        pieces += [CorpusFile(subject, raw=True)] if config.raw else []
        pieces += [CorpusFile(subject), *(CorpusFile(subject, trial) for trial in trials)]
    return pieces


# ---------------------------------------------------------------- ratings and their reasons


@lru_cache(maxsize=4)
def plan(config: SynthConfig) -> tuple[Trial, ...]:
    """Return all trials of the corpus, by participant, in the order of presentation."""
    return tuple(t for subject in range(1, config.subjects + 1) for t in _plan_subject(config, subject))


def _plan_subject(config: SynthConfig, subject: int) -> list[Trial]:
    rng = generator(config, subject, 0, _PLAN)
    latents = {target: latent_pairs(config.trials, rng) for target in ("valence", "arousal")}
    clock = 1_700_000
    trials = []
    for i, experiment in enumerate(shuffled_order(config.trials, rng)):
        planted = {target: pairs[i] for target, pairs in latents.items()}
        ratings = {target: rating_of(*pair, config) for target, pair in planted.items()}
        ratings |= {name.lower(): round(float(rng.uniform(1, 9)), 2) for name in RATINGS[2:]}  # tell nothing
        familiarity = float(rng.integers(1, 6))
        if subject not in WITHOUT_FAMILIARITY:
            ratings["familiarity"] = familiarity
        blinks_s = np.cumsum(rng.uniform(1.5, 6, 40))
        trials.append(
            Trial(
                subject=subject,
                trial=i + 1,
                experiment=experiment,
                start_time=clock,
                ratings=ratings,
                face={target: round(pair[0], 4) for target, pair in planted.items()},
                signals={target: round(pair[1], 4) for target, pair in planted.items()},
                blinks_s=[round(float(b), 3) for b in blinks_s if b < config.seconds],
            )
        )
        clock += int(rng.uniform(1.5, 2.0) * 10_000 * (config.seconds + 3))
    return trials


def _ratings_bytes(config: SynthConfig) -> bytes:
    names = (*RATINGS, "Familiarity")
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["Participant_id", "Trial", "Experiment_id", "Start_time", *names])
    for t in plan(config):
        rated = [f"{t.ratings[name.lower()]:g}" if name.lower() in t.ratings else "" for name in names]
        table.writerow([t.subject, t.trial, t.experiment, t.start_time, *rated])
    return text.getvalue().encode()


# ---------------------------------------------------------------- signals and video


def signals_of_subject(config: SynthConfig, trials: list[Trial]) -> tuple[np.ndarray, np.ndarray]:
    """Return a participant's data (trials, 40, samples) and labels (trials, 4), in the order of Experiment_id."""
    trials = sorted(trials, key=lambda t: t.experiment)
    subject = Physiology.of_subject(config.fingerprint, generator(config, trials[0].subject, 0, _BODY), config.evidence)
    data = [_signals_of(config, subject, t) for t in trials]
    return np.stack(data), np.array([[t.ratings[name.lower()] for name in RATINGS] for t in trials])


def _signals_of(config: SynthConfig, subject: Physiology, trial: Trial) -> np.ndarray:
    """Return the signals (40, samples) of a trial, its baseline first."""
    drawn = generator(config, trial.subject, trial.experiment, _BODY)
    body = subject + Physiology.of_trial(config.fingerprint, drawn, config.evidence)
    rng = generator(config, trial.subject, trial.experiment, _SIGNALS)
    valence, arousal = (config.effect * trial.signals[target] for target in ("valence", "arousal"))
    return signals_of_trial(body, valence, arousal, config.seconds, np.array(trial.blinks_s), rng, config.evidence)


@lru_cache(maxsize=1)
def _face(config: SynthConfig, subject: int) -> Face:
    return Face(generator(config, subject, 0, _LOOK))


def video_bytes(config: SynthConfig, trial: Trial) -> bytes:
    """Return the face video of a trial, an AVI file."""
    rng = partial(generator, config, trial.subject, trial.experiment)
    valence, arousal = (config.effect * trial.face[target] for target in ("valence", "arousal"))
    mouth_only = config.face_evidence == "mouth"
    acting = act_trial(valence, arousal, config.seconds, np.array(trial.blinks_s), rng(_ACTING), mouth_only)
    light = trial_light(config.fingerprint, rng(_LIGHT))
    return avi_bytes(_face(config, trial.subject).frames(acting, light), FPS, WIDTH, HEIGHT)


# ---------------------------------------------------------------- a pickle as Python 2 wrote it

# Opcodes of protocol 2 in the order of Python 2's cPickle. Python 3 does not write byte strings this way, and the
# reader must be tested with pickles as the real corpus has them.
_RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
_NDARRAY, _DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"


def dat_bytes(data: np.ndarray, labels: np.ndarray) -> bytes:
    """Return {'labels': labels, 'data': data} as cPickle of Python 2 wrote it in protocol 2. Both become float64."""
    # Values used again are stored in the memo by number (q, "put") and read from it (h, "get").
    first = _array_opcodes(labels, _RECONSTRUCT + b"q\x03", _NDARRAY + b"q\x04", b"q\x05", _F8 + b"q\x07")
    second = _array_opcodes(data, b"h\x03", b"h\x04", b"q\x09", b"h\x07")
    return b"".join([b"\x80\x02}q\x01(", b"U\x06labelsq\x02", *first, b"U\x04dataq\x08", *second, b"u."])


# numpy.dtype('f8', 0, 1), then its state (3, '<', None, None, None, -1, -1, 0)
_F8 = _DTYPE + b"q\x06U\x02f8K\x00K\x01\x87R"
_F8_STATE = b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def _array_opcodes(array: np.ndarray, reconstruct: bytes, ndarray: bytes, put: bytes, dtype: bytes) -> list[bytes]:
    """_reconstruct(ndarray, (0,), 'b'), then its state (1, shape, dtype, False, bytes)."""
    array = np.ascontiguousarray(array, "<f8")
    shape = b"".join(map(_int_opcode, array.shape)) + {1: b"\x85", 2: b"\x86", 3: b"\x87"}[array.ndim]
    state = b"" if dtype.startswith(b"h") else _F8_STATE
    head = reconstruct + ndarray + b"K\x00\x85U\x01b\x87R" + put + b"(K\x01" + shape + dtype + state + b"\x89"
    raw = array.tobytes()
    size = b"U" + bytes([len(raw)]) if len(raw) < 256 else b"T" + struct.pack("<i", len(raw))
    return [head, size, raw, b"tb"]


def _int_opcode(number: int) -> bytes:
    if number < 256:
        return b"K" + bytes([number])
    return b"M" + struct.pack("<H", number) if number < 65536 else b"J" + struct.pack("<i", number)

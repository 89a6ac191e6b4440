"""A made-up DEAP, in the exact layout and encodings of the real one, with a known answer planted in it.

For each trial and each of valence and arousal two numbers are drawn: what the face shows, and what the signals show.
The rating is made of both, so that either modality alone can know it in no more than three trials of four, and both
together can. The truth is kept in SYNTHETIC.json, whose presence also lets the reader accept fewer and shorter trials.
"""

import csv
import difflib
import io
import json
import logging
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ..config import SynthConfig, to_dict
from ..errors import BadConfig, BadInput, GbvnetError
from ..files import sweep, write_whole
from ..parallel import run
from ..recording import MADE_UP, STAMP_FILE, UNFINISHED_FILE
from .deap import EEG, RATINGS, RATINGS_FILE
from .synthetic_face import FPS, HEIGHT, WIDTH, Face, act, trial_light
from .synthetic_signals import Body, signals_of_trial

log = logging.getLogger(__name__)

FORMAT = 1  # of what is planted; a corpus of another format is another corpus, even with the same settings
NO_FAMILIARITY = (2, 15, 23)  # participants whose column is empty in the real table

# What a random number is for. Together with seed, person and stimulus it decides the number, whoever draws it when.
_PLAN, _LOOK, _BODY, _ACTING, _LIGHT, _SIGNALS = range(1, 7)


@dataclass(frozen=True)
class Trial:
    """One person before one stimulus: the ratings, and what is planted for each of valence and arousal, -1 to 1."""

    subject: int  # 1, 2, ...
    trial: int  # order of presentation, 1, 2, ...: the video's number
    experiment: int  # number of the stimulus, 1, 2, ...: the row of the .dat, which is counted from 0, plus 1
    start_time: int
    ratings: dict[str, float]
    face: dict[str, float]
    signals: dict[str, float]
    blinks_s: list[float]  # after the stimulus' onset; the same in the video and in vEOG


@dataclass(frozen=True)
class Piece:
    """A file that can be written on its own: a person's signals, or the video of one trial."""

    subject: int
    trial: int | None = None  # None: the signals

    @property
    def path(self) -> str:
        unit = f"s{self.subject:02d}"
        if self.trial is None:
            return f"data_preprocessed_python/{unit}.dat"
        return f"face_video/{unit}/{unit}_trial{self.trial:02d}.avi"


def write_deap(
    root: Path, config: SynthConfig, jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write a made-up corpus, or what an interrupted call with the same settings left undone.

    jobs : processes; they change the speed only
    progress : called with the number of files done and of files in all
    Raises BadInput if the folder holds anything else, or cannot be written; BadConfig for evidence in no EEG channel.
    """
    root = Path(root)
    _require_eeg(config.evidence or ())
    pieces = _pieces(config)
    try:
        _claim(root, config, [p.path for p in pieces])
        _write_ratings(root / RATINGS_FILE, config)
        todo = [p for p in pieces if not (root / p.path).exists()]
        done = len(pieces) - len(todo)
        if done:
            log.info("%s: %d of %d files are there already", root, done, len(pieces))
        for _, outcome in run(partial(write_piece, root, config), todo, jobs):
            if isinstance(outcome, GbvnetError):
                raise outcome
            done += 1
            if progress:
                progress(done, len(pieces))
        write_whole(root / STAMP_FILE, _as_json(truth(config)))
        (root / UNFINISHED_FILE).unlink(missing_ok=True)
    except OSError as e:
        raise BadInput(root, "a folder that can be written", e.strerror or e) from None


def _require_eeg(names: Iterable[str]) -> None:
    for name in names:
        if name not in EEG:
            near = difflib.get_close_matches(name, EEG, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(EEG)}"
            raise BadConfig(f"evidence: no EEG channel {name}; {hint}")


def write_piece(root: Path, config: SynthConfig, piece: Piece) -> None:
    """Write one file, whole or not at all."""
    trials = [t for t in plan(config) if t.subject == piece.subject]
    if piece.trial is None:
        content = dat_bytes(*_signals(config, trials))
    else:
        content = _video(config, next(t for t in trials if t.trial == piece.trial))
    try:
        write_whole(root / piece.path, content)
    except OSError as e:
        raise BadInput(root / piece.path, "a file that can be written", e.strerror or e) from None


def truth(config: SynthConfig) -> dict:
    """What SYNTHETIC.json holds: the stamp, the settings, and of every trial what is planted in it."""
    return _stamp(config) | {
        "trials": config.trials,
        "seconds": config.seconds,
        "truth": [vars(t) | {"subject": f"s{t.subject:02d}"} for t in plan(config)],
    }


def _stamp(config: SynthConfig) -> dict:
    # What is not given is left out, so that a corpus without it is the same, byte for byte, as before there was such a
    # setting.
    settings = {k: v for k, v in to_dict(config).items() if v is not None or k not in ("evidence", "face_evidence")}
    return {"stamp": MADE_UP, "format": FORMAT, "config": settings}


def _as_json(value: dict) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _pieces(config: SynthConfig) -> list[Piece]:
    n_filmed = config.subjects if config.videos is None else min(config.videos, config.subjects)
    pieces = []
    for subject in range(1, config.subjects + 1):
        trials = range(1, config.trials + 1) if subject <= n_filmed else ()
        pieces += [Piece(subject), *(Piece(subject, trial) for trial in trials)]
    return pieces


# ---------------------------------------------------------------- the folder


def _claim(root: Path, config: SynthConfig, paths: list[str]) -> None:
    """Make the folder ours, or find that it is. Raises BadInput rather than write among somebody's files."""
    if root.exists() and not root.is_dir():
        raise BadInput(root, "a folder", "a file", "Give another destination.")
    if not root.exists() or not any(root.iterdir()):
        root.mkdir(parents=True, exist_ok=True)
        write_whole(root / UNFINISHED_FILE, _as_json(_stamp(config)))
    _refuse_another(root, config)
    folders = {root, *((root / p).parent for p in (*paths, RATINGS_FILE))}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
    ours = {root / p for p in (*paths, RATINGS_FILE, STAMP_FILE, UNFINISHED_FILE)}
    foreign = sorted(f for f in root.rglob("*") if f.is_file() and f not in ours)
    if foreign:
        raise BadInput(root, _OURS, f"{len(foreign)} other files, as {foreign[0].relative_to(root)}", _ELSEWHERE)


def _refuse_another(root: Path, config: SynthConfig) -> None:
    marks = [f for f in (root / STAMP_FILE, root / UNFINISHED_FILE) if f.exists()]
    if not marks:
        raise BadInput(root, _OURS, f"{min(f.name for f in root.iterdir())!r} and no {STAMP_FILE}", _ELSEWHERE)
    try:
        found = json.loads(marks[0].read_text())
        was, now = ({"format": x["format"]} | x["config"] for x in (found, _stamp(config)))
    except (ValueError, KeyError, TypeError) as e:
        raise BadInput(marks[0], "the stamp of a made-up corpus", f"a file that is none ({e})", _ELSEWHERE) from None
    changed = [key for key in {**now, **was} if was.get(key) != now.get(key)]
    if changed:
        setting = changed[0]
        raise BadInput(root, f"{setting} {now.get(setting)}", f"a corpus made with {was.get(setting)}", _ELSEWHERE)


_OURS = "an empty folder or what `gbvnet synth` left there"
_ELSEWHERE = "Give another folder, or delete this one."


# ---------------------------------------------------------------- who rates what, and why


def _rng(config: SynthConfig, subject: int, experiment: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, subject, experiment, purpose])


@lru_cache(maxsize=4)
def plan(config: SynthConfig) -> tuple[Trial, ...]:
    """Every trial of the corpus, a person at a time, in the order of presentation."""
    return tuple(t for subject in range(1, config.subjects + 1) for t in _plan_of(config, subject))


def _plan_of(config: SynthConfig, subject: int) -> list[Trial]:
    rng = _rng(config, subject, 0, _PLAN)
    latents = {target: latent_pairs(config.trials, rng) for target in ("valence", "arousal")}
    clock = 1_700_000
    trials = []
    for i, experiment in enumerate(_scrambled(config.trials, rng)):
        planted = {target: pairs[i] for target, pairs in latents.items()}
        ratings = {target: rating(*pair, config) for target, pair in planted.items()}
        ratings |= {name.lower(): round(float(rng.uniform(1, 9)), 2) for name in RATINGS[2:]}  # tell nothing
        familiarity = float(rng.integers(1, 6))
        if subject not in NO_FAMILIARITY:
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


def _scrambled(n: int, rng: np.random.Generator) -> list[int]:
    """1 to n in an order in which, beyond one, not all are in their place: a join by number must be wrong."""
    order = 1 + rng.permutation(n)
    return np.roll(order, 1 if (order == 1 + np.arange(n)).all() else 0).tolist()


def latent_pairs(n: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """What face and signals show in each of n trials of a person, -1 to 1, both and their sum balanced about 0.

    One of the two is strong and the other weak. Where they disagree the strong one decides, so that a modality alone is
    right in three trials of four. Every pair has its contrary: as many high as low (of an even n).
    """
    kinds: list[tuple[bool, bool]] = []
    while 2 * len(kinds) < n:
        kinds += [(agree, face_leads) for agree in (True, False) for face_leads in (True, False)]
    pairs = []
    for agree, face_leads in rng.permutation(kinds)[: (n + 1) // 2]:
        for sign in rng.permutation([-1, 1]):
            strong, weak = sign * rng.uniform(0.75, 1.0), sign * rng.uniform(0.3, 0.55) * (1 if agree else -1)
            pairs.append((float(strong), float(weak)) if face_leads else (float(weak), float(strong)))
    return [pairs[i] for i in rng.permutation(n)]  # of an odd n, one contrary is left out


def rating(face: float, signals: float, config: SynthConfig) -> float:
    """1 to 9 with two decimals, never the undecided 5."""
    evidence = (config.face * face + config.signals * signals) / (config.face + config.signals)
    value = round(5 + 4 * evidence, 2)
    return value if value != 5 else (5.01 if evidence >= 0 else 4.99)


def _write_ratings(path: Path, config: SynthConfig) -> None:
    if path.exists():
        return
    names = (*RATINGS, "Familiarity")
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["Participant_id", "Trial", "Experiment_id", "Start_time", *names])
    for t in plan(config):
        rated = [f"{t.ratings[name.lower()]:g}" if name.lower() in t.ratings else "" for name in names]
        table.writerow([t.subject, t.trial, t.experiment, t.start_time, *rated])
    write_whole(path, text.getvalue().encode())


# ---------------------------------------------------------------- signals and video


def _signals(config: SynthConfig, trials: list[Trial]) -> tuple[np.ndarray, np.ndarray]:
    """A person's data (trials, 40, samples) and labels (trials, 4), in the order of Experiment_id."""
    trials = sorted(trials, key=lambda t: t.experiment)
    person = Body.of_person(config.fingerprint, _rng(config, trials[0].subject, 0, _BODY), config.evidence)
    data = [_signals_of(config, person, t) for t in trials]
    return np.stack(data), np.array([[t.ratings[name.lower()] for name in RATINGS] for t in trials])


def _signals_of(config: SynthConfig, person: Body, trial: Trial) -> np.ndarray:
    """(40, samples)"""
    drawn = _rng(config, trial.subject, trial.experiment, _BODY)
    body = person + Body.of_trial(config.fingerprint, drawn, config.evidence)
    rng = _rng(config, trial.subject, trial.experiment, _SIGNALS)
    valence, arousal = (config.effect * trial.signals[target] for target in ("valence", "arousal"))
    return signals_of_trial(body, valence, arousal, config.seconds, np.array(trial.blinks_s), rng, config.evidence)


@lru_cache(maxsize=1)
def _face(config: SynthConfig, subject: int) -> Face:
    return Face(_rng(config, subject, 0, _LOOK))


def _video(config: SynthConfig, trial: Trial) -> bytes:
    rng = partial(_rng, config, trial.subject, trial.experiment)
    valence, arousal = (config.effect * trial.face[target] for target in ("valence", "arousal"))
    mouth_only = config.face_evidence == "mouth"
    acting = act(valence, arousal, config.seconds, np.array(trial.blinks_s), rng(_ACTING), mouth_only)
    light = trial_light(config.fingerprint, rng(_LIGHT))
    return avi_bytes(_face(config, trial.subject).frames(acting, light))


def avi_bytes(frames: Iterable[np.ndarray]) -> bytes:
    """H.264 with B-frames in an AVI at 50 fps, as DEAP's videos are. frames: (HEIGHT, WIDTH, 3) uint8 RGB each."""
    import av

    # One thread and no adaptive choice of B-frames: the same bytes every time, and several videos at once instead.
    options = {"preset": "superfast", "crf": "23", "x264-params": "bframes=2:b-adapt=0:keyint=100:threads=1"}
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            # Left to the encoder, the conversion did not give the same bytes every time.
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return buffer.getvalue()


# ---------------------------------------------------------------- a pickle as Python 2 wrote it

# Opcodes of protocol 2 in the order that Python 2's cPickle used. No Python 3 writes byte strings this way (it has none
# to write), and a reader that meets only its own kind of pickle has not been tried.
_RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
_NDARRAY, _DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"


def dat_bytes(data: np.ndarray, labels: np.ndarray) -> bytes:
    """{'labels': labels, 'data': data} as cPickle of Python 2 pickled it with protocol 2. Both become float64."""
    # What is used again is remembered by number (q, "put") and fetched by it (h, "get").
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

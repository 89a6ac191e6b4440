"""What all synthetic corpora share: a folder that is theirs, files that are whole or absent, and ratings whose reasons
are known."""

import io
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...config import SynthConfig, to_dict
from ...errors import BadConfig, BadInput, GbvnetError
from ...io.atomic import atomic_write, is_empty, remove_stale_temp_files
from ...parallel.tasks import run
from ...provenance import SYNTHETIC
from ...text import did_you_mean
from ..deap import EEG
from ..recording import STAMP_FILE, UNFINISHED_FILE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SyntheticCorpus:
    """A synthetic corpus to write."""

    stamp: dict  # its settings, see `make_stamp`
    truth: dict  # further content of the stamp's file
    paths: tuple[str, ...]  # of all files, relative to the folder
    content: Callable[[str], bytes]  # path -> content; picklable: other processes call it


def write_corpus(
    root: Path, corpus: SyntheticCorpus, jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write a synthetic corpus, or what an interrupted call with the same settings left undone.

    jobs : number of processes; files do not depend on it
    progress : called with the numbers of finished and of all files
    Raises BadInput if the folder holds anything else, or cannot be written.
    """
    try:
        _prepare_folder(root, corpus)
        todo = [p for p in corpus.paths if not (root / p).exists()]
        done = len(corpus.paths) - len(todo)
        if done:
            log.info("%s: %d of %d files are there already", root, done, len(corpus.paths))
        for _, outcome in run(partial(_write_piece, root, corpus.content), todo, jobs):
            if isinstance(outcome, GbvnetError):
                raise outcome
            done += 1
            if progress:
                progress(done, len(corpus.paths))
        atomic_write(root / STAMP_FILE, _to_json(corpus.stamp | corpus.truth))
        (root / UNFINISHED_FILE).unlink(missing_ok=True)
    except OSError as e:
        raise BadInput(root, "a folder that can be written", e.strerror or e) from None


def _write_piece(root: Path, content: Callable[[str], bytes], path: str) -> None:
    """Write one file completely or not at all."""
    try:
        atomic_write(root / path, content(path))
    except OSError as e:
        raise BadInput(root / path, "a file that can be written", e.strerror or e) from None


def make_stamp(form: int, config: SynthConfig, **more: object) -> dict:
    """Return the format and settings of a corpus, which identify it.

    form : number of the format; it changes when the same settings write other files
    """
    # Settings without a value are left out: such a corpus has the same bytes as before the setting existed.
    settings = to_dict(config)
    common = {field.name for field in fields(SynthConfig)} - {"evidence", "face_evidence"}
    for field in fields(config):
        if field.name not in common and settings[field.name] == field.default:
            del settings[field.name]
    return {"stamp": SYNTHETIC, "format": form, "config": settings | more}


def require_eeg_channels(names: Iterable[str], known: Sequence[str] = EEG) -> None:
    """Raise BadConfig, with the nearest name, for an EEG channel that is not known."""
    for name in names:
        if name not in known:
            raise BadConfig(f"evidence: no EEG channel {name}; {did_you_mean(name, known)}")


def n_with_video(config: SynthConfig) -> int:
    """Return how many subjects, from the first on, have videos."""
    return config.subjects if config.videos is None else min(config.videos, config.subjects)


def _to_json(value: dict) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


# ---------------------------------------------------------------- the folder


def _prepare_folder(root: Path, corpus: SyntheticCorpus) -> None:
    """Create the folder, or check that it holds only this corpus. Raises BadInput for any other content."""
    if root.exists() and not root.is_dir():
        raise BadInput(root, "a folder", "a file", "Give another destination.")
    if not root.exists() or is_empty(root):
        root.mkdir(parents=True, exist_ok=True)
        atomic_write(root / UNFINISHED_FILE, _to_json(corpus.stamp))
    _require_same_settings(root, corpus.stamp)
    folders = {root, *((root / p).parent for p in corpus.paths)}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale_temp_files(folder)
    expected = {root / p for p in (*corpus.paths, STAMP_FILE, UNFINISHED_FILE)}
    others = sorted(f for f in root.rglob("*") if f.is_file() and f not in expected)
    if others:
        raise BadInput(root, _EXPECTED, f"{len(others)} other files, as {others[0].relative_to(root)}", _ELSEWHERE)


def _require_same_settings(root: Path, stamp: dict) -> None:
    marks = [f for f in (root / STAMP_FILE, root / UNFINISHED_FILE) if f.exists()]
    if not marks:
        raise BadInput(root, _EXPECTED, f"{min(f.name for f in root.iterdir())!r} and no {STAMP_FILE}", _ELSEWHERE)
    try:
        stamp_there = json.loads(marks[0].read_text())
        was, now = ({"corpus": None, "format": x["format"]} | x["config"] for x in (stamp_there, stamp))
    except (ValueError, KeyError, TypeError) as e:
        raise BadInput(marks[0], "the stamp of a synthetic corpus", f"a file that is none ({e})", _ELSEWHERE) from None
    changed = [key for key in {**now, **was} if was.get(key) != now.get(key)]
    if changed:
        setting = changed[0]
        raise BadInput(root, f"{setting} {now.get(setting)}", f"a corpus made with {was.get(setting)}", _ELSEWHERE)


_EXPECTED = "an empty folder or what `gbvnet synth` left there"
_ELSEWHERE = "Give another folder, or delete this one."


# ---------------------------------------------------------------- random numbers, and ratings with known reasons


def generator(config: SynthConfig, subject: int, stimulus: int, purpose: int) -> np.random.Generator:
    """Return a generator that depends only on seed, subject, stimulus and purpose, not on the order of calls."""
    return np.random.default_rng([config.seed, subject, stimulus, purpose])


def shuffled_order(n: int, rng: np.random.Generator) -> list[int]:
    """Return 1 to n in random order, never sorted (n > 1), so that a join by position is wrong."""
    order = 1 + rng.permutation(n)
    return np.roll(order, 1 if (order == 1 + np.arange(n)).all() else 0).tolist()


def latent_pairs(n: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Return the evidence of face and signals in each of n trials of a subject, -1 to 1, each and their sum balanced.

    One of the two is strong and the other weak. If they disagree, the strong one decides: one modality alone is right
    in three trials of four. Each pair has its negative, so an even n has as many positive as negative trials.
    """
    kinds: list[tuple[bool, bool]] = []
    while 2 * len(kinds) < n:
        kinds += [(agree, face_leads) for agree in (True, False) for face_leads in (True, False)]
    pairs = []
    for agree, face_leads in rng.permutation(kinds)[: (n + 1) // 2]:
        for sign in rng.permutation([-1, 1]):
            strong, weak = sign * rng.uniform(0.75, 1.0), sign * rng.uniform(0.3, 0.55) * (1 if agree else -1)
            pairs.append((float(strong), float(weak)) if face_leads else (float(weak), float(strong)))
    return [pairs[i] for i in rng.permutation(n)]  # of an odd n, one negative is left out


def rating_of(face: float, signals: float, config: SynthConfig) -> float:
    """Return the rating for two evidences, 1 to 9 with two decimals, never 5 (which has no class)."""
    evidence = (config.face * face + config.signals * signals) / (config.face + config.signals)
    value = round(5 + 4 * evidence, 2)
    return value if value != 5 else (5.01 if evidence >= 0 else 4.99)


# ---------------------------------------------------------------- signals and video


class BdfChannel(NamedTuple):
    """A channel of a BDF."""

    label: str
    unit: str  # Boolean: triggers, whole numbers without scaling
    limits: tuple[float, float]  # in its unit; the range of 24 bits
    samples: np.ndarray  # (N,), whole seconds


def bdf_bytes(traces: Iterable[BdfChannel], rate_hz: int) -> bytes:
    """Return a BDF file of channels of equal length, in records of one second."""
    from edfio import Bdf, BdfSignal

    signals = []
    for label, unit, limits, x in traces:
        signals.append(
            BdfSignal(
                np.clip(x, *limits),
                rate_hz,
                label=label,
                transducer_type="Triggers and Status" if unit == "Boolean" else "Active Electrode",
                physical_dimension=unit,
                physical_range=limits,
                prefiltering="No filtering" if unit == "Boolean" else "DC",
            )
        )
    file = io.BytesIO()
    Bdf(signals, data_record_duration=1).write(file)
    return file.getvalue()


def avi_bytes(frames: Iterable[np.ndarray], fps: Fraction | int, width: int, height: int, form: str = "avi") -> bytes:
    """Return an AVI of H.264 with B-frames, as in DEAP.

    frames : (height, width, 3) uint8 RGB each; form : of the container, as FFmpeg calls it
    """
    import av

    # One thread and no adaptive B-frames give the same bytes every time; several videos are encoded in parallel.
    options = {"preset": "superfast", "crf": "23", "x264-params": "bframes=2:b-adapt=0:keyint=100:threads=1"}
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            # The encoder's own conversion does not give the same bytes every time.
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return buffer.getvalue()

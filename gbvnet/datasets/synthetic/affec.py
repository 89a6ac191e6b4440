"""A synthetic AFFEC, in its layout of files with their irregularities, and with a known answer planted in it.

Felt ratings are planted; perceived ones follow the emotion of the film and disagree with them:

    valence    alpha of F3 and F4 in opposite directions; AU12_r up, AU04_r down
    arousal    fast activity of C3 and C4, slope of the skin conductance; AU01_r and AU05_r up

In every trial something happens 0.5 s after the start of the film that all streams show: a peak in Fp1, in the
conductance and in AU45_r. Each subject and trial also has gains of its own in all EEG channels.

Run 0, the practice, has events and ratings only: nobody reads more of it.
"""

import gzip
import io
import json
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from typing_extensions import override

from ...config import SynthConfig, require
from ...progress import ProgressCallback
from ..affec import EEG_HZ
from ..affec_streams import FACE_FEATURES
from .writer import (
    SyntheticCorpus,
    generator,
    latent_pairs,
    make_stamp,
    n_with_video,
    rating_of,
    shuffled_order,
    write_corpus,
)

FORMAT = 1  # of what is planted
EEG = tuple(
    """
    Fp1 Fpz Fp2 AF7 AF3 AFz AF4 AF8 F9 F7 F5 F3 F1 Fz F2 F4 F6 F8 F10 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 T7 C5 C3 C1 Cz
    C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2
    """.split()
)  # 63; which ones the real files have is not known
RUNS = (1, 2, 3)
EMOTIONS = {"ang": "anger", "dis": "disgust", "fea": "fear", "hap": "happy", "neu": "neutral", "sad": "sad"}
SENTENCES, LEVELS = ("ieo", "tie", "iom", "iwl", "tai"), ("lo", "md", "hi", "xx")
PERCEIVED = {"ang": (3, 7), "dis": (3, 6), "fea": (2, 7), "hap": (8, 6), "neu": (5, 3), "sad": (2, 3)}
LETTERS = "bcdfghjklmnpqrstvwxz"
# Seconds of each part of a trial, besides the film.
PARTS = {"first_fix": 2.5, "scenario": 2.0, "second_fix": 1.0, "video": 0.0, "last_frame_video": 0.4,
         "f_emotion_labelling": 1.5, "p_emotion_labelling": 1.5}  # fmt: skip
LEAD_S, TAIL_S, LATE_S = 3.0, 2.0, 1.7
EVENT_S, EVENT_SD_S = 0.5, 0.08  # of what all streams show, after the start of the film
GSR_HZ, FACE_HZ, CURSOR_HZ = 50.0, 38.0, 62.0
STATED_HZ = {"gsr": 50, "videostream": 40, "cursor": 62}
UNEVEN = 0.2  # of a step
ALPHA, FAST, SKIN_PER_S = 0.8, 0.8, 0.05  # log amplitudes, and microsiemens a second, at an evidence of 1
SUBJECT_GAIN, TRIAL_GAIN, EVIDENCE_SHARE = 0.2, 0.8, 0.15
GSR_COLUMNS = (
    "onset", "Timestamp_raw", "Timestamp_cal", "System_Timestamp_cal",
    *(f"{sensor}_{axis}_cal" for sensor in ("Accel_LN", "Accel_WR", "Gyro", "Mag") for axis in "XYZ"),
    "VSenseBatt_cal", "External_ADC_A7_cal", "Internal_ADC_A13_cal", "Pressure_cal", "Temperature_cal",
    "GSR_raw", "GSR_cal", "GSR_Conductance_cal",
)  # fmt: skip

# What a random number is for.
_PLAN, _BODY, _EEG, _GSR, _FACE, _CURSOR, _NAMES, _STEPS = range(1, 9)


@dataclass(frozen=True)
class Settings(SynthConfig):
    """A synthetic AFFEC. `videos` is the number of subjects with face features; there are no videos."""

    limits: ClassVar = {"subjects": 72, "trials": 84, "seconds": 30}

    clock: Literal["late", "own", "ambiguous"] = "late"
    """late: streams start 1.7 s after the run, and their onsets are seconds of the run; own: they start with the run,
    and their onsets at 1.7 s; ambiguous: as own, and nothing decides"""
    defects: bool = False
    """also what costs recordings: a run without skin conductance, a trial without ratings and one with two, a run that
    is cut, a stream of three columns, a JSON file without names of columns"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("evidence", "face_evidence"):
            require(getattr(self, name) is None, f"{name} must be left out: what a synthetic affec shows is fixed")
        require(self.videos is None or self.videos >= 0, f"videos must not be negative, and is {self.videos}")
        require(self.seconds >= 1, "seconds must be at least 1")


@dataclass(frozen=True)
class Trial:
    """One subject watching one film: ratings, and what is planted, -1 to 1."""

    subject: str
    run: int
    trial: int  # within the run
    stimulus: str
    start_s: float  # of the trial, on the run's clock
    film_s: float  # of the film
    ratings: dict[str, int]
    face: dict[str, float]
    signals: dict[str, float]

    @property
    def emotion(self) -> str:
        """The acted emotion, as film names have it."""
        return self.stimulus.split("_")[2]

    @property
    def stim_file(self) -> str:
        """The film as the tables have it."""
        _, sentence, emotion, _ = self.stimulus.split("_")
        return f"data/{emotion}_{sentence}/{self.stimulus}.mp4"


class RunPlan(NamedTuple):
    """A run of a subject: a number, and its trials."""

    subject: int
    run: int
    trials: tuple[Trial, ...]

    def seconds(self, config: Settings) -> int:
        """Length of the EEG."""
        return int(np.ceil(LEAD_S + len(self.trials) * _trial_s(config) + TAIL_S))


def _trial_s(config: Settings) -> float:
    return sum(PARTS.values()) + config.seconds


def write(root: Path, config: Settings, jobs: int = 1, progress: ProgressCallback | None = None) -> None:
    """Write a synthetic AFFEC, as `write_synthetic` says."""
    stamp = make_stamp(FORMAT, config, corpus="affec")
    corpus = SyntheticCorpus(stamp, truth(config), tuple(_paths(config)), partial(_content, config))
    write_corpus(Path(root), corpus, jobs, progress)


def truth(config: Settings) -> dict[str, Any]:
    """Return the content of SYNTHETIC.json besides its stamp: the trials' length, and what is planted in each."""
    trials = [vars(t) for run in plan(config) for t in run.trials]
    return {"trials": config.trials, "seconds": config.seconds, "event_s": EVENT_S, "truth": trials}


# ---------------------------------------------------------------- trials


@lru_cache(maxsize=4)
def plan(config: Settings) -> tuple[RunPlan, ...]:
    """Return the runs 1 to 3 of all subjects; runs without a trial are left out."""
    return tuple(run for subject in range(1, config.subjects + 1) for run in _plan_subject(config, subject))


@lru_cache(maxsize=4)
def subject_names(config: Settings) -> tuple[str, ...]:
    """Return the names of the subjects: three or four letters, in alphabetical order."""
    rng = np.random.default_rng([config.seed, 0, 0, _NAMES])
    codes = rng.permutation(len(LETTERS) ** 3)[: config.subjects]
    n = len(LETTERS)
    names = [LETTERS[c % n] + "a" * (c % 2) + LETTERS[c // n % n] + LETTERS[c // n**2] for c in codes.tolist()]
    return tuple(sorted(names))


def stimuli(n: int) -> list[str]:
    """Return the films of n trials, the same for all subjects: six emotions in turn."""
    emotions = list(EMOTIONS)
    return [f"{1001 + k}_{SENTENCES[k % len(SENTENCES)]}_{emotions[k % 6]}_{LEVELS[k % len(LEVELS)]}" for k in range(n)]


def _plan_subject(config: Settings, subject: int) -> list[RunPlan]:
    rng = generator(config, subject, 0, _PLAN)
    latents = {target: latent_pairs(config.trials, rng) for target in ("valence", "arousal")}
    order = shuffled_order(config.trials, rng)
    films, name = stimuli(config.trials), subject_names(config)[subject - 1]
    of_run: dict[int, list[Trial]] = {run: [] for run in RUNS}
    per_run = -(-config.trials // len(RUNS))
    for i, film in enumerate(order):
        planted = {target: pairs[i] for target, pairs in latents.items()}
        trials = of_run[RUNS[i // per_run]]
        begin = round(LEAD_S + len(trials) * _trial_s(config) + float(rng.uniform(0, 0.05)), 3)
        before = sum(PARTS[flag] for flag in ("first_fix", "scenario", "second_fix"))
        felt = {target: _whole(rating_of(*pair, config)) for target, pair in planted.items()}
        stimulus = films[film - 1]
        rated = [int(np.clip(x + rng.integers(-1, 2), 1, 9)) for x in PERCEIVED[stimulus.split("_")[2]]]
        perceived = dict(zip(("perceived_valence", "perceived_arousal"), rated, strict=True))
        trials.append(Trial(
            name, RUNS[i // per_run], len(trials) + 1, stimulus, begin, round(begin + before, 3), felt | perceived,
            {target: round(pair[0], 4) for target, pair in planted.items()},
            {target: round(pair[1], 4) for target, pair in planted.items()},
        ))  # fmt: skip
    return [RunPlan(subject, run, tuple(trials)) for run, trials in of_run.items() if trials]


def _whole(rating: float) -> int:
    """A whole number on the same side of the middle."""
    return int(np.clip(np.ceil(rating) if rating > 5 else np.floor(rating), 1, 9))


# ---------------------------------------------------------------- files


def _paths(config: Settings) -> list[str]:
    paths = ["dataset_description.json", "participants.tsv"]
    for subject, name in enumerate(subject_names(config), 1):
        paths += [f"{_base(name, 0)}_events.tsv", f"{_base(name, 0, 'beh/')}_beh.tsv"]
        for run in (run for run in plan(config) if run.subject == subject):
            paths += [f"{_base(name, run.run)}_events.tsv", f"{_base(name, run.run, 'beh/')}_beh.tsv"]
            paths.append(f"{_base(name, run.run, 'eeg/')}_eeg.edf")
            for kind in _kinds(config, run):
                stem = f"{_base(name, run.run, 'beh/')}_recording-{kind}_physio"
                paths += [f"{stem}.tsv.gz", f"{stem}.json"]
    return paths


def _base(name: str, run: int, folder: str = "") -> str:
    return f"sub-{name}/{folder}sub-{name}_task-fer_run-{run}"


def _kinds(config: Settings, run: RunPlan) -> list[str]:
    kinds = ["cursor"]
    if not (config.defects and (run.subject, run.run) == (2, 1)):
        kinds.append("gsr")
    return kinds + (["videostream"] if run.subject <= n_with_video(config) else [])


def _content(config: Settings, path: str) -> bytes:
    if path == "dataset_description.json":
        return _json({"Name": "synthetic AFFEC", "BIDSVersion": "1.8.0", "License": "CC0"})
    if path == "participants.tsv":
        return _participants(config)
    name = path.split("/")[0].removeprefix("sub-")
    subject, number = subject_names(config).index(name) + 1, int(path.split("_run-")[1].split("_")[0])
    run = _practice(config, subject) if number == 0 else _run(config, subject, number)
    if path.endswith("_events.tsv"):
        return _events(config, run)
    if path.endswith("_beh.tsv"):
        return _ratings(config, run)
    if path.endswith("_eeg.edf"):
        return _edf(config, run)
    kind = path.split("_recording-")[1].split("_")[0]
    return _sidecar(config, run, kind) if path.endswith(".json") else _stream(config, run, kind)


def _run(config: Settings, subject: int, number: int) -> RunPlan:
    return next(run for run in plan(config) if (run.subject, run.run) == (subject, number))


def _practice(config: Settings, subject: int) -> RunPlan:
    """The practice: sad, neutral, happy, fear."""
    films = [f"109{k}_ieo_{emotion}_md" for k, emotion in enumerate(("sad", "neu", "hap", "fea"))]
    ratings = {"valence": 5, "arousal": 5, "perceived_valence": 5, "perceived_arousal": 5}
    starts = [LEAD_S + k * _trial_s(config) for k in range(len(films))]
    trials = [
        Trial(subject_names(config)[subject - 1], 0, k + 1, film, start, start + 5.5, ratings, {}, {})
        for k, (film, start) in enumerate(zip(films, starts, strict=True))
    ]
    return RunPlan(subject, 0, tuple(trials))


def _participants(config: Settings) -> bytes:
    head = 'participant_id\tO\tC\tE\tA\tN\tgender\t"age "\thandedness\teducation\teng_prof\tglass\tlux\ttem\tex'
    lines = [
        f"{name}\t36\t32\t28\t34\t22\t{'fm'[k % 2]}\t{20 + k % 16}\tright\tbachelor\tgood\tno\t300\t22\tno"
        for k, name in enumerate(subject_names(config))
    ]
    return ("\n".join([head, *lines]) + "\n").encode()


def _events(config: Settings, run: RunPlan) -> bytes:
    lines = ["onset\tduration\ttrial_type\tflag\tsubject\trun\ttrial\tlocal_time\tstim_file"]
    cut = config.defects and (run.subject, run.run) == (1, 3)
    for t in run.trials:
        at = t.start_s
        rows = [("trial", at, 0.0)]
        for flag, part in PARTS.items():
            length = part or float(config.seconds)
            rows.append((flag, at, length))
            at = round(at + length, 3)
        if cut and t is run.trials[-1]:
            rows = rows[:5]  # nothing after the start of the film
        for flag, onset, length in rows:
            shown = "n/a" if (flag, t.trial) == ("second_fix", 1) else f"{onset:.3f}"
            lines.append(
                f"{shown}\t{length:g}\t{EMOTIONS[t.emotion]}\t{flag}\t{t.subject}\t{t.run}\t{t.trial}\t"
                f"2024-03-05 10:{int(onset) // 60 % 60:02d}:{int(onset) % 60:02d}\t{t.stim_file}"
            )
    return ("\n".join(lines) + "\n").encode()


def _ratings(config: Settings, run: RunPlan) -> bytes:
    names = ("p_emotion_a", "p_emotion_v", "f_emotion_a", "f_emotion_v")
    of = ("perceived_arousal", "perceived_valence", "arousal", "valence")
    lines = ["\t".join(["stim_file", "trial", "trial_type", *names, "p_emotion_at", "p_emotion_vt"])]
    for t in reversed(run.trials):  # in another order than the events
        cells = [t.stim_file, t.trial, EMOTIONS[t.emotion], *(t.ratings[label] for label in of), 1.9, 2.4]
        line = "\t".join(map(str, cells))
        odd = config.defects and (run.subject, run.run) == (1, 2)
        lines += [] if odd and t.trial == 1 else [line, line] if odd and t.trial == 2 else [line]
    return ("\n".join(lines) + "\n").encode()


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


# ---------------------------------------------------------------- EEG


def _edf(config: Settings, run: RunPlan) -> bytes:
    from edfio import Edf, EdfSignal

    limits = (-800.0, 800.0)
    signals = [
        EdfSignal(np.clip(x, *limits), EEG_HZ, label=name, physical_dimension="uV", physical_range=limits,
                  prefiltering="HP:0.1Hz", transducer_type="AgAgCl electrode")
        for name, x in zip(EEG, eeg_of_run(config, run), strict=True)
    ]  # fmt: skip
    file = io.BytesIO()
    Edf(signals, data_record_duration=1).write(file)
    return file.getvalue()


def eeg_of_run(config: Settings, run: RunPlan) -> np.ndarray:
    """Return the EEG (63, N) of a run, in microvolts."""
    rng = generator(config, run.subject, run.run, _EEG)
    n = run.seconds(config) * int(EEG_HZ)
    time_s = np.arange(n) / EEG_HZ
    gain, alpha, fast = np.zeros((len(EEG), n)), np.zeros((len(EEG), n)), np.zeros((len(EEG), n))
    gain += _gains(config, run.subject, 0)[:, None] * SUBJECT_GAIN
    bump = np.zeros(n)
    for t in run.trials:
        during = slice(round(t.start_s * EEG_HZ), round((t.start_s + _trial_s(config)) * EEG_HZ))
        gain[:, during] += _gains(config, run.subject, 100 * t.run + t.trial)[:, None] * TRIAL_GAIN
        film = np.clip((time_s - t.film_s) / 0.25, 0, 1) * (time_s < t.film_s + config.seconds)
        for left, right in (("F3", "F4"), ("F7", "F8")):
            alpha[EEG.index(left)] -= ALPHA * config.effect * t.signals["valence"] * film
            alpha[EEG.index(right)] += ALPHA * config.effect * t.signals["valence"] * film
        for name in ("C3", "C4", "Cz"):
            fast[EEG.index(name)] += FAST * config.effect * t.signals["arousal"] * film
        bump += 150 * _event(time_s, t)
    x = 6 * _noise((len(EEG), n), (1, 40), rng, 1.0) + 8 * np.exp(alpha) * _noise((len(EEG), n), (8, 12), rng)
    x += 5 * np.exp(fast) * _noise((len(EEG), n), (18, 35), rng)
    x *= np.exp(gain)
    x[EEG.index("Fp1")] += bump
    return x


def _event(time_s: np.ndarray, trial: Trial) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * ((time_s - trial.film_s - EVENT_S) / EVENT_SD_S) ** 2))


def _gains(config: Settings, subject: int, trial: int) -> np.ndarray:
    share = np.where(np.isin(EEG, ("F3", "F4", "F7", "F8", "C3", "C4", "Cz")), EVIDENCE_SHARE, 1.0)
    return config.fingerprint * share * generator(config, subject, trial, _BODY).standard_normal(len(EEG))


def _noise(
    shape: tuple[int, int], band_hz: tuple[float, float], rng: np.random.Generator, tilt: float = 0.0
) -> np.ndarray:
    """Return noise (C, N) of SD 1 in a band, whose amplitude falls with the frequency to the power `tilt`."""
    hz = np.fft.rfftfreq(shape[1], 1 / EEG_HZ)
    amplitude = np.where((hz >= band_hz[0]) & (hz <= band_hz[1]), np.maximum(hz, band_hz[0]) ** -tilt, 0.0)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(shape)) * amplitude, shape[1])
    return np.asarray(noise / noise.std(axis=1, keepdims=True))


# ---------------------------------------------------------------- streams


def _sidecar(config: Settings, run: RunPlan, kind: str) -> bytes:
    names = {"gsr": GSR_COLUMNS, "cursor": ("onset", "CX", "CY", "CS"), "videostream": OPENFACE}[kind]
    about: dict[str, Any] = {"SamplingFrequency": STATED_HZ[kind]}
    if config.clock != "ambiguous":
        about["StartTime"] = LATE_S if config.clock == "late" else 0.0
    cut = kind == "videostream" and run.run == 2 and (run.subject == 1 or config.defects)
    if not (config.defects and kind == "gsr" and (run.subject, run.run) == (3, 1)):
        about["Columns"] = list(names[:190] if cut else names)
    return _json(about)


def stream_times(config: Settings, run: RunPlan, kind: str) -> tuple[np.ndarray, float]:
    """Return the times of a stream's lines on the run's clock, (T,), and what is added to them in its file."""
    rate_hz = {"gsr": GSR_HZ, "videostream": FACE_HZ, "cursor": CURSOR_HZ}[kind]
    rng = generator(config, run.subject, 10 * run.run + len(kind), _STEPS)
    first = LATE_S if config.clock == "late" else 0.0
    last = run.seconds(config) - (0.85 if config.clock == "ambiguous" else 0.05)
    n = int((last - first) * rate_hz)
    steps = (1 + UNEVEN * rng.uniform(-1, 1, n)) / rate_hz
    times = first + np.concatenate([[0.0], np.cumsum(steps)])
    return times, 0.0 if config.clock == "late" else LATE_S


def _stream(config: Settings, run: RunPlan, kind: str) -> bytes:
    times, added = stream_times(config, run, kind)
    onsets = [f"{t:.4f}" for t in (times + added).tolist()]
    if kind == "cursor":
        lines = _cursor_lines(config, run, times)
    elif kind == "gsr":
        lines = _gsr_lines(config, run, times)
    else:
        lines = _face_lines(config, run, times)
    rows = [f"{onset}\t{line}" for onset, line in zip(onsets, lines, strict=True)]
    if kind == "gsr" and run.run == 1:  # a stray line of names, as some files have
        rows.insert(0, "\t".join(GSR_COLUMNS))
    if kind == "videostream" and run.run == 1:  # and one of three fields
        rows.insert(0, "1\t2\t3")
    if config.defects and kind == "videostream" and (run.subject, run.run) == (1, 1):
        rows = ["\t".join(row.split("\t")[:3]) for row in rows]
    return gzip.compress(("\n".join(rows) + "\n").encode(), compresslevel=3, mtime=0)


def _cursor_lines(config: Settings, run: RunPlan, times: np.ndarray) -> list[str]:
    """The cursor moves while ratings are given, and not at all if the clock is ambiguous."""
    rng = generator(config, run.subject, run.run, _CURSOR)
    moves = np.zeros(len(times), np.bool_)
    for t in run.trials:
        begin = t.film_s + config.seconds + PARTS["last_frame_video"]
        moves |= (times >= begin) & (times < begin + PARTS["f_emotion_labelling"] + PARTS["p_emotion_labelling"])
    steps = rng.uniform(-0.02, 0.02, (len(times), 2)) * (moves & (config.clock != "ambiguous"))[:, None]
    places = 1 - np.abs((0.5 + np.cumsum(steps, axis=0)) % 2 - 1)  # it turns at the screen's edges
    return [f"{x:.4f}\t{y:.4f}\t0" for x, y in places.tolist()]


def conductance_of_run(config: Settings, run: RunPlan, times: np.ndarray) -> np.ndarray:
    """Return the skin conductance at times of the run, (T,), in microsiemens."""
    rng = generator(config, run.subject, run.run, _GSR)
    level = (
        np.full(len(times), 2.75) + 0.3 * config.fingerprint * generator(config, run.subject, 0, _GSR).standard_normal()
    )
    for t in run.trials:
        since = np.clip(times - t.film_s, 0, config.seconds)
        rise = SKIN_PER_S * config.effect * t.signals["arousal"] * since
        back = np.clip((times - t.film_s - config.seconds) / 3, 0, 1)
        level += rise * (1 - back) + 0.6 * _event(times, t)
    return np.maximum(level + 0.003 * rng.standard_normal(len(times)), 0.1)


def _gsr_lines(config: Settings, run: RunPlan, times: np.ndarray) -> list[str]:
    conductance = np.round(conductance_of_run(config, run, times), 5)
    return [
        f"{t * 32768:.0f}\t{1000 * t:.3f}\t{1.7e12 + 1000 * t:.1f}\t"
        + "0.1\t0.2\t9.8\t" * 4
        + f"3900\t1.2\t1400\t101.2\t31.5\t2000\t{1000 / c:.5f}\t{c:.5f}"
        for t, c in zip(times.tolist(), conductance.tolist(), strict=True)
    ]


# OpenFace 2's columns in its order; 715 with the onset.
OPENFACE = (
    "onset", "frame", "face_id", "timestamp", "confidence", "success",
    *FACE_FEATURES[35:43],
    *(f"eye_lmk_{axis}_{k}" for axis in "xyXYZ" for k in range(56)),
    *FACE_FEATURES[43:],
    *(f"{axis}_{k}" for axis in "xyXYZ" for k in range(68)),
    "p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty", *(f"p_{k}" for k in range(34)),
    *FACE_FEATURES[:35],
)  # fmt: skip


def face_of_run(config: Settings, run: RunPlan, times: np.ndarray) -> np.ndarray:
    """Return `success` and the features of each frame, (T, 1 + 49)."""
    rng = generator(config, run.subject, run.run, _FACE)
    of_subject = generator(config, run.subject, 0, _FACE).standard_normal(len(FACE_FEATURES))
    x = 0.1 * config.fingerprint * of_subject + 0.15 * rng.standard_normal((len(times), len(FACE_FEATURES)))
    level = dict.fromkeys(FACE_FEATURES, 0.0) | {f: 0.6 for f in FACE_FEATURES if f.endswith("_r")}
    x += np.array([*level.values()])
    for t in run.trials:
        film = (times >= t.film_s) & (times < t.film_s + config.seconds)
        for name, target, sign in (("AU12_r", "valence", 1), ("AU06_r", "valence", 1), ("AU04_r", "valence", -1),
                                   ("AU01_r", "arousal", 1), ("AU05_r", "arousal", 1)):  # fmt: skip
            x[:, FACE_FEATURES.index(name)] += 0.5 * sign * config.effect * t.face[target] * film
        x[:, FACE_FEATURES.index("AU45_r")] += 4 * _event(times, t)
    units = [k for k, name in enumerate(FACE_FEATURES) if name.endswith("_r")]
    x[:, units] = x[:, units].clip(0, 5)
    for k in (k for k, name in enumerate(FACE_FEATURES) if name.endswith("_c")):
        intensity = FACE_FEATURES.index(FACE_FEATURES[k].replace("_c", "_r")) if "AU28" not in FACE_FEATURES[k] else k
        x[:, k] = x[:, intensity] > 1
    success = (rng.random(len(times)) > 0.01).astype(float)
    return np.column_stack([success, x])


def _face_lines(config: Settings, run: RunPlan, times: np.ndarray) -> list[str]:
    values = face_of_run(config, run, times)
    eyes, marks, shape = "\t".join(["310.5"] * 280), "\t".join(["250.2"] * 340), "\t".join(["0.01"] * 40)
    lines = []
    for k, (t, row) in enumerate(zip(times.tolist(), values.tolist(), strict=True)):
        text = [f"{x:.3f}" for x in row[1:]]
        lines.append("\t".join([
            f"{k + 1}\t0\t{t:.3f}\t{0.98 if row[0] else 0.05}\t{row[0]:.0f}", *text[35:43], eyes, *text[43:], marks,
            shape, *text[:35],
        ]))  # fmt: skip
    return lines

"""A synthetic MAHNOB-HCI, in the layout and the formats of the real one, with a known answer planted in it.

What is planted is as in the synthetic DEAP (synthetic.py), but in the channels that this corpus has. On top of it every
session has a video offset of its own, which only the gaze table and session.xml together tell; SYNTHETIC.json tells it
too, so that a reader can be measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import cv2
import numpy as np
from scipy.signal import resample_poly
from typing_extensions import override

from ...config import SynthConfig, require
from ...progress import ProgressCallback
from ..deap import EEG
from ..formats.bdf import STATUS
from ..label_columns import Label
from ..mahnob import BDF_RATE_HZ, FILMS, PADDING_S
from ..mahnob_continuous import FILE, RATE_HZ, SESSIONS_PER_SUBJECT
from ..mahnob_continuous import LABELS as CELLS
from ..mahnob_continuous import TRIALS as ROWS
from ..mahnob_session import EMOTION, EMOTIONS, RATINGS
from . import signals as physiology
from . import writer
from .affect_curve import Curve, curve_at, draw_curve
from .face import FPS, HEIGHT, WIDTH, Acting, Face, act_trial, trial_light
from .matlab_file import cells, mat_bytes
from .signals import Physiology
from .writer import (
    BdfChannel,
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

FORMAT = 3  # of what is planted; a corpus of another format is another corpus, even with the same settings
SUBJECTS = tuple(n for n in range(1, 31) if n not in (12, 15, 26))  # who has whole recordings in the real corpus
VIDEO_FPS, VIDEO_SIZE = Fraction(6097, 100), (780, 580)
AUDIO_HZ, GAZE_HZ = 44_100, 60
PULSE = 16  # on Status, otherwise 0: marks start and end of the film
FLASH_S = 0.15

# All of a BDF's channels, as the amplifier orders them, and the units that its header names.
BDF = {
    **dict.fromkeys((*EEG, *(f"EXG{k}" for k in range(1, 9))), "uV"),
    **{"GSR1": "Ohm", "GSR2": "Ohm", "Erg1": "uV", "Erg2": "uV", "Resp": "uV", "Temp": "Degree C", STATUS: "Boolean"},
}

# What a random number is for.
_PLAN, _LOOK, _BODY, _ACTING, _LIGHT, _SIGNALS, _CLOCKS, _CURVE = range(1, 9)
TRIAL_SHARE = 0.4  # of the rating's evidence for valence, where there is a curve beside it


@dataclass(frozen=True)
class Settings(SynthConfig):
    """A synthetic MAHNOB-HCI.

    It has what DEAP has not: stimuli of different lengths, 30 s of signals before and after each, a video that starts
    at another moment each time, ratings in whole numbers, and two sessions that are no recordings. `seconds` is the
    length of the shortest stimulus; the others are up to 2 s longer.
    """

    limits: ClassVar = {"subjects": len(SUBJECTS), "trials": len(FILMS), "seconds": 115}

    mark_s: float | None = None
    """second of each stimulus at which the video flashes and all electrodes jump, to measure their synchrony"""
    continuous: bool = False
    """also write annotators' valence over time, lable_continous_Mahnob.mat, which face and signals follow"""
    lag_s: float = 2.4
    """seconds by which that valence comes later than what face and signals show"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.lag_s <= 20, f"lag_s must be 0 to 20, not {self.lag_s}")
        require(self.continuous or self.lag_s == 2.4, f"lag_s is {self.lag_s} and needs continuous")


@dataclass(frozen=True)
class Trial:
    """One participant watching one film: ratings, planted evidence for valence and arousal (-1 to 1), and clocks."""

    subject: int  # 1, 2, ..., with gaps, as in the real corpus
    trial: int  # order of presentation, 1, 2, ...
    film: str
    seconds: float  # between the pulses
    video_start_s: float  # the film's start on the video's clock; negative where the video begins after it
    ratings: dict[str, Label]  # whole numbers, and the felt emotion
    face: dict[str, float]
    signals: dict[str, float]
    blinks_s: list[float]

    @property
    def session(self) -> int:
        """The number of the session, as in the real corpus."""
        return (self.subject - 1) * SESSIONS_PER_SUBJECT + 2 * self.trial

    @property
    def n_frames(self) -> int:
        """Number of frames of the video, which ends a second after the film."""
        return int(np.ceil((self.video_start_s + self.seconds + 1) * VIDEO_FPS))

    @property
    def files(self) -> dict[str, str]:
        """Kind -> name of the session's files; the section numbers the sessions of a participant."""
        part, section = f"P{self.subject}-Rec1-", f"_Section_{2 * self.trial}"
        return {
            "bdf": f"Part_{self.subject}_S_Trial{self.trial}_emotion.bdf",
            "video": f"{part}2009.07.09.17.53.46_C1 trigger _C{section}.avi",
            "gaze": f"{part}All-Data-New{section}.tsv",
        }


@dataclass(frozen=True)
class OtherSession:
    """A session that is not a recording: only its description is written."""

    subject: int
    attributes: dict[str, str]  # the attributes of its session.xml
    bdf: str = ""  # as session.xml names it


def write(root: Path, config: Settings, jobs: int = 1, progress: ProgressCallback | None = None) -> None:
    """Write a synthetic MAHNOB-HCI, as `write_synthetic` says. Raises BadConfig for an unknown EEG channel."""
    require_eeg_channels(config.evidence or ())
    stamp = make_stamp(FORMAT, config, corpus="mahnob")
    corpus = SyntheticCorpus(stamp, truth(config), _paths(config), partial(_content, config))
    write_corpus(Path(root), corpus, jobs, progress)


def truth(config: SynthConfig) -> dict:
    """Return the content of SYNTHETIC.json besides its stamp: the films' lengths, and what is planted in each trial."""
    continuous = isinstance(config, Settings) and config.continuous
    return {
        "trials": config.trials,
        "seconds": config.seconds,
        "films": films(config),
        **({"lag_s": config.lag_s} if isinstance(config, Settings) and continuous else {}),
        "truth": [
            vars(t)
            | {"subject": f"p{t.subject:02d}", "recording": f"p{t.subject:02d}_s{t.session}"}
            | ({"curve": curve_of(config, t), "moved": is_moved(config, t)} if continuous else {})
            for t in plan(config)
        ],
    }


def films(config: SynthConfig) -> dict[str, int]:
    """Return film -> length in whole seconds; lengths differ, as in the real corpus."""
    return {name: config.seconds + k % 3 for k, name in enumerate(list(FILMS)[: config.trials])}


def _paths(config: SynthConfig) -> tuple[str, ...]:
    with_video = SUBJECTS[: n_with_video(config)]
    paths = [f"Sessions/{number}/session.xml" for number in _other_sessions()]
    for t in plan(config):
        names = ["session.xml", *(name for kind, name in t.files.items() if kind != "video" or t.subject in with_video)]
        paths += [f"Sessions/{t.session}/{name}" for name in names]
    return (*paths, *([FILE] if isinstance(config, Settings) and config.continuous else []))


def _other_sessions() -> dict[int, OtherSession]:
    """Return sessions that are not recordings, of each kind in the real corpus; only session.xml is written."""
    film = {"experimentType": "emotion elicitation", "isStim": "1"}
    felt = {"feltVlnc": "5", "feltArsl": "5", "feltCtrl": "5", "feltPred": "5", "feltEmo": "0"}
    return {
        1: OtherSession(1, {"experimentType": "emotion elicitation", "isStim": "0"}, "Part_1_N_Trial1_emotion.bdf"),
        41: OtherSession(1, {"experimentType": "image tagging", "isStim": "1"}, "Part_1_taggingImages1.bdf"),
        45: OtherSession(1, {"experimentType": "video tagging", "isStim": "1"}, "Part_1_taggingVideos.bdf"),
        47: OtherSession(1, {"experimentType": "video tagging", "isStim": "1"}),  # a stub
        1432: OtherSession(12, film | {"mediaFile": "69.avi"}, "Part_12_S_Trial1_emotion.bdf"),  # nothing was rated
        1984: OtherSession(
            16, film | felt, "Part_16_S_Trial17_emotion.bdf"
        ),  # without a film's name, and without a BDF
    }


def _content(config: Settings, path: str) -> bytes:
    if path == FILE:
        return mat_bytes(_continuous(config))
    _, session, name = path.split("/")
    if int(session) in _other_sessions():
        other = _other_sessions()[int(session)]
        return _xml({"sessionId": session} | other.attributes, other.subject, {"bdf": other.bdf} if other.bdf else {})
    trial = next(t for t in plan(config) if t.session == int(session))
    if name == "session.xml":
        return session_xml(config, trial)
    if name.endswith(".tsv"):
        return gaze_tsv(config, trial)
    if name.endswith(".bdf"):
        return bdf_bytes(_signals(config, trial), BDF_RATE_HZ)
    return avi_bytes(_frames(config, trial), VIDEO_FPS, *VIDEO_SIZE)


# ---------------------------------------------------------------- ratings and their reasons


@lru_cache(maxsize=4)
def plan(config: SynthConfig) -> tuple[Trial, ...]:
    """Return all trials of the corpus, by participant, in the order of presentation."""
    return tuple(t for subject in SUBJECTS[: config.subjects] for t in _plan_subject(config, subject))


def _plan_subject(config: SynthConfig, subject: int) -> list[Trial]:
    rng = generator(config, subject, 0, _PLAN)
    latents = {target: latent_pairs(config.trials, rng) for target in ("valence", "arousal")}
    lengths = films(config)
    trials = []
    for i, place in enumerate(shuffled_order(config.trials, rng)):
        film = list(lengths)[place - 1]
        planted = {target: pairs[i] for target, pairs in latents.items()}
        ratings: dict[str, Label] = {t: _integer_rating(rating_of(*pair, config)) for t, pair in planted.items()}
        ratings |= {name: int(rng.integers(1, 10)) for name in ("control", "predictability")}  # tell nothing
        ratings["emotion"] = _emotion(ratings)
        # Between the pulses there is up to 0.1 s more than the film's length, different in each trial.
        seconds = lengths[film] + int(rng.integers(0, 26)) / BDF_RATE_HZ
        blinks_s = np.cumsum(rng.uniform(1.5, 6, 100))
        trials.append(
            Trial(
                subject=subject,
                trial=i + 1,
                film=film,
                seconds=seconds,
                video_start_s=round(float(rng.uniform(-0.2, 1.5)), 4),
                ratings=ratings,
                face={target: round(pair[0], 4) for target, pair in planted.items()},
                signals={target: round(pair[1], 4) for target, pair in planted.items()},
                blinks_s=[round(float(b), 3) for b in blinks_s if b < seconds],
            )
        )
    return trials


def _emotion(ratings: dict[str, Label]) -> str:
    """Return a felt emotion that fits valence and arousal, each either high or low."""
    high = float(ratings["valence"]) > 5, float(ratings["arousal"]) > 5
    emotions = {(True, True): "joy", (True, False): "amusement", (False, True): "fear", (False, False): "sadness"}
    return emotions[high]


def _integer_rating(value: float) -> int:
    """Return a rating rounded away from 5 to a whole number of 1 to 9: its class does not change."""
    return int(np.ceil(value) if value > 5 else np.floor(value))


# ---------------------------------------------------------------- annotators' valence over time


def curve_of(config: SynthConfig, trial: Trial) -> Curve:
    """Return the curve that face and signals follow in a trial, where continuous valence is written."""
    return draw_curve(generator(config, trial.subject, trial.trial, _CURVE))


def is_moved(config: SynthConfig, trial: Trial) -> bool:
    """Return whether the annotators' valence changes in a trial: not in the last of each subject, of several."""
    return trial.trial < config.trials or config.trials == 1


def _valence(config: Settings, trial: Trial, evidence: float, time_s: np.ndarray) -> float | np.ndarray:
    """Return the evidence for valence at seconds of the film, (T,), before `effect`; one number without a curve."""
    if not config.continuous:
        return evidence
    return TRIAL_SHARE * evidence + curve_at(curve_of(config, trial), time_s)


def _continuous(config: Settings) -> dict[str, Any]:
    """Return the variables of the file of continuous labels: of all trials, and of one that is not in the corpus."""
    values, rows = [], []
    for t in plan(config):
        time_s = np.arange(int(t.seconds * RATE_HZ)) / RATE_HZ
        moved = curve_at(curve_of(config, t), time_s - config.lag_s) if is_moved(config, t) else np.zeros(len(time_s))
        values.append((0.8 * moved).round(4)[None])
        rows.append((t.subject, 2 * t.trial))
    values.append(np.zeros((1, RATE_HZ * config.seconds)))
    rows.append((max(SUBJECTS), 2 * len(FILMS)))
    return {CELLS: cells(values), ROWS: np.array(rows, float)}


# ---------------------------------------------------------------- session.xml and the gaze table


@dataclass(frozen=True)
class Clocks:
    """The clocks of a session at the start of its section and of its film."""

    first_frame: float  # of the video file, counted from the start of the camera
    first_sample: float  # of the audio file, counted from its start
    gaze_ms: float  # on the gaze clock, when the film started
    start_s: float  # the film's start, after the section's

    def audio_sample(self, film_s: float) -> float:
        """Return the audio clock's sample at a second of the film."""
        return self.first_sample + (self.start_s + film_s) * AUDIO_HZ


def draw_clocks(config: SynthConfig, trial: Trial) -> Clocks:
    """Return the random clocks of a session."""
    rng = generator(config, trial.subject, trial.trial, _CLOCKS)
    frame, sample, gaze = rng.uniform([1e3, 1e6, 1e4], [1e5, 1e8, 1e6])
    return Clocks(float(round(frame)), round(float(sample), 2), float(round(gaze)), trial.video_start_s)


def session_xml(config: SynthConfig, trial: Trial) -> bytes:
    """Return a session's description with the attributes and children of the real ones."""
    at, length_s = draw_clocks(config, trial), trial.n_frames / VIDEO_FPS
    attributes = {
        "sessionId": trial.session,
        "date": "2009/07/09",
        "time": "17:53:46",
        "experimentType": "emotion elicitation",
        "isStim": 1,
        EMOTION: next(code for code, name in EMOTIONS.items() if name == trial.ratings["emotion"]),
        **{attribute: trial.ratings[name] for name, attribute in RATINGS.items()},
        "cutNr": 2 * trial.trial,
        "cutLenSec": f"{float(length_s):.2f}",
        "vidRate": f"{float(VIDEO_FPS):g}",
        "audRate": AUDIO_HZ,
        "vidBeginSmp": f"{at.first_frame:.2f}",
        "vidEndSmp": f"{at.first_frame + trial.n_frames:.2f}",
        "audBeginSmp": f"{at.first_sample:.2f}",
        "audEndSmp": f"{at.first_sample + float(length_s) * AUDIO_HZ:.2f}",
        "mediaFile": f"{trial.film}.avi",
    }
    return _xml({name: str(value) for name, value in attributes.items()}, trial.subject, trial.files)


def _xml(attributes: dict[str, str], subject: int, files: dict[str, str]) -> bytes:
    root = ElementTree.Element("session", attributes)
    ElementTree.SubElement(root, "subject", id=str(subject), gender="F", ethnicity="Caucasian", agecategory="18-29")
    if "video" in files:
        video = ElementTree.SubElement(root, "track", type="Video", filename=files["video"], color="1", view="Front")
        ElementTree.SubElement(video, "annotation", type="Gaze", filename=files["gaze"])
    if "bdf" in files:
        ElementTree.SubElement(root, "track", type="Physiological", filename=files["bdf"])
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


GAZE_COLUMNS = (
    "Timestamp DateTimeStamp DateTimeStampStartOffset Number GazePointXLeft GazePointYLeft CamXLeft CamYLeft "
    "DistanceLeft PupilLeft ValidityLeft GazePointXRight GazePointYRight CamXRight CamYRight DistanceRight PupilRight "
    "ValidityRight FixationIndex GazePointX GazePointY Event EventKey Data1 Data2 Descriptor StimuliName MediaWidth "
    "MediaHeight MediaPosX MediaPosY MappedFixationPointX MappedFixationPointY FixationDuration AudioSampleNumber"
).split()


def gaze_tsv(config: SynthConfig, trial: Trial) -> bytes:
    """Return the gaze table: 23 header lines, a line of names, 60 lines a second in whole milliseconds, and events."""
    at = draw_clocks(config, trial)
    head = ["System Properties:", "Operating System\tMicrosoft Windows XP", *[""] * 20, "Export Data:"]
    rows = [_gaze_row(Timestamp=round(at.gaze_ms), Event="MovieStart", Descriptor=f"{trial.film}.avi")]
    rows.append(_gaze_row(Timestamp=round(at.gaze_ms + 1000 * trial.seconds), Event="MovieEnd"))
    for k in range(round((trial.seconds + 4) * GAZE_HZ)):
        ms = round(at.gaze_ms + 1000 * (k / GAZE_HZ - 2))
        row = _gaze_row(Timestamp=ms, Number=k, PupilLeft="3.1", ValidityLeft=0, PupilRight="3.2", ValidityRight=0)
        if k % GAZE_HZ == 7:  # the audio clock is noted once a second
            row["AudioSampleNumber"] = str(round(at.audio_sample((ms - at.gaze_ms) / 1000)))
        rows.append(row)
    rows.sort(key=lambda row: int(row["Timestamp"]))
    lines = ["\t".join(row[name] for name in GAZE_COLUMNS) + "\t\t" for row in rows]
    return ("\r\n".join([*head, "\t".join(GAZE_COLUMNS) + "\t\t", *lines]) + "\r\n").encode("latin-1")


def _gaze_row(**cells: object) -> dict[str, str]:
    return dict.fromkeys(GAZE_COLUMNS, "") | {name: str(value) for name, value in cells.items()}


# ---------------------------------------------------------------- signals


def _signals(config: Settings, trial: Trial) -> dict[str, np.ndarray]:
    """Return all channels of a BDF, (N,) each, at 256 Hz: 30 s, the film, and 30 s up to the next whole second."""
    subject = Physiology.of_subject(config.fingerprint, generator(config, trial.subject, 0, _BODY), config.evidence)
    drawn = generator(config, trial.subject, trial.trial, _BODY)
    body = subject + Physiology.of_trial(config.fingerprint, drawn, config.evidence)
    rng = generator(config, trial.subject, trial.trial, _SIGNALS)
    n = int(np.ceil(2 * PADDING_S + trial.seconds)) * BDF_RATE_HZ
    time_s = np.arange(n) / BDF_RATE_HZ - PADDING_S
    blank = dict.fromkeys(BDF, np.zeros(n))
    channels = blank | _electrodes(config, trial, body, rng) | _sensors(config, trial, body, rng)
    mark_s = config.mark_s
    if mark_s is not None:
        # One swing up and one down: it passes the EEG's filter
        swing = 2000 * np.sin(2 * np.pi * (time_s - mark_s) / 0.06) * ((time_s >= mark_s) & (time_s < mark_s + 0.06))
        channels |= {name: channels[name] + swing for name in (*EEG, "EXG1", "EXG2", "EXG3")}
    status = np.zeros(n, int)
    for second in (0.0, trial.seconds):
        first = round((PADDING_S + second) * BDF_RATE_HZ)
        status[first : first + 26] += PULSE
    return channels | {STATUS: status.astype(float)}


def _film_time(trial: Trial) -> np.ndarray:
    """Return seconds of the film at the rate of the `signals` module, half of the BDF's."""
    return np.arange(int(np.ceil(2 * PADDING_S + trial.seconds)) * physiology.RATE_HZ) / physiology.RATE_HZ - PADDING_S


def _during(trial: Trial, time_s: np.ndarray) -> np.ndarray:
    """Return the effect's strength over time: 0 before the film, 1 from half a second after its start, 0 after it."""
    return np.clip(time_s / 0.5, 0, 1) * (time_s < trial.seconds)


def _upsample(x: np.ndarray) -> np.ndarray:
    """Return a signal of 128 Hz at 256 Hz."""
    return resample_poly(x, BDF_RATE_HZ // physiology.RATE_HZ, 1, axis=-1)


def _electrodes(config: Settings, trial: Trial, body: Physiology, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return EEG and EXG in microvolts as from an amplifier without filters: with offset, drift and mains hum."""
    time_s = _film_time(trial)
    during = _during(trial, time_s)
    valence = config.effect * _valence(config, trial, trial.signals["valence"], time_s) * during
    arousal = config.effect * trial.signals["arousal"] * during
    brain = (
        _upsample(physiology.eeg(body, valence, arousal, rng, config.evidence)) * np.exp(body.gain[: len(EEG)])[:, None]
    )
    beats = 70 + body.heart_per_min + physiology.BEATS_PER_MIN * (0 if config.evidence else arousal)
    heart = _upsample(heartbeats(time_s, beats, rng))
    free = 5 * rng.standard_normal((5, brain.shape[1]))
    x = np.concatenate([brain, np.outer([-0.3, 0.5, 1.0], heart), free])  # (40, N)
    at = np.arange(x.shape[1]) / BDF_RATE_HZ
    offset, drift = rng.normal(0, [[5000], [5]], (2, len(x)))
    mains = 2 * np.sin(2 * np.pi * 50 * at + rng.uniform(0, 6))
    x += offset[:, None] + drift[:, None] * at + mains + 0.3 * rng.standard_normal(x.shape)
    return dict(zip(list(BDF)[: len(x)], x, strict=True))


def _sensors(config: SynthConfig, trial: Trial, body: Physiology, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return skin resistance (ohm), the breathing belt (microvolts) and the finger's temperature (degrees Celsius)."""
    time_s = _film_time(trial)
    arousal = 0.0 if config.evidence else config.effect * trial.signals["arousal"]
    slope = body.drift[0] * (time_s > -3) + physiology.SKIN_PER_S * arousal * (_during(trial, time_s) > 0)
    siemens = 1e-6 * np.maximum(physiology.skin_conductance(time_s, slope, rng), 0.5)
    breath = 50 * physiology.breathing(time_s, 15 + body.breaths_per_min, body.drift[2] / 5, rng)
    return {
        "GSR1": _upsample(1 / siemens),
        "Resp": _upsample(breath),
        "Temp": _upsample(physiology.temperature(time_s, body.drift[1] / 5, rng)),
    }


def heartbeats(time_s: np.ndarray, per_min: np.ndarray | float, rng: np.random.Generator) -> np.ndarray:
    """Return an ECG (N,) in microvolts: P, QRS and T waves as Gaussian bumps within each beat."""
    wobble = 2 * np.sin(2 * np.pi * (0.1 * time_s + rng.random())) + 3 * np.sin(2 * np.pi * 0.25 * time_s)
    phase = np.mod(np.cumsum((per_min + wobble) / 60) / physiology.RATE_HZ + rng.random(), 1)
    waves = ((0.30, 0.025, 100), (0.46, 0.008, -120), (0.48, 0.010, 1000), (0.50, 0.008, -200), (0.72, 0.04, 250))
    at, width, height = np.array(waves).T[..., None]
    return (height * np.exp(-0.5 * ((phase - at) / width) ** 2)).sum(axis=0)


def bdf_bytes(channels: dict[str, np.ndarray], rate_hz: int) -> bytes:
    """Return a BDF file of channels by name, (N,) each, whole seconds; Status holds whole numbers."""
    traces = []
    for name, x in channels.items():
        unit = BDF.get(name, "uV")
        limits = (-(2.0**23), 2.0**23 - 1) if name == STATUS else (-(2.0**18), 2.0**18)
        traces.append(BdfChannel(name, unit, (-(2.0**22), 2.0**22) if unit == "Ohm" else limits, x))
    return writer.bdf_bytes(traces, rate_hz)


# ---------------------------------------------------------------- video


@lru_cache(maxsize=1)
def _face(config: SynthConfig, subject: int) -> Face:
    return Face(generator(config, subject, 0, _LOOK))


def _frames(config: Settings, trial: Trial) -> Iterator[np.ndarray]:
    """Yield each frame of a session's video, (580, 780, 3) uint8 RGB: before, during and after the film."""
    rng = partial(generator, config, trial.subject, trial.trial)
    seconds = int(np.ceil(trial.seconds))
    valence = config.effect * _valence(config, trial, trial.face["valence"], np.arange(seconds * FPS) / FPS)
    arousal = config.effect * trial.face["arousal"]
    mouth_only = config.face_evidence == "mouth"
    acting = act_trial(valence, arousal, seconds, np.array(trial.blinks_s), rng(_ACTING), mouth_only)
    film_s = np.arange(trial.n_frames) / float(VIDEO_FPS) - trial.video_start_s
    light = trial_light(config.fingerprint, rng(_LIGHT))
    across, down = (VIDEO_SIZE[0] - WIDTH) // 2, (VIDEO_SIZE[1] - HEIGHT) // 2
    for at, frame in zip(
        film_s, _face(config, trial.subject).frames(resample_acting(acting, film_s), light), strict=True
    ):
        frame = cv2.copyMakeBorder(frame, down, down, across, across, cv2.BORDER_REPLICATE)
        if config.mark_s is not None and config.mark_s <= at < config.mark_s + FLASH_S:
            frame = cv2.add(frame, np.full_like(frame, 80))
        yield frame


def resample_acting(acting: Acting, time_s: np.ndarray) -> Acting:
    """Return the acting at other times than those of DEAP's frames, constant before the first and after the last."""
    known_s = np.arange(len(acting.blink)) / FPS

    def columns(x: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(time_s, known_s, column) for column in x.T], axis=1)

    return Acting(columns(acting.expressions), np.interp(time_s, known_s, acting.blink), columns(acting.head))

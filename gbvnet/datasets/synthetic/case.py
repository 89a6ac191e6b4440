"""A synthetic CASE, in the layout and the formats of the real one, with a known answer planted in its signals.

Each subject has one session: a start video, a blue screen before each film, the films in an order of its own, an end
video. In a film, valence and arousal each follow a slow curve; the signals show it at once and the joystick `lag_s`
later, about 20 times a second with jitter. In each subject's last film the joystick was never moved. The smiling and
the frowning muscle show valence; the shoulder, the skin and the heart show arousal. There is no video.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.signal import resample_poly
from typing_extensions import override

from ...config import SynthConfig, require
from ...progress import ProgressCallback
from ..case_file import (
    BLUE,
    END,
    FILMS,
    FORMS,
    INTERPOLATED,
    JOYSTICK,
    JOYSTICK_COLUMNS,
    JOYSTICK_HZ,
    LENGTHS,
    ORDER,
    RATE_HZ,
    RATED,
    RAW,
    SCALE,
    SIGNAL_COLUMNS,
    START,
    VIDEOS,
    VOLTS,
)
from . import signals as physiology
from .affect_curve import Curve, curve_at, draw_curve
from .mahnob import heartbeats
from .writer import SyntheticCorpus, generator, make_stamp, shuffled_order, write_corpus

FORMAT = 1  # of what is planted
START_S, BLUE_S, END_S = 3, 12, 2  # lengths of what is no film; the real ones are longer
JITTER = 0.3  # of the joystick's clock, in steps
LOGGING_S = 0.0002  # jitter of the signals' clock
# Log amplitude at an evidence of 1 and effect 1; fingerprints at strength 1.
ZYGOMATICUS, CORRUGATOR, TRAPEZIUS = 1.4, -1.2, 1.4
SUBJECT_GAIN, TRIAL_GAIN = 0.3, 0.2
SKIN = 1.5  # microsiemens
NAMES = {number: name for name, number in VIDEOS.items()}

# What a random number is for.
_PLAN, _BODY, _CURVE, _SIGNALS, _JOYSTICK, _CLOCK = range(1, 7)


@dataclass(frozen=True)
class Settings(SynthConfig):
    """A synthetic CASE, without videos.

    `trials` are films; `seconds` is the length of the shortest, others are up to 2 s longer.
    """

    limits: ClassVar = {"subjects": 30, "trials": len(FILMS), "seconds": 300}

    trials: int = len(FILMS)
    """films per subject"""
    seconds: int = 12
    """length of the shortest film in seconds"""
    lag_s: float = 2.4
    """seconds by which the joystick comes later than what the signals show"""
    layout: Literal["interpolated", "non-interpolated", "raw"] = "interpolated"
    """which of the corpus' files are written"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.lag_s <= 20, f"lag_s must be 0 to 20, not {self.lag_s}")
        require(self.layout in FORMS, f"layout must be {', '.join(FORMS)}, not {self.layout}")
        require(self.videos in (None, 0), f"videos must be left out or 0, not {self.videos}: CASE has none")
        for name in ("face", "signals", "evidence", "face_evidence"):
            default = SynthConfig.__dataclass_fields__[name].default
            value = getattr(self, name)
            require(value == default, f"{name} must be left out, and is {value}: in CASE only signals show anything")


@dataclass(frozen=True)
class Trial:
    """One subject watching one film: when, and the curves that are planted."""

    subject: int  # 1, 2, ...
    film: int
    place: int  # in the order in which films were shown, 1, 2, ...
    start_s: float  # on the session's clock
    seconds: int
    moved: bool  # the joystick
    curves: dict[str, Curve]  # of valence and arousal

    @property
    def name(self) -> str:
        """Name of the recording."""
        return f"s{self.subject:02d}_v{self.film}"


def write(root: Path, config: Settings, jobs: int = 1, progress: ProgressCallback | None = None) -> None:
    """Write a synthetic CASE, as `write_synthetic` says."""
    stamp = make_stamp(FORMAT, config, corpus="case")
    raw, folder = config.layout == RAW, f"data/{config.layout}"
    names = ("sub{}_DAQ.txt", "sub{}_joystick.txt") if raw else ("sub_{}.csv", "sub_{}.csv")
    parts = zip(("physiological", "annotations"), names, strict=True)
    paths = [f"{folder}/{part}/{name}" for part, name in parts]
    files = [path.format(subject) for path in paths for subject in range(1, config.subjects + 1)]
    files += [f"metadata/{name}" for name in (ORDER, LENGTHS)]
    corpus = SyntheticCorpus(stamp, truth(config), tuple(files), partial(_content, config))
    write_corpus(Path(root), corpus, jobs, progress)


def truth(config: Settings) -> dict[str, Any]:
    """Return the content of SYNTHETIC.json besides its stamp: the films' lengths, and what is planted in each trial."""
    trials = [vars(t) | {"subject": f"s{t.subject:02d}", "recording": t.name} for t in plan(config)]
    lengths = {str(film): film_seconds(config, film) for film in _films(config)}
    about = {"trials": config.trials, "seconds": config.seconds, "films": lengths, "lag_s": config.lag_s}
    return {**about, "truth": trials}


def _films(config: Settings) -> list[int]:
    return [*FILMS][: config.trials]


def film_seconds(config: Settings, film: int) -> int:
    """Return the length of a film; lengths differ, as in the real corpus."""
    return config.seconds + film % 3


def _content(config: Settings, path: str) -> bytes:
    name = Path(path).name
    if name == LENGTHS:
        return _lengths(config)
    if name == ORDER:
        return _order(config)
    subject = int("".join(filter(str.isdigit, name)))
    columns = _signals(config, subject) if "physiological" in path else _joystick(config, subject)
    decimals = 6 if config.layout == RAW else 3
    whole = {"video"} | ({*RATED} if config.layout == RAW else set())
    whole |= {SIGNAL_COLUMNS[0], JOYSTICK_COLUMNS[0]} if config.layout == INTERPOLATED else set()
    form = [f"%.{0 if column in whole else decimals}f" for column in columns]
    return _table(columns, form, config.layout == RAW)


def _table(columns: dict[str, np.ndarray], form: list[str], raw: bool) -> bytes:
    separator = "\t" if raw else ","
    line = separator.join(form) + "\n"
    lines = [line % row for row in zip(*(x.tolist() for x in columns.values()), strict=True)]
    return "".join([*([] if raw else [",".join(columns) + "\n"]), *lines]).encode()


def _lengths(config: Settings) -> bytes:
    """Return the lengths of all videos in ms; one line ends with a tab, as in the real file."""
    of = {START: START_S, BLUE: BLUE_S, END: END_S} | {film: film_seconds(config, film) for film in _films(config)}
    lines = [f"{NAMES[video]}\t{1000 * seconds:.3f}" + "\t" * (video == BLUE) for video, seconds in of.items()]
    return "\n".join(["video_name\tvideo_duration", *lines, ""]).encode()


def _order(config: Settings) -> bytes:
    """Return the order of the videos, a column for each subject."""
    columns = [[NAMES[v] for v, _ in _sequence(config, s)] for s in range(1, config.subjects + 1)]
    head = [f"sub{subject}" for subject in range(1, config.subjects + 1)]
    return "\n".join(["\t".join(row) for row in [head, *zip(*columns, strict=True)]] + [""]).encode()


# ---------------------------------------------------------------- sessions and curves


@lru_cache(maxsize=4)
def plan(config: Settings) -> tuple[Trial, ...]:
    """Return all trials, by subject and film."""
    return tuple(t for subject in range(1, config.subjects + 1) for t in _plan_subject(config, subject))


def _plan_subject(config: Settings, subject: int) -> Iterable[Trial]:
    order = shuffled_order(config.trials, generator(config, subject, 0, _PLAN))
    at, trials = START_S, []
    for place, film in enumerate(order, start=1):
        at += BLUE_S
        curves = {name: draw_curve(generator(config, subject, film, _CURVE + 10 * k)) for k, name in enumerate(RATED)}
        moved = place < len(order) or len(order) == 1
        trials.append(Trial(subject, film, place, float(at), film_seconds(config, film), moved, curves))
        at += film_seconds(config, film)
    return sorted(trials, key=lambda trial: trial.film)


def _sequence(config: Settings, subject: int) -> list[tuple[int, int]]:
    """Return the videos of a session and their lengths in seconds, in the order in which they were shown."""
    mine = sorted((t for t in plan(config) if t.subject == subject), key=lambda trial: trial.place)
    shown = [(START, START_S), *(pair for t in mine for pair in ((BLUE, BLUE_S), (t.film, t.seconds))), (END, END_S)]
    return shown


def _session_s(config: Settings, subject: int) -> int:
    return sum(seconds for _, seconds in _sequence(config, subject))


def _videos(config: Settings, subject: int, time_s: np.ndarray) -> np.ndarray:
    """Return which video is shown at each time, (T,)."""
    shown = _sequence(config, subject)
    ends = np.cumsum([seconds for _, seconds in shown])
    at = np.minimum(np.searchsorted(ends, time_s, side="right"), len(shown) - 1)
    return np.array([video for video, _ in shown])[at]


def _affect(config: Settings, subject: int, time_s: np.ndarray, target: str, late_s: float = 0.0) -> np.ndarray:
    """Return a curve over a session, (T,), 0 outside of films. late_s : as the joystick follows it"""
    values = np.zeros(len(time_s))
    for t in plan(config):
        inside = (time_s >= t.start_s) & (time_s < t.start_s + t.seconds)
        if t.subject == subject and (t.moved or not late_s):
            values[inside] = curve_at(t.curves[target], time_s[inside] - t.start_s - late_s)
    return values


# ---------------------------------------------------------------- files


def _joystick(config: Settings, subject: int) -> dict[str, np.ndarray]:
    """Return the columns of a subject's joystick, (T,) each: in the last film it was never moved."""
    rng = generator(config, subject, 0, _JOYSTICK)
    seconds = _session_s(config, subject)
    steps = np.arange(seconds * JOYSTICK_HZ)
    time_s = (steps + JITTER * rng.uniform(0, 1, len(steps)) * (steps > 0)) / JOYSTICK_HZ
    own = {name: np.round(JOYSTICK * _joystick_affect(config, subject, time_s, name)) for name in RATED}
    if config.layout == RAW:
        return {JOYSTICK_COLUMNS[0]: time_s, **own}
    rated = {name: np.mean(SCALE) + x * (SCALE[1] - SCALE[0]) / (2 * JOYSTICK) for name, x in own.items()}
    if config.layout == INTERPOLATED:
        grid = steps / JOYSTICK_HZ
        time_s, rated = grid, {name: np.interp(grid, time_s, x) for name, x in rated.items()}
    return {JOYSTICK_COLUMNS[0]: 1000 * time_s, **rated, "video": _videos(config, subject, time_s)}


def _joystick_affect(config: Settings, subject: int, time_s: np.ndarray, target: str) -> np.ndarray:
    """Return where the joystick is, (T,), -1 to 1; in a film in which it was not moved exactly in the middle."""
    late = max(config.lag_s, 1e-9)  # so that a joystick that was not moved is not, whatever the lag
    return 0.9 * _affect(config, subject, time_s, target, late)


def _signals(config: Settings, subject: int) -> dict[str, np.ndarray]:
    """Return the columns of a subject's signals, (N,) each at 1 kHz."""
    n = _session_s(config, subject) * RATE_HZ
    time_s = np.arange(n) / RATE_HZ
    columns = _physiology(config, subject)
    if config.layout != INTERPOLATED:
        jitter = LOGGING_S * generator(config, subject, 0, _CLOCK).uniform(0, 1, n)
        jitter[0] = 0
        columns = {name: np.interp(time_s + jitter, time_s, x) for name, x in columns.items()}
        time_s = time_s + jitter
    if config.layout == RAW:
        volts = {name: (x - VOLTS[name][1]) / VOLTS[name][0] for name, x in columns.items()}
        return {SIGNAL_COLUMNS[0]: time_s, **volts}
    return {SIGNAL_COLUMNS[0]: 1000 * time_s, **columns, "video": _videos(config, subject, time_s)}


def _physiology(config: Settings, subject: int) -> dict[str, np.ndarray]:
    """Return the signals of a session by name, (N,) each, in the units of the CSV files."""
    rng, slow_hz = generator(config, subject, 0, _SIGNALS), physiology.RATE_HZ
    own = generator(config, subject, 0, _BODY)
    heart, breath, level, temperature = own.normal(0, [5, 1.5, 0.3, 0.5]) * config.fingerprint
    gains = config.fingerprint * SUBJECT_GAIN * own.standard_normal(3)
    time_s = np.arange(_session_s(config, subject) * slow_hz) / slow_hz
    valence, arousal = (config.effect * _affect(config, subject, time_s, target) for target in RATED)
    beats = 70 + heart + physiology.BEATS_PER_MIN * arousal
    slow = {
        "ecg": heartbeats(time_s, beats, rng) / 1000,
        "bvp": 40 + physiology.pulse(time_s, beats, rng),
        "gsr": np.exp(level) * physiology.skin_conductance(time_s, np.zeros_like(time_s), rng) + SKIN * arousal,
        "rsp": 40 + 0.5 * physiology.breathing(time_s, 15 + breath, 0.0, rng),
        "skt": physiology.temperature(time_s, 0.0, rng) + temperature,
    }
    fast = {name: resample_poly(x, RATE_HZ, slow_hz, padtype="line") for name, x in slow.items()}
    fast_s = np.arange(len(time_s) * RATE_HZ // slow_hz) / RATE_HZ
    muscles = {"emg_zygo": ZYGOMATICUS * valence, "emg_coru": CORRUGATOR * valence, "emg_trap": TRAPEZIUS * arousal}
    for k, (name, evidence) in enumerate(muscles.items()):
        log_gain = np.interp(fast_s, time_s, evidence) + gains[k] + _trial_gains(config, subject, fast_s, k)
        noise = np.interp(fast_s, fast_s[::10], rng.standard_normal(len(fast_s[::10])))
        fast[name] = 6 * np.exp(log_gain + 0.3 * noise)
    return fast


def _trial_gains(config: Settings, subject: int, time_s: np.ndarray, channel: int) -> np.ndarray:
    """Return the log gain of a muscle over a session, (N,): its own in each film, by which leaky protocols score."""
    values = np.zeros(len(time_s))
    for t in (t for t in plan(config) if t.subject == subject):
        drawn = generator(config, subject, t.film, _BODY).standard_normal(3)[channel]
        values[(time_s >= t.start_s) & (time_s < t.start_s + t.seconds)] = config.fingerprint * TRIAL_GAIN * drawn
    return values

"""A synthetic BIDS dataset in one of four dialects, with a known answer planted in its signals, and at most one trap.

One run a subject: EEG of eight electrodes at 128 Hz (EDF; BrainVision in the dialect events), and skin conductance
at 32 Hz in a physio file whose first line is 2 s before the EEG's first sample. Both show the ratings as in the
synthetic DEAP. Dialects are where ratings are:

    beh         sub-*/beh/*_beh.tsv, in another order than the events, joined by stim_file
    events      columns of *_events.tsv
    channels    VA1 and VA2 of the EDF, 0 to 9 with 4.5 in the middle, stated in microvolts; they follow slow curves
    codes       questions and answers among the events, as numbers

In the first seconds of each run the same event is in Fp1 and in the conductance, so that clocks can be compared.
"""

import gzip
import hashlib
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from typing_extensions import override

from ...config import SynthConfig, require
from ...progress import ProgressCallback
from ...provenance import SYNTHETIC
from ..bids_mapping import FILE
from ..deap import CHANNELS, RATE_HZ
from ..recording import STAMP_FILE, UNFINISHED_FILE
from . import signals as physiology
from .signals import Physiology
from .writer import SyntheticCorpus, generator, make_stamp, shuffled_order, write_corpus

FORMAT = 1  # of what is planted
EEG = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "Pz", "Oz")
GSR_HZ, GSR_START_S, LATE_S = 32, -2.0, 1.7
LEAD_S, AFTER_S = 6, 1  # before the first trial's baseline; after each stimulus
EVENT_S, EVENT_SD_S = 3.0, 0.1  # of the planted event, in seconds of the run
STARTED = datetime(2023, 8, 18, 11, 26, 7, tzinfo=UTC)  # of each EEG, by its header
TRAPS = "samples case bom epoch physio-late header no-trial-type annexed".split()
SCALE, MIDDLE = (1, 9), 5.0
VA_SCALE, VA_HZ = (0, 9), (0.03, 0.11)
QUESTIONS, FIRST_ANSWER, FIRST_STIMULUS = {"valence": 800, "arousal": 801}, 900, 300

# What a random number is for.
_PLAN, _BODY, _SIGNALS, _NOISE = range(1, 5)


@dataclass(frozen=True)
class Settings(SynthConfig):
    """A synthetic BIDS dataset, without videos."""

    limits: ClassVar = {"subjects": 99, "trials": 40, "seconds": 300}

    dialect: Literal["beh", "events", "channels", "codes"] = "beh"
    """where the ratings are: a table of behaviour, columns of the events, channels of the EEG file, coded answers"""
    trap: Literal[
        "", "samples", "case", "bom", "epoch", "physio-late", "header", "no-trial-type", "annexed"
    ] = ""  # fmt: skip
    """samples: onsets in samples; case: task-Film and task-film; bom: tables begin with one; epoch: StartTime is Unix
    time; physio-late: StartTime 1.7 s; header: names in a physio file; no-trial-type: trial_type is n/a; annexed: the
    EEG of the last subject is a name of git-annex"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.videos in (None, 0), f"videos must be left out or 0, not {self.videos}: a synthetic bids has none")
        for name in ("face", "signals", "evidence", "face_evidence"):
            default, value = SynthConfig.__dataclass_fields__[name].default, getattr(self, name)
            require(value == default, f"{name} must be left out, and is {value}: what a synthetic bids shows is fixed")


@dataclass(frozen=True)
class Trial:
    """One subject and one stimulus: ratings, and what is planted of them, -1 to 1."""

    subject: int
    trial: int  # order of presentation, 1, 2, ...
    stimulus: int
    ratings: dict[str, float]
    signals: dict[str, float]

    def start_s(self, config: Settings) -> float:
        """Start of the stimulus on the clock of the EEG."""
        return float(LEAD_S + physiology.BASELINE_S + (self.trial - 1) * _block_s(config))


def _block_s(config: Settings) -> int:
    return physiology.BASELINE_S + config.seconds + AFTER_S


def write(root: Path, config: Settings, jobs: int = 1, progress: ProgressCallback | None = None) -> None:
    """Write a synthetic BIDS dataset, as `write_synthetic` says."""
    stamp = make_stamp(FORMAT, config, corpus="bids")
    corpus = SyntheticCorpus(stamp, truth(config), tuple(_paths(config)), partial(_content, config))
    write_corpus(Path(root), corpus, jobs, progress)


def truth(config: Settings) -> dict[str, Any]:
    """Return the content of SYNTHETIC.json besides its stamp: the trials' length, and what is planted in each."""
    trials = [vars(t) | {"subject": f"{t.subject:02d}", "start_s": t.start_s(config)} for t in plan(config)]
    return {"trials": config.trials, "seconds": config.seconds, "event_s": EVENT_S, "truth": trials}


@lru_cache(maxsize=4)
def plan(config: Settings) -> tuple[Trial, ...]:
    """Return all trials, by subject, in the order of presentation."""
    return tuple(t for subject in range(1, config.subjects + 1) for t in _plan_subject(config, subject))


def _plan_subject(config: Settings, subject: int) -> list[Trial]:
    """Return a subject's trials: valence and arousal each balanced over them."""
    rng, n = generator(config, subject, 0, _PLAN), config.trials
    planted = {
        name: rng.permutation(np.where(np.arange(n) % 2, 1.0, -1.0)) * rng.uniform(0.4, 1.0, n)
        for name in ("valence", "arousal")
    }
    trials = []
    for k, stimulus in enumerate(shuffled_order(n, rng)):
        evidence = {name: round(float(values[k]), 4) for name, values in planted.items()}
        whole = config.dialect == "codes"
        ratings = {name: _rating(value, whole) for name, value in evidence.items()}
        trials.append(Trial(subject, k + 1, stimulus, ratings, evidence))
    return trials


def _rating(evidence: float, whole: bool) -> float:
    """Return a rating from 1 to 9, never 5, which has no class; a whole number if that is asked for."""
    value = MIDDLE + 4 * evidence
    return float(np.ceil(value) if value > MIDDLE else np.floor(value)) if whole else round(value, 2)


# ---------------------------------------------------------------- files


def _stem(config: Settings, subject: int, suffix: str) -> str:
    """Return the name of a file of a subject without its extension."""
    signal = suffix in ("eeg", "beh")
    task = "Film" if config.trap == "case" and signal else "film"
    folder = "beh" if suffix == "beh" else "eeg"
    return f"sub-{subject:02d}/{folder}/sub-{subject:02d}_task-{task}_run-{'1' if suffix == 'beh' else '01'}"


def _signal_endings(config: Settings) -> tuple[str, ...]:
    return ("vhdr", "vmrk", "eeg") if config.dialect == "events" else ("edf",)


def _paths(config: Settings) -> list[str]:
    paths = ["dataset_description.json", "README", ".bidsignore", "participants.tsv", FILE, "task-film_events.json",
             "task-film_recording-gsr_physio.json"]  # fmt: skip
    paths += ["task-film_beh.json"] if config.dialect == "beh" else []
    for subject in range(1, config.subjects + 1):
        eeg = _stem(config, subject, "eeg")
        paths += [f"{eeg}_eeg.{ending}" for ending in _signal_endings(config)]
        paths += [f"{eeg}_eeg.json", f"{_stem(config, subject, 'channels')}_channels.tsv"]
        paths += [f"{_stem(config, subject, 'events')}_events.tsv"]
        paths += [f"{_stem(config, subject, 'beh')}_beh.tsv"] if config.dialect == "beh" else []
        paths.append(f"{_stem(config, subject, 'physio')}_recording-gsr_physio.tsv.gz")
    return paths


def _content(config: Settings, path: str) -> bytes:
    whole = {
        "dataset_description.json": _description, "README": _readme, ".bidsignore": _ignored,
        "participants.tsv": _participants, FILE: _mapping, "task-film_events.json": _events_json,
        "task-film_beh.json": _beh_json, "task-film_recording-gsr_physio.json": _physio_json,
    }  # fmt: skip
    if path in whole:
        return whole[path](config)
    subject, ending = int(path[4:6]), path.rpartition("_")[2]
    made = {
        "eeg.json": _eeg_json, "channels.tsv": _channels, "events.tsv": _events, "beh.tsv": _beh,
        "physio.tsv.gz": _physio, "eeg.edf": _edf, "eeg.vhdr": _vhdr, "eeg.vmrk": _vmrk, "eeg.eeg": _eeg_data,
    }[ending]  # fmt: skip
    if config.trap == "annexed" and subject == config.subjects and ending == f"eeg.{_signal_endings(config)[-1]}":
        content = made(config, subject)
        name = f"MD5E-s{len(content)}--{hashlib.md5(content).hexdigest()}.{ending.partition('.')[2]}"
        return f"/annex/objects/{name}\n".encode()
    return made(config, subject)


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _description(config: Settings) -> bytes:
    return _json({"Name": f"{SYNTHETIC}: films, {config.dialect}", "BIDSVersion": "1.10.0", "DatasetType": "raw",
                  "License": "CC0", "Authors": ["gbvnet"]})  # fmt: skip


def _readme(config: Settings) -> bytes:
    return f"{SYNTHETIC}, written by `gbvnet synth bids`. Ratings: {config.dialect}. Nobody took part.\n".encode()


def _ignored(config: Settings) -> bytes:
    return f"{STAMP_FILE}\n{UNFINISHED_FILE}\n{FILE}\n".encode()


def _participants(config: Settings) -> bytes:
    lines = [f"sub-{s:02d}\t{20 + s % 30}" for s in range(1, config.subjects + 1)]
    return ("\n".join(["participant_id\tage", *lines]) + "\n").encode()


def _mapping(config: Settings) -> bytes:
    lines = [f"# {SYNTHETIC}", "dataset: bids", "baseline_s: 3", "ratings:"]
    scale = "[0, 9]" if config.dialect == "channels" else "[1, 9]"
    where = {"beh": "column: {}", "events": "column: {}", "channels": "channel: {}", "codes": "question: {}"}
    names = {"channels": ("VA1", "VA2"), "codes": tuple(QUESTIONS.values())}.get(config.dialect, ("valence", "arousal"))
    lines.append(f"  from: {config.dialect}")
    lines += ["  key: stim_file"] if config.dialect == "beh" else []
    if config.dialect == "codes":
        answers = ", ".join(f"{FIRST_ANSWER + n}: {n}" for n in range(1, 10))
        lines += [f"  column: {_code_column(config)}", f"  answers: {{{answers}}}"]
    lines.append("  labels:")
    for label, name in zip(("valence", "arousal"), names, strict=True):
        lines.append(f"    {label}: {{{where[config.dialect].format(name)}, scale: {scale}}}")
    rows = {"codes": f"{{{_code_column(config)}: '/3\\d\\d/'}}"}.get(config.dialect, "{trial_type: film}")
    if config.trap == "no-trial-type" and config.dialect != "codes":
        rows = "{stim_file: any}"
    lines += ["trial:", f"  rows: {rows}", "  stimulus: stim_file", "physio:"]
    return "\n".join([*lines, "  gsr: {channels: {GSR: gsr}}", ""]).encode()


def _code_column(config: Settings) -> str:
    return "value" if config.trap == "no-trial-type" else "trial_type"


def _scale_json() -> dict[str, Any]:
    scale = {"Minimum": SCALE[0], "Maximum": SCALE[1]}
    return {name: {"Description": f"SAM, {name}", **scale} for name in ("valence", "arousal")}


def _events_json(config: Settings) -> bytes:
    about: dict[str, Any] = {
        "stim_file": {"Description": "the film"},
        "trial_type": {"Description": "film: one is shown"},
    }
    return _json(about | (_scale_json() if config.dialect == "events" else {}))


def _beh_json(config: Settings) -> bytes:
    return _json({"stim_file": {"Description": "the film"}} | _scale_json())


def _physio_json(config: Settings) -> bytes:
    start = {"epoch": STARTED.timestamp() + GSR_START_S, "physio-late": LATE_S}.get(config.trap, GSR_START_S)
    return _json({"SamplingFrequency": GSR_HZ, "StartTime": start, "Columns": ["GSR", "counter"],
                  "GSR": {"Description": "skin conductance", "Units": "uS"}})  # fmt: skip


def _eeg_json(config: Settings, subject: int) -> bytes:
    return _json({"TaskName": "film", "SamplingFrequency": RATE_HZ, "EEGReference": "average", "PowerLineFrequency": 50,
                  "SoftwareFilters": "n/a", "RecordingDuration": run_seconds(config)})  # fmt: skip


def run_seconds(config: Settings) -> int:
    """Return the length of each EEG."""
    return LEAD_S + config.trials * _block_s(config) + AFTER_S


def _table(config: Settings, rows: list[list[Any]]) -> bytes:
    text = "\n".join("\t".join(map(str, row)) for row in rows) + "\n"
    return text.encode("utf-8-sig" if config.trap == "bom" else "utf-8")


def _channels(config: Settings, subject: int) -> bytes:
    rows = [["name", "type", "units"], *([name, "EEG", "uV"] for name in EEG)]
    rows += [[name, "MISC", "uV"] for name in ("VA1", "VA2")] if config.dialect == "channels" else []
    return _table(config, rows)


def _events(config: Settings, subject: int) -> bytes:
    rated = ["valence", "arousal"] if config.dialect == "events" else []
    rows: list[list[Any]] = [["onset", "duration", "trial_type", "value", "stim_file", *rated]]
    for t in plan(config):
        if t.subject != subject:
            continue
        at, blank = t.start_s(config), ["n/a"] * len(rated)
        film = f"films/f{t.stimulus:02d}.mp4"
        code: Any = FIRST_STIMULUS + t.stimulus
        kind = code if config.dialect == "codes" else "film"
        before = [at - 3, 3, 10 if config.dialect == "codes" else "fixation", 1, "n/a", *blank]
        rows += [before, [at, config.seconds, kind, code, film, *(t.ratings[name] for name in rated)]]
        if config.dialect == "codes":
            for k, (name, question) in enumerate(QUESTIONS.items()):
                answer = FIRST_ANSWER + int(t.ratings[name])
                end = at + config.seconds + 0.2 + 0.3 * k
                rows += [[f"{end:.3f}", 0, question, question, "n/a"], [f"{end + 0.1:.3f}", 0, answer, answer, "n/a"]]
    for row in rows[1:]:
        row[0] = f"{float(row[0]) * RATE_HZ:.0f}" if config.trap == "samples" else row[0]
        row[2] = "n/a" if config.trap == "no-trial-type" else row[2]
    return _table(config, rows)


def _beh(config: Settings, subject: int) -> bytes:
    trials = sorted((t for t in plan(config) if t.subject == subject), key=lambda t: t.stimulus)
    rows = [[f"films/f{t.stimulus:02d}.mp4", t.ratings["valence"], t.ratings["arousal"], 2.5] for t in trials]
    return _table(config, [["stim_file", "valence", "arousal", "valence_rt"], *rows])


# ---------------------------------------------------------------- signals


@lru_cache(maxsize=2)  # the files of one subject
def signals_of(config: Settings, subject: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the EEG (8, N) at 128 Hz in microvolts, and the conductance (M,) at 32 Hz in microsiemens."""
    at = [[c.name for c in CHANNELS].index(name) for name in (*EEG, "GSR")]
    body = Physiology.of_subject(config.fingerprint, generator(config, subject, 0, _BODY))
    calm = generator(config, subject, 0, _SIGNALS)
    blocks = [physiology.signals_of_trial(body, 0, 0, LEAD_S - physiology.BASELINE_S, np.array([]), calm)[at]]
    for t in (t for t in plan(config) if t.subject == subject):
        own = body + Physiology.of_trial(config.fingerprint, generator(config, subject, t.trial, _BODY))
        shown = (config.effect * t.signals["valence"], config.effect * t.signals["arousal"])
        rng = generator(config, subject, t.trial, _SIGNALS)
        blocks.append(physiology.signals_of_trial(own, *shown, config.seconds + AFTER_S, np.array([]), rng)[at])
    blocks.append(blocks[0][:, : AFTER_S * RATE_HZ])
    x = np.concatenate(blocks, axis=1)
    eeg, gsr = x[:-1], x[-1]
    eeg[0] += 400 * _event(np.arange(eeg.shape[1]) / RATE_HZ)
    before_s = _gsr_first_s(config)
    times = np.arange(before_s, run_seconds(config), 1 / GSR_HZ)
    slow = np.interp(times, np.arange(len(gsr)) / RATE_HZ, gsr) + 3 * _event(times)
    return eeg, slow


def _gsr_first_s(config: Settings) -> float:
    return LATE_S if config.trap == "physio-late" else GSR_START_S


def _event(time_s: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * ((time_s - EVENT_S) / EVENT_SD_S) ** 2))


def trace_of(config: Settings, subject: int) -> np.ndarray:
    """Return the channels VA1 and VA2 (2, N), 0 to 9: in each trial a slow curve around its rating."""
    n = run_seconds(config) * RATE_HZ
    time_s = np.arange(n) / RATE_HZ
    values = np.full((2, n), 4.5)
    for t in (t for t in plan(config) if t.subject == subject):
        start = t.start_s(config)
        during = (time_s >= start) & (time_s < start + config.seconds)
        for k, name in enumerate(("valence", "arousal")):
            curve = 0.3 * np.sin(2 * np.pi * VA_HZ[k] * (time_s[during] - start))
            values[k, during] = 4.5 + 3.5 * t.signals[name] + curve
    return values


def _edf(config: Settings, subject: int) -> bytes:
    from edfio import Edf, EdfSignal, Recording

    limits = (-10_000.0, 10_000.0)  # the gains of fingerprints are large
    signals = [
        EdfSignal(np.clip(x, *limits), RATE_HZ, label=name, physical_dimension="uV", physical_range=limits)
        for name, x in zip(EEG, signals_of(config, subject)[0], strict=True)
    ]
    if config.dialect == "channels":
        signals += [
            EdfSignal(x, RATE_HZ, label=name, physical_dimension="uV", physical_range=VA_SCALE)
            for name, x in zip(("VA1", "VA2"), trace_of(config, subject), strict=True)
        ]
    file, began = io.BytesIO(), STARTED
    Edf(signals, recording=Recording(startdate=began.date()), starttime=began.time(), data_record_duration=1).write(
        file
    )
    return file.getvalue()


def _vhdr(config: Settings, subject: int) -> bytes:
    name = Path(_stem(config, subject, "eeg")).name
    lines = [
        "BrainVision Data Exchange Header File Version 1.0", f"; {SYNTHETIC}", "", "[Common Infos]", "Codepage=UTF-8",
        f"DataFile={name}_eeg.eeg", f"MarkerFile={name}_eeg.vmrk", "DataFormat=BINARY", "DataOrientation=MULTIPLEXED",
        f"NumberOfChannels={len(EEG)}", f"SamplingInterval={1e6 / RATE_HZ:g}", "", "[Binary Infos]",
        "BinaryFormat=IEEE_FLOAT_32", "", "[Channel Infos]", *(f"Ch{k}={n},,1,µV" for k, n in enumerate(EEG, 1)),
    ]  # fmt: skip
    return ("\n".join(lines) + "\n").encode()


def _vmrk(config: Settings, subject: int) -> bytes:
    name = Path(_stem(config, subject, "eeg")).name
    lines = [
        "BrainVision Data Exchange Marker File Version 1.0", "", "[Common Infos]", "Codepage=UTF-8",
        f"DataFile={name}_eeg.eeg", "", "[Marker Infos]", f"Mk1=New Segment,,1,1,0,{STARTED:%Y%m%d%H%M%S}000000",
    ]  # fmt: skip
    return ("\n".join(lines) + "\n").encode()


def _eeg_data(config: Settings, subject: int) -> bytes:
    return np.ascontiguousarray(signals_of(config, subject)[0].T, "<f4").tobytes()


def _physio(config: Settings, subject: int) -> bytes:
    lines = [f"{x:.5f}\t{k}" for k, x in enumerate(signals_of(config, subject)[1].tolist())]
    if config.trap == "header":
        lines.insert(0, "GSR\tcounter")
    return gzip.compress(("\n".join(lines) + "\n").encode(), compresslevel=3, mtime=0)

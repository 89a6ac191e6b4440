"""What is fuzzed: each parser with a few small files that it takes, and its share of the inputs of a long run.

A target takes the bytes of a file. It may raise any GbvnetError; anything else, a warning too, is a fault.
"""

import atexit
import gzip
import io
import json
import pickle
import shutil
import tempfile
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from safetensors.numpy import save

from gbvnet.config import CrossvalConfig, GBVNetConfig, PrepareConfig, SynthConfig, from_dict, to_dict
from gbvnet.datasets import affec_trials, amigos, case, case_file, deap, dreamer, mahnob_session, recording, table
from gbvnet.datasets.affec_streams import read_stream
from gbvnet.datasets.amigos_file import FILMS
from gbvnet.datasets.channel_names import canonical_name, channel_kind, find_channel, similar_names_hint
from gbvnet.datasets.film_times import read_film_times
from gbvnet.datasets.formats import signal_file
from gbvnet.datasets.formats.matlab import read_mat
from gbvnet.datasets.formats.matlab_value import NUMBERS, MatValue
from gbvnet.datasets.label_columns import label_columns
from gbvnet.datasets.mahnob_continuous import FILE, ContinuousValence
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.single_recording import open_recording
from gbvnet.datasets.synthetic.mahnob import plan as mahnob_plan
from gbvnet.datasets.synthetic.mahnob import session_xml
from gbvnet.datasets.synthetic.matlab_file import cells, mat_bytes
from gbvnet.datasets.trace_file import read_traces
from gbvnet.evaluation import predictions, splits
from gbvnet.evaluation import split_check as splitcheck
from gbvnet.evaluation.outside_labels import complete
from gbvnet.evaluation.outside_predictions import read_outside
from gbvnet.experiments import run_folder, run_group
from gbvnet.experiments.reproduction import recipe
from gbvnet.io.frame_times import VideoInfo
from gbvnet.network.checkpoint import folder as modelfolder
from gbvnet.network.checkpoint.describe import describe_model
from gbvnet.preprocessing.windowing import window_starts
from gbvnet.provenance import model_stamps
from gbvnet.report import results
from gbvnet.report.audit_results import read_audit
from gbvnet.store.format import FORMAT, read_header
from gbvnet.store.reader import open_store
from gbvnet.store.writer import finish_store, prepared_recording

from .. import device_writers as writers

SHARED_MEMORY = Path("/dev/shm")


class Target(NamedTuple):
    name: str
    kind: str  # of changes, see mutate.py
    seeds: tuple[bytes, ...]
    parse: Callable[[bytes], Any]
    share: int  # of all inputs, by weight: less of what takes milliseconds


@cache
def folder() -> Path:
    """Where files lie while they are read; in memory if there is such a place."""
    made = Path(tempfile.mkdtemp(prefix="gbvnet-fuzz-", dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def put(name: str, data: bytes) -> Path:
    file = folder() / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def of_file(name: str, parse: Callable[[Path], Any]) -> Callable[[bytes], Any]:
    return lambda data: parse(put(name, data))


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


# ---------------------------------------------------------------- corpora


def dat_seeds() -> tuple[bytes, ...]:
    """Two trials without a sample: the structure of the real file, in few bytes."""
    held = {"labels": np.full((1, 4), 5.0), "data": np.zeros((1, 40, 0), ">f4")}
    return tuple(pickle.dumps(held, protocol=p) for p in (0, 1, 2, 3, 4))


def ratings_seeds() -> tuple[bytes, ...]:
    head = "Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking,Familiarity\n"
    return ((head + "1,1,2,0,5.5,4,3,2.25,1\n1,2,1,9,1,9,5,5,\n2,1,1,4,8,2.01,3,3,5\n").encode(),)


def session_seeds() -> tuple[bytes, ...]:
    config = SynthConfig(subjects=1, trials=1, seconds=1)
    entity = b"<?xml version='1.0'?><!DOCTYPE s [<!ENTITY a 'b'>]><session isStim='1'><subject id='&a;'/></session>"
    return (session_xml(config, next(iter(mahnob_plan(config)))), entity)


def session(data: bytes) -> None:
    parsed = mahnob_session.read_session(put("2/session.xml", data).parent)
    if parsed.error is None:
        mahnob_session.stimulus_name(parsed)
        mahnob_session.stimulus_timing(parsed, required=False)
        mahnob_session.start_in_video(parsed, mahnob_session.StimulusTiming(1.0, 2.0, 0.0))
        mahnob_session.on_camera_clock(VideoInfo(4, 4, Fraction(60), 100), parsed)
        mahnob_session.ratings_of(parsed)


AFFEC_STREAM = (b"onset\ta\tb\n0.1\t1\t2\n0.2\tn/a\t3\n1\t2\n0.25\t1\t1\n0.24\t1\t1\n",)
AFFEC_EVENTS = (
    b"onset\tduration\ttrial_type\tflag\ttrial\tstim_file\n1\t0\thappy\tfirst_fix\t1\td/1_i_hap_hi.mp4\n"
    b"3.5\t3\thappy\tvideo\t1\td/1_i_hap_hi.mp4\nn/a\t0\thappy\tx\t1\td/1_i_hap_hi.mp4\n"
    b"6.5\t1\thappy\tf_emotion_labelling\t1\td/1_i_hap_hi.mp4\n",
)
AFFEC_RATINGS = (
    b"stim_file\ttrial\tp_emotion_a\tp_emotion_v\tf_emotion_a\tf_emotion_v\nd/1_i_hap_hi.mp4\t1\t7\t8\t5\tn/a\n",
)


def affec_stream(data: bytes) -> None:
    file = put("x_recording-gsr_physio.tsv.gz", gzip.compress(data, 1))
    sidecar = put("x_recording-gsr_physio.json", b'{"Columns": ["onset", "a", "b"], "SamplingFrequency": 10}')
    read_stream(file, ("b",), (sidecar,))


def affec_trials_of(events: bytes, ratings: bytes) -> None:
    known = affec_trials.read_events(put("e.tsv", events))
    affec_trials.rated_spans(known)
    for trial in affec_trials.trials_of(known, affec_trials.read_ratings(put("b.tsv", ratings))):
        assert trial.stimulus is not None and trial.warnings is not None


GAZE = (
    b"System Properties:\r\n\r\nTimestamp\tNumber\tEvent\tAudioSampleNumber\t\r\n100\t1\t\t4410\t\r\n"
    b"150\t\tMovieStart\t\t\r\n200\t2\t\t8820\t\r\n999\t\tMovieEnd\t\t\r\n"
)
TABLE = (
    b"# mine\nsubject,trial,stimulus,signals,start_s,stop_s,baseline_start_s,valence,arousal\n"
    b"anna,1,x,a.csv,10,20,,7,low\nanna,2,y,a.csv,22.5,30,1,2,high\nben,1,x,b.csv,0,5,,,5\n",
    b"recording,subject,trial,video,start_s,stop_s,video_offset_s\nr1,s1,1,v.avi,1,2,-0.5\n",
)
YAML_TABLE = (
    b"dataset: mine\nbaseline_s: 0\nrecordings:\n  - {subject: no, trial: 01, signals: a.csv, start_s: 0, stop_s: 1}\n"
    b"  - subject: ben\n    trial: 2\n    signals: a.csv\n    start_s: 1\n    stop_s: 1.5\n    valence: low\n",
    b"channels: {Fp1: eeg, b_GSR: gsr}\nbaseline_s: 0\nrecordings:\n- subject: ben\n  trial: 2\n  start_s: 0\n"
    b"  stop_s: 1\n"
    b"  signals: [a.csv, {file: b.csv, offset_s: -0.1, rate_hz: 4, unit: uS, prefix: b_, rename: {O1: x}}]\n",
)
SETTINGS = (
    b"dataset: mine\nrate_hz: 128\nbaseline_s: 0\nframes_per_s: 10\nchannels:\n  Fp1: eeg\n  GSR: gsr\n"
    b"filtered: true\nsignals_rate_hz: 256.5\nsignals_unit: mV\n",
    b"channels: {Fp1: eeg, O1: eeg}\n",
    b"labels:\n  valence: {scale: [1, 9], set: felt}\n  arousal: {classes: [low, '5', x]}\n"
    b"  own_valence: {scale: [1, 9], set: own, of: valence}\n  moved: {scale: [-1, 0.5], trace: true}\n",
)
UNEVEN = [k / 10 + (k % 3) / 40 + 3 * (k > 20) for k in range(40)]
CSV = (
    b"time,Fp1,EEG O1-REF,GSR\n0.0,1,2,3\n0.5,2,3,4\n1.0,1e3,-4,5\n1.5,0,0,0\n",
    b"# a comment\nFP1,O1,GSR\n1,2,3\n4,5,6\n",
    b"# Sample Rate = 10 Hz\ntime,Fp1,O1,GSR\n" + b"".join(b"%.2f,1,2,%d\n" % (t, k) for k, t in enumerate(UNEVEN)),
)
FILM_TIMES = (b"0.033\n0.066\n0.1\n", b"# mine\nframe;time_ms\n1;33,3\n2;66,7\n5;166,7\n")
TRACES = (
    b"# a comment\ntime,Joystick,valence\n0.5,-1,1\n1.04,0.25,\n2.5,1,9\n8,0,5\n",
    b"time_ms;joystick\n500;-1,0\n1500;0,5\n",
)
LABELS = label_columns({name: {"scale": s, "trace": True} for name, s in (("joystick", [-1, 1]), ("valence", [1, 9]))})
SIGNALS = (Channel("Fp1", "eeg"), Channel("O1", "eeg"), Channel("GSR", "gsr"))


def plain_mat(variables: dict[str, Any]) -> bytes:
    """A MATLAB file of version 5 that is not compressed, so that a changed byte changes a value."""
    from scipy.io import savemat

    file = io.BytesIO()
    savemat(file, variables)
    return file.getvalue()


def mat_seeds() -> tuple[bytes, ...]:
    inside = {"films": cells([np.arange(3), "ab", {"deep": 2.5}], (3, 1)), "name": "film", "none": np.zeros((0, 0))}
    held = {"x": np.arange(6.0).reshape(2, 3), "s": inside, "flag": np.array([[True]]), "z": np.array([[1 + 2j]])}
    return (plain_mat(held), mat_bytes({"x": np.arange(50), "s": inside}))


def whole_mat(data: bytes) -> None:
    values = list(read_mat(put("x.mat", data)).values())
    for depth in range(6):
        values = [part for value in values for part in parts_of(value, 50 >> depth)]


def parts_of(value: MatValue, most: int) -> list[MatValue]:
    if value.kind == "cell":
        return [value.cell(number) for number in range(min(value.size, most))]
    if value.kind == "struct" and value.size == 1:
        return [value.field(name) for name in value.fields()[:most]]
    value.text() if value.kind == "char" and value.shape[:1] == (
        1,
    ) else value.numbers() if value.kind in NUMBERS else 0
    return []


def amigos_seeds() -> tuple[bytes, ...]:
    """Short signals of two films, in bytes instead of floats."""
    order = ["N1", *(film for film in FILMS if film != "N1")]
    empty = np.zeros((0, 0))
    held: dict[str, Any] = {"VideoIDs": cells(order)}
    values = {
        "joined_data": (np.arange(17 * 660) % 9).reshape(-1, 17).astype(np.uint8),
        "labels_selfassessment": np.array([[2.5, 7, 5, 1, 9, 0, 0, 1, 0, 0, 0, 1]]),
        "labels_ext_annotation": np.array([[1, 0.5, -0.5], [2, 0.25, 0]]),
    }
    for name, value in values.items():
        held[name] = cells(value if film in ("N1", "4") else empty for film in order)
    return (plain_mat(held), mat_bytes(held))


def amigos_file(data: bytes) -> None:
    opened = amigos.Reader.open(put("amigos/Data_Preprocessed_P01.mat", data).parent)
    opened.notes("P01")
    for item in opened.recordings("P01"):
        if item.error is None:
            opened.signals(item)
    opened.notes()


def continuous_seeds() -> tuple[bytes, ...]:
    held = {"labels": cells([np.zeros((1, 8)), np.ones((8, 1))]), "trials_included": np.array([[1, 2], [2, 4]])}
    return (plain_mat(held), mat_bytes(held))


def continuous_valence(data: bytes) -> None:
    opened = ContinuousValence.open(put(FILE, data))
    for number in [*opened.cells][:20]:
        opened.trace(number, 2.0)


def case_tables() -> tuple[bytes, bytes]:
    """A subject's two files with a screen and a film, in few rows: the signals' clock is right for 20 of them."""
    signals = [f"{k},{k / 8:g},1,2,3,33,4,5,6,{11 if k < 10 else 3}" for k in range(20)]
    joystick = [f"{50 * k},5,{4 + k / 8:g},{11 if k < 1 else 3}" for k in range(3)]
    heads = (",".join([*case_file.SIGNAL_COLUMNS, "video"]), ",".join([*case_file.JOYSTICK_COLUMNS, "video"]))
    first, second = (
        "\n".join([head, *rows, ""]).encode() for head, rows in zip(heads, (signals, joystick), strict=True)
    )
    return first, second


def case_files(signals: bytes, joystick: bytes) -> None:
    put("case/annotations/sub_1.csv", joystick)
    opened = case.Reader.open(put("case/physiological/sub_1.csv", signals).parents[1])
    opened.notes("s01")
    for item in opened.recordings("s01"):
        if item.error is None:
            opened.signals(item)


CASE_RAW = b"".join(b"%.4f\t%d\t%d\n" % (k / 20, 400 * k, -400 * k) for k in range(20))
CASE_LENGTHS = b"video_name\tvideo_duration\nstartVid\t3000\nbluVid\t12000.5\t\nscary-1\t100\n"
CASE_ORDER = b"sub1\tsub2\nstartVid\tbluVid\nbluVid\tscary-1\n"


def case_raw(data: bytes) -> None:
    signals = b"".join(b"%.4f\t" % (k / 1000) + b"\t".join([b"2.5"] * 8) + b"\n" for k in range(20))
    sequence = ((10, 30.0), (1, 9.0))
    files = case_file.Files(put("r/sub1_DAQ.txt", signals), put("r/sub1_joystick.txt", data), case_file.RAW, sequence)
    session = case_file.read_session(files)
    session.spans(1, rated=True)
    session.samples_at(-0.0025, 10)


def case_metadata(lengths: bytes, order: bytes) -> None:
    put("metadata/videos_duration.txt", lengths)
    case_file.read_sequences(put("metadata/seqs_order.txt", order).parent)


def dreamer_seeds() -> tuple[bytes, ...]:
    """One subject and film with a baseline that is too short; compressed, with one that is long enough."""
    seeds = []
    for rows, write in ((3, plain_mat), (61 * 128, mat_bytes)):
        signals = {
            name: {part: cells([np.ones((rows * k, n), np.uint8)], (1, 1)) for part in ("baseline", "stimuli")}
            for name, k, n in (("EEG", 1, 14), ("ECG", 2, 2))
        }
        scores = {name: np.full((1, 1), 2.0) for name in dreamer.SCORES.values()}
        top = {
            "Data": cells([signals | scores]), "EEG_SamplingRate": 128.0, "ECG_SamplingRate": 256.0,
            "EEG_Electrodes": cells(dreamer.EEG), "noOfSubjects": 1.0, "noOfVideoSequences": 1.0,
        }  # fmt: skip
        seeds.append(write({"DREAMER": top}))
    return tuple(seeds)


def dreamer_file(data: bytes) -> None:
    root = put("dreamer/DREAMER.mat", data).parent
    put("dreamer/SYNTHETIC.json", b'{"stamp": "synthetic data", "trials": 1, "seconds": 61}')
    opened = dreamer.Reader.open(root)
    opened.notes()
    for item in opened.recordings(opened.units[0]):
        if item.error is None:
            opened.signals(item)


def own_table(data: bytes) -> None:
    """The recordings, too: `problem` may tell what is wrong with one."""
    file = put("table/recordings.csv", data)
    for name in ("a.csv", "b.csv", "v.avi"):
        if not (file.parent / name).exists():
            put(f"table/{name}", CSV[0])
    every_recording(table.Reader.open(file.parent))


def own_yaml_table(data: bytes) -> None:
    root = put("yaml/table.yaml", data).parent
    if not (root / "a.csv").exists():
        put("yaml/a.csv", CSV[0])
        put("yaml/b.csv", CSV[1])
    every_recording(table.Reader.open(root))


def every_recording(opened: table.Reader) -> None:
    for unit in opened.units:
        for item in opened.recordings(unit):
            if item.error is None and item.signals is not None:
                opened.signals(item)


def own_settings(data: bytes) -> None:
    root = put("settings/table.yaml", data).parent
    if not (root / "recordings.csv").exists():
        put("settings/recordings.csv", TABLE[0])
        put("settings/a.csv", CSV[0])
    opened = table.Reader.open(root)
    assert isinstance(opened.rate_hz + opened.baseline_s + opened.frames_per_s, float)
    for unit in opened.units:
        opened.recordings(unit)


def signals(data: bytes) -> None:
    file = put("signals.csv", data)
    signal_file.channel_names_in(file)
    signal_file.span_s(file, 128.0)
    signal_file.read_signals(file, 0.0, 1.0, SIGNALS, signal_file.TextProperties(128.0))


def device_seeds(write: Callable[[Path], Any], lines: int = 40) -> tuple[bytes, ...]:
    """The first lines of a device's text file."""
    write(put("device seed", b""))
    first = (folder() / "device seed").read_bytes().split(b"\n")[:lines]
    return (b"\n".join(first).replace(b"samples:7680", b"samples:%d" % (lines - 2)) + b"\n",)


def zip_seeds() -> tuple[bytes, ...]:
    writers.write_empatica_zip(put("seed.zip", b""), writers.empatica_files(seconds=11))
    return ((folder() / "seed.zip").read_bytes(),)


def acq_seeds() -> tuple[bytes, ...]:
    channels = [("EDA", "uS", 2, np.ones(8)), ("ECG", "mV", 1, np.arange(16) / 100)]
    marks = [(0, "apnd", 1_700_000_000_000, "a"), (8, "apnd", 0, "b")]
    forms: list[dict[str, Any]] = [{"revision": 38}, {"revision": 132, "markers": marks}]
    forms.append({"revision": 68, "compressed": True})
    return tuple(writers.acq_bytes(channels=channels, **form) for form in forms)


def e4_folder(data: bytes) -> None:
    """One of the files of a session, of which the others are sound."""
    root = folder() / "e4"
    if not root.exists():
        writers.write_empatica(root, writers.empatica_files(seconds=11))
    put("e4/EDA.csv", data)
    device(root)


def device(file: Path) -> None:
    names = signal_file.channel_names_in(file)
    opened = signal_file.open_signals(file)
    last = opened.segments[-1].stop_s
    channels = tuple(Channel(name, "ppg") for name in names)
    signal_file.read_signals(file, max(0.0, last - 0.1), last, channels)


def upload_seeds() -> tuple[bytes, ...]:
    """Two and a half seconds, with a clock."""
    x = np.random.default_rng(0).normal(0, 20, (320, 3)).round(1)
    rows = pd.DataFrame(x, columns=["EEG FP1-REF", "O1", "GSR"])
    rows.insert(0, "time", (np.arange(len(rows)) / 128).round(6))
    return (rows.to_csv(index=False).encode(),)


def upload(data: bytes) -> None:
    """A file that a visitor of the web page gives, to the windows that the model sees."""
    from gbvnet.inference import predict

    corpus = open_recording([put("upload.csv", data)], SIGNALS, 128.0, 0.5)
    (recording,) = corpus.recordings(corpus.units[0])
    recording = corpus.inspect(recording)
    model = SimpleNamespace(rate_hz=128.0, baseline_s=0.5, samples_per_window=128)
    predictor = SimpleNamespace(channels=SIGNALS, prepare=PrepareConfig(), input=model)
    predict.read_signal_windows(predictor, corpus, recording, window_starts(recording.seconds, 1.0, 1.0), {})  # type: ignore[arg-type]


def names(data: bytes) -> None:
    wanted, *have = text(data).split("\n")
    assert canonical_name(canonical_name(wanted)) == canonical_name(wanted)
    channel_kind(wanted)
    at = find_channel(wanted, have)
    assert at is None or canonical_name(have[at]).upper() == canonical_name(wanted).upper()
    similar_names_hint(wanted, have[:20])


# ---------------------------------------------------------------- models, stores, runs


def tensor_seeds() -> tuple[bytes, ...]:
    held = {"a.weight": np.zeros((2, 3), np.float32), "b": np.zeros(1, np.int64)}
    return (save(held, metadata={"format": "pt", "config_sha256": "0" * 64}), save(held))


def model_seeds() -> tuple[bytes, ...]:
    config = to_dict(GBVNetConfig(variant="micro", modality="bio", n_channels=2))
    about = {
        "prepare": {"window_s": 1.0}, "channels": [["Fp1", "eeg"], ["GSR", "gsr"]], "rate_hz": 128.0,
        "samples_per_window": 128, "frames_per_window": 0, "face_side": 0, "baseline_s": 3.0, "targets": ["valence"],
        "protocol": "trial", "subjects": ["s01"], "scores": {"accuracy": 0.5}, "synthetic": True,
    }  # fmt: skip
    return (json.dumps({"format": 1, "config": config, "about": about}).encode(),)


def model_config(data: bytes) -> None:
    path = put("model/config.json", data)
    (path.parent / modelfolder.TENSORS).touch()
    _, made = modelfolder.read_config(path.parent)
    model_stamps(made["about"])
    modelfolder.build_config(path, made["config"])


@cache
def model_tensors() -> bytes:
    """Of the network in the seed; they do not say which config they belong to, so that a corrupted one goes further."""
    from safetensors.torch import save

    from gbvnet.network.model import GBVNet

    config = from_dict(GBVNetConfig, json.loads(model_seeds()[0])["config"])
    return save(GBVNet(config).state_dict())


def model_folder(data: bytes) -> Path:
    path = put("whole/config.json", data)
    if not (path.parent / modelfolder.TENSORS).exists():
        put("whole/model.safetensors", model_tensors())
    return path.parent


def whole_model(data: bytes) -> None:
    from gbvnet.inference.predictor import Predictor

    Predictor(model_folder(data), "cpu")


ABOUT = {
    "recording": "r", "subject": "s01", "trial": "1", "stimulus": "1", "verdict": "ok", "reason": "", "findings": [],
    "start_s": [0.0, 1.0], "has_face": [True, False], "has_signals": True,
    "ratings": {"valence": 5.0, "stress": "no"}, "window_ratings": {"moved": [0.5, None]},
    "n_windows": 2, "sha256": "0",
}  # fmt: skip


def store_seeds() -> tuple[bytes, ...]:
    arrays = {
        "signals": np.zeros((2, 1, 4), np.float32), "baseline": np.zeros((1, 12), np.float32),
        "faces": np.zeros((2, 3, 2, 2, 3), np.uint8), "face_ok": np.zeros((2, 3), bool),
        "trace.moved": np.array([[0.0, 1.0], [0.5, 1.0]]),
    }  # fmt: skip
    return (save(arrays, metadata={"gbvnet": json.dumps(ABOUT)}),)


STORE = {
    "format": FORMAT, "dataset": "deap", "synthetic": True, "prepare": {"window_s": 1.0}, "rate_hz": 4.0,
    "channels": [["Fp1", "eeg"]], "samples_per_window": 4, "frames_per_window": 3, "face_side": 2, "baseline_s": 3.0,
    "versions": {}, "labels": {"valence": {"scale": [1, 9]}, "stress": {"classes": ["no", "yes"]},
               "moved": {"scale": [-1, 1], "trace": True}},
}  # fmt: skip


def store_table() -> bytes:
    whole_store("table seed")
    return (folder() / "table seed/windows.parquet").read_bytes()


def whole_store(name: str) -> Path:
    """A finished store of one recording with two windows."""
    root = folder() / name
    if not (root / "windows.parquet").exists():
        put(f"{name}/store.json", json.dumps(STORE).encode())
        put(f"{name}/data/r.safetensors", store_seeds()[0])
        finish_store(root, [ABOUT])
    return root


def used(root: Path) -> None:
    opened = open_store(root)
    assert isinstance(opened.title, str) and len(opened.digest) == 16 and opened.synthetic in (True, False)
    opened.read(np.arange(len(opened)))
    if len(opened):
        opened.baseline(opened.windows["recording"].iloc[0])
        opened.trace(opened.windows["recording"].iloc[0], "moved")


def part_of_store(file: str) -> Callable[[bytes], Any]:
    """All else in the store is sound."""

    def parse(data: bytes) -> None:
        root = whole_store(f"store of {Path(file).name}")
        put(f"{root.name}/{file}", data)
        used(root)

    return parse


TEXT_DEVICES: dict[str, Callable[[Path], Any]] = {
    "shimmer": writers.write_shimmer, "openbci": writers.write_openbci, "older openbci": writers.write_older_openbci,
    "mind monitor": writers.write_mind_monitor, "emotiv": writers.write_emotiv, "xavier": writers.write_xavier,
}  # fmt: skip


def known(data: bytes) -> None:
    """What an interrupted prepare finds done, put into the tables."""
    root = put("known/data/r.safetensors", data).parents[1]
    put("known/store.json", json.dumps(STORE).encode())
    if about := prepared_recording(root, "r"):
        finish_store(root, [about])


def prediction_seeds() -> tuple[bytes, ...]:
    rows = pd.DataFrame({"trial": ["01", "01", "02", "02"], "window": [0, 1, 0, 1], "y": [1, 1, 0, 0]})
    rows = rows.assign(
        dataset="deap", system="gbvnet", modality="bio", target="valence", protocol="trial", scope="pooled", seed=0,
        fold=1, recording="s01_" + rows["trial"], subject="s01", stimulus=rows["trial"], start_s=0.0, rating=3.0, p=0.4,
        prior=0.5, gate_face=np.nan, gate_bio=0.25, config="abc",
    )  # fmt: skip
    predictions.write(rows, folder() / "seed.parquet")
    plain = io.BytesIO()
    rows.to_parquet(plain, compression=None)
    return ((folder() / "seed.parquet").read_bytes(), plain.getvalue())


def run_settings(data: bytes) -> None:
    """As a report reads them, and as the next call of the same command does."""
    root = put("run/config.yaml", data).parent
    results._read_dict(root / "config.yaml")
    known = SimpleNamespace(digest="d", title="t", path=root)
    run_folder._refuse_other_run(root, to_dict(CrossvalConfig()), known, {})  # type: ignore[arg-type]


def environment(data: bytes) -> None:
    root = put("environment/environment.json", data).parent
    run = results.Run(root, "r", pd.DataFrame(), {}, results._read_dict(root / "environment.json"))
    assert isinstance(run.store.get("digest", ""), object) and isinstance(run.data, dict)
    assert isinstance(run_folder.read_environment(root).get("findings"), list)


def run_table(data: bytes) -> None:
    """The same rows as another system would write them: as CSV, its columns given back their types."""
    try:
        rows = pd.read_csv(io.BytesIO(data), dtype=str, on_bad_lines="skip")
    except ValueError:
        return
    for column in rows:
        rows[column] = pd.to_numeric(rows[column], errors="coerce") if column in _NUMBERS else rows[column]
    rows.to_parquet(folder() / "other.parquet")
    predictions.read(folder() / "other.parquet")


OUTSIDE = (
    b"dataset,target,subject,trial,window,fold,y,p,system\n"
    + b"".join(
        b"d,valence,s%d,%d,%d,%d,%d,0.%d,mine\n" % (s, t, w, t, t % 2, 3 + w) for s, t, w in np.ndindex(2, 3, 2)
    ),
    b"recording,subject,window,split,fold,y,y_hat,dataset,target,protocol\n"
    b'a,s1,0,test,f1,3.5,3.1,d,v,trial\nb,s1,0,train,f1,4.5,,d,v,trial\n"c",s2,1,test,f1,2,2e0,d,v,trial\n',
)


def outside(file: Path) -> None:
    """As a report reads it, without a run beside it, and as the check of splits does."""
    complete(read_outside(file), [])


def outside_seeds() -> tuple[bytes, ...]:
    content = io.BytesIO()
    pd.read_csv(io.BytesIO(OUTSIDE[0])).to_parquet(content, compression=None)
    return (content.getvalue(),)


_NUMBERS = ("seed", "fold", "window", "start_s", "rating", "y", "p", "prior", "gate_face", "gate_bio")


# ---------------------------------------------------------------- recipes, splits, groups of runs

RECIPE = (
    b"name: mine\nabout: Mine.\ndataset: any\nleaky: false\nprepare: {window_s: 2.0}\ncrossval:\n  folds: 3\n"
    b"  model: {variant: micro}\n  train:\n    epochs: 2\n    batch_size: null\nprotocols: [trial]\n"
    b"targets: [valence]\nmodalities: [bio]\nsystems:\n  gbvnet: bio\n  ridge: bio\nablations:\n  - fusion concat\n",
    b"name: a\nleaky: true\nprotocols: [window]\n",
)
SPLIT = (
    b'{"unit": "trial", "folds": [{"train": ["s01/01", "s02/05"], "inner": ["s01/02"], "test": ["s03/01"]}]}',
    b'[{"train": [{"subject": "1", "trial": 2, "window": 3}], "test": ["s1-2-4"]}]',
    b'{"unit": "subject", "train": ["s01"], "val": ["s02"], "test": ["s02"]}',
    b'{"folds": [{"train": ["subject s01", "stimulus 3"], "test": ["subject s02"]}]}',
)
SPLIT_TABLE = (
    b"subject,trial,window,fold,side\ns01,01,0,1,train\ns01,02,0,1,test\ns02,1,1,2,val\ns02,1,1,2,test\n",
    b"Participant,Clip_ID,fold\n1,1,1\n1,2,2\n2,1,1\n",
)
FOLDS = (
    b'{"trial_by": "stimulus", "trial": [["s01/1"], ["s01/2"]], '
    b'"stimulus": [["1"], ["2"]], "subject": [["s01"], ["s02"]]}',
)
SERIES = (
    b'{"format": 1, "gbvnet": "0", "store": {"digest": "d", "title": "t", "synthetic": true}, '
    b'"config": {"a": 1, "b": [2]}, "runs": [{"role": "ladder", "name": "window"}, {"role": "shuffled", "name": "1"}], '
    b'"identities": [{"what": "person", "modality": "bio", "accuracy": 0.5, "chance": 0.1, "classes": 2, '
    b'"windows": 9}], "costs": {}}',
)
ENVIRONMENT = (
    b'{"gbvnet": "0", "packages": {"numpy": "1"}, "store": {"path": "s", "digest": "d", "synthetic": true}, '
    b'"data": {"windows": 4, "classes": {"valence": {"high": 1, "low": 3}}}, "findings": [], "threads": 1}',
)
STAMP = (b'{"stamp": "synthetic data", "trials": 3, "seconds": 4}',)


def split_file(name: str) -> Callable[[bytes], Any]:
    return of_file(name, lambda file: str(splitcheck.check_splits(file)))


def begun(data: bytes) -> None:
    """compare.json and audit.json as the next call of the same command reads them."""
    made = SimpleNamespace(digest="d", title="t", synthetic=True)
    run_group.begin_run_group(put("group/compare.json", data), "a comparison", made, {"a": 1, "b": [2]}, 1)  # type: ignore[arg-type]


@cache
def targets() -> dict[str, Target]:
    listed = [
        Target("dat", "bytes", dat_seeds(), of_file("s01.dat", lambda f: deap.read_dat(f, 1, -3)), 190),
        Target("ratings", "text", ratings_seeds(), of_file("ratings.csv", deap.read_ratings), 20),
        Target("session", "text", session_seeds(), session, 90),
        Target("gaze", "text", (GAZE,), of_file("gaze.tsv", lambda f: mahnob_session.read_gaze(f, 44100.0)), 120),
        Target("affec stream", "text", AFFEC_STREAM, affec_stream, 40),
        Target("affec events", "text", AFFEC_EVENTS, lambda data: affec_trials_of(data, AFFEC_RATINGS[0]), 8),
        Target("affec ratings", "text", AFFEC_RATINGS, lambda data: affec_trials_of(AFFEC_EVENTS[0], data), 8),
        Target("mat", "bytes", mat_seeds(), whole_mat, 90),
        Target("amigos", "bytes", amigos_seeds(), amigos_file, 20),
        Target("dreamer", "bytes", dreamer_seeds(), dreamer_file, 12),
        Target("continuous valence", "bytes", continuous_seeds(), continuous_valence, 40),
        Target("case signals", "text", case_tables()[:1], lambda data: case_files(data, case_tables()[1]), 8),
        Target("case joystick", "text", case_tables()[1:], lambda data: case_files(case_tables()[0], data), 8),
        Target("case raw", "text", (CASE_RAW,), case_raw, 8),
        Target("case lengths", "text", (CASE_LENGTHS,), lambda data: case_metadata(data, CASE_ORDER), 20),
        Target("case order", "text", (CASE_ORDER,), lambda data: case_metadata(CASE_LENGTHS, data), 20),
        Target("table", "text", TABLE, own_table, 3),
        Target("table in yaml", "text", YAML_TABLE, own_yaml_table, 3),
        Target("settings", "text", SETTINGS, own_settings, 3),
        Target("signals", "text", CSV, signals, 8),
        Target("film times", "text", FILM_TIMES, of_file("film.times.csv", read_film_times), 8),
        Target("ratings in time", "text", TRACES, of_file("traces.csv", lambda f: read_traces(f, LABELS, 1, 9)), 8),
        Target("empatica", "text", (writers.empatica_files(seconds=11)["EDA.csv"].encode(),), e4_folder, 4),
        Target("empatica zip", "bytes", zip_seeds(), of_file("e4.zip", device), 4),
        *(
            Target(name, "text", device_seeds(write), of_file(f"{name}.csv", device), 4)
            for name, write in TEXT_DEVICES.items()
        ),
        *([Target("acq", "bytes", acq_seeds(), of_file("a.acq", device), 8)] if find_spec("bioread") else []),
        Target("upload", "text", upload_seeds(), upload, 2),
        Target("names", "text", (b"Fp1\nEEG FP1-REF\nO1\nGSR", b"T3\nT7\nT3"), names, 130),
        Target("tensors", "tensors", tensor_seeds(), of_file("a.safetensors", modelfolder.read_header), 140),
        Target("model config", "json", model_seeds(), model_config, 60),
        Target("model shown", "json", model_seeds(), lambda data: describe_model(model_folder(data)), 20),
        Target("model asked", "json", model_seeds(), whole_model, 2),
        Target("store header", "tensors", store_seeds(), of_file("r.safetensors", read_header), 110),
        Target("store resumed", "tensors", store_seeds(), known, 8),
        Target("store", "tensors", store_seeds(), part_of_store("data/r.safetensors"), 4),
        Target("store settings", "json", (json.dumps(STORE).encode(),), part_of_store("store.json"), 10),
        Target("store table", "bytes", (store_table(),), part_of_store("windows.parquet"), 8),
        Target("predictions", "bytes", prediction_seeds(), of_file("p.parquet", predictions.read), 15),
        Target("predictions of others", "text", other_seeds(), run_table, 2),
        Target("outside predictions", "text", OUTSIDE, of_file("theirs.csv", outside), 4),
        Target("outside predictions in Parquet", "bytes", outside_seeds(), of_file("theirs.parquet", outside), 10),
        Target("run settings", "text", run_seeds(), run_settings, 4),
        Target("run environment", "json", ENVIRONMENT, environment, 40),
        Target("recipe", "text", RECIPE, lambda data: recipe.parse_recipe(text(data), "mine"), 2),
        Target("split", "json", SPLIT, split_file("splits.json"), 5),
        Target("split table", "text", SPLIT_TABLE, split_file("splits.csv"), 4),
        Target("fixed folds", "json", FOLDS, of_file("folds.json", lambda f: splits.fixed_folds(str(f))), 40),
        Target("audit", "json", SERIES, lambda data: read_audit(put("audit/audit.json", data).parent), 20),
        Target("comparison", "json", SERIES, begun, 40),
        Target("stamp", "json", STAMP, of_file("stamp/SYNTHETIC.json", lambda f: recording.read_stamp(f.parent)), 40),
    ]
    return {target.name: target for target in listed}


def other_seeds() -> tuple[bytes, ...]:
    return (pd.read_parquet(io.BytesIO(prediction_seeds()[1])).to_csv(index=False).encode(),)


def run_seeds() -> tuple[bytes, ...]:
    return (
        yaml.safe_dump(to_dict(CrossvalConfig()), sort_keys=False).encode(),
        b"system: gbvnet\ntrain: {epochs: 3}\n",
    )

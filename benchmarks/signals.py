"""Preparing one DEAP subject's signals against only reading the pickle that holds them, and against the
least that makes the same windows: read, filter, subtract the baseline, cut, save."""

import json
import os
import pickle
import shutil
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save
from scipy.signal import sosfiltfilt

from gbvnet.config import PrepareConfig
from gbvnet.datasets import deap, open_corpus
from gbvnet.datasets.synthetic.deap import dat_bytes
from gbvnet.preprocessing.signals import BANDS, band_sections
from gbvnet.store.prepare import prepare_store

from .clock import in_turn


def measure():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "deap"
        dat = full_size_subject(root)
        corpus = open_corpus("deap", root)
        store = Path(folder) / "store"

        def prepare():
            shutil.rmtree(store, ignore_errors=True)
            prepare_store(corpus, store, PrepareConfig(faces=False))

        def read():
            with dat.open("rb") as f:
                return pickle.load(f, encoding="latin1")

        def fresh():
            deap._cached_dat.cache_clear()
            prepare()

        def plain():
            shutil.rmtree(store, ignore_errors=True)
            store.mkdir()
            for trial, x in enumerate(read()["data"]):
                save_windows(store / f"{trial}.safetensors", x)

        seconds = in_turn(5, read=read, plain=plain, prepare=fresh)
    yield {"what": "reading one subject's pickle", "value": seconds["read"], "unit": "s"}
    yield {"what": "preparing its signals: 2,400 windows on disk", "value": seconds["prepare"], "unit": "s"}
    ratio = seconds["prepare"] / seconds["read"]
    yield {"what": "preparing / reading", "value": ratio, "unit": "x", "aim": "below 2"}
    ratio = seconds["plain"] / seconds["read"]
    yield {"what": "the least: reading, filtering, cutting and saving / reading", "value": ratio, "unit": "x"}
    yield {"what": "preparing / the least", "value": seconds["prepare"] / seconds["plain"], "unit": "x"}


def save_windows(file: Path, x: np.ndarray) -> None:
    """Save the windows of one trial, (40, 63 s), filtered as `prepare` does; on the disk when this returns."""
    for band in set(BANDS.values()):
        rows = [i for i, c in enumerate(deap.CHANNELS) if BANDS[c.kind] == band and not c.filtered]
        if rows:
            x[rows] = sosfiltfilt(band_sections(*band, deap.RATE_HZ), x[rows], axis=-1)
    start = deap.BASELINE_S * deap.RATE_HZ
    stimulus = x[:, start:] - x[:, :start].mean(axis=1, keepdims=True)
    windows = stimulus.reshape(len(x), -1, deap.RATE_HZ).transpose(1, 0, 2).astype(np.float32, order="C")
    with file.open("wb") as f:
        f.write(save({"signals": windows, "baseline": x[:, :start].astype(np.float32)}))
        f.flush()
        os.fsync(f.fileno())


def full_size_subject(root: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = rng.uniform(1, 9, (40, 4)).round(2)
    (root / "data_preprocessed_python").mkdir(parents=True)
    (root / "metadata_csv").mkdir()
    header = "Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking,Familiarity"
    lines = [f"1,{40 - i},{i + 1},0,{','.join(map(str, labels[i]))},3" for i in range(40)]
    (root / "metadata_csv/participant_ratings.csv").write_text("\n".join([header, *lines]) + "\n")
    dat = root / "data_preprocessed_python/s01.dat"
    dat.write_bytes(dat_bytes(rng.standard_normal((40, 40, 8064)), labels))
    (root / "SYNTHETIC.json").write_text(json.dumps({"stamp": "synthetic data", "trials": 40, "seconds": 60}))
    return dat

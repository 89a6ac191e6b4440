"""Preparing one DEAP subject's signals against only reading the pickle that holds them."""

import json
import pickle
import shutil
import tempfile
from pathlib import Path

import numpy as np

from gbvnet.config import PrepareConfig
from gbvnet.datasets import open_corpus
from gbvnet.datasets.synthetic.deap import dat_bytes
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

        from gbvnet.datasets import deap

        def fresh():
            deap._cached_dat.cache_clear()
            prepare()

        seconds = in_turn(5, read=read, prepare=fresh)
    yield {"what": "reading one subject's pickle", "value": seconds["read"], "unit": "s"}
    yield {"what": "preparing its signals: 2,400 windows on disk", "value": seconds["prepare"], "unit": "s"}
    ratio = seconds["prepare"] / seconds["read"]
    yield {"what": "preparing / reading", "value": ratio, "unit": "x", "aim": "below 2"}


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

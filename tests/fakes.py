"""Tiny corpora in the real on-disk formats, written without the package's own writers."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd

PRESENTED = {1: (2, 3, 1), 2: (3, 1, 2)}  # participant -> Trial of Experiment_id 1, 2, 3: the orders differ


def write_deap(root: Path, seconds: int = 4, subjects=(1, 2), stamped: bool = True) -> Path:
    """3 trials a subject. Sample n of channel c in row i of subject p is p*1000 + i*100 + c + n/10000, so that any
    window shows where it is from. Signals only."""
    (root / "data_preprocessed_python").mkdir(parents=True)
    (root / "metadata_csv").mkdir()
    rows = []
    for p in subjects:
        labels = np.array([[i + 1.25, 8.5 - i, 4.0 + i, 5.0] for i in range(3)])
        for i, trial in enumerate(PRESENTED[p]):
            rows.append([p, trial, i + 1, 0, *labels[i], 3])
        (root / f"data_preprocessed_python/s{p:02d}.dat").write_bytes(
            pickle.dumps({"labels": labels, "data": deap_samples(p, seconds)}, protocol=2)
        )
    columns = "Participant_id Trial Experiment_id Start_time Valence Arousal Dominance Liking Familiarity".split()
    pd.DataFrame(rows, columns=columns).sort_values(["Participant_id", "Trial"]).to_csv(
        root / "metadata_csv/participant_ratings.csv", index=False
    )
    if stamped:
        (root / "SYNTHETIC.json").write_text(json.dumps({"stamp": "synthetic data", "trials": 3, "seconds": seconds}))
    return root


def deap_samples(participant: int, seconds: int = 4) -> np.ndarray:
    n = (3 + seconds) * 128
    rows, channels = np.arange(3)[:, None, None], np.arange(40)[None, :, None]
    return participant * 1000.0 + rows * 100 + channels + np.arange(n) / 10000

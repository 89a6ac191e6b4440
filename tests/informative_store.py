"""A small store with a known answer for explanations: three named EEG channels tell, and of the face only the mouth.

As in the synthetic corpora, what the face shows and what the signals show are drawn apart, one strong and one weak, and
the rating is their sum: either alone is right in three trials of four, both together always.
"""

from pathlib import Path

import numpy as np

from gbvnet.config import PrepareConfig, to_dict
from gbvnet.datasets.label_columns import RATING_COLUMNS, label_settings
from gbvnet.datasets.synthetic.deap import latent_pairs
from gbvnet.store.reader import Store, open_store
from gbvnet.store.writer import create_store, finish_store, write_recording

CHANNELS = (*tuple((name, "eeg") for name in ("F3", "Fz", "C3", "Cz", "C4", "Pz", "O1", "O2")), ("GSR", "gsr"))
TELLING = ("F3", "C4", "O1")
SIDE, SAMPLES = 32, 32
MOUTH = (slice(20, 28), slice(8, 24))  # rows, columns: of 8 x 8 patches rows 5 and 6, columns 2 to 5


def write_store(path: Path, subjects=4, trials=12, windows=6, seed=0, frames=2) -> Store:
    rng = np.random.default_rng(seed)
    prepare = PrepareConfig(face_side=SIDE, frames_per_window=frames)
    create_store(
        path,
        {
            "dataset": "deap",
            "synthetic": True,
            "prepare": to_dict(prepare),
            "channels": [list(c) for c in CHANNELS],
            "rate_hz": float(SAMPLES),
            "samples_per_window": SAMPLES,
            "frames_per_window": frames,
            "face_side": SIDE,
            "baseline_s": 3.0,
            "labels": label_settings(RATING_COLUMNS),
            "versions": {"gbvnet": "0"},
        },
    )
    recordings = []
    for subject in range(1, subjects + 1):
        for trial, (face, signals) in enumerate(latent_pairs(trials, rng), 1):
            about = {
                "recording": f"s{subject:02d}_trial{trial:02d}",
                "subject": f"s{subject:02d}",
                "trial": f"{trial:02d}",
                "stimulus": f"{trial:02d}",
                "verdict": "ok",
                "reason": "",
                "findings": (),
                "start_s": [float(w) for w in range(windows)],
                "has_face": [True] * windows,
                "has_signals": True,
                "ratings": {"valence": 5 + 2 * (face + signals), "arousal": 5 - 2 * (face + signals)},
                "n_windows": windows,
            }
            recordings.append(
                write_recording(path, about["recording"], _arrays(rng, windows, frames, face, signals), about)
            )
    finish_store(path, recordings)
    return open_store(path)


def _arrays(rng, windows: int, frames: int, face: float, signals: float) -> dict[str, np.ndarray]:
    x = rng.normal(size=(windows, len(CHANNELS), SAMPLES))
    for k, (name, _) in enumerate(CHANNELS):
        if name in TELLING:
            x[:, k] *= np.exp(signals)
    light = rng.normal(0, 5, size=(windows, 1, 1, 1, 3))  # tells nothing, so that the whole face's colour does not
    pixels = 120 + light + _eyes() + 4 * rng.normal(size=(windows, frames, SIDE, SIDE, 3))
    pixels[:, :, MOUTH[0], MOUTH[1]] += 60 * face
    return {
        "signals": (10 * x + 100).astype(np.float32),
        "faces": pixels.clip(0, 255).astype(np.uint8),
        "face_ok": np.ones((windows, frames), bool),
    }


def _eyes() -> np.ndarray:
    """(S, S, 1): dark where eyes would be; they never change."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return -60 * sum(np.exp(-((x - at) ** 2 + (y - 11) ** 2) / 12.0) for at in (10, 22))[..., None]

"""Small stores with a known truth, written with the package's own store module: for tests of training.

Each trial's label shows, as far as `effect` goes, in the amplitude of one signal channel and in the redness of the
face; `fingerprint` marks each trial by an amplitude and a brightness of its own, the bait of the window protocol.
"""

from pathlib import Path

import numpy as np

from gbvnet.config import PrepareConfig, stored_settings
from gbvnet.datasets.label_columns import RATING_COLUMNS, label_settings
from gbvnet.store.prepared_faces import face_settings
from gbvnet.store.reader import Store, open_store
from gbvnet.store.writer import create_store, finish_store, write_recording

CHANNELS = (("Fz", "eeg"), ("Cz", "eeg"), ("Oz", "eeg"), ("GSR1", "gsr"), ("Resp", "resp"))
FRAMES, SIDE, SAMPLES = 2, 32, 32


def write_store(
    path: Path,
    subjects=4,
    trials=6,
    windows=5,
    effect=1.0,
    fingerprint=0.0,
    seed=0,
    faces=True,
    missing=(),
    ratings=None,
    levels=2,
    kept="pixels",
) -> Store:
    """kept : of the faces: pixels, or features alone, the same as the pictures' expression and a head that nods with it
    levels : valences from 3 to 7, evenly spaced, the effect growing from the lowest to the highest
    missing : {(subject, trial): "face" or "signals"}, both from 1
    ratings : (subjects, trials) valences, or None
    """
    rng = np.random.default_rng(seed)
    create_store(path, _settings(faces, kept))
    recordings = []
    for subject in range(1, subjects + 1):
        highs = rng.permutation(np.arange(trials) % levels) / (levels - 1)
        for trial in range(1, trials + 1):
            high = highs[trial - 1]
            valence = 3.0 + 4.0 * high
            if ratings is not None:
                valence = ratings[subject - 1][trial - 1]
            lost = dict(missing).get((subject, trial))
            arrays = _arrays(
                rng, windows, effect * (2 * high - 1), fingerprint, faces and lost != "face", lost != "signals"
            )
            has_face = "faces" in arrays
            if kept == "features" and has_face:
                del arrays["faces"]
                expression = arrays.pop("expression")
                pose = np.repeat(expression[:, :, 44:45], 6, axis=2) - 0.3
                arrays["face_features"] = np.concatenate([expression, pose], axis=2)
            about = {
                "recording": f"s{subject:02d}_trial{trial:02d}",
                "subject": f"s{subject:02d}",
                "trial": f"{trial:02d}",
                "stimulus": f"{(trial * 5 + subject) % trials + 1:02d}",
                "verdict": "ok",
                "reason": "",
                "findings": (),
                "start_s": [float(w) for w in range(windows)],
                "has_face": [has_face] * windows,
                "has_signals": "signals" in arrays,
                "ratings": {"valence": valence, "arousal": 10 - valence},
                "n_windows": windows,
            }
            recordings.append(write_recording(path, about["recording"], arrays, about))
    finish_store(path, recordings)
    return open_store(path)


def _arrays(rng, windows, class_effect, fingerprint, face, signals) -> dict[str, np.ndarray]:
    arrays = {}
    own = fingerprint * rng.normal(size=(2, len(CHANNELS)))
    if signals:
        x = rng.normal(size=(windows, len(CHANNELS), SAMPLES))
        x *= np.exp(own[0])[:, None]
        x[:, 1] *= np.exp(0.7 * class_effect)
        arrays["signals"] = (10 * x + 100).astype(np.float32)
        own_rng = np.random.default_rng(np.abs(1e6 * x[0, 0, :4]).astype(int))  # and `rng` goes on as it always did
        before = own_rng.normal(size=(len(CHANNELS), 3 * SAMPLES))
        arrays["baseline"] = (10 * before + 100).astype(np.float32)
    if face:
        look = 128 + 40 * fingerprint * rng.normal(size=3)
        look[0] += 25 * class_effect
        pixels = look + 12 * rng.normal(size=(windows, FRAMES, SIDE, SIDE, 3))
        arrays["faces"] = pixels.clip(0, 255).astype(np.uint8)
        arrays["face_ok"] = np.ones((windows, FRAMES), bool)
        own_rng = np.random.default_rng(pixels[0, 0, :2, :2].astype(int).ravel().clip(0))
        coefficients = own_rng.uniform(0.2, 0.4, (windows, FRAMES, 52))
        coefficients[:, :, 44:46] += 0.15 * class_effect  # both corners of the mouth
        arrays["expression"] = coefficients.clip(0, 1).astype(np.float32)
    return arrays


def _settings(faces: bool, kept: str) -> dict:
    frames = FRAMES if faces else None
    prepare = PrepareConfig(faces=faces, face_side=SIDE, frames_per_window=frames, store_faces=kept)
    return {
        "dataset": "deap",
        "synthetic": True,
        "prepare": stored_settings(prepare),
        "channels": [list(c) for c in CHANNELS],
        "rate_hz": float(SAMPLES),
        "samples_per_window": SAMPLES,
        "frames_per_window": FRAMES if faces else 0,
        **face_settings(prepare),
        "baseline_s": 3.0,
        "labels": label_settings(RATING_COLUMNS),
        "versions": {"gbvnet": "0"},
    }

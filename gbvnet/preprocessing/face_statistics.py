"""Brightness, contrast and sharpness of the training faces, and which other faces are far from them.

Measured on the aligned face pictures that the network reads, so a small or blurred face in a video has low sharpness.
Shapes: n windows, F frames, S face side, 3 measures.
"""

from typing import Any

import numpy as np

MEASURES = ("brightness", "contrast", "sharpness")
KEY = "face_statistics"  # in a model's metadata: measure -> [mean, SD] over training windows
MAX_WINDOWS = 512  # evenly spaced over the training rows
FAR = 4.0  # SDs between windows, above which a face is far from the training faces
MIN_SD = (5.0, 0.1, 0.1)  # of each measure: training on one subject in one light must not flag all others
GREY = np.array([0.299, 0.587, 0.114], np.float32)


def measure(faces: np.ndarray, ok: np.ndarray) -> np.ndarray:
    """Return the measures of windows, (n, 3): means over a window's good frames of the mean grey level (0 to 255), the
    log of its SD, and the log of the mean absolute Laplacian; NaN for a window without a good frame.

    faces : (n, F, S, S, 3) uint8        ok : (n, F) bool
    """
    measures = np.full((len(faces), len(MEASURES)), np.nan)
    for k in np.flatnonzero(ok.any(axis=1)):
        grey = faces[k][ok[k]].astype(np.float32) @ GREY  # (good, S, S)
        middle = grey[:, 1:-1, 1:-1]
        around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
        edges = np.abs(around - 4 * middle).mean(axis=(1, 2))
        each = grey.mean(axis=(1, 2)), np.log(grey.std(axis=(1, 2)) + 1), np.log(edges + 1)
        measures[k] = [values.mean() for values in each]
    return measures


def summarise(measures: np.ndarray) -> dict[str, list[float]] | None:
    """Return measure -> [mean, SD] over training windows, (n, 3), for a model's metadata; None if none shows a face."""
    finite = measures[np.isfinite(measures).all(axis=1)]
    if not len(finite):
        return None
    mean, sd = finite.mean(axis=0), finite.std(axis=0)
    return {name: [round(float(m), 4), round(float(s), 4)] for name, m, s in zip(MEASURES, mean, sd, strict=True)}


def far(measures: np.ndarray, about: dict[str, Any]) -> list[str]:
    """Return for each window the measures that are far from the training faces', as "face brightness"; "" for none, and
    for a model of an earlier version, which has no face statistics.

    measures : (n, 3)        about : a model's metadata, which may come from any source
    """
    training = _training_statistics(about.get(KEY))
    if training is None:
        return [""] * len(measures)
    mean, sd = training
    with np.errstate(invalid="ignore"):
        is_far = np.abs(measures - mean) > FAR * np.maximum(sd, MIN_SD)  # NaN is not
    return [" ".join(f"face {name}" for name, flag in zip(MEASURES, row, strict=True) if flag) for row in is_far]


def _training_statistics(entry: Any) -> tuple[np.ndarray, np.ndarray] | None:
    if not isinstance(entry, dict) or set(entry) != set(MEASURES):
        return None
    try:
        values = np.array([entry[name] for name in MEASURES], np.float64)
    except (TypeError, ValueError):
        return None
    return (values[:, 0], values[:, 1]) if values.shape == (3, 2) and np.isfinite(values).all() else None

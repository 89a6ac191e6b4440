"""How bright, contrasty and sharp the faces of a training were, and which faces are far from that.

Measured on the aligned crops that the network sees, so a small or blurred face in a film is one of low sharpness.
Shapes: n windows, F frames, S face side, 3 measures.
"""

from typing import Any

import numpy as np

MEASURES = ("brightness", "contrast", "sharpness")
KEY = "face_statistics"  # in `about` of a model's config: measure -> [mean, SD] over training windows
SAMPLE = 512  # windows at most, evenly over the training rows
FAR = 4.0  # SDs between windows, from which on a face is far from the training
LEAST_SD = (5.0, 0.1, 0.1)  # of each measure: a training of one subject in one light is no reason to flag all others
GREY = np.array([0.299, 0.587, 0.114], np.float32)


def measure(faces: np.ndarray, ok: np.ndarray) -> np.ndarray:
    """faces (n, F, S, S, 3) uint8, ok (n, F) bool -> (n, 3): means over a window's good frames of the mean grey level
    (0 to 255), the log of its SD, and the log of the mean size of the Laplacian; NaN for a window without one."""
    found = np.full((len(faces), len(MEASURES)), np.nan)
    for k in np.flatnonzero(ok.any(axis=1)):
        grey = faces[k][ok[k]].astype(np.float32) @ GREY  # (good, S, S)
        middle = grey[:, 1:-1, 1:-1]
        around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
        edges = np.abs(around - 4 * middle).mean(axis=(1, 2))
        each = grey.mean(axis=(1, 2)), np.log(grey.std(axis=(1, 2)) + 1), np.log(edges + 1)
        found[k] = [values.mean() for values in each]
    return found


def summarise(measures: np.ndarray) -> dict[str, list[float]] | None:
    """measures (n, 3) of training windows -> measure -> [mean, SD], for a model's config; None if none shows a face."""
    there = measures[np.isfinite(measures).all(axis=1)]
    if not len(there):
        return None
    mean, sd = there.mean(axis=0), there.std(axis=0)
    return {name: [round(float(m), 4), round(float(s), 4)] for name, m, s in zip(MEASURES, mean, sd, strict=True)}


def far(measures: np.ndarray, about: dict[str, Any]) -> list[str]:
    """For each of n windows the measures that are far from the training's, as "face brightness"; "" for none, and for a
    model that was trained before they were kept. measures (n, 3); about: of a model's config, and may be anybody's."""
    kept = _kept(about.get(KEY))
    if kept is None:
        return [""] * len(measures)
    mean, sd = kept
    with np.errstate(invalid="ignore"):
        odd = np.abs(measures - mean) > FAR * np.maximum(sd, LEAST_SD)  # NaN is not
    return [" ".join(f"face {name}" for name, is_odd in zip(MEASURES, row, strict=True) if is_odd) for row in odd]


def _kept(noted: Any) -> tuple[np.ndarray, np.ndarray] | None:
    if not isinstance(noted, dict) or set(noted) != set(MEASURES):
        return None
    try:
        values = np.array([noted[name] for name in MEASURES], np.float64)
    except (TypeError, ValueError):
        return None
    return (values[:, 0], values[:, 1]) if values.shape == (3, 2) and np.isfinite(values).all() else None

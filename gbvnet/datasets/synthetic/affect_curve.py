"""A slow curve of affect, as signals show it and as a joystick follows it some seconds later."""

from typing import TypeAlias

import numpy as np

Curve: TypeAlias = tuple[tuple[float, float, float], ...]  # amplitude, Hz and phase of its parts


def draw_curve(rng: np.random.Generator) -> Curve:
    """Return the parts of a slow curve: periods of 5 to 25 s, so that a lag of some seconds matters."""
    hz = rng.uniform([0.04, 0.08, 0.13], [0.07, 0.12, 0.2])
    return tuple(
        (round(a, 4), round(float(f), 4), round(float(rng.random()), 4))
        for a, f in zip((0.6, 0.5, 0.4), hz, strict=True)
    )


def curve_at(curve: Curve, time_s: np.ndarray) -> np.ndarray:
    """Return a curve at seconds of the stimulus, (T,) -> (T,), -1 to 1."""
    parts = (a * np.sin(2 * np.pi * (hz * time_s + phase)) for a, hz, phase in curve)
    return np.clip(np.sum([*parts], axis=0), -1, 1)

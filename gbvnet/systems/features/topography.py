"""Pictures of the scalp: a value at each electrode, spread over a small disc. Shapes: C electrodes, P pixels.

Positions are mne's `easycap-M1`, the places of the 10-10 system on a sphere, laid flat with all angles from the vertex
kept. Values spread by a radial basis function (scipy's `linear` kernel): exact at the electrodes, straight between.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ...datasets.channel_names import canonical_name

SIDE = 16  # pixels
EDGE = 0.55  # radius of the picture: the angle from the vertex, in half turns; the equator is at 0.5


def placed(names: Sequence[str]) -> list[int]:
    """Which of the names are electrodes with a known place."""
    known = _places()
    return [i for i, name in enumerate(names) if canonical_name(name) in known]


@lru_cache(maxsize=16)
def spread(names: tuple[str, ...]) -> np.ndarray:
    """(P, C) how much each electrode counts in each pixel within the disc, rows from the front, columns from the left.

    names : electrodes, all of which have a place. Two names of one place share it.
    """
    from scipy.interpolate import RBFInterpolator

    found, share = np.unique([canonical_name(name) for name in names], return_inverse=True)
    at = np.array([_places()[name] for name in found])
    each = np.zeros((len(found), len(names)))
    each[share, np.arange(len(names))] = 1
    each /= each.sum(axis=1, keepdims=True)
    return (
        RBFInterpolator(at, each, kernel="linear", degree=0)(pixels())
        if len(at) > 1
        else np.repeat(each, len(pixels()), axis=0)
    )


def pixels() -> np.ndarray:
    """(P, 2) places of the pixels, to the right and to the front of the vertex, in the units of `EDGE`."""
    line = EDGE * (np.arange(SIDE) + 0.5 - SIDE / 2) / (SIDE / 2)
    right, front = np.meshgrid(line, line[::-1])
    inside = right**2 + front**2 <= EDGE**2
    return np.stack([right[inside], front[inside]], axis=1)


@lru_cache(maxsize=1)
def _places() -> dict[str, tuple[float, float]]:
    from mne.channels import make_standard_montage

    found = {}
    for name, (right, front, up) in make_standard_montage("easycap-M1").get_positions()["ch_pos"].items():
        flat = np.hypot(right, front)
        angle = np.arctan2(flat, up) / np.pi  # 0 at the vertex, 0.5 at the equator
        found[canonical_name(name)] = (angle * right / max(flat, 1e-12), angle * front / max(flat, 1e-12))
    return found

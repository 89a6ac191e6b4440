"""Maps of the scalp: values at electrodes, interpolated over a small disc. Shapes: C electrodes, P pixels.

Positions are mne's `easycap-M1`, those of the 10-10 system on a sphere, projected so that angles from the vertex are
preserved. Interpolation is by a radial basis function (scipy's `linear` kernel): exact at the electrodes.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ...datasets.channel_names import canonical_name

SIDE = 16  # pixels
EDGE = 0.55  # radius of the picture: the angle from the vertex, in half turns; the equator is at 0.5


def known_electrodes(names: Sequence[str]) -> list[int]:
    """Return the indices of the names that are electrodes with a known position."""
    known = _places()
    return [i for i, name in enumerate(names) if canonical_name(name) in known]


@lru_cache(maxsize=16)
def interpolation_weights(names: tuple[str, ...]) -> np.ndarray:
    """Return the weight (P, C) of each electrode in each pixel within the disc, rows from the front, columns from the
    left.

    names : electrodes with a known position. Two names of one position share it.
    """
    from scipy.interpolate import RBFInterpolator

    positions, share = np.unique([canonical_name(name) for name in names], return_inverse=True)
    at = np.array([_places()[name] for name in positions])
    each = np.zeros((len(positions), len(names)))
    each[share, np.arange(len(names))] = 1
    each /= each.sum(axis=1, keepdims=True)
    return (
        RBFInterpolator(at, each, kernel="linear", degree=0)(pixels())
        if len(at) > 1
        else np.repeat(each, len(pixels()), axis=0)
    )


def pixels() -> np.ndarray:
    """Return the positions (P, 2) of the pixels, to the right and to the front of the vertex, in the units of
    `EDGE`."""
    line = EDGE * (np.arange(SIDE) + 0.5 - SIDE / 2) / (SIDE / 2)
    right, front = np.meshgrid(line, line[::-1])
    inside = right**2 + front**2 <= EDGE**2
    return np.stack([right[inside], front[inside]], axis=1)


@lru_cache(maxsize=1)
def _places() -> dict[str, tuple[float, float]]:
    from mne.channels import make_standard_montage

    positions = {}
    for name, (right, front, up) in make_standard_montage("easycap-M1").get_positions()["ch_pos"].items():
        flat = np.hypot(right, front)
        angle = np.arctan2(flat, up) / np.pi  # 0 at the vertex, 0.5 at the equator
        positions[canonical_name(name)] = (angle * right / max(flat, 1e-12), angle * front / max(flat, 1e-12))
    return positions

"""Probes of AMIGOS: what the numbers themselves say of columns and units that the files do not name."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.signal import medfilt

from .amigos_file import RATE_HZ

LEAST_FILMS = 5  # for a correlation over films
_STEP = RATE_HZ // 4  # samples over which the skin channel is averaged before its changes are looked at
_SLOW = 21  # such steps, 5 s: what changes no faster is drift


def order_of_columns(pairs: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]]) -> list[str]:
    """Return a note on whether felt and external ratings agree more as the columns are read than the other way round.

    pairs : film -> of each participant the first two felt ratings (arousal, valence), and external valence and arousal,
        (2,) each
    """
    means = [[np.mean([pair[k] for pair in of], axis=0) for k in range(2)] for of in pairs.values() if of]
    if len(means) < LEAST_FILMS:
        return []
    felt, external = (np.array([mean[k] for mean in means]) for k in range(2))  # (films, 2)
    if not np.isfinite(felt).all() or min(felt.std(axis=0).min(), external.std(axis=0).min()) == 0:
        return []
    r = np.corrcoef(felt.T, external.T)[:2, 2:]  # felt arousal, valence x external valence, arousal
    as_read, swapped = r[0, 1] + r[1, 0], r[0, 0] + r[1, 1]
    words = (
        f"over {len(means)} films, felt and external ratings correlate by {r[0, 1]:.2f} (arousal) and {r[1, 0]:.2f} "
        f"(valence) as their columns are read, and by {r[0, 0]:.2f} and {r[1, 1]:.2f} the other way round"
    )
    if as_read > swapped:
        return [words]
    return [f"{words}: ARE AROUSAL AND VALENCE IN THE ORDER THAT IS ASSUMED? (docs/corpora/amigos.md)"]


def skin_direction(recordings: Iterable[np.ndarray]) -> list[str]:
    """Return a note on the unknown unit of the skin channel: its level, and the direction of its fast changes.

    Conductance rises fast after a stimulus and falls slowly; resistance does the contrary. recordings : (N,) each
    """
    levels, falls = [], []
    for x in recordings:
        n = len(x) // _STEP * _STEP
        blocks = x[:n].reshape(-1, _STEP).mean(axis=1)
        if len(blocks) <= _SLOW or not (np.isfinite(blocks).all() and blocks.min() > 0 and np.ptp(blocks)):
            continue
        changes = np.diff(np.log(blocks))  # in logarithms, the one is minus the other
        changes -= medfilt(changes, _SLOW)  # without the slow drift
        levels.append(float(np.median(x)))
        falls.append(float(np.mean(changes**3)) < 0)
    if not levels:
        return []
    share = sum(falls) / len(falls)
    like = "a resistance's" if share > 2 / 3 else "a conductance's" if share < 1 / 3 else "neither's clearly"
    return [
        f"GSR has no stated unit and is kept as recorded: its median is {np.median(levels):.3g}, and its fast changes "
        f"go down in {sum(falls)} of {len(falls)} films, {like}"
    ]

"""Features of heart and skin in one window: level, trend, spread, roughness, peaks. Windows (n, C, L), rate in Hz.

Libraries for these signals (neurokit2, biosppy) need many heartbeats, or the half minute of a skin response; a window
lasts a second or a few. So these are the few features that such a window allows.
"""

import numpy as np
from scipy.ndimage import maximum_filter1d

from .band_power import log_power
from .extract import Extractor

PEAK_DISTANCE_S = 0.3  # the least between two peaks: 200 heartbeats a minute
HEIGHT = 1.0  # of a peak above the window's mean, in SDs


def autonomic(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return features (n, C, 5 + bands): mean, SD, slope (unit / s), mean absolute difference (unit / s), peaks per s,
    log band powers as in band_power.py."""
    at = (np.arange(x.shape[2]) - (x.shape[2] - 1) / 2) / rate_hz  # seconds from the middle
    rough = np.abs(np.diff(x, axis=2)).mean(axis=2) * rate_hz
    described = [x.mean(axis=2), x.std(axis=2), x @ at / (at**2).sum(), rough, peaks(x, rate_hz)]
    return np.concatenate([np.stack(described, axis=2), log_power(x, rate_hz)], axis=2)


def peaks(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the peaks a second (n, C): samples an SD above the mean, higher than the one before, and the highest
    within 0.3 s.

    The first and the last sample are no peaks, as the signal may rise outside the window.
    """
    reach = max(1, round(PEAK_DISTANCE_S * rate_hz))
    highest = x == maximum_filter1d(x, 2 * reach + 1, axis=2, mode="nearest")
    high = x > x.mean(axis=2, keepdims=True) + HEIGHT * x.std(axis=2, keepdims=True)
    rising = np.diff(x, axis=2)[:, :, :-1] > 0
    return ((highest & high)[:, :, 1:-1] & rising).sum(axis=2) * rate_hz / x.shape[2]


AUTONOMIC = Extractor("autonomic", autonomic)

"""Power and differential entropy of one channel in one window, band by band.

Both follow from the variance of a band, by the Hann-tapered periodogram of the window (scipy's `periodogram` with
`hann`), so that no filter has to settle within a second. Windows (n, C, L) float64 and their rate in Hz give (n, C, K).
"""

from functools import lru_cache

import numpy as np
from scipy.fft import rfft, rfftfreq
from scipy.signal.windows import hann

from ...errors import BadConfig
from .extract import BANDS_HZ, Extractor

FLOOR = 1e-30  # of a power, so that a flat channel has a logarithm


def log_power(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the natural log of the mean power density in each band, unit^2 / Hz; (n, C, K)."""
    bands = bands_of(x.shape[2], rate_hz)
    width_hz = np.array([end - first for _, first, end in bands]) * rate_hz / x.shape[2]
    return np.log(np.maximum(variances(x, rate_hz) / width_hz, FLOOR))


def entropy(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the differential entropy of each band, nats, of a normal signal of its variance: 0.5 ln(2 pi e
    variance)."""
    return 0.5 * np.log(2 * np.pi * np.e * np.maximum(variances(x, rate_hz), FLOOR))


def variances(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the contribution of each band to the variance, unit^2; (n, C, K)."""
    length, bands = x.shape[2], bands_of(x.shape[2], rate_hz)
    taper = hann(length, sym=False)
    spectrum = rfft((x - x.mean(axis=2, keepdims=True)) * taper, axis=2)
    # Twice, for the mirror image; 0 Hz and half the rate, which have none, are in no band.
    power = 2 * (spectrum.real**2 + spectrum.imag**2) / (length * (taper**2).sum())
    return np.stack([power[:, :, first:end].sum(axis=2) for _, first, end in bands], axis=2)


@lru_cache(maxsize=32)
def bands_of(length: int, rate_hz: float) -> tuple[tuple[tuple[int, int], int, int], ...]:
    """Return the bands that windows of this length resolve, each with its first bin and one past its last.

    A band above half the rate, or so narrow that no bin is in it, is left out. Raises BadConfig if none is left.
    """
    hz, resolved = rfftfreq(length, 1 / rate_hz), []
    for low, high in BANDS_HZ:
        at = np.flatnonzero((low <= hz) & (hz < high))
        if high <= rate_hz / 2 and len(at):
            resolved.append(((low, high), int(at[0]), int(at[-1]) + 1))
    if not resolved:
        bands = ", ".join(f"{low}-{high} Hz" for low, high in BANDS_HZ)
        raise BadConfig(f"windows of {length} samples at {rate_hz:g} Hz resolve none of the bands {bands}")
    return tuple(resolved)


LOG_POWER, ENTROPY = Extractor("log-power", log_power), Extractor("entropy", entropy)

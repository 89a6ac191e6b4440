"""Features of the waveform of one channel in one window, as in EEG papers: five sets and the Hurst exponent.

Every function takes windows (n, C, L) float64 and their rate in Hz, and returns (n, C, K) float64, finite for any
finite signal: a value that is undefined for a flat channel (0 / 0) is 0, or that of a straight line. Time is in
samples.
"""

from functools import lru_cache

import numpy as np
import pywt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import gammaln

from ...errors import BadConfig
from .extract import Extractor

SHORTEST = 8  # samples that a window must have
DELAYS = 10  # Higuchi's k goes up to it: the default of antropy and mne-features
WAVELET, LEVELS = "db4", 6  # as mne-features; fewer levels where the window is too short for them
HURST_SIZES, HURST_SMALLEST = 20, 16  # pieces that a window is cut into, and the samples of the smallest
CHANNELS_AT_ONCE = 256  # channels of windows processed together where that is faster
FLOOR = 1e-30  # of an energy, so that a flat channel has a logarithm


def statistical(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return mean, SD, mean absolute first and second difference, and both again in units of the SD (Picard et al.
    2001).

    The second difference is between samples two apart, as there.
    """
    _require_length(x)
    sd = x.std(axis=2)
    first = np.abs(x[:, :, 1:] - x[:, :, :-1]).mean(axis=2)
    second = np.abs(x[:, :, 2:] - x[:, :, :-2]).mean(axis=2)
    return np.stack([x.mean(axis=2), sd, first, _ratio(first, sd), second, _ratio(second, sd)], axis=2)


def hos(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return higher orders: skewness, excess kurtosis; of the bispectrum the log mean magnitude and two entropies.

    The bispectrum is that of the z-scored window, from half-overlapping Hann-tapered halves, over the pairs of
    frequencies whose sum is below half the rate. Entropies are Shannon's of the magnitudes, and of their squares, as
    shares of their sum (Chua et al. 2010).
    """
    _require_length(x)
    z = x - x.mean(axis=2, keepdims=True)
    z = _ratio(z, z.std(axis=2, keepdims=True))
    magnitude = _bispectrum(z)  # (n, C, pairs)
    return np.stack(
        [
            (z**3).mean(axis=2),
            (z**4).mean(axis=2) - np.where(z.any(axis=2), 3, 0),
            np.log(magnitude.mean(axis=2) + 1e-12),
            _entropy(magnitude),
            _entropy(magnitude**2),
        ],
        axis=2,
    )


def fractal(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return fractal dimensions after Higuchi (1988), Katz (1988) and Petrosian (1995); of a straight line they are
    1."""
    _require_length(x)
    return np.stack([_higuchi(x), _katz(x), _petrosian(x)], axis=2)


def hjorth(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return activity (the variance), mobility in 1/sample and complexity (Hjorth 1970)."""
    _require_length(x)
    of_x, of_first, of_second = (np.diff(x, order, axis=2).var(axis=2) for order in range(3))
    mobility = np.sqrt(_ratio(of_first, of_x))
    complexity = _ratio(np.sqrt(_ratio(of_second, of_first)), mobility)
    return np.stack([of_x, mobility, complexity], axis=2)


def wavelet(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the log energy of each level's details, finest first, and of the approximation; then the entropy of each.

    At 128 Hz and 1 s: 32-64, 16-32, 8-16, 4-8 and 0-4 Hz.
    """
    _require_length(x)
    levels, approximation = [], x
    for _ in range(max(1, min(LEVELS, pywt.dwt_max_level(x.shape[2], pywt.Wavelet(WAVELET).dec_len)))):
        approximation, details = pywt.dwt(approximation, WAVELET, axis=2)
        levels.append(details**2)
    levels.append(approximation**2)
    energies = [np.log(np.maximum(level.sum(axis=2), FLOOR)) for level in levels]
    return np.stack(energies + [_entropy(level) for level in levels], axis=2)


def hurst(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return Hurst's exponent (n, C, 1) by the rescaled range of pieces of several sizes, corrected for the bias of
    short pieces of white noise (Anis and Lloyd 1976): white noise is near 0.5, a persistent signal above."""
    _require_length(x)
    by_time = np.ascontiguousarray(x.reshape(-1, x.shape[2]).T)  # (L, n * C)
    parts = [_hurst(by_time[:, i : i + CHANNELS_AT_ONCE]) for i in range(0, by_time.shape[1], CHANNELS_AT_ONCE)]
    return np.concatenate([np.empty(0), *parts]).reshape(*x.shape[:2], 1)


FEATURE_SETS = {of.__name__: Extractor(of.__name__, of) for of in (statistical, fractal, hjorth, hos, wavelet, hurst)}


def _require_length(x: np.ndarray) -> None:
    if x.shape[2] < SHORTEST:
        raise BadConfig(
            f"windows of {x.shape[2]} samples are too short for these features: prepare them with {SHORTEST} or more"
        )


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """over / under, and 0 where `under` is 0."""
    return np.divide(over, under, out=np.zeros(np.broadcast_shapes(over.shape, under.shape)), where=under > 0)


def _entropy(x: np.ndarray) -> np.ndarray:
    """Shannon's entropy, nats, of shares of a whole: (n, C, m) of at least 0 -> (n, C); 0 where all are 0."""
    share = _ratio(x, x.sum(axis=2, keepdims=True))
    return -(share * np.log(np.where(share > 0, share, 1))).sum(axis=2)


def _slope(at: np.ndarray) -> np.ndarray:
    """Weights that give the slope of the least-squares line when multiplied with the values at these places."""
    centred = at - at.mean()
    return centred / (centred**2).sum()


def _higuchi(x: np.ndarray) -> np.ndarray:
    length = x.shape[2]
    delays = np.arange(1, min(DELAYS, (length - 1) // 2) + 1)
    curve = np.stack([np.abs(x[:, :, k:] - x[:, :, :-k]) @ _higuchi_weights(length, k) for k in delays], axis=2)
    return np.where((curve > 0).all(axis=2), np.log(np.maximum(curve, FLOOR)) @ _slope(-np.log(delays)), 1)


@lru_cache(maxsize=64)
def _higuchi_weights(length: int, k: int) -> np.ndarray:
    """(length - k,) how much each difference counts in the mean length over the k curves that start at 0 to k - 1."""
    steps = (length - np.arange(k) - 1) // k  # differences of each curve
    return np.resize((length - 1) / (steps * k**3), length - k)


def _katz(x: np.ndarray) -> np.ndarray:
    """Distances are of values alone, so that the unit of time has no influence."""
    steps = x.shape[2] - 1
    far = _ratio(np.abs(x - x[:, :, :1]).max(axis=2), np.abs(np.diff(x, axis=2)).sum(axis=2))  # in curve lengths
    bend = np.log(steps) + np.log(np.where(far > 0, far, 1))
    # 0 or less only where the curve stays within a step's length of its start: the dimension is undefined.
    return np.where((far > 0) & (bend > 0), np.log(steps) / np.where(bend > 0, bend, 1), 1)


def _petrosian(x: np.ndarray) -> np.ndarray:
    length = x.shape[2]
    falls = np.diff(x, axis=2) < 0
    turns = (falls[:, :, 1:] != falls[:, :, :-1]).sum(axis=2)
    return np.log(length) / (np.log(length) + np.log(length / (length + 0.4 * turns)))


def _bispectrum(z: np.ndarray) -> np.ndarray:
    """(n, C, L) -> (n, C, pairs) magnitudes at all pairs of bins 0 < second <= first, first + second <= half the rate:
    what lies outside repeats them."""
    length = z.shape[2] if z.shape[2] < 2 * SHORTEST else z.shape[2] // 2
    half, taper = length // 2, np.hanning(length + 2)[1:-1]
    pieces = sliding_window_view(z, length, axis=2)[:, :, :: max(1, length // 2)]
    spectra = np.fft.rfft((pieces - pieces.mean(axis=3, keepdims=True)) * taper, axis=3)  # (n, C, pieces, bins)
    products = [
        (spectra[..., k : half - k + 1] * spectra[..., k, None] * spectra[..., 2 * k : half + 1].conj()).mean(axis=2)
        for k in range(1, half // 2 + 1)
    ]
    return np.abs(np.concatenate(products, axis=2))


def _hurst(x: np.ndarray) -> np.ndarray:
    """(L, m) -> (m,): time goes first, as sums over short pieces are slow."""
    sizes = _hurst_sizes(len(x))
    logs = np.empty((x.shape[1], len(sizes)))
    for i, size in enumerate(sizes):
        pieces = x[: len(x) // size * size].reshape(-1, size, x.shape[1])
        pieces = pieces - pieces.mean(axis=1, keepdims=True)
        sd = np.sqrt((pieces**2).mean(axis=1))
        path = np.cumsum(pieces, axis=1)
        ranges = _ratio(path.max(axis=1) - path.min(axis=1), sd)  # (pieces, m)
        mean = _ratio(ranges.sum(axis=0), (sd > 0).sum(axis=0))  # over those that are not flat
        logs[:, i] = np.log(np.where(mean > 0, mean, 1)) - _expected(size) + np.log(size) / 2
    return np.where((x != x[0]).any(axis=0), logs @ _slope(np.log(sizes)), 0)


def _hurst_sizes(length: int) -> np.ndarray:
    smallest = min(HURST_SMALLEST, length // 4)
    return np.unique(np.logspace(np.log2(smallest), np.log2(length / 2), HURST_SIZES, base=2).astype(int))


@lru_cache(maxsize=256)
def _expected(size: int) -> float:
    """Return the log of the expected rescaled range of `size` samples of white noise."""
    i = np.arange(1, size)
    gammas = np.exp(gammaln((size - 1) / 2) - gammaln(size / 2)) / np.sqrt(np.pi)
    return float(np.log(gammas * np.sqrt((size - i) / i).sum()))

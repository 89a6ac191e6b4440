"""Band powers of single electrodes and of differences between two: the EEG of Huang et al. 2019 and Li et al. 2021.

14 electrodes and 3 differences of left and right, 5 bands each: 85 numbers a second. Two versions of the source's code
disagree. One averages the band-passed samples, which is about 0, as a band-passed signal has no mean. The other
takes a multitaper spectrum of each second and averages it in decibels over the band, both ends included: that is
done here. Shapes: n windows, C channels, D derivations, L samples, K bands.
"""

from functools import lru_cache

import numpy as np
from scipy.fft import rfft, rfftfreq
from scipy.signal.windows import dpss

from ...datasets.channel_names import find_channel, similar_names_hint
from ...errors import BadConfig
from ...store.row_view import feature_cache_of, readable_rows
from ...store.window_source import WindowSource

ELECTRODES = ("Fp1", "T7", "CP1", "Oz", "Fp2", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2", "PO4")
DIFFERENCES = (("T7", "T8"), ("Fp1", "Fp2"), ("CP1", "CP2"))
BANDS_HZ = ((4, 8), (8, 10), (8, 12), (12, 30), (30, 45))  # theta, slow alpha, alpha, beta, gamma
HALF_BANDWIDTH = 4.0  # of the tapers, in units of 1 / window: mne's default, which the source does not change
CONCENTRATED = 0.9  # of a taper's energy lies within that bandwidth, or it is not used (mne's `low_bias`)
FLOOR = 1e-30  # of a power, so that a flat channel has a logarithm
SLICE = 256  # windows processed at once
VERSION = 1  # to be increased whenever the values change


def pair_features(store: WindowSource, rows: np.ndarray) -> np.ndarray:
    """Return band powers in dB, (n, D * K) float32, of each derivation that the store's channels allow and each band
    that its rate allows.

    Raises BadConfig if there is no derivation or no band.
    """
    derivations = derivations_of(store)
    require_bands(store)

    cache = feature_cache_of(store)
    source = store if cache is None else cache

    def of(at: np.ndarray) -> np.ndarray:
        parts = [_derivation_powers(source, at[i : i + SLICE], derivations) for i in range(0, max(1, len(at)), SLICE)]
        return np.concatenate(parts)

    if cache is None:
        return of(rows)
    return cache.features(f"derivations-v{VERSION}", of, readable_rows(store, rows, signals_alone=True))


def derivations_of(store: WindowSource) -> list[tuple[int, int | None]]:
    """Return the channel of each derivation and the channel that is subtracted from it, without the derivations whose
    electrodes the store lacks. Raises BadConfig if it has none of the electrodes."""
    names = [name for name, _ in store.settings["channels"]]
    at = {name: i for name in ELECTRODES if (i := find_channel(name, names)) is not None}
    if not at:
        raise BadConfig(
            f"{store.path} has none of the electrodes {', '.join(ELECTRODES)}"
            f"{similar_names_hint(ELECTRODES[0], names)}; it has {', '.join(names) or 'no signals'}"
        )
    pairs = [(at[left], at[right]) for left, right in DIFFERENCES if left in at and right in at]
    return [*((i, None) for i in at.values()), *pairs]


def require_bands(store: WindowSource) -> int:
    """Return how many of the bands the store's rate and window length resolve. Raises BadConfig if none."""
    length, rate_hz = store.settings["samples_per_window"], float(store.settings["rate_hz"])
    if not (count := len(_bins(length, rate_hz))):
        raise BadConfig(
            f"{store.path}: windows of {length} samples at {rate_hz:g} Hz show none of the bands "
            + ", ".join(f"{low}-{high} Hz" for low, high in BANDS_HZ)
        )
    return count


def log_powers(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the multitaper power density (n, D, K) of windows (n, D, L) float64: dB of unit^2, mean over each band."""
    tapers, weights = _tapers(x.shape[2])
    x = x - x.mean(axis=2, keepdims=True)
    power = np.zeros((*x.shape[:2], x.shape[2] // 2 + 1))
    for taper, weight in zip(tapers, weights, strict=True):  # one by one: all spectra would not fit a cache
        spectrum = rfft(x * taper, axis=2)
        power += weight * (spectrum.real**2 + spectrum.imag**2)
    bins = _bins(x.shape[2], rate_hz)
    if x.shape[2] % 2 == 0:
        power[:, :, -1] /= 2  # the highest frequency has no mirror image
    db = 10 * np.log10(np.maximum(2 * power, FLOOR))
    return np.stack([db[:, :, first:end].mean(axis=2) for first, end in bins], axis=2)


def _derivation_powers(store: WindowSource, rows: np.ndarray, derivations: list[tuple[int, int | None]]) -> np.ndarray:
    x = store.read(rows, faces=False)[2]
    derived = np.stack([x[:, i] if j is None else x[:, i] - x[:, j] for i, j in derivations], axis=1)
    return (
        log_powers(derived.astype(np.float64), float(store.settings["rate_hz"]))
        .reshape(len(rows), -1)
        .astype(np.float32)
    )


def _bins(length: int, rate_hz: float) -> list[tuple[int, int]]:
    """First and one past the last bin of each band; bands above half the rate or between bins are left out."""
    hz = rfftfreq(length, 1 / rate_hz)
    bins = [np.flatnonzero((low <= hz) & (hz <= high)) for low, high in BANDS_HZ if high <= rate_hz / 2]
    return [(int(at[0]), int(at[-1]) + 1) for at in bins if len(at)]


@lru_cache(maxsize=8)
def _tapers(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Slepian tapers (T, L) of unit energy, and how much each counts (T,), summing to 1."""
    if length < 2 * HALF_BANDWIDTH + 1:  # too short to be tapered: its plain spectrum
        return np.full((1, length), length**-0.5), np.ones(1)
    tapers, ratios = dpss(length, HALF_BANDWIDTH, int(2 * HALF_BANDWIDTH), sym=False, norm=2, return_ratios=True)
    kept = ratios > CONCENTRATED
    return tapers[kept], ratios[kept] / ratios[kept].sum()

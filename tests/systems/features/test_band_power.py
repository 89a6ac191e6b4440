"""Band powers are scipy's, differential entropies those of normal signals, on noise and on real EEG."""

from pathlib import Path

import numpy as np
import pytest
from scipy import signal, stats

from gbvnet.errors import BadConfig
from gbvnet.systems.features.band_power import bands_of, entropy, log_power, variances

BANDS = ((1, 4), (4, 8), (8, 13), (13, 30), (30, 45))
SAMPLES = Path(__file__).parents[4] / "shared" / "samples"


def noise(length=128):
    x = np.random.default_rng(0).normal(size=(4, 3, length))
    return x * np.array([1e-5, 1, 1e3])[:, None] + np.array([0, -3, 1e4])[:, None]


@pytest.mark.parametrize(("length", "rate_hz"), [(128, 128.0), (127, 128.0), (256, 128.0), (250, 500.0), (32, 32.0)])
def test_band_powers_are_those_of_scipys_periodogram(length, rate_hz):
    x = noise(length)
    hz, density = signal.periodogram(x, rate_hz, "hann")
    bands = [band for band in BANDS if band[1] <= rate_hz / 2]
    power = log_power(x, rate_hz)
    assert power.shape == (4, 3, len(bands))
    for i, (low, high) in enumerate(bands):
        mean = density[..., (low <= hz) & (hz < high)].mean(axis=2)
        assert np.exp(power[..., i]) == pytest.approx(mean, rel=1e-9)


@pytest.mark.journey
def test_all_bands_together_have_the_variance_of_white_noise_that_is_theirs():
    variance = variances(2 * np.random.default_rng(0).normal(size=(20_000, 1, 128)), 128.0)
    bins = np.array([3, 4, 5, 17, 15])  # of 64 that share the variance of 4
    # The lowest band is left out: what the taper smears into it from 0 Hz went with the mean.
    assert variance.mean(axis=(0, 1))[1:] == pytest.approx(4 * bins[1:] / 64, rel=0.02)


def test_the_differential_entropy_is_that_of_a_normal_signal_with_the_bands_variance():
    x = np.random.default_rng(0).normal(size=(50, 2, 128))
    by_scipy = stats.norm(scale=np.sqrt(variances(x, 128.0))).entropy()
    assert entropy(x, 128.0) == pytest.approx(by_scipy)


def test_the_differential_entropy_of_long_windows_is_that_after_a_band_pass_filter():
    x = np.random.default_rng(0).normal(size=(5, 2, 128 * 60))
    entropies = entropy(x, 128.0)
    for i, band in enumerate(BANDS):
        passed = signal.sosfiltfilt(signal.butter(8, band, "bandpass", fs=128.0, output="sos"), x)
        assert entropies[..., i] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * passed.var(axis=2)), abs=0.1)


def test_closed_eyes_show_more_alpha_than_open_ones():
    powers = []
    for name in ("eeg_ec", "eeg_eo"):
        if not (file := SAMPLES / f"{name}.txt").exists():
            pytest.skip(f"{file} is not here")
        x = np.loadtxt(file, comments="#", ndmin=2)[:, -1]
        powers.append(log_power(x[: len(x) // 125 * 125].reshape(-1, 1, 125), 125.0).mean(axis=(0, 1)))
    assert powers[0][2] > powers[1][2] + 0.5


def test_bands_that_rate_or_length_do_not_allow_are_left_out_and_none_is_an_error():
    assert [band for band, _, _ in bands_of(128, 128.0)] == list(BANDS)
    assert [band for band, _, _ in bands_of(32, 32.0)] == list(BANDS[:3])
    assert [band for band, _, _ in bands_of(16, 128.0)] == [*BANDS[2:]]  # a bin every 8 Hz
    with pytest.raises(BadConfig, match=r"windows of 8 samples at 4 Hz resolve none of the bands 1-4 Hz, 4-8 Hz"):
        bands_of(8, 4.0)


def test_a_flat_channel_is_finite():
    x = np.full((1, 2, 128), 5.0)
    assert np.isfinite(log_power(x, 128.0)).all() and np.isfinite(entropy(x, 128.0)).all()

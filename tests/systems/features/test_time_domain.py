"""Features of waveforms equal those of independent libraries, on noise and on real signals."""

from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pywt
from scipy import stats

from gbvnet.errors import BadConfig
from gbvnet.systems.features.time_domain import FEATURE_SETS, fractal, hjorth, hos, hurst, statistical, wavelet

SAMPLES = Path(__file__).parents[4] / "shared" / "samples"
REAL = ("eeg_ec", "eeg_eo", "ecg", "eda", "resp", "ppg", "emg")


def noise():
    """(3, 4, 128): white, brown, and both with a slow wave, at three scales and far from 0."""
    rng = np.random.default_rng(0)
    white = rng.normal(size=(3, 128))
    brown = rng.normal(size=(3, 128)).cumsum(axis=1)
    wave = np.sin(np.arange(128) / 9)
    kinds = np.stack([white, brown, white + 5 * wave, brown / 5 + wave], axis=1)
    return kinds * np.array([1e-5, 1, 1e3])[:, None, None] + np.array([0, -3, 1e4])[:, None, None]


def real(name):
    """(20, 1, 128) from a recording."""
    file = SAMPLES / f"{name}.txt"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    x = np.loadtxt(file, comments="#", ndmin=2)[:, -1]
    return x[1000 : 1000 + 20 * 128].reshape(20, 1, 128)


@pytest.fixture(params=["noise", *REAL])
def x(request):
    return noise() if request.param == "noise" else real(request.param)


@pytest.fixture(scope="module")
def libraries():
    """antropy, and mne_features' univariate features. Their loops run as Python: numba would compile all of them during
    the import, for 20 seconds."""
    numba = pytest.importorskip("numba")
    compiles, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, True
    try:
        return import_module("antropy"), import_module("mne_features.univariate")
    finally:
        numba.config.DISABLE_JIT = compiles


def each(function, x, **settings):
    return np.apply_along_axis(function, 2, x, **settings)


def test_statistics_are_numpys_and_differences_those_of_a_plain_loop(x):
    features = statistical(x, 128.0)
    assert features[..., 0] == pytest.approx(x.mean(axis=2))
    assert features[..., 1] == pytest.approx(x.std(axis=2))
    one = x[1, 0].tolist()
    first = sum(abs(b - a) for a, b in pairwise(one)) / 127
    second = sum(abs(b - a) for a, b in zip(one, one[2:], strict=False)) / 126
    sd = np.std(one)
    assert features[1, 0, 2:] == pytest.approx([first, first / sd, second, second / sd])


def test_skewness_and_kurtosis_are_scipys(x):
    features = hos(x, 128.0)
    assert features[..., 0] == pytest.approx(stats.skew(x, axis=2), rel=1e-6, abs=1e-9)
    assert features[..., 1] == pytest.approx(stats.kurtosis(x, axis=2), rel=1e-6, abs=1e-9)


def test_the_bispectrum_is_that_of_a_plain_loop():
    x = noise()[1:2, 1:2]
    z = (x[0, 0] - x.mean()) / x.std()
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, 65) / 65)
    total = np.zeros((33, 33), complex)
    for begin in (0, 32, 64):
        piece = z[begin : begin + 64]
        spectrum = np.fft.fft((piece - piece.mean()) * taper)
        for f in range(1, 33):
            for g in range(1, f + 1):
                if f + g <= 32:
                    total[f, g] += spectrum[f] * spectrum[g] * np.conj(spectrum[f + g]) / 3
    magnitude = np.abs(total[total != 0])
    assert len(magnitude) == 256
    entropies = [stats.entropy(magnitude), stats.entropy(magnitude**2)]
    assert hos(x, 128.0)[0, 0, 2:] == pytest.approx([np.log(magnitude.mean()), *entropies])


@pytest.mark.journey
def test_fractal_dimensions_are_antropys(x, libraries):
    antropy, _ = libraries
    features = fractal(x, 128.0)
    assert features[..., 0] == pytest.approx(each(antropy.higuchi_fd, np.ascontiguousarray(x)), rel=1e-9)
    assert features[..., 1] == pytest.approx(antropy.katz_fd(x), rel=1e-9)
    assert features[..., 2] == pytest.approx(antropy.petrosian_fd(x), rel=1e-9)


def test_fractal_dimensions_of_what_has_a_known_one():
    line, brown = np.arange(400.0), np.random.default_rng(1).normal(size=(50, 1, 4000)).cumsum(axis=2)
    assert fractal(line[None, None], 128.0)[0, 0] == pytest.approx([1, 1, 1])
    assert fractal(brown, 128.0)[..., 0].mean() == pytest.approx(1.5, abs=0.02)
    assert fractal(np.diff(brown, axis=2), 128.0)[..., 0].mean() == pytest.approx(2.0, abs=0.02)


def test_hjorths_parameters_are_antropys_and_those_of_a_sine_worked_by_hand(x, libraries):
    antropy, _ = libraries
    features = hjorth(x, 128.0)
    mobility, complexity = antropy.hjorth_params(x)
    assert features[..., 0] == pytest.approx(x.var(axis=2))
    assert features[..., 1] == pytest.approx(mobility)
    assert features[..., 2] == pytest.approx(complexity)
    sine = hjorth(np.sin(2 * np.pi * np.arange(6400) / 64)[None, None], 128.0)[0, 0]
    assert sine == pytest.approx([0.5, 2 * np.sin(np.pi / 64), 1], rel=1e-3)


def test_wavelet_energies_are_those_of_mne_features_and_entropies_scipys(x, libraries):
    _, mne_features = libraries
    features = wavelet(x, 128.0)
    assert features.shape[2] == 10  # 4 levels and the approximation
    energies = np.stack([mne_features.compute_wavelet_coef_energy(w, "db4").reshape(len(w), 4) for w in x])
    assert np.exp(features[..., :4]) == pytest.approx(energies, rel=1e-9)
    approximation, *details = pywt.wavedec(x, "db4", level=4, axis=2)
    assert np.exp(features[..., 4]) == pytest.approx((approximation**2).sum(axis=2), rel=1e-9)
    for at, level in enumerate([*details[::-1], approximation]):
        assert features[..., 5 + at] == pytest.approx(stats.entropy(level**2, axis=2), rel=1e-9)


@pytest.mark.journey
def test_hursts_exponent_is_that_of_a_plain_loop_and_of_noise_with_a_known_one():
    x = noise()[2, 3]
    sizes, logs = sorted({int(s) for s in np.logspace(4, 6, 20, base=2)}), []
    for size in sizes:
        ranges = []
        for begin in range(0, 128 - size + 1, size):
            piece = x[begin : begin + size]
            path = np.cumsum(piece - piece.mean())
            ranges.append((path.max() - path.min()) / piece.std())
        logs.append(np.log(np.mean(ranges)) - np.log(white_range(size)) + 0.5 * np.log(size))
    assert hurst(x[None, None], 128.0).item() == pytest.approx(np.polyfit(np.log(sizes), logs, 1)[0])
    rng = np.random.default_rng(0)
    white = rng.normal(size=(200, 4, 128))
    assert hurst(white, 128.0).mean() == pytest.approx(0.5, abs=0.03)
    assert hurst(white.cumsum(axis=2), 128.0).mean() == pytest.approx(1.0, abs=0.1)
    assert hurst(np.diff(white), 128.0).mean() < 0.2  # what goes back and forth


def white_range(size):
    """The exact mean of the rescaled range of white noise, with scipy's own gamma function."""
    from scipy.special import gamma

    terms = [((size - i) / i) ** 0.5 for i in range(1, size)]
    return gamma((size - 1) / 2) / (np.pi**0.5 * gamma(size / 2)) * sum(terms)


def test_white_noise_gives_the_range_that_it_has():
    pieces = np.random.default_rng(0).normal(size=(40_000, 16))
    path = np.cumsum(pieces - pieces.mean(axis=1, keepdims=True), axis=1)
    assert (np.ptp(path, axis=1) / pieces.std(axis=1)).mean() == pytest.approx(white_range(16), rel=0.005)


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_every_number_is_finite_and_of_its_own_channel_and_window(name):
    of = FEATURE_SETS[name].of
    rng = np.random.default_rng(0)
    for length in (8, 13, 32, 128, 513):
        x = rng.normal(size=(3, 4, length))
        x[1, 2] = 7.0  # flat
        x[2, 0] = 0
        x[2, 1] = 1e-9 * np.arange(length)
        x[0, 3, : length // 2] = 0  # partly flat
        features = of(x, 32.0)
        assert features.shape[:2] == (3, 4) and np.isfinite(features).all()
        assert features[1:2, 1:2] == pytest.approx(of(x[1:2, 1:2].copy(), 32.0), rel=1e-9, abs=1e-12)
    with pytest.raises(BadConfig, match="windows of 7 samples are too short for these features"):
        of(rng.normal(size=(1, 1, 7)), 32.0)


@pytest.mark.parametrize("name", ["fractal", "hos", "hurst"])
def test_what_describes_form_alone_does_not_see_gain_or_offset(name):
    x = noise()[1:2]
    assert FEATURE_SETS[name].of(50 * x - 20, 128.0) == pytest.approx(
        FEATURE_SETS[name].of(x, 128.0), rel=1e-6, abs=1e-8
    )

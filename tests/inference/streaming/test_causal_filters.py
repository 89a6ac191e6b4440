"""Filters of a stream: in whatever pieces it comes, what scipy makes of the whole at once."""

import numpy as np
import pytest
from scipy import signal

from gbvnet.datasets.recording import Channel
from gbvnet.inference.streaming.causal_filters import CausalFilter, CausalResampler, delay_s
from gbvnet.preprocessing.signals import BANDS, resample

CHANNELS = (Channel("Fp1", "eeg"), Channel("GSR", "gsr"), Channel("ECG", "ecg"), Channel("O1", "eeg", filtered=True))


def in_pieces(x, seed=0, longest=60):
    rng = np.random.default_rng(seed)
    at = 0
    while at < x.shape[1]:
        n = int(rng.integers(1, longest))
        yield x[:, at : at + n]
        at += n


def wandering(n, channels=4, seed=0):
    """Noise that wanders, far from zero: as an amplifier gives it."""
    rng = np.random.default_rng(seed)
    return 1000 * rng.normal(size=(channels, 1)) + rng.normal(size=(channels, n)).cumsum(axis=1)


def test_a_filter_in_pieces_is_one_pass_of_scipys_over_the_whole():
    x, rate = wandering(4000), 512.0
    filtered = CausalFilter(CHANNELS, rate)
    made = np.concatenate([filtered(piece) for piece in in_pieces(x)], axis=1)
    for row, (band, kind) in enumerate([([4, 45], "bandpass"), (5, "lowpass"), ([0.5, 45], "bandpass")]):
        sections = signal.butter(4, band, kind, fs=rate, output="sos")
        start = signal.sosfilt_zi(sections) * x[row, 0]
        assert np.allclose(made[row], signal.sosfilt(sections, x[row], zi=start)[0], rtol=0, atol=1e-7)
    assert np.array_equal(made[3], x[3])  # released filtered: left alone
    assert np.abs(made[0, :3]).max() < 10  # the offset makes no step


def test_a_filter_keeps_its_input():
    x = wandering(50)
    before = x.copy()
    CausalFilter(CHANNELS, 512.0)(x)
    assert np.array_equal(x, before)


@pytest.mark.journey
@pytest.mark.parametrize("longest", [2, 60, 3000])
@pytest.mark.parametrize(("rate", "to"), [(512, 128), (256, 128), (250, 128), (1000, 128), (100, 128), (128, 128)])
def test_resampling_in_pieces_is_that_of_the_whole(rate, to, longest):
    x = wandering(2711, channels=2)
    resampled = CausalResampler(2, rate, to)
    pieces = [resampled(piece) for piece in in_pieces(x, longest=longest)]
    whole = resample(x, rate, to)
    sooner = np.concatenate(pieces, axis=1)
    low = min(rate, to)
    expected = whole.shape[1] - (10 * to / low if rate != to else 0)
    assert abs(sooner.shape[1] - expected) <= 1 + to / low  # ten samples of the lower rate are waited for, no more
    made = np.concatenate([sooner, resampled.flush(x.shape[1])], axis=1)
    assert made.shape == whole.shape
    assert np.allclose(made, whole, rtol=0, atol=1e-8)


@pytest.mark.journey
@pytest.mark.parametrize("rate", [255.999, 999.983, 128.0131, 63.9994])
def test_a_measured_rate_in_pieces_keeps_every_samples_time(rate):
    """A sine's formula at the new times: at 3 Hz, a sample that is off by one is off by 0.15."""
    n = int(rate * 300)
    x = np.sin(2 * np.pi * 3 * np.arange(n) / rate)[None]
    made = []
    for longest in (60, 3000):
        resampled = CausalResampler(1, rate, 128.0)
        made.append(
            np.concatenate([*(resampled(p) for p in in_pieces(x, longest=longest)), resampled.flush(n)], axis=1)
        )
        assert resampled.n_taps < 200 and resampled._tail.size < 500
    assert np.array_equal(*made)
    wanted = np.sin(2 * np.pi * 3 * np.arange(made[0].shape[1]) / 128)
    assert made[0].shape[1] == pytest.approx(300 * 128, abs=1 + 128 / rate)
    assert made[0][0, 40:-40] == pytest.approx(wanted[40:-40], abs=4e-3)


@pytest.mark.journey
def test_nothing_grows():
    resampled = CausalResampler(2, 250, 128)
    kept = set()
    for piece in in_pieces(wandering(100_000, channels=2), longest=40):
        resampled(piece)
        kept.add(resampled._tail.shape[1])
    assert max(kept) < 2 * resampled.n_taps


@pytest.mark.parametrize(("kind", "at"), [("eeg", 10), ("ecg", 10), ("gsr", 1), ("ppg", 2)])
def test_delays_are_scipys_group_delay(kind, at):
    low, high = BANDS[kind]
    b, a = signal.butter(4, high if low is None else [low, high], "lowpass" if low is None else "bandpass", fs=512)
    _, samples = signal.group_delay((b, a), w=[at], fs=512)
    assert delay_s(kind, 512, at) == pytest.approx(samples[0] / 512, rel=1e-3)


def test_a_rate_that_limits_the_band_itself_delays_nothing():
    assert delay_s("gsr", 8, 1) == 0

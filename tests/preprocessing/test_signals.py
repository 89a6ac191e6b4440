"""Filters against mne and theory; baselines by hand."""

import tracemalloc
from fractions import Fraction

import mne
import numpy as np
import pytest
from scipy.signal import butter, chirp, resample_poly, sosfreqz

from gbvnet.config import PrepareConfig
from gbvnet.datasets.recording import Channel, Signals
from gbvnet.errors import BadConfig
from gbvnet.preprocessing import signals
from gbvnet.preprocessing.signals import (
    BANDS,
    MAX_FACTOR,
    band_limit,
    baseline_correction,
    missing_bandwidth,
    preprocess,
    ratio,
    resample,
    select_channels,
)

RATE = 128.0


def recording(*rows, kind="eeg", onset=0, rate=RATE, filtered=False):
    channels = tuple(Channel(f"c{i}", kind, filtered) for i in range(len(rows)))
    return Signals(np.array(rows, dtype=float), rate, onset, channels)


@pytest.mark.parametrize("kind", BANDS)
def test_each_band_equals_mne_on_a_chirp(kind):
    low, high = BANDS[kind]
    t = np.arange(0, 30, 1 / RATE)
    x = chirp(t, 0.1, 30, 60)[None]
    method = dict(method="iir", iir_params=dict(order=4, ftype="butter", output="sos"), verbose="error")
    by_mne = mne.filter.filter_data(x, RATE, low, high, **method)
    filtered = band_limit(x.copy(), RATE, (Channel("x", kind),))
    middle = slice(640, -640)  # mne pads the edges in its own way
    assert np.abs(filtered - by_mne)[:, middle].max() < 1e-3
    assert np.abs(filtered - x)[:, middle].max() > 0.5  # it does filter


@pytest.mark.journey
def test_the_gain_is_the_filters_squared_and_the_phase_is_zero():
    sos = butter(4, [4, 45], "bandpass", fs=RATE, output="sos")
    t = np.arange(0, 40, 1 / RATE)
    for hz in (2.0, 4.0, 10.0, 45.0):
        x = np.sin(2 * np.pi * hz * t)
        y = band_limit(x[None].copy(), RATE, (Channel("x", "eeg"),))[0]
        gain = abs(sosfreqz(sos, [hz], fs=RATE)[1][0]) ** 2
        middle = slice(1280, -1280)
        assert y[middle] == pytest.approx(gain * x[middle], abs=2e-3)


def test_what_was_released_filtered_is_left_alone_and_others_are_not():
    x = np.vstack([np.ones(1000)] * 2)
    y = band_limit(x, RATE, (Channel("a", "eeg", filtered=True), Channel("b", "eeg")))
    assert (y[0] == 1).all()
    assert np.abs(y[1, 300:700]).max() < 1e-3  # a constant does not pass 4 Hz


def test_a_long_recording_is_filtered_some_channels_at_a_time_to_the_same_numbers(monkeypatch):
    kinds = ("eeg", "gsr", "eeg", "eeg", "ppg", "eeg", "eeg")
    channels = tuple(Channel(f"c{i}", kind) for i, kind in enumerate(kinds))
    x = np.random.default_rng(0).normal(size=(7, 1000))
    whole = band_limit(x.copy(), RATE, channels)
    for chunk in (2000, 100):
        monkeypatch.setattr("gbvnet.preprocessing.signals.CHUNK", chunk)
        assert np.array_equal(band_limit(x.copy(), RATE, channels), whole)


def test_slow_signals_keep_their_level():
    y = band_limit(np.full((1, 1000), 7.0), RATE, (Channel("GSR", "gsr"),))
    assert y == pytest.approx(7.0)


def test_resampling_keeps_what_fits_and_stops_what_would_alias():
    t = np.arange(0, 20, 1 / 256)
    slow, fast = np.sin(2 * np.pi * 10 * t), np.sin(2 * np.pi * 100 * t)
    y = resample(np.vstack([slow, fast]), 256, 128)
    assert y.shape == (2, 2560)
    middle = slice(256, -256)
    assert y[0, middle] == pytest.approx(slow[::2][middle], abs=2e-3)
    assert np.abs(y[1, middle]).max() < 0.01


@pytest.mark.journey
@pytest.mark.parametrize("rate", [255.999, 999.983, 1999.987, 500.0001, 100 / 3, 127.9987, 31.0007])
def test_a_measured_rate_keeps_the_time_of_every_sample_over_a_long_recording(rate):
    """A sine's own formula at the new times; 0.01 of a new sample at 3 Hz is 0.0015."""
    n = int(rate * 600)
    y = resample(np.sin(2 * np.pi * 3 * np.arange(n) / rate)[None], rate, RATE)
    assert y.shape[1] == pytest.approx(600 * RATE, abs=RATE / rate + 1)
    wanted = np.sin(2 * np.pi * 3 * np.arange(y.shape[1]) / RATE)
    assert y[0, 256:-256] == pytest.approx(wanted[256:-256], abs=3e-3)
    assert y[0, -200:-60] == pytest.approx(wanted[-200:-60], abs=0.02)  # near the end: nothing has drifted


def test_a_measured_rate_stops_what_would_alias_and_keeps_a_level_to_the_last_sample():
    t = np.arange(0, 30, 1 / 255.999)
    y = resample(np.vstack([np.sin(2 * np.pi * 100 * t), np.full(len(t), 33.0)]), 255.999, RATE)
    assert np.abs(y[0, 256:-256]).max() < 0.01
    assert y[1] == pytest.approx(33, abs=1e-9)


@pytest.mark.journey
@pytest.mark.parametrize("rate", [128.0, 250.0, 256.0, 500.0, 512.0, 1000.0, 2048.0, 44100.0, 204.8, 62.5])
def test_a_plain_rate_is_resampled_by_scipy_and_no_filter_is_long(rate):
    x = np.random.default_rng(0).normal(size=(2, int(rate * 2)))
    up, down = Fraction(128 * 1000, round(rate * 1000)).as_integer_ratio()
    scipys, mine = resample_poly(x, up, down, axis=-1, padtype="edge"), resample(x, rate, RATE)
    assert np.array_equal(mine, scipys) if up == 1 else np.allclose(mine, scipys, rtol=0, atol=1e-3 * np.abs(x).max())
    for off in (1e-3, -1.7e-5, 3e-7):  # relative
        factors = ratio(rate * (1 + off), RATE, rate * 3600)
        assert factors is None or max(factors) <= MAX_FACTOR


@pytest.mark.journey
@pytest.mark.parametrize("rate", [15.5, 32.0, 51.2, 100.0, 127.98, 128.02, 250.0, 250.4, 300.0, 1000.0, 255.999])
def test_a_level_and_a_clock_stay_what_they_are_at_any_rate(rate):
    """scipy's own filter lets them waver by 7e-4 of their value: a clock of 1,200 s by 0.8 s."""
    t = 1200 + np.arange(0, 60, 1 / rate)
    y = resample(np.vstack([np.full(len(t), 33.0), t]), rate, RATE)
    middle = slice(100, -100) if rate > 30 else slice(200, -200)
    assert y[0] == pytest.approx(33, abs=1e-9)
    assert y[1, middle] == pytest.approx((1200 + np.arange(y.shape[1]) / RATE)[middle], abs=1e-3)


@pytest.mark.journey
def test_resampling_at_a_measured_rate_takes_no_more_memory_than_at_a_round_one():
    x = np.zeros((4, 255_999))
    tracemalloc.start()
    resample(x, 255.999, RATE)
    assert tracemalloc.get_traced_memory()[1] < 60e6  # with a filter of 20 * 255999 taps it was 300 MB
    tracemalloc.stop()


def test_the_mean_baseline_is_one_number_a_channel():
    before = np.array([[1.0, 3.0], [0.0, 0.0]], np.float32)
    assert baseline_correction(before, 1, "mean").tolist() == [[2], [0]]
    assert baseline_correction(before, 1, "none").tolist() == [[0], [0]]


def test_the_template_is_the_mean_second():
    before = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)  # 2 Hz; two baseline seconds (1 2) and (3 4)
    assert baseline_correction(before, 2, "template").tolist() == [[2, 3]]


@pytest.mark.parametrize(("how", "left"), [("none", [10, 10, 10]), ("mean", [7, 7, 7]), ("template", [7.5, 6.5, 7.5])])
def test_the_stimulus_is_freed_of_the_last_seconds_before_it(how, left):
    signals = recording(np.array([90.0, 90, 1, 3, 4, 4, 10, 10, 10]), onset=6, rate=2.0)
    config = PrepareConfig(filter=False, baseline=how)
    cleaned = preprocess(signals, config, 2.0, 2.0)
    assert cleaned.onset == 6
    assert cleaned.x[0, 6:].tolist() == left
    assert cleaned.baseline.tolist() == [[1, 3, 4, 4]]
    assert signals.samples[0, 6:].tolist() == [10, 10, 10]


def test_a_whole_recording_is_filtered_then_freed_of_its_baseline():
    t = np.arange(0, 10, 1 / RATE)
    signals = recording(np.sin(2 * np.pi * 10 * t) + 50, kind="emg", onset=384)
    x, onset, before = preprocess(signals, PrepareConfig(), RATE, 3.0)
    assert onset == before.shape[1] == 384
    kept = preprocess(signals, PrepareConfig(baseline="none"), RATE, 3.0).x
    assert x[0, 384:] + before.mean() == pytest.approx(kept[0, 384:], abs=1e-6)
    assert x[0, 600:1000].std() == pytest.approx(np.sqrt(0.5), rel=0.02)
    raw = preprocess(signals, PrepareConfig(filter=False, baseline="none"), RATE, 3.0)
    assert (raw.x == signals.samples).all()


def test_another_rate_moves_the_onset_with_it():
    cleaned = preprocess(recording(np.zeros(2560), onset=768, rate=256.0), PrepareConfig(), RATE, 3.0)
    assert cleaned.onset == cleaned.baseline.shape[1] == 384


def test_channels_are_chosen_by_name_and_an_absent_one_is_named():
    channels = (Channel("Fp1", "eeg"), Channel("GSR", "gsr"))
    assert select_channels(channels, ("GSR", "Fp1")) == [1, 0]
    assert select_channels(channels, None) == [0, 1]
    with pytest.raises(BadConfig, match="no Fpz; it has Fp1, GSR"):
        select_channels(channels, ("Fpz",))


def test_a_rate_at_which_nothing_of_a_band_is_left_is_refused_and_a_slow_one_reported():
    with pytest.raises(BadConfig, match="signals at 1 Hz hold nothing of 4 to 45 Hz"):
        band_limit(np.zeros((1, 100)), 1.0, (Channel("Cz", "eeg"),))
    assert band_limit(np.ones((1, 100)), 1.0, (Channel("GSR", "gsr"),)).min() == 1  # slow by nature
    channels = (Channel("Cz", "eeg"), Channel("ECG", "ecg"), Channel("GSR", "gsr"))
    assert missing_bandwidth(channels, 60, 128).startswith(
        "signals at 60 Hz hold nothing above 30 Hz, and the model saw more of ecg,"
    )
    assert missing_bandwidth(channels, 100, 128) == "" and missing_bandwidth(channels[2:], 16, 128) == ""
    assert missing_bandwidth(channels, 64, 64) == ""  # nor did the model


@pytest.mark.parametrize("rate", [100, 256, 512, 1000 / 3])
def test_a_steady_channel_stays_steady_to_its_ends_at_another_rate(rate):
    y = resample(np.full((1, round(4 * rate)), 33.0), rate, 128)
    assert y == pytest.approx(33.0, abs=0.03)


def test_recordings_that_share_memory_are_as_if_alone_and_a_long_one_is_not_kept(monkeypatch):
    channels = (Channel("Fp1", "eeg"), Channel("GSR", "gsr"))
    raw = [Signals(np.random.default_rng(k).normal(size=(2, 128 * 9)), 128, 128, channels) for k in range(3)]
    alone = [signals.preprocess(one, PrepareConfig(), 128, 1).x for one in raw]
    shared = signals.Workspace()
    together = [signals.preprocess(one, PrepareConfig(), 128, 1, shared).x.copy() for one in raw]
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
    assert shared.copy(raw[0].samples) is shared.copy(raw[1].samples)
    monkeypatch.setattr(signals, "CHUNK", raw[0].samples.size - 1)
    assert shared.copy(raw[0].samples) is not shared.copy(raw[0].samples)

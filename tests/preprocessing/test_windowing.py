"""Windows are whole, in their place, and as many as fit."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbvnet.errors import BadConfig, BadRecording
from gbvnet.preprocessing.windowing import cut, frame_times, missing_windows, window_starts


@pytest.mark.parametrize(
    ("seconds", "window", "step", "expected"),
    [
        (60, 1, 1, list(range(60))),
        (2.5, 1, 1, [0, 1]),
        (3, 1, 0.5, [0, 0.5, 1, 1.5, 2]),
        (0.9, 1, 1, []),
        (6 * 0.1, 0.1, 0.1, [0, 0.1, 0.2, 0.3, 0.4, 0.5]),  # 0.6000000000000001 s
    ],
)
def test_windows_are_whole_and_within_the_stimulus(seconds, window, step, expected):
    assert window_starts(seconds, window, step) == pytest.approx(expected)


def test_frames_are_equally_spaced_from_the_start_of_their_window():
    assert frame_times(np.array([0.0, 1.0]), 1.0, 5)[1].tolist() == pytest.approx([1.0, 1.2, 1.4, 1.6, 1.8])


def test_a_window_holds_the_samples_of_its_own_second():
    x = np.arange(20.0).reshape(2, 10)  # 2 channels, 10 samples at 2 Hz, the stimulus at sample 4
    got = cut(x, onset=4, rate_hz=2, starts=np.array([0.0, 1.0, 2.0]), length=2)
    assert got.dtype == np.float32
    assert got.tolist() == [[[4, 5], [14, 15]], [[6, 7], [16, 17]], [[8, 9], [18, 19]]]


def test_a_window_that_reaches_past_the_end_is_left_off():
    assert cut(np.zeros((1, 9)), 4, 2, np.array([0.0, 1.0, 2.0]), 2).shape == (2, 1, 2)


@pytest.mark.journey
@settings(max_examples=200, deadline=None)
@given(st.integers(0, 3000), st.integers(1, 100), st.integers(1, 100))
def test_starts_are_those_of_whole_tenths_of_seconds(seconds, window, step):
    """Every start at which a whole window fits, and no other, whatever floats make of a tenth of a second."""
    starts = window_starts(seconds / 10, window / 10, step / 10)
    np.testing.assert_allclose(starts, np.arange(0, seconds - window + 1, step) / 10, rtol=0, atol=1e-9)


@pytest.mark.journey
@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 5), st.integers(0, 400), st.integers(0, 60), st.sampled_from([1, 50, 128, 256.5]),
    st.floats(0.05, 2), st.floats(0.05, 2), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_each_window_is_the_samples_from_its_start_on_and_the_last_that_fits_is_there(
    channels, n, onset, rate, window, step, seed
):
    x = np.random.default_rng(seed).standard_normal((channels, n))
    starts = window_starts(max(0.0, (n - onset) / rate), window, step)
    length = max(1, round(window * rate))
    made = cut(x, onset, rate, starts, length)
    assert made.shape[1:] == (channels, length) and made.dtype == np.float32
    for k, got in enumerate(made):
        first = onset + round(float(starts[k]) * rate)  # to the nearest sample
        assert first + length <= n
        np.testing.assert_array_equal(got, x[:, first : first + length].astype(np.float32))
    if len(made) < len(starts):
        assert onset + round(float(starts[len(made)]) * rate) + length > n
        assert len(starts) - len(made) <= 1 + 1 / (step * rate)  # rounding alone takes one away, not more


@pytest.mark.journey
@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=5), st.floats(0.1, 10), st.integers(1, 60))
def test_frames_lie_within_their_window_in_order(starts, window, n):
    times = frame_times(np.array(starts), window, n)
    assert times.shape == (len(starts), n)
    assert (times[:, 0] == starts).all()
    assert (np.diff(times, axis=1) > 0).all() and (times[:, -1] < np.array(starts) + window).all()


@pytest.mark.parametrize("step", [1e-300, 1e-9])
def test_times_that_cannot_be_seconds_are_refused_before_memory_is_allocated(step):
    with pytest.raises(BadConfig, match=r"60 s make more than 10,000,000 windows .* are the times in seconds"):
        window_starts(60, 1, step)
    with pytest.raises(BadConfig, match="are the times in seconds"):
        window_starts(1e300, 1, 1)


def test_signals_that_fill_no_window_are_refused():
    assert missing_windows(2, np.arange(2.0), Path("x.bdf")) == []
    assert missing_windows(1, np.arange(3.0), Path("x.bdf"))[0].startswith("the signals end before the last 2 of 3")
    with pytest.raises(BadRecording, match=r"x\.bdf: expected signals for at least one window, found signals that end"):
        missing_windows(0, np.arange(3.0), Path("x.bdf"))

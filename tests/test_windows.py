import numpy as np
import pytest

from gbvnet.windows import cut, frame_times, window_starts


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


def test_frames_are_evenly_spaced_from_the_start_of_their_window():
    assert frame_times(np.array([0.0, 1.0]), 1.0, 5)[1].tolist() == pytest.approx([1.0, 1.2, 1.4, 1.6, 1.8])


def test_a_window_holds_the_samples_of_its_own_second():
    x = np.arange(20.0).reshape(2, 10)  # 2 channels, 10 samples at 2 Hz, the stimulus at sample 4
    got = cut(x, onset=4, rate_hz=2, starts=np.array([0.0, 1.0, 2.0]), length=2)
    assert got.dtype == np.float32
    assert got.tolist() == [[[4, 5], [14, 15]], [[6, 7], [16, 17]], [[8, 9], [18, 19]]]


def test_a_window_that_reaches_past_the_end_is_left_off():
    assert cut(np.zeros((1, 9)), 4, 2, np.array([0.0, 1.0, 2.0]), 2).shape == (2, 1, 2)

"""The mean of a trace over windows is exact, and says how much of each window it covers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbvnet.datasets.label_traces import Trace, window_labels, window_means


def slow_means(times, values, starts, window_s, lag_s):
    """By the definition: each value holds until the next time, the last one for the median step."""
    ends = [*times[1:], times[-1] + (np.median(np.diff(times)) if len(times) > 1 else 0)]
    means, coverage = [], []
    for start in starts:
        begin, total, covered = start + lag_s, 0.0, 0.0
        for t, end, value in zip(times, ends, values, strict=True):
            overlap = max(0.0, min(end, begin + window_s) - max(t, begin))
            if np.isfinite(value):
                covered += overlap
                total += overlap * value
        coverage.append(covered / window_s)
        means.append(total / covered if covered > 1e-9 else np.nan)
    return np.array(means), np.array(coverage)


def test_a_case_worked_by_hand():
    # 2 until 0.5 s, 6 until 2 s, 1 for the median step of 1 s until 3 s
    times, values = [0.0, 0.5, 2.0], [2.0, 6.0, 1.0]
    means, coverage = window_means(times, values, [0.0, 1.0, 1.5, 2.5, 3.0], 1.0)
    assert means[:4].tolist() == [4.0, 6.0, 3.5, 1.0] and np.isnan(means[4])
    assert coverage.tolist() == [1.0, 1.0, 1.0, 0.5, 0.0]
    late, covered = window_means(times, values, [0.0, 1.0], 1.0, lag_s=1.5)
    assert late.tolist() == [3.5, 1.0] and covered.tolist() == [1.0, 0.5]
    early, covered = window_means(times, values, [0.0, 1.0], 1.0, lag_s=-0.75)
    assert early.tolist() == [2.0, 5.0] and covered.tolist() == [0.25, 1.0]


@pytest.mark.journey
@given(st.integers(0, 10**6), st.floats(0.05, 5), st.floats(-3, 6))
def test_it_is_what_a_slow_loop_gives(seed, window_s, lag_s):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    times = rng.uniform(-2, 2) + np.cumsum(rng.uniform(0.01, 1, n))
    values = rng.uniform(-100, 100, n)
    values[rng.random(n) < 0.2] = np.nan
    starts = rng.uniform(-3, 25, 20)
    means, coverage = window_means(times, values, starts, window_s, lag_s)
    wanted, covered = slow_means(times, values, starts, window_s, lag_s)
    assert coverage == pytest.approx(covered, abs=1e-8)
    some = covered > 1e-6
    assert means[some] == pytest.approx(wanted[some], abs=1e-4)
    assert np.isnan(means[covered == 0]).all()


def test_a_value_that_does_not_change_is_its_own_mean_however_uneven_the_times():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.03, 0.07, 4000))
    for value in (5.0, 0.1, -0.3, 77.7):
        means, _ = window_means(times, np.full(4000, value), np.arange(0, 180, 0.37), 1.0, 2.4)
        assert set(means.tolist()) == {value}  # so that 5 is never under 5
    held = np.where(times < 100, 5.0, 9.0)
    assert set(window_means(times, held, np.arange(1, 98), 1.0)[0].tolist()) == {5.0}


def test_without_values_nothing_is_covered():
    for times, values in (([], []), ([1.0], [5.0]), ([0.0, 1.0], [np.nan, np.nan])):
        means, coverage = window_means(times, values, [0.0, 1.0], 1.0)
        assert np.isnan(means).all() and not coverage.any()


def test_a_window_with_less_than_four_fifths_of_it_has_no_label():
    times, values = np.arange(0, 1.8, 0.1), np.ones(18)
    assert np.isnan(window_labels(times, values, [0.9, 1.01], 1.0)).tolist() == [False, True]
    assert window_labels(times, values, [0.0], 1.0, lag_s=0.8).tolist() == [1.0]
    assert np.isnan(window_labels(times, values, [0.0], 1.0, lag_s=1.05)).all()
    assert window_labels([0.0, 0.1, 0.9, 1.0], [1.0, np.nan, 3.0, 3.0], [0.0, 1.0], 1.0).tolist()[1:] != [3.0]


def test_traces_with_the_same_values_are_equal():
    a, b = (Trace(np.array([0.0, 1.0]), np.array([1.0, np.nan])) for _ in range(2))
    assert a == b and hash(a) == hash(b)
    assert a != Trace(a.times_s, np.array([1.0, 2.0])) and a != 1
    assert a.as_array().shape == (2, 2) and a.as_array().dtype == np.float64

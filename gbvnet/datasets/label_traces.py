"""Labels that change in time: one trace a recording and label column, and the mean of a trace over windows.

Shapes: T values of a trace, W windows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from typing_extensions import override

LEAST_COVERAGE = 0.8  # of a window; with less of it covered by its trace, a window has no label
_DECIMALS = 9  # of means and coverage: a value that does not change has itself for its mean, on any machine


@dataclass(frozen=True, eq=False)
class Trace:
    """A label that changes in time, during one recording.

    times_s : (T,) float64, strictly increasing, seconds since the start of the stimulus
    values : (T,) float64 on the column's scale; each holds until the next time. NaN where there is no label
    """

    times_s: np.ndarray
    values: np.ndarray

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trace) and np.array_equal(self.as_array(), other.as_array(), equal_nan=True)

    @override
    def __hash__(self) -> int:
        return hash(self.as_array().tobytes())

    def as_array(self) -> np.ndarray:
        """Return times and values in one array, (2, T) float64, as a store holds them."""
        return np.stack([self.times_s, self.values]).astype(np.float64)


def window_means(
    times: ArrayLike, values: ArrayLike, starts: ArrayLike, window_s: float, lag_s: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of a trace over each window, and how much of the window it covers, 0 to 1; (W,) float64 both.

    The mean is over [start + lag_s, start + lag_s + window_s): labels come later than what they are about. It is exact
    for values that hold until the next time, the last one for the median step, and is over the covered part alone; NaN
    where nothing is covered.

    times : (T,) strictly increasing seconds; values : (T,), NaN where there is no label; starts : (W,) seconds
    """
    t, v = np.asarray(times, np.float64), np.asarray(values, np.float64)
    begin = np.asarray(starts, np.float64) + lag_s
    if not len(t):
        return np.full(begin.shape, np.nan), np.zeros(begin.shape)
    steps = np.diff(t)
    knots = np.append(t, t[-1] + (np.median(steps) if len(steps) else 0.0))
    known, held = np.isfinite(v), np.diff(knots)
    middle = float(v[known].mean()) if known.any() else 0.0  # subtracted before the sums, which keeps their digits
    covered_until = np.append(0.0, np.cumsum(held * known))
    total_until = np.append(0.0, np.cumsum(held * np.where(known, v - middle, 0.0)))
    covered, total = (
        np.interp(begin + window_s, knots, until) - np.interp(begin, knots, until)
        for until in (covered_until, total_until)
    )
    coverage = np.round(covered / window_s, _DECIMALS).clip(0, 1)
    means = np.full(begin.shape, np.nan)
    np.divide(total, covered, out=means, where=coverage > 0)
    return np.round(means + middle, _DECIMALS), coverage


def window_labels(
    times: ArrayLike, values: ArrayLike, starts: ArrayLike, window_s: float, lag_s: float = 0.0
) -> np.ndarray:
    """Return the label of each window, (W,) float64: the mean of `window_means`, NaN where under 80 % is covered."""
    means, coverage = window_means(times, values, starts, window_s, lag_s)
    return np.where(coverage >= LEAST_COVERAGE, means, np.nan)

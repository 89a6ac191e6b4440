"""A linear dynamic system that smooths features along a trial, and never beyond it.

Each feature by itself is taken for a slow quantity that drifts from window to window, seen through noise:
z[t] = z[t-1] + drift, x[t] = z[t] + noise. Its mean given all of the trial's windows is found by a Kalman filter and
the backward pass of Rauch, Tung and Striebel (1965). Only the ratio of the variances matters. Shapes: T windows of a
trial, n rows, D features.
"""

from collections.abc import Callable

import numpy as np

from ...store.window_source import WindowSource

# Variances in units of the noise's, as TorchEEG's hook for linear dynamic systems has them: a window then tells about
# its neighbours up to some 100 windows away. That hook leaves out the backward pass.
DRIFT, START = 1e-4, 1e-2


def smoothed(x: np.ndarray, drift: float = DRIFT, start: float = START) -> np.ndarray:
    """(T, D) -> (T, D). The first state has the trial's mean and the variance `start`."""
    x = np.asarray(x, np.float64)
    state, variance = x.mean(axis=0), start  # before the first window is seen
    states, variances, foreseen = np.empty_like(x), np.empty(len(x)), np.empty(len(x))
    for t in range(len(x)):
        foreseen[t] = variance
        gain = variance / (variance + 1)
        state = state + gain * (x[t] - state)
        states[t], variances[t] = state, (1 - gain) * variance
        variance = variances[t] + drift
    for t in range(len(x) - 2, -1, -1):
        states[t] += variances[t] / foreseen[t + 1] * (states[t + 1] - states[t])
    return states


def smoothed_in_trials(
    store: WindowSource, rows: np.ndarray, features: Callable[[WindowSource, np.ndarray], np.ndarray]
) -> np.ndarray:
    """(n, D) float32 of some rows, smoothed over all windows with signals that the store has of their trials.

    features : rows -> (n, D), each from its own window
    """
    rows = np.asarray(rows, np.int64)
    table = store.windows
    recording = table["recording"].to_numpy(str)
    seen = np.flatnonzero(np.isin(recording, np.unique(recording[rows])) & table["has_signals"].to_numpy(bool))
    seen = seen[np.lexsort([table["window"].to_numpy()[seen], recording[seen]])]
    x = features(store, seen)
    begins = np.flatnonzero(np.r_[True, recording[seen][1:] != recording[seen][:-1]])
    parts = [smoothed(part) for part in np.split(x, begins[1:])]
    out = np.zeros((len(store), x.shape[1]), np.float32)
    out[seen] = np.concatenate(parts)
    return out[rows]

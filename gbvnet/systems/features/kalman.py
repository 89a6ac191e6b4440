"""A linear dynamic system that smooths features along a trial, and never beyond it.

Each feature is modelled as a slow quantity that drifts from window to window and is observed with noise:
z[t] = z[t-1] + drift, x[t] = z[t] + noise. Its mean given all of the trial's windows is computed by a Kalman filter and
the backward pass of Rauch, Tung and Striebel (1965). Only the ratio of the variances matters. Shapes: T windows of a
trial, n rows, D features.
"""

from collections.abc import Callable

import numpy as np

from ...store.window_source import WindowSource

# Variances in units of the noise's, as in TorchEEG's hook for linear dynamic systems: a window then informs about
# neighbours up to some 100 windows away. That hook leaves out the backward pass.
DRIFT, START = 1e-4, 1e-2


def smooth(x: np.ndarray, drift: float = DRIFT, start: float = START) -> np.ndarray:
    """Return the smoothed features (T, D) of a trial. The first state has the trial's mean and the variance `start`."""
    x = np.asarray(x, np.float64)
    state, variance = x.mean(axis=0), start  # before the first window is seen
    states, variances, predicted = np.empty_like(x), np.empty(len(x)), np.empty(len(x))
    for t in range(len(x)):
        predicted[t] = variance
        gain = variance / (variance + 1)
        state = state + gain * (x[t] - state)
        states[t], variances[t] = state, (1 - gain) * variance
        variance = variances[t] + drift
    for t in range(len(x) - 2, -1, -1):
        states[t] += variances[t] / predicted[t + 1] * (states[t + 1] - states[t])
    return states


def smooth_trials(
    store: WindowSource, rows: np.ndarray, features: Callable[[WindowSource, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return features (n, D) float32 of some rows, smoothed over all windows with signals of their trials in the store.

    features : store and rows -> (n, D), each from its own window
    """
    rows = np.asarray(rows, np.int64)
    table = store.windows
    recording = table["recording"].to_numpy(str)
    used = np.flatnonzero(np.isin(recording, np.unique(recording[rows])) & table["has_signals"].to_numpy(bool))
    used = used[np.lexsort([table["window"].to_numpy()[used], recording[used]])]
    x = features(store, used)
    begins = np.flatnonzero(np.r_[True, recording[used][1:] != recording[used][:-1]])
    parts = [smooth(part) for part in np.split(x, begins[1:])]
    out = np.zeros((len(store), x.shape[1]), np.float32)
    out[used] = np.concatenate(parts)
    return out[rows]

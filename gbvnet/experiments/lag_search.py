"""By how many seconds labels that change in time come too late, found in each fold by its training side alone.

A ridge regression predicts the label at each lag from plain features of each window; the lag whose held-out predictions
follow the labels best within recordings is taken. No label of the test side is used, nor, where trials are kept whole,
any window of it.

Shapes: n windows of the training side, D features, Q lags.
"""

import logging
from dataclasses import replace

import numpy as np

from ..config import CrossvalConfig, uses_face, uses_signals
from ..errors import BadConfig
from ..evaluation.plan import Plan
from ..store.window_source import WindowSource
from ..systems.features.extract import spectral_features, waveform_features

log = logging.getLogger(__name__)

PARTS = 3  # of the training side, one after the other held out; no recording is in two
RIDGE = 1.0  # times the windows, on z-scored features
STILL = 1e-9  # an SD below which a feature counts as constant
SMOOTH = 2  # windows on each side, over which features are averaged: labels change slowly


def with_lags(store: WindowSource, plan: Plan, config: CrossvalConfig) -> Plan:
    """Return a plan with the lag of each fold, where the settings ask for a search."""
    return replace(plan, lags=find_lags(store, plan, config)) if config.lag_s == "search" else plan


def find_lags(store: WindowSource, plan: Plan, config: CrossvalConfig) -> dict[int, float]:
    """Return the lag in seconds of each fold, by the fold's number. Raises BadConfig for more than one target."""
    if len(plan.targets) > 1:
        raise BadConfig("lag_s search is of one label: give each target in a run of its own")
    (target,) = plan.targets
    rows = plan.windows.index.to_numpy()
    features = _features(store, rows, config)  # (all windows, D)
    place = {row: k for k, row in enumerate(rows.tolist())}
    lags = {}
    for fold in plan.folds:
        train = np.concatenate([fold.train, fold.validation])
        at = np.array([place[row] for row in train.tolist()])
        labels = np.stack(
            [held.labels[target].loc[train].to_numpy() for held in plan.by_lag.values()], axis=1
        )  # (n, Q)
        recordings = plan.windows["recording"].loc[train].to_numpy(str)
        scores = lag_scores(features[at], labels, recordings)
        lags[fold.number] = list(plan.by_lag)[int(np.argmax(scores))]
        log.info("fold %d: labels of %s come %.1f s late, by the training side", fold.number, target, lags[fold.number])
    return lags


def lag_scores(features: np.ndarray, labels: np.ndarray, recordings: np.ndarray) -> np.ndarray:
    """Return how well labels at each lag can be predicted, (Q,): the correlation of held-out predictions and labels.
    Features and labels are taken less their mean in each recording: a level of a recording says nothing of a lag. 0
    where nothing varies.

    features : (n, D)        labels : (n, Q), at each lag        recordings : (n,) names
    """
    from sklearn.model_selection import GroupKFold

    parts = min(PARTS, len(np.unique(recordings)))
    if parts < 2:
        return np.zeros(labels.shape[1])
    features, labels = (_within_recordings(values, recordings) for values in (features, labels))
    predicted = np.empty_like(labels)
    for fitted, held in GroupKFold(parts).split(features, groups=recordings):
        sd = features[fitted].std(axis=0)
        x, new = (features[of] / np.where(sd > STILL, sd, 1.0) for of in (fitted, held))
        gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
        predicted[held] = new @ np.linalg.solve(gram, x.T @ labels[fitted])
    a, b = _within_recordings(predicted, recordings), labels
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.divide((a * b).sum(axis=0), scale, out=np.zeros(len(scale)), where=scale > STILL)


def _within_recordings(values: np.ndarray, recordings: np.ndarray) -> np.ndarray:
    """Values (n, Q) less their mean in each recording."""
    _, of_row, counts = np.unique(recordings, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, of_row, values)
    return values - (sums / counts[:, None])[of_row]


def _features(store: WindowSource, rows: np.ndarray, config: CrossvalConfig) -> np.ndarray:
    """Plain features of each window (n, D) float64, averaged over its neighbours in time."""
    parts = []
    if uses_signals(config.modality):
        parts.append(spectral_features(store, rows, config.modality))
    if uses_face(config.modality):
        parts.append(waveform_features(store, rows, "face"))
    x = np.concatenate([part.reshape(len(rows), -1) for part in parts], axis=1).astype(np.float64)
    table = store.windows.iloc[rows]
    for of_recording in table.reset_index(drop=True).groupby("recording").groups.values():
        at = np.asarray(of_recording)
        padded = np.pad(x[at], ((SMOOTH, SMOOTH), (0, 0)), mode="edge")
        x[at] = np.mean([padded[k : k + len(at)] for k in range(2 * SMOOTH + 1)], axis=0)
    return x

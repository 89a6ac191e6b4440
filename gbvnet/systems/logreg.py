"""A logistic regression on log band powers and the level of slow signals: the plain baseline of the signals.

Not a published system: the simplest use of physiological signals, which any larger system should beat. The features are
the natural log of the power of every channel in five bands (delta to gamma), and the mean of each channel that is not
EEG: the level of skin conductance, temperature and respiration carries most of their information.
"""

from typing import Any, ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression
from typing_extensions import override

from ..store.channels import channels_of
from ..store.window_source import WindowSource
from .features.band_power import LOG_POWER
from .features.extract import Extractor, extract_features
from .learners.linear import LinearSystem

LEVEL = Extractor("mean", lambda x, rate_hz: x.mean(axis=2, keepdims=True))


class System(LinearSystem):
    """LogisticRegression(C=1) on z-scored features."""

    modalities: ClassVar[tuple[str, ...]] = ("bio", "eeg", "peri")

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        channels = channels_of(store, self.config.modality)
        slow = [i for i in channels if store.settings["channels"][i][1] != "eeg"]
        parts = [extract_features(store, rows, channels, LOG_POWER), extract_features(store, rows, slow, LEVEL)]
        return np.concatenate([part.reshape(len(rows), -1) for part in parts], axis=1)

    @override
    def classifier(self) -> Any:
        return LogisticRegression(max_iter=1000)

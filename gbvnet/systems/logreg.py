"""A logistic regression on what every textbook begins with: log band powers, and the level of slow signals.

Ours, and no published system: the plainest use of physiological signals, which anything larger should beat. Natural log
of the power of every channel in five bands (delta to gamma), and the mean of each channel that is no EEG: skin
conductance, temperature and breath say most by their level.
"""

from typing import Any, ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression
from typing_extensions import override

from ..store.channels import channels_of
from ..store.window_source import WindowSource
from .features.band_power import LOG_POWER
from .features.extract import Extractor, extracted
from .learners.linear import Linear

LEVEL = Extractor("mean", lambda x, rate_hz: x.mean(axis=2, keepdims=True))


class System(Linear):
    """LogisticRegression(C=1) on z-scored features."""

    modalities: ClassVar[tuple[str, ...]] = ("bio", "eeg", "peri")

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        channels = channels_of(store, self.config.modality)
        slow = [i for i in channels if store.settings["channels"][i][1] != "eeg"]
        parts = [extracted(store, rows, channels, LOG_POWER), extracted(store, rows, slow, LEVEL)]
        return np.concatenate([part.reshape(len(rows), -1) for part in parts], axis=1)

    @override
    def classifier(self) -> Any:
        return LogisticRegression(max_iter=1000)

"""Zhu et al. 2015 (EMBC): differential entropies of the EEG, smoothed along each trial, and a linear support vector
machine.

The source: differential entropy of each channel in five bands, a linear dynamic system that takes out what is too quick
to be emotion, a linear support vector machine; three classes on SEED, other subjects held out. It does not give the
system's variances, the bands' edges or C in what we could read. Chosen here: bands of extract.py, entropies by
band_power.py, the variances and the two passes of kalman.py, LinearSVC(C=1) on z-scored features.

A window's features follow from all of its trial, also from later windows: it cannot be used in real time.
"""

from typing import Any, ClassVar

import numpy as np
from sklearn.svm import LinearSVC, LinearSVR
from typing_extensions import override

from ..store.channels import channels_of
from ..store.window_source import WindowSource
from .features.band_power import ENTROPY
from .features.extract import extract_features
from .features.kalman import smooth_trials
from .learners.linear import LinearSystem


class System(LinearSystem):
    """LinearSVC(C=1, dual=False): its time grows with the windows only, so it learns from all of them."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg",)
    refused: ClassVar[dict[str, str]] = {
        "window": "it smooths over all windows of a trial, and under this protocol some of them are tested on"
    }

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        channels = channels_of(store, self.config.modality)

        def entropies(of: WindowSource, at: np.ndarray) -> np.ndarray:
            return extract_features(of, at, channels, ENTROPY).reshape(len(at), -1)

        return smooth_trials(store, rows, entropies)

    @override
    def classifier(self) -> Any:
        return LinearSVC(C=1.0, dual=False)

    @override
    def regressor(self) -> Any:
        return LinearSVR(C=1.0, loss="squared_epsilon_insensitive", dual=False)

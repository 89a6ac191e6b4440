"""yuvaraj-like: fractal dimensions of the EEG and a decision tree, or another set of features and a machine.

After the abstract of Yuvaraj et al. 2023 (Sensors 23:915), all that we know of it: five sets of features (statistical,
fractal dimension, Hjorth, higher-order statistics, wavelet), each with a support vector machine and with a decision
tree (CART), on five corpora; fractal dimension with CART did best. Windows, sizes and protocol are not known, so this
is no measure of their result.

Chosen here: the sets of waveforms.py from every EEG channel; a tree whose leaves hold at least 5 windows, so that a
leaf has a share of high rather than a word; the machine of svm.py. `rival.feature_set` and `rival.classifier` choose.
"""

from typing import ClassVar, Self

import numpy as np
from sklearn.tree import DecisionTreeClassifier
from typing_extensions import override

from ..store.channels import channels_of
from ..store.window_source import WindowSource
from .features.extract import extracted
from .features.time_domain import SETS
from .learners.classical import Classical, Learnt
from .learners.rbf_svm import Machine

LEAF = 5  # windows


class System(Machine):
    modalities: ClassVar[tuple[str, ...]] = ("eeg",)

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        channels = channels_of(store, self.config.modality)
        return extracted(store, rows, channels, SETS[self.config.rival.feature_set]).reshape(len(rows), -1)

    @override
    def fit(
        self,
        store: WindowSource,
        rows: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
    ) -> Self:
        if self.config.rival.classifier == "svm":
            return super().fit(store, rows, y, validation=validation, seed=seed)
        return Classical.fit(self, store, rows, y, validation=validation, seed=seed)  # a tree learns from all windows

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Learnt:
        if self.config.rival.classifier == "svm":
            return super().learn(x, y, seed)
        tree = DecisionTreeClassifier(min_samples_leaf=LEAF, random_state=seed).fit(x, y).tree_
        high = tree.value[:, 0, 1] if tree.n_classes[0] == 2 else np.full(tree.node_count, float(y[0]))
        return {
            "below": tree.children_left.astype(np.int64),  # where a window goes next, -1 from a leaf
            "above": tree.children_right.astype(np.int64),
            "feature": tree.feature.astype(np.int64),
            "threshold": tree.threshold,
            "high": high.astype(np.float64),  # share of a node's training windows
        }

    @override
    def probability(self, learnt: Learnt, x: np.ndarray) -> np.ndarray:
        if self.config.rival.classifier == "svm":
            return super().probability(learnt, x)
        at, rows = np.zeros(len(x), np.int64), np.arange(len(x))
        while True:
            inner = learnt["below"][at] >= 0
            if not inner.any():
                return learnt["high"][at]
            below = x[rows, learnt["feature"][at] * inner] <= learnt["threshold"][at]
            at = np.where(inner, np.where(below, learnt["below"][at], learnt["above"][at]), at)

"""yuvaraj-like: fractal dimensions of the EEG and a decision tree, or another set of features and a machine.

After the abstract of Yuvaraj et al. 2023 (Sensors 23:915), all that we know of it: five sets of features (statistical,
fractal dimension, Hjorth, higher-order statistics, wavelet), each with a support vector machine and with a decision
tree (CART), on five corpora; fractal dimension with CART did best. Windows, sizes and protocol are not known, so this
is no measure of their result.

Chosen here: the sets of time_domain.py from every EEG channel; a tree with at least 5 windows a leaf, so that a leaf
has a probability and not only a class; the support vector machine of rbf_svm.py.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from typing_extensions import override

from ..store.channels import channels_of
from ..store.window_source import WindowSource
from .features.extract import extract_features
from .features.time_domain import FEATURE_SETS
from .learners.classical import ClassicalSystem, Parameters
from .learners.rbf_svm import RbfSvm

LEAF = 5  # windows


class System(RbfSvm):
    """A decision tree or a support vector machine on one set of features of each channel."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg",)

    @dataclass(frozen=True)
    class Options(RbfSvm.Options):
        """The options of yuvaraj-like."""

        feature_set: Literal["statistical", "fractal", "hjorth", "hos", "wavelet"] = "fractal"
        """the features of each channel (its source finds fractal with cart the best)"""
        classifier: Literal["cart", "svm"] = "cart"
        """a decision tree, or a support vector machine with a Gaussian kernel"""

    options: Options

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        channels = channels_of(store, self.config.modality)
        return extract_features(store, rows, channels, FEATURE_SETS[self.options.feature_set]).reshape(len(rows), -1)

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
        if self.options.classifier == "svm":
            return super().fit(store, rows, y, validation=validation, seed=seed)
        return ClassicalSystem.fit(
            self, store, rows, y, validation=validation, seed=seed
        )  # a tree learns from all windows

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        if self.options.classifier == "svm":
            return super().learn(x, y, seed)
        kind = DecisionTreeRegressor if self.task == "regression" else DecisionTreeClassifier
        tree = kind(min_samples_leaf=LEAF, random_state=seed).fit(x, y).tree_
        if self.task == "multiclass":
            high = tree.value[:, 0]  # (nodes, k)
        elif self.task == "regression":
            high = tree.value[:, 0, 0]
        else:
            high = tree.value[:, 0, 1] if tree.n_classes[0] == 2 else np.full(tree.node_count, float(y[0]))
        return {
            "below": tree.children_left.astype(np.int64),  # where a window goes next, -1 from a leaf
            "above": tree.children_right.astype(np.int64),
            "feature": tree.feature.astype(np.int64),
            "threshold": tree.threshold,
            # of a node's training windows: the share that is high, of each class, or the mean rating
            "high": high.astype(np.float64),
        }

    @override
    def output(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        if self.options.classifier == "svm":
            return super().output(parameters, x)
        at, rows = np.zeros(len(x), np.int64), np.arange(len(x))
        while True:
            at_branch = parameters["below"][at] >= 0
            if not at_branch.any():
                return parameters["high"][at]
            below = x[rows, parameters["feature"][at] * at_branch] <= parameters["threshold"][at]
            at = np.where(at_branch, np.where(below, parameters["below"][at], parameters["above"][at]), at)

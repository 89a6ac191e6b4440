"""bhatti-like: features of the EEG from three domains, time, frequency and wavelet, and a multilayer perceptron.

After the abstract of Bhatti, Majid, Anwar and Khan 2016 (Comput. Hum. Behav. 65:267, doi:10.1016/j.chb.2016.08.029):
EEG of 30 participants who listened to a minute of music of each of five genres; happiness, sadness, love and anger
from features of the three domains; all three together with a multilayer perceptron did best, beside a support vector
machine and nearest neighbours. Which features, which wavelet, sizes and protocol are not known here, and no public
code, so this is no measure of their result.

Chosen here, of every EEG channel in a window: of time the six statistics of time_domain.py (mean, SD, first and second
differences); of frequency the log power in five bands; of wavelets the log energy and the entropy of each level (db4).
All are z-scored over training rows. The perceptron is hidden_layer.py's, the support vector machine rbf_svm.py's; of
neighbours there are five, by Euclidean distance, and all training windows are kept.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from sklearn.neighbors import NearestNeighbors
from typing_extensions import override

from ..evaluation.labels import has_one_class
from ..store.channels import channels_of
from ..store.window_source import WindowSource
from .features.band_power import LOG_POWER
from .features.extract import Extractor, extract_features
from .features.time_domain import FEATURE_SETS
from .learners.classical import ClassicalSystem, Parameters
from .learners.hidden_layer import constant_layer, hidden_layer_output, train_hidden_layer
from .learners.linear import STILL
from .learners.rbf_svm import RbfSvm

DOMAINS: dict[str, Extractor] = {
    "time": FEATURE_SETS["statistical"],
    "frequency": LOG_POWER,
    "wavelet": FEATURE_SETS["wavelet"],
}
NEIGHBOURS = 5


class System(RbfSvm):
    """One of three classifiers on features of one domain, or of all three."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg",)

    @dataclass(frozen=True)
    class Options(RbfSvm.Options):
        """The options of bhatti-like."""

        domain: Literal["hybrid", "time", "frequency", "wavelet"] = "hybrid"
        """the features of each channel; hybrid: those of all three domains (its source finds these with mlp the
        best)"""
        classifier: Literal["mlp", "svm", "knn"] = "mlp"
        """a multilayer perceptron, a support vector machine with a Gaussian kernel, or the five nearest neighbours"""

    options: Options

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        channels = channels_of(store, self.config.modality)
        used = [of for name, of in DOMAINS.items() if self.options.domain in (name, "hybrid")]
        features = [extract_features(store, rows, channels, of).reshape(len(rows), -1) for of in used]
        return np.concatenate(features, axis=1)

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
        return ClassicalSystem.fit(self, store, rows, y, validation=validation, seed=seed)  # from all windows

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        if self.options.classifier == "svm":
            return super().learn(x, y, seed)
        mean, sd = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        scale = {"mean": mean, "sd": np.where(sd > STILL, sd, 1.0)}
        z = (x - mean) / scale["sd"]
        if self.options.classifier == "knn":
            return scale | {"windows": z.astype(np.float32), "labels": np.asarray(y, np.float64)}
        if self.task == "binary" and has_one_class(y):  # of several targets, one may have a single class
            return scale | constant_layer(x.shape[1], y[0])
        return scale | train_hidden_layer(z, y, seed, self.task)

    @override
    def output(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        if self.options.classifier == "svm":
            return super().output(parameters, x)
        z = (x - parameters["mean"]) / parameters["sd"]
        if self.options.classifier == "mlp":
            return hidden_layer_output(parameters, z, self.task)
        return _of_neighbours(parameters["windows"], parameters["labels"], z.astype(np.float32), self.task)


def _of_neighbours(windows: np.ndarray, labels: np.ndarray, z: np.ndarray, task: str) -> np.ndarray:
    """Return the share of the nearest training windows that is high (n,) or of each class (n, k), or their mean
    rating (n,)."""
    search = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(windows)), algorithm="brute").fit(windows)
    nearest = labels[search.kneighbors(z, return_distance=False)]  # (n, neighbours)
    if task == "multiclass":
        return (nearest[:, :, None] == np.arange(labels.max() + 1)).mean(axis=1)
    return nearest.mean(axis=1)

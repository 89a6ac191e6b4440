"""A linear classifier on waveforms and face thumbnails: the simplest system that can learn a leak.

A control, not a comparison method.
"""

from typing import ClassVar, Literal

import numpy as np
from sklearn.linear_model import Ridge, RidgeClassifier
from typing_extensions import override

from ..evaluation.labels import has_one_class
from ..store.window_source import WindowSource
from . import ALL_TASKS
from .features.extract import waveform_features
from .learners.classical import ClassicalSystem, Parameters
from .learners.linear import constant, linear_output, weights_of


class System(ClassicalSystem):
    """RidgeClassifier on `waveform_features`, z-scored over training rows; p is the expit of its decision, or the
    softmax of those of several classes. Of ratings a Ridge."""

    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS
    face_input: ClassVar[Literal["pixels", "features", "either"]] = "either"

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return waveform_features(store, rows, self.config.modality)

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        mean, sd = x.mean(axis=0), x.std(axis=0) + np.float32(1e-12)
        if self.task == "binary" and has_one_class(y):  # of several targets, one may have a single class
            return constant(x.shape[1], y[0]) | {"mean": mean, "sd": sd}
        model = Ridge() if self.task == "regression" else RidgeClassifier()
        return weights_of(model.fit((x - mean) / sd, y)) | {"mean": mean, "sd": sd}

    @override
    def output(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        return linear_output((x - parameters["mean"]) / parameters["sd"], parameters, self.task)

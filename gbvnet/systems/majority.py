"""The majority class of the training rows for every window: the score that any system must exceed."""

from typing import ClassVar, Literal

import numpy as np
from typing_extensions import override

from ..store.window_source import WindowSource
from . import ALL_TASKS
from .learners.classical import ClassicalSystem, Parameters, shares


class System(ClassicalSystem):
    """Predicts the share of positive training rows, of each class, or the mean rating for every window."""

    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS
    face_input: ClassVar[Literal["pixels", "features", "either"]] = "either"
    normalises_by_subject: ClassVar[bool] = True  # it reads no signals

    @override
    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        pass  # it uses neither faces nor signals

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return np.empty((len(rows), 0))

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        return {"prior": shares(y, self.task)}

    @override
    def output(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        prior = parameters["prior"]
        return np.tile(prior, (len(x), 1)) if self.task == "multiclass" else np.full(len(x), prior[0])

"""The majority class of each subject's own training rows: the score that subject identity alone gives.

A subject without training rows (protocol subject) gets the majority class over all subjects.
"""

import numpy as np
from typing_extensions import override

from ..store.window_source import WindowSource
from .learners.classical import ClassicalSystem, Parameters


class System(ClassicalSystem):
    """Predicts the share of positive rows among a subject's own training rows for each of its windows."""

    @override
    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        pass  # it uses neither faces nor signals

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return store.windows["subject"].to_numpy(str)[rows]

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        subjects, of_row = np.unique(x, return_inverse=True)
        prior = np.bincount(of_row, y) / np.bincount(of_row)
        names = np.frombuffer("\n".join(subjects.tolist()).encode(), np.uint8)  # safetensors cannot hold text
        return {"names": names, "of_person": prior, "prior": y.mean(keepdims=True)}

    @override
    def probability(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        subjects = bytes(parameters["names"]).decode().split("\n")
        by_subject = dict(zip(subjects, parameters["of_person"].tolist(), strict=True))
        return np.array([by_subject.get(subject, parameters["prior"][0]) for subject in x.tolist()])

"""The majority class of each subject's own training rows: the score that subject identity alone gives.

A subject without training rows (protocol subject) gets the majority class over all subjects.
"""

from typing import ClassVar, Literal

import numpy as np
from typing_extensions import override

from ..store.window_source import WindowSource
from . import ALL_TASKS
from .learners.classical import ClassicalSystem, Parameters, shares


class System(ClassicalSystem):
    """Predicts the share of positive rows, or of each class, among a subject's own training rows for each of its
    windows; of ratings their mean."""

    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS
    face_input: ClassVar[Literal["pixels", "features", "either"]] = "either"
    normalises_by_subject: ClassVar[bool] = True  # it reads no signals

    @override
    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        pass  # it uses neither faces nor signals

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return store.windows["subject"].to_numpy(str)[rows]

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        subjects, of_row = np.unique(x, return_inverse=True)
        k = int(y.max()) + 1  # classes
        prior = np.stack([shares(y[of_row == s], self.task, k) for s in range(len(subjects))])  # (S, 1) or (S, k)
        names = np.frombuffer("\n".join(subjects.tolist()).encode(), np.uint8)  # safetensors cannot hold text
        return {"names": names, "of_person": prior, "prior": shares(y, self.task)}

    @override
    def output(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        subjects = bytes(parameters["names"]).decode().split("\n")
        by_subject = dict(zip(subjects, parameters["of_person"].reshape(len(subjects), -1), strict=True))
        predicted = np.array([by_subject.get(subject, parameters["prior"]) for subject in x.tolist()])
        return predicted if self.task == "multiclass" else predicted[:, 0]

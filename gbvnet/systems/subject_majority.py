"""Each person's own commoner class among the training rows: what knowing who is who is worth, and nothing else.

A person without training rows (protocol subject) gets the class that is commoner over all people.
"""

import numpy as np
from typing_extensions import override

from ..store.window_source import WindowSource
from .learners.classical import Classical, Learnt


class System(Classical):
    """The share of high among a person's own training rows is predicted for each of their windows."""

    @override
    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        pass  # it looks at nothing that a window could lack

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return store.windows["subject"].to_numpy(str)[rows]

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Learnt:
        people, of_row = np.unique(x, return_inverse=True)
        prior = np.bincount(of_row, y) / np.bincount(of_row)
        names = np.frombuffer("\n".join(people.tolist()).encode(), np.uint8)  # safetensors hold no text
        return {"names": names, "of_person": prior, "prior": y.mean(keepdims=True)}

    @override
    def probability(self, learnt: Learnt, x: np.ndarray) -> np.ndarray:
        people = bytes(learnt["names"]).decode().split("\n")
        of_person = dict(zip(people, learnt["of_person"].tolist(), strict=True))
        return np.array([of_person.get(who, learnt["prior"][0]) for who in x.tolist()])

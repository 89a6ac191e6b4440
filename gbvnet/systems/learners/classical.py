"""What systems that are no networks share: they train on all rows they are given, and keep what they learnt as arrays.

A subclass says what a window is to it (`vectors`), what it learns (`learn`) and what it then predicts (`probability`),
for one target; several targets at once are learnt one after the other. Saved as model.safetensors: no pickle.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ...config import MODALITIES, CrossvalConfig, uses_face, uses_signals
from ...errors import BadConfig, BadModel
from ...io.atomic import atomic_write
from ...store.window_source import WindowSource
from .. import Predicted

FILE = "model.safetensors"
Learnt = dict[str, np.ndarray]


class Classical(ABC):
    """See `gbvnet.systems.Contract`."""

    modalities: ClassVar[tuple[str, ...]] = MODALITIES
    refused: ClassVar[dict[str, str]] = {}

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        self.config = config
        self.learnt: list[Learnt] = []  # one a target

    @abstractmethod
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        """(n, D) what the system sees of each window."""

    @abstractmethod
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Learnt:
        """From vectors (n, D) and labels (n,) of 0 and 1."""

    @abstractmethod
    def probability(self, learnt: Learnt, x: np.ndarray) -> np.ndarray:
        """(n,) of high, for vectors (n, D)."""

    def fit(
        self,
        store: WindowSource,
        rows: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
    ) -> Self:
        rows, y = np.asarray(rows), np.asarray(y)
        if validation is not None:  # nothing is stopped early, so nothing need be kept back
            rows, y = np.concatenate([rows, validation[0]]), np.concatenate([y, validation[1]])
        x = self._seen(store, rows)
        self.learnt = [self.learn(x, target, seed) for target in y.reshape(len(y), -1).T]
        return self

    def predict(self, store: WindowSource, rows: np.ndarray) -> Predicted:
        return Predicted(self.predict_proba(store, rows))

    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        if not self.learnt:
            raise BadConfig(f"this {self.config.system} is not trained yet: call fit or load first")
        x = self._seen(store, np.asarray(rows))
        p = np.stack([self.probability(learnt, x) for learnt in self.learnt], axis=1).astype(np.float64)  # (n, K)
        return p[:, 0] if p.shape[1] == 1 else p

    def _seen(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        self.refuse_missing(store, rows)
        return self.vectors(store, rows)

    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        """Raise BadConfig if a row lacks what this system cannot do without."""
        require_whole(store, rows, self.config)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"{k}.{name}": a for k, one in enumerate(self.learnt) for name, a in one.items()}
        atomic_write(folder / FILE, save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))

    @classmethod
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        made, file = cls(config), folder / FILE
        try:
            for name, array in sorted(load_file(file).items()):
                target, what = name.split(".", 1)
                made.learnt += [{}] * (int(target) == len(made.learnt))
                made.learnt[int(target)] = {**made.learnt[int(target)], what: array}
        except (OSError, ValueError, IndexError, SafetensorError) as error:
            raise BadModel(file, f"a trained {config.system}", f"a file that does not read ({error})") from None
        return made

    @property
    def about(self) -> dict:
        return {"n_parameters": sum(a.size for one in self.learnt for a in one.values())}


def require_whole(store: WindowSource, rows: np.ndarray, config: CrossvalConfig) -> None:
    """Raise BadConfig if a row lacks a modality: this system has nothing to put in its place."""
    for name, used in (("face", uses_face(config.modality)), ("signals", uses_signals(config.modality))):
        lacks = ~store.windows[f"has_{name}"].to_numpy(bool)[rows]
        if used and lacks.any():
            raise BadConfig(
                f"{lacks.sum()} of {len(rows)} windows have no {name}, and {config.system} cannot do without; "
                "set rows to complete, or choose another modality"
            )

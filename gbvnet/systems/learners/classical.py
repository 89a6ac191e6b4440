"""The base of systems without a neural network: they train on all rows that they are given, and what they learn is
arrays.

A subclass implements the features of a window (`vectors`), the training (`learn`) and the prediction (`output`) for
one target; several targets are learnt one after the other. Saved as model.safetensors: no pickle.
"""

from abc import abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from typing_extensions import override

from ...config import CrossvalConfig, uses_face, uses_signals
from ...errors import BadConfig, BadModel
from ...io.atomic import atomic_write
from ...store.window_source import WindowSource
from .. import BaseSystem

FILE = "model.safetensors"
CLASSES = "classes"  # in the parameters of several classes: the numbers of those that occurred in training
Parameters = dict[str, np.ndarray]


class ClassicalSystem(BaseSystem, new_hooks=True):
    """A system that learns arrays from feature vectors."""

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        super().__init__(config, work, label)
        self.parameters: list[Parameters] = []  # one a target

    @abstractmethod
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        """Return the features of each window, (n, D)."""

    @abstractmethod
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        """Return what is learnt from features (n, D) and labels (n,), arrays by name.

        y : 0 and 1; of task multiclass 0 to k - 1, the k classes that occur, at least two; of regression ratings
        """

    @abstractmethod
    def output(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        """Return the prediction for features (n, D): the probability of the positive class (n,), of each of the k
        classes (n, k), or the rating (n,)."""

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
        rows, y = np.asarray(rows), np.asarray(y)
        if validation is not None:  # without early stopping all rows are for training
            rows, y = np.concatenate([rows, validation[0]]), np.concatenate([y, validation[1]])
        x = self._features(store, rows)
        learn = self._learn_classes if self.task == "multiclass" else self.learn
        self.parameters = [learn(x, target, seed) for target in y.reshape(len(y), -1).T]
        return self

    def _learn_classes(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        """Learn the classes that occur; the others, which no training row shows, get probability 0."""
        occurring, number = np.unique(y, return_inverse=True)
        if len(occurring) == 1:
            return {CLASSES: occurring}
        return {**self.learn(x, number, seed), CLASSES: occurring}

    @override
    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        if not self.parameters:
            raise BadConfig(f"this {self.name} is not trained yet: call fit or load first")
        x = self._features(store, np.asarray(rows))
        if self.task != "binary":
            return self._of_all_classes(self.parameters[0], x) if self.task == "multiclass" else self._ratings(x)
        p = np.stack([self.output(parameters, x) for parameters in self.parameters], axis=1).astype(
            np.float64
        )  # (n, K)
        return p[:, 0] if p.shape[1] == 1 else p

    def _of_all_classes(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        """The probability of each class of the target, (n, K)."""
        occurring = parameters[CLASSES].astype(int)
        p = np.zeros((len(x), len(self.target.classes) if self.target else occurring.max() + 1))
        p[:, occurring] = 1.0 if len(occurring) == 1 else self.output(parameters, x)
        return p

    def _ratings(self, x: np.ndarray) -> np.ndarray:
        """The rating (n,), taken to the end of its scale where it lies outside."""
        rating = np.asarray(self.output(self.parameters[0], x), np.float64)
        return np.clip(rating, *self.target.scale) if self.target else rating

    def _features(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        self.refuse_missing(store, rows)
        return self.vectors(store, rows)

    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        """Raise BadConfig if one of rows (n,) lacks a modality that this system needs."""
        require_modalities(store, rows, self.config)

    @override
    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"{k}.{name}": a for k, one in enumerate(self.parameters) for name, a in one.items()}
        atomic_write(folder / FILE, save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))

    @classmethod
    @override
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        system, file = cls(config), folder / FILE
        try:
            for key, array in sorted(load_file(file).items()):
                target, name = key.split(".", 1)
                system.parameters += [{}] * (int(target) == len(system.parameters))
                system.parameters[int(target)] = {**system.parameters[int(target)], name: array}
        except (OSError, ValueError, IndexError, SafetensorError) as error:
            raise BadModel(file, f"a trained {config.system}", f"a file that does not read ({error})") from None
        return system

    @property
    @override
    def about(self) -> dict[str, Any]:
        return {"n_parameters": sum(a.size for one in self.parameters for a in one.values())}


def require_modalities(store: WindowSource, rows: np.ndarray, config: CrossvalConfig) -> None:
    """Raise BadConfig if one of rows (n,) lacks a modality, for systems that have no substitute for it."""
    for name, used in (("face", uses_face(config.modality)), ("signals", uses_signals(config.modality))):
        lacks = ~store.windows[f"has_{name}"].to_numpy(bool)[rows]
        if used and lacks.any():
            raise BadConfig(
                f"{lacks.sum()} of {len(rows)} windows have no {name}, and {config.system} needs it; "
                "set rows to complete, or choose another modality"
            )


def shares(y: np.ndarray, task: str, n_classes: int = 0) -> np.ndarray:
    """Return the mean label, (1,), or the share of each class, (k,) of at least `n_classes`."""
    return np.bincount(y, minlength=n_classes) / len(y) if task == "multiclass" else y.mean(keepdims=True)

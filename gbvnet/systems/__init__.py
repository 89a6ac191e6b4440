"""Systems that tell high from low: GBV-Net and each rival, one file and one contract each.

A file in this folder is a system, called as the file (with - for _); its class is named `System`. Nothing is imported
before it is asked for. Adding a system is adding a file; the contract tests find it by itself.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from ..config import CrossvalConfig
from ..errors import BadConfig
from ..store.window_source import WindowSource
from ..text import did_you_mean

SYSTEMS: tuple[str, ...] = tuple(
    sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if not m.ispkg)
)


class Predicted(NamedTuple):
    """What a system says of n windows."""

    p: np.ndarray  # (n,) probability of high, or (n, K) if K targets were trained jointly; float64
    gate_face: np.ndarray | None = None  # (n,) mean gate of a modality in 0..1; None where the system has no gate
    gate_bio: np.ndarray | None = None


class Contract(Protocol):
    """What every system promises, after scikit-learn's manner. Whatever is fitted sees the rows given to `fit` only.

    config : the run's settings; a system takes what concerns it (modality, model, train, ...)
    work : a folder where `fit` may leave what it needs to go on after it was killed
    label : what its log lines begin with
    modalities : what it can see, first what it was made for
    refused : protocol -> why it would be no fair test of this system
    """

    modalities: ClassVar[tuple[str, ...]]
    refused: ClassVar[dict[str, str]]

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""): ...

    def fit(
        self,
        store: WindowSource,
        rows: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
    ) -> "Contract":
        """Learn from rows of a store and their labels (n,) of 0 and 1, or (n, K) for K targets at once.

        validation : rows and labels of the validation groups; a system without early stopping trains on both together
        """
        ...

    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        """The probability of high, (n,) or (n, K) float64."""
        ...

    def predict(self, store: WindowSource, rows: np.ndarray) -> Predicted:
        """The same, with gates where the system has them."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was learnt as a model folder, from which `load` makes a system that predicts the same."""
        ...

    @classmethod
    def load(cls, folder: Path, config: CrossvalConfig) -> "Contract": ...

    @property
    def about(self) -> dict:
        """What a run notes of a training: n_parameters, chosen_epoch, device; {} is allowed."""
        ...


def require_system(name: str) -> None:
    """Raise BadConfig for a name that is no system, with the nearest that is one. Imports nothing."""
    if name not in SYSTEMS:
        raise BadConfig(f"no system {name}; {did_you_mean(name, SYSTEMS)}")


def require_sense(config: CrossvalConfig, store: WindowSource | None = None) -> None:
    """Raise BadConfig if there is no such system, or it cannot see this modality, be tested by this protocol, or (where
    it has a classmethod `require_store`) learn from this store."""
    made = system(config.system)
    if config.modality not in made.modalities:
        others = "" if len(made.modalities) == 1 else f"one of {', '.join(made.modalities)}: "
        raise BadConfig(
            f"{config.system} cannot see modality {config.modality}; give {others}--modality {made.modalities[0]}"
        )
    if config.protocol in made.refused:
        raise BadConfig(f"{config.system} is not tested by protocol {config.protocol}: {made.refused[config.protocol]}")
    if store is not None and hasattr(made, "require_store"):
        made.require_store(store)


def system(name: str) -> type[Contract]:
    """The class of a system. Raises BadConfig for a name that is none."""
    require_system(name)
    return importlib.import_module(f".{name.replace('-', '_')}", __name__).System

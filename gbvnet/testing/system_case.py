"""A system on one task and one modality, with synthetic windows to train and test on."""

import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..config import CrossvalConfig
from ..evaluation.plan import make_plan
from ..store.window_source import WindowSource
from ..systems import BaseSystem
from .synthetic_store import SyntheticStore, SyntheticWindows
from .watched_sources import ObservedSource

SHORT = 2  # epochs of trainings that need not learn anything


class SystemCase:
    """One case of the checks. Every call gives the system copies, so that what it changes does not matter elsewhere.

    train, validation, test : row numbers (n,) of the sides of a split by trial. y : label of each row of the store
    fitted : the system after `check_fit`. predicted : its predictions of `test` after `check_predictions`
    """

    def __init__(
        self,
        system_class: type[BaseSystem],
        config: CrossvalConfig,
        content: SyntheticWindows,
        is_first: bool = True,
        is_first_modality: bool = True,
    ):
        self.system_class, self.config, self.content = system_class, config, content
        self.is_first, self.is_first_modality = is_first, is_first_modality
        self.text = f"task {config.task}, modality {config.modality}"
        self.store = SyntheticStore(content)
        plan = make_plan(self.store, replace(config, modality=self._any_modality(), rows="any"))
        (self.target,) = plan.targets.values()
        fold = plan.folds[0]
        self.train, self.validation, self.test = fold.train, fold.validation, fold.test
        self.y: np.ndarray = np.asarray(plan.labels[self.target.name].reindex(range(len(self.store))))
        self.fitted: Any = None
        self.predicted = np.zeros(0)
        self.has_predictions, self.is_repeatable = False, True
        self.states: dict[str, dict[str, Any]] = {}  # global random states after a call, by its name

    @property
    def short(self) -> CrossvalConfig:
        """Its settings with few epochs."""
        train = self.config.train
        return replace(self.config, train=replace(train, epochs=min(SHORT, train.epochs)))

    def make(self, config: CrossvalConfig | None = None, work: Path | None = None) -> BaseSystem:
        """Return an untrained system."""
        made = self.system_class(config or self.short, work)
        made.target = self.target
        return made

    def train_system(self, made: BaseSystem, store: WindowSource | None = None) -> BaseSystem:
        """Train a system on the training and validation rows of a store like its own."""
        y, rows = self.y[self.train], self.train.copy()
        validation = self.validation.copy(), self.y[self.validation]
        fitted = made.fit(store or ObservedSource(self.store), rows, y, validation=validation, seed=3)
        return fitted if isinstance(fitted, BaseSystem) else made

    def predict(self, fitted: BaseSystem, rows: np.ndarray | None = None, store: WindowSource | None = None) -> Any:
        """Return the predictions of rows of a store like its own; of the test rows if none are given."""
        rows = (self.test if rows is None else rows).copy()
        return fitted.predict_proba(store or ObservedSource(self.store), rows)

    def loaded(self, folder: Path) -> BaseSystem:
        """Return the system that is read from a model folder."""
        loaded = self.system_class.load(folder, self.short)
        loaded.target = self.target
        return loaded

    def _any_modality(self) -> Any:
        """A modality that these windows have: only the split is made by it."""
        return "bio" if self.content.channels else "face"


@contextmanager
def random_states(seed: int) -> Iterator[None]:
    """Set the global random states by a seed, and afterwards to what they were."""
    torch = sys.modules.get("torch")
    before = random.getstate(), np.random.get_state(), None if torch is None else torch.get_rng_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if torch is not None:
        torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(before[2])


def current_states() -> dict[str, Any]:
    """Return the global random states, by the name of their library."""
    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    states = {"random": random.getstate(), "numpy.random": (numpy_state[1].tobytes(), *numpy_state[2:])}
    torch = sys.modules.get("torch")
    return states if torch is None else states | {"torch": torch.get_rng_state().numpy().tobytes()}


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make an empty folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="gbvnet-check-") as folder:
        yield Path(folder)

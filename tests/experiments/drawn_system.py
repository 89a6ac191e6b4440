"""A system that trains in a millisecond and has an option to search: it compares two log powers drawn by the option.

On noise each value of the option is another coin; a search that looks at the test side finds a lucky one.
"""

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np

from gbvnet.errors import GbvnetError
from gbvnet.systems import ALL_TASKS
from gbvnet.systems.learners.classical import ClassicalSystem, shares

NAME = "drawn-system"


class System(ClassicalSystem, new_hooks=True):
    """Nearest class mean on a projection of log powers that the option `draw` decides; 0 takes every channel."""

    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS
    failing: ClassVar[tuple[int, ...]] = ()  # values of `draw` whose training fails
    spy: ClassVar = None  # called with store and rows before they are read

    @dataclass(frozen=True)
    class Options(ClassicalSystem.Options):
        """The options."""

        draw: int = 0
        """which projection"""
        scale: float = 1.0
        """a number without effect"""

    options: Options

    def vectors(self, store, rows):
        if System.spy:
            System.spy(store, rows)
        x = np.log(store.read(rows, faces=False)[2].std(axis=2) + 1e-9)  # (n, C)
        weights = np.random.default_rng(self.options.draw).normal(size=(x.shape[1], 1))
        return x if self.options.draw == 0 else x @ weights

    def learn(self, x, y, seed):
        if self.options.draw in System.failing:
            raise GbvnetError(f"draw {self.options.draw} is out of luck")
        if self.task == "regression":
            weights, *_ = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)
            return {"weights": weights}
        k = int(y.max()) + 1
        means = np.stack([x[y == c].mean(axis=0) if (y == c).any() else x.mean(axis=0) for c in range(k)])
        return {"means": means, "shares": shares(y.astype(int), "multiclass", k)}

    def output(self, parameters, x):
        if self.task == "regression":
            return np.c_[x, np.ones(len(x))] @ parameters["weights"]
        distance = -((x[:, None] - parameters["means"]) ** 2).sum(axis=2)
        p = np.exp(distance - distance.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        return p if self.task == "multiclass" else p[:, 1] if p.shape[1] == 2 else np.zeros(len(x))


def install(monkeypatch) -> type[System]:
    """Make the system known to this process."""
    module = ModuleType(f"gbvnet.systems.{NAME.replace('-', '_')}")
    module.System = System
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("gbvnet.systems.SYSTEMS", (*__import__("gbvnet.systems").systems.SYSTEMS, NAME))
    for name, value in (("failing", ()), ("spy", None)):
        monkeypatch.setattr(System, name, value)
    return System

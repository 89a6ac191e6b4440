"""A function as a system: arrays in, predictions out.

    def my_model(train, y, test, seed):          # Inputs, labels (n,), Inputs, a whole number
        return p                                 # one prediction for each window of `test`

It learns and predicts in one call, so that nothing is left of it but its predictions: such a system has no model, and
cannot be explained. Further parameters with plain defaults are options. `my_model.modalities = ("bio", "eeg")` and
`my_model.tasks = ("binary",)` say what it is made for; without them it is taken to be made for all.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from typing_extensions import override

from ...config import CrossvalConfig
from ...errors import BadConfig, BadModel
from ...io.atomic import atomic_write
from ...store.window_source import WindowSource
from .. import ALL_TASKS, BaseSystem
from ..learners.classical import require_modalities
from .constructor_options import options_of, parameters_of, values_of
from .inputs import Inputs, read_inputs
from .outside import checked

NO_MODEL = "no_model.txt"
ARGUMENTS = ("train", "y", "test")
OPTIONAL = ("seed", "task", "validation")
DECLARED = ("modalities", "tasks")


class FunctionSystem(BaseSystem):
    """A system of a function of training windows, labels and test windows."""

    modalities: ClassVar[tuple[str, ...]] = ("bio", "eeg", "peri", "face", "facebio", "faceeeg", "faceperi")
    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS
    has_model: ClassVar[bool] = False
    _function: ClassVar[Callable[..., Any]]

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        super().__init__(config, work, label)
        self._training: dict[str, Any] | None = None

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
        y = np.asarray(y)
        if y.ndim > 1:
            raise BadConfig(f"{self.name} learns one target at a time: leave joint out")
        takes = {parameter.name for parameter in parameters_of(type(self)._function)}
        if validation is not None and "validation" not in takes:  # such a function has no early stopping
            rows, y = np.concatenate([rows, validation[0]]), np.concatenate([y, validation[1]])
            validation = None
        optional = {
            "seed": seed,
            "task": self.task,
            "validation": validation and (self._inputs(store, validation[0]), validation[1]),
        }
        wanted = {name: value for name, value in optional.items() if name in takes}
        self._training = {"train": self._inputs(store, rows), "y": y, **wanted}
        return self

    def _inputs(self, store: WindowSource, rows: np.ndarray) -> Inputs:
        require_modalities(store, np.asarray(rows), self.config)
        return read_inputs(store, np.asarray(rows), self.config.modality)

    @override
    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        if self._training is None:
            raise BadConfig(f"this {self.name} is not trained yet: call fit first")
        test = self._inputs(store, rows)
        predicted = type(self)._function(**self._training, test=test, **values_of(self.options))
        return checked(predicted, len(test), self)

    @override
    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        reason = f"{self.name} is a function, of which nothing is left but its predictions\n"
        atomic_write(folder / NO_MODEL, reason.encode())

    @classmethod
    @override
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        raise BadModel(folder, "a model", "predictions of a function alone", "A subclass of OutsideSystem has a model.")

    @property
    @override
    def about(self) -> dict[str, Any]:
        return {}


def system_of_function(function: Callable[..., Any], name: str) -> type[BaseSystem]:
    """Return a system for a function. Raises BadConfig for one with other parameters."""
    names = [parameter.name for parameter in parameters_of(function)]
    missing = [argument for argument in ARGUMENTS if argument not in names]
    if missing:
        wanted = f"a function with parameters {', '.join(ARGUMENTS)}, and seed, task or validation if it needs them"
        raise BadConfig(f"{name}: expected {wanted}; found one without {', '.join(missing)}")
    options = options_of(function, name, given=(*ARGUMENTS, *OPTIONAL))
    body = {"_function": staticmethod(function), "Options": options, "__doc__": function.__doc__}
    body |= {field: tuple(getattr(function, field)) for field in DECLARED if hasattr(function, field)}
    return type(function.__name__, (FunctionSystem,), body)

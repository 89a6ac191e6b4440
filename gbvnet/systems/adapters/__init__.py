"""Systems made from what others have written: estimators, networks, functions, other programs.

Whoever writes a plug-in subclasses one of these, or names a class or a function as it is:

    EstimatorSystem    an estimator of scikit-learn, over our features or a function of windows
    ModuleSystem       a torch.nn.Module over signals, faces or both, trained by our loop
    OutsideSystem      anything that learns in a folder and predicts from it: Keras, R, a shell command
"""

import inspect
from functools import cache
from typing import Any

from ...errors import BadConfig
from .. import BaseSystem
from .estimator import EstimatorSystem, system_of_estimator
from .function import system_of_function
from .inputs import Inputs
from .outside import CommandSystem, OutsideSystem

__all__ = ["CommandSystem", "EstimatorSystem", "Inputs", "ModuleSystem", "OutsideSystem", "as_system"]


def __getattr__(name: str) -> Any:
    if name == "ModuleSystem":  # loads torch, which the others do not need
        from .module import ModuleSystem

        return ModuleSystem
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def as_system(plugin: Any, name: str) -> type[BaseSystem]:
    """Return the class of a system for what a user has named: a system, an estimator, a network or a function.

    name : what messages call it. Raises BadConfig for anything else, and for a system that lacks methods.
    """
    if inspect.isclass(plugin):
        if issubclass(plugin, BaseSystem):
            return _complete(plugin, name)
        if _is_network(plugin):
            from .module import system_of_module

            return system_of_module(plugin, name)  # type: ignore[arg-type]
        if callable(getattr(plugin, "fit", None)) and callable(getattr(plugin, "predict", None)):
            return system_of_estimator(plugin, name)
    elif callable(plugin):
        return system_of_function(plugin, name)
    raise BadConfig(
        f"{name}: expected a subclass of gbvnet.systems.BaseSystem, a class with fit and predict (scikit-learn), a "
        f"torch.nn.Module, or a function; found {_kind(plugin)}"
    )


def _complete(plugin: type[BaseSystem], name: str) -> type[BaseSystem]:
    missing = sorted(getattr(plugin, "__abstractmethods__", ()))
    if missing:
        raise BadConfig(f"{name}: a system needs {', '.join(missing)}, which this class does not define")
    return plugin


def _is_network(plugin: Any) -> bool:
    """Whether a class is a torch.nn.Module; torch is not loaded for one that is none."""
    return any(base.__module__ == "torch.nn.modules.module" for base in plugin.__mro__)


def _kind(plugin: Any) -> str:
    if inspect.isclass(plugin):
        return f"class {plugin.__name__} without them"
    return f"a {type(plugin).__name__}"

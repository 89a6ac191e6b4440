"""Options of a system made from a class of others: the parameters of its constructor that are plain values."""

import inspect
from collections.abc import Callable, Collection
from dataclasses import field, fields, make_dataclass
from typing import Any

from ...errors import BadConfig

PLAIN = (bool, int, float, str, type(None))


def options_of(function: Callable[..., Any], name: str, given: Collection[str] = ()) -> type:
    """Return a frozen dataclass with a field for each parameter, of a constructor or a function, with a plain default.

    name : what messages call it. given : parameters that we give, which are no options
    Raises BadConfig for a parameter without a default that is not among `given`.
    """
    chosen: list[tuple[str, Any, Any]] = []
    for parameter in parameters_of(function):
        if parameter.name in given:
            continue
        if parameter.default is inspect.Parameter.empty:
            raise BadConfig(
                f"{name}: its parameter {parameter.name} has no default, and gbvnet does not know its value; write a "
                "subclass of gbvnet.systems.adapters' classes that makes it"
            )
        if isinstance(parameter.default, PLAIN):
            chosen.append((parameter.name, _type_of(parameter.default), field(default=parameter.default)))
    return make_dataclass("Options", chosen, frozen=True, namespace={"__module__": __name__})


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a constructor or a function that can be given by name, without self."""
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p for p in inspect.signature(function).parameters.values() if p.kind in by_name and p.name != "self"]


def values_of(options: Any) -> dict[str, Any]:
    """Return the values of an object of such a dataclass, by name."""
    return {each.name: getattr(options, each.name) for each in fields(options)}


def _type_of(default: Any) -> Any:
    """The type of an option with this default; a whole number may become a fraction, and None anything plain."""
    if isinstance(default, bool):
        return bool
    if default is None or isinstance(default, str):
        return str | int | float | bool | None
    return int | float | str | None

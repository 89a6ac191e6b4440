"""The table of commands: each with its help, its example and the function that adds its arguments to a parser."""

import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

Run = Callable[[Any], int]


class Command(NamedTuple):
    """One command of the command line."""

    help: str
    build: Callable[..., Run]  # adds arguments to a parser; returns the function that runs with the parsed ones
    example: str
    by_arguments: bool = False  # `build` also takes the arguments given, which decide which options exist


COMMANDS: dict[str, Command] = {}


def command(name: str, help: str, example: str, by_arguments: bool = False):
    """Register the decorated `build` function as a command."""

    def add(build):
        COMMANDS[name] = Command(help, build, textwrap.dedent(example).strip(), by_arguments)
        return build

    return add

"""The commands of the command line, each with its help, its example and what builds its parser."""

import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

Run = Callable[[Any], int]


class Command(NamedTuple):
    help: str
    build: Callable[..., Run]  # adds arguments to a parser, returns what runs with the parsed ones
    example: str
    by_arguments: bool = False  # `build` also takes the arguments given, which decide the options that there are


COMMANDS: dict[str, Command] = {}


def command(name: str, help: str, example: str, by_arguments: bool = False):
    def add(build):
        COMMANDS[name] = Command(help, build, textwrap.dedent(example).strip(), by_arguments)
        return build

    return add

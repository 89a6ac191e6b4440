"""The commands of the command line, each with its help, its example and what builds its parser."""

import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

Run = Callable[[Any], int]


class Command(NamedTuple):
    help: str
    build: Callable[[Any], Run]  # adds arguments to a parser, returns what runs with the parsed ones
    example: str


COMMANDS: dict[str, Command] = {}


def command(name: str, help: str, example: str):
    def add(build):
        COMMANDS[name] = Command(help, build, textwrap.dedent(example).strip())
        return build

    return add

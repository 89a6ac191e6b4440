"""The README's table of extras is that of pyproject.toml, and its commands and options exist."""

import re
from pathlib import Path

import pytest

import gbvnet
from gbvnet.cli.command import COMMANDS
from gbvnet.cli.main import command_parser

from .oldest import TOOLS, read_project

README = Path(gbvnet.__file__).parents[1] / "README.md"
pytestmark = pytest.mark.skipif(not README.exists(), reason="the installed package has no README beside it")


def rows() -> list[list[str]]:
    """The cells of the table of extras."""
    text = README.read_text().split("| extra | unlocks | needs |\n|---|---|---|\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_every_extra_for_users_has_its_line_once():
    listed = [name for row in rows() for name in re.findall(r"`([\w-]+)`", row[0])]
    assert sorted(listed) == sorted(set(read_project()["optional-dependencies"]) - set(TOOLS))


def test_what_an_extra_needs_is_what_it_installs():
    extras = read_project()["optional-dependencies"]
    for names, _, needs in rows():
        installed = [re.match(r"[\w-]+", line)[0] for name in re.findall(r"`([\w-]+)`", names) for line in extras[name]]
        if needs != "the package of that name":
            assert set(needs.split(", ")) <= set(installed), names
        else:
            assert installed == re.findall(r"`([\w-]+)`", names)


@pytest.mark.journey
def test_what_an_extra_unlocks_is_a_command_or_an_option_of_one():
    for _, unlocks, _ in rows():
        commands = re.findall(r"`gbvnet ([a-z]+)", unlocks)
        assert set(commands) <= set(COMMANDS)
        for option in re.findall(r"(--[\w.]+)", unlocks):
            assert any(option in command_parser(name)[0]._option_string_actions for name in commands), option

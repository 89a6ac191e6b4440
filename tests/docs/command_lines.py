"""The command lines in a block of a shell: each is checked by what knows its program."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

from gbvnet import config
from gbvnet.cli.command import COMMANDS
from gbvnet.cli.main import command_parser, with_underscores
from gbvnet.cli.options import chosen_settings, quote_names, require_groups

from .code_blocks import ROOT

# Programs of others; what they are called with is not checked.
OTHERS = {
    "git", "cd", "source", "hf", "datalad", "apt-get", "sudo", "bash", "ray", "export", "tensorboard", "wandb",
    "mlflow", "openneuro-py", "pre-commit",
}  # fmt: skip
# The settings that a command makes of its options.
SETTINGS = {
    "crossval": config.CrossvalConfig, "compare": config.CompareConfig, "audit": config.AuditConfig,
    "tune": config.TuneConfig, "train": config.FinalConfig, "transfer": config.CrossvalConfig,
    "prepare": config.PrepareConfig, "explain": config.ExplainConfig,
}  # fmt: skip
_ENDS = {"&&", ";", "|", "||", "&"}


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of a shell script: comments left out, lines that go on with \\ joined."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split, lexer.commenters = True, "#"
        for word in [*lexer, ";"]:
            if word not in _ENDS:
                words.append(word)
            elif words:
                yield words
                words = []


def check(words: list[str]) -> None:
    """Raise an error for a command that does not exist, or that does not take these words."""
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):  # OMP_NUM_THREADS=1 gbvnet ...
        words = words[1:]
    program, *arguments = words
    program = program.removeprefix(".venv/bin/")
    if program == "gbvnet":
        check_gbvnet(arguments)
    elif program == "make":
        for target in (word for word in arguments if "=" not in word and not word.startswith("-")):
            assert target in make_targets(), f"the Makefile has no target {target}"
    elif program in ("pip", "pip3"):
        for extra in (e for word in arguments for e in re.findall(r"^(?:\.|gbvnet)\[(.+)\]", word)):
            missing = set(extra.split(",")) - set(extras()) - {"NAME"}
            assert not missing, f"pyproject.toml has no extra {missing}"
    elif program in ("python", "python3"):
        check_python(arguments)
    else:
        assert program in OTHERS or Path(ROOT, program).exists(), f"no program {program}: is this a block of a shell?"


def check_python(arguments: list[str]) -> None:
    """Raise an error if the module or the file that Python is to run does not exist."""
    if arguments[0] == "-m" and arguments[1].partition(".")[0] in ("gbvnet", "benchmarks", "tests", "recipes"):
        place = ROOT.joinpath(*arguments[1].split("."))
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), f"no module {arguments[1]}"
    elif arguments[0].endswith(".py"):
        assert (ROOT / arguments[0]).exists(), f"no file {arguments[0]}"


def check_gbvnet(arguments: list[str]) -> None:
    """Raise an error if the command's own parser refuses the arguments, or its settings do not suit each other."""
    if not arguments or arguments[0] in ("--help", "--version", "COMMAND"):
        return
    name, *argv = arguments
    assert name in COMMANDS, f"no command {name}"
    if "--help" in argv or "--print_config" in argv:
        argv = [word for word in argv if word not in ("--help", "--print_config")]
        _parser(name, with_underscores(argv))  # whatever it needs, as the system's name, exists
        return
    argv = with_underscores([re.sub(r"^\.\.\.$", "x", word) for word in argv])
    parser = _parser(name, argv)
    parsed = parser.parse_args(quote_names(argv, parser))
    require_groups(parser, parsed)
    args = parser.instantiate(parsed)
    if name in SETTINGS:
        chosen_settings(args, SETTINGS[name])


def _parser(name: str, argv: list[str]):
    plain = not COMMANDS[name].by_arguments and not any(word.startswith(("--sys", "--opt", "--conf")) for word in argv)
    return _plain_parser(name) if plain else command_parser(name, argv)[0]


@cache
def _plain_parser(name: str):
    return command_parser(name)[0]


@cache
def make_targets() -> list[str]:
    return re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)


@cache
def extras() -> list[str]:
    return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def field_names(settings: type) -> set[str]:
    """Return the names of the fields of a settings class, which a YAML file may have."""
    return {f.name for f in fields(settings)}

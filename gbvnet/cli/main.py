"""The command line: parse the arguments, run the command, turn errors into exit codes.

Only the parser of the command that was given is built, and nothing heavy is imported before it runs: --help is instant.
"""

import gc
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..errors import GbvnetError, PartFailed, os_error_message
from ..text import did_you_mean
from . import data, experiments, models, registry, reproduce  # noqa: F401  each makes its commands known
from .command import COMMANDS
from .help import help_format, overview, terms, usage_line
from .options import chosen_jobs, keep_names_as_text, quote_names, require_groups
from .paths import require_kinds, require_paths
from .progress import say
from .system_options import add_system_options, option_name


def command_parser(name: str, argv: Sequence[str] = ()):
    """Return the parser of a command, and the function that runs it with parsed arguments.

    argv : the arguments given, which decide which options some commands have (`--system NAME`)
    """
    from jsonargparse import ArgumentParser

    chosen = COMMANDS[name]
    parser = ArgumentParser(
        prog=f"gbvnet {name}",
        formatter_class=help_format(),
        exit_on_error=False,
    )
    run = chosen.build(parser, argv) if chosen.by_arguments else chosen.build(parser)
    add_system_options(parser, argv)
    parser.add_argument("--verbose", action="store_true", help="more lines, and a traceback if something fails")
    keep_names_as_text(parser)
    example = "\n\nexample:\n  " + chosen.example.replace("\n", "\n  ")
    parser.description = chosen.help[0].upper() + chosen.help[1:] + "." + example + terms(name, parser)
    parser.usage = usage_line(name, parser)
    return parser, run


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code.

    0: done. 1: done, but some input was bad or some trainings failed. 2: could not start, or nothing succeeded. 130:
    stopped by Ctrl-C. 141: the reader of the output (`| head`) has closed it.
    """
    try:
        try:
            return _main(sys.argv[1:] if argv is None else argv)
        finally:
            sys.stdout.flush()  # here, where an output that was closed can be handled
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 141


def _main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        say(overview())
        return 0 if argv else 2
    if argv[0] == "--version":
        from .version import version_text

        say(version_text())
        return 0
    if argv[0] not in COMMANDS:
        return _fail("", f"no command {argv[0]}; {did_you_mean(argv[0], COMMANDS)}")
    return _run(argv[0], with_underscores(argv[1:]))


def with_underscores(argv: list[str]) -> list[str]:
    """Return the arguments with options as the parser knows them: --face-side is --face_side."""
    arguments: list[str] = []
    for argument in argv:
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            argument = "--" + option_name(name[2:]) + equals + value
        arguments.append(argument)
    return arguments


_TYPES = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "Path": "a path",
    "tuple": "names with commas between",
}  # fmt: skip


def _in_plain_words(message: str) -> str:
    """Return a message of the parser about one option as "expected ..., found ...", and other messages as they are."""
    text = re.sub(r"Given value type: <class '\w+'>", "", message)
    parts = re.fullmatch(r'Parser key "([\w.]+)": (.*)(?:Got|Given) value: (.*)', text)
    if parts is None:
        return message
    option, wanted, given = parts.groups()
    names = [name for pair in re.findall(r"<class '(?:\w+\.)*(\w+)'>|(tuple)\[", wanted) for name in pair]
    kinds = [_TYPES[name] for name in dict.fromkeys(names) if name in _TYPES]
    kinds += [
        ("one of " if "," in choices else "") + choices.replace("'", "")
        for choices in dict.fromkeys(re.findall(r"Literal\[(.*?)\]", wanted))
    ]
    return f"--{option}: expected {' or '.join(kinds)}, found {given}" if kinds else message


def _run(name: str, argv: list[str]) -> int:
    from argparse import ArgumentError

    from .log import log_lines

    verbose = "--verbose" in argv
    try:
        with _no_garbage_collection():
            parser, run = command_parser(name, argv)
            parsed = parser.parse_args(quote_names(argv, parser))
            require_groups(parser, parsed)
            args = parser.instantiate(parsed)
        if hasattr(args, "jobs"):
            args.jobs = chosen_jobs(args)
        require_paths(name, args)
        require_kinds(name, args)
        with log_lines(verbose):
            return run(args)
    except KeyboardInterrupt:
        _fail(name, "stopped; the same command goes on from here")
        return 130
    except (GbvnetError, ArgumentError) as e:
        if verbose:
            raise
        message = _in_plain_words(" ".join(str(e).split()))  # the parser's own messages have several lines
        hint = " (paths come before options)" if re.match(r"unrecognized arguments: (?!-)", message) else ""
        return _fail(name, message + hint, code=1 if isinstance(e, PartFailed) else 2)
    except (OSError, MemoryError, RuntimeError) as e:
        cause = os_error_message(e)
        if verbose or cause is None:
            raise
        return _fail(name, cause)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """While a parser is built: it makes many objects that all stay, and looking for others took a sixth of --help."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _fail(name: str, message: str, code: int = 2) -> int:
    print(f"gbvnet{' ' + name if name else ''}: {message}", file=sys.stderr)
    return code

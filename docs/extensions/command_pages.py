"""A page for each command of the command line, made from its own parser. Written into docs/reference/commands."""

import re
from argparse import SUPPRESS
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from docstrings import heading, inline_rst

from gbvnet.cli.command import COMMANDS
from gbvnet.cli.help import has_shown_default, help_text, used_terms
from gbvnet.cli.main import command_parser

FOLDER = Path(__file__).parents[1] / "reference" / "commands"

# The commands in the order of work; a command that is in no list comes last.
_SECTIONS = {
    "Data": ["synth", "check", "prepare", "modality", "table", "corpora", "weights"],
    "Experiments": ["crossval", "tune", "compare", "audit", "transfer", "explain", "report", "reproduce", "systems"],
    "Models": ["train", "predict", "live", "app", "model"],
    "Everything on synthetic data": ["demo"],
}
_LISTED = [name for names in _SECTIONS.values() for name in names]
_OTHERS = [name for name in COMMANDS if name not in _LISTED]
SECTIONS = _SECTIONS | ({"Others": _OTHERS} if _OTHERS else {})
EXIT_CODES = {
    0: "done",
    1: "done, but some input was bad (``BAD`` lines say which); everything else is done",
    2: "could not start: an unknown option, a missing file, settings that do not suit each other",
    130: "stopped by Ctrl-C",
    141: "the reader of the output (``| head``) has closed it",
}
_TYPES = {int: "whole number", float: "number", str: "text", Path: "path", bool: "true or false"}


def pages() -> dict[str, str]:
    """Return a page for each command, and one with the options of all systems: name -> reStructuredText."""
    commands = {name: page_of_command(name) for names in SECTIONS.values() for name in names}
    return {"index": index(), **commands, "system_options": page_of_systems()}


def page_of_command(name: str) -> str:
    """Return the page of a command: what it does, its usage, its example, its terms, arguments and options."""
    command, (parser, _) = COMMANDS[name], command_parser(name)
    parts = [
        heading(f"gbvnet {name}", "="),
        inline_rst(command.help[0].upper() + command.help[1:] + ".") + "\n",
        f".. code-block:: text\n\n    {parser.usage}\n",
        *map(_example, command.example.split("\n\n")),
        f".. program:: gbvnet {name}\n",
    ]
    if terms := used_terms(name, parser):
        parts += [".. rubric:: Terms\n", *(f"{term}\n    {inline_rst(text)}\n" for term, text in terms.items())]
    places = [action for action in parser._actions if not action.option_strings]
    if places:
        parts += [heading("Arguments", "-"), *map(_option, places)]
    parts += _option_groups(parser)
    if name == "synth":
        parts += _formats(_dests(parser))
    if "--system" in parser._option_string_actions or "--systems" in parser._option_string_actions:
        parts.append("Each system has options of its own: :doc:`system_options`.\n")
    return "\n".join(parts)


def _example(block: str) -> str:
    """Return a block of a command's example: commands, columns of text, or a paragraph."""
    is_code = block.startswith("gbvnet ")
    if is_code or "  " in block:
        lines = [f"    {line}" for line in (_comments_above(block) if is_code else block).splitlines()]
        return "\n".join([f".. code-block:: {'bash' if is_code else 'text'}", "", *lines, ""])
    return inline_rst(block) + "\n"


def _comments_above(block: str) -> str:
    """Return commands with the comments behind them in lines of their own, so that a page shows them whole."""
    return re.sub(r"^(\S.*?) +# (.*)$", r"# \2\n\1", block, flags=re.MULTILINE)


def _option_groups(parser) -> list[str]:
    parts: list[str] = []
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.option_strings and action.help is not SUPPRESS]
        if actions:
            title = "Options" if group.title == "options" else _group_title(parser, group, actions)
            parts += [heading(title, "-"), *map(_option, actions)]
    return parts


def _group_title(parser, group, actions: Sequence[Any]) -> str:
    prefix = actions[0].option_strings[0]
    title = str(group.title).partition(". ")[0].rstrip(".")
    return f"{prefix}: {title[0].lower()}{title[1:]}"


def _option(action) -> str:
    """Return an argument or an option with its text, type and default."""
    if action.option_strings:
        value = "" if action.nargs == 0 or action.dest == "print_config" else f" {_value_name(action)}"
        signature = ", ".join(f"{option}{value}" for option in action.option_strings)
    else:
        signature = action.metavar or action.dest.upper()
    text = help_text(action).replace(" (default: %(default)s)", "").replace("%%", "%")
    kind = _kind(action)
    shown = _shown(action.default) if has_shown_default(action) else ""
    default = f"default ``{shown}``" if shown else ""
    small = ", ".join(part for part in (kind, default) if part)
    lines = [f".. option:: {signature}", "", f"    {inline_rst(' '.join(text.split()))}", ""]
    if small:
        lines += ["    .. rst-class:: option-type", "", f"    {small}", ""]
    return "\n".join(lines)


def _value_name(action) -> str:
    if isinstance(action.metavar, str) and not action.metavar.startswith("{"):
        return action.metavar
    return action.dest.rpartition(".")[2].upper()


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(map(str, default)) if isinstance(default, tuple | list) else str(default)


def _kind(action) -> str:
    """Return which values an option or argument takes, in words."""
    if action.nargs == 0 or action.dest in ("help", "print_config"):
        return ""
    hint = getattr(action, "_typehint", None) or action.type
    choices = [str(choice) for choice in action.choices or ()]
    if choices and hint is not bool:
        return _one_of(choices)
    if hint is None:
        return "a YAML file" if "Config" in type(action).__name__ else "text"
    return ", or ".join(dict.fromkeys(_kinds(hint)))


def _one_of(choices: Sequence[str]) -> str:
    return "one of " + ", ".join(f"``{choice}``" for choice in choices if choice)


def _kinds(hint: Any) -> Iterator[str]:
    arguments = get_args(hint)
    if hint is NoneType:
        return
    if get_origin(hint) is tuple:
        yield "names with commas between"
    elif arguments and all(isinstance(argument, str) for argument in arguments):
        yield _one_of(arguments) if len(arguments) > 1 else f"``{arguments[0]}``"
    elif arguments:
        for argument in arguments:
            yield from _kinds(argument)
    else:
        yield _TYPES.get(hint, getattr(hint, "__name__", str(hint)))


def _dests(parser) -> set[str]:
    return {action.dest for action in parser._actions}


def _formats(common: set[str]) -> list[str]:
    """Return the options that single formats of synthetic corpora have beside the common ones."""
    from gbvnet.datasets import synthetic_corpora

    parts: list[str] = []
    for corpus in synthetic_corpora():
        parser, _ = command_parser("synth", [corpus])
        own = [action for action in parser._actions if action.dest not in common]
        if own:
            parts += [heading(f"Options of {corpus}", "-"), f".. program:: gbvnet synth {corpus}\n", *map(_option, own)]
    return parts


def page_of_systems() -> str:
    """Return the page with the options of every system of this package."""
    from gbvnet.systems import SYSTEMS, option_names, system

    parts = [
        heading("Options of systems", "="),
        "As ``--options.NAME`` of a command with ``--system``, as ``--options.SYSTEM.NAME`` of ``gbvnet compare``, and "
        "in a YAML file below ``options``. Systems that are not listed have none. :doc:`/comparison_methods` says what "
        "each system is.\n",
    ]
    for name in SYSTEMS:
        if option_names(system(name)):
            parser, _ = command_parser("crossval", ["--system", name])
            own = [action for action in parser._actions if action.dest.startswith("options.")]
            parts += [heading(name, "-"), f".. program:: {name}\n", *map(_option, own)]
    return "\n".join(parts)


def index() -> str:
    """Return the page with all commands by section, and what holds for all of them."""
    parts = [
        heading("Commands", "="),
        "Each page is made from the command's own parser, as ``gbvnet COMMAND --help`` is. In an option's name ``-`` "
        "and ``_`` are the same. An interrupted command goes on where it stopped when it is given again.\n",
    ]
    for title, names in SECTIONS.items():
        parts += [heading(title, "-"), ".. list-table::", "    :widths: 20 80", "    :class: commands", ""]
        for name in names:
            parts += [f"    * - :doc:`gbvnet {name} <{name}>`", f"      - {inline_rst(COMMANDS[name].help)}"]
        parts.append("")
    parts += [heading("Exit codes", "-"), ".. list-table::", "    :widths: 10 90", ""]
    for code, meaning in EXIT_CODES.items():
        parts += [f"    * - {code}", f"      - {meaning}"]
    entries = [f"    gbvnet {name} <{name}>" for names in SECTIONS.values() for name in names]
    return "\n".join([*parts, "", ".. toctree::", "    :hidden:", "", *entries, "    system_options", ""])


def setup(app):
    """Write the pages before Sphinx looks for its sources."""
    from written_pages import write_pages

    app.connect("builder-inited", lambda app: write_pages(FOLDER, pages()))
    return {"parallel_read_safe": True}

"""Options of systems on the command line. They are declared in each system's own file, so a parser gets those of the
systems that a command line names, and no other system is imported."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ..errors import BadConfig
from ..plugins import is_reference, short_name
from .fields import add_fields

GROUP = "options"


def add_system_options(parser, argv: Sequence[str]) -> None:
    """Add the options of the systems that are chosen: --options.NAME to a command with --system, to one with --systems
    --options.SYSTEM.NAME. Raises BadConfig for an option that a system does not have.
    """
    known = parser._option_string_actions
    if not {"--system", "--systems"} & set(known):
        return
    values = _settings(argv, known)
    several = "--systems" in known
    given = _given(argv, values)
    if several and (alone := [name for name, own in given.items() if not isinstance(own, dict)]):
        raise BadConfig(f"options of a comparison are --{GROUP}.SYSTEM.NAME, found --{GROUP}.{alone[0]}")
    names = [*(_compared(values, given) if several else _chosen(values, given))]
    if not names:
        return
    from ..systems import option_names, require_options, system  # help without a system needs none of their libraries

    added: set[str] = set()
    for name in names:
        chosen, key = system(name), short_name(name)
        require_options(chosen, given.get(key, {}) if several else given, key)
        if option_names(chosen) and (not several or key not in added):  # `compare` refuses two classes of one name
            added.add(key)
            add_fields(parser, chosen.Options, f"{GROUP}.{key}" if several else GROUP, as_group=True)


def option_name(name: str) -> str:
    """Return an option's name as the parser has it: with _ for -, except in the name of a system."""
    parts = name.split(".")
    if len(parts) == 3 and parts[0] == GROUP:
        return ".".join([GROUP, _system_key(parts[1]), parts[2].replace("-", "_")])
    return name.replace("-", "_")


def by_system(options: Any) -> Any:
    """Return the parser's options of several systems by the systems' names; those of one system stay as they are."""
    from jsonargparse import Namespace

    if not isinstance(options, Namespace):
        return options
    return {_system_key(name): value for name, value in vars(options).items()}


def _system_key(name: str) -> str:
    """The name of a system from what the parser has: with - for _, unless it is the class of a plug-in."""
    from ..systems import SYSTEMS

    with_hyphens = name.replace("_", "-")
    return with_hyphens if with_hyphens in SYSTEMS else name


def _chosen(values: dict[str, Any], given: dict[str, Any]) -> Iterator[str]:
    """Yield the system that a command line names; the default one only with options, as its import takes seconds."""
    from ..config import CrossvalConfig

    if "system" in values or given:
        yield str(values.get("system", CrossvalConfig.system))


def _compared(values: dict[str, Any], given: dict[str, Any]) -> Iterator[str]:
    """Yield the systems that a comparison names, in its list or by their options."""
    from ..io.safe_load import parse_names

    systems = values.get("systems") or ()
    names = [str(name) for name in systems] if isinstance(systems, list) else parse_names(str(systems or ""))
    if not (names or given):
        return
    from ..systems import split_suffix  # help without a system needs none of its libraries

    listed = [split_suffix(name)[0] for name in names if name != "all"]
    named = {short_name(name) for name in listed}
    yield from dict.fromkeys([*listed, *(key for key in given if key not in named)])


def whole_option(given: str, options: Collection[str]) -> str:
    """Return the option that `given` begins, as the parser takes it; `given` if there is none or several."""
    near = [given] if given in options else [option for option in options if option.startswith(given)]
    return near[0] if given.startswith("--") and len(near) == 1 else given


def _settings(argv: Sequence[str], known: Collection[str]) -> dict[str, Any]:
    """Return the last --system, --systems and options on the command line and in its --config files.

    known : the parser's options. Values that the parser will refuse are ignored.
    """
    from pathlib import Path

    from ..former_settings import present_names
    from ..io.safe_load import from_yaml

    values: dict[str, Any] = {}
    for at, argument in enumerate(argv):
        option, equals, value = argument.partition("=")
        option = whole_option(option, known)
        value = value if equals else "".join(argv[at + 1 : at + 2])
        if option in ("--system", "--systems"):
            values[option[2:]] = value
        elif option == "--config":
            try:
                held = from_yaml(Path(value).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            held = present_names(held) if isinstance(held, dict) else {}
            _refuse_code_of_file(value, held, argv)
            values |= {name: held[name] for name in ("system", "systems", GROUP) if name in held}
    return values


def _refuse_code_of_file(file: str, held: dict[str, Any], argv: Sequence[str]) -> None:
    """Raise BadConfig if a file of settings names a plug-in that the command line does not: no file runs code."""
    from ..io.safe_load import parse_names
    from ..systems import split_suffix

    named = held.get("systems") or ()
    named = [str(name) for name in named] if isinstance(named, list) else parse_names(str(named))
    on_line = [name for argument in argv for name in parse_names(argument.partition("=")[2] or argument)]
    for name in [str(held.get("system", "")), *named]:
        reference = split_suffix(name)[0]
        if is_reference(reference) and not {name, reference} & set(on_line):
            option = "--systems" if "systems" in held else "--system"
            raise BadConfig(f"{file} names {reference}, which is no code of gbvnet: name it to run it, {option} {name}")


def _given(argv: Sequence[str], values: dict[str, Any]) -> dict[str, Any]:
    """Return the options on the command line and in its files, by name; of a comparison by system and name."""
    held = values.get(GROUP)
    given: dict[str, Any] = dict(held) if isinstance(held, dict) else {}
    for argument in argv:
        first, *names = argument.partition("=")[0].split(".")
        if first != f"--{GROUP}" or not names:
            continue
        if len(names) == 2:
            own = given.get(names[0])
            given[names[0]] = {**(own if isinstance(own, dict) else {}), names[1]: None}
        else:
            given.setdefault(names[0], None)
    return given

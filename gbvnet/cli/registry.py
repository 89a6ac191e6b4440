"""Commands that list what is installed: systems, corpora."""

from collections.abc import Callable, Sequence

from ..errors import BadConfig, GbvnetError
from .command import Run, command
from .progress import columns, say


@command(
    "systems",
    "list the systems that can be compared: of this package, of other packages, of your own files",
    """
    gbvnet systems                                   # name, origin, version, tasks, modalities
    gbvnet systems forest.py:Forest                  # one of your own, with its options
    gbvnet systems sklearn.svm:SVC braindecode:EEGConformer
    """,
)
def _systems(parser) -> Run:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these, with their options; default: all")

    def run(args) -> int:
        from ..systems import system_names

        head = ("name", "origin", "version", "tasks", "modalities")
        failed = _listed(head, args.names or system_names(), _system_row)
        if args.names and not failed:
            for name in args.names:
                say(_options_text(name))
        return 1 if failed else 0

    return run


@command(
    "corpora",
    "list the corpora that can be read: of this package, of other packages, of your own files",
    """
    gbvnet corpora                                   # name, origin, version, title
    gbvnet corpora lab.py:Reader
    """,
)
def _corpora(parser) -> Run:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; default: all")

    def run(args) -> int:
        from .. import plugins
        from ..datasets import corpora

        offered = plugins.entry_points(plugins.CORPUS_GROUP)
        names = args.names or [*corpora(), *(name for name in offered if name not in corpora())]
        return 1 if _listed(("name", "origin", "version", "title"), names, _corpus_row) else 0

    return run


def _system_row(name: str) -> tuple[str, ...]:
    from .. import __version__, plugins
    from ..systems import code_of_system, system

    chosen, code = system(name), code_of_system(name)
    origin, version = ("gbvnet", __version__) if code is None else (code.origin, code.version or "-")
    return plugins.label(name), origin, version, ", ".join(chosen.tasks), ", ".join(chosen.modalities)


def _corpus_row(name: str) -> tuple[str, ...]:
    import inspect

    from .. import __version__, plugins
    from ..datasets import corpora

    known = corpora()
    if name in known:
        return name, "gbvnet", __version__, known[name].title
    if not plugins.is_reference(name) and name not in plugins.entry_points(plugins.CORPUS_GROUP):
        from ..text import did_you_mean

        raise BadConfig(f"no corpus named {name}; {did_you_mean(name, known)}")
    reader, code = plugins.load(name, plugins.CORPUS_GROUP), plugins.code_of(name, plugins.CORPUS_GROUP)
    title = (inspect.getdoc(reader) or "no description").splitlines()[0].rstrip(".")
    return code.name, code.origin, code.version or "-", title


def _listed(head: Sequence[str], names: Sequence[str], row: Callable[[str], tuple[str, ...]]) -> int:
    """Print a table with a row a name, then the names that cannot be used. Returns how many those are."""
    rows, errors = [tuple(head)], []
    for name in names:
        try:
            rows.append(row(name))
        except GbvnetError as error:
            errors.append(f"BAD  {error}")
    for line in [*(columns(rows) if len(rows) > 1 else ()), *errors]:
        say(line)
    return len(errors)


def _options_text(name: str) -> str:
    """The options of a system, a line each, with their defaults."""
    from dataclasses import fields

    from .. import plugins
    from ..systems import system

    chosen = system(name)
    texts = _texts(chosen.Options)
    lines = [f"  --options.{f.name}  {texts.get(f.name, '')} (default: {f.default})" for f in fields(chosen.Options)]
    called = plugins.label(name)
    return "\n".join([f"\noptions of {called}:", *lines]) if lines else f"\n{called} has no options"


def _texts(options: type) -> dict[str, str]:
    from .fields import texts_below_fields

    return texts_below_fields(options.__module__).get(options.__qualname__, {})

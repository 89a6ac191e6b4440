"""Options that several commands share, and how lists of names are read."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import BadConfig
from .fields import add_fields
from .system_options import by_system, whole_option

# Arguments of the `open` of some readers, with their help; a corpus without such an argument refuses it.
CORPUS_OPTIONS = {
    "clock": "of affec's streams: as_told (onsets are seconds of the run) or zeroed (a stream's first line is at the "
    "run's start); default: decided by probes, and refused where they cannot decide",
    "mapping": "of bids: what the ratings and trials of a dataset are, a YAML file or the name of one that is part of "
    "gbvnet (docs/corpora/bids.md); default: gbvnet-mapping.yaml in the dataset, else one that is part of gbvnet",
}


def names_in_text(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas between."""
    from ..io.safe_load import parse_names  # loads yaml, which `gbvnet --help` does not need

    return tuple(parse_names(text))


def add_rename(parser, by: str) -> None:
    """Add --rename; `by` says where the other names are ("in the file")."""
    parser.add_argument(
        "--rename", action="append", default=[], metavar="A=B,C=D",
        help=f"channel A of the model is called B {by}, C is called D; may be given several times",
    )  # fmt: skip


def renamed_channels(given: Sequence[str]) -> dict[str, str]:
    """Return the mapping of `--rename A=B,C=D`, given once or several times. Raises BadConfig."""
    pairs: dict[str, str] = {}
    for name in (name for text in given for name in names_in_text(text)):
        one, equals, other = (part.strip() for part in name.partition("="))
        if not (one and equals and other):
            raise BadConfig(f"--rename {name!r}: expected MODELNAME=FILENAME, several with commas between")
        if pairs.get(one, other) != other:
            raise BadConfig(f"--rename gives {one} two names: {pairs[one]} and {other}")
        pairs[one] = other
    return pairs


def titles(entries) -> str:
    """Return the names and titles of the corpora of a registry, for a help text."""
    return "; ".join(f"{name}: {entry.title}" for name, entry in entries.items())


def add_corpus(parser) -> None:
    """Add the arguments that name a corpus: its kind, its folder, --raw, and options of single corpora."""
    from ..datasets import corpora, raw_corpora

    parser.add_argument(
        "corpus",
        metavar="{" + ",".join(corpora()) + "}",
        help=f"{titles(corpora())}; or file.py:Reader, a reader of your own (docs/plugins.md)",
    )
    parser.add_argument("root", type=Path, help="the folder that holds the corpus")
    parser.add_argument(
        "--raw", action="store_true", help=f"read the signals as they were recorded; {titles(raw_corpora())}"
    )
    add_corpus_options(parser)


def add_corpus_options(parser) -> None:
    """Add the options of single corpora."""
    for name, about in CORPUS_OPTIONS.items():
        parser.add_argument(f"--{name}", default=None, help=about)


def chosen_corpus_options(args) -> dict:
    """Return the options of single corpora, None for those not given."""
    return {name: getattr(args, name) for name in CORPUS_OPTIONS}


def chosen_corpus(args):
    """Return the corpus that the options name. Raises BadConfig and BadRecording."""
    from ..datasets import open_corpus

    return open_corpus(args.corpus, args.root, args.raw, **chosen_corpus_options(args))


def add_jobs(parser, default: int = 0, cluster: bool = False) -> None:
    """Add --jobs, and with `cluster` the options of a Ray cluster."""
    parser.add_argument(
        "--jobs", type=int, default=default, help="number of processes; 0: one for each core (default: %(default)s)"
    )
    if cluster:
        parser.add_argument(
            "--ray",
            default=None,
            metavar="auto|HOST:PORT",
            help="run on the nodes of this Ray cluster (docs/scaling.md)",
        )
        parser.add_argument("--cpus_per_task", type=int, default=1, help="on a cluster: cores for each task")
        parser.add_argument(
            "--gpus_per_task", type=float, default=None,
            help="on a cluster: GPUs for each training; 0.25 puts four on one GPU; default: one, if it has GPUs",
        )  # fmt: skip


def add_seeds(parser, fixed: bool = True) -> None:
    """Add --seeds. fixed : whether the command has --fixed, of which the help then says what becomes of it"""
    stay = "; with --fixed the folds stay, and only the training differs" if fixed else ""
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N",
        help="run everything at N seeds (seed, seed + 1, ...), each with its own splits, initial weights, order and "
        f"augmentation{stay}; the report shows the spread over seeds beside that over subjects; N may grow later "
        "(default: %(default)s)",
    )  # fmt: skip


def chosen_jobs(args):
    """Return the number of local processes, or the cluster, that the options name."""
    from ..parallel.tasks import Cluster, available_cores

    if getattr(args, "ray", None):
        return Cluster(args.ray, args.cpus_per_task, args.gpus_per_task)
    return args.jobs or available_cores()


def add_settings(parser, settings: type, skip: set[str] | None = None) -> None:
    """Add an option for each field of a settings dataclass, but for those in `skip`, and --config."""
    add_fields(parser, settings, skip={"options", *(skip or ())})  # main adds the system's
    parser.add_argument("--config", action="config", help="a YAML file with any of these settings")


def chosen_settings(args, settings: type):
    """Return the settings dataclass that the parsed options describe. Raises BadConfig."""
    from dataclasses import fields

    given = {f.name: getattr(args, f.name) for f in fields(settings) if hasattr(args, f.name)}
    return settings(**given | ({"options": by_system(given["options"])} if "options" in given else {}))


def name_lists(parser) -> set[str]:
    """Return the options of a parser that take a list of names, by their types: `tuple[str, ...]`, or None."""
    from typing import get_args, get_origin

    def is_list(kind) -> bool:
        return get_origin(kind) is tuple or any(map(is_list, get_args(kind)))

    return {action.dest for action in parser._actions if is_list(getattr(action, "_typehint", None))}


def keep_names_as_text(parser) -> None:
    """Let the parser read lists of names as they are written, in YAML files too: a subject 01 is not the number 1."""
    import yaml
    from jsonargparse import get_loader, set_loader

    from ..io.safe_load import with_literal_names

    plain, names = get_loader("yaml"), name_lists(parser)
    mode = "yaml_with_names"
    set_loader(mode, lambda text: _present(with_literal_names(plain(text), text, names)), (yaml.YAMLError,))
    parser.parser_mode = mode


def _present(read):
    """What a file of settings holds, under the present names of the settings; a single value is left as it is."""
    from ..former_settings import present_names

    return present_names(read) if isinstance(read, dict) else read


def quote_names(argv: list[str], parser) -> list[str]:
    """`--subjects 01,no` as `--subjects ["01", "no"]`: a list of names for YAML, which takes 01 for a number."""
    lists, options = name_lists(parser), set(parser._option_string_actions)

    def takes_names(option: str) -> bool:
        """The parser takes the beginning of an option, too: --subject."""
        return option.startswith("--") and whole_option(option, options)[2:] in lists

    quoted: list[str] = []
    for argument in argv:
        name, equals, value = argument.partition("=")
        if equals and takes_names(name):
            argument = f"{name}={json.dumps(names_in_text(value))}"
        elif quoted and takes_names(quoted[-1]) and not argument.startswith("--"):
            argument = json.dumps(names_in_text(argument))
        quoted.append(argument)
    return quoted


def require_groups(parser, args) -> None:
    """Raise BadConfig if a file of settings has a single value where a group of settings is (`train: 2`)."""
    for name, group in parser.groups.items():
        value = args.get(name.replace("-", "_"))
        if getattr(group, "group_class", None) is not None and not hasattr(value, "__dict__"):
            raise BadConfig(f"{name}: expected settings, a name and a value each, as {name}.NAME; found {value!r}")

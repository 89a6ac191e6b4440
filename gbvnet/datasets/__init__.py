"""Corpora: one file for each, from its files on disk to recordings, with one contract for all (recording.Corpus).

A file in this folder that defines a class `Reader` is a corpus. It is called as the file (with - for _), and the first
line of the file describes it. NAME_raw.py, where there is one, reads the signals of corpus NAME as they were recorded.
A file of the same name in `synthetic` that defines a class `Settings` and a function `write` writes a synthetic corpus
in that format. Adding a corpus is adding these files: the command line and the contract tests find them. Nothing is
imported before it is used. A reader from outside the package is named by its file or module and class,
`lab.py:Reader`, or by the name that an installed package gives it (entry points `gbvnet.corpora`); see plugins.py.
"""

import inspect
import pkgutil
import re
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import plugins
from ..errors import BadConfig
from ..text import did_you_mean

if TYPE_CHECKING:
    from ..config import SynthConfig
    from ..progress import ProgressCallback
    from .recording import Corpus, CorpusReader


class Entry(NamedTuple):
    """Where a reader or a writer of a corpus is, and what describes it."""

    module: str  # "gbvnet.datasets.deap"
    title: str  # the first line of the file


def corpora() -> dict[str, Entry]:
    """Return the corpora that can be read, by name, in alphabetical order."""
    readers = _readers()
    return {name: entry for name, entry in readers.items() if _preprocessed(name) not in readers}


def raw_corpora() -> dict[str, Entry]:
    """Return the corpora whose signals can also be read as they were recorded: name -> the reader of those."""
    readers = _readers()
    return {base: entry for name, entry in readers.items() if (base := _preprocessed(name)) in readers}


def synthetic_corpora() -> dict[str, Entry]:
    """Return the corpora in whose format a synthetic one can be written, by name."""
    from . import synthetic

    return _defining("Settings", synthetic.__name__, tuple(synthetic.__path__))


def open_corpus(name: str, root: str | Path, raw: bool = False, **options: str | None) -> "Corpus":
    """Open the corpus called `name` ("deap", or "lab.py:Reader") whose files are in the folder `root`.

    raw : read the signals as they were recorded instead of the preprocessed release (`raw_corpora`)
    options : further arguments of the reader's `open`, as `clock` of affec; None for one that is not given
    Raises BadRecording if there is no such corpus at `root`, BadConfig for an unknown name, where `raw` is no choice,
    or for an option that the corpus does not have.
    """
    known, recorded = corpora(), raw_corpora()
    offered = plugins.entry_points(plugins.CORPUS_GROUP)
    if plugins.is_reference(name) or (name in offered and name not in known):
        return _open_plugin(name, Path(root).absolute(), raw, options)
    if name not in known:
        if name.endswith(".py"):
            raise BadConfig(f"{name}: expected a file and the class in it, as {name}:Reader")
        raise BadConfig(f"no corpus named {name}; {did_you_mean(name, [*known, *offered])}")
    if raw and name not in recorded:
        raise BadConfig(f"raw: {name} has one form of signals only; {', '.join(recorded)} has both")
    reader: type[CorpusReader] = import_module((recorded if raw else known)[name].module).Reader
    return reader.open(Path(root).absolute(), **_allowed(name, reader, options))


def _allowed(name: str, reader: Any, options: dict[str, str | None]) -> dict[str, str]:
    """Return the options that are given. Raises BadConfig for one that the reader's `open` does not take."""
    taken = inspect.signature(reader.open).parameters
    for option, value in options.items():
        if value is not None and option not in taken:
            raise BadConfig(f"{option}: {name} has no such option")
    return {option: value for option, value in options.items() if value is not None}


def _open_plugin(name: str, root: Path, raw: bool, options: dict[str, str | None]) -> "Corpus":
    """Open a corpus by a reader from outside the package. Raises BadConfig if it is no reader."""
    from .recording import missing_members

    called = plugins.label(name)
    if raw:
        raise BadConfig(f"raw: {called} has one form of signals only")
    reader: Any = plugins.load(name, plugins.CORPUS_GROUP)
    if not callable(getattr(reader, "open", None)):
        raise BadConfig(f"{called}: expected a class with open(root), as gbvnet.datasets.recording.CorpusReader")
    corpus = reader.open(root, **_allowed(called, reader, options))
    missing = missing_members(corpus)
    if missing:
        raise BadConfig(f"{called}: a corpus needs {', '.join(missing)}, which this one does not have")
    return corpus


def synthetic_settings(name: str) -> "type[SynthConfig]":
    """Return the settings of synthetic corpora in the format of `name`, a dataclass with its own options and limits.

    Raises BadConfig for a name that is none.
    """
    return _synthetic(name).Settings


def write_synthetic(
    name: str,
    root: str | Path,
    settings: "SynthConfig | None" = None,
    jobs: int = 1,
    progress: "ProgressCallback | None" = None,
) -> None:
    """Write a synthetic corpus in the format of `name`, or the files that an interrupted call did not write.

    settings : those of `synthetic_settings(name)`, or the common ones; the defaults if not given
    jobs : processes; they change the speed only
    progress : called with the number of files done and of files in all
    Raises BadInput if the folder holds anything else or cannot be written; BadConfig for an unknown name or a setting
    that this corpus does not allow.
    """
    module = _synthetic(name)
    if not isinstance(settings, module.Settings):
        settings = module.Settings(**vars(settings)) if settings else module.Settings()
    module.write(Path(root), settings, jobs, progress)


def _synthetic(name: str) -> Any:
    known = synthetic_corpora()
    if name not in known:
        raise BadConfig(f"no synthetic corpus named {name}; {did_you_mean(name, known)}")
    return import_module(known[name].module)


def _readers() -> dict[str, Entry]:
    return _defining("Reader", __name__, tuple(__path__))


def _preprocessed(name: str) -> str | None:
    """The corpus whose signals as recorded a reader called `name` reads, if it exists: deap for deap-raw."""
    return name.removesuffix("-raw") if name.endswith("-raw") else None


@lru_cache(maxsize=8)
def _defining(class_name: str, package: str, folders: tuple[str, ...]) -> dict[str, Entry]:
    """The files of a package that define this class, by name. Their text is read; none is imported."""
    entries = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(folders) if not info.ispkg):
        spec: Any = find_spec(f"{package}.{module}")
        text = spec.loader.get_source(spec.name)
        if re.search(rf"^class {class_name}\b", text, re.MULTILINE):
            title = text.lstrip().splitlines()[0].strip('"').rstrip(".")
            entries[module.replace("_", "-")] = Entry(spec.name, title)
    return entries

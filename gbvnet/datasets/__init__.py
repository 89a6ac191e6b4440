"""Corpora: one file a corpus, from files on disk to recordings, and one promise for all (recording.Corpus)."""

from pathlib import Path
from typing import Any

from ..errors import BadConfig, BadRecording
from ..recording import Corpus

# Name on the command line -> class in the file of that name.
READERS = {"deap": "Deap", "mahnob": "Mahnob", "table": "Table"}


def open_corpus(kind: str, root: str | Path) -> Corpus:
    """Open a corpus of a kind ("deap"). Raises BadRecording if there is none at `root`, BadConfig for another kind."""
    from importlib import import_module

    if kind not in READERS:
        raise BadConfig(f"no corpus named {kind}; there are {', '.join(READERS)}")
    root = Path(root).absolute()
    if not root.is_dir() and not (kind == "table" and root.is_file()):  # a table may be given itself
        raise BadRecording(root, "the folder of a corpus", "a file" if root.exists() else "no such folder")
    reader: Any = getattr(import_module(f".{kind}", __name__), READERS[kind])
    return reader.open(root)

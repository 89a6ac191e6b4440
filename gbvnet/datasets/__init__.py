"""Corpora: one file a corpus, from files on disk to recordings, and one promise for all (recording.Corpus)."""

from pathlib import Path
from typing import Any

from ..errors import BadConfig, BadRecording
from .recording import Corpus

# Name on the command line -> class in the file of that name.
READERS = {"deap": "Deap", "mahnob": "Mahnob", "table": "Table"}
# The same where signals were released both preprocessed and as recorded: file and class of the latter.
RAW_READERS = {"deap": ("deap_raw", "DeapRaw")}


def open_corpus(kind: str, root: str | Path, raw: bool = False) -> Corpus:
    """Open a corpus of a kind ("deap").

    raw : signals from DEAP's original recordings instead of its preprocessed release
    Raises BadRecording if there is none at `root`, BadConfig for another kind or where raw is no choice.
    """
    from importlib import import_module

    if kind not in READERS:
        raise BadConfig(f"no corpus named {kind}; there are {', '.join(READERS)}")
    if raw and kind not in RAW_READERS:
        raise BadConfig(f"raw: only {', '.join(RAW_READERS)} has original recordings beside what it released")
    root = Path(root).absolute()
    if not root.is_dir() and not (kind == "table" and root.is_file()):  # a table may be given itself
        raise BadRecording(root, "the folder of a corpus", "a file" if root.exists() else "no such folder")
    file, name = RAW_READERS[kind] if raw else (kind, READERS[kind])
    reader: Any = getattr(import_module(f".{file}", __name__), name)
    return reader.open(root)

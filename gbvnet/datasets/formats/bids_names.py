"""Names of BIDS files, the JSON files that describe them, and files of which only the name was fetched.

    sub-01_ses-2_task-film_run-01_recording-gsr_physio.tsv.gz      entities, then a suffix and an extension

`run-1` and `run-01` are one run, and labels that differ only in their capital letters are one label: datasets mix both.
What a JSON file higher up says holds for all files below whose names have its entities; the nearest file wins, key by
key (BIDS specification 1.11, inheritance principle).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import BadRecording
from .physio_table import read_json

DESCRIPTION = "dataset_description.json"
_NAME = re.compile(r"((?:[A-Za-z]+-[^_./\\]+_)+)([A-Za-z0-9]+)(\.[^/\\]+)?")
_NUMBERS = ("run", "split", "echo")  # entities whose values are numbers
_ANNEXED = re.compile(r"(?:MD5|SHA1|SHA224|SHA256|SHA384|SHA512)E?-s(\d+)")
_POINTER_BYTES = 1000  # a file that was not fetched from git-annex is a link, or a text of one line


@dataclass(frozen=True)
class BidsName:
    """The name of a file, in its parts: entities in their order, suffix (`eeg`), extension (`.edf`)."""

    entities: tuple[tuple[str, str], ...]
    suffix: str
    extension: str

    def __getitem__(self, entity: str) -> str:
        """Return the label of an entity, "" if the name has none."""
        return dict(self.entities).get(entity, "")

    @cached_property
    def key(self) -> frozenset[tuple[str, str]]:
        """The entities, equal for all spellings of one label."""
        return frozenset((entity, same_label(entity, label)) for entity, label in self.entities)

    def without(self, *names: str) -> frozenset[tuple[str, str]]:
        """Return the key without some entities."""
        return frozenset(pair for pair in self.key if pair[0] not in names)


def same_label(entity: str, label: str) -> str:
    """Return one text for all spellings of a label: `01` and `1` of runs, any case."""
    return str(int(label)) if entity in _NUMBERS and label.isascii() and label.isdigit() else label.casefold()


def parse_name(name: str) -> BidsName | None:
    """Return the parts of a file's name, None if it is not named as in BIDS."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    pairs = [part.partition("-") for part in match[1].rstrip("_").split("_")]
    return BidsName(tuple((entity, label) for entity, _, label in pairs), match[2], match[3] or "")


# ---------------------------------------------------------------- JSON files


def dataset_root(path: Path) -> Path:
    """Return the folder of the dataset that a file is in: the nearest one above with dataset_description.json, else the
    one above the subject's folder, else its own folder."""
    for folder in path.parents:
        if (folder / DESCRIPTION).exists():
            return folder
    subjects = [folder for folder in path.parents if folder.name.startswith("sub-")]
    return subjects[-1].parent if subjects else path.parent


def sidecars(path: Path) -> list[Path]:
    """Return the JSON files that describe a file, those that are nearer last."""
    own = path.with_name(f"{path.name.split('.')[0]}.json")
    name = parse_name(path.name)
    if name is None:
        return [own] if own.exists() else []
    root = dataset_root(path)
    folders = [folder for folder in (*reversed(path.parents),) if folder == root or root in folder.parents]
    return [file for folder in folders for file in _applicable(folder, name)]


def _applicable(folder: Path, name: BidsName) -> Iterator[Path]:
    files = []
    for file in sorted(folder.glob("*.json")):
        plain = file.name == f"{name.suffix}.json"  # one for all files of a suffix
        one = parse_name(file.name)
        if plain or (one is not None and one.suffix == name.suffix and one.key <= name.key):
            files.append((0 if one is None else len(one.entities), file))
    yield from (file for _, file in sorted(files))


def inherited(path: Path) -> dict[str, Any]:
    """Return what the JSON files say of a file, key by key, the nearest one first. Raises BadRecording."""
    about: dict[str, Any] = {}
    for file in sidecars(path):
        require_fetched(file)
        about |= read_json(file, "a JSON file that describes others")
    return about


# ---------------------------------------------------------------- git-annex


def annexed_bytes(path: Path) -> int | None:
    """Return the size of a file of which only its git-annex name was fetched, 0 if that does not tell it; None for any
    other path."""
    try:
        if path.is_symlink():
            target = str(path.readlink()).replace("\\", "/")
            if path.exists() or "annex/objects" not in target:
                return None
        elif path.is_file() and path.stat().st_size <= _POINTER_BYTES:
            target = path.read_bytes()[:_POINTER_BYTES].decode("utf-8", errors="replace")
            if not target.startswith("/annex/objects/"):
                return None
        else:
            return None
    except OSError:
        return None
    match = _ANNEXED.search(target.splitlines()[0])
    return int(match[1]) if match else 0


def not_fetched(path: Path) -> tuple[str, str] | None:
    """Return what is there of a file that was not fetched, and how to fetch it; None for any other file."""
    size = annexed_bytes(path)
    if size is None:
        return None
    root = dataset_root(path)
    name = path.relative_to(root).as_posix()
    of = f" of {size:,} bytes" if size else ""
    return f"a file{of} that is not fetched", f"In {root}: `datalad get {name}`, or `git annex get {name}`."


def require_fetched(path: Path) -> None:
    """Raise BadRecording for a file of which only its git-annex name was fetched."""
    missing = not_fetched(path)
    if missing is not None:
        raise BadRecording(path, "a file with content", *missing)

"""Where the runs of several seeds are on disk.

RUN/seeds.json     the settings that all seeds share, the first seed, and how many there are
RUN/seed-<k>/      an ordinary run folder for each seed

In the folders of a comparison, an audit and a reproduction the runs of the first seed are where those of a single seed
are, and those of further seeds are in seed-<k>/ beside them.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from ..errors import BadRun
from ..io.records import convert
from ..io.safe_load import from_json

FILE, FORMAT = "seeds.json", 1
_NAME = re.compile(r"seed-\d+")


class _Config(msgspec.Struct):
    """What is read of the settings."""

    seed: Annotated[int, msgspec.Meta(ge=0)]


class _Record(msgspec.Struct):
    """What is read of seeds.json."""

    config: _Config
    seeds: Annotated[int, msgspec.Meta(ge=1, le=10_000)]


def folder_of_seed(folder: Path, seed: int) -> Path:
    """Return the folder of a seed inside that of a group."""
    return folder / f"seed-{seed}"


def is_seed_folder(folder: Path) -> bool:
    """Return whether a folder has the name of one seed's folder."""
    return _NAME.fullmatch(folder.name) is not None


def is_seed_group(folder: Path) -> bool:
    """Return whether a folder holds the runs of several seeds."""
    return (Path(folder) / FILE).is_file()


def runs_of_seeds(folder: Path) -> list[Path]:
    """Return the run folders of a group, finished or not. Raises BadRun if its record cannot be read."""
    file = Path(folder) / FILE
    try:
        record = convert(from_json(file.read_text()), _Record)
    except (OSError, ValueError) as error:
        remedy = "Delete this file, and give the same `gbvnet crossval` command again: finished seeds stay."
        raise BadRun(
            file, "the record of runs of several seeds", f"one that cannot be read ({error})", remedy
        ) from None
    return [folder_of_seed(Path(folder), record.config.seed + k) for k in range(record.seeds)]


def with_runs_of_seeds(folders: Sequence[Path]) -> Iterator[Path]:
    """Yield run folders as they are, and for each group of seeds those of its seeds. Raises BadRun."""
    for folder in folders:
        yield from runs_of_seeds(folder) if is_seed_group(folder) else [folder]

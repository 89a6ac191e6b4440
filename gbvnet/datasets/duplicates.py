"""Recordings that may be one under two names, and subjects, trials or stimuli that may be one in two spellings."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd

from .formats.raw_files import data_file_of, sample
from .names import alike, alike_in_words, normal, visible
from .recording import Recording


def notes(recordings: Sequence[Recording]) -> list[str]:
    """What a user should know of a corpus' names and files before anything is split by them."""
    return [*spellings(recordings), *same_bytes(recordings)]


def spellings(recordings: Sequence[Recording]) -> Iterator[str]:
    """Names that differ in letter case, zeros, separators or form of Unicode alone."""
    columns = [("subjects", "subject", [r.subject for r in recordings])]
    columns += [("stimuli", "stimulus", [r.stimulus for r in recordings if r.stimulus != r.name])]
    for units, unit, names in columns:
        groups = alike(names)
        if groups:
            yield f"{units} {alike_in_words(unit, groups)}; a split by {unit} takes them for different ones"
    trials = defaultdict(list)
    for r in recordings:
        trials[r.subject].append(r.trial)
    for subject, names in trials.items():
        groups = alike(names)
        if groups:
            yield f"trials of subject {subject}: {alike_in_words('trial', groups)}"
    for group in _one_file([r.name for r in recordings]):
        yield f"recordings {' and '.join(map(visible, group))} have one file name on disks that ignore letter case"


def _one_file(names: Iterable[str]) -> list[list[str]]:
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups[normal(name).casefold()].add(name)
    return [sorted(group) for _, group in sorted(groups.items()) if len(group) > 1]


def second_of_one_file(recordings: Sequence[Recording], folder: Path) -> dict[str, str]:
    """Recording -> the earlier one whose file in `folder` it would overwrite, on a disk that ignores letter case.

    folder : holds store.json
    """
    if not (folder / "STORE.JSON").exists():
        return {}
    return {name: group[0] for group in _one_file(r.name for r in recordings) for name in group[1:]}


def same_bytes(recordings: Sequence[Recording], most: int = 5) -> Iterator[str]:
    """Signal files or videos of the same bytes under several names. Sizes are compared first, then samples."""
    users: dict[str, list[str]] = defaultdict(list)
    for r in recordings:
        for file in (*(source.file for source in r.sources), r.video):
            if file is not None:
                users[os.path.normpath(file)].append(r.name)
    content = {_content(Path(path)): path for path in users}  # a header stands for the file that it names
    for group in _equal(sorted(content)):
        paths = [content[file] for file in group]
        names = sorted({name for path in paths for name in users[path]})
        more = f" and {len(names) - most} more" if len(names) > most else ""
        above = os.path.commonpath([os.path.dirname(path) for path in paths])
        files = " and ".join(os.path.relpath(path, above) for path in paths)
        of = f"{', '.join(names[:most])}{more}"
        yield f"{files} hold the same bytes: is one recording there under several names? ({of})"


def _content(path: Path) -> Path:
    if path.is_dir():  # of an Empatica E4
        return next((file for file in sorted(path.iterdir()) if file.name.lower() == "eda.csv"), path)
    return data_file_of(path)


def _equal(files: Iterable[Path]) -> Iterator[list[Path]]:
    """Groups of files with the same content, none of them empty; no more than 1 MB is held of any."""
    groups = [list(files)]
    for of in (_size, sample, _digest):  # each takes more time than the one before, and sees fewer files
        parted: list[list[Path]] = []
        for group in groups:
            by: dict[object, list[Path]] = defaultdict(list)
            for file in group:
                by[of(file)].append(file)
            parted += [part for content, part in by.items() if content and len(part) > 1]
        groups = parted
    yield from groups


def _size(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except OSError:
        return 0


def _digest(file: Path) -> bytes:
    try:
        with file.open("rb") as f:
            return hashlib.file_digest(f, "sha256").digest()
    except OSError:
        return b""


def same_windows(recordings: pd.DataFrame, most: int = 5) -> Iterator[str]:
    """The same of a store's table `recordings`: two with the same arrays, whatever files they came from."""
    known = recordings[recordings["sha256"] != ""]
    twice = known[known.duplicated("sha256", keep=False)]
    for _, group in list(twice.groupby("sha256", sort=False))[:most]:
        one, other = next(combinations(group["recording"], 2))
        more = f" and {len(group) - 2} more" if len(group) > 2 else ""
        yield f"recordings {one} and {other}{more} hold the same windows: one of them may be tested on the other"

"""The status of every recording of a corpus, without preparing anything."""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

from ..config import PrepareConfig
from ..errors import BadRecording, GbvnetError
from ..parallel.tasks import Jobs, run
from ..progress import ProgressCallback
from ..text import shortened
from .label_columns import Label, LabelColumn
from .names import file_name_error
from .recording import Corpus, Recording
from .units import unit_disagreements

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")  # none that is part of a name, as Fp1


@dataclass(frozen=True)
class Unit:
    """The result of the check of one unit of a corpus (DEAP: one subject)."""

    name: str
    recordings: tuple[Recording, ...] = ()
    error: str | None = None  # the unit as a whole cannot be used
    warnings: tuple[str, ...] = ()  # warnings on the unit as a whole

    @property
    def good(self) -> int:
        """Number of recordings that can be used."""
        return sum(r.error is None for r in self.recordings)

    @property
    def bad(self) -> int:
        """Number of errors: recordings that cannot be used, and the unit itself."""
        return sum(r.error is not None for r in self.recordings) + (self.error is not None)


@dataclass(frozen=True)
class _Look:
    """Checks one unit; picklable, so that it runs in another process."""

    corpus: Corpus
    videos: bool

    def __call__(self, name: str) -> Unit:
        try:
            recordings = self.corpus.recordings(name)
        except GbvnetError as e:
            return Unit(name, error=str(e))
        recordings = [_with_labels(_with_a_name(recording), self.corpus.labels) for recording in recordings]
        inspected = tuple(map(self.inspected, recordings)) if self.videos else tuple(recordings)
        return Unit(name, inspected, warnings=self.corpus.notes(name))

    def inspected(self, recording: Recording) -> Recording:
        if recording.error:
            return recording
        try:
            return _with_its_length(self.corpus.inspect(recording))
        except GbvnetError as e:
            return replace(recording, error=str(e))
        except ValueError as e:  # of a library that fails on an unexpected file: the other recordings are still checked
            file = recording.signals or recording.video or recording.name
            failed = BadRecording(file, "a recording that can be read", f"one that fails ({e})")
            return replace(recording, error=str(failed))


def _with_a_name(recording: Recording) -> Recording:
    """Return the recording with an error if its name cannot be a file name in a store."""
    reason = None if recording.error else file_name_error(recording.name)
    if not reason:
        return recording
    error = BadRecording(recording.name[:100], "a recording whose name can be a file's", reason, "Give a shorter name.")
    return replace(recording, error=str(error))


def _with_labels(recording: Recording, labels: Sequence[LabelColumn]) -> Recording:
    """Return the recording with an error if one of its labels is not what the corpus declares."""
    if recording.error:
        return recording
    declared = {column.name: column for column in labels if not column.trace}
    traced = {column.name: column for column in labels if column.trace}
    values: list[tuple[str, Label]] = list(recording.ratings.items())
    values += [(name, float(x)) for name, trace in recording.traces.items() for x in trace.values if x == x]
    for name, value in values:
        column = (traced if name in recording.traces else declared).get(name)
        if column is None or not column.allows(value):
            wanted = f"{name} {column.allowed}" if column else f"labels that the corpus declares, not {name}"
            return replace(recording, error=str(BadRecording(recording.name, wanted, repr(value))))
    return recording


def _with_its_length(recording: Recording) -> Recording:
    """Return the recording with a warning if it is shorter than a window of the default length."""
    window_s = PrepareConfig().window_s
    if not 0 < recording.seconds < window_s:
        return recording
    note = f"of {recording.seconds:g} s, shorter than a window: `gbvnet prepare` refuses it without --window_s"
    return replace(recording, warnings=(*recording.warnings, note))


def check_corpus(
    corpus: Corpus, jobs: Jobs = 1, videos: bool = True, progress: ProgressCallback | None = None
) -> Iterator[Unit]:
    """Yield each unit of the corpus with the status of its recordings, in the order in which they are finished.

    videos : open each video too, for its rate, size and length; without it only what is next to it is read
    """
    units = corpus.units
    for done, (name, unit) in enumerate(run(_Look(corpus, videos), units, jobs), start=1):
        if progress:
            progress(done, len(units), name)
        yield unit if isinstance(unit, Unit) else Unit(name, error=str(unit))


def group_notes(notes: Iterable[tuple[str, str]], total: int) -> list[str]:
    """Return one line for each note on recordings, (recording, note), with the number of recordings that have it.

    Notes that differ only in their numbers are grouped, and the first is shown. total : number of all recordings
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, note in notes:
        groups.setdefault(_NUMBER.sub("#", note), []).append((name, note))
    lines = []
    for same in groups.values():
        names, texts = [name for name, _ in same], {note for _, note in same}
        if len(same) == 1:
            lines.append(f"{names[0]}  {same[0][1]}")
            continue
        few = shortened(names, 3)
        names_text = f"all {total} recordings" if len(set(names)) == total else f"{len(names)} recordings ({few})"
        others = "" if len(texts) == 1 else f" (numbers of {names[0]}; those of the others differ)"
        lines.append(f"{names_text}  {same[0][1]}{others}")
    return lines


def scale_notes(units: Sequence[Unit]) -> list[str]:
    """Return a line for each channel that seems to be in different units in different recordings, by its amplitude."""
    return unit_disagreements({r.name: dict(r.scales) for unit in units for r in unit.recordings if r.scales})


def missing(units: Sequence[Unit]) -> list[tuple[str, ...]]:
    """What is missing of whom, and why, as a table with a head, by name; empty where nothing is.

    A note on a unit that begins with "no " tells of something missing, too.
    """
    kinds = {"video": "a video", "signals": "signals"}
    files: dict[str, Callable[[Recording], Path | None]] = {"video": _face_file, "signals": lambda r: r.signals}
    sound = {unit.name: [r for r in unit.recordings if not r.error] for unit in units}
    had = [kind for kind in kinds if any(files[kind](r) for good in sound.values() for r in good)]
    rows = []
    for unit in sorted(units, key=attrgetter("name")):  # units are finished in any order
        why = [note for note in unit.warnings if note.startswith("no ")]
        why += [_in_short(unit.error)] if unit.error else []
        why += [f"{r.name}: {_in_short(r.error)}" for r in unit.recordings if r.error]
        good = sound[unit.name]
        counts = {kind: sum(files[kind](r) is not None for r in good) for kind in kinds}
        why += [f"{len(good) - counts[kind]} without {kinds[kind]}" for kind in had if counts[kind] < len(good)]
        if why:
            cells = (len(unit.recordings), len(good), *counts.values())
            rows.append((unit.name, *map(str, cells), "; ".join(why)))
    return [("subject", "found", "good", "video", "signals", "what is missing, and why"), *rows] if rows else []


def count_complete(units: Sequence[Unit]) -> list[str]:
    """Return which subjects lack a recording with both a video and signals, by what they lack, and how many have one.

    Empty where none lacks it.
    """
    sound = {u.name: [r for r in u.recordings if not r.error] for u in units}
    lacking: dict[str, list[str]] = {
        "a good recording": [],
        "signals": [],
        "a video": [],
        "a video and signals at once": [],
    }
    for name, recordings in sound.items():
        if not recordings:
            lacking["a good recording"].append(name)
        elif not any(r.signals for r in recordings):
            lacking["signals"].append(name)
        elif not any(_face_file(r) for r in recordings):
            lacking["a video"].append(name)
        elif not any(_face_file(r) and r.signals for r in recordings):
            lacking["a video and signals at once"].append(name)
    notes = [f"without {what}: {', '.join(names)}" for what, names in lacking.items() if names]
    n_both = len(units) - sum(map(len, lacking.values()))
    return [*notes, f"{n_both} of {len(units)} subjects have both a video and signals"] if notes else []


def summarize(units: Sequence[Unit]) -> str:
    """Return how many recordings are good, have a video, or are bad, in a line."""
    recordings = [r for u in units for r in u.recordings if not r.error]
    filmed, measured = (sum(getattr(r, name) is not None for r in recordings) for name in ("video", "face_features"))
    bad = sum(u.bad for u in units)
    features = f", {measured} with face features" if measured else ""
    return f"{len(recordings)} good recordings of {len(units)} subjects, {filmed} with a video{features}; {bad} bad"


def _face_file(recording: Recording) -> Path | None:
    """Return the video of a recording, or the face features that its corpus brings instead."""
    return recording.video or recording.face_features


def _in_short(error: str) -> str:
    """Return an error without the file and the remedy, which are shown beside the recording."""
    match = re.search(r": (expected .+?, found .+?)(?:\.\s|\.?$)", error, re.DOTALL)
    return textwrap.shorten(match[1] if match else error, 100, placeholder=" ...")

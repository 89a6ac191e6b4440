"""A verdict for every recording of a corpus, without preparing anything."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from ..config import PrepareConfig
from ..errors import BadRecording, GbvnetError
from ..parallel.tasks import Jobs, run
from ..progress import ProgressCallback
from ..text import shortened
from .names import file_name_problem
from .recording import Corpus, Recording
from .units import scales_apart

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")  # none that is part of a name, as Fp1


@dataclass(frozen=True)
class Unit:
    """What was found of one unit of a corpus (DEAP: one person)."""

    name: str
    recordings: tuple[Recording, ...] = ()
    problem: str | None = None  # the unit as a whole cannot be used
    findings: tuple[str, ...] = ()  # things to know of the unit as a whole

    @property
    def good(self) -> int:
        return sum(r.problem is None for r in self.recordings)

    @property
    def bad(self) -> int:
        """Verdicts against: of its recordings, or of itself."""
        return sum(r.problem is not None for r in self.recordings) + (self.problem is not None)


@dataclass(frozen=True)
class _Look:
    """Picklable: looks at one unit in another process."""

    corpus: Corpus
    videos: bool

    def __call__(self, name: str) -> Unit:
        try:
            found = self.corpus.recordings(name)
        except GbvnetError as e:
            return Unit(name, problem=str(e))
        found = [_with_a_name(recording) for recording in found]
        looked_at = tuple(map(self.inspected, found)) if self.videos else tuple(found)
        return Unit(name, looked_at, findings=self.corpus.notes(name))

    def inspected(self, recording: Recording) -> Recording:
        if recording.problem:
            return recording
        try:
            return _with_its_length(self.corpus.inspect(recording))
        except GbvnetError as e:
            return replace(recording, problem=str(e))
        except ValueError as e:  # of a library that met what it does not expect: the others are looked at all the same
            file = recording.signals or recording.video or recording.name
            failed = BadRecording(file, "a recording that can be read", f"one that fails ({e})")
            return replace(recording, problem=str(failed))


def _with_a_name(recording: Recording) -> Recording:
    """Refused, if its name cannot be a file's in a store, whichever reader gave it."""
    problem = None if recording.problem else file_name_problem(recording.name)
    if not problem:
        return recording
    error = BadRecording(
        recording.name[:100], "a recording whose name can be a file's", problem, "Give a shorter name."
    )
    return replace(recording, problem=str(error))


def _with_its_length(recording: Recording) -> Recording:
    """Reported, if it is shorter than the windows that prepare makes unless it is told otherwise."""
    window_s = PrepareConfig().window_s
    if not 0 < recording.seconds < window_s:
        return recording
    said = f"of {recording.seconds:g} s, shorter than a window: `gbvnet prepare` refuses it without --window_s"
    return replace(recording, findings=(*recording.findings, said))


def check_corpus(
    corpus: Corpus, jobs: Jobs = 1, videos: bool = True, progress: ProgressCallback | None = None
) -> Iterator[Unit]:
    """Yield each unit of the corpus with its recordings' verdicts, as they are found.

    videos : open each video too, for its rate, size and length; without it only what is next to it is read
    """
    units = corpus.units
    for done, (name, unit) in enumerate(run(_Look(corpus, videos), units, jobs), start=1):
        if progress:
            progress(done, len(units), name)
        yield unit if isinstance(unit, Unit) else Unit(name, problem=str(unit))


def told_once(notes: Iterable[tuple[str, str]], total: int) -> list[str]:
    """Notes on recordings, (recording, note), each said once with how many recordings it is of.

    Notes that differ in their numbers alone are one: the first is said. total : recordings in all
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
        who = f"all {total} recordings" if len(set(names)) == total else f"{len(names)} recordings ({few})"
        others = "" if len(texts) == 1 else f" (numbers of {names[0]}; those of the others differ)"
        lines.append(f"{who}  {same[0][1]}{others}")
    return lines


def scale_notes(units: Sequence[Unit]) -> list[str]:
    """Channels that some recordings have in another unit than others, by their size."""
    return scales_apart({r.name: dict(r.scales) for unit in units for r in unit.recordings if r.scales})


def missing(units: Sequence[Unit]) -> list[tuple[str, ...]]:
    """What is missing of whom, and why, as a table with a head, by name; empty where nothing is.

    A note on a unit that begins with "no " tells of something missing, too.
    """
    kinds = {"video": "a video", "signals": "signals"}
    sound = {unit.name: [r for r in unit.recordings if not r.problem] for unit in units}
    had = [kind for kind in kinds if any(getattr(r, kind) for good in sound.values() for r in good)]
    rows = []
    for unit in sorted(units, key=attrgetter("name")):  # as they are found, several at once come in any order
        why = [finding for finding in unit.findings if finding.startswith("no ")]
        why += [_in_short(unit.problem)] if unit.problem else []
        why += [f"{r.name}: {_in_short(r.problem)}" for r in unit.recordings if r.problem]
        good = sound[unit.name]
        counts = {kind: sum(getattr(r, kind) is not None for r in good) for kind in kinds}
        why += [f"{len(good) - counts[kind]} without {kinds[kind]}" for kind in had if counts[kind] < len(good)]
        if why:
            told = (len(unit.recordings), len(good), *counts.values())
            rows.append((unit.name, *map(str, told), "; ".join(why)))
    return [("who", "found", "good", "video", "signals", "what is missing, and why"), *rows] if rows else []


def count_complete(units: Sequence[Unit]) -> list[str]:
    """Return which subjects lack a recording with both a video and signals, by what they lack, and how many have one.

    Empty where none lacks it.
    """
    sound = {u.name: [r for r in u.recordings if not r.problem] for u in units}
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
        elif not any(r.video for r in recordings):
            lacking["a video"].append(name)
        elif not any(r.video and r.signals for r in recordings):
            lacking["a video and signals at once"].append(name)
    notes = [f"without {what}: {', '.join(names)}" for what, names in lacking.items() if names]
    n_both = len(units) - sum(map(len, lacking.values()))
    return [*notes, f"{n_both} of {len(units)} people have both a video and signals"] if notes else []


def summarize(units: Sequence[Unit]) -> str:
    """Return how many recordings are good, have a video, or are bad, in a line."""
    recordings = [r for u in units for r in u.recordings if not r.problem]
    filmed = sum(r.video is not None for r in recordings)
    bad = sum(u.bad for u in units)
    return f"{len(recordings)} good recordings of {len(units)} people, {filmed} with a video; {bad} bad"


def _in_short(problem: str) -> str:
    """A verdict without the file and the remedy, which stand beside the recording."""
    said = re.search(r": (expected .+?, found .+?)(?:\.\s|\.?$)", problem, re.DOTALL)
    return textwrap.shorten(said[1] if said else problem, 100, placeholder=" ...")

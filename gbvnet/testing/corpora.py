"""The contract of corpora as a function that a user's test calls on a small corpus of the user's own format."""

import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ..datasets import check as corpus_check
from ..datasets import corpora, open_corpus
from ..datasets.label_columns import LabelColumn, label_columns, label_settings
from ..datasets.names import file_name_error
from ..datasets.recording import Channel, Corpus, Kind, Recording, Signals
from ..datasets.units import ELECTRICAL
from ..errors import BadRecording
from .corpus_promises import PROMISES
from .results import CheckResult, Checks, Outcome, describe
from .system_case import temporary_folder

READ = 20  # recordings of which the signals are read, evenly spaced
MOST_BYTES = 200_000_000  # of a corpus that is copied, to damage a file of the copy
LEAST_UV, MOST_UV = 0.5, 1e5  # of the SD of an electrical channel
KINDS = get_args(Kind)


def check_corpus(
    reader: Any, root: str | Path, *, damage: bool = True, raise_on_error: bool = True
) -> list[CheckResult]:
    """Check every promise of the contract of corpora on a small corpus.

    reader : a class with `open(root)`, a function that returns the corpus in a folder, or the name of a corpus
    root : the folder of a corpus without errors, best with two subjects or more. Nothing in it is changed
    damage : also copy it, if it has at most 200 MB, and damage a file of the copy

    Returns the result of each check. Raises ContractBroken, which lists every broken promise with what happened and how
    to keep it, unless `raise_on_error` is False.
    """
    root, opened = Path(root).absolute(), _opener(reader)
    name = reader if isinstance(reader, str) else getattr(reader, "__qualname__", repr(reader))
    checks, before = Checks(PROMISES), _files(root)
    checks.run("an empty folder and none", _check_elsewhere(opened))
    held: list[Corpus] = []
    if checks.run("the corpus", _check_opening(opened, root, held)):
        corpus = held[0]
        checks.run("the corpus", _check_declarations(corpus))
        checks.run("the corpus", _check_units(corpus))
        if checks.run("recordings", _check_recordings(corpus)):
            good = [recording for recording in _recordings(corpus) if not recording.error]
            checks.run("recordings", _check_again(corpus, opened, root, good))
            checks.run("signals", _check_signals(corpus, good))
            if damage and sum(size for size, _ in before.values()) <= MOST_BYTES:
                checks.run("a damaged file", _check_damage(opened, root, good))
        checks.run("the corpus", _check_unchanged(root, before))
    return checks.finish(f"{name} breaks the contract of corpora", raise_on_error)


def _opener(reader: Any) -> Callable[[Path], Corpus]:
    """Return the function that opens the corpus in a folder. Raises BadConfig for a name that is none."""
    if not isinstance(reader, str):
        return reader.open if hasattr(reader, "open") else reader
    if reader not in corpora():
        open_corpus(reader, Path())  # raises BadConfig
    return lambda root: open_corpus(reader, root)


def _recordings(corpus: Corpus) -> list[Recording]:
    return [recording for unit in corpus.units for recording in corpus.recordings(unit)]


def _files(root: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file, by its path."""
    return {str(f): (s.st_size, s.st_mtime_ns) for f in sorted(root.rglob("*")) if f.is_file() for s in [f.stat()]}


def _check_elsewhere(opened: Callable[[Path], Corpus]) -> Iterator[Outcome]:
    """Open a folder with nothing in it, and one that is not there."""
    with temporary_folder() as parent:
        (parent / "empty").mkdir()
        for folder in (parent / "empty", parent / "nowhere"):
            try:
                opened(folder)
            except BadRecording as error:
                silent = str(folder) not in str(error)
                happened = f"{folder.name}: the message does not name the folder: {error}" if silent else None
            except Exception as error:
                happened = f"{folder.name}: {describe(error)}"
            else:
                happened = f"{folder.name}: it was opened"
            yield "folders without a corpus", happened


def _check_opening(opened: Callable[[Path], Corpus], root: Path, held: list[Corpus]) -> Iterator[Outcome]:
    """Open the corpus and put it into the list."""
    corpus = opened(root)
    names = [*Corpus.__annotations__, *(name for name in vars(Corpus) if not name.startswith("_"))]
    missing = [name for name in names if not hasattr(corpus, name)]
    held.append(corpus)
    yield "opens", f"it has no {', '.join(missing)}" if missing else None


def _check_declarations(corpus: Corpus) -> Iterator[Outcome]:
    wrong = [
        f"{name} is {getattr(corpus, name)!r:.100}"
        for name, valid in (
            ("dataset", isinstance(corpus.dataset, str) and bool(corpus.dataset)),
            ("source", isinstance(corpus.source, str)),
            ("synthetic", isinstance(corpus.synthetic, bool)),
            ("rate_hz", corpus.rate_hz > 0),
            ("baseline_s", corpus.baseline_s >= 0),
            ("frames_per_s", corpus.frames_per_s >= 1),
        )
        if not valid
    ]
    yield "declarations", ", ".join(wrong) or None
    channels = corpus.channels
    odd = [c for c in channels if not isinstance(c, Channel) or c.kind not in KINDS]
    names = [getattr(c, "name", None) for c in channels]
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    happened = f"{odd[0]!r:.100}; kinds are {', '.join(KINDS)}" if odd else None
    happened = happened or (f"{', '.join(twice)} more than once" if twice else None)
    yield "channels", happened if channels else "there are none"
    try:
        label_columns(label_settings(corpus.labels))
        many = len({column.name for column in corpus.labels}) < len(corpus.labels)
        happened = "a name is declared twice" if many else None if corpus.labels else "there are none"
    except ValueError as error:
        happened = str(error)
    yield "labels", happened


def _check_units(corpus: Corpus) -> Iterator[Outcome]:
    units = corpus.units
    texts = isinstance(units, tuple) and all(isinstance(unit, str) and unit for unit in units)
    good = texts and len(set(units)) == len(units) > 0
    yield "units", None if good else f"units is {units!r:.200}"
    for unit in (None, *units):
        notes = corpus.notes(unit)
        good = isinstance(notes, tuple | list) and all(isinstance(note, str) for note in notes)
        yield "units", None if good else f"notes({unit!r}) is {notes!r:.200}"


def _check_recordings(corpus: Corpus) -> Iterator[Outcome]:
    recordings = _recordings(corpus)
    usable = [recording for recording in recordings if not recording.error]
    errors = f"; the first error: {recordings[0].error}" if recordings else ""
    yield "recordings", None if usable else f"none of {len(recordings)} is without an error{errors}"
    declared = {column.name: column for column in corpus.labels}
    for recording in usable:
        yield "recordings", _recording_error(corpus, recording)
        yield "ratings", _rating_error(recording, declared)
    names = [recording.name for recording in recordings]
    twice = sorted({name for name in names if names.count(name) > 1})
    yield "recordings", f"{twice[0]} is the name of {names.count(twice[0])} recordings" if twice else None
    pairs = [(recording.subject, recording.trial) for recording in usable]
    same = sorted({pair for pair in pairs if pairs.count(pair) > 1})
    yield "recordings", f"subject {same[0][0]} has trial {same[0][1]} more than once" if same else None


def _recording_error(corpus: Corpus, recording: Recording) -> str | None:
    """Return what is wrong with the names, the length or the paths of a recording, or None."""
    if reason := file_name_error(recording.name):
        return f"{recording.name!r:.100} cannot be a file's name: {reason}"
    if recording.dataset != corpus.dataset:
        return f"{recording.name} is of dataset {recording.dataset!r}, the corpus of {corpus.dataset!r}"
    for part in ("subject", "trial", "stimulus"):
        if not isinstance(getattr(recording, part), str) or not getattr(recording, part):
            return f"{recording.name}: {part} is {getattr(recording, part)!r}"
    if not recording.seconds > 0:
        return f"{recording.name}: seconds is {recording.seconds!r}"
    absent = [path for path in (recording.video, recording.signals) if path is not None and not path.exists()]
    if absent:
        return f"{recording.name}: no file {absent[0]}"
    return None if recording.video or recording.signals else f"{recording.name} has neither a video nor signals"


def _rating_error(recording: Recording, declared: dict[str, LabelColumn]) -> str | None:
    """Return what is wrong with the labels of a recording, or None."""
    for name, value in recording.ratings.items():
        if name not in declared or declared[name].trace:
            return f"{recording.name}: {name} is not declared as a label with one value"
        if not declared[name].allows(value):
            return f"{recording.name}: {name} is {value!r}, declared {declared[name].allowed}"
    for name, trace in recording.traces.items():
        if name not in declared or not declared[name].trace:
            return f"{recording.name}: {name} is not declared as a label that changes in time"
        if (np.diff(trace.times_s) <= 0).any():
            return f"{recording.name}: the times of {name} do not increase"
        known = np.asarray(trace.values)[~np.isnan(trace.values)]
        if not all(declared[name].allows(float(value)) for value in known):
            return f"{recording.name}: {name} has values outside of {declared[name].allowed}"
    return None


def _check_again(
    corpus: Corpus, opened: Callable[[Path], Corpus], root: Path, good: Sequence[Recording]
) -> Iterator[Outcome]:
    """Open the corpus again, and send it through pickle, as to another process."""
    listed, with_signals = _recordings(corpus), [r for r in good if r.signals]
    last = with_signals[-1] if with_signals else None
    first = _samples(corpus.signals(corpus.inspect(last))) if last else []
    for promise, other in (
        ("the same each time", lambda: opened(root)),
        ("other processes", lambda: pickle.loads(pickle.dumps(corpus))),  # noqa: S301  its own bytes
    ):
        try:
            again = other()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            yield promise, describe(error)
            continue
        names, names_again = [r.name for r in listed], [r.name for r in _recordings(again)]
        if names != names_again:
            yield promise, f"first {_few(names)}, then {_few(names_again)}"
            continue
        different = [a.name for a, b in zip(listed, _recordings(again), strict=True) if a != b]
        yield promise, f"{different[0]} is another" if different else None
        if last:
            second = _samples(again.signals(again.inspect(last)))
            same = len(first) == len(second) and all(
                np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True)
            )
            yield promise, None if same else f"the signals of {last.name} are others"


def _few(names: list[str]) -> str:
    return f"{len(names)} recordings ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})"


def _samples(signals: Signals) -> list[np.ndarray]:
    """Return the samples of each channel, (N,)."""
    return [np.asarray(channel) for channel in signals.samples]


def _check_signals(corpus: Corpus, good: Sequence[Recording]) -> Iterator[Outcome]:
    """Inspect and read some recordings."""
    spread: dict[str, list[float]] = {}
    for at in np.unique(np.linspace(0, len(good) - 1, READ).round().astype(int)):
        recording = good[at]
        inspected = corpus.inspect(recording)
        same = isinstance(inspected, Recording) and inspected.name == recording.name
        lacks = same and recording.video is not None and inspected.video_info is None
        happened = f"{recording.name}: {'video_info is None' if lacks else f'it returned {inspected!r:.100}'}"
        yield "inspect", None if same and not lacks else happened
        if not same or not recording.signals:
            continue
        signals = corpus.signals(inspected)
        error = _signals_error(corpus, signals)
        yield "signals", f"{recording.name}: {error}" if error else None
        if error:
            continue
        error = _times_error(corpus, signals, inspected.seconds)
        yield "times", f"{recording.name}: {error}" if error else None
        for channel, samples in zip(signals.channels, _samples(signals), strict=True):
            spread.setdefault(channel.name, []).append(float(samples.std()))
    of_kind = {channel.name: channel.kind for channel in corpus.channels}
    for kind in ELECTRICAL:
        values = [np.median(sds) for name, sds in spread.items() if of_kind[name] == kind]
        middle = float(np.median(values)) if values else 1.0
        odd = not LEAST_UV <= middle <= MOST_UV
        yield "microvolts", f"the SD of {kind} is {middle:.2g}: hardly microvolts" if odd else None


def _signals_error(corpus: Corpus, signals: Signals) -> str | None:
    """Return what is wrong with the form of signals, or None."""
    if not isinstance(signals, Signals):
        return f"it is {signals!r:.100}, expected Signals"
    names, wanted = [c.name for c in signals.channels], [c.name for c in corpus.channels]
    if names != wanted:
        return f"channels {', '.join(names)[:150]}, expected {', '.join(wanted)[:150]}"
    one_rate = signals.rates_hz is None
    if one_rate and np.ndim(signals.samples) != 2:
        return f"samples of shape {np.shape(signals.samples)}, expected (C, N); where rates differ give rates_hz"
    if len(signals.samples) != len(names):
        return f"samples of {len(signals.samples)} channels, expected {len(names)}"
    if not signals.rate_hz > 0 or (signals.rates_hz is not None and len(signals.rates_hz) != len(names)):
        return f"rate_hz {signals.rate_hz}, rates_hz {signals.rates_hz}"
    for name, samples in zip(names, _samples(signals), strict=True):
        if samples.ndim != 1 or samples.dtype.kind != "f":
            return f"{name} is {samples.dtype} of shape {samples.shape}, expected floating point (N,)"
        if not np.isfinite(samples).all():
            return f"{name} has {int((~np.isfinite(samples)).sum())} values that are NaN or infinite"
    return None


def _times_error(corpus: Corpus, signals: Signals, seconds: float) -> str | None:
    """Return which part of a recording its signals lack, or None."""
    rates = signals.rates_hz or [signals.rate_hz] * len(signals.channels)
    ends = [len(samples) / rate for samples, rate in zip(_samples(signals), rates, strict=True)]
    onset_s, slack_s = signals.onset / signals.rate_hz, 1 / min(rates)
    if not 0 <= onset_s <= min(ends):
        return f"the onset is at {onset_s:g} s of {min(ends):g} s"
    own = signals.baseline is not None or signals.baseline_signals is not None
    if not own and onset_s < corpus.baseline_s - slack_s:
        return f"{onset_s:g} s before the onset, expected {corpus.baseline_s:g} s for the baseline"
    if min(ends) - onset_s < seconds - slack_s:
        return f"{min(ends) - onset_s:g} s after the onset, expected {seconds:g} s"
    return None


def _check_unchanged(root: Path, before: dict[str, tuple[int, int]]) -> Iterator[Outcome]:
    after = _files(root)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    yield "files stay as they are", f"{changed[0]} was written" if changed else None


def _check_damage(opened: Callable[[Path], Corpus], root: Path, good: Sequence[Recording]) -> Iterator[Outcome]:
    """Cut a signal file of a copy of the corpus, and check what is still good."""
    files = [r.signals for r in good if r.signals and r.signals.is_relative_to(root)]
    if not files:
        return
    with temporary_folder() as parent:
        copied = parent / root.name
        shutil.copytree(root, copied)
        cut = copied / files[0].relative_to(root)
        cut.write_bytes(cut.read_bytes()[: min(1000, cut.stat().st_size // 2)])
        units = list(corpus_check.check_corpus(opened(copied)))
        errors = [e for unit in units for e in (unit.error, *(r.error for r in unit.recordings)) if e]
        named = any(cut.name in error and "expected" in error and "found" in error for error in errors)
        first = f"; the first error: {errors[0]:.200}" if errors else ""
        yield "damage", None if named else f"{cut.name} was cut, and no error names it{first}"
        left = {recording.name for unit in units for recording in unit.recordings if not recording.error}
        lost = [r.name for r in good if r.signals != files[0] and r.name not in left]
        yield "damage", f"{cut.name} was cut, and {lost[0]}, which has other files, was lost" if lost else None

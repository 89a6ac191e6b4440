"""The contract of further modalities as a function that a user's test calls on a few recordings.

Shapes: W windows of a recording.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.recording import Recording
from ..errors import BadConfig
from ..preprocessing.windowing import window_starts
from ..store.add_modality import modality_object
from ..store.modalities import Modality
from .modality_promises import PROMISES
from .results import CheckResult, Checks, Outcome, describe

SHIFT_S = 1.0  # by which the stimulus is moved on the video's clock
CLOSE = dict(rtol=1e-3, atol=1e-3)  # a shift may be a part of a sample
CHANGED = 0.5  # of the largest distance from the first window: where an event shows


@dataclass
class _Case:
    """A modality with the recordings that it is checked on. `read` holds what it returned for each, once it was."""

    plugin: Any
    modality: Modality
    recordings: Sequence[Recording]
    window_s: float
    shape: tuple[int, ...] = ()

    def starts(self, recording: Recording) -> np.ndarray:
        return window_starts(recording.seconds, self.window_s, self.window_s)

    def read(self, recording: Recording, starts_s: np.ndarray | None = None, by: Modality | None = None) -> Any:
        """Return what is read of windows, all if none are given, as (W, *shape); NaN for None."""
        starts = self.starts(recording) if starts_s is None else starts_s
        arrays = (by or self.modality).read(recording, starts.copy(), self.window_s)
        return np.full((len(starts), *self.shape), np.nan) if arrays is None else arrays


def check_modality(
    modality: Any,
    recordings: Sequence[Recording],
    *,
    window_s: float = 1.0,
    events: Mapping[str, float] | None = None,
    of_video: bool = True,
    raise_on_error: bool = True,
) -> list[CheckResult]:
    """Check every promise of the contract of further modalities on some recordings.

    modality : a class without arguments, or an object, as `gbvnet.store.modalities.Modality` describes it
    recordings : inspected ones, of which one at least has the modality; `gbvnet.testing.recording_with_tone` makes some
    window_s : length of a window in seconds
    events : by the name of a recording, the second of the stimulus at which something begins that shows in the arrays
    of_video : whether it is read from the recordings' videos, so that it moves with the stimulus on their clock

    Returns the result of each check. Raises ContractBroken, which lists every broken promise with what happened and how
    to keep it, unless `raise_on_error` is False.
    """
    called = getattr(modality, "__qualname__", None) or type(modality).__qualname__
    checks, held = Checks(PROMISES), list[_Case]()
    if checks.run("interface", _check_interface(modality, recordings, window_s, held)):
        case = held[0]
        before = _files(recordings)
        if checks.run("recordings", _check_arrays(case)):
            for check in (_check_repetition, _check_windows, _check_inputs):
                checks.run("recordings", check(case))
            checks.run("events", _check_events(case, events or {}))
            if of_video:
                checks.run("clock", _check_clock(case))
        checks.run("files", _check_unchanged(recordings, before))
    return checks.finish(f"{called} breaks the contract of modalities", raise_on_error)


def _check_interface(
    plugin: Any, recordings: Sequence[Recording], window_s: float, held: list[_Case]
) -> Iterator[Outcome]:
    try:
        case = _Case(
            plugin, modality_object(plugin, getattr(plugin, "__qualname__", "the modality")), recordings, window_s
        )
    except BadConfig as error:
        yield "interface", str(error)
        return
    held.append(case)
    yield "interface", None
    shapes = [case.modality.shape(window_s) for _ in range(2)]
    whole = all(isinstance(n, int | np.integer) and n >= 1 for n in shapes[0]) and len(shapes[0]) > 0
    happened = None if whole else f"shape({window_s:g}) is {shapes[0]!r}"
    yield "shape", happened or (None if shapes[0] == shapes[1] else f"first {shapes[0]}, then {shapes[1]}")
    case.shape = tuple(shapes[0])


def _check_arrays(case: _Case) -> Iterator[Outcome]:
    n_with = 0
    for recording in case.recordings:
        arrays, shape = case.read(recording), (len(case.starts(recording)), *case.shape)
        good = isinstance(arrays, np.ndarray) and arrays.shape == shape and arrays.dtype.kind == "f"
        actual = f"{arrays.dtype} {arrays.shape}" if isinstance(arrays, np.ndarray) else f"{arrays!r:.100}"
        yield "arrays", None if good else f"{recording.name}: {actual}, expected floating point {shape}"
        if not good:
            return
        flat = arrays.reshape(len(arrays), -1)
        finite = np.isfinite(flat).all(axis=1)
        odd = np.flatnonzero(~finite & ~np.isnan(flat).all(axis=1))
        wrong = (~np.isfinite(flat[odd[0]])).sum() if len(odd) else 0
        yield "finite or missing", f"{recording.name}: {wrong} values of window {odd[0]} are not" if wrong else None
        n_with += int(finite.sum())
    yield "something is read", None if n_with else f"no window of {len(case.recordings)} recordings has it"


def _check_repetition(case: _Case) -> Iterator[Outcome]:
    others: tuple[tuple[str, Callable[[], Modality]], ...] = (
        ("the same each time", lambda: case.modality),
        ("the same each time", lambda: modality_object(case.plugin, "the modality")),
        ("other processes", lambda: pickle.loads(pickle.dumps(case.modality))),  # noqa: S301  its own bytes
    )
    for promise, other in others:
        try:
            again = other()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            yield promise, describe(error)
            continue
        for recording in case.recordings:
            same = np.array_equal(case.read(recording), case.read(recording, by=again), equal_nan=True)
            yield promise, None if same else f"{recording.name}: other arrays"


def _check_windows(case: _Case) -> Iterator[Outcome]:
    promise = "windows are read one by one"
    for recording in case.recordings:
        together, starts = case.read(recording), case.starts(recording)
        parts = {"in reverse": np.arange(len(starts))[::-1]}
        parts |= {"alone": np.array([len(starts) - 1]), "every second one": np.arange(0, len(starts), 2)}
        for how, order in parts.items():
            same = np.array_equal(case.read(recording, starts[order]), together[order], equal_nan=True)
            yield promise, None if same else f"{recording.name}: read {how}, windows differ"


def _check_inputs(case: _Case) -> Iterator[Outcome]:
    for recording in case.recordings:
        starts = case.starts(recording)
        given = starts.copy()
        case.modality.read(recording, given, case.window_s)
        changed = None if np.array_equal(given, starts) else f"{recording.name}: starts_s was changed"
        yield "inputs stay as they are", changed


def _check_events(case: _Case, events: Mapping[str, float]) -> Iterator[Outcome]:
    by_name = {recording.name: recording for recording in case.recordings}
    for name, second in events.items():
        arrays = case.read(by_name[name])
        finite = np.flatnonzero(np.isfinite(arrays.reshape(len(arrays), -1)).all(axis=1))
        expected = int(second / case.window_s)
        if not len(finite) or expected not in finite or finite[0] >= expected:
            yield "events", f"{name}: windows before and at {second:g} s are not both there"
            continue
        distance = np.abs(arrays - arrays[finite[0]]).reshape(len(arrays), -1).max(axis=1)
        shown = int(np.flatnonzero(distance > CHANGED * np.nanmax(distance))[0]) if np.nanmax(distance) > 0 else None
        where = "in no window" if shown is None else f"in window {shown}"
        yield "events", None if shown == expected else f"{name}: {second:g} s shows {where}, expected window {expected}"


def _check_clock(case: _Case) -> Iterator[Outcome]:
    for recording in case.recordings:
        alone = replace(recording, video=None, video_info=None)
        yield "without it", None if np.isnan(case.read(alone)).all() else f"{recording.name}: it read something"
        starts = case.starts(recording)
        later = starts[starts + SHIFT_S + case.window_s <= recording.seconds + 1e-9]
        if recording.video is None or not len(later):
            continue
        moved = replace(recording, video_start_s=recording.video_start_s + SHIFT_S, seconds=recording.seconds - SHIFT_S)
        a, b = case.read(moved, later), case.read(recording, later + SHIFT_S)
        same = np.allclose(a, b, equal_nan=True, **CLOSE)
        yield "the clock", None if same else f"{recording.name}: windows differ by up to {np.nanmax(np.abs(a - b)):.2g}"


def _files(recordings: Sequence[Recording]) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file in the folders of the recordings."""
    folders = {file.parent for r in recordings for file in (r.video, r.signals) if file is not None}
    every: list[Path] = [f for folder in folders for f in sorted(folder.rglob("*")) if f.is_file()]
    return {str(f): (s.st_size, s.st_mtime_ns) for f in every for s in [f.stat()]}


def _check_unchanged(recordings: Sequence[Recording], before: dict[str, tuple[int, int]]) -> Iterator[Outcome]:
    after = _files(recordings)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    yield "files stay as they are", f"{changed[0]} was written" if changed else None

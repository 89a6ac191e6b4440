"""CASE, signals and a joystick for valence and arousal, no video (Sharma et al. 2019).

"A dataset of continuous affect annotations and physiological signals for emotion analysis", without an account from
https://springernature.figshare.com/articles/dataset/CASE_Dataset-full/8869157. 30 subjects watched eight films, with a
blue screen of two minutes between them, and moved a joystick all the time. Files that are looked for, in ROOT and up to
four folders below it, in this order:

    interpolated/physiological/sub_1.csv, interpolated/annotations/sub_1.csv
    non-interpolated/physiological/sub_1.csv, non-interpolated/annotations/sub_1.csv
    raw/physiological/sub1_DAQ.txt, raw/annotations/sub1_joystick.txt, with two tables in metadata/

What is in them: case_file.py. A recording is a film of a subject, with the last seconds of the screen before it as its
baseline. The signals' clock says when it was shown; the joystick's own says so too, and the two are compared.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import BadRecording
from ..text import shortened
from .case_file import (
    BLUE,
    CHANNELS,
    END,
    FILMS,
    FORMS,
    JOYSTICK_HZ,
    LENGTHS,
    ORDER,
    RATE_HZ,
    RATED,
    RAW,
    SCALE,
    START,
    VIDEOS,
    Files,
    Session,
    Span,
    read_sequences,
    read_session,
    unit_of,
)
from .label_columns import LabelColumn
from .label_traces import Trace
from .recording import Recording, Signals, read_stamp, require_folder
from .sample_checks import with_sample_checks
from .trace_file import trace_during, trace_warnings
from .units import impossible

SUBJECTS = range(1, 31)
STORE_HZ = 128
BASELINE_S = 10  # the last seconds of the screen before a film
PADDING_S = 5  # of signals around what is used, so that no filter's edge is in it
STEP_S = 1 / JOYSTICK_HZ
DISAGREEMENT_S = 1.0  # by which the two clocks may differ in a film's start and end; more makes it unusable
GAP_S, LONGEST_GAP_S = 0.1, 1.0  # without a sample: reported, refused
EMOTIONS = ("amusing", "boring", "relaxed", "scary")  # of which there are two films each, in this order
INTENDED = "intended_emotion"
LABELS = (
    *(LabelColumn(name, SCALE, label_set="felt", trace=True) for name in RATED),
    LabelColumn(INTENDED, classes=EMOTIONS, label_set="intended"),
)
SCREENS = {START: "the start video", BLUE: "a blue screen", END: "the end video"}
_DEEPEST = 4  # folders below ROOT in which files are looked for
_PARTS = ("physiological", "annotations")
_NAMES = {
    _PARTS[0]: re.compile(r"sub_(\d{1,3})\.csv|sub(\d{1,3})_DAQ\.txt", re.IGNORECASE),
    _PARTS[1]: re.compile(r"sub_(\d{1,3})\.csv|sub(\d{1,3})_joystick\.txt", re.IGNORECASE),
}
_Folders = dict[tuple[str, Path], dict[str, dict[int, Path]]]  # form and folder -> part -> subject -> file


@dataclass(frozen=True)
class Reader:
    """A folder with CASE. Opened by `open_corpus("case", root)`."""

    root: Path
    synthetic: bool
    source: str  # which form of the files is read
    files: dict[str, dict[int, Path]]  # part -> subject -> file
    sequences: tuple[tuple[tuple[int, float], ...], ...]  # of raw files: of each subject
    others: tuple[str, ...]  # further folders with files, which are not read
    films: tuple[int, ...]  # that each subject should have: of a synthetic corpus, those that were made
    dataset = "case"
    rate_hz = float(STORE_HZ)
    baseline_s = float(BASELINE_S)
    frames_per_s = 10  # there is no video
    channels = CHANNELS
    labels = LABELS

    @classmethod
    def open(cls, root: Path) -> "Reader":
        """Return the corpus in a folder. Raises BadRecording if there is none, or raw files without metadata."""
        require_folder(root)
        truth = read_stamp(root)  # None unless `gbvnet synth` wrote it
        folders = _folders_below(root)
        if not folders:
            wanted = "files sub_1.csv or sub1_DAQ.txt in folders physiological and annotations, here or below"
            raise BadRecording(root, wanted, "none", "Unpack the archive of the corpus into it.")
        (form, folder), *others = sorted(folders, key=lambda place: (FORMS.index(place[0]), place[1]))
        if others and others[0][0] == form:
            actual = " and ".join(str(place.relative_to(root)) for place in (folder, others[0][1]))
            raise BadRecording(root, f"one folder of {form} files", actual, "Give one of the two folders.")
        sequences = tuple(read_sequences(_metadata(root, folder))) if form == RAW else ()
        films = truth.get("films") if truth else None
        made = tuple(int(film) for film in films if str(film).isdigit()) if isinstance(films, dict) else tuple(FILMS)
        left = tuple(f"{other} ({place.relative_to(root)})" for other, place in others)
        return cls(root, truth is not None, form, folders[form, folder], sequences, left, made)

    @property
    def units(self) -> tuple[str, ...]:
        """The subjects with a file: s01, s02, ..."""
        return tuple(f"s{number:02d}" for number in sorted({n for part in self.files.values() for n in part}))

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return what a subject lacks; or, of the whole corpus, which files are read and who is absent."""
        if unit is not None:
            return tuple(self._of_subject(unit))
        absent = [] if self.synthetic else [f"s{n:02d}" for n in SUBJECTS if f"s{n:02d}" not in self.units]
        notes = [f"no file of {', '.join(absent)}"] if absent else []
        if self.others:
            notes.append(f"the {self.source} files are read; not used: {', '.join(self.others)}")
        return tuple(notes)

    def _of_subject(self, unit: str) -> Iterator[str]:
        """Yield what to know of a subject's session as a whole."""
        try:
            session = self._session(unit)
        except BadRecording:  # `recordings` reports it
            return
        shown = {int(video) for video in np.unique(session.videos)}
        absent = [str(film) for film in self.films if film not in shown]
        if absent:
            yield f"no film {', '.join(absent)}"
        strange = sorted(shown - {0, *VIDEOS.values()})
        if strange:
            yield f"rows of videos that are not known are not used: {shortened([*map(str, strange)])}"
        ends = float(session.times_s[-1]), float(session.rated_s[-1])
        if abs(ends[0] - ends[1]) > DISAGREEMENT_S:
            yield f"the signals end at {ends[0]:.1f} s and the joystick at {ends[1]:.1f} s of one clock"

    def recordings(self, unit: str) -> list[Recording]:
        """Return a subject's films by number, with errors and warnings. Raises BadRecording if a file is no good."""
        session = self._session(unit)
        shown = {int(x) for videos in (session.videos, session.rated_videos) for x in np.unique(videos)}
        films = [film for film in FILMS if film in shown]
        if not films:
            wanted = "rows of films, videos 1 to 8"
            raise BadRecording(self._path(unit, _PARTS[0]), wanted, f"{len(session.times_s):,} rows without one")
        return [self._recording(unit, film, session) for film in films]

    def inspect(self, recording: Recording) -> Recording:
        """Return the recording as it is: there is no video."""
        return recording

    def signals(self, recording: Recording) -> Signals:
        """Return the signals of a film, (8, N) at 1 kHz, from 15 s before it to 5 s after it, if there are so many."""
        session = self._session(recording.subject)
        film = self._span(recording.subject, recording.row, session, rated=False)
        samples, onset = _cut(session, film)
        return Signals(samples, float(RATE_HZ), float(onset), CHANNELS)

    def _path(self, unit: str, part: str) -> Path:
        """Return one of a subject's two files. Raises BadRecording if it is not there."""
        number = int(unit[1:])
        if number in self.files[part]:
            return self.files[part][number]
        other = next(files[number] for files in self.files.values() if number in files)
        wanted = f"a file of subject {number} in folder {part}, as {other.name} is there"
        raise BadRecording(other.parents[1], wanted, "none", "Unpack it, too.")

    def _session(self, unit: str) -> Session:
        """Return a subject's session. Raises BadRecording."""
        signals, joystick = (self._path(unit, part) for part in _PARTS)
        number = int(unit[1:])
        if self.source == RAW and not 1 <= number <= len(self.sequences):
            wanted = f"a column of {ORDER} for subject {number}"
            raise BadRecording(signals, wanted, f"{len(self.sequences)} columns")
        return read_session(Files(signals, joystick, self.source, self.sequences[number - 1] if self.sequences else ()))

    def _recording(self, unit: str, film: int, session: Session) -> Recording:
        path, name = self._path(unit, _PARTS[0]), str(film)
        recording = Recording(f"{unit}_v{name}", self.dataset, unit, name, name, 0.0, signals=path, row=film)
        try:
            span = self._span(unit, film, session, rated=False)
            warnings = self._compared(unit, film, session, span) + self._baseline(path, film, session, span)
            warnings += _gaps(path, film, session, span)
            seconds = round(span.stop_s - span.start_s, 6)
            traces, notes = self._traces(unit, session, span, seconds)
        except BadRecording as error:
            return replace(recording, error=str(error))
        recording = replace(
            recording,
            seconds=seconds,
            ratings={INTENDED: EMOTIONS[(film - 1) // 2]},
            traces=traces,
        )
        samples, _ = _cut(session, span)
        kinds, names = zip(*((c.kind, c.name) for c in CHANNELS), strict=True)
        warnings += impossible(kinds, names, samples, [unit_of(c).unit for c in CHANNELS])
        recording = replace(recording, warnings=(*warnings, *notes))
        return with_sample_checks(recording, CHANNELS, [*samples], [float(RATE_HZ)] * len(CHANNELS))

    def _span(self, unit: str, film: int, session: Session, rated: bool) -> Span:
        """Return when a film was shown, by one of the files. Raises BadRecording unless it was shown once."""
        spans = session.spans(film, rated)
        if len(spans) != 1:
            path = self._path(unit, _PARTS[rated])
            actual = "no row" if not spans else f"{len(spans)} of them, the second from {spans[1].start_s:.2f} s on"
            raise BadRecording(path, f"one stretch of rows of video {film}", actual)
        return spans[0]

    def _compared(self, unit: str, film: int, session: Session, span: Span) -> list[str]:
        """Return warnings where the joystick's file disagrees on when a film was shown. Raises BadRecording."""
        rated, warnings = self._span(unit, film, session, rated=True), []
        for what, by_signals, by_joystick in (
            ("begins", span.start_s, rated.start_s),
            ("ends", span.stop_s, rated.stop_s),
        ):
            difference_s = abs(by_signals - by_joystick)
            if difference_s > DISAGREEMENT_S:
                wanted = f"video {film} to {what[:-1]} at {by_signals:.2f} s, as in {self._path(unit, _PARTS[0]).name}"
                raise BadRecording(self._path(unit, _PARTS[1]), wanted, f"{by_joystick:.2f} s")
            if difference_s > STEP_S + 2 / RATE_HZ:
                times = f"{by_signals:.3f} s by the signals' file and at {by_joystick:.3f} s by the joystick's"
                warnings.append(f"the film {what} at {times}: the former is used")
        return warnings

    def _baseline(self, path: Path, film: int, session: Session, span: Span) -> list[str]:
        """Return a warning if the baseline is no blue screen. Raises BadRecording without a screen before the film."""
        first, start = np.searchsorted(session.times_s, [span.start_s - BASELINE_S - 0.5 / RATE_HZ, span.start_s])
        before = {int(video) for video in np.unique(session.videos[first:start])}
        missing_s = BASELINE_S - (span.start_s - float(session.times_s[first]))
        if len(before) != 1 or not before <= set(SCREENS) or missing_s > 2 / RATE_HZ:
            listed = " and ".join(f"video {video}" for video in sorted(before)) or "nothing"
            wanted = f"{BASELINE_S} s of a screen (videos {START} to {END}) before video {film}"
            actual = f"{listed} in {min(BASELINE_S, BASELINE_S - missing_s):.2f} s"
            raise BadRecording(path, wanted, actual, "There is no baseline without it.")
        [screen] = before
        return [] if screen == BLUE else [f"the baseline is in {SCREENS[screen]}, no blue screen is before the film"]

    def _traces(self, unit: str, session: Session, span: Span, seconds: float) -> tuple[dict[str, Trace], list[str]]:
        """Return valence and arousal during a film, and warnings. Raises BadRecording for values off their scale."""
        path = self._path(unit, _PARTS[1])
        near = (session.rated_s > span.start_s - DISAGREEMENT_S) & (session.rated_s < span.stop_s + DISAGREEMENT_S)
        traces, warnings = {}, []
        for column, values in zip(LABELS, session.ratings, strict=False):
            trace = Trace(session.rated_s[near] - span.start_s, values[near])
            trace = trace_during(path, column, trace, seconds)
            off = [x for x in trace.values if not np.isnan(x) and not column.allows(float(x))]
            if off:
                actual = f"{off[0]:g} ({len(off)} of {len(trace.values)} rows of the film)"
                raise BadRecording(path, f"{column.name} {column.allowed}", actual)
            traces[column.name] = trace
            warnings += trace_warnings(path, column, trace, seconds)
        return traces, warnings


def _cut(session: Session, span: Span) -> tuple[np.ndarray, int]:
    """Return the samples around a film at 1 kHz, (8, N), and at which of them it starts."""
    before = min(BASELINE_S + PADDING_S, span.start_s - float(session.times_s[0]))
    after = min(float(PADDING_S), float(session.times_s[-1]) + 1 / RATE_HZ - span.stop_s)
    onset = int(before * RATE_HZ + 1e-6)
    n = onset + round((span.stop_s - span.start_s) * RATE_HZ) + max(0, int(after * RATE_HZ + 1e-6))
    return session.samples_at(span.start_s - onset / RATE_HZ, n), onset


def _gaps(path: Path, film: int, session: Session, span: Span) -> list[str]:
    """Return a warning on samples that lack in a film and its baseline. Raises BadRecording if it is too long."""
    first, stop = np.searchsorted(session.times_s, [span.start_s - BASELINE_S, span.stop_s])
    steps = np.diff(session.times_s[first:stop])
    gaps = np.flatnonzero(steps > GAP_S)
    if not len(gaps):
        return []
    at = int(np.argmax(steps))
    longest, at_s = float(steps[at]), float(session.times_s[first + at])
    if longest > LONGEST_GAP_S:
        wanted = f"samples of video {film} without a gap of over {LONGEST_GAP_S:g} s"
        raise BadRecording(path, wanted, f"{longest:.2f} s at {at_s:.2f} s")
    where = f"the longest of {longest:.2f} s, {at_s - span.start_s:.1f} s after the film's start"
    many = f"{len(gaps)} gap{'s' * (len(gaps) > 1)} in the signals, interpolated"
    return [f"{many}: {where}"]


# ---------------------------------------------------------------- files


def _folders_below(root: Path) -> _Folders:
    """Return the files of each form and folder. Raises BadRecording for a folder that cannot be read."""
    folders: _Folders = {}

    def refuse(error: OSError) -> None:
        raise BadRecording(error.filename or root, "a folder that can be read", error.strerror) from None

    for place, below, names in os.walk(root, onerror=refuse):
        folder = Path(place)
        if len(folder.relative_to(root).parts) == _DEEPEST:
            below.clear()
        part = folder.name.lower()
        for name in sorted(names) if part in _PARTS else []:
            if match := _NAMES[part].fullmatch(name):
                parent = folder.parent
                raw = match[1] is None
                form = RAW if raw else FORMS[1] if parent.name.lower().startswith("non") else FORMS[0]
                parts = folders.setdefault((form, parent), {each: {} for each in _PARTS})
                parts[part][int(match[1] or match[2])] = folder / name
    return folders


def _metadata(root: Path, raw: Path) -> Path:
    """Return the folder with the order of the videos, by its usual places; below the corpus' root if there is none."""
    places = [raw.parents[k] / "metadata" for k in range(min(3, len(raw.parents)))]
    places = [root / "metadata", root, *places]
    return next((place for place in places if (place / ORDER).is_file() and (place / LENGTHS).is_file()), places[0])

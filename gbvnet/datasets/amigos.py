"""AMIGOS, the 16 short films: EEG, ECG, skin and face video (Miranda-Correa et al. 2018).

"AMIGOS: A Dataset for Affect, Personality and Mood Research on Individuals and Groups", under its licence from
https://www.eecs.qmul.ac.uk/mmv/datasets/amigos/. The long films are the corpus amigos-long (amigos_long.py). Files that
are looked for, in ROOT and up to three folders below it:

    Data_Preprocessed_P01.mat ... P40.mat      signals, ratings and annotations of all films (amigos_file.py)
    P01_18_face.mov ...                        face video of participant 1 and film 18, where there is one

A face video begins 5 s before its film, as the signals do; one that is as long as the film alone is not used.
What is known of these files is second-hand (public readers), so it is compared wherever two sources give it. The unit
and the direction of the skin channel are not known: it is kept as recorded.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..errors import BadRecording
from ..io.video import probe
from ..text import shortened
from .amigos_file import (
    BASELINE_S,
    CHANNELS,
    EXTERNAL,
    FELT,
    FILMS,
    IDS,
    LABELS,
    RATE_HZ,
    SEGMENT_S,
    SHORT,
    SIGNALS,
    ParticipantFile,
    segment_traces,
)
from .amigos_probes import order_of_columns, skin_direction
from .label_traces import Trace
from .recording import Recording, Signals, read_stamp, require_folder
from .sample_checks import with_sample_checks

PARTICIPANTS = tuple(f"P{number:02d}" for number in range(1, 41))
VIDEO_START_S = 5.0  # of a film, on the clock of its face video
SLACK_S = 1.0  # a video or a film that is so much longer or shorter than expected is reported
PROBED = 3  # participants whose skin channel is looked at
_DEEPEST = 3  # folders below ROOT in which files are looked for
_MAT = re.compile(r"Data_Preprocessed_(P\d\d)\.mat", re.IGNORECASE)
_VIDEO = re.compile(r"(P\d\d)_([A-Z]?\d{1,3})_face\.(?:mov|mp4|avi)", re.IGNORECASE)


@dataclass(frozen=True)
class Reader:
    """A folder with AMIGOS. Opened by `open_corpus("amigos", root)`."""

    root: Path
    synthetic: bool
    files: dict[str, tuple[Path, ...]]  # participant -> MATLAB files
    videos: dict[tuple[str, str], tuple[Path, ...]]  # participant, film -> face videos
    expected: tuple[str, ...]  # films that each participant should have: of a synthetic corpus, those that were made
    dataset = "amigos"
    source = "preprocessed"
    rate_hz = float(RATE_HZ)
    baseline_s = float(BASELINE_S)
    frames_per_s = 10
    channels = CHANNELS
    labels = LABELS
    films: ClassVar[dict[str, int]] = SHORT

    @classmethod
    def open(cls, root: Path) -> "Reader":
        """Return the corpus in a folder. Raises BadRecording if there is none."""
        require_folder(root)
        truth = read_stamp(root)  # None unless `gbvnet synth` wrote it; only then are films of other lengths
        files, videos = _files_below(root)
        if not files:
            wanted = "files Data_Preprocessed_P01.mat to P40.mat, here or in a folder below"
            raise BadRecording(root, wanted, "none", "Unpack the archives of the preprocessed MATLAB data into it.")
        made = tuple(cls.films) if truth is None else tuple(truth.get("films", ()))
        return cls(root, truth is not None, files, videos, tuple(film for film in cls.films if film in made))

    @property
    def units(self) -> tuple[str, ...]:
        """The participants with a MATLAB file: P01, P02, ..."""
        return tuple(sorted(self.files))

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return what a participant lacks; or, of the whole corpus, who is absent and what probes of columns say."""
        if unit is not None:
            return tuple(self._lacking(unit))
        absent = [] if self.synthetic else [name for name in PARTICIPANTS if name not in self.files]
        notes = [f"no file of {', '.join(absent)}"] if absent else []
        return (*notes, *order_of_columns(self._pairs()), *skin_direction(self._skin()))

    def _lacking(self, unit: str) -> Iterator[str]:
        """Yield a note for each kind of data that the corpus itself lacks for some films of a participant."""
        try:
            file = self._file(unit)
            whole = {film for film in self.films if file.has(SIGNALS, film)}
            felt = {film for film in whole if file.has(FELT, film)}
        except BadRecording:  # `recordings` reports it
            return
        absent = [film for film in self.expected if film not in file.cells]
        empty = [film for film in self.expected if film in file.cells and film not in whole]
        if absent:
            yield f"no cell of {_films(absent)} in {IDS}"
        if empty:
            yield f"no signals of {_films(empty)}"
        if whole - felt:
            yield f"no self-assessment of {_films([film for film in self.films if film in whole - felt])}"
        unknown = [files for (of, film), files in self.videos.items() if of == unit and film not in FILMS]
        stray = sorted(file.name for files in unknown for file in files)
        if stray:
            yield f"videos of no film, not used: {shortened(stray)}"

    def recordings(self, unit: str) -> list[Recording]:
        """Return a participant's films with signals, each with its errors and warnings. Raises BadRecording."""
        file = self._file(unit)
        return [self._recording(unit, film, file) for film in self.films if file.has(SIGNALS, film)]

    def inspect(self, recording: Recording) -> Recording:
        """Return the recording with the properties of its video, which is left out where its start is in doubt.

        Raises BadRecording if the video is broken.
        """
        if recording.video is None:
            return recording
        info = probe(recording.video)
        recording = replace(recording, video_info=info, warnings=(*recording.warnings, *info.notes))
        wanted = VIDEO_START_S + recording.seconds
        if abs(info.seconds - wanted) <= SLACK_S:
            return recording
        lasts = f"the video lasts {info.seconds:.1f} s, and the film with the {BASELINE_S} s before it {wanted:.1f} s"
        if abs(info.seconds - recording.seconds) > SLACK_S:
            return replace(recording, warnings=(*recording.warnings, lasts))
        warning = f"{lasts}: it may begin with the film itself, so that its start is not known, and it is not used"
        return replace(recording, video=None, video_info=None, warnings=(*recording.warnings, warning))

    def signals(self, recording: Recording) -> Signals:
        """Return signals (17, (5 + seconds) * 128), of which the first 5 s are before the film."""
        samples = self._file(recording.subject).samples(recording.stimulus)
        return Signals(samples, float(RATE_HZ), float(BASELINE_S * RATE_HZ), CHANNELS)

    def _file(self, unit: str) -> ParticipantFile:
        """Return a participant's file. Raises BadRecording if it cannot be used or there are several."""
        return ParticipantFile.open(self._only(self.files[unit], f"one file of {unit}"))

    def _only(self, paths: tuple[Path, ...], wanted: str) -> Path:
        if len(paths) > 1:
            actual = f"{len(paths)}: {', '.join(str(path.relative_to(self.root)) for path in paths)}"
            raise BadRecording(self.root, wanted, actual, "Take away those that do not belong here.")
        return paths[0]

    def _recording(self, unit: str, film: str, file: ParticipantFile) -> Recording:
        recording = Recording(
            f"{unit}_{film}", self.dataset, unit, film, film, 0.0, signals=file.path, row=file.cells[film]
        )
        try:
            if videos := self.videos.get((unit, film)):
                video = self._only(videos, f"one face video of {unit} and film {film}")
                recording = replace(recording, video=video, video_start_s=VIDEO_START_S)
            samples = file.samples(film)
            seconds = samples.shape[1] / RATE_HZ - BASELINE_S
            recording = replace(recording, seconds=seconds, ratings=file.ratings(film))
            traces, warnings = self._traces(film, seconds, file)
        except BadRecording as error:
            return replace(recording, error=str(error))
        if not recording.ratings and not traces:
            reason = BadRecording(file.path, f"a label of {recording.name}", "neither felt nor external ratings")
            return replace(recording, error=str(reason))
        if not recording.ratings:
            warnings.insert(0, "no self-assessment: only annotators' ratings")
        recording = replace(recording, traces=traces, warnings=tuple(warnings))
        return with_sample_checks(recording, CHANNELS, list(samples), [float(RATE_HZ)] * len(CHANNELS))

    def _traces(self, film: str, seconds: float, file: ParticipantFile) -> tuple[dict[str, Trace], list[str]]:
        """Return the annotators' ratings of a film over time, if they fit its length, and warnings."""
        if not file.has(EXTERNAL, film):
            return {}, ["no external annotation"]
        rows, warnings, segments = file.annotation(film), [], self.films[film]
        shortest = SEGMENT_S * (segments - 2)
        if not self.synthetic and not shortest - SLACK_S <= seconds <= shortest + SEGMENT_S + SLACK_S:
            warnings.append(f"the film lasts {seconds:.1f} s, which does not fit its {segments} segments of 20 s")
        traces = segment_traces(rows, seconds)
        if traces is None:
            wanted = int(seconds // SEGMENT_S) + 2
            numbered = "" if len(rows) != wanted else ", not numbered one after the other,"
            actual = f"{len(rows)} annotated segments{numbered} where a film of {seconds:.1f} s has {wanted}"
            warnings.append(f"{actual}: external ratings are not used")
        return traces or {}, warnings

    def _pairs(self) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
        """Return film -> of each participant the first two felt ratings and the mean external ones, (2,) each."""
        pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for unit in self.units:
            try:
                file = self._file(unit)
                for film in self.films:
                    if file.has(FELT, film) and file.has(EXTERNAL, film) and (felt := file.ratings(film)):
                        first = np.array([felt["arousal"], felt["valence"]], np.float64)
                        pairs.setdefault(film, []).append((first, file.annotation(film)[:, 1:].mean(axis=0)))
            except BadRecording:  # `recordings` reports it
                continue
        return pairs

    def _skin(self) -> Iterator[np.ndarray]:
        """Yield the skin channel of each film of the first participants, (N,)."""
        for unit in self.units[:PROBED]:
            try:
                file = self._file(unit)
                yield from [file.samples(film)[-1] for film in self.films if file.has(SIGNALS, film)]
            except BadRecording:
                continue


def _films(names: list[str]) -> str:
    return f"film{'s' * (len(names) > 1)} {', '.join(names)}"


def _files_below(root: Path) -> tuple[dict[str, tuple[Path, ...]], dict[tuple[str, str], tuple[Path, ...]]]:
    """Return the MATLAB files of each participant, and the videos of each participant and film. Raises BadRecording."""
    files: dict[str, tuple[Path, ...]] = {}
    videos: dict[tuple[str, str], tuple[Path, ...]] = {}

    def refuse(error: OSError) -> None:
        raise BadRecording(error.filename or root, "a folder that can be read", error.strerror) from None

    for folder, below, names in os.walk(root, onerror=refuse):
        if len(Path(folder).relative_to(root).parts) == _DEEPEST:
            below.clear()
        below.sort()
        for name in sorted(names):
            if match := _MAT.fullmatch(name):
                files[match[1].upper()] = (*files.get(match[1].upper(), ()), Path(folder, name))
            elif match := _VIDEO.fullmatch(name):
                of = match[1].upper(), match[2].upper()
                videos[of] = (*videos.get(of, ()), Path(folder, name))
    return files, videos

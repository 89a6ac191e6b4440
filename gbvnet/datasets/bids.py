"""Any BIDS dataset with ratings of emotion: EEG, physio files and videos, by a small mapping file.

BIDS says where signals and events are. It says nothing of ratings, and of ten datasets of emotion no two place and name
valence and arousal alike. So a mapping (bids_mapping.py) says which column is which rating, on what scale, which events
are trials and in which unit their onsets are. Mappings of some datasets are part of gbvnet (docs/corpora/bids.md).

A unit is a subject (sub-01: 01), a recording one trial of a run.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import BadRecording
from .bids_columns import rating_columns
from .bids_files import BidsFiles, BidsRun, channel_types
from .bids_mapping import FILE, BidsMapping, find_mapping
from .bids_physio import run_sources, trial_video, video_offset
from .bids_traces import channel_traces
from .bids_trials import BidsTrial, RunTrials, Span, rating_cells, run_trials, unreached_thirds
from .bids_units import unit_notes
from .channel_names import same_channels
from .film_times import times_file_of
from .formats.bids_names import not_fetched
from .formats.signal_file import TextProperties, open_signals
from .known_channels import known_channels
from .label_columns import LabelColumn
from .names import normal
from .recording import Channel, Recording, Signals, read_stamp
from .signal_sources import SignalSource
from .trial_files import TrialFiles, shared_seconds
from .units import ELECTRICAL, MARK

# Types of channels.tsv -> kinds; channels of all other types are not used.
TYPES = {
    "EEG": "eeg", "EOG": "eog", "HEOG": "eog", "VEOG": "eog", "ECG": "ecg", "EMG": "emg", "GSR": "gsr", "EDA": "gsr",
    "PPG": "ppg", "RESP": "resp", "TEMP": "temp",
}  # fmt: skip
TRIED = 10  # runs that cannot be used, after which no further one is looked at for the names of channels
SLACK_S = 0.001  # by which trials may overlap: rounding of onsets and durations


@dataclass(frozen=True)
class Reader:
    """A BIDS dataset with its mapping. Opened by `open_corpus("bids", root, mapping=...)`."""

    files: BidsFiles
    mapping: BidsMapping
    channels: tuple[Channel, ...]
    synthetic: bool

    @property
    def dataset(self) -> str:
        """Name of the corpus in stores and reports, by the mapping."""
        return self.mapping.content.dataset

    @property
    def source(self) -> str:
        """What changes samples: a store made with other settings is refused."""
        units = "" if all(c.kind in ELECTRICAL for c in self.channels) else f", {MARK}"
        return f"{'filtered' if self.mapping.content.filtered else 'not filtered'}{units}"

    @property
    def source_folder(self) -> Path:
        """What the files of recordings are relative to in a store."""
        return self.files.root

    @property
    def rate_hz(self) -> float:
        """Sampling rate of the store."""
        return float(self.mapping.content.rate_hz)

    @property
    def baseline_s(self) -> float:
        """Seconds before each stimulus that are its baseline."""
        return float(self.mapping.content.baseline_s)

    @property
    def frames_per_s(self) -> int:
        """Face frames per second in the store."""
        return self.mapping.content.frames_per_s

    @cached_property
    def has_videos(self) -> bool:
        """Whether recordings may have a video."""
        runs = (run for subject in self.units for run in self.files.runs(subject))
        return self.mapping.content.video is not None or any(run.videos() for run in runs)

    @property
    def labels(self) -> tuple[LabelColumn, ...]:
        """The labels that the mapping declares."""
        return self.mapping.labels

    @classmethod
    def open(cls, root: Path, mapping: str | None = None) -> "Reader":
        """Return a dataset. mapping : a YAML file, or the name of a mapping that is part of gbvnet

        Raises BadRecording for a folder that is no dataset, and where there is no mapping; BadConfig for a name that is
        none.
        """
        plain = BidsFiles.open(root)
        chosen = find_mapping(root, mapping, plain.description())
        if chosen is None:
            raise _without_mapping(plain)
        files = replace(plain, kind=chosen.content.kind, tasks=chosen.tasks)
        corpus = cls(files, chosen, (), read_stamp(root) is not None)
        return replace(corpus, channels=corpus._known_channels())

    @property
    def units(self) -> tuple[str, ...]:
        """The labels of the subjects."""
        return self.files.subjects

    # ------------------------------------------------------------ channels

    def _known_channels(self) -> tuple[Channel, ...]:
        """Return the channels of the mapping, else those of the first readable signal file, and of physio files.

        Raises BadRecording if there is none.
        """
        content = self.mapping.content
        kinds: dict[str, Any] = dict(content.channels) if content.channels else self._first_kinds()
        for about in content.physio.values():
            kinds |= {f"{about.prefix}{name}": kind for name, kind in about.channels.items()}
        return tuple(Channel(name, kind, content.filtered) for name, kind in kinds.items())

    def _first_kinds(self) -> dict[str, Any]:
        """Return the kinds of the channels of the first signal file that can be read, by name."""
        if self.mapping.content.kind == "beh":
            return {}
        unread: BadRecording | None = None
        n_tried = 0
        for run in (run for subject in self.units for run in self.files.runs(subject)):
            try:
                run_sources(run, self.mapping)
                kinds = self._kinds_of(run)
            except BadRecording as error:  # its own recordings report it
                unread = unread or error
                n_tried += not_fetched(error.path) is None if isinstance(error.path, Path) else 1
                if n_tried == TRIED:
                    break
                continue
            if kinds:
                return kinds
            unread = unread or BadRecording(
                run.signals.path, "channels whose names or types in channels.tsv tell their kind", "none",
                f"Name them in {self.mapping.path.name}: channels: {{NAME: eeg}}.",
            )  # fmt: skip
        of = f" of task {', '.join(self.files.tasks)}" if self.files.tasks else ""
        wanted = f"signal files sub-*_{self.files.kind}{of}"
        raise unread or BadRecording(
            self.files.root, wanted, "none", f"See `kind` and `tasks` in {self.mapping.path.name}."
        )

    def _kinds_of(self, run: BidsRun) -> dict[str, Any]:
        """Return the kinds of a run's channels: by their types in channels.tsv, else by their names."""
        kinds, (types, _) = dict(known_channels(run.signals.path).kinds), channel_types(run)
        for name, type_ in types.items():
            if type_ in TYPES and name in open_signals(run.signals.path).names:
                kinds[name] = TYPES[type_]
            elif type_ not in TYPES:
                kinds.pop(name, None)
        unused = {one.channel for one in self.mapping.content.ratings.labels.values()}
        unused |= {name for spellings in same_channels(list(kinds)) for name in spellings}  # one electrode, twice
        return {name: kind for name, kind in kinds.items() if name not in unused}

    # ------------------------------------------------------------ recordings

    def recordings(self, unit: str) -> list[Recording]:
        """Return the trials of a subject's runs that have ratings, each with its errors."""
        return [recording for run in self.files.runs(unit) for recording in self._run_recordings(unit, run)]

    def _run_recordings(self, unit: str, run: BidsRun) -> list[Recording]:
        name = f"sub-{unit}{'_' * bool(run.label)}{run.label}"
        blank = Recording(normal(name), self.dataset, normal(unit), run.label or "1", "", 0.0)
        try:
            sources = run_sources(run, self.mapping)
            trials = self._trials(run).trials
        except BadRecording as error:
            return [replace(blank, error=str(error))]
        return self._without_overlaps([self._recording(run, trial, blank, sources) for trial in trials])

    def _trials(self, run: BidsRun) -> RunTrials:
        return run_trials(run, self.mapping, self._span(run))

    def _span(self, run: BidsRun) -> Span | None:
        """Return the seconds and the rate of a run's first signal file; None if it cannot be opened."""
        try:
            file = open_signals(run_sources(run, self.mapping)[0].file)
            rate_hz = Counter(file.rates_hz).most_common(1)[0][0]  # of the EEG, where others differ
            return Span(file.segments[0].start_s, file.segments[-1].stop_s, rate_hz)
        except BadRecording:  # an error of each trial, once it is inspected
            return None

    def _recording(
        self, run: BidsRun, trial: BidsTrial, blank: Recording, sources: tuple[SignalSource, ...]
    ) -> Recording:
        number = f"{trial.number:02d}"
        recording = replace(
            blank, name=f"{blank.name}_trial-{number}", trial=f"{run.label}_{number}".lstrip("_"), row=trial.number,
            stimulus=normal(trial.stimulus) or f"{run.label}_{number}".lstrip("_"), signals=sources[0].file,
        )  # fmt: skip
        try:
            if trial.error is not None:
                raise BadRecording(f"{trial.place} ({recording.name})", *trial.error)
            about = self.mapping.content.video
            video = trial_video(self.files.root, run, trial, about)
            times = times_file_of(video) if video is not None else None
            offset, warning = video_offset(run, video, about, times) if video is not None else (0.0, "")
            begin = trial.start_s if about is None or about.begins == "run" else 0.0
            return replace(
                recording, seconds=round(trial.stop_s - trial.start_s, 6), ratings=dict(trial.ratings), video=video,
                video_start_s=begin + offset, signal_times=(trial.start_s, None), traces=self._traces(run, trial),
                video_times=times,
                signal_files=() if len(sources) == 1 and sources[0].is_plain else sources,
                warnings=(warning,) if warning else (),
            )  # fmt: skip
        except BadRecording as error:
            return replace(recording, error=str(error))

    def _traces(self, run: BidsRun, trial: BidsTrial) -> dict[str, Any]:
        ratings = self.mapping.content.ratings
        if ratings.source != "channels":
            return {}
        channels = {name: one.channel for name, one in ratings.labels.items()}
        columns = {column.name: column for column in self.labels}
        return channel_traces(run.signals.path, channels, columns, trial.start_s, trial.stop_s)

    def _without_overlaps(self, recordings: list[Recording]) -> list[Recording]:
        """Return recordings, those with an error that share seconds with another."""
        good = [r for r in recordings if not r.error]
        times = pd.DataFrame(
            [
                (r.name, r.signals.name, r.signal_times[0], (r.signal_times[0] or 0.0) + r.seconds)
                for r in good
                if r.signals
            ],
            columns=["name", "file", "start", "stop"],
        )
        shared = shared_seconds(times, SLACK_S)
        remedy = f"Windows would be in two trials. See `rows` and `duration` in {self.mapping.path.name}."
        return [
            replace(r, error=str(BadRecording(r.name, "trials that do not overlap", shared[r.name], remedy)))
            if r.name in shared
            else r
            for r in recordings
        ]

    # ------------------------------------------------------------ notes

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return notes on a subject's runs, or on the dataset: its mapping, its list of participants, its scales."""
        if unit is not None:
            return tuple(note for run in self.files.runs(unit) for note in self._run_notes(run))
        runs = [run for subject in self.units for run in self.files.runs(subject)]
        how = (
            [f"read by {self.mapping.how}; {FILE} in the dataset, or --mapping, replaces it"]
            if self.mapping.how
            else []
        )
        how += self._unused_channels()
        thirds = unreached_thirds(rating_cells(runs, self.mapping), self.labels)
        return (*how, *self.files.notes(), *thirds)

    def _unused_channels(self) -> list[str]:
        """Return a note on the channels of the first signal file that are not used, where the mapping names none."""
        content, used = self.mapping.content, {channel.name for channel in self.channels}
        ratings = {one.channel for one in content.ratings.labels.values()}
        for run in (run for subject in self.units for run in self.files.runs(subject)):
            try:
                run_sources(run, self.mapping)
                names = open_signals(run.signals.path).names if content.kind != "beh" and not content.channels else ()
            except BadRecording:
                continue
            other = [name for name in names if name not in used and name not in ratings]
            why = f"no kind is known by their type or name: name them under channels in {self.mapping.path.name}"
            return (
                [f"{len(other)} of {len(names)} channels are not used ({', '.join(other[:6])}); {why}"] if other else []
            )
        return []

    def _run_notes(self, run: BidsRun) -> Iterator[str]:
        prefix = f"{run.label}: " if run.label else ""
        try:
            notes = [*run.case_notes(), *run.split_notes(), *self._trials(run).notes, *self._channel_notes(run)]
        except BadRecording:
            return  # it is an error of the run
        yield from (f"{prefix}{note}" for note in notes)

    def _channel_notes(self, run: BidsRun) -> list[str]:
        """Return notes on channels.tsv: other names than those in the file, channels that it calls bad."""
        if self.mapping.content.kind == "beh":
            return []
        _, table = channel_types(run)
        if table is None:
            return []
        named = {row["name"] for row in table.rows if row.get("name")}
        held = set(open_signals(run.signals.path).names)
        notes = [*table.notes]
        for what, names in (("not in the file", named - held), ("not in channels.tsv", held - named)):
            if names:
                notes.append(
                    f"{len(names)} channels of {run.signals.path.name} are {what}: {', '.join(sorted(names)[:5])}"
                )
        notes += unit_notes(run, table, self.channels)
        used = {channel.name for channel in self.channels}
        bad = sorted(r["name"] for r in table.rows if r.get("status") == "bad" and r.get("name") in used)
        return notes + (
            [f"channels.tsv calls {len(bad)} channels bad, which are used: {', '.join(bad[:8])}"] if bad else []
        )

    # ------------------------------------------------------------ files

    @cached_property
    def _trial_files(self) -> TrialFiles:
        return TrialFiles(self.channels, self.baseline_s, TextProperties(), self.mapping.path.name)

    def inspect(self, recording: Recording) -> Recording:
        """Return the recording with its files' properties. Raises BadRecording if one is damaged or too short."""
        return self._trial_files.inspect(recording, recording.name)

    def signals(self, recording: Recording) -> Signals:
        """Return signals of stimulus and baseline, with a margin for filters; microvolts for electrical channels."""
        return self._trial_files.signals(recording, recording.name)


def _without_mapping(files: BidsFiles) -> BadRecording:
    """Return the error of a dataset without a mapping, with the columns that may be ratings."""
    columns = rating_columns(files)
    held = "; ".join(f"{c.table} {c.name} ({c.low:g} to {c.high:g})" for c in columns[:12])
    actual = (
        f"none; columns that may be ratings: {held}" if columns else "none, and no column that is named like a rating"
    )
    root = files.root
    return BadRecording(
        root, f"{FILE} in it, or --mapping, which says what the ratings and trials are", actual,
        f"`gbvnet table init --bids {root}` writes a draft to look over.",
    )  # fmt: skip

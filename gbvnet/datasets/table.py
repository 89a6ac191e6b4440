"""Recordings of your own, described by a table.

Each row names a trial: its subject, its files, its start and stop, its ratings.

    ROOT/recordings.csv     a row a trial; commas, semicolons or tabs between; or ROOT itself is that file. Columns:
        recording           a unique name; SUBJECT_TRIAL if absent
        subject, trial      the subject, and the subject's trial
        stimulus            its name; each trial has its own if absent
        video, signals      files, relative to the table; either may be absent in a row. Several signal files, with the
                            offset of each on the first one's clock: eeg.edf + wrist.csv@-3.2 (`signal_sources`)
        start_s, stop_s     the stimulus on the signals' clock (on the video's, where there are no signals)
        baseline_start_s    start of the baseline period; immediately before the stimulus if absent
        video_offset_s      time on the video's clock minus time on the signals'; 0 if absent
        video_times         the times of the video's frames on the signals' clock, a line a frame, instead of an offset;
                            film.times.csv beside film.mp4 if absent and there (`film_times`); or an .xdf with a stream
                            of the frames' numbers (`xdf_frames`)
        recording_start_utc when second 0 of the row was, with a time zone: places devices that know their own start
        ratings_file        ratings that change in time: a CSV with a column `time` in seconds on the clock of start_s
        valence, arousal, dominance, liking, ...    the labels that table.yaml declares; without it, ratings from 1 to 9
    ROOT/table.yaml         optional: settings of all recordings (`Settings` in table_schema.py); or the rows too, as a
                            list `recordings`, where there is no recordings.csv

Signals are in any format that mne reads (EDF, BDF, FIF, BrainVision, EEGLAB), files of devices (Empatica, Shimmer,
OpenBCI, Muse, Emotiv, BIOPAC), or CSV and TSV with a column a channel and either a column `time` in seconds or
`signals_rate_hz` in table.yaml.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ..errors import BadRecording
from .film_times import times_file_of
from .formats.signal_file import TextProperties
from .formats.signal_formats import is_recording
from .formats.text_file import number_of
from .known_channels import Known
from .label_columns import Label, LabelColumn
from .label_traces import Trace
from .recording import Channel, Recording, Signals, read_stamp, require_folder
from .table_schema import (
    FILES,
    SETTINGS,
    WORDS,
    Settings,
    find_table,
    label_line,
    read_settings,
    read_table,
    seconds_in,
)
from .trace_file import read_traces
from .trial_files import TABLE_KEYS, TrialFiles, first_known, shared_seconds
from .units import ELECTRICAL, MARK

VIDEO_SLACK_S = 0.1  # by which the clocks of two trials in one video may be off


@dataclass(frozen=True)
class Reader:
    """Recordings described by a table. Opened by `open_corpus("table", root)`."""

    file: Path
    settings: Settings
    channels: tuple[Channel, ...]
    synthetic: bool = False

    @property
    def source(self) -> str:
        """The settings that change samples: a store made with others is refused."""
        settings = self.settings
        rate = (
            f", {settings.signals_rate_hz:g} samples a second where the file tells none"
            if settings.signals_rate_hz
            else ""
        )
        units = "" if all(c.kind in ELECTRICAL for c in self.channels) else f", {MARK}"
        return f"{'filtered' if settings.filtered else 'not filtered'}, text in {settings.signals_unit}{rate}{units}"

    @property
    def dataset(self) -> str:
        """Name of the corpus in stores and reports."""
        return self.settings.dataset

    @property
    def source_folder(self) -> Path:
        """What the files in the table are relative to; a store then keeps which file each recording comes from."""
        return self.file.parent

    @property
    def rate_hz(self) -> float:
        """Sampling rate of the store."""
        return float(self.settings.rate_hz)

    @property
    def baseline_s(self) -> float:
        """Length of the baseline period before each stimulus."""
        return float(self.settings.baseline_s)

    @property
    def frames_per_s(self) -> int:
        """Face frames per second in the store."""
        return self.settings.frames_per_s

    @classmethod
    def open(cls, root: Path) -> "Reader":
        """Return the corpus of a table or its folder. Raises BadRecording if no table can be read."""
        if not root.is_file():
            require_folder(root)
        file, settings_file = find_table(root)
        settings = read_settings(settings_file)
        rows = read_table(file, settings.labels)
        return cls(file, settings, _channels(file, rows, settings), read_stamp(file.parent) is not None)

    @property
    def units(self) -> tuple[str, ...]:
        """The subjects, sorted by name; the line of a row that names none."""
        return tuple(sorted(self._rows()["subject"].unique()))

    @property
    def labels(self) -> tuple[LabelColumn, ...]:
        """The label columns that table.yaml declares."""
        return self.settings.labels

    def _rows(self) -> pd.DataFrame:
        return read_table(self.file, self.labels)

    def recordings(self, unit: str) -> list[Recording]:
        """Return a subject's recordings in the order of the table, each with its errors and warnings."""
        rows = self._rows()
        overlapping = _overlaps(rows[rows["refused"].isna()])
        mine = rows[rows["subject"] == unit]
        return [self._recording(row, overlapping.get(row["recording"])) for row in mine.to_dict("records")]

    def _recording(self, row: dict, overlap: str | None) -> Recording:
        recording = Recording(
            name=row["recording"], dataset=self.dataset, subject=row["subject"], trial=row["trial"],
            stimulus=row["stimulus"] or row["recording"], seconds=0.0,
        )  # fmt: skip
        try:
            if row["refused"]:
                raise BadRecording(self._line(row), *row["refused"])
            if overlap:
                raise BadRecording(
                    self._line(row), "trials that do not overlap", overlap, "Windows would be in two trials."
                )
            return self._check_row(row, recording)
        except BadRecording as error:
            return replace(recording, error=str(error))

    def _line(self, row: dict) -> str:
        return f"{self.file}, line {row['line']} ({row['recording']})"

    def _check_row(self, row: dict, recording: Recording) -> Recording:
        line = self._line(row)
        files = {name: self.file.parent / row[name] if row[name] else None for name in FILES}
        if not (files["video"] or files["signals"]):
            raise BadRecording(line, "a video or signals", "neither")
        sources = tuple(replace(one, file=self.file.parent / one.file) for one in row["signal_files"])
        named = [(name, file) for name, file in files.items() if file is not None]
        for name, file in (*named, *(("signals", source.file) for source in sources[1:])):
            if not (is_recording(file) if name == "signals" else file.is_file()):
                instead = f"the folder {file}" if file.is_dir() else f"no {file}"
                raise BadRecording(line, f"the file in column {name}", instead, "Paths are relative to the table.")
        start, stop = (seconds_in(line, row, name) for name in ("start_s", "stop_s"))
        if start is None or stop is None or not 0 <= start < stop:
            times = f"{row['start_s']!r} and {row['stop_s']!r}"
            raise BadRecording(line, "0 <= start_s < stop_s", times, "They are when the stimulus starts and stops.")
        ratings, warnings = _ratings(line, row, self.labels)
        traces, notes = dict[str, Trace](), list[str]()
        if files["ratings_file"]:
            traces, notes = read_traces(files["ratings_file"], self.labels, start, stop)
        offset = seconds_in(line, row, "video_offset_s") or 0.0
        video_times = _video_times(line, files, offset)
        return replace(
            recording, seconds=round(stop - start, 6), ratings=ratings, video=files["video"], signals=files["signals"],
            video_start_s=start + offset, video_times=video_times, row=int(row["line"]),
            warnings=(*warnings, *notes), traces=traces,
            signal_times=(start, seconds_in(line, row, "baseline_start_s")) if files["signals"] else (),
            signal_files=() if len(sources) == 1 and sources[0].is_plain else sources,
        )  # fmt: skip

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return which channels are not used, where table.yaml does not list them."""
        if unit is not None or self.settings.channels or not self.channels:
            return ()
        known = _first_known(self.file, self._rows())
        return known.notes if isinstance(known, Known) else ()

    @property
    def _files(self) -> TrialFiles:
        text = TextProperties(self.settings.signals_rate_hz, self.settings.signals_unit)
        return TrialFiles(self.channels, self.baseline_s, text, SETTINGS, keys=TABLE_KEYS)

    def _place(self, recording: Recording) -> str:
        return f"{self.file}, line {recording.row} ({recording.name})"

    def inspect(self, recording: Recording) -> Recording:
        """Return the recording with its files' properties. Raises BadRecording if one is damaged or too short."""
        return self._files.inspect(recording, self._place(recording))

    def signals(self, recording: Recording) -> Signals:
        """Return signals of stimulus and baseline, with a margin for filters; microvolts for electrical channels."""
        return self._files.signals(recording, self._place(recording))


# ---------------------------------------------------------------- what a row says


def _ratings(line: str, row: dict, labels: Iterable[LabelColumn]) -> tuple[dict[str, Label], list[str]]:
    """Return the labels of a row by column, with notes; low and high are the ends of a scale.

    Raises BadRecording for what its column does not allow.
    """
    ratings, warnings = dict[str, Label](), []
    for column in labels:
        name, text = column.name, row[column.name]
        if not text:
            continue
        if column.trace:
            wanted = f"nothing in column {name}, which changes in time"
            raise BadRecording(line, wanted, repr(text), "Its values are in the file that ratings_file names.")
        if column.scale is not None and text.lower() in WORDS:
            ratings[name] = column.scale[WORDS.index(text.lower())]
            warnings.append(f"{name} is given as {text.lower()}, and stored as {ratings[name]:g}")
            continue
        value = text if column.is_category else number_of(text)
        if not column.allows(value):
            wanted = f"{name} {column.allowed}" if column.is_category else f"{name} {column.allowed}, or low or high"
            hint = f"It is declared as `{label_line(column)}`; another scale, or classes, are declared in {SETTINGS}"
            raise BadRecording(line, wanted, repr(text), f"{hint}, under labels.")
        ratings[name] = value
    return ratings, warnings


def _video_times(line: str, files: dict[str, Path | None], offset_s: float) -> Path | None:
    """Return the file of the times of a row's frames, if it has one. Raises BadRecording if it cannot be used."""
    video, given = files["video"], files["video_times"]
    if given is not None and video is None:
        raise BadRecording(line, "a video for the times in column video_times", "none")
    file = given or (times_file_of(video) if video is not None else None)
    if file is not None and offset_s:
        remedy = f"The times of frames are on the signals' clock: set no offset, or take {file.name} away."
        raise BadRecording(line, "frame times or video_offset_s", f"{file} and an offset of {offset_s:g} s", remedy)
    return file


def _overlaps(rows: pd.DataFrame) -> dict[str, str]:
    """Return a message for each recording that shares seconds of a file with another."""
    return shared_seconds(_video_seconds(rows), VIDEO_SLACK_S) | shared_seconds(_signal_seconds(rows))


def _video_seconds(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds that each recording has of its video: name, file, start, stop."""
    start, stop, offset = (pd.to_numeric(rows[c], errors="coerce") for c in ("start_s", "stop_s", "video_offset_s"))
    shift, file = offset.fillna(0), rows["video"].map(os.path.normpath)
    times = pd.DataFrame({"name": rows["recording"], "file": file, "start": start + shift, "stop": stop + shift})
    return times[rows["video"] != ""]


def _signal_seconds(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds that each recording has of each of its signal files: name, file, start, stop."""
    numbers = [pd.to_numeric(rows[name], errors="coerce") for name in ("start_s", "stop_s")]
    seconds = [
        (name, os.path.normpath(source.file), start + shift, stop + shift)
        for name, sources, start, stop in zip(rows["recording"], rows["signal_files"], *numbers, strict=True)
        for source in sources
        for shift in [-source.offset_s if source.offset_s else source.recording_start_unix_s or 0.0]
    ]
    return pd.DataFrame(seconds, columns=["name", "file", "start", "stop"])


# ---------------------------------------------------------------- signals


def _channels(file: Path, rows: pd.DataFrame, settings: Settings) -> tuple[Channel, ...]:
    """Return the channels of table.yaml, else those of the first readable signal file."""
    if settings.channels:
        return tuple(Channel(name, kind, settings.filtered) for name, kind in settings.channels.items())
    known = _first_known(file, rows)
    if isinstance(known, Known):
        return tuple(Channel(n, kind, settings.filtered) for n, kind in known.kinds.items())  # type: ignore[arg-type]
    if known:
        raise known
    return ()


def _first_known(file: Path, rows: pd.DataFrame) -> Known | BadRecording | None:
    """Return the channels of the first recording whose signal files are readable; the error, if there is none."""
    placed = (tuple(replace(one, file=file.parent / one.file) for one in sources) for sources in rows["signal_files"])
    return first_known(placed, SETTINGS)

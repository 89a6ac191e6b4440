"""Recordings of one's own, told in a table: who, which trial, which files, from when to when, and how it was rated.

    ROOT/recordings.csv     a row a trial; or ROOT itself is that file. Columns:
        recording           a name of its own; made of subject and trial if absent
        subject, trial      who, and which of theirs
        stimulus            what was shown; each trial is its own if absent
        video, signals      files, relative to the table; either may be absent in a row
        start_s, stop_s     the stimulus on the signals' clock (on the video's, where there are no signals)
        baseline_start_s    where the rest before it starts; right before the stimulus if absent
        video_offset_s      time on the video's clock less time on the signals'; 0 if absent
        valence, arousal, dominance, liking, ...    ratings from 1 to 9, or the words low and high
    ROOT/table.yaml         optional: what holds for all of them (see `Settings`)

Signals are whatever mne reads (EDF, BDF, FIF, BrainVision, EEGLAB), or CSV and TSV with a column a channel and either
a column `time` in seconds or `signals_rate_hz` in table.yaml.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import yaml

from ..channels import kind_of
from ..config import RATINGS
from ..errors import BadRecording
from ..recording import Channel, Kind, Recording, Signals, read_stamp
from ..video import probe
from .signal_file import UNITS, names_in, read_signals

TABLE, SETTINGS = "recordings.csv", "table.yaml"
COLUMNS = (
    "recording", "subject", "trial", "stimulus", "video", "signals", "start_s", "stop_s", "baseline_start_s",
    "video_offset_s",
)  # fmt: skip
NEEDED = ("subject", "trial", "start_s", "stop_s")
WORDS = {"low": 1.0, "high": 9.0}  # what a label in words is kept as: low and high under every threshold
MARGIN_S = 10.0  # of signals around what is used, so that no filter's edge reaches into it
QUIETEST_UV = 0.01  # EEG with a smaller SD than this is not in microvolts
_KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Settings:
    """table.yaml: what holds for all recordings of a table."""

    dataset: str = "table"
    """what the corpus is called in stores and reports"""
    rate_hz: float = 128.0
    """of the store; signals are brought to it"""
    baseline_s: float = 3.0
    """seconds of rest before each stimulus; 0 for none"""
    frames_per_s: int = 10
    """face frames a second to keep"""
    channels: dict[str, Any] = field(default_factory=dict)
    """name -> kind (eeg, ecg, gsr, resp, ppg, temp, emg, eog); all files must have them. If not given: of the first
    file, those whose names tell their kind"""
    filtered: bool = False
    """the signals were filtered already, and must not be again"""
    signals_rate_hz: float | None = None
    """of CSV and TSV files without a column `time`"""
    signals_unit: str = "uV"
    """of electrical channels in CSV and TSV files: uV, mV or V; mne's formats say theirs themselves"""


@dataclass(frozen=True)
class Table:
    """A table of one's own recordings. Made by `open_corpus("table", root)`."""

    file: Path
    settings: Settings
    channels: tuple[Channel, ...]
    made_up: bool = False
    source = ""

    @property
    def dataset(self) -> str:
        return self.settings.dataset

    @property
    def rate_hz(self) -> float:
        return float(self.settings.rate_hz)

    @property
    def baseline_s(self) -> float:
        return float(self.settings.baseline_s)

    @property
    def frames_per_s(self) -> int:
        return self.settings.frames_per_s

    @classmethod
    def open(cls, root: Path) -> "Table":
        """Raises BadRecording if there is no table here, or nothing in it can be understood."""
        file = root if root.is_file() else root / TABLE
        settings = read_settings(file.parent / SETTINGS)
        rows = read_table(file)
        return cls(file, settings, _channels(file, rows, settings), read_stamp(file.parent) is not None)

    @property
    def units(self) -> tuple[str, ...]:
        """The people, in the order of their names."""
        return tuple(sorted(read_table(self.file)["subject"].unique()))

    def recordings(self, unit: str) -> list[Recording]:
        rows = read_table(self.file)
        overlapping = _overlaps(rows)
        mine = rows[rows["subject"] == unit]
        return [self._recording(row, overlapping.get(row["recording"])) for row in mine.to_dict("records")]

    def _recording(self, row: dict, overlap: str | None) -> Recording:
        found = Recording(
            name=row["recording"], dataset=self.dataset, subject=row["subject"], trial=row["trial"],
            stimulus=row["stimulus"] or row["recording"], seconds=0.0,
        )  # fmt: skip
        try:
            if overlap:
                raise BadRecording(
                    self._line(row), "trials that do not overlap", overlap, "Windows would be in two trials."
                )
            return self._checked(row, found)
        except BadRecording as error:
            return replace(found, problem=str(error))

    def _line(self, row: dict) -> str:
        return f"{self.file}, line {row['line']} ({row['recording']})"

    def _checked(self, row: dict, found: Recording) -> Recording:
        line = self._line(row)
        files = {name: self.file.parent / row[name] if row[name] else None for name in ("video", "signals")}
        if not any(files.values()):
            raise BadRecording(line, "a video or signals", "neither")
        for name, file in files.items():
            if file is not None and not file.is_file():
                raise BadRecording(line, f"the file in column {name}", f"no {file}", "Paths are relative to the table.")
        start, stop = (_number(line, row, name) for name in ("start_s", "stop_s"))
        if start is None or stop is None or not 0 <= start < stop:
            raise BadRecording(line, "0 <= start_s < stop_s", f"{row['start_s']!r} and {row['stop_s']!r}")
        ratings, findings = _ratings(line, row)
        offset = _number(line, row, "video_offset_s") or 0.0
        return replace(
            found, seconds=round(stop - start, 6), ratings=ratings, video=files["video"], signals=files["signals"],
            video_start_s=start + offset, row=int(row["line"]), findings=tuple(findings),
        )  # fmt: skip

    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        return ()

    def inspect(self, recording: Recording) -> Recording:
        """The same recording with what its files reveal. Raises BadRecording if one of them is broken or too short."""
        findings = list(recording.findings)
        if recording.signals is not None:
            findings += odd(self.signals(recording))
        info = None
        if recording.video is not None:
            info = probe(recording.video)
            if recording.video_start_s < 0 or recording.video_start_s >= info.seconds:
                wanted = f"a video that runs at {recording.video_start_s:g} s, where the stimulus starts"
                raise BadRecording(recording.video, wanted, f"one of {info.seconds:.1f} s", "Is video_offset_s right?")
            over = recording.video_start_s + recording.seconds - info.seconds
            if over > 1 / float(info.fps):
                findings.append(f"the video ends {over:.1f} s before the stimulus")
        return replace(recording, video_info=info, findings=tuple(findings))

    def signals(self, recording: Recording) -> Signals:
        """The stimulus and what comes before it, with a margin for filters; microvolts for electrical channels."""
        assert recording.signals is not None
        row = read_table(self.file).set_index("line").loc[recording.row].to_dict()
        line = f"{self.file}, line {recording.row} ({recording.name})"
        start = _number(line, row, "start_s") or 0.0
        told = _number(line, row, "baseline_start_s")
        first = start - self.baseline_s if told is None else told
        if not 0 <= first <= start - self.baseline_s + 1e-9:
            raise BadRecording(
                line, f"{self.baseline_s:g} s of rest before the stimulus at {start:g} s", f"them from {first:g} s on",
                f"Set baseline_start_s, or baseline_s in {SETTINGS} (0 for none).",
            )  # fmt: skip
        begin, end = max(0.0, first - MARGIN_S), start + recording.seconds + MARGIN_S
        samples, rate_hz, begin = read_signals(
            recording.signals, begin, end, self.channels, self.settings.signals_rate_hz, self.settings.signals_unit,
            f"See signals_rate_hz and channels in {SETTINGS}.",
        )  # fmt: skip
        have = samples.shape[1] / rate_hz + begin
        if have < start + recording.seconds - 1 / rate_hz:
            wanted = f"signals up to {start + recording.seconds:g} s"
            raise BadRecording(recording.signals, wanted, f"an end at {have:.2f} s", f"See {line}.")
        bad = ~np.isfinite(samples).all(axis=1)
        if bad.any():
            names = ", ".join(c.name for c, b in zip(self.channels, bad, strict=True) if b)
            raise BadRecording(recording.signals, "finite samples", f"NaN or infinite ones in {names}")
        onset, rest = round((start - begin) * rate_hz), round((first - begin) * rate_hz)
        return Signals(samples, rate_hz, onset, self.channels, (rest, rest + round(self.baseline_s * rate_hz)))


# ---------------------------------------------------------------- the table and its settings


def read_settings(file: Path) -> Settings:
    """table.yaml, or the defaults where there is none. Raises BadRecording naming what is wrong in it."""
    if not file.exists():
        return Settings()
    try:
        held = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadRecording(file, "settings as YAML", f"a file that does not read ({error})") from None
    known = [f.name for f in fields(Settings)]
    for name in held if isinstance(held, dict) else ["?"]:
        if name not in known:
            close = get_close_matches(str(name), known, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(known)}."
            raise BadRecording(file, "settings that exist", f"{name!r}", hint)
    settings = Settings(**held)
    numbers = {"rate_hz": 0.0, "frames_per_s": 0.0, "baseline_s": -1e-12}
    for name, above in numbers.items():
        value = getattr(settings, name)
        if not isinstance(value, int | float) or not value > above:
            raise BadRecording(file, f"a number above 0 for {name}", repr(value))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", str(settings.dataset)):
        raise BadRecording(file, "a dataset's name of letters, digits, points and dashes", repr(settings.dataset))
    if settings.signals_unit not in UNITS:
        raise BadRecording(file, "signals_unit uV, mV or V", repr(settings.signals_unit))
    for name, kind in (settings.channels or {}).items():
        if kind not in _KINDS:
            raise BadRecording(file, f"a kind of {', '.join(_KINDS)} for channel {name}", repr(kind))
    return settings


def read_table(file: Path) -> pd.DataFrame:
    """The table as text, one row a trial, with `line`, its line in the file. Raises BadRecording."""
    try:
        rows = pd.read_csv(file, dtype=str, keep_default_na=False, comment="#", encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadRecording(file, "a table of recordings", "no such file", "`gbvnet table init` makes one.") from None
    except (OSError, ValueError) as error:
        raise BadRecording(file, "a table of recordings", f"a file that does not read ({error})") from None
    rows.columns = rows.columns.str.strip()
    absent = [name for name in NEEDED if name not in rows]
    if absent or not ({"video", "signals"} & set(rows.columns)):
        wanted = ", ".join(absent or ["video or signals"])
        raise BadRecording(file, f"columns {', '.join(NEEDED)}, and video or signals", f"none named {wanted}")
    unknown = [str(name) for name in rows if name not in (*COLUMNS, *RATINGS)]
    if unknown:
        close = get_close_matches(unknown[0], (*COLUMNS, *RATINGS), n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join((*COLUMNS, *RATINGS))}."
        raise BadRecording(file, "columns that exist", repr(unknown[0]), hint)
    rows = rows.apply(lambda column: column.str.strip())
    rows = rows.assign(**{name: "" for name in (*COLUMNS, *RATINGS) if name not in rows})
    rows["line"] = _line_numbers(file, len(rows))
    named = rows["subject"] + "_" + rows["trial"]
    rows["recording"] = rows["recording"].where(rows["recording"] != "", named)
    for name in ("subject", "trial", "recording"):
        odd = rows[~rows[name].str.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*")]
        if len(odd):
            found = f"{odd[name].iloc[0]!r} in line {odd['line'].iloc[0]}"
            raise BadRecording(file, f"a {name} of letters, digits, points and dashes", found)
    twice = rows[rows.duplicated("recording") | rows.duplicated(["subject", "trial"])]
    if len(twice):
        found = f"{twice['recording'].iloc[0]} again in line {twice['line'].iloc[0]}"
        raise BadRecording(file, "each recording, and each trial of a subject, once", found)
    return rows


def _line_numbers(file: Path, n: int) -> list[int]:
    """Where the rows are in the file; comments and empty lines are none."""
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    told = [k for k, text in enumerate(lines, 1) if text.strip() and not text.lstrip().startswith("#")][1:]
    return told if len(told) == n else list(range(2, n + 2))  # a cell may hold a line break


def _number(line: str, row: dict, name: str) -> float | None:
    if row[name] == "":
        return None
    try:
        value = float(row[name])
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise BadRecording(line, f"a number of seconds in {name}", repr(row[name]))
    return value


def _ratings(line: str, row: dict) -> tuple[dict[str, float], list[str]]:
    """Ratings from 1 to 9, or low and high; everything else is refused, and says what is out of scope."""
    ratings, findings = {}, []
    for name in RATINGS:
        text = row[name].lower()
        if text in WORDS:
            ratings[name] = WORDS[text]
            findings.append(f"{name} is told as {text}, and kept as {WORDS[text]:g}")
        elif text:
            try:
                value = float(text)
            except ValueError:
                value = np.nan
            if not 1 <= value <= 9:
                scope = "More than two classes, and ratings that change in time, are out of scope."
                raise BadRecording(line, f"{name} from 1 to 9, or low or high", repr(row[name]), scope)
            ratings[name] = value
    return ratings, findings


def _overlaps(rows: pd.DataFrame) -> dict[str, str]:
    """Recording -> what it shares seconds of a file with."""
    found: dict[str, str] = {}
    for of in ("signals", "video"):
        used = rows[(rows[of] != "") & ((of == "signals") | (rows["signals"] == ""))]
        times = used.assign(**{c: pd.to_numeric(used[c], errors="coerce") for c in ("start_s", "stop_s")})
        for file, group in times.groupby(of):
            group = group.sort_values("start_s")
            for (_, one), (_, other) in zip(group.iloc[:-1].iterrows(), group.iloc[1:].iterrows(), strict=True):
                if other["start_s"] < one["stop_s"]:
                    for a, b in ((one, other), (other, one)):
                        found[a["recording"]] = f"seconds of {file} that {b['recording']} has too"
    return found


# ---------------------------------------------------------------- signals


def _channels(file: Path, rows: pd.DataFrame, settings: Settings) -> tuple[Channel, ...]:
    """As table.yaml says, else as the first readable signal file has them."""
    if settings.channels:
        return tuple(Channel(name, kind, settings.filtered) for name, kind in settings.channels.items())
    for name in rows.loc[rows["signals"] != "", "signals"]:
        path = file.parent / name
        if path.is_file():
            names = names_in(path)
            kinds = {n: kind_of(n) for n in names if n.lower() != "time"}
            known = {n: kind for n, kind in kinds.items() if kind}
            if not known:
                found = f"only {', '.join(names) or 'none'}"
                raise BadRecording(path, "channels whose names tell their kind", found, f"Name them in {SETTINGS}.")
            return tuple(Channel(n, kind, settings.filtered) for n, kind in known.items())  # type: ignore[arg-type]
    return ()


def odd(signals: Signals) -> Iterator[str]:
    """What a user should know of signals that can be used all the same."""
    x = signals.samples
    flat = [c.name for c, row in zip(signals.channels, x, strict=True) if np.ptp(row) == 0]
    if flat:
        yield f"flat channels: {', '.join(flat)}"
    clipped = []
    for channel, row in zip(signals.channels, x, strict=True):
        limits = [row == row.max(), row == row.min()]
        stuck = sum(
            float((at[1:] & at[:-1]).mean()) for at in limits
        )  # a wave's own peaks are there for one sample only
        if channel.name not in flat and stuck > 0.01:
            clipped.append(channel.name)
    if clipped:
        yield f"clipped channels (more than 1 % of samples at their limits): {', '.join(clipped)}"
    sd = [row.std() for c, row in zip(signals.channels, x, strict=True) if c.kind == "eeg" and c.name not in flat]
    if sd and np.median(sd) < QUIETEST_UV:
        yield f"EEG of {np.median(sd):.2g} uV SD looks like volts; set signals_unit in {SETTINGS}"

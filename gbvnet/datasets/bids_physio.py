"""The physio files of a BIDS run as further signal files, each with its own clock, and the videos of its trials.

A physio file's clock is that of the EEG (formats/physio.py), so it needs no offset. A StartTime that is Unix time needs
an anchor in the mapping: when the EEG's first sample was, in the EEG's header or in scans.tsv.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ..errors import BadRecording
from ..text import shortened
from .bids_files import BidsRun, require_signals
from .bids_mapping import BidsMapping, PhysioMap, VideoMap
from .bids_table import read_tsv
from .bids_trials import BidsTrial
from .formats.bids_names import require_fetched
from .formats.device_files import open_device
from .formats.pauses import record_times
from .formats.physio import PhysioFile
from .formats.signal_file import MneFile, open_signals
from .signal_sources import SignalSource

FURTHEST_S = 86_400.0  # of a physio file from its EEG; more is another day, or the wrong zone


def run_sources(run: BidsRun, mapping: BidsMapping) -> tuple[SignalSource, ...]:
    """Return the signal files of a run: the EEG, then physio files in the order of the mapping.

    Raises BadRecording for one that is absent, was not fetched or cannot be placed on the EEG's clock.
    """
    sources = []
    if mapping.content.kind != "beh":
        require_signals(run.signals.path)
        sources.append(SignalSource(run.signals.path))
    for recording, about in mapping.content.physio.items():
        path = run.physio(recording)
        if path is None:
            wanted = f"recording-{recording}_physio.tsv.gz" if recording else "_physio.tsv.gz without recording-"
            remedy = f"{mapping.path.name} names it under physio; without it there, the run can be used."
            raise BadRecording(run.signals.path, f"a file {wanted} of this run", "none", remedy)
        require_fetched(path)
        offset = physio_offset(run, path, about, f"physio: {recording} in {mapping.path.name}")
        sources.append(SignalSource(path, offset, unit=about.unit or None, prefix=about.prefix))
    first = sources[0].offset_s
    if first:  # of physio files alone: the first has the clock of the events
        raise BadRecording(
            sources[0].file, "a StartTime in seconds of the run", "Unix time", "There is no EEG to place it by."
        )
    return tuple(sources)


def physio_offset(run: BidsRun, path: Path, about: PhysioMap, place: str) -> float:
    """Return what is added to a physio file's clock: 0, or for Unix time when it began after the EEG, in seconds.

    place : of its keys in the mapping. Raises BadRecording for Unix time without an anchor, or one far from it.
    """
    file = open_device(path)
    if not isinstance(file, PhysioFile):
        raise BadRecording(path, "a physio file, a table in gzip", "another file")
    missing = [name for name in about.channels if name not in file.labels]
    if missing:
        raise BadRecording(path, f"a column {missing[0]}", f"{', '.join(file.labels)}", f"It is named under {place}.")
    if file.start_unix_s is None:
        return 0.0
    if not about.anchor:
        raise BadRecording(
            path, "a StartTime in seconds from the first sample of the EEG", f"{file.start_unix_s:.10g}, Unix time",
            f"Write `anchor: header` under {place}, if the EEG's header says when it began, or `anchor: scans` for "
            "acq_time in scans.tsv; both with `utc_offset_h`, the hours by which that clock is ahead of UTC.",
        )  # fmt: skip
    began = _header_start(run, about, place) if about.anchor == "header" else _scans_start(run, about, place)
    offset = file.start_unix_s - began
    if abs(offset) > FURTHEST_S:
        actual = f"{offset / 3600:.1f} hours between them"
        raise BadRecording(
            path, "a physio file and an EEG of one day", actual, f"See `anchor` and `utc_offset_h` of {place}."
        )
    return round(offset, 6)


def _header_start(run: BidsRun, about: PhysioMap, place: str) -> float:
    """Return when the EEG's first sample was, by its header, in seconds since 1970."""
    path = run.signals.path
    file = open_signals(path)
    date = file.raw.info["meas_date"] if isinstance(file, MneFile) else None
    if date is None:
        raise BadRecording(path, "when it began, in its header", "none", f"Set another anchor of {place}.")
    records = record_times(path) if path.suffix.lower() in (".edf", ".bdf") else None
    # An EDF+ header has whole seconds, and the first data record the fraction by which it begins later.
    first = float(records[1][0]) if records is not None and len(records[1]) else 0.0
    return _seconds(path, date.replace(tzinfo=None), about, place) + (first if 0 <= first < 1 else 0.0)


def _scans_start(run: BidsRun, about: PhysioMap, place: str) -> float:
    """Return when the EEG's first sample was, by acq_time in scans.tsv, in seconds since 1970."""
    path, cell = _acq_time(run, run.signals.path)
    if path is None:
        raise BadRecording(run.signals.path, "a table *_scans.tsv of its subject or session", "none", f"See {place}.")
    date = _date(cell)
    if date is None:
        actual = "none" if cell is None else repr(cell)
        raise BadRecording(path, f"acq_time of {run.signals.path.name}, as 2024-03-05T10:11:12", actual)
    return date.timestamp() if date.tzinfo else _seconds(path, date, about, place)


def _acq_time(run: BidsRun, file: Path) -> tuple[Path | None, str | None]:
    """Return scans.tsv of a run, if there is one, and when a file was begun by it. Raises BadRecording."""
    path = next((f.path for f in run.files if f.name.suffix == "scans" and f.name.key <= run.key), None)
    if path is None:
        return None, None
    table = read_tsv(path, "the scans of a subject")
    cells = (row.get("acq_time") for row in table.rows
             if Path(row.get("filename", "").replace("\\", "/")).name == file.name)  # fmt: skip
    return path, next(cells, None)


def _date(cell: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(cell) if cell is not None else None
    except ValueError:
        return None


def _seconds(path: Path, local: datetime, about: PhysioMap, place: str) -> float:
    if about.utc_offset_h is None:
        wanted = "the time zone of when it began"
        raise BadRecording(path, wanted, f"the local time {local}", f"Write `utc_offset_h` under {place}: 0 for UTC.")
    try:
        return local.replace(tzinfo=timezone(timedelta(hours=about.utc_offset_h))).timestamp()
    except (OverflowError, ValueError) as error:
        raise BadRecording(path, "a date", f"{local} ({error})") from None


# ---------------------------------------------------------------- videos


def trial_video(root: Path, run: BidsRun, trial: BidsTrial, about: VideoMap | None) -> Path | None:
    """Return the video of a trial: by the mapping's pattern, else the one named after the run; None if there is none.

    Raises BadRecording for several, and for one that was not fetched.
    """
    if about is None:
        files = run.videos()
    else:
        parts = {**{n: run.signals.name[n] for n in ("sub", "ses", "task", "run")}, "trial": trial.number,
                 "stimulus": trial.stimulus}  # fmt: skip
        files = _matching(root, about.files, parts)
    if len(files) > 1:
        names = shortened([file.name for file in files])
        raise BadRecording(
            trial.place, "one video", names, "Give a pattern in the mapping that only one matches (video)."
        )
    if files:
        require_fetched(files[0])
    return files[0] if files else None


def video_offset(run: BidsRun, video: Path, about: VideoMap | None, times: Path | None = None) -> tuple[float, str]:
    """Return what is added to a time of the run, or of the trial, to get that of its video, in seconds; and a warning.

    It is offset_s of the mapping; else the time from the video's start to the signals', if scans.tsv has both, as
    BEP047 ties them; else 0, and so where they are more than a day from each other: dates may be anonymous.

    times : the file of the film's frame times, which are on the signals' clock: nothing is added then
    Raises BadRecording for a damaged scans.tsv, and for frame times where the mapping places the film, too.
    """
    if times is not None:
        if about is not None and (about.offset_s or about.begins == "trial"):
            actual = "offset_s" if about.offset_s else "begins: trial"
            remedy = f"The times of frames are on the signals' clock: leave it out, or take {times.name} away."
            raise BadRecording(times, "frame times or a place of the video in the mapping", f"{actual}, too", remedy)
        return 0.0, ""
    if about is not None and (about.offset_s is not None or about.begins == "trial"):
        return about.offset_s or 0.0, ""
    (scans, cell), (_, other) = (_acq_time(run, file) for file in (run.signals.path, video))
    signals, began = _date(cell), _date(other)
    if scans is None or signals is None or began is None or (signals.tzinfo is None) != (began.tzinfo is None):
        return 0.0, ""
    offset = (signals - began).total_seconds()
    if not offset:
        return 0.0, ""
    if abs(offset) > FURTHEST_S:
        far = f"acq_time of {video.name} in {scans.name} is {abs(offset) / 3600:.0f} hours from that of the signals"
        return 0.0, f"{far}, and is not used: the video is taken to begin with them"
    coarse = "" if signals.microsecond or began.microsecond else ", in whole seconds only"
    place = f"{abs(offset):g} s {'before' if offset > 0 else 'after'} the signals"
    return offset, f"{video.name} begins {place}, by acq_time in {scans.name}{coarse}; offset_s of `video` replaces it"


def _matching(root: Path, pattern: str, parts: Mapping[str, object]) -> list[Path]:
    """Return the files below the root that match a pattern whose braces are filled. Raises BadRecording."""
    import glob

    text = pattern
    for name, value in parts.items():
        text = text.replace(f"{{{name}}}", glob.escape(str(value)))
    if text.startswith(("/", "\\")) or ".." in Path(text).parts or ":" in text[:2]:
        raise BadRecording(root, "a pattern of videos below the root", repr(pattern))
    try:
        return sorted(root.glob(text))
    except (ValueError, NotImplementedError, IndexError) as error:
        raise BadRecording(root, "a pattern of videos", f"{pattern!r} ({error})") from None

"""A draft of xdf.yaml from LabRecorder's files, and a list of their streams, for `gbvnet table init`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..config import RATINGS
from ..errors import BadInput, BadRecording
from ..io.atomic import atomic_write, visible_files
from ..io.safe_load import from_json
from ..text import shortened
from .channel_names import channel_kind
from .formats.xdf import XdfFileStreams, is_frames, read_xdf, stream_labels, xdf_streams
from .formats.xdf_clocks import TimedStream
from .table_template import VIDEOS
from .xdf_frames import frame_stream, number_column
from .xdf_settings import SETTINGS, SUBJECT, FrameSettings, MarkerSettings, RatingSettings
from .xdf_trials import Marker, rating_in, read_markers, trials_of

MARK = "FILL IN"  # behind what a user has to write or to check
_STARTS, _STOPS = r"start|begin|onset", r"stop|end|offset|finish"
_STIMULUS = re.compile(r"stim|video|film|clip|movie|file|name", re.IGNORECASE)
_SHOWN = 6  # texts of markers in a comment


class Draft(NamedTuple):
    """What was written: the file, its lines to fill in; the file that it is from, of how many; the list of streams."""

    settings: Path
    marked: tuple[str, ...]
    example: Path
    n_files: int
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def xdf_files(path: Path) -> list[Path]:
    """Return the .xdf files that `table init` is about: the file itself, or those in a folder."""
    if path.is_file():
        return [path]
    return sorted(f for f in visible_files(path, "**/*") if f.suffix.lower() == ".xdf") if path.is_dir() else []


def write_draft(path: Path) -> Draft:
    """Write xdf.yaml for a file, or for all in a folder, from the first that can be read.

    For a file of LabRecorder's default names it is beside the folders of the subjects. Raises BadInput if there is one
    already, or if no file can be read.
    """
    files, unread = xdf_files(path), None
    root = path if path.is_dir() else study_folder(path)
    settings = root / SETTINGS
    if settings.exists():
        raise BadInput(settings, "no settings yet", "some", "Take them away, or use `gbvnet check xdf`.")
    for file in files:
        try:
            held, zero_s = xdf_streams(file), read_xdf(file).zero_s
        except BadRecording as error:
            unread = unread or error
            continue
        lines = _lines(held, zero_s, files, root)
        try:
            atomic_write(settings, "".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            raise BadInput(root, "a folder that can be written", error.strerror or error) from None
        marked = tuple(line.strip() for line in lines if MARK in line and not line.startswith("#"))
        return Draft(settings, marked, file, len(files), tuple(list_streams(held, zero_s)), held.notes)
    raise unread or BadInput(path, "files that end in .xdf", "none")


def study_folder(file: Path) -> Path:
    """Return the folder of a study: above sub-P001/ses-S001/eeg where a file is in one, else that of the file."""
    above = [folder for folder in file.absolute().parents if folder.name.startswith("sub-")]
    return above[-1].parent if above else file.absolute().parent


def list_streams(held: XdfFileStreams, zero_s: float) -> list[tuple[str, ...]]:
    """Return the streams of a file as a table with a head; seconds are those from the first signal on."""
    rows: list[tuple[str, ...]] = [
        ("stream", "type", "host", "rate", "measured", "samples", "from - to, s", "breaks", "channels")
    ]
    for timed in held.streams:
        stream, times = timed.stream, timed.times_s
        span = (
            f"{round(times[0] - zero_s, 1) + 0.0:.1f} - {times[-1] - zero_s:.1f}"
            if len(times) and not timed.refusal
            else "-"
        )
        measured = f"{timed.measured_hz:.5g}" if timed.measured_hz else "-"
        breaks = str(max(0, len(timed.pieces) - 1)) if timed.pieces else "-"
        rate = f"{stream.nominal_hz:g}" if stream.nominal_hz else "-"
        rows.append(
            (stream.name, stream.type or "-", stream.host or "-", rate, measured, f"{len(times):,}", span, breaks,
             _channels_text(timed)),
        )  # fmt: skip
    return rows


def _channels_text(timed: TimedStream) -> str:
    stream = timed.stream
    if timed.refusal:
        return f"not usable: {timed.refusal}"
    if stream.is_text:
        return "texts: " + shortened([repr(" ".join(row))[:40] for row in stream.values[:2]], 2)
    if not stream.channels:
        return f"{stream.n_channels} without names"
    units = list(dict.fromkeys(one.unit for one in stream.channels if one.unit))
    names = shortened([one.label for one in stream.channels], 8)
    return f"{stream.n_channels}: {names}" + (f" in {', '.join(units)}" if units else ", no unit")


# ---------------------------------------------------------------- the draft


def _lines(held: XdfFileStreams, zero_s: float, files: Sequence[Path], root: Path) -> list[str]:
    example = held.path.relative_to(root).as_posix() if held.path.is_relative_to(root) else held.path.name
    return [
        f"# Settings of all .xdf files below this folder, drafted from {example}.",
        f"# Lines with {MARK} need a look. Then: gbvnet check xdf FOLDER",
        *_subject_lines(files, root),
        "# Streams by their name, source_id or type; kinds: eeg, ecg, gsr, resp, ppg, temp, emg, eog. Second 0 is the",
        "# first sample of the earliest stream of signals in a file.",
        "streams:",
        *[line for timed in held.streams for line in _stream_lines(timed, held)],
        *_marker_lines(held, zero_s),
        *_frame_lines(held),
        "baseline_s: 3             # seconds of baseline before each start; 0 for none",
        "rate_hz: 128              # of the store; signals are brought to it",
        "frames_per_s: 10          # face frames a second to keep",
        "video_latency_ms: 0       # from light to the stamp of a frame, as a flash test shows it; it is subtracted",
        "filtered: false           # true: the signals were filtered already",
    ]


def _subject_lines(files: Sequence[Path], root: Path) -> list[str]:
    paths = [file.relative_to(root).as_posix() for file in files if file.is_relative_to(root)]
    lines = [
        "# A pattern (regular expression) that finds the subject in a file's path, here " + shortened(paths, 2) + "."
    ]
    if all(re.search(SUBJECT, path) for path in paths):
        return [*lines, f"subject: {_quoted(SUBJECT)}"]
    return [*lines, f"subject: '(?P<subject>[^/_]+)(?:_[^/]*)?\\.xdf$'    # {MARK}: is this the subject?"]


def _stream_lines(timed: TimedStream, held: XdfFileStreams) -> list[str]:
    stream = timed.stream
    if stream.is_text or is_frames(stream) or stream.is_pictures:
        return []
    if timed.refusal or not timed.pieces:
        return [f"  # {stream.label} cannot be used: {timed.refusal or 'too few samples'}"]
    same = [one for one in held.streams if one.stream.name == stream.name]
    key = _quoted(stream.name if len(same) == 1 else stream.source_id)
    if not stream.channels and stream.n_channels > 1:
        return [
            f"  # {key}:    # {MARK}, to use it: the file has no names of its {stream.n_channels} channels",
            f"  #   labels: [{', '.join(f'NAME{k + 1}' for k in range(min(stream.n_channels, 3)))}, ...]",
            "  #   unit: uV",
            "  #   channels: {NAME1: eeg}",
        ]
    whole = stream.name if stream.n_channels == 1 and not stream.channels else ""
    kinds = {name: channel_kind(whole or name) or (channel_kind(stream.type) if whole else None)
             for name in stream_labels(stream)}  # fmt: skip
    off = "" if any(kinds.values()) else "# "
    lines = [f"  {off}{key}:", f"  {off}  channels:"]
    for name, kind in kinds.items():
        lines.append(f"  {off or ('' if kind else '# ')}    {_quoted(name)}: {kind or 'which kind?'}")
    units = {one.unit for one in stream.channels}
    if off == "" and not all(units or {""}):
        lines.append(f"    # unit: uS    # {MARK} if known: the file states no unit of this stream")
    return lines


def _quoted(text: str) -> str:
    """Return a text as YAML has it: plain if it is a word, else in single quotes."""
    words = ("yes", "no", "on", "off", "y", "n", "true", "false", "null")
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text) and text.lower() not in words
    return text if plain else "'" + text.replace("'", "''") + "'"


def _frame_lines(held: XdfFileStreams) -> list[str]:
    timed = frame_stream(held)
    pictures = [one.stream.label for one in held.streams if one.stream.is_pictures]
    lines = [f"# Stream {name} holds pictures themselves, which are not read: export a film." for name in pictures]
    if timed is None:
        return lines
    films = [f for f in visible_files(held.path.parent, "*") if f.suffix.lower() in VIDEOS]
    names = {template: film for template in ("{stem}", "{base}") for film in films
             if film.name.startswith(FrameSettings("", "", template).path(held.path).name)}  # fmt: skip
    off, note = "", ""
    if names:
        template, film = next(iter(names.items()))
        begin = FrameSettings("", "", template).path(held.path).name
        name = f"{template}{film.name.removeprefix(begin)}"
        note = f"    # {MARK}: others are {shortened([f.name for f in films if f != film])}" if len(films) > 1 else ""
    else:
        off, name = "# ", "{stem}_webcam.avi"
        lines.append(f"# {MARK}, to use films: no film is named as {held.path.name} and beside it.")
    column = number_column(timed)
    lines += [
        "# The film of each file, by numbers and times of its frames: {stem} is the file's name without .xdf, {base}",
        "# also without _eeg.",
        f"{off}frames:",
        f"{off}  stream: {_quoted(timed.stream.name)}",
        f"{off}  number: {_quoted(column)}",
        f'{off}  film: "{name}"{note}',
    ]
    return lines


# ---------------------------------------------------------------- markers


def _marker_lines(held: XdfFileStreams, zero_s: float) -> list[str]:
    streams = [one for one in held.streams if one.stream.is_text and not one.refusal]
    if not streams:
        return [
            f"# {MARK}: no stream of texts is in this file. Trials need markers: a stream of texts, or of one number.",
            "markers:",
            f"  stream: NAME    # {MARK}",
            f"  start: '1'      # {MARK}: fits a whole marker; (?P<stimulus>...) takes its name",
            f"  stop: '2'       # {MARK}",
        ]
    stream = max(streams, key=lambda one: len(one.times_s)).stream
    markers, _ = read_markers(held, stream.name, zero_s)
    texts = list(dict.fromkeys(marker.text for marker in markers))
    start, stop = guess_pattern(texts, _STARTS, True), guess_pattern(texts, _STOPS, False)
    rating = guess_rating(texts)
    lines = [
        "# Patterns (regular expressions) that fit a whole marker. Markers in this file: "
        + shortened([repr(text)[:70] for text in texts], _SHOWN),
        "markers:",
        f"  stream: {_quoted(stream.name)}",
        f"  start: {_quoted(start)}" if start else f"  start: 'START(?P<stimulus>.*)'    # {MARK}",
        f"  stop: {_quoted(stop)}" if stop else f"  stop: 'STOP.*'    # {MARK}",
    ]
    if rating is None:
        lines.append(
            f"  # rating: {{json: [valence, arousal]}}    # {MARK}, if ratings are markers; else there are none"
        )
        return [*lines, *_outcome_lines(held.path, markers, start, stop, None)]
    names = [name for name, _ in rating.keys] or list(rating.pattern.groupindex if rating.pattern else ())
    listed = ", ".join(names)
    lines.append(
        f"  rating: {{json: [{listed}]}}"
        if rating.keys
        else f"  rating: {{pattern: {_quoted(rating.pattern.pattern)}}}"  # type: ignore[union-attr]
    )
    lines += _outcome_lines(held.path, markers, start, stop, rating)
    return [*lines, *_scale_lines(names, texts, rating)]


def _outcome_lines(
    path: Path, markers: Sequence[Marker], start: str, stop: str, rating: RatingSettings | None
) -> list[str]:
    """Return a comment on the trials that the guessed patterns give."""
    if not (start and stop):
        return []
    try:
        trials = trials_of(path, markers, MarkerSettings("", re.compile(start), re.compile(stop), rating))
    except BadRecording as error:
        return [f"  # {MARK}: with these patterns markers do not fit together: {error.found}"]
    good = sum(span.error is None for span in trials.spans)
    return [f"  # With these patterns {path.name} has {len(trials.spans)} trials, {good} of them whole."]


def _scale_lines(names: Sequence[str], texts: Sequence[str], rating: RatingSettings) -> list[str]:
    """Return the scales of labels: 1 to 9 if values in this file leave no other usual scale, else to fill in."""
    values: dict[str, list[float]] = {name: [] for name in names}
    for rated in (rating_in(text, rating) for text in texts):
        for name in set(rated) & set(names):
            if re.fullmatch(r"-?\d+(\.\d+)?", str(rated[name])):
                values[name].append(float(rated[name]))
    together = [x for of in values.values() for x in of]
    sure = bool(together) and min(together) >= 1 and 7 < max(together) <= 9
    lines = ["# The labels, and the ends of their scales.", "labels:"]
    for name, of in values.items():
        known = f"values here are {min(of, default=0):g} to {max(of, default=0):g}"
        scale, mark = ("[1, 9]", "") if sure else ("[LOW, HIGH]", f"{MARK}: ")
        lines.append(f"  {name}: {{scale: {scale}}}    # {mark}{known}")
    return lines


def guess_pattern(texts: Sequence[str], words: str, named: bool) -> str:
    """Return a pattern that fits the markers with one of some words, and no other; empty if none has one.

    named : with a group `stimulus` around what differs between them
    """
    word = re.compile(rf"(?<![a-z])(?:{words})(?:s|ed|ing)?(?![a-z])", re.IGNORECASE)
    objects = {text: held for text in texts if isinstance(held := _object(text), dict)}
    for held in objects.values():
        for key, value in held.items():
            if isinstance(value, str) and word.search(value) and not word.search(str(key)):
                return _object_pattern([o for o in objects.values() if o.get(key) == value], key, value, named)
    plain = [text for text in texts if text not in objects and word.search(text)]
    if not plain:
        return ""
    if len(plain) == 1:
        return re.escape(plain[0])
    begin = re.sub(r"[A-Za-z0-9]+$", "", _common_begin(plain))
    end = re.sub(r"^[A-Za-z0-9]+", "", _common_begin([text[::-1] for text in plain])[::-1])
    if not word.search(begin) and not word.search(end):
        return ""
    return f"{re.escape(begin)}{'(?P<stimulus>.+)' if named else '.*'}{re.escape(end)}"


def _common_begin(texts: Sequence[str]) -> str:
    """Return what all texts begin with."""
    first, last = min(texts), max(texts)
    same = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]


def _object(text: str) -> object:
    try:
        return from_json(text) if text.lstrip().startswith("{") else None
    except ValueError:
        return None


def _object_pattern(objects: Sequence[dict], key: str, value: str, named: bool) -> str:
    """Return a pattern of JSON objects with a value under a key, whatever the order of keys."""
    parts = rf'(?=.*"{re.escape(key)}"\s*:\s*"{re.escape(value)}")'
    keys = [k for k, v in objects[0].items() if k != key and isinstance(v, str) and _STIMULUS.search(k)]
    if named and keys:
        parts += rf'(?=.*"{re.escape(keys[0])}"\s*:\s*"(?P<stimulus>[^"]+)")'
    return f"{parts}.*"


def guess_rating(texts: Sequence[str]) -> RatingSettings | None:
    """Return how ratings are written, by the names of the usual ones; None if no marker has one."""
    names = list(dict.fromkeys(RATINGS))
    for text in texts:
        held = _object(text)
        if isinstance(held, dict) and (keys := [k for k in names if isinstance(held.get(k), int | float)]):
            return RatingSettings(tuple((key, key) for key in keys))
    number = r"-?\d+(?:\.\d+)?"
    of_name = {n: text for n in names for text in texts if re.search(rf"\b{n}\W*(?:[=:]\s*)?{number}", text.lower())}
    if not of_name:
        return None
    together = [n for n in of_name if of_name[n] == next(iter(of_name.values()))]
    if len(together) == len(of_name):
        ordered = sorted(of_name, key=lambda n: of_name[n].lower().index(n))
        parts = "".join(rf".*{n}[^\d-]*(?P<{n}>{number})" for n in ordered)
        return RatingSettings(pattern=re.compile(f"(?i){parts}.*"))
    parts = "|".join(rf".*{n}[^\d-]*(?P<{n}>{number}).*" for n in of_name)
    return RatingSettings(pattern=re.compile(f"(?i){parts}"))

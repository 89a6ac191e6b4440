"""A recordings table to fill in, written by `gbvnet table init` from the files in a folder."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ..errors import BadInput
from ..io.atomic import atomic_write, visible_files
from .channel_names import channel_kind
from .film_times import SUFFIX
from .formats.device_signatures import XDF, device_name
from .formats.signal_file import channel_names_in
from .formats.signal_text import empatica_rate_hz, is_text, time_columns
from .known_channels import Known, known_channels
from .table_schema import SETTINGS, TABLE

VIDEOS = (".avi", ".mp4", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv")
SIGNALS = (".bdf", ".edf", ".fif", ".fif.gz", ".vhdr", ".set", ".gdf", ".cnt", ".csv", ".tsv", ".txt")
# What a file's or a folder's name says of what is in it, and not of who it is of.
_CONTENT = r"raw|eeg|ieeg|meg|ecg|bio|biosignals|physio|signals?|videos?|faces?|cam(?:era)?|data|recordings?"
_ENDING, _FOLDER = re.compile(rf"[ _.-](?:{_CONTENT})$"), re.compile(rf"(?:{_CONTENT})", re.IGNORECASE)

HEAD = """\
# One line a trial: a file with several trials in it has a line for each. Subjects and trials below are guesses from
# the names of folders and files. Delete the lines of files that you do not want; those that begin with # are comments.
#
# subject, trial     letters, digits, points and dashes; each trial of a subject once
# stimulus           name of the stimulus, the same for the same stimulus; may be empty
# video, signals     files relative to this one; one of them may be empty. Several signal files are written as
#                    eeg.edf + wrist.csv@-3.2: time on the first file's clock = time in wrist.csv - 3.2 s
# start_s, stop_s    the stimulus, in seconds on the signals' clock (on the video's, if there are no signals)
#                    Files of devices (Empatica, Shimmer, OpenBCI, ...) begin at 0 s
# baseline_start_s   start of the baseline period; empty: immediately before the stimulus
# video_offset_s     the video's clock minus the signals' clock: -28 where the stimulus is at 30 s of the signals and at
#                    2 s of the video; empty: 0. If film.times.csv is beside film.mp4, with the time of a frame on the
#                    signals' clock in each line, it is used instead (or another file, in a column video_times to add)
# valence, arousal   labels, by default from 1 to 9, or the words low and high; also dominance, liking, familiarity,
#                    control, predictability; may be empty. Other scales, and classes, are declared in table.yaml
# ratings_file       (a column to add) ratings that change in time: a CSV with a column `time`, on the clock of start_s
#
# A line that is filled in: anna,1,film-a,anna/1.mp4,anna/1.edf,30,90,,-28,7,low
# Then: gbvnet check table FOLDER
"""
COLUMNS = "subject,trial,stimulus,video,signals,start_s,stop_s,baseline_start_s,video_offset_s,valence,arousal\n"


def write_template(folder: Path) -> tuple[Path, int]:
    """Scan a folder for videos and signal files, and write its recordings.csv and table.yaml, with a line for each pair
    of files of the same name, or for each file that has no partner. Returns the table's path and how many lines it has.

    Raises BadInput if there is nothing to tell of, or a table is there already.
    """
    table = folder / TABLE
    for file in (table, folder / SETTINGS):
        if file.exists():
            raise BadInput(file, "no table yet", "one", "Take it away, or fill it in and use `gbvnet check table`.")
    if not folder.is_dir():
        actual = "a file" if folder.exists() else "no such folder"
        raise BadInput(folder, "a folder with videos and signal files, or an .xdf file", actual)
    visible = visible_files(folder, "**/*")
    sessions = [f for f in visible if f.is_dir() and device_name(f) is not None]  # folders that are one recording
    files = [f for f in visible if f.is_file() and not any(session in f.parents for session in sessions)]
    videos = [f for f in files if f.name.lower().endswith(VIDEOS)]
    named = [f for f in files if f.name.lower().endswith(SIGNALS) and not f.name.lower().endswith(SUFFIX)]
    devices = [*sessions, *(f for f in files if f not in videos and device_name(f) is not None)]
    signals = sorted({*named, *devices})
    other = {f: why for f in signals if (is_text(f) or f in devices) and (why := _why_not(f, f in devices))}
    signals, together, beside = _wristbands([f for f in signals if f not in other])
    if not videos and not signals:
        known = ", ".join((*VIDEOS, *SIGNALS))
        actual = "; ".join(f"{_cell(folder, f)}: {why}" for f, why in list(other.items())[:5]) or "none"
        more = f" and {len(other) - 5} more" if len(other) > 5 else ""
        columns = "Columns need names that tell their kind (Fp1, ECG, EDA, ...), or name them in table.yaml. "
        hint = f"{columns if other else ''}Files that end in {known} are looked for, and files of devices."
        raise BadInput(folder, "videos or signal files", actual + more, hint)
    lines = list(_lines(folder, videos, signals, together))
    notes = [f"# Not taken for signals: {_cell(folder, f)}: {why}" for f, why in other.items()]
    content = HEAD + COLUMNS + "".join(f"{line}\n" for line in (*lines, *beside, *notes))
    try:
        atomic_write(folder / SETTINGS, _settings(signals, together).encode())
        atomic_write(table, content.encode())
    except OSError as error:
        raise BadInput(folder, "a folder that can be written", error.strerror or error) from None
    return table, len(lines)


def only_xdf(path: Path) -> bool:
    """Return whether a path is an .xdf file, or a folder whose signal files are all such files."""
    if path.is_file():
        return device_name(path) == XDF or path.suffix.lower() == ".xdf"
    files = [f for f in visible_files(path, "**/*") if f.is_file()] if path.is_dir() else []
    xdf = [f for f in files if f.suffix.lower() == ".xdf"]
    return bool(xdf) and not any(f.name.lower().endswith(SIGNALS) and not f.name.endswith(SUFFIX) for f in files)


def _why_not(file: Path, is_device: bool) -> str:
    """Why a text file holds no signals; empty if it may: a column is a clock, or named as a signal; and why the file of
    a device cannot be read."""
    try:
        names = channel_names_in(file)
    except BadInput as error:
        return f"expected {error.expected}, found {error.found}"
    if is_device or any(channel_kind(name) for name in names) or (time_columns(names) and len(names) > 1):
        return ""
    listed = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
    return f"no column is named like a signal ({listed})"


def _wristbands(signals: list[Path]) -> tuple[list[Path], dict[Path, list[Path]], list[str]]:
    """Return the files without all but one of each Empatica E4, that one's companions, and a comment on them."""
    rates = {f: rate for f in signals if is_text(f) and (rate := empatica_rate_hz(f))}
    together, comments = dict[Path, list[Path]](), []
    for folder in dict.fromkeys(f.parent for f in rates):
        first, *others = sorted((f for f in rates if f.parent == folder), key=lambda f: f.stem != "EDA")
        if others:
            signals, together[first] = [f for f in signals if f not in others], others
            named = ", ".join(f"{f.name} ({rates[f]:g} Hz)" for f in (first, *others))
            comments.append(
                f"# {folder.name} holds files of an Empatica E4, which a line names together: {named}. "
                "They are on its clock of seconds since 1970."
            )
    return signals, together, comments


# ---------------------------------------------------------------- a line for each


def _lines(folder: Path, videos: list[Path], signals: list[Path], together: dict[Path, list[Path]]) -> Iterator[str]:
    """A line a trial; trials are counted within each subject. together : files that a line names behind another"""
    counts: Counter[str] = Counter()
    for video, signal in _pairs(videos, signals):
        file = video or signal
        if file is None:
            continue
        subject = _subject(folder, file)
        counts[subject] += 1
        named = [] if signal is None else [signal, *together.get(signal, [])]
        cells = (subject, f"{counts[subject]:02d}", "", _cell(folder, video), _cell(folder, *named))
        yield ",".join(cells) + "," * (COLUMNS.count(",") + 1 - len(cells))


def _pairs(videos: list[Path], signals: list[Path]) -> Iterator[tuple[Path | None, Path | None]]:
    """Video and signals of one name: beside each other, or alone of that name in all folders. Then what is left."""
    left = list(signals)
    of_name = Counter(map(_key, videos)), Counter(map(_key, signals))
    for video in videos:
        same = [f for f in left if _key(f) == _key(video)]
        beside = [f for f in same if f.parent == video.parent]
        unique = same if all(counts[_key(video)] == 1 for counts in of_name) else []
        signal = next(iter(beside or unique), None)
        if signal:
            left.remove(signal)
        yield video, signal
    yield from ((None, signal) for signal in left)


def _key(file: Path) -> str:
    """A name without what it says of the content: x_raw.fif, x_eeg.edf and x.mp4 belong together."""
    name = file.name.lower()
    name = name[: len(name) - len(next(end for end in (".fif.gz", file.suffix.lower()) if name.endswith(end)))]
    while (shorter := _ENDING.sub("", name)) != name:
        name = shorter
    return name


def _subject(folder: Path, file: Path) -> str:
    """A guess: the folder, if it is not called after its content; else what the file's name begins with."""
    above = [p for p in file.relative_to(folder).parts[:-1] if not _FOLDER.fullmatch(p)]
    begin, *others = re.split(r"[ _]", _key(file))
    guess = above[0] if above else begin if others and not _FOLDER.fullmatch(begin) else ""
    return re.sub(r"[^A-Za-z0-9._-]", "-", guess).lstrip("._-") or "s01"


def _cell(folder: Path, *files: Path | None) -> str:
    text = " + ".join(file.relative_to(folder).as_posix() for file in files if file)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',;"') else text


# ---------------------------------------------------------------- table.yaml


def _settings(signals: list[Path], together: dict[Path, list[Path]]) -> str:
    lines = [
        f"# Settings of all recordings of {TABLE}. Every line may be left out; these are the defaults.",
        "dataset: table            # what the corpus is called in stores and reports",
        "rate_hz: 128              # of the store; signals are brought to it",
        "baseline_s: 3             # seconds of baseline before each stimulus; 0 for none",
        "frames_per_s: 10          # face frames a second to keep",
        "filtered: false           # true: the signals were filtered already",
        "signals_rate_hz: null     # of CSV and TSV files without a column `time`",
        "signals_unit: uV          # of electrical channels in CSV and TSV files: uV, mV or V",
        "# Rows may stand here instead of in recordings.csv. A signal file may then have an offset, a rate and a unit",
        "# of its own, and other names of its channels:",
        "# recordings:",
        "#   - {subject: anna, trial: 1, start_s: 30, stop_s: 90, signals: [eeg.edf, {file: left.csv, offset_s: -3.2,",
        "#      rate_hz: 4, unit: uS, prefix: left_}, {file: right.csv, offset_s: -3.2, rename: {EDA: right_EDA}}]}",
        "# The columns that are labels. Without them: valence, arousal, dominance, liking, ... from 1 to 9.",
        "# labels:",
        "#   valence: {scale: [1, 9]}                        # a number; the words low and high are its ends",
        "#   stress: {classes: [none, some, much]}           # one of these",
        "#   joystick: {scale: [-1, 1], trace: true}         # changes in time: a column of the ratings_file",
    ]
    file, known = next(((f, channels) for f in signals if (channels := _known(f))), (None, None))
    if file and known:
        lines += [
            "# Which channels to use, by name; the signal files of every line must have them together. Delete what no",
            "# model should see. Kinds: eeg, ecg, gsr, resp, ppg, temp, emg, eog.",
            f"# Here are the channels of {file.name}.",
            "channels:",
        ]
        lines += [f"  # {note}" for note in known.notes if "none of them is used" in note]
        kinds = known.kinds | {
            n: kind for f in together.get(file, ()) if (k := _known(f)) for n, kind in k.kinds.items()
        }
        for name in (*kinds, *known.unknown):
            kind = kinds.get(name)
            lines.append(f"  {_yaml(name)}: {kind}" if kind else f"  # {_yaml(name)}: which kind?")
    return "\n".join(lines) + "\n"


def _known(file: Path) -> Known | None:
    """What a file tells of its channels; None if it has none or does not open."""
    try:
        known = known_channels(file)
    except BadInput:  # the check says what is wrong with it
        return None
    return known if known.kinds or known.unknown else None


def _yaml(name: str) -> str:
    words = ("yes", "no", "on", "off", "y", "n", "true", "false", "null")  # are no text to YAML
    plain = re.fullmatch(r"[A-Za-z]+[0-9]*", name) and name.lower() not in words
    return name if plain else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'

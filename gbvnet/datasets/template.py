"""A recordings table to fill in, made from a folder of one's own: what `gbvnet table init` writes."""

from collections.abc import Iterator
from pathlib import Path

from ..channels import kind_of
from ..errors import BadInput
from ..files import write_whole
from .signal_file import names_in
from .table import SETTINGS, TABLE

VIDEOS = (".avi", ".mp4", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv")
SIGNALS = (".bdf", ".edf", ".fif", ".fif.gz", ".vhdr", ".set", ".gdf", ".cnt", ".csv", ".tsv")

HEAD = """\
# One line a trial. Leave a cell empty where this says that it may be; delete lines that you do not want.
# subject, trial     letters, digits, points and dashes; each trial of a subject once
# stimulus           what was shown, the same word for the same film; may be empty
# video, signals     files relative to this one; one of them may be empty
# start_s, stop_s    the stimulus, in seconds on the signals' clock (on the video's, if there are no signals)
# baseline_start_s   where the rest before it starts; empty: right before the stimulus
# video_offset_s     the video's clock less the signals' clock: -28 where the stimulus is at 30 s of the signals and at
#                    2 s of the video; empty: 0
# valence, arousal   ratings from 1 to 9, or the words low and high; also dominance, liking, familiarity, control,
#                    predictability; may be empty
subject,trial,stimulus,video,signals,start_s,stop_s,baseline_start_s,video_offset_s,valence,arousal
"""


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
        raise BadInput(folder, "a folder with videos and signal files", "no such folder")
    files = sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith("."))
    videos = [f for f in files if f.name.lower().endswith(VIDEOS)]
    signals = [f for f in files if f.name.lower().endswith(SIGNALS)]
    if not videos and not signals:
        known = ", ".join((*VIDEOS, *SIGNALS))
        raise BadInput(folder, "videos or signal files", "none", f"Files that end in {known} are looked for.")
    rows = list(_pairs(folder, videos, signals))
    text = HEAD + "".join(f"{subject},{trial},,{video},{signal},,,,,,\n" for subject, trial, video, signal in rows)
    write_whole(folder / SETTINGS, _settings(signals).encode())
    write_whole(table, text.encode())
    return table, len(rows)


def _pairs(folder: Path, videos: list[Path], signals: list[Path]) -> Iterator[tuple[str, str, str, str]]:
    """subject, trial, video, signals: files of one name belong together; their folder is a guess at the person."""
    left = {_key(f): f for f in signals}
    counts: dict[str, int] = {}
    for video in [*videos, *signals]:
        signal = left.pop(_key(video), None)
        if video in signals and signal is None:  # told of with its video already
            continue
        of = video.parent.name if video.parent != folder else "s01"
        subject = "".join(c if c.isalnum() or c in "._-" else "-" for c in of)
        counts[subject] = counts.get(subject, 0) + 1
        seen, heard = (_cell(f.relative_to(folder)) if f else "" for f in (video if video in videos else None, signal))
        yield subject, f"{counts[subject]:02d}", seen, heard


def _key(file: Path) -> tuple[Path, str]:
    return file.parent, file.name.split(".")[0].lower()


def _cell(path: Path) -> str:
    text = path.as_posix()
    return f'"{text}"' if "," in text else text


def _settings(signals: list[Path]) -> str:
    lines = [
        "# What holds for all recordings of recordings.csv. Every line may be left out; these are the defaults.",
        "dataset: table            # what the corpus is called in stores and reports",
        "rate_hz: 128              # of the store; signals are brought to it",
        "baseline_s: 3             # seconds of rest before each stimulus; 0 for none",
        "frames_per_s: 10          # face frames a second to keep",
        "filtered: false           # true: the signals were filtered already",
        "signals_rate_hz: null     # of CSV and TSV files without a column `time`",
        "signals_unit: uV          # of electrical channels in CSV and TSV files: uV, mV or V",
    ]
    names = next((found for f in signals if (found := _names(f))), [])
    if names:
        lines.append("# Kinds: eeg, ecg, gsr, resp, ppg, temp, emg, eog. Leave out what no model should see.")
        lines.append("channels:")
        for name in names:
            kind = kind_of(name)
            lines.append(f"  {_yaml(name)}: {kind}" if kind else f"  # {_yaml(name)}: which kind?")
    return "\n".join(lines) + "\n"


def _names(file: Path) -> list[str]:
    try:
        return [n for n in names_in(file) if n.lower() not in ("time", "time_s", "t")]
    except BadInput:  # the check says what is wrong with it
        return []


def _yaml(name: str) -> str:
    return name if name.replace("_", "").isalnum() and not name.isdigit() else f'"{name}"'

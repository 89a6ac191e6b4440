"""Where the files of a BIDS dataset are: runs of a subject, and what belongs to each.

    ROOT/sub-01[/ses-2]/eeg/sub-01_ses-2_task-film_run-1_eeg.edf     a run: a signal file, and those with its entities
    .../eeg/..._events.tsv  ..._channels.tsv                              beside it, or in a folder above
    .../beh/..._beh.tsv  ..._recording-gsr_physio.tsv.gz  ..._video.mp4

A file belongs to a run if its name has no entity that contradicts the run's. `recording` and `split` do not count.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ..errors import BadRecording
from ..text import shortened
from .bids_table import BidsTable, read_tsv
from .formats.bids_names import DESCRIPTION, BidsName, not_fetched, parse_name, same_label
from .formats.physio_table import read_json
from .formats.raw_files import companions
from .formats.signal_formats import VIDEO_SUFFIXES
from .recording import require_folder

# Of each kind of data: the suffixes of its signal files. One that lies beside another (.eeg, .fdt) is none of them.
FORMATS = {
    "eeg": (".edf", ".bdf", ".vhdr", ".set", ".fif", ".gdf", ".cnt"),
    "ieeg": (".edf", ".vhdr", ".set", ".mefd", ".bdf"),
    "meg": (".fif",),
    "emg": (".edf", ".bdf", ".vhdr", ".set"),
    "beh": (".tsv",),  # no signal file: physio files alone
}
VIDEO = "video"  # suffix of BEP047, which is not part of BIDS yet


class BidsFile(NamedTuple):
    """A file of a subject, and its name in parts."""

    path: Path
    name: BidsName


@dataclass(frozen=True)
class BidsRun:
    """A signal file with all files of its subject.

    signals : the EEG, or the table of behaviour where there are physio files alone
    """

    signals: BidsFile
    files: tuple[BidsFile, ...]

    @property
    def label(self) -> str:
        """Its name within the subject: `ses-2_task-film_run-1`; empty if it has no other entity."""
        pairs = self.signals.name.entities
        return "_".join(f"{n}-{same_label(n, v) if n == 'run' else v}" for n, v in pairs if n not in ("sub", "split"))

    @cached_property
    def key(self) -> frozenset[tuple[str, str]]:
        """The entities by which files belong to it."""
        return self.signals.name.without("recording", "split")

    def find(self, suffix: str, extensions: tuple[str, ...]) -> list[BidsFile]:
        """Return its files with a suffix, those with most of its entities."""
        own = [file for file in self.files if file.name.suffix == suffix and file.name.extension in extensions]
        fits = [file for file in own if file.name.without("recording", "split") <= self.key]
        most = max((len(file.name.without("recording", "split")) for file in fits), default=0)
        return [file for file in fits if len(file.name.without("recording", "split")) == most]

    def table(self, suffix: str) -> Path | None:
        """Return its table of a suffix (events, beh, channels) or None. Raises BadRecording for several."""
        files = self.find(suffix, (".tsv",))
        if len(files) > 1:
            names = ", ".join(file.path.name for file in files)
            raise BadRecording(self.signals.path, f"one table of {suffix}", names, "Which belongs to it?")
        return files[0].path if files else None

    def physio(self, recording: str) -> Path | None:
        """Return its physio file of a recording (`gsr` of recording-gsr; "" of one without) or None."""
        label = same_label("recording", recording)
        files = [f for f in self.find("physio", (".tsv.gz",)) if same_label("recording", f.name["recording"]) == label]
        if len(files) > 1:
            names = ", ".join(file.path.name for file in files)
            raise BadRecording(self.signals.path, f"one physio file of recording {recording!r}", names)
        return files[0].path if files else None

    def videos(self) -> list[Path]:
        """Return the videos that are named after it, as BEP047 has it."""
        return [file.path for file in self.find(VIDEO, VIDEO_SUFFIXES)]

    def split_notes(self) -> list[str]:
        """Return a note on further parts of a signal file that are not read: only those of FIF name the next one."""
        own = self.signals.name
        parts = [file.path.name for file in self.files if own["split"] and own.extension != ".fif"
                 and (file.name.suffix, file.name.extension) == (own.suffix, own.extension)
                 and file.name.without("split") == own.without("split") and file.path != self.signals.path]  # fmt: skip
        return [f"{shortened(parts)}: further parts of it are not read, but of FIF; join them"] if parts else []

    def case_notes(self) -> list[str]:
        """Return notes on files whose labels differ from the signal file's in their capital letters."""
        own = dict(self.signals.name.entities)
        suffixes: dict[str, list[str]] = {}
        for file in self.files:
            if file.name.without("recording", "split") <= self.key:
                for entity, label in file.name.entities:
                    if label != own.get(entity, label) and label.casefold() == own[entity].casefold():
                        suffixes.setdefault(f"{entity}-{label}", []).append(file.name.suffix)
        return [
            f"{pair} in files of {', '.join(sorted({*held}))}, {entity}-{own[entity]} in those of "
            f"{self.signals.name.suffix}: taken for one"
            for pair, held in suffixes.items()
            for entity in [pair.partition("-")[0]]
        ]


@dataclass(frozen=True)
class BidsFiles:
    """The files of a dataset. kind : of data whose files are the runs (eeg, meg, ...); tasks : only these, if any"""

    root: Path
    kind: str = "eeg"
    tasks: tuple[str, ...] = ()

    @classmethod
    def open(cls, root: Path, kind: str = "eeg", tasks: tuple[str, ...] = ()) -> "BidsFiles":
        """Return the files in a folder. Raises BadRecording if there is no folder of a subject."""
        require_folder(root)
        files = cls(root, kind, tasks)
        if not files.subjects:
            wanted = "a BIDS dataset: folders sub-LABEL"
            raise BadRecording(root, wanted, "none", "Give the folder that holds dataset_description.json.")
        return files

    @property
    def subjects(self) -> tuple[str, ...]:
        """The labels of the folders of subjects, sorted."""
        try:
            entries = list(self.root.iterdir())
        except OSError as error:
            raise BadRecording(self.root, "a folder that can be read", error.strerror or str(error)) from None
        return tuple(sorted(e.name[4:] for e in entries if e.name.startswith("sub-") and e.name[4:] and e.is_dir()))

    def runs(self, subject: str) -> list[BidsRun]:
        """Return the runs of a subject, in the order of their names."""
        files = (*self._above, *self._of_subject(subject))
        chosen = [file for file in files if self._is_run(file, self.kind)]
        if self.kind == "beh" and not chosen:  # no table of behaviour: those of events
            chosen = [file for file in files if self._is_run(file, "events")]
        return [BidsRun(file, files) for file in sorted(chosen, key=lambda file: _order(file.name))]

    def _is_run(self, file: BidsFile, suffix: str) -> bool:
        name = file.name
        tasks = {same_label("task", task) for task in self.tasks}
        return (
            bool(name["sub"])
            and name.suffix == suffix
            and name.extension in FORMATS[self.kind]
            and (not tasks or same_label("task", name["task"]) in tasks)
            and name["split"] in ("", "1", "01", "001")  # MNE goes on to the next part itself
        )

    @property
    def _above(self) -> tuple[BidsFile, ...]:
        """The tables in the dataset's own folder, which hold for all."""
        return tuple(_named(entry) for entry in sorted(self.root.glob("*.tsv")) if parse_name(entry.name))

    def _of_subject(self, subject: str) -> tuple[BidsFile, ...]:
        files: list[BidsFile] = []
        walked: set[str] = set()  # links to folders are followed, each folder once: one may lead back
        for folder, folders, names in os.walk(self.root / f"sub-{subject}", followlinks=True):
            if (real := os.path.realpath(folder)) in walked:
                folders[:] = []
                continue
            walked.add(real)
            data = [name for name in folders if name.endswith(".mefd")]
            folders[:] = sorted(name for name in folders if name not in data and not name.startswith("."))
            files += [_named(Path(folder) / name) for name in sorted((*names, *data)) if parse_name(name)]
        label = same_label("sub", subject)
        return tuple(file for file in files if same_label("sub", file.name["sub"]) in (label, ""))

    def description(self) -> dict:
        """Return what dataset_description.json says; nothing if there is none. Raises BadRecording."""
        path = self.root / DESCRIPTION
        return read_json(path, "the description of a dataset") if path.exists() else {}

    def notes(self) -> list[str]:
        """Return notes on the dataset as a whole: its list of participants against its folders."""
        path = self.root / "participants.tsv"
        if not path.exists():
            return [f"{self.root.name} has no participants.tsv"]
        try:
            table = read_tsv(path, "the table of participants")
            table.require(["participant_id"], "the BIDS standard")
        except BadRecording as error:
            return [str(error)]
        listed = {row.get("participant_id", "").removeprefix("sub-") for row in table.rows} - {""}
        notes, folders = [*table.notes], set(self.subjects)
        if absent := sorted(listed - folders):
            notes.append(f"{len(absent)} participants of participants.tsv have no folder: {shortened(absent, 5)}")
        if extra := sorted(folders - listed):
            notes.append(
                f"{len(extra)} folders are not in participants.tsv: {shortened([f'sub-{e}' for e in extra], 5)}"
            )
        return notes


def _named(path: Path) -> BidsFile:
    name = parse_name(path.name)
    if name is None:
        raise ValueError(path)
    return BidsFile(path, name)


def _order(name: BidsName) -> tuple:
    return tuple((entity, label.zfill(8) if label.isdigit() else label) for entity, label in name.entities)


def require_signals(path: Path) -> None:
    """Raise BadRecording if a signal file, or one that it needs (.fdt, .eeg, .vmrk), is absent or was not fetched."""
    _require_there(path, path)
    for file in companions(path):
        _require_there(file, path)


def _require_there(file: Path, path: Path) -> None:
    missing = not_fetched(file)
    if missing is not None:
        raise BadRecording(file, f"the signals of {path.name}", *missing)
    if not file.exists():
        raise BadRecording(file, f"a file that {path.name} needs", "no such file", "Fetch it, too.")


def channel_types(run: BidsRun) -> tuple[dict[str, str], BidsTable | None]:
    """Return the type of each channel by channels.tsv, in capital letters, and the table, if there is one.

    Raises BadRecording.
    """
    path = run.table("channels")
    if path is None:
        return {}, None
    table = read_tsv(path, "the channels of a run")
    table.require(["name", "type"], "the BIDS standard")
    return {row["name"]: row.get("type", "").upper() for row in table.rows if row.get("name")}, table

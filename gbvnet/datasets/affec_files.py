"""Where the files of AFFEC are: unpacked flat, or each archive below a folder of its own."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import BadRecording
from .recording import require_folder

PRACTICE = 0  # the run that is not read
_RUN = re.compile(r"sub-(?P<subject>[A-Za-z0-9]+)_task-fer_run-(?P<run>\d+)_events\.tsv")


@dataclass(frozen=True)
class AffecFiles:
    """The files of the corpus. folders : all that hold folders of participants; earlier ones come first"""

    root: Path
    folders: tuple[Path, ...]

    @classmethod
    def open(cls, root: Path) -> "AffecFiles":
        """Return the files in a folder. Raises BadRecording if there are no events of any run."""
        require_folder(root)
        try:
            below = sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith((".", "sub-")))
            folders = [f for f in (root, *below) if any(f.glob("sub-*"))]
        except OSError as error:
            raise BadRecording(root, "a folder that can be read", error.strerror) from None
        # What was corrected later replaces the same file of another archive.
        files = cls(root, tuple(sorted(folders, key=lambda f: f == root or "correction" not in f.name)))
        if not files.units:
            wanted = "folders sub-X with sub-X_task-fer_run-R_events.tsv in them"
            raise BadRecording(root, wanted, "none", "Unpack AFFEC's archives into it, the core archive first.")
        return files

    @property
    def units(self) -> tuple[str, ...]:
        """The participants with events: aerj, ..."""
        return tuple(sorted({match["subject"] for match in self._event_files()}))

    def runs(self, unit: str) -> list[int]:
        """Return the numbers of a participant's runs with events."""
        return sorted({int(match["run"]) for match in self._event_files(unit)})

    def _event_files(self, unit: str = "*") -> list[re.Match[str]]:
        files = (f for folder in self.folders for f in folder.glob(f"sub-{unit}/sub-*_events.tsv"))
        matches = (match for f in files if (match := _RUN.fullmatch(f.name)))
        return [match for match in matches if unit in ("*", match["subject"])]

    def find(self, unit: str, run: int, folder: str, ending: str) -> Path | None:
        """Return the first file of a run that is there, or None."""
        name = f"sub-{unit}_task-fer_run-{run}{ending}"
        files = (base / f"sub-{unit}" / folder / name for base in self.folders)
        return next((file for file in files if file.is_file()), None)

    def events(self, unit: str, run: int) -> Path:
        """Return the events of a run, or where they should be."""
        name = f"sub-{unit}_task-fer_run-{run}_events.tsv"
        return self.find(unit, run, "", "_events.tsv") or self.root / f"sub-{unit}" / name

    def ratings(self, unit: str, run: int) -> Path:
        """Return the ratings of a run, or where they should be."""
        name = f"sub-{unit}_task-fer_run-{run}_beh.tsv"
        return self.find(unit, run, "beh", "_beh.tsv") or self.root / f"sub-{unit}" / "beh" / name

    def eeg(self, unit: str, run: int) -> Path | None:
        """Return the EEG of a run, or None."""
        return self.find(unit, run, "eeg", "_eeg.edf")

    def stream(self, unit: str, run: int, kind: str) -> Path | None:
        """Return a stream of a run (gsr, videostream, cursor), or None."""
        return self.find(unit, run, "beh", f"_recording-{kind}_physio.tsv.gz")

    def eeg_files(self) -> Iterator[Path]:
        """Yield the EEG of all runs that are read, by participant."""
        for unit in self.units:
            files = (self.eeg(unit, run) for run in self.runs(unit) if run != PRACTICE)
            yield from (file for file in files if file is not None)

    def sidecars(self, stream: Path) -> tuple[Path, ...]:
        """Return JSON files that may describe a stream: its own, of the first folder that has it, or where it should
        be; then those of all streams of its kind."""
        name = stream.name.removesuffix(".tsv.gz") + ".json"
        own = (base / stream.parent.parent.name / "beh" / name for base in self.folders)
        first = next((file for file in own if file.is_file()), stream.with_name(name))
        return (first, *_sidecars_of(self.folders, stream_kind(stream)))

    @property
    def participants(self) -> Path | None:
        """The table of participants, or None."""
        files = (folder / "participants.tsv" for folder in (self.root, *self.folders))
        return next((file for file in files if file.is_file()), None)


def stream_kind(path: Path) -> str:
    """Return the kind of a stream by its file's name: gsr, videostream, cursor."""
    return path.name.rpartition("_recording-")[2].partition("_")[0]


@lru_cache(maxsize=8)
def _sidecars_of(folders: tuple[Path, ...], kind: str) -> tuple[Path, ...]:
    """The JSON files of all streams of a kind, in alphabetical order within each folder."""
    pattern = f"sub-*/beh/sub-*_recording-{kind}_physio.json"
    return tuple(file for folder in folders for file in sorted(folder.glob(pattern)))

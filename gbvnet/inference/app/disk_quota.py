"""How much the visitors of the web page may leave on its server's disk, all of them together."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from ...errors import BadConfig

MB = 1024 * 1024
MAX_FILES = 1000
RESERVE = 64 * MB  # of the disk itself, never used
MARGIN_S = 0.1  # how late the clock of a file system may be
REMEDY = "Press Delete my files if you no longer need yours, or try again later."


@dataclass
class Upload:
    """One upload that is arriving."""

    began: float  # by time.time()
    to_come: int  # bytes


@dataclass
class DiskQuota:
    """The disk space for all visitors, and the uploads that are arriving.

    apart : a folder in `root` that does not count, the example's
    """

    root: Path
    max_bytes: int
    apart: Path
    max_files: int = MAX_FILES
    uploads: dict[int, Upload] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def used(self) -> tuple[int, int]:
        """Bytes on the disk with those that are still to come, and files. A file with several names counts once."""
        sizes = dict(_sizes(self.root, self.apart))
        with self.lock:
            to_come = sum(upload.to_come for upload in self.uploads.values())
        return sum(sizes.values()) + to_come, len(sizes)

    def require(self, wanted: int = 1) -> None:
        """Raise BadConfig if there is no room for `wanted` more bytes, in the quota or on the disk."""
        used, files = self.used()
        if files >= self.max_files:
            raise BadConfig(f"The server keeps {files} files of all visitors, its limit. {REMEDY}")
        of_the_disk = shutil.disk_usage(self.root).free
        if used + wanted > self.max_bytes or wanted > of_the_disk - RESERVE:
            free = max(0, min(self.max_bytes - used, of_the_disk - RESERVE)) / MB
            raise BadConfig(
                f"The server has {self.max_bytes / MB:.0f} MB for the files of all visitors: {free:.1f} MB are free, "
                f"{max(wanted / MB, 0.1):.1f} MB are needed. {REMEDY}"
            )

    def sweep(self) -> None:
        """Remove the web framework's temporary files that belong to no upload that is arriving.

        It leaves one for each upload that broke off, and an empty one each time that a file is asked about.
        """
        with self.lock:  # no upload begins meanwhile
            oldest = min((upload.began for upload in self.uploads.values()), default=None)
            for file in self.root.glob("tmp*"):
                with suppress(OSError):  # another process has it open
                    if file.is_file() and (oldest is None or file.stat().st_ctime < oldest - MARGIN_S):
                        file.unlink()


def _sizes(folder: Path, apart: Path) -> Iterator[tuple[int, int]]:
    """Identity and size of each file."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # it was deleted meanwhile
                if entry.is_dir(follow_symlinks=False):
                    if Path(entry.path) != apart:
                        yield from _sizes(Path(entry.path), apart)
                elif entry.is_file(follow_symlinks=False):
                    about = os.stat(entry.path)
                    yield about.st_ino, about.st_size

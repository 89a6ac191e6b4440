"""The disk space that all visitors of the web page together may use on its server."""

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
RESERVE = 64 * MB  # of the disk, left free
MARGIN_S = 0.1  # by which the clock of a file system may be late
REMEDY = "Press Delete my files if you no longer need yours, or try again later."


@dataclass
class Upload:
    """An upload in progress."""

    began: float  # by time.time()
    remaining: int  # bytes


@dataclass
class DiskQuota:
    """The disk space for all visitors, and the uploads in progress.

    excluded : a folder in `root` that does not count, the example's
    """

    root: Path
    max_bytes: int
    excluded: Path
    max_files: int = MAX_FILES
    uploads: dict[int, Upload] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def used(self) -> tuple[int, int]:
        """Return the bytes on the disk, including those of uploads in progress, and the number of files.

        A file with several names counts once.
        """
        sizes = dict(_sizes(self.root, self.excluded))
        with self.lock:
            remaining = sum(upload.remaining for upload in self.uploads.values())
        return sum(sizes.values()) + remaining, len(sizes)

    def require(self, wanted: int = 1) -> None:
        """Raise BadConfig if there is no space for `wanted` more bytes, in the quota or on the disk."""
        used, files = self.used()
        if files >= self.max_files:
            raise BadConfig(f"The server keeps {files} files of all visitors, its limit. {REMEDY}")
        disk_free = shutil.disk_usage(self.root).free
        if used + wanted > self.max_bytes or wanted > disk_free - RESERVE:
            free = max(0, min(self.max_bytes - used, disk_free - RESERVE)) / MB
            raise BadConfig(
                f"The server has {self.max_bytes / MB:.0f} MB for the files of all visitors: {free:.1f} MB are free, "
                f"{max(wanted / MB, 0.1):.1f} MB are needed. {REMEDY}"
            )

    def remove_orphans(self) -> None:
        """Remove the web framework's temporary files that belong to no upload in progress.

        It leaves one for each interrupted upload, and an empty one each time that a file is requested.
        """
        with self.lock:  # no upload starts meanwhile
            oldest = min((upload.began for upload in self.uploads.values()), default=None)
            for file in self.root.glob("tmp*"):
                with suppress(OSError):  # another process has it open
                    if file.is_file() and (oldest is None or file.stat().st_ctime < oldest - MARGIN_S):
                        file.unlink()


def _sizes(folder: Path, excluded: Path) -> Iterator[tuple[int, int]]:
    """Yield inode and size of each file."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # it was deleted meanwhile
                if entry.is_dir(follow_symlinks=False):
                    if Path(entry.path) != excluded:
                        yield from _sizes(Path(entry.path), excluded)
                elif entry.is_file(follow_symlinks=False):
                    status = os.stat(entry.path)
                    yield status.st_ino, status.st_size

"""How much memory a piece of work took."""

from pathlib import Path
from typing import Self

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """The most memory that this process held while the work was done, above what it held before; for `with`.

    The system's own count of resident memory, so everything is in it: arrays, torch, files that were mapped and read.
    `mb` is None where the system keeps no such count (only Linux does).
    """

    mb: float | None = None

    def __enter__(self) -> Self:
        try:
            _CLEAR.write_text("5")  # sets the high-water mark to what is held now
            self._before = _status_kib("VmRSS")
        except OSError:
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        after = None if self._before is None else _status_kib("VmHWM")
        if after is not None and self._before is not None:
            self.mb = max(0.0, (after - self._before) * 1024 / 1e6)


def _status_kib(name: str) -> int | None:
    """A line of the process' status, KiB."""
    lines = _STATUS.read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None)

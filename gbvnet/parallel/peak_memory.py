"""The peak memory of a piece of work."""

import ctypes
import gc
import sys
from pathlib import Path
from typing import Self

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# Searching for unreachable objects takes a quarter of a second, as long as a short training: it waits until the process
# has grown by this much since the last search. So much they may hold, by which the next work seems to need less.
_GROWTH_KIB = 16 * 1024


class PeakMemory:
    """Context manager that measures how far this process's memory rose above its value at the start.

    mb : megabytes, set at the end; None on systems other than Linux, which do not count it

    Resident memory as the system counts it: it includes arrays, torch, and memory-mapped files that were read. What
    earlier work has freed is given back to the system first: in it, later work would rise by nothing.
    """

    mb: float | None = None
    _kib_when_collected = 0  # memory of this process

    def __enter__(self) -> Self:
        self._free()
        try:
            _CLEAR.write_text("5")  # resets the high-water mark to the current value
            self._before = _status_kib("VmRSS")
        except OSError:
            self._before = None
        return self

    @classmethod
    def _free(cls) -> None:
        """Free what nothing can reach, if that may be much, and give back what is free."""
        _give_back_freed_memory()
        own = _status_kib("RssAnon")  # without files that are mapped, which come and go
        if own is not None and own - cls._kib_when_collected <= _GROWTH_KIB:
            cls._kib_when_collected = min(cls._kib_when_collected, own)
            return
        gc.collect()
        _give_back_freed_memory()
        cls._kib_when_collected = _status_kib("RssAnon") or 0

    def __exit__(self, *_: object) -> None:
        after = None if self._before is None else _status_kib("VmHWM")
        if after is not None and self._before is not None:
            self.mb = max(0.0, (after - self._before) * 1024 / 1e6)


def _give_back_freed_memory() -> None:
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc; other C libraries keep little
        if trim is not None:
            trim(0)


def _status_kib(name: str) -> int | None:
    """Return one line of the process status, in KiB; None if it is absent, as on systems other than Linux."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None)

"""Many corrupted files for one parser, and the different ways in which it failed."""

import hashlib
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import gbvnet
from gbvnet.errors import GbvnetError

from .mutate import corrupt
from .targets import Target

PACKAGE = str(Path(gbvnet.__file__).parent)
SLOW_S = 10.0  # a file of 64 kB that keeps a processor busy for longer is a fault


class TooSlow(BaseException):
    """No Exception, which a parser may catch."""


@dataclass
class HuntResult:
    """The counts of one hunt. faults: where it failed -> the first exception's text there."""

    name: str
    tried: int = 0
    refused: int = 0  # with a GbvnetError
    seconds: float = 0.0
    faults: dict[str, str] = field(default_factory=dict)
    times: Counter = field(default_factory=Counter)

    def __str__(self) -> str:
        taken = self.tried - self.refused - self.times.total()
        line = (
            f"{self.name:<20}{self.tried:>9,} files {taken:>9,} taken {self.refused:>9,} refused {self.seconds:>8.1f} s"
        )
        return "\n".join([line, *(f"    FAULT {self.times[k]} times: {text}" for k, text in self.faults.items())])


def tried(target: Target, data: bytes, result: HuntResult, keep: Path | None = None) -> BaseException | None:
    """Give one file to a parser, and count what comes of it; gives the exception that should not be."""
    result.tried += 1
    try:
        with warnings.catch_warnings(), _hurried():
            warnings.simplefilter("error")
            target.parse(data)
    except GbvnetError:
        result.refused += 1
    except (Exception, TooSlow) as error:
        _note(error, target, data, result, keep)
        return error
    return None


@contextmanager
def _hurried() -> Iterator[None]:
    """Raises TooSlow in what takes SLOW_S of this process' own time; time in which others compute does not count."""
    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return

    def stop(*_: object) -> None:
        raise TooSlow(f"more than {SLOW_S:g} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SLOW_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _note(error: BaseException, target: Target, data: bytes, result: HuntResult, keep: Path | None) -> None:
    package_frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(PACKAGE)]
    at = f"{Path(package_frames[-1].filename).name}:{package_frames[-1].lineno}" if package_frames else "target"
    where = f"{type(error).__name__} at {at}"
    result.times[where] += 1
    if where in result.faults:
        return
    name = f"{target.name.replace(' ', '-')}-{hashlib.sha256(data).hexdigest()[:12]}"
    result.faults[where] = f"{where}: {str(error)[:200]} [{name}]"
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / name).write_bytes(data)


def hunt(target: Target, count: int, seed: int = 0, keep: Path | None = None) -> HuntResult:
    """`count` corrupted files, the same for the same seed, after the seeds themselves, which must do no harm either."""
    rng, result, began = Random(f"{target.name}/{seed}"), HuntResult(target.name), time.perf_counter()
    for data in target.seeds[:count]:
        tried(target, data, result, keep)
    while result.tried < count:
        tried(target, corrupt(rng, target.seeds, target.kind), result, keep)
    result.seconds = time.perf_counter() - began
    return result

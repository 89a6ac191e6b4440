"""Many spoilt files for one parser, and the different ways in which it failed."""

import hashlib
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from gbvnet.errors import GbvnetError

from .mutate import spoilt
from .targets import Target

SLOW_S = 10.0  # a file of 64 kB that takes longer is a fault


@dataclass
class Found:
    """What came of it. faults: where it failed -> the first exception's text there."""

    name: str
    tried: int = 0
    refused: int = 0  # with an error of ours
    seconds: float = 0.0
    faults: dict[str, str] = field(default_factory=dict)
    times: Counter = field(default_factory=Counter)

    def __str__(self) -> str:
        taken = self.tried - self.refused - self.times.total()
        line = (
            f"{self.name:<20}{self.tried:>9,} files {taken:>9,} taken {self.refused:>9,} refused {self.seconds:>8.1f} s"
        )
        return "\n".join([line, *(f"    FAULT {self.times[k]} times: {text}" for k, text in self.faults.items())])


def tried(target: Target, data: bytes, found: Found, keep: Path | None = None) -> None:
    """Give one file to a parser, and count what comes of it."""
    found.tried += 1
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            target.parse(data)
        error: BaseException | None = None
    except GbvnetError:
        found.refused += 1
        error = None
    except Exception as other:
        error = other
    seconds = time.perf_counter() - began
    if error is None and seconds > SLOW_S:
        error = TimeoutError(f"{seconds:.1f} s for {len(data)} bytes")
    if error is not None:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "/gbvnet/" in f.filename] or [None]
        at = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames[-1] else "target"
        where = f"{type(error).__name__} at {at}"
        found.times[where] += 1
        if where not in found.faults:
            name = hashlib.sha256(data).hexdigest()[:12]
            found.faults[where] = f"{where}: {str(error)[:200]} [{target.name.replace(' ', '-')}-{name}]"
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{target.name.replace(' ', '-')}-{name}").write_bytes(data)


def hunt(target: Target, count: int, seed: int = 0, keep: Path | None = None) -> Found:
    """`count` spoilt files, the same for the same seed, after the seeds themselves, which must do no harm either."""
    rng, found, began = Random(f"{target.name}/{seed}"), Found(target.name), time.perf_counter()
    for data in target.seeds[:count]:
        tried(target, data, found, keep)
    while found.tried < count:
        tried(target, spoilt(rng, target.seeds, target.kind), found, keep)
    found.seconds = time.perf_counter() - began
    return found

"""A synthetic AMIGOS, the long films: as synthetic/amigos.py, with films that are as long as they are asked to be."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ...progress import ProgressCallback
from ..amigos_file import LONG
from . import amigos


@dataclass(frozen=True)
class Settings(amigos.Settings):
    """A synthetic AMIGOS, the long films."""

    limits: ClassVar = {"subjects": 40, "trials": len(LONG), "seconds": 1440}
    corpus: ClassVar[str] = "amigos-long"

    trials: int = len(LONG)
    """films per subject"""


def write(root: Path, config: Settings, jobs: int = 1, progress: ProgressCallback | None = None) -> None:
    """Write a synthetic AMIGOS with long films, as `write_synthetic` says."""
    amigos.write(root, config, jobs, progress)

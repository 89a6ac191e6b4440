"""AMIGOS, the 4 long films, of 14 to 24 minutes: alone or in groups of four (Miranda-Correa et al. 2018).

The same files as of amigos.py, of which this corpus has the cells of N1, P1, B1 and U1. A film has one self-assessment,
which all of its windows share; the annotators' ratings change every 20 s.

Twenty of 37 participants watched in groups of four, in one room: what one of a group shows, the others may show because
of it. A fold that tests one of a group should not train on the others: `--fixed amigos-long-v1` keeps groups together.
"""

from dataclasses import dataclass
from typing import ClassVar

from typing_extensions import override

from . import amigos
from .amigos_file import LONG

GROUPS = (
    ("P07", "P01", "P02", "P16"),
    ("P06", "P32", "P04", "P03"),
    ("P29", "P05", "P27", "P21"),
    ("P18", "P14", "P17", "P22"),
    ("P15", "P11", "P12", "P10"),
)  # who watched together
WITHOUT = ("P08", "P24", "P28")  # who did not take part
_KEEP = "a protocol by subject may part them: --fixed amigos-long-v1 does not"


@dataclass(frozen=True)
class Reader(amigos.Reader):
    """The long films of a folder with AMIGOS. Opened by `open_corpus("amigos-long", root)`."""

    dataset = "amigos-long"
    films: ClassVar[dict[str, int]] = LONG

    @override
    def notes(self, unit: str | None = None) -> tuple[str, ...]:
        """Return the notes of `amigos.Reader`, and who watched together."""
        notes = super().notes(unit)
        together = [group for group in GROUPS if sum(name in self.files for name in group) > 1]
        if unit is not None or not together:
            return notes
        groups = "; ".join(" ".join(group) for group in together)
        once = "all windows of a film share its one self-assessment; external ratings change every 20 s"
        return (*notes, once, f"watched together: {groups}; {_KEEP}")

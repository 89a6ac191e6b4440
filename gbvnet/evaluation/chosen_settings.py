"""What a search for settings has chosen for one training of a run, with the score by which it was chosen.

RUN/tuning/foldNN/<target>/chosen.json        written when the search is finished
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BadRun
from ..io.atomic import atomic_write
from ..io.records import json_record

FOLDER = "tuning"  # in the run folder, and what config.yaml calls the settings of the search
FILE = "chosen.json"


class ChosenSettings(msgspec.Struct, frozen=True):
    """The result of one search.

    values : by dotted name of the setting; none where no candidates could be compared, which `note` explains
    number, score, fold_scores : of the chosen candidate; a score of a tuning fold is None where it is not defined
    candidates, failed, repeated : how many were tried, could not be trained, had the values of an earlier one
    """

    fold: int
    targets: list[str]
    values: dict[str, Any]
    score_name: str
    score: float | None
    fold_scores: list[float | None]
    number: int | None
    candidates: int
    failed: int
    repeated: int
    note: str = ""


def write_chosen(folder: Path, chosen: ChosenSettings) -> None:
    """Write the result of a search into its folder, atomically."""
    atomic_write(folder / FILE, (json.dumps(msgspec.to_builtins(chosen), indent=2) + "\n").encode())


def read_chosen(folder: Path) -> ChosenSettings | None:
    """Return the result of the search in a folder; None if it is not finished. Raises BadRun if it is damaged."""
    try:
        return json_record((folder / FILE).read_text(encoding="utf-8"), ChosenSettings)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        damage = f"a file that cannot be read ({error})"
        raise BadRun(folder / FILE, "what a search has chosen", damage, "Delete it and run again.") from None

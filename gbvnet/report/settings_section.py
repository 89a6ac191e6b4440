"""The report's section on how its runs were made: settings, software, machine and store."""

from collections.abc import Iterator, Sequence
from typing import Any

from ..config import flatten
from ..plugins import label
from ..provenance import is_leaky
from .document import Block, Heading, Table
from .formatting import NONE
from .results import Run


def settings_blocks(runs: Sequence[Run]) -> Iterator[Block]:
    """Yield what differs between the runs, and what is the same in all; nothing without runs."""
    if not runs:
        return
    yield Heading("How it was made")
    flat = {run.name: _settings(run) for run in runs}
    names = list(dict.fromkeys(name for values in flat.values() for name in values))
    same = [name for name in names if len({values.get(name, NONE) for values in flat.values()}) == 1]
    other = [name for name in names if name not in same]
    if other:
        columns = ("Setting", *(run.name for run in runs))
        rows = [[name, *(flat[run.name].get(name, NONE) for run in runs)] for name in other]
        yield Table(columns, rows, "What differs between the runs.", text_columns=len(columns))
    first = flat[runs[0].name]
    yield Table(
        ("Setting", "Value"), [[name, first.get(name, NONE)] for name in same],
        "What is the same in all runs." if len(runs) > 1 else "", text_columns=2,
    )  # fmt: skip


def _settings(run: Run) -> dict[str, str]:
    """The run's settings, and what its environment.json says of software, machine and store, by dotted name."""
    others = ("data", "format")  # a section of its own; the same wherever runs are read
    environment = {name: value for name, value in run.environment.items() if name not in others}
    values = flatten(run.config) | flatten(environment)
    settings = {name: _as_text(value) for name, value in values.items()}
    settings["system"] = label(settings.get("system", NONE))  # a plug-in without the folder of its file
    if is_leaky(settings.get("protocol", "")):
        settings["protocol"] += " LEAKY"
    return settings


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or NONE
    return NONE if value is None else str(value)

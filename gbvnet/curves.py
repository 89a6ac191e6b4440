"""Curves of the last minute in a terminal."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

LEVELS = " ▁▂▃▄▅▆▇█"
TALL = 4  # lines of a target's curve; gates have one


def bars(values: Sequence[float], height: int) -> list[str]:
    """Values of 0 to 1 as columns, `height` lines from the top; a dot at the foot where there is none."""
    lines = []
    for line in reversed(range(height)):
        text = ""
        for value in values:
            if math.isnan(value):
                text += "·" if line == 0 else " "
            else:
                eighths = max(1, round(min(max(value, 0.0), 1.0) * 8 * height))
                text += LEVELS[min(max(eighths - 8 * line, 0), 8)]
        lines.append(text)
    return lines


class Curves:
    """The last `width` rows of a stream, for rich to draw.

    targets : names in a row whose curves are tall;  title, stamp : what is read above and below them
    """

    def __init__(self, targets: Sequence[str], title: str, stamp: str = "", width: int = 60):
        self.targets, self.title, self.stamp, self.width = tuple(targets), title, stamp, width
        self._rows: deque[Mapping[str, Any]] = deque(maxlen=width)
        self.note = ""

    def add(self, row: Mapping[str, Any], note: str = "") -> None:
        self._rows.append(row)
        self.note = note

    def __rich__(self) -> Panel:
        parts = []
        for name in (*self.targets, "gate_face", "gate_bio", "face_ok"):
            values = [float(row[name]) for row in self._rows]
            lines = bars(values, TALL if name in self.targets else 1)
            for k, line in enumerate(lines):
                last = k == len(lines) - 1
                label = f"{name:<10}" if last else " " * 10
                value = f"  {values[-1]:.2f}" if last and values else ""
                parts.append(Text(f"{label} {line:<{self.width}}{value}", style="bold" if len(lines) > 1 else "dim"))
        if self._rows:
            row = self._rows[-1]
            parts.append(Text(f"{row['start_s']:.1f} to {row['stop_s']:.1f} s  {row['flags']}"))
        parts.append(Text(self.note, style="dim"))
        return Panel(Group(*parts), title=self.title, subtitle=self.stamp or None)


def plain(row: Mapping[str, Any], targets: Sequence[str]) -> str:
    """A row as a line, where there is no terminal."""
    said = "  ".join(f"{name} {row[name]:.2f}" for name in (*targets, "gate_face", "gate_bio"))
    signals = "signals" if row["has_signals"] else "no signals"
    flags = f"  [{row['flags']}]" if row["flags"] else ""
    return f"{row['start_s']:.1f} to {row['stop_s']:.1f} s  {said}  face {row['face_ok']:.0%}  {signals}{flags}"

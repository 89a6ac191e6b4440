"""Curves of the last minute in a terminal."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

LEVELS = " ▁▂▃▄▅▆▇█"
TALL = 5  # lines of a target's curve, an odd number: one half is in the middle of a line; gates have one line
HALF = "─"
LABEL = 10  # characters for a name
SCALE = {TALL - 1: "  1 ┤", TALL // 2: "0.5 ┼", 0: "  0 ┤"}  # by lines from the foot
AROUND = LABEL + 2 + len(SCALE[0]) + 6 + 4  # characters beside a curve: name, scale, value, frame
EVERY = 10  # windows from one time on the axis to the next


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
        self._count = 0  # of all rows so far
        self.note = ""

    def add(self, row: Mapping[str, Any], note: str = "") -> None:
        self._rows.append(row)
        self._count += 1
        self.note = note

    def __rich__(self) -> Panel:
        parts = [part for name in self.targets for part in self._tall(name)]
        parts += self._axis()
        for name in ("gate_face", "gate_bio", "face_ok"):
            values = [float(row[name]) for row in self._rows]
            if all(map(math.isnan, values)):  # no gates of one modality, or of a network without
                continue
            parts.append(Text(self._line(name, "     ", bars(values, 1)[0], values), style="dim"))
        if self._rows:
            row = self._rows[-1]
            parts.append(Text(f"{row['start_s']:.1f} to {row['stop_s']:.1f} s  {row['flags']}"))
        parts.append(Text(self.note, style="dim"))
        return Panel(Group(*parts), title=self.title, subtitle=self.stamp or None)

    def _tall(self, name: str) -> list[Text]:
        """A target's curve, with a scale from 0 to 1 and a line at one half."""
        values = [float(row[name]) for row in self._rows]
        lines = []
        for foot, line in zip(reversed(range(TALL)), bars(values, TALL), strict=True):
            line = f"{line:<{self.width}}"
            if foot == TALL // 2:
                line = line.replace(" ", HALF)
            last = foot == 0
            text = self._line(name if last else "", SCALE.get(foot, "    │"), line, values if last else [])
            lines.append(Text(text, style="bold"))
        return lines

    def _axis(self) -> list[Text]:
        """Seconds below the curves: where windows start."""
        ticks, times = list("─" * self.width), [" "] * (self.width + LABEL)
        first = self._count - len(self._rows)
        for k, row in enumerate(self._rows):
            if (first + k) % EVERY == 0:
                ticks[k] = "┬"
                label = f"{row['start_s']:g} s"
                times[k : k + len(label)] = label
        lines = (self._line("", "    └", "".join(ticks), []), self._line("", "     ", "".join(times), []))
        return [Text(line.rstrip(), style="dim") for line in lines]

    def _line(self, name: str, scale: str, curve: str, values: Sequence[float]) -> str:
        value = "" if not values else "  –" if math.isnan(values[-1]) else f"  {values[-1]:.2f}"
        return f"{name:<{LABEL}} {scale}{curve:<{self.width}}{value}"


def plain(row: Mapping[str, Any], targets: Sequence[str]) -> str:
    """A row as a line, where there is no terminal."""
    gates = [name for name in ("gate_face", "gate_bio") if not math.isnan(row[name])]
    said = "  ".join(f"{name} {row[name]:.2f}" for name in (*targets, *gates))
    signals = "signals" if row["has_signals"] else "no signals"
    flags = f"  [{row['flags']}]" if row["flags"] else ""
    return f"{row['start_s']:.1f} to {row['stop_s']:.1f} s  {said}  face {row['face_ok']:.0%}  {signals}{flags}"

"""The curves of a stream's last windows in a terminal."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from ..model_outputs import ModelOutputs

LEVELS = " ▁▂▃▄▅▆▇█"
HEIGHT = 5  # lines of a column's curve, an odd number: the middle of its limits is in the middle of a line
HALF_LINE = "─"
NAME_WIDTH = 10  # characters
SCALE_WIDTH = 5  # characters, with the axis
MARGIN = NAME_WIDTH + 2 + SCALE_WIDTH + 6 + 4  # characters beside a curve: name, scale, value, frame
TICK_EVERY = 10  # windows


def bars(values: Sequence[float], height: int) -> list[str]:
    """Return values of 0 to 1 as bars, in `height` lines from the top; a dot at the bottom for NaN."""
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


class TerminalPlot:
    """The last `width` rows of a stream, drawn by rich.

    outputs : what the model predicts, a curve for each column        title, stamp : texts above and below
    """

    def __init__(self, outputs: ModelOutputs, title: str, stamp: str = "", width: int = 60):
        self.outputs, self.title, self.stamp, self.width = outputs, title, stamp, width
        self._rows: deque[Mapping[str, Any]] = deque(maxlen=width)
        self._count = 0  # of all rows so far
        self.note = ""

    def add(self, row: Mapping[str, Any], note: str = "") -> None:
        """Add a row, and show a note below the curves."""
        self._rows.append(row)
        self._count += 1
        self.note = note

    def __rich__(self) -> Panel:
        names = zip(self.outputs.names, self.outputs.labels, strict=True)
        parts = [part for name, label in names for part in self._curve(name, label)]
        parts += self._axis()
        for name in ("gate_face", "gate_bio", "face_ok"):
            values = [float(row[name]) for row in self._rows]
            if all(map(math.isnan, values)):  # one modality, or a network without gates
                continue
            parts.append(Text(self._line(name, "     ", bars(values, 1)[0], values), style="dim"))
        if self._rows:
            row = self._rows[-1]
            parts.append(Text(f"{row['start_s']:.1f} to {row['stop_s']:.1f} s  {row['flags']}"))
        parts.append(Text(self.note, style="dim"))
        return Panel(Group(*parts), title=self.title, subtitle=self.stamp or None)

    def _curve(self, name: str, label: str) -> list[Text]:
        """Return a column's curve, with its scale and a line at the middle of it."""
        values = [float(row[name]) for row in self._rows]
        low, middle, high = self.outputs.ticks
        ticks = {HEIGHT - 1: f"{high:>3g} ┤", HEIGHT // 2: f"{middle:>3g} ┼", 0: f"{low:>3g} ┤"}
        shares = [(value - low) / (high - low) for value in values]
        lines = []
        for row, line in zip(reversed(range(HEIGHT)), bars(shares, HEIGHT), strict=True):
            line = f"{line:<{self.width}}"
            if row == HEIGHT // 2:
                line = line.replace(" ", HALF_LINE)
            last = row == 0
            text = self._line(label[:NAME_WIDTH] if last else "", ticks.get(row, "    │"), line, values if last else [])
            lines.append(Text(text, style="bold"))
        return lines

    def _axis(self) -> list[Text]:
        """Return the time axis: where windows start, in seconds."""
        ticks, times = list("─" * self.width), [" "] * (self.width + NAME_WIDTH)
        first = self._count - len(self._rows)
        for k, row in enumerate(self._rows):
            if (first + k) % TICK_EVERY == 0:
                ticks[k] = "┬"
                label = f"{row['start_s']:g} s"
                times[k : k + len(label)] = label
        lines = (self._line("", "    └", "".join(ticks), []), self._line("", "     ", "".join(times), []))
        return [Text(line.rstrip(), style="dim") for line in lines]

    def _line(self, name: str, scale: str, curve: str, values: Sequence[float]) -> str:
        value = "" if not values else "  –" if math.isnan(values[-1]) else f"  {values[-1]:.2f}"
        return f"{name:<{NAME_WIDTH}} {scale}{curve:<{self.width}}{value}"


def format_row(row: Mapping[str, Any], targets: Sequence[str]) -> str:
    """Return a row as a line of text."""
    gates = [name for name in ("gate_face", "gate_bio") if not math.isnan(row[name])]
    numbers = "  ".join(f"{name} {row[name]:.2f}" for name in (*targets, *gates))
    signals = "signals" if row["has_signals"] else "no signals"
    flags = f"  [{row['flags']}]" if row["flags"] else ""
    return f"{row['start_s']:.1f} to {row['stop_s']:.1f} s  {numbers}  face {row['face_ok']:.0%}  {signals}{flags}"

"""What `gbvnet live` prints: notes, the rows as curves in a terminal or as lines, and a summary."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from ..config import LiveSources
from ..inference.streaming.live import LiveSession, live_session
from ..inference.streaming.row_file import RowOutput
from ..inference.streaming.terminal_plot import MARGIN, TerminalPlot, format_row


def run_live(
    model: Path,
    sources: LiveSources,
    say: Callable[[str], None],
    *,
    rename: Mapping[str, str] | None = None,
    seconds: float | None = None,
    output: RowOutput | None = None,
    device: str = "auto",
    precision: str = "32",
) -> None:
    """Run a live session, and print what it reports. Parameters and errors are those of `live_session`."""
    computing = {"device": device, "precision": precision}
    with live_session(model, sources, rename=rename, seconds=seconds, output=output, **computing) as session:
        for note in session.notes:
            say(f"note {note}")
        with _row_display(session, say) as show:
            session.run(show)
    for message in session.messages:
        say(f"note {message}")
    say(session.summary)
    if output is not None:
        say(str(output.path))


@contextmanager
def _row_display(
    session: LiveSession, say: Callable[[str], None]
) -> Generator[Callable[[Mapping[str, Any], str], None]]:
    """Yield a function that shows a row and a note: curves in a terminal, lines elsewhere."""
    console, targets = Console(), session.predictor.targets
    if not console.is_terminal:
        yield lambda row, note: say(format_row(row, targets))
        return
    plot = TerminalPlot(session.predictor.outputs, session.title, session.stamp, max(20, console.width - MARGIN))
    with Live(plot, console=console, auto_refresh=False) as display:

        def show(row: Mapping[str, Any], note: str) -> None:
            plot.add(row, note)
            display.refresh()

        yield show

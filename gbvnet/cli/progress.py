"""Output of the command line while it works: lines, and a progress bar."""

from contextlib import contextmanager


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


@contextmanager
def bar(what: str, unit: str = ""):
    """Yield a ProgressCallback that draws a bar on stderr; nothing is drawn when stderr is no terminal.

    what : the text before the bar; unit : the pieces that are counted, for the rate ("epochs")
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    wide = console.width >= 120
    columns = [TextColumn("{task.description}"), BarColumn(40 if wide else 10), MofNCompleteColumn()]
    columns += [TextColumn("{task.fields[rate]}"), TimeElapsedColumn()] if wide else []
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=None, rate="")

        def progress(done: int, total: int, doing: str = "") -> None:
            speed = shown.tasks[task].finished_speed or shown.tasks[task].speed
            rate = f"{speed:.1f} {unit or 'a second'}" + ("/s" if unit else "") if speed else ""
            shown.update(task, completed=done, total=total, rate=rate, description=f"{what} {doing}")

        yield progress


def columns(rows) -> list[str]:
    """Return rows of text as lines, each column as wide as it needs."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows]

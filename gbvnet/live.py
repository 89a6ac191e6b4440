"""A model asked while it happens: a camera or a film, an LSL stream or a signal file, curves in the terminal.

Filters are causal here; how that differs from `gbvnet predict` is told in `stream`.
"""

import csv
import json
import math
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from . import __version__
from .config import LiveSources
from .curves import Curves, plain
from .datasets.lone import lone
from .datasets.signal_file import read_signals
from .errors import BadConfig, BadInput
from .feeds import Arrived, Event, Together, camera, film, played
from .files import write_whole
from .lsl import chunks, open_lsl
from .predict import stamps
from .predictor import Predictor
from .signals import beyond
from .stream import EmotionStream


def run_live(
    model: Path,
    sources: LiveSources,
    *,
    rename: Mapping[str, str] | None = None,
    seconds: float | None = None,
    out: Path | None = None,
    device: str = "auto",
    say: Callable[[str], None],
) -> None:
    """Ask a model until what is played ends, `seconds` are over, or Ctrl-C; all three are a good end.

    out : a CSV file for the rows, whole after each of them; FILE.json beside it says where they come from

    Raises BadModel, BadConfig, BadRecording, or GbvnetError with a remedy if a camera or a stream is not there.
    """
    if sources.video is None and sources.signals is None and sources.lsl is None:
        sources = replace(sources, video="0")
    if seconds is not None and not seconds > 0:
        raise BadConfig(f"--seconds must be above 0, not {seconds:g}")
    if out is not None and out.exists():
        raise BadConfig(f"{out} exists, and may be a recording that cannot be made again: give another name")
    predictor = Predictor(model, device)
    began = time.monotonic()

    def clock() -> float:
        return time.monotonic() - began

    with ExitStack() as opened:
        feeds, stream, notes = _open(predictor, sources, dict(rename or {}), clock, opened)
        stamp = "; ".join(stamps(predictor))
        for note in (*notes, *((stamp,) if stamp else ())):
            say(f"note {note}")
        write = opened.enter_context(_table(out, stream, sources, predictor)) if out else None
        show = opened.enter_context(_shown(stream, predictor, stamp, say))
        together = Together(feeds, None if sources.fast else clock, seconds)
        began = time.monotonic()
        told = _Told(clock, sources.fast)
        with suppress(KeyboardInterrupt):
            for arrived in together:
                event = arrived.event
                rows = (
                    stream.frame(event.frame, event.time_s)
                    if event.frame is not None
                    else stream.samples(event.chunk, event.time_s)  # type: ignore[arg-type]
                )
                for row in rows:
                    told.add(row, arrived)
                    if write:
                        write(row)
                    show(row, told.note)
        with suppress(KeyboardInterrupt):
            for row in stream.finish():
                told.rows += 1
                if write:
                    write(row)
                show(row, "")
    say(told.summary(together.dropped, stream))
    if out is not None:
        say(str(out))


def _open(
    predictor: Predictor,
    sources: LiveSources,
    rename: dict[str, str],
    clock: Callable[[], float],
    opened: ExitStack,
) -> tuple[list[Iterable[Event]], EmotionStream, list[str]]:
    """The feeds that the model can use, a stream for them, and what to know of them."""
    feeds: list[Iterable[Event]] = []
    notes: list[str] = []
    names, rate_hz = tuple(c.name for c in predictor.channels), None
    use_video = predictor.sees_face and sources.video is not None
    if sources.video is not None and not use_video:
        notes.append("the model sees no face: --video is not read")
    if not predictor.sees_signals and (sources.signals or sources.lsl):
        notes.append("the model sees no signals: they are not read")
    elif sources.signals is not None:
        lone(
            [sources.signals], predictor.channels, predictor.about["rate_hz"], 0.0, rename=rename
        )  # or says what lacks
        wanted = tuple(replace(c, name=rename.get(c.name, c.name)) for c in predictor.channels)
        samples, rate_hz, begin = read_signals(
            sources.signals, 0.0, math.inf, wanted, sources.signals_rate_hz, sources.signals_unit,
            "Give --rename MODELNAME=FILENAME, or --signals_rate_hz.",
        )  # fmt: skip
        feeds.append(played(samples, rate_hz, begin))
        rename = {}  # it is done
    elif sources.lsl is not None:
        device = opened.enter_context(open_lsl(sources.lsl))
        names, rate_hz = device.names, device.rate_hz
        if device.unsaid:
            notes.append(f"{sources.lsl} says no unit of {', '.join(device.unsaid[:4])}...: taken as microvolts")
        feeds.append(chunks(device, clock))
    slow = beyond(predictor.channels, rate_hz, predictor.about["rate_hz"]) if rate_hz else ""
    notes += [slow] if slow else []
    if use_video:
        assert sources.video is not None
        feeds.append(camera(int(sources.video), clock) if sources.video.isdigit() else film(Path(sources.video)))
    stream = EmotionStream(
        predictor, rate_hz, names, rename=rename if rate_hz else None, faces=use_video, step_s=sources.step_s,
        baseline_start_s=sources.baseline_start_s, running_s=sources.running_s,
    )  # fmt: skip
    return feeds, opened.enter_context(stream), notes


class _Told:
    """How late rows were."""

    def __init__(self, clock: Callable[[], float], fast: bool):
        self.clock, self.fast = clock, fast
        self.rows, self.worst, self.worst_after = 0, 0.0, 0.0
        self.note = ""

    def add(self, row: Mapping[str, Any], arrived: Arrived) -> None:
        self.rows += 1
        if not self.fast:
            now = self.clock()
            late, after = now - arrived.at_s, now - row["stop_s"]
            self.worst, self.worst_after = max(self.worst, late), max(self.worst_after, after)
            self.note = f"{1e3 * late:.0f} ms after its last frame or sample, {1e3 * after:.0f} ms after its end"

    def summary(self, dropped: int, stream: EmotionStream) -> str:
        parts = [f"{self.rows} windows in {self.clock():.1f} s"]
        if not self.fast and self.rows:
            parts.append(
                f"each told within {1e3 * self.worst:.0f} ms of its last frame or sample, "
                f"{1e3 * self.worst_after:.0f} ms of its end"
            )
        parts += [f"{dropped} frames came too late to be used"] if dropped else []
        parts += [f"{stream.silent} windows in which nothing came"] if stream.silent else []
        return "; ".join(parts)


@contextmanager
def _table(
    out: Path, stream: EmotionStream, sources: LiveSources, predictor: Predictor
) -> Generator[Callable[[Mapping[str, Any]], None]]:
    """A CSV file of rows as `emotions` writes them, on the disk line by line; beside it where they come from."""
    about = {
        "model": predictor.folder.name, "stamps": stamps(predictor), "filters": "causal", "gbvnet": __version__,
        "trained_on": predictor.about.get("dataset"), "video": sources.video and Path(sources.video).name,
        "signals": sources.signals and sources.signals.name, "lsl": sources.lsl,
        "baseline_start_s": sources.baseline_start_s, "running_s": sources.running_s,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }  # fmt: skip
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file: TextIO = out.open("x", newline="", encoding="utf-8")
        write_whole(out.with_suffix(".json"), (json.dumps(about, indent=2) + "\n").encode())
    except OSError as error:
        raise BadInput(out, "a file that can be written", error.strerror or str(error)) from None
    with file:
        table = csv.writer(file, lineterminator="\n")

        def write(row: Mapping[str, Any]) -> None:
            table.writerow([_text(value) for value in row.values()])
            file.flush()

        table.writerow(stream.columns)
        file.flush()
        yield write


def _text(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value


@contextmanager
def _shown(
    stream: EmotionStream, predictor: Predictor, stamp: str, say: Callable[[str], None]
) -> Generator[Callable[[Mapping[str, Any], str], None]]:
    """Curves on a terminal, plain lines elsewhere."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if not console.is_terminal:
        yield lambda row, note: say(plain(row, predictor.targets))
        return
    width = max(20, console.width - 24)
    curves = Curves(predictor.targets, f"{predictor.folder.name}: probability of high", stamp, width)
    with Live(curves, console=console, auto_refresh=False) as live:

        def show(row: Mapping[str, Any], note: str) -> None:
            curves.add(row, note)
            live.refresh()

        yield show

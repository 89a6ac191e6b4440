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
from typing import Any, NamedTuple, TextIO

from ... import __version__
from ...config import LiveSources
from ...datasets.formats.segments import pauses
from ...datasets.formats.signal_file import open_signals, read_span
from ...datasets.recording import Channel, Signals
from ...datasets.single_recording import open_recording
from ...errors import BadConfig, BadInput, BadRecording
from ...io.atomic import atomic_write
from ...preprocessing.signals import at_one_rate, missing_bandwidth
from ..predict import stamps
from ..predictor import Predictor
from .emotion_stream import EmotionStream
from .lsl import chunks, open_lsl
from .sources import Arrived, Event, Film, Together, camera, earlier, played
from .terminal_plot import AROUND, Curves, plain

HINT = "Give --rename MODELNAME=FILENAME, or --signals_rate_hz."
NOTED_S = 0.05  # clocks that begin so near to 0, or to one another, need no note


def run_live(
    model: Path,
    sources: LiveSources,
    *,
    rename: Mapping[str, str] | None = None,
    seconds: float | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    device: str = "auto",
    say: Callable[[str], None],
) -> None:
    """Ask a model until what is played ends, `seconds` are over, or Ctrl-C; all three are a good end.

    out : a CSV file for the rows, whole after each of them; FILE.json beside it says where they come from
    overwrite : replace either of them if it is there

    Raises BadModel, BadConfig, BadRecording, or GbvnetError with a remedy if a camera or a stream is not there.
    """
    if sources.video is None and sources.signals is None and sources.lsl is None:
        sources = replace(sources, video="0")
    if seconds is not None and not seconds > 0:
        raise BadConfig(f"--seconds must be above 0, not {seconds:g}")
    if out is not None:
        _require_free(out, sources, overwrite)
    predictor = Predictor(model, device)
    began = time.monotonic()

    def clock() -> float:
        return time.monotonic() - began

    with ExitStack() as opened:
        feeds, stream, notes = _open(predictor, sources, dict(rename or {}), clock, opened)
        stamp = "; ".join(stamps(predictor))
        for note in (*notes, *((stamp,) if stamp else ()), predictor.worth):
            say(f"note {note}")
        write = opened.enter_context(_table(out, stream, sources, predictor, overwrite)) if out else None
        show = opened.enter_context(_shown(stream, predictor, stamp, say))
        together = Together(feeds, None if sources.fast else clock, seconds)
        began = time.monotonic()
        told = _Told(clock, sources.fast)
        with suppress(KeyboardInterrupt):
            for arrived in together:
                for row in _taken(stream, arrived.event):
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
        messages = stream.messages
    for message in messages:
        say(f"note {message}")
    say(told.summary(together.dropped, stream))
    if out is not None:
        say(str(out))


def _taken(stream: EmotionStream, event: Event) -> list[dict[str, Any]]:
    """The rows of windows that an event completes."""
    if event.frame is not None:
        return stream.frame(event.frame, event.time_s)
    if event.chunk is not None:
        return stream.samples(event.chunk, event.time_s)
    return stream.end_of_signals() if event.ended == "signals" else stream.end_of_frames(event.note)


def _require_free(out: Path, sources: LiveSources, overwrite: bool) -> None:
    """Raises BadConfig if a file is there that writing would replace."""
    if out.suffix.lower() == ".json":
        raise BadConfig(f"--out {out}: give a name that ends in .csv; one that ends in .json is written beside it")
    for file in (out, out.with_suffix(".json")):
        if not (file.exists() or file.is_symlink()):
            continue
        inputs = [Path(p) for p in (sources.video, sources.signals) if p is not None and Path(p).exists()]
        if file.is_dir() or any(file.exists() and file.samefile(p) for p in inputs):
            raise BadConfig(f"{file} is {'a folder' if file.is_dir() else 'what is played'}: give another --out")
        if not overwrite:
            raise BadConfig(
                f"{file} exists, and may be a recording that cannot be made again: give another --out, or --overwrite"
            )


class _Opened(NamedTuple):
    feeds: list[Iterable[Event]]
    stream: EmotionStream
    notes: list[str]


def _open(
    predictor: Predictor,
    sources: LiveSources,
    rename: dict[str, str],
    clock: Callable[[], float],
    opened: ExitStack,
) -> _Opened:
    """The feeds that the model can use, a stream for them, and what to know of them."""
    use_video = predictor.sees_face and sources.video is not None
    use_signals = predictor.sees_signals and (sources.signals or sources.lsl) is not None
    notes = [] if use_video or sources.video is None else ["the model sees no face: --video is not read"]
    if not use_signals and (sources.signals or sources.lsl):
        notes.append("the model sees no signals: they are not read")
    feeds: list[Iterable[Event]] = []
    names, rate_hz, played_s = tuple(c.name for c in predictor.channels), None, None
    if use_signals and sources.signals is not None:
        open_recording(
            [sources.signals],
            predictor.channels,
            predictor.about["rate_hz"],
            0.0,
            rename=rename,
            made_with=predictor.about,
        )  # or says what lacks
        wanted = tuple(replace(c, name=rename.get(c.name, c.name)) for c in predictor.channels)
        file = _played_file(sources.signals, sources, wanted)
        rate_hz, played_s = file.rate_hz, (file.begin_s, file.end_s)
        notes += file.notes
        feeds.append(earlier(file.feed, file.begin_s))
        rename = {}  # it is done
    elif use_signals and sources.lsl is not None:
        device = opened.enter_context(open_lsl(sources.lsl))
        names, rate_hz = device.names, device.rate_hz
        if device.unsaid:
            notes.append(f"{sources.lsl} says no unit of {', '.join(device.unsaid[:4])}...: taken as microvolts")
        feeds.append(chunks(device, clock))
    slow = missing_bandwidth(predictor.channels, rate_hz, predictor.about["rate_hz"]) if rate_hz else ""
    notes += [slow] if slow else []
    if use_video:
        assert sources.video is not None
        if sources.video.isdigit():
            feeds.append(camera(int(sources.video), clock))
        else:
            video = Film(Path(sources.video))
            zero_s = sources.video_offset_s + played_s[0] if played_s else video.begin_s
            notes += [*video.notes, *_one_clock(video, zero_s, played_s, sources)]
            feeds.append(earlier(video, zero_s))
    if played_s and abs(played_s[0]) > NOTED_S:
        assert sources.signals is not None
        notes.append(f"{sources.signals.name} begins at {played_s[0]:.2f} s of its clock: that is second 0 here")
    stream = EmotionStream(
        predictor, rate_hz, names, rename=rename if rate_hz else None, faces=use_video, step_s=sources.step_s,
        baseline_start_s=_baseline_start_s(predictor, sources, played_s), running_s=sources.running_s,
    )  # fmt: skip
    return _Opened(feeds, opened.enter_context(stream), notes)


class _PlayedFile(NamedTuple):
    feed: Iterable[Event]
    rate_hz: float
    begin_s: float  # on the file's clock
    end_s: float
    notes: list[str]


def _played_file(file: Path, sources: LiveSources, wanted: tuple[Channel, ...]) -> _PlayedFile:
    """Chunks of a signal file at the times that it tells, at the rate of its fastest channel."""
    opened = open_signals(file, sources.signals_rate_hz, HINT)
    segments = [segment for segment in opened.segments if segment.seconds > 0]
    reads = [read_span(opened, s.start_s, s.stop_s, wanted, sources.signals_unit, HINT) for s in segments]
    if not reads:
        raise BadRecording(file, "signals", "a file without samples")

    def feed() -> Generator[Event]:
        for read in reads:
            samples = at_one_rate(Signals(read.samples, read.rate_hz, 0, wanted, rates_hz=read.rates_hz))
            events = played(samples, read.rate_hz, read.start_s)
            yield from (event for event in events if not event.ended or read is reads[-1])

    notes = [f"{file.name} has {pause}" for pause in pauses(segments)]
    return _PlayedFile(feed(), reads[0].rate_hz, reads[0].start_s, reads[-1].start_s + reads[-1].seconds, notes)


def _one_clock(
    video: Film, zero_s: float, played_s: tuple[float, float] | None, sources: LiveSources
) -> Generator[str]:
    """What to know of a video whose second `zero_s` is the stream's second 0. Raises BadRecording if it shares no
    second with the signals that are played, which begin then."""
    name = video.path.name
    if played_s is None:
        if zero_s > NOTED_S:
            yield f"{name} begins at {zero_s:.2f} s of its clock: that is second 0 here"
        return
    begin_s, end_s = video.begin_s - zero_s, video.end_s - zero_s
    if end_s <= 0 or begin_s >= played_s[1] - played_s[0]:
        assert sources.signals is not None
        raise BadRecording(
            video.path,
            f"a video that shares seconds with {sources.signals.name}, which lasts from {played_s[0]:.2f} to "
            f"{played_s[1]:.2f} s of its clock",
            f"one that lasts from {video.begin_s:.2f} to {video.end_s:.2f} s of its own",
            "Both clocks are taken as one unless --video_offset_s says by how much the video's is ahead: "
            f"{video.begin_s - played_s[0]:.2f} if both begin at the same moment.",
        )
    if begin_s < -NOTED_S:
        yield f"the first {-begin_s:.2f} s of {name} come before the signals begin, and are not used"
    if begin_s > NOTED_S:
        yield f"{name} begins {begin_s:.2f} s after the signals"


def _baseline_start_s(predictor: Predictor, sources: LiveSources, played_s: tuple[float, float] | None) -> float | None:
    """Where the stated baseline starts on the stream's clock. Raises BadConfig if the file does not hold it."""
    start_s = sources.baseline_start_s
    if start_s is None or played_s is None or predictor.prepare.baseline == "none":
        return start_s
    stop_s = start_s + predictor.about["baseline_s"]
    if start_s < played_s[0] - NOTED_S or stop_s > played_s[1] + NOTED_S:
        raise BadConfig(
            f"--baseline_start_s {start_s:g}: the baseline would last from {start_s:g} to {stop_s:g} s of the signals' "
            f"clock, and {sources.signals} lasts from {played_s[0]:.2f} to {played_s[1]:.2f} s"
        )
    return max(0.0, start_s - played_s[0])


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
    out: Path, stream: EmotionStream, sources: LiveSources, predictor: Predictor, overwrite: bool = False
) -> Generator[Callable[[Mapping[str, Any]], None]]:
    """A CSV file of rows as `emotions` writes them, on the disk line by line; beside it where they come from. Raises
    BadConfig if either file is there, unless they may be replaced."""
    _require_free(out, sources, overwrite)
    about = {
        "model": predictor.folder.name, "stamps": stamps(predictor), "worth": predictor.worth, "filters": "causal",
        "gbvnet": __version__, "trained_on": predictor.about.get("dataset"),
        "video": sources.video and Path(sources.video).name, "signals": sources.signals and sources.signals.name,
        "lsl": sources.lsl, "video_offset_s": sources.video_offset_s,
        "baseline_start_s": sources.baseline_start_s, "running_s": sources.running_s,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }  # fmt: skip
    beside = out.with_suffix(".json")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file: TextIO = out.open("w" if overwrite else "x", newline="", encoding="utf-8")
        atomic_write(beside, (json.dumps(about, indent=2) + "\n").encode())
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
        atomic_write(beside, (json.dumps(about | {"messages": stream.messages}, indent=2) + "\n").encode())


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
    width = max(20, console.width - AROUND)
    title = f"{predictor.folder.name}: probability that {predictor.high or 'the rating is high'}"
    curves = Curves(predictor.targets, title, stamp, width)
    with Live(curves, console=console, auto_refresh=False) as live:

        def show(row: Mapping[str, Any], note: str) -> None:
            curves.add(row, note)
            live.refresh()

        yield show

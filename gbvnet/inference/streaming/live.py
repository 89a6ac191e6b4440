"""Real-time prediction from a camera or a video file, and from an LSL stream or a signal file.

Filters are causal; `emotion_stream` lists the differences to `gbvnet predict`.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ... import __version__
from ...config import LiveSources
from ...datasets.signal_sources import sources_label, sources_of_path
from ...errors import BadConfig
from ..predictor import Predictor
from .emotion_stream import EmotionStream
from .live_inputs import LiveInputs, open_inputs
from .row_file import RowOutput, row_file
from .sources import Event, MergedSources, ReceivedEvent

Row = Mapping[str, Any]


@contextmanager
def live_session(
    model: Path,
    sources: LiveSources,
    *,
    rename: Mapping[str, str] | None = None,
    seconds: float | None = None,
    output: RowOutput | None = None,
    device: str = "auto",
    precision: str = "32",
) -> Generator["LiveSession"]:
    """Open a model, its sources and the output file; `LiveSession.run` predicts.

    rename : the model's name of a channel -> the device's
    seconds : end of the session; until the sources end if not given

    Raises BadModel, BadConfig, BadRecording, or GbvnetError with a remedy if a camera or a stream is not there.
    """
    if sources.video is None and sources.signals is None and sources.lsl is None:
        sources = replace(sources, video="0")
    if seconds is not None and not seconds > 0:
        raise BadConfig(f"--seconds must be above 0, not {seconds:g}")
    files = [Path(sources.video)] if sources.video is not None else []
    files += [source.file for source in sources_of_path(sources.signals)] if sources.signals is not None else []
    if output is not None:
        output.require_writable(files)
    predictor = Predictor(model, device, precision)
    clock = _Clock()
    with ExitStack() as closing:
        inputs = open_inputs(predictor, sources, dict(rename or {}), clock, closing)
        write: Callable[[Row], None] | None = None
        if output is not None:
            details = _details(predictor, sources)
            write = closing.enter_context(row_file(output, inputs.stream, details, files))
        merged = MergedSources(inputs.sources, None if sources.fast else clock, seconds)
        yield LiveSession(predictor, inputs, merged, _LatencyStats(clock, sources.fast), write)


@dataclass
class LiveSession:
    """A running real-time prediction. Made by `live_session`."""

    predictor: Predictor
    inputs: LiveInputs
    merged: MergedSources
    latency: "_LatencyStats"
    write: Callable[[Row], None] | None

    @property
    def stamp(self) -> str:
        """The stamps of the model in one line."""
        return "; ".join(self.predictor.stamps)

    @property
    def title(self) -> str:
        """The model and the quantity that it predicts."""
        return f"{self.predictor.folder.name}: {self.predictor.outputs.quantity}"

    @property
    def notes(self) -> list[str]:
        """Warnings about the sources, stamps, and the model's accuracy."""
        return [*self.inputs.notes, *((self.stamp,) if self.stamp else ()), self.predictor.accuracy_note]

    @property
    def messages(self) -> list[str]:
        """Warnings about the frames and samples received."""
        note = self.predictor.precision_note
        return [*self.inputs.stream.messages, *([note] if note else [])]

    @property
    def summary(self) -> str:
        """Number of windows, latencies and losses, in a sentence."""
        return self.latency.summary(self.merged.dropped, self.inputs.stream.n_skipped)

    def run(self, show: Callable[[Row, str], None]) -> None:
        """Predict until the sources end, the time is over, or Ctrl-C; all three end the session normally.

        show : called with each row, after it was written, and a note on its latency
        """
        self.latency.clock.restart()
        stream = self.inputs.stream
        with suppress(KeyboardInterrupt):
            for received in self.merged:
                for row in _push(stream, received.event):
                    self._emit(row, self.latency.add(row, received), show)
        with suppress(KeyboardInterrupt):
            for row in stream.finish():
                self.latency.rows += 1
                self._emit(row, "", show)

    def _emit(self, row: Row, note: str, show: Callable[[Row, str], None]) -> None:
        if self.write is not None:
            self.write(row)
        show(row, note)


def _push(stream: EmotionStream, event: Event) -> list[dict[str, Any]]:
    """Push an event into the stream, and return the rows of windows that it completes."""
    if event.frame is not None:
        return stream.frame(event.frame, event.time_s)
    if event.chunk is not None:
        return stream.samples(event.chunk, event.time_s)
    return stream.end_of_signals() if event.ended == "signals" else stream.end_of_frames(event.note)


class _Clock:
    """Seconds since it was started."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._start = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._start


@dataclass
class _LatencyStats:
    """Latencies of the rows, after their last frame or sample and after the end of their window."""

    clock: _Clock
    fast: bool  # files are read as fast as possible: there is no latency
    rows: int = 0
    worst_s: float = 0.0
    worst_after_end_s: float = 0.0

    def add(self, row: Row, received: ReceivedEvent) -> str:
        """Count a row, and return a note on its latency."""
        self.rows += 1
        if self.fast:
            return ""
        now = self.clock()
        late, after_end = now - received.at_s, now - row["stop_s"]
        self.worst_s, self.worst_after_end_s = max(self.worst_s, late), max(self.worst_after_end_s, after_end)
        return f"{1e3 * late:.0f} ms after its last frame or sample, {1e3 * after_end:.0f} ms after its end"

    def summary(self, dropped: int, skipped: int) -> str:
        parts = [f"{self.rows} windows in {self.clock():.1f} s"]
        if not self.fast and self.rows:
            parts.append(
                f"each reported within {1e3 * self.worst_s:.0f} ms of its last frame or sample, "
                f"{1e3 * self.worst_after_end_s:.0f} ms of its end"
            )
        parts += [f"{dropped} frames came too late to be used"] if dropped else []
        parts += [f"{skipped} windows skipped because nothing was received"] if skipped else []
        return "; ".join(parts)


def _details(predictor: Predictor, sources: LiveSources) -> dict[str, Any]:
    """Return the content of the JSON file beside the rows: model, sources and settings."""
    return {
        "model": predictor.folder.name, "stamps": predictor.stamps, "worth": predictor.accuracy_note,
        "filters": "causal", "gbvnet": __version__, "trained_on": predictor.metadata.get("dataset"),
        "video": sources.video and Path(sources.video).name,
        "signals": sources.signals and sources_label(sources_of_path(sources.signals)),
        "lsl": sources.lsl, "video_offset_s": sources.video_offset_s,
        "baseline_start_s": sources.baseline_start_s, "running_s": sources.running_s,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "precision": "bf16" if predictor.bf16 else "32",
    }  # fmt: skip

"""The sources of `gbvnet live` and a stream for them, with both files on one clock."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ...config import LiveSources
from ...datasets.film_times import times_file_of
from ...datasets.formats.segments import describe_pauses
from ...datasets.formats.signal_file import TextProperties
from ...datasets.recording import Channel, Signals
from ...datasets.recording_files import open_files
from ...datasets.signal_sources import sources_of_path
from ...datasets.single_recording import open_recording
from ...errors import BadConfig, BadRecording
from ...preprocessing.signals import at_one_rate, missing_bandwidth
from ..predictor import Predictor
from .emotion_stream import EmotionStream, StreamSettings, require_settings
from .lsl import lsl_chunks, open_lsl
from .sources import Event, VideoFile, camera_frames, replay_samples, shift_clock

HINT = "Give --rename MODELNAME=FILENAME, or --signals_rate_hz."
MIN_OFFSET_S = 0.05  # a smaller offset of a clock is not worth a note


class LiveInputs(NamedTuple):
    """The sources that a model can use, a stream for them, and warnings about them."""

    sources: list[Generator[Event]]
    stream: EmotionStream
    notes: list[str]


class ReplayedSignals(NamedTuple):
    """A signal file as a source. begin_s and end_s are on the file's clock."""

    name: str
    events: Generator[Event]
    rate_hz: float
    begin_s: float
    end_s: float
    notes: list[str]


def open_inputs(
    predictor: Predictor,
    sources: LiveSources,
    rename: dict[str, str],
    clock: Callable[[], float],
    closing: ExitStack,
) -> LiveInputs:
    """Open the sources that the model can use, and a stream for them. `closing` closes them.

    Raises BadConfig, BadRecording, or GbvnetError if a device is not there.
    """
    _require_used(predictor, sources, rename)
    video = sources.video if predictor.uses_face else None
    notes = ["the model uses no face: --video is not read"] if video is None and sources.video is not None else []
    if not predictor.uses_signals and (sources.signals or sources.lsl):
        notes.append("the model uses no signals: they are not read")
    opened: list[Generator[Event]] = []
    names, rate_hz = tuple(c.name for c in predictor.channels), None
    replayed: ReplayedSignals | None = None
    if predictor.uses_signals and sources.signals is not None:
        replayed = _replayed_signals(predictor, sources.signals, sources, rename)
        rate_hz = replayed.rate_hz
        notes += replayed.notes
        opened.append(shift_clock(replayed.events, replayed.begin_s))
        rename = {}  # the channels are renamed already
    elif predictor.uses_signals and sources.lsl is not None:
        device = closing.enter_context(open_lsl(sources.lsl))
        names, rate_hz = device.names, device.rate_hz
        if device.unknown_units:
            unknown = ", ".join(device.unknown_units[:4])
            notes.append(f"{sources.lsl} states no unit of {unknown}...: taken as microvolts")
        opened.append(lsl_chunks(device, clock))
    low_rate = missing_bandwidth(predictor.channels, rate_hz, predictor.input.rate_hz) if rate_hz else ""
    notes += [low_rate] if low_rate else []
    if video is not None and video.isdigit():
        opened.append(camera_frames(int(video), clock))
    elif video is not None:
        file = VideoFile(Path(video))
        _require_one_clock(Path(video), sources.video_offset_s)
        zero_s = sources.video_offset_s + replayed.begin_s if replayed else file.begin_s
        notes += [*file.notes, *_clock_notes(file, zero_s, replayed)]
        opened.append(shift_clock(file, zero_s))
    if replayed and abs(replayed.begin_s) > MIN_OFFSET_S:
        notes.append(f"{replayed.name} begins at {replayed.begin_s:.2f} s of its clock: that is second 0 here")
    settings = StreamSettings(
        step_s=sources.step_s, baseline_start_s=_baseline_start_s(predictor, sources, replayed),
        running_s=sources.running_s,
    )  # fmt: skip
    stream = EmotionStream(
        predictor, rate_hz, names, rename=rename if rate_hz else None, faces=video is not None, settings=settings
    )
    return LiveInputs(opened, closing.enter_context(stream), notes)


def _require_used(predictor: Predictor, sources: LiveSources, rename: dict[str, str]) -> None:
    """Raise BadConfig for an option that would change nothing, before a source is opened."""
    uses_signals = predictor.uses_signals and (sources.signals is not None or sources.lsl is not None)
    settings = StreamSettings(sources.step_s, None, sources.baseline_start_s, sources.running_s)
    require_settings(predictor, settings, uses_signals)
    if rename and not uses_signals:
        pair = "=".join(next(iter(rename.items())))
        raise BadConfig(f"--rename {pair}: no signals are read: give --signals or --lsl, and a model that uses them")
    replays_both = uses_signals and sources.signals is not None and not (sources.video or "0").isdigit()
    if sources.video_offset_s and not replays_both:
        raise BadConfig(
            f"--video_offset_s {sources.video_offset_s:g}: it places a video file on the clock of a signal file: give "
            "both, --video and --signals, and a model that uses signals"
        )


def _require_one_clock(video: Path, offset_s: float) -> None:
    """Raise BadConfig for an offset of a film whose frames have times on the signals' clock."""
    times_file = times_file_of(video)
    if times_file is not None and offset_s:
        raise BadConfig(
            f"--video_offset_s {offset_s:g}: the frames of {video} have the times of {times_file.name}, which are "
            "on the signals' clock: give no offset, or take that file away"
        )


def _replayed_signals(
    predictor: Predictor, file: Path, sources: LiveSources, rename: dict[str, str]
) -> ReplayedSignals:
    """Open signal files for a model, after the checks of `predict`."""
    files = [Path(source.label(str(source.file))) for source in sources_of_path(file)]
    open_recording(files, predictor.channels, predictor.input.rate_hz, 0.0, rename=rename, made_with=predictor.metadata)
    wanted = tuple(replace(c, name=rename.get(c.name, c.name)) for c in predictor.channels)
    return replay_file(file, sources, wanted)


def replay_file(file: Path, sources: LiveSources, wanted: tuple[Channel, ...]) -> ReplayedSignals:
    """Return the chunks of a signal file at the times on its clock, at the rate of its fastest channel.

    file : or several, `eeg.edf + wrist.csv@-3.2`, on the first one's clock

    Raises BadRecording.
    """
    text = TextProperties(sources.signals_rate_hz, sources.signals_unit)
    opened = open_files(sources_of_path(file), text, HINT)
    segments = [segment for segment in opened.segments if segment.seconds > 0]
    spans = [opened.read(s.start_s, s.stop_s, wanted, HINT, finite=False) for s in segments]
    if not spans:
        raise BadRecording(file, "signals", "a file without samples")

    def events() -> Generator[Event]:
        for span in spans:
            samples = at_one_rate(Signals(span.samples, span.rate_hz, 0, wanted, rates_hz=span.rates_hz))
            for event in replay_samples(samples, span.rate_hz, span.start_s):
                if not event.ended or span is spans[-1]:
                    yield event

    notes = [f"{opened.name} has {pause}" for pause in describe_pauses(segments)]
    about = dict.fromkeys(note for span in spans for note in span.notes)
    notes += [note for note in about if "before these seconds" not in note]  # pauses are listed already
    end_s = spans[-1].start_s + spans[-1].seconds
    return ReplayedSignals(opened.name, events(), spans[0].rate_hz, spans[0].start_s, end_s, notes)


def _clock_notes(video: VideoFile, zero_s: float, signals: ReplayedSignals | None) -> Generator[str]:
    """Yield notes on a video whose second `zero_s` is the stream's second 0. Raises BadRecording if it has no second in
    common with the replayed signals, which start at second 0."""
    name = video.path.name
    if signals is None:
        if zero_s > MIN_OFFSET_S:
            yield f"{name} begins at {zero_s:.2f} s of its clock: that is second 0 here"
        return
    begin_s, end_s = video.begin_s - zero_s, video.end_s - zero_s
    if end_s <= 0 or begin_s >= signals.end_s - signals.begin_s:
        raise BadRecording(
            video.path,
            f"a video that shares seconds with {signals.name}, which lasts from {signals.begin_s:.2f} to "
            f"{signals.end_s:.2f} s of its clock",
            f"one that lasts from {video.begin_s:.2f} to {video.end_s:.2f} s of its own",
            "Both clocks are taken as one unless --video_offset_s says by how much the video's is ahead: "
            f"{video.begin_s - signals.begin_s:.2f} if both begin at the same moment.",
        )
    if begin_s < -MIN_OFFSET_S:
        yield f"the first {-begin_s:.2f} s of {name} come before the signals begin, and are not used"
    if begin_s > MIN_OFFSET_S:
        yield f"{name} begins {begin_s:.2f} s after the signals"


def _baseline_start_s(predictor: Predictor, sources: LiveSources, signals: ReplayedSignals | None) -> float | None:
    """Return where the given baseline starts on the stream's clock. Raises BadConfig if the file does not hold it."""
    start_s = sources.baseline_start_s
    if start_s is None or signals is None or predictor.prepare.baseline == "none":
        return start_s
    stop_s = start_s + predictor.input.baseline_s
    if start_s < signals.begin_s - MIN_OFFSET_S or stop_s > signals.end_s + MIN_OFFSET_S:
        raise BadConfig(
            f"--baseline_start_s {start_s:g}: the baseline would last from {start_s:g} to {stop_s:g} s of the signals' "
            f"clock, and {sources.signals} lasts from {signals.begin_s:.2f} to {signals.end_s:.2f} s"
        )
    return max(0.0, start_s - signals.begin_s)

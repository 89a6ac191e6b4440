"""Real-time prediction: frames and samples are pushed as they arrive; each complete window returns a row.

    with EmotionStream(Predictor("model"), 512, ["Fp1", "F3", ..., "GSR"]) as stream:
        ...
        for row in stream.frame(rgb, time_s) + stream.samples(chunk):
            print(row["start_s"], row["valence"])

Rows have the columns of emotions.csv of `gbvnet predict`, from the same model and windows. The differences, because a
stream does not know its future (docs/streaming.md has figures):

- Filters run forwards once. Offline they run forwards and backwards: no delay, and the gain squared.
- A frame without a face borrows the face of an earlier frame, at most a second before, never of a later one.
- The baseline is the mean of the stream's first seconds, of a given period, or of the seconds before each window.
- A modality that does not arrive in time is missing from its window; the row's flags say so.

Memory does not grow: samples and faces are kept only for windows that are still to come.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...datasets.channel_names import match_channels, require_renamed
from ...errors import BadConfig
from ...preprocessing.face_windows import BORROW_S
from ...preprocessing.landmarks import open_landmarker
from ..prediction import columns, face_flags, joined_flags, signal_flags, unusual_face_flag
from ..predictor import Predictor
from .baseline import stream_baseline
from .face_buffer import SLACK, FaceBuffer
from .signal_buffer import SignalBuffer
from .window_schedule import WindowSchedule

PIECE_S = 0.1  # a chunk is taken in pieces of this length, so that a long one cannot push windows out of memory
SILENCE_S = 10.0
N_RECENT = 10  # windows, to tell whether a slow channel is flat


@dataclass(frozen=True)
class StreamSettings:
    """When the windows and the baseline of a stream are. Times are on the stream's clock.

    step_s : from one window to the next; the window length if None
    start_s : start of the first window; the end of the baseline if None
    baseline_start_s : start of the baseline period; the first sample if None
    running_s : subtract the mean of the seconds before each window instead of a baseline period
    deadline_s : how long after its end a window waits for a modality while the other continues
    """

    step_s: float | None = None
    start_s: float | None = None
    baseline_start_s: float | None = None
    running_s: float | None = None
    deadline_s: float = 0.5

    def __post_init__(self) -> None:
        if self.running_s is not None and not 0 < self.running_s < np.inf:
            raise BadConfig(f"running_s must be above 0, not {self.running_s:g}")


class EmotionStream:
    """A model and a stream of frames, of samples, or of both. Use it in a `with`, which closes the landmarker.

    signals_rate_hz, channels : of the chunks that will be pushed, with the device's names; None without signals
    rename : the model's name of a channel -> the device's
    faces : whether frames will be pushed

    Every window has a row, except where nothing at all was received for more than SILENCE_S: `n_skipped` counts those.
    Raises BadConfig if the model cannot predict from these modalities, or normalises signals by whole recordings; and
    the errors of `open_landmarker`.
    """

    def __init__(
        self,
        predictor: Predictor,
        signals_rate_hz: float | None = None,
        channels: Sequence[str] = (),
        *,
        rename: Mapping[str, str] | None = None,
        faces: bool = True,
        settings: StreamSettings | None = None,
    ):
        self.predictor, self.settings = predictor, settings or StreamSettings()
        self.window_s: float = predictor.prepare.window_s
        self.step_s = self.settings.step_s or self.window_s
        self._first_wait_s = 0.0  # from the first frame or sample to the first window
        self._schedule: WindowSchedule | None = None  # None before the first frame or sample
        self._reached_s = np.inf  # up to which frames or samples were received at the last call
        self._video_note = ""
        self._closing = ExitStack()
        self._signals: _Signals | None = None
        self._faces: FaceBuffer | None = None
        use_face, use_signals = predictor.uses_face and faces, predictor.uses_signals and signals_rate_hz is not None
        require_settings(predictor, self.settings, use_signals)
        predictor.require_modalities("the stream", use_face, use_signals)
        if use_signals and signals_rate_hz is not None:
            self._signals = self._open_signals(float(signals_rate_hz), channels, rename or {})
            self._first_wait_s = self._signals.buffer.baseline.wait_s
        if use_face:
            predictor.require_video_features("the stream")
            face = predictor.input.face_settings
            with_pose = {"pose": True} if face.feature_names and face.pose else {}
            landmarker = self._closing.enter_context(open_landmarker(face.backend, **with_pose))
            self._faces = FaceBuffer(landmarker, face, self._is_sampled)

    def _open_signals(self, rate_hz: float, channels: Sequence[str], rename: Mapping[str, str]) -> "_Signals":
        if not 0 < rate_hz < np.inf:
            raise BadConfig(f"signals_rate_hz must be above 0, not {rate_hz:g}")
        model, settings = self.predictor.input, self.settings
        indices = _channel_indices(self.predictor, channels, rename)
        buffer = SignalBuffer(
            model.channels, rate_hz, model.rate_hz,
            stream_baseline(model, settings.baseline_start_s, settings.running_s),
            keep_s=self.window_s + settings.deadline_s + 2 * PIECE_S + 1, filter=model.prepare.filter,
        )  # fmt: skip
        return _Signals(buffer, len(channels), indices, *self.predictor.signal_scale)

    def __enter__(self) -> "EmotionStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the landmarker. Rows of incomplete windows are lost; call `finish` before to get them."""
        self._closing.close()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in a row."""
        return columns(self.predictor.targets)

    @property
    def n_skipped(self) -> int:
        """Number of windows that were left out because nothing was received for a long time."""
        return 0 if self._schedule is None else self._schedule.skipped

    @property
    def messages(self) -> list[str]:
        """Warnings so far: a face that jumped or had company, a device whose rate is not the stated one, samples that
        were left out."""
        texts = [] if self._faces is None else self._faces.participant.events.messages()
        if self._signals is not None:
            texts.append(self._signals.buffer.message)
            if n := self._signals.buffer.dropped:
                texts.append(f"{n:,} samples were not used: they came twice, or their time stamps went back")
        return [text for text in (*texts, self._video_note) if text]

    def frame(self, rgb: np.ndarray, time_s: float) -> list[dict[str, Any]]:
        """Push a frame (H, W, 3) uint8 RGB, taken at a time on the stream's clock that is later than the last one's.

        Returns the rows of windows that it completes. Raises ValueError for another shape or an earlier time.
        """
        if self._faces is None:
            raise ValueError("this stream was opened without frames, or its model uses none")
        schedule = self._begin(time_s)
        self._faces.push(rgb, time_s)
        return self._rows(schedule)

    def samples(self, chunk: np.ndarray, time_s: float | None = None) -> list[dict[str, Any]]:
        """Push samples (C, n) of all of the device's channels.

        chunk : electrical channels in microvolts, others in the units that the model was trained with
        time_s : of the first sample; None if it follows the last one (the first of all is at 0). With times, samples
            are placed by them, even if the device's rate differs by up to 5 % from the stated one.

        Returns the rows of windows that they complete. Raises ValueError for another shape.
        """
        if self._signals is None:
            raise ValueError("this stream was opened without signals, or its model uses none")
        chunk = np.asarray(chunk, np.float64)
        if chunk.ndim != 2 or len(chunk) != self._signals.n_device_channels:
            raise ValueError(f"a chunk must be ({self._signals.n_device_channels}, n), not {chunk.shape}")
        buffer, chunk = self._signals.buffer, chunk[self._signals.indices]
        rows: list[dict[str, Any]] = []
        if time_s is not None and buffer.is_repeated(chunk, time_s):
            return rows
        size = max(1, round(PIECE_S * buffer.rate_hz))
        for first in range(0, chunk.shape[1], size):
            at = None if time_s is None else time_s + first / buffer.true_rate_hz
            schedule = self._begin(at if at is not None else max(buffer.reached_s, 0.0))
            buffer.take(chunk[:, first : first + size], at, stamped=time_s is not None and first == 0)
            rows += self._rows(schedule)
        return rows

    def finish(self) -> list[dict[str, Any]]:
        """Note that nothing more will come. Returns the rows of the remaining windows."""
        if self._schedule is None:
            return []
        for buffer in self._buffers():
            buffer.finish()
        return self._rows(self._schedule, ended=True)

    def end_of_signals(self) -> list[dict[str, Any]]:
        """Note that no more samples will come, while frames may.

        Returns the rows of the windows that waited for samples. Later ones do not wait, and have the flag "signals
        ended".
        """
        return self._end(None if self._signals is None else self._signals.buffer)

    def end_of_frames(self, note: str = "") -> list[dict[str, Any]]:
        """Note that no more frames will come, while samples may; later windows have the flag "video ended".

        note : an error of the video, which becomes one of the messages
        """
        self._video_note = note
        return self._end(self._faces)

    def _end(self, buffer: SignalBuffer | FaceBuffer | None) -> list[dict[str, Any]]:
        if buffer is None or self._schedule is None:
            return []
        buffer.end()
        return self._rows(self._schedule)

    # --- windows ---

    def _buffers(self) -> list[SignalBuffer | FaceBuffer]:
        signals = [] if self._signals is None else [self._signals.buffer]
        return [*signals, *([] if self._faces is None else [self._faces])]

    def _begin(self, time_s: float) -> WindowSchedule:
        """Return the schedule; the first frame or sample makes it, as its time may set the first window's start."""
        if self._schedule is None:
            start_s, baseline_start_s = self.settings.start_s, self.settings.baseline_start_s
            if start_s is None:
                start_s = (time_s if baseline_start_s is None else baseline_start_s) + self._first_wait_s
            n_frames = max(1, self.predictor.input.frames_per_window)  # 0 of a model without faces
            self._schedule = WindowSchedule(start_s, self.step_s, self.window_s, n_frames)
        return self._schedule

    def _is_sampled(self, from_s: float, to_s: float) -> bool:
        return self._schedule is not None and self._schedule.is_sampled(from_s, to_s)

    def _rows(self, schedule: WindowSchedule, ended: bool = False) -> list[dict[str, Any]]:
        """Return the rows of all windows that are complete, or have waited long enough."""
        rows: list[dict[str, Any]] = []
        now = max(buffer.reached_s for buffer in self._buffers())
        before, self._reached_s = self._reached_s, now
        while True:
            start = schedule.next_start_s
            if now - before > SILENCE_S and start > before + BORROW_S:
                schedule.skip_to(now - PIECE_S)
                before = now
                continue
            window = self._window(schedule)
            if not self._is_due(schedule, window, now, ended):
                return rows
            rows.append(self._row(window))
            schedule.next += 1
            if self._faces is not None:
                self._faces.forget(start + self.step_s)

    def _window(self, schedule: WindowSchedule) -> "_Window":
        rate_hz = self.predictor.input.rate_hz
        onset = round(schedule.start_s * rate_hz)
        first_sample = onset + round(schedule.next * self.step_s * rate_hz)
        return _Window(schedule.next_start_s, schedule.frame_times(np.array([schedule.next]))[0], first_sample, onset)

    def _is_due(self, schedule: WindowSchedule, window: "_Window", now: float, ended: bool) -> bool:
        stop = window.start_s + self.window_s
        if now < stop - SLACK - self.window_s / schedule.n_frames:
            return False
        faces, signals = self._faces, self._signals
        has_frames = faces is None or faces.ended or faces.reached_s >= window.frame_times[-1] - SLACK
        has_samples = signals is None or signals.buffer.has(
            window.first_sample + self.predictor.input.samples_per_window
        )
        return (has_frames and has_samples) or now >= stop + (-SLACK if ended else self.settings.deadline_s)

    def _row(self, window: "_Window") -> dict[str, Any]:
        faces, ok, signals = None, None, None
        flags: list[str] = []
        if self._faces is not None:
            faces, ok, any_frame = self._faces.window(window.frame_times)
            late = self._faces.reached_s < window.frame_times[-1] - SLACK
            flags += self._frame_flags(self._faces, faces, ok, any_frame, late)
        if self._signals is not None:
            signals, reason = self._signals.buffer.window(
                window.first_sample, self.predictor.input.samples_per_window, window.onset
            )
            if signals is not None:
                flags += self._signals.flags(signals)
            flags.append(reason)
        numbers = self._predict(faces, ok, signals)
        if np.isnan(numbers[0]):
            flags.append("no prediction")
        values = (round(window.start_s, 6), round(window.start_s + self.window_s, 6), *numbers,
                  float(ok.mean()) if ok is not None else 0.0, signals is not None, joined_flags(*flags),
                  *self.predictor.row_notes)  # fmt: skip
        return dict(zip(self.columns, values, strict=True))

    def _frame_flags(
        self, buffer: FaceBuffer, faces: np.ndarray, ok: np.ndarray, any_frame: bool, late: bool
    ) -> list[str]:
        flags = face_flags(ok[None]) if any_frame else []
        if late and buffer.ended:
            flags.append("video ended")
        elif not any_frame:
            flags.append("no frames")
        elif late:
            flags.append("frames late")
        pictures = faces[None] if buffer.settings.pictures else None
        return flags + [unusual_face_flag(text) for text in self.predictor.unusual_faces(pictures, ok[None])]

    def _predict(self, faces: np.ndarray | None, ok: np.ndarray | None, signals: np.ndarray | None) -> list[float]:
        """Return the predicted values and the two gates of one window; all are NaN if the model needs a modality that
        is missing, and the gates are NaN if there is only one modality."""
        has_face = ok is not None and bool(ok.any())
        lacking = (self.predictor.uses_face and not has_face) or (self.predictor.uses_signals and signals is None)
        if lacking and not (self.predictor.accepts_missing_modality and (has_face or signals is not None)):
            return [np.nan] * (len(self.predictor.targets) + 2)
        output = self.predictor.predict_windows(*(None if x is None else x[None] for x in (faces, ok, signals)))
        values = output.values[0].tolist()
        if not has_face or signals is None:
            return [*values, np.nan, np.nan]
        return [*values, float(output.gate_face[0]), float(output.gate_bio[0])]


class _Window(NamedTuple):
    """Where one window lies."""

    start_s: float
    frame_times: np.ndarray  # (F,) seconds
    first_sample: int
    onset: int  # number of the first window's first sample


@dataclass
class _Signals:
    """The signals of a device: which of its channels the model takes, and their samples."""

    buffer: SignalBuffer
    n_device_channels: int
    indices: list[int]  # of the model's channels among the device's
    mean: np.ndarray  # (C,) in training
    sd: np.ndarray
    recent: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=N_RECENT))  # windows (C, L)

    def flags(self, window: np.ndarray) -> list[str]:
        """Return which channels of a window (C, L) are flat, or far from training."""
        self.recent.append(window)
        return signal_flags(np.stack(self.recent), self.buffer.channels, self.mean, self.sd)[-1]


def require_settings(predictor: Predictor, settings: StreamSettings, use_signals: bool) -> None:
    """Raise BadConfig if a stream of this model cannot have these settings."""
    if predictor.normalises_per_recording and use_signals:
        raise BadConfig(
            f"{predictor.folder}: this model normalises signals by the mean and SD of the whole recording "
            "(train.normalise subject), which a stream does not know before its end: train it with train.normalise "
            "train"
        )
    predictor.require_step(settings.step_s)
    if settings.running_s is not None and predictor.prepare.baseline == "template":
        raise BadConfig(
            "running_s: the model's baseline is a template of one period, not a mean, which could be running"
        )
    running_s = settings.running_s  # baseline_start_s also says where the first window begins
    if running_s is not None and not use_signals:
        raise BadConfig(f"running_s {running_s:g}: the stream has no signals, of which a baseline could be subtracted")
    if running_s is not None and predictor.prepare.baseline == "none":
        raise BadConfig(f"running_s {running_s:g}: the model was trained without a baseline (prepare.baseline none)")


def _channel_indices(predictor: Predictor, names: Sequence[str], rename: Mapping[str, str]) -> list[int]:
    """Return where the model's channels are among the device's. Raises BadConfig with similar names."""
    wanted = [c.name for c in predictor.channels]
    require_renamed(rename, wanted)
    match = match_channels(wanted, names, rename)
    if match.missing:
        raise BadConfig(
            f"the model was trained on {len(wanted)} channels, and the stream has none for {match.hint}, among "
            f"{', '.join(names)}. If one has another name there: --rename {match.missing[0]}=NAME"
        )
    return match.positions

"""Emotions as they happen: frames and samples go in as they come, a row comes out for each window that is complete.

    with EmotionStream(Predictor("model"), 512, ["Fp1", "F3", ..., "GSR"]) as stream:
        ...
        for row in stream.frame(rgb, time_s) + stream.samples(chunk):
            print(row["start_s"], row["valence"])

Rows have the columns of `gbvnet predict`'s emotions.csv, from the same model and windows. What differs, because nothing
that is still to come is known (docs/streaming.md has figures):

- Filters run forwards once. Offline they run forwards and backwards: no delay, and the gain squared.
- A frame without a face borrows one of the second before it, never of the second after.
- The baseline is the mean of the stream's first seconds, of a stated period, or of the seconds before each window.
- A modality that does not arrive in time is missing from its window, and the row's flags say so.

Memory does not grow: samples and faces are kept for the seconds that a window may still ask for.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from ...datasets.channel_names import match_channels, require_renamed
from ...errors import BadConfig
from ...preprocessing.face_windows import BORROW_S
from ...preprocessing.landmarks import open_landmarker
from ...preprocessing.windowing import frame_times
from ..prediction import FAR_WORDS, columns, flags
from ..predictor import Predictor
from .face_buffer import SLACK, FaceStream
from .signal_buffer import SignalStream

PIECE_S = 0.1  # a chunk is taken in pieces of this length, so that a long one cannot push windows out of memory
SILENCE_S = 10.0
REMEMBERED = 10  # windows, to tell whether a slow channel is flat


class EmotionStream:
    """Use it in a `with`, which closes the landmarker.

    signals_rate_hz, channels : of the chunks that will come, with the device's names; None if no signals will come
    rename : the model's name of a channel -> the device's
    faces : whether frames will come
    step_s : from one window to the next; the windows' own length if not given
    start_s : when the first window starts, on the stream's clock; if not given, when the baseline is over
    baseline_start_s : when the rest starts; if not given, with the first sample
    running_s : take off the mean of the seconds right before each window instead
    deadline_s : how long after its end a window waits for a modality while the other goes on

    Every window has a row, except where nothing at all came for more than SILENCE_S: `silent` counts those.
    Raises BadConfig if the model cannot do with what will come, or its signals are scaled by whole recordings; as
    `open_landmarker` besides.
    """

    def __init__(
        self,
        predictor: Predictor,
        signals_rate_hz: float | None = None,
        channels: Sequence[str] = (),
        *,
        rename: Mapping[str, str] | None = None,
        faces: bool = True,
        step_s: float | None = None,
        start_s: float | None = None,
        baseline_start_s: float | None = None,
        running_s: float | None = None,
        deadline_s: float = 0.5,
    ):
        self.predictor, about = predictor, predictor.about
        self.window_s: float = predictor.prepare.window_s
        self.step_s = step_s or self.window_s
        self.deadline_s = deadline_s
        self.use_face = predictor.sees_face and faces
        self.use_signals = predictor.sees_signals and signals_rate_hz is not None
        _require_sense(predictor, self.use_face, self.use_signals)
        predictor.require_step(step_s)
        for name, value in (("running_s", running_s), ("signals_rate_hz", signals_rate_hz)):
            if value is not None and not 0 < value < np.inf:
                raise BadConfig(f"{name} must be above 0, not {value:g}")
        if running_s is not None and predictor.prepare.baseline == "template":
            raise BadConfig("running_s: this model's baseline is a template of one rest, not a mean that can run along")
        self.silent = 0
        self._n_frames: int = about["frames_per_window"]
        self._length: int = about["samples_per_window"]
        self._to_hz: float = about["rate_hz"]
        self._start_s, self._rest_from = start_s, baseline_start_s
        self._rest_s = 0.0
        self._next = 0  # window
        self._reached_s = np.inf  # when rows were last looked for
        self._seen: deque[np.ndarray] = deque(maxlen=REMEMBERED)  # signals of the last windows
        self._closing = ExitStack()
        self._signals: SignalStream | None = None
        self._of_frames = ""
        self._faces: FaceStream | None = None
        if self.use_signals:
            assert signals_rate_hz is not None
            self._pick = _places(predictor, channels, rename or {})
            self._n_channels, self._rate_hz = len(channels), float(signals_rate_hz)
            how = predictor.prepare.baseline
            self._rest_s = 0.0 if how == "none" else running_s if running_s is not None else about["baseline_s"]
            self._signals = SignalStream(
                predictor.channels, self._rate_hz, self._to_hz, keep_s=self.window_s + deadline_s + 2 * PIECE_S + 1,
                filter=predictor.prepare.filter, baseline=how, baseline_s=about["baseline_s"],
                baseline_start_s=baseline_start_s, running_s=None if how == "none" else running_s,
            )  # fmt: skip
        if self.use_face:
            landmarker = self._closing.enter_context(open_landmarker(predictor.prepare.landmarks))
            self._faces = FaceStream(landmarker, about["face_side"], self._looked_at)
        network = predictor.network
        if predictor.sees_signals:
            self._mean, self._sd = np.asarray(network.signal_mean.cpu()), np.asarray(network.signal_sd.cpu())

    def __enter__(self) -> "EmotionStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the landmarker. What was not told is lost; `finish` tells it."""
        self._closing.close()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in a row."""
        return columns(self.predictor.targets)

    @property
    def messages(self) -> list[str]:
        """What to know of what came so far: a face that jumped or had company, a device whose rate is not the stated
        one, samples that were left out."""
        texts = [] if self._faces is None else self._faces.participant.events.messages()
        if self._signals is not None:
            twice = self._signals.dropped
            texts += [self._signals.message]
            texts += [f"{twice:,} samples were not used: they came twice, or their time stamps went back"] * bool(twice)
        return [text for text in (*texts, self._of_frames) if text]

    def frame(self, rgb: np.ndarray, time_s: float) -> list[dict[str, Any]]:
        """A frame (H, W, 3) uint8 RGB at a time on the stream's clock, later than the last one's. Returns the rows of
        windows that it completes. Raises ValueError for another shape or an earlier time."""
        if self._faces is None:
            raise ValueError("no frames were announced, or the model sees none")
        self._begin(time_s)
        self._faces.push(rgb, time_s)
        return self._rows()

    def samples(self, chunk: np.ndarray, time_s: float | None = None) -> list[dict[str, Any]]:
        """Samples (C, n) of all channels announced, electrical ones in microvolts, else in the units that the model was
        trained with; and the time of the first one, or None if it follows the last one (the first of all is at 0).
        With times, samples lie where those say, though the rate is up to 5 % from the stated one.
        Returns the rows of windows that they complete. Raises ValueError for another shape."""
        if self._signals is None:
            raise ValueError("no signals were announced, or the model sees none")
        chunk = np.asarray(chunk, np.float64)
        if chunk.ndim != 2 or len(chunk) != self._n_channels:
            raise ValueError(f"a chunk must be ({self._n_channels}, n), not {chunk.shape}")
        chunk = chunk[self._pick]
        rows: list[dict[str, Any]] = []
        if time_s is not None and self._signals.repeats(chunk, time_s):
            return rows
        size = max(1, round(PIECE_S * self._rate_hz))
        for first in range(0, chunk.shape[1], size):
            at = None if time_s is None else time_s + first / self._signals.true_rate_hz
            reached = self._signals.reached_s
            self._begin(at if at is not None else max(reached, 0.0))
            self._signals.take(chunk[:, first : first + size], at, stamped=time_s is not None and first == 0)
            rows += self._rows()
        return rows

    def finish(self) -> list[dict[str, Any]]:
        """Nothing more will come: the rows of the windows that are left."""
        if self._start_s is None:
            return []
        for part in (self._signals, self._faces):
            if part is not None:
                part.finish()
        return self._rows(ended=True)

    def end_of_signals(self) -> list[dict[str, Any]]:
        """No more samples will come, frames may: as `finish`, of the windows that waited for samples. Those that follow
        have the flag "signals ended" and wait for nothing."""
        return self._end_of(self._signals)

    def end_of_frames(self, note: str = "") -> list[dict[str, Any]]:
        """No more frames will come, samples may; later windows have the flag "video ended".

        note : what was wrong with them, which becomes one of the messages
        """
        self._of_frames = note
        return self._end_of(self._faces)

    def _end_of(self, part: SignalStream | FaceStream | None) -> list[dict[str, Any]]:
        if part is None or self._start_s is None:
            return []
        part.end()
        return self._rows()

    # --- windows ---

    def _begin(self, time_s: float) -> None:
        """The first that comes says when the first window starts, unless that is stated."""
        if self._start_s is None:
            self._start_s = (time_s if self._rest_from is None else self._rest_from) + self._rest_s

    def _times(self, windows: np.ndarray) -> np.ndarray:
        """When windows look at the face, (W, F) seconds."""
        assert self._start_s is not None
        return self._start_s + frame_times(windows * self.step_s, self.window_s, self._n_frames)

    def _looked_at(self, a: float, b: float) -> bool:
        assert self._start_s is not None
        low = max(self._next, int((a - self._start_s - self.window_s) // self.step_s))
        high = int((b - self._start_s) // self.step_s)
        times = self._times(np.arange(low, high + 1))
        return bool(((times >= a) & (times < b)).any())

    def _rows(self, ended: bool = False) -> list[dict[str, Any]]:
        """Of all windows that are complete, or have waited long enough."""
        assert self._start_s is not None
        rows = []
        now = max(part.reached_s for part in (self._signals, self._faces) if part is not None)
        before, self._reached_s = self._reached_s, now
        while True:
            start = self._start_s + self._next * self.step_s
            if now - before > SILENCE_S and start > before + BORROW_S:
                self._skip(now - PIECE_S)
                before = now
                continue
            stop = start + self.window_s
            if now < stop - SLACK - self.window_s / self._n_frames:
                break
            times = self._times(np.array([self._next]))[0]
            onset = round(self._start_s * self._to_hz)
            first = onset + round(self._next * self.step_s * self._to_hz)
            has_frames = self._faces is None or self._faces.ended or self._faces.reached_s >= times[-1] - SLACK
            has_samples = self._signals is None or self._signals.has(first + self._length)
            if not (has_frames and has_samples) and now < stop + (-SLACK if ended else self.deadline_s):
                break
            rows.append(self._row(start, times, first, onset))
            self._next += 1
            if self._faces is not None:
                self._faces.forget(start + self.step_s)
        return rows

    def _skip(self, to_s: float) -> None:
        """Leave out the windows that end before a time."""
        assert self._start_s is not None
        to = max(self._next, int((to_s - self.window_s - self._start_s) // self.step_s) + 1)
        self.silent += to - self._next
        self._next = to

    def _row(self, start: float, times: np.ndarray, first: int, onset: int) -> dict[str, Any]:
        signals: np.ndarray | None = None
        faces: np.ndarray | None = None
        ok: np.ndarray | None = None
        odd: list[str] = []
        if self._faces is not None:
            faces, ok, came = self._faces.window(times)
            none = np.empty(0)
            late, ended = self._faces.reached_s < times[-1] - SLACK, self._faces.ended
            odd += flags(np.array([ok.any()]), ok[None], None, (), none, none) if came else []
            odd += ["video ended"] if late and ended else ["frames late"] if late and came else []
            odd += ["no frames"] if not came and not (late and ended) else []
            odd += [f"{FAR_WORDS}: {what}" for what in self.predictor.far_faces(faces[None], ok[None]) if what]
        if self._signals is not None:
            signals, why = self._signals.window(first, self._length, onset)
            if signals is not None:
                self._seen.append(signals)
                seen = np.stack(self._seen)
                odd.append(flags(None, None, seen, self.predictor.channels, self._mean, self._sd)[-1])
            odd.append(why)
        numbers = self._ask(faces, ok, signals)
        if np.isnan(numbers[0]):
            odd.append("no answer")
        values = (round(start, 6), round(start + self.window_s, 6), *numbers,
                  float(ok.mean()) if ok is not None else 0.0, signals is not None,
                  "; ".join(text for text in odd if text), *self.predictor.notes)  # fmt: skip
        return dict(zip(self.columns, values, strict=True))

    def _ask(self, faces: np.ndarray | None, ok: np.ndarray | None, signals: np.ndarray | None) -> list[float]:
        """Probabilities and two gates of one window; all NaN if the model has nothing to put in the place of what is
        missing, and the gates if one modality is."""
        has_face = ok is not None and bool(ok.any())
        lacking = (self.predictor.sees_face and not has_face) or (self.predictor.sees_signals and signals is None)
        if lacking and not (self.predictor.can_do_without and (has_face or signals is not None)):
            return [np.nan] * (len(self.predictor.targets) + 2)
        answers = self.predictor.ask(*(None if x is None else x[None] for x in (faces, ok, signals)))
        if not has_face or signals is None:  # a gate weighs two modalities
            return [*answers.p[0].tolist(), np.nan, np.nan]
        return [*answers.p[0].tolist(), float(answers.gate_face[0]), float(answers.gate_bio[0])]


def _require_sense(predictor: Predictor, use_face: bool, use_signals: bool) -> None:
    if predictor.per_recording and use_signals:
        raise BadConfig(
            f"{predictor.folder}: this model scales signals by the mean and SD of the whole recording "
            "(train.normalise subject), which a stream has not before it ends: train it with train.normalise train"
        )
    if not use_face and not use_signals:
        wanted = "frames" if not predictor.sees_signals else "signals" if not predictor.sees_face else "frames, signals"
        raise BadConfig(f"the model sees {predictor.network.config.modality}: give it {wanted}")
    lacking = (predictor.sees_face and not use_face) or (predictor.sees_signals and not use_signals)
    if lacking and not predictor.can_do_without:
        what = "signals" if use_face else "frames"
        raise BadConfig(
            f"there will be no {what}, and this model learnt nothing to put in their place (model.modality_dropout 0): "
            "give both, or another model"
        )


def _places(predictor: Predictor, names: Sequence[str], rename: Mapping[str, str]) -> list[int]:
    """Where the model's channels are among the device's. Raises BadConfig with near names."""
    wanted = [c.name for c in predictor.channels]
    require_renamed(rename, wanted)
    match = match_channels(wanted, names, rename)
    if match.missing:
        raise BadConfig(
            f"the model was trained on {len(wanted)} channels, and the stream has none for {match.hint}, among "
            f"{', '.join(names)}. If one has another name there: --rename {match.missing[0]}=NAME"
        )
    return match.positions

"""Sources of a stream: a camera, a video file, a signal file. Each is an iterator of events that carry their time.

Shapes: C channels, n samples; H, W of a frame.
"""

import heapq
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...datasets.film_times import times_file_of, with_film_times
from ...errors import GbvnetError
from ...io.video import probe, read_frames

CHUNK_S = 0.05  # of a signal file that is replayed
QUEUE_SIZE = 64  # events between the reading threads and the consumer
MAX_QUEUED_FRAMES = 8  # from here on a frame is dropped, so that it does not delay later ones
TIMEOUT_S = 3.0  # of a camera that gives no frames
SILENT = 0  # OpenCV's level of messages


class Event(NamedTuple):
    """A frame (H, W, 3) uint8 RGB, or a chunk of samples (C, n), or the end of a source: `ended` is "video" or
    "signals". Times are on the stream's clock, which starts at 0."""

    time_s: float  # of the frame, or of the chunk's first sample
    due_s: float  # when it is available: a chunk with its last sample
    frame: np.ndarray | None = None
    chunk: np.ndarray | None = None
    ended: str = ""
    note: str = ""  # errors of the source


class VideoFile:
    """All frames of a video file, on the file's own clock (see `io.frame_times`), or on that of the file of frame times
    beside it (see `datasets.film_times`).

    begin_s, end_s : start of its first frame, and end of its last one
    notes : warnings about its times and tracks; its last event reports frames that could not be decoded

    Raises BadRecording.
    """

    def __init__(self, path: Path):
        self.path, self.info = path, probe(path)
        if (times_file := times_file_of(path)) is not None:
            self.info = with_film_times(path, self.info, times_file)
        self.begin_s, self.end_s = max(0.0, self.info.time_s(0)), self.info.seconds
        self.notes = self.info.notes

    def __iter__(self) -> Generator[Event]:
        reader = read_frames(self.path, np.arange(self.info.n_frames), info=self.info)
        for index, rgb in reader:
            time_s = self.info.time_s(index)
            if time_s >= 0:  # frames before second 0 are not presented
                yield Event(time_s, time_s, frame=rgb)
        yield Event(self.end_s, self.end_s, ended="video", note=reader.warning or "")


def replay_samples(samples: np.ndarray, rate_hz: float, begin_s: float = 0.0) -> Iterator[Event]:
    """Yield samples (C, N) in chunks, as a device would send them."""
    n = max(1, round(CHUNK_S * rate_hz))
    for first in range(0, samples.shape[1], n):
        chunk = samples[:, first : first + n]
        start = begin_s + first / rate_hz
        yield Event(start, start + chunk.shape[1] / rate_hz, chunk=chunk)
    end_s = begin_s + samples.shape[1] / rate_hz
    yield Event(end_s, end_s, ended="signals")


def shift_clock(source: Iterable[Event], zero_s: float) -> Generator[Event]:
    """Yield the events of a source whose second `zero_s` is second 0 of the stream. Earlier events are left out."""
    for event in source:
        if event.time_s >= zero_s - 1e-6 or event.ended:
            yield event._replace(time_s=event.time_s - zero_s, due_s=event.due_s - zero_s)


def camera_frames(number: int, clock: Callable[[], float]) -> Generator[Event]:
    """Yield the frames of a camera, each with the time at which it was received. Ends when the camera is disconnected.
    Raises GbvnetError if there is no such camera."""
    import cv2

    set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # OpenCV 4, or 5
    set_log_level(SILENT)  # it prints many lines about an absent camera
    device = cv2.VideoCapture(number)
    try:
        if not device.isOpened():
            raise GbvnetError(
                f"no camera {number}: is it plugged in, used by no other program, and may this user read "
                f"/dev/video{number}? --video FILE plays a video file instead"
            )
        received_s = clock()
        while clock() - received_s < TIMEOUT_S:
            ok, bgr = device.read()
            if ok:
                received_s = clock()
                yield Event(received_s, received_s, frame=np.ascontiguousarray(bgr[:, :, ::-1]))
            else:
                time.sleep(0.02)
    finally:
        device.release()


class ReceivedEvent(NamedTuple):
    """An event and when it was received."""

    event: Event
    at_s: float  # on the stream's clock


class MergedSources:
    """An iterator over the events of several sources, in the order of time.

    clock : returns the seconds since the start of the stream; None: as fast as possible, for files only
    until_s : end of the stream

    With a clock, each source is read in a thread of its own, and files wait until their events are due; frames that
    would be processed too late are left out, and `dropped` counts them.
    """

    def __init__(self, sources: Sequence[Generator[Event]], clock: Callable[[], float] | None, until_s: float | None):
        self.sources, self.clock, self.until_s = sources, clock, until_s or float("inf")
        self.dropped = 0
        self._queue: queue.Queue = queue.Queue(QUEUE_SIZE)
        self._stop = threading.Event()

    def __iter__(self) -> Generator[ReceivedEvent]:
        return self._fast() if self.clock is None else self._paced(self.clock)

    def _fast(self) -> Generator[ReceivedEvent]:
        for event in heapq.merge(*self.sources, key=lambda e: e.due_s):
            if event.due_s > self.until_s:
                return
            yield ReceivedEvent(event, event.due_s)

    def _paced(self, clock: Callable[[], float]) -> Generator[ReceivedEvent]:
        threads = [
            threading.Thread(target=self._read, args=(source, clock), name="source", daemon=True)
            for source in self.sources
        ]
        for thread in threads:
            thread.start()
        try:
            running = len(threads)
            while running and clock() < self.until_s:
                try:
                    item = self._queue.get(timeout=0.1)
                except queue.Empty:
                    continue
                if item is None:
                    running -= 1
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(TIMEOUT_S)  # a camera may hang in its driver

    def _read(self, source: Generator[Event], clock: Callable[[], float]) -> None:
        last: BaseException | None = None
        try:
            with closing(source) as events:
                for event in events:
                    while (early := event.due_s - clock()) > 0 and not self._stop.is_set():
                        self._stop.wait(min(early, 0.1))
                    if self._stop.is_set():
                        return
                    if event.frame is not None and self._queue.qsize() >= MAX_QUEUED_FRAMES:
                        self.dropped += 1
                    else:
                        self._put(ReceivedEvent(event, clock()))
        except BaseException as error:
            last = error
        self._put(last)

    def _put(self, item: object) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

"""Where a stream comes from: a camera, a film, a signal file; each an iterator of events that carry their time.

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

from ...errors import GbvnetError
from ...io.video import probe, read_frames

CHUNK_S = 0.05  # of a signal file that is played
WAITING = 64  # events between those who read and who uses them
FRAMES_WAITING = 8  # beyond these, a frame is dropped rather than shown late
PATIENCE_S = 3.0  # for a camera that gives nothing


class Event(NamedTuple):
    """A frame (H, W, 3) uint8 RGB, or a chunk of samples (C, n), or neither: what is `ended` is over, "video" or
    "signals". Times are on the stream's clock, which begins at 0."""

    time_s: float  # of the frame, or of the chunk's first sample
    due_s: float  # when it is there: a chunk with its last sample
    frame: np.ndarray | None = None
    chunk: np.ndarray | None = None
    ended: str = ""
    note: str = ""  # what was wrong with it


class Film:
    """All frames of a video file, on the file's own clock (see `frametimes`).

    begin_s, end_s : when its first frame is shown, and until when its last one is
    notes : what to know of its times and tracks; which frames could not be decoded is told by its last event

    Raises BadRecording.
    """

    def __init__(self, path: Path):
        self.path, self.info = path, probe(path)
        self.begin_s, self.end_s = max(0.0, self.info.time_s(0)), self.info.seconds
        self.notes = self.info.notes

    def __iter__(self) -> Generator[Event]:
        reader = read_frames(self.path, np.arange(self.info.n_frames), info=self.info)
        for index, rgb in reader:
            time_s = self.info.time_s(index)
            if time_s >= 0:  # what a file has before its second 0 is not shown
                yield Event(time_s, time_s, frame=rgb)
        yield Event(self.end_s, self.end_s, ended="video", note=reader.finding or "")


def played(samples: np.ndarray, rate_hz: float, begin_s: float = 0.0) -> Iterator[Event]:
    """Samples (C, N) in chunks, as a device would give them."""
    n = max(1, round(CHUNK_S * rate_hz))
    for first in range(0, samples.shape[1], n):
        chunk = samples[:, first : first + n]
        start = begin_s + first / rate_hz
        yield Event(start, start + chunk.shape[1] / rate_hz, chunk=chunk)
    end_s = begin_s + samples.shape[1] / rate_hz
    yield Event(end_s, end_s, ended="signals")


def earlier(feed: Iterable[Event], by_s: float) -> Generator[Event]:
    """A feed whose second `by_s` is second 0 of the stream. What comes before that is left out."""
    for event in feed:
        if event.time_s >= by_s - 1e-6 or event.ended:
            yield event._replace(time_s=event.time_s - by_s, due_s=event.due_s - by_s)


def camera(number: int, clock: Callable[[], float]) -> Iterator[Event]:
    """Frames of a camera, each with the time at which it came. Ends if the camera goes away. Raises GbvnetError if it
    is not there."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it greets an absent camera with many lines
    device = cv2.VideoCapture(number)
    try:
        if not device.isOpened():
            raise GbvnetError(
                f"no camera {number}: is it plugged in, used by no other program, and may this user read "
                f"/dev/video{number}? --video FILE plays a film instead"
            )
        came = clock()
        while clock() - came < PATIENCE_S:
            there, bgr = device.read()
            if there:
                came = clock()
                yield Event(came, came, frame=np.ascontiguousarray(bgr[:, :, ::-1]))
            else:
                time.sleep(0.02)
    finally:
        device.release()


class Arrived(NamedTuple):
    event: Event
    at_s: float  # on the clock, when it was read


class Together:
    """Several feeds as one iterator of Arrived, by time.

    clock : seconds since the stream began, or None: as fast as possible, which only files can
    until_s : stop then

    With a clock, each feed is read by a thread of its own, and files wait until their events are due; frames that wait
    too long to be used are left out, and `dropped` counts them.
    """

    def __init__(self, feeds: Sequence[Iterable[Event]], clock: Callable[[], float] | None, until_s: float | None):
        self.feeds, self.clock, self.until_s = feeds, clock, until_s or float("inf")
        self.dropped = 0
        self._ready: queue.Queue = queue.Queue(WAITING)
        self._stop = threading.Event()

    def __iter__(self) -> Generator[Arrived]:
        return self._fast() if self.clock is None else self._paced(self.clock)

    def _fast(self) -> Generator[Arrived]:
        for event in heapq.merge(*self.feeds, key=lambda e: e.due_s):
            if event.due_s > self.until_s:
                return
            yield Arrived(event, event.due_s)

    def _paced(self, clock: Callable[[], float]) -> Generator[Arrived]:
        threads = [
            threading.Thread(target=self._read, args=(feed, clock), name="feed", daemon=True) for feed in self.feeds
        ]
        for thread in threads:
            thread.start()
        try:
            left = len(threads)
            while left and clock() < self.until_s:
                try:
                    item = self._ready.get(timeout=0.1)
                except queue.Empty:
                    continue
                if item is None:
                    left -= 1
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(PATIENCE_S)  # a camera may hang in its driver

    def _read(self, feed: Iterable[Event], clock: Callable[[], float]) -> None:
        last: BaseException | None = None
        try:
            events = iter(feed)
            assert isinstance(events, Generator)
            with closing(events):
                for event in events:
                    while (early := event.due_s - clock()) > 0 and not self._stop.is_set():
                        self._stop.wait(min(early, 0.1))
                    if self._stop.is_set():
                        return
                    if event.frame is not None and self._ready.qsize() >= FRAMES_WAITING:
                        self.dropped += 1
                    else:
                        self._put(Arrived(event, clock()))
        except BaseException as error:
            last = error
        self._put(last)

    def _put(self, item: object) -> None:
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

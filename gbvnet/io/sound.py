"""The sound track of a film: its samples between two times of the film's own clock, on which its frames are, too.

Shapes: N samples.
"""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import BadRecording
from .frame_times import VideoInfo
from .video import REMEDY, open_container

log = logging.getLogger(__name__)

SEEK_FROM_S = 30.0  # a part that begins later is sought, and the part before it is not decoded
PREROLL_S = 5.0  # of what is sought, decoded before the part: codecs need up to 0.1 s to be as after the beginning
JITTER_S = 0.002  # of time stamps: Matroska rounds them to milliseconds. Larger steps are gaps
SEEKABLE = ("mov", "matroska")  # formats whose places in the file have exact times
FULL_SCALE = {"u1": 128.0, "i2": 2.0**15, "i4": 2.0**31}  # of whole numbers, by their type in NumPy


class Sound(NamedTuple):
    """Part of a sound track as one channel, the mean of all."""

    samples: np.ndarray  # (N,) float32, full scale 1; NaN where the track has no sound: before, after, in gaps
    rate_hz: int  # of the track, not resampled


def read_sound(path: Path, start_s: float, stop_s: float, info: VideoInfo | None = None) -> Sound | None:
    """Return the sound between two times of a film's clock; None if the film has no sound track.

    start_s, stop_s : seconds; sample k is at start_s + k / rate_hz, to half a sample
    info : as `video.probe` returns it, with second 0 of the clock, where that is not the container's
    Of several tracks the default is read, else the first. Raises BadRecording for a file that cannot be opened, or
    whose track cannot be decoded at all.
    """
    origin_s = Fraction(0) if info is None or info.tick is None else info.origin * info.tick
    with open_container(path) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.best("audio") or container.streams.audio[0]
        if stream.codec_context is None:
            raise BadRecording(path, "a sound track that FFmpeg can decode", "one of an unknown codec")
        if start_s > SEEK_FROM_S and container.format.name.startswith(SEEKABLE):
            container.seek(round((start_s - PREROLL_S + float(origin_s)) * 1_000_000))
        placed = _Placed(path, start_s, stop_s, origin_s)
        for frame in _frames(path, container, stream):
            if placed.add(frame):
                break
    return placed.sound(stream.codec_context.sample_rate)


class _Placed:
    """Decoded frames in their places in time."""

    def __init__(self, path: Path, start_s: float, stop_s: float, origin_s: Fraction):
        self.path, self.start_s, self.stop_s, self.origin_s = path, start_s, stop_s, origin_s
        self.rate_hz = 0
        self.samples = np.zeros(0, np.float32)
        self.due: int | None = None  # the place of the next frame, if there is no gap

    def add(self, frame: Any) -> bool:
        """Put a frame into its place. Return whether it reaches to the end."""
        if self.rate_hz not in (0, frame.sample_rate):
            raise BadRecording(self.path, f"sound of {self.rate_hz} Hz throughout", f"{frame.sample_rate} Hz in it")
        if not self.rate_hz:
            self._begin(frame.sample_rate)
        mono = _mono(self.path, frame)
        at = self._place(frame)
        self.due = at + len(mono)
        first, last = max(at, 0), min(at + len(mono), len(self.samples))
        if first < last:
            self.samples[first:last] = mono[first - at : last - at]
        return self.due >= len(self.samples)

    def sound(self, rate_hz: int) -> Sound:
        """Return what was put into place."""
        if not self.rate_hz:
            if not rate_hz:
                raise BadRecording(self.path, "a sound track", "one without a rate", REMEDY)
            self._begin(rate_hz)
        return Sound(self.samples, self.rate_hz)

    def _begin(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.samples = np.full(max(0, round((self.stop_s - self.start_s) * rate_hz)), np.nan, np.float32)

    def _place(self, frame: Any) -> int:
        """The place of a frame's first sample, by its time stamp; that of the frame before it, if they are as near as
        rounded stamps can be."""
        if frame.pts is None:
            return self.due or 0
        at = round((float(frame.pts * frame.time_base - self.origin_s) - self.start_s) * self.rate_hz)
        jitter = max(JITTER_S, 1.5 * float(frame.time_base)) * self.rate_hz
        return at if self.due is None or abs(at - self.due) > jitter else self.due


def _frames(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    """Yield decoded frames. A packet that cannot be decoded is skipped; the frames end at a read error."""
    from av.error import FFmpegError

    n_packets = n_frames = 0
    error: str | None = None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError as failed:
            log.debug("%s: reading of sound stopped: %s", path, failed.strerror)
            return
        if packet is None:
            break
        n_packets += packet.size > 0
        try:
            frames = stream.decode(packet)
        except FFmpegError as failed:
            error = failed.strerror
            log.debug("%s: a packet of sound: %s", path, error)
            continue
        n_frames += len(frames)
        yield from frames
    if n_packets and not n_frames:
        raise BadRecording(path, "a sound track that FFmpeg can decode", f"none of it can be ({error})", REMEDY)


def _mono(path: Path, frame: Any) -> np.ndarray:
    """Return the mean of a frame's channels, (N,) float32."""
    x = frame.to_ndarray()  # (channels, N), or (1, N channels) where they take turns
    x = x if frame.format.is_planar else x.reshape(-1, len(frame.layout.channels)).T
    kind = x.dtype.str[1:]
    if kind not in FULL_SCALE:
        if x.dtype.kind != "f":
            raise BadRecording(path, "samples of 8, 16 or 32 bits", f"{frame.format.name}")
        return x.mean(axis=0, dtype=np.float64).astype(np.float32)
    level = x.mean(axis=0, dtype=np.float64) - (128 if kind == "u1" else 0)
    return (level / FULL_SCALE[kind]).astype(np.float32)

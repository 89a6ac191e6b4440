"""Face videos: what a file holds, and its frames by number.

The time of a frame is its number divided by the frame rate, never the container's time stamp: on AVI files with
B-frames, as DEAP's are, those come out scrambled. What containers other than AVI say about time serves only to check
the rate.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .errors import BadRecording

log = logging.getLogger(__name__)

# FFmpeg guesses a format from a file's bytes: it would draw a text file as a picture, and follow a play list's links.
FORMATS = "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,asf,flv,ogg,mxf,dv,wtv"
OPEN = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
REMEDY = "If the file was copied or downloaded, fetch it again."


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds, without decoding it.

    width, height : as stored, in pixels, before any rotation that the file asks for
    fps : frames a second, exact
    n_frames : how many frames are really there, counted one by one
    uneven_s : largest distance between number / fps and the container's own time, in seconds; 0 where it has none
    """

    width: int
    height: int
    fps: Fraction
    n_frames: int
    uneven_s: float = 0.0

    @property
    def seconds(self) -> float:
        return float(self.n_frames / self.fps)


def frame_at(t_s: float | Fraction, fps: Fraction | int) -> int:
    """The number of the frame that is on show at a time (s): frame n is on show from n / fps until (n + 1) / fps.

    Exact: a float is read as the simplest fraction that it can mean, so that 0.3 s at 50 fps is frame 15, and not 14
    as 0.3's nearest binary number would have it.
    """
    t = t_s if isinstance(t_s, Fraction) else Fraction(t_s).limit_denominator(1_000_000)
    return (t * fps).__floor__()


def probe(path: str | Path) -> VideoInfo:
    """Count a video's frames and find its rate and size; nothing is decoded.

    Raises BadRecording if the file is absent, empty, cut short, no video, or without a picture.
    """
    path = Path(path)
    with _opened(path) as container:
        stream = _video_stream(path, container)
        has_times = container.format.name != "avi"
        stamps = []  # of the frames that are shown
        n_packets = 0
        for packet in _packets(path, container, stream):
            n_packets += 1
            if not packet.is_discard:  # what an edit list cuts away is decoded but never shown
                stamps.append(packet.pts if has_times else None)
        rate = stream.guessed_rate or stream.average_rate
        if not stamps or not rate:
            raise BadRecording(path, "a video", f"{len(stamps)} frames at {rate or 'an unknown number of'} fps", REMEDY)
        # Files of the field lack a frame or two at times. Half a second less than the header says is something else.
        if n_packets < stream.frames - rate / 2:
            raise BadRecording(
                path,
                f"the {stream.frames:,} frames that its header promises",
                f"{n_packets:,}",
                "It is cut short or damaged, or frames were dropped in recording. " + REMEDY,
            )
        fps, uneven_s = _check_rate(stamps, stream.time_base, Fraction(rate))
        return VideoInfo(stream.codec_context.width, stream.codec_context.height, fps, len(stamps), uneven_s)


def _check_rate(stamps: list, time_base: Fraction, declared: Fraction) -> tuple[Fraction, float]:
    """The declared rate, unless the time stamps drift half a frame from it (telephones: 30 fps that are 29.7)."""
    if len(stamps) < 2 or None in stamps:
        return declared, 0.0
    stamps = sorted(stamps)  # packets come in decoding order
    span = (stamps[-1] - stamps[0]) * time_base
    if span <= 0:
        return declared, 0.0
    measured = (len(stamps) - 1) / span
    fps = declared if abs(measured - declared) * span < Fraction(1, 2) else measured
    times = (np.array(stamps, dtype=np.float64) - stamps[0]) * float(time_base)
    return fps, float(np.abs(times - np.arange(len(stamps)) / float(fps)).max())


class FrameReader:
    """An iterator over chosen frames of a video, each decoded once, in order; made by `read_frames`.

    Once it ends, `n_decoded` is how many frames were decoded, and `finding` says in a sentence if the video ended, or
    could not be decoded any further, before the last frame asked for.
    """

    def __init__(self, path: Path, indices: np.ndarray, threads: int):
        self.path, self.indices, self.threads = path, indices, threads
        self.n_decoded = 0
        self.finding: str | None = None

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        from av.error import FFmpegError
        from av.video.reformatter import VideoReformatter

        self.n_decoded, self.finding = 0, None
        if not len(self.indices):
            return
        last = int(self.indices[-1])
        asked = set(self.indices.tolist())
        reformatter = VideoReformatter()  # one for all: making its tables again for each frame halves the speed
        ended = "the video ends"
        with _opened(self.path) as container:
            stream = _video_stream(self.path, container)
            stream.codec_context.thread_count = self.threads
            if self.threads > 1:
                stream.codec_context.thread_type = "AUTO"
            try:
                for index, frame in enumerate(container.decode(stream)):
                    self.n_decoded = index + 1
                    if index in asked:
                        yield index, _to_rgb(frame, reformatter)
                    if index == last:
                        return
            except FFmpegError as e:
                ended = f"the video cannot be decoded any further ({e.strerror})"
        self.finding = f"{ended} after {self.n_decoded:,} frames; frame {last:,} was asked for (the first is 0)"
        log.debug("%s: %s", self.path, self.finding)


def read_frames(path: str | Path, indices: Sequence[int] | np.ndarray, threads: int = 1) -> FrameReader:
    """Iterate over (index, rgb (H, W, 3) uint8) of the frames asked for, in order; memory does not grow with the video.

    indices : increasing frame numbers from 0; reading stops after the last
    threads : of the decoder

    A video that ends early or breaks in the middle ends the iteration, and the reader's `finding` says so: that is not
    an error. Raises BadRecording if the file cannot be opened as a video.
    """
    numbers = np.asarray(indices, dtype=np.int64).reshape(-1)
    if len(numbers) and (numbers[0] < 0 or (np.diff(numbers) <= 0).any()):
        raise ValueError(f"indices must increase from 0 or above, not {numbers[:8].tolist()}...")
    return FrameReader(Path(path), numbers, threads)


def _to_rgb(frame: Any, reformatter: Any) -> np.ndarray:
    rgb = reformatter.reformat(frame, format="rgb24").to_ndarray()  # (H, W, 3) uint8
    quarter_turns = round(frame.rotation / 90) % 4  # telephones store upright pictures lying down
    # Rows are padded in memory where the width is no multiple of 16 (MAHNOB-HCI: 780), and MediaPipe sees no face then.
    return np.ascontiguousarray(np.rot90(rgb, quarter_turns) if quarter_turns else rgb)


def _opened(path: Path) -> Any:
    import av

    try:
        if path.stat().st_size == 0:
            raise BadRecording(path, "a video", "an empty file (0 bytes)", REMEDY)
        return av.open(str(path), options=OPEN)
    except OSError as e:  # absent, a folder, not ours to read
        raise BadRecording(path, "a video", e.strerror or type(e).__name__, REMEDY) from None
    except av.error.FFmpegError as e:
        raise BadRecording(path, "a video", f"content that FFmpeg cannot read ({e.strerror})", REMEDY) from None


def _video_stream(path: Path, container: Any) -> Any:
    if not container.streams.video:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "no stream at all"
        raise BadRecording(path, "a video stream", kinds, "Give the file that holds the pictures.")
    return container.streams.video[0]


def _packets(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets, one a frame. A file that cannot be read on has ended."""
    from av.error import FFmpegError

    try:
        for packet in container.demux(stream):
            if packet.size:  # the last one is empty and only tells the decoder to flush
                yield packet
    except FFmpegError as e:
        log.debug("%s: reading stopped: %s", path, e.strerror)

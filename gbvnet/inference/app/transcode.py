"""A face video in a format that browsers play: the file itself if they play it, else a small copy."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BadRecording
from ...io.video import open_container, probe, read_frames, video_stream

BROWSER_CODECS = {".mp4": ("h264", "av1", "vp9"), ".m4v": ("h264",), ".webm": ("vp8", "vp9", "av1")}
MAX_WIDTH = 480  # pixels, at most
TICK = Fraction(1, 90_000)  # seconds, unit of the copy's time stamps


def playable(video: Path, to: Path, progress: Callable[[float], None] | None = None) -> Path:
    """Return the video itself, or `to` after a copy without sound was written there.

    Raises BadRecording if the video is broken.

    progress : called with the share done about once a second of video
    """
    import av

    try:
        with open_container(video) as source:
            codec = video_stream(video, source).codec_context
            if codec.name in BROWSER_CODECS.get(video.suffix.lower(), ()) and codec.pix_fmt in ("yuv420p", "yuvj420p"):
                return video
        info = probe(video)
        with av.open(f"file:{to}", "w", format="mp4") as sink:
            stream = sink.add_stream("libx264", rate=info.fps, options={"preset": "ultrafast", "crf": "28"})
            stream.codec_context.time_base = TICK
            started = False
            for number, rgb in read_frames(video, np.arange(info.n_frames), threads=2, info=info):
                time_s = info.time_s(number)
                if time_s < 0:
                    continue
                if not started:
                    started = True
                    stream.width, stream.height, stream.pix_fmt = *_size(rgb), "yuv420p"
                    if time_s:  # else a player would start to count here
                        _encode(stream, sink, np.zeros_like(rgb), 0.0)
                _encode(stream, sink, rgb, time_s)
                if progress is not None and number % max(1, round(info.fps)) == 0:
                    progress(min(1.0, number / info.n_frames))
            sink.mux(stream.encode())
    except (av.error.FFmpegError, ValueError) as error:
        raise BadRecording(video, "a video that can be decoded", f"one that cannot ({error})") from None
    return to


def _size(rgb: np.ndarray) -> tuple[int, int]:
    """Return width and height of the copy, both even."""
    height, width = rgb.shape[:2]
    small = min(MAX_WIDTH, width) // 2 * 2
    return small, max(2, round(height * small / width / 2) * 2)


def _encode(stream: Any, sink: Any, rgb: np.ndarray, time_s: float) -> None:
    import av

    small = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(stream.width, stream.height, "yuv420p")
    small.pts, small.time_base = round(time_s / TICK), TICK
    sink.mux(stream.encode(small))

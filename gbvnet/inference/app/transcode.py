"""A face video as browsers play it: the very file where they do, else a small copy."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BadRecording
from ...io.video import opened, probe, read_frames, video_stream

PLAYED = {".mp4": ("h264", "av1", "vp9"), ".m4v": ("h264",), ".webm": ("vp8", "vp9", "av1")}
WIDTH = 480  # pixels, at most
TICK = Fraction(1, 90_000)  # seconds, in which the copy's time stamps count


def playable(video: Path, to: Path, progress: Callable[[float], None] | None = None) -> Path:
    """The video itself, or `to` after a copy without sound was written there. Raises BadRecording if it is broken.

    progress : called with the share done about once a second of video
    """
    import av

    try:
        with opened(video) as source:
            codec = video_stream(video, source).codec_context
            if codec.name in PLAYED.get(video.suffix.lower(), ()) and codec.pix_fmt in ("yuv420p", "yuvj420p"):
                return video
        info = probe(video)
        with av.open(f"file:{to}", "w", format="mp4") as sink:
            made = sink.add_stream("libx264", rate=info.fps, options={"preset": "ultrafast", "crf": "28"})
            made.codec_context.time_base = TICK
            begun = False
            for number, rgb in read_frames(video, np.arange(info.n_frames), threads=2, info=info):
                time_s = info.time_s(number)
                if time_s < 0:
                    continue
                if not begun:
                    begun = True
                    made.width, made.height, made.pix_fmt = *_size(rgb), "yuv420p"
                    if time_s:  # or a player would begin to count here
                        _add(made, sink, np.zeros_like(rgb), 0.0)
                _add(made, sink, rgb, time_s)
                if progress is not None and number % max(1, round(info.fps)) == 0:
                    progress(min(1.0, number / info.n_frames))
            sink.mux(made.encode())
    except (av.error.FFmpegError, ValueError) as error:
        raise BadRecording(video, "a video that can be decoded", f"one that cannot ({error})") from None
    return to


def _size(rgb: np.ndarray) -> tuple[int, int]:
    """Width and height of the copy, both even."""
    height, width = rgb.shape[:2]
    small = min(WIDTH, width) // 2 * 2
    return small, max(2, round(height * small / width / 2) * 2)


def _add(made: Any, sink: Any, rgb: np.ndarray, time_s: float) -> None:
    import av

    small = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(made.width, made.height, "yuv420p")
    small.pts, small.time_base = round(time_s / TICK), TICK
    sink.mux(made.encode(small))

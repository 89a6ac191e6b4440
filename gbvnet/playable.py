"""A face video as browsers play it: the very file where they do, else a small copy."""

from collections.abc import Callable
from pathlib import Path

from .errors import BadRecording
from .video import OPEN, probe

PLAYED = {".mp4": ("h264", "av1", "vp9"), ".m4v": ("h264",), ".webm": ("vp8", "vp9", "av1")}
WIDTH = 480  # pixels, at most


def playable(video: Path, to: Path, progress: Callable[[float], None] | None = None) -> Path:
    """The video itself, or `to` after a copy without sound was written there. Raises BadRecording if it is broken.

    progress : called with the share done about once a second of video
    """
    import av

    try:
        with av.open(str(video), options=OPEN) as source:
            stream = source.streams.video[0]
            codec = stream.codec_context
            if codec.name in PLAYED.get(video.suffix.lower(), ()) and codec.pix_fmt in ("yuv420p", "yuvj420p"):
                return video
        info = probe(video)
        with av.open(str(video), options=OPEN) as source, av.open(str(to), "w", format="mp4") as sink:
            stream = source.streams.video[0]
            stream.thread_type = "AUTO"
            width = min(WIDTH, info.width) // 2 * 2
            made = sink.add_stream("libx264", rate=info.fps, options={"preset": "ultrafast", "crf": "28"})
            made.width, made.height, made.pix_fmt = width, round(info.height * width / info.width / 2) * 2, "yuv420p"
            for number, frame in enumerate(source.decode(stream)):
                if number == 0 and frame.rotation:  # a telephone's: kept as a note to the player, as it was
                    made.set_display_rotation(frame.rotation)
                small = frame.reformat(made.width, made.height, "yuv420p")
                small.pts, small.time_base = number, 1 / info.fps
                sink.mux(made.encode(small))
                if progress is not None and number % max(1, round(info.fps)) == 0:
                    progress(min(1.0, number / info.n_frames))
            sink.mux(made.encode())
    except (av.error.FFmpegError, IndexError) as error:
        raise BadRecording(video, "a video that can be decoded", f"one that cannot ({error})") from None
    return to

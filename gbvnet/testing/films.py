"""Small films with a tone in their sound track that begins at a known second, to test what reads sound."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.recording import Recording
from ..io.video import probe

BLOCK = 1024  # samples that an encoder gets at once
FADE_S = 0.002  # of the tone's begin and end, so that it has no click


@dataclass(frozen=True)
class FilmSound:
    """The sound track of a `film_with_tone`: silence, and a tone."""

    tone_s: tuple[float, float] = (3.5, 60.0)
    """from when to when there is a tone, seconds on the film's clock"""
    tone_hz: float = 1000.0
    level: float = 0.3
    """amplitude of the tone, full scale 1"""
    rate_hz: int = 44100
    begins_s: float = 0.0
    """when the sound track begins"""
    ends_s: float | None = None
    """when it ends; with the film if not given"""
    codec: str = "pcm_s16le"


def film_with_tone(path: Path, seconds: float, sound: FilmSound | None = None, pictures_per_s: int = 10) -> Path:
    """Write a film of grey pictures, with a sound track or without one. Returns its path.

    path : its suffix chooses the container, .mkv, .mp4, .avi or .mov
    """
    import av

    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=pictures_per_s)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        audio = None if sound is None else container.add_stream(sound.codec, rate=sound.rate_hz)
        if audio is not None:
            audio.layout = "mono"
        picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
        for number in range(round(seconds * pictures_per_s)):
            frame = picture.reformat(format="yuv420p")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if sound is not None and audio is not None:
            for frame in _sound_frames(sound, seconds):
                container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path


def tone(sound: FilmSound, seconds: float) -> np.ndarray:
    """Return the samples of the sound track of a film, (N,) float32, from `begins_s` on."""
    ends_s = seconds if sound.ends_s is None else sound.ends_s
    t = sound.begins_s + np.arange(round((ends_s - sound.begins_s) * sound.rate_hz)) / sound.rate_hz
    loud = np.clip(np.minimum(t - sound.tone_s[0], sound.tone_s[1] - t) / FADE_S, 0, 1)
    return (sound.level * loud * np.sin(2 * np.pi * sound.tone_hz * t)).astype(np.float32)


def _sound_frames(sound: FilmSound, seconds: float) -> Iterator[Any]:
    """Yield the frames of the sound track, with their times, in a format that every encoder's own converter takes."""
    import av

    samples = tone(sound, seconds)
    first = round(sound.begins_s * sound.rate_hz)
    for start in range(0, len(samples), BLOCK):
        block = samples[start : start + BLOCK]
        frame = av.AudioFrame.from_ndarray(block[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = sound.rate_hz, first + start
        frame.time_base = Fraction(1, sound.rate_hz)
        yield frame


def recording_with_tone(
    path: Path, seconds: float = 6.0, sound: FilmSound | None = None, video_start_s: float = 0.0
) -> Recording:
    """Write such a film and return it as an inspected recording of the last `seconds` of it.

    video_start_s : the start of the stimulus on the film's clock; the film is longer by it
    """
    film_with_tone(path, seconds + video_start_s, sound)
    return Recording(
        path.stem, "test", "s01", path.stem, path.stem, seconds,
        video=path, video_start_s=video_start_s, video_info=probe(path),
    )  # fmt: skip

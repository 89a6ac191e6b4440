"""The sound track of films: in its place on the film's clock, for each container and codec."""

from pathlib import Path

import av
import numpy as np
import pytest

from gbvnet.errors import BadRecording
from gbvnet.io.sound import _mono, read_sound
from gbvnet.io.video import probe
from gbvnet.testing.films import FilmSound, film_with_tone, tone


@pytest.mark.journey
@pytest.mark.parametrize(
    ("suffix", "codec", "rate_hz"),
    [
        ("mkv", "pcm_s16le", 44100),
        ("mov", "pcm_s16le", 48000),
        ("avi", "pcm_s16le", 44100),
        ("mp4", "aac", 44100),
        ("mp4", "aac", 48000),
        ("mp4", "mp3", 44100),
        ("mkv", "libopus", 48000),
        ("mkv", "flac", 44100),
        ("ts", "aac", 48000),  # its time stamps begin at 1.4 s
    ],
)
def test_a_tone_is_where_it_was_planted(tmp_path, suffix, codec, rate_hz):
    film = film_with_tone(tmp_path / f"a.{suffix}", 4, FilmSound((2.5, 3.0), rate_hz=rate_hz, codec=codec))
    info = probe(film)
    first = float(info.start)  # of the pictures; in MPEG-TS the clock begins with the first stamp, here of the sound
    sound = read_sound(film, first + 1.0, first + 4.0, info)
    assert (
        0 <= first < 0.05
        and sound.rate_hz == rate_hz
        and len(sound.samples) == 3 * rate_hz
        and sound.samples.dtype == np.float32
    )
    loud = np.flatnonzero(np.abs(sound.samples) > 0.15) / rate_hz
    assert loud[0] == pytest.approx(1.5, abs=0.003) and loud[-1] == pytest.approx(2.0, abs=0.003)
    assert np.isfinite(sound.samples).all()


def test_uncompressed_samples_are_the_planted_ones(tmp_path):
    planted = FilmSound((0.5, 2.0), rate_hz=48000)
    film = film_with_tone(tmp_path / "a.mov", 3, planted)
    sound = read_sound(film, 0.25, 2.75)
    np.testing.assert_allclose(sound.samples, tone(planted, 3)[12000:132000], atol=1.1 / 2**15)


def test_sound_that_begins_later_than_the_picture_or_ends_before_it_is_missing_there(tmp_path):
    film = film_with_tone(tmp_path / "a.mkv", 4, FilmSound((2.5, 60), begins_s=1.5, ends_s=3.25))
    samples = read_sound(film, 0, 4).samples
    known = np.flatnonzero(np.isfinite(samples)) / 44100
    assert (known[0], known[-1]) == pytest.approx((1.5, 3.25), abs=1e-3)
    assert np.flatnonzero(np.abs(np.nan_to_num(samples)) > 0.15)[0] / 44100 == pytest.approx(2.5, abs=2e-3)


def test_time_before_the_film_and_after_it_has_no_sound(tmp_path):
    film = film_with_tone(tmp_path / "a.mkv", 2, FilmSound((0, 60)))
    samples = read_sound(film, -1, 3).samples
    assert len(samples) == 4 * 44100 and np.isnan(samples[:44100]).all() and np.isnan(samples[-44100:]).all()
    assert np.isfinite(samples[44100:-44100]).all()


@pytest.mark.journey
def test_a_part_far_into_a_film_is_sought_and_is_the_same(tmp_path, monkeypatch):
    film = film_with_tone(tmp_path / "a.mp4", 40, FilmSound((35.5, 60), codec="aac"), pictures_per_s=2)
    sought = read_sound(film, 34, 38)
    monkeypatch.setattr("gbvnet.io.sound.SEEK_FROM_S", 1000.0)
    np.testing.assert_allclose(sought.samples, read_sound(film, 34, 38).samples, atol=1e-4)
    assert np.flatnonzero(np.abs(sought.samples) > 0.15)[0] / 44100 == pytest.approx(1.5, abs=2e-3)


def test_a_film_without_a_sound_track_and_a_file_that_is_none(tmp_path):
    assert read_sound(film_with_tone(tmp_path / "a.mp4", 1), 0, 1) is None
    (tmp_path / "b.mp4").write_bytes(b"no film" * 1000)
    with pytest.raises(BadRecording, match=r"b\.mp4: expected a video, found"):
        read_sound(tmp_path / "b.mp4", 0, 1)


def test_a_damaged_track_ends_where_it_is_damaged(tmp_path):
    film = film_with_tone(tmp_path / "a.mkv", 4, FilmSound((0, 60)))
    content = film.read_bytes()
    film.write_bytes(content[: len(content) // 2])
    samples = read_sound(film, 0, 4).samples
    known = np.isfinite(samples)
    assert 0.3 < known.mean() < 0.7 and known[:44100].all() and not known[-44100:].any()


@pytest.mark.parametrize(
    ("form", "samples", "mean"),
    [
        ("s16", [[8192, -8192, 16384, 0]], [0.0, 0.25]),  # by hand: (8192 - 8192) / 2 / 32768, 16384 / 2 / 32768
        ("s16p", [[8192, 16384], [-8192, 0]], [0.0, 0.25]),
        ("u8", [[192, 64, 255, 129]], [0.0, 0.5]),
        ("s32", [[2**30, 2**30, 0, 2**29]], [0.5, 0.125]),
        ("fltp", [[0.5, 0.25], [0.25, -0.25]], [0.375, 0.0]),
        ("dbl", [[0.5, 0.25, 0.25, -0.25]], [0.375, 0.0]),
    ],
)
def test_channels_are_averaged_at_every_depth(form, samples, mean):
    kinds = {"s16": np.int16, "u8": np.uint8, "s32": np.int32, "flt": np.float32, "dbl": np.float64}
    x = np.array(samples, kinds[form.removesuffix("p")])
    frame = av.AudioFrame.from_ndarray(x, format=form, layout="stereo")
    np.testing.assert_allclose(_mono(Path("a.mkv"), frame), mean, atol=1e-7)


def later(source, target, seconds):
    """Write the film again, with later time stamps."""
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        streams = {stream.index: written.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.dts is not None:
                ticks = round(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = streams[packet.stream.index]
                written.mux(packet)


def test_second_0_of_a_broadcast_is_its_first_time_stamp_for_pictures_and_sound(tmp_path):
    film = film_with_tone(tmp_path / "a.ts", 4, FilmSound((2.5, 3.0), rate_hz=48000, codec="aac"))
    later(film, tmp_path / "b.ts", 60)
    info = probe(tmp_path / "b.ts")
    assert info.origin * info.tick == 60
    sound = read_sound(tmp_path / "b.ts", float(info.start), float(info.start) + 4, info)
    loud = np.flatnonzero(np.abs(np.nan_to_num(sound.samples)) > 0.15) / 48000
    assert loud[0] == pytest.approx(2.5, abs=0.003) and loud[-1] == pytest.approx(3.0, abs=0.003)

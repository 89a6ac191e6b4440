"""Frames come by number, exactly those asked for, and bad files are refused with what is wrong with them.

Each frame of the videos made here carries its own number as nine black or white blocks, which no compression hides.
"""

import gc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from gbvnet.errors import BadRecording
from gbvnet.io.frame_times import frame_at
from gbvnet.io.video import probe, read_frames

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
BITS, BLOCK = 9, 16


def numbered(number, height=64):
    """A picture (64, 144, 3) uint8 that shows a number below 512."""
    bits = [(number >> b & 1) * 255 for b in range(BITS)]
    return np.broadcast_to(np.repeat(bits, BLOCK)[None, :, None], (height, BITS * BLOCK, 3)).astype(np.uint8)


def number_of(rgb):
    middle = rgb[rgb.shape[0] // 2, BLOCK // 2 :: BLOCK, 1]  # one pixel in each block
    return sum(1 << b for b in range(BITS) if middle[b] > 127)


def write_video(
    path, n_frames, fps=50, b_frames=3, times_s=None, rotation=None, fine=False, flip="", gop=30, title=None
):
    """fine : time stamps in steps of 1 / 90,000 s, not of a frame        flip : of "h" and "v", after the rotation"""
    # faststart: an MP4 then says first where its frames are, and can be read although its end is cut off
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        if title is not None:
            container.metadata["title"] = title
        stream = container.add_stream("libx264", rate=fps, options={"bf": str(b_frames), "b-adapt": "0", "g": str(gop)})
        stream.codec_context.thread_count = 1
        stream.width, stream.height, stream.pix_fmt = BITS * BLOCK, 64, "yuv420p"
        if rotation is not None:
            stream.set_display_rotation(rotation, hflip="h" in flip, vflip="v" in flip)
        if fine:
            stream.codec_context.time_base = Fraction(1, 90_000)
        for number in range(n_frames):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame = frame.reformat(format="yuv420p")  # left to the encoder, the bytes were not always the same
            if times_s is not None:
                frame.time_base, frame.pts = Fraction(1, 90_000), round(times_s[number] * 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def avi(tmp_path_factory):
    """300 frames at 50 fps, H.264 with B-frames: DEAP's format."""
    return write_video(tmp_path_factory.mktemp("video") / "s01_trial01.avi", 300)


@pytest.mark.journey
def test_the_made_video_is_one_on_which_time_stamps_mislead(avi):
    with av.open(str(avi)) as container:
        frames = list(container.decode(video=0))
    assert av.video.frame.PictureType.B in {frame.pict_type for frame in frames}
    assert [number_of(f.to_ndarray(format="rgb24")) for f in frames] == list(range(300))
    stamps = [frame.pts for frame in frames]
    assert stamps != sorted(stamps)  # the day this fails, AVI stamps may be worth another look


@pytest.mark.journey
def test_frames_are_counted_without_decoding(avi):
    info = probe(avi)
    assert (info.n_frames, info.fps, info.width, info.height, info.seconds) == (300, 50, 144, 64, 6.0)


@pytest.mark.journey
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("indices", [range(300), range(0, 300, 5), [0], [299], [1, 2, 3, 177, 178, 298], []])
def test_exactly_the_requested_frames_are_read_in_order(avi, indices, threads):
    reader = read_frames(avi, indices, threads)
    read = [(index, number_of(rgb)) for index, rgb in reader]
    assert read == [(i, i) for i in indices]
    assert reader.warning is None


def test_reading_stops_after_the_last_requested_frame(avi):
    reader = read_frames(avi, [3, 40])
    assert len(list(reader)) == 2
    assert reader.n_decoded == 41


def test_a_reader_can_be_read_twice(avi):
    reader = read_frames(avi, [3, 40])
    assert [i for i, _ in reader] == [i for i, _ in reader] == [3, 40]


@pytest.mark.parametrize("width", [96, 100, 780])  # FFmpeg pads the rows of the last two
def test_frames_are_rgb_and_contiguous(tmp_path, width):
    path = tmp_path / "red.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, 64, "yuv420p"
        red = np.zeros((64, width, 3), np.uint8)
        red[..., 0] = 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
        container.mux(stream.encode(None))
    [(_, rgb)] = read_frames(path, [0])
    assert rgb.shape == (64, width, 3)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    np.testing.assert_allclose(rgb[32, 48], [255, 0, 0], atol=6)


def test_frames_that_were_read_do_not_stay_in_memory(avi, monkeypatch):
    """Not even where Python never looks for rings of objects, which a frame and its side data are."""
    monkeypatch.setattr("gbvnet.io.video.MAX_HELD_PIXELS", 10 * BITS * BLOCK * 64)
    gc.collect()
    gc.disable()
    try:
        most = 0
        for number, _ in read_frames(avi, range(200)):
            if number % 20 == 19:
                most = max(most, sum(type(each) is av.VideoFrame for each in gc.get_objects()))
    finally:
        gc.enable()
    assert most < 40


def test_asking_beyond_the_end_gives_what_there_is_and_a_warning(avi):
    reader = read_frames(avi, [298, 299, 310])
    assert [i for i, _ in reader] == [298, 299]
    assert reader.n_decoded == 300
    assert reader.warning == "the video ends at 6.00 s, before the last requested frame"


@pytest.mark.parametrize("indices", [[-1, 3], [3, 3], [5, 2]])
def test_indices_that_do_not_increase_are_refused(avi, indices):
    with pytest.raises(ValueError, match="must increase from 0"):
        read_frames(avi, indices)


# ---------------------------------------------------------------- which frame is on show


@pytest.mark.parametrize(
    ("t_s", "fps", "expected"),
    [
        (0, 50, 0),
        (0.0199, 50, 0),
        (0.02, 50, 1),
        (0.3, 50, 15),  # 0.3 in binary is a little less than 0.3
        (59.9, 50, 2995),
        (1.0, Fraction(24000, 1001), 23),  # 23.976
        (1001 / 24000, Fraction(24000, 1001), 1),
        (7 / 12, 12, 7),
        (3599 + 11 / 12, 24, 86398),
        (Fraction(1, 3), 30, 10),
        (-0.01, 50, -1),  # before the video
    ],
)
def test_the_frame_on_show_is_exact(t_s, fps, expected):
    assert frame_at(t_s, Fraction(fps)) == expected


@pytest.mark.journey
def test_tenths_and_twelfths_of_a_second_fall_on_their_own_frames_for_an_hour():
    assert [frame_at(k / 10, Fraction(50)) for k in range(0, 36_000, 7)] == list(range(0, 180_000, 35))
    assert [frame_at(k / 12, Fraction(60)) for k in range(0, 43_200, 7)] == list(range(0, 216_000, 35))


# ---------------------------------------------------------------- bad files


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.avi").touch()
    with pytest.raises(BadRecording, match=r"a.avi: expected a video, found an empty file \(0 bytes\)"):
        probe(tmp_path / "a.avi")


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(BadRecording, match=r"a.avi: expected a video, found No such file or directory"):
        probe(tmp_path / "a.avi")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(BadRecording, match="expected a video, found Is a directory"):
        probe(tmp_path)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ecg.txt", "0.1 0.2 0.3\n" * 5000),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfilm.ts\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile film.ts\n"),
    ],
)
def test_what_only_leads_to_a_video_or_can_be_drawn_as_one_is_refused(name, content, tmp_path):
    write_video(tmp_path / "film.ts", 30)
    (tmp_path / name).write_text(content)
    assert probe(tmp_path / "film.ts").n_frames == 30
    with av.open(str(tmp_path / name)) as container:  # FFmpeg by itself would play it
        assert container.streams.video
    with pytest.raises(BadRecording, match="expected a video, found content that FFmpeg cannot read"):
        probe(tmp_path / name)


def test_sound_without_pictures_is_refused(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 48_000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(BadRecording, match="expected a video stream, found audio"):
        probe(path)


def test_a_truncated_avi_is_refused_with_how_much_is_there(avi):
    whole = avi.read_bytes()
    path = avi.with_name("cut.avi")
    path.write_bytes(whole[: len(whole) // 2])  # its index was at the end
    with pytest.raises(BadRecording, match=r"the 300 frames of its header, found 1\d\d\. It is truncated"):
        probe(path)
    reader = read_frames(path, range(300))
    numbers = [number_of(rgb) for _, rgb in reader]
    assert numbers[:100] == list(range(100))
    assert len(numbers) < 200
    assert "the video ends at 2.60 s" in reader.warning


@pytest.mark.journey
def test_a_truncated_mp4_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", 100)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BadRecording, match=r"the 100 frames of its header, found \d\d\. It is truncated"):
        probe(path)


def test_an_avi_that_lacks_its_last_frames_is_used(avi):
    """Fewer than half a second's; tapes end so."""
    whole = avi.read_bytes()
    path = avi.with_name("nearly.avi")
    end = whole.index(b"idx1")
    path.write_bytes(whole[: end - 300])
    assert 276 <= probe(path).n_frames < 300


def test_damage_over_several_packets_costs_their_frames(avi):
    content = bytearray(avi.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xa5" * 3000
    path = avi.with_name("damaged.avi")
    path.write_bytes(content)
    reader = read_frames(path, range(300))
    read = [(index, number_of(rgb)) for index, rgb in reader]
    info = probe(path)
    # Packets of 1.6 s are gone with their heads: FFmpeg counts on as if they had never been.
    assert "78 of 300 frames are missing in 1 gap (2.58 to 4.16 s)" in info.notes[0]
    assert all(info.time_s(index) == number / 50 for index, number in read)
    assert len(read) > 200 and read[-1] == (221, 299)
    assert "damaged and left out: 2.54 to 2.56 s" in reader.warning


@pytest.mark.journey
def test_a_file_that_is_cut_off_gives_the_frames_before_the_cut(tmp_path):
    path = write_video(tmp_path / "a.mp4", 100)
    path.write_bytes(path.read_bytes()[:-2000])
    reader = read_frames(path, range(100))
    read = [(index, number_of(rgb)) for index, rgb in reader]
    assert len(read) > 20
    assert all(index == number for index, number in read)
    assert "the video ends at" in reader.warning


# ---------------------------------------------------------------- containers with a time of their own


@pytest.mark.journey
def test_a_rate_that_the_time_stamps_contradict_is_measured(tmp_path):
    """A telephone that says 30 and films 29.5: after ten minutes the face would be ten seconds off."""
    path = write_video(tmp_path / "phone.mp4", 295, fps=30, times_s=np.arange(295) / 29.5, fine=True)
    info = probe(path)
    assert float(info.fps) == pytest.approx(29.5, abs=0.01)
    assert info.uneven_s < 0.02


@pytest.mark.journey
def test_a_pause_in_the_recording_shows_as_unevenness(tmp_path):
    times = np.arange(100) / 25 + (np.arange(100) >= 50) * 2.0  # 2 s are missing after frame 49
    info = probe(write_video(tmp_path / "paused.mp4", 100, fps=25, times_s=times))
    assert (info.n_frames, info.fps, info.seconds) == (100, 25, 6.0)
    assert info.uneven_s == pytest.approx(2.0)


@pytest.mark.journey
def test_a_declared_rate_is_kept_exactly(tmp_path):
    info = probe(write_video(tmp_path / "film.mp4", 100, fps=Fraction(24000, 1001)))
    assert info.fps == Fraction(24000, 1001)
    assert info.uneven_s < 0.001


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_picture_stored_lying_down_is_put_upright(tmp_path, rotation):
    path = write_video(tmp_path / "phone.mp4", 2, b_frames=0, rotation=rotation)
    [(_, rgb)] = read_frames(path, [1])
    stored = np.rot90(rgb, -rotation // 90)  # the file asks for that many degrees counter-clockwise
    assert number_of(stored) == 1


# ---------------------------------------------------------------- damaged packets


def corrupt(path, packet, n=None):
    """Overwrite the content of one packet of a video with noise."""
    with av.open(str(path)) as container:
        at = [(p.pos, p.size) for p in container.demux(video=0) if p.size][packet]
    content = bytearray(path.read_bytes())
    size = n or at[1]
    content[at[0] : at[0] + size] = np.random.default_rng(0).integers(0, 256, size, np.uint8).tobytes()
    path.write_bytes(content)
    return path


def write_jpegs(path, n_frames):
    """Each picture a key frame, as cameras write them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = BITS * BLOCK, 64, "yuvj420p"
        for number in range(n_frames):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.journey
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("name", "sound_again"), [("a.avi", 80), ("a.mp4", 80), ("a.mkv", 112), ("a.ts", 80)])
def test_a_damaged_packet_costs_its_frames_and_the_others_keep_their_times(tmp_path, name, sound_again, threads):
    """A key frame every 30. In Matroska the head of the packet is corrupted, too, and FFmpeg finds the next at 112."""
    path = corrupt(write_video(tmp_path / name, 200, fps=25), 75, 100 if name == "a.ts" else None)
    info = probe(path)
    reader = read_frames(path, range(info.n_frames), threads, info)
    shown = {round(info.time_s(index) * 25): number_of(rgb) for index, rgb in reader}
    assert set(shown) >= {*range(70), *range(sound_again, 200)}
    assert all(shown[k] == k for k in shown if not 72 <= k < sound_again)
    assert len(shown) < 200
    assert reader.warning or info.notes or name == "a.ts"  # there one frame is missing, which is no news


@pytest.mark.journey
def test_a_damaged_picture_of_an_avi_of_pictures_costs_one_frame(tmp_path):
    reader = read_frames(corrupt(write_jpegs(tmp_path / "a.avi", 100), 60), range(100))
    read = [(index, number_of(rgb)) for index, rgb in reader]
    assert read == [(k, k) for k in range(100) if k != 60]
    assert reader.lost == [(60, 61)]
    assert reader.warning == "1 of 100 frames are damaged and left out: 2.40 to 2.44 s"


@pytest.mark.journey
def test_after_a_second_without_a_key_frame_pictures_are_taken_again(tmp_path):
    """One key frame in ten seconds: most of the film would be lost."""
    path = write_video(tmp_path / "a.mp4", 250, fps=25, gop=250)
    read = [index for index, _ in read_frames(corrupt(path, 75), range(250))]
    assert read[:70] == list(range(70)) and read[-140:] == list(range(110, 250))
    assert not {77, 85, 95} & set(read)


@pytest.mark.journey
@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mov"])
def test_damage_that_lasts_is_over_with_the_next_key_frame_after_its_end(tmp_path, name):
    """20 packets in a row. The decoder gives frames from before them after it has met them: a second from there is not
    enough, and what follows showed the last good picture in silence."""
    path = write_video(tmp_path / name, 200, fps=25, gop=50)
    for packet in range(60, 80):
        corrupt(path, packet)
    reader = read_frames(path, range(200))
    shown = {index: number_of(rgb) for index, rgb in reader}
    assert all(shown[k] == k for k in shown if not 56 <= k < 60)
    assert not set(range(62, 95)) & set(shown)
    assert set(shown) >= {*range(56), *range(100, 200)}
    assert "damaged and left out" in reader.warning


def test_the_last_picture_may_be_the_damaged_one(tmp_path):
    reader = read_frames(corrupt(write_jpegs(tmp_path / "a.avi", 10), 9), range(10))
    assert [index for index, _ in reader] == list(range(9))
    assert "1 of 10 frames are damaged and left out: 0.36 to 0.40 s" in reader.warning


# ---------------------------------------------------------------- which track, which way up, which shape


def of_unknown_codec(path):
    """A video whose codec has a name that nobody knows."""
    if path.suffix == ".avi":
        content, known, unknown = write_jpegs(path, 10).read_bytes(), b"MJPG", b"ZZZZ"
    else:
        content, known, unknown = write_video(path, 10).read_bytes(), b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/ZZZ"
        known, unknown = (known, unknown) if path.suffix == ".mkv" else (b"avc1", b"zzz1")
    assert known in content
    path.write_bytes(content.replace(known, unknown))
    return path


@pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.mp4"])
def test_a_video_that_nothing_decodes_is_refused_and_no_error_of_python(tmp_path, name):
    path = of_unknown_codec(tmp_path / name)
    for ask in (probe, lambda p: list(read_frames(p, range(3)))):
        with pytest.raises(BadRecording, match="a video that FFmpeg can decode, found a track of an unknown codec"):
            ask(path)


def test_of_two_tracks_the_one_is_taken_that_can_be_decoded(tmp_path):
    """A thermal camera's own codec, and a picture for everybody."""
    path = tmp_path / "two.mov"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(codec, rate=25) for codec in ("mpeg4", "libx264")]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = BITS * BLOCK, 64, "yuv420p"
        for k, stream in enumerate(streams):
            for number in range(10):
                frame = av.VideoFrame.from_ndarray(numbered(number + 100 * k), format="rgb24")
                container.mux(stream.encode(frame.reformat(format="yuv420p")))
            container.mux(stream.encode(None))
    content = path.read_bytes().replace(b"mp4v", b"zzzz").replace(b"esds", b"free")
    path.write_bytes(content)
    info = probe(path)
    assert "the file has 2 video tracks (a track of an unknown codec, 144 x 64): number 2 of them is used" in info.notes
    assert [number_of(rgb) for _, rgb in read_frames(path, range(10))] == list(range(100, 110))


def write_tracks(path, sizes, default=0, n_frames=(10, 10)):
    """An MP4 or MKV of two tracks of H.264: the first white, the second black."""
    with av.open(str(path), "w") as container:
        streams = []
        for width, height in sizes:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append(stream)
        for k, stream in enumerate(streams):
            stream.disposition = int(k == default)
        for k, (stream, n) in enumerate(zip(streams, n_frames, strict=True)):
            for _ in range(n):
                picture = np.full((stream.height, stream.width, 3), 255 * (k == 0), np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("default", "bright", "taken"), [(0, True, 1), (1, False, 2)])
def test_of_two_tracks_the_default_one_is_taken_and_reported(tmp_path, default, bright, taken):
    path = write_tracks(tmp_path / "a.mkv", [(64, 48), (128, 96)], default)
    [(_, rgb)] = read_frames(path, [5])
    assert (rgb.mean() > 128) == bright
    assert probe(path).notes == (f"the file has 2 video tracks (64 x 48, 128 x 96): number {taken} of them is used",)


def test_of_two_tracks_that_are_alike_the_larger_is_taken(tmp_path):
    path = write_tracks(tmp_path / "a.mkv", [(64, 48), (128, 96)], default=2)
    assert probe(path).width == 128


def picture_of(kind):
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.full((600, 600, 3), 90, np.uint8)).save(file, kind)
    return file.getvalue()


def test_a_cover_is_not_taken_for_the_film(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        container.add_attachment("cover.jpg", "image/jpeg", picture_of("jpeg"))
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = BITS * BLOCK, 64, "yuv420p"
        for number in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2  # FFmpeg shows the cover as a track
    info = probe(path)
    assert (info.n_frames, info.width, info.notes) == (20, 144, ())
    assert [number_of(rgb) for _, rgb in read_frames(path, [7])] == [7]


def test_a_picture_that_is_not_marked_as_a_cover_is_none_the_less(tmp_path):
    """Of the same file a film of one picture is taken, if there is no other."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        cover, stream = container.add_stream("mjpeg", rate=25), container.add_stream("libx264", rate=25)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        stream.width, stream.height, stream.pix_fmt = BITS * BLOCK, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((480, 640, 3), 90, np.uint8), format="rgb24")
        container.mux(cover.encode(frame.reformat(format="yuvj420p")))
        container.mux(cover.encode(None))
        for number in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
        container.mux(stream.encode(None))
    assert (probe(path).n_frames, probe(path).notes) == (20, ())
    assert probe(write_jpegs(tmp_path / "one.avi", 1)).n_frames == 1


def test_sound_with_a_cover_is_no_video(tmp_path):
    path = tmp_path / "song.mkv"
    with av.open(str(path), "w") as container:
        container.add_attachment("cover.png", "image/png", picture_of("png"))
        sound = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with pytest.raises(BadRecording, match="expected a video stream, found a cover picture and audio"):
        probe(path)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", ["", "h", "v", "hv"])
def test_all_eight_ways_up_are_those_that_players_show(tmp_path, rotation, flip):
    """The rotation is counter-clockwise, and then what it gave is mirrored."""
    path = write_video(tmp_path / "a.mov", 3, b_frames=0, rotation=rotation, flip=flip)
    [(_, rgb)] = read_frames(path, [2])
    expected = np.rot90(numbered(2), rotation // 90)
    expected = expected[:, ::-1] if "h" in flip else expected
    expected = expected[::-1] if "v" in flip else expected
    assert rgb.shape == expected.shape and rgb.flags.c_contiguous
    assert np.abs(rgb.astype(int) - expected).mean() < 8


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [(Fraction(16, 15), (64, 154)), (Fraction(1, 2), (128, 144)), (Fraction(1), (64, 144)), (Fraction(5), (64, 144))],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_pixels_come_square(tmp_path, aspect, shape, name):
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = BITS * BLOCK, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(5), format="rgb24")))
        container.mux(stream.encode(None))
    info = probe(path)
    [(_, rgb)] = read_frames(path, [0])
    assert rgb.shape == (*shape, 3)
    assert (info.width, info.height) == (144, 64)  # as stored
    assert info.notes == (() if aspect < 4 else ("pixels of 5 to 1 are impossible; square pixels are assumed",))


@pytest.mark.parametrize("name", ["a:b.mp4", "http:x.mp4", "%03d.mp4", "-i.mp4", "a b.mp4", "Jürgen.mp4", "a?b#c.mp4"])
def test_names_of_files_are_no_addresses(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "plain.mp4", 3).rename(tmp_path / name)
    assert probe(name).n_frames == probe(tmp_path / name).n_frames == 3
    assert len(list(read_frames(name, range(3)))) == 3


def test_a_title_that_is_not_utf_8_costs_no_film(tmp_path):
    file = write_video(tmp_path / "a.avi", 3, title="Geraet")
    file.write_bytes(file.read_bytes().replace(b"Geraet", "Gerät1".encode("latin-1")))
    assert probe(file).n_frames == 3


def test_a_stream_without_a_container_is_refused_with_what_to_do(tmp_path):
    path = write_video(tmp_path / "a.h264", 10)
    with pytest.raises(BadRecording, match=r"A bare stream has no times: ffmpeg -framerate RATE -i a\.h264 -c copy"):
        probe(path)


# ---------------------------------------------------------------- real files


@pytest.mark.parametrize(
    ("name", "n_frames", "fps"),
    [
        ("deap_like_720x576_50fps.avi", 1500, Fraction(50)),
        ("face_expressions.mp4", 472, Fraction(24000, 1001)),
        ("head_turning.mp4", 23, Fraction(12)),
        ("no_face.mp4", 95, Fraction(24)),  # 98 are stored, and an edit list cuts 3 away
    ],
)
def test_real_files_hold_what_is_known_of_them(name, n_frames, fps):
    if not (SAMPLES / name).exists():
        pytest.skip(f"{SAMPLES / name} is not here")
    info = probe(SAMPLES / name)
    assert (info.n_frames, info.fps) == (n_frames, fps)

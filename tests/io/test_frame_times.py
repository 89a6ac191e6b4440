"""A frame is shown from its time stamp on, in every container; AVI frames are counted. Expected values are worked by
hand from the times that the films are written with; each frame shows its own number, as in test_video."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from gbvnet.datasets import open_corpus
from gbvnet.datasets.mahnob_session import Session, on_camera_clock
from gbvnet.datasets.recording import Recording
from gbvnet.datasets.single_recording import open_recording
from gbvnet.datasets.trial_files import covered
from gbvnet.errors import BadRecording
from gbvnet.inference.streaming import sources as stream_sources
from gbvnet.inference.streaming.sources import VideoFile
from gbvnet.io.frame_times import PacketTimes, VideoInfo, info_by_counting, info_by_time_stamps
from gbvnet.io.video import probe, read_frames

from .test_video import number_of, numbered

SLOWING = [k / 25 for k in range(25)] + [1 + k / 10 for k in range(10)]  # 25 frames a second, then 10
MS, FINE = Fraction(1, 1000), Fraction(1, 90_000)


def write_film(path, times, codec="libx264", tick=FINE, options=None, sound_s=0.0, rate=25, packed=None, aspect=None):
    """Frame k shows k, from times[k] on.

    sound_s : seconds of silence from 0 on        packed : container options
    """
    with av.open(str(path), "w", options=packed or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {"g": "12"})
        stream.codec_context.thread_count = 1
        stream.width, stream.height, stream.pix_fmt = 144, 64, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = tick
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if sound_s:
            sound = container.add_stream("mp2" if path.suffix == ".ts" else "aac", rate=48_000, layout="mono")
            size = 1152 if path.suffix == ".ts" else 1024
            for at in range(0, int(sound_s * 48_000), size):
                frame = av.AudioFrame(format="s16" if path.suffix == ".ts" else "fltp", layout="mono", samples=size)
                frame.planes[0].update(bytes(frame.planes[0].buffer_size))
                frame.sample_rate, frame.pts = 48_000, at
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
        for k, time_s in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered(k), format="rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = round(time_s / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shown(path, times_s):
    """The number that the picture on show at each time shows; None where there is none."""
    info = probe(path)
    numbers, _ = info.frames_at(np.asarray(times_s))
    there = np.unique([n for n in numbers if 0 <= n < info.n_frames])
    pictures = {index: number_of(rgb) for index, rgb in read_frames(path, there, info=info)}
    return [pictures.get(n) for n in numbers.tolist()]


def by_hand(times, at):
    """The last frame that begins at or before each time."""
    return [max(k for k, time_s in enumerate(times) if time_s <= t + 1e-9) for t in at]


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "codec", "tick"),
    [
        ("a.mp4", "libx264", FINE),
        ("a.mov", "libx264", FINE),
        ("a.3gp", "libx264", FINE),
        ("a.mkv", "libx264", FINE),  # rounded to milliseconds by the container
        ("a.webm", "libvpx-vp9", MS),
        ("a.ts", "libx264", FINE),
        ("a.flv", "flv1", MS),
        ("a.wmv", "wmv2", MS),
    ],
)
def test_a_rate_that_changes_is_followed_in_every_container(tmp_path, name, codec, tick):
    path = write_film(tmp_path / name, SLOWING, codec, tick)
    at = np.arange(0, 1.99, 0.03)
    assert shown(path, at) == by_hand(SLOWING, at)
    [note] = probe(path).notes
    assert "the frame rate varies from 10 to 25 frames per second, up to" in note


@pytest.mark.journey
def test_the_times_of_windows_fall_on_rounded_stamps(tmp_path):
    """24 frames a second in milliseconds: 5 / 12 s is frame 10, whose stamp says 0.417 s."""
    path = write_film(tmp_path / "a.mkv", [k / 24 + 0.2 * (k > 30) for k in range(40)], rate=24)
    assert not probe(path).even
    assert shown(path, [5 / 12, 7 / 12, 1 / 24]) == [10, 14, 1]


@pytest.mark.journey
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_gap_is_reported_and_its_frames_stand_for_a_second_at_most(tmp_path, name):
    times = [k / 25 for k in range(50)] + [5 + k / 25 for k in range(50)]
    path = write_film(tmp_path / name, times)
    assert shown(path, [1.9, 2.5, 2.95, 3.0, 4.9, 5.0, 5.5]) == [47, 49, 49, None, None, 50, 62]
    [note] = probe(path).notes
    assert note.startswith("75 of 175 frames are missing in 1 gap (1.96 to 5.00 s)")
    assert probe(path).seconds == pytest.approx(7.0, abs=0.001)


@pytest.mark.journey
def test_lost_frames_are_missed_at_their_places_and_not_at_the_end(tmp_path):
    times = [k / 25 for k in range(100) if k not in (20, 60, 61)]
    path = write_film(tmp_path / "a.mp4", times)
    assert shown(path, [0.76, 0.8, 0.84, 2.4, 2.44, 2.48, 3.96]) == [19, 19, 20, 58, 58, 59, 96]
    assert "3 of 100 frames are missing in 2 gaps (0.76 to 0.84 s, 2.36 to 2.48 s)" in probe(path).notes[0]


@pytest.mark.journey
def test_one_lost_frame_is_no_news(tmp_path):
    assert probe(write_film(tmp_path / "a.mp4", [k / 25 for k in range(100) if k != 20])).notes == ()


# ---------------------------------------------------------------- where second 0 is


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "sound_s", "starts"),
    [
        ("a.mp4", 3, 1.0),
        ("a.mp4", 0, 1.0),  # an empty edit
        ("a.mov", 3, 1.0),
        ("a.mkv", 3, 1.0),
        ("a.mkv", 0, 1.0),
        ("a.webm", 0, 1.0),
        ("a.ts", 3, 1.0),
        ("a.ts", 0, 0.0),  # the stamps of a transport stream begin anywhere: players begin with the first
    ],
)
def test_a_picture_that_begins_late_is_shown_late(tmp_path, name, sound_s, starts):
    codec, tick = ("libvpx-vp9", MS) if name.endswith("webm") else ("libx264", FINE)
    path = write_film(tmp_path / name, [1 + k / 25 for k in range(50)], codec, tick, sound_s=sound_s)
    info = probe(path)
    slack = 0.03  # sound comes in pieces of 24 ms
    assert info.time_s(0) == pytest.approx(starts, abs=slack)
    assert shown(path, [starts + 0.5 + slack])[0] in (12, 13)
    begun = [n for n in info.notes if n.startswith("the picture begins at 1.0")]
    assert bool(begun) == (starts > 0)
    if starts:
        assert shown(path, [0.2]) == [None]


@pytest.mark.journey
def test_a_transport_stream_that_begins_at_ten_seconds_begins_with_its_first_picture(tmp_path):
    path = write_film(tmp_path / "a.ts", [10 + k / 25 for k in range(50)])
    assert shown(path, [0.0, 1.0]) == [0, 25]
    assert probe(path).seconds == 2.0


@pytest.mark.journey
def test_a_piece_of_a_live_stream_begins_with_its_first_picture_and_says_so(tmp_path):
    path = write_film(tmp_path / "a.mkv", [7200 + k / 25 for k in range(50)])
    assert shown(path, [0.0, 1.0]) == [0, 25]
    assert probe(path).notes == ("its time stamps begin at 7,200.00 s: second 0 is there",)


@pytest.mark.journey
def test_time_stamps_that_wrap_around_go_on(tmp_path):
    """A transport stream counts to 2 ** 33, 26.5 hours, and begins anew."""
    begin = 2**33 / 90_000 - 1.0
    path = write_film(tmp_path / "a.ts", [begin + k / 25 for k in range(50)])
    assert shown(path, [0.0, 0.96, 1.2, 1.96]) == [0, 24, 30, 49]


@pytest.mark.journey
@pytest.mark.parametrize(("lead", "gop"), [(10, 12), (50, 12), (50, 250)])
def test_what_an_edit_list_hides_is_not_counted(tmp_path, lead, gop):
    path = write_film(tmp_path / "a.mp4", [k / 25 for k in range(-lead, 50)], options={"g": str(gop)})
    assert shown(path, [0.0, 1.0, 1.96]) == [lead, lead + 25, lead + 49]
    assert probe(path).seconds == 2.0


@pytest.mark.journey
def test_a_fragmented_file_with_a_gap(tmp_path):
    times = [k / 25 for k in range(50)] + [3 + k / 25 for k in range(50)]
    flags = {"movflags": "frag_keyframe+empty_moov"}
    path = write_film(tmp_path / "a.mp4", times, packed=flags, options={"g": "12", "bf": "0"})
    assert shown(path, [1.0, 2.5, 2.98, 3.0]) == [25, 49, None, 50]


@pytest.mark.journey
@pytest.mark.parametrize(("name", "flags"), [("a.mp4", {"movflags": "frag_keyframe+empty_moov"}), ("a.flv", {})])
def test_room_for_b_frames_is_no_late_start(tmp_path, name, flags):
    """Without an edit list no stamp may be negative: all begin 0.08 s later."""
    path = write_film(tmp_path / name, [k / 25 for k in range(50)], tick=MS, packed=flags)
    with av.open(str(path)) as container:
        assert container.start_time == 80_000
    assert shown(path, [0.0, 1.0, 1.99]) == [0, 25, 49]
    assert probe(path).notes == ()


@pytest.mark.parametrize("fps", [1, Fraction(1, 2)])
def test_a_slow_film_stands_for_a_second_at_most(tmp_path, fps):
    path = write_film(tmp_path / "a.mp4", [k / fps for k in range(5)], rate=fps)
    assert shown(path, [0.5, 1.5, 2.5]) == ([0, 1, 2] if fps == 1 else [0, None, 1])
    slow = ("0.5 frames per second: each is used for at most 1 s",)
    assert probe(path).notes == (() if fps == 1 else slow)


def test_two_frames_are_a_film(tmp_path):
    path = write_film(tmp_path / "a.mp4", [0, 0.04])
    assert shown(path, [0.0, 0.05]) == [0, 1]


# ---------------------------------------------------------------- AVI


@pytest.mark.journey
def test_dropped_frames_of_an_avi_keep_their_places(tmp_path):
    times = [k / 25 for k in range(50)] + [2.8 + k / 25 for k in range(30)]
    path = write_film(tmp_path / "a.avi", times, "mjpeg", Fraction(1, 25))
    info = probe(path)
    assert (info.n_frames, info.seconds) == (80, 4.0)
    assert shown(path, [1.96, 2.5, 2.8, 3.96]) == [49, 49, 50, 79]
    assert "20 of 100 frames are missing in 1 gap (1.96 to 2.80 s)" in info.notes[0]


def test_counted_frames_know_no_stamps():
    stamps = PacketTimes()
    for k in (1, 3, 2, 4):  # scrambled
        stamps.add(k, None, True)
    assert info_by_counting((4, 4), stamps, Fraction(25)) == VideoInfo(4, 4, Fraction(25), 4)


# ---------------------------------------------------------------- stamps that cannot be


def info_of(pts, dts=None):
    stamps = PacketTimes()
    for p, d in zip(pts, dts or pts, strict=True):
        stamps.add(p, d, True)
    return info_by_time_stamps((4, 4), stamps, MS, Fraction(25), 0)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([100] * 300 + [125] * 240, "varies from 8 to 10 frames per second, up to 3.33 s off"),
        ([100] * 300 + [110] * 200, "varies from 9.09 to 10 frames per second"),
        ([125] * 240 + [100] * 300, "varies from 8 to 10 frames per second"),
        ([100] * 300 + [500] + [100] * 50, "4 of 356 frames are missing in 1 gap (30.00 to 30.50 s)"),
    ],
)
def test_a_rate_that_changes_by_little_is_no_gap(steps, message):
    """A telephone in the dark goes from 30 frames a second to 24 or 25."""
    [note] = info_of([0, *np.cumsum(steps).tolist()]).notes
    assert message in note and " 0 of" not in f" {note}"


def test_a_gap_in_a_film_whose_rate_changes_hides_neither():
    gap, rate = info_of([0, *np.cumsum([100] * 300 + [120] * 200 + [2000]).tolist()]).notes
    assert "missing in 1 gap (54.00 to 56.00 s)" in gap and "the frame rate varies from 8.33 to 10 frames" in rate


@pytest.mark.parametrize(
    ("pts", "message"),
    [
        ([None] * 50, "50 of 50 frames have no time stamp"),
        ([0] * 50, "49 of 50 frames have the time stamp of another"),
        ([*range(0, 1000, 40), *range(0, 1000, 40)], "frames have the time stamp of another"),
        ([*range(5000, 6000, 40), *range(0, 1000, 40)], "the time stamps go back by 5.96 s after 25 frames"),
        ([*range(0, 1000, 40), *range(10**8, 10**8 + 1000, 40)], "the time stamps of two frames are 99,999 s apart"),
    ],
)
def test_stamps_that_cannot_be_are_not_used_and_it_is_reported(pts, message):
    info = info_of(pts)
    assert (info.n_frames, info.seconds, info.even) == (50, 2.0, True)
    assert message in info.notes[0] and "counted, at 25 frames per second" in info.notes[0]


@pytest.mark.journey
def test_two_pieces_of_one_transport_stream_one_after_the_other_are_counted(tmp_path):
    one = write_film(tmp_path / "a.ts", [10 + k / 25 for k in range(50)]).read_bytes()
    two = write_film(tmp_path / "b.ts", [5 + k / 25 for k in range(50)]).read_bytes()
    (tmp_path / "c.ts").write_bytes(one + two)
    info = probe(tmp_path / "c.ts")
    assert "the time stamps go back by" in info.notes[0]
    assert shown(tmp_path / "c.ts", [1.0, 2.0, 3.0]) == [25, 0, 25]


def test_single_frames_with_the_stamp_of_another_do_not_matter():
    info = info_of(sorted([*range(0, 2000, 40), 1000]))
    assert info.n_frames == 50 and info.even and not info.notes


# ---------------------------------------------------------------- what is reported of a stimulus


@pytest.mark.parametrize(
    ("start_s", "seconds", "warnings"),
    [
        (2, 3, ["the video begins 1.0 s after the stimulus"]),
        (4, 3, []),
        (4, 8, ["the video ends 2.0 s before the stimulus"]),
    ],
)
def test_a_table_reports_what_of_the_stimulus_is_not_shown(start_s, seconds, warnings):
    info = VideoInfo(4, 4, Fraction(25), 175, start=Fraction(3))
    recording = Recording("a", "t", "a", "1", "x", seconds, video="a.mkv", video_start_s=start_s)
    assert list(covered(recording, info)) == warnings


@pytest.mark.parametrize(("start_s", "seconds"), [(0, 3), (10, 3), (-1, 3)])
def test_a_stimulus_outside_of_the_video_is_refused(start_s, seconds):
    info = VideoInfo(4, 4, Fraction(25), 175, start=Fraction(3))
    recording = Recording("a", "t", "a", "1", "x", seconds, video="a.mkv", video_start_s=start_s)
    with pytest.raises(BadRecording, match=r"found one from 3\.0 to 10\.0 s\. Is video_offset_s right"):
        list(covered(recording, info))


# ---------------------------------------------------------------- every reader reports it


GAP = [k / 25 for k in range(50)] + [5 + k / 25 for k in range(50)]
GAP_NOTE = "75 of 175 frames are missing in 1 gap (1.96 to 5.00 s)"


@pytest.mark.journey
def test_a_table_and_a_single_recording_report_a_gap(tmp_path):
    video = write_film(tmp_path / "a.mp4", GAP)
    (tmp_path / "recordings.csv").write_text("subject,trial,video,start_s,stop_s,valence\nanna,1,a.mp4,0,7,7\n")
    table = open_corpus("table", tmp_path)
    alone = open_recording([video], (), 128.0, 3.0)
    for corpus in (table, alone):
        [recording] = corpus.recordings(corpus.units[0])
        inspected = corpus.inspect(recording)
        assert any(GAP_NOTE in warning for warning in inspected.warnings)
        assert inspected.video_info.seconds == 7.0
    assert inspected.seconds == 7.0


@pytest.mark.journey
def test_deap_tells_of_dropped_frames_and_keeps_its_pixels(deap):
    """Its stores stay what they were, whatever shape of pixels its files state."""
    folder = deap / "face_video/s01"
    folder.mkdir(parents=True)
    write_film(folder / "s01_trial02.avi", GAP, "mjpeg", Fraction(1, 25), aspect=Fraction(16, 15))
    assert probe(folder / "s01_trial02.avi").pixel_aspect == Fraction(16, 15)
    corpus = open_corpus("deap", deap)
    [filmed] = [r for r in corpus.recordings("s01") if r.video]
    inspected = corpus.inspect(filmed)
    assert any(GAP_NOTE in warning for warning in inspected.warnings)
    assert inspected.video_info.pixel_aspect == 1


def test_mahnobs_rate_is_its_sessions_and_its_pixels_are_as_released(tmp_path):
    info = VideoInfo(780, 580, Fraction(60), 600, pixel_aspect=Fraction(16, 15))
    session = Session(2, tmp_path, "p01", "stimulus", {"vidRate": "61"}, {})
    corrected, _ = on_camera_clock(info, session)
    assert (corrected.pixel_aspect, corrected.fps) == (1, 61)
    assert corrected.time_s(61) == 1.0


@pytest.mark.journey
def test_a_film_that_is_played_keeps_its_times(tmp_path):
    film = VideoFile(write_film(tmp_path / "a.mkv", GAP))
    events = list(film)
    assert [e.time_s for e in events[:-1]] == pytest.approx(GAP, abs=0.001)
    assert [number_of(e.frame) for e in events[:-1]] == list(range(100))
    assert (events[-1].ended, events[-1].time_s) == ("video", 7.0)
    assert GAP_NOTE in film.notes[0]


def test_what_a_film_has_before_its_second_0_is_not_played(tmp_path, monkeypatch):
    path = write_film(tmp_path / "a.mp4", [k / 25 for k in range(10)])
    monkeypatch.setattr(stream_sources, "probe", lambda path: replace(probe(path), start=Fraction(-2, 25)))
    assert [number_of(e.frame) for e in list(VideoFile(path))[:-1]] == list(range(2, 10))

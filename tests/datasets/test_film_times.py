"""Times of frames from a file beside a film: each frame shows its number, and is on show at the time of its line."""

from fractions import Fraction

import numpy as np
import pytest

from gbvnet.config import PrepareConfig, Times
from gbvnet.datasets import open_corpus
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.film_times import read_film_times, times_file_of, with_film_times
from gbvnet.datasets.single_recording import open_recording
from gbvnet.datasets.table_template import write_template
from gbvnet.errors import BadConfig, BadRecording
from gbvnet.inference.streaming.sources import VideoFile
from gbvnet.io.frame_times import VideoInfo, info_with_times
from gbvnet.io.video import count_frames, probe, read_frames
from gbvnet.preprocessing import face_windows
from gbvnet.preprocessing.face_windows import FaceSettings, FaceWindows
from gbvnet.store.prepare import prepare_store

from ..io.test_frame_times import write_film
from ..io.test_video import number_of, write_video
from ..stream_fixtures import fake_landmarker
from ..timed_signals import write_edf

EVEN = [k / 30 for k in range(300)]  # what the film itself says
CAMERA = 100 + np.arange(330) / 30  # true times: 11 s at 30 frames a second
LOST = np.r_[0:120, 150:330]  # what is left without the second from 104 to 105 s


def lines(path, times, frames=None, head=""):
    rows = [f"{t:.6f}" if frames is None else f"{f},{t:.6f}" for t, f in
            zip(times, frames if frames is not None else times, strict=True)]  # fmt: skip
    path.write_text("\n".join([*filter(None, [head]), *rows]) + "\n")
    return path


def shown(path, info, at):
    """The number on the picture at each time; None where there is none."""
    numbers, _ = info.frames_at(np.asarray(at))
    pictures = dict(read_frames(path, np.unique([n for n in numbers if 0 <= n < info.n_frames]), info=info))
    return [number_of(pictures[n]) if n in pictures else None for n in numbers.tolist()]


# ---------------------------------------------------------------- the join


@pytest.mark.journey
@pytest.mark.parametrize("name", ["film.mp4", "film.avi", "film.mkv"])
def test_a_camera_that_lost_a_second_is_written_at_an_even_rate_and_placed_by_its_lines(tmp_path, name):
    """300 frames of 11 s, a line for each: by the film's own clock all after 4 s is a second early."""
    path = tmp_path / name
    write_video(path, 300, fps=30) if name.endswith("avi") else write_film(path, EVEN, rate=30)
    true = CAMERA[LOST]
    info = with_film_times(path, probe(path), lines(tmp_path / "film.times.csv", true))
    at = [100, 103.99, 104.5, 104.96, 105.0, 105.51, 110.95]
    assert shown(path, info, at) == [0, 119, 119, 119, 120, 135, 298]
    every = np.concatenate([true + 0.001, true + 0.03])
    assert shown(path, info, every) == [*range(300), *range(300)]
    assert (info.time_s(120), info.seconds) == (pytest.approx(105), pytest.approx(111, abs=1e-4))
    assert info.fps == pytest.approx(Fraction(30), abs=0.01)
    first, gap = info.notes
    assert first == f"the 300 frames of {name} have the times of film.times.csv"
    assert gap.startswith("30 of 330 frames are missing in 1 gap (103.97 to 105.00 s)")


@pytest.mark.journey
def test_lines_that_are_missing_of_frames_that_the_film_has_are_filled_in_by_their_numbers(tmp_path):
    """330 frames and 300 lines, with frame numbers from 1 on: the program that stamps lost a second, not the camera."""
    path = write_film(tmp_path / "film.mp4", [k / 30 for k in range(330)], rate=30)
    file = lines(tmp_path / "film.times.csv", CAMERA[LOST], LOST + 1, "frame,time")
    info = with_film_times(path, probe(path), file)
    assert np.abs(info.times_s - CAMERA).max() < 1e-5
    assert shown(path, info, CAMERA + 0.001) == [*range(330)]
    assert info.notes == (
        "the 330 frames of film.mp4 have the times of film.times.csv, 30 of them placed between those of its lines",
    )


@pytest.mark.journey
def test_frames_that_are_missing_in_the_film_are_not_filled_in(tmp_path):
    """300 frames and 300 lines whose numbers leave 30 out: row i is frame i, not number i."""
    path = write_film(tmp_path / "film.mp4", EVEN, rate=30)
    info = with_film_times(path, probe(path), lines(tmp_path / "film.times.csv", CAMERA[LOST], LOST, "frame,time"))
    assert shown(path, info, [105.001, 110.9]) == [120, 297]


@pytest.mark.journey
@pytest.mark.parametrize(
    ("times", "frames", "counts"),
    [
        (CAMERA[:299], None, "299 lines, 300 frames by its header, 300 frames decoded"),
        (CAMERA[:301], None, "301 lines, 300 frames by its header, 300 frames decoded"),
        (CAMERA[LOST][:-1], LOST[:-1], "299 lines (frames 0 to 328), 300 frames by its header, 300 frames decoded"),
    ],
)
def test_lines_and_frames_that_do_not_match_are_refused_with_all_counts(tmp_path, times, frames, counts):
    path = write_film(tmp_path / "film.mp4", EVEN, rate=30)
    file = lines(tmp_path / "film.times.csv", times, frames)
    with pytest.raises(BadRecording, match=r"a line for each frame of film\.mp4, found") as caught:
        with_film_times(path, probe(path), file)
    assert counts in str(caught.value) and str(file) in str(caught.value)


@pytest.mark.journey
def test_frames_are_counted_by_decoding_where_the_container_counts_otherwise(tmp_path):
    """A container that promises ten frames more than can be decoded, and lines for those that can."""
    path = write_film(tmp_path / "film.mp4", EVEN, rate=30, options={"g": "300", "bf": "0"})
    info = probe(path)
    assert count_frames(path, info) == (300, [*range(300)])
    more = VideoInfo(
        144, 64, info.fps, 310, stamps=np.r_[info.stamps, info.stamps[-1] + 3000 * np.arange(1, 11)],
        origin=info.origin, tick=info.tick,
    )  # fmt: skip
    timed = with_film_times(path, more, lines(tmp_path / "a.csv", CAMERA[:300]))
    assert shown(path, timed, CAMERA[:300] + 0.001) == [*range(300)]
    with pytest.raises(BadRecording, match="305 lines, 300 frames by its header, 300 frames decoded"):
        with_film_times(path, more, lines(tmp_path / "a.csv", CAMERA[:305]))
    with pytest.raises(ValueError, match="5 times for 300 frames"):
        info_with_times(info, CAMERA[:5])


# ---------------------------------------------------------------- the file


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("0.5\n0.6\n", [0.5, 0.6]),
        ("time\n0.5\n0.6\n", [0.5, 0.6]),
        ("# by my camera\ntime_s\n0.5\n\n0.6\n", [0.5, 0.6]),
        ("time_ms\n500\n600\n", [0.5, 0.6]),
        ("\ufefftime;x\n0,5;1\n0,6;2\n", [0.5, 0.6]),
        ("frame\ttime\n7\t0,5\n8\t0,6\n", [0.5, 0.6]),
        ("FrameNum,Timestamp\n7,0.5\n8,0.6\n", [0.5, 0.6]),
        ("0,0.5\n1,0.6\n", [0.5, 0.6]),
        ("1700000000000\n1700000000100\n", [1.7e9, 1.7e9 + 0.1]),
        ("5\n", [5]),
        ("0.5\n0.5\n", [0.5, 0.5]),
    ],
)
def test_lines_are_read_with_and_without_names(tmp_path, text, times):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert read_film_times(tmp_path / "a.csv").times_s == pytest.approx(times, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no line"),
        ("time\n", "no line below the names"),
        ("0.5\nx\n", "expected a number in each line, found 'x' in line 2"),
        ("time\n0.5\n\nnan\n", "a number in each line, found 'nan' in line 4"),
        ("0.6\n0.5\n", "times that do not decrease, found 0.5 s in line 2 after 0.6 s"),
        ("0\n33\n67\n", "found 33.5 s from frame to frame. Are they milliseconds. Then name the column time_ms"),
        ("a,b\n1,2\n", "expected a column time, in seconds, found none among a, b"),
        ("1,2,3\n", "a first line that names the columns, found 3 numbers"),
        ("frame,time\n1,0.5\n1,0.6\n", "frame numbers that increase, found 1 in line 3"),
        ("frame,time\n1.5,0.5\n", "frame numbers that increase, found 1.5 in line 2"),
        ("frame,time\n1\n", "a number in each line, found '' in line 2"),
        ("\0\1\2" * 50, "bytes that are no text"),
    ],
)
def test_a_file_that_is_no_such_list_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadRecording, match=message):
        read_film_times(tmp_path / "a.csv")


# ---------------------------------------------------------------- through the readers


def table(folder, row=None, **columns):
    row = {"subject": "anna", "trial": "1", "video": "film.mp4", "start_s": 101, "stop_s": 110} | columns | (row or {})
    (folder / "recordings.csv").write_text(",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n")
    return open_corpus("table", folder)


def only(corpus):
    (unit,) = check_corpus(corpus)
    return unit.recordings[0]


@pytest.fixture
def filmed(tmp_path):
    """film.mp4, of whose camera a second is lost, with its times; eeg.edf of 120 s."""
    write_film(tmp_path / "film.mp4", EVEN, rate=30)
    lines(tmp_path / "film.times.csv", CAMERA[LOST])
    rng = np.random.default_rng(0)
    write_edf(tmp_path / "eeg.edf", {"Fp1": (128, rng.normal(0, 20, 128 * 120), "uV")})
    return tmp_path


def windows_of(recording, starts):
    """The number of the frame at each tenth of a second of windows, found by the made face finder; None without."""
    made = FaceWindows(
        recording.video, starts, FaceSettings(1.0, 10, 32), video_start_s=recording.video_start_s,
        info=recording.video_info,
    )  # fmt: skip
    return made.frames[made.place], made


@pytest.mark.journey
def test_a_table_and_predict_take_the_file_beside_the_film(filmed, monkeypatch):
    monkeypatch.setattr(face_windows, "open_landmarker", fake_landmarker)
    recording = only(table(filmed, signals="eeg.edf"))
    assert recording.error is None and recording.video_times == filmed / "film.times.csv"
    assert "the 300 frames of film.mp4 have the times of film.times.csv" in recording.warnings
    alone = open_recording([filmed / "film.mp4", filmed / "eeg.edf"], (), 128.0, 3.0)
    assert alone.recording.video_times == filmed / "film.times.csv"
    given = (filmed / "film.times.csv").rename(filmed / "other.times.csv")
    assert times_file_of(filmed / "film.mp4") is None
    stated = only(table(filmed, signals="eeg.edf", video_times="other.times.csv"))
    alone = open_recording([filmed / "film.mp4", given], (), 128.0, 3.0, Times(start_s=101, stop_s=110))
    for one in (recording, stated, alone.inspect(alone.recording)):
        at = 101 + np.arange(9)[:, None] + np.arange(10) / 10
        frames, made = windows_of(one, np.arange(9.0))
        true = np.searchsorted(CAMERA[LOST], at + 5e-4, side="right") - 1
        assert np.array_equal(frames, true)
        parts = list(made)
        assert np.concatenate([part.ok for part in parts]).all()


@pytest.mark.journey
def test_without_signals_a_film_begins_with_its_first_frame(filmed):
    made = open_recording([filmed / "film.mp4"], (), 128.0, 3.0)
    recording = made.inspect(made.recording)
    assert (recording.video_start_s, recording.seconds) == (pytest.approx(100), pytest.approx(11, abs=1e-4))


@pytest.mark.journey
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"video_offset_s": 2}, "expected frame times or video_offset_s, found .*film.times.csv and an offset of 2 s"),
        ({"video_times": "lost.csv"}, "expected the file in column video_times, found no .*lost.csv"),
        (
            {"video": "", "signals": "eeg.edf", "video_times": "film.times.csv"},
            "a video for the times in column video_t",
        ),
        ({"start_s": 3, "stop_s": 9}, "a video that runs at 3 s.*found one from 100.0 to 111.0 s. By film.times.csv"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused(filmed, columns, message):
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(only(table(filmed, columns)).error)


@pytest.mark.journey
def test_an_offset_beside_frame_times_is_refused_by_predict_too(filmed):
    made = open_recording([filmed / "film.mp4"], (), 128.0, 3.0, Times(video_offset_s=2))
    with pytest.raises(BadConfig, match=r"video_offset_s 2: the frames of film.mp4 have the times of film.times.csv"):
        made.inspect(made.recording)
    with pytest.raises(BadConfig, match="no film is given"):
        open_recording([filmed / "film.times.csv", filmed / "eeg.edf"], (), 128.0, 3.0)


@pytest.mark.journey
def test_a_changed_time_is_noticed_though_the_file_has_its_size(filmed):
    config = PrepareConfig(faces=False)
    corpus = table(filmed, signals="eeg.edf")
    assert prepare_store(corpus, filmed / "store", config).n_prepared == 1
    assert prepare_store(corpus, filmed / "store", config).n_reused == 1
    file = filmed / "film.times.csv"
    file.write_text(file.read_text().replace("100.033333", "100.033334"))
    assert prepare_store(corpus, filmed / "store", config).n_prepared == 1


@pytest.mark.journey
def test_a_template_takes_no_frame_times_for_signals(filmed):
    lines(filmed / "film.times.csv", CAMERA[LOST], LOST, "frame,time")
    text = write_template(filmed)[0].read_text()
    assert "times.csv" not in [line for line in text.splitlines() if not line.startswith("#")][1]
    assert "Not taken for signals" not in text


@pytest.mark.journey
def test_a_film_that_is_replayed_has_these_times(filmed):
    video = VideoFile(filmed / "film.mp4")
    assert (video.begin_s, video.end_s) == (100, pytest.approx(111, abs=1e-4))
    *events, end = video
    assert [event.time_s for event in events] == pytest.approx(CAMERA[LOST], abs=1e-5) and end.ended == "video"
    assert [number_of(event.frame) for event in events[119:122]] == [119, 120, 121]


def test_frames_with_one_time_and_a_film_of_one_frame():
    info = VideoInfo(4, 4, Fraction(25), 4)
    timed = info_with_times(info, np.array([1.0, 1.04, 1.04, 1.08]))
    assert timed.frames_at(np.array([1.0, 1.04, 1.079, 1.1, 1.13]))[0].tolist() == [0, 2, 2, 3, 4]
    assert info_with_times(VideoInfo(4, 4, Fraction(25), 1), np.array([7.0])).seconds == 7.04
    assert info_with_times(info, np.full(4, 5.0)).frames_at(np.array([5.0]))[0].tolist() == [3]

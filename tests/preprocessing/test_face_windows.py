"""The faces of windows, a few windows at a time, are those of the whole video at once; gaps are filled by the rule."""

import sys
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np
import pytest

from gbvnet.errors import BadRecording
from gbvnet.io.frame_times import frame_at
from gbvnet.io.video import probe
from gbvnet.preprocessing import face_windows
from gbvnet.preprocessing.face_windows import FaceSettings, FaceWindows, nearest_good
from gbvnet.preprocessing.landmarks import Face
from gbvnet.preprocessing.windowing import frame_times, window_starts

from .face_fixtures import mean_landmarks, track_faces, write_grey_video

GONE = [
    (0, 3),
    (15, 22),
    (40, 75),
    (90, 101),
]  # frames without a face; at 10 fps, 35 of them are more than borrowing fills


@pytest.fixture
def video(tmp_path):
    """120 frames at 10 fps, 64 x 64, frame i of the grey 2 * i."""
    return write_grey_video(tmp_path / "grey.avi", 120, 64, 2)


@pytest.fixture(autouse=True)
def finder(monkeypatch):
    """Finds the mean face in every frame but those of GONE; `open` counts landmarkers in use."""

    class Finder:
        open = 0

        def find(self, rgb, time_s):
            number = round(time_s * 10)
            if any(a <= number < b for a, b in GONE):
                return None
            return Face(mean_landmarks(64), np.full(52, number / 200, np.float32))

    @contextmanager
    def opened(backend):
        Finder.open += 1
        try:
            yield Finder()
        finally:
            Finder.open -= 1

    monkeypatch.setattr(face_windows, "open_landmarker", opened)
    return Finder


def windows(video, starts, part, n_frames=5, window_s=1.0, video_start_s=0.0):
    return FaceWindows(video, starts, FaceSettings(window_s, n_frames, 32), video_start_s=video_start_s, part=part)


def plainly(video, starts, n_frames=5, window_s=1.0, video_start_s=0.0):
    """The same of the whole video at once."""
    fps = probe(video).fps
    times = video_start_s + frame_times(starts, window_s, n_frames)
    wanted = [frame_at(t, fps) for t in times.ravel().tolist()]
    frames = sorted(set(wanted))
    track = track_faces(video, [f for f in frames if f >= 0], 32)
    lacking = sum(f < 0 for f in frames)
    ok = np.r_[np.zeros(lacking, bool), track.ok]
    crops = np.concatenate([np.zeros((lacking, 32, 32, 3), np.uint8), track.crops])
    source = nearest_good(ok, np.array(frames) / float(fps))
    place = np.searchsorted(frames, wanted)
    of = source[place]
    shape = times.shape
    pictures = np.where((of >= 0)[:, None, None, None], crops[of], 0).reshape(*shape, 32, 32, 3)
    counts = (int(ok.sum()), int((~ok & (source >= 0)).sum()), int((source < 0).sum()))
    return pictures, (of >= 0).reshape(shape), counts, track.warning


@pytest.mark.journey
@pytest.mark.parametrize("part", [1, 3, 1000])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"n_frames": 10},
        {"window_s": 2.0, "step_s": 0.5},  # windows that share frames
        {"video_start_s": -1.3},  # the video begins after the stimulus
        {"video_start_s": 1.5, "seconds": 11},  # and ends before it
    ],
)
def test_parts_are_those_of_the_whole(video, how, part):
    how = dict(how)
    starts = window_starts(
        how.pop("seconds", 10), how.get("window_s", 1.0), how.pop("step_s", how.get("window_s", 1.0))
    )
    made = windows(video, starts, part, **how)
    parts = list(made)
    pictures, ok, counts, warning = plainly(video, starts, **how)
    assert [p.first for p in parts] == list(range(0, len(starts), part))
    assert np.array_equal(np.concatenate([p.ok for p in parts]), ok)
    assert np.array_equal(np.concatenate([p.faces for p in parts]), pictures)
    assert (made.n_detected, made.n_borrowed, made.n_missing) == counts
    assert made.warning == warning
    assert 0 < ok.mean() < 1


def test_a_borrowed_face_brings_its_expression(video):
    part = next(iter(windows(video, np.arange(3.0), 3)))  # frames 0, 2, 4, ...: 0 and 2 have no face and borrow from 4
    assert part.expression[0, :3, 0] == pytest.approx([0.02, 0.02, 0.02])
    assert part.expression[1, :, 0] == pytest.approx([0.05, 0.06, 0.07, 0.07, 0.07])  # 16 and 18 have none, nor has 20
    assert part.expression[2, 0, 0] == pytest.approx(0.11)  # which is nearer to 22
    assert part.ok[0].all()


def test_what_is_kept_does_not_grow_and_nothing_stays_open(video, finder, monkeypatch):
    made = windows(video, np.arange(12.0), 1)
    kept = []
    real = FaceWindows._part
    monkeypatch.setattr(
        face_windows.FaceWindows, "_part", lambda self, *a: (kept.append(len(a[-1])), real(self, *a))[1]
    )
    list(made)
    assert max(kept) <= 15  # a second before, a window, a second after: 5 frames each
    assert finder.open == 0
    next(iter(made))  # somebody who stops in the middle
    assert finder.open == 0


def test_a_file_that_is_no_video_is_refused(tmp_path):
    (tmp_path / "a.avi").write_bytes(b"RIFF")
    with pytest.raises(BadRecording, match="expected a video"):
        windows(tmp_path / "a.avi", np.arange(2.0), 1)


def test_frames_of_an_uneven_film_are_those_on_show_and_a_gap_has_none(tmp_path, monkeypatch):
    """Frame k is of the grey 2 * k; 10 frames a second, then 5, then 3 s without any."""
    monkeypatch.setattr(sys.modules[__name__], "GONE", [])
    times = [k / 10 for k in range(20)] + [2 + k / 5 for k in range(10)] + [6.8 + k / 10 for k in range(20)]
    path = tmp_path / "grey.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for k, time_s in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 2 * k, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    made = windows(path, np.arange(8.0), 3)
    parts = list(made)
    ok = np.concatenate([p.ok for p in parts])
    grey = np.concatenate([p.faces for p in parts])[:, :, 16, 16, 1]
    assert grey[1].tolist() == pytest.approx([20, 24, 28, 32, 36], abs=3)
    assert grey[3].tolist() == pytest.approx([50, 52, 54, 56, 58], abs=3)
    assert ok[4].all() and grey[4].tolist() == pytest.approx([58] * 5, abs=3)  # shown from 3.8 s on, for a second
    assert ok[5].tolist() == [False] * 4 + [True]  # 5.8 s borrows from 6.8 s
    assert ok[6].all() and grey[6].tolist() == pytest.approx([60] * 5, abs=3)
    assert (made.n_detected, made.n_borrowed, made.n_missing) == (26, 5, 4)


# ---------------------------------------------------------------- missing faces


def test_a_gap_takes_the_nearest_good_frame_within_a_second():
    ok = np.array([0, 0, 1, 0, 0, 0, 0, 1, 0, 0], bool)
    times = np.array([0.0, 0.5, 1.0, 1.4, 1.8, 2.1, 2.6, 3.0, 4.0, 4.1])
    # 0.0 is 1.0 s before frame 2, just near enough; 1.8 is nearer to frame 2, 2.1 to frame 7; 4.1 is too far away.
    assert nearest_good(ok, times).tolist() == [2, 2, 2, 2, 2, 7, 7, 7, 7, -1]


def test_of_two_good_frames_at_the_same_distance_the_earlier_is_taken():
    assert nearest_good(np.array([1, 0, 0, 0, 1], bool), np.array([0.1, 0.2, 0.3, 0.4, 0.5])).tolist() == [
        0,
        0,
        0,
        4,
        4,
    ]


def test_exactly_a_second_is_within_a_second_whatever_the_rounding():
    for k in range(200):
        times = np.array([k / 10, k / 10 + 1.0, (k + 20) / 10 + 0.1])
        assert nearest_good(np.array([1, 0, 0], bool), times).tolist() == [0, 0, -1]


def test_nothing_is_borrowed_where_no_face_was_detected_or_there_is_no_frame():
    assert nearest_good(np.zeros(3, bool), np.arange(3.0)).tolist() == [-1, -1, -1]
    assert nearest_good(np.zeros(0, bool), np.zeros(0)).tolist() == []

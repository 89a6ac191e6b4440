"""The frames of a video are each searched once for the participant's face, at the time of their numbers."""

from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import pytest

from gbvnet.errors import BadRecording
from gbvnet.preprocessing import face_windows
from gbvnet.preprocessing.landmarks import Face

from .face_fixtures import mean_landmarks, track_faces, write_grey_video


@pytest.fixture
def grey_video(tmp_path):
    """20 frames at 10 fps, 128 x 128, frame i of the grey 10 * i."""
    return write_grey_video(tmp_path / "grey.avi", 20, 128, 10)


@pytest.fixture
def finder(monkeypatch):
    """A landmarker that finds the mean face in frames from the fifth on, and keeps the times it was asked for."""

    class Finder:
        times: ClassVar[list] = []

        def find(self, rgb, time_s):
            self.times.append(time_s)
            if rgb.mean() < 45:
                return None
            return Face(mean_landmarks(64), np.full(52, rgb.mean() / 255, np.float32))

    @contextmanager
    def opened(backend):
        yield Finder()

    Finder.times.clear()
    monkeypatch.setattr(face_windows, "open_landmarker", opened)
    return Finder


def test_each_requested_frame_is_processed_once_at_the_time_of_its_number(grey_video, finder):
    track = track_faces(grey_video, [3, 5, 5, 5, 8], 32)
    assert finder.times == [0.3, 0.5, 0.8]
    assert track.ok.tolist() == [False, True, True, True, True]
    np.testing.assert_allclose(track.crops[:, 16, 16, 0], [0, 50, 50, 50, 80], atol=4)
    np.testing.assert_allclose(track.expression[:, 0], np.array([0, 50, 50, 50, 80]) / 255, atol=0.02)
    assert track.crops.shape == (5, 32, 32, 3)
    assert track.warning is None


def test_frames_beyond_the_end_have_no_face_and_a_warning(grey_video, finder):
    track = track_faces(grey_video, [18, 19, 20, 25], 32)
    assert track.ok.tolist() == [True, True, False, False]
    assert track.n_decoded == 20
    assert "the video ends at 2.00 s" in track.warning


def test_no_requested_frames_give_an_empty_track(grey_video, finder):
    track = track_faces(grey_video, [], 32)
    assert track.crops.shape == (0, 32, 32, 3)


def test_indices_out_of_order_are_refused(grey_video, finder):
    with pytest.raises(ValueError, match="must be in order"):
        track_faces(grey_video, [3, 2], 32)


def test_a_file_that_is_no_video_is_refused(tmp_path, finder):
    (tmp_path / "a.avi").write_bytes(b"RIFF")
    with pytest.raises(BadRecording, match="expected a video"):
        track_faces(tmp_path / "a.avi", [0], 32)

"""The contract of further modalities: the log-mel example keeps it, and each broken one is refused with the reason."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

from examples.audio import LogMel
from gbvnet.datasets.sound_track import stimulus_sound
from gbvnet.errors import BadRecording
from gbvnet.testing import ContractBroken, FilmSound, check_modality, recording_with_tone
from gbvnet.testing.films import tone
from gbvnet.testing.modality_promises import PROMISES

STARTS = np.arange(5.0)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Tones that begin 3.5 s after the stimulus: at both rates, in a film that begins before it; and no sound."""
    folder = tmp_path_factory.mktemp("films")
    return [
        recording_with_tone(folder / "cd.mkv", sound=FilmSound((3.5, 60), rate_hz=44100)),
        recording_with_tone(
            folder / "dvd.mp4", sound=FilmSound((5.7, 60), rate_hz=48000, codec="aac"), video_start_s=2.2
        ),
        recording_with_tone(folder / "late.mov", sound=FilmSound((3.5, 60), begins_s=1.5)),
        recording_with_tone(folder / "silent.mp4"),
    ]


EVENTS = {"cd": 3.5, "dvd": 3.5, "late": 3.5}


@pytest.mark.journey
def test_the_example_keeps_the_contract(recordings):
    results = check_modality(LogMel, recordings, events=EVENTS)
    assert all(result.kept for result in results)
    assert {result.promise for result in results} == set(PROMISES) - {"works"}


@pytest.mark.journey
def test_windows_before_the_sound_begins_are_missing_and_a_film_without_sound_has_none(recordings):
    late = LogMel().read(recordings[2], STARTS, 1.0)
    assert np.isfinite(late).all(axis=(1, 2)).tolist() == [False, False, True, True, True]  # the sound begins at 1.5 s
    assert np.isnan(late[:2]).all() and late.shape == (5, 98, 40)
    assert LogMel().read(recordings[3], STARTS, 1.0) is None


def triangles(length, rate_hz):
    """HTK's mel filters, bin by bin: from the formula, with nothing of the example."""
    mel = [2595 * math.log10(1 + hz / 700) for hz in (50, 8000)]
    edges = [700 * (10 ** ((mel[0] + k * (mel[1] - mel[0]) / 41) / 2595) - 1) for k in range(42)]
    filters = np.zeros((length // 2 + 1, 40))
    for k in range(length // 2 + 1):
        hz = k * rate_hz / length
        for band, (low, centre, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
            if low < hz <= centre:
                filters[k, band] = (hz - low) / (centre - low)
            elif centre < hz < high:
                filters[k, band] = (high - hz) / (high - centre)
    return filters


@pytest.mark.journey
@pytest.mark.parametrize("rate_hz", [44100, 48000, 22050])
def test_log_mel_is_that_of_scipy_and_transformers(tmp_path, rate_hz):
    planted = FilmSound((0.3, 1.6), tone_hz=737.0, rate_hz=rate_hz)
    recording = recording_with_tone(tmp_path / "a.mov", 3, planted)
    actual = LogMel().read(recording, np.array([1.0]), 1.0)[0]
    x = stimulus_sound(recording).samples[rate_hz : 2 * rate_hz].astype(np.float64)
    np.testing.assert_allclose(x, tone(planted, 3)[rate_hz : 2 * rate_hz], atol=1e-4)
    length = round(0.025 * rate_hz)
    frames = [x[round(k * 0.010 * rate_hz) :][:length] for k in range(98)]
    stft = [scipy.signal.stft(f, rate_hz, "hann", length, 0, boundary=None, padded=False)[2][:, 0] for f in frames]
    power, filters = np.abs(np.stack(stft)) ** 2, triangles(length, rate_hz)
    if length % 2 == 0:  # transformers takes the last bin to be at half the rate
        audio = pytest.importorskip("transformers.audio_utils")
        given = audio.mel_filter_bank(length // 2 + 1, 40, 50.0, 8000.0, rate_hz, norm=None, mel_scale="htk")
        np.testing.assert_allclose(filters, given, atol=1e-9)
    np.testing.assert_allclose(actual, np.log(power @ filters + 1e-10), rtol=1e-4, atol=1e-4)
    assert actual[:50].max() > actual[70:].max() + 10  # the tone ends after 0.6 s


@pytest.mark.journey
def test_the_level_is_that_of_the_tone_at_every_rate(tmp_path):
    """A sine of amplitude A has a peak of A^2 / 4 in a periodogram normalised by the taper's sum."""
    means = []
    for rate_hz in (44100, 48000):
        recording = recording_with_tone(tmp_path / f"{rate_hz}.mov", 2, FilmSound((0, 60), level=0.5, rate_hz=rate_hz))
        means.append(np.exp(LogMel().read(recording, np.array([1.0]), 1.0)[0]).sum(axis=1).mean())
    assert means[0] == pytest.approx(means[1], rel=0.02) and 0.5**2 / 4 < means[0] < 2 * 0.5**2 / 4


def test_sound_of_a_low_rate_and_films_with_frame_times_are_refused(tmp_path):
    low = recording_with_tone(tmp_path / "a.mov", 2, FilmSound(rate_hz=8000))
    with pytest.raises(BadRecording, match=r"a\.mov: expected sound of 16000 Hz or more, found 8000 Hz"):
        LogMel().read(low, np.array([0.0]), 1.0)
    with pytest.raises(BadRecording, match=r"expected a film whose sound is on the clock of a, found frame times in t"):
        LogMel().read(replace(low, video_times=tmp_path / "t.csv"), np.array([0.0]), 1.0)


class OfStarts(LogMel):
    """One that reads as the example does; subclasses break it."""


class ScaledByOthers(LogMel):
    def read(self, recording, starts_s, window_s):
        x = super().read(recording, starts_s, window_s)
        return None if x is None else x - np.nanmean(x)


class IgnoresTheClock(LogMel):
    def read(self, recording, starts_s, window_s):
        return super().read(replace(recording, video_start_s=0.0), starts_s, window_s)


class Late(LogMel):
    def read(self, recording, starts_s, window_s):
        return super().read(recording, np.maximum(starts_s - 1, 0), window_s)


class Random(LogMel):
    def read(self, recording, starts_s, window_s):
        return np.random.default_rng().normal(size=(len(starts_s), *self.shape(window_s)))


class HalfMissing(LogMel):
    def read(self, recording, starts_s, window_s):
        x = super().read(recording, starts_s, window_s)
        if x is not None:
            x[:, 0] = np.nan
        return x


class Infinite(LogMel):
    def read(self, recording, starts_s, window_s):
        x = super().read(recording, starts_s, window_s)
        return None if x is None else np.where(x < -20, -np.inf, x)


class ZerosWithoutSound(LogMel):
    def read(self, recording, starts_s, window_s):
        x = super().read(recording, starts_s, window_s)
        return np.zeros((len(starts_s), *self.shape(window_s))) if x is None else x


class Transposed(LogMel):
    def read(self, recording, starts_s, window_s):
        x = super().read(recording, starts_s, window_s)
        return None if x is None else x.transpose(0, 2, 1)


class ChangesItsInput(LogMel):
    def read(self, recording, starts_s, window_s):
        x = super().read(recording, starts_s, window_s)
        starts_s += 1
        return x


class Writes(LogMel):
    def read(self, recording, starts_s, window_s):
        if recording.video is not None:
            (recording.video.parent / "cache.npy").write_bytes(b"x")
        return super().read(recording, starts_s, window_s)


class Unpicklable(LogMel):
    def __init__(self):
        self.scale = lambda x: x


class Fails(LogMel):
    def read(self, recording, starts_s, window_s):
        raise IndexError("list index out of range")


class NothingAtAll(LogMel):
    def read(self, recording, starts_s, window_s):
        return None


class BadName(LogMel):
    name = "Log Mel"


class BadShape(LogMel):
    def shape(self, window_s):
        return (0, 40)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (ScaledByOthers, "windows are read one by one"),
        (IgnoresTheClock, "the clock"),
        (IgnoresTheClock, "events"),
        (Late, "events"),
        (Random, "the same each time"),
        (HalfMissing, "finite or missing"),
        (Infinite, "finite or missing"),
        (ZerosWithoutSound, "without it"),
        (Transposed, "arrays"),
        (ChangesItsInput, "inputs stay as they are"),
        (Writes, "files stay as they are"),
        (Unpicklable, "other processes"),
        (Fails, "works"),
        (NothingAtAll, "something is read"),
        (BadName, "interface"),
        (BadShape, "shape"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else value.__name__,
)
def test_a_broken_one_is_refused_with_the_reason(recordings, broken, promise):
    some = recordings[1:2] if promise in ("the clock", "events") else recordings[2:3]
    events = {"dvd": 3.5} if some == recordings[1:2] else None
    with pytest.raises(ContractBroken, match="breaks the contract of modalities") as error:
        check_modality(broken, some, events=events)
    assert promise in {result.promise for result in error.value.results if not result.kept}, str(error.value)
    (some[0].video.parent / "cache.npy").unlink(missing_ok=True)

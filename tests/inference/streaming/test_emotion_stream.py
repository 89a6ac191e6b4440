"""A stream says of each window what the whole recording would say, with the filters that a stream can have."""

import gc
import sys

import numpy as np
import pytest
from scipy import signal

from gbvnet.errors import BadConfig
from gbvnet.inference.prediction import FLAT
from gbvnet.inference.predictor import Predictor, WindowPredictions
from gbvnet.inference.streaming import emotion_stream as streams
from gbvnet.inference.streaming.emotion_stream import EmotionStream, StreamSettings
from gbvnet.preprocessing.alignment import align
from gbvnet.preprocessing.face_windows import FaceSettings
from gbvnet.preprocessing.windowing import cut, frame_times

from ...preprocessing.face_fixtures import mean_landmarks
from ...stream_fixtures import BLANK, DEVICE, RATE, RENAME, SIDE, TO_HZ, F, fake_landmarker, picture, signals
from ...stream_fixtures import write_model as made

COLUMNS = [
    "start_s",
    "stop_s",
    "valence",
    "gate_face",
    "gate_bio",
    "face_ok",
    "has_signals",
    "flags",
    "stamps",
    "worth",
]


@pytest.fixture(autouse=True)
def faked(monkeypatch):
    monkeypatch.setattr(streams, "open_landmarker", fake_landmarker)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(made(tmp_path_factory.mktemp("model") / "m"), "cpu")


def opened(predictor, faces=True, **settings):
    return EmotionStream(predictor, RATE, DEVICE, rename=RENAME, faces=faces, settings=StreamSettings(**settings))


def fed(stream, x=None, frames=(), chunk_s=0.05, rate=RATE, finish=True):
    """All rows, frames and chunks going in by time."""
    n = max(1, round(chunk_s * rate))
    events = [] if x is None else [((i + n) / rate, x[:, i : i + n], None) for i in range(0, x.shape[1], n)]
    events += [(t, None, rgb) for t, rgb in frames]
    rows = []
    for t, chunk, rgb in sorted(events, key=lambda e: e[0]):
        rows += stream.samples(chunk) if chunk is not None else stream.frame(rgb, t)
    return rows + (stream.finish() if finish else [])


def frames_of(seconds, fps=10.0, gone=()):
    for k in range(round(seconds * fps)):
        yield k / fps, (BLANK if any(a <= k < b for a, b in gone) else picture(k))


def whole(predictor, x, frames, begin, n_windows, step_s=1.0):
    """The same by the whole recording: scipy's causal filters over all of it, ordinary windows, a plain rule for faces.
    Returns p, gates, and signals as cut."""
    x = x[[2, 4, 1, 3]]
    for rows, sections in (
        ([0, 1], signal.butter(4, [4, 45], "bandpass", fs=RATE, output="sos")),
        ([2], signal.butter(4, 5, "lowpass", fs=RATE, output="sos")),
        ([3], signal.butter(4, [0.5, 45], "bandpass", fs=RATE, output="sos")),
    ):
        start = signal.sosfilt_zi(sections)[:, None] * x[rows, 0][None, :, None]
        x[rows] = signal.sosfilt(sections, x[rows], zi=start)[0]
    x = signal.resample_poly(x, int(TO_HZ), RATE, axis=1, padtype="edge")
    x = x - x[:, : int(3 * TO_HZ)].astype(np.float32).mean(axis=1, keepdims=True, dtype=float)
    starts = np.arange(n_windows) * step_s
    windows = cut(x, round(begin * TO_HZ), TO_HZ, starts, int(TO_HZ))
    frames = list(frames)
    faces = np.zeros((n_windows, F, SIDE, SIDE, 3), np.uint8)
    ok = np.zeros((n_windows, F), bool)
    for at, t in np.ndenumerate(begin + frame_times(starts, 1.0, F)):
        rgb = [rgb for time, rgb in frames if time <= t + 1e-6][-1]
        faces[at], ok[at] = align(rgb, mean_landmarks(48), SIDE), True
    return predictor.predict_windows(faces, ok, windows), windows


@pytest.mark.journey
@pytest.mark.parametrize("chunk_s", [0.005, 0.05, 0.4])
@pytest.mark.parametrize("step_s", [1.0, 0.5])
def test_a_stream_says_what_causal_filters_over_the_whole_say(predictor, chunk_s, step_s):
    x, frames = signals(12), list(frames_of(12))
    with opened(predictor, step_s=step_s) as stream:
        rows = fed(stream, x, frames, chunk_s)
    n = round(8 / step_s) + 1
    wanted, _ = whole(predictor, x, frames, 3.0, n, step_s)
    assert [row["start_s"] for row in rows] == [3 + k * step_s for k in range(n)]
    assert np.array([row["valence"] for row in rows]) == pytest.approx(wanted.values[:, 0], abs=1e-5)
    assert np.array([row["gate_bio"] for row in rows]) == pytest.approx(wanted.gate_bio, abs=1e-5)
    assert np.array([row["gate_face"] for row in rows]) == pytest.approx(wanted.gate_face, abs=1e-5)
    assert np.ptp(wanted.values) > 0.1  # it is not always the same
    assert all(list(row) == COLUMNS for row in rows)
    assert {row["flags"] for row in rows} == {""} and all(row["has_signals"] and row["face_ok"] == 1 for row in rows)


@pytest.mark.journey
def test_a_row_comes_when_its_window_is_complete_and_no_later(predictor):
    x, frames = signals(8), dict(frames_of(8))
    arrival = {}
    with opened(predictor) as stream:
        for k in range(8 * 100):  # 2 samples at a time
            rows = stream.frame(frames[k / 100], k / 100) if k / 100 in frames else []
            rows += stream.samples(x[:, 2 * k : 2 * k + 2])
            arrival |= {row["start_s"]: (k + 1) / 100 for row in rows}
    # The window's end, and ten samples of the lower rate for the anti-alias filter.
    assert arrival == pytest.approx({s: s + 1 + 10 / TO_HZ for s in (3.0, 4.0, 5.0, 6.0)}, abs=0.02)


@pytest.mark.journey
def test_only_frames_that_windows_look_at_are_searched(predictor):
    with opened(predictor, start_s=0) as stream:
        fed(stream, signals(4), frames_of(4, fps=50))
        assert stream._faces.n_searched == 4 * F


@pytest.mark.journey
def test_an_uneven_camera_shows_the_newest_frame_that_is_not_later(predictor):
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(0.02, 0.3, 80))
    frames = [(float(t), picture(k)) for k, t in enumerate(times) if t < 10]
    x = signals(10)
    frames[0] = (0.0, frames[0][1])
    with opened(predictor) as stream:
        rows = fed(stream, x, frames)
    wanted, _ = whole(predictor, x, frames, 3.0, len(rows))
    assert len(rows) == 7
    assert np.array([row["valence"] for row in rows]) == pytest.approx(wanted.values[:, 0], abs=1e-5)


@pytest.mark.journey
def test_faces_are_borrowed_from_the_past_second_and_never_from_the_future(tmp_path):
    face = Predictor(made(tmp_path / "m", modality="face"), "cpu")
    gone = [(0, 7), (25, 29), (40, 58)]  # at 10 fps: at the start; 0.4 s; 1.8 s
    with EmotionStream(face) as stream:
        rows = fed(stream, None, frames_of(8, gone=gone))
    share = [row["face_ok"] for row in rows]
    # Windows look at 0, 0.2, ... Nothing is before 0.7 s; 0.4 s are borrowed; from 4.0 on, a second after 3.8 is.
    assert share == pytest.approx([0.2, 1, 1, 1, 1, 0.2, 1, 1])
    assert rows[0]["flags"] == "face in 1 of 5 frames" and rows[2]["flags"] == ""
    # 2.6 s shows the frame of 2.4 s
    faces, ok, _ = stream._faces.window(np.array([7.2]))
    assert ok.all() and np.array_equal(faces[0], align(picture(72), mean_landmarks(48), SIDE))


@pytest.mark.journey
def test_what_is_borrowed_is_the_nearest_of_before(predictor):
    looks = streams.FaceBuffer(fake_landmarker("").__enter__(), FaceSettings(1.0, F, SIDE), lambda a, b: True)
    for t, rgb in [(0.0, picture(0)), (0.2, picture(1)), (0.4, BLANK), (0.6, BLANK), (0.8, picture(2))]:
        looks.push(rgb, t)
    faces, ok, came = looks.window(np.array([0.4, 0.6, 0.8]))
    assert ok.all() and came
    one, two = (align(picture(k), mean_landmarks(48), SIDE) for k in (1, 2))
    assert np.array_equal(faces[0], one) and np.array_equal(faces[1], one) and np.array_equal(faces[2], two)


@pytest.mark.journey
def test_a_modality_that_stops_is_missing_after_the_deadline_and_back_when_it_comes_again(predictor):
    x, frames = signals(14), [f for f in frames_of(14) if not 5 <= f[0] < 8.5]
    with opened(predictor) as stream:
        rows = fed(stream, x, frames)
    flags = {row["start_s"]: row["flags"] for row in rows}
    assert flags == {3: "", 4: "", 5: "frames late", 6: "no frames", 7: "no frames", 8: "face in 2 of 5 frames",
                     9: "", 10: "", 11: "", 12: "", 13: ""}  # fmt: skip
    assert all(np.isfinite(row["valence"]) for row in rows)
    assert [row["face_ok"] for row in rows if 6 <= row["start_s"] < 8] == [0, 0]
    silent = x.copy()
    with opened(predictor) as stream:
        rows = []
        for k in range(140):
            rows += stream.frame(picture(k), k / 10)
            if not 50 <= k < 80:
                rows += stream.samples(silent[:, 20 * k : 20 * k + 20], k / 10)
    has = {row["start_s"]: row["has_signals"] for row in rows}
    assert has == {3: True, 4: False, 5: False, 6: False, 7: False, 8: True, 9: True, 10: True, 11: True, 12: True}
    late = next(row for row in rows if row["start_s"] == 6)
    assert late["flags"] == "signals late" and np.isfinite(late["valence"]) and late["face_ok"] == 1


@pytest.mark.journey
def test_a_row_that_waits_comes_with_the_deadline(predictor):
    with opened(predictor, deadline_s=0.3) as stream:
        fed(stream, signals(3.9), frames_of(3.5), finish=False)
        rows, t = [], 3.9
        while not rows:  # frames stop, samples go on
            rows, t = stream.samples(np.zeros((5, 2))), t + 0.01
    assert t == pytest.approx(4.3, abs=0.02)
    assert rows[0]["start_s"] == 3 and rows[0]["face_ok"] == 1  # 3.4 s was on show when frames stopped


@pytest.mark.journey
def test_without_a_embedding_there_is_no_answer_but_a_row(tmp_path):
    strict = Predictor(made(tmp_path / "m", dropout=0.0), "cpu")
    with opened(strict) as stream:
        rows = fed(stream, signals(8), frames_of(5))
    assert [np.isnan(row["valence"]) for row in rows] == [False, False, False, True, True]
    assert [row["flags"] for row in rows] == ["", "", "frames late", *["no frames; no prediction"] * 2]
    with pytest.raises(BadConfig, match="modality_dropout 0"):
        opened(strict, faces=False)


@pytest.mark.journey
def test_a_gap_and_numbers_that_are_none_cost_the_windows_they_touch_only(predictor):
    x = signals(12)
    x[4, 5 * RATE + 20] = np.nan
    with opened(predictor) as stream:
        rows = fed(stream, x, frames_of(12))
    assert [row["start_s"] for row in rows if not row["has_signals"]] == [5]
    assert rows[2]["flags"] == "gap in the signals"
    assert all(np.isfinite(row["valence"]) for row in rows)


@pytest.mark.journey
def test_samples_that_come_twice_are_taken_once(predictor):
    x = signals(6)
    with opened(predictor, start_s=0) as once, opened(predictor, start_s=0) as twice:
        for stream in (once, twice):
            stream.samples(x[:, : 3 * RATE], 0.0)
        twice.samples(x[:, 1 * RATE : 3 * RATE], 1.0)
        a, b = (s.samples(x[:, 3 * RATE :], 3.0) for s in (once, twice))
    assert twice._signals.buffer.dropped == 2 * RATE
    assert [row["start_s"] for row in a] == [2, 3, 4]
    assert [row["valence"] for row in a] == [row["valence"] for row in b]


@pytest.mark.journey
@pytest.mark.parametrize("chunk", [10, 150])
def test_a_device_with_another_rate_loses_no_window_and_its_time_does_not_wander(tmp_path, chunk):
    bio = Predictor(made(tmp_path / "m", modality="bio"), "cpu")
    true, windows = 199.2, []
    steps = (np.arange(round(60 * true)) / true * 2).astype(int) % 2  # a square wave: it changes at full half seconds
    x = np.tile(100.0 * steps, (5, 1))
    with opened(bio, faces=False) as stream:
        stream.predictor = _Spy(bio, windows)
        rows = []
        for first in range(0, x.shape[1], chunk):
            rows += stream.samples(x[:, first : first + chunk], first / true)
        rows += stream.finish()
    assert len(rows) == 57 and all(row["has_signals"] for row in rows) and stream._signals.buffer.dropped == 0
    gsr = np.concatenate(windows)[10:50, 2]  # low-passed: what it shows is late, and always by as much
    crossing = (np.diff(gsr > gsr.mean()) != 0).argmax(axis=1)
    assert np.ptp(crossing) <= 1
    assert stream.messages == [
        "the device gives 199.2 Hz by its time stamps, not 200 Hz: its samples are placed by their time stamps"
    ]


def test_a_long_chunk_that_comes_twice_is_taken_once(predictor):
    x = signals(8)
    with opened(predictor, start_s=0) as stream:
        for first in (0, 1, 1, 2, 3):
            rows = stream.samples(x[:, first * RATE : (first + 1) * RATE], float(first))
        assert stream.messages == ["200 samples were not used: they came twice, or their time stamps went back"]
        assert [row["start_s"] for row in rows] == [2]


@pytest.mark.journey
def test_the_baseline_may_be_stated_or_run_along_or_be_none(tmp_path):
    bio = Predictor(made(tmp_path / "m", modality="bio"), "cpu")
    x = signals(14)
    kept = {}
    for name, options in {
        "first": {}, "stated": {"baseline_start_s": 2.0}, "running": {"running_s": 2.0}, "begun": {"start_s": 4.0},
    }.items():  # fmt: skip
        with opened(bio, faces=False, **options) as stream:
            windows = []
            stream.predictor = _Spy(bio, windows)
            rows = fed(stream, x)
        kept[name] = rows[0]["start_s"], np.concatenate(windows)
    assert {name: start for name, (start, _) in kept.items()} == {"first": 3, "stated": 5, "running": 2, "begun": 4}
    _, wanted = whole(bio, x, [(0, picture(0))], 3.0, 11)
    assert kept["first"][1] == pytest.approx(wanted, abs=1e-3)
    assert kept["begun"][1] == pytest.approx(wanted[1:], abs=1e-3)
    _, plain = whole(bio, x, [(0, picture(0))], 0.0, 14)
    baseline = plain[2:5].mean(axis=(0, 2))[:, None]
    assert kept["stated"][1] == pytest.approx(plain[5:] - baseline, abs=1e-3)
    before = np.stack([plain[k - 2 : k].mean(axis=(0, 2)) for k in range(2, 14)])[..., None]
    assert kept["running"][1] == pytest.approx(plain[2:] - before, abs=1e-3)
    none = Predictor(made(tmp_path / "none", modality="bio", baseline="none"), "cpu")
    with opened(none, faces=False) as stream:
        assert fed(stream, x)[0]["start_s"] == 0


@pytest.mark.journey
def test_a_template_repeats_from_the_first_window_on(tmp_path):
    bio = Predictor(made(tmp_path / "m", modality="bio", baseline="template"), "cpu")
    x, windows = signals(8), []
    with opened(bio, faces=False) as stream:
        stream.predictor = _Spy(bio, windows)
        fed(stream, x)
    _, plain = whole(bio, x, [(0, picture(0))], 0.0, 8)
    assert np.concatenate(windows) == pytest.approx(plain[3:] - plain[:3].mean(axis=0), abs=1e-3)
    with pytest.raises(BadConfig, match="template"):
        opened(bio, faces=False, running_s=3)


class _Spy:
    """A predictor that keeps the signals it is asked about."""

    def __init__(self, predictor, kept):
        self._predictor, self._kept = predictor, kept

    def __getattr__(self, name):
        return getattr(self._predictor, name)

    def predict_windows(self, faces, ok, x):
        self._kept.append(x)
        return self._predictor.predict_windows(faces, ok, x)


@pytest.mark.journey
def test_no_answer_before_the_baseline_is_over(predictor):
    with opened(predictor, start_s=0) as stream:
        rows = fed(stream, signals(5), frames_of(5))
    assert [row["flags"] for row in rows] == ["no baseline yet", "no baseline yet", "", "", ""]


@pytest.mark.journey
def test_flags_are_those_of_a_recording(predictor):
    x = signals(8)
    x[4, 5 * RATE :] = FLAT
    x[1, 6 * RATE :] += 1000
    with opened(predictor) as stream:
        rows = fed(stream, x, frames_of(8))
    assert rows[0]["flags"] == "" and rows[-1]["flags"] == "flat: O1; far from training: GSR1"


@pytest.mark.journey
def test_a_long_silence_is_left_out_and_counted(predictor):
    with opened(predictor) as stream:
        stream.samples(signals(6), 0.0)
        stream.frame(picture(0), 6.0)
        rows = stream.frame(picture(1), 1e9)
        assert len(rows) < 10 and stream.n_skipped > 1e8
        rows = stream.samples(signals(6, seed=1), 1e9)
    assert rows[-1]["has_signals"] and rows[-1]["start_s"] > 1e9


@pytest.mark.journey
def test_what_makes_no_sense_is_refused(tmp_path, predictor):
    whole_recordings = Predictor(made(tmp_path / "s", normalise="subject"), "cpu")
    with pytest.raises(BadConfig, match="normalise subject"):
        opened(whole_recordings)
    with pytest.raises(BadConfig, match=r"none for ECG .*--rename ECG=NAME"):
        EmotionStream(predictor, RATE, DEVICE)
    with pytest.raises(BadConfig, match=r"no such channel \(near it: GSR1"):
        EmotionStream(predictor, RATE, DEVICE, rename={"GSR2": "x"})
    with pytest.raises(BadConfig, match="the model uses face"):
        EmotionStream(Predictor(made(tmp_path / "f", modality="face")), RATE, DEVICE, faces=False)
    for wrong, message in (
        ({"step_s": -1.0}, "at least a sample"), ({"step_s": 1e-9}, "at least a sample"),
        ({"running_s": 0.0}, "must be above 0"),
    ):  # fmt: skip
        with pytest.raises(BadConfig, match=message):
            opened(predictor, **wrong)
    with pytest.raises(BadConfig, match="signals at 2 Hz hold nothing of 4 to 45 Hz"):
        EmotionStream(predictor, 2.0, DEVICE, rename=RENAME).samples(np.zeros((5, 2)))
    with opened(predictor) as stream:
        with pytest.raises(ValueError, match=r"must be \(5, n\), not \(4, 3\)"):
            stream.samples(np.zeros((4, 3)))
        with pytest.raises(ValueError, match="uint8"):
            stream.frame(np.zeros((4, 4, 3)), 0)
        stream.frame(picture(0), 1.0)
        with pytest.raises(ValueError, match="must increase"):
            stream.frame(picture(0), 1.0)
    with EmotionStream(predictor) as stream, pytest.raises(ValueError, match="opened without signals"):
        stream.samples(np.zeros((5, 2)))


@pytest.mark.journey
def test_nothing_grows_over_ten_minutes(predictor, monkeypatch):
    half = WindowPredictions(np.full((1, 1), 0.5), np.full(1, 0.5), np.full(1, 0.5))
    monkeypatch.setattr(
        Predictor, "predict_windows", lambda self, faces, ok, x: half
    )  # what is asked about is the stream
    x, pictures = signals(60), [picture(k) for k in range(20)]
    held = []
    with opened(predictor) as stream:
        n_rows = 0
        for k in range(6000):  # 10 frames and chunks a second
            n_rows += len(stream.frame(pictures[k % 20], k / 10))
            at = 20 * k % (60 * RATE)
            n_rows += len(stream.samples(x[:, at : at + 20]))
            if k % 600 == 599:
                held.append(_bytes_held(stream, but=predictor))
    assert n_rows == 596
    assert 50_000 < held[0] < 400_000
    assert max(held) - min(held) < 2000  # a row kept of each window, or a number of each frame, would be 100,000


def _bytes_held(root, but) -> int:
    """Of all that can be reached from an object, modules, classes and functions apart."""
    visited, waiting, total = {id(but), id(gc)}, [root], 0
    while waiting:
        one = waiting.pop()
        if id(one) in visited or isinstance(one, (type, type(gc), type(_bytes_held))):
            continue
        visited.add(id(one))
        total += sys.getsizeof(one)
        waiting += gc.get_referents(one)
        if isinstance(one, np.ndarray) and one.base is not None:
            waiting.append(one.base)  # a view keeps the whole of what it looks at
    return total

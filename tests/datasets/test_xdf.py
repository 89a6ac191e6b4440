"""The corpus of LabRecorder's files: trials by markers, the join of films, settings, the draft of `table init`."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig, Times
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.film_times import FilmTimes, join_frames
from gbvnet.datasets.formats.xdf import read_xdf
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.single_recording import open_recording
from gbvnet.datasets.synthetic.writer import avi_bytes
from gbvnet.datasets.synthetic.xdf import EEG, FPS, ZERO_S, Settings, camera, start_s
from gbvnet.datasets.synthetic.xdf_file import WrittenStream, texts, xdf_bytes
from gbvnet.datasets.xdf import Reader
from gbvnet.datasets.xdf_settings import read_settings
from gbvnet.datasets.xdf_template import guess_pattern, guess_rating, write_draft
from gbvnet.datasets.xdf_trials import Marker, trials_of
from gbvnet.errors import BadInput, BadRecording
from gbvnet.io.video import read_frames
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

T0 = 500.0
SETTINGS = """\
streams:
  Amp:
    channels: {Fp1: eeg, EDA: gsr}
markers:
  stream: Events
  start: 'start (?P<stimulus>.+)'
  stop: 'stop.*'
  rating: {json: [valence, arousal]}
labels: {valence: {scale: [1, 9]}, arousal: {scale: [1, 9]}}
frames: {stream: Cam, film: "{stem}.avi"}
baseline_s: 1
"""
GOOD = [(2.0, "start a"), (5.0, "stop a"), (5.5, '{"valence": 2, "arousal": 7}'),
        (8.0, "start b"), (11.0, "stop b"), (11.5, '{"valence": 8, "arousal": 3.5}')]  # fmt: skip


def amp(seconds=15):
    t = T0 + np.arange(seconds * 128) / 128
    labels = (("Fp1", "uV", "EEG"), ("EDA", "uS", "GSR"))
    x = np.stack([np.sin(20 * t), 2 + np.sin(t)], 1)
    return WrittenStream("Amp", "EEG", "pc", 128, "float32", t, x, labels)


def events(pairs=GOOD):
    return WrittenStream("Events", "Markers", "pc", 0, "string", *texts((T0 + at, text) for at, text in pairs))


def cam(numbers, times, **more):
    rows = np.stack([numbers, times], 1)
    given = {"channels": (("FrameNum", "", ""), ("Time_ACQ", "", ""))} | more
    return WrittenStream("Cam", "videostream", "pc", 0, "double64", T0 + np.asarray(times), rows, **given)


def film(file, n):
    """Frame k has the brightness of k."""
    frames = (np.full((48, 64, 3), 20 + 2 * (k % 100), np.uint8) for k in range(n))
    file.write_bytes(avi_bytes(frames, 30, 64, 48))


def corpus(root, *streams, settings=SETTINGS, name="sub-anna_1.xdf"):
    root.mkdir(exist_ok=True)
    (root / "xdf.yaml").write_text(settings)
    (root / name).write_bytes(xdf_bytes(streams or (amp(), events())))
    return Reader.open(root)


def trials(pairs, settings=SETTINGS, tmp=None):
    (tmp / "xdf.yaml").write_text(settings)
    return trials_of(tmp / "x.xdf", [Marker(*pair) for pair in pairs], read_settings(tmp / "xdf.yaml").markers)


# ---------------------------------------------------------------- trials


def test_trials_of_a_file(tmp_path):
    opened = corpus(tmp_path / "c")
    one, two = opened.recordings("anna")
    assert [(r.name, r.stimulus, r.seconds, r.ratings, r.signal_times[0], r.error) for r in (one, two)] == [
        ("anna_01", "a", 3.0, {"valence": 2.0, "arousal": 7.0}, pytest.approx(2.0), None),
        ("anna_02", "b", 3.0, {"valence": 8.0, "arousal": 3.5}, pytest.approx(8.0), None),
    ]
    signals = opened.signals(opened.inspect(two))
    t = T0 + 8.0 + (np.arange(signals.samples.shape[1]) - signals.onset) / 128
    assert np.abs(signals.samples[0] - np.sin(20 * t)).max() < 0.01


def test_trials_are_counted_over_the_files_of_a_subject_and_a_broken_file_costs_its_own(tmp_path):
    corpus(tmp_path / "c")
    opened = corpus(tmp_path / "c", name="sub-anna_2.xdf")
    assert [r.name for r in opened.recordings("anna")] == ["anna_01", "anna_02", "anna_03", "anna_04"]
    (tmp_path / "c/sub-anna_1.xdf").write_bytes(b"XDF:")
    (tmp_path / "c/other.xdf").write_bytes(b"XDF:")
    (units) = {u.name: u for u in check_corpus(Reader.open(tmp_path / "c"))}
    assert units["anna"].good == 2 and "sub-anna_1.xdf: expected an XDF file" in units["anna"].recordings[0].error
    assert re.search(r"other.xdf: expected a path in which sub-.* is a subject", units["other"].error)


@pytest.mark.parametrize(
    ("pairs", "errors"),
    [
        (GOOD[:4], [None, "none before the end of the markers (2 starts, 1 stop, 1 rating)"]),
        ([GOOD[0], *GOOD[3:]], ["none before the next start at 8.000 s", None]),
        ([*GOOD[:2], *GOOD[3:]], ["none before the next start at 8.000 s", None]),
        ([(2.0, "start a"), (2.003, "start a"), *GOOD[1:]], ["none before the next start", None, None]),
    ],
)
def test_an_unpaired_start_costs_its_own_trial(pairs, errors, tmp_path):
    spans = trials(pairs, tmp=tmp_path).spans
    for span, error in zip(spans, errors, strict=True):
        assert (span.error is None) == (error is None) and (error is None or error in span.error[1])


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (GOOD[1:], r"found 1 start, 2 stops, 2 ratings: the stop at 5.000 s follows no start"),
        ([*GOOD[:2], (5.2, "stop a"), *GOOD[2:]], "2 starts, 3 stops, 2 ratings: the stop at 5.200 s follows no start"),
        (
            [*GOOD[:3], (6.0, '{"valence": 3}'), *GOOD[3:]],
            "3 ratings: the rating at 6.000 s is a second one of valence",
        ),
        (
            [*GOOD[:2], *GOOD[3:4], (8.5, GOOD[2][1]), *GOOD[4:]],
            "the rating at 8.500 s comes after a start, at 8.000 s",
        ),
        ([(1.0, '{"arousal": 3}'), *GOOD], "the rating at 1.000 s comes before all trials"),
        ([(1.0, "hello")], r"0 starts, 0 stops, 0 ratings among 1 markers \('hello', ...\)"),
    ],
)
def test_markers_that_do_not_fit_are_refused_with_counts_and_the_first_of_them(pairs, message, tmp_path):
    with pytest.raises(BadRecording, match=message):
        trials(pairs, tmp=tmp_path)


def test_ratings_by_pattern_and_those_beyond_a_scale(tmp_path):
    pattern = SETTINGS.replace(
        "{json: [valence, arousal]}", r"{pattern: 'rating (?P<valence>[\d.]+)/(?P<arousal>\d+)'}"
    )
    spans = trials([*GOOD[:2], (5.5, "rating 6.5/3")], pattern, tmp_path).spans
    assert spans[0].ratings == {"valence": "6.5", "arousal": "3"} and spans[0].rated_s == 5.5
    pairs = [*GOOD[:2], (5.5, '{"valence": 11, "arousal": 3}'), *GOOD[3:]]
    one, two = corpus(tmp_path / "c", amp(), events(pairs)).recordings("anna")
    assert "(anna_01): expected valence from 1 to 9, found 11" in one.error and two.error is None


def test_markers_sent_twice_are_left_out_with_a_note_and_numbers_are_markers_too(tmp_path):
    pairs = [*GOOD, (2.003, "start a"), (11.501, GOOD[5][1])]
    opened = corpus(tmp_path / "c", amp(), events(pairs))
    assert [r.error for r in opened.recordings("anna")] == [None, None]
    assert opened.notes("anna") == ("sub-anna_1.xdf: 2 of 8 markers repeat another within 0.1 s, and are left out",)
    codes = np.array([[11], [99], [12], [99]])
    stream = WrittenStream("Events", "Markers", "pc", 0, "int32", T0 + np.array([2.0, 5, 8, 11]), codes)
    settings = SETTINGS.replace("start (?P<stimulus>.+)", r"1(?P<stimulus>\d)").replace("'stop.*'", "99")
    settings = settings.replace("  rating: {json: [valence, arousal]}\n", "")
    opened = corpus(tmp_path / "n", amp(), stream, settings=settings)
    assert [(r.stimulus, r.error) for r in opened.recordings("anna")] == [("1", None), ("2", None)]


# ---------------------------------------------------------------- the join of films


def test_the_join_by_hand():
    """Numbers 1, 2, 4, 5 at 0, 1, 3, 4 s: R = 4 rows, S = 5 numbers."""
    rows = FilmTimes(np.array([0.0, 1, 3, 4]), np.array([1, 2, 4, 5]))
    assert join_frames(rows, np.arange(5)).times_s.tolist() == [0, 1, 2, 3, 4]  # the film has them all
    assert join_frames(rows, np.arange(4)).times_s.tolist() == [0, 1, 3, 4]  # the film lacks the third, too
    assert join_frames(rows, np.arange(6)) is None and join_frames(rows, np.arange(3), 1) is None
    assert join_frames(rows, np.arange(6), 1).times_s.tolist() == [0, 1, 2, 3, 4, 5]  # one more at the end
    whole = FilmTimes(np.array([0.0, 1, 2]), np.array([7, 8, 9]))
    assert join_frames(whole, np.arange(3)).times_s.tolist() == [0, 1, 2]


@pytest.mark.journey
@pytest.mark.parametrize("in_film", [True, False])
def test_a_lost_second_of_a_30_hz_camera_moves_no_frame(in_film, tmp_path):
    kept = np.delete(np.arange(14 * 30), slice(210, 240))  # second 7 to 8 is lost
    times = 0.3 + np.arange(14 * 30) / 30
    opened = corpus(tmp_path / "c", amp(), events(), cam(kept + 1, times[kept]))
    film(tmp_path / "c/sub-anna_1.avi", 14 * 30 if in_film else len(kept))
    recording = opened.inspect(opened.recordings("anna")[1])
    info = recording.video_info
    wanted = times if in_film else times[kept]
    assert np.abs(info.times_s - wanted).max() < 1e-6
    numbers, shown = info.frames_at(np.array([8.5, 10.0]))
    assert np.abs(shown - [8.5, 10.0]).max() <= 1 / 30 + 1e-6
    assert numbers.tolist() == [246 - 30 * (not in_film), 291 - 30 * (not in_film)]
    note = "by number; 30 of its rows are missing" if in_film else "row by row; 30 numbers are in neither"
    assert any(note in warning for warning in recording.warnings)


@pytest.mark.journey
def test_a_film_that_fits_neither_is_refused_with_its_three_counts_and_signals_stay_usable(tmp_path):
    kept = np.delete(np.arange(420), slice(210, 240))
    streams = (amp(), events(), cam(kept, 0.3 + kept / 30))
    opened = corpus(tmp_path / "c", *streams)
    film(tmp_path / "c/sub-anna_1.avi", 405)
    (unit,) = check_corpus(opened)
    assert unit.good == 0
    message = r"found F = 405 frames decoded \(405 by its header\), R = 390 rows, S = 420 numbers \(0 to 419\)"
    assert all(re.search(message, r.error) for r in unit.recordings)
    alone = corpus(tmp_path / "d", *streams, settings=SETTINGS.replace("frames:", "# frames:"))
    film(tmp_path / "d/sub-anna_1.avi", 405)
    assert [u.good for u in check_corpus(alone)] == [2]


@pytest.mark.journey
@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (np.r_[0:200, 0:220], r"found 0 after 199 in row 201, at 6.9\d* s. Was the camera started anew"),
        (np.r_[0:200, 199:419], r"found 199 after 199 in row 201"),
        (
            np.arange(420) + 0.5,
            r"expected whole numbers that increase in FrameNum of stream Cam .*, found 0.5 in row 1",
        ),
    ],
)
def test_numbers_that_are_not_those_of_one_film(numbers, message, tmp_path):
    opened = corpus(tmp_path / "c", amp(), events(), cam(numbers, 0.3 + np.arange(420) / 30))
    film(tmp_path / "c/sub-anna_1.avi", 420)
    (unit,) = check_corpus(opened)
    assert unit.good == 0 and re.search(message, unit.recordings[0].error)


@pytest.mark.journey
def test_a_latency_moves_the_frames_and_pictures_in_the_file_are_refused(tmp_path):
    times = 0.3 + np.arange(420) / 30
    opened = corpus(
        tmp_path / "c", amp(), events(), cam(np.arange(420), times), settings=SETTINGS + "video_latency_ms: 80\n"
    )
    film(tmp_path / "c/sub-anna_1.avi", 420)
    info = opened.inspect(opened.recordings("anna")[0]).video_info
    assert info.times_s[0] == pytest.approx(0.22, abs=1e-6) and "80 ms late" in opened.source
    pictures = WrittenStream("Cam", "VideoRaw", "pc", 0, "int8", T0 + times[:50], np.zeros((50, 5000), np.int8))
    opened = corpus(tmp_path / "c", amp(), events(), pictures)
    (unit,) = check_corpus(opened)
    assert (
        "expected numbers of frames in stream Cam (VideoRaw), found the pictures themselves" in unit.recordings[0].error
    )


@pytest.mark.journey
def test_predict_takes_an_xdf_with_its_film(tmp_path):
    kept = np.delete(np.arange(420), slice(210, 240))
    corpus(tmp_path / "c", amp(), events(), cam(kept, 0.3 + kept / 30))
    film(tmp_path / "c/sub-anna_1.avi", 420)
    files = [tmp_path / "c/sub-anna_1.xdf", tmp_path / "c/sub-anna_1.avi"]
    channels = (Channel("Fp1", "eeg"), Channel("EDA", "gsr"))
    opened = open_recording(files, channels, 128, 0, times=Times(start_s=2.0, stop_s=12.0))
    recording = opened.inspect(opened.recording)
    assert recording.video_times == files[0] and recording.seconds == 10.0
    assert recording.video_info.times_s[400] == pytest.approx(0.3 + 400 / 30, abs=1e-6)
    times = Times(start_s=2.0, stop_s=12.0, video_offset_s=-0.3)
    opened = open_recording(files, channels, 128, 0, times=times)
    recording = opened.inspect(opened.recording)
    assert recording.video_info.times_s is None
    assert any("the frames' times in stream Cam are not used" in warning for warning in recording.warnings)


@pytest.mark.journey
def test_a_table_takes_an_xdf_for_signals_and_for_the_times_of_a_film(tmp_path):
    kept = np.delete(np.arange(420), slice(210, 240))
    corpus(tmp_path / "c", amp(), events(), cam(kept, 0.3 + kept / 30))
    film(tmp_path / "c/v.avi", 420)
    rows = "subject,trial,signals,video,video_times,start_s,stop_s\na,1,sub-anna_1.xdf,v.avi,sub-anna_1.xdf,4,9\n"
    (tmp_path / "c/recordings.csv").write_text(rows)
    opened = open_corpus("table", tmp_path / "c")
    assert [(c.name, c.kind) for c in opened.channels] == [("Fp1", "eeg"), ("EDA", "gsr")]
    recording = opened.inspect(opened.recordings("a")[0])
    assert recording.video_info.times_s[400] == pytest.approx(0.3 + 400 / 30, abs=1e-6)


def test_a_baseline_before_the_file_begins_is_refused_with_what_to_set(tmp_path):
    opened = corpus(tmp_path / "c", settings=SETTINGS.replace("baseline_s: 1", "baseline_s: 3"))
    (unit,) = check_corpus(opened)
    assert (
        unit.good == 1 and "This is the baseline: set baseline_s in xdf.yaml (0 for none)" in unit.recordings[0].error
    )


# ---------------------------------------------------------------- the synthetic corpus


@pytest.mark.journey
def test_a_flash_a_jump_and_a_response_of_the_skin_meet_in_the_store(tmp_path):
    """At 1 s of each trial; the second trial comes after a second of frames that the film lacks."""
    write_synthetic("xdf", tmp_path / "c", Settings(subjects=1, trials=2, seconds=2, mark_s=1.0, lost="film"))
    opened = open_corpus("xdf", tmp_path / "c")
    plain = PrepareConfig(frames_per_window=FPS, filter=False, baseline="none", face_side=32)
    assert prepare_store(opened, tmp_path / "store", plain).bad == []
    store = open_store(tmp_path / "store")
    names = [name for name, _ in store.settings["channels"]]
    for _, windows in store.windows.groupby("recording"):
        faces, ok, signals = store.read(windows.index)
        assert ok.all()
        bright = faces.reshape(-1, *faces.shape[2:]).mean((1, 2, 3))
        flash_s = (np.argmax(np.diff(bright)) + 1) / FPS
        x = np.concatenate(list(signals), axis=1)
        jump_s = np.argmax(np.abs(x[names.index("Fp1")]) > 500) / 128
        response_s = (np.argmin(np.diff(x[names.index("GSR")])) + 1) / 128  # a resistance: it falls
        assert abs(jump_s - 1.0) <= 2 / 128
        assert abs(flash_s - 1.0) <= 1 / FPS and abs(flash_s - jump_s) <= 1 / FPS
        assert abs(response_s - 1.0) <= 1 / 51.2


@pytest.mark.journey
def test_a_flash_is_at_its_time_where_the_stream_alone_lacks_frames(tmp_path):
    write_synthetic("xdf", tmp_path, Settings(subjects=1, trials=2, seconds=2, mark_s=1.0))
    opened = open_corpus("xdf", tmp_path)
    for recording in map(opened.inspect, opened.recordings("P001")):
        info = recording.video_info
        begin = recording.video_start_s
        numbers, _ = info.frames_at(begin + np.array([0.5, 1.5]))
        chosen = np.arange(*numbers)
        bright = [frame[::8, ::8].mean() for _, frame in read_frames(recording.video, chosen, info=info)]
        flash_s = info.times_s[chosen[np.argmax(np.diff(bright)) + 1]] - begin
        assert abs(flash_s - 1.0) <= 1 / FPS
        own_s = chosen[np.argmax(np.diff(bright)) + 1] / FPS + 0.21 - begin  # by the film's own constant rate
        assert abs(own_s - flash_s) < 0.01  # the film has every frame here


@pytest.mark.journey
def test_the_streams_of_the_synthetic_corpus_are_odd_in_the_ways_of_real_ones(tmp_path):
    config = Settings(subjects=2, trials=2, seconds=3, videos=0, odd=True, cut=True)
    write_synthetic("xdf", tmp_path, config)
    units = {u.name: u for u in check_corpus(open_corpus("xdf", tmp_path))}
    assert units["P001"].good == 2 and units["P002"].good == 1
    recording = units["P001"].recordings[0]
    signals = open_corpus("xdf", tmp_path).signals(recording)
    assert [c.name for c in signals.channels] == [*EEG, "GSR"]
    assert any("the file is cut" in w for w in units["P002"].recordings[0].warnings)
    _, at_s, kept = camera(config, 1)
    assert (~kept).sum() == 30 and (np.diff(at_s) >= 0).all()
    assert start_s(config, 2) - start_s(config, 1) == 10 and at_s[0] == pytest.approx(ZERO_S + 0.21, abs=0.01)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("streams:", "stream:"), r"expected settings that exist, found 'stream'. Did you mean streams\?"),
        (("channels: {Fp1: eeg, EDA: gsr}", "chanels: {}"), r"settings of streams.Amp that exist, .* mean channels\?"),
        (("Fp1: eeg", "Fp1: brain"), "a kind of eeg, .* for channel Fp1 of stream Amp"),
        (("  start: 'start (?P<stimulus>.+)'\n", ""), "expected `start` of markers, found none"),
        (("(?P<stimulus>.+)", "(?P<stimulus>.+"), r"a regular expression for markers.start, found .*untermin"),
        (("(?P<stimulus>.+)", "(?P<stimulos>.+)"), r"groups stimulus, trial in markers.start, .* mean stimulus\?"),
        (("[valence, arousal]", "[valence, arousel]"), "labels in markers.rating .*, found 'arousel'. Did you"),
        (("{json: [valence, arousal]}", "{}"), r"expected `json` or `pattern` of markers.rating, found neither"),
        (("{stem}.avi", "{file}.avi"), r"expected \{stem\} or \{base\} in frames.film, found \{file\}"),
        (("scale: [1, 9]}, arousal", "scale: 9}, arousal"), "expected label columns under `labels`"),
        (("baseline_s: 1", "baseline_s: -1"), "expected values of the right kind and size, found baseline_s"),
        (("baseline_s: 1", "subject: 'P(.*)'"), "expected a group .* in `subject`"),
        ((SETTINGS, "- a"), r"expected a name and a value in each line \(streams, markers"),
        ((SETTINGS, ""), "found nothing. `gbvnet table init FOLDER` drafts it"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_settings_is_named(change, message, tmp_path):
    assert change[0] in SETTINGS
    (tmp_path / "xdf.yaml").write_text(SETTINGS.replace(*change))
    with pytest.raises(BadRecording, match=message) as error:
        read_settings(tmp_path / "xdf.yaml")
    assert "\n" not in str(error.value)


def test_channels_of_one_name_in_two_streams(tmp_path):
    other = amp()
    other = WrittenStream("Wrist", "EDA", "pc", 128, "float32", other.stamps, other.values[:, 1:], (("EDA", "uS", ""),))
    settings = SETTINGS.replace("  Amp:", "  Wrist:\n    channels: {EDA: gsr}\n  Amp:")
    opened = corpus(tmp_path / "c", amp(), events(), other, settings=settings)
    assert [c.name for c in opened.channels] == ["Wrist:EDA", "Fp1", "Amp:EDA"]
    recording = opened.inspect(opened.recordings("anna")[0])
    signals = opened.signals(recording)
    assert np.array_equal(signals.samples[0], signals.samples[2])


# ---------------------------------------------------------------- the draft


@pytest.mark.journey
def test_table_init_lists_streams_and_drafts_settings_that_work(tmp_path, capsys):
    kept = np.arange(420)
    file = corpus(tmp_path / "c", amp(), events(), cam(kept, 0.3 + kept / 30), name="sub-anna_eeg.xdf").files[0]
    film(tmp_path / "c/sub-anna_webcam.avi", 420)
    (tmp_path / "c/xdf.yaml").unlink()
    assert main(["table", "init", str(file)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"Amp +EEG +pc +128 +128 +1,920 +0.0 - 15.0 +0 +2: Fp1, EDA in uV, uS", out)
    assert "nothing to fill in" in out
    draft = tmp_path / "c/xdf.yaml"
    draft.write_text(draft.read_text().replace("baseline_s: 3", "baseline_s: 1"))
    opened = Reader.open(tmp_path / "c")
    assert [c.name for c in opened.channels] == ["Fp1", "EDA"]
    recordings = [opened.inspect(r) for r in opened.recordings("anna")]
    assert [(r.stimulus, r.ratings["valence"], r.video.name) for r in recordings] == [
        ("a", 2.0, "sub-anna_webcam.avi"), ("b", 8.0, "sub-anna_webcam.avi")
    ]  # fmt: skip
    assert main(["table", "init", str(tmp_path / "c")]) == 2
    assert "expected no settings yet, found some" in capsys.readouterr().err


def test_what_a_draft_cannot_know_is_marked_and_works_once_it_is_filled_in(tmp_path, capsys):
    board = WrittenStream("obci_eeg1", "EEG", "pc", 128, "float32", amp().stamps, amp().values)
    pairs = [(2.0, "go"), (5.0, "over"), (5.5, "rating valence 3 arousal 2")]
    file = corpus(tmp_path / "c", board, events(pairs), name="anna.xdf").files[0]
    (tmp_path / "c/xdf.yaml").unlink()
    assert main(["table", "init", str(tmp_path / "c")]) == 0
    out, draft = capsys.readouterr().out, (tmp_path / "c/xdf.yaml").read_text()
    assert "6 lines to fill in" in out and "# FILL IN, to use it: the file has no names of its 2 channels" in draft
    with pytest.raises(BadRecording):
        Reader.open(tmp_path / "c")
    for old, new in (
        ("streams:\n", "streams:\n  obci_eeg1: {labels: [Fp1, EDA], channels: {Fp1: eeg}, unit: uV}\n"),
        ("'START(?P<stimulus>.*)'", "go"), ("'STOP.*'", "over"), ("[LOW, HIGH]", "[1, 5]"),
    ):  # fmt: skip
        assert old in draft
        draft = draft.replace(old, new)
    (tmp_path / "c/xdf.yaml").write_text(draft)
    (recording,) = Reader.open(tmp_path / "c").recordings("anna")
    assert recording.error is None and recording.ratings == {"valence": 3.0, "arousal": 2.0} and file.exists()


@pytest.mark.parametrize(
    ("markers", "start", "stop"),
    [
        (["v_f01_start", "v_f01_end", "v_f02_start", "v_f02_end"], r"v_(?P<stimulus>.+)_start", r"v_.*_end"),
        (["Start: joy", "Stop: joy", "Start: fear", "Stop: fear"], r"Start:\ (?P<stimulus>.+)", r"Stop:\ .*"),
        (["begin", "end"], "begin", "end"),
        (["restart", "1", "bending"], "", ""),
        ([json.dumps({"state": "started", "clip": c}) for c in "ab"], None, ""),
    ],
)  # fmt: skip
def test_patterns_are_guessed_from_markers(markers, start, stop):
    guessed = guess_pattern(markers, r"start|begin|onset", True)
    assert guess_pattern(markers, r"stop|end|offset|finish", False) == stop
    if start is not None:
        assert guessed == start
    else:
        assert [re.fullmatch(guessed, text)["stimulus"] for text in markers] == ["a", "b"]
    for one, other in pairwise(markers):  # a start's pattern fits no other marker
        assert not (
            start and re.fullmatch(guessed, one) and re.fullmatch(guess_pattern(markers, "stop|end", False), one)
        ), other


def test_ratings_are_guessed_from_markers():
    assert guess_rating(["x", '{"valence": 2, "note": "y", "arousal": 3}']).keys == (
        ("valence", "valence"), ("arousal", "arousal")
    )  # fmt: skip
    one = guess_rating(["rating: Arousal=3, valence=2.5"]).pattern.fullmatch("rating: arousal=7, VALENCE=-1.5")
    assert one.groupdict() == {"arousal": "7", "valence": "-1.5"}
    each = guess_rating(["valence 3", "arousal 4"]).pattern
    assert each.fullmatch("arousal 9").groupdict() == {"valence": None, "arousal": "9"}
    assert guess_rating(["hello", "valence high"]) is None


def test_a_file_that_is_no_xdf_has_no_draft(tmp_path):
    (tmp_path / "a.xdf").write_bytes(b"nothing")
    with pytest.raises(BadInput, match="found none; its first bytes are not XDF:"):
        write_draft(tmp_path / "a.xdf")
    assert not (tmp_path / "xdf.yaml").exists()


# ---------------------------------------------------------------- what is easily wrong

NO_FILM = SETTINGS.replace('frames: {stream: Cam, film: "{stem}.avi"}\n', "")


def timed(name, labels, rate_hz, late_s=0.0, seconds=15):
    """A stream whose values are seconds from T0 on."""
    t = T0 + late_s + np.arange(seconds * rate_hz) / rate_hz
    x = np.stack([t - T0] * len(labels), 1)
    return WrittenStream(name, "EEG" if rate_hz > 100 else "GSR", "pc", rate_hz, "float32", t, x, labels)


def test_a_second_is_the_same_whichever_streams_a_corpus_uses(tmp_path):
    skin = timed("Skin", (("EDA", "uS", "GSR"),), 32)
    amplifier = timed("Amp", (("Fp1", "uV", "EEG"),), 128, late_s=1.25)
    settings = NO_FILM.replace(", EDA: gsr", "")
    mine = corpus(tmp_path / "data", skin, amplifier, events(), settings=settings)
    one = mine.recordings("anna")[1]
    signals = mine.signals(mine.inspect(one))
    assert one.signal_times[0] == 8.0 and signals.samples[0][round(signals.onset)] == pytest.approx(8.0, abs=1e-4)
    opened = open_recording([one.signals], (Channel("Fp1", "eeg"),), 128, 1, times=Times(start_s=8.0, stop_s=11.0))
    alone = opened.signals(opened.inspect(opened.recording))
    at, there = round(alone.onset), round(signals.onset)
    assert np.array_equal(alone.samples[0][at : at + 384], signals.samples[0][there : there + 384])


def test_channels_of_one_name_in_a_stream_are_numbered_or_refused(tmp_path):
    labels = (("Fp1", "uV", "EEG"), ("EDA", "uS", "GSR"), ("Fp1", "uV", "EEG"))
    twice = timed("Amp", labels, 128)
    twice.values[:] = [1, 2, 3]
    mine = corpus(tmp_path / "data", twice, events(), settings=NO_FILM)
    with pytest.raises(BadRecording, match=r"expected one channel Fp1 in stream Amp .*Name all channels under labels"):
        mine.recordings("anna")
    file = read_xdf(tmp_path / "data/sub-anna_1.xdf")
    rows, _ = file.read([0, 1, 2], 2, 3, file.segments[0])
    assert len({*file.names}) == 3 and rows[:, 5].tolist() == [1, 2, 3]
    named = NO_FILM.replace("channels: {Fp1", "labels: [Fp1, EDA, Fp2]\n    channels: {Fp2")
    mine = corpus(tmp_path / "named", twice, events(), settings=named)
    assert mine.signals(mine.recordings("anna")[0]).samples[0][5] == 3


def test_whole_numbers_of_any_size_are_markers_without_a_point(tmp_path):
    codes = np.array([1000001, 1000002, 1000001, 1000002])
    at = T0 + np.array([2.0, 5.0, 8.0, 11.0])
    settings = NO_FILM.replace("  rating: {json: [valence, arousal]}\n", "")
    settings = settings.replace("'start (?P<stimulus>.+)'", "1000001").replace("'stop.*'", "1000002")
    for form in ("int32", "int64", "float32", "double64"):
        stream = WrittenStream("Events", "Markers", "pc", 0, form, at, codes[:, None])
        listed = corpus(tmp_path / form, amp(), stream, settings=settings).recordings("anna")
        assert [(r.signal_times[0], r.seconds) for r in listed] == [(2.0, 3.0), (8.0, 3.0)]


@pytest.mark.journey
def test_markers_and_frames_whose_clock_was_not_measured_are_reported(tmp_path):
    kept = np.arange(420)
    plain = events()
    unmeasured = WrittenStream("Events", "Markers", "stim", 0, "string", plain.stamps, plain.values, offset_s=None)
    mine = corpus(tmp_path, amp(), unmeasured, cam(kept, 0.3 + kept / 30, offset_s=None))
    film(tmp_path / "sub-anna_1.avi", 420)
    (note,) = mine.notes("anna")
    assert "stream Events (Markers) of stim has no clock offsets" in note
    warnings = mine.inspect(mine.recordings("anna")[0]).warnings
    assert any("stream Cam (videostream) of pc has no clock offsets" in warning for warning in warnings)
    assert not corpus(tmp_path, amp(), events(), cam(kept, 0.3 + kept / 30)).notes("anna")

"""The MAHNOB-HCI reader: the stimulus by its pulses, the video by the audio clock, channels by name, and what is wrong
with what."""

import json
import re
import shutil
import time

import mne
import numpy as np
import pytest

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig, SynthConfig
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.datasets.check import check_corpus, missing
from gbvnet.datasets.mahnob import CHANNELS, FILMS, pulses, read_bdf, read_span
from gbvnet.datasets.mahnob_session import read_gaze, read_session
from gbvnet.datasets.synthetic.mahnob import BDF, VIDEO_FPS, bdf_bytes, plan
from gbvnet.datasets.synthetic.writer import avi_bytes
from gbvnet.errors import BadRecording
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SMALL = SynthConfig(subjects=2, trials=2, seconds=2, videos=0, seed=1)
SIGNALS_ONLY = PrepareConfig(faces=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """2 subjects, 2 films of 2 and 3 s each, no videos; sessions 2 and 4 of the first, 132 and 134 of the other."""
    root = tmp_path_factory.mktemp("whole") / "mahnob"
    write_synthetic("mahnob", root, SMALL)
    return root


@pytest.fixture
def mine(whole, tmp_path):
    """A copy to corrupt."""
    return shutil.copytree(whole, tmp_path / "mahnob")


def recordings(root):
    corpus = open_corpus("mahnob", root)
    return {r.name: r for unit in corpus.units for r in corpus.recordings(unit)}


def checked(root):
    """Return every recording by name, with the warnings that opening its files gives."""
    return {r.name: r for unit in check_corpus(open_corpus("mahnob", root)) for r in unit.recordings}


def file(root, pattern, session=2):
    return next((root / f"Sessions/{session}").glob(pattern))


def edit(path, pattern, by):
    text, n = re.subn(pattern, by, path.read_text())
    assert n
    path.write_text(text)


def bdf(pulses_s=(30.0, 32.5), seconds=64, rate=256, rename=None, **changed):
    """A BDF whose channels hold noise of 10 about 100 times their place; `changed`: other content, None for none."""
    rng = np.random.default_rng(0)
    channels = {name: 100 * k + 10 * rng.standard_normal(seconds * rate) for k, name in enumerate(BDF)}
    status = np.full(seconds * rate, 1 << 20)
    for at in pulses_s:
        status[round(at * rate) : round(at * rate) + 20] += 16
    channels = channels | {"Status": status} | changed
    content = {(rename or {}).get(name, name): x for name, x in channels.items() if x is not None}
    return bdf_bytes(content, rate)


def put_bdf(root, session=2, **how):
    file(root, "*.bdf", session).write_bytes(bdf(**how))


def put_video(root, session=2, seconds=5.0, rate=VIDEO_FPS):
    """A grey video, called as the colour camera's are."""
    name = f"P1-Rec1-2009.07.09.17.53.46_C1 trigger _C_Section_{session}.avi"
    path = root / f"Sessions/{session}/{name}"
    path.write_bytes(avi_bytes([np.full((40, 60, 3), 120, np.uint8)] * round(seconds * rate), rate, 60, 40))
    return path


def set_frames(root, n, session=2):
    """Make session.xml tell of n frames."""
    path = root / f"Sessions/{session}/session.xml"
    begin = float(re.search(r'vidBeginSmp="([\d.]+)"', path.read_text())[1])
    sample = float(re.search(r'audBeginSmp="([\d.]+)"', path.read_text())[1])
    edit(path, r'vidEndSmp="[\d.]+"', f'vidEndSmp="{begin + n}"')
    edit(path, r'audEndSmp="[\d.]+"', f'audEndSmp="{sample + n / float(VIDEO_FPS) * 44100}"')


# ---------------------------------------------------------------- what is read


def test_the_38_channels_are_the_papers():
    # FIELD A.2: 32 EEG, then those that older code takes by their places 32, 33, 34, 40, 44 and 45 in the file
    assert [c.name for c in CHANNELS[32:]] == [list(BDF)[k] for k in (32, 33, 34, 40, 44, 45)]
    assert [c.name for c in CHANNELS[:32]] == list(BDF)[:32]
    assert [c.kind for c in CHANNELS] == ["eeg"] * 32 + ["ecg"] * 3 + ["gsr", "resp", "temp"]
    assert len(BDF) == 47


@pytest.mark.journey
def test_a_recording_knows_subject_film_ratings_and_where_the_stimulus_lies(whole):
    by_name = recordings(whole)
    assert list(by_name) == ["p01_s2", "p01_s4", "p02_s132", "p02_s134"]
    for trial in plan(SMALL):
        recording = by_name[f"p{trial.subject:02d}_s{trial.session}"]
        assert (recording.error, recording.stimulus, recording.trial) == (None, trial.film, str(trial.session))
        assert recording.ratings == trial.ratings
        assert set(recording.ratings) == {"valence", "arousal", "control", "predictability", "emotion"}
        assert recording.seconds == trial.seconds
    corpus = open_corpus("mahnob", whole)
    signals = corpus.signals(by_name["p01_s2"])
    assert (signals.onset, signals.rate_hz, signals.samples.shape[0]) == (30 * 256, 256, 38)
    assert signals.samples.shape[1] >= (30 + by_name["p01_s2"].seconds + 29) * 256
    assert (corpus.rate_hz, corpus.baseline_s, corpus.frames_per_s, corpus.synthetic) == (128, 3, 12, True)


@pytest.mark.journey
def test_neutral_and_tagging_sessions_are_counted_and_left_alone(whole):
    corpus = open_corpus("mahnob", whole)
    assert corpus.notes("p01") == ("1 neutral and 3 tagging sessions are not used",)
    assert corpus.notes("p02") == ()
    assert not {"p01_s1", "p01_s41", "p01_s45", "p01_s47", "p12_s1432", "p16_s1984"} & set(recordings(whole))


@pytest.mark.parametrize(
    ("root", "bdf", "kind"),
    [
        ('experimentType="emotion elicitation" isStim="1"', "Part_1_S_Trial1_emotion.bdf", "stimulus"),
        ('isStim="1"', "", "stimulus"),
        ("", "Part_1_S_Trial1_emotion.bdf", "stimulus"),
        ('isStim="0"', "", "neutral"),
        ('isStim="1"', "Part_1_N_Trial1_emotion.bdf", "neutral"),
        ('isStim="1"', "Part_1_S_Trial1_taggingImages2.bdf", "tagging"),
        ('experimentType="implicit tagging" isStim="1"', "", "tagging"),
        ("", "", "other"),
    ],
)
def test_the_kind_of_a_session_follows_from_its_type_its_file_and_isstim(tmp_path, root, bdf, kind):
    (tmp_path / "7").mkdir()
    (tmp_path / "7/session.xml").write_text(
        f'<session {root}><subject id="1"/><track type="Physiological" filename="{bdf}"/></session>'
    )
    assert read_session(tmp_path / "7").kind == kind


@pytest.mark.journey
def test_prepared_channels_are_those_of_a_plain_mne_script(whole, tmp_path):
    """Read, found, filtered and resampled by mne alone."""
    prepare_store(open_corpus("mahnob", whole), tmp_path / "store", SIGNALS_ONLY)
    store = open_store(tmp_path / "store")
    for trial in plan(SMALL):
        raw = mne.io.read_raw_bdf(file(whole, "*.bdf", trial.session), preload=True, verbose="ERROR")
        first, last = mne.find_events(raw, "Status", mask=0xFF, mask_type="and", verbose="ERROR")[:, 0]
        eeg, heart, slow = raw.ch_names[:32], ["EXG1", "EXG2", "EXG3"], ["GSR1", "Resp", "Temp"]
        raw.pick([*eeg, *heart, *slow])
        for names, low, high in ((eeg, 4, 45), (heart, 0.5, 45), (slow, None, 5)):
            how = {"order": 4, "ftype": "butter", "output": "sos"}
            raw.filter(low, high, picks=names, method="iir", iir_params=how, phase="zero", verbose="ERROR")
        raw.resample(128, method="polyphase", verbose="ERROR")
        x = raw.get_data()
        x[[name not in ("GSR1", "Temp") for name in raw.ch_names]] *= 1e6  # these are in ohm and degrees, all else in V
        x -= x[:, first // 2 - 3 * 128 : first // 2].mean(axis=1, keepdims=True)
        rows = np.flatnonzero(store.windows["recording"] == f"p{trial.subject:02d}_s{trial.session}")
        assert len(rows) == (last - first) // 256
        signals = store.read(rows, faces=False)[2]  # (W, 38, 128)
        wanted = np.stack([x[:, first // 2 + w * 128 :][:, :128] for w in range(len(rows))])
        error = np.abs(signals - wanted).max(axis=(0, 2)) / wanted.std(axis=(0, 2))
        assert error.max() < 1e-5, raw.ch_names[int(error.argmax())]


@pytest.mark.journey
def test_channels_are_taken_by_name_wherever_they_are_and_however_they_are_spelt(tmp_path):
    (tmp_path / "plain.bdf").write_bytes(bdf())
    order = np.random.default_rng(1).permutation(list(BDF))
    content = {"FP1": "Fp1"} | {str(name): str(name) for name in order if name != "Fp1"}
    rng = np.random.default_rng(0)
    held = {name: 100 * k + 10 * rng.standard_normal(64 * 256) for k, name in enumerate(BDF)} | {
        "Status": np.zeros(64 * 256)
    }
    (tmp_path / "other.bdf").write_bytes(bdf_bytes({new: held[old] for new, old in content.items()}, 256))
    one, other = (read_bdf(tmp_path / f"{name}.bdf")[0] for name in ("plain", "other"))
    np.testing.assert_array_equal(one, other)
    assert one.mean(axis=1).round(-1).tolist() == [100.0 * list(BDF).index(c.name) for c in CHANNELS]


# ---------------------------------------------------------------- pulses


def test_pulses_are_in_the_low_byte_whatever_the_amplifier_puts_above_it():
    status = np.full(1000, 7)  # it need not stay at 0
    status[:400] += 1 << 20  # a bit of the amplifier's own goes out in the middle
    status[100:130] += 16
    status[600] += 32
    assert pulses(status).tolist() == [100, 600]
    assert pulses(np.zeros(10)).tolist() == []


@pytest.mark.journey
@pytest.mark.parametrize(
    ("at", "message"),
    [
        ((), "0 pulses"),
        ((30.0,), r"1 pulse \(at 30\.0 s\)"),
        ((30.0, 31.0, 55.0), r"3 pulses \(at 30\.0 s, 31\.0 s, 55\.0 s\)"),
    ],
)
def test_a_bdf_without_two_pulses_is_refused_with_what_there_is(mine, at, message):
    put_bdf(mine, pulses_s=at)
    shutil.rmtree(mine / "Sessions/4")
    edit(mine / "Sessions/2/session.xml", 'mediaFile="[^"]+"', 'mediaFile="unknown.avi"')
    recording = recordings(mine)["p01_s2"]
    assert re.search(rf"expected two pulses on Status.*found {message}\. Without them", recording.error)
    assert recordings(mine)["p02_s132"].error is None  # the others go on


@pytest.mark.journey
def test_of_three_pulses_the_two_that_fit_the_film_are_taken_and_that_is_reported(tmp_path):
    path = tmp_path / "three.bdf"
    path.write_bytes(bdf(pulses_s=(3.0, 30.0, 40.0), seconds=70))
    span = read_span(path, 9.0)
    assert (span.start, span.stop) == (30 * 256, 40 * 256)
    [warning] = span.warnings
    assert "3 pulses (at 3.0 s, 30.0 s, 40.0 s) on Status" in warning and "9 s" in warning
    with pytest.raises(BadRecording, match="3 pulses"):
        read_span(path, 20.0)  # none fits


@pytest.mark.journey
def test_a_missing_status_channel_is_named(mine):
    put_bdf(mine, Status=None)
    assert "expected a channel Status, found none for Status among" in recordings(mine)["p01_s2"].error


@pytest.mark.journey
def test_missing_channels_are_named_with_what_is_near_them(mine):
    put_bdf(mine, rename={"GSR1": "GSR9"}, T8=None)
    error = checked(mine)["p01_s2"].error
    assert "expected 38 channels by name, found none for T8" in error
    assert "GSR1 (near it: GSR" in error


@pytest.mark.journey
def test_another_rate_is_resampled_with_a_warning_and_too_slow_a_one_refused(mine, tmp_path):
    put_bdf(mine, rate=512, pulses_s=(30.0, 32.0))
    put_bdf(mine, rate=64, session=4)
    by_name = recordings(mine)
    assert "the signals have 512 samples a second, not 256; they are resampled" in by_name["p01_s2"].warnings
    assert "expected 256 samples a second, found 64" in by_name["p01_s4"].error
    prepare_store(open_corpus("mahnob", mine), tmp_path / "store", SIGNALS_ONLY)
    assert (open_store(tmp_path / "store").windows["recording"] == "p01_s2").sum() == 2


@pytest.mark.journey
def test_flat_and_clipped_channels_are_warnings(mine):
    n = 64 * 256
    wave = 500 * np.sin(np.arange(n) / 20)
    put_bdf(mine, O1=np.zeros(n), Fz=np.clip(wave, -400, 400), EXG2=wave, Temp=np.repeat(33 + np.arange(64), 256))
    warnings = checked(mine)["p01_s2"].warnings
    assert "flat channels: O1" in warnings
    # |sin| is above 0.8 for 41 % of the time; the first sample of a crest does not stay yet
    assert [f for f in warnings if f.startswith("clipped")] == ["clipped channels: Fz (39.4%)"]


@pytest.mark.journey
@pytest.mark.parametrize(("content", "message"), [(b"", "0 bytes"), (b"\xffBIOSEMI" + b"x" * 9000, "cannot be read")])
def test_a_file_that_is_no_bdf_is_reported(mine, content, message):
    file(mine, "*.bdf").write_bytes(content)
    assert message in recordings(mine)["p01_s2"].error


@pytest.mark.journey
def test_a_bdf_that_is_cut_short_has_no_second_pulse_or_too_little_after_it(mine):
    for session, share in ((2, 0.4), (4, 0.8)):
        path = file(mine, "*.bdf", session)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    by_name = recordings(mine)
    cut = r"the file ends at {}\d s, its header says 6\d s"
    assert re.search(rf"found [01] pulses?.*; {cut.format(2)}", by_name["p01_s2"].error)
    assert by_name["p01_s2"].error.endswith("its site is down (docs/corpora/mahnob.md says whom to ask).")
    assert any("s of signals after the stimulus, not 30" in f for f in by_name["p01_s4"].warnings)
    assert any(re.match(cut.format(5), f) for f in by_name["p01_s4"].warnings)


@pytest.mark.journey
def test_short_signals_before_the_stimulus_are_a_warning_and_without_a_baseline_a_refusal(mine):
    put_bdf(mine, pulses_s=(20.0, 22.0))
    put_bdf(mine, pulses_s=(2.5, 4.5), session=4)
    by_name = recordings(mine)
    assert "20.0 s of signals before the stimulus, not 30" in by_name["p01_s2"].warnings
    assert "expected at least 3 s of signals before the stimulus, found 2.5 s" in by_name["p01_s4"].error


@pytest.mark.journey
def test_a_stimulus_of_another_length_than_its_film_is_reported(mine):
    put_bdf(mine, pulses_s=(30.0, 38.0), seconds=70)
    [warning] = [f for f in recordings(mine)["p01_s2"].warnings if "by its pulses" in f]
    assert warning.startswith("by its pulses the stimulus lasts 8.0 s; film ")


# ---------------------------------------------------------------- session.xml

BOMB = """<?xml version="1.0"?>
<!DOCTYPE session [<!ENTITY a "ha">{levels}]>
<session isStim="1" feltVlnc="&z;"><subject id="1"/></session>"""
LEVELS = "".join(
    f'<!ENTITY {b} "{f"&{a};" * 10}">'
    for a, b in zip("abcdefghijklmnopqrstuvwxy", "bcdefghijklmnopqrstuvwxyz", strict=True)
)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<session", "found a file that is no XML"),
        ("", "found a file that is no XML"),
        ("<movie/>", "expected a <session> with a <subject>, found a <movie>"),
        ("<session/>", "found a <session> without a <subject>"),
        ('<session><subject id="me"/></session>', "expected a subject with a number for its id, found 'me'"),
        (BOMB.format(levels=LEVELS), "XML that defines entities.*nothing of it was expanded"),
        ('<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><session>&x;</session>', "XML that defines entities"),
    ],
)
def test_a_bad_description_is_an_error_and_no_entity_is_expanded(mine, content, message):
    (mine / "Sessions/2/session.xml").write_text(content)
    start = time.perf_counter()
    refused = [r for r in recordings(mine).values() if r.error]
    assert time.perf_counter() - start < 5  # 10^25 laughs would take longer
    [bad] = refused
    assert bad.name == "p01_s2"
    assert re.search(message, bad.error)


def test_a_session_without_its_file_is_an_error(mine):
    (mine / "Sessions/2/session.xml").unlink()
    assert "No such file" in recordings(mine)["p01_s2"].error


@pytest.mark.parametrize(
    ("pattern", "by", "message"),
    [
        (r'feltVlnc="\d"', "", "expected feltVlnc, a rating from 1 to 9, found no such attribute"),
        (r'feltArsl="\d"', 'feltArsl="12"', "expected feltArsl, a rating from 1 to 9, found '12'"),
        (r'feltCtrl="\d"', 'feltCtrl="x"', "expected feltCtrl, a rating from 1 to 9, found 'x'"),
    ],
)
def test_a_rating_that_is_none_refuses_the_session(mine, pattern, by, message):
    edit(mine / "Sessions/2/session.xml", pattern, by)
    by_name = recordings(mine)
    assert message in by_name["p01_s2"].error
    assert by_name["p01_s4"].error is None


FELT = r'felt(Vlnc|Arsl|Ctrl|Pred|Emo)="\d+"'


def without_media(mine, session, *patterns):
    for pattern in patterns or ("*.bdf", "*.avi", "*.tsv"):
        for path in (mine / "Sessions" / str(session)).glob(pattern):
            path.unlink()


@pytest.mark.journey
def test_what_the_corpus_itself_never_had_is_a_message_and_no_error(mine, capsys):
    """As of the whole corpus' subject 12, of its session 1984, and of its stubs."""
    xml = "Sessions/{}/session.xml"
    edit(mine / xml.format(2), FELT, "")
    edit(mine / xml.format(132), r'mediaFile="[^"]*"', 'mediaFile=" "')
    without_media(mine, 132)
    edit(mine / xml.format(134), r"(?s)<track.*</track>|<track[^>]*/>", "")
    without_media(mine, 134)
    (mine / "Sessions/999").mkdir()
    corpus = open_corpus("mahnob", mine)
    assert corpus.units == ("p01",) and set(recordings(mine)) == {"p01_s4"}
    assert set(corpus.notes()) == {
        "1 neutral and 3 tagging and 1 empty sessions are not used",
        "sessions with a film without felt ratings (feltVlnc, feltArsl) are not used: 2 (2, 1432)",
        "sessions with a film without the film's name (mediaFile) are not used: 2 (132, 1984)",
        "sessions with a film without a colour video and a BDF, in session.xml as on the disk, are not used: 1 (134)",
    }
    assert main(["check", "mahnob", str(mine)]) == 0
    shown = capsys.readouterr().out
    assert "1 good recordings of 1 subjects, 0 with a video; 0 bad" in shown and "Traceback" not in shown
    assert "note sessions with a film without the film's name (mediaFile) are not used: 2 (132, 1984)" in shown


@pytest.mark.journey
def test_a_session_without_a_bdf_is_used_by_its_video(mine):
    put_video(mine)
    without_media(mine, 2, "*.bdf")
    recording = recordings(mine)["p01_s2"]
    assert recording.error is None and recording.signals is None and recording.video is not None
    assert any(f.startswith("no BDF: the video alone") for f in recording.warnings)


@pytest.mark.journey
def test_files_that_session_xml_names_and_that_are_absent_are_an_error_with_advice(mine):
    without_media(mine, 2)
    error = recordings(mine)["p01_s2"].error
    assert "expected a colour video or a BDF, found session.xml" in error
    assert "Take it from another copy of the corpus: its site is down" in error
    (mine / "Sessions/4/Part_1_S_Trial2_emotion.bdf").write_bytes(b"0" * 400)
    assert "its site is down" in recordings(mine)["p01_s4"].error


@pytest.mark.journey
def test_one_rating_of_the_two_is_a_damaged_file_and_no_lack(mine):
    edit(mine / "Sessions/2/session.xml", r'feltVlnc="\d"', 'feltVlnc=""')
    assert "expected feltVlnc, a rating from 1 to 9, found ''" in recordings(mine)["p01_s2"].error


def test_many_sessions_that_lack_the_same_are_counted(mine):
    for k in range(12):
        folder = mine / f"Sessions/{1434 + 2 * k}"
        folder.mkdir()
        shutil.copy(mine / "Sessions/1432/session.xml", folder)
    [line] = [note for note in open_corpus("mahnob", mine).notes() if "felt ratings" in note]
    assert line.endswith("are not used: 13 (1432, 1434, 1436, 1438, 1440, 1442, 1444, 1446 and 5 more)")


@pytest.mark.journey
def test_control_and_predictability_may_be_absent(mine):
    edit(mine / "Sessions/2/session.xml", r'felt(Ctrl|Pred)="\d"', "")
    assert set(recordings(mine)["p01_s2"].ratings) == {"valence", "arousal", "emotion"}


@pytest.mark.journey
@pytest.mark.parametrize(
    ("attribute", "emotion"),
    [
        ('feltEmo="12"', "anxiety"),
        ('feltEmo=" 0 "', "neutral"),
        ('feltEmo="11.0"', "amusement"),
        ('feltEmo="10"', None),  # unknown
        ('feltEmo=""', None),
        ("", None),
    ],
)
def test_the_felt_emotion_is_read_by_its_code_and_may_be_missing(mine, attribute, emotion):
    edit(mine / "Sessions/2/session.xml", r'feltEmo="\d+"', attribute)
    recording = recordings(mine)["p01_s2"]
    assert recording.error is None and recording.ratings.get("emotion") == emotion


@pytest.mark.parametrize("code", ["13", "-1", "joy", "1.5", "nan"])
def test_an_emotion_of_an_unknown_code_is_refused_with_the_file(mine, code):
    edit(mine / "Sessions/2/session.xml", r'feltEmo="\d+"', f'feltEmo="{code}"')
    error = recordings(mine)["p01_s2"].error
    assert f"Sessions/2/session.xml: expected feltEmo, a code from 0 to 12, found '{code}'" in error


# ---------------------------------------------------------------- video and clocks


@pytest.mark.journey
def test_the_stimulus_start_in_the_video_is_what_was_planted_to_within_a_frame(whole, mine):
    for name, recording in recordings(whole).items():
        assert recording.video is None and recording.video_start_s == 0, name
    for trial in plan(SMALL):
        put_video(mine, trial.session)
        recording = recordings(mine)[f"p{trial.subject:02d}_s{trial.session}"]
        assert abs(recording.video_start_s - trial.video_start_s) < 1 / 60.97 / 4  # the table has whole milliseconds
        assert recording.warnings == ()


def test_the_gaze_clock_is_tied_to_the_audio_clock_at_the_nearest_anchor_and_damaged_lines_are_passed_over(tmp_path):
    path = tmp_path / "gaze.tsv"
    lines = ["System", "\tx", "Timestamp\tNumber\tEvent\tAudioSampleNumber\t\t", "1000\t1\t\t500000\t\t"]
    lines += ["garbage", "\t\t\t", "1700\t2\tMovieStart\t\t\t", "x\ty\tMovieStart\tz", "\0\0\0", "2000.0\t3\t\t544000"]
    lines += ["3700\t4\tMovieEnd\t\t", "6000\t5\t\t721000\t"]
    path.write_bytes("\r\n".join(lines).encode("latin-1") + b"\r\n\xff\xfe\xe9\t")
    film = read_gaze(path, 44100)
    assert film.audio_sample == 544_000 - 0.3 * 44_100  # the anchors do not quite agree; the one at 2000 ms is nearest
    assert film.seconds == 2.0
    assert film.drift_s == pytest.approx(221_000 / 44_100 - 5.0)


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        (["a\tb"], "columns named so"),
        (["Timestamp\tEvent\tAudioSampleNumber", "1\t\t3"], "MovieStart"),
        (["Timestamp\tEvent\tAudioSampleNumber", "1\tMovieStart\t"], "AudioSampleNumber"),
    ],
)
def test_a_gaze_table_that_tells_too_little_says_what_is_missing(tmp_path, lines, missing):
    (tmp_path / "gaze.tsv").write_text("\n".join(lines))
    with pytest.raises(BadRecording, match=rf"found {len(lines)} lines without {missing}"):
        read_gaze(tmp_path / "gaze.tsv", 44100)


@pytest.mark.journey
def test_without_a_gaze_table_the_video_is_taken_from_its_begin_and_that_is_reported(mine):
    put_video(mine)
    file(mine, "*.tsv").unlink()
    recording = recordings(mine)["p01_s2"]
    assert (recording.error, recording.video_start_s) == (None, 0.0)
    [warning] = recording.warnings
    assert warning.startswith("expected a gaze table") and "by how much that is wrong is not known" in warning


@pytest.mark.journey
def test_clocks_that_disagree_by_more_than_two_frames_are_reported_with_the_difference(mine):
    put_video(mine)
    edit(file(mine, "*.tsv"), r"(\d+)((?:\t[^\t\n]*){20}\tMovieEnd)", lambda m: f"{int(m[1]) + 200}{m[2]}")
    [warning] = recordings(mine)["p01_s2"].warnings
    assert re.fullmatch(
        r"the stimulus' length: the pulses and the gaze table are 0\.(199|200|201) s \(12\.\d video frames\) apart",
        warning,
    )
    edit(mine / "Sessions/2/session.xml", 'audRate="44100"', 'audRate="48000"')
    assert any("its clock and the audio clock are" in f for f in recordings(mine)["p01_s2"].warnings)


@pytest.mark.journey
def test_a_video_is_on_session_xmls_clock_and_what_disagrees_is_reported(mine):
    put_video(mine, seconds=5, rate=61)  # 305 frames
    set_frames(mine, 305)
    recording = checked(mine)["p01_s2"]
    assert float(recording.video_info.fps) == 60.97
    assert recording.warnings == ()  # 5.000 and 5.002 s
    edit(mine / "Sessions/2/session.xml", 'vidRate="60.97"', 'vidRate="60.2"')
    warnings = "\n".join(checked(mine)["p01_s2"].warnings)
    assert (
        "the video says 61.000 frames a second and session.xml 60.2, which is used: 0.07 s apart at its end" in warnings
    )
    assert "the section's length in session.xml: video and audio are 0.06" in warnings
    set_frames(mine, 300)
    assert "the video has 305 frames, +5 than session.xml says" in "\n".join(checked(mine)["p01_s2"].warnings)
    edit(mine / "Sessions/2/session.xml", 'vidRate="60.2"', 'vidRate="600"')
    recording = checked(mine)["p01_s2"]
    assert float(recording.video_info.fps) == 61
    assert any("600 frames a second, which cannot be" in f for f in recording.warnings)


@pytest.mark.journey
def test_a_video_that_misses_a_part_of_the_stimulus_is_reported_and_one_that_misses_all_is_left_out(mine, tmp_path):
    put_video(mine, seconds=1.5)
    set_frames(mine, round(1.5 * VIDEO_FPS))
    put_video(mine, session=4, seconds=1)
    edit(
        mine / "Sessions/4/session.xml",
        r'audBeginSmp="([\d.]+)"',
        lambda m: f'audBeginSmp="{float(m[1]) + 60 * 44100}"',
    )
    by_name = checked(mine)
    assert any(re.search(r"the video ends [\d.]+ s before the stimulus", f) for f in by_name["p01_s2"].warnings)
    assert by_name["p01_s2"].video is not None
    assert by_name["p01_s4"].video is None and by_name["p01_s4"].error is None
    assert any("the video shows nothing of the stimulus" in f for f in by_name["p01_s4"].warnings)


@pytest.mark.journey
def test_without_the_colour_camera_the_signals_are_used_alone(mine):
    (mine / "Sessions/2/P1-Rec1-2009.07.09.17.53.46_BW1 _C_Section_2.avi").write_bytes(b"x")
    by_name = recordings(mine)
    assert by_name["p01_s4"].warnings == ("no colour video (C1 trigger): the signals alone",)
    assert by_name["p01_s2"].warnings == (
        "no colour video (C1 trigger): the signals alone; other cameras are not read: "
        "P1-Rec1-2009.07.09.17.53.46_BW1 _C_Section_2.avi",
    )


@pytest.mark.journey
def test_without_a_bdf_the_video_is_used_alone_and_without_both_there_is_nothing(mine):
    put_video(mine)
    for session in (2, 4):
        file(mine, "*.bdf", session).unlink()
    by_name = recordings(mine)
    assert by_name["p01_s2"].signals is None
    assert by_name["p01_s2"].seconds == pytest.approx(plan(SMALL)[0].seconds, abs=0.002)
    assert any(f.startswith("no BDF: the video alone") for f in by_name["p01_s2"].warnings)
    assert "expected a colour video or a BDF, found P1-Rec1-All-Data" in by_name["p01_s4"].error
    file(mine, "*.tsv").unlink()
    assert "expected a gaze table" in recordings(mine)["p01_s2"].error  # nothing tells the stimulus any more


@pytest.mark.journey
def test_two_files_of_a_kind_are_refused_unless_session_xml_names_one(mine):
    shutil.copy(file(mine, "*.bdf"), mine / "Sessions/2/copy.bdf")
    assert recordings(mine)["p01_s2"].error is None
    edit(mine / "Sessions/2/session.xml", r"Part_1_S_Trial1_emotion\.bdf", "Part_1_S_Trial9_emotion.bdf")
    assert "expected one file *.bdf, found 2" in recordings(mine)["p01_s2"].error


@pytest.mark.journey
def test_a_gaze_table_that_comes_later_has_its_recording_made_again(mine, tmp_path):
    gaze = file(mine, "*.tsv")
    aside = gaze.rename(tmp_path / "aside.tsv")
    put_video(mine)
    prepare_store(open_corpus("mahnob", mine), tmp_path / "store", SIGNALS_ONLY)
    aside.rename(gaze)
    summary = prepare_store(open_corpus("mahnob", mine), tmp_path / "store", SIGNALS_ONLY)
    assert (summary.n_prepared, summary.n_reused) == (1, 3)


# ---------------------------------------------------------------- the corpus


@pytest.mark.journey
def test_a_real_corpus_is_compared_with_the_real_films_and_missing_subjects_and_films_are_named(mine):
    (mine / "SYNTHETIC.json").unlink()
    corpus = open_corpus("mahnob", mine)
    assert not corpus.synthetic and corpus.films == FILMS and len(FILMS) == 20 and sum(FILMS.values()) == 1611
    film = recordings(mine)["p01_s2"].stimulus
    assert any(f"film {film} has {FILMS[film]} s" in f for f in recordings(mine)["p01_s2"].warnings)
    [_, unseen] = corpus.notes("p01")
    assert unseen.startswith("no session with 18 of the 20 films 58, earworm_f, 53") and unseen.count(",") == 17
    assert corpus.notes()[-1].startswith("no recording of p03, p04") and corpus.notes()[-1].endswith("p30")


@pytest.mark.journey
def test_check_shows_a_line_for_each_subject_the_unused_sessions_and_what_subjects_lack(mine, capsys):
    put_video(mine)
    assert main(["check", "mahnob", str(mine)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "ok   p01  2 of 2 recordings, 1 with a video" in shown
    assert "note p01  1 neutral and 3 tagging sessions are not used" in shown
    assert "note without a video: p02" in shown
    assert "note 1 of 2 subjects have both a video and signals" in shown
    assert shown[-1] == "4 good recordings of 2 subjects, 1 with a video; 0 bad"
    (mine / "Sessions/2/session.xml").write_text("<")
    assert main(["check", "mahnob", str(mine)]) == 1
    assert "BAD  p01_s2" in capsys.readouterr().out


@pytest.mark.journey
def test_check_ends_with_a_table_of_what_is_missing_and_why(mine, capsys):
    put_video(mine)
    file(mine, "*.bdf", 132).write_bytes(b"")
    assert main(["check", "mahnob", str(mine)]) == 1
    shown = capsys.readouterr().out.splitlines()
    start = shown.index("subject  found  good  video  signals  what is missing, and why")
    assert [line.split(maxsplit=5) for line in shown[start + 1 : -1]] == [
        ["p01", "2", "2", "1", "2", "1 without a video"],
        ["p02", "2", "1", "0", "1", "p02_s132: expected a BDF, found 0 bytes; 1 without a video"],
    ]
    (mine / "SYNTHETIC.json").unlink()  # a real one has 20 films for each
    assert "no session with 18 of the 20 films 58, " in missing(list(check_corpus(open_corpus("mahnob", mine))))[1][-1]


@pytest.mark.journey
def test_nothing_missing_is_no_table(whole):
    assert missing(list(check_corpus(open_corpus("mahnob", whole)))) == []


def test_no_corpus_says_what_is_missing(mine, tmp_path):
    with pytest.raises(BadRecording, match=r"Sessions: expected the folder of all sessions, found No such file"):
        open_corpus("mahnob", tmp_path)
    with pytest.raises(BadRecording, match="Give the folder above it"):
        open_corpus("mahnob", mine / "Sessions")
    for name in ("2", "4", "132", "134"):
        shutil.rmtree(mine / "Sessions" / name)
    with pytest.raises(BadRecording, match=r"found 6 sessions \(1 neutral, 3 tagging, 2 stimulus\); .*"):
        open_corpus("mahnob", mine)


def test_a_damaged_stamp_is_not_taken_for_a_real_corpus(mine):
    (mine / "SYNTHETIC.json").write_text(json.dumps({"stamp": "x"}))
    with pytest.raises(BadRecording, match="expected the stamp"):
        open_corpus("mahnob", mine)


@pytest.mark.journey
def test_files_that_macos_puts_beside_a_sessions_are_not_taken(mine):
    before = recordings(mine)
    for path in list((mine / "Sessions/2").iterdir()):
        path.with_name("._" + path.name).write_bytes(b"\0\5\x16\7")
    assert recordings(mine) == before

"""The synthetic MAHNOB-HCI: files as the real ones are, its promises, and flashes and pulses that must meet."""

import json
import re
import shutil
from dataclasses import replace
from fractions import Fraction

import mne
import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig, SynthConfig
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.datasets.mahnob import FILMS
from gbvnet.datasets.synthetic.mahnob import (
    BDF,
    SUBJECTS,
    VIDEO_FPS,
    Settings,
    _signals,
    bdf_bytes,
    heartbeats,
    plan,
    truth,
)
from gbvnet.errors import BadConfig, BadInput, BadModel, BadRecording
from gbvnet.io.landmark_model import landmark_model_path
from gbvnet.io.video import probe, read_frames
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SMALL = Settings(subjects=1, trials=1, seconds=1, seed=5)
MARKED = replace(SMALL, mark_s=0.5)


def needs_landmarks():
    try:
        landmark_model_path()
    except BadModel as e:
        return str(e)
    return ""


landmarks = pytest.mark.skipif(bool(needs_landmarks()), reason=needs_landmarks())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """One subject and film, filmed, with a flash and a jump at 0.5 s."""
    root = tmp_path_factory.mktemp("synth") / "mahnob"
    write_synthetic("mahnob", root, MARKED)
    return root


def content(root):
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


# ---------------------------------------------------------------- files


@pytest.mark.journey
def test_the_layout_and_the_names_are_the_real_ones(corpus):
    names = {str(f.relative_to(corpus)) for f in corpus.rglob("*") if f.is_file()}
    assert names == {
        "SYNTHETIC.json",
        "Sessions/1/session.xml",
        *(f"Sessions/{number}/session.xml" for number in (41, 45, 47, 1432, 1984)),
        "Sessions/2/session.xml",
        "Sessions/2/Part_1_S_Trial1_emotion.bdf",
        "Sessions/2/P1-Rec1-2009.07.09.17.53.46_C1 trigger _C_Section_2.avi",
        "Sessions/2/P1-Rec1-All-Data-New_Section_2.tsv",
    }


@pytest.mark.journey
def test_the_bdf_is_one_to_mne_with_47_channels_at_256_hz_in_their_units(corpus):
    raw = mne.io.read_raw_bdf(next(corpus.glob("Sessions/2/*.bdf")), verbose="ERROR")
    assert raw.ch_names == list(BDF) and len(BDF) == 47
    assert raw.info["sfreq"] == 256
    assert 61 <= raw.times[-1] + 1 / 256 <= 62  # 30 s, the film, 30 s up to a whole second
    assert set(raw.get_data("Status").ravel().tolist()) == {0, 16}  # the real ones stay at 0
    events = mne.find_events(raw, "Status", mask=0xFF, mask_type="and", verbose="ERROR")
    assert events[:, 2].tolist() == [16, 16]
    assert events[0, 0] == 7680  # as public prints of the real files have it
    assert (events[1, 0] - events[0, 0]) / 256 == plan(SMALL)[0].seconds
    assert raw.get_data("Temp").mean() == pytest.approx(33, abs=1)  # degrees
    assert 5e4 < raw.get_data("GSR1").mean() < 2e6  # ohm
    assert 100e-6 < np.abs(raw.get_data("Fp1")).max() < 0.1  # volts, as mne reads microvolts


@pytest.mark.journey
def test_what_is_written_is_what_is_read_back(tmp_path):
    channels = _signals(SMALL, plan(SMALL)[0])
    (tmp_path / "x.bdf").write_bytes(bdf_bytes(channels, 256))
    raw = mne.io.read_raw_bdf(tmp_path / "x.bdf", verbose="ERROR")
    for name, x in channels.items():
        scale = 1e6 if BDF[name] == "uV" else 1
        step = 1 if name == "Status" else 2**23 / 2**24 if BDF[name] == "Ohm" else 2**19 / 2**24
        read = raw.get_data(name)[0] * scale
        if name == "Status":
            x = x.astype(int) & (2**17 - 1)  # mne leaves the amplifier's own bits out
        assert np.abs(read - x).max() <= 0.51 * step, name


@pytest.mark.journey
def test_the_gaze_table_has_23_lines_of_header_and_is_read_as_public_code_reads_it(corpus):
    path = next(corpus.glob("Sessions/2/*.tsv"))
    table = pd.read_csv(path, sep="\t", skiprows=23)
    assert [c for c in table.columns if c.startswith("Unnamed")]  # each line ends with tabs, as in the real ones
    events = table.set_index("Event")["Timestamp"]
    assert events["MovieEnd"] - events["MovieStart"] == pytest.approx(1000 * plan(SMALL)[0].seconds, abs=1.01)
    anchors = table[table["AudioSampleNumber"].notna()]
    rate = np.polyfit(anchors["Timestamp"] / 1000, anchors["AudioSampleNumber"], 1)[0]
    assert rate == pytest.approx(44_100, rel=1e-3)


@pytest.mark.journey
def test_the_video_is_780_x_580_at_60_97_frames_a_second(corpus):
    info = probe(next(corpus.glob("Sessions/2/*.avi")))
    assert (info.width, info.height, info.fps) == (780, 580, Fraction(6097, 100))
    assert info.n_frames == plan(SMALL)[0].n_frames


def test_ratings_are_whole_and_never_undecided_films_and_video_starts_differ():
    config = Settings(subjects=8, trials=20, videos=0)
    trials = plan(config)
    for target in ("valence", "arousal"):
        ratings = [t.ratings[target] for t in trials]
        assert set(ratings) <= {1, 2, 3, 4, 6, 7, 8, 9}
        assert np.mean([r > 5 for r in ratings]) == 0.5
    assert {len({t.film for t in trials if t.subject == p}) for p in SUBJECTS[:8]} == {20}
    assert [t.film for t in trials[:20]] != [t.film for t in trials[20:40]]
    assert {round(t.seconds) for t in trials} == {6, 7, 8}
    assert len({t.video_start_s for t in trials}) > 150
    assert {t["film"] for t in truth(config)["truth"]} == set(FILMS)


@pytest.mark.journey
def test_the_same_settings_write_the_same_bytes_with_any_number_of_processes(corpus, tmp_path):
    write_synthetic("mahnob", tmp_path, MARKED, jobs=2)
    assert content(tmp_path) == content(corpus)


@pytest.mark.journey
def test_an_interrupted_corpus_is_completed(tmp_path):
    config = Settings(subjects=2, trials=1, seconds=1, videos=0)
    write_synthetic("mahnob", tmp_path / "whole", config)

    class Interrupted(Exception):
        pass

    def interrupt(done, total):
        if done == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        write_synthetic("mahnob", tmp_path / "x", config, progress=interrupt)
    assert not (tmp_path / "x/SYNTHETIC.json").exists()
    with pytest.raises(BadRecording, match="one that is not finished"):
        open_corpus("mahnob", tmp_path / "x")
    write_synthetic("mahnob", tmp_path / "x", config)
    assert content(tmp_path / "x") == content(tmp_path / "whole")


@pytest.mark.journey
def test_other_settings_and_other_corpora_are_refused(corpus, tmp_path):
    with pytest.raises(BadInput, match=r"expected mark_s None, found a corpus made with 0\.5"):
        write_synthetic("mahnob", corpus, SMALL)
    write_synthetic("deap", tmp_path, SynthConfig(subjects=1, trials=1, seconds=1, videos=0))
    with pytest.raises(BadInput, match="expected corpus mahnob, found a corpus made with None"):
        write_synthetic("mahnob", tmp_path, SynthConfig(subjects=1, trials=1, seconds=1, videos=0))
    with pytest.raises(BadRecording, match="data_preprocessed_python"):
        open_corpus("deap", corpus)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"subjects": 28}, "subjects must be 1 to 27 here, not 28"),
        ({"trials": 21}, "trials must be 1 to 20 here, not 21"),
        ({"evidence": ("T3",)}, "no EEG channel T3"),
    ],
)
def test_more_than_there_is_is_refused_before_anything_is_written(given, message, tmp_path):
    with pytest.raises(BadConfig, match=message):
        write_synthetic("mahnob", tmp_path / "x", SynthConfig(**given))
    assert not (tmp_path / "x").exists()


@pytest.mark.journey
def test_evidence_is_in_the_eeg_during_the_film_and_not_before():
    config = Settings(subjects=1, trials=8, seconds=20, fingerprint=0, videos=0)
    strong, weak = sorted(plan(config), key=lambda t: t.signals["arousal"])[:: len(plan(config)) - 1]

    def fast(trial, first_s, last_s):
        x = _signals(config, trial)["Cz"][round((30 + first_s) * 256) : round((30 + last_s) * 256)]
        power = np.abs(np.fft.rfft(x - x.mean())) ** 2
        hz = np.fft.rfftfreq(len(x), 1 / 256)
        return power[(hz > 16) & (hz < 40)].mean()

    assert fast(weak, 1, 19) > 3 * fast(strong, 1, 19)
    assert fast(weak, -20, -2) == pytest.approx(fast(strong, -20, -2), rel=0.5)


def test_hearts_beat_at_the_rate_that_is_set():
    time_s = np.arange(60 * 128) / 128
    ecg = heartbeats(time_s, 70.0, np.random.default_rng(0))
    beats = np.sum((ecg[1:-1] > 600) & (ecg[1:-1] >= ecg[:-2]) & (ecg[1:-1] > ecg[2:]))
    assert beats == pytest.approx(70, abs=2)


# ---------------------------------------------------------------- both clocks


def flash_s(recording):
    """When the video turns bright, on its own clock: the middle of the first bright frame's time and the last dark
    one's."""
    info = recording.video_info
    light = np.array([rgb[::8, ::8].mean() for _, rgb in read_frames(recording.video, np.arange(info.n_frames))])
    first = int(np.argmax(np.diff(light))) + 1
    assert light[first] > light[first - 1] + 20
    return (first - 0.5) / float(info.fps)


def jump_s(corpus, recording):
    """When the electrodes jump, on the signals' clock."""
    signals = corpus.signals(recording)
    x = signals.samples[:32]
    first = int(np.argmax((np.abs(np.diff(x, axis=1)) > 50).all(axis=0)))
    return (first - signals.onset) / signals.rate_hz


@pytest.mark.journey
def test_the_flash_is_where_the_clocks_say_to_within_a_frame(corpus):
    opened = open_corpus("mahnob", corpus)
    [recording] = [opened.inspect(r) for r in opened.recordings("p01")]
    assert abs(flash_s(recording) - recording.video_start_s - 0.5) < 0.55 / 60.97  # a frame's own length, and no more
    assert jump_s(opened, recording) == pytest.approx(0.5, abs=1 / 256)


@landmarks
@pytest.mark.journey
def test_a_flash_and_a_jump_land_in_the_same_window_in_every_recording(tmp_path):
    config = Settings(subjects=2, trials=2, seconds=2, seed=3)
    write_synthetic("mahnob", tmp_path / "mahnob", replace(config, mark_s=1.45), jobs=2)
    corpus = open_corpus("mahnob", tmp_path / "mahnob")
    summary = prepare_store(corpus, tmp_path / "store", PrepareConfig(face_side=32), jobs=2)
    assert summary.n_prepared == 4 and summary.bad == []
    late = {f"p{t.subject:02d}_s{t.session}" for t in plan(config) if t.video_start_s < -0.04}
    assert late
    assert {f.split(":")[0] for f in summary.warnings} == late  # only videos that begin after their film are reported
    starts = {t.session: t.video_start_s for t in plan(config)}
    assert np.ptp(list(starts.values())) > 0.5
    store = open_store(tmp_path / "store")
    assert store.settings["frames_per_window"] == 12 and len(store.settings["channels"]) == 38
    for name in store.recordings["recording"]:
        rows = np.flatnonzero(store.windows["recording"] == name)
        faces, ok, signals = store.read(rows)
        assert ok.all()
        light = faces.reshape(*faces.shape[:2], -1).mean(axis=2).ravel()  # of each frame, 12 a second
        bright = np.flatnonzero(light > np.median(light) + 25)
        assert bright.tolist() == [18, 19], name  # what is on show at 1.5 and 1.58 s, of 1.45 to 1.6
        swing = np.abs(signals[:, :32]).mean(axis=1).ravel()
        assert np.argmax(swing) / 128 == pytest.approx(1.48, abs=0.03), name
        [recording] = [r for u in corpus.units for r in corpus.recordings(u) if r.name == name]
        error = flash_s(corpus.inspect(recording)) - recording.video_start_s - jump_s(corpus, recording)
        assert abs(error) < 1 / float(VIDEO_FPS), name


@landmarks
@pytest.mark.journey
def test_from_the_command_line_to_a_cross_validation_over_subjects(tmp_path, capsys):
    def gbvnet(*words):
        assert main([*map(str, words)]) == 0
        return capsys.readouterr().out

    root, store, run = (tmp_path / name for name in ("mahnob", "store", "run"))
    size = ("--subjects", 3, "--trials", 2, "--seconds", 1)
    assert "3 subjects x 2 trials x 1 s" in gbvnet("synth", "mahnob", root, *size, "--jobs", 2)
    checked = gbvnet("check", "mahnob", root, "--jobs", 1)
    assert "6 good recordings of 3 subjects, 6 with a video; 0 bad" in checked
    assert "6 recordings prepared, 0 prepared before, 0 bad" in gbvnet(
        "prepare", "mahnob", root, store, "--face-side", 32
    )
    ridge = ("--system", "ridge", "--modality", "bio")
    shown = gbvnet("crossval", store, run, "--protocol", "subject", *ridge, "--folds", 3)
    assert "subject" in shown and "synthetic data" in shown
    assert len(json.loads((run / "splits.json").read_text())["folds"]) == 3
    chosen = tmp_path / "chosen"
    gbvnet("crossval", store, chosen, *ridge, "--folds", 2, "--subjects", "p01,p03")
    assert set(pd.read_parquet(chosen / "predictions.parquet")["subject"]) == {"p01", "p03"}


@landmarks
@pytest.mark.journey
def test_windows_before_a_late_videos_begin_have_no_face_and_none_is_lost(corpus, tmp_path):
    root = shutil.copytree(corpus, tmp_path / "mahnob")
    xml = root / "Sessions/2/session.xml"
    sample = float(re.search(r'audBeginSmp="([\d.]+)"', xml.read_text())[1])
    begin = sample + (plan(SMALL)[0].video_start_s + 0.45) * 44_100  # the video now begins 0.45 s after the film
    xml.write_text(re.sub(r'audBeginSmp="[\d.]+"', f'audBeginSmp="{begin}"', xml.read_text()))
    summary = prepare_store(
        open_corpus("mahnob", root), tmp_path / "store", PrepareConfig(face_side=32, window_s=0.2, frames_per_window=2)
    )
    assert any("the video begins 0.45 s after the stimulus" in f for f in summary.warnings)
    about = open_store(tmp_path / "store").recordings.iloc[0]
    assert about["n_windows"] == 5 and about["n_with_signals"] == 5
    assert about["frames_borrowed"] == 5  # those at 0, 0.1, 0.2, 0.3 and 0.4 s, from the first that there is

"""A visitor of the web page: answers, what is wrong in words, files that are gone afterwards. Without gradio."""

import json
import threading
import time

import av
import numpy as np
import pandas as pd
import pytest

from gbvnet.config import Times
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.synthetic.single_recording import write_single_recording
from gbvnet.errors import BadConfig, BadRecording
from gbvnet.inference.app import session
from gbvnet.inference.app.session import (
    PredictionRequest,
    Visitors,
    in_terms_of_page,
    parse_channel_names,
    process_request,
)
from gbvnet.inference.app.transcode import playable
from gbvnet.inference.predictor import Predictor
from gbvnet.io.video import probe

from ...app_fixtures import write_csv, write_model
from ...io.test_video import write_video
from ...timed_signals import write_vhdr


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(write_model(tmp_path_factory.mktemp("model") / "model"), "cpu")


@pytest.fixture
def predict(predictor, tmp_path):
    visitors = Visitors(tmp_path)

    def request(video=None, signals=(), names="", **times):
        folder = visitors.folder("somebody")
        result = process_request(
            predictor, PredictionRequest(video, signals, names, None, Times(**times)), folder, lambda share, what: None
        )
        assert not (folder / "files").exists()
        return result

    return request


# Answers


@pytest.mark.journey
def test_signals_give_a_row_a_window_and_files_to_download(predict, tmp_path):
    result = predict(signals=[write_csv(tmp_path / "mine.csv")])
    assert result.error == "" and result.channel_names is None and result.video is None
    table, page = (pd.read_csv(result.files[0], comment="#"), result.files[1].read_text())
    assert json.loads(result.files[2].read_text())["signals"] == "mine.csv"
    assert table["start_s"].tolist() == [0, 1, 2, 3, 4, 5]
    assert np.ptp(table["valence"]) > 1e-4
    assert "model trained on synthetic data" in page and "mine" in page
    later = pd.read_csv(predict(signals=[tmp_path / "mine.csv"], start_s=2, stop_s=5).files[0])
    assert later["start_s"].tolist() == [0, 1, 2]


@pytest.mark.journey
def test_two_at_once_get_what_each_gets_alone(predictor, tmp_path):
    files = [write_csv(tmp_path / f"{seed}.csv", seed=seed) for seed in (1, 2)]
    visitors, result = Visitors(tmp_path), {}

    def predict(visitor, file):
        request = PredictionRequest(None, [file])
        result[visitor] = process_request(
            predictor, request, visitors.folder(visitor), lambda share, what: None
        ).prediction.table["valence"]

    for file in files:
        predict(f"alone-{file.stem}", file)
    threads = [threading.Thread(target=predict, args=(f"{k}-{file.stem}", file)) for k in range(3) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not np.allclose(result["alone-1"], result["alone-2"], atol=1e-5)
    for visitor, table in result.items():
        assert np.allclose(table, result[f"alone-{visitor[-1]}"], atol=1e-6)


# Errors are shown in words


@pytest.mark.journey
def test_channels_that_are_missing_are_reported_with_near_names_and_a_form_to_complete(predict, tmp_path):
    file = write_csv(tmp_path / "mine.csv", names=("FP1", "Occ1", "EDA"))
    result = predict(signals=[file])
    assert "none for O1 (near it: Occ1); GSR" in result.error
    assert "Names of channels" in result.error and "--" not in result.error
    assert result.channel_names == "O1=Occ1\nGSR=EDA"
    assert predict(signals=[file], names="O1=Occ1\nGSR=EDA").error == ""
    half = predict(signals=[file], names="Fp1=FP1\nO1=nothing\nGSR=EDA")
    assert half.channel_names == "Fp1=FP1\nGSR=EDA\nO1=Occ1"
    assert "no such channel (near it: GSR)" in predict(signals=[file], names="GSR1=EDA").error
    assert "'what' : expected" not in (reports := predict(signals=[file], names="what").error)
    assert "'what': expected MODELNAME=FILENAME" in reports


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"hello", "notes.txt: expected a file of signals (.bdf"),
        ("none", b"hello", "found no ending"),
        ("eeg.edf", b"", "eeg.edf: expected a file of signals, found an empty file (0 bytes)"),
        ("eeg.edf", b"\0" * 500, "eeg.edf: expected a signal file that mne reads"),
        ("eeg.csv", b"\xff\xfe\0", "eeg.csv: expected a table of signals"),
        ("eeg.csv", b"Fp1,O1,GSR\n1,2,3\n4,5,6\n", "the box “Rate of a CSV”"),
        ("eeg.vmrk", b"x", "Give a face video, a file of signals, or both"),
    ],
)
def test_a_file_that_is_no_recording_is_reported(predict, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    result = predict(signals=[tmp_path / name])
    assert words in result.error
    assert str(tmp_path) not in result.error and "Traceback" not in result.error
    assert result.prediction is None and result.files == ()


def test_a_header_does_not_lead_to_files_of_the_server(predict, tmp_path):
    secret = tmp_path / "others" / "secret.eeg"
    secret.parent.mkdir()
    write_vhdr(secret.with_suffix(".vhdr"), {name: np.ones(999) for name in ("Fp1", "O1", "GSR")}, 128, [(1, "")])
    text = secret.with_suffix(".vhdr").read_text(encoding="utf-8")
    file = tmp_path / "mine.vhdr"
    file.write_text(text.replace("DataFile=secret.eeg", f"DataFile={secret}"), encoding="utf-8")
    assert "mine.vhdr: expected DataFile to be the name of an uploaded file" in predict(signals=[file]).error


@pytest.mark.journey
@pytest.mark.parametrize(("content", "words"), [(b"", "an empty file"), (b"\0" * 999, "film.mp4: expected")])
def test_a_video_that_is_none_is_reported(predict, tmp_path, content, words):
    (tmp_path / "film.mp4").write_bytes(content)
    assert words in predict(video=tmp_path / "film.mp4").error


@pytest.mark.journey
def test_a_video_without_a_face_is_reported(predict, tmp_path):
    film = write_video(tmp_path / "film.avi", 60, fps=25)
    assert "film.avi: expected a face in at least one of" in predict(video=film).error
    both = predict(video=film, signals=[write_csv(tmp_path / "mine.csv")])
    assert (
        both.error == "" and "no face in the whole video: predicted from the signals alone" in both.prediction.warnings
    )
    assert both.video is not None


@pytest.mark.journey
def test_too_short_too_many_and_too_late_are_reported(predict, tmp_path):
    short = tmp_path / "short.csv"
    short.write_text("".join(write_csv(tmp_path / "a.csv").read_text().splitlines(keepends=True)[:100]))
    assert "at least one window of 1 s, found 0.77" in predict(signals=[short]).error
    two = predict(signals=[tmp_path / "a.csv", write_csv(tmp_path / "b.csv")])
    assert "expected channel Fp1 in one of the files, found Fp1 in a.csv and Fp1 in b.csv" in two.error
    assert two.channel_names is None
    assert "ends at 6.00 s, requested from 7 s on" in predict(signals=[tmp_path / "a.csv"], start_s=7).error
    (tmp_path / "a.csv").unlink()
    assert "it was deleted. Upload it again." in predict(signals=[tmp_path / "a.csv"]).error
    assert predict().error == "Give a face video, a file of signals, or both"


def test_an_unexpected_error_shows_no_traceback(predict, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(session, "predict_recording", lambda *a, **k: 1 / 0)
    result = predict(signals=[write_csv(tmp_path / "mine.csv")])
    assert result.error == "Something went wrong here (ZeroDivisionError). The server's terminal has details."
    assert "division by zero" in caplog.text


def test_the_work_stops_when_the_visitor_has_gone(predictor, tmp_path):
    visitors = Visitors(tmp_path)
    reports = []

    def progress(share, what):
        reports.append(share)
        visitors.leave("anna")

    request = PredictionRequest(None, [write_csv(tmp_path / "mine.csv")])
    assert process_request(predictor, request, visitors.folder("anna"), progress).error == "Stopped."
    assert reports == [None]


def deleted_at(predictor, root, files, when):
    """What is left after a visitor has deleted all files at the `when`th report of progress."""
    visitors, reports = Visitors(root), []

    def progress(share, what):
        reports.append(what)
        if len(reports) == when:
            visitors.leave("anna")

    visitors.claim("anna", files)
    request = PredictionRequest(
        next((f for f in files if f.suffix == ".avi"), None), [f for f in files if f.suffix == ".csv"]
    )
    result = process_request(predictor, request, visitors.folder("anna"), progress)
    return result, reports, [f for f in root.rglob("*") if f.is_file()], visitors


@pytest.mark.journey
def test_nothing_is_left_whenever_a_visitor_deletes_all_files(predictor, tmp_path):
    def run(when):
        root = tmp_path / str(when)
        (root / "hash").mkdir(parents=True)
        files = [write_csv(root / "hash/mine.csv", 3), write_video(root / "hash/film.avi", 75, fps=25)]
        return deleted_at(predictor, root, files, when)

    result, reports, left, visitors = run(0)
    assert result.prediction is not None and len(left) == 6  # two uploads, three files to download, a copy of the video
    assert {"reading the files", "looking for faces: 3 of 3 windows", "converting the video"} <= set(reports)
    visitors.leave("anna")
    assert not any(f.is_file() for f in (tmp_path / "0").rglob("*"))
    for when in range(1, len(reports) + 1):
        result, _, left, visitors = run(when)
        assert (result.error, result.files, left) == ("Stopped.", (), []), reports[when - 1]
        assert visitors.folders == {} and visitors.claims == {}
        assert list((tmp_path / str(when)).iterdir()) == []


@pytest.mark.journey
@pytest.mark.parametrize("function", ["timeline_html", "atomic_write", "playable", "predict_recording"])
def test_nothing_is_left_by_a_step_during_which_a_visitor_left(predictor, tmp_path, monkeypatch, function):
    visitors, step = Visitors(tmp_path), getattr(session, function)

    def leaves_before(*args, **kwargs):
        visitors.leave("anna")
        return step(*args, **kwargs)

    def leaves_after(*args, **kwargs):
        made = step(*args, **kwargs)
        visitors.leave("anna")
        return made

    for leaving in (leaves_before, leaves_after):
        monkeypatch.setattr(session, function, leaving)
        (tmp_path / "hash").mkdir()
        files = [write_csv(tmp_path / "hash/mine.csv", 3), write_video(tmp_path / "hash/film.avi", 75, fps=25)]
        visitors.claim("anna", files)
        result = process_request(
            predictor, PredictionRequest(files[1], files[:1]), visitors.folder("anna"), lambda share, what: None
        )
        assert (result.error, list(tmp_path.iterdir())) == ("Stopped.", [])


@pytest.mark.journey
def test_leaving_at_any_moment_from_another_thread_leaves_nothing(predictor, tmp_path):
    visitors = Visitors(tmp_path)
    for delay in np.linspace(0, 0.2, 12):
        (tmp_path / "hash").mkdir()
        mine = write_csv(tmp_path / "hash/mine.csv", 2)
        visitors.claim("anna", [mine])
        timer = threading.Timer(delay, visitors.leave, ["anna"])
        folder = visitors.folder("anna")
        timer.start()
        process_request(predictor, PredictionRequest(None, [mine]), folder, lambda share, what: None)
        timer.join()
        assert list(tmp_path.iterdir()) == []


def test_a_recording_that_could_not_be_used_leaves_nothing_made_of_it(predictor, tmp_path):
    visitors = Visitors(tmp_path / "root")
    visitors.root.mkdir()
    (tmp_path / "bad.csv").write_text("x")
    folder = visitors.folder("anna")
    assert process_request(
        predictor, PredictionRequest(None, [tmp_path / "bad.csv"]), folder, lambda share, what: None
    ).error
    assert not folder.exists()


@pytest.mark.journey
def test_only_the_last_answer_is_kept(predictor, tmp_path):
    visitors, folders = Visitors(tmp_path / "root"), []
    visitors.root.mkdir()
    mine = write_csv(tmp_path / "mine.csv", 2)
    for _ in range(2):
        folders.append(visitors.folder("anna"))
        process_request(predictor, PredictionRequest(None, [mine]), folders[-1], lambda share, what: None)
        visitors.keep_last("anna", folders[-1])
    assert [folder.exists() for folder in folders] == [False, True]


def test_answers_and_uploads_go_after_their_time(tmp_path, monkeypatch):
    visitors, now = Visitors(tmp_path), time.time()
    mine, unused = (tmp_path / (letter * 64) / "mine.csv" for letter in "ab")
    for file in (mine, unused):
        file.parent.mkdir()
        write_csv(file, 1)
    folder, at_work = visitors.folder("anna"), visitors.folder("ben")
    visitors.claim("anna", [mine])
    visitors.keep_last("anna", folder)
    for later_s, left in ((0, 4), (400, 3), (3500, 3), (3700, 1)):
        monkeypatch.setattr(session.time, "time", lambda later_s=later_s: now + later_s)
        visitors.delete_older(3600)
        assert sum(f.exists() for f in (mine, unused, folder, at_work)) == left
    assert at_work.exists() and visitors.claims == {} and len(list(tmp_path.iterdir())) == 2


def test_names_are_lines_or_a_list():
    assert parse_channel_names("") == {}
    assert parse_channel_names("Fp1 = A\n\nO1=B, GSR=") == {"Fp1": "A", "O1": "B"}
    with pytest.raises(BadConfig, match="'=A': expected"):
        parse_channel_names("=A")


def test_errors_name_no_folder_of_the_server(tmp_path):
    message = in_terms_of_page(f"{tmp_path}/files/a.csv: give --rename Fp1=NAME, or --times.signals_rate_hz.", tmp_path)
    assert message == "a.csv: give Fp1=NAME in the box “Names of channels”, or the box “Rate of a CSV”."


# Files are gone afterwards


def test_what_two_share_stays_until_both_have_left(tmp_path):
    visitors = Visitors(tmp_path)
    (tmp_path / "hash").mkdir()
    upload = write_csv(tmp_path / "hash/mine.csv", 1)
    made = visitors.folder("anna")
    (made / "emotions.csv").write_text("x")
    visitors.claim("anna", [upload])
    visitors.claim("ben", [upload])
    visitors.leave("anna")
    assert upload.exists() and not made.exists()
    visitors.leave("ben")
    visitors.leave("ben")
    assert list(tmp_path.iterdir()) == []


def test_nothing_outside_the_servers_folder_is_claimed_or_made(tmp_path):
    (tmp_path / "root").mkdir()
    visitors, mine = Visitors(tmp_path / "root"), write_csv(tmp_path / "mine.csv", 1)
    visitors.claim("anna", [mine])
    folder = visitors.folder("../../anna")
    assert (tmp_path / "root") in folder.parents and "anna" not in str(folder.relative_to(tmp_path))
    visitors.leave("anna")
    assert mine.exists()


# A video that browsers play, and the example


@pytest.mark.journey
def test_what_browsers_play_is_left_alone_and_the_baseline_copied_small(tmp_path):
    plain = write_video(tmp_path / "a.mp4", 30)
    assert playable(plain, tmp_path / "b.mp4") == plain
    shares = []
    made = playable(write_video(tmp_path / "a.avi", 150, fps=50), tmp_path / "b.mp4", shares.append)
    info = probe(made)
    assert made == tmp_path / "b.mp4" and (info.n_frames, info.fps) == (150, 50)
    assert shares == [0, 1 / 3, 2 / 3]
    with av.open(str(made)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
    (tmp_path / "c.avi").write_bytes(b"no video at all")
    with pytest.raises(BadRecording, match=r"c\.avi"):
        playable(tmp_path / "c.avi", tmp_path / "d.mp4")


def test_a_telephones_picture_is_put_upright(tmp_path):
    made = playable(write_video(tmp_path / "a.mov", 5, b_frames=0, rotation=90), tmp_path / "b.mp4")
    assert (probe(made).width, probe(made).height) == (64, 144)


@pytest.mark.journey
def test_a_copy_for_browsers_keeps_the_times_of_the_frames(tmp_path):
    times = np.r_[np.arange(10) / 25 + 1.0, np.arange(10) / 25 + 3.0]  # from 1 s on, with a gap
    made = playable(write_video(tmp_path / "a.mkv", 20, fps=25, times_s=times), tmp_path / "b.mp4")
    info = probe(made)
    assert [info.time_s(k) for k in range(info.n_frames)] == pytest.approx([0, *times], abs=0.001)


@pytest.mark.journey
def test_the_example_has_the_models_channels_and_says_that_it_is_synthetic(tmp_path):
    names = {"GSR1": "gsr", "EXG1": "ecg", "Fp1": "eeg", "GSR": "gsr", "Plethysmograph": "ppg"}
    video, signals = write_single_recording(tmp_path, tuple(Channel(name, kind) for name, kind in names.items()))
    assert signals.read_text().startswith("# synthetic data: ")
    table = pd.read_csv(signals, comment="#")
    assert list(table) == ["time", *names]
    assert len(table) == 12 * 128 and table["time"].iloc[-1] == pytest.approx(12 - 1 / 128)
    assert probe(video).seconds == 12
    assert table["GSR1"].equals(table["GSR"]) and table["EXG1"].equals(table["Plethysmograph"])
    assert not table["GSR"].equals(table["Fp1"])

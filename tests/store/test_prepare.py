"""From raw files to a store: the same trial and second on both sides, nothing lost, nothing half done."""

import hashlib
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig, SynthConfig
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.deap import CHANNELS, RATINGS_FILE
from gbvnet.datasets.formats.raw_files import SAMPLES
from gbvnet.datasets.synthetic.deap import dat_bytes
from gbvnet.errors import BadModel, BadStore
from gbvnet.io.landmark_model import landmark_model_path
from gbvnet.store import writer
from gbvnet.store.format import read_header
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SIGNALS_ONLY = PrepareConfig(faces=False, filter=False, baseline="none")
SMALL = PrepareConfig(face_side=32, frames_per_window=2)


def needs_landmarks():
    try:
        landmark_model_path()
    except BadModel as e:
        return str(e)
    return ""


landmarks = pytest.mark.skipif(bool(needs_landmarks()), reason=needs_landmarks())


# ---------------------------------------------------------------- signals alone


@pytest.mark.journey
def test_a_window_holds_its_own_trial_and_second(deap, tmp_path):
    prepare_store(open_corpus("deap", deap), tmp_path / "store", SIGNALS_ONLY)
    store = open_store(tmp_path / "store")
    assert len(store) == 6 * 4 and store.synthetic
    row = store.windows.query("subject == 's02' and trial == '01' and window == 2").index  # row 1 of s02.dat
    signals = store.read(row, faces=False)[2][0]
    second = np.arange((3 + 2) * 128, (3 + 3) * 128)
    assert signals[7] == pytest.approx(2000 + 100 + 7 + second / 10000)


@pytest.mark.journey
def test_windows_carry_the_ratings_and_names_of_their_trial(deap, tmp_path):
    prepare_store(open_corpus("deap", deap), tmp_path / "store", SIGNALS_ONLY)
    windows = open_store(tmp_path / "store").windows
    one = windows.query("recording == 's01_trial01'").iloc[3]
    assert (one.stimulus, one.valence, one.arousal, one.familiarity, one.start_s) == ("03", 3.25, 6.5, 3.0, 3.0)
    assert not windows["has_face"].any() and windows["has_signals"].all()


@pytest.mark.journey
def test_a_bad_subject_does_not_stop_the_others_and_is_in_the_table(deap, tmp_path):
    (deap / "data_preprocessed_python/s01.dat").write_bytes(b"oops")
    summary = prepare_store(open_corpus("deap", deap), tmp_path / "store", SIGNALS_ONLY)
    assert (summary.n_prepared, len(summary.bad)) == (3, 1)
    store = open_store(tmp_path / "store")
    assert len(store) == 12
    bad = store.recordings[store.recordings["verdict"] == "bad"].iloc[0]
    assert bad.recording == "s01" and "4 bytes" in bad.reason


@pytest.mark.journey
def test_where_everything_is_bad_there_is_no_store_until_it_is_mended(deap, tmp_path, capsys):
    good = {file: file.read_bytes() for file in (deap / "data_preprocessed_python").glob("*.dat")}
    for file in good:
        file.write_bytes(b"oops")
    command = ["prepare", "deap", str(deap), str(tmp_path / "store"), "--faces", "false", "--jobs", "1"]
    assert main(command) == 1
    assert "no recording could be used, so this is no finished store" in capsys.readouterr().out
    assert main(["crossval", str(tmp_path / "store"), str(tmp_path / "run")]) == 2
    assert "all 2 of its recordings were refused" in capsys.readouterr().err
    for file, content in good.items():
        file.write_bytes(content)
    assert main(command) == 0
    assert len(open_store(tmp_path / "store")) == 24
    next(iter(good)).write_bytes(b"oops")  # one of two: what is good is kept
    assert main(command) == 1
    assert len(open_store(tmp_path / "store")) == 12


@pytest.mark.journey
def test_data_of_a_subject_taken_out_of_the_corpus_are_reported_with_their_files(deap, tmp_path, capsys):
    command = ["prepare", "deap", str(deap), str(tmp_path / "store"), "--faces", "false", "--jobs", "1"]
    assert main(command) == 0 and "not used" not in capsys.readouterr().out
    (deap / "data_preprocessed_python/s02.dat").unlink()
    assert main(command) == 0
    assert re.search(
        r"note .*data: 3 files \(s02_trial01\.safetensors, s02_trial02\..*\) of recordings .*may not be kept",
        capsys.readouterr().out,
    )
    for file in (tmp_path / "store/data").glob("s02*"):
        file.unlink()
    assert main(command) == 0 and "not used" not in capsys.readouterr().out
    assert len(open_store(tmp_path / "store")) == 12


@pytest.mark.journey
def test_a_second_run_does_nothing_again_and_changes_no_byte(deap, tmp_path):
    corpus = open_corpus("deap", deap)
    prepare_store(corpus, tmp_path / "store", SIGNALS_ONLY)
    before = contents(tmp_path / "store")
    summary = prepare_store(corpus, tmp_path / "store", SIGNALS_ONLY)
    assert (summary.n_prepared, summary.n_reused) == (0, 6)
    assert contents(tmp_path / "store") == before


@pytest.mark.journey
def test_a_recording_whose_raw_file_was_replaced_is_made_again(deap, tmp_path):
    prepare_store(open_corpus("deap", deap), tmp_path / "store", SIGNALS_ONLY)
    file = deap / "data_preprocessed_python/s01.dat"
    file.write_bytes(file.read_bytes() + b"\0")  # what follows the end of a pickle is not read
    summary = prepare_store(open_corpus("deap", deap), tmp_path / "store", SIGNALS_ONLY)
    assert (summary.n_prepared, summary.n_reused) == (3, 3)


@pytest.mark.journey
def test_a_raw_file_that_was_corrected_and_kept_its_size_is_prepared_again(deap, tmp_path):
    prepare_store(open_corpus("deap", deap), tmp_path / "store", SIGNALS_ONLY)
    file = deap / "data_preprocessed_python/s01.dat"
    held = pickle.loads(file.read_bytes())
    held["data"][0, 0, 3 * 128] += 1.0  # the first sample of the first stimulus
    size = file.stat().st_size
    file.write_bytes(pickle.dumps(held, protocol=2))
    assert file.stat().st_size == size
    rows = np.arange(24)
    before = open_store(tmp_path / "store").read(rows)[2]
    assert prepare_store(open_corpus("deap", deap), tmp_path / "store", SIGNALS_ONLY).n_prepared == 3
    change = open_store(tmp_path / "store").read(rows)[2] - before
    assert (change.max(), np.count_nonzero(change), np.count_nonzero(change[:, 0, 0])) == (1, 1, 1)


@pytest.mark.journey
def test_a_store_of_the_first_release_is_continued(deap, tmp_path):
    """Its recordings have the sizes of the raw files, and no samples of them."""
    prepare_store(open_corpus("deap", deap), tmp_path / "store", SIGNALS_ONLY)
    for name in ("s01_trial01", "s02_trial01"):
        file = tmp_path / f"store/data/{name}.safetensors"
        metadata = read_header(file)[1]
        assert metadata["sources"].pop(SAMPLES)
        writer.write_recording(tmp_path / "store", name, load_file(file), metadata)
    summary = prepare_store(open_corpus("deap", deap), tmp_path / "store", SIGNALS_ONLY)
    assert (summary.n_prepared, summary.n_reused) == (0, 6)


@pytest.mark.journey
def test_a_damaged_recording_is_made_again(deap, tmp_path):
    corpus = open_corpus("deap", deap)
    prepare_store(corpus, tmp_path / "store", SIGNALS_ONLY)
    before = contents(tmp_path / "store")
    file = tmp_path / "store/data/s01_trial01.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    assert prepare_store(corpus, tmp_path / "store", SIGNALS_ONLY).n_prepared == 1
    assert contents(tmp_path / "store") == before


@pytest.mark.journey
def test_other_settings_are_refused(deap, tmp_path):
    corpus = open_corpus("deap", deap)
    prepare_store(corpus, tmp_path / "store", SIGNALS_ONLY)
    with pytest.raises(BadStore, match=r"prepare\.window_s = 2\.0, found one made with 1\.0"):
        prepare_store(
            corpus, tmp_path / "store", PrepareConfig(faces=False, filter=False, baseline="none", window_s=2.0)
        )


@pytest.mark.journey
def test_a_full_disk_loses_nothing_and_is_reported_for_each(deap, tmp_path, monkeypatch):
    corpus, path = open_corpus("deap", deap), tmp_path / "store"
    usage = shutil.disk_usage
    full = lambda p: usage(p)._replace(free=0) if len(list((path / "data").iterdir())) >= 2 else usage(p)  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(writer.shutil, "disk_usage", full)
        summary = prepare_store(corpus, path, SIGNALS_ONLY)
    assert (summary.n_prepared, len(summary.bad)) == (2, 4)
    assert "free. Free some space and run again." in summary.bad[0]
    assert prepare_store(corpus, path, SIGNALS_ONLY).n_prepared == 4


def test_a_store_that_cannot_be_written_is_reported_before_any_work(deap, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", lambda *a, **k: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(BadStore, match="expected a folder that can be written, found Permission denied"):
        prepare_store(open_corpus("deap", deap), tmp_path / "store", SIGNALS_ONLY)


@pytest.mark.journey
def test_without_the_landmark_model_nothing_is_begun(tmp_path, monkeypatch, deap):
    (deap / "face_video/s01").mkdir(parents=True)
    (deap / "face_video/s01/s01_trial01.avi").touch()
    monkeypatch.setenv("GBVNET_CACHE", str(tmp_path / "nothing"))
    with pytest.raises(BadModel, match="gbvnet weights"):
        prepare_store(open_corpus("deap", deap), tmp_path / "store")
    assert not list((tmp_path / "store/data").iterdir())


@pytest.mark.journey
def test_overlapping_windows_and_other_lengths(deap, tmp_path):
    config = PrepareConfig(faces=False, filter=False, baseline="none", window_s=2, step_s=0.5, channels=("GSR", "Fp1"))
    prepare_store(open_corpus("deap", deap), tmp_path / "store", config)
    store = open_store(tmp_path / "store")
    assert store.windows.query("recording == 's01_trial01'")["start_s"].tolist() == [0, 0.5, 1, 1.5, 2]
    signals = store.read([1], faces=False)[2]
    assert signals.shape == (1, 2, 256)
    assert signals[0, :, 0] == pytest.approx([1200 + 36 + 448 / 10000, 1200 + 448 / 10000])  # 3.5 s at 128 Hz


# ---------------------------------------------------------------- faces too


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Synthetic DEAP with videos: 2 subjects, 3 trials of 2 s."""
    root = tmp_path_factory.mktemp("filmed") / "deap"
    write_synthetic("deap", root, SynthConfig(subjects=2, trials=3, seconds=2))
    return root


@pytest.fixture
def mine(filmed, tmp_path):
    """A copy to corrupt."""
    return shutil.copytree(filmed, tmp_path / "deap")


@landmarks
@pytest.mark.journey
def test_each_broken_video_is_reported_and_the_others_are_done(mine, tmp_path):
    folder = mine / "face_video/s01"
    whole = (folder / "s01_trial02.avi").read_bytes()
    (folder / "s01_trial01.avi").write_bytes(b"")
    (folder / "s01_trial02.avi").write_bytes(whole[: len(whole) // 2])
    write_video(folder / "s01_trial03.avi", [np.full((288, 360, 3), 90, np.uint8)] * 2)
    (mine / "face_video/s02/s02_trial09.avi").write_bytes(whole)
    summary = prepare_store(open_corpus("deap", mine), tmp_path / "store", SMALL)
    assert (summary.n_prepared, len(summary.bad)) == (3, 4)
    messages = "\n".join(summary.bad)
    for name in ("s01_trial01.avi", "s01_trial02.avi", "s01_trial03.avi", "s02_trial09.avi"):
        assert name in messages
    assert "expected a face in at least one of" in messages and "a name that belongs to none" in messages
    recordings = [r for unit in check_corpus(open_corpus("deap", mine)) for r in unit.recordings]
    assert sum(r.error is not None for r in recordings) == 3  # `check` does not look for faces


@landmarks
@pytest.mark.journey
def test_a_short_video_is_a_warning_and_its_last_windows_have_no_face(mine, tmp_path):
    stamp = json.loads((mine / "SYNTHETIC.json").read_text())
    file = mine / "face_video/s01/s01_trial01.avi"
    with av.open(file) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    (mine / "SYNTHETIC.json").write_text(json.dumps(stamp))
    write_video(file, frames[:40:40], rate=50, each=40)  # 0.8 s of 2
    summary = prepare_store(open_corpus("deap", mine), tmp_path / "store", SMALL)
    assert any("video is 0.8 s, 1.2 s shorter than its trial" in f for f in summary.warnings)
    windows = open_store(tmp_path / "store").windows.query("recording == 's01_trial01'")
    # 0.5 s is seen; 1.0 and 1.5 s borrow it, as both are within a second
    assert windows["has_face"].tolist() == [True, True]


@landmarks
@pytest.mark.journey
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(filmed, tmp_path):
    command = [sys.executable, "-m", "gbvnet", "prepare", "deap", str(filmed)]
    options = ["--face-side", "32", "--frames-per-window", "2", "--jobs", "2"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([*command, str(killed), *options], start_new_session=True, stderr=subprocess.DEVNULL)
    while not list(killed.glob("data/s*.safetensors")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (killed / "data/.s02_trial01.safetensors.abc.part").write_bytes(b"half a file")
    done = len(list(killed.glob("data/s*.safetensors")))
    assert done < 6 and not (killed / "windows.parquet").exists()
    with pytest.raises(BadStore, match="Run `gbvnet prepare` again"):
        open_store(killed)
    again = subprocess.run([*command, str(killed), *options], capture_output=True, text=True, check=True)
    assert f"{6 - done} recordings prepared, {done} prepared before, 0 bad" in again.stdout
    prepare_store(open_corpus("deap", filmed), whole, SMALL)
    assert contents(killed) == contents(whole)


@landmarks
@pytest.mark.journey
def test_the_real_layout_brings_face_and_signals_of_one_trial_and_second_together(tmp_path):
    """2 subjects, .dat of full size as Python 2 wrote it, two videos of 60 s each, no stamp.

    The red of a frame tells the trial, its blue and its brightness the second; the value of a sample tells the row
    and the second.
    """
    root = tmp_path / "deap"
    order = real_layout(root)
    assert prepare_store(open_corpus("deap", root), tmp_path / "store", fakes_config(), jobs=2).bad == []
    store = open_store(tmp_path / "store")
    assert not store.synthetic and len(store) == 2 * 40 * 60
    filmed = np.flatnonzero(store.windows["has_face"])
    assert len(filmed) == 2 * 2 * 60
    faces, ok, signals = store.read(filmed)
    assert ok.all()
    windows = store.windows.iloc[filmed]
    for i, window in enumerate(windows.itertuples()):
        row = order[window.subject].index(int(window.trial))  # Experiment_id - 1
        assert window.stimulus == f"{row + 1:02d}"
        second = 3 + window.window
        assert signals[i, 5] == pytest.approx(row * 100 + np.arange(second * 128, second * 128 + 128) / 128, abs=0.01)
    colours = faces[:, :, 12:20, 10:22].reshape(len(filmed), -1, 3).mean(axis=1)  # of cheeks and nose
    red, green, blue = colours.T
    for name, mine in windows.reset_index(drop=True).groupby("recording"):
        at, second, trial = mine.index.to_numpy(), mine["window"].to_numpy(), int(name[-2:])
        assert red[at] / green[at] == pytest.approx(TRIAL_RED[trial], abs=0.05), name
        assert blue[at] / green[at] == pytest.approx(BLUE[second % 8], abs=0.045), name
        assert green[at] / green[at].max() == pytest.approx(BRIGHT[second // 8], abs=0.03), name


TRIAL_RED = {1: 0.5, 2: 0.75, 3: 1.0}
BLUE = np.linspace(0.3, 1.0, 8)
BRIGHT = np.linspace(1.0, 0.5, 8)


def fakes_config():
    return PrepareConfig(face_side=32, frames_per_window=2, filter=False, baseline="none")


def real_layout(root: Path) -> dict[str, list[int]]:
    """Return for each subject the Trial of Experiment_id 1 to 40."""
    import cv2
    from matplotlib import cbook, image

    with cbook.get_sample_data("grace_hopper.jpg") as f:
        portrait = image.imread(f)[:440, 60:460]
    grey = cv2.resize(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY), (320, 352)).astype(np.float32)
    rng = np.random.default_rng(5)
    order, rows = {}, []
    for p in (1, 2):
        name = f"s{p:02d}"
        order[name] = (rng.permutation(40) + 1).tolist()
        labels = rng.uniform(1, 9, (40, 4)).round(2)
        data = np.zeros((40, len(CHANNELS), 63 * 128))
        data += (np.arange(40) * 100)[:, None, None] + np.arange(63 * 128) / 128
        (root / "data_preprocessed_python").mkdir(parents=True, exist_ok=True)
        (root / f"data_preprocessed_python/{name}.dat").write_bytes(dat_bytes(data, labels))
        rows += [[p, order[name][i], i + 1, 0, *labels[i], 3] for i in range(40)]
        (root / f"face_video/{name}").mkdir(parents=True)
        for trial in (1, p + 1):
            tints = [np.float32([TRIAL_RED[trial], 1.0, BLUE[s % 8]]) * BRIGHT[s // 8] for s in range(60)]
            frames = [(grey[..., None] * tint).round().astype(np.uint8) for tint in tints]
            write_video(root / f"face_video/{name}/{name}_trial{trial:02d}.avi", frames, rate=50, each=50)
    columns = "Participant_id Trial Experiment_id Start_time Valence Arousal Dominance Liking Familiarity".split()
    (root / "metadata_csv").mkdir()
    pd.DataFrame(rows, columns=columns).sort_values(["Participant_id", "Trial"]).to_csv(
        root / RATINGS_FILE, index=False
    )
    return order


def write_video(path: Path, frames, rate: int = 50, each: int = 50) -> None:
    """Each picture for `each` frames, H.264 in AVI."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "veryfast", "bf": "2", "crf": "12"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        stream.thread_count = 1
        for i, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv444p")
            for k in range(each):
                frame.pts = i * each + k
                container.mux(stream.encode(frame))
        container.mux(stream.encode())


def contents(store: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in (store / "data").iterdir()}

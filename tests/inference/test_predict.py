"""A model and a recording: the same windows as in training; what is missing is reported, what is wrong is refused."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import edfio
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import gbvnet
from gbvnet.cli.main import main
from gbvnet.config import CrossvalConfig, GBVNetConfig, ModelConfig, PrepareConfig, SynthConfig, Times, TrainConfig
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.datasets.recording import Channel, Recording
from gbvnet.datasets.single_recording import SingleRecording, open_recording
from gbvnet.errors import BadConfig, BadModel, BadRecording
from gbvnet.experiments.crossval import cross_validate
from gbvnet.inference import batch as batch_module
from gbvnet.inference.batch import CorpusSource, FileSource, PredictionSettings, PredictionTask, predict_many
from gbvnet.inference.predict import cached_predictor, predict_files, predict_recording
from gbvnet.inference.prediction import face_flags, signal_flags
from gbvnet.inference.predictor import Predictor
from gbvnet.network.checkpoint.checkpoint import load_model, save_model
from gbvnet.network.checkpoint.folder import fingerprint
from gbvnet.network.model import GBVNet
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store
from gbvnet.systems.gbvnet import model_metadata

from .. import app_fixtures as app_fixtures
from ..io.test_video import write_video

RATE = 200
NAMES = {"EEG FP1-REF": "eeg", "O1": "eeg", "GSR1": "gsr"}


def write_edf(path, seconds=12.0, names=NAMES, seed=0, rate=RATE):
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    made = []
    for name, kind in names.items():
        x = 20 * rng.standard_normal(n) if kind == "eeg" else 5 + np.cumsum(rng.standard_normal(n)) / 50
        made.append(edfio.EdfSignal(x, rate, label=name, physical_dimension="uV" if kind == "eeg" else "uS"))
    edfio.Edf(made, data_record_duration=0.5).write(path)
    return path


def make_model(folder, store, modality="bio", dropout=0.1, **about):
    """An untrained network that knows how a store was made."""
    config = CrossvalConfig(modality=modality, target="valence")
    s, n_channels = store.settings, max(1, len(store.settings["channels"]))
    torch.manual_seed(0)
    network = GBVNet(
        GBVNetConfig(variant="micro", modality=modality, modality_dropout=dropout, n_channels=n_channels,
                     n_samples=s["samples_per_window"], n_frames=max(1, s["frames_per_window"]))
    )  # fmt: skip
    with torch.no_grad():
        network.head[-1].weight *= 30  # so that it says something of what it sees
    if s["channels"]:
        x = store.read(np.arange(len(store)), faces=False)[2]
        network.fit_normaliser(*(torch.from_numpy(f(x, axis=(0, 2))).float() for f in (np.mean, np.std)))
    save_model(folder, network, model_metadata(store, config, np.arange(len(store))) | about)
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of one trial, from 4 to 10 s of a signal file, its store, and a model made for it."""
    root = tmp_path_factory.mktemp("table")
    write_edf(root / "x.edf")
    (root / "recordings.csv").write_text("subject,trial,signals,start_s,stop_s,valence\nanna,1,x.edf,4,10,7\n")
    prepare_store(open_corpus("table", root), root / "store", PrepareConfig(faces=False))
    make_model(root / "model", open_store(root / "store"))
    return root


def html_text(file):
    """The words of a timeline, without the plotting library."""
    return re.sub(r"<(script|style).*?</\1>", "", file.read_text(), flags=re.DOTALL)


def predict_into(model, files, out, *, times=None, corpus=None, recordings=(), subjects=(), overwrite=False, jobs=1,
                 **settings):  # fmt: skip
    """predict_many of files, or of recordings of a corpus in the first of them."""
    files = [Path(f) for f in files]
    source = CorpusSource(corpus, files[0], recordings, subjects) if corpus else FileSource(files, times)
    return predict_many(model, source, out, PredictionSettings(**settings), overwrite=overwrite, jobs=jobs)


def predict(table, files, out, **options):
    return predict_into(table / "model", files, out, **options)


# The same windows as in training


@pytest.mark.journey
def test_a_file_by_itself_gives_what_the_same_file_gives_in_a_table(table, tmp_path):
    store = open_store(table / "store")
    wanted = Predictor(table / "model").predict_windows(None, None, store.read(np.arange(6))[2]).values[:, 0]
    done = predict(table, [table / "x.edf"], tmp_path / "out", times=Times(start_s=4, stop_s=10))
    assert done.bad == 0
    written = pd.read_csv(tmp_path / "out/emotions.csv")
    assert written["start_s"].tolist() == [0, 1, 2, 3, 4, 5]
    assert written["valence"].to_numpy() == pytest.approx(
        wanted, abs=1e-4
    )  # of another filter edge: the table has 10 s
    by_table = predict(table, [table], tmp_path / "of-table", corpus="table")
    assert by_table.bad == 0
    again = pd.read_csv(tmp_path / "of-table/anna_1/emotions.csv")
    assert again["valence"].to_numpy() == pytest.approx(wanted, abs=1e-5)
    assert np.ptp(wanted) > 1e-3


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """2 synthetic subjects with 4 trials of 2 s, their store, and a fold's model."""
    root = tmp_path_factory.mktemp("filmed")
    write_synthetic("deap", root / "deap", SynthConfig(subjects=2, trials=4, seconds=2, seed=1))
    prepare_store(open_corpus("deap", root / "deap"), root / "store", PrepareConfig(face_side=32, frames_per_window=3))
    config = CrossvalConfig(
        folds=2, target="valence", model=ModelConfig(variant="micro"),
        train=TrainConfig(epochs=1, batch_size=4, device="cpu"),
    )  # fmt: skip
    cross_validate(open_store(root / "store"), root / "run", config)
    return root


@pytest.mark.journey
def test_a_window_is_given_what_its_cross_validation_gave_it(filmed, tmp_path):
    reports = pd.read_parquet(filmed / "run/predictions.parquet").query("fold == 1")
    names = tuple(reports["recording"].unique())
    done = predict_into(
        filmed / "run/fold01/valence/model", [filmed / "deap"], tmp_path / "out", corpus="deap", recordings=names
    )
    assert done.bad == 0
    for name in names:
        written = pd.read_csv(tmp_path / "out" / name / "emotions.csv")
        mine = reports[reports["recording"] == name].sort_values("window")
        assert written["valence"].to_numpy() == pytest.approx(mine["p"].to_numpy(), abs=1e-5)
        assert written["gate_face"].to_numpy() == pytest.approx(mine["gate_face"].to_numpy(), abs=1e-5)
        assert (written["face_ok"] == 1).all() and written["has_signals"].all()
    about = json.loads((tmp_path / "out" / names[0] / "recording.json").read_text())
    assert about["stamps"] == ["model trained on synthetic data"]
    assert about["video"].endswith(".avi") and about["seconds"] == 2
    page = (tmp_path / "out" / names[0] / "timeline.html").read_text()
    assert "synthetic data" in page and "data:image/png" in page and 'src="http' not in page
    assert (tmp_path / "out" / names[0] / "timeline.png").stat().st_size > 10_000


@pytest.mark.journey
def test_a_video_alone_is_done_without_signals_and_that_is_reported(filmed, tmp_path):
    model, video = filmed / "run/fold01/valence/model", filmed / "deap/face_video/s01/s01_trial01.avi"
    done = predict_into(model, [video], tmp_path / "out")
    assert done.bad == 0 and any("no signals: predicted from the face" in line for line in done.lines)
    written = pd.read_csv(tmp_path / "out/emotions.csv")
    assert len(written) == 2 and written["valence"].notna().all() and not written["has_signals"].any()
    assert written["gate_face"].isna().all() and written["gate_bio"].isna().all()  # nothing to weigh a face against
    assert "gate" not in html_text(tmp_path / "out/timeline.html")
    assert (written["stamps"] == "model trained on synthetic data").all()  # without any option for comment lines
    assert (written["worth"] == "never tested on unseen subjects").all()
    assert "never tested on unseen subjects" in json.loads((tmp_path / "out/recording.json").read_text())["worth"]


# What is wrong with a recording


@pytest.mark.journey
def test_channels_under_other_names_are_detected_renamed_or_reported_with_near_ones(table, tmp_path):
    write_edf(tmp_path / "same.edf", names={"Fp1": "eeg", "EEG O1-LE": "eeg", "GSR1": "gsr", "extra": "eeg"})
    assert predict(table, [tmp_path / "same.edf"], tmp_path / "a").bad == 0
    other = write_edf(tmp_path / "other.edf", names={"Fp1": "eeg", "O1": "eeg", "EDA": "gsr", "GSR2": "gsr"})
    with pytest.raises(BadRecording, match=r"none for GSR1 \(near it: GSR2\).*--rename GSR1=NAME"):
        predict(table, [other], tmp_path / "b")
    assert predict(table, [other], tmp_path / "b", rename={"GSR1": "EDA"}).bad == 0
    with pytest.raises(BadConfig, match=r"--rename GSR: the model has no such channel \(near it: GSR1\)"):
        predict(table, [other], tmp_path / "c", rename={"GSR": "EDA"})


@pytest.mark.journey
def test_order_of_channels_in_the_file_does_not_matter(table, tmp_path):
    raw = {name: kind for name, kind in reversed(NAMES.items())}
    one = write_edf(tmp_path / "one.edf", seed=3)
    edf = edfio.read_edf(one)
    edfio.Edf(list(reversed(edf.signals))).write(tmp_path / "two.edf")
    assert list(raw) != list(NAMES)
    for name in ("one", "two"):
        predict(table, [tmp_path / f"{name}.edf"], tmp_path / name)
    a, b = (pd.read_csv(tmp_path / name / "emotions.csv")["valence"] for name in ("one", "two"))
    assert a.to_numpy() == pytest.approx(b.to_numpy(), abs=1e-5)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.edf", b"", "expected a signal file that mne reads"),
        ("x.edf", b"0" * 300, "expected a signal file that mne reads"),
        ("x.csv", b"Fp1,O1,GSR1\n1,2,3\n", "expected a column time"),
        ("x.csv", b"\x00\xff\x00", "expected a table of signals"),
        ("x.mp4", b"", "expected a video"),
        ("x.mp4", b"nothing at all" * 99, "expected a video"),
    ],
)
def test_a_corrupt_or_empty_file_is_reported(table, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    try:
        done = predict(table, [tmp_path / name], tmp_path / "out")
        message = "\n".join(done.lines)
        assert done.bad == 1
    except (BadRecording, BadConfig) as error:
        message = str(error)
    assert message in message
    assert not (tmp_path / "out/emotions.csv").exists()


@pytest.mark.journey
def test_signals_shorter_than_a_window_or_over_before_the_start_are_reported(table, tmp_path):
    write_edf(tmp_path / "short.edf", seconds=0.5)
    assert (
        "at least one window of 1 s, found 0.5 s" in predict(table, [tmp_path / "short.edf"], tmp_path / "o").lines[0]
    )
    late = predict(table, [table / "x.edf"], tmp_path / "o", times=Times(start_s=30))
    assert late.bad == 1 and "expected a recording that is not over" in late.lines[0]


@pytest.mark.journey
def test_signals_that_end_within_the_first_window_of_a_longer_film_are_reported(tmp_path):
    model, signals = app_fixtures.write_model(tmp_path / "m"), app_fixtures.write_csv(tmp_path / "x.csv", seconds=6)
    film = write_video(tmp_path / "film.mp4", 120, fps=10)
    with_film = predict_into(model, [film, signals], tmp_path / "out", times=Times(start_s=5.5, stop_s=10))
    assert with_film.bad == 1 and "x.csv: expected signals for at least one window" in with_film.lines[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"signals_rate_hz": 0.0}, "signals_rate_hz must be above 0"), ({"start_s": -1.0}, "must not be negative"),
     ({"signals_unit": "kV"}, "must be uV, mV or V")],
)  # fmt: skip
def test_absurd_times_are_refused(change, message):
    with pytest.raises(BadConfig, match=message):
        Times(**change)


@pytest.mark.journey
def test_absurd_rates_are_refused_and_slow_ones_reported(table, tmp_path):
    x = np.random.default_rng(0).normal(size=(3000, 3))
    pd.DataFrame(x, columns=["Fp1", "O1", "GSR1"]).to_csv(tmp_path / "x.csv", index=False)

    def message(rate):
        return predict(table, [tmp_path / "x.csv"], tmp_path / f"out-{rate}", times=Times(signals_rate_hz=rate)).lines

    assert "signals at 1 Hz hold nothing of 4 to 45 Hz" in message(1.0)[0]
    assert any("signals at 60 Hz hold nothing above 30 Hz" in line for line in message(60.0))
    assert not any("hold nothing" in line for line in message(200.0))


@pytest.mark.parametrize("step_s", [0.0, -1.0, 1e-9, float("nan"), float("inf")])
def test_a_step_shorter_than_a_sample_is_refused(table, tmp_path, step_s):
    with pytest.raises(BadConfig, match="must be at least a sample"):
        predict(table, [table / "x.edf"], tmp_path / "out", step_s=step_s)


@pytest.mark.journey
def test_a_text_file_needs_a_rate_and_takes_one(table, tmp_path):
    edf = edfio.read_edf(table / "x.edf")
    columns = {s.label: s.data for s in edf.signals}
    pd.DataFrame(columns).to_csv(tmp_path / "x.csv", index=False)
    predict(table, [table / "x.edf"], tmp_path / "edf")
    assert predict(table, [tmp_path / "x.csv"], tmp_path / "csv", times=Times(signals_rate_hz=RATE)).bad == 0
    one, two = (pd.read_csv(tmp_path / name / "emotions.csv")["valence"] for name in ("edf", "csv"))
    assert one.to_numpy() == pytest.approx(two.to_numpy(), abs=1e-5)
    pd.DataFrame(columns).assign(time=np.arange(len(columns["O1"])) / RATE).to_csv(tmp_path / "t.csv", index=False)
    assert predict(table, [tmp_path / "t.csv"], tmp_path / "timed").bad == 0


@pytest.mark.journey
@pytest.mark.parametrize(
    ("late", "reports"), [(1 / RATE, ""), (1_700_000_000.0, "begins at 1700000000.00 s of its clock")]
)
def test_a_clock_that_begins_later_begins_the_recording(table, tmp_path, late, reports):
    edf = edfio.read_edf(table / "x.edf")
    made = pd.DataFrame({s.label: s.data for s in edf.signals})
    for name, begin in {"on.csv": 0.0, "late.csv": late}.items():
        made.assign(time=begin + np.arange(len(made)) / RATE).to_csv(tmp_path / name, index=False)
        assert predict(table, [tmp_path / name], tmp_path / f"of-{Path(name).stem}").bad == 0
    one, two = (pd.read_csv(tmp_path / f"of-{name}/emotions.csv") for name in ("on", "late"))
    pd.testing.assert_frame_equal(one, two, atol=1e-4, rtol=0)
    message = json.loads((tmp_path / "of-late/recording.json").read_text())
    assert reports in " ".join(message["findings"]) and ("clock" in " ".join(message["findings"])) == bool(reports)


def test_samples_that_are_no_numbers_are_reported_with_their_channel(table, tmp_path):
    x = np.random.default_rng(0).normal(size=(2000, 3))
    x[700:720, 1] = np.nan
    pd.DataFrame(x, columns=["Fp1", "O1", "GSR1"]).to_csv(tmp_path / "x.csv", index=False)
    done = predict(table, [tmp_path / "x.csv"], tmp_path / "out", times=Times(signals_rate_hz=RATE))
    assert "expected finite samples, found NaN or infinite ones in O1" in done.lines[0]


def test_two_files_of_a_kind_a_folder_and_an_absent_file_are_reported(table, tmp_path):
    with pytest.raises(BadRecording, match=r"expected each signal file of a recording once, found .*x\.edf twice"):
        predict(table, [table / "x.edf", table / "x.edf"], tmp_path / "out")
    shutil.copy(table / "x.edf", tmp_path / "y.edf")
    with pytest.raises(BadRecording, match=r"channel EEG FP1-REF in one of the files, found .*x\.edf and .*y\.edf"):
        predict(table, [table / "x.edf", tmp_path / "y.edf"], tmp_path / "out")
    with pytest.raises(BadRecording, match="expected a recording, found a folder"):
        predict(table, [tmp_path], tmp_path / "out")
    with pytest.raises(BadRecording, match="no such file"):
        predict(table, [tmp_path / "none.edf"], tmp_path / "out")


@pytest.mark.journey
def test_several_signal_files_give_what_one_file_of_all_channels_gives(table, tmp_path, capsys):
    """The same samples, in one file and in two, the second on a clock that is 3.2 s ahead."""
    x = {signal.label: signal for signal in edfio.read_edf(table / "x.edf").signals}
    edfio.Edf([x["EEG FP1-REF"], x["O1"]], data_record_duration=0.5).write(tmp_path / "eeg.edf")
    skin = pd.DataFrame({"time": 3.2 + np.arange(len(x["GSR1"].data)) / RATE, "GSR1": x["GSR1"].data})
    skin.to_csv(tmp_path / "skin.csv", index=False)
    wanted = predict(table, [table / "x.edf"], tmp_path / "one", times=Times(start_s=4, stop_s=10))
    names = [str(tmp_path / "eeg.edf"), f"{tmp_path / 'skin.csv'}@-3.2", str(tmp_path / "two")]
    assert main(["predict", str(table / "model"), *names, "--times.start_s", "4", "--times.stop_s", "10"]) == 0
    one, two = (pd.read_csv(tmp_path / name / "emotions.csv")["valence"] for name in ("one", "two"))
    assert wanted.bad == 0 and two.to_numpy() == pytest.approx(one.to_numpy(), abs=1e-3) and np.ptp(one) > 1e-3
    details = json.loads((tmp_path / "two/recording.json").read_text())
    assert details["signals"] == "eeg.edf + skin.csv@-3.2"
    assert details["asked"]["signal_files"][1] == [-3.2, None, None, "", []]
    capsys.readouterr()
    assert main(["predict", str(table / "model"), names[0], names[1].replace("skin", "skim"), names[2]]) == 2
    assert "skim.csv: expected a video or a file of signals, found no such file (did you mean skin.csv?)" in (
        capsys.readouterr().err
    )


@pytest.mark.journey
def test_a_video_without_a_face_is_reported_or_done_without(filmed, tmp_path):
    import av

    with av.open(str(tmp_path / "grey.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 320, 240
        for _ in range(30):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.full((240, 320, 3), 90, np.uint8), format="rgb24"))
            )
        container.mux(stream.encode())
    model = filmed / "run/fold01/valence/model"
    done = predict_into(model, [tmp_path / "grey.avi"], tmp_path / "out")
    assert done.bad == 1 and "expected a face in at least one of 9 frames, found none" in done.lines[0]


# What is wrong with a model


def edit(folder, old, new):
    text = (folder / "config.json").read_text()
    assert old in text
    (folder / "config.json").write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "expected model.safetensors"),
        (lambda f: edit(f, "valence", "arousal"), "expected the config that these tensors were saved with"),
        (lambda f: edit(f, '"format": 1', '"format": 9'), "saved by a newer gbvnet"),
        (lambda f: ((f / "model.safetensors").unlink(), (f / "model.pt").write_bytes(b"x")), "pickled weights"),
        (lambda f: shutil.rmtree(f), "expected a model folder, found no such folder"),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_whole_model_is_refused(table, tmp_path, spoil, message):
    shutil.copytree(table / "model", tmp_path / "model")
    spoil(tmp_path / "model")
    with pytest.raises(BadModel, match=message):
        predict_into(tmp_path / "model", [table / "x.edf"], tmp_path / "out")


@pytest.mark.journey
def test_a_model_that_does_not_say_how_its_input_is_made_is_refused(table, tmp_path):
    store = open_store(table / "store")
    make_model(tmp_path / "model", store, targets=["valence", "arousal"])
    with pytest.raises(BadModel, match="a description of the model's outputs, found valence, arousal for 1 outputs"):
        Predictor(tmp_path / "model")
    save_model(tmp_path / "bare", GBVNet(GBVNetConfig(variant="micro", modality="bio", n_channels=3)), {})
    with pytest.raises(BadModel, match=r"expected a description of the model.s input, found no prepare"):
        Predictor(tmp_path / "bare")


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"targets": ["<script>alert(1)</script>"]}, r"a description of the model.s outputs, found targets\[0\]"),
        (
            {"targets": ["valence", "valence"]},
            r"a description of the model.s outputs, found targets: one is there twice",
        ),
        ({"targets": "valence"}, ".* found targets: expected a list, found 'valence'"),
        (
            {"channels": [["Fp1"]]},
            r"a description of the model.s input, found channels\[0\]: expected a list of length 2",
        ),
        ({"channels": [["Fp1", "eeg"]]}, "3 channels, as the network has, found 1"),
        ({"rate_hz": "128"}, ".* found rate_hz: expected a number, found '128'"),
        ({"rate_hz": 1e300}, ".* found rate_hz: expected a number <= "),
        ({"samples_per_window": 10**9}, "128 samples_per_window, as the network has, found 1000000000"),
        ({"face_side": 10**9}, ".* found face_side: expected a whole number <= 512"),
        ({"baseline_s": True}, ".* found baseline_s: expected a number"),
        ({"prepare": [1]}, ".* found prepare: expected a mapping of names to values"),
    ],
)
def test_what_a_model_says_of_its_input_is_not_believed(table, tmp_path, about, message):
    shutil.copytree(table / "model", tmp_path / "model")
    config, tensors = (tmp_path / "model" / name for name in ("config.json", "model.safetensors"))
    made = json.loads(config.read_text())
    config.write_text(json.dumps(made | {"about": made["about"] | about}))
    save_file(load_file(tensors), tensors)  # which then do not say which config they belong to
    with pytest.raises(BadModel, match=rf"config\.json: expected {message}"):
        Predictor(config.parent)


@pytest.mark.journey
def test_a_model_that_needs_both_modalities_says_so(filmed, table, tmp_path):
    make_model(tmp_path / "strict", open_store(filmed / "store"), "facebio", dropout=0.0)
    video = filmed / "deap/face_video/s01/s01_trial01.avi"
    done = predict_into(tmp_path / "strict", [video], tmp_path / "out")
    assert done.bad == 1 and "trained without modality dropout" in done.lines[0]


# Several recordings, and the command


@pytest.mark.journey
def test_one_bad_recording_stops_no_other(table, tmp_path):
    write_edf(tmp_path / "a.edf")
    (tmp_path / "b.edf").write_bytes(b"nothing")
    rows = ["subject,trial,signals,start_s,stop_s", "anna,1,a.edf,4,8", "ben,1,b.edf,4,8", "cleo,1,a.edf,8,12"]
    (tmp_path / "recordings.csv").write_text("\n".join(rows) + "\n")
    done = predict(table, [tmp_path], tmp_path / "out", corpus="table", jobs=2)
    assert done.bad == 1 and sum(line.startswith("ok") for line in done.lines) == 2
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == ["anna_1", "cleo_1"]
    some = predict(table, [tmp_path], tmp_path / "some", corpus="table", subjects=("cleo",))
    assert [f.name for f in (tmp_path / "some").iterdir()] == ["cleo_1"] and some.bad == 0
    with pytest.raises(BadConfig, match="the corpus has no subject dora; it has anna, ben, cleo"):
        predict(table, [tmp_path], tmp_path / "x", corpus="table", subjects=("dora",))


@pytest.mark.journey
def test_overlapping_windows_are_as_many_as_steps_fit(table, tmp_path):
    predict(table, [table / "x.edf"], tmp_path / "out", step_s=0.25)
    written = pd.read_csv(tmp_path / "out/emotions.csv")
    assert len(written) == 45 and written["stop_s"].iloc[-1] == 12
    whole = open_recording([table / "x.edf"], (Channel("EEG FP1-REF", "eeg"),), 128, 3)
    assert whole.inspect(whole.recording).seconds == 12


@pytest.mark.journey
def test_signals_scaled_by_the_recording_itself_are_so(table, tmp_path):
    make_model(tmp_path / "model", open_store(table / "store"), normalise="subject")
    predictor = Predictor(tmp_path / "model")
    assert predictor.normalises_per_recording
    louder = edfio.Edf(
        [edfio.EdfSignal(3 * s.data, RATE, label=s.label, physical_dimension=s.physical_dimension)
         for s in edfio.read_edf(table / "x.edf").signals]
    )  # fmt: skip
    louder.write(tmp_path / "loud.edf")
    for name, file in (("plain", table / "x.edf"), ("loud", tmp_path / "loud.edf")):
        predict_into(tmp_path / "model", [file], tmp_path / name)
    one, two = (pd.read_csv(tmp_path / name / "emotions.csv")["valence"] for name in ("plain", "loud"))
    assert one.to_numpy() == pytest.approx(two.to_numpy(), abs=1e-3)


def test_flags_name_what_is_flat_far_or_without_a_face():
    channels = (Channel("Cz", "eeg"), Channel("Oz", "eeg"), Channel("GSR1", "gsr"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 3, 50)) * np.array([10, 10, 1])[:, None]
    x[1, 0] = 3  # flat
    x[2, 2] += 100  # a skin that was never seen
    x[:, 2] = x[:, 2].mean(axis=1, keepdims=True) + 0.001 * x[:, 2]  # slow, and not flat for that
    ok = np.array([[True, True], [True, False], [False, False], [True, True]])
    assert face_flags(ok) == ["", "face in 1 of 2 frames", "no face", ""]
    flags = signal_flags(x, channels, np.zeros(3), np.array([10.0, 10.0, 1.0]))
    assert flags == [[], ["flat: Cz"], ["far from training: GSR1"], []]


@pytest.mark.journey
def test_from_the_command_line(table, tmp_path, capsys):
    words = ["predict", str(table / "model"), str(table / "x.edf"), str(tmp_path / "out")]
    assert main([*words, "--times.start_s", "2", "--times.stop_s", "6"]) == 0
    assert "4 windows, valence high in" in capsys.readouterr().out
    assert main([*words[:2], str(table / "none.edf"), str(tmp_path / "out")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main([*words, "--rename", "GSR1"]) == 2
    assert "expected MODELNAME=FILENAME" in capsys.readouterr().err


def test_files_can_be_requested_about_from_python(table):
    prediction = gbvnet.predict_files(table / "model", [str(table / "x.edf")], times=Times(start_s=4, stop_s=10))
    assert len(prediction.table) == 6 and prediction.warnings == ()
    with pytest.raises(BadRecording, match="no such file"):
        gbvnet.predict_files(table / "model", ["none.edf"])


@pytest.mark.journey
def test_a_recording_can_be_requested_about_from_python(table):
    predictor = Predictor(table / "model")
    corpus = open_corpus("table", table)
    reports = []
    prediction = predict_recording(
        predictor,
        corpus,
        corpus.recordings("anna")[0],
        progress=lambda done, total, what: reports.append((done, total)),
    )
    assert len(prediction.table) == 6 and reports[-1] == (6, 6)
    assert replace(prediction, faces=()).targets == ("valence",)


# --- a model that is replaced ---


def replaced(model, **about):
    """Put another model of the same shape, and so of the same size, into a folder."""
    network, metadata = load_model(model)
    with torch.no_grad():
        network.head[-1].bias += 5
    save_model(model, network, metadata | about)


@pytest.mark.journey
def test_a_model_trained_again_into_its_folder_answers_anew(tmp_path):
    model, recording = (
        app_fixtures.write_model(tmp_path / "m", modality="bio"),
        app_fixtures.write_csv(tmp_path / "x.csv"),
    )
    first = predict_files(model, [recording]).table["valence"].to_numpy()
    assert (predict_files(model, [recording]).table["valence"].to_numpy() == first).all()
    one = cached_predictor(model, "auto")
    assert cached_predictor(model, "auto") is one  # and not loaded anew for nothing
    before = (model / "model.safetensors").stat()
    replaced(model)
    after = (model / "model.safetensors").stat()
    assert before.st_size == after.st_size
    os.utime(model / "model.safetensors", ns=(before.st_atime_ns, before.st_mtime_ns))  # as a copy that keeps times
    assert (predict_files(model, [recording]).table["valence"].to_numpy() > first).all()
    out = predict_into(model, [recording], tmp_path / "out")
    assert out.bad == 0
    written = pd.read_csv(tmp_path / "out/emotions.csv", comment="#")["valence"].to_numpy()
    assert (written > first).all()


@pytest.mark.journey
def test_a_model_that_is_gone_or_another_in_the_middle_is_no_answer(tmp_path):
    model, recording = (
        app_fixtures.write_model(tmp_path / "m", modality="bio"),
        app_fixtures.write_csv(tmp_path / "x.csv"),
    )
    predict_files(model, [recording])
    predictor = cached_predictor(model, "auto")
    made = open_recording([recording], predictor.channels, 128.0, 3.0)
    task = PredictionTask(model, made, tmp_path / "out", PredictionSettings(), True, fingerprint(model))
    task(made.recording)
    replaced(model)
    with pytest.raises(BadModel, match="the model that the prediction began with, found another"):
        task(made.recording)
    shutil.rmtree(model)
    with pytest.raises(BadModel, match="no such folder"):
        predict_files(model, [recording])


# What is there already


def rows(folder):
    return len(pd.read_csv(folder / "emotions.csv"))


@pytest.mark.journey
def test_a_prediction_is_replaced_only_if_that_is_requested_for(tmp_path):
    model = app_fixtures.write_model(tmp_path / "m", modality="bio")
    long, short = (app_fixtures.write_csv(tmp_path / f"{n}.csv", seconds=n) for n in (6, 1))
    out = tmp_path / "out"
    assert predict_into(model, [long], out).bad == 0 and rows(out) == 6
    before = {f.name: f.read_bytes() for f in out.iterdir()}
    for again in (short, long):
        with pytest.raises(BadRecording, match=r"expected no prediction yet, found one of 6 by model m.*--overwrite"):
            predict_into(model, [again], out)
    assert {f.name: f.read_bytes() for f in out.iterdir()} == before
    assert main(["predict", str(model), str(short), str(out)]) == 2 and rows(out) == 6
    assert main(["predict", str(model), str(short), str(out), "--overwrite"]) == 0 and rows(out) == 1


@pytest.mark.journey
def test_a_prediction_that_was_cut_off_is_made_again(tmp_path):
    model, x = (
        app_fixtures.write_model(tmp_path / "m", modality="bio"),
        app_fixtures.write_csv(tmp_path / "x.csv", seconds=2),
    )
    predict_into(model, [x], tmp_path / "out")
    (tmp_path / "out/timeline.html").unlink()  # the last file that is written
    with pytest.raises(BadRecording, match="no prediction yet"):
        predict_into(model, [x], tmp_path / "out", smooth_s=2.0)
    assert predict_into(model, [x], tmp_path / "out").bad == 0
    assert (tmp_path / "out/timeline.html").exists()
    (tmp_path / "out/recording.json").write_text("[broken")
    with pytest.raises(BadRecording, match="found one of a recording by model"):
        predict_into(model, [x], tmp_path / "out")


@pytest.mark.journey
def test_a_batch_goes_on_and_loses_nothing(table, tmp_path):
    write_edf(table / "y.edf", seed=4)
    text = (table / "recordings.csv").read_text()
    (table / "recordings.csv").write_text(text + "bert,1,y.edf,4,10,2\n")
    try:
        first = predict(table, [table], tmp_path / "out", corpus="table", subjects=("anna",))
        assert first.bad == 0
        made = (tmp_path / "out/anna_1/emotions.csv").stat().st_mtime_ns
        second = predict(table, [table], tmp_path / "out", corpus="table")
        assert second.bad == 0 and any(line.startswith("kept anna_1") for line in second.lines)
        assert any(line.startswith("ok   bert_1") for line in second.lines)
        assert (tmp_path / "out/anna_1/emotions.csv").stat().st_mtime_ns == made
        third = predict(table, [table], tmp_path / "out", corpus="table", step_s=0.5)  # other settings
        assert third.bad == 2 and all("--overwrite" in line for line in third.lines if line.startswith("BAD"))
        assert (tmp_path / "out/anna_1/emotions.csv").stat().st_mtime_ns == made
        fourth = predict(table, [table], tmp_path / "out", corpus="table", step_s=0.5, overwrite=True)
        assert fourth.bad == 0 and rows(tmp_path / "out/anna_1") == 11
    finally:
        (table / "recordings.csv").write_text(text)
        (table / "y.edf").unlink()


def written(task, recording, inputs):
    """What a prediction leaves, as far as it is looked at before the next one."""
    folder = task.folder(recording)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recording.json").write_text(json.dumps({"recording": recording.name, "model": "m", "asked": inputs}))
    for name in ("emotions.csv", "timeline.html"):
        (folder / name).touch()


class RawRecording(SingleRecording):
    source = "raw"


def test_a_prediction_is_kept_only_if_the_corpus_gives_the_same(tmp_path):
    features = tmp_path / "x_features.csv"
    features.write_text("1,2")
    recording = Recording("x", "table", "a", "1", "s", 6.0, signal_times=(4.0, None), face_features=features)
    corpus = SingleRecording(recording, (Channel("O1", "eeg"),), 128.0, 3.0, Times())
    task = PredictionTask(tmp_path / "m", corpus, tmp_path / "out", PredictionSettings(), False)
    written(task, recording, task.inputs(recording))
    assert task.is_done(recording, False) and task.unknown(recording) == ""
    others = [
        (task, replace(recording, seconds=5.0)),
        (task, replace(recording, signal_times=(4.5, None))),
        (task, replace(recording, signal_times=(4.0, 1.0))),
        (task, replace(recording, face_features=None)),
        (replace(task, corpus=replace(corpus, channels=(Channel("O1", "eog"),))), recording),
        (replace(task, corpus=replace(corpus, channels=(Channel("O1", "eeg", True),))), recording),
        (replace(task, corpus=replace(corpus, baseline_s=2.0)), recording),
        (replace(task, corpus=RawRecording(recording, corpus.channels, 128.0, 3.0, Times())), recording),
    ]
    for other, corrected in others:
        with pytest.raises(BadRecording, match="expected no prediction yet"):
            other.is_done(corrected, False)
    features.write_text("1,3")
    with pytest.raises(BadRecording, match="expected no prediction yet"):
        task.is_done(recording, False)


def test_what_an_earlier_version_did_not_keep_is_not_compared_and_that_is_reported(tmp_path):
    recording = Recording("x", "table", "a", "1", "s", 6.0)
    corpus = SingleRecording(recording, (), 128.0, 3.0, Times())
    task = PredictionTask(tmp_path / "m", corpus, tmp_path / "out", PredictionSettings(), False)
    added = ("file_samples", "seconds", "signal_times", "face_features", "corpus")
    written(task, recording, {key: value for key, value in task.inputs(recording).items() if key not in added})
    assert task.is_done(recording, False)
    assert "did not keep file_samples, seconds, signal_times, face_features and corpus" in task.unknown(recording)


@pytest.mark.journey
def test_a_corrected_table_is_predicted_again_and_not_kept(table, tmp_path):
    text = (table / "recordings.csv").read_text()
    predict(table, [table], tmp_path / "out", corpus="table")
    try:
        (table / "recordings.csv").write_text(text.replace(",4,10,", ",4,9,"))
        again = predict(table, [table], tmp_path / "out", corpus="table")
        assert again.bad == 1 and "--overwrite" in again.lines[0]
    finally:
        (table / "recordings.csv").write_text(text)


@pytest.mark.journey
def test_models_of_the_hub_are_distinguished_by_their_files(table, tmp_path, monkeypatch):
    copies = {name: shutil.copytree(table / "model", tmp_path / f"snapshot-{name}") for name in "ab"}
    replaced(copies["b"])
    monkeypatch.setattr(batch_module, "find_model", lambda name: copies[Path(name).name])
    source, out = CorpusSource("table", table), tmp_path / "out"
    assert predict_many(Path("lab/a"), source, out).bad == 0
    assert json.loads((out / "anna_1/recording.json").read_text())["model"] == "a"
    assert any(line.startswith("kept") for line in predict_many(Path("lab/a"), source, out).lines)
    other = predict_many(Path("lab/b"), source, out)
    assert other.bad == 1 and "found one of anna_1 by model a" in other.lines[0]
    file = out / "anna_1/recording.json"
    about = json.loads(file.read_text())
    about["asked"]["model_sha256"] = None  # as 0.2.0 wrote it for every model of the hub
    file.write_text(json.dumps(about))
    again = predict_many(Path("lab/b"), source, out)
    assert again.bad == 0 and "did not keep model_sha256" in again.lines[0]


@pytest.mark.journey
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--corpus", "deap", "--times.start_s", "30"], "--times.start_s is an option of files"),
        (["--corpus", "deap", "--times.signals_unit", "mV"], "--times.signals_unit is an option of files"),
        (["--subjects", "s01"], "--subjects is an option of a corpus: name the corpus with --corpus"),
        (["--recordings", "s01_1"], "--recordings is an option of a corpus: name the corpus with --corpus"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused_before_the_model_is_read(tmp_path, capsys, options, message):
    assert main(["predict", str(tmp_path / "m"), str(tmp_path / "x"), str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_a_renamed_channel_without_a_file_of_signals_is_refused(tmp_path):
    model, film = app_fixtures.write_model(tmp_path / "m"), tmp_path / "film.mp4"
    film.write_bytes(b"\0" * 99)
    with pytest.raises(BadConfig, match="--rename GSR=EDA: no file of signals is given"):
        predict_into(model, [film], tmp_path / "out", rename={"GSR": "EDA"})


def test_a_misspelt_file_is_reported_as_missing_wherever_it_stands(tmp_path):
    model, x = app_fixtures.write_model(tmp_path / "m", modality="bio"), app_fixtures.write_csv(tmp_path / "eeg_1.csv")
    with pytest.raises(BadRecording, match=r"eeg1.csv: .*found no such file \(did you mean eeg_1.csv\?\)"):
        predict_into(model, [tmp_path / "eeg1.csv"], tmp_path / "out")
    with pytest.raises(BadConfig, match=r"eeg1.csv: no such file \(did you mean eeg_1.csv\?\). The last argument"):
        predict_into(model, [x], tmp_path / "eeg1.csv")
    assert not (tmp_path / "eeg1.csv").exists() and not (tmp_path / "out").exists()

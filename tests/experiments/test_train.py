"""A model for use: trained on all but what is excluded, resumed after a kill, and carrying honest scores alone."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gbvnet.cli.main import main
from gbvnet.config import FinalConfig, ModelConfig, TrainConfig
from gbvnet.errors import BadConfig, BadModel, BadRun, LeakySplit
from gbvnet.evaluation.metrics import auc
from gbvnet.evaluation.splits import train_validation_split
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.train import _progress_reported, closing_lines, train_model
from gbvnet.inference.predictor import Predictor
from gbvnet.network.checkpoint.checkpoint import load_model, save_model

from ..synthetic_store import write_store
from ..test_config import as_version_0

QUICK = FinalConfig(
    modality="facebio",
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=6, batch_size=16, device="cpu"),
)
WORDS = ["--model.variant", "micro", "--train.batch_size", "16", "--train.device", "cpu"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("planted") / "store")


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "model"
    return train_model(store, folder, replace(QUICK, exclude=("s01_trial01", "s01_trial02")))


@pytest.mark.journey
def test_excluded_recordings_are_classified_by_a_model_of_the_others(store, trained):
    rows = np.flatnonzero(store.windows["recording"].isin(["s01_trial01", "s01_trial02"]))
    faces, ok, signals = store.read(rows)
    predictor = Predictor(trained)
    assert predictor.targets == ("valence", "arousal")
    output = predictor.predict_windows(faces, ok, signals)
    assert output.values.shape == (10, 2)
    high = (store.windows.loc[rows, "valence"] >= 5).to_numpy()
    assert 0 < high.sum() < len(high)
    assert (
        auc(high, output.values[:, 0]) > 0.9 and auc(~high, output.values[:, 1]) > 0.9
    )  # arousal is planted the other way round
    assert np.isfinite(output.gate_face).all()
    assert np.isfinite(predictor.predict_windows(faces, ok, None).values).all()  # modality dropout is on
    assert np.isfinite(predictor.predict_windows(None, None, signals).values).all()


@pytest.mark.journey
def test_the_model_says_how_it_was_made_and_that_nothing_is_known_of_its_worth(store, trained):
    _, about = load_model(trained)
    assert about["excluded"] == ["s01_trial01", "s01_trial02"]
    assert about["store_digest"] == store.digest and about["synthetic"]
    assert about["trials"] + about["validation"]["trials"] == 24 - 2
    assert about["scores"] == {} and about["tests"] == []
    assert "never tested on unseen subjects" in Predictor(trained).accuracy_note
    assert 0 <= about["validation"]["accuracy"] <= 1
    card = (trained / "README.md").read_text()
    assert "synthetic data" in card and "None are known: no cross-validation" in card and "Meant for research" in card
    assert sorted(f.name for f in trained.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    left = {f.name for f in trained.with_name("model.training").iterdir()}
    assert {"train.json", "history.csv"} <= left and "last.ckpt" not in left


@pytest.mark.journey
def test_honest_scores_of_the_same_settings_are_on_the_card_and_no_others(store, tmp_path):
    config = replace(QUICK, train=replace(QUICK.train, epochs=2), folds=2)
    runs = {}
    for name, changes in (
        ("trial", {}),
        ("leaky", {"protocol": "window"}),
        ("longer", {"train": replace(config.train, epochs=1)}),
    ):
        runs[name] = tmp_path / name
        cross_validate(store, runs[name], replace(config.crossval(), target="valence", joint=False, **changes))
    made = train_model(store, tmp_path / "model", config, [runs["trial"]])
    scores = load_model(made)[1]["scores"]
    assert list(scores) == ["valence, protocol trial"]
    assert "% of windows" in scores["valence, protocol trial"] and "chance up to" in scores["valence, protocol trial"]
    assert "valence, protocol trial" in (made / "README.md").read_text()
    with pytest.raises(BadRun, match="expected a cross-validation that does not leak, found protocol window"):
        train_model(store, tmp_path / "m2", config, [runs["leaky"]])
    wrong = r"expected a cross-validation with the model's train\.epochs, found 1 in the run, 2 for the model"
    with pytest.raises(BadRun, match=wrong):
        train_model(store, tmp_path / "m3", config, [runs["longer"]])
    other = write_store(tmp_path / "other", seed=5)
    with pytest.raises(BadRun, match="one on another store"):
        train_model(other, tmp_path / "m4", config, [runs["trial"]])
    assert not (tmp_path / "m2").exists()


@pytest.mark.journey
def test_validation_groups_are_never_trained_on(store):
    for protocol, column in (("trial", "recording"), ("subject", "subject"), ("stimulus", "stimulus")):
        rows, validation = train_validation_split(store.windows, replace(QUICK, protocol=protocol))
        one, other = (set(store.windows.loc[at, column]) for at in (rows, validation))
        assert one and other and not one & other
        assert len(rows) + len(validation) == len(store)
    with pytest.raises(LeakySplit, match="2 are needed"):
        train_validation_split(store.windows[store.windows["recording"] == "s01_trial01"], QUICK)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exclude": ("s09_trial01",)}, "has no recording s09_trial01"),
        ({"subjects": ("s44",)}, "has no subject s44"),
        ({"rule": ">5", "subjects": ("s01",), "exclude": tuple(f"s01_trial{k:02d}" for k in range(1, 7))},
         "all of its windows are excluded"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_on_is_reported(store, tmp_path, change, message):
    with pytest.raises(BadConfig, match=message):
        train_model(store, tmp_path / "model", replace(QUICK, **change))


@pytest.mark.parametrize(
    "change", [{"protocol": "window"}, {"system": "ridge"}, {"scope": "per-subject"}, {"shuffle_labels": 1}]
)
def test_settings_that_make_no_model_for_use_are_refused(change):
    with pytest.raises(BadConfig):
        replace(QUICK, **change)


@pytest.mark.journey
def test_a_training_that_was_refused_leaves_nothing_that_stops_the_corrected_one(tmp_path):
    signals_only = write_store(tmp_path / "store", faces=False)
    with pytest.raises(BadConfig, match="--modality"):
        train_model(signals_only, tmp_path / "model", FinalConfig())
    with pytest.raises(BadConfig, match=r"no recording s01_trial1; it has .*did you mean s01_trial01\?"):
        train_model(signals_only, tmp_path / "model", FinalConfig(modality="bio", exclude=("s01_trial1",)))
    assert not list(tmp_path.glob("model*"))


@pytest.mark.journey
def test_a_model_is_never_written_over_nor_another_training_gone_on_with(store, trained, tmp_path):
    with pytest.raises(BadModel, match="no such folder yet"):
        train_model(store, trained, QUICK)
    (tmp_path / "model.training").mkdir()
    (tmp_path / "model.training/train.json").write_text(
        (trained.with_name("model.training") / "train.json").read_text()
    )
    with pytest.raises(BadRun, match="expected a training with modality = bio, found one with facebio"):
        train_model(store, tmp_path / "model", replace(QUICK, modality="bio"))


@pytest.mark.journey
def test_a_training_and_a_model_of_the_first_versions_are_known_again(store, trained, tmp_path):
    """Their train.json and their model's `about` hold settings under former names."""
    work = trained.with_name("model.training")
    old = json.loads((work / "train.json").read_text())
    old["config"] = as_version_0(old["config"])
    (tmp_path / "model.training").mkdir()
    (tmp_path / "model.training/train.json").write_text(json.dumps(old))
    config = replace(QUICK, exclude=("s01_trial01", "s01_trial02"))
    with pytest.raises(BadRun, match=r"a training with validation = 0\.3, found one with 0\.2"):
        train_model(store, tmp_path / "model", replace(config, validation=0.3))
    again = train_model(store, tmp_path / "model", replace(config, train=replace(config.train, epochs=6)))
    model, about = load_model(again)
    about["train"]["select"] = "inner"
    save_model(tmp_path / "old", model, about)
    assert load_model(tmp_path / "old")[1] == about
    assert Predictor(tmp_path / "old").targets == ("valence", "arousal")


@pytest.mark.journey
@pytest.mark.usefixtures("repeatable_torch")
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(store, tmp_path, capsys):
    words = ["train", str(store.path)]
    # Long enough that the first checkpoint, written after a second at the earliest, is not the last one.
    options = [*WORDS, "--train.epochs", "60", "--train.patience", "60", "--target", "valence", "--modality", "bio"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gbvnet", *words, str(tmp_path / "killed"), *options],
        env=environment, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    ckpt = tmp_path / "killed.training/last.ckpt"
    while not ckpt.exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed").exists()
    assert main([*words, str(tmp_path / "killed"), *options]) == 0
    assert "going on after epoch" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "whole"), *options]) == 0
    one, other = (load_model(tmp_path / name)[0].state_dict() for name in ("killed", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.journey
def test_two_processes_train_as_one_does_on_the_same_batches(store, tmp_path):
    script = Path(__file__).parents[1].joinpath("train_together.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    results = {}
    for n in (1, 2):
        out = tmp_path / f"{n}.json"
        words = [sys.executable, "-W", "ignore", str(script), str(store.path), str(n), str(out)]
        subprocess.run(words, env=environment, check=True, capture_output=True, timeout=300)
        results[n] = json.loads(out.read_text())
    for name in ("train_loss", "inner_loss", "train_accuracy", "inner_accuracy"):
        one, two = ([h[name] for h in results[n]["history"]] for n in (1, 2))
        assert two == pytest.approx(one, abs=1e-5)
    assert results[1]["history"][0]["train_loss"] > 0.1  # there was something to differ in
    assert results[1]["chosen"] == results[2]["chosen"]
    assert (tmp_path / "2.work/history.csv").exists()


@pytest.mark.journey
def test_two_processes_from_the_command_line_leave_one_model(store, tmp_path):
    words = [sys.executable, "-W", "ignore", "-m", "gbvnet", "train", str(store.path), str(tmp_path / "model")]
    options = [*WORDS, "--train.epochs", "2", "--train.devices", "2", "--modality", "bio"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*words, *options], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(tmp_path / "model")
    assert done.stdout.count("kept, accuracy") == 1  # by one of the two
    _, about = load_model(tmp_path / "model")
    assert about["targets"] == ["valence", "arousal"]
    history = pd.read_csv(tmp_path / "model.training/history.csv")
    assert len(history) == 2 and history["train_loss"].notna().all()


@pytest.mark.journey
def test_progress_counts_epochs_with_losses_and_ends_full(store, tmp_path, caplog):
    states = []
    config = replace(QUICK, modality="bio", target="valence", train=replace(QUICK.train, epochs=4))
    with caplog.at_level("INFO", logger="gbvnet"):
        train_model(store, tmp_path / "model", config, progress=lambda *state: states.append(state))
    history = pd.read_csv(tmp_path / "model.training/history.csv")
    last = history.iloc[-1]
    wanted = (
        f"loss {last['train_loss']:.3f}, validation {last['inner_loss']:.3f}, {last['inner_accuracy']:.0%}, no score"
    )
    assert states[-1] == (4, 4, wanted)
    assert all(0 <= done <= total == 4 for done, total, _ in states)
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("epoch ")]
    assert lines[-1].startswith(f"epoch 4 of at most 4: loss {last['train_loss']:.3f}, validation loss")
    assert "is no score" in lines[-1] and lines[-1].endswith("0 s left")


def test_progress_is_of_what_the_history_says_while_it_is_written(tmp_path):
    states = []
    head = "epoch,train_loss,train_accuracy,inner_loss,inner_accuracy,seconds\n"
    with _progress_reported(tmp_path, 10, lambda *state: states.append(state)):
        (tmp_path / "history.csv").write_text(head + "1,0.7,0.5,nan,nan,1\n2,0.6,0.5,0.65,0.75,1\n")
    assert states[-1] == (2, 2, "loss 0.600, validation 0.650, 75%, no score")  # stopped early: the bar is full
    with _progress_reported(tmp_path / "none", 10, lambda *state: states.append(state)):
        pass
    assert states[-2] == (0, 10, "reading windows")
    (tmp_path / "history.csv").write_text(head + "1,0.7,0.5,nan,nan,1\n")
    with _progress_reported(tmp_path, 10, lambda *state: states.append(state)):
        pass
    assert states[-1] == (1, 1, "loss 0.700")


@pytest.mark.journey
def test_the_end_tells_the_epoch_kept_what_it_is_worth_and_what_to_do_next(store, trained):
    lines = closing_lines(trained)
    about = load_model(trained)[1]
    assert lines[0].startswith(f"epoch {about['chosen_epoch']} of ") and lines[0].endswith("(no score)")
    assert f"accuracy {about['validation']['accuracy']:.1%}" in lines[0]
    assert "never tested on unseen subjects" in lines[1]
    assert "model.training keeps history.csv" in lines[2]
    assert f"gbvnet model show {trained}" in lines[3]
    assert f"gbvnet predict {trained} video.mp4 eeg.bdf out" in lines[4]


def test_folds_are_not_trained_by_several_devices_together(store, tmp_path):
    with pytest.raises(BadConfig, match=r"train\.devices is for `gbvnet train`"):
        cross_validate(store, tmp_path / "run", replace(QUICK.crossval(), train=replace(QUICK.train, devices=2)))


@pytest.mark.journey
def test_from_the_command_line(store, tmp_path, capsys):
    words = [
        "train",
        str(store.path),
        str(tmp_path / "model"),
        *WORDS,
        "--train.epochs",
        "1",
        "--exclude",
        "s01_trial01",
    ]
    assert main(words) == 0
    assert str(tmp_path / "model") in capsys.readouterr().out
    assert main(words) == 2
    assert "expected no such folder yet" in capsys.readouterr().err

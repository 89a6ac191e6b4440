"""A model pruned, exported in int8 and compared: by its training subjects alone, and with nothing left unsaid."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gbvnet.cli.main import main
from gbvnet.config import FinalConfig, ModelConfig, PruneConfig, TrainConfig
from gbvnet.errors import BadConfig, BadModel
from gbvnet.evaluation.regression_sums import concordance
from gbvnet.experiments import prune, side_by_side
from gbvnet.experiments.prune import prune_model
from gbvnet.experiments.side_by_side import compare_models, measure_memory
from gbvnet.experiments.train import train_model
from gbvnet.inference.predictor import Predictor
from gbvnet.inference.streaming.emotion_stream import EmotionStream
from gbvnet.network.checkpoint import int8
from gbvnet.network.checkpoint.checkpoint import load_model, save_model
from gbvnet.network.checkpoint.hub_model import HubGBVNet
from gbvnet.network.checkpoint.int8 import export_int8
from gbvnet.network.checkpoint.onnx import export_onnx, open_session, run_onnx
from gbvnet.network.checkpoint.trained_on import trained_on
from gbvnet.systems import gbvnet as system_module

from ..synthetic_store import write_store

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
HOW = PruneConfig(0.5, epochs=1)


@pytest.fixture(scope="module", autouse=True)
def in_this_process():
    """Costs are measured in processes of their own, which take seconds to start."""
    patch = pytest.MonkeyPatch()
    patch.setattr(side_by_side, "_in_own_process", lambda measure: measure())
    patch.setattr(side_by_side, "RUNS", {1: 2, 64: 1})
    yield
    patch.undo()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("three") / "store", subjects=3, trials=5, windows=4)


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    """A model of the first two subjects."""
    settings = FinalConfig(
        subjects=("s01", "s02"),
        exclude=("s01_trial01",),
        model=ModelConfig(variant="micro"),
        train=TrainConfig(epochs=3, batch_size=8, device="cpu"),
    )
    return train_model(store, tmp_path_factory.mktemp("trained") / "model", settings)


@pytest.fixture(scope="module")
def pruned(store, trained):
    """Its pruned twin, and all rows that pruning and the training after it were given."""
    rows, patch = [], pytest.MonkeyPatch()
    work = system_module.prune_and_train

    def noted(system, train, validation, *others):
        rows.extend([*train[1], *validation[0]])
        return work(system, train, validation, *others)

    patch.setattr(prune, "prune_and_train", noted)
    done = prune_model(trained, trained.with_name("half"), store, HOW)
    patch.undo()
    return done, rows


@pytest.fixture(scope="module")
def quantised(store, trained):
    return export_int8(trained, trained.with_name("int8.onnx"), store)


def of_store(store, subjects):
    return np.flatnonzero(store.windows["subject"].isin(subjects))


@pytest.mark.journey
def test_a_model_is_pruned_by_its_own_subjects_alone(store, pruned):
    _, rows = pruned
    windows = store.windows.iloc[rows]
    assert set(windows["subject"]) == {"s01", "s02"}
    assert "s01_trial01" not in set(windows["recording"])
    assert len(rows) == len(set(rows)) == 9 * 4


@pytest.mark.journey
def test_a_pruned_model_says_what_it_lost_and_no_score_of_the_whole(store, pruned, trained):
    done, _ = pruned
    network, about = load_model(done.folder)
    assert network.config.widths.blocks == (32, 64, 128, 256)
    assert (about["scores"], about["tests"], about["pruned"]["keep"]) == ({}, [], 0.5)
    assert about["pruned"]["parameters"] == sum(p.numel() for p in network.parameters())
    assert [row["model"] for row in about["pruned"]["compared"]["rows"]] == ["whole", "pruned"]
    card = (done.folder / "README.md").read_text()
    assert "## Beside the whole model" in card
    assert "Accuracy: of 20 windows of 1 subject that no model was trained on" in card
    assert not (trained.with_name("half.training") / "pruned" / "last.ckpt").exists()
    whole, half = done.comparison.rows
    assert whole.size_mb > half.size_mb


@pytest.mark.journey
def test_the_score_is_the_accuracy_on_the_subject_left_out(store, pruned, trained):
    faces, ok, signals = store.read(rows := of_store(store, ["s03"]))
    p = Predictor(trained).predict_windows(faces, ok, signals).values
    truth = store.windows.iloc[rows][["valence", "arousal"]].to_numpy() >= 5
    assert pruned[0].comparison.rows[0].score == pytest.approx(((p > 0.5) == truth).mean())


@pytest.mark.journey
def test_a_pruned_model_predicts_exports_and_keeps_the_layout_of_the_hub(store, pruned, tmp_path):
    folder = pruned[0].folder
    faces, ok, signals = store.read(np.arange(6))
    p = Predictor(folder).predict_windows(faces, ok, signals).values
    assert export_onnx(folder, tmp_path / "half.onnx").difference < 1e-4
    inputs = {"faces": faces, "face_ok": ok, "signals": signals, "has_signals": np.ones(6, bool)}
    logits = run_onnx(open_session(tmp_path / "half.onnx"), inputs)["logits"]
    assert 1 / (1 + np.exp(-logits)) == pytest.approx(p, abs=1e-5)
    HubGBVNet.from_pretrained(folder).save_pretrained(tmp_path / "hub")
    for file in sorted(path.name for path in folder.iterdir()):
        assert (tmp_path / "hub" / file).read_bytes() == (folder / file).read_bytes()


@pytest.mark.journey
def test_a_pruned_model_streams(store, pruned):
    """Windows of a stream are those of the same network called by hand."""
    names = [name for name, _ in store.settings["channels"]]
    rng = np.random.default_rng(0)
    with EmotionStream(Predictor(pruned[0].folder), 128, names, faces=False) as stream:
        rows = [row for _ in range(8) for row in stream.samples(10 * rng.normal(size=(5, 128)))]
    assert len(rows) >= 3
    assert all(0 < row["valence"] < 1 for row in rows)


@pytest.mark.journey
def test_keeping_all_channels_copies_every_byte(store, trained, tmp_path):
    done = prune_model(trained, tmp_path / "same", store, PruneConfig(1.0))
    for file in ("model.safetensors", "config.json", "README.md"):
        assert (done.folder / file).read_bytes() == (trained / file).read_bytes()
    assert not (tmp_path / "same.training").exists()


@pytest.mark.journey
def test_an_interrupted_pruning_goes_on(store, trained, pruned, tmp_path, monkeypatch):
    monkeypatch.setattr(prune, "save_model", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        prune_model(trained, tmp_path / "half", store, HOW)
    assert (tmp_path / "half.training" / "pruned" / "last.ckpt").exists()
    monkeypatch.undo()
    done = prune_model(trained, tmp_path / "half", store, HOW)
    a, b = (load_model(folder)[0].state_dict() for folder in (done.folder, pruned[0].folder))
    assert all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.journey
def test_another_store_is_refused_unless_its_windows_are_made_alike(store, trained, tmp_path, caplog):
    others = {
        "channels Fz": write_store(tmp_path / "a", subjects=3, trials=5, windows=4, channels=(("Fz", "eeg"),) * 1),
        "lacks subjects .* .s02.": write_store(tmp_path / "b", subjects=1, trials=5, windows=4),
    }
    for message, other in others.items():
        with pytest.raises(BadConfig, match=message):
            prune_model(trained, tmp_path / "half", other, HOW)
    network, about = load_model(trained)
    alike = write_store(tmp_path / "c", subjects=3, trials=5, windows=4, seed=1)
    data = trained_on(network.config, about, alike, trained)
    assert "another store" in data.why_none
    assert not len(data.held_out)
    assert "prepared in the same way" in caplog.text


@pytest.mark.journey
def test_subjects_that_may_have_chosen_the_epoch_are_not_held_out(store, trained):
    network, about = load_model(trained)
    assert len(trained_on(network.config, about, store, trained).held_out) == 20
    by_subject = about | {"validation": about["validation"] | {"windows": about["validation"]["windows"] + 20}}
    assert "chosen the model's epoch" in trained_on(network.config, by_subject, store, trained).why_none
    fold = {name: value for name, value in about.items() if name != "validation"}
    assert "of a fold" in trained_on(network.config, fold, store, trained).why_none


# --- int8 ---


@pytest.mark.journey
def test_int8_is_calibrated_on_training_subjects_and_measured_on_others(store, trained, quantised):
    network, about = load_model(trained)
    calibration, checked, _ = int8.choose_windows(trained_on(network.config, about, store, trained))
    assert set(store.windows.iloc[calibration]["subject"]) == {"s01", "s02"}
    assert set(store.windows.iloc[checked]["subject"]) == {"s03"}
    held = {each.key: each.value for each in onnx.load(quantised.path).metadata_props}
    record = json.loads(held["gbvnet_int8"])
    assert (record["calibration_windows"], record["checked_windows"], record["seed"]) == (36, 20, 0)
    assert record["mean_difference"] <= record["mean_limit"] == 0.02
    assert held["gbvnet"] == (trained / "config.json").read_text()
    assert f"{record['mean_difference']:.4f} (limit 0.02)" in quantised.path.with_name("int8.onnx.md").read_text()
    assert quantised.bytes[1] < 0.6 * quantised.bytes[0]


@pytest.mark.journey
def test_without_other_subjects_no_window_is_in_both_sets(store, trained):
    network, about = load_model(trained)
    data = replace(trained_on(network.config, about, store, trained), held_out=np.empty(0, np.int64))
    calibration, checked, on = int8.choose_windows(data)
    assert not set(calibration) & set(checked)
    assert (len(calibration), len(checked), on) == (18, 18, "of the same subjects, not used for the calibration")


@pytest.mark.journey
def test_weights_are_int8_with_a_scale_for_each_channel(trained, quantised):
    model = onnx.load(quantised.path)
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    names = [name for name, array in arrays.items() if array.dtype == np.int8 and array.ndim >= 2]
    assert len(names) > 20
    assert all(np.abs(arrays[name].astype(int)).max() <= 64 for name in names)  # 7 bits
    stem = next(name for name in names if arrays[name].shape == (16, 3, 4, 4))
    scale = next(array for name, array in arrays.items() if name.startswith(stem.removesuffix("_quantized"))
                 and name.endswith("_scale"))  # fmt: skip
    weight = load_model(trained)[0].face.space.stem.weight.detach().numpy()
    assert scale.shape == (16,)
    assert np.abs(arrays[stem] * scale[:, None, None, None] - weight).max() <= scale.max() / 2 + 1e-7


@pytest.mark.journey
def test_the_int8_session_computes_what_its_dequantised_graph_computes(store, quantised):
    """onnxruntime's integer kernels against the file as it is written, operation by operation in float32.

    Sums in another order can round an activation to the next of its 256 steps, and the next layer sees it.
    """
    faces, ok, signals = store.read(np.arange(16))
    inputs = {"faces": faces, "face_ok": ok, "signals": signals, "has_signals": np.ones(16, bool)}
    fast, plain = (run_onnx(open_session(quantised.path, optimised=o), inputs)["logits"] for o in (True, False))
    assert np.abs(fast - plain).max() < 0.05
    assert np.abs(fast - plain).mean() < 0.01


@pytest.mark.journey
def test_a_network_that_loses_too_much_is_not_written(store, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(int8, "MEAN_LIMIT", 1e-6)
    with pytest.raises(BadModel, match="loses too much in int8"):
        export_int8(trained, tmp_path / "int8.onnx", store)
    assert not list(tmp_path.iterdir())


# --- the command line ---


@pytest.mark.journey
def test_the_three_are_compared_in_one_run(store, pruned, quantised, trained, capsys):
    assert main(["model", "compare", str(trained), str(pruned[0].folder), str(quantised.path), "--store",
                 str(store.path)]) == 0  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "model trained on synthetic data"
    assert lines[1].split() == ["runtime", "accuracy", "MB", "ms", "a", "window", "windows/s", "memory,", "MB"]
    assert [line.split()[1] for line in lines[2:5]] == ["torch", "torch", "onnxruntime"]
    assert "20 windows of 1 subject that no model was trained on" in lines[5]


@pytest.mark.journey
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prune", "MODEL", "OUT", "--store", "STORE", "--keep", "0"], "above 0 and at most 1, not 0"),
        (["prune", "MODEL", "OUT", "--store", "STORE", "--keep", "1.5"], "above 0 and at most 1, not 1.5"),
        (["prune", "MODEL", "OUT"], "give --store"),
        (["prune", "MODEL"], "give the folder to write"),
        (["export", "MODEL", "OUT.onnx", "--int8"], "give --store"),
        (["export", "MODEL", "OUT.onnx", "--store", "STORE"], "--store is for --int8"),
        (["show", "MODEL", "--keep", "0.3"], "--keep is an option of model prune, not of model show"),
        (["show", "MODEL", "OTHER"], "OTHER is an argument too many"),
        (["compare", "MODEL", "STORE/store.json"], "store.json"),
        (["compare", "MODEL", "none.onnx"], "no such file"),
        (["prune", "MODEL", "MODEL", "--store", "STORE"], "no such folder yet"),
    ],
)
def test_what_is_wrong_costs_one_line(words, message, store, trained, tmp_path, capsys):
    places = {"MODEL": trained, "STORE": store.path, "OUT": tmp_path / "out"}
    filled = [next((w.replace(k, str(v)) for k, v in places.items() if w.startswith(k)), w) for w in words]
    assert main(["model", *filled]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


@pytest.mark.journey
def test_a_missing_extra_costs_one_line(store, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("gbvnet.network.checkpoint.onnx.find_spec", lambda name: None)
    words = ["model", "export", str(trained), str(tmp_path / "a.onnx"), "--int8", "--store", str(store.path)]
    assert main(words) == 2
    assert "pip install 'gbvnet[onnx]'" in capsys.readouterr().err


@pytest.mark.journey
def test_a_model_that_says_nothing_of_its_training_is_refused(store, trained, tmp_path):
    save_model(tmp_path / "bare", load_model(trained)[0], {"face_side": 32})
    with pytest.raises(BadModel, match="no subjects"):
        prune_model(tmp_path / "bare", tmp_path / "out", store, HOW)


@pytest.mark.journey
def test_costs_and_concordance(trained, quantised):
    memory = measure_memory(quantised.path, 1)
    assert memory is None or memory >= 0  # this process may have freed as much before
    y, x = np.array([1.0, 2, 3, 4]), np.array([2.0, 3, 4, 5])
    assert concordance(y, x) == pytest.approx(2 * 1.25 / (1.25 + 1.25 + 1))  # by hand
    assert concordance(y, y) == pytest.approx(1)
    (row,) = compare_models([trained]).rows
    assert min(row.latency_ms, row.windows_per_s) > 0
    assert row.score is None

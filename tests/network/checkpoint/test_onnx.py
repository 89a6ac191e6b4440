"""A model as ONNX: onnxruntime answers what torch answers, whatever a window lacks and however many there are."""

import copy
import json

import numpy as np
import pytest
import torch

from gbvnet.cli.main import main
from gbvnet.config import GBVNetConfig
from gbvnet.errors import BadConfig, BadModel, GbvnetError
from gbvnet.network.checkpoint import onnx as export
from gbvnet.network.checkpoint.checkpoint import save_model
from gbvnet.network.model import GBVNet, pixels

ort = pytest.importorskip("onnxruntime")

SIDE = 36  # no multiple of 32: the last patches are completed with zeros
KINDS = {
    "whole": {},
    "joint, both modalities needed, no gates": {
        "fusion": "concat",
        "modality_dropout": 0.0,
        "n_outputs": 2,
        "tcn": "parallel",
    },
    "face, no transformer": {"modality": "face", "face_time": "none"},
    "signals": {"modality": "bio", "pooling": "mean"},
    "cross-attention": {"fusion": "cross_attention"},
    "mixture of experts": {"fusion": "experts"},
    "features of the face": {"face_input": "features", "n_face_features": 7},
    "features, no transformer": {
        "modality": "face",
        "face_input": "features",
        "n_face_features": 7,
        "face_time": "none",
    },
}


def network(**settings):
    """A network whose parts all say something: at the start GRN and many biases are zero."""
    torch.manual_seed(3)
    made = GBVNet(GBVNetConfig(**{"variant": "micro", "n_channels": 3, "n_frames": 3, "n_samples": 64, **settings}))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for name, buffer in made.named_buffers():
            if name.endswith("running_mean") or name == "signal_mean":
                buffer.normal_()
            elif name.endswith("running_var") or name == "signal_sd":
                buffer.uniform_(0.5, 2)
    return made.eval()


@pytest.fixture(scope="module", params=list(KINDS))
def exported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    made = network(**KINDS[request.param])
    save_model(folder / "model", made, {"face_side": SIDE, "targets": ["valence"]})
    done = export.export_onnx(folder / "model", folder / "model.onnx")
    return made, done, folder


def windows(n, seed=5):
    draw = np.random.default_rng(seed)
    return {
        "faces": draw.integers(0, 256, (n, 3, SIDE, SIDE, 3), np.uint8),
        "face_ok": np.tile([True, False, True], (n, 1)),
        "signals": 3 * draw.standard_normal((n, 3, 64), np.float32),
        "has_signals": np.ones(n, bool),
        "face_features": draw.standard_normal((n, 3, 7), np.float32),
    }


def faces_for(made, tensors):
    return tensors["face_features"] if made.reads_features else pixels(tensors["faces"])


def ask(session, held):
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {i.name: held[i.name] for i in session.get_inputs()}), strict=True))


@pytest.mark.journey
def test_it_answers_as_torch_does_for_any_number_of_windows(exported):
    made, done, _ = exported
    session = ort.InferenceSession(done.path)
    for n in (1, 2, 7):
        held = windows(n)
        t = {name: torch.from_numpy(array) for name, array in held.items()}
        with torch.inference_mode():
            of_torch = made(faces_for(made, t), t["face_ok"], t["signals"])
        of_onnx = ask(session, held)
        assert of_onnx["logits"].shape == (n, made.config.n_outputs)
        assert n == 1 or np.ptp(of_onnx["logits"][:, 0]) > 1e-3  # a network whose output varies
        np.testing.assert_allclose(of_onnx["logits"], of_torch.logits, atol=1e-4)
        assert ("gate_face" in of_onnx) == (of_torch.gates is not None)
        for name in set(of_onnx) - {"logits"}:
            np.testing.assert_allclose(of_onnx[name], getattr(of_torch, name), atol=1e-4)
    assert done.difference <= 1e-4
    assert min(done.torch_one, done.onnx_one, done.torch_batch, done.onnx_batch) > 0


@pytest.mark.journey
def test_a_window_without_a_modality_is_answered_as_torch_answers_or_refused(exported):
    made, done, _ = exported
    held = windows(4)
    held["face_ok"][1] = held["face_ok"][3] = False
    held["has_signals"][2:] = False
    held["signals"][2:] = np.nan  # what is not there may be anything
    held["faces"][1], held["face_features"][1] = 255, np.nan
    of_onnx = ask(ort.InferenceSession(done.path), held)
    for row in range(4):
        t = {name: torch.from_numpy(array[row : row + 1]) for name, array in held.items()}
        if refused(made.config)[row]:
            with pytest.raises(GbvnetError, match="1 of 1 windows"):
                made(faces_for(made, t), t["face_ok"], t["signals"], None, t["has_signals"])
            assert all(np.isnan(held[row]).all() for held in of_onnx.values())
        else:
            with torch.inference_mode():
                of_torch = made(faces_for(made, t), t["face_ok"], t["signals"], None, t["has_signals"])
            np.testing.assert_allclose(of_onnx["logits"][row], of_torch.logits[0], atol=1e-4)
            both = bool(held["face_ok"][row].any() and held["has_signals"][row])
            assert all(np.isfinite(of_onnx[name][row]) == both for name in set(of_onnx) - {"logits"})


def refused(config):
    """Of four windows: one with all, one without a face, one without signals, one without both."""
    if config.modality == "facebio":
        return (False, False, False, True) if config.modality_dropout else (False, True, True, True)
    return (False, True, False, True) if config.modality == "face" else (False, False, True, True)


@pytest.mark.journey
def test_the_file_says_what_it_expects_and_nothing_is_left_beside_it(exported):
    _, done, folder = exported
    session = ort.InferenceSession(done.path)
    kept = session.get_modelmeta().custom_metadata_map["gbvnet"]
    assert json.loads(kept) == json.loads((folder / "model/config.json").read_text())
    assert {i.shape[0] for i in session.get_inputs()} == {"B"}
    assert sorted(f.name for f in folder.iterdir()) == ["model", "model.onnx"]
    assert "differs from torch by at most" in str(done)


@pytest.mark.journey
def test_an_export_that_answers_otherwise_is_refused(exported):
    made, done, _ = exported
    session = ort.InferenceSession(done.path)
    other = copy.deepcopy(made)
    with torch.no_grad():
        other.head[-1].bias.add_(2e-4)
    with pytest.raises(BadModel, match=r"logits that differ by 0\.0002"):
        export._compare(other, session, SIDE, done.path)


def test_what_is_not_installed_is_one_clear_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export, "find_spec", lambda module: None if module == "onnxscript" else "there")
    assert main(["model", "export", "model", str(tmp_path / "model.onnx")]) == 2
    assert "exporting needs onnxscript, which is not installed: pip install 'gbvnet[onnx]'" in capsys.readouterr().err
    with pytest.raises(BadConfig, match="exporting needs"):
        export.export_onnx("model", tmp_path / "model.onnx")


@pytest.mark.journey
def test_a_place_that_cannot_be_written_and_a_model_without_its_side_are_reported_before_any_work(tmp_path):
    save_model(tmp_path / "model", network(), {})
    with pytest.raises(BadModel, match=r"about\.face_side, the side of a face in pixels, found None"):
        export.export_onnx(tmp_path / "model", tmp_path / "model.onnx")
    with pytest.raises(BadModel, match="found no folder"):
        export.export_onnx(tmp_path / "model", tmp_path / "none" / "model.onnx")
    with pytest.raises(BadModel, match="found a folder"):
        export.export_onnx(tmp_path / "model", tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["model"]
    (tmp_path / "film.mp4").write_bytes(b"a film")
    with pytest.raises(BadModel, match="expected no such file yet, or an older export that ends in"):
        export.export_onnx(tmp_path / "model", tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_bytes() == b"a film"


@pytest.mark.journey
def test_the_command_prints_the_difference_and_the_times(tmp_path, capsys):
    save_model(tmp_path / "model", network(modality="bio"), {})
    assert main(["model", "export", str(tmp_path / "model"), str(tmp_path / "model.onnx")]) == 0
    output = capsys.readouterr().out
    assert "differs from torch by at most" in output
    assert "on this CPU: one window" in output

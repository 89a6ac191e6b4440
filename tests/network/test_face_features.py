"""A network that reads features of faces: its layer beside one made by hand, masks, and what its training uses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import erf

from gbvnet.config import CrossvalConfig, GBVNetConfig, ModelConfig, TrainConfig, to_dict
from gbvnet.errors import BadConfig, BadModel, GbvnetError
from gbvnet.experiments.run_folder import config_digest
from gbvnet.former_settings import present_names
from gbvnet.network.augment import corrupt
from gbvnet.network.batches import FaceFeatureWindows, Windows
from gbvnet.network.checkpoint.checkpoint import load_model, save_model
from gbvnet.network.checkpoint.describe import describe_model
from gbvnet.network.complexity import count_flops, noise
from gbvnet.network.model import GBVNet
from gbvnet.network.pretrained import load_face_weights
from gbvnet.preprocessing.face_features import EXPRESSIONS, MEDIAPIPE_FEATURES
from gbvnet.store.channels import face_feature_statistics
from gbvnet.systems import system, validate_config
from gbvnet.systems.gbvnet import System

from ..synthetic_store import write_store

D, F = 7, 3
CONFIG = GBVNetConfig(
    face_input="features", n_face_features=D, n_frames=F, n_channels=4, n_samples=32, modality="facebio"
)


def network_of(**changes) -> GBVNet:
    torch.manual_seed(0)
    net = GBVNet(replace(CONFIG, **changes)).eval()
    net.fit_face_normaliser(torch.linspace(-3, 3, D), torch.linspace(0.5, 2, D))
    return net


def faces_of(n=5, seed=1):
    return torch.randn(n, F, D, generator=torch.Generator().manual_seed(seed))


def weight_of(net, name):
    return net.state_dict()[name].double().numpy()


def test_the_layer_is_a_z_score_and_a_matrix():
    """NumPy alone, up to the face's features of a network that takes the mean over frames."""
    net = network_of(face_time="none", modality="face")
    faces, ok = faces_of(), torch.tensor([[True, True, False]] * 5)
    z = (faces.double().numpy() - np.linspace(-3, 3, D)) / np.linspace(0.5, 2, D)
    frames = z @ weight_of(net, "face.out.weight").T + weight_of(net, "face.out.bias")  # (5, F, 128)
    by_hand = frames[:, :2].mean(axis=1)
    assert net(faces, ok, None).fused.detach().double().numpy() == pytest.approx(by_hand, abs=1e-5)


def test_the_transformer_reads_the_layer_as_it_reads_a_picture_s():
    """One window of one valid frame: attention to itself alone, by hand."""
    net = network_of(modality="face")
    faces, ok = faces_of(1), torch.tensor([[False, True, False]])
    x = (faces[0, 1].double().numpy() - np.linspace(-3, 3, D)) / np.linspace(0.5, 2, D)
    x = weight_of(net, "face.out.weight") @ x + weight_of(net, "face.out.bias") + weight_of(net, "time.positions")[1]

    def linear(name, v):
        return weight_of(net, f"{name}.weight") @ v + weight_of(net, f"{name}.bias")

    def norm(name, v):
        z = (v - v.mean()) / np.sqrt(v.var() + 1e-5)
        return z * weight_of(net, f"{name}.weight") + weight_of(net, f"{name}.bias")

    for layer in ("time.layers.0", "time.layers.1"):
        value = linear(f"{layer}.attention.qkv", norm(f"{layer}.norm1", x))[-128:]
        x = x + linear(f"{layer}.attention.out", value)
        hidden = linear(f"{layer}.widen", norm(f"{layer}.norm2", x))
        x = x + linear(f"{layer}.narrow", hidden * (1 + erf(hidden / np.sqrt(2))) / 2)
    assert net(faces, ok, None).fused[0].detach().double().numpy() == pytest.approx(x, abs=1e-4)


@pytest.mark.journey
def test_masked_frames_count_neither_in_the_output_nor_in_the_gradient():
    faces, ok = faces_of(), torch.tensor([[True, False, True]] * 5)
    signals = torch.randn(5, 4, 32, generator=torch.Generator().manual_seed(2))
    net = network_of()
    hidden = faces.clone()
    hidden[:, 1] = torch.nan
    assert torch.equal(net(faces, ok, signals).logits, net(hidden, ok, signals).logits)
    net(hidden, ok, signals).logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
    assert net.face.out.weight.grad.abs().sum() > 0
    frames = net.face(torch.full((2, D), torch.nan))  # as a GPU computes them, before the mask
    assert torch.isfinite(frames).all()


def test_a_window_without_a_valid_frame_has_the_embedding_of_a_missing_face():
    net = network_of()
    signals = torch.randn(2, 4, 32)
    without = net(None, None, signals).logits
    faces, ok = torch.full((2, F, D), torch.nan), torch.zeros(2, F, dtype=torch.bool)
    output = net(faces, ok, signals)
    assert torch.equal(output.logits, without) and torch.isnan(output.gate_face).all()
    both = net(faces_of(2), None, signals)
    assert torch.isfinite(both.gate_face).all() and both.gates.shape == (2, 192)


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        (torch.zeros(2, F, D + 1), r"\(2, 3, 7\) here"),
        (torch.zeros(2, F, 3, 32, 32), r"\(2, 3, 7\) here"),
        (torch.zeros(2, F, D, dtype=torch.uint8), "this network reads floats"),
    ],
)
def test_other_shapes_are_refused(faces, message):
    with pytest.raises(GbvnetError, match=message):
        network_of()(faces, None, torch.zeros(2, 4, 32))


def test_settings_that_do_not_go_together_are_refused(tmp_path):
    with pytest.raises(BadConfig, match="n_face_features must be at least 1 for a network that reads face features"):
        GBVNetConfig(face_input="features")
    with pytest.raises(BadConfig, match="and 0 for others, not 5"):
        GBVNetConfig(n_face_features=5)
    assert GBVNetConfig(face_input="features", modality="bio").n_face_features == 0
    with pytest.raises(BadConfig, match="face_weights are weights of an encoder of pictures"):
        CrossvalConfig(model=ModelConfig(face_input="features"), train=TrainConfig(face_weights="a.safetensors"))
    with pytest.raises(BadModel, match="expected a network that reads pictures"):
        load_face_weights(network_of(), tmp_path / "a.safetensors")
    with pytest.raises(GbvnetError, match="reads pictures has no face features"):
        GBVNet(GBVNetConfig(variant="micro")).fit_face_normaliser(torch.zeros(D), torch.ones(D))


def test_a_new_setting_leaves_the_digest_of_a_run_of_before():
    before = "a235dace0f0f"  # as gbvnet wrote it when networks read pictures only
    assert config_digest(CrossvalConfig()) == before
    assert config_digest(CrossvalConfig(model=ModelConfig(face_input="features"))) != before
    settings = to_dict(CrossvalConfig())
    former = json.loads(json.dumps(settings))
    del former["model"]["face_input"]
    assert present_names(former)["model"]["face_input"] == "pixels"
    assert present_names({"model": {"variant": "micro"}}) == {"model": {"variant": "micro"}}


@pytest.mark.journey
def test_a_model_folder_of_pictures_names_nothing_new_and_one_of_features_loads(tmp_path):
    save_model(tmp_path / "pixels", GBVNet(GBVNetConfig(variant="micro", n_channels=4)), {})
    assert "face_input" not in json.loads((tmp_path / "pixels/config.json").read_text())["config"]
    net = network_of()
    save_model(tmp_path / "features", net, {"face_features": [f"AU{k:02d}_r" for k in range(D)]})
    again = load_model(tmp_path / "features")[0]
    signals = torch.randn(5, 4, 32)
    assert torch.equal(again(faces_of(), None, signals).logits, net(faces_of(), None, signals).logits)
    assert "3 frames per window, 7 features a frame" in describe_model(tmp_path / "features")
    assert "AU06_r" in describe_model(tmp_path / "features")
    assert "face features: 3 frames per window, 7" in (tmp_path / "features/README.md").read_text()


@pytest.mark.journey
def test_what_it_costs_is_measured_on_features():
    inputs = noise(CONFIG, 32, 2)
    assert inputs[0].shape == (2, F, D)
    pictures = GBVNetConfig(variant="micro", n_frames=F, n_channels=4, n_samples=32)
    assert 0 < count_flops(network_of(), inputs) < count_flops(GBVNet(pictures), noise(pictures, 32, 2))


# ---------------------------------------------------------------- corruption


def test_corrupted_features_keep_their_scale_and_are_covered_by_the_mean():
    n = 4000
    mean, sd = torch.linspace(-3, 3, D), torch.linspace(0.5, 2, D)
    generator = torch.Generator().manual_seed(0)
    faces = mean + sd * torch.randn(n, F, D, generator=generator)
    out, none = corrupt(faces, None, 0.5, mean, sd, generator, (mean, sd))
    assert none is None and out.shape == faces.shape
    changed = (out != faces).any(2).any(1)
    assert changed.float().mean() == pytest.approx(0.5, abs=0.05)
    assert out.std((0, 1)) == pytest.approx(sd.numpy(), rel=0.1) and out.mean((0, 1)) == pytest.approx(mean, abs=0.1)
    covered = ((out == mean) & (faces != mean)).all(1)  # (n, D), in all frames
    share = covered[covered.any(1)].float().mean(1)
    assert 0.2 < covered.any(1).float().mean() < 0.27 and 0.1 < share.min() < share.mean() < 0.7
    noisy = out[changed & ~covered.any(1)] - faces[changed & ~covered.any(1)]
    # The same noise in all frames: differences of frames are the original ones, scaled.
    assert torch.linalg.matrix_rank((noisy - noisy[:, :1])[0]) <= F - 1


def test_no_corruption_changes_nothing_and_nothing_in_place():
    faces = faces_of()
    before = faces.clone()
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(corrupt(faces, None, 0.0, None, None, generator, (torch.zeros(D), torch.ones(D)))[0], faces)
    corrupt(faces, None, 1.0, None, None, generator, (torch.zeros(D), torch.ones(D)))
    assert torch.equal(faces, before)


# ---------------------------------------------------------------- stores


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    return write_store(folder / "store", missing={(1, 2): "face", (2, 1): "signals"}.items(), kept="features")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("pictures") / "store")


@pytest.mark.journey
def test_statistics_are_of_the_frames_with_a_face(store):
    rows = np.arange(len(store))
    mean, sd = face_feature_statistics(store, rows)
    x = store.face_features(rows).reshape(-1, 58).astype(np.float64)
    x = x[np.isfinite(x).all(axis=1)]
    assert 0 < len(x) < x.size and mean == pytest.approx(x.mean(axis=0)) and sd == pytest.approx(x.std(axis=0))
    without = store.windows.index[~store.windows["has_face"]].to_numpy()
    with pytest.raises(BadConfig, match=f"none of {len(without)} windows has a frame with all of its face features"):
        face_feature_statistics(store, without)


def test_batches_hold_features_and_masks(store):
    windows = FaceFeatureWindows(store, np.arange(len(store)), "facebio", memory_gib=1)
    ahead = FaceFeatureWindows(store, np.arange(len(store)), "facebio")
    assert windows.nbytes == len(store) * (2 * (4 * 58 + 1) + 4 * 5 * 32)
    for kept, read in zip(windows.in_order(16), ahead.in_order(16), strict=True):
        assert kept.faces.shape[1:] == (2, 58) and kept.faces.dtype == torch.float32
        assert all(torch.equal(a.nan_to_num(9), b.nan_to_num(9)) for a, b in zip(kept[:3], read[:3], strict=True))
        assert torch.equal(kept.face_ok, torch.isfinite(kept.faces).all(2))
    with pytest.raises(BadConfig, match=r"reads pictures of faces, and .* has none, only 58 features a frame"):
        Windows(store, np.arange(3), "face")
    Windows(store, np.arange(3), "bio")


SMALL = CrossvalConfig(
    target="valence", modality="facebio", model=ModelConfig(variant="micro", face_input="features"),
    train=TrainConfig(epochs=4, batch_size=16, corrupt=0.2),
)  # fmt: skip


@pytest.mark.journey
def test_training_learns_from_features_and_fits_its_scale_on_training_rows(store, tmp_path):
    y = (store.windows["valence"] >= 5).to_numpy().astype(float)
    rows = np.flatnonzero(store.windows["subject"] != "s04")
    config = replace(SMALL, modality="face", train=TrainConfig(epochs=20, batch_size=16))
    config = validate_config(config, store)
    rows = rows[store.windows["has_face"].to_numpy()[rows]]
    made = System(config).fit(store, rows, y[rows], seed=0)
    mean, sd = face_feature_statistics(store, rows)
    assert made.network.face.mean.numpy() == pytest.approx(mean, abs=1e-5)
    assert made.network.face.sd.numpy() == pytest.approx(sd, rel=1e-4)
    test = np.flatnonzero(store.windows["subject"] == "s04")
    assert ((made.predict_proba(store, test) > 0.5) == y[test]).mean() > 0.9
    made.save(tmp_path / "model")
    again = System.load(tmp_path / "model", config)
    assert np.array_equal(again.predict_proba(store, test), made.predict_proba(store, test))
    assert json.loads((tmp_path / "model/config.json").read_text())["about"]["face_features"] == [*MEDIAPIPE_FEATURES]


@pytest.mark.journey
def test_expressions_beside_pictures_can_be_read_too(pictures):
    y = (pictures.windows["valence"] >= 5).to_numpy().astype(float)
    rows = np.arange(len(pictures))
    made = System(validate_config(SMALL, pictures)).fit(pictures, rows, y)
    assert made.network.config.n_face_features == 52
    assert made.model_metadata["face_features"] == [*EXPRESSIONS] and "face_statistics" not in made.model_metadata


@pytest.mark.journey
def test_systems_that_read_pictures_are_refused_and_the_others_are_not(store):
    for name in ("deepvanet", "cui-like"):
        with pytest.raises(BadConfig, match=f"{name} reads pictures of faces, and .* has none, only 58 features"):
            validate_config(CrossvalConfig(system=name), store)
    for name in ("huang", "mindlink-eumpy", "salama-like"):
        with pytest.raises(BadConfig, match=f"{name} reads pictures of faces"):
            validate_config(CrossvalConfig(system=name, modality="faceeeg"), store)
    with pytest.raises(BadConfig, match=r"gbvnet with --model.face_input features"):
        validate_config(CrossvalConfig(), store)
    validate_config(CrossvalConfig(modality="bio"), store)
    y = (store.windows["valence"] >= 5).to_numpy().astype(np.int8)
    rows = np.flatnonzero(store.windows["has_face"] & store.windows["has_signals"])
    for name in ("expression", "siddharth-like", "nearest", "ridge", "majority", "subject-majority"):
        config = validate_config(CrossvalConfig(system=name, modality="face"), store)
        p = system(name)(config).fit(store, rows[:60], y[rows[:60]], seed=0).predict_proba(store, rows[60:])
        assert p.shape == (len(rows) - 60,) and np.isfinite(p).all()
        if "majority" not in name:
            assert ((p > 0.5) == y[rows[60:]]).mean() > 0.7


@pytest.mark.journey
def test_expression_gives_the_same_from_pictures_and_from_features(store, tmp_path):
    pictures = write_store(tmp_path / "pictures", missing={(1, 2): "face", (2, 1): "signals"}.items())
    rows = np.flatnonzero(store.windows["has_face"])
    y = (store.windows["valence"] >= 5).to_numpy().astype(np.int8)[rows]
    made = system("expression")
    config = CrossvalConfig(system="expression", modality="face")
    p = [made(config).fit(each, rows, y, seed=0).predict_proba(each, rows) for each in (store, pictures)]
    assert np.array_equal(*p)


@pytest.mark.journey
def test_features_are_refused_where_there_are_none(tmp_path):
    bare = write_store(tmp_path / "bare")
    bare.settings["prepare"]["landmarks"] = "dlib"
    with pytest.raises(BadConfig, match=r"reads features of faces, and .* has none, as its faces were tracked by dlib"):
        validate_config(SMALL, bare)
    with pytest.raises(BadConfig, match="has no face features: prepare it with"):
        bare.face_features([0])


@pytest.mark.journey
def test_a_system_learns_from_features_of_other_software(tmp_path):
    """As OpenFace's: none of the names is MediaPipe's."""
    made = write_store(tmp_path / "store", kept="features")
    path = Path(tmp_path / "store/store.json")
    settings = json.loads(path.read_text())
    settings["face_features"] = [f"AU{k:02d}_r" for k in range(58)]
    path.write_text(json.dumps(settings))
    store = type(made)(tmp_path / "store")
    assert np.isnan(store.expression([0])).all() and np.isfinite(store.face_features([0])).all()
    y = (store.windows["valence"] >= 5).to_numpy().astype(np.int8)
    rows = np.arange(len(store))
    for name in ("expression", "siddharth-like"):
        config = validate_config(CrossvalConfig(system=name, modality="face"), store)
        p = system(name)(config).fit(store, rows, y, seed=0).predict_proba(store, rows)
        assert ((p > 0.5) == y).mean() > 0.9

"""Systems of single pictures, and of a network that is not trained; test_systems.py has what all promise."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gbvnet.config import CrossvalConfig, ModelConfig, TrainConfig
from gbvnet.errors import BadConfig, BadModel, BadRun
from gbvnet.experiments.crossval import cross_validate
from gbvnet.network.backbones import Backbone
from gbvnet.store.feature_cache import FeatureCache
from gbvnet.systems import chowdary_like, meena_like, minaee, read_options, system

from ...synthetic_store import write_store

pytestmark = pytest.mark.usefixtures("repeatable_torch")

SHORT = TrainConfig(epochs=3, batch_size=16, device="cpu", select="last")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("planted") / "store", subjects=3, trials=4, windows=3)


def n_parameters(network):
    return sum(p.numel() for p in network.parameters())


def labels(store):
    return (store.windows["valence"] >= 5).to_numpy()


# single pictures


@pytest.mark.journey
@pytest.mark.parametrize("network", [minaee.DeepEmotion(2), meena_like.DeepCNN(2, 4)], ids=["minaee", "meena-like"])
def test_a_window_has_the_mean_logit_of_its_good_frames(network):
    faces = torch.rand(3, 4, 3, 64, 64)
    ok = torch.tensor([[True, True, True, True], [False, True, False, True], [True, False, False, False]])
    network.eval()
    with torch.no_grad():
        logits = network(faces, ok).logits
        single = torch.stack([network(faces[:, f : f + 1]).logits for f in range(4)], dim=1)  # (3, 4, 2)
        expected = torch.stack([single[0].mean(0), single[1, [1, 3]].mean(0), single[2, 0]])
        assert torch.allclose(logits, expected, atol=1e-5)
        network.train()
        shown = torch.rand(2, 2, 3, 64, 64)
        shown[:, 0] = torch.nan  # a frame that is not good is never sampled
        assert torch.isfinite(network(shown, torch.tensor([[False, True]] * 2)).logits).all()


# minaee


def test_minaee_has_as_many_parameters_as_its_sizes_give():
    """By hand for the seven classes of the source; 48 pixels become 42, 21, 17, 8 and 46, 44, 22, 20, 18, 9."""
    localisation = (49 * 8 + 8) + (25 * 8 * 10 + 10) + (10 * 64 * 32 + 32) + (32 * 6 + 6)
    features = (9 * 10 + 10) + 3 * (90 * 10 + 10)
    head = (10 * 81 * 50 + 50) + (50 * 7 + 7)
    assert n_parameters(minaee.DeepEmotion(7)) == localisation + features + head == 66_857


def test_its_transformer_changes_nothing_at_first_and_then_what_its_affine_map_says():
    transformer, pictures = minaee.SpatialTransformer().eval(), torch.rand(2, 1, 48, 48)
    last = transformer.localisation[-1]
    with torch.no_grad():
        assert torch.allclose(transformer(pictures), pictures, atol=1e-5)
        last.bias.copy_(torch.tensor([1, 0, 2 * 3 / 48, 0, 1, -2 * 5 / 48]))  # three pixels right and five up
        moved = transformer(pictures)
        assert torch.allclose(moved[:, :, 5:, :-3], pictures[:, :, :-5, 3:], atol=1e-4)
        assert moved[:, :, :4].abs().max() < 1e-4 and moved[:, :, :, -2:].abs().max() < 1e-4
        last.bias.copy_(torch.tensor([-1.0, 0, 0, 0, 1, 0]))
        assert torch.allclose(transformer(pictures), pictures.flip(-1), atol=1e-4)


def test_its_localisation_network_is_trained():
    network = minaee.DeepEmotion(1).train()
    network(torch.rand(4, 1, 3, 48, 48)).logits.sum().backward()
    assert network.transformer.localisation[-1].weight.grad.abs().max() > 0


# meena-like


def test_meena_like_has_the_size_that_its_description_gives():
    convolutions, n_in = 0, 1
    for width in (16, 32, 64, 128):
        convolutions += 9 * n_in * width + 9 * width * width + 2 * 2 * width
        n_in = width
    head = 128 * 3 * 3 * 256 + 2 * 256 + 256 + 1
    assert n_parameters(meena_like.DeepCNN(1, 4)) == convolutions + head == 589_393
    assert n_parameters(meena_like.DeepCNN(1, 1)) == 9 * 16 + 9 * 16 * 16 + 64 + 16 * 24 * 24 * 256 + 512 + 257


@pytest.mark.journey
def test_meena_like_trains_longer_and_with_larger_batches_than_the_run_says(store, monkeypatch):
    used = []
    original = meena_like.FrameSystem.fit

    def fit(self, *arguments, **named):
        used.append((self.config.train.batch_size, self.config.train.epochs, self.config.train.patience))
        return original(self, *arguments, **named)

    monkeypatch.setattr(meena_like.FrameSystem, "fit", fit)
    config = CrossvalConfig(system="meena-like", modality="face", train=replace(SHORT, epochs=1, patience=4))
    made = system("meena-like")(config).fit(store, np.arange(24), labels(store)[:24])
    assert len(made.fitted.history) == 2 and made.config is config
    made = system("meena-like")(replace(config, options={"longer": 3, "larger_batch": 1, "blocks": 1}))
    assert len(made.fit(store, np.arange(24), labels(store)[:24]).fitted.history) == 3
    assert used == [(32, 2, 8), (16, 3, 12)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("meena-like", {"blocks": 5}, r"options\.blocks must be 1 to 4, not 5"),
        ("meena-like", {"longer": 0}, r"options\.longer must be at least 1, not 0"),
        ("chowdary-like", {"backbone": "vgg19"}, r"options\.backbone vgg19 needs options\.face_weights, a local file"),
        ("chowdary-like", {"backbone": "vgg16"}, r"options\.backbone: 'vgg16' is none of the choices"),
        ("chowdary-like", {"side": 8}, r"options\.side must be at least 32, not 8"),
        ("chowdary-like", {"units": 0}, r"options\.units must be at least 1, not 0"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(BadConfig, match=message):
        read_options(system(name), options, name)


# chowdary-like


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of MobileNet V1 in the layout of transformers."""
    torch.manual_seed(1)
    state = Backbone("mobilenet", "micro", None).space.state_dict()
    file = tmp_path_factory.mktemp("weights") / "mobilenet.safetensors"
    save_file({f"mobilenet_v1.{name}": tensor.clone() for name, tensor in state.items()}, file)
    return file


def with_weights(file, **others):
    options = {"backbone": "mobilenet", "face_weights": str(file), "side": 32, "units": 8, **others}
    return CrossvalConfig(system="chowdary-like", modality="face", train=SHORT, options=options)


@pytest.mark.journey
def test_a_windows_features_are_the_mean_over_its_good_frames_and_are_cached(store, weights, tmp_path):
    config = with_weights(weights)
    made = system("chowdary-like")(config).fit(store, np.arange(24), labels(store)[:24])
    frozen, rows = made._frozen, np.array([5, 0])
    faces, ok, _ = store.read(rows, signals=False)
    pictures = torch.from_numpy(faces).permute(0, 1, 4, 2, 3).float() / 255
    with torch.inference_mode():
        frames = torch.stack([frozen.backbone(pictures[i]) for i in range(2)]).numpy()  # (2, F, E)
    expected = np.stack([frames[i][ok[i]].mean(axis=0) for i in range(2)])
    assert np.abs(frozen.features(store, rows) - expected).max() < 1e-5

    class Masked:  # the same windows, whose last frame shows no face
        settings = store.settings

        def read(self, rows, signals=True):
            faces, ok, _ = store.read(rows, signals=False)
            ok = ok.copy()
            ok[:, -1] = False
            return faces, ok, None

    expected = np.stack([frames[i][:-1][ok[i][:-1]].mean(axis=0) for i in range(2)])
    assert np.abs(frozen.features(Masked(), rows) - expected).max() < 1e-5

    cached = FeatureCache(store)
    again = system("chowdary-like")(config).fit(cached, np.arange(24), labels(store)[:24])
    assert np.allclose(again.predict_proba(cached, rows), made.predict_proba(store, rows), atol=1e-6)
    (folder,) = cached.folder.iterdir()
    assert folder.name.startswith("backbone-mobilenet-") and "-32px-v1-" in folder.name


@pytest.mark.journey
def test_its_public_network_is_not_trained_and_its_model_needs_no_file_of_weights(store, weights, tmp_path):
    file = tmp_path / "copy.safetensors"
    file.write_bytes(weights.read_bytes())
    made = system("chowdary-like")(with_weights(file)).fit(store, np.arange(24), labels(store)[:24])
    given = load_file(weights)
    for name, tensor in made._frozen.backbone.space.state_dict().items():
        assert torch.equal(tensor, given[f"mobilenet_v1.{name}"])
    made.save(tmp_path / "model")
    file.unlink()
    again = system("chowdary-like").load(tmp_path / "model", with_weights(file))
    assert np.array_equal(again.predict_proba(store, np.arange(36)), made.predict_proba(store, np.arange(36)))
    trained = 1024 * 8 + 8 + 8 + 1
    assert made.about["n_parameters_trained"] == trained
    assert made.about["n_parameters"] == trained + n_parameters(made._frozen.backbone)
    assert made.about["face_weights"].startswith("copy.safetensors (layout of transformers, sha256 ")
    (tmp_path / "model" / chowdary_like.FILE).write_bytes(b"nothing")
    with pytest.raises(
        BadModel, match="expected the mobilenet of a trained chowdary-like, found a file that does not re"
    ):
        system("chowdary-like").load(tmp_path / "model", with_weights(file))


@pytest.mark.journey
def test_without_a_file_it_says_that_nothing_is_transferred(store, caplog):
    config = CrossvalConfig(system="chowdary-like", modality="face", train=SHORT, model=ModelConfig(variant="micro"))
    with caplog.at_level(logging.WARNING):
        made = system("chowdary-like")(config).fit(store, np.arange(24), labels(store)[:24])
    assert "has random weights: nothing is transferred" in caplog.text
    assert made.network.layers[0].in_features == 128
    made = system("chowdary-like")(replace(config, train=replace(SHORT, corrupt=0.5)))
    with pytest.raises(BadConfig, match=r"features of windows, which train\.corrupt cannot change"):
        made.fit(store, np.arange(24), labels(store)[:24])


@pytest.mark.journey
def test_a_run_records_the_files_hash_and_goes_on_with_no_other(store, weights, tmp_path):
    file = tmp_path / "w.safetensors"
    file.write_bytes(weights.read_bytes())
    config = replace(with_weights(file), folds=2, target="valence")
    cross_validate(store, tmp_path / "run", config)
    digest = json.loads((tmp_path / "run" / "environment.json").read_text())["face_weights"]
    assert len(digest) == 64
    save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, file)
    with pytest.raises(BadRun, match="a run begun with face weights of sha256"):
        cross_validate(store, tmp_path / "run", config)
    file.unlink()
    with pytest.raises(BadModel, match="expected a file of face weights, found No such file"):
        cross_validate(store, tmp_path / "other", config)

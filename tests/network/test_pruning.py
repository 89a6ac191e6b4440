"""Structured pruning: channels that say nothing go without a trace, and tensors become smaller."""

import json

import numpy as np
import pytest
import torch

from gbvnet.config import GBVNetConfig, PruneConfig, Widths
from gbvnet.errors import BadConfig, BadModel, GbvnetError
from gbvnet.network.batches import FaceFeatureWindows, Windows, with_network_faces
from gbvnet.network.checkpoint.checkpoint import load_model, save_model
from gbvnet.network.checkpoint.describe import describe_model
from gbvnet.network.checkpoint.folder import CONFIG
from gbvnet.network.model import GBVNet, layer_widths
from gbvnet.network.pruning import measure_responses, prunable_layers, prune_network
from gbvnet.testing.synthetic_store import SyntheticStore, SyntheticWindows

KINDS = {
    "default": {},
    "parallel TCN, features": {"tcn": "parallel", "face_input": "features", "n_face_features": 58},
    "no local CNN, no TCN": {"local_cnn": False, "tcn": "none", "modality": "bio"},
    "face": {"modality": "face", "face_time": "none"},
}
ROWS = np.arange(40)


@pytest.fixture(scope="module")
def store():
    return SyntheticStore(SyntheticWindows(subjects=2, trials=4))


@pytest.fixture(scope="module")
def features():
    return SyntheticStore(SyntheticWindows(subjects=2, trials=4, kept="features"))


def network(**settings):
    """A network whose GRN and biases are not zero, as they are at the start."""
    torch.manual_seed(0)
    made = GBVNet(GBVNetConfig(**{"variant": "micro", "n_channels": 5, "n_samples": 32, "n_frames": 2, **settings}))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for name, buffer in made.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
    if made.sees_signals:
        made.fit_normaliser(torch.full((5,), 100.0), torch.full((5,), 10.0))
    return made.eval()


def windows_for(made, store, features):
    kind, of = (FaceFeatureWindows, features) if made.reads_features else (Windows, store)
    return kind(of, ROWS, made.config.modality)


@torch.no_grad()
def logits(made, windows):
    return made(*with_network_faces(next(windows.in_order(len(ROWS))))[:5]).logits


def silence(made, layer, channels):
    """Let nothing read these channels, or, where a GRN compares them with others, let them be zero."""
    state = made.state_dict()
    for name, axis in layer.written if layer.grn else layer.read:
        if not layer.grn or "widen" in name:
            state[name].index_fill_(axis, channels, 0)


@pytest.mark.journey
@pytest.mark.parametrize("by", ["grn", "norm"])
@pytest.mark.parametrize("kind", KINDS)
def test_channels_that_say_nothing_are_removed_without_any_change(kind, by, store, features):
    made = network(**KINDS[kind])
    for layer in prunable_layers(made):
        silence(made, layer, torch.randperm(layer.width)[: layer.width // 2])
    windows = windows_for(made, store, features)
    before, half = logits(made, windows), prune_network(made, windows, PruneConfig(0.5, by=by))
    assert before.std() > 0.01
    assert (logits(half, windows) - before).abs().max() < 3e-6  # rounding of float32
    for name, width in vars(layer_widths(half.config)).items():
        whole = getattr(layer_widths(made.config), name)
        assert width == (whole if name == "stages" else tuple(w // 2 for w in whole))
    assert sum(p.numel() for p in half.parameters()) < 0.95 * sum(p.numel() for p in made.parameters())


@pytest.mark.journey
def test_channels_that_say_something_are_missed(store, features):
    """The test above could not fail if the logits depended on none of these channels."""
    made = network()
    windows = windows_for(made, store, features)
    assert (logits(prune_network(made, windows, PruneConfig(0.5)), windows) - logits(made, windows)).abs().max() > 1e-3


@pytest.mark.journey
def test_what_removed_channels_do_on_average_is_kept(store, features):
    """A channel that is constant is removed without a change: its value times the weights goes into the bias."""
    made = network(modality="bio")
    state = made.state_dict()
    state["signals.wide.widen.weight"][::2], state["signals.wide.widen.bias"][::2] = 0, 2.0
    state["signals.wide.widen.weight"][1::2] *= 100  # these are kept
    layer = prunable_layers(made)[-1]
    windows = windows_for(made, store, features)
    mean = measure_responses(made, windows, [layer])[layer.place].mean
    assert mean[::2].numpy() == pytest.approx(torch.nn.functional.gelu(torch.tensor(2.0)).item())
    half = prune_network(made, windows, PruneConfig(0.5, by="norm"))
    kept = half.state_dict()["signals.wide.widen.bias"]
    assert not (kept == 2).any()
    weight, bias = (made.state_dict()[f"signals.wide.narrow.{part}"] for part in ("weight", "bias"))
    expected = bias + weight[:, ::2].sum(1) * 1.9544997  # GELU of 2
    assert half.state_dict()["signals.wide.narrow.bias"].numpy() == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.journey
def test_grn_responses_are_those_of_its_definition(store, features):
    """N of Woo et al. 2023 in numpy, from the network's own maps: energy of a channel beside the mean of all."""
    made = network(modality="face")
    layer = next(each for each in prunable_layers(made) if each.place == ("blocks", 1))
    maps = []
    hook = made.get_submodule(layer.grn).register_forward_pre_hook(lambda _, x: maps.append(x[0].numpy().astype(float)))
    windows = windows_for(made, store, features)
    logits(made, windows)
    hook.remove()
    energy = np.sqrt((maps[0] ** 2).sum((1, 2)))
    expected = (energy / energy.mean(1, keepdims=True)).mean(0)
    assert measure_responses(made, windows, [layer])[layer.place].relative.numpy() == pytest.approx(expected, rel=1e-4)


@pytest.mark.journey
def test_stages_are_removed_as_a_whole(store, features):
    made = network(variant="small", modality="face")
    half = prune_network(made, windows_for(made, store, features), PruneConfig(0.5, stages=True))
    assert half.config.widths.stages == (12, 24, 48, 96)
    assert half.face.space.stem.weight.shape == (12, 3, 4, 4)
    assert half.face.space.downs[2].conv.weight.shape == (96, 48, 2, 2)
    assert half.face.space.stages[3][1].depthwise.weight.shape == (96, 1, 7, 7)
    assert half.face.out.weight.shape == (128, 96)
    assert torch.isfinite(logits(half, windows_for(half, store, features))).all()


@pytest.mark.journey
def test_keeping_all_changes_no_byte(store, features, tmp_path):
    made = network()
    same = prune_network(made, windows_for(made, store, features), PruneConfig(1.0, stages=True))
    about = {"face_side": 32, "targets": ["valence"]}
    for name, each in (("made", made), ("same", same)):
        save_model(tmp_path / name, each, about)
    for file in ("model.safetensors", CONFIG, "README.md"):
        assert (tmp_path / "made" / file).read_bytes() == (tmp_path / "same" / file).read_bytes()
    assert "widths" not in (tmp_path / "made" / CONFIG).read_text()


@pytest.mark.journey
def test_a_pruned_network_is_saved_loaded_described_and_pruned_again(store, features, tmp_path):
    made = network()
    windows = windows_for(made, store, features)
    half = prune_network(made, windows, PruneConfig(0.5, stages=True))
    save_model(tmp_path / "half", half, {"face_side": 32, "targets": ["valence"]})
    loaded, _ = load_model(tmp_path / "half")
    assert loaded.config == half.config
    assert torch.equal(logits(loaded, windows), logits(half, windows))
    assert "pruned" in describe_model(tmp_path / "half")
    quarter = prune_network(loaded, windows, PruneConfig(0.5))
    assert quarter.config.widths.blocks == (16, 32, 64, 128)
    assert quarter.config.widths.stages == half.config.widths.stages == (8, 16, 32, 64)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({"blocks": [32, 64, 128]}, "at most .64, 128, 256, 512., not .32, 64, 128."),
        ({"local": [33, 24]}, "at most .32, 24., not .33, 24."),
        ({"wide": [0]}, "whole numbers from 1"),
        ({"wide": [1.5]}, "whole numbers from 1"),
        ({"wide": 3}, "whole numbers from 1"),
        ({"broad": [3]}, "no setting widths.broad"),
        (5, "widths by name"),
    ],
)
def test_widths_that_no_network_has_are_refused(widths, message, tmp_path):
    save_model(tmp_path / "model", network(), {})
    path = tmp_path / "model" / CONFIG
    content = json.loads(path.read_text())
    content["config"]["widths"] = widths
    path.write_text(json.dumps(content))
    with pytest.raises(BadModel, match=message):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("keep", [0, -0.5, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(keep):
    with pytest.raises(BadConfig, match="must be above 0 and at most 1"):
        PruneConfig(keep)


@pytest.mark.journey
def test_windows_without_a_part_are_refused():
    faceless = SyntheticStore(SyntheticWindows(subjects=1, trials=1, missing=(((1, 1), "face"),)))
    with pytest.raises(GbvnetError, match="needs training windows with a face"):
        prune_network(network(), Windows(faceless, np.arange(5), "facebio"), PruneConfig(0.5))


def test_widths_of_absent_parts_are_none():
    assert layer_widths(GBVNetConfig(modality="bio", variant="micro", tcn="none")) == Widths(local=(32, 24), wide=(64,))

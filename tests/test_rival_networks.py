"""What each rival network promises of its own; the promise of all systems is in test_systems.py."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from gbvnet.config import CrossvalConfig, TrainConfig
from gbvnet.errors import BadConfig
from gbvnet.networks import Shape
from gbvnet.systems import deepvanet, eegnet, system

from .planted import write_store

SHORT = TrainConfig(epochs=3, batch_size=16, learning_rate=0.05, device="cpu")
EEG = tuple((name, "eeg") for name in ("Fp1", "Fz", "Cz", "Oz"))


def shape(channels=EEG, rate_hz=128.0, n_samples=128, n_frames=10, side=64, n_outputs=1) -> Shape:
    return Shape(channels, rate_hz, n_samples, n_frames, side, n_outputs)


def many(n: int) -> tuple[tuple[str, str], ...]:
    return tuple((f"E{i}", "eeg") for i in range(n))


def n_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("planted") / "store")


def trained(name: str, store, modality: str, validation=True, **train):
    """Trained with a learning rate that moves weights far, on three quarters of the rows."""
    config = CrossvalConfig(system=name, modality=modality, train=SHORT)
    rows, y = np.arange(len(store)), (store.windows["valence"] >= 5).to_numpy()
    inner = (rows[90:], y[90:]) if validation else None
    return system(name)(config).fit(store, rows[:90], y[:90], validation=inner)


def same_without_bad_frames(network: nn.Module, signals: torch.Tensor | None, side=32, frames=4) -> None:
    """Whatever a bad frame shows, in training or not, the answer stays; a good frame's pixels matter."""
    ok = torch.tensor([[True] * frames, [True, False, True, False], [False, False, True, True]])
    faces = torch.rand(3, frames, 3, side, side)
    spoilt = torch.where(ok[..., None, None, None], faces, torch.rand_like(faces))
    other = torch.where(ok[..., None, None, None], torch.rand_like(faces), faces)
    for training in (False, True):
        network.train(training)

        def answer(pixels):
            torch.manual_seed(1)  # of dropout
            return network(pixels, ok, signals).logits.detach()

        assert torch.equal(answer(faces), answer(spoilt))
        assert (answer(faces) - answer(other)).abs().max() > 1e-4


# DeepVANet


def test_deepvanet_has_the_parameters_worked_by_hand():
    convolutions = (3 * 9 * 32 + 32) + (32 * 9 * 64 + 64) + (64 * 9 * 128 + 128)
    lstm = (128 + 128) * 9 * 512 + 512
    face = convolutions + lstm + (128 * 6 * 6 * 16 + 16)  # 64 -> 62, 30 -> 28, 13 -> 13, 6
    bio = (40 * 5 * 24 + 24 + 48) + (24 * 3 * 16 + 16 + 32) + (16 * 3 * 8 + 8 + 16) + (8 * 120 * 64 + 64)
    head = (80 * 20 + 20) + (20 + 1)
    assert n_parameters(deepvanet.DeepVANet(shape(many(40)))) == face + bio + head == 1_416_777
    assert n_parameters(deepvanet.DeepVANet(shape(()))) == face + (16 * 20 + 20) + 21
    assert n_parameters(deepvanet.DeepVANet(shape(many(40), n_frames=0))) == bio + (64 * 20 + 20) + 21


def test_a_convolutional_lstm_over_one_pixel_is_torchs_lstm():
    """Of a picture of one pixel a 3x3 convolution sees its middle alone: the cell is then a plain LSTM's."""
    ours, plain = deepvanet.ConvLSTM(3, 4), nn.LSTM(3, 4, batch_first=True)
    with torch.no_grad():
        # torch orders its gates as input, forget, cell, output; here the cell's new value is last
        order = torch.tensor([0, 1, 3, 2])[:, None] * 4 + torch.arange(4)
        plain.weight_ih_l0.copy_(ours.of_input.weight[order.flatten(), :, 1, 1])
        plain.weight_hh_l0.copy_(ours.of_state.weight[order.flatten(), :, 1, 1])
        plain.bias_ih_l0.copy_(ours.of_input.bias[order.flatten()])
        plain.bias_hh_l0.zero_()
        x = torch.randn(5, 7, 3)
        assert torch.allclose(ours(x[..., None, None], None)[..., 0, 0], plain(x)[0][:, -1], atol=1e-6)


def test_deepvanet_does_not_look_at_bad_frames():
    network = deepvanet.DeepVANet(shape(n_frames=4, side=32))
    same_without_bad_frames(network, torch.randn(3, 4, 128))


def test_deepvanet_refuses_windows_that_its_convolutions_eat_up():
    made = system("deepvanet")(CrossvalConfig(system="deepvanet", modality="bio"))
    with pytest.raises(BadConfig, match=r"needs windows of more than 8 samples .* and these have 8"):
        made.build(shape(n_samples=8))
    assert made.build(shape(n_samples=9, n_frames=0))(None, None, torch.randn(2, 4, 9), None).logits.shape == (2, 1)


# EEGNet


@pytest.mark.parametrize(
    ("channels", "samples", "outputs"),
    [(64, 128, 2), (56, 160, 2), (32, 128, 1), (40, 1024, 1)],
)
def test_eegnet_has_the_parameters_of_the_papers_formula(channels, samples, outputs):
    """Table 2 of Lawhern et al. with F1 8, D 2, F2 16, and a bias for each output."""
    f1, d, f2 = 8, 2, 16
    formula = 64 * f1 + 2 * f1 + channels * d * f1 + 2 * d * f1 + 16 * d * f1 + f2 * d * f1 + 2 * f2
    formula += outputs * (f2 * (samples // 32)) + outputs
    assert n_parameters(eegnet.EEGNet(shape(many(channels), n_samples=samples, n_outputs=outputs))) == formula
    if channels == 64:
        assert formula == 2258  # 512 + 16 + 1024 + 32 + 256 + 256 + 32 + 130


@pytest.mark.parametrize("validation", [True, False])
def test_eegnet_keeps_its_norms_while_it_learns_and_in_what_is_kept(planted, validation, tmp_path):
    fitted = trained("eegnet", planted, "eeg", validation)
    fitted.save(tmp_path)
    for network in (fitted.network, system("eegnet").load(tmp_path, fitted.config).network):
        spatial, head = network.spatial.weight.flatten(1).norm(dim=1), network.head.weight.norm(dim=1)
        assert (spatial <= 1 + 1e-6).all()
        assert (head <= 0.25 + 1e-6).all()
        assert spatial.max() > 0.999  # at this learning rate some would have grown
        assert head.max() > 0.2499


def test_a_bound_shrinks_what_is_too_large_and_nothing_else():
    weight = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    eegnet._bound(weight, 1.0)
    assert torch.allclose(weight, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))


def test_eegnets_filters_follow_the_rate_and_shrink_with_short_windows(caplog):
    def told(samples, rate_hz):
        sizes = eegnet.Sizes(samples, rate_hz)
        return sizes.temporal, sizes.separable, sizes.pools, sizes.places, sizes.shrunk

    assert told(128, 128) == (64, 16, (4, 8), 4, False)
    assert told(256, 256) == (128, 32, (4, 8), 8, False)
    assert told(32, 32) == (16, 4, (4, 8), 1, False)
    assert told(32, 128) == (32, 8, (4, 8), 1, True)
    assert told(12, 128) == (12, 3, (4, 3), 1, True)
    assert told(3, 128) == (3, 1, (3, 1), 1, True)
    made = system("eegnet")(CrossvalConfig(system="eegnet", modality="eeg"))
    with caplog.at_level(logging.INFO):
        made.build(shape())
        assert not caplog.messages
        for samples in (3, 12, 32):
            network = made.build(shape(n_samples=samples))
            assert network(None, None, torch.randn(2, 4, samples)).logits.shape == (2, 1)
    assert caplog.messages[-1].endswith(
        "32 samples at 128 Hz are too short for its sizes; filters are 32 and 8 samples here, pools 4 and 8"
    )

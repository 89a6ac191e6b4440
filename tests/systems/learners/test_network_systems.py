"""What each comparison network promises; what all systems promise is in test_systems.py."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy import signal, stats
from torch import nn

from gbvnet.config import CrossvalConfig, TrainConfig
from gbvnet.errors import BadConfig, BadModel
from gbvnet.network.prediction import predict_network
from gbvnet.systems import algarni_like, cui_like, deepvanet, eegnet, hsa_like, salama_like, system, xiang_like
from gbvnet.systems.learners.good_frames import nearest_good
from gbvnet.systems.learners.neural import Shape
from gbvnet.systems.mindlink_eumpy import LSTM

from ...synthetic_store import write_store

pytestmark = pytest.mark.usefixtures("repeatable_torch")

SHORT = TrainConfig(epochs=3, batch_size=16, learning_rate=0.05, device="cpu")
EEG = tuple((name, "eeg") for name in ("Fp1", "Fz", "Cz", "Oz"))


def shape(channels=EEG, rate_hz=128.0, n_samples=128, n_frames=10, side=64, n_outputs=1) -> Shape:
    return Shape(channels, rate_hz, n_samples, n_frames, side, n_outputs)


def many(n: int) -> tuple[tuple[str, str], ...]:
    return tuple((f"E{i}", "eeg") for i in range(n))


def n_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("planted") / "store")


def trained(name: str, store, modality: str, validation=True):
    """Trained with a learning rate that moves weights far, on three quarters of the rows."""
    config = CrossvalConfig(system=name, modality=modality, train=SHORT)
    rows, y = np.arange(len(store)), (store.windows["valence"] >= 5).to_numpy()
    kept = (rows[90:], y[90:]) if validation else None
    return system(name)(config).fit(store, rows[:90], y[:90], validation=kept)


def same_without_bad_frames(network: nn.Module, signals: torch.Tensor | None, side=32, frames=4) -> None:
    """Whatever a bad frame shows, in training or not, the answer stays; a good frame's pixels matter."""
    ok = torch.tensor([[True] * frames, [True, False, True, False], [False, False, True, True]])
    faces = torch.rand(3, frames, 3, side, side)
    corrupted = torch.where(ok[..., None, None, None], faces, torch.rand_like(faces))
    other = torch.where(ok[..., None, None, None], torch.rand_like(faces), faces)
    for training in (False, True):
        network.train(training)

        def answer(pixels):
            torch.manual_seed(1)  # of dropout
            return network(pixels, ok, signals).logits.detach()

        assert torch.equal(answer(faces), answer(corrupted))
        assert (answer(faces) - answer(other)).abs().max() > 1e-5


# the base of all of them


@pytest.mark.journey
def test_signals_are_z_scored_by_the_training_rows_alone(planted):
    fitted = trained("eegnet", planted, "peri")
    x = planted.read(np.arange(90), faces=False)[2][:, 3:].astype(np.float64)
    assert fitted.shape.channels == (("GSR1", "gsr"), ("Resp", "resp"))
    assert fitted.network.signal_mean.numpy() == pytest.approx(x.mean(axis=(0, 2)), rel=1e-6)
    assert fitted.network.signal_sd.numpy() == pytest.approx(x.std(axis=(0, 2)), rel=1e-6)
    z = fitted.network.z_scored(torch.from_numpy(x).float())
    assert z.mean((0, 2)).numpy() == pytest.approx([0, 0], abs=1e-4)
    assert z.std((0, 2)).numpy() == pytest.approx([1, 1], abs=1e-3)


@pytest.mark.journey
def test_an_untrained_or_damaged_network_says_so(planted, tmp_path):
    config = CrossvalConfig(system="hsa-like", modality="eeg", train=SHORT)
    with pytest.raises(BadConfig, match="this hsa-like is not trained yet"):
        system("hsa-like")(config).predict_proba(planted, np.arange(3))
    with pytest.raises(BadModel, match="expected a trained hsa-like, found a file that does not read"):
        system("hsa-like").load(tmp_path, config)
    trained("hsa-like", planted, "eeg").save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadModel, match="expected a trained hsa-like"):
        system("hsa-like").load(tmp_path, config)


@pytest.mark.journey
def test_windows_of_another_shape_are_refused(planted, tmp_path):
    fitted = trained("eegnet", planted, "bio")
    fitted.config = replace(fitted.config, modality="eeg")
    with pytest.raises(
        BadConfig, match=r"this eegnet was trained on windows with n_channels 5, and those of .* have 3"
    ):
        fitted.predict(planted, np.arange(3))


# DeepVANet


@pytest.mark.journey
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
    cell, plain = deepvanet.ConvLSTM(3, 4), nn.LSTM(3, 4, batch_first=True)
    with torch.no_grad():
        # torch orders its gates as input, forget, cell, output; here the cell's new value is last
        order = torch.tensor([0, 1, 3, 2])[:, None] * 4 + torch.arange(4)
        plain.weight_ih_l0.copy_(cell.of_input.weight[order.flatten(), :, 1, 1])
        plain.weight_hh_l0.copy_(cell.of_state.weight[order.flatten(), :, 1, 1])
        plain.bias_ih_l0.copy_(cell.of_input.bias[order.flatten()])
        plain.bias_hh_l0.zero_()
        x = torch.randn(5, 7, 3)
        assert torch.allclose(cell(x[..., None, None], None)[..., 0, 0], plain(x)[0][:, -1], atol=1e-6)


@pytest.mark.journey
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


@pytest.mark.journey
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


@pytest.mark.journey
def test_batch_norms_are_those_of_the_source_and_a_saved_network_keeps_its_own(planted, tmp_path):
    fitted = trained("eegnet", planted, "eeg")
    norms = [m for m in fitted.network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert [norm.eps for norm in norms] == [1e-3] * 3
    x = torch.randn(50, 8, 1, 9) / 30  # a variance near epsilon: with 1e-5 the result would be twice as large
    norms[0].train()(x)  # moves running means only
    by_hand = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-3).sqrt()
    weight, bias = norms[0].weight[:, None, None], norms[0].bias[:, None, None]
    torch.testing.assert_close(norms[0](x), by_hand * weight + bias)
    fitted.save(tmp_path)
    rows = np.arange(20)
    loaded = system("eegnet").load(tmp_path, fitted.config)
    assert np.array_equal(loaded.predict_proba(planted, rows), fitted.predict_proba(planted, rows))
    # As an earlier version saved it: without an epsilon, which was torch's.
    state = load_file(tmp_path / "model.safetensors")
    save_file({k: v for k, v in state.items() if not k.endswith("epsilon")}, tmp_path / "model.safetensors")
    old = system("eegnet").load(tmp_path, fitted.config)
    assert {m.eps for m in old.network.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {1e-5}
    plain = fitted.network.eval()
    for norm in norms:
        norm.eps = 1e-5
    expected = predict_network(plain, fitted._windows(planted, rows), fitted.config.train)[0][:, 0]
    assert old.predict_proba(planted, rows) == pytest.approx(1 / (1 + np.exp(-expected)), abs=1e-7)
    old.save(tmp_path / "again")
    again = system("eegnet").load(tmp_path / "again", fitted.config)
    assert again.network.after_spatial[0].eps == 1e-5


def test_the_lstm_of_mindlink_has_kerass_batch_norms():
    assert [norm.eps for norm in LSTM(4, 1).norms] == [1e-3, 1e-3]


@pytest.mark.parametrize(("kernel", "before", "after"), [(64, 31, 32), (16, 7, 8), (5, 2, 2), (1, 0, 0)])
def test_filters_in_time_are_padded_as_tensorflow_pads_same(kernel, before, after):
    """Stride 1: kernel - 1 zeros in all, half of them before, rounded down (TensorFlow's documentation of `same`)."""
    pulse = torch.zeros(1, 1, 1, 100)
    pulse[..., 50] = 1
    filters = torch.arange(1.0, kernel + 1)[None, None, None]  # tells where in the filter the pulse was
    out = torch.nn.functional.conv2d(eegnet._same(kernel)(pulse), filters)[0, 0, 0]
    assert len(out) == 100
    assert out[50] == before + 1  # at its own place the pulse meets this weight of the filter
    assert out.nonzero()[:, 0].tolist() == list(range(50 - after, 50 + before + 1))


def test_a_bound_shrinks_what_is_too_large_and_nothing_else():
    weight = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    eegnet._bound(weight, 1.0)
    assert torch.allclose(weight, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))


@pytest.mark.journey
def test_eegnets_filters_follow_the_rate_and_shrink_with_short_windows(caplog):
    def sizes_of(samples, rate_hz):
        sizes = eegnet.Sizes(samples, rate_hz)
        return sizes.temporal, sizes.separable, sizes.pools, sizes.places, sizes.shrunk

    assert sizes_of(128, 128) == (64, 16, (4, 8), 4, False)
    assert sizes_of(256, 256) == (128, 32, (4, 8), 8, False)
    assert sizes_of(32, 32) == (16, 4, (4, 8), 1, False)
    assert sizes_of(32, 128) == (32, 8, (4, 8), 1, True)
    assert sizes_of(12, 128) == (12, 3, (4, 3), 1, True)
    assert sizes_of(3, 128) == (3, 1, (3, 1), 1, True)
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


# hsa-like


def layer(width: int) -> int:
    """Parameters of a Transformer layer: two norms, queries to values, output, feed-forward of twice the width."""
    attention = (width * 3 * width + 3 * width) + (width * width + width)
    return 2 * 2 * width + attention + (width * 2 * width + 2 * width) + (2 * width * width + width)


def test_hsa_like_has_the_parameters_worked_by_hand():
    inward, excitation = 32 * 4 * 64 + 64, (32 * 8 + 8) + (8 * 32 + 32)
    assert layer(64) == 33_472
    assert n_parameters(hsa_like.HSALike(shape(many(32)))) == (
        2 * 32 * 4 + excitation + inward + 8 * 64 + 2 * layer(64) + 2 * 64 + (64 + 1)
    )


def test_band_entropy_is_that_of_a_normal_signal_of_the_bands_variance():
    """A sine of amplitude A has variance A^2 / 2 over whole periods, and is in one band only."""
    t = torch.arange(128) / 128
    x = torch.stack([3 * torch.sin(2 * np.pi * 16 * t), 2 * torch.sin(2 * np.pi * 40 * t), 0 * t])[None]
    entropy = hsa_like.BandEntropy(128, 128.0)(x)
    assert entropy.shape == (1, 8, 3, 4)
    silent = stats.norm(scale=hsa_like.FLOOR**0.5).entropy()
    expected = np.full((3, 4), silent)
    expected[0, 2] = stats.norm(scale=np.sqrt(9 / 2 + hsa_like.FLOOR)).entropy()
    expected[1, 3] = stats.norm(scale=np.sqrt(4 / 2 + hsa_like.FLOOR)).entropy()
    assert entropy[0].numpy() == pytest.approx(np.broadcast_to(expected, (8, 3, 4)), abs=1e-3)


def test_band_entropy_of_noise_agrees_with_a_filter_of_scipys():
    """Over a long window, where the edges of a filter count little."""
    x = np.random.default_rng(0).normal(size=(1, 2, 128 * 60))
    entropy = hsa_like.BandEntropy(x.shape[2], 128.0)(torch.from_numpy(x)).numpy().mean(axis=1)[0]  # (C, Q)
    for q, band in enumerate(hsa_like.BANDS_HZ):
        filtered = signal.sosfiltfilt(signal.butter(8, band, "band", fs=128, output="sos"), x[0])
        power = (filtered.reshape(2, -1, 16) ** 2).mean(axis=2)
        assert entropy[:, q] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * power).mean(axis=1), abs=0.06)


def test_band_entropy_leaves_out_bands_that_the_rate_or_the_window_does_not_hold():
    assert hsa_like.BandEntropy(32, 32.0).masks.sum(1).tolist() == [4, 5]  # 4..7 and 8..12 Hz, one a Hz
    assert hsa_like.BandEntropy(10, 50.0).masks.sum(1).tolist() == [1, 1]  # 5 and 10 Hz; 13 to 30 Hz is above 25
    assert hsa_like.BandEntropy(10, 50.0).segments == 1
    with pytest.raises(BadConfig, match="16 samples at 10 Hz hold none"):
        hsa_like.BandEntropy(16, 10.0)


def test_local_attention_sees_its_own_block_and_no_other():
    local = hsa_like.LocalAttention(64).eval()
    x = torch.randn(2, 10, 64)  # blocks of 4, 4 and 2
    before = local(x)
    for place in range(10):
        changed = x.clone()
        changed[:, place] += 1
        moved = (local(changed) - before).abs().amax((0, 2)) > 1e-7  # (10,)
        block = place // 4
        assert moved.tolist() == [at // 4 == block for at in range(10)]


def test_padding_of_the_last_block_counts_for_nothing():
    local = hsa_like.LocalAttention(64).eval()
    x = torch.randn(2, 6, 64)
    assert torch.allclose(local(x)[:, 4:], local.layer(x[:, 4:], torch.ones(2, 2, dtype=torch.bool)), atol=1e-6)


def test_global_attention_sees_all_and_excitation_weighs_channels():
    network = hsa_like.HSALike(shape(many(32))).eval()
    x = torch.randn(2, 8, 64)
    ok = torch.ones(2, 8, dtype=torch.bool)
    changed = x.clone()
    changed[:, 7] += 1
    assert ((network.everywhere(changed, ok) - network.everywhere(x, ok)).abs().amax((0, 2)) > 1e-7).all()
    entropies = torch.randn(2, 8, 32, 4)
    ratio = network.excitation(entropies) / entropies
    assert torch.allclose(ratio, ratio[:, :1, :, :1].expand_as(ratio), atol=1e-5)  # one weight a channel
    assert (ratio > 0).all() and (ratio < 1).all()
    entropies[:, 7, 3] += 1  # the last segment of one channel tells all channels
    changed = network.excitation(entropies) / entropies
    assert ((changed[:, 0, :, 0] - ratio[:, 0, :, 0]).abs() > 1e-5).all()


# cui-like


def test_cui_like_has_the_parameters_worked_by_hand():
    convolutions = sum(9 * a * b + b + 2 * b for a, b in ((3, 16), (16, 32), (32, 48), (48, 64)))
    face = convolutions + 10 * 64
    bio = (40 * 7 * 32 + 32 + 64) + (32 * 16 * 64 + 64) + 8 * 64
    cross = layer(64) + 2 * 64  # a third norm
    head = 2 * 128 + 128 + 1
    assert n_parameters(cui_like.CuiLike(shape(many(40)))) == face + bio + 2 * cross + head


@pytest.mark.journey
def test_cui_like_does_not_look_at_bad_frames():
    same_without_bad_frames(cui_like.CuiLike(shape(n_frames=4, side=32)), torch.randn(3, 4, 128))


def test_in_cui_like_each_modality_changes_what_the_other_side_gives():
    network = cui_like.CuiLike(shape(n_frames=4, side=32)).eval()
    faces, signals = torch.rand(2, 4, 3, 32, 32), torch.randn(2, 4, 128)
    face, bio = network.face(faces), network.signals(signals)
    assert (network.to_face(bio, face) - network.to_face(bio, face.flip(0))).abs().max() > 1e-4
    assert (network.to_signals(face, bio) - network.to_signals(face, bio.flip(0))).abs().max() > 1e-4
    alone = network.to_face(bio, face, torch.tensor([[True, False, False, False]] * 2))
    assert torch.allclose(alone, network.to_face(bio, face[:, :1]), atol=1e-6)


# salama-like


def test_salama_like_has_the_parameters_worked_by_hand():
    def convolutions(n_in):
        return sum(27 * a * b + b + 2 * b for a, b in ((n_in, 8), (8, 16), (16, 32)))

    eeg = convolutions(1) + (32 * 8 * 3 * 3 * 64 + 64) + 65  # 128 samples to 8
    face = convolutions(3) + (32 * 3 * 4 * 4 * 64 + 64) + 65  # 10 frames to 3, 64 pixels to 4
    assert n_parameters(salama_like.EEGBlocks(shape())) == eeg == 165_249
    assert n_parameters(salama_like.FaceBlocks(shape())) == face == 116_529


def test_electrodes_lie_on_the_map_as_on_a_head():
    front = [salama_like.place(name) for name in ("Fp1", "FPZ", "EEG Fp2-REF")]
    assert front == [(0, 3), (0, 4), (0, 5)]
    assert [salama_like.place(name) for name in ("T7", "T3", "C3", "Cz", "T8")] == [
        (4, 0),
        (4, 0),
        (4, 2),
        (4, 4),
        (4, 8),
    ]
    assert [salama_like.place(name) for name in ("O1", "Oz", "PO4", "FT8", "TP7")] == [
        (8, 3),
        (8, 4),
        (7, 6),
        (3, 8),
        (5, 0),
    ]
    assert [salama_like.place(name) for name in ("F9", "T10", "A1", "Resp", "1", "")] == [None] * 6


def test_the_map_of_deap_has_each_electrode_once_and_left_mirrors_right():
    deap = (
        "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 CP6 CP2 P4 P8 PO4 O2"
    ).split()
    places = [salama_like.place(name) for name in deap]
    assert None not in places and len(set(places)) == 32
    assert {(row, 8 - column) for row, column in places} == set(places)


def test_a_sample_of_an_electrode_lies_at_its_place_and_all_others_are_zero(caplog):
    with caplog.at_level(logging.INFO):
        scalp = salama_like.Scalp(["Cz", "T10", "Fp1"])
    assert caplog.messages == ["salama-like leaves out T10: no place for them on a map of 9 x 9 electrodes"]
    maps = scalp(torch.tensor([[[1.0, 2.0], [9.0, 9.0], [3.0, 4.0]]]))
    assert maps.shape == (1, 1, 2, 9, 9)
    assert maps[0, 0, :, 4, 4].tolist() == [1, 2]
    assert maps[0, 0, :, 0, 3].tolist() == [3, 4]
    assert maps.sum() == 10


def test_salama_like_refuses_channels_of_which_none_has_a_place():
    made = salama_like.EEGSystem(CrossvalConfig(system="salama-like", modality="eeg"))
    with pytest.raises(BadConfig, match="of E0, E1 none is one; name the channels so"):
        made.build(shape(many(2)))


def test_the_nearest_good_frame_stands_in_for_a_bad_one():
    faces = torch.arange(5.0).view(1, 5, 1, 1, 1).expand(2, 5, 3, 2, 2)
    ok = torch.tensor([[False, True, False, True, False], [True, False, False, False, True]])
    assert nearest_good(faces, ok)[:, :, 0, 0, 0].tolist() == [[1, 1, 1, 3, 3], [0, 0, 0, 4, 4]]


def test_salama_like_does_not_look_at_bad_frames():
    same_without_bad_frames(salama_like.FaceBlocks(shape(n_frames=4, side=32)), None)


@pytest.mark.journey
@pytest.mark.parametrize(("samples", "frames", "side"), [(3, 1, 33), (32, 2, 32), (129, 12, 112)])
def test_salama_like_takes_windows_of_any_length(samples, frames, side):
    sizes = shape(n_samples=samples, n_frames=frames, side=side)
    assert salama_like.EEGBlocks(sizes)(None, None, torch.randn(2, 4, samples)).logits.shape == (2, 1)
    assert salama_like.FaceBlocks(sizes)(torch.rand(2, frames, 3, side, side), None).logits.shape == (2, 1)


class FixedPart:
    """A part whose probabilities are given, by row."""

    def __init__(self, p: np.ndarray):
        self.p = p

    def predict_proba(self, store, rows):
        return self.p[rows]


def test_the_stack_listens_to_the_part_that_is_right(tmp_path):
    y = np.arange(200) % 2
    rng = np.random.default_rng(0)
    made = system("salama-like")(CrossvalConfig(system="salama-like", modality="faceeeg"))
    assert made.fusion_rule == "stack"
    made.parts = {"face": FixedPart(rng.uniform(0.1, 0.9, 200)), "eeg": FixedPart(np.where(y, 0.8, 0.2))}
    made.weights = made.fit_weights(made._scores(None, np.arange(100)), y[:100, None], None)
    face, eeg, _ = made.weights[0]
    assert eeg > 2 and abs(face) < 0.5
    assert ((made.predict_proba(None, np.arange(100, 200)) > 0.5) == y[100:]).all()
    made.weights = made.fit_weights(
        made._scores(None, np.arange(100)), np.ones((100, 1)), None
    )  # one class only: an even mean of the logits
    odd = np.array([made.parts[name].p[0] / (1 - made.parts[name].p[0]) for name in ("face", "eeg")])
    assert made.predict_proba(None, np.arange(1)) == pytest.approx(1 / (1 + odd.prod() ** -0.5))


# algarni-like


def test_algarni_like_has_the_parameters_worked_by_hand():
    features = 6 + 2 * (4 + 1) + 1  # statistics; energy and entropy of 4 levels and the approximation; Hurst
    first = 2 * (4 * 64 * (features + 64) + 2 * 4 * 64)
    second = 2 * (4 * 64 * (128 + 64) + 2 * 4 * 64)
    assert n_parameters(algarni_like.StackedLSTM(shape(many(32)))) == first + second + 128 + 1 == 141_953


def test_the_lstm_is_read_at_both_of_its_ends():
    network, x = algarni_like.StackedLSTM(shape(many(5))).eval(), torch.randn(2, 5, 17)
    places, _ = network.lstm((x - 1) / 2)  # (B, C, 128): 64 forwards, 64 backwards
    network.mean.fill_(1)
    network.sd.fill_(2)
    ends = torch.cat([places[:, -1, :64], places[:, 0, 64:]], dim=1)
    assert torch.allclose(network(None, None, x).logits, network.head(ends), atol=1e-6)


def test_what_the_wolves_left_out_changes_nothing():
    network = algarni_like.StackedLSTM(shape(many(5))).eval()
    network.chosen.copy_(torch.rand(5, 17) < 0.5)
    x, other = torch.randn(2, 5, 17), torch.randn(2, 5, 17)
    left = network.chosen == 0
    answer = network(None, None, x).logits
    assert torch.equal(network(None, None, torch.where(left, other, x)).logits, answer)
    assert (network(None, None, torch.where(left, x, other)).logits - answer).abs().min() > 1e-4


@pytest.mark.journey
def test_wolves_and_scale_see_the_training_rows_and_not_the_validation_ones(planted):
    config = CrossvalConfig(system="algarni-like", modality="bio", train=SHORT)
    rows, y = np.arange(len(planted)), (planted.windows["valence"] >= 5).to_numpy()

    def selection_and_about(validation, labels):
        fitted = system("algarni-like")(config).fit(planted, rows[:90], y[:90], validation=(validation, labels))
        return fitted._selection, fitted.about

    (mean, sd, chosen), about = selection_and_about(rows[90:], y[90:])
    for again, same in zip(selection_and_about(rows[95:], ~y[95:])[0], (mean, sd, chosen), strict=True):
        assert np.array_equal(again, same)
    assert 0 < chosen.sum() < chosen.size
    assert about["n_features_chosen"] == chosen.sum()
    assert about["n_features"] == chosen.size == 5 * (6 + 2 * 3 + 1)  # 32 samples have two levels
    x = planted.read(rows[:90], faces=False)[2]
    assert mean[:, 0] == pytest.approx(x.mean(axis=(0, 2)), rel=1e-5)  # the first statistic is the mean
    assert sd[:, 0] == pytest.approx(x.mean(axis=2).std(axis=0), rel=1e-4)


# xiang-like


def test_xiang_like_has_the_parameters_worked_by_hand():
    face = sum(n * 9 * m + m * 3 * m + 4 * m for n, m in ((3, 16), (16, 32), (32, 64)))
    signals = 16 * 17 + (16 * 40 * 32 + 64) + (32 * 5 * 64 + 128)  # 1/8 s of 128 Hz is 16 samples, 17 to be odd
    assert n_parameters(xiang_like.XiangLike(shape(many(40)))) == face + signals + 128 + 1 == 71_361
    assert n_parameters(xiang_like.XiangLike(shape(()))) == face + 64 + 1
    assert n_parameters(xiang_like.XiangLike(shape(many(40), n_frames=0))) == signals + 64 + 1


@pytest.mark.journey
def test_xiang_like_does_not_look_at_bad_frames():
    network = xiang_like.XiangLike(shape(n_frames=4, side=32)).train()
    for _ in range(30):  # so that its batch norms have seen pictures: before, all are nearly 0 in a test
        network(torch.rand(3, 4, 3, 32, 32), None, torch.randn(3, 4, 128))
    same_without_bad_frames(network, torch.randn(3, 4, 128))


def test_a_face_stream_sees_the_order_of_frames_and_the_signal_stream_that_of_samples():
    """Time is convolved, not only averaged: the same frames, or samples, in another order give another answer."""
    network = xiang_like.XiangLike(shape(n_frames=6, side=32)).eval()
    faces, signals, ok = torch.rand(2, 6, 3, 32, 32), torch.randn(2, 4, 128), torch.ones(2, 6, dtype=torch.bool)
    order, samples = torch.tensor([0, 5, 2, 1, 3, 4]), torch.randperm(128)
    with torch.no_grad():
        one = network(faces, ok, signals).logits
        assert (network(faces[:, order], ok, signals).logits - one).abs().max() > 1e-5
        assert (network(faces, ok, signals[:, :, samples]).logits - one).abs().max() > 1e-5


@pytest.mark.parametrize(
    ("samples", "frames", "side", "rate"), [(8, 1, 32, 8.0), (32, 2, 48, 32.0), (256, 12, 64, 64.0)]
)
def test_xiang_like_takes_windows_of_any_length(samples, frames, side, rate):
    network = xiang_like.XiangLike(shape(rate_hz=rate, n_samples=samples, n_frames=frames, side=side)).eval()
    faces = torch.rand(2, frames, 3, side, side)
    assert network(faces, None, torch.randn(2, 4, samples)).logits.isfinite().all()

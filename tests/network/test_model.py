"""GBV-Net: sizes, shapes, who may influence whom, and the face encoder against transformers' ConvNeXt V2."""

import math
from typing import get_args, get_type_hints

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gbvnet.config import GBVNetConfig, from_dict
from gbvnet.errors import GbvnetError
from gbvnet.network import model as m

B, FRAMES, SIDE, C, L = 4, 3, 32, 5, 128


def network(seed=0, **settings):
    torch.manual_seed(seed)
    settings = {"variant": "micro", "n_channels": C, "n_samples": L, "n_frames": FRAMES} | settings
    return m.GBVNet(GBVNetConfig(**settings))


def batch(n=B, side=SIDE, seed=0):
    """faces (n, F, 3, S, S), face_ok (n, F), signals (n, C, L)."""
    draw = torch.Generator().manual_seed(seed)
    stored = torch.randint(0, 256, (n, FRAMES, side, side, 3), dtype=torch.uint8, generator=draw)
    return m.pixels(stored), torch.ones(n, FRAMES, dtype=torch.bool), torch.randn(n, C, L, generator=draw)


def count(module):
    return sum(p.numel() for p in module.parameters())


# ------------------------------------------------------------------------------------------------------------ sizes


@pytest.mark.journey
@pytest.mark.parametrize(
    ("variant", "millions"),
    [("micro", 0.60), ("small", 1.3), ("atto", 3.8), ("femto", 5.2), ("pico", 9.0), ("nano", 15.4), ("tiny", 28.3)],
)
def test_every_variant_has_the_documented_size(variant, millions):
    with torch.device("meta"):  # shapes only
        net = m.GBVNet(GBVNetConfig(variant=variant, n_frames=12, n_channels=40))
    digits = 2 if millions == 0.60 else 1
    assert round(count(net) / 1e6, digits) == millions


def test_the_parts_have_the_documented_sizes():
    net = m.GBVNet(GBVNetConfig(variant="micro", n_frames=12, n_channels=40))
    assert count(net.signals) == 30_952
    assert count(net.time.layers) == 264_960
    assert count(net.time) == 264_960 + 12 * 128
    assert count(net.fusion) == 192 * 96 + 96 + 96 * 192 + 192 == 37_152
    assert count(net.head) == 192 * 64 + 64 + 64 + 1 == 12_417


def test_the_public_face_encoders_have_the_published_sizes():
    published = {"atto": 3_387_400, "tiny": 27_866_496}  # ConvNeXt V2 without its classifier
    with torch.device("meta"):
        assert {name: count(m.ConvNeXtV2(*m.SIZES[name])) for name in published} == published


def test_the_sum_costs_as_much_as_the_gate_so_that_only_the_idea_differs():
    assert count(m.SumFusion(192)) == pytest.approx(count(m.GatedFusion(192)), rel=0.01)


# ----------------------------------------------------------------------------------------------------- face encoder


def copy_from_transformers(own, theirs):
    """Give our ConvNeXtV2 the weights of transformers' ConvNextV2Model; every one of theirs must be used."""
    source = dict(theirs.state_dict())
    blocks = {"depthwise": "dwconv", "norm": "layernorm", "widen": "pwconv1", "narrow": "pwconv2"}
    names = {"stem": "embeddings.patch_embeddings", "stem_norm": "embeddings.layernorm", "norm": "layernorm"}
    for i, stage in enumerate(own.stages):
        if i:
            names[f"downs.{i - 1}.norm"] = f"encoder.stages.{i}.downsampling_layer.0"
            names[f"downs.{i - 1}.conv"] = f"encoder.stages.{i}.downsampling_layer.1"
        for j in range(len(stage)):
            names |= {f"stages.{i}.{j}.{a}": f"encoder.stages.{i}.layers.{j}.{b}" for a, b in blocks.items()}
    state = {f"{a}.{part}": source.pop(f"{b}.{part}") for a, b in names.items() for part in ("weight", "bias")}
    for name in [name for name in source if ".grn." in name]:
        _, _, i, _, j, _, part = name.split(".")
        target = f"stages.{i}.{j}.grn." + {"weight": "gamma", "bias": "beta"}[part]
        state[target] = source.pop(name).flatten()
    assert not source
    own.load_state_dict(state)


@pytest.mark.journey  # importing transformers takes seconds
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(("variant", "side", "frames"), [("micro", 64, 5), ("atto", 96, 3)])
def test_the_face_encoder_is_convnext_v2_as_transformers_has_it(variant, side, frames):
    transformers = pytest.importorskip("transformers")
    depths, widths = m.SIZES[variant]
    torch.manual_seed(1)
    theirs = transformers.ConvNextV2Model(
        transformers.ConvNextV2Config(depths=list(depths), hidden_sizes=list(widths), layer_norm_eps=1e-6)
    ).eval()
    with torch.no_grad():
        for name, p in theirs.named_parameters():  # as after training: at the start GRN does nothing
            p.copy_(torch.randn_like(p) * 0.2 + (1.0 if "norm" in name and name.endswith("weight") else 0.0))
    own = m.ConvNeXtV2(depths, widths)
    copy_from_transformers(own, theirs)
    x = torch.randn(frames, 3, side, side)
    expected = theirs(x).pooler_output
    assert expected.abs().max() > 0.5
    torch.testing.assert_close(own(x), expected, rtol=1e-5, atol=1e-5)


def test_grn_equals_its_formula_written_slowly():
    torch.manual_seed(0)
    grn, x = m.GlobalResponseNorm(3), torch.randn(2, 4, 5, 3)
    assert torch.equal(grn(x), x)  # zero parameters: the identity
    nn.init.normal_(grn.gamma)
    nn.init.normal_(grn.beta)
    gamma, beta, y = grn.gamma.tolist(), grn.beta.tolist(), grn(x)
    for n in range(2):
        energy = [math.sqrt(sum(float(v) ** 2 for v in x[n, :, :, e].flatten())) for e in range(3)]
        for e in range(3):
            relative = energy[e] / (sum(energy) / 3 + 1e-6)
            expected = gamma[e] * x[n, :, :, e] * relative + beta[e] + x[n, :, :, e]
            torch.testing.assert_close(y[n, :, :, e], expected)


def test_grn_of_an_empty_map_has_finite_gradients():
    grn, x = m.GlobalResponseNorm(3), torch.zeros(1, 2, 2, 3, requires_grad=True)
    nn.init.ones_(grn.gamma)
    grn(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_a_side_that_is_no_multiple_of_32_loses_no_pixel():
    encoder = m.ConvNeXtV2(*m.SIZES["micro"])
    frame = torch.rand(1, 3, 50, 50, requires_grad=True)
    encoder.stem_norm = encoder.norm = nn.Identity()  # LN has no gradient where its input is constant
    encoder(frame).square().sum().backward()
    assert (frame.grad.abs().sum(1) > 0).all()


def test_pixels_are_normalised_with_the_imagenet_mean_and_sd():
    encoder = m.FaceEncoder("micro")
    captured = []
    encoder.space = nn.Sequential(nn.Flatten(), nn.Identity())
    encoder.space[1].register_forward_hook(lambda *a: captured.append(a[2]))
    encoder.out = nn.Identity()
    gray = torch.full((1, 3, 1, 1), 0.5)
    expected = [(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225]
    assert encoder(gray)[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_stored_faces_become_floats_without_moving_in_memory():
    stored = torch.zeros(2, 3, 32, 32, 3, dtype=torch.uint8)
    stored[1, 2, 5, 7] = torch.tensor([255, 51, 0])
    faces = m.pixels(stored)
    assert faces.shape == (2, 3, 3, 32, 32)
    assert faces[1, 2, :, 5, 7].tolist() == pytest.approx([1.0, 0.2, 0.0])
    assert faces[0].is_contiguous(memory_format=torch.channels_last)
    with pytest.raises(GbvnetError, match=r"\(2, 3, 3, 32, 32\) torch.float32"):
        m.pixels(faces)


# --------------------------------------------------------------------------------------------- time and attention


def test_the_frame_transformer_is_torchs_own_with_copied_weights():
    torch.manual_seed(0)
    own = m.FrameTransformer(FRAMES).eval()
    layer = nn.TransformerEncoderLayer(128, 4, 256, activation="gelu", batch_first=True, norm_first=True)
    theirs = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    for a, b in zip(own.layers, theirs.layers, strict=True):
        b.self_attn.in_proj_weight.data, b.self_attn.in_proj_bias.data = a.attention.qkv.weight, a.attention.qkv.bias
        b.self_attn.out_proj.load_state_dict(a.attention.out.state_dict())
        for mine, other in (("norm1", "norm1"), ("norm2", "norm2"), ("widen", "linear1"), ("narrow", "linear2")):
            getattr(b, other).load_state_dict(getattr(a, mine).state_dict())
    x, ok = torch.randn(2, FRAMES, 128), torch.tensor([[True, False, True], [True, True, True]])
    expected = theirs(x + own.positions, src_key_padding_mask=~ok)
    torch.testing.assert_close(own(x, ok)[ok], expected[ok], rtol=1e-5, atol=1e-5)


def test_attention_of_equal_keys_is_the_mean_of_the_unmasked_values():
    attention = m.SelfAttention(4)
    nn.init.zeros_(attention.qkv.weight)
    nn.init.zeros_(attention.qkv.bias)
    attention.qkv.weight.data[8:] = torch.eye(4)  # V = X, Q = K = 0
    attention.out.weight.data = torch.eye(4)
    nn.init.zeros_(attention.out.bias)
    x = torch.tensor([[[1.0] * 4, [3.0] * 4, [100.0] * 4]])
    captured = attention(x, torch.tensor([[True, True, False]]))
    assert captured[0, :, 0].tolist() == pytest.approx([2.0, 2.0, 2.0])  # (1 + 3) / 2


def test_the_mean_is_over_the_good_frames_and_zero_without_any():
    x = torch.tensor([[[1.0], [3.0], [50.0]], [[7.0], [8.0], [9.0]]])
    ok = torch.tensor([[True, True, False], [False, False, False]])
    assert m.mean_of_valid(x, ok).tolist() == [[2.0], [0.0]]  # (1 + 3) / 2


@pytest.mark.journey
def test_the_order_of_frames_matters_only_with_the_transformer():
    faces, ok, signals = batch()
    for time, alike in (("transformer", False), ("none", True)):
        net = network(face_time=time).eval()
        forth, back = net(faces, ok, signals).fused, net(faces.flip(1), ok, signals).fused
        assert torch.allclose(forth, back, rtol=1e-5, atol=1e-6) is alike


# -------------------------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize("tcn", ["sequential", "parallel"])
@pytest.mark.parametrize("length", [16, 100, 128])
def test_the_signal_encoder_keeps_the_length_down_to_the_pooling(tcn, length):
    encoder = m.SignalEncoder(C, tcn)
    shapes = []
    for part in (encoder.local, encoder.medium, encoder.wide):
        part.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape)))
    assert encoder(torch.randn(2, C, length)).shape == (2, 64)
    assert shapes == [(2, 24, length), (2, 8, length), (2, 8, length)]


def test_the_parallel_tcn_is_equation_4_to_the_letter():
    tcn = m.ParallelTCN().eval()
    tcn.norm.running_mean.normal_()
    x = torch.randn(2, 24, 20)
    total = sum(
        F.conv1d(x, b.weight, b.bias, padding=d, dilation=d) for b, d in zip(tcn.branches, (1, 2, 4), strict=True)
    )
    norm = tcn.norm
    total = (total - norm.running_mean[:, None]) / (norm.running_var[:, None] + norm.eps).sqrt()
    torch.testing.assert_close(tcn(x), total.clamp(min=0), rtol=1e-5, atol=1e-5)


def test_the_sequential_tcn_sees_fourteen_samples_beside_its_own():
    tcn = m.SignalEncoder(C, "sequential").medium.eval()
    x = torch.randn(1, 24, 64, requires_grad=True)
    tcn(x)[0, :, 32].sum().backward()
    reach = x.grad.abs().sum((0, 1)).nonzero()[:, 0]
    assert reach.min() >= 32 - 7  # 1 + 2 + 4
    assert reach.max() <= 32 + 7


def test_the_global_stage_is_a_residual_onto_the_tcn_that_reaches_every_sample():
    wide = m.ConvAttention().eval()
    x = torch.randn(1, 8, 64, requires_grad=True)
    wide(x)[0, :, 0].sum().backward()
    assert (x.grad.abs().sum((0, 1)) > 0).all()
    nn.init.zeros_(wide.narrow.weight)
    nn.init.zeros_(wide.narrow.bias)
    assert torch.equal(wide(x), x)


def test_pooling_is_adaptive_mean_pooling_also_where_16_does_not_divide_the_length():
    encoder = m.SignalEncoder(C, "sequential").eval()
    encoder.local = encoder.medium = encoder.wide = encoder.out = nn.Identity()
    for length in (128, 100):
        x = torch.randn(2, 8, length)
        torch.testing.assert_close(encoder(x), F.adaptive_avg_pool1d(x, 16).flatten(1))


def test_signals_are_z_scored_inside_and_a_dead_channel_stays_zero():
    net = network(modality="bio").eval()
    captured = []
    net.signals.local.register_forward_pre_hook(lambda _m, inputs: captured.append(inputs[0]))
    net.fit_normaliser(torch.tensor([0.0, 1, 2, 3, 30]), torch.tensor([1.0, 2, 4, 8, 0]))
    signals = torch.full((1, C, L), 5.0)
    signals[0, 4] = 30.0
    net(None, None, signals)
    assert captured[0][0, :, 0].tolist() == [5.0, 2.0, 0.75, 0.25, 0.0]
    with pytest.raises(GbvnetError, match=r"the sd of 5 channels .* not \(4,\)"):
        net.fit_normaliser(torch.zeros(5), torch.ones(4))
    with pytest.raises(GbvnetError, match="modality face reads no signals"):
        network(modality="face").fit_normaliser(torch.zeros(5), torch.ones(5))


# ------------------------------------------------------------------------------------------------------- ablations

# What each one takes away from the 5 + 32 + 24 + 8 channels of the signal encoder, by hand; + 1s are biases.
LOCAL = (5 * 7 + 1) * 32 + 2 * 32 + (32 * 5 + 1) * 24 + 2 * 24  # two convolutions, two batch norms
SEQUENTIAL = (24 * 3 + 1) * 16 + 2 * 16 + (16 * 3 + 1) * 16 + 2 * 16 + (16 * 3 + 1) * 8 + 2 * 8
ATTENTION = (32 + 1) * 96 + (32 + 1) * 32 + 2 * 32  # Q, K and V of all heads, W^O, the norm before
FEWER = {
    "local_cnn": LOCAL - (5 + 1) * 24,
    "tcn": SEQUENTIAL - (24 + 1) * 8,
    "self_attention": ATTENTION,
    "residual": 0,
    "pooling": (128 - 8) * 64,
}
ABLATIONS = {"local_cnn": False, "tcn": "none", "self_attention": False, "residual": False, "pooling": "mean"}


@pytest.mark.journey
@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_takes_away_its_own_parameters_and_leaves_the_network_working(name):
    whole, net = network(), network(**{name: ABLATIONS[name]})
    assert count(whole) - count(net) == FEWER[name]
    output = net(*batch())
    assert output.logits.shape == (B, 1)
    output.logits.sum().backward()
    assert not [n for n, p in net.signals.named_parameters() if p.grad is None]
    assert not torch.allclose(net.eval()(*batch()).logits, whole.eval()(*batch()).logits)


def test_all_ablations_at_once_leave_the_projections_and_the_feed_forward():
    encoder = network(modality="bio", **ABLATIONS).signals
    projections = (5 + 1) * 24 + (24 + 1) * 8 + (8 + 1) * 64
    convolutions = (3 + 1) * 8 + (8 + 1) * 32
    feed_forward = 2 * 32 + (32 + 1) * 64 + (64 + 1) * 8
    assert count(encoder) == projections + convolutions + feed_forward


def reach(module, channels, length=64, at=32):
    """How far before and after a sample of the output lie the samples of the input that it depends on."""
    x = torch.randn(1, channels, length, requires_grad=True)
    module.eval()(x)[0, :, at].sum().backward()
    captured = x.grad.abs().sum((0, 1)).nonzero()[:, 0] - at
    return captured.min().item(), captured.max().item()


def test_what_is_left_of_an_ablated_part_sees_no_further_than_it_should():
    whole = m.SignalEncoder(C)
    for part, setting, with_it, without in (
        ("local", {"local_cnn": False}, (-5, 5), (0, 0)),  # 7 // 2 + 5 // 2
        ("medium", {"tcn": "none"}, (-7, 7), (0, 0)),  # 1 + 2 + 4
        ("wide", {"self_attention": False}, (-32, 31), (-1, 1)),  # the depthwise convolution alone
    ):
        channels = {"local": C, "medium": 24, "wide": 8}[part]
        assert reach(getattr(whole, part), channels) == with_it
        assert reach(getattr(m.SignalEncoder(C, **setting), part), channels) == without


def test_without_the_residual_exactly_x_is_missing():
    wide, x = m.ConvAttention().eval(), torch.randn(2, 8, 64)
    without = m.ConvAttention(residual=False).eval()
    without.load_state_dict(wide.state_dict())
    torch.testing.assert_close(wide(x) - without(x), x)


def test_one_mean_over_the_window_forgets_the_order_of_samples_and_pooling_to_16_does_not():
    x = torch.randn(2, 8, 100)
    assert torch.allclose(m.mean_pool(x, 1), x.mean(2, keepdim=True), atol=1e-6)
    for pooling, alike in (("mean", True), ("adaptive", False)):
        encoder = m.SignalEncoder(C, pooling=pooling)
        encoder.local = encoder.medium = encoder.wide = nn.Identity()
        assert torch.allclose(encoder(x), encoder(x.flip(2)), atol=1e-6) is alike


def test_a_config_from_before_the_ablations_is_the_whole_network():
    old = {"variant": "micro", "face_time": "transformer", "tcn": "sequential", "fusion": "gate", "n_channels": C}
    assert from_dict(GBVNetConfig, old) == GBVNetConfig(variant="micro", n_channels=C)


# --------------------------------------------------------------------------------------------------------- fusion


def test_a_gate_of_one_half_halves_every_feature():
    gate = m.GatedFusion(192)
    nn.init.zeros_(gate.fc2.weight)
    nn.init.zeros_(gate.fc2.bias)
    f, b = torch.full((1, 128), 4.0), torch.full((1, 64), -2.0)
    fused, gates = gate(f, b)
    assert gates.unique().tolist() == [0.5]  # sigmoid(0)
    assert fused[0, :128].unique().tolist() == [2.0]
    assert fused[0, 128:].unique().tolist() == [-1.0]


@pytest.mark.journey
def test_the_gates_of_each_modality_are_averaged_separately():
    net = network().eval()
    nn.init.zeros_(net.fusion.fc2.weight)
    net.fusion.fc2.bias.data[:128] = math.log(3)  # sigmoid(log 3) = 3 / 4
    net.fusion.fc2.bias.data[128:] = -math.log(4)  # sigmoid(-log 4) = 1 / 5
    output = net(*batch())
    assert output.gate_face.tolist() == pytest.approx([0.75] * B)
    assert output.gate_bio.tolist() == pytest.approx([0.2] * B)
    assert output.gates.shape == output.fused.shape == (B, 192)


def test_literal_fusion_is_x_times_sigmoid_x_and_has_no_weights():
    f, b = torch.randn(2, 128), torch.randn(2, 64)
    fused, gates = m.LiteralFusion()(f, b)
    x = torch.cat([f, b], 1)
    torch.testing.assert_close(fused, x / (1 + torch.exp(-x)))
    torch.testing.assert_close(fused, F.silu(x))
    assert gates.shape == (2, 192)
    assert count(m.LiteralFusion()) == 0


@pytest.mark.parametrize("fusion", get_args(get_type_hints(GBVNetConfig)["fusion"]))
def test_every_fusion_gives_192_features_and_only_gates_have_a_mean(fusion):
    output = network(fusion=fusion, n_outputs=2).eval()(*batch())
    assert output.logits.shape == (B, 2)
    assert output.fused.shape == (B, 192)
    has_gate = fusion in ("gate", "literal", "experts")
    assert (output.gates is not None) is has_gate
    for gate in (output.gate_face, output.gate_bio):
        assert gate.shape == (B,)
        assert bool(torch.isfinite(gate).all()) is has_gate


@pytest.mark.journey
@pytest.mark.parametrize(
    ("modality", "width"),
    [("facebio", 192), ("faceeeg", 192), ("faceperi", 192), ("face", 128), ("bio", 64), ("eeg", 64), ("peri", 64)],
)
def test_every_modality_builds_the_branches_it_reads_and_no_other(modality, width):
    net = network(modality=modality).eval()
    faces, ok, signals = batch()
    output = net(faces, ok, signals)
    assert output.logits.shape == (B, 1)
    assert output.fused.shape == (B, width)
    assert hasattr(net, "face") is modality.startswith("face")
    assert hasattr(net, "signals") is (modality != "face")
    assert (output.gates is None) is (width != 192)
    alone = net(faces if width != 64 else None, ok if width != 64 else None, signals if width != 128 else None)
    torch.testing.assert_close(alone.logits, output.logits)


# --------------------------------------------------------------------------------------- what is missing is missing


@pytest.mark.journey
def test_a_bad_frame_has_no_influence_and_gets_no_gradient():
    net = network().eval()
    faces, ok, signals = batch()
    ok[0, 1] = ok[2] = False
    clean = net(faces, ok, signals)
    other = faces.clone()
    other[0, 1], other[2] = torch.rand(3, SIDE, SIDE), 0.0
    other.requires_grad_()
    output = net(other, ok, signals)
    for a, b in zip(output, clean, strict=True):
        torch.testing.assert_close(a, b, equal_nan=True)  # no gate where there is no face
    output.logits.sum().backward()
    assert (other.grad.abs().sum((2, 3, 4)) > 0).tolist() == ok.tolist()
    ok[0, 1] = True
    assert not torch.allclose(net(faces, ok, signals).logits[0], clean.logits[0])


@pytest.mark.parametrize(("kernel", "side"), [(4, 16), (2, 6), (2, 7)])
def test_patches_by_a_product_are_those_of_the_convolution(monkeypatch, kernel, side):
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7, kernel, stride=kernel)
    x, results = torch.randn(3, side, side, 5, requires_grad=True), []
    for gpu in (False, True):
        monkeypatch.setattr(m, "is_asynchronous", lambda device, gpu=gpu: gpu)
        out = m.patches(conv, x)
        results.append([out, *torch.autograd.grad(out.square().sum(), [x, *conv.parameters()])])
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(*results, strict=True))
    calls = []
    conv.register_forward_hook(lambda *_: calls.append(1))
    m.patches(conv, x)
    assert calls  # a hook gets its convolution


def test_frames_that_are_left_out_change_nothing_against_encoding_them_all(monkeypatch):
    net = network().eval()
    faces, ok, _ = batch()
    ok[0, 1] = ok[1, :2] = False
    x = torch.where(ok[..., None], net.face(faces.flatten(0, 1)).view(B, FRAMES, 128), 0)  # as on a GPU
    torch.testing.assert_close(net._face_features(faces, ok), m.mean_of_valid(net.time(x, ok), ok))


@pytest.mark.journey
def test_a_window_without_any_good_frame_is_a_window_without_a_face():
    net = network()
    nn.init.constant_(net.missing_face, 7.0)
    faces, ok, signals = batch()
    ok[1] = False
    for mode in (net.train(), net.eval()):
        output = mode(faces, ok, signals)
        assert torch.isfinite(output.logits).all()
        output.logits.sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
    masked = net(faces, None, signals, has_face=torch.tensor([True, False, True, True]))
    torch.testing.assert_close(output.logits, masked.logits)
    torch.testing.assert_close(output.fused[1, :128] / output.gates[1, :128], torch.full((128,), 7.0))


@pytest.mark.journey
@pytest.mark.parametrize("missing", ["face", "signals"])
def test_a_missing_modality_has_no_influence_and_its_stand_in_takes_its_place(missing):
    net = network().eval()
    faces, ok, signals = batch()
    has = torch.tensor([True, False, True, False])
    presence = {f"has_{missing}": has}
    clean = net(faces, ok, signals, **presence)
    odd = (torch.rand_like(faces), ok, signals) if missing == "face" else (faces, ok, signals + 99)
    output = net(*odd, **presence)
    assert torch.equal(output.logits[~has], clean.logits[~has])
    assert not torch.allclose(output.logits[has], clean.logits[has])
    none = net(None if missing == "face" else faces, None, None if missing == "signals" else signals)
    torch.testing.assert_close(none.logits[~has], clean.logits[~has])
    for gate in (clean.gate_face, clean.gate_bio):  # with one modality there is nothing to weigh
        assert torch.isfinite(gate).tolist() == has.tolist()
    assert torch.isnan(torch.stack([none.gate_face, none.gate_bio])).all()
    none.logits.sum().backward()
    stand_in = net.missing_face if missing == "face" else net.missing_bio
    assert stand_in.grad.abs().sum() > 0


@pytest.mark.journey
def test_windows_without_signals_stay_out_of_the_batch_norm():
    faces, ok, signals = batch(8)
    has = torch.arange(8) < 5
    signals[~has] = 1e6
    few, all_of_them = network(), network()
    few(faces[:5], ok[:5], signals[:5])
    all_of_them(faces, ok, signals, has_signals=has)
    torch.testing.assert_close(all_of_them.signals.local[0][1].running_var, few.signals.local[0][1].running_var)


def test_modality_dropout_hides_each_modality_with_its_chance_and_never_both():
    net = network(modality_dropout=0.1)
    torch.manual_seed(0)
    there = torch.ones(20_000, dtype=torch.bool)
    face, bio = net._hide_modalities(there, there)
    assert (face | bio).all()
    assert (~face).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert (~bio).float().mean().item() == pytest.approx(0.1, abs=0.01)
    for only_face, only_bio in ((there, ~there), (~there, there)):  # the only one is never hidden
        face, bio = net._hide_modalities(only_face, only_bio)
        assert torch.equal(face, only_face)
        assert torch.equal(bio, only_bio)


@pytest.mark.journey
def test_modality_dropout_works_in_training_only_and_reaches_the_stand_ins():
    net = network(modality_dropout=0.5)  # every window loses one
    faces, ok, signals = batch(16)
    output = net(faces, ok, signals)
    output.logits.sum().backward()
    assert net.missing_face.grad.abs().sum() > 0
    assert net.missing_bio.grad.abs().sum() > 0
    net.zero_grad()
    net.eval()(faces, ok, signals).logits.sum().backward()
    assert net.missing_face.grad is None or net.missing_face.grad.abs().sum() == 0


def test_without_modality_dropout_a_missing_modality_is_refused():
    net = network(modality_dropout=0).eval()
    faces, ok, signals = batch()
    net(faces, ok, signals)
    ok[1] = False
    with pytest.raises(GbvnetError, match=r"1 of 4 windows lack .* modality_dropout 0"):
        net(faces, ok, signals)
    with pytest.raises(GbvnetError, match="4 of 4 windows lack"):
        net(faces, None, None)


def test_a_window_with_nothing_that_the_network_reads_is_refused():
    faces, ok, signals = batch()
    ok[3] = False
    with pytest.raises(GbvnetError, match=r"1 of 4 windows have no face, and this network \(face\) reads nothing else"):
        network(modality="face")(faces, ok, signals)
    with pytest.raises(GbvnetError, match="1 of 4 windows have neither a face nor signals"):
        network()(faces, ok, signals, has_signals=torch.tensor([True, True, True, False]))
    with pytest.raises(GbvnetError, match="modality bio got none of the inputs"):
        network(modality="bio")(faces, ok, None)


# ----------------------------------------------------------------------------------------------------- at the door


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("faces", torch.zeros(4, 9, 3, 32, 32), r"faces is \(4, 9, 3, 32, 32\), .* reads \(4, 3, 3, 32, 32\)"),
        ("faces", torch.zeros(4, 3, 32, 32, 3), r"faces is \(4, 3, 32, 32, 3\)"),
        ("faces", torch.zeros(4, 3, 3, 16, 16), r"\(4, 3, 3, 16, 16\), .* \(4, 3, 3, 32, 32\)"),
        ("faces", torch.zeros(4, 3, 3, 32, 32, dtype=torch.uint8), r"uint8, .* floats in \[0, 1\]"),
        ("face_ok", torch.ones(4, 2, dtype=torch.bool), r"face_ok is \(4, 2\), .* \(4, 3\)"),
        ("signals", torch.zeros(4, 6, L), r"signals is \(4, 6, 128\), .* \(4, 5, 128\)"),
        ("has_face", torch.ones(3, dtype=torch.bool), r"has_face is \(3,\), .* \(4,\)"),
    ],
)
def test_a_wrong_shape_is_refused_with_both_shapes(name, wrong, message):
    faces, ok, signals = batch()
    given = {"faces": faces, "face_ok": ok, "signals": signals} | {name: wrong}
    with pytest.raises(GbvnetError, match=message):
        network()(**given)


# ------------------------------------------------------------------------------------------------------ in training


@pytest.mark.journey
def test_the_same_seed_gives_the_same_network_and_the_same_step():
    def step():
        net = network(seed=3)
        torch.manual_seed(4)
        output = net(*batch())
        output.logits.sum().backward()
        return [output.logits.detach(), *(p.grad for p in net.parameters() if p.grad is not None)]

    for a, b in zip(step(), step(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.journey
def test_a_few_steps_learn_eight_windows():
    net, data, y = network(modality_dropout=0, dropout=0), batch(8), torch.tensor([0.0, 1] * 4)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(25):
        loss = F.binary_cross_entropy_with_logits(net(*data).logits[:, 0], y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 < 0.5 < losses[0]


@pytest.mark.journey
def test_bf16_autocast_agrees_with_float32_to_its_own_precision():
    net, data = network().eval(), batch()
    with torch.no_grad():
        exact = net(*data)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = net(*data)
    assert rough.gates.dtype == torch.float32
    torch.testing.assert_close(rough.logits.float(), exact.logits, rtol=0.05, atol=0.02)
    torch.testing.assert_close(rough.gate_face, exact.gate_face, rtol=0.02, atol=0.01)


@pytest.mark.journey
def test_every_parameter_takes_part():
    for settings in ({}, {"fusion": "sum", "tcn": "parallel"}):
        net = network(modality_dropout=0.5, **settings)
        for module in net.modules():
            if isinstance(module, m.GlobalResponseNorm):
                nn.init.ones_(module.gamma)
        net(*batch(16, side=64)).logits.sum().backward()
        idle = [name for name, p in net.named_parameters() if p.grad is None]
        assert not idle

"""Fusions of other papers, each against its formula computed in another way, and the gates that can be replaced."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gbvnet.config import GBVNetConfig
from gbvnet.network import model as m
from gbvnet.network.checkpoint.checkpoint import load_model, save_model
from gbvnet.network.fusions import FUSIONS, RANK, CrossAttentionFusion, ExpertsFusion, LowRankFusion
from gbvnet.network.model import GBVNet

WIDTHS = 128, 64, 192


@pytest.fixture
def features():
    """f (5, 128) and b (5, 64), of other scales than a layer expects."""
    draw = torch.Generator().manual_seed(1)
    return 3 * torch.randn(5, 128, generator=draw), 0.5 * torch.randn(5, 64, generator=draw) + 1


def test_low_rank_fusion_is_the_whole_tensor_of_weights_on_the_outer_product(features):
    """As Liu et al. derive it: the tensor (129, 65, D) of rank 4, applied to the outer product of [f, 1] and [b, 1]."""
    torch.manual_seed(0)
    fusion = LowRankFusion(*WIDTHS)
    factors = [
        torch.cat([layer.weight, layer.bias[:, None]], dim=1).view(RANK, 192, -1) for layer in (fusion.face, fusion.bio)
    ]  # (R, D, 129) and (R, D, 65)
    weights = torch.einsum("rdi,rdj->dij", *factors)  # (D, 129, 65)
    assert torch.linalg.matrix_rank(weights[:5]).tolist() == [RANK] * 5
    f, b = (F.pad(x, (0, 1), value=1) for x in features)
    outer = f[:, :, None] * b[:, None, :]  # (B, 129, 65)
    expected = torch.einsum("bij,dij->bd", outer, weights)
    fused, gates = fusion(*features)
    assert gates is None
    torch.testing.assert_close(fused, expected, rtol=1e-4, atol=1e-4)


def test_cross_attention_is_that_of_torch_both_ways(features):
    torch.manual_seed(0)
    fusion = CrossAttentionFusion(*WIDTHS)
    nn.init.normal_(fusion.norm_face.weight)
    f, b = fusion.norm_face(features[0]), fusion.norm_bio(features[1])

    def attend(part, x, other):
        """(B, one head, tokens, 16), as torch takes it."""
        q, k, v = (t.view(5, 1, -1, 16) for t in (part.query(x), part.key(other), part.value(other)))
        return part.out(F.scaled_dot_product_attention(q, k, v).flatten(1))

    expected = torch.cat([features[0] + attend(fusion.face, f, b), features[1] + attend(fusion.bio, b, f)], dim=1)
    torch.testing.assert_close(fusion(*features)[0], expected)
    assert fusion.face.query(f).view(5, -1, 16).shape[1] == 8  # tokens of the face, and 4 of the signals
    assert fusion.bio.query(b).view(5, -1, 16).shape[1] == 4


def test_experts_are_weighted_by_numbers_of_sum_one(features):
    torch.manual_seed(0)
    fusion = ExpertsFusion(*WIDTHS)
    fused, gates = fusion(*features)
    for row in range(5):
        f, b = features[0][row], features[1][row]
        score = fusion.weights.weight @ torch.cat([f, b]) + fusion.weights.bias
        w = (score.exp() / score.exp().sum()).tolist()
        expert_f = (fusion.face.weight @ f + fusion.face.bias).clamp(min=0)
        expert_b = (fusion.bio.weight @ b + fusion.bio.bias).clamp(min=0)
        torch.testing.assert_close(fused[row], w[0] * expert_f + w[1] * expert_b)
        assert gates[row, :128].tolist() == pytest.approx([w[0]] * 128)
        assert gates[row, 128:].tolist() == pytest.approx([w[1]] * 64)


def test_gates_of_one_pass_everything_and_gates_of_zero_nothing(features):
    both = torch.cat(features, dim=1)
    for fusion in (m.GatedFusion(192), m.LiteralFusion()):
        torch.testing.assert_close(fusion.weigh(*features, torch.ones(5, 192)), both)
        assert not fusion.weigh(*features, torch.zeros(5, 192)).any()
    experts = ExpertsFusion(*WIDTHS)
    only_face = torch.cat([torch.ones(5, 128), torch.zeros(5, 64)], dim=1)
    torch.testing.assert_close(experts.weigh(*features, only_face), F.relu(experts.face(features[0])))


@pytest.mark.parametrize(
    ("name", "parameters"), [("low_rank", 148_992), ("cross_attention", 83_072), ("experts", 37_634)]
)
def test_the_documented_sizes(name, parameters):
    assert sum(p.numel() for p in m.make_fusion(name, 192).parameters()) == parameters


@pytest.mark.journey
@pytest.mark.parametrize("name", FUSIONS)
def test_a_network_of_each_fusion_is_saved_and_does_without_a_modality(name, tmp_path):
    torch.manual_seed(0)
    made = GBVNet(GBVNetConfig(variant="micro", n_channels=2, n_frames=2, n_samples=32, fusion=name)).eval()
    save_model(tmp_path / "model", made, {"targets": ["valence"]})
    loaded, _ = load_model(tmp_path / "model")
    faces, signals = torch.rand(3, 2, 3, 32, 32), torch.randn(3, 2, 32)
    has = torch.tensor([True, False, True])
    expected = made(faces, None, signals, has, ~has | torch.tensor([True, False, False]))
    got = loaded(faces, None, signals, has, ~has | torch.tensor([True, False, False]))
    assert torch.equal(got.logits, expected.logits)
    assert torch.isfinite(got.logits).all()
    changed = made(1 - faces, None, signals, has, ~has | torch.tensor([True, False, False])).logits
    assert torch.equal(changed[1], expected.logits[1])  # a face that is missing says nothing
    assert not torch.equal(changed[0], expected.logits[0])


@pytest.mark.parametrize("name", FUSIONS)
def test_every_parameter_of_a_fusion_has_a_gradient(name, features):
    fusion = m.make_fusion(name, 192)
    fused, _ = fusion(*features)
    (fused * torch.linspace(-1, 1, 192)).sum().backward()
    without = [key for key, p in fusion.named_parameters() if not p.grad.any()]
    assert [key for key in without if not key.endswith("key.bias")] == []  # a softmax does not see a common shift

"""The profile counts what a training step costs: against torch's own counter, and a stage worked out by hand."""

import json

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import profile
from benchmarks.parts import OTHER, Counting, Parts, counted, modules_of, timed
from gbvnet.config import GBVNetConfig
from gbvnet.network.model import GBVNet

B, F, SIDE = 2, 2, 64


@pytest.fixture(scope="module")
def training():
    torch.manual_seed(0)
    net = GBVNet(GBVNetConfig(variant="micro", n_channels=6, n_samples=32, n_frames=F, modality_dropout=0.0)).train()
    faces, signals = torch.rand(B, F, 3, SIDE, SIDE), torch.randn(B, 6, 32)

    def step():
        logits = net(faces, None, signals).logits
        binary_cross_entropy_with_logits(logits, torch.zeros_like(logits)).backward()

    return net, step, counted(Parts(), net, step)


def by_torch(step):
    """FLOPs of convolutions and matrix products; torch's counter does not know the attention of a CPU."""
    with FlopCounterMode(display=False) as counter:
        step()
    by_kind = counter.get_flop_counts()["Global"]
    return sum(n for kind, n in by_kind.items() if "attention" not in str(kind))


@pytest.mark.journey
def test_products_and_convolutions_are_those_of_torchs_own_counter(training):
    net, _, cells = training
    faces, signals = torch.rand(B, F, 3, SIDE, SIDE), torch.randn(B, 6, 32)
    # That of the signals, over 32 samples of width 32; that of the frames has dropout and so is products here.
    attention = B * 4 * 32 * 32 * 32
    forwards = sum(cell["flops"] for (_, way), cell in cells.items() if way == "forward")
    assert forwards - attention == by_torch(lambda: net(faces, None, signals))


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (torch.nn.Linear(5, 7), (3, 4, 5)),
        (torch.nn.Conv2d(3, 8, 4, stride=4), (2, 3, 16, 16)),
        (torch.nn.Conv1d(6, 4, 3, padding=2, dilation=2), (2, 6, 20)),
    ],
)
def test_the_way_back_is_that_of_torchs_own_counter(module, shape):
    # Of convolutions without groups: with groups its count of the weights' gradient is as if there were none.
    x = torch.randn(shape, requires_grad=True)
    with Counting(Parts()) as counting:
        module(x).sum().backward()
    assert sum(cell["flops"] for cell in counting.cells.values()) == by_torch(lambda: module(x).sum().backward())


@pytest.mark.journey
def test_a_stage_is_what_it_is_by_hand(training):
    _, _, cells = training
    n, width, side = B * F, 16, SIDE // 4  # frames; micro's first stage, whose maps are a quarter of the face's side
    pixels = n * side * side
    at = {name: cells[(f"stage 1 {name}", "forward")] for name in ("depthwise", "GRN", "pointwise")}
    assert at["depthwise"]["flops"] == 2 * pixels * width * 49
    assert at["pointwise"]["flops"] == 2 * pixels * width * 4 * width * 2  # to four times the width, and back
    a_map = 4 * pixels * width  # bytes
    assert at["depthwise"]["bytes"] == 2 * a_map + 4 * (width * 49 + width)
    # Norm 2 maps, both products 5 each, GELU 8, residual 3; besides them only weights, means and SDs.
    assert 23 * a_map <= at["pointwise"]["bytes"] < 23.5 * a_map
    # Squares: a map of four times the width in and out; their sum: in; addcmul: in and out.
    assert 20 * a_map <= at["GRN"]["bytes"] < 20.5 * a_map
    back = cells[("stage 1 depthwise", "backward")]
    assert back["flops"] == 2 * at["depthwise"]["flops"]
    assert back["bytes"] >= 3 * a_map


@pytest.mark.journey
def test_every_part_is_passed_both_ways(training):
    net, step, cells = training
    names = {name for _, name in modules_of(net)}
    assert {part for part, _ in cells} == names | {OTHER}
    for name in names:
        assert cells[(name, "forward")]["bytes"] > 0 and cells[(name, "backward")]["bytes"] > 0, name
    seconds = timed(Parts(), net, step, 1, torch.device("cpu"))
    assert {part for part, _ in seconds} >= names
    assert all(seconds[(name, "backward")]["seconds"] > 0 for name in names)


@pytest.mark.journey
def test_hooks_are_gone_afterwards(training):
    net, _, _ = training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


@pytest.mark.journey
@pytest.mark.parametrize("plain", [[], ["--plain"]])
def test_the_profile_is_printed_and_written(tmp_path, capsys, monkeypatch, plain):
    monkeypatch.setattr(profile, "rates", lambda training: (1e10, 1e9))
    file = tmp_path / "profile.json"
    sizes = ["--variant", "micro", "--side", "32", "--batch", "2", "--steps", "1"]
    result = profile.main([*sizes, "--device", "cpu", "--out", str(file), *plain])
    written = json.loads(file.read_text())
    assert written["parts"] == result["parts"] and written["plain"] == bool(plain)
    text = capsys.readouterr().out
    for part in ("data", "augmentation", "optimiser", "stem", "stage 4 depthwise", "Transformer", "fusion and head"):
        assert part in text
    row = next(r for r in result["parts"] if r["part"] == "stage 1 depthwise" and r["way"] == "forward")
    assert row["floor_s"] == max(row["flops"] / 1e10, row["bytes"] / 1e9)

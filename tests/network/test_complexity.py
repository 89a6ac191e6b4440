"""What a network costs: operations by hand, memory against torch's profiler, and a table that says what differs."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from gbvnet.config import GBVNetConfig
from gbvnet.network import complexity as cost
from gbvnet.network.model import GBVNet, conv_bn_relu

SMALL = GBVNetConfig(variant="micro", n_frames=2, n_channels=5, n_samples=32)
BIO = GBVNetConfig(variant="micro", modality="bio", n_channels=40, n_samples=128)

REMOVED: dict[str, dict] = {
    "without the Transformer": {"face_time": "none"},
    "without the local CNN": {"local_cnn": False},
    "without the TCN": {"tcn": "none"},
    "without self-attention": {"self_attention": False},
    "without the residual": {"residual": False},
    "without adaptive pooling": {"pooling": "mean"},
    "without the gate": {"fusion": "concat"},
}


@pytest.fixture(autouse=True)
def few_runs(monkeypatch):
    monkeypatch.setattr(cost, "RUNS", 2)
    monkeypatch.setattr(cost, "BATCH", 4)


def test_one_layer_is_counted_as_by_hand():
    layer = conv_bn_relu(40, 32, 7)
    assert cost.count_flops(layer, (torch.randn(1, 40, 128),)) == 2 * 40 * 7 * 32 * 128
    assert layer.training
    depthwise = nn.Conv1d(8, 8, 3, padding=1, groups=8)
    assert cost.count_flops(depthwise, (torch.randn(1, 8, 128),)) == 2 * 3 * 8 * 128


def test_the_signal_branch_is_counted_as_by_hand_with_its_attention():
    each_sample = (
        (40 * 7 * 32 + 32 * 5 * 24)  # local
        + (24 * 3 * 16 + 16 * 3 * 16 + 16 * 3 * 8)  # medium
        + (3 * 8 + 8 * 32)  # depthwise, pointwise
        + (32 * 96 + 2 * 128 * 32 + 32 * 32)  # Q K V; Q K^T and its product with V, over 128 samples; W^O
        + (32 * 64 + 64 * 8)  # feed-forward
    )
    by_hand = 2 * (128 * each_sample + 128 * 64 + 64 * 64 + 64 * 1)  # linear, classifier
    assert cost.count_flops(GBVNet(BIO), cost.noise(BIO, 0, 1)) == by_hand


def test_what_is_kept_for_the_way_back_is_counted_once_and_without_the_weights():
    x, w = torch.ones(10, 3), torch.ones(3, 4, requires_grad=True)
    known = {w.untyped_storage().data_ptr()}
    assert cost.kept_for_backward(lambda: x @ w, known) == 10 * 3 * 4  # x, for the gradient of w
    # the exponential keeps its result, which the square keeps too
    assert cost.kept_for_backward(lambda: (x @ w).exp().square(), known) == 10 * 3 * 4 + 10 * 4 * 4


@pytest.mark.journey
@pytest.mark.parametrize("modality", ["bio", "facebio"])
def test_memory_of_a_step_on_a_cpu_is_a_little_less_than_torchs_profiler_sees(modality, tmp_path):
    torch.manual_seed(0)
    config = GBVNetConfig(variant="micro", modality=modality, n_frames=2, modality_dropout=0)
    network, inputs = GBVNet(config).train(), cost.noise(config, 32, 64)
    counted = cost._step_on_cpu(network, inputs)
    optimiser = torch.optim.Adam(network.parameters())

    def step():
        cost._loss(network, inputs).backward()
        optimiser.step()

    step()  # makes Adam's moments
    optimiser.zero_grad()
    held = [*network.parameters(), *network.buffers(), *(x for x in inputs if x is not None)]
    before = sum(t.nbytes for t in held) + 2 * sum(p.nbytes for p in network.parameters())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    profiler.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    now = highest = before
    for event in sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"]):
        now += event["args"]["Bytes"]
        highest = max(highest, now)
    assert 0.85 * highest < counted < highest


@pytest.mark.journey
def test_measuring_says_everything_and_moves_nobodys_random_numbers():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    made = cost.measure(SMALL, 32, "cpu")
    assert torch.equal(torch.rand(3), expected)
    assert made.parameters == sum(p.numel() for p in GBVNet(SMALL).parameters())
    assert made.flops == cost.count_flops(GBVNet(SMALL), cost.noise(SMALL, 32, 1))
    assert made.latency_ms > 0
    assert made.windows_per_s > 0
    assert (made.device, made.threads) == ("cpu", torch.get_num_threads())
    assert cost.measure(SMALL, 32, "cpu").memory_mb == made.memory_mb  # no modality is hidden by chance


@pytest.mark.journey
def test_the_table_has_a_row_for_each_branch_and_each_removed_block():
    branches = {f"{modality} alone": replace(SMALL, modality=modality) for modality in ("face", "bio")}
    ablations = {name: replace(SMALL, **setting) for name, setting in REMOVED.items()}
    configs = {"GBV-Net": SMALL, **branches, **ablations}
    table = cost.cost_table(configs, 32, "cpu")
    assert list(table.index) == list(configs)
    assert table.index.name == "network"
    whole, less = table.loc["GBV-Net"], table.loc[[name for name in REMOVED if name != "without the residual"]]
    assert (less["parameters"] < whole["parameters"]).all()
    assert (less["flops"] < whole["flops"]).all()
    assert table.loc["without the residual", "flops"] == whole["flops"]  # a sum of two maps is no product
    assert table.loc["face alone", "flops"] + table.loc["bio alone", "flops"] < whole["flops"]  # the gate

"""Further modalities on their way to a network: batches with them, and the gate over any number of features."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from gbvnet.config import GBVNetConfig, TrainConfig
from gbvnet.network.batches import Batch, FurtherWindows, Windows
from gbvnet.network.model import GatedFusion, GBVNet
from gbvnet.network.training import fit_network
from gbvnet.network.training_data import TrainingData
from gbvnet.systems.learners.neural import UngatedOutput
from gbvnet.testing import SyntheticStore, SyntheticWindows

CONTENT = SyntheticWindows(subjects=2, trials=2, windows=4, modalities=(("sound", (3, 2)), ("limbs", (5,))),
                           missing=(((1, 2), "sound"),))  # fmt: skip
STORE = SyntheticStore(CONTENT)
ROWS = np.array([9, 2, 4, 14, 0, 5, 11])


def the_gate_as_it_was(fusion, f, b):
    """Eq. 6 of two features, as it was before any number of them was allowed."""
    gates = torch.sigmoid(fusion.fc2(torch.relu(fusion.fc1(torch.cat([f, b], dim=-1)))))
    return torch.cat([f, b], dim=-1) * gates, gates


def test_two_features_are_gated_bit_for_bit_as_before():
    torch.manual_seed(0)
    fusion, f, b = GatedFusion(192), torch.randn(9, 128), torch.randn(9, 64)
    for one, other in zip(fusion(f, b), the_gate_as_it_was(fusion, f, b), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(fusion.weigh(f, b, fusion.gates(f, b)), fusion(f, b)[0])
    assert list(fusion.state_dict()) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]


def test_each_gate_sees_all_features():
    torch.manual_seed(0)
    fusion = GatedFusion(12)
    parts = [torch.randn(3, n, requires_grad=True) for n in (6, 4, 2)]
    fused, gates = fusion(*parts)
    assert fused.shape == gates.shape == (3, 12)
    assert torch.equal(fused, torch.cat(parts, dim=1) * gates)
    gates[:, 0].sum().backward()
    assert all((part.grad.abs().sum(dim=1) > 0).all() for part in parts)


@pytest.mark.journey
def test_the_features_of_a_network_are_what_it_fuses():
    torch.manual_seed(0)
    network = GBVNet(GBVNetConfig(variant="micro", n_channels=5, n_samples=32, n_frames=2)).eval()
    faces, signals = torch.rand(4, 2, 3, 32, 32), torch.randn(4, 5, 32)
    has = torch.tensor([True, True, False, True]), torch.tensor([True, False, True, True])
    inputs = faces, torch.ones(4, 2, dtype=torch.bool), signals, *has
    f, b = network.features(*inputs)
    assert torch.equal(network.fusion(f, b)[0], network(*inputs).fused)
    assert torch.equal(f[2], network.missing_face) and torch.equal(b[1], network.missing_bio)
    alone = GBVNet(GBVNetConfig(variant="micro", modality="bio", n_channels=5, n_samples=32, n_frames=2)).eval()
    (only,) = alone.features(None, None, signals)
    assert torch.equal(only, alone(None, None, signals).fused) and only.shape == (4, 64)


@pytest.mark.parametrize("memory_gib", [0.0, 1.0])
def test_batches_have_the_values_and_which_windows_have_them(memory_gib):
    windows = Windows(STORE, ROWS, "bio", np.zeros((7, 1)), memory_gib=memory_gib)
    further = FurtherWindows(windows, STORE, ("sound", "limbs"), memory_gib)
    assert (further.kept is None) == (memory_gib == 0.0)
    batches = list(further.batches([np.array([1, 2, 0]), np.array([6, 5])]))
    sound, has_sound, limbs, has_limbs = batches[0].further
    assert (
        batches[0].inputs_of(nn.Identity())[5:] == batches[0].further and len(batches[0].inputs_of(nn.Identity())) == 9
    )
    assert has_sound.tolist() == [True, False, True] and has_limbs.all()  # row 4 is of s01_trial02
    rows = ROWS[[1, 2, 0]]
    assert torch.equal(limbs, torch.from_numpy(STORE.modality("limbs", rows).values))
    assert torch.equal(sound[0], torch.from_numpy(STORE.modality("sound", rows).values)[0]) and not sound[1].any()
    assert torch.equal(batches[1].signals, torch.from_numpy(STORE.read(ROWS[[6, 5]], faces=False)[2]))
    assert [len(batch.further[0]) for batch in further.in_order(5)] == [5, 2]
    assert torch.equal(further.signal_statistics()[0], windows.signal_statistics()[0])


def test_a_batch_without_further_modalities_has_five_inputs():
    assert Batch(None, None, None, None, None).inputs_of(nn.Identity()) == (None,) * 5


class _Limbs(torch.nn.Module):
    """Reads one further modality alone."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(5, 1)

    def forward(self, faces, face_ok, signals, has_face, has_signals, limbs, has_limbs):
        return UngatedOutput.of(self.layer(limbs))


@pytest.mark.journey
def test_the_training_loop_trains_on_them_the_same_from_memory_and_from_the_store():
    torch.manual_seed(0)
    first, rows = _Limbs(), np.arange(16)
    second, y = copy.deepcopy(first), (STORE.windows["valence"].to_numpy() > 5)[:, None]
    config = TrainConfig(epochs=20, learning_rate=0.05, batch_size=8, device="cpu")
    losses = []
    for network, memory_gib in ((first, 1.0), (second, 0.0)):
        batches = FurtherWindows(Windows(STORE, rows, "bio", y), STORE, ("limbs",), memory_gib)
        result = fit_network(network, TrainingData(batches), config, seed=0)
        losses.append([epoch["train_loss"] for epoch in result.history])
    assert losses[0] == losses[1] and losses[0][-1] < 0.5 * losses[0][0]

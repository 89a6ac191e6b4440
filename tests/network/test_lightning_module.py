"""One training in several processes: shares of a batch, losses and gradients are those of one process."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gbvnet.network.lightning_module import TrainingModule
from gbvnet.network.training_data import TrainingData

from ..synthetic_store import write_store
from .test_training import CPU, Tiny, sides


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("training") / "store")


def process(world, rank, network):
    """The training as one of several processes runs it, without starting any."""
    module = TrainingModule(network, CPU, 0, None, None, "", TrainingData(None, None))
    module._trainer = SimpleNamespace(world_size=world, global_rank=rank)
    module.sums = {side: torch.zeros(3) for side in ("train", "validation")}
    return module


@pytest.fixture
def one_of_several(monkeypatch):
    monkeypatch.setattr(TrainingModule, "trainer", property(lambda self: self._trainer))
    monkeypatch.setattr(TrainingModule, "device", property(lambda self: torch.device("cpu")))


@pytest.mark.parametrize("world", [2, 3, 8, 13])
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 16, 31])
def test_shares_of_a_batch_are_even_and_lose_no_window(one_of_several, world, n):
    shares = [process(world, rank, Tiny()).share(np.arange(n)) for rank in range(world)]
    assert np.array_equal(np.concatenate(shares), np.arange(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.journey
@pytest.mark.parametrize(("world", "n"), [(2, 1), (3, 7), (8, 9), (8, 5)])
def test_the_validation_loss_of_several_processes_is_that_of_one_even_without_a_window(one_of_several, store, world, n):
    def summed(of):
        total = torch.zeros(3)
        for rank in range(of):
            module = process(of, rank, Tiny().eval())
            for batch in windows.batches([module.share(np.arange(n))]):
                module.validation_step(batch, 0)
            total += module.sums["validation"]
        return total

    windows = sides(store)[1]
    torch.testing.assert_close(summed(world), summed(1))
    assert summed(world)[2] == n and torch.isfinite(summed(world)).all()


@pytest.mark.journey
@pytest.mark.parametrize(("world", "n"), [(2, 7), (3, 16), (5, 6)])
def test_gradients_averaged_over_uneven_shares_are_those_of_the_whole_batch(one_of_several, store, world, n):
    def gradient(of):
        total = torch.zeros(5)
        for rank in range(of):
            network = Tiny().eval()  # neither dropout nor batch norm, which depend on how a batch is shared out
            module = process(of, rank, network)
            module.batch_windows, module.epochs = n, 0
            for batch in windows.batches([module.share(np.arange(n))]):
                module.training_step(batch, 0).backward()
            total += network.weight.grad / of  # what DistributedDataParallel makes of them
        return total

    windows = sides(store)[0]
    torch.testing.assert_close(gradient(world), gradient(1))

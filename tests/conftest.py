"""What all tests share: no network, and a tiny corpus."""

import socket

import pytest

from gbvnet.plugins import loaded_files

from . import fakes, loaded_plugins


def pytest_collection_finish():
    """Refuse plug-ins that a file of tests loads when it is imported: see loaded_plugins.py."""
    if files := ", ".join(map(str, loaded_files())):
        raise pytest.UsageError(f"{files}: loaded as a plug-in while tests are collected; load it in a fixture")


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """Tests take nothing from the network; a connection to anywhere but this machine fails at once."""
    connect = socket.socket.connect

    def only_here(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test tried to reach {address}")
        return connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", only_here)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="module")
def plugins_of_this_file_only():
    """Fixtures may hold what a file of tests loads until its end."""
    with loaded_plugins.forgotten():
        yield


@pytest.fixture
def deap(tmp_path):
    """The root of a tiny DEAP without videos: 2 subjects, 3 trials of 4 s."""
    return fakes.write_deap(tmp_path / "deap")


@pytest.fixture
def repeatable_torch():
    """One thread, as the processes of these tests have (with another number the last digits differ), and seed 0."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)

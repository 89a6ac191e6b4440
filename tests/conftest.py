"""What all tests share: no network, and a tiny corpus."""

import socket

import pytest

from . import fakes, loaded_plugins


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
    """What a file of tests loads when it is imported stays; fixtures may hold the others until its end."""
    with loaded_plugins.forgotten():
        yield


@pytest.fixture
def deap(tmp_path):
    """The root of a tiny DEAP without videos: 2 subjects, 3 trials of 4 s."""
    return fakes.write_deap(tmp_path / "deap")

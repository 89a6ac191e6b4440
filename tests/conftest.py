"""What all tests share: no network, and a tiny corpus."""

import socket
import sys

import pytest

from gbvnet import plugins

from . import fakes


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
    """Every process that a command starts imports the plug-ins of its caller: those of other files of tests, which
    import torch, made each process take 7 s of CPU time."""
    before = set(sys.modules)  # those that a file of tests loads when it is imported stay
    yield
    for name in [name for name in sys.modules if name.startswith(plugins._OWN) and name not in before]:
        del sys.modules[name]
    plugins._of_file.cache_clear()


@pytest.fixture
def deap(tmp_path):
    """The root of a tiny DEAP without videos: 2 subjects, 3 trials of 4 s."""
    return fakes.write_deap(tmp_path / "deap")

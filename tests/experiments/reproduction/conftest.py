import pytest

from ...synthetic_store import write_store
from .stub_system import use_stub


@pytest.fixture(scope="package")
def store(tmp_path_factory):
    """Five subjects, of whom one has a trial without a face."""
    return write_store(tmp_path_factory.mktemp("corpus") / "store", subjects=5, missing={(1, 1): "face"})


@pytest.fixture
def stub(monkeypatch):
    use_stub(monkeypatch)

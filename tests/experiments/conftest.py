"""What several tests of experiments share."""

import pytest


@pytest.fixture(scope="module")
def one_core():
    """Networks this small are slower with two."""
    patch = pytest.MonkeyPatch()
    patch.setattr("gbvnet.parallel.tasks.available_cores", lambda: 1)
    yield
    patch.undo()

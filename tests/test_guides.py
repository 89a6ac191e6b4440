"""The figure of docs/guides/protocols.md: it can be drawn, and its maps keep what they show."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import gbvnet
from gbvnet.config import PROTOCOLS

SCRIPT = Path(gbvnet.__file__).parents[1] / "docs" / "guides" / "protocols_figure.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the installed package has no documents beside it")
SEPARATE = {
    "trial": [["subject", "trial"]],
    "stimulus": [["stimulus"]],
    "subject": [["subject"]],
    "subject+stimulus": [["subject"], ["stimulus"]],
    "transfer": [["subject"], ["stimulus"]],
    "window": [["subject", "trial", "window"]],
}


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


def groups(windows, rows, columns):
    return set(windows.loc[rows, columns].itertuples(index=False))


@pytest.mark.parametrize("protocol", SEPARATE)
def test_a_map_shares_no_group_of_its_protocol(script, protocol):
    windows, fold = script["fold_of"](protocol)
    trained = np.concatenate([fold.train, fold.validation])
    for columns in SEPARATE[protocol]:
        assert not groups(windows, trained, columns) & groups(windows, fold.test, columns)
    trials = ["subject", "trial"]
    assert bool(groups(windows, trained, trials) & groups(windows, fold.test, trials)) == (protocol == "window")


@pytest.mark.journey
def test_the_figure_has_every_protocol(script):
    assert set(script["MEANING"]) == {*PROTOCOLS, "transfer"} == set(SEPARATE)
    figure = script["draw"]()
    texts = [text.get_text().replace("\n", "") for text in figure.axes[0].texts]
    assert all(any(name.replace("+", "+ ") in text for text in texts) for name in SEPARATE)
    assert len(figure.axes) == 1 + len(SEPARATE)

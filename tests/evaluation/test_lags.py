"""Labels that change in time, at a lag: against a trace whose value is its time, and what is left out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from gbvnet.config import CrossvalConfig
from gbvnet.datasets.label_columns import LabelColumn
from gbvnet.errors import BadConfig
from gbvnet.evaluation.lags import LAGS_S, lagged_windows
from gbvnet.evaluation.targets import resolve


class Traced(SimpleNamespace):
    """A store of one recording of 20 windows of 1 s, whose trace has its own time as its value, from 0 to 20 s."""

    path = "s.store"
    settings = {"prepare": {"window_s": 1.0}}  # noqa: RUF012
    labels = {"joy": LabelColumn("joy", (0, 100), trace=True), "valence": LabelColumn("valence", (1, 9))}  # noqa: RUF012
    windows = pd.DataFrame({"recording": ["a"] * 20, "subject": ["s"] * 20, "start_s": np.arange(20.0), "joy": np.nan})

    def trace(self, recording, name):
        times = np.arange(0, 20, 0.01)
        return times, times


@pytest.mark.parametrize("lag_s", [0.0, 2.4])
def test_the_label_of_a_window_is_the_mean_so_much_later(lag_s):
    store, excluded = Traced(), {}
    ((at, table),) = lagged_windows(store, store.windows, CrossvalConfig(target="joy", lag_s=lag_s), excluded).items()
    assert at == lag_s
    assert table["joy"].to_numpy() == pytest.approx(table["start_s"] + lag_s + 0.5, abs=0.02)
    left_out = 20 - len(table)
    assert left_out == (0 if lag_s == 0 else 3)  # 17.4 to 18.4 s and later ones reach beyond 20 s by more than a fifth
    named = {"joy for less than 80% of the window, at lag 2.4 s": 3}
    assert excluded == (named if lag_s else {})


def test_a_search_has_the_same_windows_at_every_lag():
    store = Traced()
    tables = lagged_windows(store, store.windows, CrossvalConfig(target="joy", lag_s="search"), {})
    assert tuple(tables) == LAGS_S and LAGS_S[0] == 0 and LAGS_S[-1] == 9.6
    assert {tuple(table.index) for table in tables.values()} == {tuple(range(10))}
    assert (tables[4.0]["joy"] - tables[0.0]["joy"]).to_numpy() == pytest.approx(4.0, abs=1e-6)


def test_other_labels_are_what_they_are():
    store = Traced()
    assert lagged_windows(store, store.windows, CrossvalConfig(target="valence"), {}) == {0.0: store.windows}


def test_what_no_window_has_is_refused():
    with pytest.raises(BadConfig, match=r"s.store: no window has a label of joy at lag 50 s"):
        lagged_windows(Traced(), Traced.windows, CrossvalConfig(target="joy", lag_s=50.0), {})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "joy", "task": "binary"}, "joy changes in time, so that a trial has no class"),
        ({"target": "joy", "rule": "3,7"}, "joy changes in time, so that a trial has no class"),
        ({"target": "valence", "lag_s": 1.0}, "lag_s is for labels that change in time, and valence does not"),
    ],
)
def test_settings_that_do_not_suit_a_trace_are_refused(settings, message):
    with pytest.raises(BadConfig, match=message):
        resolve(CrossvalConfig(**settings), Traced())
    assert resolve(CrossvalConfig(target="joy"), Traced()).task == "regression"


@pytest.mark.parametrize("lag_s", [-1.0, 61.0, float("nan"), "auto"])
def test_a_lag_is_a_number_of_seconds_or_a_search(lag_s):
    with pytest.raises(BadConfig, match="lag_s must be from 0 to 60 s, or search"):
        CrossvalConfig(lag_s=lag_s)

"""Agreement of two labels of one thing: against scikit-learn and Lin's formula, and which columns are of one thing."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from gbvnet.config import CrossvalConfig
from gbvnet.datasets.label_columns import LabelColumn
from gbvnet.evaluation.agreement import agreements
from gbvnet.evaluation.targets import targets_of
from gbvnet.experiments.run_folder import _agreements

LABELS = {
    "valence": LabelColumn("valence", (1, 9), label_set="felt"),
    "arousal": LabelColumn("arousal", (1, 9), label_set="felt"),
    "perceived_valence": LabelColumn("perceived_valence", (1, 9), label_set="perceived", of="valence"),
}
RNG = np.random.default_rng(0)
FELT = RNG.uniform(1, 9, 40)
PERCEIVED = np.clip(FELT + RNG.normal(size=40), 1, 9)


def agreement(target="valence", perceived=PERCEIVED, **settings):
    """Three windows a trial: a trial counts once."""
    table = pd.DataFrame({"recording": [f"r{k}" for k in range(40)], "subject": "s", "valence": FELT, "arousal": 5.0,
                          "perceived_valence": perceived})  # fmt: skip
    windows = table.loc[np.repeat(np.arange(40), 3)].reset_index(drop=True)
    store = SimpleNamespace(labels=LABELS, path="s")
    return list(agreements(store, windows, targets_of(CrossvalConfig(target=target, **settings), store)))


def test_of_numbers_it_is_lins_concordance():
    (one,) = agreement(task="regression")
    covariance = ((FELT - FELT.mean()) * (PERCEIVED - PERCEIVED.mean())).mean()
    by_hand = 2 * covariance / (FELT.var() + PERCEIVED.var() + (FELT.mean() - PERCEIVED.mean()) ** 2)
    assert (one.score, one.n, one.unit, one.other) == ("CCC", 40, "trials", "perceived_valence")
    assert one.value == pytest.approx(by_hand) and one.label_sets == ("felt", "perceived")


@pytest.mark.parametrize("rule", [">=5", "3,7", "median"])
def test_of_classes_it_is_cohens_kappa_by_the_same_rule(rule):
    (one,) = agreement(rule=rule)
    edges = {">=5": [5], "3,7": [3, 7]}
    a, b = (np.searchsorted(edges.get(rule, [np.median(x)]), x, side="left" if rule == "median" else "right")
            for x in (FELT, PERCEIVED))  # fmt: skip
    assert (one.score, one.rule) == ("Cohen's kappa", rule) and one.value == pytest.approx(cohen_kappa_score(a, b))


def test_both_directions_and_nothing_else():
    assert [(a.target, a.other) for a in agreement("perceived_valence")] == [("perceived_valence", "valence")]
    assert agreement("arousal") == []
    assert [a.target for a in agreement("both")] == ["valence"]


def test_what_does_not_vary_has_no_agreement():
    (one,) = agreement(task="regression", perceived=np.full(40, 5.0))
    assert np.isnan(one.value)
    (none,) = agreement(task="regression", perceived=np.full(40, np.nan))
    assert np.isnan(none.value) and none.n == 0


def test_the_lag_of_the_target_is_no_disagreement():
    """The windows of a plan have the target at its lag; the two labels are compared at none."""
    table = pd.DataFrame({"recording": [f"r{k}" for k in range(40)], "subject": "s", "valence": FELT,
                          "perceived_valence": PERCEIVED})  # fmt: skip
    store = SimpleNamespace(labels=LABELS, path="s", windows=table)
    targets = targets_of(CrossvalConfig(target="valence", task="regression"), store)
    lagged = table.assign(valence=np.roll(FELT, 7)).iloc[5:]
    ((one,),) = _agreements(store, SimpleNamespace(windows=lagged, targets={"valence": targets[0]})).values()
    (at_no_lag,) = agreements(store, table.iloc[5:], targets)
    assert one["value"] == pytest.approx(at_no_lag.value) and one["n"] == 35

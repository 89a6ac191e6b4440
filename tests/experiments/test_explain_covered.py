"""Covered with black, the patches that a system depends on make its predictions wrong (Minaee et al. 2021)."""

import json

import numpy as np
import pandas as pd
import pytest

from gbvnet.config import CrossvalConfig, ExplainConfig, TrainConfig
from gbvnet.errors import BadRun
from gbvnet.evaluation.plan import make_plan
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.explain import explain_run
from gbvnet.experiments.perturbations import PerturbedSource
from gbvnet.report.explanation_section import read_explanation
from gbvnet.report.report import write_report
from gbvnet.systems import system

from ..informative_store import MOUTH, SIDE, write_store

pytestmark = [pytest.mark.journey, pytest.mark.usefixtures("one_core")]
CONFIG = CrossvalConfig(
    system="minaee",
    modality="face",
    target="valence",
    folds=2,
    train=TrainConfig(epochs=20, batch_size=16, learning_rate=3e-3, device="cpu", select="last", augment=False),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "store", frames=1)


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "minaee"
    cross_validate(store, folder, CONFIG)
    explain_run(store, folder, ExplainConfig(grid=8, windows=200, cover="black"))
    return folder


def test_covering_the_mouth_makes_predictions_wrong_and_nothing_else_does(run):
    table = read_explanation(run).saliency.query("rated == 'all'")
    size = SIDE // 8
    rows, columns = (range(part.start // size, part.stop // size) for part in MOUTH)
    mouth = table["row"].isin(rows) & table["column"].isin(columns)
    assert table.loc[mouth, "turned_wrong"].max() == table["turned_wrong"].max() > 0
    assert table.loc[mouth, "turned_wrong"].mean() > 3 * table.loc[~mouth, "turned_wrong"].mean()


def test_a_patchs_share_is_that_of_a_count_by_hand(store, run):
    """Of the patch that turns the most predictions, by the models themselves."""
    table = read_explanation(run).saliency.query("rated == 'all'")
    worst = table.loc[table["turned_wrong"].idxmax()]
    size = SIDE // 8
    down, across = (slice(size * int(worst[name]), size * int(worst[name]) + size) for name in ("row", "column"))

    def black(rows, arrays):
        faces, ok, signals = arrays
        faces[:, :, down, across] = 0
        return faces, ok, signals

    plan, turned, n = make_plan(store, CONFIG), 0, 0
    used = json.loads((run / "explain" / "explain.json").read_text())["windows"]
    for fold in plan.folds:
        assert used[str(fold.number)] == [len(fold.test)] * 2  # all of them
        loaded = system("minaee").load(run / f"fold{fold.number:02d}" / "valence" / "model", CONFIG)
        y = plan.labels["valence"].loc[fold.test].to_numpy() == 1
        before, after = (loaded.predict_proba(s, fold.test) >= 0.5 for s in (store, PerturbedSource(store, black)))
        turned += int(((before == y) & (after != y)).sum())
        n += len(y)
    assert worst["windows"] == n
    assert worst["turned_wrong"] == pytest.approx(turned / n, abs=1e-5)


def test_a_report_says_the_colour_and_an_earlier_explanation_has_the_mean_colour(store, run, tmp_path):
    write_report([run], tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "each patch in turn is covered with black" in text
    with pytest.raises(BadRun, match="an explanation with cover = mean, found one with black"):
        explain_run(store, run, ExplainConfig(grid=8, windows=200))
    about = json.loads((run / "explain" / "explain.json").read_text())
    del about["settings"]["cover"]  # as earlier versions wrote it
    (run / "explain" / "explain.json").write_text(json.dumps(about))
    with pytest.raises(BadRun, match="an explanation with cover = black, found one with mean"):
        explain_run(store, run, ExplainConfig(grid=8, windows=200, cover="black"))
    explain_run(store, run, ExplainConfig(grid=8, windows=200))
    assert "turned_wrong" in pd.read_csv(run / "explain" / "saliency.csv")
    assert np.isfinite(pd.read_csv(run / "explain" / "saliency.csv")["turned_wrong"]).all()

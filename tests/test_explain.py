"""An explanation finds what was planted, on windows that the model was not trained on, and goes on where it stopped."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from gbvnet import explain as explain_module
from gbvnet.config import CrossvalConfig, ExplainConfig, ModelConfig, TrainConfig
from gbvnet.crossval import cross_validate
from gbvnet.errors import BadConfig, BadRun
from gbvnet.explain import Altered, draw, explain_run
from gbvnet.explained import read_explained
from gbvnet.predictions import read_run
from gbvnet.report import write_report

from .planted import write_store as write_planted
from .told import MOUTH, SIDE, TELLING, write_store

pytestmark = pytest.mark.journey
CONFIG = CrossvalConfig(
    target="valence",
    folds=2,
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=40, batch_size=32, device="cpu", select="last", corrupt=0.9),
)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("told") / "store", people=8)


@pytest.fixture(scope="module")
def run(told, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "facebio"
    cross_validate(told, folder, CONFIG)
    explain_run(told, folder)
    return folder


def test_the_run_learnt_something(run):
    table = read_run(run)
    assert ((table["p"] >= 0.5) == table["y"]).mean() > 0.7


def test_the_channels_that_tell_rank_first(run):
    channels = read_explained(run).channels
    for measure in ("auc_drop", "logit_change"):
        order = channels.groupby("channel")[measure].mean().sort_values(ascending=False).index
        assert set(order[:3]) == set(TELLING)


def test_the_mouth_lights_up(run):
    table = read_explained(run).saliency
    table = table[table["rated"] == "all"]
    size = SIDE // 8
    rows, columns = (range(part.start // size, part.stop // size) for part in MOUTH)
    best = table.sort_values("change", ascending=False).head(4)
    assert best["row"].isin(rows).all()
    assert best["column"].isin(columns).all()


def test_the_gate_moves_away_from_noise_and_accuracy_falls(run):
    """The gate of the signals, that is: the face's moves too little (docs/evidence.md) to be the same everywhere."""
    table = read_explained(run).robustness
    noisy = table[table["how"] == "noise"].groupby(["modality", "noise"]).mean(numeric_only=True)
    for modality in ("face", "signals"):
        scores = noisy.loc[modality, "auc"]
        assert scores.iloc[-1] < scores.iloc[0] - 0.05
    gate = noisy.loc["signals", "gate_bio"]
    assert stats.spearmanr(gate.index, gate).statistic < -0.8


def test_what_is_read_is_changed_and_the_store_is_not(told):
    def blank(rows, found):
        faces, ok, signals = found
        return faces, ok, signals * 0

    rows = np.array([3, 1])
    altered = Altered(told, blank)
    assert not altered.read(rows)[2].any()
    assert np.array_equal(altered.read(rows)[0], told.read(rows)[0])
    assert told.read(rows)[2].any()
    without = Altered(told, lambda rows, found: found, without="face")
    assert not without.windows["has_face"].any()
    assert told.windows["has_face"].all()
    assert not without.read(rows)[1].any()


def test_only_windows_that_were_not_trained_on_are_asked_about(told, run):
    table = read_run(run)
    for fold, (used, of) in read_explained(run).windows.items():
        tested = table[table["fold"] == int(fold)]
        assert (used, of) == (len(tested), len(tested))
    rows = np.arange(100)
    few = draw(rows, ExplainConfig(windows=10), 1)
    assert len(few) == 10
    assert np.array_equal(few, draw(rows, ExplainConfig(windows=10), 1))
    assert not np.array_equal(few, draw(rows, ExplainConfig(windows=10), 2))


def test_it_goes_on_where_it_stopped_and_ends_the_same(told, run, tmp_path, monkeypatch):
    again = tmp_path / "run"
    shutil.copytree(run, again)
    shutil.rmtree(again / "explain")
    asked = explain_module.saliency

    def interrupted(asking):
        raise KeyboardInterrupt

    monkeypatch.setattr(explain_module, "saliency", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explain_run(told, again)
    assert list((again / "explain/parts").iterdir())
    monkeypatch.setattr(explain_module, "saliency", asked)
    explain_run(told, again)
    for name in ("channels.csv", "saliency.csv", "robustness.csv", "face.png"):
        assert (again / "explain" / name).read_bytes() == (run / "explain" / name).read_bytes()
    assert not (again / "explain/parts").exists()
    with pytest.raises(BadRun, match="expected an explanation with windows = 9"):
        explain_run(told, again, ExplainConfig(windows=9))


def test_another_store_or_too_fine_a_grid_is_refused(told, run, tmp_path):
    with pytest.raises(BadRun, match="Give the run's own store"):
        explain_run(write_planted(tmp_path / "s"), run)
    with pytest.raises(BadConfig, match="grid must be at most the 32 pixels"):
        explain_run(told, run, ExplainConfig(grid=33))


def test_a_probe_without_a_gate_and_without_a_face_is_explained_too(tmp_path):
    store = write_planted(tmp_path / "s", faces=False)
    cross_validate(store, tmp_path / "run", replace(CONFIG, system="ridge", modality="bio"))
    explain_run(store, tmp_path / "run")
    found = read_explained(tmp_path / "run")
    assert found.saliency is None
    assert found.face is None
    assert found.robustness["gate_face"].isna().all()
    assert set(found.channels["channel"]) == {"Fz", "Cz", "Oz", "GSR1", "Resp"}


def test_the_report_shows_it_and_says_if_it_is_of_other_predictions(run, tmp_path):
    page = write_report([run], tmp_path / "a").path.with_suffix(".md").read_text()
    for name in ("channels", "saliency", "robustness", "gates_time", "gates_subjects"):
        assert f"_{name}.png" in page
    about = run / "explain/explain.json"
    held = about.read_text()
    about.write_text(json.dumps(json.loads(held) | {"predictions": "of others"}))
    try:
        page = write_report([run], tmp_path / "b").path.with_suffix(".md").read_text()
    finally:
        about.write_text(held)
    assert "What the model goes by is not shown" in page
    assert "_channels.png" not in page


def test_a_damaged_table_is_told(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run/explain/channels.csv").write_text("fold\n1\n")
    with pytest.raises(BadRun, match="channels"):
        read_explained(tmp_path / "run")

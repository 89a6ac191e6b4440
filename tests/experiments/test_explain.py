"""An explanation finds what was planted, on windows that the model was not trained on, and goes on where it stopped."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gbvnet.config import CrossvalConfig, ExplainConfig, ModelConfig, TrainConfig
from gbvnet.errors import BadConfig, BadRun
from gbvnet.evaluation.predictions import read_run
from gbvnet.experiments import explain as explain_module
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.explain import explain_run, sample_rows
from gbvnet.report.explanation_section import read_explanation
from gbvnet.report.report import write_report

from ..informative_store import MOUTH, SIDE, TELLING, write_store
from ..synthetic_store import write_store as write_planted

pytestmark = [pytest.mark.journey, pytest.mark.usefixtures("one_core")]
CONFIG = CrossvalConfig(
    target="valence",
    folds=2,
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=20, batch_size=32, device="cpu", select="last", corrupt=0.8),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "store", subjects=8, frames=1)


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "facebio"
    cross_validate(store, folder, CONFIG)
    explain_run(store, folder, ExplainConfig(grid=4))
    return folder


def test_the_run_learned_something(run):
    table = read_run(run)
    assert ((table["p"] >= 0.5) == table["y"]).mean() > 0.7


def test_the_channels_that_tell_rank_first(run):
    channels = read_explanation(run).channels
    for measure in ("auc_drop", "logit_change"):
        order = channels.groupby("channel")[measure].mean().sort_values(ascending=False).index
        assert set(order[:3]) == set(TELLING)


def test_the_mouth_lights_up_and_nothing_else(tmp_path):
    """Of a network that sees the face alone: one that sees signals too learns little of a face in so few epochs. With
    one seed in three it learns nothing at all in these epochs, and then there is nothing to explain."""
    store = write_store(tmp_path / "store", subjects=8, frames=1)
    train = replace(CONFIG.train, epochs=20, batch_size=16, augment=False, corrupt=0.0)
    for seed in range(6):
        run = tmp_path / f"run{seed}"
        cross_validate(store, run, replace(CONFIG, modality="face", train=train, seed=seed))
        if ((read_run(run)["p"] >= 0.5) == read_run(run)["y"]).groupby(read_run(run)["fold"]).mean().min() > 0.7:
            break
    else:
        raise AssertionError("no seed of six learned from the faces")
    explain_run(store, run, ExplainConfig(windows=64))
    explanation = read_explanation(run)
    assert explanation.channels is None
    table = explanation.saliency[explanation.saliency["rated"] == "all"].sort_values("drop", ascending=False)
    size = SIDE // 8
    rows, columns = (range(part.start // size, part.stop // size) for part in MOUTH)
    mouth = table["row"].isin(rows) & table["column"].isin(columns)
    assert mouth.sum() == 8
    assert mouth.head(6).all()
    assert table.loc[mouth, "drop"].mean() > 5 * table.loc[~mouth, "drop"].abs().mean()  # eyes move it to no good
    # The mean over all windows is that over high and low ones, weighted by how many there are.
    by = explanation.saliency[(explanation.saliency["row"] == 6) & (explanation.saliency["column"] == 3)].set_index(
        "rated"
    )
    parts = by.loc[["high", "low"]]
    assert by.loc["all", "drop"] == pytest.approx(np.average(parts["drop"], weights=parts["windows"]), rel=1e-4)


def test_the_gate_moves_away_from_noise_and_accuracy_falls(run):
    """The gate of the signals, that is: the face's moves too little (docs/evidence.md) to be the same everywhere."""
    table = read_explanation(run).robustness
    noisy = table[table["how"] == "noise"].groupby(["modality", "noise"]).mean(numeric_only=True)
    alone = table[table["how"] == "removed"].groupby("modality").mean(numeric_only=True)
    for modality in ("face", "signals"):
        scores = noisy.loc[modality]
        assert scores["auc"].iloc[-1] < scores["auc"].iloc[0] - 0.05
        # With one modality drowned, the other is left: half of the windows would be nothing at all.
        assert scores["accuracy"].iloc[-1] == pytest.approx(alone.loc[modality, "accuracy"], abs=0.15)
        assert 0.6 < alone.loc[modality, "accuracy"] < 0.9
    gate = noisy.loc["signals", "gate_bio"]
    assert stats.spearmanr(gate.index, gate).statistic < -0.8


def test_without_noise_and_at_no_noise_it_predicts_what_the_run_predicted(store, run):
    """The models, rows and labels are the run's own: at noise 0 accuracy and gates are those of its predictions."""
    table, robustness = read_run(run), read_explanation(run).robustness
    for fold, rows in table.groupby("fold"):
        none = robustness[(robustness["fold"] == fold) & (robustness["noise"] == 0)]
        assert list(none["modality"]) == ["face", "signals"]
        assert none["accuracy"].to_numpy() == pytest.approx(((rows["p"] >= 0.5) == rows["y"]).mean(), rel=1e-5)
        assert none["gate_face"].to_numpy() == pytest.approx(rows["gate_face"].mean(), rel=1e-4)
        assert none["gate_bio"].to_numpy() == pytest.approx(rows["gate_bio"].mean(), rel=1e-4)


def test_only_windows_that_were_not_trained_on_are_explained(store, run):
    table = read_run(run)
    for fold, (used, of) in read_explanation(run).windows.items():
        tested = table[table["fold"] == int(fold)]
        assert (used, of) == (len(tested), len(tested))
    rows = np.arange(100)
    few = sample_rows(rows, ExplainConfig(windows=10), 1)
    assert len(few) == 10
    assert np.array_equal(few, sample_rows(rows, ExplainConfig(windows=10), 1))
    assert not np.array_equal(few, sample_rows(rows, ExplainConfig(windows=10), 2))


def test_it_goes_on_where_it_stopped_and_ends_the_same(store, run, tmp_path, monkeypatch):
    whole, again, few = tmp_path / "whole", tmp_path / "run", ExplainConfig(windows=24, grid=2)
    for folder in (whole, again):
        shutil.copytree(run, folder)
        shutil.rmtree(folder / "explain")
    explain_run(store, whole, few)
    face_saliency = explain_module.face_saliency

    def interrupted(probe):
        raise KeyboardInterrupt

    monkeypatch.setattr(explain_module, "face_saliency", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explain_run(store, again, few)
    assert list((again / "explain/parts").iterdir())
    monkeypatch.setattr(explain_module, "face_saliency", face_saliency)
    progress = []
    explain_run(store, again, few, lambda done, total, doing: progress.append((done, total)))
    assert progress[0][0] == 1 + 9  # a question for each channel, and one before, were answered already
    assert progress[-1] == (2 * (10 + 5 + 12 + 9 + 8),) * 2
    for name in ("channels.csv", "saliency.csv", "robustness.csv", "gates.csv", "gate_controls.csv", "face.png"):
        assert (again / "explain" / name).read_bytes() == (whole / "explain" / name).read_bytes()
    assert not (again / "explain/parts").exists()
    with pytest.raises(BadRun, match="expected an explanation with windows = 9"):
        explain_run(store, again, ExplainConfig(windows=9))


def test_another_store_or_too_fine_a_grid_is_refused(store, run, tmp_path):
    with pytest.raises(BadRun, match="Give the run's own store"):
        explain_run(write_planted(tmp_path / "s"), run)
    with pytest.raises(BadConfig, match="grid must be at most the 32 pixels"):
        explain_run(store, run, ExplainConfig(grid=33))


def test_a_probe_without_a_gate_and_without_a_face_is_explained_too(tmp_path):
    store = write_planted(tmp_path / "s", faces=False)
    cross_validate(store, tmp_path / "run", replace(CONFIG, system="ridge", modality="bio"))
    explain_run(store, tmp_path / "run")
    explanation = read_explanation(tmp_path / "run")
    assert explanation.saliency is None
    assert explanation.face is None
    assert explanation.robustness["gate_face"].isna().all()
    assert set(explanation.channels["channel"]) == {"Fz", "Cz", "Oz", "GSR1", "Resp"}


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
    assert "The explanation is not shown" in page
    assert "_channels.png" not in page


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("channels.csv", b"fold\n1\n", "no target, channel"),
        ("channels.csv", b"\x00\xff", "one that does not read|no target"),
        ("saliency.csv", b"", "one that does not read"),
        ("saliency.csv", b"target,rated,row,column,windows,drop,change\n", "a row for each question, found none"),
        ("saliency.csv", b"target,rated,row,column,windows,drop,change\nvalence,all,,1,2,3,4\n", "rows without one"),
        ("robustness.csv", None, "no robustness.csv. Run `gbvnet explain` again: it goes on"),
        ("face.png", b"\x89PNG\r\n\x1a\nhalf", "a file that does not open"),
        ("explain.json", b"{", "a damaged file"),
        ("explain.json", b"[]", "a damaged file"),
        ("explain.json", b'{"files": [], "predictions": "x", "format": 2, "windows": {}}', "format 2"),
    ],
)
def test_what_is_damaged_is_store(run, tmp_path, name, content, message):
    shutil.copytree(run, tmp_path / "run")
    file = tmp_path / "run/explain" / name
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(BadRun, match=message):
        read_explanation(tmp_path / "run")


def test_numbers_that_are_words_are_store(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    file = tmp_path / "run/explain/channels.csv"
    pd.read_csv(file).assign(auc_drop="much").to_csv(file, index=False)
    with pytest.raises(BadRun, match="expected numbers in auc_drop"):
        read_explanation(tmp_path / "run")

"""`crossval --prune`: in each fold pruned by the training side alone and trained further, and named so in tables."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from gbvnet.cli.main import main
from gbvnet.config import CompareConfig, CrossvalConfig, FinalConfig, ModelConfig, TrainConfig, from_dict, to_dict
from gbvnet.errors import BadConfig, BadRun
from gbvnet.evaluation import predictions
from gbvnet.evaluation.plan import make_plan
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.reproduction.recipe import PlannedRun
from gbvnet.experiments.reproduction.runtime_estimate import measure, workload_of
from gbvnet.experiments.run_folder import config_digest
from gbvnet.experiments.train import honest_scores
from gbvnet.network import training
from gbvnet.network.checkpoint.checkpoint import load_model
from gbvnet.systems import gbvnet as system_module

from ..synthetic_store import write_store

CONFIG = CrossvalConfig(
    target="valence",
    modality="bio",
    protocol="subject",
    folds=2,
    prune=0.5,
    prune_epochs=2,
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=2, batch_size=16, device="cpu"),
)
WHOLE = replace(CONFIG, prune=1.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("pruned") / "store", faces=False)


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory, one_core):
    """A whole and a pruned run, and the rows by which each fold of the second was pruned."""
    folder, by_rows, patch = tmp_path_factory.mktemp("runs"), [], pytest.MonkeyPatch()
    prune = system_module.prune_network
    patch.setattr(system_module, "prune_network", lambda n, w, how: by_rows.append(w.rows) or prune(n, w, how))
    cross_validate(store, folder / "whole", WHOLE)
    assert not by_rows
    cross_validate(store, folder / "half", CONFIG)
    patch.undo()
    return folder, by_rows


@pytest.mark.journey
def test_each_fold_is_pruned_by_its_training_rows_alone(store, runs):
    folds = make_plan(store, CONFIG).folds
    assert [sorted(rows) for rows in runs[1]] == [sorted(fold.train) for fold in folds]


@pytest.mark.journey
def test_the_run_says_that_it_is_pruned(store, runs):
    folder, _ = runs
    settings = yaml.safe_load((folder / "half" / "config.yaml").read_text())
    assert (settings["prune"], settings["prune_by"], settings["prune_epochs"]) == (0.5, "grn", 2)
    table = predictions.read(folder / "half" / predictions.FILE)
    assert set(table["system"]) == {"gbvnet pruned to 0.5"}
    whole = predictions.read(folder / "whole" / predictions.FILE)
    assert not np.allclose(table["p"], whole["p"])
    fit = json.loads((folder / "half" / "fold01" / "valence" / "fit.json").read_text())
    assert fit["pruned"]["parameters_before"] > fit["pruned"]["parameters"] == fit["n_parameters"]
    assert fit["pruned"]["chosen_epoch"] in (1, 2)
    network, about = load_model(folder / "half" / "fold01" / "valence" / "model")
    assert network.config.widths.wide == (32,)
    assert about["pruned"]["keep"] == 0.5
    assert not list(folder.rglob("last.ckpt"))


@pytest.mark.journey
def test_a_report_names_a_pruned_run_even_alone(runs, capsys, tmp_path):
    assert main(["report", str(runs[0] / "half"), str(tmp_path / "alone")]) == 0
    assert "gbvnet pruned to 0.5" in (tmp_path / "alone" / "report.md").read_text()


@pytest.mark.journey
def test_a_finished_run_is_not_continued_without_pruning(store, runs):
    with pytest.raises(BadRun, match="prune"):
        cross_validate(store, runs[0] / "half", WHOLE)
    with pytest.raises(BadRun, match="prune"):
        cross_validate(store, runs[0] / "whole", CONFIG)


@pytest.mark.journey
def test_runs_without_pruning_are_as_versions_wrote_them_that_could_not_prune(runs):
    assert "prune" not in (runs[0] / "whole" / "config.yaml").read_text()
    assert not [name for name in to_dict(WHOLE) if name.startswith("prune")]
    assert from_dict(CrossvalConfig, to_dict(CONFIG)) == CONFIG
    assert config_digest(CrossvalConfig()) == "a235dace0f0f"  # of the version before
    assert config_digest(CrossvalConfig(prune=0.5)) != config_digest(CrossvalConfig())


@pytest.mark.journey
def test_a_fold_stopped_after_its_training_goes_on_with_pruning(store, runs, tmp_path, monkeypatch):
    """The whole network is then taken from its checkpoint, and the result is that of an undisturbed run."""
    fit, calls = training.fit_network, []

    def stopped(*args, label, **kwargs):
        if "pruned" not in label:
            return fit(*args, label=label, **kwargs)
        calls.append(label)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit_network", stopped)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(store, tmp_path / "run", CONFIG)
    monkeypatch.setattr(training, "fit_network", fit)
    cross_validate(store, tmp_path / "run", CONFIG)
    undisturbed, resumed = (predictions.read(run / predictions.FILE) for run in (runs[0] / "half", tmp_path / "run"))
    assert calls
    assert undisturbed.equals(resumed)


@pytest.mark.journey
def test_scores_of_a_pruned_run_do_not_go_on_the_card_of_a_whole_model(store, runs):
    config = FinalConfig(target="valence", modality="bio", model=CONFIG.model, train=CONFIG.train)
    assert len(honest_scores(store, config, [runs[0] / "whole"])) == 1
    with pytest.raises(BadRun, match=r"with the model's prune, found 0\.5 in the run"):
        honest_scores(store, config, [runs[0] / "half"])


@pytest.mark.parametrize("keep", [0.0, 1.5, -1.0])
def test_a_share_that_is_none_is_refused(keep):
    with pytest.raises(BadConfig, match="must be above 0 and at most 1"):
        replace(CONFIG, prune=keep)


def test_only_cross_validations_of_gbvnet_are_pruned():
    with pytest.raises(BadConfig, match="prune is of gbvnet alone"):
        replace(CONFIG, system="majority")
    for kind, remedy in ((CompareConfig, "gbvnet report"), (FinalConfig, "gbvnet model prune")):
        with pytest.raises(BadConfig, match=remedy):
            kind(prune=0.5)


@pytest.mark.journey
def test_an_estimate_measures_the_training_after_pruning(store, one_core):
    whole, half, untrained = (
        PlannedRun("run", config, "whole", "GBV-Net", store)
        for config in (WHOLE, CONFIG, replace(CONFIG, prune_epochs=0))
    )
    measured = {run.config.prune_epochs: measure(run, workload_of(run)) for run in (half, untrained)}
    assert measured[2].pruned_window_s > 0
    assert measured[0].pruned_window_s == 0
    assert measure(whole, workload_of(whole)).pruned_window_s == 0

"""All systems on the same folds: who takes part, what is resumed, what a report says of ranks and costs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.config import CompareConfig, ModelConfig, TrainConfig
from gbvnet.errors import BadConfig, BadRun
from gbvnet.evaluation.ranking import rank_systems
from gbvnet.experiments import compare as module
from gbvnet.experiments.compare import compare, plan_comparison
from gbvnet.report.comparison_section import describe_ranking
from gbvnet.store.feature_cache import FeatureCache
from gbvnet.systems import SYSTEMS
from gbvnet.testing import SyntheticStore, SyntheticWindows

from ..synthetic_store import write_store

QUICK = CompareConfig(
    systems=("ridge", "majority", "expression"),
    target="valence",
    folds=3,
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=1, batch_size=16, device="cpu"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return FeatureCache(write_store(tmp_path_factory.mktemp("planted") / "store", subjects=6, trials=4, windows=3))


@pytest.fixture(scope="module")
def done(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("done") / "compared"
    return folder, compare(store, folder, QUICK)


# Who takes part


@pytest.mark.journey
def test_all_systems_take_part_and_the_probe_with_each_seeing_what_it_was_made_for(store):
    entries, left_out = plan_comparison(store, replace(QUICK, systems=("all",)))
    names = {entry.config.system for entry in entries}
    assert names | set(left_out) == set(SYSTEMS)
    assert {"gbvnet-facebio", "gbvnet-facebio-shuffled", "expression-face"} <= {entry.name for entry in entries}
    for entry in entries:
        assert entry.config.folds == 3 and entry.config.train == QUICK.train
        assert (entry.config.shuffle_labels is not None) == entry.name.endswith("shuffled")


@pytest.mark.journey
def test_what_a_store_lacks_is_left_out_of_all_and_refused_by_name(tmp_path):
    blind = write_store(tmp_path / "s", faces=False, subjects=3, trials=4, windows=2)
    entries, left_out = plan_comparison(blind, replace(QUICK, systems=("all",)))
    assert "expression" in left_out and "prepared without" in left_out["expression"]
    assert {"gbvnet-bio", "ridge-bio"} <= {entry.name for entry in entries}  # what they can see instead
    with pytest.raises(BadConfig, match="expression has no input here: modality face needs faces"):
        plan_comparison(blind, replace(QUICK, systems=("expression",)))


@pytest.mark.journey
def test_what_does_not_scale_by_subject_is_left_out_of_all_and_refused_by_name(store):
    by_subject = replace(QUICK, train=replace(QUICK.train, normalise="subject"))
    entries, left_out = plan_comparison(store, replace(by_subject, systems=("all",)))
    assert {"gbvnet-facebio", "majority-facebio", "expression-face"} <= {entry.name for entry in entries}
    assert "does not scale signals by subject" in left_out["ridge"] and "algarni-like" in left_out
    with pytest.raises(BadConfig, match="ridge does not scale signals by subject"):
        plan_comparison(store, replace(by_subject, systems=("ridge",)))


@pytest.mark.journey
@pytest.mark.parametrize(
    ("systems", "message"),
    [
        (("rigde",), "no system rigde; did you mean ridge"),
        (("gbvnet:ear",), "gbvnet:ear should say one of facebio, face, .*, shuffled after the colon"),
        (("expression:bio",), "expression cannot see modality bio; give --modality face"),
    ],
)
def test_an_impossible_name_is_reported(store, systems, message):
    with pytest.raises(BadConfig, match=message):
        plan_comparison(store, replace(QUICK, systems=systems))


@pytest.mark.journey
def test_systems_that_would_test_other_windows_are_refused_before_anything_is_trained(tmp_path):
    store = write_store(tmp_path / "s", subjects=3, trials=4, windows=2, missing={(1, 1): "face"})
    other = replace(QUICK, systems=("ridge", "expression"), rows="any")
    message = r"ridge-facebio and expression-face cannot be compared: .* 24 and 22 windows, 2 of which .* --rows any"
    with pytest.raises(BadConfig, match=message):
        compare(store, tmp_path / "c", other)
    assert not (tmp_path / "c").exists()
    entries, _ = plan_comparison(store, replace(other, systems=("ridge:face", "expression")))
    assert len(entries) == 2


def test_settings_that_make_no_comparison_are_refused():
    with pytest.raises(BadConfig, match="joint trains both targets"):
        replace(QUICK, joint=True, target="both")
    with pytest.raises(BadConfig, match="names no system"):
        replace(QUICK, systems=())


# What comes out


@pytest.mark.journey
def test_every_system_is_tested_on_the_same_rows_of_the_same_folds(done):
    folder, _ = done
    tables = [pd.read_parquet(file) for file in sorted(folder.glob("runs/*/predictions.parquet"))]
    assert len(tables) == 3
    keys = ["recording", "window", "fold", "y"]
    first = tables[0].sort_values(keys)[keys].reset_index(drop=True)
    assert all(t.sort_values(keys)[keys].reset_index(drop=True).equals(first) for t in tables)


@pytest.mark.journey
def test_scores_ranks_and_costs_are_in_the_report(done):
    folder, report = done
    assert report.errors == [] and len(report.results) == 3
    text = (folder / "report" / "report.md").read_text()
    assert "Every system on the same windows" in text and "### Costs" in text
    assert (folder / "report" / "figures" / "ranks-valence.png").exists()
    costs = pd.read_csv(folder / "report" / "tables" / "costs.csv").set_index("run")
    assert set(costs.index) == {"ridge-facebio", "majority-facebio", "expression-face"}
    assert (costs[["fit_s", "windows_per_s"]] > 0).all(axis=None)
    assert costs.loc["majority-facebio", "parameters"] == 1
    pairs = pd.read_csv(folder / "report" / "tables" / "ranking-valence.csv")
    first = report.results[0]
    assert set(pairs["dataset"]) == {first.key("dataset")} and set(pairs["protocol"]) == {"trial"}
    assert set(pairs["stamps"].fillna("")) == {"; ".join(first.scores.stamps)}
    by_subject = {
        r.key("system"): r.scores.subjects.set_index("subject")["accuracy"] for r in report.results
    }  # of the predictions alone
    row = pairs[(pairs["a"].str.startswith("ridge")) & (pairs["b"].str.startswith("majority"))].iloc[0]
    assert row["difference"] == pytest.approx((by_subject["ridge"] - by_subject["majority"]).mean())


@pytest.mark.journey
def test_systems_are_compared_on_windows_in_memory_too(tmp_path):
    memory = SyntheticStore(SyntheticWindows(trials=4, windows=2))
    report = compare(memory, tmp_path / "compared", replace(QUICK, systems=("ridge", "majority")))
    costs = json.loads((tmp_path / "compared" / "compare.json").read_text())["costs"]
    assert report.errors == [] and min(cost["windows_per_s"] for cost in costs.values()) > 0


@pytest.mark.journey
def test_a_second_call_trains_nothing_and_more_systems_may_join(done, store, tmp_path, monkeypatch):
    folder = shutil.copytree(done[0], tmp_path / "compared")
    before = {f: f.stat().st_mtime_ns for f in folder.glob("runs/*/predictions.parquet")}
    report = compare(store, folder, replace(QUICK, systems=("ridge", "subject-majority")))
    assert {r.key("system") for r in report.results} == {"ridge", "subject-majority"}
    assert {f: f.stat().st_mtime_ns for f in before} == before
    with pytest.raises(BadRun, match="expected a comparison with folds = 4, found one with 3"):
        compare(store, folder, replace(QUICK, folds=4))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/x").touch()
    with pytest.raises(BadRun, match="an empty folder or a comparison"):
        compare(store, tmp_path / "other", QUICK)


@pytest.mark.journey
def test_a_comparison_that_was_stopped_goes_on_and_ends_with_the_same_predictions(done, store, tmp_path, monkeypatch):
    real, calls = module.cross_validate, []

    def stopped(store, run, config, jobs, progress):
        calls.append(run.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(store, run, config, jobs, progress)

    monkeypatch.setattr(module, "cross_validate", stopped)
    with pytest.raises(KeyboardInterrupt):
        compare(store, tmp_path / "cut", QUICK)
    compare(store, tmp_path / "cut", QUICK)
    for name in ("ridge-facebio", "majority-facebio", "expression-face"):
        one, other = (folder / "runs" / name / "predictions.parquet" for folder in (tmp_path / "cut", done[0]))
        assert pd.read_parquet(one).equals(pd.read_parquet(other))


@pytest.mark.journey
@pytest.mark.usefixtures("one_core")
def test_a_killed_comparison_goes_on_and_ends_with_the_same_predictions(store, tmp_path):
    words = ["compare", str(store.path)]
    options = ["--systems", "majority,gbvnet:bio,ridge", "--target", "valence", "--folds", "3", "--model.variant",
               "micro", "--train.epochs", "6", "--train.batch_size", "16", "--train.device", "cpu"]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gbvnet", *words, str(tmp_path / "killed"), *options], env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while not list(tmp_path.glob("killed/runs/gbvnet-bio/fold02/valence/*")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed/runs/ridge-bio").exists()
    for name in ("killed", "whole"):
        assert main([*words, str(tmp_path / name), *options]) == 0
    for name in ("majority-facebio", "gbvnet-bio", "ridge-facebio"):
        one, other = (tmp_path / of / "runs" / name / "predictions.parquet" for of in ("killed", "whole"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.journey
def test_one_system_that_cannot_be_trained_stops_no_other(store, tmp_path, monkeypatch):
    real = module.cross_validate

    def fails(store, run, config, jobs, progress):
        if config.system == "ridge":
            raise BadConfig("ridge cannot be had today")
        return real(store, run, config, jobs, progress)

    monkeypatch.setattr(module, "cross_validate", fails)
    report = compare(store, tmp_path / "c", QUICK)
    assert {r.key("system") for r in report.results} == {"majority", "expression"}
    assert list(map(str, report.errors)) == ["ridge cannot be had today"]
    assert "ridge-facebio: ridge cannot be had today" in (tmp_path / "c/report/report.md").read_text()
    assert json.loads((tmp_path / "c/compare.json").read_text())["left_out"] == {
        "ridge-facebio": "ridge cannot be had today"
    }


def test_ranks_are_described_and_with_few_subjects_show_no_difference():
    steps = np.linspace(0, 0.01, 14)
    ranking = rank_systems(pd.DataFrame({"one": 0.9 + steps, "two": 0.7 + 2 * steps, "three": 0.5 + 3 * steps}))
    assert describe_ranking(ranking).startswith(
        "one ranks first and differs significantly from all others. 3 of 3 pairs differ (p after Holm at most 0.05; "
        "Friedman's test of all: p ="
    )
    assert describe_ranking(rank_systems(few_scores())).startswith(
        "With 3 subjects no difference between any two of 2 systems can be shown: of a pair the scores of at most 3 "
        "subjects differ, no data could then give a p below 0.25"
    )


def test_equal_systems_have_no_difference_to_test():
    text = describe_ranking(rank_systems(pd.DataFrame({"one": [0.5], "two": [0.5], "three": [0.5]})))
    assert text == "All 3 systems have the same score in each of 1 subject: no difference to test."


def test_a_modality_that_the_store_lacks_is_refused_with_advice_for_a_comparison(tmp_path):
    signals_only = write_store(tmp_path / "store", faces=False)
    with pytest.raises(BadConfig, match="Named gbvnet, without a colon, it uses what the store has") as error:
        plan_comparison(signals_only, CompareConfig(systems=("gbvnet:face",)))
    assert "--modality" not in str(error.value)


def test_a_difference_that_is_not_shown_is_never_called_equality():
    steps = np.linspace(0.7, 0.8, 14)
    swing = np.where(np.arange(14) % 2, 0.2, -0.21)
    text = describe_ranking(rank_systems(pd.DataFrame({"one": steps, "two": steps - 0.01, "three": steps + swing})))
    assert re.match(r"one ranks first\. No difference from three \(p = 0\.\d+\) was shown, which does not", text)
    assert "1 of 3 pairs differ" in text
    pair = describe_ranking(rank_systems(pd.DataFrame({"one": steps, "two": steps - 0.01})))
    assert pair.startswith("one ranks first and differs significantly from the other. 1 of 1 pairs differ")
    assert "Friedman" not in pair  # of two systems there is none


def few_scores():
    return pd.DataFrame({"one": [0.9, 0.8, 0.7], "two": [0.5, 0.4, 0.3]})


@pytest.mark.journey
def test_from_the_command_line(store, tmp_path, capsys):
    words = ["--systems", "majority,ridge:bio", "--target", "valence", "--folds", "3"]
    assert main(["compare", str(store.path), str(tmp_path / "c"), *words]) == 0
    shown = capsys.readouterr().out
    assert "ridge bio" in shown and "majority facebio" in shown and "report.html" in shown

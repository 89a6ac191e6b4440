"""The report of a tuned run: what each fold chose, how much the choices differ, and both scores."""

import json
import re

import pandas as pd
import pytest

from gbvnet.evaluation.chosen_settings import ChosenSettings, write_chosen
from gbvnet.report import document, report, results
from gbvnet.report.tuning_section import tuning_blocks

from .. import fake_runs

SPACE = {
    "model.variant": ["micro", "small"],
    "train.batch_size": {"low": 16, "high": 64, "step": 16},
    "train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
}
SEARCH = {"space": SPACE, "trials": 20, "tuning_folds": 3}
SMALL = {"subjects": 6, "trials": 9, "windows": 3, "folds": 3}
VALUES = [
    {"model.variant": "micro", "train.batch_size": 16, "train.learning_rate": 0.001},
    {"model.variant": "small", "train.batch_size": 64, "train.learning_rate": 0.00012345},
    {"model.variant": "micro", "train.batch_size": 32, "train.learning_rate": 0.01},
]


def tuned_run(folder, values=tuple(VALUES), **columns):
    run = fake_runs.write_run(folder, [fake_runs.table(**SMALL, **columns)], tuning=SEARCH)
    for fold, of_fold in enumerate(values, 1):
        note = "" if of_fold else "the labels do not suffice"
        score = 0.6 + fold / 100 if of_fold else None
        one = ChosenSettings(fold, ["valence"], of_fold, "balanced_accuracy", score, [score], 7, 20, fold, 2, note)
        part = run / f"tuning/fold{fold:02d}/valence"
        part.mkdir(parents=True)
        write_chosen(part, one)
    return run


def blocks_of(run, folder):
    (result,) = results.read_results([run], (), 100)[0]
    (folder / "figures").mkdir()
    return result, list(tuning_blocks(result, "01", folder))


@pytest.mark.journey
def test_the_table_has_the_choice_and_both_scores_of_each_fold(tmp_path):
    result, (text, by_fold, variation, picture) = blocks_of(tuned_run(tmp_path / "run"), tmp_path)
    assert "20 candidates" in text.text and "3 tuning folds of protocol trial" in text.text
    assert list(by_fold.columns) == [
        "Fold", *SPACE, "Balanced accuracy, tuning folds", "Balanced accuracy, test", "Candidates", "Failed",
        "Repeated",
    ]  # fmt: skip
    test = result.scores.folds["balanced_accuracy"].tolist()
    assert by_fold.rows[1] == ["2", "small", "64", "0.000123", "0.620", f"{test[1]:.3f}", "20", "2", "2"]
    assert "too high" in by_fold.caption
    assert [row[1:] for row in variation.rows] == [
        ["micro, small", "micro in 2, small in 1"],
        ["16 to 64, steps of 16", "32 (16 to 64)"],
        ["0.0001 to 0.01, log", "0.001 (0.000123 to 0.01)"],
    ]
    assert (tmp_path / picture.path).exists()


@pytest.mark.journey
def test_a_fold_without_a_choice_shows_the_settings_that_were_given(tmp_path):
    _, (_, by_fold, variation, _) = blocks_of(tuned_run(tmp_path / "run", [{}, *VALUES[1:]]), tmp_path)
    assert by_fold.rows[0][1:5] == ["micro (as given)", "none (as given)", "none (as given)", "–"]
    assert "As given: the labels do not suffice." in by_fold.caption
    assert variation.rows[0][2].count(" in 1") == 2


@pytest.mark.journey
def test_without_any_choice_there_is_no_picture(tmp_path):
    _, blocks = blocks_of(tuned_run(tmp_path / "run", [{}, {}, {}]), tmp_path)
    assert [type(block) for block in blocks] == [document.Text, document.Table, document.Table]
    assert {row[2] for row in blocks[2].rows} == {"–"}


@pytest.mark.journey
def test_leaky_searches_are_marked(tmp_path):
    _, (text, by_fold, *_) = blocks_of(tuned_run(tmp_path / "run", protocol="window"), tmp_path)
    assert text.text.endswith("protocol window, LEAKY.") and by_fold.caption.endswith("LEAKY")
    assert by_fold.leaky_rows == {0, 1, 2}


@pytest.mark.journey
def test_a_run_that_was_not_tuned_has_no_such_section(tmp_path):
    _, blocks = blocks_of(fake_runs.write_run(tmp_path / "run", [fake_runs.table(**SMALL)]), tmp_path)
    assert blocks == []


@pytest.mark.journey
@pytest.mark.parametrize("content", ["{", json.dumps({"fold": "one"}), None])
def test_what_is_damaged_costs_only_the_section(tmp_path, content):
    run = tuned_run(tmp_path / "run")
    for file in run.glob("tuning/*/*/chosen.json"):
        file.unlink() if content is None else file.write_text(content)
    _, (text,) = blocks_of(run, tmp_path)
    assert text.kind == "warning" and text.text.startswith("No settings of the folds: ")


@pytest.mark.journey
def test_the_report_has_the_section_and_a_table_for_other_software(tmp_path):
    runs = [tuned_run(tmp_path / "tuned"), fake_runs.write_run(tmp_path / "given", [fake_runs.table(**SMALL, seed=1)])]
    written = report.write_report(runs, tmp_path / "report")
    assert not written.errors
    text = (tmp_path / "report/report.md").read_text()
    assert text.count("Chosen settings of each fold") == 1
    assert re.search(r"\| tuning.trials \| (20 \| –|– \| 20) \|", text)
    table = pd.read_csv(tmp_path / "report/tables/tuning.csv")
    assert table["run"].tolist() == ["tuned"] * 3 and table["train.batch_size"].tolist() == [16, 64, 32]
    assert table["train.learning_rate"].tolist() == [0.001, 0.00012345, 0.01]  # every digit


@pytest.mark.journey
def test_a_tuned_result_says_so_beside_an_untuned_one(tmp_path):
    folders = [
        fake_runs.write_run(tmp_path / "plain", [fake_runs.table(**SMALL)]),
        fake_runs.write_run(tmp_path / "tuned", [fake_runs.table(**SMALL, config="t" * 12)], tuning=SEARCH),
    ]
    assert [r.label for r in results.read_results(folders)[0]] == ["facebio", "facebio, tuned"]


@pytest.mark.journey
def test_a_result_whose_run_scaled_signals_by_tested_windows_says_so(tmp_path):
    by_subject, space = {"normalise": "subject"}, SEARCH | {"space": {"train.normalise": ["train", "subject"]}}
    folders = [
        fake_runs.write_run(tmp_path / "plain", [fake_runs.table(**SMALL)]),
        fake_runs.write_run(tmp_path / "by_subject", [fake_runs.table(**SMALL, seed=1)], train=by_subject),
        fake_runs.write_run(tmp_path / "face", [fake_runs.table(**SMALL, modality="face")], train=by_subject),
        fake_runs.write_run(tmp_path / "tuned", [fake_runs.table(**SMALL, seed=2)], tuning=space),
    ]
    labels = {r.run.name: r.label for r in results.read_results(folders)[0]}
    assert labels["by_subject"] == "facebio, transductive" and labels["tuned"] == "facebio, tuned, transductive"
    assert labels["plain"] == "facebio" and labels["face"] == "face"

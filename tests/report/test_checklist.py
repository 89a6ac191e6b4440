"""The checklist beside a report: every line is true of the runs, and what they do not say is left to the authors."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

import gbvnet
from gbvnet.report import report, results
from gbvnet.report.audit_results import Audit
from gbvnet.report.audit_section import assess
from gbvnet.report.checklist import ITEMS, TO_FILL_IN, checklist
from gbvnet.report.checklist_facts import Reported
from gbvnet.report.outside_results import read_all_results
from gbvnet.report.seed_groups import average_seeds

from .. import fake_runs
from .test_tuning_section import tuned_run

GUIDE = Path(gbvnet.__file__).parents[1] / "docs" / "guides" / "writing_up.md"
SPLITS = {"protocol": "trial", "scope": "pooled", "seed": 0, "unit": "trial", "stratified": False, "fixed": None}


def run(root, name, *, settings=None, **columns):
    return fake_runs.write_run(root / name, [fake_runs.table(**columns)], **(settings or {}))


def text_of(*paths, audits=()):
    """The checklist of some runs, with few permutations, unless there are files of other programs."""
    outside = [path for path in paths if path.is_file()]
    read = read_all_results(paths)[0] if outside else results.read_results(paths, (), 200)[0]
    shown, _ = average_seeds(read, 200)
    return checklist(Reported(shown, results.compare(shown)[0], audits))


def item(text, title):
    """The lines of one item, each as (filled in, text)."""
    part = text[text.index(f". {title}\n") :].split("\n## ")[0]
    return [(mark == "x", line) for mark, line in re.findall(r"^- \[(.)\] (.+)$", part, flags=re.M)]


def filled(text, title):
    return [line for is_filled, line in item(text, title) if is_filled]


def blanks(text, title):
    return [line for is_filled, line in item(text, title) if not is_filled]


def splits_with(folds):
    sides = ("train", "inner", "test")
    return json.dumps(SPLITS | {"folds": [{"fold": k, "name": ""} | dict(zip(sides, f, strict=True))
                                          for k, f in enumerate(folds, 1)]})  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Six runs of synthetic data, three of them LEAKY, and the folders they are in."""
    return fake_runs.study(tmp_path_factory.mktemp("study"), "deap (synthetic data)", targets=("valence",))


@pytest.fixture(scope="module")
def text(study):
    return text_of(*study)


@pytest.mark.journey
def test_it_has_every_item_in_the_order_of_the_guide(text):
    titles = [each.title for each in ITEMS]
    assert re.findall(r"^## \d+\. (.+)$", text, flags=re.M) == titles
    if GUIDE.exists():
        assert re.findall(r"^### \d+\. (.+)$", GUIDE.read_text(), flags=re.M) == titles


@pytest.mark.journey
def test_each_line_names_its_file_or_is_for_the_authors(text):
    lines = re.findall(r"^- .+$", text, flags=re.M)
    files = r"config\.yaml|environment\.json|splits\.json|predictions\.parquet|tables/\w+\.csv"
    for line in lines:
        assert line.startswith(f"- [ ] {TO_FILL_IN}") or re.fullmatch(rf"- \[x\] .+ \(.*({files})\)", line), line
    assert len(lines) > 40
    assert all(blanks(text, each.title)[-len(each.to_fill) :] or not each.to_fill for each in ITEMS)


@pytest.mark.journey
def test_scores_are_those_of_the_predictions(text, study):
    rows = pd.read_parquet(study[3] / "predictions.parquet")
    accuracy = ((rows["p"] >= 0.5) == (rows["y"] == 1)).mean()
    (line,) = [each for each in filled(text, "Scores and intervals") if "`trial_facebio`" in each]
    assert f"accuracy of all windows {100 * accuracy:.1f} %" in line
    assert f"{(rows['y'] == 1).sum()} of {len(rows)} windows are high" in filled(text, "Labels")[0]
    assert f"6 subjects, 60 trials, {len(rows)} tested windows" in filled(text, "Subjects, trials and windows")[0]


@pytest.mark.journey
def test_what_agrees_stands_once_and_what_differs_names_its_runs(text):
    by_protocol = filled(text, "Protocol")
    assert len(by_protocol) == 2
    assert "no trial is in training and in test" in by_protocol[0]
    assert "`trial_facebio`, `trial_face`, `trial_bio`" in by_protocol[0]
    assert "LEAKY" in by_protocol[1] and "`window_facebio`" in by_protocol[1]
    assert len(filled(text, "Labels")) == 1 and "trial_facebio" not in filled(text, "Labels")[0]


@pytest.mark.journey
def test_synthetic_and_leaky_stand_before_any_number(text):
    beginning = text[: text.index("## 1.")]
    assert "synthetic data, and say nothing about real subjects" in beginning
    assert "LEAKY" in beginning
    for title in ("Protocol", "Leaks", "Chance and baselines"):
        assert sum("LEAKY" in line for line in filled(text, title)) in (1, 3)


@pytest.mark.journey
def test_real_data_without_a_leak_has_neither_warning(tmp_path):
    of_real = text_of(run(tmp_path, "a"))
    assert "synthetic" not in of_real and "LEAKY" not in of_real


@pytest.mark.journey
def test_comparisons_have_their_answers_with_holm(text, study):
    compared, _ = results.compare(results.read_results(study, (), 200)[0])
    lines = filled(text, "Comparisons")
    assert lines[0].startswith(f"{len(compared)} comparisons")
    for one, line in zip(compared, lines[1:], strict=True):
        assert line.startswith(one.question) and f"after Holm {one.p_holm:.3f}" in line
    assert len(filled(text_of(study[3]), "Comparisons")) == 1


@pytest.mark.journey
def test_a_run_without_its_split_file_asks_for_the_check(text):
    assert "there is no readable splits.json – `trial_facebio`" in blanks(text, "Leaks")[0]


@pytest.mark.journey
@pytest.mark.parametrize(
    ("folds", "assessment"),
    [
        ([(["s01/1"], ["s01/2"], ["s01/3"]), (["s01/3"], ["s01/2"], ["s01/1"])], "No leak: no trial is on both sides"),
        ([(["s01/1"], ["s01/2"], ["s01/1"])], "LEAK: windows of one trial are trained and tested on"),
        ([(["s01/1"], ["s01/3"], ["s01/3"])], "LEAK: the validation side is the test side"),
    ],
)
def test_the_split_is_checked_again_whatever_the_settings_are(tmp_path, folds, assessment):
    folder = run(tmp_path, "a")
    (folder / "splits.json").write_text(splits_with(folds))
    assert assessment in filled(text_of(folder), "Leaks")[0]


@pytest.mark.journey
def test_a_damaged_split_file_is_no_check(tmp_path):
    folder = run(tmp_path, "a")
    (folder / "splits.json").write_text("{")
    assert filled(text_of(folder), "Leaks") == []


@pytest.mark.journey
def test_an_audit_is_quoted_and_its_absence_is_a_blank(tmp_path, text):
    assert "gbvnet audit STORE DIR" in blanks(text, "Leaks")[-1]
    folders = [run(tmp_path, name, protocol=protocol, skill=skill) for name, protocol, skill in (
        ("window", "window", 4), ("trial", "trial", 0.1), ("shuffled", "window", 3.9))]  # fmt: skip
    read = {r.run.name: r for r in results.read_results(folders, (), 200)[0]}
    parts = {"ladder/window": read["window"], "ladder/trial": read["trial"], "shuffled/window-1": read["shuffled"]}
    audit = Audit(tmp_path, {"store": {}, "runs": []}, parts)
    with_audit = text_of(*folders, audits=[audit])
    assert blanks(with_audit, "Leaks") == [line for line in blanks(with_audit, "Leaks") if "splits.json" in line]
    assert f"audit: {' '.join(assess(audit))} (audit.json" in filled(with_audit, "Leaks")[-1]


@pytest.mark.journey
@pytest.mark.parametrize(
    ("train", "title", "words"),
    [
        ({"select": "test"}, "Choice of settings and epochs", "by the tested windows, LEAKY"),
        ({"select": "last", "epochs": 7}, "Choice of settings and epochs", "the last one; at most 7"),
        ({}, "Choice of settings and epochs", "lowest loss on a share 0.2 of the training subjects; at most 50"),
        ({"normalise": "subject"}, "Inputs and preprocessing", "transductive"),
        ({}, "Inputs and preprocessing", "by the training windows"),
    ],
)
def test_what_used_tested_windows_is_stated(tmp_path, train, title, words):
    folder = run(tmp_path, "a", protocol="subject", settings={"train": train})
    assert any(words in line for line in filled(text_of(folder), title))


@pytest.mark.journey
def test_settings_that_were_searched_for_have_the_search(tmp_path):
    (given,) = filled(text_of(run(tmp_path, "given")), "Choice of settings and epochs")[1:]
    assert "given, the same in all folds" in given
    tuned = text_of(tuned_run(tmp_path / "tuned"))
    (searched,) = filled(tuned, "Choice of settings and epochs")[1:]
    assert "searched for in each fold within its training side, 20 candidates by balanced accuracy" in searched.lower()
    assert "tables/tuning.csv" in searched


@pytest.mark.journey
def test_a_search_that_cannot_be_read_is_a_blank(tmp_path):
    folder = fake_runs.write_run(tmp_path / "a", [fake_runs.table()], tuning={"trials": 20})
    assert "how settings were chosen" in blanks(text_of(folder), "Choice of settings and epochs")[0]


@pytest.mark.journey
def test_the_spread_over_seeds_is_filled_in_where_there_are_several(tmp_path, text):
    assert filled(text, "Seeds") == ["seed 0 alone (tables/results.csv)"]
    assert "spread over seeds" in blanks(text, "Seeds")[0]
    folders = [fake_runs.write_run(tmp_path / f"seed-{k}", [fake_runs.table(seed=k).assign(seed=k)], seed=k)
               for k in (0, 1, 2)]  # fmt: skip
    of_three = text_of(*folders)
    tables = [pd.read_parquet(folder / "predictions.parquet") for folder in folders]
    each = [((t["p"] >= 0.5) == (t["y"] == 1)).mean() for t in tables]
    mean, sd = 100 * pd.Series(each).mean(), 100 * pd.Series(each).std()
    assert f"seeds 0, 1, 2, accuracy {mean:.1f} ± {sd:.1f} over them" in filled(of_three, "Seeds")[0]
    assert blanks(of_three, "Seeds") == []


@pytest.mark.journey
def test_what_the_file_of_another_program_does_not_say_is_a_blank(tmp_path):
    folder, file = run(tmp_path, "run"), tmp_path / "theirs.csv"
    fake_runs.table(seed=5)[["recording", "window", "fold", "p"]].to_csv(file, index=False)
    of_both = text_of(folder, file)
    for title in ("Inputs and preprocessing", "Choice of settings and epochs", "Software and hardware"):
        assert any("`theirs.csv`" in line for line in blanks(of_both, title)), title
    assert any("what happened before the split is not known" in line for line in filled(of_both, "Leaks"))
    assert any("sha256" in line for line in filled(of_both, "Files and availability"))


@pytest.mark.journey
@pytest.mark.parametrize(
    ("make", "shares"),
    [
        (fake_runs.class_table, r"windows: 0 \d+, 1 \d+, 2 \d+"),
        (fake_runs.rating_table, r"ratings \d\.\d\d ± \d\.\d"),
    ],
)
def test_other_tasks_have_their_own_words(tmp_path, make, shares):
    of_task = text_of(fake_runs.write_run(tmp_path / "a", [make()], task="x"))
    assert re.search(shares, filled(of_task, "Labels")[0])
    assert ("CCC of all windows" in of_task) == (make is fake_runs.rating_table)


@pytest.mark.journey
def test_a_text_of_a_file_stays_in_its_line(tmp_path):
    folder = run(tmp_path, "a")
    environment = json.loads((folder / "environment.json").read_text())
    environment["findings"] = ["first\n- [x] all is well (config.yaml)"]
    (folder / "environment.json").write_text(json.dumps(environment))
    lines = filled(text_of(folder), "Subjects, trials and windows")
    assert any(line.startswith("warnings: first - [x] all is well") for line in lines)


@pytest.mark.journey
def test_many_results_are_cut_with_their_number(tmp_path):
    folders = [run(tmp_path, f"run{k:02d}", seed=k, subjects=2, trials=4, windows=1, folds=2, system=f"s{k:02d}")
               for k in range(32)]  # fmt: skip
    lines = filled(text_of(*folders), "Scores and intervals")
    assert len(lines) == 31
    assert lines[-1].startswith("2 more in tables/results.csv")


@pytest.mark.journey
def test_a_report_has_the_checklist_and_the_same_runs_give_the_same(tmp_path):
    folder = run(tmp_path, "a", subjects=3, trials=6, windows=2, folds=3)
    one, two = (report.write_report([folder], tmp_path / name).path.parent / "checklist.md" for name in ("1", "2"))
    assert one.read_bytes() == two.read_bytes()
    assert one.read_text().startswith("# Checklist for a paper on these results\n")

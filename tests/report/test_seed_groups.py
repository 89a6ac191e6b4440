"""Reports of several seeds: one result and one question for each group, both spreads, and the single seeds."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gbvnet.errors import BadRun
from gbvnet.experiments.reproduction.paper_tables import accuracy_table_blocks
from gbvnet.report import report, summary
from gbvnet.report.audit_results import read_audit
from gbvnet.report.comparison_section import ranking_blocks
from gbvnet.report.document import render_markdown
from gbvnet.report.results import compare, read_results
from gbvnet.report.seed_folders import runs_of_seeds
from gbvnet.report.seed_groups import average_seeds
from gbvnet.report.seed_section import SMALLER

from .. import fake_runs

N = 200


def exact(accuracies, *, seed=0, **columns):
    """Predictions of ten trials a subject, of which this share is right, by subject."""
    table = fake_runs.table(subjects=len(accuracies), trials=10, windows=1, **columns)
    right = table["trial"].astype(int).to_numpy() <= 10 * np.repeat(accuracies, 10) + 1e-9
    return table.assign(p=np.where(right == (table["y"] == 1), 0.9, 0.1), seed=seed)


def write_seeds(root, name, by_seed, **columns):
    """A run folder for each seed, RUN/seed-<k>."""
    modality = {"modality": columns.get("modality", "facebio")}
    return [
        fake_runs.write_run(root / name / f"seed-{seed}", [exact(of, seed=seed, **columns)], seed=seed, **modality)
        for seed, of in by_seed.items()
    ]


FACE = {
    0: [0.6, 0.5, 0.7, 0.6, 0.8, 0.5, 0.6],
    1: [0.8, 0.7, 0.7, 0.8, 0.9, 0.7, 0.8],
    2: [0.7, 0.6, 0.7, 0.7, 0.7, 0.6, 0.7],
}
BIO = {
    0: [0.6, 0.6, 0.6, 0.7, 0.8, 0.6, 0.5],
    1: [0.6, 0.7, 0.6, 0.7, 0.6, 0.8, 0.6],
    2: [0.6, 0.6, 0.6, 0.7, 0.8, 0.6, 0.7],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("seeds")
    return [*write_seeds(root, "face", FACE, modality="face"), *write_seeds(root, "bio", BIO, modality="bio")]


@pytest.fixture(scope="module")
def grouped(folders):
    results, notes = average_seeds(read_results(folders, (), N)[0], N)
    assert notes == []
    return results


@pytest.fixture(scope="module")
def written(folders, tmp_path_factory):
    return report.write_report(folders, tmp_path_factory.mktemp("out") / "report")


# Which results are one


@pytest.mark.journey
def test_results_that_differ_by_seed_alone_are_one_with_the_single_ones_as_members(grouped):
    assert [(r.label, r.run.name, r.seeds) for r in grouped] == [("face", "face", "0, 1, 2"), ("bio", "bio", "0, 1, 2")]
    assert [m.label for m in grouped[0].members] == ["face (seed 0)", "face (seed 1)", "face (seed 2)"]
    assert grouped[0].run.config["seed"] == [0, 1, 2]


@pytest.mark.journey
def test_runs_given_one_by_one_are_a_group_too(tmp_path):
    folders = [fake_runs.write_run(tmp_path / name, [exact(FACE[k], seed=k)], seed=k) for k, name in enumerate("xyz")]
    (result,), _ = average_seeds(read_results(folders, (), N)[0], N)
    assert result.seeds == "0, 1, 2" and result.run.name == "x, y, z"


@pytest.mark.journey
def test_another_setting_or_store_is_another_group(tmp_path):
    folders = [
        fake_runs.write_run(tmp_path / "a", [exact(FACE[0], seed=0)], seed=0),
        fake_runs.write_run(tmp_path / "b", [exact(FACE[1], seed=1)], seed=1, folds=7),
        fake_runs.write_run(tmp_path / "c", [exact(FACE[2], seed=2)], seed=2, digest="e" * 64),
    ]
    read = read_results(folders, (), N)[0]
    results, notes = average_seeds(read, N)
    assert results == read and notes == []


@pytest.mark.journey
def test_memory_is_no_setting_that_tells_results_from_each_other(tmp_path):
    folders = [
        fake_runs.write_run(tmp_path / f"{k}", [exact(FACE[k], seed=k)], seed=k, train={"memory_gib": float(k + 1)})
        for k in (0, 1)
    ]
    assert len(average_seeds(read_results(folders, (), N)[0], N)[0]) == 1


@pytest.mark.journey
def test_a_seed_that_comes_twice_is_not_averaged_and_the_report_says_so(tmp_path):
    given = (("a", 0, 0), ("b", 1, 1), ("c", 2, 1))
    folders = [fake_runs.write_run(tmp_path / name, [exact(FACE[k], seed=s)], seed=s) for name, k, s in given]
    results, notes = average_seeds(read_results(folders, (), N)[0], N)
    assert len(results) == 3 and notes == [
        "Not averaged over seeds, as seed 1 was given twice (b and c): a, b, c (valence)."
    ]
    report.write_report(folders, tmp_path / "report")
    assert notes[0] in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.journey
def test_without_several_seeds_nothing_changes(tmp_path):
    folders = fake_runs.study(tmp_path / "study", targets=("valence",))
    read = read_results(folders, (), N)[0]
    results, notes = average_seeds(read, N)
    assert all(a is b for a, b in zip(results, read, strict=True)) and notes == []
    written = report.write_report(folders, tmp_path / "report")
    text = written.path.read_text()
    assert "over seeds" not in text and "Spread" not in text
    tables = {file.name: pd.read_csv(file) for file in (tmp_path / "report" / "tables").iterdir()}
    assert set(tables) == {"results.csv", "folds.csv", "subjects.csv", "comparisons.csv"}
    assert not any("seeds" in column for table in tables.values() for column in table)


# What is compared


@pytest.mark.journey
def test_tests_are_over_subjects_on_seed_means_and_one_for_each_pair(grouped):
    (comparison,), refused = compare(grouped)
    means = {name: pd.DataFrame(of).mean(axis=1) for name, of in (("face", FACE), ("bio", BIO))}
    differences = (means["face"] - means["bio"]).round(12)
    assert refused == []
    assert comparison.paired.difference == pytest.approx(differences.mean())
    exact_p = stats.wilcoxon(differences[differences != 0], method=stats.PermutationMethod(n_resamples=2**7)).pvalue
    assert comparison.paired.p == pytest.approx(exact_p) and comparison.p_holm == comparison.paired.p
    by_seed = [np.mean(FACE[s]) - np.mean(BIO[s]) for s in FACE]
    assert comparison.seeds == pytest.approx((np.mean(by_seed), np.std(by_seed, ddof=1), 3, 0))


@pytest.mark.journey
def test_a_difference_smaller_than_the_spread_over_seeds_is_called_so(grouped, written):
    (comparison,), _ = compare(grouped)
    assert 0 < abs(comparison.seeds.mean) < comparison.seeds.sd  # planted: 0.038 against 0.068
    text = (written.path.parent / "report.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith("| face differs from bio?"))
    assert f"{SMALLER} (3 seeds)" in row
    assert f"The difference is {SMALLER} of: face and bio (trial)." in written.summary
    table = pd.read_csv(written.path.parent / "tables" / "comparisons.csv").iloc[0]
    assert table["seeds"] == 3 and bool(table["smaller_than_seed_spread"])
    assert table["sd_over_seeds"] == pytest.approx(comparison.seeds.sd)
    assert "|mean of d| < SD of d over seeds" in text  # the glossary


@pytest.mark.journey
def test_a_difference_that_is_the_same_at_every_seed_is_not_smaller(tmp_path):
    folders = write_seeds(tmp_path, "face", FACE, modality="face")
    less = {seed: [a - 0.1 for a in of] for seed, of in FACE.items()}
    folders += write_seeds(tmp_path, "bio", less, modality="bio")
    (comparison,), _ = compare(average_seeds(read_results(folders, (), N)[0], N)[0])
    assert comparison.seeds == pytest.approx((0.1, 0, 3, 0), abs=1e-9) and not comparison.seeds.smaller_than_spread


@pytest.mark.journey
def test_of_unequal_seeds_those_that_both_have_are_compared(tmp_path):
    folders = write_seeds(tmp_path, "face", FACE, modality="face")
    folders += write_seeds(tmp_path, "bio", {s: BIO[s] for s in (1, 2)}, modality="bio")
    folders += write_seeds(tmp_path, "eeg", {9: BIO[0]}, modality="eeg")
    comparisons, refused = compare(average_seeds(read_results(folders, (), N)[0], N)[0])
    (comparison,) = comparisons
    assert comparison.seeds.n == 2
    assert comparison.paired.difference == pytest.approx(np.mean([np.subtract(FACE[s], BIO[s]) for s in (1, 2)]))
    assert any("the seed differs (0, 1, 2, 9)" in line for line in refused)


@pytest.mark.journey
def test_systems_without_a_seed_in_common_are_shown_without_ranks(tmp_path):
    tables = {s: exact(FACE[0][:5], seed=s, protocol="subject+stimulus") for s in (0, 1)}
    tables[1] = tables[1][tables[1]["trial"] > "03"].assign(system="zhu")
    folders = [fake_runs.write_run(tmp_path / f"{s}", [table], seed=s) for s, table in tables.items()]
    results, _ = average_seeds(read_results(folders, (), N)[0], N)
    (tmp_path / "tables").mkdir()
    text = render_markdown(list(ranking_blocks(results, tmp_path, "valence")))
    assert "No ranks: the systems have no seed in common." in text and "| zhu |" in text


@pytest.mark.journey
def test_results_of_one_system_that_could_not_be_averaged_are_not_ranked(tmp_path):
    tables = [exact(FACE[s], seed=s) for s in (0, 1)]
    tables[1] = tables[1][tables[1]["trial"] > "03"]
    folders = [fake_runs.write_run(tmp_path / f"{s}", [table], seed=s) for s, table in enumerate(tables)]
    results, notes = average_seeds(read_results(folders, (), N)[0], N)
    assert len(results) == 2 and "windows are tested at one seed only" in notes[0]
    (tmp_path / "tables").mkdir()
    text = render_markdown(list(ranking_blocks(results, tmp_path, "valence")))
    assert "No ranks: the results of gbvnet · facebio at seeds 0; 1 could not be averaged" in text


def write_audit(root, tables):
    """An audit's folder of two seeds. tables : role/name -> the predictions of each seed."""
    runs = [dict(zip(("role", "name"), title.split("/"), strict=True)) | {"seeds": [0, 1]} for title in tables]
    root.mkdir()
    about = {"format": 1, "store": {}, "runs": runs, "config": {"seed": 0}}
    (root / "audit.json").write_text(json.dumps(about))
    for title, of_seeds in tables.items():
        for seed, table in enumerate(of_seeds):
            fake_runs.write_run(root / ("seed-1" if seed else "") / title, [table], seed=seed)
    return root


@pytest.mark.journey
def test_an_audit_shows_means_where_seeds_test_other_trials(tmp_path):
    leaky = [exact(FACE[s], seed=s, protocol="window") for s in (0, 1)]
    honest = [exact(BIO[s], seed=s, protocol="subject+stimulus") for s in (0, 1)]
    honest = [honest[0][honest[0]["trial"] <= "06"], honest[1][honest[1]["trial"] > "03"]]
    tables = {"ladder/window": leaky, "ladder/subject+stimulus": honest}
    tables["shuffled/window-1"] = [table.assign(system="gbvnet on shuffled labels") for table in leaky]
    for which in ("majority", "subject-majority"):
        for protocol, rows in (("window", leaky), ("subject+stimulus", honest)):
            tables[f"majority/{which}-{protocol}"] = [table.assign(system=which, p=0.6) for table in rows]
    audit = read_audit(write_audit(tmp_path / "a", tables))
    of_both = audit.by_protocol["subject+stimulus"]
    assert of_both.seeds == "0, 1" and len(audit.inflations) == 1 and audit.inflations[0].seeds.n == 2
    report.write_report([audit], tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Under protocol subject+stimulus each seed tests other trials." in text
    assert "21 of 70 are tested at all 2 seeds" in text  # 7 subjects, trials 4 to 6


@pytest.mark.journey
def test_an_audit_whose_seeds_cannot_be_averaged_is_refused_not_shown_by_its_first_seed(tmp_path):
    tables = [exact(FACE[s], seed=s, protocol="window") for s in (0, 1)]
    folder = write_audit(tmp_path / "a", {"ladder/window": [tables[0], tables[1].iloc[3:]]})
    with pytest.raises(BadRun, match=r"results of its seeds that can be averaged, found .*3 windows are tested at one"):
        read_audit(folder)


@pytest.mark.journey
def test_a_table_of_the_paper_has_a_row_for_each_seed_that_could_not_be_averaged(tmp_path):
    folders = [fake_runs.write_run(tmp_path / f"{s}", [exact(FACE[s], seed=s)], seed=s) for s in (0, 1)]
    (tmp_path / "tables").mkdir()
    run = SimpleNamespace(role="whole", label="GBV-Net", config=SimpleNamespace(recipe="r", modality="facebio"))
    planned = [(result, run) for result in read_results(folders, (), N)[0]]
    text = render_markdown(list(accuracy_table_blocks("Table 4", "deap", planned, tmp_path)))
    assert "| Facebio (seed 0) |" in text and "| Facebio (seed 1) |" in text


# What is shown


@pytest.mark.journey
def test_the_report_shows_both_spreads_and_every_seed(written):
    text = (written.path.parent / "report.md").read_text()
    section = text.split("## Spread over seeds and over subjects")[1].split("\n## ")[0]
    of_seeds, of_subjects = np.mean(list(FACE.values()), axis=1), np.mean(list(FACE.values()), axis=0)
    assert f"{100 * of_seeds.mean():.1f} ± {100 * of_seeds.std(ddof=1):.1f}" in section
    assert f"{100 * of_subjects.mean():.1f} ± {100 * of_subjects.std(ddof=1):.1f}" in section
    assert section.count("(seed ") == 6
    tables = {file.name: pd.read_csv(file) for file in (written.path.parent / "tables").iterdir()}
    assert sorted(tables["results.csv"]["seed"]) == [0, 0, 1, 1, 2, 2]
    means = tables["seed_means.csv"].set_index("run").loc["face"]
    assert means["seeds"] == "0, 1, 2" and means["window_accuracy"] == pytest.approx(of_seeds.mean())
    assert means["window_accuracy_sd_over_seeds"] == pytest.approx(of_seeds.std(ddof=1))
    assert len(tables["seed_mean_subjects.csv"]) == 14


@pytest.mark.journey
def test_every_column_on_seeds_names_the_function_that_computes_it(written):
    glossary = (written.path.parent / "report.md").read_text().split("## Glossary")[1]
    for column in ("SD over seeds", "SD of the difference over seeds", "Beside the seeds"):
        assert f"| {column} | evaluation.seed_means." in glossary


@pytest.mark.journey
def test_the_terminal_shows_mean_and_sd_over_seeds(grouped):
    text = summary.terminal_table(grouped, 140)
    of_seeds = 100 * np.mean(list(FACE.values()), axis=1)
    assert "mean ± SD over 3 seeds" in text
    assert f"{of_seeds.mean():.1f} ± {of_seeds.std(ddof=1):.1f}" in text


@pytest.mark.journey
@pytest.mark.parametrize("make", [fake_runs.class_table, fake_runs.rating_table])
def test_reports_of_other_tasks_average_seeds(tmp_path, make):
    folders = []
    for n, m in enumerate(("face", "bio")):
        tables = {k: make(seed=10 * k + n, modality=m).assign(seed=k) for k in (0, 1)}
        folders += [fake_runs.write_run(tmp_path / m / f"seed-{k}", [t], seed=k, task=None) for k, t in tables.items()]
    written = report.write_report(folders, tmp_path / "report")
    assert len(written.results) == 2 and all(len(r.members) == 2 for r in written.results)
    assert "SD over seeds" in written.path.read_text()


# Folders


@pytest.mark.journey
def test_a_groups_folder_stands_for_its_seeds_and_those_that_are_missing_are_named(tmp_path):
    write_seeds(tmp_path, "five", {0: FACE[0], 1: FACE[1]})
    (tmp_path / "five" / "seeds.json").write_text('{"config": {"seed": 0}, "seeds": 3}')
    assert [f.name for f in runs_of_seeds(tmp_path / "five")] == ["seed-0", "seed-1", "seed-2"]
    written = report.write_report([tmp_path / "five"], tmp_path / "report")
    assert [(r.run.name, r.seeds) for r in written.results] == [("five", "0, 1")]
    assert len(written.errors) == 1 and "seed-2" in str(written.errors[0])


@pytest.mark.parametrize(
    "text", ["[", "{}", '{"config": {"seed": 0}, "seeds": 0}', '{"config": {"seed": "x"}, "seeds": 2}']
)
def test_a_damaged_record_of_seeds_is_reported_with_what_to_do(tmp_path, text):
    (tmp_path / "seeds.json").write_text(text)
    with pytest.raises(BadRun, match=r"seeds.json: expected .*, found .*cannot be read .*Delete this file"):
        runs_of_seeds(tmp_path)

"""Reports of synthetic predictions: true of the numbers, stamped, whole, and refused where they should be."""

import csv
import importlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from gbvnet.errors import BadInput, BadRun
from gbvnet.evaluation import predictions
from gbvnet.report import csv_tables, figures, formatting, glossary, report, results, results_section, summary
from gbvnet.report import document as page

from .. import fake_runs


def read(*folders, n_bad=0):
    runs, errors = results.read_results(folders)
    assert len(errors) == n_bad
    return runs


def run(root, name, *, skill=1.0, seed=0, settings=None, **columns):
    table = fake_runs.table(skill=skill, seed=seed, **columns)
    return fake_runs.write_run(root / name, [table], **(settings or {}))


class Page(HTMLParser):
    """What a browser would fetch, whether tags close, and all text."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text):
        super().__init__()
        self.fetched, self.open, self.text, self.tags = [], [], "", set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.fetched += [v for k, v in attributes if k in ("src", "href") and not v.startswith(("data:", "#"))]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A report of eight runs: the study of synthetic data, 6 subjects; another method; one with a one-class fold."""
    root = tmp_path_factory.mktemp("report")
    folders = fake_runs.study(root, "deap (synthetic data)", targets=("valence",))
    folders.append(run(root, "eumpy", skill=0.2, seed=9, system="eumpy", dataset="deap (synthetic data)"))
    folders.append(
        run(root, "one_class", seed=8, protocol="subject", one_class_fold=True, dataset="deap (synthetic data)")
    )
    return report.write_report([*folders, root / "absent"], root / "out")


@pytest.fixture(scope="module")
def six(tmp_path_factory):
    """The study's six results on valence, 6 subjects, scored once for all tests that only look at them."""
    return read(*fake_runs.study(tmp_path_factory.mktemp("six"), targets=("valence",)))


# --- the report as a whole ---


@pytest.mark.journey
def test_the_html_needs_no_other_file_and_its_tags_close(whole):
    parsed = Page(whole.path.read_text())
    assert parsed.fetched == []
    assert parsed.open == []
    assert "script" not in parsed.tags
    assert "@import" not in whole.path.read_text()
    assert "url(" not in whole.path.read_text()


@pytest.mark.journey
def test_a_report_folder_holds_html_markdown_tables_and_figures(whole):
    folder = whole.path.parent
    assert {p.name for p in folder.iterdir()} == report.CONTENTS
    assert {p.name for p in (folder / "tables").iterdir()} == {
        "results.csv", "folds.csv", "subjects.csv", "comparisons.csv",
    }  # fmt: skip
    links = re.findall(r"\]\((figures/[^)]+)\)", (folder / "report.md").read_text())
    assert sorted(links) == sorted(f"figures/{p.name}" for p in (folder / "figures").iterdir())
    assert whole.path.read_text().count("<img ") == len(links)


@pytest.mark.journey
def test_leaky_and_synthetic_are_marked_in_every_table_that_shows_a_score(whole):
    text = whole.path.read_text()
    for row in re.findall(r"<tr[ >].*?</tr>", text, flags=re.S):
        if re.search(r"<td>window\b", row):
            assert "LEAKY" in row
            assert "leaky-row" in row or '<th scope="row">protocol</th>' in row
    markdown = (whole.path.parent / "report.md").read_text()
    leaky_rows = [line for line in markdown.splitlines() if re.search(r"\| window\b", line)]
    assert len(leaky_rows) >= 6
    assert all("LEAKY" in line for line in leaky_rows)
    for name in ("results", "folds", "subjects"):
        table = pd.read_csv(whole.path.parent / "tables" / f"{name}.csv")
        assert (table["leaky"] == (table["protocol"] == "window")).all()
        assert table["dataset"].str.contains("synthetic data").all()
    shown = text[text.index("</nav>") :]
    assert shown.index("synthetic data") < shown.index(">Summary<")


@pytest.mark.journey
def test_an_unusable_run_is_named_and_the_others_go_on(whole):
    assert len(whole.errors) == 1
    assert isinstance(whole.errors[0], BadRun)
    assert "absent" in whole.path.read_text()
    assert "no such folder" in Page(whole.path.read_text()).text
    assert len(whole.results) == 8


@pytest.mark.journey
def test_a_one_class_fold_is_reported_and_no_error(whole):
    text = Page(whole.path.read_text()).text
    assert "1 of 5 test folds have one class only" in text


@pytest.mark.journey
def test_published_figures_are_separate_and_marked(whole):
    text = Page(whole.path.read_text()).text
    section = text[text.rindex("As published, other protocol\n") : text.rindex("Data, classes and what was left out")]
    assert "nothing in this table can be compared with them" in section
    for value in ("94.68", "90.22", "62.70", "80.30"):
        assert text.count(value) == section.count(value) == 1
    assert "95.93" not in text  # arousal was not run
    assert "97.48" not in text  # nor was MAHNOB-HCI


@pytest.mark.journey
def test_csv_numbers_can_be_made_again_from_the_predictions_alone(whole):
    table = pd.read_csv(whole.path.parent / "tables" / "results.csv").set_index("run")
    for name in ("trial_facebio", "window_bio"):
        rows = predictions.read_run(whole.path.parents[1] / name)
        right = (rows["p"] >= 0.5) == (rows["y"] == 1)
        assert table.loc[name, "window_accuracy"] == pytest.approx(right.mean())
        assert table.loc[name, "folds_accuracy_mean"] == pytest.approx(right.groupby(rows["fold"]).mean().mean())
        assert table.loc[name, "majority_window"] == pytest.approx(((rows["prior"] >= 0.5) == (rows["y"] == 1)).mean())
        assert table.loc[name, "subjects_accuracy_sd"] == pytest.approx(right.groupby(rows["subject"]).mean().std())


@pytest.mark.journey
def test_no_table_row_is_longer_or_shorter_than_its_head(whole):
    for lines in re.findall(r"(?:^\|.*\n)+", (whole.path.parent / "report.md").read_text(), flags=re.M):
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in lines.splitlines()}
        assert len(widths) == 1, lines
    for table in re.findall(r"<table>.*?</table>", whole.path.read_text(), flags=re.S):
        assert (
            len({len(re.findall(r"<t[hd][ >]", row)) for row in re.findall(r"<tr[ >].*?</tr>", table, flags=re.S)}) == 1
        )


@pytest.mark.journey
def test_the_same_runs_give_the_same_report(tmp_path):
    folder = run(tmp_path, "a", subjects=3, trials=6, windows=2, folds=3)
    first = report.write_report([folder], tmp_path / "one").path.parent
    second = report.write_report([folder, folder], tmp_path / "two").path.parent
    for path in sorted(p for p in first.rglob("*") if p.is_file()):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path


# --- where it is written ---


@pytest.mark.journey
def test_an_earlier_report_is_replaced_and_anything_else_is_left_alone(tmp_path):
    folder = run(tmp_path, "a", subjects=3, trials=6, windows=2, folds=3)
    report.write_report([folder], tmp_path / "out")
    (tmp_path / "out" / "figures" / "stale.png").write_bytes(b"")
    report.write_report([folder], tmp_path / "out")
    assert not (tmp_path / "out" / "figures" / "stale.png").exists()
    (tmp_path / "out" / "thesis.docx").write_text("five years")
    with pytest.raises(BadInput, match=r"an earlier report, found a folder with thesis\.docx in it"):
        report.write_report([folder], tmp_path / "out")
    assert (tmp_path / "out" / "thesis.docx").read_text() == "five years"
    with pytest.raises(BadInput, match="found a folder with config"):
        report.write_report([folder], folder)


@pytest.mark.journey
def test_an_interrupted_report_leaves_the_old_one(tmp_path, monkeypatch):
    folder = run(tmp_path, "a", subjects=3, trials=6, windows=2, folds=3)
    report.write_report([folder], tmp_path / "out")
    before = (tmp_path / "out" / "report.html").read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(report, "render_markdown", interrupted)
        with pytest.raises(KeyboardInterrupt):
            report.write_report([folder], tmp_path / "out")
    assert (tmp_path / "out" / "report.html").read_bytes() == before
    report.write_report([folder], tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "out"]


# --- reading runs ---


def test_without_one_good_run_there_is_no_report(tmp_path):
    with pytest.raises(BadRun, match=r"absent: expected the run folder .*found no such folder"):
        report.write_report([tmp_path / "absent"], tmp_path / "out")
    with pytest.raises(BadRun, match=r"at least one finished run, found .*a: .*b: "):
        report.write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.yaml", None, r"config\.yaml: expected a file that every finished run has, found no such file"),
        ("environment.json", "{", r"environment\.json: expected settings by name, found a file that does not read"),
        ("environment.json", "[1]", r"environment\.json: expected settings by name, found list"),
        (
            "environment.json",
            '{"store": [1]}',
            r"environment\.json: expected settings by name under store, found \[1\]",
        ),
        ("environment.json", "[" * 50_000, r"environment\.json: expected settings by name, found .* nested too deep"),
        ("config.yaml", "a: !!int ''", r"config\.yaml: expected settings by name, found .*a tag whose value"),
        ("environment.json", '{"format": 2}', r"environment\.json: expected run format 1, found format 2\. .*newer"),
        ("environment.json", '{"format": "x"}', r"environment\.json: expected run format 1, found format 'x'"),
    ],
)
def test_a_run_copied_in_part_is_refused(tmp_path, name, content, message):
    folder = run(tmp_path, "a")
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    with pytest.raises(BadRun, match=message):
        results.read_results([folder])


@pytest.mark.journey
def test_damaged_learning_curves_cost_only_the_curves(tmp_path):
    folder = run(tmp_path, "a", subjects=3, trials=6, windows=2, folds=3)
    (folder / "fold02" / "valence" / "history.csv").write_text("epoch,train_loss\n1,0.5\n")
    written = report.write_report([folder], tmp_path / "out")
    assert "No learning curves: " in written.path.read_text()
    assert "a table without train_accuracy, inner_loss, inner_accuracy" in written.path.read_text()


@pytest.mark.journey
def test_a_system_without_epochs_has_no_curves_and_no_complaint(tmp_path):
    folder = run(tmp_path, "a", system="eumpy", subjects=3, trials=6, windows=2, folds=3)
    for path in folder.glob("fold*/*/history.csv"):
        path.unlink()
    written = report.write_report([folder], tmp_path / "out")
    names = {p.name.rsplit("_", 1)[1] for p in (written.path.parent / "figures").iterdir() if "_" in p.name}
    assert names == {"confusion.png", "subjects.png"}  # nor gates
    assert "learning curves" not in Page(written.path.read_text()).text.lower()


@pytest.mark.journey
def test_synthetic_is_known_from_the_store_too(tmp_path):
    folder = run(tmp_path, "a")
    environment = json.loads((folder / "environment.json").read_text())
    environment["store"]["synthetic"] = True
    (folder / "environment.json").write_text(json.dumps(environment))
    assert read(folder)[0].synthetic


@pytest.mark.journey
def test_honest_protocols_come_first_and_labels_are_never_alike(tmp_path):
    runs = read(
        run(tmp_path, "leaky", protocol="window"), run(tmp_path, "subject", protocol="subject"),
        run(tmp_path, "seed1", seed=3), run(tmp_path, "face", modality="face"),
        run(tmp_path, "concat", config="ffff"), run(tmp_path, "gate"),
    )  # fmt: skip
    assert [r.key("protocol") for r in runs] == ["trial"] * 4 + ["subject", "window"]
    labels = [r.label for r in runs if r.key("protocol") == "trial"]
    assert labels == ["facebio (concat)", "facebio (gate)", "facebio (seed1)", "face"]


# --- comparison ---


@pytest.mark.journey
def test_which_results_are_compared_is_fixed_and_on_the_same_rows(tmp_path):
    folders = fake_runs.study(tmp_path, targets=("valence",))
    folders.append(run(tmp_path, "eumpy", skill=0.0, seed=9, system="eumpy"))
    comparisons, refused = results.compare(read(*folders))
    assert refused == []
    assert {(c.kind, c.question) for c in comparisons} == {
        ("fusion", "gbvnet facebio above gbvnet face? (trial)"),
        ("fusion", "gbvnet facebio above gbvnet bio? (trial)"),
        ("other", "gbvnet face differs from gbvnet bio? (trial)"),
        ("system", "gbvnet facebio above eumpy facebio? (trial)"),
        ("other", "gbvnet face differs from eumpy facebio? (trial)"),
        ("other", "gbvnet bio differs from eumpy facebio? (trial)"),
        ("leak", "gbvnet facebio: LEAKY protocol window above trial?"),
        ("leak", "gbvnet face: LEAKY protocol window above trial?"),
        ("leak", "gbvnet bio: LEAKY protocol window above trial?"),
    }
    leaks = [c for c in comparisons if c.kind == "leak"]
    assert [c.paired.p for c in leaks] == [1 / 64] * 3  # all six subjects, three times
    assert [c.p_holm for c in leaks] == [3 / 64] * 3
    assert {c.conclusion for c in leaks} == {"yes"}


@pytest.mark.journey
def test_the_same_predictions_again_count_once(tmp_path, caplog):
    face, bio = run(tmp_path, "face", modality="face"), run(tmp_path, "bio", seed=1, modality="bio")
    copy = shutil.copytree(face, tmp_path / "copy")
    once, again = read(face, bio), read(face, bio, copy, face)
    assert [r.run.name for r in again] == [r.run.name for r in once]
    assert "copy: the predictions of face again; they count once" in caplog.text
    assert [r.run.name for r in results.read_results([face], once)[0]] == [r.run.name for r in once]


@pytest.mark.journey
def test_with_four_subjects_nothing_can_be_concluded(tmp_path):
    comparisons, _ = results.compare(read(*fake_runs.study(tmp_path, subjects=4, targets=("valence",))))
    assert {c.conclusion for c in comparisons} == {"too few subjects to tell"}
    assert all(c.paired.smallest_p >= 1 / 16 for c in comparisons)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("settings", "columns", "why"),
    [
        ({"digest": "e" * 64}, {}, r"the store differs \(dddddddddddd, eeeeeeeeeeee\)"),
        ({"rule": ">5"}, {}, r"the rule of the classes differs \(>5, >=5\)"),
        ({}, {"windows": 4}, r"they do not test the same rows \(60 windows are in one of them only\)"),
        ({}, {"labels": 7}, r"they do not test the same rows \(\d+ windows have another label\)"),
    ],
)
def test_what_differs_in_its_rows_is_not_compared_and_reported(tmp_path, settings, columns, why):
    runs = read(run(tmp_path, "a"), run(tmp_path, "b", modality="face", settings=settings, **columns))
    comparisons, refused = results.compare(runs)
    assert comparisons == []
    assert len(refused) == 1
    assert re.fullmatch(f"Not compared, as {why}: a and b.", refused[0])


# --- the summary in words ---


def described(*folders):
    return summary.describe_results(read(*folders))


@pytest.mark.journey
def test_the_summary_is_true_of_the_numbers(six):
    text = summary.describe_results(six)
    of = {(r.label, r.key("protocol")): r.scores for r in six}
    for (label, _), scores in of.items():
        assert f"{label} {100 * scores.window['accuracy']:.1f} %" in text
    gap = 100 * (of["facebio", "trial"].window["accuracy"] - of["face", "trial"].window["accuracy"])
    assert f"facebio is {gap:.1f} points above the better of its parts, face" in text
    assert "Under the LEAKY protocol window" in text
    assert "synthetic" not in text


@pytest.mark.journey
def test_the_summary_does_not_praise_a_fusion_that_loses(tmp_path):
    text = described(
        run(tmp_path, "a", skill=0.2, seed=1), run(tmp_path, "b", skill=2.5, seed=2, modality="face"),
        run(tmp_path, "c", skill=0.5, seed=3, modality="bio"),
    )  # fmt: skip
    assert re.search(
        r"facebio is \d+\.\d points below the better of its parts, face, so fusion did not improve accuracy", text
    )
    assert "LEAKY" not in text


@pytest.mark.journey
def test_the_summary_reports_when_nothing_was_learned(tmp_path):
    text = described(run(tmp_path, "a", skill=0.0, seed=4))
    assert "Within chance, so no evidence of learning: facebio." in text
    assert "Above chance" not in text
    assert "better of its parts" not in text


@pytest.mark.journey
def test_the_summary_does_not_call_a_leak_higher_when_it_is_lower(tmp_path):
    text = described(run(tmp_path, "a", skill=4.0, seed=1), run(tmp_path, "b", skill=0.0, seed=2, protocol="window"))
    assert re.search(
        r"LEAKY protocol window the scores are facebio \d+\.\d %, -\d+\.\d points against protocol trial", text
    )


@pytest.mark.journey
def test_the_summary_compares_a_leak_with_the_same_windows_only(tmp_path):
    text = described(run(tmp_path, "a", windows=4), run(tmp_path, "b", protocol="window"))
    assert "no honest protocol was run on the same windows to compare them with" in text


@pytest.mark.journey
def test_run_folders_have_a_table_for_the_terminal(tmp_path):
    folders = [run(tmp_path, "a"), run(tmp_path, "b", modality="face", skill=0.0)]
    assert "facebio" in report.summary_text(folders)


@pytest.mark.journey
def test_the_summary_names_synthetic_data(tmp_path):
    text = described(run(tmp_path, "a", dataset="deap (synthetic data)"), run(tmp_path, "b"))
    assert "Some of these results are from synthetic data" in text


@pytest.mark.journey
def test_a_fusion_that_is_not_significant_says_so_to_the_end_of_the_sentence(tmp_path):
    runs = [
        run(tmp_path, m, subjects=8, skill=skill, seed=k, modality=m)
        for k, (m, skill) in enumerate({"facebio": 1.0, "face": 0.9, "bio": 0.3}.items())
    ]
    text = described(*runs)
    assert re.search(r"is not significant over subjects \(p = 0\.\d+, 0\.\d+ after Holm\)\.", text)
    assert all(sentence.rstrip(".)%”").strip()[-1].isalnum() for sentence in text.split(". "))


@pytest.mark.journey
def test_the_effect_of_sharing_trials_is_reported_only_where_the_test_shows_it(tmp_path):
    six = [run(tmp_path, "a", skill=0.5, seed=1), run(tmp_path, "b", skill=5.0, seed=2, protocol="window")]
    text = described(*six)  # six subjects, all above: p = 1/64
    assert "the effect of sharing trials between training and test (p at most 0.016 after Holm" in text
    alike = [run(tmp_path, "c", skill=1.0, seed=3), run(tmp_path, "d", skill=0.5, seed=4, protocol="window")]
    text = described(*alike)
    assert "the effect of sharing" not in text
    assert re.search(r"; the difference is not significant over subjects \(p up to [01]\.\d+ after Holm\)", text)
    few = {"subjects": 3, "trials": 20}
    text = described(
        run(tmp_path, "e", skill=2.0, seed=1, **few), run(tmp_path, "f", skill=5.0, seed=2, protocol="window", **few)
    )
    assert (
        "the effect of sharing" not in text
        and "; so few subjects cannot show that the difference is significant" in text
    )


@pytest.mark.journey
def test_above_chance_beside_too_few_subjects_is_explained_in_one_sentence(tmp_path):
    few = {"subjects": 4, "trials": 20, "windows": 4}
    runs = [
        run(tmp_path, m, skill=skill, seed=k, modality=m, **few)
        for k, (m, skill) in enumerate({"facebio": 3.0, "face": 2.0, "bio": 1.0}.items())
    ]
    text = described(*runs)
    assert "Above chance: " in text and "no p below 0.062 is possible" in text
    assert text.count(summary.TWO_TESTS) == 1
    many = [run(tmp_path, f"m{k}", skill=s, seed=k, modality=m, subjects=8) for k, (m, s) in enumerate(
        {"facebio": 3.0, "face": 2.0, "bio": 1.0}.items())]  # fmt: skip
    assert summary.TWO_TESTS not in described(*many)


@pytest.mark.journey
def test_every_kind_of_interval_has_its_own_name_in_the_tables_and_in_the_glossary(tmp_path):
    terms = dict(glossary.TERMS)
    for name in ("95 % corrected t over folds", "95 % t over subjects", "95 % bootstrap over subjects"):
        assert len(terms[name]) > 50
    assert "95 % bootstrap over trials" in terms and "95 %" not in terms
    pooled, within, few = (
        run(tmp_path, "a", subjects=6), run(tmp_path, "b", scope="per-subject", subjects=6, trials=6, folds=3),
        run(tmp_path, "c", subjects=3),
    )  # fmt: skip
    for folder, of_folds, of_windows in (
        (pooled, "corrected t over folds", "over subjects"),
        (within, "t over subjects", "over subjects"),
        (few, "corrected t over folds", "over trials"),
    ):
        tables = [block for block in results_section.score_blocks(read(folder)) if isinstance(block, page.Table)]
        assert f"Mean of folds ± SD [95 % {of_folds}]" in tables[0].columns
        assert f"95 % bootstrap interval {of_windows}" in tables[0].caption


@pytest.mark.journey
def test_no_interval_in_a_report_passes_100_percent(tmp_path):
    results = read(run(tmp_path, "a", subjects=6, skill=4.5), run(tmp_path, "b", scope="per-subject", skill=4.5))
    flat = csv_tables.csv_tables(results, [])["results"]
    limits = flat.filter(regex=r"_(low|high)$").drop(columns=["window_mcc_low", "window_mcc_high", "trial_mcc_low",
                                                              "trial_mcc_high"])  # fmt: skip
    assert limits.max(axis=None) == 1.0 and limits.min(axis=None) >= 0
    assert set(flat["folds_interval"]) == {"corrected t over folds", "t over subjects"}


@pytest.mark.journey
def test_the_terminal_table_has_a_row_a_result_and_says_leaky(six, tmp_path):
    text = summary.terminal_table(six, 140)
    assert max(len(line) for line in text.splitlines()) <= 140
    assert text.count("facebio") == 2
    assert text.count("window LEAKY") == 3
    assert "synthetic data" not in text
    synthetic = read(run(tmp_path, "a", dataset="deap (synthetic data)"))
    assert "synthetic data" in summary.terminal_table(synthetic, 140)


# --- figures ---


def drawn(figure):
    """Every word in a figure."""
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


@pytest.mark.journey
def test_every_figure_of_a_leaky_or_synthetic_run_says_so(tmp_path):
    folder = run(tmp_path, "a", protocol="window", dataset="deap (synthetic data)")
    result = read(folder)[0]
    stamps = result.scores.stamps
    made = [
        figures.learning_curves(results.read_history(result.run, "valence"), "t", stamps),
        figures.confusion_matrices(result.table, "t", stamps),
        figures.gate_histograms(result.table, "t", stamps),
        figures.subject_scores(result.scores, "t", stamps),
        figures.score_overview([("valence", "window · facebio", result.scores)], stamps),
    ]
    for figure in made:
        assert "leaky" in drawn(figure).lower()
        assert "synthetic data" in drawn(figure)
    honest = figures.subject_scores(result.scores, "t", [])
    assert "synthetic" not in drawn(honest)


@pytest.mark.journey
def test_the_overview_marks_each_leaky_bar_with_a_word_and_a_hatch(six):
    figure = figures.score_overview([("valence", r.label, r.scores) for r in six], [])
    bars = figure.axes[0].patches
    assert [bool(bar.get_hatch()) for bar in bars] == [False] * 3 + [True] * 3
    assert drawn(figure.axes[0]).count("LEAKY") == 3
    assert [bar.get_width() for bar in bars] == pytest.approx([100 * r.scores.window["accuracy"] for r in six])


@pytest.mark.journey
def test_confusion_counts_every_window_and_trial_once(tmp_path):
    result = read(run(tmp_path, "a"))[0]
    texts = [[t.get_text() for t in axes.texts] for axes in figures.confusion_matrices(result.table, "t", []).axes]
    assert [sum(int(t.split("\n")[0]) for t in panel) for panel in texts] == [300, 60]


@pytest.mark.journey
def test_the_curves_are_the_mean_over_folds():
    history = pd.DataFrame({"fold": [1, 1, 2], "epoch": [1, 2, 1]})
    for name in results.HISTORY[1:]:
        history[name] = [0.2, 0.4, 0.6]
    figure = figures.learning_curves(history, "t", [])
    assert figure.axes[0].lines[0].get_ydata().tolist() == pytest.approx([0.4, 0.4])
    assert figure.axes[1].lines[1].get_ydata().tolist() == pytest.approx([40.0, 40.0])


@pytest.mark.journey
def test_drawing_touches_no_global_state(tmp_path):
    before = dict(matplotlib.rcParams)
    figures.save(figures.confusion_matrices(fake_runs.table(), "t", []), tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before


# --- the page ---


def test_text_is_escaped_and_stamps_are_set_off(tmp_path):
    blocks = [page.Heading("A <b> & c", 1), page.Text("`x<y` LEAKY, synthetic data"), page.Table(("a|b",), [["1|2"]])]
    text = page.render_html(blocks, tmp_path)
    assert "<title>A &lt;b&gt; &amp; c</title>" in text
    assert (
        '<code>x&lt;y</code> <strong class="leaky">LEAKY</strong>, <strong class="synthetic">synthetic data</strong>'
        in text
    )
    assert "| a\\|b |\n| --- |\n| 1\\|2 |" in page.render_markdown(blocks)
    assert Page(text).open == []


def test_numbers_that_are_not_defined_are_shown_as_a_dash():
    assert formatting.number(np.nan) == formatting.percent(np.nan) == formatting.p_value(np.nan) == "–"
    assert formatting.percent(0.12345) == "12.3"
    assert formatting.p_value(0.0001) == "0.0001"
    assert formatting.p_value(0.00001) == "<0.0001"
    assert formatting.p_value(0.25) == "0.250"


@pytest.mark.journey
def test_tables_are_plain_csv(whole):
    with Path(whole.path.parent / "tables" / "comparisons.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["kind"] for row in rows} == {"fusion", "leak", "system", "other"}
    assert all(0 <= float(row["p"]) <= float(row["p_holm"]) <= 1 for row in rows)


@pytest.mark.journey
def test_a_report_within_each_subject_says_so(tmp_path):
    folder = run(tmp_path, "a", scope="per-subject", subjects=3, trials=6, windows=2, folds=3)
    result = read(folder)[0]
    assert result.title == "facebio: valence, protocol trial within each subject"
    assert "within each subject" in summary.describe_results([result])


# --- where each number comes from ---


def columns_of_numbers(blocks):
    return [name for block in blocks if isinstance(block, page.Table) for name in block.columns[block.text_columns :]]


@pytest.mark.journey
def test_every_column_of_numbers_names_the_function_that_computes_it(six):
    comparisons, refused = results.compare(six)
    columns = columns_of_numbers([
        *results_section.score_blocks(six), *results_section.comparison_blocks(comparisons, refused),
        *results_section.data_blocks(six),
    ])  # fmt: skip
    assert len(columns) > 30
    assert [name for name in columns if name.partition(" [")[0] not in glossary.SOURCES] == []


@pytest.mark.parametrize("name", sorted(set(re.findall(r"[\w.]+\.[\w.]+", " ".join(glossary.SOURCES.values())))))
def test_the_functions_that_the_glossary_names_exist(name):
    module, _, function = name.rpartition(".")
    assert callable(getattr(importlib.import_module(f"gbvnet.{module}"), function))

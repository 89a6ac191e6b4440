"""What others published of new subjects: complete, in a table of its own, only where it can be read beside results."""

import re
from pathlib import Path

import pytest

from gbvnet.report import published_section, report, results
from gbvnet.report.comparison_section import ComparisonSection, Cost
from gbvnet.report.document import Heading, Table, Text
from gbvnet.report.published_results import SUBJECT_FIGURES

from .. import fake_runs


def read(root, *, name="a", rules=None, made=None, **columns):
    table = fake_runs.table(**({"protocol": "subject", "windows": 2} | columns)) if made is None else made
    runs, errors = results.read_results([fake_runs.write_run(root / name, [table], **(rules or {}))])
    assert not errors
    return runs


def table_of(blocks):
    (table,) = [block for block in blocks if isinstance(block, Table)]
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.mark.parametrize("figure", SUBJECT_FIGURES, ids=lambda f: f"{f.dataset}-{f.target}-{f.study.work}-{f.metric}")
def test_each_figure_says_its_protocol_classes_metric_and_source(figure):
    assert figure.dataset in {"deap", "mahnob", "amigos", "dreamer"}
    assert figure.target in {"valence", "arousal", "quadrant"}
    for text in (figure.study.work, figure.study.inputs, figure.study.protocol, figure.classes, figure.metric):
        assert text.strip()
    assert re.match(r"arXiv \d{4}\.\d{5}$|github\.com/\w+[\w-]*/\w+, README ", figure.study.source)
    assert figure.study.new_subjects in {"yes", "not known"}
    assert figure.study.new_subjects == "yes" or figure.study.protocol == "not known"
    assert 0 < figure.value < 1 and (figure.trivial is None or 0 < figure.trivial < 1)


@pytest.mark.parametrize("figure", SUBJECT_FIGURES, ids=lambda f: f"{f.dataset}-{f.target}-{f.study.work}-{f.metric}")
def test_the_page_of_a_corpus_has_the_same_figure_in_the_row_of_its_work(figure):
    page = (Path(__file__).parents[2] / "docs" / "corpora" / f"{figure.dataset}.md").read_text()
    work, metric = figure.study.work.split(",")[0], figure.metric.split(",")[0]
    (row,) = [line for line in page.splitlines() if line.startswith(f"| [{work}](")]
    (cell,) = [
        part for part in row.split("; ") if metric in part and ("quadrants" in part) == (figure.task != "binary")
    ]
    pair = re.findall(r"\.?\d+(?:\.\d+)?", cell.split(metric)[-1])
    at = {"valence": 0, "arousal": 1, "quadrant": 0}[figure.target]
    scale = 100 if figure.metric.startswith("accuracy") else 1
    assert float(pair[at]) == pytest.approx(scale * figure.value)
    if figure.trivial is not None:
        assert float(re.findall(r"\d+", row.split("trivial baseline")[1])[at]) == pytest.approx(100 * figure.trivial)


def test_no_figure_is_there_twice():
    assert len({(f.dataset, f.target, f.study.work, f.metric) for f in SUBJECT_FIGURES}) == len(SUBJECT_FIGURES)


@pytest.mark.journey
def test_a_run_on_new_subjects_has_the_figures_of_its_corpus_and_target_beside_it(tmp_path):
    rows = table_of(published_section.subject_figure_blocks(read(tmp_path)))
    assert {(row["Dataset"], row["Target"]) for row in rows} == {("deap", "valence")}
    shown = [(row["Work"].split(",")[0], row["Metric"].split(",")[0], row["Figure"]) for row in rows]
    assert shown == [
        ("EEGain", "accuracy", "53"), ("LibEER", "accuracy", "57.8"), ("LibEER", "macro F1", "0.577"),
        ("LibEMER", "accuracy", "57.3"), ("MVP", "F1", "0.61"),
    ]  # fmt: skip
    assert rows[0]["Its trivial baseline"] == "57" and rows[1]["Its trivial baseline"] == "–"
    assert [row["New subjects"] for row in rows] == ["yes"] * 4 + ["not known"]


@pytest.mark.journey
@pytest.mark.parametrize("columns", [{"protocol": "trial"}, {"protocol": "window"}, {"protocol": "stimulus"},
                                     {"dataset": "affec"}, {"target": "dominance"}])  # fmt: skip
def test_other_protocols_corpora_and_targets_have_none(tmp_path, columns):
    assert not list(published_section.subject_figure_blocks(read(tmp_path, **columns)))


@pytest.mark.journey
def test_classes_are_those_of_the_figures(tmp_path):
    """Three classes of valence have no figure; four quadrants have LibEER's alone; ratings have none."""
    how = {"protocol": "subject", "windows": 2}
    three = read(tmp_path, name="c", made=fake_runs.class_table(3, **how), rules={"task": "multiclass"})
    assert not list(published_section.subject_figure_blocks(three))
    four = read(
        tmp_path, name="q", made=fake_runs.class_table(4, target="quadrant", **how), rules={"task": "multiclass"}
    )
    rows = table_of(published_section.subject_figure_blocks(four))
    assert [(row["Work"], row["Figure"]) for row in rows] == [("LibEER, best of 12 methods", "30.9")]
    rating = read(tmp_path, name="r", made=fake_runs.rating_table(**how), rules={"task": "regression"})
    assert not list(published_section.subject_figure_blocks(rating))


@pytest.mark.journey
@pytest.mark.parametrize(("dataset", "n"), [("mahnob", 3), ("amigos", 2), ("dreamer", 1), ("amigos-long", 0)])
def test_every_corpus_has_its_own_figures_only(tmp_path, dataset, n):
    blocks = list(published_section.subject_figure_blocks(read(tmp_path, dataset=dataset)))
    assert [row["Dataset"] for row in (table_of(blocks) if blocks else [])] == [dataset] * n


@pytest.mark.journey
def test_synthetic_results_are_never_beside_them_without_a_warning(tmp_path):
    real = list(published_section.subject_figure_blocks(read(tmp_path, name="real")))
    made = list(published_section.subject_figure_blocks(read(tmp_path, name="made", dataset="deap (synthetic data)")))
    assert [block.kind for block in real if isinstance(block, Text)] == ["plain"]
    first = next(block for block in made if not isinstance(block, Heading))
    assert first.kind == "warning" and "nothing in this table can be compared with them" in first.text
    assert made.index(first) < made.index(next(block for block in made if isinstance(block, Table)))


@pytest.mark.journey
@pytest.mark.parametrize("compared", [False, True])
def test_a_report_has_them_in_their_section_and_in_no_ranking_test_or_other_table(tmp_path, compared):
    names = ("gbvnet", "zhu")
    folders = [
        fake_runs.write_run(tmp_path / name, [fake_runs.table(protocol="subject", windows=2, seed=k, system=name)])
        for k, name in enumerate(names)
    ]
    cost = {name: Cost(1.0, 1.0, 1, 1.0) for name in names}
    how = {"extra_sections": ComparisonSection(cost, {}).blocks, "summary_only": True} if compared else {}
    written = report.write_report(folders, tmp_path / "out", **how)
    text = (written.path.parent / "report.md").read_text()
    section = text[text.index("## As published, new subjects") :].split("\n## ")[0]
    for work in ("EEGain", "LibEER", "LibEMER", "MVP"):
        assert text.count(work) == section.count(work) > 0
        assert work not in written.summary
    for row in section.splitlines():
        assert not row.startswith("|") or not any(name in row for name in names)
    tables = [file.read_text() for file in (written.path.parent / "tables").iterdir()]
    assert len(tables) == 4 + 2 * compared  # with costs and the ranking
    assert not re.search("EEGain|LibEER|LibEMER|MVP", "".join(tables))

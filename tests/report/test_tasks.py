"""Reports of several classes and of numbers: the same numbers as their scores, in the words and units of each task."""

import json
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest

from gbvnet.errors import BadRun
from gbvnet.evaluation import predictions
from gbvnet.evaluation.score_properties import properties_of
from gbvnet.evaluation.scores import evaluate
from gbvnet.report import (
    audit_results,
    audit_section,
    comparison_section,
    csv_tables,
    figures,
    formatting,
    glossary,
    rating_figures,
    report,
    results,
    results_section,
    run_section,
    summary,
    task_words,
)
from gbvnet.report import document as page

from .. import fake_runs

NAMES = ("calm", "happy", "angry")
SMALL = {"subjects": 6, "trials": 9, "windows": 3, "folds": 3}
N = 200  # permutations


def class_run(root, name, k=3, names=NAMES, *, rule="terciles", settings=None, **how):
    table = fake_runs.class_table(k, **(SMALL | how))
    data = {"labels": "classes: " + ", ".join(names), "classes": {"valence": dict.fromkeys(names, 1)}}
    return fake_runs.write_run(root / name, [table], task="multiclass", rule=rule, data=data, **(settings or {}))


def rating_run(root, name, *, scale=(1, 9), settings=None, **how):
    table = fake_runs.rating_table(scale=scale, **(SMALL | how))
    data = {"labels": f"valence from {scale[0]} to {scale[1]}", "scales": {"valence": list(scale)}}
    return fake_runs.write_run(root / name, [table], task="regression", rule=None, data=data, **(settings or {}))


def binary_run(root, name, *, scale=(1, 9), rule=">=5", **how):
    data = {"scales": {"valence": list(scale)}, "labels": f"high: rating {rule}"}
    return fake_runs.write_run(root / name, [fake_runs.table(**(SMALL | how))], rule=rule, data=data)


def read(*folders):
    return results.read_results(folders, (), N)[0]


def tables_of(blocks):
    return [block for block in blocks if isinstance(block, page.Table)]


def cells(table, row=0):
    return dict(zip(table.columns, table.rows[row], strict=True))


def texts(blocks):
    return " ".join(block.text for block in blocks if isinstance(block, page.Text))


def drawn(figure):
    """Every word in a figure."""
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Three classes by name."""
    return read(class_run(tmp_path_factory.mktemp("classes"), "a", skill=1.5))[0]


@pytest.fixture(scope="module")
def ratings(tmp_path_factory):
    """Stress-like ratings from 0 to 100, of which subject s02 gave one only."""
    return read(rating_run(tmp_path_factory.mktemp("ratings"), "a", scale=(0, 100), skill=0.6, constant=("s02",)))[0]


# --- how a score is shown ---


def test_a_score_is_shown_in_its_own_unit():
    assert formatting.score_text(0.5834) == "58.3"
    assert formatting.score_text(0.5834, "trial_accuracy") == formatting.score_text(0.5834, "majority") == "58.3"
    for name in ("ccc", "kappa", "pearson", "auc", "balanced_accuracy", "trial_ccc"):
        assert formatting.score_text(0.41249, name) == "0.412"
    for name in ("rmse", "mae", "constant_rmse"):
        assert formatting.score_text(12.346, name) == "12.35"
    assert formatting.score_text(np.nan, "rmse") == formatting.score_text(np.nan, "ccc") == "–"
    assert formatting.number(-0.0001) == "0.000"
    ccc, accuracy = task_words.WORDS["regression"], task_words.WORDS["multiclass"]
    assert (accuracy.in_words(0.5), accuracy.difference(0.012)) == ("50.0 %", "+1.2")
    assert (ccc.in_words(0.5), ccc.difference(-0.012)) == ("0.500", "-0.012")
    assert ccc.with_difference_unit("+0.012") == "+0.012 in CCC"


def test_only_scores_of_which_more_is_better_are_headlines():
    assert all(properties_of(words.score).higher_is_better for words in task_words.WORDS.values())


# --- several classes ---


@pytest.mark.journey
def test_the_table_of_classes_has_the_numbers_of_the_scores(classes):
    s = classes.scores
    by_window, by_trial = tables_of(results_section.score_blocks([classes]))
    row = cells(by_window)
    assert row["Cohen's kappa"] == f"{s.window['kappa']:.3f}"
    assert row["AUC"] == f"{s.window['auc']:.3f}"
    assert row["Macro-F1"] == f"{s.window['macro_f1']:.3f}"
    assert row["Majority"] == f"{100 * s.majority['window']:.1f}"
    low, high = (100 * limit for limit in s.window_interval["accuracy"])
    assert row["All windows [95 % bootstrap]"] == f"{100 * s.window['accuracy']:.1f} [{low:.1f}, {high:.1f}]"
    chance = s.chance["window"]
    assert row["Chance: mean / 97.5 %"] == f"{100 * chance.mean:.1f} / {100 * chance.upper:.1f}"
    counts = classes.table["y"].value_counts()
    assert row["Windows of each class"] == " / ".join(str(counts[k]) for k in range(3))
    assert "Classes in this order: calm, happy, angry." in by_window.caption
    assert cells(by_trial)["Cohen's kappa"] == f"{s.trial['kappa']:.3f}"
    assert cells(by_trial)["Mean of subjects ± SD"].startswith(f"{100 * s.subjects['accuracy'].mean():.1f} ± ")


@pytest.mark.journey
def test_the_data_table_counts_the_trials_of_each_class(classes):
    table = next(t for t in tables_of(results_section.data_blocks([classes])) if "Run" in t.columns)
    trials = classes.table.drop_duplicates("recording")["y"].value_counts()
    shown = cells(table)["Trials of each class (% of windows)"]
    assert [int(n) for n in re.findall(r": (\d+) \(", shown)] == [trials[k] for k in range(3)]
    assert re.findall(r"(\w+): ", shown) == list(NAMES)
    assert cells(table)["What the classes are"] == "classes: calm, happy, angry"


@pytest.mark.journey
def test_warnings_and_figures_name_the_classes(classes):
    table = classes.table.copy()
    table[["p_0", "p_1", "p_2"]] = [0.5, 0.3, 0.2]
    assert "Every window is predicted class “calm”." in evaluate(table, 20, classes=NAMES).warnings
    assert "Every window is predicted class 0." in evaluate(table, 20).warnings
    assert "Every window is predicted class 0." in evaluate(table, 20, classes=NAMES[:2]).warnings  # not of this table
    table[["p_0", "p_1", "p_2"]] = np.where(np.arange(len(table))[:, None] % 2, [0.5, 0.3, 0.2], [0.3, 0.5, 0.2])
    assert "No window is predicted class “angry”." in evaluate(table, 20, classes=NAMES).warnings
    figure = figures.confusion_matrices(classes.table, "t", [], NAMES)
    for axes in figure.axes:
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            assert [label.get_text() for label in labels] == list(NAMES)
    panel = [text.get_text().split("\n")[0] for text in figure.axes[0].texts]
    assert [int(n) for n in panel] == classes.scores.confusion["window"].ravel().tolist()


@pytest.mark.journey
@pytest.mark.parametrize("classes_of_run", [None, [], {"valence": {"a": 1}}, {"valence": ["a", "b", "c"]}, "x"])
def test_without_names_for_all_classes_they_are_numbers(tmp_path, classes_of_run):
    folder = fake_runs.write_run(tmp_path / "a", [fake_runs.class_table(**SMALL)], data={"classes": classes_of_run})
    assert read(folder)[0].scores.classes == ("0", "1", "2")


@pytest.mark.journey
@pytest.mark.parametrize("k", [2, 5, 10, 30])
def test_any_number_of_classes_can_be_drawn_and_counted(tmp_path, k):
    names = tuple(f"emotion {j}" for j in range(k))
    result = read(class_run(tmp_path, "a", k, names, trials=40))[0]
    figure = figures.confusion_matrices(result.table, result.title, [], names)
    assert max(figure.get_size_inches()) < 26
    count = cells(tables_of(results_section.score_blocks([result]))[0])["Windows of each class"]
    assert count.count("/") == k - 1 if k <= results_section.MOST_COUNTS else " to " in count


@pytest.mark.journey
def test_quadrants_are_explained(tmp_path):
    table = fake_runs.class_table(4, target="quadrant", **SMALL)
    names = ("LVLA", "HVLA", "LVHA", "HVHA")
    data = {"classes": {"quadrant": dict.fromkeys(names, 1)}}
    result = read(fake_runs.write_run(tmp_path / "a", [table], rule="quadrant", data=data))[0]
    assert result.target_name == "quadrants of valence and arousal"
    assert "HVLA high valence and low arousal" in dict(glossary.terms_of({"multiclass"}))["quadrant"]


# --- numbers ---


@pytest.mark.journey
def test_the_table_of_ratings_has_the_numbers_of_the_scores(ratings):
    s = ratings.scores
    by_window, by_trial = tables_of(results_section.score_blocks([ratings]))
    row = cells(by_window)
    y, y_hat, mean = (ratings.table[name] for name in ("y", "y_hat", "prior"))
    rmse, constant = (np.sqrt(((y - guess) ** 2).mean()) for guess in (y_hat, mean))
    assert row["RMSE / constant mean"] == f"{rmse:.2f} / {constant:.2f}"
    assert row["MAE / constant mean"] == f"{(y - y_hat).abs().mean():.2f} / {(y - mean).abs().mean():.2f}"
    assert row["Pearson r"] == f"{np.corrcoef(y, y_hat)[0, 1]:.3f}"
    assert row["All windows [95 % bootstrap]"].startswith(
        f"{s.window['ccc']:.3f} [{s.window_interval['ccc'].low:.3f}, "
    )
    assert row["Chance: mean / 97.5 %"].endswith(f" / {s.chance['window'].upper:.3f}")
    assert not {"Majority", "AUC", "MCC", "Windows high / low", "CCC, mean of recordings"} & set(by_window.columns)
    assert "in units of the rating, 0 to 100," in by_window.caption
    assert "no CCC within a recording is defined" in by_window.caption
    assert cells(by_trial)["Undefined"] == "1 of 6"
    assert "%" not in re.sub(r"9[57](\.5)? %", "", " ".join(by_window.rows[0]))


@pytest.mark.journey
def test_recordings_whose_rating_changes_have_a_ccc_of_their_own(tmp_path):
    table = fake_runs.rating_table(windows=12, subjects=4, trials=6, folds=3, skill=0.8)
    changing = table["trial"] != "01"
    drift = np.where(changing, np.sin(table["window"]), 0.0)
    table = table.assign(y=table["y"] + drift, rating=table["rating"] + drift, y_hat=table["y_hat"] + 0.5 * drift)
    result = read(fake_runs.write_run(tmp_path / "a", [table], task="regression", rule=None))[0]
    by_window = tables_of(results_section.score_blocks([result]))[0]
    shown = cells(by_window)["CCC, mean of recordings"]
    assert shown == f"{result.scores.window['ccc_recordings']:.3f} (4 of 24 undefined)"
    assert "courses of labels are exchanged among" in by_window.caption


@pytest.mark.journey
def test_the_data_table_says_scale_and_ratings(ratings):
    table = next(t for t in tables_of(results_section.data_blocks([ratings])) if "Run" in t.columns)
    row, y = cells(table), ratings.table["y"]
    assert row["Scale"] == "0 to 100"
    assert row["Lowest to highest rating"] == f"{y.min():g} to {y.max():g}"
    assert row["Mean rating ± SD"] == f"{y.mean():.2f} ± {y.std():.2f}"


@pytest.mark.journey
def test_a_dot_a_trial_and_the_ends_of_the_scale_are_drawn(ratings):
    figure = rating_figures.rated_and_predicted(ratings.table, (0, 100), "t", ["synthetic data"])
    dots = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    trials = ratings.table.groupby("recording")[["y", "y_hat"]].mean()
    assert sorted(dots.get_ydata()) == pytest.approx(sorted(trials["y"]))
    assert figure.axes[0].get_xlim()[0] < 0 and figure.axes[0].get_ylim()[1] > 100
    residuals = next(line for line in figure.axes[1].lines if line.get_marker() == "o").get_ydata()
    assert sorted(residuals) == pytest.approx(sorted(trials["y"] - trials["y_hat"]))
    assert "synthetic data" in drawn(figure)
    assert "does not say which scale" in rating_figures.how_to_read(None)
    rating_figures.rated_and_predicted(ratings.table, None, "t", [])


def test_learning_curves_of_ratings_have_no_accuracy(ratings):
    history = results.read_history(ratings.run, "valence")
    assert [axes.get_title(loc="left") for axes in figures.learning_curves(history, "t", []).axes] == ["loss"]


def test_a_subject_without_a_ccc_is_named_and_has_no_bar(ratings):
    figure = figures.subject_scores(ratings.scores, "t", [])
    assert drawn(figure).count("undefined") == 1
    assert np.isnan(figure.axes[0].patches[1].get_height())
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == (-0.2, 1)


def test_the_overview_of_ratings_reaches_below_zero(ratings):
    figure = figures.score_overview([("p", "a", ratings.scores)], [])
    assert "CCC by window" in drawn(figure) and "constant mean" in drawn(figure)
    assert figure.axes[0].get_xlim() == (-0.2, 1)
    assert figure.axes[0].patches[0].get_width() == pytest.approx(ratings.scores.window["ccc"])


@pytest.mark.journey
def test_ratings_that_are_all_equal_make_a_report_without_numbers(tmp_path):
    everybody = tuple(f"s{k:02d}" for k in range(1, 7))
    folder = rating_run(tmp_path, "a", constant=everybody)
    result = read(folder)[0]
    assert np.isnan(result.scores.window["ccc"])
    row = cells(tables_of(results_section.score_blocks([result]))[0])
    assert row["All windows [95 % bootstrap]"] == "– [–, –]" and row["p"] == "–"
    assert "All labels are 5" in " ".join(result.scores.warnings)
    for name in ("tables", "figures"):
        (tmp_path / "out" / name).mkdir(parents=True)
    assert "CCC, mean of 3 folds: – ± –" in texts(run_section.run_blocks(result, "01", tmp_path / "out"))
    assert "–" in summary.describe_results([result])
    figures.score_overview([("p", "a", result.scores)], [])


# --- sentences ---


@pytest.mark.journey
def test_the_summary_of_classes_is_of_windows_correct(classes):
    text = summary.describe_results([classes])
    s = classes.scores
    assert text.startswith(
        f"Valence in 3 classes (deap), protocol trial: facebio {100 * s.window['accuracy']:.1f} % of windows correct; "
        f"always predicting the majority class gives {100 * s.majority['window']:.1f} %."
    )


def test_the_summary_of_ratings_is_of_ccc_and_of_errors(ratings):
    text, s = summary.describe_results([ratings]), ratings.scores
    assert text.startswith("Valence as a number from 0 to 100 (deap), protocol trial: ")
    assert f"(CCC; 1 is perfect) is facebio {s.window['ccc']:.3f}; always predicting the mean gives 0" in text
    assert f"chance goes up to {s.chance['window'].upper:.3f}." in text
    assert (
        f"is facebio {s.window['rmse']:.2f}; of always predicting the mean, {s.baseline['window']['rmse']:.2f}." in text
    )
    assert "%" not in text and "majority" not in text and "no smaller" not in text


@pytest.mark.journey
def test_leaks_and_fusion_of_ratings_are_differences_of_ccc(tmp_path):
    runs = read(
        rating_run(tmp_path, "a", skill=0.5, seed=1), rating_run(tmp_path, "b", skill=0.2, seed=2, modality="face"),
        rating_run(tmp_path, "c", skill=0.0, seed=3, modality="bio"),
        rating_run(tmp_path, "d", skill=1.0, seed=4, protocol="window"),
    )  # fmt: skip
    text = summary.describe_results(runs)
    of = {(r.label, r.key("protocol")): r.scores.window["ccc"] for r in runs}
    fused, leaky = of["facebio", "trial"], of["facebio", "window"]
    assert f"facebio is {fused - of['face', 'trial']:.3f} in CCC above the better of its parts, face" in text
    assert f"{leaky - fused:+.3f} in CCC against protocol trial" in text
    assert "points" not in text
    table = tables_of(results_section.comparison_blocks(*results.compare(runs)))[0]
    assert "Difference, CCC" in table.columns


@pytest.mark.journey
def test_ratings_above_chance_with_large_errors_are_not_praised(tmp_path):
    folder = rating_run(tmp_path, "a", skill=1.0, seed=1)
    table = predictions.read(folder / predictions.FILE)
    table["y_hat"] += 4  # right order, wrong level
    result = read(fake_runs.write_run(tmp_path / "b", [table], task="regression", rule=None))[0]
    text = summary.describe_results([result])
    assert "Above chance, yet with errors (RMSE) no smaller than those of always predicting the mean: facebio." in text


def test_the_terminal_has_a_table_for_each_headline_score(tmp_path, classes, ratings):
    text = summary.terminal_table([classes, ratings], 140)
    assert text.index("Accuracy, % of windows") < text.index("CCC by window")
    s = ratings.scores
    assert f"{s.window['rmse']:.2f} / {s.baseline['window']['rmse']:.2f}" in text
    assert f"{s.folds['ccc'].mean():.3f} ± {s.folds['ccc'].std():.3f}" in text
    assert "valence, 0 to 100" in text and "valence in 3 classes" in text


# --- comparison ---


@pytest.mark.journey
def test_subjects_without_a_ccc_are_left_out_of_tests_and_counted(tmp_path):
    runs = read(
        rating_run(tmp_path, "a", skill=0.8, constant=("s02",)),
        rating_run(tmp_path, "b", skill=0.1, seed=5, modality="face", constant=("s02",)),
    )
    (comparison,), refused = results.compare(runs)
    assert refused == [] and comparison.left_out == 1 and comparison.paired.n == 5
    of_a, of_b = (r.scores.subjects.set_index("subject")["ccc"].drop("s02") for r in (comparison.a, comparison.b))
    assert comparison.paired.difference == pytest.approx((of_a - of_b).mean())
    blocks = list(results_section.comparison_blocks([comparison], []))
    assert "are left out of these tests: 1 of 6 in each." in texts(blocks)
    flat = csv_tables.csv_tables(runs, [comparison])["comparisons"]
    assert flat["subjects_left_out"].tolist() == [1] and flat["score"].tolist() == ["ccc"]


@pytest.mark.journey
def test_the_ranking_of_ratings_leaves_them_out_too(tmp_path):
    runs = read(*(
        rating_run(tmp_path, system, skill=skill, seed=k, system=system, constant=("s02",))
        for k, (system, skill) in enumerate({"gbvnet": 0.9, "ridge": 0.4, "logreg": 0.0}.items())
    ))  # fmt: skip
    for name in ("tables", "figures"):
        (tmp_path / "out" / name).mkdir(parents=True)
    blocks = list(comparison_section.ComparisonSection({}, {}).blocks(runs, tmp_path / "out"))
    assert "1 of 6 subjects are left out of ranks and differences: their CCC is undefined" in texts(blocks)
    pairs = pd.read_csv(tmp_path / "out" / "tables" / "ranking-valence.csv")
    of = {r.key("system"): r.scores.subjects.set_index("subject")["ccc"].drop("s02") for r in runs}
    row = pairs[pairs["a"].str.startswith("gbvnet") & pairs["b"].str.startswith("ridge")].iloc[0]
    assert row["difference"] == pytest.approx((of["gbvnet"] - of["ridge"]).mean()) and row["n"] == 5
    table = tables_of(blocks)[0]
    against = {row[0]: cells(table, k)["GBV-Net minus it, CCC"] for k, row in enumerate(table.rows)}
    assert against["ridge"] == f"{(of['gbvnet'] - of['ridge']).mean():+.3f}" and against["gbvnet"] == "–"


@pytest.mark.journey
def test_results_of_different_tasks_rules_and_scales_are_never_compared(tmp_path):
    runs = read(
        binary_run(tmp_path, "a"), class_run(tmp_path, "b"), rating_run(tmp_path, "c"),
        class_run(tmp_path, "d", modality="face", rule="3,7", names=("low", "mid", "high")),
        rating_run(tmp_path, "e", modality="face", scale=(0, 100)),
        class_run(tmp_path, "f", modality="bio", names=("x", "y", "z")),
    )  # fmt: skip
    comparisons, refused = results.compare(runs)
    assert comparisons == []
    text = " ".join(refused)
    assert "the rule of the classes differs (3,7, terciles)" in text
    assert "the scale of the rating differs (0 to 100, 1 to 9)" in text
    assert "the classes differ (calm, happy, angry, x, y, z)" in text
    assert len({r.section for r in runs}) == 6


@pytest.mark.journey
def test_an_inflation_of_ratings_is_of_ccc(tmp_path):
    honest, leaky = read(
        rating_run(tmp_path, "a", skill=0.4, constant=("s02",)),
        rating_run(tmp_path, "b", skill=1.0, seed=7, protocol="window", constant=("s02",)),
    )
    inflation = audit_results.compute_inflation(leaky, honest)
    assert inflation.leaky_score == pytest.approx(leaky.scores.window["ccc"])
    assert inflation.honest_score == pytest.approx(honest.scores.window["ccc"])
    assert inflation.left_out == 1 and inflation.paired.n == 5
    defined = inflation.subjects.set_index("subject").drop("s02")
    assert inflation.paired.difference == pytest.approx((defined["leaky"] - defined["honest"]).mean())


# --- scales ---


@pytest.mark.journey
def test_a_scale_is_named_where_it_is_not_the_usual_one(tmp_path):
    (usual,), (other,) = read(binary_run(tmp_path, "a")), read(binary_run(tmp_path, "b", scale=(0, 100), rule=">=50"))
    assert usual.target_name == "valence" and usual.title == "facebio: valence, protocol trial"
    assert other.title == "facebio: valence (scale 0 to 100), protocol trial"
    heading = next(block for block in results_section.score_blocks([other]) if isinstance(block, page.Heading))
    assert heading.text == "Valence (scale 0 to 100), deap"
    assert "Valence (scale 0 to 100) (deap), protocol trial" in summary.describe_results([other])


@pytest.mark.journey
@pytest.mark.parametrize("scales", [None, [], {"valence": 3}, {"valence": [1]}, {"valence": ["a", "b"]}, {"x": [1, 5]}])
def test_a_scale_that_cannot_be_read_is_not_known(tmp_path, scales):
    folder = fake_runs.write_run(tmp_path / "a", [fake_runs.table(**SMALL)], data={"scales": scales})
    assert read(folder)[0].scale is None


# --- the whole page ---


@pytest.mark.journey
def test_a_report_of_all_tasks_is_whole(tmp_path):
    folders = [
        binary_run(tmp_path, "binary", dataset="deap (synthetic data)"),
        class_run(tmp_path, "classes", dataset="deap (synthetic data)"),
        rating_run(tmp_path, "ratings", dataset="deap (synthetic data)", constant=("s02",)),
        rating_run(tmp_path, "leak", dataset="deap (synthetic data)", protocol="window"),
    ]
    written = report.write_report(folders, tmp_path / "out")
    text = (written.path.parent / "report.md").read_text()
    for heading in ("### Valence, deap", "### Valence in 3 classes, deap", "### Valence as a number from 1 to 9, deap"):
        assert heading in text
    shown = {path.name for path in (written.path.parent / "figures").iterdir()}
    assert {"overview.png", "overview_ccc.png"} <= shown
    assert sum(name.endswith("_ratings.png") for name in shown) == 2
    assert sum(name.endswith("_confusion.png") for name in shown) == 2
    terms = re.findall(r"^- \*\*(.+?)\*\*:", text, flags=re.M)
    assert {"kappa", "CCC", "constant mean", "RMSE, MAE", "MCC", "majority"} <= set(terms)
    flat = pd.read_csv(written.path.parent / "tables" / "results.csv").set_index("run")
    of = {r.run.name: r.scores for r in written.results}
    assert flat.loc["ratings", "window_ccc"] == pytest.approx(of["ratings"].window["ccc"])
    assert flat.loc["ratings", "baseline_window_rmse"] == pytest.approx(of["ratings"].baseline["window"]["rmse"])
    assert flat.loc["ratings", "folds_ccc_mean"] == pytest.approx(of["ratings"].folds["ccc"].mean())
    assert flat.loc["classes", "chance_window_kappa_upper"] == of["classes"].chances["window"]["kappa"].upper
    assert flat.loc["classes", "classes"] == "calm; happy; angry"
    assert pd.isna(flat.loc["binary", "task"]) and flat.loc["classes", "task"] == "multiclass"


def test_a_report_of_two_classes_has_no_word_of_other_tasks():
    assert glossary.terms_of({"binary"}) == glossary.TERMS
    assert glossary.sources_of({"binary"}) == glossary.SOURCES


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_report_of_another_task_has_no_word_of_two_classes(task):
    terms, sources = dict(glossary.terms_of({task})), glossary.sources_of({task})
    assert "MCC" not in terms and "MCC" not in sources and "Windows high / low" not in sources
    assert not re.search(r"\bhigh\b", " ".join(text for term, text in terms.items() if term in ("chance", "AUC")))
    if task == "regression":
        assert "majority" not in terms and "Majority" not in sources
        assert "at -1 and 1, outside of which no CCC lies" in terms["95 % t over subjects"]


@pytest.mark.journey
def test_every_column_names_the_function_that_computes_it(tmp_path, classes, ratings):
    table = fake_runs.rating_table(windows=6, subjects=3, trials=6, folds=3)
    table = table.assign(y=table["y"] + table["window"], rating=table["rating"] + table["window"])
    changing = read(fake_runs.write_run(tmp_path / "a", [table], task="regression", rule=None))[0]
    for result in (classes, ratings, changing):
        sources = glossary.sources_of({result.scores.task})
        blocks = [*results_section.score_blocks([result]), *results_section.data_blocks([result])]
        columns = [name for table in tables_of(blocks) for name in table.columns[table.text_columns :]]
        assert len(columns) > 20
        assert [name for name in columns if name.partition(" [")[0] not in sources] == []


@pytest.mark.journey
def test_the_columns_of_two_classes_are_as_they_were(tmp_path):
    flat = csv_tables.csv_tables(read(binary_run(tmp_path, "a")), [])["results"]
    assert not {"task", "score", "classes", "scale_low", "rule", "permuted"} & set(flat.columns)
    assert flat.columns[-1] == "verdict" and "majority_fold" in flat.columns


# --- audits ---


@pytest.fixture(scope="module")
def audit_of_ratings(tmp_path_factory):
    """An audit whose leaky score is recognition of trials alone: as high on shuffled labels, and nothing without it."""
    root = tmp_path_factory.mktemp("audit") / "a"
    made = {
        "ladder/window": {"skill": 0.9, "protocol": "window"},
        "ladder/trial": {"skill": 0.0, "seed": 3},
        "shuffled/window-1": {"skill": 0.9, "protocol": "window", "system": "gbvnet on shuffled labels", "seed": 5},
    }
    made |= {
        f"majority/{which}-{protocol}": {"skill": 0.0, "protocol": protocol, "system": which, "seed": 6}
        for which in ("majority", "subject-majority")
        for protocol in ("window", "trial")
    }
    for name, how in made.items():
        rating_run(root, name, constant=("s02",), **how)
    runs = [dict(zip(("role", "name"), name.split("/"), strict=True)) | {"baseline": None} for name in made]
    about = {"format": audit_results.FORMAT, "runs": runs, "store": {"synthetic": False}, "left_out": []}
    (root / audit_results.FILE).write_text(json.dumps(about))
    return audit_results.read_audit(root)


@pytest.mark.journey
def test_an_audit_of_ratings_speaks_of_ccc(audit_of_ratings):
    leak, honest = audit_section.assess(audit_of_ratings)
    leaky, shuffled = (r.scores.window["ccc"] for r in (audit_of_ratings.leaky, audit_of_ratings.shuffled[0]))
    assert leak.startswith(
        f"Under the LEAKY protocol window GBV-Net (facebio) scores CCC {leaky:.3f}, and {shuffled:.3f}"
    )
    assert "trials are recognised" in leak or "recognition of trials" in leak
    assert honest.startswith("Without the leak no score is above chance: trial ")
    assert "%" not in leak + honest
    assert "valence as a number from 1 to 9" in audit_section.terminal_table(audit_of_ratings)


@pytest.mark.journey
def test_the_tables_of_an_audit_of_ratings_have_its_scores(audit_of_ratings, tmp_path):
    (tmp_path / "figures").mkdir()
    blocks = list(audit_section.audit_blocks(audit_of_ratings, tmp_path))
    protocols, inflation = tables_of(blocks)[:2]
    assert {"Constant mean", "Own mean"} <= set(protocols.columns)
    window = audit_of_ratings.leaky.scores.window["ccc"]
    assert cells(protocols)["All windows [95 % bootstrap]"].startswith(f"{window:.3f} [")
    difference = window - audit_of_ratings.by_protocol["trial"].scores.window["ccc"]
    assert cells(inflation)["Inflation, CCC"] == f"{difference:+.3f}"
    assert "Subjects whose CCC is undefined are left out of these tests (trial: 1 of 6)." in texts(blocks)
    sources = glossary.sources_of({"regression"})
    columns = [name for table in (protocols, inflation) for name in table.columns[table.text_columns :]]
    assert [name for name in columns if name.partition(" [")[0] not in sources] == []


def test_labels_of_a_probe_may_be_other_ratings_and_those_of_a_system_may_not(tmp_path):
    table = fake_runs.rating_table(**SMALL)
    other = table.assign(y=table["y"].to_numpy()[::-1])
    predictions.write(other.assign(system="ridge on shuffled labels"), tmp_path / "probe.parquet")
    with pytest.raises(BadRun, match="expected y equal to rating"):
        predictions.write(other, tmp_path / "system.parquet")


@pytest.mark.journey
def test_agreement_with_another_label_and_lags_are_stated(tmp_path):
    one = {"target": "valence", "other": "perceived_valence", "label_sets": ["felt", "perceived"], "score": "CCC"}
    data = {"agreement": [one | {"value": 0.51234, "n": 1234, "unit": "trials"}], "lags_s": {"1": 2.4, "2": 2.8}}
    table = fake_runs.rating_table(**SMALL)
    run = fake_runs.write_run(tmp_path / "run", [table], task="regression", rule=None, data=data)
    stated = texts(results_section.data_blocks(read(run)))
    assert "valence (felt and perceived) agrees with perceived_valence by CCC 0.512, over 1,234 trials" in stated
    assert "Lag of the labels in `run`, found in each fold by its training side alone: 2.4 s in fold 1, 2.8 s" in stated
    undefined = data | {"agreement": [one | {"value": None, "n": 3, "unit": "trials"}]}
    other = fake_runs.write_run(tmp_path / "other", [table], task="regression", rule=None, data=undefined)
    assert "by CCC –, over 3 trials" in texts(results_section.data_blocks(read(other)))


@pytest.mark.journey
def test_agreements_of_several_corpora_and_rules_are_all_stated(tmp_path):
    one = {"target": "valence", "other": "perceived_valence", "label_sets": ["felt", "perceived"]}
    one |= {"score": "Cohen's kappa", "n": 9, "unit": "trials"}
    folders = [
        fake_runs.write_run(
            tmp_path / f"{dataset}{rule}", [fake_runs.table(**SMALL, dataset=dataset, seed=seed)], rule=rule,
            data={"agreement": [one | {"rule": rule, "value": 0.25}]},
        )
        for dataset in ("deap", "mahnob") for seed, rule in enumerate((">=5", "median"))
    ]  # fmt: skip
    stated = texts(results_section.data_blocks(read(*folders)))
    for dataset in ("deap", "mahnob"):
        for rule in (">=5", "median"):
            assert f"in {dataset}: valence (felt and perceived, rule {rule}) agrees with perceived_valence" in stated

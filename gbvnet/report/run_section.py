"""The report's section on one result: scores, confusion matrices or ratings, subjects, learning curves and gates."""

from collections.abc import Iterator
from pathlib import Path

from ..errors import GbvnetError
from . import explanation_section, figures, rating_figures, tuning_section
from .document import Block, Heading, Items, Picture, Text
from .figures import write_picture
from .formatting import capital, file_part, mean_sd
from .results import Result, read_history
from .task_words import words_of


def run_blocks(result: Result, name: str, folder: Path) -> Iterator[Block]:
    """Yield the section of one result.

    name : what the names of its pictures begin with; they are drawn into folder/figures
    """
    scores, words = result.scores, words_of(result.scores)
    baseline = "0" if words.baseline_is_zero else words.in_words(scores.majority["fold"])
    yield Heading(result.title + (" LEAKY" if scores.leaky else ""), 3)
    yield Text(
        f"{_source(result)}. {' · '.join(scores.stamps) + '. ' if scores.stamps else ''}Assessment: "
        f"{scores.assessment}. {capital(words.headline)}, mean of {scores.counts['folds']} folds: "
        f"{mean_sd(*scores.over_folds()[:2], words.score)}{words.unit}; {words.baseline} {baseline}, chance up to "
        f"{words.in_words(scores.chance['fold'].upper)} (both as means of folds)."
    )
    if scores.warnings:
        yield Items(scores.warnings)
    title, stamps = result.title, scores.stamps
    name = f"{name}_{file_part(result.run.name)}_{file_part(result.key('target'))}"
    yield _labels_picture(result, name, folder)
    marks = "triangle" if words.baseline_is_zero else "majority mark and triangle"
    passes = f"the subject's own {marks}" if words.baseline_is_zero else f"both the subject's own {marks}"
    undefined = scores.over_subjects().undefined
    why = " Undefined: all ratings of the subject are equal." if undefined else ""
    labels = "ratings" if words.baseline_is_zero else "labels"
    yield write_picture(
        figures.subject_scores(scores, title, stamps), folder, f"{name}_subjects",
        f"{capital(words.headline)} of each subject, {title}",
        f"How to read it: the {labels} of a subject are predicted only where the bar passes {passes}; with few trials "
        f"a subject the triangle is high.{why}",
    )  # fmt: skip
    if result.run.outside is None:
        yield from _training_blocks(result, name, folder)


def _source(result: Result) -> str:
    outside = result.run.outside
    return f"Run `{result.run.name}`" if outside is None else (
        f"Outside predictions, from `{outside.file}`; not trained by gbvnet"
    )  # fmt: skip


def _training_blocks(result: Result, name: str, folder: Path) -> Iterator[Block]:
    """What a run's folder has beyond predictions: learning curves, gates, explanations."""
    scores, title, stamps = result.scores, result.title, result.scores.stamps
    try:
        history = read_history(result.run, result.key("target"))
    except GbvnetError as error:
        yield Text(f"No learning curves: {error}", "warning")
        history = None
    if history is not None:
        on_test = (result.run.config.get("train") or {}).get("select") == "test"
        yield write_picture(
            figures.learning_curves(history, title, stamps, "the tested windows" if on_test else "validation"),
            folder, f"{name}_learning", f"Learning curves, {title}",
            "How to read it: lines are means over the folds that still train at that epoch, bands one standard "
            "deviation; where validation turns away from training the network begins to overfit. "
             + ("The epoch is chosen on the tested windows." if on_test else "Test windows are in no curve."),
        )  # fmt: skip
    if figures.has_gates(result.table):
        kinds = "smaller and larger errors" if scores.task == "regression" else "correct and wrong predictions"
        yield write_picture(
            figures.gate_histograms(result.table, title, stamps), folder, f"{name}_gates", f"Gates, {title}",
            "How to read it: further right lets more of a modality through; where the two lines differ, the gate "
            f"differs between {kinds}. A gate shows what is used, and not that it is useful.",
        )  # fmt: skip
    yield from tuning_section.tuning_blocks(result, name, folder)
    yield from explanation_section.explanation_blocks(result, name, folder)


def _labels_picture(result: Result, name: str, folder: Path) -> Picture:
    """Confusion matrices of classes; of numbers the ratings against the predictions."""
    title, stamps, classes = result.title, result.scores.stamps, result.scores.classes
    if result.scores.task == "regression":
        return write_picture(
            rating_figures.rated_and_predicted(result.table, result.scale, title, stamps), folder, f"{name}_ratings",
            f"Ratings and predictions, {title}", rating_figures.how_to_read(result.scale),
        )  # fmt: skip
    good = "two dark cells" if result.scores.task == "binary" else "dark cells"
    return write_picture(
        figures.confusion_matrices(result.table, title, stamps, classes), folder, f"{name}_confusion",
        f"Confusion matrices, {title}",
        f"How to read it: each row is a class as it was rated, and adds to 100 %; {good} on the falling "
        "diagonal are good, one dark column means that one class is nearly always predicted.",
    )  # fmt: skip

"""The report's section on one result: its scores, confusion matrices, subjects, learning curves and gates."""

from collections.abc import Iterator
from pathlib import Path

from ..errors import GbvnetError
from . import explanation_section, figures
from .document import Block, Heading, Items, Text
from .figures import write_picture
from .formatting import mean_sd, percent
from .results import Result, read_history


def run_blocks(result: Result, name: str, folder: Path) -> Iterator[Block]:
    """Yield the section of one result.

    name : what the names of its pictures begin with; they are drawn into folder/figures
    """
    scores = result.scores
    yield Heading(result.title + (" LEAKY" if scores.leaky else ""), 3)
    yield Text(
        f"Run `{result.run.name}`. {' · '.join(scores.stamps) + '. ' if scores.stamps else ''}Assessment: "
        f"{scores.assessment}. Accuracy, mean of {scores.counts['folds']} folds: "
        f"{mean_sd(*scores.over_folds()[:2])} %; majority {percent(scores.majority['fold'])} %, chance up to "
        f"{percent(scores.chance['fold'].upper)} % (both as means of folds)."
    )
    if scores.warnings:
        yield Items(scores.warnings)
    title, stamps = result.title, scores.stamps
    name = f"{name}_{result.run.name.replace('/', '_')}_{result.key('target')}"
    yield write_picture(
        figures.confusion_matrices(result.table, title, stamps), folder, f"{name}_confusion",
        f"Confusion matrices, {title}",
        "How to read it: each row is a class as it was rated, and adds to 100 %; two dark cells on the falling "
        "diagonal are good, one dark column means that one class is nearly always predicted.",
    )  # fmt: skip
    yield write_picture(
        figures.subject_accuracies(scores, title, stamps), folder, f"{name}_subjects",
        f"Accuracy of each subject, {title}",
        "How to read it: the labels of a subject are predicted only where the bar passes both the subject's own "
        "majority mark and triangle; with few trials a subject the triangle is high.",
    )  # fmt: skip
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
        yield write_picture(
            figures.gate_histograms(result.table, title, stamps), folder, f"{name}_gates", f"Gates, {title}",
            "How to read it: further right lets more of a modality through; where the two lines differ, the gate "
            "differs between correct and wrong predictions. A gate shows what is used, and not that it is useful.",
        )  # fmt: skip
    yield from explanation_section.explanation_blocks(result, name, folder)

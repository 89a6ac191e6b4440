"""What the paper and others published, in tables of their own: never in a table with results of these runs."""

from collections.abc import Iterator, Sequence

from ..evaluation.splits import UNITS
from ..provenance import SYNTHETIC, without_stamp
from .document import Block, Heading, Table, Text
from .formatting import NONE
from .published_results import CITED, PAPER_ABLATION, PAPER_OTHERS, SUBJECT_FIGURES, TARGETS
from .results import Result


def published_blocks(results: Sequence[Result]) -> Iterator[Block]:
    """Yield the paper's accuracies (Tables 3 and 4) for the datasets and modalities of these results of two classes."""
    results = [r for r in results if r.scores.task == "binary"]
    targets = [t for t in TARGETS if any(r.key("target") == t for r in results)]
    shown = {(without_stamp(r.key("dataset")), r.key("modality")) for r in results}
    rows = [
        (f"GBV-Net, {modality}", "Table 4", dataset, values)
        for (dataset, modality), values in PAPER_ABLATION.items()
        if (dataset, modality) in shown
    ]
    rows += [
        (work, "Table 3, cited there", dataset, values)
        for dataset, works in PAPER_OTHERS.items()
        if (dataset, "facebio") in shown
        for work, values in works.items()
    ]
    if not rows or not targets:
        return
    yield Heading("As published, other protocol")
    if any(r.synthetic for r in results):
        yield Text(
            f"Results above are from {SYNTHETIC}: nothing in this table can be compared with them. It is here so that "
            "the layout of a real report can be seen.", "warning",
        )  # fmt: skip
    yield Text(
        "Accuracy in % as printed in Yu et al. 2025 (doi:10.3390/s25206397). The paper assigns data to ten folds at "
        "random, gives no threshold for high and no class counts, and its figures plot the test folds as "
        "validation; the works it cites each have a protocol of their own. None of these numbers belongs beside an "
        "honest protocol; the LEAKY protocol window comes nearest."
    )
    yield Table(
        ("Source", "Where in the paper", "Dataset", *(t.capitalize() for t in targets)),
        [[*row[:3], *(f"{row[3][TARGETS.index(t)]:.2f}" for t in targets)] for row in rows],
        "As published, other protocol.",
        3,
    )


def cited_blocks(results: Sequence[Result]) -> Iterator[Block]:
    """Yield what Table 3 prints for the works whose systems are compared here on two classes, with their protocols."""
    results = [r for r in results if r.scores.task == "binary"]
    systems = {r.key("system") for r in results}
    targets = [t for t in TARGETS if any(r.key("target") == t for r in results)]
    rows = [
        [name, CITED[name].work, dataset, CITED[name].protocol,
         *(f"{works[CITED[name].work][TARGETS.index(t)]:.2f}" for t in targets)]
        for dataset, works in PAPER_OTHERS.items()
        for name in CITED
        if name in systems and any(without_stamp(r.key("dataset")) == dataset for r in results)
    ]  # fmt: skip
    if not rows or not targets:
        return
    yield Heading("As published, other protocols", 3)
    if any(r.synthetic for r in results):
        yield Text(f"Results above are from {SYNTHETIC}: nothing in this table can be compared with them.", "warning")
    yield Text(
        "Accuracy in % as Table 3 of Yu et al. 2025 (doi:10.3390/s25206397) prints it for the works cited, each under "
        "a protocol of its own. None of these numbers is comparable with those above, nor with each other."
    )
    columns = ("System here", "Source", "Dataset", "Its protocol", *(t.capitalize() for t in targets))
    yield Table(columns, rows, "As published, other protocols.", 4)


def subject_figure_blocks(results: Sequence[Result]) -> Iterator[Block]:
    """Yield what others published of new subjects, for the datasets and targets of these results that were tested on
    new subjects, with as many classes; nothing if there are none."""
    tested = [r for r in results if "subject" in UNITS.get(r.key("protocol"), ())]
    studied = {(without_stamp(r.key("dataset")), r.key("target"), r.scores.task) for r in tested}
    figures = [f for f in SUBJECT_FIGURES if (f.dataset, f.target, f.task) in studied]
    if not figures:
        return
    yield Heading("As published, new subjects")
    if any(r.synthetic for r in tested):
        yield Text(
            f"Results above are from {SYNTHETIC}: nothing in this table can be compared with them. It is here so that "
            "the layout of a real report can be seen.", "warning",
        )  # fmt: skip
    yield Text(
        "For reading beside the rows above whose protocol is subject or subject+stimulus: figures of other software on "
        "the same corpora, each with a protocol, classes, windows and a score of its own. None is in a ranking or a "
        "test. New subjects: whether no test subject was in training. The best of several methods is the one with the "
        "highest figure on the test subjects, which favours it. Where a work gives its trivial baseline (a guess that "
        "sees no signal), a figure at or below it shows no skill. Accuracies in %."
    )
    yield Table(
        ("Dataset", "Target", "Work", "Input", "Protocol", "New subjects", "Classes", "Metric", "Source",
         "Figure", "Its trivial baseline"),
        [[f.dataset, f.target, f.study.work, f.study.inputs, f.study.protocol, f.study.new_subjects, f.classes,
          f.metric, f.study.source, f.as_published(f.value), NONE if f.trivial is None else f.as_published(f.trivial)]
         for f in sorted(figures, key=lambda f: (f.dataset, f.target))],
        "As published, other software.", 9,
    )  # fmt: skip

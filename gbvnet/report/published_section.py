"""What the paper prints, in tables of its own: never in a table with results of these runs."""

from collections.abc import Iterator, Sequence

from ..provenance import SYNTHETIC, without_stamp
from .document import Block, Heading, Table, Text
from .published_results import CITED, PAPER_ABLATION, PAPER_OTHERS, TARGETS
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

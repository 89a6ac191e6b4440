"""Figures 1 to 4 of the paper from run folders: the network, learning curves, and what its parts contribute.

Blocks of a page, and a PNG file for each figure. No torch: the diagram of the network is handed in.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ...errors import GbvnetError
from ...provenance import LEAKY, SYNTHETIC, is_leaky, without_stamp
from ...report import figures
from ...report.document import Block, Heading, Text
from ...report.figures import write_picture
from ...report.results import Result, read_history
from .dataset_tables import corpus_name, slug
from .paper_tables import MODALITY, TARGETS, ablation_blocks, in_words
from .recipe import PlannedRun

CURVES = {"deap": "Figure 2", "mahnob": "Figure 3"}  # as the paper numbers them


def diagram_blocks(title: str, figure: Figure, folder: Path) -> Iterator[Block]:
    """Yield Figure 1, and write it into folder/figures."""
    yield Heading(f"Figure 1: the network, as built for {corpus_name(title)}", 3)
    yield write_picture(
        figure, folder, f"paper_figure1_{slug(title)}", "GBV-Net's parts with shapes and parameters",
        "How to read it: from left to right, one window goes through the boxes; under each is the shape of its "
        "output. It is drawn from the network itself, so what it shows is what was trained.",
    )  # fmt: skip


# ---------------------------------------------------------------- Figures 2 and 3: learning curves


def learning_curve_blocks(corpus: str, results: Sequence[Result], folder: Path) -> Iterator[Block]:
    """Yield the learning curves of GBV-Net under the leaky protocol and the first one that does not leak."""
    chosen = [next((r for r in results if r.scores.leaky is leaky and r.key("target") == target), None)
              for leaky in (True, False) for target in TARGETS]  # fmt: skip
    number, drawn = CURVES.get(without_stamp(corpus), "Learning curves"), False
    for r in chosen:
        if r is None:
            continue
        r = r.members[0] if r.members else r  # the curves of the first seed, which its title names
        try:
            history = read_history(r.run, r.key("target"))
        except GbvnetError as error:
            yield Text(f"No learning curves: {error}", "warning")
            continue
        if history is None:
            continue
        if not drawn:
            yield Heading(f"{number}: how GBV-Net trains, {corpus_name(corpus)}", 3)
            drawn = True
        tested = (r.run.config.get("train") or {}).get("select") == "test"
        name = f"paper_{number.lower().replace(' ', '')}_{slug(corpus)}_{r.key('protocol')}_{r.key('target')}"
        figure = figures.learning_curves(
            history, r.title, r.scores.stamps, "the tested windows" if tested else "validation"
        )
        yield write_picture(
            figure, folder, name, f"Learning curves of {r.title}", READ_CURVES + (TESTED if tested else UNSEEN)
        )


READ_CURVES = (
    "How to read it: lines are means over the folds that still train at that epoch, bands one standard deviation. "
    "Where the training loss still falls and the validation loss rises, the network overfits. "
)
TESTED = "Here “validation” is the tested windows themselves, as in older code: the epoch is chosen on them."
UNSEEN = (
    "Validation is on groups of the training side, under the run's own protocol (so that of a LEAKY run leaks); the "
    "paper's “validation” is the tested fold."
)


# ---------------------------------------------------------------- Figure 4: ablations


def ablation_figure_blocks(
    corpus: str,
    recipe: str,
    planned: list[tuple[Result, PlannedRun]],
    parts: list[tuple[Result, PlannedRun]],
    folder: Path,
) -> Iterator[Block]:
    """Yield Figure 4 for the leaky protocols and the first one that does not leak, with the table of ablations.

    planned : results of GBV-Net by modality; parts : of its ablations
    """
    protocols = list(dict.fromkeys(r.key("protocol") for r, run in planned if run.role == "whole"))
    wanted = [p for p in protocols if is_leaky(p)] + [p for p in protocols if not is_leaky(p)][:1]
    begun = False
    for of_protocol in wanted:
        mine = [
            (r, run) for r, run in planned if r.key("protocol") == of_protocol and run.role in ("whole", "modality")
        ]
        mine += [(r, run) for r, run in parts if r.key("protocol") == of_protocol]
        if len(mine) < 2:
            continue
        if not begun:
            yield Heading(f"Figure 4: ablations, {corpus_name(corpus)}, recipe {recipe}", 3)
            begun = True
        entries = [(r.key("target"), _bar_label(r, run), r.scores) for r, run in mine]
        stamps = [stamp for stamp in (LEAKY, SYNTHETIC) if any(stamp in r.scores.stamps for r, _ in mine)]
        figure = figures.score_overview(entries, stamps, f"Accuracy, % of windows, protocol {of_protocol}")
        name = f"paper_figure4_{slug(corpus)}_{recipe}_{of_protocol}"
        yield write_picture(figure, folder, name, f"GBV-Net with less, protocol {of_protocol}", READ_BARS)
    yield from ablation_blocks(corpus, recipe, planned, parts, folder)


READ_BARS = (
    "How to read it: the first bar is GBV-Net whole; the others see less, or have one setting changed. A bar shows "
    "learning only where it passes the black mark (majority) and the triangle (97.5 % of shuffles); a part contributes "
    "what its removal costs, and bars whose intervals overlap widely show no difference (the table tests it). Hatched "
    "bars are LEAKY."
)


def _bar_label(r: Result, run: PlannedRun) -> str:
    if run.role == "ablation":
        return in_words(run.label)
    return "GBV-Net (Facebio)" if run.role == "whole" else MODALITY[r.key("modality")]

"""Draw protocols.png: which protocol answers which question, with a fold of each as gbvnet splits it.

    python docs/guides/protocols_figure.py

The maps are real folds: `splits.make_folds` of 8 subjects x 8 stimuli x 6 windows (4 folds), and `splits.hold_out`, by
which `gbvnet transfer` splits, of two corpora. Only the questions are written here.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from gbvnet.config import PROTOCOLS, SplitConfig
from gbvnet.evaluation.splits import UNITS, Fold, hold_out, make_folds
from gbvnet.provenance import is_leaky
from gbvnet.report.figures import INK, SOFT, WARN, save, styled
from gbvnet.text import listed

OUT = Path(__file__).with_name("protocols.png")
SUBJECTS, STIMULI, WINDOWS, FOLDS = 8, 8, 6, 4
SIDES = {"train": "#0072B2", "validation": "#56B4E9", "test": "#E69F00"}  # Okabe and Ito's
UNUSED = "#DDE1E4"
WIDTH, ROW, TOP, BOTTOM = 8.6, 1.3, 0.05, 0.4  # inches

# Protocol: what a score under it is about. The order is that of the figure.
MEANING = {
    "trial": "New trials of known subjects,\nwith known stimuli. The default.\n"
    "(--scope per-subject: a model\nfor each subject.)",
    "stimulus": "New stimuli,\nshown to known subjects.",
    "subject": "New subjects, who saw the\nstimuli of the training.",
    "subject+stimulus": "New subjects and new stimuli:\nthe hardest question.",
    "transfer": "Subjects, stimuli and devices\nof another corpus\n(gbvnet transfer).",
    "window": "Nothing about new data:\nonly to set beside papers\nthat split so.",
}
QUESTIONS = {
    "transfer": "Must it work on another corpus?",
    "window": "Is it to be set beside figures\nof windows split at random?",
}


def table(corpora: int = 1) -> pd.DataFrame:
    """One row a window: corpora x subjects x stimuli x windows, each subject with names of its own corpus."""
    grid = np.indices((corpora, SUBJECTS // corpora, STIMULI // corpora, WINDOWS)).reshape(4, -1)
    corpus, subject, stimulus, window = grid
    names = {"subject": subject + corpus * SUBJECTS // corpora, "stimulus": stimulus + corpus * STIMULI // corpora}
    texts = {name: [f"{number:02d}" for number in values] for name, values in names.items()}
    return pd.DataFrame(texts | {"trial": texts["stimulus"], "window": window, "corpus": corpus})


def fold_of(protocol: str) -> tuple[pd.DataFrame, Fold]:
    """The windows, and a fold of a protocol, or that of a transfer."""
    if protocol == "transfer":
        windows = table(corpora=2)
        split = SplitConfig(protocol="subject+stimulus", folds=FOLDS)
        return windows, hold_out(windows, (windows["corpus"] == 1).to_numpy(), split)
    windows = table()
    return windows, make_folds(windows, SplitConfig(protocol=protocol, folds=FOLDS, validation=0.25))[0]


def draw_map(axes: Axes, protocol: str) -> None:
    """Draw a fold: a row a subject, a column a stimulus, a cell a trial, a strip in it a window."""
    windows, fold = fold_of(protocol)
    side_of = {row: side for side, rows in fold.sides.items() for row in rows}
    for row, one in windows.iterrows():
        colour = SIDES.get(side_of.get(row, ""), UNUSED)
        x = int(one["stimulus"]) + 0.06 + one["window"] * 0.88 / WINDOWS
        axes.add_patch(Rectangle((x, int(one["subject"]) + 0.08), 0.88 / WINDOWS, 0.84, color=colour, linewidth=0))
    axes.set(xlim=(0, STIMULI), ylim=(SUBJECTS, 0), xticks=[], yticks=[])
    axes.set_xlabel("stimuli", fontsize=7, labelpad=1)
    axes.set_ylabel("subjects", fontsize=7, labelpad=1)
    for spine in axes.spines.values():
        spine.set_visible(False)


def box(axes: Axes, x: float, y: float, width: float, height: float, text: str, colour: str = SOFT, **style) -> None:
    """Draw a box whose left edge is x and whose middle is y, with a text."""
    shape = FancyBboxPatch(
        (x, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.08",
        facecolor="white", edgecolor=colour, linewidth=1.2,
    )  # fmt: skip
    axes.add_patch(shape)
    axes.text(x + width / 2, y, text, ha="center", va="center", color=INK, **({"fontsize": 8.5} | style))


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "", colour: str = SOFT) -> None:
    """Draw an arrow, with a text in its middle."""
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=10, color=colour, linewidth=1.2,
                                   shrinkA=0, shrinkB=1))  # fmt: skip
    axes.text((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, text, ha="center", va="center", fontsize=8.5, color=INK,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip


@styled
def draw() -> Figure:
    """Return the figure: questions, protocols, what a score says, and a fold of each."""
    rows = list(MEANING)
    if set(rows) != {*PROTOCOLS, "transfer"}:
        raise SystemExit(f"protocols_figure: MEANING has {listed(rows)}, and gbvnet has {listed([*PROTOCOLS])}")
    height = TOP + ROW * len(rows) + BOTTOM
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.axis("off")
    middle = {name: height - TOP - ROW * (k + 0.5) for k, name in enumerate(rows)}
    known, new = (middle["trial"] + middle["stimulus"]) / 2, (middle["subject"] + middle["subject+stimulus"]) / 2
    root = (known + new) / 2
    box(axes, 0.1, root, 1.25, 0.72, "Must it work on\nnew subjects?")
    for y in (known, new):
        box(axes, 1.75, y, 1.1, 0.72, "… and on\nnew stimuli?")
    arrow(axes, (0.72, root + 0.36), (1.75, known), "no")
    arrow(axes, (0.72, root - 0.36), (1.75, new), "yes")
    for y, no, yes in ((known, "trial", "stimulus"), (new, "subject", "subject+stimulus")):
        arrow(axes, (2.85, y + 0.1), (3.3, middle[no]), "no")
        arrow(axes, (2.85, y - 0.1), (3.3, middle[yes]), "yes")
    for name, question in QUESTIONS.items():
        box(axes, 0.6, middle[name], 2.25, 0.55, question)
        arrow(axes, (2.85, middle[name]), (3.3, middle[name]))
    for name in rows:
        leaky = is_leaky(name)
        title = f"{name}\nLEAKY" if leaky else name.replace("+", "\n+ ")
        box(axes, 3.3, middle[name], 1.05, 0.62, title, WARN if leaky else "#0072B2", fontsize=9.5, fontweight="bold")
        units = UNITS.get(name, UNITS["subject+stimulus"])
        shared = "trials are on both sides" if leaky else f"no {' and no '.join(units)} on both sides"
        axes.text(4.5, middle[name] + 0.06, MEANING[name], ha="left", va="center", fontsize=8.5, color=INK)
        axes.text(3.3, middle[name] - 0.43, shared, ha="left", va="top", fontsize=7, color=WARN if leaky else SOFT)
        where = (7.2 / WIDTH, (middle[name] - 0.52) / height, 1.25 / WIDTH, 1.1 / height)
        draw_map(figure.add_axes(where), name)
    for k, (side, colour) in enumerate({**SIDES, "on no side": UNUSED}.items()):
        x = 3.3 + 1.25 * k
        axes.add_patch(Rectangle((x, 0.1), 0.16, 0.16, color=colour))
        axes.text(x + 0.22, 0.18, {"train": "training"}.get(side, side), va="center", fontsize=8.5, color=INK)
    return figure


if __name__ == "__main__":
    save(draw(), OUT)

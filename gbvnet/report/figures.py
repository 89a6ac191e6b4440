"""The report's figures, drawn without pyplot's global state. Each carries its stamps: leaky, synthetic data.

Colours are Okabe and Ito's, which colour-blind readers can distinguish; what a colour means is also shown by a hatch, a
marker or a word.
"""

import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..evaluation.labels import predicted_high
from ..evaluation.metrics import aggregate_trials
from ..evaluation.scores import Scores
from ..io.atomic import atomic_write
from .document import Picture

COLOUR = {
    "facebio": "#009E73",
    "face": "#E69F00",
    "bio": "#0072B2",
    "eeg": "#56B4E9",
    "peri": "#CC79A7",
    "faceeeg": "#8FB339",
    "faceperi": "#B08968",
}
RIGHT, WRONG, WARN, INK, SOFT = "#0072B2", "#D55E00", "#A5320A", "#1D2329", "#57606A"
DPI = 160
STYLE: Any = {
    "font.family": ["DejaVu Sans"],  # shipped with matplotlib, so that figures look the same everywhere
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
}
P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that returns a figure, so that it draws in STYLE."""

    @functools.wraps(draw)
    def draw_styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return draw_styled


def save(figure: Figure, path: Path) -> int:
    """Write a PNG, the same bytes for the same figure; returns the width to show it at, in CSS pixels."""
    content = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(content, dpi=DPI, metadata={"Software": None})
    atomic_write(path, content.getvalue())
    return round(figure.get_figwidth() * 96)


def write_picture(figure: Figure, folder: Path, name: str, alt: str, caption: str) -> Picture:
    """Write a figure into folder/figures/ and return it as a block of the page in `folder`."""
    path = f"figures/{name}.png"
    return Picture(path, alt, caption, save(figure, folder / path))


@styled
def learning_curves(history: pd.DataFrame, title: str, stamps: Sequence[str], validation: str = "validation") -> Figure:
    """Draw loss and accuracy by epoch: mean over folds, with a band of one standard deviation.

    history : one row a fold and epoch, with fold, epoch, train_loss, train_accuracy, inner_loss, inner_accuracy.
    validation : what the inner_ columns are of: the tested windows in a recipe that chooses its epoch on them
    """
    figure = empty_figure(6.4, 3.0, title, stamps)
    for axes, what in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        unit = 100 if what == "accuracy" else 1
        for side, name, colour, dashes in (
            ("train", "training", RIGHT, "-"),
            ("inner", validation, WRONG, "--"),
        ):
            by_epoch = history.groupby("epoch")[f"{side}_{what}"]
            mean, sd = unit * by_epoch.mean(), unit * by_epoch.std().fillna(0)
            axes.plot(mean.index, mean, color=colour, linestyle=dashes, label=name)
            low, high = mean - sd, mean + sd
            if what == "accuracy":  # no accuracy lies outside
                low, high = low.clip(lower=0), high.clip(upper=100)
            axes.fill_between(mean.index, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set(xlabel="epoch", title="loss" if what == "loss" else "accuracy, % of windows")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y", color="#E6E9ED")
    figure.axes[0].legend()
    return figure


@styled
def confusion_matrices(result: pd.DataFrame, title: str, stamps: Sequence[str]) -> Figure:
    """Draw labels against predictions, by window and by trial: counts, and the share of each label's row as shade."""
    figure = empty_figure(6.4, 3.5, title, stamps)
    for axes, rows, what in zip(
        figure.subplots(1, 2), (result, aggregate_trials(result)), ("windows", "trials"), strict=True
    ):
        high = predicted_high(rows["p"]).astype(int)
        counts = pd.crosstab(rows["y"], high).reindex(index=[0, 1], columns=[0, 1], fill_value=0).to_numpy()
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1.15, aspect="equal")
        for (y, x), n in np.ndenumerate(counts):
            colour = "white" if share[y, x] > 0.6 else INK
            axes.text(x, y, f"{n:,}\n{share[y, x]:.0%}", ha="center", va="center", color=colour)
        axes.set(title=what, xlabel="predicted", ylabel="rated")
        axes.set_xticks([0, 1], ["low", "high"])
        axes.set_yticks([0, 1], ["low", "high"])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure


def has_gates(result: pd.DataFrame) -> bool:
    """Return whether any prediction comes with the values of the gate."""
    return bool(result[["gate_face", "gate_bio"]].notna().any(axis=None))


@styled
def gate_histograms(result: pd.DataFrame, title: str, stamps: Sequence[str]) -> Figure:
    """Draw the distribution of the gate of each modality, for windows predicted correctly and wrongly."""
    figure = empty_figure(6.4, 2.8, title, stamps)
    correct = predicted_high(result["p"]) == (result["y"] == 1)
    edges = np.linspace(0, 1, 41)
    for axes, (column, name) in zip(
        figure.subplots(1, 2, sharey=True), (("gate_face", "face"), ("gate_bio", "signals")), strict=True
    ):
        for rows, colour, dashes in ((correct, RIGHT, "-"), (~correct, WRONG, "--")):
            values = result.loc[rows, column].dropna()
            if len(values):
                weights = np.full(len(values), 100 / len(values))
                axes.hist(
                    values, edges, weights=weights, histtype="step", color=colour, linestyle=dashes, linewidth=1.4
                )
                axes.axvline(values.mean(), color=colour, linestyle=":", linewidth=1)
        axes.set(xlim=(0, 1), title=f"mean gate of the {name}", xlabel="0 shut, 1 open")
    figure.axes[0].set_ylabel("% of windows")
    lines = [Line2D([], [], color=RIGHT, label="correct"), Line2D([], [], color=WRONG, ls="--", label="wrong")]
    figure.axes[1].legend(fontsize=8, handles=[*lines, Line2D([], [], color=SOFT, ls=":", label="mean")])
    return figure


@styled
def subject_accuracies(scores: Scores, title: str, stamps: Sequence[str]) -> Figure:
    """Draw the accuracy by window of each subject beside majority and chance of the same subject."""
    rows = scores.subjects
    figure = empty_figure(max(6.4, 1.1 + 0.24 * len(rows)), 3.2, title, stamps)
    axes = figure.subplots()
    x = np.arange(len(rows))
    colour = COLOUR.get(str(scores.keys["modality"]), SOFT)
    axes.bar(x, 100 * rows["accuracy"], 0.7, **_bar(colour, scores.leaky))
    axes.plot(x, 100 * rows["majority"], linestyle="none", marker="_", markersize=12, markeredgewidth=2, color=INK)
    axes.plot(x, 100 * rows["chance_upper"], **_TRIANGLE)
    axes.set_xticks(x, rows["subject"], rotation=90 if len(rows) > 10 else 0)
    axes.set(ylim=(0, 100), ylabel="accuracy, % of windows")
    axes.margins(x=0.02)
    handles = [Patch(label=str(scores.keys["modality"]), **_bar(colour, scores.leaky)), *_marks("_")]
    figure.legend(handles=handles, loc="outside lower left", ncols=3)
    return figure


@styled
def accuracy_overview(
    entries: Sequence[tuple[str, str, Scores]], stamps: Sequence[str], title: str = "Accuracy, % of windows"
) -> Figure:
    """Draw each result's accuracy by window with its interval beside majority and chance; leaky ones are hatched.

    entries : (panel, label, scores), drawn from top to bottom in the order given.
    """
    panels = list(dict.fromkeys(panel for panel, _, _ in entries))
    tallest = max(sum(panel == entry[0] for entry in entries) for panel in panels)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = empty_figure(1.2 + 4.6 * columns, 1.1 + rows * (0.4 + 0.36 * tallest), title, stamps)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(places[: len(panels)], panels, strict=True):
        _overview_panel(axes, [(label, scores) for name, label, scores in entries if name == panel])
        axes.set_ylim(tallest - 0.5, -0.5)  # bars of all panels are equally thick
        axes.set_title(panel)
    for axes in places[len(panels) :]:
        axes.axis("off")
    handles: list[Artist] = [*_marks("|"), Line2D([], [], color=INK, linewidth=1, label="95 % bootstrap interval")]
    if any(scores.leaky for _, _, scores in entries):
        handles.append(Patch(label="LEAKY: no measure of skill", **_bar(SOFT, True)))
    figure.legend(handles=handles, loc="outside lower left", ncols=min(4, 2 * columns))
    return figure


def _overview_panel(axes: Axes, entries: Sequence[tuple[str, Scores]]) -> None:
    for at, (_, scores) in enumerate(entries):
        value, interval = 100 * scores.window["accuracy"], scores.window_interval["accuracy"]
        axes.barh(at, value, 0.62, **_bar(COLOUR.get(str(scores.keys["modality"]), SOFT), scores.leaky))
        axes.plot([100 * interval.low, 100 * interval.high], [at, at], color=INK, linewidth=1)
        axes.plot(100 * scores.majority["window"], at, marker="|", markersize=12, markeredgewidth=2, color=INK)
        axes.plot(100 * scores.chance["window"].upper, at + 0.22, **_TRIANGLE)
        axes.text(1.5, at, f"{value:.1f}" + ("  LEAKY" if scores.leaky else ""), va="center", fontsize=8, color=INK,
                  bbox={"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1.2})  # fmt: skip
    axes.set_yticks(range(len(entries)), [label for label, _ in entries])
    axes.set(xlim=(0, 100), ylim=(len(entries) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(axis="x", color="#E6E9ED")


@styled
def inflation_lines(pairs: dict[str, pd.DataFrame], stamps: Sequence[str]) -> Figure:
    """Draw a panel for each honest protocol: each subject's accuracy there and under the leaky one, joined by a line.

    pairs : protocol -> one row a subject, with honest and leaky, shares of windows.
    """
    figure = empty_figure(max(6.4, 1.8 * len(pairs)), 3.2, "Accuracy of each subject, % of windows", stamps)
    for axes, (protocol, rows) in zip(figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0], pairs.items(),
                                      strict=True):  # fmt: skip
        axes.plot([0, 1], 100 * rows[["honest", "leaky"]].to_numpy().T, color=SOFT, linewidth=0.8, marker="o", ms=3)
        axes.plot([0, 1], 100 * rows[["honest", "leaky"]].mean(), color=WARN, linewidth=2, marker="o", ms=5)
        axes.set_xticks([0, 1], [protocol.replace("+", "+\n"), "window\nLEAKY"])
        axes.set(xlim=(-0.3, 1.3), ylim=(0, 102))
        axes.grid(axis="y", color="#E6E9ED")
    mean = Line2D([], [], color=WARN, linewidth=2, marker="o", label="mean of subjects")
    figure.legend(handles=[mean], loc="outside lower left")
    return figure


def _bar(colour: str, leaky: bool) -> dict:
    if leaky:
        return {"facecolor": "white", "edgecolor": colour, "hatch": "////", "linewidth": 1}
    return {"facecolor": colour, "edgecolor": colour, "linewidth": 1}


_TRIANGLE: Any = {
    "linestyle": "none", "marker": "^", "markersize": 6, "color": WRONG, "markeredgecolor": "white",
    "markeredgewidth": 0.6,
}  # fmt: skip


def _marks(majority: str) -> list[Line2D]:
    """What the marks mean, for a legend; majority is a line across the bars, "|" or "_"."""
    line = Line2D(
        [], [], linestyle="none", marker=majority, markersize=9, markeredgewidth=2, color=INK, label="majority"
    )
    return [line, Line2D([], [], label="chance, 97.5 % of permutations", **_TRIANGLE)]


def empty_figure(width: float, height: float, title: str, stamps: Sequence[str]) -> Figure:
    """Return an empty figure with its title and, under it in red, its stamps. width, height : in inches"""
    figure = Figure(figsize=(width, height + 0.3 * bool(stamps)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        title + ("\n " if stamps else ""), x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK, linespacing=1.5
    )
    below = 1 - 22 / (72 * figure.get_figheight())  # a line under the title, in points
    figure.text(0.01, below, " · ".join(stamps), ha="left", va="top", fontsize=8.5, fontweight="bold", color=WARN)
    return figure

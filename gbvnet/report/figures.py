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
from numpy.typing import ArrayLike

from ..evaluation.labels import predicted_high
from ..evaluation.metrics import aggregate_trials, metrics_of
from ..evaluation.multiclass import predicted_class
from ..evaluation.prediction_schema import class_columns
from ..evaluation.predictions import n_classes, task_of
from ..evaluation.scores import Scores
from ..evaluation.seed_means import SeedScores
from ..evaluation.targets import LOW_HIGH
from ..io.atomic import atomic_write
from .document import Picture
from .task_words import WORDS, TaskWords, words_of

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
TITLE_LETTERS = 12.2  # of a title in an inch, bold, 10 points
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
    """Draw loss and accuracy by epoch: mean over folds, with a band of one standard deviation. Of numbers loss alone.

    history : one row a fold and epoch, with fold, epoch, train_loss, train_accuracy, inner_loss, inner_accuracy.
    validation : what the inner_ columns are of: the tested windows in a recipe that chooses its epoch on them
    """
    has_accuracy = history[["train_accuracy", "inner_accuracy"]].notna().any(axis=None)
    shown = ("loss", "accuracy") if has_accuracy else ("loss",)
    figure = empty_figure(6.4, 3.0, title, stamps)
    for axes, what in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
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
def confusion_matrices(
    result: pd.DataFrame, title: str, stamps: Sequence[str], classes: Sequence[str] = LOW_HIGH
) -> Figure:
    """Draw labels against predictions, by window and by trial: counts, and the share of each label's row as shade.

    classes : names in the order of their numbers
    """
    k = len(classes)
    longest = max(map(len, classes))
    if k <= 4:
        width, height, rows, columns = 6.4 if k == 2 else 8.4, 3.5 if k == 2 else 4.4 + 0.02 * longest, 1, 2
    else:  # one above the other, so that each can be as wide as a page
        side = min(0.55 * k, 10.0)
        width, height, rows, columns = max(4.6, side + 1.2 + 0.07 * longest), 2 * (side + 1.1 + 0.05 * longest), 2, 1
    figure = empty_figure(width, height, title, stamps)
    tables = (result, aggregate_trials(result))
    for axes, table, what in zip(figure.subplots(rows, columns).ravel(), tables, ("windows", "trials"), strict=True):
        _confusion_panel(axes, np.asarray(metrics_of(table).confusion(table)), classes)
        axes.set(title=what, xlabel="predicted", ylabel="rated")
        if longest > (8 if k <= 4 else 4):
            axes.set_xticks(range(k), classes, rotation=40, ha="right", rotation_mode="anchor")
    return figure


def _confusion_panel(axes: Axes, counts: np.ndarray, classes: Sequence[str]) -> None:
    k = len(classes)
    size = 9 if k <= 4 else max(4.5, min(7.5, 7.5 * 18 / k))  # beyond 18 classes a cell shrinks
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.15, aspect="equal")
    for (y, x), n in np.ndenumerate(counts):
        if n == 0 and k > 4:  # empty cells stay empty where there are many
            continue
        colour = "white" if share[y, x] > 0.6 else INK
        axes.text(x, y, f"{n:,}\n{share[y, x]:.0%}", ha="center", va="center", color=colour, fontsize=size)
    axes.set_xticks(range(k), classes)
    axes.set_yticks(range(k), classes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def has_gates(result: pd.DataFrame) -> bool:
    """Return whether any prediction comes with the values of the gate."""
    return bool(result[["gate_face", "gate_bio"]].notna().any(axis=None))


@styled
def gate_histograms(result: pd.DataFrame, title: str, stamps: Sequence[str]) -> Figure:
    """Draw the distribution of the gate of each modality, for windows predicted correctly and wrongly.

    Of numbers, for windows with an error below the median and for the others.
    """
    figure = empty_figure(6.4, 2.8, title, stamps)
    correct, names = _correct_windows(result)
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
    lines = [Line2D([], [], color=RIGHT, label=names[0]), Line2D([], [], color=WRONG, ls="--", label=names[1])]
    figure.axes[1].legend(fontsize=8, handles=[*lines, Line2D([], [], color=SOFT, ls=":", label="mean")])
    return figure


def _correct_windows(result: pd.DataFrame) -> tuple[pd.Series, tuple[str, str]]:
    """Which windows are predicted correctly, or of numbers better than half of all; and the names of the two kinds."""
    task = task_of(result)
    if task == "binary":
        return predicted_high(result["p"]) == (result["y"] == 1), ("correct", "wrong")
    if task == "multiclass":
        p = result[class_columns(n_classes(result))[0]].to_numpy(float)
        return predicted_class(p) == result["y"], ("correct", "wrong")
    error = (result["y_hat"] - result["y"]).abs()
    return error <= error.median(), ("smaller errors", "larger errors")


@styled
def subject_scores(scores: Scores, title: str, stamps: Sequence[str]) -> Figure:
    """Draw the headline score by window of each subject beside baseline and chance of the same subject.

    A subject whose score is undefined has that word and no bar.
    """
    rows, words = scores.subjects, words_of(scores)
    figure = empty_figure(max(6.4, 1.1 + 0.24 * len(rows)), 3.2, title, stamps)
    axes = figure.subplots()
    x = np.arange(len(rows))
    colour = COLOUR.get(str(scores.keys["modality"]), SOFT)
    values = words.factor * rows[scores.main]
    axes.bar(x, values, 0.7, **_bar(colour, scores.leaky))
    if words.baseline_is_zero:
        axes.axhline(0, color=INK, linewidth=1.5)
    else:
        axes.plot(x, 100 * rows["majority"], linestyle="none", marker="_", markersize=12, markeredgewidth=2, color=INK)
    axes.plot(x, words.factor * rows["chance_upper"], **_TRIANGLE)
    for k in np.flatnonzero(values.isna()):
        axes.text(float(k), 0.02, "undefined", ha="center", va="bottom", rotation=90, fontsize=7.5, color=SOFT)
    axes.set_xticks(x, rows["subject"], rotation=90 if len(rows) > 10 else 0)
    axes.set(ylim=_limits(words, values), ylabel=words.axis)
    axes.margins(x=0.02)
    handles = [Patch(label=str(scores.keys["modality"]), **_bar(colour, scores.leaky)), *_marks("_", words)]
    figure.legend(handles=handles, loc="outside lower left", ncols=3)
    return figure


def _limits(words: TaskWords, values: ArrayLike) -> tuple[float, float]:
    """The limits of an axis with the headline score: 0 to 100 %, or -0.2, or what is needed below, to 1."""
    if words.factor == 100:
        return 0, 100
    defined = np.asarray(values, float)
    lowest = defined[~np.isnan(defined)].min(initial=0)
    return min(-0.2, np.floor(10 * lowest) / 10), 1


@styled
def score_overview(entries: Sequence[tuple[str, str, Scores]], stamps: Sequence[str], title: str = "") -> Figure:
    """Draw each result's headline score by window with its interval beside baseline and chance; leaky ones are hatched.

    entries : (panel, label, scores), drawn from top to bottom in the order given, all with one headline score
    title : default: that of the headline score
    """
    words = words_of(entries[0][2])
    panels = list(dict.fromkeys(panel for panel, _, _ in entries))
    tallest = max(sum(panel == entry[0] for entry in entries) for panel in panels)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = empty_figure(1.2 + 4.6 * columns, 1.1 + rows * (0.4 + 0.36 * tallest), title or words.title, stamps)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(places[: len(panels)], panels, strict=True):
        _overview_panel(axes, [(label, scores) for name, label, scores in entries if name == panel])
        axes.set_ylim(tallest - 0.5, -0.5)  # bars of all panels are equally thick
        axes.set_title(panel)
    for axes in places[len(panels) :]:
        axes.axis("off")
    handles: list[Artist] = [
        *_marks("|", words),
        Line2D([], [], color=INK, linewidth=1, label="95 % bootstrap interval"),
    ]
    if any(isinstance(scores, SeedScores) for _, _, scores in entries):
        handles.append(Line2D([], [], label="each seed", **_SEED))
    if any(scores.leaky for _, _, scores in entries):
        handles.append(Patch(label="LEAKY: no measure of skill", **_bar(SOFT, True)))
    figure.legend(handles=handles, loc="outside lower left", ncols=min(4, 2 * columns))
    return figure


def _overview_panel(axes: Axes, entries: Sequence[tuple[str, Scores]]) -> None:
    words = words_of(entries[0][1])
    factor = words.factor
    for at, (_, scores) in enumerate(entries):
        value, interval = scores.window[scores.main], scores.window_interval[scores.main]
        axes.barh(at, factor * value, 0.62, **_bar(COLOUR.get(str(scores.keys["modality"]), SOFT), scores.leaky))
        axes.plot([factor * interval.low, factor * interval.high], [at, at], color=INK, linewidth=1)
        axes.plot(factor * scores.majority["window"], at, marker="|", markersize=12, markeredgewidth=2, color=INK)
        axes.plot(factor * scores.chance["window"].upper, at + 0.22, **_TRIANGLE)
        if isinstance(scores, SeedScores):
            of_seeds = [factor * s.window[s.main] for s in scores.by_seed.values()]
            axes.plot(of_seeds, [at - 0.2] * len(of_seeds), **_SEED)
        axes.text(0.015 * factor, at, words.value(value) + ("  LEAKY" if scores.leaky else ""), va="center",
                  fontsize=8, color=INK,
                  bbox={"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1.2})  # fmt: skip
    if words.baseline_is_zero:
        axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(entries)), [label for label, _ in entries])
    lows = [scores.window_interval[scores.main].low for _, scores in entries]
    axes.set(xlim=_limits(words, lows), ylim=(len(entries) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(axis="x", color="#E6E9ED")


@styled
def inflation_lines(
    pairs: dict[str, pd.DataFrame], stamps: Sequence[str], words: TaskWords = WORDS["binary"]
) -> Figure:
    """Draw a panel for each honest protocol: each subject's score there and under the leaky one, joined by a line.

    pairs : protocol -> one row a subject, with honest and leaky, the headline score; NaN where undefined.
    """
    title = "CCC of each subject" if words.baseline_is_zero else "Accuracy of each subject, % of windows"
    figure = empty_figure(max(6.4, 1.8 * len(pairs)), 3.2, title, stamps)
    lows = np.concatenate([rows[["honest", "leaky"]].to_numpy(float).ravel() for rows in pairs.values()])
    low, high = _limits(words, lows)
    for axes, (protocol, rows) in zip(figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0], pairs.items(),
                                      strict=True):  # fmt: skip
        both = words.factor * rows[["honest", "leaky"]].dropna()
        axes.plot([0, 1], both.to_numpy().T, color=SOFT, linewidth=0.8, marker="o", ms=3)
        axes.plot([0, 1], both.mean(), color=WARN, linewidth=2, marker="o", ms=5)
        axes.set_xticks([0, 1], [protocol.replace("+", "+\n"), "window\nLEAKY"])
        axes.set(xlim=(-0.3, 1.3), ylim=(low, 1.02 * high))
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


_SEED: Any = {
    "linestyle": "none", "marker": "o", "markersize": 3.5, "color": "white", "markeredgecolor": INK,
    "markeredgewidth": 0.8,
}  # fmt: skip


def _marks(baseline: str, words: TaskWords) -> list[Line2D]:
    """What the marks mean, for a legend; the baseline is a line across the bars, "|" or "_"."""
    line = Line2D(
        [], [], linestyle="none", marker=baseline, markersize=9, markeredgewidth=2, color=INK, label=words.baseline
    )
    return [line, Line2D([], [], label="chance, 97.5 % of permutations", **_TRIANGLE)]


def empty_figure(width: float, height: float, title: str, stamps: Sequence[str]) -> Figure:
    """Return an empty figure with its title and, under it in red, its stamps. width, height : in inches

    A title that is too long for the width is set smaller.
    """
    size = min(10, 10 * TITLE_LETTERS * (width - 0.15) / max(len(title), 1))
    figure = Figure(figsize=(width, height + 0.3 * bool(stamps)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        title + ("\n " if stamps else ""),
        x=0.01,
        ha="left",
        fontsize=size,
        fontweight="bold",
        color=INK,
        linespacing=1.5,
    )
    below = 1 - 22 / (72 * figure.get_figheight())  # a line under the title, in points
    figure.text(0.01, below, " · ".join(stamps), ha="left", va="top", fontsize=8.5, fontweight="bold", color=WARN)
    return figure

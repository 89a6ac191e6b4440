"""Figures of what a system uses: channels on the scalp, patches of the face, noise, and gates. No torch here.

Each function returns a figure with its stamps; its caption is a constant beside it.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from .explanation_outputs import ALL, BINARY, ExplainedOutput
from .figures import COLOUR, INK, SOFT, empty_figure, styled

FACE_COLOUR, SIGNALS_COLOUR = COLOUR["face"], COLOUR["bio"]


class Line(NamedTuple):
    """A curve with a band: what is drawn, and how."""

    column: str  # of the table
    label: str
    colour: str
    dashes: str
    marker: str
    unit: float = 1  # factor of the values


GATES = (
    Line("gate_face", "gate of the face", FACE_COLOUR, "-", "o"),
    Line("gate_bio", "gate of the signals", SIGNALS_COLOUR, "--", "s"),
)
GRID = "#E6E9ED"
DIVERGING = "RdBu_r"  # red where it helps, blue where it misleads
MIN_ELECTRODES = 6  # for a map: with fewer, most of it would be interpolated
MAX_CLASSES = 8  # that have a picture of the face each
MAX_ACROSS = 5  # pictures of the face

# Parts in braces depend on the task: explanation_outputs.py has them.

READ_CHANNELS = (
    "How to read it: the samples of each channel in turn are replaced by those of another window. {words.channels} "
    "Names: the three strongest. Channels with the same information share their importance, so a pale one may "
    "still be informative. Bars are means over folds, whiskers one standard deviation."
)
READ_FEATURES = (
    "How to read it: the features of one part of the face in turn, in all frames, are replaced by those of another "
    "window. {words.channels} Parts that move together share their importance. Bars are means over folds, whiskers one "
    "standard deviation. The system sees no pictures, so no patches of a face can be shown."
)
READ_SALIENCY = (
    "How to read it: each patch in turn is covered with the face's mean colour, in all frames. {words.patches}; "
    "“change in either direction” counts both. The picture below is the mean of the explained faces. {words.scales}"
)
READ_ROBUSTNESS = (
    "How to read it: from left to right, noise replaces a modality's power, until only noise is left; "
    "{words.noise}, and its gate closes for the noisy modality. Means over folds, bands one standard "
    "deviation."
)
READ_GATE_TIME = (
    "How to read it: lines are means over trials at each second of the stimulus, bands one standard deviation between "
    "windows. A line that is not flat shows that the model weighs its modalities differently over the trial; the band "
    "shows how much windows differ."
)
READ_GATE_SUBJECTS = (
    "How to read it: dots are each subject's mean gate, whiskers one standard deviation between the subject's windows. "
    "For subjects far from the others the model weighs the modalities differently; whether that helps is shown by "
    "their accuracy above."
)


# ---------------------------------------------------------------- channels


@styled
def channel_map(channels: pd.DataFrame, title: str, stamps: Sequence[str], output: ExplainedOutput = BINARY) -> Figure:
    """Draw the importance of each channel: electrodes with a known position on a scalp, all others as bars.

    channels : one row a fold and channel, with channel, kind, and the columns of loss and change of the output:
        auc_drop, logit_change for two classes.
    """
    loss = output.loss_of(output.scores[0])
    mean = channels.groupby("channel", sort=False)[[loss, output.change]].mean()
    sd = channels.groupby("channel", sort=False)[[loss, output.change]].std().fillna(0)
    kind = channels.groupby("channel", sort=False)["kind"].first()
    placed = on_scalp([str(name) for name in mean.index[kind == "eeg"]])
    others = [name for name in mean.index if name not in placed]
    tall = 2.9 * bool(placed) + (0.75 + 0.19 * len(others)) * bool(others)
    figure = empty_figure(6.8, tall, title, stamps)
    heights = [2.9] * bool(placed) + [0.75 + 0.19 * len(others)] * bool(others)
    panels = figure.subplots(len(heights), 2, squeeze=False, gridspec_kw={"height_ratios": heights})
    names = ((loss, output.words.loss), (output.change, output.words.change))
    for column, (name, words) in enumerate(names):
        if placed:
            _scalp(panels[0, column], mean.loc[placed, name], placed, words, signed=name == loss)
        if others:
            _channel_bars(panels[-1, column], mean.loc[others, name], sd.loc[others, name], words)
    return figure


def _montage() -> Any:
    """The 10-20 positions under the name that this version of mne has for them."""
    from mne.channels import get_builtin_montages, make_standard_montage

    return make_standard_montage("colin27_1020" if "colin27_1020" in get_builtin_montages() else "standard_1020")


def on_scalp(names: Sequence[str]) -> list[str]:
    """Return the names that are positions of the 10-05 system; none if there are too few for a map."""
    known = set(_montage().ch_names)
    placed = [name for name in names if name in known]
    return placed if len(placed) >= MIN_ELECTRODES else []


def _scalp(axes: Axes, values: pd.Series, names: list[str], words: str, signed: bool) -> None:
    import mne

    info = mne.create_info(names, 128.0, "eeg")
    info.set_montage(_montage(), verbose="error")
    shown = values.fillna(0).to_numpy(float)
    most = max(float(np.abs(shown).max()), 1e-6)
    limits = (-most, most) if signed else (0.0, most)
    best = set(values.sort_values(ascending=False).index[:3])
    # Straight lines between electrodes, and outside them the mean of the nearest: no peak where nothing was measured.
    image, _ = mne.viz.plot_topomap(
        shown, info, axes=axes, show=False, cmap=DIVERGING if signed else "Reds", vlim=limits, contours=0,
        image_interp="linear", border="mean", names=[name if name in best else "" for name in names],
    )  # fmt: skip
    for name in axes.texts:
        name.set(fontsize=8.5, fontweight="bold", path_effects=[withStroke(linewidth=2.5, foreground="white")])
    axes.set_title(words, loc="left")
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.7, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5)


def _channel_bars(axes: Axes, mean: pd.Series, sd: pd.Series, words: str) -> None:
    at = np.arange(len(mean))
    axes.barh(
        at, mean.fillna(0), 0.65, color=SIGNALS_COLOUR, xerr=sd.fillna(0), error_kw={"ecolor": SOFT, "elinewidth": 1}
    )
    axes.set_yticks(at, [str(name) for name in mean.index], fontsize=8)
    axes.set(ylim=(len(mean) - 0.4, -0.6), xlabel=words)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.grid(axis="x", color=GRID)


# ---------------------------------------------------------------- the face


def read_features(output: ExplainedOutput) -> str:
    """Return the caption of `channel_map` of groups of face features."""
    return READ_FEATURES.format(words=output.words).replace("the channel", "the part")


def shown_groups(saliency: pd.DataFrame, output: ExplainedOutput) -> dict[str, str]:
    """Return the groups of windows that have a picture each, with their titles: at most MAX_CLASSES, the largest."""
    titles, windows = output.group_titles(), saliency.groupby(output.group)["windows"].first()
    largest = sorted(titles, key=lambda group: -windows.get(group, 0))[:MAX_CLASSES]
    return {group: title for group, title in titles.items() if group in largest}


def read_saliency(saliency: pd.DataFrame, output: ExplainedOutput, black: bool = False) -> str:
    """Return the caption of `saliency_map`. black : whether patches were covered with black, not the mean colour"""
    shown, every = len(shown_groups(saliency, output)), len(output.group_titles())
    left_out = f" Of {every} classes the {shown} with the most windows are shown." if shown < every else ""
    caption = READ_SALIENCY.format(words=output.words) + left_out
    return caption.replace("the face's mean colour", "black") if black else caption


@styled
def saliency_map(
    saliency: pd.DataFrame, face: np.ndarray, title: str, stamps: Sequence[str], output: ExplainedOutput = BINARY
) -> Figure:
    """Draw the importance of each patch of the face, over the mean face.

    saliency : one row a group of windows (all, high, low for two classes) and patch, with row, column, and the columns
        of loss and change of the output: drop, change for two classes
    face : (S, S, 3), 0..255
    """
    grid = int(saliency[["row", "column"]].to_numpy().max()) + 1
    groups = {ALL: "all windows"} | shown_groups(saliency, output)
    down = ceil((len(groups) + 1) / MAX_ACROSS)
    across = ceil((len(groups) + 1) / down)
    figure = empty_figure(2.3 * across, 0.75 + 2 * down, title, stamps)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for spare in panels[len(groups) + 1 :]:
        spare.set_visible(False)
    grey = face.astype(float) @ [0.299, 0.587, 0.114]
    most = max(float(saliency[output.patch_loss].abs().max()), 1e-6)
    signed = TwoSlopeNorm(0, -most, most)
    rows = dict(iter(saliency.groupby(output.group)))
    for axes, (group, words) in zip(panels[: len(groups)], groups.items(), strict=True):
        of_group = rows.get(group, saliency[:0])
        axes.set_title(f"{words}, n = {int(of_group['windows'].iloc[0]) if len(of_group) else 0:,}")
        _overlay(axes, grey, _patches(of_group, output.patch_loss, grid), signed, DIVERGING)
    change = _patches(rows.get(ALL, saliency[:0]), output.patch_change, grid)
    plain = Normalize(0, max(float(change.max()), 1e-6))
    last = panels[len(groups)]
    last.set_title("change in either direction")
    _overlay(last, grey, change, plain, "Reds")
    for norm, cmap, beside, words in (
        (signed, DIVERGING, list(panels[(down - 1) * across : len(groups)]), output.words.patch_loss),
        (plain, "Reds", [last], output.words.patch_change),
    ):
        bar = figure.colorbar(
            ScalarMappable(norm, cmap),
            ax=beside,
            orientation="horizontal",
            shrink=0.7,
            pad=0.03,
            aspect=12 * len(beside),
        )
        bar.set_label(words, fontsize=8)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=7.5)
    return figure


def _patches(rows: pd.DataFrame, name: str, grid: int) -> np.ndarray:
    """(G, G), 0 where there is nothing to show."""
    values = np.zeros((grid, grid))
    values[rows["row"].to_numpy(int), rows["column"].to_numpy(int)] = rows[name]
    return values


def _overlay(axes: Axes, grey: np.ndarray, values: np.ndarray, norm: Any, cmap: str) -> None:
    """The stronger a patch, the less of the face shows through."""
    frame = (0, 1, 1, 0)  # left, right, bottom, top
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=frame, interpolation="bilinear")
    most = float(np.abs(values).max())
    strength = np.abs(values) / most if most else np.zeros_like(values)
    axes.imshow(values, cmap=cmap, norm=norm, extent=frame, alpha=0.1 + 0.65 * strength, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


# ---------------------------------------------------------------- noise


@styled
def robustness_curves(
    robustness: pd.DataFrame, title: str, stamps: Sequence[str], output: ExplainedOutput = BINARY
) -> Figure:
    """Draw scores, and the mean gates where there are any, against the noise in each modality.

    robustness : one row a fold, modality, how (noise or removed) and noise, with the scores of `output.words.curves`
        (accuracy for two classes), gate_face, gate_bio.
    """
    curves = output.words.curves
    modalities = [m for m in ("face", "signals") if (robustness["modality"] == m).any()]
    gated = robustness[["gate_face", "gate_bio"]].notna().any(axis=None)
    down = len(curves) + bool(gated)
    figure = empty_figure(1.4 + 2.9 * len(modalities), 0.4 + 2.2 * down, title, stamps)
    panels = figure.subplots(down, len(modalities), squeeze=False, sharex=True, sharey="row")
    for column, modality in enumerate(modalities):
        rows = robustness[robustness["modality"] == modality]
        noise = rows[rows["how"] == "noise"]
        for axes, curve in zip(panels[: len(curves), column], curves, strict=True):
            _curve(axes, noise, Line(curve.column, curve.label, INK, "-", "o", curve.unit))
            removed = rows.loc[rows["how"] == "removed", curve.column]
            if len(removed):
                axes.axhline(curve.unit * removed.mean(), color=SOFT, linestyle=":", label=f"{modality} removed")
            axes.legend(fontsize=8)
        panels[0, column].set_title(f"noise in the {modality}")
        if gated:
            for line in GATES:
                _curve(panels[-1, column], noise, line)
            panels[-1, column].legend(fontsize=8)
        panels[-1, column].set(xlabel="share of the power that is noise", xlim=(-0.04, 1.04))
    for axes, curve in zip(panels[: len(curves), 0], curves, strict=True):
        axes.set_ylabel(curve.axis)
    if gated:
        panels[-1, 0].set_ylabel("mean gate")
    return figure


def _curve(axes: Axes, rows: pd.DataFrame, line: Line) -> None:
    by_noise = rows.groupby("noise")[line.column]
    mean, sd = line.unit * by_noise.mean(), line.unit * by_noise.std().fillna(0)
    axes.plot(
        mean.index, mean, color=line.colour, linestyle=line.dashes, marker=line.marker, markersize=4, label=line.label
    )
    axes.fill_between(mean.index, mean - sd, mean + sd, color=line.colour, alpha=0.15, linewidth=0)
    axes.grid(axis="y", color=GRID)


# ---------------------------------------------------------------- gates, from the predictions alone


@styled
def gate_over_time(result: pd.DataFrame, title: str, stamps: Sequence[str]) -> Figure:
    """Draw the mean gate of each modality against the time within the trial.

    result : the predictions of one target. Times that fewer than a tenth of the trials reach are left out.
    """
    figure = empty_figure(6.4, 2.8, title, stamps)
    axes = figure.subplots()
    for line in GATES:
        by_time = result.dropna(subset=[line.column]).groupby("start_s")[line.column]
        enough = by_time.count() >= 0.1 * by_time.count().max()
        mean, sd = by_time.mean()[enough], by_time.std().fillna(0)[enough]
        axes.plot(mean.index, mean, color=line.colour, linestyle=line.dashes, label=line.label)
        axes.fill_between(mean.index, mean - sd, mean + sd, color=line.colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="start of the window within the stimulus, s", ylabel="mean gate: 0 shut, 1 open")
    axes.margins(x=0.01)
    axes.grid(axis="y", color=GRID)
    axes.legend(fontsize=8, ncols=2)
    return figure


@styled
def gate_by_subject(result: pd.DataFrame, title: str, stamps: Sequence[str]) -> Figure:
    """Draw the mean gate of each modality for each subject."""
    names = sorted(result["subject"].unique())
    figure = empty_figure(max(6.4, 1.1 + 0.24 * len(names)), 2.8, title, stamps)
    axes = figure.subplots()
    at = np.arange(len(names))
    for shift, line in zip((-0.12, 0.12), GATES, strict=True):
        by_subject = result.groupby("subject")[line.column]
        mean, sd = by_subject.mean().reindex(names), by_subject.std().fillna(0).reindex(names)
        axes.errorbar(
            at + shift, mean, sd, linestyle="none", marker=line.marker, markersize=5, color=line.colour, elinewidth=1,
            label=line.label,
        )  # fmt: skip
    axes.set_xticks(at, names, rotation=90 if len(names) > 10 else 0)
    axes.set(ylabel="mean gate: 0 shut, 1 open", xlim=(-0.6, len(names) - 0.4))
    axes.grid(axis="y", color=GRID)
    figure.legend(loc="outside lower left", ncols=2, fontsize=8)
    return figure

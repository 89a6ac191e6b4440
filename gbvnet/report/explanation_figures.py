"""Figures of what a system goes by: channels on the scalp, patches of the face, noise, and gates. No torch here.

Each function returns a figure with its stamps; the sentence that says how to read it stands beside it as a constant.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from .figures import COLOUR, INK, SOFT, empty_figure, styled

FACE_COLOUR, SIGNALS_COLOUR = COLOUR["face"], COLOUR["bio"]
GATES = (("gate_face", "face", FACE_COLOUR, "-", "o"), ("gate_bio", "signals", SIGNALS_COLOUR, "--", "s"))
GRID = "#E6E9ED"
DIVERGING = "RdBu_r"  # red where it helps, blue where it misleads; tells the same in grey by its ends and middle
LEAST_ON_A_SCALP = 6  # electrodes: of fewer, a map would be mostly guessed

READ_CHANNELS = (
    "How to read it: each channel in turn shows another window's samples. Left, what that costs in AUC (red: the "
    "channel helps; blue: without it the model does better, as happens by luck); right, how far the logit moves, to "
    "good or bad. Named are the three strongest. Channels that tell the same share what they are worth, so a pale one "
    "may still tell a lot. Bars are means over folds, whiskers one standard deviation."
)
READ_SALIENCY = (
    "How to read it: each patch in turn is painted over with the face's mean colour, in all frames. Red patches hold "
    "what speaks for the true rating, blue ones what speaks against it; “moves at all” counts both. The picture below "
    "is the mean of the faces looked at. Colours have one scale in the first three panels."
)
READ_ROBUSTNESS = (
    "How to read it: from left to right, noise takes the place of a modality's power, until nothing else is left; the "
    "dotted line is the accuracy with that modality removed, that is of the other one alone. A fusion that works comes "
    "down to about that line and no further, and its gate leaves what is noisy. Means over folds, bands one standard "
    "deviation."
)
READ_GATE_TIME = (
    "How to read it: lines are means over trials at each second of the stimulus, bands one standard deviation between "
    "windows. A line that bends shows that the model weighs its modalities otherwise early and late; the band says how "
    "much of that is in every trial."
)
READ_GATE_SUBJECTS = (
    "How to read it: dots are each person's mean gate, whiskers one standard deviation between their windows. People "
    "who stand apart are weighed in another way than the others; whether rightly, their accuracy above tells."
)


# ---------------------------------------------------------------- channels


@styled
def channel_map(channels: pd.DataFrame, title: str, stamps: Sequence[str]) -> Figure:
    """What each channel is worth: electrodes with a known place on a scalp, all others as bars.

    channels : one row a fold and channel, with channel, kind, auc_drop, logit_change.
    """
    mean = channels.groupby("channel", sort=False)[["auc_drop", "logit_change"]].mean()
    sd = channels.groupby("channel", sort=False)[["auc_drop", "logit_change"]].std().fillna(0)
    kind = channels.groupby("channel", sort=False)["kind"].first()
    placed = on_scalp([str(name) for name in mean.index[kind == "eeg"]])
    others = [name for name in mean.index if name not in placed]
    tall = 2.9 * bool(placed) + (0.75 + 0.19 * len(others)) * bool(others)
    figure = empty_figure(6.8, tall, title, stamps)
    heights = [2.9] * bool(placed) + [0.75 + 0.19 * len(others)] * bool(others)
    panels = figure.subplots(len(heights), 2, squeeze=False, gridspec_kw={"height_ratios": heights})
    names = (("auc_drop", "AUC lost without it"), ("logit_change", "mean change of the logit"))
    for column, (name, words) in enumerate(names):
        if placed:
            _scalp(panels[0, column], mean.loc[placed, name], placed, words, signed=name == "auc_drop")
        if others:
            _channel_bars(panels[-1, column], mean.loc[others, name], sd.loc[others, name], words)
    return figure


def _montage() -> Any:
    """The 10-20 positions under the name that this version of mne has for them."""
    from mne.channels import get_builtin_montages, make_standard_montage

    return make_standard_montage("colin27_1020" if "colin27_1020" in get_builtin_montages() else "standard_1020")


def on_scalp(names: Sequence[str]) -> list[str]:
    """Those of the names that are places of the 10-05 system; none if there are too few for a map."""

    known = set(_montage().ch_names)
    placed = [name for name in names if name in known]
    return placed if len(placed) >= LEAST_ON_A_SCALP else []


def _scalp(axes: Axes, values: pd.Series, names: list[str], words: str, signed: bool) -> None:
    import mne

    info = mne.create_info(names, 128.0, "eeg")
    info.set_montage(_montage(), verbose="error")
    shown = values.fillna(0).to_numpy(float)
    most = max(float(np.abs(shown).max()), 1e-6)
    limits = (-most, most) if signed else (0.0, most)
    best = set(values.sort_values(ascending=False).index[:3])
    # Straight lines between electrodes, and outside them the mean of the nearest: no hill where nothing was measured.
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


@styled
def saliency_map(saliency: pd.DataFrame, face: np.ndarray, title: str, stamps: Sequence[str]) -> Figure:
    """Which patches of the face tell, over the mean face.

    saliency : one row a rating (all, high, low) and patch, with row, column, drop, change. face : (S, S, 3) 0..255.
    """
    grid = int(saliency[["row", "column"]].to_numpy().max()) + 1
    figure = empty_figure(9.2, 2.75, title, stamps)
    panels = figure.subplots(1, 4)
    grey = face.astype(float) @ [0.299, 0.587, 0.114]
    most = max(float(saliency["drop"].abs().max()), 1e-6)
    signed = TwoSlopeNorm(0, -most, most)
    windows = saliency.groupby("rated")["windows"].first()
    for axes, rated in zip(panels[:3], ("all", "high", "low"), strict=True):
        words = "all windows" if rated == "all" else f"rated {rated}"
        axes.set_title(f"{words}, n = {int(windows.get(rated, 0)):,}")
        _overlay(axes, grey, _patches(saliency, rated, "drop", grid), signed, DIVERGING)
    change = _patches(saliency, "all", "change", grid)
    plain = Normalize(0, max(float(change.max()), 1e-6))
    panels[3].set_title("moves at all")
    _overlay(panels[3], grey, change, plain, "Reds")
    for norm, cmap, beside, words in (
        (signed, DIVERGING, list(panels[:3]), "logit lost towards the truth"),
        (plain, "Reds", [panels[3]], "change of the logit"),
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


def _patches(saliency: pd.DataFrame, rated: str, name: str, grid: int) -> np.ndarray:
    """(G, G), 0 where there is nothing to show."""
    rows = saliency[saliency["rated"] == rated]
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
def robustness_curves(robustness: pd.DataFrame, title: str, stamps: Sequence[str]) -> Figure:
    """Accuracy, and the mean gates where there are any, against the noise in each modality.

    robustness : one row a fold, modality, how (noise or removed) and noise, with accuracy, gate_face, gate_bio.
    """
    modalities = [m for m in ("face", "signals") if (robustness["modality"] == m).any()]
    gated = robustness[["gate_face", "gate_bio"]].notna().any(axis=None)
    figure = empty_figure(1.4 + 2.9 * len(modalities), 2.6 + 2.2 * bool(gated), title, stamps)
    panels = figure.subplots(1 + bool(gated), len(modalities), squeeze=False, sharex=True, sharey="row")
    for column, modality in enumerate(modalities):
        rows = robustness[robustness["modality"] == modality]
        noise = rows[rows["how"] == "noise"]
        _curve(panels[0, column], noise, "accuracy", INK, "-", "o", "accuracy", 100)
        removed = rows.loc[rows["how"] == "removed", "accuracy"]
        if len(removed):
            panels[0, column].axhline(100 * removed.mean(), color=SOFT, linestyle=":", label=f"{modality} removed")
        panels[0, column].set_title(f"noise in the {modality}")
        panels[0, column].legend(fontsize=8)
        if gated:
            for name, words, colour, dashes, marker in GATES:
                _curve(panels[1, column], noise, name, colour, dashes, marker, f"gate of the {words}", 1)
            panels[1, column].legend(fontsize=8)
        panels[-1, column].set(xlabel="share of the power that is noise", xlim=(-0.04, 1.04))
    panels[0, 0].set_ylabel("accuracy, % of windows")
    if gated:
        panels[1, 0].set_ylabel("mean gate")
    return figure


def _curve(
    axes: Axes, rows: pd.DataFrame, name: str, colour: str, dashes: str, marker: str, label: str, unit: float
) -> None:
    by_noise = rows.groupby("noise")[name]
    mean, sd = unit * by_noise.mean(), unit * by_noise.std().fillna(0)
    axes.plot(mean.index, mean, color=colour, linestyle=dashes, marker=marker, markersize=4, label=label)
    axes.fill_between(mean.index, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
    axes.grid(axis="y", color=GRID)


# ---------------------------------------------------------------- gates, from the predictions alone


@styled
def gate_over_time(result: pd.DataFrame, title: str, stamps: Sequence[str]) -> Figure:
    """The mean gate of each modality against the time within the trial.

    result : the predictions of one target. Times that fewer than a tenth of the trials reach are left out.
    """
    figure = empty_figure(6.4, 2.8, title, stamps)
    axes = figure.subplots()
    for name, words, colour, dashes, _ in GATES:
        by_time = result.dropna(subset=[name]).groupby("start_s")[name]
        enough = by_time.count() >= 0.1 * by_time.count().max()
        mean, sd = by_time.mean()[enough], by_time.std().fillna(0)[enough]
        axes.plot(mean.index, mean, color=colour, linestyle=dashes, label=f"gate of the {words}")
        axes.fill_between(mean.index, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="start of the window within the stimulus, s", ylabel="mean gate: 0 shut, 1 open")
    axes.margins(x=0.01)
    axes.grid(axis="y", color=GRID)
    axes.legend(fontsize=8, ncols=2)
    return figure


@styled
def gate_by_subject(result: pd.DataFrame, title: str, stamps: Sequence[str]) -> Figure:
    """The mean gate of each modality for each person."""
    people = sorted(result["subject"].unique())
    figure = empty_figure(max(6.4, 1.1 + 0.24 * len(people)), 2.8, title, stamps)
    axes = figure.subplots()
    at = np.arange(len(people))
    for shift, (name, words, colour, _, marker) in zip((-0.12, 0.12), GATES, strict=True):
        by_person = result.groupby("subject")[name]
        mean, sd = by_person.mean().reindex(people), by_person.std().fillna(0).reindex(people)
        axes.errorbar(
            at + shift, mean, sd, linestyle="none", marker=marker, markersize=5, color=colour, elinewidth=1,
            label=f"gate of the {words}",
        )  # fmt: skip
    axes.set_xticks(at, people, rotation=90 if len(people) > 10 else 0)
    axes.set(ylabel="mean gate: 0 shut, 1 open", xlim=(-0.6, len(people) - 0.4))
    axes.grid(axis="y", color=GRID)
    figure.legend(loc="outside lower left", ncols=2, fontsize=8)
    return figure

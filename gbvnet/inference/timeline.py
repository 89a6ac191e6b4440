"""The curves of one recording as a picture and as an interactive page; both show missing modalities and flags."""

import base64
import io
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..io.atomic import atomic_write
from ..io.templates import render
from ..report.figures import COLOUR, INK, RIGHT, SOFT, WARN, WRONG, empty_figure, save, styled
from .model_outputs import ModelOutputs
from .plot_theme import SCRIPT
from .prediction import RecordingPrediction, smooth_name

PNG, HTML = "timeline.png", "timeline.html"
TARGET_COLOURS = {"valence": RIGHT, "arousal": WRONG}
CLASS_COLOURS = (RIGHT, WRONG, COLOUR["facebio"], COLOUR["peri"], COLOUR["face"], COLOUR["eeg"], INK)  # Okabe and Ito
DASHES = ("-", "--", ":", "-.")
PLOTLY_DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
GATES = (("gate_face", "face", COLOUR["face"]), ("gate_bio", "signals", COLOUR["bio"]))
FLAG_COLOUR = "#D9B44A"


def write_timeline(prediction: RecordingPrediction, folder: Path) -> None:
    """Write timeline.png and timeline.html into a folder."""
    save(timeline_figure(prediction), folder / PNG)
    atomic_write(folder / HTML, timeline_html(prediction).encode())


@styled
def timeline_figure(prediction: RecordingPrediction) -> Figure:
    """Return a figure of the probabilities over time, the gates, and where face or signals were missing or flagged."""
    table, faces = prediction.table, prediction.faces
    gates = has_gates(table)
    heights = [0.9] * bool(faces) + [2.2] + [0.9] * gates + [0.45]
    below = 0.13 * (_footnotes(prediction).count("\n") + 1)  # inches of text
    figure = empty_figure(9.0, sum(heights) + 1.1 + below, _title(prediction), prediction.stamps)
    axes = list(
        figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}, squeeze=False)[:, 0]
    )
    figure.supxlabel(_footnotes(prediction), x=0.01, ha="left", fontsize=8, color=SOFT)
    if faces:
        _draw_faces(axes.pop(0), prediction)
    _draw_curves(axes.pop(0), prediction)
    if gates:
        _draw_gates(axes.pop(0), table)
    _draw_quality(axes.pop(0), prediction)
    return figure


def _title(prediction: RecordingPrediction) -> str:
    return f"{prediction.name}: {prediction.outputs.quantity}, from {prediction.modalities}"


GATE_EXPLANATION = (
    "Gate: the mean factor, 0 to 1, by which the network multiplies the features of the face or of the signals in a "
    "window before it joins them. It does not say which of them is right."
)


def explanations(prediction: RecordingPrediction) -> list[str]:
    """Return sentences that explain the curves: what a point is, what a gate is, and the model's accuracy."""
    table = prediction.table
    window_s = (table["stop_s"] - table["start_s"]).median()
    points = (
        f"Each point is a window of {window_s:g} s of {prediction.modalities}: the {prediction.outputs.quantity}. "
        f"{prediction.outputs.explanation}"
    )
    smooth = prediction.smooth_s
    of = {"binary": " (of log odds)", "multiclass": " (of log probabilities)", "regression": ""}[
        prediction.outputs.task
    ]
    smoothed = [f"The thick line is the mean over {smooth:g} s around each point{of}."] if smooth else []
    gates = [GATE_EXPLANATION] if has_gates(table) else []
    return [points, *smoothed, *gates, *([prediction.accuracy_note] if prediction.accuracy_note else [])]


def _footnotes(prediction: RecordingPrediction) -> str:
    return "\n".join(textwrap.fill(sentence, 150) for sentence in explanations(prediction))


def has_gates(table: pd.DataFrame) -> bool:
    """Return whether any window has gates: with one modality there are none."""
    return bool(table[["gate_face", "gate_bio"]].notna().any(axis=None))


def _centre(table: pd.DataFrame) -> np.ndarray:
    return (table["start_s"] + table["stop_s"]).to_numpy() / 2


def _draw_curves(axes: Axes, prediction: RecordingPrediction) -> None:
    x = _centre(prediction.table)
    outputs = prediction.outputs
    if outputs.middle is not None:
        axes.axhline(outputs.middle, color=SOFT, linewidth=0.8, linestyle=":")
    for k, (target, label) in enumerate(zip(outputs.names, outputs.labels, strict=True)):
        colour, dashes = line_style(outputs, k)
        y, smooth = prediction.table[target], prediction.table.get(smooth_name(target))
        style = {"alpha": 0.4} if smooth is not None else {"label": label}
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.4, **style)
        if smooth is not None:
            axes.plot(x, smooth, color=colour, linestyle=dashes, linewidth=2.2, label=f"{label}, smoothed")
        axes.plot(x, y.where(isolated(y)), color=colour, linestyle="", marker="o", markersize=3)
    axes.set(ylim=axis_limits(outputs), ylabel=outputs.axis_label)
    axes.set_yticks(outputs.ticks)
    _add_legend(axes)


def axis_limits(outputs: ModelOutputs) -> tuple[float, float]:
    """Return the limits of an axis that shows all values of a prediction."""
    low, high = outputs.limits
    return low - 0.02 * (high - low), high + 0.02 * (high - low)


def line_style(outputs: ModelOutputs, k: int) -> tuple[str, str]:
    """Return colour and dashes of the curve of a column, dashes as matplotlib writes them."""
    name = outputs.names[k]
    if name in TARGET_COLOURS:
        return TARGET_COLOURS[name], "-" if k == 0 else "--"
    return CLASS_COLOURS[k % len(CLASS_COLOURS)], DASHES[k // len(CLASS_COLOURS) % len(DASHES)]


def _add_legend(axes: Axes) -> None:
    """Place the legend above the axes, where no curve crosses it."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1, ncols=2, fontsize=8)


def isolated(values: pd.Series) -> np.ndarray:
    """Return which values have no neighbours: a line does not show them, so they are drawn as points."""
    present = values.notna()
    return np.asarray(present & ~present.shift(1, fill_value=False) & ~present.shift(-1, fill_value=False))


def _draw_gates(axes: Axes, table: pd.DataFrame) -> None:
    x = _centre(table)
    for name, label, colour in GATES:
        axes.fill_between(x, 0, table[name], color=colour, alpha=0.25, linewidth=0)
        axes.plot(x, table[name], color=colour, linewidth=1, label=label)
        axes.plot(x, table[name].where(isolated(table[name])), color=colour, linestyle="", marker="o", markersize=3)
    axes.set(ylim=(0, 1), ylabel="gate")
    _add_legend(axes)


def _draw_quality(axes: Axes, prediction: RecordingPrediction) -> None:
    table = prediction.table
    width = (table["stop_s"] - table["start_s"]).to_numpy()
    rows = [("face", table["face_ok"].to_numpy()), ("signals", table["has_signals"].to_numpy(float))]
    flagged = (table["flags"] != "").to_numpy()
    for k, (_, share) in enumerate(rows):
        axes.bar(table["start_s"], 0.8, width, bottom=k - 0.4, align="edge", color="#EEF0F2", linewidth=0)
        axes.bar(table["start_s"], 0.8 * share, width, bottom=k - 0.4, align="edge", color=SOFT, linewidth=0)
    axes.bar(table["start_s"][flagged], 0.8, width[flagged], bottom=1.6, align="edge", color=FLAG_COLOUR, linewidth=0)
    axes.set_yticks([0, 1, 2], ["face", "signals", "flagged"])
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(-0.5, 2.5), xlabel="seconds", xlim=(table["start_s"].min(), table["stop_s"].max()))


def _draw_faces(axes: Axes, prediction: RecordingPrediction) -> None:
    axes.set(ylim=(0, 1))
    axes.axis("off")
    window = float((prediction.table["stop_s"] - prediction.table["start_s"]).iloc[0])
    left, right = prediction.table["start_s"].min(), prediction.table["stop_s"].max()
    n = len(prediction.faces)
    side, width = min(0.9 / max(n, 1), 0.075), window / max(right - left, 1e-9)
    for start, face in prediction.faces:
        # in the middle of its window, or from its start on where windows are narrow
        place = (start - left) / max(right - left, 1e-9) + max(0.0, (width - side) / 2)
        inset = axes.inset_axes((min(place, 1 - side), 0, side, 1))
        inset.imshow(face)
        inset.axis("off")


# --- the page ---


def interactive_figure(prediction: RecordingPrediction) -> Any:
    """Return the curves as a plotly figure, with the gates as areas below and bands at flagged windows."""
    from plotly.subplots import make_subplots

    table, x = prediction.table, _centre(prediction.table)
    gates = [g for g in GATES if table[g[0]].notna().any()]
    rows = 1 + bool(gates)
    figure = make_subplots(rows, 1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.74, 0.26][:rows])
    outputs = prediction.outputs
    for k, (target, label) in enumerate(zip(outputs.names, outputs.labels, strict=True)):
        colour, dashes = line_style(outputs, k)
        style = {"color": colour, "dash": PLOTLY_DASHES[dashes]}
        figure.add_scatter(
            x=x, y=table[target], name=label, mode="lines+markers", row=1, col=1,
            customdata=table["flags"].replace("", "–"),
            line={"width": 2} | style,
            marker={"size": np.where(isolated(table[target]), 7, 0).tolist()},
            opacity=0.45 if smooth_name(target) in table else 1,
            hovertemplate="%{x:.1f} s: %{y:.2f}<br>%{customdata}<extra>" + label + "</extra>",
        )  # fmt: skip
        if smooth_name(target) in table:
            figure.add_scatter(
                x=x, y=table[smooth_name(target)], name=f"{label}, smoothed", mode="lines", row=1, col=1,
                line={"width": 3.5} | style,
                hovertemplate="%{y:.2f}<extra>" + label + ", smoothed</extra>",
            )  # fmt: skip
    for name, label, colour in gates:
        figure.add_scatter(x=x, y=table[name], name=f"gate: {label}", mode="lines+markers", fill="tozeroy", row=2,
                           col=1, line={"width": 1.2, "color": colour}, fillcolor=_transparent(colour),
                           marker={"size": np.where(isolated(table[name]), 5, 0).tolist()})  # fmt: skip
    for start, stop, _ in flagged_periods(table):
        figure.add_vrect(
            x0=start, x1=stop, fillcolor=FLAG_COLOUR, opacity=0.18, line_width=0, layer="below", row=1, col=1
        )
    if outputs.middle is not None:
        figure.add_hline(y=outputs.middle, line={"dash": "dot", "width": 1, "color": SOFT}, row=1, col=1)
    figure.update_layout(
        template="plotly_white", height=380 + 110 * bool(gates), hovermode="x unified",
        margin={"l": 55, "r": 20, "t": 60 + 25 * bool(prediction.smooth_s), "b": 50},  # room for the legend
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
    )  # fmt: skip
    figure.update_yaxes(title=outputs.axis_label, range=[*axis_limits(outputs)], row=1, col=1)
    if gates:
        figure.update_yaxes(title="gate", range=[0, 1], row=2, col=1)
    figure.update_xaxes(range=[table["start_s"].min(), table["stop_s"].max()])
    figure.update_xaxes(title="seconds", row=rows, col=1)
    return figure


def timeline_html(prediction: RecordingPrediction) -> str:
    """Return one HTML file that needs no other: zoomable curves, gates as areas, bands at flags, faces."""
    figure = interactive_figure(prediction)
    plot = figure.to_html(include_plotlyjs=True, full_html=False, div_id="timeline", config={"displaylogo": False})
    return render(
        "gbvnet.inference",
        "timeline.html",
        title=_title(prediction),
        prediction=prediction,
        faces=[(f"{start:g}", _png_url(face)) for start, face in prediction.faces],
        explanations=explanations(prediction),
        flagged=flagged_texts(prediction.table),
        plot=Markup(plot),
        stamp_colour=WARN,
        theme_script=Markup(SCRIPT),
    )


def _transparent(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"


def flagged_periods(table: pd.DataFrame) -> list[tuple[float, float, str]]:
    """Return runs of windows with the same flags: start and stop in seconds, and the flags."""
    periods: list[tuple[float, float, str]] = []
    for start, stop, flags in zip(table["start_s"], table["stop_s"], table["flags"], strict=True):
        if not flags:
            continue
        if periods and periods[-1][2] == flags and start <= periods[-1][1] + 1e-6:
            periods[-1] = (periods[-1][0], stop, flags)
        else:
            periods.append((start, stop, flags))
    return periods


def flagged_texts(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the flagged periods in words ("3 to 5 s"), each with its flags."""
    return [(f"{start:g} to {stop:g} s", flags) for start, stop, flags in flagged_periods(table)]


def _png_url(face: np.ndarray) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(face).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()

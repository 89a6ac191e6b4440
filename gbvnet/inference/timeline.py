"""The curves of one recording as a picture and as a page to move about in; both say what was missing and odd."""

import base64
import io
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..io.atomic import atomic_write
from ..report.figures import COLOUR, INK, RIGHT, SOFT, WARN, WRONG, empty_figure, save, styled
from .plot_theme import SCRIPT
from .prediction import Emotions, smooth_name

PNG, HTML = "timeline.png", "timeline.html"
CURVES = {"valence": RIGHT, "arousal": WRONG}
GATES = (("gate_face", "face", COLOUR["face"]), ("gate_bio", "signals", COLOUR["bio"]))
ODD = "#D9B44A"


def write_timeline(emotions: Emotions, folder: Path) -> None:
    """Write timeline.png and timeline.html into a folder."""
    save(timeline(emotions), folder / PNG)
    atomic_write(folder / HTML, timeline_html(emotions).encode())


@styled
def timeline(emotions: Emotions) -> Figure:
    """Probability of high over time, the gates, and where face or signals were missing or odd."""
    table, faces = emotions.table, emotions.faces
    gates = has_gates(table)
    heights = [0.9] * bool(faces) + [2.2] + [0.9] * gates + [0.45]
    below = 0.13 * (_footnotes(emotions).count("\n") + 1)  # inches of text
    figure = empty_figure(9.0, sum(heights) + 1.1 + below, _title(emotions), emotions.stamps)
    axes = list(
        figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}, squeeze=False)[:, 0]
    )
    figure.supxlabel(_footnotes(emotions), x=0.01, ha="left", fontsize=8, color=SOFT)
    if faces:
        _strip(axes.pop(0), emotions)
    _curves(axes.pop(0), emotions)
    if gates:
        _gates(axes.pop(0), table)
    _quality(axes.pop(0), emotions)
    return figure


def _title(emotions: Emotions) -> str:
    return f"{emotions.name}: {emotions.curve}, from {emotions.seen}"


GATE_WORDS = (
    "Gate: the mean factor, 0 to 1, by which the network multiplies the features of the face or of the signals in a "
    "window before it joins them. It does not say which of them is right."
)


def words(emotions: Emotions) -> list[str]:
    """Sentences without which the curves cannot be read: what a point is, what a gate is, what the model is worth."""
    table = emotions.table
    window_s = (table["stop_s"] - table["start_s"]).median()
    points = (
        f"Each point is a window of {window_s:g} s of {emotions.seen}: the {emotions.curve}. "
        "At 0.5 high and low are equally likely."
    )
    smooth = emotions.smooth_s
    smoothed = [f"The thick line is the mean over {smooth:g} s around each point (of log odds)."] if smooth else []
    gates = [GATE_WORDS] if has_gates(table) else []
    return [points, *smoothed, *gates, *([emotions.worth] if emotions.worth else [])]


def _footnotes(emotions: Emotions) -> str:
    return "\n".join(textwrap.fill(sentence, 150) for sentence in words(emotions))


def has_gates(table: pd.DataFrame) -> bool:
    """Whether any window has gates: with one modality there is nothing to weigh."""
    return bool(table[["gate_face", "gate_bio"]].notna().any(axis=None))


def _middle(table: pd.DataFrame) -> np.ndarray:
    return (table["start_s"] + table["stop_s"]).to_numpy() / 2


def _curves(axes: Axes, emotions: Emotions) -> None:
    x = _middle(emotions.table)
    axes.axhline(0.5, color=SOFT, linewidth=0.8, linestyle=":")
    for k, target in enumerate(emotions.targets):
        colour = CURVES.get(target, INK)
        y, dashes = emotions.table[target], "-" if k == 0 else "--"
        smooth = emotions.table.get(smooth_name(target))
        faint = {"alpha": 0.4} if smooth is not None else {"label": target}
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.4, **faint)
        if smooth is not None:
            axes.plot(x, smooth, color=colour, linestyle=dashes, linewidth=2.2, label=f"{target}, smoothed")
        axes.plot(x, y.where(alone(y)), color=colour, linestyle="", marker="o", markersize=3)
    axes.set(ylim=(-0.02, 1.02), ylabel="probability")
    axes.set_yticks([0, 0.5, 1])
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Above the axes, where no curve runs through it."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1, ncols=2, fontsize=8)


def alone(values: pd.Series) -> np.ndarray:
    """Which values have none before and none after them: a line does not show them."""
    there = values.notna()
    return np.asarray(there & ~there.shift(1, fill_value=False) & ~there.shift(-1, fill_value=False))


def _gates(axes: Axes, table: pd.DataFrame) -> None:
    x = _middle(table)
    for name, label, colour in GATES:
        axes.fill_between(x, 0, table[name], color=colour, alpha=0.25, linewidth=0)
        axes.plot(x, table[name], color=colour, linewidth=1, label=label)
        axes.plot(x, table[name].where(alone(table[name])), color=colour, linestyle="", marker="o", markersize=3)
    axes.set(ylim=(0, 1), ylabel="gate")
    _legend(axes)


def _quality(axes: Axes, emotions: Emotions) -> None:
    table = emotions.table
    width = (table["stop_s"] - table["start_s"]).to_numpy()
    rows = [("face", table["face_ok"].to_numpy()), ("signals", table["has_signals"].to_numpy(float))]
    odd = (table["flags"] != "").to_numpy()
    for k, (_, share) in enumerate(rows):
        axes.bar(table["start_s"], 0.8, width, bottom=k - 0.4, align="edge", color="#EEF0F2", linewidth=0)
        axes.bar(table["start_s"], 0.8 * share, width, bottom=k - 0.4, align="edge", color=SOFT, linewidth=0)
    axes.bar(table["start_s"][odd], 0.8, width[odd], bottom=1.6, align="edge", color=ODD, linewidth=0)
    axes.set_yticks([0, 1, 2], ["face seen", "signals", "flagged"])
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(-0.5, 2.5), xlabel="seconds", xlim=(table["start_s"].min(), table["stop_s"].max()))


def _strip(axes: Axes, emotions: Emotions) -> None:
    axes.set(ylim=(0, 1))
    axes.axis("off")
    window = float((emotions.table["stop_s"] - emotions.table["start_s"]).iloc[0])
    left, right = emotions.table["start_s"].min(), emotions.table["stop_s"].max()
    n = len(emotions.faces)
    side, wide = min(0.9 / max(n, 1), 0.075), window / max(right - left, 1e-9)
    for start, face in emotions.faces:
        # in the middle of its window, or from its start on where windows are narrow
        at = (start - left) / max(right - left, 1e-9) + max(0.0, (wide - side) / 2)
        inset = axes.inset_axes((min(at, 1 - side), 0, side, 1))
        inset.imshow(face)
        inset.axis("off")


# --- the page ---


def curves(emotions: Emotions) -> Any:
    """The curves as a plotly figure: gates as shade below, bands where something was odd."""
    from plotly.subplots import make_subplots

    table, x = emotions.table, _middle(emotions.table)
    gates = [g for g in GATES if table[g[0]].notna().any()]
    rows = 1 + bool(gates)
    figure = make_subplots(rows, 1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.74, 0.26][:rows])
    for k, target in enumerate(emotions.targets):
        figure.add_scatter(
            x=x, y=table[target], name=target, mode="lines+markers", row=1, col=1,
            customdata=table["flags"].replace("", "–"),
            line={"width": 2, "color": CURVES.get(target, INK), "dash": "solid" if k == 0 else "dash"},
            marker={"size": np.where(alone(table[target]), 7, 0).tolist()},
            opacity=0.45 if smooth_name(target) in table else 1,
            hovertemplate="%{x:.1f} s: %{y:.2f}<br>%{customdata}<extra>" + target + "</extra>",
        )  # fmt: skip
        if smooth_name(target) in table:
            figure.add_scatter(
                x=x, y=table[smooth_name(target)], name=f"{target}, smoothed", mode="lines", row=1, col=1,
                line={"width": 3.5, "color": CURVES.get(target, INK), "dash": "solid" if k == 0 else "dash"},
                hovertemplate="%{y:.2f}<extra>" + target + ", smoothed</extra>",
            )  # fmt: skip
    for name, label, colour in gates:
        figure.add_scatter(x=x, y=table[name], name=f"gate: {label}", mode="lines+markers", fill="tozeroy", row=2,
                           col=1, line={"width": 1.2, "color": colour}, fillcolor=_faint(colour),
                           marker={"size": np.where(alone(table[name]), 5, 0).tolist()})  # fmt: skip
    for start, stop, _ in spans(table):
        figure.add_vrect(x0=start, x1=stop, fillcolor=ODD, opacity=0.18, line_width=0, layer="below", row=1, col=1)
    figure.add_hline(y=0.5, line={"dash": "dot", "width": 1, "color": SOFT}, row=1, col=1)
    figure.update_layout(
        template="plotly_white", height=380 + 110 * bool(gates), hovermode="x unified",
        margin={"l": 55, "r": 20, "t": 60 + 25 * bool(emotions.smooth_s), "b": 50},  # room for the legend
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
    )  # fmt: skip
    figure.update_yaxes(title="probability", range=[-0.02, 1.02], row=1, col=1)
    if gates:
        figure.update_yaxes(title="gate", range=[0, 1], row=2, col=1)
    figure.update_xaxes(range=[table["start_s"].min(), table["stop_s"].max()])
    figure.update_xaxes(title="seconds", row=rows, col=1)
    return figure


def timeline_html(emotions: Emotions) -> str:
    """One HTML file that needs no other: curves to zoom into, gates as shade, bands where something was odd, faces."""
    figure = curves(emotions)
    plot = figure.to_html(include_plotlyjs=True, full_html=False, div_id="timeline", config={"displaylogo": False})
    strip = "".join(
        f'<figure><img alt="face at {start:g} s" src="{_png(face)}"><figcaption>{start:g} s</figcaption></figure>'
        for start, face in emotions.faces
    )
    stamps = "".join(f"<p class=stamp>{_escape(stamp)}</p>" for stamp in emotions.stamps)
    said = "".join(f"<p class=said>{_escape(sentence)}</p>" for sentence in words(emotions))
    findings = "".join(f"<li>{_escape(finding)}</li>" for finding in emotions.findings)
    odd = "".join(
        f"<tr><td>{start:g} to {stop:g} s</td><td>{_escape(said)}</td></tr>"
        for start, stop, said in spans(emotions.table)
    )
    return _PAGE.format(
        title=_escape(_title(emotions)), stamps=stamps, said=said, plot=plot,
        strip=strip and f"<div class=strip>{strip}</div>",
        findings=findings and f"<h2>To know of this recording</h2><ul>{findings}</ul>",
        odd=odd and f"<h2>Where something was odd</h2><table>{odd}</table>", warn=WARN, theme=SCRIPT,
    )  # fmt: skip


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"


def spans(table: pd.DataFrame) -> list[tuple[float, float, str]]:
    """Runs of windows with the same flags: start, stop, what."""
    found: list[tuple[float, float, str]] = []
    for start, stop, said in zip(table["start_s"], table["stop_s"], table["flags"], strict=True):
        if not said:
            continue
        if found and found[-1][2] == said and start <= found[-1][1] + 1e-6:
            found[-1] = (found[-1][0], stop, said)
        else:
            found.append((start, stop, said))
    return found


def _png(face: np.ndarray) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(face).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def _escape(text: str) -> str:
    from html import escape

    return escape(str(text))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1D2329; max-width: 72rem; margin: 1.5rem auto;
  padding: 0 1rem }}
.stamp {{ color: {warn}; font-weight: 600; margin: .2rem 0 }}
.strip {{ display: flex; gap: .4rem; flex-wrap: wrap }}
.strip figure {{ margin: 0; text-align: center; font-size: 12px }}
.strip img {{ width: 72px; height: 72px; border-radius: 4px }}
.said {{ margin: .3rem 0; color: #55606B }}
table {{ border-collapse: collapse }} td {{ padding: .1rem .8rem .1rem 0; vertical-align: top }}
h1 {{ font-size: 1.25rem; margin: 0 0 .4rem; overflow-wrap: anywhere }}
h2 {{ font-size: 1.05rem }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #15191E; color: #D5DBE1 }} .stamp {{ color: #F2A38F }} .said {{ color: #AAB4BE }}
}}
</style></head><body>
<h1>{title}</h1>
{stamps}
{strip}
{plot}
{said}
{findings}
{odd}
<p>What a model of this kind says was learnt from how people rated films in a laboratory; it does not read what anyone
feels.</p>
<script>{theme}
const system = matchMedia('(prefers-color-scheme: dark)'), figure = document.getElementById('timeline');
const follow = () => plotTheme(figure, system.matches);
system.addEventListener('change', follow);
follow();
</script></body></html>
"""

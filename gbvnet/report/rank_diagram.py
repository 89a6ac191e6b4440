"""The critical-difference diagram: systems on a line of mean ranks. A bar joins systems between which no difference
is shown, which does not mean that they are equal.

After Demšar (2006); the bars are `ranking.Ranking.cliques`.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..evaluation.ranking import Ranking
from .figures import INK, RIGHT, SOFT, empty_figure, styled

ROW, BAR = 0.22, 0.11  # inches between names, and between bars


@styled
def rank_diagram(ranking: Ranking, title: str, stamps: Sequence[str]) -> Figure:
    """Draw the names of the better half on the left, of the others on the right, each joined to its mean rank."""
    names, n = ranking.ranks.index.tolist(), len(ranking.ranks)
    left = names[: -(-n // 2)]
    bars = 0.2 + BAR * len(ranking.cliques)
    height = 0.55 + bars + ROW * len(left) + 0.15
    figure = empty_figure(7.6, height + 0.35, title, stamps)
    axes = figure.subplots()
    margin = 0.55 * max(1, n - 1)  # room for names beside the line
    axes.set(xlim=(1 - margin, n + margin), ylim=(height, 0))
    axes.axis("off")
    _line(axes, n)
    for k, name in enumerate(left):
        _label(axes, ranking.ranks[name], name, 0.55 + bars + ROW * k, 1 - 0.06 * n, "right")
    for k, name in enumerate(reversed(names[len(left) :])):
        _label(axes, ranking.ranks[name], name, 0.55 + bars + ROW * k, n + 0.06 * n, "left")
    for k, clique in enumerate(ranking.cliques):
        ends = [ranking.ranks[clique[0]], ranking.ranks[clique[-1]]]
        pad = 0.012 * n
        axes.plot([ends[0] - pad, ends[1] + pad], [0.7 + BAR * k] * 2, color=RIGHT, linewidth=3.2,
                  solid_capstyle="butt")  # fmt: skip
    return figure


def _line(axes: Axes, n: int) -> None:
    axes.plot([1, n], [0.5, 0.5], color=INK, linewidth=1.2)
    step = 1 if n <= 12 else 2
    for place in range(1, n + 1, step):
        axes.plot([place, place], [0.42, 0.5], color=INK, linewidth=1)
        axes.text(place, 0.36, str(place), ha="center", va="bottom", fontsize=8, color=SOFT)
    axes.text((1 + n) / 2, 0.14, "mean rank over subjects, 1 is best", ha="center", va="bottom", fontsize=8, color=SOFT)


def _label(axes: Axes, at: float, name: str, down: float, beside: float, side: str) -> None:
    """A line from a place on the axis down and to the side, with the name at its end."""
    axes.plot([at, at, beside], [0.5, down, down], color=SOFT, linewidth=0.8)
    pad = -4 if side == "right" else 4
    axes.annotate(f"{name}  {at:.2f}" if side == "right" else f"{at:.2f}  {name}", (beside, down), (pad, 0),
                  textcoords="offset points", ha=side, va="center", fontsize=8.5, color=INK)  # fmt: skip

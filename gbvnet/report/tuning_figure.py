"""The figure of chosen settings: the value of each setting, by fold."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..evaluation.chosen_settings import ChosenSettings
from .figures import RIGHT, empty_figure, styled

MOST_SETTINGS = 8
GRID = "#E6E9ED"


@styled
def chosen_values(
    chosen: Sequence[ChosenSettings], space: Mapping[str, Any], title: str, stamps: Sequence[str]
) -> Figure:
    """Draw the values that the folds chose, one panel a setting, of at most MOST_SETTINGS.

    space : the search space as config.yaml has it: the list of values of a setting, or its range
    """
    names = list(dict.fromkeys(name for one in chosen for name in one.values))[:MOST_SETTINGS]
    figure = empty_figure(6.4, 0.7 + 1.15 * len(names), title, stamps)
    for axes, name in zip(figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0], names, strict=True):
        points = {one.fold: one.values[name] for one in chosen if name in one.values}
        _draw(axes, points, space.get(name))
        axes.set_title(name)
        axes.grid(axis="x", color=GRID)
    figure.axes[-1].set_xlabel("fold")
    figure.axes[-1].set_xticks([one.fold for one in chosen] if len(chosen) <= 15 else [one.fold for one in chosen][::5])
    return figure


def _draw(axes: Axes, points: Mapping[int, Any], given: Any) -> None:
    """Draw values by fold, between the ends of their range or in the order of their list."""
    if isinstance(given, dict):
        axes.plot(list(points), list(points.values()), "o", color=RIGHT, markersize=5)
        for end in (given["low"], given["high"]):
            axes.axhline(end, color="#B8BFC6", linewidth=0.8)
        if given.get("log"):
            axes.set_yscale("log")
        return
    choices = [str(value) for value in (given if isinstance(given, list) else dict.fromkeys(points.values()))]
    axes.plot(list(points), [choices.index(str(value)) for value in points.values()], "o", color=RIGHT, markersize=5)
    axes.set_yticks(range(len(choices)), choices)
    axes.set_ylim(-0.5, len(choices) - 0.5)

"""Figures of predicted numbers: ratings against predictions, and what is left between them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..evaluation.predictions import TRIAL
from ..evaluation.regression_sums import has_constant_trials
from ..evaluation.targets import scale_in_words
from .figures import COLOUR, INK, SOFT, WARN, empty_figure, styled

READ_RATINGS = (
    "How to read it: a dot is a trial (the mean of its windows' predictions against its rating), or, of labels that "
    "change within a trial, a window. Dots on the diagonal "
    "are predicted exactly. Right, the residuals: rating minus prediction, above the line where the rating was higher "
    "than predicted. Dots in a narrow upright band are predictions near the mean: little was learnt. "
)
MOST_DOTS = 2000
READ_SCALE = "Grey lines are the ends of the scale, outside of which no rating lies."
READ_WITHOUT_SCALE = "The run does not say which scale the ratings have."


@styled
def rated_and_predicted(
    result: pd.DataFrame, scale: tuple[float, float] | None, title: str, stamps: Sequence[str]
) -> Figure:
    """Draw one dot a trial: its rating against its prediction, and the difference against the prediction. Of labels
    that change within trials, one dot a window, of at most MOST_DOTS windows at equal distances.

    result : rows of a predictions table of numbers
    scale : of the rating, whose ends are drawn; None if it is not known
    """
    if has_constant_trials(result):
        dots_of = result.groupby(TRIAL)[["y", "y_hat"]].mean()  # under protocol window a trial is in several folds
        what = f"{len(dots_of):,} trials"
    else:
        dots_of = result.iloc[np.linspace(0, len(result) - 1, min(len(result), MOST_DOTS)).astype(int)]
        what = f"{len(dots_of):,} of {len(result):,} windows"
    y, y_hat = dots_of["y"].to_numpy(float), dots_of["y_hat"].to_numpy(float)
    colour = COLOUR.get(str(result["modality"].iloc[0]), SOFT)
    dots = {"linestyle": "none", "marker": "o", "color": colour, "markeredgecolor": "white", "markeredgewidth": 0.3}
    dots |= {"markersize": 4 if len(y) <= 500 else 2.5, "alpha": 0.7 if len(y) <= 500 else 0.35}
    limits = _limits(np.concatenate([y, y_hat]), scale)
    figure = empty_figure(7.4, 3.9, title, stamps)
    left, right = figure.subplots(1, 2)
    _draw_ends(left, scale, both=True)
    left.plot(limits, limits, color=INK, linewidth=1)
    left.plot(y_hat, y, **dots)
    left.set(xlim=limits, ylim=limits, aspect="equal", title=what, xlabel="predicted", ylabel="rated")
    _draw_ends(right, scale, both=False)
    right.axhline(0, color=INK, linewidth=1)
    right.plot(y_hat, y - y_hat, **dots)
    widest = 1.08 * max(np.abs(y - y_hat).max(), 1e-9)
    right.set(xlim=limits, ylim=(-widest, widest), title="residuals", xlabel="predicted", ylabel="rated − predicted")
    mean = float(np.mean(y - y_hat))
    right.axhline(mean, color=WARN, linewidth=1, linestyle="--", label=f"mean {mean:+z.2f}")
    right.legend(loc="upper right", fontsize=8)
    return figure


def _limits(values: np.ndarray, scale: tuple[float, float] | None) -> tuple[float, float]:
    ends = np.concatenate([values, scale or ()])
    margin = 0.05 * max(float(np.ptp(ends)), 1e-9)
    return float(ends.min()) - margin, float(ends.max()) + margin


def _draw_ends(axes: Axes, scale: tuple[float, float] | None, both: bool) -> None:
    for end in scale or ():
        axes.axvline(end, color="#C9CFD6", linewidth=1)
        if both:
            axes.axhline(end, color="#C9CFD6", linewidth=1)


def how_to_read(scale: tuple[float, float] | None) -> str:
    """Return the caption of `rated_and_predicted`."""
    if scale is None:
        return READ_RATINGS + READ_WITHOUT_SCALE
    return READ_RATINGS + READ_SCALE.replace("the scale", f"the scale, {scale_in_words(scale)}")

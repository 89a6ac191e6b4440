"""How numbers and the names of results are shown in tables, figures and sentences."""

from collections.abc import Sequence

import numpy as np

from ..text import listed
from .results import Result

NONE = "–"  # shown for a number that is not defined
BOOTSTRAP_COLUMN = "All windows [95 % bootstrap]"


def percent(share: float) -> str:
    """Return a share (0 to 1) in per cent with one digit after the point."""
    return NONE if np.isnan(share) else f"{100 * share:.1f}"


def number(value: float) -> str:
    """Return a number with three digits after the point."""
    return NONE if np.isnan(value) else f"{value:.3f}"


def mean_sd(mean: float, sd: float) -> str:
    """Return mean ± standard deviation of shares, in per cent."""
    return f"{percent(mean)} ± {percent(sd)}"


def interval(limits: tuple[float, float]) -> str:
    """Return the limits of an interval of shares, in per cent."""
    return f"[{percent(limits[0])}, {percent(limits[1])}]"


def with_interval(value: float, limits: tuple[float, float]) -> str:
    """Return a share with its interval, in per cent."""
    return f"{percent(value)} {interval(limits)}"


def p_value(p: float) -> str:
    """Return a p value with three digits after the point, four below 0.001."""
    return NONE if np.isnan(p) else "<0.0001" if p < 0.00005 else f"{p:.4f}" if p < 0.001 else f"{p:.3f}"


def bootstrap_name(results: Sequence[Result]) -> str:
    """Return the name of the interval of the pooled scores: by what was resampled."""
    return f"95 % bootstrap interval over {listed({r.scores.unit for r in results})}"


def folds_interval_name(results: Sequence[Result]) -> str:
    """Return the name of the interval of the mean over folds."""
    return listed({f"95 % {r.scores.folds_interval_kind}" for r in results})


def study_name(result: Result) -> str:
    """Return target, dataset and scope of a result."""
    within = ", within each subject" if result.key("scope") == "per-subject" else ""
    return f"{result.key('target')}, {result.key('dataset')}{within}"


def study_heading(result: Result) -> str:
    """Return `study_name` with a capital first letter; other letters stay as they are."""
    name = study_name(result)
    return name[:1].upper() + name[1:]


def protocol_name(result: Result) -> str:
    """Return the protocol of a result, with LEAKY behind it where it is."""
    return result.key("protocol") + (" LEAKY" if result.scores.leaky else "")

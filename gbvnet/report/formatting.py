"""How numbers and the names of results are shown in tables, figures and sentences."""

import re
from collections.abc import Sequence

import numpy as np

from ..evaluation.score_properties import SCORE_PROPERTIES, properties_of
from ..text import listed
from .results import Result

NONE = "–"  # shown for a number that is not defined
BOOTSTRAP_COLUMN = "All windows [95 % bootstrap]"


def percent(share: float) -> str:
    """Return a share (0 to 1) in per cent with one digit after the point."""
    return NONE if np.isnan(share) else f"{100 * share:.1f}"


def number(value: float) -> str:
    """Return a number with three digits after the point."""
    return NONE if np.isnan(value) else f"{value:z.3f}"


def in_percent(name: str) -> bool:
    """Return whether a score (or a column that holds one) is shown in per cent: accuracies are."""
    return properties_of(name) is SCORE_PROPERTIES["accuracy"]


def score_text(value: float, name: str = "accuracy") -> str:
    """Return the value of a score by its name: accuracies in per cent with one digit after the point, errors in units
    of the rating with two, all others as numbers with three."""
    if in_percent(name):
        return percent(value)
    if properties_of(name).in_units_of_rating:
        return NONE if np.isnan(value) else f"{value:.2f}"
    return number(value)


def mean_sd(mean: float, sd: float, name: str = "accuracy") -> str:
    """Return mean ± standard deviation of a score."""
    return f"{score_text(mean, name)} ± {score_text(sd, name)}"


def interval(limits: tuple[float, float], name: str = "accuracy") -> str:
    """Return the limits of an interval of a score."""
    return f"[{score_text(limits[0], name)}, {score_text(limits[1], name)}]"


def with_interval(value: float, limits: tuple[float, float], name: str = "accuracy") -> str:
    """Return a score with its interval."""
    return f"{score_text(value, name)} {interval(limits, name)}"


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
    """Return target (with its task and scale), dataset and scope of a result."""
    within = ", within each subject" if result.key("scope") == "per-subject" else ""
    return f"{result.target_name}, {result.key('dataset')}{within}"


def study_heading(result: Result) -> str:
    """Return `study_name` with a capital first letter; other letters stay as they are."""
    return capital(study_name(result))


def capital(text: str) -> str:
    """Return a text with a capital first letter; other letters stay as they are."""
    return text[:1].upper() + text[1:]


def file_part(name: str) -> str:
    """Return a name as it can be part of the name of a file: what is no letter, digit, point, + or - becomes _."""
    return re.sub(r"[^\w.+-]", "_", name)


def protocol_name(result: Result) -> str:
    """Return the protocol of a result, with LEAKY behind it where it is."""
    return result.key("protocol") + (" LEAKY" if result.scores.leaky else "")

"""What each score is: its name in words, its bounds, and whether more is better. The only table of this kind."""

import math
from typing import NamedTuple

TOLERANCE = 1e-12  # two scores that are equal on paper may differ by rounding, by this share if they are above 1


class ScoreProperties(NamedTuple):
    """What must be known of a score to show it, to clip its intervals, and to compare it with chance."""

    label: str
    low: float  # no value is below
    high: float  # no value is above
    higher_is_better: bool
    needs_several_labels: bool  # undefined (NaN) where all labels are of one class, or equal
    in_units_of_rating: bool = False


SCORE_PROPERTIES = {
    "accuracy": ScoreProperties("accuracy", 0.0, 1.0, True, False),
    "balanced_accuracy": ScoreProperties("balanced accuracy", 0.0, 1.0, True, True),
    "macro_f1": ScoreProperties("macro-F1", 0.0, 1.0, True, True),
    "auc": ScoreProperties("AUC", 0.0, 1.0, True, True),
    "mcc": ScoreProperties("MCC", -1.0, 1.0, True, True),
    "kappa": ScoreProperties("Cohen's kappa", -1.0, 1.0, True, True),
    "ccc": ScoreProperties("CCC", -1.0, 1.0, True, True),
    "ccc_recordings": ScoreProperties("CCC, mean of recordings", -1.0, 1.0, True, True),
    "pearson": ScoreProperties("Pearson r", -1.0, 1.0, True, True),
    "rmse": ScoreProperties("RMSE", 0.0, math.inf, False, False, in_units_of_rating=True),
    "mae": ScoreProperties("MAE", 0.0, math.inf, False, False, in_units_of_rating=True),
}
_BASELINES = {"majority": "accuracy"}  # columns of tables of folds and subjects that hold a score of the baseline
_PREFIXES = ("trial_", "constant_")


def properties_of(name: str) -> ScoreProperties:
    """Return the properties of a score, or of a column of `scores_by_fold` that holds one (trial_ccc, majority).

    Raises KeyError for a name of no score.
    """
    name = _BASELINES.get(name, name)
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return SCORE_PROPERTIES[name]

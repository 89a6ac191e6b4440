"""All scores of one result with their intervals, chance and majority class, and what a reader must know of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd

from ..provenance import is_leaky
from . import metrics
from .labels import has_one_class, predicted_high
from .predictions import KEYS, TRIAL, stamps
from .statistics import (
    MIN_SUBJECTS,
    N_PERMUTATIONS,
    TOLERANCE,
    Chance,
    Interval,
    MeanSD,
    bootstrap_intervals,
    mean_and_sd,
    permutation_chance,
    t_interval_over_folds,
    t_interval_over_subjects,
)

FOLDS_T, SUBJECTS_T = "corrected t over folds", "t over subjects"  # kinds of interval of the mean over folds


@dataclass(frozen=True)
class Scores:
    """All scores of one result. Accuracies are shares, 0 to 1; `window` and `trial` are pooled over folds."""

    keys: dict[str, str | int]  # the values of predictions.KEYS
    stamps: tuple[str, ...]
    counts: dict[str, int]  # folds, subjects, trials, windows, high_trials, high_windows
    window: dict[str, float]  # score by name
    trial: dict[str, float]
    folds: pd.DataFrame  # metrics.scores_by_fold
    subjects: pd.DataFrame  # metrics.scores_by_subject, with chance_mean and chance_upper
    unit: str  # what the bootstrap resamples: subjects or trials
    window_interval: dict[str, Interval]
    trial_interval: dict[str, Interval]
    chance: dict[str, Chance]  # window, fold, trial
    majority: dict[str, float]  # window, fold, trial
    warnings: tuple[str, ...] = field(default=())

    @property
    def leaky(self) -> bool:
        """Whether the protocol lets windows of one trial be trained and tested on."""
        return is_leaky(str(self.keys["protocol"]))

    def over_folds(self, name: str = "accuracy") -> MeanSD:
        """Return mean and SD of a score over folds."""
        return mean_and_sd(self.folds[name])

    def folds_interval(self, name: str = "accuracy") -> Interval:
        """Return the 95 % interval of the mean over folds, of the kind that `folds_interval_kind` names."""
        if self.folds_interval_kind == SUBJECTS_T:
            return t_interval_over_subjects(self.folds[name], self.folds["subject"])
        return t_interval_over_folds(self.folds[name])

    @property
    def folds_interval_kind(self) -> str:
        """Over subjects where each has a cross-validation of their own (scope per-subject), else over folds."""
        several = "subject" in self.folds and self.folds["subject"].nunique() > 1
        return SUBJECTS_T if several else FOLDS_T

    def over_subjects(self, name: str = "accuracy") -> MeanSD:
        """Return mean and SD of a score over subjects, each with equal weight."""
        return mean_and_sd(self.subjects[name])

    @property
    def assessment(self) -> str:
        """The pooled accuracy by window against chance and majority class, and whether it is LEAKY, in words."""
        words = "above chance" if self.chance["window"].above else "within chance"
        if self.chance["window"].above and self.window["accuracy"] <= self.majority["window"] + TOLERANCE:
            words += ", not above the majority"
        return f"{words}; LEAKY" if self.leaky else words


def evaluate(result: pd.DataFrame, n_permutations: int = N_PERMUTATIONS, seed: int = 0) -> Scores:
    """Compute all scores of one result.

    result : rows of a predictions table that share `predictions.KEYS`
    n_permutations : of the trial labels, for chance. seed : of permutations and bootstrap
    """
    result = metrics.number_folds_once(result)
    trials = metrics.aggregate_trials(result)
    labels = result.drop_duplicates(TRIAL)["y"]
    chance = permutation_chance(result, n_permutations, seed)
    bootstrap = bootstrap_intervals(result, seed=seed)
    folds = metrics.scores_by_fold(result)
    subjects = metrics.scores_by_subject(result)
    of_subjects = [chance.subjects[subject] for subject in subjects["subject"]]
    subjects = subjects.assign(chance_mean=[c.mean for c in of_subjects], chance_upper=[c.upper for c in of_subjects])
    return Scores(
        keys={name: result[name].iloc[0] for name in KEYS},
        stamps=tuple(stamps(result)),
        counts={
            "folds": len(folds),
            "subjects": len(subjects),
            "trials": len(labels),
            "windows": len(result),
            "high_trials": int(labels.sum()),
            "high_windows": int(result["y"].sum()),
        },
        window=metrics.compute_scores(result["y"], result["p"]),
        trial=metrics.compute_scores(trials["y"], trials["p"]),
        folds=folds,
        subjects=subjects,
        unit=bootstrap.unit,
        window_interval=bootstrap.window,
        trial_interval=bootstrap.trial,
        chance=chance.overall,
        majority=metrics.majority_accuracy(result),
        warnings=tuple(_warnings(result, folds, subjects)),
    )


def _warnings(result: pd.DataFrame, folds: pd.DataFrame, subjects: pd.DataFrame) -> Iterator[str]:
    """What a reader should know about a result that no score shows."""
    for rows, what in ((folds, "test folds"), (subjects, "subjects")):
        one_class = int(rows["balanced_accuracy"].isna().sum())
        if one_class:
            yield (
                f"{one_class} of {len(rows)} {what} have one class only: all scores but accuracy are undefined there, "
                "and left out of means."
            )
        if what == "subjects" and one_class == len(rows):
            yield "No subject has both classes, so permuting labels changes nothing: no score can be above chance."
    trained_on_one = result.loc[result["prior"].isin((0.0, 1.0)), "fold"].nunique()
    if trained_on_one:
        yield f"{trained_on_one} of {len(folds)} folds were trained on one class only and can predict nothing else."
    high = predicted_high(result["p"])
    if has_one_class(high):
        yield f"Every window is predicted {'high' if high[0] else 'low'}."
    if len(subjects) < MIN_SUBJECTS:
        yield (
            f"With {len(subjects)} subject{'s' if len(subjects) > 1 else ''} the intervals resample trials: they say "
            "nothing about other subjects."
        )

"""Scores of one system at several seeds: means over the seeds, and how far the seeds differ.

Two spreads that are kept from each other. *Over seeds*: the same subjects, trained again with another seed, which gives
other splits, initial weights, order and augmentation; SD with n - 1. *Over subjects*: what other subjects would score;
intervals and tests resample or pair subjects, of each the mean over seeds. N seeds are no N times as many subjects.

| number of a group of N seeds | what it is |
|---|---|
| score, of all windows, of trials, mean of folds | mean of the N scores |
| SD over seeds | of the N scores, n - 1 |
| score of a subject | mean of the subject's N scores; ranks and Wilcoxon tests are of these |
| bootstrap interval | each resample of subjects is shared by all seeds; the mean over seeds is scored |
| chance and its p | each permutation of trials is shared by all seeds; the mean over seeds is scored |
| SD between folds | root of the mean over seeds of the variance between the folds of one seed |

Under protocol subject+stimulus each seed tests other trials. Permutations and resamples are then of all that any seed
tests, a subject counts by the seeds that test them, and numbers of windows and trials are means over seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np
import pandas as pd
from typing_extensions import override

from . import metrics
from .chance import chances_over_seeds
from .score_properties import properties_of
from .scores import FOLDS_T, SUBJECTS_T, Scores
from .statistics import (
    N_PERMUTATIONS,
    Interval,
    MeanSD,
    bootstrap_over_seeds,
    mean_and_sd,
    t_interval_over_folds,
    t_interval_over_subjects,
)

Level = Literal["window", "fold", "trial"]
LEVELS: tuple[Level, ...] = ("window", "fold", "trial")
OTHER_TRIALS = "subject+stimulus"  # the protocol whose folds test a part of the trials, and other ones at each seed
REPEATED_FOLDS_T = "corrected t over folds and seeds"  # a kind of interval of the mean over folds


@dataclass(frozen=True)
class SeedScores(Scores):
    """The scores of one system at several seeds, as means over these; `folds` has the folds of all, with their seed."""

    by_seed: dict[int, Scores] = field(default_factory=dict)  # of each seed alone, in ascending order
    same_folds: bool = False  # whether all seeds have the same test folds (fixed folds): only the training differs
    other_trials: str = ""  # a sentence if the seeds do not test the same trials

    def over_seeds(self, level: Level = "window", name: str = "") -> MeanSD:
        """Return mean and SD over seeds of a score; of the main score without a name.

        level : window (pooled), fold (mean over folds) or trial (pooled)
        """
        return mean_and_sd(pd.Series([score_at(s, level, name or self.main) for s in self.by_seed.values()]))

    @override
    def over_folds(self, name: str = "") -> MeanSD:
        """Return the mean over seeds of the mean over folds, and the SD between the folds of one seed."""
        each = [s.over_folds(name) for s in self.by_seed.values()]
        variances = np.array([e.sd for e in each]) ** 2
        mean, sd = float(np.mean([e.mean for e in each])), float(np.sqrt(variances.mean()))
        return MeanSD(mean, sd, sum(e.n for e in each), sum(e.undefined for e in each))

    @override
    def folds_interval(self, name: str = "") -> Interval:
        name = name or self.main
        properties = properties_of(name)
        if self.folds_interval_kind == SUBJECTS_T:
            return t_interval_over_subjects(self.folds[name], self.folds["subject"], properties)
        if self.same_folds:  # the folds are no further ones: of each the mean over seeds
            wide = self.folds.pivot(index="fold", columns="seed", values=name)
            return t_interval_over_folds(wide.mean(axis=1, skipna=False), properties)
        return t_interval_over_folds(self.folds[name], properties, repeats=len(self.by_seed))

    @property
    @override
    def folds_interval_kind(self) -> str:
        kind = next(iter(self.by_seed.values())).folds_interval_kind
        return REPEATED_FOLDS_T if kind == FOLDS_T and not self.same_folds else kind


def score_at(scores: Scores, level: Level, name: str) -> float:
    """Return a score by name, of all windows, as mean over folds, or of all trials."""
    if level == "fold":
        return scores.over_folds(name).mean
    return (scores.window if level == "window" else scores.trial)[name]


def describe_window_difference(tables: Sequence[pd.DataFrame]) -> str:
    """Return why results of several seeds cannot be averaged: "" if they are of one task and test the same windows.

    Under protocol subject+stimulus they may test other trials, but no other windows of the same ones. Their labels may
    differ, as those do whose lag is searched in each fold.
    """
    first, windows = tables[0], ["recording", "window"]
    for other in tables[1:]:
        if metrics.task_of(first) != metrics.task_of(other):
            return f"one is {metrics.task_of(first)}, another {metrics.task_of(other)}"
        if metrics.task_of(first) == "regression":  # labels may be courses
            kinds = [metrics.metrics_of(table).permutations(table).what for table in (first, other)]
            if len(set(kinds)) > 1:
                return f"chance permutes {kinds[0]} of one, {kinds[1]} of another"
        both = first[windows].drop_duplicates().merge(other[windows].drop_duplicates(), how="outer", indicator=True)
        in_one = both[both["_merge"] != "both"]
        if str(first["protocol"].iloc[0]) == OTHER_TRIALS:
            in_one = in_one[in_one["recording"].isin(set(first["recording"]) & set(other["recording"]))]
        if len(in_one):
            return f"{len(in_one)} windows are tested at one seed only"
    return ""


def average_over_seeds(
    results: Mapping[int, tuple[pd.DataFrame, Scores]], n_permutations: int = N_PERMUTATIONS, seed: int = 0
) -> SeedScores:
    """Return the scores of a group: the means over seeds, with chance and intervals of these means.

    results : seed -> its result (see metrics.py) and that result's scores, for at least two seeds
    n_permutations : of the trial labels, for chance. seed : of permutations and bootstrap

    Raises ValueError if they do not test the same windows, but for the trials of protocol subject+stimulus.
    """
    ordered = dict(sorted(results.items()))
    tables = [metrics.number_folds_once(table) for table, _ in ordered.values()]
    by_seed = {of_seed: scores for of_seed, (_, scores) in ordered.items()}
    each = list(by_seed.values())
    why_not = describe_window_difference(tables)
    if why_not:
        raise ValueError(why_not)
    first = each[0]
    task = metrics.metrics_of(tables[0], first.classes)
    chance = chances_over_seeds(tables, n_permutations, seed)
    bootstrap = bootstrap_over_seeds(tables, seed=seed)
    window = _mean_of([s.window for s in each])
    baseline = {level: _mean_of([s.baseline[level] for s in each]) for level in first.baseline}
    subjects = _mean_table([s.subjects for s in each], "subject")
    of_subjects = [chance.subjects[subject] for subject in subjects["subject"]]
    means = {
        "window": window,
        "trial": _mean_of([s.trial for s in each]),
        "folds": pd.concat([s.folds.assign(seed=k) for k, s in by_seed.items()], ignore_index=True),
        "subjects": subjects.assign(
            chance_mean=[c.mean for c in of_subjects], chance_upper=[c.upper for c in of_subjects]
        ),
        "window_interval": bootstrap.window,
        "trial_interval": bootstrap.trial,
        "chance": {level: scores[task.main] for level, scores in chance.levels.items()},
        "majority": _mean_of([s.majority for s in each]),
        "counts": {name: round(value) for name, value in _mean_of([s.counts for s in each]).items()},
        "warnings": tuple(dict.fromkeys(warning for s in each for warning in s.warnings)),
        "chances": chance.levels,
        "baseline": baseline,
        "confusion": {level: np.sum([s.confusion[level] for s in each], axis=0) for level in first.confusion},
        "words_without_skill": task.without_skill(window, baseline["window"]),
    }
    same = {f.name: getattr(first, f.name) for f in fields(Scores)}
    about = {"same_folds": _have_same_folds(tables), "other_trials": _other_trials(tables)}
    return SeedScores(**(same | means | about), by_seed=by_seed)


def _mean_of(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each score; NaN where it is undefined at any seed."""
    return {name: float(np.mean([one[name] for one in values])) for name in values[0]}


def _other_trials(tables: Sequence[pd.DataFrame]) -> str:
    """A sentence if the seeds do not test the same trials; "" if they do."""
    trials = [set(table["recording"]) for table in tables]
    every, common = set.union(*trials), set.intersection(*trials)
    if every == common:
        return ""
    return (
        f"Each seed tests other trials, as protocol {OTHER_TRIALS} leaves trials out of every fold: {len(common):,} of "
        f"{len(every):,} are tested at all {len(tables)} seeds. Numbers of windows and trials are means over seeds, "
        "and a subject counts by the seeds that test them."
    )


def _mean_table(tables: Sequence[pd.DataFrame], by: str) -> pd.DataFrame:
    """The mean of each column by row, over the tables that have it; counts that are the same in all stay whole."""
    indexed = [table.set_index(by) for table in tables]
    rows = pd.Index(sorted(set().union(*(table.index for table in indexed))), name=by)
    there = np.stack([rows.isin(table.index) for table in indexed])  # (tables, rows)
    columns = {}
    for name in indexed[0]:
        values = np.stack([table[name].reindex(rows).to_numpy() for table in indexed])
        same = (values == values[0]).all()
        columns[name] = values[0] if same else np.where(there, values, 0).astype(float).sum(axis=0) / there.sum(axis=0)
    return pd.DataFrame(columns, index=rows).reset_index()


def _have_same_folds(tables: Sequence[pd.DataFrame]) -> bool:
    names = ["recording", "window", "fold"]
    first, *others = (table[names].sort_values(names).reset_index(drop=True) for table in tables)
    return all(first.equals(other) for other in others)


class SeedDifference(MeanSD):
    """The difference of two groups at each seed: mean and SD (n - 1) over the seeds that both have."""

    @property
    def smaller_than_spread(self) -> bool:
        """Whether the mean difference is smaller than its SD over seeds: with one seed its sign would be a matter of
        chance."""
        return abs(self.mean) < self.sd


def difference_over_seeds(a: Mapping[int, pd.Series], b: Mapping[int, pd.Series]) -> SeedDifference | None:
    """Return how the mean over subjects of a - b differs between seeds; None with less than two seeds in common.

    a, b : seed -> scores by subject. Subjects of whom a score is undefined at any seed are left out.

    The two are paired by seed, as a seed gives both the same splits: what a split does to both alike is no spread of
    their difference, as it would be in the root of the sum of the two variances.
    """
    common = [seed for seed in a if seed in b]
    if len(common) < 2:
        return None
    differences = pd.DataFrame({seed: a[seed] - b[seed] for seed in common}).dropna()
    return SeedDifference(*mean_and_sd(differences.mean()))

"""All scores of one result with their intervals, chance and baseline, and what a reader must know of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..provenance import is_leaky
from . import metrics
from .chance import ScoreChances, chances_of_scores
from .prediction_schema import Task
from .predictions import KEYS, TRIAL, stamps
from .score_properties import properties_of
from .statistics import (
    MIN_SUBJECTS,
    N_PERMUTATIONS,
    Chance,
    Interval,
    MeanSD,
    bootstrap_intervals,
    mean_and_sd,
    permutation_chance,
    t_interval_over_folds,
    t_interval_over_subjects,
)
from .task_metrics import TaskMetrics

FOLDS_T, SUBJECTS_T = "corrected t over folds", "t over subjects"  # kinds of interval of the mean over folds


@dataclass(frozen=True)
class Scores:
    """All scores of one result. Accuracies are shares, 0 to 1; `window` and `trial` are pooled over folds.

    Which scores there are is the task's choice; score_properties.py has their names in words, bounds and direction.
    """

    keys: dict[str, str | int]  # the values of predictions.KEYS
    stamps: tuple[str, ...]
    counts: dict[str, int]  # folds, subjects, trials, windows, and those of the task (TaskMetrics.counts)
    window: dict[str, float]  # score by name
    trial: dict[str, float]
    folds: pd.DataFrame  # metrics.scores_by_fold
    subjects: pd.DataFrame  # metrics.scores_by_subject, with chance_mean and chance_upper of the main score
    unit: str  # what the bootstrap resamples: subjects or trials
    window_interval: dict[str, Interval]
    trial_interval: dict[str, Interval]
    chance: dict[str, Chance]  # of the main score: window, fold, trial
    majority: dict[str, float]  # main score of the baseline: window, fold, trial
    warnings: tuple[str, ...] = field(default=())
    task: Task = "binary"
    main: str = "accuracy"  # name of the headline score: ccc for numbers
    chances: dict[str, dict[str, Chance]] = field(default_factory=dict)  # window, fold, trial: of each score by name
    chance_words: str = ""  # what was permuted
    baseline: dict[str, dict[str, float]] = field(default_factory=dict)  # window, fold, trial: score by name
    confusion: dict[str, np.ndarray] = field(default_factory=dict)  # window, trial: int (K, K), label by prediction
    words_without_skill: str = ""  # if the scores by window are no better than the baseline's
    classes: tuple[str, ...] = ()  # names of the classes in the order of their numbers; none of numbers

    @property
    def leaky(self) -> bool:
        """Whether the protocol lets windows of one trial be trained and tested on."""
        return is_leaky(str(self.keys["protocol"]))

    def over_folds(self, name: str = "") -> MeanSD:
        """Return mean and SD of a score over folds; of the main score if no name is given."""
        return mean_and_sd(self.folds[name or self.main])

    def folds_interval(self, name: str = "") -> Interval:
        """Return the 95 % interval of the mean over folds, of the kind that `folds_interval_kind` names."""
        name = name or self.main
        if self.folds_interval_kind == SUBJECTS_T:
            return t_interval_over_subjects(self.folds[name], self.folds["subject"], properties_of(name))
        return t_interval_over_folds(self.folds[name], properties_of(name))

    @property
    def folds_interval_kind(self) -> str:
        """Over subjects where each has a cross-validation of their own (scope per-subject), else over folds."""
        several = "subject" in self.folds and self.folds["subject"].nunique() > 1
        return SUBJECTS_T if several else FOLDS_T

    def over_subjects(self, name: str = "") -> MeanSD:
        """Return mean and SD of a score over subjects, each with equal weight; of the main score without a name."""
        return mean_and_sd(self.subjects[name or self.main])

    @property
    def assessment(self) -> str:
        """The pooled main score by window against chance and baseline, and whether it is LEAKY, in words."""
        words = "above chance" if self.chance["window"].above else "within chance"
        if self.chance["window"].above and self.words_without_skill:
            words += f", {self.words_without_skill}"
        return f"{words}; LEAKY" if self.leaky else words


def evaluate(
    result: pd.DataFrame, n_permutations: int = N_PERMUTATIONS, seed: int = 0, classes: Sequence[str] = ()
) -> Scores:
    """Compute all scores of one result, of any task.

    result : rows of a predictions table that share `predictions.KEYS`
    n_permutations : of the trial labels, for chance. seed : of permutations and bootstrap
    classes : names of several classes in the order of their numbers, for warnings; without them they are numbers

    Raises BadRun if the columns are of no task.
    """
    result = metrics.number_folds_once(result)
    task = metrics.metrics_of(result, classes)
    trials = task.aggregate_trials(result)
    chance = _chances(result, task, n_permutations, seed)
    bootstrap = bootstrap_intervals(result, seed=seed)
    folds = metrics.scores_by_fold(result)
    subjects = metrics.scores_by_subject(result)
    of_subjects = [chance.subjects[subject] for subject in subjects["subject"]]
    subjects = subjects.assign(chance_mean=[c.mean for c in of_subjects], chance_upper=[c.upper for c in of_subjects])
    window = task.compute(result, task.window_scores)
    baseline = metrics.baseline_scores(result)
    confusion = {level: task.confusion(rows) for level, rows in (("window", result), ("trial", trials))}
    counts = {
        "folds": len(folds),
        "subjects": len(subjects),
        "trials": len(result.drop_duplicates(TRIAL)),
        "windows": len(result),
    }
    return Scores(
        keys={name: result[name].iloc[0] for name in KEYS},
        stamps=tuple(stamps(result)),
        counts=counts | task.counts(result),
        window=window,
        trial=task.compute(trials, task.trial_scores),
        folds=folds,
        subjects=subjects,
        unit=bootstrap.unit,
        window_interval=bootstrap.window,
        trial_interval=bootstrap.trial,
        chance={level: scores[task.main] for level, scores in chance.levels.items()},
        majority={level: scores[task.main] for level, scores in baseline.items()},
        warnings=(*task.warnings(result, folds, subjects), *_few_subjects(len(subjects))),
        task=task.task,
        main=task.main,
        chances=chance.levels,
        chance_words=chance.what,
        baseline=baseline,
        confusion={level: matrix for level, matrix in confusion.items() if matrix is not None},
        words_without_skill=task.without_skill(window, baseline["window"]),
        classes=task.classes,
    )


def _chances(result: pd.DataFrame, task: TaskMetrics, n: int, seed: int) -> ScoreChances:
    """Chance of every score. The accuracy of two classes is summed as ever, so that its digits stay."""
    chances = chances_of_scores(result, n, seed)
    if task.task != "binary":
        return chances
    overall, subjects = permutation_chance(result, n, seed)
    levels = {level: scores | {"accuracy": overall[level]} for level, scores in chances.levels.items()}
    return chances._replace(levels=levels, subjects=subjects)


def _few_subjects(n: int) -> Iterator[str]:
    if n < MIN_SUBJECTS:
        yield (
            f"With {n} subject{'s' if n > 1 else ''} the intervals resample trials: they say nothing about other "
            "subjects."
        )

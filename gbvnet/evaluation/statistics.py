"""What a score is worth: confidence intervals, chance by permutation, and paired tests.

scipy does the arithmetic; what is written here is what is resampled, permuted or paired: subjects, or whole trials.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .labels import predicted_high
from .metrics import aggregate_trials, metrics_of
from .predictions import TRIAL
from .score_properties import SCORE_PROPERTIES, TOLERANCE, ScoreProperties

MIN_SUBJECTS = 5  # below, an interval over subjects says little, and trials are resampled instead
N_PERMUTATIONS = 10_000
N_RESAMPLES = 10_000
CHANCE_PERCENTILE = 97.5  # percentile of the permuted scores that a score must pass to be above chance
SHARE = SCORE_PROPERTIES["accuracy"]  # bounds of 0 and 1


# --- means and their intervals ---


class MeanSD(NamedTuple):
    """Unweighted mean and standard deviation (n - 1) over folds or subjects, and how many had no value."""

    mean: float
    sd: float
    n: int
    undefined: int


class Interval(NamedTuple):
    """The limits of a 95 % interval of some kind: bootstrap, or Student's t over folds or over subjects."""

    low: float
    high: float


UNDEFINED = Interval(np.nan, np.nan)


def mean_and_sd(values: pd.Series) -> MeanSD:
    """Return mean and SD of the defined values. The mean over folds is the paper's Eq. 7."""
    defined = values.dropna()
    mean = float(defined.mean()) if len(defined) else np.nan
    sd = float(defined.std(ddof=1)) if len(defined) > 1 else np.nan
    return MeanSD(mean, sd, len(defined), len(values) - len(defined))


def t_interval_over_folds(
    values: pd.Series, of: ScoreProperties = SHARE, level: float = 0.95, repeats: int = 1
) -> Interval:
    """Return the corrected t interval of the mean of a score over the k folds of one cross-validation, in its bounds.

    Nadeau & Bengio 2003 (Machine Learning 52, section 3): as the training sets overlap, the variance of the mean is
    (1/k + n_test/n_train) s^2 instead of s^2/k, here with n_test/n_train = 1/(k - 1), and Student's t with k - 1
    degrees of freedom. NaN for less than two folds with a value. For the folds of several subjects, each with a
    cross-validation of their own, it is far too narrow: see `t_interval_over_subjects`.

    repeats : how many cross-validations with other splits of the same windows the values are from. With r of them and
        k folds each the variance of the mean is (1/(k r) + 1/(k - 1)) s^2, with k r - 1 degrees of freedom: Bouckaert
        & Frank 2004 (PAKDD, LNCS 3056)
    """
    defined = values.dropna().to_numpy(float)
    n, k = len(defined), len(defined) / repeats
    if k < 2:
        return UNDEFINED
    half = _t_quantile((1 + level) / 2, n - 1) * defined.std(ddof=1) * np.sqrt(1 / n + 1 / (k - 1))
    return _clip(defined.mean(), half, of)


def t_interval_over_subjects(
    values: pd.Series, subjects: pd.Series, of: ScoreProperties = SHARE, level: float = 0.95
) -> Interval:
    """Return the t interval of the mean of a score over folds, where each fold is of one subject, in its bounds.

    Folds of one subject share that subject and nearly all of their training data, so they are no k independent values;
    subjects share no data at all. With equally many folds each, this is Student's interval of the subjects' means, with
    S - 1 degrees of freedom; otherwise a mean counts by its number of folds, as in the mean over folds (the interval
    of a ratio under cluster sampling: Cochran 1977, Sampling Techniques, section 9A). NaN for less than two subjects.
    """
    folds = pd.DataFrame({"value": values.to_numpy(float), "subject": subjects.to_numpy()}).dropna(subset=["value"])
    mean = folds["value"].mean()
    residual = (folds["value"] - mean).groupby(folds["subject"]).sum().to_numpy()  # (S,)
    n = len(residual)
    if n < 2:
        return UNDEFINED
    error = np.sqrt(n / (n - 1) * (residual**2).sum()) / len(folds)
    return _clip(mean, _t_quantile((1 + level) / 2, n - 1) * error, of)


def _t_quantile(share: float, degrees: int) -> float:
    """Return a quantile of Student's t."""
    from scipy.stats import t

    return float(t.ppf(share, degrees))


def _clip(middle: float, half: float, of: ScoreProperties) -> Interval:
    """Cut to the bounds of the score: no value lies outside, so that the coverage stays the same."""
    return Interval(float(max(of.low, middle - half)), float(min(of.high, middle + half)))


class BootstrapIntervals(NamedTuple):
    """95 % bootstrap intervals of the pooled scores, by name of score."""

    unit: str  # what was resampled: "subjects" or "trials"
    window: dict[str, Interval]
    trial: dict[str, Interval]


def bootstrap_intervals(result: pd.DataFrame, n: int = N_RESAMPLES, seed: int = 0) -> BootstrapIntervals:
    """Return 95 % percentile bootstrap intervals of the pooled scores that follow from sums: of all but the AUC.

    Whole subjects are resampled where there are at least MIN_SUBJECTS, else whole trials. NaN where there is only one
    unit to draw.
    """
    return bootstrap_over_seeds([result], n, seed)


def bootstrap_over_seeds(results: Sequence[pd.DataFrame], n: int = N_RESAMPLES, seed: int = 0) -> BootstrapIntervals:
    """As bootstrap_intervals, of the mean over results that differ by their seed alone.

    A resample is of the subjects (or trials) that are tested at any seed, and the same for all seeds: the interval says
    what to expect of the mean over these seeds with other subjects. How far seeds differ is no part of it.
    """
    trials = pd.concat([result[TRIAL].drop_duplicates() for result in results])
    by = ["subject"] if trials["subject"].nunique() >= MIN_SUBJECTS else TRIAL
    units = trials.groupby(by).size().index
    n_units = len(units)
    draws = np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), size=n).astype(float)
    resampled = [_resampled_scores(result, by, units, draws) for result in results]
    window, trial = (
        {name: _percentile_interval(np.mean([of[name] for of in level], axis=0), n_units) for name in level[0]}
        for level in zip(*resampled, strict=True)
    )
    return BootstrapIntervals("subjects" if by == ["subject"] else "trials", window, trial)


def _resampled_scores(
    result: pd.DataFrame, by: list[str], units: pd.Index, draws: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Scores of all windows and of all trials under draws of units (n, units): each (n,), by name.

    NaN under a draw of units of which the result tests none.
    """
    task = metrics_of(result)
    samples = []
    for rows, scores in ((result, task.window_scores), (task.aggregate_trials(result), task.trial_scores)):
        grouped = rows.groupby(by)
        place = units.get_indexer(grouped.size().index)  # of each unit that the result tests
        of_result = task.sums(rows, grouped.ngroup().to_numpy())  # (units of the result, S)
        sums = np.zeros((len(units), of_result.shape[1]))
        sums[place] = of_result
        names = tuple(s for s in task.resampled_scores if s in scores)
        with np.errstate(divide="ignore", invalid="ignore"):
            samples.append(task.scores_of_sums(draws @ sums, names))
    return samples[0], samples[1]


def _percentile_interval(values: np.ndarray, n_units: int) -> Interval:
    defined = values[~np.isnan(values)]
    if n_units < 2 or not len(defined):
        return UNDEFINED
    return Interval(*(float(edge) for edge in np.percentile(defined, (2.5, 97.5))))


# --- chance ---


class Chance(NamedTuple):
    """A score beside what it is when trial labels are permuted within each subject; all NaN if it is not defined."""

    score: float
    mean: float
    upper: float  # what it must pass: CHANCE_PERCENTILE of the permuted scores, or 100 less it where less is better
    p: float  # (1 + permutations at least as good) / (1 + permutations)
    higher_is_better: bool = True

    @property
    def above(self) -> bool:
        """Whether the score is better than chance: beyond that percentile of the permuted scores."""
        margin = _tolerance(self.score)
        if not self.higher_is_better:
            return self.score < self.upper - margin
        return self.score > self.upper + margin


class ChanceLevels(NamedTuple):
    """Accuracy of two classes against chance: of the whole result and of each subject."""

    overall: dict[str, Chance]  # window (pooled), fold (mean over folds, Eq. 7), trial (pooled)
    subjects: dict[str, Chance]  # subject -> accuracy by window


def permutation_chance(result: pd.DataFrame, n: int = N_PERMUTATIONS, seed: int = 0) -> ChanceLevels:
    """Permute the labels of trials within each subject n times against the fixed predictions; nothing is refitted.

    A trial keeps its windows together, so that 60 windows of one trial do not count as 60 observations; a subject keeps
    the number of high trials, so that recognising the subject gains nothing. For the accuracy of two classes; chance.py
    has all scores of all tasks.
    """
    trials, gains, base = _accuracy_terms(result)  # one row a trial; (T, 3) ; (S, 3)
    rng = np.random.default_rng(seed)
    total = np.zeros((n, 3))
    observed = np.zeros(3)
    subjects = {}
    for subject in sorted(base):
        rows = np.flatnonzero(trials["subject"] == subject)
        y = trials["y"].to_numpy()[rows]
        permuted = rng.permuted(np.tile(y, (n, 1)), axis=1).astype(float)  # (n, trials of this subject)
        null = permuted @ gains[rows] + base[subject]  # (n, 3)
        score = y @ gains[rows] + base[subject]
        windows = trials["windows"].to_numpy()[rows].sum()
        subjects[subject] = compare_with_permuted(score[0] / windows, null[:, 0] / windows)
        total += null
        observed += score
    n_units = np.array([len(result), 1, len(aggregate_trials(result))])
    total /= n_units
    observed = observed / n_units
    overall = {
        name: compare_with_permuted(observed[k], total[:, k]) for k, name in enumerate(("window", "fold", "trial"))
    }
    return ChanceLevels(overall, subjects)


def _accuracy_terms(result: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, dict[str, np.ndarray]]:
    """What makes 10,000 permutations of 52,000 windows a matter of one second: accuracy is linear in the trial labels.

    With h the prediction and w the weight of a row, sum w [h == y] = sum w (1 - h) + sum y w (2h - 1). The second sum
    is taken within trials once (`gains`), the first within subjects (`base`); a permutation only recombines trials.
    """
    of_trials = aggregate_trials(result)
    in_fold = result.groupby("fold")["y"].transform("size")
    n_folds = result["fold"].nunique()
    parts = []
    for rows, weight in ((result, 1.0), (result, 1.0 / (n_folds * in_fold)), (of_trials, 1.0)):
        high = predicted_high(rows["p"]).astype(float)
        parts.append(rows[TRIAL].assign(gain=weight * (2 * high - 1), base=weight * (1 - high)))
    trials = result.groupby(TRIAL, as_index=False).agg(y=("y", "first"), windows=("y", "size"))
    sums = [part.groupby(TRIAL)[["gain", "base"]].sum() for part in parts]  # same order of trials as `trials`
    gains = np.stack([s["gain"].to_numpy() for s in sums], axis=1)
    base = pd.concat([s["base"].groupby("subject").sum() for s in sums], axis=1)
    return trials, gains, dict(zip(base.index, base.to_numpy(), strict=True))


def compare_with_permuted(score: float, null: np.ndarray, higher_is_better: bool = True) -> Chance:
    """Return a score beside its values under permuted labels, (n,).

    Permutations under which the score is not defined count as at least as good, so that p is never too small.
    """
    defined = null[~np.isnan(null)]
    if np.isnan(score) or not len(defined):
        return Chance(float(score), np.nan, np.nan, np.nan, higher_is_better)
    margin = _tolerance(score)
    better = defined >= score - margin if higher_is_better else defined <= score + margin
    as_good = int(better.sum()) + len(null) - len(defined)
    limit = float(np.percentile(defined, CHANCE_PERCENTILE if higher_is_better else 100 - CHANCE_PERCENTILE))
    return Chance(float(score), float(defined.mean()), limit, (1 + as_good) / (1 + len(null)), higher_is_better)


def _tolerance(score: float) -> float:
    return TOLERANCE * max(1.0, abs(score))


# --- two results against each other ---


class PairedTest(NamedTuple):
    """A Wilcoxon signed-rank test over subjects."""

    n: int  # subjects whose two scores differ; the others say nothing about direction
    difference: float  # mean over all subjects of a - b
    p: float
    smallest_p: float  # no data of this many subjects could give less
    effect: float = np.nan  # matched-pairs rank-biserial correlation (Kerby 2014), -1 to 1: +1 if a is above in each


def paired_test(a: pd.Series, b: pd.Series, alternative: Literal["greater", "two-sided"] = "greater") -> PairedTest:
    """Compare two scores of the same subjects (a and b indexed by subject). Exact up to 13 subjects, ties included.

    alternative : `greater` asks whether a is above b, and must be chosen before looking; smallest p is then 2**-n.

    Raises ValueError if the subjects differ.
    """
    if set(a.index) != set(b.index):
        raise ValueError(
            f"scores of {len(a)} and {len(b)} subjects, {len(set(a.index) ^ set(b.index))} of them in one only"
        )
    from scipy import stats

    differences = (a - b.reindex(a.index)).round(12)
    differing = differences[differences != 0]
    n = len(differing)
    smallest = min(1.0, 2.0**-n * (2 if alternative == "two-sided" else 1))
    if n == 0:
        return PairedTest(0, float(differences.mean()), 1.0, 1.0)
    ranks = stats.rankdata(differing.abs())
    effect = float((ranks * np.sign(differing)).sum() / ranks.sum())
    # scipy's own exact method knows no ties; enumerating all 2**n signs does, and is quick up to 13
    method = stats.PermutationMethod(n_resamples=2**n) if 2 <= n <= 13 else "auto"
    p = stats.wilcoxon(differing, alternative=alternative, method=method).pvalue
    return PairedTest(n, float(differences.mean()), float(p), smallest, effect)


def adjust_holm(p: ArrayLike) -> np.ndarray:
    """Return Holm's adjustment of a family of p values (m,), in the order given.

    >>> adjust_holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1.0)
    return result

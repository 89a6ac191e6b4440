"""Scores of a predictions table, each beside what chance and a constant guess would give.

A *result* is the part of a table that shares `predictions.KEYS`: one system, on one target, under one protocol. Every
function takes one result (a DataFrame as predictions.read gives it) and nothing else, and is in four parts:
scores of labels and probabilities; units (trials, folds, subjects); what a score is worth (interval, chance, majority);
comparison of two results.

High is predicted where p >= 0.5. scikit-learn and scipy do the arithmetic; what is written here is what is averaged
over what. A score that is not defined is NaN, is counted, and is never averaged in silence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special, stats
from sklearn import metrics as sk

from ..provenance import is_leaky
from .predictions import KEYS, TRIAL, stamps

P_EDGE = 1e-6  # p is kept this far from 0 and 1 before its logit is taken: one certain window must not decide a trial
FEWEST_SUBJECTS = 5  # below, an interval over people says little, and trials are resampled instead
N_PERMUTATIONS = 10_000
N_RESAMPLES = 10_000
LEVEL = 97.5  # percentile of the shuffled scores that a score must pass to be above chance
FOLDS_T, SUBJECTS_T = "corrected t over folds", "t over subjects"  # kinds of interval of the mean over folds
TOLERANCE = 1e-12  # two fold means that are equal on paper may differ by rounding


# --- scores of labels y (n,) in {0, 1} and probabilities of high p (n,) in [0, 1] ---


def accuracy(y: ArrayLike, p: ArrayLike) -> float:
    """Share of right predictions, the paper's score."""
    return float(np.mean((np.asarray(y) == 1) == _high(p)))


def balanced_accuracy(y: ArrayLike, p: ArrayLike) -> float:
    """Mean of the shares of right predictions among high and among low; NaN if y has one class."""
    return float(sk.balanced_accuracy_score(y, _high(p))) if _both(y) else np.nan


def macro_f1(y: ArrayLike, p: ArrayLike) -> float:
    """Unweighted mean of the F1 of high and of low; a class never predicted counts 0. NaN if y has one class."""
    return float(sk.f1_score(y, _high(p), average="macro", zero_division=0)) if _both(y) else np.nan


def auc(y: ArrayLike, p: ArrayLike) -> float:
    """Area under the ROC curve: how often a high window gets a larger p than a low one. NaN if y has one class."""
    return float(sk.roc_auc_score(y, p)) if _both(y) else np.nan


def mcc(y: ArrayLike, p: ArrayLike) -> float:
    """Matthews' correlation of label and prediction, -1 to 1; 0 for a constant prediction. NaN if y has one class."""
    return float(sk.matthews_corrcoef(y, _high(p))) if _both(y) else np.nan


SCORES: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "auc": auc,
    "mcc": mcc,
}
# AUC and MCC of small or one-sided folds are noise or undefined, so they are given pooled and by subject only.
FOLD_SCORES = ("accuracy", "balanced_accuracy", "macro_f1")


def scores(y: ArrayLike, p: ArrayLike) -> dict[str, float]:
    """All scores by name."""
    return {name: score(np.asarray(y), np.asarray(p)) for name, score in SCORES.items()}


def _high(p: ArrayLike) -> np.ndarray:
    return np.asarray(p) >= 0.5


def _both(y: ArrayLike) -> bool:
    return len(np.unique(np.asarray(y))) == 2


# --- units: results, trials, folds, subjects ---


def results(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The results in a table, one after the other, in the order in which they first appear."""
    for _, result in table.groupby(KEYS, sort=False):
        yield result


def by_trial(result: pd.DataFrame) -> pd.DataFrame:
    """One row a trial and fold: p from the mean logit of the trial's windows within that fold, y, prior, n windows.

    Under the `window` protocol a trial's windows are in several folds, and it has a row in each.
    """
    logit = special.logit(result["p"].clip(P_EDGE, 1 - P_EDGE))
    trials = result.assign(logit=logit).groupby(["fold", *TRIAL], as_index=False)
    rows = trials.agg(
        stimulus=("stimulus", "first"),
        y=("y", "first"),
        prior=("prior", "mean"),
        windows=("y", "size"),
        logit=("logit", "mean"),
    )
    # Without rounding, windows of p = 0.3 and 0.7 would fall on the low side of an exact tie.
    return rows.assign(p=special.expit(rows["logit"].round(12)))


def by_fold(result: pd.DataFrame) -> pd.DataFrame:
    """One row a fold: windows, how many are high, FOLD_SCORES by window, accuracy by trial and of the majority.

    Under scope per-subject also the subject whose fold it is.
    """
    folds = _score_groups(result, "fold", FOLD_SCORES)
    if not _within_subjects(result):
        return folds
    of_fold = result.groupby("fold")["subject"].first()
    folds.insert(1, "subject", folds["fold"].map(of_fold))
    return folds


def by_subject(result: pd.DataFrame) -> pd.DataFrame:
    """One row a subject: windows, how many are high, all scores by window, accuracy by trial and of the majority."""
    return _score_groups(result, "subject", tuple(SCORES))


def _score_groups(result: pd.DataFrame, by: str, names: tuple[str, ...]) -> pd.DataFrame:
    trials = by_trial(result).groupby(by)
    rows = []
    for key, group in result.groupby(by):
        y, p = group["y"].to_numpy(), group["p"].to_numpy()
        of_trials = trials.get_group(key)
        rows.append(
            {by: key, "windows": len(group), "high_windows": int(y.sum())}
            | {"trials": len(of_trials), "high_trials": int(of_trials["y"].sum())}
            | {name: SCORES[name](y, p) for name in names}
            | {"trial_accuracy": accuracy(of_trials["y"], of_trials["p"]), "majority": accuracy(y, group["prior"])}
        )
    return pd.DataFrame(rows)


class Spread(NamedTuple):
    """Unweighted mean and standard deviation (n - 1) over folds or subjects, and how many had no value."""

    mean: float
    sd: float
    n: int
    undefined: int


def spread(values: pd.Series) -> Spread:
    """Mean and SD of the defined values. The mean over folds is the paper's Eq. 7."""
    defined = values.dropna()
    mean = float(defined.mean()) if len(defined) else np.nan
    sd = float(defined.std(ddof=1)) if len(defined) > 1 else np.nan
    return Spread(mean, sd, len(defined), len(values) - len(defined))


def corrected_interval(values: pd.Series, level: float = 0.95) -> "Interval":
    """The corrected t interval over folds: of the mean of a share (0 to 1) over the k folds of one cross-validation.

    Nadeau & Bengio 2003 (Machine Learning 52, section 3): as the training sets overlap, the variance of the mean is
    (1/k + n_test/n_train) s^2 instead of s^2/k, here with n_test/n_train = 1/(k - 1), and Student's t with k - 1
    degrees of freedom. NaN for less than two folds with a value. For the folds of several subjects, each with a
    cross-validation of their own, it is far too narrow: see `subjects_interval`.
    """
    defined = values.dropna().to_numpy(float)
    k = len(defined)
    if k < 2:
        return Interval(np.nan, np.nan)
    half = stats.t.ppf((1 + level) / 2, k - 1) * defined.std(ddof=1) * np.sqrt(1 / k + 1 / (k - 1))
    return _of_a_share(defined.mean(), half)


def subjects_interval(values: pd.Series, subjects: pd.Series, level: float = 0.95) -> "Interval":
    """The t interval over subjects: of the mean of a share (0 to 1) over folds, where each fold is of one subject.

    Folds of one subject share that subject and nearly all of their training data, so they are no k independent values;
    subjects share no data at all. With equally many folds each, this is Student's interval of the subjects' means, with
    S - 1 degrees of freedom; otherwise a mean counts by its number of folds, as in the mean over folds (the interval
    of a ratio under cluster sampling: Cochran 1977, Sampling Techniques, section 9A). NaN for less than two subjects.
    """
    folds = pd.DataFrame({"value": values.to_numpy(float), "subject": subjects.to_numpy()}).dropna(subset=["value"])
    mean = folds["value"].mean()
    away = (folds["value"] - mean).groupby(folds["subject"]).sum().to_numpy()  # (S,)
    n = len(away)
    if n < 2:
        return Interval(np.nan, np.nan)
    error = np.sqrt(n / (n - 1) * (away**2).sum()) / len(folds)
    return _of_a_share(mean, stats.t.ppf((1 + level) / 2, n - 1) * error)


def _of_a_share(middle: float, half: float) -> "Interval":
    """Cut to 0..1: no share lies outside of it, so that what is cut off covers nothing."""
    return Interval(float(max(0.0, middle - half)), float(min(1.0, middle + half)))


def _within_subjects(result: pd.DataFrame) -> bool:
    return str(result["scope"].iloc[0]) == "per-subject"


def _own_folds(result: pd.DataFrame) -> pd.DataFrame:
    """Under scope per-subject, folds that are counted from 1 for each subject get numbers of their own."""
    if not _within_subjects(result) or (result.groupby("fold")["subject"].nunique() == 1).all():
        return result
    return result.assign(fold=result.groupby(["subject", "fold"]).ngroup() + 1)


# --- what a score is worth ---


class Chance(NamedTuple):
    """A score beside what it is when trial labels are shuffled within each person."""

    score: float
    mean: float
    upper: float  # LEVEL-th percentile of the shuffled scores
    p: float  # (1 + shuffles at least as good) / (1 + shuffles)

    @property
    def above(self) -> bool:
        return self.score > self.upper + TOLERANCE


def chance(result: pd.DataFrame, n: int = N_PERMUTATIONS, seed: int = 0) -> tuple[dict[str, Chance], dict[str, Chance]]:
    """Shuffle the labels of trials within each person n times against the fixed predictions; nothing is refitted.

    A trial keeps its windows together, so that 60 windows of one trial do not count as 60 observations; a person keeps
    their number of high trials, so that knowing who is who gains nothing. Returns the accuracy by `window` (pooled), by
    `fold` (mean over folds, Eq. 7) and by `trial` (pooled) against chance, and the first of them for each subject.
    """
    trials, gains, base = _gains(result)  # one row a trial; (T, 3) ; (S, 3)
    rng = np.random.default_rng(seed)
    total = np.zeros((n, 3))
    observed = np.zeros(3)
    subjects = {}
    for subject in sorted(base):
        rows = np.flatnonzero(trials["subject"] == subject)
        y = trials["y"].to_numpy()[rows]
        shuffled = rng.permuted(np.tile(y, (n, 1)), axis=1).astype(float)  # (n, trials of this person)
        null = shuffled @ gains[rows] + base[subject]  # (n, 3)
        score = y @ gains[rows] + base[subject]
        windows = trials["windows"].to_numpy()[rows].sum()
        subjects[subject] = _against(score[0] / windows, null[:, 0] / windows)
        total += null
        observed += score
    n_units = np.array([len(result), 1, len(by_trial(result))])
    total /= n_units
    observed = observed / n_units
    return {name: _against(observed[k], total[:, k]) for k, name in enumerate(("window", "fold", "trial"))}, subjects


def _gains(result: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, dict[str, np.ndarray]]:
    """What makes 10,000 shuffles of 52,000 windows a matter of one second: accuracy is linear in the trial labels.

    With h the prediction and w the weight of a row, sum w [h == y] = sum w (1 - h) + sum y w (2h - 1). The second sum
    is taken within trials once (`gains`), the first within subjects (`base`); a shuffle then only recombines trials.
    """
    of_trials = by_trial(result)
    in_fold = result.groupby("fold")["y"].transform("size")
    n_folds = result["fold"].nunique()
    parts = []
    for rows, weight in ((result, 1.0), (result, 1.0 / (n_folds * in_fold)), (of_trials, 1.0)):
        high = (rows["p"] >= 0.5).astype(float)
        parts.append(rows[TRIAL].assign(gain=weight * (2 * high - 1), base=weight * (1 - high)))
    trials = result.groupby(TRIAL, as_index=False).agg(y=("y", "first"), windows=("y", "size"))
    sums = [part.groupby(TRIAL)[["gain", "base"]].sum() for part in parts]  # same order of trials as `trials`
    gains = np.stack([s["gain"].to_numpy() for s in sums], axis=1)
    low = pd.concat([s["base"].groupby("subject").sum() for s in sums], axis=1)
    return trials, gains, dict(zip(low.index, low.to_numpy(), strict=True))


def _against(score: float, null: np.ndarray) -> Chance:
    as_good = int((null >= score - TOLERANCE).sum())
    upper = float(np.percentile(null, LEVEL))
    return Chance(float(score), float(null.mean()), upper, (1 + as_good) / (1 + len(null)))


def majority(result: pd.DataFrame) -> dict[str, float]:
    """Accuracy of predicting the training folds' commoner class, from `prior` alone: high where prior >= 0.5."""
    trials = by_trial(result)
    right = (result["prior"] >= 0.5) == (result["y"] == 1)
    return {
        "window": float(right.mean()),
        "fold": float(right.groupby(result["fold"]).mean().mean()),
        "trial": accuracy(trials["y"], trials["prior"]),
    }


class Interval(NamedTuple):
    """The limits of a 95 % interval of some kind: bootstrap, or Student's t over folds or over subjects."""

    low: float
    high: float


def intervals(
    result: pd.DataFrame, n: int = N_RESAMPLES, seed: int = 0
) -> tuple[str, dict[str, Interval], dict[str, Interval]]:
    """95 % percentile bootstrap of the pooled accuracy, balanced accuracy, macro-F1 and MCC.

    Whole subjects are drawn where there are at least FEWEST_SUBJECTS, else whole trials. Returns which ("subjects" or
    "trials"), the intervals by window, and those by trial. NaN where there is only one unit to draw.
    """
    by = ["subject"] if result["subject"].nunique() >= FEWEST_SUBJECTS else TRIAL
    n_units = result.groupby(by).ngroups
    drawn = np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), size=n)  # (n, units)
    found = []
    for rows in (result, by_trial(result)):
        counts = _confusion(rows).groupby([rows[name] for name in by]).sum().to_numpy()  # (units, 4)
        samples = _scores_of_counts(drawn @ counts)
        found.append({name: _percentiles(values, n_units) for name, values in samples.items()})
    return ("subjects" if by == ["subject"] else "trials"), found[0], found[1]


def _confusion(rows: pd.DataFrame) -> pd.DataFrame:
    """One-hot (n, 4): low as low, low as high, high as low, high as high."""
    y, high = rows["y"].to_numpy() == 1, rows["p"].to_numpy() >= 0.5
    return pd.DataFrame(
        {"ll": ~y & ~high, "lh": ~y & high, "hl": y & ~high, "hh": y & high}, index=rows.index, dtype=int
    )


def _scores_of_counts(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of many confusion matrices at once, (n, 4) as _confusion orders them; NaN where there is one class."""
    ll, lh, hl, hh = counts.T.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        one_class = (ll + lh == 0) | (hl + hh == 0)
        f1_high = np.nan_to_num(2 * hh / (2 * hh + lh + hl))
        f1_low = np.nan_to_num(2 * ll / (2 * ll + lh + hl))
        spread_out = np.sqrt((ll + lh) * (hl + hh) * (ll + hl) * (lh + hh))
        values = {
            "balanced_accuracy": (ll / (ll + lh) + hh / (hl + hh)) / 2,
            "macro_f1": (f1_high + f1_low) / 2,
            "mcc": np.nan_to_num((ll * hh - lh * hl) / spread_out),
        }
    defined = {name: np.where(one_class, np.nan, value) for name, value in values.items()}
    return {"accuracy": (ll + hh) / counts.sum(axis=1)} | defined


def _percentiles(values: np.ndarray, n_units: int) -> Interval:
    defined = values[~np.isnan(values)]
    if n_units < 2 or not len(defined):
        return Interval(np.nan, np.nan)
    return Interval(*(float(edge) for edge in np.percentile(defined, (2.5, 97.5))))


# --- everything about one result ---


@dataclass(frozen=True)
class Scores:
    """All that is said about one result. Accuracies are fractions; `window` and `trial` are pooled over folds."""

    keys: dict[str, str | int]  # the values of predictions.KEYS
    stamps: tuple[str, ...]
    counts: dict[str, int]  # folds, subjects, trials, windows, high_trials, high_windows
    window: dict[str, float]  # score by name
    trial: dict[str, float]
    folds: pd.DataFrame  # by_fold
    subjects: pd.DataFrame  # by_subject, with chance_mean and chance_upper
    unit: str  # what the intervals resample: subjects or trials
    window_interval: dict[str, Interval]
    trial_interval: dict[str, Interval]
    chance: dict[str, Chance]  # window, fold, trial
    majority: dict[str, float]  # window, fold, trial
    findings: tuple[str, ...] = field(default=())

    @property
    def leaky(self) -> bool:
        return is_leaky(str(self.keys["protocol"]))

    def over_folds(self, name: str = "accuracy") -> Spread:
        return spread(self.folds[name])

    def folds_interval(self, name: str = "accuracy") -> Interval:
        """The 95 % interval of the mean over folds, of the kind that `folds_interval_kind` names."""
        if self.folds_interval_kind == SUBJECTS_T:
            return subjects_interval(self.folds[name], self.folds["subject"])
        return corrected_interval(self.folds[name])

    @property
    def folds_interval_kind(self) -> str:
        """Over subjects where each has a cross-validation of their own (scope per-subject), else over folds."""
        several = "subject" in self.folds and self.folds["subject"].nunique() > 1
        return SUBJECTS_T if several else FOLDS_T

    def over_subjects(self, name: str = "accuracy") -> Spread:
        return spread(self.subjects[name])

    @property
    def verdict(self) -> str:
        """In words: the pooled accuracy by window against chance, against the majority, and whether it leaks."""
        words = "above chance" if self.chance["window"].above else "within chance"
        if self.chance["window"].above and self.window["accuracy"] <= self.majority["window"] + TOLERANCE:
            words += ", not above the majority"
        return f"{words}; LEAKY" if self.leaky else words


def evaluate(result: pd.DataFrame, n_permutations: int = N_PERMUTATIONS, seed: int = 0) -> Scores:
    """All scores of one result."""
    result = _own_folds(result)
    trials = by_trial(result)
    labels = result.drop_duplicates(TRIAL)["y"]
    against_chance, of_subjects = chance(result, n_permutations, seed)
    unit, window_interval, trial_interval = intervals(result, seed=seed)
    folds = by_fold(result)
    subjects = by_subject(result)
    own = [of_subjects[subject] for subject in subjects["subject"]]
    subjects = subjects.assign(chance_mean=[c.mean for c in own], chance_upper=[c.upper for c in own])
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
        window=scores(result["y"], result["p"]),
        trial=scores(trials["y"], trials["p"]),
        folds=folds,
        subjects=subjects,
        unit=unit,
        window_interval=window_interval,
        trial_interval=trial_interval,
        chance=against_chance,
        majority=majority(result),
        findings=tuple(_findings(result, folds, subjects)),
    )


def _findings(result: pd.DataFrame, folds: pd.DataFrame, subjects: pd.DataFrame) -> Iterator[str]:
    """What a reader should know about a result that no number shows."""
    for rows, what in ((folds, "test folds"), (subjects, "subjects")):
        one_class = int(rows["balanced_accuracy"].isna().sum())
        if one_class:
            yield (
                f"{one_class} of {len(rows)} {what} have one class only: all scores but accuracy are undefined there, "
                "and left out of means."
            )
        if what == "subjects" and one_class == len(rows):
            yield "No subject has both classes, so shuffling changes nothing: no score can be above chance."
    trained_on_one = result.loc[result["prior"].isin((0.0, 1.0)), "fold"].nunique()
    if trained_on_one:
        yield f"{trained_on_one} of {len(folds)} folds were trained on one class only and can predict nothing else."
    high = _high(result["p"])
    if high.all() or not high.any():
        yield f"Every window is predicted {'high' if high.all() else 'low'}."
    if len(subjects) < FEWEST_SUBJECTS:
        yield (
            f"With {len(subjects)} subject{'s' if len(subjects) > 1 else ''} the intervals resample trials: they say "
            "nothing about other people."
        )


# --- two results against each other ---


class Paired(NamedTuple):
    """A Wilcoxon signed-rank test over subjects."""

    n: int  # subjects whose two scores differ; the others say nothing about direction
    difference: float  # mean over all subjects of a - b
    p: float
    smallest_p: float  # no data of this many subjects could give less
    effect: float = np.nan  # matched-pairs rank-biserial correlation (Kerby 2014), -1 to 1: +1 if a is above in each


def paired(a: pd.Series, b: pd.Series, alternative: Literal["greater", "two-sided"] = "greater") -> Paired:
    """Compare two scores of the same subjects (a and b indexed by subject). Exact up to 13 subjects, ties included.

    alternative : `greater` asks whether a is above b, and must be chosen before looking; smallest p is then 2**-n.
    """
    if set(a.index) != set(b.index):
        raise ValueError(
            f"scores of {len(a)} and {len(b)} subjects, {len(set(a.index) ^ set(b.index))} of them in one only"
        )
    differences = (a - b.reindex(a.index)).round(12)
    differing = differences[differences != 0]
    n = len(differing)
    smallest = min(1.0, 2.0**-n * (2 if alternative == "two-sided" else 1))
    if n == 0:
        return Paired(0, float(differences.mean()), 1.0, 1.0)
    ranks = stats.rankdata(differing.abs())
    effect = float((ranks * np.sign(differing)).sum() / ranks.sum())
    # scipy's own exact method knows no ties; enumerating all 2**n signs does, and is quick up to 13
    method = stats.PermutationMethod(n_resamples=2**n) if 2 <= n <= 13 else "auto"
    p = stats.wilcoxon(differing, alternative=alternative, method=method).pvalue
    return Paired(n, float(differences.mean()), float(p), smallest, effect)


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's adjustment of a family of p values, in their own order."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1.0)
    return result


def same_rows(a: pd.DataFrame, b: pd.DataFrame) -> str:
    """Empty if two results test the same windows with the same labels, else what differs."""
    left, right = (t[["recording", "window", "y"]].drop_duplicates() for t in (a, b))
    both = pd.merge(left, right, on=["recording", "window"], how="outer", suffixes=("_a", "_b"))
    in_one = int(both[["y_a", "y_b"]].isna().any(axis=1).sum())
    if in_one:
        return f"{in_one} windows are in one of them only"
    other = int((both["y_a"] != both["y_b"]).sum())
    return f"{other} windows have another label" if other else ""

"""Chance for every score: against a loop that relabels the table and scores it with other software, draw by draw."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from sklearn import metrics as sk

from gbvnet.evaluation import chance, metrics
from gbvnet.evaluation.score_properties import SCORE_PROPERTIES
from gbvnet.evaluation.statistics import compare_with_permuted

from . import task_tables
from .test_metrics import made as made_binary
from .test_multiclass import sklearn_scores
from .test_regression import oracle, other_ccc

LESS_IS_BETTER = {"rmse", "mae"}


# --- the same by a slow loop ---


def binary_scores(rows):
    y, p = rows["y"].to_numpy(), rows["p"].to_numpy()
    high = p >= 0.5
    return {
        "accuracy": sk.accuracy_score(y, high), "balanced_accuracy": sk.balanced_accuracy_score(y, high),
        "macro_f1": sk.f1_score(y, high, average="macro"), "auc": sk.roc_auc_score(y, p),
        "mcc": sk.matthews_corrcoef(y, high),
    }  # fmt: skip


def class_scores(rows):
    return sklearn_scores(rows["y"], rows.filter(regex=r"^p_").to_numpy())


def number_scores(rows):
    return oracle(rows["y"], rows["y_hat"])


def number_scores_of_windows(rows):
    cccs = [other_ccc(r["y"], r["y_hat"]) for _, r in rows.groupby("recording") if np.ptp(r["y"])]
    return number_scores(rows) | {"ccc_recordings": np.mean(cccs) if cccs else np.nan}


def binary_trials(rows):
    logit = special.logit(rows["p"]).groupby([rows["fold"], rows["recording"]]).mean()
    return pd.DataFrame({"y": rows.groupby(["fold", "recording"])["y"].first(), "p": special.expit(logit)})


def class_trials(rows):
    p = rows.filter(regex=r"^p_")
    logs = np.log(p).groupby([rows["fold"], rows["recording"]]).mean()
    trials = np.exp(logs).div(np.exp(logs).sum(axis=1), axis=0)
    return trials.assign(y=rows.groupby(["fold", "recording"])["y"].first())


def number_trials(rows):
    return rows.groupby(["fold", "recording"])[["y", "y_hat"]].mean()


def defined(score, rows):
    """A fold's scores; with one class accuracy alone."""
    if rows["y"].nunique() > 1:
        return score(rows)
    y = rows["y"].to_numpy()
    if "p" in rows:
        return {"accuracy": np.mean(y == (rows["p"] >= 0.5))}
    if "y_hat" in rows:
        return {"rmse": sk.root_mean_squared_error(y, rows["y_hat"]), "mae": np.mean(np.abs(y - rows["y_hat"]))}
    return {"accuracy": np.mean(y == rows.filter(regex=r"^p_").to_numpy().argmax(axis=1))}


def permuted_labels(table, n, seed):
    """Each draw's labels of all rows, the observed ones first: trials permuted within subjects, in the same stream."""
    rng = np.random.default_rng(seed)
    drawn = np.tile(table["y"].to_numpy(float), (n + 1, 1))
    for _, of_subject in table.groupby("subject"):
        names = sorted(of_subject["trial"].unique())
        label = of_subject.groupby("trial")["y"].first()
        orders = rng.permuted(np.tile(np.arange(len(names)), (n, 1)), axis=1)
        for d, order in enumerate(orders, 1):
            for k, name in enumerate(names):
                drawn[d, of_subject.index[of_subject["trial"] == name]] = label[names[order[k]]]
    return drawn


def moved_courses(table, n, seed, exchange=True):
    """As permuted_labels for labels that change: trials of equal length change places, each shifted in a circle."""
    rng = np.random.default_rng(seed)
    drawn = np.tile(table["y"].to_numpy(float), (n + 1, 1))
    for _, of_subject in table.groupby("subject"):
        rows = {t: r.sort_values("window") for t, r in of_subject.groupby("trial")}
        for length in sorted({len(r) for r in rows.values()}):
            names = [t for t in sorted(rows) if len(rows[t]) == length]
            as_is = np.arange(len(names))
            orders = rng.permuted(np.tile(as_is, (n, 1)), axis=1) if exchange else np.tile(as_is, (n, 1))
            shifts = rng.integers(0, length, (n + 1, len(names)))
            for d in range(1, n + 1):
                for k, name in enumerate(names):
                    course = rows[names[orders[d - 1, k]]]["y"].to_numpy()
                    moved = [course[(w + shifts[d, k]) % length] for w in range(length)]
                    drawn[d, rows[name].index] = moved
    return drawn


def by_loop(table, drawn, windows, trials_of, of_trials):
    """Level -> score -> its values under each draw."""
    values = {"window": [], "fold": [], "trial": []}
    for y in drawn:
        relabelled = table.assign(y=y)
        values["window"].append(windows(relabelled))
        folds = [
            defined(windows if "y_hat" not in table else of_trials, rows) for _, rows in relabelled.groupby("fold")
        ]
        values["fold"].append(pd.DataFrame(folds).mean())
        values["trial"].append(of_trials(trials_of(relabelled)))
    return {level: pd.DataFrame(list(rows)) for level, rows in values.items()}


KINDS = {
    "binary": (binary_scores, binary_trials, binary_scores),
    "multiclass": (class_scores, class_trials, class_scores),
    "regression": (number_scores_of_windows, number_trials, number_scores),
}
SMALL = {"n_subjects": 3, "n_trials": 6, "folds": 3}


def spread_over_folds(table):
    """As protocol window: the windows of a trial in several folds."""
    return table.assign(protocol="window", fold=1 + np.random.default_rng(4).permutation(len(table)) % 3)


TABLES = {
    "binary": made_binary(3, 6, 3, seed=1, folds=3),
    "binary-window": spread_over_folds(made_binary(3, 6, 3, seed=1, folds=3)),
    "multiclass": task_tables.multiclass(3, seed=1, skill=0.7, **SMALL),
    "multiclass-absent": task_tables.multiclass(4, classes=[0, 2, 3], seed=3, skill=0.3, **SMALL),
    "multiclass-window": spread_over_folds(task_tables.multiclass(3, seed=2, skill=0.3, **SMALL)),
    "regression": task_tables.regression(seed=1, skill=0.5, **SMALL),
    "regression-window": spread_over_folds(task_tables.regression(seed=1, skill=0.2, **SMALL)),
    "regression-varying": task_tables.regression(seed=1, skill=0.5, varying=True, **SMALL | {"n_windows": 4}),
    "regression-varying-window": spread_over_folds(
        task_tables.regression(seed=2, skill=0.1, varying=True, **SMALL | {"n_windows": 4})
    ),
}


@pytest.mark.journey
@pytest.mark.parametrize("name", TABLES)
def test_chance_of_every_score_is_that_of_a_loop_over_relabelled_tables(name):
    table, n, seed = TABLES[name].sample(frac=1, random_state=3).reset_index(drop=True), 25, 5
    draw = moved_courses if "varying" in name else permuted_labels
    values = by_loop(table, draw(table, n, seed), *KINDS[name.split("-")[0]])
    result = chance.chances_of_scores(table, n, seed)
    task = metrics.metrics_of(table)
    assert {level: tuple(scores) for level, scores in result.levels.items()} == {
        "window": task.window_scores, "fold": task.fold_scores, "trial": task.trial_scores,
    }  # fmt: skip
    for level, scores in result.levels.items():
        for score, of_score in scores.items():
            observed, *null = values[level][score]
            check(of_score, observed, np.array(null), score)
    of_subjects = [windows_of_subject(table, values, s) for s in sorted(table["subject"].unique())]
    assert list(result.subjects) == [s for s, _ in of_subjects]
    for subject, score in of_subjects:
        assert result.subjects[subject].score == pytest.approx(score)


def windows_of_subject(table, values, subject):
    rows = table[table["subject"] == subject]
    windows = KINDS[metrics.task_of(table)][0]
    return subject, defined(windows, rows)[metrics.metrics_of(table).main]


def check(result, score, null, name):
    """A Chance against an observed score and its values under permuted labels."""
    assert result.score == pytest.approx(score, abs=1e-9, nan_ok=True)
    if np.isnan(score):
        assert np.isnan(result[:4]).all() and not result.above
        return
    sign = -1 if name in LESS_IS_BETTER else 1
    assert result.mean == pytest.approx(np.nanmean(null), abs=1e-9)
    assert result.upper == pytest.approx(np.nanpercentile(null, 2.5 if sign < 0 else 97.5), abs=1e-9)
    as_good = (np.isnan(null) | (sign * null >= sign * score - 1e-9)).sum()
    assert result.p == pytest.approx((1 + as_good) / (1 + len(null)))
    assert result.above == (sign * score > sign * result.upper + 1e-9)


@pytest.mark.journey
def test_shifts_alone_are_those_of_a_loop():
    table, n, seed = TABLES["regression-varying"], 30, 2
    values = by_loop(table, moved_courses(table, n, seed, exchange=False), *KINDS["regression"])
    for level, scores in chance.chances_by_shift(table, n, seed).levels.items():
        for name, result in scores.items():
            observed, *null = values[level][name]
            check(result, observed, np.array(null), name)


# --- what chance is for ---


def test_less_is_better_counts_from_below():
    null = np.arange(100.0)
    assert compare_with_permuted(1.0, null, higher_is_better=False).p == pytest.approx(3 / 101)
    assert compare_with_permuted(1.0, null, higher_is_better=False).above
    assert not compare_with_permuted(3.0, null, higher_is_better=False).above
    assert compare_with_permuted(98.0, null).p == pytest.approx(3 / 101)


def test_draws_without_a_value_count_as_good_ones():
    null = np.array([0.1, np.nan, 0.2, np.nan])
    assert compare_with_permuted(0.5, null).p == 3 / 5
    assert np.isnan(compare_with_permuted(0.5, np.full(4, np.nan)).p)


def test_knowing_the_subject_is_not_above_chance():
    """Each subject has a mean of their own, and the predictions know it and nothing else."""
    table = task_tables.regression(n_subjects=8, skill=0)
    of_subject = table["subject"].str[1:].astype(float)
    rng = np.random.default_rng(0)
    known = task_tables.with_numbers(
        table, table["y"] + 5 * of_subject, 5 + 5 * of_subject + rng.normal(size=len(table))
    )
    result = chance.chances_of_scores(known, 300)
    assert result.levels["window"]["ccc"].score > 0.9
    assert not any(c.above for c in result.levels["window"].values())


@pytest.mark.journey
def test_following_the_course_and_knowing_the_mean_are_separated_by_shifts():
    table = task_tables.regression(varying=True, n_windows=20, skill=0)
    mean = table.groupby(["subject", "trial"])["y"].transform("mean")
    rng = np.random.default_rng(0)
    noise = task_tables.smooth(rng, task_tables.trial_number(table))
    knows_mean = task_tables.with_numbers(table, table["y"], mean + noise)
    assert chance.chances_of_scores(knows_mean, 300).levels["window"]["ccc"].p < 0.01
    assert chance.chances_by_shift(knows_mean, 300).levels["window"]["ccc"].p > 0.05
    follows = task_tables.with_numbers(table, table["y"], table["y"] - mean + 5 + noise)
    for of in (chance.chances_of_scores, chance.chances_by_shift):
        assert of(follows, 300).levels["window"]["ccc_recordings"].p < 0.01


def test_shifts_of_constant_labels_change_nothing():
    result = chance.chances_by_shift(task_tables.regression(), 50)
    assert result.levels["window"]["ccc"].p == 1


def test_the_direction_of_each_score_is_that_of_its_table():
    assert {name for name, of in SCORE_PROPERTIES.items() if not of.higher_is_better} == LESS_IS_BETTER


NOISE = {
    "binary": lambda seed: made_binary(4, 8, 3, seed=seed, skill=0.0, folds=4),
    "multiclass": lambda seed: task_tables.multiclass(3, skill=0.0, seed=seed, n_subjects=4, n_trials=8, folds=4),
    "regression": lambda seed: task_tables.regression(skill=0.0, seed=seed, n_subjects=4, n_trials=8, folds=4),
    "regression-varying": lambda seed: task_tables.regression(
        skill=0.0, seed=seed, varying=True, n_subjects=4, n_trials=6, n_windows=10, folds=3
    ),
}


@pytest.mark.journey
@pytest.mark.parametrize("name", NOISE)
def test_on_noise_p_is_at_most_5_percent_in_about_5_percent_of_runs(name):
    """200 runs of predictions without skill; more than `most` of them have a chance of 0.1 %."""
    most = stats.binom.ppf(0.999, 200, 0.05)
    small = {}
    for seed in range(200):
        for level, scores in chance.chances_of_scores(NOISE[name](seed), 79, seed).levels.items():
            for score, of in scores.items():
                small.setdefault((level, score), []).append(of.p <= 0.05)
    assert all(len(of) == 200 for of in small.values())
    assert {key: sum(of) for key, of in small.items() if sum(of) > most} == {}
    assert sum(small["window", metrics.metrics_of(NOISE[name](0)).main]) >= stats.binom.ppf(0.001, 200, 0.05)


@pytest.mark.journey
@pytest.mark.parametrize("varying", [False, True])
def test_windows_permuted_one_by_one_would_be_above_chance_far_too_often(varying):
    """Why whole trials are: predictions of one trial, and labels of neighbouring windows, are alike by themselves."""
    naive = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        table = task_tables.regression(skill=0, seed=seed, varying=varying, n_subjects=2, n_trials=6, n_windows=20)
        number = task_tables.trial_number(table)
        y_hat = rng.normal(size=number.max() + 1)[number] + 0.3 * rng.normal(size=len(table))
        ccc = [abs(other_ccc(rng.permutation(table["y"]), y_hat)) for _ in range(59)]
        naive += abs(other_ccc(table["y"], y_hat)) >= max(ccc)
    assert naive > 20


@pytest.mark.journey
@pytest.mark.parametrize("name", ["multiclass", "regression"])
def test_a_study_of_deaps_size_has_its_chance_in_seconds(name):
    """52,800 windows, 880 trials: a loop of 10,000 would take hours."""
    shape = {"n_subjects": 22, "n_trials": 40, "n_windows": 59, "folds": 10}
    table = task_tables.multiclass(7, **shape) if name == "multiclass" else task_tables.regression(**shape)
    start = time.perf_counter()
    assert chance.chances_of_scores(table).levels["window"][metrics.metrics_of(table).main].p == pytest.approx(
        1 / 10_001
    )
    assert time.perf_counter() - start < 60

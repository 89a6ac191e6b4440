"""Means over seeds against pandas and scipy on the predictions themselves, and what is shared by the seeds."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gbvnet.evaluation.chance import chances_of_scores
from gbvnet.evaluation.scores import evaluate
from gbvnet.evaluation.seed_means import (
    REPEATED_FOLDS_T,
    SeedDifference,
    average_over_seeds,
    describe_window_difference,
    difference_over_seeds,
)

from .. import fake_runs

N = 200  # permutations


def group(tables):
    return average_over_seeds({seed: (t, evaluate(t, N)) for seed, t in tables.items()}, N)


def correct(table):
    return ((table["p"] >= 0.5) == (table["y"] == 1)).astype(float)


@pytest.fixture(scope="module")
def tables():
    """Three seeds on the same windows in other folds, of six subjects."""
    return {
        seed: fake_runs.table(seed=seed + 5).assign(seed=seed, fold=lambda t, k=seed: 1 + (t["fold"] + k) % 5)
        for seed in (2, 0, 1)
    }


@pytest.mark.journey
def test_means_and_sds_are_those_of_the_predictions_themselves(tables):
    scores = group(tables)
    accuracies = pd.Series({seed: correct(t).mean() for seed, t in tables.items()})
    assert scores.window["accuracy"] == pytest.approx(accuracies.mean())
    assert scores.over_seeds("window") == pytest.approx((accuracies.mean(), accuracies.std(ddof=1), 3, 0))
    folds = {s: correct(t).groupby(t["fold"]).mean() for s, t in tables.items()}
    means = [of.mean() for of in folds.values()]
    assert scores.over_seeds("fold").sd == pytest.approx(np.std(means, ddof=1))
    assert scores.over_folds().mean == pytest.approx(np.mean(means))
    assert scores.over_folds().sd == pytest.approx(np.sqrt(np.mean([of.var(ddof=1) for of in folds.values()])))
    by_subject = pd.concat({s: correct(t).groupby(t["subject"]).mean() for s, t in tables.items()}, axis=1)
    pd.testing.assert_series_equal(
        scores.subjects.set_index("subject")["accuracy"], by_subject.mean(axis=1), check_names=False
    )
    assert scores.over_subjects().sd == pytest.approx(by_subject.mean(axis=1).std(ddof=1))  # another spread
    assert list(scores.by_seed) == [0, 1, 2]
    assert len(scores.folds) == 15 and scores.subjects["windows"].dtype.kind == "i"


@pytest.mark.journey
def test_the_interval_of_the_mean_of_folds_is_that_of_a_repeated_cross_validation(tables):
    scores = group(tables | {2: tables[2].assign(fold=1 + np.arange(len(tables[2])) % 5)})
    assert scores.folds_interval_kind == REPEATED_FOLDS_T
    values = scores.folds["accuracy"]
    half = stats.t.ppf(0.975, 14) * values.std(ddof=1) * np.sqrt(1 / 15 + 1 / 4)  # 3 x 5 folds
    assert scores.folds_interval() == pytest.approx((values.mean() - half, values.mean() + half))


@pytest.mark.journey
def test_folds_that_stay_the_same_count_once():
    tables = {seed: fake_runs.table(seed=seed) for seed in (0, 1)}
    scores = group(tables)
    assert scores.same_folds and scores.folds_interval_kind == "corrected t over folds"
    values = pd.concat([correct(t).groupby(t["fold"]).mean() for t in tables.values()], axis=1).mean(axis=1)
    half = stats.t.ppf(0.975, 4) * values.std(ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    assert scores.folds_interval() == pytest.approx((values.mean() - half, values.mean() + half))


@pytest.mark.journey
@pytest.mark.parametrize("make", [fake_runs.table, fake_runs.class_table, fake_runs.rating_table])
def test_seeds_share_permutations_and_resamples(make):
    """Two seeds with the same predictions are no more data than one: chance and intervals stay as they are."""
    table = make(skill=0.3, seed=3)
    one = average_over_seeds({0: (table, evaluate(table, N)), 1: (table, evaluate(table, N))}, N)
    alone = evaluate(table, N)
    chances = chances_of_scores(table, N).levels
    for level, scores in one.chances.items():
        for name, chance in scores.items():
            assert chance == pytest.approx(chances[level][name], nan_ok=True)
    for name, interval in alone.window_interval.items():
        assert one.window_interval[name] == pytest.approx(interval, nan_ok=True)


@pytest.mark.journey
def test_chance_of_the_mean_is_the_mean_under_one_permutation_for_all_seeds():
    """Two trials of one subject: the labels stay or are exchanged, for both seeds at once."""

    def of(p):
        base = fake_runs.table(subjects=1, trials=2, windows=1, folds=2)
        return base.assign(y=np.array([1, 0], "int8"), p=p, rating=[7.0, 3.0])

    # Seed 0 is right on both, seed 1 wrong on both: the mean is 0.5 under either order of the labels.
    scores = group({0: of([0.9, 0.1]), 1: of([0.1, 0.9])})
    assert scores.chance["window"][:4] == (0.5, 0.5, 0.5, 1.0)


def test_a_difference_is_paired_by_seed_and_set_beside_its_spread():
    subjects = ["s1", "s2"]
    a = {0: pd.Series([0.60, 0.70], subjects), 1: pd.Series([0.80, 0.70], subjects), 7: pd.Series([0.1, 0.1], subjects)}
    b = {1: pd.Series([0.70, 0.72], subjects), 0: pd.Series([0.62, 0.66], subjects)}
    of = difference_over_seeds(a, b)  # by seed: (-0.02 + 0.04) / 2 = 0.01, (0.10 - 0.02) / 2 = 0.04; seed 7 is in one
    assert of == pytest.approx((0.025, 0.03 / np.sqrt(2), 2, 0))
    assert not of.smaller_than_spread
    assert SeedDifference(0.01, 0.02, 3, 0).smaller_than_spread
    assert SeedDifference(-0.01, 0.02, 3, 0).smaller_than_spread
    assert not SeedDifference(0.0, 0.0, 3, 0).smaller_than_spread
    assert difference_over_seeds({0: a[0]}, b) is None
    gap = {0: pd.Series([0.6, np.nan], subjects), 1: pd.Series([0.7, 0.7], subjects)}
    assert difference_over_seeds(gap, b).mean == pytest.approx((0.6 - 0.62 + 0.7 - 0.7) / 2)  # without s2


@pytest.mark.journey
def test_results_on_other_windows_are_not_averaged():
    table = fake_runs.table()
    scores = evaluate(table, N)
    assert describe_window_difference([table, table]) == ""
    assert describe_window_difference([table, table.iloc[3:]]) == "3 windows are tested at one seed only"
    with pytest.raises(ValueError, match="3 windows"):
        average_over_seeds({0: (table, scores), 1: (table.iloc[3:], scores)}, N)
    assert "regression" in describe_window_difference([table, fake_runs.rating_table()])


@pytest.mark.journey
@pytest.mark.parametrize("make", [fake_runs.table, fake_runs.class_table, fake_runs.rating_table])
def test_seeds_of_subject_and_stimulus_test_other_trials_and_are_averaged(make):
    whole = {seed: make(seed=seed, protocol="subject+stimulus").assign(seed=seed) for seed in (0, 1)}
    first = whole[0][whole[0]["trial"] <= "06"]
    second = whole[1][(whole[1]["trial"] > "03") & (whole[1]["subject"] != "s06")]
    scores, alone = group({0: first, 1: second}), [evaluate(table, N) for table in (first, second)]
    main = scores.main
    assert scores.window[main] == pytest.approx(np.mean([one.window[main] for one in alone]))
    assert scores.over_seeds().n == 2 and scores.counts["trials"] == round((36 + 35) / 2)
    assert "15 of 56 are tested at all 2 seeds" in scores.other_trials
    by_subject = [one.subjects.set_index("subject")[main] for one in alone]
    of_group = scores.subjects.set_index("subject")[main]
    assert of_group["s06"] == pytest.approx(by_subject[0]["s06"])  # whom the second seed does not test
    assert of_group["s01"] == pytest.approx(np.mean([one["s01"] for one in by_subject]))
    low, high = scores.window_interval[main]
    assert low < scores.window[main] < high
    assert scores.chance["window"].mean < scores.window[main] and 0 < scores.chance["fold"].p <= 1


@pytest.mark.journey
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_permutation_of_other_trials_is_shared_by_the_seeds_too(task):
    """Trials 1 and 2 at seed 0, 2 and 3 at seed 1: the labels of all three are permuted, once for both seeds."""
    of = fake_runs.table if task == "binary" else fake_runs.rating_table
    base = of(subjects=1, trials=3, windows=1, folds=3, protocol="subject+stimulus")
    base = base.assign(y=np.array([1, 0, 1], base["y"].dtype))
    column = "p" if task == "binary" else "y_hat"
    first, second = base.iloc[:2].assign(**{column: 0.9}), base.iloc[1:].assign(**{column: 0.1})
    # With labels a, b, c the accuracy is (2 + a - c) / 4: 1/2 as it is, 1/4 or 3/4 if trial 1 or 3 has the 0. Permuted
    # apart, each seed would have one label of each kind always, and chance no spread at all.
    chance = group({0: first, 1: second}).chances["window"]["accuracy" if task == "binary" else "mae"]
    assert chance.score == pytest.approx(0.5)
    assert chance.mean == pytest.approx(0.5, abs=0.05) and chance.p == pytest.approx(2 / 3, abs=0.1)


def test_other_windows_of_the_same_trial_are_not_averaged():
    table = fake_runs.table(protocol="subject+stimulus")
    assert describe_window_difference([table, table.iloc[3:]]) == "3 windows are tested at one seed only"
    assert describe_window_difference([table, table.iloc[5:]]) == ""  # without the first trial

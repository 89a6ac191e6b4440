"""Scores of numbers: equal to scikit-learn's, scipy's, and a CCC written in another way; constant labels and trials."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from gbvnet.evaluation import metrics
from gbvnet.evaluation.regression import RegressionMetrics
from gbvnet.evaluation.scores import evaluate

from . import task_tables

TASK = RegressionMetrics()
NAMES = TASK.trial_scores


def other_ccc(y, h):
    """One less the expected squared distance over what it would be without correlation (Lin 1989, eq. 2)."""
    y, h = np.asarray(y, float), np.asarray(h, float)
    return 1 - np.mean((y - h) ** 2) / (np.var(y) + np.var(h) + (np.mean(y) - np.mean(h)) ** 2)


def oracle(y, h):
    return {
        "ccc": other_ccc(y, h),
        "pearson": stats.pearsonr(y, h).statistic,
        "rmse": sk.root_mean_squared_error(y, h),
        "mae": sk.mean_absolute_error(y, h),
    }


def rows(y, h):
    return pd.DataFrame({"y": np.asarray(y, float), "y_hat": np.asarray(h, float)})


@pytest.mark.journey
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_scores_are_those_of_other_software(scale):
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = rng.integers(2, 40)
        y, h = scale * rng.normal(50, 1, n), scale * rng.normal(49, 2, n)
        if rng.random() < 0.5:
            y, h = np.round(y / scale) * scale, np.round(h / scale) * scale  # ties
        if np.ptp(y) and np.ptp(h):
            assert TASK.compute(rows(y, h), NAMES) == pytest.approx(oracle(y, h), rel=1e-9, abs=1e-9)


def test_ccc_by_hand():
    # y 1 2 3, y_hat 2 2 5: means 2 and 3, variances 2/3 and 2, covariance 1
    scores = TASK.compute(rows([1, 2, 3], [2, 2, 5]), NAMES)
    assert scores["ccc"] == pytest.approx(2 * 1 / (2 / 3 + 2 + 1))
    assert scores["rmse"] == pytest.approx(np.sqrt(5 / 3))
    assert scores["mae"] == pytest.approx(1)
    assert scores["pearson"] == pytest.approx(1 / np.sqrt(2 / 3 * 2))


@pytest.mark.parametrize("sign", [1, -1])
def test_perfect_and_worst_predictions_stay_within_bounds(sign):
    y = np.random.default_rng(0).normal(size=50) * 0.1 + 0.3
    scores = TASK.compute(rows(y, sign * (y - y.mean()) + y.mean()), NAMES)
    assert scores["ccc"] == pytest.approx(sign) and abs(scores["ccc"]) <= 1
    assert scores["pearson"] == pytest.approx(sign) and abs(scores["pearson"]) <= 1
    if sign == 1:
        assert (scores["rmse"], scores["mae"]) == pytest.approx((0, 0), abs=1e-15)


@pytest.mark.parametrize("value", [0.0, 0.1, 7.3, 1e6])
def test_constant_labels_have_no_ccc_and_constant_predictions_one_of_0(value):
    scores = TASK.compute(rows([value] * 7, [1, 2, 3, 4, 5, 6, 7]), NAMES)
    assert np.isnan(scores["ccc"]) and np.isnan(scores["pearson"])
    assert scores["mae"] == pytest.approx(np.abs(value - np.arange(1, 8)).mean())
    scores = TASK.compute(rows([1, 2, 3, 4, 5, 6, 7], [value] * 7), NAMES)
    assert scores["ccc"] == 0 and np.isnan(scores["pearson"])


@pytest.mark.journey
def test_the_ccc_of_recordings_is_their_mean_where_labels_change():
    table = task_tables.regression(varying=True, n_windows=8)
    first = table["recording"] == table["recording"].iloc[0]
    table.loc[first, "y"] = table.loc[first, "rating"] = 4.0
    expected = [other_ccc(r["y"], r["y_hat"]) for name, r in table.groupby("recording") if not first[r.index[0]]]
    assert TASK.compute(table, ("ccc_recordings",))["ccc_recordings"] == pytest.approx(np.mean(expected))
    scores = evaluate(table, n_permutations=50)
    assert scores.window["ccc_recordings"] == pytest.approx(np.mean(expected))
    assert scores.counts["recordings"] == 60 and scores.counts["recordings_constant"] == 1
    assert any(w.startswith("1 of 60 recordings have constant labels") for w in scores.warnings)
    assert "ccc_recordings" not in scores.trial


def test_a_trial_is_the_mean_of_its_windows_within_its_fold():
    table = task_tables.with_numbers(task_tables.frame(1, 2, 2, folds=2), [1, 3, 5, 5, 5], [2, 4, 6, 7, 8])
    trials = metrics.aggregate_trials(table)
    assert trials[["y", "y_hat", "windows"]].to_numpy().tolist() == [[2, 3, 2], [5, 7, 3]]


def test_scores_of_sums_of_many_units_are_those_of_their_rows():
    table = task_tables.regression(varying=True, n_windows=6)
    units = table.groupby("subject").ngroup().to_numpy()
    scores = TASK.scores_of_sums(TASK.sums(table, units), TASK.window_scores)
    for unit in range(6):
        expected = TASK.compute(table[units == unit], TASK.window_scores)
        assert {name: values[unit] for name, values in scores.items()} == pytest.approx(expected)


@pytest.mark.journey
def test_all_fields_of_a_result_of_numbers():
    table = task_tables.regression(skill=0.8)
    scores = evaluate(table, n_permutations=300)
    assert (scores.task, scores.main) == ("regression", "ccc")
    assert set(scores.window) == {"ccc", "ccc_recordings", "pearson", "rmse", "mae"}
    assert set(scores.trial) == {"ccc", "pearson", "rmse", "mae"}
    assert {n: scores.window[n] for n in NAMES} == pytest.approx(oracle(table["y"], table["y_hat"]))
    assert np.isnan(scores.window["ccc_recordings"])  # labels do not change within recordings
    assert scores.counts["recordings_constant"] == scores.counts["recordings"] == 60
    assert scores.chance["window"] == scores.chances["window"]["ccc"]
    assert scores.assessment == "above chance"
    assert all(scores.chances[level][name].above for level in ("window", "fold", "trial") for name in NAMES)
    assert not scores.chances["window"]["ccc_recordings"].above
    assert list(scores.folds) == [
        "fold", "windows", "trials", "mean_y", "ccc", "pearson", "rmse", "mae", "trial_ccc", "constant_rmse",
        "constant_mae",
    ]  # fmt: skip
    fold = table[table["fold"] == 3]
    row = scores.folds.set_index("fold").loc[3]
    assert row["ccc"] == pytest.approx(other_ccc(fold["y"], fold["y_hat"]))
    assert row["constant_rmse"] == pytest.approx(np.sqrt(np.mean((fold["y"] - 5) ** 2)))
    assert scores.confusion == {}
    assert scores.over_folds().mean == pytest.approx(scores.folds["ccc"].mean())
    assert "CCC" not in " ".join(scores.warnings)


@pytest.mark.journey
def test_the_constant_mean_follows_from_prior_alone():
    table = task_tables.regression()
    table["prior"] = np.where(table["fold"] == 1, 4.0, 5.5)
    baseline = metrics.baseline_scores(table)
    assert baseline["window"]["rmse"] == pytest.approx(np.sqrt(np.mean((table["y"] - table["prior"]) ** 2)))
    assert baseline["fold"]["mae"] == pytest.approx(
        (table["y"] - table["prior"]).abs().groupby(table["fold"]).mean().mean()
    )
    trials = table.groupby(["subject", "trial"])[["y", "prior"]].mean()
    assert baseline["trial"]["mae"] == pytest.approx((trials["y"] - trials["prior"]).abs().mean())
    assert baseline["window"]["ccc"] == 0  # though the priors of folds differ
    assert np.isnan(baseline["window"]["pearson"])
    assert evaluate(table, n_permutations=20).majority == {"window": 0, "fold": 0, "trial": 0}


@pytest.mark.journey
def test_above_chance_may_still_be_no_better_than_the_constant_mean():
    table = task_tables.regression(skill=1.0, seed=1)
    shifted = table.assign(y_hat=table["y_hat"] + 4)
    scores = evaluate(shifted, n_permutations=300)
    assert scores.assessment == "above chance, RMSE not below that of the constant mean"


@pytest.mark.journey
def test_less_is_better_for_errors():
    good, bad = task_tables.regression(skill=1.0), task_tables.regression(skill=-1.0)
    for table, above in ((good, True), (bad, False)):
        chance = evaluate(table, n_permutations=300).chances["window"]
        assert chance["rmse"].above == chance["mae"].above == chance["ccc"].above == above
        assert (chance["rmse"].p < 0.01) == above and (chance["rmse"].score < chance["rmse"].mean) == above
        assert chance["rmse"].upper < chance["rmse"].mean  # what an error must be below


@pytest.mark.journey
def test_constant_labels_and_predictions_are_reported():
    table = task_tables.regression()
    scores = evaluate(task_tables.with_numbers(table, np.full(len(table), 5.0), table["y_hat"]), n_permutations=20)
    assert scores.warnings[0] == "All labels are 5: CCC and Pearson r are undefined, and nothing can be learnt."
    assert scores.assessment == "within chance" and np.isnan(scores.chance["window"].p)
    assert scores.over_folds().undefined == 5
    assert any("No subject has different labels" in w for w in scores.warnings)
    scores = evaluate(table.assign(y_hat=5.5), n_permutations=20)
    assert "Every window is predicted 5.5: Pearson r is undefined." in scores.warnings
    assert scores.window["ccc"] == 0 and scores.assessment == "within chance"
    one_fold = table.assign(y_hat=table["y_hat"].where(table["fold"] != 1, 3.0))
    assert "1 of 5 folds predict the same number for every window." in evaluate(one_fold, n_permutations=20).warnings


@pytest.mark.journey
def test_labels_that_are_equal_but_for_rounding_are_the_same_labels():
    table = task_tables.regression()
    assert metrics.describe_row_difference(table, table.assign(y=table["y"] * (1 + 1e-12))) == ""
    other = table.assign(y=table["y"].where(table.index != 3, 2.0))
    assert metrics.describe_row_difference(table, other) == "1 windows have another label"
    assert metrics.describe_row_difference(table, table.iloc[1:]) == "1 windows are in one of them only"
    difference = metrics.describe_row_difference(table, task_tables.multiclass())
    assert difference == "one is regression, the other multiclass"

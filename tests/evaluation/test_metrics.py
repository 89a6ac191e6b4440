"""Scores worked by hand, against scikit-learn on what they are pooled over, and against brute force."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from gbvnet.evaluation import metrics, statistics
from gbvnet.evaluation.scores import evaluate


def result(rows, **columns):
    """rows: (fold, subject, trial, window, y, p)."""
    made = pd.DataFrame(rows, columns=["fold", "subject", "trial", "window", "y", "p"])
    made["recording"] = made["subject"] + "_" + made["trial"]
    return made.assign(
        **dict(
            dataset="deap", system="gbvnet", modality="facebio", target="valence", protocol="trial", scope="pooled",
            seed=0, config="abc", stimulus=made["trial"], start_s=0.0, rating=5.0, prior=0.5, gate_face=np.nan,
            gate_bio=np.nan,
        )
        | columns
    )  # fmt: skip


def small():
    """Two folds, two subjects, four trials; windows right in the folds: 3 of 4 and 1 of 2."""
    return result(
        [
            (1, "a", "1", 0, 1, 0.9),
            (1, "a", "1", 1, 1, 0.4),
            (1, "b", "1", 0, 0, 0.2),
            (1, "b", "1", 1, 0, 0.1),
            (2, "a", "2", 0, 0, 0.6),
            (2, "b", "2", 0, 1, 0.7),
        ]
    )


def made(n_subjects=6, n_trials=10, n_windows=3, seed=0, skill=1.0, folds=5):
    """Random trials with n_windows or one more windows each, and predictions that know `skill` of the label."""
    rng = np.random.default_rng(seed)
    rows = []
    for s, t in product(range(n_subjects), range(n_trials)):
        y = int(rng.random() < 0.6)
        for w in range(n_windows + t % 2):
            p = 1 / (1 + np.exp(-(skill * (2 * y - 1) + rng.normal())))
            rows.append((1 + t % folds, f"s{s:02d}", f"{t:02d}", w, y, p))
    return result(rows)


def test_scores_by_hand():
    y, p = [1, 1, 1, 0, 0], [0.9, 0.5, 0.1, 0.2, 0.8]  # 0.5 counts as high: right, right, wrong, right, wrong
    scores = metrics.compute_scores(y, p)
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)  # high: precision 2/3, recall 2/3; low: 1/2, 1/2
    assert scores["auc"] == pytest.approx(3 / 6)  # of the pairs high-low, .9>.2 .9>.8 .5>.2 are right
    assert scores["mcc"] == pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2))


@pytest.mark.parametrize("y", [[1, 1, 1], [0, 0, 0]])
def test_with_one_class_only_accuracy_is_defined(y):
    scores = metrics.compute_scores(y, [0.9, 0.2, 0.6])
    assert scores.pop("accuracy") == pytest.approx(2 / 3 if y[0] else 1 / 3)
    assert np.isnan(list(scores.values())).all()


def test_a_constant_prediction_scores_half_and_warns_nobody():
    assert metrics.compute_scores([1, 1, 0], [0.7, 0.7, 0.7]) == pytest.approx(
        {"accuracy": 2 / 3, "balanced_accuracy": 0.5, "macro_f1": 0.4, "auc": 0.5, "mcc": 0.0}
    )


def test_a_trial_is_its_mean_logit_within_its_fold():
    trials = metrics.aggregate_trials(small())
    assert trials[["fold", "subject", "trial", "windows"]].to_numpy().tolist() == [
        [1, "a", "1", 2], [1, "b", "1", 2], [2, "a", "2", 1], [2, "b", "2", 1],
    ]  # fmt: skip
    odds = np.sqrt((0.9 / 0.1) * (0.4 / 0.6))  # the mean logit is the geometric mean of the odds
    assert trials["p"].iloc[0] == pytest.approx(odds / (1 + odds))
    assert trials["p"].iloc[2] == pytest.approx(0.6)


def test_windows_that_balance_are_an_exact_tie_and_one_certain_window_does_not_decide():
    tie = metrics.aggregate_trials(result([(1, "a", "1", 0, 1, 0.3), (1, "a", "1", 1, 1, 0.7)]))
    assert tie["p"].tolist() == [0.5]
    certain = metrics.aggregate_trials(
        result([(1, "a", "1", 0, 1, 1.0)] + [(1, "a", "1", w, 1, 0.01) for w in range(1, 5)])
    )
    assert certain["p"].iloc[0] < 0.5


@pytest.mark.journey
def test_the_mean_over_folds_is_not_the_pooled_value():
    scores = evaluate(small(), n_permutations=50)
    assert scores.over_folds().mean == pytest.approx((3 / 4 + 1 / 2) / 2)  # Eq. 7
    assert scores.over_folds().sd == pytest.approx(np.std([3 / 4, 1 / 2], ddof=1))
    assert scores.window["accuracy"] == pytest.approx(4 / 6)
    assert scores.trial["accuracy"] == pytest.approx(3 / 4)
    assert scores.over_subjects().mean == pytest.approx((1 / 3 + 3 / 3) / 2)
    assert scores.counts == {
        "folds": 2, "subjects": 2, "trials": 4, "windows": 6, "high_trials": 2, "high_windows": 3,
    }  # fmt: skip


@pytest.mark.journey
def test_pooled_scores_are_scikit_learns_over_all_rows():
    table = made()
    scores = evaluate(table, n_permutations=50)
    high = table["p"] >= 0.5
    assert scores.window["accuracy"] == pytest.approx((table["y"] == high).mean())
    assert scores.window["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(table["y"], high))
    assert scores.window["auc"] == pytest.approx(sk.roc_auc_score(table["y"], table["p"]))
    assert scores.window["mcc"] == pytest.approx(np.corrcoef(table["y"], high)[0, 1])  # the phi coefficient
    trials = metrics.aggregate_trials(table)
    assert scores.trial["macro_f1"] == pytest.approx(sk.f1_score(trials["y"], trials["p"] >= 0.5, average="macro"))
    one = table[table["subject"] == "s03"]
    row = scores.subjects.set_index("subject").loc["s03"]
    assert row["auc"] == pytest.approx(sk.roc_auc_score(one["y"], one["p"]))
    assert row["accuracy"] == pytest.approx((one["y"] == (one["p"] >= 0.5)).mean())


def brute_force(table):
    """Accuracy by window, by fold and by trial under each labelling that keeps each subject's number of high trials.

    Equal labellings are tried once; all are equally frequent among the permutations.
    """
    trials = table.groupby(["subject", "trial"])["y"].first()
    subjects = [trials.xs(name, level="subject", drop_level=False) for name in ("a", "b")]
    accuracies = []
    for orders in product(*(set(permutations(subject.to_numpy())) for subject in subjects)):
        label = pd.Series(np.concatenate(orders), index=pd.concat(subjects).index)
        shuffled = table.assign(y=label.loc[list(zip(table["subject"], table["trial"], strict=True))].to_numpy())
        right = shuffled["y"] == (shuffled["p"] >= 0.5)
        of_trials = metrics.aggregate_trials(shuffled)
        accuracies.append((right.mean(), right.groupby(shuffled["fold"]).mean().mean(),
                      (of_trials["y"] == (of_trials["p"] >= 0.5)).mean()))  # fmt: skip
    return np.array(accuracies)


def uneven():
    """Trials of one to three windows in folds of unequal size, so that no weight cancels."""
    rng = np.random.default_rng(3)
    labels = {"a": [1, 1, 0, 0], "b": [1, 0, 0, 0]}
    rows = [
        (1 + (t * 2 + (s == "b")) % 3, s, str(t), w, y, float(rng.random()))
        for s, ys in labels.items()
        for t, y in enumerate(ys)
        for w in range(1 + (t + (s == "b")) % 3)
    ]
    return result(rows)


@pytest.mark.journey
def test_chance_is_that_of_every_permutation_within_subject():
    table = uneven()
    every = brute_force(table)  # (6 * 4, 3)
    chance, _ = statistics.permutation_chance(table, n=20_000)
    trials = metrics.aggregate_trials(table)
    right = table["y"] == (table["p"] >= 0.5)
    by_trial = (trials["y"] == (trials["p"] >= 0.5)).mean()
    for k, score in enumerate((right.mean(), right.groupby(table["fold"]).mean().mean(), by_trial)):
        name = ("window", "fold", "trial")[k]
        assert chance[name].score == pytest.approx(score)
        assert chance[name].mean == pytest.approx(every[:, k].mean(), abs=0.005)
        assert chance[name].p == pytest.approx((every[:, k] >= score - 1e-12).mean(), abs=0.02)
        assert chance[name].upper == pytest.approx(np.percentile(np.repeat(every[:, k], 24), 97.5), abs=1e-9)


@pytest.mark.journey
def test_chance_of_a_perfect_score_by_hand():
    """One subject, 2 high of 4 trials: one of 6 labellings is perfect, so p = 1/6, and nothing can be above chance."""
    perfect = result([(1, "a", str(t), 0, int(t < 2), 0.9 if t < 2 else 0.1) for t in range(4)])
    chance, of_subjects = statistics.permutation_chance(perfect, n=20_000)
    assert chance["window"].score == 1.0
    assert chance["window"].mean == pytest.approx(0.5, abs=0.01)
    assert chance["window"].p == pytest.approx(1 / 6, abs=0.01)
    assert chance["window"].upper == 1.0
    assert not chance["window"].above
    assert of_subjects["a"] == chance["window"]


@pytest.mark.journey
def test_knowing_the_subjects_is_not_above_chance():
    """A system that gives each subject their own base rate beats the majority, and still has learnt no emotion."""
    rows = [(1, s, str(t), 0, int(t < high), high / 10) for s, high in (("a", 9), ("b", 1)) for t in range(10)]
    scores = evaluate(result(rows), n_permutations=1000)
    assert scores.window["accuracy"] == pytest.approx(0.9)
    assert scores.majority["window"] == pytest.approx(0.5)
    assert scores.chance["window"].mean == pytest.approx(0.9)
    assert scores.assessment == "within chance"


@pytest.mark.journey
def test_windows_of_one_trial_do_not_count_as_many_observations():
    """Six trials of 500 windows, all right by window: shuffling windows would say p = 1e-4, trials say 1/20."""
    rows = [(1, "a", str(t), w, int(t < 3), 0.9 if t < 3 else 0.1) for t in range(6) for w in range(500)]
    chance, _ = statistics.permutation_chance(result(rows), n=20_000)
    assert chance["window"].p == pytest.approx(1 / 20, abs=0.006)


@pytest.mark.journey
def test_subjects_of_one_class_cannot_be_shuffled():
    rows = [(t + 1, s, str(t), 0, int(s == "a"), 0.9 if s == "a" else 0.1) for s in "ab" for t in range(3)]
    scores = evaluate(result(rows), n_permutations=100)
    assert scores.window["accuracy"] == 1.0
    assert scores.assessment == "within chance"
    assert scores.chance["window"].p == 1.0
    assert any("2 of 2 subjects have one class only" in warning for warning in scores.warnings)
    assert any("permuting labels changes nothing" in warning for warning in scores.warnings)


@pytest.mark.journey
def test_skill_is_above_chance_and_its_absence_is_not():
    assert evaluate(made(skill=1.5), n_permutations=500).assessment == "above chance"
    assert evaluate(made(skill=0.0), n_permutations=500).assessment == "within chance"


@pytest.mark.journey
def test_under_the_null_about_one_in_forty_is_above_chance():
    above = [
        statistics.permutation_chance(made(4, 10, 2, seed=s, skill=0.0), n=400)[0]["window"].above for s in range(80)
    ]
    assert sum(above) <= 7  # binomial(80, 0.025): more than 7 has a chance of 0.1 %


@pytest.mark.journey
def test_above_chance_may_still_be_below_the_majority():
    rows = [(1, "a", f"{t:02d}", 0, int(t < 18), 0.9 if t < 11 else 0.1) for t in range(20)]  # 13 of 20 right
    scores = evaluate(result(rows, prior=0.9), n_permutations=5000)
    assert scores.majority["window"] == pytest.approx(0.9)
    assert scores.window["accuracy"] == pytest.approx(0.65)
    assert scores.chance["window"].mean == pytest.approx((18 * 11 + 2 * 9) / 400, abs=0.01)
    assert not scores.chance["window"].above
    rows = [(1, "a", f"{t:03d}", 0, int(t < 90), 0.9 if t < 60 else 0.1) for t in range(100)]  # 70 of 100 right
    scores = evaluate(result(rows, prior=0.9), n_permutations=5000)
    assert scores.assessment == "above chance, not above the majority"


@pytest.mark.journey
def test_the_majority_follows_from_prior_alone():
    table = small().assign(
        prior=[0.6, 0.6, 0.6, 0.6, 0.4, 0.4]
    )  # high in fold 1 (2 of 4 right), low in fold 2 (1 of 2)
    assert metrics.majority_accuracy(table) == pytest.approx({"window": 3 / 6, "fold": 0.5, "trial": 2 / 4})
    assert metrics.majority_accuracy(table.assign(prior=0.5).iloc[:5])["window"] == pytest.approx(
        2 / 5
    )  # a tie counts as high


@pytest.mark.journey
def test_a_fold_with_one_class_gives_a_warning_and_no_error():
    table = made(folds=5)
    table.loc[table["fold"] == 2, "y"] = 1
    scores = evaluate(table.assign(prior=np.where(table["fold"] == 3, 1.0, 0.6)), n_permutations=100)
    assert scores.folds.set_index("fold").loc[2, ["balanced_accuracy", "macro_f1"]].isna().all()
    assert scores.over_folds("balanced_accuracy").undefined == 1
    assert scores.over_folds("balanced_accuracy").n == 4
    assert scores.over_folds("accuracy").n == 5
    assert scores.warnings[0].startswith("1 of 5 test folds have one class only")
    assert "1 of 5 folds were trained on one class only and can predict nothing else." in scores.warnings
    assert "auc" not in scores.folds
    assert "mcc" not in scores.folds


@pytest.mark.journey
def test_predicting_one_class_throughout_gives_a_warning():
    scores = evaluate(made().assign(p=0.7), n_permutations=100)
    assert "Every window is predicted high." in scores.warnings
    assert scores.assessment == "within chance"


@pytest.mark.journey
def test_intervals_draw_subjects_where_there_are_five_and_else_trials():
    unit, by_window, by_trial = statistics.bootstrap_intervals(made(n_subjects=5), n=200)
    assert unit == "subjects"
    assert set(by_window) == set(by_trial) == {"accuracy", "balanced_accuracy", "macro_f1", "mcc"}
    assert statistics.bootstrap_intervals(made(n_subjects=4), n=200)[0] == "trials"
    assert any("nothing about other subjects" in f for f in evaluate(made(4), n_permutations=50).warnings)


@pytest.mark.journey
def test_the_interval_is_that_of_a_plain_bootstrap():
    """Draw subjects with replacement, put their rows together, score them with scikit-learn."""
    table = made(n_subjects=8, skill=0.5)
    _, intervals, _ = statistics.bootstrap_intervals(table, n=10_000)
    rng = np.random.default_rng(1)
    subjects = [rows[["y", "p"]].to_numpy() for _, rows in table.groupby("subject")]
    samples = {name: [] for name in intervals}
    for _ in range(400):
        y, p = np.concatenate([subjects[k] for k in rng.integers(len(subjects), size=len(subjects))]).T
        for name in intervals:
            samples[name].append(metrics.SCORES[name](y.astype(int), p))
    for name, interval in intervals.items():
        assert interval == pytest.approx(np.percentile(samples[name], [2.5, 97.5]), abs=0.03), name


@pytest.mark.journey
def test_scores_of_counts_are_scikit_learns():
    rng = np.random.default_rng(0)
    task = metrics.BinaryMetrics()
    for k in range(40):
        y, p = rng.integers(0, 2 if k else 1, 7), rng.random(7).round(1 + k % 2)  # one class at first; ties in half
        rows, expected = pd.DataFrame({"y": y, "p": p}), metrics.compute_scores(y, p)
        assert task.compute(rows, task.window_scores) == pytest.approx(expected, nan_ok=True)
        assert (task.confusion(rows) == sk.confusion_matrix(y, p >= 0.5, labels=[0, 1])).all()
    assert np.isnan(list(task.compute(rows[:0], task.window_scores).values())).all()
    with pytest.raises(ValueError, match="a probability is NaN"):
        task.compute(rows.assign(p=np.nan), task.window_scores)


def test_one_trial_has_no_interval():
    _, by_window, _ = statistics.bootstrap_intervals(result([(1, "a", "1", 0, 1, 0.9)]), n=50)
    assert np.isnan(by_window["accuracy"]).all()


def test_paired_comparison_by_hand():
    a = pd.Series({"s1": 0.8, "s2": 0.7, "s3": 0.9, "s4": 0.6})
    b = pd.Series({"s2": 0.6, "s1": 0.5, "s3": 0.7, "s4": 0.55})
    result = statistics.paired_test(a, b)  # all four above: the one most extreme of 2**4 sign patterns
    assert result.p == result.smallest_p == 1 / 16
    assert result.difference == pytest.approx((0.3 + 0.1 + 0.2 + 0.05) / 4)
    assert statistics.paired_test(b, a).p == 1.0
    assert statistics.paired_test(a, b, "two-sided").p == statistics.paired_test(a, b, "two-sided").smallest_p == 2 / 16


def test_paired_comparison_with_ties_is_exact_and_equal_subjects_say_nothing():
    a = pd.Series([0.6, 0.6, 0.6, 0.4, 0.5], index=list("abcde"))
    b = pd.Series([0.5] * 5, index=list("abcde"))
    result = statistics.paired_test(a, b)  # +.1 +.1 +.1 -.1 0: of 2**4 patterns 1 has four and 4 have three above
    assert result.n == 4
    assert result.p == pytest.approx(5 / 16)
    same = statistics.paired_test(b, b)
    assert (same.n, same.p, same.smallest_p) == (0, 1.0, 1.0)
    one = statistics.paired_test(pd.Series({"a": 0.6, "b": 0.5}), pd.Series({"a": 0.5, "b": 0.5}))
    assert (one.n, one.p, one.smallest_p) == (1, 0.5, 0.5)


def test_paired_comparison_of_many_subjects_is_scipys():
    rng = np.random.default_rng(0)
    a = pd.Series(rng.random(22), index=[f"s{k}" for k in range(22)])
    b = pd.Series(rng.random(22) - 0.1, index=a.index)
    assert statistics.paired_test(a, b).p == pytest.approx(stats.wilcoxon(a - b, alternative="greater").pvalue)


def test_subjects_that_differ_are_refused():
    with pytest.raises(ValueError, match="scores of 2 and 1 subjects, 1 of them in one only"):
        statistics.paired_test(pd.Series({"a": 1.0, "b": 1.0}), pd.Series({"a": 1.0}))


def test_holm_by_hand():
    # sorted .01 .02 .04 -> x3 .03, x2 .04, x1 .04; never falling
    assert statistics.adjust_holm([0.04, 0.01, 0.02]).tolist() == pytest.approx([0.04, 0.03, 0.04])
    assert statistics.adjust_holm([0.6, 0.9]).tolist() == [1.0, 1.0]


def test_results_are_compared_on_the_same_rows_only():
    table = small()
    assert metrics.describe_row_difference(table, table.iloc[::-1].assign(protocol="window", fold=7)) == ""
    assert metrics.describe_row_difference(table, table.iloc[1:]) == "1 windows are in one of them only"
    other = table.assign(y=np.where(table["trial"] == "2", 1 - table["y"], table["y"]))
    assert metrics.describe_row_difference(table, other) == "2 windows have another label"


def test_results_are_separated_by_their_keys():
    table = pd.concat([small(), small().assign(target="arousal"), small().assign(protocol="window")])
    groups = [(r["target"].iloc[0], r["protocol"].iloc[0], len(r)) for r in metrics.split_results(table)]
    assert groups == [("valence", "trial", 6), ("arousal", "trial", 6), ("valence", "window", 6)]


@pytest.mark.journey
def test_a_leaky_result_says_so_in_its_assessment():
    scores = evaluate(made(skill=2.0).assign(protocol="window"), n_permutations=200)
    assert scores.leaky
    assert scores.assessment == "above chance; LEAKY"
    assert scores.stamps == ("LEAKY: windows of one trial on both sides",)


@pytest.mark.journey
def test_a_trial_spread_over_folds_has_a_row_in_each():
    table = small().assign(protocol="window", fold=[1, 2, 1, 2, 1, 2])
    assert len(metrics.aggregate_trials(table)) == 6
    assert evaluate(table, n_permutations=20).counts["trials"] == 4


@pytest.mark.journey
def test_the_same_table_gives_the_same_numbers_whatever_its_order():
    table = made()
    first, second = evaluate(table, 300), evaluate(table.sample(frac=1, random_state=1), 300)
    assert first.chance == second.chance
    assert first.window_interval == second.window_interval
    assert first.window == pytest.approx(second.window)


@pytest.mark.journey
def test_a_study_of_deaps_size_is_scored_in_seconds():
    """52,800 windows and 10,000 shuffles: a loop over shuffles of windows would take many minutes."""
    scores = evaluate(made(22, 40, 59, skill=0.1), n_permutations=10_000)
    assert scores.chance["window"].p == pytest.approx(1 / 10_001)


def test_the_effect_size_is_the_share_of_rank_sums_for_less_those_against():
    a = pd.Series([0.9, 0.8, 0.7, 0.4], index=list("abcd"))
    b = pd.Series([0.6, 0.6, 0.6, 0.45], index=list("abcd"))  # differences .3 .2 .1 -.05: ranks 4 3 2 against 1
    assert statistics.paired_test(a, b).effect == pytest.approx((9 - 1) / 10)
    assert statistics.paired_test(a, b - 1).effect == 1
    assert np.isnan(statistics.paired_test(a, a).effect)


def test_the_interval_over_folds_is_wider_than_students_as_folds_overlap():
    values = pd.Series([0.6, 0.7, 0.8, 0.7, np.nan])
    low, high = statistics.t_interval_over_folds(values)
    naive = stats.t.interval(0.95, 3, loc=0.7, scale=stats.sem(values.dropna()))
    assert (high - low) / (naive[1] - naive[0]) == pytest.approx(np.sqrt((1 / 4 + 1 / 3) / (1 / 4)))
    assert (low + high) / 2 == pytest.approx(0.7)
    assert np.isnan(statistics.t_interval_over_folds(values[:1])).all()


# The interval of the mean over folds, where each subject has a cross-validation of their own.


def own_folds(rng, subjects, folds, middle=0.6, subject_sd=0.1, fold_sd=0.05):
    """Accuracies of the folds of subjects, as Scores.folds has them: their true mean is `middle`."""
    of_subject = rng.normal(middle, subject_sd, subjects)[:, None]
    accuracy = (of_subject + rng.normal(0, fold_sd, (subjects, folds))).ravel()
    names = np.repeat([f"s{k:02d}" for k in range(subjects)], folds)
    return pd.DataFrame({"fold": range(1, len(accuracy) + 1), "subject": names, "accuracy": accuracy})


@pytest.fixture(scope="module")
def within_each():
    return evaluate(made(3, 6, 2, folds=2).assign(scope="per-subject"), n_permutations=50)


@pytest.mark.journey
@pytest.mark.parametrize(("subjects", "folds"), [(22, 10), (6, 3), (27, 20)])
def test_95_percent_of_the_intervals_over_subjects_contain_the_true_mean(within_each, subjects, folds):
    """Through what reports call. 800 intervals: a coverage of 0.95 has a standard error of 0.008."""
    rng = np.random.default_rng(subjects)
    hit = width = naive = 0.0
    for _ in range(800):
        table = own_folds(rng, subjects, folds)
        low, high = replace(within_each, folds=table).folds_interval()
        hit, width = hit + (low <= 0.6 <= high), width + (high - low)
        low, high = statistics.t_interval_over_folds(table["accuracy"])
        naive += low <= 0.6 <= high
    assert 0.92 < hit / 800 < 0.98
    assert naive / 800 < 0.9  # what counting folds of all subjects as one cross-validation would cover
    assert width / 800 < 5 * 0.11 / np.sqrt(subjects)


def test_with_equally_many_folds_it_is_students_interval_of_the_subjects_means():
    table = own_folds(np.random.default_rng(1), 8, 5)
    means = table.groupby("subject")["accuracy"].mean()
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert statistics.t_interval_over_subjects(table["accuracy"], table["subject"]) == pytest.approx(tuple(expected))


def test_with_unequally_many_folds_its_middle_is_the_mean_over_folds():
    table = own_folds(np.random.default_rng(2), 6, 6).drop(index=[0, 1, 2, 7, 8])
    table.loc[20, "accuracy"] = np.nan  # a fold without a value
    low, high = statistics.t_interval_over_subjects(table["accuracy"], table["subject"])
    assert (low + high) / 2 == pytest.approx(table["accuracy"].mean())
    k = table.dropna().groupby("subject")["accuracy"]
    away = k.count() * (k.mean() - table["accuracy"].mean())  # by hand: Cochran's variance of a ratio
    half = stats.t.ppf(0.975, 5) * np.sqrt(6 / 5 * (away**2).sum()) / table["accuracy"].count()
    assert (high - low) / 2 == pytest.approx(half)


@pytest.mark.journey
def test_which_interval_the_mean_over_folds_has_follows_the_scope(within_each):
    pooled = evaluate(made(6, 6, 2, folds=3), n_permutations=50)
    assert pooled.folds_interval_kind == "corrected t over folds"
    assert pooled.folds_interval() == statistics.t_interval_over_folds(pooled.folds["accuracy"])
    assert within_each.folds_interval_kind == "t over subjects"
    assert len(within_each.folds) == 6 and within_each.counts["folds"] == 6  # two folds each, though both are 1 and 2
    means = within_each.folds.groupby("subject")["accuracy"].mean()
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    cut = (max(0.0, expected.low), min(1.0, expected.high))
    assert within_each.folds_interval() == pytest.approx(cut)
    alone = evaluate(made(1, 6, 2, folds=3).assign(scope="per-subject"), n_permutations=50)
    assert alone.folds_interval_kind == "corrected t over folds"  # of one subject's own cross-validation


@pytest.mark.parametrize("values", [[0.95, 1.0, 0.9, 1.0], [0.0, 0.1, 0.0, 0.2], [0.0, 1.0], [1.0, 1.0, 1.0]])
def test_no_interval_of_an_accuracy_leaves_0_to_1(values):
    accuracy = pd.Series(values)
    for low, high in (
        statistics.t_interval_over_folds(accuracy),
        statistics.t_interval_over_subjects(accuracy, pd.Series(range(len(values)))),
    ):
        assert 0 <= low <= accuracy.mean() <= high <= 1


@pytest.mark.journey
def test_cutting_an_interval_to_0_to_1_costs_no_coverage():
    """Accuracies of 20 windows near 1: the plain interval passes 1 often, and the truth is below 1 all the same."""
    rng, hit, passed = np.random.default_rng(0), 0, 0
    for _ in range(1000):
        accuracies = pd.Series(rng.binomial(20, np.clip(rng.normal(0.93, 0.05, 8), 0, 1)) / 20)
        truth = 0.93 - 0.0022  # E min(N(0.93, 0.05), 1), from 0.05 phi(1.4) - 0.07 Phi(-1.4)
        low, high = statistics.t_interval_over_subjects(accuracies, pd.Series(range(8)))
        plain = stats.ttest_1samp(accuracies, 0).confidence_interval(0.95)
        assert (low <= truth <= high) == (plain.low <= truth <= plain.high)
        hit, passed = hit + (low <= truth <= high), passed + (plain.high > 1)
    assert passed > 100 and 0.9 < hit / 1000 < 0.98

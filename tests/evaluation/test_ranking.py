"""Mean ranks, cliques and tests of several systems over subjects, against hand-worked numbers and scipy."""

import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gbvnet.evaluation.ranking import rank_systems


def scores(*columns, names="abcdefgh"):
    return pd.DataFrame(dict(zip(names, columns, strict=False)), index=[f"s{k}" for k in range(len(columns[0]))])


def test_ranks_are_those_worked_by_hand_and_ties_share_theirs():
    ranking = rank_systems(scores([0.9, 0.8, 0.7], [0.8, 0.8, 0.9], [0.1, 0.2, 0.3]))
    # a: 1, 1.5, 2; b: 2, 1.5, 1; c: 3, 3, 3
    assert ranking.ranks.to_dict() == {"a": 1.5, "b": 1.5, "c": 3.0}
    assert ranking.n == 3
    assert ranking.pairs["n"].tolist() == [2, 3, 3]  # a and b are alike in the second of them
    assert ranking.pairs["smallest_p"].tolist() == [0.5, 0.25, 0.25]
    assert not ranking.can_show_difference
    assert ranking.cliques == [["a", "b", "c"]]  # three subjects show nothing


@pytest.mark.journey
def test_tests_are_scipys():
    rng = np.random.default_rng(0)
    table = scores(*rng.uniform(size=(4, 12)))
    ranking = rank_systems(table)
    assert ranking.friedman_p == pytest.approx(stats.friedmanchisquare(*(table[n] for n in table)).pvalue)
    for row in ranking.pairs.itertuples():
        assert row.p == pytest.approx(stats.wilcoxon(table[row.a], table[row.b], method="exact").pvalue)
        assert row.difference == pytest.approx((table[row.a] - table[row.b]).mean())
    order = np.sort(ranking.pairs["p"].to_numpy())
    assert ranking.pairs["p_holm"].min() == pytest.approx(min(1, 6 * order[0]))


def test_cliques_hold_neighbours_that_are_not_shown_to_differ():
    steps = np.linspace(0, 0.01, 14)
    noise = np.where(np.arange(14) % 2, 0.02, -0.02)  # a and b take turns, c is below both in everybody
    ranking = rank_systems(scores(0.9 + steps + noise, 0.9 + steps, 0.5 + steps, 0.5 + steps + noise))
    assert ranking.can_show_difference
    assert [set(clique) for clique in ranking.cliques] == [{"a", "b"}, {"c", "d"}]
    separate = rank_systems(scores(0.9 + steps, 0.7 + 2 * steps, 0.5 + 3 * steps))
    assert separate.cliques == []


def test_overlapping_cliques_are_both_shown_and_one_within_another_is_not():
    from gbvnet.evaluation.ranking import _cliques

    names = list("abcd")
    pairs = pd.DataFrame(
        [("a", "b", 1.0), ("a", "c", 0.01), ("a", "d", 0.01), ("b", "c", 1.0), ("b", "d", 0.01), ("c", "d", 1.0)],
        columns=["a", "b", "p_holm"],
    )
    assert _cliques(names, pairs) == [["a", "b"], ["b", "c"], ["c", "d"]]
    pairs.loc[4, "p_holm"] = 1.0
    assert _cliques(names, pairs) == [["a", "b"], ["b", "c", "d"]]


def test_gaps_are_refused_and_equal_systems_are_one_clique():
    with pytest.raises(ValueError, match="1 scores are missing"):
        rank_systems(scores([0.5, np.nan], [0.5, 0.6]))
    same = rank_systems(scores([0.5] * 8, [0.5] * 8, [0.5] * 8))
    assert same.ranks.tolist() == [2.0] * 3 and same.cliques == [["a", "b", "c"]]


@pytest.mark.journey
def test_memory_is_what_was_held_at_most_and_not_what_is_held_at_the_end():
    """In a process of its own: one that has freed much memory gives it out again, and its size does not grow."""
    script = """
        import numpy as np
        from gbvnet.parallel.peak_memory import PeakMemory
        with PeakMemory() as peak:
            x = np.ones(20_000_000)  # 160 MB
            del x
        with PeakMemory() as little:
            np.ones(1000).sum()
        print(peak.mb, little.mb)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    peak, little = done.stdout.split()
    if peak == "None":
        pytest.skip("this system keeps no count of resident memory")
    assert 150 < float(peak) < 200 and float(little) < 20


@pytest.mark.journey
def test_the_smallest_p_is_that_of_the_subjects_that_differ_and_no_data_of_them_give_less():
    """Wilcoxon's test drops those who are equal: of twelve subjects four differ, and 2 / 2**4 is the least."""
    a = np.full(12, 0.7)
    b, c = a - np.r_[0.1, 0.2, 0.3, 0.4, np.zeros(8)], a - np.linspace(0.3, 0.4, 12)
    ranking = rank_systems(scores(a, b, c))
    of = ranking.pairs.set_index(["a", "b"])
    assert of.loc[("a", "b"), "n"] == 4
    assert of.loc[("a", "b"), "smallest_p"] == of.loc[("a", "b"), "p"] == 2 / 16
    exact = stats.wilcoxon(a[:4], b[:4], method="exact").pvalue  # old versions of scipy count the equal ones here
    assert of.loc[("a", "b"), "p"] == pytest.approx(exact)
    assert of.loc[("a", "c"), "smallest_p"] == 2 / 2**12
    assert ranking.can_show_difference  # c, not b
    assert not rank_systems(scores(a, b)).can_show_difference  # twelve subjects, of whom four differ
    same = rank_systems(scores(a, a, a))
    assert same.pairs["smallest_p"].tolist() == [1.0] * 3 and not same.can_show_difference


def test_what_is_not_shown_to_differ_from_the_first_need_not_be_next_to_it():
    """The second is below the first in everybody, by little; the third swings widely about the first."""
    n = 14
    first = np.linspace(0.7, 0.8, n)
    swing = np.where(np.arange(n) % 2, 0.2, -0.21)
    ranking = rank_systems(scores(first, first - 0.01, first + swing))
    assert ranking.ranks.index[0] == "a"
    alike = ranking.not_shown_to_differ("a")
    assert list(alike) == ["c"] and alike["c"] > 0.05
    assert ranking.not_shown_to_differ("c").keys() == {"a", "b"}

"""Several systems on the same subjects: their ranks, and between which of them no difference is shown.

Mean ranks and the test of Friedman as Demšar (2006, JMLR 7) lays out; which pairs differ by Wilcoxon's signed-rank test
over subjects with Holm's correction, as Benavoli, Corani and Mangili (2016, JMLR 17) advise in the place of differences
of mean ranks, which depend on the other systems in the comparison.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from .statistics import adjust_holm, paired_test

ALPHA = 0.05  # a pair differs significantly if its p after Holm is at most this


class Ranking(NamedTuple):
    """Systems from the best mean rank to the worst."""

    ranks: pd.Series  # name -> mean rank over subjects, 1 the best; ties share their mean rank
    n: int  # subjects
    friedman_p: float  # of the hypothesis that all are equal; NaN for fewer than three systems or two subjects
    pairs: pd.DataFrame  # a (the better ranked), b, difference of means, n, p, smallest_p as in PairedTest, p_holm
    cliques: list[list[str]]  # neighbours in rank between any two of which no difference is shown, longest runs only

    @property
    def can_show_difference(self) -> bool:
        """Whether any data of this many subjects that differ could give a significant pair, after Holm's correction."""
        return bool(len(self.pairs)) and bool((self.pairs["smallest_p"] * len(self.pairs)).min() <= ALPHA)

    def not_shown_to_differ(self, name: str) -> dict[str, float]:
        """Return the other systems, by rank, from which no difference is shown, each with its p after Holm."""
        of = self.pairs[(self.pairs[["a", "b"]] == name).any(axis=1)]
        p = {a if b == name else b: float(p) for a, b, p in of[["a", "b", "p_holm"]].itertuples(index=False)}
        return {other: p[other] for other in self.ranks.index if p.get(other, 0.0) > ALPHA}


def rank_systems(scores: pd.DataFrame) -> Ranking:
    """Rank systems by their scores.

    scores : one row a subject, one column a system, higher is better, no gaps. Raises ValueError if there are gaps.
    """
    from scipy.stats import friedmanchisquare

    if scores.isna().any(axis=None):
        raise ValueError(f"{int(scores.isna().sum().sum())} scores are missing")
    ranks = scores.rank(axis=1, ascending=False).mean().sort_values(kind="stable")
    names = ranks.index.tolist()
    enough = len(names) >= 3 and len(scores) >= 2
    with np.errstate(invalid="ignore", divide="ignore"):  # equal systems have no p
        friedman = float(friedmanchisquare(*(scores[n] for n in names)).pvalue) if enough else np.nan
    rows = []
    for a, b in combinations(names, 2):
        test = paired_test(scores[a], scores[b], "two-sided")
        rows.append((a, b, test.difference, test.n, test.p, test.smallest_p))
    pairs = pd.DataFrame(rows, columns=["a", "b", "difference", "n", "p", "smallest_p"])
    pairs["p_holm"] = adjust_holm(pairs["p"])
    return Ranking(ranks, len(scores), friedman, pairs, _cliques(names, pairs))


def _cliques(names: list[str], pairs: pd.DataFrame) -> list[list[str]]:
    differ = {frozenset((a, b)) for a, b, p in zip(pairs["a"], pairs["b"], pairs["p_holm"], strict=True) if p <= ALPHA}
    cliques: list[list[str]] = []
    reached = 0  # past the end of the last clique: one that ends no later lies within it
    for first in range(len(names)):
        last = first + 1
        while last < len(names) and not any(frozenset((names[last], n)) in differ for n in names[first:last]):
            last += 1
        if last - first > 1 and last > reached:
            cliques.append(names[first:last])
            reached = last
    return cliques

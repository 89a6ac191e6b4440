"""The report's section on a comparison of systems: scores, ranks over subjects, costs, and what was left out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..evaluation.ranking import ALPHA, Ranking, rank_systems
from ..evaluation.seed_means import OTHER_TRIALS
from ..provenance import SHUFFLED_SYSTEM
from ..text import listed
from .document import Block, Heading, Items, Table, Text
from .figures import write_picture
from .formatting import (
    BOOTSTRAP_COLUMN,
    NONE,
    bootstrap_name,
    file_part,
    p_value,
    study_heading,
    with_interval,
)
from .published_section import cited_blocks
from .rank_diagram import rank_diagram
from .results import Result, common_seeds, describe_row_difference, scores_by_subject
from .seed_section import (
    DIFFERENCE_COLUMNS,
    PairSpreads,
    describe_spreads,
    difference_cells,
    mean_note,
    pair_spreads,
    sd_cell,
    sd_column,
    spread_columns,
)
from .summary import TWO_TESTS, by_score
from .task_words import COLUMNS, TaskWords, score_cell, words_of

REFERENCE = "gbvnet"  # the system that all others are compared with


class Cost(NamedTuple):
    """What one system needs."""

    fit_s: float  # seconds a training, mean over folds; features included unless they were cached
    memory_mb: float  # most memory of a training above what the process held before, 10^6 bytes
    parameters: int  # numbers that training sets
    windows_per_s: float  # from signals and faces to a prediction, without cached features


@dataclass(frozen=True)
class ComparisonSection:
    """What the section shows beyond the results: costs, and systems that were left out."""

    costs: dict[str, Cost]  # by the run's name
    left_out: dict[str, str]  # system -> why

    def blocks(self, results: Sequence[Result], folder: Path) -> Iterator[Block]:
        """Yield the section; its tables and figures are written into `folder`."""
        yield Heading("Every system on the same windows")
        yield Text(
            "Each system was trained and tested on the same folds of the same windows, with the same labels, and is "
            "scored by the same rules. Each gets the modality it was designed for. A name that ends in -like says "
            "that only an abstract or a title of the source is known. The assessment says which systems are above "
            "chance; only the ranks below say which differ from each other."
        )
        for _, group in groupby(results, key=lambda r: (*r.section, r.key("protocol"))):
            yield from self._study(list(group), folder)
        yield from self._cost_blocks(folder)
        yield from cited_blocks(results)
        if self.left_out:
            yield Text("Left out:")
            yield Items([f"{name}: {why}" for name, why in self.left_out.items()])

    def _study(self, results: list[Result], folder: Path) -> Iterator[Block]:
        yield Heading(study_heading(results[0]), 3)
        yield from ranking_blocks(results, folder, file_part(results[0].key("target")))

    def _cost_blocks(self, folder: Path) -> Iterator[Block]:
        rows = pd.DataFrame.from_dict({n: c._asdict() for n, c in self.costs.items()}, orient="index")
        rows.rename_axis("run").to_csv(folder / "tables" / "costs.csv")
        yield Heading("Costs", 3)
        yield Table(
            ("System", "Seconds a training", "Memory of a training, MB", "Parameters",
             "Windows a second, without cached features"),
            [[name, _short(c.fit_s), _short(c.memory_mb), f"{c.parameters:,}", _short(c.windows_per_s)]
             for name, c in sorted(self.costs.items(), key=lambda item: item[1].fit_s)],
            "Measured on this machine during these runs; they depend on other work on the machine and on the number of "
            "processes. Cached features of an earlier system cost a training nothing. Memory is the most that the "
            "process used above what it used before.",
        )  # fmt: skip


def ranking_blocks(results: Sequence[Result], folder: Path, name: str) -> Iterator[Block]:
    """Yield scores and ranks of results of one section and protocol; no ranks, and why, if they test other rows.

    folder : of the report; tables/ranking-NAME.csv and figures/ranks-NAME.png are written into it
    """
    ordered = by_score(results)
    ranked = [r for r in results if SHUFFLED_SYSTEM not in r.key("system")]
    stamps = (ranked or results)[0].scores.stamps  # a probe on shuffled labels has another, and is not ranked
    why_not = _not_ranked(ranked)
    scores = pd.DataFrame() if why_not or not ranked else scores_by_subject({system_label(r): r for r in ranked})
    defined = scores.dropna()
    ranking = rank_systems(defined) if len(ranked) > 1 and len(defined) else None
    spreads: PairSpreads = {} if why_not else pair_spreads({system_label(r): r for r in ranked})
    if ranking is not None:
        pairs = ranking.pairs.join(spread_columns(ranking.pairs, spreads)).assign(**ranked[0].stamped)
        pairs.to_csv(folder / "tables" / f"ranking-{name}.csv", index=False)
    yield _score_table(ordered, ranking, spreads)
    if why_not:
        yield Text(f"No ranks: {why_not}.", "note")
    else:
        yield from _seed_blocks(ranked, ranking, spreads)
    if len(defined) < len(scores):
        untested = " or a seed does not test them" if results[0].key("protocol") == OTHER_TRIALS else ""
        yield Text(
            f"{len(scores) - len(defined)} of {len(scores)} subjects are left out of ranks and differences: their "
            f"{words_of(results[0].scores).headline} is undefined, as all their ratings are equal{untested}."
        )
    if ranking is not None:
        yield Text(describe_ranking(ranking))
        above = any(r.scores.chance["window"].above for r in results)
        if above and not ranking.can_show_difference:
            yield Text(TWO_TESTS, "note")
        yield from _rank_blocks(ranking, study_heading(results[0]), stamps, folder, name)


def system_label(result: Result) -> str:
    """Return system and modality of a result."""
    return f"{result.key('system')} · {result.key('modality')}"


def _not_ranked(results: Sequence[Result]) -> str:
    """Why systems cannot be ranked over subjects; "" if they can, or if there are no two."""
    labels = [system_label(r) for r in results]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        seeds = "; ".join(r.seeds for r in results if system_label(r) == twice)
        return f"the results of {twice} at seeds {seeds} could not be averaged (see the section on seeds)"
    if len(results) > 1 and not common_seeds(results) and not any(r.run.outside for r in results):
        return "the systems have no seed in common"
    for other in results[1:]:
        differ = describe_row_difference(results[0], other)
        if differ:
            return f"{labels[0]} and {system_label(other)} do not test the same rows ({differ})"
    return ""


def _seed_blocks(ranked: Sequence[Result], ranking: Ranking | None, spreads: PairSpreads) -> Iterator[Block]:
    """Which seeds the ranks are of, if not of all, and which differences are smaller than the spread over seeds."""
    if len({r.seeds for r in ranked}) > 1:
        common = ", ".join(map(str, common_seeds(ranked)))
        of_common = f"Ranks and differences are of the seeds that all systems have ({common})."
        if any(r.run.outside for r in ranked):
            of_common = "Ranks and differences are of the means over all seeds of each system."
        yield Text(of_common, "note")
    if ranking is not None and spreads:
        yield Text(describe_spreads(spreads, ranking.ranks.index[0]))


def _score_table(results: Sequence[Result], ranking: Ranking | None, spreads: PairSpreads) -> Table:
    reference = next((system_label(r) for r in results if r.key("system") == REFERENCE), None)
    words = words_of(results[0].scores)
    main = words.score
    shown = "CCC with its" if words.baseline_is_zero else "accuracies in %, with their"
    against = {} if ranking is None or reference is None else _differences(ranking, reference, words)
    of_seeds = list(DIFFERENCE_COLUMNS) if spreads and reference else []
    return Table(
        ("System", "Modality", "Assessment", BOOTSTRAP_COLUMN, *sd_column(results), "By trial",
         *(COLUMNS[name] for name in words.ranked_beside), "Mean rank",
         f"GBV-Net minus it, {words.difference_unit}", "p after Holm", *of_seeds),
        [
            [r.key("system"), r.key("modality"), r.scores.assessment,
             with_interval(r.scores.window[main], r.scores.window_interval[main], main), *sd_cell(r, results),
             words.value(r.scores.trial[main]), *(score_cell(r.scores, "window", name) for name in words.ranked_beside),
             _mean_rank(ranking, r),
             *against.get(system_label(r), (NONE, NONE)),
             *difference_cells(spreads.get(frozenset((reference, system_label(r)))), words, of_seeds)]
            for r in results
        ],
        f"By window unless it says otherwise; {shown} {bootstrap_name(results)}. The difference "
        "is the mean over subjects; its p is Wilcoxon's over subjects, two-sided, after Holm over all pairs."
        + mean_note(results),
        3, frozenset(k for k, r in enumerate(results) if r.scores.leaky),
    )  # fmt: skip


def _mean_rank(ranking: Ranking | None, result: Result) -> str:
    known = ranking is not None and system_label(result) in ranking.ranks
    return f"{ranking.ranks[system_label(result)]:.2f}" if ranking is not None and known else NONE


def _differences(ranking: Ranking, reference: str, words: TaskWords) -> dict[str, tuple[str, str]]:
    pairs, differences = ranking.pairs, {}
    for a, b, by, p in zip(*(pairs[c].tolist() for c in ("a", "b", "difference", "p_holm")), strict=True):
        if reference in (a, b):
            other, points = (b, by) if a == reference else (a, -by)
            differences[other] = (words.difference(points), p_value(p))
    return differences


def _rank_blocks(ranking: Ranking, title: str, stamps: Sequence[str], folder: Path, target: str) -> Iterator[Block]:
    yield write_picture(
        rank_diagram(ranking, f"{title}: ranks over {ranking.n} subjects", stamps), folder,
        f"ranks-{target}", f"Mean rank of every system, {target}",
        "Each system at its mean rank over subjects. For systems under one bar no difference is shown, which does "
        "not mean that they are equal (Wilcoxon over subjects, Holm over all pairs). Table of all pairs: "
        f"tables/ranking-{target}.csv.",
    )  # fmt: skip


def describe_ranking(ranking: Ranking) -> str:
    """Return what a ranking shows, in sentences."""
    pairs = ranking.pairs
    if not ranking.can_show_difference:
        least, most = pairs["smallest_p"].min(), int(pairs["n"].max())
        subjects = f"{ranking.n} subject{'s' if ranking.n > 1 else ''}"
        if not most:
            return f"All {len(ranking.ranks)} systems have the same score in each of {subjects}: no difference to test."
        return (
            f"With {subjects} no difference between any two of {len(ranking.ranks)} systems can be shown: of "
            f"a pair the scores of at most {most} subjects differ, no data could then give a p below {least:.2g}, or "
            f"{min(1, least * len(pairs)):.2g} after Holm over {len(pairs)} pairs. The ranks only describe these data."
        )
    best = ranking.ranks.index[0]
    alike = ranking.not_shown_to_differ(best)
    if alike:
        none = listed([f"{name} (p = {p_value(p)})" for name, p in alike.items()])
        first = f"{best} ranks first. No difference from {none} was shown, which does not mean that they are equal"
    else:
        others = "all others" if len(ranking.ranks) > 2 else "the other"
        first = f"{best} ranks first and differs significantly from {others}"
    differ = int((pairs["p_holm"] <= ALPHA).sum())
    friedman = f"; Friedman's test of all: p = {p_value(ranking.friedman_p)}" if len(ranking.ranks) > 2 else ""
    return f"{first}. {differ} of {len(pairs)} pairs differ (p after Holm at most {ALPHA}{friedman})."


def _short(value: float) -> str:
    if np.isnan(value):
        return NONE
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"

"""The comparison of all systems as a report shows it: scores beside each other, ranks over people, costs, and who is
absent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..evaluation import metrics
from ..evaluation.ranking import SHOWN, Ranking, rank
from ..provenance import SHUFFLED_SYSTEM, SYNTHETIC
from ..text import listed
from .document import Block, Heading, Items, Table, Text
from .figures import picture
from .published_results import CITED, PAPER_OTHERS
from .rank_diagram import rank_diagram
from .results import Result
from .summary import BOOTSTRAP_COLUMN, NONE, TWO_TESTS, bootstrap, number, p_value, panel, percent, with_interval

OURS = "gbvnet"
PUBLISHED_TARGETS = ("valence", "arousal")  # the order of the paper's pairs of figures


class Cost(NamedTuple):
    """What one system takes."""

    fit_s: float  # seconds a training, mean over folds, features included where they were not remembered
    memory_mb: float  # most memory of a training above what the process held before, 10^6 bytes
    parameters: int  # numbers that were learnt
    windows_per_s: float  # from signals and faces to an answer, nothing remembered


@dataclass(frozen=True)
class Rivals:
    """What a comparison knows beyond its runs."""

    costs: dict[str, Cost]  # by the run's name
    left_out: dict[str, str]  # system -> why

    def blocks(self, results: Sequence[Result], folder: Path) -> Iterator[Block]:
        """The section of the report; its tables and figures are written into `folder`."""
        yield Heading("Every system on the same windows")
        yield Text(
            "Each system was trained and tested on the same folds of the same windows, with the same labels, and is "
            "scored by the same rules. Each sees what it was made for. A name that ends in -like says that only an "
            "abstract or a title of the source is known. Who is above chance is said by the verdict; who is better "
            "than whom only by the ranks below."
        )
        for _, group in groupby(results, key=lambda r: (*r.study, r.key("protocol"))):
            yield from self._study(list(group), folder)
        yield from self._cost_blocks(folder)
        yield from _published_blocks(results)
        if self.left_out:
            yield Text("Left out:")
            yield Items([f"{name}: {why}" for name, why in self.left_out.items()])

    def _study(self, results: list[Result], folder: Path) -> Iterator[Block]:
        target, stamps = results[0].key("target"), results[0].scores.stamps
        ordered = sorted(results, key=lambda r: -r.scores.window["accuracy"])
        yield Heading(panel(results[0]).capitalize(), 3)
        ranked = [r for r in results if SHUFFLED_SYSTEM not in r.key("system")]
        ranking = rank(_by_person(ranked)) if len(ranked) > 1 else None
        if ranking is not None:
            ranking.pairs.to_csv(folder / "tables" / f"ranking-{target}.csv", index=False)
        yield _score_table(ordered, ranking)
        if ranking is not None:
            yield Text(said(ranking))
            above = any(r.scores.chance["window"].above for r in results)
            if above and not ranking.can_tell:
                yield Text(TWO_TESTS, "note")
            yield from _rank_blocks(ranking, panel(results[0]), stamps, folder, target)

    def _cost_blocks(self, folder: Path) -> Iterator[Block]:
        rows = pd.DataFrame.from_dict({n: c._asdict() for n, c in self.costs.items()}, orient="index")
        rows.rename_axis("run").to_csv(folder / "tables" / "costs.csv")
        yield Heading("What each costs", 3)
        yield Table(
            ("System", "Seconds a training", "Memory of a training, MB", "Numbers learnt", "Windows a second, "
             "nothing remembered"),
            [[name, _short(c.fit_s), _short(c.memory_mb), f"{c.parameters:,}", _short(c.windows_per_s)]
             for name, c in sorted(self.costs.items(), key=lambda item: item[1].fit_s)],
            "Measured here, while these runs were made; other work on the machine and the number of processes are in "
            "it. Features that were remembered from an earlier system cost a training nothing. Memory is the most that "
            "the process held above what it began with.",
        )  # fmt: skip


def label(result: Result) -> str:
    return f"{result.key('system')} · {result.key('modality')}"


def _by_person(results: Sequence[Result]) -> pd.DataFrame:
    """Accuracy by window, one row a person, one column a system; all were tested on the same rows."""
    first = results[0]
    for other in results[1:]:
        differ = metrics.describe_row_difference(first.table, other.table)
        if differ:
            raise ValueError(f"{label(first)} and {label(other)} do not test the same rows: {differ}")
    return pd.DataFrame({label(r): r.scores.subjects.set_index("subject")["accuracy"] for r in results})


def _score_table(results: Sequence[Result], ranking: Ranking | None) -> Table:
    ours = next((label(r) for r in results if r.key("system") == OURS), None)
    against = {} if ranking is None or ours is None else _against(ranking, ours)
    return Table(
        ("System", "Sees", "Verdict", BOOTSTRAP_COLUMN, "By trial", "Balanced", "AUC", "Mean rank",
         "GBV-Net minus it, points", "p after Holm"),
        [
            [r.key("system"), r.key("modality"), r.scores.assessment,
             with_interval(r.scores.window["accuracy"], r.scores.window_interval["accuracy"]),
             percent(r.scores.trial["accuracy"]), number(r.scores.window["balanced_accuracy"]),
             number(r.scores.window["auc"]),
             f"{ranking.ranks[label(r)]:.2f}" if ranking is not None and label(r) in ranking.ranks else NONE,
             *against.get(label(r), (NONE, NONE))]
            for r in results
        ],
        f"By window unless it says otherwise; accuracies in %, with their {bootstrap(results)}. The difference is "
        "the mean over people; its p is Wilcoxon's over people, two-sided, after Holm over all pairs.",
        3, frozenset(k for k, r in enumerate(results) if r.scores.leaky),
    )  # fmt: skip


def _against(ranking: Ranking, ours: str) -> dict[str, tuple[str, str]]:
    pairs, found = ranking.pairs, {}
    for a, b, by, p in zip(*(pairs[c].tolist() for c in ("a", "b", "difference", "p_holm")), strict=True):
        if ours in (a, b):
            other, points = (b, by) if a == ours else (a, -by)
            found[other] = (f"{100 * points:+.1f}", p_value(p))
    return found


def _rank_blocks(ranking: Ranking, title: str, stamps: Sequence[str], folder: Path, target: str) -> Iterator[Block]:
    yield picture(
        rank_diagram(ranking, f"{title.capitalize()}: ranks over {ranking.n} people", stamps), folder,
        f"ranks-{target}", f"Mean rank of every system, {target}",
        "Each system at its mean rank over people. Systems under one bar are not shown to differ from each other "
        "(Wilcoxon over people, Holm over all pairs). Table of all pairs: tables/ranking-" + target + ".csv.",
    )  # fmt: skip


def said(ranking: Ranking) -> str:
    """What a ranking shows, in words."""
    pairs = ranking.pairs
    if not ranking.can_tell:
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
    differ = int((pairs["p_holm"] <= SHOWN).sum())
    friedman = f"; Friedman's test of all: p = {p_value(ranking.friedman_p)}" if len(ranking.ranks) > 2 else ""
    return f"{first}. {differ} of {len(pairs)} pairs differ (p after Holm at most {SHOWN}{friedman})."


def _short(value: float) -> str:
    if np.isnan(value):
        return NONE
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _published_blocks(results: Sequence[Result]) -> Iterator[Block]:
    """What Table 3 prints of the works whose systems are here, in a table of its own with their protocols."""
    systems = {r.key("system") for r in results}
    targets = [t for t in PUBLISHED_TARGETS if any(r.key("target") == t for r in results)]
    rows = [
        [name, CITED[name].who, dataset, CITED[name].protocol,
         *(f"{figures_of[CITED[name].who][PUBLISHED_TARGETS.index(t)]:.2f}" for t in targets)]
        for dataset, figures_of in PAPER_OTHERS.items()
        for name in CITED
        if name in systems and any(r.key("dataset").removesuffix(f" ({SYNTHETIC})") == dataset for r in results)
    ]  # fmt: skip
    if not rows or not targets:
        return
    yield Heading("As published, other protocols", 3)
    if any(r.synthetic for r in results):
        yield Text(f"Results above are from {SYNTHETIC}: nothing in this table can be compared with them.", "warning")
    yield Text(
        "Accuracy in % as Table 3 of Yu et al. 2025 (doi:10.3390/s25206397) prints it for the works cited, each under "
        "a protocol of its own. None of these numbers is comparable with those above, nor with each other."
    )
    columns = ("System here", "Source", "Dataset", "Its protocol", *(t.capitalize() for t in targets))
    yield Table(columns, rows, "As published, other protocols.", 4)

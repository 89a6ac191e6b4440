"""What a report shows of several seeds: columns of its tables, a section of its own, sentences, and tables with every
digit. Of results of one seed each nothing."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, groupby
from typing import Any

import pandas as pd

from ..evaluation.seed_means import OTHER_TRIALS, Level, SeedDifference, SeedScores, difference_over_seeds
from ..evaluation.statistics import CHANCE_PERCENTILE, MeanSD
from ..text import shortened
from .document import Block, Heading, Items, Table, Text
from .formatting import NONE, mean_sd, p_value, protocol_name, score_text, study_heading
from .results import Comparison, Result, common_seeds, subject_scores_by_seed
from .task_words import TaskWords, words_of

SMALLER = "smaller than the spread over seeds"
SD_COLUMN = "SD over seeds"
DIFFERENCE_COLUMNS = ("SD of the difference over seeds", "Beside the seeds")
PairSpreads = dict[frozenset, SeedDifference]  # by the two names of a pair
READ_SPREADS = (
    "Two spreads are shown, and neither stands for the other. Over seeds: the same subjects, trained again with "
    "another seed, which sets the splits, the initial weights, the order of windows and the augmentation (with fixed "
    "folds the splits stay). Over subjects: intervals, ranks and tests, for which each subject's score is the mean "
    "over seeds first; N seeds are no N times as many subjects."
)


def have_seeds(results: Sequence[Result]) -> bool:
    """Return whether any result is a mean over seeds."""
    return any(r.members for r in results)


# --- columns of other tables ---


def mean_note(results: Sequence[Result]) -> str:
    """Return sentences for the caption of a table with means over seeds, with a space before them; else ""."""
    if not have_seeds(results):
        return ""
    others = f" Under protocol {OTHER_TRIALS} each seed tests other trials." if _other_trials(results) else ""
    return " Scores of several seeds are means over these." + others


def _other_trials(results: Sequence[Result]) -> list[str]:
    """What must be known of groups whose seeds do not test the same trials, each sentence once."""
    groups = [r.scores for r in results if isinstance(r.scores, SeedScores)]
    return list(dict.fromkeys(scores.other_trials for scores in groups if scores.other_trials))


def over_seeds(result: Result, level: Level = "window", name: str = "") -> MeanSD | None:
    """Return mean and SD over seeds of a score, by default the headline score; None for a result of one seed."""
    return result.scores.over_seeds(level, name) if isinstance(result.scores, SeedScores) else None


def sd_column(results: Sequence[Result], title: str = SD_COLUMN) -> list[str]:
    """Return the title of a column of SDs over seeds, in a list; an empty one if no result has several seeds."""
    return [title] if have_seeds(results) else []


def sd_cell(result: Result, section: Sequence[Result], levels: Sequence[Level] = ("window",)) -> list[str]:
    """Return the cell of `sd_column`: the SD of the headline score by each of the levels."""
    if not have_seeds(section):
        return []
    spreads = [over_seeds(result, level) for level in levels]
    return [NONE if None in spreads else " / ".join(score_text(s.sd, result.scores.main) for s in spreads if s)]


def mean_sd_column(results: Sequence[Result]) -> list[str]:
    """Return the title of the column of `mean_sd_cell`, with the number of seeds if it is the same in all rows."""
    numbers = {len(r.members) for r in results if r.members}
    return [f"mean ± SD over {numbers.pop() if len(numbers) == 1 else ''} seeds".replace("  ", " ")] if numbers else []


def mean_sd_cell(result: Result, section: Sequence[Result]) -> list[str]:
    """Return mean and SD over seeds of the mean over folds; no cell if no result has several seeds."""
    spread = over_seeds(result, "fold")
    cell = mean_sd(*spread[:2], result.scores.main) if spread else NONE
    return [cell] if have_seeds(section) else []


def difference_columns(comparisons: Sequence[Comparison]) -> list[str]:
    """Return the titles of the columns that set differences beside the spread over seeds, if there are any."""
    return list(DIFFERENCE_COLUMNS) if any(c.seeds for c in comparisons) else []


def difference_cells(spread: SeedDifference | None, words: TaskWords, shown: Sequence[str]) -> list[str]:
    """Return the cells of `difference_columns`. shown : these columns"""
    if not shown:
        return []
    if spread is None:
        return [NONE, NONE]
    return [words.difference(spread.sd).removeprefix("+"), beside_seeds(spread)]


def beside_seeds(spread: SeedDifference) -> str:
    """Return in words whether a difference is smaller than its SD over seeds, and of how many seeds it is."""
    which = SMALLER if spread.smaller_than_spread else "not smaller"
    return f"{which} ({spread.n} seeds)"


# --- sentences ---


def seed_sentences(results: Sequence[Result], comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yield how far the seeds of the results of one section differ, and which differences are smaller than that."""
    groups = [r for r in results if isinstance(r.scores, SeedScores)]
    if not groups:
        return
    words = words_of(groups[0].scores)
    spreads = sorted(s.sd for r in groups if (s := over_seeds(r)) is not None)
    low, high = words.difference(spreads[0]).removeprefix("+"), words.difference(spreads[-1]).removeprefix("+")
    several = f"{low} to {high}" if low != high else low
    seeds = ", ".join(dict.fromkeys(r.seeds for r in groups)) if len({r.seeds for r in groups}) == 1 else ""
    which = f"seeds {seeds}" if seeds else "several seeds"
    subject = "Scores are means" if len(groups) == len(results) else f"{len(groups)} of the scores are means"
    yield f"{subject} over {which}; over seeds their SD is {words.with_difference_unit(several)}."
    smaller = [c for c in comparisons if c.seeds and c.seeds.smaller_than_spread and any(c.a is r for r in results)]
    if smaller:
        names = [f"{c.a.label} and {c.b.label} ({_protocols(c)})" for c in smaller]
        yield f"The difference is {SMALLER} of: {shortened(names, 6, '; ')}."


def _protocols(c: Comparison) -> str:
    return " and ".join(dict.fromkeys((protocol_name(c.a), protocol_name(c.b))))


# --- pairs of a ranking ---


def pair_spreads(results: Mapping[str, Result]) -> PairSpreads:
    """Return how the difference of each pair varies over the seeds that all results have; none for one seed."""
    common = common_seeds(list(results.values())) if have_seeds(list(results.values())) else []
    scores = {
        name: {s: of for s, of in subject_scores_by_seed(r).items() if s in common} for name, r in results.items()
    }
    pairs = {frozenset((a, b)): difference_over_seeds(scores[a], scores[b]) for a, b in combinations(results, 2)}
    return {pair: spread for pair, spread in pairs.items() if spread is not None}


def spread_columns(pairs: pd.DataFrame, spreads: PairSpreads) -> pd.DataFrame:
    """Return the columns to add to the pairs of a ranking (a, b); none without spreads."""
    if not spreads:
        return pd.DataFrame(index=pairs.index)
    of_pairs = [spreads[frozenset(pair)] for pair in pairs[["a", "b"]].itertuples(index=False)]
    columns = {"seeds": [s.n for s in of_pairs], "sd_over_seeds": [s.sd for s in of_pairs]}
    columns["smaller_than_seed_spread"] = [s.smaller_than_spread for s in of_pairs]
    return pd.DataFrame(columns, index=pairs.index)


def describe_spreads(spreads: PairSpreads, first: str) -> str:
    """Return how many pairs differ by less than the spread over seeds, and from which systems the first one does."""
    smaller = [pair for pair, spread in spreads.items() if spread.smaller_than_spread]
    n = next(iter(spreads.values())).n
    near = sorted(name for pair in smaller for name in pair if first in pair and name != first)
    of_first = f"; among them {first} and {shortened(near, 6)}" if near else ""
    several = f"{len(smaller)} of {len(spreads)} differences between systems are"
    some = f"None of {len(spreads)} differences between systems is" if not smaller else several
    return f"{some} {SMALLER} ({n} seeds){of_first}."


# --- the section ---


def seed_blocks(results: Sequence[Result], notes: Sequence[str]) -> Iterator[Block]:
    """Yield the section on seeds: both spreads of each group, the scores of each seed, and what was not averaged."""
    groups = [r for r in results if r.members]
    if not groups and not notes:
        return
    yield Heading("Spread over seeds and over subjects")
    if groups:
        yield Text(READ_SPREADS)
    for _, group in groupby(groups, key=lambda r: r.section):
        yield from _section_tables(list(group))
    if notes:
        yield Items(notes)


def _section_tables(groups: Sequence[Result]) -> Iterator[Block]:
    words = words_of(groups[0].scores)
    in_percent = ", in %" if words.unit else ""
    leaky = frozenset(k for k, r in enumerate(groups) if r.scores.leaky)
    yield Heading(study_heading(groups[0]), 3)
    yield Table(
        ("Result", "Protocol", "Seeds", "Mean of folds ± SD over seeds", "All windows ± SD over seeds",
         "By trial ± SD over seeds", "Mean of subjects ± SD over subjects"),
        [_spread_row(r) for r in groups],
        f"Both spreads: {words.headline}{in_percent}. ± SD over seeds is of the scores of single seeds; ± SD over "
        "subjects is of the means over seeds of each subject.",
        3, leaky,
    )  # fmt: skip
    for sentence in _other_trials(groups):
        yield Text(sentence, "note")
    singles = [single for r in groups for single in r.members]
    baseline = [] if words.baseline_is_zero else [words.baseline_column]
    yield Table(
        ("Result", "Protocol", "Mean of folds", "All windows", "By trial", *baseline, f"Chance {CHANCE_PERCENTILE} %",
         "p"),
        [_single_row(r, words) for r in singles],
        f"Each seed alone: {words.headline}{in_percent}; {words.baseline} and chance are of all windows.",
        2, frozenset(k for k, r in enumerate(singles) if r.scores.leaky),
    )  # fmt: skip


def _spread_row(r: Result) -> list[str]:
    s, main = r.scores, r.scores.main
    spreads = [over_seeds(r, level) for level in ("fold", "window", "trial")]
    return [
        r.label, protocol_name(r), r.seeds,
        *(mean_sd(*spread[:2], main) if spread else NONE for spread in spreads),
        mean_sd(*s.over_subjects()[:2], main),
    ]  # fmt: skip


def _single_row(r: Result, words: TaskWords) -> list[str]:
    s = r.scores
    chance = s.chance["window"]
    return [
        r.label, protocol_name(r), words.value(s.over_folds().mean), words.value(s.window[s.main]),
        words.value(s.trial[s.main]), *([] if words.baseline_is_zero else [words.value(s.majority["window"])]),
        words.value(chance.upper), p_value(chance.p),
    ]  # fmt: skip


# --- tables with every digit ---


def sd_values(result: Result) -> dict[str, Any]:
    """Return the SDs over seeds of all scores as columns of a CSV file."""
    if not isinstance(result.scores, SeedScores):
        return {}
    row: dict[str, Any] = {"seeds": result.seeds, "n_seeds": len(result.members)}
    levels: dict[Level, Sequence[str]] = {"window": list(result.scores.window), "trial": list(result.scores.trial)}
    levels["fold"] = [name for name in result.scores.window if name in result.scores.folds]
    for level, names in levels.items():
        row |= {f"{level}_{name}_sd_over_seeds": result.scores.over_seeds(level, name).sd for name in names}
    return row


def difference_values(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Return a row a comparison with its spread over seeds; without columns if none has several seeds."""
    if not any(c.seeds for c in comparisons):
        return pd.DataFrame(index=range(len(comparisons)))
    spreads = [c.seeds for c in comparisons]
    return pd.DataFrame({
        "seeds": [s.n if s else 1 for s in spreads],
        "sd_over_seeds": [s.sd if s else float("nan") for s in spreads],
        "smaller_than_seed_spread": [s.smaller_than_spread if s else None for s in spreads],
    })  # fmt: skip

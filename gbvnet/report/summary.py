"""The results in sentences, and as a table for a terminal."""

import io
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from ..evaluation.statistics import CHANCE_PERCENTILE
from ..provenance import SYNTHETIC
from ..text import listed
from .formatting import capital, mean_sd, p_value, protocol_name, score_text
from .results import Comparison, Result, compare
from .seed_section import mean_sd_cell, mean_sd_column, seed_sentences
from .task_words import LAST_DIGIT, TaskWords, score_cell, words_of

# Where both are shown: why one result can be above chance although no comparison of it can be significant.
TWO_TESTS = (
    "“Above chance” and “too few subjects to tell” answer two different questions. Chance permutes the labels of "
    "trials, of which there are many; a comparison of two results is over subjects, and each subject counts once. So a "
    "result can be above chance with p = 0.0001 although no comparison of so few subjects can reach p = 0.05."
)


def describe_results(results: Sequence[Result], comparisons: Sequence[Comparison] | None = None) -> str:
    """Return what the results say, positive or not: a paragraph for each section (dataset, target, task and scope).

    results, comparisons : from results.read_results and results.compare; the latter are computed if not given.
    """
    comparisons = compare(results)[0] if comparisons is None else comparisons
    paragraphs = []
    for _, group in groupby(results, key=lambda r: r.section):
        of_study, sentences = list(group), []
        for _, same in groupby(of_study, key=lambda r: r.key("protocol")):
            of_protocol = list(same)
            if not of_protocol[0].scores.leaky:
                sentences += [*_score_sentences(of_protocol), *_fusion_sentences(of_protocol, comparisons)]
        sentences += [*_leak_sentences(of_study, comparisons), *seed_sentences(of_study, comparisons)]
        if _both_tests(of_study, comparisons):
            sentences.append(TWO_TESTS)
        paragraphs.append(" ".join(sentences))
    if all(r.synthetic for r in results):
        paragraphs.append(
            f"All of this is {SYNTHETIC}: it shows that the software works, and nothing about real subjects."
        )
    elif any(r.synthetic for r in results):
        paragraphs.append(f"Some of these results are from {SYNTHETIC} and show nothing about real subjects.")
    return "\n\n".join(paragraphs)


def _both_tests(results: Sequence[Result], comparisons: Sequence[Comparison]) -> bool:
    """Whether a result is above chance, and a comparison of it is one that so few subjects cannot decide."""
    undecided = [c for c in comparisons if c.undecidable and any(c.a is r for r in results)]
    return any(r.scores.chance["window"].above for c in undecided for r in (c.a, c.b))


def _where(result: Result) -> str:
    within = ", within each subject" if result.key("scope") == "per-subject" else ""
    return f"{capital(result.target_name)} ({result.key('dataset')}{within}), protocol {result.key('protocol')}"


def _score_sentences(results: Sequence[Result]) -> Iterator[str]:
    """The headline score of each result of one protocol, and which of them are above chance."""
    ranked = by_score(results)
    yield from _ratings_sentences(ranked) if ranked[0].scores.task == "regression" else _classes_sentences(ranked)
    above = [r.label for r in ranked if r.scores.chance["window"].above]
    within = [r.label for r in ranked if not r.scores.chance["window"].above]
    if above:
        yield f"Above chance: {listed(above)}."
    if within:
        yield f"Within chance, so no evidence of learning: {listed(within)}."
    without_skill = [r for r in ranked if r.scores.chance["window"].above and r.scores.words_without_skill]
    if without_skill:
        labels = listed([r.label for r in without_skill])
        majority = f"Above chance but not above the majority class: {labels}."
        constant = (
            f"Above chance, yet with errors (RMSE) no smaller than those of always predicting the mean: {labels}."
        )
        yield majority if ranked[0].scores.main == "accuracy" else constant


def by_score(results: Sequence[Result]) -> list[Result]:
    """Return results by their headline score by window, the best first and undefined ones last."""
    scores = {id(r): r.scores.window[r.scores.main] for r in results}
    return sorted(results, key=lambda r: np.inf if np.isnan(scores[id(r)]) else -scores[id(r)])


def _score_list(results: Sequence[Result]) -> str:
    """Each result with its headline score by window: "facebio 61.3 % and face 58.0 %"."""
    words = words_of(results[0].scores)
    return listed([f"{r.label} {words.in_words(r.scores.window[words.score])}" for r in results])


def _classes_sentences(ranked: Sequence[Result]) -> Iterator[str]:
    words = words_of(ranked[0].scores)
    majorities = {words.value(r.scores.majority["window"]) for r in ranked}
    yield (
        f"{_where(ranked[0])}: {_score_list(ranked)} of windows correct; always predicting the majority "
        f"class gives {listed(majorities)} %."
    )


def _ratings_sentences(ranked: Sequence[Result]) -> Iterator[str]:
    """CCC and errors of numbers, whose unit a reader knows."""
    words = words_of(ranked[0].scores)
    upper = max((r.scores.chance["window"].upper for r in ranked), default=np.nan, key=np.nan_to_num)
    yield (
        f"{_where(ranked[0])}: the agreement of ratings and predictions (CCC; 1 is perfect) is {_score_list(ranked)}; "
        f"always predicting the mean gives 0, and chance goes up to {words.value(upper)}."
    )
    errors = listed([f"{r.label} {score_text(r.scores.window['rmse'], 'rmse')}" for r in ranked])
    constant = {score_text(r.scores.baseline["window"]["rmse"], "rmse") for r in ranked}
    yield f"The error (RMSE, in units of the rating) is {errors}; of always predicting the mean, {listed(constant)}."


def _fusion_sentences(results: Sequence[Result], comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Whether face and signals together score above the better of the two."""
    for fused in results:
        questions = [c for c in comparisons if c.kind == "fusion" and c.a is fused]
        if len(questions) < 2:  # without both parts there is nothing to say about fusion
            continue
        words = words_of(fused.scores)
        if any(np.isnan(_difference(c)) for c in questions):
            continue
        hardest = min(questions, key=_difference)
        difference = _difference(hardest)
        if abs(difference) < LAST_DIGIT / 2:
            least = words.with_difference_unit(f"{words.factor * LAST_DIGIT / 2:g}")
            yield f"{fused.label} is within {least} of the better of its parts, {hardest.b.label}."
            continue
        size = words.with_difference_unit(words.difference(abs(difference)).removeprefix("+"))
        how = f"{size} {'above' if difference > 0 else 'below'} the better of its parts, {hardest.b.label}"
        conclusion = f"so fusion did not improve {words.headline}" if difference < 0 else _significance(hardest)
        yield f"{fused.label} is {how}, {conclusion}."


def _difference(c: Comparison) -> float:
    """The difference of the headline scores by window."""
    main = c.a.scores.main
    return c.a.scores.window[main] - c.b.scores.window[main]


def _significance(c: Comparison) -> str:
    """What the test over subjects says of a difference, as the end of a sentence about it."""
    if c.undecidable:
        return f"which so few subjects cannot show to be significant (no p below {c.paired.smallest_p:.2g} is possible)"
    after = f"{p_value(c.p_holm)} after Holm"
    if c.p_holm <= 0.05:
        return f"a significant difference over subjects (p = {after})"
    return f"which is not significant over subjects (p = {p_value(c.paired.p)}, {after})"


def _leak_sentences(results: Sequence[Result], comparisons: Sequence[Comparison]) -> Iterator[str]:
    """How far the scores of the leaky protocol are from the honest ones, on the same windows."""
    leaky = [r for r in results if r.scores.leaky]
    if not leaky:
        return
    scores = _score_list(leaky)
    by_protocol: dict[str, list[Comparison]] = {}
    for c in comparisons:
        if c.kind == "leak" and any(c.a is r for r in leaky):
            by_protocol.setdefault(c.b.key("protocol"), []).append(c)
    gap = (
        _leak_gap(by_protocol, words_of(leaky[0].scores))
        if by_protocol
        else "and no honest protocol was run on the same windows to compare them with"
    )
    yield f"Under the LEAKY protocol window the scores are {scores}, {gap}."


def _leak_gap(by_protocol: dict[str, list[Comparison]], words: TaskWords) -> str:
    """How far the leaky scores are from those of each honest protocol, and where that is significant."""
    gaps = {name: [_difference(c) for c in of_protocol] for name, of_protocol in by_protocol.items()}
    sentence = listed([
        f"{words.with_difference_unit(_range(values, words))} against protocol {name}" for name, values in gaps.items()
    ])  # fmt: skip
    sentence += " on the same windows"
    significant = [name for name, of_protocol in by_protocol.items() if all(c.p_holm <= 0.05 for c in of_protocol)]
    if significant:
        where = "" if len(significant) == len(by_protocol) else f" against {listed(significant)}"
        p = p_value(max(c.p_holm for name in significant for c in by_protocol[name]))
        sentence += f": this is the effect of sharing trials between training and test{where} (p {_at_most(p)} after "
        sentence += "Holm, over subjects)"
    others = [name for name in by_protocol if name not in significant]
    if others:
        where = f" against {listed(others)}" if significant else ""
        of_others = [c for name in others for c in by_protocol[name]]
        if any(c.undecidable for c in of_others):
            sentence += f"; so few subjects cannot show that the difference{where} is significant"
        else:
            p = p_value(max(c.p_holm for c in of_others))
            sentence += f"; the difference{where} is not significant over subjects (p up to {p} after Holm)"
    return sentence


def _at_most(p: str) -> str:
    return p if p.startswith("<") else f"at most {p}"


def _range(values: Sequence[float], words: TaskWords) -> str:
    low, high = words.difference(min(values)), words.difference(max(values))
    return low if low == high else f"{low} to {high}"


def terminal_table(results: Sequence[Result], width: int) -> str:
    """Return the results as a table for a terminal, one for each headline score; width in columns."""
    by_main = {
        main: [r for r in results if r.scores.main == main] for main in dict.fromkeys(r.scores.main for r in results)
    }
    return "\n\n".join(_terminal_table(of_score, width) for of_score in by_main.values())


def _terminal_table(results: Sequence[Result], width: int) -> str:
    from rich.console import Console
    from rich.table import Table

    words = words_of(results[0].scores)
    baseline = "RMSE / constant mean" if words.baseline_is_zero else words.baseline
    table = Table(title=words.title + (f" ({SYNTHETIC})" if any(r.synthetic for r in results) else ""))
    for column in ("target", "system", "protocol"):
        table.add_column(column)
    for column in (*mean_sd_column(results), "mean of folds ± SD", baseline, f"chance {CHANCE_PERCENTILE} %"):
        table.add_column(column, justify="right")
    table.add_column("assessment")
    for r in results:
        s, target = r.scores, r.target_name.replace(" as a number from", ",")
        table.add_row(
            target, r.label, protocol_name(r), *mean_sd_cell(r, results), mean_sd(*s.over_folds()[:2], words.score),
            score_cell(s, "window", "rmse") if words.baseline_is_zero else words.value(s.majority["fold"]),
            words.value(s.chance["fold"].upper), s.assessment,
        )  # fmt: skip
    text = io.StringIO()
    Console(file=text, width=width).print(table)
    return text.getvalue().rstrip()

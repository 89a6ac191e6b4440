"""The report's tables of results: scores by window and by trial, comparisons, and the data behind them."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from ..evaluation.statistics import CHANCE_PERCENTILE
from ..text import listed
from .document import Block, Heading, Items, Table, Text
from .formatting import (
    BOOTSTRAP_COLUMN,
    NONE,
    bootstrap_name,
    folds_interval_name,
    interval,
    mean_sd,
    number,
    p_value,
    percent,
    protocol_name,
    study_heading,
    with_interval,
)
from .results import Comparison, Result
from .summary import TWO_TESTS


def score_blocks(results: Sequence[Result]) -> Iterator[Block]:
    """Yield the tables of the results of one study (dataset, target, scope): by window, and by trial and subject."""
    yield Heading(study_heading(results[0]), 3)
    leaky = frozenset(k for k, r in enumerate(results) if r.scores.leaky)
    first = "System and modality" if any(r.key("system") in r.label for r in results) else "Modality"
    yield Table(
        (first, "Protocol", "Assessment", f"Mean of folds ± SD [{folds_interval_name(results)}]", BOOTSTRAP_COLUMN,
         "Majority", f"Chance: mean / {CHANCE_PERCENTILE} %", "p", "Balanced", "Macro-F1", "AUC", "MCC",
         "Windows high / low"),
        [_window_row(r) for r in results],
        f"By window. Accuracies in %. All windows with their {bootstrap_name(results)}; chance permutes "
        "trial labels within each subject.",
        3, leaky,
    )  # fmt: skip
    yield Table(
        (first, "Protocol", "By trial [95 % bootstrap]", "Majority", f"Chance: mean / {CHANCE_PERCENTILE} %", "p",
         "Balanced", "Macro-F1", "AUC", "MCC", "Mean of subjects ± SD", "Their AUC", "Their MCC", "Undefined"),
        [_trial_row(r) for r in results],
        "By trial; and over subjects, by window, each subject with equal weight. Accuracies in %. Undefined: "
        "subjects with one class, whose AUC and MCC are not defined.",
        2, leaky,
    )  # fmt: skip


def _window_row(r: Result) -> list[str]:
    s = r.scores
    chance = s.chance["window"]
    high = s.counts["high_windows"]
    return [
        r.label, protocol_name(r), s.assessment, f"{mean_sd(*s.over_folds()[:2])} {interval(s.folds_interval())}",
        with_interval(s.window["accuracy"], s.window_interval["accuracy"]), percent(s.majority["window"]),
        f"{percent(chance.mean)} / {percent(chance.upper)}", p_value(chance.p),
        *(number(s.window[name]) for name in ("balanced_accuracy", "macro_f1", "auc", "mcc")),
        f"{high:,} / {s.counts['windows'] - high:,}",
    ]  # fmt: skip


def _trial_row(r: Result) -> list[str]:
    s = r.scores
    chance = s.chance["trial"]
    return [
        r.label, protocol_name(r), with_interval(s.trial["accuracy"], s.trial_interval["accuracy"]),
        percent(s.majority["trial"]), f"{percent(chance.mean)} / {percent(chance.upper)}", p_value(chance.p),
        *(number(s.trial[name]) for name in ("balanced_accuracy", "macro_f1", "auc", "mcc")),
        mean_sd(*s.over_subjects()[:2]),
        *(f"{number(over.mean)} ± {number(over.sd)}" for over in (s.over_subjects("auc"), s.over_subjects("mcc"))),
        f"{s.over_subjects('auc').undefined} of {s.counts['subjects']}",
    ]  # fmt: skip


def comparison_blocks(comparisons: Sequence[Comparison], refused: Sequence[str]) -> Iterator[Block]:
    """Yield a table of answers for each study, and which pairs were not compared and why."""
    if not comparisons and not refused:
        return
    yield Heading("Comparison on the same rows")
    if comparisons:
        yield Text(
            "Each question was fixed before looking, and is about the accuracy by window of each subject "
            "(Wilcoxon signed-rank, Holm over the questions of a table, those about the leak apart). “Too few "
            "subjects to tell” means that no data of so few subjects that differ could have given p below 0.05. "
            f"Results of the LEAKY protocol are not compared with each other. {TWO_TESTS}"
        )
    for _, group in groupby(comparisons, key=lambda c: c.a.study):
        questions = list(group)
        yield Table(
            ("Question", "Answer", "Difference, points", "Subjects that differ", "p", "p after Holm",
             "Smallest p possible"),
            [
                [c.question, c.conclusion, f"{100 * c.paired.difference:+.1f}", str(c.paired.n), p_value(c.paired.p),
                 p_value(c.p_holm), f"{c.paired.smallest_p:.2g}"]
                for c in questions
            ],
            study_heading(questions[0].a),
            2, frozenset(k for k, c in enumerate(questions) if c.a.scores.leaky),
        )  # fmt: skip
    if refused:
        yield Items(refused)


def data_blocks(results: Sequence[Result]) -> Iterator[Block]:
    """Yield the counts of data and classes of every result, what was left out, and warnings about the data."""
    yield Heading("Data, classes and what was left out")
    runs = list({r.run.folder: r.run for r in results}.values())
    rows = []
    for r in results:
        counts, shares = r.scores.counts, r.scores.folds["high_windows"] / r.scores.folds["windows"]
        rows.append([
            r.run.name, r.key("target"), protocol_name(r),
            str(r.run.data.get("labels", r.run.config.get("rule", NONE))),
            f"{counts['folds']}", f"{counts['subjects']:,}", f"{counts['trials']:,}", f"{counts['windows']:,}",
            f"{counts['high_trials']:,} / {counts['trials'] - counts['high_trials']:,}",
            percent(counts["high_windows"] / counts["windows"]),
            f"{percent(shares.min())} to {percent(shares.max())}",
        ])  # fmt: skip
    yield Table(
        ("Run", "Target", "Protocol", "What is high", "Folds", "Subjects", "Trials", "Windows tested",
         "Trials high / low", "High windows, %", "High in folds, %"),
        rows,
        text_columns=4,
        leaky_rows=frozenset(k for k, r in enumerate(results) if r.scores.leaky),
    )  # fmt: skip
    left_out = {run.name: {k: n for k, n in (run.data.get("excluded") or {}).items() if n} for run in runs}
    if len(runs) > 1 and len({str(reasons) for reasons in left_out.values()}) == 1:
        left_out = {"all": left_out[runs[0].name]}
    excluded = [[name, str(why), f"{n:,}"] for name, reasons in left_out.items() for why, n in reasons.items()]
    if excluded:
        yield Table(("Run", "Left out because", "Windows"), excluded, text_columns=2)
    else:
        yield Text("No window of the store was left out.")
    warnings = {run.name: run.environment.get("findings") or [] for run in runs}
    if any(warnings.values()):
        yield Text("Warnings about the data and the folds:")
        texts = list(dict.fromkeys(str(text) for of_run in warnings.values() for text in of_run))
        by_run = {text: [name for name, of_run in warnings.items() if text in of_run] for text in texts}
        yield Items(
            [f"{text} ({listed(names) if len(names) < len(runs) else 'all runs'})" for text, names in by_run.items()]
        )

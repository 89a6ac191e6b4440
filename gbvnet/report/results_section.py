"""The report's tables of results: scores by window and by trial, comparisons, and the data behind them."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from ..evaluation.statistics import CHANCE_PERCENTILE
from ..evaluation.targets import scale_in_words
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
    protocol_name,
    study_heading,
    with_interval,
)
from .label_tables import classes_in_words, label_tables
from .results import Comparison, Result, Run
from .seed_section import difference_cells, difference_columns, mean_note, sd_cell, sd_column
from .summary import TWO_TESTS
from .task_words import COLUMNS, TaskWords, score_cell, words_of

SD_OF_BOTH = "SD over seeds: mean of folds / all windows"
CHANCE_COLUMN = f"Chance: mean / {CHANCE_PERCENTILE} %"
MOST_COUNTS = 12  # numbers of windows of single classes in a cell


def score_blocks(results: Sequence[Result]) -> Iterator[Block]:
    """Yield the tables of the results of one section: by window, and by trial and subject."""
    words = words_of(results[0].scores)
    yield Heading(study_heading(results[0]), 3)
    leaky = frozenset(k for k, r in enumerate(results) if r.scores.leaky)
    first = "System and modality" if any(r.key("system") in r.label for r in results) else "Modality"
    majority = [] if words.baseline_is_zero else [words.baseline_column]
    beside = [COLUMNS[name] for name in words.beside]
    yield Table(
        (first, "Protocol", "Assessment", f"Mean of folds ± SD [{folds_interval_name(results)}]", BOOTSTRAP_COLUMN,
         *sd_column(results, SD_OF_BOTH), *majority, CHANCE_COLUMN, "p", *beside, *_last_column(results)),
        [_window_row(r, words, results) for r in results],
        _window_caption(results),
        3, leaky,
    )  # fmt: skip
    yield Table(
        (first, "Protocol", "By trial [95 % bootstrap]", *sd_column(results), *majority, CHANCE_COLUMN, "p", *beside,
         "Mean of subjects ± SD", *(f"Their {COLUMNS[name]}" for name in words.of_subjects), "Undefined"),
        [_trial_row(r, words, results) for r in results],
        _trial_caption(results),
        2, leaky,
    )  # fmt: skip


def _last_column(results: Sequence[Result]) -> list[str]:
    """The title of the column in which `_last_cell` stands; none if it would be empty."""
    task = results[0].scores.task
    if task == "regression":
        return ["CCC, mean of recordings"] if _changes_within_recordings(results) else []
    return ["Windows high / low" if task == "binary" else "Windows of each class"]


def _changes_within_recordings(results: Sequence[Result]) -> bool:
    """Whether any recording has labels that differ, so that a CCC within it is defined."""
    return any(r.scores.counts["recordings_constant"] < r.scores.counts["recordings"] for r in results)


def _last_cell(r: Result) -> str:
    """The numbers of windows of each class; of numbers the CCC within recordings, and of how many it is undefined."""
    s = r.scores
    if s.task == "regression":
        undefined = f"{s.counts['recordings_constant']:,} of {s.counts['recordings']:,} undefined"
        return f"{score_cell(s, 'window', 'ccc_recordings')} ({undefined})"
    if s.task == "binary":
        high = s.counts["high_windows"]
        return f"{high:,} / {s.counts['windows'] - high:,}"
    counts = [s.counts[f"class_{k}"] for k in range(len(s.classes))]
    if len(counts) > MOST_COUNTS:
        return f"{min(counts):,} to {max(counts):,}"
    return " / ".join(f"{n:,}" for n in counts)


def _window_row(r: Result, words: TaskWords, section: Sequence[Result]) -> list[str]:
    s, main = r.scores, words.score
    chance = s.chance["window"]
    return [
        r.label, protocol_name(r), s.assessment,
        f"{mean_sd(*s.over_folds()[:2], main)} {interval(s.folds_interval(), main)}",
        with_interval(s.window[main], s.window_interval[main], main), *sd_cell(r, section, ("fold", "window")),
        *([] if words.baseline_is_zero else [words.value(s.majority["window"])]),
        f"{words.value(chance.mean)} / {words.value(chance.upper)}", p_value(chance.p),
        *(score_cell(s, "window", name) for name in words.beside),
        *([_last_cell(r)] if _last_column(section) else []),
    ]  # fmt: skip


def _trial_row(r: Result, words: TaskWords, section: Sequence[Result]) -> list[str]:
    s, main = r.scores, words.score
    chance = s.chance["trial"]
    return [
        r.label, protocol_name(r), with_interval(s.trial[main], s.trial_interval[main], main),
        *sd_cell(r, section, ("trial",)),
        *([] if words.baseline_is_zero else [words.value(s.majority["trial"])]),
        f"{words.value(chance.mean)} / {words.value(chance.upper)}", p_value(chance.p),
        *(score_cell(s, "trial", name) for name in words.beside),
        mean_sd(*s.over_subjects()[:2], main),
        *(mean_sd(*s.over_subjects(name)[:2], name) for name in words.of_subjects),
        f"{s.over_subjects(words.undefined).undefined} of {s.counts['subjects']}",
    ]  # fmt: skip


def _window_caption(results: Sequence[Result]) -> str:
    """What the table by window shows, in which units, and what was permuted."""
    first, bootstrap = results[0].scores, bootstrap_name(results)
    permuted = listed({r.scores.chance_words for r in results})
    if first.task == "regression":
        one_rating = " Each recording has one rating, so that no CCC within a recording is defined."
        return (
            f"By window. All windows: CCC with its {bootstrap}. RMSE and MAE are in units of the "
            f"rating{_on_scale(results[0])}, each beside that of always predicting the mean of the fold's training "
            f"windows, whose CCC is 0. For chance, {_are_permuted(permuted)}."
            + ("" if _changes_within_recordings(results) else one_rating)
            + mean_note(results)
        )
    classes = f" Classes in this order: {classes_in_words(first.classes)}." if first.task == "multiclass" else ""
    first_part = f"By window. Accuracies in %. All windows with their {bootstrap}; chance permutes {permuted}."
    return first_part + classes + mean_note(results)


def _are_permuted(what: str) -> str:
    """What was permuted as a clause: labels are permuted; of courses the words have their own verbs."""
    return f"{what} are permuted" if what.startswith("trial labels") else what.replace("labels ", "labels are ", 1)


def _on_scale(result: Result) -> str:
    return "" if result.scale is None else f", {scale_in_words(result.scale)}"


def _trial_caption(results: Sequence[Result]) -> str:
    """What the table by trial shows, and which subjects are counted as undefined."""
    trial = "By trial; and over subjects, by window, each subject with equal weight."
    return {
        "binary": f"{trial} Accuracies in %. Undefined: subjects with one class, whose AUC and MCC are not defined.",
        "multiclass": f"{trial} Accuracies in %. Undefined: subjects with one class, whose kappa and AUC are not "
        "defined.",
        "regression": f"{trial} A trial's rating and prediction are the means of its windows'. Undefined: "
        "subjects whose ratings are all equal, so that CCC and Pearson r are not defined.",
    }[results[0].scores.task]


def comparison_blocks(comparisons: Sequence[Comparison], refused: Sequence[str]) -> Iterator[Block]:
    """Yield a table of answers for each study, and which pairs were not compared and why."""
    if not comparisons and not refused:
        return
    yield Heading("Comparison on the same rows")
    if comparisons:
        headlines = " or ".join(dict.fromkeys(words_of(c.a.scores).headline for c in comparisons))
        yield Text(
            f"Each question was fixed before looking, and is about the {headlines} by window of each subject "
            "(Wilcoxon signed-rank, Holm over the questions of a table, those about the leak apart). “Too few "
            "subjects to tell” means that no data of so few subjects that differ could have given p below 0.05. "
            f"Results of the LEAKY protocol are not compared with each other. {TWO_TESTS}"
        )
    for _, group in groupby(comparisons, key=lambda c: c.a.section):
        questions = list(group)
        words = words_of(questions[0].a.scores)
        of_seeds = difference_columns(questions)
        yield Table(
            ("Question", "Answer", f"Difference, {words.difference_unit}", "Subjects that differ", "p", "p after Holm",
             "Smallest p possible", *of_seeds),
            [
                [c.question, c.conclusion, words.difference(c.paired.difference), str(c.paired.n),
                 p_value(c.paired.p), p_value(c.p_holm), f"{c.paired.smallest_p:.2g}",
                 *difference_cells(c.seeds, words, of_seeds)]
                for c in questions
            ],
            study_heading(questions[0].a),
            2, frozenset(k for k, c in enumerate(questions) if c.a.scores.leaky),
        )  # fmt: skip
        yield from _left_out_blocks(questions)
    if refused:
        yield Items(refused)


def _left_out_blocks(questions: Sequence[Comparison]) -> Iterator[Block]:
    """How many subjects a test of numbers is without, as their CCC is not defined."""
    counts = {c.question: f"{c.left_out} of {c.a.scores.counts['subjects']}" for c in questions if c.left_out}
    if not counts:
        return
    everywhere = len(counts) == len(questions) and len(set(counts.values())) == 1
    where = [f"{question} {count}" for question, count in counts.items()]
    yield Text(
        "Subjects whose CCC is not defined, as all their ratings are equal, are left out of these tests: "
        + (f"{next(iter(counts.values()))} in each." if everywhere else f"{'; '.join(where)}."),
        "note",
    )


def _agreement_blocks(runs: Sequence[Run]) -> Iterator[Block]:
    """Yield how far targets agree with other labels of the same thing, and the lags of labels that change in time."""
    each = [
        (str(run.table["dataset"].iloc[0]), one.get("rule", run.config.get("rule")), one)
        for run in runs
        for one in run.data.get("agreement") or []
    ]
    distinct = {repr((dataset, rule, sorted(one.items()))): (dataset, rule, one) for dataset, rule, one in each}
    for dataset, rule, one in distinct.values():
        value = NONE if one.get("value") is None else number(float(one["value"]))
        by_rule = f", rule {rule}" if rule else ""
        yield Text(
            f"Two labels of one thing in {dataset}: {one.get('target')} ({' and '.join(one.get('label_sets') or [])}"
            f"{by_rule}) agrees with {one.get('other')} by {one.get('score')} {value}, over {one.get('n'):,} "
            f"{one.get('unit')}. A model that agrees with its target as well as that is as good as the other label."
        )
    for run in runs:
        lags = run.data.get("lags_s") or {}
        if lags:
            by_fold = ", ".join(f"{float(lag_s):g} s in fold {fold}" for fold, lag_s in lags.items())
            yield Text(f"Lag of the labels in `{run.name}`, found in each fold by its training side alone: {by_fold}.")


def data_blocks(results: Sequence[Result]) -> Iterator[Block]:
    """Yield the counts of data and classes of every result, what was left out, and warnings about the data."""
    yield Heading("Data, classes and what was left out")
    runs = list({r.run.folder: r.run for r in results if r.run.outside is None}.values())
    yield from label_tables(results)
    yield from _agreement_blocks(runs)
    left_out = {run.name: {k: n for k, n in (run.data.get("excluded") or {}).items() if n} for run in runs}
    if len(runs) > 1 and len({str(reasons) for reasons in left_out.values()}) == 1:
        left_out = {"all": left_out[runs[0].name]}
    excluded = [[name, str(why), f"{n:,}"] for name, reasons in left_out.items() for why, n in reasons.items()]
    if excluded:
        yield Table(("Run", "Left out because", "Windows"), excluded, text_columns=2)
    elif runs:
        yield Text("No window of the store was left out.")
    warnings = {run.name: run.environment.get("findings") or [] for run in runs}
    if any(warnings.values()):
        yield Text("Warnings about the data and the folds:")
        texts = list(dict.fromkeys(str(text) for of_run in warnings.values() for text in of_run))
        by_run = {text: [name for name, of_run in warnings.items() if text in of_run] for text in texts}
        yield Items(
            [f"{text} ({listed(names) if len(names) < len(runs) else 'all runs'})" for text, names in by_run.items()]
        )

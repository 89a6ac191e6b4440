"""One report from run folders: report.html (self-contained), report.md, tables/*.csv, figures/*.png.

Every number comes from the runs' predictions tables. Whatever leaks or is synthetic says so in each table, figure and
sentence that shows it; results that do not share their rows are shown beside each other, and never compared.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from ..config import flatten
from ..errors import BadInput, GbvnetError
from ..evaluation.statistics import CHANCE_PERCENTILE, N_PERMUTATIONS, N_RESAMPLES
from ..io.atomic import atomic_folder, atomic_write, remove_stale_temp_files
from ..provenance import LEAKY, SYNTHETIC, is_leaky
from ..text import listed
from . import audit_section as leakage
from . import explanation_section as explained
from . import figures, summary
from .audit_section import Audit, is_audit, read_audit
from .document import Block, Heading, Items, Table, Terms, Text, html, markdown
from .figures import picture
from .published_results import PAPER_ABLATION, PAPER_OTHERS
from .results import Comparison, Result, Run, compare, read_history, read_results
from .summary import (
    BOOTSTRAP_COLUMN,
    NONE,
    interval,
    mean_sd,
    number,
    p_value,
    panel,
    percent,
    protocol,
    tables,
    with_interval,
)

log = logging.getLogger(__name__)

CONTENTS = {"report.html", "report.md", "tables", "figures"}  # what a report folder holds, and nothing else

GLOSSARY = (
    ("window (LEAKY)", "Windows are dealt to folds at random, as the paper does. Seconds of one trial look alike "
     "and share one rating, so a model that recognises the trial is right without reading any emotion. Shown only "
     "to compare with papers that do so."),
    ("trial", "No trial is on both sides; other trials of the same person are. Asks: does it work on a new moment "
     "of a known person?"),
    ("stimulus", "No stimulus (film clip) is on both sides. Asks: does it work on a clip nobody was trained on?"),
    ("subject", "No person is on both sides, though the clips are shared, and clips predict ratings. Asks: does it "
     "work on a new person?"),
    ("subject+stimulus", "Neither person nor clip is on both sides: the hardest question."),
    ("scope", "pooled: all people together. per-subject: a cross-validation within each person."),
    ("accuracy, mean of folds", "The paper's score (Eq. 7): accuracy of each test fold by window, averaged with "
     "equal weight; ± is the standard deviation between folds, no error of the mean."),
    ("accuracy, all windows", "All tested windows of all folds together."),
    ("by trial", "A trial's windows vote: the mean logit within a fold decides. Under protocol window, a trial is in "
     "several folds and votes in each."),
    ("95 % corrected t over folds", "The interval of the mean of folds where all subjects share one cross-validation "
     "(scope pooled): Student's t over the folds with Nadeau and Bengio's correction (2003) for training sets that "
     "overlap. It says how much the mean could move with other training and test sets of the same kind."),
    ("95 % t over subjects", "The interval of the mean of folds where each subject has a cross-validation of their own "
     "(scope per-subject): Student's t over the subjects' means, as folds of one subject are not independent. It says "
     "what to expect of the mean over other subjects. Both t intervals are cut off at 0 and 100 %, outside of which no "
     "accuracy lies."),
    ("95 % bootstrap over subjects", f"The interval of the score of all windows, or of all trials: whole subjects are "
     f"drawn with replacement {N_RESAMPLES:,} times, and the limits are the 2.5 % and 97.5 % points of the scores. It "
     "says what to expect of other subjects; of few subjects it is too narrow."),
    ("95 % bootstrap over trials", "The same with whole trials, where there are fewer than five subjects. It says "
     "nothing about other subjects."),
    ("majority", "Accuracy of always guessing the commoner class of the training fold. It needs no input at all. It "
     "can be below one half: what a test fold has more of, its training fold has less of."),
    ("chance", f"Trial labels are shuffled within each person {N_PERMUTATIONS:,} times against the same predictions, "
     "without training again. Above chance means above the "
     f"{CHANCE_PERCENTILE} % point of the shuffled scores, which is no limit of an interval; p is the share of "
     "shuffles at least as good, and never below "
     f"{1 / (N_PERMUTATIONS + 1):.4f}. A model that only knows who is who, and how often each person rates high, stays "
     "within chance."),
    ("balanced accuracy, macro-F1", "Means over high and low with equal weight; 0.5 and below is what a constant "
     "guess gets."),
    ("AUC", "How often a window rated high gets a larger probability than one rated low; 0.5 is chance. Never "
     "averaged over folds, whose probabilities are few."),
    ("MCC", "Correlation of label and prediction, -1 to 1; 0 is chance."),
    ("Wilcoxon, Holm, smallest p", "Signed-rank test over subjects, adjusted for the number of questions on the same "
     "target. With n subjects that differ no data can give p below 1/2^n (2/2^n where the question has no "
     "direction): with few subjects nothing can be concluded, however large the difference. " + summary.TWO_TESTS),
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """A written report: where, what was found, and which runs could not be used (then exit with 1)."""

    path: Path  # of report.html
    found: str  # what was found, in words
    results: list[Result]
    problems: list[GbvnetError]


More = Callable[[list[Result], Path], Iterator[Block]]  # from the results and the report's folder


def write_report(
    runs: Sequence[Path | Audit],
    destination: Path,
    more: More | None = None,
    brief: bool = False,
    told_of: Sequence[str] = ("gbvnet",),
) -> Report:
    """Score runs and write a report folder, whole or not at all; an earlier report there is replaced.

    runs : run folders, and audits (read, or their folders), whose ladders are then among the runs.
    more : further sections, shown before the results; draws its pictures into the folder it is given.
    brief : for many runs: what was found is told of a few systems alone; without the pictures of each run, the
        published figures, and questions that were not fixed before
    told_of : these systems, in a brief report

    Runs that cannot be used are named in the report and in `problems`. Raises BadRun if none can be used, and BadInput
    if `destination` is a folder that holds something else.
    """
    destination = Path(destination).absolute()
    _check_destination(destination)
    folders = [run for run in runs if not isinstance(run, Audit)]
    audits = [run for run in runs if isinstance(run, Audit)] + [read_audit(f) for f in folders if is_audit(f)]
    ladders = [result for audit in audits for result in audit.ladder.values()]
    results, problems = read_results([folder for folder in folders if not is_audit(folder)], ladders)
    comparisons, refused = compare(results, fixed_only=brief)
    said = summary.found(_gist(results, told_of, whole=True) if brief else results, comparisons)
    with _temporary_folder(destination) as part:
        for name, table in tables(results, comparisons).items():
            table.to_csv(part / "tables" / f"{name}.csv", index=False)
        added = [b for k, audit in enumerate(audits, 1) for b in leakage.blocks(audit, part, f"audit{k}")]
        added += more(results, part) if more else []
        blocks = list(_blocks(results, said, (comparisons, refused), problems, added, part, told_of if brief else None))
        atomic_write(part / "report.md", markdown(blocks).encode())
        atomic_write(part / "report.html", html(blocks, part).encode())
    return Report(destination / "report.html", said, results, problems)


def found(runs: Sequence[Path]) -> str:
    """What run folders say, in plain language. After `write_report`, `Report.found` has it without scoring again."""
    return summary.found(read_results(runs)[0])


def summary_text(runs: Sequence[Path], width: int = 100) -> str:
    """The results of run folders as a table of so many columns for a terminal."""
    return summary.terminal_text(read_results(runs)[0], width)


def _check_destination(destination: Path) -> None:
    if not destination.exists():
        return
    others = sorted(p.name for p in destination.iterdir() if p.name not in CONTENTS) if destination.is_dir() else []
    if others or not destination.is_dir():
        what = f"a folder with {', '.join(others[:3])} in it" if others else "a file"
        raise BadInput(destination, "a new folder or an earlier report", what, "Give another folder for the report.")


@contextmanager
def _temporary_folder(destination: Path) -> Iterator[Path]:
    """Give a temporary folder to write the report into, which replaces `destination` when it is complete."""
    remove_stale_temp_files(destination.parent, destination.name)
    with atomic_folder(destination) as temporary:
        for folder in ("tables", "figures"):
            (temporary / folder).mkdir()
        yield temporary


# --- the page ---


def _blocks(
    results: Sequence[Result],
    said: str,
    compared: tuple[Sequence[Comparison], Sequence[str]],
    problems: Sequence[GbvnetError],
    added: Sequence[Block],
    folder: Path,
    told_of: Sequence[str] | None,
) -> Iterator[Block]:
    """The page from top to bottom; pictures are drawn into folder/figures on the way.

    told_of : the systems that a brief report tells of; None for one that is not brief
    """
    brief = told_of is not None
    yield Heading("Emotion recognition: results of cross-validation", 1)
    stamps = [stamp for stamp in (LEAKY, SYNTHETIC) if any(stamp in r.scores.stamps for r in results)]
    if SYNTHETIC in stamps:
        which = "All results" if all(r.synthetic for r in results) else "Some results"
        yield Text(
            f"{which} below are from {SYNTHETIC}, written by `gbvnet synth`. They say nothing about people.", "warning"
        )
    if LEAKY in stamps:
        yield Text(
            f"Rows and figures marked {LEAKY}. They are here to compare with papers, and measure no skill.", "warning"
        )
    for problem in problems:
        yield Text(f"Left out: {problem}", "warning")
    yield Heading("What was found")
    for paragraph in said.split("\n\n"):
        yield Text(paragraph, "lead")
    shown = results if told_of is None else _gist(results, told_of)
    entries = [(panel(r), f"{protocol(r, leaky=False)} · {r.label}", r.scores) for r in shown]
    yield picture(
        figures.overview(entries, stamps), folder, "overview", "Accuracy of every result beside majority and chance",
        "How to read it: a bar says something only where it passes both the black mark (always guessing the "
        "commoner class) and the triangle (97.5 % of shuffles); hatched bars are LEAKY, and no comparison for the "
        "others.",
    )  # fmt: skip
    yield from added
    yield Heading("Results")
    for _, group in groupby(results, key=lambda r: r.study):
        yield from _results_tables(list(group))
    yield from _comparison_blocks(*compared)
    if not brief:
        yield from _published_blocks(results)
    yield from _data_blocks(results)
    if brief:
        yield Text("For the pictures of single runs give them to `gbvnet report RUN ... REPORT`.")
    else:
        yield Heading("Each run")
        for place, result in enumerate(results, 1):
            yield from _result_blocks(result, f"{place:02d}", folder)
    yield from _making_blocks(list({r.run.folder: r.run for r in results}.values()))
    yield Heading("What the words mean")
    yield Terms(GLOSSARY)


def _gist(results: Sequence[Result], systems: Sequence[str], whole: bool = False) -> Sequence[Result]:
    """What a brief report tells of: of GBV-Net with face, signals or both (or, `whole`, with both alone); of other
    systems all; over all people together, where there is such a result. All results, if there are none of these."""
    seen = ("facebio",) if whole else ("facebio", "face", "bio")
    own = [
        r for r in results if r.key("system") in systems and (r.key("system") != "gbvnet" or r.key("modality") in seen)
    ]
    return [r for r in own if r.key("scope") == "pooled"] or own or results


def _results_tables(results: Sequence[Result]) -> Iterator[Block]:
    dataset, target, scope = results[0].study
    yield Heading(f"{target.capitalize()}, {dataset}" + (", within each person" if scope == "per-subject" else ""), 3)
    leaky = frozenset(k for k, r in enumerate(results) if r.scores.leaky)
    first = "System and modality" if any(r.key("system") in r.label for r in results) else "Modality"
    yield Table(
        (first, "Protocol", "Verdict", f"Mean of folds ± SD [{summary.of_folds(results)}]", BOOTSTRAP_COLUMN,
         "Majority", f"Chance: mean / {CHANCE_PERCENTILE} %", "p", "Balanced", "Macro-F1", "AUC", "MCC",
         "Windows high / low"),
        [_window_row(r) for r in results],
        f"By window. Accuracies in %. All windows with their {summary.bootstrap(results)}; chance shuffles trial "
        "labels within each person.",
        3, leaky,
    )  # fmt: skip
    yield Table(
        (first, "Protocol", "By trial [95 % bootstrap]", "Majority", f"Chance: mean / {CHANCE_PERCENTILE} %", "p",
         "Balanced", "Macro-F1", "AUC", "MCC", "Mean of subjects ± SD", "Their AUC", "Their MCC", "Undefined"),
        [_trial_row(r) for r in results],
        "By trial; and over subjects, by window, each person with equal weight. Accuracies in %. Undefined: "
        "subjects with one class, who have no AUC and MCC.",
        2, leaky,
    )  # fmt: skip


def _window_row(r: Result) -> list[str]:
    s = r.scores
    chance = s.chance["window"]
    high = s.counts["high_windows"]
    return [
        r.label, protocol(r), s.assessment, f"{mean_sd(*s.over_folds()[:2])} {interval(s.folds_interval())}",
        with_interval(s.window["accuracy"], s.window_interval["accuracy"]), percent(s.majority["window"]),
        f"{percent(chance.mean)} / {percent(chance.upper)}", p_value(chance.p),
        *(number(s.window[name]) for name in ("balanced_accuracy", "macro_f1", "auc", "mcc")),
        f"{high:,} / {s.counts['windows'] - high:,}",
    ]  # fmt: skip


def _trial_row(r: Result) -> list[str]:
    s = r.scores
    chance = s.chance["trial"]
    return [
        r.label, protocol(r), with_interval(s.trial["accuracy"], s.trial_interval["accuracy"]),
        percent(s.majority["trial"]), f"{percent(chance.mean)} / {percent(chance.upper)}", p_value(chance.p),
        *(number(s.trial[name]) for name in ("balanced_accuracy", "macro_f1", "auc", "mcc")),
        mean_sd(*s.over_subjects()[:2]),
        *(f"{number(over.mean)} ± {number(over.sd)}" for over in (s.over_subjects("auc"), s.over_subjects("mcc"))),
        f"{s.over_subjects('auc').undefined} of {s.counts['subjects']}",
    ]  # fmt: skip


def _comparison_blocks(comparisons: Sequence[Comparison], refused: Sequence[str]) -> Iterator[Block]:
    if not comparisons and not refused:
        return
    yield Heading("Comparison on the same rows")
    if comparisons:
        yield Text(
            "Each question was fixed before looking, and is asked of the accuracy by window of each subject "
            "(Wilcoxon signed-rank, Holm over the questions of a table, those about the leak apart). “Too few "
            "subjects to tell” means that no data of so few subjects that differ could have given p below 0.05. "
            f"Results of the LEAKY protocol are not compared with each other. {summary.TWO_TESTS}"
        )
    for study, group in groupby(comparisons, key=lambda c: c.a.study):
        asked = list(group)
        yield Table(
            ("Question", "Answer", "Difference, points", "Subjects that differ", "p", "p after Holm",
             "Smallest p possible"),
            [
                [c.question, c.conclusion, f"{100 * c.paired.difference:+.1f}", str(c.paired.n), p_value(c.paired.p),
                 p_value(c.p_holm), f"{c.paired.smallest_p:.2g}"]
                for c in asked
            ],
            f"{study[1].capitalize()}, {study[0]}" + (", within each person" if study[2] == "per-subject" else ""),
            2, frozenset(k for k, c in enumerate(asked) if c.a.scores.leaky),
        )  # fmt: skip
    if refused:
        yield Items(refused)


def _published_blocks(results: Sequence[Result]) -> Iterator[Block]:
    """The paper's figures for the datasets and modalities at hand, kept apart from ours."""
    targets = [t for t in ("valence", "arousal") if any(r.key("target") == t for r in results)]
    shown = {(r.key("dataset").removesuffix(f" ({SYNTHETIC})"), r.key("modality")) for r in results}
    rows: list[tuple[str, str, str, tuple[float, float]]] = []
    for dataset, modality in [key for key in PAPER_ABLATION if key in shown]:
        rows.append((f"GBV-Net, {modality}", "Table 4", dataset, PAPER_ABLATION[dataset, modality]))
    for dataset in [name for name in PAPER_OTHERS if (name, "facebio") in shown]:
        rows += [(who, "Table 3, cited there", dataset, values) for who, values in PAPER_OTHERS[dataset].items()]
    if not rows or not targets:
        return
    yield Heading("As published, other protocol")
    if any(r.synthetic for r in results):
        yield Text(
            f"Results above are from {SYNTHETIC}: nothing in this table can be compared with them. It is here so that "
            "the layout of a real report can be seen.", "warning",
        )  # fmt: skip
    yield Text(
        "Accuracy in % as printed in Yu et al. 2025 (doi:10.3390/s25206397). The paper deals data to ten folds at "
        "random, gives no threshold for high and no class counts, and its figures plot the test folds as "
        "validation; the works it cites each have a protocol of their own. None of these numbers belongs beside an "
        "honest protocol; the LEAKY protocol window comes nearest."
    )
    yield Table(
        ("Source", "Where in the paper", "Dataset", *(t.capitalize() for t in targets)),
        [[*row[:3], *(f"{row[3][('valence', 'arousal').index(t)]:.2f}" for t in targets)] for row in rows],
        "As published, other protocol.",
        3,
    )


def _data_blocks(results: Sequence[Result]) -> Iterator[Block]:
    yield Heading("Data, classes and what was left out")
    runs = list({r.run.folder: r.run for r in results}.values())
    rows = []
    for r in results:
        counts, shares = r.scores.counts, r.scores.folds["high_windows"] / r.scores.folds["windows"]
        rows.append([
            r.run.name, r.key("target"), protocol(r),
            str(r.run.data.get("labels", r.run.config.get("threshold", NONE))),
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
    findings = {run.name: run.environment.get("findings") or [] for run in runs}
    if any(findings.values()):
        yield Text("Warnings about the data and the folds:")
        told = list(dict.fromkeys(str(finding) for of_run in findings.values() for finding in of_run))
        by_run = {what: [name for name, of_run in findings.items() if what in of_run] for what in told}
        yield Items(
            [f"{what} ({listed(names) if len(names) < len(runs) else 'all runs'})" for what, names in by_run.items()]
        )


def _result_blocks(result: Result, name: str, folder: Path) -> Iterator[Block]:
    scores = result.scores
    yield Heading(result.title + (" LEAKY" if scores.leaky else ""), 3)
    yield Text(
        f"Run `{result.run.name}`. {' · '.join(scores.stamps) + '. ' if scores.stamps else ''}Verdict: "
        f"{scores.assessment}. Accuracy, mean of {scores.counts['folds']} folds: "
        f"{mean_sd(*scores.over_folds()[:2])} %; majority {percent(scores.majority['fold'])} %, chance up to "
        f"{percent(scores.chance['fold'].upper)} % (both as means of folds)."
    )
    if scores.warnings:
        yield Items(scores.warnings)
    title, stamps = result.title, scores.stamps
    name = f"{name}_{result.run.name.replace('/', '_')}_{result.key('target')}"
    yield picture(
        figures.confusion(result.table, title, stamps), folder, f"{name}_confusion", f"Confusion matrices, {title}",
        "How to read it: each row is what people rated, and adds to 100 %; two dark cells on the falling diagonal "
        "are good, one dark column means that one class is nearly always guessed.",
    )  # fmt: skip
    yield picture(
        figures.subjects(scores, title, stamps), folder, f"{name}_subjects", f"Accuracy of each subject, {title}",
        "How to read it: a person counts as understood only where the bar passes both their own majority mark and "
        "their own triangle; with few trials a person the triangle is high.",
    )  # fmt: skip
    try:
        history = read_history(result.run, result.key("target"))
    except GbvnetError as problem:
        yield Text(f"No learning curves: {problem}", "warning")
        history = None
    if history is not None:
        on_test = (result.run.config.get("train") or {}).get("select") == "test"
        yield picture(
            figures.learning_curves(history, title, stamps, "the tested windows" if on_test else "validation"),
            folder, f"{name}_learning", f"Learning curves, {title}",
            "How to read it: lines are means over the folds that still train at that epoch, bands one standard "
            "deviation; where validation turns away from training the network begins to learn its training set by "
            "heart. " + ("The epoch is chosen on the tested windows." if on_test else "Test windows are in no curve."),
        )  # fmt: skip
    if figures.has_gates(result.table):
        yield picture(
            figures.gates(result.table, title, stamps), folder, f"{name}_gates", f"Gates, {title}",
            "How to read it: further right lets more of a modality through; where the two lines part, the gate goes "
            "with being right or wrong. A gate shows what is used, and not that it is useful.",
        )  # fmt: skip
    yield from explained.blocks(result, name, folder)


def _making_blocks(runs: Sequence[Run]) -> Iterator[Block]:
    yield Heading("How it was made")
    flat = {run.name: _settings(run) for run in runs}
    names = list(dict.fromkeys(name for values in flat.values() for name in values))
    same = [name for name in names if len({values.get(name, NONE) for values in flat.values()}) == 1]
    other = [name for name in names if name not in same]
    if other:
        columns = ("Setting", *(run.name for run in runs))
        rows = [[name, *(flat[run.name].get(name, NONE) for run in runs)] for name in other]
        yield Table(columns, rows, "What differs between the runs.", text_columns=len(columns))
    first = flat[runs[0].name]
    yield Table(
        ("Setting", "Value"), [[name, first[name]] for name in same],
        "What is the same in all runs." if len(runs) > 1 else "", text_columns=2,
    )  # fmt: skip


def _settings(run: Run) -> dict[str, str]:
    """The run's settings, and what its environment.json says of software, machine and store, by dotted name."""
    made_with = {
        name: value for name, value in run.environment.items() if name != "data"
    }  # data have their own section
    flat = flatten(run.config) | flatten(made_with)
    settings = {name: _as_text(value) for name, value in flat.items()}
    if is_leaky(settings.get("protocol", "")):
        settings["protocol"] += " LEAKY"
    return settings


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or NONE
    return NONE if value is None else str(value)

"""What runs say of themselves, as lines of a checklist: for each of its items a function from what a report shows.

A statement that runs do not make becomes a line for the authors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..config import CrossvalConfig, flatten, to_dict, uses_signals
from ..errors import BadInput, GbvnetError
from ..evaluation.score_properties import properties_of
from ..evaluation.split_check import check_splits
from ..evaluation.splits import PLURAL, UNITS
from ..evaluation.statistics import CHANCE_PERCENTILE, N_PERMUTATIONS
from ..provenance import LEAKY, TRANSDUCTIVE, is_leaky
from ..text import listed, shortened
from .audit_results import Audit
from .audit_section import assess
from .formatting import bootstrap_name, capital, interval, mean_sd, p_value
from .results import Comparison, Result
from .seed_groups import singles_of
from .seed_section import over_seeds
from .task_words import words_of
from .tuning_section import chosen_of

MOST_RUNS = 6  # named behind a line that is not of all results
MOST_LINES = 30  # of one kind in one item; tables/ has all
CONFIG, ENVIRONMENT, SPLITS = "config.yaml", "environment.json", "splits.json"  # files of a run
RESULTS, COMPARISONS, TUNING = (f"tables/{name}.csv" for name in ("results", "comparisons", "tuning"))  # of the report
_DEFAULTS = flatten(to_dict(CrossvalConfig()))


class Line(NamedTuple):
    """A statement, and the file that it is from; without a file it is for the authors to make."""

    text: str
    file: str = ""


@dataclass(frozen=True)
class Reported:
    """What a report is about."""

    results: Sequence[Result]
    comparisons: Sequence[Comparison]
    audits: Sequence[Audit]


Fact = Callable[[Result], str]  # "" where a run does not say it


def _facts(results: Sequence[Result], fact: Fact, file: str, missing: str) -> Iterator[Line]:
    """Yield what is stated of the results, once for all that agree; as a line for the authors where it is not stated.

    missing : what that line asks for
    """
    names: dict[str, list[str]] = {}
    for result in results:
        names.setdefault(fact(result), []).append(_name(result, results))
    for text, of_results in list(names.items())[:MOST_LINES]:
        where = f" – {shortened(list(dict.fromkeys(of_results)), MOST_RUNS)}" if len(names) > 1 else ""
        yield Line(text + where, file) if text else Line(missing + where)
    if len(names) > MOST_LINES:
        yield Line(f"{len(names) - MOST_LINES} more in {RESULTS} and in the runs", file)


def _name(result: Result, results: Sequence[Result]) -> str:
    """The run, with what tells its results apart."""
    alike = [r for r in results if r.run.name == result.run.name]
    differing = [key for key in ("system", "target") if len({r.key(key) for r in alike}) > 1]
    return " ".join([f"`{result.run.name}`", *(result.key(key) for key in differing)])


def _setting(result: Result, name: str) -> Any:
    """A setting by its dotted name, at its default if config.yaml does not have it; None for another program's."""
    return None if result.run.outside else {**_DEFAULTS, **flatten(result.run.config)}.get(name)


def _as_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "default" if value is None else str(value)


def _in_order(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_as_text(value)}" for name, value in values.items())


# --- data ---


def corpus_lines(reported: Reported) -> Iterator[Line]:
    """Yield the corpus, as the store names it."""

    def fact(r: Result) -> str:
        store = r.run.store
        if not store.get("digest"):
            return ""
        source = f", files: {store['source']}" if store.get("source") else ""
        return f"{r.key('dataset')}{source}; store `{store.get('path')}`, digest {store['digest']}"

    yield from _facts(reported.results, fact, ENVIRONMENT, "corpus, its version and the store")


def counts_lines(reported: Reported) -> Iterator[Line]:
    """Yield who and what was tested, what was left out, and warnings about the data."""

    def tested(r: Result) -> str:
        of = r.scores.counts
        return f"{of['subjects']:,} subjects, {of['trials']:,} trials, {of['windows']:,} tested windows"

    def left_out(r: Result) -> str:
        if r.run.outside is not None:
            return ""
        reasons = {why: n for why, n in (r.run.data.get("excluded") or {}).items() if n}
        return "; ".join(f"{n:,} windows left out: {why}" for why, n in reasons.items()) or "no window was left out"

    def warned(r: Result) -> str:
        texts = r.run.environment.get("findings") or []
        return "warnings: " + "; ".join(map(str, texts)) if texts else "no warning about data, names or confounds"

    yield from _facts(reported.results, tested, RESULTS, "")
    yield from _facts(reported.results, left_out, ENVIRONMENT, "windows that were left out, and why")
    yield from _facts([r for r in reported.results if r.run.outside is None], warned, ENVIRONMENT, "")


def inputs_lines(reported: Reported) -> Iterator[Line]:
    """Yield what the system saw, how it was prepared, and by what it was scaled."""

    def system(r: Result) -> str:
        return f"system {r.key('system')}, modality {r.key('modality')}"

    def prepared(r: Result) -> str:
        prepare = r.run.store.get("prepare")
        return f"prepared with {_in_order(prepare)}" if isinstance(prepare, dict) else ""

    def scaled(r: Result) -> str:
        how = {
            "train": "signals, where the system scales them: by the training windows",
            "subject": TRANSDUCTIVE,
        }
        return how.get(str(_setting(r, "train.normalise")), "")

    results = reported.results

    yield from _facts(results, system, RESULTS, "")
    yield from _facts(results, prepared, ENVIRONMENT, "windows, filters, baseline and faces")
    with_signals = [r for r in results if uses_signals(r.key("modality"))]
    yield from _facts(with_signals, scaled, CONFIG, "what was used for scaling, and whether tested windows were")


def labels_lines(reported: Reported) -> Iterator[Line]:
    """Yield what the labels are, and how many there are of each."""

    def fact(r: Result) -> str:
        definition = r.run.data.get("labels", r.run.config.get("rule"))
        return f"{r.target_name} ({r.scores.task}): {definition}; {_shares(r)}" if definition else ""

    yield from _facts(reported.results, fact, ENVIRONMENT, "what the classes are, and how many windows each has")


def _shares(r: Result) -> str:
    """How many tested windows each class has; of numbers their mean and SD."""
    of, windows = r.scores.counts, r.scores.counts["windows"]
    if r.scores.task == "binary":
        return f"{of['high_windows']:,} of {windows:,} windows are high"
    if r.scores.task == "multiclass":
        return "windows: " + ", ".join(f"{name} {of[f'class_{k}']:,}" for k, name in enumerate(r.scores.classes))
    return f"ratings {mean_sd(r.table['y'].mean(), r.table['y'].std(), 'rmse')} (mean ± SD)"


# --- evaluation ---


def protocol_lines(reported: Reported) -> Iterator[Line]:
    """Yield what is separate between training and test, in how many folds."""

    def fact(r: Result) -> str:
        protocol = r.key("protocol")
        separate = listed([f"no {unit}" for unit in UNITS[protocol]])
        fixed, folds = _setting(r, "fixed"), r.scores.counts["folds"]
        return "; ".join([
            f"protocol {protocol}: " + (LEAKY if is_leaky(protocol) else f"{separate} is in training and in test"),
            f"{folds} fold{'s' * (folds > 1)}" + (f", fixed: {fixed}" if fixed else ""),
            f"scope {r.key('scope')}",
            *(["balanced by the classes"] if _setting(r, "stratify") else []),
            *(["trained on one corpus, tested on another"] if r.run.store.get("stores") else []),
        ])  # fmt: skip

    yield from _facts(reported.results, fact, f"{CONFIG}, {SPLITS}", "")


def leaks_lines(reported: Reported) -> Iterator[Line]:
    """Yield the names of both sides, checked again, and the sentences of audits."""

    def checked(r: Result) -> str:
        if r.run.outside is not None:
            return f"{r.run.outside.protocol}; what happened before the split is not known"
        if r.scores.leaky:
            return LEAKY
        try:
            return f"names checked again: {check_splits(r.run.folder / SPLITS).assessment.removesuffix('.')}"
        except BadInput:
            return ""

    singles = singles_of(reported.results)
    yield from _facts(singles, checked, SPLITS, "whether any group is on two sides: there is no readable splits.json")
    for audit in reported.audits:
        yield Line("audit: " + " ".join(assess(audit)), "audit.json and the runs of the audit")
    if not reported.audits:
        yield Line("how much of a score is leakage: `gbvnet audit STORE DIR`, and DIR among the runs of the report")


def choices_lines(reported: Reported) -> Iterator[Line]:
    """Yield by what the epoch and the settings were chosen."""

    def epoch(r: Result) -> str:
        between = ("trial",) if r.run.store.get("stores") else UNITS[r.key("protocol")]  # of one corpus for another
        how = {
            "validation": f"lowest loss on a share {_setting(r, 'validation')} of the training "
            + listed([PLURAL[unit] for unit in between]),
            "last": "the last one",
            "test": "by the tested windows, LEAKY",
        }.get(str(_setting(r, "train.select")))
        return f"epoch, of systems that have any: {how}; at most {_setting(r, 'train.epochs')}" if how else ""

    def settings(r: Result) -> str:
        if r.run.outside is not None:
            return ""
        if not r.run.config.get("tuning"):
            return "settings: given, the same in all folds; the run searched for none"
        try:
            chosen = chosen_of(r)
        except GbvnetError:
            chosen = []
        if not chosen:
            return ""
        return (
            f"settings: searched for in each fold within its training side, {max(c.candidates for c in chosen)} "
            f"candidates by {properties_of(chosen[0].score_name).label}; choices in {TUNING}"
        )

    yield from _facts(reported.results, epoch, CONFIG, "how the epoch was chosen, and on which windows")
    yield from _facts(reported.results, settings, CONFIG, "how settings were chosen, and on which windows")


# --- results ---


def scores_lines(reported: Reported) -> Iterator[Line]:
    """Yield the headline score of each result, with its intervals."""

    def fact(r: Result) -> str:
        s, words = r.scores, words_of(r.scores)
        main, kind = words.score, s.folds_interval_kind
        return (
            f"{r.title}: {words.headline} of all windows {words.in_words(s.window[main])} "
            f"{interval(s.window_interval[main], main)} ({bootstrap_name([r])}); mean of folds "
            f"{mean_sd(*s.over_folds()[:2], main)} {interval(s.folds_interval(), main)} (95 % {kind}); by trial "
            f"{words.in_words(s.trial[main])}; mean of subjects {mean_sd(*s.over_subjects()[:2], main)}"
        )

    yield from _facts(reported.results, fact, RESULTS, "")


def chance_lines(reported: Reported) -> Iterator[Line]:
    """Yield what needs no signal, and the score of permuted labels."""

    def fact(r: Result) -> str:
        words, chance = words_of(r.scores), r.scores.chance["window"]
        return (
            f"{r.title}: {words.baseline} {words.in_words(r.scores.majority['window'])}, chance up to "
            f"{words.in_words(chance.upper)} ({CHANCE_PERCENTILE} % of {N_PERMUTATIONS:,} permutations of "
            f"{r.scores.chance_words}), p = {p_value(chance.p)}: {r.scores.assessment}"
        )

    yield from _facts(reported.results, fact, RESULTS, "")


def comparisons_lines(reported: Reported) -> Iterator[Line]:
    """Yield each question about two results with its answer."""
    compared = reported.comparisons
    if not compared:
        yield Line("no two results were compared", RESULTS)
        return
    answers = [c.conclusion for c in compared]
    counted = ", ".join(f"{answer} {answers.count(answer)}" for answer in dict.fromkeys(answers))
    yield Line(
        f"{len(compared)} comparisons by Wilcoxon's signed-rank test over subjects, Holm over the questions on a "
        f"target (those about the leak apart): {counted}. “Not shown” does not mean equal", COMPARISONS,
    )  # fmt: skip
    for c in compared[:MOST_LINES]:
        words = words_of(c.a.scores)
        size = words.with_difference_unit(words.difference(c.paired.difference))
        yield Line(
            f"{c.question} {capital(c.conclusion)}: {size} over {c.paired.n} subjects that differ, p = "
            f"{p_value(c.paired.p)}, after Holm {p_value(c.p_holm)}, smallest possible {c.paired.smallest_p:.2g}",
            COMPARISONS,
        )
    if len(compared) > MOST_LINES:
        yield Line(f"{len(compared) - MOST_LINES} more comparisons", COMPARISONS)


def seeds_lines(reported: Reported) -> Iterator[Line]:
    """Yield seeds, and how far the headline score varies over them."""

    def fact(r: Result) -> str:
        spread = over_seeds(r)
        if spread is None:
            return f"seed {r.seeds} alone"
        words = words_of(r.scores)
        return f"{r.title}: seeds {r.seeds}, {words.headline} {mean_sd(*spread[:2], words.score)} over them"

    yield from _facts(reported.results, fact, RESULTS, "")
    if any(not r.members for r in reported.results):
        yield Line("the spread over seeds, which one seed does not show (`--seeds N`), or that it was not measured")


# --- software and files ---


def software_lines(reported: Reported) -> Iterator[Line]:
    """Yield versions, code of others, hardware, size and time."""

    def software(r: Result) -> str:
        made = r.run.environment
        if not made.get("gbvnet"):
            return ""
        versions = {"gbvnet": made["gbvnet"], "Python": made.get("python")}
        named = {name: _in_order(made[name]) for name in ("packages", "plugin") if isinstance(made.get(name), dict)}
        weights = {"face weights of sha256": made["face_weights"]} if made.get("face_weights") else {}
        return "; ".join([_in_order(versions), *named.values(), *([_in_order(weights)] if weights else [])])

    def hardware(r: Result) -> str:
        made = r.run.environment
        if not made.get("cpu"):
            return ""
        return f"{made['cpu']}, device {made.get('device')}, {made.get('threads')} threads a training"

    def size(r: Result) -> str:
        parameters = r.run.environment.get("n_parameters")
        network = f"{r.key('system')}, modality {r.key('modality')}"
        return f"{network}: {parameters:,} parameters" if isinstance(parameters, int) else ""

    results = reported.results
    yield from _facts(results, software, ENVIRONMENT, "program and version")
    yield from _facts(results, hardware, ENVIRONMENT, "hardware")
    yield from _facts([r for r in results if size(r)], size, ENVIRONMENT, "")
    of_runs = {r.run.folder: r.run.environment.get("seconds") for r in singles_of(results)}
    seconds = [value for value in of_runs.values() if isinstance(value, int | float)]
    if seconds:
        yield Line(f"the trainings of {len(seconds)} runs took {sum(seconds):,.0f} s", ENVIRONMENT)


def files_lines(reported: Reported) -> Iterator[Line]:
    """Yield what identifies settings, or another program's predictions."""

    def fact(r: Result) -> str:
        if r.run.outside is not None:
            return f"predictions of another program, sha256 {r.run.outside.sha256}"
        return f"settings {r.key('config')}"

    yield from _facts(reported.results, fact, "predictions.parquet", "")

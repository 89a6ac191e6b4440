"""The report's section on an audit: each protocol, the probes, and an assessment in two sentences."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..evaluation.scores import Scores
from ..evaluation.statistics import CHANCE_PERCENTILE
from ..provenance import SYNTHETIC, is_leaky
from ..text import listed
from . import figures
from .audit_results import Audit, identity_row
from .document import Block, Heading, Items, Table, Text
from .figures import write_picture
from .formatting import BOOTSTRAP_COLUMN, bootstrap_name, capital, p_value, study_name, with_interval
from .results import Result
from .seed_section import DIFFERENCE_COLUMNS, difference_cells, have_seeds, mean_note, over_seeds, sd_cell, sd_column
from .summary import TWO_TESTS
from .task_words import words_of

# --- the assessment ---


def assess(audit: Audit) -> tuple[str, str]:
    """Return two sentences: how much of the score is leakage, and what remains under protocols without it."""
    return _leak_sentence(audit), _honest_sentence(audit)


def _score(scores: Scores) -> float:
    """The headline score by window."""
    return scores.window[scores.main]


def _score_words(result: Result) -> str:
    """The headline score by window with its unit."""
    return words_of(result.scores).in_words(_score(result.scores))


def _leak_sentence(audit: Audit) -> str:
    words = words_of(audit.leaky.scores)
    leaky, shuffled = _score(audit.leaky.scores), [_score(r.scores) for r in audit.shuffled]
    on_shuffled = float(np.mean(shuffled))
    name = "" if words.headline == "accuracy" else f"{words.headline} "
    with_labels = f"Under the LEAKY protocol window {_system_name(audit)} scores {name}{words.in_words(leaky)}"
    if not audit.leaky.scores.chance["window"].above:
        return f"{with_labels}, which is within chance."
    again = f"{words.in_words(on_shuffled)} when trained on shuffled labels"
    if not any(r.scores.chance["window"].above for r in audit.shuffled):
        return f"{with_labels}, and {again}, which is within chance: no recognition of trials is shown here."
    if on_shuffled >= leaky - 0.02:
        return f"{with_labels}, and {again}: the score shows that trials are recognised, and nothing about emotion."
    of_chance = audit.leaky.scores.chance["window"].mean
    share = (on_shuffled - of_chance) / (leaky - of_chance)
    amount = "most" if share > 0.5 else "a part"
    return f"{with_labels}, and {again}: {amount} of the difference from chance is the recognition of trials."


def _honest_sentence(audit: Audit) -> str:
    above = {name: r for name, r in audit.honest.items() if r.scores.chance["window"].above}
    if not above:
        scores = listed([f"{name} {_score_words(r)}" for name, r in audit.honest.items()])
        return f"Without the leak no score is above chance: {scores}."
    scores_above = []
    for name, r in above.items():
        p = p_value(r.scores.chance["window"].p)
        p = p if p.startswith("<") else f"= {p}"
        scores_above.append(f"{name} {_score_words(r)} (p {p})")
    others = [f"{name} {_score_words(r)}" for name, r in audit.honest.items() if name not in above]
    within = f", and within chance under {listed(others)}" if others else ""
    without_skill = [n for n, r in above.items() if r.scores.words_without_skill]
    is_ccc = words_of(audit.leaky.scores).baseline_is_zero
    no_better = "with errors no smaller than those of the constant mean" if is_ccc else "not above the majority class"
    weak = f", though under {listed(without_skill)} {no_better}" if without_skill else ""
    return f"Without the leak it is above chance under {listed(scores_above)}{weak}{within}."


def _system_name(audit: Audit) -> str:
    system = audit.leaky.key("system")
    return f"{'GBV-Net' if system == 'gbvnet' else system} ({audit.leaky.key('modality')})"


# --- the report's section ---


def audit_blocks(audit: Audit, folder: Path, name: str = "audit") -> Iterator[Block]:
    """Yield the audit as a section of a report; pictures are drawn into folder/figures."""
    yield Heading(f"Audit: how much of the score is leakage ({study_name(audit.leaky)})")
    for sentence in assess(audit):
        yield Text(sentence, "lead")
    if audit.about["store"].get("synthetic"):
        yield Text(
            f"This audit is of {SYNTHETIC}: it shows what an audit can detect, and nothing about real subjects.",
            "warning",
        )
    yield from _protocol_blocks(audit, folder, name)
    yield from _inflation_blocks(audit, folder, name)
    yield from _identity_blocks(audit)
    yield from _baseline_blocks(audit, folder, name)
    left_out = [*(audit.about.get("left_out") or []), *(f"{where}: {error}" for where, error in audit.failed.items())]
    if left_out:
        yield Text("Left out of the audit:")
        yield Items(left_out)


def _stamps(results: list[Result]) -> list[str]:
    return list(dict.fromkeys(stamp for r in results for stamp in r.scores.stamps))


def _protocol_blocks(audit: Audit, folder: Path, name: str) -> Iterator[Block]:
    words = words_of(audit.leaky.scores)
    rows: list[list[str]] = []
    leaky: set[int] = set()
    majorities = audit.of_role("majority")
    shown = [(protocol, "real labels", r) for protocol, r in audit.by_protocol.items()]
    shown[1:1] = [("window", "shuffled labels", r) for r in audit.shuffled]
    for protocol, labels, r in shown:
        s = r.scores
        constant_results = [majorities[f"{which}-{protocol}"].scores for which in ("majority", "subject-majority")]
        constant = [words.value(_score(m)) if labels == "real labels" else "–" for m in constant_results]
        beside = [*sd_cell(r, [each for _, _, each in shown]), *constant]
        leaky |= {len(rows)} if s.leaky else set()
        chance, interval = s.chance["window"], s.window_interval[s.main]
        rows.append([
            protocol + (" LEAKY" if s.leaky else ""), labels, s.assessment.removesuffix("; LEAKY"),
            with_interval(_score(s), interval, s.main), *beside, words.value(chance.upper), p_value(chance.p),
        ])  # fmt: skip
    yield Table(
        ("Protocol", "Labels", "Assessment", BOOTSTRAP_COLUMN, *sd_column([r for _, _, r in shown]),
         words.baseline_column, words.own_baseline_column,
         f"Chance {CHANCE_PERCENTILE} %", "p"),
        rows,
        f"Protocols compared: {_system_name(audit)} on the same windows, from the leaky protocol to the hardest honest "
        f"one. {capital(words.by_window)}, with its {bootstrap_name([r for _, _, r in shown])}. "
        f"{words.own_baseline_column}: {words.own_baseline}." + mean_note([r for _, _, r in shown]),
        3, frozenset(leaky),
    )  # fmt: skip
    entries = [(audit.leaky.target_name, f"{p} · {labels.split()[0]}", r.scores) for p, labels, r in shown]
    yield write_picture(
        figures.score_overview(entries, _stamps([r for _, _, r in shown])), folder, f"{name}_ladder",
        f"{capital(words.headline)} under each protocol, and on shuffled labels",
        "How to read it: the first bar is what papers report. Where the bars of shuffled labels are as long, the first "
        "bar says nothing about emotion; a solid bar is above chance where it passes its triangle.",
    )  # fmt: skip


def _inflation_blocks(audit: Audit, folder: Path, name: str) -> Iterator[Block]:
    words = words_of(audit.leaky.scores)
    of_seeds = list(DIFFERENCE_COLUMNS) if any(i.seeds for i in audit.inflations) else []
    yield Table(
        ("LEAKY window against", "Leaky, same windows", "Honest", f"Inflation, {words.difference_unit}", "Effect size",
         "Subjects that differ", "p", "p after Holm", "Smallest p possible", *of_seeds),
        [
            [i.honest, words.value(i.leaky_score), words.value(i.honest_score), words.difference(i.difference),
             "–" if np.isnan(i.paired.effect) else f"{i.paired.effect:+.2f}",
             str(i.paired.n), p_value(i.paired.p), p_value(i.p_holm), f"{i.paired.smallest_p:.2g}",
             *difference_cells(i.seeds, words, of_seeds)]
            for i in audit.inflations
        ],
        "Inflation: the leaky protocol against each honest one on the windows that both test, one-sided paired "
        "Wilcoxon over subjects. Effect size: rank-biserial, +1 if it is higher for every subject.",
        1, frozenset(range(len(audit.inflations))),
    )  # fmt: skip
    if any(i.paired.smallest_p > 0.05 for i in audit.inflations):
        yield Text(TWO_TESTS, "note")
    if any(i.left_out for i in audit.inflations):
        counts = listed([f"{i.honest}: {i.left_out} of {len(i.subjects)}" for i in audit.inflations if i.left_out])
        yield Text(f"Subjects whose {words.headline} is undefined are left out of these tests ({counts}).", "note")
    pairs = {i.honest: i.subjects for i in audit.inflations}
    yield write_picture(
        figures.inflation_lines(pairs, _stamps([audit.leaky]), words), folder,
        f"{name}_inflation", f"Each subject's {words.headline} under an honest protocol and under the leaky one",
        f"How to read it: a line is a subject, from the {words.headline} under the honest protocol to that under the "
        "leaky one.",
    )  # fmt: skip


def _identity_blocks(audit: Audit) -> Iterator[Block]:
    identities = audit.about.get("identities") or []
    if not identities:
        return
    yield Table(
        ("Predicted from one window", "From", "Correct, %", "Chance, %", "Out of", "Windows"),
        [identity_row(i) for i in identities],
        "Identity: how well a linear classifier recognises the subject (on trials it was not trained on) and the trial "
        "(on windows it was not trained on). A model that recognises the trial knows its label.",
        2,
    )  # fmt: skip


_LEARNERS = {"nearest": "nearest neighbour", "ridge": "ridge classifier", "gbvnet": "signal branch of GBV-Net"}
_OF_NUMBERS = {"ridge": "ridge regression"}


def _baseline_blocks(audit: Audit, folder: Path, name: str) -> Iterator[Block]:
    words = words_of(audit.leaky.scores)
    names = _LEARNERS | (_OF_NUMBERS if words.baseline_is_zero else {})
    probes = {tuple(key.split("-")): r for key, r in audit.of_role("baseline").items()}  # (baseline, learner, protocol)
    if not probes:
        return
    learners = list(dict.fromkeys(learner for _, learner, _ in probes))
    rows: list[list[str]] = []
    leaky: set[int] = set()
    for how, protocol in dict.fromkeys((how, protocol) for how, _, protocol in probes):
        leaky |= {len(rows)} if is_leaky(protocol) else set()
        row = [how, protocol + (" LEAKY" if is_leaky(protocol) else "")]
        rows.append([*row, *(words.value(_score(probes[how, learner, protocol].scores)) for learner in learners)])
    counts = next(iter(probes.values())).scores.counts
    yield Table(
        ("Baseline subtracted", "Protocol", *(names[learner] for learner in learners)),
        rows,
        f"Baseline correction: {words.by_window}, on shuffled labels, signals alone, "
        f"{counts['subjects']} subjects, {counts['trials']} trials. A template is one waveform, which marks all "
        "windows of a trial; the mean is one number a channel.",
        2, frozenset(leaky),
    )  # fmt: skip
    entries = [
        (f"protocol {protocol}", f"{how} · {names[learner].split()[0]}", r.scores)
        for (how, learner, protocol), r in probes.items()
    ]
    yield write_picture(
        figures.score_overview(entries, _stamps(list(probes.values()))), folder, f"{name}_baseline",
        f"{capital(words.headline)} on shuffled labels by what is subtracted as baseline",
        "How to read it: labels are shuffled here, so that every bar beyond its triangle is leakage; where a template "
        "makes the bars longer, the preprocessing itself identifies the trial.",
    )  # fmt: skip


def terminal_table(audit: Audit, width: int = 100) -> str:
    """Return the scores under each protocol and the assessment for a terminal; width in columns."""
    from io import StringIO

    from rich.console import Console
    from rich.table import Table as Grid

    words = words_of(audit.leaky.scores)
    shown = words.title if words.baseline_is_zero else "% of windows correct"
    grid = Grid(title=f"{_system_name(audit)}, {study_name(audit.leaky)}: {shown}")
    score = words.headline + (" ± SD over seeds" if have_seeds(list(audit.by_protocol.values())) else "")
    for column in ("protocol", score, f"chance {CHANCE_PERCENTILE} %", words.baseline, "assessment"):
        grid.add_column(column, justify="left" if column in ("protocol", "assessment") else "right")
    for protocol, r in audit.by_protocol.items():
        s = r.scores
        majority = "0" if words.baseline_is_zero else words.value(s.majority["window"])
        grid.add_row(protocol, _with_spread(r), words.value(s.chance["window"].upper), majority, s.assessment)
        for k, probe in enumerate(audit.shuffled if s.leaky else [], 1):
            p = probe.scores
            grid.add_row(
                f"  labels shuffled, {k}", _with_spread(probe), words.value(p.chance["window"].upper), "", "a probe"
            )
    text = StringIO()
    Console(file=text, width=width).print(grid)
    return text.getvalue() + "\n" + "\n".join(assess(audit))


def _with_spread(result: Result) -> str:
    """The headline score by window, with its SD over seeds if there are several."""
    words, spread = words_of(result.scores), over_seeds(result)
    return words.value(_score(result.scores)) + (f" ± {words.value(spread.sd)}" if spread else "")

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
from .formatting import BOOTSTRAP_COLUMN, bootstrap_name, p_value, percent, with_interval
from .results import Result
from .summary import TWO_TESTS

# --- the assessment ---


def assess(audit: Audit) -> tuple[str, str]:
    """Return two sentences: how much of the score is leakage, and what remains under protocols without it."""
    return _leak_sentence(audit), _honest_sentence(audit)


def _accuracy(scores: Scores) -> float:
    return scores.window["accuracy"]


def _leak_sentence(audit: Audit) -> str:
    leaky, shuffled = _accuracy(audit.leaky.scores), [_accuracy(r.scores) for r in audit.shuffled]
    on_shuffled = float(np.mean(shuffled))
    with_labels = f"Under the LEAKY protocol window {_system_name(audit)} scores {percent(leaky)} %"
    if not audit.leaky.scores.chance["window"].above:
        return f"{with_labels}, which is within chance."
    again = f"{percent(on_shuffled)} % when trained on shuffled labels"
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
        scores = listed([f"{name} {percent(_accuracy(r.scores))} %" for name, r in audit.honest.items()])
        return f"Without the leak no score is above chance: {scores}."
    scores_above = []
    for name, r in above.items():
        p = p_value(r.scores.chance["window"].p)
        p = p if p.startswith("<") else f"= {p}"
        scores_above.append(f"{name} {percent(_accuracy(r.scores))} % (p {p})")
    others = [f"{name} {percent(_accuracy(r.scores))} %" for name, r in audit.honest.items() if name not in above]
    within = f", and within chance under {listed(others)}" if others else ""
    below_majority = [n for n, r in above.items() if _accuracy(r.scores) <= r.scores.majority["window"]]
    weak = f", though under {listed(below_majority)} not above the majority class" if below_majority else ""
    return f"Without the leak it is above chance under {listed(scores_above)}{weak}{within}."


def _system_name(audit: Audit) -> str:
    system = audit.leaky.key("system")
    return f"{'GBV-Net' if system == 'gbvnet' else system} ({audit.leaky.key('modality')})"


# --- the report's section ---


def audit_blocks(audit: Audit, folder: Path, name: str = "audit") -> Iterator[Block]:
    """Yield the audit as a section of a report; pictures are drawn into folder/figures."""
    study = f"{audit.leaky.key('target')}, {audit.leaky.key('dataset')}"
    yield Heading(f"Audit: how much of the score is leakage ({study})")
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
    if audit.about.get("left_out"):
        yield Text("Left out of the audit:")
        yield Items(audit.about["left_out"])


def _stamps(results: list[Result]) -> list[str]:
    return list(dict.fromkeys(stamp for r in results for stamp in r.scores.stamps))


def _protocol_blocks(audit: Audit, folder: Path, name: str) -> Iterator[Block]:
    rows: list[list[str]] = []
    leaky: set[int] = set()
    majorities = audit.of_role("majority")
    shown = [(protocol, "real labels", r) for protocol, r in audit.by_protocol.items()]
    shown[1:1] = [("window", "shuffled labels", r) for r in audit.shuffled]
    for protocol, labels, r in shown:
        s = r.scores
        constant_results = [majorities[f"{which}-{protocol}"].scores for which in ("majority", "subject-majority")]
        constant = [percent(_accuracy(m)) if labels == "real labels" else "–" for m in constant_results]
        leaky |= {len(rows)} if s.leaky else set()
        chance, interval = s.chance["window"], s.window_interval["accuracy"]
        rows.append([
            protocol + (" LEAKY" if s.leaky else ""), labels, s.assessment.removesuffix("; LEAKY"),
            with_interval(_accuracy(s), interval), *constant, percent(chance.upper), p_value(chance.p),
        ])  # fmt: skip
    yield Table(
        ("Protocol", "Labels", "Assessment", BOOTSTRAP_COLUMN, "Majority", "Own majority",
         f"Chance {CHANCE_PERCENTILE} %", "p"),
        rows,
        f"Protocols compared: {_system_name(audit)} on the same windows, from the leaky protocol to the hardest honest "
        f"one. Accuracy by window, %, with its {bootstrap_name([r for _, _, r in shown])}. Own majority: each "
        "subject's majority class, which needs no signal.",
        3, frozenset(leaky),
    )  # fmt: skip
    entries = [(audit.leaky.key("target"), f"{p} · {labels.split()[0]}", r.scores) for p, labels, r in shown]
    yield write_picture(
        figures.accuracy_overview(entries, _stamps([r for _, _, r in shown])), folder, f"{name}_ladder",
        "Accuracy under each protocol, and on shuffled labels",
        "How to read it: the first bar is what papers report. Where the bars of shuffled labels are as long, the first "
        "bar says nothing about emotion; a solid bar is above chance where it passes its triangle.",
    )  # fmt: skip


def _inflation_blocks(audit: Audit, folder: Path, name: str) -> Iterator[Block]:
    yield Table(
        ("LEAKY window against", "Leaky, same windows", "Honest", "Inflation, points", "Effect size",
         "Subjects that differ", "p", "p after Holm", "Smallest p possible"),
        [
            [i.honest, percent(i.leaky_accuracy), percent(i.honest_accuracy), f"{i.points:+.1f}",
             "–" if np.isnan(i.paired.effect) else f"{i.paired.effect:+.2f}",
             str(i.paired.n), p_value(i.paired.p), p_value(i.p_holm), f"{i.paired.smallest_p:.2g}"]
            for i in audit.inflations
        ],
        "Inflation: the leaky protocol against each honest one on the windows that both test, one-sided paired "
        "Wilcoxon over subjects. Effect size: rank-biserial, +1 if it is higher for every subject.",
        1, frozenset(range(len(audit.inflations))),
    )  # fmt: skip
    if any(i.paired.smallest_p > 0.05 for i in audit.inflations):
        yield Text(TWO_TESTS, "note")
    yield write_picture(
        figures.inflation_lines({i.honest: i.subjects for i in audit.inflations}, _stamps([audit.leaky])), folder,
        f"{name}_inflation", "Each subject's accuracy under an honest protocol and under the leaky one",
        "How to read it: a line is a subject, from the accuracy under the honest protocol to that under the leaky one.",
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


def _baseline_blocks(audit: Audit, folder: Path, name: str) -> Iterator[Block]:
    probes = {tuple(key.split("-")): r for key, r in audit.of_role("baseline").items()}  # (baseline, learner, protocol)
    if not probes:
        return
    learners = list(dict.fromkeys(learner for _, learner, _ in probes))
    rows: list[list[str]] = []
    leaky: set[int] = set()
    for how, protocol in dict.fromkeys((how, protocol) for how, _, protocol in probes):
        leaky |= {len(rows)} if is_leaky(protocol) else set()
        row = [how, protocol + (" LEAKY" if is_leaky(protocol) else "")]
        rows.append([*row, *(percent(_accuracy(probes[how, learner, protocol].scores)) for learner in learners)])
    counts = next(iter(probes.values())).scores.counts
    yield Table(
        ("Baseline subtracted", "Protocol", *(_LEARNERS[learner] for learner in learners)),
        rows,
        "Baseline correction: accuracy by window, %, on shuffled labels, signals alone, "
        f"{counts['subjects']} subjects, {counts['trials']} trials. A template is one waveform, which marks all "
        "windows of a trial; the mean is one number a channel.",
        2, frozenset(leaky),
    )  # fmt: skip
    entries = [
        (f"protocol {protocol}", f"{how} · {_LEARNERS[learner].split()[0]}", r.scores)
        for (how, learner, protocol), r in probes.items()
    ]
    yield write_picture(
        figures.accuracy_overview(entries, _stamps(list(probes.values()))), folder, f"{name}_baseline",
        "Accuracy on shuffled labels by what is subtracted as baseline",
        "How to read it: labels are shuffled here, so that every bar beyond its triangle is leakage; where a template "
        "makes the bars longer, the preprocessing itself identifies the trial.",
    )  # fmt: skip


def terminal_table(audit: Audit, width: int = 100) -> str:
    """Return the scores under each protocol and the assessment for a terminal; width in columns."""
    from io import StringIO

    from rich.console import Console
    from rich.table import Table as Grid

    study = f"{audit.leaky.key('target')}, {audit.leaky.key('dataset')}"
    grid = Grid(title=f"{_system_name(audit)}, {study}: % of windows correct")
    for column in ("protocol", "accuracy", f"chance {CHANCE_PERCENTILE} %", "majority", "assessment"):
        grid.add_column(column, justify="left" if column in ("protocol", "assessment") else "right")
    for protocol, r in audit.by_protocol.items():
        s = r.scores
        majority = percent(s.majority["window"])
        grid.add_row(protocol, percent(_accuracy(s)), percent(s.chance["window"].upper), majority, s.assessment)
        for k, probe in enumerate(audit.shuffled if s.leaky else [], 1):
            p = probe.scores
            grid.add_row(
                f"  labels shuffled, {k}", percent(_accuracy(p)), percent(p.chance["window"].upper), "", "a probe"
            )
    text = StringIO()
    Console(file=text, width=width).print(grid)
    return text.getvalue() + "\n" + "\n".join(assess(audit))

"""What an audit found: the protocol ladder and its probes, as tables, figures, and a verdict in two sentences.

Everything is worked out from the predictions tables of the audit's runs. No torch.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import BadRun
from ..evaluation import metrics, statistics
from ..evaluation.labels import predicted_high
from ..evaluation.scores import Scores
from ..evaluation.statistics import CHANCE_PERCENTILE, N_PERMUTATIONS
from ..io.safe_load import from_json
from ..provenance import SYNTHETIC, is_leaky, is_marked_synthetic
from ..text import listed
from . import figures, summary
from .document import Block, Heading, Items, Table, Text
from .figures import picture
from .results import Result, read_results
from .summary import BOOTSTRAP_COLUMN, p_value, percent, with_interval

FILE = "audit.json"
FORMAT = 1
_RUN = re.compile(r"[\w+-]{1,80}/\w[\w+.-]{0,80}")  # role/name: a folder in the audit's, and no other
PROBE_PERMUTATIONS = 1000  # of a probe only the 97.5th percentile is shown


def is_audit(folder: Path) -> bool:
    return (Path(folder) / FILE).is_file()


@dataclass(frozen=True)
class Inflation:
    """How far the LEAKY protocol is above an honest one, on the same windows, over subjects."""

    honest: str  # protocol
    leaky_accuracy: float  # on the windows that the honest protocol tests
    honest_accuracy: float
    subjects: pd.DataFrame  # subject, leaky, honest
    paired: statistics.PairedTest
    p_holm: float = float("nan")

    @property
    def points(self) -> float:
        return 100 * (self.leaky_accuracy - self.honest_accuracy)


@dataclass(frozen=True)
class Audit:
    """A finished audit, read."""

    folder: Path
    about: dict[str, Any]
    results: dict[str, Result]  # "role/name" -> scores

    def of_role(self, role: str) -> dict[str, Result]:
        return {name.split("/", 1)[1]: r for name, r in self.results.items() if name.startswith(f"{role}/")}

    @cached_property
    def ladder(self) -> dict[str, Result]:
        """By protocol, in the order of the audit: the leaky one first."""
        return self.of_role("ladder")

    @property
    def leaky(self) -> Result:
        return self.ladder["window"]

    @property
    def honest(self) -> dict[str, Result]:
        return {name: r for name, r in self.ladder.items() if not is_leaky(name)}

    @property
    def shuffled(self) -> list[Result]:
        return list(self.of_role("shuffled").values())

    @cached_property
    def inflations(self) -> list[Inflation]:
        found = [_inflation(self.leaky, r) for r in self.honest.values()]
        adjusted = statistics.adjust_holm([i.paired.p for i in found])
        return [
            Inflation(i.honest, i.leaky_accuracy, i.honest_accuracy, i.subjects, i.paired, float(p))
            for i, p in zip(found, adjusted, strict=True)
        ]


def read_audit(folder: Path) -> Audit:
    """Read an audit's folder and score its runs. Raises BadRun."""
    folder = Path(folder)
    try:
        about = from_json((folder / FILE).read_text())
        names = [f"{run['role']}/{run['name']}" for run in about["runs"]]
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}")
        odd = [name for name in names if not _RUN.fullmatch(name)]
        if odd:
            raise ValueError(f"a run called {odd[0]!r:.100}")
        if "ladder/window" not in names:
            raise KeyError("ladder/window")
        is_marked_synthetic(about["store"]), [_identity_row(i) for i in about.get("identities") or []]
    except FileNotFoundError:
        raise BadRun(folder, f"an audit, with {FILE} in it", "none", "Make it with `gbvnet audit`.") from None
    except KeyError as error:
        again = "Give the same `gbvnet audit` command again: it goes on where it stopped."
        raise BadRun(folder, "a finished audit", f"one without its {error.args[0]}", again) from None
    except (OSError, ValueError, TypeError) as error:
        raise BadRun(folder / FILE, "an audit", f"a file that cannot be read ({error})") from None
    shuffles = {name: N_PERMUTATIONS if name.startswith("ladder/") else PROBE_PERMUTATIONS for name in names}
    return Audit(folder, about, {name: read_results([folder / name], (), n)[0][0] for name, n in shuffles.items()})


def _inflation(leaky: Result, honest: Result) -> Inflation:
    names = ["recording", "window"]
    same = leaky.table.merge(honest.table[names].drop_duplicates(), on=names)
    a, b = ((predicted_high(t["p"]) == (t["y"] == 1)).groupby(t["subject"]).mean() for t in (same, honest.table))
    subjects = pd.DataFrame({"leaky": a, "honest": b}).rename_axis("subject").reset_index()
    overall = [metrics.accuracy(t["y"], t["p"]) for t in (same, honest.table)]
    return Inflation(honest.key("protocol"), overall[0], overall[1], subjects, statistics.paired_test(a, b))


# --- the verdict ---


def verdict(audit: Audit) -> tuple[str, str]:
    """Two plain sentences: what the leak is worth, and what remains when it is closed."""
    return _leak_sentence(audit), _honest_sentence(audit)


def _accuracy(scores: Scores) -> float:
    return scores.window["accuracy"]


def _leak_sentence(audit: Audit) -> str:
    leaky, shuffled = _accuracy(audit.leaky.scores), [_accuracy(r.scores) for r in audit.shuffled]
    meaningless = float(np.mean(shuffled))
    if not audit.leaky.scores.chance["window"].above:
        return f"Under the LEAKY protocol window {_who(audit)} scores {percent(leaky)} %, which is within chance."
    with_labels = f"Under the LEAKY protocol window {_who(audit)} scores {percent(leaky)} %"
    again = f"{percent(meaningless)} % when it is trained on labels that mean nothing"
    if not any(r.scores.chance["window"].above for r in audit.shuffled):
        return f"{with_labels}, and {again}, which is within chance: no recognition of trials is shown here."
    if meaningless >= leaky - 0.02:
        return f"{with_labels}, and {again}: the score shows that trials are recognised, and nothing about emotion."
    of_chance = audit.leaky.scores.chance["window"].mean
    share = (meaningless - of_chance) / (leaky - of_chance)
    much = "most" if share > 0.5 else "a part"
    return f"{with_labels}, and {again}: {much} of what it is above chance is the recognition of trials."


def _honest_sentence(audit: Audit) -> str:
    above = {name: r for name, r in audit.honest.items() if r.scores.chance["window"].above}
    if not above:
        scores = listed([f"{name} {percent(_accuracy(r.scores))} %" for name, r in audit.honest.items()])
        return f"With the leak closed no score is above chance: {scores}."
    told = []
    for name, r in above.items():
        p = r.scores.chance["window"].p
        told.append(f"{name} {percent(_accuracy(r.scores))} % (p {p_value(p) if p < 5e-5 else '= ' + p_value(p)})")
    rest = [f"{name} {percent(_accuracy(r.scores))} %" for name, r in audit.honest.items() if name not in above]
    within = f", and within chance under {listed(rest)}" if rest else ""
    beaten = [n for n, r in above.items() if _accuracy(r.scores) <= r.scores.majority["window"]]
    weak = f", though under {listed(beaten)} not above the commoner class" if beaten else ""
    return f"With the leak closed it is above chance under {listed(told)}{weak}{within}."


def _who(audit: Audit) -> str:
    system = audit.leaky.key("system")
    return f"{'GBV-Net' if system == 'gbvnet' else system} ({audit.leaky.key('modality')})"


# --- the report's section ---


def blocks(audit: Audit, folder: Path, name: str = "audit") -> Iterator[Block]:
    """The audit as a section of a report; pictures are drawn into folder/figures."""
    yield Heading(f"Audit: how much of it is leakage ({audit.leaky.key('target')}, {audit.leaky.key('dataset')})")
    for sentence in verdict(audit):
        yield Text(sentence, "lead")
    if is_marked_synthetic(audit.about["store"]):
        yield Text(
            f"This audit is of {SYNTHETIC}: it shows what the audit can see, and nothing about people.", "warning"
        )
    yield from _ladder_blocks(audit, folder, name)
    yield from _inflation_blocks(audit, folder, name)
    yield from _identity_blocks(audit)
    yield from _baseline_blocks(audit, folder, name)
    if audit.about.get("left_out"):
        yield Text("Left out of the audit:")
        yield Items(audit.about["left_out"])


def _stamps(results: list[Result]) -> list[str]:
    return list(dict.fromkeys(stamp for r in results for stamp in r.scores.stamps))


def _ladder_blocks(audit: Audit, folder: Path, name: str) -> Iterator[Block]:
    rows: list[list[str]] = []
    leaky: set[int] = set()
    majorities = audit.of_role("majority")
    shown = [(protocol, "real labels", r) for protocol, r in audit.ladder.items()]
    shown[1:1] = [("window", "shuffled labels", r) for r in audit.shuffled]
    for protocol, labels, r in shown:
        s = r.scores
        own = [majorities[f"{which}-{protocol}"].scores for which in ("majority", "subject-majority")]
        constant = [percent(_accuracy(m)) if labels == "real labels" else "–" for m in own]
        leaky |= {len(rows)} if s.leaky else set()
        chance, interval = s.chance["window"], s.window_interval["accuracy"]
        rows.append([
            protocol + (" LEAKY" if s.leaky else ""), labels, s.assessment.removesuffix("; LEAKY"),
            with_interval(_accuracy(s), interval), *constant, percent(chance.upper), p_value(chance.p),
        ])  # fmt: skip
    yield Table(
        ("Protocol", "Labels", "Verdict", BOOTSTRAP_COLUMN, "Majority", "Own majority",
         f"Chance {CHANCE_PERCENTILE} %", "p"),
        rows,
        f"The ladder: {_who(audit)} on the same windows, from the leaky protocol down to the hardest honest one. "
        f"Accuracy by window, %, with its {summary.bootstrap([r for _, _, r in shown])}. Own majority: each person's "
        "commoner class, which needs no signal.",
        3, frozenset(leaky),
    )  # fmt: skip
    entries = [(audit.leaky.key("target"), f"{p} · {labels.split()[0]}", r.scores) for p, labels, r in shown]
    yield picture(
        figures.overview(entries, _stamps([r for _, _, r in shown])), folder, f"{name}_ladder",
        "Accuracy under each protocol, and on shuffled labels",
        "How to read it: the first bar is what papers report. Where the bars of shuffled labels are as long, the first "
        "bar says nothing about emotion; above chance is what the solid bars show beyond the triangle.",
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
        yield Text(summary.TWO_TESTS, "note")
    yield picture(
        figures.inflation({i.honest: i.subjects for i in audit.inflations}, _stamps([audit.leaky])), folder,
        f"{name}_inflation", "Each subject's accuracy under an honest protocol and under the leaky one",
        "How to read it: a line is a person; it rises from what is true of them to what the leaky protocol reports.",
    )  # fmt: skip


def _identity_blocks(audit: Audit) -> Iterator[Block]:
    found = audit.about.get("identities") or []
    if not found:
        return
    yield Table(
        ("Told from one window", "By", "Right, %", "Chance, %", "Out of", "Windows"),
        [_identity_row(i) for i in found],
        "Identity: how well a linear classifier names the person (on trials it was not trained on) and the trial (on "
        "windows it was not trained on). Whoever knows the trial knows its label.",
        2,
    )  # fmt: skip


def _identity_row(i: dict[str, Any]) -> list[str]:
    by = {"face": "the face", "bio": "the signals"}[i["modality"]]
    return [
        str(i["what"]), by, percent(i["accuracy"]), percent(i["chance"]), f"{i['classes']:,}", f"{i['windows']:,}"
    ]  # fmt: skip


_LEARNERS = {"nearest": "nearest neighbour", "ridge": "ridge classifier", "gbvnet": "signal branch of GBV-Net"}


def _baseline_blocks(audit: Audit, folder: Path, name: str) -> Iterator[Block]:
    rung = {tuple(key.split("-")): r for key, r in audit.of_role("baseline").items()}  # (baseline, learner, protocol)
    if not rung:
        return
    learners = list(dict.fromkeys(learner for _, learner, _ in rung))
    rows: list[list[str]] = []
    leaky: set[int] = set()
    for how, protocol in dict.fromkeys((how, protocol) for how, _, protocol in rung):
        leaky |= {len(rows)} if is_leaky(protocol) else set()
        row = [how, protocol + (" LEAKY" if is_leaky(protocol) else "")]
        rows.append([*row, *(percent(_accuracy(rung[how, learner, protocol].scores)) for learner in learners)])
    counts = next(iter(rung.values())).scores.counts
    yield Table(
        ("Baseline subtracted", "Protocol", *(_LEARNERS[learner] for learner in learners)),
        rows,
        f"The baseline's rung: accuracy by window, %, on shuffled labels, signals alone, {counts['subjects']} people, "
        f"{counts['trials']} trials. A template is one waveform that marks all windows of a trial; the mean is one "
        "number a channel.",
        2, frozenset(leaky),
    )  # fmt: skip
    entries = [
        (f"protocol {protocol}", f"{how} · {_LEARNERS[learner].split()[0]}", r.scores)
        for (how, learner, protocol), r in rung.items()
    ]
    yield picture(
        figures.overview(entries, _stamps(list(rung.values()))), folder, f"{name}_baseline",
        "Accuracy on shuffled labels by what is subtracted as baseline",
        "How to read it: labels mean nothing here, so that every bar beyond its triangle is leakage; where a template "
        "lifts the bars, the preprocessing itself gives the trial away.",
    )  # fmt: skip


def terminal_text(audit: Audit, width: int = 100) -> str:
    """The ladder and the verdict for a terminal."""
    from io import StringIO

    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid(title=f"{_who(audit)}, {audit.leaky.key('target')}, {audit.leaky.key('dataset')}: % of windows right")
    for column in ("protocol", "accuracy", f"chance {CHANCE_PERCENTILE} %", "majority", "verdict"):
        grid.add_column(column, justify="left" if column in ("protocol", "verdict") else "right")
    for protocol, r in audit.ladder.items():
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
    return text.getvalue() + "\n" + "\n".join(verdict(audit))

"""What results say: in words, as a table for a terminal, and as tables with every digit for other software."""

import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from ..evaluation.metrics import FOLD_SCORES
from ..evaluation.predictions import KEYS
from ..evaluation.statistics import CHANCE_PERCENTILE
from ..provenance import SYNTHETIC
from ..text import listed
from .results import Comparison, Result, compare

NONE = "–"
# Where both are shown: why one result can be above chance although no comparison of it can be significant.
TWO_TESTS = (
    "“Above chance” and “too few subjects to tell” are answers to two questions. Chance shuffles the labels of trials, "
    "of which there are many; a comparison of two results goes over subjects, each of whom counts once. So a result "
    "can be above chance with p = 0.0001 although no comparison of so few subjects can reach p = 0.05."
)


def found(results: Sequence[Result], comparisons: Sequence[Comparison] | None = None) -> str:
    """What the results say in plain language, whatever it is: a paragraph for each dataset, target and scope.

    results, comparisons : as results.read_results and results.compare give them; the latter are made if not given.
    """
    comparisons = compare(results)[0] if comparisons is None else comparisons
    paragraphs = []
    for _, group in groupby(results, key=lambda r: r.study):
        of_study, said = list(group), []
        for _, same in groupby(of_study, key=lambda r: r.key("protocol")):
            of_protocol = list(same)
            if not of_protocol[0].scores.leaky:
                said += [*_found_scores(of_protocol), *_found_fusion(of_protocol, comparisons)]
        said += _found_leak(of_study, comparisons)
        if _both_tests(of_study, comparisons):
            said.append(TWO_TESTS)
        paragraphs.append(" ".join(said))
    if all(r.synthetic for r in results):
        paragraphs.append(f"All of this is {SYNTHETIC}: it shows that the software works, and nothing about people.")
    elif any(r.synthetic for r in results):
        paragraphs.append(f"Some of these results are from {SYNTHETIC} and show nothing about people.")
    return "\n\n".join(paragraphs)


def _both_tests(results: Sequence[Result], comparisons: Sequence[Comparison]) -> bool:
    """Whether a result is above chance, and a comparison of it is one that so few subjects cannot decide."""
    undecided = [c for c in comparisons if c.undecidable and any(c.a is r for r in results)]
    return any(r.scores.chance["window"].above for c in undecided for r in (c.a, c.b))


def _where(result: Result) -> str:
    within = ", within each person" if result.key("scope") == "per-subject" else ""
    return f"{result.key('target').capitalize()} ({result.key('dataset')}{within}), protocol {result.key('protocol')}"


def _found_scores(results: Sequence[Result]) -> Iterator[str]:
    """Accuracy of each result of one protocol, and which of them are above chance."""
    ranked = sorted(results, key=lambda r: -r.scores.window["accuracy"])
    scores = listed([f"{r.label} {percent(r.scores.window['accuracy'])} %" for r in ranked])
    majorities = {percent(r.scores.majority["window"]) for r in results}
    yield f"{_where(results[0])}: {scores} of windows right; the commoner class alone gives {listed(majorities)} %."
    above = [r.label for r in ranked if r.scores.chance["window"].above]
    within = [r.label for r in ranked if not r.scores.chance["window"].above]
    if above:
        yield f"Above chance: {listed(above)}."
    if within:
        yield f"Within chance, so no sign of anything learnt: {listed(within)}."
    beaten = [
        r.label for r in ranked
        if r.scores.chance["window"].above and r.scores.window["accuracy"] <= r.scores.majority["window"]
    ]  # fmt: skip
    if beaten:
        yield f"Above chance but not above the commoner class: {listed(beaten)}."


def _found_fusion(results: Sequence[Result], comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Whether face and signals together beat the better of the two."""
    for fused in results:
        asked = [c for c in comparisons if c.kind == "fusion" and c.a is fused]
        if len(asked) < 2:  # without both parts there is nothing to say about fusion
            continue
        hardest = min(asked, key=lambda c: c.a.scores.window["accuracy"] - c.b.scores.window["accuracy"])
        points = 100 * (fused.scores.window["accuracy"] - hardest.b.scores.window["accuracy"])
        if abs(points) < 0.05:
            yield f"{fused.label} is equal to the better of its parts, {hardest.b.label}."
            continue
        how = (
            f"{abs(points):.1f} points {'above' if points > 0 else 'below'} the better of its parts, {hardest.b.label}"
        )
        yield f"{fused.label} is {how}, {'so fusion did not help' if points < 0 else _significance(hardest)}."


def _significance(c: Comparison) -> str:
    """What the test over subjects says of a difference, as the end of a sentence about it."""
    if c.undecidable:
        return f"which so few subjects cannot show to be significant (no p below {c.paired.smallest_p:.2g} is possible)"
    after = f"{p_value(c.p_holm)} after Holm"
    if c.p_holm <= 0.05:
        return f"a significant difference over subjects (p = {after})"
    return f"which is not significant over subjects (p = {p_value(c.paired.p)}, {after})"


def _found_leak(results: Sequence[Result], comparisons: Sequence[Comparison]) -> Iterator[str]:
    """How far the leaky protocol's scores are from the honest ones, on the same windows."""
    leaky = [r for r in results if r.scores.leaky]
    if not leaky:
        return
    scores = listed([f"{r.label} {percent(r.scores.window['accuracy'])} %" for r in leaky])
    asked: dict[str, list[Comparison]] = {}
    for c in comparisons:
        if c.kind == "leak" and any(c.a is r for r in leaky):
            asked.setdefault(c.b.key("protocol"), []).append(c)
    worth = _worth(asked) if asked else "and no honest protocol was run on the same windows to compare them with"
    yield f"Under the LEAKY protocol window the scores are {scores}, {worth}."


def _worth(asked: dict[str, list[Comparison]]) -> str:
    """How far the leaky scores are from those of each honest protocol, and where that is significant."""
    gaps = {
        name: [100 * (c.a.scores.window["accuracy"] - c.b.scores.window["accuracy"]) for c in of_protocol]
        for name, of_protocol in asked.items()
    }
    said = listed([f"{_range(values)} points against protocol {name}" for name, values in gaps.items()])
    said += " on the same windows"
    shown = [name for name, of_protocol in asked.items() if all(c.p_holm <= 0.05 for c in of_protocol)]
    if shown:
        where = "" if len(shown) == len(asked) else f" against {listed(shown)}"
        p = p_value(max(c.p_holm for name in shown for c in asked[name]))
        said += f": that is what sharing trials between training and test is worth here{where} (p {_at_most(p)} after "
        said += "Holm, over subjects)"
    others = [name for name in asked if name not in shown]
    if others:
        where = f" against {listed(others)}" if shown else ""
        of_others = [c for name in others for c in asked[name]]
        if any(c.undecidable for c in of_others):
            said += f"; so few subjects cannot show that the difference{where} is significant"
        else:
            p = p_value(max(c.p_holm for c in of_others))
            said += f"; the difference{where} is not significant over subjects (p up to {p} after Holm)"
    return said


def _at_most(p: str) -> str:
    return p if p.startswith("<") else f"at most {p}"


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):+.1f}", f"{max(values):+.1f}"
    return low if low == high else f"{low} to {high}"


def terminal_text(results: Sequence[Result], width: int) -> str:
    """The results as a table of characters, for a terminal of so many columns."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title="Accuracy, % of windows" + (f" ({SYNTHETIC})" if any(r.synthetic for r in results) else ""))
    for column in ("target", "system", "protocol"):
        shown.add_column(column)
    for column in ("mean of folds ± SD", "majority", f"chance {CHANCE_PERCENTILE} %"):
        shown.add_column(column, justify="right")
    shown.add_column("verdict")
    for r in results:
        s = r.scores
        shown.add_row(
            r.key("target"), r.label, protocol(r), mean_sd(s.over_folds().mean, s.over_folds().sd),
            percent(s.majority["fold"]), percent(s.chance["fold"].upper), s.assessment,
        )  # fmt: skip
    text = io.StringIO()
    Console(file=text, width=width).print(shown)
    return text.getvalue().rstrip()


# --- tables with every digit, for other software ---


def tables(results: Sequence[Result], comparisons: Sequence[Comparison]) -> dict[str, pd.DataFrame]:
    tables = {
        "results": pd.DataFrame([_flat_result(r) for r in results]),
        "folds": pd.concat([_named(r, r.scores.folds) for r in results], ignore_index=True),
        "subjects": pd.concat([_named(r, r.scores.subjects) for r in results], ignore_index=True),
    }
    if comparisons:
        tables["comparisons"] = pd.DataFrame(
            {"question": c.question, "kind": c.kind, "run_a": c.a.run.name, "run_b": c.b.run.name,
             "dataset": c.a.key("dataset"), "target": c.a.key("target"), "leaky": c.a.scores.leaky}
            | c.paired._asdict() | {"p_holm": c.p_holm, "conclusion": c.conclusion}
            for c in comparisons
        )  # fmt: skip
    return tables


def _named(result: Result, rows: pd.DataFrame) -> pd.DataFrame:
    names = {"run": result.run.name} | {name: result.scores.keys[name] for name in KEYS if name != "config"}
    return (
        pd.DataFrame(dict.fromkeys(names, None) | names, index=rows.index).assign(leaky=result.scores.leaky).join(rows)
    )


def _flat_result(result: Result) -> dict[str, Any]:
    s = result.scores
    row: dict[str, Any] = (
        {"run": result.run.name} | s.keys | {"stamps": "; ".join(s.stamps), "leaky": s.leaky} | s.counts
    )
    for name in FOLD_SCORES:
        row |= {f"folds_{name}_{part}": value for part, value in s.over_folds(name)._asdict().items()}
        row |= {f"folds_{name}_{part}": value for part, value in s.folds_interval(name)._asdict().items()}
    for level, values, intervals in (("window", s.window, s.window_interval), ("trial", s.trial, s.trial_interval)):
        for name, value in values.items():
            row[f"{level}_{name}"] = value
            if name in intervals:
                row |= {f"{level}_{name}_low": intervals[name].low, f"{level}_{name}_high": intervals[name].high}
    row["interval_unit"] = s.unit
    row["folds_interval"] = s.folds_interval_kind
    for name in s.window:
        row |= {f"subjects_{name}_{part}": value for part, value in s.over_subjects(name)._asdict().items()}
    for level in ("window", "fold", "trial"):
        row[f"majority_{level}"] = s.majority[level]
        row |= {f"chance_{level}_{part}": value for part, value in s.chance[level]._asdict().items() if part != "score"}
    return row | {"verdict": s.assessment}


# --- numbers and names as they are shown ---

BOOTSTRAP_COLUMN = "All windows [95 % bootstrap]"


def bootstrap(results: Sequence[Result]) -> str:
    """The name of the interval of what all windows or trials give together."""
    return f"95 % bootstrap interval over {listed({r.scores.unit for r in results})}"


def of_folds(results: Sequence[Result]) -> str:
    """The name of the interval of the mean over folds."""
    return listed({f"95 % {r.scores.folds_interval_kind}" for r in results})


def panel(result: Result) -> str:
    within = ", within each person" if result.key("scope") == "per-subject" else ""
    return f"{result.key('target')}, {result.key('dataset')}{within}"


def protocol(result: Result, leaky: bool = True) -> str:
    return result.key("protocol") + (" LEAKY" if leaky and result.scores.leaky else "")


def percent(share: float) -> str:
    return NONE if np.isnan(share) else f"{100 * share:.1f}"


def number(value: float) -> str:
    return NONE if np.isnan(value) else f"{value:.3f}"


def mean_sd(mean: float, sd: float) -> str:
    return f"{percent(mean)} ± {percent(sd)}"


def interval(edges: tuple[float, float]) -> str:
    return f"[{percent(edges[0])}, {percent(edges[1])}]"


def with_interval(value: float, edges: tuple[float, float]) -> str:
    return f"{percent(value)} {interval(edges)}"


def p_value(p: float) -> str:
    return NONE if np.isnan(p) else "<0.0001" if p < 0.00005 else f"{p:.4f}" if p < 0.001 else f"{p:.3f}"

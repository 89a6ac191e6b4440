"""The report's blocks on what gates do: how they vary, and what a network loses when they are frozen or shuffled.

Tables are those that `gbvnet explain` writes (experiments/gate_measures.py says what is measured). No torch.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..evaluation.score_properties import SCORE_PROPERTIES, properties_of
from ..evaluation.statistics import PairedTest, adjust_holm, paired_test
from .document import Block, Table, Text
from .explanation_outputs import ExplainedOutput
from .formatting import in_percent, mean_sd, p_value, score_text

ALL = "all"  # in the place of a subject: all windows
OWN, FROZEN, SHUFFLED = "own", "frozen", "shuffled"
CONTROLS = {OWN: "its own", FROZEN: "frozen at their mean over training windows", SHUFFLED: "shuffled between windows"}
GATES = {"face": "of the face", "signals": "of the signals"}


class ControlTest(NamedTuple):
    """What one control costs: the score with the network's own gates minus that with the control's, over subjects."""

    control: str
    own: float  # mean over windows of all subjects
    score: float
    paired: PairedTest  # two-sided
    p_holm: float


def control_tests(controls: pd.DataFrame, score: str) -> list[ControlTest]:
    """Return the tests of both controls, p after Holm over the two.

    controls : rows of one target and network, of gate_controls.csv
    score : a column of it that is a mean over windows: accuracy, mae
    """
    rows = controls[controls["subject"] != ALL]
    weighted = rows.assign(total=rows[score] * rows["windows"])
    sums = weighted.groupby(["control", "subject"])[["total", "windows"]].sum()
    of_subject = (sums["total"] / sums["windows"]).unstack("control")
    overall = sums.groupby("control").sum()
    mean = overall["total"] / overall["windows"]
    names = [name for name in (FROZEN, SHUFFLED) if name in of_subject]
    tests = [paired_test(of_subject[OWN], of_subject[name], "two-sided") for name in names]
    adjusted = adjust_holm([test.p for test in tests])
    return [
        ControlTest(name, float(mean[OWN]), float(mean[name]), test, float(p))
        for name, test, p in zip(names, tests, adjusted, strict=True)
    ]


def gate_blocks(gates: pd.DataFrame | None, controls: pd.DataFrame | None, output: ExplainedOutput) -> Iterator[Block]:
    """Yield both tables, of one target of one run; nothing for None, or for a target without rows."""
    if gates is not None and len(gates):
        yield _variation(gates)
    if controls is not None and len(controls):
        yield _control_table(controls, output)
        yield Text(describe_controls(control_tests(controls, output.scores[-1]), output.scores[-1]))


def _variation(gates: pd.DataFrame) -> Table:
    rows = []
    for name, words in GATES.items():
        own = gates[gates["gate"] == name]
        quiet, over_subjects = own[own["noisy"] == "none"], own[own["subject"] != ALL]
        every = quiet[quiet["subject"] == ALL].mean(numeric_only=True)
        by_subject = over_subjects.groupby("subject")["mean"].mean()
        strongest = own[own["noise"] == own["noise"].max()].groupby("noisy")["mean"].mean()
        rows.append([
            words,
            *(_short(every[column]) for column in ("mean", "sd")),
            f"{_short(every['low'])} to {_short(every['high'])}",
            _short(by_subject.max() - by_subject.min()),
            *(_short(every[column]) for column in ("feature_sd", "entropy")),
            *(_short(strongest.get(noisy, np.nan)) for noisy in GATES),
        ])  # fmt: skip
    return Table(
        ("Gate", "Mean", "SD between windows", "5th to 95th percentile", "Range of subjects' means",
         "SD of a single gate", "Entropy of a gate, bits", "Mean, face all noise", "Mean, signals all noise"),
        rows,
        "How the gates vary over windows that have both modalities, mean over folds. A window's gate is the mean over "
        "the gates of a modality's features; a single gate can vary where that mean does not. Entropy: 1 for a gate of "
        "1/2, 0 for one that is open or closed. A gate that knows of noise is lower where its own modality is noise.",
    )  # fmt: skip


def _control_table(controls: pd.DataFrame, output: ExplainedOutput) -> Table:
    folds = controls[controls["subject"] == ALL]
    tests = {test.control: test for test in control_tests(controls, output.scores[-1])}
    main, rows = output.scores[-1], []
    for name, words in CONTROLS.items():
        own = folds[folds["control"] == name]
        spread = (mean_sd(own[score].mean(), own[score].std(), score) for score in output.scores)
        test = tests.get(name)
        lost = ["–", "–"] if test is None else [score_text(_lost(test, main), main), p_value(test.p_holm)]
        rows.append([words, *spread, *lost])
    labels = [SCORE_PROPERTIES[score].label for score in output.scores]
    return Table(
        ("Gates", *labels, f"{properties_of(main).label} lost", "p after Holm"),
        rows,
        "The same weights with other gates, on the windows that have both modalities; mean over folds ± standard "
        "deviation. Lost: mean over subjects; its p is Wilcoxon's, two-sided, after Holm over both controls.",
    )


def describe_controls(tests: list[ControlTest], score: str) -> str:
    """Return what the controls show, in a sentence."""
    test = next((each for each in tests if each.control == FROZEN), None)
    if test is None:
        return ""
    lost = score_text(abs(_lost(test, score)), score) + (" points" if in_percent(score) else "")
    verb = "loses" if _lost(test, score) >= 0 else "gains"
    shown = "a difference" if test.p_holm <= 0.05 else "no difference was shown"
    few = "; with so few subjects none could be" if test.paired.smallest_p > 0.05 else ""
    return (
        f"With gates frozen at their mean over training windows the same network {verb} {lost} of "
        f"{properties_of(score).label} (p = {p_value(test.p_holm)}: {shown}{few}). This is what the gates' "
        "dynamics are worth here: frozen gates are fixed weights."
    )


def _lost(test: ControlTest, score: str) -> float:
    return test.paired.difference if properties_of(score).higher_is_better else -test.paired.difference


def _short(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"

"""The report's section on ways of fusion that have the same encoders: ranks, noise, a missing modality, and gates.

Noise, missing modality and gates are what `gbvnet explain` has written into each run (RUN/explain). No torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..errors import GbvnetError
from ..evaluation.score_properties import properties_of
from .comparison_section import REFERENCE, ranking_blocks
from .document import Block, Heading, Table, Text
from .explanation_outputs import ExplainedOutput
from .explanation_section import Explanation, read_explanation
from .figures import SOFT, empty_figure, styled, write_picture
from .formatting import file_part, score_text, study_heading
from .gate_section import gate_blocks
from .results import Result, not_comparable

MODALITIES = {"face": "the face", "signals": "the signals"}
LINES = ("-", "--", "-.", ":")


def fusion_blocks(fusions: Sequence[tuple[str, Result]], folder: Path) -> Iterator[Block]:
    """Yield the section; its tables and figures are written into `folder`. Nothing for fewer than two fusions.

    fusions : the name of each way of fusion with a result; GBV-Net's own is called gbvnet
    """
    if len({name for name, _ in fusions}) < 2:
        return
    yield Heading("Ways of fusion on the same encoders")
    yield Text(
        "All have GBV-Net's two encoders and see the same windows and folds. Those called gbvnet differ in one module, "
        "between the encoders and the classifier; of the others both encoders are trained apart, each on its own "
        "modality, and fused afterwards. No difference shown does not mean that two are equal."
    )

    def place(pair: tuple[str, Result]) -> tuple:
        return (*pair[1].section, pair[1].key("protocol"))

    for _, group in groupby(sorted(fusions, key=lambda pair: str(place(pair))), key=place):
        yield from _protocol_blocks(list(group), folder)


def _protocol_blocks(group: list[tuple[str, Result]], folder: Path) -> Iterator[Block]:
    first = next((r for name, r in group if name == REFERENCE), group[0][1])
    alike = [(name, r) for name, r in group if r is first or not not_comparable(first, r)]
    part = file_part(f"fusion-{first.key('target')}-{first.key('protocol')}")
    title = f"{study_heading(first)}, protocol {first.key('protocol')}"
    yield Heading(f"Fusions: {title}", 3)
    if len(alike) > 1:
        yield from ranking_blocks([_named(name, r) for name, r in alike], folder, part)
    explained = {}
    for name, result in alike:
        try:
            explanation = read_explanation(result.run.folder)
        except GbvnetError as error:
            yield Text(f"Noise and gates of {name} are not shown: {error}", "warning")
        else:
            if explanation is not None:
                explained[name] = explanation
    target = first.key("target")
    table = noise_table(explained, target)
    if len(table):
        table.assign(**first.stamped).to_csv(folder / "tables" / f"{part}-noise.csv", index=False)
        output = next(iter(explained.values())).output(target)
        yield _noise_block(table, output)
        yield write_picture(
            noise_figure(table, output.scores[-1], f"Noise: {title}", first.scores.stamps), folder, f"{part}-noise",
            f"Scores under noise of every way of fusion, {title}",
            "How to read it: from left to right noise replaces the power of one modality; a fusion that works falls to "
            "what it scores without that modality, and no further. Means over folds.",
        )  # fmt: skip
    for name, explanation in explained.items():
        yield from _gates(name, explanation, target)


def _named(name: str, result: Result) -> Result:
    """The result under the name of its fusion, by which ranks tell it from others of its system."""
    return replace(result, scores=replace(result.scores, keys=result.scores.keys | {"system": name}))


def _gates(name: str, explanation: Explanation, target: str) -> Iterator[Block]:
    gates, controls = (
        None if table is None else table[table["target"] == target]
        for table in (explanation.gates, explanation.controls)
    )
    blocks = list(gate_blocks(gates, controls, explanation.output(target)))
    if blocks:
        yield Text(f"What the gates of {name} do:")
        yield from blocks


def noise_table(explained: dict[str, Explanation], target: str) -> pd.DataFrame:
    """Return the scores of every fusion under noise and without a modality, mean and SD over folds: one row a fusion,
    modality, `how` (noise, removed) and share of noise."""
    tables = []
    for name, explanation in explained.items():
        if explanation.robustness is None:
            continue
        rows, scores = explanation.robustness, list(explanation.output(target).scores)
        grouped = rows[rows["target"] == target].groupby(["modality", "how", "noise"], dropna=False)[scores]
        spread = grouped.std().add_suffix("_sd")
        tables.append(grouped.mean().join(spread).reset_index().assign(fusion=name))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _noise_block(table: pd.DataFrame, output: ExplainedOutput) -> Table:
    score, rows = output.scores[-1], []
    for name, own in table.groupby("fusion", sort=False):
        cells = [_cell(own, "face", 0.0, score)]
        for modality in MODALITIES:
            cells += [_cell(own, modality, share, score) for share in (0.5, 1.0)]
            removed = own[(own["modality"] == modality) & (own["how"] == "removed")][score]
            cells.append(score_text(removed.iloc[0], score) if len(removed) else "refused")
        rows.append([str(name), *cells])
    columns = [f"{words}, {what}" for words in MODALITIES.values() for what in ("half noise", "all noise", "removed")]
    return Table(
        ("Fusion", "As it is", *columns),
        rows,
        f"{properties_of(score).label} under noise in one modality and without it, by each fold's own model, mean over "
        "folds. Half noise: noise has half of the power. A fusion is hurt by a modality that is noise where it scores "
        "less than without that modality.",
    )


def _cell(own: pd.DataFrame, modality: str, share: float, score: str) -> str:
    those = own[(own["modality"] == modality) & (own["how"] == "noise") & (own["noise"] == share)][score]
    return score_text(those.iloc[0] if len(those) else np.nan, score)


@styled
def noise_figure(table: pd.DataFrame, score: str, title: str, stamps: Sequence[str]) -> Figure:
    """Draw the score of every fusion against the share of noise, a panel for each modality."""
    figure = empty_figure(6.8, 3.4, title, stamps)
    for axes, (modality, words) in zip(figure.subplots(1, 2, sharey=True), MODALITIES.items(), strict=True):
        noisy = table[(table["modality"] == modality) & (table["how"] == "noise")]
        for number, (name, own) in enumerate(noisy.groupby("fusion", sort=False)):
            main = name == REFERENCE
            axes.plot(
                own["noise"], own[score], LINES[number % len(LINES)], marker=".", label=name, lw=2.2 if main else 1.1,
                zorder=3 if main else 2,
            )  # fmt: skip
        axes.set_xlabel(f"share of noise in {words}")
        axes.grid(color=SOFT, alpha=0.25)
    figure.axes[0].set_ylabel(properties_of(score).label)
    figure.axes[0].legend(fontsize=6, frameon=False)
    return figure

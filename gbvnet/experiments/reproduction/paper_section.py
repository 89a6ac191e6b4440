"""The report's section with the paper's tables and figures, from run folders: Tables 1 to 4, Figures 1 to 4, costs.

No torch: whatever needs a network is handed in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ...provenance import SYNTHETIC
from ...report.document import Block, Heading, Items, Text
from ...report.fusion_section import fusion_blocks
from ...report.results import Result
from ...store.window_source import WindowSource
from .dataset_tables import data_blocks
from .paper_figures import ablation_figure_blocks, diagram_blocks, learning_curve_blocks
from .paper_tables import PUBLISHED, accuracy_table_blocks, cost_blocks
from .recipe import PlannedRun, Recipe


@dataclass(frozen=True)
class Paper:
    """The section with the paper's tables and figures, and what it needs besides the results of the report.

    runs : run folder -> what it was planned as
    ablations, fusions : results of the runs whose role is that one, which the other sections leave out
    stores : one for each recipe and corpus
    costs : a row a network; diagrams : Figure 1, by corpus
    left_out : what was not run or cannot be used, and why
    """

    recipes: Sequence[Recipe]
    runs: dict[Path, PlannedRun]
    stores: Sequence[WindowSource]
    ablations: Sequence[Result] = ()
    fusions: Sequence[Result] = ()
    costs: pd.DataFrame | None = None
    diagrams: dict[str, Figure] = field(default_factory=dict)
    left_out: Sequence[str] = ()

    def blocks(self, results: Sequence[Result], folder: Path) -> Iterator[Block]:
        """Yield the section's blocks. Draws into folder/figures and writes CSV files into folder/tables."""
        yield Heading("The paper's tables and figures")
        yield from self._intro(results)
        for title, figure in self.diagrams.items():
            yield from diagram_blocks(title, figure, folder)
        yield from data_blocks(self.stores, folder)
        planned = self._planned(results)
        corpora = list(dict.fromkeys(r.key("dataset") for r, _ in planned))
        for corpus in corpora:
            of_corpus = [(r, run) for r, run in planned if r.key("dataset") == corpus]
            yield from accuracy_table_blocks(
                "Table 3", corpus, [p for p in of_corpus if p[1].role in ("whole", "system")], folder
            )
            yield from accuracy_table_blocks(
                "Table 4", corpus, [p for p in of_corpus if p[1].role in ("whole", "modality")], folder
            )
            yield from learning_curve_blocks(corpus, [r for r, run in of_corpus if run.role == "whole"], folder)
            yield from self._ablation_figures(corpus, of_corpus, folder)
        if self.costs is not None:
            others = [*self.ablations, *self.fusions]
            yield from cost_blocks(self.costs, [*results, *others], self.runs, folder)
        if self.fusions:
            yield from fusion_blocks(self._named_fusions(results), folder)

    def _named_fusions(self, results: Sequence[Result]) -> list[tuple[str, Result]]:
        """GBV-Net as it is, its other fusions, and the systems of the same recipes that see both modalities."""
        planned = self._planned([*results, *self.fusions])
        recipes = {run.config.recipe for _, run in planned if run.role == "fusion"}
        of_recipes = [(r, run) for r, run in planned if run.config.recipe in recipes and not r.scores.leaky]
        return [
            (run.label if run.role == "fusion" else run.config.system, r)
            for r, run in of_recipes
            if run.role in ("whole", "fusion") or (run.role == "system" and run.measures)
        ]

    def _planned(self, results: Sequence[Result]) -> list[tuple[Result, PlannedRun]]:
        """Results with what they were planned as: recipe by recipe, protocol by protocol, as the recipes have them."""
        names = {recipe.name: number for number, recipe in enumerate(self.recipes)}
        protocols = {recipe.name: recipe.protocols for recipe in self.recipes}
        place = {folder: number for number, folder in enumerate(self.runs)}

        def order(pair: tuple[Result, PlannedRun]) -> tuple[int, ...]:
            result, run = pair
            recipe = str(run.config.recipe)
            return names[recipe], protocols[recipe].index(run.config.protocol), place[result.run.folder]

        return sorted(((r, self.runs[r.run.folder]) for r in results if r.run.folder in self.runs), key=order)

    def _intro(self, results: Sequence[Result]) -> Iterator[Block]:
        yield Items([f"Recipe `{recipe.name}`: {recipe.about.strip()}" for recipe in self.recipes])
        yield Text(
            f"“{PUBLISHED}” are figures that Yu et al. 2025 (doi:10.3390/s25206397) print. The paper assigns windows "
            "to ten folds at random, gives no threshold for high and no class counts, and its “validation” is the "
            "tested fold; the works it cites have protocols of their own. These numbers are no target: the LEAKY "
            "protocol window is the nearest to theirs."
        )
        if any(r.synthetic for r in results):
            yield Text(f"The runs are on {SYNTHETIC}: nothing published can be compared with them.", "warning")
        if self.left_out:
            yield Text("Left out of the paper's tables and figures:")
            yield Items(self.left_out)

    def _ablation_figures(self, corpus: str, planned: list[tuple[Result, PlannedRun]], folder: Path) -> Iterator[Block]:
        runs = [(r, run) for r, run in self._planned(self.ablations) if r.key("dataset") == corpus]
        for recipe in dict.fromkeys(run.config.recipe for _, run in planned):
            of_recipe = [(r, run) for r, run in planned if run.config.recipe == recipe]
            parts = [(r, run) for r, run in runs if run.config.recipe == recipe]
            yield from ablation_figure_blocks(corpus, str(recipe), of_recipe, parts, folder)

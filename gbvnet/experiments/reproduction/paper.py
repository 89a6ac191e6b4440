"""The paper's tables and figures from run folders: Tables 1 to 4, Figures 1 to 4, and what the networks cost.

Blocks of a page, a CSV file for each table and a PNG file for each figure. Figures of the paper stand in columns of
their own, marked. No torch: whatever needs a network is handed in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...errors import GbvnetError
from ...evaluation import metrics
from ...evaluation.metrics import LEVEL
from ...provenance import LEAKY, SYNTHETIC, is_leaky
from ...report import figures
from ...report.document import Block, Heading, Items, Table, Text
from ...report.figures import picture
from ...report.published_results import PAPER_ABLATION, PAPER_OTHERS
from ...report.results import Result, read_history
from ...report.summary import NONE, p_value, percent, with_interval
from ...store.reader import Store
from ...text import listed
from .dataset_tables import corpus_name, data_blocks, short, slug
from .recipe import PlannedRun, Recipe

PUBLISHED = "As published, other protocol"
MODALITY = {
    "facebio": "Facebio",
    "face": "Face",
    "bio": "Bio",
    "eeg": "EEG only",
    "peri": "Peripheral only",
    "faceeeg": "Face with EEG",
    "faceperi": "Face with peripheral",
}
CURVES = {"deap": "Figure 2", "mahnob": "Figure 3"}  # as the paper numbers them


@dataclass(frozen=True)
class Paper:
    """What the paper's tables and figures need beside the results of the report.

    runs : run folder -> what it was planned as
    ablations : results of the runs whose role is ablation, which the rest of the report leaves out
    stores : one for each recipe and corpus
    costs : a row a network; diagrams : Figure 1, by corpus
    left_out : what was not run, and why
    """

    recipes: Sequence[Recipe]
    runs: dict[Path, PlannedRun]
    stores: Sequence[Store]
    ablations: Sequence[Result] = ()
    costs: pd.DataFrame | None = None
    diagrams: dict[str, Figure] = field(default_factory=dict)
    left_out: Sequence[str] = ()

    def blocks(self, results: Sequence[Result], folder: Path) -> Iterator[Block]:
        """The sections, from top to bottom. Draws into folder/figures and writes CSV files into folder/tables."""
        yield Heading("The paper's tables and figures")
        yield from self._intro(results)
        for title, figure in self.diagrams.items():
            yield from _diagram(title, figure, folder)
        yield from data_blocks(self.stores, folder)
        planned = self._planned(results)
        corpora = list(dict.fromkeys(r.key("dataset") for r, _ in planned))
        for corpus in corpora:
            of_corpus = [(r, run) for r, run in planned if r.key("dataset") == corpus]
            yield from _accuracy_table(
                "Table 3", corpus, [p for p in of_corpus if p[1].role in ("whole", "system")], folder
            )
            yield from _accuracy_table(
                "Table 4", corpus, [p for p in of_corpus if p[1].role in ("whole", "modality")], folder
            )
            yield from _curves(corpus, [r for r, run in of_corpus if run.role == "whole"], folder)
            yield from self._figure_4(corpus, of_corpus, folder)
        yield from self._costs(results, folder)

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
            f"“{PUBLISHED}” are figures that Yu et al. 2025 (doi:10.3390/s25206397) print. The paper deals windows to "
            "ten folds at random, gives no threshold for high and no class counts, and its “validation” is the tested "
            "fold; the works it cites have protocols of their own. These numbers are no target: the LEAKY protocol "
            "window comes nearest to how they were made."
        )
        if any(r.synthetic for r in results):
            yield Text(f"Ours are from {SYNTHETIC}: nothing published can be compared with them.", "warning")
        if self.left_out:
            yield Text("Not run:")
            yield Items(self.left_out)

    def _figure_4(self, corpus: str, planned: list[tuple[Result, PlannedRun]], folder: Path) -> Iterator[Block]:
        runs = [(r, run) for r, run in self._planned(self.ablations) if r.key("dataset") == corpus]
        for recipe in dict.fromkeys(run.config.recipe for _, run in planned):
            of_recipe = [(r, run) for r, run in planned if run.config.recipe == recipe]
            parts = [(r, run) for r, run in runs if run.config.recipe == recipe]
            yield from _figure_4(corpus, str(recipe), of_recipe, parts, folder)

    def _costs(self, results: Sequence[Result], folder: Path) -> Iterator[Block]:
        if self.costs is None:
            return
        times = _fit_times([*results, *self.ablations], self.runs)
        table = self.costs.join(times)
        table.to_csv(folder / "tables" / "paper_costs.csv")
        yield Heading("What the networks cost", 3)
        shown = [str(c) for c in table if c not in ("device", "threads")]
        made_on = listed({f"{d}" for d in table["device"].dropna()}) if "device" in table else "this device"
        yield Table(
            ("Network", *(COST_WORDS.get(c, c.replace("_", " ")) for c in shown)),
            [[str(name), *(_cost(c, row[c]) for c in shown)] for name, row in table.iterrows()],
            f"Measured on {made_on} in float32, untrained and on noise; the time of a training is from the runs.",
        )
        yield Text(
            "How to read it: parameters and operations are the network's own, whatever the machine; latency, rate and "
            "memory hold for this machine alone. A part that costs much and changes nothing in Figure 4 can go.", "note"
        )  # fmt: skip


def _diagram(title: str, figure: Figure, folder: Path) -> Iterator[Block]:
    yield Heading(f"Figure 1: the network, as built for {corpus_name(title)}", 3)
    yield picture(
        figure, folder, f"paper_figure1_{slug(title)}", "GBV-Net's parts with shapes and parameters",
        "How to read it: from left to right, one window goes through the boxes; under each is the shape that leaves "
        "it. It is drawn from the network itself, so what it shows is what was trained.",
    )  # fmt: skip


# ---------------------------------------------------------------- Tables 3 and 4: accuracies


def accuracies(number: str, planned: Sequence[tuple[Result, PlannedRun]]) -> pd.DataFrame:
    """One row a result, in shares: mean over folds (Eq. 7), SD, its interval; and what the paper prints, in %."""
    rows = []
    for r, run in planned:
        mean, sd, _, _ = r.scores.over_folds()
        interval = r.scores.folds_interval()
        rows.append({
            "dataset": r.key("dataset"), "recipe": run.config.recipe, "run": r.run.name,
            "name": MODALITY[r.key("modality")] if number == "Table 4" else _system_label(run),
            "system": r.key("system"), "modality": r.key("modality"), "scope": r.key("scope"),
            "protocol": r.key("protocol"), "leaky": r.scores.leaky, "target": r.key("target"),
            "folds": r.scores.counts["folds"], "mean": mean, "sd": sd, "low": interval.low, "high": interval.high,
            "interval": r.scores.folds_interval_kind,
            "majority": r.scores.majority["fold"], "chance_upper": r.scores.chance["fold"].upper,
            "published_percent": _published(r, run),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _system_label(run: PlannedRun) -> str:
    return f"{run.label}, {MODALITY[run.config.modality]}"


def _published(r: Result, run: PlannedRun) -> float:
    """What the paper prints for the same modality; made under its LEAKY protocol, it stands beside no other."""
    values = PAPER_ABLATION.get((short(r.key("dataset")), r.key("modality")))
    ours = run.role in ("whole", "modality") and r.scores.leaky and r.key("scope") == "pooled"
    return values[TARGETS.index(r.key("target"))] if values and ours and r.key("target") in TARGETS else np.nan


TARGETS = ("valence", "arousal")


def _accuracy_table(
    number: str, corpus: str, planned: Sequence[tuple[Result, PlannedRun]], folder: Path
) -> Iterator[Block]:
    if not planned:
        return
    table = accuracies(number, planned)
    name = f"paper_{number.lower().replace(' ', '')}_{slug(corpus)}"
    table.to_csv(folder / "tables" / f"{name}.csv", index=False)
    what = "GBV-Net and other systems" if number == "Table 3" else "GBV-Net by modality"
    yield Heading(f"{number}: {what}, {corpus_name(corpus)}", 3)
    targets = [t for t in TARGETS if (table["target"] == t).any()]
    by_place: dict[tuple[str, ...], dict[str, dict]] = {}
    for row in table.to_dict("records"):
        place = tuple(str(row[name]) for name in ("recipe", "scope", "protocol", "name"))
        by_place.setdefault(place, {})[row["target"]] = row
    rows: list[list[str]] = []
    leaky = set()
    for (_, scope, of_protocol, label), by_target in by_place.items():
        where = of_protocol + (" LEAKY" if is_leaky(of_protocol) else "")
        where += ", within each person" if scope == "per-subject" else ""
        cells = [label, where]
        for target in targets:
            cells += _accuracy_cells(by_target.get(target))
        cells += [_percent(by_target[t]["published_percent"] if t in by_target else np.nan) for t in targets]
        if is_leaky(of_protocol):
            leaky.add(len(rows))
        rows.append(cells)
    rows += list(_published_rows(number, corpus, table, targets))
    columns = ["System" if number == "Table 3" else "Modality", "Protocol"]
    for target in targets:
        columns += [f"{target.capitalize()}: mean of folds ± SD [95 % t]", f"majority / chance {LEVEL} %"]
    columns += [f"{PUBLISHED}: {target}" for target in targets]
    yield Table(columns, rows, f"{number}. Accuracy by window in %, {corpus_name(corpus)}.", 2, frozenset(leaky))
    yield Text(READ_TABLE, "note")


READ_TABLE = (
    "How to read it: the mean of the folds is the paper's score (Eq. 7). In brackets its 95 % corrected t interval "
    "over folds, which allows for training sets that overlap (Nadeau and Bengio 2003), or, within each person, its "
    "95 % t interval over subjects; both are cut off at 0 and 100 %. A mean that is not above both majority (always "
    "guessing the commoner class of the training fold) and chance (shuffled trial labels) shows nothing learnt. Rows "
    "marked LEAKY compare with papers and measure no skill."
)


def _accuracy_cells(row: dict | None) -> list[str]:
    if row is None:
        return [NONE, NONE]
    value = f"{percent(row['mean'])} ± {percent(row['sd'])} [{percent(row['low'])}, {percent(row['high'])}]"
    return [value, f"{percent(row['majority'])} / {percent(row['chance_upper'])}"]


def _percent(value: float) -> str:
    return NONE if np.isnan(value) else f"{value:.2f}"


def _published_rows(number: str, corpus: str, table: pd.DataFrame, targets: list[str]) -> Iterator[list[str]]:
    """Rows of what was published and has no row of ours to stand in."""
    empty = [NONE] * 2 * len(targets)
    shown = table.dropna(subset="published_percent")

    def row(name: str, values: tuple[float, float]) -> list[str]:
        return [name, "its own", *empty, *(f"{values[TARGETS.index(t)]:.2f}" for t in targets)]

    dataset = short(corpus)
    for (of, modality), values in PAPER_ABLATION.items():
        wanted = modality == "facebio" if number == "Table 3" else True
        if of == dataset and wanted and modality not in set(shown["modality"]):
            yield row("GBV-Net, Facebio" if number == "Table 3" else MODALITY[modality], values)
    if number == "Table 3":
        for who, values in PAPER_OTHERS.get(dataset, {}).items():
            yield row(who, values)


# ---------------------------------------------------------------- Figures 2 and 3: learning curves


def _curves(corpus: str, results: Sequence[Result], folder: Path) -> Iterator[Block]:
    """Training and validation of GBV-Net under the leaky protocol and the first honest one."""
    chosen = [next((r for r in results if r.scores.leaky is leaky and r.key("target") == target), None)
              for leaky in (True, False) for target in TARGETS]  # fmt: skip
    number, drawn = CURVES.get(short(corpus), "Learning curves"), False
    for r in chosen:
        if r is None:
            continue
        try:
            history = read_history(r.run, r.key("target"))
        except GbvnetError as problem:
            yield Text(f"No learning curves: {problem}", "warning")
            continue
        if history is None:
            continue
        if not drawn:
            yield Heading(f"{number}: how GBV-Net trains, {corpus_name(corpus)}", 3)
            drawn = True
        tested = (r.run.config.get("train") or {}).get("select") == "test"
        name = f"paper_{number.lower().replace(' ', '')}_{slug(corpus)}_{r.key('protocol')}_{r.key('target')}"
        figure = figures.learning_curves(
            history, r.title, r.scores.stamps, "the tested windows" if tested else "validation"
        )
        yield picture(
            figure, folder, name, f"Learning curves of {r.title}", READ_CURVES + (TESTED if tested else UNSEEN)
        )


READ_CURVES = (
    "How to read it: lines are means over the folds that still train at that epoch, bands one standard deviation. "
    "Where the loss of training goes on falling and that of validation turns, the network learns its training set by "
    "heart. "
)
TESTED = "Here “validation” is the tested windows themselves, as in older code: the epoch is chosen on them."
UNSEEN = (
    "Validation is on groups of the training side, under the run's own protocol (so that of a LEAKY run leaks); the "
    "paper's “validation” is the tested fold."
)


# ---------------------------------------------------------------- Figure 4: ablations


def ablation_table(whole: Result, parts: Sequence[tuple[Result, PlannedRun]]) -> pd.DataFrame:
    """GBV-Net against each network with a part changed: accuracy by window of each subject, Wilcoxon, Holm.

    Whether GBV-Net is above was fixed before looking. Compared where the very same trials are in the very same folds.
    """
    rows = []
    for r, run in parts:
        why = _not_same_folds(whole, r)
        own, other = (x.scores.subjects.set_index("subject")["accuracy"] for x in (whole, r))
        paired = None if why else metrics.paired(own, other)
        interval = r.scores.window_interval["accuracy"]
        rows.append({
            "target": r.key("target"), "protocol": r.key("protocol"), "changed": run.label, "run": r.run.name,
            "accuracy": r.scores.window["accuracy"], "low": interval.low, "high": interval.high,
            "whole_accuracy": whole.scores.window["accuracy"], "not_compared": why,
            "difference": paired.difference if paired else np.nan, "n_differing": paired.n if paired else 0,
            "p": paired.p if paired else np.nan, "smallest_p": paired.smallest_p if paired else np.nan,
            "effect": paired.effect if paired else np.nan,
        })  # fmt: skip
    table = pd.DataFrame(rows)
    if len(table):
        compared = table["p"].notna()
        table.loc[compared, "p_holm"] = metrics.holm(table.loc[compared, "p"])
    return table


def _not_same_folds(a: Result, b: Result) -> str:
    """Why two results cannot be compared over subjects, or nothing."""
    of_a, of_b = (
        set(map(tuple, r.table[["subject", "trial", "fold"]].drop_duplicates().to_numpy().tolist())) for r in (a, b)
    )
    if of_a != of_b:
        return f"{len(of_a ^ of_b)} trials are not in the same fold"
    return ""


def _figure_4(
    corpus: str,
    recipe: str,
    planned: list[tuple[Result, PlannedRun]],
    parts: list[tuple[Result, PlannedRun]],
    folder: Path,
) -> Iterator[Block]:
    protocols = list(dict.fromkeys(r.key("protocol") for r, run in planned if run.role == "whole"))
    wanted = [p for p in protocols if is_leaky(p)] + [p for p in protocols if not is_leaky(p)][:1]
    begun = False
    for of_protocol in wanted:
        mine = [
            (r, run) for r, run in planned if r.key("protocol") == of_protocol and run.role in ("whole", "modality")
        ]
        mine += [(r, run) for r, run in parts if r.key("protocol") == of_protocol]
        if len(mine) < 2:
            continue
        if not begun:
            yield Heading(f"Figure 4: what the parts are worth, {corpus_name(corpus)}, recipe {recipe}", 3)
            begun = True
        entries = [(r.key("target"), _bar_label(r, run), r.scores) for r, run in mine]
        stamps = [stamp for stamp in (LEAKY, SYNTHETIC) if any(stamp in r.scores.stamps for r, _ in mine)]
        figure = figures.overview(entries, stamps, f"Accuracy, % of windows, protocol {of_protocol}")
        name = f"paper_figure4_{slug(corpus)}_{recipe}_{of_protocol}"
        yield picture(figure, folder, name, f"GBV-Net with less, protocol {of_protocol}", READ_BARS)
    yield from _ablation_blocks(corpus, recipe, planned, parts, folder)


READ_BARS = (
    "How to read it: the first bar is GBV-Net whole; the others see less, or have one setting changed. A bar says "
    "something only where it passes the black mark (majority) and the triangle (97.5 % of shuffles); a part is worth "
    "what its removal costs, and bars whose intervals overlap widely show no difference (the table tests it). Hatched "
    "bars are LEAKY."
)


def _bar_label(r: Result, run: PlannedRun) -> str:
    if run.role == "ablation":
        return _in_words(run.label)
    return "GBV-Net (Facebio)" if run.role == "whole" else MODALITY[r.key("modality")]


def _in_words(ablation: str) -> str:
    """What an ablation is called where it is shown; "variant small" and whatever is not listed keep their names."""
    return WORDS.get(ablation, ablation.replace("_", " "))


WORDS = {
    "fusion concat": "concatenation, no gate",
    "fusion sum": "sum, no gate",
    "fusion literal": "gate as Eq. 6 has it",
    "local_cnn false": "no local CNN",
    "tcn none": "no TCN",
    "tcn parallel": "TCN as Eq. 4 has it",
    "self_attention false": "no self-attention",
    "residual false": "no residual",
    "pooling mean": "mean pooling",
    "face_time none": "no Transformer over frames",
}


def _ablation_blocks(
    corpus: str,
    recipe: str,
    planned: list[tuple[Result, PlannedRun]],
    parts: list[tuple[Result, PlannedRun]],
    folder: Path,
) -> Iterator[Block]:
    tables = []
    for target in TARGETS:
        of_target = [(r, run) for r, run in parts if r.key("target") == target]
        protocols = {r.key("protocol") for r, _ in of_target}
        whole = next(
            (
                r
                for r, run in planned
                if run.role == "whole" and r.key("target") == target and r.key("protocol") in protocols
            ),
            None,
        )
        if whole is not None and of_target:
            tables.append(ablation_table(whole, of_target))
    if not tables:
        return
    table = pd.concat(tables, ignore_index=True)
    table.to_csv(folder / "tables" / f"paper_figure4_{slug(corpus)}_{recipe}.csv", index=False)
    for name, rows in table.groupby("target", sort=False):
        yield Table(
            ("Changed", "Accuracy [95 % bootstrap]", "GBV-Net is above by, points", "Subjects that differ", "p",
             "p after Holm", "Smallest p possible", "Answer"),
            [_ablation_row(row) for _, row in rows.iterrows()],
            f"{str(name).capitalize()}, {corpus_name(corpus)}, protocol {rows['protocol'].iloc[0]}. GBV-Net whole: "
            f"{percent(rows['whole_accuracy'].iloc[0])} %.",
        )  # fmt: skip
    yield Text(
        "How to read it: is GBV-Net above the same network with that one setting changed, on the same trials in the "
        "same folds? Wilcoxon over subjects, one-sided, Holm over the rows. “Too few subjects” means that no data of "
        "so few people could have given p below 0.05; “not shown” is no proof that the part is useless.", "note",
    )  # fmt: skip


def _ablation_row(row: pd.Series) -> list[str]:
    with_ci = with_interval(row["accuracy"], (row["low"], row["high"]))
    if row["not_compared"]:
        return [
            _in_words(row["changed"]),
            with_ci,
            NONE,
            NONE,
            NONE,
            NONE,
            NONE,
            f"not compared: {row['not_compared']}",
        ]
    answer = "yes" if row["p_holm"] <= 0.05 else "too few subjects" if row["smallest_p"] > 0.05 else "not shown"
    return [
        _in_words(row["changed"]), with_ci, f"{100 * row['difference']:+.1f}", str(row["n_differing"]),
        p_value(row["p"]), p_value(row["p_holm"]), f"{row['smallest_p']:.2g}", answer,
    ]  # fmt: skip


# ---------------------------------------------------------------- costs

COST_WORDS = {
    "parameters": "Parameters",
    "flops": "Operations a window",
    "latency_ms": "Latency of one window, ms",
    "windows_per_s": "Windows/s",
    "memory_mb": "Memory of a step of 64, MB",
    "fit_seconds": "Seconds a training",
    "fit_device": "trained on",
}


def _cost(column: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return NONE
    if column == "flops":
        return f"{value / 1e6:,.0f} million"
    return f"{value:,.0f}" if column in ("parameters", "windows_per_s", "memory_mb", "fit_seconds") else f"{value:.1f}"


def _fit_times(results: Sequence[Result], runs: dict[Path, PlannedRun]) -> pd.DataFrame:
    """network -> mean seconds of a training over its runs, and where they were trained."""
    rows: dict[str, list[tuple[float, str]]] = {}
    for r in results:
        run = runs.get(r.run.folder)
        if run is None or run.config.system != "gbvnet" or not r.run.environment.get("seconds"):
            continue
        trainings = r.scores.counts["folds"] * max(1, r.run.table["target"].nunique())
        each = r.run.environment["seconds"] / trainings
        rows.setdefault(network_name(run), []).append((each, str(r.run.environment.get("device"))))
    table = pd.DataFrame(
        {name: {"fit_seconds": np.mean([s for s, _ in held]), "fit_device": held[0][1]} for name, held in rows.items()}
    ).T
    return table.reindex(columns=["fit_seconds", "fit_device"])


def network_name(run: PlannedRun) -> str:
    """What the cost table calls the network of a run."""
    return _in_words(run.label) if run.role == "ablation" else f"GBV-Net, {MODALITY[run.config.modality]}"

"""Tables 3 and 4 of the paper, the table beside Figure 4, and what the networks cost, from run folders.

Blocks of a page, and a CSV file for each table. Numbers that the paper prints stand in columns of their own, marked.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...evaluation import statistics
from ...evaluation.seed_means import difference_over_seeds
from ...evaluation.statistics import CHANCE_PERCENTILE
from ...provenance import is_leaky, without_stamp
from ...report.document import Block, Heading, Table, Text
from ...report.formatting import NONE, p_value, percent, with_interval
from ...report.published_results import PAPER_ABLATION, PAPER_OTHERS
from ...report.results import Result, common_seeds, scores_by_subject, subject_scores_by_seed
from ...report.seed_section import beside_seeds, have_seeds, over_seeds
from ...text import listed
from .dataset_tables import corpus_name, slug
from .recipe import PlannedRun

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
TARGETS = ("valence", "arousal")


# ---------------------------------------------------------------- names of networks


def network_name(run: PlannedRun) -> str:
    """Return the name of a run's network in the cost table."""
    if run.role == "fusion":
        return in_words(f"fusion {run.config.model.fusion}")
    return in_words(run.label) if run.role == "ablation" else f"GBV-Net, {MODALITY[run.config.modality]}"


def in_words(ablation: str) -> str:
    """Return the name of an ablation in tables and figures; "variant small" and others not listed keep their names."""
    return WORDS.get(ablation, ablation.replace("_", " "))


WORDS = {
    "fusion concat": "concatenation, no gate",
    "fusion sum": "sum, no gate",
    "fusion literal": "gate as Eq. 6 has it",
    "fusion low_rank": "low-rank tensor fusion",
    "fusion cross_attention": "cross-attention",
    "fusion experts": "mixture of experts",
    "local_cnn false": "no local CNN",
    "tcn none": "no TCN",
    "tcn parallel": "TCN as Eq. 4 has it",
    "self_attention false": "no self-attention",
    "residual false": "no residual",
    "pooling mean": "mean pooling",
    "face_time none": "no Transformer over frames",
}


# ---------------------------------------------------------------- Tables 3 and 4: accuracies


def accuracies(number: str, planned: Sequence[tuple[Result, PlannedRun]]) -> pd.DataFrame:
    """Return one row per result: mean over folds (Eq. 7), SD and interval, as shares; and what the paper prints, in %.

    number : "Table 3" or "Table 4"
    """
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
        } | _seeds(r, [result for result, _ in planned]))  # fmt: skip
    return pd.DataFrame(rows)


def _seeds(r: Result, results: Sequence[Result]) -> dict[str, Any]:
    """The seeds that a row is the mean over, and its SD over these; no columns if no result has several."""
    spread = over_seeds(r, "fold")
    columns = {"seeds": r.seeds, "sd_over_seeds": spread.sd if spread else np.nan}
    return columns if have_seeds(results) else {}


def _system_label(run: PlannedRun) -> str:
    return f"{run.label}, {MODALITY[run.config.modality]}"


def _published(r: Result, run: PlannedRun) -> float:
    """The paper's value for the same modality; obtained under its LEAKY protocol, it is shown beside that one only."""
    values = PAPER_ABLATION.get((without_stamp(r.key("dataset")), r.key("modality")))
    comparable = run.role in ("whole", "modality") and r.scores.leaky and r.key("scope") == "pooled"
    return values[TARGETS.index(r.key("target"))] if values and comparable and r.key("target") in TARGETS else np.nan


def accuracy_table_blocks(
    number: str, corpus: str, planned: Sequence[tuple[Result, PlannedRun]], folder: Path
) -> Iterator[Block]:
    """Yield Table 3 or 4 of one corpus, and write its CSV file into folder/tables."""
    if not planned:
        return
    table = accuracies(number, planned)
    name = f"paper_{number.lower().replace(' ', '')}_{slug(corpus)}"
    table.to_csv(folder / "tables" / f"{name}.csv", index=False)
    what = "GBV-Net and other systems" if number == "Table 3" else "GBV-Net by modality"
    yield Heading(f"{number}: {what}, {corpus_name(corpus)}", 3)
    targets = [t for t in TARGETS if (table["target"] == t).any()]
    by_place: dict[tuple[str, ...], dict[str, dict]] = {}
    for (result, _), row in zip(planned, table.to_dict("records"), strict=True):
        # With the seeds: results that could not be averaged over them are rows of their own.
        place = (*(str(row[name]) for name in ("recipe", "scope", "protocol", "name")), result.seeds)
        by_place.setdefault(place, {})[row["target"]] = row
    rows: list[list[str]] = []
    leaky = set()
    alike = Counter(place[:-1] for place in by_place)
    for place, by_target in by_place.items():
        _, scope, of_protocol, label, seeds = place
        label += f" (seed{'s' * (',' in seeds)} {seeds})" if alike[place[:-1]] > 1 else ""
        where = of_protocol + (" LEAKY" if is_leaky(of_protocol) else "")
        where += ", within each subject" if scope == "per-subject" else ""
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
        columns += [f"{target.capitalize()}: mean of folds ± SD [95 % t]", f"majority / chance {CHANCE_PERCENTILE} %"]
    columns += [f"{PUBLISHED}: {target}" for target in targets]
    yield Table(columns, rows, f"{number}. Accuracy by window in %, {corpus_name(corpus)}.", 2, frozenset(leaky))
    yield Text(READ_TABLE + (READ_SEEDS if "seeds" in table else ""), "note")


READ_TABLE = (
    "How to read it: the mean of the folds is the paper's score (Eq. 7). In brackets its 95 % corrected t interval "
    "over folds, which allows for training sets that overlap (Nadeau and Bengio 2003), or, within each subject, its "
    "95 % t interval over subjects; both are cut off at 0 and 100 %. A mean that is not above both majority (always "
    "predicting the majority class of the training fold) and chance (shuffled trial labels) shows no learning. Rows "
    "marked LEAKY compare with papers and measure no skill."
)


READ_SEEDS = (
    " Results of several seeds are means over these; behind “over seeds” is the standard deviation over the seeds of "
    "the mean of the folds. A row that names its seeds is of these alone: the section on seeds says what "
    "could not be averaged, and why."
)


def _accuracy_cells(row: dict | None) -> list[str]:
    if row is None:
        return [NONE, NONE]
    value = f"{percent(row['mean'])} ± {percent(row['sd'])} [{percent(row['low'])}, {percent(row['high'])}]"
    if not np.isnan(row.get("sd_over_seeds", np.nan)):
        value += f"; over seeds ± {percent(row['sd_over_seeds'])}"
    return [value, f"{percent(row['majority'])} / {percent(row['chance_upper'])}"]


def _percent(value: float) -> str:
    return NONE if np.isnan(value) else f"{value:.2f}"


def _published_rows(number: str, corpus: str, table: pd.DataFrame, targets: list[str]) -> Iterator[list[str]]:
    """Rows of published values that no row of the runs shows."""
    empty = [NONE] * 2 * len(targets)
    shown = table.dropna(subset="published_percent")

    def row(name: str, values: tuple[float, float]) -> list[str]:
        return [name, "its own", *empty, *(f"{values[TARGETS.index(t)]:.2f}" for t in targets)]

    dataset = without_stamp(corpus)
    for (of, modality), values in PAPER_ABLATION.items():
        wanted = modality == "facebio" if number == "Table 3" else True
        if of == dataset and wanted and modality not in set(shown["modality"]):
            yield row("GBV-Net, Facebio" if number == "Table 3" else MODALITY[modality], values)
    if number == "Table 3":
        for author, values in PAPER_OTHERS.get(dataset, {}).items():
            yield row(author, values)


# ---------------------------------------------------------------- the table beside Figure 4: ablations


def ablation_table(whole: Result, parts: Sequence[tuple[Result, PlannedRun]]) -> pd.DataFrame:
    """Return GBV-Net against each network with one part changed: accuracy by window of each subject, Wilcoxon, Holm.

    The hypothesis, that GBV-Net is above, was fixed in advance. Compared only if the same trials are in the same folds.
    """
    rows = []
    for r, run in parts:
        why = _not_same_folds(whole, r)
        if not why:
            scores = scores_by_subject({"own": whole, "other": r})
        paired = None if why else statistics.paired_test(scores["own"], scores["other"])
        of_seeds = None if why else difference_over_seeds(*(subject_scores_by_seed(x) for x in (whole, r)))
        interval = r.scores.window_interval["accuracy"]
        beside = {"sd_over_seeds": of_seeds.sd, "beside_seeds": beside_seeds(of_seeds)} if of_seeds else {}
        rows.append({
            "target": r.key("target"), "protocol": r.key("protocol"), "changed": run.label, "run": r.run.name,
            "accuracy": r.scores.window["accuracy"], "low": interval.low, "high": interval.high,
            "whole_accuracy": whole.scores.window["accuracy"], "not_compared": why,
            "difference": paired.difference if paired else np.nan, "n_differing": paired.n if paired else 0,
            "p": paired.p if paired else np.nan, "smallest_p": paired.smallest_p if paired else np.nan,
            "effect": paired.effect if paired else np.nan,
        } | r.stamped | beside)  # fmt: skip
    table = pd.DataFrame(rows)
    if len(table):
        compared = table["p"].notna()
        table.loc[compared, "p_holm"] = statistics.adjust_holm(table.loc[compared, "p"])
    return table


def _not_same_folds(a: Result, b: Result) -> str:
    """Return why two results cannot be compared over subjects; empty if they can, at each seed that both have."""
    common = common_seeds([a, b])
    if not common:
        return f"their seeds differ ({a.seeds}; {b.seeds})"
    for seed in common:
        of_a, of_b = (_trials_in_folds(r.by_seed[seed].table) for r in (a, b))
        if of_a != of_b:
            return f"{len(of_a ^ of_b)} trials are not in the same fold"
    return ""


def _trials_in_folds(table: pd.DataFrame) -> set[tuple]:
    return set(map(tuple, table[["subject", "trial", "fold"]].drop_duplicates().to_numpy().tolist()))


def ablation_blocks(
    corpus: str,
    recipe: str,
    planned: list[tuple[Result, PlannedRun]],
    parts: list[tuple[Result, PlannedRun]],
    folder: Path,
) -> Iterator[Block]:
    """Yield a table of ablations for each target, and write their CSV file into folder/tables."""
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
        of_seeds = ["Beside the seeds"] if "beside_seeds" in rows else []
        yield Table(
            ("Changed", "Accuracy [95 % bootstrap]", "GBV-Net is above by, points", "Subjects that differ", "p",
             "p after Holm", "Smallest p possible", "Answer", *of_seeds),
            [[*_ablation_row(row), *(_text(row["beside_seeds"]) for _ in of_seeds)] for _, row in rows.iterrows()],
            f"{str(name).capitalize()}, {corpus_name(corpus)}, protocol {rows['protocol'].iloc[0]}. GBV-Net whole: "
            f"{percent(rows['whole_accuracy'].iloc[0])} %.",
        )  # fmt: skip
    yield Text(
        "How to read it: is GBV-Net above the same network with that one setting changed, on the same trials in the "
        "same folds? Wilcoxon over subjects, one-sided, Holm over the rows. “Too few subjects” means that no data of "
        "so few subjects could have given p below 0.05; “not shown” is no proof that the part is useless.", "note",
    )  # fmt: skip


def _text(value: Any) -> str:
    return value if isinstance(value, str) else NONE


def _ablation_row(row: pd.Series) -> list[str]:
    with_ci = with_interval(row["accuracy"], (row["low"], row["high"]))
    if row["not_compared"]:
        return [
            in_words(row["changed"]),
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
        in_words(row["changed"]), with_ci, f"{100 * row['difference']:+.1f}", str(row["n_differing"]),
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


def cost_blocks(
    costs: pd.DataFrame, results: Sequence[Result], runs: dict[Path, PlannedRun], folder: Path
) -> Iterator[Block]:
    """Yield the table of what the networks cost, and write tables/paper_costs.csv.

    costs : a row a network; results, runs : for the time that its trainings took
    """
    table = costs.join(_fit_times(results, runs))
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


def _cost(column: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return NONE
    if column == "flops":
        return f"{value / 1e6:,.0f} million"
    return f"{value:,.0f}" if column in ("parameters", "windows_per_s", "memory_mb", "fit_seconds") else f"{value:.1f}"


def _fit_times(results: Sequence[Result], runs: dict[Path, PlannedRun]) -> pd.DataFrame:
    """network -> mean seconds of a training over its runs, and the device."""
    rows: dict[str, list[tuple[float, str]]] = {}
    for r in results:
        run = runs.get(r.run.folder)
        if run is None or run.config.system != "gbvnet" or not r.run.environment.get("seconds"):
            continue
        trainings = r.scores.counts["folds"] * max(1, r.run.table["target"].nunique())
        each = r.run.environment["seconds"] / trainings
        rows.setdefault(network_name(run), []).append((each, str(r.run.environment.get("device"))))
    table = pd.DataFrame(
        {
            name: {"fit_seconds": np.mean([s for s, _ in times]), "fit_device": times[0][1]}
            for name, times in rows.items()
        }
    ).T
    return table.reindex(columns=["fit_seconds", "fit_device"])

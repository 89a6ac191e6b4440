"""The report's tables with every digit, for other software: tables/*.csv."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..evaluation.predictions import KEYS
from ..evaluation.score_properties import SCORE_PROPERTIES
from .results import Comparison, Result
from .seed_groups import singles_of
from .seed_section import difference_values, have_seeds, sd_values
from .tuning_section import tuning_table


def csv_tables(results: Sequence[Result], comparisons: Sequence[Comparison]) -> dict[str, pd.DataFrame]:
    """Return results, folds, subjects and, where there are any, comparisons and chosen settings: by the name of their
    file.

    Of several seeds these are of each seed, and seed_means and seed_mean_subjects are of the means over seeds.
    """
    singles = singles_of(results)
    tables = {
        "results": pd.DataFrame([_result_row(r) for r in singles]),
        "folds": pd.concat([_with_keys(r, r.scores.folds) for r in singles], ignore_index=True),
        "subjects": pd.concat([_with_keys(r, r.scores.subjects) for r in singles], ignore_index=True),
    }
    if have_seeds(results):
        groups = [r for r in results if r.members]
        means = [
            {k: v for k, v in _result_row(r).items() if k not in ("seed", "config")} | sd_values(r) for r in groups
        ]
        subjects = [
            _with_keys(r, r.scores.subjects).drop(columns="seed").assign(seeds=r.seeds) for r in groups
        ]  # fmt: skip
        tables |= {"seed_means": pd.DataFrame(means), "seed_mean_subjects": pd.concat(subjects, ignore_index=True)}
    if comparisons:
        tables["comparisons"] = pd.DataFrame(
            {"question": c.question, "kind": c.kind, "run_a": c.a.run.name, "run_b": c.b.run.name,
             "dataset": c.a.key("dataset"), "target": c.a.key("target"), "leaky": c.a.scores.leaky}
            | c.paired._asdict() | {"p_holm": c.p_holm, "conclusion": c.conclusion}
            | ({} if c.a.scores.task == "binary" else {"score": c.a.scores.main, "subjects_left_out": c.left_out})
            for c in comparisons
        ).join(difference_values(comparisons))  # fmt: skip
    if len(tuned := tuning_table(singles)):
        tables["tuning"] = tuned
    return tables


def _with_keys(result: Result, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one result with the columns that name it in front."""
    names = {"run": result.run.name} | {name: result.scores.keys[name] for name in KEYS if name != "config"}
    keys = pd.DataFrame(dict.fromkeys(names, None) | names, index=rows.index)
    return keys.assign(leaky=result.scores.leaky).join(rows)


def _result_row(result: Result) -> dict[str, Any]:
    s = result.scores
    row: dict[str, Any] = (
        {"run": result.run.name} | s.keys | {"stamps": "; ".join(s.stamps), "leaky": s.leaky} | s.counts
    )
    for name in (name for name in SCORE_PROPERTIES if name in s.folds):
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
        row |= {f"majority_{level}": s.majority[level]} if s.main == "accuracy" else {}
        row |= {f"chance_{level}_{part}": getattr(s.chance[level], part) for part in ("mean", "upper", "p")}
    row["verdict"] = s.assessment  # the column's name since gbvnet 0.1
    row |= {"outside_sha256": result.run.outside.sha256} if result.run.outside else {}
    return row if s.task == "binary" else row | _other_task(result)


def _other_task(result: Result) -> dict[str, Any]:
    """Columns that two classes do not have: the task, what its labels are, and baseline and chance of every score."""
    s, (low, high) = result.scores, result.scale or (None, None)
    row: dict[str, Any] = {"task": s.task, "score": s.main, "classes": "; ".join(s.classes)}
    row |= {"scale_low": low, "scale_high": high, "rule": result.run.config.get("rule"), "permuted": s.chance_words}
    for level in ("window", "fold", "trial"):
        row |= {f"baseline_{level}_{name}": value for name, value in s.baseline[level].items()}
        for name, chance in s.chances[level].items():
            row |= {f"chance_{level}_{name}_{part}": getattr(chance, part) for part in ("mean", "upper", "p")}
    return row

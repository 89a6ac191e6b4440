"""The report's tables of labels: what they are, and how many there are of each."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..evaluation.predictions import TRIAL
from ..evaluation.targets import scale_in_words
from ..text import shortened
from .document import Table
from .formatting import NONE, percent, protocol_name
from .results import Result

MOST_CLASSES = 20  # names of classes in a cell or a caption


def label_tables(results: Sequence[Result]) -> Iterator[Table]:
    """Yield a table for each task: what the labels of every result are, and how many there are of each."""
    of_task = {"binary": _high_table, "multiclass": _classes_table, "regression": _numbers_table}
    for task, table in of_task.items():
        of_results = [r for r in results if r.scores.task == task]
        if of_results:
            yield table(of_results)


_SIZES = ("Folds", "Subjects", "Trials", "Windows tested")


def _sizes(r: Result) -> list[str]:
    counts = r.scores.counts
    return [f"{counts['folds']}", *(f"{counts[name]:,}" for name in ("subjects", "trials", "windows"))]


def _labels(r: Result) -> str:
    """What the labels are, as the run says it."""
    return str(r.run.data.get("labels", r.run.config.get("rule", NONE)))


def _leaky(results: Sequence[Result]) -> frozenset[int]:
    return frozenset(k for k, r in enumerate(results) if r.scores.leaky)


def _high_table(results: Sequence[Result]) -> Table:
    rows = []
    for r in results:
        counts, shares = r.scores.counts, r.scores.folds["high_windows"] / r.scores.folds["windows"]
        rows.append([
            r.run.name, r.key("target"), protocol_name(r), _labels(r), *_sizes(r),
            f"{counts['high_trials']:,} / {counts['trials'] - counts['high_trials']:,}",
            percent(counts["high_windows"] / counts["windows"]),
            f"{percent(shares.min())} to {percent(shares.max())}",
        ])  # fmt: skip
    columns = ("Run", "Target", "Protocol", "What is high", *_SIZES, "Trials high / low", "High windows, %",
               "High in folds, %")  # fmt: skip
    return Table(columns, rows, text_columns=4, leaky_rows=_leaky(results))


def _classes_table(results: Sequence[Result]) -> Table:
    """A row a result and class would be long: the classes of a result stand in one cell, each with its counts."""
    rows = []
    for r in results:
        s = r.scores
        shares = {name: s.counts[f"class_{k}"] / s.counts["windows"] for k, name in enumerate(s.classes)}
        of_trials = [f"{s.counts[f'trials_class_{k}']:,}" for k in range(len(s.classes))]
        names = [
            f"{name}: {n} ({percent(share)} %)" for (name, share), n in zip(shares.items(), of_trials, strict=True)
        ]
        rows.append([
            r.run.name, r.key("target"), protocol_name(r), _labels(r), shortened(names, MOST_CLASSES, "; "), *_sizes(r),
        ])  # fmt: skip
    return Table(
        ("Run", "Target", "Protocol", "What the classes are", "Trials of each class (% of windows)", *_SIZES), rows,
        text_columns=5, leaky_rows=_leaky(results),
    )  # fmt: skip


def _numbers_table(results: Sequence[Result]) -> Table:
    rows = []
    for r in results:
        y, of_folds = r.table.drop_duplicates([*TRIAL, "recording", "window"])["y"], r.scores.folds["mean_y"]
        rows.append([
            r.run.name, r.key("target"), protocol_name(r), NONE if r.scale is None else scale_in_words(r.scale),
            *_sizes(r), f"{y.min():g} to {y.max():g}", f"{y.mean():.2f} ± {np.std(y, ddof=1):.2f}",
            f"{of_folds.min():.2f} to {of_folds.max():.2f}",
        ])  # fmt: skip
    return Table(
        ("Run", "Target", "Protocol", "Scale", *_SIZES, "Lowest to highest rating", "Mean rating ± SD",
         "Mean in folds"),
        rows, "Ratings of the tested windows.", text_columns=4, leaky_rows=_leaky(results),
    )  # fmt: skip


def classes_in_words(names: Sequence[str]) -> str:
    """Return names of classes in the order of their numbers, for a caption."""
    return shortened(names, MOST_CLASSES)

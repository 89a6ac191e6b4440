"""The report's part on a search for settings: what each fold chose, how much the choices differ, and their scores."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..config import flatten
from ..errors import GbvnetError
from ..evaluation.chosen_settings import FOLDER, ChosenSettings, read_chosen
from ..evaluation.score_properties import properties_of
from . import tuning_figure
from .document import Block, Table, Text
from .figures import write_picture
from .formatting import NONE, capital, score_text
from .results import Result, Run

MOST_FOLDS = 40  # that are shown one by one; tables/tuning.csv has all
_TOO_HIGH = (
    "The score in the tuning folds is the highest of many candidates, and so too high; only the test score measures "
    "skill."
)


def tuning_blocks(result: Result, name: str, folder: Path) -> Iterator[Block]:
    """Yield what the search of a result has chosen; nothing for a run whose settings were given.

    name : what the names of its pictures begin with; they are drawn into folder/figures
    """
    search = result.run.config.get(FOLDER)
    if not isinstance(search, dict):
        return
    try:
        chosen = chosen_of(result)
    except GbvnetError as error:
        yield Text(f"No settings of the folds: {error}", "warning")
        return
    if not chosen:
        yield Text("No settings of the folds: `tuning` in the run has no finished search for this target.", "warning")
        return
    score = properties_of(chosen[0].score_name).label
    yield Text(
        f"The settings of each fold were searched for within its own training side, without any tested window: "
        f"{max(each.candidates for each in chosen)} candidates, each scored by {score} as the mean of "
        f"{search.get('tuning_folds', NONE)} tuning folds of protocol {result.key('protocol')}"
        + (", LEAKY." if result.scores.leaky else ".")
    )
    names = list(dict.fromkeys(name for each in chosen for name in each.values)) or [*_space(result.run)]
    if len(chosen) <= MOST_FOLDS:
        yield _by_fold(result, chosen, names)
    yield _variation(result, chosen, names)
    if len(chosen) <= MOST_FOLDS and any(each.values for each in chosen):
        picture = tuning_figure.chosen_values(chosen, _space(result.run), result.title, result.scores.stamps)
        yield write_picture(
            picture, folder, f"{name}_tuning", f"Chosen settings by fold, {result.title}",
            "How to read it: a setting that matters is chosen alike in most folds; values all over their range (the "
            "grey lines are its ends) say that the data do not decide it, or that more candidates are needed.",
        )  # fmt: skip


def chosen_of(result: Result) -> list[ChosenSettings]:
    """Return what was chosen in each fold of a result, in the order of the folds. Raises BadRun for damaged files."""
    target, folders = result.key("target"), sorted((result.run.folder / FOLDER).glob("fold*/*"))
    every = [one for folder in folders if (one := read_chosen(folder)) is not None]
    return sorted((one for one in every if target in one.targets), key=lambda one: one.fold)


def tuning_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return the chosen settings of all results as a table, one row a fold; empty if none was searched for. Damaged
    files are left out, as `tuning_blocks` reports them."""
    rows: list[dict[str, Any]] = []
    for result in results:
        try:
            chosen = chosen_of(result)
        except GbvnetError:
            continue
        for one in chosen:
            about = {"run": result.run.name, "target": result.key("target"), "fold": one.fold}
            about |= {"score": one.score_name, "tuning_score": one.score, "candidate": one.number}
            about |= {"candidates": one.candidates, "failed": one.failed, "repeated": one.repeated}
            rows.append(about | one.values)
    return pd.DataFrame(rows, dtype=object)  # a whole number stays one where other runs lack the setting


def _by_fold(result: Result, chosen: Sequence[ChosenSettings], names: Sequence[str]) -> Table:
    score, given = chosen[0].score_name, flatten(result.run.config)
    of_fold = result.scores.folds.set_index("fold")[score]
    rows = []
    for one in chosen:
        values = [_text(one.values[n]) if n in one.values else f"{_text(given.get(n))} (as given)" for n in names]
        tuning = NONE if one.score is None else score_text(one.score, score)
        test = score_text(float(of_fold.get(one.fold, np.nan)), score)
        counts = [str(count) for count in (one.candidates, one.failed, one.repeated)]
        rows.append([str(one.fold), *values, tuning, test, *counts])
    label = capital(properties_of(score).label)
    columns = ("Fold", *names, f"{label}, tuning folds", f"{label}, test", "Candidates", "Failed", "Repeated")
    notes = sorted({one.note for one in chosen if one.note})
    caption = "Chosen settings of each fold. " + _TOO_HIGH + "".join(f" As given: {note}." for note in notes)
    leaky = frozenset(range(len(rows))) if result.scores.leaky else frozenset()
    return Table(columns, rows, caption + " LEAKY" * result.scores.leaky, 1 + len(names), leaky)


def _variation(result: Result, chosen: Sequence[ChosenSettings], names: Sequence[str]) -> Table:
    """How much the choices of the folds differ, a setting a row."""
    space = _space(result.run)
    rows = []
    for name in names:
        values = [one.values[name] for one in chosen if name in one.values]
        rows.append([name, _searched(space.get(name)), _spread(values, isinstance(space.get(name), dict))])
    caption = f"How much the choices of the {len(chosen)} folds differ: median and ends of numbers, counts of others."
    return Table(("Setting", "Searched", "Chosen"), rows, caption, text_columns=3)


def _space(run: Run) -> dict[str, Any]:
    search = run.config.get(FOLDER)
    space = search.get("space") if isinstance(search, dict) else None
    return space if isinstance(space, dict) else {}


def _searched(given: Any) -> str:
    if isinstance(given, dict):
        more = f", steps of {_text(given['step'])}" if given.get("step") else ", log" if given.get("log") else ""
        return f"{_text(given.get('low'))} to {_text(given.get('high'))}{more}"
    return ", ".join(map(_text, given)) if isinstance(given, list) else NONE


def _spread(values: Sequence[Any], is_range: bool) -> str:
    if not values:
        return NONE
    if is_range:
        return f"{_text(float(np.median(values)))} ({_text(min(values))} to {_text(max(values))})"
    return ", ".join(f"{value} in {count}" for value, count in Counter(map(_text, values)).most_common())


def _text(value: Any) -> str:
    """A value of a setting: numbers with three digits that count."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return f"{value:.3g}" if isinstance(value, float) else str(value)

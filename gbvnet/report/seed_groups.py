"""Results that differ by their seed alone become one result: the mean over seeds, with the single ones as members.

It makes no difference where they came from: a group of `crossval --seeds`, or run folders that were given one by one.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..config import CrossvalConfig, flatten, to_dict
from ..evaluation.seed_means import average_over_seeds
from ..evaluation.statistics import N_PERMUTATIONS
from ..text import listed, shortened
from .results import Result, Run, order_and_label
from .seed_folders import is_seed_folder

log = logging.getLogger(__name__)

FREE = ("seed", "train.memory_gib")  # settings in which the results of one group may differ
MOST_NAMES = 3  # of runs in the name of their group


def average_seeds(results: Sequence[Result], n_permutations: int = N_PERMUTATIONS) -> tuple[list[Result], list[str]]:
    """Return results with those that differ by their seed alone as one each, and what was not averaged and why.

    results : of single seeds, or groups made here before
    n_permutations : of the trial labels, for the chance of a group

    The others are returned as they are; without any group the same results in the same order, labels included.
    """
    alike: dict[tuple, list[Result]] = {}
    for result in results:
        alike.setdefault(_all_but_seed(result), []).append(result)
    averaged, notes = [], []
    for group in alike.values():
        singles = [single for result in group for single in result.by_seed.values()]
        if len(group) == 1 or len({r.key("seed") for r in singles}) < 2:
            averaged += group
            continue
        try:
            averaged.append(_average(singles, n_permutations))
        except ValueError as error:
            averaged += group
            names = shortened([r.run.name for r in singles])
            notes.append(f"Not averaged over seeds, as {error}: {names} ({group[0].key('target')}).")
    if not any(r.members for r in averaged):
        return list(results), notes
    return [_with_labelled_members(r) for r in order_and_label(_with_unique_names(averaged))], notes


def singles_of(results: Sequence[Result]) -> list[Result]:
    """Return the results of single seeds: the members of groups, and the others as they are."""
    return [single for result in results for single in result.by_seed.values()]


def _all_but_seed(result: Result) -> tuple:
    """What the results of one group have in common. Settings that a run does not name are at their defaults."""
    settings = flatten(to_dict(CrossvalConfig())) | flatten(result.run.config)
    settings = {name: repr(value) for name, value in settings.items() if name not in FREE}
    keys = tuple(result.key(name) for name in ("protocol", "system", "modality"))
    return *result.section, *keys, str(result.run.store.get("digest")), tuple(sorted(settings.items()))


def _average(singles: Sequence[Result], n_permutations: int) -> Result:
    """The mean over seeds. Raises ValueError for a seed that comes twice, or results that test other windows."""
    by_seed: dict[int, Result] = {}
    for result in singles:
        seed = int(result.scores.keys["seed"])
        if seed in by_seed:
            raise ValueError(f"seed {seed} was given twice ({by_seed[seed].run.name} and {result.run.name})")
        by_seed[seed] = result
    members = tuple(by_seed[seed] for seed in sorted(by_seed))
    first = members[0]
    run = _run_of_group([r.run for r in members], sorted(by_seed))
    log.info("averaging %s over %d seeds", run.name, len(members))
    scores = average_over_seeds({s: (r.table, r.scores) for s, r in by_seed.items()}, n_permutations)
    scores = replace(scores, stamps=first.scores.stamps)
    return Result(run, first.table, scores, "", members)


def _run_of_group(runs: Sequence[Run], seeds: list[int]) -> Run:
    """The first run, with all seeds, the mean of the seconds, and the warnings of all."""
    environment: dict[str, Any] = dict(runs[0].environment)
    seconds = [run.environment.get("seconds") for run in runs]
    if all(isinstance(value, int | float) for value in seconds):
        environment["seconds"] = float(np.mean(seconds))  # type: ignore[arg-type]
    seeds_with: dict[str, list[str]] = {}
    for seed, run in zip(seeds, runs, strict=True):
        for text in run.environment.get("findings") or []:
            seeds_with.setdefault(str(text), []).append(str(seed))
    every = len(runs)
    environment["findings"] = [
        text if len(of) == every else f"{text} (seed{'s' * (len(of) > 1)} {listed(of)})"
        for text, of in seeds_with.items()
    ]
    name = _name_of_group(runs, 1)
    return replace(runs[0], name=name, config=runs[0].config | {"seed": seeds}, environment=environment)


def _name_of_group(runs: Sequence[Run], n: int) -> str:
    """The last n folders of the runs without those of seeds if they agree; else the names of the runs."""
    names = [
        "/".join([p.name for p in (r.folder, *r.folder.parents) if not is_seed_folder(p)][n - 1 :: -1]) for r in runs
    ]
    return names[0] if len(set(names)) == 1 else shortened([run.name for run in runs], MOST_NAMES)


def _with_unique_names(results: list[Result]) -> list[Result]:
    """Groups with longer names where two groups of different runs would have one name."""
    folders: dict[str, set] = {}
    for result in results:
        folders.setdefault(result.run.name, set()).add(result.run.folder)
    return [
        replace(r, run=replace(r.run, name=_name_of_group([m.run for m in r.members], 2)))
        if r.members and len(folders[r.run.name]) > 1
        else r
        for r in results
    ]


def _with_labelled_members(result: Result) -> Result:
    members = (replace(r, label=f"{result.label} (seed {r.key('seed')})") for r in result.members)
    return replace(result, members=tuple(members))

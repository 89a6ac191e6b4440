"""Searches for settings in pure noise: how often a score is outside of chance, and how often if the test side chooses.

python -m tests.experiments.noise_runs 100          # some minutes
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from gbvnet.config import TuneConfig
from gbvnet.evaluation import predictions
from gbvnet.evaluation.plan import make_plan
from gbvnet.evaluation.statistics import permutation_chance
from gbvnet.evaluation.tuning_score import tuning_score
from gbvnet.experiments.search_space import make_space
from gbvnet.experiments.tune import tune
from gbvnet.systems import validate_config

from ..synthetic_store import write_store
from . import drawn_system

N_PERMUTATIONS = 2000
SPACE = {"options.draw": {"low": 1, "high": 10}}  # each value another coin
CONFIG = TuneConfig(
    system=drawn_system.NAME, target="valence", modality="bio", protocol="subject", folds=4, trials=10, tuning_folds=2
)


class NoiseRun(NamedTuple):
    """p : two-sided, of the accuracy by window. leaky_above : whether a choice by the test side is above chance."""

    accuracy: float
    p: float
    leaky_accuracy: float
    leaky_above: bool

    @property
    def within(self) -> bool:
        """Whether it lies within 95 % of the permutations."""
        return self.p > 0.05


def noise_runs(folder: Path, seeds: range) -> Iterator[NoiseRun]:
    """Yield a run of each seed: 8 subjects with 8 trials of 2 windows, without any effect."""
    for seed in seeds:
        store = write_store(folder / f"s{seed}", subjects=8, trials=8, windows=2, faces=False, effect=0.0, seed=seed)
        config = replace(CONFIG, seed=seed)
        result = predictions.read(tune(store, folder / f"r{seed}", config, SPACE))
        leaky = result.assign(p=leaky_choice(store, config, result))
        chance, of_leaky = (permutation_chance(each, N_PERMUTATIONS).overall["window"] for each in (result, leaky))
        yield NoiseRun(chance.score, p_two_sided(result), of_leaky.score, of_leaky.above)


def p_two_sided(result: pd.DataFrame) -> float:
    """Twice the smaller share of permutations of trial labels that score at least, or at most, as high."""
    sides = (result, result.assign(p=1 - result["p"]))
    return min(1.0, 2 * min(permutation_chance(each, N_PERMUTATIONS).overall["window"].p for each in sides))


def leaky_choice(store, config: TuneConfig, result: pd.DataFrame) -> np.ndarray:
    """The predictions (n,), in the order of `result`, of a search that takes the best candidate on the test side."""
    base = validate_config(config.crossval(), store)
    plan, space = make_plan(store, base), make_space(SPACE, base)
    (target,) = plan.targets.values()
    p, y = pd.Series(np.nan, store.windows.index), plan.labels[target.name]
    for fold in plan.folds:
        train, outputs = np.concatenate([fold.train, fold.validation]), []
        for values in space.candidates():
            one = drawn_system.System(replace(base, options={"draw": values["options.draw"]}))
            one.target = target
            outputs.append(one.fit(store, train, y.loc[train].to_numpy()).predict_proba(store, fold.test))
        p.loc[fold.test] = max(outputs, key=lambda each: tuning_score(target, y.loc[fold.test].to_numpy(), each))
    rows = store.windows[["recording", "window"]].assign(p=p)
    return result[["recording", "window"]].merge(rows, on=["recording", "window"], how="left")["p"].to_numpy()


if __name__ == "__main__":
    drawn_system.install(pytest.MonkeyPatch())
    with tempfile.TemporaryDirectory() as made:
        runs = list(noise_runs(Path(made), range(int(sys.argv[1]))))
    sys.stdout.write(
        f"{sum(run.within for run in runs)} of {len(runs)} within chance (two-sided, 95 %), "
        f"mean accuracy {np.mean([run.accuracy for run in runs]):.3f}; where the test side chooses, "
        f"{sum(run.leaky_above for run in runs)} of {len(runs)} above chance, "
        f"mean {np.mean([run.leaky_accuracy for run in runs]):.3f}\n"
    )

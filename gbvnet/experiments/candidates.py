"""The candidates of a search for settings: which is tried next, what is kept of those tried, and which is chosen.

Of a space with no more candidates than may be tried all are, in the order of the space. Of a larger one Optuna's
tree-structured Parzen estimator proposes the next from the scores of those before. Its random numbers follow from the
search and the candidate's number alone: a search that was stopped goes on as if it had not been.

FOLDER/candidates.jsonl   one line a candidate that was tried
"""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BadConfig, BadRun
from ..io.atomic import atomic_write
from ..io.records import json_record
from .search_space import Choices, Dimension, SearchSpace
from .training_seed import training_seed

log = logging.getLogger(__name__)

FILE = "candidates.jsonl"
RANDOM_FIRST = 10  # candidates that are drawn at random before the scores guide the search


class Candidate(msgspec.Struct, frozen=True):
    """Values that were tried.

    score : the mean over the tuning folds in which it is defined; None if the training failed
    fold_scores : of each tuning fold, None where it is not defined
    error : why its training failed; "" if it did not
    same_as : the number of an earlier candidate with the same values, whose scores these are
    """

    number: int  # from 1
    values: dict[str, Any]
    score: float | None = None
    fold_scores: list[float | None] = []
    error: str = ""
    same_as: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Proposals:
    """The source of candidates for one search.

    seed, name : of the search, from which its random numbers follow
    """

    space: SearchSpace
    seed: int
    name: str

    def next(self, tried: Sequence[Candidate], exhaustive: bool) -> dict[str, Any]:
        """Return the values of the candidate after those that were tried.

        exhaustive : whether all candidates of the space are tried, in its order
        """
        if exhaustive:
            return next(islice(self.space.candidates(), len(tried), None))
        with _quiet_optuna() as optuna:
            seed = training_seed(self.seed, f"{self.name}, candidate {len(tried) + 1}")
            sampler = optuna.samplers.TPESampler(
                seed=seed, multivariate=True, constant_liar=False, n_startup_trials=RANDOM_FIRST
            )
            study = optuna.create_study(direction="maximize", sampler=sampler)
            distributions = {name: _distribution(optuna, d) for name, d in self.space.dimensions.items()}
            for one in tried:
                state = optuna.trial.TrialState.FAIL if one.score is None else optuna.trial.TrialState.COMPLETE
                study.add_trial(
                    optuna.trial.create_trial(
                        state=state, value=one.score, params=one.values, distributions=distributions
                    )
                )
            return dict(study.ask(distributions).params)


def require_optuna() -> None:
    """Raise BadConfig if Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError:
        raise BadConfig("tune needs Optuna: pip install 'gbvnet[tune]'") from None


def choose(tried: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate with the highest score, of equal ones the first; None if all have failed."""
    scored = [one for one in tried if one.score is not None]
    return max(scored, key=lambda one: one.score or 0.0, default=None)  # max keeps the first


def repeat_of(values: dict[str, Any], tried: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate to keep for values that were tried before: training again would give the same scores."""
    earlier = next((one for one in tried if one.values == values), None)
    if earlier is None:
        return None
    return msgspec.structs.replace(
        earlier, number=len(tried) + 1, same_as=earlier.same_as or earlier.number, seconds=0.0
    )


def read_candidates(folder: Path) -> list[Candidate]:
    """Return the candidates that were tried; none if there is no file yet. Raises BadRun if it is damaged."""
    file = folder / FILE
    try:
        tried = [json_record(line, Candidate) for line in file.read_text(encoding="utf-8").splitlines()]
        if [one.number for one in tried] != list(range(1, len(tried) + 1)):
            raise ValueError("the numbers of the candidates are not 1, 2, 3 ...")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        damage = f"a file that cannot be read ({error})"
        raise BadRun(file, "one line a candidate", damage, "Delete it to search again.") from None
    return tried


def count_candidates(folder: Path) -> int:
    """Return how many candidates were tried so far."""
    try:
        return (folder / FILE).read_bytes().count(b"\n")
    except OSError:
        return 0


def write_candidates(folder: Path, tried: Sequence[Candidate]) -> None:
    """Write the candidates that were tried, atomically."""
    lines = [json.dumps(msgspec.to_builtins(one)) for one in tried]
    atomic_write(folder / FILE, "".join(f"{line}\n" for line in lines).encode())


@contextmanager
def _quiet_optuna() -> Iterator[Any]:
    """Optuna, without its log lines and its warnings of what is experimental, in every version from 4.2 on."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield optuna
    finally:
        optuna.logging.set_verbosity(verbosity)


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    of = optuna.distributions
    if isinstance(dimension, Choices):
        return of.CategoricalDistribution(dimension.values)
    low, high, log_scale, step = dimension.low, dimension.high, dimension.log, dimension.step
    if dimension.whole:
        return of.IntDistribution(low, high, log=log_scale, step=1 if step is None else step)
    return of.FloatDistribution(low, high, log=log_scale, step=step)

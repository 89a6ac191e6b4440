"""An audit's folder as results: the system under each protocol, its probes, and how far the LEAKY score is inflated.

Everything is computed from the predictions tables of the audit's runs. No torch.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pandas as pd

from ..errors import BadRun
from ..evaluation import metrics, statistics
from ..evaluation.seed_means import SeedDifference, difference_over_seeds
from ..evaluation.statistics import N_PERMUTATIONS
from ..io.records import convert
from ..io.safe_load import from_json
from ..provenance import is_leaky, with_current_key
from .formatting import percent
from .results import Result, common_seeds, read_results
from .seed_folders import folder_of_seed
from .seed_groups import average_seeds

FILE = "audit.json"
FORMAT = 1
_RUN = re.compile(r"[\w+-]{1,80}/\w[\w+.-]{0,80}")  # role/name: a folder in the audit's, and no other
PROBE_PERMUTATIONS = 1000  # of a probe only the 97.5th percentile is shown


def is_audit(folder: Path) -> bool:
    """Return whether a folder holds an audit."""
    return (Path(folder) / FILE).is_file()


@dataclass(frozen=True)
class Inflation:
    """How far the LEAKY protocol is above an honest one, on the same windows, over subjects."""

    honest: str  # protocol
    leaky_score: float  # the headline score on the windows that the honest protocol tests
    honest_score: float
    subjects: pd.DataFrame  # subject, leaky, honest: NaN where the score is undefined
    paired: statistics.PairedTest  # over the subjects of whom both are defined
    p_holm: float = float("nan")
    seeds: SeedDifference | None = None  # how it varies over seeds, if there are several

    @property
    def difference(self) -> float:
        """The leaky score above the honest one."""
        return self.leaky_score - self.honest_score

    @property
    def points(self) -> float:
        """The difference of accuracies in percentage points."""
        return 100 * self.difference

    @property
    def left_out(self) -> int:
        """How many subjects have an undefined score, and are in no test."""
        return len(self.subjects) - len(self.subjects.dropna())


@dataclass(frozen=True)
class Audit:
    """A finished audit, read."""

    folder: Path
    about: dict[str, Any]
    results: dict[str, Result]  # "role/name" -> scores

    def of_role(self, role: str) -> dict[str, Result]:
        """Return the results of one part of the audit, by the name of their run."""
        return {name.split("/", 1)[1]: r for name, r in self.results.items() if name.startswith(f"{role}/")}

    @cached_property
    def by_protocol(self) -> dict[str, Result]:
        """The results on the real labels by protocol, in the order of the audit: the leaky one first."""
        return self.of_role("ladder")

    @property
    def failed(self) -> dict[str, str]:
        """The errors of parts that failed at one of several seeds, by their folder."""
        return self.about.get("failed") or {}

    @property
    def leaky(self) -> Result:
        """The result under the LEAKY protocol window."""
        return self.by_protocol["window"]

    @property
    def honest(self) -> dict[str, Result]:
        """The results under the other protocols, by protocol."""
        return {name: r for name, r in self.by_protocol.items() if not is_leaky(name)}

    @property
    def shuffled(self) -> list[Result]:
        """The results under the LEAKY protocol on shuffled labels."""
        return list(self.of_role("shuffled").values())

    @cached_property
    def inflations(self) -> list[Inflation]:
        """The inflation against each honest protocol, with Holm's adjustment over them."""
        inflations = [compute_inflation(self.leaky, r) for r in self.honest.values()]
        adjusted = statistics.adjust_holm([i.paired.p for i in inflations])
        return [replace(i, p_holm=float(p)) for i, p in zip(inflations, adjusted, strict=True)]


class _Identity(msgspec.Struct):
    """One entry of `identities` in audit.json."""

    what: str
    modality: Literal["face", "bio"]
    accuracy: float
    chance: float
    classes: int
    windows: int


class _Seeded(msgspec.Struct):
    """The seeds at which a run of the audit is finished; only in an audit of several seeds."""

    seeds: list[int] = []


class _Settings(msgspec.Struct):
    """What is read of its settings."""

    seed: int = 0


class _About(msgspec.Struct):
    """What the report needs of audit.json, besides the names of its runs."""

    store: dict[str, Any]
    runs: list[_Seeded]
    config: _Settings = msgspec.field(default_factory=_Settings)
    identities: list[_Identity] | None = None
    failed: dict[str, str] = {}


def read_audit(folder: Path) -> Audit:
    """Read an audit's folder and score its runs. Raises BadRun."""
    folder = Path(folder)
    try:
        about = from_json((folder / FILE).read_text())
        names = [f"{run['role']}/{run['name']}" for run in about["runs"]]
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}")
        odd = [name for name in names if not _RUN.fullmatch(name)]
        if odd:
            raise ValueError(f"a run called {odd[0]!r:.100}")
        if "ladder/window" not in names:
            raise KeyError("ladder/window")
        read = convert(about, _About)
        about["store"] = with_current_key(about["store"])
    except FileNotFoundError:
        raise BadRun(folder, f"an audit, with {FILE} in it", "none", "Make it with `gbvnet audit`.") from None
    except KeyError as error:
        again = "Give the same `gbvnet audit` command again: it goes on where it stopped."
        raise BadRun(folder, "a finished audit", f"one without its {error.args[0]}", again) from None
    except (OSError, ValueError, TypeError) as error:
        raise BadRun(folder / FILE, "an audit", f"a file that cannot be read ({error})") from None
    seeds = {name: run.seeds or [read.config.seed] for name, run in zip(names, read.runs, strict=True)}
    return Audit(folder, about, {name: _read_part(folder, name, seeds[name], read.config.seed) for name in names})


def _read_part(folder: Path, name: str, seeds: list[int], first_seed: int) -> Result:
    """The result of one part of an audit, over its seeds. Raises BadRun if one of its runs cannot be used."""
    n = N_PERMUTATIONS if name.startswith("ladder/") else PROBE_PERMUTATIONS
    folders = [(folder if seed == first_seed else folder_of_seed(folder, seed)) / name for seed in seeds]
    results, errors = read_results(folders, (), n)
    if errors:
        raise errors[0]
    averaged, notes = average_seeds(results, n)
    if len(averaged) > 1:  # the first alone would stand beside means of the other parts
        actual = " ".join(notes) or "results of other settings or other stores"
        remedy = "Delete the folders of this part that differ, and give the same `gbvnet audit` command again."
        raise BadRun(folder / name, "results of its seeds that can be averaged", actual, remedy)
    return averaged[0]


def compute_inflation(leaky: Result, honest: Result) -> Inflation:
    """Return the headline score of a leaky result above that of an honest one, on the windows that both test.

    p is of a one-sided paired Wilcoxon test over subjects, not yet adjusted for the number of protocols. Of several
    seeds all is of the means over the seeds that both have. Raises BadRun if they have none in common.
    """
    common = common_seeds([leaky, honest])
    if not common:
        remedy = "Give the same `gbvnet audit` command again: it goes on where it stopped."
        expected = f"protocols {leaky.key('protocol')} and {honest.key('protocol')} at one seed or more"
        raise BadRun(honest.run.folder, expected, f"seeds {leaky.seeds}, and {honest.seeds}", remedy)
    main = honest.scores.main
    pairs = {seed: _on_same_windows(leaky.by_seed[seed].table, honest.by_seed[seed].table, main) for seed in common}
    overall = np.mean([both for both, _ in pairs.values()], axis=0)
    by_seed = {side: {s: of[side] for s, (_, of) in pairs.items()} for side in ("leaky", "honest")}
    subjects = pd.DataFrame({side: pd.DataFrame(of).mean(axis=1, skipna=False) for side, of in by_seed.items()})
    defined = subjects.dropna()
    paired = statistics.paired_test(defined["leaky"], defined["honest"])
    return Inflation(
        honest.key("protocol"), float(overall[0]), float(overall[1]), subjects.rename_axis("subject").reset_index(),
        paired, seeds=difference_over_seeds(by_seed["leaky"], by_seed["honest"]),
    )  # fmt: skip


def _on_same_windows(leaky: pd.DataFrame, honest: pd.DataFrame, main: str) -> tuple[list[float], pd.DataFrame]:
    """The headline score of both tables on the windows of `honest`, and that of each subject (leaky, honest)."""
    names = ["recording", "window"]
    same = leaky.merge(honest[names].drop_duplicates(), on=names)
    task = metrics.metrics_of(honest)
    overall = [task.compute(t, (main,))[main] for t in (same, honest)]
    by_subject = [
        pd.Series({subject: task.compute(rows, (main,))[main] for subject, rows in t.groupby("subject")}, dtype=float)
        for t in (same, honest)
    ]
    return overall, pd.DataFrame({"leaky": by_subject[0], "honest": by_subject[1]})


def identity_row(i: dict[str, Any]) -> list[str]:
    """Return one classifier of subjects or trials as cells of a table."""
    by = {"face": "face", "bio": "signals"}[i["modality"]]
    what = {"person": "subject"}.get(i["what"], str(i["what"]))  # the word in files of gbvnet 0.1
    return [
        what, by, percent(i["accuracy"]), percent(i["chance"]), f"{i['classes']:,}", f"{i['windows']:,}"
    ]  # fmt: skip

"""The results of contract checks, and the error that lists every broken promise."""

import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from typing_extensions import override

from ..errors import GbvnetError

Outcome: TypeAlias = tuple[str, str | None]  # the name of a promise, and what happened instead; None if it is kept

PACKAGE = Path(__file__).parent.parent
WORKS = "works"  # the promise that an unexpected error breaks
LONGEST = 400  # characters of an error in a message


class Promise(NamedTuple):
    """One promise of a contract: what it says, and how to keep it."""

    contract: str
    remedy: str


@dataclass(frozen=True)
class CheckResult:
    """Whether one promise is kept in one case.

    promise : its short name. case : on which data it was checked ("task binary, modality eeg")
    contract : what is promised. happened : what happened instead, None if the promise is kept. remedy : how to keep it
    """

    promise: str
    case: str
    contract: str
    happened: str | None
    remedy: str

    @property
    def kept(self) -> bool:
        """Whether the promise is kept."""
        return self.happened is None

    @override
    def __str__(self) -> str:
        head = f"{self.promise} ({self.case})"
        if self.kept:
            return f"{head}: kept"
        return f"{head}\n   contract: {self.contract}\n   happened: {self.happened}\n   remedy:   {self.remedy}"


class ContractBroken(AssertionError, GbvnetError):
    """Some promises of a contract are broken. `results` holds all results, those of kept promises too."""

    def __init__(self, title: str, results: list[CheckResult]):
        self.title, self.results = title, results
        broken = [result for result in results if not result.kept]
        lines = [f"{title}: {len(broken)} of {len(results)} checks failed"]
        lines += [f"\n{number}. {result}" for number, result in enumerate(broken, 1)]
        super().__init__("\n".join(lines))

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.title, self.results)


class Checks:
    """Runs checks and collects their results. `promises` holds each promise by its name, WORKS among them."""

    def __init__(self, promises: Mapping[str, Promise]):
        self.promises = promises
        self.results: list[CheckResult] = []

    def run(self, case: str, outcomes: Iterator[Outcome]) -> bool:
        """Add the outcomes of one check; return whether all were kept. An error that it raises is a broken promise."""
        before = len(self.results)
        try:
            for promise, happened in outcomes:
                self._add(promise, case, happened)
        except Exception as error:
            self._add(WORKS, case, describe(error))
        return all(result.kept for result in self.results[before:])

    def _add(self, promise: str, case: str, happened: str | None) -> None:
        contract, remedy = self.promises[promise]
        self.results.append(CheckResult(promise, case, contract, happened, remedy))

    def finish(self, title: str, raise_on_error: bool) -> list[CheckResult]:
        """Return all results. Raises ContractBroken if a promise is broken, unless that is not wanted."""
        if raise_on_error and not all(result.kept for result in self.results):
            raise ContractBroken(title, self.results)
        return self.results


def describe(error: BaseException) -> str:
    """Return an error in one line, with the place in the checked code where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if PACKAGE not in Path(f.filename).parents and not _is_library(f.filename)]
    place = (own or list(frames))[-1] if frames else None
    text = " ".join(str(error).split())
    text = text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."
    where = f" ({Path(place.filename).name}, line {place.lineno})" if place else ""
    return f"{type(error).__name__}: {text}{where}"


def _is_library(file: str) -> bool:
    return "site-packages" in file or file.startswith(("<", sys.base_prefix))

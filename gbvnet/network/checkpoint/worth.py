"""What a model is worth, in a sentence beside every prediction: its scores in cross-validations, or that none is known.

A model for use was trained on everything, so nothing is left to test it on. `gbvnet train --runs` notes in its folder
what cross-validations with the same settings found, one entry a target and protocol (`tests` in config.json).
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

from ...config import PROTOCOLS, RATINGS
from .folder import plain, printable

UNTESTED = "never tested on unseen subjects"
SCALE = 9  # ratings are 1 to 9
# What makes a rating high, by the rule that a model was trained with.
HIGH = {
    ">=5": f"the rating is 5 or more of {SCALE}",
    ">5": f"the rating is above 5 of {SCALE}",
    "median": f"the rating (1 to {SCALE}) is above the subject's own median",
}


@dataclass(frozen=True)
class CrossvalScore:
    """What one cross-validation found for one target. Accuracies are shares of windows, 0 to 1."""

    target: str
    protocol: str
    accuracy: float
    low: float | None  # 95 % bootstrap interval of the accuracy; None where there is only one unit to resample
    high: float | None
    unit: str  # what the interval resamples: subjects or trials
    chance: float  # what chance reaches at most: the 97.5th percentile of permutations
    majority: float  # accuracy of always giving the majority class
    trials: float  # share of trials that are right, by the mean logit of their windows
    verdict: str

    @property
    def unseen_subjects(self) -> bool:
        """Whether it was tested on subjects that it was not trained on."""
        return "subject" in self.protocol

    def __str__(self) -> str:
        on = "subjects not seen in training" if self.unseen_subjects else "new trials of subjects seen in training"
        return (
            f"{self.target} right in {self.accuracy:.1%} of windows{self._interval} on {on} (protocol {self.protocol}; "
            f"chance up to {self.chance:.1%}, majority class {self.majority:.1%}: {self.verdict})"
        )

    @property
    def brief(self) -> str:
        """The same for a cell of a table."""
        return (
            f"{self.target} right in {self.accuracy:.1%} of windows, chance up to {self.chance:.1%} "
            f"(protocol {self.protocol})"
        )

    @property
    def card_line(self) -> tuple[str, str]:
        """What was tested, and the scores in a line, for the table of a model's card."""
        return f"{self.target}, protocol {self.protocol}", (
            f"{self.accuracy:.1%} of windows{self._interval}, {self.trials:.1%} of trials; "
            f"chance up to {self.chance:.1%}, majority class {self.majority:.1%}: {self.verdict}"
        )

    @property
    def _interval(self) -> str:
        return (
            ""
            if self.low is None or self.high is None
            else (f" [{self.low:.1%} to {self.high:.1%}, 95 % bootstrap over {self.unit}]")
        )


def as_notes(scores: list[CrossvalScore]) -> list[dict[str, Any]]:
    """What a model's config.json keeps of them."""
    return [asdict(score) for score in scores]


def worth(about: dict[str, Any]) -> str:
    """One or two sentences for whoever reads a prediction of this model; `about` is its config's, and may be anybody's.

    Accuracy, interval, chance and protocol of its cross-validations; or that it was never tested on unseen subjects.
    """
    told = [str(score) for score in _scores(about)] or _older_scores(about)
    if not told:
        return _unknown(about)
    first = "" if _on_unseen_subjects(told) else f"This model was {UNTESTED}. "
    data = printable(plain(about.get("dataset", "the same data")))
    return f"{first}In cross-validations with its settings on {data}: {'; '.join(told)}."


def high_means(about: dict[str, Any]) -> str:
    """What a probability of this model is the probability of, as "the rating is 5 or more of 9"."""
    return HIGH.get(str(about.get("threshold")), "the rating is high (the model does not say by which rule)")


def brief_worth(about: dict[str, Any]) -> str:
    """The same for a cell of a table: accuracies with chance and protocol, or that it was never tested."""
    told = [score.brief for score in _scores(about)] or _older_scores(about)
    if not told and "subject" in str(about.get("protocol")) and "scores" not in about:
        return "accuracy: see the report of its cross-validation"
    return "; ".join(told if _on_unseen_subjects(told) else [UNTESTED, *told])


def _on_unseen_subjects(told: list[str]) -> bool:
    return "protocol subject" in " ".join(told)


def _unknown(about: dict[str, Any]) -> str:
    protocol = about.get("protocol")
    if "scores" in about or protocol not in PROTOCOLS:
        return f"This model was {UNTESTED}: no cross-validation with its settings is known, nor how often it is right."
    fold = f"This model is of one fold of a cross-validation (protocol {protocol})"
    if "subject" in protocol:
        return f"{fold}: how often it is right on unseen subjects is in the report of that run."
    return f"{fold} and was {UNTESTED}: how often it is right in other trials is in the report of that run."


def _scores(about: dict[str, Any]) -> list[CrossvalScore]:
    noted = about.get("tests")
    scores = [score for score in map(_score, noted if isinstance(noted, list) else []) if score is not None]
    return sorted(scores, key=lambda score: not score.unseen_subjects)


def _score(noted: Any) -> CrossvalScore | None:
    """An entry of a model's config, which anybody may have written; None for what is none of ours."""
    if not isinstance(noted, dict) or set(noted) != {field.name for field in fields(CrossvalScore)}:
        return None
    if noted["target"] not in RATINGS or noted["protocol"] not in PROTOCOLS:
        return None
    if not all(_is_share(noted[name]) for name in ("accuracy", "chance", "majority", "trials")):
        return None
    if not all(noted[name] is None or _is_share(noted[name]) for name in ("low", "high")):
        return None
    words = {name: printable(str(noted[name])) for name in ("unit", "verdict")}
    return CrossvalScore(**(noted | words))


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _older_scores(about: dict[str, Any]) -> list[str]:
    """Of a model that was trained before `tests` were noted: its card's lines."""
    scores = about.get("scores")
    return [printable(f"{name}: {plain(value)}") for name, value in scores.items()] if isinstance(scores, dict) else []

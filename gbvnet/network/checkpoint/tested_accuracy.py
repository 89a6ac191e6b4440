"""The accuracy of a model, stated beside every prediction: its scores in cross-validations, or that none is known.

A model for prediction is trained on all data, so that none is left to test it on. `gbvnet train --runs` records the
scores of cross-validations with the same settings, one entry per target and protocol (`tests` in config.json).
"""

from typing import Annotated, Any, TypeAlias

import msgspec
from typing_extensions import override

from ...config import PROTOCOLS
from ...datasets.label_columns import NAME
from ...evaluation.targets import rule_in_words, scale_in_words
from ...io.records import convert
from ...text import listed
from .folder import plain, printable

UNTESTED = "never tested on unseen subjects"
SCALE = 9  # ratings are 1 to 9
# The positive (high) class, by the rule that a model was trained with.
POSITIVE_CLASS = {
    ">=5": f"the rating is 5 or more of {SCALE}",
    ">5": f"the rating is above 5 of {SCALE}",
    "median": f"the rating (1 to {SCALE}) is above the subject's own median",
}

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Correlation = Annotated[float, msgspec.Meta(ge=-1, le=1)]
Error = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class _Tested(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"status": "verdict"}):
    """A target and the protocol by which its cross-validation was tested."""

    target: str
    protocol: str

    @property
    def unseen_subjects(self) -> bool:
        """Whether the test subjects were not in the training."""
        return "subject" in self.protocol

    @property
    def tested_on(self) -> str:
        """What the test side was, in words."""
        return "subjects not seen in training" if self.unseen_subjects else "new trials of subjects seen in training"


def _interval(low: str, high: str, unit: str) -> str:
    return f" [{low} to {high}, 95 % bootstrap over {unit}]"


class ConcordanceScore(_Tested, frozen=True, forbid_unknown_fields=True, rename={"status": "verdict"}):
    """The scores of one cross-validation that predicts a rating: CCC over windows, errors in the rating's own units."""

    ccc: Correlation
    low: Correlation | None  # 95 % bootstrap interval of the CCC; None where there is only one unit to resample
    high: Correlation | None
    unit: str  # that the interval resamples: subjects or trials
    chance: Correlation  # upper limit of chance: the 97.5th percentile of permutations
    mae: Error
    constant_mae: Error  # of always predicting the mean rating of the training
    status: str  # the assessment against chance, as in the report

    @override
    def __str__(self) -> str:
        return (
            f"{self.target} with CCC {self.ccc:.2f}{self._interval} on {self.tested_on} (protocol {self.protocol}; "
            f"chance up to {self.chance:.2f}; mean absolute error {self.mae:.2f}, of the constant mean "
            f"{self.constant_mae:.2f}: {self.status})"
        )

    @property
    def summary(self) -> str:
        """CCC, chance and protocol, for a cell of a table."""
        return f"{self.target} with CCC {self.ccc:.2f}, chance up to {self.chance:.2f} (protocol {self.protocol})"

    @property
    def card_line(self) -> tuple[str, str]:
        """Target with protocol, and the scores in a line, for the table of a model card."""
        return f"{self.target}, protocol {self.protocol}", (
            f"CCC {self.ccc:.2f}{self._interval}, chance up to {self.chance:.2f}; mean absolute error {self.mae:.2f}, "
            f"of the constant mean {self.constant_mae:.2f}: {self.status}"
        )

    @property
    def _interval(self) -> str:
        if self.low is None or self.high is None:
            return ""
        return _interval(f"{self.low:.2f}", f"{self.high:.2f}", self.unit)


class CrossvalScore(_Tested, frozen=True, forbid_unknown_fields=True, rename={"status": "verdict"}):
    """The scores of one cross-validation for one target of classes. Accuracies are fractions of windows, 0 to 1."""

    accuracy: Share
    low: Share | None  # 95 % bootstrap interval of the accuracy; None where there is only one unit to resample
    high: Share | None
    unit: str  # that the interval resamples: subjects or trials
    chance: Share  # upper limit of chance: the 97.5th percentile of permutations
    majority: Share  # accuracy of always giving the majority class
    trials: Share  # accuracy of trials, by the mean logit of their windows
    status: str  # the assessment against chance, as in the report

    @override
    def __str__(self) -> str:
        return (
            f"{self.target} right in {self.accuracy:.1%} of windows{self._interval} on {self.tested_on} "
            f"(protocol {self.protocol}; "
            f"chance up to {self.chance:.1%}, majority class {self.majority:.1%}: {self.status})"
        )

    @property
    def summary(self) -> str:
        """Accuracy, chance and protocol, for a cell of a table."""
        return (
            f"{self.target} right in {self.accuracy:.1%} of windows, chance up to {self.chance:.1%} "
            f"(protocol {self.protocol})"
        )

    @property
    def card_line(self) -> tuple[str, str]:
        """Target with protocol, and the scores in a line, for the table of a model card."""
        return f"{self.target}, protocol {self.protocol}", (
            f"{self.accuracy:.1%} of windows{self._interval}, {self.trials:.1%} of trials; "
            f"chance up to {self.chance:.1%}, majority class {self.majority:.1%}: {self.status}"
        )

    @property
    def _interval(self) -> str:
        if self.low is None or self.high is None:
            return ""
        return _interval(f"{self.low:.1%}", f"{self.high:.1%}", self.unit)


AnyScore: TypeAlias = CrossvalScore | ConcordanceScore


def as_notes(scores: list[AnyScore]) -> list[dict[str, Any]]:
    """Return the scores as `tests` of a model's config.json."""
    return [msgspec.to_builtins(score) for score in scores]


def accuracy_statement(about: dict[str, Any]) -> str:
    """Return one or two sentences for readers of a prediction of this model.

    They state accuracy, interval, chance and protocol of its cross-validations, or that it was never tested on unseen
    subjects. about : of its config.json, which may have any content.
    """
    scores = [str(score) for score in _scores(about)] or _older_scores(about)
    if not scores:
        return _no_scores(about)
    first = "" if _on_unseen_subjects(scores) else f"This model was {UNTESTED}. "
    data = printable(plain(about.get("dataset", "the same data")))
    return f"{first}In cross-validations with its settings on {data}: {'; '.join(scores)}."


def positive_class(about: dict[str, Any]) -> str:
    """Return the event whose probability this model gives, as "the rating is 5 or more of 9"."""
    rule = str(about.get("rule", about.get("threshold")))
    try:
        scales = convert(about.get("scales", []), list[tuple[float, float]])
    except ValueError:
        scales = []
    if any(scale != (1, 9) for scale in scales):
        on = listed(list(dict.fromkeys(map(scale_in_words, scales))))
        return f"the rating is high ({rule_in_words(rule)}, on a scale from {on})"
    words = rule_in_words(rule)
    unknown = "the rating is high (the model does not say by which rule)"
    return POSITIVE_CLASS.get(rule, f"the rating is high ({words})" if words != rule else unknown)


def accuracy_summary(about: dict[str, Any]) -> str:
    """Return the same for a cell of a table: accuracies with chance and protocol, or that it was never tested."""
    scores = [score.summary for score in _scores(about)] or _older_scores(about)
    if not scores and "subject" in str(about.get("protocol")) and "scores" not in about:
        return "accuracy: see the report of its cross-validation"
    return "; ".join(scores if _on_unseen_subjects(scores) else [UNTESTED, *scores])


def _on_unseen_subjects(scores: list[str]) -> bool:
    return "protocol subject" in " ".join(scores)


def _no_scores(about: dict[str, Any]) -> str:
    protocol = about.get("protocol")
    if "scores" in about or protocol not in PROTOCOLS:
        return f"This model was {UNTESTED}: no cross-validation with its settings is known, nor how often it is right."
    fold = f"This model is of one fold of a cross-validation (protocol {protocol})"
    if "subject" in protocol:
        return f"{fold}: how often it is right on unseen subjects is in the report of that run."
    return f"{fold} and was {UNTESTED}: how often it is right in other trials is in the report of that run."


def _scores(about: dict[str, Any]) -> list[AnyScore]:
    tests = about.get("tests")
    scores = [score for score in map(_score, tests if isinstance(tests, list) else []) if score is not None]
    return sorted(scores, key=lambda score: not score.unseen_subjects)


def _score(entry: Any) -> AnyScore | None:
    """An entry of `tests`, which may have any content; None if it is no score of this format."""
    try:
        is_rating = isinstance(entry, dict) and "ccc" in entry
        score: AnyScore = convert(entry, ConcordanceScore if is_rating else CrossvalScore)
    except ValueError:
        return None
    if not NAME.fullmatch(score.target) or score.protocol not in PROTOCOLS:
        return None
    return msgspec.structs.replace(score, unit=printable(score.unit), status=printable(score.status))


def _older_scores(about: dict[str, Any]) -> list[str]:
    """The scores of a model that was trained by a version without `tests`: the lines of its card."""
    scores = about.get("scores")
    return [printable(f"{name}: {plain(value)}") for name, value in scores.items()] if isinstance(scores, dict) else []

"""How the results of each task are spoken of: the headline score, its unit and its baseline, and what stands beside it.

Sections, figures and sentences ask here. How the digits of a score are shown is `formatting.score_text`.
"""

from dataclasses import dataclass, replace

from ..evaluation.prediction_schema import Task
from ..evaluation.score_properties import properties_of
from ..evaluation.scores import Scores
from .formatting import capital, in_percent, score_text

LAST_DIGIT = 0.001  # of a headline score: a tenth of a per cent, or a thousandth


@dataclass(frozen=True)
class TaskWords:
    """The words of one task."""

    score: str  # name of the headline score, as Scores.main
    headline: str  # its name within a sentence
    axis: str  # title of an axis with it
    baseline: str  # what needs no input, within a sentence
    baseline_column: str  # title of a column with the headline score of the baseline
    own_baseline_column: str  # the same of each subject's own
    own_baseline: str
    difference_unit: str
    beside: tuple[str, ...]  # scores that tables show beside the headline score, by window and by trial
    of_subjects: tuple[str, ...]  # scores that are also given as mean of subjects
    undefined: str  # the score that is counted as undefined for subjects whose labels are all equal
    ranked_beside: tuple[str, ...]  # scores that a comparison of systems shows beside the headline score

    @property
    def title(self) -> str:
        """The title of a table or figure of the headline score."""
        return capital(self.axis)

    @property
    def by_window(self) -> str:
        """The headline score in the caption of a table: "accuracy by window, %", "CCC by window"."""
        return f"{self.headline} by window" + (", %" if self.unit else "")

    @property
    def baseline_is_zero(self) -> bool:
        """Whether the baseline always scores 0, as the CCC of a constant does: a line in a figure, and no column."""
        return self.score == "ccc"

    @property
    def unit(self) -> str:
        """What stands behind a value of the headline score in a sentence."""
        return " %" if in_percent(self.score) else ""

    @property
    def factor(self) -> float:
        """What a value is multiplied by for the axis of a figure."""
        return 100 if in_percent(self.score) else 1

    def value(self, value: float) -> str:
        """Return a value of the headline score as digits."""
        return score_text(value, self.score)

    def in_words(self, value: float) -> str:
        """Return a value of the headline score with its unit: "58.3 %", "0.412"."""
        return self.value(value) + self.unit

    def difference(self, value: float) -> str:
        """Return a difference of two values with its sign: "+1.2" in points, "+0.120" of CCC."""
        return f"{100 * value:+.1f}" if in_percent(self.score) else f"{value:+.3f}"

    def with_difference_unit(self, difference: str) -> str:
        """Return a difference as digits with its unit: "+1.2 points", "+0.120 in CCC"."""
        return f"{difference} {self.difference_unit}" if in_percent(self.score) else f"{difference} in {self.headline}"


_BINARY = TaskWords(
    score="accuracy",
    headline="accuracy",
    axis="accuracy, % of windows",
    baseline="majority",
    baseline_column="Majority",
    own_baseline_column="Own majority",
    own_baseline="each subject's majority class, which needs no signal",
    difference_unit="points",
    beside=("balanced_accuracy", "macro_f1", "auc", "mcc"),
    of_subjects=("auc", "mcc"),
    undefined="auc",
    ranked_beside=("balanced_accuracy", "auc"),
)
WORDS: dict[Task, TaskWords] = {
    "binary": _BINARY,
    "multiclass": replace(
        _BINARY,
        beside=("balanced_accuracy", "macro_f1", "kappa", "auc"),
        of_subjects=("kappa", "auc"),
        ranked_beside=("balanced_accuracy", "kappa"),
    ),
    "regression": TaskWords(
        score="ccc",
        headline="CCC",
        axis="CCC by window",
        baseline="constant mean",
        baseline_column="Constant mean",
        own_baseline_column="Own mean",
        own_baseline="each subject's mean rating, which needs no signal",
        difference_unit="CCC",
        beside=("pearson", "rmse", "mae"),
        of_subjects=("pearson",),
        undefined="ccc",
        ranked_beside=("pearson", "rmse"),
    ),
}
COLUMNS = {
    "accuracy": "Accuracy", "balanced_accuracy": "Balanced", "macro_f1": "Macro-F1", "auc": "AUC", "mcc": "MCC",
    "kappa": "Cohen's kappa", "ccc": "CCC", "pearson": "Pearson r", "rmse": "RMSE / constant mean",
    "mae": "MAE / constant mean",
}  # fmt: skip


def words_of(scores: Scores) -> TaskWords:
    """Return the words of the task that scores are of."""
    return WORDS[scores.task]


def score_cell(scores: Scores, level: str, name: str) -> str:
    """Return a pooled score as a cell of a table: an error in units of the rating beside that of the constant mean.

    level : window or trial. name : of a score in COLUMNS
    """
    text = score_text((scores.window if level == "window" else scores.trial)[name], name)
    if not properties_of(name).in_units_of_rating:
        return text
    return f"{text} / {score_text(scores.baseline[level][name], name)}"

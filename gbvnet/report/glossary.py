"""The terms of a report, and the function that computes each column of its tables.

TERMS and SOURCES are those of two classes; `terms_of` and `sources_of` give what reports of other tasks need.
"""

from collections.abc import Collection

from ..evaluation.prediction_schema import Task
from ..evaluation.statistics import CHANCE_PERCENTILE, N_PERMUTATIONS, N_RESAMPLES
from .formatting import BOOTSTRAP_COLUMN
from .summary import TWO_TESTS

TERMS = (
    ("window (LEAKY)", "Windows are assigned to folds at random, as in the paper. Seconds of one trial look alike and "
     "share one rating, so a model that recognises the trial is correct without reading any emotion. Shown only to "
     "compare with papers that do so."),
    ("trial", "No trial is on both sides; other trials of the same subject are. Asks: does it work on a new trial of "
     "a known subject?"),
    ("stimulus", "No stimulus (video clip) is on both sides. Asks: does it work on a clip that was not used in "
     "training?"),
    ("subject", "No subject is on both sides, though the clips are shared, and clips predict ratings. Asks: does it "
     "work on a new subject?"),
    ("subject+stimulus", "Neither subject nor clip is on both sides: the hardest question."),
    ("scope", "pooled: all subjects together. per-subject: a cross-validation within each subject."),
    ("accuracy, mean of folds", "The paper's score (Eq. 7): accuracy of each test fold by window, averaged with "
     "equal weight; ± is the standard deviation between folds, not an error of the mean."),
    ("accuracy, all windows", "All tested windows of all folds together."),
    ("by trial", "One prediction a trial: the mean logit of its windows within a fold decides. Under protocol window, "
     "a trial is in several folds and has a prediction in each."),
    ("95 % corrected t over folds", "The interval of the mean of folds where all subjects share one cross-validation "
     "(scope pooled): Student's t over the folds with Nadeau and Bengio's correction (2003) for training sets that "
     "overlap. It says how much the mean could move with other training and test sets of the same kind."),
    ("95 % t over subjects", "The interval of the mean of folds where each subject has a cross-validation of their own "
     "(scope per-subject): Student's t over the subjects' means, as folds of one subject are not independent. It says "
     "what to expect of the mean over other subjects. Both t intervals are cut off at 0 and 100 %, outside of which no "
     "accuracy lies."),
    ("95 % bootstrap over subjects", "The interval of the score of all windows, or of all trials: whole subjects are "
     f"drawn with replacement {N_RESAMPLES:,} times, and the limits are the 2.5 % and 97.5 % points of the scores. It "
     "says what to expect of other subjects; of few subjects it is too narrow."),
    ("95 % bootstrap over trials", "The same with whole trials, where there are fewer than five subjects. It says "
     "nothing about other subjects."),
    ("majority", "Accuracy of always predicting the majority class of the training fold. It needs no input at all. It "
     "can be below one half: a class that is more frequent in a test fold is less frequent in its training fold."),
    ("chance", f"Trial labels are permuted within each subject {N_PERMUTATIONS:,} times against the same predictions, "
     f"without training again. Above chance means above the {CHANCE_PERCENTILE} % point of the permuted scores, which "
     "is not a limit of an interval; p is the share of permutations at least as good, and never below "
     f"{1 / (N_PERMUTATIONS + 1):.4f}. A model that only recognises the subject, and knows how often each subject "
     "rates high, stays within chance."),
    ("balanced accuracy, macro-F1", "Means over the positive (high) and the negative (low) class with equal weight; a "
     "prediction that is always the same gets 0.5 or less."),
    ("AUC", "How often a window rated high gets a larger probability than one rated low; 0.5 is chance. Never "
     "averaged over folds, which have few windows."),
    ("MCC", "Correlation of label and prediction, -1 to 1; 0 is chance."),
    ("Wilcoxon, Holm, smallest p", "Signed-rank test over subjects, adjusted for the number of questions on the same "
     "target. With n subjects that differ no data can give p below 1/2^n (2/2^n where the question has no "
     "direction): with few subjects nothing can be concluded, however large the difference. A difference that is not "
     "significant does not mean that two results are equal. " + TWO_TESTS),
)  # fmt: skip

# The functions that compute the numbers of a column, by the column's title up to a bracket; paths are below gbvnet.
SOURCES = {
    "Mean of folds ± SD": "evaluation.metrics.scores_by_fold, evaluation.statistics.mean_and_sd, "
    "evaluation.statistics.t_interval_over_folds, evaluation.statistics.t_interval_over_subjects",
    BOOTSTRAP_COLUMN.partition(" [")[0]: "evaluation.metrics.accuracy, evaluation.statistics.bootstrap_intervals",
    "By trial": "evaluation.metrics.aggregate_trials, evaluation.statistics.bootstrap_intervals",
    "Majority": "evaluation.metrics.majority_accuracy",
    f"Chance: mean / {CHANCE_PERCENTILE} %": "evaluation.statistics.permutation_chance",
    f"Chance {CHANCE_PERCENTILE} %": "evaluation.statistics.permutation_chance",
    "p": "evaluation.statistics.permutation_chance (one result), evaluation.statistics.paired_test (two results)",
    "Balanced": "evaluation.metrics.balanced_accuracy",
    "Macro-F1": "evaluation.metrics.macro_f1",
    "AUC": "evaluation.metrics.auc",
    "MCC": "evaluation.metrics.mcc",
    "Windows high / low": "evaluation.scores.evaluate",
    "Mean of subjects ± SD": "evaluation.metrics.scores_by_subject, evaluation.statistics.mean_and_sd",
    "Their AUC": "evaluation.metrics.scores_by_subject, evaluation.statistics.mean_and_sd",
    "Their MCC": "evaluation.metrics.scores_by_subject, evaluation.statistics.mean_and_sd",
    "Undefined": "evaluation.statistics.mean_and_sd",
    "Difference, points": "evaluation.statistics.paired_test",
    "Subjects that differ": "evaluation.statistics.paired_test",
    "p after Holm": "evaluation.statistics.adjust_holm",
    "Smallest p possible": "evaluation.statistics.paired_test",
    "Effect size": "evaluation.statistics.paired_test",
    "Folds": "evaluation.scores.evaluate",
    "Subjects": "evaluation.scores.evaluate",
    "Trials": "evaluation.scores.evaluate",
    "Windows tested": "evaluation.scores.evaluate",
    "Windows": "evaluation.plan.choose_windows",
    "Trials high / low": "evaluation.scores.evaluate",
    "High windows, %": "evaluation.scores.evaluate",
    "High in folds, %": "evaluation.metrics.scores_by_fold",
    "Own majority": "systems.subject_majority.System",
    "Leaky, same windows": "report.audit_results.compute_inflation",
    "Honest": "report.audit_results.compute_inflation",
    "Inflation, points": "report.audit_results.compute_inflation",
    "Mean rank": "evaluation.ranking.rank_systems",
    "GBV-Net minus it, points": "evaluation.ranking.rank_systems",
    "Correct, %": "experiments.audit.identification_accuracies",
    "Chance, %": "experiments.audit.identification_accuracies",
    "Out of": "experiments.audit.identification_accuracies",
    "nearest neighbour": "evaluation.metrics.accuracy",
    "ridge classifier": "evaluation.metrics.accuracy",
    "signal branch of GBV-Net": "evaluation.metrics.accuracy",
    "Seconds a training": "experiments.compare.cost_of",
    "Memory of a training, MB": "experiments.compare.cost_of",
    "Parameters": "experiments.compare.cost_of",
    "Windows a second, without cached features": "experiments.compare.cost_of",
}

# ---------------------------------------------------------------- several classes, and numbers

_BINARY_TERMS = {"by trial", "chance", "balanced accuracy, macro-F1", "AUC", "MCC"}  # their texts are of high and low
_CLASS_TERMS = {"accuracy, mean of folds", "accuracy, all windows", "majority"}
_T_TERM = "95 % t over subjects"
_CHANCE = (
    f"Trial labels are permuted within each subject {N_PERMUTATIONS:,} times against the same predictions, without "
    f"training again. Above chance means above the {CHANCE_PERCENTILE} % point of the permuted scores; p is the share "
    f"of permutations at least as good, and never below {1 / (N_PERMUTATIONS + 1):.4f}. "
)
_OTHER_TERMS: dict[Task, tuple[tuple[str, str], ...]] = {
    "multiclass": (
        ("by trial, of several classes", "One prediction a trial: the class with the largest mean log-probability over "
         "its windows within a fold."),
        ("chance, of several classes", _CHANCE + "A model that only recognises the subject, and knows how often each "
         "subject's trials are of each class, stays within chance."),
        ("balanced accuracy, macro-F1, of several classes", "Means over the classes with equal weight, so that a rare "
         "class counts as much as a frequent one; classes that do not occur are left out."),
        ("kappa", "Agreement of label and prediction beyond what their shares of classes alone would give (Cohen 1960, "
         "Educational and Psychological Measurement 20): 1 if all are right, 0 if agreement is no better than that."),
        ("AUC, of several classes", "How often a window of a class gets a larger probability of that class than a "
         "window of another class; the mean over classes; 0.5 is chance."),
        ("quadrant", "Valence and arousal together: LVLA low valence and low arousal, HVLA high valence and low "
         "arousal, LVHA low valence and high arousal, HVHA high valence and high arousal."),
        ("terciles", "Each subject's own ratings in three parts of about equal size: low, middle, high."),
    ),
    "regression": (
        ("CCC", "Concordance correlation coefficient (Lin 1989, Biometrics 45): the agreement of ratings and "
         "predictions. 1 only if they are equal; less if they do not rise and fall together, if predictions are too "
         "high or too low throughout, and if they stay too near the mean. 0 for a prediction that never changes; "
         "undefined where all ratings are equal."),
        ("CCC, mean of folds", "CCC of each test fold by window, averaged with equal weight; ± is the standard "
         "deviation between folds, not an error of the mean. Folds with one rating only are left out."),
        ("CCC, all windows", "All tested windows of all folds together: differences between subjects count, too."),
        ("CCC, mean of recordings", "CCC within each recording, averaged: does the prediction follow the rating while "
         "it changes? Recordings whose rating does not change have none, and are counted."),
        ("constant mean", "Always predicting the mean rating of the fold's training windows. It needs no input at all. "
         "Its CCC is 0; its RMSE and MAE stand behind those of each result."),
        ("Pearson r", "Correlation of ratings and predictions, -1 to 1. It does not see predictions that are too high, "
         "too low, or too near the mean throughout; CCC does, and is never further from 0."),
        ("RMSE, MAE", "Root of the mean squared error, and mean absolute error, in the units of the rating; less is "
         "better. RMSE weighs large errors more. An error says something only beside that of the constant mean."),
        ("by trial, of numbers", "One prediction a trial: the mean of its windows' predictions within a fold, against "
         "the mean of their ratings."),
        ("chance, of numbers", _CHANCE + "Where ratings change within a trial, whole courses of ratings are exchanged "
         "between a subject's trials of equally many windows, and shifted in time. A model that only recognises the "
         "subject, and knows each subject's mean rating, stays within chance."),
    ),
}  # fmt: skip

_BINARY_COLUMNS = {
    "MCC", "Their MCC", "Windows high / low", "Trials high / low", "High windows, %", "High in folds, %", "Their AUC",
}  # fmt: skip
_CLASS_COLUMNS = {
    "Majority", "Balanced", "Macro-F1", "AUC", "Difference, points", "Own majority", "Inflation, points",
    "GBV-Net minus it, points", "ridge classifier",
}  # fmt: skip
_CLASSES, _NUMBERS = "evaluation.multiclass.MulticlassMetrics", "evaluation.regression.RegressionMetrics"
_CHANCES = "evaluation.chance.chances_of_scores"
_BY_SUBJECT = "evaluation.metrics.scores_by_subject, evaluation.statistics.mean_and_sd"
_OTHER_SOURCES: dict[Task, dict[str, str]] = {
    "multiclass": {
        "Balanced": _CLASSES,
        "Macro-F1": _CLASSES,
        "Cohen's kappa": _CLASSES,
        "AUC": _CLASSES,
        "Their Cohen's kappa": _BY_SUBJECT,
        "Their AUC": _BY_SUBJECT,
        "Windows of each class": "evaluation.scores.evaluate",
    },
    "regression": {
        "Pearson r": _NUMBERS,
        "RMSE / constant mean": f"{_NUMBERS}, evaluation.metrics.baseline_scores",
        "MAE / constant mean": f"{_NUMBERS}, evaluation.metrics.baseline_scores",
        "CCC, mean of recordings": _NUMBERS,
        "Their Pearson r": _BY_SUBJECT,
        "Lowest to highest rating": "report.label_tables.label_tables",
        "Mean rating ± SD": "report.label_tables.label_tables",
        "Mean in folds": "evaluation.metrics.scores_by_fold",
        "Difference, CCC": "evaluation.statistics.paired_test",
        "Constant mean": "systems.majority.System",
        "Own mean": "systems.subject_majority.System",
        "Inflation, CCC": "report.audit_results.compute_inflation",
        "GBV-Net minus it, CCC": "evaluation.ranking.rank_systems",
        "ridge regression": _NUMBERS,
    },
}


def terms_of(tasks: Collection[Task]) -> tuple[tuple[str, str], ...]:
    """Return the terms and their meanings that a report of these tasks uses."""
    unused = set() if "binary" in tasks else _BINARY_TERMS
    if not {"binary", "multiclass"} & set(tasks):
        unused = unused | _CLASS_TERMS
    terms = [(term, _with_bounds(term, text, tasks)) for term, text in TERMS if term not in unused]
    others = [entry for task, entries in _OTHER_TERMS.items() if task in tasks for entry in entries]
    return (*terms[:-1], *others, terms[-1])


def _with_bounds(term: str, text: str, tasks: Collection[Task]) -> str:
    """The text on t intervals with the bounds of each headline score."""
    if term != _T_TERM or "regression" not in tasks:
        return text
    if set(tasks) == {"regression"}:
        return text.replace(
            "at 0 and 100 %, outside of which no accuracy lies", "at -1 and 1, outside of which no CCC lies"
        )
    return text.replace("outside of which no accuracy lies", "or for CCC at -1 and 1, outside of which no score lies")


def sources_of(tasks: Collection[Task]) -> dict[str, str]:
    """Return the functions that compute each column of a report of these tasks, by the column's title."""
    if set(tasks) == {"binary"}:
        return SOURCES
    unused = set() if "binary" in tasks else _BINARY_COLUMNS
    if not {"binary", "multiclass"} & set(tasks):
        unused = unused | _CLASS_COLUMNS
    sources = {column: source for column, source in SOURCES.items() if column not in unused}
    for column, source in (pair for task in _OTHER_SOURCES if task in tasks for pair in _OTHER_SOURCES[task].items()):
        before = sources.get(column, "")
        sources[column] = ", ".join(dict.fromkeys([*filter(None, before.split(", ")), *source.split(", ")]))
    for column in sources:
        if "permutation_chance" in sources[column]:
            sources[column] = sources[column].replace("evaluation.statistics.permutation_chance", _permuted(tasks))
    return sources


def _permuted(tasks: Collection[Task]) -> str:
    """The function that permutes labels: that of two classes, and that of the others."""
    return f"evaluation.statistics.permutation_chance, {_CHANCES}" if "binary" in tasks else _CHANCES

"""The terms of a report, and the function that computes each column of its tables."""

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

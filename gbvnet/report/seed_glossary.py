"""The terms of a report with several seeds, and the functions that compute its columns. See glossary.py."""

SEED_TERMS = (
    ("SD over seeds", "The standard deviation (n - 1) of the scores of the same system at several seeds, on the same "
     "subjects. A seed sets the splits, the initial weights, the order of windows and the augmentation; with fixed "
     "folds the splits stay. It says how far the score of one run depends on its seed, and nothing about other "
     "subjects. Of few seeds it is itself uncertain."),
    ("mean over seeds", "Where a result has several seeds, its scores are means of those of the seeds, and each "
     "subject's score is the mean of that subject's scores over the seeds. Intervals, ranks, Wilcoxon tests and Holm's "
     "adjustment are of these means: one question for a pair of results, however many seeds they have. Results whose "
     "seeds differ are compared by the seeds that both have; without a common seed they are not compared."),
    ("smaller than the spread over seeds", "|mean of d| < SD of d over seeds, where d is the difference of two results "
     "at one seed (mean over subjects), and the SD over N seeds is sqrt(sum of (d - mean of d)² / (N - 1)). Both "
     "results have the same splits at a seed, so that they are paired by seed. A comparison of single runs could then "
     "well have come out the other way round. It says nothing about subjects: a difference can be significant over "
     "subjects and smaller than the spread over seeds, or the reverse."),
    ("chance, of several seeds", "Each permutation of trial labels is shared by all seeds, as their trials are the "
     "same: the mean over seeds is set beside its values under permutations. As a mean of several seeds varies less "
     "than the score of one, its limit lies lower. Bootstrap intervals share their resamples of subjects in the same "
     "way."),
    ("95 % corrected t over folds and seeds", "The interval of the mean of folds of a cross-validation that was "
     "repeated with other splits: Student's t over the folds of all seeds, with the correction for training sets that "
     "overlap in the form of Bouckaert and Frank (2004). With fixed folds each fold's mean over seeds counts once "
     "instead. ± is then the standard deviation between the folds of one seed."),
)  # fmt: skip

_SPREAD = "evaluation.seed_means.average_over_seeds, evaluation.statistics.mean_and_sd"
_DIFFERENCE = "evaluation.seed_means.difference_over_seeds"
SEED_SOURCES = {
    "SD over seeds": _SPREAD,
    "SD over seeds: mean of folds / all windows": _SPREAD,
    "Mean of folds ± SD over seeds": _SPREAD,
    "All windows ± SD over seeds": _SPREAD,
    "By trial ± SD over seeds": _SPREAD,
    "Mean of subjects ± SD over subjects": _SPREAD,
    "SD of the difference over seeds": _DIFFERENCE,
    "Beside the seeds": _DIFFERENCE,
}

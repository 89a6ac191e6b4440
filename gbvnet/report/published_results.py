"""What the paper (Yu et al. 2025, Preprints doi:10.20944/preprints202509.0094.v1, section 4) prints in its tables, and
what others published of subjects that their training had not.

To be shown beside results of runs, never in one table with them: the paper assigns windows to folds at random and gives
no threshold for high, and the others have other thresholds, subjects and scores.
"""

from typing import Literal, NamedTuple

from ..evaluation.targets import QUADRANT

TARGETS = ("valence", "arousal")  # the order of the pairs below
# Tables 3 and 4: accuracy in %, by target.
PAPER_ABLATION = {
    ("deap", "bio"): (62.70, 62.07),
    ("deap", "face"): (90.22, 91.40),
    ("deap", "facebio"): (94.68, 95.93),
    ("mahnob", "bio"): (74.55, 77.78),
    ("mahnob", "face"): (93.99, 92.64),
    ("mahnob", "facebio"): (97.48, 97.78),
}
PAPER_OTHERS = {
    "deap": {
        "Yuvaraj et al. [29]": (78.18, 79.90),
        "Huang et al. [15]": (80.30, 74.23),
        "Li et al. [30]": (71.00, 58.75),
        "Zhang et al. [31]": (72.89, 77.03),
        "Siddharth et al. [14]": (79.52, 78.34),
    },
    "mahnob": {
        "Yuvaraj et al. [29]": (83.98, 85.58),
        "Huang et al. [15]": (75.21, 75.63),
        "Li et al. [30]": (70.04, 72.14),
        "Zhang et al. [31]": (79.90, 81.37),
        "Siddharth et al. [14]": (85.49, 82.93),
    },
}


class Cited(NamedTuple):
    """A system as Table 3 cites it, with what is known of the protocol behind its figures."""

    work: str  # as PAPER_OTHERS calls it
    protocol: str


# By the system of this package. Protocols as the works themselves, or their public code, describe them.
CITED = {
    "huang": Cited(
        "Huang et al. [15]", "within each subject; 20 of 40 trials, drawn at random, for training (DEAP), leave one "
        "trial out (MAHNOB-HCI); scored by trial"
    ),
    "mindlink-eumpy": Cited("Li et al. [30]", "as Huang et al."),
    "yuvaraj-like": Cited("Yuvaraj et al. [29]", "EEG alone; windows and folds not known"),
    "hsa-like": Cited("Zhang et al. [31]", "EEG alone; protocol not known"),
    "siddharth-like": Cited("Siddharth et al. [14]", "ten folds; of which units is not known"),
}  # fmt: skip

# Table 1, in its own words ("Trail" is its spelling of trial).
PAPER_DATA = {
    "deap": {"subjects": "22", "channels": "40", "length": "60s", "trials": "40", "emotions": "Valence, Arousal"},
    "mahnob": {
        "subjects": "27",
        "channels": "38",
        "length": "49s-117s",
        "trials": "20",
        "emotions": "Valence, Arousal",
    },
}

# Table 2: the EEG channels of both corpora, numbered from 1.
PAPER_MONTAGE = (
    "Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7", "CP5", "CP1", "P3", "P7", "PO3", "O1", "Oz", "Pz",
    "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2", "P4", "P8", "PO4", "O2",
)  # fmt: skip


class Study(NamedTuple):
    """A work that published figures under one protocol."""

    work: str
    inputs: str
    protocol: str
    new_subjects: Literal["yes", "not known"]  # whether no test subject was in training
    source: str


class SubjectFigure(NamedTuple):
    """One published figure."""

    dataset: str
    target: str  # as a run names it
    study: Study
    classes: str
    metric: str
    value: float  # a share, 0 to 1
    trivial: float | None = None  # the same score of the work's own trivial baseline, where it gives one

    @property
    def task(self) -> str:
        """The task of the runs that it stands beside: multiclass or binary."""
        return "multiclass" if self.target == QUADRANT else "binary"

    def as_published(self, value: float) -> str:
        """Return a value of this metric with the digits that were published: accuracies in %, F1 as a share."""
        return f"{100 * value if self.metric.startswith('accuracy') else value:.3g}"


_EEGAIN = Study(
    "EEGain, best of 4 networks", "EEG", "leave one subject out, windows of 4 s", "yes",
    "github.com/EmotionLab/EEGain, README 1.0.0",
)  # fmt: skip
_LIBEER = Study(
    "LibEER, best of 12 methods", "EEG", "one split by subject, about 3:1:1", "yes",
    "github.com/XJTU-EEG/LibEER, README of 18 March 2026",
)  # fmt: skip
_LIBEMER = Study(
    "LibEMER", "EEG and peripheral signals", "split by subject, parts not known", "yes", "arXiv 2509.19330"
)
_MVP = Study("MVP", "face, skin conductance, PPG or ECG", "not known", "not known", "arXiv 2501.03103")

_LOW_45, _LOW_3, _SPLIT_5 = "low (at most 4.5), high", "low (at most 3), high", "low (at most 5), high"
_QUADRANTS = "four quadrants, each rating split at 5"
_BY_SUBJECT = "accuracy, mean of subjects"
# EEGain's and LibEER's figures were compared with their READMEs, of each score the best method's. Those of LibEMER and
# MVP are from summaries: what these do not say is not known here.
SUBJECT_FIGURES = (
    SubjectFigure("deap", "valence", _EEGAIN, _LOW_45, _BY_SUBJECT, 0.53, 0.57),
    SubjectFigure("deap", "arousal", _EEGAIN, _LOW_45, _BY_SUBJECT, 0.57, 0.59),
    SubjectFigure("deap", "valence", _LIBEER, _SPLIT_5, "accuracy", 0.578),
    SubjectFigure("deap", "arousal", _LIBEER, _SPLIT_5, "accuracy", 0.515),
    SubjectFigure("deap", QUADRANT, _LIBEER, _QUADRANTS, "accuracy", 0.309),
    SubjectFigure("deap", "valence", _LIBEER, _SPLIT_5, "macro F1", 0.577),
    SubjectFigure("deap", "arousal", _LIBEER, _SPLIT_5, "macro F1", 0.510),
    SubjectFigure("deap", "valence", _LIBEMER, "low, high; limit not known", "accuracy", 0.573),
    SubjectFigure("deap", "arousal", _LIBEMER, "low, high; limit not known", "accuracy", 0.613),
    SubjectFigure("deap", "valence", _MVP, "low, high; limit not known", "F1, averaging not known", 0.61),
    SubjectFigure("deap", "arousal", _MVP, "low, high; limit not known", "F1, averaging not known", 0.55),
    SubjectFigure("mahnob", "valence", _EEGAIN, _LOW_45, _BY_SUBJECT, 0.57, 0.55),
    SubjectFigure("mahnob", "arousal", _EEGAIN, _LOW_45, _BY_SUBJECT, 0.54, 0.34),
    SubjectFigure("mahnob", "valence", _LIBEER, _SPLIT_5, "accuracy", 0.711),
    SubjectFigure("mahnob", "arousal", _LIBEER, _SPLIT_5, "accuracy", 0.609),
    SubjectFigure("mahnob", QUADRANT, _LIBEER, _QUADRANTS, "accuracy", 0.449),
    SubjectFigure("mahnob", "valence", _LIBEER, _SPLIT_5, "macro F1", 0.664),
    SubjectFigure("mahnob", "arousal", _LIBEER, _SPLIT_5, "macro F1", 0.570),
    SubjectFigure("amigos", "valence", _EEGAIN, _LOW_45, _BY_SUBJECT, 0.55, 0.56),
    SubjectFigure("amigos", "arousal", _EEGAIN, _LOW_45, _BY_SUBJECT, 0.60, 0.66),
    SubjectFigure("amigos", "valence", _MVP, "low, high; limit not known", "F1, averaging not known", 0.66),
    SubjectFigure("amigos", "arousal", _MVP, "low, high; limit not known", "F1, averaging not known", 0.58),
    SubjectFigure("dreamer", "valence", _EEGAIN, _LOW_3, _BY_SUBJECT, 0.60, 0.59),
    SubjectFigure("dreamer", "arousal", _EEGAIN, _LOW_3, _BY_SUBJECT, 0.48, 0.52),
)

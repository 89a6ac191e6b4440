"""What the paper (Yu et al. 2025, Preprints doi:10.20944/preprints202509.0094.v1, section 4) prints in its tables.

To be shown beside results of runs, never in one table with them: the paper assigns windows to folds at random and gives
no threshold for high.
"""

from typing import NamedTuple

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

"""Huang et al. 2019 (Future Internet 11:105): a support vector machine on the EEG, a small network on the face, fused.

From the paper and its public code (Eumpy): 85 band powers a second (derivations.py), z-scored over training rows,
SVC(C=1) with a Gaussian kernel; the network of face_cnn.py; the enumerated weight of fusion.py by default. There the
machine gives yes or no for each second, a trial's score is the share of yes, the network's is its mean over frames,
and a trial is high above 0.5. Here a window has a probability, the logistic of the machine's decision value, and a
trial the mean logit of its windows, as with every system. The source tests within each person, 20 trials against 20.

The machine's time grows with the square of the windows. It was made for one person's 2,400; of more than
rival.svm_windows it learns from so many, drawn by the seed and evenly over trials (ours).
"""

from typing import ClassVar

import numpy as np
from typing_extensions import override

from ..store.window_source import WindowSource
from . import Contract
from .features.electrode_pairs import decibels
from .learners.face_cnn import Face
from .learners.late_fusion import Fused
from .learners.rbf_svm import Machine


class EEG(Machine):
    """The machine on band powers."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg",)

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return decibels(store, rows)


class System(Fused):
    made_of: ClassVar[dict[str, type[Contract]]] = {"face": Face, "eeg": EEG}
    rule: ClassVar[str] = "enumerate"

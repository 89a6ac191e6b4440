"""Huang et al. 2019 (Future Internet 11:105): late fusion of a support vector machine on the EEG and a small network on
the face.

From the paper and its public code (Eumpy): 85 band powers a second (electrode_pairs.py), z-scored over training rows,
SVC(C=1) with a Gaussian kernel; the network of face_cnn.py; the enumerated weight of late_fusion.py by default. There
the support vector machine classifies each second, a trial's score is the share of positive seconds, the network's is
its mean over frames, and a trial is positive above 0.5. Here a window has a probability, the logistic of the decision
value, and a trial the mean logit of its windows, as with every system. The source tests within each subject, 20 trials
against 20.

The training time of the support vector machine grows with the square of the windows. It was meant for the 2,400 windows
of one subject; here it learns from at most the option svm_windows of them (implementation choice).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from typing_extensions import override

from ..store.window_source import WindowSource
from . import BaseSystem
from .features.electrode_pairs import pair_features
from .learners.face_cnn import FaceSystem
from .learners.late_fusion import WeightedFusion
from .learners.rbf_svm import RbfSvm


class EEGSystem(RbfSvm):
    """A support vector machine on band powers."""

    modalities: ClassVar[tuple[str, ...]] = ("eeg",)

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return pair_features(store, rows)


class System(WeightedFusion):
    """Late fusion of both; of one modality, its part alone."""

    part_classes: ClassVar[dict[str, type[BaseSystem]]] = {"face": FaceSystem, "eeg": EEGSystem}

    @dataclass(frozen=True)
    class Options(WeightedFusion.Options, RbfSvm.Options):
        """The options of huang."""

    options: Options

"""A random forest on the spread of each channel: a system of scikit-learn, over features of one's own.

gbvnet crossval STORE RUN --system examples/forest.py:Forest --modality bio --options.trees 300
"""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from gbvnet.systems.adapters import EstimatorSystem


class Forest(EstimatorSystem):
    """RandomForestClassifier on the log SD of each channel."""

    modalities = ("bio", "eeg", "peri")

    @dataclass(frozen=True)
    class Options:
        """Its options, which --help shows."""

        trees: int = 100
        """number of trees"""

    def estimator(self):
        return RandomForestClassifier(self.options.trees)

    def features(self, inputs):
        return np.log(inputs.signals.std(axis=2) + 1e-6)

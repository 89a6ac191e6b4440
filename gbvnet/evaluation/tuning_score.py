"""The score by which settings are chosen: balanced accuracy of classes, CCC of ratings.

Both are scores of the report, so that what is chosen is what is then shown. Balanced accuracy stands for the headline
accuracy, as the majority class has 50 % accuracy or more without any skill, and one half here. Log loss would be
smoother, and would choose by how certain a system is: some systems give no probabilities that mean one.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .binary import BinaryMetrics
from .labels import has_one_class
from .multiclass import MulticlassMetrics
from .prediction_schema import Task, class_columns
from .regression import RegressionMetrics
from .targets import Target
from .task_metrics import TaskMetrics

TUNING_SCORE: dict[Task, str] = {"binary": "balanced_accuracy", "multiclass": "balanced_accuracy", "regression": "ccc"}


def tuning_score(target: Target, y: np.ndarray, predicted: np.ndarray) -> float:
    """Return the score of predictions of windows; higher is better. NaN where it is not defined: see `has_score`.

    y : (n,), labels as `Target` numbers them, or ratings
    predicted : (n,), the probability of the positive class, or the rating; (n, K), the probabilities of K classes
    """
    rows, name = pd.DataFrame({"y": y}), TUNING_SCORE[target.task]
    metrics: TaskMetrics
    if target.task == "multiclass":
        metrics = MulticlassMetrics(len(target.classes))
        rows[class_columns(len(target.classes))[0]] = predicted
    else:
        metrics = BinaryMetrics() if target.task == "binary" else RegressionMetrics()
        rows["p" if target.task == "binary" else "y_hat"] = predicted
    return float(metrics.compute(rows, (name,))[name])


def has_score(train: ArrayLike, test: ArrayLike) -> bool:
    """Return whether settings can be compared: something varies in the labels of both sides, each (n,)."""
    return not has_one_class(train) and not has_one_class(test)

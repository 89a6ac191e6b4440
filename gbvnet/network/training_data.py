"""What a training is given, what it returns, and the names of its files."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from ..config import TrainConfig
from .batches import Batch, BatchSource
from .objectives import BinaryCrossEntropy, Objective
from .training_log import TrainingLog

CHECKPOINT, HISTORY = "last.ckpt", "history.csv"
COLUMNS = ("epoch", "train_loss", "train_accuracy", "inner_loss", "inner_accuracy", "seconds")  # as in history.csv

Augment = Callable[[Batch, torch.Generator], Batch]


class TrainingData(NamedTuple):
    """The windows of a training, with labels, what is minimised, and a log of it besides history.csv.

    Without `validation` the last epoch is kept.
    """

    train: BatchSource
    validation: BatchSource | None = None
    objective: Objective = BinaryCrossEntropy()
    log: TrainingLog | None = None


@dataclass(frozen=True)
class TrainingResult:
    """The course of a training. `history` holds a dict of COLUMNS for each epoch, `chosen_epoch` counts from 1."""

    history: list[dict[str, Any]]
    chosen_epoch: int


def batch_size(n_train: int, config: TrainConfig) -> int:
    """Return the windows per step: as set, or 256 (paper), or the power of two at most n_train / 16, at least 16."""
    if config.batch_size is not None:
        return config.batch_size
    return max(16, min(256, 2 ** int(math.log2(max(n_train / 16, 1)))))

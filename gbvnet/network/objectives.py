"""What a training minimises, for each task: cross-entropy for classes, a squared or a concordance loss for ratings.

Shapes: B windows, K outputs of the network. Labels y are (B, K) float32 of 0 and 1 for K binary targets, (B, 1) class
numbers for several classes, and (B, 1) ratings scaled to -1..1 for regression.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from scipy.special import expit, softmax
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from typing_extensions import override


class Objective(ABC):
    """A loss, and the sums from which the means of an epoch are made."""

    n_sums = 3

    @abstractmethod
    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss of a batch, from outputs (B, K) and labels."""

    @abstractmethod
    def hits(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the number of correct predictions; NaN where there is no such thing."""

    def sums(self, output: Tensor, y: Tensor, loss: Tensor) -> Tensor:
        """Return the sums (n_sums,) of a batch: of the loss, of correct predictions, of labels."""
        n = torch.full((), y.numel(), device=output.device)
        return torch.stack([loss.detach() * n, self.hits(output, y), n])

    def means(self, sums: Tensor) -> list[float]:
        """Return the mean loss and the accuracy of an epoch, from its sums; the accuracy is NaN for ratings."""
        return (sums[:2] / sums[2]).tolist()


class BinaryCrossEntropy(Objective):
    """K targets of two classes, a logit each."""

    @override
    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(output, y)

    @override
    def hits(self, output: Tensor, y: Tensor) -> Tensor:
        return ((output > 0) == (y > 0.5)).sum()


class CrossEntropy(Objective):
    """One target of K classes."""

    @override
    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(output, y[:, 0].long())

    @override
    def hits(self, output: Tensor, y: Tensor) -> Tensor:
        return (output.argmax(dim=1) == y[:, 0]).sum()


class SquaredError(Objective):
    """A rating: mean squared error."""

    @override
    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        return mse_loss(output, y)

    @override
    def hits(self, output: Tensor, y: Tensor) -> Tensor:
        return torch.full((), torch.nan, device=output.device)


class Concordance(Objective):
    """A rating: 1 minus Lin's concordance correlation over the windows of a batch, or of all batches of an epoch."""

    n_sums = 6

    @override
    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        return 1 - _concordance(_moments(output, y))

    @override
    def hits(self, output: Tensor, y: Tensor) -> Tensor:
        return torch.full((), torch.nan, device=output.device)

    @override
    def sums(self, output: Tensor, y: Tensor, loss: Tensor) -> Tensor:
        return _moments(output.detach(), y)

    @override
    def means(self, sums: Tensor) -> list[float]:
        return [float(1 - _concordance(sums)), float("nan")]


def _moments(a: Tensor, b: Tensor) -> Tensor:
    """(6,): n, and the sums of a, b, a^2, b^2 and a b."""
    n = torch.full((), a.numel(), device=a.device, dtype=a.dtype)
    return torch.stack([n, a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum()])


def _concordance(moments: Tensor) -> Tensor:
    """Lin 1989: 2 cov / (var a + var b + (mean a - mean b)^2), with variances over n; 0 where both are constant."""
    n, a, b, aa, bb, ab = moments
    mean_a, mean_b = a / n, b / n
    covariance = ab / n - mean_a * mean_b
    spread = (aa / n - mean_a**2) + (bb / n - mean_b**2) + (mean_a - mean_b) ** 2
    return 2 * covariance / spread.clamp(min=1e-12)


def scaled_ratings(rating: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Return ratings (...) on a scale as a network learns them, -1 to 1."""
    low, high = scale
    return (2 * rating - low - high) / (high - low)


def predictions_of(outputs: np.ndarray, task: str, scale: tuple[float, float]) -> np.ndarray:
    """Return what the outputs (n, K) float64 of a network mean: probabilities of high of K targets, of K classes, or
    ratings in their own units; a rating outside of its scale is taken to the end of the scale.

    scale : (low, high) of the rating; of use for task regression alone
    """
    if task == "multiclass":
        return softmax(outputs, axis=1)
    if task == "binary":
        return expit(outputs)
    low, high = scale
    return np.clip((low + high + outputs * (high - low)) / 2, low, high)


def objective_of(task: str, loss: str = "mse") -> Objective:
    """Return the objective of a task; `loss` chooses that of regression, mse or ccc."""
    if task == "regression":
        return Concordance() if loss == "ccc" else SquaredError()
    return CrossEntropy() if task == "multiclass" else BinaryCrossEntropy()
